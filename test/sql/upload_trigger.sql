-- img_on_upload(): which changes of a table start, cancel or leave jobs, and
-- where results go.
\set ECHO none
\i test/include/pictures.sql
\set ECHO all
\set SHOW_CONTEXT never
CREATE SCHEMA upload_trigger;
SET search_path = upload_trigger, public;

-- What the jobs of a table are, without their ids.
CREATE FUNCTION jobs(of regclass, OUT key text, OUT source text, OUT target text, OUT status text, OUT error text)
RETURNS SETOF record LANGUAGE sql AS $$
	SELECT source_key, source_column, target_column, status::text, j.error
	FROM img_job j WHERE source_table = of ORDER BY task_id
$$;

-- By row: INSERT and UPDATE OF
CREATE TABLE photo (id int PRIMARY KEY, name text, data bytea, thumb bytea);
CREATE TRIGGER thumb AFTER INSERT OR UPDATE OF data OR DELETE ON photo FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 16, "fit": "bounds"}}', 'thumb');
INSERT INTO photo SELECT row_number() OVER (ORDER BY name), name, data FROM picture WHERE name IN ('gif', 'jpeg', 'png');
INSERT INTO photo VALUES (4, 'none', NULL);
CALL pg_temp.finish_jobs();
SELECT id, name, pg_temp.shape(data), pg_temp.shape(thumb) FROM photo ORDER BY id;
SELECT * FROM jobs('photo');
-- the picture is not copied
SELECT role, storage, path, data IS NULL AS not_copied, format, width, height, bytes > 0 AS has_bytes
FROM img_object JOIN img_job j ON j.id = job_id WHERE source_table = 'photo'::regclass AND source_key = '{2}' ORDER BY role;
SELECT pg_temp.shape(img_output(id)) FROM img_job WHERE source_table = 'photo'::regclass AND source_key = '{2}';
-- … as long as the row holds it: another picture there is not the job's output
BEGIN;
UPDATE photo SET thumb = '\x00' WHERE id = 2;
SELECT pg_temp.error_of(pg_catalog.format('SELECT img_output(%L)', id)) LIKE '02000: the output of job % is gone%' AS gone
FROM img_job WHERE source_table = 'photo'::regclass AND source_key = '{2}';
ROLLBACK;

-- No job when the picture stays as it was, whatever the statement looks like
UPDATE photo SET name = upper(name);
UPDATE photo SET data = data;
UPDATE photo SET data = data || '\x', name = name;
UPDATE photo SET data = NULL WHERE id = 4;
SELECT count(*) FROM jobs('photo');
-- One when it changes, when it appears, and when its row gets another key
UPDATE photo SET data = pg_temp.picture('webp') WHERE id = 1;
UPDATE photo SET data = pg_temp.picture('webp') WHERE id = 4;
UPDATE photo SET id = 20, data = data WHERE id = 2;
CALL pg_temp.finish_jobs();
SELECT * FROM jobs('photo') OFFSET 3;
SELECT id, pg_temp.shape(data), pg_temp.shape(thumb) FROM photo ORDER BY id;
-- and none when it goes away
UPDATE photo SET data = NULL WHERE id = 4;
SELECT count(*) FROM jobs('photo');

-- A job that waits is cancelled when its picture changes or goes
-- Called in the transaction of an upload: its jobs stay waiting.
CREATE FUNCTION later() RETURNS void LANGUAGE sql AS $$
	UPDATE img_job_live SET run_after = 'infinity' WHERE source_table IS NOT NULL
$$;
TRUNCATE photo;
BEGIN;
INSERT INTO photo SELECT 100 + g, 'later', pg_temp.picture('png') FROM generate_series(1, 4) g;
SELECT later();
COMMIT;
UPDATE photo SET data = pg_temp.picture('gif') WHERE id = 101;
UPDATE photo SET data = NULL WHERE id = 102;
DELETE FROM photo WHERE id = 103;
UPDATE photo SET name = 'still' WHERE id = 104;
CALL pg_temp.finish_jobs();
SELECT * FROM jobs('photo') WHERE key LIKE '{10_}';
SELECT id, pg_temp.shape(thumb) FROM photo ORDER BY id;
-- TRUNCATE fires no trigger for rows: the worker finds nothing
TRUNCATE photo;
UPDATE img_job_live SET run_after = now() WHERE source_table = 'photo'::regclass;
SELECT img_start_worker();
CALL pg_temp.finish_jobs();
SELECT * FROM jobs('photo') WHERE key = '{104}';
-- A rolled-back upload leaves nothing
BEGIN;
INSERT INTO photo VALUES (105, 'undone', pg_temp.picture('png'));
SAVEPOINT s;
INSERT INTO photo VALUES (106, 'undone', pg_temp.picture('png'));
ROLLBACK TO s;
SELECT count(*) FROM jobs('photo') WHERE key IN ('{105}', '{106}');
ROLLBACK;
SELECT count(*) FROM jobs('photo') WHERE key IN ('{105}', '{106}');
-- An upload never fails because the picture is bad: the job says so
INSERT INTO photo VALUES (107, 'text', 'this is no picture'), (108, 'empty', ''), (109, 'good', pg_temp.picture('png'));
CALL pg_temp.finish_jobs();
SELECT j.key, j.status, e.sqlstate, e.stage, e.error FROM jobs('photo') j
JOIN img_job i ON i.source_key = j.key AND i.source_table = 'photo'::regclass LEFT JOIN img_job_error e ON e.job_id = i.id
WHERE j.key IN ('{107}', '{108}', '{109}') ORDER BY 1;
DROP TABLE photo;

-- By statement, with transition tables: one batch
CREATE TABLE photo (id int PRIMARY KEY, data bytea, thumb bytea);
CREATE TRIGGER added AFTER INSERT ON photo REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 8, "fit": "bounds"}}', 'thumb');
CREATE TRIGGER changed AFTER UPDATE ON photo REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 8, "fit": "bounds"}}', 'thumb');
CREATE TRIGGER removed AFTER DELETE ON photo REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 8, "fit": "bounds"}}', 'thumb');
INSERT INTO photo SELECT g, pg_temp.picture('png') FROM generate_series(1, 3) g;
INSERT INTO photo SELECT 0, NULL WHERE false;
CALL pg_temp.finish_jobs();
SELECT id, pg_temp.shape(thumb) FROM photo ORDER BY id;
SELECT count(DISTINCT created_at) AS batches, count(*) AS jobs FROM img_job WHERE source_table = 'photo'::regclass;
UPDATE photo SET data = CASE id WHEN 1 THEN pg_temp.picture('gif') WHEN 2 THEN data END;
CALL pg_temp.finish_jobs();
SELECT * FROM jobs('photo') OFFSET 3;
SELECT id, pg_temp.shape(thumb) FROM photo ORDER BY id;
INSERT INTO photo VALUES (1, pg_temp.picture('webp')), (4, pg_temp.picture('webp'))
	ON CONFLICT (id) DO UPDATE SET data = excluded.data;
CALL pg_temp.finish_jobs();
SELECT id, pg_temp.shape(thumb) FROM photo WHERE id IN (1, 4) ORDER BY id;
BEGIN;
INSERT INTO photo SELECT g, pg_temp.picture('png') FROM generate_series(5, 6) g;
SELECT later();
COMMIT;
DELETE FROM photo WHERE id >= 5;
SELECT * FROM jobs('photo') WHERE key IN ('{5}', '{6}');
DROP TABLE photo;

-- Trigger on all columns: writing the result starts nothing
CREATE TABLE photo (id int PRIMARY KEY, data bytea, thumb bytea);
CREATE TRIGGER thumb AFTER INSERT OR UPDATE ON photo FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 8, "fit": "bounds"}}', 'thumb');
INSERT INTO photo VALUES (1, pg_temp.picture('png'));
CALL pg_temp.finish_jobs();
SELECT count(*), (SELECT pg_temp.shape(thumb) FROM photo) FROM jobs('photo');
DROP TABLE photo;

-- Source and target are one column: one job, the result replaces the picture
CREATE TABLE photo (id int PRIMARY KEY, data bytea);
CREATE TRIGGER shrink AFTER INSERT OR UPDATE ON photo FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 8, "fit": "bounds"}}', 'data');
INSERT INTO photo VALUES (1, pg_temp.picture('png'));
CALL pg_temp.finish_jobs();
SELECT count(*), (SELECT pg_temp.shape(data) FROM photo) FROM jobs('photo');
DROP TABLE photo;
-- the same by statement, and by a deferred constraint trigger: none is deferred when a result is written
CREATE TABLE photo (id int PRIMARY KEY, data bytea);
CREATE TRIGGER added AFTER INSERT ON photo REFERENCING NEW TABLE AS n FOR EACH STATEMENT
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": "50%", "fit": "bounds"}}', 'data');
CREATE TRIGGER changed AFTER UPDATE ON photo REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": "50%", "fit": "bounds"}}', 'data');
INSERT INTO photo VALUES (1, pg_temp.picture('png'));
CALL pg_temp.finish_jobs();
SELECT count(*), (SELECT pg_temp.shape(data) FROM photo) FROM jobs('photo');
DROP TABLE photo;
CREATE TABLE photo (id int PRIMARY KEY, data bytea);
CREATE CONSTRAINT TRIGGER shrink AFTER INSERT OR UPDATE ON photo DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": "50%", "fit": "bounds"}}', 'data');
INSERT INTO photo VALUES (1, pg_temp.picture('png'));
CALL pg_temp.finish_jobs();
SELECT key, status, error, (SELECT pg_temp.shape(data) FROM photo) FROM jobs('photo');
DROP TABLE photo;

-- beside one that reads the same column: that has the last word, and there is no loop
CREATE TABLE photo (id int PRIMARY KEY, data bytea, thumb bytea);
CREATE TRIGGER shrink AFTER INSERT OR UPDATE ON photo FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": "50%", "fit": "bounds"}}', 'data');
CREATE TRIGGER thumb AFTER INSERT OR UPDATE ON photo FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": "50%", "fit": "bounds"}}', 'thumb');
INSERT INTO photo SELECT g, pg_temp.picture('png') FROM generate_series(1, 40) g;
CALL pg_temp.finish_jobs();
SELECT pg_temp.shape(data), pg_temp.shape(thumb), count(*) FROM photo GROUP BY 1, 2;
SELECT count(*) FROM jobs('photo') WHERE target = 'data';
DROP TABLE photo;
-- two columns, each made from the other: one round
CREATE TABLE photo (id int PRIMARY KEY, a bytea, b bytea);
CREATE TRIGGER a AFTER INSERT OR UPDATE ON photo FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('a', '{"resizing": {"width": "50%", "fit": "bounds"}}', 'b');
CREATE TRIGGER b AFTER INSERT OR UPDATE ON photo FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('b', '{"resizing": {"width": "50%", "fit": "bounds"}}', 'a');
INSERT INTO photo VALUES (1, pg_temp.picture('png'));
CALL pg_temp.finish_jobs();
SELECT pg_temp.shape(a), pg_temp.shape(b) FROM photo;
SELECT * FROM jobs('photo');
DROP TABLE photo;

-- What a trigger of the user does when a result is written is an upload like any other
CREATE TABLE photo (id int PRIMARY KEY, data bytea, thumb bytea);
CREATE TABLE copy (id int PRIMARY KEY, data bytea, thumb bytea);
CREATE TRIGGER thumb AFTER INSERT OR UPDATE ON photo FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 16, "fit": "bounds"}}', 'thumb');
CREATE TRIGGER thumb AFTER INSERT OR UPDATE ON copy FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 4, "fit": "bounds"}}', 'thumb');
CREATE FUNCTION copy_thumb() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN INSERT INTO upload_trigger.copy VALUES (new.id, new.thumb); RETURN NULL; END';
CREATE TRIGGER copy AFTER UPDATE OF thumb ON photo FOR EACH ROW EXECUTE FUNCTION copy_thumb();
INSERT INTO photo VALUES (1, pg_temp.picture('png'));
CALL pg_temp.finish_jobs();
SELECT pg_temp.shape(data), pg_temp.shape(thumb) FROM copy;
DROP TABLE photo, copy;

-- Two triggers on one table: each has its job, and a change of one source leaves the other's alone
CREATE TABLE photo (id int PRIMARY KEY, front bytea, back bytea, small bytea, tiny bytea);
CREATE TRIGGER small AFTER INSERT OR UPDATE ON photo FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('front', '{"resizing": {"width": 16, "fit": "bounds"}}', 'small');
CREATE TRIGGER tiny AFTER INSERT OR UPDATE ON photo FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('back', '{"resizing": {"width": 8, "fit": "bounds"}}', 'tiny');
CREATE TRIGGER untargeted AFTER INSERT OR UPDATE ON photo FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('front', '{"resizing": {"width": 4, "fit": "bounds"}}');
INSERT INTO photo VALUES (1, pg_temp.picture('png'), pg_temp.picture('jpeg'));
CALL pg_temp.finish_jobs();
SELECT pg_temp.shape(small), pg_temp.shape(tiny) FROM photo;
SELECT source_column, target_column, pg_temp.shape(img_output(id)) FROM img_job WHERE source_table = 'photo'::regclass ORDER BY task_id;
BEGIN;
INSERT INTO photo VALUES (2, pg_temp.picture('png'), pg_temp.picture('jpeg'));
SELECT later();
COMMIT;
UPDATE photo SET back = NULL WHERE id = 2;
SELECT * FROM jobs('photo') WHERE key = '{2}';
DROP TABLE photo;

-- Target columns: text has the address, uuid the job, at once
CREATE TABLE photo (id int PRIMARY KEY, data bytea, address text, address2 varchar(100), job uuid);
CREATE TRIGGER a AFTER INSERT OR UPDATE ON photo FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 16, "fit": "bounds"}}', 'address');
CREATE TRIGGER b AFTER INSERT OR UPDATE ON photo FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 16, "fit": "bounds"}}', 'address2');
CREATE TRIGGER c AFTER INSERT OR UPDATE ON photo FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 8, "fit": "bounds"}}', 'job', '{"format": "webp"}');
BEGIN;
INSERT INTO photo VALUES (1, pg_temp.picture('png'));
SELECT address, j.target_column, j.status FROM photo p JOIN img_job j ON j.id = p.job;
COMMIT;
CALL pg_temp.finish_jobs();
SELECT address = 'storage://database/' || a.id || '.png' AS address, address2 = 'storage://database/' || b.id || '.png' AS address2,
	pg_temp.shape(img_output(a.id)), pg_temp.shape(img_output(p.job))
FROM photo p JOIN img_job a ON a.target_column = 'address' AND a.source_table = 'photo'::regclass
	JOIN img_job b ON b.target_column = 'address2' AND b.source_table = 'photo'::regclass;
SELECT 'storage://' || o.storage || '/' || o.path = p.address AS same FROM photo p JOIN img_object o ON o.role = 'output'
JOIN img_job j ON j.id = o.job_id AND j.target_column = 'address' AND j.source_table = 'photo'::regclass;
DROP TABLE photo;

-- Primary keys: of several columns, of any type, whatever the session's settings
CREATE EXTENSION IF NOT EXISTS citext SCHEMA upload_trigger;
CREATE TABLE composite (a text, b uuid, c bytea, data bytea, thumb bytea, n int, PRIMARY KEY (c, a, b) INCLUDE (n));
CREATE TABLE moment (at timestamptz, day date, span interval, f float8, data bytea, thumb bytea, PRIMARY KEY (at, day, span, f));
CREATE TABLE word (w varchar(20) PRIMARY KEY, data bytea, thumb bytea);
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE EXTENSION IF NOT EXISTS ltree SCHEMA upload_trigger;
CREATE TABLE various (m mood, a int[], l ltree, data bytea, thumb bytea, PRIMARY KEY (m, a, l));
CREATE TABLE anycase (w citext PRIMARY KEY, data bytea, thumb bytea);
CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON composite FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 4, "fit": "bounds"}}', 'thumb');
CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON moment FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 4, "fit": "bounds"}}', 'thumb');
CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON word FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 4, "fit": "bounds"}}', 'thumb');
CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON anycase FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 4, "fit": "bounds"}}', 'thumb');
CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON various FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 4, "fit": "bounds"}}', 'thumb');
INSERT INTO various VALUES ('good', '{1,2}', 'a.b', pg_temp.picture('png'));
INSERT INTO composite VALUES ('a "b", {c} ''d'' \e NULL', '11111111-2222-3333-4444-555555555555', '\x00ff', pg_temp.picture('png')),
	('', '11111111-2222-3333-4444-555555555555', '', pg_temp.picture('png')),
	('NULL', '11111111-2222-3333-4444-555555555555', '\x01', pg_temp.picture('png'));
INSERT INTO word VALUES ('O''Neil "x"', pg_temp.picture('png')), ('o''neil "x"', pg_temp.picture('png'));
INSERT INTO anycase VALUES ('Straße', pg_temp.picture('png'));
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'sql_standard';
SET extra_float_digits = -5;
SET TimeZone = 'Asia/Kolkata';
SET bytea_output = 'escape';
INSERT INTO moment VALUES ('2024-02-03 04:05:06.789+00', '2024-02-03', '-1 day 2 hours', 0.1::float8 + 0.2, pg_temp.picture('png'));
INSERT INTO composite VALUES ('escape', '11111111-2222-3333-4444-555555555555', '\x00ff', pg_temp.picture('png'));
CALL pg_temp.finish_jobs();
RESET DateStyle; RESET IntervalStyle; RESET extra_float_digits; RESET TimeZone; RESET bytea_output;
SELECT a, pg_temp.shape(thumb) FROM composite ORDER BY a COLLATE "C";
SELECT pg_temp.shape(thumb) FROM moment;
SELECT w, pg_temp.shape(thumb) FROM word ORDER BY w COLLATE "C";
SELECT pg_temp.shape(thumb) FROM anycase;
SELECT pg_temp.shape(thumb) FROM various;
SELECT source_table, source_key, pg_temp.shape(img_output(id)) FROM img_job
WHERE source_table IN ('composite'::regclass, 'moment'::regclass, 'word'::regclass, 'anycase'::regclass, 'various'::regclass) AND status = 'DONE' ORDER BY task_id;
-- a session with other settings finds the same key
BEGIN;
UPDATE moment SET data = pg_temp.picture('gif');
SELECT later();
COMMIT;
SET DateStyle = 'German';
SET TimeZone = 'America/New_York';
DELETE FROM moment;
RESET DateStyle; RESET TimeZone;
SELECT status FROM jobs('moment') OFFSET 1;
DROP TABLE composite, moment, word, anycase, various;

-- An operator in the way of a search_path is not used
CREATE TABLE word (w varchar(20) PRIMARY KEY, data bytea, thumb bytea);
CREATE TRIGGER t AFTER INSERT ON word FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 4, "fit": "bounds"}}', 'thumb');
CREATE FUNCTION caught(varchar, varchar) RETURNS bool LANGUAGE plpgsql AS $$BEGIN RAISE 'caught'; END$$;
CREATE OPERATOR public.= (FUNCTION = caught, LEFTARG = varchar, RIGHTARG = varchar);
INSERT INTO word VALUES ('a', pg_temp.picture('png'));
CALL pg_temp.finish_jobs();
SELECT j.status, j.error, pg_temp.shape(thumb), pg_temp.shape(img_output(j.id)) FROM word, img_job j WHERE source_table = 'word'::regclass;
DROP OPERATOR public.= (varchar, varchar);
DROP TABLE word;

-- Names that need quotes
CREATE SCHEMA "Odd ""Schema""";
CREATE TABLE "Odd ""Schema"""."The 'Table'" ("The ""Id""" int PRIMARY KEY, "Data" bytea, "select" bytea, gone int);
ALTER TABLE "Odd ""Schema"""."The 'Table'" DROP COLUMN gone, ADD COLUMN job uuid;
CREATE TRIGGER "T %s" AFTER INSERT OR UPDATE ON "Odd ""Schema"""."The 'Table'" FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('Data', '{"resizing": {"width": 4, "fit": "bounds"}}', 'select');
CREATE TRIGGER "U" AFTER INSERT OR UPDATE ON "Odd ""Schema"""."The 'Table'" FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('Data', '{"resizing": {"width": 4, "fit": "bounds"}}', 'job');
INSERT INTO "Odd ""Schema"""."The 'Table'" VALUES (1, pg_temp.picture('png'));
CALL pg_temp.finish_jobs();
SELECT pg_temp.shape("select"), pg_temp.shape(img_output(job)) FROM "Odd ""Schema"""."The 'Table'";
SELECT pg_temp.shape(img_output(id)) FROM img_job WHERE source_column = 'Data' AND target_column = 'select';
DROP SCHEMA "Odd ""Schema""" CASCADE;

-- Partitioned: the jobs of a row that moves go with it
CREATE TABLE photo (id int, album int, note text, data bytea, thumb bytea, PRIMARY KEY (album, id)) PARTITION BY LIST (album);
CREATE TABLE photo_1 PARTITION OF photo FOR VALUES IN (1);
CREATE TABLE photo_2 (thumb bytea, dropped int, album int NOT NULL, note text, data bytea, id int NOT NULL);
ALTER TABLE photo_2 DROP COLUMN dropped;
ALTER TABLE photo ATTACH PARTITION photo_2 FOR VALUES IN (2);
CREATE TRIGGER thumb AFTER INSERT OR UPDATE OR DELETE ON photo FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 4, "fit": "bounds"}}', 'thumb');
INSERT INTO photo VALUES (1, 1, 'a', pg_temp.picture('png')), (2, 2, 'b', pg_temp.picture('gif'));
CALL pg_temp.finish_jobs();
SELECT tableoid::regclass, id, pg_temp.shape(thumb) FROM photo ORDER BY id;
SELECT source_table, source_key, status FROM img_job WHERE source_table IN ('photo_1'::regclass, 'photo_2'::regclass) ORDER BY task_id;
BEGIN;
INSERT INTO photo VALUES (3, 1, 'c', pg_temp.picture('png'));
SELECT later();
COMMIT;
UPDATE photo SET album = 2 WHERE id = 3;
CALL pg_temp.finish_jobs();
SELECT tableoid::regclass, id, pg_temp.shape(thumb) FROM photo WHERE id = 3;
SELECT source_table, source_key, status FROM img_job WHERE source_table IN ('photo_1'::regclass, 'photo_2'::regclass) ORDER BY task_id OFFSET 2;
DROP TRIGGER thumb ON photo;
-- by statement, rows of several partitions, one of which moves
CREATE TRIGGER added AFTER INSERT ON photo REFERENCING NEW TABLE AS n FOR EACH STATEMENT
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 8, "fit": "bounds"}}', 'thumb');
CREATE TRIGGER changed AFTER UPDATE ON photo REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 8, "fit": "bounds"}}', 'thumb');
INSERT INTO photo VALUES (4, 1, 'd', pg_temp.picture('png')), (5, 2, 'e', pg_temp.picture('gif'));
CALL pg_temp.finish_jobs();
SELECT tableoid::regclass, id, pg_temp.shape(thumb) FROM photo WHERE id IN (4, 5) ORDER BY id;
UPDATE photo SET note = 'x';
SELECT count(*) FROM jobs('photo');
UPDATE photo SET album = 3 - album, data = CASE id WHEN 4 THEN pg_temp.picture('webp') ELSE data END WHERE id IN (4, 5);
CALL pg_temp.finish_jobs();
SELECT * FROM jobs('photo') OFFSET 2;
SELECT tableoid::regclass, id, pg_temp.shape(thumb) FROM photo WHERE id IN (4, 5) ORDER BY id;
DROP TABLE photo;

-- What is wrong with a trigger is said when it first fires, by name
CREATE TABLE photo (id int PRIMARY KEY, data bytea, name text, thumb bytea, n int);
CREATE TABLE keyless (data bytea, thumb bytea);
CREATE FUNCTION fires(tab text, arguments text, timing text DEFAULT 'AFTER INSERT', level text DEFAULT 'FOR EACH ROW') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	error text;
	detail text;
	hint text;
	place text;
BEGIN
	EXECUTE format('CREATE TRIGGER thumb %s ON %s %s EXECUTE FUNCTION img_on_upload(%s)', timing, tab, level, arguments);
	BEGIN
		EXECUTE format('INSERT INTO %s (data) VALUES (pg_temp.picture(''png''))', tab);
		RETURN 'no error';
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, place = PG_EXCEPTION_CONTEXT;
		error := concat_ws(E'\n', sqlstate || ': ' || sqlerrm, nullif(detail, ''), nullif(hint, ''),
			substring(place FROM 'trigger "thumb" on table[^\n]*'));
	END;
	EXECUTE format('DROP TRIGGER thumb ON %s', tab);
	RETURN error;
END $$;
ALTER TABLE photo ALTER id SET DEFAULT 1;
\pset format unaligned
\pset tuples_only on
SELECT fires('photo', '');
SELECT fires('photo', '''data''');
SELECT fires('photo', '''data'', ''{}'', ''thumb'', ''{}'', ''more''');
SELECT fires('photo', '''nothing'', ''{}''');
SELECT fires('photo', '''data'', ''{}'', ''nothing''');
SELECT fires('photo', '''ctid'', ''{}''');
SELECT fires('photo', '''n'', ''{}''');
SELECT fires('photo', '''data'', ''{}'', ''n''');
SELECT fires('photo', '''data'', ''thumbnail'', ''thumb''');
SELECT fires('photo', '''data'', ''{"resizing": '', ''thumb''');
SELECT fires('photo', '''data'', ''{"resizing": {"widht": 5}}'', ''thumb''');
SELECT fires('photo', '''data'', ''{}'', ''thumb'', ''{"format": "bmp"}''');
SELECT fires('photo', '''data'', ''{}'', ''thumb'', ''png''');
SELECT fires('photo', '''data'', ''{"background": {"remove": true}}'', ''thumb''');
SELECT fires('photo', '''data'', ''{}''', 'BEFORE INSERT');
SELECT fires('photo', '''data'', ''{}''', 'AFTER INSERT', 'FOR EACH STATEMENT');
SELECT fires('keyless', '''data'', ''{}''');
SELECT pg_temp.error_of('SELECT img_on_upload()');
\pset format aligned
\pset tuples_only off
SELECT count(*) FROM jobs('photo');

-- The table has changed, or is gone, when a job gets its turn
CREATE TRIGGER thumb AFTER INSERT ON photo FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 4, "fit": "bounds"}}', 'thumb');
BEGIN;
INSERT INTO photo VALUES (1, pg_temp.picture('png')), (2, pg_temp.picture('png'));
SELECT later();
COMMIT;
ALTER TABLE photo DROP COLUMN thumb;
UPDATE img_job_live SET run_after = now() WHERE source_key = '{1}';
SELECT img_start_worker();
CALL pg_temp.finish_jobs();
SELECT key, status, error FROM jobs('photo') WHERE key = '{1}';
SELECT 'photo'::regclass::oid AS photo \gset
DROP TABLE photo;
UPDATE img_job_live SET run_after = now() WHERE source_key = '{2}';
SELECT img_start_worker();
CALL pg_temp.finish_jobs();
SELECT source_key, status, error FROM img_job WHERE source_table = :photo::oid AND source_key = '{2}';

SET client_min_messages = warning;
DROP SCHEMA upload_trigger CASCADE;
