/*
 * fetch_now.h
 *	  One HTTP request, right now, from a client backend.
 */
#ifndef IMGAPI_FETCH_NOW_H
#define IMGAPI_FETCH_NOW_H

#include "extension/remote.h"

/*
 * Sends a request by a fetcher that belongs to this session, waits
 * interruptibly, and returns the body of the answer (palloc'd).  Whatever goes
 * wrong is an error.  server is the one the request was made for, or NULL.
 */
extern bytea *img_fetch_now(const ImgHttpRequest *request, const ImgServer *server, uint64 max_answer);

typedef struct ImgFetchStatus
{
	int			status;			/* of HTTP */
	char	   *request_id;		/* or NULL */
	ImgRemoteFailure failure;	/* where there was no answer: status is 0 */
} ImgFetchStatus;

/* The same, but that every answer is one, whatever its status, and none is no
 * error: NULL. */
extern bytea *img_fetch_any(const ImgHttpRequest *request, const ImgServer *server, uint64 max_answer,
							ImgFetchStatus *status);

#endif							/* IMGAPI_FETCH_NOW_H */
