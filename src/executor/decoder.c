/*
 * decoder.c
 *	  A picture that is read row by row, as an image of libvips.
 *
 * Runs in imgapi-executor.
 */
#include <string.h>

#include "executor/decoder.h"

static void
close_decoder(VipsImage *image, ImgDecoder *decoder)
{
	decoder->close(decoder);
}

/* How far the decoder of an image is. */
typedef struct Progress
{
	int			next;			/* row */
	unsigned char *line;		/* for rows of which not all is wanted */
} Progress;

/*
 * Rows for libvips or for scale.c.  Both ask from top to bottom, and skip what
 * has been cut off.
 */
static int
generate(VipsRegion *out, void *sequence, void *a, void *b, gboolean *stop)
{
	ImgDecoder *decoder = a;
	Progress   *progress = b;
	VipsRect   *r = &out->valid;
	bool		whole = r->width == decoder->width;

	if (r->top < progress->next)
	{
		vips_error("decoder", "rows are wanted out of order");
		return -1;
	}
	for (; progress->next < r->top + r->height; progress->next++)
	{
		bool		wanted = progress->next >= r->top;
		unsigned char *pixels = whole && wanted ? VIPS_REGION_ADDR(out, 0, progress->next) : progress->line;

		if (!decoder->row(decoder, pixels))
			return -1;
		if (wanted && !whole)
			memcpy(VIPS_REGION_ADDR(out, r->left, progress->next),
				   progress->line + (size_t) r->left * decoder->bands, (size_t) r->width * decoder->bands);
	}
	return 0;
}

VipsImage *
img_decoder_image(ImgDecoder *decoder, int shrink)
{
	VipsImage  *image;
	Progress   *progress;
	double		resolution = decoder->resolution > 0 ? decoder->resolution : 1.0;

	if (!decoder->start(decoder, shrink))
		return NULL;
	image = vips_image_new();
	progress = VIPS_NEW(image, Progress);
	progress->next = 0;
	progress->line = VIPS_ARRAY(image, (size_t) decoder->width * decoder->bands, unsigned char);
	vips_image_init_fields(image, decoder->width, decoder->height, decoder->bands,
						   VIPS_FORMAT_UCHAR, VIPS_CODING_NONE, decoder->color_space,
						   resolution, resolution);
	/* an sRGB profile says nothing new */
	if (decoder->profile != NULL && !img_profile_is_srgb(decoder->profile, decoder->profile_length))
		vips_image_set_blob_copy(image, VIPS_META_ICC_NAME, decoder->profile, decoder->profile_length);
	decoder->picture->decoder = NULL;
	g_signal_connect(image, "postclose", G_CALLBACK(close_decoder), decoder);
	if (vips_image_pipelinev(image, VIPS_DEMAND_STYLE_THINSTRIP, NULL) ||
		vips_image_generate(image, NULL, generate, NULL, decoder, progress))
	{
		img_fail_vips(decoder->picture, IMG_STAGE_DECODE);
		g_object_unref(image);
		return NULL;
	}
	return image;
}
