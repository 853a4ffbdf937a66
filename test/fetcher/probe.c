/*
 * probe.c
 *	  What cannot be asked over the fetcher's socket.
 *
 *	fetcher-probe reply MAX MEMFD	whether PostgreSQL would take the reply on standard
 *									input, and what it finds in it
 *	fetcher-probe policy ADDRESS …	the kind of each, or "public"
 *	fetcher-probe sandbox FILE SOCKET	what works inside of the fetcher's sandbox
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fetcher/confinement.h"
#include "fetcher/policy.h"
#include "protocol/fetch.h"

static void
say(const char *what, int result)
{
	printf("%s %s\n", what, result >= 0 ? "yes" : "no");
}

static int
policy(char **addresses)
{
	for (; *addresses != NULL; addresses++)
	{
		struct sockaddr_in v4 = {.sin_family = AF_INET};
		struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
		const struct sockaddr *address = (struct sockaddr *) &v4;
		const char *kind;

		if (inet_pton(AF_INET, *addresses, &v4.sin_addr) != 1)
		{
			if (inet_pton(AF_INET6, *addresses, &v6.sin6_addr) != 1)
				return 1;
			address = (struct sockaddr *) &v6;
		}
		kind = img_address_kind(address);
		if (kind != img_address_text_kind(*addresses))
			return 1;
		printf("%s\n", kind != NULL ? kind : "public");
	}
	return 0;
}

static int
reply(uint64_t max_body, int memfd)
{
	static char message[IMG_MAX_MESSAGE] __attribute__((aligned(16)));
	const ImgFetchReply *reply = (const ImgFetchReply *) message;
	ssize_t		length = read(STDIN_FILENO, message, sizeof(message));
	size_t		at = 0;
	const char *name;
	const char *value;
	uint64_t	id;

	if (length < 0 || !img_fetch_reply_id(reply, length, &id) ||
		!img_fetch_reply_valid(reply, length, memfd, max_body))
	{
		printf("refused\n");
		return 0;
	}
	printf("%llu|%s|%s|%.*s", (unsigned long long) id, img_fetch_text(reply), img_fetch_origin(reply),
		   reply->place == IMG_INLINE ? (int) reply->body_length : 0, (const char *) img_fetch_body(reply));
	while (img_fetch_next_header(reply, &at, &name, &value))
		printf("|%s=%s%s", name, value, img_fetch_header(reply, name) == value ? "" : " (not the first)");
	printf("|%s\n", img_fetch_header(reply, "none") == NULL ? "" : "what?");
	return 0;
}

static int
connect_by_name(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int			pair[2] = {socket(AF_UNIX, SOCK_STREAM, 0)};

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (pair[0] < 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		return -1;
	return connect(pair[0], (struct sockaddr *) &address, sizeof(address));
}

static int
listen_somewhere(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int			fd = socket(AF_INET, SOCK_STREAM, 0);

	return bind(fd, (struct sockaddr *) &address, sizeof(address)) == 0 ? listen(fd, 1) : -1;
}

static int
resolve(const char *name)
{
	struct addrinfo *found;

	return getaddrinfo(name, "80", NULL, &found) == 0 ? 0 : -1;
}

/* A child says so by ending with 0, if there is one. */
static int
fork_and_end(void)
{
	pid_t		child;

	fflush(stdout);
	child = fork();
	if (child == 0)
		_exit(0);
	return child;
}

static void *
idle(void *unused)
{
	return NULL;
}

static int
start_thread(void)
{
	pthread_t	thread;

	return pthread_create(&thread, NULL, idle, NULL) == 0 ? 0 : -1;
}

/* The same before and inside, so that a "no" is the sandbox's. */
static void
try_all(const char *file, const char *listener)
{
	int			pair[2];
	int			memory;

	say("read", open(file, O_RDONLY));
	say("read_passwd", open("/etc/passwd", O_RDONLY));
	say("read_hosts", open("/etc/hosts", O_RDONLY));
	say("read_directory", open("/", O_RDONLY | O_DIRECTORY));
	say("write", open(file, O_WRONLY));
	say("create", open("/tmp/imgapi-fetcher-probe", O_WRONLY | O_CREAT, 0600));
	say("unlink", unlink("/tmp/imgapi-fetcher-probe"));
	say("internet_socket", socket(AF_INET, SOCK_STREAM, 0));
	say("internet6_socket", socket(AF_INET6, SOCK_DGRAM, 0));
	say("local_socket", socket(AF_UNIX, SOCK_STREAM, 0));
	say("packet_pair", socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	say("connect_by_name", connect_by_name(listener));
	say("listen", listen_somewhere());
	say("signal", kill(getppid(), 0));
	say("fork", fork_and_end());
	memory = memfd_create("probe", MFD_CLOEXEC);
	say("memory_file", memory);
	say("executable_memory", mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
	say("thread", start_thread());
	say("resolve", resolve("localhost"));
}

int
main(int argc, char **argv)
{
	const char *problem = NULL;
	const char *state;

	if (argc == 4 && strcmp(argv[1], "reply") == 0)
		return reply(strtoull(argv[2], NULL, 10), atoi(argv[3]));
	if (argc >= 3 && strcmp(argv[1], "policy") == 0)
		return policy(argv + 2);
	if (argc != 4 || strcmp(argv[1], "sandbox") != 0)
		return 2;
	try_all(argv[2], argv[3]);
	state = img_sandbox_early(IMG_SANDBOX_REQUIRE, &img_fetcher_confinement);
	state = img_sandbox_close(IMG_SANDBOX_REQUIRE, &img_fetcher_confinement, state, &problem);
	printf("inside %s\n", state != NULL ? state : problem);
	fflush(stdout);
	try_all(argv[2], argv[3]);
	execv("/bin/true", (char *[]) {"true", NULL});
	printf("execute no\n");
	return 0;
}
