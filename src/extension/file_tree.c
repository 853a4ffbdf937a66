/*
 * file_tree.c
 *	  Pictures in the file tree, named by their path.
 *
 * Runs in client backends and in dispatchers, within transactions.  Every role
 * has a tree of its own (sql/install/25-files.sql): whose it is decides what is
 * read, so the tables are read as the extension's owner.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "extension/file_tree.h"
#include "extension/home.h"
#include "utils/builtins.h"

static ImgStatement check_file = {
	"SELECT $S.img_file_check($1, $2)", 2, {TEXTOID, REGROLEOID}
};

static ImgStatement picture_of = {
	"SELECT c.data, c.sha256 FROM $S.img_file f JOIN $S.img_file_content c ON c.file_id = f.id "
	"WHERE f.owner = $2 AND f.path = $1", 2, {TEXTOID, REGROLEOID}
};

bool
img_is_file(const char *name)
{
	return name[0] == '/';
}

void
img_file_check(const char *path, Oid role)
{
	Datum		values[] = {CStringGetTextDatum(path), ObjectIdGetDatum(role)};
	ImgIdentity before;

	SPI_connect();
	img_become(img_home_of_extension()->owner, false, &before);
	img_execute_now(&check_file, values, NULL);
	img_resume(&before);
	SPI_finish();
}

Datum
img_file_picture(const char *path, Oid role, bytea **sha256)
{
	Datum		values[] = {CStringGetTextDatum(path), ObjectIdGetDatum(role)};
	ImgIdentity before;
	Datum		picture;
	bool		isnull;

	img_become(img_home_of_extension()->owner, false, &before);
	img_execute_now(&picture_of, values, NULL);
	img_resume(&before);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA),
				 errmsg("there is no file \"%s\"", path),
				 errhint("It was there when the job was submitted. SELECT path FROM img_file_list('%s');", img_file_folder(path))));
	picture = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	*sha256 = DatumGetByteaPP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	return picture;
}

char *
img_file_folder(const char *path)
{
	return pnstrdup(path, strrchr(path, '/') + 1 - path);
}
