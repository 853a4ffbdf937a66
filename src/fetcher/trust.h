/*
 * trust.h
 *	  Which certificates are trusted.
 */
#ifndef IMGAPI_FETCHER_TRUST_H
#define IMGAPI_FETCHER_TRUST_H

#include <stdbool.h>

#include <curl/curl.h>

/* Reads a bundle, before the sandbox closes; NULL: where libcurl was built to
 * look.  False with *problem. */
extern bool img_trust_load(const char *file, const char **problem);

/* Makes a handle trust what was read. */
extern bool img_trust(CURL *easy);

#endif							/* IMGAPI_FETCHER_TRUST_H */
