--------------------------------------------------------- looking at the work --

CREATE FUNCTION @extschema@.img_worker_list()
RETURNS TABLE (pid int, database name, state text, inflight int, executors int, jobs_done bigint,
	jobs_failed bigint, last_error text, started_at timestamptz, sandbox text)
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_worker_list() IS 'Internal: the rows of img_worker.';

CREATE VIEW @extschema@.img_worker AS SELECT * FROM @extschema@.img_worker_list();
COMMENT ON VIEW @extschema@.img_worker IS
	'One row a worker process of this cluster: the launcher, and a dispatcher for each database that has the extension. Empty when imgapi is not in shared_preload_libraries.';
COMMENT ON COLUMN @extschema@.img_worker.pid IS 'process id, as in pg_stat_activity';
COMMENT ON COLUMN @extschema@.img_worker.database IS 'the dispatcher''s database; NULL for the launcher';
COMMENT ON COLUMN @extschema@.img_worker.state IS 'starting, idle or working';
COMMENT ON COLUMN @extschema@.img_worker.inflight IS 'jobs it has now';
COMMENT ON COLUMN @extschema@.img_worker.executors IS 'image executors that are alive; those of the launcher serve img_edit() and its like';
COMMENT ON COLUMN @extschema@.img_worker.jobs_done IS 'jobs ended as DONE since it started';
COMMENT ON COLUMN @extschema@.img_worker.jobs_failed IS 'failed attempts since it started';
COMMENT ON COLUMN @extschema@.img_worker.last_error IS 'last failure of the worker itself or of a job (administrators only)';
COMMENT ON COLUMN @extschema@.img_worker.started_at IS 'when it started';
COMMENT ON COLUMN @extschema@.img_worker.sandbox IS 'what confines its executors: seccomp, landlock or off';

CREATE FUNCTION @extschema@.img_start_worker() RETURNS bool
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_start_worker() IS
	'Asks the launcher for a dispatcher in this database once the transaction has committed. False, with a warning, when imgapi is not in shared_preload_libraries. Happens by itself with CREATE EXTENSION and with every submit.';

CREATE VIEW @extschema@.img_stats AS
	SELECT j.kind, j.status, pg_catalog.count(*) AS jobs,
		pg_catalog.max(pg_catalog.clock_timestamp() - j.created_at) FILTER (WHERE j.status = 'ACCEPTED') AS oldest_waiting,
		pg_catalog.count(*) FILTER (WHERE j.finished_at > pg_catalog.clock_timestamp() - interval '1 minute') AS ended_last_minute,
		pg_catalog.count(*) FILTER (WHERE j.finished_at > pg_catalog.clock_timestamp() - interval '1 hour') AS ended_last_hour
	FROM @extschema@.img_job j GROUP BY j.kind, j.status;
COMMENT ON VIEW @extschema@.img_stats IS 'Counts of the jobs you may see, by kind and status.';
COMMENT ON COLUMN @extschema@.img_stats.kind IS 'edit, operation or delete';
COMMENT ON COLUMN @extschema@.img_stats.status IS 'ACCEPTED, PROCESSING, DONE, ERROR or CANCELLED';
COMMENT ON COLUMN @extschema@.img_stats.jobs IS 'how many there are';
COMMENT ON COLUMN @extschema@.img_stats.oldest_waiting IS 'how long the oldest of them has waited';
COMMENT ON COLUMN @extschema@.img_stats.ended_last_minute IS 'how many ended in the last minute';
COMMENT ON COLUMN @extschema@.img_stats.ended_last_hour IS 'how many ended in the last hour';

