/*
 * dispatcher_claim.c
 *	  From the queue to the executors, in one short transaction.
 *
 * Claims as many jobs as the executors have room for, fetches pictures for
 * those that can be sent at once, and commits.  Only then are they sent, so
 * that no executor works on a job that is not claimed.  The commit is not
 * waited for (synchronous_commit is off in a dispatcher): a claim that is lost
 * in a crash is a job that waits.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "extension/dispatcher_network.h"
#include "extension/home.h"
#include "extension/remote.h"
#include "extension/settings.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

static ImgStatement claim = {
	"SELECT * FROM $S.img_claim($1, $2, '" IMG_LEASE "', $3)", 3, {TEXTOID, INT4OID, TEXTARRAYOID}
};

static ImgStatement next_due = {
	"SELECT $S.img_next_due($1)", 1, {TEXTARRAYOID}
};

/* Results that wait to be settled, above which nothing is claimed. */
#define MOST_ENDED	128
/* Jobs on the network: so many may hang before others wait for them.  Results
 * take memory. */
#define MOST_NETWORK	2048
#define MOST_STORING	256
/* The most in one claim, and when it is worth another. */
#define MOST_CLAIMED	256
#define NETWORK_ROOM	32
/* A claim passes by all jobs in hand.  So of those on the network that have not
 * got their turn no more are claimed than there are at least, unless executors
 * wait: there may be work for them behind. */
#define LEAST_BACKLOG	128
#define BACKLOG_MS		20
/* Bytes of results taken over, above which no more are until those are settled. */
#define MOST_REUSED	(8 * 1024 * 1024)

/* Columns of img_claim(). */
enum
{
	C_ID = 1, C_ATTEMPT, C_MAX_ATTEMPTS, C_OWNER, C_KIND, C_REQUEST,
	C_SOURCE_TABLE, C_SOURCE_COLUMN, C_SOURCE_KEY, C_TARGET_COLUMN, C_INPUT, C_SERVER
};

static char *
text_column(HeapTuple row, TupleDesc desc, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* The job of a claimed row, in a memory context of its own. */
static ImgJob *
make_job(HeapTuple row, TupleDesc desc)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "imgapi job", ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	ImgJob	   *job = palloc0(sizeof(ImgJob));
	bool		isnull;

	job->context = context;
	job->id = *DatumGetUUIDP(SPI_getbinval(row, desc, C_ID, &isnull));
	job->attempt = DatumGetInt16(SPI_getbinval(row, desc, C_ATTEMPT, &isnull));
	job->owner = DatumGetObjectId(SPI_getbinval(row, desc, C_OWNER, &isnull));
	job->row.table = DatumGetObjectId(SPI_getbinval(row, desc, C_SOURCE_TABLE, &isnull));
	if (isnull)
		job->row.table = InvalidOid;
	job->row.source_column = text_column(row, desc, C_SOURCE_COLUMN);
	job->row.key = text_column(row, desc, C_SOURCE_KEY);
	job->row.target_column = text_column(row, desc, C_TARGET_COLUMN);
	job->input = text_column(row, desc, C_INPUT);
	job->server = text_column(row, desc, C_SERVER);
	job->deletes = strcmp(SPI_getvalue(row, desc, C_KIND), "delete") == 0;
	job->source.memfd = job->other.memfd = -1;
	MemoryContextSwitchTo(before);
	return job;
}

void
img_body_close(ImgBody *body)
{
	if (body->length > 0 && body->memfd >= 0)
		close(body->memfd);
	body->length = 0;
}

void
img_job_forget(ImgJob *job)
{
	if (job->transfers > 0)
		img_transfers_give_up(job);
	img_body_close(&job->source);
	img_body_close(&job->other);
	img_upload_close(job);
	img_remote_forget(job);
	for (int i = 0; i < job->answer.outputs; i++)
		if (job->answer.output[i].memfd >= 0)
			close(job->answer.output[i].memfd);
	MemoryContextDelete(job->context);
}

static void
claim_jobs(int count)
{
	bool		no_servers;
	Datum		values[] = {CStringGetTextDatum(img_dispatcher.name), Int32GetDatum(count), img_remote_busy(&no_servers)};
	SPITupleTable *rows;
	uint64		n;

	img_execute(&claim, values, no_servers ? "  n" : NULL);
	rows = SPI_tuptable;
	n = SPI_processed;
	for (uint64 i = 0; i < n; i++)
	{
		ImgJob	   *job = make_job(rows->vals[i], rows->tupdesc);
		bool		isnull;
		Jsonb	   *request = DatumGetJsonbP(SPI_getbinval(rows->vals[i], rows->tupdesc, C_REQUEST, &isnull));

		if (job->deletes)
			img_job_end(job, IMG_END_DONE); /* as good as: see img_change_files() */
		if (job->deletes || !img_plan_job(job, request))
			continue;
		dlist_push_tail(&img_dispatcher.claimed, &job->node);
		img_dispatcher.nclaimed++;
	}
	/* Fewer than asked for: nothing else is due. */
	img_dispatcher.look = n == (uint64) count;
	SPI_freetuptable(rows);
}

/*
 * Finds out when the next waiting job is due, and tells submitters that until
 * then they need not wake us.  Not part of the claim, so that no executor waits
 * for it.
 */
void
img_publish_next_due(void)
{
	if (img_dispatcher.look || img_dispatcher.due_known)
		return;
	StartTransactionCommand();
	img_dispatcher.gone = img_home_of_extension() == NULL;
	if (!img_dispatcher.gone)
	{
		bool		isnull;
		Datum		busy;
		Datum		due;

		SPI_connect();
		PushActiveSnapshot(GetTransactionSnapshot());
		busy = img_remote_busy(&isnull);
		img_execute(&next_due, &busy, isnull ? "n" : NULL);
		due = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
		if (!isnull)
			pg_atomic_write_u64(&img_dispatcher.slot->next_due, (uint64) DatumGetTimestampTz(due));
		PopActiveSnapshot();
		SPI_finish();
	}
	CommitTransactionCommand();
	img_dispatcher.due_known = true;
}

/* Those that are not in the database need no executor yet. */
static bool
take_remote(void)
{
	dlist_mutable_iter iter;
	bool		for_servers = false;

	dlist_foreach_modify(iter, &img_dispatcher.claimed)
	{
		ImgJob	   *job = dlist_container(ImgJob, node, iter.cur);

		if (!img_remote_job_waits(job) && !img_needs_network(job))
			continue;
		dlist_delete(iter.cur);
		img_dispatcher.nclaimed--;
		if (img_remote_job_waits(job))
		{
			img_remote_take(job);
			for_servers = true;
		}
		else
			img_network_take(job);
	}
	if (img_dispatcher.nnetwork == 0)
		img_dispatcher.network_jobs = false;
	return for_servers;
}

/* Gives executors with room what has come over the network; outside of a
 * transaction. */
static bool
feed_fetched(void)
{
	bool		fed = false;
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &img_dispatcher.claimed)
	{
		ImgJob	   *job = dlist_container(ImgJob, node, iter.cur);
		ImgStation *station = img_station_for(0);
		ImgInput	input;

		/* the others in their order */
		if (station == NULL || img_remote_job_waits(job) || !img_fetched(job, &input))
			break;
		dlist_delete(&job->node);
		img_dispatcher.nclaimed--;
		img_station_put(station, job, &input);
		fed = true;
	}
	if (fed)
		img_stations_send();
	return fed;
}

/* Fetches pictures for executors with room. */
static bool
feed(void)
{
	bool		fed = false;

	while (img_dispatcher.nclaimed > 0 && img_dispatcher.reused_bytes < MOST_REUSED)
	{
		ImgStation *station = img_station_for(0);
		ImgJob	   *job;
		ImgInput	input;

		if (station == NULL)
			break;
		job = dlist_head_element(ImgJob, node, &img_dispatcher.claimed);
		dlist_delete(&job->node);
		img_dispatcher.nclaimed--;
		if (img_remote_job_waits(job))
		{
			img_remote_take(job);
			continue;
		}
		if (!img_fetch(job, &input))
			continue;
		img_station_put(station, job, &input);
		/* what the database has can be read again, should the executor die */
		if ((job->input == NULL || !img_is_remote(job->input)) && job->server == NULL)
			img_body_close(&job->source);
		fed = true;
		/* The copy is in SPI's memory until the transaction ends. */
		if (img_input_length(&input) > 256 * 1024)
			break;
	}
	return fed;
}

static TimestampTz claimed_at = 0;

/* ms until more jobs are claimed although many wait for the network; 0: now. */
static long
backlog_in(void)
{
	int			backlog = img_dispatcher.nnetwork - img_dispatcher.nreading - img_dispatcher.nstoring;

	if (backlog <= LEAST_BACKLOG)
		return 0;
	if (img_dispatcher.nclaimed + img_dispatcher.nsent > 0)
		return 60 * 1000;
	return TimestampDifferenceMilliseconds(GetCurrentTimestamp(), TimestampTzPlusMilliseconds(claimed_at, BACKLOG_MS));
}

long
img_claim_in(void)
{
	long		wait = backlog_in();

	if (!img_dispatcher.look || !img_dispatcher.network_jobs || img_dispatcher.nnetwork >= MOST_NETWORK)
		return 60 * 1000;
	/* else it is not they that put it off */
	return wait > 0 ? wait : 60 * 1000;
}

/* How many jobs to claim. */
static int
claimable(void)
{
	int			in_hand = img_dispatcher.nclaimed + img_dispatcher.nsent;
	int			room = img_stations_ahead() - in_hand;

	/* Those on the network wait for others, not for us: many at once. */
	if (img_dispatcher.network_jobs && img_dispatcher.nclaimed < MOST_CLAIMED / 4)
	{
		room = backlog_in() > 0 ? 0 : MOST_NETWORK - img_dispatcher.nnetwork - img_dispatcher.nclaimed;
		in_hand = NETWORK_ROOM;
	}

	/* What cannot be written down must not pile up. */
	if (img_dispatcher.nended > MOST_ENDED || img_dispatcher.nstoring > MOST_STORING)
		return 0;
	/* A claim costs as much for twenty jobs as for one. */
	if (room < in_hand)
		return 0;

	if (imgapi_max_inflight > 0)
		room = Min(room, imgapi_max_inflight - img_dispatcher.nclaimed - img_dispatcher.nsent -
				   img_dispatcher.nnetwork - img_dispatcher.nended);
	return Max(0, Min(room, MOST_CLAIMED));
}

/* One transaction; false: there is nothing more to do for now. */
static bool
claim_and_send_some(void)
{
	bool		fed = feed_fetched();
	int			count = img_dispatcher.look ? claimable() : 0;
	int			on_network = img_dispatcher.nnetwork;
	bool		for_servers;

	if (count == 0 && (img_dispatcher.nclaimed == 0 || img_station_for(0) == NULL))
		return false;
	StartTransactionCommand();
	img_dispatcher.gone = img_home_of_extension() == NULL;
	if (img_dispatcher.gone)
	{
		CommitTransactionCommand();
		return false;
	}
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (count > 0)
	{
		/* Whoever commits from now on wakes us: see img_wake() */
		pg_atomic_write_u64(&img_dispatcher.slot->next_due, (uint64) DT_NOEND);
		pg_memory_barrier();
		img_dispatcher.due_known = false;
		claim_jobs(count);
		claimed_at = GetCurrentTimestamp();
	}
	fed = feed() || fed;
	PopActiveSnapshot();
	SPI_finish();
	CommitTransactionCommand();
	img_stations_send();
	for_servers = take_remote();
	/* jobs for others left executors without work: claim more */
	return fed || for_servers || img_dispatcher.nnetwork > on_network;
}

void
img_claim_and_send(void)
{
	while (claim_and_send_some())
		;
}
