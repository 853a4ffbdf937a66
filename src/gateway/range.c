/*
 * range.c
 *	  The conditions of a request, as RFC 9110 has them.
 *
 * Functions of their arguments only; runs in any thread.
 */
#include "gateway/range.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Digits, at most 15 of them, and a step on; -1: none, or too many. */
static long long
digits(const char **at)
{
	long long	number = 0;
	int			count = 0;

	while (isdigit((unsigned char) **at))
	{
		if (++count > 15)
			return -1;
		number = number * 10 + (*(*at)++ - '0');
	}
	return count > 0 ? number : -1;
}

RangeKind
range_parse(const char *header, long long bytes, Range *range)
{
	long long	first,
				last;

	range->first = 0;
	range->length = bytes;
	if (header == NULL || strncasecmp(header, "bytes=", 6) != 0)
		return RANGE_WHOLE;
	header += 6;
	if (*header == '-')
	{
		/* the last so many */
		header++;
		last = digits(&header);
		if (last < 0 || *header != '\0')
			return RANGE_WHOLE;
		if (last == 0 || bytes == 0)
			return RANGE_BEYOND;
		range->length = last < bytes ? last : bytes;
		range->first = bytes - range->length;
		return RANGE_PART;
	}
	first = digits(&header);
	if (first < 0 || *header++ != '-')
		return RANGE_WHOLE;
	last = *header == '\0' ? bytes - 1 : digits(&header);
	if (*header != '\0' || (last < first && first < bytes))
		return RANGE_WHOLE;
	if (first >= bytes)
		return RANGE_BEYOND;
	range->first = first;
	range->length = (last < bytes ? last + 1 : bytes) - first;
	return RANGE_PART;
}

bool
range_matches(const char *header, const char *etag)
{
	size_t		length = strlen(etag);

	while (header != NULL && *header != '\0')
	{
		while (*header == ' ' || *header == '\t' || *header == ',')
			header++;
		if (*header == '*')
			return true;
		if (strncmp(header, "W/", 2) == 0)
			header += 2;
		if (strncmp(header, etag, length) == 0)
			return true;
		/* Our tags have no comma in them. */
		header = strchr(header, ',');
	}
	return false;
}
