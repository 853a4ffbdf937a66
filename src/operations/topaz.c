/*
 * topaz.c
 *	  What Topaz' API has and the edit contract has no name for: servers only.
 *
 * {"endpoint": "denoise", "model": "Strong", "settings": {"strength": 0.5}}
 */
#include "plan/plan.h"

static const ImgArgument arguments[] = {
	{"endpoint", IMG_ANY, .servers = "topaz", .help = "enhance, enhance-gen, sharpen, sharpen-gen, denoise, restore-gen, lighting, matting or tool"},
	{"model", IMG_ANY, .servers = "topaz", .help = "name of a model; the endpoint's own when not given"},
	{"settings", IMG_ANY, .servers = "topaz", .help = "of the model: {\"strength\": 0.5, ...}"},
	{NULL}
};

const ImgOperation img_operation_topaz = {
	.key = "topaz",
	.help = "what Topaz' API has and the contract has no name for",
	.arguments = arguments,
};
