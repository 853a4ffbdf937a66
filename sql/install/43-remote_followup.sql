------------------------------------------------- calls after a job's end --
-- A server may have to be called for a job that has ended: one that nobody wants
-- any more is cancelled there, looked for before if the answer to its submit was
-- lost; and what was left there is removed. Such a call may be made again; it is
-- tried a few times, and then let be.

CREATE TABLE @extschema@.img_remote_followup (
	job_id uuid NOT NULL,
	run_after timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	attempts int NOT NULL DEFAULT 0,
	what text NOT NULL,
	PRIMARY KEY (job_id, what)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON TABLE @extschema@.img_remote_followup IS 'Internal: one row a call that a server is due for a job that has ended, or is about to.';
COMMENT ON COLUMN @extschema@.img_remote_followup.job_id IS 'img_remote.job_id';
COMMENT ON COLUMN @extschema@.img_remote_followup.run_after IS 'not before this time; of a call that is being made: when that is given up';
COMMENT ON COLUMN @extschema@.img_remote_followup.attempts IS 'attempts begun';
COMMENT ON COLUMN @extschema@.img_remote_followup.what IS 'the call: cancel, find, or the type''s own';
SELECT pg_catalog.pg_extension_config_dump('@extschema@.img_remote_followup', '');

CREATE FUNCTION @extschema@.img_remote_follow(job uuid, what text) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	IF what IS NOT NULL THEN
		INSERT INTO @extschema@.img_remote_followup (job_id, what) VALUES (job, what) ON CONFLICT DO NOTHING;
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_follow(uuid, text) IS
	'Internal: that call is to be made once the job has ended. NULL: none is.';

CREATE FUNCTION @extschema@.img_remote_let_go(job uuid, request jsonb, input text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
DECLARE
	r @extschema@.img_remote;
	what text;
BEGIN
	SELECT x.* INTO r FROM @extschema@.img_remote x
	WHERE x.job_id = job AND x.state IN ('preparing', 'submitted', 'unknown') FOR UPDATE;
	what := CASE r.state WHEN 'unknown' THEN 'find' ELSE 'cancel' END;
	IF FOUND AND (@extschema@.img_remote_request(r.server_type, what, r, request, input)).path IS NOT NULL THEN
		PERFORM @extschema@.img_remote_follow(job, what);
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_let_go(uuid, jsonb, text) IS
	'Internal: nobody wants a job any more; its server is told if it cares.';

-- What a server has is asked for; what it may have is looked for, if it can be,
-- and else who tries it again has to know; all else is submitted anew.
CREATE FUNCTION @extschema@.img_remote_take_up(job uuid) RETURNS void
LANGUAGE sql VOLATILE
AS $$
	DELETE FROM @extschema@.img_remote_followup f WHERE f.job_id = job AND f.what IN ('cancel', 'find');
	DELETE FROM @extschema@.img_remote r WHERE r.job_id = job AND r.state NOT IN ('submitted', 'done', 'unknown');
	UPDATE @extschema@.img_remote r SET next_call = 'submit' WHERE r.job_id = job AND r.state = 'unknown';
$$;
COMMENT ON FUNCTION @extschema@.img_remote_take_up(uuid) IS
	'Internal: img_retry() for a job that a server has, had, or may have.';

------------------------------------------------------------- worker protocol --

CREATE FUNCTION @extschema@.img_remote_followup_claim(calls int)
RETURNS TABLE (job_id uuid, what text, server text, owner oid, request jsonb, input text)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
	present timestamptz := pg_catalog.clock_timestamp();
BEGIN
	RETURN QUERY
	WITH due AS MATERIALIZED (
		-- There are few of these and many of those: OFFSET keeps the planner from
		-- going through those. img_retry() may still want what is done and could not
		-- be fetched.
		SELECT f.job_id, f.what, e.request, e.input FROM @extschema@.img_remote_followup f
			CROSS JOIN LATERAL (SELECT x.request, x.input FROM @extschema@.img_job_ended x
				JOIN @extschema@.img_remote r ON r.job_id = x.id
				WHERE x.id = f.job_id AND NOT (r.state = 'done' AND x.status = 'ERROR') OFFSET 0) e
		WHERE f.run_after <= present
		ORDER BY f.job_id LIMIT calls FOR UPDATE OF f SKIP LOCKED
	), claimed AS (
		UPDATE @extschema@.img_remote_followup f
		SET attempts = f.attempts + 1, run_after = present + interval '2 minutes'
		FROM due d WHERE f.job_id = d.job_id AND f.what = d.what
	)
	SELECT d.job_id, d.what, r.server, r.owner::oid, d.request, d.input
	FROM due d JOIN @extschema@.img_remote r ON r.job_id = d.job_id;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_followup_claim(int) IS
	'Worker protocol: takes up to that many calls that are due for jobs that have ended.';

CREATE FUNCTION @extschema@.img_remote_followup_rescue() RETURNS void
LANGUAGE sql VOLATILE
AS $$
	UPDATE @extschema@.img_remote_followup f SET run_after = pg_catalog.clock_timestamp() WHERE f.attempts > 0
$$;
COMMENT ON FUNCTION @extschema@.img_remote_followup_rescue() IS
	'Worker protocol: calls that a worker was making when it died are due at once. For the dispatcher, of which there is one.';

CREATE FUNCTION @extschema@.img_remote_followup_next_due() RETURNS timestamptz
LANGUAGE sql VOLATILE
SET enable_seqscan = off
AS $$
	SELECT pg_catalog.min(f.run_after) FROM @extschema@.img_remote_followup f
	WHERE f.attempts > 0 AND (SELECT true FROM @extschema@.img_job_ended e WHERE e.id = f.job_id)
$$;
COMMENT ON FUNCTION @extschema@.img_remote_followup_next_due() IS
	'Worker protocol: when the next call is due that has to be made again; NULL: none.';

CREATE FUNCTION @extschema@.img_remote_followed(job uuid, what text, method text, path text, status int, ms int,
	request_id text, failure text, body bytea) RETURNS void
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
DECLARE
	r @extschema@.img_remote;
	followup @extschema@.img_remote_followup;
	answer @extschema@.img_remote_answer;
BEGIN
	SELECT f.* INTO followup FROM @extschema@.img_remote_followup f
	WHERE f.job_id = job AND f.what = img_remote_followed.what FOR UPDATE;
	SELECT x.* INTO r FROM @extschema@.img_remote x WHERE x.job_id = job FOR UPDATE;
	IF r.job_id IS NULL THEN
		RETURN;
	END IF;
	answer := @extschema@.img_remote_read(r.server_type, what, r, @extschema@.img_remote_document(body));
	status := COALESCE(answer.http_status, status);
	PERFORM @extschema@.img_remote_note(r, method, path, status, ms, request_id,
		@extschema@.img_remote_problem(r, status, request_id, failure, answer));
	IF followup.attempts < 5 AND @extschema@.img_remote_passes(status)
		AND ((status BETWEEN 200 AND 299) IS NOT TRUE OR answer.state = 'missing') THEN
		UPDATE @extschema@.img_remote_followup f
		SET run_after = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => pg_catalog.pow(4, followup.attempts))
		WHERE f.job_id = job AND f.what = img_remote_followed.what;
		RETURN;
	END IF;
	DELETE FROM @extschema@.img_remote_followup f WHERE f.job_id = job AND f.what = img_remote_followed.what;
	IF what = 'cancel' AND status BETWEEN 200 AND 299 THEN
		UPDATE @extschema@.img_remote x SET state = 'failed', status = 'Cancelled', ended_at = pg_catalog.clock_timestamp()
		WHERE x.job_id = job AND x.state IN ('preparing', 'submitted');
	ELSIF what = 'find' AND status BETWEEN 200 AND 299 THEN
		IF answer.remote_id IS NOT NULL THEN
			PERFORM @extschema@.img_remote_accepted(r, NULL, answer);
			PERFORM @extschema@.img_remote_follow(job, 'cancel');
		END IF;
		-- where its list goes on
		UPDATE @extschema@.img_remote x SET result = COALESCE(x.result || answer.result, answer.result, x.result) WHERE x.job_id = job;
	END IF;
	PERFORM @extschema@.img_remote_follow(job, answer.next);
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_followed(uuid, text, text, text, int, int, text, text, bytea) IS
	'Worker protocol: takes in what an API answered to a call for a job that has ended.';
