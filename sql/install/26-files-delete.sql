-------------------------------------------------------- file tree: deleting --

CREATE FUNCTION @extschema@.img_file_delete(file_id uuid, include_thumbnail bool DEFAULT false) RETURNS @extschema@.img_file
	LANGUAGE c VOLATILE CALLED ON NULL INPUT AS 'MODULE_PATHNAME', 'img_as_owner';
COMMENT ON FUNCTION @extschema@.img_file_delete(uuid, bool) IS
	'Deletes a file of your file tree and returns what it was. include_thumbnail: what operations have produced from it goes with it. Error 02000 when there is none.';

CREATE FUNCTION @extschema@.img_file_delete_as(file_id uuid, include_thumbnail bool, who regrole) RETURNS @extschema@.img_file
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	gone @extschema@.img_file;
BEGIN
	SELECT f.* INTO gone FROM @extschema@.img_file f WHERE f.id = file_id AND @extschema@.img_sees_as(f.owner, who);
	IF gone.is_folder THEN
		RAISE EXCEPTION '"%" is a folder, not a file', gone.path
			USING ERRCODE = '22023', DETAIL = 'NHN code: 5000.', HINT = pg_catalog.format('SELECT img_folder_delete(%L);', file_id);
	ELSIF FOUND THEN
		-- before the file, as everywhere: two that delete wait here rather than for each other
		PERFORM @extschema@.img_folder_hold(gone.folder, gone.owner, false);
		DELETE FROM @extschema@.img_file f WHERE f.id = file_id RETURNING f.* INTO gone;
	END IF;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no file %', COALESCE(file_id::text, 'null')
			USING ERRCODE = '02000', DETAIL = 'Files are visible to the role that has put them. NHN code: 21011.',
				HINT = 'SELECT id, path FROM img_file_list(''/'');';
	END IF;
	IF include_thumbnail THEN
		DELETE FROM @extschema@.img_file f WHERE f.source_id = file_id AND f.owner = gone.owner;
	END IF;
	RETURN gone;
END $$;
COMMENT ON FUNCTION @extschema@.img_file_delete_as(uuid, bool, regrole) IS 'Internal: img_file_delete() for that role.';

CREATE FUNCTION @extschema@.img_folder_delete(folder_id uuid, include_thumbnail bool DEFAULT false) RETURNS @extschema@.img_file
	LANGUAGE c VOLATILE CALLED ON NULL INPUT AS 'MODULE_PATHNAME', 'img_as_owner';
COMMENT ON FUNCTION @extschema@.img_folder_delete(uuid, bool) IS
	'Deletes a folder of your file tree with everything in it, and returns what it was. What operations have produced lies beside its source, so it goes in any case. Error 02000 when there is none.';

CREATE FUNCTION @extschema@.img_folder_delete_as(folder_id uuid, include_thumbnail bool, who regrole) RETURNS @extschema@.img_file
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	gone @extschema@.img_file;
BEGIN
	SELECT f.* INTO gone FROM @extschema@.img_file f WHERE f.id = folder_id AND @extschema@.img_sees_as(f.owner, who);
	IF NOT gone.is_folder THEN
		RAISE EXCEPTION '"%" is a file, not a folder', gone.path
			USING ERRCODE = '22023', DETAIL = 'NHN code: 5000.', HINT = pg_catalog.format('SELECT img_file_delete(%L);', folder_id);
	ELSIF FOUND AND pg_catalog.current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
		-- What others have put into it since we began is invisible, and would stay without a folder.
		RAISE EXCEPTION 'a folder cannot be deleted in a transaction of isolation level %', pg_catalog.current_setting('transaction_isolation')
			USING ERRCODE = '0A000', DETAIL = 'It may hold files that such a transaction does not see.',
				HINT = pg_catalog.format('BEGIN ISOLATION LEVEL READ COMMITTED; SELECT img_folder_delete(%L);', folder_id);
	ELSIF FOUND THEN
		PERFORM @extschema@.img_folder_hold(gone.folder, gone.owner, false);
		PERFORM FROM @extschema@.img_file f WHERE f.id = folder_id FOR UPDATE;
	END IF;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no folder %', COALESCE('"' || gone.path || '"', folder_id::text, 'null')
			USING ERRCODE = '02000', DETAIL = 'Folders are visible to the role that has made them. NHN code: 20001.',
				HINT = 'SELECT id, path FROM img_file_list(''/'') WHERE is_folder;';
	END IF;
	-- "0" is what comes after "/"
	DELETE FROM @extschema@.img_file f
	WHERE f.owner = gone.owner AND (f.path = gone.path OR (f.path >= gone.path || '/' AND f.path < gone.path || '0'));
	RETURN gone;
END $$;
COMMENT ON FUNCTION @extschema@.img_folder_delete_as(uuid, bool, regrole) IS 'Internal: img_folder_delete() for that role.';

-- Many at once, by a worker: a job that has no picture and no result.

CREATE FUNCTION @extschema@.img_delete_async(folder_ids uuid[] DEFAULT '{}', file_ids uuid[] DEFAULT '{}',
	include_thumbnail bool DEFAULT false) RETURNS uuid
	LANGUAGE c VOLATILE CALLED ON NULL INPUT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_delete_async(uuid[], uuid[], bool) IS
	'Queues the deletion of folders and files of your file tree, as img_folder_delete() and img_file_delete() do it, and returns the job''s id. All of them are deleted, or none. Errors: 22023, 02000 for what is not there, 54000 for more than 10,000.';

CREATE FUNCTION @extschema@.img_delete_async_as(folder_ids uuid[], file_ids uuid[], include_thumbnail bool, who regrole) RETURNS uuid
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	given int := COALESCE(pg_catalog.cardinality(folder_ids), 0) + COALESCE(pg_catalog.cardinality(file_ids), 0);
	present timestamptz := pg_catalog.clock_timestamp();
	missing record;
	job uuid;
BEGIN
	IF given = 0 THEN
		RAISE EXCEPTION 'folder_ids and file_ids must not both be empty'
			USING ERRCODE = '22023', DETAIL = 'NHN code: 5004.',
				HINT = 'SELECT img_delete_async(file_ids => array_agg(id)) FROM img_file WHERE NOT is_folder AND path LIKE ''/folder/%'';';
	ELSIF given > 10000 THEN
		RAISE EXCEPTION '% files and folders are more than the 10000 that are allowed in a call', given
			USING ERRCODE = '54000', DETAIL = 'NHN code: 21003.', HINT = 'Delete them in several calls, or delete their folder.';
	END IF;
	SELECT a.id, a.is_folder INTO missing
	FROM (SELECT f, true FROM pg_catalog.unnest(folder_ids) f UNION ALL SELECT f, false FROM pg_catalog.unnest(file_ids) f) a (id, is_folder)
	WHERE NOT EXISTS (SELECT FROM @extschema@.img_file f
		WHERE f.id = a.id AND f.is_folder = a.is_folder AND @extschema@.img_sees_as(f.owner, who)) LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'there is no % %', CASE WHEN missing.is_folder THEN 'folder' ELSE 'file' END, COALESCE(missing.id::text, 'null')
			USING ERRCODE = '02000', DETAIL = 'Files and folders are visible to the role that has put them. NHN code: 21011.',
				HINT = 'SELECT id, path, is_folder FROM img_file_list(''/'');';
	END IF;
	INSERT INTO @extschema@.img_job_live (created_at, run_after, retention, owner, kind, priority, max_attempts, request)
	VALUES (present, present, COALESCE(NULLIF(pg_catalog.current_setting('imgapi.job_retention'), ''),
			pg_catalog.current_setting('imgapi.retention'))::interval, who, 'delete', 0,
		pg_catalog.current_setting('imgapi.max_attempts')::int, pg_catalog.jsonb_build_object('folder_ids', COALESCE(folder_ids, '{}'),
			'file_ids', COALESCE(file_ids, '{}'), 'include_thumbnail', COALESCE(include_thumbnail, false)))
	RETURNING id INTO job;
	RETURN job;
END $$;
COMMENT ON FUNCTION @extschema@.img_delete_async_as(uuid[], uuid[], bool, regrole) IS 'Internal: img_delete_async() for that role.';

CREATE FUNCTION @extschema@.img_delete_files(worker text, job uuid, attempt smallint) RETURNS bool
LANGUAGE plpgsql VOLATILE
-- a worker waits for nobody: it tries again later
SET lock_timeout = '50ms'
AS $$
DECLARE
	live @extschema@.img_job_live;
	gone record;
BEGIN
	SELECT l.* INTO live FROM @extschema@.img_job_live l
	WHERE l.id = job AND l.attempts = attempt AND l.lease_owner = worker
	FOR UPDATE SKIP LOCKED;
	IF NOT FOUND THEN
		RETURN NOT EXISTS (SELECT FROM @extschema@.img_job_live l
			WHERE l.id = job AND l.attempts = attempt AND l.lease_owner = worker);
	END IF;
	-- What is gone by now, perhaps with a folder just before, is what was wanted.
	FOR gone IN
		SELECT g.id::uuid AS id, true AS is_folder FROM pg_catalog.jsonb_array_elements_text(live.request -> 'folder_ids') g (id)
		UNION ALL
		SELECT g.id::uuid, false FROM pg_catalog.jsonb_array_elements_text(live.request -> 'file_ids') g (id)
	LOOP
		CONTINUE WHEN NOT EXISTS (SELECT FROM @extschema@.img_file f WHERE f.id = gone.id);
		IF gone.is_folder THEN
			PERFORM @extschema@.img_folder_delete_as(gone.id, (live.request -> 'include_thumbnail')::bool, live.owner);
		ELSE
			PERFORM @extschema@.img_file_delete_as(gone.id, (live.request -> 'include_thumbnail')::bool, live.owner);
		END IF;
	END LOOP;
	PERFORM @extschema@.img_end(live, 'DONE');
	IF pg_catalog.current_setting('imgapi.notify')::bool THEN
		PERFORM pg_catalog.pg_notify('img_job', job::text);
	END IF;
	RETURN true;
END $$;
COMMENT ON FUNCTION @extschema@.img_delete_files(text, uuid, smallint) IS
	'Worker protocol: does what a job of kind delete asks for and ends it as DONE. False: the row is locked, try later; error 55P03 while somebody else is at one of the files.';
