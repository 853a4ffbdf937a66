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
 *	2. A histogram with a node every 0.05; a pixel is shared between the nodes
 *	   around it.  The fullest node, of equal ones the darkest, is the first
 *	   guess.
 *	3. The guess moves to the mean of all pixels within 0.1 of it, again and
 *	   again until it stays.
 *	4. The median of those pixels in sRGB, of each of red, green and blue.
 *
 * No random numbers, and all sums in one order: the same pixels, the same colour.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "executor/describe.h"

/* The histogram: lightness is 0 to 1, a and b are within ±0.35 in sRGB. */
#define STEP			0.05f
#define LIGHT_NODES		22
#define COLOR_NODES		16
#define COLOR_LEAST		(-0.35f)

#define REACH			0.1f	/* what is called the same colour */
#define MOVES			20
#define STAYS			1e-4f

typedef struct Sample
{
	float		lab[3];
	int			weight;			/* 0 to 255 */
	const uint8_t *rgb;
} Sample;

typedef struct Samples
{
	int			count;
	Sample		sample[IMG_SMALL_SIDE * IMG_SMALL_SIDE];
} Samples;

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
	float		linear[256];

	for (int i = 0; i < 256; i++)
		linear[i] = img_linear_light(i);
	samples->count = 0;
	for (int i = 0; i < small->width * small->height; i++)
	{
		Sample	   *sample = &samples->sample[samples->count];

		if (small->rgba[i][3] == 0)
			continue;
		sample->rgb = small->rgba[i];
		sample->weight = small->rgba[i][3];
		to_oklab(linear, sample->rgb, sample->lab);
		samples->count++;
	}
}

/* Shares a sample between the eight nodes around it. */
static void
share(const Sample *sample, float (*node)[COLOR_NODES][COLOR_NODES])
{
	int			low[3];
	float		part[3];

	for (int i = 0; i < 3; i++)
	{
		float		at = (sample->lab[i] - (i == 0 ? 0 : COLOR_LEAST)) / STEP;
		int			highest = (i == 0 ? LIGHT_NODES : COLOR_NODES) - 2;

		low[i] = at < 0 ? 0 : at > highest ? highest : (int) at;
		part[i] = at - low[i];
	}
	for (int corner = 0; corner < 8; corner++)
	{
		float		weight = sample->weight;

		for (int i = 0; i < 3; i++)
			weight *= corner >> i & 1 ? part[i] : 1 - part[i];
		node[low[0] + (corner & 1)][low[1] + (corner >> 1 & 1)][low[2] + (corner >> 2)] += weight;
	}
}

/* Where most samples are, to a node. */
static void
guess(const Samples *samples, float *lab)
{
	static float node[LIGHT_NODES][COLOR_NODES][COLOR_NODES];
	float		most = 0;

	memset(node, 0, sizeof(node));
	for (int i = 0; i < samples->count; i++)
		share(&samples->sample[i], node);
	for (int l = 0; l < LIGHT_NODES; l++)
		for (int a = 0; a < COLOR_NODES; a++)
			for (int b = 0; b < COLOR_NODES; b++)
			{
				if (node[l][a][b] <= most)
					continue;
				most = node[l][a][b];
				lab[0] = l * STEP;
				lab[1] = a * STEP + COLOR_LEAST;
				lab[2] = b * STEP + COLOR_LEAST;
			}
}

static bool
near(const float *a, const float *b, float distance)
{
	float		x = a[0] - b[0];
	float		y = a[1] - b[1];
	float		z = a[2] - b[2];

	return x * x + y * y + z * z < distance * distance;
}

/* Moves to the mean of the samples around.  False: it stays. */
static bool
move(const Samples *samples, float *lab)
{
	double		sum[3] = {0};
	double		weight = 0;
	float		mean[3];

	for (int i = 0; i < samples->count; i++)
	{
		const Sample *sample = &samples->sample[i];

		if (!near(sample->lab, lab, REACH))
			continue;
		weight += sample->weight;
		for (int k = 0; k < 3; k++)
			sum[k] += sample->weight * sample->lab[k];
	}
	if (weight == 0)
		return false;
	for (int k = 0; k < 3; k++)
		mean[k] = sum[k] / weight;
	if (near(mean, lab, STAYS))
		return false;
	memcpy(lab, mean, sizeof(mean));
	return true;
}

/* The median of one of red, green and blue of the samples around. */
static int
median(const Samples *samples, const float *lab, int channel)
{
	int			histogram[256] = {0};
	int			weight = 0;
	int			below = 0;
	int			value = 0;

	for (int i = 0; i < samples->count; i++)
	{
		const Sample *sample = &samples->sample[i];

		if (!near(sample->lab, lab, REACH))
			continue;
		histogram[sample->rgb[channel]] += sample->weight;
		weight += sample->weight;
	}
	while (value < 255 && 2 * (below += histogram[value]) < weight)
		value++;
	return value;
}

size_t
img_dominant_color(const ImgSmall *small, char *result)
{
	Samples		samples;
	float		lab[3] = {0};

	take_samples(small, &samples);
	if (samples.count == 0)
		return 0;
	guess(&samples, lab);
	for (int i = 0; i < MOVES && move(&samples, lab); i++)
		;
	return snprintf(result, IMG_DESCRIPTION_BYTES, "#%02x%02x%02x", median(&samples, lab, 0),
					median(&samples, lab, 1), median(&samples, lab, 2));
}
