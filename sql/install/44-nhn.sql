------------------------------------------------------------------------ NHN --
-- What is said to servers of type nhn, and what their answers mean.
--
-- They run named operations, on files that they have. So the picture goes to
-- the folder /imgapi there, under the number of the job, and the steps become
-- an operation there whose name follows from them: both may be done again.
-- operations-exec then is the submit. What it makes is found in the folder,
-- fetched, and removed with the picture.
--
-- HTTP's status is 200 whatever happens; the outcome is a code in the body.

CREATE FUNCTION @extschema@.img_nhn_status(code int) RETURNS int
LANGUAGE sql IMMUTABLE
AS $$
	SELECT CASE
		WHEN code IN (400, 403, 404, 415, 429) THEN code
		WHEN code IN (401, 30004, 30005) THEN 401
		WHEN code = 40000 OR code BETWEEN 50001 AND 50013 THEN 403
		WHEN code IN (20001, 20002, 21011) THEN 404
		WHEN code IN (20000, 20010, 21002, 40002) THEN 409
		WHEN code IN (11003, 11004, 21003) THEN 413
		WHEN code IN (1, 2, 10001, 10002, 40003, 40004) OR code BETWEEN 5000 AND 5007 OR code BETWEEN 11001 AND 11060 THEN 400
		-- it has failed, and nothing was begun: -1, 21030, 21031, 22001, 23001,
		-- 23002, 24001 to 24005, 40001, 500201, and what nobody knows
		ELSE 503 END
$$;
COMMENT ON FUNCTION @extschema@.img_nhn_status(int) IS
	'Internal: the status of HTTP that a code of NHN''s, other than 0, amounts to.';

-- As a PUT has it: without what only answers have, and what is not given.
CREATE FUNCTION @extschema@.img_nhn_step(step jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
	template text := step ->> 'templateOperationId';
	option jsonb := pg_catalog.jsonb_strip_nulls(CASE WHEN pg_catalog.jsonb_typeof(step -> 'option') = 'object' THEN step -> 'option' ELSE '{}' END);
BEGIN
	IF template LIKE 'resize\_%' THEN
		IF option ? 'shrinkLargerOnly' AND NOT option ? 'upDownSizeType' THEN
			option := option || pg_catalog.jsonb_build_object('upDownSizeType',
				CASE option -> 'shrinkLargerOnly' WHEN 'true' THEN 'downOnly' ELSE 'upDownAll' END);
		END IF;
		-- both sides are asked for, even where one is followed
		option := pg_catalog.jsonb_build_object('width', option -> 'height', 'height', option -> 'width')
			|| (option - ARRAY['resizeType', 'shrinkLargerOnly']);
		IF option ->> 'targetExtension' = '' THEN
			option := option - 'targetExtension';
		END IF;
	ELSIF template = 'watermark' AND option ->> 'watermarkImagePath' NOT LIKE '/%' THEN
		RAISE EXCEPTION 'data: watermarkImagePath has to be a path at the server'
			USING ERRCODE = '0A000', DETAIL = pg_catalog.format('Given: "%s".', option ->> 'watermarkImagePath'),
				HINT = 'Upload the watermark there, and write for example {"watermarkImagePath": "/logos/mark.png"}; or leave server out.';
	END IF;
	RETURN pg_catalog.jsonb_build_object('templateOperationId', template, 'option', option);
END $$;
COMMENT ON FUNCTION @extschema@.img_nhn_step(jsonb) IS 'Internal: a step of an operation as NHN takes it.';

CREATE FUNCTION @extschema@.img_nhn_operation(request jsonb, OUT id text, OUT body jsonb)
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	IF NOT request ? 'operation_id' THEN
		RAISE EXCEPTION 'edits are not offered by servers of type nhn, which run named operations'
			USING ERRCODE = '0A000',
				HINT = 'SELECT img_submit_operation(''https://example.com/a.jpg'', ''100x100'', server => ''NAME''); or leave server out.';
	END IF;
	body := pg_catalog.jsonb_build_object('description', request ->> 'operation_id', 'realtimeService', false,
		'data', (SELECT pg_catalog.jsonb_agg(@extschema@.img_nhn_step(s.step) ORDER BY s.n)
			FROM pg_catalog.jsonb_array_elements(request -> 'data') WITH ORDINALITY s (step, n)));
	-- 20 letters and digits at most
	id := 'imgapi' || pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(body::text, 'UTF8')), 'hex'), 14);
END $$;
COMMENT ON FUNCTION @extschema@.img_nhn_operation(jsonb) IS
	'Internal: the operation of a job as it is put to NHN, under a name that follows from it.';

-- Files there are known by their extensions. name: under which the picture is
-- sent, the job's id with the extension of its format, if that is known.
CREATE FUNCTION @extschema@.img_nhn_path(job uuid, name text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
	extension text := COALESCE(pg_catalog.substring(name, pg_catalog.format('^%s[.](.+)$', job)), 'jpg');
BEGIN
	IF extension NOT IN ('jpg', 'png', 'gif', 'webp', 'tif') THEN
		RAISE EXCEPTION 'servers of type nhn take no pictures of format %', extension
			USING ERRCODE = '0A000', HINT = 'Make a JPEG of it first: SELECT img_submit(..., output => ''{"format": "jpeg"}'');';
	END IF;
	RETURN pg_catalog.format('/imgapi/%s.%s', job, extension);
END $$;
COMMENT ON FUNCTION @extschema@.img_nhn_path(uuid, text) IS 'Internal: where the picture of a job is at NHN.';

-- Several files come one after the other: those that are there may not be all.
CREATE FUNCTION @extschema@.img_nhn_splits(request jsonb) RETURNS bool
LANGUAGE sql IMMUTABLE
AS $$
	SELECT pg_catalog.jsonb_path_exists(request, '$.data[*].templateOperationId ? (@ == "slice" || @ == "grid")')
$$;
COMMENT ON FUNCTION @extschema@.img_nhn_splits(jsonb) IS 'Internal: whether the operation of a job makes several files of one.';

CREATE FUNCTION @extschema@.img_nhn_callback(r @extschema@.img_remote) RETURNS text
LANGUAGE sql STABLE
AS $$
	-- the id of the query comes back in the body; other ports are refused
	SELECT u.url || '?id=' || r.job_id FROM @extschema@.img_webhook_url(r.server::name) u (url)
	WHERE u.url ~ '^https?://[^/:]+(:80|:443)?/'
$$;
COMMENT ON FUNCTION @extschema@.img_nhn_callback(@extschema@.img_remote) IS 'Internal: where NHN says that a job is done; NULL: nowhere.';

CREATE FUNCTION @extschema@.img_nhn_request(what text, r @extschema@.img_remote, request jsonb, input text)
RETURNS @extschema@.img_remote_request
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	operation record := @extschema@.img_nhn_operation(request);
	asked @extschema@.img_remote_request;
	body jsonb;
BEGIN
	CASE
		WHEN what = 'folder' THEN
			asked.method := 'POST';
			asked.path := '/folders';
			body := '{"path": "/imgapi"}';
		WHEN what = 'upload' THEN
			asked.method := 'PUT';
			asked.path := pg_catalog.format('/images?path=%s&overwrite=true', @extschema@.img_nhn_path(r.job_id, input));
			asked.content_type := 'application/octet-stream';
			asked.picture := true;
		WHEN what = 'operation' THEN
			asked.method := 'PUT';
			asked.path := '/operations/' || operation.id;
			body := operation.body;
		WHEN what = 'submit' THEN
			asked.method := 'POST';
			asked.path := '/operations-exec';
			body := pg_catalog.jsonb_build_object('basepath', '/imgapi', 'operationIds', pg_catalog.jsonb_build_array(operation.id),
				'filepaths', pg_catalog.jsonb_build_array(r.result ->> 'path'))
				|| pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('callbackUrl', @extschema@.img_nhn_callback(r)));
		WHEN what = 'poll' AND r.remote_id NOT LIKE '/%' THEN
			asked.method := 'GET';
			asked.path := '/queues/' || r.remote_id;
		WHEN what IN ('poll', 'result') OR (what = 'find' AND NOT @extschema@.img_nhn_splits(request)) THEN
			asked.method := 'GET';
			asked.path := pg_catalog.format('/folders?basepath=/imgapi&createdBy=P&name=%s_%s&rows=10000', r.job_id, operation.id);
		WHEN what IN ('clean', 'cancel') AND r.result ? 'file_id' THEN
			asked.method := 'DELETE';
			asked.path := pg_catalog.format('/images/sync?fileId=%s&includeThumbnail=true', r.result ->> 'file_id');
		ELSE
			RETURN NULL;
	END CASE;
	IF body IS NOT NULL THEN
		asked.content_type := 'application/json';
		asked.body := body::text;
	END IF;
	RETURN asked;
END $$;
COMMENT ON FUNCTION @extschema@.img_nhn_request(text, @extschema@.img_remote, jsonb, text) IS
	'Internal: img_remote_request() for servers of type nhn.';

-- What was made, in order. Its path stands for a task whose number was lost.
CREATE FUNCTION @extschema@.img_nhn_files(what text, files jsonb, answer @extschema@.img_remote_answer) RETURNS @extschema@.img_remote_answer
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	IF what = 'find' THEN
		answer.state := CASE WHEN files = '[]' THEN 'missing' ELSE 'waiting' END;
		answer.remote_id := pg_catalog.substring(files #>> '{0,path}', '^/.*');
	ELSE
		answer.state := 'done';
		answer.next := 'clean';
		answer.urls := (SELECT pg_catalog.array_agg(f ->> 'url' ORDER BY f ->> 'name' COLLATE "C") FROM pg_catalog.jsonb_array_elements(files) f);
	END IF;
	RETURN answer;
END $$;
COMMENT ON FUNCTION @extschema@.img_nhn_files(text, jsonb, @extschema@.img_remote_answer) IS
	'Internal: img_nhn_read() for the list of what was made.';

CREATE FUNCTION @extschema@.img_nhn_read(what text, r @extschema@.img_remote, document jsonb) RETURNS @extschema@.img_remote_answer
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	answer @extschema@.img_remote_answer;
	code int := document #>> '{header,resultCode}';
	file jsonb := document -> 'file';
	extension text;
	queue jsonb := CASE what WHEN 'submit' THEN document #> '{queues,0}' ELSE document -> 'queue' END;
BEGIN
	IF what = 'begin' THEN
		answer.next := 'folder';
	ELSIF code = 0 OR (what = 'folder' AND code = 20000) OR (what = 'submit' AND code = 1 AND queue IS NOT NULL) THEN
		-- 20000: it is there, as was asked for; 1: fewer tasks than were asked for,
		-- but that was one
		answer.next := CASE what WHEN 'folder' THEN 'upload' WHEN 'operation' THEN 'submit' END;
		IF file ->> 'id' ~ '^[0-9A-Za-z-]{1,50}$' AND file ->> 'path' IS NOT NULL THEN
			answer.next := 'operation';
			extension := pg_catalog.substring(file ->> 'path', '[^.]*$');
			answer.result := pg_catalog.jsonb_build_object('file_id', file ->> 'id', 'path', file ->> 'path',
				'input_object', pg_catalog.jsonb_build_object('width', file #> '{imageProperty,width}', 'height', file #> '{imageProperty,height}',
					'format', CASE extension WHEN 'jpg' THEN 'jpeg' WHEN 'tif' THEN 'tiff' ELSE extension END));
		ELSIF queue ->> 'queueId' ~ '^[0-9A-Za-z-]{1,64}$' THEN
			answer.remote_id := queue ->> 'queueId';
			answer.status := pg_catalog.left(queue ->> 'status', 40);
			answer.state := CASE answer.status WHEN 'D' THEN 'ready' WHEN 'F' THEN 'failed' ELSE 'waiting' END;
			answer.next := CASE answer.state WHEN 'failed' THEN 'clean' END;
		ELSIF pg_catalog.jsonb_typeof(document -> 'files') = 'array' THEN
			answer := @extschema@.img_nhn_files(what, document -> 'files', answer);
		END IF;
	ELSIF code IS NOT NULL THEN
		answer.http_status := @extschema@.img_nhn_status(code);
		answer.code := code;
		answer.message := COALESCE(document #>> '{header,resultMessage}', 'it does not say why');
		answer.next := CASE WHEN what NOT IN ('clean', 'cancel') AND r.result ? 'file_id' THEN 'clean' END;
	END IF;
	RETURN answer;
END $$;
COMMENT ON FUNCTION @extschema@.img_nhn_read(text, @extschema@.img_remote, jsonb) IS 'Internal: img_remote_read() for servers of type nhn.';
