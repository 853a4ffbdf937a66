/*
 * dispatcher_remote.c
 *	  Jobs that servers do: one call after the other.
 *
 * Runs in a dispatcher.  A job on the list "remote" has been claimed and is, or
 * is going to be, with the API of a server.  What the next step is, is decided
 * in SQL (dispatcher_step.c), in a transaction that is waited for; calls are made when it has committed, and answers are kept
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
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

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
	/* its server may take another */
	img_api_leave(job->remote->api);
}

void
img_remote_wait(ImgJob *job, ImgRemotePhase phase, double seconds)
{
	job->remote->phase = phase;
	job->remote->wait_until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), (int64) (Max(seconds, 0) * 1000));
}

void
img_remote_cancelled(ImgJob *job, const char *message)
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
	TimestampTz now = GetCurrentTimestamp();
	dlist_mutable_iter iter;

	img_steps_start();
	dlist_foreach_modify(iter, &img_dispatcher.remote)
	{
		ImgJob	   *job = dlist_container(ImgJob, node, iter.cur);
		ImgRemoteJob *r = job->remote;

		if (!is_due(job, now))
			continue;
		r->before = r->phase;
		job->uncommitted = true;
		if (r->phase == IMG_REMOTE_NEW)
		{
			/* nearly all are submitted at once */
			r->api->begun++;
			r->api->submits++;
		}
		img_step_add(job);
	}
	img_steps_finish();
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
		img_remote_wait(job, job->remote->before, IMG_REMOTE_AGAIN_MS / 1000.0);
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
	img_remote_cancelled(job, NULL);
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
