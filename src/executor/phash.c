/*
 * phash.c
 *	  Perceptual hash: pictures that look alike differ in few of 64 bits.
 *
 * Runs in imgapi-executor.  This is the hash of the cosine transform, as many
 * programs compute it (ImageHash's phash() gives the same bits, but for a few
 * that rounding decides):
 *
 *	1. The picture, 32 × 32 pixels whatever its proportions, in grey: Rec. 601
 *	   luma, not rounded.
 *	2. Its discrete cosine transform (type II, rows and columns not scaled), of
 *	   which the 8 × 8 lowest frequencies are kept.
 *	3. The median of these without the first, which is the mean of the picture:
 *	   of 63 numbers, the 32nd.
 *	4. One bit each: 1 if larger than the median, 0 if smaller or equal.  Row by
 *	   row, the first is the highest bit, which makes the bigint negative.
 *
 * What is less than a tenth of a grey level high is 0.  Without this the
 * frequencies that a plain or symmetrical picture does not have would be signs
 * of nothing but noise, and half of its bits would change with every encoding.
 *
 * All sums are of integers, so they do not depend on order or processor.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "executor/describe.h"

#define SIDE			IMG_PHASH_SIDE
#define FREQUENCIES		8
#define COEFFICIENTS	(FREQUENCIES * FREQUENCIES)
#define COSINE_BITS		14
#define GREY_ONE		1000	/* a grey level */

/* A cosine as high as a grey level gives this: its square adds up to half of
 * the pixels in each direction. */
#define ONE_LEVEL		(((int64_t) GREY_ONE << 2 * COSINE_BITS) * (SIDE / 2) * (SIDE / 2))
#define NOISE			(ONE_LEVEL / 10)

static int32_t cosine[FREQUENCIES][SIDE];

static void
make_cosines(void)
{
	if (cosine[0][0] != 0)
		return;
	for (int u = 0; u < FREQUENCIES; u++)
		for (int x = 0; x < SIDE; x++)
			cosine[u][x] = lrint(cos((2 * x + 1) * u * M_PI / (2 * SIDE)) * (1 << COSINE_BITS));
}

/* The low frequencies of one row of pixels. */
static void
transform_row(const uint8_t (*rgba)[4], int64_t *result)
{
	memset(result, 0, sizeof(int64_t) * FREQUENCIES);
	for (int x = 0; x < SIDE; x++)
	{
		int64_t		grey = rgba[x][0] * 299 + rgba[x][1] * 587 + rgba[x][2] * 114;

		for (int u = 0; u < FREQUENCIES; u++)
			result[u] += grey * cosine[u][x];
	}
}

static void
transform(const ImgSmall *small, int64_t *coefficient)
{
	memset(coefficient, 0, sizeof(int64_t) * COEFFICIENTS);
	for (int y = 0; y < SIDE; y++)
	{
		int64_t		row[FREQUENCIES];

		transform_row(small->rgba + y * SIDE, row);
		for (int v = 0; v < FREQUENCIES; v++)
			for (int u = 0; u < FREQUENCIES; u++)
				coefficient[v * FREQUENCIES + u] += row[u] * cosine[v][y];
	}
	for (int i = 0; i < COEFFICIENTS; i++)
		if (llabs(coefficient[i]) < NOISE)
			coefficient[i] = 0;
}

static int
compare(const void *a, const void *b)
{
	int64_t		x = *(const int64_t *) a;
	int64_t		y = *(const int64_t *) b;

	return (x > y) - (x < y);
}

/* Of all but the first. */
static int64_t
median(const int64_t *coefficient)
{
	int64_t		sorted[COEFFICIENTS - 1];

	memcpy(sorted, coefficient + 1, sizeof(sorted));
	qsort(sorted, COEFFICIENTS - 1, sizeof(int64_t), compare);
	return sorted[(COEFFICIENTS - 1) / 2];
}

size_t
img_phash(const ImgSmall *small, char *result)
{
	int64_t		coefficient[COEFFICIENTS];
	int64_t		middle;
	uint64_t	hash = 0;

	make_cosines();
	transform(small, coefficient);
	middle = median(coefficient);
	for (int i = 0; i < COEFFICIENTS; i++)
		hash = hash << 1 | (coefficient[i] > middle);
	memcpy(result, &hash, sizeof(hash));
	return sizeof(hash);
}
