--------------------------------------------------------- file tree: looking --

CREATE FUNCTION @extschema@.img_file_list(basepath text, created_by text DEFAULT '', name text DEFAULT NULL,
	page int DEFAULT 1, rows int DEFAULT 100, sort text DEFAULT 'name:asc') RETURNS SETOF @extschema@.img_file
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	base text := @extschema@.img_path_check(basepath, true);
	who regrole := pg_catalog.quote_ident(CURRENT_USER);
BEGIN
	created_by := COALESCE(created_by, '');
	sort := COALESCE(sort, 'name:asc');
	IF created_by NOT IN ('', 'U', 'P') THEN
		RAISE EXCEPTION 'created_by must be U (uploaded), P (produced) or empty'
			USING ERRCODE = '22023', DETAIL = pg_catalog.format('Given: "%s". NHN code: 5003.', pg_catalog.left(created_by, 60)), HINT = 'created_by => ''U''';
	ELSIF pg_catalog.length(name) < 2 OR pg_catalog.octet_length(name) > 255 THEN
		RAISE EXCEPTION 'name must have 2 characters to 255 bytes'
			USING ERRCODE = '22023', DETAIL = pg_catalog.format('Given: %s bytes. NHN code: 5002.', pg_catalog.octet_length(name)), HINT = 'Leave name out for all files.';
	ELSIF page IS NULL OR page < 1 THEN
		RAISE EXCEPTION 'page must be at least 1'
			USING ERRCODE = '22023', DETAIL = pg_catalog.format('Given: %s. NHN code: 5001.', COALESCE(page::text, 'null')), HINT = 'page => 1';
	ELSIF rows IS NULL OR rows NOT BETWEEN 1 AND 10000 THEN
		RAISE EXCEPTION 'rows must be 1 to 10000'
			USING ERRCODE = '22023', DETAIL = pg_catalog.format('Given: %s. NHN code: 5002.', COALESCE(rows::text, 'null')), HINT = 'rows => 100';
	ELSIF sort !~ '^(name|date):(asc|desc)$' THEN
		RAISE EXCEPTION 'sort must be name:asc, name:desc, date:asc or date:desc'
			USING ERRCODE = '22023', DETAIL = pg_catalog.format('Given: "%s". NHN code: 5003.', pg_catalog.left(sort, 60)), HINT = 'sort => ''date:desc''';
	ELSIF base <> '' AND NOT EXISTS (SELECT FROM @extschema@.img_file f WHERE f.owner = who AND f.path = base AND f.is_folder) THEN
		PERFORM @extschema@.img_no_such_folder(base, 20001);
	END IF;
	RETURN QUERY EXECUTE pg_catalog.format('SELECT f.* FROM @extschema@.img_file f WHERE f.owner = $1 AND f.folder = $2
			AND ($3 = '''' OR f.is_folder OR f.created_by = $3) AND ($4 IS NULL OR pg_catalog.strpos(f.name, $4) > 0)
		ORDER BY f.is_folder DESC, %s, f.name OFFSET $5 LIMIT $6',
		CASE pg_catalog.split_part(sort, ':', 1) WHEN 'name' THEN 'f.name' ELSE 'f.updated_at' END
			|| ' ' || pg_catalog.split_part(sort, ':', 2))
	USING who, base, created_by, name, (page - 1)::bigint * rows, rows;
END $$;
COMMENT ON FUNCTION @extschema@.img_file_list(text, text, text, int, int, text) IS
	'What is in a folder of yours, folders first: a page of so many rows. created_by: U uploaded or P produced files only; name: those whose names contain it; sort: name or date, with :asc or :desc. Errors: 22023, 02000 when there is no such folder.';

CREATE TYPE @extschema@.img_folder AS (id uuid, path text, name text, updated_at timestamptz,
	bytes bigint, total_folder_count bigint, total_file_count bigint);
COMMENT ON TYPE @extschema@.img_folder IS 'What img_folder_properties() knows of a folder.';
COMMENT ON COLUMN @extschema@.img_folder.id IS 'img_file.id; NULL: the root';
COMMENT ON COLUMN @extschema@.img_folder.path IS 'img_file.path; / is the root';
COMMENT ON COLUMN @extschema@.img_folder.name IS 'img_file.name';
COMMENT ON COLUMN @extschema@.img_folder.updated_at IS 'img_file.updated_at';
COMMENT ON COLUMN @extschema@.img_folder.bytes IS 'of all files below it';
COMMENT ON COLUMN @extschema@.img_folder.total_folder_count IS 'folders below it';
COMMENT ON COLUMN @extschema@.img_folder.total_file_count IS 'files below it';

CREATE FUNCTION @extschema@.img_folder_properties(path text) RETURNS @extschema@.img_folder
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	plain text := @extschema@.img_path_check(path, true);
	who regrole := pg_catalog.quote_ident(CURRENT_USER);
	folder @extschema@.img_folder;
BEGIN
	SELECT f.id, f.path, f.name, f.updated_at INTO folder FROM @extschema@.img_file f
	WHERE f.owner = who AND f.path = plain AND f.is_folder;
	IF plain = '' THEN
		folder.path := '/';
		folder.name := '';
	ELSIF NOT FOUND THEN
		PERFORM @extschema@.img_no_such_folder(plain, 20001);
	END IF;
	-- "0" is what comes after "/"
	SELECT COALESCE(pg_catalog.sum(f.bytes), 0), pg_catalog.count(*) FILTER (WHERE f.is_folder), pg_catalog.count(*) FILTER (WHERE NOT f.is_folder)
	INTO folder.bytes, folder.total_folder_count, folder.total_file_count
	FROM @extschema@.img_file f WHERE f.owner = who AND f.path >= plain || '/' AND f.path < plain || '0';
	RETURN folder;
END $$;
COMMENT ON FUNCTION @extschema@.img_folder_properties(text) IS
	'A folder of yours with the number and length of all that is below it. Error 02000 when there is none.';

CREATE FUNCTION @extschema@.img_folder_inputs(folder text) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	-- what a picture's name ends with
	extensions constant text := (SELECT pg_catalog.string_agg(e, '|')
		FROM @extschema@.img_formats() f, pg_catalog.unnest(f.ext) e WHERE f.allowed AND f.can_load);
BEGIN
	IF folder LIKE '/%' THEN
		PERFORM @extschema@.img_folder_properties(folder);
		RETURN QUERY SELECT f.path FROM @extschema@.img_file f
			WHERE f.owner = pg_catalog.quote_ident(CURRENT_USER)::regrole AND NOT f.is_folder
				AND f.folder = @extschema@.img_path_check(img_folder_inputs.folder, true)
			ORDER BY f.name;
		RETURN;
	END IF;
	-- not what lies in folders of the folder, as in the edit contract
	RETURN QUERY SELECT f.uri
		FROM (SELECT 'storage://' || pg_catalog.split_part(img_folder_inputs.folder, '/', 3) || '/' || l.path AS uri
			FROM @extschema@.img_storage_list(img_folder_inputs.folder) l) f
		WHERE f.uri ~* ('\.(' || extensions || ')$')
			AND pg_catalog.strpos(pg_catalog.substr(f.uri, pg_catalog.length(img_folder_inputs.folder) + 1), '/') = 0
		ORDER BY f.uri COLLATE "C";
END $$;
COMMENT ON FUNCTION @extschema@.img_folder_inputs(text) IS
	'Internal: the pictures in storage://SERVER/folder/, or in a folder of the file tree, as img_submit() takes them.';

------------------------------------------------------ file tree: operations --
-- What an operation makes of a file lies beside it, produced (P), as
-- {name}_{operationId}.{ext}. It replaces what was produced before, and nothing
-- that was uploaded. img_object has a row for it without the picture: storage
-- "row", and the path in the file tree.

CREATE FUNCTION @extschema@.img_submit_operation_beside(input text, operation_id text,
	server name DEFAULT NULL, priority int DEFAULT 0, run_after timestamptz DEFAULT NULL,
	max_attempts int DEFAULT NULL, callback_url text DEFAULT NULL, job_key text DEFAULT NULL) RETURNS uuid
	LANGUAGE c VOLATILE CALLED ON NULL INPUT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_submit_operation_beside(text, text, name, int, timestamptz, int, text, text) IS
	'Internal: img_submit_operation() of a file whose results are put beside it.';

CREATE FUNCTION @extschema@.img_file_operate(path text, operation_ids text[], callback_url text) RETURNS SETOF uuid
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	operation_id text;
	-- the longest that a result may be called: _{operationId}_0000.{ext}
	stem int := pg_catalog.octet_length(pg_catalog.regexp_replace(path, '^.*/|\.[^./]*$', '', 'g'));
BEGIN
	FOREACH operation_id IN ARRAY COALESCE(operation_ids, '{}') LOOP
		IF stem + pg_catalog.octet_length(operation_id) > 255 - pg_catalog.length('__0000.jpeg') THEN
			RAISE EXCEPTION 'the name of "%" is too long for results of operation "%"', path, operation_id
				USING ERRCODE = '22023', DETAIL = 'They are called NAME_OPERATION.EXT, in at most 255 bytes. NHN code: 11002.',
					HINT = 'Put the picture again, with a shorter name.';
		END IF;
		RETURN NEXT @extschema@.img_submit_operation_beside(path, operation_id, callback_url => callback_url);
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.img_file_operate(text, text[], text) IS
	'Internal: queues a job for each operation on a file.';

CREATE FUNCTION @extschema@.img_operations_exec(basepath text, filepaths text[], operation_ids text[], callback_url text DEFAULT NULL)
	RETURNS SETOF uuid
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	base text := @extschema@.img_path_check(basepath, true);
	who regrole := pg_catalog.quote_ident(CURRENT_USER);
	given text;
	f @extschema@.img_file;
	found_paths text[];
	paths text[] := '{}';
BEGIN
	IF COALESCE(pg_catalog.cardinality(filepaths), 0) = 0 OR COALESCE(pg_catalog.cardinality(operation_ids), 0) = 0
		OR pg_catalog.array_position(filepaths, NULL) IS NOT NULL THEN
		RAISE EXCEPTION 'filepaths and operation_ids must not be null or empty'
			USING ERRCODE = '22023', DETAIL = 'NHN code: 5004.', HINT = 'SELECT img_operations_exec(''/'', ARRAY[''/folder/picture.jpg''], ARRAY[''100x100'']);';
	ELSIF base <> '' AND NOT EXISTS (SELECT FROM @extschema@.img_file x WHERE x.owner = who AND x.path = base AND x.is_folder) THEN
		PERFORM @extschema@.img_no_such_folder(base, 20002);
	END IF;
	FOREACH given IN ARRAY filepaths LOOP
		given := CASE WHEN given LIKE '/%' THEN given ELSE base || '/' || given END;
		SELECT x.* INTO f FROM @extschema@.img_file x
		WHERE x.owner = who AND x.path = @extschema@.img_path_check(given, given LIKE '%/');
		IF f.is_folder OR given = '/' THEN
			SELECT pg_catalog.array_agg(x.path ORDER BY x.path) INTO found_paths FROM @extschema@.img_file x
			WHERE x.owner = who AND x.folder = pg_catalog.rtrim(given, '/') AND NOT x.is_folder AND x.created_by = 'U';
			paths := paths || found_paths;
		ELSIF f.path IS NOT NULL THEN
			paths := paths || f.path;
		ELSE
			PERFORM @extschema@.img_no_such_file(given);
		END IF;
	END LOOP;
	-- each once, whatever names it
	SELECT pg_catalog.array_agg(d.path ORDER BY d.place) INTO paths FROM (
		SELECT u.path, pg_catalog.min(u.place) AS place FROM pg_catalog.unnest(paths) WITH ORDINALITY u (path, place) GROUP BY u.path) d;
	IF paths IS NULL THEN
		RAISE EXCEPTION 'there is no picture in "%"', pg_catalog.array_to_string(filepaths, '", "')
			USING ERRCODE = '02000', DETAIL = 'Of a folder, the uploaded files are taken that lie in it, not those of its folders. NHN code: 10002.',
				HINT = pg_catalog.format('SELECT path FROM img_file_list(%L, ''U'');', CASE WHEN base = '' THEN '/' ELSE base END);
	ELSIF pg_catalog.cardinality(paths) > 10000 THEN
		RAISE EXCEPTION '% files are more than the 10000 that are allowed in a call', pg_catalog.cardinality(paths)
			USING ERRCODE = '54000', DETAIL = 'NHN code: 11003.', HINT = 'Name some of them at a time.';
	END IF;
	FOREACH given IN ARRAY paths LOOP
		RETURN QUERY SELECT @extschema@.img_file_operate(given, operation_ids, callback_url);
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.img_operations_exec(text, text[], text[], text) IS
	'Queues a job for each file and each operation and returns their ids. filepaths: files, or folders for the uploaded files in them; from the root, or below basepath. The results are put beside the files, as {name}_{operationId}.{ext}. Errors: 22023, 02000 for files, folders or operations that are not there, 54000.';

CREATE FUNCTION @extschema@.img_file_produced(source text, sha256 bytea, path text, operation_id text,
	facts @extschema@.img_metadata, data bytea, who regrole) RETURNS bool
LANGUAGE plpgsql VOLATILE
-- a worker waits for nobody: it tries again later
SET lock_timeout = '50ms'
AS $$
DECLARE
	source_id uuid;
	plain text;
	put @extschema@.img_file;
BEGIN
	-- The folders first, as everywhere; then nobody changes the source until we have committed.
	PERFORM FROM @extschema@.img_file f WHERE f.owner = who AND f.path = source;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM @extschema@.img_folder_hold(pg_catalog.regexp_replace(source, '/[^/]*$', ''), who, false);
	SELECT f.id INTO source_id FROM @extschema@.img_file f WHERE f.owner = who AND f.path = source FOR SHARE NOWAIT;
	IF NOT EXISTS (SELECT FROM @extschema@.img_file_content c WHERE c.file_id = source_id AND c.sha256 = img_file_produced.sha256) THEN
		RETURN false;
	END IF;
	plain := @extschema@.img_path_check(path, false);
	INSERT INTO @extschema@.img_file AS f (path, is_folder, owner, bytes, created_by, operation_id, source_id, width, height, taken_at, lat, lng)
	VALUES (plain, false, who, pg_catalog.octet_length(data), 'P', operation_id, source_id,
		facts.width, facts.height, facts.taken_at, facts.lat, facts.lng)
	ON CONFLICT ON CONSTRAINT img_file_path DO UPDATE
		SET bytes = excluded.bytes, operation_id = excluded.operation_id, source_id = excluded.source_id,
			updated_at = excluded.updated_at, width = excluded.width, height = excluded.height,
			taken_at = excluded.taken_at, lat = excluded.lat, lng = excluded.lng
		WHERE f.created_by = 'P'
	RETURNING f.* INTO put;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is already "%", which was not produced by an operation', plain
			USING ERRCODE = '55000', DETAIL = 'NHN code: 20010.', HINT = 'Delete it, or put it under another name; then SELECT img_retry(job);';
	END IF;
	PERFORM @extschema@.img_file_fill(put, data);
	RETURN true;
END $$;
COMMENT ON FUNCTION @extschema@.img_file_produced(text, bytea, text, text, @extschema@.img_metadata, bytea, regrole) IS
	'Worker protocol: puts a result beside its source, if that still has the bytes the result was made of; false: it has not. Error 55P03 while somebody else is at one of them.';
