/*
 * dispatcher_followup.c
 *	  Calls to servers for jobs that have ended: img_remote_followup.
 *
 * Runs in a dispatcher.  A row is taken in the transaction in which the call is
 * made; one whose answer is lost, be it with us, is due again later.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "extension/dispatcher_remote.h"
#include "extension/home.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Calls in hand. */
#define MOST_CALLS		16
/* The longest time without a look. */
#define LOOK_MS			60000
/* Before saying again what became of a call whose row was locked. */
#define AGAIN_MS		1000

static ImgStatement rescue = {
	"SELECT $S.img_remote_followup_rescue()", 0, {0}
};
static ImgStatement claim = {
	"SELECT * FROM $S.img_remote_followup_claim($1)", 1, {INT4OID}
};
static ImgStatement next_due = {
	"SELECT $S.img_remote_followup_next_due()", 0, {0}
};
static ImgStatement followed = {
	"SELECT $S.img_remote_followed($1, $2, $3, $4, $5, $6, $7, $8, $9)",
	9, {UUIDOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID, TEXTOID, TEXTOID, BYTEAOID}
};

/* One call. */
typedef struct Followup
{
	dlist_node	node;			/* once it is known what became of it */
	MemoryContext context;
	pg_uuid_t	job;
	char	   *what;
	char	   *server;
	Oid			owner;
	Jsonb	   *request;
	char	   *input;			/* or NULL */
	ImgCallMade call;
	ImgCallAnswer answer;
} Followup;

static dlist_head settled = DLIST_STATIC_INIT(settled);
static int	in_hand = 0;
static TimestampTz look_at = 0;
static TimestampTz say_at = 0;

void
img_followup_soon(void)
{
	look_at = 0;
}

bool
img_followup_is_due(void)
{
	return img_followup_in() == 0;
}

long
img_followup_in(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long		wait = in_hand >= MOST_CALLS ? LOOK_MS : TimestampDifferenceMilliseconds(now, look_at);

	return dlist_is_empty(&settled) ? wait : Min(wait, TimestampDifferenceMilliseconds(now, say_at));
}

/* --------------------------------------------------------------- calls --- */

static void
call_done(ImgTransfer *transfer, const ImgFetchReply *reply, int memfd)
{
	Followup   *followup = transfer->about;
	MemoryContext before = MemoryContextSwitchTo(followup->context);

	img_call_take(&followup->answer, &followup->call, reply, memfd);
	MemoryContextSwitchTo(before);
	dlist_push_tail(&settled, &followup->node);
	img_transfer_free(transfer);
}

static void
call_failed(ImgTransfer *transfer, const ImgRemoteFailure *failure)
{
	Followup   *followup = transfer->about;
	MemoryContext before = MemoryContextSwitchTo(followup->context);

	img_call_take_failure(&followup->answer, &followup->call, transfer->reply, failure);
	MemoryContextSwitchTo(before);
	dlist_push_tail(&settled, &followup->node);
	img_transfer_free(transfer);
}

/* Its claim has been undone. */
static void
undone(ImgTransfer *transfer)
{
	Followup   *followup = transfer->about;

	MemoryContextDelete(followup->context);
	in_hand--;
	look_at = 0;
}

static void
call_step(void *arg)
{
	Followup   *followup = arg;
	const ImgServer *server = img_remote_job_server(followup->server, followup->owner);
	MemoryContext before = MemoryContextSwitchTo(followup->context);
	ImgTransfer *transfer;
	ImgBody		nothing = {NULL, -1, 0};
	ImgRemoteCall call;

	if (!img_remote_job_call(server, followup->what, &followup->job, followup->request, followup->input, &call))
		elog(ERROR, "servers of type %s know no call %s", server->type->name, followup->what);
	img_call_note(&followup->call, followup->context, followup->what, call.request.method, call.path);
	transfer = img_transfer_make(TopMemoryContext, NULL);
	img_call_prepare(transfer, server, followup->owner, followup->what, &call, &nothing);
	MemoryContextSwitchTo(before);
	transfer->about = followup;
	transfer->done = call_done;
	transfer->failed = call_failed;
	transfer->undone = undone;
	img_transfer_start(transfer);
}

static Followup *
make_followup(HeapTuple row, TupleDesc desc)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "imgapi call after a job", ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	Followup   *followup = palloc0(sizeof(Followup));
	bool		isnull;

	followup->context = context;
	followup->job = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	followup->what = TextDatumGetCString(SPI_getbinval(row, desc, 2, &isnull));
	followup->server = TextDatumGetCString(SPI_getbinval(row, desc, 3, &isnull));
	followup->owner = DatumGetObjectId(SPI_getbinval(row, desc, 4, &isnull));
	followup->request = DatumGetJsonbPCopy(SPI_getbinval(row, desc, 5, &isnull));
	followup->input = SPI_getvalue(row, desc, 6);
	MemoryContextSwitchTo(before);
	return followup;
}

/* One that cannot be made is tried again when its claim is over. */
static void
forget(Followup *followup)
{
	MemoryContextDelete(followup->context);
	in_hand--;
}

static void
claim_calls(void)
{
	Datum		count = Int32GetDatum(MOST_CALLS - in_hand);
	SPITupleTable *rows;
	uint64		n;

	img_execute(&claim, &count, NULL);
	rows = SPI_tuptable;
	n = SPI_processed;
	for (uint64 i = 0; i < n; i++)
	{
		Followup   *followup = make_followup(rows->vals[i], rows->tupdesc);

		in_hand++;
		if (img_try(call_step, followup) != NULL)
			forget(followup);
	}
	SPI_freetuptable(rows);
}

static void
find_next(void)
{
	TimestampTz latest = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LOOK_MS);
	bool		isnull;
	Datum		due;

	img_execute(&next_due, NULL, NULL);
	due = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	/* one that somebody else has locked must not keep us busy */
	look_at = isnull ? latest : Max(Min(latest, DatumGetTimestampTz(due)),
									TimestampTzPlusMilliseconds(GetCurrentTimestamp(), AGAIN_MS));
}

/* ------------------------------------------------------------- answers --- */

static void
say_step(void *arg)
{
	Followup   *followup = arg;
	const ImgCallAnswer *answer = &followup->answer;
	bool		silent = answer->status == 0;
	Datum		values[] = {
		UUIDPGetDatum(&followup->job), CStringGetTextDatum(followup->what),
		CStringGetTextDatum(answer->made.method), CStringGetTextDatum(answer->made.path),
		Int32GetDatum(answer->status), Int32GetDatum(answer->ms),
		answer->request_id ? CStringGetTextDatum(answer->request_id) : (Datum) 0,
		silent ? CStringGetTextDatum(answer->failure.message) : (Datum) 0, PointerGetDatum(answer->body)
	};
	char		nulls[] = {' ', ' ', ' ', ' ', silent ? 'n' : ' ', ' ', answer->request_id ? ' ' : 'n',
	silent ? ' ' : 'n', silent ? 'n' : ' ', '\0'};

	img_execute(&followed, values, nulls);
}

/* One whose row somebody has locked is said later. */
static void
say_settled(void)
{
	dlist_mutable_iter iter;

	if (say_at > GetCurrentTimestamp())
		return;
	dlist_foreach_modify(iter, &settled)
	{
		Followup   *followup = dlist_container(Followup, node, iter.cur);
		ErrorData  *error = img_try(say_step, followup);

		dlist_delete(iter.cur);
		if (error != NULL && error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		{
			/* one a second: each takes lock_timeout, while jobs wait */
			dlist_push_tail(&settled, &followup->node);
			say_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), AGAIN_MS);
			break;
		}
		forget(followup);
		look_at = 0;
	}
}

/* What a dispatcher that died had in hand. */
static void
rescue_calls(void)
{
	static bool rescued = false;

	if (!rescued)
		img_execute(&rescue, NULL, NULL);
	rescued = true;
}

void
img_followup_work(void)
{
	say_settled();
	if (in_hand >= MOST_CALLS || look_at > GetCurrentTimestamp())
		return;
	rescue_calls();
	claim_calls();
	find_next();
}
