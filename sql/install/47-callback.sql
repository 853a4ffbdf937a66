------------------------------------------------------------------- callbacks --
-- A job with a callback_url leaves a row here in the transaction in which it
-- ends: whatever crashes then, the callback is sent, and sent at least once. A
-- dispatcher takes rows that are due, posts them through its fetcher, and says
-- what came of each:
--
--	waiting		to be sent at next_at
--	sending		a worker has it (lease_owner); that of a dead worker waits again
--	sent		the receiver has answered with a status from 200 to 299
--	failed		it has refused it, or could not be reached for a day
--
-- No receiver has many of its callbacks under way at a time, and receivers take
-- turns, so that one that is slow holds up its own only.

CREATE TABLE @extschema@.img_callback (
	id uuid PRIMARY KEY DEFAULT @extschema@.img_new_id(),
	job_id uuid NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	next_at timestamptz DEFAULT pg_catalog.clock_timestamp(),
	give_up_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp() + interval '1 day',
	ended_at timestamptz,
	owner regrole NOT NULL,
	attempts int NOT NULL DEFAULT 0,
	status int,
	state text NOT NULL DEFAULT 'waiting',
	url text NOT NULL,
	host text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
		pg_catalog.lower(pg_catalog.substring(url, '^[^:]*://([^/?#]*)') COLLATE "C")) STORED,
	lease_owner text,
	error text,
	CONSTRAINT state_is_known CHECK (state IN ('waiting', 'sending', 'sent', 'failed')),
	CONSTRAINT times_and_lease_are_of_the_state
		CHECK ((state = 'waiting') = (next_at IS NOT NULL)
			AND (state = 'sending') = (lease_owner IS NOT NULL)
			AND (state IN ('sent', 'failed')) = (ended_at IS NOT NULL))
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX img_callback_due ON @extschema@.img_callback (host, next_at) WHERE state = 'waiting';
CREATE INDEX img_callback_job ON @extschema@.img_callback (job_id);
ALTER TABLE @extschema@.img_callback ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner ON @extschema@.img_callback FOR SELECT USING (@extschema@.img_sees(owner));
GRANT SELECT ON @extschema@.img_callback TO PUBLIC;
COMMENT ON TABLE @extschema@.img_callback IS 'One row a callback: a job that has ended and its callback_url. Users see their own.';
COMMENT ON COLUMN @extschema@.img_callback.id IS 'time-ordered UUID';
COMMENT ON COLUMN @extschema@.img_callback.job_id IS 'img_job.id';
COMMENT ON COLUMN @extschema@.img_callback.created_at IS 'when the job ended';
COMMENT ON COLUMN @extschema@.img_callback.next_at IS 'when it is sent, or sent again; NULL unless it waits';
COMMENT ON COLUMN @extschema@.img_callback.give_up_at IS 'after this time it is not sent again';
COMMENT ON COLUMN @extschema@.img_callback.ended_at IS 'when it was sent, or given up';
COMMENT ON COLUMN @extschema@.img_callback.owner IS 'img_job.owner, whose key signs it';
COMMENT ON COLUMN @extschema@.img_callback.attempts IS 'attempts begun';
COMMENT ON COLUMN @extschema@.img_callback.status IS 'of HTTP, of the last answer; NULL: there was none';
COMMENT ON COLUMN @extschema@.img_callback.state IS 'waiting, sending, sent or failed';
COMMENT ON COLUMN @extschema@.img_callback.url IS 'img_job.callback_url';
COMMENT ON COLUMN @extschema@.img_callback.host IS 'host and port of the URL: the receiver';
COMMENT ON COLUMN @extschema@.img_callback.lease_owner IS 'worker that is sending it';
COMMENT ON COLUMN @extschema@.img_callback.error IS 'why the last attempt failed';
SELECT pg_catalog.pg_extension_config_dump('@extschema@.img_callback', '');

-- Called with each job that ends. Strict, so that those without a URL pay
-- nothing: the start of a statement would cost them.
CREATE FUNCTION @extschema@.img_callback_add(job uuid, owner regrole, url text) RETURNS text
LANGUAGE plpgsql VOLATILE STRICT
AS $$
BEGIN
	INSERT INTO @extschema@.img_callback (job_id, owner, url) VALUES (job, owner, url);
	RETURN url;
END $$;
COMMENT ON FUNCTION @extschema@.img_callback_add(uuid, regrole, text) IS
	'Internal: a job ends, and its callback is to be sent. The URL, for the row of the job.';

CREATE FUNCTION @extschema@.img_callback_added() RETURNS trigger
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_callback_added() IS
	'Internal: wakes the worker when there is a callback to send and the transaction has committed.';

-- What a worker writes itself has been attempted. A restore must not wake
-- anybody: jobs come before their pictures.
CREATE TRIGGER wake AFTER INSERT OR UPDATE ON @extschema@.img_callback
	FOR EACH ROW WHEN (NEW.attempts = 0 AND pg_catalog.current_setting('row_security')::bool)
	EXECUTE FUNCTION @extschema@.img_callback_added();
COMMENT ON TRIGGER wake ON @extschema@.img_callback IS 'Internal: wakes the worker.';

-------------------------------------------------------------------- signing --
-- Each owner has a key. It is not part of a dump, as those of links are not.

CREATE TABLE @extschema@.img_callback_key (
	owner regrole PRIMARY KEY,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	secret text NOT NULL
);
ALTER TABLE @extschema@.img_callback_key ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE @extschema@.img_callback_key IS
	'Internal: keys that callbacks are signed with. Nobody but the owner of the extension can read it; see img_callback_secret().';
COMMENT ON COLUMN @extschema@.img_callback_key.owner IS 'whose callbacks it signs';
COMMENT ON COLUMN @extschema@.img_callback_key.created_at IS 'since when';
COMMENT ON COLUMN @extschema@.img_callback_key.secret IS '64 hexadecimal digits, used as they are written';

CREATE FUNCTION @extschema@.img_callback_secret(renew bool DEFAULT false) RETURNS text
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'img_as_owner';
COMMENT ON FUNCTION @extschema@.img_callback_secret(bool) IS
	'The key that callbacks of your jobs are signed with, made when it is first needed. With renew => true another one from now on.';

CREATE FUNCTION @extschema@.img_callback_secret_as(renew bool, who regrole) RETURNS text
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	known text;
BEGIN
	SELECT k.secret INTO known FROM @extschema@.img_callback_key k WHERE k.owner = who AND NOT renew;
	IF known IS NULL THEN
		-- of two that are first at the same time, one makes it
		INSERT INTO @extschema@.img_callback_key AS k (owner, secret)
		VALUES (who, pg_catalog.encode(@extschema@.img_new_secret(), 'hex'))
		ON CONFLICT ON CONSTRAINT img_callback_key_pkey DO UPDATE
			SET secret = CASE WHEN renew THEN excluded.secret ELSE k.secret END,
				created_at = CASE WHEN renew THEN excluded.created_at ELSE k.created_at END
		RETURNING k.secret INTO known;
	END IF;
	RETURN known;
END $$;
COMMENT ON FUNCTION @extschema@.img_callback_secret_as(bool, regrole) IS 'Internal: img_callback_secret() for that role.';

CREATE FUNCTION @extschema@.img_callback_signature(secret text, signed_at bigint, body bytea) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_callback_signature(text, bigint, bytea) IS
	'Internal: the header Imgapi-Signature of a callback: t=SECONDS,v1=HMAC-SHA256 of "SECONDS.BODY" in hexadecimal.';

------------------------------------------------------------------- contents --

CREATE FUNCTION @extschema@.img_callback_link(object uuid) RETURNS text
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	present timestamptz := pg_catalog.clock_timestamp();
	base text := pg_catalog.rtrim(pg_catalog.current_setting('imgapi.public_url'), '/');
	o record;
	k record;
	until timestamptz;
	expiry bigint;
	get text;
	head text;
BEGIN
	SELECT x.id, x.job_id, x.owner, x.storage, x.path, x.expires_at,
		COALESCE(x.name, x.id::text || COALESCE('.' || x.ext, '')) AS name
	INTO o FROM @extschema@.img_object x WHERE x.id = object AND x.expires_at > present;
	IF NOT FOUND THEN
		RETURN NULL;
	END IF;
	until := least(o.expires_at, present + pg_catalog.current_setting('imgapi.link_lifetime')::interval);
	expiry := pg_catalog.floor(EXTRACT(epoch FROM until));
	until := pg_catalog.to_timestamp(expiry);
	IF o.storage = 'database' THEN
		SELECT x.id, x.secret INTO k FROM @extschema@.img_link_key x WHERE x.retired_at IS NULL;
		get := @extschema@.img_link_url(base, k.id, k.secret, 'GET', o.id, o.name, expiry);
		head := @extschema@.img_link_url(base, k.id, k.secret, 'HEAD', o.id, o.name, expiry);
	ELSE
		get := @extschema@.img_storage_link(o.storage, o.path, 'GET', until, o.owner);
		head := @extschema@.img_storage_link(o.storage, o.path, 'HEAD', until, o.owner);
	END IF;
	INSERT INTO @extschema@.img_link (id, object_id, job_id, owner, created_at, expires_at, expiry, download_url, head_url)
	VALUES (@extschema@.img_new_id(), o.id, o.job_id, o.owner, present, until, expiry, get, head);
	RETURN get;
EXCEPTION WHEN OTHERS THEN
	-- Say, the server is gone, or closed to the owner by now: no reason to tell nothing.
	RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.img_callback_link(uuid) IS
	'Internal: a link to a picture for the receiver of a callback; NULL where there can be none.';

CREATE FUNCTION @extschema@.img_callback_body(job uuid) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
AS $$
DECLARE
	e @extschema@.img_job_ended;
	has_gateway bool := pg_catalog.current_setting('imgapi.public_url') <> '';
	body jsonb;
BEGIN
	SELECT * INTO e FROM @extschema@.img_job_ended x WHERE x.id = job;
	IF NOT FOUND THEN
		RETURN NULL;
	END IF;
	WITH picture AS (
		SELECT o.id, o.role, o.ordinal, o.storage, o.path, o.name FROM @extschema@.img_object o WHERE o.job_id = job
		UNION ALL
		-- a job that failed may have named a picture that has never come
		SELECT NULL, 'input', 1, CASE WHEN e.input LIKE 'storage://%' THEN pg_catalog.split_part(e.input, '/', 3)
				WHEN e.input LIKE '/%' THEN 'row' ELSE 'url' END,
			pg_catalog.regexp_replace(COALESCE(e.input, ''), '^storage://[^/]*/', ''), NULL
	), placed AS (
		SELECT p.*, CASE WHEN p.storage = 'url' THEN COALESCE(pg_catalog.substring(p.path, '^[^:]*://[^/?#]*([^?#]*)'), '')
			WHEN p.storage <> 'row' THEN '/' || p.path WHEN p.path LIKE '/%' THEN p.path ELSE '' END AS place,
			-- of the file tree, or else a row of somebody's table
			p.storage = 'row' AND p.path LIKE '/%' AS is_file
		FROM picture p
	), file AS (
		SELECT p.role, p.ordinal, pg_catalog.jsonb_build_object(
			'url', CASE WHEN p.storage = 'url' THEN p.path
				WHEN p.is_file THEN COALESCE((SELECT x.url FROM @extschema@.img_file x WHERE x.owner = e.owner AND x.path = p.path), '')
				WHEN p.id IS NULL OR p.storage = 'row' OR (p.storage = 'database' AND NOT has_gateway) THEN ''
				ELSE COALESCE(@extschema@.img_callback_link(p.id), '') END,
			'path', p.place, 'name', COALESCE(p.name, pg_catalog.substring(p.place, '[^/]*$'))) AS document,
			-- another was there before
			p.role = 'output' AND CASE WHEN p.is_file THEN EXISTS (
					SELECT FROM @extschema@.img_file x WHERE x.owner = e.owner AND x.path = p.path AND x.id < job)
				WHEN p.storage <> 'database' AND p.storage <> 'row' THEN EXISTS (
					SELECT FROM @extschema@.img_object x WHERE x.storage = p.storage AND x.path = p.path AND x.id < p.id
						AND x.role = 'output' AND x.storage <> 'database' AND x.storage <> 'row')
				ELSE false END AS overwritten
		FROM placed p
	)
	SELECT pg_catalog.jsonb_build_object(
		'header', pg_catalog.jsonb_build_object(
			'isSuccessful', e.status = 'DONE',
			'resultCode', CASE e.status WHEN 'DONE' THEN 0 WHEN 'ERROR' THEN 500201 ELSE -1 END,
			'resultMessage', CASE e.status WHEN 'DONE' THEN 'Success' WHEN 'ERROR' THEN e.error
				ELSE COALESCE('Cancelled: ' || e.error, 'Cancelled') END),
		-- what the receiver has written into the URL comes back to it
		'id', COALESCE(pg_catalog.substring(e.callback_url, '[?&]id=([^&#]*)'), job::text),
		'queueId', job,
		'operationId', COALESCE(e.request ->> 'operation_id', ''),
		'overwritten', COALESCE(pg_catalog.bool_or(f.overwritten), false),
		'sourceFile', pg_catalog.jsonb_agg(f.document ORDER BY f.ordinal) FILTER (WHERE f.role = 'input') -> 0)
		|| CASE e.status WHEN 'DONE' THEN pg_catalog.jsonb_build_object('resultFiles',
			COALESCE(pg_catalog.jsonb_agg(f.document ORDER BY f.ordinal) FILTER (WHERE f.role = 'output'), '[]')) ELSE '{}' END
	INTO body FROM file f;
	RETURN body;
END $$;
COMMENT ON FUNCTION @extschema@.img_callback_body(uuid) IS
	'Internal: what is posted when a job has ended, as the operation contract words it: header, id (of the URL''s query, else the job''s), queueId (the job''s), operationId, overwritten, sourceFile and, if DONE, resultFiles. NULL: it has not ended.';

-------------------------------------------------------------------- sending --

CREATE FUNCTION @extschema@.img_callback_rescue(worker text) RETURNS void
LANGUAGE sql VOLATILE
AS $$
	-- Workers named home/… are dispatchers of this database: there is only ever one.
	UPDATE @extschema@.img_callback c
	SET state = 'waiting', lease_owner = NULL, next_at = pg_catalog.clock_timestamp()
	WHERE c.id IN (SELECT l.id FROM @extschema@.img_callback l
		WHERE l.state = 'sending' AND l.lease_owner <> worker AND l.lease_owner LIKE 'home/%' AND worker LIKE 'home/%'
		FOR UPDATE SKIP LOCKED);
$$;
COMMENT ON FUNCTION @extschema@.img_callback_rescue(text) IS
	'Worker protocol: callbacks that dead workers had are due at once. Whether they were sent nobody knows: they are sent again.';

CREATE FUNCTION @extschema@.img_callback_hosts() RETURNS SETOF text
LANGUAGE sql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
AS $$
	-- from one host to the next, whatever there is of each
	WITH RECURSIVE step AS (
		(SELECT c.host FROM @extschema@.img_callback c WHERE c.state = 'waiting' ORDER BY c.host LIMIT 1)
		UNION ALL
		SELECT (SELECT c.host FROM @extschema@.img_callback c
			WHERE c.state = 'waiting' AND c.host > s.host ORDER BY c.host LIMIT 1)
		FROM step s WHERE s.host IS NOT NULL
	)
	SELECT s.host FROM step s WHERE s.host IS NOT NULL
$$;
COMMENT ON FUNCTION @extschema@.img_callback_hosts() IS 'Internal: receivers for whom callbacks wait, in their order.';

CREATE FUNCTION @extschema@.img_callback_claim(worker text, callbacks int, each int, hosts text[], under_way int[], after text)
RETURNS TABLE (id uuid, host text, url text, body bytea, signature text)
LANGUAGE plpgsql VOLATILE ROWS 100
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
	present timestamptz := pg_catalog.clock_timestamp();
	signed_at bigint := pg_catalog.floor(EXTRACT(epoch FROM present));
BEGIN
	RETURN QUERY
	WITH receiver AS MATERIALIZED (
		-- those whose turn it is come first
		SELECT w.host, COALESCE(u.under_way, 0) AS under_way
		FROM @extschema@.img_callback_hosts() w (host)
			LEFT JOIN ROWS FROM (pg_catalog.unnest(hosts), pg_catalog.unnest(under_way)) u (host, under_way) ON u.host = w.host
		WHERE COALESCE(u.under_way, 0) < each
		ORDER BY w.host COLLATE "C" <= after COLLATE "C", w.host COLLATE "C"
	), due AS MATERIALIZED (
		SELECT d.id, d.job_id FROM receiver r CROSS JOIN LATERAL (
			SELECT c.id, c.job_id FROM @extschema@.img_callback c
			WHERE c.state = 'waiting' AND c.host = r.host COLLATE "C" AND c.next_at <= present
			ORDER BY c.next_at LIMIT each - r.under_way FOR UPDATE SKIP LOCKED) d
		LIMIT callbacks
	), judged AS MATERIALIZED (
		SELECT d.id, EXISTS (SELECT FROM @extschema@.img_job_ended e WHERE e.id = d.job_id) AS ended FROM due d
	), void AS (
		UPDATE @extschema@.img_callback c
		SET state = 'failed', next_at = NULL, ended_at = present, error = 'the job has been queued again'
		FROM judged j WHERE c.id = j.id AND NOT j.ended
	), claimed AS (
		UPDATE @extschema@.img_callback c
		SET state = 'sending', next_at = NULL, lease_owner = worker, attempts = c.attempts + 1
		FROM judged j WHERE c.id = j.id AND j.ended
		RETURNING c.id, c.host, c.url, c.job_id, c.owner
	), made AS MATERIALIZED (
		SELECT c.*, pg_catalog.convert_to(@extschema@.img_callback_body(c.job_id)::text, 'UTF8') AS body FROM claimed c
	)
	SELECT m.id, m.host::text, m.url, m.body,
		@extschema@.img_callback_signature(@extschema@.img_callback_secret_as(false, m.owner), signed_at, m.body)
	FROM made m ORDER BY m.host <= after COLLATE "C", m.host;
END $$;
COMMENT ON FUNCTION @extschema@.img_callback_claim(text, int, int, text[], int[], text) IS
	'Worker protocol: takes up to that many callbacks that are due, of each host so many that no more than each are under way with those that are (hosts, under_way). Hosts behind that one come first.';

CREATE FUNCTION @extschema@.img_callback_next_due(busy text[]) RETURNS timestamptz
LANGUAGE sql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
AS $$
	SELECT pg_catalog.min(d.next_at) FROM @extschema@.img_callback_hosts() w (host) CROSS JOIN LATERAL (
		SELECT c.next_at FROM @extschema@.img_callback c
		WHERE c.state = 'waiting' AND c.host = w.host COLLATE "C" ORDER BY c.next_at LIMIT 1) d
	WHERE w.host <> ALL (busy)
$$;
COMMENT ON FUNCTION @extschema@.img_callback_next_due(text[]) IS
	'Worker protocol: when the next callback is to be sent, but for those hosts; NULL: there is none.';

CREATE FUNCTION @extschema@.img_callback_said(worker text, callbacks uuid[], states text[], statuses int[], errors text[], retry_after int[])
RETURNS SETOF uuid
LANGUAGE plpgsql VOLATILE ROWS 100
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
AS $$
DECLARE
	present timestamptz := pg_catalog.clock_timestamp();
BEGIN
	RETURN QUERY
	WITH said AS MATERIALIZED (
		SELECT s.* FROM ROWS FROM (pg_catalog.unnest(callbacks), pg_catalog.unnest(states), pg_catalog.unnest(statuses),
			pg_catalog.unnest(errors), pg_catalog.unnest(retry_after)) s (id, state, status, error, retry_after)
	), held AS MATERIALIZED (
		SELECT s.*, CASE WHEN s.state = 'waiting' AND present < c.give_up_at THEN
			-- 5, 10, 20 … seconds up to 15 minutes, up to a quarter more so that failures spread
			least(c.give_up_at, present + greatest(pg_catalog.make_interval(secs => s.retry_after), pg_catalog.make_interval(
				secs => least(5 * pg_catalog.pow(2, least(c.attempts, 9) - 1), 900) * (1 + pg_catalog.random() / 4))))
			END AS next_at
		FROM said s JOIN @extschema@.img_callback c ON c.id = s.id
		WHERE c.lease_owner = worker FOR UPDATE OF c SKIP LOCKED
	), written AS (
		UPDATE @extschema@.img_callback c
		SET lease_owner = NULL, status = NULLIF(h.status, 0), error = h.error, next_at = h.next_at,
			state = CASE WHEN h.state = 'waiting' AND h.next_at IS NULL THEN 'failed' ELSE h.state END,
			ended_at = CASE WHEN h.next_at IS NULL THEN present END
		FROM held h WHERE c.id = h.id
	)
	SELECT s.id FROM said s WHERE EXISTS (SELECT FROM held h WHERE h.id = s.id)
		OR NOT EXISTS (SELECT FROM @extschema@.img_callback c WHERE c.id = s.id AND c.lease_owner = worker);
END $$;
COMMENT ON FUNCTION @extschema@.img_callback_said(text, uuid[], text[], int[], text[], int[]) IS
	'Worker protocol: what came of callbacks: sent, failed, or waiting to be sent again after 5, 10, 20 … seconds up to 15 minutes, not before retry_after seconds, for a day. Returns those of which no more is to be said; others are locked by somebody, try later.';

CREATE FUNCTION @extschema@.img_callback_retry(job uuid) RETURNS bool
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'img_as_owner';
COMMENT ON FUNCTION @extschema@.img_callback_retry(uuid) IS
	'Sends the callback of a job now if it has failed or waits for its next attempt, and for another day if need be. False: there is none, or it has been sent. Error 02000 when there is no such job.';

CREATE FUNCTION @extschema@.img_callback_retry_as(job uuid, who regrole) RETURNS bool
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	e @extschema@.img_job_ended;
	retried uuid;
BEGIN
	SELECT * INTO e FROM @extschema@.img_job_ended x
	WHERE x.id = job AND x.expires_at > pg_catalog.clock_timestamp() AND @extschema@.img_sees_as(x.owner, who);
	IF NOT FOUND THEN
		IF NOT EXISTS (SELECT FROM @extschema@.img_job_live l
				WHERE l.id = job AND @extschema@.img_sees_as(l.owner, who)) THEN
			PERFORM @extschema@.img_no_such_job(job);
		END IF;
		RETURN false;
	END IF;
	-- Of a job that was queued again, only the last end is news.
	UPDATE @extschema@.img_callback c
	SET state = 'waiting', attempts = 0, ended_at = NULL, next_at = pg_catalog.clock_timestamp(),
		give_up_at = pg_catalog.clock_timestamp() + interval '1 day'
	WHERE c.state IN ('failed', 'waiting') AND c.id = (SELECT x.id FROM @extschema@.img_callback x
		WHERE x.job_id = job ORDER BY x.created_at DESC LIMIT 1)
	RETURNING c.id INTO retried;
	RETURN retried IS NOT NULL;
END $$;
COMMENT ON FUNCTION @extschema@.img_callback_retry_as(uuid, regrole) IS 'Internal: img_callback_retry() for that role.';
