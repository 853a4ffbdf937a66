/*
 * padding.c
 *	  Margins around the picture: remote servers only.
 *
 * Contract: padding of the edit contract, a string such as "10%".
 */
#include "plan/plan.h"

const ImgOperation img_operation_padding = {
	.key = "padding",
	.help = "margins around the picture, such as \"10%\" or \"5% 25%\"",
	.servers = "claid",
};
