/*
 * dispatcher_remote.c
 *	  Jobs that servers do: submit, poll, download.
 *
 * Runs in a dispatcher.  A job on the list "remote" has been claimed and is, or
 * is going to be, with the API of a server.  What the next step is, is decided
 * in SQL (img_remote_begin() and img_remote_answered()), in a transaction that
 * is waited for; requests are sent when it has committed, and answers are kept
 * here until theirs has.  So the row says "submitting" before a submit is sent,
 * and has the server's id before anything else is done with it.  A submit is
 * sent once: whoever finds such a row, and has not the answer in hand, fails
 * the job.
 *
 * A server that says that it is asked too often is left alone for so long by all
 * its jobs.  No lock is waited for: a row that somebody else has is tried again.
 *
 * The result comes back to the list "claimed": an executor reads its header,
 * and from then on it is like any other.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "extension/dispatcher_network.h"
#include "extension/home.h"
#include "extension/remote_job.h"
#include "extension/settings.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Jobs in hand. */
#define MOST_REMOTE		1024
/* What an API may answer. */
#define MAX_ANSWER		(1024 * 1024)
/* After a locked row or an error. */
#define AGAIN_MS		500
/* Attempts to write down what the answer to a submit was. */
#define MOST_TRIES		120
/* A server is left alone for so long at most, and at least if it says so
 * without saying how long. */
#define MOST_PAUSE		3600
#define LEAST_PAUSE		1

typedef enum Phase
{
	NEW,						/* nobody has looked at it */
	CALLING,					/* a request is under way */
	ANSWERED,					/* its answer is here */
	WAITING,					/* to be polled */
	DOWNLOADING
} Phase;

/* A server with jobs in hand, as one role uses it; kept for good. */
typedef struct Api
{
	char	   *server;
	int			max_concurrency;
	int			max_connections;
	int			jobs;			/* in hand */
	int			begun;			/* of them not NEW */
	int			submits;		/* under way */
	TimestampTz not_before;		/* is left alone until then */
} Api;

typedef struct ImgRemoteJob
{
	Api		   *api;
	Jsonb	   *request;		/* img_job.request */
	Phase		phase;
	Phase		before;			/* this transaction */
	const char *what;			/* the request: submit, poll, result */
	char	   *method;
	char	   *path;
	char	   *remote_id;
	TimestampTz wait_until;
	int			tries;
	/* the answer */
	int			status;			/* 0: none */
	int			ms;
	bool		sent;			/* without an answer: perhaps it has come there */
	bool		refused;		/* without an answer: it never will be sent */
	ImgRemoteFailure failure;
	char	   *request_id;		/* or NULL */
	bytea	   *body;
	ImgFacts	input;
} ImgRemoteJob;

/* Columns of img_remote_step. */
enum
{
	ACTION = 1, SECONDS, REMOTE_ID, URL, SQLSTATE, MESSAGE, HINT, STAGE, TRANSIENT,
	INPUT_FORMAT, INPUT_WIDTH, INPUT_HEIGHT
};

static ImgStatement begin = {
	"SELECT s.* FROM $S.img_remote_begin($1, $2, $3, $4, $5, $6) s",
	6, {TEXTOID, UUIDOID, INT2OID, TEXTOID, TEXTOID, REGROLEOID}
};
static ImgStatement answered = {
	"SELECT s.* FROM $S.img_remote_answered($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) s",
	12, {TEXTOID, UUIDOID, INT2OID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID, TEXTOID, TEXTOID, BOOLOID, BYTEAOID}
};

static List *apis = NIL;
static bool draining = false;

/* ------------------------------------------------------------- servers --- */

static Api *
find_api(const ImgServer *server)
{
	Api		   *api = NULL;
	ListCell   *cell;
	MemoryContext before;

	foreach(cell, apis)
		if (strcmp(((Api *) lfirst(cell))->server, server->name) == 0)
			api = lfirst(cell);
	if (api == NULL)
	{
		before = MemoryContextSwitchTo(TopMemoryContext);
		api = palloc0(sizeof(Api));
		api->server = pstrdup(server->name);
		apis = lappend(apis, api);
		MemoryContextSwitchTo(before);
	}
	api->max_concurrency = img_server_number(server, "max_concurrency");
	api->max_connections = img_server_number(server, "max_connections");
	return api;
}

static void
count_jobs(void)
{
	ListCell   *cell;
	dlist_iter	iter;

	foreach(cell, apis)
	{
		Api		   *api = lfirst(cell);

		api->jobs = api->begun = api->submits = 0;
	}
	dlist_foreach(iter, &img_dispatcher.remote)
	{
		ImgRemoteJob *r = dlist_container(ImgJob, node, iter.cur)->remote;

		r->api->jobs++;
		r->api->begun += r->phase != NEW;
		r->api->submits += r->phase == CALLING && strcmp(r->what, "submit") == 0;
	}
}

static bool
may_begin(const Api *api)
{
	return api->begun < api->max_concurrency && api->submits < api->max_connections;
}

Datum
img_remote_busy(bool *isnull)
{
	Datum	   *names = palloc((list_length(apis) + 1) * sizeof(Datum));
	TimestampTz now = GetCurrentTimestamp();
	int			n = 0;
	ListCell   *cell;

	*isnull = img_dispatcher.nremote >= MOST_REMOTE;
	if (*isnull)
		return (Datum) 0;
	count_jobs();
	foreach(cell, apis)
	{
		Api		   *api = lfirst(cell);

		if (api->jobs >= 2 * api->max_concurrency || api->not_before > now)
			names[n++] = CStringGetTextDatum(api->server);
	}
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* ---------------------------------------------------------------- jobs --- */

void
img_remote_job_plan(ImgJob *job, Jsonb *request)
{
	const ImgServer *server = img_remote_job_server(job->server, job->owner);
	MemoryContext before = MemoryContextSwitchTo(job->context);
	ImgRemoteJob *r = palloc0(sizeof(ImgRemoteJob));

	r->api = find_api(server);
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
	return job->server != NULL && job->source.length == 0;
}

void
img_remote_take(ImgJob *job)
{
	job->remote->phase = NEW;
	dlist_push_tail(&img_dispatcher.remote, &job->node);
	img_dispatcher.nremote++;
}

static void
leave_remote(ImgJob *job)
{
	dlist_delete(&job->node);
	img_dispatcher.nremote--;
	/* its server may take another */
	img_dispatcher.look = true;
}

static void
wait_for(ImgJob *job, Phase phase, double seconds)
{
	job->remote->phase = phase;
	job->remote->wait_until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), (int64) (Max(seconds, 0) * 1000));
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
heed_limits(Api *api, const ImgFetchReply *reply)
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

static void
call_done(ImgTransfer *transfer, const ImgFetchReply *reply, int memfd)
{
	ImgJob	   *job = transfer->job;
	ImgRemoteJob *r = job->remote;
	MemoryContext before = MemoryContextSwitchTo(job->context);

	r->status = reply->status;
	r->ms = reply->times.total / 1000;
	r->request_id = shown_header(reply, "x-request-id");
	r->body = copy_body(reply, memfd);
	heed_limits(r->api, reply);
	MemoryContextSwitchTo(before);
	if (memfd >= 0)
		close(memfd);
	wait_for(job, ANSWERED, 0);
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

	r->status = 0;
	r->ms = transfer->reply->times.total / 1000;
	r->request_id = NULL;
	r->body = NULL;
	r->sent = transfer->reply->stage > IMG_FETCH_AT_TLS;
	r->refused = transfer->reply->outcome == IMG_FETCH_REFUSED;
	r->failure = *failure;
	r->failure.message = pstrdup(failure->message);
	r->failure.hint = failure->hint ? pstrdup(failure->hint) : NULL;
	MemoryContextSwitchTo(before);
	wait_for(job, ANSWERED, 0);
	r->tries = 0;
	job->transfers--;
	img_transfer_free(transfer);
}

/* ------------------------------------------------------------ requests --- */

static void
call(ImgJob *job, const char *what)
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
	r->method = pstrdup(transfer->request.method);
	r->path = pstrdup(path);
	MemoryContextSwitchTo(before);
	r->phase = CALLING;
	job->transfers++;
	img_transfer_start(transfer);
}

static void
download_done(ImgTransfer *transfer, const ImgFetchReply *reply, int memfd)
{
	ImgJob	   *job = transfer->job;

	job->transfers--;
	leave_remote(job);
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
	leave_remote(job);
	job->failure.retry_after = failure->retry_after;
	img_job_fail(job, failure->sqlstate, "download", failure->transient || expired, failure->message, failure->hint);
	img_transfer_free(transfer);
}

static void
download(ImgJob *job, const char *url)
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
	job->remote->phase = DOWNLOADING;
	job->transfers++;
	img_transfer_start(transfer);
}

/* --------------------------------------------------------------- steps --- */

static char *
column(int number)
{
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, number);
}

static int
number_column(int number)
{
	char	   *value = column(number);

	return value ? atoi(value) : 0;
}

static void
keep_input_facts(ImgRemoteJob *r)
{
	char	   *format = column(INPUT_FORMAT);

	r->input.format = UINT16_MAX;
	for (int i = 0; format != NULL && i < img_format_count; i++)
		if (strcmp(img_formats[i]->name, format) == 0)
			r->input.format = i;
	r->input.width = Max(number_column(INPUT_WIDTH), 0);
	r->input.height = Max(number_column(INPUT_HEIGHT), 0);
	r->input.pages = r->input.orientation = 1;
	r->input.lat = r->input.lng = NAN;
}

static void
fail(ImgJob *job)
{
	ImgRemoteJob *r = job->remote;
	char	   *sqlstate = column(SQLSTATE);
	char	   *stage = column(STAGE);
	char	   *message = column(MESSAGE);
	char	   *transient = column(TRANSIENT);

	leave_remote(job);
	if (r->phase == ANSWERED && r->status == 0 && r->refused)
	{
		img_job_fail(job, r->failure.sqlstate, r->what, false, r->failure.message, r->failure.hint);
		return;
	}
	job->failure.retry_after = Max(0, (r->api->not_before - GetCurrentTimestamp()) / USECS_PER_SEC);
	img_job_fail(job, MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2], sqlstate[3], sqlstate[4]),
				 MemoryContextStrdup(job->context, stage), transient != NULL && transient[0] == 't', message, column(HINT));
}

static void
end_cancelled(ImgJob *job, const char *message)
{
	img_transfers_give_up(job);
	job->transfers = 0;
	leave_remote(job);
	job->failure.message = message ? MemoryContextStrdup(job->context, message) : "it has been cancelled";
	job->failure.stage = "remote";
	img_job_end(job, IMG_END_CANCELLED);
}

/* Does what the row of img_remote_step says. */
static void
act(ImgJob *job)
{
	ImgRemoteJob *r = job->remote;
	const char *action = column(ACTION);
	char	   *seconds = column(SECONDS);
	char	   *remote_id = column(REMOTE_ID);

	if (remote_id != NULL && r->remote_id == NULL)
		r->remote_id = MemoryContextStrdup(job->context, remote_id);
	if (strcmp(action, "submit") == 0 || strcmp(action, "result") == 0)
		call(job, action[0] == 's' ? "submit" : "result");
	else if (strcmp(action, "poll") == 0)
		wait_for(job, WAITING, seconds ? atof(seconds) : 0);
	else if (strcmp(action, "download") == 0)
	{
		keep_input_facts(r);
		download(job, column(URL));
	}
	else if (strcmp(action, "again") == 0)
		wait_for(job, NEW, 0);
	else if (strcmp(action, "locked") == 0)
		wait_for(job, r->phase, AGAIN_MS / 1000.0);
	else if (strcmp(action, "fail") == 0)
		fail(job);
	else
		end_cancelled(job, column(MESSAGE));
}

static void
begin_job(ImgJob *job)
{
	const ImgServer *server = img_remote_job_server(job->server, job->owner);
	Datum		values[] = {
		CStringGetTextDatum(img_dispatcher.name), UUIDPGetDatum(&job->id), Int16GetDatum(job->attempt),
		CStringGetTextDatum(job->server), CStringGetTextDatum(server->type->name), ObjectIdGetDatum(job->owner)
	};

	img_execute(&begin, values, NULL);
	act(job);
}

static void
take_answer(ImgJob *job)
{
	ImgRemoteJob *r = job->remote;
	Datum		values[] = {
		CStringGetTextDatum(img_dispatcher.name), UUIDPGetDatum(&job->id), Int16GetDatum(job->attempt),
		CStringGetTextDatum(r->what), CStringGetTextDatum(r->method), CStringGetTextDatum(r->path),
		Int32GetDatum(r->status), Int32GetDatum(r->ms),
		r->request_id ? CStringGetTextDatum(r->request_id) : (Datum) 0,
		r->status == 0 ? CStringGetTextDatum(r->failure.message) : (Datum) 0, BoolGetDatum(r->sent), PointerGetDatum(r->body)
	};
	char		nulls[] = "            ";

	if (r->status == 0)
		nulls[6] = nulls[11] = 'n';
	else
		nulls[9] = 'n';
	if (r->request_id == NULL)
		nulls[8] = 'n';
	img_execute(&answered, values, nulls);
	act(job);
}

static void
step(void *arg)
{
	ImgJob	   *job = arg;

	if (job->remote->phase == NEW)
		begin_job(job);
	else if (job->remote->phase == ANSWERED)
		take_answer(job);
	else
		call(job, "poll");
}

/* Nothing was written.  The id in the answer to a submit is not given up. */
static void
step_failed(ImgJob *job, const ErrorData *error)
{
	ImgRemoteJob *r = job->remote;
	bool		locked = error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE || error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
	bool		precious = r->before == ANSWERED && strcmp(r->what, "submit") == 0;

	if (locked || (precious && ++r->tries < MOST_TRIES))
	{
		wait_for(job, r->before, AGAIN_MS / 1000.0);
		return;
	}
	leave_remote(job);
	img_job_fail(job, error->sqlerrcode, r->before == NEW ? "submit" : r->what, false, error->message, error->hint);
}

static bool
is_due(ImgJob *job, TimestampTz now)
{
	ImgRemoteJob *r = job->remote;

	if (r->wait_until > now || r->phase == CALLING || r->phase == DOWNLOADING)
		return false;
	if (r->phase == ANSWERED)
		return true;
	return !draining && r->api->not_before <= now && (r->phase == WAITING || may_begin(r->api));
}

static bool
any_is_due(void)
{
	TimestampTz now = GetCurrentTimestamp();
	dlist_iter	iter;

	count_jobs();
	dlist_foreach(iter, &img_dispatcher.remote)
		if (is_due(dlist_container(ImgJob, node, iter.cur), now))
			return true;
	return false;
}

static void
do_steps(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &img_dispatcher.remote)
	{
		ImgJob	   *job = dlist_container(ImgJob, node, iter.cur);
		ImgRemoteJob *r = job->remote;
		ErrorData  *error;

		if (!is_due(job, GetCurrentTimestamp()))
			continue;
		r->before = r->phase;
		job->uncommitted = true;
		error = img_try(step, job);
		if (error != NULL)
			step_failed(job, error);
		else if (r->before == NEW && r->phase == CALLING)
		{
			r->api->begun++;
			r->api->submits++;
		}
	}
}

void
img_remote_work(void)
{
	dlist_iter	iter;

	if (dlist_is_empty(&img_dispatcher.remote) || !any_is_due())
		return;
	StartTransactionCommand();
	img_dispatcher.gone = img_home_of_extension() == NULL;
	if (!img_dispatcher.gone)
	{
		SPI_connect();
		PushActiveSnapshot(GetTransactionSnapshot());
		do_steps();
		PopActiveSnapshot();
		SPI_finish();
		/* "submitting" before it is sent, the id before it is used */
		ForceSyncCommit();
	}
	CommitTransactionCommand();
	dlist_foreach(iter, &img_dispatcher.remote)
		dlist_container(ImgJob, node, iter.cur)->uncommitted = false;
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
		wait_for(job, job->remote->before, AGAIN_MS / 1000.0);
	}
}

long
img_remote_in(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long		wait = 60 * 1000;
	dlist_iter	iter;
	ListCell   *cell;

	count_jobs();
	foreach(cell, apis)
		if (((Api *) lfirst(cell))->not_before > now)
			wait = Min(wait, TimestampDifferenceMilliseconds(now, ((Api *) lfirst(cell))->not_before));
	dlist_foreach(iter, &img_dispatcher.remote)
	{
		ImgRemoteJob *r = dlist_container(ImgJob, node, iter.cur)->remote;

		if (r->phase == CALLING || r->phase == DOWNLOADING || (r->phase == NEW && !may_begin(r->api)))
			continue;
		if (r->phase != ANSWERED && r->api->not_before > now)
			continue;
		wait = Min(wait, TimestampDifferenceMilliseconds(now, r->wait_until));
	}
	return wait;
}

/* ------------------------------------------------------------ the rest --- */

/* Jobs of which it is found out at a time whether they have been cancelled. */
#define ASKED_ABOUT		64

static int
ask_about(ImgJob **jobs, int count)
{
	bool		gone[ASKED_ABOUT];

	if (count > 0)
		img_find_gone(jobs, count, gone);
	for (int i = 0; i < count; i++)
		if (gone[i])
			end_cancelled(jobs[i], NULL);
	return 0;
}

/* Those that are just being submitted end when the answer has been kept. */
void
img_remote_end_cancelled(void)
{
	ImgJob	   *jobs[ASKED_ABOUT];
	int			count = 0;
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &img_dispatcher.remote)
	{
		ImgJob	   *job = dlist_container(ImgJob, node, iter.cur);
		ImgRemoteJob *r = job->remote;

		if ((r->phase == CALLING || r->phase == ANSWERED) && strcmp(r->what, "submit") == 0)
			continue;
		if (count == ASKED_ABOUT)
			count = ask_about(jobs, count);
		jobs[count++] = job;
	}
	(void) ask_about(jobs, count);
}

bool
img_remote_take_facts(ImgJob *job)
{
	ImgOutput  *output = palloc0(sizeof(ImgOutput));

	output->bytes = job->source.length;
	output->facts = job->answer.reply.source;
	output->data = palloc_extended(VARHDRSZ + output->bytes, MCXT_ALLOC_HUGE);
	SET_VARSIZE(output->data, VARHDRSZ + output->bytes);
	if (job->source.memfd < 0)
		memcpy(VARDATA(output->data), job->source.data, output->bytes);
	else if (img_read_all(job->source.memfd, VARDATA(output->data), output->bytes, 0) != 0)
	{
		img_job_fail(job, ERRCODE_SYSTEM_ERROR, "download", true, "could not read from a memory file", NULL);
		return false;
	}
	job->answer.output = output;
	job->answer.outputs = 1;
	job->answer.reply.source = job->remote->input;
	/* of the source: the server does not say */
	job->input_bytes = 0;
	return true;
}

bool
img_remote_drain(void)
{
	draining = true;
	img_transfers_receive();
	img_network_work();
	img_remote_work();
	(void) img_transfers_send();
	count_jobs();
	for (int i = 0; i < list_length(apis); i++)
		if (((Api *) list_nth(apis, i))->submits > 0)
			return false;
	return true;
}
