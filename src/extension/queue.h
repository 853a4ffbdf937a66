/*
 * queue.h
 *	  What img_submit() and the trigger share.
 */
#ifndef IMGAPI_QUEUE_H
#define IMGAPI_QUEUE_H

#include "fmgr.h"
#include "utils/jsonb.h"

/* {"operations": …, "output": …}: img_job.request */
extern Jsonb *img_request_document(Jsonb *operations, Jsonb *output);

/* 25006 on a standby and in a read-only transaction. */
extern void img_require_writable(const char *what);

/* as_owner.c: the function that was called, done by its namesake …_as. */
extern Datum img_as_owner(PG_FUNCTION_ARGS);

/* Once a session: nobody will work on the jobs. */
extern void img_warn_without_worker(void);

#endif							/* IMGAPI_QUEUE_H */
