/*
 * worker_list.c
 *	  The rows of img_worker, from shared memory.
 *
 * Runs in client backends.
 */
#include "extension/imgapi.h"

#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "extension/shared.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(img_worker_list);

static const char *const state_names[] = {"stopped", "starting", "idle", "working"};

static void
put(ReturnSetInfo *result, pid_t pid, Oid database, const ImgWorkerStatus *status)
{
	Datum		values[10] = {0};
	bool		nulls[10] = {false};
	char	   *name = OidIsValid(database) ? get_database_name(database) : NULL;

	values[0] = Int32GetDatum(pid);
	nulls[1] = name == NULL;
	if (name != NULL)
		values[1] = DirectFunctionCall1(namein, CStringGetDatum(name));
	values[2] = CStringGetTextDatum(state_names[status->state]);
	values[3] = Int32GetDatum(status->inflight);
	values[4] = Int32GetDatum(status->executors);
	values[5] = Int64GetDatum(status->jobs_done);
	values[6] = Int64GetDatum(status->jobs_failed);
	/* The failure of somebody else's job is not for everybody. */
	nulls[7] = status->last_error[0] == '\0' || !img_role_sees(InvalidOid, GetUserId());
	if (!nulls[7])
		values[7] = CStringGetTextDatum(status->last_error);
	values[8] = TimestampTzGetDatum(status->started_at);
	nulls[9] = status->sandbox[0] == '\0';
	if (!nulls[9])
		values[9] = CStringGetTextDatum(status->sandbox);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
img_worker_list(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	if (img_shared == NULL)
		return (Datum) 0;
	if (img_shared->launcher != 0)
		put(result, img_shared->launcher, InvalidOid, &img_shared->launcher_status);
	for (int i = 0; i < IMG_MAX_DATABASES; i++)
	{
		const ImgSlot *slot = &img_shared->slot[i];

		if (OidIsValid(slot->database) && slot->pid != 0)
			put(result, slot->pid, slot->database, &slot->status);
	}
	return (Datum) 0;
}
