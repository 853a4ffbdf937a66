/*
 * dispatcher_claim.c
 *	  From the queue to the executors, in one short transaction.
 *
 * Claims as many jobs as the executors have room for, fetches pictures for
 * those that can be sent at once, and commits.  Only then are they sent, so
 * that no executor works on a job that is not claimed.  The commit is not
 * waited for (synchronous_commit is off in a dispatcher): a claim that is lost
 * in a crash is a job that waits.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "extension/compile.h"
#include "extension/dispatcher.h"
#include "extension/home.h"
#include "extension/named_picture.h"
#include "extension/remote.h"
#include "extension/settings.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

static ImgStatement claim = {
	"SELECT * FROM $S.img_claim($1, $2, '" IMG_LEASE "')", 2, {TEXTOID, INT4OID}
};

static ImgStatement next_due = {
	"SELECT $S.img_next_due()", 0, {0}
};

static ImgStatement input_of = {
	"SELECT o.data, o.sha256 FROM $S.img_object o WHERE o.job_id = $1 AND o.role = 'input'", 1, {UUIDOID}
};

/* Results that wait to be settled, above which nothing is claimed. */
#define MOST_ENDED	128
/* Stored pictures above this are read piece by piece. */
#define LARGE_PICTURE	(1024 * 1024)
/* Jobs on the network. */
#define MOST_NETWORK	256
/* Bytes of results taken over, above which no more are until those are settled. */
#define MOST_REUSED	(8 * 1024 * 1024)

/* Columns of img_claim(). */
enum
{
	C_ID = 1, C_ATTEMPT, C_MAX_ATTEMPTS, C_OWNER, C_KIND, C_REQUEST,
	C_SOURCE_TABLE, C_SOURCE_COLUMN, C_SOURCE_KEY, C_TARGET_COLUMN, C_INPUT
};

static char *
text_column(HeapTuple row, TupleDesc desc, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* The job of a claimed row, in a memory context of its own. */
static ImgJob *
make_job(HeapTuple row, TupleDesc desc)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "imgapi job", ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	ImgJob	   *job = palloc0(sizeof(ImgJob));
	bool		isnull;

	job->context = context;
	job->id = *DatumGetUUIDP(SPI_getbinval(row, desc, C_ID, &isnull));
	job->attempt = DatumGetInt16(SPI_getbinval(row, desc, C_ATTEMPT, &isnull));
	job->owner = DatumGetObjectId(SPI_getbinval(row, desc, C_OWNER, &isnull));
	job->row.table = DatumGetObjectId(SPI_getbinval(row, desc, C_SOURCE_TABLE, &isnull));
	if (isnull)
		job->row.table = InvalidOid;
	job->row.source_column = text_column(row, desc, C_SOURCE_COLUMN);
	job->row.key = text_column(row, desc, C_SOURCE_KEY);
	job->row.target_column = text_column(row, desc, C_TARGET_COLUMN);
	job->input = text_column(row, desc, C_INPUT);
	job->source.memfd = job->other.memfd = -1;
	MemoryContextSwitchTo(before);
	return job;
}

ErrorData *
img_try(void (*step) (void *arg), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		step(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

/* A step of a job, as img_try() takes it. */
typedef struct Step
{
	void		(*step) (ImgJob *job, void *arg);
	ImgJob	   *job;
	void	   *arg;
} Step;

static void
run_step(void *arg)
{
	Step	   *step = arg;

	step->step(step->job, step->arg);
}

/*
 * Runs one step for a job in a subtransaction; an error fails the job and
 * nothing else.
 */
bool
img_guarded(ImgJob *job, const char *stage, void (*step) (ImgJob *job, void *arg), void *arg)
{
	Step		guarded = {step, job, arg};
	ErrorData  *error = img_try(run_step, &guarded);

	if (error != NULL)
		img_job_fail(job, error->sqlerrcode, stage,
					 error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE || error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED,
					 error->message, error->hint);
	return error == NULL;
}

/* What a request says, compiled. */
typedef struct Request
{
	Jsonb	   *json;			/* as it is in img_job.request */
	ImgCompiled compiled;
	char	   *operation_id;
	char	   *name;
} Request;

/* A text of the request; NULL: not there. */
static char *
request_text(Jsonb *json, const char *key)
{
	JsonbValue	found;

	if (!JB_ROOT_IS_OBJECT(json) ||
		getKeyJsonValueFromContainer(&json->root, key, strlen(key), &found) == NULL ||
		found.type != jbvString)
		return NULL;
	return pnstrdup(found.val.string.val, found.val.string.len);
}

static void
compile_step(ImgJob *job, void *arg)
{
	Request    *request = arg;

	img_compile_request(request->json, NULL, &request->compiled);
	request->operation_id = request_text(request->json, "operation_id");
	request->name = request_text(request->json, "name");
}

static char *
copy_text(const char *text)
{
	return text ? pstrdup(text) : NULL;
}

static void
copy_request(Request *to, const Request *from)
{
	to->compiled = from->compiled;
	to->compiled.other = copy_text(from->compiled.other);
	to->compiled.destination = copy_text(from->compiled.destination);
	to->operation_id = copy_text(from->operation_id);
	to->name = copy_text(from->name);
}

/* The last request, compiled: most jobs have the same one as the job before.
 * False: the job has failed. */
static bool
find_request(ImgJob *job, Jsonb *json, Request **found)
{
	static MemoryContext context = NULL;
	static Request last;
	Request		request = {.json = json};
	MemoryContext before;

	*found = &last;
	if (last.json != NULL && VARSIZE(last.json) == VARSIZE(json) && memcmp(last.json, json, VARSIZE(json)) == 0)
		return true;
	if (!img_guarded(job, "read", compile_step, &request))
		return false;
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "imgapi last request", ALLOCSET_SMALL_SIZES);
	last.json = NULL;
	MemoryContextReset(context);
	before = MemoryContextSwitchTo(context);
	copy_request(&last, &request);
	last.json = palloc(VARSIZE(json));
	memcpy(last.json, json, VARSIZE(json));
	MemoryContextSwitchTo(before);
	return true;
}

static bool
plan_job(ImgJob *job, Jsonb *json)
{
	Request    *request;
	Request		copy;
	MemoryContext before;

	if (!find_request(job, json, &request))
		return false;
	before = MemoryContextSwitchTo(job->context);
	copy_request(&copy, request);
	job->request = copy.compiled;
	job->operation_id = copy.operation_id;
	job->name = copy.name;
	if (job->name == NULL && job->input != NULL)
		job->name = img_input_name(job->input);
	MemoryContextSwitchTo(before);
	return true;
}

static void
claim_jobs(int count)
{
	Datum		values[] = {CStringGetTextDatum(img_dispatcher.name), Int32GetDatum(count)};
	SPITupleTable *rows;
	uint64		n;

	img_execute(&claim, values, NULL);
	rows = SPI_tuptable;
	n = SPI_processed;
	for (uint64 i = 0; i < n; i++)
	{
		ImgJob	   *job = make_job(rows->vals[i], rows->tupdesc);
		bool		isnull;
		Jsonb	   *request = DatumGetJsonbP(SPI_getbinval(rows->vals[i], rows->tupdesc, C_REQUEST, &isnull));

		if (!plan_job(job, request))
			continue;
		dlist_push_tail(&img_dispatcher.claimed, &job->node);
		img_dispatcher.nclaimed++;
	}
	/* Fewer than asked for: nothing else is due. */
	img_dispatcher.look = n == (uint64) count;
	SPI_freetuptable(rows);
}

/*
 * Finds out when the next waiting job is due, and tells submitters that until
 * then they need not wake us.  Not part of the claim, so that no executor waits
 * for it.
 */
void
img_publish_next_due(void)
{
	if (img_dispatcher.look || img_dispatcher.due_known)
		return;
	StartTransactionCommand();
	img_dispatcher.gone = img_home_of_extension() == NULL;
	if (!img_dispatcher.gone)
	{
		bool		isnull;
		Datum		due;

		SPI_connect();
		PushActiveSnapshot(GetTransactionSnapshot());
		img_execute(&next_due, NULL, NULL);
		due = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
		if (!isnull)
			pg_atomic_write_u64(&img_dispatcher.slot->next_due, (uint64) DatumGetTimestampTz(due));
		PopActiveSnapshot();
		SPI_finish();
	}
	CommitTransactionCommand();
	img_dispatcher.due_known = true;
}

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

static void
fetch_source(ImgJob *job, Fetched *fetched)
{
	if (OidIsValid(job->row.table))
		fetch_from_row(job, fetched);
	else if (job->input == NULL)
		fetch_object(job, fetched);
	else
		fetched->found = true;
	if (!fetched->found || job->input == NULL)
		return;
	fetched->remote = img_needs_network(job);
	if (!fetched->remote)
		fetched->picture = PointerGetDatum(fetch_named(job, job->input));
}

/* Whether parts of a stored picture can be read without the rest: it lies by
 * itself, and is not compressed. */
static bool
can_be_sliced(Datum picture)
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
		struct varlena *part = detoast_attr_slice((struct varlena *) DatumGetPointer(picture), done, LARGE_PICTURE);

		if (img_write_all(memfd, VARDATA_ANY(part), VARSIZE_ANY_EXHDR(part), done) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not write to a memory file: %m")));
		done += VARSIZE_ANY_EXHDR(part);
		pfree(part);
	}
}

static void
fetch_step(ImgJob *job, void *arg)
{
	Fetched    *fetched = arg;

	if (job->source.length > 0)
		fetched->found = true;
	else
	{
		fetch_source(job, fetched);
		if (!fetched->found || fetched->remote)
			return;
		job->input_bytes = toast_raw_datum_size(fetched->picture) - VARHDRSZ;
		img_check_source_bytes(job->input_bytes);
		if (job->input_bytes == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION), errmsg("the picture is empty")));
	}
	if (job->request.other != NULL && !img_is_remote(job->request.other))
		fetched->other = fetch_named(job, job->request.other);
	if (job->source.length > 0)
		return;
	if (job->request.destination == NULL && job->other.length == 0)
		img_reuse(job, &fetched->picture, fetched->sha256, fetched->other);
	if (job->reused)
		return;
	if (job->input_bytes > LARGE_PICTURE && can_be_sliced(fetched->picture))
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

/* Fetches the picture of a job, or its result if there is one; false: the job
 * has ended. */
static bool
fetch(ImgJob *job, ImgInput *input)
{
	Fetched		fetched = {0};

	job->reused = false;
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
	if (fetched.remote)
	{
		img_network_take(job);
		return false;
	}
	if (fetched.found)
	{
		memset(input, 0, sizeof(*input));
		input->picture = job->source.length > 0 ? bytes_of_body(&job->source) : bytes_of_datum(DatumGetPointer(fetched.picture));
		if (job->other.length > 0)
			input->other = bytes_of_body(&job->other);
		else if (fetched.other != NULL)
			input->other = bytes_of_datum(fetched.other);
		return true;
	}
	if (fetched.locked)
		img_job_end(job, IMG_END_POSTPONED);
	else if (OidIsValid(job->row.table))
	{
		job->failure.message = "the row, or its picture, is gone";
		job->failure.stage = "fetch";
		img_job_end(job, IMG_END_CANCELLED);
	}
	else
		img_job_fail(job, ERRCODE_NO_DATA, "fetch", false, "the picture has been purged", NULL);
	return false;
}

/* Those that are not in the database need no executor yet. */
static void
take_remote(void)
{
	dlist_mutable_iter iter;
	int			taken = 0;

	dlist_foreach_modify(iter, &img_dispatcher.claimed)
	{
		ImgJob	   *job = dlist_container(ImgJob, node, iter.cur);

		if (!img_needs_network(job))
			continue;
		dlist_delete(iter.cur);
		img_dispatcher.nclaimed--;
		img_network_take(job);
		taken++;
	}
	if (taken > 0)
		img_dispatcher.network_jobs = true;
	else if (img_dispatcher.nnetwork == 0)
		img_dispatcher.network_jobs = false;
}

/* Fetches pictures for executors with room. */
static bool
feed(void)
{
	bool		fed = false;

	while (img_dispatcher.nclaimed > 0 && img_dispatcher.reused_bytes < MOST_REUSED)
	{
		ImgStation *station = img_station_for(0);
		ImgJob	   *job;
		ImgInput	input;

		if (station == NULL)
			break;
		job = dlist_head_element(ImgJob, node, &img_dispatcher.claimed);
		dlist_delete(&job->node);
		img_dispatcher.nclaimed--;
		if (!fetch(job, &input))
			continue;
		img_station_put(station, job, &input);
		/* what the database has can be read again, should the executor die */
		if (job->input == NULL)
			img_body_close(&job->source);
		fed = true;
		/* The copy is in SPI's memory until the transaction ends. */
		if (img_input_length(&input) > 256 * 1024)
			break;
	}
	return fed;
}

/* How many jobs to claim. */
static int
claimable(void)
{
	int			room = img_station_room() - img_dispatcher.nclaimed;
	int			in_hand = img_dispatcher.nclaimed + img_dispatcher.nsent;

	/* Those on the network wait for others, not for us: many at once. */
	if (img_dispatcher.network_jobs && img_dispatcher.nclaimed < MOST_NETWORK / 4)
	{
		room = MOST_NETWORK - img_dispatcher.nnetwork - img_dispatcher.nclaimed;
		in_hand = MOST_NETWORK / 8;
	}

	/* What cannot be written down must not pile up. */
	if (img_dispatcher.nended > MOST_ENDED)
		return 0;
	/* A claim costs as much for twenty jobs as for one. */
	if (room < in_hand)
		return 0;

	if (imgapi_max_inflight > 0)
		room = Min(room, imgapi_max_inflight - img_dispatcher.nclaimed - img_dispatcher.nsent -
				   img_dispatcher.nnetwork - img_dispatcher.nended);
	return Max(0, Min(room, 256));
}

/* One transaction; false: there is nothing more to do for now. */
static bool
claim_and_send_some(void)
{
	int			count = img_dispatcher.look ? claimable() : 0;
	bool		fed;

	if (count == 0 && (img_dispatcher.nclaimed == 0 || img_station_for(0) == NULL))
		return false;
	StartTransactionCommand();
	img_dispatcher.gone = img_home_of_extension() == NULL;
	if (img_dispatcher.gone)
	{
		CommitTransactionCommand();
		return false;
	}
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (count > 0)
	{
		/* Whoever commits from now on wakes us: see img_wake() */
		pg_atomic_write_u64(&img_dispatcher.slot->next_due, (uint64) DT_NOEND);
		pg_memory_barrier();
		img_dispatcher.due_known = false;
		claim_jobs(count);
	}
	fed = feed();
	PopActiveSnapshot();
	SPI_finish();
	CommitTransactionCommand();
	img_stations_send();
	take_remote();
	return fed;
}

void
img_claim_and_send(void)
{
	while (claim_and_send_some())
		;
}
