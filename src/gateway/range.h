/*
 * range.h
 *	  The conditions of a request: Range, If-Range, If-None-Match.
 */
#ifndef IMGAPI_GATEWAY_RANGE_H
#define IMGAPI_GATEWAY_RANGE_H

#include <stdbool.h>

typedef enum RangeKind
{
	RANGE_WHOLE,				/* none, or one that is to be ignored */
	RANGE_PART,
	RANGE_BEYOND				/* there are no such bytes */
} RangeKind;

typedef struct Range
{
	long long	first;
	long long	length;
} Range;

/* What a Range header asks for of so many bytes.  One range is understood; a
 * list of them, or what is malformed, gets the whole. */
extern RangeKind range_parse(const char *header, long long bytes, Range *range);

/* Whether an If-None-Match header names that entity tag. */
extern bool range_matches(const char *header, const char *etag);

#endif							/* IMGAPI_GATEWAY_RANGE_H */
