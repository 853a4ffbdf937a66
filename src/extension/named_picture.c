/*
 * named_picture.c
 *	  A picture that a request names: a watermark.
 *
 * Runs in client backends and in dispatchers, with the rights of whoever asks:
 * the caller, or the owner of the job.  SPI must be connected.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "extension/home.h"
#include "extension/named_picture.h"
#include "extension/settings.h"
#include "utils/builtins.h"

static ImgStatement named_picture = {
	"SELECT $S.img_named_picture($1)", 1, {TEXTOID}
};

bytea *
img_named_picture(const char *name)
{
	Datum		values[] = {CStringGetTextDatum(name)};
	bool		isnull;
	Datum		picture;
	bytea	   *bytes;

	img_execute_now(&named_picture, values, NULL);
	picture = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (isnull || toast_raw_datum_size(picture) <= VARHDRSZ)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("the picture \"%s\" is empty", name)));
	img_check_source_bytes(toast_raw_datum_size(picture) - VARHDRSZ);
	bytes = PG_DETOAST_DATUM_PACKED(picture);
	return bytes;
}
