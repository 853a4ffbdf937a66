---------------------------------------------------------------- remote jobs --
-- A job with a server is done by that server's API, in calls that have names. One
-- of them is the submit, which costs money. img_remote says how far a job is, so
-- that whoever dies when, it is submitted once:
--
--	preparing	calls are made that the submit needs, next_call first. They may
--				be made again; what was learnt from them is in result.
--	submitting	committed before the submit is sent. Whoever finds a job so has
--				lost the answer, and cannot know whether the server has begun.
--	submitted	the server has it, as remote_id: whoever has the job asks for it
--	done		the server has done it, and its results are to be fetched
--	failed		the server has refused it, failed, or lost it
--	unknown		the answer to the submit was lost. Where the API lets us look for
--				the job, that is being done; else it has ended as ERROR
--
-- What is said to an API and what its answers mean is in a file of its own,
-- img_TYPE_request() and img_TYPE_read(). The calls that all types know:
--
--	begin		none: img_TYPE_read() says what is called first (next), with no
--				document; NULL: the submit
--	submit		sent once at most. Also asked for, and not sent, by img_submit(),
--				with r NULL: it raises what the API does not have
--	poll		how far it is
--	result		where the results are, if polls do not say so (state ready)
--	cancel		nobody wants it any more, be it preparing or submitted
--	find		whether it has begun, when the answer to the submit was lost
--
-- Any others have names of the type's own. Before the submit they are led to by
-- next, until it is submit; after it, a next is called at once; and the next of
-- an answer that ends the job (with urls, or a failure) when the job has ended.
--
-- The functions here call those, and decide; the dispatcher sends and receives.
-- They are called several times a job, so they are written in plpgsql, which
-- keeps its plans; functions in SQL are parsed and planned at every call.

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
	next_call text,
	remote_id text,
	status text,
	result jsonb,
	CONSTRAINT state_is_known CHECK (state IN ('preparing', 'submitting', 'submitted', 'done', 'failed', 'unknown')),
	CONSTRAINT submitted_has_an_id CHECK (state NOT IN ('submitted', 'done') OR (remote_id IS NOT NULL AND submitted_at IS NOT NULL))
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE @extschema@.img_remote ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner ON @extschema@.img_remote FOR SELECT USING (@extschema@.img_sees(owner));
GRANT SELECT ON @extschema@.img_remote TO PUBLIC;
COMMENT ON TABLE @extschema@.img_remote IS 'One row a job that a server has, had, or may have. Users see their own.';
COMMENT ON COLUMN @extschema@.img_remote.job_id IS 'img_job.id';
COMMENT ON COLUMN @extschema@.img_remote.created_at IS 'when it was begun; once submitted, just before that was sent';
COMMENT ON COLUMN @extschema@.img_remote.submitted_at IS 'when the server had accepted it';
COMMENT ON COLUMN @extschema@.img_remote.poll_after IS 'when the server is asked next';
COMMENT ON COLUMN @extschema@.img_remote.eta IS 'when the server means to be ready';
COMMENT ON COLUMN @extschema@.img_remote.ended_at IS 'when the server was found to be done with it';
COMMENT ON COLUMN @extschema@.img_remote.owner IS 'img_job.owner';
COMMENT ON COLUMN @extschema@.img_remote.polls IS 'how often it was asked';
COMMENT ON COLUMN @extschema@.img_remote.failures IS 'how often in a row that went wrong';
COMMENT ON COLUMN @extschema@.img_remote.server IS 'foreign server';
COMMENT ON COLUMN @extschema@.img_remote.server_type IS 'its type';
COMMENT ON COLUMN @extschema@.img_remote.state IS 'preparing, submitting, submitted, done, failed or unknown: whether the server has begun is not known';
COMMENT ON COLUMN @extschema@.img_remote.next_call IS 'what its server is called for next, before the submit; NULL: it is submitted, or about to be';
COMMENT ON COLUMN @extschema@.img_remote.remote_id IS 'what the server calls it';
COMMENT ON COLUMN @extschema@.img_remote.status IS 'its state in the words of the server';
COMMENT ON COLUMN @extschema@.img_remote.result IS 'what the server said: of its result, with its own link; before that, what the submit needs';

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
COMMENT ON COLUMN @extschema@.img_remote_call.status IS 'of HTTP, or what the answer amounts to; NULL: there was none';
COMMENT ON COLUMN @extschema@.img_remote_call.server IS 'foreign server';
COMMENT ON COLUMN @extschema@.img_remote_call.method IS 'of HTTP';
COMMENT ON COLUMN @extschema@.img_remote_call.path IS 'below the address of the server; /webhook/NAME: what it has sent by itself';
COMMENT ON COLUMN @extschema@.img_remote_call.request_id IS 'by which the server''s people find it';
COMMENT ON COLUMN @extschema@.img_remote_call.error IS 'what was wrong';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.img_remote', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.img_remote_call', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.img_remote_call_id_seq', '');

------------------------------------------------------------- what APIs share --

CREATE TYPE @extschema@.img_remote_request AS (method text, path text, content_type text, body text, picture bool, tail text);
COMMENT ON TYPE @extschema@.img_remote_request IS 'Internal: a request to an API, but for its key. NULL: the API has no such call.';
COMMENT ON COLUMN @extschema@.img_remote_request.method IS 'of HTTP';
COMMENT ON COLUMN @extschema@.img_remote_request.path IS 'below the address of the server, and the account if paths begin with that';
COMMENT ON COLUMN @extschema@.img_remote_request.content_type IS 'of the body; NULL: there is none';
COMMENT ON COLUMN @extschema@.img_remote_request.body IS 'of the request, or its beginning';
COMMENT ON COLUMN @extschema@.img_remote_request.picture IS 'true: the bytes of the job''s picture come behind that';
COMMENT ON COLUMN @extschema@.img_remote_request.tail IS 'and what comes behind those';

CREATE TYPE @extschema@.img_remote_answer AS (state text, remote_id text, status text, eta timestamptz,
	next text, urls text[], names text[], http_status int, code text, message text, result jsonb);
COMMENT ON TYPE @extschema@.img_remote_answer IS 'Internal: what an answer of an API means.';
COMMENT ON COLUMN @extschema@.img_remote_answer.state IS
	'waiting, ready (the result has to be asked for), done, failed or cancelled; of a find also missing (it has not begun); NULL: it does not say';
COMMENT ON COLUMN @extschema@.img_remote_answer.remote_id IS 'img_remote.remote_id';
COMMENT ON COLUMN @extschema@.img_remote_answer.status IS 'img_remote.status';
COMMENT ON COLUMN @extschema@.img_remote_answer.eta IS 'img_remote.eta';
COMMENT ON COLUMN @extschema@.img_remote_answer.next IS 'the call to make next';
COMMENT ON COLUMN @extschema@.img_remote_answer.urls IS 'where the results are, once done: the outputs of the job, in order';
COMMENT ON COLUMN @extschema@.img_remote_answer.names IS 'what they are called; NULL: as we call results';
COMMENT ON COLUMN @extschema@.img_remote_answer.http_status IS 'the status of HTTP that it amounts to, of an API that gives it otherwise; NULL: that which it had';
COMMENT ON COLUMN @extschema@.img_remote_answer.code IS 'the API''s own, of an error';
COMMENT ON COLUMN @extschema@.img_remote_answer.message IS 'the API''s own, of an error; NULL: it is none of the API''s';
COMMENT ON COLUMN @extschema@.img_remote_answer.result IS 'to be added to img_remote.result';

CREATE TYPE @extschema@.img_remote_step AS (action text, what text, seconds float8, remote_id text, urls text[], names text[],
	sqlstate text, message text, hint text, stage text, transient bool,
	input_format text, input_width int, input_height int);
COMMENT ON TYPE @extschema@.img_remote_step IS 'Internal: what a dispatcher has to do next for a remote job.';
COMMENT ON COLUMN @extschema@.img_remote_step.action IS
	'call; download; fetch: the picture of the job, and then again; fail; cancelled; again: img_remote_begin(); gone: nothing; locked: try later';
COMMENT ON COLUMN @extschema@.img_remote_step.what IS 'the call to make';
COMMENT ON COLUMN @extschema@.img_remote_step.seconds IS 'not before so many; NULL: at once';
COMMENT ON COLUMN @extschema@.img_remote_step.remote_id IS 'img_remote.remote_id';
COMMENT ON COLUMN @extschema@.img_remote_step.urls IS 'where the results are';
COMMENT ON COLUMN @extschema@.img_remote_step.names IS 'what they are called; NULL: as we call results';
COMMENT ON COLUMN @extschema@.img_remote_step.sqlstate IS 'of a failure';
COMMENT ON COLUMN @extschema@.img_remote_step.message IS 'of a failure';
COMMENT ON COLUMN @extschema@.img_remote_step.hint IS 'of a failure';
COMMENT ON COLUMN @extschema@.img_remote_step.stage IS 'of a failure';
COMMENT ON COLUMN @extschema@.img_remote_step.transient IS 'of a failure';
COMMENT ON COLUMN @extschema@.img_remote_step.input_format IS 'of the source, as the server said; NULL: it did not';
COMMENT ON COLUMN @extschema@.img_remote_step.input_width IS 'likewise';
COMMENT ON COLUMN @extschema@.img_remote_step.input_height IS 'likewise';

CREATE FUNCTION @extschema@.img_remote_sqlstate(status int) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	RETURN CASE
		WHEN status IN (400, 422) THEN '22023'
		WHEN status = 401 THEN '28000'
		WHEN status = 402 THEN '53000'
		WHEN status IN (403, 412) THEN '42501'
		WHEN status IN (404, 410) THEN '02000'
		WHEN status IN (409, 425) THEN '55000'
		WHEN status = 413 THEN '54000'
		WHEN status = 415 THEN '0A000'
		WHEN status = 429 THEN '53400'
		ELSE '58000' END;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_sqlstate(int) IS 'Internal: the SQLSTATE of an API''s status.';

CREATE FUNCTION @extschema@.img_remote_hint(status int, server text) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	RETURN CASE
		WHEN status = 401 THEN pg_catalog.format('ALTER USER MAPPING FOR CURRENT_USER SERVER %I OPTIONS (%s);', server,
			CASE (SELECT s.srvtype FROM pg_catalog.pg_foreign_server s WHERE s.srvname = server)
				WHEN 'nhn' THEN 'SET appkey ''...'', SET secret_key ''...''' ELSE 'SET api_key ''...''' END)
		WHEN status IN (402, 412) THEN 'The account at the server has to be topped up; then SELECT img_retry(job);' END;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_hint(int, text) IS 'Internal: what helps against an API''s status.';

-- Links to pictures open them to whoever reads the message.
CREATE FUNCTION @extschema@.img_remote_text(message text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	RETURN pg_catalog.left(pg_catalog.regexp_replace(message, '(https?:[^\s"''<>?]+)\?[^\s"''<>]*', '\1', 'gi'), 1000);
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_text(text) IS
	'Internal: what an API said, without the queries of URLs, which may be signatures.';

CREATE FUNCTION @extschema@.img_remote_link(download_url text, head_url text, expiry numeric) RETURNS jsonb
LANGUAGE sql IMMUTABLE
AS $$
	SELECT CASE WHEN download_url ~* '^https?://.' AND expiry BETWEEN 0 AND 1e11 THEN
		pg_catalog.jsonb_build_object('link', pg_catalog.jsonb_build_object('download_url', download_url,
			'head_url', CASE WHEN head_url ~* '^https?://.' THEN head_url ELSE download_url END, 'expiry', pg_catalog.floor(expiry))) ELSE '{}' END
$$;
COMMENT ON FUNCTION @extschema@.img_remote_link(text, text, numeric) IS
	'Internal: a server''s own link to a result, as a part of img_remote.result.';

CREATE FUNCTION @extschema@.img_remote_request(server_type text, what text, r @extschema@.img_remote, request jsonb, input text)
RETURNS @extschema@.img_remote_request
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	CASE server_type
		WHEN 'claid' THEN RETURN @extschema@.img_claid_request(what, r, request, input);
		WHEN 'topaz' THEN RETURN @extschema@.img_topaz_request(what, r, request, input);
		WHEN 'nhn' THEN RETURN @extschema@.img_nhn_request(what, r, request, input);
	END CASE;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_request(text, text, @extschema@.img_remote, jsonb, text) IS
	'Internal: what is sent to an API of that type for a call. input is the URL of the picture, or the name under which its bytes are sent; of calls that need neither, what img_submit() was given. Error 0A000 for what the API does not have.';

CREATE FUNCTION @extschema@.img_remote_read(server_type text, what text, r @extschema@.img_remote, document jsonb)
RETURNS @extschema@.img_remote_answer
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	answer @extschema@.img_remote_answer;
BEGIN
	CASE server_type
		WHEN 'claid' THEN answer := @extschema@.img_claid_read(what, r, document);
		WHEN 'topaz' THEN answer := @extschema@.img_topaz_read(what, r, document);
		WHEN 'nhn' THEN answer := @extschema@.img_nhn_read(what, r, document);
	END CASE;
	IF answer.message IS NOT NULL THEN
		answer.message := @extschema@.img_remote_text(answer.message);
	END IF;
	answer.urls := pg_catalog.array_remove(answer.urls, NULL);
	IF answer.names IS NULL THEN
		RETURN answer;
	END IF;
	-- file names, of which no two are the same
	SELECT CASE WHEN pg_catalog.count(DISTINCT n.name) = pg_catalog.cardinality(answer.urls) THEN pg_catalog.array_agg(n.name ORDER BY n.ordinal) END
	INTO answer.names
	FROM (SELECT u.ordinal, NULLIF(pg_catalog.left(pg_catalog.regexp_replace(u.name, '^.*/|[[:cntrl:]]', '', 'g'), 255), '') AS name
		FROM pg_catalog.unnest(answer.names) WITH ORDINALITY u (name, ordinal)) n;
	RETURN answer;
EXCEPTION WHEN data_exception THEN
	-- not of the form that the API's documents have
	RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_read(text, text, @extschema@.img_remote, jsonb) IS
	'Internal: what an answer of an API of that type means.';

CREATE FUNCTION @extschema@.img_remote_ask(server_type text, what text, job uuid, request jsonb, input text)
RETURNS @extschema@.img_remote_request
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
DECLARE
	r @extschema@.img_remote;
BEGIN
	SELECT x.* INTO r FROM @extschema@.img_remote x WHERE x.job_id = job;
	RETURN @extschema@.img_remote_request(server_type, what, r, request, input);
END $$;
COMMENT ON FUNCTION @extschema@.img_remote_ask(text, text, uuid, jsonb, text) IS
	'Worker protocol: img_remote_request() for a job; NULL: for one that is only being submitted to us.';

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
