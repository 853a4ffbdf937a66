/*
 * remote.h
 *	  Pictures that are somewhere else: what to ask for them, and what answers
 *	  mean.
 */
#ifndef IMGAPI_REMOTE_H
#define IMGAPI_REMOTE_H

#include "postgres.h"

#include "extension/server.h"
#include "protocol/fetch.h"
#include "storage/http_request.h"

/* Whether a text names a picture that only the fetcher can get. */
extern bool img_is_remote(const char *input);

/*
 * At submit: a text that can be the input of a job, from which that role may
 * read.  Errors: 22P02 no URL, storage URI or path, 42704, 42501, 02000, 22023.
 */
extern void img_check_input(const char *input, Oid role);

/* The same for output.destination, which has to be a storage that can be
 * written. */
extern void img_check_destination(const char *destination, Oid role);

/* File name of an input without folders, extension and query; NULL: none. */
extern char *img_input_name(const char *input);

/*
 * The request that reads a picture, with the rights of the role.  server
 * becomes its server, or NULL for a plain URL.
 */
extern void img_remote_get(const char *input, Oid role, ImgHttpRequest *request, const ImgServer **server);

/* Where a result goes: the folder of a destination gets the name. */
extern void img_remote_place(const char *destination, const char *name, ImgStorageUri *place);

/*
 * The request that writes a result; sha256 in hex, or NULL.
 */
extern void img_remote_put(const ImgStorageUri *place, Oid role, const char *mime, const char *sha256,
						   ImgHttpRequest *request, const ImgServer **server);

/* A header of an answer, if it can be shown; NULL: no. */
extern char *img_shown_header(const ImgFetchReply *reply, const char *name);

/* What became of a request that did not go well. */
typedef struct ImgRemoteFailure
{
	int			sqlstate;
	bool		transient;
	int			retry_after;	/* s, as the server asks; 0: it does not */
	const char *stage;			/* img_job.stage */
	char	   *message;
	char	   *hint;			/* NULL: none */
} ImgRemoteFailure;

/*
 * Reads a reply; body is that of an answer with a status (NULL, 0 where it came
 * as a memfd, which errors are not).  False: it went well.  Uses SPI for what
 * S3 says, within a transaction; all texts are palloc'd.
 */
extern bool img_remote_failure(const ImgServer *server, const ImgFetchReply *reply, ImgRemoteFailure *failure);

#endif							/* IMGAPI_REMOTE_H */
