/*
 * plain_libvips.c
 *	  The work of each operation in plain libvips, without anything of imgapi.
 *
 *	plain_libvips WORK FILE FORMAT
 *
 * Reads FILE once, then decodes, works and encodes for each line of its input,
 * memory to memory, and prints the bytes of the result. bench/operations calls
 * it, and looks at what the process has used; what each work is stands beside
 * its name in works[]. The decoder and the encoder are libvips' own, with the
 * options that imgapi has by default.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vips/vips.h>

static const void *file;
static size_t file_length;

static double white[4] = {255, 255, 255, 255};

static void
die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, vips_error_buffer());
	exit(1);
}

static void
check(int failed, const char *what)
{
	if (failed)
		die(what);
}

static VipsImage *
load(VipsAccess access)
{
	VipsImage  *image = vips_image_new_from_buffer(file, file_length, "", "access", access, NULL);

	if (image == NULL)
		die("load");
	return image;
}

/* What needs more than a line of pixels gets all of them. */
static VipsImage *
load_all(void)
{
	VipsImage  *lazy = load(VIPS_ACCESS_SEQUENTIAL);
	VipsImage  *image = vips_image_copy_memory(lazy);

	g_object_unref(lazy);
	if (image == NULL)
		die("decode");
	return image;
}

static VipsImage *
nothing(void)
{
	return load(VIPS_ACCESS_SEQUENTIAL);
}

static VipsImage *
thumbnail(int width, int height)
{
	VipsImage  *image;

	check(vips_thumbnail_buffer((void *) file, file_length, &image, width, "height", height, NULL), "thumbnail");
	return image;
}

static VipsImage *
bounds(void)
{
	return thumbnail(1024, 1024);
}

static VipsImage *
cropped_fit(void)
{
	VipsImage  *image;

	check(vips_thumbnail_buffer((void *) file, file_length, &image, 800, "height", 800,
								"crop", VIPS_INTERESTING_CENTRE, NULL), "thumbnail");
	return image;
}

static VipsImage *
smart(void)
{
	VipsImage  *image;

	check(vips_thumbnail_buffer((void *) file, file_length, &image, 800, "height", 800,
								"crop", VIPS_INTERESTING_ATTENTION, NULL), "thumbnail");
	return image;
}

static VipsImage *
canvas(void)
{
	VipsImage  *small = thumbnail(1024, 1024);
	VipsArrayDouble *background = vips_array_double_new(white, 3);
	VipsImage  *image;

	check(vips_gravity(small, &image, VIPS_COMPASS_DIRECTION_CENTRE, 1024, 1024,
					   "extend", VIPS_EXTEND_BACKGROUND, "background", background, NULL), "gravity");
	vips_area_unref(VIPS_AREA(background));
	g_object_unref(small);
	return image;
}

static VipsImage *
padding(void)
{
	VipsImage  *whole = load(VIPS_ACCESS_SEQUENTIAL);
	VipsArrayDouble *background = vips_array_double_new(white, 3);
	VipsImage  *small;
	VipsImage  *image;

	check(vips_resize(whole, &small, 0.8, NULL), "resize");
	check(vips_gravity(small, &image, VIPS_COMPASS_DIRECTION_CENTRE, whole->Xsize, whole->Ysize,
					   "extend", VIPS_EXTEND_BACKGROUND, "background", background, NULL), "gravity");
	vips_area_unref(VIPS_AREA(background));
	g_object_unref(whole);
	g_object_unref(small);
	return image;
}

static VipsImage *
right_angle(void)
{
	VipsImage  *whole = load_all();
	VipsImage  *image;

	check(vips_rot(whole, &image, VIPS_ANGLE_D90, NULL), "rot");
	g_object_unref(whole);
	return image;
}

static VipsImage *
any_angle(void)
{
	VipsImage  *whole = load_all();
	VipsInterpolate *bicubic = vips_interpolate_new("bicubic");
	VipsArrayDouble *background = vips_array_double_new(white, 3);
	VipsImage  *image;

	check(vips_rotate(whole, &image, 10, "interpolate", bicubic, "background", background, NULL), "rotate");
	vips_area_unref(VIPS_AREA(background));
	g_object_unref(bicubic);
	g_object_unref(whole);
	return image;
}

static VipsImage *
flip(void)
{
	VipsImage  *whole = load(VIPS_ACCESS_SEQUENTIAL);
	VipsImage  *image;

	check(vips_flip(whole, &image, VIPS_DIRECTION_HORIZONTAL, NULL), "flip");
	g_object_unref(whole);
	return image;
}

static VipsImage *
crop(void)
{
	VipsImage  *whole = load(VIPS_ACCESS_SEQUENTIAL);
	VipsImage  *image;

	check(vips_crop(whole, &image, 200, 200, 1600, 1200, NULL), "crop");
	g_object_unref(whole);
	return image;
}

static VipsImage *
trim(void)
{
	VipsImage  *whole = load_all();
	double		corner[3];
	VipsArrayDouble *background;
	VipsImage  *image;
	int			left, top, width, height;

	for (int i = 0; i < 3; i++)
		corner[i] = VIPS_IMAGE_ADDR(whole, 0, 0)[i];
	background = vips_array_double_new(corner, 3);
	check(vips_find_trim(whole, &left, &top, &width, &height, "threshold", 10.0,
						 "background", background, NULL), "find_trim");
	if (width == 0)
		check(vips_copy(whole, &image, NULL), "copy");
	else
		check(vips_crop(whole, &image, left, top, width, height, NULL), "crop");
	vips_area_unref(VIPS_AREA(background));
	g_object_unref(whole);
	return image;
}

/* Any curve of values is a table in libvips.  The curves are those of imgapi, so
 * that encoders have the same to do; see adjustments.c. */
static double
exposed(double x)
{
	double		light = x <= 0.04045 ? x / 12.92 : pow((x + 0.055) / 1.055, 2.4);
	double		gain = exp2(30 / 50.0);

	light = gain * light / (1 + (gain - 1) * light);
	return light <= 0.0031308 ? light * 12.92 : 1.055 * pow(light, 1 / 2.4) - 0.055;
}

static double
contrasted(double x)
{
	return x - 0.3 * x * (1 - x) * (1 - 2 * x);
}

static VipsImage *
curve(double (*function) (double))
{
	VipsImage  *whole = load(VIPS_ACCESS_SEQUENTIAL);
	unsigned char table[256];
	VipsImage  *lut;
	VipsImage  *image;

	for (int i = 0; i < 256; i++)
		table[i] = (unsigned char) rint(255 * fmin(fmax(function(i / 255.0), 0), 1));
	lut = vips_image_new_from_memory_copy(table, sizeof(table), 256, 1, 1, VIPS_FORMAT_UCHAR);
	check(lut == NULL || vips_maplut(whole, &image, lut, NULL), "maplut");
	g_object_unref(lut);
	g_object_unref(whole);
	return image;
}

static VipsImage *
exposure(void)
{
	return curve(exposed);
}

static VipsImage *
contrast(void)
{
	return curve(contrasted);
}

static VipsImage *
saturation(void)
{
	VipsImage  *whole = load(VIPS_ACCESS_SEQUENTIAL);
	double		s = 1.5, r = 0.2126 * (1 - s), g = 0.7152 * (1 - s), b = 0.0722 * (1 - s);
	VipsImage  *matrix = vips_image_new_matrixv(3, 3, r + s, g, b, r, g + s, b, r, g, b + s);
	VipsImage  *real;
	VipsImage  *image;

	check(vips_recomb(whole, &real, matrix, NULL), "recomb");
	check(vips_cast_uchar(real, &image, NULL), "cast");
	g_object_unref(matrix);
	g_object_unref(real);
	g_object_unref(whole);
	return image;
}

static VipsImage *
sharpness(void)
{
	VipsImage  *whole = load(VIPS_ACCESS_SEQUENTIAL);
	VipsImage  *image;

	check(vips_sharpen(whole, &image, "sigma", 1.0, NULL), "sharpen");
	g_object_unref(whole);
	return image;
}

/* Lightness less its blur, twice: what hdr does, without its curves. */
static VipsImage *
hdr(void)
{
	VipsImage  *whole = load_all();
	double		sigma = MIN(whole->Xsize, whole->Ysize) / 30.0;
	VipsImage  *luma, *base, *detail, *sum, *image;

	check(vips_colourspace(whole, &luma, VIPS_INTERPRETATION_B_W, NULL), "colourspace");
	check(vips_gaussblur(luma, &base, sigma, "min_ampl", 0.01, NULL), "gaussblur");
	check(vips_subtract(luma, base, &detail, NULL), "subtract");
	check(vips_add(whole, detail, &sum, NULL), "add");
	check(vips_cast_uchar(sum, &image, NULL), "cast");
	g_object_unref(luma);
	g_object_unref(base);
	g_object_unref(detail);
	g_object_unref(sum);
	g_object_unref(whole);
	return image;
}

static VipsImage *
blurred(double sigma)
{
	VipsImage  *whole = load(VIPS_ACCESS_SEQUENTIAL);
	VipsImage  *image;

	check(vips_gaussblur(whole, &image, sigma, "min_ampl", 0.01, NULL), "gaussblur");
	g_object_unref(whole);
	return image;
}

static VipsImage *
blur_little(void)
{
	return blurred(3);
}

static VipsImage *
blur_much(void)
{
	return blurred(20);
}

static VipsImage *
gray(void)
{
	VipsImage  *whole = load(VIPS_ACCESS_SEQUENTIAL);
	VipsImage  *image;

	check(vips_colourspace(whole, &image, VIPS_INTERPRETATION_B_W, NULL), "colourspace");
	g_object_unref(whole);
	return image;
}

/* A mask drawn as SVG, as everybody does it, on white. */
static VipsImage *
rounded(void)
{
	VipsImage  *whole = load(VIPS_ACCESS_SEQUENTIAL);
	VipsArrayDouble *background = vips_array_double_new(white, 3);
	char		svg[300];
	VipsImage  *drawn, *mask, *joined, *image;

	snprintf(svg, sizeof(svg), "<svg viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\"><rect width=\"%d\" height=\"%d\" rx=\"200\" ry=\"200\" fill=\"#fff\"/></svg>",
			 whole->Xsize, whole->Ysize, whole->Xsize, whole->Ysize, whole->Xsize, whole->Ysize);
	check(vips_svgload_buffer(svg, strlen(svg), &drawn, NULL), "svgload");
	check(vips_extract_band(drawn, &mask, 3, NULL), "extract_band");
	check(vips_bandjoin2(whole, mask, &joined, NULL), "bandjoin");
	check(vips_flatten(joined, &image, "background", background, NULL), "flatten");
	vips_area_unref(VIPS_AREA(background));
	g_object_unref(drawn);
	g_object_unref(mask);
	g_object_unref(joined);
	g_object_unref(whole);
	return image;
}

static VipsImage *
flatten(void)
{
	VipsImage  *whole = load(VIPS_ACCESS_SEQUENTIAL);
	VipsArrayDouble *background = vips_array_double_new(white, 3);
	VipsImage  *image;

	check(vips_flatten(whole, &image, "background", background, NULL), "flatten");
	vips_area_unref(VIPS_AREA(background));
	g_object_unref(whole);
	return image;
}

static const struct
{
	const char *name;
	VipsImage  *(*make) (void);
}			works[] = {
	{"nothing", nothing}, {"bounds", bounds}, {"crop_fit", cropped_fit}, {"smart", smart},
	{"canvas", canvas}, {"padding", padding}, {"right_angle", right_angle}, {"any_angle", any_angle},
	{"flip", flip}, {"crop", crop}, {"trim", trim}, {"exposure", exposure}, {"contrast", contrast}, {"saturation", saturation},
	{"sharpness", sharpness}, {"hdr", hdr}, {"blur_little", blur_little}, {"blur_much", blur_much},
	{"gray", gray}, {"round", rounded}, {"flatten", flatten}
};

static size_t
save(VipsImage *image, const char *format)
{
	void	   *data;
	size_t		length;
	int			failed;

	if (strcmp(format, "png") == 0)
		failed = vips_pngsave_buffer(image, &data, &length, "compression", 6,
									 "filter", VIPS_FOREIGN_PNG_FILTER_ALL, "strip", TRUE, NULL);
	else if (strcmp(format, "webp") == 0)
		failed = vips_webpsave_buffer(image, &data, &length, "Q", 75, "strip", TRUE, NULL);
	else if (strcmp(format, "tiff") == 0)
		failed = vips_tiffsave_buffer(image, &data, &length,
									  "compression", VIPS_FOREIGN_TIFF_COMPRESSION_LZW, "strip", TRUE, NULL);
	else
		failed = vips_jpegsave_buffer(image, &data, &length, "Q", 85, "interlace", TRUE,
									  "optimize_coding", TRUE, "strip", TRUE, NULL);
	check(failed, "save");
	g_free(data);
	return length;
}

int
main(int argc, char **argv)
{
	int			work = 0;
	int			count = sizeof(works) / sizeof(works[0]);
	char		line[16];
	gchar	   *data;

	if (argc != 4)
	{
		fprintf(stderr, "usage: plain_libvips WORK FILE FORMAT\n");
		return 2;
	}
	while (work < count && strcmp(works[work].name, argv[1]) != 0)
		work++;
	if (work == count || !g_file_get_contents(argv[2], &data, &file_length, NULL))
		die(argv[1]);
	file = data;
	VIPS_INIT(argv[0]);
	vips_cache_set_max(0);
	while (fgets(line, sizeof(line), stdin) != NULL)
	{
		VipsImage  *image = works[work].make();

		printf("%zu\n", save(image, argv[3]));
		fflush(stdout);
		g_object_unref(image);
	}
	return 0;
}
