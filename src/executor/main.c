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
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <vips/vips.h>

#include "executor/library.h"
#include "executor/request.h"
#include "executor/sandbox.h"
#include "executor/serve.h"

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
parse_sandbox(const char *word, ImgSandbox *sandbox)
{
	static const char *const words[] = {"require", "prefer", "off"};

	for (int i = 0; i < 3; i++)
	{
		if (strcmp(word, words[i]) == 0)
		{
			*sandbox = i;
			return true;
		}
	}
	return false;
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
			if (!parse_sandbox(argv[i] + 10, &settings->sandbox))
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

/*
 * Pictures come and go in all sizes: without this the heap of a long-lived
 * executor grows to several times what it uses.
 */
static void
tune_memory(void)
{
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 64 * 1024);
	mallopt(M_TRIM_THRESHOLD, 128 * 1024);
}

/* PostgreSQL leaves signals blocked and ignored in what it starts. */
static void
reset_signals(void)
{
	sigset_t	none;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Whatever else the parent had open. */
static void
close_descriptors(const Settings *settings)
{
	close_range(settings->pool ? IMG_CONTROL_FD + 1 : IMG_WIRE_FD + 1, ~0U, 0);
}

/* Ends with its parent, even if the parent has no time to say so. */
static bool
follow_parent(const Settings *settings)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return settings->parent == 0 || getppid() == settings->parent;
}

/* When memory runs out, an executor goes before anything that has sessions. */
static void
offer_to_oom_killer(void)
{
	FILE	   *file = fopen("/proc/self/oom_score_adj", "w");

	if (file != NULL)
	{
		fputs("900", file);
		fclose(file);
	}
}

/* Codecs print what they think of a file. */
static void
silence(void)
{
	int			null = open("/dev/null", O_RDWR);

	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
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

	tune_memory();
	if (!parse_arguments(argc, argv, &settings))
		return usage();
	reset_signals();
	close_descriptors(&settings);
	if (!follow_parent(&settings) || chdir("/") != 0)
		return EXIT_FAILURE;
	offer_to_oom_killer();
	if (!settings.verbose)
		silence();
	socket = settings.pool ? IMG_CONTROL_FD : IMG_WIRE_FD;
	if (!img_library_start(settings.verbose))
		return refuse(socket, "libvips does not start", vips_error_buffer());
	sandbox = img_sandbox_early(settings.sandbox);
	img_library_warm();
	img_sandbox_limits(settings.memory);
	sandbox = img_sandbox_close(settings.sandbox, sandbox, &problem);
	if (sandbox == NULL)
		return refuse(socket, "imgapi.sandbox requires seccomp, which is not to be had", problem);
	if (!img_say_ready(socket, IMG_DONE, sandbox))
		return EXIT_FAILURE;
	return settings.pool ? img_serve_pool() : img_serve_owner();
}
