/*
 * background.c
 *	  What shows where the picture is transparent or does not reach.
 *
 * Contract: background of the edit contract.  Runs last: lays the picture on
 * background.color when that is not transparent, or when the output format
 * has no alpha.  Without background.color it is white, or transparent if the
 * source has alpha and the format can keep it.  A canvas is painted with the
 * same colour (see resizing.c).
 */
#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/pipeline.h"
#endif

enum
{
	REMOVE,
	BLUR,
	COLOR,
	SLOTS
};

static const ImgArgument remove_members[] = {
	{"category", IMG_ANY, .help = "general, cars or products"},
	{"clipping", IMG_ANY, .help = "trim to the object"},
	{"selective", IMG_ANY, .help = "{\"object_to_keep\": text}"},
	{NULL}
};

static const ImgArgument blur_members[] = {
	{"category", IMG_ANY, .help = "general, cars or products"},
	{"selective", IMG_ANY, .help = "{\"object_to_keep\": text}"},
	{"type", IMG_ANY, .help = "regular or lens"},
	{"level", IMG_ANY, .help = "low, medium or high"},
	{NULL}
};

static const ImgArgument arguments[] = {
	{"remove", IMG_BOOL, REMOVE, .members = remove_members, .servers = "claid, topaz",
	.help = "take the background away"},
	{"blur", IMG_BOOL, BLUR, .members = blur_members, .servers = "claid",
	.help = "blur the background"},
	{"color", IMG_COLOR, COLOR, .initial = 0xffffffff,
	.help = "\"#rgb\", \"#rrggbb\", \"#rrggbbaa\" or \"transparent\""},
	{NULL}
};

#ifdef IMGAPI_EXECUTOR
/* The step of this operation in a plan, or NULL. */
static const ImgStep *
find_step(const ImgPlan *plan)
{
	int			background = img_operation_index("background");

	for (int i = 0; i < plan->steps; i++)
		if (plan->step[i].operation == background)
			return &plan->step[i];
	return NULL;
}

uint32_t
img_background_color(const ImgPicture *picture)
{
	const ImgStep *step = find_step(&picture->plan);

	if (step != NULL && (step->given & IMG_GIVEN(COLOR)))
		return (uint32_t) step->value[COLOR];
	if ((picture->source.has_alpha || img_has_alpha(picture)) && picture->output_format->has_alpha)
		return IMG_TRANSPARENT;
	return IMG_WHITE;
}

static bool
run(ImgPicture *picture, const ImgStep *step)
{
	return img_lay_on(picture, img_background_color(picture));
}
#endif

const ImgOperation img_operation_background = {
	.key = "background",
	.help = "what shows behind the picture",
	.arguments = arguments,
	.slots = SLOTS,
	.run = IMG_EXECUTOR_ONLY(run),
};
