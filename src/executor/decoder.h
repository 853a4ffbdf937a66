/*
 * decoder.h
 *	  A picture that is read row by row, without libvips.
 *
 * libvips reads every format, but sets up so much for each picture that a
 * thumbnail spends most of its time there.  JPEG and PNG are therefore read
 * through their own libraries.  A decoder may decline an unusual kind, and
 * libvips reads that.
 */
#ifndef IMGAPI_EXECUTOR_DECODER_H
#define IMGAPI_EXECUTOR_DECODER_H

#include "executor/pipeline.h"

typedef struct ImgDecoder ImgDecoder;

struct ImgDecoder
{
	ImgPicture *picture;		/* takes the failures */

	/* from the header */
	int			width;			/* after start(): as rows will come */
	int			height;
	int			bands;			/* of 8 bit */
	VipsInterpretation color_space;	/* of the rows */
	VipsInterpretation stored;	/* of the file, if it is another; else 0 */
	double		resolution;		/* px/mm; 0: unknown */
	const unsigned char *exif;	/* behind "Exif\0\0" */
	size_t		exif_length;
	const unsigned char *profile;
	size_t		profile_length;
	bool		bare;			/* the file holds pixels as results have them, and
								 * nothing else that results have not */

	/* JPEG only: rows at 1/shrink.  Called once, before the first row. */
	bool		(*start) (ImgDecoder *decoder, int shrink);
	bool		(*row) (ImgDecoder *decoder, unsigned char *pixels);
	/* behind the last row: whether the file is whole.  Where it can be bare. */
	bool		(*end) (ImgDecoder *decoder);
	void		(*close) (ImgDecoder *decoder);
};

/*
 * Reads a header.  NULL with no failure noted: a kind that libvips shall read.
 */
extern ImgDecoder *img_jpeg_decoder(ImgPicture *picture);
extern ImgDecoder *img_png_decoder(ImgPicture *picture);

/* An image whose rows come from the picture's decoder, once, from top to
 * bottom.  It owns the decoder from then on. */
extern VipsImage *img_decoder_image(ImgDecoder *decoder, int shrink);

/* facts.c */
extern void img_facts_decoder(ImgFacts *facts, const ImgDecoder *decoder, int format);

#endif							/* IMGAPI_EXECUTOR_DECODER_H */
