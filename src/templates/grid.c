/*
 * grid.c
 *	  Template grid of the operation contract: takes apart into a grid.
 */
#include "plan/template.h"

enum
{
	COUNT_X, COUNT_Y, SLOTS
};

static const ImgArgument options[] = {
	{"countX", IMG_INTEGER, COUNT_X, 1, IMG_MAX_PIECES, .required = true, .help = "fields side by side"},
	{"countY", IMG_INTEGER, COUNT_Y, 1, IMG_MAX_PIECES, .required = true, .help = "fields one below the other"},
	{"callbackUrl", IMG_ANY, .servers = "nhn", .help = "told when it is done"},
	{NULL}
};

static bool
expand(const ImgStep *given, ImgExpansion *expansion, ImgProblem *problem)
{
	ImgStep    *step = img_plan_add(expansion->plan, "grid");

	expansion->as_displayed = true;
	img_step_set(step, "columns", given->value[COUNT_X]);
	img_step_set(step, "rows", given->value[COUNT_Y]);
	return true;
}

const ImgTemplate img_template_grid = {
	.name = "grid",
	.job_type = "GridJob",
	.help = "take apart into a grid",
	.group = IMG_GROUP_SPLIT,
	.options = options,
	.slots = SLOTS,
	.expand = expand,
};
