/*
 * dispatcher_request.c
 *	  What jobs ask for, compiled; and steps that may fail without harm to others.
 *
 * Runs in a dispatcher, within a transaction.
 */
#include "postgres.h"

#include "access/xact.h"
#include "extension/dispatcher.h"
#include "extension/remote.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

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
	char	   *folder;
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
	request->folder = request_text(request->json, "destination");
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
	to->folder = copy_text(from->folder);
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

static void
plan_remote_step(ImgJob *job, void *arg)
{
	MemoryContext before = MemoryContextSwitchTo(job->context);

	img_remote_job_plan(job, arg);
	job->operation_id = request_text(arg, "operation_id");
	MemoryContextSwitchTo(before);
}

bool
img_plan_job(ImgJob *job, Jsonb *json)
{
	Request    *request;
	Request		copy;
	MemoryContext before;

	if (job->server != NULL)
		return img_guarded(job, "submit", plan_remote_step, json);
	if (!find_request(job, json, &request))
		return false;
	before = MemoryContextSwitchTo(job->context);
	copy_request(&copy, request);
	job->request = copy.compiled;
	job->operation_id = copy.operation_id;
	job->name = copy.name;
	job->folder = copy.folder;
	if (job->name == NULL && job->input != NULL)
		job->name = img_input_name(job->input);
	MemoryContextSwitchTo(before);
	return true;
}
