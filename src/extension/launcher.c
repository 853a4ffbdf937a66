/*
 * launcher.c
 *	  One background worker a cluster: starts dispatchers, keeps the pool.
 *
 * It connects to no database of a user's.  At start it has a dispatcher looked
 * for in every database (one that finds no extension goes away again); from
 * then on CREATE EXTENSION and submits ask for one through shared memory.
 *
 * The pool serves img_edit() and its like: executors that accept on one
 * listening socket in the data directory.  The kernel queues the callers, and
 * nothing here is on their way.
 *
 * A standby has no launcher until it is promoted (bgw_start_time).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "postgres.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "extension/executor_process.h"
#include "extension/imgapi.h"
#include "extension/settings.h"
#include "extension/shared.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* How long a dispatcher or an executor that died stays away. */
#define RESTART_MS	1000

static int	listener = -1;
static int	pool_epoll = -1;
static ImgExecutor *pool;
static TimestampTz *pool_retry; /* when a dead one may come back */
static int	pool_size;

void
img_register_launcher(void)
{
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = 5
	};

	/* pg_upgrade copies what is there; nobody may work on it meanwhile. */
	if (IsBinaryUpgrade)
		return;
	strlcpy(worker.bgw_name, "imgapi launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "imgapi launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "imgapi", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "img_launcher_main", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

/* ------------------------------------------------------------- the pool -- */

static void
open_listener(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t		mask;

	strlcpy(address.sun_path, IMG_POOL_SOCKET, sizeof(address.sun_path));
	(void) unlink(IMG_POOL_SOCKET);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0177);
	if (listener < 0 || bind(listener, (struct sockaddr *) &address, sizeof(address)) != 0 ||
		listen(listener, 4096) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not listen on \"%s/%s\": %m", DataDir, IMG_POOL_SOCKET)));
	umask(mask);
}

static void
start_pool_executor(int i)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};

	img_executor_start_in_pool(&pool[i], listener);
	if (epoll_ctl(pool_epoll, EPOLL_CTL_ADD, pool[i].socket, &event) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR), errmsg("epoll_ctl failed: %m")));
}

static void
end_pool(int code, Datum arg)
{
	for (int i = 0; i < pool_size; i++)
		(void) img_executor_end(&pool[i]);
	(void) unlink(IMG_POOL_SOCKET);
	LWLockAcquire(img_shared->lock, LW_EXCLUSIVE);
	img_shared->launcher = 0;
	img_shared->launcher_latch = NULL;
	img_shared->launcher_status.state = IMG_WORKER_NONE;
	LWLockRelease(img_shared->lock);
}

static void
start_pool(void)
{
	pool_size = img_executor_count();
	pool = MemoryContextAllocZero(TopMemoryContext, pool_size * sizeof(ImgExecutor));
	pool_retry = MemoryContextAllocZero(TopMemoryContext, pool_size * sizeof(TimestampTz));
	for (int i = 0; i < pool_size; i++)
		pool[i].socket = -1;
	pool_epoll = epoll_create1(EPOLL_CLOEXEC);
	before_shmem_exit(end_pool, 0);
	open_listener();
	for (int i = 0; i < pool_size; i++)
		start_pool_executor(i);
}

/* A pool executor said that it is ready, or is no more. */
static void
handle_pool_event(int i)
{
	ImgReply	ready;
	char		packet[sizeof(ImgReply) + IMG_MAX_TEXT];
	int			nfds;
	ssize_t		got;
	bool		was_ready;
	const char *how;

	if (pool[i].socket < 0)
		return;
	got = img_receive(pool[i].socket, packet, sizeof(packet), NULL, 0, &nfds, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (got >= (ssize_t) sizeof(ImgReply))
	{
		memcpy(&ready, packet, sizeof(ready));
		if (img_reply_valid(&ready, got, 0, false, 0))
		{
			char		state[sizeof(img_shared->launcher_status.sandbox)] = {0};

			memcpy(state, packet + sizeof(ready), Min(ready.text_length, sizeof(state) - 1));
			img_make_printable(state, strlen(state));
			memcpy(img_shared->launcher_status.sandbox, state, sizeof(state));
			pool[i].ready = true;
			return;
		}
	}
	was_ready = pool[i].ready;
	how = img_executor_end(&pool[i]);
	ereport(LOG, (errmsg("an image executor of the pool has ended: %s", how)));
	strlcpy(img_shared->launcher_status.last_error, how, sizeof(img_shared->launcher_status.last_error));
	/* One that was at work comes back at once, one that never got ready not. */
	pool_retry[i] = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), was_ready ? 0 : RESTART_MS);
}

/* Milliseconds until a dead executor may come back; restarts those that may. */
static long
tend_pool(void)
{
	struct epoll_event events[16];
	TimestampTz now = GetCurrentTimestamp();
	long		wait = 60 * 1000;
	int			alive = 0;
	int			n;

	while ((n = epoll_wait(pool_epoll, events, lengthof(events), 0)) > 0)
		for (int i = 0; i < n; i++)
			handle_pool_event(events[i].data.u32);
	for (int i = 0; i < pool_size; i++)
	{
		if (pool[i].pid == 0 && pool_retry[i] <= now)
			start_pool_executor(i);
		else if (pool[i].pid == 0)
			wait = Min(wait, TimestampDifferenceMilliseconds(now, pool_retry[i]));
		alive += pool[i].pid != 0;
	}
	img_shared->launcher_status.executors = alive;
	return wait;
}

/* ------------------------------------------------------ the dispatchers -- */

/* Asks for a dispatcher in every database that takes connections. */
static void
want_all_databases(void)
{
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);
		ImgSlot    *slot;

		if (!form->datallowconn || !img_database_is_served(NameStr(form->datname)))
			continue;
		slot = img_slot(form->oid, true);
		if (slot == NULL)
		{
			ereport(LOG,
					(errmsg("imgapi works in at most %d databases at a time", IMG_MAX_DATABASES),
					 errhint("Name those that matter in imgapi.databases.")));
			break;
		}
		slot->wanted = true;
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
}

/* It may have been dropped since it was asked for. */
static bool
database_exists(Oid database)
{
	bool		exists;

	StartTransactionCommand();
	exists = SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database));
	CommitTransactionCommand();
	return exists;
}

static bool
start_dispatcher(Oid database)
{
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_main_arg = ObjectIdGetDatum(database),
		.bgw_notify_pid = MyProcPid
	};

	snprintf(worker.bgw_name, BGW_MAXLEN, "imgapi dispatcher for database %u", database);
	strlcpy(worker.bgw_type, "imgapi dispatcher", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "imgapi", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "img_dispatcher_main", BGW_MAXLEN);
	return RegisterDynamicBackgroundWorker(&worker, NULL);
}

/*
 * Starts the dispatchers that are wanted.  A slot that has been started is
 * STARTING until the dispatcher has taken it (or has freed it, for want of the
 * extension).
 */
static long
tend_dispatchers(void)
{
	static bool complained = false;
	TimestampTz now = GetCurrentTimestamp();
	long		wait = 60 * 1000;

	for (int i = 0; i < IMG_MAX_DATABASES; i++)
	{
		ImgSlot    *slot = &img_shared->slot[i];
		Oid			start = InvalidOid;
		TimestampTz not_before;

		LWLockAcquire(img_shared->lock, LW_EXCLUSIVE);
		not_before = Max(slot->not_before, slot->held_until);
		if (OidIsValid(slot->database) && slot->wanted && slot->pid == 0)
		{
			if (not_before > now)
				wait = Min(wait, TimestampDifferenceMilliseconds(now, not_before));
			else
			{
				start = slot->database;
				slot->wanted = false;
				slot->not_before = TimestampTzPlusMilliseconds(now, RESTART_MS);
				slot->status.state = IMG_WORKER_STARTING;
			}
		}
		LWLockRelease(img_shared->lock);
		if (!OidIsValid(start))
			continue;
		if (!database_exists(start))
		{
			img_slot_free(start);
			continue;
		}
		if (start_dispatcher(start))
			continue;

		if (!complained)
			ereport(WARNING,
					(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					 errmsg("no background worker is free for the jobs of database %u", start),
					 errhint("Raise max_worker_processes and restart: ALTER SYSTEM SET max_worker_processes = %d;",
							 max_worker_processes + 8)));
		complained = true;
		LWLockAcquire(img_shared->lock, LW_EXCLUSIVE);
		slot->wanted = true;
		slot->status.state = IMG_WORKER_NONE;
		slot->not_before = TimestampTzPlusMilliseconds(now, 10 * RESTART_MS);
		LWLockRelease(img_shared->lock);
		wait = Min(wait, 10 * RESTART_MS);
	}
	return wait;
}

static uint32
wait_event(void)
{
	static uint32 cached = 0;

	return img_wait_event(&cached, "ImgapiLauncher");
}

void
img_launcher_main(Datum arg)
{
	WaitEventSet *events;

	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	pgstat_report_appname("imgapi launcher");

	LWLockAcquire(img_shared->lock, LW_EXCLUSIVE);
	img_shared->launcher = MyProcPid;
	img_shared->launcher_latch = MyLatch;
	memset(&img_shared->launcher_status, 0, sizeof(img_shared->launcher_status));
	img_shared->launcher_status.state = IMG_WORKER_IDLE;
	img_shared->launcher_status.started_at = GetCurrentTimestamp();
	LWLockRelease(img_shared->lock);

	start_pool();
	want_all_databases();

	events = img_worker_events(pool_epoll);

	for (;;)
	{
		long		wait = Min(tend_pool(), tend_dispatchers());
		WaitEvent	event;

		pgstat_report_activity(STATE_IDLE, NULL);
		(void) WaitEventSetWait(events, Max(wait, 1), &event, 1, wait_event());
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			want_all_databases();
		}
	}
}
