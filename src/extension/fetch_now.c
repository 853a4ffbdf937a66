/*
 * fetch_now.c
 *	  What a session has to get from a server itself: the bytes of a result that
 *	  is stored there, and what a folder holds.
 *
 * Runs in client backends.  The fetcher is started with the first request and
 * ends with the session; a request that is interrupted ends it, too.
 */
#include "postgres.h"

#include <unistd.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "extension/fetch_now.h"
#include "extension/fetcher_process.h"
#include "extension/home.h"
#include "extension/imgapi.h"
#include "extension/settings.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/s3.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(img_read_remote);
PG_FUNCTION_INFO_V1(img_storage_list);

/* Keys in one page of a list. */
#define PAGE_KEYS		1000
#define MAX_PAGE		(4 * 1024 * 1024)

static ImgFetcher fetcher = {.socket = -1};
static uint64 requests = 0;

static void
end_fetcher(int code, Datum arg)
{
	(void) img_fetcher_end(&fetcher);
}

static void
start_fetcher(void)
{
	static bool registered = false;

	if (fetcher.pid != 0)
		return;
	if (!registered)
	{
		before_shmem_exit(end_fetcher, 0);
		registered = true;
	}
	img_fetcher_start(&fetcher, 1);
}

static uint32
wait_event(void)
{
	static uint32 cached = 0;

	return img_wait_event(&cached, "ImgapiFetch");
}

/* Waits until there is something to read. */
static void
wait_for_fetcher(void)
{
	int			events;

	do
	{
		events = WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_SOCKET_READABLE | WL_EXIT_ON_PM_DEATH,
								   fetcher.socket, -1, wait_event());
		if (events & WL_LATCH_SET)
		{
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
		}
	} while ((events & WL_SOCKET_READABLE) == 0);
}

/* Does not return. */
static void
fetcher_died(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_SYSTEM_ERROR),
			 errmsg("the fetcher died: %s", img_fetcher_end(&fetcher))));
}

static ImgFetchReply *
ask(const ImgHttpRequest *request, uint64 max_answer, int *memfd)
{
	ImgFetchReply *reply = palloc(IMG_MAX_MESSAGE);
	int			got;

	start_fetcher();
	if (!img_fetcher_send(&fetcher, ++requests, request, NULL, max_answer))
		fetcher_died();
	while ((got = img_fetcher_receive(&fetcher, reply, memfd, max_answer)) == 0)
		wait_for_fetcher();
	if (got < 0 || reply->id != requests)
		fetcher_died();
	return reply;
}

static bytea *
take_body(const ImgFetchReply *reply, int memfd)
{
	bytea	   *body = palloc_extended(VARHDRSZ + reply->body_length, MCXT_ALLOC_HUGE);

	SET_VARSIZE(body, VARHDRSZ + reply->body_length);
	if (reply->place == IMG_INLINE)
		memcpy(VARDATA(body), img_fetch_body(reply), reply->body_length);
	else if (reply->place == IMG_MEMFD && img_read_all(memfd, VARDATA(body), reply->body_length, 0) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not read from a memory file: %m")));
	return body;
}

/* What came of a request; raises what went wrong.  status: see img_fetch_any(),
 * or NULL. */
static bytea *
judge(const ImgFetchReply *reply, int memfd, const ImgServer *server, ImgFetchStatus *status)
{
	ImgRemoteFailure failure;

	if (status != NULL)
	{
		memset(status, 0, sizeof(*status));
		if (reply->outcome != IMG_FETCH_DONE)
		{
			(void) img_remote_failure(server, reply, &status->failure);
			return NULL;
		}
		status->status = reply->status;
		status->request_id = img_shown_header(reply, "x-request-id");
		return take_body(reply, memfd);
	}
	if (img_remote_failure(server, reply, &failure))
		ereport(ERROR,
				(errcode(failure.sqlstate), errmsg("%s", failure.message),
				 errdetail("Stage: %s.", failure.stage),
				 failure.hint ? errhint("%s", failure.hint) : 0));
	return take_body(reply, memfd);
}

/* Where an error leaves something behind. */
typedef struct Asked
{
	bool		answered;
	int			memfd;
	bytea	   *body;
} Asked;

static bytea *
fetch(const ImgHttpRequest *request, const ImgServer *server, uint64 max_answer, ImgFetchStatus *status)
{
	Asked	   *asked = palloc0(sizeof(Asked));

	asked->memfd = -1;
	PG_TRY();
	{
		ImgFetchReply *reply = ask(request, max_answer, &asked->memfd);

		asked->answered = true;
		asked->body = judge(reply, asked->memfd, server, status);
	}
	PG_FINALLY();
	{
		if (asked->memfd >= 0)
			close(asked->memfd);
		if (!asked->answered)
			(void) img_fetcher_end(&fetcher);
	}
	PG_END_TRY();
	return asked->body;
}

bytea *
img_fetch_now(const ImgHttpRequest *request, const ImgServer *server, uint64 max_answer)
{
	return fetch(request, server, max_answer, NULL);
}

bytea *
img_fetch_any(const ImgHttpRequest *request, const ImgServer *server, uint64 max_answer, ImgFetchStatus *status)
{
	return fetch(request, server, max_answer, status);
}

Datum
img_read_remote(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *uri = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ImgStorageUri place;
	const ImgServer *server;
	ImgHttpRequest request;
	bytea	   *picture;

	img_home_of_function(fcinfo->flinfo->fn_oid);
	/* Open to everyone, so never a plain URL: a server needs USAGE. */
	img_storage_uri_parse(uri, false, &place);
	SPI_connect();
	MemoryContextSwitchTo(caller);
	img_remote_get(uri, GetUserId(), &request, &server);
	picture = img_fetch_now(&request, server, (uint64) imgapi_max_source_bytes * 1024);
	SPI_finish();
	PG_RETURN_BYTEA_P(picture);
}

/* One page of a folder; the token of the next, or NULL. */
static char *
list_page(ImgS3 *s3, const ImgServer *server, const char *path, const char *token, ReturnSetInfo *result)
{
	ImgHttpRequest request;
	bytea	   *body;
	char	   *next;
	List	   *entries;
	ListCell   *cell;

	img_s3_list(s3, path, token, PAGE_KEYS, GetCurrentTimestamp(), &request);
	body = img_fetch_now(&request, server, MAX_PAGE);
	entries = img_s3_read_list(s3, VARDATA(body), VARSIZE(body) - VARHDRSZ, &next);
	foreach(cell, entries)
	{
		const ImgS3Entry *entry = lfirst(cell);
		Datum		values[] = {CStringGetTextDatum(entry->path), Int64GetDatum(entry->bytes)};
		bool		nulls[] = {false, false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return next;
}

Datum
img_storage_list(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext caller = CurrentMemoryContext;
	ImgStorageUri uri;
	const ImgServer *server;
	char	   *token = NULL;

	img_home_of_function(fcinfo->flinfo->fn_oid);
	InitMaterializedSRF(fcinfo, 0);
	img_storage_uri_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), true, &uri);
	server = img_server_get_typed(uri.server, GetUserId(), &img_server_s3);
	SPI_connect();
	MemoryContextSwitchTo(caller);
	do
	{
		CHECK_FOR_INTERRUPTS();
		token = list_page(img_s3(server), server, uri.path, token, result);
	} while (token != NULL);
	SPI_finish();
	return (Datum) 0;
}
