/*
 * storage_uri.c
 *	  storage://SERVER/PATH: an object of a storage, or a folder of it.
 *
 * Nothing is decoded: the path is the key, byte for byte, so that no two
 * spellings name one object.  Runs in client backends and in dispatchers.
 */
#include "postgres.h"

#include "extension/imgapi.h"
#include "extension/server.h"
#include "extension/url.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(img_storage_uri);

#define SCHEME		"storage://"
#define MAX_PATH	4096

/* Bytes of a user's text that an error shows. */
#define SHOWN_BYTES	200

static _Noreturn void
refuse(const char *source, const char *problem, const char *hint)
{
	int			length = strlen(source);
	int			shown = pg_mbcliplen(source, length, SHOWN_BYTES);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("%s", problem),
			 errdetail("Given: \"%s%s\".", pnstrdup(source, shown), shown < length ? "..." : ""),
			 errhint("%s", hint)));
}

void
img_storage_path_check(const char *path, const char *source)
{
	if (strlen(path) > MAX_PATH)
		refuse(source, psprintf("a path in a storage has at most %d bytes, this has %zu", MAX_PATH, strlen(path)),
			   "Write storage://SERVER/PATH.");
	if (!img_path_is_plain(path))
		refuse(source, "a path in a storage has no \".\" or \"..\" as a folder",
			   "Name the object by its full key, as in storage://photos/2026/cat.jpg.");
	for (const char *p = path; *p != '\0'; p++)
		if ((unsigned char) *p < ' ' || *p == 0x7f)
			refuse(source, "a path in a storage has no control characters",
				   "Name the object as in storage://photos/2026/cat.jpg.");
}

void
img_storage_uri_parse(const char *uri, bool folder_allowed, ImgStorageUri *result)
{
	const char *server = uri + strlen(SCHEME);
	size_t		length;

	if (strncmp(uri, SCHEME, strlen(SCHEME)) != 0)
		refuse(uri, "not the address of an object in a storage", "Write storage://SERVER/PATH.");
	length = strcspn(server, "/");
	if (length == 0 || length >= NAMEDATALEN)
		refuse(uri, length == 0 ? "a server is missing" :
			   psprintf("the name of a server has at most %d bytes, this has %zu", NAMEDATALEN - 1, length),
			   "Write storage://SERVER/PATH. SELECT name FROM img_server WHERE usable; shows servers.");
	if (server[length] != '/')
		refuse(uri, "a path is missing", psprintf("Write storage://%s/PATH.", server));
	result->server = pnstrdup(server, length);
	result->path = pstrdup(server + length + 1);
	length = strlen(result->path);
	result->is_folder = length == 0 || result->path[length - 1] == '/';
	if (result->is_folder && !folder_allowed)
		refuse(uri, length == 0 ? "a path is missing" : "the path names a folder, not an object",
			   psprintf("Write storage://%s/PATH, with no \"/\" at its end.", result->server));
	img_storage_path_check(result->path, uri);
}

/* img_storage_uri(uri, folder_allowed) → (server, path) */
Datum
img_storage_uri(PG_FUNCTION_ARGS)
{
	ImgStorageUri uri;
	TupleDesc	descriptor;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	img_storage_uri_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_BOOL(1), &uri);
	values[0] = CStringGetTextDatum(uri.server);
	values[1] = CStringGetTextDatum(uri.path);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}
