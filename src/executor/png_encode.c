/*
 * png_encode.c
 *	  Writes PNG, row by row.
 *
 * Runs in imgapi-executor.
 */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "executor/encoder.h"
#include "executor/rows.h"

#define FIRST_ROOM	(32 * 1024)

typedef struct PngEncoder
{
	ImgPicture *picture;
	ImgRows		rows;
	png_structp png;
	png_infop	info;
	unsigned char *data;
	size_t		length;
	size_t		room;
} PngEncoder;

static void
give_up(png_structp png, png_const_charp text)
{
	PngEncoder *e = png_get_error_ptr(png);

	img_fail_picture(e->picture, IMG_FAILURE, IMG_STAGE_ENCODE, "the result cannot be written as png: %s", text);
	png_longjmp(png, 1);
}

static void
say_nothing(png_structp png, png_const_charp text)
{
}

static void
write_data(png_structp png, png_bytep data, size_t length)
{
	PngEncoder *e = png_get_io_ptr(png);

	if (length > e->room - e->length)
	{
		size_t		room = MAX(e->room * 2, e->length + length);
		unsigned char *larger = realloc(e->data, MAX(room, FIRST_ROOM));

		if (larger == NULL)
		{
			img_fail_memory(e->picture, room);
			png_longjmp(png, 1);
		}
		e->data = larger;
		e->room = MAX(room, FIRST_ROOM);
	}
	memcpy(e->data + e->length, data, length);
	e->length += length;
}

static void
flush_nothing(png_structp png)
{
}

static void
write_header(PngEncoder *e, VipsImage *image, int level, int filters)
{
	static const int color_types[] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA,
	PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
	png_uint_32 dots = img_resolution(e->picture) * 1000 + 0.5;

	png_set_write_fn(e->png, e, write_data, flush_nothing);
	png_set_user_limits(e->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
	png_set_compression_level(e->png, level);
	png_set_filter(e->png, PNG_FILTER_TYPE_BASE, filters);
	png_set_IHDR(e->png, e->info, image->Xsize, image->Ysize, 8, color_types[image->Bands],
				 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
	png_set_pHYs(e->png, e->info, dots, dots, PNG_RESOLUTION_METER);
	png_write_info(e->png, e->info);
}

static void
write_rows(PngEncoder *e, VipsImage *image)
{
	for (int y = 0; y < image->Ysize; y++)
	{
		const uint8_t *row = img_rows_next(&e->rows);

		if (row == NULL)
			png_longjmp(e->png, 1);
		png_write_row(e->png, row);
	}
	png_write_end(e->png, NULL);
}

bool
img_png_encode(ImgPicture *picture, VipsImage *image, int level, int filters, void **data, size_t *length)
{
	PngEncoder *e = g_new0(PngEncoder, 1);
	volatile bool done = false;

	e->picture = picture;
	img_rows_start(&e->rows, picture, image);
	e->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, e, give_up, say_nothing);
	e->info = e->png ? png_create_info_struct(e->png) : NULL;
	if (e->info == NULL)
		img_fail_memory(picture, sizeof(*e));
	else if (setjmp(png_jmpbuf(e->png)) == 0)
	{
		write_header(e, image, level, filters);
		write_rows(e, image);
		done = true;
	}
	img_rows_end(&e->rows);
	png_destroy_write_struct(&e->png, &e->info);
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
