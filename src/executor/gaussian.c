/*
 * gaussian.c
 *	  A Gaussian over pixels in memory.
 *
 * Runs in imgapi-executor.  Done here because libvips is only fast at it with
 * code that it compiles when it runs, which the sandbox does not allow.  Rows
 * are summed by img_sum_rows(), columns too: a row and the same row shifted by
 * one pixel, two pixels and so on are rows as well.
 */
#include <math.h>
#include <string.h>

#include "executor/memory.h"
#include "executor/pixels.h"
#include "executor/resample.h"

/* Where a Gaussian is small enough to end. */
#define MIN_AMPLITUDE	0.005

typedef struct Gaussian
{
	int			radius;
	int			taps;			/* even; the last weight is 0 */
	int16_t    *weight;
	size_t		line;			/* bytes */
	int			bands;
	uint8_t    *wide;			/* a row with its ends repeated */
	uint8_t    *ring;			/* the last rows, blurred across */
	size_t		ring_line;
	const uint8_t **window;
} Gaussian;

static void
fill_weights(Gaussian *g, double sigma)
{
	double		sum = 0;
	int			left = IMG_WEIGHT_ONE;

	for (int i = -g->radius; i <= g->radius; i++)
		sum += exp(-i * i / (2 * sigma * sigma));
	for (int i = -g->radius; i <= g->radius; i++)
	{
		int16_t		weight = (int16_t) lrint(exp(-i * i / (2 * sigma * sigma)) / sum * IMG_WEIGHT_ONE);

		g->weight[i + g->radius] = weight;
		left -= weight;
	}
	g->weight[g->radius] += left;
	g->weight[g->taps - 1] = 0;
}

static void
free_buffers(Gaussian *g)
{
	g_free(g->weight);
	g_free(g->wide);
	g_free(g->ring);
	g_free(g->window);
}

static bool
make_buffers(ImgPicture *picture, Gaussian *g, double sigma)
{
	size_t		wide = g->line + (size_t) g->taps * g->bands + IMG_RESAMPLE_SLACK;

	g->ring_line = g->line + IMG_RESAMPLE_SLACK;
	g->weight = g_try_malloc0_n(g->taps, sizeof(int16_t));
	g->wide = g_try_malloc0(wide);
	g->ring = g_try_malloc0_n(g->taps, g->ring_line);
	g->window = g_try_malloc0_n(g->taps, sizeof(uint8_t *));
	if (g->weight == NULL || g->wide == NULL || g->ring == NULL || g->window == NULL)
		return img_fail_memory(picture, wide + g->taps * g->ring_line);
	fill_weights(g, sigma);
	return true;
}

/* Blurs a row across. */
static void
blur_across(Gaussian *g, const uint8_t *row, uint8_t *result)
{
	size_t		margin = (size_t) g->radius * g->bands;

	for (size_t i = 0; i < margin; i += g->bands)
	{
		memcpy(g->wide + i, row, g->bands);
		memcpy(g->wide + margin + g->line + i, row + g->line - g->bands, g->bands);
	}
	memcpy(g->wide + margin, row, g->line);
	for (int k = 0; k < g->taps; k++)
		g->window[k] = g->wide + (size_t) k * g->bands;
	img_sum_rows(g->window, g->weight, g->taps, result, g->line);
}

static uint8_t *
ring_row(const Gaussian *g, int y)
{
	return g->ring + (size_t) (y % g->taps) * g->ring_line;
}

static bool
blur(ImgPicture *picture, Gaussian *g, VipsImage *image, uint8_t *pixels)
{
	int			height = image->Ysize;
	int			done = 0;		/* rows in the ring so far */

	for (int y = 0; y < height; y++)
	{
		if (y % 16 == 0 && img_stopped(picture))
			return false;
		for (; done < height && done <= y + g->radius; done++)
			blur_across(g, VIPS_IMAGE_ADDR(image, 0, done), ring_row(g, done));
		for (int k = 0; k < g->taps; k++)
			g->window[k] = ring_row(g, CLAMP(y - g->radius + k, MAX(0, done - g->taps), done - 1));
		/* a sum ends beyond the row: the next row overwrites that */
		img_sum_rows(g->window, g->weight, g->taps, pixels + y * g->line, g->line);
	}
	return true;
}

VipsImage *
img_gaussian(ImgPicture *picture, VipsImage *image, double sigma)
{
	VipsImage  *source = img_evaluate(picture, image);
	Gaussian	g = {.radius = MAX(1, (int) ceil(sigma * sqrt(-2 * log(MIN_AMPLITUDE))))};
	size_t		size;
	uint8_t    *pixels = NULL;
	bool		done;

	if (source == NULL)
		return NULL;
	g.taps = 2 * g.radius + 2;
	g.bands = source->Bands;
	g.line = (size_t) source->Xsize * g.bands;
	size = g.line * source->Ysize + IMG_RESAMPLE_SLACK;
	done = make_buffers(picture, &g, sigma) &&
		((pixels = img_allocate_pixels(size)) != NULL || img_fail_memory(picture, size)) &&
		blur(picture, &g, source, pixels);
	free_buffers(&g);
	g_object_unref(source);
	if (!done)
	{
		img_free_pixels(pixels);
		return NULL;
	}
	return img_wrap(picture, pixels, image->Xsize, image->Ysize, image->Bands,
					VIPS_FORMAT_UCHAR, image->Type, image);
}
