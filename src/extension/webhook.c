/*
 * webhook.c
 *	  What servers say of their own accord: whether it is theirs.
 *
 * Runs in client backends.  Who may call, which job is meant, and what is done
 * then is SQL (sql/install/46-webhook.sql); secrets of user mappings are read
 * here, and shown to nobody.
 */
#include "postgres.h"

#include "extension/queue.h"
#include "extension/server.h"
#include "extension/settings.h"
#include "extension/shared.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "storage/encode.h"
#include "utils/builtins.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

PG_FUNCTION_INFO_V1(img_webhook);
PG_FUNCTION_INFO_V1(img_webhook_proves);
PG_FUNCTION_INFO_V1(img_webhook_url);

#define PREFIX	"sha256="

/* img_webhook_as() does it, knowing who asks. */
Datum
img_webhook(PG_FUNCTION_ARGS)
{
	bool		taken = DatumGetBool(img_as_owner(fcinfo));

	if (taken)
		img_wake_for_webhook();
	PG_RETURN_BOOL(taken);
}

/*
 * Whether that is the HMAC-SHA256 of the body, in hexadecimal or base64.  How
 * Claid writes it is not documented.
 */
static bool
is_signature(const char *signature, const char *secret, const bytea *body)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char		hex[IMG_SHA256_HEX + 1];
	char	   *base64;

	if (pg_strncasecmp(signature, PREFIX, strlen(PREFIX)) == 0)
		signature += strlen(PREFIX);
	img_hmac_sha256(secret, strlen(secret), VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), digest);
	img_hex(digest, sizeof(digest), hex);
	base64 = img_base64(digest, sizeof(digest));
	if (strlen(signature) == IMG_SHA256_HEX)
	{
		char	   *given = pstrdup(signature);

		for (char *c = given; *c != '\0'; c++)
			*c = pg_ascii_tolower((unsigned char) *c);
		return img_same_bytes(given, hex, IMG_SHA256_HEX);
	}
	return strlen(signature) == strlen(base64) && img_same_bytes(signature, base64, strlen(base64));
}

/* NULL: the user mapping has no secret to prove anything with. */
Datum
img_webhook_proves(PG_FUNCTION_ARGS)
{
	const ImgServer *server = img_server_get(NameStr(*PG_GETARG_NAME(0)), PG_GETARG_OID(1));
	const char *secret;

	if (img_server_type_option(server->type, "webhook_secret") == NULL)
		PG_RETURN_NULL();
	secret = img_server_text(server, "webhook_secret");
	if (secret == NULL)
		PG_RETURN_NULL();
	if (PG_ARGISNULL(2))
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(is_signature(text_to_cstring(PG_GETARG_TEXT_PP(2)), secret, PG_GETARG_BYTEA_PP(3)));
}

/* NULL: nowhere. */
Datum
img_webhook_url(PG_FUNCTION_ARGS)
{
	const char *server = NameStr(*PG_GETARG_NAME(0));
	size_t		length = strlen(imgapi_public_url);
	ImgOptionValue wanted;
	StringInfoData url;

	if (length == 0 || !img_server_option(server, "webhooks", &wanted) || wanted.number == 0)
		PG_RETURN_NULL();
	while (length > 0 && imgapi_public_url[length - 1] == '/')
		length--;
	initStringInfo(&url);
	appendBinaryStringInfo(&url, imgapi_public_url, length);
	appendStringInfoString(&url, "/webhook/");
	/* as UTF-8, whatever the database has */
	img_percent_encode(&url, pg_server_to_any(server, strlen(server), PG_UTF8), false);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(url.data, url.len));
}
