----------------------------------------------------------- worker protocol --
-- How workers take jobs and say how they ended. The dispatcher of this database
-- calls these functions, and any other worker may: a worker is a name, a claim is
-- good until its lease ends, and every answer names worker, job and attempt.
-- An answer that does not match is ignored: somebody else has the job by now.
--
-- No function waits for a row that someone else has locked: what it could not
-- settle it reports, and the worker tries again later.
--
-- The planner is told to use the indexes: statistics of a queue are always wrong.

CREATE FUNCTION @extschema@.img_claim(worker text, jobs int, lease interval, busy text[] DEFAULT NULL)
RETURNS TABLE (id uuid, attempt smallint, max_attempts smallint, owner oid,
	kind @extschema@.img_job_kind, request jsonb,
	source_table oid, source_column text, source_key text, target_column text, input text, server text)
LANGUAGE plpgsql VOLATILE ROWS 100
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
	present timestamptz := pg_catalog.clock_timestamp();
BEGIN
	-- Priorities are walked one by one, so that jobs of the future cost
	-- nothing: within one priority the due ones are a range of the index.
	RETURN QUERY
	WITH RECURSIVE level (priority) AS (
		(SELECT l.priority FROM @extschema@.img_job_live l ORDER BY l.priority LIMIT 1)
		UNION ALL
		SELECT (SELECT l.priority FROM @extschema@.img_job_live l
				WHERE l.priority > level.priority ORDER BY l.priority LIMIT 1)
		FROM level WHERE level.priority IS NOT NULL
	), due AS MATERIALIZED (
		SELECT d.id FROM level CROSS JOIN LATERAL (
			SELECT l.id FROM @extschema@.img_job_live l
			WHERE l.priority = level.priority AND l.run_after <= present
				AND l.lease_owner IS NULL AND (l.server IS NULL OR l.server <> ALL (busy))
			ORDER BY l.run_after, l.id LIMIT jobs FOR UPDATE SKIP LOCKED) d
		WHERE level.priority IS NOT NULL
		LIMIT jobs
	), claimed AS (
		UPDATE @extschema@.img_job_live l
		SET lease_owner = worker, lease_expires_at = present + lease,
			started_at = present, attempts = l.attempts + 1
		FROM due WHERE l.id = due.id
		RETURNING l.*
	)
	SELECT c.id, c.attempts, c.max_attempts, c.owner::oid, c.kind, c.request,
		c.source_table::oid, c.source_column, c.source_key, c.target_column, c.input, c.server
	FROM claimed c ORDER BY c.priority, c.run_after, c.id;
END $$;
COMMENT ON FUNCTION @extschema@.img_claim(text, int, interval, text[]) IS
	'Worker protocol: takes up to that many due jobs, in order of priority (lower first), run_after and id. Jobs of servers that are busy are left, and without busy those of any server.';

CREATE FUNCTION @extschema@.img_next_due(busy text[] DEFAULT NULL) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
BEGIN
	RETURN (WITH RECURSIVE level (priority) AS (
			(SELECT l.priority FROM @extschema@.img_job_live l ORDER BY l.priority LIMIT 1)
			UNION ALL
			SELECT (SELECT l.priority FROM @extschema@.img_job_live l
					WHERE l.priority > level.priority ORDER BY l.priority LIMIT 1)
			FROM level WHERE level.priority IS NOT NULL
		)
		SELECT pg_catalog.min(d.run_after) FROM level CROSS JOIN LATERAL (
			SELECT l.run_after FROM @extschema@.img_job_live l
			WHERE l.priority = level.priority AND l.lease_owner IS NULL
				AND (l.server IS NULL OR l.server <> ALL (busy))
			ORDER BY l.run_after LIMIT 1) d);
END $$;
COMMENT ON FUNCTION @extschema@.img_next_due(text[]) IS
	'Worker protocol: when the next waiting job is due, but for those that img_claim() leaves; NULL: nothing waits.';

CREATE FUNCTION @extschema@.img_hold(worker text, jobs uuid[], attempts smallint[])
RETURNS TABLE (id uuid, held bool, gone bool)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH asked AS MATERIALIZED (
		SELECT a.id, a.attempt FROM ROWS FROM (pg_catalog.unnest(jobs), pg_catalog.unnest(attempts)) a (id, attempt)
	), mine AS MATERIALIZED (
		SELECT l.id FROM asked a JOIN @extschema@.img_job_live l ON l.id = a.id
		WHERE l.attempts = a.attempt AND l.lease_owner = worker
		FOR UPDATE OF l SKIP LOCKED
	), answer AS (
		-- IN is hashed; a join would compare each with each
		SELECT a.id, a.attempt, a.id IN (SELECT m.id FROM mine m) AS held FROM asked a
	)
	SELECT a.id, a.held, NOT a.held AND NOT EXISTS (
		SELECT FROM @extschema@.img_job_live l
		WHERE l.id = a.id AND l.attempts = a.attempt AND l.lease_owner = worker)
	FROM answer a;
END $$;
COMMENT ON FUNCTION @extschema@.img_hold(text, uuid[], smallint[]) IS
	'Worker protocol: locks jobs until the end of the transaction. Not held and not gone: locked by somebody else, try later.';

CREATE TYPE @extschema@.img_outcome AS (
	job_id uuid, attempt smallint, started_at timestamptz, warning text,
	source @extschema@.img_metadata,
	ordinal int, name text, output @extschema@.img_metadata,
	storage text, path text, data bytea,
	made_of uuid, reused_from uuid, sha256 bytea);
COMMENT ON TYPE @extschema@.img_outcome IS
	'Worker protocol: one output of a job that went well. A job with several outputs has as many of these, all in one call.';
COMMENT ON COLUMN @extschema@.img_outcome.job_id IS 'img_job.id';
COMMENT ON COLUMN @extschema@.img_outcome.attempt IS 'which attempt this was, as img_claim() told it';
COMMENT ON COLUMN @extschema@.img_outcome.started_at IS 'when the work on the picture began; NULL: with the claim';
COMMENT ON COLUMN @extschema@.img_outcome.warning IS 'img_job.warning';
COMMENT ON COLUMN @extschema@.img_outcome.source IS 'facts of the picture';
COMMENT ON COLUMN @extschema@.img_outcome.ordinal IS 'img_object.ordinal, from 0';
COMMENT ON COLUMN @extschema@.img_outcome.name IS 'img_object.name';
COMMENT ON COLUMN @extschema@.img_outcome.output IS 'facts of the result';
COMMENT ON COLUMN @extschema@.img_outcome.storage IS 'img_object.storage of the result';
COMMENT ON COLUMN @extschema@.img_outcome.path IS 'img_object.path of the result';
COMMENT ON COLUMN @extschema@.img_outcome.data IS 'the result, where storage is database';
COMMENT ON COLUMN @extschema@.img_outcome.made_of IS 'img_object.made_of of the result, where storage is database';
COMMENT ON COLUMN @extschema@.img_outcome.sha256 IS 'of the result, where data is NULL';
COMMENT ON COLUMN @extschema@.img_outcome.reused_from IS 'img_object.reused_from of the result';

CREATE FUNCTION @extschema@.img_finish(worker text, outcomes @extschema@.img_outcome[])
RETURNS TABLE (id uuid, settled bool)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
	present timestamptz := pg_catalog.clock_timestamp();
BEGIN
	RETURN QUERY
	WITH outcome AS MATERIALIZED (
		SELECT * FROM pg_catalog.unnest(outcomes)
	), held AS MATERIALIZED (
		SELECT l.*, o.started_at AS really_started_at, o.warning, o.source, o.ordinal, o.name, o.output,
			o.storage, o.path, o.data, o.made_of, o.reused_from, o.sha256
		FROM outcome o JOIN @extschema@.img_job_live l ON l.id = o.job_id
		WHERE l.attempts = o.attempt AND l.lease_owner = worker
		FOR UPDATE OF l SKIP LOCKED
	), gone AS (
		DELETE FROM @extschema@.img_job_live l USING held h WHERE h.ordinal = 0 AND l.id = h.id
	), ended AS (
		INSERT INTO @extschema@.img_job_ended (id, task_id, created_at, run_after, started_at,
			finished_at, expires_at, retention, owner, kind, status, priority, attempts, max_attempts, server,
			job_key, callback_url, source_table, source_column, source_key, target_column,
			stage, error, error_code, warning, request, input)
		SELECT h.id, h.task_id, h.created_at, h.run_after,
			CASE WHEN h.really_started_at BETWEEN h.started_at AND present
				THEN h.really_started_at ELSE h.started_at END,
			present, present + h.retention, h.retention, h.owner, h.kind, 'DONE', h.priority, h.attempts, h.max_attempts, h.server,
			h.job_key, @extschema@.img_callback_add(h.id, h.owner, h.callback_url), h.source_table, h.source_column, h.source_key, h.target_column,
			NULL, h.error, h.error_code, h.warning, h.request, h.input
		FROM held h WHERE h.ordinal = 0
	), uploaded AS (
		UPDATE @extschema@.img_object o
		SET format = (h.source).format, mime = (h.source).mime, ext = (h.source).ext,
			width = (h.source).width, height = (h.source).height, mps = (h.source).mps
		FROM held h WHERE h.ordinal = 0 AND (h.server IS NOT NULL OR (h.input IS NULL AND h.source_table IS NULL))
			AND o.job_id = h.id AND o.role = 'input'
	), input AS (
		INSERT INTO @extschema@.img_object (id, job_id, owner, role, storage, path,
			format, mime, ext, width, height, mps, bytes, stored_at, expires_at)
		SELECT @extschema@.img_new_id(), h.id, h.owner, 'input',
			CASE WHEN h.input IS NULL THEN 'row' WHEN h.input LIKE 'storage://%'
				THEN pg_catalog.split_part(h.input, '/', 3) WHEN h.input LIKE '/%' THEN 'row' ELSE 'url' END,
			CASE WHEN h.input IS NULL THEN h.source_table::text || '/' || h.source_key || '/' || h.source_column
				WHEN h.input LIKE 'storage://%' THEN pg_catalog.substr(h.input, 11 + pg_catalog.strpos(pg_catalog.substr(h.input, 11), '/'))
				ELSE h.input END,
			(h.source).format, (h.source).mime, (h.source).ext,
			(h.source).width, (h.source).height, (h.source).mps, (h.source).bytes, h.created_at, h.created_at + h.retention
		FROM held h WHERE h.ordinal = 0 AND (h.source_table IS NOT NULL OR h.input IS NOT NULL)
			-- img_row_input() has made it
			AND (h.server IS NULL OR h.source_table IS NULL OR NOT EXISTS (SELECT FROM @extschema@.img_object x WHERE x.job_id = h.id AND x.role = 'input'))
	), output AS (
		INSERT INTO @extschema@.img_object (id, job_id, owner, role, ordinal, storage, path, name,
			format, mime, ext, width, height, mps, bytes, sha256, made_of, reused_from, data, stored_at, expires_at)
		SELECT @extschema@.img_new_id(), h.id, h.owner, 'output', h.ordinal, h.storage, h.path, h.name,
			(h.output).format, (h.output).mime, (h.output).ext,
			(h.output).width, (h.output).height, (h.output).mps, (h.output).bytes,
			COALESCE(h.sha256, pg_catalog.sha256(h.data)), CASE WHEN h.storage = 'database' THEN h.made_of END, h.reused_from,
			CASE WHEN h.storage = 'database' THEN h.data END, present, present + h.retention
		FROM held h
		RETURNING id, job_id, owner, ordinal
	), link AS (
		-- that the server has made
		INSERT INTO @extschema@.img_link (id, object_id, job_id, owner, created_at, expires_at, expiry, download_url, head_url)
		SELECT @extschema@.img_new_id(), u.id, u.job_id, u.owner, present, pg_catalog.to_timestamp((r.result #>> '{link,expiry}')::bigint),
			(r.result #>> '{link,expiry}')::bigint, r.result #>> '{link,download_url}', r.result #>> '{link,head_url}'
		FROM output u JOIN @extschema@.img_remote r ON r.job_id = u.job_id AND r.result ? 'link'
		WHERE u.ordinal = 0 AND EXISTS (SELECT FROM held h WHERE h.server IS NOT NULL)
	)
	-- IN is hashed; a join would compare each with each
	SELECT o.job_id, o.job_id IN (SELECT h.id FROM held h) OR NOT EXISTS (
		SELECT FROM @extschema@.img_job_live l
		WHERE l.id = o.job_id AND l.attempts = o.attempt AND l.lease_owner = worker)
	FROM outcome o
	WHERE o.ordinal = 0;
END $$;
COMMENT ON FUNCTION @extschema@.img_finish(text, @extschema@.img_outcome[]) IS
	'Worker protocol: ends jobs as DONE and stores their results. settled: nothing more to say of that job.';

CREATE FUNCTION @extschema@.img_stored_result(job uuid)
RETURNS TABLE (ordinal int, format text, width int, height int, data bytea,
	source_format text, source_width int, source_height int, warning text)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT o.ordinal, o.format, o.width, o.height, o.data, i.format, i.width, i.height, e.warning
	FROM @extschema@.img_job_ended e
		JOIN @extschema@.img_object i ON i.job_id = e.id AND i.role = 'input'
		JOIN @extschema@.img_object o ON o.job_id = e.id AND o.role = 'output'
	WHERE e.id = job
	ORDER BY o.ordinal;
END $$;
COMMENT ON FUNCTION @extschema@.img_stored_result(uuid) IS
	'Internal: the outputs of an ended job, for another that asks for the same; none when a part of it has been purged.';

CREATE FUNCTION @extschema@.img_fail(worker text, job uuid, attempt smallint, code text,
	message text, hint text, stage text, transient bool, retry_after interval DEFAULT NULL)
RETURNS bool
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
DECLARE
	live @extschema@.img_job_live;
	present timestamptz := pg_catalog.clock_timestamp();
BEGIN
	SELECT l.* INTO live FROM @extschema@.img_job_live l
	WHERE l.id = job AND l.attempts = attempt AND l.lease_owner = worker
	FOR UPDATE SKIP LOCKED;
	IF NOT FOUND THEN
		RETURN NOT EXISTS (SELECT FROM @extschema@.img_job_live l
			WHERE l.id = job AND l.attempts = attempt AND l.lease_owner = worker);
	END IF;

	INSERT INTO @extschema@.img_job_error (job_id, attempt, owner, transient, created_at, sqlstate, stage, error, hint)
	VALUES (job, attempt, live.owner, transient, present, code, stage, message, hint);

	IF transient AND live.attempts < live.max_attempts THEN
		-- 2, 4, 8 … seconds, up to a quarter more so that failures spread
		UPDATE @extschema@.img_job_live l
		SET lease_owner = NULL, lease_expires_at = NULL, stage = img_fail.stage,
			error = message, error_code = code,
			run_after = present + greatest(retry_after, pg_catalog.make_interval(
				secs => pg_catalog.pow(2, least(live.attempts, 12)) * (1 + pg_catalog.random() / 4)))
		WHERE l.id = job;
	ELSE
		live.stage := stage;
		live.error := message;
		live.error_code := code;
		PERFORM @extschema@.img_end(live, 'ERROR');
	END IF;
	RETURN true;
END $$;
COMMENT ON FUNCTION @extschema@.img_fail(text, uuid, smallint, text, text, text, text, bool, interval) IS
	'Worker protocol: records a failed attempt. A transient failure waits for its next attempt, not before retry_after is over, any other ends the job as ERROR. False: the row is locked, try later.';

CREATE FUNCTION @extschema@.img_end(live @extschema@.img_job_live, status @extschema@.img_job_status)
RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	present timestamptz := pg_catalog.clock_timestamp();
BEGIN
	DELETE FROM @extschema@.img_job_live l WHERE l.id = live.id;
	INSERT INTO @extschema@.img_job_ended (id, task_id, created_at, run_after, started_at,
		finished_at, expires_at, retention, owner, kind, status, priority, attempts, max_attempts, server,
		job_key, callback_url, source_table, source_column, source_key, target_column,
		stage, error, error_code, request, input)
	VALUES (live.id, live.task_id, live.created_at, live.run_after, live.started_at,
		present, present + live.retention, live.retention, live.owner, live.kind, status, live.priority, live.attempts, live.max_attempts, live.server,
		live.job_key, @extschema@.img_callback_add(live.id, live.owner, live.callback_url), live.source_table, live.source_column, live.source_key,
		live.target_column, live.stage, live.error, live.error_code, live.request, live.input);
	IF live.server IS NOT NULL AND status = 'CANCELLED' THEN
		PERFORM @extschema@.img_remote_let_go(live.id, live.request, live.input);
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.img_end(@extschema@.img_job_live, @extschema@.img_job_status) IS
	'Internal: moves a job to img_job_ended without a result.';

CREATE FUNCTION @extschema@.img_heartbeat(worker text, jobs uuid[], lease interval) RETURNS SETOF uuid
LANGUAGE sql VOLATILE
SET enable_seqscan = off
AS $$
	UPDATE @extschema@.img_job_live l
	SET lease_expires_at = pg_catalog.clock_timestamp() + lease
	WHERE l.id IN (SELECT h.id FROM @extschema@.img_job_live h
		WHERE h.id = ANY (jobs) AND h.lease_owner = worker FOR UPDATE SKIP LOCKED)
	RETURNING l.id;
$$;
COMMENT ON FUNCTION @extschema@.img_heartbeat(text, uuid[], interval) IS
	'Worker protocol: renews leases; returns the jobs that the worker still has.';

CREATE FUNCTION @extschema@.img_release(worker text, jobs uuid[], run_after timestamptz DEFAULT NULL) RETURNS void
LANGUAGE sql VOLATILE
SET enable_seqscan = off
AS $$
	UPDATE @extschema@.img_job_live l
	SET lease_owner = NULL, lease_expires_at = NULL, attempts = l.attempts - 1,
		run_after = COALESCE(img_release.run_after, l.run_after)
	WHERE l.id IN (SELECT h.id FROM @extschema@.img_job_live h
		WHERE h.id = ANY (jobs) AND h.lease_owner = worker FOR UPDATE SKIP LOCKED);
$$;
COMMENT ON FUNCTION @extschema@.img_release(text, uuid[], timestamptz) IS
	'Worker protocol: gives jobs back that could not be worked on, to be taken again at run_after or at once; it costs them no attempt.';

CREATE FUNCTION @extschema@.img_rescue(worker text) RETURNS bigint
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	lost @extschema@.img_job_live;
	rescued bigint := 0;
	present timestamptz := pg_catalog.clock_timestamp();
	failures int;
BEGIN
	-- A lease that is over is void, also one of our own: we have lost the job.
	-- Workers named home/… are dispatchers of this database: there is only
	-- ever one, so the leases of all others are void, whatever their end.
	FOR lost IN
		SELECT l.* FROM @extschema@.img_job_live l
		WHERE l.lease_expires_at < present
			OR (l.lease_owner <> worker AND l.lease_owner LIKE 'home/%' AND worker LIKE 'home/%')
		FOR UPDATE SKIP LOCKED
	LOOP
		INSERT INTO @extschema@.img_job_error (job_id, attempt, owner, transient, sqlstate, stage, error)
		VALUES (lost.id, lost.attempts, lost.owner, true, '57P01', 'worker', 'the worker died while it had this job');
		-- The worker's death is not the job's fault, unless it happens again and again.
		SELECT pg_catalog.count(*) INTO failures FROM @extschema@.img_job_error e
		WHERE e.job_id = lost.id AND e.stage = 'worker';
		IF failures >= 10 THEN
			lost.stage := 'worker';
			lost.error := pg_catalog.format('the worker died %s times while it had this job', failures);
			lost.error_code := '57P01';
			PERFORM @extschema@.img_end(lost, 'ERROR');
		ELSE
			UPDATE @extschema@.img_job_live l
			SET lease_owner = NULL, lease_expires_at = NULL, attempts = l.attempts - 1
			WHERE l.id = lost.id;
		END IF;
		rescued := rescued + 1;
	END LOOP;
	RETURN rescued;
END $$;
COMMENT ON FUNCTION @extschema@.img_rescue(text) IS
	'Worker protocol: makes jobs of dead workers wait again; it costs them no attempt.';

CREATE FUNCTION @extschema@.img_abandon(worker text, job uuid, attempt smallint, reason text, stage text) RETURNS bool
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
DECLARE
	live @extschema@.img_job_live;
BEGIN
	SELECT l.* INTO live FROM @extschema@.img_job_live l
	WHERE l.id = job AND l.attempts = attempt AND l.lease_owner = worker
	FOR UPDATE SKIP LOCKED;
	IF NOT FOUND THEN
		RETURN NOT EXISTS (SELECT FROM @extschema@.img_job_live l
			WHERE l.id = job AND l.attempts = attempt AND l.lease_owner = worker);
	END IF;
	live.stage := stage;
	live.error := reason;
	live.error_code := NULL;
	PERFORM @extschema@.img_end(live, 'CANCELLED');
	RETURN true;
END $$;
COMMENT ON FUNCTION @extschema@.img_abandon(text, uuid, smallint, text, text) IS
	'Worker protocol: ends a job as CANCELLED because its picture has changed or is gone. False: the row is locked, try later.';

