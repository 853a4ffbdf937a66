/*
 * program.c
 *	  Starting and ending the programs that stand beside the library.
 *
 * Runs in dispatchers, in the launcher, and in client backends.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "postgres.h"

#include <dlfcn.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "extension/program.h"
#include "extension/settings.h"
#include "miscadmin.h"
#include "port.h"

/* They are in a directory beside this library, wherever that was installed. */
#define PROGRAM_DIRECTORY	"imgapi"

const char *
img_program_path(const char *program)
{
	static char path[MAXPGPATH];
	Dl_info		info;

	if (dladdr(img_program_path, &info) == 0 || info.dli_fname == NULL)
		elog(ERROR, "could not find the path of the imgapi library");
	strlcpy(path, info.dli_fname, sizeof(path));
	get_parent_directory(path);
	join_path_components(path, path, PROGRAM_DIRECTORY);
	join_path_components(path, path, program);
	return path;
}

char *
img_sandbox_argument(void)
{
	static const char *const sandboxes[] = {"--sandbox=require", "--sandbox=prefer", "--sandbox=off"};

	return unconstify(char *, sandboxes[imgapi_sandbox]);
}

char *
img_parent_argument(void)
{
	static char parent[32];

	snprintf(parent, sizeof(parent), "--parent=%d", (int) MyProcPid);
	return parent;
}

/*
 * A new session, so that signals to PostgreSQL's process group pass it by; an
 * empty environment; every signal at its default; no descriptor but those
 * named here.
 */
pid_t
img_program_spawn(char **argv, int fd3, int fd4)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t	none;
	sigset_t	all;
	char	   *environment[] = {NULL};
	pid_t		pid;
	int			error;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	/* dup2 of a descriptor onto itself would keep close-on-exec: go by way of
	 * numbers that nobody has */
	posix_spawn_file_actions_adddup2(&actions, fd3, 1000);
	if (fd4 >= 0)
		posix_spawn_file_actions_adddup2(&actions, fd4, 1001);
	posix_spawn_file_actions_adddup2(&actions, 1000, 3);
	if (fd4 >= 0)
		posix_spawn_file_actions_adddup2(&actions, 1001, 4);
	posix_spawn_file_actions_addclosefrom_np(&actions, fd4 >= 0 ? 5 : 4);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	error = posix_spawn(&pid, img_program_path(argv[0]), &actions, &attributes, argv, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	if (error != 0)
	{
		errno = error;
		return -1;
	}
	return pid;
}

const char *
img_program_end(pid_t pid)
{
	static char how[96];
	int			status = 0;
	int			reaped;

	if (pid <= 0)
		return "not started";
	/* Harmless if it is dead already: it is ours and not reaped. */
	kill(pid, SIGKILL);
	do
		reaped = waitpid(pid, &status, 0);
	while (reaped < 0 && errno == EINTR);
	if (reaped < 0)
		strlcpy(how, "vanished", sizeof(how));
	else if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "killed by signal %d: %s", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof(how), "exited with status %d", WEXITSTATUS(status));
	return how;
}
