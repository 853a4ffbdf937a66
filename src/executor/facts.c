/*
 * facts.c
 *	  What the header of a picture says about it.
 *
 * Runs in imgapi-executor.
 */
#include <math.h>
#include <string.h>

#include "executor/decoder.h"
#include "executor/exif.h"

static void
color_space_name(char *name, size_t size, VipsInterpretation interpretation)
{
	const char *nick = vips_enum_nick(VIPS_TYPE_INTERPRETATION, interpretation);

	if (interpretation == VIPS_INTERPRETATION_B_W)
		nick = "grey";
	g_strlcpy(name, nick ? nick : "", size);
}

static void
set_exif(ImgFacts *facts, const unsigned char *data, size_t length)
{
	ImgExif		exif;

	img_exif_read(data, length, &exif);
	facts->orientation = exif.orientation;
	facts->lat = exif.lat;
	facts->lng = exif.lng;
	memcpy(facts->taken_at, exif.taken_at, sizeof(exif.taken_at));
}

/* Sides as displayed; so far they are as they will be decoded. */
static void
turn_sides(ImgFacts *facts, int orientation)
{
	uint32_t	width = facts->width;

	if (orientation <= 4)
		return;
	facts->width = facts->height;
	facts->height = width;
}

/* "Exif\0\0" stands in front in some formats. */
static void
set_exif_of_image(ImgFacts *facts, VipsImage *image)
{
	const void *data;
	size_t		length;

	if (vips_image_get_typeof(image, VIPS_META_EXIF_NAME) == 0 ||
		vips_image_get_blob(image, VIPS_META_EXIF_NAME, &data, &length) != 0)
		return;
	if (length > 6 && memcmp(data, "Exif\0", 6) == 0)
		set_exif(facts, (const unsigned char *) data + 6, length - 6);
	else
		set_exif(facts, data, length);
}

int
img_orientation(VipsImage *image)
{
	int			orientation = vips_image_get_orientation(image);

	return orientation >= 1 && orientation <= 8 ? orientation : 1;
}

void
img_facts(ImgFacts *facts, VipsImage *image, int format)
{
	*facts = (ImgFacts) {.format = format, .orientation = img_orientation(image), .lat = NAN, .lng = NAN};
	facts->has_alpha = vips_image_hasalpha(image);
	facts->has_icc = vips_image_get_typeof(image, VIPS_META_ICC_NAME) != 0;
	facts->width = vips_image_get_width(image);
	facts->height = vips_image_get_page_height(image);
	facts->pages = vips_image_get_n_pages(image);
	color_space_name(facts->color_space, sizeof(facts->color_space), image->Type);
	set_exif_of_image(facts, image);
	turn_sides(facts, img_orientation(image));
}

/* A TIFF is what EXIF is made of; libvips knows the orientation, also of a
 * BigTIFF, but not when and where. */
void
img_facts_tiff(ImgFacts *facts, const unsigned char *data, size_t length)
{
	int			orientation = facts->orientation;

	set_exif(facts, data, length);
	facts->orientation = orientation;
}

void
img_facts_decoder(ImgFacts *facts, const ImgDecoder *decoder, int format)
{
	*facts = (ImgFacts) {.format = format, .orientation = 1, .lat = NAN, .lng = NAN, .pages = 1};
	facts->has_alpha = decoder->color_space != VIPS_INTERPRETATION_CMYK && decoder->bands % 2 == 0;
	facts->has_icc = decoder->profile != NULL;
	facts->width = decoder->width;
	facts->height = decoder->height;
	color_space_name(facts->color_space, sizeof(facts->color_space),
					 decoder->stored ? decoder->stored : decoder->color_space);
	if (decoder->exif != NULL)
		set_exif(facts, decoder->exif, decoder->exif_length);
	turn_sides(facts, facts->orientation);
}
