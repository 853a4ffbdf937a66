/*
 * blur.c
 *	  Makes the whole picture soft.
 *
 * Ours: blur, the standard deviation of a Gaussian in pixels of the picture as
 * resizing has left it.  Edges repeat; what is transparent counts nothing.
 */
#include "plan/plan.h"
#ifdef IMGAPI_EXECUTOR
#include "executor/pipeline.h"
#include "executor/pixels.h"
#endif

enum
{
	SIGMA, SLOTS
};

static const ImgArgument value[] = {
	{"sigma", IMG_REAL, SIGMA, 0.3, 100, .help = "standard deviation, in pixels of the result"},
	{NULL}
};

#ifdef IMGAPI_EXECUTOR
static bool
run(ImgPicture *picture, const ImgStep *step)
{
	if (step->value[SIGMA] == 0)
		return true;
	if (!img_settle(picture))
		return false;
	for (int i = 0; i < picture->frames; i++)
	{
		VipsImage  *image = img_blurred(picture, picture->frame[i], step->value[SIGMA]);

		if (image == NULL)
			return false;
		img_replace_frame(picture, i, image);
	}
	return true;
}
#endif

const ImgOperation img_operation_blur = {
	.key = "blur",
	.help = "make it soft",
	.value = value,
	.slots = SLOTS,
	.run = IMG_EXECUTOR_ONLY(run),
};
