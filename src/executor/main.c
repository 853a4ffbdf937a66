/*
 * main.c
 *	  imgapi-executor: works on pictures, and on nothing else.
 *
 *	imgapi-executor owned|pool [--sandbox=require|prefer|off] [--memory=MB]
 *							   [--parent=PID] [--verbose]
 *
 * Started by a background worker of PostgreSQL with its sockets as descriptors
 * 3 and, in a pool, 4 (wire.h).  It links libvips and no PostgreSQL: a file
 * that crashes a decoder ends this process and one attempt at one job.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <vips/vips.h>

#include "executor/confinement.h"
#include "executor/library.h"
#include "executor/memory.h"
#include "executor/request.h"
#include "executor/serve.h"
#include "executor/unpack.h"
#include "program/start.h"

typedef struct Settings
{
	bool		pool;
	ImgSandbox	sandbox;
	size_t		memory;			/* MB */
	pid_t		parent;
	bool		verbose;
} Settings;

static int
usage(void)
{
	fprintf(stderr,
			"imgapi-executor is started by the background workers of imgapi.\n"
			"usage: imgapi-executor owned|pool [--sandbox=require|prefer|off] [--memory=MB] [--parent=PID] [--verbose]\n");
	return 2;
}

static bool
parse_arguments(int argc, char **argv, Settings *settings)
{
	if (argc < 2 || (strcmp(argv[1], IMG_MODE_OWNED) != 0 && strcmp(argv[1], IMG_MODE_POOL) != 0))
		return false;
	settings->pool = strcmp(argv[1], IMG_MODE_POOL) == 0;
	for (int i = 2; i < argc; i++)
	{
		if (strncmp(argv[i], "--sandbox=", 10) == 0)
		{
			if (!img_sandbox_parse(argv[i] + 10, &settings->sandbox))
				return false;
		}
		else if (strncmp(argv[i], "--memory=", 9) == 0)
			settings->memory = strtoul(argv[i] + 9, NULL, 10);
		else if (strncmp(argv[i], "--parent=", 9) == 0)
			settings->parent = strtol(argv[i] + 9, NULL, 10);
		else if (strcmp(argv[i], "--verbose") == 0)
			settings->verbose = true;
		else
			return false;
	}
	return true;
}

static int
refuse(int socket, const char *what, const char *why)
{
	char		text[IMG_MAX_TEXT];

	snprintf(text, sizeof(text), "%s: %s", what, why);
	img_say_ready(socket, IMG_FAILURE, text);
	return EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	Settings	settings = {.sandbox = IMG_SANDBOX_PREFER};
	const char *sandbox;
	const char *problem = NULL;
	int			socket;

	img_tune_memory();
	if (!parse_arguments(argc, argv, &settings))
		return usage();
	/* whatever else the parent had open is not ours */
	if (!img_program_settle(settings.parent, settings.pool ? IMG_CONTROL_FD + 1 : IMG_WIRE_FD + 1))
		return EXIT_FAILURE;
	if (!settings.verbose)
		img_program_silence();
	socket = settings.pool ? IMG_CONTROL_FD : IMG_WIRE_FD;
	if (!img_library_start(settings.verbose))
		return refuse(socket, "libvips does not start", vips_error_buffer());
	sandbox = img_sandbox_early(settings.sandbox, &img_executor_confinement);
	img_library_warm();
	img_unpack_warm();
	img_sandbox_limits(settings.memory > 0 ? settings.memory + IMG_KEPT_MEGABYTES : 0, IMG_EXECUTOR_DESCRIPTORS);
	sandbox = img_sandbox_close(settings.sandbox, &img_executor_confinement, sandbox, &problem);
	if (sandbox == NULL)
		return refuse(socket, "imgapi.sandbox requires seccomp, which is not to be had", problem);
	if (!img_say_ready(socket, IMG_DONE, sandbox))
		return EXIT_FAILURE;
	return settings.pool ? img_serve_pool() : img_serve_owner();
}
