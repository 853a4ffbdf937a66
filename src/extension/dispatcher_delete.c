/*
 * dispatcher_delete.c
 *	  Files on servers that have to go: img_delete.
 *
 * Runs in a dispatcher.  Only objects that carry our mark are removed: the
 * promise to remove a result may have been given for one that was never
 * written, in whose place there is somebody else's.  So each is looked at
 * first (HEAD), and a file that is gone, or is not ours, is done with.
 */
#include "postgres.h"

#include <unistd.h>

#include "catalog/pg_type.h"
#include "extension/dispatcher_network.h"
#include "extension/home.h"
#include "storage/s3.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Files in hand, and how long they are ours. */
#define MOST_FILES		32
#define LEASE			"10 minutes"
/* The longest time without a look. */
#define LOOK_MS			60000
/* Before saying again what became of a file whose row was locked. */
#define AGAIN_MS		1000

static ImgStatement rescue = {
	"SELECT $S.img_delete_rescue($1)", 1, {TEXTOID}
};
static ImgStatement claim = {
	"SELECT * FROM $S.img_delete_claim($1, $2, '" LEASE "')", 2, {TEXTOID, INT4OID}
};
static ImgStatement next_due = {
	"SELECT $S.img_delete_next_due()", 0, {0}
};
static ImgStatement done = {
	"SELECT $S.img_delete_done($1, ARRAY[$2])", 2, {TEXTOID, UUIDOID}
};
static ImgStatement failed = {
	"SELECT $S.img_delete_failed($1, $2, $3, pg_catalog.make_interval(secs => $4))",
	4, {TEXTOID, UUIDOID, TEXTOID, FLOAT8OID}
};

/* One file. */
typedef struct Removal
{
	dlist_node	node;			/* once it is known what became of it */
	MemoryContext context;
	pg_uuid_t	id;
	Oid			owner;
	char	   *server;
	char	   *path;
	ImgHttpRequest remove;
	char	   *error;			/* NULL: it is gone */
	int			retry_after;
} Removal;

static dlist_head settled = DLIST_STATIC_INIT(settled);
static int	in_hand = 0;
static TimestampTz look_at = 0;
static TimestampTz say_at = 0;

void
img_delete_soon(void)
{
	look_at = 0;
}

bool
img_delete_is_due(void)
{
	TimestampTz now = GetCurrentTimestamp();

	return (!dlist_is_empty(&settled) && say_at <= now) || (in_hand < MOST_FILES && look_at <= now);
}

long
img_delete_in(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long		wait = in_hand >= MOST_FILES ? LOOK_MS : TimestampDifferenceMilliseconds(now, look_at);

	return dlist_is_empty(&settled) ? wait : Min(wait, TimestampDifferenceMilliseconds(now, say_at));
}

static void
settle(Removal *file, const char *error, int retry_after)
{
	file->error = error ? MemoryContextStrdup(file->context, error) : NULL;
	file->retry_after = retry_after;
	dlist_push_tail(&settled, &file->node);
}

static void
request_failed(ImgTransfer *transfer, const ImgRemoteFailure *failure)
{
	Removal	   *file = transfer->about;

	settle(file, failure->sqlstate == ERRCODE_NO_DATA ? NULL : failure->message, failure->retry_after);
	img_transfer_free(transfer);
}

static void
removed(ImgTransfer *transfer, const ImgFetchReply *reply, int memfd)
{
	if (memfd >= 0)
		close(memfd);
	settle(transfer->about, NULL, 0);
	img_transfer_free(transfer);
}

/* The claim has been undone. */
static void
undone(ImgTransfer *transfer)
{
	Removal	   *file = transfer->about;

	MemoryContextDelete(file->context);
	in_hand--;
	look_at = 0;
}

static ImgTransfer *
transfer_for(Removal *file, int connections)
{
	ImgTransfer *transfer = img_transfer_make(TopMemoryContext, NULL);

	transfer->about = file;
	transfer->failed = request_failed;
	transfer->undone = undone;
	transfer->role = file->owner;
	transfer->max_answer = 64 * 1024;
	img_transfer_connect(transfer, file->server, connections);
	return transfer;
}

/* It is there: if it is ours, away with it. */
static void
looked_at(ImgTransfer *transfer, const ImgFetchReply *reply, int memfd)
{
	Removal	   *file = transfer->about;
	ImgTransfer *next;

	if (memfd >= 0)
		close(memfd);
	if (img_fetch_header(reply, IMG_S3_MARK) == NULL)
	{
		settle(file, NULL, 0);
		img_transfer_free(transfer);
		return;
	}
	next = transfer_for(file, transfer->most_connections);
	next->request = file->remove;
	next->done = removed;
	img_transfer_start(next);
	img_transfer_free(transfer);
}

/* Both requests are signed now: outside of a transaction there are no keys. */
static void
ask_step(void *arg)
{
	Removal	   *file = arg;
	const ImgServer *server = img_server_get(file->server, file->owner);
	ImgTransfer *transfer;
	MemoryContext before;

	if (server->type != &img_server_s3)
	{
		settle(file, NULL, 0);	/* nothing of ours can be there */
		return;
	}
	before = MemoryContextSwitchTo(file->context);
	img_s3_delete(img_s3(server), file->path, GetCurrentTimestamp(), &file->remove);
	MemoryContextSwitchTo(before);
	transfer = transfer_for(file, img_server_number(server, "max_connections"));
	before = MemoryContextSwitchTo(transfer->context);
	img_s3_head(img_s3(server), file->path, GetCurrentTimestamp(), &transfer->request);
	MemoryContextSwitchTo(before);
	transfer->done = looked_at;
	img_transfer_start(transfer);
}

static Removal *
make_file(HeapTuple row, TupleDesc desc)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "imgapi file to remove", ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	Removal	   *file = palloc0(sizeof(Removal));
	bool		isnull;

	file->context = context;
	file->id = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	file->server = TextDatumGetCString(SPI_getbinval(row, desc, 2, &isnull));
	file->path = TextDatumGetCString(SPI_getbinval(row, desc, 3, &isnull));
	file->owner = DatumGetObjectId(SPI_getbinval(row, desc, 4, &isnull));
	MemoryContextSwitchTo(before);
	return file;
}

static void
say_step(void *arg)
{
	Removal    *file = arg;
	Datum		values[] = {
		CStringGetTextDatum(img_dispatcher.name), UUIDPGetDatum(&file->id),
		file->error ? CStringGetTextDatum(file->error) : (Datum) 0, Float8GetDatum(file->retry_after)
	};

	img_execute(file->error ? &failed : &done, values, NULL);
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
		Removal    *file = dlist_container(Removal, node, iter.cur);

		dlist_delete(iter.cur);
		if (img_try(say_step, file) != NULL)
		{
			/* one a second: each takes lock_timeout, while jobs wait */
			dlist_push_tail(&settled, &file->node);
			say_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), AGAIN_MS);
			break;
		}
		MemoryContextDelete(file->context);
		in_hand--;
	}
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
									TimestampTzPlusMilliseconds(GetCurrentTimestamp(), 100));
}

/* What a worker that died had is due at once. */
static void
rescue_files(void)
{
	static bool rescued = false;
	Datum		values[] = {CStringGetTextDatum(img_dispatcher.name)};

	if (rescued)
		return;
	img_execute(&rescue, values, NULL);
	rescued = true;
}

static void
claim_files(void)
{
	int			count = MOST_FILES - in_hand;
	Datum		values[] = {CStringGetTextDatum(img_dispatcher.name), Int32GetDatum(count)};
	SPITupleTable *rows;
	uint64		n;

	img_execute(&claim, values, NULL);
	rows = SPI_tuptable;
	n = SPI_processed;
	for (uint64 i = 0; i < n; i++)
	{
		Removal	   *file = make_file(rows->vals[i], rows->tupdesc);
		ErrorData  *error;

		in_hand++;
		error = img_try(ask_step, file);
		if (error != NULL)
			settle(file, error->message, 0);
	}
	SPI_freetuptable(rows);
}

void
img_delete_work(void)
{
	say_settled();
	if (in_hand >= MOST_FILES || look_at > GetCurrentTimestamp())
		return;
	rescue_files();
	claim_files();
	find_next();
}
