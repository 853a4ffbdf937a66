/*
 * jpeg_encode.c
 *	  Writes JPEG, row by row.
 *
 * Runs in imgapi-executor.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>
#include <jerror.h>

#include "executor/encoder.h"
#include "executor/jpeg_memory.h"
#include "executor/rows.h"

/* libvips renames a member of libjpeg's error manager by a macro. */
#undef error_exit

#define MM_PER_INCH		25.4
/* From this quality on colours keep the full resolution, as libvips has it. */
#define FINE_QUALITY	90

typedef struct JpegEncoder
{
	struct jpeg_compress_struct jpeg;
	struct jpeg_error_mgr errors;
	jmp_buf		failed;
	ImgPicture *picture;
	ImgRows		rows;
	unsigned char *data;
	unsigned long length;
} JpegEncoder;

static void
give_up(j_common_ptr jpeg)
{
	JpegEncoder *e = jpeg->client_data;
	char		text[JMSG_LENGTH_MAX];

	if (jpeg->err->msg_code == JERR_OUT_OF_MEMORY)
		img_fail_memory(e->picture, (size_t) e->jpeg.image_width * e->jpeg.image_height * e->jpeg.input_components);
	jpeg->err->format_message(jpeg, text);
	img_fail_picture(e->picture, IMG_FAILURE, IMG_STAGE_ENCODE, "the result cannot be written as jpeg: %s", text);
	longjmp(e->failed, 1);
}

static void
say_nothing(j_common_ptr jpeg)
{
}

static void
set_parameters(JpegEncoder *e, VipsImage *image, int quality, bool progressive)
{
	struct jpeg_compress_struct *jpeg = &e->jpeg;

	jpeg->image_width = image->Xsize;
	jpeg->image_height = image->Ysize;
	jpeg->input_components = image->Bands;
	jpeg->in_color_space = image->Bands == 1 ? JCS_GRAYSCALE : JCS_RGB;
	jpeg_set_defaults(jpeg);
	jpeg_set_quality(jpeg, quality, TRUE);
	jpeg->optimize_coding = TRUE;
	if (quality >= FINE_QUALITY)
		jpeg->comp_info[0].h_samp_factor = jpeg->comp_info[0].v_samp_factor = 1;
	if (progressive)
		jpeg_simple_progression(jpeg);
	jpeg->density_unit = 1;
	jpeg->X_density = CLAMP(img_resolution(e->picture) * MM_PER_INCH + 0.5, 1, 65535);
	jpeg->Y_density = CLAMP(img_resolution(e->picture) * MM_PER_INCH + 0.5, 1, 65535);
}

static void
write_rows(JpegEncoder *e)
{
	jpeg_start_compress(&e->jpeg, TRUE);
	while (e->jpeg.next_scanline < e->jpeg.image_height)
	{
		JSAMPROW	row = (JSAMPROW) img_rows_next(&e->rows);

		if (row == NULL)
			longjmp(e->failed, 1);
		jpeg_write_scanlines(&e->jpeg, &row, 1);
	}
	jpeg_finish_compress(&e->jpeg);
}

bool
img_jpeg_encode(ImgPicture *picture, VipsImage *image, int quality, bool progressive,
				void **data, size_t *length)
{
	JpegEncoder *e = g_new0(JpegEncoder, 1);
	volatile bool done = false;

	e->picture = picture;
	img_rows_start(&e->rows, picture, image);
	e->jpeg.err = jpeg_std_error(&e->errors);
	e->errors.error_exit = give_up;
	e->errors.output_message = say_nothing;
	e->jpeg.client_data = e;
	if (setjmp(e->failed) == 0)
	{
		jpeg_create_compress(&e->jpeg);
		img_jpeg_take_memory((j_common_ptr) &e->jpeg);
		jpeg_mem_dest(&e->jpeg, &e->data, &e->length);
		set_parameters(e, image, quality, progressive);
		write_rows(e);
		done = true;
	}
	img_rows_end(&e->rows);
	jpeg_destroy_compress(&e->jpeg);
	img_jpeg_free_memory((j_common_ptr) &e->jpeg);
	if (done)
	{
		*data = e->data;
		*length = e->length;
	}
	else
		free(e->data);
	g_free(e);
	return done;
}
