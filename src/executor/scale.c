/*
 * scale.c
 *	  Makes a picture smaller or larger.
 *
 * Runs in imgapi-executor.
 */
#include "executor/pipeline.h"

/* Scales one image to exactly width × height. */
static VipsImage *
scaled(VipsImage *image, int width, int height)
{
	VipsImage  *result;

	if (vips_resize(image, &result, (double) width / image->Xsize,
					"vscale", (double) height / image->Ysize, NULL))
		return NULL;
	return result;
}

/* The same for an image with alpha: colours count as much as they show. */
static VipsImage *
scaled_with_alpha(VipsImage *image, int width, int height)
{
	VipsImage  *premultiplied;
	VipsImage  *small;
	VipsImage  *plain = NULL;
	VipsImage  *result = NULL;

	if (vips_premultiply(image, &premultiplied, NULL))
		return NULL;
	small = scaled(premultiplied, width, height);
	g_object_unref(premultiplied);
	if (small != NULL && vips_unpremultiply(small, &plain, NULL) == 0)
		vips_cast(plain, &result, image->BandFmt, NULL);
	g_clear_object(&small);
	g_clear_object(&plain);
	return result;
}

bool
img_scale(ImgPicture *picture, int width, int height)
{
	if (width == img_width(picture) && height == img_height(picture))
		return true;
	/* Colours are converted where there are fewer pixels. */
	if ((double) width * height > (double) img_width(picture) * img_height(picture) &&
		!img_to_srgb(picture))
		return false;
	if (picture->orientation > 4)
	{
		int			swap = width;

		width = height;
		height = swap;
	}
	for (int i = 0; i < picture->frames; i++)
	{
		VipsImage  *image = picture->frame[i];

		image = vips_image_hasalpha(image) ? scaled_with_alpha(image, width, height) :
			scaled(image, width, height);
		if (image == NULL)
			return img_fail_vips(picture, IMG_STAGE_OPERATION);
		img_replace_frame(picture, i, image);
	}
	return true;
}
