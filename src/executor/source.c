/*
 * source.c
 *	  From the bytes of a file to frames that can be computed.
 *
 * Runs in imgapi-executor.  The header is read and judged first; nothing is
 * decoded before the limits have been checked.
 */
#include <inttypes.h>
#include <string.h>

#include "executor/decoder.h"

/* What loaders are asked for besides the file. */
typedef struct LoadOptions
{
	int			page;			/* first page */
	int			pages;			/* -1: all */
} LoadOptions;

/*
 * Damaged files are refused: half a picture is not a picture.  Decoders warn of
 * much that does no harm, such as stray bytes between markers, so warnings
 * pass.
 */
static VipsImage *
call_loader(ImgPicture *picture, const LoadOptions *options)
{
	const ImgFormat *format = picture->source_format;
	VipsBlob   *blob = vips_blob_new(NULL, picture->data, picture->length);
	VipsOperation *loader = vips_operation_new(format->loader);
	VipsImage  *image = NULL;

	if (loader == NULL)
	{
		vips_area_unref(VIPS_AREA(blob));
		img_fail_picture(picture, IMG_UNSUPPORTED, IMG_STAGE_HEADER,
						 "this build of libvips cannot read %s", format->name);
		vips_error_clear();
		return NULL;
	}
	g_object_set(loader, "buffer", blob, "access", VIPS_ACCESS_SEQUENTIAL,
				 "fail_on", VIPS_FAIL_ON_ERROR, NULL);
	if (options->page > 0)
		g_object_set(loader, "page", options->page, NULL);
	if (options->pages != 1)
		g_object_set(loader, "n", options->pages, NULL);
	vips_area_unref(VIPS_AREA(blob));
	if (vips_cache_operation_buildp(&loader) == 0)
		g_object_get(loader, "out", &image, NULL);
	vips_object_unref_outputs(VIPS_OBJECT(loader));
	g_object_unref(loader);
	if (image == NULL)
		img_fail_vips(picture, IMG_STAGE_HEADER);
	return image;
}

static void
set_frame(ImgPicture *picture, VipsImage *image)
{
	picture->frame = g_new(VipsImage *, 1);
	picture->frame[0] = image;
	picture->frames = 1;
}

static bool
sniff(ImgPicture *picture)
{
	const char *looks_like;
	int			format;

	if (picture->length == 0)
		return img_fail_picture(picture, IMG_BAD_PICTURE, IMG_STAGE_HEADER, "the picture is empty");
	format = img_sniff(picture->data, picture->length, &looks_like);
	if (format < 0 && looks_like == NULL)
		return img_fail_picture(picture, IMG_BAD_PICTURE, IMG_STAGE_HEADER,
								"the picture is in no format that is known here");
	if (format >= 0)
		looks_like = img_formats[format]->name;
	if (format < 0 || !(picture->request->limits.formats & (UINT32_C(1) << format)))
		return img_fail_picture(picture, IMG_UNSUPPORTED, IMG_STAGE_HEADER,
								"the picture is %s, which is not among the formats that may be read",
								looks_like);
	picture->source_format = img_formats[format];
	return true;
}

/*
 * Refuses what is too large.  Frames count only if all of them will be used.
 */
static bool
check_limits(ImgPicture *picture, int frames)
{
	const ImgLimits *limits = &picture->request->limits;
	const ImgFacts *facts = &picture->source;
	uint64_t	pixels = (uint64_t) facts->width * facts->height * frames;

	if (frames > limits->frames)
		return img_fail_picture(picture, IMG_LIMIT, IMG_STAGE_HEADER,
								"the picture has %d frames, more than the %u that are allowed",
								frames, limits->frames);
	if (pixels > limits->source_pixels)
		return img_fail_picture(picture, IMG_LIMIT, IMG_STAGE_HEADER,
								"the picture has %" PRIu64 " pixels (%u x %u in %d frame%s), more than the %" PRIu64 " that are allowed",
								pixels, facts->width, facts->height, frames, frames == 1 ? "" : "s",
								limits->source_pixels);
	return true;
}

/* Which page of a HEIF file is the picture. */
static int
primary_page(VipsImage *image)
{
	int			page;

	if (!vips_image_get_typeof(image, "heif-primary") ||
		vips_image_get_int(image, "heif-primary", &page))
		return 0;
	return page;
}

/* Whether all frames go into the result. */
static bool
stays_animated(const ImgPicture *picture)
{
	return picture->source_format->can_animate && picture->output_format != NULL &&
		picture->output_format->can_animate && picture->source.pages > 1 &&
		(picture->plan.flags & IMG_PLAN_FIRST_FRAME) == 0;
}

/* The header, by libvips: an image that becomes frame[0]. */
static bool
open_by_libvips(ImgPicture *picture)
{
	LoadOptions options = {0, 1};
	VipsImage  *image = call_loader(picture, &options);

	if (image == NULL)
		return false;
	options.page = primary_page(image);
	if (options.page > 0)
	{
		g_object_unref(image);
		image = call_loader(picture, &options);
		if (image == NULL)
			return false;
	}
	set_frame(picture, image);
	picture->by_libvips = true;
	img_facts(&picture->source, image, img_format_index(picture->source_format->name));
	if (strcmp(picture->source_format->name, "tiff") == 0)
		img_facts_tiff(&picture->source, picture->data, picture->length);
	picture->orientation = img_orientation(image);
	return true;
}

/*
 * Reads the header: fills in source_format, source, and the decoder or
 * frame[0], of which img_load() makes what the plan needs.
 */
bool
img_open(ImgPicture *picture)
{
	if (!sniff(picture))
		return false;
	if (picture->source_format->decoder != NULL)
		picture->decoder = picture->source_format->decoder(picture);
	if (picture->outcome != IMG_DONE)
		return false;
	if (picture->decoder != NULL)
	{
		img_facts_decoder(&picture->source, picture->decoder, img_format_index(picture->source_format->name));
		picture->orientation = picture->source.orientation;
	}
	else if (!open_by_libvips(picture))
		return false;
	return check_limits(picture, 1);
}

/*
 * What the resizing step is going to scale, and to which size.  False if there
 * is none, or if a step before it needs every pixel: only those that turn by
 * right angles or mirror do not.
 */
static bool
find_resizing(const ImgPicture *picture, int *width, int *height,
			  int *wanted_width, int *wanted_height)
{
	const ImgPlan *plan = &picture->plan;

	for (int i = 0; i < plan->steps; i++)
	{
		const ImgStep *step = &plan->step[i];
		const char *key = img_operations[step->operation]->key;

		if (img_operations[step->operation]->run == NULL)
			continue;
		if (strcmp(key, "resizing") == 0)
		{
			img_resizing_scale(step, *width, *height, wanted_width, wanted_height);
			return true;
		}
		if (strcmp(key, "rotate") == 0 && img_rotate_quarters(step) >= 0)
		{
			if (img_rotate_quarters(step) % 2 == 1)
			{
				int			side = *width;

				*width = *height;
				*height = side;
			}
		}
		else if (strcmp(key, "flip") != 0)
			return false;
	}
	return false;
}

/*
 * The largest of the JPEG decoder's own scales that still leaves no fewer
 * pixels than the first step wants.
 */
static int
jpeg_shrink(const ImgPicture *picture)
{
	bool		lies = picture->source.orientation > 4 && picture->orientation <= 4;
	int			width = lies ? picture->source.height : picture->source.width;
	int			height = lies ? picture->source.width : picture->source.height;
	int			wanted_width = width;
	int			wanted_height = height;
	int			shrink = 1;

	if (picture->wanted_width > 0)
	{
		wanted_width = picture->wanted_width;
		wanted_height = picture->wanted_height;
	}
	else if (!find_resizing(picture, &width, &height, &wanted_width, &wanted_height))
		return 1;
	while (shrink < 8 && width / (shrink * 2) >= wanted_width && height / (shrink * 2) >= wanted_height)
		shrink *= 2;
	return shrink;
}

/*
 * Takes an animation apart into its frames.  libvips hands them out as one
 * image, one below the other.
 */
static bool
load_animation(ImgPicture *picture)
{
	LoadOptions options = {0, -1};
	VipsImage  *column;
	VipsImage  *pixels;
	int			height;

	if (!check_limits(picture, picture->source.pages))
		return false;
	column = call_loader(picture, &options);
	if (column == NULL)
		return false;
	img_replace_frame(picture, 0, column);
	height = vips_image_get_page_height(column);
	img_watch(picture, column);
	pixels = img_evaluate(picture, column);
	if (pixels == NULL)
		return false;
	g_free(picture->frame);
	picture->animation = column;
	picture->frames = column->Ysize / height;
	picture->frame = g_new0(VipsImage *, picture->frames);
	for (int i = 0; i < picture->frames; i++)
		if (vips_crop(pixels, &picture->frame[i], 0, i * height, column->Xsize, height, NULL))
			picture->frames = i;
	g_object_unref(pixels);
	return picture->frames > 0 || img_fail_vips(picture, IMG_STAGE_DECODE);
}

static bool
load_by_decoder(ImgPicture *picture)
{
	int			shrink = strcmp(picture->source_format->name, "jpeg") == 0 ? jpeg_shrink(picture) : 1;
	int			width = picture->decoder->width;
	int			height = picture->decoder->height;
	VipsImage  *image = img_decoder_image(picture->decoder, shrink);

	if (image == NULL)
		return false;
	set_frame(picture, image);
	picture->shrink = shrink;
	picture->full_width = width;
	picture->full_height = height;
	return true;
}

VipsImage *
img_header(ImgPicture *picture)
{
	LoadOptions options = {0, 1};

	return call_loader(picture, &options);
}

/*
 * Frames that can be computed, at the smallest size that serves the plan.
 */
bool
img_load(ImgPicture *picture)
{
	if (picture->output_format != NULL && !img_keep_exif(picture))
		return false;
	if (picture->decoder != NULL)
		return load_by_decoder(picture);
	if (stays_animated(picture))
		return load_animation(picture);
	if (picture->source.pages > 1 && (picture->plan.flags & IMG_PLAN_FIRST_FRAME) == 0)
		picture->warnings |= IMG_WARNING_FIRST_FRAME;
	img_watch(picture, picture->frame[0]);
	return true;
}
