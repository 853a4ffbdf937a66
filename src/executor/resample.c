/*
 * resample.c
 *	  The arithmetic of making pictures smaller: weights and sums.
 *
 * Runs in imgapi-executor.  The kernel is the one of vips_resize(), Lanczos
 * with three lobes, and so are the results, but for rounding.  It is done here
 * because for a thumbnail libvips spends more time on setting up its pipeline
 * than on the sums.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "executor/resample.h"

#define LOBES	3.0

static double
lanczos(double x)
{
	double		pi_x = M_PI * x;

	if (x == 0)
		return 1;
	if (x <= -LOBES || x >= LOBES)
		return 0;
	return LOBES * sin(pi_x) * sin(pi_x / LOBES) / (pi_x * pi_x);
}

/* Weights of one result in whole numbers; what rounding leaves over goes to
 * the largest. */
static void
round_weights(const double *exact, double sum, int16_t *weight, int taps)
{
	int			largest = 0;
	int			left = IMG_WEIGHT_ONE;

	for (int k = 0; k < taps; k++)
	{
		weight[k] = (int16_t) lrint(exact[k] / sum * IMG_WEIGHT_ONE);
		left -= weight[k];
		if (weight[k] > weight[largest])
			largest = k;
	}
	weight[largest] += left;
}

bool
img_weights_make(ImgWeights *weights, double ratio, int samples, int from, int count)
{
	double		stretch = ratio > 1 ? ratio : 1;
	double		reach = LOBES * stretch;
	int			taps = ((int) ceil(2 * reach) + 2) & ~1;
	double	   *exact = malloc(taps * sizeof(double));

	weights->count = count;
	weights->taps = taps;
	weights->first = malloc(count * sizeof(int));
	weights->weight = malloc((size_t) count * taps * sizeof(int16_t));
	if (exact == NULL || weights->first == NULL || weights->weight == NULL)
	{
		free(exact);
		img_weights_free(weights);
		return false;
	}
	for (int i = 0; i < count; i++)
	{
		double		center = (from + i + 0.5) * ratio - 0.5;
		int			start = (int) ceil(center - reach);
		int			first = start;
		double		sum = 0;

		if (first > samples - taps)
			first = samples - taps;
		if (first < 0)
			first = 0;
		memset(exact, 0, taps * sizeof(double));
		for (int k = start; k < start + taps; k++)
		{
			double		value = lanczos((k - center) / stretch);
			int			sample = k < 0 ? 0 : k >= samples ? samples - 1 : k;

			exact[sample - first] += value;
			sum += value;
		}
		weights->first[i] = first;
		round_weights(exact, sum, weights->weight + (size_t) i * taps, taps);
	}
	free(exact);
	return true;
}

void
img_weights_free(ImgWeights *weights)
{
	free(weights->first);
	free(weights->weight);
	memset(weights, 0, sizeof(*weights));
}

#ifdef __SSE2__

/* Two neighbouring weights in each 32 bits. */
static inline __m128i
weight_pair(const int16_t *weight)
{
	int32_t		pair;

	memcpy(&pair, weight, sizeof(pair));
	return _mm_set1_epi32(pair);
}

static inline __m128i
round_sum(__m128i sum)
{
	return _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(IMG_WEIGHT_ONE / 2)), IMG_WEIGHT_BITS);
}

/* Sixteen bytes of two rows at a time: multiply pairs, add them. */
void
img_sum_rows(const uint8_t *const *rows, const int16_t *weight, int taps, uint8_t *result, size_t length)
{
	const __m128i zero = _mm_setzero_si128();

	for (size_t x = 0; x < length; x += 16)
	{
		__m128i		sum[4] = {zero, zero, zero, zero};

		for (int k = 0; k < taps; k += 2)
		{
			__m128i		pair = weight_pair(weight + k);
			__m128i		upper = _mm_loadu_si128((const __m128i *) (rows[k] + x));
			__m128i		lower = _mm_loadu_si128((const __m128i *) (rows[k + 1] + x));
			__m128i		left = _mm_unpacklo_epi8(upper, lower);
			__m128i		right = _mm_unpackhi_epi8(upper, lower);

			sum[0] = _mm_add_epi32(sum[0], _mm_madd_epi16(_mm_unpacklo_epi8(left, zero), pair));
			sum[1] = _mm_add_epi32(sum[1], _mm_madd_epi16(_mm_unpackhi_epi8(left, zero), pair));
			sum[2] = _mm_add_epi32(sum[2], _mm_madd_epi16(_mm_unpacklo_epi8(right, zero), pair));
			sum[3] = _mm_add_epi32(sum[3], _mm_madd_epi16(_mm_unpackhi_epi8(right, zero), pair));
		}
		_mm_storeu_si128((__m128i *) (result + x),
						 _mm_packus_epi16(_mm_packs_epi32(round_sum(sum[0]), round_sum(sum[1])),
										  _mm_packs_epi32(round_sum(sum[2]), round_sum(sum[3]))));
	}
}

/*
 * Two neighbouring pixels at a time: laid side by side, band by band, they are
 * multiplied by a pair of weights.  Reads eight bytes for each.
 */
#define SUM_COLUMNS(name, bands) \
static void \
name(const uint8_t *row, const ImgWeights *weights, int origin, uint8_t *result) \
{ \
	const __m128i zero = _mm_setzero_si128(); \
	const int	taps = weights->taps; \
\
	for (int i = 0; i < weights->count; i++) \
	{ \
		const uint8_t *p = row + (size_t) (weights->first[i] - origin) * (bands); \
		const int16_t *weight = weights->weight + (size_t) i * taps; \
		__m128i		sum = zero; \
		uint32_t	packed; \
\
		for (int k = 0; k < taps; k += 2, p += 2 * (bands)) \
		{ \
			__m128i		pixels = _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *) p), zero); \
			__m128i		pairs = _mm_unpacklo_epi16(pixels, _mm_srli_si128(pixels, 2 * (bands))); \
\
			sum = _mm_add_epi32(sum, _mm_madd_epi16(pairs, weight_pair(weight + k))); \
		} \
		sum = _mm_packs_epi32(round_sum(sum), zero); \
		packed = _mm_cvtsi128_si32(_mm_packus_epi16(sum, zero)); \
		memcpy(result, &packed, 4); \
		result += (bands); \
	} \
}

SUM_COLUMNS(sum_columns_1, 1)
SUM_COLUMNS(sum_columns_2, 2)
SUM_COLUMNS(sum_columns_3, 3)
SUM_COLUMNS(sum_columns_4, 4)

void
img_sum_columns(const uint8_t *row, const ImgWeights *weights, int origin, int bands, uint8_t *result)
{
	switch (bands)
	{
		case 1:
			sum_columns_1(row, weights, origin, result);
			break;
		case 2:
			sum_columns_2(row, weights, origin, result);
			break;
		case 3:
			sum_columns_3(row, weights, origin, result);
			break;
		default:
			sum_columns_4(row, weights, origin, result);
			break;
	}
}

#else							/* no SSE2: the same, plainly */

static inline uint8_t
round_sum(int32_t sum)
{
	sum = (sum + IMG_WEIGHT_ONE / 2) >> IMG_WEIGHT_BITS;
	return sum < 0 ? 0 : sum > 255 ? 255 : sum;
}

void
img_sum_rows(const uint8_t *const *rows, const int16_t *weight, int taps, uint8_t *result, size_t length)
{
	for (size_t x = 0; x < length; x += 16)
	{
		int32_t		sum[16] = {0};

		for (int k = 0; k < taps; k++)
			for (int i = 0; i < 16; i++)
				sum[i] += rows[k][x + i] * weight[k];
		for (int i = 0; i < 16; i++)
			result[x + i] = round_sum(sum[i]);
	}
}

void
img_sum_columns(const uint8_t *row, const ImgWeights *weights, int origin, int bands, uint8_t *result)
{
	for (int i = 0; i < weights->count; i++)
	{
		const uint8_t *p = row + (size_t) (weights->first[i] - origin) * bands;
		const int16_t *weight = weights->weight + (size_t) i * weights->taps;

		for (int band = 0; band < bands; band++)
		{
			int32_t		sum = 0;

			for (int k = 0; k < weights->taps; k++)
				sum += p[k * bands + band] * weight[k];
			*result++ = round_sum(sum);
		}
	}
}
#endif
