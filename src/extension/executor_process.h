/*
 * executor_process.h
 *	  Starting, feeding and ending executors.
 *
 * An executor is a child of the process that started it, never of the
 * postmaster: its death is an event on a socket, not a crash of the server.
 * Only the owner kills or reaps it, and only by the pid that posix_spawn() gave.
 */
#ifndef IMGAPI_EXECUTOR_PROCESS_H
#define IMGAPI_EXECUTOR_PROCESS_H

#include "protocol/wire.h"

typedef struct ImgExecutor
{
	pid_t		pid;			/* 0: none */
	int			socket;			/* -1: none */
	int			slots;			/* memfds handed over */
	int			memfd[IMG_MAX_SLOT_FDS];
	bool		ready;			/* has said so */
} ImgExecutor;

/* Bytes in memory or, where data is NULL, at the beginning of a memfd. */
typedef struct ImgBytes
{
	const void *data;
	int			memfd;
	size_t		length;			/* 0: none */
} ImgBytes;

/* What an executor works on: a picture, and the one that comes along.  What
 * fits into a message has to be in memory. */
typedef struct ImgInput
{
	ImgBytes	picture;
	ImgBytes	other;
} ImgInput;

static inline size_t
img_input_length(const ImgInput *input)
{
	return input->picture.length + input->other.length;
}

/*
 * Starts an executor of our own, not waiting until it is ready: its first
 * message will be a reply with id 0 whose text is the state of its sandbox.
 * Error 58000 when it cannot be started.
 */
extern void img_executor_start(ImgExecutor *executor, int slots);

/* Starts one of the pool, which accepts on listener; its socket is then only
 * for control. */
extern void img_executor_start_in_pool(ImgExecutor *executor, int listener);

/* Kills it if it lives, reaps it and closes what belonged to it.  Tells how it
 * ended, as in "killed by signal 11: Segmentation fault". */
extern const char *img_executor_end(ImgExecutor *executor);

/*
 * Sends a request with its input.  An input of more than IMG_INLINE_INPUT has
 * to lie in the slot's memfd already (img_memfd_put); the slot belongs to
 * the executor from here to its answer.  False: the socket would block or the
 * executor is gone (errno).
 */
extern bool img_executor_send(ImgExecutor *executor, int slot, ImgRequestType type, uint64 id,
							  const ImgLimits *limits, const ImgPlan *plan, const ImgInput *input);

/* The message of a request, in at most IMG_REQUEST_PARTS parts. */
#define IMG_REQUEST_PARTS	4
extern void img_request_parts(ImgRequest *request, ImgPart *parts, ImgRequestType type, uint64 id,
							  const ImgLimits *limits, const ImgPlan *plan, const ImgInput *input);

/* Writes an input to a memfd; error 58000. */
extern void img_memfd_put(int memfd, const ImgInput *input);

/* Copies so many bytes from the beginning of another memfd, by the kernel; -1
 * with errno. */
extern int	img_memfd_copy(int to, off_t at, int from, size_t length);

/* Gives memory of a slot back that a large picture has taken. */
extern void img_trim_memfd(int memfd, size_t used);

/* An empty memfd, close-on-exec; error 58000. */
extern int	img_new_memfd(void);

#endif							/* IMGAPI_EXECUTOR_PROCESS_H */
