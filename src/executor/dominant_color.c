/*
 * dominant_color.c
 *	  The colour of which a picture has most.
 *
 * Runs in imgapi-executor.  Not a mean: of a red flag with a blue cross it is
 * the red, as it is in the file.
 *
 *	1. The picture, scaled to fit 64 × 64 pixels, in OKLab, a space in which
 *	   equal distances look equally different.  Pixels count as much as they can
 *	   be seen; transparent ones do not count.
 *	2. A histogram with cells 0.05 wide.  Of the mean colours of its cells, the
 *	   one around which the picture is densest: pixels count 1 - (d / 0.1)² at a
 *	   distance of d.  Of equal ones, the darkest.
 *	3. The median of the pixels within 0.05 of that, of each of red, green and
 *	   blue in sRGB.
 *
 * No random numbers, and all sums in one order: the same pixels, the same colour.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "executor/describe.h"

#define REACH			0.1f	/* no other colour counts from here on */
#define SAME			0.05f	/* what is called the same colour; no less than
								 * half a cell from corner to corner */

/* The histogram: lightness is 0 to 1, a and b are within ±0.35 in sRGB. */
#define CELL			0.05f
#define LIGHT_CELLS		21
#define COLOR_CELLS		14
#define COLOR_LEAST		(-0.35f)
#define CELLS			(LIGHT_CELLS * COLOR_CELLS * COLOR_CELLS)

typedef struct Sample
{
	float		lab[3];
	int			weight;			/* 0 to 255 */
	const uint8_t *rgb;
} Sample;

typedef struct Samples
{
	float		linear[256];	/* light of a value of sRGB */
	int			count;
	Sample		sample[IMG_SMALL_SIDE * IMG_SMALL_SIDE];
} Samples;

/* Samples of nearly the same colour. */
typedef struct Cell
{
	float		lab[3];			/* the mean */
	int			weight;
} Cell;

static void
to_oklab(const float *linear, const uint8_t *rgb, float *lab)
{
	float		r = linear[rgb[0]];
	float		g = linear[rgb[1]];
	float		b = linear[rgb[2]];
	float		l = cbrtf(0.4122214708f * r + 0.5363325363f * g + 0.0514459929f * b);
	float		m = cbrtf(0.2119034982f * r + 0.6806995451f * g + 0.1073969566f * b);
	float		s = cbrtf(0.0883024619f * r + 0.2817188376f * g + 0.6299787005f * b);

	lab[0] = 0.2104542553f * l + 0.7936177850f * m - 0.0040720468f * s;
	lab[1] = 1.9779984951f * l - 2.4285922050f * m + 0.4505937099f * s;
	lab[2] = 0.0259040371f * l + 0.7827717662f * m - 0.8086757660f * s;
}

static void
take_samples(const ImgSmall *small, Samples *samples)
{
	for (int i = 0; i < 256; i++)
		samples->linear[i] = img_linear_light(i);
	samples->count = 0;
	for (int i = 0; i < small->width * small->height; i++)
	{
		Sample	   *sample = &samples->sample[samples->count];

		if (small->rgba[i][3] == 0)
			continue;
		sample->rgb = small->rgba[i];
		sample->weight = small->rgba[i][3];
		to_oklab(samples->linear, sample->rgb, sample->lab);
		samples->count++;
	}
}

static int
cell_along(float value, float least, int cells)
{
	return fmaxf(0, fminf((value - least) / CELL, cells - 1));
}

/* The cells that have something in them, dark ones first; how many. */
static int
fill_cells(const Samples *samples, Cell *cells)
{
	int			used = 0;

	memset(cells, 0, sizeof(Cell) * CELLS);
	for (int i = 0; i < samples->count; i++)
	{
		const Sample *sample = &samples->sample[i];
		int			at = cell_along(sample->lab[0], 0, LIGHT_CELLS);
		Cell	   *cell;

		at = at * COLOR_CELLS + cell_along(sample->lab[1], COLOR_LEAST, COLOR_CELLS);
		cell = &cells[at * COLOR_CELLS + cell_along(sample->lab[2], COLOR_LEAST, COLOR_CELLS)];
		cell->weight += sample->weight;
		for (int k = 0; k < 3; k++)
			cell->lab[k] += sample->weight * sample->lab[k];
	}
	for (int i = 0; i < CELLS; i++)
	{
		if (cells[i].weight == 0)
			continue;
		cells[used] = cells[i];
		for (int k = 0; k < 3; k++)
			cells[used].lab[k] /= cells[used].weight;
		used++;
	}
	return used;
}

static float
distance_squared(const float *a, const float *b)
{
	float		x = a[0] - b[0];
	float		y = a[1] - b[1];
	float		z = a[2] - b[2];

	return x * x + y * y + z * z;
}

/* The mean colour of the cell with most around it. */
static const float *
densest(const Samples *samples)
{
	static Cell cells[CELLS];
	int			used = fill_cells(samples, cells);
	int			best = 0;
	float		most = 0;

	for (int i = 0; i < used; i++)
	{
		float		density = 0;

		for (int j = 0; j < used; j++)
		{
			float		part = 1 - distance_squared(cells[i].lab, cells[j].lab) / (REACH * REACH);

			density += part > 0 ? part * cells[j].weight : 0;
		}
		if (density > most)
		{
			most = density;
			best = i;
		}
	}
	return cells[best].lab;
}

/* Where half of the weight is reached. */
static int
middle(const int *histogram, int weight)
{
	int			below = histogram[0];
	int			value = 0;

	while (2 * below < weight)
		below += histogram[++value];
	return value;
}

/* The median of the samples around, of each of red, green and blue. */
static void
median(const Samples *samples, const float *lab, int *rgb)
{
	int			histogram[3][256] = {0};
	int			weight = 0;

	for (int i = 0; i < samples->count; i++)
	{
		const Sample *sample = &samples->sample[i];

		if (distance_squared(sample->lab, lab) >= SAME * SAME)
			continue;
		weight += sample->weight;
		for (int c = 0; c < 3; c++)
			histogram[c][sample->rgb[c]] += sample->weight;
	}
	for (int c = 0; c < 3; c++)
		rgb[c] = middle(histogram[c], weight);
}

size_t
img_dominant_color(const ImgSmall *small, char *result)
{
	Samples		samples;
	int			rgb[3];

	take_samples(small, &samples);
	if (samples.count == 0)
		return 0;
	median(&samples, densest(&samples), rgb);
	return snprintf(result, IMG_DESCRIPTION_BYTES, "#%02x%02x%02x", rgb[0], rgb[1], rgb[2]);
}
