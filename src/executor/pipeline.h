/*
 * pipeline.h
 *	  One picture on its way through an executor.
 *
 * request.c opens a picture, runs the steps of its plan and writes the result;
 * the functions here are what operations and formats are made from.  They work
 * on all frames alike: a still picture is a picture with one frame.
 *
 * Pixels are computed late.  A step only notes what is to be done, until
 * img_settle() computes the frames: so a picture is decoded once, from top to
 * bottom, at the size that the first step needs.
 */
#ifndef IMGAPI_PIPELINE_H
#define IMGAPI_PIPELINE_H

#include <vips/vips.h>

#include "plan/plan.h"
#include "protocol/wire.h"

/* A colour as in a step: 0xRRGGBBAA */
#define IMG_WHITE				UINT32_C(0xffffffff)
#define IMG_TRANSPARENT			UINT32_C(0x00000000)
#define IMG_OPACITY(color)		((color) & 0xff)

struct ImgPicture
{
	const ImgRequest *request;
	ImgPlan		plan;
	const unsigned char *data;	/* the file */
	size_t		length;
	const unsigned char *other; /* the file of the plan's IMG_PICTURE */
	size_t		other_length;
	int			client;			/* pool: whose hang-up ends the work; else -1 */
	gint64		deadline;		/* g_get_monotonic_time(); 0: none */
	gint64		next_look;		/* when to look at the client again */

	const ImgFormat *source_format;
	const ImgFormat *output_format;
	ImgStep		output;			/* options of output_format */

	struct ImgDecoder *decoder;	/* where the format has one, until img_load() */
	VipsImage **frame;
	int			frames;
	int			shrink;			/* the decoder made frames that much smaller; 0
								 * or 1: not */
	int			full_width;		/* of a frame as stored, had it not been made */
	int			full_height;	/* smaller; only with shrink > 1 */
	int			wanted_width;	/* what a request without a plan scales the */
	int			wanted_height;	/* displayed picture to; 0: see the plan */
	int			orientation;	/* as in EXIF: how the frames still must be
								 * turned */
	bool		by_libvips;		/* decodes the source */
	bool		srgb;			/* frames are 8 bit sRGB or grey */
	bool		settled;		/* frames are computed and lie in memory */
	VipsImage  *animation;		/* keeps delays and loops of an animation */
	VipsImage  *header;			/* whose EXIF goes along; NULL: none does */

	ImgOutcome	outcome;
	ImgStage	stage;
	char		text[IMG_MAX_TEXT];
	uint32_t	warnings;
	ImgFacts	source;
	ImgFacts	result;
};

/* failure.c */

/* Notes why a picture cannot be done; the first reason stays.  Always false. */
extern bool img_fail_picture(ImgPicture *picture, ImgOutcome outcome, ImgStage stage,
							 const char *format,...) G_GNUC_PRINTF(4, 5);

/* The same when memory has run out. */
extern bool img_fail_memory(ImgPicture *picture, size_t bytes);

/* The same with the error of libvips; decoders and encoders are to blame as
 * the stage says. */
extern bool img_fail_vips(ImgPicture *picture, ImgStage stage);

/* source.c */
extern bool img_open(ImgPicture *picture);
extern bool img_load(ImgPicture *picture);
extern VipsImage *img_header(ImgPicture *picture);	/* by libvips, no pixels */

/* unchanged.c */

/* After img_open(): whether the file is its own result; and that. */
extern bool img_stays_unchanged(const ImgPicture *picture);
extern bool img_keep_unchanged(ImgPicture *picture, void **data, size_t *length);

/* keep_exif.c */

/* Before img_load(): finds what is kept, and whether frames stay as they lie. */
extern bool img_keep_exif(ImgPicture *picture);

/* Gives it to an image that is going to be written. */
extern void img_attach_exif(const ImgPicture *picture, VipsImage *image);
extern bool img_keeps_exif(const ImgPicture *picture);

/* sniff.c */

/* The format whose magic bytes these are, or -1; *looks_like then names what
 * else it is, or is NULL. */
extern int	img_sniff(const unsigned char *data, size_t length, const char **looks_like);

/* facts.c */

/* orientation is what EXIF says; the sides are as displayed. */
extern void img_facts(ImgFacts *facts, VipsImage *image, int format);
extern void img_facts_tiff(ImgFacts *facts, const unsigned char *data, size_t length);

/* How an image of libvips must be turned, 1 … 8.  HEIF comes upright, whatever
 * its EXIF says. */
extern int	img_orientation(VipsImage *image);

/* frames.c */

/* Size of a frame as displayed. */
extern int	img_width(const ImgPicture *picture);
extern int	img_height(const ImgPicture *picture);
extern bool img_has_alpha(const ImgPicture *picture);

/* The same as if the decoder had not made it smaller: what a plan counts in. */
extern void img_full_size(const ImgPicture *picture, int *width, int *height);

/* Mirrors left and right, then turns clockwise; costs nothing before
 * img_settle(). */
extern void img_turn(ImgPicture *picture, bool mirror, int quarters);

/* Puts image in the place of a frame; its reference goes over. */
extern void img_replace_frame(ImgPicture *picture, int i, VipsImage *image);
extern void img_free_frames(ImgPicture *picture);

/* Frames become as displayed, 8 bit, sRGB or grey, computed, in memory. */
extern bool img_settle(ImgPicture *picture);

/* The same, but not computed yet if they need not be. */
extern bool img_upright(ImgPicture *picture);

/* Frames are computed, but not upright yet. */
extern bool img_compute(ImgPicture *picture);

/* Cuts a part out; the pixels need not be computed yet. */
extern bool img_cut(ImgPicture *picture, const ImgBox *box);

/* Where a box of the displayed picture, which is width × height, lies in the
 * picture as stored. */
extern ImgBox img_stored_box(const ImgPicture *picture, int width, int height, const ImgBox *box);

/* scale.c */

/* Scales to width × height and keeps a part of that; NULL: all. */
extern bool img_scale(ImgPicture *picture, int width, int height, const ImgBox *part);

/* describe.c */

/* What the request asks of the picture: some bytes, for free(). */
extern bool img_describe(ImgPicture *picture, void **data, size_t *length);

/* resize.c */

/* An image at exactly that size, by libvips; NULL and its error otherwise. */
extern VipsImage *img_resize(VipsImage *image, int width, int height);

/* color.c */
extern bool img_to_srgb(ImgPicture *picture);
extern bool img_to_cmyk(ImgPicture *picture);

/* profile.c */
extern bool img_profile_is_srgb(const unsigned char *data, size_t length);

/* evaluate.c */

/* The pixels of an image, in memory; NULL after img_fail_picture(). */
extern VipsImage *img_evaluate(ImgPicture *picture, VipsImage *image);

/* An image of pixels of img_allocate_pixels(), which it owns, that is otherwise
 * like another. */
extern VipsImage *img_wrap(ImgPicture *picture, void *pixels, int width, int height, int bands,
						   VipsBandFormat format, VipsInterpretation space, VipsImage *like);

/* Watches the work that libvips does on an image by itself. */
extern void img_watch(ImgPicture *picture, VipsImage *image);

/* Whether the time is over or the client has gone; fails the picture then. */
extern bool img_stopped(ImgPicture *picture);

/* result.c */
extern bool img_save(ImgPicture *picture, void **data, size_t *length);

/* What a format's save() writes: one image, a column of frames if there are
 * several.  NULL after img_fail_picture(); the caller unrefs it. */
extern VipsImage *img_join_frames(ImgPicture *picture);

/* Pixels per mm that the result says it has. */
extern double img_resolution(const ImgPicture *picture);

/* Calls a saver of libvips, "jpegsave_buffer", with options up to NULL. */
extern bool img_call_saver(ImgPicture *picture, void **data, size_t *length, ...)
			G_GNUC_NULL_TERMINATED;

/* src/operations/resizing.c: the size that this step scales a picture of
 * width × height to before it cuts anything. */
extern void img_resizing_scale(const ImgStep *step, int width, int height,
							   int *scaled_width, int *scaled_height);

/* src/operations/rotate.c: by how many quarters a step turns, or -1. */
extern int	img_rotate_quarters(const ImgStep *step);

/* src/operations/round.c: corners with these radii, in pixels, of every frame. */
extern bool img_round(ImgPicture *picture, double across, double down);

/* src/operations/background.c: the colour behind the picture of this plan. */
extern uint32_t img_background_color(const ImgPicture *picture);

/* backdrop.c */

/* Lays the frames on a colour. */
extern bool img_lay_on(ImgPicture *picture, uint32_t color);

/* Puts the frames in the middle of a larger area of that colour. */
extern bool img_put_on_canvas(ImgPicture *picture, int width, int height, uint32_t color);

/* The same, with the frames at a place of their own: left and top are those of
 * the frames, width and height those of the area. */
extern bool img_put_at(ImgPicture *picture, const ImgBox *canvas, uint32_t color);

#endif							/* IMGAPI_PIPELINE_H */
