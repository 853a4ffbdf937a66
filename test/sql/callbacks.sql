-- Callbacks: what is accepted, what is told, who sees and signs it, and the
-- worker protocol of sending. No worker runs: nothing is sent.
\set ECHO none
\i test/include/pictures.sql
\i test/include/dispatcher_off.sql
\set ECHO all
\set SHOW_CONTEXT never
GRANT SELECT ON picture TO PUBLIC;
CREATE ROLE regress_imgapi_ann;
CREATE ROLE regress_imgapi_ben;
SELECT img_grant('regress_imgapi_ann');
DELETE FROM img_job_live;
CREATE TEMP TABLE submitted (name text PRIMARY KEY, id uuid);
GRANT ALL ON submitted TO PUBLIC;
CREATE FUNCTION pg_temp.job(name text) RETURNS uuid LANGUAGE sql STABLE AS
	'SELECT s.id FROM submitted s WHERE s.name = $1';
CREATE FUNCTION pg_temp.submit(name text, url text, operations jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS
	'INSERT INTO submitted VALUES ($1, img_submit(pg_temp.picture(''png''), operations, callback_url => url))';
-- ends jobs as a worker does
CREATE FUNCTION pg_temp.finish() RETURNS SETOF bool LANGUAGE sql AS $$
	SELECT (img_finish('one', ARRAY[(c.id, c.attempt, NULL, NULL, img_info(pg_temp.picture('png')), 0, 'small.gif', img_info(pg_temp.picture('gif')),
		'database', 'path/small.gif', pg_temp.picture('gif'), NULL, NULL, NULL)::img_outcome])).settled
	FROM img_claim('one', 10, '1 hour') c
$$;
CREATE FUNCTION pg_temp.claim(worker text, callbacks int DEFAULT 100, hosts text[] DEFAULT '{}', under_way int[] DEFAULT '{}', after text DEFAULT '')
RETURNS TABLE (host text, url text) LANGUAGE sql AS $$
	SELECT c.host, c.url FROM img_callback_claim(worker, callbacks, 2, hosts, under_way, after) c
$$;
-- ids taken out
CREATE FUNCTION pg_temp.plain(text) RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(regexp_replace($1, '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', 'ID', 'g'), 'e=\d+&k=\d+&s=[0-9a-f]{64}', 'SIGNATURE', 'g')
$$;

-- What can be no address of a receiver is refused at submit
SELECT url, pg_temp.error_of(format('SELECT img_submit(%L::bytea, callback_url => %L)', '\x00', url)) FROM unnest(ARRAY['', 'example.com',
	'ftp://example.com/', 'http:/example.com', 'http://', 'https:///path', 'http://ann:secret@example.com/', 'http://example.com/a b',
	E'http://example.com/\n', 'http://example.com:80:80/', 'http://example.com:x/', 'http://example.com:80@ben.example/', 'http://[::1/']) url;
SELECT url, pg_temp.error_of(format('SELECT img_submit_operation(%L::bytea, ''100x100'', callback_url => %L)', '\x00', url)) FROM unnest(ARRAY[
	'http://example.com:8080/', 'https://example.com:0/', 'https://example.com:65536', 'http://example.com:22?a', 'https://[::1]:81/']) url;
SELECT pg_temp.error_of(format('SELECT img_submit(''https://example.com/a.png''::text, callback_url => %L)', 'http://example.com/' || repeat('x', 4096)));
SELECT count(*) FROM img_job_live;
-- what can be is taken: the address policy is for the moment of sending
SELECT url, pg_temp.error_of(format('SELECT img_submit(%L::bytea, callback_url => %L)', '\x00', url)) FROM unnest(ARRAY[
	'http://example.com', 'HTTPS://Example.com:443?id=1', 'http://example.com:443/', 'https://example.com:80/a%20b', 'http://127.0.0.1/', 'https://[::1]:443/a']) url;
SELECT count(*) FROM img_job WHERE callback_url IS NOT NULL;
DELETE FROM img_job_live;
ALTER SYSTEM SET imgapi.callback_ports = '80, x';
ALTER SYSTEM SET imgapi.callback_ports = '0';
ALTER SYSTEM SET imgapi.callback_ports = '80,, 443';
SET imgapi.callback_ports = '8080';

-- One row in the transaction in which the job ends, and none for other jobs
SET ROLE regress_imgapi_ann;
SELECT pg_temp.submit('done', 'https://Example.com/told?a=1&id=100#x'), pg_temp.submit('silent', NULL);
RESET ROLE;
SELECT count(*) FROM img_callback;
BEGIN;
SELECT count(*) FROM pg_temp.finish();
SELECT count(*) FROM img_callback;
ROLLBACK;
SELECT count(*) FROM img_callback;
UPDATE img_job_live SET lease_owner = NULL, lease_expires_at = NULL;
SELECT count(*) FROM pg_temp.finish();
SELECT job_id = pg_temp.job('done') AS of_it, owner, state, attempts, url, host, status, error, next_at <= clock_timestamp() AS due,
	pg_catalog.date_trunc('second', give_up_at - created_at) AS for, ended_at, lease_owner FROM img_callback;
-- ERROR and CANCELLED
SELECT pg_temp.submit('failed', 'https://example.com/');
SELECT img_fail('one', id, attempt, '22000', 'the picture is broken', NULL, 'decode', false) FROM img_claim('one', 10, '1 hour');
SELECT pg_temp.submit('cancelled', 'https://example.com/?id=');
SELECT img_cancel(pg_temp.job('cancelled'));
SELECT pg_temp.submit('abandoned', 'https://example.com/');
SELECT img_abandon('one', id, attempt, 'the row is gone', 'store') FROM img_claim('one', 10, '1 hour');
SELECT s.name, state FROM img_callback c JOIN submitted s ON s.id = c.job_id ORDER BY c.id;

-- What is told
SELECT name, pg_temp.plain(jsonb_pretty(img_callback_body(id))) FROM submitted WHERE name IN ('done', 'failed') ORDER BY name;
SELECT name, img_callback_body(id) -> 'header' AS header, pg_temp.plain(img_callback_body(id) ->> 'id') AS id FROM submitted WHERE name IN ('cancelled', 'abandoned') ORDER BY name;
SELECT img_callback_body(img_new_id());
-- with links where there can be some, which are rows of img_link
SET imgapi.public_url = 'https://p.example/x/';
SELECT pg_temp.plain(b -> 'sourceFile' ->> 'url') AS source, pg_temp.plain(b -> 'resultFiles' -> 0 ->> 'url') AS result FROM img_callback_body(pg_temp.job('done')) b;
SELECT count(*), count(DISTINCT object_id), count(*) FILTER (WHERE owner = 'regress_imgapi_ann'::regrole) AS hers FROM img_link WHERE job_id = pg_temp.job('done');
RESET imgapi.public_url;
-- pictures elsewhere, known or only named
UPDATE img_object SET storage = 'url', path = 'https://example.com/a/b.png?x=/y' WHERE role = 'input' AND job_id = pg_temp.job('done');
SELECT img_callback_body(pg_temp.job('done')) -> 'sourceFile' AS source;
UPDATE img_object SET storage = 'photos', path = 'a/b.png' WHERE role = 'input' AND job_id = pg_temp.job('done');
SELECT img_callback_body(pg_temp.job('done')) -> 'sourceFile' AS source;
UPDATE img_object SET storage = 'row', path = 'photo/{1}/data' WHERE role = 'input' AND job_id = pg_temp.job('done');
SELECT img_callback_body(pg_temp.job('done')) -> 'sourceFile' AS source;
SELECT img_submit('https://example.com/c/d.png?x=1'::text, callback_url => 'http://example.com/') AS named \gset
SELECT img_cancel(:'named');
SELECT img_callback_body(:'named') -> 'sourceFile' AS source;
UPDATE img_job_ended SET input = 'https://example.com' WHERE id = :'named';
SELECT img_callback_body(:'named') -> 'sourceFile' AS source;
UPDATE img_job_ended SET input = 'storage://photos/a/b.png' WHERE id = :'named';
SELECT img_callback_body(:'named') -> 'sourceFile' AS source;
UPDATE img_job_ended SET input = '/folder/b.png' WHERE id = :'named';
SELECT img_callback_body(:'named') -> 'sourceFile' AS source;
-- files of the file tree: the first result and one that takes its place
INSERT INTO img_file (id, path, is_folder, owner, bytes, created_by, url) VALUES (img_new_id(), '/folder/b_op.png', false, current_user::regrole, 9, 'P', 'https://i.example/b_op.png');
INSERT INTO img_object (id, job_id, stored_at, expires_at, owner, role, storage, path) VALUES (img_new_id(), :'named', now(), 'infinity', current_user::regrole, 'output', 'row', '/folder/b_op.png');
UPDATE img_job_ended SET status = 'DONE', started_at = created_at WHERE id = :'named';
SELECT img_callback_body(:'named') -> 'resultFiles' AS files, img_callback_body(:'named') -> 'overwritten' AS overwritten;
UPDATE img_file SET id = '00000000-0000-7000-8000-000000000000' WHERE path = '/folder/b_op.png';
SELECT img_callback_body(:'named') -> 'overwritten' AS overwritten;
DELETE FROM img_file WHERE path = '/folder/b_op.png';
DELETE FROM img_callback WHERE job_id = :'named';
-- a named operation, and a result that takes the place of another
SELECT img_submit_operation(pg_temp.picture('png'), '100x100', callback_url => 'http://example.com/') AS job \gset
SELECT count(*) FROM pg_temp.finish();
UPDATE img_object SET storage = 'photos', path = 'a/b.gif' WHERE role = 'output' AND job_id IN (:'job', pg_temp.job('done'));
SELECT b ->> 'operationId' AS operation, b -> 'overwritten' AS overwritten, b -> 'resultFiles' AS files FROM img_callback_body(:'job') b;
SELECT b -> 'overwritten' AS overwritten FROM img_callback_body(pg_temp.job('done')) b;

-- Signed with a key of the owner, which nobody else gets
SELECT img_callback_signature(repeat('0123456789abcdef', 4), 1700000000, convert_to('{"id": "100"}', 'UTF8'));
SET ROLE regress_imgapi_ann;
SELECT img_callback_secret() AS secret \gset
SELECT length(:'secret'), :'secret' = img_callback_secret() AS same;
SELECT pg_temp.error_of('SELECT secret FROM img_callback_key');
SELECT pg_temp.error_of('SELECT img_callback_secret_as(false, ''regress_imgapi_ann'')');
SELECT pg_temp.error_of('SELECT img_callback_body(pg_temp.job(''done''))');
SELECT pg_temp.error_of('SELECT img_callback_link(img_new_id())');
SELECT img_callback_secret(true) AS renewed \gset
SELECT :'secret' <> :'renewed' AS another, :'renewed' = img_callback_secret() AS stays;
RESET ROLE;
SELECT img_callback_secret() <> :'renewed' AS of_their_own;
SET ROLE regress_imgapi_ben;
SELECT split_part(pg_temp.error_of('SELECT img_callback_secret()'), ' | ', 1) AS error;
RESET ROLE;
BEGIN READ ONLY;
SELECT pg_temp.error_of('SELECT img_callback_secret()');
ROLLBACK;

-- Everybody sees their own, members of imgapi.admin_role all, nobody may meddle
SET ROLE regress_imgapi_ann;
SELECT url FROM img_callback;
SELECT pg_temp.error_of('DELETE FROM img_callback');
SELECT pg_temp.error_of('UPDATE img_callback SET url = ''http://127.0.0.1/''');
SELECT pg_temp.error_of('SELECT img_callback_claim(''one'', 1, 1, ''{}'', ''{}'', '''')');
SET ROLE regress_imgapi_ben;
SELECT url FROM img_callback;
RESET ROLE;
SET imgapi.admin_role = 'regress_imgapi_ben';
SET ROLE regress_imgapi_ben;
SELECT count(*) FROM img_callback;
RESET ROLE;
RESET imgapi.admin_role;

-- Claim: due ones only, once, of each host no more than may be under way there
UPDATE img_callback SET url = 'http://' || CASE WHEN row_number <= 3 THEN 'slow' ELSE 'host' || row_number END || '.example/' || row_number
	FROM (SELECT id AS place, row_number() OVER (ORDER BY id) FROM img_callback) p WHERE id = place;
SELECT img_callback_next_due('{}') <= clock_timestamp() AS due, img_callback_next_due('{slow.example, host4.example, host5.example}') AS not_for_others;
BEGIN;
SELECT * FROM pg_temp.claim('one', 1);
SELECT * FROM pg_temp.claim('one', hosts => '{slow.example}', under_way => '{1}');
ROLLBACK;
-- those behind the one that was served last come first
SELECT * FROM pg_temp.claim('one', 2, after => 'host5.example');
SELECT * FROM pg_temp.claim('one', hosts => '{slow.example}', under_way => '{2}');
SELECT state, attempts, lease_owner, next_at, ended_at FROM img_callback WHERE host = 'host4.example';
SELECT count(*) FROM pg_temp.claim('two', hosts => '{slow.example}', under_way => '{2}');
-- signed, with the key of the owner
SELECT c.host, c.signature = img_callback_signature(k.secret, split_part(substr(c.signature, 3), ',', 1)::bigint, c.body) AS signed,
	abs(extract(epoch FROM now()) - split_part(substr(c.signature, 3), ',', 1)::bigint) < 60 AS fresh, convert_from(c.body, 'UTF8')::jsonb ->> 'queueId' = x.job_id::text AS told
FROM img_callback_claim('one', 9, 2, '{}', '{}', '') c JOIN img_callback x USING (id) JOIN img_callback_key k ON k.owner = x.owner;

-- What came of them: of those that the worker has
CREATE FUNCTION pg_temp.said(worker text, host text, state text, status int DEFAULT 0, error text DEFAULT NULL, retry_after int DEFAULT 0) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM img_callback_said(worker, ARRAY[(SELECT min(id::text)::uuid FROM img_callback c WHERE c.host = said.host)], ARRAY[state], ARRAY[status], ARRAY[error], ARRAY[retry_after])
$$;
SELECT pg_temp.said('two', 'host4.example', 'sent', 200);
SELECT state FROM img_callback WHERE host = 'host4.example';
SELECT pg_temp.said('one', 'host4.example', 'sent', 204), pg_temp.said('one', 'host5.example', 'failed', 404, 'no such page');
SELECT host, state, attempts, status, error, next_at, ended_at IS NOT NULL AS ended, lease_owner FROM img_callback WHERE host LIKE 'host%' ORDER BY host;
-- again after 5, 10, 20 … seconds up to 15 minutes, not before Retry-After, for a day
CREATE FUNCTION pg_temp.fail(attempts int, retry_after int DEFAULT 0, give_up interval DEFAULT '1 day') RETURNS TABLE (state text, pause numeric) LANGUAGE sql AS $$
	UPDATE img_callback SET state = 'sending', lease_owner = 'one', next_at = NULL, ended_at = NULL, give_up_at = clock_timestamp() + give_up, attempts = $1 WHERE host = 'host4.example';
	SELECT pg_temp.said('one', 'host4.example', 'waiting', 503, 'not now', retry_after);
	SELECT state, extract(epoch FROM next_at - clock_timestamp()) FROM img_callback WHERE host = 'host4.example';
$$;
SELECT attempts, state, pause BETWEEN seconds - 1 AND seconds * 1.25 AS as_said
FROM (VALUES (1, 5), (2, 10), (3, 20), (8, 640), (9, 900), (1000000, 900)) v (attempts, seconds), LATERAL pg_temp.fail(attempts);
SELECT state, pause BETWEEN 599 AND 600 AS as_told FROM pg_temp.fail(1, 600);
SELECT state, pause BETWEEN 2 AND 3 AS last_time FROM pg_temp.fail(1, 600, '3 seconds');
SELECT state, pause FROM pg_temp.fail(5, 0, '-1 second');
SELECT state, status, error, ended_at IS NOT NULL AS ended FROM img_callback WHERE host = 'host4.example';
-- a worker that died: what it had is due again
SELECT img_callback_rescue('two');
SELECT count(*) FROM img_callback WHERE state = 'sending';
UPDATE img_callback SET lease_owner = 'home/1/1' WHERE state = 'sending';
SELECT img_callback_rescue('home/2/2');
SELECT state, attempts, next_at <= clock_timestamp() AS due FROM img_callback WHERE host = 'slow.example' ORDER BY id;

-- Once more by hand: one that failed or waits, not one that was sent
SET ROLE regress_imgapi_ann;
SELECT img_callback_retry(pg_temp.job('done')), img_callback_retry(pg_temp.job('silent'));
SELECT state, attempts FROM img_callback;
SELECT pg_temp.error_of(format('SELECT img_callback_retry(%L)', pg_temp.job('failed')));
RESET ROLE;
UPDATE img_callback SET state = 'sent', next_at = NULL, ended_at = now() WHERE job_id = pg_temp.job('done');
SELECT img_callback_retry(pg_temp.job('done')), img_callback_retry(:'job');
SELECT state, attempts, ended_at, next_at <= clock_timestamp() AS due, give_up_at > clock_timestamp() + '23 hours' AS for_a_day FROM img_callback WHERE job_id = :'job';

-- A job that is queued again has not ended: what has not been told is not news
SELECT img_retry(pg_temp.job('failed'));
SELECT count(*) FROM img_callback WHERE job_id = pg_temp.job('failed');
SELECT img_callback_retry(pg_temp.job('failed'));
SELECT count(*) FROM pg_temp.finish();
SELECT state, attempts, img_callback_body(job_id) -> 'header' ->> 'resultMessage' AS message FROM img_callback WHERE job_id = pg_temp.job('failed');
UPDATE img_callback SET state = 'sending', lease_owner = 'one', next_at = NULL WHERE job_id = pg_temp.job('cancelled');
SELECT img_retry(pg_temp.job('cancelled'));
UPDATE img_callback SET state = 'waiting', lease_owner = NULL, next_at = '-infinity' WHERE job_id = pg_temp.job('cancelled');
SELECT count(*) FROM img_callback_claim('one', 100, 100, '{}', '{}', '') c JOIN img_callback USING (id) WHERE job_id = pg_temp.job('cancelled');
SELECT state, error FROM img_callback WHERE job_id = pg_temp.job('cancelled');
SELECT count(*) FROM pg_temp.finish();
SELECT state, error FROM img_callback WHERE job_id = pg_temp.job('cancelled') ORDER BY id;

-- With job_key the last URL counts, until the job has begun
SELECT img_submit(pg_temp.picture('png'), job_key => 'k', callback_url => 'http://one.example/') = img_submit(pg_temp.picture('png'), job_key => 'k', callback_url => 'http://two.example/') AS same;
SELECT callback_url FROM img_job WHERE job_key = 'k';
-- a batch: each of its jobs
SELECT count(*) FROM img_submit_batch(ARRAY['https://example.com/a.png', 'https://example.com/b.png'], callback_url => 'http://batch.example/');
SELECT count(*) FROM img_job WHERE callback_url = 'http://batch.example/';
DELETE FROM img_job_live;

-- Purged with the job, whatever its state; keys of roles that are gone go too
UPDATE img_job_ended SET expires_at = '2001-01-01' WHERE id <> pg_temp.job('failed');
SELECT jobs AS purged FROM img_purge();
SELECT s.name FROM img_callback c LEFT JOIN submitted s ON s.id = c.job_id;
SELECT count(*) FROM img_callback_key WHERE owner = 'regress_imgapi_ann'::regrole;
SELECT img_callback_next_due('{}') IS NULL AS none;

-- However many wait for a receiver that has enough, a claim reads little more than it takes
INSERT INTO img_callback (job_id, owner, url) SELECT pg_temp.job('failed'), current_user::regrole, 'http://slow.example/' || g FROM generate_series(1, 10000) g;
INSERT INTO img_callback (job_id, owner, url) SELECT pg_temp.job('failed'), current_user::regrole, 'http://host' || g % 10 || '.example/' || g FROM generate_series(1, 10000) g;
ANALYZE img_callback;
CREATE FUNCTION pg_temp.entries_read() RETURNS bigint LANGUAGE sql AS $$
	SELECT sum(pg_stat_get_xact_tuples_returned(oid)) FROM pg_class
	WHERE oid = 'img_callback'::regclass OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'img_callback'::regclass)
$$;
BEGIN;
SELECT pg_temp.entries_read() AS read_before \gset
SELECT host, count(*) FROM img_callback_claim('one', 16, 2, '{slow.example}', '{2}', 'host3.example') GROUP BY host ORDER BY min(id::text);
SELECT img_callback_next_due('{slow.example}') <= clock_timestamp() AS more;
SELECT pg_temp.entries_read() - :read_before BETWEEN 16 AND 300 AS few;
ROLLBACK;
TRUNCATE img_callback, img_job_ended, img_object;
REVOKE ALL ON picture, submitted FROM PUBLIC;
DROP OWNED BY regress_imgapi_ann, regress_imgapi_ben;
DROP ROLE regress_imgapi_ann, regress_imgapi_ben;
SELECT jobs FROM img_purge();
SELECT count(*) FROM img_callback_key WHERE owner::text ~ '^\d+$';
\set ECHO none
\i test/include/dispatcher_on.sql
