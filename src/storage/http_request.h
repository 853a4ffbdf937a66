/*
 * http_request.h
 *	  One HTTP request, as the fetcher is to send it.
 *
 * Storages know what to ask, the fetcher knows HTTP.  All of it is made in the
 * current memory context, and holds signatures: never show it.
 */
#ifndef IMGAPI_HTTP_REQUEST_H
#define IMGAPI_HTTP_REQUEST_H

#include "postgres.h"
#include "nodes/pg_list.h"

typedef struct ImgHttpRequest
{
	const char *method;
	char	   *url;			/* as signed: not to be rewritten */
	List	   *headers;		/* char *: "Name: value"; Host and Content-Length
								 * are the client's own */
	char	   *body;			/* NULL: none, or bytes that the caller has */
	size_t		body_length;
	bool		allow_private;	/* the address policy is lifted */
	bool		follow;			/* redirects */
	int			timeout;		/* ms */
	int			connect_timeout;	/* ms */
} ImgHttpRequest;

#endif							/* IMGAPI_HTTP_REQUEST_H */
