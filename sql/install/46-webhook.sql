-------------------------------------------------------------------- webhooks --
-- A server that can says by itself when a job has ended: it sends a webhook, and
-- polls are only the second way. img_webhook() takes it in, for imgapi-gateway
-- or any other that has it from the web.
--
-- Nothing is believed that is not signed. A webhook with a signature that the
-- owner's user mapping proves counts as the answer to a poll; any other has the
-- server asked at once, which the dispatcher does no more than once in
-- poll_interval. What a webhook is about is in a file of its own for each type,
-- img_TYPE_webhook().

CREATE INDEX img_remote_id ON @extschema@.img_remote (server, remote_id);

-- Lost in a crash: polls find out what it said.
CREATE UNLOGGED TABLE @extschema@.img_webhook_arrived (
	job_id uuid PRIMARY KEY,
	body bytea
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE @extschema@.img_webhook_arrived ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE @extschema@.img_webhook_arrived IS 'Internal: jobs of which a server has said something that the worker has not taken in yet.';
COMMENT ON COLUMN @extschema@.img_webhook_arrived.job_id IS 'img_job.id';
COMMENT ON COLUMN @extschema@.img_webhook_arrived.body IS 'that it has ended, proven; NULL: the server is to be asked';

CREATE FUNCTION @extschema@.img_webhook_url(server name) RETURNS text
	LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_webhook_url(name) IS
	'Internal: where imgapi-gateway takes the webhooks of that server; NULL: imgapi.public_url is not set, or the server''s option webhooks is off.';

CREATE FUNCTION @extschema@.img_webhook_proves(server name, owner regrole, signature text, body bytea) RETURNS bool
	LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_webhook_proves(name, regrole, text, bytea) IS
	'Internal: whether that is the HMAC-SHA256 of the body under the secret of the owner''s user mapping; NULL: it has none.';

CREATE TYPE @extschema@.img_webhook_subject AS (job_id uuid, remote_id text, signature text);
COMMENT ON TYPE @extschema@.img_webhook_subject IS 'Internal: which job a webhook is about.';
COMMENT ON COLUMN @extschema@.img_webhook_subject.job_id IS 'img_remote.job_id, or …';
COMMENT ON COLUMN @extschema@.img_webhook_subject.remote_id IS '… img_remote.remote_id';
COMMENT ON COLUMN @extschema@.img_webhook_subject.signature IS 'of the body; NULL: it has none';

CREATE FUNCTION @extschema@.img_claid_webhook(headers jsonb, document jsonb) RETURNS @extschema@.img_webhook_subject
LANGUAGE sql IMMUTABLE
AS $$
	SELECT ROW(NULL, CASE WHEN document #>> '{data,id}' ~ '^[0-9]{1,20}$' THEN document #>> '{data,id}' END,
		headers ->> 'x-claid-hmac-sha256')::@extschema@.img_webhook_subject
$$;
COMMENT ON FUNCTION @extschema@.img_claid_webhook(jsonb, jsonb) IS 'Internal: img_webhook_read() for servers of type claid.';

CREATE FUNCTION @extschema@.img_topaz_webhook(headers jsonb, document jsonb) RETURNS @extschema@.img_webhook_subject
LANGUAGE sql IMMUTABLE
AS $$
	SELECT ROW(NULL, CASE WHEN document ->> 'process_id' ~ '^[0-9A-Fa-f-]{1,64}$' THEN document ->> 'process_id' END,
		NULL)::@extschema@.img_webhook_subject
$$;
COMMENT ON FUNCTION @extschema@.img_topaz_webhook(jsonb, jsonb) IS 'Internal: img_webhook_read() for servers of type topaz, which sign nothing.';

CREATE FUNCTION @extschema@.img_nhn_webhook(headers jsonb, document jsonb) RETURNS @extschema@.img_webhook_subject
LANGUAGE sql IMMUTABLE
AS $$
	-- id is that of the query of the URL, which has the job's
	SELECT ROW(CASE WHEN document ->> 'id' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN document ->> 'id' END,
		NULL, NULL)::@extschema@.img_webhook_subject
$$;
COMMENT ON FUNCTION @extschema@.img_nhn_webhook(jsonb, jsonb) IS 'Internal: img_webhook_read() for servers of type nhn, which sign nothing.';

CREATE FUNCTION @extschema@.img_webhook_read(server_type text, headers jsonb, document jsonb) RETURNS @extschema@.img_webhook_subject
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	-- names of headers are the same in any case
	lower_headers jsonb := (SELECT pg_catalog.jsonb_object_agg(pg_catalog.lower(h.key), h.value)
		FROM pg_catalog.jsonb_each(headers) h);
BEGIN
	CASE server_type
		WHEN 'claid' THEN RETURN @extschema@.img_claid_webhook(lower_headers, document);
		WHEN 'topaz' THEN RETURN @extschema@.img_topaz_webhook(lower_headers, document);
		WHEN 'nhn' THEN RETURN @extschema@.img_nhn_webhook(lower_headers, document);
	END CASE;
END $$;
COMMENT ON FUNCTION @extschema@.img_webhook_read(text, jsonb, jsonb) IS
	'Internal: which job a webhook of that type of server is about.';

CREATE FUNCTION @extschema@.img_webhook_server(server name, who regrole) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	server_type text;
BEGIN
	SELECT s.srvtype INTO server_type FROM pg_catalog.pg_foreign_server s
		JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw AND w.fdwname = 'imgapi'
	WHERE s.srvname = server;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'server "%" does not exist', server
			USING ERRCODE = '42704', HINT = 'SELECT name, type FROM img_server WHERE type IN (''claid'', ''topaz'', ''nhn'');';
	ELSIF NOT pg_catalog.has_server_privilege(who, server, 'USAGE') AND NOT pg_catalog.has_function_privilege(who,
		'@extschema@.img_link_open(text, uuid, text, bigint, int, bytea, bigint, int, bytea)', 'EXECUTE') THEN
		RAISE EXCEPTION 'permission denied for foreign server %', server
			USING ERRCODE = '42501', HINT = pg_catalog.format('GRANT USAGE ON FOREIGN SERVER %I TO %s; or for imgapi-gateway: SELECT img_grant_gateway(%L);', server, who, who);
	ELSIF server_type NOT IN ('claid', 'topaz', 'nhn') THEN
		RAISE EXCEPTION 'server "%" is of type %, which sends no webhooks', server, server_type
			USING ERRCODE = '22023', HINT = 'SELECT name, type FROM img_server WHERE type IN (''claid'', ''topaz'', ''nhn'');';
	END IF;
	RETURN server_type;
END $$;
COMMENT ON FUNCTION @extschema@.img_webhook_server(name, regrole) IS
	'Internal: the type of a server whose webhooks that role may hand in. Members of the role of imgapi-gateway need no USAGE.';

CREATE FUNCTION @extschema@.img_webhook_document(headers jsonb, body bytea) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	IF pg_catalog.jsonb_typeof(headers) IS DISTINCT FROM 'object' THEN
		RAISE EXCEPTION 'headers must be an object'
			USING ERRCODE = '22023', HINT = 'Write them as in {"Content-Type": "application/json"}.';
	ELSIF pg_catalog.octet_length(body) > 1024 * 1024 THEN
		RAISE EXCEPTION 'the body has % bytes, more than the % of a webhook', pg_catalog.octet_length(body), 1024 * 1024
			USING ERRCODE = '54000', HINT = 'Hand in what the server has sent, as it was sent.';
	END IF;
	RETURN pg_catalog.convert_from(body, 'UTF8')::jsonb;
EXCEPTION WHEN data_exception OR statement_too_complex THEN
	IF SQLSTATE = '22023' THEN
		RAISE;
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.img_webhook_document(jsonb, bytea) IS
	'Internal: the body of a webhook; NULL: it is not JSON.';

CREATE FUNCTION @extschema@.img_webhook_job(server text, server_type text, subject @extschema@.img_webhook_subject)
RETURNS @extschema@.img_remote
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
	r @extschema@.img_remote;
BEGIN
	IF COALESCE(subject.job_id::text, subject.remote_id) IS NULL THEN
		RAISE EXCEPTION 'the body is no webhook of a server of type %: it names no job', server_type
			USING ERRCODE = '22P02', HINT = 'Hand in what the server has sent, as it was sent.';
	ELSIF subject.job_id IS NOT NULL THEN
		SELECT x.* INTO r FROM @extschema@.img_remote x WHERE x.job_id = subject.job_id AND x.server = img_webhook_job.server;
	ELSE
		SELECT x.* INTO r FROM @extschema@.img_remote x
		WHERE x.server = img_webhook_job.server AND x.remote_id = subject.remote_id
		ORDER BY x.created_at DESC LIMIT 1;
	END IF;
	IF r.job_id IS NOT NULL THEN
		RETURN r;
	ELSIF EXISTS (SELECT FROM @extschema@.img_remote x
		WHERE x.server = img_webhook_job.server AND x.remote_id IS NULL AND x.state = 'submitting') THEN
		-- it may be quicker than its answer to the submit
		RAISE EXCEPTION 'server "%" has no job % yet', server, COALESCE(subject.job_id::text, subject.remote_id)
			USING ERRCODE = '55000', HINT = 'Hand it in again in a second: jobs are just being submitted.';
	END IF;
	RAISE EXCEPTION 'server "%" has no job %', server, COALESCE(subject.job_id::text, subject.remote_id)
		USING ERRCODE = '02000', HINT = pg_catalog.format('SELECT job_id, remote_id, state FROM img_remote WHERE server = %L;', server);
END $$;
COMMENT ON FUNCTION @extschema@.img_webhook_job(text, text, @extschema@.img_webhook_subject) IS
	'Internal: the job that a webhook is about.';

CREATE FUNCTION @extschema@.img_webhook(server name, headers jsonb, body bytea) RETURNS bool
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_webhook(name, jsonb, bytea) IS
	'Takes in what a server has sent of its own accord, with headers as an object: the job that it is about goes on at once. False: that job has ended, or its result is being fetched. Error 28000 when its signature is missing or wrong, 22P02 when it is no webhook, 02000 for an unknown job, 55000 when that may yet become known.';

CREATE FUNCTION @extschema@.img_webhook_as(server name, headers jsonb, body bytea, who regrole) RETURNS bool
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
	server_type text := @extschema@.img_webhook_server(server, who);
	document jsonb := @extschema@.img_webhook_document(headers, body);
	subject @extschema@.img_webhook_subject := @extschema@.img_webhook_read(server_type, headers, document);
	r @extschema@.img_remote := @extschema@.img_webhook_job(server::text, server_type, subject);
	proven bool := @extschema@.img_webhook_proves(server, r.owner, subject.signature, body);
	answer @extschema@.img_remote_answer;
BEGIN
	IF NOT proven THEN
		RAISE EXCEPTION 'the signature of the webhook is %', CASE WHEN subject.signature IS NULL THEN 'missing' ELSE 'wrong' END
			USING ERRCODE = '28000', HINT = pg_catalog.format(
				'The secret set at the server has to be that of the user mapping: ALTER USER MAPPING FOR %s SERVER %I OPTIONS (SET webhook_secret ''...'');', r.owner, server);
	ELSIF r.state <> 'submitted' OR NOT EXISTS (SELECT FROM @extschema@.img_job_live l WHERE l.id = r.job_id) THEN
		RETURN false;
	END IF;
	IF proven THEN
		answer := @extschema@.img_remote_read(server_type, 'poll', r, document);
	END IF;
	-- What has not ended may go on being asked for.
	proven := COALESCE(answer.state IN ('done', 'failed', 'cancelled'), false);
	INSERT INTO @extschema@.img_webhook_arrived AS a (job_id, body) VALUES (r.job_id, CASE WHEN proven THEN body END)
	ON CONFLICT (job_id) DO UPDATE SET body = excluded.body WHERE excluded.body IS NOT NULL;
	RETURN true;
END $$;
COMMENT ON FUNCTION @extschema@.img_webhook_as(name, jsonb, bytea, regrole) IS 'Internal: img_webhook() for that role.';

CREATE FUNCTION @extschema@.img_webhook_take(worker text) RETURNS TABLE (job_id uuid, body bytea)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
	-- Of jobs that no worker has, it is noted that they are to be asked for.
	RETURN QUERY
	WITH arrived AS MATERIALIZED (
		SELECT a.job_id, l.id IS NOT NULL AS lives, l.lease_owner
		FROM @extschema@.img_webhook_arrived a LEFT JOIN @extschema@.img_job_live l ON l.id = a.job_id
		WHERE l.lease_owner IS NULL OR l.lease_owner = worker
		FOR UPDATE OF a SKIP LOCKED
	), taken AS (
		DELETE FROM @extschema@.img_webhook_arrived a USING arrived t WHERE a.job_id = t.job_id
		RETURNING a.job_id, a.body, t.lives, t.lease_owner
	), postponed AS (
		UPDATE @extschema@.img_remote r SET poll_after = pg_catalog.clock_timestamp()
		FROM taken t WHERE r.job_id = t.job_id AND t.lives AND t.lease_owner IS NULL
	)
	SELECT t.job_id, t.body FROM taken t WHERE t.lease_owner = worker ORDER BY t.job_id;
END $$;
COMMENT ON FUNCTION @extschema@.img_webhook_take(text) IS
	'Worker protocol: what servers have said of that worker''s jobs since it asked last, in the order of their ids. With body the answer to a poll.';
