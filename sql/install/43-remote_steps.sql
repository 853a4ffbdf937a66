------------------------------------------------------ steps of remote jobs --
-- How a worker takes a job through the calls of its server's API: see
-- 43-remote.sql. img_remote_begin() says what is first, img_remote_answered()
-- takes an answer in and says what is next. Each is committed before the call is
-- made that it asks for.

CREATE FUNCTION @extschema@.img_remote_hold(worker text, jobs uuid[], attempts smallint[])
RETURNS TABLE (n bigint, held text, r @extschema@.img_remote)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT a.n, CASE WHEN m.mine THEN NULL WHEN EXISTS (SELECT FROM @extschema@.img_job_live l
			WHERE l.id = a.job AND l.attempts = a.attempt AND l.lease_owner = worker) THEN 'locked' ELSE 'gone' END, y.r
	FROM ROWS FROM (pg_catalog.unnest(jobs), pg_catalog.unnest(attempts)) WITH ORDINALITY a (job, attempt, n)
		LEFT JOIN LATERAL (SELECT true AS mine FROM @extschema@.img_job_live l
			WHERE l.id = a.job AND l.attempts = a.attempt AND l.lease_owner = worker FOR UPDATE SKIP LOCKED) m ON true
		LEFT JOIN LATERAL (SELECT x AS r FROM @extschema@.img_remote x WHERE x.job_id = a.job FOR UPDATE NOWAIT) y ON true
	ORDER BY a.n;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_hold(text, uuid[], smallint[]) IS
	'Internal: locks jobs of that worker, and what is known of them at their servers. held NULL: done; else why not.';

CREATE FUNCTION @extschema@.img_remote_first(r @extschema@.img_remote, job uuid, server text, server_type text, owner regrole, picture bool)
RETURNS @extschema@.img_remote_step
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
DECLARE
	step @extschema@.img_remote_step;
BEGIN
	step.action := 'call';
	step.remote_id := r.remote_id;
	IF r.remote_id IS NOT NULL THEN
		-- also one that has failed, which will say so again
		step.what := 'poll';
		step.seconds := CASE WHEN r.state = 'submitted' THEN
			least(30, COALESCE(EXTRACT(epoch FROM r.poll_after - pg_catalog.clock_timestamp()), 0)) ELSE 0 END;
		RETURN step;
	ELSIF r.state IN ('submitting', 'unknown') THEN
		RETURN @extschema@.img_remote_lost(r, 'the worker died before it had the answer');
	END IF;
	-- It is known that it has not begun.
	r.job_id := job;
	r.owner := owner;
	r.server := server;
	r.server_type := server_type;
	IF r.state IS DISTINCT FROM 'preparing' THEN
		r.next_call := COALESCE((@extschema@.img_remote_read(server_type, 'begin', r, NULL)).next, 'submit');
	END IF;
	IF NOT picture AND (SELECT q.picture FROM @extschema@.img_job_live l,
			@extschema@.img_remote_request(server_type, r.next_call, r, l.request, COALESCE(l.input, job::text)) q WHERE l.id = job) THEN
		step.action := 'fetch';
		RETURN step;
	END IF;
	step.what := r.next_call;
	INSERT INTO @extschema@.img_remote AS x (job_id, created_at, owner, server, server_type, state, next_call)
	VALUES (job, pg_catalog.clock_timestamp(), owner, server, server_type,
		CASE step.what WHEN 'submit' THEN 'submitting' ELSE 'preparing' END, NULLIF(step.what, 'submit'))
	ON CONFLICT (job_id) DO UPDATE SET created_at = excluded.created_at, state = excluded.state, next_call = excluded.next_call,
		ended_at = NULL, failures = 0;
	RETURN step;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_first(@extschema@.img_remote, uuid, text, text, regrole, bool) IS
	'Internal: img_remote_begin() for one job.';

CREATE FUNCTION @extschema@.img_remote_begin(worker text, jobs uuid[], attempts smallint[], servers text[], server_types text[],
	owners oid[], pictures bool[]) RETURNS SETOF @extschema@.img_remote_step
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
DECLARE
	job record;
	step @extschema@.img_remote_step;
BEGIN
	FOR job IN SELECT h.n, h.held, h.r FROM @extschema@.img_remote_hold(worker, jobs, attempts) h LOOP
		step := NULL;
		step.action := job.held;
		IF job.held IS NULL THEN
			step := @extschema@.img_remote_first(job.r, jobs[job.n], servers[job.n], server_types[job.n], owners[job.n]::regrole, pictures[job.n]);
		END IF;
		RETURN NEXT step;
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_begin(text, uuid[], smallint[], text[], text[], oid[], bool[]) IS
	'Worker protocol: what to do with remote jobs that were claimed, or that have to begin again, in their order. picture: its bytes are here, or are not needed. The submit, which is sent once, is asked for by nobody else.';

CREATE FUNCTION @extschema@.img_remote_lost(r @extschema@.img_remote, reason text) RETURNS @extschema@.img_remote_step
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
DECLARE
	step @extschema@.img_remote_step;
BEGIN
	IF (SELECT q.path FROM @extschema@.img_job_live l,
			@extschema@.img_remote_request(r.server_type, 'find', r, l.request, l.input) q WHERE l.id = r.job_id) IS NULL THEN
		RETURN @extschema@.img_remote_unknown(r, reason);
	END IF;
	UPDATE @extschema@.img_remote x SET state = 'unknown', polls = 0, failures = 0, poll_after = pg_catalog.clock_timestamp()
	WHERE x.job_id = r.job_id;
	step.action := 'call';
	step.what := 'find';
	RETURN step;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_lost(@extschema@.img_remote, text) IS
	'Internal: the answer to a submit is lost. If the API lets us, the job is looked for.';

CREATE FUNCTION @extschema@.img_remote_unknown(r @extschema@.img_remote, reason text) RETURNS @extschema@.img_remote_step
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	step @extschema@.img_remote_step;
BEGIN
	IF r.next_call = 'submit' THEN
		UPDATE @extschema@.img_remote x SET state = 'preparing' WHERE x.job_id = r.job_id;
		step.action := 'again';
		RETURN step;
	END IF;
	UPDATE @extschema@.img_remote x SET state = 'unknown', next_call = NULL, ended_at = pg_catalog.clock_timestamp() WHERE x.job_id = r.job_id;
	step.action := 'fail';
	step.sqlstate := '58000';
	step.stage := 'submit';
	step.transient := false;
	step.message := pg_catalog.format('it is not known whether server "%s" has begun this job: %s', r.server, reason);
	step.hint := pg_catalog.format('It was not sent again, lest it is paid twice. Look at the server; if it has not begun: SELECT img_retry(%L);', r.job_id);
	RETURN step;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_unknown(@extschema@.img_remote, text) IS
	'Internal: it cannot be found out whether a job has begun; img_retry() says that it has not (next_call).';

CREATE FUNCTION @extschema@.img_remote_trim(job uuid) RETURNS void
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
BEGIN
	DELETE FROM @extschema@.img_remote_call c
	WHERE c.job_id = job AND c.id <= (SELECT o.id FROM @extschema@.img_remote_call o
		WHERE o.job_id = job ORDER BY o.id DESC OFFSET 50 LIMIT 1);
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_trim(uuid) IS 'Internal: of a job''s requests only the last 50 are kept.';

CREATE FUNCTION @extschema@.img_remote_note(r @extschema@.img_remote, method text, path text, status int, ms int,
	request_id text, error text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
BEGIN
	INSERT INTO @extschema@.img_remote_call (job_id, owner, ms, status, server, method, path, request_id, error)
	VALUES (r.job_id, r.owner, ms, status, r.server, method, path, pg_catalog.left(request_id, 200), error);
	PERFORM @extschema@.img_remote_trim(r.job_id);
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_note(@extschema@.img_remote, text, text, int, int, text, text) IS
	'Internal: keeps a request in img_remote_call.';

CREATE FUNCTION @extschema@.img_remote_next(r @extschema@.img_remote, step @extschema@.img_remote_step, what text, status int,
	request_id text, failure text, sent bool, answer @extschema@.img_remote_answer) RETURNS @extschema@.img_remote_step
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	step.stage := what;
	step.remote_id := r.remote_id;
	step.transient := false;
	step.sqlstate := @extschema@.img_remote_sqlstate(status);
	IF step.message IS NOT NULL THEN
		step.hint := @extschema@.img_remote_hint(status, r.server);
	END IF;
	IF what = 'submit' THEN
		RETURN @extschema@.img_remote_submitted(r, step, status, sent, answer);
	ELSIF what = 'find' THEN
		RETURN @extschema@.img_remote_found(r, step, status, answer);
	ELSIF r.remote_id IS NULL THEN
		RETURN @extschema@.img_remote_prepared(r, step, status, answer);
	END IF;
	RETURN @extschema@.img_remote_polled(r, step, status, answer);
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_next(@extschema@.img_remote, @extschema@.img_remote_step, text, int, text, text, bool, @extschema@.img_remote_answer) IS
	'Internal: img_remote_answered() for one answer; step.message says what is wrong with it.';

-- A status is NULL when there was no answer; failures says why, and sent whether
-- the server may have got the request.
CREATE FUNCTION @extschema@.img_remote_answered(worker text, jobs uuid[], attempts smallint[], whats text[], methods text[], paths text[],
	statuses int[], times int[], request_ids text[], failures text[], sent bool[], bodies bytea[]) RETURNS SETOF @extschema@.img_remote_step
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
	job record;
	r @extschema@.img_remote;
	step @extschema@.img_remote_step;
	answer @extschema@.img_remote_answer;
	problems text[];
	noted bool[];
	many uuid[] := '{}';
BEGIN
	FOR job IN SELECT h.n, h.held, h.r FROM @extschema@.img_remote_hold(worker, jobs, attempts) h LOOP
		r := job.r;
		step := NULL;
		IF job.held = 'locked' OR r.job_id IS NULL THEN
			step.action := COALESCE(NULLIF(job.held, 'gone'), 'gone');
			RETURN NEXT step;
			CONTINUE;
		END IF;
		answer := @extschema@.img_remote_read(r.server_type, whats[job.n], r, @extschema@.img_remote_document(bodies[job.n]));
		statuses[job.n] := COALESCE(answer.http_status, statuses[job.n]);
		step.message := CASE WHEN statuses[job.n] BETWEEN 200 AND 299 AND COALESCE(answer.state, answer.remote_id, answer.next) IS NULL
			THEN pg_catalog.format('the answer of server "%s" makes no sense', r.server)
			ELSE @extschema@.img_remote_problem(r, statuses[job.n], request_ids[job.n], failures[job.n], answer) END;
		problems[job.n] := step.message;
		noted[job.n] := true;
		IF r.polls >= 10 OR r.failures >= 10 OR r.state = 'preparing' THEN
			many := many || r.job_id;
		END IF;
		step := @extschema@.img_remote_next(r, step, whats[job.n], statuses[job.n], request_ids[job.n], failures[job.n], sent[job.n], answer);
		-- what was submitted is known even though nobody wants it any more
		IF job.held = 'gone' THEN
			step.action := 'gone';
			PERFORM @extschema@.img_remote_let_go(e.id, e.request, e.input) FROM @extschema@.img_job_ended e
			WHERE e.id = r.job_id AND e.status = 'CANCELLED';
		END IF;
		RETURN NEXT step;
	END LOOP;
	INSERT INTO @extschema@.img_remote_call (job_id, owner, ms, status, server, method, path, request_id, error)
	SELECT a.job, x.owner, a.ms, a.status, x.server, a.method, a.path, pg_catalog.left(a.request_id, 200), a.problem
	FROM ROWS FROM (pg_catalog.unnest(jobs), pg_catalog.unnest(methods), pg_catalog.unnest(paths), pg_catalog.unnest(statuses), pg_catalog.unnest(times),
			pg_catalog.unnest(request_ids), pg_catalog.unnest(problems), pg_catalog.unnest(noted))
			WITH ORDINALITY a (job, method, path, status, ms, request_id, problem, noted, n)
		JOIN @extschema@.img_remote x ON x.job_id = a.job
	WHERE a.noted ORDER BY a.n;
	PERFORM @extschema@.img_remote_trim(m.job) FROM pg_catalog.unnest(many) m (job);
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_answered(text, uuid[], smallint[], text[], text[], text[], int[], int[], text[], text[], bool[], bytea[]) IS
	'Worker protocol: takes in what APIs answered, and says what to do next for each job, in their order.';

CREATE FUNCTION @extschema@.img_remote_document(body bytea) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN pg_catalog.convert_from(body, 'UTF8')::jsonb;
EXCEPTION WHEN others THEN
	RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_document(bytea) IS 'Internal: the body of an answer; NULL: it is no JSON.';

CREATE FUNCTION @extschema@.img_remote_problem(r @extschema@.img_remote, status int, request_id text, failure text,
	answer @extschema@.img_remote_answer) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	RETURN CASE
		WHEN status IS NULL THEN COALESCE(NULLIF(failure, ''), 'the fetcher died')
		WHEN status NOT BETWEEN 200 AND 299 THEN pg_catalog.format('server "%s" answered with status %s', r.server, status)
			|| COALESCE(': ' || answer.message, '') || COALESCE(' (code ' || answer.code || ')', '')
			|| COALESCE(', request ' || pg_catalog.left(request_id, 200), '') END;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_problem(@extschema@.img_remote, int, text, text, @extschema@.img_remote_answer) IS
	'Internal: what went wrong with a call; NULL: nothing.';

-- Refusals that may not be meant for good.
CREATE FUNCTION @extschema@.img_remote_passes(status int) RETURNS bool
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	RETURN COALESCE(status BETWEEN 200 AND 299 OR status IN (408, 425, 429) OR status >= 500, true);
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_passes(int) IS
	'Internal: whether a call that failed with that status (NULL: without an answer) may go better later.';

CREATE FUNCTION @extschema@.img_remote_prepared(r @extschema@.img_remote, step @extschema@.img_remote_step,
	status int, answer @extschema@.img_remote_answer) RETURNS @extschema@.img_remote_step
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	IF status BETWEEN 200 AND 299 AND answer.next IS NOT NULL THEN
		UPDATE @extschema@.img_remote x
		SET next_call = answer.next, result = COALESCE(r.result || answer.result, answer.result, r.result)
		WHERE x.job_id = r.job_id;
		step.action := CASE answer.next WHEN 'submit' THEN 'again' ELSE 'call' END;
		step.what := answer.next;
		RETURN step;
	END IF;
	step.transient := @extschema@.img_remote_passes(status);
	step.action := CASE WHEN status = 429 THEN 'again' ELSE 'fail' END;
	IF NOT step.transient THEN
		UPDATE @extschema@.img_remote x SET state = 'failed', next_call = NULL, ended_at = pg_catalog.clock_timestamp()
		WHERE x.job_id = r.job_id;
		PERFORM @extschema@.img_remote_follow(r.job_id, answer.next);
	END IF;
	RETURN step;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_prepared(@extschema@.img_remote, @extschema@.img_remote_step, int, @extschema@.img_remote_answer) IS
	'Internal: img_remote_answered() for what the submit needs.';

CREATE FUNCTION @extschema@.img_remote_accepted(r @extschema@.img_remote, step @extschema@.img_remote_step,
	answer @extschema@.img_remote_answer) RETURNS @extschema@.img_remote_step
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	present timestamptz := pg_catalog.clock_timestamp();
BEGIN
	step.action := 'call';
	step.what := 'poll';
	step.remote_id := answer.remote_id;
	step.seconds := @extschema@.img_remote_pause(r.server, 0, answer.eta);
	UPDATE @extschema@.img_remote x
	SET state = 'submitted', submitted_at = present, remote_id = answer.remote_id, status = answer.status, next_call = NULL,
		polls = 0, failures = 0, eta = answer.eta, poll_after = present + pg_catalog.make_interval(secs => step.seconds),
		result = COALESCE(r.result || answer.result, answer.result, r.result)
	WHERE x.job_id = r.job_id;
	RETURN step;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_accepted(@extschema@.img_remote, @extschema@.img_remote_step, @extschema@.img_remote_answer) IS
	'Internal: the server has a job.';

CREATE FUNCTION @extschema@.img_remote_submitted(r @extschema@.img_remote, step @extschema@.img_remote_step,
	status int, sent bool, answer @extschema@.img_remote_answer) RETURNS @extschema@.img_remote_step
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	IF status BETWEEN 200 AND 299 AND answer.remote_id IS NOT NULL THEN
		RETURN @extschema@.img_remote_accepted(r, step, answer);
	ELSIF (status IS NULL AND sent) OR status BETWEEN 200 AND 299 OR (status >= 500 AND status <> 503) THEN
		-- an error of its own does not say that nothing was begun before
		RETURN @extschema@.img_remote_lost(r, CASE
			WHEN status BETWEEN 200 AND 299 THEN 'its answer makes no sense' ELSE step.message END);
	END IF;
	-- From here on it is known that it has not begun.
	step.transient := @extschema@.img_remote_passes(status);
	step.action := CASE WHEN status = 429 THEN 'again' ELSE 'fail' END;
	UPDATE @extschema@.img_remote x
	SET state = CASE WHEN step.transient THEN 'preparing' ELSE 'failed' END, next_call = CASE WHEN step.transient THEN 'submit' END,
		ended_at = CASE WHEN NOT step.transient THEN pg_catalog.clock_timestamp() END
	WHERE x.job_id = r.job_id;
	IF NOT step.transient THEN
		PERFORM @extschema@.img_remote_follow(r.job_id, answer.next);
	END IF;
	RETURN step;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_submitted(@extschema@.img_remote, @extschema@.img_remote_step, int, bool, @extschema@.img_remote_answer) IS
	'Internal: img_remote_answered() for a submit.';

CREATE FUNCTION @extschema@.img_remote_found(r @extschema@.img_remote, step @extschema@.img_remote_step,
	status int, answer @extschema@.img_remote_answer) RETURNS @extschema@.img_remote_step
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	understood bool := status BETWEEN 200 AND 299 AND answer.state IS NOT NULL;
	reason text := COALESCE((SELECT c.error FROM @extschema@.img_remote_call c
		WHERE c.job_id = r.job_id AND c.created_at >= r.created_at AND c.method <> 'GET' ORDER BY c.id LIMIT 1),
		'the worker died before it had the answer');
BEGIN
	IF understood AND answer.remote_id IS NOT NULL THEN
		RETURN @extschema@.img_remote_accepted(r, step, answer);
	ELSIF status BETWEEN 200 AND 299 AND answer.next = 'find' THEN
		-- the next page of its list
		step.action := 'call';
		step.what := 'find';
	ELSIF understood AND r.polls >= 3 THEN
		RETURN @extschema@.img_remote_unknown(r, reason || '; its list does not have it');
	ELSIF NOT understood AND (r.failures >= 20 OR NOT @extschema@.img_remote_passes(status)) THEN
		r.next_call := NULL;
		RETURN @extschema@.img_remote_unknown(r, reason || '; ' || step.message);
	ELSE
		-- what was sent may still be on its way
		step.action := 'call';
		step.what := 'find';
		step.seconds := @extschema@.img_remote_pause(r.server, r.polls + r.failures, NULL);
	END IF;
	UPDATE @extschema@.img_remote x
	SET polls = r.polls + understood::int, failures = CASE WHEN understood THEN 0 ELSE r.failures + 1 END, result = COALESCE(r.result || answer.result, answer.result, r.result)
	WHERE x.job_id = r.job_id;
	RETURN step;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_found(@extschema@.img_remote, @extschema@.img_remote_step, int, @extschema@.img_remote_answer) IS
	'Internal: img_remote_answered() for the question whether a job has begun. That a list does not have it is no proof: it is not submitted again.';

CREATE FUNCTION @extschema@.img_server_seconds(server name, option text) RETURNS float8
	LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_server_seconds(name, text) IS
	'Internal: an option of a server that is a time, or its default; NULL: there is no such server.';

CREATE FUNCTION @extschema@.img_remote_pause(server text, polls int, eta timestamptz) RETURNS float8
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	seconds float8 := COALESCE(@extschema@.img_server_seconds(server::name, 'poll_interval'), 1);
BEGIN
	-- poll_interval, half as much more each time, up to 30 s; or until it means to be ready
	RETURN greatest(least(seconds * pg_catalog.pow(1.5::float8, least(polls, 20)), greatest(seconds, 30)),
		COALESCE(least(EXTRACT(epoch FROM eta - pg_catalog.clock_timestamp())::float8, CASE WHEN eta IS NOT NULL THEN 600 END), 0));
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_pause(text, int, timestamptz) IS 'Internal: seconds until a job is polled again.';

CREATE FUNCTION @extschema@.img_remote_polled(r @extschema@.img_remote, step @extschema@.img_remote_step,
	status int, answer @extschema@.img_remote_answer) RETURNS @extschema@.img_remote_step
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	present timestamptz := pg_catalog.clock_timestamp();
	understood bool := status BETWEEN 200 AND 299 AND COALESCE(answer.state, answer.next) IS NOT NULL;
	said text := CASE WHEN understood THEN answer.state END;
BEGIN
	answer.result := COALESCE(r.result || answer.result, answer.result, r.result);
	IF said = 'done' AND pg_catalog.cardinality(answer.urls) > 0 THEN
		step.action := 'download';
		step.urls := answer.urls;
		step.names := answer.names;
		step.input_format := pg_catalog.lower(answer.result #>> '{input_object,format}');
		step.input_width := answer.result #>> '{input_object,width}';
		step.input_height := answer.result #>> '{input_object,height}';
	ELSIF said = 'cancelled' THEN
		step.action := said;
		step.message := pg_catalog.format('server "%s" has cancelled it', r.server);
	ELSIF understood AND said IS DISTINCT FROM 'failed' AND (answer.next IS NOT NULL OR said = 'ready') THEN
		step.action := 'call';
		step.what := COALESCE(answer.next, 'result');
		said := 'waiting';
	ELSIF said IN ('done', 'failed') THEN
		step.action := 'fail';
		step.sqlstate := '58000';
		step.stage := 'remote';
		step.message := pg_catalog.format('server "%s" failed: %s', r.server,
			COALESCE(answer.message, CASE said WHEN 'done' THEN 'it has no result' ELSE 'it does not say why' END));
		said := 'failed';
	ELSIF status IN (404, 410) THEN
		step.action := 'fail';
		step.message := pg_catalog.format('server "%s" has lost the job: ', r.server) || step.message;
		said := 'failed';
	ELSIF status BETWEEN 300 AND 499 AND status NOT IN (408, 409, 425, 429) THEN
		-- nothing is lost: img_retry() goes on polling
		step.action := 'fail';
	ELSIF r.submitted_at < present - interval '1 day' THEN
		step.action := 'fail';
		step.sqlstate := '58000';
		step.message := pg_catalog.format('server "%s" was not ready within a day', r.server);
		step.hint := pg_catalog.format('To go on asking: SELECT img_retry(%L);', r.job_id);
	ELSIF NOT understood AND status IS DISTINCT FROM 429 AND status IS DISTINCT FROM 409 AND r.failures >= 20 THEN
		step.action := 'fail';
		step.transient := true;
		step.sqlstate := '58000';
	ELSE
		step.action := 'call';
		step.what := 'poll';
		step.seconds := @extschema@.img_remote_pause(r.server, r.polls, answer.eta);
	END IF;
	UPDATE @extschema@.img_remote x
	SET polls = r.polls + 1, failures = CASE WHEN understood THEN 0 ELSE r.failures + 1 END,
		state = CASE WHEN said IN ('done', 'failed') THEN said WHEN said = 'cancelled' THEN 'failed' ELSE r.state END,
		status = COALESCE(answer.status, r.status), eta = COALESCE(answer.eta, r.eta),
		ended_at = CASE WHEN said IN ('done', 'failed', 'cancelled') THEN COALESCE(r.ended_at, present) ELSE r.ended_at END,
		poll_after = present + pg_catalog.make_interval(secs => COALESCE(step.seconds, 0)),
		result = answer.result
	WHERE x.job_id = r.job_id;
	IF said IN ('done', 'failed', 'cancelled') THEN
		PERFORM @extschema@.img_remote_follow(r.job_id, answer.next);
	END IF;
	RETURN step;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_polled(@extschema@.img_remote, @extschema@.img_remote_step, int, @extschema@.img_remote_answer) IS
	'Internal: img_remote_answered() for a poll, and for what is asked for behind one.';
