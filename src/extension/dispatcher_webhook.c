/*
 * dispatcher_webhook.c
 *	  Jobs of servers that have said something of them: they need not wait for
 *	  their next poll.
 *
 * Runs in a dispatcher.  img_webhook() has kept what came, and counts in shared
 * memory that it did.  A body that proves that the job has ended is taken for
 * the answer to a poll.  Any other has the job polled at once, but no more than
 * once in poll_interval, however many come.
 *
 * While a request of a job is under way, what came is put aside until its
 * answer has been taken in.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "extension/dispatcher_remote.h"
#include "extension/home.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define HTTP_OK		200

static ImgStatement take = {
	"SELECT * FROM $S.img_webhook_take($1)", 1, {TEXTOID}
};

static void
poll_soon(ImgRemoteJob *r)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz earliest = Max(now, TimestampTzPlusMilliseconds(r->woken_at, r->api->poll_interval));

	if (r->wait_until <= earliest)
		return;
	r->wait_until = r->woken_at = earliest;
}

void
img_remote_woken(ImgJob *job)
{
	ImgRemoteJob *r = job->remote;

	if (!r->woken)
		return;
	r->woken = false;
	if (strcmp(r->next, "poll") != 0)
		return;
	if (r->said != NULL)
	{
		bytea	   *body = r->said;

		r->said = NULL;
		img_remote_answer(job, "poll", "POST", psprintf("/webhook/%s", job->server), HTTP_OK, body);
	}
	else
		poll_soon(r);
}

/* What came of a job; body NULL: it has to be polled. */
static void
put_aside(ImgJob *job, const bytea *body)
{
	ImgRemoteJob *r = job->remote;

	r->woken = true;
	if (body == NULL)
		return;
	if (r->said != NULL)
		pfree(r->said);
	r->said = MemoryContextAlloc(job->context, VARSIZE_ANY(body));
	memcpy(r->said, body, VARSIZE_ANY(body));
}

static int
compare_ids(const void *id, const void *row)
{
	bool		isnull;
	Datum		value = SPI_getbinval(*(const HeapTuple *) row, SPI_tuptable->tupdesc, 1, &isnull);

	return memcmp(id, DatumGetUUIDP(value), UUID_LEN);
}

/* Rows are in the order of ids. */
static void
find_jobs(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &img_dispatcher.remote)
	{
		ImgJob	   *job = dlist_container(ImgJob, node, iter.cur);
		HeapTuple  *row = bsearch(&job->id, SPI_tuptable->vals, SPI_processed, sizeof(HeapTuple), compare_ids);
		bool		isnull;
		Datum		body;

		if (row == NULL)
			continue;
		body = SPI_getbinval(*row, SPI_tuptable->tupdesc, 2, &isnull);
		put_aside(job, isnull ? NULL : PG_DETOAST_DATUM(body));
		if (job->remote->phase == IMG_REMOTE_WAITING)
			img_remote_woken(job);
	}
}

void
img_webhooks_take(void)
{
	static bool taken = false;
	static uint32 seen = 0;
	uint32		webhooks = pg_atomic_read_u32(&img_dispatcher.slot->webhooks);
	Datum		worker;

	if (taken && webhooks == seen)
		return;
	StartTransactionCommand();
	img_dispatcher.gone = img_home_of_extension() == NULL;
	if (!img_dispatcher.gone)
	{
		SPI_connect();
		PushActiveSnapshot(GetTransactionSnapshot());
		worker = CStringGetTextDatum(img_dispatcher.name);
		img_execute(&take, &worker, NULL);
		find_jobs();
		PopActiveSnapshot();
		SPI_finish();
	}
	CommitTransactionCommand();
	taken = true;
	seen = webhooks;
}
