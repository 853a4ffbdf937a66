/*
 * body.c
 *	  Bodies of requests: kept in memory, within limits.
 *
 * Runs in all threads of imgapi-gateway, each with requests of its own.  Shared
 * between them is only how much memory all bodies have.
 */
#include "gateway/body.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Of all bodies together: many clients that send slowly must not have more. */
#define MOST_MEMORY		(64 * 1024 * 1024)
static _Atomic size_t memory = 0;

/* Takes so much more; false: there is no more. */
static bool
reserve(size_t length)
{
	if (atomic_fetch_add(&memory, length) + length <= MOST_MEMORY)
		return true;
	atomic_fetch_sub(&memory, length);
	return false;
}

static bool
make_room(Body *body, size_t needed, size_t limit)
{
	size_t		room = body->room > 0 ? body->room : 4096;
	char	   *data;

	while (room < needed)
		room *= 2;
	if (room > limit)
		room = limit;
	if (room <= body->room)
		return true;
	if (!reserve(room - body->room))
		return false;
	data = realloc(body->data, room);
	if (data == NULL)
	{
		atomic_fetch_sub(&memory, room - body->room);
		return false;
	}
	body->data = data;
	body->room = room;
	return true;
}

bool
body_add(Body *body, const char *data, size_t length, size_t limit)
{
	size_t		before = body->length;

	body->length += length;
	if (body->length > limit || body->lacks_memory)
		return body->length <= BODY_PATIENCE * limit;
	if (make_room(body, body->length, limit))
		memcpy(body->data + before, data, length);
	else
		body->lacks_memory = true;
	return true;
}

void
body_free(Body *body)
{
	free(body->data);
	atomic_fetch_sub(&memory, body->room);
	*body = (Body) {0};
}
