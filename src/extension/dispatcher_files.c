/*
 * dispatcher_files.c
 *	  Jobs that change the file tree: results that are put beside their source,
 *	  and deletions.
 *
 * Runs in a dispatcher, in the transaction that settles jobs.  A job is done
 * whole or not at all, in a subtransaction.  Nobody who is at one of its files
 * is waited for (the functions called here have a lock_timeout): the job is
 * settled later.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "extension/dispatcher.h"
#include "extension/home.h"
#include "utils/builtins.h"

static ImgStatement produced = {
	"SELECT $S.img_file_produced($1, $2, $3, $4, $5, $6, $7)", 7,
	{TEXTOID, BYTEAOID, TEXTOID, TEXTOID, InvalidOid, BYTEAOID, REGROLEOID}, {[4] = "img_metadata"}
};
static ImgStatement delete = {
	"SELECT $S.img_delete_files($1, $2, $3)", 3, {TEXTOID, UUIDOID, INT2OID}
};

typedef struct Change
{
	ImgJob	   *job;
	ImgRowState state;
} Change;

static Datum
bytes_datum(const void *bytes, size_t length)
{
	bytea	   *value = palloc(VARHDRSZ + length);

	SET_VARSIZE(value, VARHDRSZ + length);
	memcpy(VARDATA(value), bytes, length);
	return PointerGetDatum(value);
}

static bool
is_true(void)
{
	bool		isnull;

	return DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* False: the source is not what it was. */
static bool
put_beside(ImgJob *job, int ordinal)
{
	const ImgOutput *output = &job->answer.output[ordinal];
	Datum		values[] = {
		CStringGetTextDatum(job->input), bytes_datum(job->file_sha256, sizeof(job->file_sha256)),
		CStringGetTextDatum(img_path_beside(job, ordinal)), CStringGetTextDatum(job->operation_id),
		img_facts_datum(&output->facts, output->bytes), PointerGetDatum(img_output_bytes(output)), ObjectIdGetDatum(job->owner)
	};

	img_execute(&produced, values, NULL);
	return is_true();
}

static void
put_step(void *arg)
{
	Change	   *change = arg;

	for (int ordinal = 0; ordinal < change->job->answer.outputs && change->state == IMG_ROW_FOUND; ordinal++)
		if (!put_beside(change->job, ordinal))
			change->state = IMG_ROW_CHANGED;
}

/* Ends the job, too. */
static void
delete_step(void *arg)
{
	ImgJob	   *job = ((Change *) arg)->job;
	Datum		values[] = {CStringGetTextDatum(img_dispatcher.name), UUIDPGetDatum(&job->id), Int16GetDatum(job->attempt)};

	img_execute(&delete, values, NULL);
	if (!is_true())
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE), errmsg("the job is locked")));
}

bool
img_change_files(ImgJob *job, ImgRowState *state)
{
	Change		change = {job, IMG_ROW_FOUND};
	ErrorData  *error = img_try(job->deletes ? delete_step : put_step, &change);

	job->in_row = true;
	*state = error == NULL ? change.state : IMG_ROW_LOCKED;
	if (error == NULL || error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE || error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED)
		return true;
	img_job_fail(job, error->sqlerrcode, "store", false, error->message, error->hint);
	return false;
}
