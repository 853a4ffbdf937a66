/*
 * main.c
 *	  imgapi-fetcher: does HTTP for a dispatcher, and nothing else.
 *
 *	imgapi-fetcher owned [--sandbox=require|prefer|off] [--transfers=N]
 *						 [--memory=MB] [--ca=FILE] [--parent=PID] [--verbose]
 *
 * Started by a background worker of PostgreSQL with its socket as descriptor 3
 * (fetch.h).  It links libcurl and neither PostgreSQL nor a codec: what a peer
 * sends is moved, never looked at.  Secrets come in requests, never in
 * arguments or the environment, which others can see.
 */
#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "fetcher/confinement.h"
#include "fetcher/resolver.h"
#include "fetcher/serve.h"
#include "fetcher/transfer.h"
#include "fetcher/trust.h"
#include "program/start.h"

/* Enough for glibc's resolver, whose threads would map 8 MB each. */
#define STACK_SIZE		(512 * 1024)

typedef struct Settings
{
	ImgSandbox	sandbox;
	unsigned	transfers;
	size_t		memory;			/* MB; 0: no limit */
	const char *ca;				/* NULL: that of libcurl */
	pid_t		parent;
	bool		verbose;
} Settings;

static int
usage(void)
{
	fprintf(stderr,
			"imgapi-fetcher is started by the background workers of imgapi.\n"
			"usage: imgapi-fetcher owned [--sandbox=require|prefer|off] [--transfers=N] [--memory=MB] [--ca=FILE] [--parent=PID] [--verbose]\n");
	return 2;
}

static bool
parse_arguments(int argc, char **argv, Settings *settings)
{
	if (argc < 2 || strcmp(argv[1], IMG_MODE_OWNED) != 0)
		return false;
	for (int i = 2; i < argc; i++)
	{
		if (strncmp(argv[i], "--sandbox=", 10) == 0)
		{
			if (!img_sandbox_parse(argv[i] + 10, &settings->sandbox))
				return false;
		}
		else if (strncmp(argv[i], "--transfers=", 12) == 0)
			settings->transfers = strtoul(argv[i] + 12, NULL, 10);
		else if (strncmp(argv[i], "--memory=", 9) == 0)
			settings->memory = strtoul(argv[i] + 9, NULL, 10);
		else if (strncmp(argv[i], "--ca=", 5) == 0)
			settings->ca = argv[i] + 5;
		else if (strncmp(argv[i], "--parent=", 9) == 0)
			settings->parent = strtol(argv[i] + 9, NULL, 10);
		else if (strcmp(argv[i], "--verbose") == 0)
			settings->verbose = true;
		else
			return false;
	}
	return settings->transfers > 0 && settings->transfers <= 65536;
}

static int
refuse(const char *what, const char *why)
{
	char		text[IMG_MAX_TEXT];

	snprintf(text, sizeof(text), "%s: %s", what, why);
	img_say_ready(IMG_WIRE_FD, IMG_FETCH_FAILED, text);
	return EXIT_FAILURE;
}

/* A shorter stack only matters where memory is bounded. */
static void
bound_stacks(void)
{
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	pthread_setattr_default_np(&attributes);
	pthread_attr_destroy(&attributes);
}

static bool
start_curl(const Settings *settings, const char **problem)
{
	setlocale(LC_CTYPE, "C.UTF-8"); /* names that are not ASCII */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
	{
		*problem = "curl_global_init() failed";
		return false;
	}
	if ((curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_ASYNCHDNS) == 0)
	{
		*problem = "it resolves names one at a time";
		return false;
	}
	return img_trust_load(settings->ca, problem);
}

int
main(int argc, char **argv)
{
	Settings	settings = {.sandbox = IMG_SANDBOX_PREFER, .transfers = IMG_FETCH_TRANSFERS, .memory = 512};
	const char *sandbox;
	const char *problem = NULL;
	size_t		descriptors;

	if (!parse_arguments(argc, argv, &settings))
		return usage();
	/* whatever else the parent had open is not ours */
	if (!img_program_settle(settings.parent, IMG_WIRE_FD + 1))
		return EXIT_FAILURE;
	if (!settings.verbose)
		img_program_silence();
	bound_stacks();
	if (!start_curl(&settings, &problem))
		return refuse("libcurl cannot be used", problem);
	img_resolver_remember();
	descriptors = img_sandbox_limits(settings.memory, img_serve_descriptors(settings.transfers));
	sandbox = img_sandbox_early(settings.sandbox, &img_fetcher_confinement);
	if (!img_serve_start(settings.transfers, descriptors))
		return refuse("the fetcher cannot start", "out of memory or descriptors");
	sandbox = img_sandbox_close(settings.sandbox, &img_fetcher_confinement, sandbox, &problem);
	if (sandbox == NULL)
		return refuse("imgapi.sandbox requires what is not to be had", problem);
	if (img_say_ready(IMG_WIRE_FD, IMG_FETCH_DONE, sandbox) != 0)
		return EXIT_FAILURE;
	/* no clean-up: a thread that still resolves a name would use what is freed */
	_exit(img_serve(strstr(sandbox, "landlock") != NULL));
}
