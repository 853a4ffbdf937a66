/*
 * rotation.c
 *	  Turning by any angle.
 *
 * Runs in imgapi-executor.  Each pixel of the result is interpolated from four
 * by four of the source, with the bicubic kernel of Catmull and Rom.  Around the
 * source lies the background, so its edges are interpolated too.
 *
 * The source is copied with four bytes to a pixel and a margin as wide as the
 * kernel reaches: four pixels are a vector then, and nothing has to be asked
 * about edges.  Positions are fixed-point numbers, exact along a row.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "executor/memory.h"
#include "executor/pixels.h"
#include "executor/rows.h"

#define PIXEL			4		/* bytes in the copy */
#define MARGIN			4		/* pixels; one more than the kernel needs */
#define TILE_SIDE		128		/* pixels of the result that stay in the cache */

#define FRACTION_BITS	32		/* of positions */
#define PLACE_BITS		8		/* the kernel is tabulated at that many places */
#define PLACES			(1 << PLACE_BITS)
#define WEIGHT_BITS		14
#define WEIGHT_ONE		(1 << WEIGHT_BITS)
#define BETWEEN_BITS	6		/* fraction of what has been summed down only */

typedef int16_t Weights[4];

typedef struct Rotation
{
	int			bands;
	int			source_width;
	int			source_height;
	int			width;			/* of the result */
	int			height;
	double		cosine;
	double		sine;
	size_t		line;			/* bytes of the copy */
	uint8_t    *source;			/* the copy; its first pixel is in the margin */
	uint8_t    *pixels;
	uint8_t		background[PIXEL];
	Weights		weights[PLACES];
} Rotation;

static void
fill_weights(Rotation *r)
{
	for (int i = 0; i < PLACES; i++)
	{
		double		t = (i + 0.5) / PLACES;
		int16_t    *w = r->weights[i];

		w[0] = (int16_t) lrint(WEIGHT_ONE * (-0.5 * t + t * t - 0.5 * t * t * t));
		w[2] = (int16_t) lrint(WEIGHT_ONE * (0.5 * t + 2 * t * t - 1.5 * t * t * t));
		w[3] = (int16_t) lrint(WEIGHT_ONE * (-0.5 * t * t + 0.5 * t * t * t));
		w[1] = WEIGHT_ONE - w[0] - w[2] - w[3];
	}
}

static void
fill(uint8_t *to, size_t count, const uint8_t *pixel)
{
	for (; count > 0; count--, to += PIXEL)
		memcpy(to, pixel, PIXEL);
}

static inline void
widen(const uint8_t *from, uint8_t *to, int width, int bands)
{
	for (; width > 0; width--, from += bands, to += PIXEL)
		for (int i = 0; i < PIXEL; i++)
			to[i] = i < bands ? from[i] : 0;
}

/* How many bands there are is known to the compiler where it is usual. */
static void
widen_row(const uint8_t *from, uint8_t *to, int width, int bands)
{
	if (bands == 3)
		widen(from, to, width, 3);
	else
		widen(from, to, width, bands);
}

/* Copies the source, with its margin. */
static bool
copy_source(Rotation *r, ImgPicture *picture, VipsImage *image)
{
	uint8_t    *to = r->source;
	const uint8_t *row = NULL;
	ImgRows		rows;

	fill(to, r->line / PIXEL * MARGIN, r->background);
	to += MARGIN * r->line;
	img_rows_start(&rows, picture, image);
	for (int y = 0; y < image->Ysize && (row = img_rows_next(&rows)) != NULL; y++, to += r->line)
	{
		fill(to, MARGIN, r->background);
		widen_row(row, to + MARGIN * PIXEL, image->Xsize, image->Bands);
		fill(to + (size_t) (MARGIN + image->Xsize) * PIXEL, MARGIN, r->background);
	}
	img_rows_end(&rows);
	fill(to, r->line / PIXEL * MARGIN, r->background);
	return row != NULL;
}

#ifdef __SSE2__

/* Two weights in each 32 bits. */
static inline __m128i
weight_pair(const int16_t *weight)
{
	int32_t		pair;

	memcpy(&pair, weight, sizeof(pair));
	return _mm_set1_epi32(pair);
}

/* A pixel of each of four rows, band by band: summed down. */
static inline __m128i
sum_down(__m128i upper, __m128i lower, __m128i upper_weights, __m128i lower_weights)
{
	__m128i		sum = _mm_add_epi32(_mm_madd_epi16(upper, upper_weights), _mm_madd_epi16(lower, lower_weights));

	return _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(1 << (WEIGHT_BITS - BETWEEN_BITS - 1))),
						  WEIGHT_BITS - BETWEEN_BITS);
}

/* From the first of four by four pixels. */
static inline uint32_t
interpolate(const uint8_t *p, size_t line, const int16_t *across, const int16_t *down)
{
	const __m128i zero = _mm_setzero_si128();
	__m128i		row[4];
	__m128i		upper_weights = weight_pair(down);
	__m128i		lower_weights = weight_pair(down + 2);
	__m128i		upper;
	__m128i		lower;
	__m128i		left;
	__m128i		right;
	__m128i		sum;

	for (int i = 0; i < 4; i++)
		row[i] = _mm_loadu_si128((const __m128i *) (p + i * line));
	upper = _mm_unpacklo_epi8(row[0], row[1]);
	lower = _mm_unpacklo_epi8(row[2], row[3]);
	left = _mm_packs_epi32(sum_down(_mm_unpacklo_epi8(upper, zero), _mm_unpacklo_epi8(lower, zero),
									upper_weights, lower_weights),
						   sum_down(_mm_unpackhi_epi8(upper, zero), _mm_unpackhi_epi8(lower, zero),
									upper_weights, lower_weights));
	upper = _mm_unpackhi_epi8(row[0], row[1]);
	lower = _mm_unpackhi_epi8(row[2], row[3]);
	right = _mm_packs_epi32(sum_down(_mm_unpacklo_epi8(upper, zero), _mm_unpacklo_epi8(lower, zero),
									 upper_weights, lower_weights),
							sum_down(_mm_unpackhi_epi8(upper, zero), _mm_unpackhi_epi8(lower, zero),
									 upper_weights, lower_weights));
	sum = _mm_add_epi32(_mm_madd_epi16(_mm_unpacklo_epi16(left, _mm_srli_si128(left, 8)), weight_pair(across)),
						_mm_madd_epi16(_mm_unpacklo_epi16(right, _mm_srli_si128(right, 8)), weight_pair(across + 2)));
	sum = _mm_add_epi32(sum, _mm_set1_epi32(1 << (WEIGHT_BITS + BETWEEN_BITS - 1)));
	sum = _mm_packs_epi32(_mm_srai_epi32(sum, WEIGHT_BITS + BETWEEN_BITS), zero);
	return _mm_cvtsi128_si32(_mm_packus_epi16(sum, zero));
}

#else							/* no SSE2: the same, plainly */

static inline uint32_t
interpolate(const uint8_t *p, size_t line, const int16_t *across, const int16_t *down)
{
	uint8_t		value[PIXEL];
	uint32_t	result;

	for (int band = 0; band < PIXEL; band++)
	{
		int32_t		sum = 1 << (WEIGHT_BITS + BETWEEN_BITS - 1);

		for (int x = 0; x < 4; x++)
		{
			int32_t		column = 1 << (WEIGHT_BITS - BETWEEN_BITS - 1);

			for (int y = 0; y < 4; y++)
				column += p[y * line + x * PIXEL + band] * down[y];
			sum += (column >> (WEIGHT_BITS - BETWEEN_BITS)) * across[x];
		}
		sum >>= WEIGHT_BITS + BETWEEN_BITS;
		value[band] = CLAMP(sum, 0, 255);
	}
	memcpy(&result, value, sizeof(result));
	return result;
}
#endif

static inline int64_t
fixed(double x)
{
	return llrint(ldexp(x, FRACTION_BITS));
}

/* Narrows a span of columns to those at which start + column * step lies between
 * low and high. */
static void
narrow(int *from, int *to, double start, double step, double low, double high)
{
	double		first = (low - start) / step;
	double		last = (high - start) / step;

	if (fabs(step) < 1e-9)
	{
		if (start < low || start > high)
			*to = *from;
		return;
	}
	*from = (int) fmax(*from, floor(fmin(first, last)));
	*to = (int) fmin(*to, ceil(fmax(first, last)) + 1);
	*to = MAX(*from, *to);
}

/* Part of a row of the result.  Writes up to four bytes for its last pixel. */
static inline void
turn_span(const Rotation *r, int y, int from, int to, int bands)
{
	double		over = from + 0.5 - r->width / 2.0;
	double		below = y + 0.5 - r->height / 2.0;
	int64_t		source_x = fixed(r->cosine * over + r->sine * below + r->source_width / 2.0 - 0.5);
	int64_t		source_y = fixed(-r->sine * over + r->cosine * below + r->source_height / 2.0 - 0.5);
	int64_t		step_x = fixed(r->cosine);
	int64_t		step_y = fixed(-r->sine);
	uint8_t    *target = r->pixels + ((size_t) y * r->width + from) * bands;

	for (; from < to; from++, source_x += step_x, source_y += step_y, target += bands)
	{
		ptrdiff_t	column = (source_x >> FRACTION_BITS) + MARGIN - 1;
		ptrdiff_t	row = (source_y >> FRACTION_BITS) + MARGIN - 1;
		uint32_t	pixel = interpolate(r->source + row * r->line + column * PIXEL, r->line,
										r->weights[source_x >> (FRACTION_BITS - PLACE_BITS) & (PLACES - 1)],
										r->weights[source_y >> (FRACTION_BITS - PLACE_BITS) & (PLACES - 1)]);

		memcpy(target, &pixel, from + 1 < to ? PIXEL : bands);
	}
}

static void
paint_span(const Rotation *r, int y, int from, int to)
{
	uint8_t    *target = r->pixels + ((size_t) y * r->width + from) * r->bands;

	for (; from < to; from++, target += r->bands)
		memcpy(target, r->background, r->bands);
}

static void
turn_row(const Rotation *r, int y, int from, int to)
{
	double		over = 0.5 - r->width / 2.0;
	double		below = y + 0.5 - r->height / 2.0;
	int			first = from;
	int			end = to;

	narrow(&first, &end, r->cosine * over + r->sine * below + r->source_width / 2.0 - 0.5, r->cosine,
		   -2, r->source_width + 1);
	narrow(&first, &end, -r->sine * over + r->cosine * below + r->source_height / 2.0 - 0.5, -r->sine,
		   -2, r->source_height + 1);
	paint_span(r, y, from, first);
	if (r->bands == 3)
		turn_span(r, y, first, end, 3);
	else
		turn_span(r, y, first, end, r->bands);
	paint_span(r, y, end, to);
}

static bool
turn(const Rotation *r, ImgPicture *picture)
{
	for (int top = 0; top < r->height; top += TILE_SIDE)
		for (int left = 0; left < r->width; left += TILE_SIDE)
		{
			if (img_stopped(picture))
				return false;
			for (int y = top; y < MIN(top + TILE_SIDE, r->height); y++)
				turn_row(r, y, left, MIN(left + TILE_SIDE, r->width));
		}
	return true;
}

static void
find_size(Rotation *r, VipsImage *image, double degrees)
{
	r->cosine = cos(VIPS_RAD(degrees));
	r->sine = sin(VIPS_RAD(degrees));
	r->bands = image->Bands;
	r->source_width = image->Xsize;
	r->source_height = image->Ysize;
	r->width = (int) rint(image->Xsize * fabs(r->cosine) + image->Ysize * fabs(r->sine));
	r->height = (int) rint(image->Xsize * fabs(r->sine) + image->Ysize * fabs(r->cosine));
	r->line = (size_t) (image->Xsize + 2 * MARGIN) * PIXEL;
}

VipsImage *
img_rotated(ImgPicture *picture, VipsImage *image, double degrees, const uint8_t *background)
{
	Rotation	r = {0};
	size_t		source_size;
	size_t		size;
	bool		done;

	find_size(&r, image, degrees);
	memcpy(r.background, background, r.bands);
	fill_weights(&r);
	source_size = r.line * (r.source_height + 2 * MARGIN);
	size = (size_t) r.width * r.height * r.bands;
	r.source = img_allocate_pixels(source_size);
	done = (r.source != NULL || img_fail_memory(picture, source_size)) && copy_source(&r, picture, image) &&
		((r.pixels = img_allocate_pixels(size)) != NULL || img_fail_memory(picture, size)) && turn(&r, picture);
	img_free_pixels(r.source);
	if (!done)
	{
		img_free_pixels(r.pixels);
		return NULL;
	}
	return img_wrap(picture, r.pixels, r.width, r.height, r.bands, VIPS_FORMAT_UCHAR, image->Type, image);
}
