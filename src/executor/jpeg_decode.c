/*
 * jpeg_decode.c
 *	  Reads JPEG: grey, colour and CMYK.
 *
 * Runs in imgapi-executor.
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "executor/decoder.h"
#include "executor/jpeg_memory.h"

/* libvips renames a member of libjpeg's error manager by a macro. */
#undef error_exit

#define EXIF_MARKER		(JPEG_APP0 + 1)
#define ICC_MARKER		(JPEG_APP0 + 2)
#define MAX_MARKER		0xffff
#define MM_PER_INCH		25.4

typedef struct JpegDecoder
{
	ImgDecoder	base;
	struct jpeg_decompress_struct jpeg;
	struct jpeg_error_mgr errors;
	struct jpeg_source_mgr source;
	struct jpeg_progress_mgr progress;
	jmp_buf		failed;
	JOCTET	   *profile;
	bool		started;
	bool		invert;			/* CMYK as Adobe writes it: 255 is no ink */
} JpegDecoder;

/* libjpeg's way out of any depth. */
static void
give_up(j_common_ptr jpeg)
{
	JpegDecoder *d = jpeg->client_data;
	char		text[JMSG_LENGTH_MAX];

	if (jpeg->err->msg_code == JERR_OUT_OF_MEMORY)
		img_fail_memory(d->base.picture, (size_t) d->jpeg.image_width * d->jpeg.image_height * d->jpeg.num_components);
	jpeg->err->format_message(jpeg, text);
	img_fail_picture(d->base.picture, IMG_BAD_PICTURE,
					 d->started ? IMG_STAGE_DECODE : IMG_STAGE_HEADER,
					 "the picture cannot be read as jpeg: %s", text);
	longjmp(d->failed, 1);
}

static void
say_nothing(j_common_ptr jpeg)
{
}

static void
too_short(JpegDecoder *d)
{
	img_fail_picture(d->base.picture, IMG_BAD_PICTURE, IMG_STAGE_DECODE,
					 "the picture cannot be read as jpeg: the file ends too early");
	longjmp(d->failed, 1);
}

/*
 * Warnings do not stop, for cameras write odd files, but for the one that part
 * of the picture is missing.
 */
static void
judge_message(j_common_ptr jpeg, int level)
{
	if (level < 0 && jpeg->err->msg_code == JWRN_HIT_MARKER)
		too_short(jpeg->client_data);
}

static void
do_nothing(j_decompress_ptr jpeg)
{
}

/*
 * The file is over.  Decoders look ahead, so the picture may still be complete
 * with nothing but the end marker missing, unless there were scans to come.
 */
static boolean
end_of_data(j_decompress_ptr jpeg)
{
	static const JOCTET end_marker[] = {0xff, JPEG_EOI};
	JpegDecoder *d = jpeg->client_data;

	if (!d->started || jpeg_has_multiple_scans(jpeg))
		too_short(d);
	jpeg->src->next_input_byte = end_marker;
	jpeg->src->bytes_in_buffer = sizeof(end_marker);
	return TRUE;
}

static void
skip_data(j_decompress_ptr jpeg, long count)
{
	struct jpeg_source_mgr *source = jpeg->src;

	if (count <= 0)
		return;
	if ((size_t) count > source->bytes_in_buffer)
		too_short(jpeg->client_data);
	source->next_input_byte += count;
	source->bytes_in_buffer -= count;
}

/* Called for each part of each scan: a file may have thousands of scans. */
static void
check_time(j_common_ptr jpeg)
{
	JpegDecoder *d = jpeg->client_data;

	if (img_stopped(d->base.picture))
		longjmp(d->failed, 1);
}

static void
close_jpeg(ImgDecoder *decoder)
{
	JpegDecoder *d = (JpegDecoder *) decoder;

	jpeg_destroy_decompress(&d->jpeg);
	img_jpeg_free_memory((j_common_ptr) &d->jpeg);
	free(d->profile);
	g_free(d);
}

static bool
start(ImgDecoder *decoder, int shrink)
{
	JpegDecoder *d = (JpegDecoder *) decoder;

	if (setjmp(d->failed))
		return false;
	d->jpeg.scale_num = 1;
	d->jpeg.scale_denom = shrink;
	jpeg_calc_output_dimensions(&d->jpeg);
	decoder->width = d->jpeg.output_width;
	decoder->height = d->jpeg.output_height;
	return true;
}

static bool
read_row(ImgDecoder *decoder, unsigned char *pixels)
{
	JpegDecoder *d = (JpegDecoder *) decoder;
	JSAMPROW	row = pixels;

	if (setjmp(d->failed))
		return false;
	/* with the first row: a progressive file is decoded as a whole here */
	if (!d->started)
	{
		d->started = true;
		jpeg_start_decompress(&d->jpeg);
	}
	jpeg_read_scanlines(&d->jpeg, &row, 1);
	if (d->invert)
		for (int i = 0; i < decoder->width * decoder->bands; i++)
			pixels[i] = 255 - pixels[i];
	return true;
}

static double
resolution(const struct jpeg_decompress_struct *jpeg)
{
	if (!jpeg->saw_JFIF_marker || jpeg->X_density <= 1)
		return 0;
	switch (jpeg->density_unit)
	{
		case 1:
			return jpeg->X_density / MM_PER_INCH;
		case 2:
			return jpeg->X_density / 10.0;
		default:
			return 0;
	}
}

static bool
choose_color_space(JpegDecoder *d)
{
	switch (d->jpeg.num_components)
	{
		case 1:
			d->jpeg.out_color_space = JCS_GRAYSCALE;
			d->base.color_space = VIPS_INTERPRETATION_B_W;
			return true;
		case 3:
			d->jpeg.out_color_space = JCS_RGB;
			d->base.color_space = VIPS_INTERPRETATION_sRGB;
			return true;
		case 4:
			d->jpeg.out_color_space = JCS_CMYK;
			d->base.color_space = VIPS_INTERPRETATION_CMYK;
			d->invert = d->jpeg.saw_Adobe_marker;
			return true;
		default:
			return false;
	}
}

/* Keeps what the header says, if this is a kind that is read here. */
static bool
take_header(JpegDecoder *d)
{
	ImgDecoder *decoder = &d->base;
	JOCTET	   *profile = NULL;
	unsigned int length;

	if (!choose_color_space(d))
		return false;
	decoder->width = d->jpeg.image_width;
	decoder->height = d->jpeg.image_height;
	decoder->bands = d->jpeg.num_components;
	decoder->resolution = resolution(&d->jpeg);
	for (jpeg_saved_marker_ptr marker = d->jpeg.marker_list; marker != NULL; marker = marker->next)
	{
		if (marker->marker != EXIF_MARKER || marker->data_length <= 6 ||
			memcmp(marker->data, "Exif\0", 6) != 0 || decoder->exif != NULL)
			continue;
		decoder->exif = marker->data + 6;
		decoder->exif_length = marker->data_length - 6;
	}
	if (jpeg_read_icc_profile(&d->jpeg, &profile, &length))
	{
		d->profile = profile;
		decoder->profile = profile;
		decoder->profile_length = length;
	}
	return true;
}

static void
set_up(JpegDecoder *d)
{
	d->jpeg.err = jpeg_std_error(&d->errors);
	d->errors.error_exit = give_up;
	d->errors.emit_message = judge_message;
	d->errors.output_message = say_nothing;
	d->jpeg.client_data = d;
	jpeg_create_decompress(&d->jpeg);
	img_jpeg_take_memory((j_common_ptr) &d->jpeg);
	d->jpeg.progress = &d->progress;
	d->progress.progress_monitor = check_time;
	d->jpeg.src = &d->source;
	d->source.next_input_byte = d->base.picture->data;
	d->source.bytes_in_buffer = d->base.picture->length;
	d->source.init_source = do_nothing;
	d->source.fill_input_buffer = end_of_data;
	d->source.skip_input_data = skip_data;
	d->source.resync_to_restart = jpeg_resync_to_restart;
	d->source.term_source = do_nothing;
	jpeg_save_markers(&d->jpeg, EXIF_MARKER, MAX_MARKER);
	jpeg_save_markers(&d->jpeg, ICC_MARKER, MAX_MARKER);
}

ImgDecoder *
img_jpeg_decoder(ImgPicture *picture)
{
	JpegDecoder *d = g_new0(JpegDecoder, 1);
	volatile bool mine = false;

	d->base.picture = picture;
	d->base.start = start;
	d->base.row = read_row;
	d->base.close = close_jpeg;
	if (setjmp(d->failed) == 0)
	{
		set_up(d);
		jpeg_read_header(&d->jpeg, TRUE);
		mine = take_header(d);
	}
	if (mine)
		return &d->base;
	close_jpeg(&d->base);
	return NULL;
}
