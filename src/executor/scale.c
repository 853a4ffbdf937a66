/*
 * scale.c
 *	  Makes a picture smaller or larger.
 *
 * Runs in imgapi-executor.  Making 8 bit pictures smaller is done here, row by
 * row while they are decoded: of the source only as many rows are kept as one
 * row of the result needs.  Anything else is left to libvips.
 */
#include <string.h>

#include "executor/pipeline.h"
#include "executor/memory.h"
#include "executor/resample.h"
#include "executor/rows.h"

/* Pixels are averaged in whole blocks first, until this ratio is left over;
 * Lanczos weights do the rest. */
#define RATIO_LEFT		2.0

/* The picture on its way from image to pixels. */
typedef struct Scaling
{
	ImgPicture *picture;
	VipsImage  *image;
	ImgRows		source;
	bool		alpha;

	int			block_width;	/* pixels that are averaged to one sample */
	int			block_height;
	uint32_t   *block_sum;
	int			columns;		/* samples in a row */
	int			rows;
	int			bands;

	ImgWeights	across;
	ImgWeights	down;
	uint8_t   **ring;			/* the last down.taps rows of samples */
	int			ring_rows;		/* how many there have been */
	const uint8_t **window;		/* those of one result row */
	uint8_t    *line;
} Scaling;

/* Colours count as much as they show. */
static void
premultiply(uint8_t *row, int columns, int bands)
{
	for (int x = 0; x < columns; x++, row += bands)
		for (int band = 0; band < bands - 1; band++)
		{
			int			value = row[band] * row[bands - 1] + 128;

			row[band] = (value + (value >> 8)) >> 8;
		}
}

static void
unpremultiply(uint8_t *row, int columns, int bands)
{
	for (int x = 0; x < columns; x++, row += bands)
	{
		int			alpha = row[bands - 1];

		for (int band = 0; band < bands - 1 && alpha != 0; band++)
			row[band] = MIN((row[band] * 255 + alpha / 2) / alpha, 255);
	}
}

static void
add_line(Scaling *s, const uint8_t *line)
{
	uint32_t   *sum = s->block_sum;
	int			width = s->image->Xsize;

	for (int x = 0; x < width; x += s->block_width, sum += s->bands)
		for (int i = 0; i < s->block_width && x + i < width; i++, line += s->bands)
			for (int band = 0; band < s->bands; band++)
				sum[band] += line[band];
}

/* A row of samples, averaged from blocks of the source. */
static bool
average_blocks(Scaling *s, uint8_t *samples)
{
	int			lines = MIN(s->block_height, s->image->Ysize - s->source.next);
	int			last = s->image->Xsize - (s->columns - 1) * s->block_width;

	memset(s->block_sum, 0, sizeof(uint32_t) * s->columns * s->bands);
	for (int i = 0; i < lines; i++)
	{
		const uint8_t *line = img_rows_next(&s->source);

		if (line == NULL)
			return false;
		if (s->alpha)
		{
			memcpy(s->line, line, (size_t) s->image->Xsize * s->bands);
			premultiply(s->line, s->image->Xsize, s->bands);
			line = s->line;
		}
		add_line(s, line);
	}
	for (int x = 0; x < s->columns; x++)
	{
		uint32_t	count = lines * (x == s->columns - 1 ? last : s->block_width);

		for (int band = 0; band < s->bands; band++)
			samples[x * s->bands + band] = (s->block_sum[x * s->bands + band] + count / 2) / count;
	}
	return true;
}

/* Adds a row of samples to the ring. */
static bool
next_samples(Scaling *s)
{
	uint8_t    *samples = s->ring[s->ring_rows % s->down.taps];

	if (s->block_width > 1 || s->block_height > 1)
	{
		if (!average_blocks(s, samples))
			return false;
	}
	else
	{
		const uint8_t *line = img_rows_next(&s->source);

		if (line == NULL)
			return false;
		memcpy(samples, line, (size_t) s->columns * s->bands);
		if (s->alpha)
			premultiply(samples, s->columns, s->bands);
	}
	s->ring_rows++;
	return true;
}

/* One row of the result: rows are summed up first, then the columns. */
static bool
result_row(Scaling *s, int i, uint8_t *pixels)
{
	int			taps = s->down.taps;
	int			first = s->down.first[i];
	int			from = s->across.first[0];
	int			to = MIN(s->across.first[s->across.count - 1] + s->across.taps, s->columns);

	while (s->ring_rows < MIN(first + taps, s->rows))
		if (!next_samples(s))
			return false;
	for (int k = 0; k < taps; k++)
		s->window[k] = s->ring[MIN(first + k, s->rows - 1) % taps] + (size_t) from * s->bands;
	img_sum_rows(s->window, s->down.weight + (size_t) i * taps, taps, s->line, (size_t) (to - from) * s->bands);
	img_sum_columns(s->line, &s->across, from, s->bands, pixels);
	if (s->alpha)
		unpremultiply(pixels, s->across.count, s->bands);
	return true;
}

/*
 * How many pixels of the image become one of the result.  A decoder that
 * shrinks rounds sides up: the last pixel of a row may stand for less than the
 * others, and counts so.
 */
static void
ratios(const Scaling *s, int width, int height, double *across, double *down)
{
	const ImgPicture *picture = s->picture;

	*across = (double) s->image->Xsize / width;
	*down = (double) s->image->Ysize / height;
	if (picture->shrink > 1)
	{
		*across = (double) picture->full_width / picture->shrink / width;
		*down = (double) picture->full_height / picture->shrink / height;
	}
}

static bool
prepare(Scaling *s, int width, int height, const ImgBox *box)
{
	double		across;
	double		down;
	size_t		row_bytes;

	ratios(s, width, height, &across, &down);

	s->block_width = MAX(1, (int) (across / RATIO_LEFT));
	s->block_height = MAX(1, (int) (down / RATIO_LEFT));
	s->columns = (s->image->Xsize + s->block_width - 1) / s->block_width;
	s->rows = (s->image->Ysize + s->block_height - 1) / s->block_height;
	if (!img_weights_make(&s->across, across / s->block_width, s->columns, box->left, box->width) ||
		!img_weights_make(&s->down, down / s->block_height, s->rows, box->top, box->height))
		return false;
	/* sums may read a window that reaches over the end of a narrow row */
	row_bytes = (size_t) (MAX(s->image->Xsize, s->columns + s->across.taps)) * s->bands + IMG_RESAMPLE_SLACK;
	s->block_sum = g_try_malloc(sizeof(uint32_t) * s->columns * s->bands);
	s->line = g_try_malloc0(row_bytes);
	s->window = g_new0(const uint8_t *, s->down.taps);
	s->ring = g_new0(uint8_t *, s->down.taps);
	for (int i = 0; i < s->down.taps; i++)
		if ((s->ring[i] = g_try_malloc0(row_bytes)) == NULL)
			return false;
	return s->block_sum != NULL && s->line != NULL;
}

static void
clean_up(Scaling *s)
{
	for (int i = 0; s->ring != NULL && i < s->down.taps; i++)
		g_free(s->ring[i]);
	g_free(s->ring);
	g_free(s->window);
	g_free(s->line);
	g_free(s->block_sum);
	img_rows_end(&s->source);
	img_weights_free(&s->across);
	img_weights_free(&s->down);
}

/* The part "box" of image at width × height. */
static VipsImage *
shrunk(ImgPicture *picture, VipsImage *image, int width, int height, const ImgBox *box)
{
	Scaling		s = {.picture = picture, .image = image, .bands = image->Bands,
		.alpha = vips_image_hasalpha(image)};
	size_t		line = (size_t) box->width * image->Bands;
	uint8_t    *pixels = img_allocate_pixels(line * box->height + IMG_RESAMPLE_SLACK);
	bool		done = pixels != NULL && prepare(&s, width, height, box);

	if (!done)
		img_fail_memory(picture, line * box->height);
	img_rows_start(&s.source, picture, image);
	for (int i = 0; i < box->height && done; i++)
		done = result_row(&s, i, pixels + i * line);
	clean_up(&s);
	if (!done)
	{
		img_free_pixels(pixels);
		return NULL;
	}
	return img_wrap(picture, pixels, box->width, box->height, image->Bands,
					VIPS_FORMAT_UCHAR, image->Type, image);
}

/* By libvips, whatever the image. */
static VipsImage *
resized(ImgPicture *picture, VipsImage *image, int width, int height)
{
	VipsImage  *premultiplied = NULL;
	VipsImage  *other = NULL;
	VipsImage  *plain = NULL;
	VipsImage  *result = NULL;
	bool		alpha = vips_image_hasalpha(image);

	if (alpha && vips_premultiply(image, &premultiplied, NULL))
		return NULL;
	other = img_resize(alpha ? premultiplied : image, width, height);
	if (other != NULL)
	{
		if (!alpha)
			result = g_object_ref(other);
		else if (vips_unpremultiply(other, &plain, NULL) == 0)
			vips_cast(plain, &result, image->BandFmt, NULL);
	}
	g_clear_object(&premultiplied);
	g_clear_object(&other);
	g_clear_object(&plain);
	if (result == NULL)
		img_fail_vips(picture, IMG_STAGE_OPERATION);
	return result;
}

static VipsImage *
resized_part(ImgPicture *picture, VipsImage *image, int width, int height, const ImgBox *box)
{
	VipsImage  *whole = resized(picture, image, width, height);
	VipsImage  *part = NULL;

	if (whole == NULL || (box->width == width && box->height == height))
		return whole;
	if (vips_crop(whole, &part, box->left, box->top, box->width, box->height, NULL))
		img_fail_vips(picture, IMG_STAGE_OPERATION);
	g_object_unref(whole);
	return part;
}

static bool
scale_frame(ImgPicture *picture, int i, int width, int height, const ImgBox *box)
{
	VipsImage  *image = picture->frame[i];
	ImgBox		stored = img_stored_box(picture, width, height, box);
	VipsImage  *result;

	if (picture->orientation > 4)
	{
		int			swap = width;

		width = height;
		height = swap;
	}
	if (image->BandFmt == VIPS_FORMAT_UCHAR && image->Coding == VIPS_CODING_NONE &&
		image->Bands <= 4 && width <= image->Xsize && height <= image->Ysize)
		result = shrunk(picture, image, width, height, &stored);
	else
		result = resized_part(picture, image, width, height, &stored);
	if (result == NULL)
		return false;
	img_replace_frame(picture, i, result);
	return true;
}

bool
img_scale(ImgPicture *picture, int width, int height, const ImgBox *part)
{
	ImgBox		whole = {0, 0, width, height};

	if (part == NULL)
		part = &whole;
	if (width == img_width(picture) && height == img_height(picture))
	{
		picture->shrink = 1;
		return part == &whole || img_cut(picture, part);
	}
	/* Colours are converted where there are fewer pixels.  libvips looks at
	 * pixels around each, so they have to be there. */
	if ((width > img_width(picture) || height > img_height(picture)) && !img_compute(picture))
		return false;
	for (int i = 0; i < picture->frames; i++)
		if (!scale_frame(picture, i, width, height, part))
			return false;
	picture->shrink = 1;
	return true;
}
