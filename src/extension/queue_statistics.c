/*
 * queue_statistics.c
 *	  What the planner is told of the tables of the queue.
 *
 * Runs in a dispatcher.  Its statements are planned once and kept, and a queue
 * is empty most of the time: vacuum finds it so, and says so to the planner.
 * With no rows to expect, one index is as good as another to it, and reading all
 * of one as good as looking for a row; a plan that was made then reads the
 * whole queue for every job, until an ANALYZE finds it full.  So here these
 * tables are never small.
 */
#include "postgres.h"

#include "extension/dispatcher.h"
#include "extension/home.h"
#include "nodes/pathnodes.h"
#include "optimizer/plancat.h"

#define ROWS_AT_LEAST	10000
#define PAGES_AT_LEAST	200

static get_relation_info_hook_type next_hook = NULL;

static bool
is_of_queue(Oid relation)
{
	static const char *const tables[] = {"img_job_live", "img_job_ended", "img_object"};

	for (int i = 0; i < lengthof(tables); i++)
		if (relation == img_table(tables[i]))
			return true;
	return false;
}

static void
tell_planner(PlannerInfo *root, Oid relation, bool inhparent, RelOptInfo *rel)
{
	ListCell   *cell;

	if (next_hook != NULL)
		next_hook(root, relation, inhparent, rel);
	if (!is_of_queue(relation))
		return;
	rel->tuples = Max(rel->tuples, ROWS_AT_LEAST);
	rel->pages = Max(rel->pages, PAGES_AT_LEAST);
	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst(cell);

		index->tuples = Max(index->tuples, ROWS_AT_LEAST);
		index->pages = Max(index->pages, PAGES_AT_LEAST);
	}
}

void
img_queue_statistics_start(void)
{
	next_hook = get_relation_info_hook;
	get_relation_info_hook = tell_planner;
}
