-- Jobs: submit, wait, output, result, cancel, retry; order, keys, errors.
\set ECHO none
\i test/include/pictures.sql
\set ECHO all
\set SHOW_CONTEXT never
-- only the jobs of this test
CREATE TEMP TABLE submitted (name text, id uuid);
CREATE FUNCTION pg_temp.named(name text) RETURNS uuid LANGUAGE sql STABLE AS
	'SELECT s.id FROM pg_temp.submitted s WHERE s.name = $1';
CREATE FUNCTION pg_temp.tidy(document jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT jsonb_pretty(regexp_replace(regexp_replace(regexp_replace(document::text,
		'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', 'ID', 'g'), '"\d{4}-\d\d-\d\dT[^"]*"', '"TIME"', 'g'),
		'"(id|bytes)": \d+', '"\1": "N"', 'g')::jsonb)
$$;

-- From submit to output
SELECT img_submit(pg_temp.picture('png'), '{"resizing": {"width": 16, "fit": "bounds"}}', '{"format": "webp"}') AS job \gset
SELECT img_wait(:'job');
SELECT img_status(:'job');
SELECT pg_temp.shape(img_output(:'job'));
SELECT pg_temp.tidy(img_result(:'job'));
SELECT kind, status, server, owner = current_user::regrole AS mine, request, priority, attempts, max_attempts, error, error_code, stage, warning,
	created_at <= started_at AND started_at <= finished_at AS in_order, job_key, callback_url, source_table, source_key, source_column, target_column
FROM img_job WHERE id = :'job' \gx
SELECT role, ordinal, name = job_id || '.webp' AS name, storage, format, mime, ext, width, height, mps,
	bytes = octet_length(data) AS bytes, sha256 = sha256(data) AS sha256, expires_at - stored_at AS kept
FROM img_object WHERE job_id = :'job' ORDER BY role;
SELECT count(*) FROM img_job_error WHERE job_id = :'job';
-- img_retry() and img_cancel() come too late
SELECT img_cancel(:'job'), img_retry(:'job'), img_status(:'job');
SELECT pg_temp.error_of(format('SELECT img_output(%L, 1)', :'job'));
SELECT pg_temp.error_of(format('SELECT img_output(%L, -1)', :'job'));

-- Nothing asked for: the picture as it is, written again
SELECT img_submit(pg_temp.picture('gif_3_frames')) AS job \gset
SELECT img_wait(:'job');
SELECT pg_temp.shape(img_output(:'job'));
-- NULL for an option is its default
SELECT img_submit(pg_temp.picture('png'), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) AS job \gset
SELECT img_wait(:'job');
SELECT priority, max_attempts, request FROM img_job WHERE id = :'job';
-- a result that is not an error, but not what one might think
SELECT img_submit(pg_temp.picture('gif_3_frames'), '{}', '{"format": "png"}') AS job \gset
SELECT img_wait(:'job');
SELECT status, warning, error FROM img_job WHERE id = :'job';
SELECT pg_temp.shape(img_output(:'job'));

-- A picture that is none
SELECT img_submit('this is no picture'::bytea) AS job \gset
SELECT img_wait(:'job');
SELECT status, stage, error, error_code, attempts FROM img_job WHERE id = :'job';
SELECT attempt, transient, sqlstate, stage, error, hint FROM img_job_error WHERE job_id = :'job';
SELECT pg_temp.error_of(format('SELECT img_output(%L)', :'job'));
SELECT pg_temp.tidy(img_result(:'job'));
SELECT img_cancel(:'job');
-- is tried again from its first attempt, and its history is kept
SELECT img_retry(:'job');
SELECT img_wait(:'job');
SELECT status, attempts FROM img_job WHERE id = :'job';
SELECT count(*) FROM img_job_error WHERE job_id = :'job';

-- Refused at once
SELECT pg_temp.error_of($$SELECT img_submit(NULL::bytea)$$);
SELECT pg_temp.error_of($$SELECT img_submit(NULL::text)$$);
SELECT pg_temp.error_of($$SELECT img_submit(''::bytea)$$);
SELECT pg_temp.error_of($$SELECT img_submit('https://'::text)$$);
SELECT pg_temp.error_of($$SELECT img_submit('https://me:secret@example.com/a.jpg'::text)$$);
SELECT pg_temp.error_of($$SELECT img_submit('https://example.com/a b.jpg'::text)$$);
SELECT pg_temp.error_of($$SELECT img_submit('ftp://example.com/a.jpg'::text)$$);
SELECT pg_temp.error_of($$SELECT img_submit('a.jpg'::text)$$);
SELECT pg_temp.error_of($$SELECT img_submit('storage://photos'::text)$$);
SELECT pg_temp.error_of($$SELECT img_submit('\x00'::bytea, '{}', '{"destination": "storage://database/a.jpg"}')$$);
SELECT pg_temp.error_of($$SELECT img_submit('\x00'::bytea, '{}', '{"destination": "storage://photos/a.jpg"}')$$);
SELECT pg_temp.error_of($$SELECT img_submit_batch(NULL)$$);
SELECT pg_temp.error_of($$SELECT img_submit_batch(ARRAY['https://example.com/a.jpg', NULL])$$);
SELECT pg_temp.error_of($$SELECT img_submit_batch(ARRAY['https://example.com/a.jpg', 'https://example.com/b.jpg'], job_key => 'k')$$);
SELECT count(*) FROM img_submit_batch('{}');
SELECT pg_temp.error_of($$SELECT img_submit('storage://photos/a.jpg'::text)$$);
SELECT pg_temp.error_of($$SELECT img_submit('/folder/file.png'::text)$$);
SELECT pg_temp.error_of($$SELECT img_submit('\x00'::bytea, '{"resizing": {"width": 0}}')$$);
SELECT pg_temp.error_of($$SELECT img_submit('\x00'::bytea, '{}', '{"format": "bmp"}')$$);
SELECT pg_temp.error_of($$SELECT img_submit('\x00'::bytea, '{"background": {"remove": true}}')$$);
SELECT pg_temp.error_of($$SELECT img_submit('\x00'::bytea, '{"resizing": {"width": 8}')$$);
SELECT pg_temp.error_of($$SELECT img_submit('\x00'::bytea, server => 'claid')$$);
SELECT pg_temp.error_of($$SELECT img_submit('\x00'::bytea, callback_url => 'https://example.com:8080')$$);
SELECT pg_temp.error_of($$SELECT img_submit('\x00'::bytea, max_attempts => 0)$$);
SELECT pg_temp.error_of($$SELECT img_submit('\x00'::bytea, max_attempts => 101)$$);
BEGIN;
SET LOCAL imgapi.max_source_bytes = '1kB';
SELECT pg_temp.error_of($$SELECT img_submit(convert_to(repeat('x', 1025), 'UTF8'))$$);
ROLLBACK;
BEGIN READ ONLY;
SELECT pg_temp.error_of($$SELECT img_submit('\x00'::bytea)$$);
SELECT pg_temp.error_of($$SELECT img_cancel('00000000-0000-0000-0000-000000000000')$$);
SELECT pg_temp.error_of($$SELECT img_retry('00000000-0000-0000-0000-000000000000')$$);
-- reading is allowed
SELECT img_status(:'job'), img_wait(:'job');
COMMIT;

-- A job that is not there
SELECT pg_temp.error_of($$SELECT img_status('00000000-0000-0000-0000-000000000000')$$);
SELECT pg_temp.error_of($$SELECT img_wait('00000000-0000-0000-0000-000000000000')$$);
SELECT pg_temp.error_of($$SELECT img_cancel('00000000-0000-0000-0000-000000000000')$$);
SELECT pg_temp.error_of($$SELECT img_retry('00000000-0000-0000-0000-000000000000')$$);
SELECT pg_temp.error_of($$SELECT img_output('00000000-0000-0000-0000-000000000000')$$);
SELECT pg_temp.error_of($$SELECT img_result('00000000-0000-0000-0000-000000000000')$$);
SELECT img_status(NULL), img_wait(NULL), img_cancel(NULL), img_retry(NULL), img_output(NULL), img_result(NULL);

-- In the transaction that submitted, waiting would never end
BEGIN;
SELECT img_submit(pg_temp.picture('png')) AS job \gset
SELECT img_status(:'job');
SELECT pg_temp.error_of(format('SELECT img_wait(%L)', :'job'));
SELECT pg_temp.error_of(format('SELECT img_output(%L)', :'job'));
SAVEPOINT s;
SELECT img_submit(pg_temp.picture('png')) AS inner_job \gset
SELECT pg_temp.error_of(format('SELECT img_wait(%L)', :'inner_job'));
ROLLBACK TO s;
SELECT pg_temp.error_of(format('SELECT img_wait(%L)', :'inner_job'));
-- but cancelling it is an end
SELECT img_cancel(:'job'), img_wait(:'job');
COMMIT;
SELECT status, attempts, error, error_code FROM img_job WHERE id = :'job';
SELECT pg_temp.error_of(format('SELECT img_output(%L)', :'job'));
-- a later transaction may wait, whatever it sees
SELECT img_retry(:'job');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM img_job WHERE id = :'job';
SELECT img_wait(:'job');
COMMIT;
SELECT pg_temp.shape(img_output(:'job'));
-- rolled back
BEGIN;
SELECT img_submit(pg_temp.picture('png')) AS job \gset
ROLLBACK;
SELECT pg_temp.error_of(format('SELECT img_status(%L)', :'job'));
SELECT count(*) FROM img_object WHERE job_id = :'job';

-- run_after: not before; img_wait() returns when its time is over
SELECT img_submit(pg_temp.picture('png'), run_after => 'infinity') AS job \gset
SELECT img_wait(:'job', '1 millisecond'), img_wait(:'job', '0'), img_wait(:'job', '-1 day');
SELECT pg_temp.error_of(format('SELECT img_output(%L)', :'job'));
SELECT attempts, run_after FROM img_job WHERE id = :'job';
SELECT pg_temp.tidy(img_result(:'job'));
SELECT img_retry(:'job');
SELECT img_cancel(:'job'), img_status(:'job'), img_cancel(:'job');
-- what was cancelled can be tried again, now
SELECT img_retry(:'job'), img_retry(:'job');
SELECT img_wait(:'job');
-- in the past is now
SELECT img_submit(pg_temp.picture('png'), run_after => '-infinity') AS job \gset
SELECT img_wait(:'job');

-- Lower priority numbers first, then run_after
\set ECHO none
\i test/include/dispatcher_off.sql
\set ECHO all
INSERT INTO submitted VALUES ('third', img_submit(pg_temp.picture('png'), priority => 5)),
	('first', img_submit(pg_temp.picture('png'), priority => -2147483648)),
	('fourth', img_submit(pg_temp.picture('png'), priority => 2147483647, run_after => '-infinity')),
	('second', img_submit(pg_temp.picture('png'), priority => 5, run_after => '2000-01-01'));
BEGIN;
SELECT name FROM img_claim('a worker', 1000, '1 minute') WITH ORDINALITY c JOIN submitted s ON s.id = c.id ORDER BY c.ordinality;
ROLLBACK;
-- max_attempts: of the job, or of the setting
SET imgapi.max_attempts = 7;
INSERT INTO submitted VALUES ('seven', img_submit(pg_temp.picture('png'), run_after => 'infinity')),
	('two', img_submit(pg_temp.picture('png'), run_after => 'infinity', max_attempts => 2));
RESET imgapi.max_attempts;
SELECT name, max_attempts FROM img_job JOIN submitted USING (id) WHERE name IN ('seven', 'two') ORDER BY name;

-- job_key: a second submit changes the job that waits
SELECT img_submit(pg_temp.picture('png'), '{"resizing": {"width": 4, "fit": "bounds"}}', job_key => 'k', priority => 1, run_after => 'infinity') AS job \gset
SELECT img_submit(pg_temp.picture('gif'), '{"resizing": {"width": 16, "fit": "bounds"}}', '{"format": "webp"}', job_key => 'k', priority => 2, max_attempts => 9) = :'job' AS same;
SELECT count(*), min(request::text) AS request, min(priority) AS priority, min(max_attempts) AS max_attempts FROM img_job WHERE job_key = 'k';
SELECT count(*) AS inputs, bool_and(data = pg_temp.picture('gif')) AS new_picture, bool_and(sha256 = sha256(data) AND bytes = octet_length(data)) AS facts
FROM img_object WHERE job_id = :'job';
-- one that has started stays as it is, and is returned
BEGIN;
SELECT count(*) FROM img_claim('a worker', 1000, '1 hour') WHERE id = :'job';
COMMIT;
SELECT img_status(:'job');
SELECT img_submit(pg_temp.picture('png'), '{"resizing": {"width": 5, "fit": "bounds"}}', job_key => 'k') = :'job' AS same;
SELECT request FROM img_job WHERE id = :'job';
SELECT data = pg_temp.picture('gif') AS old_picture FROM img_object WHERE job_id = :'job';
-- in one statement
SELECT count(DISTINCT img_submit(pg_temp.picture('png'), jsonb_build_object('resizing', jsonb_build_object('width', g)), job_key => 'many', run_after => 'infinity'))
FROM generate_series(1, 5) g;
SELECT count(*), min(request #>> '{operations,resizing,width}') FROM img_job WHERE job_key = 'many';
-- the worker goes on
UPDATE img_job_live SET lease_owner = NULL, lease_expires_at = NULL WHERE lease_owner = 'a worker';
\set ECHO none
\i test/include/dispatcher_on.sql
\set ECHO all
SELECT img_wait(:'job');
SELECT pg_temp.shape(img_output(:'job'));
-- when it has ended, the key is free; retrying the old one beside a new one is not
SELECT img_submit(pg_temp.picture('png'), job_key => 'k', run_after => 'infinity') <> :'job' AS another;
SELECT img_submit(pg_temp.picture('png'), job_key => 'c', run_after => 'infinity') AS cancelled \gset
SELECT img_cancel(:'cancelled');
SELECT img_submit(pg_temp.picture('png'), job_key => 'c', run_after => 'infinity') <> :'cancelled' AS another;
SELECT pg_temp.error_of(format('SELECT img_retry(%L)', :'cancelled'));
SELECT img_status(:'cancelled');

-- Many at once, and the picture of each is its own
INSERT INTO submitted SELECT 'many', img_submit(p.data, jsonb_build_object('resizing', jsonb_build_object('width', g, 'fit', 'bounds')))
FROM generate_series(1, 20) g, picture p WHERE p.name IN ('png', 'jpeg', 'gif');
SELECT img_wait(id), count(*) FROM submitted WHERE name = 'many' GROUP BY 1;
SELECT count(*), bool_and((img_info(img_output(j.id))).width = (request #>> '{operations,resizing,width}')::int) AS widths,
	bool_and((img_info(img_output(j.id))).format = i.format) AS formats
FROM submitted s JOIN img_job j USING (id) JOIN img_object i ON i.job_id = j.id AND i.role = 'input' WHERE s.name = 'many';

-- What purging has taken
SELECT img_submit('no picture'::bytea) AS job \gset
SELECT img_wait(:'job');
DELETE FROM img_object WHERE job_id = :'job';
SELECT pg_temp.error_of(format('SELECT img_retry(%L)', :'job'));

-- img_stats counts them
SELECT bool_and(jobs = (SELECT count(*) FROM img_job j WHERE j.kind = s.kind AND j.status = s.status)) AS counts,
	bool_and((oldest_waiting IS NOT NULL) = (status = 'ACCEPTED')) AS oldest, bool_and(ended_last_minute <= ended_last_hour) AS rates
FROM img_stats s;
DELETE FROM img_job_live WHERE run_after = 'infinity';
CALL pg_temp.finish_jobs();
