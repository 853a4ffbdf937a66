/*
 * pixels.c
 *	  Pixels in memory, row by row: what operations on colours are made from.
 *
 * Runs in imgapi-executor.
 */
#include <math.h>
#include <string.h>

#include "executor/memory.h"
#include "executor/pixels.h"
#include "executor/rows.h"

/* A Gaussian wider than twice this many pixels is computed on fewer pixels. */
#define ENOUGH_SIGMA	2.0

/* Sigmas that a Gaussian reaches. */
#define REACH			3

VipsImage *
img_map_rows(ImgPicture *picture, VipsImage *image, int bands, ImgRowFunction function, const void *context)
{
	int			width = image->Xsize;
	int			height = image->Ysize;
	size_t		line = (size_t) width * bands;
	unsigned char *pixels = img_allocate_pixels(line * height);
	const uint8_t *row = NULL;
	ImgRows		rows;

	if (pixels == NULL)
	{
		img_fail_memory(picture, line * height);
		return NULL;
	}
	img_rows_start(&rows, picture, image);
	for (int y = 0; y < height && (row = img_rows_next(&rows)) != NULL; y++)
		function(row, pixels + y * line, width, y, image->Bands, context);
	img_rows_end(&rows);
	if (row == NULL)
	{
		img_free_pixels(pixels);
		return NULL;
	}
	return img_wrap(picture, pixels, width, height, bands, VIPS_FORMAT_UCHAR,
					bands < 3 ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB, image);
}

void
img_premultiply_row(const uint8_t *from, uint8_t *to, int width, int y, int bands, const void *unused)
{
	for (int x = 0; x < width; x++, from += bands, to += bands)
	{
		int			alpha = from[bands - 1];

		for (int band = 0; band < bands - 1; band++)
			to[band] = (from[band] * alpha + 127) / 255;
		to[bands - 1] = alpha;
	}
}

void
img_unpremultiply_row(const uint8_t *from, uint8_t *to, int width, int y, int bands, const void *unused)
{
	for (int x = 0; x < width; x++, from += bands, to += bands)
	{
		int			alpha = from[bands - 1];

		for (int band = 0; band < bands - 1; band++)
			to[band] = alpha == 0 ? 0 : MIN((from[band] * 255 + alpha / 2) / alpha, 255);
		to[bands - 1] = alpha;
	}
}

/*
 * What a wide Gaussian leaves has no detail, so it is computed on a smaller
 * image: the cost does not grow with sigma.  Edges are repeated as far as it
 * reaches beforehand, as they would not be the same on the smaller image.
 */
static VipsImage *
wide_gaussian(ImgPicture *picture, VipsImage *image, double sigma)
{
	int			factor = (int) (sigma / ENOUGH_SIGMA);
	int			margin = (int) ceil(REACH * sigma);
	int			width = image->Xsize + 2 * margin;
	int			height = image->Ysize + 2 * margin;
	VipsImage  *t[5] = {NULL};
	VipsImage  *result = NULL;

	if (vips_embed(image, &t[0], margin, margin, width, height, "extend", VIPS_EXTEND_COPY, NULL) == 0 &&
		(t[1] = img_resize(t[0], (width + factor / 2) / factor, (height + factor / 2) / factor)) != NULL &&
		(t[2] = img_evaluate(picture, t[1])) != NULL &&
		(t[3] = img_gaussian(picture, t[2], sigma / factor)) != NULL &&
		(t[4] = img_resize(t[3], width, height)) != NULL &&
		vips_crop(t[4], &result, margin, margin, image->Xsize, image->Ysize, NULL))
		result = NULL;
	for (int i = 0; i < 5; i++)
		g_clear_object(&t[i]);
	if (result == NULL)
		img_fail_vips(picture, IMG_STAGE_OPERATION);
	return result;
}

VipsImage *
img_blurred(ImgPicture *picture, VipsImage *image, double sigma)
{
	VipsImage  *source = g_object_ref(image);
	VipsImage  *lazy = NULL;
	VipsImage  *result = NULL;

	if (vips_image_hasalpha(image))
	{
		g_object_unref(source);
		source = img_map_rows(picture, image, image->Bands, img_premultiply_row, NULL);
	}
	if (source != NULL)
		lazy = sigma < 2 * ENOUGH_SIGMA ? img_gaussian(picture, source, sigma) :
			wide_gaussian(picture, source, sigma);
	if (lazy != NULL)
		result = vips_image_hasalpha(image) ?
			img_map_rows(picture, lazy, lazy->Bands, img_unpremultiply_row, NULL) :
			img_evaluate(picture, lazy);
	g_clear_object(&source);
	g_clear_object(&lazy);
	return result;
}
