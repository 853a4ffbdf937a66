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

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "extension/executor_process.h"
#include "extension/program.h"
#include "extension/settings.h"
#include "miscadmin.h"
#include "storage/fd.h"

/* What a slot's memfd may keep between jobs. */
#define KEPT_MEMORY		(4 * 1024 * 1024)

#define EXECUTOR_PROGRAM	"imgapi-executor"

static pid_t
spawn(const char *mode, int fd3, int fd4)
{
	char		memory[32];
	char	   *argv[] = {EXECUTOR_PROGRAM, (char *) mode, img_sandbox_argument(), memory, img_parent_argument(), NULL};

	snprintf(memory, sizeof(memory), "--memory=%d", imgapi_executor_memory);
	return img_program_spawn(argv, fd3, fd4);
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
				 errmsg("could not start the image executor \"%s\": %m", img_program_path(EXECUTOR_PROGRAM)),
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
	const char *how = img_program_end(executor->pid);

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
		.limits = *limits, .input_length = length, .other_length = input->other.length,
		.plan_length = plan ? img_plan_size(plan) : 0,
		.place = length == 0 ? IMG_NOWHERE : is_inline ? IMG_INLINE : IMG_MEMFD
	};
	parts[0] = (ImgPart) {request, sizeof(*request)};
	parts[1] = (ImgPart) {plan, request->plan_length};
	parts[2] = (ImgPart) {input->picture.data, is_inline ? input->picture.length : 0};
	parts[3] = (ImgPart) {input->other.data, is_inline ? input->other.length : 0};
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

int
img_memfd_copy(int to, off_t at, int from, size_t length)
{
	off_t		done = 0;

	if (lseek(to, at, SEEK_SET) < 0)
		return -1;
	while (done < length)
	{
		ssize_t		n = sendfile(to, from, &done, length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
	}
	return 0;
}

static int
put_bytes(int memfd, off_t at, const ImgBytes *bytes)
{
	if (bytes->data == NULL && bytes->length > 0)
		return img_memfd_copy(memfd, at, bytes->memfd, bytes->length);
	return img_write_all(memfd, bytes->data, bytes->length, at);
}

void
img_memfd_put(int memfd, const ImgInput *input)
{
	if (put_bytes(memfd, 0, &input->picture) != 0 ||
		put_bytes(memfd, input->picture.length, &input->other) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not write to a memory file: %m")));
}

void
img_trim_memfd(int memfd, size_t used)
{
	if (used > KEPT_MEMORY && ftruncate(memfd, 0) != 0)
		elog(DEBUG1, "could not shorten a memory file: %m");
}
