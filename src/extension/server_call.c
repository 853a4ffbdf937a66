/*
 * server_call.c
 *	  img_server_call() and img_estimate(): a call to the API of a server, right
 *	  now.
 *
 * Runs in client backends.  The request is sent by the session's own fetcher
 * (fetch_now.c), and while it is under way nothing of ours is locked.  The right
 * to use the server is that of the caller; the key is added here, and no
 * message shows it.  What answers mean is said in SQL
 * (sql/install/46-server_calls.sql).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "extension/compile.h"
#include "extension/fetch_now.h"
#include "extension/home.h"
#include "extension/queue.h"
#include "extension/remote_job.h"
#include "extension/route.h"
#include "extension/server_call.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(img_server_call);
PG_FUNCTION_INFO_V1(img_estimate);

/* What an API may answer. */
#define MAX_ANSWER		(16 * 1024 * 1024)
#define MAX_PATH		2000
/* Time for what can be done without. */
#define TRY_MS			10000

static ImgStatement read_answer = {
	"SELECT $S.img_server_answer($1, $2, $3, $4, $5)", 5, {TEXTOID, TEXTOID, INT4OID, TEXTOID, BYTEAOID}
};
static ImgStatement ask_cost = {
	"SELECT e.path, e.body FROM $S.img_cost_request($1, $2, $3, $4) e", 4, {TEXTOID, JSONBOID, INT4OID, INT4OID}
};
static ImgStatement read_cost = {
	"SELECT c.credits, c.seconds FROM $S.img_cost_read($1, $2) c", 2, {TEXTOID, JSONBOID}
};

/* As the extension's owner; SPI must be connected. */
static void
execute(const ImgHome *home, ImgStatement *statement, Datum *values, const char *nulls)
{
	MemoryContext context = CurrentMemoryContext;
	ImgIdentity before;

	img_become(home->owner, false, &before);
	img_execute(statement, values, nulls);
	img_resume(&before);
	MemoryContextSwitchTo(context);
}

/* A column of the only row as jsonb; NULL where that is. */
static Jsonb *
jsonb_column(int number)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, number, &isnull);

	return isnull ? NULL : DatumGetJsonbPCopy(value);
}

static Jsonb *
judge(const ImgHome *home, const ImgServer *server, const ImgFetchStatus *status, bytea *body)
{
	Datum		values[] = {
		CStringGetTextDatum(server->name), CStringGetTextDatum(server->type->name), Int32GetDatum(status->status),
		status->request_id ? CStringGetTextDatum(status->request_id) : (Datum) 0, PointerGetDatum(body)
	};
	MemoryContext caller = CurrentMemoryContext;
	Jsonb	   *answer;

	SPI_connect();
	execute(home, &read_answer, values, status->request_id ? NULL : "   n ");
	MemoryContextSwitchTo(caller);
	answer = jsonb_column(1);
	SPI_finish();
	return answer;
}

Jsonb *
img_server_ask(const ImgHome *home, const ImgServer *server, const char *method, const char *path, Jsonb *body)
{
	ImgHttpRequest request;
	ImgFetchStatus status;
	bytea	   *answer;

	img_api_request(server, method, path, &request);
	if (body != NULL)
	{
		char	   *text = JsonbToCString(NULL, &body->root, VARSIZE(body));

		request.headers = lappend(request.headers, pstrdup("Content-Type: application/json"));
		request.body = pg_server_to_any(text, strlen(text), PG_UTF8);
		request.body_length = strlen(request.body);
		if (request.body_length > IMG_FETCH_INLINE)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("body has %zu bytes, more than the %d that are sent to a server", request.body_length, IMG_FETCH_INLINE)));
	}
	answer = img_fetch_any(&request, server, MAX_ANSWER, &status);
	if (answer == NULL)
		ereport(ERROR,
				(errcode(status.failure.sqlstate),
				 errmsg("server \"%s\" did not answer: %s", server->name, status.failure.message),
				 status.failure.hint ? errhint("%s", status.failure.hint) : 0));
	return judge(home, server, &status, answer);
}

bytea *
img_server_try(const ImgServer *server, const char *path)
{
	ImgHttpRequest request;
	ImgFetchStatus status;
	bytea	   *answer;

	img_api_request(server, "GET", path, &request);
	request.timeout = Min(request.timeout, TRY_MS);
	answer = img_fetch_any(&request, server, MAX_ANSWER, &status);
	return status.status >= 200 && status.status < 300 ? answer : NULL;
}

/* ------------------------------------------------------ img_server_call() --- */

static const char *
method_argument(const char *given)
{
	static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

	for (int i = 0; i < lengthof(methods); i++)
		if (pg_strcasecmp(methods[i], given) == 0)
			return methods[i];
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("method is none that can be sent"),
			 errdetail("Given: \"%.20s\". Allowed: GET, POST, PUT, PATCH, DELETE.", given),
			 errhint("SELECT img_server_call('claid', 'GET', '/v1/storage/storages');")));
}

/* Whether one of its parts is "." or "..". */
static bool
climbs(const char *path)
{
	for (const char *part = path; *part == '/'; part += strcspn(part, "/?"))
	{
		size_t		length = strcspn(++part, "/?");

		if (length > 0 && length <= 2 && strspn(part, ".") == length)
			return true;
	}
	return false;
}

/* It is appended to the address, and must not lead out of it. */
static void
check_path(const char *path)
{
	bool		good = path[0] == '/' && strlen(path) < MAX_PATH && !climbs(path);

	for (const char *c = path; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f || *c == '#' || *c == '\\')
			good = false;
	if (good)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("path is none below the address of a server"),
			 errdetail("Given: \"%.100s\". Allowed: \"/\" and up to %d printable ASCII characters without \"#\", \"\\\", and \"..\" as a part.",
					   path, MAX_PATH - 1),
			 errhint("Write other characters percent-encoded: a blank is %%20.")));
}

static const ImgServer *
api_argument(const char *name)
{
	const ImgServer *server = img_server_get(name, GetUserId());

	if (server->type->authorization == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("server \"%s\" has no API to call: it is of type %s", name, server->type->name),
				 errhint("SELECT name FROM img_server WHERE type IN ('claid', 'topaz', 'nhn') AND usable;")));
	return server;
}

static void
refuse_null(FunctionCallInfo fcinfo, int count, const char *const *names)
{
	for (int i = 0; i < count; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must not be null", names[i])));
}

Datum
img_server_call(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"server", "method", "path"};
	const ImgHome *home;
	const char *method;
	char	   *path;
	Jsonb	   *body = PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3);
	Jsonb	   *answer;

	home = img_home_of_function(fcinfo->flinfo->fn_oid);
	refuse_null(fcinfo, lengthof(names), names);
	method = method_argument(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	path = text_to_cstring(PG_GETARG_TEXT_PP(2));
	check_path(path);
	if (body != NULL && (method[0] == 'G' || method[0] == 'D'))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s has no body", method),
				 errhint("Write what it takes into the path, as in '/status?limit=10'.")));
	answer = img_server_ask(home, api_argument(NameStr(*PG_GETARG_NAME(0))), method, path, body);
	if (answer == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(answer);
}

/* --------------------------------------------------------- img_estimate() --- */

/* What the API is asked. */
static void
make_cost_request(const ImgHome *home, const char *server_type, Jsonb *request, int width, int height, char **path, Jsonb **body)
{
	Datum		values[] = {
		CStringGetTextDatum(server_type), JsonbPGetDatum(request), Int32GetDatum(width), Int32GetDatum(height)
	};
	MemoryContext caller = CurrentMemoryContext;

	SPI_connect();
	execute(home, &ask_cost, values, NULL);
	MemoryContextSwitchTo(caller);
	*path = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	*body = jsonb_column(2);
	SPI_finish();
}

static Datum
cost(FunctionCallInfo fcinfo, const ImgHome *home, const char *server_name, Jsonb *answer)
{
	Datum		asked[] = {CStringGetTextDatum(server_name), answer ? JsonbPGetDatum(answer) : (Datum) 0};
	MemoryContext caller = CurrentMemoryContext;
	TupleDesc	shape;
	Datum		values[2];
	bool		nulls[2];
	HeapTuple	result;

	if (get_call_result_type(fcinfo, NULL, &shape) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "img_estimate() must return a row");
	SPI_connect();
	execute(home, &read_cost, asked, answer ? NULL : " n");
	for (int i = 0; i < 2; i++)
		values[i] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &nulls[i]);
	MemoryContextSwitchTo(caller);
	result = heap_form_tuple(BlessTupleDesc(shape), values, nulls);
	SPI_finish();
	return HeapTupleGetDatum(result);
}

/* A job that our executors do costs nothing. */
static Datum
no_cost(FunctionCallInfo fcinfo)
{
	TupleDesc	shape;
	Datum		values[] = {Int32GetDatum(0), (Datum) 0};
	bool		nulls[] = {false, true};

	if (get_call_result_type(fcinfo, NULL, &shape) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "img_estimate() must return a row");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(shape), values, nulls));
}

Datum
img_estimate(PG_FUNCTION_ARGS)
{
	enum
	{
		WIDTH, HEIGHT, OPERATIONS, OUTPUT, SERVER
	};
	static const char *const names[] = {"width", "height"};
	Jsonb	   *operations = PG_ARGISNULL(OPERATIONS) ? NULL : PG_GETARG_JSONB_P(OPERATIONS);
	Jsonb	   *output = PG_ARGISNULL(OUTPUT) ? NULL : PG_GETARG_JSONB_P(OUTPUT);
	const ImgHome *home;
	const char *name;
	const ImgServer *server;
	char	   *path;
	Jsonb	   *body;

	home = img_home_of_function(fcinfo->flinfo->fn_oid);
	refuse_null(fcinfo, lengthof(names), names);
	name = PG_ARGISNULL(SERVER) ? img_route(operations, output, GetUserId()) : NameStr(*PG_GETARG_NAME(SERVER));
	if (name == NULL)
	{
		(void) img_compile_cached(operations, output, NULL);
		return no_cost(fcinfo);
	}
	server = img_remote_job_server(name, GetUserId());
	(void) img_compile_cached(operations, output, server->type->name);
	make_cost_request(home, server->type->name, img_request_document(operations, output),
					  PG_GETARG_INT32(WIDTH), PG_GETARG_INT32(HEIGHT), &path, &body);
	return cost(fcinfo, home, server->name, img_server_ask(home, server, "POST", path, body));
}
