/*
 * color.c
 *	  Colours of a picture become 8 bit sRGB, or grey, once.
 *
 * Runs in imgapi-executor.
 */
#include "executor/pipeline.h"

/* The profile of an image if it has one that says something; NULL otherwise. */
static const void *
useful_profile(VipsImage *image, size_t *length)
{
	const void *data;

	if (!vips_image_get_typeof(image, VIPS_META_ICC_NAME) ||
		vips_image_get_blob(image, VIPS_META_ICC_NAME, &data, length))
		return NULL;
	if (img_profile_is_srgb(data, *length))
		return NULL;
	return data;
}

/* Through the profile of the picture; NULL if that cannot be used. */
static VipsImage *
by_profile(VipsImage *image)
{
	VipsImage  *result;

	if (image->Coding != VIPS_CODING_NONE ||
		vips_icc_transform(image, &result, "srgb", "embedded", TRUE,
						   "intent", VIPS_INTENT_RELATIVE, "depth", 8, NULL))
	{
		vips_error_clear();
		return NULL;
	}
	return result;
}

static VipsImage *
by_color_space(VipsImage *image)
{
	VipsInterpretation wanted = image->Bands < 3 ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB;
	VipsImage  *result;

	if (image->Type == VIPS_INTERPRETATION_CMYK)
	{
		/* CMYK without a profile means this one */
		if (vips_icc_transform(image, &result, "srgb", "input_profile", "cmyk", "embedded", FALSE,
							   "intent", VIPS_INTENT_RELATIVE, "depth", 8, NULL))
			return NULL;
		return result;
	}
	if (vips_colourspace(image, &result, wanted, NULL))
		return NULL;
	return result;
}

/* Anything but uchar, such as the floats of a TIFF, is cut to the range. */
static VipsImage *
to_uchar(VipsImage *image)
{
	VipsImage  *result;

	if (image == NULL || image->BandFmt == VIPS_FORMAT_UCHAR)
		return image;
	if (vips_cast(image, &result, VIPS_FORMAT_UCHAR, NULL))
		result = NULL;
	g_object_unref(image);
	return result;
}

static bool
is_plain(VipsImage *image)
{
	return image->BandFmt == VIPS_FORMAT_UCHAR && image->Coding == VIPS_CODING_NONE &&
		((image->Type == VIPS_INTERPRETATION_sRGB && (image->Bands == 3 || image->Bands == 4)) ||
		 (image->Type == VIPS_INTERPRETATION_B_W && image->Bands <= 2));
}

bool
img_to_srgb(ImgPicture *picture)
{
	if (picture->srgb)
		return true;
	for (int i = 0; i < picture->frames; i++)
	{
		VipsImage  *image = picture->frame[i];
		VipsImage  *converted = NULL;
		size_t		length;

		if (useful_profile(image, &length) != NULL)
		{
			converted = by_profile(image);
			if (converted == NULL)
				picture->warnings |= IMG_WARNING_PROFILE;
		}
		if (converted == NULL)
		{
			if (is_plain(image))
				continue;
			converted = by_color_space(image);
		}
		converted = to_uchar(converted);
		if (converted == NULL)
			return img_fail_vips(picture, IMG_STAGE_OPERATION);
		img_replace_frame(picture, i, converted);
	}
	picture->srgb = true;
	return true;
}

/* For print: the profile that libvips brings. */
bool
img_to_cmyk(ImgPicture *picture)
{
	for (int i = 0; i < picture->frames; i++)
	{
		VipsImage  *image;

		if (vips_icc_transform(picture->frame[i], &image, "cmyk", "input_profile", "srgb",
							   "embedded", FALSE, "intent", VIPS_INTENT_RELATIVE, "depth", 8, NULL))
			return img_fail_vips(picture, IMG_STAGE_OPERATION);
		img_replace_frame(picture, i, image);
	}
	return true;
}
