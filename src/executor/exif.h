/*
 * exif.h
 *	  The few things in EXIF that matter here: which way is up, when, where.
 */
#ifndef IMGAPI_EXECUTOR_EXIF_H
#define IMGAPI_EXECUTOR_EXIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ImgExif
{
	int			orientation;	/* 1 … 8 */
	char		taken_at[24];	/* as in ImgFacts */
	double		lat;			/* both NaN: not there */
	double		lng;
} ImgExif;

/* data: behind "Exif\0\0".  Safe on any bytes. */
extern void img_exif_read(const unsigned char *data, size_t length, ImgExif *result);

extern bool img_date_valid(int year, int month, int day);

#endif							/* IMGAPI_EXECUTOR_EXIF_H */
