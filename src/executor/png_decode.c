/*
 * png_decode.c
 *	  Reads PNG.  16 bit are rounded to the 8 that results have.
 *
 * Runs in imgapi-executor.
 */
#include <setjmp.h>
#include <string.h>

#include <png.h>

#include "executor/decoder.h"

/* Chunks that unpack to more than this, such as texts, are not read. */
#define MAX_CHUNK	(8 * 1024 * 1024)

#define PNG_SIGNATURE	8		/* bytes before the first chunk */
#define PNG_CHUNK		12		/* of a chunk without what is in it */

typedef struct PngDecoder
{
	ImgDecoder	base;
	png_structp png;
	png_infop	info;
	const unsigned char *next;
	size_t		left;
	bool		in_pixels;
	unsigned char *interlaced;	/* all pixels of an interlaced picture */
	int			next_row;
} PngDecoder;

static void
give_up(png_structp png, png_const_charp text)
{
	PngDecoder *d = png_get_error_ptr(png);

	img_fail_picture(d->base.picture, IMG_BAD_PICTURE, d->in_pixels ? IMG_STAGE_DECODE : IMG_STAGE_HEADER,
					 "the picture cannot be read as png: %s", text);
	png_longjmp(png, 1);
}

static void
say_nothing(png_structp png, png_const_charp text)
{
}

static void
read_data(png_structp png, png_bytep data, size_t length)
{
	PngDecoder *d = png_get_io_ptr(png);

	if (length > d->left)
		png_error(png, "the file ends too early");
	memcpy(data, d->next, length);
	d->next += length;
	d->left -= length;
}

static void
close_png(ImgDecoder *decoder)
{
	PngDecoder *d = (PngDecoder *) decoder;

	png_destroy_read_struct(&d->png, &d->info, NULL);
	g_free(d->interlaced);
	g_free(d);
}

static bool
start(ImgDecoder *decoder, int shrink)
{
	return true;
}

/* An interlaced picture is complete only after its last pass. */
static bool
read_passes(PngDecoder *d)
{
	size_t		line = (size_t) d->base.width * d->base.bands;
	int			passes = png_set_interlace_handling(d->png);

	d->interlaced = g_try_malloc(line * d->base.height);
	if (d->interlaced == NULL)
		return img_fail_memory(d->base.picture, line * d->base.height);
	for (int pass = 0; pass < passes; pass++)
		for (int y = 0; y < d->base.height; y++)
		{
			if (y % 64 == 0 && img_stopped(d->base.picture))
				return false;
			png_read_row(d->png, d->interlaced + y * line, NULL);
		}
	return true;
}

static bool
read_row(ImgDecoder *decoder, unsigned char *pixels)
{
	PngDecoder *d = (PngDecoder *) decoder;
	size_t		line = (size_t) decoder->width * decoder->bands;

	if (setjmp(png_jmpbuf(d->png)))
		return false;
	if (png_get_interlace_type(d->png, d->info) == PNG_INTERLACE_NONE)
		png_read_row(d->png, pixels, NULL);
	else
	{
		if (d->interlaced == NULL && !read_passes(d))
			return false;
		memcpy(pixels, d->interlaced + d->next_row++ * line, line);
	}
	return true;
}

static bool
read_end(ImgDecoder *decoder)
{
	PngDecoder *d = (PngDecoder *) decoder;

	if (setjmp(png_jmpbuf(d->png)))
		return false;
	png_read_end(d->png, NULL);
	return true;
}

/* Whether there is nothing in the file but pixels, what they mean, and how
 * large they are to be: no texts, no EXIF, no second picture, no bytes behind
 * the end.  libpng has looked at what is in the chunks. */
static bool
is_bare(const unsigned char *data, size_t length)
{
	static const char *const bare[] = {"IHDR", "PLTE", "tRNS", "sRGB", "pHYs", "IDAT", "IEND"};
	size_t		at = PNG_SIGNATURE;

	while (length - at >= PNG_CHUNK)
	{
		size_t		chunk = png_get_uint_32(data + at);
		bool		known = false;

		for (size_t i = 0; i < G_N_ELEMENTS(bare); i++)
			known = known || memcmp(data + at + 4, bare[i], 4) == 0;
		if (!known || chunk > length - at - PNG_CHUNK)
			return false;
		if (memcmp(data + at + 4, "IEND", 4) == 0)
			return at + PNG_CHUNK + chunk == length;
		at += PNG_CHUNK + chunk;
	}
	return false;
}

/* Whatever the depth, and with or without a palette: 8 bit for each band. */
static bool
take_header(PngDecoder *d)
{
	ImgDecoder *decoder = &d->base;
	int			color = png_get_color_type(d->png, d->info);
	int			bits = png_get_bit_depth(d->png, d->info);

	decoder->width = png_get_image_width(d->png, d->info);
	decoder->height = png_get_image_height(d->png, d->info);
	if (color == PNG_COLOR_TYPE_PALETTE)
		png_set_palette_to_rgb(d->png);
	else if (bits < 8)
		png_set_expand_gray_1_2_4_to_8(d->png);
	if (png_get_valid(d->png, d->info, PNG_INFO_tRNS))
		png_set_tRNS_to_alpha(d->png);
	if (bits == 16)
		png_set_scale_16(d->png);
	png_set_interlace_handling(d->png);
	png_read_update_info(d->png, d->info);
	decoder->bands = png_get_channels(d->png, d->info);
	decoder->color_space = decoder->bands < 3 ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB;
	if (bits == 16)
		decoder->stored = decoder->bands < 3 ? VIPS_INTERPRETATION_GREY16 : VIPS_INTERPRETATION_RGB16;
	decoder->bare = bits <= 8 && is_bare(decoder->picture->data, decoder->picture->length);
	d->in_pixels = true;
	return png_get_rowbytes(d->png, d->info) == (size_t) decoder->width * decoder->bands;
}

static void
take_extras(PngDecoder *d)
{
	ImgDecoder *decoder = &d->base;
	png_charp	name;
	int			method;
	png_bytep	profile;
	png_uint_32 length;
	png_uint_32 dots = png_get_x_pixels_per_meter(d->png, d->info);

	decoder->resolution = dots / 1000.0;
	if (png_get_iCCP(d->png, d->info, &name, &method, &profile, &length))
	{
		decoder->profile = profile;
		decoder->profile_length = length;
	}
#ifdef PNG_eXIf_SUPPORTED
	{
		png_bytep	exif;

		if (png_get_eXIf_1(d->png, d->info, &length, &exif))
		{
			decoder->exif = exif;
			decoder->exif_length = length;
		}
	}
#endif
}

/* Texts are of no use here, and unpack to any size. */
static void
set_limits(PngDecoder *d)
{
	static const png_byte ignored[] = "tEXt\0zTXt\0iTXt\0sPLT\0hIST\0tIME";

	png_set_user_limits(d->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
	png_set_chunk_malloc_max(d->png, MAX_CHUNK);
	png_set_keep_unknown_chunks(d->png, PNG_HANDLE_CHUNK_NEVER, ignored, sizeof(ignored) / 5);
}

ImgDecoder *
img_png_decoder(ImgPicture *picture)
{
	PngDecoder *d = g_new0(PngDecoder, 1);
	volatile bool mine = false;

	d->base.picture = picture;
	d->base.start = start;
	d->base.row = read_row;
	d->base.end = read_end;
	d->base.close = close_png;
	d->next = picture->data;
	d->left = picture->length;
	d->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, d, give_up, say_nothing);
	d->info = d->png ? png_create_info_struct(d->png) : NULL;
	if (d->info != NULL && setjmp(png_jmpbuf(d->png)) == 0)
	{
		set_limits(d);
		png_set_read_fn(d->png, d, read_data);
		png_read_info(d->png, d->info);
		mine = take_header(d);
		take_extras(d);
	}
	if (mine)
		return &d->base;
	close_png(&d->base);
	return NULL;
}
