/*
 * s3_failure.c
 *	  What an S3 server's refusal means: whose fault, and whether to try again.
 *
 * By S3's own word where the body has one, or else by the status.  Runs in
 * dispatchers, and in client backends for tests.
 */
#include "storage/s3.h"

#include "extension/home.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Bytes of a server's text that an error shows. */
#define SHOWN_BYTES		300

typedef struct Meaning
{
	const char *code;
	int			sqlstate;
	bool		transient;
	const char *hint;
} Meaning;

static const Meaning meanings[] = {
	/* busy, or not well: it passes */
	{"SlowDown", ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, true, "Lower max_connections of the server."},
	{"TooManyRequests", ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, true, "Lower max_connections of the server."},
	{"RequestLimitExceeded", ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, true, "Lower max_connections of the server."},
	{"ServiceUnavailable", ERRCODE_SYSTEM_ERROR, true},
	{"InternalError", ERRCODE_SYSTEM_ERROR, true},
	{"OperationAborted", ERRCODE_SYSTEM_ERROR, true},
	{"RequestTimeout", ERRCODE_SYSTEM_ERROR, true},
	/* what arrived is not what was sent: it may go well next time */
	{"BadDigest", ERRCODE_SYSTEM_ERROR, true},
	{"XAmzContentSHA256Mismatch", ERRCODE_SYSTEM_ERROR, true},
	{"IncompleteBody", ERRCODE_SYSTEM_ERROR, true},
	/* who we are */
	{"RequestTimeTooSkewed", ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, false, "Set the clock of the database's machine."},
	{"SignatureDoesNotMatch", ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, false, "Check access_key_id, secret_access_key and region."},
	{"InvalidAccessKeyId", ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, false, "Check access_key_id."},
	{"InvalidToken", ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, false, "Check session_token."},
	{"ExpiredToken", ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, false, "Renew access_key_id, secret_access_key and session_token."},
	{"TokenRefreshRequired", ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, false, "Renew access_key_id, secret_access_key and session_token."},
	{"AuthorizationHeaderMalformed", ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, false, "Check region."},
	{"AuthorizationQueryParametersError", ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, false, "Check region."},
	{"AccessDenied", ERRCODE_INSUFFICIENT_PRIVILEGE, false, "The key needs the right for this on the bucket."},
	{"AllAccessDisabled", ERRCODE_INSUFFICIENT_PRIVILEGE, false},
	{"AccountProblem", ERRCODE_INSUFFICIENT_PRIVILEGE, false},
	/* what we named */
	{"NoSuchKey", ERRCODE_NO_DATA, false, "There is no such object, or it has been removed."},
	{"NoSuchBucket", ERRCODE_NO_DATA, false, "Create the bucket, or name another: option bucket."},
	{"NoSuchUpload", ERRCODE_NO_DATA, false},
	{"InvalidBucketName", ERRCODE_INVALID_PARAMETER_VALUE, false, "Check bucket and path_style."},
	{"PermanentRedirect", ERRCODE_INVALID_PARAMETER_VALUE, false, "The bucket is elsewhere: check endpoint and region."},
	{"TemporaryRedirect", ERRCODE_SYSTEM_ERROR, true},
	{"IllegalLocationConstraintException", ERRCODE_INVALID_PARAMETER_VALUE, false, "Check region."},
	{"InvalidObjectState", ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, false, "The object is archived: restore it first."},
	{"PreconditionFailed", ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, false},
	{"BucketNotEmpty", ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, false},
	/* too much */
	{"EntityTooLarge", ERRCODE_PROGRAM_LIMIT_EXCEEDED, false},
	{"KeyTooLongError", ERRCODE_PROGRAM_LIMIT_EXCEEDED, false, "Choose a shorter path."},
	{"QuotaExceeded", ERRCODE_DISK_FULL, false, "The bucket or its owner has a quota: raise it, or remove objects."},
	/* not there */
	{"NotImplemented", ERRCODE_FEATURE_NOT_SUPPORTED, false},
	{"MethodNotAllowed", ERRCODE_FEATURE_NOT_SUPPORTED, false},
};

/* Without a word, or with one that is not in the list. */
static Meaning
meaning_of_status(int status)
{
	Meaning		meaning = {.sqlstate = ERRCODE_SYSTEM_ERROR};

	if (status == 429)
		meaning.sqlstate = ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
	else if (status == 401)
		meaning.sqlstate = ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
	else if (status == 403)
	{
		meaning.sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE;
		meaning.hint = "Check the user mapping, and the rights of its key on the bucket.";
	}
	else if (status == 404)
		meaning.sqlstate = ERRCODE_NO_DATA;
	else if (status == 412)
		meaning.sqlstate = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
	else if (status == 413)
		meaning.sqlstate = ERRCODE_PROGRAM_LIMIT_EXCEEDED;
	else if (status == 405 || status == 501)
		meaning.sqlstate = ERRCODE_FEATURE_NOT_SUPPORTED;
	else if (status >= 300 && status < 500 && status != 408)
	{
		meaning.sqlstate = ERRCODE_INVALID_PARAMETER_VALUE;
		meaning.hint = status < 400 ? "The bucket is elsewhere: check endpoint and region." : NULL;
	}
	meaning.transient = status == 408 || status == 429 || (status >= 500 && status != 501);
	return meaning;
}

static Meaning
meaning_of(const char *code, int status)
{
	for (int i = 0; code != NULL && i < lengthof(meanings); i++)
		if (strcmp(meanings[i].code, code) == 0)
			return meanings[i];
	return meaning_of_status(status);
}

bool
img_s3_code_is_transient(const char *code)
{
	return meaning_of(code, 500).transient;
}

/* What the body says, if it is one of S3's: false where it is none. */
static bool
read_body(const char *body, size_t length, char **code, char **text, char **time)
{
	static ImgStatement statement = {
		"SELECT code, message, server_time FROM $S.img_s3_error($1)", 1, {BYTEAOID}
	};
	MemoryContext caller = CurrentMemoryContext;
	bytea	   *bytes = palloc(VARHDRSZ + length);
	Datum		value = PointerGetDatum(bytes);
	char	  **result[] = {code, text, time};

	SET_VARSIZE(bytes, VARHDRSZ + length);
	memcpy(VARDATA(bytes), body, length);
	SPI_connect();
	img_execute(&statement, &value, NULL);
	for (int i = 0; i < lengthof(result); i++)
	{
		char	   *found = SPI_processed > 0 ? SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1) : NULL;

		*result[i] = found ? MemoryContextStrdup(caller, found) : NULL;
	}
	SPI_finish();
	return *code != NULL;
}

/* Cut short, and on one line. */
static char *
shown(const char *text)
{
	char	   *copy = pnstrdup(text, pg_mbcliplen(text, strlen(text), SHOWN_BYTES));

	for (char *p = copy; *p != '\0'; p++)
		if ((unsigned char) *p < ' ')
			*p = ' ';
	return copy;
}

static char *
failure_message(const ImgS3 *s3, int status, const char *code, const char *text, const char *time)
{
	StringInfoData message;

	initStringInfo(&message);
	appendStringInfo(&message, "server \"%s\" answered %d", s3->server->name, status);
	if (code != NULL)
		appendStringInfo(&message, " %s", shown(code));
	if (text != NULL && text[0] != '\0')
		appendStringInfo(&message, ": %s", shown(text));
	if (code != NULL && strcmp(code, "RequestTimeTooSkewed") == 0)
		appendStringInfo(&message, " (its time: %s; ours: %s)", time ? shown(time) : "not said",
						 timestamptz_to_str(GetCurrentTimestamp()));
	return message.data;
}

bool
img_s3_read_failure(const ImgS3 *s3, int status, const char *date, const char *body, size_t length,
					ImgS3Failure *failure)
{
	char	   *code = NULL;
	char	   *text = NULL;
	char	   *time = NULL;
	Meaning		meaning;

	if (length > 0)
		read_body(body, length, &code, &text, &time);
	if (status < 300 && code == NULL)
		return false;
	meaning = meaning_of(code, status);
	failure->code = code;
	failure->sqlstate = meaning.sqlstate;
	failure->transient = meaning.transient;
	failure->message = failure_message(s3, status, code, text, time ? time : date);
	failure->hint = meaning.hint ? pstrdup(meaning.hint) : NULL;
	/* completing an upload: it was taken for good, and then was not */
	if (status < 300 && meaning.code == NULL)
		failure->transient = true;
	return true;
}
