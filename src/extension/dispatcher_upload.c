/*
 * dispatcher_upload.c
 *	  A result that is too large for one request: an upload in parts.
 *
 * Runs in a dispatcher.  Begin, all parts at once, complete: each step is made
 * in a transaction, when the answers of the one before are there (then the job
 * asks for another turn: asked = false).  The parts lie in one memfd.
 *
 * An upload that fails is aborted, so that its parts do not stay behind.  One
 * that a crash cuts off never becomes an object; servers remove such parts by a
 * rule of the bucket.
 */
#include "postgres.h"

#include <unistd.h>

#include "extension/dispatcher_network.h"
#include "extension/imgapi.h"
#include "storage/encode.h"
#include "storage/s3.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define SMALL_ANSWER	(64 * 1024)

typedef enum Stage
{
	UPLOAD_BEGUN,				/* the answer will bring an id */
	UPLOAD_HAS_ID,				/* it has */
	UPLOAD_PARTS,				/* they are under way */
	UPLOAD_SENT,				/* all have been answered */
	UPLOAD_COMPLETING,
	UPLOAD_ANSWERED				/* the last answer may still be a refusal */
} Stage;

struct ImgUpload
{
	Stage		stage;
	char	   *server;
	char	   *path;
	char	   *id;
	int			memfd;
	uint64		bytes;
	uint64		part_bytes;
	int			parts;
	char	  **etag;
	int			status;			/* of the last answer, and its body */
	char	   *answer;
	size_t		answer_length;
};

static void
request_failed(ImgTransfer *transfer, const ImgRemoteFailure *failure)
{
	img_store_failed(transfer, failure);
}

/* Whatever becomes of it: that was a kindness. */
static void
abort_done(ImgTransfer *transfer, const ImgFetchReply *reply, int memfd)
{
	if (memfd >= 0)
		close(memfd);
	img_transfer_free(transfer);
}

static void
abort_failed(ImgTransfer *transfer, const ImgRemoteFailure *failure)
{
	img_transfer_free(transfer);
}

typedef struct Abort
{
	ImgJob	   *job;
	ImgUpload  *upload;
} Abort;

static void
abort_step(void *arg)
{
	static int	nobody;
	Abort	   *abort = arg;
	const ImgServer *server = img_server_get_typed(abort->upload->server, abort->job->owner, &img_server_s3);
	ImgTransfer *transfer = img_transfer_make(TopMemoryContext, NULL);
	MemoryContext before = MemoryContextSwitchTo(transfer->context);

	img_s3_multipart_abort(img_s3(server), abort->upload->path, abort->upload->id, GetCurrentTimestamp(), &transfer->request);
	img_transfer_prepare(transfer, server, abort->job->owner, SMALL_ANSWER);
	MemoryContextSwitchTo(before);
	transfer->about = &nobody;
	transfer->done = abort_done;
	transfer->failed = abort_failed;
	img_transfer_start(transfer);
}

void
img_upload_abort(ImgJob *job)
{
	Abort		abort = {job, job->upload};

	/* If it cannot be asked for, the bucket's own rule has to do. */
	if (job->upload != NULL && job->upload->id != NULL)
		(void) img_try(abort_step, &abort);
}

void
img_upload_close(ImgJob *job)
{
	if (job->upload != NULL && job->upload->memfd >= 0)
		close(job->upload->memfd);
	job->upload = NULL;
}

/* The next step needs a transaction. */
static void
next_step(ImgJob *job, Stage stage)
{
	job->upload->stage = stage;
	img_network_ask_again(job);
}

static void
keep_answer(ImgJob *job, const ImgFetchReply *reply)
{
	ImgUpload  *upload = job->upload;

	upload->status = reply->status;
	upload->answer_length = reply->place == IMG_INLINE ? reply->body_length : 0;
	upload->answer = MemoryContextAlloc(job->context, upload->answer_length + 1);
	if (upload->answer_length > 0)
		memcpy(upload->answer, img_fetch_body(reply), upload->answer_length);
}

static void
step_done(ImgTransfer *transfer, const ImgFetchReply *reply, int memfd)
{
	ImgJob	   *job = transfer->job;

	if (memfd >= 0)
		close(memfd);
	keep_answer(job, reply);
	img_transfer_free(transfer);
	job->transfers--;
	next_step(job, job->upload->stage == UPLOAD_BEGUN ? UPLOAD_HAS_ID : UPLOAD_ANSWERED);
}

static void
part_done(ImgTransfer *transfer, const ImgFetchReply *reply, int memfd)
{
	ImgJob	   *job = transfer->job;
	const char *etag = img_fetch_header(reply, "etag");

	if (memfd >= 0)
		close(memfd);
	job->upload->etag[transfer->number - 1] = MemoryContextStrdup(job->context, etag ? etag : "");
	img_transfer_free(transfer);
	if (--job->transfers == 0)
		next_step(job, UPLOAD_SENT);
}

static ImgTransfer *
make_transfer(ImgJob *job, const ImgServer *server)
{
	ImgTransfer *transfer = img_transfer_make(TopMemoryContext, job);

	img_transfer_prepare(transfer, server, job->owner, SMALL_ANSWER);
	transfer->done = step_done;
	transfer->failed = request_failed;
	return transfer;
}

static void
start(ImgJob *job, ImgTransfer *transfer)
{
	img_transfer_start(transfer);
	job->transfers++;
}

void
img_upload_begin(ImgJob *job, const ImgServer *server, const ImgStorageUri *place, const char *mime,
				 ImgOutput *output, uint64 part_bytes)
{
	ImgUpload  *upload = MemoryContextAllocZero(job->context, sizeof(ImgUpload));
	ImgTransfer *transfer = make_transfer(job, server);
	MemoryContext before;

	upload->server = MemoryContextStrdup(job->context, place->server);
	upload->path = MemoryContextStrdup(job->context, place->path);
	upload->bytes = output->bytes;
	/* as many parts as S3 takes */
	upload->part_bytes = Max(part_bytes, (output->bytes + IMG_S3_PARTS - 1) / IMG_S3_PARTS);
	upload->parts = (output->bytes + upload->part_bytes - 1) / upload->part_bytes;
	upload->etag = MemoryContextAllocZero(job->context, upload->parts * sizeof(char *));
	upload->memfd = output->memfd;
	output->memfd = -1;
	job->upload = upload;
	before = MemoryContextSwitchTo(transfer->context);
	img_s3_multipart_create(img_s3(server), place->path, mime, img_server_text(server, "tags"), GetCurrentTimestamp(), &transfer->request);
	MemoryContextSwitchTo(before);
	start(job, transfer);
}

static void
send_parts(ImgJob *job, const ImgServer *server)
{
	ImgUpload  *upload = job->upload;

	upload->id = MemoryContextStrdup(job->context, img_s3_read_upload_id(upload->answer, upload->answer_length));
	for (int i = 0; i < upload->parts; i++)
	{
		ImgTransfer *transfer = make_transfer(job, server);
		MemoryContext before = MemoryContextSwitchTo(transfer->context);
		uint8		digest[PG_SHA256_DIGEST_LENGTH];
		char		sha256[IMG_SHA256_HEX + 1];

		transfer->number = i + 1;
		transfer->body.memfd = upload->memfd;
		transfer->body.offset = i * upload->part_bytes;
		transfer->body.length = Min(upload->part_bytes, upload->bytes - transfer->body.offset);
		img_hash_memfd(PG_SHA256, upload->memfd, transfer->body.offset, transfer->body.length, digest, sizeof(digest));
		img_hex(digest, sizeof(digest), sha256);
		img_s3_multipart_part(img_s3(server), upload->path, upload->id, i + 1, sha256, GetCurrentTimestamp(), &transfer->request);
		MemoryContextSwitchTo(before);
		transfer->done = part_done;
		start(job, transfer);
	}
	upload->stage = UPLOAD_PARTS;
}

static void
complete(ImgJob *job, const ImgServer *server)
{
	ImgTransfer *transfer = make_transfer(job, server);
	MemoryContext before = MemoryContextSwitchTo(transfer->context);
	List	   *etags = NIL;

	for (int i = 0; i < job->upload->parts; i++)
		etags = lappend(etags, job->upload->etag[i]);
	img_s3_multipart_complete(img_s3(server), job->upload->path, job->upload->id, etags, GetCurrentTimestamp(), &transfer->request);
	MemoryContextSwitchTo(before);
	job->upload->stage = UPLOAD_COMPLETING;
	start(job, transfer);
}

/* A refusal may come with status 200. */
static void
check_answer(ImgJob *job, const ImgServer *server)
{
	ImgS3Failure failure;

	if (img_s3_read_failure(img_s3(server), job->upload->status, NULL, job->upload->answer, job->upload->answer_length, &failure))
		ereport(ERROR,
				(errcode(failure.transient ? ERRCODE_LOCK_NOT_AVAILABLE : failure.sqlstate), /* the former is tried again */
				 errmsg("%s", failure.message),
				 failure.hint ? errhint("%s", failure.hint) : 0));
}

bool
img_upload_step(ImgJob *job)
{
	const ImgServer *server = img_server_get_typed(job->upload->server, job->owner, &img_server_s3);

	switch (job->upload->stage)
	{
		case UPLOAD_HAS_ID:
			send_parts(job, server);
			return false;
		case UPLOAD_SENT:
			complete(job, server);
			return false;
		case UPLOAD_ANSWERED:
			check_answer(job, server);
			return true;
		default:
			elog(ERROR, "an upload has no step to take");
	}
}
