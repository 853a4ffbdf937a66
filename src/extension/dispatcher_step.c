/*
 * dispatcher_step.c
 *	  Jobs that servers do: what is next for each.
 *
 * Runs in a dispatcher, within the transaction of img_remote_work().  For jobs
 * that are new img_remote_begin() says what to do, and for those whose answers
 * are here img_remote_answered(): for many in one statement, because most of
 * what a statement costs is the same for one job and for fifty.  What one of
 * them makes fail is asked for one by one.  Acting on the steps is a
 * subtransaction of each job: calls are made (and sent when the transaction has
 * committed), results are fetched, or the job ends.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "extension/dispatcher_remote.h"
#include "extension/home.h"
#include "extension/remote_job.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Attempts to write down what the answer to a submit was. */
#define MOST_TRIES		120

/* Columns of img_remote_step. */
enum
{
	ACTION = 1, WHAT, SECONDS, REMOTE_ID, URLS, NAMES, SQLSTATE, MESSAGE, HINT, STAGE, TRANSIENT,
	INPUT_FORMAT, INPUT_WIDTH, INPUT_HEIGHT
};

/* Of as many jobs as there are elements in each array. */
static ImgStatement begin = {
	"SELECT s.* FROM $S.img_remote_begin($1, $2, $3, $4, $5, $6, $7) s",
	7, {TEXTOID, UUIDARRAYOID, INT2ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, OIDARRAYOID, BOOLARRAYOID}
};
static ImgStatement take = {
	"SELECT s.* FROM $S.img_remote_answered($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) s",
	12, {TEXTOID, UUIDARRAYOID, INT2ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT4ARRAYOID, INT4ARRAYOID, TEXTARRAYOID,
	TEXTARRAYOID, BOOLARRAYOID, BYTEAARRAYOID}
};
/* Nothing was sent after all. */
static ImgStatement unsend = {
	"UPDATE $S.img_remote SET state = 'preparing', next_call = 'submit' WHERE job_id = $1 AND state = 'submitting'",
	1, {UUIDOID}
};

/* Steps that are asked for in one statement. */
#define MOST_STEPS		64
#define MOST_VALUES		12

typedef struct Batch
{
	bool		answers;		/* they have answers; else they are new */
	ImgJob	   *job[MOST_STEPS];
	int			count;
	ImgRowState row_state;		/* of the only one, if its picture is in a row */
	Datum		value[MOST_VALUES][MOST_STEPS];
	bool		null[MOST_VALUES][MOST_STEPS];
} Batch;

/* The row of img_remote_step that is being acted on. */
static HeapTuple row;
static TupleDesc row_desc;

static Batch *begun;
static Batch *answered;

/* ------------------------------------------------------------------ acting --- */

static char *
column(int number)
{
	return SPI_getvalue(row, row_desc, number);
}

static int
number_column(int number)
{
	char	   *value = column(number);

	return value ? atoi(value) : 0;
}

static void
keep_input_facts(ImgRemoteJob *r)
{
	char	   *format = column(INPUT_FORMAT);

	r->input.format = UINT16_MAX;
	for (int i = 0; format != NULL && i < img_format_count; i++)
		if (strcmp(img_formats[i]->name, format) == 0)
			r->input.format = i;
	r->input.width = Max(number_column(INPUT_WIDTH), 0);
	r->input.height = Max(number_column(INPUT_HEIGHT), 0);
	r->input.pages = r->input.orientation = 1;
	r->input.lat = r->input.lng = NAN;
}

static void
fail(ImgJob *job)
{
	ImgRemoteJob *r = job->remote;
	char	   *sqlstate = column(SQLSTATE);
	char	   *stage = column(STAGE);
	char	   *message = column(MESSAGE);
	char	   *transient = column(TRANSIENT);

	img_remote_leave(job);
	if (r->phase == IMG_REMOTE_ANSWERED && r->answer.refused)
	{
		img_job_fail(job, r->answer.failure.sqlstate, r->answer.made.what, false, r->answer.failure.message, r->answer.failure.hint);
		return;
	}
	job->failure.retry_after = Max(0, (r->api->not_before - GetCurrentTimestamp()) / USECS_PER_SEC);
	img_job_fail(job, MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2], sqlstate[3], sqlstate[4]),
				 MemoryContextStrdup(job->context, stage), transient != NULL && transient[0] == 't', message, column(HINT));
}

/* From the database, or over the network; and then again. */
static void
fetch_picture(ImgJob *job)
{
	img_remote_leave(job);
	if (img_fetch_for_server(job))
		img_remote_take(job);
}

static void
call_next(ImgJob *job)
{
	if (!img_remote_call(job, job->remote->next))
		fetch_picture(job);
}

static void
download(ImgJob *job)
{
	bool		unnamed;
	bool		isnull;
	Datum		urls = SPI_getbinval(row, row_desc, URLS, &isnull);
	Datum		names = SPI_getbinval(row, row_desc, NAMES, &unnamed);

	keep_input_facts(job->remote);
	img_remote_download(job, DatumGetArrayTypeP(urls), unnamed ? NULL : DatumGetArrayTypeP(names));
}

/* The server has the job: what it was sent is not needed any more. */
static void
keep_remote_id(ImgJob *job, const char *remote_id)
{
	if (remote_id == NULL || job->remote->remote_id != NULL)
		return;
	job->remote->remote_id = MemoryContextStrdup(job->context, remote_id);
	img_body_close(&job->source);
}

/* Does what the row of img_remote_step says. */
static void
act(ImgJob *job)
{
	ImgRemoteJob *r = job->remote;
	const char *action = column(ACTION);
	char	   *seconds = column(SECONDS);

	keep_remote_id(job, column(REMOTE_ID));
	if (strcmp(action, "call") == 0)
	{
		strlcpy(r->next, column(WHAT), sizeof(r->next));
		if (seconds != NULL && atof(seconds) > 0)
			img_remote_wait(job, IMG_REMOTE_WAITING, atof(seconds));
		else
			call_next(job);
	}
	else if (strcmp(action, "fetch") == 0)
		fetch_picture(job);
	else if (strcmp(action, "download") == 0)
		download(job);
	else if (strcmp(action, "again") == 0)
		img_remote_wait(job, IMG_REMOTE_NEW, 0);
	else if (strcmp(action, "locked") == 0)
		img_remote_wait(job, r->phase, IMG_REMOTE_AGAIN_MS / 1000.0);
	else if (strcmp(action, "fail") == 0)
		fail(job);
	else if (strcmp(action, "gone") == 0)
		img_remote_cancelled(job, NULL);
	else
		img_remote_cancelled(job, column(MESSAGE));
}

/* ------------------------------------------------------------------ asking --- */

static void
put_beginning(Batch *batch, int n)
{
	ImgJob	   *job = batch->job[n];
	const ImgServer *server = img_remote_job_server(job->server, job->owner);
	bool		uploads = img_remote_job_uploads(server->type, job->input);
	Datum		values[] = {
		UUIDPGetDatum(&job->id), Int16GetDatum(job->attempt), CStringGetTextDatum(job->server),
		CStringGetTextDatum(server->type->name), ObjectIdGetDatum(job->owner), BoolGetDatum(!uploads || job->source.length > 0)
	};

	for (int i = 0; i < lengthof(values); i++)
		batch->value[i + 1][n] = values[i];
}

static void
put_answer(Batch *batch, int n)
{
	ImgJob	   *job = batch->job[n];
	const ImgCallAnswer *answer = &job->remote->answer;
	Datum		values[] = {
		UUIDPGetDatum(&job->id), Int16GetDatum(job->attempt),
		CStringGetTextDatum(answer->made.what), CStringGetTextDatum(answer->made.method), CStringGetTextDatum(answer->made.path),
		Int32GetDatum(answer->status), Int32GetDatum(answer->ms),
		answer->request_id ? CStringGetTextDatum(answer->request_id) : (Datum) 0,
		answer->status == 0 ? CStringGetTextDatum(answer->failure.message) : (Datum) 0, BoolGetDatum(answer->sent),
		PointerGetDatum(answer->body)
	};

	for (int i = 0; i < lengthof(values); i++)
		batch->value[i + 1][n] = values[i];
	batch->null[6][n] = batch->null[11][n] = answer->status == 0;
	batch->null[8][n] = answer->request_id == NULL;
	batch->null[9][n] = answer->status != 0;
}

static void
ask_for_steps(void *arg)
{
	Batch	   *batch = arg;
	ImgStatement *statement = batch->answers ? &take : &begin;
	Datum		values[MOST_VALUES] = {CStringGetTextDatum(img_dispatcher.name)};

	batch->row_state = batch->answers || batch->count > 1 ? IMG_ROW_FOUND : img_fetch_row(batch->job[0]);
	if (batch->row_state != IMG_ROW_FOUND)
		return;
	memset(batch->null, 0, sizeof(batch->null));
	for (int n = 0; n < batch->count; n++)
	{
		if (batch->answers)
			put_answer(batch, n);
		else
			put_beginning(batch, n);
	}
	for (int i = 1; i < statement->nargs; i++)
		values[i] = img_array(batch->value[i], batch->null[i], batch->count, get_element_type(statement->types[i]));
	img_execute(statement, values, NULL);
	if (SPI_processed != batch->count)
		elog(ERROR, "asked for %d steps, got " UINT64_FORMAT, batch->count, SPI_processed);
}

static void
act_on(void *arg)
{
	act(arg);
}

static void
call_on(void *arg)
{
	call_next(arg);
}

/* Nothing was written.  The id in the answer to a submit is not given up. */
static void
step_failed(ImgJob *job, const ErrorData *error)
{
	ImgRemoteJob *r = job->remote;
	bool		locked = error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE || error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
	bool		precious = r->before == IMG_REMOTE_ANSWERED && strcmp(r->answer.made.what, "submit") == 0;

	if (locked || (precious && ++r->tries < MOST_TRIES))
	{
		img_remote_wait(job, r->before, IMG_REMOTE_AGAIN_MS / 1000.0);
		return;
	}
	img_remote_leave(job);
	img_job_fail(job, error->sqlerrcode, r->before == IMG_REMOTE_NEW ? "submit" : r->before == IMG_REMOTE_ANSWERED ? r->answer.made.what : r->next,
				 false, error->message, error->hint);
}

static void
act_on_all(Batch *batch, SPITupleTable *steps)
{
	for (int n = 0; n < batch->count; n++)
	{
		ImgJob	   *job = batch->job[n];
		Datum		id = UUIDPGetDatum(&job->id);
		ErrorData  *error;

		row = steps->vals[n];
		row_desc = steps->tupdesc;
		error = img_try(act_on, job);
		if (error == NULL)
			continue;
		if (!batch->answers)
			img_execute(&unsend, &id, NULL);
		step_failed(job, error);
	}
}

static void run(Batch *batch);

/* An error of all of them is that of one, or more. */
static void
run_singly(Batch *batch)
{
	Batch	   *one = palloc(sizeof(Batch));

	one->answers = batch->answers;
	for (int n = 0; n < batch->count; n++)
	{
		one->job[0] = batch->job[n];
		one->count = 1;
		run(one);
	}
}

static void
run(Batch *batch)
{
	ErrorData  *error = batch->count > 0 ? img_try(ask_for_steps, batch) : NULL;

	if (error != NULL && batch->count > 1)
		run_singly(batch);
	else if (error != NULL)
		step_failed(batch->job[0], error);
	else if (batch->count > 0 && batch->row_state == IMG_ROW_LOCKED)
		img_remote_wait(batch->job[0], IMG_REMOTE_NEW, IMG_REMOTE_AGAIN_MS / 1000.0);
	else if (batch->count > 0 && batch->row_state != IMG_ROW_FOUND)
		img_remote_cancelled(batch->job[0], "the row, or its picture, is gone");
	else
		act_on_all(batch, SPI_tuptable);
	batch->count = 0;
}

/* One whose picture is in a row is by itself, so that all is undone with it. */
static void
add(Batch *batch, ImgJob *job)
{
	bool		alone = !batch->answers && OidIsValid(job->row.table);

	if (alone)
		run(batch);
	batch->job[batch->count++] = job;
	if (alone || batch->count == MOST_STEPS)
		run(batch);
}

void
img_steps_start(void)
{
	begun = palloc(sizeof(Batch));
	answered = palloc(sizeof(Batch));
	begun->answers = false;
	answered->answers = true;
	begun->count = answered->count = 0;
}

void
img_step_add(ImgJob *job)
{
	ErrorData  *error;

	if (job->remote->phase == IMG_REMOTE_NEW)
		add(begun, job);
	else if (job->remote->phase == IMG_REMOTE_ANSWERED)
		add(answered, job);
	else if ((error = img_try(call_on, job)) != NULL)
		step_failed(job, error);
}

void
img_steps_finish(void)
{
	run(answered);
	run(begun);
}
