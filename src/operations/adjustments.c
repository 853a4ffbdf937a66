/*
 * adjustments.c
 *	  Colour and tone.
 *
 * Contract: adjustments of the edit contract.  Values other than 0 run on
 * remote servers only.
 */
#include "plan/plan.h"

enum
{
	HDR, EXPOSURE, SATURATION, CONTRAST, SHARPNESS, SLOTS
};

static const ImgArgument hdr_members[] = {
	{"intensity", IMG_ANY, .help = "0 to 100 (100)"},
	{"stitching", IMG_ANY, .help = "merge tile by tile"},
	{NULL}
};

static const ImgArgument arguments[] = {
	{"hdr", IMG_INTEGER, HDR, 0, 100, .members = hdr_members, .servers = "claid", .help = "local contrast"},
	{"exposure", IMG_INTEGER, EXPOSURE, -100, 100, .servers = "claid", .help = "darker or lighter"},
	{"saturation", IMG_INTEGER, SATURATION, -100, 100, .servers = "claid", .help = "greyer or more colourful"},
	{"contrast", IMG_INTEGER, CONTRAST, -100, 100, .servers = "claid", .help = "flatter or harder"},
	{"sharpness", IMG_INTEGER, SHARPNESS, 0, 100, .servers = "claid", .help = "sharper"},
	{NULL}
};

const ImgOperation img_operation_adjustments = {
	.key = "adjustments",
	.help = "colour and tone",
	.arguments = arguments,
	.slots = SLOTS,
};
