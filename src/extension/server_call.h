/*
 * server_call.h
 *	  One call to the API of a server, right now, from a client backend.
 */
#ifndef IMGAPI_SERVER_CALL_H
#define IMGAPI_SERVER_CALL_H

#include "postgres.h"

#include "extension/home.h"
#include "extension/server.h"
#include "utils/jsonb.h"

/*
 * Sends a request, body as JSON or NULL, waits interruptibly, and returns what
 * was answered; NULL: nothing.  An answer that is an error is one here, with the
 * SQLSTATE of its status and what the API says.
 */
extern Jsonb *img_server_ask(const ImgHome *home, const ImgServer *server, const char *method, const char *path, Jsonb *body);

/* What is answered to a GET; NULL: nothing good, for whatever reason. */
extern bytea *img_server_try(const ImgServer *server, const char *path);

#endif							/* IMGAPI_SERVER_CALL_H */
