/*
 * fetcher_bench.c
 *	  What a fetcher does by itself, without PostgreSQL.
 *
 *	fetcher_bench PROGRAM URL N [in_flight=64] [fetcher arguments …]
 *
 * N GETs over the protocol of fetch.h, so many unanswered at a time.  Prints
 * requests per second, processor time per request of the fetcher and of this
 * process, which does what a dispatcher does at least, and the fetcher's memory.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "protocol/fetch.h"

static unsigned char message[IMG_MAX_MESSAGE] __attribute__((aligned(16)));
static unsigned long long bytes;
static long good, bad;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static double
processor_time(int who)
{
	struct rusage usage;

	getrusage(who, &usage);
	return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int
start_fetcher(char *program, char **arguments, int count)
{
	int			pair[2];
	char	   *argv[16] = {program, IMG_MODE_OWNED};

	for (int i = 0; i < count && i < 13; i++)
		argv[2 + i] = arguments[i];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		die("socketpair");
	if (fork() == 0)
	{
		dup2(pair[1], 1000);
		dup2(1000, IMG_WIRE_FD);
		execve(program, argv, (char *[]) {NULL});
		die(program);
	}
	close(pair[1]);
	return pair[0];
}

/* Takes one reply, waiting for it if told to.  False: there was none. */
static bool
take_reply(int socket, bool wait)
{
	int			memfd = -1;
	int			count;
	ssize_t		length = img_receive(socket, message, sizeof(message), &memfd, 1, &count, wait ? 0 : MSG_DONTWAIT);
	const ImgFetchReply *reply = (const ImgFetchReply *) message;

	if (length < 0 && errno == EAGAIN)
		return false;
	if (length <= 0 || !img_fetch_reply_valid(reply, length, count > 0 ? memfd : -1, UINT64_MAX))
		die("reply");
	if (reply->id == 0)
		fprintf(stderr, "sandbox: %s\n", img_fetch_text(reply));
	else if (reply->outcome == IMG_FETCH_DONE && reply->status == 200)
		good++;
	else if (bad++ == 0)
		fprintf(stderr, "%d at %s: %s\n", reply->status, img_fetch_stage_name(reply->stage), img_fetch_text(reply));
	bytes += reply->body_length;
	if (count > 0)
		close(memfd);
	return true;
}

int
main(int argc, char **argv)
{
	long		wanted = argc > 3 ? atol(argv[3]) : 0;
	long		in_flight = argc > 4 ? atol(argv[4]) : 64;
	long		sent = 0;
	ImgFetch	fetch = {
		.method = IMG_FETCH_GET, .flags = IMG_FETCH_ALLOW_PRIVATE | IMG_FETCH_FOLLOW, .memfd = -1,
		.limits = {.bytes = UINT64_C(1) << 30, .connect_ms = 5000, .total_ms = 30000, .low_speed = 1, .low_speed_s = 10, .redirects = 3}
	};
	double		begin;
	double		took;
	double		own;
	int			socket;

	if (argc < 4)
	{
		fprintf(stderr, "usage: fetcher_bench PROGRAM URL N [in_flight=64] [fetcher arguments ...]\n");
		return 2;
	}
	fetch.url = argv[2];
	socket = start_fetcher(argv[1], argv + 5, argc > 5 ? argc - 5 : 0);
	take_reply(socket, true);
	begin = seconds();
	own = processor_time(RUSAGE_SELF);
	while (good + bad < wanted)
	{
		bool		full = false;

		while (sent < wanted && sent - good - bad < in_flight && !full)
		{
			fetch.id = sent + 1;
			if (img_fetch_start(socket, &fetch, MSG_DONTWAIT) == 0)
				sent++;
			else if (errno == EAGAIN)
				full = true;
			else
				die("request");
		}
		take_reply(socket, true);
		while (good + bad < sent && take_reply(socket, false))
			;
	}
	took = seconds() - begin;
	own = processor_time(RUSAGE_SELF) - own;
	close(socket);
	wait(NULL);
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	printf("requests_per_s %.0f\n", wanted / took);
	printf("cpu_us_per_request %.1f\n", processor_time(RUSAGE_CHILDREN) * 1e6 / wanted);
	printf("owner_cpu_us_per_request %.1f\n", own * 1e6 / wanted);
	printf("fetcher_rss_mb %.1f\n", usage.ru_maxrss / 1024.0);
	printf("bytes %llu\n", bytes);
	if (bad > 0)
		printf("failed %ld\n", bad);
	return bad != 0;
}
