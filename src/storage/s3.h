/*
 * s3.h
 *	  S3-compatible storages: what to send, and what answers mean.
 *
 * Paths are those of storage://SERVER/PATH; the server's prefix is put before
 * them here and taken away from answers.
 */
#ifndef IMGAPI_S3_H
#define IMGAPI_S3_H

#include "postgres.h"
#include "common/sha2.h"
#include "datatype/timestamp.h"
#include "extension/server.h"
#include "nodes/pg_list.h"
#include "storage/http_request.h"

/* What a signature says of a body that is not hashed. */
#define IMG_S3_UNSIGNED		"UNSIGNED-PAYLOAD"

/* A signature's longest life, in seconds. */
#define IMG_S3_LIFETIME		604800

/* Header of objects that we have written: no others are removed. */
#define IMG_S3_MARK			"x-amz-meta-imgapi"

#define IMG_S3_BATCH		1000	/* objects that one request deletes */
#define IMG_S3_PARTS		10000	/* parts of an upload */

/* ------------------------------------------------------------ s3_server.c -- */

typedef struct ImgS3Address
{
	const char *scheme;
	char	   *host;			/* as in the header Host, bucket included */
	char	   *base;			/* "" or "/bucket" */
} ImgS3Address;

typedef struct ImgS3
{
	const ImgServer *server;
	ImgS3Address inside;		/* for requests */
	ImgS3Address outside;		/* for links */
	const char *region;
	const char *prefix;			/* "" or "folder/" */
	const char *access_key_id;
	const char *secret_access_key;
	const char *session_token;	/* NULL: none */
	char		key_date[9];	/* day of the signing key: "20130524" */
	uint8		key[PG_SHA256_DIGEST_LENGTH];
} ImgS3;

/* Of a server of type s3; lives as long as that. */
extern ImgS3 *img_s3(const ImgServer *server);

/* The object's key, or 22P02, or 54000 when it is too long. */
extern char *img_s3_key(const ImgS3 *s3, const char *path);

/* -------------------------------------------------------------- s3_sign.c -- */

#define IMG_S3_PAIRS	24

/* Of a query or of headers. */
typedef struct ImgS3Pair
{
	const char *name;
	const char *value;
} ImgS3Pair;

typedef struct ImgS3Pairs
{
	int			count;
	ImgS3Pair	pair[IMG_S3_PAIRS];
} ImgS3Pairs;

typedef struct ImgS3Call
{
	const char *method;
	const char *path;			/* NULL: the bucket itself */
	ImgS3Pairs	query;
	ImgS3Pairs	headers;		/* names in small letters */
	const char *payload;		/* SHA-256 of the body in hex, or IMG_S3_UNSIGNED */
	TimestampTz at;
} ImgS3Call;

/* What was signed, for tests. */
typedef struct ImgS3Proof
{
	char	   *canonical;
	char	   *to_sign;
} ImgS3Proof;

extern void img_s3_add(ImgS3Pairs *pairs, const char *name, const char *value);

/* Signs by header.  Takes what it adds to the call for itself. */
extern void img_s3_sign(ImgS3 *s3, ImgS3Call *call, ImgHttpRequest *request, ImgS3Proof *proof);

/* A link that anybody can open for so many seconds (22023 when out of range). */
extern char *img_s3_presign(ImgS3 *s3, ImgS3Call *call, int seconds, ImgS3Proof *proof);

/* ----------------------------------------------------------- s3_request.c -- */

/* sha256 is that of the body in hex; NULL: the body is not signed.  type is the
 * media type, tags "name=value&…"; both may be NULL. */
extern void img_s3_put(ImgS3 *s3, const char *path, const char *type, const char *tags,
					   const char *sha256, TimestampTz at, ImgHttpRequest *request);
extern void img_s3_get(ImgS3 *s3, const char *path, TimestampTz at, ImgHttpRequest *request);
extern void img_s3_head(ImgS3 *s3, const char *path, TimestampTz at, ImgHttpRequest *request);
extern void img_s3_delete(ImgS3 *s3, const char *path, TimestampTz at, ImgHttpRequest *request);

/* At most IMG_S3_BATCH paths (char *). */
extern void img_s3_delete_batch(ImgS3 *s3, List *paths, TimestampTz at, ImgHttpRequest *request);

/* Objects whose path begins so; token is that of the page before, or NULL. */
extern void img_s3_list(ImgS3 *s3, const char *path_prefix, const char *token, int max_keys,
						TimestampTz at, ImgHttpRequest *request);

/* An upload in parts: create, part 1 … n (all but the last of at least 5 MB),
 * complete with the ETags that the parts' answers had; or abort. */
extern void img_s3_multipart_create(ImgS3 *s3, const char *path, const char *type, const char *tags,
									TimestampTz at, ImgHttpRequest *request);
extern void img_s3_multipart_part(ImgS3 *s3, const char *path, const char *upload_id, int number,
								  const char *sha256, TimestampTz at, ImgHttpRequest *request);
extern void img_s3_multipart_complete(ImgS3 *s3, const char *path, const char *upload_id, List *etags,
									  TimestampTz at, ImgHttpRequest *request);
extern void img_s3_multipart_abort(ImgS3 *s3, const char *path, const char *upload_id,
								   TimestampTz at, ImgHttpRequest *request);

/* Uploads that were begun and not ended, of paths that begin so. */
extern void img_s3_multipart_list(ImgS3 *s3, const char *path_prefix, TimestampTz at, ImgHttpRequest *request);

/* ------------------------------------------------------------ s3_answer.c -- */

/* The readers use SPI, within a transaction.  Their results are made in the
 * current memory context. */

typedef struct ImgS3Entry
{
	char	   *path;
	int64		bytes;
	char	   *etag;
	TimestampTz modified;
} ImgS3Entry;

/* A page of img_s3_list(); next is the token of the one after it, or NULL. */
extern List *img_s3_read_list(const ImgS3 *s3, const char *body, size_t length, char **next);

typedef struct ImgS3Upload
{
	char	   *path;
	char	   *upload_id;
	TimestampTz begun;
} ImgS3Upload;

extern List *img_s3_read_uploads(const ImgS3 *s3, const char *body, size_t length);

/* The id of the upload that img_s3_multipart_create() has begun. */
extern char *img_s3_read_upload_id(const char *body, size_t length);

typedef struct ImgS3Undeleted
{
	char	   *path;
	char	   *code;
	char	   *message;
	bool		transient;
} ImgS3Undeleted;

/* Objects that img_s3_delete_batch() did not delete. */
extern List *img_s3_read_undeleted(const ImgS3 *s3, const char *body, size_t length);

/* ----------------------------------------------------------- s3_failure.c -- */

typedef struct ImgS3Failure
{
	const char *code;			/* S3's word, such as "NoSuchKey"; NULL: not said */
	int			sqlstate;
	bool		transient;		/* worth another attempt */
	char	   *message;
	char	   *hint;			/* NULL: none */
} ImgS3Failure;

/*
 * What an answer of 300 or more means; and the answer of
 * img_s3_multipart_complete(), which may be 200 and a failure.  date is the
 * answer's header Date, or NULL.  False: it is no failure.
 */
extern bool img_s3_read_failure(const ImgS3 *s3, int status, const char *date,
								const char *body, size_t length, ImgS3Failure *failure);

/* Whether S3's word for it stands for something that passes. */
extern bool img_s3_code_is_transient(const char *code);

#endif							/* IMGAPI_S3_H */
