/*
 * encoder.h
 *	  Writes images through the libraries of their formats.
 *
 * As in decoder.h: libvips writes every format, but takes long to get ready.
 * Pixels need not be computed yet: rows are written while they are decoded.
 * Results are released with free().
 */
#ifndef IMGAPI_EXECUTOR_ENCODER_H
#define IMGAPI_EXECUTOR_ENCODER_H

#include "executor/pipeline.h"

/* Grey or RGB. */
extern bool img_jpeg_encode(ImgPicture *picture, VipsImage *image, int quality, bool progressive,
							void **data, size_t *length);

/* Grey, RGB, with or without alpha. */
extern bool img_webp_encode(ImgPicture *picture, VipsImage *image, int quality, bool lossless,
							void **data, size_t *length);

/* Grey or RGB, with or without alpha.  filters: PNG_FILTER_… of libpng */
extern bool img_png_encode(ImgPicture *picture, VipsImage *image, int level, int filters,
						   void **data, size_t *length);

/* Takes the EXIF block out of a file that libvips has written. */
extern void img_webp_drop_exif(unsigned char *data, size_t *length);

#endif							/* IMGAPI_EXECUTOR_ENCODER_H */
