/*
 * s3_request.c
 *	  Requests for objects of an S3 server, signed and ready to be sent.
 *
 * Runs in client backends and in dispatchers.
 */
#include "storage/s3.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "storage/encode.h"
#include "utils/builtins.h"
#include "utils/xml.h"

/* SHA-256 of nothing. */
#define NO_BODY		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void
plain_request(ImgS3 *s3, const char *method, const char *path, TimestampTz at, ImgHttpRequest *request)
{
	ImgS3Call	call = {.method = method, .path = path, .payload = NO_BODY, .at = at};

	img_s3_sign(s3, &call, request, NULL);
}

void
img_s3_get(ImgS3 *s3, const char *path, TimestampTz at, ImgHttpRequest *request)
{
	plain_request(s3, "GET", path, at, request);
}

void
img_s3_head(ImgS3 *s3, const char *path, TimestampTz at, ImgHttpRequest *request)
{
	plain_request(s3, "HEAD", path, at, request);
}

void
img_s3_delete(ImgS3 *s3, const char *path, TimestampTz at, ImgHttpRequest *request)
{
	plain_request(s3, "DELETE", path, at, request);
}

void
img_s3_put(ImgS3 *s3, const char *path, const char *type, const char *tags,
		   const char *sha256, TimestampTz at, ImgHttpRequest *request)
{
	ImgS3Call	call = {.method = "PUT", .path = path, .at = at};

	call.payload = sha256 ? sha256 : IMG_S3_UNSIGNED;
	img_s3_add(&call.headers, IMG_S3_MARK, "output");
	if (type != NULL)
		img_s3_add(&call.headers, "content-type", type);
	if (tags != NULL)
		img_s3_add(&call.headers, "x-amz-tagging", tags);
	img_s3_sign(s3, &call, request, NULL);
}

/* <Delete><Quiet>true</Quiet><Object><Key>…</Key></Object>…</Delete> */
static void
append_keys(StringInfo out, ImgS3 *s3, List *paths)
{
	ListCell   *cell;

	appendStringInfoString(out, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
	foreach(cell, paths)
	{
		char	   *key = escape_xml(img_s3_key(s3, lfirst(cell)));

		appendStringInfo(out, "<Object><Key>%s</Key></Object>", key);
		pfree(key);
	}
	appendStringInfoString(out, "</Delete>");
}

/* A body, its hash in the signature and its MD5 in a header, which S3 wants. */
static void
request_with_body(ImgS3 *s3, ImgS3Call *call, StringInfo body, bool with_md5, ImgHttpRequest *request)
{
	char		hash[IMG_SHA256_HEX + 1];
	uint8		md5[16];

	img_sha256_hex(body->data, body->len, hash);
	call->payload = hash;
	img_s3_add(&call->headers, "content-type", "application/xml");
	if (with_md5)
	{
		img_hash(PG_MD5, body->data, body->len, md5, sizeof(md5));
		img_s3_add(&call->headers, "content-md5", img_base64(md5, sizeof(md5)));
	}
	img_s3_sign(s3, call, request, NULL);
	request->body = body->data;
	request->body_length = body->len;
}

void
img_s3_delete_batch(ImgS3 *s3, List *paths, TimestampTz at, ImgHttpRequest *request)
{
	ImgS3Call	call = {.method = "POST", .at = at};
	StringInfoData body;

	if (list_length(paths) < 1 || list_length(paths) > IMG_S3_BATCH)
		elog(ERROR, "a batch deletes 1 to %d objects, not %d", IMG_S3_BATCH, list_length(paths));
	initStringInfo(&body);
	append_keys(&body, s3, paths);
	img_s3_add(&call.query, "delete", "");
	request_with_body(s3, &call, &body, true, request);
}

/* A beginning of keys: anything, even in the middle of a name. */
static char *
key_prefix(ImgS3 *s3, const char *path_prefix)
{
	char	   *key = psprintf("%s%s", s3->prefix, path_prefix);

	return GetDatabaseEncoding() == PG_UTF8 ? key : pg_server_to_any(key, strlen(key), PG_UTF8);
}

void
img_s3_list(ImgS3 *s3, const char *path_prefix, const char *token, int max_keys, TimestampTz at, ImgHttpRequest *request)
{
	ImgS3Call	call = {.method = "GET", .payload = NO_BODY, .at = at};
	char		number[12];

	pg_ltoa(max_keys, number);
	img_s3_add(&call.query, "list-type", "2");
	img_s3_add(&call.query, "max-keys", number);
	img_s3_add(&call.query, "prefix", key_prefix(s3, path_prefix));
	if (token != NULL)
		img_s3_add(&call.query, "continuation-token", token);
	img_s3_sign(s3, &call, request, NULL);
}

/* ---------------------------------------------------------------- in parts */

void
img_s3_multipart_create(ImgS3 *s3, const char *path, const char *type, const char *tags,
						TimestampTz at, ImgHttpRequest *request)
{
	ImgS3Call	call = {.method = "POST", .path = path, .payload = NO_BODY, .at = at};

	img_s3_add(&call.query, "uploads", "");
	img_s3_add(&call.headers, IMG_S3_MARK, "output");
	if (type != NULL)
		img_s3_add(&call.headers, "content-type", type);
	if (tags != NULL)
		img_s3_add(&call.headers, "x-amz-tagging", tags);
	img_s3_sign(s3, &call, request, NULL);
}

void
img_s3_multipart_part(ImgS3 *s3, const char *path, const char *upload_id, int number,
					  const char *sha256, TimestampTz at, ImgHttpRequest *request)
{
	ImgS3Call	call = {.method = "PUT", .path = path, .at = at};
	char		part[12];

	if (number < 1 || number > IMG_S3_PARTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("an upload to server \"%s\" would have more than %d parts", s3->server->name, IMG_S3_PARTS),
				 errhint("ALTER SERVER %s OPTIONS (SET multipart_size '1GB');", quote_identifier(s3->server->name))));
	pg_ltoa(number, part);
	call.payload = sha256 ? sha256 : IMG_S3_UNSIGNED;
	img_s3_add(&call.query, "partNumber", part);
	img_s3_add(&call.query, "uploadId", upload_id);
	img_s3_sign(s3, &call, request, NULL);
}

void
img_s3_multipart_complete(ImgS3 *s3, const char *path, const char *upload_id, List *etags,
						  TimestampTz at, ImgHttpRequest *request)
{
	ImgS3Call	call = {.method = "POST", .path = path, .at = at};
	StringInfoData body;
	ListCell   *cell;
	int			number = 0;

	initStringInfo(&body);
	appendStringInfoString(&body, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	foreach(cell, etags)
	{
		char	   *etag = escape_xml(lfirst(cell));

		appendStringInfo(&body, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", ++number, etag);
		pfree(etag);
	}
	appendStringInfoString(&body, "</CompleteMultipartUpload>");
	img_s3_add(&call.query, "uploadId", upload_id);
	request_with_body(s3, &call, &body, false, request);
}

void
img_s3_multipart_abort(ImgS3 *s3, const char *path, const char *upload_id, TimestampTz at, ImgHttpRequest *request)
{
	ImgS3Call	call = {.method = "DELETE", .path = path, .payload = NO_BODY, .at = at};

	img_s3_add(&call.query, "uploadId", upload_id);
	img_s3_sign(s3, &call, request, NULL);
}

void
img_s3_multipart_list(ImgS3 *s3, const char *path_prefix, TimestampTz at, ImgHttpRequest *request)
{
	ImgS3Call	call = {.method = "GET", .payload = NO_BODY, .at = at};

	img_s3_add(&call.query, "uploads", "");
	img_s3_add(&call.query, "prefix", key_prefix(s3, path_prefix));
	img_s3_sign(s3, &call, request, NULL);
}
