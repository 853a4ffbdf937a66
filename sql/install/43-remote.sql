---------------------------------------------------------------- remote jobs --
-- A job with a server is done by that server's API. img_remote says how far it
-- is, so that whoever dies when, it is submitted once:
--
--	submitting	committed before the request is sent. Whoever finds a job so has
--				lost the answer, and cannot know whether the server has begun.
--	submitted	the server has it, as remote_id: whoever has the job asks for it
--	done		the server has done it, and its result is to be fetched
--	failed		the server has refused it, failed, or lost it
--	unknown		the answer to the submit was lost; the job has ended as ERROR
--
-- What is said to an API and what its answers mean is in a file of its own,
-- img_TYPE_request() and img_TYPE_read(). The functions here call those, and
-- decide; the dispatcher sends and receives.

CREATE TABLE @extschema@.img_remote (
	job_id uuid PRIMARY KEY,
	created_at timestamptz NOT NULL,
	submitted_at timestamptz,
	poll_after timestamptz,
	eta timestamptz,
	ended_at timestamptz,
	owner regrole NOT NULL,
	polls int NOT NULL DEFAULT 0,
	failures int NOT NULL DEFAULT 0,
	server text NOT NULL,
	server_type text NOT NULL,
	state text NOT NULL,
	remote_id text,
	status text,
	result jsonb,
	CONSTRAINT state_is_known CHECK (state IN ('submitting', 'submitted', 'done', 'failed', 'unknown')),
	CONSTRAINT submitted_has_an_id CHECK (state NOT IN ('submitted', 'done') OR (remote_id IS NOT NULL AND submitted_at IS NOT NULL))
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE @extschema@.img_remote ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner ON @extschema@.img_remote FOR SELECT USING (@extschema@.img_sees(owner));
GRANT SELECT ON @extschema@.img_remote TO PUBLIC;
COMMENT ON TABLE @extschema@.img_remote IS 'One row a job that a server has, had, or may have. Users see their own.';
COMMENT ON COLUMN @extschema@.img_remote.job_id IS 'img_job.id';
COMMENT ON COLUMN @extschema@.img_remote.created_at IS 'just before it was sent';
COMMENT ON COLUMN @extschema@.img_remote.submitted_at IS 'when the server had accepted it';
COMMENT ON COLUMN @extschema@.img_remote.poll_after IS 'when the server is asked next';
COMMENT ON COLUMN @extschema@.img_remote.eta IS 'when the server means to be ready';
COMMENT ON COLUMN @extschema@.img_remote.ended_at IS 'when the server was found to be done with it';
COMMENT ON COLUMN @extschema@.img_remote.owner IS 'img_job.owner';
COMMENT ON COLUMN @extschema@.img_remote.polls IS 'how often it was asked';
COMMENT ON COLUMN @extschema@.img_remote.failures IS 'how often in a row that went wrong';
COMMENT ON COLUMN @extschema@.img_remote.server IS 'foreign server';
COMMENT ON COLUMN @extschema@.img_remote.server_type IS 'its type';
COMMENT ON COLUMN @extschema@.img_remote.state IS 'submitting, submitted, done, failed or unknown: whether the server has begun is not known';
COMMENT ON COLUMN @extschema@.img_remote.remote_id IS 'what the server calls it';
COMMENT ON COLUMN @extschema@.img_remote.status IS 'its state in the words of the server';
COMMENT ON COLUMN @extschema@.img_remote.result IS 'what the server said of its result, with its own link';

CREATE TABLE @extschema@.img_remote_call (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	job_id uuid NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	owner regrole NOT NULL,
	ms int,
	status int,
	server text NOT NULL,
	method text NOT NULL,
	path text NOT NULL,
	request_id text,
	error text
);
CREATE INDEX img_remote_call_job ON @extschema@.img_remote_call (job_id, id);
ALTER TABLE @extschema@.img_remote_call ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner ON @extschema@.img_remote_call FOR SELECT USING (@extschema@.img_sees(owner));
GRANT SELECT ON @extschema@.img_remote_call TO PUBLIC;
COMMENT ON TABLE @extschema@.img_remote_call IS 'One row a request to an API: the last 50 of each job. Users see their own.';
COMMENT ON SEQUENCE @extschema@.img_remote_call_id_seq IS 'Internal: numbers of requests.';
COMMENT ON COLUMN @extschema@.img_remote_call.id IS 'in the order of the answers';
COMMENT ON COLUMN @extschema@.img_remote_call.job_id IS 'img_job.id';
COMMENT ON COLUMN @extschema@.img_remote_call.created_at IS 'when it was answered';
COMMENT ON COLUMN @extschema@.img_remote_call.owner IS 'img_job.owner';
COMMENT ON COLUMN @extschema@.img_remote_call.ms IS 'how long it took';
COMMENT ON COLUMN @extschema@.img_remote_call.status IS 'of HTTP; NULL: no answer';
COMMENT ON COLUMN @extschema@.img_remote_call.server IS 'foreign server';
COMMENT ON COLUMN @extschema@.img_remote_call.method IS 'of HTTP';
COMMENT ON COLUMN @extschema@.img_remote_call.path IS 'below the address of the server';
COMMENT ON COLUMN @extschema@.img_remote_call.request_id IS 'by which the server''s people find it';
COMMENT ON COLUMN @extschema@.img_remote_call.error IS 'what was wrong';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.img_remote', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.img_remote_call', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.img_remote_call_id_seq', '');

------------------------------------------------------------- what APIs share --

CREATE TYPE @extschema@.img_remote_request AS (method text, path text, content_type text, body text);
COMMENT ON TYPE @extschema@.img_remote_request IS 'Internal: a request to an API, but for its key.';
COMMENT ON COLUMN @extschema@.img_remote_request.method IS 'of HTTP';
COMMENT ON COLUMN @extschema@.img_remote_request.path IS 'below the address of the server';
COMMENT ON COLUMN @extschema@.img_remote_request.content_type IS 'of the body; NULL: there is none';
COMMENT ON COLUMN @extschema@.img_remote_request.body IS 'of the request';

CREATE TYPE @extschema@.img_remote_answer AS (state text, remote_id text, status text, eta timestamptz, url text,
	code text, message text, result jsonb);
COMMENT ON TYPE @extschema@.img_remote_answer IS 'Internal: what an answer of an API means.';
COMMENT ON COLUMN @extschema@.img_remote_answer.state IS
	'waiting, ready (the result has to be asked for), done, failed or cancelled; NULL: it does not say';
COMMENT ON COLUMN @extschema@.img_remote_answer.remote_id IS 'img_remote.remote_id';
COMMENT ON COLUMN @extschema@.img_remote_answer.status IS 'img_remote.status';
COMMENT ON COLUMN @extschema@.img_remote_answer.eta IS 'img_remote.eta';
COMMENT ON COLUMN @extschema@.img_remote_answer.url IS 'where the result is, once done';
COMMENT ON COLUMN @extschema@.img_remote_answer.code IS 'the API''s own, of an error';
COMMENT ON COLUMN @extschema@.img_remote_answer.message IS 'the API''s own, of an error; NULL: it is none of the API''s';
COMMENT ON COLUMN @extschema@.img_remote_answer.result IS 'img_remote.result';

CREATE TYPE @extschema@.img_remote_step AS (action text, seconds float8, remote_id text, url text,
	sqlstate text, message text, hint text, stage text, transient bool,
	input_format text, input_width int, input_height int);
COMMENT ON TYPE @extschema@.img_remote_step IS 'Internal: what a dispatcher has to do next for a remote job.';
COMMENT ON COLUMN @extschema@.img_remote_step.action IS
	'submit, poll or result: ask that; download; fail; cancelled; again: from the beginning; gone: nothing; locked: try later';
COMMENT ON COLUMN @extschema@.img_remote_step.seconds IS 'not before so many';
COMMENT ON COLUMN @extschema@.img_remote_step.remote_id IS 'img_remote.remote_id';
COMMENT ON COLUMN @extschema@.img_remote_step.url IS 'where the result is';
COMMENT ON COLUMN @extschema@.img_remote_step.sqlstate IS 'of a failure';
COMMENT ON COLUMN @extschema@.img_remote_step.message IS 'of a failure';
COMMENT ON COLUMN @extschema@.img_remote_step.hint IS 'of a failure';
COMMENT ON COLUMN @extschema@.img_remote_step.stage IS 'of a failure';
COMMENT ON COLUMN @extschema@.img_remote_step.transient IS 'of a failure';
COMMENT ON COLUMN @extschema@.img_remote_step.input_format IS 'of the source, as the server said; NULL: it did not';
COMMENT ON COLUMN @extschema@.img_remote_step.input_width IS 'likewise';
COMMENT ON COLUMN @extschema@.img_remote_step.input_height IS 'likewise';

CREATE FUNCTION @extschema@.img_remote_sqlstate(status int) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
	SELECT CASE
		WHEN status IN (400, 422) THEN '22023'
		WHEN status = 401 THEN '28000'
		WHEN status = 402 THEN '53000'
		WHEN status IN (403, 412) THEN '42501'
		WHEN status IN (404, 410) THEN '02000'
		WHEN status IN (409, 425) THEN '55000'
		WHEN status = 413 THEN '54000'
		WHEN status = 415 THEN '0A000'
		WHEN status = 429 THEN '53400'
		ELSE '58000' END
$$;
COMMENT ON FUNCTION @extschema@.img_remote_sqlstate(int) IS 'Internal: the SQLSTATE of an API''s status.';

CREATE FUNCTION @extschema@.img_remote_hint(status int, server text) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
	SELECT CASE
		WHEN status = 401 THEN pg_catalog.format('ALTER USER MAPPING FOR CURRENT_USER SERVER %I OPTIONS (SET api_key ''...'');', server)
		WHEN status IN (402, 412) THEN 'The account at the server has to be topped up; then SELECT img_retry(job);' END
$$;
COMMENT ON FUNCTION @extschema@.img_remote_hint(int, text) IS 'Internal: what helps against an API''s status.';

-- Links to pictures open them to whoever reads the message.
CREATE FUNCTION @extschema@.img_remote_text(message text) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
	SELECT pg_catalog.left(pg_catalog.regexp_replace(message, '(https?:[^\s"''<>?]+)\?[^\s"''<>]*', '\1', 'gi'), 1000)
$$;
COMMENT ON FUNCTION @extschema@.img_remote_text(text) IS
	'Internal: what an API said, without the queries of URLs, which may be signatures.';

CREATE FUNCTION @extschema@.img_remote_request(server_type text, what text, request jsonb, input text, remote_id text)
RETURNS @extschema@.img_remote_request
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	CASE server_type
		WHEN 'claid' THEN RETURN @extschema@.img_claid_request(what, request, input, remote_id);
		WHEN 'topaz' THEN RETURN @extschema@.img_topaz_request(what, request, input, remote_id);
	END CASE;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_request(text, text, jsonb, text, text) IS
	'Internal: what is sent to an API of that type to submit a job, poll it, ask for its result, or cancel it. Error 0A000 for what the API does not have.';

CREATE FUNCTION @extschema@.img_remote_read(server_type text, what text, document jsonb)
RETURNS @extschema@.img_remote_answer
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	answer @extschema@.img_remote_answer;
BEGIN
	CASE server_type
		WHEN 'claid' THEN answer := @extschema@.img_claid_read(what, document);
		WHEN 'topaz' THEN answer := @extschema@.img_topaz_read(what, document);
	END CASE;
	answer.message := @extschema@.img_remote_text(answer.message);
	RETURN answer;
EXCEPTION WHEN data_exception THEN
	-- not of the form that the API's documents have
	RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_read(text, text, jsonb) IS
	'Internal: what an answer of an API of that type means.';

CREATE FUNCTION @extschema@.img_remote_input(job uuid, input text, owner regrole) RETURNS text
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	link record;
	present timestamptz := pg_catalog.date_trunc('second', pg_catalog.clock_timestamp());
BEGIN
	IF input IS NULL THEN
		SELECT * INTO link FROM @extschema@.img_links_as(ARRAY[job], 'input', owner);
		IF link.error_code IS NOT NULL THEN
			RAISE EXCEPTION '%', link.error
				USING ERRCODE = link.error_code, HINT = COALESCE(link.hint, '');
		END IF;
		RETURN link.download_url;
	ELSIF input LIKE 'storage://%' THEN
		RETURN @extschema@.img_storage_presign(pg_catalog.split_part(input, '/', 3),
			pg_catalog.regexp_replace(input, '^storage://[^/]*/', ''), 'GET', interval '6 hours', present, NULL, owner);
	END IF;
	RETURN input;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_input(uuid, text, regrole) IS
	'Internal: the URL by which a server gets the picture of a job.';

------------------------------------------------------------- worker protocol --

CREATE FUNCTION @extschema@.img_remote_held(worker text, job uuid, attempt smallint) RETURNS text
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
BEGIN
	PERFORM FROM @extschema@.img_job_live l
	WHERE l.id = job AND l.attempts = attempt AND l.lease_owner = worker
	FOR UPDATE SKIP LOCKED;
	IF FOUND THEN
		RETURN NULL;
	END IF;
	RETURN CASE WHEN EXISTS (SELECT FROM @extschema@.img_job_live l
		WHERE l.id = job AND l.attempts = attempt AND l.lease_owner = worker) THEN 'locked' ELSE 'gone' END;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_held(text, uuid, smallint) IS
	'Internal: locks a job of that worker. NULL: done; else why not.';

CREATE FUNCTION @extschema@.img_remote_begin(worker text, job uuid, attempt smallint, server text, server_type text, owner regrole)
RETURNS @extschema@.img_remote_step
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
DECLARE
	r @extschema@.img_remote;
	step @extschema@.img_remote_step;
BEGIN
	step.action := @extschema@.img_remote_held(worker, job, attempt);
	IF step.action IS NOT NULL THEN
		RETURN step;
	END IF;
	SELECT x.* INTO r FROM @extschema@.img_remote x WHERE x.job_id = job FOR UPDATE NOWAIT;
	IF NOT FOUND THEN
		INSERT INTO @extschema@.img_remote (job_id, created_at, owner, server, server_type, state)
		VALUES (job, pg_catalog.clock_timestamp(), owner, server, server_type, 'submitting');
		step.action := 'submit';
	ELSIF r.state IN ('submitted', 'done') THEN
		step.action := 'poll';
		step.remote_id := r.remote_id;
		step.seconds := CASE WHEN r.state = 'done' THEN 0
			ELSE least(30, COALESCE(EXTRACT(epoch FROM r.poll_after - pg_catalog.clock_timestamp()), 0)) END;
	ELSE
		step := @extschema@.img_remote_unknown(job, server, 'the worker died before it had the answer');
	END IF;
	RETURN step;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_begin(text, uuid, smallint, text, text, regrole) IS
	'Worker protocol: what to do with a remote job that was claimed. submit: to be committed before the request is sent, which then is sent once.';

CREATE FUNCTION @extschema@.img_remote_unknown(job uuid, server text, reason text) RETURNS @extschema@.img_remote_step
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	step @extschema@.img_remote_step;
BEGIN
	UPDATE @extschema@.img_remote r SET state = 'unknown', ended_at = pg_catalog.clock_timestamp() WHERE r.job_id = job;
	step.action := 'fail';
	step.sqlstate := '58000';
	step.stage := 'submit';
	step.transient := false;
	step.message := pg_catalog.format('it is not known whether server "%s" has begun this job: %s', server, reason);
	step.hint := pg_catalog.format('It was not sent again, lest it is paid twice. Look at the server; if it has not begun: SELECT img_retry(%L);', job);
	RETURN step;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_unknown(uuid, text, text) IS
	'Internal: the answer to a submit is lost.';

CREATE FUNCTION @extschema@.img_remote_note(r @extschema@.img_remote, method text, path text, status int, ms int,
	request_id text, error text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
BEGIN
	INSERT INTO @extschema@.img_remote_call (job_id, owner, ms, status, server, method, path, request_id, error)
	VALUES (r.job_id, r.owner, ms, status, r.server, method, path, pg_catalog.left(request_id, 200), error);
	DELETE FROM @extschema@.img_remote_call c
	WHERE c.job_id = r.job_id AND c.id <= (SELECT o.id FROM @extschema@.img_remote_call o
		WHERE o.job_id = r.job_id ORDER BY o.id DESC OFFSET 50 LIMIT 1);
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_note(@extschema@.img_remote, text, text, int, int, text, text) IS
	'Internal: keeps a request in img_remote_call.';

-- status is NULL when there was no answer; failure says why, and sent whether
-- the server may have got the request.
CREATE FUNCTION @extschema@.img_remote_answered(worker text, job uuid, attempt smallint, what text,
	method text, path text, status int, ms int, request_id text, failure text, sent bool, body bytea)
RETURNS @extschema@.img_remote_step
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
DECLARE
	r @extschema@.img_remote;
	step @extschema@.img_remote_step;
	answer @extschema@.img_remote_answer;
	document jsonb;
	held text := @extschema@.img_remote_held(worker, job, attempt);
	problem text;
BEGIN
	IF held = 'locked' THEN
		step.action := held;
		RETURN step;
	END IF;
	SELECT x.* INTO r FROM @extschema@.img_remote x WHERE x.job_id = job FOR UPDATE NOWAIT;
	IF NOT FOUND THEN
		step.action := 'gone';
		RETURN step;
	END IF;
	BEGIN
		document := pg_catalog.convert_from(body, 'UTF8')::jsonb;
	EXCEPTION WHEN others THEN
		document := NULL;
	END;
	answer := @extschema@.img_remote_read(r.server_type, what, document);
	problem := CASE
		WHEN status IS NULL THEN COALESCE(NULLIF(failure, ''), 'the fetcher died')
		WHEN status BETWEEN 200 AND 299 THEN CASE WHEN what <> 'cancel' AND COALESCE(answer.state, answer.remote_id) IS NULL THEN
			pg_catalog.format('the answer of server "%s" makes no sense', r.server) END
		ELSE pg_catalog.format('server "%s" answered with status %s', r.server, status)
			|| COALESCE(': ' || answer.message, '') || COALESCE(' (code ' || answer.code || ')', '')
			|| COALESCE(', request ' || pg_catalog.left(request_id, 200), '') END;
	PERFORM @extschema@.img_remote_note(r, method, path, status, ms, request_id, problem);

	step.stage := what;
	step.message := problem;
	step.sqlstate := @extschema@.img_remote_sqlstate(status);
	step.hint := @extschema@.img_remote_hint(status, r.server);
	IF what = 'submit' THEN
		step := @extschema@.img_remote_submitted(r, step, status, sent, answer);
	ELSIF what = 'cancel' THEN
		UPDATE @extschema@.img_remote x SET state = 'failed', status = 'Cancelled', ended_at = pg_catalog.clock_timestamp()
		WHERE x.job_id = job AND img_remote_answered.status BETWEEN 200 AND 299;
		step.action := 'gone';
	ELSE
		step := @extschema@.img_remote_polled(r, step, what, status, answer);
	END IF;
	-- what was submitted is known even though nobody wants it any more
	IF held = 'gone' THEN
		step.action := held;
	END IF;
	RETURN step;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_answered(text, uuid, smallint, text, text, text, int, int, text, text, bool, bytea) IS
	'Worker protocol: takes in what an API answered, and says what to do next.';

CREATE FUNCTION @extschema@.img_remote_submitted(r @extschema@.img_remote, step @extschema@.img_remote_step,
	status int, sent bool, answer @extschema@.img_remote_answer) RETURNS @extschema@.img_remote_step
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	present timestamptz := pg_catalog.clock_timestamp();
BEGIN
	IF status BETWEEN 200 AND 299 AND answer.remote_id IS NOT NULL THEN
		step.action := 'poll';
		step.remote_id := answer.remote_id;
		step.seconds := @extschema@.img_remote_pause(0, answer.eta);
		UPDATE @extschema@.img_remote x
		SET state = 'submitted', submitted_at = present, remote_id = answer.remote_id, status = answer.status,
			eta = answer.eta, poll_after = present + pg_catalog.make_interval(secs => step.seconds)
		WHERE x.job_id = r.job_id;
		RETURN step;
	ELSIF (status IS NULL AND sent) OR status BETWEEN 200 AND 299
		OR (status >= 500 AND status <> 503 AND answer.message IS NULL) THEN
		RETURN @extschema@.img_remote_unknown(r.job_id, r.server, CASE
			WHEN status IS NULL THEN step.message
			WHEN status BETWEEN 200 AND 299 THEN 'its answer makes no sense'
			ELSE pg_catalog.format('it answered with status %s', status) END);
	END IF;
	-- From here on it is known that it has not begun.
	step.transient := status IS NULL OR status IN (408, 425, 429) OR status >= 500;
	step.action := CASE WHEN status = 429 THEN 'again' ELSE 'fail' END;
	IF step.transient THEN
		DELETE FROM @extschema@.img_remote x WHERE x.job_id = r.job_id;
	ELSE
		UPDATE @extschema@.img_remote x SET state = 'failed', ended_at = present WHERE x.job_id = r.job_id;
	END IF;
	RETURN step;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_submitted(@extschema@.img_remote, @extschema@.img_remote_step, int, bool, @extschema@.img_remote_answer) IS
	'Internal: img_remote_answered() for a submit.';

CREATE FUNCTION @extschema@.img_remote_pause(polls int, eta timestamptz) RETURNS float8
LANGUAGE sql VOLATILE
AS $$
	-- 1 s, half as much more each time, up to 30 s; or until it means to be ready
	SELECT greatest(least(pg_catalog.pow(1.5::float8, least(polls, 20)), 30),
		COALESCE(least(EXTRACT(epoch FROM eta - pg_catalog.clock_timestamp())::float8, CASE WHEN eta IS NOT NULL THEN 600 END), 0))
$$;
COMMENT ON FUNCTION @extschema@.img_remote_pause(int, timestamptz) IS 'Internal: seconds until a job is polled again.';

CREATE FUNCTION @extschema@.img_remote_polled(r @extschema@.img_remote, step @extschema@.img_remote_step,
	what text, status int, answer @extschema@.img_remote_answer) RETURNS @extschema@.img_remote_step
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	present timestamptz := pg_catalog.clock_timestamp();
	understood bool := status BETWEEN 200 AND 299 AND answer.state IS NOT NULL;
	said text := CASE WHEN understood THEN answer.state END;
BEGIN
	answer.result := COALESCE(r.result || answer.result, answer.result, r.result);
	step.remote_id := r.remote_id;
	step.transient := false;
	IF said = 'done' AND answer.url IS NOT NULL THEN
		step.action := 'download';
		step.url := answer.url;
		step.input_format := pg_catalog.lower(answer.result #>> '{input_object,format}');
		step.input_width := answer.result #>> '{input_object,width}';
		step.input_height := answer.result #>> '{input_object,height}';
	ELSIF said = 'ready' THEN
		step.action := 'result';
	ELSIF said = 'cancelled' THEN
		step.action := said;
		step.message := pg_catalog.format('server "%s" has cancelled it', r.server);
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
		step.action := 'poll';
		step.seconds := @extschema@.img_remote_pause(r.polls, answer.eta);
	END IF;
	UPDATE @extschema@.img_remote x
	SET polls = r.polls + 1, failures = CASE WHEN understood THEN 0 ELSE r.failures + 1 END,
		state = CASE WHEN said IN ('done', 'failed') THEN said WHEN said = 'cancelled' THEN 'failed' ELSE r.state END,
		status = COALESCE(answer.status, r.status), eta = COALESCE(answer.eta, r.eta),
		ended_at = CASE WHEN said IN ('done', 'failed', 'cancelled') THEN COALESCE(r.ended_at, present) ELSE r.ended_at END,
		poll_after = present + pg_catalog.make_interval(secs => step.seconds),
		result = answer.result
	WHERE x.job_id = r.job_id;
	RETURN step;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_polled(@extschema@.img_remote, @extschema@.img_remote_step, text, int, @extschema@.img_remote_answer) IS
	'Internal: img_remote_answered() for a poll, and for the question where the result is.';
