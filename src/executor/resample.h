/*
 * resample.h
 *	  The arithmetic of making pictures smaller: weights and sums.
 *
 * Nothing here depends on libvips.
 */
#ifndef IMGAPI_EXECUTOR_RESAMPLE_H
#define IMGAPI_EXECUTOR_RESAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sums are read and written in steps of this many bytes: buffers are as much
 * longer than their contents. */
#define IMG_RESAMPLE_SLACK	32

/*
 * Lanczos weights of one direction.  Result i is the sum of "taps" samples
 * from first[i] on, each times its weight; weights of a result add up to
 * IMG_WEIGHT_ONE.  taps is even.
 */
#define IMG_WEIGHT_BITS	14
#define IMG_WEIGHT_ONE	(1 << IMG_WEIGHT_BITS)

typedef struct ImgWeights
{
	int			count;
	int			taps;
	int		   *first;
	int16_t    *weight;
} ImgWeights;

/*
 * Weights for count results from number "from" on, where ratio samples become
 * one result.  Samples outside 0 … samples - 1 repeat the outermost one.
 * False: no memory.
 */
extern bool img_weights_make(ImgWeights *weights, double ratio, int samples, int from, int count);
extern void img_weights_free(ImgWeights *weights);

/* length bytes of a result row from rows[0 … taps - 1]. */
extern void img_sum_rows(const uint8_t *const *rows, const int16_t *weight, int taps,
						 uint8_t *result, size_t length);

/* One row of results, "bands" bytes each, from a row of samples whose first is
 * number "origin". */
extern void img_sum_columns(const uint8_t *row, const ImgWeights *weights, int origin,
							int bands, uint8_t *result);

#endif							/* IMGAPI_EXECUTOR_RESAMPLE_H */
