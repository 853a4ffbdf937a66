----------------------------------------------------------------------- jobs --

CREATE FUNCTION @extschema@.img_sees(owner regrole) RETURNS bool
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_sees(regrole) IS
	'Whether the current user may see rows of that owner: its own; all for superusers and members of imgapi.admin_role.';

-- Two views with a barrier each: one around a UNION ALL holds nothing back,
-- because the planner takes it apart.
CREATE VIEW @extschema@.img_job_live_visible WITH (security_barrier) AS
	SELECT l.id, l.task_id, l.kind,
		CASE WHEN l.lease_owner IS NULL THEN 'ACCEPTED' ELSE 'PROCESSING' END::@extschema@.img_job_status AS status,
		l.server, l.owner, l.request, l.priority, l.attempts, l.max_attempts,
		l.created_at, l.started_at, NULL::timestamptz AS finished_at, l.run_after,
		l.stage, l.error, l.error_code, NULL::text AS warning,
		l.job_key, l.callback_url, l.source_table, l.source_key, l.source_column, l.target_column, l.input
	FROM @extschema@.img_job_live l WHERE @extschema@.img_sees(l.owner);
COMMENT ON VIEW @extschema@.img_job_live_visible IS 'Internal: the rows of img_job that have not ended.';

CREATE VIEW @extschema@.img_job_ended_visible WITH (security_barrier) AS
	SELECT e.id, e.task_id, e.kind, e.status,
		e.server, e.owner, e.request, e.priority, e.attempts, e.max_attempts,
		e.created_at, e.started_at, e.finished_at, e.run_after,
		e.stage, e.error, e.error_code, e.warning,
		e.job_key, e.callback_url, e.source_table, e.source_key, e.source_column, e.target_column, e.input
	FROM @extschema@.img_job_ended e
	WHERE @extschema@.img_sees(e.owner) AND e.expires_at > pg_catalog.statement_timestamp();
COMMENT ON VIEW @extschema@.img_job_ended_visible IS 'Internal: the rows of img_job that have ended.';

CREATE VIEW @extschema@.img_job AS
	SELECT * FROM @extschema@.img_job_live_visible
	UNION ALL
	SELECT * FROM @extschema@.img_job_ended_visible;
COMMENT ON VIEW @extschema@.img_job IS 'One row a job. Users see their own.';
COMMENT ON COLUMN @extschema@.img_job.id IS 'time-ordered UUID, as img_submit() returned it';
COMMENT ON COLUMN @extschema@.img_job.task_id IS 'the same as a number';
COMMENT ON COLUMN @extschema@.img_job.kind IS 'edit, operation or delete';
COMMENT ON COLUMN @extschema@.img_job.status IS 'ACCEPTED, PROCESSING, DONE, ERROR or CANCELLED';
COMMENT ON COLUMN @extschema@.img_job.server IS 'foreign server that does it; NULL: this database';
COMMENT ON COLUMN @extschema@.img_job.owner IS 'role that submitted it and with whose rights it runs';
COMMENT ON COLUMN @extschema@.img_job.request IS 'operations and output as submitted';
COMMENT ON COLUMN @extschema@.img_job.priority IS 'lower runs first';
COMMENT ON COLUMN @extschema@.img_job.attempts IS 'attempts begun';
COMMENT ON COLUMN @extschema@.img_job.max_attempts IS 'attempts after which a transient failure is final';
COMMENT ON COLUMN @extschema@.img_job.created_at IS 'when it was submitted';
COMMENT ON COLUMN @extschema@.img_job.started_at IS 'when the last attempt began; once DONE, when an executor took it up';
COMMENT ON COLUMN @extschema@.img_job.finished_at IS 'when it became DONE, ERROR or CANCELLED';
COMMENT ON COLUMN @extschema@.img_job.run_after IS 'not before this time';
COMMENT ON COLUMN @extschema@.img_job.stage IS 'where the last failure happened';
COMMENT ON COLUMN @extschema@.img_job.error IS 'last failure; see img_job_error for all';
COMMENT ON COLUMN @extschema@.img_job.error_code IS 'SQLSTATE of the last failure';
COMMENT ON COLUMN @extschema@.img_job.warning IS 'what to know of a result that is not an error';
COMMENT ON COLUMN @extschema@.img_job.job_key IS 'key against double submission';
COMMENT ON COLUMN @extschema@.img_job.callback_url IS 'told when the job ends; see img_callback';
COMMENT ON COLUMN @extschema@.img_job.source_table IS 'table whose row holds the picture (triggers)';
COMMENT ON COLUMN @extschema@.img_job.source_key IS 'primary key of that row, as a text array';
COMMENT ON COLUMN @extschema@.img_job.source_column IS 'column of that row with the picture';
COMMENT ON COLUMN @extschema@.img_job.input IS 'URL, storage URI or path of the picture, where one was given';
COMMENT ON COLUMN @extschema@.img_job.target_column IS 'column of that row for the result';

-- what img_job is made of says the same
DO $$
DECLARE
	c record;
BEGIN
	FOR c IN
		SELECT a.attrelid::regclass AS relation, a.attname AS name,
			pg_catalog.col_description(j.attrelid, j.attnum) AS comment
		FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_attribute j ON j.attname = a.attname
		WHERE j.attrelid = '@extschema@.img_job'::regclass AND j.attnum > 0
			AND a.attrelid IN ('@extschema@.img_job_live'::regclass, '@extschema@.img_job_ended'::regclass,
				'@extschema@.img_job_live_visible'::regclass, '@extschema@.img_job_ended_visible'::regclass)
	LOOP
		EXECUTE pg_catalog.format('COMMENT ON COLUMN %s.%I IS %L', c.relation, c.name, c.comment);
	END LOOP;
END $$;

CREATE FUNCTION @extschema@.img_submit(input bytea, operations jsonb DEFAULT '{}', output jsonb DEFAULT NULL,
	server name DEFAULT NULL, priority int DEFAULT 0, run_after timestamptz DEFAULT NULL,
	max_attempts int DEFAULT NULL, callback_url text DEFAULT NULL, job_key text DEFAULT NULL) RETURNS uuid
	LANGUAGE c VOLATILE CALLED ON NULL INPUT AS 'MODULE_PATHNAME', 'img_submit';
COMMENT ON FUNCTION @extschema@.img_submit(bytea, jsonb, jsonb, name, int, timestamptz, int, text, text) IS
	'Queues an edit of a picture and returns the job''s id. It runs when the transaction has committed. Errors: 22023 with the JSON path, 0A000 for what needs a server, 54000 for a picture that is too large, 25006 in a read-only transaction.';

CREATE FUNCTION @extschema@.img_submit(input text, operations jsonb DEFAULT '{}', output jsonb DEFAULT NULL,
	server name DEFAULT NULL, priority int DEFAULT 0, run_after timestamptz DEFAULT NULL,
	max_attempts int DEFAULT NULL, callback_url text DEFAULT NULL, job_key text DEFAULT NULL) RETURNS uuid
	LANGUAGE c VOLATILE CALLED ON NULL INPUT AS 'MODULE_PATHNAME', 'img_submit_text';
COMMENT ON FUNCTION @extschema@.img_submit(text, jsonb, jsonb, name, int, timestamptz, int, text, text) IS
	'As img_submit(bytea, …), for a picture that is elsewhere: http(s)://…, storage://SERVER/path, or /folder/picture.jpg of your file tree. The worker reads it. Errors besides: 22P02 for what is none of these, 42704 and 42501 for servers that are not there or not open to you, 02000 for a file that is not there.';

CREATE FUNCTION @extschema@.img_read_remote(uri text) RETURNS bytea
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_read_remote(text) IS
	'Internal: the bytes of a picture on a server, storage://SERVER/path, on which the caller needs USAGE.';

CREATE FUNCTION @extschema@.img_storage_list(folder text) RETURNS TABLE (path text, bytes bigint)
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_storage_list(text) IS
	'What a folder of an S3 server holds, storage://SERVER/folder/, with everything below it. Reads it in this session.';

CREATE FUNCTION @extschema@.img_submit_batch(inputs text[], operations jsonb DEFAULT '{}', output jsonb DEFAULT NULL,
	server name DEFAULT NULL, priority int DEFAULT 0, run_after timestamptz DEFAULT NULL,
	max_attempts int DEFAULT NULL, callback_url text DEFAULT NULL, job_key text DEFAULT NULL) RETURNS SETOF uuid
LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT
AS $$
DECLARE
	given record;
	pictures bigint;
BEGIN
	IF inputs IS NULL OR pg_catalog.array_position(inputs, NULL) IS NOT NULL THEN
		RAISE EXCEPTION 'inputs must not be null, and none of them either'
			USING ERRCODE = '22023',
				HINT = 'SELECT img_submit_batch(ARRAY[''https://example.com/a.jpg'', ''storage://photos/folder/''], ''{"resizing": {"width": 256}}'');';
	ELSIF job_key IS NOT NULL AND (pg_catalog.cardinality(inputs) <> 1 OR inputs[1] LIKE '%/') THEN
		RAISE EXCEPTION 'job_key stands for one job, but these inputs give several'
			USING ERRCODE = '22023', HINT = 'Leave job_key out, or submit one by one with img_submit().';
	END IF;
	FOR given IN SELECT i.input FROM pg_catalog.unnest(inputs) WITH ORDINALITY i (input, place) ORDER BY i.place
	LOOP
		IF given.input NOT LIKE 'storage://%/' AND given.input NOT LIKE '/%/' AND given.input <> '/' THEN
			RETURN NEXT @extschema@.img_submit(given.input, operations, output, server, priority, run_after,
				max_attempts, callback_url, job_key);
			CONTINUE;
		END IF;
		RETURN QUERY SELECT @extschema@.img_submit(f.input, operations, output, server, priority, run_after,
				max_attempts, callback_url, job_key)
			FROM @extschema@.img_folder_inputs(given.input) f (input);
		GET DIAGNOSTICS pictures = ROW_COUNT;
		IF pictures = 0 THEN
			RAISE WARNING 'there is no picture in "%"', given.input USING HINT = pg_catalog.format('SELECT * FROM %s(%L);',
				CASE WHEN given.input LIKE '/%' THEN 'img_file_list' ELSE 'img_storage_list' END, given.input);
		END IF;
	END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.img_submit_batch(text[], jsonb, jsonb, name, int, timestamptz, int, text, text) IS
	'Queues one job an input, as img_submit(text, …). An input that ends in / is a folder of an S3 server, or of your file tree, and gives one job for each picture in it.';

CREATE FUNCTION @extschema@.img_submit_operation(input bytea, operation_id text,
	server name DEFAULT NULL, priority int DEFAULT 0, run_after timestamptz DEFAULT NULL,
	max_attempts int DEFAULT NULL, callback_url text DEFAULT NULL, job_key text DEFAULT NULL) RETURNS uuid
	LANGUAGE c VOLATILE CALLED ON NULL INPUT AS 'MODULE_PATHNAME', 'img_submit_operation';
COMMENT ON FUNCTION @extschema@.img_submit_operation(bytea, text, name, int, timestamptz, int, text, text) IS
	'Queues a named operation on a picture and returns the job''s id. The steps are those the operation has now. Errors: 02000 when there is no such operation, else as img_submit().';

CREATE FUNCTION @extschema@.img_submit_operation(input text, operation_id text,
	server name DEFAULT NULL, priority int DEFAULT 0, run_after timestamptz DEFAULT NULL,
	max_attempts int DEFAULT NULL, callback_url text DEFAULT NULL, job_key text DEFAULT NULL) RETURNS uuid
	LANGUAGE c VOLATILE CALLED ON NULL INPUT AS 'MODULE_PATHNAME', 'img_submit_operation_text';
COMMENT ON FUNCTION @extschema@.img_submit_operation(text, text, name, int, timestamptz, int, text, text) IS
	'As img_submit_operation(bytea, …), for a picture that is elsewhere: see img_submit(text, …).';

CREATE FUNCTION @extschema@.img_submit_keyed(new @extschema@.img_job_live, picture bytea) RETURNS uuid
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	present uuid;
	waiting bool;
BEGIN
	INSERT INTO @extschema@.img_job_live AS l SELECT new.*
	ON CONFLICT (owner, job_key) WHERE job_key IS NOT NULL DO UPDATE
		SET request = CASE WHEN l.lease_owner IS NULL AND COALESCE(l.server, new.server) IS NULL THEN excluded.request ELSE l.request END,
			input = CASE WHEN l.lease_owner IS NULL AND COALESCE(l.server, new.server) IS NULL THEN excluded.input ELSE l.input END,
			priority = CASE WHEN l.lease_owner IS NULL AND COALESCE(l.server, new.server) IS NULL THEN excluded.priority ELSE l.priority END,
			run_after = CASE WHEN l.lease_owner IS NULL AND COALESCE(l.server, new.server) IS NULL THEN excluded.run_after ELSE l.run_after END,
			callback_url = CASE WHEN l.lease_owner IS NULL AND COALESCE(l.server, new.server) IS NULL THEN excluded.callback_url ELSE l.callback_url END,
			max_attempts = CASE WHEN l.lease_owner IS NULL AND COALESCE(l.server, new.server) IS NULL THEN excluded.max_attempts ELSE l.max_attempts END,
			retention = CASE WHEN l.lease_owner IS NULL AND COALESCE(l.server, new.server) IS NULL THEN excluded.retention ELSE l.retention END
	RETURNING l.id, l.lease_owner IS NULL AND COALESCE(l.server, new.server) IS NULL INTO present, waiting;
	IF picture IS NULL THEN
		DELETE FROM @extschema@.img_object o WHERE waiting AND o.job_id = present AND o.role = 'input';
	ELSIF present = new.id OR (waiting AND NOT EXISTS (SELECT FROM @extschema@.img_object o
			WHERE o.job_id = present AND o.role = 'input')) THEN
		PERFORM @extschema@.img_store_input(present, new.owner, picture, new.created_at, new.retention);
	ELSIF waiting THEN
		UPDATE @extschema@.img_object o
		SET data = picture, bytes = pg_catalog.octet_length(picture), sha256 = pg_catalog.sha256(picture),
			stored_at = new.created_at, expires_at = new.created_at + new.retention
		WHERE o.job_id = present AND o.role = 'input';
	END IF;
	RETURN present;
END $$;
COMMENT ON FUNCTION @extschema@.img_submit_keyed(@extschema@.img_job_live, bytea) IS
	'Internal: img_submit() with a job_key. A job with the key that has not started takes the new request; one that has started, or is a server''s, stays as it is.';

CREATE FUNCTION @extschema@.img_store_input(job uuid, owner regrole, picture bytea,
	uploaded_at timestamptz, retention interval) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	object uuid := @extschema@.img_new_id();
BEGIN
	INSERT INTO @extschema@.img_object (id, job_id, owner, role, storage, path, bytes, sha256, data, stored_at, expires_at)
	VALUES (object, job, owner, 'input', 'database', object::text, pg_catalog.octet_length(picture),
		pg_catalog.sha256(picture), picture, uploaded_at, uploaded_at + retention);
END $$;
COMMENT ON FUNCTION @extschema@.img_store_input(uuid, regrole, bytea, timestamptz, interval) IS
	'Internal: stores the picture of a new job in the database.';

CREATE FUNCTION @extschema@.img_status(job uuid) RETURNS @extschema@.img_job_status
LANGUAGE plpgsql STABLE STRICT
AS $$
DECLARE
	found_status @extschema@.img_job_status;
BEGIN
	SELECT j.status INTO found_status FROM @extschema@.img_job j WHERE j.id = job;
	IF NOT FOUND THEN
		PERFORM @extschema@.img_no_such_job(job);
	END IF;
	RETURN found_status;
END $$;
COMMENT ON FUNCTION @extschema@.img_status(uuid) IS
	'State of a job. Error 02000 when there is no such job, or not one of yours.';

CREATE FUNCTION @extschema@.img_no_such_job(job uuid) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
	RAISE EXCEPTION 'there is no job %', job
		USING ERRCODE = '02000',
			DETAIL = 'Jobs are visible to the role that submitted them, and are purged after imgapi.retention.',
			HINT = 'SELECT id, status, created_at FROM img_job ORDER BY created_at DESC LIMIT 10;';
END $$;
COMMENT ON FUNCTION @extschema@.img_no_such_job(uuid) IS 'Internal: the error for an unknown job.';

CREATE FUNCTION @extschema@.img_wait(job uuid, timeout interval DEFAULT '1 minute')
	RETURNS @extschema@.img_job_status
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_wait(uuid, interval) IS
	'Returns the state of a job as soon as it has ended, or when the time is over. Error 55000 in the transaction that submitted the job, which has to commit first; 02000 when there is no such job.';

CREATE FUNCTION @extschema@.img_cancel(job uuid) RETURNS bool
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_cancel(uuid) IS
	'Cancels a job that has not ended. False: too late. A result that a running job still makes is thrown away.';

CREATE FUNCTION @extschema@.img_retry(job uuid) RETURNS bool
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_retry(uuid) IS
	'Queues a job that ended as ERROR or CANCELLED again, with all its attempts. False: nothing to retry.';

CREATE FUNCTION @extschema@.img_cancel_as(job uuid, who regrole) RETURNS bool
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	live @extschema@.img_job_live;
BEGIN
	SELECT l.* INTO live FROM @extschema@.img_job_live l
	WHERE l.id = job AND @extschema@.img_sees_as(l.owner, who) FOR UPDATE;
	IF NOT FOUND THEN
		IF NOT EXISTS (SELECT FROM @extschema@.img_job_ended e
				WHERE e.id = job AND e.expires_at > pg_catalog.clock_timestamp()
					AND @extschema@.img_sees_as(e.owner, who)) THEN
			PERFORM @extschema@.img_no_such_job(job);
		END IF;
		RETURN false;
	END IF;
	PERFORM @extschema@.img_end(live, 'CANCELLED');
	RETURN true;
END $$;
COMMENT ON FUNCTION @extschema@.img_cancel_as(uuid, regrole) IS 'Internal: img_cancel() for that role.';

CREATE FUNCTION @extschema@.img_retry_as(job uuid, who regrole) RETURNS bool
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	ended @extschema@.img_job_ended;
	present timestamptz := pg_catalog.clock_timestamp();
BEGIN
	SELECT e.* INTO ended FROM @extschema@.img_job_ended e
	WHERE e.id = job AND e.expires_at > present AND @extschema@.img_sees_as(e.owner, who) FOR UPDATE;
	IF NOT FOUND THEN
		IF NOT EXISTS (SELECT FROM @extschema@.img_job_live l
				WHERE l.id = job AND @extschema@.img_sees_as(l.owner, who)) THEN
			PERFORM @extschema@.img_no_such_job(job);
		END IF;
		RETURN false;
	END IF;
	IF ended.status = 'DONE' THEN
		RETURN false;
	END IF;
	IF ended.source_table IS NULL AND ended.input IS NULL AND ended.kind <> 'delete' AND NOT EXISTS (SELECT FROM @extschema@.img_object o
			WHERE o.job_id = job AND o.role = 'input' AND o.expires_at > present) THEN
		RAISE EXCEPTION 'the picture of job % has been purged', job
			USING ERRCODE = '02000',
				HINT = 'Submit it again: SELECT img_submit(picture, operations) …';
	END IF;
	DELETE FROM @extschema@.img_job_ended e WHERE e.id = job;
	-- Nobody need be told any more how it ended.
	DELETE FROM @extschema@.img_callback c WHERE c.job_id = job AND c.state = 'waiting';
	PERFORM @extschema@.img_remote_take_up(job);
	INSERT INTO @extschema@.img_job_live (id, task_id, created_at, run_after, retention, owner, kind, priority,
		max_attempts, server, job_key, callback_url, source_table, source_column, source_key,
		target_column, request, input)
	VALUES (ended.id, ended.task_id, ended.created_at, present, ended.retention, ended.owner, ended.kind, ended.priority,
		ended.max_attempts, ended.server, ended.job_key, ended.callback_url, ended.source_table,
		ended.source_column, ended.source_key, ended.target_column, ended.request, ended.input);
	RETURN true;
EXCEPTION WHEN unique_violation THEN
	RAISE EXCEPTION 'job % cannot be tried again: another one with its job_key has taken its place', job
		USING ERRCODE = '55000',
			DETAIL = pg_catalog.format('job_key: %s', ended.job_key),
			HINT = pg_catalog.format('SELECT * FROM img_job WHERE job_key = %L;', ended.job_key);
END $$;
COMMENT ON FUNCTION @extschema@.img_retry_as(uuid, regrole) IS 'Internal: img_retry() for that role.';

CREATE FUNCTION @extschema@.img_sees_as(owner regrole, who regrole) RETURNS bool
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_sees_as(regrole, regrole) IS 'Internal: img_sees() for that role.';

CREATE FUNCTION @extschema@.img_output(job uuid, ordinal int DEFAULT 0) RETURNS bytea
LANGUAGE plpgsql VOLATILE STRICT
AS $$
DECLARE
	object @extschema@.img_object;
	state @extschema@.img_job_status := @extschema@.img_status(job);
	picture bytea;
BEGIN
	IF state IN ('ACCEPTED', 'PROCESSING') THEN
		RAISE EXCEPTION 'job % is not ready: it is %', job, state
			USING ERRCODE = '55000',
				HINT = pg_catalog.format('SELECT img_wait(%L);', job);
	ELSIF state IN ('ERROR', 'CANCELLED') THEN
		RAISE EXCEPTION 'job % has no output: it ended as %', job, state
			USING ERRCODE = '55000',
				DETAIL = COALESCE((SELECT j.error FROM @extschema@.img_job j WHERE j.id = job), ''),
				HINT = pg_catalog.format('SELECT img_retry(%L);', job);
	END IF;
	SELECT o.* INTO object FROM @extschema@.img_object o
	WHERE o.job_id = job AND o.role = 'output' AND o.ordinal = img_output.ordinal
		AND o.expires_at > pg_catalog.clock_timestamp();
	IF NOT FOUND THEN
		RAISE EXCEPTION 'job % has no output %', job, ordinal
			USING ERRCODE = '02000',
				DETAIL = 'Outputs are numbered from 0 and are purged after imgapi.retention.';
	END IF;
	IF object.storage = 'database' THEN
		RETURN object.data;
	ELSIF object.storage <> 'row' THEN
		RETURN @extschema@.img_read_remote(pg_catalog.format('storage://%s/%s', object.storage, object.path));
	END IF;
	IF object.path LIKE '/%' THEN
		SELECT c.data INTO picture FROM @extschema@.img_file f JOIN @extschema@.img_file_content c ON c.file_id = f.id
		WHERE f.owner = object.owner AND f.path = object.path;
	ELSE
		picture := @extschema@.img_read_row(job);
	END IF;
	IF picture IS NULL OR pg_catalog.sha256(picture) <> object.sha256 THEN
		RAISE EXCEPTION 'the output of job % is gone', job
			USING ERRCODE = '02000',
				DETAIL = 'It was written to a row or file, which has been deleted or holds another picture now.';
	END IF;
	RETURN picture;
END $$;
COMMENT ON FUNCTION @extschema@.img_output(uuid, int) IS
	'The result of a job. Error 55000 when it is not ready or failed, 02000 when there is none (any more).';

CREATE FUNCTION @extschema@.img_named_picture(name text) RETURNS bytea
LANGUAGE plpgsql STABLE STRICT
AS $$
DECLARE
	-- every path in the database begins with the id of an object or of a job
	uuid_pattern constant text := '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}';
	key text;
	picture bytea;
BEGIN
	IF name ~* (uuid_pattern || '$') THEN
		RETURN @extschema@.img_output(name::uuid);
	ELSIF name LIKE 'storage://database/%' THEN
		key := pg_catalog.substr(name, 20);
		IF key ~* uuid_pattern THEN
			SELECT o.data INTO picture FROM @extschema@.img_object o
			WHERE (o.job_id = pg_catalog.left(key, 36)::uuid OR o.id = pg_catalog.left(key, 36)::uuid)
				AND o.storage = 'database' AND o.path = key AND o.expires_at > pg_catalog.clock_timestamp();
		END IF;
		IF picture IS NULL THEN
			RAISE EXCEPTION 'there is no picture "%"', name
				USING ERRCODE = '02000',
					DETAIL = 'Pictures are visible to the role whose job they belong to, and are gone after imgapi.retention.',
					HINT = 'SELECT ''storage://'' || storage || ''/'' || path FROM img_object WHERE storage = ''database'';';
		END IF;
		RETURN picture;
	ELSIF name LIKE '/%' THEN
		RETURN @extschema@.img_file_read(name);
	END IF;
	RAISE EXCEPTION 'the picture "%" cannot be reached from here', name
		USING ERRCODE = '0A000',
			DETAIL = 'A picture that comes along with another one has to be in the database.',
			HINT = 'Write /folder/picture.png, the id of a job, or storage://database/PATH.';
END $$;
COMMENT ON FUNCTION @extschema@.img_named_picture(text) IS
	'Internal: the picture that a watermark names: a path of the file tree, the id of a job, or storage://database/PATH. Errors: 02000 when there is none, 0A000 for other storages.';

CREATE FUNCTION @extschema@.img_read_row(job uuid) RETURNS bytea
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	j @extschema@.img_job;
	condition text;
	picture bytea;
BEGIN
	SELECT * INTO j FROM @extschema@.img_job v WHERE v.id = job;
	-- by the operators of the primary key, wherever they are
	SELECT pg_catalog.string_agg(pg_catalog.format('t.%I OPERATOR(%I.%s) %L', a.attname,
		n.nspname, o.oprname, (j.source_key::text[])[k.place]), ' AND ')
	INTO condition
	FROM pg_catalog.pg_index i
		CROSS JOIN LATERAL pg_catalog.generate_series(1, i.indnkeyatts) k (place)
		JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.place - 1]
		JOIN pg_catalog.pg_opclass c ON c.oid = i.indclass[k.place - 1]
		JOIN pg_catalog.pg_amop m ON m.amopfamily = c.opcfamily AND m.amopstrategy = 3
			AND m.amoplefttype = c.opcintype AND m.amoprighttype = c.opcintype
		JOIN pg_catalog.pg_operator o ON o.oid = m.amopopr
		JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
	WHERE i.indrelid = j.source_table AND i.indisprimary;
	EXECUTE pg_catalog.format('SELECT t.%I FROM %s t WHERE %s', j.target_column, j.source_table, condition)
		INTO picture;
	RETURN picture;
END $$;
COMMENT ON FUNCTION @extschema@.img_read_row(uuid) IS
	'Internal: the result that a trigger job has written to its row; NULL when the row is gone.';

CREATE FUNCTION @extschema@.img_result(job uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE STRICT
AS $$
DECLARE
	j @extschema@.img_job;
	inputs jsonb;
	outputs jsonb;
BEGIN
	SELECT * INTO j FROM @extschema@.img_job v WHERE v.id = job;
	IF NOT FOUND THEN
		PERFORM @extschema@.img_no_such_job(job);
	END IF;
	SELECT pg_catalog.jsonb_agg(@extschema@.img_object_document(o) ORDER BY o.ordinal) FILTER (WHERE o.role = 'input'),
		pg_catalog.jsonb_agg(@extschema@.img_object_document(o) ORDER BY o.ordinal) FILTER (WHERE o.role = 'output')
	INTO inputs, outputs
	FROM @extschema@.img_object o WHERE o.job_id = job AND o.expires_at > pg_catalog.clock_timestamp();
	RETURN pg_catalog.jsonb_build_object(
		'id', j.task_id,
		'job_id', j.id,
		'status', j.status,
		'created_at', j.created_at,
		'request', CASE WHEN j.input IS NULL THEN j.request
			ELSE pg_catalog.jsonb_build_object('input', j.input) || j.request END,
		'errors', CASE WHEN j.status = 'ERROR' THEN
			COALESCE((SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
				'error', e.error, 'created_at', e.created_at, 'input_object', inputs -> 0) ORDER BY e.created_at)
			FROM @extschema@.img_job_error e WHERE e.job_id = job), '[]')
			ELSE '[]' END,
		'result', CASE WHEN j.status = 'DONE' THEN
			pg_catalog.jsonb_build_object('input_object', inputs -> 0, 'output_object', outputs -> 0)
			|| CASE WHEN pg_catalog.jsonb_array_length(outputs) > 1
				THEN pg_catalog.jsonb_build_object('output_objects', outputs) ELSE '{}' END
			ELSE '{}' END);
END $$;
COMMENT ON FUNCTION @extschema@.img_result(uuid) IS
	'What became of a job, as the edit contract words it: id, status, created_at, request, errors, result {input_object, output_object}.';

CREATE FUNCTION @extschema@.img_queue(queue_id uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE STRICT
AS $$
DECLARE
	j @extschema@.img_job;
	o @extschema@.img_object;
BEGIN
	SELECT * INTO j FROM @extschema@.img_job v WHERE v.id = queue_id;
	IF NOT FOUND THEN
		PERFORM @extschema@.img_no_such_job(queue_id);
	END IF;
	SELECT * INTO o FROM @extschema@.img_object v
	WHERE v.job_id = queue_id AND v.role = 'output' AND v.ordinal = 0;
	RETURN pg_catalog.jsonb_build_object(
		'queueId', j.id,
		'queueType', CASE WHEN j.kind = 'delete' THEN 'delete' ELSE 'image' END,
		'status', CASE j.status WHEN 'ACCEPTED' THEN 'W' WHEN 'PROCESSING' THEN 'P' WHEN 'DONE' THEN 'D' ELSE 'F' END,
		'tryCount', GREATEST(j.attempts - 1, 0),
		'queuedAt', pg_catalog.to_char(j.created_at, 'YYYY-MM-DD"T"HH24:MI:SSTZHTZM'),
		'operationId', COALESCE(j.request ->> 'operation_id', ''),
		'url', '',
		'name', COALESCE(o.name, ''),
		'path', COALESCE(CASE WHEN o.storage <> 'row' THEN '/' || o.path WHEN o.path LIKE '/%' THEN o.path END, ''));
END $$;
COMMENT ON FUNCTION @extschema@.img_queue(uuid) IS
	'A job as the operation contract words it: queueId, queueType, status (W waits, P is worked on, D done, F failed or cancelled), tryCount, queuedAt, operationId, url, name, path. Error 02000 when there is no such job.';

CREATE FUNCTION @extschema@.img_object_document(o @extschema@.img_object) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
		'ext', o.ext, 'mps', o.mps, 'mime', o.mime, 'format', o.format,
		'width', o.width, 'height', o.height, 'bytes', o.bytes,
		'object_key', CASE WHEN o.role = 'output' THEN o.path END,
		'object_uri', CASE WHEN o.role <> 'output' THEN NULL WHEN o.storage <> 'row' THEN 'storage://' || o.storage || '/' || o.path
			WHEN o.path LIKE '/%' THEN o.path END))
$$;
COMMENT ON FUNCTION @extschema@.img_object_document(@extschema@.img_object) IS
	'Internal: input_object and output_object of img_result().';

