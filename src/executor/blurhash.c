/*
 * blurhash.c
 *	  BlurHash: 28 characters of which clients paint a blurred placeholder.
 *
 * Runs in imgapi-executor.  Contract: Algorithm.md of github.com/woltapp/blurhash,
 * with 4 components across and 3 down:
 *
 *	1 character		number of components
 *	1 character		the largest component but the first, in 166ths, less one
 *	4 characters	the mean colour, as sRGB
 *	2 characters	each other component, across first: red, green and blue as
 *					square roots of their parts of the largest, in 19 steps
 *
 * A component is a mean of linear light times cosines.  As in the encoders of
 * that project the cosines begin with the first pixel, at 1, and not in its
 * middle; and a picture of at most 64 × 64 pixels has the hash that they give.
 * A larger one is scaled to fit first, which changes nothing that could be seen.
 */
#include <math.h>
#include <string.h>

#include "executor/describe.h"

#define ACROSS			4
#define DOWN			3
#define MAXIMUM_STEPS	166.0
#define COLOR_STEPS		9		/* on either side of 0 */

static const char digits[] =
"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~";

typedef double Light[3];		/* linear red, green and blue */

static int
to_srgb(double light)
{
	double		v = fmax(0, fmin(1, light));

	return (v <= 0.0031308 ? v * 12.92 : 1.055 * pow(v, 1 / 2.4) - 0.055) * 255 + 0.5;
}

/* cosine[i][x]: half a wave of component 1 is as long as the picture. */
static void
make_cosines(double (*cosine)[IMG_SMALL_SIDE], int components, int length)
{
	for (int i = 0; i < components; i++)
		for (int x = 0; x < length; x++)
			cosine[i][x] = cos(M_PI * i * x / length);
}

/* The components across of one row. */
static void
sum_row(const ImgSmall *small, int y, const double *linear, const double (*cosine)[IMG_SMALL_SIDE], Light *sum)
{
	const uint8_t (*pixel)[4] = small->rgba + y * small->width;

	memset(sum, 0, sizeof(Light) * ACROSS);
	for (int x = 0; x < small->width; x++)
		for (int c = 0; c < 3; c++)
		{
			double		light = linear[pixel[x][c]];

			for (int i = 0; i < ACROSS; i++)
				sum[i][c] += light * cosine[i][x];
		}
}

static void
transform(const ImgSmall *small, Light *component)
{
	double		linear[256];
	double		across[ACROSS][IMG_SMALL_SIDE];
	double		down[DOWN][IMG_SMALL_SIDE];
	double		scale = 1.0 / (small->width * small->height);

	for (int i = 0; i < 256; i++)
		linear[i] = img_linear_light(i);
	make_cosines(across, ACROSS, small->width);
	make_cosines(down, DOWN, small->height);
	memset(component, 0, sizeof(Light) * ACROSS * DOWN);
	for (int y = 0; y < small->height; y++)
	{
		Light		sum[ACROSS];

		sum_row(small, y, linear, across, sum);
		for (int i = 0; i < ACROSS * DOWN; i++)
			for (int c = 0; c < 3; c++)
				component[i][c] += sum[i % ACROSS][c] * down[i / ACROSS][y];
	}
	for (int i = 0; i < ACROSS * DOWN; i++)
		for (int c = 0; c < 3; c++)
			component[i][c] *= i == 0 ? scale : 2 * scale;
}

static char *
put(char *to, int value, int length)
{
	for (int i = length - 1; i >= 0; i--, value /= 83)
		to[i] = digits[value % 83];
	return to + length;
}

static int
clamp(double value, int highest)
{
	return fmax(0, fmin(highest, floor(value)));
}

/* The steps of the largest component but the first. */
static int
maximum_of(const Light *component)
{
	double		largest = 0;

	for (int i = 1; i < ACROSS * DOWN; i++)
		for (int c = 0; c < 3; c++)
			largest = fmax(largest, fabs(component[i][c]));
	return clamp(largest * MAXIMUM_STEPS - 0.5, 82);
}

size_t
img_blurhash(const ImgSmall *small, char *result)
{
	Light		component[ACROSS * DOWN];
	int			maximum;
	int			mean = 0;
	char	   *to = result;

	transform(small, component);
	maximum = maximum_of(component);
	for (int c = 0; c < 3; c++)
		mean = mean << 8 | to_srgb(component[0][c]);
	to = put(to, (ACROSS - 1) + (DOWN - 1) * 9, 1);
	to = put(to, maximum, 1);
	to = put(to, mean, 4);
	for (int i = 1; i < ACROSS * DOWN; i++)
	{
		int			value = 0;

		for (int c = 0; c < 3; c++)
		{
			double		part = component[i][c] / ((maximum + 1) / MAXIMUM_STEPS);
			double		root = copysign(sqrt(fabs(part)), part);

			value = value * (2 * COLOR_STEPS + 1) + clamp(root * COLOR_STEPS + COLOR_STEPS + 0.5, 2 * COLOR_STEPS);
		}
		to = put(to, value, 2);
	}
	return to - result;
}
