/*
 * webhook.h
 *	  Webhooks: what servers of image APIs say of their own accord.
 */
#ifndef IMGAPI_GATEWAY_WEBHOOK_H
#define IMGAPI_GATEWAY_WEBHOOK_H

#include "gateway/http.h"

#define WEBHOOK_PREFIX	"/webhook/"
#define WEBHOOK_LIMIT	(1024 * 1024)	/* bytes of a body */

/* Answers a request whose path begins so, and whose body has been read. */
extern enum MHD_Result webhook_answer(HttpRequest *request);

#endif							/* IMGAPI_GATEWAY_WEBHOOK_H */
