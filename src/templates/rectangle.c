/*
 * rectangle.c
 *	  Template rectangle of the operation contract: keeps a part.
 *
 * Offsets are counted as crop counts them: away from the edge that gravity
 * names, negative ones the other way.  What reaches beyond the picture is left
 * out.
 */
#include "plan/template.h"

enum
{
	GRAVITY, OFFSET_X, OFFSET_Y, WIDTH, HEIGHT, KEEP_ANIMATION, SLOTS
};

static const ImgArgument options[] = {
	{"gravity", IMG_CHOICE, GRAVITY, .initial = IMG_GRAVITY_CENTER, .choices = img_template_gravities, .help = "where it lies"},
	{"offsetX", IMG_INTEGER, OFFSET_X, -65499, 65499, .help = "pixels from there"},
	{"offsetY", IMG_INTEGER, OFFSET_Y, -65499, 65499, .help = "pixels from there"},
	{"width", IMG_INTEGER, WIDTH, 1, 65500, .required = true, .help = "pixels"},
	{"height", IMG_INTEGER, HEIGHT, 1, 65500, .required = true, .help = "pixels"},
	{"keepAnimation", IMG_BOOL, KEEP_ANIMATION, .help = "false: the first frame only"},
	{NULL}
};

static bool
expand(const ImgStep *given, ImgExpansion *expansion, ImgProblem *problem)
{
	ImgStep    *step = img_plan_add(expansion->plan, "crop");

	expansion->as_displayed = true;
	img_expand_animation(expansion, given->value[KEEP_ANIMATION]);
	img_step_set(step, "gravity", given->value[GRAVITY]);
	img_step_set(step, "x", given->value[OFFSET_X]);
	img_step_set(step, "y", given->value[OFFSET_Y]);
	img_step_set(step, "width", given->value[WIDTH]);
	img_step_set(step, "height", given->value[HEIGHT]);
	return true;
}

const ImgTemplate img_template_rectangle = {
	.name = "rectangle",
	.job_type = "RectangleJob",
	.help = "keep a rectangle",
	.group = IMG_GROUP_BASIC,
	.options = options,
	.slots = SLOTS,
	.expand = expand,
};
