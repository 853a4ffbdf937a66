------------------------------------------------------------------ file tree --
-- Every role has a tree of folders and files of its own, as the operation
-- contract has it: pictures that stay until they are deleted. A path names one
-- thing, letter by letter; the root has no row, and its path here is ''.
--
-- Locks: whoever puts something into a folder holds all folders above it FOR KEY
-- SHARE, from the root down, and whoever deletes a folder holds those above it
-- likewise and then the folder FOR UPDATE. So nothing arrives in a folder that is
-- being deleted, and puts do not wait for each other. Two that make the same path
-- meet at img_file_path.
--
-- What is read often and what is long are apart: a list reads no pictures. There
-- are no foreign keys: pg_restore would load bytes before files, and pg_dump warn
-- of a circle of folders.

CREATE TABLE @extschema@.img_file (
	id uuid PRIMARY KEY DEFAULT @extschema@.img_new_id(),
	path text COLLATE "C" NOT NULL,
	name text COLLATE "C" NOT NULL GENERATED ALWAYS AS (pg_catalog.regexp_replace(path, '^.*/', '')) STORED,
	is_folder bool NOT NULL,
	bytes bigint,
	created_by text,
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	operation_id text,
	width int,
	height int,
	taken_at timestamp,
	lat float8,
	lng float8,
	url text,
	owner regrole NOT NULL,
	folder text COLLATE "C" NOT NULL GENERATED ALWAYS AS (pg_catalog.regexp_replace(path, '/[^/]*$', '')) STORED,
	source_id uuid,
	CONSTRAINT img_file_path UNIQUE (owner, path),
	CONSTRAINT files_are_pictures CHECK (is_folder = (bytes IS NULL) AND is_folder = (created_by IS NULL)),
	CONSTRAINT created_by_is_known CHECK (created_by IN ('U', 'P')),
	CONSTRAINT operations_produce CHECK (operation_id IS NULL OR created_by = 'P')
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX img_file_folder ON @extschema@.img_file (owner, folder, is_folder DESC, name);
CREATE INDEX img_file_source ON @extschema@.img_file (source_id) WHERE source_id IS NOT NULL;
CREATE INDEX img_file_operation ON @extschema@.img_file (owner, operation_id) WHERE operation_id IS NOT NULL;
COMMENT ON TABLE @extschema@.img_file IS 'The file tree: one row a folder or file. Users see their own.';
COMMENT ON COLUMN @extschema@.img_file.id IS 'time-ordered UUID; stays when a file is overwritten';
COMMENT ON COLUMN @extschema@.img_file.path IS 'from the root: /folder/picture.jpg';
COMMENT ON COLUMN @extschema@.img_file.name IS 'the end of the path';
COMMENT ON COLUMN @extschema@.img_file.is_folder IS 'whether it is a folder';
COMMENT ON COLUMN @extschema@.img_file.bytes IS 'length of the file';
COMMENT ON COLUMN @extschema@.img_file.created_by IS 'U: uploaded, P: produced by an operation; NULL: a folder';
COMMENT ON COLUMN @extschema@.img_file.updated_at IS 'when it was made or overwritten';
COMMENT ON COLUMN @extschema@.img_file.operation_id IS 'operation that has produced it';
COMMENT ON COLUMN @extschema@.img_file.width IS 'pixels, as displayed';
COMMENT ON COLUMN @extschema@.img_file.height IS 'pixels, as displayed';
COMMENT ON COLUMN @extschema@.img_file.taken_at IS 'EXIF time of exposure, in the camera''s time zone';
COMMENT ON COLUMN @extschema@.img_file.lat IS 'EXIF latitude, degrees, north positive';
COMMENT ON COLUMN @extschema@.img_file.lng IS 'EXIF longitude, degrees, east positive';
COMMENT ON COLUMN @extschema@.img_file.url IS 'address that it is served at; NULL: none';
COMMENT ON COLUMN @extschema@.img_file.owner IS 'role that has it';
COMMENT ON COLUMN @extschema@.img_file.folder IS 'path of its folder; empty: the root';
COMMENT ON COLUMN @extschema@.img_file.source_id IS 'img_file.id of the file that it was produced from';

CREATE TABLE @extschema@.img_file_content (
	file_id uuid PRIMARY KEY,
	owner regrole NOT NULL,
	sha256 bytea NOT NULL,
	data bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, toast.autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE @extschema@.img_file_content ALTER COLUMN data SET STORAGE EXTERNAL;
COMMENT ON TABLE @extschema@.img_file_content IS 'The bytes of the files in img_file; img_file_read() reads them by path.';
COMMENT ON COLUMN @extschema@.img_file_content.file_id IS 'img_file.id';
COMMENT ON COLUMN @extschema@.img_file_content.owner IS 'img_file.owner';
COMMENT ON COLUMN @extschema@.img_file_content.sha256 IS 'of the bytes';
COMMENT ON COLUMN @extschema@.img_file_content.data IS 'the picture';

CREATE FUNCTION @extschema@.img_file_content_delete() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
	DELETE FROM @extschema@.img_file_content c USING gone g WHERE c.file_id = g.id AND NOT g.is_folder;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.img_file_content_delete() IS 'Internal, trigger: the bytes of files go with them.';
CREATE TRIGGER content AFTER DELETE ON @extschema@.img_file
	REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.img_file_content_delete();

SELECT pg_catalog.pg_extension_config_dump('@extschema@.img_file', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.img_file_content', '');

---------------------------------------------------------------------- paths --

CREATE FUNCTION @extschema@.img_path_check(path text, is_folder bool) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
	-- a slash at the end of a folder is no name
	plain text := CASE WHEN is_folder THEN pg_catalog.regexp_replace(path, '/$', '') ELSE path END;
	parts text[] := pg_catalog.string_to_array(pg_catalog.substr(plain, 2), '/');
	given text := pg_catalog.format('Given: "%s". ', pg_catalog.left(path, 200));
	example text := CASE WHEN is_folder THEN 'Write it as in ''/folder/subfolder''.' ELSE 'Write it as in ''/folder/picture.jpg''.' END;
	part text;
BEGIN
	IF path IS NULL OR path = '' THEN
		RAISE EXCEPTION 'a path must not be null or empty'
			USING ERRCODE = '22023', DETAIL = 'NHN code: 5004.', HINT = example;
	ELSIF path NOT LIKE '/%' THEN
		RAISE EXCEPTION 'a path begins with /'
			USING ERRCODE = '22023', DETAIL = given || 'NHN code: 5000.',
				HINT = pg_catalog.format('Write %L.', '/' || pg_catalog.left(path, 200));
	ELSIF pg_catalog.octet_length(path) > 1024 THEN
		RAISE EXCEPTION 'the path has % bytes, more than the 1024 that are allowed', pg_catalog.octet_length(path)
			USING ERRCODE = '22023', DETAIL = given || 'NHN code: 11001.', HINT = 'Use shorter names, or fewer folders.';
	ELSIF plain = '/' OR '' = ANY (parts) THEN
		RAISE EXCEPTION 'a name in the path is empty'
			USING ERRCODE = '22023', DETAIL = given || 'NHN code: 11060.', HINT = example;
	END IF;
	FOR place IN 1 .. pg_catalog.cardinality(parts) LOOP
		part := parts[place];
		IF part ~ '[:?*"|[:cntrl:]]' OR part IN ('.', '..') THEN
			RAISE EXCEPTION 'a name in the path has characters that are not allowed'
				USING ERRCODE = '22023', DETAIL = given || 'Not allowed: / : ? * " | and control characters, or .. alone. NHN code: 11050.',
					HINT = pg_catalog.format('Write %L.', COALESCE(NULLIF(pg_catalog.regexp_replace(part, '[:?*"|[:cntrl:]]|^\.+$', '-', 'g'), ''), '-'));
		ELSIF pg_catalog.strpos(part, '~') > 0 AND (is_folder OR place < pg_catalog.cardinality(parts)) THEN
			RAISE EXCEPTION 'the name of a folder must not have a ~ in it'
				USING ERRCODE = '22023', DETAIL = given || 'NHN code: 11050.', HINT = pg_catalog.format('Write %L.', pg_catalog.replace(part, '~', '-'));
		ELSIF pg_catalog.length(part) < 2 OR pg_catalog.octet_length(part) > 255 THEN
			RAISE EXCEPTION 'the name "%" is too %', pg_catalog.left(part, 60), CASE WHEN pg_catalog.length(part) < 2 THEN 'short' ELSE 'long' END
				USING ERRCODE = '22023', DETAIL = given || 'A name has 2 characters to 255 bytes. NHN code: 11002.', HINT = example;
		END IF;
	END LOOP;
	RETURN plain;
END $$;
COMMENT ON FUNCTION @extschema@.img_path_check(text, bool) IS
	'Internal: a path as img_file has it; that of the root is empty. Error 22023 with the contract''s code.';

CREATE FUNCTION @extschema@.img_no_such_file(path text) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	RAISE EXCEPTION 'there is no file "%"', path
		USING ERRCODE = '02000', DETAIL = 'Files are visible to the role that has put them.',
			HINT = pg_catalog.format('SELECT path FROM img_file_list(%L);',
				COALESCE(NULLIF(pg_catalog.regexp_replace(path, '/[^/]*$', ''), ''), '/'));
END $$;
COMMENT ON FUNCTION @extschema@.img_no_such_file(text) IS 'Internal: the error for an unknown path.';

CREATE FUNCTION @extschema@.img_no_such_folder(path text, code int) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	RAISE EXCEPTION 'there is no folder "%"', path
		USING ERRCODE = '02000', DETAIL = pg_catalog.format('Folders are visible to the role that has made them. NHN code: %s.', code),
			HINT = pg_catalog.format('SELECT img_folder_create(%L);', path);
END $$;
COMMENT ON FUNCTION @extschema@.img_no_such_folder(text, int) IS 'Internal: the error for an unknown folder.';

CREATE FUNCTION @extschema@.img_file_taken(path text, is_folder bool) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	IF is_folder THEN
		RAISE EXCEPTION 'there is a folder "%" already', path
			USING ERRCODE = '55000', DETAIL = 'NHN code: 20000.',
				HINT = pg_catalog.format('SELECT * FROM img_folder_properties(%L);', path);
	END IF;
	RAISE EXCEPTION 'there is a file "%" already', path
		USING ERRCODE = '55000', DETAIL = 'NHN code: 20010.',
			HINT = 'Use another name, or img_file_put(…, autorename => true), which finds one, or img_file_put(…, overwrite => true).';
END $$;
COMMENT ON FUNCTION @extschema@.img_file_taken(text, bool) IS 'Internal: the error for a path that is in use, by a folder or by a file.';

CREATE FUNCTION @extschema@.img_file_check(path text, who regrole) RETURNS void
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	is_folder bool;
BEGIN
	SELECT f.is_folder INTO is_folder FROM @extschema@.img_file f
	WHERE f.owner = who AND f.path = @extschema@.img_path_check(img_file_check.path, img_file_check.path LIKE '%/');
	IF is_folder OR path = '/' THEN
		RAISE EXCEPTION '"%" is a folder, not a picture', path
			USING ERRCODE = '22023',
				HINT = pg_catalog.format('One job for each picture in it: SELECT img_submit_batch(ARRAY[%L], …);', pg_catalog.rtrim(path, '/') || '/');
	ELSIF is_folder IS NULL THEN
		PERFORM @extschema@.img_no_such_file(path);
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.img_file_check(text, regrole) IS
	'Internal: whether that role has such a file. Errors: 22023 for what is no path or a folder, 02000 when there is none.';

CREATE FUNCTION @extschema@.img_file_read(path text) RETURNS bytea
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	picture bytea;
BEGIN
	SELECT c.data INTO picture FROM @extschema@.img_file f JOIN @extschema@.img_file_content c ON c.file_id = f.id
	WHERE f.owner = pg_catalog.quote_ident(CURRENT_USER)::regrole
		AND f.path = @extschema@.img_path_check(img_file_read.path, false);
	IF NOT FOUND THEN
		PERFORM @extschema@.img_file_check(path, pg_catalog.quote_ident(CURRENT_USER)::regrole);
	END IF;
	RETURN picture;
END $$;
COMMENT ON FUNCTION @extschema@.img_file_read(text) IS
	'The bytes of a file of yours. Error 02000 when there is none.';

--------------------------------------------------------------------- putting --

CREATE FUNCTION @extschema@.img_folder_hold(folder text, who regrole, make bool) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	part text;
	at text := '';
	is_folder bool;
BEGIN
	FOREACH part IN ARRAY pg_catalog.string_to_array(pg_catalog.substr(folder, 2), '/') LOOP
		at := at || '/' || part;
		LOOP
			SELECT f.is_folder INTO is_folder FROM @extschema@.img_file f
			WHERE f.owner = who AND f.path = at FOR KEY SHARE;
			EXIT WHEN FOUND;
			IF NOT make THEN
				PERFORM @extschema@.img_no_such_folder(at, 20002);
			END IF;
			-- somebody else may make it at the same time, or delete it again
			INSERT INTO @extschema@.img_file (path, is_folder, owner) VALUES (at, true, who)
			ON CONFLICT ON CONSTRAINT img_file_path DO NOTHING;
		END LOOP;
		IF NOT is_folder THEN
			RAISE EXCEPTION '"%" is a file, not a folder', at
				USING ERRCODE = '55000', DETAIL = 'NHN code: 20002.', HINT = 'Choose another folder, or img_file_delete() the file.';
		END IF;
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.img_folder_hold(text, regrole, bool) IS
	'Internal: keeps a folder and those above it from being deleted until the transaction ends; make: makes those that are missing.';

CREATE FUNCTION @extschema@.img_folder_create(path text) RETURNS @extschema@.img_file
	LANGUAGE c VOLATILE CALLED ON NULL INPUT AS 'MODULE_PATHNAME', 'img_as_owner';
COMMENT ON FUNCTION @extschema@.img_folder_create(text) IS
	'Makes a folder in your file tree, and those above it that are missing. Errors: 22023 for what is no path, 55000 when it is there already.';

CREATE FUNCTION @extschema@.img_folder_create_as(path text, who regrole) RETURNS @extschema@.img_file
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	plain text := @extschema@.img_path_check(path, true);
	made @extschema@.img_file;
	was_folder bool;
BEGIN
	IF plain = '' THEN
		RAISE EXCEPTION 'the root folder is always there'
			USING ERRCODE = '55000', DETAIL = 'NHN code: 20000.', HINT = 'SELECT img_folder_create(''/folder'');';
	ELSIF pg_catalog.octet_length(plain) > 255 THEN
		RAISE EXCEPTION 'the path of the folder has % bytes, more than the 255 that are allowed', pg_catalog.octet_length(plain)
			USING ERRCODE = '22023', DETAIL = 'NHN code: 11001.', HINT = 'Use shorter names, or fewer folders.';
	END IF;
	PERFORM @extschema@.img_folder_hold(pg_catalog.regexp_replace(plain, '/[^/]*$', ''), who, true);
	LOOP
		INSERT INTO @extschema@.img_file (path, is_folder, owner) VALUES (plain, true, who)
		ON CONFLICT ON CONSTRAINT img_file_path DO NOTHING
		RETURNING * INTO made;
		IF FOUND THEN
			RETURN made;
		END IF;
		SELECT f.is_folder INTO was_folder FROM @extschema@.img_file f WHERE f.owner = who AND f.path = plain;
		IF FOUND THEN
			PERFORM @extschema@.img_file_taken(plain, was_folder);
		END IF;
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.img_folder_create_as(text, regrole) IS 'Internal: img_folder_create() for that role.';

CREATE FUNCTION @extschema@.img_file_facts(path text, data bytea) RETURNS @extschema@.img_metadata
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	extensions constant text := (SELECT pg_catalog.string_agg(e, ', ') FROM @extschema@.img_formats() f, pg_catalog.unnest(f.ext) e
		WHERE f.allowed AND f.can_load);
	extension text := pg_catalog.lower(pg_catalog.substring(path, '\.([^./]*)$'));
	most bigint := pg_catalog.pg_size_bytes(pg_catalog.current_setting('imgapi.max_source_bytes'));
BEGIN
	IF extension IS NULL OR extension <> ALL (pg_catalog.string_to_array(extensions, ', ')) THEN
		RAISE EXCEPTION '"%" does not have the name of a picture', path
			USING ERRCODE = '0A000', DETAIL = pg_catalog.format('Names end in one of: %s. NHN code: 5005.', extensions),
				HINT = CASE WHEN extension = 'zip' THEN 'img_files_put() unpacks archives.' ELSE 'SELECT ext FROM img_formats() WHERE allowed;' END;
	ELSIF data IS NULL OR data = '' THEN
		RAISE EXCEPTION 'the picture "%" is empty', path
			USING ERRCODE = '22000', DETAIL = 'NHN code: 10002.', HINT = pg_catalog.format('SELECT img_file_put(%L, data) FROM photo;', path);
	ELSIF pg_catalog.octet_length(data) > most THEN
		RAISE EXCEPTION 'the picture "%" has % bytes, more than the % that are allowed', path, pg_catalog.octet_length(data), most
			USING ERRCODE = '54000', DETAIL = 'NHN code: 11004.',
				HINT = 'An administrator may raise the limit: ALTER SYSTEM SET imgapi.max_source_bytes = ''200MB'';';
	END IF;
	DECLARE
		hint text;
	BEGIN
		RETURN @extschema@.img_info(data);
	EXCEPTION WHEN data_exception OR feature_not_supported THEN
		GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
		RAISE EXCEPTION '"%": %', path, SQLERRM
			USING ERRCODE = SQLSTATE, DETAIL = 'NHN code: 10002.', HINT = COALESCE(hint, '');
	END;
END $$;
COMMENT ON FUNCTION @extschema@.img_file_facts(text, bytea) IS
	'Internal: facts of a picture that is to be a file of that name. Errors: 0A000, 22000, 54000 with the contract''s code.';

CREATE FUNCTION @extschema@.img_file_store(path text, data bytea, overwrite bool, autorename bool) RETURNS @extschema@.img_file
	LANGUAGE c VOLATILE CALLED ON NULL INPUT AS 'MODULE_PATHNAME', 'img_as_owner';
COMMENT ON FUNCTION @extschema@.img_file_store(text, bytea, bool, bool) IS
	'Internal: img_file_put() without operations.';

CREATE FUNCTION @extschema@.img_file_store_as(path text, data bytea, overwrite bool, autorename bool, who regrole)
	RETURNS @extschema@.img_file
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	plain text := @extschema@.img_path_check(path, false);
	facts @extschema@.img_metadata := @extschema@.img_file_facts(plain, data);
	name text[] := pg_catalog.regexp_match(plain, '^(.*)(\.[^./]*)$');
	copies int := 0;
	put @extschema@.img_file;
	was_folder bool;
BEGIN
	PERFORM @extschema@.img_folder_hold(pg_catalog.regexp_replace(plain, '/[^/]*$', ''), who, false);
	LOOP
		INSERT INTO @extschema@.img_file (path, is_folder, owner, bytes, created_by, width, height, taken_at, lat, lng)
		VALUES (plain, false, who, pg_catalog.octet_length(data), 'U', facts.width, facts.height, facts.taken_at, facts.lat, facts.lng)
		ON CONFLICT ON CONSTRAINT img_file_path DO NOTHING
		RETURNING * INTO put;
		EXIT WHEN FOUND;
		-- It is there, unless it has been deleted meanwhile. Nothing is lost by another name.
		IF autorename THEN
			copies := copies + 1;
			plain := @extschema@.img_path_check(pg_catalog.format('%s(%s)%s', name[1], copies, name[2]), false);
			CONTINUE;
		ELSIF overwrite THEN
			UPDATE @extschema@.img_file f
			SET bytes = pg_catalog.octet_length(data), created_by = 'U', operation_id = NULL, source_id = NULL,
				updated_at = pg_catalog.clock_timestamp(), width = facts.width, height = facts.height,
				taken_at = facts.taken_at, lat = facts.lat, lng = facts.lng
			WHERE f.owner = who AND f.path = plain AND NOT f.is_folder
			RETURNING * INTO put;
			EXIT WHEN FOUND;
		END IF;
		SELECT f.is_folder INTO was_folder FROM @extschema@.img_file f WHERE f.owner = who AND f.path = plain;
		IF FOUND THEN
			PERFORM @extschema@.img_file_taken(plain, was_folder);
		END IF;
	END LOOP;
	PERFORM @extschema@.img_file_fill(put, data);
	RETURN put;
END $$;
COMMENT ON FUNCTION @extschema@.img_file_store_as(text, bytea, bool, bool, regrole) IS 'Internal: img_file_store() for that role.';

CREATE FUNCTION @extschema@.img_file_fill(file @extschema@.img_file, data bytea) RETURNS void
LANGUAGE sql VOLATILE
AS $$
	INSERT INTO @extschema@.img_file_content AS c (file_id, owner, sha256, data)
	VALUES (file.id, file.owner, pg_catalog.sha256(img_file_fill.data), img_file_fill.data)
	ON CONFLICT (file_id) DO UPDATE SET sha256 = excluded.sha256, data = excluded.data
$$;
COMMENT ON FUNCTION @extschema@.img_file_fill(@extschema@.img_file, bytea) IS 'Internal: stores the bytes of a file.';

CREATE FUNCTION @extschema@.img_file_put(path text, data bytea, overwrite bool DEFAULT false, autorename bool DEFAULT false,
	operation_ids text[] DEFAULT '{}') RETURNS @extschema@.img_file
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	put @extschema@.img_file := @extschema@.img_file_store(path, data, overwrite, autorename);
BEGIN
	PERFORM @extschema@.img_file_operate(put.path, operation_ids, NULL);
	RETURN put;
END $$;
COMMENT ON FUNCTION @extschema@.img_file_put(text, bytea, bool, bool, text[]) IS
	'Puts a picture into your file tree. autorename: a path that is taken gets a number, as in name(1).jpg; overwrite: the file that is there is replaced. operation_ids: these run on it, see img_operations_exec(). Errors: 22023 for what is no path, 02000 when its folder is missing, 55000 when it is there already, 22000 for what is no picture, 0A000, 54000.';

CREATE FUNCTION @extschema@.img_archive_put(base text, archive bytea, overwrite bool, autorename bool, operation_ids text[])
	RETURNS SETOF @extschema@.img_file
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	extensions constant text := (SELECT pg_catalog.string_agg(e, '|') FROM @extschema@.img_formats() f, pg_catalog.unnest(f.ext) e
		WHERE f.allowed AND f.can_load);
	given @extschema@.img_piece;
	folder text;
	detail text;
	hint text;
BEGIN
	IF archive IS NULL OR archive = '' THEN
		RAISE EXCEPTION 'the archive is empty'
			USING ERRCODE = '22000', DETAIL = 'It has 0 bytes. NHN code: 10002.', HINT = 'SELECT path FROM img_files_put(''/folder'', ARRAY[''all.zip''], ARRAY[data]);';
	END IF;
	FOR given IN SELECT * FROM @extschema@.img_unpack(archive) LOOP
		-- what programs put into archives besides
		IF given.name !~* ('\.(' || extensions || ')$') OR given.name ~ '(^|/)(__MACOSX/|\.[^./])' THEN
			RAISE WARNING '"%" is left out: it does not have the name of a picture', given.name;
			CONTINUE;
		END IF;
		folder := base || pg_catalog.regexp_replace('/' || given.name, '/[^/]*$', '');
		IF folder <> base THEN
			BEGIN
				PERFORM @extschema@.img_folder_create(folder);
			EXCEPTION WHEN object_not_in_prerequisite_state THEN
				NULL;			-- it is there
			END;
		END IF;
		RETURN NEXT @extschema@.img_file_put(base || '/' || given.name, given.image, overwrite, autorename, operation_ids);
	END LOOP;
EXCEPTION WHEN data_exception OR feature_not_supported OR program_limit_exceeded THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	IF detail LIKE '%NHN code%' THEN
		RAISE;
	END IF;
	RAISE EXCEPTION '%', SQLERRM USING ERRCODE = SQLSTATE, DETAIL = 'NHN code: 10002.', HINT = COALESCE(hint, '');
END $$;
COMMENT ON FUNCTION @extschema@.img_archive_put(text, bytea, bool, bool, text[]) IS
	'Internal: img_files_put() of what is in an archive.';

CREATE FUNCTION @extschema@.img_files_put(basepath text, names text[], data bytea[], overwrite bool DEFAULT false,
	autorename bool DEFAULT false, operation_ids text[] DEFAULT '{}') RETURNS SETOF @extschema@.img_file
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	base text := @extschema@.img_path_check(basepath, true);
BEGIN
	IF names IS NULL OR data IS NULL OR pg_catalog.cardinality(names) <> pg_catalog.cardinality(data) THEN
		RAISE EXCEPTION 'names and data must have as many elements each'
			USING ERRCODE = '22023',
				DETAIL = pg_catalog.format('Given: %s and %s. NHN code: 10001.', COALESCE(pg_catalog.cardinality(names)::text, 'null'),
					COALESCE(pg_catalog.cardinality(data)::text, 'null')),
				HINT = 'SELECT path FROM img_files_put(''/folder'', ARRAY[''a1.jpg'', ''a2.jpg''], ARRAY[data1, data2]);';
	ELSIF pg_catalog.cardinality(names) > 10000 THEN
		RAISE EXCEPTION '% files are more than the 10000 that are allowed in a call', pg_catalog.cardinality(names)
			USING ERRCODE = '54000', DETAIL = 'NHN code: 11003.', HINT = 'Put them in several calls.';
	END IF;
	FOR place IN 1 .. pg_catalog.cardinality(names) LOOP
		IF names[place] ILIKE '%.zip' THEN
			RETURN QUERY SELECT * FROM @extschema@.img_archive_put(base, data[place], overwrite, autorename, operation_ids);
			CONTINUE;
		ELSIF pg_catalog.strpos(names[place], '/') > 0 THEN
			RAISE EXCEPTION 'a name must not have a / in it'
				USING ERRCODE = '22023', DETAIL = pg_catalog.format('Given: "%s". NHN code: 11050.', pg_catalog.left(names[place], 200)),
					HINT = pg_catalog.format('Put it into its folder: SELECT img_file_put(%L, …);', base || '/' || pg_catalog.left(names[place], 200));
		END IF;
		RETURN NEXT @extschema@.img_file_put(base || '/' || COALESCE(names[place], ''), data[place], overwrite, autorename, operation_ids);
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.img_files_put(text, text[], bytea[], bool, bool, text[]) IS
	'Puts several pictures into a folder of your file tree, as img_file_put() each: all of them or, with an error, none. Names that end in .zip are those of archives, which are unpacked, folders and all.';
