/*
 * dispatcher_lease.c
 *	  The jobs in hand as the queue knows them: leases.
 *
 * Runs in a dispatcher; each function is a transaction of its own.  A lease is
 * renewed long before it ends, so that whoever finds one that has ended knows
 * that its worker is dead.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "extension/dispatcher.h"
#include "extension/home.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

static ImgStatement rescue = {
	"SELECT $S.img_rescue($1)", 1, {TEXTOID}
};
static ImgStatement heartbeat = {
	"SELECT $S.img_heartbeat($1, $2, '" IMG_LEASE "')", 2, {TEXTOID, UUIDARRAYOID}
};
static ImgStatement release = {
	"SELECT $S.img_release($1, $2)", 2, {TEXTOID, UUIDARRAYOID}
};

/* Runs one of our statements in a transaction of its own. */
uint64
img_run_alone(ImgStatement *statement, Datum *values, int64 *first)
{
	uint64		rows = 0;

	StartTransactionCommand();
	img_dispatcher.gone = img_home_of_extension() == NULL;
	if (!img_dispatcher.gone)
	{
		bool		isnull;

		SPI_connect();
		PushActiveSnapshot(GetTransactionSnapshot());
		img_execute(statement, values, NULL);
		rows = SPI_processed;
		if (first != NULL && rows > 0)
			*first = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		PopActiveSnapshot();
		SPI_finish();
	}
	CommitTransactionCommand();
	return rows;
}

void
img_leases_rescue(void)
{
	Datum		values[] = {CStringGetTextDatum(img_dispatcher.name)};
	int64		rescued = 0;

	img_run_alone(&rescue, values, &rescued);
	if (rescued > 0)
	{
		ereport(LOG, (errmsg("jobs of dead workers wait again: " INT64_FORMAT, rescued)));
		img_dispatcher.look = true;
	}
}

int
img_jobs_in_hand(void)
{
	return img_dispatcher.nclaimed + img_dispatcher.nnetwork + img_dispatcher.nremote + img_dispatcher.nsent + img_dispatcher.nended;
}

static int
add_ids(Datum *ids, int n, dlist_head *list)
{
	dlist_iter	iter;

	dlist_foreach(iter, list)
		ids[n++] = UUIDPGetDatum(&dlist_container(ImgJob, node, iter.cur)->id);
	return n;
}

/* Ids of the jobs in hand, or of those that no executor has, as uuid[]. */
static Datum
job_ids(bool all)
{
	Datum	   *ids = palloc(img_jobs_in_hand() * sizeof(Datum));
	int			n = add_ids(ids, 0, &img_dispatcher.claimed);

	if (all)
	{
		n = add_ids(ids, n, &img_dispatcher.ended);
		n = add_ids(ids, n, &img_dispatcher.network);
		n = add_ids(ids, n, &img_dispatcher.to_read);
		n = add_ids(ids, n, &img_dispatcher.to_store);
		n = add_ids(ids, n, &img_dispatcher.remote);
		for (int i = 0; i < img_dispatcher.stations; i++)
			for (int j = 0; j < img_dispatcher.station[i].queued; j++)
				ids[n++] = UUIDPGetDatum(&img_dispatcher.station[i].queue[j]->id);
	}
	return PointerGetDatum(construct_array(ids, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
}

void
img_leases_renew(void)
{
	Datum		values[2] = {CStringGetTextDatum(img_dispatcher.name), job_ids(true)};

	if (img_jobs_in_hand() > 0)
		img_run_alone(&heartbeat, values, NULL);
}

/*
 * Gives jobs back to the queue, at no cost to them: before leaving all of
 * them, after an error those that no executor has (the error may have undone
 * their claim).
 */
void
img_leases_give_back(bool all)
{
	Datum		values[2] = {CStringGetTextDatum(img_dispatcher.name), job_ids(all)};

	img_run_alone(&release, values, NULL);
	while (img_dispatcher.nclaimed > 0)
	{
		ImgJob	   *job = dlist_container(ImgJob, node, dlist_pop_head_node(&img_dispatcher.claimed));

		img_dispatcher.nclaimed--;
		img_job_forget(job);
	}
	img_dispatcher.look = true;
}
