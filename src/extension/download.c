/*
 * download.c
 *	  img_download() and its like, which make links, and img_link_open(), which
 *	  the gateway calls.
 *
 * Runs in client backends.  The work is SQL's, in sql/install/45-links.sql;
 * it runs as the owner of the extension, because neither users nor the gateway
 * may read the keys, and is told who asks.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/tstoreReceiver.h"
#include "extension/home.h"
#include "extension/queue.h"
#include "extension/remote_job.h"
#include "extension/server_call.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

/* What a gateway may ask for at a time. */
#define MAX_PART	(16 * 1024 * 1024)

PG_FUNCTION_INFO_V1(img_download);
PG_FUNCTION_INFO_V1(img_download_input);
PG_FUNCTION_INFO_V1(img_downloads);
PG_FUNCTION_INFO_V1(img_link_open);

/* Columns of img_links_as(). */
enum
{
	PROCESS_ID, DOWNLOAD_URL, HEAD_URL, EXPIRY, ERROR_CODE, ERROR_MESSAGE, ERROR_DETAIL, ERROR_HINT, LINK_COLUMNS
};

/* Arguments of img_link_open(). */
enum
{
	METHOD, OBJECT, NAME, LINK_EXPIRY, KEY, PROOF, FIRST, LENGTH, VERSION, OPEN_ARGUMENTS
};

static ImgStatement make_links = {
	"SELECT * FROM $S.img_links_as($1, $2, $3)", 3, {UUIDARRAYOID, TEXTOID, REGROLEOID}
};

static ImgStatement find_provider = {
	"SELECT p.server, p.path FROM $S.img_provider($1, $2, $3) p", 3, {UUIDOID, TEXTOID, REGROLEOID}
};

static ImgStatement provider_links = {
	"SELECT p.download_url, p.head_url, p.expiry FROM $S.img_provider_links($1, $2, $3) p", 3, {UUIDOID, TEXTOID, BYTEAOID}
};

static ImgStatement make_many_links = {
	"SELECT l.process_id, l.download_url, l.head_url, l.expiry, l.error_code, l.error FROM $S.img_links_as($1, $2, $3) l",
	3, {UUIDARRAYOID, TEXTOID, REGROLEOID}
};

static ImgStatement open_link = {
	"SELECT $S.img_open_link($1, $2, $3, $4, $5, $6, $7, $8, $9)",
	9, {TEXTOID, UUIDOID, TEXTOID, INT8OID, INT4OID, BYTEAOID, INT8OID, INT4OID, BYTEAOID}
};

static char *
column(int number)
{
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, number + 1);
}

static void
report_refusal(void)
{
	char	   *code = column(ERROR_CODE);
	char	   *detail = column(ERROR_DETAIL);
	char	   *hint = column(ERROR_HINT);

	if (code == NULL)
		return;
	ereport(ERROR,
			(errcode(MAKE_SQLSTATE(code[0], code[1], code[2], code[3], code[4])),
			 errmsg_internal("%s", column(ERROR_MESSAGE)),
			 detail != NULL ? errdetail_internal("%s", detail) : 0,
			 hint != NULL ? errhint("%s", hint) : 0));
}

static void
execute(const ImgHome *home, ImgStatement *statement, Datum *values, const char *nulls)
{
	ImgIdentity before;

	img_become(home->owner, false, &before);
	img_execute(statement, values, nulls);
	img_resume(&before);
}

/* The links in three columns of the only row, the first of which is that one. */
static HeapTuple
copy_links(TupleDesc shape, int first)
{
	Datum		values[3];
	bool		nulls[3];

	for (int i = 0; i < 3; i++)
		values[i] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, first + i, &nulls[i]);
	return SPI_copytuple(heap_form_tuple(shape, values, nulls));
}

/* What the server with the picture of a job answers when it is asked for a link;
 * NULL: nothing, or that was not asked.  False: there is no such server. */
static bool
ask_provider(const ImgHome *home, Datum job, const char *role, bytea **answer)
{
	Datum		values[] = {job, CStringGetTextDatum(role), ObjectIdGetDatum(GetUserId())};
	MemoryContext caller = CurrentMemoryContext;
	char	   *server = NULL;
	char	   *path = NULL;
	char	   *line;

	SPI_connect();
	execute(home, &find_provider, values, NULL);
	MemoryContextSwitchTo(caller);
	if (SPI_processed > 0)
	{
		server = column(0);
		path = column(1);
	}
	SPI_finish();
	*answer = NULL;
	if (server != NULL && path != NULL && img_server_problem(server, GetUserId(), &line) == NULL)
		*answer = img_server_try(img_remote_job_server(server, GetUserId()), path);
	return server != NULL;
}

/* NULL: the server has none, or not any more. */
static HeapTuple
links_of_provider(const ImgHome *home, Datum job, const char *role, TupleDesc shape)
{
	bytea	   *answer;
	HeapTuple	links = NULL;
	Datum		values[] = {job, CStringGetTextDatum(role), (Datum) 0};

	if (!ask_provider(home, job, role, &answer))
		return NULL;
	values[2] = PointerGetDatum(answer);
	SPI_connect();
	execute(home, &provider_links, values, answer ? NULL : "  n");
	if (column(0) != NULL)
		links = copy_links(shape, 1);
	SPI_finish();
	return links;
}

static Datum
download(FunctionCallInfo fcinfo, const char *role, const char *what)
{
	Datum		job = PG_GETARG_DATUM(0);
	Datum		jobs = img_array(&job, NULL, 1, UUIDOID);
	Datum		arguments[] = {jobs, CStringGetTextDatum(role), ObjectIdGetDatum(GetUserId())};
	const ImgHome *home = img_home_of_function(fcinfo->flinfo->fn_oid);
	TupleDesc	shape;
	HeapTuple	links;

	img_require_writable(what);
	if (get_call_result_type(fcinfo, NULL, &shape) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "%s must return a row", what);
	links = links_of_provider(home, job, role, shape);
	if (links != NULL)
		PG_RETURN_DATUM(HeapTupleGetDatum(links));
	SPI_connect();
	execute(home, &make_links, arguments, NULL);
	if (SPI_processed != 1)
		elog(ERROR, "no key to sign links with");
	report_refusal();
	links = copy_links(shape, DOWNLOAD_URL + 1);
	SPI_finish();
	PG_RETURN_DATUM(HeapTupleGetDatum(links));
}

Datum
img_download(PG_FUNCTION_ARGS)
{
	return download(fcinfo, "output", "img_download()");
}

Datum
img_download_input(PG_FUNCTION_ARGS)
{
	return download(fcinfo, "input", "img_download_input()");
}

/* A role of img_object. */
static void
check_role(const char *role)
{
	if (strcmp(role, "output") != 0 && strcmp(role, "input") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("role \"%s\" is none of a picture", role),
				 errdetail("Allowed: output, input."),
				 errhint("SELECT * FROM img_downloads(ARRAY[job], 'input');")));
}

static ParamListInfo
make_parameters(const ImgStatement *statement, const Datum *values)
{
	ParamListInfo list = makeParamList(statement->nargs);

	for (int i = 0; i < statement->nargs; i++)
	{
		list->params[i].value = values[i];
		list->params[i].isnull = false;
		list->params[i].pflags = PARAM_FLAG_CONST;
		list->params[i].ptype = statement->types[i];
	}
	return list;
}

/* There may be many, so rows go straight to the result. */
Datum
img_downloads(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		arguments[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), ObjectIdGetDatum(GetUserId())};
	const ImgHome *home = img_home_of_function(fcinfo->flinfo->fn_oid);
	DestReceiver *destination;
	ImgIdentity before;

	img_require_writable("img_downloads()");
	check_role(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	InitMaterializedSRF(fcinfo, 0);
	destination = CreateTuplestoreDestReceiver();
	SetTuplestoreDestReceiverParams(destination, result->setResult,
									result->econtext->ecxt_per_query_memory, false, NULL, NULL);

	SPI_connect();
	img_become(home->owner, false, &before);
	img_execute_into(&make_many_links, make_parameters(&make_many_links, arguments), destination);
	img_resume(&before);
	SPI_finish();
	destination->rDestroy(destination);
	return (Datum) 0;
}

static void
check_part(FunctionCallInfo fcinfo)
{
	for (int i = METHOD; i < VERSION; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("only version may be null")));
	if (PG_GETARG_INT64(FIRST) < 0 || PG_GETARG_INT64(FIRST) >= PG_INT32_MAX ||
		PG_GETARG_INT32(LENGTH) < 0 || PG_GETARG_INT32(LENGTH) > MAX_PART)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no picture has such a part"),
				 errdetail("Given: %d bytes from " INT64_FORMAT " on. Allowed: up to %d bytes, from below %d on.",
						   PG_GETARG_INT32(LENGTH), PG_GETARG_INT64(FIRST), MAX_PART, PG_INT32_MAX)));
}

Datum
img_link_open(PG_FUNCTION_ARGS)
{
	const ImgHome *home = img_home_of_function(fcinfo->flinfo->fn_oid);
	Datum		values[OPEN_ARGUMENTS];
	char		nulls[OPEN_ARGUMENTS];
	ImgIdentity before;
	HeapTupleHeader answer;
	bool		isnull;

	check_part(fcinfo);
	for (int i = 0; i < OPEN_ARGUMENTS; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	SPI_connect();
	img_become(home->owner, false, &before);
	img_execute(&open_link, values, nulls);
	img_resume(&before);
	answer = (HeapTupleHeader) DatumGetPointer(SPI_datumTransfer(
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull), false, -1));
	SPI_finish();
	PG_RETURN_HEAPTUPLEHEADER(answer);
}
