---------------------------------------------------------------------- links --
-- A link opens one picture to whoever has it, until it expires. For a picture
-- in the database it is a URL of imgapi-gateway,
--
--	imgapi.public_url/o/OBJECT/NAME?e=EXPIRY&k=KEY&s=SIGNATURE
--
-- signed with HMAC-SHA256 over method, object, expiry and name. The gateway
-- has no key and no right but EXECUTE on img_link_open(), which verifies every
-- request. It sends the hash of the signature, so that the server's log cannot
-- hold anything that opens a picture.
--
-- Neither links nor keys are part of a dump: a restored database makes a key of
-- its own, and a dump that somebody finds opens nothing. pg_upgrade and
-- physical copies keep both, so a standby can serve links.

CREATE TABLE @extschema@.img_link (
	id uuid PRIMARY KEY,
	object_id uuid NOT NULL,
	job_id uuid NOT NULL,
	owner regrole NOT NULL,
	created_at timestamptz NOT NULL,
	expires_at timestamptz NOT NULL,
	expiry bigint NOT NULL,
	download_url text NOT NULL,
	head_url text NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX img_link_expiry ON @extschema@.img_link (expires_at);
ALTER TABLE @extschema@.img_link ENABLE ROW LEVEL SECURITY;
CREATE POLICY owner ON @extschema@.img_link FOR SELECT USING (@extschema@.img_sees(owner));
GRANT SELECT ON @extschema@.img_link TO PUBLIC;
COMMENT ON TABLE @extschema@.img_link IS 'One row a pair of download links. Users see their own.';
COMMENT ON COLUMN @extschema@.img_link.id IS 'time-ordered UUID';
COMMENT ON COLUMN @extschema@.img_link.object_id IS 'img_object.id';
COMMENT ON COLUMN @extschema@.img_link.job_id IS 'img_job.id';
COMMENT ON COLUMN @extschema@.img_link.owner IS 'img_job.owner';
COMMENT ON COLUMN @extschema@.img_link.created_at IS 'when it was made';
COMMENT ON COLUMN @extschema@.img_link.expires_at IS 'when it stops to open, and may be purged';
COMMENT ON COLUMN @extschema@.img_link.expiry IS 'expires_at in Unix seconds';
COMMENT ON COLUMN @extschema@.img_link.download_url IS 'for GET: the picture';
COMMENT ON COLUMN @extschema@.img_link.head_url IS 'for HEAD: its size and type only';

CREATE FUNCTION @extschema@.img_new_secret() RETURNS bytea
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_new_secret() IS 'Internal: 32 random bytes for a key.';

CREATE TABLE @extschema@.img_link_key (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	secret bytea NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	retired_at timestamptz
);
CREATE UNIQUE INDEX img_link_key_current ON @extschema@.img_link_key ((true)) WHERE retired_at IS NULL;
ALTER TABLE @extschema@.img_link_key ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE @extschema@.img_link_key IS
	'Internal: keys that links are signed with. Nobody but the owner of the extension can read it.';
COMMENT ON SEQUENCE @extschema@.img_link_key_id_seq IS 'Internal: numbers of keys.';
COMMENT ON COLUMN @extschema@.img_link_key.id IS 'k of a link';
COMMENT ON COLUMN @extschema@.img_link_key.secret IS '32 random bytes';
COMMENT ON COLUMN @extschema@.img_link_key.created_at IS 'since when it signs';
COMMENT ON COLUMN @extschema@.img_link_key.retired_at IS 'when another took its place; NULL: the one that signs';
INSERT INTO @extschema@.img_link_key (secret) VALUES (@extschema@.img_new_secret());

CREATE FUNCTION @extschema@.img_rotate_link_key(revoke bool DEFAULT false) RETURNS int
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	fresh int;
BEGIN
	-- One at a time; links are still made meanwhile, with the old key.
	LOCK TABLE @extschema@.img_link_key IN SHARE ROW EXCLUSIVE MODE;
	IF revoke THEN
		DELETE FROM @extschema@.img_link_key;
		DELETE FROM @extschema@.img_link;
	ELSE
		UPDATE @extschema@.img_link_key k SET retired_at = pg_catalog.clock_timestamp() WHERE k.retired_at IS NULL;
	END IF;
	INSERT INTO @extschema@.img_link_key (secret) VALUES (@extschema@.img_new_secret()) RETURNING id INTO fresh;
	RETURN fresh;
END $$;
COMMENT ON FUNCTION @extschema@.img_rotate_link_key(bool) IS
	'Signs links with a new key from now on; returns its number. Links made before open until they expire, or with revoke => true never again.';

CREATE FUNCTION @extschema@.img_link_url(base text, key int, secret bytea, method text, object uuid, name text, expiry bigint) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_link_url(text, int, bytea, text, uuid, text, bigint) IS
	'Internal: a signed URL of the gateway.';

CREATE FUNCTION @extschema@.img_link_proves(secret bytea, method text, object uuid, name text, expiry bigint, proof bytea) RETURNS bool
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_link_proves(bytea, text, uuid, text, bigint, bytea) IS
	'Internal: whether proof is the SHA-256 of the signature that such a link has. Takes the same time whatever the answer.';

------------------------------------------------------ pictures in users' rows --

CREATE TYPE @extschema@.img_row_piece AS (version bytea, bytes bigint, sha256 bytea, data bytea);
COMMENT ON TYPE @extschema@.img_row_piece IS 'Internal: a part of a picture in a row, see img_row_slice().';
COMMENT ON COLUMN @extschema@.img_row_piece.version IS 'changes when the picture is written';
COMMENT ON COLUMN @extschema@.img_row_piece.bytes IS 'length of the whole picture';
COMMENT ON COLUMN @extschema@.img_row_piece.sha256 IS 'of the whole picture; NULL when its version was known';
COMMENT ON COLUMN @extschema@.img_row_piece.data IS 'the part';

CREATE FUNCTION @extschema@.img_row_slice(owner regrole, source_table regclass, source_key text, source_column text,
	version bytea, first bigint, length int) RETURNS @extschema@.img_row_piece
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_row_slice(regrole, regclass, text, text, bytea, bigint, int) IS
	'Internal: reads a part of a picture in a row with the rights of that role. NULL: the row is gone, or does not hold that version.';

CREATE FUNCTION @extschema@.img_row_object(job uuid, role text, version bytea, first bigint, length int) RETURNS @extschema@.img_row_piece
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	e record;
	file_id uuid;
BEGIN
	SELECT x.owner, x.source_table, x.source_key, x.source_column, x.target_column INTO e FROM @extschema@.img_job_ended x WHERE x.id = job
	UNION ALL
	-- which a server does
	SELECT l.owner, l.source_table, l.source_key, l.source_column, l.target_column FROM @extschema@.img_job_live l WHERE l.id = job;
	IF e.source_table IS NULL THEN
		SELECT f.id INTO file_id FROM @extschema@.img_object o JOIN @extschema@.img_file f ON f.owner = o.owner AND f.path = o.path
		WHERE o.job_id = job AND o.role = img_row_object.role AND o.ordinal = 0;
		RETURN @extschema@.img_row_slice(e.owner, '@extschema@.img_file_content', pg_catalog.format('{%s}', file_id), 'data',
			version, first, length);
	END IF;
	RETURN @extschema@.img_row_slice(e.owner, e.source_table, e.source_key,
		CASE role WHEN 'input' THEN e.source_column ELSE e.target_column END, version, first, length);
END $$;
COMMENT ON FUNCTION @extschema@.img_row_object(uuid, text, bytea, bigint, int) IS
	'Internal: img_row_slice() of the row that a trigger job works on, or of the file of any other, with the rights of the job''s owner.';

CREATE FUNCTION @extschema@.img_row_holds(object uuid) RETURNS bool
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	o record;
	piece @extschema@.img_row_piece;
BEGIN
	SELECT x.job_id, x.role, x.bytes, x.sha256 INTO o FROM @extschema@.img_object x WHERE x.id = object;
	piece := @extschema@.img_row_object(o.job_id, o.role, NULL, 0, 0);
	IF o.sha256 IS NULL AND piece.bytes = o.bytes THEN
		UPDATE @extschema@.img_object x SET sha256 = piece.sha256 WHERE x.id = object;
		RETURN true;
	END IF;
	RETURN COALESCE(piece.sha256 = o.sha256, false);
END $$;
COMMENT ON FUNCTION @extschema@.img_row_holds(uuid) IS
	'Internal: whether the row still holds the picture of that object. Nobody has hashed the source of a trigger job before its first link: from then on it is the one that had the right length.';

CREATE FUNCTION @extschema@.img_row_input(job uuid, bytes bigint) RETURNS void
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
BEGIN
	INSERT INTO @extschema@.img_object (id, job_id, owner, role, storage, path, bytes, stored_at, expires_at)
	SELECT @extschema@.img_new_id(), l.id, l.owner, 'input', 'row',
		l.source_table::text || '/' || l.source_key || '/' || l.source_column, img_row_input.bytes, l.created_at, l.created_at + l.retention
	FROM @extschema@.img_job_live l
	WHERE l.id = job AND NOT EXISTS (SELECT FROM @extschema@.img_object o WHERE o.job_id = job AND o.role = 'input');
	IF NOT FOUND THEN
		-- an earlier attempt has; a job that was tried again may be of another picture
		UPDATE @extschema@.img_object o SET bytes = img_row_input.bytes, sha256 = NULL
		WHERE o.job_id = job AND o.role = 'input' AND NOT @extschema@.img_row_holds(o.id);
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.img_row_input(uuid, bigint) IS
	'Worker protocol: lets there be links to the picture of a trigger job before it is done, for a server to get it.';

-------------------------------------------------------------- making of links --

CREATE TYPE @extschema@.img_link_refusal AS (error_code text, error text, detail text, hint text);
COMMENT ON TYPE @extschema@.img_link_refusal IS 'Internal: why there is no link.';
COMMENT ON COLUMN @extschema@.img_link_refusal.error_code IS 'SQLSTATE';
COMMENT ON COLUMN @extschema@.img_link_refusal.error IS 'what is wrong';
COMMENT ON COLUMN @extschema@.img_link_refusal.detail IS 'more about it';
COMMENT ON COLUMN @extschema@.img_link_refusal.hint IS 'what may help';

CREATE FUNCTION @extschema@.img_refuse_link(job uuid, role text, who regrole) RETURNS @extschema@.img_link_refusal
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	j record;
	o record;
BEGIN
	SELECT CASE WHEN l.lease_owner IS NULL THEN 'ACCEPTED' ELSE 'PROCESSING' END AS status, l.error
	INTO j FROM @extschema@.img_job_live l WHERE l.id = job AND @extschema@.img_sees_as(l.owner, who)
	UNION ALL
	SELECT e.status::text, e.error FROM @extschema@.img_job_ended e WHERE e.id = job AND @extschema@.img_sees_as(e.owner, who);
	IF NOT FOUND THEN
		RETURN ROW('02000', pg_catalog.format('there is no job %s', job),
			'Jobs are visible to the role that submitted them, and are purged after imgapi.retention.',
			'SELECT id, status, created_at FROM img_job ORDER BY created_at DESC LIMIT 10;')::@extschema@.img_link_refusal;
	END IF;
	SELECT x.storage INTO o FROM @extschema@.img_object x
	WHERE x.job_id = job AND x.role = img_refuse_link.role AND x.ordinal = 0 AND x.expires_at > pg_catalog.clock_timestamp();
	IF FOUND AND pg_catalog.current_setting('imgapi.public_url') = '' THEN
		RETURN ROW('55000', 'there can be no link before imgapi.public_url is set', 'It is the address of imgapi-gateway, or of what stands before it.',
			'ALTER SYSTEM SET imgapi.public_url = ''https://pictures.example.com''; SELECT pg_reload_conf();')::@extschema@.img_link_refusal;
	ELSIF FOUND THEN
		RETURN ROW('02000', pg_catalog.format('the %s of job %s is gone', role, job),
			'It is in a row, which has been deleted or holds another picture now.', NULL)::@extschema@.img_link_refusal;
	ELSIF role = 'output' AND j.status IN ('ACCEPTED', 'PROCESSING') THEN
		RETURN ROW('55000', pg_catalog.format('job %s is not ready: it is %s', job, j.status), NULL,
			pg_catalog.format('SELECT img_wait(%L);', job))::@extschema@.img_link_refusal;
	ELSIF role = 'output' AND j.status <> 'DONE' THEN
		RETURN ROW('55000', pg_catalog.format('job %s has no output: it ended as %s', job, j.status), j.error,
			pg_catalog.format('SELECT img_retry(%L);', job))::@extschema@.img_link_refusal;
	END IF;
	RETURN ROW('02000', pg_catalog.format('there is no %s of job %s', role, job),
		CASE role WHEN 'output' THEN 'Outputs are purged imgapi.retention after the job has ended.'
			ELSE 'Inputs are purged imgapi.retention after their upload; a picture in a row is known once the job is DONE.' END, NULL)::@extschema@.img_link_refusal;
END $$;
COMMENT ON FUNCTION @extschema@.img_refuse_link(uuid, text, regrole) IS
	'Internal: why that role gets no link to the input or output of a job.';

CREATE FUNCTION @extschema@.img_storage_link(storage text, path text, method text, expires_at timestamptz, owner regrole) RETURNS text
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	present timestamptz := pg_catalog.date_trunc('second', pg_catalog.clock_timestamp());
BEGIN
	-- An input that came from the web is still there, or nowhere.
	IF storage = 'url' THEN
		RETURN path;
	END IF;
	RETURN @extschema@.img_storage_presign(storage, path, method, expires_at - present, present, NULL, owner);
END $$;
COMMENT ON FUNCTION @extschema@.img_storage_link(text, text, text, timestamptz, regrole) IS
	'Internal: a link that a storage other than the database signs, with what that role may do there.';

CREATE FUNCTION @extschema@.img_links_as(jobs uuid[], role text, who regrole)
RETURNS TABLE (process_id uuid, download_url text, head_url text, expiry bigint,
	error_code text, error text, detail text, hint text)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
	present timestamptz := pg_catalog.clock_timestamp();
	latest timestamptz := present + pg_catalog.current_setting('imgapi.link_lifetime')::interval;
	lasting bigint := pg_catalog.floor(EXTRACT(epoch FROM latest));
	base text := pg_catalog.rtrim(pg_catalog.current_setting('imgapi.public_url'), '/');
BEGIN
	RETURN QUERY
	WITH key AS MATERIALIZED (
		SELECT k.id, k.secret FROM @extschema@.img_link_key k WHERE k.retired_at IS NULL
	), found AS MATERIALIZED (
		SELECT a.job, o.id AS object, o.owner, o.storage, o.path,
			COALESCE(o.name, o.id::text || COALESCE('.' || o.ext, '')) AS name,
			CASE WHEN o.expires_at < latest THEN pg_catalog.floor(EXTRACT(epoch FROM o.expires_at))::bigint ELSE lasting END AS expiry
		FROM pg_catalog.unnest(jobs) a (job)
			LEFT JOIN @extschema@.img_object o ON o.job_id = a.job AND o.role = img_links_as.role AND o.ordinal = 0
				AND o.expires_at > present AND @extschema@.img_sees_as(o.owner, who)
				AND CASE o.storage WHEN 'database' THEN base <> ''
					WHEN 'row' THEN base <> '' AND @extschema@.img_row_holds(o.id) ELSE true END
	), made AS (
		INSERT INTO @extschema@.img_link AS l (id, object_id, job_id, owner, created_at, expires_at, expiry, download_url, head_url)
		SELECT @extschema@.img_new_id(), f.object, f.job, f.owner, present, pg_catalog.to_timestamp(f.expiry), f.expiry,
			CASE WHEN f.storage IN ('database', 'row') THEN @extschema@.img_link_url(base, k.id, k.secret, 'GET', f.object, f.name, f.expiry)
				ELSE @extschema@.img_storage_link(f.storage, f.path, 'GET', pg_catalog.to_timestamp(f.expiry), f.owner) END,
			CASE WHEN f.storage IN ('database', 'row') THEN @extschema@.img_link_url(base, k.id, k.secret, 'HEAD', f.object, f.name, f.expiry)
				ELSE @extschema@.img_storage_link(f.storage, f.path, 'HEAD', pg_catalog.to_timestamp(f.expiry), f.owner) END
		FROM found f CROSS JOIN key k WHERE f.object IS NOT NULL
		RETURNING l.job_id, l.download_url, l.head_url, l.expiry
	), refused AS MATERIALIZED (
		SELECT f.job, @extschema@.img_refuse_link(f.job, img_links_as.role, who) AS why FROM found f WHERE f.object IS NULL
	)
	SELECT m.job_id, m.download_url, m.head_url, m.expiry, NULL::text, NULL::text, NULL::text, NULL::text FROM made m
	UNION ALL
	SELECT r.job, NULL, NULL, NULL, (r.why).error_code, (r.why).error, (r.why).detail, (r.why).hint FROM refused r;
END $$;
COMMENT ON FUNCTION @extschema@.img_links_as(uuid[], text, regrole) IS
	'Internal: img_downloads() for that role.';

CREATE TYPE @extschema@.img_download_links AS (download_url text, head_url text, expiry bigint);
COMMENT ON TYPE @extschema@.img_download_links IS 'A pair of links, see img_download().';
COMMENT ON COLUMN @extschema@.img_download_links.download_url IS 'for GET: the picture';
COMMENT ON COLUMN @extschema@.img_download_links.head_url IS 'for HEAD: its size and type only';
COMMENT ON COLUMN @extschema@.img_download_links.expiry IS 'until when they open, in Unix seconds';

CREATE FUNCTION @extschema@.img_download(process_id uuid) RETURNS @extschema@.img_download_links
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_download(uuid) IS
	'A fresh pair of links to the result of a job, good for imgapi.link_lifetime. Error 55000 when it is not ready or failed, or imgapi.public_url is not set; 02000 when there is none (any more).';

CREATE FUNCTION @extschema@.img_download_input(process_id uuid) RETURNS @extschema@.img_download_links
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_download_input(uuid) IS
	'As img_download(), for the picture that the job was given.';

CREATE FUNCTION @extschema@.img_downloads(process_ids uuid[], role text DEFAULT 'output')
RETURNS TABLE (process_id uuid, download_url text, head_url text, expiry bigint, error_code text, error text)
	LANGUAGE c VOLATILE STRICT ROWS 1000 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_downloads(uuid[], text) IS
	'As img_download() for many jobs at once, in any order; role is output or input. A job without links has an error_code and an error instead.';

------------------------------------------------------------- opening of links --

CREATE TYPE @extschema@.img_opened_link AS (status int, error text, mime text, bytes bigint, sha256 bytea,
	version bytea, seconds_left bigint, data bytea);
COMMENT ON TYPE @extschema@.img_opened_link IS 'Gateway protocol: what img_link_open() answers.';
COMMENT ON COLUMN @extschema@.img_opened_link.status IS 'of HTTP: 200, 403 not a valid link, 410 expired or purged';
COMMENT ON COLUMN @extschema@.img_opened_link.error IS 'JSON for the client, where status is not 200';
COMMENT ON COLUMN @extschema@.img_opened_link.mime IS 'media type; NULL: unknown';
COMMENT ON COLUMN @extschema@.img_opened_link.bytes IS 'length of the picture';
COMMENT ON COLUMN @extschema@.img_opened_link.sha256 IS 'of the picture';
COMMENT ON COLUMN @extschema@.img_opened_link.version IS 'names these bytes when the next part is asked for';
COMMENT ON COLUMN @extschema@.img_opened_link.seconds_left IS 'until the link expires';
COMMENT ON COLUMN @extschema@.img_opened_link.data IS 'the part that was asked for';

CREATE FUNCTION @extschema@.img_link_error(status int, message text) RETURNS @extschema@.img_opened_link
LANGUAGE sql STABLE
AS $$
	SELECT ROW(status, pg_catalog.jsonb_build_object('code', status, 'message', message || '; the time is '
		|| pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))::text,
		NULL, NULL, NULL, NULL, NULL, NULL)::@extschema@.img_opened_link
$$;
COMMENT ON FUNCTION @extschema@.img_link_error(int, text) IS
	'Internal: an answer that tells a client why, and the time here, by which expiry is judged.';

CREATE FUNCTION @extschema@.img_open_link(method text, object uuid, name text, expiry bigint, key int, proof bytea,
	first bigint, length int, version bytea) RETURNS @extschema@.img_opened_link
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	present timestamptz := pg_catalog.clock_timestamp();
	-- What has begun may go on for an hour after the link has expired.
	late timestamptz := present - CASE WHEN version IS NULL THEN interval '0' ELSE interval '1 hour' END;
	secret bytea;
	o record;
	piece @extschema@.img_row_piece;
	answer @extschema@.img_opened_link;
BEGIN
	SELECT k.secret INTO secret FROM @extschema@.img_link_key k WHERE k.id = key;
	IF NOT FOUND AND expiry <= EXTRACT(epoch FROM present) THEN
		RETURN @extschema@.img_link_error(410, 'the link has expired');
	ELSIF NOT FOUND THEN
		RETURN @extschema@.img_link_error(403, 'the link is not valid');
	ELSIF NOT @extschema@.img_link_proves(secret, method, object, name, expiry, proof) THEN
		IF @extschema@.img_link_proves(secret, CASE method WHEN 'GET' THEN 'HEAD' ELSE 'GET' END, object, name, expiry, proof) THEN
			RETURN @extschema@.img_link_error(403, 'the link is not for ' || method);
		END IF;
		RETURN @extschema@.img_link_error(403, 'the link is not valid: it has been changed');
	ELSIF pg_catalog.to_timestamp(expiry) <= late THEN
		RETURN @extschema@.img_link_error(410, 'the link expired at '
			|| pg_catalog.to_char(pg_catalog.to_timestamp(expiry) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
	END IF;

	SELECT x.job_id, x.role, x.storage, x.mime, x.bytes, x.sha256,
		CASE WHEN x.storage = 'database' THEN pg_catalog.substring(x.data, (first + 1)::int, length) END AS data
	INTO o FROM @extschema@.img_object x WHERE x.id = object AND x.expires_at > late;
	answer.version := o.sha256;
	answer.data := o.data;
	IF o.storage = 'row' THEN
		piece := @extschema@.img_row_object(o.job_id, o.role, version, first, length);
		answer.version := CASE WHEN version IS NOT NULL OR piece.sha256 = o.sha256 THEN piece.version END;
		answer.data := piece.data;
	END IF;
	IF answer.version IS NULL OR answer.version <> COALESCE(version, answer.version) THEN
		RETURN @extschema@.img_link_error(410, 'the picture has been purged or replaced');
	END IF;
	answer.status := 200;
	answer.mime := o.mime;
	answer.bytes := o.bytes;
	answer.sha256 := o.sha256;
	answer.seconds_left := expiry - pg_catalog.floor(EXTRACT(epoch FROM present))::bigint;
	RETURN answer;
END $$;
COMMENT ON FUNCTION @extschema@.img_open_link(text, uuid, text, bigint, int, bytea, bigint, int, bytea) IS
	'Internal: img_link_open() as the owner of the extension.';

CREATE FUNCTION @extschema@.img_link_open(method text, object uuid, name text, expiry bigint, key int, proof bytea,
	first bigint, length int, version bytea DEFAULT NULL) RETURNS @extschema@.img_opened_link
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_link_open(text, uuid, text, bigint, int, bytea, bigint, int, bytea) IS
	'Gateway protocol: verifies a link and reads length bytes of its picture, from first on. proof is the SHA-256 of the signature. With the version of an earlier answer it goes on where that ended.';

CREATE FUNCTION @extschema@.img_grant_gateway(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA %s TO %s', '@extschema@', role);
	EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION @extschema@.img_link_open(text, uuid, text, bigint, int, bytea, bigint, int, bytea), @extschema@.img_webhook(name, jsonb, bytea) TO %s', role);
END $$;
COMMENT ON FUNCTION @extschema@.img_grant_gateway(regrole) IS
	'Lets imgapi-gateway connect as that role: EXECUTE on img_link_open, which shows nothing without a valid link, and on img_webhook, which believes nothing without a signature.';

