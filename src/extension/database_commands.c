/*
 * database_commands.c
 *	  Commands that need a database without anybody in it, and COMMIT PREPARED.
 *
 * A dispatcher is a session of its database, so DROP DATABASE, ALTER DATABASE
 * … RENAME and SET TABLESPACE, and CREATE DATABASE … TEMPLATE would find the
 * database in use.  Before such a command we ask the dispatcher to leave and
 * wait until it has; it is held off until the transaction ends and comes back by
 * itself if the database is still there.
 *
 * DROP EXTENSION: the dispatcher is woken to find that it has to go.
 *
 * COMMIT PREPARED makes jobs visible that another session submitted: the
 * dispatcher is woken here, because no transaction callback will.
 *
 * Runs in client backends of a server that preloads imgapi.
 */
#include "extension/imgapi.h"

#include <signal.h>

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "extension/shared.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/latch.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* How long the dispatcher stays away at most if we die. */
#define HOLD_MS		60000

static ProcessUtility_hook_type previous_hook = NULL;

/* The database whose dispatcher this transaction holds off. */
static Oid	held = InvalidOid;

/* The name of the database that a command needs for itself; NULL: none. */
static const char *
database_needed(Node *statement)
{
	ListCell   *lc;

	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			return ((DropdbStmt *) statement)->dbname;
		case T_RenameStmt:
			if (((RenameStmt *) statement)->renameType == OBJECT_DATABASE)
				return ((RenameStmt *) statement)->subname;
			return NULL;
		case T_AlterDatabaseStmt:
			foreach(lc, ((AlterDatabaseStmt *) statement)->options)
				if (strcmp(((DefElem *) lfirst(lc))->defname, "tablespace") == 0)
					return ((AlterDatabaseStmt *) statement)->dbname;
			return NULL;
		case T_CreatedbStmt:
			foreach(lc, ((CreatedbStmt *) statement)->options)
				if (strcmp(((DefElem *) lfirst(lc))->defname, "template") == 0 &&
					((DefElem *) lfirst(lc))->arg != NULL)
					return defGetString((DefElem *) lfirst(lc));
			return NULL;
		default:
			return NULL;
	}
}

/* Lets the dispatcher come back, if the database is still there. */
static void
at_end_of_transaction(XactEvent event, void *arg)
{
	ImgSlot    *slot;
	Latch	   *launcher;

	if (!OidIsValid(held) || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT))
		return;
	slot = img_slot(held, false);
	LWLockAcquire(img_shared->lock, LW_EXCLUSIVE);
	if (slot != NULL && slot->database == held)
		slot->held_until = 0;
	launcher = img_shared->launcher_latch;
	LWLockRelease(img_shared->lock);
	if (launcher != NULL)
		SetLatch(launcher);
	held = InvalidOid;
}

/* Sends the dispatcher of a database away and waits until it is gone. */
static void
send_away(Oid database)
{
	static bool registered = false;
	ImgSlot    *slot = img_slot(database, false);

	if (!registered)
		RegisterXactCallback(at_end_of_transaction, NULL);
	registered = true;
	held = database;

	for (int tries = 0; slot != NULL && tries < 500; tries++)
	{
		pid_t		pid;

		LWLockAcquire(img_shared->lock, LW_EXCLUSIVE);
		pid = slot->database == database ? slot->pid : 0;
		if (slot->database == database)
			slot->held_until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), HOLD_MS);
		LWLockRelease(img_shared->lock);
		if (pid == 0)
			return;
		kill(pid, SIGTERM);
		/* No event tells us that it has left the list of backends. */
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

static bool
may_disturb(Oid database)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(DatabaseRelationId, database, GetUserId());
#else
	return pg_database_ownercheck(database, GetUserId());
#endif
}

/* Only who may do it may disturb: the command itself will say so otherwise. */
static void
before_command(Node *statement)
{
	const char *name = database_needed(statement);
	Oid			database;

	if (name == NULL)
		return;
	database = get_database_oid(name, true);
	if (OidIsValid(database) && may_disturb(database))
		send_away(database);
}

static void
utility(PlannedStmt *pstmt, const char *query, bool read_only_tree, ProcessUtilityContext context,
		ParamListInfo params, QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *statement = pstmt->utilityStmt;
	bool		prepared = IsA(statement, TransactionStmt) &&
		((TransactionStmt *) statement)->kind == TRANS_STMT_COMMIT_PREPARED;
	bool		drops_extension = IsA(statement, DropStmt) &&
		(((DropStmt *) statement)->removeType == OBJECT_EXTENSION ||
		 ((DropStmt *) statement)->removeType == OBJECT_SCHEMA);

	before_command(statement);
	if (previous_hook)
		previous_hook(pstmt, query, read_only_tree, context, params, environment, dest, qc);
	else
		standard_ProcessUtility(pstmt, query, read_only_tree, context, params, environment, dest, qc);
	if (prepared)
		img_wake(MyDatabaseId, DT_NOBEGIN);
	if (drops_extension)
		img_wake_at_commit(DT_NOBEGIN);
}

void
img_install_utility_hook(void)
{
	previous_hook = ProcessUtility_hook;
	ProcessUtility_hook = utility;
}
