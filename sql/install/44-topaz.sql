---------------------------------------------------------------------- Topaz --
-- What is said to servers of type topaz, and what their answers mean.
--
-- The API does one thing a job: it cuts the subject out (background.remove), or
-- it enlarges (restorations.upscale, with the size of resizing). What has no
-- name in the edit contract is asked for as operations.topaz: {"endpoint":
-- "denoise", "model": …, "settings": {…}}.
--
-- A picture in the database is uploaded; of any other, the API is given the URL.
-- The name of what is uploaded is the id of the job, by which it is found in the
-- API's list when the answer to a submit was lost.

CREATE FUNCTION @extschema@.img_topaz_refuse(what text, hint text) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	RAISE EXCEPTION '% is not offered by servers of type topaz', what
		USING ERRCODE = '0A000', HINT = hint;
END $$;
COMMENT ON FUNCTION @extschema@.img_topaz_refuse(text, text) IS 'Internal: raises 0A000.';

CREATE FUNCTION @extschema@.img_topaz_size(resizing jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
	fit text := COALESCE(resizing #>> '{fit,type}', resizing ->> 'fit', 'crop');
	side record;
BEGIN
	FOR side IN SELECT s.name, resizing -> s.name AS value
		FROM pg_catalog.unnest(ARRAY['width', 'height']) s (name) WHERE resizing -> s.name <> '"auto"'
	LOOP
		IF pg_catalog.jsonb_typeof(side.value) <> 'number' THEN
			PERFORM @extschema@.img_topaz_refuse(pg_catalog.format('operations.resizing.%s as a percentage', side.name), 'Write pixels.');
		END IF;
	END LOOP;
	IF resizing ? 'scale' OR fit NOT IN ('crop', 'canvas') OR (fit = 'crop' AND resizing #>> '{fit,crop}' = 'smart') THEN
		PERFORM @extschema@.img_topaz_refuse('this operations.resizing', 'Write {"resizing": {"width": 800, "height": 600, "fit": "crop"}}, or "canvas".');
	END IF;
	RETURN pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
		'output_width', NULLIF(resizing -> 'width', '"auto"'), 'output_height', NULLIF(resizing -> 'height', '"auto"'),
		'crop_to_fill', CASE WHEN resizing -> 'width' <> '"auto"' AND resizing -> 'height' <> '"auto"' THEN fit = 'crop' END));
END $$;
COMMENT ON FUNCTION @extschema@.img_topaz_size(jsonb) IS 'Internal: resizing of the edit contract as fields of Topaz''.';

CREATE FUNCTION @extschema@.img_topaz_fields(request jsonb, OUT endpoint text, OUT fields jsonb)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	operations jsonb := pg_catalog.jsonb_strip_nulls(COALESCE(request -> 'operations', '{}'));
	own jsonb := operations -> 'topaz';
	upscale text := COALESCE(operations #>> '{restorations,upscale,type}', operations #>> '{restorations,upscale}');
	output jsonb := CASE WHEN pg_catalog.jsonb_typeof(request -> 'output') = 'object' THEN request -> 'output' ELSE '{}' END;
	format text := pg_catalog.lower(COALESCE(output #>> '{format,type}', output ->> 'format'));
	cuts bool := COALESCE(operations #> '{background,remove}' NOT IN ('false', 'null'), false);
BEGIN
	fields := CASE WHEN operations ? 'resizing' THEN @extschema@.img_topaz_size(operations -> 'resizing') ELSE '{}' END;
	IF (operations -> 'background') - 'remove' <> '{}' THEN
		PERFORM @extschema@.img_topaz_refuse('operations.background but for remove', 'Write {"background": {"remove": true}}, and edit the result.');
	ELSIF own IS NULL AND NOT cuts AND upscale IS NULL AND fields = '{}' THEN
		PERFORM @extschema@.img_topaz_refuse('a job that asks for nothing', 'Write for example {"restorations": {"upscale": "photo"}, "resizing": {"width": 4000}}.');
	END IF;
	IF (own IS NOT NULL)::int + cuts::int + (upscale IS NOT NULL)::int > 1 THEN
		PERFORM @extschema@.img_topaz_refuse('more than one of topaz, background.remove and restorations.upscale in a job',
			'Make two jobs of it: the result of one is the input of the other.');
	ELSIF cuts THEN
		IF pg_catalog.jsonb_typeof(operations #> '{background,remove}') = 'object' THEN
			PERFORM @extschema@.img_topaz_refuse('operations.background.remove with options', 'Write {"background": {"remove": true}}.');
		ELSIF fields <> '{}' THEN
			PERFORM @extschema@.img_topaz_refuse('operations.resizing beside background.remove', 'Leave it out, and edit the result.');
		END IF;
		endpoint := 'matting';
		fields := '{"model": "Object", "output_format": "png"}';
	ELSIF own IS NOT NULL THEN
		endpoint := own ->> 'endpoint';
		fields := fields || COALESCE(own -> 'settings', '{}') || pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('model', own -> 'model'));
		IF endpoint IS NULL OR endpoint NOT IN ('enhance', 'enhance-gen', 'sharpen', 'sharpen-gen', 'denoise', 'restore-gen', 'lighting', 'matting', 'tool') THEN
			RAISE EXCEPTION 'operations.topaz.endpoint must be one of Topaz'' endpoints'
				USING ERRCODE = '22023', DETAIL = 'Allowed: enhance, enhance-gen, sharpen, sharpen-gen, denoise, restore-gen, lighting, matting, tool.',
					HINT = 'Write for example {"topaz": {"endpoint": "denoise", "model": "Strong"}}.';
		END IF;
	ELSE
		endpoint := 'enhance';
		fields := fields || pg_catalog.jsonb_build_object('model', CASE upscale
			WHEN 'photo' THEN 'High Fidelity V2' WHEN 'digital_art' THEN 'CGI' WHEN 'smart_resize' THEN 'Low Resolution V2' ELSE 'Standard V2' END)
			|| CASE upscale WHEN 'faces' THEN '{"face_enhancement": true}' ELSE '{}' END::jsonb;
	END IF;
	IF format NOT IN ('jpeg', 'jpg', 'png', 'tiff', 'tif') OR (format <> 'png' AND endpoint IN ('matting', 'tool')) THEN
		PERFORM @extschema@.img_topaz_refuse(pg_catalog.format('output.format "%s"', format),
			CASE WHEN endpoint IN ('matting', 'tool') THEN 'Write {"format": "png"}.' ELSE 'Write {"format": "jpeg"}, "png" or "tiff".' END);
	ELSIF pg_catalog.jsonb_typeof(output -> 'format') = 'object' AND (output -> 'format') - 'type' <> '{}' OR output ? 'metadata' THEN
		PERFORM @extschema@.img_topaz_refuse('options of output', 'Write {"format": "png"}.');
	END IF;
	fields := fields || pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('output_format', format));
END $$;
COMMENT ON FUNCTION @extschema@.img_topaz_fields(jsonb) IS 'Internal: a request of the edit contract as endpoint and fields of Topaz''.';

CREATE FUNCTION @extschema@.img_topaz_submit(r @extschema@.img_remote, request jsonb, input text)
RETURNS @extschema@.img_remote_request
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	newline constant text := E'\r\n';
	part constant text := '--imgapi-' || pg_catalog.gen_random_uuid();
	asked record := @extschema@.img_topaz_fields(request);
	uploaded bool := input !~* '^https?://';
	extension text := pg_catalog.substring(input, '\.([a-z]+)$');
	form text;
BEGIN
	IF uploaded AND r.job_id IS NOT NULL AND (extension NOT IN ('jpg', 'png', 'tif') OR (asked.endpoint = 'tool' AND extension <> 'png')) THEN
		PERFORM @extschema@.img_topaz_refuse('a picture of type ' || extension,
			CASE asked.endpoint WHEN 'tool' THEN 'It takes PNG' ELSE 'It takes JPEG, PNG and TIFF' END
			|| ': SELECT img_submit(img_edit(picture, ''{}'', ''{"format": "png"}''), ''{...}'', server => ''NAME'');');
	END IF;
	form := COALESCE((SELECT pg_catalog.string_agg(part || newline || 'Content-Disposition: form-data; name="'
			|| pg_catalog.translate(f.key, E'"\\\r\n', '____') || '"' || newline || newline || f.value || newline, '')
		FROM pg_catalog.jsonb_each_text(asked.fields || pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
			'source_url', CASE WHEN NOT uploaded THEN input END, 'webhook_url', @extschema@.img_webhook_url(r.server::name)))) f), '');
	IF uploaded THEN
		form := form || part || newline || pg_catalog.format('Content-Disposition: form-data; name="image"; filename="%s"', input) || newline
			|| 'Content-Type: ' || CASE extension WHEN 'jpg' THEN 'image/jpeg' WHEN 'png' THEN 'image/png' WHEN 'tif' THEN 'image/tiff'
				ELSE 'application/octet-stream' END || newline || newline;
	END IF;
	RETURN ROW('POST', '/' || asked.endpoint || '/async', 'multipart/form-data; boundary=' || pg_catalog.substr(part, 3),
		form, uploaded, CASE WHEN uploaded THEN newline ELSE '' END || part || '--' || newline)::@extschema@.img_remote_request;
END $$;
COMMENT ON FUNCTION @extschema@.img_topaz_submit(@extschema@.img_remote, jsonb, text) IS
	'Internal: a request as a form for Topaz, with a link to the picture or the name under which its bytes are sent.';

CREATE FUNCTION @extschema@.img_topaz_request(what text, r @extschema@.img_remote, request jsonb, input text)
RETURNS @extschema@.img_remote_request
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	path text;
BEGIN
	IF what = 'submit' THEN
		RETURN @extschema@.img_topaz_submit(r, request, input);
	ELSIF what = 'find' AND input ~* '^(https?|storage)://' AND input !~ '^storage://database/'
		AND pg_catalog.strpos(input, r.job_id::text) = 0 THEN
		-- nothing in its list would tell whose it is
		RETURN NULL;
	END IF;
	path := CASE what
		WHEN 'poll' THEN '/status/' || r.remote_id
		WHEN 'result' THEN '/download/' || r.remote_id
		WHEN 'cancel' THEN '/cancel/' || r.remote_id
		WHEN 'find' THEN '/status?paginated=true&limit=100' || COALESCE('&cursor=' || (r.result ->> 'cursor'), '') END;
	RETURN ROW(CASE what WHEN 'cancel' THEN 'DELETE' ELSE 'GET' END, path, NULL, NULL, NULL, NULL)::@extschema@.img_remote_request;
END $$;
COMMENT ON FUNCTION @extschema@.img_topaz_request(text, @extschema@.img_remote, jsonb, text) IS 'Internal: img_remote_request() for servers of type topaz.';

CREATE FUNCTION @extschema@.img_topaz_found(r @extschema@.img_remote, document jsonb) RETURNS @extschema@.img_remote_answer
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	answer @extschema@.img_remote_answer;
	task jsonb;
	cursor text := document #>> '{pagination,next_cursor}';
BEGIN
	IF pg_catalog.jsonb_typeof(document -> 'data') <> 'array' THEN
		RETURN NULL;
	END IF;
	SELECT d INTO task FROM pg_catalog.jsonb_array_elements(document -> 'data') d
	WHERE pg_catalog.strpos(pg_catalog.lower(d ->> 'filename'), r.job_id::text) > 0 AND d ->> 'process_id' ~ '^[0-9A-Fa-f-]{1,64}$'
	ORDER BY (d ->> 'creation_time')::float8 DESC LIMIT 1;
	IF FOUND THEN
		answer.remote_id := task ->> 'process_id';
		answer.status := pg_catalog.left(task ->> 'status', 40);
		answer.state := 'waiting';
	ELSIF document #> '{pagination,has_next_page}' = 'true' AND cursor ~ '^[A-Za-z0-9._~+/=-]+$' AND pg_catalog.length(cursor) < 4000 THEN
		answer.next := 'find';
		cursor := pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(cursor, '+', '%2B'), '/', '%2F'), '=', '%3D');
	ELSIF document #> '{pagination,has_next_page}' = 'false' THEN
		answer.state := 'missing';
	END IF;
	-- from the beginning, should it be looked for again
	answer.result := pg_catalog.jsonb_build_object('cursor', CASE answer.next WHEN 'find' THEN cursor END);
	RETURN answer;
END $$;
COMMENT ON FUNCTION @extschema@.img_topaz_found(@extschema@.img_remote, jsonb) IS 'Internal: whether a page of Topaz'' list has a job.';

CREATE FUNCTION @extschema@.img_topaz_read(what text, r @extschema@.img_remote, document jsonb) RETURNS @extschema@.img_remote_answer
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	answer @extschema@.img_remote_answer;
	eta float8 := CASE WHEN pg_catalog.jsonb_typeof(document -> 'eta') = 'number' THEN document ->> 'eta' END;
BEGIN
	answer.code := document ->> 'code';
	answer.message := document ->> 'message';
	IF what = 'find' AND document ? 'data' THEN
		RETURN @extschema@.img_topaz_found(r, document);
	END IF;
	IF document ->> 'process_id' ~ '^[0-9A-Fa-f-]{1,64}$' THEN
		answer.remote_id := document ->> 'process_id';
	END IF;
	IF eta BETWEEN 0 AND 1e11 THEN
		answer.eta := pg_catalog.to_timestamp(eta);
	END IF;
	IF what = 'result' THEN
		IF document ->> 'download_url' IS NOT NULL THEN
			answer.urls := ARRAY[document ->> 'download_url'];
			answer.state := 'done';
			answer.result := @extschema@.img_remote_link(document ->> 'download_url', document ->> 'head_url',
				COALESCE((CASE WHEN pg_catalog.jsonb_typeof(document -> 'expiry') = 'number' THEN document ->> 'expiry' END)::numeric,
					EXTRACT(epoch FROM pg_catalog.clock_timestamp() + interval '1 hour')));
		END IF;
	ELSIF what = 'poll' AND document ? 'status' THEN
		answer.status := pg_catalog.left(document ->> 'status', 40);
		answer.state := CASE pg_catalog.lower(answer.status) WHEN 'completed' THEN 'ready'
			WHEN 'failed' THEN 'failed' WHEN 'cancelled' THEN 'cancelled' ELSE 'waiting' END;
		answer.result := pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('credits', document -> 'credits',
			'input_object', pg_catalog.jsonb_build_object('format', document -> 'input_format',
				'width', document -> 'input_width', 'height', document -> 'input_height')));
	END IF;
	RETURN answer;
END $$;
COMMENT ON FUNCTION @extschema@.img_topaz_read(text, @extschema@.img_remote, jsonb) IS 'Internal: img_remote_read() for servers of type topaz.';
