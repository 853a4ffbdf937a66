/*
 * decoder.c
 *	  A picture that is read row by row, as an image of libvips.
 *
 * Runs in imgapi-executor.
 */
#include "executor/decoder.h"

static void
close_decoder(VipsImage *image, ImgDecoder *decoder)
{
	decoder->close(decoder);
}

/*
 * Rows for libvips or for scale.c.  Both ask from top to bottom, and skip what
 * has been cut off.
 */
static int
generate(VipsRegion *out, void *sequence, void *a, void *b, gboolean *stop)
{
	ImgDecoder *decoder = a;
	int		   *next = b;
	VipsRect   *r = &out->valid;

	if (r->left != 0 || r->width != decoder->width || r->top < *next)
	{
		vips_error("decoder", "rows are wanted out of order");
		return -1;
	}
	while (*next < r->top + r->height)
	{
		/* rows that are not wanted go where the first wanted one will lie */
		if (!decoder->row(decoder, VIPS_REGION_ADDR(out, 0, MAX(*next, r->top))))
			return -1;
		(*next)++;
	}
	return 0;
}

VipsImage *
img_decoder_image(ImgDecoder *decoder, int shrink)
{
	VipsImage  *image;
	int		   *next;
	double		resolution = decoder->resolution > 0 ? decoder->resolution : 1.0;

	if (!decoder->start(decoder, shrink))
		return NULL;
	image = vips_image_new();
	next = VIPS_NEW(image, int);
	*next = 0;
	vips_image_init_fields(image, decoder->width, decoder->height, decoder->bands,
						   VIPS_FORMAT_UCHAR, VIPS_CODING_NONE, decoder->color_space,
						   resolution, resolution);
	/* an sRGB profile says nothing new */
	if (decoder->profile != NULL && !img_profile_is_srgb(decoder->profile, decoder->profile_length))
		vips_image_set_blob_copy(image, VIPS_META_ICC_NAME, decoder->profile, decoder->profile_length);
	decoder->picture->decoder = NULL;
	g_signal_connect(image, "postclose", G_CALLBACK(close_decoder), decoder);
	if (vips_image_pipelinev(image, VIPS_DEMAND_STYLE_THINSTRIP, NULL) ||
		vips_image_generate(image, NULL, generate, NULL, decoder, next))
	{
		img_fail_vips(decoder->picture, IMG_STAGE_DECODE);
		g_object_unref(image);
		return NULL;
	}
	return image;
}
