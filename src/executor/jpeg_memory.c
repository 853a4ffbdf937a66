/*
 * jpeg_memory.c
 *	  Memory for the coefficients of a JPEG.
 *
 * Runs in imgapi-executor.  A progressive picture is kept as a whole in
 * coefficients, by the decoder and by the encoder: as much as its pixels.
 * libjpeg calls that a virtual array, for it could lie in a file.  Its memory
 * manager is told here to take these from img_allocate_pixels(); whatever else
 * it needs is small, and its own business.
 *
 * One thread works on one picture at a time, so one list holds all arrays.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "executor/jpeg_memory.h"
#include "executor/memory.h"

typedef struct jvirt_barray_control Array;

/* The name is libjpeg's, which does not look inside. */
struct jvirt_barray_control
{
	Array	   *next;
	j_common_ptr owner;
	JDIMENSION	blocks;			/* in a row */
	JDIMENSION	rows;
	JDIMENSION	clean;			/* rows that have been set to zero, or need not be */
	JBLOCKROW  *row;			/* NULL: not there yet */
	void	   *coefficients;	/* for img_free_pixels(); NULL: lie in those of another array */
};

static Array *arrays;

/* libjpeg's own, which also gets ready what is not kept here. */
static void (*realize_others) (j_common_ptr jpeg);

static void
out_of_memory(j_common_ptr jpeg)
{
	ERREXIT1(jpeg, JERR_OUT_OF_MEMORY, 0);
}

static Array *
request(j_common_ptr jpeg, int pool, boolean zero, JDIMENSION blocks, JDIMENSION rows, JDIMENSION unused)
{
	Array	   *array = calloc(1, sizeof(Array));

	if (array == NULL)
		out_of_memory(jpeg);
	*array = (Array) {arrays, jpeg, blocks, rows, zero ? 0 : rows};
	arrays = array;
	return array;
}

static size_t
array_size(const Array *array)
{
	return (size_t) array->blocks * array->rows * sizeof(JBLOCK);
}

/* All arrays lie in one piece of memory. */
static void
realize(j_common_ptr jpeg)
{
	size_t		size = 0;
	JBLOCKROW	block = NULL;

	realize_others(jpeg);
	for (Array *array = arrays; array != NULL; array = array->next)
		if (array->owner == jpeg && array->row == NULL)
			size += array_size(array);
	for (Array *array = arrays; array != NULL; array = array->next)
	{
		if (array->owner != jpeg || array->row != NULL)
			continue;
		if (block == NULL && (block = array->coefficients = img_allocate_pixels(size)) == NULL)
			out_of_memory(jpeg);
		array->row = jpeg->mem->alloc_small(jpeg, JPOOL_IMAGE, array->rows * sizeof(JBLOCKROW));
		for (JDIMENSION y = 0; y < array->rows; y++, block += array->blocks)
			array->row[y] = block;
	}
}

static JBLOCKARRAY
access_rows(j_common_ptr jpeg, Array *array, JDIMENSION first, JDIMENSION count, boolean writable)
{
	if (array->row == NULL || first > array->rows || count > array->rows - first)
		ERREXIT(jpeg, JERR_BAD_VIRTUAL_ACCESS);
	for (; array->clean < first + count; array->clean++)
		memset(array->row[array->clean], 0, array->blocks * sizeof(JBLOCK));
	return array->row + first;
}

void
img_jpeg_take_memory(j_common_ptr jpeg)
{
	realize_others = jpeg->mem->realize_virt_arrays;
	jpeg->mem->request_virt_barray = request;
	jpeg->mem->realize_virt_arrays = realize;
	jpeg->mem->access_virt_barray = access_rows;
}

void
img_jpeg_free_memory(j_common_ptr jpeg)
{
	for (Array **link = &arrays; *link != NULL;)
	{
		Array	   *array = *link;

		if (array->owner != jpeg)
		{
			link = &array->next;
			continue;
		}
		*link = array->next;
		img_free_pixels(array->coefficients);
		free(array);
	}
}
