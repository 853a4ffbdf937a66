/*
 * dispatcher_call.c
 *	  Servers that do jobs: calls to them, and what they answer.
 *
 * Runs in a dispatcher.  Calls are made within a transaction, answers come
 * outside of any and are kept with the job until there is one.  How much a
 * server can take is known here, for all jobs.
 */
#include "postgres.h"

#include <math.h>
#include <unistd.h>

#include "catalog/pg_type.h"
#include "extension/dispatcher_remote.h"
#include "extension/remote_job.h"
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
	ImgApi	   *api = NULL;
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
	api->poll_interval = img_server_number(server, "poll_interval");
	return api;
}

/* Jobs whose pictures are on their way here. */
static void
count_fetching(dlist_head *list)
{
	dlist_iter	iter;

	dlist_foreach(iter, list)
	{
		ImgJob	   *job = dlist_container(ImgJob, node, iter.cur);

		if (img_remote_job_waits(job))
			job->remote->api->jobs++;
	}
}

void
img_apis_count(void)
{
	ListCell   *cell;
	dlist_iter	iter;

	if (img_apis == NIL)
		return;
	foreach(cell, img_apis)
	{
		ImgApi	   *api = lfirst(cell);

		api->jobs = api->begun = api->submits = 0;
	}
	dlist_foreach(iter, &img_dispatcher.remote)
	{
		ImgRemoteJob *r = dlist_container(ImgJob, node, iter.cur)->remote;

		r->api->jobs++;
		r->api->begun += r->phase != IMG_REMOTE_NEW;
		r->api->submits += r->phase == IMG_REMOTE_CALLING && strcmp(r->call.what, "submit") == 0;
	}
	count_fetching(&img_dispatcher.network);
	count_fetching(&img_dispatcher.to_read);
}

/* When a few have left: a claim costs as much for a hundred jobs as for one. */
void
img_api_leave(ImgApi *api)
{
	img_dispatcher.nremote--;
	api->jobs--;
	if (api->jobs <= 3 * api->max_concurrency / 2 || img_dispatcher.nremote == MOST_REMOTE * 3 / 4)
		img_dispatcher.look = true;
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
		ImgApi	   *api = lfirst(cell);

		if (api->jobs >= 2 * api->max_concurrency || api->not_before > now)
			names[n++] = CStringGetTextDatum(api->server);
	}
	return img_array(names, NULL, n, TEXTOID);
}

/* ------------------------------------------------------------- answers --- */

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

/* A job may be polled for days.  The next call may be made, and taken back, while
 * this answer is not written down. */
static void
forget_answer(ImgCallAnswer *answer, ImgCallMade *made)
{
	if (answer->request_id != NULL)
		pfree(answer->request_id);
	if (answer->body != NULL)
		pfree(answer->body);
	if (answer->made.path != NULL)
		pfree(answer->made.path);
	*answer = (ImgCallAnswer) {.made = *made};
	made->path = NULL;
}

void
img_call_take(ImgCallAnswer *answer, ImgCallMade *made, const ImgFetchReply *reply, int memfd)
{
	forget_answer(answer, made);
	answer->status = reply->status;
	answer->ms = reply->times.total / 1000;
	answer->request_id = img_shown_header(reply, "x-request-id");
	answer->body = copy_body(reply, memfd);
	if (memfd >= 0)
		close(memfd);
}

void
img_call_take_failure(ImgCallAnswer *answer, ImgCallMade *made, const ImgFetchReply *reply, const ImgRemoteFailure *failure)
{
	forget_answer(answer, made);
	answer->ms = reply->times.total / 1000;
	answer->sent = reply->stage > IMG_FETCH_AT_TLS;
	answer->refused = reply->outcome == IMG_FETCH_REFUSED;
	answer->failure = *failure;
	answer->failure.message = pstrdup(failure->message);
	answer->failure.hint = failure->hint ? pstrdup(failure->hint) : NULL;
}

static void
answered(ImgTransfer *transfer)
{
	ImgJob	   *job = transfer->job;

	img_remote_wait(job, IMG_REMOTE_ANSWERED, 0);
	job->remote->tries = 0;
	job->transfers--;
	img_transfer_free(transfer);
}

void
img_call_note(ImgCallMade *made, MemoryContext context, const char *what, const char *method, const char *path)
{
	strlcpy(made->what, what, sizeof(made->what));
	strlcpy(made->method, method, sizeof(made->method));
	if (made->path != NULL)
		pfree(made->path);
	made->path = MemoryContextStrdup(context, path);
}

void
img_remote_answer(ImgJob *job, const char *what, const char *method, const char *path, int status, bytea *body)
{
	ImgRemoteJob *r = job->remote;

	img_call_note(&r->call, job->context, what, method, path);
	forget_answer(&r->answer, &r->call);
	r->answer.status = status;
	r->answer.body = body;
	r->tries = 0;
	img_remote_wait(job, IMG_REMOTE_ANSWERED, 0);
}

static void
call_done(ImgTransfer *transfer, const ImgFetchReply *reply, int memfd)
{
	ImgRemoteJob *r = transfer->job->remote;
	MemoryContext before = MemoryContextSwitchTo(transfer->job->context);

	img_call_take(&r->answer, &r->call, reply, memfd);
	MemoryContextSwitchTo(before);
	heed_limits(r->api, reply);
	answered(transfer);
}

static void
call_failed(ImgTransfer *transfer, const ImgRemoteFailure *failure)
{
	ImgRemoteJob *r = transfer->job->remote;
	MemoryContext before = MemoryContextSwitchTo(transfer->job->context);

	img_call_take_failure(&r->answer, &r->call, transfer->reply, failure);
	MemoryContextSwitchTo(before);
	answered(transfer);
}

/* --------------------------------------------------------------- calls --- */

/* What the bytes of a picture are called: the job's id tells the server's people,
 * and us if the answer is lost, whose it is. */
static char *
picture_name(const ImgJob *job)
{
	char	   *id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&job->id)));
	unsigned char head[64];
	size_t		length = Min(job->source.length, sizeof(head));
	int			format = -1;

	if (job->source.memfd < 0)
		format = img_format_sniff(job->source.data, length);
	else if (img_read_all(job->source.memfd, head, length, 0) == 0)
		format = img_format_sniff(head, length);
	if (format < 0)
		return id;
	return psprintf("%s.%.*s", id, (int) strcspn(img_formats[format]->extensions, " "), img_formats[format]->extensions);
}

/* How the server learns of the picture, or what the job was given. */
static char *
input_of(ImgJob *job, const ImgServer *server, const char *what)
{
	if (img_remote_job_uploads(server->type, job->input))
		return job->source.length > 0 ? picture_name(job) : job->input;
	return strcmp(what, "submit") == 0 ? img_remote_job_input(&job->id, job->input, job->owner) : job->input;
}

static void
write_part(int memfd, const void *data, size_t length, size_t *at)
{
	if (length > 0 && img_write_all(memfd, data, length, *at) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not write to a memory file: %m")));
	*at += length;
}

/* The body of a call that is larger than a message; the picture is copied by the
 * kernel. */
static void
write_body(int memfd, const ImgRemoteCall *call, const ImgBody *picture)
{
	size_t		at = 0;

	write_part(memfd, call->beginning, call->beginning_length, &at);
	if (call->picture && picture->memfd < 0)
		write_part(memfd, picture->data, picture->length, &at);
	else if (call->picture)
	{
		if (img_memfd_copy(memfd, at, picture->memfd, picture->length) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not write to a memory file: %m")));
		at += picture->length;
	}
	write_part(memfd, call->tail, call->tail_length, &at);
}

static void
append(char **to, const void *data, size_t length)
{
	if (length > 0)
		memcpy(*to, data, length);
	*to += length;
}

static void
give_body(ImgTransfer *transfer, const ImgRemoteCall *call, const ImgBody *picture)
{
	size_t		length = call->beginning_length + (call->picture ? picture->length : 0) + call->tail_length;
	char	   *at;

	transfer->request = call->request;
	transfer->body.length = length;
	if (length == 0)
		return;
	if (length > IMG_FETCH_INLINE)
	{
		int			memfd = img_new_memfd();

		PG_TRY();
		{
			write_body(memfd, call, picture);
		}
		PG_CATCH();
		{
			close(memfd);
			PG_RE_THROW();
		}
		PG_END_TRY();
		transfer->memfd = transfer->body.memfd = memfd;
		return;
	}
	transfer->body.data = at = palloc(length);
	append(&at, call->beginning, call->beginning_length);
	/* in a memfd is what is larger than a message */
	if (call->picture)
		append(&at, picture->data, picture->length);
	append(&at, call->tail, call->tail_length);
}

void
img_call_prepare(ImgTransfer *transfer, const ImgServer *server, Oid role, const char *what,
				 const ImgRemoteCall *call, const ImgBody *picture)
{
	give_body(transfer, call, picture);
	img_transfer_prepare(transfer, server, role, MAX_ANSWER);
	transfer->once = strcmp(what, "submit") == 0;
	transfer->any_status = true;
}

bool
img_remote_call(ImgJob *job, const char *what)
{
	const ImgServer *server = img_remote_job_server(job->server, job->owner);
	ImgTransfer *transfer = img_transfer_make(job->context, job);
	MemoryContext before = MemoryContextSwitchTo(transfer->context);
	ImgRemoteCall call;
	bool		possible;

	if (!img_remote_job_call(server, what, &job->id, job->remote->request, input_of(job, server, what), &call))
		elog(ERROR, "servers of type %s know no call %s", server->type->name, what);
	possible = !call.picture || job->source.length > 0;
	if (possible)
		img_call_prepare(transfer, server, job->owner, what, &call, &job->source);
	MemoryContextSwitchTo(before);
	if (!possible)
	{
		img_transfer_free(transfer);
		return false;
	}
	transfer->done = call_done;
	transfer->failed = call_failed;
	img_call_note(&job->remote->call, job->context, what, call.request.method, call.path);
	if (call.picture)
		job->remote->picture_bytes = job->source.length;
	job->remote->phase = IMG_REMOTE_CALLING;
	job->transfers++;
	img_transfer_start(transfer);
	return true;
}
