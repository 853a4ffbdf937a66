/*
 * delayed_server.c
 *	  A server that is far away: it answers every GET with the same file, so many
 *	  milliseconds after it was asked.
 *
 *	delayed_server PORT MILLISECONDS FILE
 *
 * HTTP/1.1 on loopback, one thread, kept connections, one request of a
 * connection at a time.  Runs until it is killed.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS		4096	/* descriptors */
#define REQUEST			4096	/* bytes */

/* Answers that are due, in order: all wait equally long. */
typedef struct Due
{
	int64_t		at;				/* µs */
	int			fd;
} Due;

static Due	due[CONNECTIONS];
static unsigned first, last;
static char request[CONNECTIONS][REQUEST];
static size_t received[CONNECTIONS];
static char answer[64 * 1024];
static size_t answer_length;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * INT64_C(1000000) + time.tv_nsec / 1000;
}

static void
make_answer(const char *name)
{
	static char body[sizeof(answer) - 256];
	FILE	   *file = fopen(name, "rb");
	size_t		length;

	if (file == NULL)
		die(name);
	length = fread(body, 1, sizeof(body), file);
	fclose(file);
	answer_length = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %zu\r\n\r\n", length);
	memcpy(answer + answer_length, body, length);
	answer_length += length;
}

static int
listen_at(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int			fd = socket(AF_INET, SOCK_STREAM, 0);
	int			on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) != 0 || listen(fd, 1024) != 0)
		die("listen");
	return fd;
}

static void
watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	int			on = 1;

	if (fd < 0 || fd >= CONNECTIONS || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		die("a connection");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	received[fd] = 0;
}

static void
take(int fd, int64_t delay)
{
	ssize_t		got = recv(fd, request[fd] + received[fd], REQUEST - 1 - received[fd], 0);

	if (got <= 0)
	{
		close(fd);
		return;
	}
	received[fd] += got;
	request[fd][received[fd]] = '\0';
	if (strstr(request[fd], "\r\n\r\n") == NULL)
		return;
	received[fd] = 0;
	due[last++ % CONNECTIONS] = (Due) {now() + delay, fd};
}

/* ms until the next */
static int
send_due(void)
{
	while (first != last)
	{
		Due		   *one = &due[first % CONNECTIONS];
		int64_t		left = one->at - now();

		if (left > 0)
			return left / 1000 + 1;
		send(one->fd, answer, answer_length, MSG_NOSIGNAL);
		first++;
	}
	return -1;
}

int
main(int argc, char **argv)
{
	struct epoll_event events[256];
	int			epoll = epoll_create1(0);
	int			listener;

	if (argc != 4)
		return fprintf(stderr, "usage: delayed_server PORT MILLISECONDS FILE\n"), 2;
	make_answer(argv[3]);
	listener = listen_at(atoi(argv[1]));
	watch(epoll, listener);
	for (;;)
	{
		int			count = epoll_wait(epoll, events, 256, send_due());

		for (int i = 0; i < count; i++)
			if (events[i].data.fd == listener)
				watch(epoll, accept(listener, NULL, NULL));
			else
				take(events[i].data.fd, atoi(argv[2]) * INT64_C(1000));
	}
}
