/*
 * dispatcher_callback.c
 *	  Callbacks of jobs that have ended: img_callback.
 *
 * Runs in a dispatcher, in transactions of its own, so that nothing that goes
 * wrong here meets a job.  A callback in hand is on one list until what came of
 * it has been written down.  Requests are made once their claim has committed;
 * if that commit is lost in a crash, the callback is sent again.
 *
 * A receiver has at most MOST_EACH requests under way, and all together have at
 * most MOST_CALLBACKS of the fetcher's places: the rest is left to jobs.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "extension/callback.h"
#include "extension/dispatcher_network.h"
#include "extension/home.h"
#include "extension/settings.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define MOST_CALLBACKS	96
#define MOST_EACH		16
/* A receiver has to answer within this. */
#define CONNECT_MS		5000
#define TOTAL_MS		10000
/* What it answers is not read, but it may say something. */
#define MAX_ANSWER		(64 * 1024)
/* Retry-After is heeded so far. */
#define MOST_PAUSE		86400
/* The longest time without a look. */
#define LOOK_MS			60000
/* Before looking again for what somebody else has locked. */
#define LOCKED_MS		100
/* After an error, or for rows that are locked when there is something to say. */
#define AGAIN_MS		1000
/* Answers are collected for so long. */
#define COLLECT_MS		10

static ImgStatement rescue = {
	"SELECT $S.img_callback_rescue($1)", 1, {TEXTOID}
};
static ImgStatement claim = {
	"SELECT * FROM $S.img_callback_claim($1, $2, " CppAsString2(MOST_EACH) ", $3, $4, $5)",
	5, {TEXTOID, INT4OID, TEXTARRAYOID, INT4ARRAYOID, TEXTOID}
};
static ImgStatement next_due = {
	"SELECT $S.img_callback_next_due($1)", 1, {TEXTARRAYOID}
};
static ImgStatement said = {
	"SELECT $S.img_callback_said($1, $2, $3, $4, $5, $6)",
	6, {TEXTOID, UUIDARRAYOID, TEXTARRAYOID, INT4ARRAYOID, TEXTARRAYOID, INT4ARRAYOID}
};

typedef struct Callback
{
	dlist_node	node;
	MemoryContext context;		/* holds it and all it points to */
	pg_uuid_t	id;
	char	   *host;
	char	   *url;
	char	   *signature;
	bytea	   *body;
	const char *state;			/* img_callback.state, once it is known */
	int			status;
	int			retry_after;
	char	   *error;			/* or NULL */
} Callback;

static dlist_head in_hand = DLIST_STATIC_INIT(in_hand);
static int	ncallbacks = 0;
static int	nknown = 0;			/* of them, those with a state */
static dlist_head claimed = DLIST_STATIC_INIT(claimed); /* in a transaction that has not ended */
static char turn[256] = "";	/* host that was served last */
static TimestampTz look_at = 0;
static TimestampTz say_at = 0;

/* ------------------------------------------------------------------ when --- */

void
img_callback_soon(void)
{
	look_at = 0;
}

/* Somebody has committed a callback. */
static void
heed_wakes(void)
{
	static uint32 seen = 0;
	uint32		callbacks = pg_atomic_read_u32(&img_dispatcher.slot->callbacks);

	if (callbacks != seen)
		look_at = 0;
	seen = callbacks;
}

long
img_callback_in(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long		wait = ncallbacks < MOST_CALLBACKS ? TimestampDifferenceMilliseconds(now, look_at) : LOOK_MS;

	return nknown > 0 ? Min(wait, TimestampDifferenceMilliseconds(now, say_at)) : wait;
}

/* --------------------------------------------------------------- answers --- */

/* It is known what came of it. */
static void
know(Callback *callback, const char *state, const char *error, int retry_after)
{
	callback->state = state;
	callback->error = error ? MemoryContextStrdup(callback->context, error) : NULL;
	callback->retry_after = Min(retry_after, MOST_PAUSE);
	if (nknown++ == 0)
		say_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), COLLECT_MS);
}

static void
read_status(Callback *callback, int status, int64 retry_after)
{
	callback->status = status;
	if (status >= 200 && status < 300)
		know(callback, "sent", NULL, 0);
	else
		know(callback, status == 408 || status == 429 || status >= 500 ? "waiting" : "failed",
			 psprintf("the receiver answered with status %d%s", status,
					  status / 100 == 3 ? ", a redirect, and those are not followed" : ""),
			 Min(retry_after, MOST_PAUSE));
}

static void
answered(ImgTransfer *transfer, const ImgFetchReply *reply, int memfd)
{
	Callback   *callback = transfer->about;

	if (memfd >= 0)
		close(memfd);
	read_status(callback, reply->status, reply->retry_after);
	img_transfer_free(transfer);
}

static void
not_answered(ImgTransfer *transfer, const ImgRemoteFailure *failure)
{
	Callback   *callback = transfer->about;

	/* An answer that says too much is an answer. */
	if (transfer->reply->outcome == IMG_FETCH_LIMIT && transfer->reply->status != 0)
		read_status(callback, transfer->reply->status, transfer->reply->retry_after);
	else
		know(callback, failure->transient ? "waiting" : "failed", failure->message, 0);
	img_transfer_free(transfer);
}

/* -------------------------------------------------------------- requests --- */

/* What does not fit into a message has to be in a memfd. */
static void
give_body(ImgTransfer *transfer, bytea *body)
{
	transfer->body.length = VARSIZE(body) - VARHDRSZ;
	if (transfer->body.length <= IMG_FETCH_INLINE)
	{
		transfer->body.data = VARDATA(body);
		return;
	}
	transfer->memfd = transfer->body.memfd = img_new_memfd();
	if (img_write_all(transfer->memfd, VARDATA(body), transfer->body.length, 0) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not write to a memory file: %m")));
}

static void
post(Callback *callback)
{
	ImgTransfer *transfer = img_transfer_make(callback->context, NULL);
	MemoryContext before = MemoryContextSwitchTo(transfer->context);

	transfer->about = callback;
	transfer->done = answered;
	transfer->failed = not_answered;
	transfer->any_status = true;
	transfer->committed = true;
	transfer->max_answer = MAX_ANSWER;
	transfer->request = (ImgHttpRequest) {
		.method = "POST", .url = callback->url,
		/* the last: not to be asked first whether it wants the body */
		.headers = list_make3(pstrdup("Content-Type: application/json"),
							  psprintf("Imgapi-Signature: %s", callback->signature), pstrdup("Expect:")),
		.allow_private = imgapi_allow_private_networks, .timeout = TOTAL_MS, .connect_timeout = CONNECT_MS
	};
	give_body(transfer, callback->body);
	MemoryContextSwitchTo(before);
	img_transfer_start(transfer);
}

/* After the commit. */
static void
post_claimed(void)
{
	while (!dlist_is_empty(&claimed))
	{
		Callback   *callback = dlist_container(Callback, node, dlist_pop_head_node(&claimed));

		dlist_push_tail(&in_hand, &callback->node);
		ncallbacks++;
		strlcpy(turn, callback->host, sizeof(turn));
		if (img_callback_port_is_allowed(callback->url))
			post(callback);
		else
			know(callback, "failed", "its port is not allowed any more: imgapi.callback_ports", 0);
	}
}

/* The transaction has failed. */
static void
forget_claimed(void)
{
	while (!dlist_is_empty(&claimed))
		MemoryContextDelete(dlist_container(Callback, node, dlist_pop_head_node(&claimed))->context);
}

/* ------------------------------------------------------------------ rows --- */

/* Ids of which no more is to be said. */
typedef struct Settled
{
	pg_uuid_t	id[MOST_CALLBACKS];
	int			count;
} Settled;

static void
say_step(void *arg)
{
	Settled    *settled = arg;
	Datum		ids[MOST_CALLBACKS];
	Datum		states[MOST_CALLBACKS];
	Datum		statuses[MOST_CALLBACKS];
	Datum		errors[MOST_CALLBACKS];
	Datum		pauses[MOST_CALLBACKS];
	bool		no_error[MOST_CALLBACKS];
	Datum		values[6] = {CStringGetTextDatum(img_dispatcher.name)};
	int			n = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &in_hand)
	{
		Callback   *callback = dlist_container(Callback, node, iter.cur);

		if (callback->state == NULL)
			continue;
		ids[n] = UUIDPGetDatum(&callback->id);
		states[n] = CStringGetTextDatum(callback->state);
		statuses[n] = Int32GetDatum(callback->status);
		no_error[n] = callback->error == NULL;
		errors[n] = callback->error ? CStringGetTextDatum(callback->error) : (Datum) 0;
		pauses[n++] = Int32GetDatum(callback->retry_after);
	}
	values[1] = img_array(ids, NULL, n, UUIDOID);
	values[2] = img_array(states, NULL, n, TEXTOID);
	values[3] = img_array(statuses, NULL, n, INT4OID);
	values[4] = img_array(errors, no_error, n, TEXTOID);
	values[5] = img_array(pauses, NULL, n, INT4OID);
	img_execute(&said, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;

		settled->id[settled->count++] = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
	}
}

/* Counts one more of a host; how many hosts there are now. */
static int
count_host(const char *host, const char **name, int *count, int n)
{
	int			i = 0;

	while (i < n && strcmp(name[i], host) != 0)
		i++;
	if (i == n)
	{
		name[n] = host;
		count[n++] = 0;
	}
	count[i]++;
	return n;
}

/* Hosts of what is in hand, and how many of each; how many hosts. */
static int
count_hosts(const char **name, int *count)
{
	int			n = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &in_hand)
		n = count_host(dlist_container(Callback, node, iter.cur)->host, name, count, n);
	dlist_foreach(iter, &claimed)
		n = count_host(dlist_container(Callback, node, iter.cur)->host, name, count, n);
	return n;
}

static char *
text_column(HeapTuple row, TupleDesc desc, int column)
{
	bool		isnull;

	return TextDatumGetCString(SPI_getbinval(row, desc, column, &isnull));
}

static void
take(HeapTuple row, TupleDesc desc)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "imgapi callback", ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	Callback   *callback = palloc0(sizeof(Callback));
	bool		isnull;

	callback->context = context;
	dlist_push_tail(&claimed, &callback->node);
	callback->id = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	callback->host = text_column(row, desc, 2);
	callback->url = text_column(row, desc, 3);
	callback->body = DatumGetByteaPCopy(SPI_getbinval(row, desc, 4, &isnull));
	callback->signature = text_column(row, desc, 5);
	MemoryContextSwitchTo(before);
}

static void
claim_due(void)
{
	const char *name[MOST_CALLBACKS];
	int			count[MOST_CALLBACKS];
	Datum		hosts[MOST_CALLBACKS];
	Datum		counts[MOST_CALLBACKS];
	int			n = count_hosts(name, count);
	Datum		values[5] = {CStringGetTextDatum(img_dispatcher.name), Int32GetDatum(MOST_CALLBACKS - ncallbacks)};

	for (int i = 0; i < n; i++)
	{
		hosts[i] = CStringGetTextDatum(name[i]);
		counts[i] = Int32GetDatum(count[i]);
	}
	values[2] = img_array(hosts, NULL, n, TEXTOID);
	values[3] = img_array(counts, NULL, n, INT4OID);
	values[4] = CStringGetTextDatum(turn);
	img_execute(&claim, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
		take(SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
}

/* When to look again; a host that has enough under way is left out until that
 * is less. */
static void
find_next(void)
{
	const char *name[MOST_CALLBACKS];
	int			count[MOST_CALLBACKS];
	Datum		hosts[MOST_CALLBACKS];
	int			n = count_hosts(name, count);
	int			nbusy = 0;
	TimestampTz now = GetCurrentTimestamp();
	Datum		value;
	Datum		due;
	bool		isnull;

	for (int i = 0; i < n; i++)
		if (count[i] >= MOST_EACH)
			hosts[nbusy++] = CStringGetTextDatum(name[i]);
	value = img_array(hosts, NULL, nbusy, TEXTOID);
	img_execute(&next_due, &value, NULL);
	due = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	look_at = TimestampTzPlusMilliseconds(now, LOOK_MS);
	if (!isnull && DatumGetTimestampTz(due) < look_at)
		look_at = DatumGetTimestampTz(due);
	/* one that somebody else has locked must not keep us busy */
	if (dlist_is_empty(&claimed) && look_at <= now)
		look_at = TimestampTzPlusMilliseconds(now, LOCKED_MS);
}

static void
claim_step(void *arg)
{
	static bool rescued = false;
	Datum		values[] = {CStringGetTextDatum(img_dispatcher.name)};

	/* what a worker that died had is due at once */
	if (!rescued)
		img_execute(&rescue, values, NULL);
	claim_due();
	find_next();
	rescued = true;
}

/* ------------------------------------------------------------- the turn --- */

/* A transaction of its own; false: it has failed, or there is no extension. */
static bool
in_transaction(void (*step) (void *arg), void *arg)
{
	ErrorData  *error = NULL;
	bool		done = false;

	StartTransactionCommand();
	img_dispatcher.gone = img_home_of_extension() == NULL;
	if (!img_dispatcher.gone)
	{
		SPI_connect();
		PushActiveSnapshot(GetTransactionSnapshot());
		error = img_try(step, arg);
		PopActiveSnapshot();
		SPI_finish();
		done = error == NULL;
	}
	if (error != NULL)
	{
		ereport(LOG, (errmsg("callbacks have to wait: %s", error->message)));
		strlcpy(img_dispatcher.slot->status.last_error, error->message, sizeof(img_dispatcher.slot->status.last_error));
	}
	CommitTransactionCommand();
	return done;
}

static void
forget(const pg_uuid_t *id)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &in_hand)
	{
		Callback   *callback = dlist_container(Callback, node, iter.cur);

		if (memcmp(callback->id.data, id->data, UUID_LEN) != 0)
			continue;
		dlist_delete(iter.cur);
		MemoryContextDelete(callback->context);
		ncallbacks--;
		nknown--;
		return;
	}
}

static void
say_known(void)
{
	Settled		settled = {.count = 0};

	if (in_transaction(say_step, &settled))
		for (int i = 0; i < settled.count; i++)
			forget(&settled.id[i]);
	if (nknown > 0)
		say_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), AGAIN_MS);
	/* they wait again, or have made room for their host */
	if (settled.count > 0)
		look_at = 0;
}

static void
claim_more(void)
{
	if (in_transaction(claim_step, NULL))
		post_claimed();
	else
	{
		forget_claimed();
		look_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), AGAIN_MS);
	}
}

void
img_callback_work(void)
{
	heed_wakes();
	forget_claimed();
	if (nknown > 0 && say_at <= GetCurrentTimestamp())
		say_known();
	if (ncallbacks < MOST_CALLBACKS && look_at <= GetCurrentTimestamp())
		claim_more();
}
