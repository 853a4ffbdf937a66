/*
 * slice.c
 *	  Template slice of the operation contract: takes apart into slices.
 */
#include "plan/template.h"

enum
{
	DIRECTION, SIZE, KEEP_ANIMATION, SLOTS
};

/* Same order as in src/operations/slice.c */
static const ImgChoice directions[] = {
	{"vertical"}, {"horizontal"}, {NULL}
};

static const ImgArgument options[] = {
	{"sliceCropType", IMG_CHOICE, DIRECTION, .choices = directions, .help = "slices one below the other, or side by side"},
	{"sliceSize", IMG_INTEGER, SIZE, 0, 65500, .help = "pixels; 0: one slice"},
	{"keepAnimation", IMG_BOOL, KEEP_ANIMATION, .initial = 1, .help = "false: the first frame only"},
	{"callbackUrl", IMG_ANY, .servers = "nhn", .help = "told when it is done"},
	{NULL}
};

static bool
expand(const ImgStep *given, ImgExpansion *expansion, ImgProblem *problem)
{
	ImgStep    *step = img_plan_add(expansion->plan, "slice");

	expansion->as_displayed = true;
	img_expand_animation(expansion, given->value[KEEP_ANIMATION]);
	img_step_set(step, "direction", given->value[DIRECTION]);
	img_step_set(step, "size", given->value[SIZE]);
	return true;
}

const ImgTemplate img_template_slice = {
	.name = "slice",
	.job_type = "SliceJob",
	.help = "take apart into slices",
	.group = IMG_GROUP_SPLIT,
	.options = options,
	.slots = SLOTS,
	.expand = expand,
};
