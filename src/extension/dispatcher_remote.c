/*
 * dispatcher_remote.c
 *	  Jobs that servers do: one call after the other.
 *
 * Runs in a dispatcher.  A job on the list "remote" has been claimed and is, or
 * is going to be, with the API of a server.  What the next step is, is decided
 * in SQL (img_remote_begin() and img_remote_answered()), in a transaction that
 * is waited for; calls are made when it has committed, and answers are kept
 * here until theirs has.  So the row says "submitting" before a submit is sent,
 * and has the server's id before anything else is done with it.  A submit is
 * sent once: who finds such a row, and has not the answer in hand, looks for the
 * job at the server, or fails it.
 *
 * Where the server is sent the bytes of the picture, they are fetched first, as
 * for our own executors.
 *
 * A server that says that it is asked too often is left alone for so long by all
 * its jobs.  No lock is waited for: a row that somebody else has is tried again.
 *
 * The results come back by way of dispatcher_download.c.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "extension/dispatcher_remote.h"
#include "extension/home.h"
#include "extension/remote_job.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* After a locked row or an error. */
#define AGAIN_MS		500
/* Attempts to write down what the answer to a submit was. */
#define MOST_TRIES		120

/* Columns of img_remote_step. */
enum
{
	ACTION = 1, WHAT, SECONDS, REMOTE_ID, URLS, NAMES, SQLSTATE, MESSAGE, HINT, STAGE, TRANSIENT,
	INPUT_FORMAT, INPUT_WIDTH, INPUT_HEIGHT
};

static ImgStatement begin = {
	"SELECT s.* FROM $S.img_remote_begin($1, $2, $3, $4, $5, $6, $7) s",
	7, {TEXTOID, UUIDOID, INT2OID, TEXTOID, TEXTOID, REGROLEOID, BOOLOID}
};
static ImgStatement take = {
	"SELECT s.* FROM $S.img_remote_answered($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) s",
	12, {TEXTOID, UUIDOID, INT2OID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID, TEXTOID, TEXTOID, BOOLOID, BYTEAOID}
};

static bool draining = false;

/* ---------------------------------------------------------------- jobs --- */

void
img_remote_job_plan(ImgJob *job, Jsonb *request)
{
	const ImgServer *server = img_remote_job_server(job->server, job->owner);
	MemoryContext before = MemoryContextSwitchTo(job->context);
	ImgRemoteJob *r = palloc0(sizeof(ImgRemoteJob));

	r->api = img_api_find(server);
	r->request = (Jsonb *) PG_DETOAST_DATUM_COPY(JsonbPGetDatum(request));
	img_compile_request(request, server->type->name, &job->request);
	if (job->input != NULL)
		job->name = img_input_name(job->input);
	job->remote = r;
	MemoryContextSwitchTo(before);
}

bool
img_remote_job_waits(const ImgJob *job)
{
	return job->server != NULL && !job->remote->arrived;
}

void
img_remote_take(ImgJob *job)
{
	job->remote->phase = IMG_REMOTE_NEW;
	dlist_push_tail(&img_dispatcher.remote, &job->node);
	img_dispatcher.nremote++;
}

void
img_remote_leave(ImgJob *job)
{
	dlist_delete(&job->node);
	img_dispatcher.nremote--;
	/* its server may take another */
	img_dispatcher.look = true;
}

void
img_remote_wait(ImgJob *job, ImgRemotePhase phase, double seconds)
{
	job->remote->phase = phase;
	job->remote->wait_until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), (int64) (Max(seconds, 0) * 1000));
}

/* --------------------------------------------------------------- steps --- */

static char *
column(int number)
{
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, number);
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

static void
end_cancelled(ImgJob *job, const char *message)
{
	img_transfers_give_up(job);
	job->transfers = 0;
	img_remote_leave(job);
	/* its server may have to be told */
	img_followup_soon();
	job->failure.message = message ? MemoryContextStrdup(job->context, message) : "it has been cancelled";
	job->failure.stage = "remote";
	img_job_end(job, IMG_END_CANCELLED);
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
	Datum		urls = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, URLS, &isnull);
	Datum		names = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, NAMES, &unnamed);

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
		img_remote_wait(job, r->phase, AGAIN_MS / 1000.0);
	else if (strcmp(action, "fail") == 0)
		fail(job);
	else if (strcmp(action, "gone") == 0)
		end_cancelled(job, NULL);
	else
		end_cancelled(job, column(MESSAGE));
}

static void
begin_job(ImgJob *job)
{
	ImgRowState row = img_fetch_row(job);

	if (row == IMG_ROW_FOUND)
	{
		const ImgServer *server = img_remote_job_server(job->server, job->owner);
		bool		uploads = img_remote_job_uploads(server->type, job->input);
		Datum		values[] = {
			CStringGetTextDatum(img_dispatcher.name), UUIDPGetDatum(&job->id), Int16GetDatum(job->attempt),
			CStringGetTextDatum(job->server), CStringGetTextDatum(server->type->name), ObjectIdGetDatum(job->owner),
			BoolGetDatum(!uploads || job->source.length > 0)
		};

		img_execute(&begin, values, NULL);
		act(job);
	}
	else if (row == IMG_ROW_LOCKED)
		img_remote_wait(job, IMG_REMOTE_NEW, AGAIN_MS / 1000.0);
	else
		end_cancelled(job, "the row, or its picture, is gone");
}

static void
take_answer(ImgJob *job)
{
	const ImgCallAnswer *answer = &job->remote->answer;
	Datum		values[] = {
		CStringGetTextDatum(img_dispatcher.name), UUIDPGetDatum(&job->id), Int16GetDatum(job->attempt),
		CStringGetTextDatum(answer->made.what), CStringGetTextDatum(answer->made.method), CStringGetTextDatum(answer->made.path),
		Int32GetDatum(answer->status), Int32GetDatum(answer->ms),
		answer->request_id ? CStringGetTextDatum(answer->request_id) : (Datum) 0,
		answer->status == 0 ? CStringGetTextDatum(answer->failure.message) : (Datum) 0, BoolGetDatum(answer->sent),
		PointerGetDatum(answer->body)
	};
	char		nulls[] = "            ";

	if (answer->status == 0)
		nulls[6] = nulls[11] = 'n';
	else
		nulls[9] = 'n';
	if (answer->request_id == NULL)
		nulls[8] = 'n';
	img_execute(&take, values, nulls);
	act(job);
}

static void
step(void *arg)
{
	ImgJob	   *job = arg;

	if (job->remote->phase == IMG_REMOTE_NEW)
		begin_job(job);
	else if (job->remote->phase == IMG_REMOTE_ANSWERED)
		take_answer(job);
	else
		call_next(job);
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
		img_remote_wait(job, r->before, AGAIN_MS / 1000.0);
		return;
	}
	img_remote_leave(job);
	img_job_fail(job, error->sqlerrcode, r->before == IMG_REMOTE_NEW ? "submit" : r->before == IMG_REMOTE_ANSWERED ? r->answer.made.what : r->next,
				 false, error->message, error->hint);
}

static bool
may_begin(const ImgApi *api)
{
	return api->begun < api->max_concurrency && api->submits < api->max_connections;
}

static bool
is_due(ImgJob *job, TimestampTz now)
{
	ImgRemoteJob *r = job->remote;

	if (r->wait_until > now || r->phase == IMG_REMOTE_CALLING || r->phase == IMG_REMOTE_DOWNLOADING)
		return false;
	if (r->phase == IMG_REMOTE_ANSWERED)
		return true;
	return !draining && r->api->not_before <= now && (r->phase == IMG_REMOTE_WAITING || may_begin(r->api));
}

static bool
any_is_due(void)
{
	TimestampTz now = GetCurrentTimestamp();
	dlist_iter	iter;

	if (dlist_is_empty(&img_dispatcher.remote))
		return false;
	img_apis_count();
	dlist_foreach(iter, &img_dispatcher.remote)
		if (is_due(dlist_container(ImgJob, node, iter.cur), now))
			return true;
	return false;
}

static void
do_steps(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &img_dispatcher.remote)
	{
		ImgJob	   *job = dlist_container(ImgJob, node, iter.cur);
		ImgRemoteJob *r = job->remote;
		ErrorData  *error;

		if (!is_due(job, GetCurrentTimestamp()))
			continue;
		r->before = r->phase;
		job->uncommitted = true;
		error = img_try(step, job);
		if (error != NULL)
			step_failed(job, error);
		else if (r->before == IMG_REMOTE_NEW && r->phase == IMG_REMOTE_CALLING)
		{
			r->api->begun++;
			r->api->submits += strcmp(r->call.what, "submit") == 0;
		}
	}
}

void
img_remote_work(void)
{
	dlist_iter	iter;

	if (!any_is_due() && !img_followup_is_due())
		return;
	StartTransactionCommand();
	img_dispatcher.gone = img_home_of_extension() == NULL;
	if (!img_dispatcher.gone)
	{
		SPI_connect();
		PushActiveSnapshot(GetTransactionSnapshot());
		do_steps();
		img_followup_work();
		PopActiveSnapshot();
		SPI_finish();
		/* "submitting" before it is sent, the id before it is used */
		ForceSyncCommit();
	}
	CommitTransactionCommand();
	dlist_foreach(iter, &img_dispatcher.remote)
	{
		ImgJob	   *job = dlist_container(ImgJob, node, iter.cur);

		job->uncommitted = false;
		if (job->remote->phase == IMG_REMOTE_WAITING)
			img_remote_woken(job);
	}
	img_transfers_commit();
}

/* The requests that it made are taken back by img_network_undo(). */
void
img_remote_undo(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &img_dispatcher.remote)
	{
		ImgJob	   *job = dlist_container(ImgJob, node, iter.cur);

		if (!job->uncommitted)
			continue;
		job->uncommitted = false;
		job->transfers = 0;
		img_remote_wait(job, job->remote->before, AGAIN_MS / 1000.0);
	}
}

long
img_remote_in(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long		wait = img_followup_in();
	dlist_iter	iter;
	ListCell   *cell;

	img_apis_count();
	foreach(cell, img_apis)
		if (((ImgApi *) lfirst(cell))->not_before > now)
			wait = Min(wait, TimestampDifferenceMilliseconds(now, ((ImgApi *) lfirst(cell))->not_before));
	dlist_foreach(iter, &img_dispatcher.remote)
	{
		ImgRemoteJob *r = dlist_container(ImgJob, node, iter.cur)->remote;

		if (r->phase == IMG_REMOTE_CALLING || r->phase == IMG_REMOTE_DOWNLOADING || (r->phase == IMG_REMOTE_NEW && !may_begin(r->api)))
			continue;
		if (r->phase != IMG_REMOTE_ANSWERED && r->api->not_before > now)
			continue;
		wait = Min(wait, TimestampDifferenceMilliseconds(now, r->wait_until));
	}
	return wait;
}

/* ------------------------------------------------------------ the rest --- */

void
img_remote_end(ImgJob *job)
{
	end_cancelled(job, NULL);
}

bool
img_remote_is_submitting(const ImgJob *job)
{
	const ImgRemoteJob *r = job->remote;

	return (r->phase == IMG_REMOTE_CALLING && strcmp(r->call.what, "submit") == 0) ||
		(r->phase == IMG_REMOTE_ANSWERED && strcmp(r->answer.made.what, "submit") == 0);
}

bool
img_remote_drain(void)
{
	draining = true;
	img_transfers_receive();
	img_network_work();
	img_remote_work();
	(void) img_transfers_send();
	img_apis_count();
	for (int i = 0; i < list_length(img_apis); i++)
		if (((ImgApi *) list_nth(img_apis, i))->submits > 0)
			return false;
	return true;
}
