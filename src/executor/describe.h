/*
 * describe.h
 *	  What a few bytes can say of a picture: hash, placeholder, colour.
 *
 * Each description is computed from a small version of the picture.  Nothing
 * here depends on libvips, and the same pixels give the same bytes in every
 * executor.
 */
#ifndef IMGAPI_EXECUTOR_DESCRIBE_H
#define IMGAPI_EXECUTOR_DESCRIBE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* Longest side of a small version. */
#define IMG_SMALL_SIDE			64

/* Bytes that a description takes at most. */
#define IMG_DESCRIPTION_BYTES	64

/* A small version of a picture: upright, sRGB, row after row. */
typedef struct ImgSmall
{
	int			width;
	int			height;
	uint8_t		rgba[IMG_SMALL_SIDE * IMG_SMALL_SIDE][4];
} ImgSmall;

/* How much light a value of sRGB stands for, 0 to 1. */
static inline double
img_linear_light(int value)
{
	double		v = value / 255.0;

	return v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
}

/* Each writes its bytes to result and returns how many they are. */
typedef size_t (*ImgDescribe) (const ImgSmall *small, char *result);

/* phash.c: a native uint64_t, from IMG_PHASH_SIDE × IMG_PHASH_SIDE pixels */
#define IMG_PHASH_SIDE			32
extern size_t img_phash(const ImgSmall *small, char *result);

/* blurhash.c: 28 characters */
extern size_t img_blurhash(const ImgSmall *small, char *result);

/* dominant_color.c: "#rrggbb", or nothing if there is nothing to see */
extern size_t img_dominant_color(const ImgSmall *small, char *result);

#endif							/* IMGAPI_EXECUTOR_DESCRIBE_H */
