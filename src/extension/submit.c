/*
 * submit.c
 *	  img_submit(), img_cancel(), img_retry(): the calls that write to the queue.
 *
 * Runs in client backends.  The request is validated with the caller's rights;
 * the rows are written as the extension's owner, because users have no rights
 * on its tables.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "extension/compile.h"
#include "extension/home.h"
#include "extension/imgapi.h"
#include "extension/queue.h"
#include "extension/settings.h"
#include "extension/shared.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(img_submit);
PG_FUNCTION_INFO_V1(img_submit_text);
PG_FUNCTION_INFO_V1(img_cancel);
PG_FUNCTION_INFO_V1(img_retry);
PG_FUNCTION_INFO_V1(img_start_worker);

/* Positions of the arguments of img_submit(). */
enum
{
	INPUT, OPERATIONS, OUTPUT, SERVER, PRIORITY, RUN_AFTER, MAX_ATTEMPTS, CALLBACK_URL, JOB_KEY
};

static ImgStatement insert_job = {
	"INSERT INTO $S.img_job_live (id, created_at, run_after, owner, kind, priority, max_attempts, request) "
	"VALUES ($1, $2, $3, $4, 'edit', $5, $6, $7)",
	7, {UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, REGROLEOID, INT4OID, INT2OID, JSONBOID}
};

static ImgStatement insert_input = {
	"INSERT INTO $S.img_object (id, job_id, owner, role, storage, path, bytes, sha256, data, stored_at, expires_at) "
	"VALUES ($1, $2, $3, 'input', 'database', $1::pg_catalog.text, $4, pg_catalog.sha256($5), $5, $6, $7)",
	7, {UUIDOID, UUIDOID, REGROLEOID, INT8OID, BYTEAOID, TIMESTAMPTZOID, TIMESTAMPTZOID}
};

static ImgStatement insert_keyed = {
	"SELECT $S.img_submit_keyed(ROW($1, pg_catalog.nextval('$S.img_task_id'), $2, $3, NULL, NULL, $4, 'edit', "
	"$5, 0, $6, NULL, $7, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, $8)::$S.img_job_live, $9)",
	9, {UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, REGROLEOID, INT4OID, INT2OID, TEXTOID, JSONBOID, BYTEAOID}
};

static ImgStatement cancel_job = {
	"SELECT $S.img_cancel_as($1, $2)", 2, {UUIDOID, REGROLEOID}
};

static ImgStatement retry_job = {
	"SELECT $S.img_retry_as($1, $2)", 2, {UUIDOID, REGROLEOID}
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
refuse_what_is_not_here(FunctionCallInfo fcinfo)
{
	if (!PG_ARGISNULL(SERVER))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("server \"%s\" cannot be used: this version of imgapi works in the database only",
						NameStr(*PG_GETARG_NAME(SERVER))),
				 errhint("Leave server out.")));
	if (!PG_ARGISNULL(CALLBACK_URL))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("callback_url cannot be used: this version of imgapi calls nobody back"),
				 errhint("Wait for the job with img_wait(job), or LISTEN img_job with imgapi.notify = on.")));
}

static Datum
check_input(FunctionCallInfo fcinfo)
{
	Datum		picture;

	if (PG_ARGISNULL(INPUT))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("input must not be null"),
				 errhint("Give the picture: SELECT img_submit(data, '{\"resizing\": {\"width\": 256, \"fit\": \"bounds\"}}') FROM photo WHERE data IS NOT NULL;")));
	picture = PG_GETARG_DATUM(INPUT);
	img_check_source_bytes(toast_raw_datum_size(picture) - VARHDRSZ);
	if (toast_raw_datum_size(picture) == VARHDRSZ)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("the picture is empty"),
				 errdetail("It has 0 bytes.")));
	return PointerGetDatum(PG_DETOAST_DATUM_PACKED(picture));
}

/* Without a key: two plain inserts, because this is the path of the many. */
static void
insert_plain(const pg_uuid_t *id, Datum now, Datum due, Oid owner, int priority, int attempts,
			 Jsonb *request, Datum picture)
{
	pg_uuid_t	object;
	Datum		job_values[] = {UUIDPGetDatum(id), now, due, ObjectIdGetDatum(owner),
		Int32GetDatum(priority), Int16GetDatum(attempts), JsonbPGetDatum(request)};
	Datum		input_values[] = {UUIDPGetDatum(&object), UUIDPGetDatum(id), ObjectIdGetDatum(owner),
		Int64GetDatum(VARSIZE_ANY_EXHDR(DatumGetPointer(picture))), picture, now,
		TimestampTzGetDatum(img_expiry(DatumGetTimestampTz(now)))};

	img_new_uuid(&object);
	img_execute(&insert_job, job_values, NULL);
	img_execute(&insert_input, input_values, NULL);
}

Datum
img_submit(PG_FUNCTION_ARGS)
{
	const ImgHome *home = img_home_of_function(fcinfo->flinfo->fn_oid);
	Jsonb	   *operations = PG_ARGISNULL(OPERATIONS) ? NULL : PG_GETARG_JSONB_P(OPERATIONS);
	Jsonb	   *output = PG_ARGISNULL(OUTPUT) ? NULL : PG_GETARG_JSONB_P(OUTPUT);
	Oid			owner = GetUserId();
	Datum		now = TimestampTzGetDatum(GetCurrentTimestamp());
	Datum		due = PG_ARGISNULL(RUN_AFTER) ? now : PG_GETARG_DATUM(RUN_AFTER);
	int			priority = int_argument(fcinfo, PRIORITY, "priority", 0, INT_MIN, INT_MAX);
	int			attempts = int_argument(fcinfo, MAX_ATTEMPTS, "max_attempts", imgapi_max_attempts, 1, 100);
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	ImgIdentity before;
	Jsonb	   *request;
	Datum		picture;

	img_require_writable("img_submit()");
	refuse_what_is_not_here(fcinfo);
	img_compile_cached(operations, output, NULL);
	picture = check_input(fcinfo);
	request = img_request_document(operations, output);
	img_new_uuid(id);

	SPI_connect();
	img_become(home->owner, false, &before);
	if (PG_ARGISNULL(JOB_KEY))
		insert_plain(id, now, due, owner, priority, attempts, request, picture);
	else
	{
		Datum		values[] = {UUIDPGetDatum(id), now, due, ObjectIdGetDatum(owner), Int32GetDatum(priority),
			Int16GetDatum(attempts), PG_GETARG_DATUM(JOB_KEY), JsonbPGetDatum(request), picture};
		bool		isnull;

		img_execute(&insert_keyed, values, NULL);
		*id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	}
	img_resume(&before);
	SPI_finish();

	img_wake_at_commit(DatumGetTimestampTz(due));
	img_warn_without_worker();
	PG_RETURN_UUID_P(id);
}

Datum
img_submit_text(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(INPUT))
		return img_submit(fcinfo);
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("input cannot be a URL or a path yet: this version of imgapi takes the picture itself"),
			 errdetail("Given: \"%s\".", text_to_cstring(PG_GETARG_TEXT_PP(INPUT))),
			 errhint("Pass bytea: SELECT img_submit(pg_read_binary_file('/path/to/picture.jpg'), '{…}'); or cast a literal: '\\x…'::bytea")));
}

/* img_cancel() and img_retry(): the statement does it, knowing who asks. */
static bool
change_job(FunctionCallInfo fcinfo, ImgStatement *statement, const char *what)
{
	const ImgHome *home = img_home_of_function(fcinfo->flinfo->fn_oid);
	Datum		values[] = {PG_GETARG_DATUM(0), ObjectIdGetDatum(GetUserId())};
	ImgIdentity before;
	bool		isnull;
	bool		changed;

	img_require_writable(what);
	SPI_connect();
	img_become(home->owner, false, &before);
	img_execute(statement, values, NULL);
	changed = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	img_resume(&before);
	SPI_finish();
	return changed;
}

Datum
img_cancel(PG_FUNCTION_ARGS)
{
	bool		cancelled = change_job(fcinfo, &cancel_job, "img_cancel()");

	if (cancelled)
		img_wake_for_cancel();
	PG_RETURN_BOOL(cancelled);
}

Datum
img_retry(PG_FUNCTION_ARGS)
{
	bool		queued = change_job(fcinfo, &retry_job, "img_retry()");

	if (queued)
		img_wake_at_commit(DT_NOBEGIN);
	PG_RETURN_BOOL(queued);
}

Datum
img_start_worker(PG_FUNCTION_ARGS)
{
	img_warn_without_worker();
	img_wake_at_commit(DT_NOBEGIN);
	PG_RETURN_BOOL(img_shared != NULL);
}
