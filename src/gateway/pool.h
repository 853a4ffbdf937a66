/*
 * pool.h
 *	  Connections to the database.
 */
#ifndef IMGAPI_GATEWAY_POOL_H
#define IMGAPI_GATEWAY_POOL_H

#include <libpq-fe.h>

/* A statement that is prepared on every connection that runs it.  $S stands for
 * the schema of the extension.  Keep them static. */
typedef struct PoolStatement
{
	const char *name;
	const char *text;
	int			parameters;
} PoolStatement;

typedef enum PoolOutcome
{
	POOL_ROWS,
	POOL_REFUSED,				/* by the database; the result has the SQLSTATE */
	POOL_AWAY					/* no database, or no answer in time */
} PoolOutcome;

/* What to connect to, and how long an answer may take. */
extern void pool_configure(const char *conninfo, int milliseconds);

/*
 * Runs a statement that may be run again on the connection of the calling
 * thread, which is made when it is missing: should that break, it is.  Results are binary.  *result is the
 * caller's, NULL with POOL_AWAY.
 */
extern PoolOutcome pool_run(const PoolStatement *statement, const char *const *values,
							const int *lengths, const int *formats, PGresult **result);

/* Columns of a binary result. */
extern int	pool_int(const PGresult *result, int column);
extern long long pool_bigint(const PGresult *result, int column);

#endif							/* IMGAPI_GATEWAY_POOL_H */
