/*
 * dispatcher_transfer.c
 *	  The fetcher of a dispatcher: requests that wait, run, and have failed.
 *
 * Runs in a dispatcher, outside of transactions but for img_transfers_settle().
 *
 * The fetcher is started with the first request.  When it dies, what it had is
 * sent again to the next one: reading can be repeated, and so can writing the
 * same bytes to the same place.  What cannot, is marked (once) and has failed.
 */
#include "postgres.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "extension/dispatcher_network.h"
#include "extension/home.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define TRANSFERS		IMG_FETCH_TRANSFERS
/* A fetcher that did not get ready, or died: not at once again. */
#define RESTART_MS		1000
/* A job whose requests have met so many dying fetchers has failed. */
#define MOST_LOSSES		3

/* A server that transfers wait for or run with: counted, not searched for, since
 * hundreds may wait. */
struct ImgConnections
{
	char		server[NAMEDATALEN];	/* hash key */
	int			transfers;		/* that point here; with the last it goes */
	int			running;		/* of them */
};

static HTAB *connections = NULL;
static ImgFetcher fetcher = {.socket = -1};
static ImgTransfer *running[TRANSFERS];
static int	nrunning = 0;
static dlist_head waiting = DLIST_STATIC_INIT(waiting);
static dlist_head failed = DLIST_STATIC_INIT(failed);
static bool blocked = false;	/* the socket is full */
static TimestampTz start_after = 0;
static uint64 requests = 0;

ImgTransfer *
img_transfer_make(MemoryContext parent, ImgJob *job)
{
	MemoryContext context = AllocSetContextCreate(parent, "imgapi transfer", ALLOCSET_SMALL_SIZES);
	ImgTransfer *transfer = MemoryContextAllocZero(context, sizeof(ImgTransfer));

	transfer->context = context;
	transfer->job = job;
	transfer->memfd = -1;
	transfer->body.memfd = -1;
	transfer->slot = -1;
	return transfer;
}

static ImgConnections *
connections_of(const char *server)
{
	ImgConnections *found;
	bool		known;

	if (connections == NULL)
	{
		HASHCTL		control = {.keysize = NAMEDATALEN, .entrysize = sizeof(ImgConnections)};

		connections = hash_create("imgapi connections", 16, &control, HASH_ELEM | HASH_STRINGS);
	}
	found = hash_search(connections, server, HASH_ENTER, &known);
	if (!known)
		found->transfers = found->running = 0;
	found->transfers++;
	return found;
}

void
img_transfer_connect(ImgTransfer *transfer, const char *server, int most)
{
	transfer->connections = connections_of(server);
	transfer->server = transfer->connections->server;
	transfer->most_connections = most;
}

void
img_transfer_prepare(ImgTransfer *transfer, const ImgServer *server, Oid role, uint64 max_answer)
{
	transfer->role = role;
	transfer->max_answer = max_answer;
	if (server != NULL)
		img_transfer_connect(transfer, server->name, img_server_number(server, "max_connections"));
}

void
img_transfer_start(ImgTransfer *transfer)
{
	dlist_push_tail(&waiting, &transfer->node);
}

void
img_transfer_free(ImgTransfer *transfer)
{
	if (transfer->memfd >= 0)
		close(transfer->memfd);
	if (transfer->connections != NULL && --transfer->connections->transfers == 0)
		(void) hash_search(connections, transfer->connections->server, HASH_REMOVE, NULL);
	MemoryContextDelete(transfer->context);
}

static void
take_slot(ImgTransfer *transfer, int slot)
{
	running[slot] = transfer;
	transfer->slot = slot;
	nrunning++;
	if (transfer->connections != NULL)
		transfer->connections->running++;
}

static void
leave_slot(ImgTransfer *transfer)
{
	running[transfer->slot] = NULL;
	transfer->slot = -1;
	nrunning--;
	if (transfer->connections != NULL)
		transfer->connections->running--;
}

/* Puts the answer of a failure aside, until there is a transaction. */
static void
put_aside(ImgTransfer *transfer, const ImgFetchReply *reply)
{
	size_t		length = sizeof(*reply) + reply->text_length + reply->origin_length + reply->headers_length +
		(reply->place == IMG_INLINE ? reply->body_length : 0);

	transfer->reply = MemoryContextAlloc(transfer->context, length);
	memcpy(transfer->reply, reply, length);
	dlist_push_tail(&failed, &transfer->node);
}

static void
take_reply(const ImgFetchReply *reply, int memfd)
{
	int			slot = reply->id % TRANSFERS;
	ImgTransfer *transfer = running[slot];

	if (transfer == NULL || transfer->id != reply->id)
	{
		if (memfd >= 0)
			close(memfd);
		return;
	}
	leave_slot(transfer);
	if (transfer->job == NULL && transfer->about == NULL)
	{
		if (memfd >= 0)
			close(memfd);
		img_transfer_free(transfer);
	}
	else if (reply->outcome == IMG_FETCH_DONE &&
			 (transfer->any_status || (reply->status >= 200 && reply->status < 300)))
		transfer->done(transfer, reply, memfd);
	else
	{
		if (memfd >= 0)
			close(memfd);
		put_aside(transfer, reply);
	}
}

/* Its requests go to the next one. */
static void
lose_fetcher(void)
{
	bool		was_ready = fetcher.ready;
	const char *how = img_fetcher_end(&fetcher);

	ereport(LOG, (errmsg("the fetcher has ended: %s", how)));
	if (!was_ready)
		snprintf(img_dispatcher.slot->status.last_error, sizeof(img_dispatcher.slot->status.last_error),
				 "the fetcher did not start: %s", how);
	start_after = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RESTART_MS);
	blocked = false;
	for (int i = 0; i < TRANSFERS; i++)
	{
		ImgTransfer *transfer = running[i];

		if (transfer == NULL)
			continue;
		leave_slot(transfer);
		if (transfer->job == NULL && transfer->about == NULL)
			img_transfer_free(transfer);
		else if (transfer->once || (transfer->job != NULL && ++transfer->job->losses >= MOST_LOSSES))
		{
			ImgFetchReply reply = {.outcome = IMG_FETCH_FAILED, .stage = transfer->once ? IMG_FETCH_AT_SEND : IMG_FETCH_AT_NONE};

			put_aside(transfer, &reply);
		}
		else
			dlist_push_head(&waiting, &transfer->node);
	}
}

void
img_transfers_receive(void)
{
	static ImgFetchReply *buffer = NULL;
	int			memfd;
	int			got;

	if (fetcher.pid == 0)
		return;
	if (buffer == NULL)
		buffer = MemoryContextAlloc(TopMemoryContext, IMG_MAX_MESSAGE);
	while ((got = img_fetcher_receive(&fetcher, buffer, &memfd, IMG_MAX_OUTPUT)) == 1)
		take_reply(buffer, memfd);
	if (got < 0)
		lose_fetcher();
}

static void
watch(int operation, uint32 what)
{
	struct epoll_event event = {.events = what, .data.ptr = &fetcher};

	if (epoll_ctl(img_dispatcher.epoll, operation, fetcher.socket, &event) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR), errmsg("epoll_ctl failed: %m")));
}

static int
free_slot(void)
{
	static int	last = 0;

	for (int i = 0; i < TRANSFERS && nrunning < TRANSFERS; i++)
	{
		last = (last + 1) % TRANSFERS;
		if (running[last] == NULL)
			return last;
	}
	return -1;
}

/* False: no more can be sent now. */
static bool
send_one(ImgTransfer *transfer)
{
	int			slot = free_slot();

	if (slot < 0)
		return false;
	transfer->id = ++requests * TRANSFERS + slot;
	if (!img_fetcher_send(&fetcher, transfer->id, &transfer->request, &transfer->body, transfer->max_answer))
	{
		blocked = errno == EAGAIN || errno == EWOULDBLOCK;
		if (!blocked && errno == EMSGSIZE)
		{
			ImgFetchReply reply = {.outcome = IMG_FETCH_REFUSED, .stage = IMG_FETCH_AT_URL};

			dlist_delete(&transfer->node);
			put_aside(transfer, &reply);
			return true;
		}
		watch(EPOLL_CTL_MOD, EPOLLIN | (blocked ? EPOLLOUT : 0));
		return false;
	}
	dlist_delete(&transfer->node);
	transfer->committed = true;
	take_slot(transfer, slot);
	return true;
}

/*
 * Starts it.  If that fails, those who need it wait and others do not: no error
 * gets out.
 */
static void
start_fetcher(void)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		img_fetcher_start(&fetcher, TRANSFERS);
		watch(EPOLL_CTL_ADD, EPOLLIN);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		EmitErrorReport();
		FlushErrorState();
		strlcpy(img_dispatcher.slot->status.last_error, error->message, sizeof(img_dispatcher.slot->status.last_error));
		(void) img_fetcher_end(&fetcher);
		start_after = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RESTART_MS);
	}
	PG_END_TRY();
}

/* Sends what waits; ms until it is worth another look. */
long
img_transfers_send(void)
{
	dlist_mutable_iter iter;
	TimestampTz now = GetCurrentTimestamp();

	if (dlist_is_empty(&waiting))
		return 60 * 1000;
	if (fetcher.pid == 0)
	{
		if (start_after > now)
			return TimestampDifferenceMilliseconds(now, start_after);
		start_fetcher();
		if (fetcher.pid == 0)
			return RESTART_MS;
	}
	if (blocked)
	{
		blocked = false;
		watch(EPOLL_CTL_MOD, EPOLLIN);
	}
	dlist_foreach_modify(iter, &waiting)
	{
		ImgTransfer *transfer = dlist_container(ImgTransfer, node, iter.cur);

		if (transfer->job == NULL && transfer->about == NULL)
		{
			dlist_delete(iter.cur);
			img_transfer_free(transfer);
			continue;
		}
		if (transfer->connections != NULL && transfer->connections->running >= transfer->most_connections)
			continue;
		if (!send_one(transfer))
			break;
	}
	return 60 * 1000;
}

bool
img_transfers_have_failed(void)
{
	return !dlist_is_empty(&failed);
}

/* What read_failure() needs and makes. */
typedef struct Reading
{
	ImgTransfer *transfer;
	ImgRemoteFailure failure;
} Reading;

/* What a request that failed means; in the current memory context. */
static void
read_failure(void *arg)
{
	ImgTransfer *transfer = ((Reading *) arg)->transfer;
	ImgRemoteFailure *failure = &((Reading *) arg)->failure;
	const ImgServer *server = transfer->server ? img_server_get(transfer->server, transfer->role) : NULL;

	if (transfer->reply->outcome == IMG_FETCH_FAILED && transfer->reply->stage == IMG_FETCH_AT_NONE)
		*failure = (ImgRemoteFailure) {
			ERRCODE_SYSTEM_ERROR, true, 0, "fetcher", "the fetcher died, again and again, while it worked on this"
		};
	else if (transfer->reply->outcome == IMG_FETCH_REFUSED && transfer->reply->text_length == 0)
		*failure = (ImgRemoteFailure) {
			ERRCODE_PROGRAM_LIMIT_EXCEEDED, false, 0, "url", "the URL or the headers of the request are too long"
		};
	else
		(void) img_remote_failure(server, transfer->reply, failure);
}

void
img_transfers_commit(void)
{
	dlist_iter	iter;

	/* those of this transaction came last */
	dlist_reverse_foreach(iter, &waiting)
	{
		ImgTransfer *transfer = dlist_container(ImgTransfer, node, iter.cur);

		if (transfer->committed)
			break;
		transfer->committed = true;
	}
}

void
img_transfers_undo(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &waiting)
	{
		ImgTransfer *transfer = dlist_container(ImgTransfer, node, iter.cur);

		if (transfer->committed)
			continue;
		dlist_delete(iter.cur);
		if (transfer->undone != NULL && transfer->about != NULL)
			transfer->undone(transfer);
		img_transfer_free(transfer);
	}
}

/* Within a transaction: says what became of requests that failed. */
void
img_transfers_settle(void)
{
	while (!dlist_is_empty(&failed))
	{
		ImgTransfer *transfer = dlist_container(ImgTransfer, node, dlist_pop_head_node(&failed));
		Reading		reading = {transfer};
		ErrorData  *error;

		if (transfer->job == NULL && transfer->about == NULL)
		{
			img_transfer_free(transfer);
			continue;
		}
		error = img_try(read_failure, &reading);
		if (error != NULL)
			reading.failure = (ImgRemoteFailure) {error->sqlerrcode, false, 0, "status", error->message, error->hint};
		transfer->failed(transfer, &reading.failure);
	}
}

/* It outlives its job. */
static void
give_up(ImgTransfer *transfer)
{
	transfer->job = NULL;
	MemoryContextSetParent(transfer->context, TopMemoryContext);
}

static void
give_up_all_in(dlist_head *list, ImgJob *job)
{
	dlist_iter	iter;

	dlist_foreach(iter, list)
	{
		ImgTransfer *transfer = dlist_container(ImgTransfer, node, iter.cur);

		if (transfer->job == job)
			give_up(transfer);
	}
}

/* What is under way for a job is given up; its answers find nobody. */
void
img_transfers_give_up(ImgJob *job)
{
	give_up_all_in(&waiting, job);
	give_up_all_in(&failed, job);
	for (int i = 0; i < TRANSFERS; i++)
		if (running[i] != NULL && running[i]->job == job)
		{
			give_up(running[i]);
			(void) img_fetch_cancel(fetcher.socket, running[i]->id, MSG_DONTWAIT);
		}
}

void
img_transfers_end(void)
{
	(void) img_fetcher_end(&fetcher);
}
