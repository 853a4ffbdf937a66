---------------------------------------------------------------- server calls --
-- Calls to the APIs of servers that belong to no job.

CREATE FUNCTION @extschema@.img_server_answer(server text, server_type text, status int, request_id text, body bytea) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	document jsonb;
	answer @extschema@.img_remote_answer;
BEGIN
	BEGIN
		document := pg_catalog.convert_from(body, 'UTF8')::jsonb;
	EXCEPTION WHEN others THEN
		document := NULL;
	END;
	answer := @extschema@.img_remote_read(server_type, 'call', NULL, document);
	status := COALESCE(answer.http_status, status);
	IF status BETWEEN 200 AND 299 THEN
		IF document IS NULL AND body <> '' THEN
			RAISE EXCEPTION 'the answer of server "%" makes no sense', server
				USING ERRCODE = '58000', DETAIL = 'It is not JSON.';
		END IF;
		RETURN document;
	END IF;
	RAISE EXCEPTION '%', pg_catalog.format('server "%s" answered with status %s', server, status)
			|| COALESCE(': ' || answer.message, '') || COALESCE(' (code ' || answer.code || ')', '')
			|| COALESCE(', request ' || pg_catalog.left(request_id, 200), '')
		USING ERRCODE = @extschema@.img_remote_sqlstate(status),
			HINT = COALESCE(@extschema@.img_remote_hint(status, server), '');
END $$;
COMMENT ON FUNCTION @extschema@.img_server_answer(text, text, int, text, bytea) IS
	'Internal: what an API answered to a call. Error with the SQLSTATE of its status.';

CREATE FUNCTION @extschema@.img_server_call(server name, method text, path text, body jsonb DEFAULT NULL) RETURNS jsonb
	LANGUAGE c VOLATILE CALLED ON NULL INPUT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_server_call(name, text, text, jsonb) IS
	'Calls the API of a server of yours in this session and returns what it answers, NULL where that is nothing. path is below the address of the server; the key of your user mapping is added. Errors: as the API''s, 42501 and 42704 for servers that are not open to you or not there.';

------------------------------------------------------------------------ cost --

CREATE TYPE @extschema@.img_cost AS (credits int, seconds float8);
COMMENT ON TYPE @extschema@.img_cost IS 'What a job costs, see img_estimate().';
COMMENT ON COLUMN @extschema@.img_cost.credits IS 'of the account at the server; 0 for what the database does';
COMMENT ON COLUMN @extschema@.img_cost.seconds IS 'that it takes there; NULL: not known';

CREATE FUNCTION @extschema@.img_topaz_cost_request(request jsonb, width int, height int, OUT path text, OUT body jsonb)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	asked record := @extschema@.img_topaz_fields(request);
	side record;
BEGIN
	FOR side IN SELECT * FROM (VALUES ('width', width), ('height', height)) s (name, pixels) WHERE pixels NOT BETWEEN 1 AND 32000 LOOP
		RAISE EXCEPTION '% is out of range', side.name
			USING ERRCODE = '22023', DETAIL = pg_catalog.format('Given: %s. Allowed: 1 to 32000.', side.pixels);
	END LOOP;
	path := CASE WHEN asked.endpoint LIKE '%-gen' THEN '/estimate-gen' ELSE '/estimate' END;
	body := pg_catalog.jsonb_build_object('input_width', width, 'input_height', height,
			'category', pg_catalog.initcap(pg_catalog.split_part(asked.endpoint, '-', 1)))
		|| (SELECT COALESCE(pg_catalog.jsonb_object_agg(f.key, f.value), '{}') FROM pg_catalog.jsonb_each(asked.fields) f
			WHERE f.key IN ('model', 'output_width', 'output_height', 'crop_to_fill', 'output_format'));
END $$;
COMMENT ON FUNCTION @extschema@.img_topaz_cost_request(jsonb, int, int) IS 'Internal: img_cost_request() for servers of type topaz.';

CREATE FUNCTION @extschema@.img_cost_request(server_type text, request jsonb, width int, height int, OUT path text, OUT body jsonb)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	asked record;
BEGIN
	IF server_type <> 'topaz' THEN
		RAISE EXCEPTION 'servers of type % do not say what a job costs', server_type
			USING ERRCODE = '0A000', HINT = 'SELECT name FROM img_server WHERE type = ''topaz'' AND usable;';
	END IF;
	asked := @extschema@.img_topaz_cost_request(request, width, height);
	path := asked.path;
	body := asked.body;
END $$;
COMMENT ON FUNCTION @extschema@.img_cost_request(text, jsonb, int, int) IS
	'Internal: what is asked of an API of that type to learn what a job costs. Error 0A000 for those that do not say.';

CREATE FUNCTION @extschema@.img_cost_read(server text, document jsonb) RETURNS @extschema@.img_cost
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	cost @extschema@.img_cost;
BEGIN
	IF pg_catalog.jsonb_typeof(document -> 'credits') = 'number' THEN
		cost.credits := pg_catalog.ceil((document ->> 'credits')::numeric);
		cost.seconds := CASE WHEN pg_catalog.jsonb_typeof(document -> 'duration') = 'number' THEN document ->> 'duration' END;
		RETURN cost;
	END IF;
	RAISE EXCEPTION 'the answer of server "%" makes no sense', server
		USING ERRCODE = '58000', DETAIL = 'It does not say how many credits.';
END $$;
COMMENT ON FUNCTION @extschema@.img_cost_read(text, jsonb) IS 'Internal: what an API said a job costs.';

CREATE FUNCTION @extschema@.img_estimate(width int, height int, operations jsonb DEFAULT '{}', output jsonb DEFAULT NULL,
	server name DEFAULT NULL) RETURNS @extschema@.img_cost
	LANGUAGE c VOLATILE CALLED ON NULL INPUT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_estimate(int, int, jsonb, jsonb, name) IS
	'What img_submit() of a picture of that size would cost, as the server says that would do it. Errors: as img_submit(), 0A000 for servers that do not say.';

CREATE FUNCTION @extschema@.img_estimate(image bytea, operations jsonb DEFAULT '{}', output jsonb DEFAULT NULL,
	server name DEFAULT NULL) RETURNS @extschema@.img_cost
LANGUAGE sql VOLATILE
AS $$
	SELECT @extschema@.img_estimate(i.width, i.height, operations, output, server)
	FROM @extschema@.img_info(image) i
$$;
COMMENT ON FUNCTION @extschema@.img_estimate(bytea, jsonb, jsonb, name) IS
	'As img_estimate(width, height, …), for a picture, of which the server gets the size only.';
