------------------------------------------------------------------------- S3 --

CREATE FUNCTION @extschema@.img_storage_presign(server name, path text, method text DEFAULT 'GET',
	lifetime interval DEFAULT '1 hour', at timestamptz DEFAULT NULL, parameters jsonb DEFAULT NULL, role regrole DEFAULT NULL)
RETURNS text
	LANGUAGE c VOLATILE PARALLEL SAFE COST 100 AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_storage_presign(name, text, text, interval, timestamptz, jsonb, regrole) IS
	'Internal: a link to an object on an S3 server, valid from a time (NULL: now) for a lifetime, signed with the user mapping of a role (NULL: the current user). Parameters such as response-content-type are signed too.';

CREATE FUNCTION @extschema@.img_s3_sign(server name, method text, path text DEFAULT NULL, query jsonb DEFAULT NULL,
	headers jsonb DEFAULT NULL, body bytea DEFAULT NULL, lifetime interval DEFAULT NULL,
	at timestamptz DEFAULT NULL, role regrole DEFAULT NULL,
	OUT url text, OUT signed text[], OUT canonical text, OUT to_sign text)
	LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'img_s3_sign_call';
COMMENT ON FUNCTION @extschema@.img_s3_sign(name, text, text, jsonb, jsonb, bytea, interval, timestamptz, regrole) IS
	'Internal: signs any request to an S3 server, in headers or, when a lifetime is given, in the URL; and what was signed. Without a body its hash is not signed.';

CREATE FUNCTION @extschema@.img_s3_request(server name, action text, path text DEFAULT NULL, details jsonb DEFAULT NULL,
	names text[] DEFAULT NULL, payload bytea DEFAULT NULL, at timestamptz DEFAULT NULL, role regrole DEFAULT NULL,
	OUT method text, OUT url text, OUT headers text[], OUT body bytea)
	LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_s3_request(name, text, text, jsonb, text[], bytea, timestamptz, regrole) IS
	'Internal: the requests that the worker sends to S3 servers: put, get, head, delete, delete_batch, list, multipart_create, multipart_part, multipart_complete, multipart_abort, multipart_list.';

CREATE FUNCTION @extschema@.img_s3_answer(server name, action text, body bytea, role regrole DEFAULT NULL)
RETURNS TABLE (path text, bytes bigint, etag text, at timestamptz, upload_id text, code text, transient bool, next text)
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_s3_answer(name, text, bytea, regrole) IS
	'Internal: what the worker reads in an answer to list, multipart_list, multipart_create or delete_batch.';

CREATE FUNCTION @extschema@.img_s3_failure(server name, status int, date text, body bytea, role regrole DEFAULT NULL,
	OUT code text, OUT sqlstate text, OUT transient bool, OUT message text, OUT hint text)
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_s3_failure(name, int, text, bytea, regrole) IS
	'Internal: what an answer of an S3 server means for a job; nothing when it is no failure.';

CREATE FUNCTION @extschema@.img_http_request(server name, path text, role regrole DEFAULT NULL,
	OUT url text, OUT headers text[])
	LANGUAGE c STABLE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.img_http_request(name, text, regrole) IS
	'Internal: the URL of a path on a server of type http, and the headers to send.';

-- S3 answers in XML. Servers differ in whether its names are in a namespace, so
-- elements are looked for by their local names.

CREATE FUNCTION @extschema@.img_s3_document(body bytea) RETURNS xml
LANGUAGE plpgsql STABLE STRICT
AS $$
BEGIN
	RETURN XMLPARSE(DOCUMENT pg_catalog.convert_from(body, 'UTF8'));
EXCEPTION WHEN invalid_xml_document OR character_not_in_repertoire OR untranslatable_character THEN
	RAISE 'an S3 server''s answer is not the XML it should be'
		USING ERRCODE = 'system_error', DETAIL = pg_catalog.format('%s bytes: %s', pg_catalog.octet_length(body), SQLERRM);
END $$;
COMMENT ON FUNCTION @extschema@.img_s3_document(bytea) IS
	'Internal: an answer of an S3 server. Errors: 58000 when it is no XML, 0A000 where PostgreSQL was built without libxml.';

CREATE FUNCTION @extschema@.img_s3_error(body bytea, OUT code text, OUT message text, OUT server_time text)
LANGUAGE plpgsql STABLE STRICT
AS $$
BEGIN
	SELECT e.code, e.message, e.server_time INTO code, message, server_time
	FROM XMLTABLE('/*[local-name() = "Error"]' PASSING @extschema@.img_s3_document(body) COLUMNS
		code text PATH '*[local-name() = "Code"]', message text PATH '*[local-name() = "Message"]',
		server_time text PATH '*[local-name() = "ServerTime"]') e;
EXCEPTION WHEN OTHERS THEN
	-- a proxy's page, or nothing that can be read: the status has to do
	NULL;
END $$;
COMMENT ON FUNCTION @extschema@.img_s3_error(bytea) IS 'Internal: what an S3 server says of a failure; NULLs when it is no such answer.';

CREATE FUNCTION @extschema@.img_s3_list_page(body bytea)
RETURNS TABLE (key text, bytes bigint, etag text, modified timestamptz)
LANGUAGE sql STABLE STRICT ROWS 1000
BEGIN ATOMIC
	SELECT c.key, c.bytes, c.etag, c.modified
	FROM XMLTABLE('/*[local-name() = "ListBucketResult"]/*[local-name() = "Contents"]'
		PASSING @extschema@.img_s3_document(body) COLUMNS
		key text PATH '*[local-name() = "Key"]', bytes bigint PATH '*[local-name() = "Size"]',
		etag text PATH '*[local-name() = "ETag"]', modified timestamptz PATH '*[local-name() = "LastModified"]') c;
END;
COMMENT ON FUNCTION @extschema@.img_s3_list_page(bytea) IS 'Internal: the objects of one page of a list.';

CREATE FUNCTION @extschema@.img_s3_list_next(body bytea) RETURNS text
LANGUAGE sql STABLE STRICT
BEGIN ATOMIC
	SELECT CASE WHEN l.truncated THEN l.next END
	FROM XMLTABLE('/*[local-name() = "ListBucketResult"]' PASSING @extschema@.img_s3_document(body) COLUMNS
		truncated bool PATH '*[local-name() = "IsTruncated"]', next text PATH '*[local-name() = "NextContinuationToken"]') l;
END;
COMMENT ON FUNCTION @extschema@.img_s3_list_next(bytea) IS 'Internal: the token of the next page of a list; NULL when there is none.';

CREATE FUNCTION @extschema@.img_s3_undeleted(body bytea) RETURNS TABLE (key text, code text, message text)
LANGUAGE sql STABLE STRICT ROWS 10
BEGIN ATOMIC
	SELECT e.key, e.code, e.message
	FROM XMLTABLE('/*[local-name() = "DeleteResult"]/*[local-name() = "Error"]'
		PASSING @extschema@.img_s3_document(body) COLUMNS
		key text PATH '*[local-name() = "Key"]', code text PATH '*[local-name() = "Code"]',
		message text PATH '*[local-name() = "Message"]') e;
END;
COMMENT ON FUNCTION @extschema@.img_s3_undeleted(bytea) IS 'Internal: the objects that a batch did not delete.';

CREATE FUNCTION @extschema@.img_s3_upload_id(body bytea) RETURNS text
LANGUAGE sql STABLE STRICT
BEGIN ATOMIC
	SELECT u.id
	FROM XMLTABLE('/*[local-name() = "InitiateMultipartUploadResult"]' PASSING @extschema@.img_s3_document(body) COLUMNS
		id text PATH '*[local-name() = "UploadId"]') u;
END;
COMMENT ON FUNCTION @extschema@.img_s3_upload_id(bytea) IS 'Internal: the id of an upload in parts that has begun.';

CREATE FUNCTION @extschema@.img_s3_uploads(body bytea) RETURNS TABLE (key text, upload_id text, begun timestamptz)
LANGUAGE sql STABLE STRICT ROWS 10
BEGIN ATOMIC
	SELECT u.key, u.upload_id, u.begun
	FROM XMLTABLE('/*[local-name() = "ListMultipartUploadsResult"]/*[local-name() = "Upload"]'
		PASSING @extschema@.img_s3_document(body) COLUMNS
		key text PATH '*[local-name() = "Key"]', upload_id text PATH '*[local-name() = "UploadId"]',
		begun timestamptz PATH '*[local-name() = "Initiated"]') u;
END;
COMMENT ON FUNCTION @extschema@.img_s3_uploads(bytea) IS 'Internal: uploads in parts that have begun and not ended.';

