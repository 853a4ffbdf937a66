/*
 * watermark.c
 *	  Template watermark of the operation contract: lays another picture over
 *	  it.  Never keeps animation.
 */
#include "plan/template.h"

enum
{
	GRAVITY, OFFSET_X, OFFSET_Y, IMAGE, SLOTS
};

static const ImgArgument options[] = {
	{"gravity", IMG_CHOICE, GRAVITY, .initial = IMG_GRAVITY_CENTER, .choices = img_template_gravities, .help = "where it lies"},
	{"offsetX", IMG_INTEGER, OFFSET_X, -65499, 65499, .help = "pixels from there"},
	{"offsetY", IMG_INTEGER, OFFSET_Y, -65499, 65499, .help = "pixels from there"},
	{"watermarkImagePath", IMG_PICTURE, IMAGE, .required = true, .help = "the watermark, as watermark.image"},
	{NULL}
};

static bool
expand(const ImgStep *given, ImgExpansion *expansion, ImgProblem *problem)
{
	ImgStep    *step = img_plan_add(expansion->plan, "watermark");

	expansion->as_displayed = true;
	img_expand_animation(expansion, 0);
	img_step_set(step, "image", 1);
	img_step_set(step, "gravity", given->value[GRAVITY]);
	img_step_set(step, "x", given->value[OFFSET_X]);
	img_step_set(step, "y", given->value[OFFSET_Y]);
	return true;
}

const ImgTemplate img_template_watermark = {
	.name = "watermark",
	.job_type = "WatermarkJob",
	.help = "lay another picture over it",
	.group = IMG_GROUP_COMPOSITE,
	.options = options,
	.slots = SLOTS,
	.expand = expand,
};
