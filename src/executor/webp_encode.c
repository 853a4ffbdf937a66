/*
 * webp_encode.c
 *	  Writes still WebP from pixels in memory.
 *
 * Runs in imgapi-executor.
 */
#include <webp/encode.h>

#include "executor/encoder.h"

/* libwebp asks between its passes whether to go on. */
static int
go_on(int percent, const WebPPicture *webp)
{
	return !img_stopped(webp->user_data);
}

/* Grey has no place in WebP: each value three times. */
static VipsImage *
as_rgb(ImgPicture *picture, VipsImage *image)
{
	VipsImage  *color;
	VipsImage  *pixels;

	if (image->Bands > 2)
		return g_object_ref(image);
	if (vips_colourspace(image, &color, VIPS_INTERPRETATION_sRGB, NULL))
	{
		img_fail_vips(picture, IMG_STAGE_ENCODE);
		return NULL;
	}
	pixels = img_evaluate(picture, color);
	g_object_unref(color);
	return pixels;
}

static bool
import(WebPPicture *webp, VipsImage *image)
{
	const uint8_t *pixels = VIPS_IMAGE_ADDR(image, 0, 0);
	int			line = VIPS_IMAGE_SIZEOF_LINE(image);

	webp->width = image->Xsize;
	webp->height = image->Ysize;
	return image->Bands == 4 ? WebPPictureImportRGBA(webp, pixels, line) :
		WebPPictureImportRGB(webp, pixels, line);
}

static bool
encode(ImgPicture *picture, const WebPConfig *config, VipsImage *image, WebPMemoryWriter *writer)
{
	WebPPicture webp;
	bool		done;

	if (!WebPPictureInit(&webp))
		return img_fail_picture(picture, IMG_FAILURE, IMG_STAGE_ENCODE, "libwebp has another version");
	webp.use_argb = config->lossless;
	webp.writer = WebPMemoryWrite;
	webp.custom_ptr = writer;
	webp.progress_hook = go_on;
	webp.user_data = picture;
	done = import(&webp, image) && WebPEncode(config, &webp);
	if (!done && !img_stopped(picture))
	{
		if (webp.error_code == VP8_ENC_ERROR_OUT_OF_MEMORY ||
			webp.error_code == VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY)
			img_fail_memory(picture, VIPS_IMAGE_SIZEOF_IMAGE(image));
		else
			img_fail_picture(picture, IMG_FAILURE, IMG_STAGE_ENCODE,
							 "the result cannot be written as webp: error %d", webp.error_code);
	}
	WebPPictureFree(&webp);
	return done;
}

bool
img_webp_encode(ImgPicture *picture, VipsImage *image, int quality, bool lossless,
				void **data, size_t *length)
{
	WebPConfig	config;
	WebPMemoryWriter writer;
	bool		done;

	if (!WebPConfigPreset(&config, WEBP_PRESET_DEFAULT, quality))
		return img_fail_picture(picture, IMG_FAILURE, IMG_STAGE_ENCODE, "libwebp has another version");
	config.lossless = lossless;
	image = as_rgb(picture, image);
	if (image == NULL)
		return false;
	WebPMemoryWriterInit(&writer);
	done = encode(picture, &config, image, &writer);
	g_object_unref(image);
	if (!done)
	{
		WebPMemoryWriterClear(&writer);
		return false;
	}
	*data = writer.mem;
	*length = writer.size;
	return true;
}
