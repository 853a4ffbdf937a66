/*
 * dispatcher_fetch.c
 *	  The pictures of jobs, on their way to an executor.
 *
 * Runs in a dispatcher, in the transaction that feeds executors.  A picture is
 * with the job (img_object), in a row of a user's table, in the file tree,
 * somewhere else in the database by name, or has come over the network.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "extension/dispatcher.h"
#include "extension/file_tree.h"
#include "extension/home.h"
#include "extension/named_picture.h"
#include "extension/remote.h"
#include "extension/settings.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

static ImgStatement input_of = {
	"SELECT o.data, o.sha256 FROM $S.img_object o WHERE o.job_id = $1 AND o.role = 'input'", 1, {UUIDOID}
};

static ImgStatement row_input = {
	"SELECT $S.img_row_input($1, $2)", 2, {UUIDOID, INT8OID}
};

/* What fetch_step() found. */
typedef struct Fetched
{
	Datum		picture;
	bytea	   *sha256;			/* of the picture; NULL: not known */
	bytea	   *other;			/* what comes along; NULL: nothing */
	bool		found;
	bool		locked;			/* the table is */
	bool		remote;			/* the source has to be fetched first */
} Fetched;

static void
fetch_object(ImgJob *job, Fetched *fetched)
{
	Datum		id = UUIDPGetDatum(&job->id);
	bool		isnull;
	Datum		sha256;

	img_execute(&input_of, &id, NULL);
	if (SPI_processed == 0)
		return;
	fetched->picture = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	fetched->found = !isnull;
	sha256 = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull);
	if (!isnull)
		fetched->sha256 = DatumGetByteaPP(sha256);
}

static void
fetch_row(ImgJob *job, Fetched *fetched)
{
	ImgIdentity before;
	ImgRowState state;

	img_become(job->owner, true, &before);
	state = img_row_read(&job->row, &fetched->picture, &job->image, job->context);
	img_resume(&before);
	fetched->found = state == IMG_ROW_FOUND;
	fetched->locked = state == IMG_ROW_LOCKED;
}

/* A picture in the database that the request names; as the owner of the job,
 * who has to be able to see it. */
static bytea *
fetch_named(ImgJob *job, const char *name)
{
	ImgIdentity before;
	bytea	   *picture;

	img_become(job->owner, true, &before);
	picture = img_named_picture(name);
	img_resume(&before);
	return picture;
}

static void
fetch_file(ImgJob *job, Fetched *fetched)
{
	fetched->picture = img_file_picture(job->input, job->owner, &fetched->sha256);
	if (VARSIZE_ANY_EXHDR(fetched->sha256) != sizeof(job->file_sha256))
		elog(ERROR, "the hash of \"%s\" is not one of SHA-256", job->input);
	memcpy(job->file_sha256, VARDATA_ANY(fetched->sha256), sizeof(job->file_sha256));
}

/* The column holds the picture, or says where it is. */
static void
fetch_from_row(ImgJob *job, Fetched *fetched)
{
	fetch_row(job, fetched);
	if (!fetched->found || img_column_type(job->row.table, job->row.source_column) == BYTEAOID)
		return;
	job->input = MemoryContextStrdup(job->context, TextDatumGetCString(fetched->picture));
	img_check_input(job->input, job->owner);
	if (job->name == NULL && img_input_name(job->input) != NULL)
		job->name = MemoryContextStrdup(job->context, img_input_name(job->input));
}

ImgRowState
img_fetch_row(ImgJob *job)
{
	Fetched		fetched = {0};
	Datum		values[] = {UUIDPGetDatum(&job->id), (Datum) 0};

	if (!OidIsValid(job->row.table))
		return IMG_ROW_FOUND;
	fetch_from_row(job, &fetched);
	if (!fetched.found)
		return fetched.locked ? IMG_ROW_LOCKED : IMG_ROW_GONE;
	if (job->input == NULL)
	{
		job->input_bytes = toast_raw_datum_size(fetched.picture) - VARHDRSZ;
		img_check_source_bytes(job->input_bytes);
		values[1] = Int64GetDatum(job->input_bytes);
		img_execute(&row_input, values, NULL);
	}
	return IMG_ROW_FOUND;
}

static void
fetch_source(ImgJob *job, Fetched *fetched)
{
	if (OidIsValid(job->row.table))
		fetch_from_row(job, fetched);
	else if (job->input == NULL)
		fetch_object(job, fetched);
	else
		fetched->found = true;
	if (!fetched->found)
		return;
	fetched->remote = img_needs_network(job);
	if (!fetched->remote && job->input != NULL && img_is_file(job->input))
		fetch_file(job, fetched);
	else if (!fetched->remote && job->input != NULL)
		fetched->picture = PointerGetDatum(fetch_named(job, job->input));
}

bool
img_can_be_sliced(Datum picture)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(picture);
	struct varatt_external pointer;

	if (!VARATT_IS_EXTERNAL_ONDISK(stored))
		return false;
	VARATT_EXTERNAL_GET_POINTER(pointer, stored);
	return !VARATT_EXTERNAL_IS_COMPRESSED(pointer);
}

/* A large picture goes into a memfd piece by piece, so that our memory does not
 * grow with it. */
static void
spool(ImgJob *job, Datum picture)
{
	int			memfd = img_new_memfd();
	size_t		done = 0;

	job->source = (ImgBody) {NULL, memfd, job->input_bytes};
	while (done < job->input_bytes)
	{
		struct varlena *part = detoast_attr_slice((struct varlena *) DatumGetPointer(picture), done, IMG_LARGE_PICTURE);

		if (img_write_all(memfd, VARDATA_ANY(part), VARSIZE_ANY_EXHDR(part), done) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not write to a memory file: %m")));
		done += VARSIZE_ANY_EXHDR(part);
		pfree(part);
	}
}

/* False: the picture is not in the database. */
static bool
find_source(ImgJob *job, Fetched *fetched)
{
	fetch_source(job, fetched);
	if (!fetched->found || fetched->remote)
		return false;
	job->input_bytes = toast_raw_datum_size(fetched->picture) - VARHDRSZ;
	img_check_source_bytes(job->input_bytes);
	if (job->input_bytes == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION), errmsg("the picture is empty")));
	return true;
}

static void
fetch_step(ImgJob *job, void *arg)
{
	Fetched    *fetched = arg;

	if (job->source.length > 0)
		fetched->found = true;
	else if (!find_source(job, fetched))
		return;
	if (job->server == NULL && job->request.other != NULL && !img_is_remote(job->request.other))
		fetched->other = fetch_named(job, job->request.other);
	if (job->source.length > 0)
		return;
	if (job->request.destination == NULL && job->folder == NULL && job->other.length == 0)
		img_reuse(job, &fetched->picture, fetched->sha256, fetched->other);
	if (job->reused)
		return;
	if (job->input_bytes > IMG_LARGE_PICTURE && img_can_be_sliced(fetched->picture))
		spool(job, fetched->picture);
	else
		fetched->picture = PointerGetDatum(PG_DETOAST_DATUM_PACKED(fetched->picture));
}

static ImgBytes
bytes_of_body(const ImgBody *body)
{
	return (ImgBytes) {body->data, body->memfd, body->length};
}

static ImgBytes
bytes_of_datum(const void *picture)
{
	return (ImgBytes) {VARDATA_ANY(picture), -1, VARSIZE_ANY_EXHDR(picture)};
}

/* The job has no picture: it ends, or waits for it. */
static void
do_without(ImgJob *job, const Fetched *fetched)
{
	if (fetched->remote)
		img_network_take(job);
	else if (fetched->locked)
		img_job_end(job, IMG_END_POSTPONED);
	else if (OidIsValid(job->row.table))
	{
		job->failure.message = "the row, or its picture, is gone";
		job->failure.stage = "fetch";
		img_job_end(job, IMG_END_CANCELLED);
	}
	else
		img_job_fail(job, ERRCODE_NO_DATA, "fetch", false, "the picture has been purged", NULL);
}

bool
img_fetched(const ImgJob *job, ImgInput *input)
{
	if (job->source.length == 0 || (job->server == NULL && job->request.other != NULL && job->other.length == 0))
		return false;
	memset(input, 0, sizeof(*input));
	input->picture = bytes_of_body(&job->source);
	if (job->other.length > 0)
		input->other = bytes_of_body(&job->other);
	return true;
}

bool
img_fetch(ImgJob *job, ImgInput *input)
{
	Fetched		fetched = {0};

	job->reused = false;
	if (img_fetched(job, input))
		return true;
	if (!img_guarded(job, "fetch", fetch_step, &fetched))
	{
		job->reused = false;
		return false;
	}
	if (job->reused)
	{
		img_dispatcher.reused_bytes += job->reused_bytes;
		img_job_end(job, IMG_END_DONE);
		return false;
	}
	if (fetched.found && !fetched.remote)
	{
		memset(input, 0, sizeof(*input));
		input->picture = job->source.length > 0 ? bytes_of_body(&job->source) : bytes_of_datum(DatumGetPointer(fetched.picture));
		if (job->other.length > 0)
			input->other = bytes_of_body(&job->other);
		else if (fetched.other != NULL)
			input->other = bytes_of_datum(fetched.other);
		return true;
	}
	do_without(job, &fetched);
	return false;
}

/* ------------------------------------------------- for somebody's server --- */

/* The bytes, for as long as it takes to send them. */
static void
keep_source(ImgJob *job, Datum picture)
{
	const bytea *bytes;

	if (job->input_bytes > IMG_LARGE_PICTURE && img_can_be_sliced(picture))
	{
		spool(job, picture);
		return;
	}
	bytes = DatumGetByteaPP(picture);
	job->source = (ImgBody) {NULL, -1, job->input_bytes};
	if (job->input_bytes > IMG_FETCH_INLINE)
	{
		job->source.memfd = img_new_memfd();
		if (img_write_all(job->source.memfd, VARDATA_ANY(bytes), job->input_bytes, 0) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not write to a memory file: %m")));
		return;
	}
	job->source.data = MemoryContextAlloc(job->context, job->input_bytes);
	memcpy(job->source.data, VARDATA_ANY(bytes), job->input_bytes);
}

static void
fetch_for_server_step(ImgJob *job, void *arg)
{
	Fetched    *fetched = arg;

	if (find_source(job, fetched))
		keep_source(job, fetched->picture);
}

bool
img_fetch_for_server(ImgJob *job)
{
	Fetched		fetched = {0};

	if (!img_guarded(job, "fetch", fetch_for_server_step, &fetched))
		return false;
	if (fetched.found && !fetched.remote)
		return true;
	do_without(job, &fetched);
	return false;
}
