/*
 * webp_encode.c
 *	  Writes still WebP, and tidies animations.
 *
 * Runs in imgapi-executor.
 */
#include <string.h>

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
	VipsImage  *pixels = img_evaluate(picture, image);
	VipsImage  *color = NULL;

	if (pixels == NULL || image->Bands > 2)
		return pixels;
	if (vips_colourspace(pixels, &color, VIPS_INTERPRETATION_sRGB, NULL))
		img_fail_vips(picture, IMG_STAGE_ENCODE);
	g_object_unref(pixels);
	pixels = color ? img_evaluate(picture, color) : NULL;
	g_clear_object(&color);
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

static uint32_t
little_endian(const unsigned char *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t) p[3] << 24;
}

/*
 * libvips 8.14 gives every animation an EXIF block, even when told to leave
 * metadata out.  Takes it out again: the file gets shorter, and the flag in
 * its header is cleared.
 */
void
img_webp_drop_exif(unsigned char *data, size_t *length)
{
	const uint8_t exif_flag = 0x08;
	size_t		at = 12;

	while (*length >= 8 && at <= *length - 8)
	{
		size_t		size = 8 + (((size_t) little_endian(data + at + 4) + 1) & ~(size_t) 1);

		if (size > *length - at)
			break;
		if (memcmp(data + at, "VP8X", 4) == 0)
			data[at + 8] &= ~exif_flag;
		if (memcmp(data + at, "EXIF", 4) == 0)
		{
			memmove(data + at, data + at + size, *length - at - size);
			*length -= size;
		}
		else
			at += size;
	}
	for (int i = 0; i < 4; i++)
		data[4 + i] = (*length - 8) >> 8 * i & 0xff;
}
