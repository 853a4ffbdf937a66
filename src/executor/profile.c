/*
 * profile.c
 *	  Whether an ICC profile means sRGB.
 *
 * Runs in imgapi-executor.  Most profiles in pictures say sRGB, in a dozen
 * editions; converting from sRGB to sRGB would cost time and change nothing.
 * Judged by what it does to colours, not by its name.
 */
#include <math.h>
#include <string.h>

#include "executor/pipeline.h"

#define HEADER_BYTES	128

/* Primaries of sRGB as every edition has them, adapted to D50. */
static const struct
{
	const char *tag;
	double		xyz[3];
}			primaries[] = {
	{"rXYZ", {0.4360, 0.2225, 0.0139}},
	{"gXYZ", {0.3851, 0.7169, 0.0971}},
	{"bXYZ", {0.1431, 0.0606, 0.7139}},
};

static uint32_t
number(const unsigned char *p)
{
	return (uint32_t) p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static double
fixed(const unsigned char *p)
{
	return (int32_t) number(p) / 65536.0;
}

/* The data of a tag, or NULL. */
static const unsigned char *
find_tag(const unsigned char *data, size_t length, const char *name, size_t *tag_length)
{
	uint32_t	count = number(data + HEADER_BYTES);

	if (count > (length - HEADER_BYTES - 4) / 12)
		return NULL;
	for (uint32_t i = 0; i < count; i++)
	{
		const unsigned char *entry = data + HEADER_BYTES + 4 + i * 12;
		uint32_t	at = number(entry + 4);
		uint32_t	size = number(entry + 8);

		if (memcmp(entry, name, 4) != 0)
			continue;
		if (at > length || size > length - at || size < 12)
			return NULL;
		*tag_length = size;
		return data + at;
	}
	return NULL;
}

static double
srgb_curve(double x)
{
	return x <= 0.04045 ? x / 12.92 : pow((x + 0.055) / 1.055, 2.4);
}

/* A table of 16 bit numbers that follows the sRGB curve. */
static bool
table_is_srgb(const unsigned char *data, size_t length)
{
	uint32_t	count = number(data + 8);

	if (count < 256 || count > (length - 12) / 2)
		return false;
	for (int i = 1; i < 16; i++)
	{
		uint32_t	at = (uint64_t) (count - 1) * i / 16;
		double		value = (data[12 + at * 2] << 8 | data[13 + at * 2]) / 65535.0;

		if (fabs(value - srgb_curve((double) at / (count - 1))) > 0.003)
			return false;
	}
	return true;
}

/* The function (ax+b)^g with a straight part, with the numbers of sRGB. */
static bool
formula_is_srgb(const unsigned char *data, size_t length)
{
	static const double srgb[] = {2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045};

	if (data[8] != 0 || data[9] != 3 || length < 12 + 5 * 4)
		return false;
	for (int i = 0; i < 5; i++)
		if (fabs(fixed(data + 12 + i * 4) - srgb[i]) > 0.001)
			return false;
	return true;
}

static bool
curve_is_srgb(const unsigned char *data, size_t length, const char *name)
{
	size_t		size;
	const unsigned char *tag = find_tag(data, length, name, &size);

	if (tag == NULL)
		return false;
	if (memcmp(tag, "curv", 4) == 0)
		return table_is_srgb(tag, size);
	if (memcmp(tag, "para", 4) == 0)
		return formula_is_srgb(tag, size);
	return false;
}

bool
img_profile_is_srgb(const unsigned char *data, size_t length)
{
	size_t		size;

	if (length < HEADER_BYTES + 4 || memcmp(data + 16, "RGB ", 4) != 0 ||
		memcmp(data + 20, "XYZ ", 4) != 0 || find_tag(data, length, "A2B0", &size) != NULL)
		return false;
	for (int i = 0; i < 3; i++)
	{
		const unsigned char *tag = find_tag(data, length, primaries[i].tag, &size);

		if (tag == NULL || size < 20)
			return false;
		for (int j = 0; j < 3; j++)
			if (fabs(fixed(tag + 8 + j * 4) - primaries[i].xyz[j]) > 0.002)
				return false;
	}
	return curve_is_srgb(data, length, "rTRC") && curve_is_srgb(data, length, "gTRC") &&
		curve_is_srgb(data, length, "bTRC");
}
