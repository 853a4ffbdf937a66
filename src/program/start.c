/*
 * start.c
 *	  How a helper program settles in, whatever its parent left it.
 *
 * Runs in imgapi-executor and imgapi-fetcher, first of all.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "program/start.h"

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

/* Ends with its parent, even if the parent has no time to say so. */
static bool
follow_parent(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return parent == 0 || getppid() == parent;
}

/* When memory runs out, a helper goes before anything that has sessions. */
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

bool
img_program_settle(pid_t parent, int first_foreign)
{
	reset_signals();
	close_range(first_foreign, ~0U, 0);
	if (!follow_parent(parent) || chdir("/") != 0)
		return false;
	offer_to_oom_killer();
	return true;
}

void
img_program_silence(void)
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
