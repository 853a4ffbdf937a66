/*
 * link.h
 *	  Links: what img_download() hands out.
 */
#ifndef IMGAPI_GATEWAY_LINK_H
#define IMGAPI_GATEWAY_LINK_H

#include "gateway/http.h"

#define LINK_PREFIX	"/o/"

/* Answers a request whose path begins so. */
extern enum MHD_Result link_answer(HttpRequest *request);

#endif							/* IMGAPI_GATEWAY_LINK_H */
