/*
 * restorations.c
 *	  Repairs and enlarges with a model: remote servers only.
 *
 * Contract: restorations of the edit contract.
 */
#include "plan/plan.h"

enum
{
	DECOMPRESS, UPSCALE, POLISH, SLOTS
};

static const ImgChoice decompressions[] = {
	{"moderate", NULL, "claid"},
	{"strong", NULL, "claid"},
	{"auto", NULL, "claid"},
	{NULL}
};

static const ImgArgument photo_members[] = {
	{"version", IMG_ANY, .help = "model version, \"2\" or \"3\""},
	{NULL}
};

static const ImgChoice upscales[] = {
	{"smart_enhance", NULL, "claid, topaz"},
	{"smart_resize", NULL, "claid, topaz"},
	{"faces", NULL, "claid, topaz"},
	{"digital_art", NULL, "claid, topaz"},
	{"photo", photo_members, "claid, topaz"},
	{NULL}
};

static const ImgArgument arguments[] = {
	{"decompress", IMG_CHOICE, DECOMPRESS, .initial = -1, .choices = decompressions, .help = "remove traces of JPEG compression"},
	{"upscale", IMG_CHOICE, UPSCALE, .initial = -1, .choices = upscales, .help = "model for enlarging"},
	{"polish", IMG_BOOL, POLISH, .servers = "claid", .help = "redraw detail after enlarging"},
	{NULL}
};

const ImgOperation img_operation_restorations = {
	.key = "restorations",
	.help = "repair and enlarge with a model",
	.arguments = arguments,
	.slots = SLOTS,
};
