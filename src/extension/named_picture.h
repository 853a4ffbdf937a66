/*
 * named_picture.h
 *	  A picture that a request names: a watermark.
 */
#ifndef IMGAPI_NAMED_PICTURE_H
#define IMGAPI_NAMED_PICTURE_H

#include "postgres.h"

/*
 * The bytes of "storage://NAME/path" or of a job's output, in memory of the
 * current SPI procedure.  Errors: 02000 when there is none that the current
 * user may see, 0A000 for a storage that is not the database.
 */
extern bytea *img_named_picture(const char *name);

#endif							/* IMGAPI_NAMED_PICTURE_H */
