/*
 * request.h
 *	  One request of an executor: from a message to its reply.
 */
#ifndef IMGAPI_EXECUTOR_REQUEST_H
#define IMGAPI_EXECUTOR_REQUEST_H

#include "protocol/wire.h"

/* Where a request came from and what came with it. */
typedef struct ImgCall
{
	int			socket;			/* where the reply goes */
	bool		pool;			/* the client may hang up meanwhile */
	const unsigned char *message;
	size_t		length;
	const int  *memfd;			/* owned: of each slot; pool: the one */
	int			memfds;
} ImgCall;

/* Does what the message asks and replies.  False: the peer is gone, or sent
 * something that cannot be answered. */
extern bool img_answer(const ImgCall *call);

/* Tells that the executor is ready and how it is confined, or why it is not. */
extern bool img_say_ready(int socket, ImgOutcome outcome, const char *text);

#endif							/* IMGAPI_EXECUTOR_REQUEST_H */
