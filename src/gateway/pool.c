/*
 * pool.c
 *	  Connections to the database: one for each thread that serves.
 *
 * Runs in all threads of imgapi-gateway.  A thread runs one statement at a time
 * and has its answer before it turns to its next client, so nobody waits for a
 * connection and a client that reads slowly holds none. No answer is waited for
 * longer than the limit, whatever the server or the network does. Nothing here
 * is shared between threads but the configuration.
 */
#include "gateway/pool.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/http.h"

#define MAX_STATEMENTS	8

/* A database that is away is asked again after so many milliseconds. */
#define RETRY_AFTER		500

static char *conninfo;
static int	limit;

typedef struct Session
{
	PGconn	   *connection;		/* NULL: none */
	char	   *schema;			/* of the extension, quoted */
	const PoolStatement *prepared[MAX_STATEMENTS];
	int			nprepared;
	long long	retry_at;
	bool		away;			/* as was logged last */
} Session;

static pthread_key_t session_key;
static pthread_once_t session_once = PTHREAD_ONCE_INIT;

static void
disconnect(Session *session)
{
	PQfinish(session->connection);
	free(session->schema);
	session->connection = NULL;
	session->schema = NULL;
	session->nprepared = 0;
}

static void
end_session(void *arg)
{
	disconnect(arg);
	free(arg);
}

static void
make_key(void)
{
	pthread_key_create(&session_key, end_session);
}

static Session *
this_session(void)
{
	Session    *session = pthread_getspecific(session_key);

	if (session == NULL)
	{
		session = calloc(1, sizeof(Session));
		if (session != NULL)
			pthread_setspecific(session_key, session);
	}
	return session;
}

void
pool_configure(const char *info, int milliseconds)
{
	conninfo = strdup(info);
	limit = milliseconds;
	pthread_once(&session_once, make_key);
}

/* --------------------------------------------------------------- waiting --- */

static long long
milliseconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Until the socket can be read or written; false: too late. */
static bool
wait_for(PGconn *connection, short events, long long deadline)
{
	struct pollfd fd = {.fd = PQsocket(connection), .events = events};
	int			ready;

	do
	{
		long long	left = deadline - milliseconds_now();

		if (left <= 0 || fd.fd < 0)
			return false;
		ready = poll(&fd, 1, (int) left);
	} while (ready < 0 && errno == EINTR);
	return ready > 0;
}

/* The last result of what has been sent; NULL: the connection is of no use. */
static PGresult *
receive(PGconn *connection, long long deadline)
{
	PGresult   *last = NULL;
	PGresult   *next;

	while (PQflush(connection) > 0)
		if (!wait_for(connection, POLLIN | POLLOUT, deadline) || !PQconsumeInput(connection))
			return NULL;
	for (;;)
	{
		while (PQisBusy(connection))
			if (!wait_for(connection, POLLIN, deadline) || !PQconsumeInput(connection))
			{
				PQclear(last);
				return NULL;
			}
		next = PQgetResult(connection);
		if (next == NULL)
			break;
		PQclear(last);
		last = next;
	}
	if (last != NULL && PQstatus(connection) == CONNECTION_BAD)
	{
		PQclear(last);
		return NULL;
	}
	return last;
}

/* ------------------------------------------------------------ connecting --- */

static bool
begin_connection(Session *session, long long deadline)
{
	const char *keywords[] = {"dbname", "fallback_application_name", "client_encoding", NULL};
	const char *values[] = {conninfo, "imgapi-gateway", "UTF8", NULL};
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;

	session->connection = PQconnectStartParams(keywords, values, 1);
	if (session->connection == NULL || PQstatus(session->connection) == CONNECTION_BAD)
		return false;
	while (state != PGRES_POLLING_OK)
	{
		if (state == PGRES_POLLING_FAILED ||
			!wait_for(session->connection, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline))
			return false;
		state = PQconnectPoll(session->connection);
	}
	return PQsetnonblocking(session->connection, 1) == 0;
}

/* Where the extension is; with it a limit for the server too. */
static bool
find_extension(Session *session, long long deadline)
{
	char		text[400];
	PGresult   *result;

	snprintf(text, sizeof(text),
			 "SELECT pg_catalog.set_config('statement_timeout', '%d', false), pg_catalog.quote_ident(n.nspname)"
			 " FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
			 " WHERE e.extname = 'imgapi'", limit);
	if (!PQsendQuery(session->connection, text))
		return false;
	result = receive(session->connection, deadline);
	if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
		session->schema = strdup(PQgetvalue(result, 0, 1));
	PQclear(result);
	return session->schema != NULL;
}

static void
report_away(Session *session)
{
	const char *why = PQerrorMessage(session->connection);

	if (!session->away)
		http_log("the database is away: %s", *why != '\0' ? why :
				 PQstatus(session->connection) == CONNECTION_OK ? "no answer, or it lacks the extension: CREATE EXTENSION imgapi;" : "no answer in time");
	session->away = true;
	session->retry_at = milliseconds_now() + RETRY_AFTER;
	disconnect(session);
}

static bool
connect_session(Session *session)
{
	long long	deadline = milliseconds_now() + limit;

	if (session->connection != NULL)
		return true;
	if (milliseconds_now() < session->retry_at)
		return false;
	if (!begin_connection(session, deadline) || !find_extension(session, deadline))
	{
		report_away(session);
		return false;
	}
	if (session->away)
		http_log("the database is back");
	session->away = false;
	return true;
}

/* --------------------------------------------------------------- running --- */

static char *
with_schema(const char *text, const char *schema)
{
	const char *mark = strstr(text, "$S");
	char	   *made = NULL;

	if (mark == NULL)
		return strdup(text);
	if (asprintf(&made, "%.*s%s%s", (int) (mark - text), text, schema, mark + 2) < 0)
		return NULL;
	return made;
}

/* NULL: prepared; else what went wrong, in *broken whether the connection did. */
static PGresult *
prepare(Session *session, const PoolStatement *statement, long long deadline, bool *broken)
{
	PGresult   *result;
	char	   *text;

	*broken = false;
	for (int i = 0; i < session->nprepared; i++)
		if (session->prepared[i] == statement)
			return NULL;
	text = with_schema(statement->text, session->schema);
	*broken = text == NULL || session->nprepared == MAX_STATEMENTS ||
		!PQsendPrepare(session->connection, statement->name, text, 0, NULL);
	free(text);
	if (*broken)
		return NULL;
	result = receive(session->connection, deadline);
	*broken = result == NULL;
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		return result;
	PQclear(result);
	session->prepared[session->nprepared++] = statement;
	return NULL;
}

/* The answer; NULL: the connection broke. */
static PGresult *
attempt(Session *session, const PoolStatement *statement, const char *const *values,
		const int *lengths, const int *formats)
{
	long long	deadline = milliseconds_now() + limit;
	bool		broken;
	PGresult   *result = prepare(session, statement, deadline, &broken);

	if (broken || result != NULL)
		return result;
	if (!PQsendQueryPrepared(session->connection, statement->name, statement->parameters,
							 values, lengths, formats, 1))
		return NULL;
	return receive(session->connection, deadline);
}

/*
 * Whether a refusal comes from the server's state rather than from the
 * request: it shuts down, is overloaded, or the extension has been replaced
 * under our feet.  The connection is then made anew.
 */
static bool
server_is_gone(const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	return state == NULL || strncmp(state, "57P", 3) == 0 || strncmp(state, "08", 2) == 0 ||
		strncmp(state, "3F", 2) == 0 || strcmp(state, "42883") == 0 || strcmp(state, "26000") == 0;
}

PoolOutcome
pool_run(const PoolStatement *statement, const char *const *values,
		 const int *lengths, const int *formats, PGresult **result)
{
	Session    *session = this_session();

	*result = NULL;
	if (session == NULL)
		return POOL_AWAY;

	/* A connection that has been idle may have died long ago: try another. */
	for (int tries = 0; tries < 2; tries++)
	{
		long long	began = milliseconds_now();

		if (!connect_session(session))
			return POOL_AWAY;
		*result = attempt(session, statement, values, lengths, formats);
		if (PQresultStatus(*result) == PGRES_TUPLES_OK)
			return POOL_ROWS;
		if (*result != NULL && !server_is_gone(*result))
			return POOL_REFUSED;
		PQclear(*result);
		*result = NULL;
		if (tries == 0 && milliseconds_now() - began < limit)
			disconnect(session);
		else
			break;
	}
	report_away(session);
	return POOL_AWAY;
}

int
pool_int(const PGresult *result, int column)
{
	uint32_t	bits;

	memcpy(&bits, PQgetvalue(result, 0, column), sizeof(bits));
	return (int) be32toh(bits);
}

long long
pool_bigint(const PGresult *result, int column)
{
	uint64_t	bits;

	memcpy(&bits, PQgetvalue(result, 0, column), sizeof(bits));
	return (long long) be64toh(bits);
}
