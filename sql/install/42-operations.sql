----------------------------------------------------------- named operations --
-- A role has operations of its own; templates come with the extension, and any
-- role may have an operation of the same name, which then goes first.

CREATE TABLE @extschema@.img_operation (
	operation_id text COLLATE "C" NOT NULL,
	owner regrole NOT NULL,
	description text NOT NULL DEFAULT '',
	realtime_service bool NOT NULL DEFAULT true,
	template bool NOT NULL DEFAULT false,
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	data jsonb NOT NULL,
	PRIMARY KEY (operation_id, owner, template)
);
COMMENT ON TABLE @extschema@.img_operation IS
	'Named operations: the role''s own, and templates. img_operation_put() writes them.';
COMMENT ON COLUMN @extschema@.img_operation.operation_id IS 'its name: 1 to 20 letters, digits and dashes';
COMMENT ON COLUMN @extschema@.img_operation.owner IS 'role that has it';
COMMENT ON COLUMN @extschema@.img_operation.description IS 'at most 30 characters';
COMMENT ON COLUMN @extschema@.img_operation.realtime_service IS 'whether pictures may be made when they are first asked for';
COMMENT ON COLUMN @extschema@.img_operation.template IS 'whether it came with the extension';
COMMENT ON COLUMN @extschema@.img_operation.updated_at IS 'when it was last put';
COMMENT ON COLUMN @extschema@.img_operation.data IS 'its steps: [{"templateOperationId": …, "option": {…}}]';
SELECT pg_catalog.pg_extension_config_dump('@extschema@.img_operation', 'WHERE NOT template');

CREATE FUNCTION @extschema@.img_operation_check(data jsonb) RETURNS bool
	LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_operation_check(jsonb) IS
	'Internal: whether these are the steps of an operation. Error 22023 with the JSON path and the code of the operation contract.';

CREATE FUNCTION @extschema@.img_operation_data(operation_id text, who regrole) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	data jsonb;
BEGIN
	SELECT o.data INTO data FROM @extschema@.img_operation o
	WHERE o.operation_id = img_operation_data.operation_id AND (o.owner = who OR o.template)
	ORDER BY o.template LIMIT 1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no operation "%"', operation_id
			USING ERRCODE = '02000',
				DETAIL = 'Operations belong to the role that has put them.',
				HINT = 'SELECT operation_id, template, description FROM img_operation;';
	END IF;
	RETURN data;
END $$;
COMMENT ON FUNCTION @extschema@.img_operation_data(text, regrole) IS
	'Internal: the steps of an operation of that role, or of a template.';

CREATE FUNCTION @extschema@.img_operation_put(operation_id text, data jsonb, description text DEFAULT '',
	realtime_service bool DEFAULT true, delete_thumbnail bool DEFAULT false) RETURNS @extschema@.img_operation
	LANGUAGE c VOLATILE CALLED ON NULL INPUT AS 'MODULE_PATHNAME', 'img_as_owner';
COMMENT ON FUNCTION @extschema@.img_operation_put(text, jsonb, text, bool, bool) IS
	'Creates or changes an operation of yours. data: the steps, as the operation contract has them. delete_thumbnail: results that it has made are deleted. Error 22023 with the JSON path and the contract''s code.';

CREATE FUNCTION @extschema@.img_operation_delete(operation_id text, delete_thumbnail bool DEFAULT false)
	RETURNS @extschema@.img_operation
	LANGUAGE c VOLATILE CALLED ON NULL INPUT AS 'MODULE_PATHNAME', 'img_as_owner';
COMMENT ON FUNCTION @extschema@.img_operation_delete(text, bool) IS
	'Deletes an operation of yours and returns it. delete_thumbnail: results that it has made go with it. Error 02000 when there is none.';

CREATE FUNCTION @extschema@.img_operation_put_as(operation_id text, data jsonb, description text,
	realtime_service bool, delete_thumbnail bool, who regrole) RETURNS @extschema@.img_operation
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	put @extschema@.img_operation;
BEGIN
	IF operation_id IS NULL OR operation_id !~ '^[A-Za-z0-9-]{1,20}$' THEN
		RAISE EXCEPTION 'operation_id must be 1 to 20 letters, digits and dashes'
			USING ERRCODE = '22023',
				DETAIL = pg_catalog.format('Given: %s. NHN code: 5000.', COALESCE(pg_catalog.quote_ident(pg_catalog.left(operation_id, 60)), 'null')),
				HINT = 'SELECT img_operation_put(''100x100'', ''[{"templateOperationId": "resize_max_fit", "option": {"width": 100, "height": 100}}]'');';
	ELSIF pg_catalog.length(description) > 30 THEN
		RAISE EXCEPTION 'description has % characters, more than the 30 that are allowed', pg_catalog.length(description)
			USING ERRCODE = '22023', DETAIL = 'NHN code: 5002.',
				HINT = pg_catalog.format('description => %L', pg_catalog.left(description, 30));
	ELSIF data IS NULL THEN
		RAISE EXCEPTION 'data must not be null'
			USING ERRCODE = '22023', DETAIL = 'NHN code: 40003.',
				HINT = 'SELECT img_operation_put(''gray'', ''[{"templateOperationId": "gray"}]'');';
	END IF;
	PERFORM @extschema@.img_operation_check(data);
	INSERT INTO @extschema@.img_operation AS o (operation_id, owner, description, realtime_service, data)
	VALUES (img_operation_put_as.operation_id, who, COALESCE(img_operation_put_as.description, ''),
		COALESCE(img_operation_put_as.realtime_service, true), img_operation_put_as.data)
	ON CONFLICT ON CONSTRAINT img_operation_pkey DO UPDATE
		SET description = excluded.description, realtime_service = excluded.realtime_service,
			data = excluded.data, updated_at = excluded.updated_at
	RETURNING * INTO put;
	IF delete_thumbnail THEN
		PERFORM @extschema@.img_operation_results_delete(operation_id, who);
	END IF;
	RETURN put;
END $$;
COMMENT ON FUNCTION @extschema@.img_operation_put_as(text, jsonb, text, bool, bool, regrole) IS
	'Internal: img_operation_put() for that role.';

CREATE FUNCTION @extschema@.img_operation_delete_as(operation_id text, delete_thumbnail bool, who regrole)
	RETURNS @extschema@.img_operation
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	deleted @extschema@.img_operation;
BEGIN
	DELETE FROM @extschema@.img_operation o
	WHERE o.operation_id = img_operation_delete_as.operation_id AND o.owner = who AND NOT o.template
	RETURNING * INTO deleted;
	IF NOT FOUND THEN
		PERFORM @extschema@.img_operation_data(operation_id, who);
		RAISE EXCEPTION 'operation "%" is a template, which cannot be deleted', operation_id
			USING ERRCODE = '42501',
				HINT = 'An operation of yours with the same name goes before it: SELECT img_operation_put(…);';
	END IF;
	IF delete_thumbnail THEN
		PERFORM @extschema@.img_operation_results_delete(operation_id, who);
	END IF;
	RETURN deleted;
END $$;
COMMENT ON FUNCTION @extschema@.img_operation_delete_as(text, bool, regrole) IS
	'Internal: img_operation_delete() for that role.';

CREATE FUNCTION @extschema@.img_operation_results_delete(operation_id text, who regrole) RETURNS void
LANGUAGE sql VOLATILE
AS $$
	UPDATE @extschema@.img_object o SET expires_at = pg_catalog.clock_timestamp()
	FROM @extschema@.img_job_ended e
	WHERE e.owner = who AND e.kind = 'operation' AND e.request ->> 'operation_id' = img_operation_results_delete.operation_id
		AND o.job_id = e.id AND o.role = 'output';
	DELETE FROM @extschema@.img_file f WHERE f.owner = who AND f.operation_id = img_operation_results_delete.operation_id;
$$;
COMMENT ON FUNCTION @extschema@.img_operation_results_delete(text, regrole) IS
	'Internal: lets the results of an operation expire now, which the purge removes, wherever they are; those in the file tree are deleted.';

-- Sizes that people ask for first; see the README.
INSERT INTO @extschema@.img_operation (operation_id, owner, description, template, data)
SELECT t.id, (SELECT e.extowner FROM pg_catalog.pg_extension e WHERE e.extname = 'imgapi')::regrole, t.description, true, t.data::jsonb
FROM (VALUES
	('100x100', 'fits into 100 × 100', '[{"templateOperationId": "resize_max_fit", "option": {"width": 100, "height": 100, "quality": 80}}]'),
	('200x200', 'fits into 200 × 200', '[{"templateOperationId": "resize_max_fit", "option": {"width": 200, "height": 200, "quality": 80}}]'),
	('500x500', 'fits into 500 × 500', '[{"templateOperationId": "resize_max_fit", "option": {"width": 500, "height": 500, "quality": 80}}]'),
	('1000x1000', 'fits into 1000 × 1000', '[{"templateOperationId": "resize_max_fit", "option": {"width": 1000, "height": 1000, "quality": 80}}]'),
	('square-200', '200 × 200, cut to fill', '[{"templateOperationId": "resize_min_fit", "option": {"width": 200, "height": 200, "quality": 80, "upDownSizeType": "upDownAll", "autoOrient": true}}, {"templateOperationId": "rectangle", "option": {"width": 200, "height": 200, "keepAnimation": true}}]'),
	('avatar-200', 'a circle of 200 pixels', '[{"templateOperationId": "resize_min_fit", "option": {"width": 200, "height": 200, "upDownSizeType": "upDownAll", "autoOrient": true, "targetExtension": "png"}}, {"templateOperationId": "circle", "option": {"radius": 100}}]'),
	('gray', 'without colour', '[{"templateOperationId": "gray"}]'),
	('webp', 'as WebP, same size', '[{"templateOperationId": "resize_max_fit", "option": {"width": 65500, "height": 65500, "quality": 80, "targetExtension": "webp"}}]'),
	('grid-3x3', 'nine pieces', '[{"templateOperationId": "grid", "option": {"countX": 3, "countY": 3}}]'),
	('slice-1000', 'slices 1000 pixels high', '[{"templateOperationId": "slice", "option": {"sliceSize": 1000}}]')
) t (id, description, data);
