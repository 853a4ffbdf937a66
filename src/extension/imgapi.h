/*
 * imgapi.h
 *	  What the parts of imgapi.so share that is too small for a header.
 */
#ifndef IMGAPI_H
#define IMGAPI_H

#include "postgres.h"
#include "fmgr.h"
#include "storage/latch.h"
#include "utils/uuid.h"

#define IMG_EXTENSION	"imgapi"

/* uuid.c: a new UUID, version 7 layout, later than any before it in this
 * process. */
extern void img_new_uuid(pg_uuid_t *uuid);

/* visibility.c: superusers and members of imgapi.admin_role; and whether a role
 * may see rows of that owner. */
extern bool img_is_administrator(Oid role);
extern bool img_role_sees(Oid owner, Oid role);

/* launcher.c, dispatcher.c: background workers */
extern void img_register_launcher(void);
extern PGDLLEXPORT void img_launcher_main(Datum arg);
extern PGDLLEXPORT void img_dispatcher_main(Datum arg);

/* database_commands.c */
extern void img_install_utility_hook(void);

/* What a worker's loop sleeps on: its latch, the postmaster's death, and one
 * epoll descriptor that stands for all of its executors. */
extern WaitEventSet *img_worker_events(int epoll);

/* A wait event's name in pg_stat_activity, from PostgreSQL 17 on. */
extern uint32 img_wait_event(uint32 *cached, const char *name);

#endif							/* IMGAPI_H */
