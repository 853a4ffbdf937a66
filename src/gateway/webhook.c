/*
 * webhook.c
 *	  Webhooks: POST /webhook/SERVER
 *
 * Runs in all threads of imgapi-gateway, each with requests of its own.  What
 * came is handed to img_webhook(), which knows whether it is to be believed;
 * nothing is read or kept here.  The sender learns whether to try again: a
 * status of 5xx means later, one of 4xx means never.
 */
#include "gateway/webhook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/pool.h"

/* As long as names in PostgreSQL are. */
#define MAX_SERVER		63
#define MAX_HEADERS		(16 * 1024)

/* Names and values of headers take turns, one a line. */
static const PoolStatement take = {
	"webhook",
	"SELECT $S.img_webhook($1::pg_catalog.name,"
	" pg_catalog.jsonb_object(pg_catalog.string_to_array($2::pg_catalog.text, E'\\n')), $3::pg_catalog.bytea)",
	3
};

typedef struct Headers
{
	char		text[MAX_HEADERS];
	size_t		length;
	bool		too_long;
} Headers;

static bool
is_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char) *text < ' ' || (unsigned char) *text > '~')
			return false;
	return true;
}

/* MHD_KeyValueIterator: all but those that are between the sender and us. */
static enum MHD_Result
add_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	static const char *const ours[] = {"authorization", "proxy-authorization", "cookie"};
	Headers    *headers = cls;
	int			added;

	if (value == NULL || !is_plain(name) || !is_plain(value))
		return MHD_YES;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcasecmp(name, ours[i]) == 0)
			return MHD_YES;
	added = snprintf(headers->text + headers->length, sizeof(headers->text) - headers->length, "%s%s\n%s",
					 headers->length > 0 ? "\n" : "", name, value);
	headers->too_long = headers->length + added >= sizeof(headers->text);
	if (headers->too_long)
		return MHD_NO;
	headers->length += added;
	return MHD_YES;
}

/* The database does not take it: by whose fault, and whether it ever will. */
static enum MHD_Result
send_refusal(HttpRequest *request, PGresult *result)
{
	static const struct
	{
		const char *sqlstate;	/* or how it begins */
		int			status;
		const char *json;
	}			refusals[] = {
		{"22", MHD_HTTP_BAD_REQUEST, "{\"code\": 400, \"message\": \"this is no webhook of that server\"}"},
		{"28", MHD_HTTP_UNAUTHORIZED, "{\"code\": 401, \"message\": \"the signature is missing or wrong\"}"},
		{"42501", MHD_HTTP_FORBIDDEN, "{\"code\": 403, \"message\": \"a right is missing in the database; the log of the gateway has more\"}"},
		{"42704", MHD_HTTP_NOT_FOUND, "{\"code\": 404, \"message\": \"there is no such server\"}"},
		{"02", MHD_HTTP_NOT_FOUND, "{\"code\": 404, \"message\": \"there is no such job\"}"},
		{"54", MHD_HTTP_CONTENT_TOO_LARGE, "{\"code\": 413, \"message\": \"the body is too long\"}"},
		{"55000", MHD_HTTP_SERVICE_UNAVAILABLE, "{\"code\": 503, \"message\": \"the job is not known yet; try again later\"}"},
		{"25006", MHD_HTTP_SERVICE_UNAVAILABLE, "{\"code\": 503, \"message\": \"this database is a copy that cannot be written\"}"},
		{"55P03", MHD_HTTP_SERVICE_UNAVAILABLE, "{\"code\": 503, \"message\": \"the database is busy; try again later\"}"},
		{"57014", MHD_HTTP_SERVICE_UNAVAILABLE, "{\"code\": 503, \"message\": \"the database is busy; try again later\"}"},
		{"53", MHD_HTTP_SERVICE_UNAVAILABLE, "{\"code\": 503, \"message\": \"the database is busy; try again later\"}"},
		{"", MHD_HTTP_INTERNAL_SERVER_ERROR, "{\"code\": 500, \"message\": \"the database failed; the log of the gateway has more\"}"},
	};
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	int			i = 0;

	while (strncmp(state, refusals[i].sqlstate, strlen(refusals[i].sqlstate)) != 0)
		i++;
	http_log("webhook refused: %s: %s", state, PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
	PQclear(result);
	return http_send_json(request, refusals[i].status, refusals[i].json);
}

enum MHD_Result
webhook_answer(HttpRequest *request)
{
	const char *server = request->path + strlen(WEBHOOK_PREFIX);
	Headers		headers = {.length = 0};
	const char *values[] = {server, headers.text, request->body.data != NULL ? request->body.data : ""};
	int			lengths[] = {0, 0, (int) request->body.length};
	int			formats[] = {0, 0, 1};
	PGresult   *result;

	if (*server == '\0' || strlen(server) > MAX_SERVER || strchr(server, '/') != NULL)
		return http_send_json(request, MHD_HTTP_NOT_FOUND, "{\"code\": 404, \"message\": \"there is no such server\"}");
	if (request->body.length > WEBHOOK_LIMIT)
		return http_send_json(request, MHD_HTTP_CONTENT_TOO_LARGE, "{\"code\": 413, \"message\": \"the body is too long\"}");
	if (request->body.lacks_memory)
		return http_send_json(request, MHD_HTTP_SERVICE_UNAVAILABLE, "{\"code\": 503, \"message\": \"too much at a time; try again later\"}");
	MHD_get_connection_values(request->connection, MHD_HEADER_KIND, add_header, &headers);
	if (headers.too_long)
		return http_send_json(request, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, "{\"code\": 431, \"message\": \"the headers are too long\"}");
	switch (pool_run(&take, values, lengths, formats, &result))
	{
		case POOL_AWAY:
			return http_send_away(request);
		case POOL_REFUSED:
			return send_refusal(request, result);
		case POOL_ROWS:
			break;
	}
	PQclear(result);
	return http_send_json(request, MHD_HTTP_OK, "{\"code\": 200, \"message\": \"taken\"}");
}
