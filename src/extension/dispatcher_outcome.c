/*
 * dispatcher_outcome.c
 *	  Results as img_finish() takes them: what they are called and where they are.
 *
 * Runs in a dispatcher, in the transaction that settles jobs.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/sha2.h"
#include "extension/dispatcher.h"
#include "extension/home.h"
#include "extension/operation.h"
#include "extension/server.h"
#include "funcapi.h"
#include "storage/encode.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* A large result goes into its row by itself: in an array of outcomes it would
 * be in memory several times. */
#define LARGE_RESULT	(1024 * 1024)
static ImgStatement store_large = {
	"UPDATE $S.img_object SET data = $3 WHERE job_id = $1 AND role = 'output' AND ordinal = $2",
	3, {UUIDOID, INT4OID, BYTEAOID}
};

bytea *
img_output_bytes(const ImgOutput *output)
{
	bytea	   *bytes;

	if (output->data != NULL)
		return output->data;
	bytes = palloc_extended(VARHDRSZ + output->bytes, MCXT_ALLOC_HUGE);
	SET_VARSIZE(bytes, VARHDRSZ + output->bytes);
	if (img_read_all(output->memfd, VARDATA(bytes), output->bytes, 0) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not read from a memory file: %m")));
	return bytes;
}

void
img_output_hash(const ImgOutput *output, uint8 *sha256)
{
	if (output->memfd >= 0)
		img_hash_memfd(PG_SHA256, output->memfd, 0, output->bytes, sha256, PG_SHA256_DIGEST_LENGTH);
	else
		img_hash(PG_SHA256, VARDATA(output->data), output->bytes, sha256, PG_SHA256_DIGEST_LENGTH);
}

/* img_object.path of an output: the job's id, and which of several. */
static char *
output_path(ImgJob *job, int ordinal)
{
	char	   *id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&job->id)));

	return img_output_name(id, NULL, ordinal, job->answer.outputs, &job->answer.output[ordinal].facts);
}

/* What a text column that wants a result gets. */
char *
img_result_uri(ImgJob *job)
{
	if (job->storage != NULL)
		return psprintf("storage://%s/%s", job->storage, job->stored[0].path);
	return psprintf("storage://" IMG_DATABASE_STORAGE "/%s", output_path(job, 0));
}

/* img_object.name: what a download is called. */
static char *
output_name(ImgJob *job, int ordinal)
{
	if (img_remote_result_name(job, ordinal) != NULL)
		return pstrdup(img_remote_result_name(job, ordinal));
	if (job->operation_id == NULL && job->name == NULL)
		return output_path(job, ordinal);
	return img_output_name(job->name ? job->name : DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&job->id))),
						   job->operation_id, ordinal, job->answer.outputs, &job->answer.output[ordinal].facts);
}

char *
img_path_beside(ImgJob *job, int ordinal)
{
	return psprintf("%s%s", job->folder, output_name(job, ordinal));
}

/* img_object.path of a result that img_object does not hold. */
static char *
row_path(ImgJob *job, int ordinal)
{
	return job->folder ? img_path_beside(job, ordinal) : psprintf("%s/%s", job->row.key, job->row.target_column);
}

static bool
is_large(const ImgJob *job, int ordinal)
{
	return job->storage == NULL && !job->in_row && job->answer.output[ordinal].bytes > LARGE_RESULT;
}

bool
img_has_large_results(const ImgJob *job)
{
	for (int ordinal = 0; ordinal < job->answer.outputs; ordinal++)
		if (is_large(job, ordinal))
			return true;
	return false;
}

void
img_store_large_results(ImgJob *job)
{
	for (int ordinal = 0; ordinal < job->answer.outputs; ordinal++)
	{
		Datum		values[] = {UUIDPGetDatum(&job->id), Int32GetDatum(ordinal), (Datum) 0};
		bytea	   *bytes;

		if (!is_large(job, ordinal))
			continue;
		bytes = img_output_bytes(&job->answer.output[ordinal]);
		values[2] = PointerGetDatum(bytes);
		img_execute(&store_large, values, NULL);
		if (bytes != job->answer.output[ordinal].data)
			pfree(bytes);
	}
}

/* The hash of a result that does not go along with its outcome. */
static Datum
sha256_datum(const ImgJob *job, int ordinal)
{
	bytea	   *value = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);

	SET_VARSIZE(value, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	if (job->storage != NULL)
		memcpy(VARDATA(value), job->stored[ordinal].sha256, PG_SHA256_DIGEST_LENGTH);
	else
		img_output_hash(&job->answer.output[ordinal], (uint8 *) VARDATA(value));
	return PointerGetDatum(value);
}

Datum
img_outcome(ImgJob *job, int ordinal, TupleDesc desc)
{
	const ImgReply *reply = &job->answer.reply;
	const ImgOutput *output = &job->answer.output[ordinal];
	const char *warning = job->reused ? job->reused_warning : img_warning_text(reply->warnings);
	Datum		values[14];
	bool		nulls[14] = {false};

	values[0] = UUIDPGetDatum(&job->id);
	values[1] = Int16GetDatum(job->attempt);
	nulls[2] = job->reused || job->server != NULL;
	values[2] = TimestampTzGetDatum(reply->started_at -
									(int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY);
	nulls[3] = warning == NULL;
	values[3] = warning ? CStringGetTextDatum(warning) : (Datum) 0;
	values[4] = img_facts_datum(&reply->source, job->input_bytes);
	values[5] = Int32GetDatum(ordinal);
	values[6] = CStringGetTextDatum(output_name(job, ordinal));
	values[7] = img_facts_datum(&output->facts, output->bytes);
	values[8] = CStringGetTextDatum(job->in_row ? "row" : job->storage ? job->storage : IMG_DATABASE_STORAGE);
	values[9] = CStringGetTextDatum(job->in_row ? row_path(job, ordinal) :
									job->storage ? job->stored[ordinal].path : output_path(job, ordinal));
	nulls[10] = job->storage != NULL || job->in_row || is_large(job, ordinal);
	values[10] = nulls[10] ? (Datum) 0 : PointerGetDatum(img_output_bytes(output));
	nulls[11] = !job->may_be_reused;
	values[11] = UUIDPGetDatum(&job->made_of);
	nulls[12] = !job->reused;
	values[12] = UUIDPGetDatum(&job->reused_from);
	/* of what is in the row, too: it tells later whether it still is */
	nulls[13] = !nulls[10];
	values[13] = nulls[13] ? (Datum) 0 : sha256_datum(job, ordinal);
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}
