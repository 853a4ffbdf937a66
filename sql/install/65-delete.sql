------------------------------------------------------------- remote deletes --
-- Files on foreign servers that have to go. img_purge() adds a row in the
-- transaction in which the picture's row vanishes; whoever is about to write a
-- file adds one before, lest a crash in between leaves a file that nobody knows
-- of. A row leaves when the file is gone, or when a picture turns out to have
-- its name; a failure is tried again for ever, at longer and longer intervals.
--
-- A worker has a row until run_after, and then lost it: it is due again.

CREATE TABLE @extschema@.img_delete (
	id uuid PRIMARY KEY DEFAULT @extschema@.img_new_id(),
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	run_after timestamptz NOT NULL,
	owner regrole NOT NULL,
	attempts int NOT NULL DEFAULT 0,
	server text NOT NULL,
	path text NOT NULL,
	lease_owner text,
	error text,
	CONSTRAINT img_delete_file UNIQUE (server, path)
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX img_delete_due ON @extschema@.img_delete (run_after);
COMMENT ON TABLE @extschema@.img_delete IS 'One row a file on a foreign server that is to be removed, until it is.';
COMMENT ON COLUMN @extschema@.img_delete.id IS 'time-ordered UUID';
COMMENT ON COLUMN @extschema@.img_delete.created_at IS 'when its picture was purged, or it was about to be written';
COMMENT ON COLUMN @extschema@.img_delete.run_after IS 'not before this time; of a row that a worker has: when it has lost it';
COMMENT ON COLUMN @extschema@.img_delete.owner IS 'img_job.owner, with whose rights it is removed';
COMMENT ON COLUMN @extschema@.img_delete.attempts IS 'attempts begun';
COMMENT ON COLUMN @extschema@.img_delete.server IS 'foreign server';
COMMENT ON COLUMN @extschema@.img_delete.path IS 'path on the server';
COMMENT ON COLUMN @extschema@.img_delete.lease_owner IS 'worker that has it; NULL: it waits';
COMMENT ON COLUMN @extschema@.img_delete.error IS 'why the last attempt failed';
SELECT pg_catalog.pg_extension_config_dump('@extschema@.img_delete', '');

-- What other outputs have the same name. For those few, not for all.
CREATE INDEX img_object_file ON @extschema@.img_object (storage, path)
	WHERE role = 'output' AND storage <> 'database' AND storage <> 'row';

CREATE FUNCTION @extschema@.img_delete_pause(attempts int) RETURNS interval
LANGUAGE sql VOLATILE
AS $$
	-- 2, 4, 8 … seconds up to a day, up to a quarter more so that failures spread
	SELECT pg_catalog.make_interval(secs =>
		least(pg_catalog.pow(2, least(attempts, 17)), 86400) * (1 + pg_catalog.random() / 4))
$$;
COMMENT ON FUNCTION @extschema@.img_delete_pause(int) IS 'Internal: how long to wait after that many failed attempts.';

CREATE FUNCTION @extschema@.img_delete_unless_stored(server text, path text, owner regrole, after interval)
RETURNS bool
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	present timestamptz := pg_catalog.clock_timestamp();
BEGIN
	INSERT INTO @extschema@.img_delete AS d (run_after, owner, server, path)
	VALUES (present + after, owner, server, path)
	ON CONFLICT ON CONSTRAINT img_delete_file DO UPDATE
		SET run_after = excluded.run_after, lease_owner = NULL, attempts = 0, error = NULL
		WHERE d.lease_owner IS NULL OR d.run_after <= present;
	RETURN FOUND;
END $$;
COMMENT ON FUNCTION @extschema@.img_delete_unless_stored(text, text, regrole, interval) IS
	'Worker protocol: to be committed before a file is written to a server. The file is removed after that time, unless an output in img_object has its name by then. False: it is just being removed, write it later.';

CREATE FUNCTION @extschema@.img_delete_claim(worker text, files int, lease interval)
RETURNS TABLE (id uuid, server text, path text, owner oid, attempts int)
LANGUAGE plpgsql VOLATILE ROWS 100
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
	present timestamptz := pg_catalog.clock_timestamp();
BEGIN
	RETURN QUERY
	WITH due AS MATERIALIZED (
		SELECT d.id, d.server, d.path FROM @extschema@.img_delete d
		WHERE d.run_after <= present
		ORDER BY d.run_after LIMIT files FOR UPDATE SKIP LOCKED
	), judged AS MATERIALIZED (
		SELECT due.id,
			EXISTS (SELECT FROM @extschema@.img_object o
				WHERE o.storage = due.server AND o.path = due.path
					AND o.role = 'output' AND o.storage <> 'database' AND o.storage <> 'row') AS stored,
			EXISTS (SELECT FROM pg_catalog.pg_foreign_server s WHERE s.srvname = due.server) AS known
		FROM due
	), kept AS (
		DELETE FROM @extschema@.img_delete d USING judged j WHERE d.id = j.id AND j.stored
	), unreachable AS (
		UPDATE @extschema@.img_delete d
		SET attempts = d.attempts + 1, lease_owner = NULL,
			run_after = present + @extschema@.img_delete_pause(d.attempts + 1),
			error = pg_catalog.format('server "%s" does not exist', d.server)
		FROM judged j WHERE d.id = j.id AND NOT j.stored AND NOT j.known
	), claimed AS (
		UPDATE @extschema@.img_delete d
		SET attempts = d.attempts + 1, lease_owner = worker, run_after = present + lease
		FROM judged j WHERE d.id = j.id AND NOT j.stored AND j.known
		RETURNING d.*
	)
	SELECT c.id, c.server, c.path, c.owner::oid, c.attempts FROM claimed c ORDER BY c.id;
END $$;
COMMENT ON FUNCTION @extschema@.img_delete_claim(text, int, interval) IS
	'Worker protocol: takes up to that many files to remove. Fewer does not mean that no more are due: img_delete_next_due() says.';

CREATE FUNCTION @extschema@.img_delete_rescue(worker text) RETURNS void
LANGUAGE sql VOLATILE
AS $$
	-- Workers named home/… are dispatchers of this database: there is only ever one.
	UPDATE @extschema@.img_delete d
	SET lease_owner = NULL, run_after = pg_catalog.clock_timestamp()
	WHERE d.id IN (SELECT l.id FROM @extschema@.img_delete l
		WHERE l.lease_owner <> worker AND l.lease_owner LIKE 'home/%' AND worker LIKE 'home/%'
		FOR UPDATE SKIP LOCKED);
$$;
COMMENT ON FUNCTION @extschema@.img_delete_rescue(text) IS
	'Worker protocol: files that dead workers had are due at once. Until then, nothing could be written in their place.';

CREATE FUNCTION @extschema@.img_delete_next_due() RETURNS timestamptz
LANGUAGE sql STABLE
AS $$
	SELECT d.run_after FROM @extschema@.img_delete d ORDER BY d.run_after LIMIT 1
$$;
COMMENT ON FUNCTION @extschema@.img_delete_next_due() IS
	'Worker protocol: when the next file is to be removed; NULL: there is none.';

CREATE FUNCTION @extschema@.img_delete_done(worker text, files uuid[]) RETURNS SETOF uuid
LANGUAGE sql VOLATILE
SET enable_seqscan = off
AS $$
	DELETE FROM @extschema@.img_delete d
	WHERE d.id = ANY (files) AND d.lease_owner = worker
	RETURNING d.id;
$$;
COMMENT ON FUNCTION @extschema@.img_delete_done(text, uuid[]) IS
	'Worker protocol: these files are gone, or were never there; returns those that the worker had.';

CREATE FUNCTION @extschema@.img_delete_failed(worker text, file uuid, error text, retry_after interval DEFAULT NULL)
RETURNS bool
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
BEGIN
	UPDATE @extschema@.img_delete d
	SET lease_owner = NULL, error = COALESCE(img_delete_failed.error, 'unknown'),
		run_after = pg_catalog.clock_timestamp()
			+ greatest(retry_after, @extschema@.img_delete_pause(d.attempts))
	WHERE d.id = file AND d.lease_owner = worker;
	RETURN FOUND;
END $$;
COMMENT ON FUNCTION @extschema@.img_delete_failed(text, uuid, text, interval) IS
	'Worker protocol: a file could not be removed. It is tried again after 2, 4, 8 … seconds up to a day, not before retry_after. False: the worker had lost it.';

