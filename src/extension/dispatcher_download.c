/*
 * dispatcher_download.c
 *	  What servers have made, on its way here.
 *
 * Runs in a dispatcher.  A job may have several results.  They are all fetched;
 * then an executor reads the header of one after the other, and they are the
 * outputs of the job.  Large ones stay in the memfd that they came in.
 */
#include "postgres.h"

#include <unistd.h>

#include "extension/dispatcher_remote.h"
#include "extension/remote_job.h"
#include "extension/settings.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

const char *
img_remote_result_name(const ImgJob *job, int ordinal)
{
	return job->remote != NULL && ordinal < job->remote->results ? job->remote->result[ordinal].name : NULL;
}

void
img_remote_forget(ImgJob *job)
{
	ImgRemoteJob *r = job->remote;

	if (r == NULL)
		return;
	img_followup_soon();
	for (int i = 0; i < r->results; i++)
		img_body_close(&r->result[i].body);
	for (int i = 0; r->output != NULL && i < r->reading; i++)
		if (r->output[i].memfd >= 0)
			close(r->output[i].memfd);
}

/* ------------------------------------------------------------- fetching --- */

static void
give_up(ImgJob *job)
{
	img_transfers_give_up(job);
	job->transfers = 0;
	img_remote_leave(job);
}

/* The next result goes to an executor. */
static void
read_next(ImgJob *job)
{
	ImgBody    *body = &job->remote->result[job->remote->reading].body;

	job->source = *body;
	body->length = 0;
	dlist_push_tail(&img_dispatcher.claimed, &job->node);
	img_dispatcher.nclaimed++;
}

static void
download_done(ImgTransfer *transfer, const ImgFetchReply *reply, int memfd)
{
	ImgJob	   *job = transfer->job;
	ImgBody    *body = &job->remote->result[transfer->number].body;

	job->transfers--;
	if (reply->body_length == 0)
	{
		img_transfer_free(transfer);
		give_up(job);
		img_job_fail(job, ERRCODE_SYSTEM_ERROR, "download", true, "the result of the server is empty", NULL);
		return;
	}
	*body = (ImgBody) {NULL, memfd, reply->body_length};
	if (reply->place == IMG_INLINE)
	{
		body->data = MemoryContextAlloc(job->context, reply->body_length);
		memcpy(body->data, img_fetch_body(reply), reply->body_length);
	}
	img_transfer_free(transfer);
	if (job->transfers > 0)
		return;
	img_remote_leave(job);
	job->remote->arrived = true;
	read_next(job);
}

/* A link that has expired is made anew by the next poll. */
static void
download_failed(ImgTransfer *transfer, const ImgRemoteFailure *failure)
{
	ImgJob	   *job = transfer->job;
	bool		expired = transfer->reply->outcome == IMG_FETCH_DONE &&
		(failure->sqlstate == ERRCODE_NO_DATA || failure->sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE);

	give_up(job);
	job->failure.retry_after = failure->retry_after;
	img_job_fail(job, failure->sqlstate, "download", failure->transient || expired, failure->message, failure->hint);
	img_transfer_free(transfer);
}

static void
download(ImgJob *job, const ImgServer *server, int number, const char *url)
{
	ImgTransfer *transfer = img_transfer_make(job->context, job);

	transfer->request = (ImgHttpRequest) {
		.method = "GET", .url = MemoryContextStrdup(transfer->context, url), .follow = true,
		.allow_private = server->allow_private,
		.timeout = img_server_number(server, "timeout"), .connect_timeout = img_server_number(server, "connect_timeout")
	};
	img_transfer_prepare(transfer, server, job->owner, (uint64) imgapi_max_source_bytes * 1024);
	transfer->number = number;
	transfer->done = download_done;
	transfer->failed = download_failed;
	job->transfers++;
	img_transfer_start(transfer);
}

void
img_remote_download(ImgJob *job, ArrayType *urls, ArrayType *names)
{
	ImgRemoteJob *r = job->remote;
	const ImgServer *server = img_remote_job_server(job->server, job->owner);
	Datum	   *url;
	Datum	   *name = NULL;
	bool	   *unnamed = NULL;
	int			count;
	int			named = 0;

	deconstruct_array(urls, TEXTOID, -1, false, TYPALIGN_INT, &url, NULL, &count);
	if (names != NULL)
		deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &name, &unnamed, &named);
	if (count > IMG_MAX_PIECES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the server has made %d pictures, more than the %d that a job can have", count, IMG_MAX_PIECES)));
	r->result = MemoryContextAllocZero(job->context, count * sizeof(ImgRemoteResult));
	for (int i = 0; i < count; i++)
	{
		r->result[i].body.memfd = -1;
		if (i < named && !unnamed[i])
			r->result[i].name = MemoryContextStrdup(job->context, TextDatumGetCString(name[i]));
		download(job, server, i, TextDatumGetCString(url[i]));
	}
	r->results = count;
	r->phase = IMG_REMOTE_DOWNLOADING;
}

/* -------------------------------------------------------------- reading --- */

/* The bytes go from the source of the job to an output. */
static void
keep_output(ImgJob *job, ImgOutput *output)
{
	output->bytes = job->source.length;
	output->facts = job->answer.reply.source;
	output->memfd = job->source.memfd;
	if (output->memfd < 0)
	{
		output->data = palloc(VARHDRSZ + output->bytes);
		SET_VARSIZE(output->data, VARHDRSZ + output->bytes);
		memcpy(VARDATA(output->data), job->source.data, output->bytes);
	}
	job->source = (ImgBody) {NULL, -1, 0};
}

bool
img_remote_take_facts(ImgJob *job)
{
	ImgRemoteJob *r = job->remote;

	if (r->output == NULL)
		r->output = img_new_outputs(r->results);
	keep_output(job, &r->output[r->reading]);
	if (++r->reading < r->results)
	{
		read_next(job);
		return false;
	}
	job->answer.output = r->output;
	job->answer.outputs = r->results;
	r->output = NULL;
	/* of the source: what the server has said, and what it was sent */
	job->answer.reply.source = r->input;
	job->input_bytes = r->picture_bytes;
	return true;
}
