/*
 * resize.c
 *	  Any image to any size, by libvips.
 *
 * Runs in imgapi-executor.
 */
#include "executor/pipeline.h"

/* Makes it smaller only, where it has to be. */
static VipsImage *
reduced(VipsImage *image, int width, int height)
{
	VipsImage  *result;

	if (width >= image->Xsize && height >= image->Ysize)
		return g_object_ref(image);
	if (vips_resize(image, &result, MIN(1.0, (double) width / image->Xsize),
					"vscale", MIN(1.0, (double) height / image->Ysize), NULL))
		return NULL;
	return result;
}

/*
 * vips_resize() in libvips 8.14 moves what it enlarges by half a pixel, so
 * enlarging is done here: the middles of pixels meet.
 */
static VipsImage *
enlarged(VipsImage *image, int width, int height)
{
	VipsInterpolate *bicubic;
	VipsArrayInt *area;
	VipsImage  *result = NULL;

	if (width == image->Xsize && height == image->Ysize)
		return g_object_ref(image);
	bicubic = vips_interpolate_new("bicubic");
	area = vips_array_int_newv(4, 0, 0, width, height);
	if (vips_affine(image, &result, (double) width / image->Xsize, 0, 0, (double) height / image->Ysize,
					"interpolate", bicubic, "idx", 0.5, "idy", 0.5, "odx", -0.5, "ody", -0.5,
					"oarea", area, "extend", VIPS_EXTEND_COPY, NULL))
		result = NULL;
	vips_area_unref(VIPS_AREA(area));
	g_object_unref(bicubic);
	return result;
}

VipsImage *
img_resize(VipsImage *image, int width, int height)
{
	VipsImage  *smaller = reduced(image, width, height);
	VipsImage  *result = smaller ? enlarged(smaller, width, height) : NULL;

	g_clear_object(&smaller);
	return result;
}
