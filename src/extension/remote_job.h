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

/* Whether that server is sent the bytes of a picture, rather than a link.  input
 * NULL: the picture is in the database. */
extern bool img_remote_job_uploads(const ImgServerType *type, const char *input);

/* The same, for named operations: most types do edits only. */
extern const ImgServer *img_operation_server(const char *name, Oid role);

/* Stands for an input that is not known yet, or the link to one. */
#define IMG_ANY_INPUT	"https://example.com/picture"

/* At submit: 0A000 for what the API does not have, and for an input that it
 * could not reach.  input NULL: the picture is in the database. */
extern void img_remote_job_check(const char *server_type, Jsonb *request, const char *input);

/* The URL by which a server gets the picture of a job. */
extern char *img_remote_job_input(const pg_uuid_t *job, const char *input, Oid owner);

/* A call to an API.  Its body is not in the request yet: it is the beginning,
 * the bytes of the picture if they are wanted, and the tail. */
typedef struct ImgRemoteCall
{
	ImgHttpRequest request;
	char	   *path;			/* what may be shown of the URL */
	char	   *beginning;
	size_t		beginning_length;
	bool		picture;
	char	   *tail;
	size_t		tail_length;
} ImgRemoteCall;

/* A request to the API of a server, with its key and without a body. */
extern void img_api_request(const ImgServer *server, const char *method, const char *path, ImgHttpRequest *request);

/*
 * Makes a call for a job, by its name: "submit", "poll" …  input is a link to
 * the picture, or the name under which its bytes are sent.  SPI must be
 * connected.  False: the API has no such call.
 */
extern bool img_remote_job_call(const ImgServer *server, const char *what, const pg_uuid_t *job, Jsonb *request,
								const char *input, ImgRemoteCall *call);

#endif							/* IMGAPI_REMOTE_JOB_H */
