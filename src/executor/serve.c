/*
 * serve.c
 *	  The two ways in which an executor gets its requests; see wire.h.
 *
 * Runs in imgapi-executor.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "executor/memory.h"
#include "executor/request.h"
#include "executor/serve.h"

/* A connection that asks nothing for so long is closed. */
#define IDLE_MS		200

/* What has nothing to do for so long gives memory back. */
#define KEEP_MS		500

static unsigned char message[IMG_MAX_MESSAGE] __attribute__((aligned(16)));

/* The memfds of the slots, from ImgHello. */
static int	slots[IMG_MAX_SLOT_FDS];
static int	slot_count;

static void
close_all(const int *fds, int count)
{
	for (int i = 0; i < count; i++)
		close(fds[i]);
}

static bool
is_hello(size_t length)
{
	const ImgRequest *request = (const ImgRequest *) message;

	return length == sizeof(*request) && request->magic == IMG_WIRE_MAGIC &&
		request->version == IMG_WIRE_VERSION && request->type == IMG_HELLO;
}

/* After a request: waits for the next one as long as memory is kept for it. */
static void
keep_memory(int socket)
{
	struct pollfd next = {.fd = socket, .events = POLLIN};

	if (poll(&next, 1, KEEP_MS) == 0)
		img_release_memory();
}

/* The owner is trusted with nothing but its own pictures: an executor that
 * gets nonsense ends, and the owner starts another. */
int
img_serve_owner(void)
{
	for (;;)
	{
		int			fds[IMG_MAX_SLOT_FDS];
		int			nfds;
		ssize_t		length = img_receive(IMG_WIRE_FD, message, sizeof(message), fds, IMG_MAX_SLOT_FDS, &nfds, 0);
		ImgCall		call = {IMG_WIRE_FD, false, message, length, slots, slot_count};

		if (length == 0)
			return EXIT_SUCCESS;
		if (length < 0)
			return EXIT_FAILURE;
		if (is_hello(length))
		{
			close_all(slots, slot_count);
			slot_count = nfds;
			for (int i = 0; i < nfds; i++)
				slots[i] = fds[i];
			continue;
		}
		close_all(fds, nfds);
		if (!img_answer(&call))
			return EXIT_FAILURE;
		keep_memory(IMG_WIRE_FD);
	}
}

/*
 * Waits for input.  False when the time is over; the process ends when the
 * supervisor has gone.
 */
static bool
wait_for(int socket, int milliseconds)
{
	struct pollfd fds[2] = {{.fd = socket, .events = POLLIN}, {.fd = IMG_CONTROL_FD, .events = POLLIN}};
	int			ready;

	do
		ready = poll(fds, 2, milliseconds);
	while (ready < 0 && errno == EINTR);
	if (ready < 0 || (fds[1].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
		exit(EXIT_SUCCESS);
	return ready > 0 && fds[0].revents != 0;
}

/*
 * The next connection; -1 when another executor was faster.  All wait on one
 * socket, which must not block whoever comes too late: it has to notice when
 * the supervisor goes.
 */
static int
next_connection(void)
{
	return wait_for(IMG_WIRE_FD, -1) ? accept4(IMG_WIRE_FD, NULL, NULL, SOCK_CLOEXEC) : -1;
}

static void
serve_connection(int connection)
{
	bool		more = true;

	while (more && wait_for(connection, IDLE_MS))
	{
		int			memfd;
		int			nfds;
		ssize_t		length = img_receive(connection, message, sizeof(message), &memfd, 1, &nfds, MSG_DONTWAIT);
		ImgCall		call = {connection, true, message, length, &memfd, nfds};

		more = length > 0 && img_answer(&call);
		close_all(&memfd, nfds);
	}
}

int
img_serve_pool(void)
{
	fcntl(IMG_WIRE_FD, F_SETFL, fcntl(IMG_WIRE_FD, F_GETFL) | O_NONBLOCK);
	for (;;)
	{
		int			connection = next_connection();

		if (connection < 0)
			continue;
		serve_connection(connection);
		close(connection);
		keep_memory(IMG_WIRE_FD);
	}
}
