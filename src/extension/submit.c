/*
 * submit.c
 *	  img_submit(), img_submit_operation(), img_cancel(), img_retry() and
 *	  img_delete_async(): the calls
 *	  that write to the queue.
 *
 * Runs in client backends.  The request is validated with the caller's rights;
 * the rows are written as the extension's owner, because users have no rights
 * on its tables.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "extension/callback.h"
#include "extension/compile.h"
#include "extension/file_tree.h"
#include "extension/home.h"
#include "extension/imgapi.h"
#include "extension/operation.h"
#include "extension/remote.h"
#include "extension/remote_job.h"
#include "extension/queue.h"
#include "extension/route.h"
#include "extension/settings.h"
#include "extension/shared.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(img_submit);
PG_FUNCTION_INFO_V1(img_submit_text);
PG_FUNCTION_INFO_V1(img_submit_operation);
PG_FUNCTION_INFO_V1(img_submit_operation_text);
PG_FUNCTION_INFO_V1(img_submit_operation_beside);
PG_FUNCTION_INFO_V1(img_cancel);
PG_FUNCTION_INFO_V1(img_retry);
PG_FUNCTION_INFO_V1(img_delete_async);
PG_FUNCTION_INFO_V1(img_start_worker);

/* Positions of the arguments of img_submit(); from SERVER on
 * img_submit_operation() has the same, counted from OPERATION_SERVER. */
enum
{
	INPUT, OPERATIONS, OUTPUT, SERVER, PRIORITY, RUN_AFTER, MAX_ATTEMPTS, CALLBACK_URL, JOB_KEY
};
enum
{
	OPERATION_ID = 1, OPERATION_SERVER
};

/* What is asked for, whichever function was called. */
typedef struct Submission
{
	const char *function;
	const char *kind;			/* img_job_kind */
	Jsonb	   *request;
	int			first;			/* position of server among the arguments */
	char	   *input;			/* URL or storage URI; NULL: the bytes are given */
	char	   *server;			/* that does it; NULL: the database */
	char	   *callback_url;	/* NULL: nobody is told */
	char	   *folder;			/* of the file tree, for the results; NULL: none */
} Submission;
#define ARGUMENT(submission, which) ((submission)->first + (which) - SERVER)

static ImgStatement insert_job = {
	"INSERT INTO $S.img_job_live (id, created_at, run_after, owner, kind, priority, max_attempts, request, retention, server, callback_url) "
	"VALUES ($1, $2, $3, $4, 'edit', $5, $6, $7, $8, $9, $10)",
	10, {UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, REGROLEOID, INT4OID, INT2OID, JSONBOID, INTERVALOID, TEXTOID, TEXTOID}
};

static ImgStatement insert_operation_job = {
	"INSERT INTO $S.img_job_live (id, created_at, run_after, owner, kind, priority, max_attempts, request, retention, server, callback_url) "
	"VALUES ($1, $2, $3, $4, 'operation', $5, $6, $7, $8, $9, $10)",
	10, {UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, REGROLEOID, INT4OID, INT2OID, JSONBOID, INTERVALOID, TEXTOID, TEXTOID}
};

static ImgStatement insert_input = {
	"INSERT INTO $S.img_object (id, job_id, owner, role, storage, path, bytes, sha256, data, stored_at, expires_at) "
	"VALUES ($1, $2, $3, 'input', 'database', $1::pg_catalog.text, $4, pg_catalog.sha256($5), $5, $6, $7)",
	7, {UUIDOID, UUIDOID, REGROLEOID, INT8OID, BYTEAOID, TIMESTAMPTZOID, TIMESTAMPTZOID}
};

/* Named by a text: the worker gets it. */
static ImgStatement insert_named = {
	"INSERT INTO $S.img_job_live (id, created_at, run_after, owner, kind, priority, max_attempts, request, retention, input, server, callback_url) "
	"VALUES ($1, $2, $3, $4, $10::$S.img_job_kind, $5, $6, $7, $8, $9, $11, $12)",
	12, {UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, REGROLEOID, INT4OID, INT2OID, JSONBOID, INTERVALOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
};

static ImgStatement insert_keyed = {
	"SELECT $S.img_submit_keyed(ROW($1, pg_catalog.nextval('$S.img_task_id'), $2, $3, NULL, NULL, $11, $4, $10::$S.img_job_kind, "
	"$5, 0, $6, $13, $7, $14, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, $8, $12)::$S.img_job_live, $9)",
	14, {UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, REGROLEOID, INT4OID, INT2OID, TEXTOID, JSONBOID, BYTEAOID, TEXTOID, INTERVALOID, TEXTOID, TEXTOID, TEXTOID}
};

Jsonb *
img_request_document(Jsonb *operations, Jsonb *output)
{
	JsonbParseState *state = NULL;
	JsonbValue	key;
	JsonbValue	value;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	key.type = jbvString;
	value.type = jbvBinary;
	key.val.string.val = "operations";
	key.val.string.len = strlen(key.val.string.val);
	pushJsonbValue(&state, WJB_KEY, &key);
	if (operations != NULL && JB_ROOT_IS_OBJECT(operations))
	{
		value.val.binary.data = &operations->root;
		value.val.binary.len = VARSIZE(operations) - VARHDRSZ;
		pushJsonbValue(&state, WJB_VALUE, &value);
	}
	else
	{
		pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
		pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	}
	if (output != NULL)
	{
		key.val.string.val = "output";
		key.val.string.len = strlen(key.val.string.val);
		pushJsonbValue(&state, WJB_KEY, &key);
		if (JB_ROOT_IS_SCALAR(output))
			JsonbExtractScalar(&output->root, &value);
		else
		{
			value.val.binary.data = &output->root;
			value.val.binary.len = VARSIZE(output) - VARHDRSZ;
		}
		pushJsonbValue(&state, WJB_VALUE, &value);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

void
img_require_writable(const char *what)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot %s during recovery", what),
				 errhint("Submit to the primary server.")));
	PreventCommandIfReadOnly(what);
}

void
img_warn_without_worker(void)
{
	static bool warned = false;

	if (img_shared != NULL || warned)
		return;
	warned = true;
	ereport(WARNING,
			(errmsg("jobs will wait: imgapi is not in shared_preload_libraries, so this server has no worker"),
			 errhint("Add it and restart: ALTER SYSTEM SET shared_preload_libraries = 'imgapi';")));
}

static int
int_argument(FunctionCallInfo fcinfo, int position, const char *name, int initial, int min, int max)
{
	int			value;

	if (PG_ARGISNULL(position))
		return initial;
	value = PG_GETARG_INT32(position);
	if (value < min || value > max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is out of range", name),
				 errdetail("Given: %d. Allowed: %d to %d.", value, min, max),
				 errhint("Leave %s out for %d.", name, initial)));
	return value;
}

static void
take_callback_url(FunctionCallInfo fcinfo, Submission *submission)
{
	int			argument = ARGUMENT(submission, CALLBACK_URL);

	if (PG_ARGISNULL(argument))
		return;
	submission->callback_url = text_to_cstring(PG_GETARG_TEXT_PP(argument));
	img_check_callback_url(submission->callback_url);
}

static void
refuse_null(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("input must not be null"),
			 errhint("Give the picture: SELECT img_submit(data, '{\"resizing\": {\"width\": 256, \"fit\": \"bounds\"}}') FROM photo WHERE data IS NOT NULL;")));
}

static Datum
check_picture(FunctionCallInfo fcinfo)
{
	Datum		picture;

	if (PG_ARGISNULL(INPUT))
		refuse_null();
	picture = PG_GETARG_DATUM(INPUT);
	img_check_source_bytes(toast_raw_datum_size(picture) - VARHDRSZ);
	if (toast_raw_datum_size(picture) == VARHDRSZ)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("the picture is empty"),
				 errdetail("It has 0 bytes.")));
	return PointerGetDatum(PG_DETOAST_DATUM_PACKED(picture));
}

static char *
check_text(FunctionCallInfo fcinfo)
{
	char	   *input;

	if (PG_ARGISNULL(INPUT))
		refuse_null();
	input = text_to_cstring(PG_GETARG_TEXT_PP(INPUT));
	img_check_input(input, GetUserId());
	return input;
}

/* What the request names has to be there, and open to the caller. */
static void
check_servers(const ImgCompiled *request)
{
	if (request->destination != NULL)
		img_check_destination(request->destination, GetUserId());
	if (request->other != NULL && (img_is_remote(request->other) || img_is_file(request->other)))
		img_check_input(request->other, GetUserId());
}

/* The server has to be able to do it, and to get the picture. */
static void
check_server(const Submission *submission, const char *type)
{
	if (type == NULL)
		return;
	SPI_connect();
	img_remote_job_check(type, submission->request, submission->input);
	SPI_finish();
}

/* A parameter that may be missing, which its place in nulls says. */
static Datum
text_or_null(const char *text, char *null)
{
	*null = text ? ' ' : 'n';
	return text ? CStringGetTextDatum(text) : (Datum) 0;
}

/* Without a key: two plain inserts, because this is the path of the many. */
static void
insert_plain(const pg_uuid_t *id, Datum now, Datum due, Oid owner, int priority, int attempts,
			 const Submission *submission, Datum picture)
{
	pg_uuid_t	object;
	char		nulls[] = "          ";
	Datum		job_values[] = {UUIDPGetDatum(id), now, due, ObjectIdGetDatum(owner),
		Int32GetDatum(priority), Int16GetDatum(attempts), JsonbPGetDatum(submission->request),
		IntervalPGetDatum(img_job_retention()), text_or_null(submission->server, &nulls[8]),
	text_or_null(submission->callback_url, &nulls[9])};
	Datum		input_values[] = {UUIDPGetDatum(&object), UUIDPGetDatum(id), ObjectIdGetDatum(owner),
		Int64GetDatum(VARSIZE_ANY_EXHDR(DatumGetPointer(picture))), picture, now,
		TimestampTzGetDatum(img_expiry(DatumGetTimestampTz(now)))};

	img_new_uuid(&object);
	img_execute(submission->kind[0] == 'e' ? &insert_job : &insert_operation_job, job_values, nulls);
	img_execute(&insert_input, input_values, NULL);
}

static void
insert_by_name(const pg_uuid_t *id, Datum now, Datum due, Oid owner, int priority, int attempts,
			   const Submission *submission)
{
	char		nulls[] = "            ";
	Datum		values[] = {UUIDPGetDatum(id), now, due, ObjectIdGetDatum(owner),
		Int32GetDatum(priority), Int16GetDatum(attempts), JsonbPGetDatum(submission->request),
		IntervalPGetDatum(img_job_retention()), CStringGetTextDatum(submission->input),
		CStringGetTextDatum(submission->kind), text_or_null(submission->server, &nulls[10]),
	text_or_null(submission->callback_url, &nulls[11])};

	img_execute(&insert_named, values, nulls);
}

/* Writes the job of a checked request; the caller's arguments say the rest. */
static Datum
submit(FunctionCallInfo fcinfo, const ImgHome *home, const Submission *submission)
{
	int			run_after = ARGUMENT(submission, RUN_AFTER);
	int			job_key = ARGUMENT(submission, JOB_KEY);
	Oid			owner = GetUserId();
	Datum		now = TimestampTzGetDatum(GetCurrentTimestamp());
	Datum		due = PG_ARGISNULL(run_after) ? now : PG_GETARG_DATUM(run_after);
	int			priority = int_argument(fcinfo, ARGUMENT(submission, PRIORITY), "priority", 0, INT_MIN, INT_MAX);
	int			attempts = int_argument(fcinfo, ARGUMENT(submission, MAX_ATTEMPTS), "max_attempts",
										imgapi_max_attempts, 1, 100);
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	Datum		picture = submission->input ? (Datum) 0 : check_picture(fcinfo);
	ImgIdentity before;

	img_new_uuid(id);
	SPI_connect();
	img_become(home->owner, false, &before);
	if (PG_ARGISNULL(job_key) && submission->input != NULL)
		insert_by_name(id, now, due, owner, priority, attempts, submission);
	else if (PG_ARGISNULL(job_key))
		insert_plain(id, now, due, owner, priority, attempts, submission, picture);
	else
	{
		char		nulls[] = "              ";
		Datum		values[] = {UUIDPGetDatum(id), now, due, ObjectIdGetDatum(owner), Int32GetDatum(priority),
			Int16GetDatum(attempts), PG_GETARG_DATUM(job_key), JsonbPGetDatum(submission->request), picture,
			CStringGetTextDatum(submission->kind), IntervalPGetDatum(img_job_retention()),
			text_or_null(submission->input, &nulls[11]), text_or_null(submission->server, &nulls[12]),
		text_or_null(submission->callback_url, &nulls[13])};
		bool		isnull;

		nulls[8] = submission->input ? 'n' : ' ';
		img_execute(&insert_keyed, values, nulls);
		*id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	}
	img_resume(&before);
	SPI_finish();

	img_wake_at_commit(DatumGetTimestampTz(due));
	img_warn_without_worker();
	PG_RETURN_UUID_P(id);
}

/* img_submit(), once it is clear what the source is. */
static Datum
submit_edit(FunctionCallInfo fcinfo, Submission *submission)
{
	const ImgHome *home = img_home_of_function(fcinfo->flinfo->fn_oid);
	Jsonb	   *operations = PG_ARGISNULL(OPERATIONS) ? NULL : PG_GETARG_JSONB_P(OPERATIONS);
	Jsonb	   *output = PG_ARGISNULL(OUTPUT) ? NULL : PG_GETARG_JSONB_P(OUTPUT);
	const char *type = NULL;

	take_callback_url(fcinfo, submission);
	submission->server = PG_ARGISNULL(SERVER) ? img_route(operations, output, GetUserId()) :
		pstrdup(NameStr(*PG_GETARG_NAME(SERVER)));
	if (submission->server != NULL)
		type = img_remote_job_server(submission->server, GetUserId())->type->name;
	check_servers(img_compile_cached(operations, output, type));
	submission->request = img_request_document(operations, output);
	check_server(submission, type);
	return submit(fcinfo, home, submission);
}

Datum
img_submit(PG_FUNCTION_ARGS)
{
	Submission	submission = {"img_submit()", "edit", NULL, SERVER};

	img_require_writable(submission.function);
	return submit_edit(fcinfo, &submission);
}

Datum
img_submit_text(PG_FUNCTION_ARGS)
{
	Submission	submission = {"img_submit()", "edit", NULL, SERVER};

	img_require_writable(submission.function);
	submission.input = check_text(fcinfo);
	return submit_edit(fcinfo, &submission);
}

static Datum
submit_operation(FunctionCallInfo fcinfo, Submission *submission)
{
	const ImgHome *home = img_home_of_function(fcinfo->flinfo->fn_oid);
	const char *type = NULL;
	ImgCompiled compiled;
	char	   *operation_id;
	Jsonb	   *data;

	take_callback_url(fcinfo, submission);
	if (PG_ARGISNULL(OPERATION_ID))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("operation_id must not be null"),
				 errhint("SELECT operation_id, description FROM img_operation;")));
	operation_id = text_to_cstring(PG_GETARG_TEXT_PP(OPERATION_ID));
	data = img_operation_data(home, operation_id, GetUserId());
	if (!PG_ARGISNULL(OPERATION_SERVER))
	{
		submission->server = pstrdup(NameStr(*PG_GETARG_NAME(OPERATION_SERVER)));
		type = img_operation_server(submission->server, GetUserId())->type->name;
	}
	img_compile_steps(data, type, &compiled);
	/* a watermark of a server is there */
	if (type == NULL)
		check_servers(&compiled);
	submission->request = img_operation_request(operation_id, data, submission->folder);
	check_server(submission, type);
	return submit(fcinfo, home, submission);
}

Datum
img_submit_operation(PG_FUNCTION_ARGS)
{
	Submission	submission = {"img_submit_operation()", "operation", NULL, OPERATION_SERVER};

	img_require_writable(submission.function);
	return submit_operation(fcinfo, &submission);
}

Datum
img_submit_operation_text(PG_FUNCTION_ARGS)
{
	Submission	submission = {"img_submit_operation()", "operation", NULL, OPERATION_SERVER};

	img_require_writable(submission.function);
	submission.input = check_text(fcinfo);
	return submit_operation(fcinfo, &submission);
}

/* The results become files beside the input, which is one. */
Datum
img_submit_operation_beside(PG_FUNCTION_ARGS)
{
	Submission	submission = {"img_operations_exec()", "operation", NULL, OPERATION_SERVER};

	img_require_writable(submission.function);
	submission.input = check_text(fcinfo);
	if (!img_is_file(submission.input))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a path of the file tree", submission.input),
				 errhint("SELECT path FROM img_file_list('/');")));
	submission.folder = img_file_folder(submission.input);
	return submit_operation(fcinfo, &submission);
}

/* img_cancel_as() does it, knowing who asks. */
Datum
img_cancel(PG_FUNCTION_ARGS)
{
	bool		cancelled = DatumGetBool(img_as_owner(fcinfo));

	if (cancelled)
		img_wake_for_cancel();
	PG_RETURN_BOOL(cancelled);
}

Datum
img_retry(PG_FUNCTION_ARGS)
{
	bool		queued = DatumGetBool(img_as_owner(fcinfo));

	if (queued)
		img_wake_at_commit(DT_NOBEGIN);
	PG_RETURN_BOOL(queued);
}

Datum
img_delete_async(PG_FUNCTION_ARGS)
{
	Datum		job = img_as_owner(fcinfo);

	img_wake_at_commit(DT_NOBEGIN);
	img_warn_without_worker();
	PG_RETURN_DATUM(job);
}

Datum
img_start_worker(PG_FUNCTION_ARGS)
{
	img_warn_without_worker();
	img_wake_at_commit(DT_NOBEGIN);
	PG_RETURN_BOOL(img_shared != NULL);
}
