/*
 * unpack.h
 *	  The files in an archive.
 */
#ifndef IMGAPI_EXECUTOR_UNPACK_H
#define IMGAPI_EXECUTOR_UNPACK_H

#include "executor/pipeline.h"

/* Before the sandbox closes: what names are read with. */
extern void img_unpack_warm(void);

/*
 * The files in picture->data, which is a zip archive, one ImgEntry after the
 * other.  *data is malloc'd.  False after img_fail_picture().
 */
extern bool img_unpack(ImgPicture *picture, void **data, size_t *length);

#endif							/* IMGAPI_EXECUTOR_UNPACK_H */
