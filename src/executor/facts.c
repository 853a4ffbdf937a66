/*
 * facts.c
 *	  What the header of a picture says about it.
 *
 * Runs in imgapi-executor.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "executor/pipeline.h"

static void
color_space_name(char *name, size_t size, VipsInterpretation interpretation)
{
	const char *nick = vips_enum_nick(VIPS_TYPE_INTERPRETATION, interpretation);

	if (interpretation == VIPS_INTERPRETATION_B_W)
		nick = "grey";
	g_strlcpy(name, nick ? nick : "", size);
}

/* Sides as displayed; the image is as it lies in the file. */
void
img_facts(ImgFacts *facts, VipsImage *image, int format)
{
	int			orientation = vips_image_get_orientation(image);
	int			pages = vips_image_get_n_pages(image);
	int			width = vips_image_get_width(image);
	int			height = vips_image_get_page_height(image);

	memset(facts, 0, sizeof(*facts));
	facts->format = format;
	facts->has_alpha = vips_image_hasalpha(image);
	facts->has_icc = vips_image_get_typeof(image, VIPS_META_ICC_NAME) != 0;
	facts->orientation = orientation >= 1 && orientation <= 8 ? orientation : 1;
	facts->width = facts->orientation > 4 ? height : width;
	facts->height = facts->orientation > 4 ? width : height;
	facts->pages = pages;
	facts->lat = NAN;
	facts->lng = NAN;
	color_space_name(facts->color_space, sizeof(facts->color_space),
					 vips_image_get_interpretation(image));
}

static const char *
exif_text(VipsImage *image, const char *field)
{
	const char *text;

	if (!vips_image_get_typeof(image, field) || vips_image_get_string(image, field, &text))
		return NULL;
	return text;
}

/* "2024:05:01 12:00:00", and what libvips puts behind it */
static void
taken_at(ImgFacts *facts, const char *text)
{
	int			part[6];

	if (text == NULL ||
		sscanf(text, "%4d:%2d:%2d %2d:%2d:%2d", &part[0], &part[1], &part[2],
			   &part[3], &part[4], &part[5]) != 6)
		return;
	if (!g_date_valid_dmy(CLAMP(part[2], 0, 31), CLAMP(part[1], 0, 12), CLAMP(part[0], 0, 9999)) ||
		part[3] < 0 || part[3] > 23 || part[4] < 0 || part[4] > 59 || part[5] < 0 || part[5] > 59)
		return;
	snprintf(facts->taken_at, sizeof(facts->taken_at), "%04u-%02u-%02u %02u:%02u:%02u",
			 part[0] % 10000u, part[1] % 100u, part[2] % 100u, part[3] % 100u, part[4] % 100u, part[5] % 100u);
}

/* "48/1 51/1 2400/100 …" and "N" become degrees; NaN if they make no sense */
static double
degrees(const char *text, const char *reference, char negative, double max)
{
	double		part[3];
	double		result;

	if (text == NULL || reference == NULL)
		return NAN;
	for (int i = 0; i < 3; i++)
	{
		long long	above;
		long long	below;
		int			used;

		if (sscanf(text, " %lld/%lld%n", &above, &below, &used) != 2 || below == 0)
			return NAN;
		part[i] = (double) above / below;
		text += used;
	}
	result = part[0] + part[1] / 60 + part[2] / 3600;
	if (!(result >= 0 && result <= max))
		return NAN;
	return reference[0] == negative ? -result : result;
}

void
img_facts_exif(ImgFacts *facts, VipsImage *image)
{
	taken_at(facts, exif_text(image, "exif-ifd2-DateTimeOriginal"));
	facts->lat = degrees(exif_text(image, "exif-ifd3-GPSLatitude"),
						 exif_text(image, "exif-ifd3-GPSLatitudeRef"), 'S', 90);
	facts->lng = degrees(exif_text(image, "exif-ifd3-GPSLongitude"),
						 exif_text(image, "exif-ifd3-GPSLongitudeRef"), 'W', 180);
	if (isnan(facts->lat) || isnan(facts->lng))
		facts->lat = facts->lng = NAN;
}
