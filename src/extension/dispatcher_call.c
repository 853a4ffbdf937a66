/*
 * dispatcher_call.c
 *	  Servers that do jobs: requests to them, and what they answer.
 *
 * Runs in a dispatcher.  Requests are made within a transaction, answers come
 * outside of any and are kept with the job until there is one.  How much a
 * server can take is known here, for all jobs.
 */
#include "postgres.h"

#include <math.h>
#include <unistd.h>

#include "catalog/pg_type.h"
#include "extension/dispatcher_remote.h"
#include "extension/remote_job.h"
#include "extension/settings.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Jobs in hand. */
#define MOST_REMOTE		1024
/* What an API may answer. */
#define MAX_ANSWER		(1024 * 1024)
/* A server is left alone for so long at most, and at least if it says so
 * without saying how long. */
#define MOST_PAUSE		3600
#define LEAST_PAUSE		1

List	   *img_apis = NIL;

/* ------------------------------------------------------------- servers --- */

ImgApi *
img_api_find(const ImgServer *server)
{
	ImgApi		   *api = NULL;
	ListCell   *cell;
	MemoryContext before;

	foreach(cell, img_apis)
		if (strcmp(((ImgApi *) lfirst(cell))->server, server->name) == 0)
			api = lfirst(cell);
	if (api == NULL)
	{
		before = MemoryContextSwitchTo(TopMemoryContext);
		api = palloc0(sizeof(ImgApi));
		api->server = pstrdup(server->name);
		img_apis = lappend(img_apis, api);
		MemoryContextSwitchTo(before);
	}
	api->max_concurrency = img_server_number(server, "max_concurrency");
	api->max_connections = img_server_number(server, "max_connections");
	api->cancels = server->type->cancels;
	return api;
}

void
img_apis_count(void)
{
	ListCell   *cell;
	dlist_iter	iter;

	foreach(cell, img_apis)
	{
		ImgApi		   *api = lfirst(cell);

		api->jobs = api->begun = api->submits = 0;
	}
	dlist_foreach(iter, &img_dispatcher.remote)
	{
		ImgRemoteJob *r = dlist_container(ImgJob, node, iter.cur)->remote;

		r->api->jobs++;
		r->api->begun += r->phase != IMG_REMOTE_NEW;
		r->api->submits += r->phase == IMG_REMOTE_CALLING && strcmp(r->what, "submit") == 0;
	}
}

Datum
img_remote_busy(bool *isnull)
{
	Datum	   *names = palloc((list_length(img_apis) + 1) * sizeof(Datum));
	TimestampTz now = GetCurrentTimestamp();
	int			n = 0;
	ListCell   *cell;

	*isnull = img_dispatcher.nremote >= MOST_REMOTE;
	if (*isnull)
		return (Datum) 0;
	img_apis_count();
	foreach(cell, img_apis)
	{
		ImgApi		   *api = lfirst(cell);

		if (api->jobs >= 2 * api->max_concurrency || api->not_before > now)
			names[n++] = CStringGetTextDatum(api->server);
	}
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* ------------------------------------------------------------- answers --- */

/* A header that may be shown. */
static char *
shown_header(const ImgFetchReply *reply, const char *name)
{
	const char *value = img_fetch_header(reply, name);

	for (const char *c = value; c != NULL && *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			return NULL;
	return value ? pstrdup(value) : NULL;
}

static int
header_number(const ImgFetchReply *reply, const char *name, int missing)
{
	const char *value = img_fetch_header(reply, name);
	char	   *end;
	double		number;

	if (value == NULL)
		return missing;
	number = strtod(value, &end);
	return end == value || isnan(number) ? missing : (int) Max(-1, Min(number, MOST_PAUSE));
}

/* Whether, and how long, the server wants to be left alone. */
static void
heed_limits(ImgApi *api, const ImgFetchReply *reply)
{
	int			reset = header_number(reply, "ratelimit-reset", 0);
	int64		pause = 0;
	TimestampTz until;

	if (reply->status == 429)
		pause = Max(LEAST_PAUSE, Max(reply->retry_after, reset));
	else if (reply->status == 503)
		pause = reply->retry_after;
	else if (header_number(reply, "ratelimit-remaining", 1) <= 0)
		pause = reset;
	until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), Min(pause, MOST_PAUSE) * 1000);
	if (pause > 0 && until > api->not_before)
		api->not_before = until;
}

static bytea *
copy_body(const ImgFetchReply *reply, int memfd)
{
	bytea	   *body = palloc(VARHDRSZ + reply->body_length);

	SET_VARSIZE(body, VARHDRSZ + reply->body_length);
	if (reply->place == IMG_INLINE)
		memcpy(VARDATA(body), img_fetch_body(reply), reply->body_length);
	else if (reply->body_length > 0 && img_read_all(memfd, VARDATA(body), reply->body_length, 0) != 0)
		SET_VARSIZE(body, VARHDRSZ);
	return body;
}

/* A job may be polled for days. */
static void
forget_answer(ImgRemoteJob *r)
{
	if (r->request_id != NULL)
		pfree(r->request_id);
	if (r->body != NULL)
		pfree(r->body);
	r->request_id = NULL;
	r->body = NULL;
}

static void
call_done(ImgTransfer *transfer, const ImgFetchReply *reply, int memfd)
{
	ImgJob	   *job = transfer->job;
	ImgRemoteJob *r = job->remote;
	MemoryContext before = MemoryContextSwitchTo(job->context);

	forget_answer(r);
	r->status = reply->status;
	r->ms = reply->times.total / 1000;
	r->request_id = shown_header(reply, "x-request-id");
	r->body = copy_body(reply, memfd);
	heed_limits(r->api, reply);
	MemoryContextSwitchTo(before);
	if (memfd >= 0)
		close(memfd);
	img_remote_wait(job, IMG_REMOTE_ANSWERED, 0);
	r->tries = 0;
	job->transfers--;
	img_transfer_free(transfer);
}

static void
call_failed(ImgTransfer *transfer, const ImgRemoteFailure *failure)
{
	ImgJob	   *job = transfer->job;
	ImgRemoteJob *r = job->remote;
	MemoryContext before = MemoryContextSwitchTo(job->context);

	forget_answer(r);
	r->status = 0;
	r->ms = transfer->reply->times.total / 1000;
	r->sent = transfer->reply->stage > IMG_FETCH_AT_TLS;
	r->refused = transfer->reply->outcome == IMG_FETCH_REFUSED;
	r->failure = *failure;
	r->failure.message = pstrdup(failure->message);
	r->failure.hint = failure->hint ? pstrdup(failure->hint) : NULL;
	MemoryContextSwitchTo(before);
	img_remote_wait(job, IMG_REMOTE_ANSWERED, 0);
	r->tries = 0;
	job->transfers--;
	img_transfer_free(transfer);
}

/* ------------------------------------------------------------ requests --- */

void
img_remote_call(ImgJob *job, const char *what)
{
	ImgRemoteJob *r = job->remote;
	ImgTransfer *transfer = img_transfer_make(job->context, job);
	MemoryContext before = MemoryContextSwitchTo(transfer->context);
	const ImgServer *server = img_remote_job_server(job->server, job->owner);
	bool		submit = strcmp(what, "submit") == 0;
	char	   *input = submit ? img_remote_job_input(&job->id, job->input, job->owner) : NULL;
	char	   *path;

	img_remote_job_request(server, what, r->request, input, r->remote_id, &transfer->request, &path);
	img_transfer_prepare(transfer, server, job->owner, MAX_ANSWER);
	transfer->once = submit;
	transfer->any_status = true;
	transfer->done = call_done;
	transfer->failed = call_failed;
	MemoryContextSwitchTo(job->context);
	r->what = what;
	strlcpy(r->method, transfer->request.method, sizeof(r->method));
	if (r->path != NULL)
		pfree(r->path);
	r->path = pstrdup(path);
	MemoryContextSwitchTo(before);
	r->phase = IMG_REMOTE_CALLING;
	job->transfers++;
	img_transfer_start(transfer);
}

static void
download_done(ImgTransfer *transfer, const ImgFetchReply *reply, int memfd)
{
	ImgJob	   *job = transfer->job;

	job->transfers--;
	img_remote_leave(job);
	if (reply->body_length == 0)
	{
		if (memfd >= 0)
			close(memfd);
		img_transfer_free(transfer);
		img_job_fail(job, ERRCODE_SYSTEM_ERROR, "download", true, "the result of the server is empty", NULL);
		return;
	}
	job->source.length = reply->body_length;
	job->source.memfd = memfd;
	if (reply->place == IMG_INLINE)
	{
		job->source.data = MemoryContextAlloc(job->context, reply->body_length);
		memcpy(job->source.data, img_fetch_body(reply), reply->body_length);
	}
	img_transfer_free(transfer);
	dlist_push_tail(&img_dispatcher.claimed, &job->node);
	img_dispatcher.nclaimed++;
}

/* A link that has expired is made anew by the next poll. */
static void
download_failed(ImgTransfer *transfer, const ImgRemoteFailure *failure)
{
	ImgJob	   *job = transfer->job;
	bool		expired = transfer->reply->outcome == IMG_FETCH_DONE &&
		(failure->sqlstate == ERRCODE_NO_DATA || failure->sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE);

	job->transfers--;
	img_remote_leave(job);
	job->failure.retry_after = failure->retry_after;
	img_job_fail(job, failure->sqlstate, "download", failure->transient || expired, failure->message, failure->hint);
	img_transfer_free(transfer);
}

void
img_remote_download(ImgJob *job, const char *url)
{
	ImgTransfer *transfer = img_transfer_make(job->context, job);
	const ImgServer *server = img_remote_job_server(job->server, job->owner);

	transfer->request = (ImgHttpRequest) {
		.method = "GET", .url = MemoryContextStrdup(transfer->context, url), .follow = true,
		.allow_private = server->allow_private,
		.timeout = img_server_number(server, "timeout"), .connect_timeout = img_server_number(server, "connect_timeout")
	};
	img_transfer_prepare(transfer, server, job->owner, (uint64) imgapi_max_source_bytes * 1024);
	transfer->done = download_done;
	transfer->failed = download_failed;
	job->remote->phase = IMG_REMOTE_DOWNLOADING;
	job->transfers++;
	img_transfer_start(transfer);
}
