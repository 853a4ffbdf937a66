/*
 * http.h
 *	  Requests and answers.
 */
#ifndef IMGAPI_GATEWAY_HTTP_H
#define IMGAPI_GATEWAY_HTTP_H

#include <microhttpd.h>
#include <stdbool.h>

#include "gateway/body.h"

typedef struct HttpOptions
{
	const char *listen;			/* address:port */
	int			threads;
	int			clients;
	int			idle_seconds;	/* a client that neither reads nor sends */
	bool		log_requests;
} HttpOptions;

/* A request that is being answered. */
typedef struct HttpRequest
{
	struct MHD_Connection *connection;
	const char *path;			/* without escapes and query */
	const struct HttpRoute *route;	/* who answers it */
	const char *method;			/* GET, HEAD, POST or other */
	bool		head;			/* HEAD rather than GET */
	Body		body;			/* of POST */
	int			status;			/* as answered */
} HttpRequest;

/* Starts serving in threads of its own; false, with a line in the log: cannot. */
extern bool http_start(const HttpOptions *options);

/* Takes no more requests, waits so long for those that are there, and ends. */
extern void http_stop(int seconds);

/* A line to standard error. */
extern void http_log(const char *format,...) __attribute__((format(printf, 1, 2)));

/* Values the client sent; NULL: did not. */
extern const char *http_header(const HttpRequest *request, const char *name);
extern const char *http_argument(const HttpRequest *request, const char *name);

/* Answers.  Each is to be returned by the function that handles the request. */
extern enum MHD_Result http_send(HttpRequest *request, int status, struct MHD_Response *response);
extern enum MHD_Result http_send_json(HttpRequest *request, int status, const char *json);
extern enum MHD_Result http_send_away(HttpRequest *request);

#endif							/* IMGAPI_GATEWAY_HTTP_H */
