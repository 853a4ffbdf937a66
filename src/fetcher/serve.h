/*
 * serve.h
 *	  Requests in, replies out.
 */
#ifndef IMGAPI_FETCHER_SERVE_H
#define IMGAPI_FETCHER_SERVE_H

#include <stdbool.h>
#include <stddef.h>

/* Descriptors that so many transfers may need at once. */
extern size_t img_serve_descriptors(unsigned transfers);

/* As many transfers as these descriptors allow, at most.  False: no memory. */
extern bool img_serve_start(unsigned transfers, size_t descriptors);

/* Until the owner goes; the exit status.  stop_when_stale: see resolver.h */
extern int	img_serve(bool stop_when_stale);

#endif							/* IMGAPI_FETCHER_SERVE_H */
