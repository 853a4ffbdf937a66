/*
 * plan.h
 *	  A request, compiled: what an executor is to do with one picture.
 *
 * A plan is made in a backend from validated JSON (src/extension/compile.c) and
 * travels to an executor as it lies in memory: both ends are the same build on
 * the same machine, and IMG_PLAN_VERSION tells them apart after an upgrade.
 * It is never stored: the job keeps the JSON.
 *
 * A plan holds numbers only.  The executor checks each of them again with
 * img_plan_valid() before it uses one, so that nothing but a valid plan reaches
 * a pixel function.
 */
#ifndef IMGAPI_PLAN_H
#define IMGAPI_PLAN_H

#include "plan/registry.h"

#define IMG_PLAN_VERSION	3
#define IMG_MAX_STEPS		16

/* Same format as the source (or the nearest one that can be written). */
#define IMG_FORMAT_OF_SOURCE	UINT16_MAX

struct ImgStep
{
	uint16_t	operation;		/* position in img_operations[]; for an output
								 * step in img_formats[] */
	uint16_t	given;			/* IMG_GIVEN(slot): stood in the request */
	uint16_t	unused[2];
	double		value[IMG_MAX_SLOTS];
};

/* output.metadata: slots of ImgPlan.metadata.  The declarations are in
 * src/plan/metadata.c. */
enum
{
	IMG_METADATA_DPI,			/* 0: as the source */
	IMG_METADATA_COLOR_SPACE,	/* 0 RGB, 1 CMYK */
	IMG_METADATA_COLOR_PROFILE, /* position in its choices */
	IMG_METADATA_SLOTS
};
extern const ImgArgument img_metadata_arguments[];

/* ImgPlan.flags */
#define IMG_PLAN_FIRST_FRAME	0x01	/* of an animation, and no warning */
#define IMG_PLAN_AS_STORED		0x02	/* not turned the way EXIF says */
#define IMG_PLAN_KEEP_EXIF		0x04	/* the EXIF block of the source goes along */
#define IMG_PLAN_ALL_FLAGS		0x07

typedef struct ImgPlan
{
	uint16_t	version;
	uint16_t	steps;
	uint16_t	format;			/* position in img_formats[], or
								 * IMG_FORMAT_OF_SOURCE */
	uint8_t		flags;
	uint8_t		quality;		/* of any format that has one, 1 to 100; 0: as
								 * output says */
	ImgStep		output;			/* options of the format; defaults of the
								 * source's format are taken when
								 * IMG_FORMAT_OF_SOURCE */
	ImgStep		metadata;
	ImgStep		step[IMG_MAX_STEPS];	/* only the first "steps" travel */
} ImgPlan;

/* Bytes that a plan takes on the wire. */
static inline size_t
img_plan_size(const ImgPlan *plan)
{
	return offsetof(ImgPlan, step) + plan->steps * sizeof(ImgStep);
}

/*
 * Whether these bytes are a plan that this build can run.  Copies them into
 * *plan.  Safe on any bytes at all.
 */
extern bool img_plan_valid(const void *bytes, size_t length, ImgPlan *plan);

#endif							/* IMGAPI_PLAN_H */
