/*
 * pixels.h
 *	  Pixels in memory, row by row: what operations on colours are made from.
 *
 * Rows are 8 bit sRGB or grey, with or without alpha, as img_to_srgb() leaves
 * them.
 */
#ifndef IMGAPI_EXECUTOR_PIXELS_H
#define IMGAPI_EXECUTOR_PIXELS_H

#include "executor/pipeline.h"

/* Makes row number y of a result; bands are those of "from". */
typedef void (*ImgRowFunction) (const uint8_t *from, uint8_t *to, int width, int y,
								int bands, const void *context);

/*
 * An image as large as this one, with so many bands, row by row; in memory, as
 * the image it is made from need not be.  NULL after img_fail_picture().
 */
extern VipsImage *img_map_rows(ImgPicture *picture, VipsImage *image, int bands,
							   ImgRowFunction function, const void *context);

/* Colours times alpha, and back: what has alpha is interpolated in between. */
extern void img_premultiply_row(const uint8_t *from, uint8_t *to, int width, int y,
								int bands, const void *unused);
extern void img_unpremultiply_row(const uint8_t *from, uint8_t *to, int width, int y,
								  int bands, const void *unused);

/* Luma of Rec. 709 in 16 bits. */
#define IMG_LUMA_RED	13933
#define IMG_LUMA_GREEN	46871
#define IMG_LUMA_BLUE	4732

static inline int
img_luma(const uint8_t *rgb)
{
	return (rgb[0] * IMG_LUMA_RED + rgb[1] * IMG_LUMA_GREEN + rgb[2] * IMG_LUMA_BLUE + 32768) >> 16;
}

/*
 * An image of bytes turned clockwise around its middle, in the smallest area that
 * holds all four corners, on a background with as many bands; alpha counts as a
 * colour does.  NULL after img_fail_picture().
 */
extern VipsImage *img_rotated(ImgPicture *picture, VipsImage *image, double degrees, const uint8_t *background);

/*
 * An image blurred by a Gaussian of that standard deviation, in pixels; edges
 * repeat, what is transparent counts nothing.  NULL after img_fail_picture().
 */
extern VipsImage *img_blurred(ImgPicture *picture, VipsImage *image, double sigma);

/* gaussian.c: the same of bytes that all count alike, at a cost that grows with
 * sigma. */
extern VipsImage *img_gaussian(ImgPicture *picture, VipsImage *image, double sigma);

#endif							/* IMGAPI_EXECUTOR_PIXELS_H */
