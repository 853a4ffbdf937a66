/*
 * resize.c
 *	  Templates that change the size.
 *
 * Contract: resize_fixed (newer: resize_fix), resize_min_fit, resize_max_fit,
 * resize_width_fit, resize_height_fit.
 *
 *	fixed		exactly width × height, whatever becomes of the proportions
 *	max_fit		the longer of width and height is followed, with the proportions
 *				of the picture; if they are equal, the picture fits inside
 *	min_fit		likewise the shorter; if they are equal, the picture covers them
 *	width_fit	the width is followed
 *	height_fit	the height is followed
 *
 * (The documents allow another reading of max_fit and min_fit for pictures and
 * options of different orientation; this one is that of their console guide.)
 *
 * What these options say of EXIF and animation holds for the whole operation.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "plan/template.h"

enum
{
	WIDTH, HEIGHT, QUALITY, DIRECTION, KEEP_ANIMATION, KEEP_EXIF, AUTO_ORIENT, EXTENSION,
	KIND, SHRINK_ONLY, SLOTS
};

/* upDownSizeType; positions as in directions[]. */
enum
{
	DOWN_ONLY, UP_ONLY, BOTH
};

/* Positions of resizing.fit and resizing.scale in src/operations/resizing.c */
enum
{
	FIT_COVER = 1, FIT_BOUNDS = 2, FIT_FILL = 5
};
static const int scale_of[] = {[DOWN_ONLY] = 1, [UP_ONLY] = 2, [BOTH] = 0};

static const ImgChoice directions[] = {
	{"downOnly"}, {"upOnly"}, {"upDownAll"}, {NULL}
};

/* Same order as the templates below. */
enum
{
	FIXED, MIN_FIT, MAX_FIT, WIDTH_FIT, HEIGHT_FIT
};

static const ImgChoice kinds[] = {
	{"fixed"}, {"min_fit"}, {"max_fit"}, {"width_fit"}, {"height_fit"}, {"fix"}, {NULL}
};

#define SIDE_OPTIONS(width_required, height_required) \
	{"width", IMG_INTEGER, WIDTH, 1, 65500, .required = width_required, .help = "pixels"}, \
	{"height", IMG_INTEGER, HEIGHT, 1, 65500, .required = height_required, .help = "pixels"}

#define OTHER_OPTIONS \
	{"quality", IMG_REAL, QUALITY, 1, 100, 75, .help = "of lossy formats"}, \
	{"upDownSizeType", IMG_CHOICE, DIRECTION, .choices = directions, .help = "whether it may be enlarged and reduced, or only one of them"}, \
	{"keepAnimation", IMG_BOOL, KEEP_ANIMATION, .initial = 1, .help = "false: the first frame only"}, \
	{"keepExif", IMG_BOOL, KEEP_EXIF, .initial = 1, .help = "time, place and camera stay in the result"}, \
	{"autoOrient", IMG_BOOL, AUTO_ORIENT, .help = "turn the pixels as EXIF says; else EXIF goes on saying it"}, \
	{"targetExtension", IMG_FORMAT, EXTENSION, .initial = -1, .help = "another format, by its extension"}, \
	{"resizeType", IMG_CHOICE, KIND, .initial = -1, .choices = kinds, .help = "as in answers; must be that of the template"}, \
	{"shrinkLargerOnly", IMG_BOOL, SHRINK_ONLY, .initial = 1, .help = "older form of upDownSizeType, which goes first"}, \
	{NULL}

static const ImgArgument both_options[] = {SIDE_OPTIONS(true, true), OTHER_OPTIONS};
static const ImgArgument width_options[] = {SIDE_OPTIONS(true, false), OTHER_OPTIONS};
static const ImgArgument height_options[] = {SIDE_OPTIONS(false, true), OTHER_OPTIONS};

static bool
kind_matches(const ImgStep *options, int kind, ImgProblem *problem)
{
	int			given = options->value[KIND];

	if (given < 0 || given == kind || (kind == FIXED && strcmp(kinds[given].name, "fix") == 0))
		return true;
	problem->argument = "resizeType";
	snprintf(problem->message, sizeof(problem->message), "\"%s\" is not the kind of this template, which is \"%s\"",
			 kinds[given].name, kinds[kind].name);
	snprintf(problem->hint, sizeof(problem->hint), "Leave resizeType out, or write \"templateOperationId\": \"resize_%s\".",
			 kinds[given].name);
	return false;
}

static void
expand_output(const ImgStep *options, ImgExpansion *expansion)
{
	ImgPlan    *plan = expansion->plan;

	plan->quality = rint(options->value[QUALITY]);
	img_expand_animation(expansion, options->value[KEEP_ANIMATION]);
	if (options->value[KEEP_EXIF] == 0)
		plan->flags &= ~IMG_PLAN_KEEP_EXIF;
	if (options->value[AUTO_ORIENT] != 0)
		expansion->as_displayed = true;
	if (options->value[EXTENSION] >= 0)
	{
		plan->format = options->value[EXTENSION];
		plan->output.operation = plan->format;
		img_step_defaults(&plan->output, img_formats[plan->format]->options);
	}
}

static bool
expand(const ImgStep *options, ImgExpansion *expansion, ImgProblem *problem, int kind)
{
	double		width = options->value[WIDTH];
	double		height = options->value[HEIGHT];
	int			direction = options->value[DIRECTION];
	ImgStep    *step;
	bool		wide;

	if (!kind_matches(options, kind, problem))
		return false;
	if ((options->given & IMG_GIVEN(DIRECTION)) == 0 && (options->given & IMG_GIVEN(SHRINK_ONLY)) != 0)
		direction = options->value[SHRINK_ONLY] != 0 ? DOWN_ONLY : BOTH;
	expand_output(options, expansion);

	step = img_plan_add(expansion->plan, "resizing");
	wide = kind == WIDTH_FIT || (kind == MAX_FIT && width > height) || (kind == MIN_FIT && width < height);
	if (kind == FIXED || (width == height && (kind == MAX_FIT || kind == MIN_FIT)))
	{
		img_step_set(step, "width", width);
		img_step_set(step, "height", height);
	}
	else
		img_step_set(step, wide ? "width" : "height", wide ? width : height);
	img_step_set(step, "fit", kind == FIXED ? FIT_FILL : kind == MIN_FIT ? FIT_COVER : FIT_BOUNDS);
	img_step_set(step, "scale", scale_of[direction]);
	return true;
}

static bool
expand_fixed(const ImgStep *options, ImgExpansion *expansion, ImgProblem *problem)
{
	return expand(options, expansion, problem, FIXED);
}

static bool
expand_min_fit(const ImgStep *options, ImgExpansion *expansion, ImgProblem *problem)
{
	return expand(options, expansion, problem, MIN_FIT);
}

static bool
expand_max_fit(const ImgStep *options, ImgExpansion *expansion, ImgProblem *problem)
{
	return expand(options, expansion, problem, MAX_FIT);
}

static bool
expand_width_fit(const ImgStep *options, ImgExpansion *expansion, ImgProblem *problem)
{
	return expand(options, expansion, problem, WIDTH_FIT);
}

static bool
expand_height_fit(const ImgStep *options, ImgExpansion *expansion, ImgProblem *problem)
{
	return expand(options, expansion, problem, HEIGHT_FIT);
}

#define TEMPLATE(kind, other, text, list) \
const ImgTemplate img_template_resize_##kind = { \
	.name = "resize_" #kind, \
	.other_name = other, \
	.job_type = "ResizeJob", \
	.help = text, \
	.group = IMG_GROUP_BASIC, \
	.options = list, \
	.slots = SLOTS, \
	.expand = expand_##kind, \
}

TEMPLATE(fixed, "resize_fix", "exactly this size", both_options);
TEMPLATE(min_fit, NULL, "follow the shorter of width and height", both_options);
TEMPLATE(max_fit, NULL, "follow the longer of width and height", both_options);
TEMPLATE(width_fit, NULL, "follow the width", width_options);
TEMPLATE(height_fit, NULL, "follow the height", height_options);
