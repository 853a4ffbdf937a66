/*
 * evaluate.c
 *	  Computes pixels, and stops when the time is over.
 *
 * Runs in imgapi-executor.  libvips would hand the strips of a picture to a
 * pool of threads.  An executor is one of several processes that share the
 * processors, so threads only cost it: strips are computed here, one after the
 * other, in the calling thread.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "executor/memory.h"
#include "executor/pipeline.h"

#define STRIP_BYTES		(256 * 1024)
#define STRIP_LINES		16
#define LOOK_INTERVAL	(20 * 1000) /* µs between looks at the client */

/* True when the client has closed its end: nobody waits for the result. */
static bool
client_gone(ImgPicture *picture, gint64 now)
{
	struct pollfd client = {.fd = picture->client, .events = POLLRDHUP};

	if (picture->client < 0 || now < picture->next_look)
		return false;
	picture->next_look = now + LOOK_INTERVAL;
	return poll(&client, 1, 0) > 0 && (client.revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0;
}

bool
img_stopped(ImgPicture *picture)
{
	gint64		now;

	if (picture->outcome != IMG_DONE)
		return true;
	if (picture->deadline == 0 && picture->client < 0)
		return false;
	now = g_get_monotonic_time();
	if (picture->deadline != 0 && now > picture->deadline)
		return !img_fail_picture(picture, IMG_TIMEOUT, IMG_STAGE_OPERATION,
								 "the picture took longer than the %u ms that are allowed",
								 picture->request->limits.milliseconds);
	if (client_gone(picture, now))
		return !img_fail_picture(picture, IMG_FAILURE, IMG_STAGE_OPERATION, "the client has gone");
	return false;
}

static void
progress(VipsImage *image, VipsProgress *unused, ImgPicture *picture)
{
	if (img_stopped(picture))
		vips_image_set_kill(image, TRUE);
}

void
img_watch(ImgPicture *picture, VipsImage *image)
{
	if (picture->deadline == 0 && picture->client < 0)
		return;
	vips_image_set_progress(image, TRUE);
	g_signal_connect(image, "eval", G_CALLBACK(progress), picture);
}

static void
free_pixels(VipsImage *image, void *pixels)
{
	img_free_pixels(pixels);
}

/* Lines that are computed at a time. */
static int
strip_lines(VipsImage *image)
{
	if (VIPS_IMAGE_SIZEOF_IMAGE(image) <= STRIP_BYTES)
		return image->Ysize;
	return STRIP_LINES;
}

/* Computes an image into one that lies in memory. */
static bool
compute(ImgPicture *picture, VipsImage *image, VipsImage *result)
{
	VipsRegion *from = vips_region_new(image);
	VipsRegion *to = vips_region_new(result);
	int			lines = strip_lines(image);
	bool		done = vips_region_image(to, &(VipsRect) {0, 0, result->Xsize, result->Ysize}) == 0;

	for (int y = 0; y < image->Ysize && done; y += lines)
	{
		VipsRect	strip = {0, y, image->Xsize, MIN(lines, image->Ysize - y)};

		done = !img_stopped(picture) && vips_region_prepare_to(from, to, &strip, 0, y) == 0;
	}
	if (!done && !img_stopped(picture))
		img_fail_vips(picture, IMG_STAGE_DECODE);
	g_object_unref(from);
	g_object_unref(to);
	return done;
}

/*
 * A profile goes along until the colours have been converted; other metadata
 * stay behind.  Whoever needs some takes them from the image that was loaded.
 */
VipsImage *
img_wrap(ImgPicture *picture, void *pixels, int width, int height, int bands,
		 VipsBandFormat format, VipsInterpretation space, VipsImage *like)
{
	size_t		size = vips_format_sizeof(format) * bands * width * height;
	VipsImage  *image = vips_image_new_from_memory(pixels, size, width, height, bands, format);
	const void *profile;
	size_t		length;

	if (image == NULL)
	{
		img_free_pixels(pixels);
		img_fail_vips(picture, IMG_STAGE_OPERATION);
		return NULL;
	}
	g_signal_connect(image, "postclose", G_CALLBACK(free_pixels), pixels);
	image->Type = space;
	image->Xres = like->Xres;
	image->Yres = like->Yres;
	if (!picture->srgb && vips_image_get_typeof(like, VIPS_META_ICC_NAME) != 0 &&
		vips_image_get_blob(like, VIPS_META_ICC_NAME, &profile, &length) == 0)
		vips_image_set_blob_copy(image, VIPS_META_ICC_NAME, profile, length);
	return image;
}

VipsImage *
img_evaluate(ImgPicture *picture, VipsImage *image)
{
	size_t		size = VIPS_IMAGE_SIZEOF_IMAGE(image);
	void	   *pixels;
	VipsImage  *result;

	if (image->dtype == VIPS_IMAGE_SETBUF_FOREIGN)
		return g_object_ref(image); /* lies in memory */
	pixels = img_allocate_pixels(size);
	if (pixels == NULL)
	{
		img_fail_memory(picture, size);
		return NULL;
	}
	result = img_wrap(picture, pixels, image->Xsize, image->Ysize, image->Bands, image->BandFmt, image->Type, image);
	if (result != NULL && !compute(picture, image, result))
		g_clear_object(&result);
	return result;
}
