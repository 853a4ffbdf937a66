/*
 * dispatcher_executors.c
 *	  The executors of a dispatcher: sending, receiving, deadlines, deaths.
 *
 * Runs in a dispatcher, outside of transactions.
 *
 * Each executor answers in order.  When one dies, the oldest unanswered job is
 * to blame; those behind it go back to the claimed list and lose nothing.
 */
#include "postgres.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "extension/dispatcher.h"
#include "extension/settings.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Beyond the executor's own deadline, before it is killed from here. */
#define GRACE_MS		2000
#define RESTART_MS		1000
#define CANCEL_MS		500

/* How far ahead an executor is fed: enough that it never waits for us, little
 * enough that a large picture does not hold up small ones behind it. */
#define QUEUED_BYTES	(1024 * 1024)
#define AHEAD_MS		40.0
/* Jobs for one executor: in its queue, or claimed so that they can be there soon. */
#define MOST_AHEAD		64

static void
start_station(ImgStation *station)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = station};

	img_executor_start(&station->executor, IMG_MAX_SLOT_FDS);
	if (epoll_ctl(img_dispatcher.epoll, EPOLL_CTL_ADD, station->executor.socket, &event) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR), errmsg("epoll_ctl failed: %m")));
	station->head_since = GetCurrentTimestamp();
}

void
img_stations_start(void)
{
	img_dispatcher.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (img_dispatcher.epoll < 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR), errmsg("epoll_create1 failed: %m")));
	img_dispatcher.station = MemoryContextAllocZero(TopMemoryContext, img_executor_count() * sizeof(ImgStation));
	for (int i = 0; i < img_executor_count(); i++)
	{
		img_dispatcher.station[i].executor.socket = -1;
		img_dispatcher.stations = i + 1;
		start_station(&img_dispatcher.station[i]);
	}
}

void
img_stations_end(void)
{
	for (int i = 0; i < img_dispatcher.stations; i++)
		(void) img_executor_end(&img_dispatcher.station[i].executor);
}

void
img_job_end(ImgJob *job, ImgEnd end)
{
	job->end = end;
	job->ended_at = GetCurrentTimestamp();
	dlist_push_tail(&img_dispatcher.ended, &job->node);
	img_dispatcher.nended++;
}

void
img_job_fail(ImgJob *job, int sqlstate, const char *stage, bool transient,
			 const char *message, const char *hint)
{
	strlcpy(job->failure.sqlstate, unpack_sql_state(sqlstate), sizeof(job->failure.sqlstate));
	job->failure.message = MemoryContextStrdup(job->context, message);
	job->failure.hint = hint ? MemoryContextStrdup(job->context, hint) : NULL;
	job->failure.stage = stage;
	job->failure.transient = transient;
	strlcpy(img_dispatcher.slot->status.last_error, message, sizeof(img_dispatcher.slot->status.last_error));
	img_job_end(job, IMG_END_FAILED);
}

/* Takes the oldest job from the queue. */
static ImgJob *
shift(ImgStation *station)
{
	ImgJob	   *job = station->queue[0];

	memmove(&station->queue[0], &station->queue[1], (--station->queued) * sizeof(ImgJob *));
	station->queued_bytes -= job->input_bytes + job->other_bytes;
	station->busy_slots &= ~(1u << job->slot);
	station->head_since = GetCurrentTimestamp();
	img_dispatcher.nsent--;
	return job;
}

typedef enum Loss
{
	LOST_BY_ITSELF,				/* died, or talked nonsense */
	LOST_TO_TIME,				/* its deadline is over */
	LOST_TO_CANCEL				/* nobody wants what it makes */
} Loss;

/* The executor is no more: blame one job, keep the others. */
static void
lose_station(ImgStation *station, Loss loss)
{
	bool		was_ready = station->executor.ready;
	const char *how = img_executor_end(&station->executor);

	/* Its own timer ends it with SIGALRM. */
	if (strstr(how, "signal 14:") != NULL)
		loss = LOST_TO_TIME;
	if (station->queued > 0)
	{
		ImgJob	   *job = shift(station);

		if (loss == LOST_TO_CANCEL)
			img_job_end(job, IMG_END_CANCELLED);
		else if (loss == LOST_TO_TIME)
			img_job_fail(job, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "executor", false,
						 psprintf("the picture took longer than imgapi.job_timeout allows (%d ms)", imgapi_job_timeout),
						 "An administrator may raise the limit: ALTER SYSTEM SET imgapi.job_timeout = '5min';");
		else
			img_job_fail(job, ERRCODE_SYSTEM_ERROR, "executor", true,
						 psprintf("the image executor died while it worked on this picture: %s", how),
						 "The picture may be broken or hostile. Other jobs are not affected.");
	}
	/* in front of those claimed later, in their order */
	while (station->queued > 0)
	{
		ImgJob	   *job = station->queue[--station->queued];

		dlist_push_head(&img_dispatcher.claimed, &job->node);
		img_dispatcher.nclaimed++;
		img_dispatcher.nsent--;
	}
	station->queued_bytes = 0;
	station->busy_slots = 0;
	ereport(LOG, (errmsg("an image executor has ended: %s", how)));
	if (!was_ready)
	{
		snprintf(img_dispatcher.slot->status.last_error, sizeof(img_dispatcher.slot->status.last_error),
				 "an image executor did not start: %s", how);
		station->start_after = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RESTART_MS);
	}
}

/* The first message of an executor: it is ready, and this is its sandbox. */
static bool
take_ready(ImgStation *station, const char *packet, size_t length)
{
	ImgAnswer	answer;

	if (!img_read_answer(packet, length, 0, -1, &answer))
		return false;
	station->executor.ready = true;
	station->head_since = GetCurrentTimestamp();
	strlcpy(img_dispatcher.slot->status.sandbox, answer.text, sizeof(img_dispatcher.slot->status.sandbox));
	pfree(answer.text);
	return true;
}

static void
take_answer_of(ImgStation *station, ImgJob *job)
{
	const ImgReply *reply = &job->answer.reply;

	img_trim_memfd(station->executor.memfd[job->slot],
				   Max(job->input_bytes + job->other_bytes, reply->output_length));
	(void) shift(station);
	img_dispatcher.job_ms += (reply->microseconds / 1000.0 - img_dispatcher.job_ms) / 8;
	if (reply->outcome == IMG_DONE && job->server != NULL && !img_remote_take_facts(job))
		return;
	if (reply->outcome == IMG_DONE && job->answer.outputs > 0)
	{
		if (job->request.destination != NULL)
			img_network_take(job);
		else
			img_job_end(job, IMG_END_DONE);
	}
	else
		img_job_fail(job, img_outcome_sqlstate(reply->outcome), img_stage_name(reply->stage),
					 reply->outcome == IMG_FAILURE,
					 job->answer.text[0] ? job->answer.text : "the image executor failed without a message",
					 img_outcome_hint(reply));
}

/* One message, if there is one; false: the executor has to go. */
static bool
receive(ImgStation *station, bool *more)
{
	static char *packet = NULL;
	ssize_t		got;
	int			nfds;
	ImgJob	   *job;
	MemoryContext before;
	bool		proper;

	*more = false;
	if (packet == NULL)
		packet = MemoryContextAlloc(TopMemoryContext, IMG_MAX_MESSAGE);
	got = img_receive(station->executor.socket, packet, IMG_MAX_MESSAGE, NULL, 0, &nfds, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return true;
	if (got <= 0)
		return false;
	*more = true;
	if (!station->executor.ready)
		return take_ready(station, packet, got);
	if (station->queued == 0)
		return false;
	job = station->queue[0];
	before = MemoryContextSwitchTo(job->context);
	proper = (job->request.destination ? img_take_answer : img_read_answer)
		(packet, got, job->wire_id, station->executor.memfd[job->slot], &job->answer);
	if (proper)
		take_answer_of(station, job);
	MemoryContextSwitchTo(before);
	return proper;
}

void
img_stations_receive(void)
{
	struct epoll_event events[16];
	int			n = epoll_wait(img_dispatcher.epoll, events, lengthof(events), 0);

	for (int i = 0; i < n; i++)
	{
		ImgStation *station = events[i].data.ptr;
		bool		more = true;

		if (station < img_dispatcher.station || station >= img_dispatcher.station + img_dispatcher.stations)
			continue;			/* the fetcher: img_transfers_receive() */

		while (more && station->executor.socket >= 0)
			if (!receive(station, &more))
			{
				lose_station(station, LOST_BY_ITSELF);
				break;
			}
	}
}

/*
 * Ends executors that work on jobs which have been cancelled.  Only those that
 * have been at it for a while: a new executor costs more than a small picture.
 * Returns ms until those that were too young have to be looked at again, 0:
 * none.
 */
long
img_stations_end_cancelled(void)
{
	ImgStation *busy[IMG_MAX_STATIONS];
	ImgJob	   *head[IMG_MAX_STATIONS];
	bool		gone[IMG_MAX_STATIONS];
	int			count = 0;
	bool		young = false;

	for (int i = 0; i < img_dispatcher.stations; i++)
	{
		ImgStation *station = &img_dispatcher.station[i];

		if (station->queued == 0)
			continue;
		if (!TimestampDifferenceExceeds(station->head_since, GetCurrentTimestamp(), CANCEL_MS))
		{
			young = true;
			continue;
		}
		busy[count] = station;
		head[count++] = station->queue[0];
	}
	if (count > 0)
		img_find_gone(head, count, gone);
	for (int i = 0; i < count; i++)
		if (gone[i])
			lose_station(busy[i], LOST_TO_CANCEL);
	return young ? CANCEL_MS : 0;
}

long
img_stations_tend(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long		wait = 60 * 1000;
	int			alive = 0;

	for (int i = 0; i < img_dispatcher.stations; i++)
	{
		ImgStation *station = &img_dispatcher.station[i];

		if (station->executor.pid != 0 && (station->queued > 0 || !station->executor.ready))
		{
			int64		allowed = (station->executor.ready ? imgapi_job_timeout : 10000) + GRACE_MS;
			TimestampTz deadline = TimestampTzPlusMilliseconds(station->head_since, allowed);

			if (deadline <= now)
				lose_station(station, LOST_TO_TIME);
			else
				wait = Min(wait, TimestampDifferenceMilliseconds(now, deadline));
		}
		if (station->executor.pid == 0)
		{
			if (station->start_after <= now)
				start_station(station);
			else
				wait = Min(wait, TimestampDifferenceMilliseconds(now, station->start_after));
		}
		alive += station->executor.ready;
	}
	img_dispatcher.slot->status.executors = alive;
	return wait;
}

static bool
has_room(const ImgStation *station, size_t bytes)
{
	if (!station->executor.ready || station->queued == IMG_MAX_SLOT_FDS)
		return false;
	if (station->queued < 2)
		return true;
	return station->queued_bytes + bytes <= QUEUED_BYTES &&
		station->queued * img_dispatcher.job_ms < AHEAD_MS;
}

ImgStation *
img_station_for(size_t bytes)
{
	ImgStation *best = NULL;

	for (int i = 0; i < img_dispatcher.stations; i++)
	{
		ImgStation *station = &img_dispatcher.station[i];

		if (!has_room(station, bytes))
			continue;
		if (best == NULL || station->queued < best->queued ||
			(station->queued == best->queued && station->queued_bytes < best->queued_bytes))
			best = station;
	}
	return best;
}

int
img_stations_ahead(void)
{
	int			ahead = Max(2, Min(MOST_AHEAD, (int) (AHEAD_MS / Max(img_dispatcher.job_ms, 0.1))));
	int			jobs = 0;

	for (int i = 0; i < img_dispatcher.stations; i++)
		if (img_dispatcher.station[i].executor.ready)
			jobs += ahead;
	return jobs;
}

/* Small inputs are kept until they are sent. */
static void
keep_inline(ImgJob *job, const ImgInput *input)
{
	char	   *copy = MemoryContextAlloc(job->context, img_input_length(input));

	memcpy(copy, input->picture.data, input->picture.length);
	if (input->other.length > 0)
		memcpy(copy + input->picture.length, input->other.data, input->other.length);
	job->inline_input = copy;
}

/* Gives a job and its picture a place in the queue of an executor. */
void
img_station_put(ImgStation *station, ImgJob *job, const ImgInput *input)
{
	job->slot = ffs(~station->busy_slots) - 1;
	job->input_bytes = input->picture.length;
	job->other_bytes = input->other.length;
	if (img_input_length(input) > IMG_INLINE_INPUT)
		img_memfd_put(station->executor.memfd[job->slot], input);
	else
		keep_inline(job, input);
	job->sent = false;
	station->queue[station->queued++] = job;
	station->queued_bytes += img_input_length(input);
	station->busy_slots |= 1u << job->slot;
	img_dispatcher.nsent++;
}

/* The last job of a queue goes back to the claimed ones. */
static void
take_back_last(ImgStation *station)
{
	ImgJob	   *job = station->queue[--station->queued];

	station->queued_bytes -= job->input_bytes + job->other_bytes;
	station->busy_slots &= ~(1u << job->slot);
	img_dispatcher.nsent--;
	dlist_push_head(&img_dispatcher.claimed, &job->node);
	img_dispatcher.nclaimed++;
}

void
img_stations_take_back(void)
{
	for (int i = 0; i < img_dispatcher.stations; i++)
	{
		ImgStation *station = &img_dispatcher.station[i];

		while (station->queued > 0 && !station->queue[station->queued - 1]->sent)
			take_back_last(station);
	}
}

static bool
send_job(ImgStation *station, ImgJob *job, const ImgLimits *limits)
{
	char	   *data = job->inline_input;
	ImgInput	input = {{data, -1, job->input_bytes}, {data ? data + job->input_bytes : NULL, -1, job->other_bytes}};

	job->wire_id = ++img_dispatcher.requests;
	/* what a server has made stays as it is */
	if (!img_executor_send(&station->executor, job->slot, job->server ? IMG_INFO : IMG_EDIT, job->wire_id, limits,
						   job->server ? NULL : &job->request.plan, &input))
		return false;
	job->sent = true;
	if (job->inline_input != NULL)
		pfree(job->inline_input);
	job->inline_input = NULL;
	return true;
}

void
img_stations_send(void)
{
	ImgLimits	limits = img_limits();

	for (int i = 0; i < img_dispatcher.stations; i++)
	{
		ImgStation *station = &img_dispatcher.station[i];

		for (int j = 0; j < station->queued; j++)
		{
			if (station->queue[j]->sent)
				continue;
			if (j == 0)
				station->head_since = GetCurrentTimestamp();
			/* The socket is full, or the executor gone: what is left comes
			 * again with the next turn. */
			if (!send_job(station, station->queue[j], &limits))
				break;
		}
	}
	img_stations_take_back();
}
