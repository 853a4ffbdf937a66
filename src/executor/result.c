/*
 * result.c
 *	  From frames to the bytes of a file.
 *
 * Runs in imgapi-executor.
 */
#include <string.h>

#include "executor/pipeline.h"

#define MM_PER_INCH		25.4
#define USUAL_DPI		72

/* Pixels per mm of the result: what was asked for, or as in the source. */
double
img_resolution(const ImgPicture *picture)
{
	double		dpi = picture->plan.metadata.value[IMG_METADATA_DPI];
	double		source = picture->frame[0]->Xres;

	if (dpi > 0)
		return dpi / MM_PER_INCH;
	/* libvips says 1 where a file says nothing */
	if (source <= 0 || source == 1.0)
		return USUAL_DPI / MM_PER_INCH;
	return source;
}

/* Delays and the number of loops go over to the result. */
static void
copy_timing(ImgPicture *picture, VipsImage *image)
{
	VipsImage  *animation = picture->animation;
	int			loop;
	int		   *delays;
	int			count;

	vips_image_set_int(image, VIPS_META_PAGE_HEIGHT, picture->frame[0]->Ysize);
	if (animation == NULL)
		return;
	if (vips_image_get_typeof(animation, "loop") && vips_image_get_int(animation, "loop", &loop) == 0)
		vips_image_set_int(image, "loop", loop);
	if (vips_image_get_typeof(animation, "delay") &&
		vips_image_get_array_int(animation, "delay", &delays, &count) == 0)
		vips_image_set_array_int(image, "delay", delays, count);
}

VipsImage *
img_join_frames(ImgPicture *picture)
{
	VipsImage  *joined;
	VipsImage  *image;

	if (picture->frames == 1)
		vips_copy(picture->frame[0], &image, "xres", img_resolution(picture), "yres", img_resolution(picture), NULL);
	else if (vips_arrayjoin(picture->frame, &joined, picture->frames, "across", 1, NULL) == 0)
	{
		vips_copy(joined, &image, NULL);
		g_object_unref(joined);
		copy_timing(picture, image);
	}
	else
	{
		img_fail_vips(picture, IMG_STAGE_OPERATION);
		return NULL;
	}
	if (picture->header != NULL)
		img_attach_exif(picture, image);
	return image;
}

bool
img_call_saver(ImgPicture *picture, void **data, size_t *length, ...)
{
	VipsImage  *image;
	VipsOperation *saver;
	VipsBlob   *blob = NULL;
	va_list		options;
	const char *first;

	if (!img_settle(picture) || (image = img_join_frames(picture)) == NULL)
		return false;
	saver = vips_operation_new(picture->output_format->saver);
	if (saver == NULL)
	{
		g_object_unref(image);
		vips_error_clear();
		return img_fail_picture(picture, IMG_UNSUPPORTED, IMG_STAGE_ENCODE,
								"this build of libvips cannot write %s", picture->output_format->name);
	}
	g_object_set(saver, "in", image, "strip", picture->header == NULL, NULL);
	va_start(options, length);
	first = va_arg(options, const char *);
	if (first != NULL)
		g_object_set_valist(G_OBJECT(saver), first, options);
	va_end(options);
	img_watch(picture, image);
	if (vips_cache_operation_buildp(&saver) == 0)
		g_object_get(saver, "buffer", &blob, NULL);
	vips_object_unref_outputs(VIPS_OBJECT(saver));
	g_object_unref(saver);
	g_object_unref(image);
	if (blob == NULL)
		return !img_stopped(picture) ? img_fail_vips(picture, IMG_STAGE_ENCODE) : false;
	*data = VIPS_AREA(blob)->data;
	*length = VIPS_AREA(blob)->length;
	VIPS_AREA(blob)->free_fn = NULL;
	vips_area_unref(VIPS_AREA(blob));
	return true;
}

/* The longest side that a format can hold. */
static int
longest_side(const char *format)
{
	if (strcmp(format, "webp") == 0)
		return 16383;
	if (strcmp(format, "jpeg") == 0 || strcmp(format, "gif") == 0)
		return 65535;
	if (strcmp(format, "avif") == 0)
		return 16384;
	return G_MAXINT;
}

static bool
check_side(ImgPicture *picture)
{
	const char *name = picture->output_format->name;
	int			side = MAX(img_width(picture), img_height(picture));

	if (side > picture->request->limits.output_side)
		return img_fail_picture(picture, IMG_LIMIT, IMG_STAGE_ENCODE,
								"the result is %d x %d, more than the %u pixels that a side may have",
								img_width(picture), img_height(picture), picture->request->limits.output_side);
	if (side > longest_side(name))
		return img_fail_picture(picture, IMG_LIMIT, IMG_STAGE_ENCODE,
								"the result is %d x %d, but %s holds at most %d pixels on either side",
								img_width(picture), img_height(picture), name, longest_side(name));
	return true;
}

static void
fill_facts(ImgPicture *picture)
{
	img_facts(&picture->result, picture->frame[0], img_format_index(picture->output_format->name));
	picture->result.pages = picture->frames;
}

bool
img_save(ImgPicture *picture, void **data, size_t *length)
{
	/* libvips takes more memory for rows that it has to keep, and may not bear it
	 * when there is none */
	if (!img_upright(picture) || (picture->by_libvips && !img_compute(picture)))
		return false;
	if (!picture->output_format->has_alpha && img_has_alpha(picture) && !img_lay_on(picture, IMG_WHITE))
		return false;
	if (picture->plan.metadata.value[IMG_METADATA_COLOR_SPACE] != 0)
	{
		if (strcmp(picture->output_format->name, "jpeg") != 0 && strcmp(picture->output_format->name, "tiff") != 0)
			return img_fail_picture(picture, IMG_UNSUPPORTED, IMG_STAGE_ENCODE,
									"%s has no CMYK; jpeg and tiff have", picture->output_format->name);
		if (!img_settle(picture) || !img_to_cmyk(picture))
			return false;
	}
	if (!check_side(picture))
		return false;
	fill_facts(picture);
	return picture->output_format->save(picture, &picture->output, data, length);
}
