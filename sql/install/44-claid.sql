---------------------------------------------------------------------- Claid --
-- What is said to servers of type claid, and what their answers mean. Answers
-- are read leniently: their documents contradict each other.

CREATE FUNCTION @extschema@.img_claid_request(what text, r @extschema@.img_remote, request jsonb, input text)
RETURNS @extschema@.img_remote_request
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	operations jsonb := pg_catalog.jsonb_strip_nulls(COALESCE(request -> 'operations', '{}'));
	output jsonb := pg_catalog.jsonb_strip_nulls(CASE WHEN pg_catalog.jsonb_typeof(request -> 'output') = 'object'
		THEN (request -> 'output') - 'destination' END);
BEGIN
	IF what = 'poll' THEN
		RETURN ROW('GET', '/v1/image/edit/async/' || r.remote_id, NULL, NULL, NULL, NULL)::@extschema@.img_remote_request;
	ELSIF what <> 'submit' THEN
		-- it has no list, and cancels nothing
		RETURN NULL;
	END IF;
	-- ours, in groups that the contract has
	IF operations -> 'resizing' ? 'scale' OR operations #>> '{resizing,fit}' = 'fill'
		OR operations #>> '{resizing,fit,type}' = 'fill' THEN
		RAISE EXCEPTION 'operations.resizing.% is not offered by servers of type claid',
			CASE WHEN operations -> 'resizing' ? 'scale' THEN 'scale' ELSE 'fit "fill"' END
			USING ERRCODE = '0A000', HINT = 'The database''s own executors have it: leave server out.';
	END IF;
	RETURN ROW('POST', '/v1/image/edit/async', 'application/json',
		(pg_catalog.jsonb_build_object('input', input, 'operations', operations)
			|| CASE WHEN output <> '{}' THEN pg_catalog.jsonb_build_object('output', output) ELSE '{}' END)::text,
		NULL, NULL)::@extschema@.img_remote_request;
END $$;
COMMENT ON FUNCTION @extschema@.img_claid_request(text, @extschema@.img_remote, jsonb, text) IS 'Internal: img_remote_request() for servers of type claid.';

CREATE FUNCTION @extschema@.img_claid_error(document jsonb, OUT code text, OUT message text)
LANGUAGE sql IMMUTABLE
AS $$
	-- {error_code, error_type, error_message, error_details}, or that as detail,
	-- or a list of {loc, msg, type} as detail
	SELECT e.error ->> 'error_code', COALESCE(
		(e.error ->> 'error_message') || COALESCE(': ' || (
			SELECT pg_catalog.string_agg(d.key || ': ' || CASE pg_catalog.jsonb_typeof(d.value)
				WHEN 'array' THEN (SELECT pg_catalog.string_agg(t, ', ') FROM pg_catalog.jsonb_array_elements_text(d.value) t)
				ELSE d.value #>> '{}' END, '; ' ORDER BY d.key)
			FROM pg_catalog.jsonb_each(CASE WHEN pg_catalog.jsonb_typeof(e.error -> 'error_details') = 'object'
				THEN e.error -> 'error_details' ELSE '{}' END) d), ''),
		(SELECT pg_catalog.string_agg(COALESCE((SELECT pg_catalog.string_agg(l, '.') FROM pg_catalog.jsonb_array_elements_text(
					CASE WHEN pg_catalog.jsonb_typeof(d -> 'loc') = 'array' THEN d -> 'loc' ELSE '[]' END) l) || ': ', '') || (d ->> 'msg'), '; ')
			FROM pg_catalog.jsonb_array_elements(CASE WHEN pg_catalog.jsonb_typeof(e.error) = 'array' THEN e.error ELSE '[]' END) d),
		CASE WHEN pg_catalog.jsonb_typeof(e.error) = 'string' THEN e.error #>> '{}' END)
	FROM (SELECT COALESCE(document -> 'detail', document) AS error) e
$$;
COMMENT ON FUNCTION @extschema@.img_claid_error(jsonb) IS 'Internal: code and message of an error of Claid''s; NULL: it is none.';

CREATE FUNCTION @extschema@.img_claid_read(what text, r @extschema@.img_remote, document jsonb) RETURNS @extschema@.img_remote_answer
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	answer @extschema@.img_remote_answer;
	data jsonb := document -> 'data';
	result jsonb := data -> 'result';
	error record;
BEGIN
	IF document IS NOT NULL AND pg_catalog.jsonb_typeof(data) IS DISTINCT FROM 'object' THEN
		error := @extschema@.img_claid_error(document);
		answer.code := error.code;
		answer.message := error.message;
	END IF;
	IF data ->> 'id' ~ '^[0-9]{1,20}$' THEN
		answer.remote_id := data ->> 'id';
	END IF;
	answer.status := pg_catalog.left(data ->> 'status', 40);
	IF what = 'submit' OR answer.status IS NULL THEN
		RETURN answer;
	END IF;
	answer.state := CASE pg_catalog.upper(answer.status)
		WHEN 'DONE' THEN 'done' WHEN 'ERROR' THEN 'failed' WHEN 'CANCELLED' THEN 'cancelled' ELSE 'waiting' END;
	IF pg_catalog.jsonb_typeof(data -> 'errors') = 'array' AND data -> 'errors' <> '[]' THEN
		answer.message := (SELECT pg_catalog.string_agg(e ->> 'error', '; ') FROM pg_catalog.jsonb_array_elements(data -> 'errors') e);
	END IF;
	IF answer.state = 'done' THEN
		answer.urls := ARRAY[result #>> '{output_object,tmp_url}'];
		answer.result := pg_catalog.jsonb_build_object('input_object', result -> 'input_object', 'output_object', result -> 'output_object')
			-- kept there for a day
			|| @extschema@.img_remote_link(result #>> '{output_object,tmp_url}', result #>> '{output_object,tmp_url}',
				EXTRACT(epoch FROM pg_catalog.clock_timestamp() + interval '24 hours'));
	END IF;
	RETURN answer;
END $$;
COMMENT ON FUNCTION @extschema@.img_claid_read(text, @extschema@.img_remote, jsonb) IS 'Internal: img_remote_read() for servers of type claid.';
