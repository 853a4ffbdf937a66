/*
 * keep_exif.c
 *	  The EXIF block of the source in the result, where a plan asks for it.
 *
 * Runs in imgapi-executor.  libvips reads and writes EXIF: what it found in the
 * header of the source is attached to what is written, with the orientation
 * that the pixels have now and without the thumbnail of the old picture.
 */
#include <string.h>

#include "executor/pipeline.h"

/* Only these are read with the orientation of their EXIF by everyone. */
static bool
has_exif(const ImgFormat *format)
{
	return strcmp(format->name, "jpeg") == 0 || strcmp(format->name, "png") == 0 ||
		strcmp(format->name, "webp") == 0;
}

bool
img_keeps_exif(const ImgPicture *picture)
{
	return (picture->plan.flags & IMG_PLAN_KEEP_EXIF) != 0 && has_exif(picture->output_format) &&
		has_exif(picture->source_format);
}

bool
img_keep_exif(ImgPicture *picture)
{
	if (!img_keeps_exif(picture))
		return true;
	picture->header = img_header(picture);
	if (picture->header == NULL)
		return false;
	if (vips_image_get_typeof(picture->header, VIPS_META_EXIF_NAME) == 0)
		g_clear_object(&picture->header);
	else if ((picture->plan.flags & IMG_PLAN_AS_STORED) != 0)
		picture->orientation = 1;
	return true;
}

static void *
copy_field(VipsImage *header, const char *name, GValue *value, void *image)
{
	if (strncmp(name, "exif-", 5) == 0)
		vips_image_set(image, name, value);
	return NULL;
}

void
img_attach_exif(const ImgPicture *picture, VipsImage *image)
{
	bool		as_stored = (picture->plan.flags & IMG_PLAN_AS_STORED) != 0;

	vips_image_map(picture->header, copy_field, image);
	vips_image_set_int(image, VIPS_META_ORIENTATION, as_stored ? picture->source.orientation : 1);
}
