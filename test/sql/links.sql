-- Links: who gets them, what they open, and until when.
\set ECHO none
\i test/include/pictures.sql
\set ECHO all
\set SHOW_CONTEXT never
GRANT SELECT ON picture TO PUBLIC;
CREATE ROLE regress_imgapi_ann;
CREATE ROLE regress_imgapi_ben;
CREATE ROLE regress_imgapi_door;
SELECT img_grant('regress_imgapi_ann');
SELECT img_grant_gateway('regress_imgapi_door');
CREATE TEMP TABLE submitted (name text PRIMARY KEY, id uuid);
GRANT ALL ON submitted TO PUBLIC;
CREATE FUNCTION pg_temp.job(name text) RETURNS uuid LANGUAGE sql AS 'SELECT id FROM submitted s WHERE s.name = $1';

-- A link taken apart, as imgapi-gateway does, and changed on the way
CREATE FUNCTION pg_temp.open(link text, method text DEFAULT 'GET', object uuid DEFAULT NULL, name text DEFAULT NULL,
	expiry bigint DEFAULT NULL, key int DEFAULT NULL, signature text DEFAULT NULL, first bigint DEFAULT 0, length int DEFAULT 1000000,
	version bytea DEFAULT NULL) RETURNS img_opened_link LANGUAGE sql AS $$
	SELECT img_link_open(method, coalesce(object, m[1]::uuid), coalesce(name, m[2]), coalesce(expiry, m[3]::bigint), coalesce(key, m[4]::int),
		sha256(convert_to(coalesce(signature, m[5]), 'UTF8')), first, length, version)
	FROM regexp_match(link, '^https://p\.example/x/o/([-0-9a-f]{36})/([-0-9a-z.]+)\?e=(\d+)&k=(\d+)&s=([0-9a-f]{64})$') m
$$;
-- ids and times taken out
CREATE FUNCTION pg_temp.plain(text) RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(regexp_replace($1, '\d{4}-\d\d-\d\dT[0-9:]{8}Z', 'TIME', 'g'), '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', 'ID', 'g')
$$;

SET ROLE regress_imgapi_ann;
INSERT INTO submitted VALUES ('done', img_submit(pg_temp.picture('png'), '{"resizing": {"width": 8}}')),
	('broken', img_submit('broken'::bytea)), ('waiting', img_submit(pg_temp.picture('png'), run_after => 'infinity')),
	('cancelled', img_submit(pg_temp.picture('png'), run_after => 'infinity'));
SELECT img_cancel(pg_temp.job('cancelled'));
RESET ROLE;
CALL pg_temp.finish_jobs();
SET ROLE regress_imgapi_ann;

-- Without an address there are none
SELECT pg_temp.error_of(format('SELECT img_download(%L)', pg_temp.job('done')));
SELECT pg_temp.error_of(format('SELECT img_download_input(%L)', pg_temp.job('done')));
SET imgapi.public_url = 'https://p.example';
RESET ROLE;
SET imgapi.public_url = 'https://p.example/x/';
SET ROLE regress_imgapi_ann;

-- Not ready, failed, unknown
SELECT name, pg_temp.error_of(format('SELECT img_download(%L)', id)) FROM submitted WHERE name <> 'done' ORDER BY name;
SELECT pg_temp.error_of('SELECT img_download(''00000000-0000-0000-0000-000000000000'')');
SELECT pg_temp.error_of('SELECT img_download_input(''00000000-0000-0000-0000-000000000000'')');
SELECT img_download(NULL) IS NULL;
-- an input is there at once, whatever became of the job
SELECT name, pg_temp.plain((img_download_input(id)).download_url) ~ '^https://p.example/x/o/ID/ID[.a-z]*\?e=' AS input FROM submitted ORDER BY name;

-- A pair for an hour, recorded
SELECT * FROM img_download(pg_temp.job('done')) \gset
SELECT :expiry - extract(epoch FROM now()) BETWEEN 3500 AND 3600 AS an_hour;
SELECT l.job_id = pg_temp.job('done') AS job, o.role, l.download_url = :'download_url' AS url, l.head_url = :'head_url' AS head,
	l.expiry = :expiry AS expiry, l.expires_at = to_timestamp(:expiry) AS expires, l.owner
FROM img_link l JOIN img_object o ON o.id = l.object_id WHERE l.download_url = :'download_url';
SELECT (img_download(pg_temp.job('done'))).download_url IS NOT NULL AS again;
SELECT count(*) FROM img_link;

-- Nobody else gets one, sees one, or may open one in SQL
SET ROLE regress_imgapi_ben;
SELECT pg_temp.error_of(format('SELECT img_download(%L)', pg_temp.job('done')));
SELECT pg_temp.error_of(format('SELECT img_download_input(%L)', pg_temp.job('done')));
SELECT error_code FROM img_downloads(ARRAY[pg_temp.job('done')]);
SELECT count(*) FROM img_link;
SELECT pg_temp.error_of(format('SELECT pg_temp.open(%L)', :'download_url'));
SELECT * FROM img_link_key;
SELECT img_rotate_link_key();
SELECT img_new_secret();
SELECT img_links_as('{}', 'output', 'postgres');
SELECT img_link_url('', 1, '', 'GET', '00000000-0000-0000-0000-000000000000', '', 1);
SELECT img_row_slice('postgres', 'pg_class', '{}', 'a', NULL, 0, 1);
INSERT INTO img_link SELECT * FROM img_link;

-- The gateway's role: a valid link, and nothing else
SET ROLE regress_imgapi_door;
SELECT pg_temp.error_of('SELECT img_submit(''''::bytea)');
SELECT * FROM img_link_key;
SELECT count(*) FROM img_object;
SELECT o.status, o.error, o.mime, o.bytes = length(o.data) AS whole, o.sha256 = sha256(o.data) AS intact, o.version = o.sha256 AS version, o.seconds_left BETWEEN 3500 AND 3600 AS seconds
FROM pg_temp.open(:'download_url') o;
SELECT o.status, o.mime, o.bytes > 0 AS bytes, o.data FROM pg_temp.open(:'head_url', 'HEAD', length => 0) o;
SELECT encode(data, 'escape') FROM pg_temp.open(:'download_url', first => 1, length => 3);
SELECT length(data) FROM pg_temp.open(:'download_url', first => 1000000);
SELECT version FROM pg_temp.open(:'download_url') \gset
SELECT status, encode(data, 'escape') FROM pg_temp.open(:'download_url', first => 1, length => 3, version => :'version');

-- Changed in any place, cut off, or used for another method
SELECT n, status, pg_temp.plain(error) AS error FROM (VALUES
	(1, pg_temp.open(:'download_url', object => '00000000-0000-0000-0000-000000000000')),
	(2, pg_temp.open(:'download_url', name => 'other.png')),
	(3, pg_temp.open(:'download_url', expiry => :expiry + 1)),
	(4, pg_temp.open(:'download_url', key => 1000)),
	(5, pg_temp.open(:'download_url', signature => '')),
	(6, pg_temp.open(:'download_url', signature => left(right(:'download_url', 64), 63))),
	(7, pg_temp.open(:'download_url', signature => upper(right(:'download_url', 64)))),
	(8, pg_temp.open(:'download_url', signature => right(:'head_url', 64))),
	(9, pg_temp.open(:'download_url', method => 'HEAD')),
	(10, pg_temp.open(:'head_url', method => 'GET')),
	(11, pg_temp.open(:'download_url', method => 'PUT')),
	(12, pg_temp.open(:'download_url', version => '\x00')),
	(13, pg_temp.open(:'download_url', key => 1000, expiry => 1))) v (n, answer), LATERAL (SELECT (v.answer).*) a ORDER BY n;
-- a proof is the hash of the signature, neither it nor part of it
SELECT count(*) FILTER (WHERE status = 403), count(*) FROM (VALUES ('\x'::bytea), ('\x00'), (decode(right(:'download_url', 64), 'hex')), (sha256('')), (convert_to(right(:'download_url', 64), 'UTF8'))) p (proof),
	regexp_match(:'download_url', '/o/(.*)/(.*)\?e=(.*)&k=(.*)&s=') m, img_link_open('GET', m[1]::uuid, m[2], m[3]::bigint, m[4]::int, proof, 0, 1);
SELECT pg_temp.error_of(format('SELECT pg_temp.open(%L, first => -1)', :'download_url'));
SELECT pg_temp.error_of(format('SELECT pg_temp.open(%L, length => 100000000)', :'download_url'));
SELECT img_link_open('GET', NULL, 'a', 1, 1, '', 0, 1);
RESET ROLE;

-- Many at once; the picture that is none has its reason
SET ROLE regress_imgapi_ann;
SELECT s.name, d.download_url IS NOT NULL AS link, d.expiry IS NOT NULL AS expiry, d.error_code, pg_temp.plain(d.error)
FROM submitted s JOIN img_downloads((SELECT array_agg(id) FROM submitted)) d ON d.process_id = s.id ORDER BY name;
SELECT s.name, d.head_url IS NOT NULL AS link, d.error_code
FROM submitted s JOIN img_downloads((SELECT array_agg(id) FROM submitted), 'input') d ON d.process_id = s.id ORDER BY name;
SELECT * FROM img_downloads('{}');
SELECT pg_temp.error_of('SELECT img_downloads(''{}'', ''both'')');
BEGIN READ ONLY;
SELECT img_download(pg_temp.job('done'));
ROLLBACK;

-- As long as the setting says, but never longer than the picture lives
RESET ROLE;
SET imgapi.link_lifetime = '2min';
SELECT (img_download(pg_temp.job('done'))).expiry - extract(epoch FROM now()) BETWEEN 100 AND 120 AS two_minutes;
UPDATE img_object SET expires_at = now() + '1 minute' WHERE job_id = pg_temp.job('done') AND role = 'output';
SELECT to_timestamp((img_download(pg_temp.job('done'))).expiry) = date_trunc('second', expires_at) AS no_longer
FROM img_object WHERE job_id = pg_temp.job('done') AND role = 'output';
RESET imgapi.link_lifetime;
UPDATE img_object SET expires_at = now() + '7 days' WHERE job_id = pg_temp.job('done') AND role = 'output';
SET imgapi.link_lifetime = 0;
SET imgapi.link_lifetime = '8d';
SET imgapi.public_url = 'ftp://p.example';
SET imgapi.public_url = 'https://';
SET imgapi.public_url = 'https://p.example/?x=1';

-- Expired: to the second, with the time of the server
SET imgapi.link_lifetime = 1;
SELECT * FROM img_download(pg_temp.job('done')) \gset brief_
RESET imgapi.link_lifetime;
CALL pg_temp.await(format('SELECT clock_timestamp() >= to_timestamp(%s)', :brief_expiry));
SELECT status, pg_temp.plain(error) FROM pg_temp.open(:'brief_download_url');
SELECT status FROM pg_temp.open(:'download_url');
-- what has begun may end
SELECT status FROM pg_temp.open(:'brief_download_url', version => :'version');

-- Rotation: links of before open until they expire
SELECT img_rotate_link_key() - id AS next FROM img_link_key ORDER BY id LIMIT 1;
SELECT * FROM img_download(pg_temp.job('done')) \gset fresh_
SELECT substring(:'fresh_download_url', '&k=(\d+)')::int - substring(:'download_url', '&k=(\d+)')::int AS next;
SELECT (pg_temp.open(:'download_url')).status AS old, (pg_temp.open(:'fresh_download_url')).status AS new;
SELECT status FROM pg_temp.open(:'fresh_download_url', key => substring(:'download_url', '&k=(\d+)')::int);
SELECT count(*), count(retired_at), min(length(secret)) FROM img_link_key;
-- or not at all
BEGIN;
SELECT img_rotate_link_key(revoke => true) > 0;
SELECT status, pg_temp.plain(error) FROM pg_temp.open(:'fresh_download_url');
SELECT count(*) FROM img_link;
ROLLBACK;

-- Purged pictures are gone for their links, and before they are purged
BEGIN;
UPDATE img_object SET expires_at = now() WHERE job_id = pg_temp.job('done');
SELECT status, pg_temp.plain(error) FROM pg_temp.open(:'download_url');
SET ROLE regress_imgapi_ann;
SELECT pg_temp.error_of(format('SELECT img_download(%L)', pg_temp.job('done')));
SELECT pg_temp.error_of(format('SELECT img_download_input(%L)', pg_temp.job('done')));
SELECT pg_temp.error_of(format('SELECT img_output(%L)', pg_temp.job('done')));
SELECT img_result(pg_temp.job('done')) -> 'result' ->> 'output_object' AS output;
RESET ROLE;
DELETE FROM img_object WHERE job_id = pg_temp.job('done');
SELECT status, pg_temp.plain(error) FROM pg_temp.open(:'download_url');
ROLLBACK;

-- img_purge() takes links that have expired, and keys that no link can need
BEGIN;
UPDATE img_link SET expires_at = '2001-01-01' WHERE job_id = pg_temp.job('done');
SELECT count(*) AS expired FROM img_link WHERE job_id = pg_temp.job('done') \gset
SELECT links FROM img_purge(2);
SELECT links = :expired - 2 AS rest FROM img_purge();
SELECT count(*) > 0 AS others FROM img_link;
SELECT count(*) FROM img_link_key;
UPDATE img_link_key SET retired_at = now() - interval '9 days' WHERE retired_at IS NOT NULL;
SELECT objects, links, jobs FROM img_purge();
SELECT count(*) FROM img_link_key;
ROLLBACK;

-- Pictures in users' rows: as long as the row holds them, and with the rights of the job's owner
CREATE TABLE links_photo (id int PRIMARY KEY, note text, data bytea, thumb bytea);
ALTER TABLE links_photo ALTER COLUMN data SET STORAGE EXTERNAL;
ALTER TABLE links_photo OWNER TO regress_imgapi_ann;
SET ROLE regress_imgapi_ann;
CREATE TRIGGER thumb AFTER INSERT ON links_photo FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 8, "fit": "bounds"}}', 'thumb');
INSERT INTO links_photo VALUES (1, '', pg_temp.picture('png')), (2, '', (SELECT string_agg(data, '') FROM picture CROSS JOIN generate_series(1, 100) WHERE name = 'png'));
RESET ROLE;
CALL pg_temp.finish_jobs();
SELECT (img_download(id)).download_url AS row_output, (img_download_input(id)).download_url AS row_input FROM img_job WHERE source_key = '{1}' AND source_table = 'links_photo'::regclass \gset
SELECT o.status, o.mime, o.data = p.thumb AS same, o.sha256 = sha256(p.thumb) AS sha256 FROM pg_temp.open(:'row_output') o, links_photo p WHERE id = 1;
SELECT o.status, o.mime, o.data = p.data AS same, o.bytes = length(p.data) AS bytes, o.sha256 = sha256(p.data) AS sha256 FROM pg_temp.open(:'row_input') o, links_photo p WHERE id = 1;
-- part by part, also of a value that is out of line
SELECT (img_download_input(id)).download_url AS long_input FROM img_job WHERE source_key = '{2}' AND source_table = 'links_photo'::regclass \gset
SELECT version AS long_version, status FROM pg_temp.open(:'long_input', length => 0) \gset
SELECT :status AS status, o.data = substring(p.data FROM 1001 FOR 100) AS part, o.status FROM pg_temp.open(:'long_input', first => 1000, length => 100, version => :'long_version') o, links_photo p WHERE p.id = 2;
-- another column may change, the picture may not
UPDATE links_photo SET note = 'changed';
SELECT (pg_temp.open(:'row_output')).status, (pg_temp.open(:'long_input', version => :'long_version')).status;
UPDATE links_photo SET data = data || '' WHERE id = 2;
SELECT status FROM pg_temp.open(:'long_input', version => :'long_version');
SELECT status FROM pg_temp.open(:'long_input');
UPDATE links_photo SET thumb = '\x00' WHERE id = 1;
SELECT status, pg_temp.plain(error) FROM pg_temp.open(:'row_output');
SELECT pg_temp.error_of(format('SELECT img_download(%L)', id)) FROM img_job WHERE source_key = '{1}' AND source_table = 'links_photo'::regclass;
-- the owner of the job has lost the table
ALTER TABLE links_photo OWNER TO postgres;
SELECT pg_temp.error_of(format('SELECT pg_temp.open(%L)', :'row_input'));
GRANT SELECT ON links_photo TO regress_imgapi_ann;
SELECT status FROM pg_temp.open(:'row_input');
-- what users write runs with their rights only
CREATE FUNCTION links_spy() RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE 'read by %', current_user;
	RETURN true;
END $$;
ALTER TABLE links_photo ENABLE ROW LEVEL SECURITY;
CREATE POLICY spy ON links_photo USING (links_spy());
SELECT status FROM pg_temp.open(:'row_input');
DELETE FROM links_photo WHERE id = 1;
SELECT status FROM pg_temp.open(:'row_input');
DROP TABLE links_photo;
SELECT status FROM pg_temp.open(:'row_input');

-- Pictures on a server have the server's own links, signed with what the owner of the job may do there
SET client_min_messages = warning;
CREATE SERVER links_s3 TYPE 's3' FOREIGN DATA WRAPPER imgapi OPTIONS (endpoint 'http://127.0.0.1:1', bucket 'photos', region 'us-east-1', path_style 'true');
CREATE USER MAPPING FOR regress_imgapi_ann SERVER links_s3 OPTIONS (access_key_id 'LINKS', secret_access_key 'links-secret');
GRANT USAGE ON FOREIGN SERVER links_s3 TO regress_imgapi_ann;
RESET client_min_messages;
BEGIN;
UPDATE img_object SET storage = 'links_s3', path = 'a b/c.png', data = NULL WHERE job_id = pg_temp.job('done') AND role = 'output';
SET LOCAL ROLE regress_imgapi_ann;
SET LOCAL timezone = 'UTC';
SELECT * FROM img_download(pg_temp.job('done')) \gset s3_
SELECT regexp_replace(:'s3_download_url', '(\d{8}T\d{6}Z|\d{8}(?=%2F)|(?<=Expires=)3\d\d\d|[0-9a-f]{64})', '*', 'g'), :'s3_download_url' <> :'s3_head_url' AS two,
	to_timestamp(substring(:'s3_download_url', 'Date=(\d{8}T\d{6}Z)'), 'YYYYMMDD"T"HH24MISS"Z"') + substring(:'s3_download_url', 'Expires=(\d+)')::int * interval '1 s' = to_timestamp(:s3_expiry) AS expiry;
SELECT l.download_url = :'s3_download_url' AS recorded FROM img_link l ORDER BY id DESC LIMIT 1;
ROLLBACK;
DROP SERVER links_s3 CASCADE;

DROP FUNCTION links_spy();
RESET imgapi.public_url;
REVOKE ALL ON FUNCTION img_link_open FROM regress_imgapi_door;
REVOKE ALL ON SCHEMA public FROM regress_imgapi_door;
TRUNCATE img_link;
