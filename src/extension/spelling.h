/*
 * spelling.h
 *	  "Did you mean …?"
 */
#ifndef IMGAPI_SPELLING_H
#define IMGAPI_SPELLING_H

#include "nodes/pg_list.h"

/* The one of these names (C strings) that was probably meant, or NULL. */
extern const char *img_nearest(const char *given, int length, List *names);

#endif							/* IMGAPI_SPELLING_H */
