/*
 * url.h
 *	  The addresses of servers, as options give them.
 */
#ifndef IMGAPI_URL_H
#define IMGAPI_URL_H

#include "postgres.h"

typedef struct ImgUrl
{
	const char *scheme;			/* "http" or "https" */
	char	   *host;			/* without port; in brackets when IPv6 */
	char	   *authority;		/* host[:port], as in the header Host */
	char	   *path;			/* "" or "/a/b", never with "/" at the end */
	bool		is_address;		/* host is an IP address */
} ImgUrl;

/* False for anything but http[s]://host[:port][/path]: no user, no query, no
 * fragment, no dots as folders. */
extern bool img_url_parse(const char *text, ImgUrl *url);

/* Whether a path is free of "." and ".." as folders. */
extern bool img_path_is_plain(const char *path);

#endif							/* IMGAPI_URL_H */
