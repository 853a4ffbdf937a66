/*
 * http.c
 *	  HTTP: listening, routing, and what all answers have in common.
 *
 * libmicrohttpd does the protocol, in as many threads as there are connections
 * to the database; each thread serves its own share of the clients. Handlers
 * run in those threads. Shared between them is only the number of requests
 * that are being answered, behind a mutex.
 */
#include "gateway/http.h"

#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "gateway/link.h"
#include "gateway/pool.h"
#include "gateway/webhook.h"

/* For headers, as a client may send them. */
#define MEMORY_PER_CLIENT	(32 * 1024)

#define OTHER_METHOD		"other"

/* What answers paths that begin so; GET and HEAD, or POST with a body of so many
 * bytes at most. */
typedef struct HttpRoute
{
	const char *prefix;
	size_t		body_limit;
	enum MHD_Result (*answer) (HttpRequest *request);
} HttpRoute;

static struct MHD_Daemon *http_daemon;
static bool log_requests;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_answered = PTHREAD_COND_INITIALIZER;
static int	in_progress;
static _Atomic bool stopping;

static const PoolStatement ask_health = {"health", "SELECT 1", 0};

void
http_log(const char *format,...)
{
	char		line[1000];
	va_list		args;
	size_t		length;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	length = strlen(line);
	while (length > 0 && line[length - 1] == '\n')
		line[--length] = '\0';
	/* one line, whoever wrote parts of it */
	for (char *p = line; *p != '\0'; p++)
		if ((unsigned char) *p < ' ')
			*p = ' ';
	fprintf(stderr, "imgapi-gateway: %s\n", line);
}

const char *
http_header(const HttpRequest *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *
http_argument(const HttpRequest *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

/* ----------------------------------------------------------------- answers --- */

enum MHD_Result
http_send(HttpRequest *request, int status, struct MHD_Response *response)
{
	enum MHD_Result queued;

	if (response == NULL)
		return MHD_NO;
	request->status = status;
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	if (stopping)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	queued = MHD_queue_response(request->connection, status, response);
	MHD_destroy_response(response);
	return queued;
}

enum MHD_Result
http_send_json(HttpRequest *request, int status, const char *json)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(strlen(json), (void *) json, MHD_RESPMEM_MUST_COPY);

	if (response == NULL)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, request->route->body_limit > 0 ? "POST" : "GET, HEAD");
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
	return http_send(request, status, response);
}

enum MHD_Result
http_send_away(HttpRequest *request)
{
	return http_send_json(request, MHD_HTTP_SERVICE_UNAVAILABLE,
						  "{\"code\": 503, \"message\": \"the database is away; try again later\"}");
}

static enum MHD_Result
answer_health(HttpRequest *request)
{
	PGresult   *result;
	PoolOutcome outcome = pool_run(&ask_health, NULL, NULL, NULL, &result);

	PQclear(result);
	if (outcome != POOL_ROWS)
		return http_send_away(request);
	return http_send_json(request, MHD_HTTP_OK, "{\"status\": \"ok\"}");
}

/* ---------------------------------------------------------------- requests --- */

static enum MHD_Result
answer_nothing(HttpRequest *request)
{
	return http_send_json(request, MHD_HTTP_NOT_FOUND,
						  "{\"code\": 404, \"message\": \"there is nothing at this path\"}");
}

static enum MHD_Result
answer_health_exactly(HttpRequest *request)
{
	return strcmp(request->path, request->route->prefix) == 0 ? answer_health(request) : answer_nothing(request);
}

static const HttpRoute routes[] = {
	{"/healthz", 0, answer_health_exactly},
	{LINK_PREFIX, 0, link_answer},
	{WEBHOOK_PREFIX, WEBHOOK_LIMIT, webhook_answer},
	{"", 0, answer_nothing}
};

static const HttpRoute *
find_route(const char *path)
{
	const HttpRoute *route = routes;

	while (strncmp(path, route->prefix, strlen(route->prefix)) != 0)
		route++;
	return route;
}

static HttpRequest *
begin_request(struct MHD_Connection *connection, const char *path, const char *method)
{
	static const char *const known[] = {MHD_HTTP_METHOD_GET, MHD_HTTP_METHOD_HEAD, MHD_HTTP_METHOD_POST};
	HttpRequest *request = calloc(1, sizeof(HttpRequest));

	if (request == NULL)
		return NULL;
	request->connection = connection;
	request->path = path;
	request->route = find_route(path);
	request->method = OTHER_METHOD;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(method, known[i]) == 0)
			request->method = known[i];
	request->head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
	pthread_mutex_lock(&mutex);
	in_progress++;
	pthread_mutex_unlock(&mutex);
	return request;
}

/* Answers what need not be read to its end. */
static enum MHD_Result
receive_headers(HttpRequest *request)
{
	size_t		limit = request->route->body_limit;
	const char *length = http_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);

	if (limit > 0 && strcmp(request->method, MHD_HTTP_METHOD_POST) != 0)
		return http_send_json(request, MHD_HTTP_METHOD_NOT_ALLOWED,
							  "{\"code\": 405, \"message\": \"only POST is answered\"}");
	if (limit == 0 && strcmp(request->method, MHD_HTTP_METHOD_GET) != 0 && !request->head)
		return http_send_json(request, MHD_HTTP_METHOD_NOT_ALLOWED,
							  "{\"code\": 405, \"message\": \"only GET and HEAD are answered\"}");
	if (limit > 0 && length != NULL && strtoull(length, NULL, 10) > BODY_PATIENCE * limit)
		return http_send_json(request, MHD_HTTP_CONTENT_TOO_LARGE,
							  "{\"code\": 413, \"message\": \"the body is too long\"}");
	return MHD_YES;
}

/* MHD_AccessHandlerCallback: once when the headers are there, again for every
 * part of the body, and when it has been read. */
static enum MHD_Result
handle(void *cls, struct MHD_Connection *connection, const char *path, const char *method,
	   const char *version, const char *body, size_t *body_length, void **state)
{
	HttpRequest *request = *state;
	size_t		length = *body_length;

	if (request == NULL)
	{
		*state = request = begin_request(connection, path, method);
		return request != NULL ? receive_headers(request) : MHD_NO;
	}
	if (length > 0)
	{
		*body_length = 0;
		/* nobody wants that of GET */
		return request->route->body_limit == 0 ||
			body_add(&request->body, body, length, request->route->body_limit) ? MHD_YES : MHD_NO;
	}
	return request->route->answer(request);
}

/* MHD_RequestCompletedCallback */
static void
finish_request(void *cls, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code)
{
	HttpRequest *request = *state;

	if (request == NULL)
		return;
	/* The path of a link has no secret, its query has. */
	if (log_requests)
		http_log("%s %.200s %d%s", request->method, request->path, request->status,
				 code == MHD_REQUEST_TERMINATED_COMPLETED_OK ? "" : " not completed");
	body_free(&request->body);
	free(request);
	*state = NULL;
	pthread_mutex_lock(&mutex);
	if (--in_progress == 0)
		pthread_cond_broadcast(&all_answered);
	pthread_mutex_unlock(&mutex);
}

/* What libmicrohttpd has to say; it may quote what a client sent, so only its
 * own words are kept. */
static void
log_library(void *cls, const char *format, va_list args)
{
	http_log("libmicrohttpd: %.200s", format);
}

/* ------------------------------------------------------------------ serving --- */

/* "host:port", "[::1]:port" */
static struct addrinfo *
resolve(const char *listen)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *found = NULL;
	char		host[256];
	const char *colon = strrchr(listen, ':');
	size_t		length = colon != NULL ? colon - listen : 0;

	if (colon == NULL || length >= sizeof(host))
		return NULL;
	memcpy(host, listen, length);
	host[length] = '\0';
	if (host[0] == '[' && length > 1 && host[length - 1] == ']')
	{
		host[length - 1] = '\0';
		memmove(host, host + 1, length - 1);
	}
	if (getaddrinfo(host[0] != '\0' ? host : NULL, colon + 1, &hints, &found) != 0)
		return NULL;
	return found;
}

static void
allow_descriptors(int count)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < (rlim_t) count)
	{
		limit.rlim_cur = limit.rlim_max < (rlim_t) count ? limit.rlim_max : (rlim_t) count;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

bool
http_start(const HttpOptions *options)
{
	struct addrinfo *address = resolve(options->listen);
	unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG;

	if (address == NULL)
	{
		http_log("cannot listen on \"%s\": give ADDRESS:PORT, as in --listen 127.0.0.1:8080", options->listen);
		return false;
	}
	log_requests = options->log_requests;
	allow_descriptors(options->clients + 4 * options->threads + 64);
	if (address->ai_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	http_daemon = MHD_start_daemon(flags, 0, NULL, NULL, handle, NULL,
							  MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL,
							  MHD_OPTION_SOCK_ADDR, address->ai_addr,
							  MHD_OPTION_THREAD_POOL_SIZE, (unsigned int) options->threads,
							  MHD_OPTION_CONNECTION_LIMIT, (unsigned int) options->clients,
							  MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int) options->idle_seconds,
							  MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) MEMORY_PER_CLIENT,
							  MHD_OPTION_NOTIFY_COMPLETED, finish_request, NULL,
							  MHD_OPTION_END);
	freeaddrinfo(address);
	if (http_daemon == NULL)
	{
		http_log("cannot listen on %s: %m", options->listen);
		return false;
	}
	http_log("listening on port %u", (unsigned int) MHD_get_daemon_info(http_daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
	return true;
}

void
http_stop(int seconds)
{
	struct timespec until;
	MHD_socket	listener = MHD_quiesce_daemon(http_daemon);
	int			left;

	if (listener != MHD_INVALID_SOCKET)
		close(listener);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += seconds;
	pthread_mutex_lock(&mutex);
	stopping = true;
	while (in_progress > 0 && pthread_cond_timedwait(&all_answered, &mutex, &until) == 0)
		;
	left = in_progress;
	pthread_mutex_unlock(&mutex);
	if (left > 0)
		http_log("%d requests are cut off", left);
	MHD_stop_daemon(http_daemon);
}
