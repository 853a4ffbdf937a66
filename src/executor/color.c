/*
 * color.c
 *	  Colours of a picture become 8 bit sRGB, or grey, once.
 *
 * Runs in imgapi-executor.
 */
#include <lcms2.h>

#include "executor/memory.h"
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

/* How lcms calls the bands of an image; 0 if it is of another kind. */
static cmsUInt32Number
lcms_format(VipsImage *image)
{
	int			bytes = image->BandFmt == VIPS_FORMAT_UCHAR ? 1 : image->BandFmt == VIPS_FORMAT_USHORT ? 2 : 0;
	int			colors = image->Type == VIPS_INTERPRETATION_CMYK ? 4 : image->Bands < 3 ? 1 : 3;
	int			space = colors == 4 ? PT_CMYK : colors == 1 ? PT_GRAY : PT_RGB;

	if (bytes == 0 || image->Coding != VIPS_CODING_NONE || image->Bands < colors || image->Bands > colors + 1)
		return 0;
	return COLORSPACE_SH(space) | CHANNELS_SH(colors) | EXTRA_SH(image->Bands - colors) | BYTES_SH(bytes);
}

/* From the profile to sRGB; NULL if the profile is broken, or of something
 * else than this picture. */
static cmsHTRANSFORM
make_transform(VipsImage *image, const void *data, size_t length)
{
	cmsUInt32Number format = lcms_format(image);
	cmsUInt32Number result = image->Bands == (int) T_CHANNELS(format) ? TYPE_RGB_8 : TYPE_RGBA_8;
	cmsHPROFILE source = cmsOpenProfileFromMem(data, length);
	cmsHPROFILE target = cmsCreate_sRGBProfile();
	cmsHTRANSFORM transform = NULL;

	if (format != 0 && source != NULL && target != NULL)
		transform = cmsCreateTransform(source, format, target, result,
									   INTENT_RELATIVE_COLORIMETRIC, cmsFLAGS_COPY_ALPHA);
	if (source != NULL)
		cmsCloseProfile(source);
	if (target != NULL)
		cmsCloseProfile(target);
	return transform;
}

static VipsImage *
transformed(ImgPicture *picture, VipsImage *image, cmsHTRANSFORM transform)
{
	int			bands = T_CHANNELS(cmsGetTransformOutputFormat(transform)) + T_EXTRA(cmsGetTransformOutputFormat(transform));
	size_t		line = (size_t) image->Xsize * bands;
	unsigned char *pixels = img_allocate_pixels(line * image->Ysize);

	if (pixels == NULL)
	{
		img_fail_memory(picture, line * image->Ysize);
		return NULL;
	}
	for (int y = 0; y < image->Ysize; y++)
	{
		if (y % 64 == 0 && img_stopped(picture))
		{
			img_free_pixels(pixels);
			return NULL;
		}
		cmsDoTransform(transform, VIPS_IMAGE_ADDR(image, 0, y), pixels + y * line, image->Xsize);
	}
	return img_wrap(picture, pixels, image->Xsize, image->Ysize, bands,
					VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB, image);
}

/* Through the profile of the picture.  NULL: the profile cannot be used, or
 * the picture has failed. */
static VipsImage *
by_profile(ImgPicture *picture, VipsImage *image, const void *profile, size_t length)
{
	cmsHTRANSFORM transform = make_transform(image, profile, length);
	VipsImage  *pixels;
	VipsImage  *result = NULL;

	if (transform == NULL)
	{
		picture->warnings |= IMG_WARNING_PROFILE;
		return NULL;
	}
	pixels = img_evaluate(picture, image);
	if (pixels != NULL)
	{
		result = transformed(picture, pixels, transform);
		g_object_unref(pixels);
	}
	cmsDeleteTransform(transform);
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

		const void *profile = useful_profile(image, &length);

		if (profile != NULL)
			converted = by_profile(picture, image, profile, length);
		if (picture->outcome != IMG_DONE)
			return false;
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

/* For print: the profile that libvips brings.  It is one of colours, and paper
 * is white where there is no ink. */
bool
img_to_cmyk(ImgPicture *picture)
{
	if (!img_lay_on(picture, IMG_WHITE))
		return false;
	for (int i = 0; i < picture->frames; i++)
	{
		VipsImage  *color;
		VipsImage  *image;
		int			failed;

		if (vips_colourspace(picture->frame[i], &color, VIPS_INTERPRETATION_sRGB, NULL))
			return img_fail_vips(picture, IMG_STAGE_OPERATION);
		failed = vips_icc_transform(color, &image, "cmyk", "input_profile", "srgb",
									"embedded", FALSE, "intent", VIPS_INTENT_RELATIVE, "depth", 8, NULL);
		g_object_unref(color);
		if (failed)
			return img_fail_vips(picture, IMG_STAGE_OPERATION);
		img_replace_frame(picture, i, image);
	}
	return true;
}
