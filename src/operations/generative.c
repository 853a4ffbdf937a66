/*
 * generative.c
 *	  Draws anew with a model: remote servers only.
 *
 * Contract: generative of the edit contract.
 */
#include "plan/plan.h"

static const ImgArgument arguments[] = {
	{"style_transfer", IMG_ANY, .servers = "claid",
	.help = "{\"style_reference_image\": URI, \"prompt\": text, ...}"},
	{NULL}
};

const ImgOperation img_operation_generative = {
	.key = "generative",
	.help = "draw anew with a model",
	.arguments = arguments,
};
