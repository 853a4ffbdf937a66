/*
 * executor_process.c
 *	  Starting, feeding and ending executors.
 *
 * Runs in dispatchers, in the launcher, and in client backends of a server
 * that does not preload imgapi.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "postgres.h"

#include <dlfcn.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "extension/executor_process.h"
#include "extension/settings.h"
#include "miscadmin.h"
#include "port.h"
#include "storage/fd.h"

/* What a slot's memfd may keep between jobs. */
#define KEPT_MEMORY		(4 * 1024 * 1024)

#define EXECUTOR_PROGRAM	"imgapi/imgapi-executor"

/* The program stands beside this library, wherever that was installed. */
static const char *
program_path(void)
{
	static char path[MAXPGPATH];
	Dl_info		info;

	if (path[0] != '\0')
		return path;
	if (dladdr(program_path, &info) == 0 || info.dli_fname == NULL)
		elog(ERROR, "could not find the path of the imgapi library");
	strlcpy(path, info.dli_fname, sizeof(path));
	get_parent_directory(path);
	join_path_components(path, path, EXECUTOR_PROGRAM);
	return path;
}

/*
 * A new session, so that signals to PostgreSQL's process group pass it by; an
 * empty environment; every signal at its default; no descriptor but those
 * named here.
 */
static pid_t
spawn(const char *mode, int fd3, int fd4)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t	none;
	sigset_t	all;
	char		sandbox[32];
	char		memory[32];
	char		parent[32];
	char	   *argv[] = {"imgapi-executor", (char *) mode, sandbox, memory, parent, NULL};
	char	   *environment[] = {NULL};
	static const char *const sandboxes[] = {"require", "prefer", "off"};
	pid_t		pid;
	int			error;

	snprintf(sandbox, sizeof(sandbox), "--sandbox=%s", sandboxes[imgapi_sandbox]);
	snprintf(memory, sizeof(memory), "--memory=%d", imgapi_executor_memory);
	snprintf(parent, sizeof(parent), "--parent=%d", (int) MyProcPid);
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
	error = posix_spawn(&pid, program_path(), &actions, &attributes, argv, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	if (error != 0)
	{
		errno = error;
		return -1;
	}
	return pid;
}

static void
start(ImgExecutor *executor, const char *mode, int listener)
{
	int			pair[2];
	int			error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not make a socket pair for an image executor: %m")));
	if (listener < 0)
		executor->pid = spawn(mode, pair[1], -1);
	else
		executor->pid = spawn(mode, listener, pair[1]);
	error = errno;
	close(pair[1]);
	if (executor->pid < 0)
	{
		close(pair[0]);
		executor->pid = 0;
		executor->socket = -1;
		errno = error;
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not start the image executor \"%s\": %m", program_path()),
				 errhint("Install it: make install in the imgapi source, or the package that holds imgapi.")));
	}
	executor->socket = pair[0];
	executor->ready = false;
}

int
img_new_memfd(void)
{
	int			fd = memfd_create("imgapi", MFD_CLOEXEC);

	if (fd < 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not make a memory file: %m")));
	return fd;
}

void
img_executor_start(ImgExecutor *executor, int slots)
{
	ImgRequest	hello = {.magic = IMG_WIRE_MAGIC, .version = IMG_WIRE_VERSION, .type = IMG_HELLO};
	ImgPart		part = {&hello, sizeof(hello)};

	memset(executor, 0, sizeof(*executor));
	for (int i = 0; i < IMG_MAX_SLOT_FDS; i++)
		executor->memfd[i] = -1;
	executor->socket = -1;
	for (executor->slots = 0; executor->slots < slots; executor->slots++)
		executor->memfd[executor->slots] = img_new_memfd();
	start(executor, IMG_MODE_OWNED, -1);
	if (img_send(executor->socket, &part, 1, executor->memfd, slots, MSG_DONTWAIT) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not greet the image executor: %m")));
}

void
img_executor_start_in_pool(ImgExecutor *executor, int listener)
{
	memset(executor, 0, sizeof(*executor));
	start(executor, IMG_MODE_POOL, listener);
}

const char *
img_executor_end(ImgExecutor *executor)
{
	static char how[96];
	int			status = 0;

	if (executor->pid > 0)
	{
		int			reaped;

		/* Harmless if it is dead already: it is ours and not reaped. */
		kill(executor->pid, SIGKILL);
		do
			reaped = waitpid(executor->pid, &status, 0);
		while (reaped < 0 && errno == EINTR);
		if (reaped < 0)
			strlcpy(how, "vanished", sizeof(how));
		else if (WIFSIGNALED(status))
			snprintf(how, sizeof(how), "killed by signal %d: %s", WTERMSIG(status), strsignal(WTERMSIG(status)));
		else
			snprintf(how, sizeof(how), "exited with status %d", WEXITSTATUS(status));
	}
	if (executor->socket >= 0)
		close(executor->socket);
	for (int i = 0; i < executor->slots; i++)
		close(executor->memfd[i]);
	executor->pid = 0;
	executor->socket = -1;
	executor->slots = 0;
	executor->ready = false;
	return how;
}

void
img_request_parts(ImgRequest *request, ImgPart *parts, ImgRequestType type, uint64 id,
				  const ImgLimits *limits, const ImgPlan *plan, const ImgInput *input)
{
	size_t		length = img_input_length(input);
	bool		is_inline = length > 0 && length <= IMG_INLINE_INPUT;

	*request = (ImgRequest) {
		.magic = IMG_WIRE_MAGIC, .version = IMG_WIRE_VERSION, .type = type, .id = id,
		.limits = *limits, .input_length = length, .other_length = input->other_length,
		.plan_length = plan ? img_plan_size(plan) : 0,
		.place = length == 0 ? IMG_NOWHERE : is_inline ? IMG_INLINE : IMG_MEMFD
	};
	parts[0] = (ImgPart) {request, sizeof(*request)};
	parts[1] = (ImgPart) {plan, request->plan_length};
	parts[2] = (ImgPart) {input->data, is_inline ? input->length : 0};
	parts[3] = (ImgPart) {input->other, is_inline ? input->other_length : 0};
}

bool
img_executor_send(ImgExecutor *executor, int slot, ImgRequestType type, uint64 id,
				  const ImgLimits *limits, const ImgPlan *plan, const ImgInput *input)
{
	ImgRequest	request;
	ImgPart		parts[IMG_REQUEST_PARTS];

	img_request_parts(&request, parts, type, id, limits, plan, input);
	request.slot = slot;
	return img_send(executor->socket, parts, IMG_REQUEST_PARTS, NULL, 0, MSG_DONTWAIT) == 0;
}

void
img_memfd_put(int memfd, const ImgInput *input)
{
	if (img_write_all(memfd, input->data, input->length, 0) != 0 ||
		img_write_all(memfd, input->other, input->other_length, input->length) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not write to a memory file: %m")));
}

void
img_trim_memfd(int memfd, size_t used)
{
	if (used > KEPT_MEMORY && ftruncate(memfd, 0) != 0)
		elog(DEBUG1, "could not shorten a memory file: %m");
}
