------------------------------------------------------------------ retention --

CREATE FUNCTION @extschema@.img_purge(batch_size int DEFAULT 1000) RETURNS @extschema@.img_purged
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	present timestamptz := pg_catalog.clock_timestamp();
	purged @extschema@.img_purged;
BEGIN
	IF batch_size IS NULL OR batch_size < 1 THEN
		RAISE EXCEPTION 'batch_size must be at least 1'
			USING ERRCODE = '22023', HINT = 'SELECT img_purge(1000);';
	END IF;

	-- The input of a job that still waits is kept whatever its age.
	WITH old AS MATERIALIZED (
		SELECT o.id FROM @extschema@.img_object o
		WHERE o.expires_at <= present
			AND NOT EXISTS (SELECT FROM @extschema@.img_job_live l WHERE l.id = o.job_id)
		ORDER BY o.expires_at LIMIT batch_size FOR UPDATE SKIP LOCKED
	), gone AS (
		DELETE FROM @extschema@.img_object o USING old WHERE o.id = old.id
		RETURNING o.storage, o.path, o.owner, o.role, o.bytes
	), remote AS (
		-- only what we have written: an input was there before
		INSERT INTO @extschema@.img_delete AS d (run_after, owner, server, path)
		SELECT DISTINCT ON (g.storage, g.path) present, g.owner, g.storage, g.path
		FROM gone g WHERE g.role = 'output' AND g.storage <> 'database' AND g.storage <> 'row'
		ON CONFLICT ON CONSTRAINT img_delete_file DO NOTHING
	)
	SELECT pg_catalog.count(*), COALESCE(pg_catalog.sum(gone.bytes) FILTER (WHERE gone.storage = 'database'), 0)
	INTO purged.objects, purged.bytes FROM gone;

	WITH old AS MATERIALIZED (
		SELECT e.id FROM @extschema@.img_job_ended e
		WHERE e.expires_at <= present
		ORDER BY e.expires_at LIMIT batch_size FOR UPDATE SKIP LOCKED
	), gone AS (
		DELETE FROM @extschema@.img_job_ended e USING old WHERE e.id = old.id
		RETURNING e.id
	), errors AS (
		DELETE FROM @extschema@.img_job_error x USING old WHERE x.job_id = old.id
	), remote AS (
		DELETE FROM @extschema@.img_remote r USING old WHERE r.job_id = old.id
	), calls AS (
		DELETE FROM @extschema@.img_remote_call c USING old WHERE c.job_id = old.id
	), callbacks AS (
		DELETE FROM @extschema@.img_callback c USING old WHERE c.job_id = old.id
	), followups AS (
		DELETE FROM @extschema@.img_remote_followup f USING old WHERE f.job_id = old.id
	)
	SELECT pg_catalog.count(*) INTO purged.jobs FROM gone;

	WITH old AS MATERIALIZED (
		SELECT l.id FROM @extschema@.img_link l
		WHERE l.expires_at <= present
		ORDER BY l.expires_at LIMIT batch_size FOR UPDATE SKIP LOCKED
	), gone AS (
		DELETE FROM @extschema@.img_link l USING old WHERE l.id = old.id
		RETURNING l.id
	)
	SELECT pg_catalog.count(*) INTO purged.links FROM gone;
	-- No link opens for longer than 7 days, and none is made with a key that
	-- was retired before its transaction began.
	DELETE FROM @extschema@.img_link_key k WHERE k.retired_at < present - interval '8 days';
	-- A role that comes after a dropped one may get its number.
	DELETE FROM @extschema@.img_callback_key k
	WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = k.owner);
	RETURN purged;
END $$;
COMMENT ON FUNCTION @extschema@.img_purge(int) IS
	'Removes what has expired: up to batch_size pictures, as many links, and as many ended jobs with their errors. Files on other servers are left to img_delete. The worker calls it every minute unless imgapi.auto_purge is off.';

