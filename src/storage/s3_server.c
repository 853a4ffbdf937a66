/*
 * s3_server.c
 *	  A server of type s3, ready to sign: where it is, and the keys of objects.
 *
 * Runs in client backends and in dispatchers.
 */
#include "storage/s3.h"

#include "extension/url.h"
#include "mb/pg_wchar.h"
#include "storage/encode.h"

/* Bytes, as S3 has it. */
#define MAX_KEY		1024

static void
set_address(const ImgServer *server, const char *endpoint, ImgS3Address *address)
{
	const char *bucket = img_server_text(server, "bucket");
	StringInfoData base;
	ImgUrl		url;

	if (!img_url_parse(endpoint, &url))
		elog(ERROR, "endpoint of server \"%s\" is not valid", server->name);
	address->scheme = url.scheme;
	initStringInfo(&base);
	if (img_server_number(server, "path_style"))
	{
		appendStringInfoChar(&base, '/');
		img_percent_encode(&base, bucket, false);
		address->host = url.authority;
	}
	else
		address->host = psprintf("%s.%s", bucket, url.authority);
	address->base = base.data;
}

ImgS3 *
img_s3(const ImgServer *server)
{
	MemoryContext before;
	const char *endpoint;
	const char *public_endpoint;
	ImgS3	   *s3;

	if (server->s3 != NULL)
		return server->s3;
	Assert(server->type == &img_server_s3);
	before = MemoryContextSwitchTo(server->context);
	s3 = palloc0_object(ImgS3);
	s3->server = server;
	s3->region = img_server_text(server, "region");
	endpoint = img_server_text(server, "endpoint");
	public_endpoint = img_server_text(server, "public_endpoint");
	if (endpoint == NULL)
		endpoint = psprintf("https://s3.%s.amazonaws.com", s3->region);
	set_address(server, endpoint, &s3->inside);
	set_address(server, public_endpoint ? public_endpoint : endpoint, &s3->outside);
	s3->prefix = img_server_text(server, "prefix");
	if (s3->prefix == NULL)
		s3->prefix = "";
	s3->access_key_id = img_server_text(server, "access_key_id");
	s3->secret_access_key = img_server_text(server, "secret_access_key");
	s3->session_token = img_server_text(server, "session_token");
	MemoryContextSwitchTo(before);
	/* the server is ours; const is for those who look at it */
	((ImgServer *) server)->s3 = s3;
	return s3;
}

char *
img_s3_key(const ImgS3 *s3, const char *path)
{
	char	   *key = s3->prefix[0] != '\0' ? psprintf("%s%s", s3->prefix, path) : pstrdup(path);

	img_storage_path_check(path, path);
	if (GetDatabaseEncoding() != PG_UTF8)
		key = pg_server_to_any(key, strlen(key), PG_UTF8);
	if (strlen(key) > MAX_KEY)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a path on server \"%s\" is too long", s3->server->name),
				 errdetail("Given: %zu bytes%s. Allowed: %d.", strlen(key),
						   s3->prefix[0] != '\0' ? ", the server's prefix included" : "", MAX_KEY),
				 errhint("Choose a shorter path.")));
	return key;
}
