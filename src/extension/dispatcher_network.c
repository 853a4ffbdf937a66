/*
 * dispatcher_network.c
 *	  Pictures that come and results that go over the network.
 *
 * Runs in a dispatcher.  A job on the list "network" waits for its source (and
 * a picture that comes along) to be read, or for its results to be written.
 * Requests are made in a transaction, since rights, options and keys of servers
 * are looked up with it, and sent when that has committed.
 *
 * A result has its place before it is written, and the same one in every
 * attempt; and img_delete_unless_stored() has promised in a committed
 * transaction to remove it should no row ever name it.  So whatever dies when,
 * there is one object and one row, or in the end neither.
 */
#include "postgres.h"

#include <sys/mman.h>
#include <unistd.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "extension/dispatcher_network.h"
#include "extension/home.h"
#include "extension/imgapi.h"
#include "extension/operation.h"
#include "extension/settings.h"
#include "storage/encode.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* A result that no row names so long after it was begun is removed. */
#define FORGOTTEN		"1 hour"
/* Jobs whose sources are being read, or are here; others wait. */
#define MOST_READING	IMG_FETCH_TRANSFERS
/* What an answer may say that is no picture. */
#define SMALL_ANSWER	(64 * 1024)

static ImgStatement delete_unless_stored = {
	"SELECT $S.img_delete_unless_stored($1, $2, $3, '" FORGOTTEN "')", 3, {TEXTOID, TEXTOID, REGROLEOID}
};

/* A server has its own. */
static bool
needs_other(const ImgJob *job)
{
	return job->server == NULL && job->request.other != NULL && job->other.length == 0 && img_is_remote(job->request.other);
}

bool
img_needs_network(const ImgJob *job)
{
	return (job->input != NULL && job->source.length == 0 && img_is_remote(job->input)) || needs_other(job);
}

/* A job on the list has its results already, or else waits for its source. */
static bool
is_storing(const ImgJob *job)
{
	return job->answer.outputs > 0;
}

static void
join_network(ImgJob *job, bool asked)
{
	job->asked = asked;
	dlist_push_tail(asked ? &img_dispatcher.network : is_storing(job) ? &img_dispatcher.to_store : &img_dispatcher.to_read,
					&job->node);
	img_dispatcher.nnetwork++;
	if (is_storing(job))
		img_dispatcher.nstoring++;
	else if (asked)
		img_dispatcher.nreading++;
}

static void
leave_network(ImgJob *job)
{
	dlist_delete(&job->node);
	img_dispatcher.nnetwork--;
	if (is_storing(job))
		img_dispatcher.nstoring--;
	else if (job->asked)
		img_dispatcher.nreading--;
}

void
img_network_take(ImgJob *job)
{
	if (!is_storing(job))
		img_dispatcher.network_jobs = true;
	join_network(job, false);
}

void
img_network_ask_again(ImgJob *job)
{
	leave_network(job);
	join_network(job, false);
}

/* Sources that wait for an executor are in memory, too. */
static bool
may_read(void)
{
	return !dlist_is_empty(&img_dispatcher.to_read) &&
		img_dispatcher.nreading + img_dispatcher.nclaimed < MOST_READING;
}

/* Ends a job that is on the list. */
static void
fail(ImgJob *job, const ImgRemoteFailure *failure)
{
	img_transfers_give_up(job);
	job->transfers = 0;
	leave_network(job);
	job->failure.retry_after = failure->retry_after;
	img_job_fail(job, failure->sqlstate, failure->stage, failure->transient, failure->message, failure->hint);
}

void
img_network_end(ImgJob *job)
{
	img_transfers_give_up(job);
	job->transfers = 0;
	leave_network(job);
	img_job_end(job, IMG_END_CANCELLED);
}

/* ------------------------------------------------------------- reading --- */

static void
source_failed(ImgTransfer *transfer, const ImgRemoteFailure *failure)
{
	ImgRemoteFailure copy = *failure;
	ImgJob	   *job = transfer->job;

	copy.stage = MemoryContextStrdup(job->context, failure->stage);
	fail(job, &copy);
	img_transfer_free(transfer);
}

/* Everything has come: an executor may have it, or its server. */
static void
source_is_here(ImgJob *job)
{
	leave_network(job);
	if (img_remote_job_waits(job))
	{
		img_remote_take(job);
		return;
	}
	dlist_push_tail(&img_dispatcher.claimed, &job->node);
	img_dispatcher.nclaimed++;
}

static void
source_done(ImgTransfer *transfer, const ImgFetchReply *reply, int memfd)
{
	ImgJob	   *job = transfer->job;
	ImgBody    *body = transfer->number == 0 ? &job->source : &job->other;

	if (reply->body_length == 0)
	{
		ImgRemoteFailure empty = {ERRCODE_DATA_EXCEPTION, false, 0, "transfer", "the picture is empty"};

		fail(job, &empty);
		img_transfer_free(transfer);
		return;
	}
	body->length = reply->body_length;
	body->memfd = memfd;
	if (reply->place == IMG_INLINE)
	{
		body->data = MemoryContextAlloc(job->context, body->length);
		memcpy(body->data, img_fetch_body(reply), body->length);
	}
	img_transfer_free(transfer);
	if (--job->transfers == 0)
		source_is_here(job);
}

static void
ask_for(ImgJob *job, const char *input, int number)
{
	ImgTransfer *transfer = img_transfer_make(job->context, job);
	MemoryContext before = MemoryContextSwitchTo(transfer->context);
	const ImgServer *server;

	img_remote_get(input, job->owner, &transfer->request, &server);
	img_transfer_prepare(transfer, server, job->owner, (uint64) imgapi_max_source_bytes * 1024);
	transfer->number = number;
	transfer->done = source_done;
	transfer->failed = source_failed;
	MemoryContextSwitchTo(before);
	img_transfer_start(transfer);
	job->transfers++;
}

static void
ask_step(ImgJob *job, void *unused)
{
	if (job->input != NULL && job->source.length == 0 && img_is_remote(job->input))
		ask_for(job, job->input, 0);
	if (needs_other(job))
		ask_for(job, job->request.other, 1);
}

/* ------------------------------------------------------------- writing --- */

void
img_store_failed(ImgTransfer *transfer, const ImgRemoteFailure *failure)
{
	ImgRemoteFailure copy = *failure;

	copy.stage = "store";
	img_upload_abort(transfer->job);
	fail(transfer->job, &copy);
	img_transfer_free(transfer);
}

static void
store_done(ImgTransfer *transfer, const ImgFetchReply *reply, int memfd)
{
	ImgJob	   *job = transfer->job;

	if (memfd >= 0)
		close(memfd);
	img_transfer_free(transfer);
	if (--job->transfers > 0)
		return;
	leave_network(job);
	img_job_end(job, IMG_END_DONE);
}

/* What the result will be called, if its destination is a folder. */
static char *
name_for(ImgJob *job, int ordinal)
{
	char	   *name = job->name ? job->name : DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&job->id)));
	const char *given = img_remote_result_name(job, ordinal);

	if (given != NULL)
		return pstrdup(given);
	return img_output_name(name, job->operation_id, ordinal, job->answer.outputs, &job->answer.output[ordinal].facts);
}

/* Bytes that are going to be sent; large ones are in a memfd, which goes along. */
static void
give_body(ImgTransfer *transfer, ImgOutput *output)
{
	transfer->body.length = output->bytes;
	if (output->memfd < 0)
	{
		void	   *copy = MemoryContextAlloc(transfer->context, output->bytes);

		memcpy(copy, VARDATA(output->data), output->bytes);
		transfer->body.data = copy;
		return;
	}
	transfer->memfd = transfer->body.memfd = output->memfd;
	output->memfd = -1;
}

/* What does not fit into a message has to be in a memfd. */
static void
move_to_memfd(ImgOutput *output)
{
	if (output->memfd >= 0 || output->bytes <= IMG_FETCH_INLINE)
		return;
	output->memfd = img_new_memfd();
	if (img_write_all(output->memfd, VARDATA(output->data), output->bytes, 0) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not write to a memory file: %m")));
}

static void
promise_removal(ImgJob *job, const ImgStorageUri *place)
{
	Datum		values[] = {CStringGetTextDatum(place->server), CStringGetTextDatum(place->path), ObjectIdGetDatum(job->owner)};
	ImgIdentity before;
	bool		isnull;

	/* back to what we are: the table is not the user's */
	img_become(img_home_of_extension()->owner, false, &before);
	img_execute(&delete_unless_stored, values, NULL);
	img_resume(&before);
	if (!DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("\"storage://%s/%s\" is just being removed", place->server, place->path)));
}

static void
store_at_once(ImgJob *job, int i, const ImgStorageUri *place, const char *mime)
{
	ImgOutput  *output = &job->answer.output[i];
	ImgTransfer *transfer = img_transfer_make(job->context, job);
	MemoryContext before = MemoryContextSwitchTo(transfer->context);
	char		sha256[IMG_SHA256_HEX + 1];
	const ImgServer *server;

	img_hex(job->stored[i].sha256, sizeof(job->stored[i].sha256), sha256);
	img_remote_put(place, job->owner, mime, sha256, &transfer->request, &server);
	img_transfer_prepare(transfer, server, job->owner, SMALL_ANSWER);
	give_body(transfer, output);
	transfer->done = store_done;
	transfer->failed = img_store_failed;
	MemoryContextSwitchTo(before);
	img_transfer_start(transfer);
	job->transfers++;
}

static void
store_output(ImgJob *job, int i)
{
	ImgOutput  *output = &job->answer.output[i];
	const char *mime = output->facts.format < img_format_count ? img_formats[output->facts.format]->mime : NULL;
	const ImgServer *server;
	ImgStorageUri place;
	uint64		part_bytes;

	img_remote_place(job->request.destination, name_for(job, i), &place);
	server = img_server_get_typed(place.server, job->owner, &img_server_s3);
	part_bytes = (uint64) img_server_number(server, "multipart_size") * 1024;
	promise_removal(job, &place);
	move_to_memfd(output);
	img_output_hash(output, job->stored[i].sha256);
	job->storage = MemoryContextStrdup(job->context, place.server);
	job->stored[i].path = MemoryContextStrdup(job->context, place.path);
	if (output->bytes > part_bytes && job->answer.outputs == 1)
		img_upload_begin(job, server, &place, mime, output, part_bytes);
	else
		store_at_once(job, i, &place, mime);
}

static void
store_step(ImgJob *job, void *arg)
{
	bool	   *stored = arg;

	if (job->upload != NULL)
	{
		*stored = img_upload_step(job);
		return;
	}
	job->stored = MemoryContextAllocZero(job->context, job->answer.outputs * sizeof(ImgStored));
	for (int i = 0; i < job->answer.outputs; i++)
		store_output(job, i);
}

/* The bytes are on their way in memory of their own. */
static void
drop_outputs(ImgJob *job)
{
	for (int i = 0; i < job->answer.outputs; i++)
	{
		if (job->answer.output[i].data != NULL)
			pfree(job->answer.output[i].data);
		job->answer.output[i].data = NULL;
	}
}

/* ------------------------------------------------------------ the turn --- */

static void
make_requests(ImgJob *job)
{
	bool		storing = is_storing(job);
	bool		stored = false;

	/* If it fails, img_guarded() ends the job. */
	leave_network(job);
	if (!img_guarded(job, storing ? "store" : "fetch", storing ? store_step : ask_step, &stored))
	{
		img_upload_abort(job);
		img_transfers_give_up(job);
		job->transfers = 0;
		return;
	}
	if (stored)
	{
		img_job_end(job, IMG_END_DONE);
		return;
	}
	join_network(job, true);
	job->uncommitted = true;
	if (storing)
		drop_outputs(job);
}

void
img_network_undo(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &img_dispatcher.network)
	{
		ImgJob	   *job = dlist_container(ImgJob, node, iter.cur);

		if (!job->uncommitted)
			continue;
		leave_network(job);
		img_transfers_give_up(job);
		job->transfers = 0;
		img_job_end(job, IMG_END_POSTPONED);
	}
	img_transfers_undo();
}

/* Those of this transaction came last. */
static void
commit_requests(void)
{
	dlist_iter	iter;

	dlist_reverse_foreach(iter, &img_dispatcher.network)
	{
		ImgJob	   *job = dlist_container(ImgJob, node, iter.cur);

		if (!job->uncommitted)
			break;
		job->uncommitted = false;
	}
	img_transfers_commit();
}

static bool
requests_wait(void)
{
	return !dlist_is_empty(&img_dispatcher.to_store) || may_read();
}

/* Others do so by a timeout, or when the fetcher answers. */
long
img_network_in(void)
{
	return requests_wait() ? 0 : LONG_MAX;
}

static bool
pending(void)
{
	return img_transfers_have_failed() || img_delete_is_due() || requests_wait();
}

/* Results go out first. */
static void
make_all_requests(void)
{
	while (!dlist_is_empty(&img_dispatcher.to_store))
		make_requests(dlist_head_element(ImgJob, node, &img_dispatcher.to_store));
	while (may_read())
		make_requests(dlist_head_element(ImgJob, node, &img_dispatcher.to_read));
}

void
img_network_work(void)
{
	if (!pending())
		return;
	StartTransactionCommand();
	img_dispatcher.gone = img_home_of_extension() == NULL;
	if (!img_dispatcher.gone)
	{
		SPI_connect();
		PushActiveSnapshot(GetTransactionSnapshot());
		img_transfers_settle();
		img_delete_work();
		make_all_requests();
		PopActiveSnapshot();
		SPI_finish();
		/* the promise to remove has to outlive a crash */
		ForceSyncCommit();
	}
	CommitTransactionCommand();
	commit_requests();
}
