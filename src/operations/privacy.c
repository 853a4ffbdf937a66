/*
 * privacy.c
 *	  Hides what tells who it is: remote servers only.
 *
 * Contract: privacy of the edit contract.
 */
#include "plan/plan.h"

enum
{
	BLUR_CAR_PLATE, IDENTITY_CROP, SLOTS
};

static const ImgArgument arguments[] = {
	{"blur_car_plate", IMG_BOOL, BLUR_CAR_PLATE, .servers = "claid", .help = "blur licence plates"},
	{"identity_crop", IMG_BOOL, IDENTITY_CROP, .servers = "claid", .help = "cut the picture above the mouth"},
	{NULL}
};

const ImgOperation img_operation_privacy = {
	.key = "privacy",
	.help = "hide what tells who it is",
	.arguments = arguments,
	.slots = SLOTS,
};
