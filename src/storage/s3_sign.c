/*
 * s3_sign.c
 *	  AWS Signature Version 4, in a header or in the query of a link.
 *
 * The signing key is that of a day; it is kept with the server.  Runs in client
 * backends and in dispatchers.
 */
#include "storage/s3.h"

#include "pgtime.h"
#include "storage/encode.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define ALGORITHM	"AWS4-HMAC-SHA256"

/* "20130524T000000Z" and "20130524" */
typedef struct Moment
{
	char		stamp[17];
	char		date[9];
} Moment;

static void
put_digits(char *out, int number, int digits)
{
	while (digits-- > 0)
	{
		out[digits] = '0' + number % 10;
		number /= 10;
	}
}

static void
set_moment(TimestampTz at, Moment *moment)
{
	pg_time_t	seconds = timestamptz_to_time_t(at);
	struct pg_tm *tm = pg_gmtime(&seconds);

	memcpy(moment->stamp, "00000000T000000Z", sizeof(moment->stamp));
	put_digits(moment->stamp, tm->tm_year + 1900, 4);
	put_digits(moment->stamp + 4, tm->tm_mon + 1, 2);
	put_digits(moment->stamp + 6, tm->tm_mday, 2);
	put_digits(moment->stamp + 9, tm->tm_hour, 2);
	put_digits(moment->stamp + 11, tm->tm_min, 2);
	put_digits(moment->stamp + 13, tm->tm_sec, 2);
	memcpy(moment->date, moment->stamp, 8);
	moment->date[8] = '\0';
}

/* Four HMACs lead from the secret to the key of a day. */
static void
set_key(ImgS3 *s3, const char *date)
{
	uint8		key[PG_SHA256_DIGEST_LENGTH];
	char	   *secret;

	if (strcmp(s3->key_date, date) == 0)
		return;
	secret = psprintf("AWS4%s", s3->secret_access_key);
	img_hmac_sha256(secret, strlen(secret), date, strlen(date), key);
	img_hmac_sha256(key, sizeof(key), s3->region, strlen(s3->region), key);
	img_hmac_sha256(key, sizeof(key), "s3", 2, key);
	img_hmac_sha256(key, sizeof(key), "aws4_request", 12, s3->key);
	explicit_bzero(secret, strlen(secret));
	explicit_bzero(key, sizeof(key));
	pfree(secret);
	strcpy(s3->key_date, date);
}

/* -------------------------------------------------------------- the request */

void
img_s3_add(ImgS3Pairs *pairs, const char *name, const char *value)
{
	if (pairs->count >= IMG_S3_PAIRS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a request to an S3 server has at most %d parameters or headers", IMG_S3_PAIRS)));
	pairs->pair[pairs->count].name = name;
	pairs->pair[pairs->count].value = value;
	pairs->count++;
}

static bool
in_order(const ImgS3Pair *a, const ImgS3Pair *b)
{
	int			order = strcmp(a->name, b->name);

	return order < 0 || (order == 0 && strcmp(a->value, b->value) <= 0);
}

/* By name, and of the same name by value.  They are few. */
static void
sort(ImgS3Pairs *pairs)
{
	for (int i = 1; i < pairs->count; i++)
		for (int j = i; j > 0 && !in_order(&pairs->pair[j - 1], &pairs->pair[j]); j--)
		{
			ImgS3Pair	pair = pairs->pair[j];

			pairs->pair[j] = pairs->pair[j - 1];
			pairs->pair[j - 1] = pair;
		}
}

/* a=1&b=2, in order. */
static void
append_query(StringInfo out, ImgS3Pairs *query)
{
	sort(query);
	for (int i = 0; i < query->count; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, '&');
		img_percent_encode(out, query->pair[i].name, false);
		appendStringInfoChar(out, '=');
		img_percent_encode(out, query->pair[i].value, false);
	}
}

/* Blanks at the ends do not count, and those in a row count as one. */
static void
append_value(StringInfo out, const char *value)
{
	bool		blank = false;

	for (value += strspn(value, " \t"); *value != '\0'; value++)
	{
		if (*value == ' ' || *value == '\t')
		{
			blank = true;
			continue;
		}
		if (blank)
			appendStringInfoChar(out, ' ');
		blank = false;
		appendStringInfoChar(out, *value);
	}
}

static void
append_signed_headers(StringInfo out, const ImgS3Pairs *headers)
{
	for (int i = 0; i < headers->count; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ';');
		appendStringInfoString(out, headers->pair[i].name);
	}
}

static void
append_path(StringInfo out, ImgS3 *s3, const ImgS3Address *address, const char *path)
{
	appendStringInfoString(out, address->base);
	if (path == NULL)
	{
		if (address->base[0] == '\0')
			appendStringInfoChar(out, '/');
		return;
	}
	appendStringInfoChar(out, '/');
	img_percent_encode(out, img_s3_key(s3, path), true);
}

/*
 * The signature in hex.  path and query are in the form they are sent in;
 * headers are sorted.
 */
static void
compute(ImgS3 *s3, const ImgS3Call *call, const char *path, const char *query, const Moment *moment,
		char *signature, ImgS3Proof *proof)
{
	StringInfoData canonical;
	StringInfoData to_sign;
	char		hash[IMG_SHA256_HEX + 1];
	uint8		digest[PG_SHA256_DIGEST_LENGTH];

	initStringInfo(&canonical);
	appendStringInfo(&canonical, "%s\n%s\n%s\n", call->method, path, query);
	for (int i = 0; i < call->headers.count; i++)
	{
		appendStringInfo(&canonical, "%s:", call->headers.pair[i].name);
		append_value(&canonical, call->headers.pair[i].value);
		appendStringInfoChar(&canonical, '\n');
	}
	appendStringInfoChar(&canonical, '\n');
	append_signed_headers(&canonical, &call->headers);
	appendStringInfo(&canonical, "\n%s", call->payload);
	img_sha256_hex(canonical.data, canonical.len, hash);

	initStringInfo(&to_sign);
	appendStringInfo(&to_sign, ALGORITHM "\n%s\n%s/%s/s3/aws4_request\n%s",
					 moment->stamp, moment->date, s3->region, hash);
	set_key(s3, moment->date);
	img_hmac_sha256(s3->key, sizeof(s3->key), to_sign.data, to_sign.len, digest);
	img_hex(digest, sizeof(digest), signature);
	if (proof != NULL)
	{
		proof->canonical = canonical.data;
		proof->to_sign = to_sign.data;
	}
}

/* ---------------------------------------------------------------- by header */

void
img_s3_sign(ImgS3 *s3, ImgS3Call *call, ImgHttpRequest *request, ImgS3Proof *proof)
{
	StringInfoData path;
	StringInfoData query;
	StringInfoData authorization;
	Moment		moment;
	char		signature[IMG_SHA256_HEX + 1];

	set_moment(call->at, &moment);
	img_s3_add(&call->headers, "host", s3->inside.host);
	img_s3_add(&call->headers, "x-amz-content-sha256", call->payload);
	img_s3_add(&call->headers, "x-amz-date", pstrdup(moment.stamp));
	if (s3->session_token != NULL)
		img_s3_add(&call->headers, "x-amz-security-token", s3->session_token);
	sort(&call->headers);
	initStringInfo(&path);
	append_path(&path, s3, &s3->inside, call->path);
	initStringInfo(&query);
	append_query(&query, &call->query);
	compute(s3, call, path.data, query.data, &moment, signature, proof);

	initStringInfo(&authorization);
	appendStringInfo(&authorization, "Authorization: " ALGORITHM " Credential=%s/%s/%s/s3/aws4_request,SignedHeaders=",
					 s3->access_key_id, moment.date, s3->region);
	append_signed_headers(&authorization, &call->headers);
	appendStringInfo(&authorization, ",Signature=%s", signature);

	memset(request, 0, sizeof(*request));
	request->method = call->method;
	request->url = psprintf("%s://%s%s%s%s", s3->inside.scheme, s3->inside.host, path.data,
							query.len > 0 ? "?" : "", query.data);
	for (int i = 0; i < call->headers.count; i++)
		if (strcmp(call->headers.pair[i].name, "host") != 0)
			request->headers = lappend(request->headers, psprintf("%s: %s", call->headers.pair[i].name,
																  call->headers.pair[i].value));
	request->headers = lappend(request->headers, authorization.data);
	request->allow_private = s3->server->allow_private;
	request->timeout = img_server_number(s3->server, "timeout");
	request->connect_timeout = img_server_number(s3->server, "connect_timeout");
}

/* ------------------------------------------------------------------ by query */

char *
img_s3_presign(ImgS3 *s3, ImgS3Call *call, int seconds, ImgS3Proof *proof)
{
	StringInfoData url;
	StringInfoData query;
	Moment		moment;
	char		expires[12];
	char		signature[IMG_SHA256_HEX + 1];
	int			path;

	if (seconds < 1 || seconds > IMG_S3_LIFETIME)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the lifetime of a link is out of range"),
				 errdetail("Given: %d seconds. Allowed: 1 second to 7 days, which is how long S3 signatures live.", seconds),
				 errhint("Write for example '1 hour'.")));
	set_moment(call->at, &moment);
	pg_ltoa(seconds, expires);
	img_s3_add(&call->headers, "host", s3->outside.host);
	img_s3_add(&call->query, "X-Amz-Algorithm", ALGORITHM);
	img_s3_add(&call->query, "X-Amz-Credential",
			   psprintf("%s/%s/%s/s3/aws4_request", s3->access_key_id, moment.date, s3->region));
	img_s3_add(&call->query, "X-Amz-Date", moment.stamp);
	img_s3_add(&call->query, "X-Amz-Expires", expires);
	if (s3->session_token != NULL)
		img_s3_add(&call->query, "X-Amz-Security-Token", s3->session_token);
	img_s3_add(&call->query, "X-Amz-SignedHeaders", "host");
	call->payload = IMG_S3_UNSIGNED;

	initStringInfo(&url);
	appendStringInfo(&url, "%s://%s", s3->outside.scheme, s3->outside.host);
	path = url.len;
	append_path(&url, s3, &s3->outside, call->path);
	initStringInfo(&query);
	append_query(&query, &call->query);
	compute(s3, call, url.data + path, query.data, &moment, signature, proof);
	appendStringInfo(&url, "?%s&X-Amz-Signature=%s", query.data, signature);
	return url.data;
}
