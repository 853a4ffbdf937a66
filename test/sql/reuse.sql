-- Nothing is done twice: a job takes over the stored result of an equal one.
-- To see that no pixel is touched, the stored result is replaced by a lie, which
-- then comes back.
\set ECHO none
\i test/include/pictures.sql
CREATE FUNCTION pg_temp.other_picture() RETURNS bytea LANGUAGE sql AS $$
	SELECT img_edit(pg_temp.picture('png'), '{"flip": "vertical"}')
$$;
-- Submits, waits, and says what became of it: "made", or whose result it is.
CREATE TEMP TABLE submitted (name text, id uuid);
CREATE PROCEDURE pg_temp.submit(name text, picture bytea, operations jsonb, output jsonb DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE
	job uuid := img_submit(picture, operations, output);
BEGIN
	COMMIT;
	PERFORM img_wait(job, '30 s');
	COMMIT;
	INSERT INTO submitted VALUES (name, job);
END $$;
CREATE FUNCTION pg_temp.job(name text) RETURNS uuid LANGUAGE sql STABLE AS 'SELECT s.id FROM pg_temp.submitted s WHERE s.name = $1';
CREATE FUNCTION pg_temp.origin(name text, OUT status img_job_status, OUT pieces bigint, OUT "from" text) LANGUAGE sql AS $$
	SELECT j.status, count(o.id), string_agg(DISTINCT coalesce((SELECT s.name FROM submitted s WHERE s.id = o.reused_from),
		o.reused_from::text, 'made'), ',')
	FROM img_job j LEFT JOIN img_object o ON o.job_id = j.id AND o.role = 'output'
	WHERE j.id = pg_temp.job($1) GROUP BY j.status
$$;
CREATE FUNCTION pg_temp.lie(name text, what text) RETURNS bigint LANGUAGE sql AS $$
	WITH changed AS (UPDATE img_object SET data = convert_to(what || ' ' || ordinal, 'UTF8')
		WHERE job_id = pg_temp.job($1) AND role = 'output' RETURNING 1)
	SELECT count(*) FROM changed
$$;
CREATE FUNCTION pg_temp.outputs(name text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(CASE WHEN octet_length(o.data) < 50 THEN convert_from(o.data, 'UTF8') ELSE pg_temp.shape(o.data) END, ', ' ORDER BY o.ordinal)
	FROM img_object o WHERE o.job_id = pg_temp.job($1) AND o.role = 'output'
$$;
-- A new worker has read the settings anew.
CREATE PROCEDURE pg_temp.restart_worker() LANGUAGE plpgsql AS $$
DECLARE
	old int := (SELECT w.pid FROM img_worker w WHERE w.database = current_database());
BEGIN
	PERFORM pg_reload_conf(), pg_terminate_backend(old);
	CALL pg_temp.await(format('SELECT img_start_worker() AND EXISTS (SELECT FROM img_worker w
		WHERE w.database = current_database() AND w.pid <> %s AND w.state = ''idle'')', old));
END $$;
-- nothing of other tests
TRUNCATE img_job_live, img_job_ended, img_job_error, img_object;
\set ECHO all
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
-- The same picture and request a second time
CALL pg_temp.submit('first', pg_temp.picture('png'), '{"resizing": {"width": 16, "fit": "bounds"}}');
CALL pg_temp.submit('again', pg_temp.picture('png'), '{"resizing": {"width": 16, "fit": "bounds"}}');
SELECT pg_temp.origin('first'), pg_temp.origin('again');
SELECT img_output(pg_temp.job('first')) = img_output(pg_temp.job('again')) AS same;
-- a row of its own, with the facts of result and source
SELECT replace(name, job_id::text, 'JOB'), replace(path, job_id::text, 'JOB'), format, mime, ext, width, height, mps, bytes = octet_length(data) AS bytes, sha256 = sha256(data) AS sha256
FROM img_object WHERE job_id = pg_temp.job('again') AND role = 'output';
SELECT format, mime, ext, width, height, mps, made_of IS NULL, reused_from IS NULL FROM img_object WHERE job_id = pg_temp.job('again') AND role = 'input';
SELECT started_at >= created_at, finished_at >= started_at, attempts, warning FROM img_job WHERE id = pg_temp.job('again');
SELECT jsonb_path_query_array(img_result(pg_temp.job('again')), '$.result.output_object.keyvalue().key') = jsonb_path_query_array(img_result(pg_temp.job('first')), '$.result.output_object.keyvalue().key') AS same;
-- No executor is asked: what is stored comes back, whatever it is
SELECT pg_temp.lie('first', 'lie'), pg_temp.lie('again', 'lie');
CALL pg_temp.submit('third', pg_temp.picture('png'), '{"resizing": {"width": 16, "fit": "bounds"}}');
SELECT (pg_temp.origin('third'))."from" IN ('first', 'again') AS reused, pg_temp.outputs('third');
-- Another way to write the same request
CALL pg_temp.submit('spelled', pg_temp.picture('png'), '{"background": null, "resizing": {"fit": {"type": "bounds"}, "width": 16}}', '{}');
SELECT pg_temp.outputs('spelled');
-- Copies live on by themselves
DELETE FROM img_object WHERE job_id IN (SELECT id FROM submitted WHERE name <> 'third');
CALL pg_temp.submit('fourth', pg_temp.picture('png'), '{"resizing": {"width": 16, "fit": "bounds"}}');
SELECT pg_temp.origin('fourth'), pg_temp.outputs('fourth');

-- Not for another request, format, picture, limit
CALL pg_temp.submit('other width', pg_temp.picture('png'), '{"resizing": {"width": 15, "fit": "bounds"}}');
CALL pg_temp.submit('other format', pg_temp.picture('png'), '{"resizing": {"width": 16, "fit": "bounds"}}', '{"format": "webp"}');
CALL pg_temp.submit('other quality', pg_temp.picture('png'), '{"resizing": {"width": 16, "fit": "bounds"}}', '{"format": {"type": "webp", "compression": {"type": "lossy", "quality": 7}}}');
CALL pg_temp.submit('other dpi', pg_temp.picture('png'), '{"resizing": {"width": 16, "fit": "bounds"}}', '{"metadata": {"dpi": 77}}');
CALL pg_temp.submit('other picture', pg_temp.other_picture(), '{"resizing": {"width": 16, "fit": "bounds"}}');
ALTER SYSTEM SET imgapi.max_source_pixels = 100;
CALL pg_temp.restart_worker();
CALL pg_temp.submit('other limit', pg_temp.picture('png'), '{"resizing": {"width": 16, "fit": "bounds"}}');
ALTER SYSTEM RESET imgapi.max_source_pixels;
CALL pg_temp.restart_worker();
SELECT name, pg_temp.origin(name), pg_temp.outputs(name) FROM submitted WHERE name LIKE 'other%' ORDER BY name;
-- Not where the setting is off, nor what was made then
ALTER SYSTEM SET imgapi.reuse = off;
CALL pg_temp.restart_worker();
CALL pg_temp.submit('off', pg_temp.picture('png'), '{"resizing": {"width": 16, "fit": "bounds"}}');
CALL pg_temp.submit('off, new', pg_temp.picture('png'), '{"resizing": {"width": 14, "fit": "bounds"}}');
ALTER SYSTEM RESET imgapi.reuse;
CALL pg_temp.restart_worker();
CALL pg_temp.submit('on again', pg_temp.picture('png'), '{"resizing": {"width": 14, "fit": "bounds"}}');
SELECT name, pg_temp.origin(name), pg_temp.outputs(name) FROM submitted WHERE name IN ('off', 'off, new', 'on again') ORDER BY name;
SELECT count(made_of) FROM img_object WHERE job_id = pg_temp.job('off');
-- Not what has expired, nor what is no longer whole
UPDATE img_object SET expires_at = clock_timestamp() WHERE job_id IN (pg_temp.job('third'), pg_temp.job('fourth')) AND role = 'output';
CALL pg_temp.submit('after expiry', pg_temp.picture('png'), '{"resizing": {"width": 16, "fit": "bounds"}}');
SELECT pg_temp.origin('after expiry'), pg_temp.outputs('after expiry');
DELETE FROM img_object WHERE job_id = pg_temp.job('after expiry') AND role = 'input';
CALL pg_temp.submit('without source', pg_temp.picture('png'), '{"resizing": {"width": 16, "fit": "bounds"}}');
SELECT pg_temp.origin('without source'), pg_temp.outputs('without source');
-- Failures are no results
CALL pg_temp.submit('broken', 'broken', '{}');
CALL pg_temp.submit('still broken', 'broken', '{}');
SELECT count(*) FROM img_job_error WHERE job_id IN (pg_temp.job('broken'), pg_temp.job('still broken'));
-- A warning is told again
CALL pg_temp.submit('warned', pg_temp.picture('gif_3_frames'), '{}', '{"format": "png"}');
CALL pg_temp.submit('warned again', pg_temp.picture('gif_3_frames'), '{}', '{"format": "png"}');
SELECT pg_temp.origin('warned again'), warning FROM img_job WHERE id = pg_temp.job('warned again');

-- Never from one role to another, whoever looks
CREATE ROLE regress_reuses;
SELECT img_grant('regress_reuses') IS NOT NULL;
GRANT SELECT ON picture TO regress_reuses;
SET ROLE regress_reuses;
SELECT img_submit(pg_temp.picture('gif_3_frames'), '{}', '{"format": "png"}') AS job \gset
SELECT img_wait(:'job');
SELECT reused_from FROM img_object WHERE job_id = :'job' AND role = 'output';
SELECT img_submit(pg_temp.picture('gif_3_frames'), '{}', '{"format": "png"}') AS again \gset
SELECT img_wait(:'again');
SELECT reused_from = :'job' FROM img_object WHERE job_id = :'again' AND role = 'output';
RESET ROLE;
DROP OWNED BY regress_reuses;
DROP ROLE regress_reuses;

-- Named operations: all pieces, with names of their own
SELECT img_operation_put('tiles', '[{"templateOperationId": "grid", "option": {"countX": 2, "countY": 1}}]') IS NOT NULL;
SELECT img_operation_put('tiles-too', '[{"templateOperationId": "grid", "option": {"countX": 2, "countY": 1}}]') IS NOT NULL;
SELECT img_submit_operation(pg_temp.picture('png'), 'tiles') AS job \gset
SELECT img_wait(:'job');
INSERT INTO submitted VALUES ('tiles', :'job');
SELECT pg_temp.lie('tiles', 'piece');
SELECT img_submit_operation(pg_temp.picture('png'), 'tiles-too') AS job \gset
SELECT img_wait(:'job');
INSERT INTO submitted VALUES ('tiles too', :'job');
SELECT pg_temp.origin('tiles too'), pg_temp.outputs('tiles too');
SELECT ordinal, replace(name, :'job', 'JOB'), replace(path, :'job', 'JOB') FROM img_object WHERE job_id = :'job' AND role = 'output' ORDER BY ordinal;
-- a piece is missing: all are made again
DELETE FROM img_object WHERE job_id IN (pg_temp.job('tiles'), pg_temp.job('tiles too')) AND role = 'output' AND ordinal = 0;
SELECT img_submit_operation(pg_temp.picture('png'), 'tiles') AS job \gset
SELECT img_wait(:'job');
INSERT INTO submitted VALUES ('tiles again', :'job');
SELECT pg_temp.origin('tiles again'), pg_temp.outputs('tiles again');
-- results that go with their operation are gone for this too
SELECT pg_temp.lie('tiles again', 'piece');
SELECT (img_operation_put('tiles', '[{"templateOperationId": "grid", "option": {"countX": 2, "countY": 1}}]', delete_thumbnail => true)).operation_id;
SELECT img_submit_operation(pg_temp.picture('png'), 'tiles') AS job \gset
SELECT img_wait(:'job');
INSERT INTO submitted VALUES ('tiles anew', :'job');
SELECT pg_temp.origin('tiles anew'), pg_temp.outputs('tiles anew');

-- A watermark is part of it: the same picture under another name is the same, another one is not
CALL pg_temp.submit('logo', pg_temp.picture('png'), '{"resizing": {"width": 8, "fit": "bounds"}}');
CALL pg_temp.submit('same logo', pg_temp.picture('png'), '{"resizing": {"width": 8, "fit": "bounds"}}');
CALL pg_temp.submit('other logo', pg_temp.other_picture(), '{"resizing": {"width": 8, "fit": "bounds"}}');
CALL pg_temp.submit('marked', pg_temp.picture('jpeg'), jsonb_build_object('watermark', jsonb_build_object('image', pg_temp.job('logo'))));
CALL pg_temp.submit('marked the same', pg_temp.picture('jpeg'), jsonb_build_object('watermark', jsonb_build_object('image', pg_temp.job('same logo'))));
CALL pg_temp.submit('marked otherwise', pg_temp.picture('jpeg'), jsonb_build_object('watermark', jsonb_build_object('image', pg_temp.job('other logo'))));
CALL pg_temp.submit('no logo', pg_temp.picture('jpeg'), '{"watermark": {"image": "00000000-0000-7000-8000-000000000000"}}');
SELECT name, pg_temp.origin(name) FROM submitted WHERE name LIKE 'marked%' ORDER BY name;
SELECT error_code FROM img_job WHERE id = pg_temp.job('no logo');

-- Triggers: where the result is stored, and not where it goes to the row
CREATE TABLE upload (id int PRIMARY KEY, data bytea, uri text, job uuid, thumb bytea);
CREATE TRIGGER uri AFTER INSERT OR UPDATE OF data ON upload FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 12, "fit": "bounds"}}', 'uri');
INSERT INTO upload VALUES (1, pg_temp.picture('png'));
CALL pg_temp.finish_jobs();
INSERT INTO submitted SELECT 'row 1', id FROM img_job WHERE source_table = 'upload'::regclass;
SELECT pg_temp.origin('row 1');
SELECT pg_temp.lie('row 1', 'row');
INSERT INTO upload VALUES (2, pg_temp.picture('png'));
CALL pg_temp.finish_jobs();
INSERT INTO submitted SELECT 'row 2', id FROM img_job WHERE source_table = 'upload'::regclass AND source_key = '{2}';
SELECT pg_temp.origin('row 2'), pg_temp.outputs('row 2'), (SELECT uri = 'storage://database/' || pg_temp.job('row 2') || '.png' FROM upload WHERE id = 2);
SELECT format, width, height, bytes FROM img_object WHERE job_id = pg_temp.job('row 2') AND role = 'input';
-- nor is a submitted picture another one than that of a row
CALL pg_temp.submit('not from a row', pg_temp.picture('png'), '{"resizing": {"width": 12, "fit": "bounds"}}');
SELECT pg_temp.outputs('not from a row');
-- another picture in the row
UPDATE upload SET data = pg_temp.other_picture() WHERE id = 1;
CALL pg_temp.finish_jobs();
SELECT pg_temp.shape(o.data), o.reused_from FROM upload u JOIN img_object o ON 'storage://database/' || o.path = u.uri WHERE u.id = 1;
-- a large one, which is read piece by piece, has the same hash as one that was submitted
ALTER TABLE upload ALTER COLUMN data SET STORAGE EXTERNAL;
INSERT INTO picture SELECT 'large', img_edit(pg_temp.picture('png'), '{"resizing": {"width": 1000, "height": 900, "fit": "fill"}}', '{"format": {"type": "tiff", "compression": "lossless"}}')
	|| (SELECT string_agg(sha256(n::text::bytea), '' ORDER BY n) FROM generate_series(1, 40000) n);
INSERT INTO upload VALUES (4, pg_temp.picture('large'));
CALL pg_temp.finish_jobs();
INSERT INTO submitted SELECT 'row 4', id FROM img_job WHERE source_table = 'upload'::regclass AND source_key = '{4}';
SELECT pg_temp.lie('row 4', 'large');
CALL pg_temp.submit('large', pg_temp.picture('large'), '{"resizing": {"width": 12, "fit": "bounds"}}');
SELECT octet_length(pg_temp.picture('large')) > 1048576 AS large, pg_temp.origin('row 4'), pg_temp.origin('large'), pg_temp.outputs('large');
-- the id of the job, and the picture itself
DROP TRIGGER uri ON upload;
CREATE TRIGGER job AFTER INSERT ON upload FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 12, "fit": "bounds"}}', 'job');
CREATE TRIGGER thumb AFTER INSERT ON upload FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 12, "fit": "bounds"}}', 'thumb');
INSERT INTO upload VALUES (3, pg_temp.picture('png'));
CALL pg_temp.finish_jobs();
INSERT INTO submitted SELECT 'row 3', job FROM upload WHERE id = 3;
SELECT pg_temp.outputs('row 3'), pg_temp.shape(thumb) FROM upload WHERE id = 3;
SELECT o.storage, o.made_of, o.reused_from FROM img_object o JOIN img_job j ON j.id = o.job_id WHERE j.target_column = 'thumb' AND o.role = 'output';
DROP TABLE upload;

-- Many at once, with large results: they are taken in turns
SELECT count(img_submit(pg_temp.picture('png'), '{"resizing": {"width": 1200, "height": 900, "fit": "fill"}}', '{"format": "tiff"}')) FROM generate_series(1, 1);
CALL pg_temp.finish_jobs();
SELECT count(img_submit(pg_temp.picture('png'), '{"resizing": {"width": 1200, "height": 900, "fit": "fill"}}', '{"format": "tiff"}')) FROM generate_series(1, 40);
CALL pg_temp.finish_jobs();
SELECT count(*), count(reused_from), count(DISTINCT sha256), count(DISTINCT job_id) FROM img_object WHERE role = 'output' AND width = 1200;

DELETE FROM img_operation WHERE NOT template;
TRUNCATE img_job_ended, img_job_error, img_object;
