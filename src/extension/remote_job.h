/*
 * remote_job.h
 *	  Jobs that a server does: what is asked of its API.
 */
#ifndef IMGAPI_REMOTE_JOB_H
#define IMGAPI_REMOTE_JOB_H

#include "postgres.h"

#include "extension/server.h"
#include "storage/http_request.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* The server, for that role.  Errors: those of img_server_get(), 0A000 where
 * jobs cannot be sent to servers of its type. */
extern const ImgServer *img_remote_job_server(const char *name, Oid role);

/* At submit: 0A000 for what the API does not have, and for an input that it
 * could not reach.  input NULL: the picture is in the database. */
extern void img_remote_job_check(const char *server_type, Jsonb *request, const char *input);

/* The URL by which a server gets the picture of a job. */
extern char *img_remote_job_input(const pg_uuid_t *job, const char *input, Oid owner);

/*
 * The request that submits a job, polls it, asks for its result, or
 * cancels it ("submit", "poll", "result", "cancel").  path is what may be shown of it.  SPI must be connected.
 */
extern void img_remote_job_request(const ImgServer *server, const char *what, Jsonb *job, const char *input,
								   const char *remote_id, ImgHttpRequest *request, char **path);

#endif							/* IMGAPI_REMOTE_JOB_H */
