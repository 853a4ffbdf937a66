/*
 * spelling.c
 *	  "Did you mean …?"
 *
 * Runs in backends, when something is refused.
 */
#include "postgres.h"

#include "extension/spelling.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/varlena.h"

/* Longer words are no typing errors. */
#define LONGEST		60

const char *
img_nearest(const char *given, int length, List *names)
{
	const char *best = NULL;
	int			distance = 4;	/* more mistakes make another word */
	char	   *lower;
	ListCell   *cell;

	if (length == 0 || length > LONGEST)
		return NULL;
	lower = asc_tolower(given, length);
	foreach(cell, names)
	{
		char	   *name = lfirst(cell);
		char	   *low = asc_tolower(name, strlen(name));
		int			d = varstr_levenshtein_less_equal(lower, strlen(lower),
													  low, strlen(low),
													  1, 1, 1, distance, true);

		if (d < distance && d * 2 <= strlen(name))
		{
			best = name;
			distance = d;
		}
	}
	return best;
}
