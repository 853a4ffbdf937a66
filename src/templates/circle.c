/*
 * circle.c
 *	  Template circle of the operation contract: keeps a circle.  Never keeps
 *	  animation.
 */
#include "plan/template.h"

enum
{
	GRAVITY, OFFSET_X, OFFSET_Y, RADIUS, SLOTS
};

static const ImgArgument options[] = {
	{"gravity", IMG_CHOICE, GRAVITY, .initial = IMG_GRAVITY_CENTER, .choices = img_template_gravities, .help = "where it lies"},
	{"offsetX", IMG_INTEGER, OFFSET_X, -65499, 65499, .help = "pixels from there"},
	{"offsetY", IMG_INTEGER, OFFSET_Y, -65499, 65499, .help = "pixels from there"},
	{"radius", IMG_INTEGER, RADIUS, 1, 32750, .required = true, .help = "pixels"},
	{NULL}
};

static bool
expand(const ImgStep *given, ImgExpansion *expansion, ImgProblem *problem)
{
	ImgStep    *step = img_plan_add(expansion->plan, "circle");

	expansion->as_displayed = true;
	img_expand_animation(expansion, 0);
	img_step_set(step, "gravity", given->value[GRAVITY]);
	img_step_set(step, "x", given->value[OFFSET_X]);
	img_step_set(step, "y", given->value[OFFSET_Y]);
	img_step_set(step, "radius", given->value[RADIUS]);
	return true;
}

const ImgTemplate img_template_circle = {
	.name = "circle",
	.job_type = "CircleJob",
	.help = "keep a circle",
	.group = IMG_GROUP_COMPOSITE,
	.options = options,
	.slots = SLOTS,
	.expand = expand,
};
