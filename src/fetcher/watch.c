/*
 * watch.c
 *	  Waits for sockets on behalf of libcurl.
 *
 * Runs in imgapi-fetcher, one thread: epoll and curl_multi_socket_action().
 * libcurl says for each request anew that it wants to hear of a socket, and
 * at its end that it does not.  With kept connections that would be two
 * epoll_ctl() for each request; so a socket stays registered for reading, and is
 * taken out only when it has something to say while nobody listens.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "fetcher/watch.h"

#define MAX_EVENTS	256

typedef struct Socket
{
	uint8_t		wanted;			/* EPOLLIN, EPOLLOUT */
	uint8_t		registered;		/* with epoll */
	bool		adopted;		/* img_watch_forget() will be called */
} Socket;

static CURLM *multi;
static Socket *sockets;
static size_t socket_count;
static int	epoll = -1;
static int64_t deadline = -1;	/* ms, monotonic, of libcurl; -1: none */

static int64_t
milliseconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static bool
set_registered(int fd, uint32_t events, bool now, bool before)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	return epoll_ctl(epoll, !now ? EPOLL_CTL_DEL : before ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) == 0;
}

static void
reregister(int fd, uint8_t events)
{
	Socket	   *one = &sockets[fd];

	if (one->registered == events)
		return;
	set_registered(fd, events, events != 0, one->registered != 0);
	one->registered = events;
}

/* libcurl's CURLMOPT_SOCKETFUNCTION */
static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *of_socket)
{
	Socket	   *one;

	if (fd < 0 || (size_t) fd >= socket_count)
		return -1;
	one = &sockets[fd];
	one->wanted = what == CURL_POLL_REMOVE ? 0 :
		((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0) | ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0);
	if (one->wanted == 0 && one->adopted && one->registered == EPOLLIN)
		return 0;
	reregister(fd, one->wanted);
	return 0;
}

/* libcurl's CURLMOPT_TIMERFUNCTION */
static int
on_timer(CURLM *handle, long milliseconds, void *context)
{
	deadline = milliseconds < 0 ? -1 : milliseconds == 0 ? 0 : milliseconds_now() + milliseconds;
	return 0;
}

bool
img_watch_start(CURLM *handle, size_t descriptors)
{
	multi = handle;
	socket_count = descriptors;
	sockets = calloc(descriptors, sizeof(*sockets));
	epoll = epoll_create1(EPOLL_CLOEXEC);
	return sockets != NULL && epoll >= 0 &&
		curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
		curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK;
}

bool
img_watch(int fd, uint32_t events)
{
	return set_registered(fd, events, true, true) || set_registered(fd, events, true, false);
}

bool
img_watch_adopt(int fd)
{
	if ((size_t) fd >= socket_count)
		return false;
	sockets[fd] = (Socket) {.adopted = true};
	return true;
}

/* Closing takes it out of epoll. */
void
img_watch_forget(int fd)
{
	sockets[fd] = (Socket) {0};
}

static void
tell_curl(int fd, uint32_t events)
{
	int			running;

	if (sockets[fd].wanted == 0)
	{
		reregister(fd, 0);
		return;
	}
	curl_multi_socket_action(multi, fd,
							 ((events & (EPOLLIN | EPOLLHUP)) != 0 ? CURL_CSELECT_IN : 0) |
							 ((events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
							 ((events & EPOLLERR) != 0 ? CURL_CSELECT_ERR : 0), &running);
}

static int
time_left(int limit)
{
	int64_t		left;

	if (deadline < 0)
		return limit;
	left = deadline == 0 ? 0 : deadline - milliseconds_now();
	if (left < 0)
		left = 0;
	return limit >= 0 && limit < left ? limit : left > 60000 ? 60000 : left;
}

uint32_t
img_watch_wait(int own_fd, int milliseconds)
{
	struct epoll_event events[MAX_EVENTS];
	int			count = epoll_wait(epoll, events, MAX_EVENTS, time_left(milliseconds));
	uint32_t	own = 0;
	int			running;

	for (int i = 0; i < count; i++)
	{
		if (events[i].data.fd == own_fd)
			own = events[i].events;
		else
			tell_curl(events[i].data.fd, events[i].events);
	}
	if (deadline == 0 || (deadline > 0 && milliseconds_now() >= deadline))
	{
		deadline = -1;
		curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	return own;
}
