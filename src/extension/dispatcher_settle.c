/*
 * dispatcher_settle.c
 *	  From the executors to the tables: how jobs ended, in one transaction for
 *	  all that are ready.
 *
 * Every statement names worker, job and attempt: whoever has lost a job in the
 * meantime changes nothing.  The result of a trigger's job is written to its
 * row in the same transaction, as the owner of the job, in a subtransaction of
 * its own, and only if the row still holds the picture the result was made of.
 * A row that somebody has locked is not waited for: the job is settled later.
 *
 * This commit is waited for (ForceSyncCommit): a job that was seen DONE is DONE
 * after a crash.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "commands/trigger.h"
#include "extension/dispatcher.h"
#include "extension/home.h"
#include "extension/imgapi.h"
#include "extension/settings.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

/* Results are collected this long, or until so many are there. */
#define COLLECT_MS		25
#define COLLECT_JOBS	64
/* The most in one transaction: jobs, and bytes of results. */
#define BATCH			128
#define BATCH_BYTES		(16 * 1024 * 1024)
/* After a locked row or an error. */
#define AGAIN_MS		500
/* A row that was locked so often, or one of so many: the job goes back to the
 * queue, so that it does not keep others from our hands. */
#define MOST_LOCKED		10
#define MOST_WAITING	32
/* What triggers on the target table may take. */
#define WRITE_MS		5000

static ImgStatement hold_jobs = {
	"SELECT * FROM $S.img_hold($1, $2, $3)", 3, {TEXTOID, UUIDARRAYOID, INT2ARRAYOID}
};
static ImgStatement finish = {
	"SELECT * FROM $S.img_finish($1, $2)", 2, {TEXTOID}, {NULL, "_img_outcome"}
};
/* What is settled in this transaction. */
typedef struct Batch
{
	ImgJob	   *job[BATCH];
	bool		settled[BATCH];
	bool		held[BATCH];
	int			count;
} Batch;

static Batch batch;

long
img_settle_in(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long		wait = 60 * 1000;
	int			fresh = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &img_dispatcher.ended)
	{
		ImgJob	   *job = dlist_container(ImgJob, node, iter.cur);
		TimestampTz ready = job->settle_after;

		/* Those whose rows are locked do not count: we would spin. */
		if (ready <= now && ++fresh >= COLLECT_JOBS)
			return 0;

		/* Nobody to wait for: at once. */
		if (ready == 0 && img_dispatcher.nsent == 0)
			return 0;
		if (ready == 0)
			ready = TimestampTzPlusMilliseconds(job->ended_at, COLLECT_MS);
		if (ready <= now)
			return 0;
		wait = Min(wait, TimestampDifferenceMilliseconds(now, ready));
	}
	return wait;
}

static int
find_in_batch(Datum id)
{
	for (int i = 0; i < batch.count; i++)
		if (memcmp(batch.job[i]->id.data, DatumGetUUIDP(id)->data, UUID_LEN) == 0)
			return i;
	elog(ERROR, "the queue answered for a job that was not asked about");
}

static void
postpone(ImgJob *job)
{
	job->settle_after = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), AGAIN_MS);
}

/* Takes what is ready from the list of ended jobs (they stay in it). */
static void
collect(int most)
{
	TimestampTz now = GetCurrentTimestamp();
	size_t		bytes = 0;
	dlist_iter	iter;

	memset(&batch, 0, sizeof(batch));
	dlist_foreach(iter, &img_dispatcher.ended)
	{
		ImgJob	   *job = dlist_container(ImgJob, node, iter.cur);

		if (batch.count == most || bytes > BATCH_BYTES)
			break;
		if (job->settle_after > now)
			continue;
		batch.job[batch.count++] = job;
		for (int i = 0; i < job->answer.outputs; i++)
			bytes += job->answer.output[i].bytes;
	}
}

/* Locks those jobs of the batch, as far as they are still ours. */
static void
hold(const bool *wanted)
{
	Datum		ids[BATCH];
	Datum		attempts[BATCH];
	Datum		values[3] = {CStringGetTextDatum(img_dispatcher.name)};
	int			count = 0;

	for (int i = 0; i < batch.count; i++)
	{
		batch.held[i] = !wanted[i];
		if (!wanted[i])
			continue;
		ids[count] = UUIDPGetDatum(&batch.job[i]->id);
		attempts[count++] = Int16GetDatum(batch.job[i]->attempt);
	}
	if (count == 0)
		return;
	values[1] = img_array(ids, NULL, count, UUIDOID);
	values[2] = img_array(attempts, NULL, count, INT2OID);
	img_execute(&hold_jobs, values, NULL);
	for (uint64 n = 0; n < SPI_processed; n++)
	{
		HeapTuple	row = SPI_tuptable->vals[n];
		bool		isnull;
		int			i = find_in_batch(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));

		batch.held[i] = DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
		batch.settled[i] = DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 3, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * img_finish() looks itself whether a job is ours.  It has to be known before
 * where something else is written or said for it.
 */
static bool
has_to_be_held(const ImgJob *job)
{
	return job->end != IMG_END_DONE || job->row.target_column != NULL ||
		img_has_large_results(job) || imgapi_notify;
}

static void
hold_batch(void)
{
	bool		wanted[BATCH];

	for (int i = 0; i < batch.count; i++)
		wanted[i] = has_to_be_held(batch.job[i]);
	hold(wanted);
}

/* Which of these jobs are no longer ours; one transaction.  They have not ended:
 * an error must not find them in the batch. */
void
img_find_gone(ImgJob **jobs, int count, bool *gone)
{
	bool		all[BATCH];

	memset(all, true, sizeof(all));
	memset(&batch, 0, sizeof(batch));
	memcpy(batch.job, jobs, count * sizeof(ImgJob *));
	batch.count = count;
	PG_TRY();
	{
		StartTransactionCommand();
		img_dispatcher.gone = img_home_of_extension() == NULL;
		if (!img_dispatcher.gone)
		{
			SPI_connect();
			PushActiveSnapshot(GetTransactionSnapshot());
			hold(all);
			PopActiveSnapshot();
			SPI_finish();
		}
		CommitTransactionCommand();
	}
	PG_FINALLY();
	{
		batch.count = 0;
	}
	PG_END_TRY();
	memcpy(gone, batch.settled, count * sizeof(bool));
}

/* What goes to the target column, and whether that is the picture itself. */
static Datum
target_value(ImgJob *job)
{
	switch (img_column_type(job->row.table, job->row.target_column))
	{
		case UUIDOID:			/* written when the job was submitted */
			return UUIDPGetDatum(&job->id);
		case TEXTOID:
		case VARCHAROID:
			return CStringGetTextDatum(img_result_uri(job));
		default:
			job->in_row = true;
			return PointerGetDatum(img_output_bytes(job->answer.output));
	}
}

typedef struct Write
{
	int			i;				/* place in the batch */
	ImgRowState state;
} Write;

static void
write_step(ImgJob *job, void *arg)
{
	Write	   *write = arg;
	Datum		value = target_value(job);
	ImgIdentity before;
	ConstraintsSetStmt immediately = {.type = T_ConstraintsSetStmt, .constraints = NIL, .deferred = false};

	/* What users' triggers do is theirs, but it may not stop the others. */
	enable_timeout_after(STATEMENT_TIMEOUT, WRITE_MS);
	img_become(job->owner, true, &before);
	/* Deferred triggers would run at the end, with our rights: none is let be. */
	AfterTriggerSetState(&immediately);
	img_writing = &job->row;
	write->state = img_row_write(&job->row, &job->image, value);
	img_writing = NULL;
	img_resume(&before);
	disable_timeout(STATEMENT_TIMEOUT, false);
}

static bool
write_to_row(ImgJob *job, Write *write)
{
	if (img_guarded(job, "store", write_step, write))
		return true;
	img_writing = NULL;
	disable_timeout(STATEMENT_TIMEOUT, false);
	return false;
}

/* Writes the result of a trigger's job to its row, or of a file's beside it. */
static void
write_target(int i)
{
	ImgJob	   *job = batch.job[i];
	Write		write = {.i = i};

	/* If it fails, the job has been ended anew, as failed. */
	dlist_delete(&job->node);
	img_dispatcher.nended--;
	if (!(job->folder || job->deletes ? img_change_files(job, &write.state) : write_to_row(job, &write)))
		return;
	if (write.state == IMG_ROW_LOCKED &&
		(++job->settle_locked >= MOST_LOCKED || img_dispatcher.nended >= MOST_WAITING))
	{
		img_job_end(job, IMG_END_POSTPONED);
		return;
	}
	if (write.state == IMG_ROW_FOUND || write.state == IMG_ROW_LOCKED)
	{
		dlist_push_tail(&img_dispatcher.ended, &job->node);
		img_dispatcher.nended++;
		if (write.state == IMG_ROW_LOCKED)
		{
			batch.held[i] = false;
			postpone(job);
		}
		else
			batch.settled[i] = job->deletes;
		return;
	}
	job->failure.stage = "store";
	job->failure.message = job->folder ? "the file has changed meanwhile, or is gone" :
		write.state == IMG_ROW_GONE ? "the row is gone" : "the picture in the row has changed meanwhile";
	img_job_end(job, IMG_END_CANCELLED);
}

/* The outputs of all jobs of the batch that went well; how many. */
static int
collect_outcomes(Oid type, Datum **outcomes)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(type, -1);
	int			most = 0;
	int			n = 0;

	for (int i = 0; i < batch.count; i++)
		most += batch.job[i]->answer.outputs;
	*outcomes = palloc(most * sizeof(Datum));
	for (int i = 0; i < batch.count; i++)
		if (batch.held[i] && batch.job[i]->end == IMG_END_DONE)
			for (int j = 0; j < batch.job[i]->answer.outputs; j++)
				(*outcomes)[n++] = img_outcome(batch.job[i], j, desc);
	ReleaseTupleDesc(desc);
	return n;
}

static void
finish_done(void)
{
	Oid			type = img_type("img_outcome");
	Datum	   *outcomes;
	Datum		values[2] = {CStringGetTextDatum(img_dispatcher.name)};
	int			n = collect_outcomes(type, &outcomes);

	if (n == 0)
		return;
	values[1] = PointerGetDatum(construct_array(outcomes, n, type, -1, false, TYPALIGN_DOUBLE));
	img_execute(&finish, values, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool		isnull;
		int			i = find_in_batch(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1, &isnull));

		batch.settled[i] = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 2, &isnull));
		if (batch.settled[i] && imgapi_notify)
			Async_Notify("img_job", DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&batch.job[i]->id))));
	}
	SPI_freetuptable(SPI_tuptable);
	for (int i = 0; i < batch.count; i++)
		if (batch.held[i] && batch.settled[i] && batch.job[i]->end == IMG_END_DONE)
			img_store_large_results(batch.job[i]);
}

static void
settle_batch(void)
{
	hold_batch();
	for (int i = 0; i < batch.count; i++)
	{
		ImgJob	   *job = batch.job[i];

		if (!batch.held[i] || job->end != IMG_END_DONE)
			continue;
		if (job->row.target_column != NULL || job->folder != NULL || job->deletes)
			write_target(i);
	}
	finish_done();
	for (int i = 0; i < batch.count; i++)
		if (batch.held[i] && batch.job[i]->end != IMG_END_DONE)
			batch.settled[i] = img_say_unfinished(batch.job[i]);
	/* somebody has locked them */
	for (int i = 0; i < batch.count; i++)
		if (!batch.settled[i])
			postpone(batch.job[i]);
}

/* After the commit: the jobs are no longer ours. */
static void
forget_settled(void)
{
	bool		retry = false;

	for (int i = 0; i < batch.count; i++)
	{
		ImgJob	   *job = batch.job[i];

		if (!batch.settled[i])
			continue;
		if (job->end == IMG_END_DONE)
			img_dispatcher.slot->status.jobs_done++;
		else if (job->end == IMG_END_FAILED)
			img_dispatcher.slot->status.jobs_failed++;
		retry = retry || job->end == IMG_END_POSTPONED || (job->end == IMG_END_FAILED && job->failure.transient);
		dlist_delete(&job->node);
		img_dispatcher.nended--;
		if (job->reused)
			img_dispatcher.reused_bytes -= job->reused_bytes;
		img_job_forget(job);
	}
	/* There is a new time to wake at. */
	if (retry)
		img_dispatcher.look = true;
	ConditionVariableBroadcast(&img_dispatcher.slot->ended);
}

/* One transaction could not be written: that must not hold up the others. */
void
img_settle_failed(const char *message)
{
	for (int i = 0; i < batch.count; i++)
	{
		ImgJob	   *job = batch.job[i];

		job->settle_errors++;
		postpone(job);
		if (job->settle_errors < 3 || job->end == IMG_END_FAILED)
			continue;
		dlist_delete(&job->node);
		img_dispatcher.nended--;
		job->settle_after = 0;
		img_job_fail(job, ERRCODE_SYSTEM_ERROR, "store", false, message, NULL);
	}
	img_dispatcher.settle_singly = true;
	batch.count = 0;
}

void
img_settle(void)
{
	collect(img_dispatcher.settle_singly ? 1 : BATCH);
	if (batch.count == 0)
		return;
	StartTransactionCommand();
	img_dispatcher.gone = img_home_of_extension() == NULL;
	if (!img_dispatcher.gone)
	{
		SPI_connect();
		PushActiveSnapshot(GetTransactionSnapshot());
		settle_batch();
		PopActiveSnapshot();
		SPI_finish();
		ForceSyncCommit();
	}
	CommitTransactionCommand();
	forget_settled();
	batch.count = 0;
	if (img_dispatcher.nended == 0)
		img_dispatcher.settle_singly = false;
}
