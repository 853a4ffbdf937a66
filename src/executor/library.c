/*
 * library.c
 *	  libvips: starting it, and what it can do on this machine.
 *
 * Runs in imgapi-executor.
 */
#include <dlfcn.h>
#include <gmodule.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "executor/library.h"
#include "executor/pipeline.h"

/* Where libvips keeps its modules: executor.mk asks pkg-config. */
#ifndef IMG_VIPS_LIBDIR
#define IMG_VIPS_LIBDIR "/usr/lib"
#endif

#define SAMPLE_SIDE		16

/* Libraries below would write to stderr, which nobody reads. */
static void
drop_message(const gchar *domain, GLogLevelFlags level, const gchar *message, gpointer unused)
{
}

/*
 * The one module that is wanted: HEIC and AVIF.  Loading all of them, as
 * libvips does by itself, takes twice the start-up time and memory.  A libvips
 * that has HEIF built in, or not at all, goes on without.
 */
static void
load_heif_module(void)
{
	char		path[512];
	GModule    *module;

	if (vips_type_find("VipsOperation", "heifload_buffer") != 0)
		return;
	snprintf(path, sizeof(path), "%s/vips-modules-%d.%d/vips-heif.so", IMG_VIPS_LIBDIR,
			 vips_version(0), vips_version(1));
	module = g_module_open(path, G_MODULE_BIND_LAZY);
	if (module != NULL)
		g_module_make_resident(module);
}

/*
 * The quantiser of GIF brings a pool of threads of its own, which would spin
 * on the processors of other executors.
 */
static void
limit_openmp(void)
{
	void		(*set_threads) (int) = (void (*) (int)) dlsym(RTLD_DEFAULT, "omp_set_num_threads");

	if (set_threads != NULL)
		set_threads(1);
}

bool
img_library_start(bool verbose)
{
	if (!verbose)
		g_log_set_default_handler(drop_message, NULL);

	/* libvips searches its modules below this; it shall find none. */
	setenv("VIPSHOME", "/nonexistent", 1);
	/* No temporary files: what does not fit into memory is refused. */
	setenv("VIPS_DISC_THRESHOLD", "1024g", 1);
	/* Nothing compiled at run time: it costs more than it saves for what is
	 * left to libvips here, and needs executable memory. */
	setenv("ORC_CODE", "backup,emulate", 1);
	setenv("VIPS_NOVECTOR", "1", 1);
	if (VIPS_INIT("imgapi-executor"))
		return false;
	limit_openmp();
	load_heif_module();
	vips_block_untrusted_set(TRUE);
	vips_cache_set_max(0);
	vips_concurrency_set(1);
	return true;
}

static VipsImage *
sample(void)
{
	VipsImage  *black;
	VipsImage  *image = NULL;

	if (vips_black(&black, SAMPLE_SIDE, SAMPLE_SIDE, "bands", 3, NULL))
		return NULL;
	vips_copy(black, &image, "interpretation", VIPS_INTERPRETATION_sRGB, NULL);
	g_object_unref(black);
	return image;
}

/* Writes the sample and reads it back. */
static void
try_format(const ImgFormat *format, ImgFormatAbility *ability)
{
	ImgRequest	request = {.limits = {UINT64_MAX, UINT32_MAX, UINT32_MAX, 0, UINT32_MAX}};
	ImgPicture	picture = {.request = &request, .client = -1, .orientation = 1, .output_format = format};
	ImgPicture	back = {.request = &request, .client = -1, .orientation = 1};
	void	   *data = NULL;
	size_t		length;

	picture.frame = g_new0(VipsImage *, 1);
	picture.frame[0] = sample();
	picture.frames = 1;
	img_step_defaults(&picture.output, format->options);
	if (picture.frame[0] != NULL && img_save(&picture, &data, &length))
	{
		ability->can_save = 1;
		back.data = data;
		back.length = length;
		if (img_open(&back) && img_load(&back) && img_scale(&back, SAMPLE_SIDE / 2, SAMPLE_SIDE / 2, NULL) &&
			img_settle(&back))
			ability->can_load = 1;
	}
	img_free_frames(&picture);
	img_free_frames(&back);
	free(data);
	vips_error_clear();
}

/*
 * Newer libheif loads its codecs as plugins when it sees the first file.  A
 * header without a picture is enough; their encoders would take long.
 */
static void
warm_heif(void)
{
	static const unsigned char header[] = "\0\0\0\x1c" "ftypavif\0\0\0\0" "avifmif1miaf";
	ImgRequest	request = {.limits = {UINT64_MAX, UINT32_MAX, UINT32_MAX, 0, UINT32_MAX}};
	ImgPicture	picture = {.request = &request, .client = -1, .orientation = 1,
		.data = header, .length = sizeof(header) - 1};

	img_open(&picture);
	img_free_frames(&picture);
	vips_error_clear();
}

void
img_library_warm(void)
{
	warm_heif();
	for (int i = 0; i < img_format_count; i++)
	{
		ImgFormatAbility ignored;

		if (img_formats[i]->can_save && strncmp(img_formats[i]->loader, "heif", 4) != 0)
			try_format(img_formats[i], &ignored);
	}
}

void
img_library_abilities(ImgFormatAbility *ability)
{
	memset(ability, 0, img_format_count * sizeof(ImgFormatAbility));
	for (int i = 0; i < img_format_count; i++)
	{
		if (img_formats[i]->can_save)
			try_format(img_formats[i], &ability[i]);
		else
			ability[i].can_load = vips_type_find("VipsOperation", img_formats[i]->loader) != 0;
	}
}
