/*
 * s3_functions.c
 *	  SQL functions over S3 servers: links, and requests for tests and tools.
 *
 * Internal, and not open to PUBLIC.  A NULL role means the current user.
 */
#include "storage/s3.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "extension/home.h"
#include "extension/imgapi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/encode.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(img_storage_presign);
PG_FUNCTION_INFO_V1(img_s3_sign_call);
PG_FUNCTION_INFO_V1(img_s3_request);
PG_FUNCTION_INFO_V1(img_s3_answer);
PG_FUNCTION_INFO_V1(img_s3_failure);
PG_FUNCTION_INFO_V1(img_http_request);

/* ---------------------------------------------------------------- arguments */

static const ImgServer *
server_argument(FunctionCallInfo fcinfo, int position, int role, const ImgServerType *type)
{
	if (PG_ARGISNULL(position))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a server must be named"),
				 errhint("SELECT name FROM img_server WHERE type = '%s' AND usable;", type->name)));
	return img_server_get_typed(NameStr(*PG_GETARG_NAME(position)),
								PG_ARGISNULL(role) ? GetUserId() : PG_GETARG_OID(role), type);
}

static char *
text_argument(FunctionCallInfo fcinfo, int position)
{
	return PG_ARGISNULL(position) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(position));
}

static char *
required_text(FunctionCallInfo fcinfo, int position, const char *name)
{
	if (PG_ARGISNULL(position))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(position));
}

/* NULL: now, as the clock has it, for a transaction may be old. */
static TimestampTz
time_argument(FunctionCallInfo fcinfo, int position)
{
	TimestampTz at = PG_ARGISNULL(position) ? GetCurrentTimestamp() : PG_GETARG_TIMESTAMPTZ(position);

	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the time of a signature must be finite")));
	return at;
}

static const char *
method_argument(FunctionCallInfo fcinfo, int position)
{
	static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "POST"};
	char	   *given = required_text(fcinfo, position, "method");

	for (int i = 0; i < lengthof(methods); i++)
		if (strcmp(methods[i], given) == 0)
			return methods[i];
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("not a method that can be signed"),
			 errdetail("Given: \"%s\". Allowed: GET, HEAD, PUT, DELETE, POST.", given)));
}

/* Seconds of an interval; beyond what an int holds is out of range anyway. */
static int
lifetime_argument(FunctionCallInfo fcinfo, int position)
{
	Interval   *given;
	double		seconds;

	if (PG_ARGISNULL(position))
		return 3600;
	given = PG_GETARG_INTERVAL_P(position);
	seconds = given->time / (double) USECS_PER_SEC + given->day * (double) SECS_PER_DAY +
		given->month * 30.0 * SECS_PER_DAY;
	return seconds > INT_MAX ? INT_MAX : seconds < 0 ? 0 : (int) seconds;
}

/* {"name": "value", …}, the values as text. */
static void
add_members(ImgS3Pairs *pairs, Jsonb *given, bool small_letters)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	char	   *name = NULL;

	if (!JB_ROOT_IS_OBJECT(given))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameters and headers are given as a JSON object"),
				 errhint("Write for example {\"response-content-type\": \"image/jpeg\"}.")));
	iterator = JsonbIteratorInit(&given->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE && value.type == jbvString)
		{
			for (char *p = name; small_letters && *p != '\0'; p++)
				*p = pg_ascii_tolower((unsigned char) *p);
			img_s3_add(pairs, name, pnstrdup(value.val.string.val, value.val.string.len));
		}
		else if (token == WJB_VALUE)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" must be a string", name)));
	}
}

static Datum
text_array(List *strings)
{
	Datum	   *elements = palloc_array(Datum, list_length(strings) + 1);
	int			count = 0;
	ListCell   *cell;

	foreach(cell, strings)
		elements[count++] = CStringGetTextDatum(lfirst(cell));
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
}

static Datum
row(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	TupleDesc	descriptor;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}

static Datum
text_or_null(const char *text, bool *isnull)
{
	*isnull = text == NULL;
	return text ? CStringGetTextDatum(text) : (Datum) 0;
}

/* --------------------------------------------------------------------- links */

/* img_storage_presign(server, path, method, lifetime, at, parameters, role) */
Datum
img_storage_presign(PG_FUNCTION_ARGS)
{
	const ImgServer *server = server_argument(fcinfo, 0, 6, &img_server_s3);
	ImgS3Call	call = {0};

	call.path = required_text(fcinfo, 1, "path");
	call.method = method_argument(fcinfo, 2);
	call.at = time_argument(fcinfo, 4);
	if (!PG_ARGISNULL(5))
		add_members(&call.query, PG_GETARG_JSONB_P(5), false);
	PG_RETURN_TEXT_P(cstring_to_text(img_s3_presign(img_s3(server), &call, lifetime_argument(fcinfo, 3), NULL)));
}

/* ----------------------------------------------------------- any request -- */

/*
 * img_s3_sign(server, method, path, query, headers, body, lifetime, at, role):
 * by header, or a link when a lifetime is given.
 */
Datum
img_s3_sign_call(PG_FUNCTION_ARGS)
{
	ImgS3	   *s3 = img_s3(server_argument(fcinfo, 0, 8, &img_server_s3));
	ImgS3Call	call = {0};
	ImgHttpRequest	request = {0};
	ImgS3Proof	proof;
	char		hash[IMG_SHA256_HEX + 1];
	Datum		values[4];
	bool		nulls[4] = {false};

	call.method = method_argument(fcinfo, 1);
	call.path = text_argument(fcinfo, 2);
	call.payload = IMG_S3_UNSIGNED;
	call.at = time_argument(fcinfo, 7);
	if (!PG_ARGISNULL(3))
		add_members(&call.query, PG_GETARG_JSONB_P(3), false);
	if (!PG_ARGISNULL(4))
		add_members(&call.headers, PG_GETARG_JSONB_P(4), true);
	if (!PG_ARGISNULL(5))
	{
		bytea	   *body = PG_GETARG_BYTEA_PP(5);

		img_sha256_hex(VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), hash);
		call.payload = hash;
	}
	if (!PG_ARGISNULL(6))
		request.url = img_s3_presign(s3, &call, lifetime_argument(fcinfo, 6), &proof);
	else
		img_s3_sign(s3, &call, &request, &proof);
	values[0] = CStringGetTextDatum(request.url);
	values[1] = text_array(request.headers);
	values[2] = CStringGetTextDatum(proof.canonical);
	values[3] = CStringGetTextDatum(proof.to_sign);
	PG_RETURN_DATUM(row(fcinfo, values, nulls));
}

/* ------------------------------------------------- requests the worker sends */

/* What an action needs beyond its path. */
typedef struct Details
{
	const char *type;
	const char *tags;
	const char *token;
	const char *upload_id;
	const char *sha256;
	int			number;
	List	   *names;
} Details;

static void
read_details(Jsonb *given, Details *details)
{
	ImgS3Pairs	pairs = {0};

	if (given == NULL)
		return;
	add_members(&pairs, given, false);
	for (int i = 0; i < pairs.count; i++)
	{
		const char *name = pairs.pair[i].name;
		const char *value = pairs.pair[i].value;

		if (strcmp(name, "type") == 0)
			details->type = value;
		else if (strcmp(name, "tags") == 0)
			details->tags = value;
		else if (strcmp(name, "token") == 0)
			details->token = value;
		else if (strcmp(name, "upload_id") == 0)
			details->upload_id = value;
		else if (strcmp(name, "number") == 0)
			details->number = pg_strtoint32(value);
		else
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" is not a detail of a request", name),
					 errdetail("Allowed: type, tags, token, upload_id, number.")));
	}
}

static List *
names_argument(FunctionCallInfo fcinfo, int position)
{
	List	   *names = NIL;
	Datum	   *elements;
	int			count;

	if (PG_ARGISNULL(position))
		return NIL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(position), TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &count);
	for (int i = 0; i < count; i++)
		names = lappend(names, TextDatumGetCString(elements[i]));
	return names;
}

static void
build(ImgS3 *s3, const char *action, const char *path, const Details *d, TimestampTz at, ImgHttpRequest *request)
{
	if (strcmp(action, "put") == 0)
		img_s3_put(s3, path, d->type, d->tags, d->sha256, at, request);
	else if (strcmp(action, "get") == 0)
		img_s3_get(s3, path, at, request);
	else if (strcmp(action, "head") == 0)
		img_s3_head(s3, path, at, request);
	else if (strcmp(action, "delete") == 0)
		img_s3_delete(s3, path, at, request);
	else if (strcmp(action, "delete_batch") == 0)
		img_s3_delete_batch(s3, d->names, at, request);
	else if (strcmp(action, "list") == 0)
		img_s3_list(s3, path, d->token, d->number > 0 ? d->number : 1000, at, request);
	else if (strcmp(action, "multipart_create") == 0)
		img_s3_multipart_create(s3, path, d->type, d->tags, at, request);
	else if (strcmp(action, "multipart_part") == 0)
		img_s3_multipart_part(s3, path, d->upload_id, d->number, d->sha256, at, request);
	else if (strcmp(action, "multipart_complete") == 0)
		img_s3_multipart_complete(s3, path, d->upload_id, d->names, at, request);
	else if (strcmp(action, "multipart_abort") == 0)
		img_s3_multipart_abort(s3, path, d->upload_id, at, request);
	else if (strcmp(action, "multipart_list") == 0)
		img_s3_multipart_list(s3, path, at, request);
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a request to an S3 server", action)));
}

/* img_s3_request(server, action, path, details, names, payload, at, role) */
Datum
img_s3_request(PG_FUNCTION_ARGS)
{
	ImgS3	   *s3 = img_s3(server_argument(fcinfo, 0, 7, &img_server_s3));
	char	   *action = required_text(fcinfo, 1, "action");
	char	   *path = text_argument(fcinfo, 2);
	Details		details = {0};
	ImgHttpRequest	request;
	char		hash[IMG_SHA256_HEX + 1];
	Datum		values[4];
	bool		nulls[4] = {false};

	read_details(PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3), &details);
	details.names = names_argument(fcinfo, 4);
	if (!PG_ARGISNULL(5))
	{
		bytea	   *payload = PG_GETARG_BYTEA_PP(5);

		img_sha256_hex(VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload), hash);
		details.sha256 = hash;
	}
	build(s3, action, path ? path : "", &details, time_argument(fcinfo, 6), &request);
	values[0] = CStringGetTextDatum(request.method);
	values[1] = CStringGetTextDatum(request.url);
	values[2] = text_array(request.headers);
	nulls[3] = request.body == NULL;
	if (!nulls[3])
		values[3] = PointerGetDatum(cstring_to_text_with_len(request.body, request.body_length));
	PG_RETURN_DATUM(row(fcinfo, values, nulls));
}

/* ------------------------------------------------------------------ answers */

#define ANSWER_COLUMNS	8

/* path, bytes, etag, at, upload_id, code, transient, next */
static void
put_answer(ReturnSetInfo *result, const char *path, const ImgS3Entry *entry, const ImgS3Upload *upload,
		   const ImgS3Undeleted *undeleted, const char *next)
{
	Datum		values[ANSWER_COLUMNS] = {0};
	bool		nulls[ANSWER_COLUMNS] = {false};

	values[0] = text_or_null(path, &nulls[0]);
	nulls[1] = entry == NULL;
	values[1] = entry ? Int64GetDatum(entry->bytes) : 0;
	values[2] = text_or_null(entry ? entry->etag : NULL, &nulls[2]);
	nulls[3] = entry == NULL && (upload == NULL || path == NULL);
	values[3] = TimestampTzGetDatum(entry ? entry->modified : upload ? upload->begun : 0);
	values[4] = text_or_null(upload ? upload->upload_id : NULL, &nulls[4]);
	values[5] = text_or_null(undeleted ? undeleted->code : NULL, &nulls[5]);
	nulls[6] = undeleted == NULL;
	values[6] = BoolGetDatum(undeleted && undeleted->transient);
	values[7] = text_or_null(next, &nulls[7]);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put_answers(ReturnSetInfo *result, const ImgS3 *s3, const char *action, const char *body, size_t length)
{
	ListCell   *cell;
	char	   *next;
	List	   *rows;

	if (strcmp(action, "list") == 0)
	{
		rows = img_s3_read_list(s3, body, length, &next);
		foreach(cell, rows)
			put_answer(result, ((ImgS3Entry *) lfirst(cell))->path, lfirst(cell), NULL, NULL, next);
	}
	else if (strcmp(action, "multipart_list") == 0)
	{
		rows = img_s3_read_uploads(s3, body, length);
		foreach(cell, rows)
			put_answer(result, ((ImgS3Upload *) lfirst(cell))->path, NULL, lfirst(cell), NULL, NULL);
	}
	else if (strcmp(action, "multipart_create") == 0)
	{
		ImgS3Upload upload = {.upload_id = img_s3_read_upload_id(body, length)};

		put_answer(result, NULL, NULL, &upload, NULL, NULL);
	}
	else if (strcmp(action, "delete_batch") == 0)
	{
		rows = img_s3_read_undeleted(s3, body, length);
		foreach(cell, rows)
			put_answer(result, ((ImgS3Undeleted *) lfirst(cell))->path, NULL, NULL, lfirst(cell), NULL);
	}
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is nothing to read in the answer to \"%s\"", action),
				 errdetail("Allowed: list, multipart_list, multipart_create, delete_batch.")));
}

/* img_s3_answer(server, action, body, role) */
Datum
img_s3_answer(PG_FUNCTION_ARGS)
{
	const ImgServer *server = server_argument(fcinfo, 0, 3, &img_server_s3);
	char	   *action = required_text(fcinfo, 1, "action");
	bytea	   *body;

	if (PG_ARGISNULL(2))
		PG_RETURN_NULL();
	body = PG_GETARG_BYTEA_PP(2);
	img_home_of_function(fcinfo->flinfo->fn_oid);
	InitMaterializedSRF(fcinfo, 0);
	put_answers((ReturnSetInfo *) fcinfo->resultinfo, img_s3(server), action,
				VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body));
	PG_RETURN_NULL();
}

/* img_s3_failure(server, status, date, body, role); NULL: it is none */
Datum
img_s3_failure(PG_FUNCTION_ARGS)
{
	const ImgServer *server = server_argument(fcinfo, 0, 4, &img_server_s3);
	bytea	   *body = PG_ARGISNULL(3) ? NULL : PG_GETARG_BYTEA_PP(3);
	ImgS3Failure failure;
	Datum		values[5];
	bool		nulls[5] = {false};

	img_home_of_function(fcinfo->flinfo->fn_oid);
	if (PG_ARGISNULL(1) ||
		!img_s3_read_failure(img_s3(server), PG_GETARG_INT32(1), text_argument(fcinfo, 2),
							 body ? VARDATA_ANY(body) : "", body ? VARSIZE_ANY_EXHDR(body) : 0, &failure))
		PG_RETURN_NULL();
	values[0] = text_or_null(failure.code, &nulls[0]);
	values[1] = CStringGetTextDatum(unpack_sql_state(failure.sqlstate));
	values[2] = BoolGetDatum(failure.transient);
	values[3] = CStringGetTextDatum(failure.message);
	values[4] = text_or_null(failure.hint, &nulls[4]);
	PG_RETURN_DATUM(row(fcinfo, values, nulls));
}

/* img_http_request(server, path, role): where a path of a web server is */
Datum
img_http_request(PG_FUNCTION_ARGS)
{
	const ImgServer *server = server_argument(fcinfo, 0, 2, &img_server_http);
	Datum		values[2];
	bool		nulls[2] = {false};

	values[0] = CStringGetTextDatum(img_http_url(server, required_text(fcinfo, 1, "path")));
	values[1] = text_array(img_http_headers(server));
	PG_RETURN_DATUM(row(fcinfo, values, nulls));
}
