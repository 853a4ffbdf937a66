/*
 * body.h
 *	  The body of a request, as it comes.
 */
#ifndef IMGAPI_GATEWAY_BODY_H
#define IMGAPI_GATEWAY_BODY_H

#include <stdbool.h>
#include <stddef.h>

/* A body that is too long is read up to so many times its limit, so that a client
 * that sends before it reads gets an answer. */
#define BODY_PATIENCE	16

typedef struct Body
{
	char	   *data;
	size_t		length;			/* of all that came, also what was not kept */
	size_t		room;
	bool		lacks_memory;	/* there was none for it */
} Body;

/* The next bytes.  Beyond limit none are kept; false: it goes on and on. */
extern bool body_add(Body *body, const char *data, size_t length, size_t limit);

extern void body_free(Body *body);

#endif							/* IMGAPI_GATEWAY_BODY_H */
