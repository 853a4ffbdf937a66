/*
 * uuid.c
 *	  Time-ordered UUIDs (layout of version 7).
 *
 * 48 bits of milliseconds, 12 bits of the fraction of the millisecond, 62
 * random bits.  Within one process they only ever grow, so that rows of one
 * statement keep their order.
 */
#include "extension/imgapi.h"

#include <time.h>

PG_FUNCTION_INFO_V1(img_new_id);

/* Random bytes, fetched by the kilobyte: one call each would cost more than
 * the rest of a UUID. */
static void
random_bytes(unsigned char *to, size_t length)
{
	static unsigned char pool[1024];
	static size_t used = sizeof(pool);

	if (used + length > sizeof(pool))
	{
		if (!pg_strong_random(pool, sizeof(pool)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		used = 0;
	}
	memcpy(to, pool + used, length);
	used += length;
}

void
img_new_uuid(pg_uuid_t *uuid)
{
	static uint64 last = 0;
	struct timespec now;
	uint64		ticks;			/* 1/4096 ms */

	clock_gettime(CLOCK_REALTIME, &now);
	ticks = ((uint64) now.tv_sec * 1000 + now.tv_nsec / 1000000) << 12 |
		((uint64) (now.tv_nsec % 1000000) << 12) / 1000000;
	if (ticks <= last)
		ticks = last + 1;
	last = ticks;

	random_bytes(uuid->data + 8, 8);
	for (int i = 0; i < 6; i++)
		uuid->data[i] = (unsigned char) (ticks >> (12 + 8 * (5 - i)));
	uuid->data[6] = 0x70 | ((ticks >> 8) & 0x0f);
	uuid->data[7] = ticks & 0xff;
	uuid->data[8] = 0x80 | (uuid->data[8] & 0x3f);
}

Datum
img_new_id(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));

	img_new_uuid(uuid);
	PG_RETURN_UUID_P(uuid);
}
