/*
 * link.c
 *	  Links to pictures in the database: /o/OBJECT/NAME?e=EXPIRY&k=KEY&s=SIGNATURE
 *
 * Runs in all threads of imgapi-gateway, each with requests of its own.  The
 * database verifies a link and gives its picture in parts; nothing of it is
 * kept here but the part that is being sent, so memory does not grow with the
 * picture and no transaction is open while a client reads.
 *
 * The signature opens the picture to anybody, so it stays here: the database,
 * whose log may have parameters of statements, gets its SHA-256.
 */
#include "gateway/link.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/pool.h"
#include "gateway/range.h"

/* Bytes read from the database at a time. */
#define PART			(256 * 1024)

#define UUID_TEXT		36
#define MAX_NAME		1024
#define MAX_SIGNATURE	128
#define PROOF_LENGTH	32
#define HASH_LENGTH		32
#define MAX_VERSION		64

static const PoolStatement open_link = {
	"open_link",
	"SELECT l.status, l.error, l.mime, l.bytes, l.sha256, l.version, l.seconds_left, l.data"
	" FROM $S.img_link_open($1::pg_catalog.text, $2::pg_catalog.uuid, $3::pg_catalog.text, $4::pg_catalog.int8,"
	" $5::pg_catalog.int4, $6::pg_catalog.bytea, $7::pg_catalog.int8, $8::pg_catalog.int4, $9::pg_catalog.bytea) l",
	9
};

/* Columns of that. */
enum
{
	STATUS, ERROR, MIME, BYTES, SHA256, VERSION, SECONDS_LEFT, DATA
};

/* What is asked of the database, for the first part and for all others. */
typedef struct Link
{
	const char *method;
	char		object[UUID_TEXT + 1];
	char		name[MAX_NAME + 1];
	char		expiry[24];
	char		key[12];
	unsigned char proof[PROOF_LENGTH];
	char		version[MAX_VERSION];	/* of the picture, once it is known */
	int			version_length;
} Link;

/* A picture that is being sent. */
typedef struct Sending
{
	Link		link;
	long long	first;			/* byte of the picture that is the body's first */
	PGresult   *part;			/* the part that came with the facts, or NULL */
	int			part_length;
} Sending;

/* ----------------------------------------------------------------- asking --- */

static PoolOutcome
read_part(const Link *link, long long first, int length, PGresult **result)
{
	char		first_text[24];
	char		length_text[12];
	const char *values[] = {link->method, link->object, link->name, link->expiry, link->key,
		(const char *) link->proof, first_text, length_text, link->version_length > 0 ? link->version : NULL};
	int			lengths[] = {0, 0, 0, 0, 0, PROOF_LENGTH, 0, 0, link->version_length};
	int			formats[] = {0, 0, 0, 0, 0, 1, 0, 0, 1};

	snprintf(first_text, sizeof(first_text), "%lld", first);
	snprintf(length_text, sizeof(length_text), "%d", length);
	return pool_run(&open_link, values, lengths, formats, result);
}

/* A number of that many digits at most. */
static bool
copy_number(char *to, size_t digits, const char *from)
{
	size_t		length = from != NULL ? strlen(from) : 0;

	if (length == 0 || length > digits || strspn(from, "0123456789") != length)
		return false;
	memcpy(to, from, length + 1);
	return true;
}

static bool
is_uuid(const char *text)
{
	for (int i = 0; i < UUID_TEXT; i++)
	{
		if (i == 8 || i == 13 || i == 18 || i == 23)
		{
			if (text[i] != '-')
				return false;
		}
		else if (text[i] == '\0' || strchr("0123456789abcdef", text[i]) == NULL)
			return false;
	}
	return text[UUID_TEXT] == '/';
}

/* The path: which object, under which name. */
static bool
read_path(const HttpRequest *request, Link *link)
{
	const char *object = request->path + strlen(LINK_PREFIX);
	const char *name;

	if (!is_uuid(object))
		return false;
	name = object + UUID_TEXT + 1;
	if (*name == '\0' || strlen(name) > MAX_NAME)
		return false;
	memcpy(link->object, object, UUID_TEXT);
	strcpy(link->name, name);
	return true;
}

/* The query: what proves that the link is ours. */
static bool
read_proof(const HttpRequest *request, Link *link)
{
	const char *signature = http_argument(request, "s");

	return signature != NULL && strlen(signature) <= MAX_SIGNATURE &&
		copy_number(link->expiry, 18, http_argument(request, "e")) &&
		copy_number(link->key, 9, http_argument(request, "k")) &&
		EVP_Digest(signature, strlen(signature), link->proof, NULL, EVP_sha256(), NULL) == 1;
}

/* ---------------------------------------------------------------- sending --- */

/* MHD_ContentReaderCallback: the next bytes of the body. */
static ssize_t
next_bytes(void *cls, uint64_t position, char *buffer, size_t room)
{
	Sending    *sending = cls;
	long long	first = sending->first + (long long) position;
	int			length = room < PART ? (int) room : PART;
	PGresult   *result;

	if (sending->part != NULL && first < sending->part_length)
	{
		if (length > sending->part_length - first)
			length = (int) (sending->part_length - first);
		memcpy(buffer, PQgetvalue(sending->part, 0, DATA) + first, length);
		return length;
	}
	PQclear(sending->part);
	sending->part = NULL;

	if (read_part(&sending->link, first, length, &result) != POOL_ROWS ||
		pool_int(result, STATUS) != MHD_HTTP_OK || PQgetlength(result, 0, DATA) == 0)
	{
		PQclear(result);
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	if (length > PQgetlength(result, 0, DATA))
		length = PQgetlength(result, 0, DATA);
	memcpy(buffer, PQgetvalue(result, 0, DATA), length);
	PQclear(result);
	return length;
}

static void
end_sending(void *cls)
{
	Sending    *sending = cls;

	PQclear(sending->part);
	free(sending);
}

/* The body, of which what came with the facts need not be asked for again. */
static struct MHD_Response *
make_body(const Link *link, const Range *range, PGresult *facts)
{
	Sending    *sending = malloc(sizeof(Sending));
	struct MHD_Response *response;

	if (sending == NULL)
	{
		PQclear(facts);
		return NULL;
	}
	sending->link = *link;
	sending->first = range->first;
	sending->part = facts;
	sending->part_length = PQgetlength(facts, 0, DATA);
	if (range->first + range->length <= sending->part_length)
		response = MHD_create_response_from_buffer_with_free_callback_cls(range->length,
			PQgetvalue(facts, 0, DATA) + range->first, end_sending, sending);
	else
		response = MHD_create_response_from_callback(range->length, PART, next_bytes, sending, end_sending);
	if (response == NULL)
		end_sending(sending);
	return response;
}

/* ----------------------------------------------------------------- headers --- */

/* "inline; filename=…", with the name in full as RFC 5987 writes it if it has
 * more than plain letters. */
static void
add_disposition(struct MHD_Response *response, const char *name)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	char		value[sizeof("inline; filename=\"\"; filename*=UTF-8''") + 4 * MAX_NAME];
	char	   *at = value + sprintf(value, "inline; filename=\"");

	for (const char *p = name; *p != '\0'; p++)
		*at++ = strchr(plain, *p) != NULL || *p == ' ' ? *p : '_';
	*at++ = '"';
	*at = '\0';
	if (name[strspn(name, plain)] != '\0')
	{
		at += sprintf(at, "; filename*=UTF-8''");
		for (const unsigned char *p = (const unsigned char *) name; *p != '\0'; p++)
			at += sprintf(at, strchr(plain, *p) != NULL ? "%c" : "%%%02X", *p);
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_DISPOSITION, value);
}

static void
make_etag(char etag[2 * HASH_LENGTH + 3], PGresult *facts)
{
	const unsigned char *hash = (const unsigned char *) PQgetvalue(facts, 0, SHA256);
	char	   *at = etag;

	*at++ = '"';
	for (int i = 0; i < PQgetlength(facts, 0, SHA256) && i < HASH_LENGTH; i++)
		at += sprintf(at, "%02x", hash[i]);
	*at++ = '"';
	*at = '\0';
}

/* What is the same for 200, 206, 304 and 416. */
static void
add_headers(struct MHD_Response *response, const char *etag, long long seconds_left)
{
	char		cache[64];

	snprintf(cache, sizeof(cache), "private, max-age=%lld", seconds_left > 0 ? seconds_left : 0);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, cache);
	MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, etag);
	MHD_add_response_header(response, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
}

static void
add_content_headers(struct MHD_Response *response, const Link *link, const char *mime)
{
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
							*mime != '\0' ? mime : "application/octet-stream");
	/* Whatever somebody has uploaded, it runs no script. */
	MHD_add_response_header(response, "Content-Security-Policy", "default-src 'none'; sandbox");
	add_disposition(response, link->name);
}

/* ----------------------------------------------------------------- answers --- */

static enum MHD_Result
send_beyond(HttpRequest *request, const char *etag, long long bytes, long long seconds_left)
{
	static const char json[] = "{\"code\": 416, \"message\": \"the picture has no such bytes\"}";
	struct MHD_Response *response = MHD_create_response_from_buffer(strlen(json), (void *) json, MHD_RESPMEM_PERSISTENT);
	char		range[64];

	if (response == NULL)
		return MHD_NO;
	snprintf(range, sizeof(range), "bytes */%lld", bytes);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_RANGE, range);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	add_headers(response, etag, seconds_left);
	return http_send(request, MHD_HTTP_RANGE_NOT_SATISFIABLE, response);
}

/* MHD_ContentReaderCallback of an answer whose body is not sent. */
static ssize_t
no_bytes(void *cls, uint64_t position, char *buffer, size_t room)
{
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* Without a body, and with the length of the one that the client has. */
static enum MHD_Result
send_unchanged(HttpRequest *request, const char *etag, long long bytes, long long seconds_left)
{
	struct MHD_Response *response = MHD_create_response_from_callback(bytes, 1, no_bytes, NULL, NULL);

	if (response == NULL)
		return MHD_NO;
	add_headers(response, etag, seconds_left);
	return http_send(request, MHD_HTTP_NOT_MODIFIED, response);
}

/* The picture or a part of it.  facts is freed with the answer. */
static enum MHD_Result
send_picture(HttpRequest *request, Link *link, PGresult *facts)
{
	char		etag[2 * HASH_LENGTH + 3];
	char		mime[128];
	char		content_range[80];
	long long	bytes = pool_bigint(facts, BYTES);
	long long	seconds_left = pool_bigint(facts, SECONDS_LEFT);
	const char *if_range = http_header(request, MHD_HTTP_HEADER_IF_RANGE);
	RangeKind	kind;
	Range		range;
	struct MHD_Response *response;

	make_etag(etag, facts);
	snprintf(mime, sizeof(mime), "%s", PQgetvalue(facts, 0, MIME));
	/* A range of another version is of no use, nor is one for HEAD. */
	kind = range_parse(request->head || (if_range != NULL && strcmp(if_range, etag) != 0) ? NULL :
					   http_header(request, MHD_HTTP_HEADER_RANGE), bytes, &range);
	if (range_matches(http_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH), etag) || kind == RANGE_BEYOND)
	{
		PQclear(facts);
		return kind == RANGE_BEYOND ? send_beyond(request, etag, bytes, seconds_left)
			: send_unchanged(request, etag, bytes, seconds_left);
	}
	link->version_length = PQgetlength(facts, 0, VERSION);
	if (link->version_length > MAX_VERSION)
	{
		PQclear(facts);
		return MHD_NO;
	}
	memcpy(link->version, PQgetvalue(facts, 0, VERSION), link->version_length);

	response = make_body(link, &range, facts);
	if (response == NULL)
		return MHD_NO;
	add_headers(response, etag, seconds_left);
	add_content_headers(response, link, mime);
	if (kind == RANGE_PART)
	{
		snprintf(content_range, sizeof(content_range), "bytes %lld-%lld/%lld",
				 range.first, range.first + range.length - 1, bytes);
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_RANGE, content_range);
	}
	return http_send(request, kind == RANGE_PART ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK, response);
}

/* The database would not even look: that is the request's fault, or its own. */
static enum MHD_Result
send_refusal(HttpRequest *request, PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	bool		bad_value = strncmp(state, "22", 2) == 0;
	bool		no_right = strcmp(state, "42501") == 0;
	bool		busy = strcmp(state, "57014") == 0 || strncmp(state, "53", 2) == 0 || strcmp(state, "55P03") == 0;

	if (!bad_value)
		http_log("the database refuses: %s: %s", state, PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
	PQclear(result);
	if (bad_value)
		return http_send_json(request, MHD_HTTP_FORBIDDEN, "{\"code\": 403, \"message\": \"the link is not valid\"}");
	if (no_right)
		return http_send_json(request, MHD_HTTP_FORBIDDEN,
							  "{\"code\": 403, \"message\": \"a right is missing in the database; the log of the gateway has more\"}");
	if (busy)
		return http_send_away(request);
	return http_send_json(request, MHD_HTTP_INTERNAL_SERVER_ERROR,
						  "{\"code\": 500, \"message\": \"the database failed; the log of the gateway has more\"}");
}

enum MHD_Result
link_answer(HttpRequest *request)
{
	Link		link = {.method = request->method};
	bool		whole = !request->head && http_header(request, MHD_HTTP_HEADER_RANGE) == NULL &&
		http_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH) == NULL;
	PGresult   *result;
	int			status;
	enum MHD_Result sent;

	if (!read_path(request, &link))
		return http_send_json(request, MHD_HTTP_NOT_FOUND,
							  "{\"code\": 404, \"message\": \"there is no picture at this path\"}");
	if (!read_proof(request, &link))
		return http_send_json(request, MHD_HTTP_FORBIDDEN,
							  "{\"code\": 403, \"message\": \"the link is not complete\"}");
	switch (read_part(&link, 0, whole ? PART : 0, &result))
	{
		case POOL_AWAY:
			return http_send_away(request);
		case POOL_REFUSED:
			return send_refusal(request, result);
		case POOL_ROWS:
			break;
	}
	status = pool_int(result, STATUS);
	if (status == MHD_HTTP_OK)
		return send_picture(request, &link, result);
	sent = http_send_json(request, status, PQgetvalue(result, 0, ERROR));
	PQclear(result);
	return sent;
}
