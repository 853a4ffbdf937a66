/*
 * resolver.h
 *	  Whether names are still resolved as this machine is told now.
 */
#ifndef IMGAPI_FETCHER_RESOLVER_H
#define IMGAPI_FETCHER_RESOLVER_H

#include <stdbool.h>

/* Remembers the files of the resolver, before the sandbox closes. */
extern void img_resolver_remember(void);

/*
 * Whether one of them is another file now.  The sandbox lets only those be read
 * that were there; a fetcher that finds names and files changed ends when its
 * transfers have, and the owner starts another.
 */
extern bool img_resolver_changed(void);

#endif							/* IMGAPI_FETCHER_RESOLVER_H */
