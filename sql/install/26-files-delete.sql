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
