/*
 * gray.c
 *	  Template gray of the operation contract: takes the colour away.
 */
#include "plan/template.h"

enum
{
	KEEP_ANIMATION, SLOTS
};

static const ImgArgument options[] = {
	{"keepAnimation", IMG_BOOL, KEEP_ANIMATION, .initial = 1, .help = "false: the first frame only"},
	{NULL}
};

static bool
expand(const ImgStep *given, ImgExpansion *expansion, ImgProblem *problem)
{
	img_expand_animation(expansion, given->value[KEEP_ANIMATION]);
	img_step_set(img_plan_add(expansion->plan, "gray"), "gray", 1);
	return true;
}

const ImgTemplate img_template_gray = {
	.name = "gray",
	.job_type = "GrayJob",
	.help = "take the colour away",
	.group = IMG_GROUP_BASIC,
	.options = options,
	.slots = SLOTS,
	.expand = expand,
};
