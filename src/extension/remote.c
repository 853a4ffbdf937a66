/*
 * remote.c
 *	  Pictures that are somewhere else: what to ask for them, and what answers
 *	  mean.
 *
 * Runs in client backends and in dispatchers, within transactions.  Rights on
 * servers are those of the role that is named; who calls has become nobody for
 * it.
 */
#include "postgres.h"

#include "extension/file_tree.h"
#include "extension/remote.h"
#include "extension/settings.h"
#include "storage/s3.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* For URLs that no server stands for. */
#define CONNECT_MS		10000
#define TOTAL_MS		60000
/* Longest input, as in the edit contract. */
#define MAX_INPUT		4096

#define STORAGE			"storage://"

static bool
is_storage(const char *text)
{
	return strncmp(text, STORAGE, strlen(STORAGE)) == 0;
}

static bool
is_url(const char *text)
{
	return pg_strncasecmp(text, "http://", 7) == 0 || pg_strncasecmp(text, "https://", 8) == 0;
}

bool
img_is_remote(const char *input)
{
	return is_url(input) ||
		(is_storage(input) && strncmp(input, STORAGE IMG_DATABASE_STORAGE "/", strlen(STORAGE IMG_DATABASE_STORAGE "/")) != 0);
}

/* A URL without a name or password, which would be seen by many. */
static void
check_url(const char *url)
{
	const char *host = strstr(url, "://") + 3;
	size_t		length = strcspn(host, "/?#");

	for (const char *c = url; *c != '\0'; c++)
		if ((unsigned char) *c <= ' ' || *c == 0x7f)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("input is not a URL: it has a blank or control character in it"),
					 errhint("Write it percent-encoded: a blank is %%20.")));
	if (length == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("input is not a URL: it has no host"),
				 errhint("Write it as in https://example.com/photo.jpg.")));
	if (memchr(host, '@', length) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("input must not have a user name or password in it"),
				 errhint("Headers with secrets belong to a server: CREATE SERVER originals TYPE 'http' FOREIGN DATA WRAPPER imgapi OPTIONS (url 'https://images.example.com'); CREATE USER MAPPING FOR CURRENT_USER SERVER originals OPTIONS (secret_headers 'Authorization: ...');")));
}

static void
refuse_input(const char *input)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("input is neither a URL nor a storage URI nor a path"),
			 errdetail("Given: \"%.60s\". Allowed: http://…, https://…, storage://NAME/path, /folder/picture.jpg.", input),
			 errhint("Bytes are passed as bytea: SELECT img_submit(data, '{…}') FROM photo; or cast a literal: '\\x…'::bytea")));
}

void
img_check_input(const char *input, Oid role)
{
	ImgStorageUri uri;
	const ImgServer *server;

	if (strlen(input) > MAX_INPUT)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("input has %zu bytes, more than the %d that are allowed", strlen(input), MAX_INPUT)));
	if (is_url(input))
	{
		check_url(input);
		return;
	}
	if (img_is_file(input))
	{
		img_file_check(input, role);
		return;
	}
	if (!is_storage(input))
		refuse_input(input);
	img_storage_uri_parse(input, false, &uri);
	if (strcmp(uri.server, IMG_DATABASE_STORAGE) == 0)
		return;
	server = img_server_get(uri.server, role);
	if (!server->type->is_storage)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("server \"%s\" is of type %s, which stores no pictures", uri.server, server->type->name),
				 errhint("SELECT name FROM img_server WHERE type IN ('s3', 'http') AND usable;")));
}

void
img_check_destination(const char *destination, Oid role)
{
	ImgStorageUri uri;

	img_storage_uri_parse(destination, true, &uri);
	if (strcmp(uri.server, IMG_DATABASE_STORAGE) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("output.destination: the database chooses its own paths"),
				 errhint("Leave destination out: results are stored in the database.")));
	(void) img_server_get_typed(uri.server, role, &img_server_s3);
}

char *
img_input_name(const char *input)
{
	const char *end = input + strcspn(input, img_is_file(input) ? "" : "?#");
	const char *begin = end;
	const char *dot;

	while (begin > input && begin[-1] != '/')
		begin--;
	if (begin == end || (!img_is_file(input) && (begin - input < 3 || begin[-2] == '/')))
		return NULL;			/* "https://host" has none */
	dot = end;
	while (dot > begin && *dot != '.')
		dot--;
	return pnstrdup(begin, (dot > begin ? dot : end) - begin);
}

void
img_remote_get(const char *input, Oid role, ImgHttpRequest *request, const ImgServer **server)
{
	ImgStorageUri uri;

	*server = NULL;
	memset(request, 0, sizeof(*request));
	if (is_url(input))
	{
		*request = (ImgHttpRequest) {
			.method = "GET", .url = pstrdup(input), .follow = true,
			.allow_private = imgapi_allow_private_networks, .timeout = TOTAL_MS, .connect_timeout = CONNECT_MS
		};
		return;
	}
	img_storage_uri_parse(input, false, &uri);
	*server = img_server_get(uri.server, role);
	if ((*server)->type == &img_server_s3)
	{
		img_s3_get(img_s3(*server), uri.path, GetCurrentTimestamp(), request);
		return;
	}
	(void) img_server_get_typed(uri.server, role, &img_server_http);
	*request = (ImgHttpRequest) {
		.method = "GET", .url = img_http_url(*server, uri.path), .headers = img_http_headers(*server),
		.follow = true, .allow_private = (*server)->allow_private,
		.timeout = img_server_number(*server, "timeout"), .connect_timeout = img_server_number(*server, "connect_timeout")
	};
}

void
img_remote_place(const char *destination, const char *name, ImgStorageUri *place)
{
	img_storage_uri_parse(destination, true, place);
	if (place->is_folder)
		place->path = psprintf("%s%s", place->path, name);
	place->is_folder = false;
}

void
img_remote_put(const ImgStorageUri *place, Oid role, const char *mime, const char *sha256,
			   ImgHttpRequest *request, const ImgServer **server)
{
	*server = img_server_get_typed(place->server, role, &img_server_s3);
	img_s3_put(img_s3(*server), place->path, mime, img_server_text(*server, "tags"), sha256, GetCurrentTimestamp(), request);
}

char *
img_shown_header(const ImgFetchReply *reply, const char *name)
{
	const char *value = img_fetch_header(reply, name);

	for (const char *c = value; c != NULL && *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			return NULL;
	return value ? pstrdup(value) : NULL;
}

/* The fetcher got no answer. */
static void
read_outcome(const ImgFetchReply *reply, ImgRemoteFailure *failure)
{
	failure->stage = img_fetch_stage_name(reply->stage);
	failure->message = pstrdup(img_fetch_text(reply));
	switch ((ImgFetchOutcome) reply->outcome)
	{
		case IMG_FETCH_REFUSED:
			failure->sqlstate = reply->stage == IMG_FETCH_AT_URL ? ERRCODE_INVALID_PARAMETER_VALUE : ERRCODE_INSUFFICIENT_PRIVILEGE;
			if (reply->stage == IMG_FETCH_AT_POLICY)
				failure->hint = "An administrator may allow it for one server: ALTER SERVER name OPTIONS (ADD allow_private 'true'); or for all URLs: ALTER SYSTEM SET imgapi.allow_private_networks = on;";
			break;
		case IMG_FETCH_LIMIT:
			failure->sqlstate = ERRCODE_PROGRAM_LIMIT_EXCEEDED;
			failure->hint = "An administrator may raise the limit: ALTER SYSTEM SET imgapi.max_source_bytes = '200MB';";
			break;
		default:
			failure->sqlstate = ERRCODE_SYSTEM_ERROR;
			failure->transient = true;
			failure->retry_after = Min(reply->retry_after, 86400);
	}
}

/* A web server's answer. */
static void
read_status(const ImgFetchReply *reply, ImgRemoteFailure *failure)
{
	int			status = reply->status;

	failure->message = psprintf("the server answered with status %d%s%s", status,
								img_fetch_origin(reply)[0] != '\0' ? " after a redirect to " : "", img_fetch_origin(reply));
	if (status == 404 || status == 410)
		failure->sqlstate = ERRCODE_NO_DATA;
	else if (status == 401 || status == 403)
		failure->sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE;
	else if (status == 408 || status == 425 || status == 429 || status >= 500)
	{
		failure->sqlstate = status == 429 ? ERRCODE_CONFIGURATION_LIMIT_EXCEEDED : ERRCODE_SYSTEM_ERROR;
		failure->transient = true;
	}
	else
		failure->sqlstate = ERRCODE_INVALID_PARAMETER_VALUE;
}

bool
img_remote_failure(const ImgServer *server, const ImgFetchReply *reply, ImgRemoteFailure *failure)
{
	ImgS3Failure said;
	const void *body = reply->place == IMG_INLINE ? img_fetch_body(reply) : NULL;

	memset(failure, 0, sizeof(*failure));
	failure->stage = "status";
	if (reply->outcome != IMG_FETCH_DONE)
	{
		read_outcome(reply, failure);
		return true;
	}
	if (reply->status >= 200 && reply->status < 300)
		return false;
	failure->retry_after = Min(reply->retry_after, 86400);
	if (server == NULL || server->type != &img_server_s3 ||
		!img_s3_read_failure(server->s3, reply->status, img_fetch_header(reply, "date"),
							 body, body ? reply->body_length : 0, &said))
	{
		read_status(reply, failure);
		return true;
	}
	failure->sqlstate = said.sqlstate;
	failure->transient = said.transient;
	failure->message = said.message;
	failure->hint = said.hint;
	return true;
}
