/*
 * route.h
 *	  Which server does a job for which nobody named one.
 */
#ifndef IMGAPI_ROUTE_H
#define IMGAPI_ROUTE_H

#include "postgres.h"

#include "utils/guc.h"
#include "utils/jsonb.h"

/* Checks imgapi.default_servers. */
extern bool img_check_default_servers(char **newval, void **extra, GucSource source);

/*
 * The server for what a path asks for ("operations.background.remove"), by
 * imgapi.default_servers: the longest key that the path begins with; NULL: none.
 */
extern char *img_default_server(const char *path);

/*
 * The server for a request of the edit contract that our executors cannot do.
 * NULL: they can, or the setting names no server for it.  Error 0A000 when it
 * names two, one that the role may not use, or one that does not do it.
 */
extern char *img_route(Jsonb *operations, Jsonb *output, Oid role);

#endif							/* IMGAPI_ROUTE_H */
