/*
 * metadata.c
 *	  output.metadata of the edit contract: what a written file says of itself.
 *
 * Everything that came with the source (EXIF, GPS, XMP, thumbnails) is left
 * out of results; pixels are sRGB unless CMYK is asked for.
 */
#include "plan/plan.h"

static const ImgChoice color_profiles[] = {
	{"USWeb_Coated", NULL, "claid"},
	{"USWeb_Uncoated", NULL, "claid"},
	{"ISO_Coated", NULL, "claid"},
	{"ISO_Uncoated", NULL, "claid"},
	{NULL}
};

static const ImgArgument cmyk_members[] = {
	{"color_profile", IMG_CHOICE, IMG_METADATA_COLOR_PROFILE, .initial = -1, .choices = color_profiles,
	.help = "press profile; without it libvips' own CMYK profile"},
	{NULL}
};

static const ImgChoice color_spaces[] = {
	{"RGB"},
	{"CMYK", cmyk_members},
	{NULL}
};

const ImgArgument img_metadata_arguments[] = {
	{"dpi", IMG_INTEGER, IMG_METADATA_DPI, 1, 10000, 0, .help = "resolution written to the file; the source's when not given"},
	{"color_space", IMG_CHOICE, IMG_METADATA_COLOR_SPACE, .choices = color_spaces,
	.help = "CMYK for jpeg and tiff only"},
	{NULL}
};
