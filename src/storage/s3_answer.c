/*
 * s3_answer.c
 *	  What an S3 server answers, read from its XML.
 *
 * PostgreSQL reads it: the queries are functions of the extension
 * (sql/install/17-s3.sql).  They fail with 0A000 on a server that was built
 * without libxml.  Runs in dispatchers, within a transaction, and in client
 * backends for tests.
 */
#include "storage/s3.h"

#include "extension/home.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* A function of one answer, and what is made of each row. */
typedef void *(*RowReader) (const ImgS3 *s3, HeapTuple row, TupleDesc descriptor);

static char *
text_column(HeapTuple row, TupleDesc descriptor, int column)
{
	char	   *text = SPI_getvalue(row, descriptor, column);

	return text ? text : "";
}

/* The path of a key: without the server's prefix, which all listed keys have. */
static char *
path_of_key(const ImgS3 *s3, char *key)
{
	size_t		length = strlen(s3->prefix);

	return strncmp(key, s3->prefix, length) == 0 ? key + length : key;
}

static int64
number_column(HeapTuple row, TupleDesc descriptor, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, descriptor, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

/* Rows of a statement over an answer, in the caller's memory context. */
static List *
read_rows(ImgStatement *statement, const ImgS3 *s3, const char *body, size_t length, RowReader reader)
{
	MemoryContext caller = CurrentMemoryContext;
	bytea	   *bytes = palloc(VARHDRSZ + length);
	Datum		value = PointerGetDatum(bytes);
	List	   *rows = NIL;

	SET_VARSIZE(bytes, VARHDRSZ + length);
	memcpy(VARDATA(bytes), body, length);
	SPI_connect();
	img_execute(statement, &value, NULL);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < SPI_processed; i++)
		rows = lappend(rows, reader(s3, SPI_tuptable->vals[i], SPI_tuptable->tupdesc));
	SPI_finish();
	MemoryContextSwitchTo(caller);
	pfree(bytes);
	return rows;
}

static void *
read_text(const ImgS3 *s3, HeapTuple row, TupleDesc descriptor)
{
	return text_column(row, descriptor, 1);
}

static void *
read_entry(const ImgS3 *s3, HeapTuple row, TupleDesc descriptor)
{
	ImgS3Entry *entry = palloc0_object(ImgS3Entry);

	entry->path = path_of_key(s3, text_column(row, descriptor, 1));
	entry->bytes = number_column(row, descriptor, 2);
	entry->etag = text_column(row, descriptor, 3);
	entry->modified = number_column(row, descriptor, 4);
	return entry;
}

List *
img_s3_read_list(const ImgS3 *s3, const char *body, size_t length, char **next)
{
	static ImgStatement page = {
		"SELECT key, bytes, etag, modified FROM $S.img_s3_list_page($1)", 1, {BYTEAOID}
	};
	static ImgStatement token = {"SELECT $S.img_s3_list_next($1)", 1, {BYTEAOID}};
	char	   *found = linitial(read_rows(&token, s3, body, length, read_text));

	*next = found[0] != '\0' ? found : NULL;
	return read_rows(&page, s3, body, length, read_entry);
}

static void *
read_upload(const ImgS3 *s3, HeapTuple row, TupleDesc descriptor)
{
	ImgS3Upload *upload = palloc0_object(ImgS3Upload);

	upload->path = path_of_key(s3, text_column(row, descriptor, 1));
	upload->upload_id = text_column(row, descriptor, 2);
	upload->begun = number_column(row, descriptor, 3);
	return upload;
}

List *
img_s3_read_uploads(const ImgS3 *s3, const char *body, size_t length)
{
	static ImgStatement uploads = {
		"SELECT key, upload_id, begun FROM $S.img_s3_uploads($1)", 1, {BYTEAOID}
	};

	return read_rows(&uploads, s3, body, length, read_upload);
}

char *
img_s3_read_upload_id(const char *body, size_t length)
{
	static ImgStatement upload_id = {"SELECT $S.img_s3_upload_id($1)", 1, {BYTEAOID}};
	char	   *found = linitial(read_rows(&upload_id, NULL, body, length, read_text));

	if (found[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("the server began an upload without saying its id")));
	return found;
}

static void *
read_undeleted_row(const ImgS3 *s3, HeapTuple row, TupleDesc descriptor)
{
	ImgS3Undeleted *undeleted = palloc0_object(ImgS3Undeleted);

	undeleted->path = path_of_key(s3, text_column(row, descriptor, 1));
	undeleted->code = text_column(row, descriptor, 2);
	undeleted->message = text_column(row, descriptor, 3);
	undeleted->transient = img_s3_code_is_transient(undeleted->code);
	return undeleted;
}

List *
img_s3_read_undeleted(const ImgS3 *s3, const char *body, size_t length)
{
	static ImgStatement undeleted = {
		"SELECT key, code, message FROM $S.img_s3_undeleted($1)", 1, {BYTEAOID}
	};

	return read_rows(&undeleted, s3, body, length, read_undeleted_row);
}
