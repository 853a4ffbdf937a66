/*
 * main.c
 *	  imgapi-gateway: opens download links over HTTP, and takes in webhooks.
 *
 * Between clients and the database: it has a role that may call a few
 * functions and nothing else, keeps no state, and can be started as often as
 * wanted. This file reads the options and handles signals; requests are
 * http.c's, links are link.c's, webhooks webhook.c's, the database is pool.c's.
 */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "gateway/http.h"
#include "gateway/pool.h"

/* Each may also come from the environment. */
static struct Setting
{
	const char *option;
	const char *variable;
	const char *what;
	const char *value;
	int			min,
				max;			/* of numbers */
}			settings[] = {
	{"listen", "IMGAPI_GATEWAY_LISTEN", "ADDRESS:PORT where clients come", "127.0.0.1:8080"},
	{"database", "IMGAPI_GATEWAY_DATABASE", "connection string, without a password", ""},
	{"connections", "IMGAPI_GATEWAY_CONNECTIONS", "to the database, and threads", "8", 1, 100},
	{"clients", "IMGAPI_GATEWAY_CLIENTS", "at a time, at most", "1000", 1, 100000},
	{"idle-seconds", "IMGAPI_GATEWAY_IDLE_SECONDS", "after which a silent client is left", "30", 1, 3600},
	{"answer-seconds", "IMGAPI_GATEWAY_ANSWER_SECONDS", "that the database has for an answer", "10", 1, 600},
	{"stop-seconds", "IMGAPI_GATEWAY_STOP_SECONDS", "that clients have to finish after SIGTERM", "20", 0, 3600},
	{"log-requests", "IMGAPI_GATEWAY_LOG_REQUESTS", "on or off", "off"},
	{NULL}
};

static const char *
setting(const char *option)
{
	for (struct Setting *s = settings; s->option != NULL; s++)
		if (strcmp(s->option, option) == 0)
			return s->value;
	abort();
}

static void
usage(void)
{
	printf("imgapi-gateway opens the links that img_download() makes, and hands webhooks of\nimage APIs, POST /webhook/SERVER, to img_webhook().\n\n");
	for (struct Setting *s = settings; s->option != NULL; s++)
		printf("  --%-15s %s (%s)\n", s->option, s->what, *s->value != '\0' ? s->value : "as libpq finds it");
	printf("\nThe same from the environment: IMGAPI_GATEWAY_LISTEN and so on. A password belongs in\n"
		   "~/.pgpass, a connection service file or PGPASSWORD. In the database, once:\n"
		   "  CREATE ROLE imgapi_gateway LOGIN; SELECT img_grant_gateway('imgapi_gateway');\n");
}

static void
complain(const char *text, const char *hint)
{
	http_log("%s", text);
	fprintf(stderr, "%s\n", hint);
	exit(2);
}

/* Everybody on the machine can read the arguments of a program. */
static void
refuse_password(const char *conninfo)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);

	if (options == NULL)
		complain("--database is no connection string", "Example: --database 'host=/var/run/postgresql dbname=app user=imgapi_gateway'");
	for (PQconninfoOption *o = options; o->keyword != NULL; o++)
		if (o->val != NULL && strstr(o->keyword, "password") != NULL && strcmp(o->keyword, "passfile") != 0)
			complain("a password on the command line can be read by everybody", "Put it into ~/.pgpass: host:port:database:user:password");
	PQconninfoFree(options);
}

static int
number(const char *option)
{
	for (struct Setting *s = settings; s->option != NULL; s++)
	{
		char	   *end;
		long		value;
		char		text[100];

		if (strcmp(s->option, option) != 0)
			continue;
		value = strtol(s->value, &end, 10);
		if (*s->value != '\0' && *end == '\0' && value >= s->min && value <= s->max)
			return (int) value;
		snprintf(text, sizeof(text), "--%s must be from %d to %d", option, s->min, s->max);
		complain(text, "imgapi-gateway --help lists all options.");
	}
	abort();
}

static void
read_settings(int argc, char **argv)
{
	enum
	{
		COUNT = sizeof(settings) / sizeof(settings[0]) - 1
	};
	struct option options[COUNT + 2] = {0};
	int			chosen;

	for (int i = 0; i < COUNT; i++)
	{
		if (getenv(settings[i].variable) != NULL)
			settings[i].value = getenv(settings[i].variable);
		options[i] = (struct option) {settings[i].option, required_argument, NULL, i};
	}
	options[COUNT] = (struct option) {"help", no_argument, NULL, COUNT};
	while ((chosen = getopt_long(argc, argv, "", options, NULL)) >= 0)
	{
		if (chosen == COUNT)
		{
			usage();
			exit(0);
		}
		if (chosen > COUNT)
			exit(2);			/* getopt has said why */
		settings[chosen].value = optarg;
		if (strcmp(settings[chosen].option, "database") == 0)
			refuse_password(optarg);
	}
	if (optind < argc)
		complain("arguments must be options", "imgapi-gateway --help lists them.");
}

/* Threads inherit the mask, so that signals are the main thread's. */
static void
hold_signals(sigset_t *held)
{
	sigemptyset(held);
	sigaddset(held, SIGTERM);
	sigaddset(held, SIGINT);
	pthread_sigmask(SIG_BLOCK, held, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
}

/* A core file would have signatures in it. */
static void
give_up_rights(void)
{
	struct rlimit none = {0, 0};

	if (geteuid() == 0)
		complain("imgapi-gateway does not run as root", "Run it as a user without rights: runuser -u nobody -- imgapi-gateway …, or: systemctl start imgapi-gateway");
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
}

int
main(int argc, char **argv)
{
	HttpOptions options;
	sigset_t	held;
	int			received;
	int			stop_seconds;

	read_settings(argc, argv);
	give_up_rights();
	options.listen = setting("listen");
	options.threads = number("connections");
	options.clients = number("clients");
	options.idle_seconds = number("idle-seconds");
	options.log_requests = strcmp(setting("log-requests"), "on") == 0;
	stop_seconds = number("stop-seconds");
	pool_configure(setting("database"), 1000 * number("answer-seconds"));

	hold_signals(&held);
	if (!http_start(&options))
		return 1;
	sigwait(&held, &received);
	http_log("stopping");
	/* A second signal ends it at once. */
	pthread_sigmask(SIG_UNBLOCK, &held, NULL);
	http_stop(stop_seconds);
	return 0;
}
