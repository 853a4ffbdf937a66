-- Files on other servers: img_purge() leaves them to img_delete, from which
-- workers take them. None is forgotten, and none that a picture has is removed.
\set ECHO none
\i test/include/pictures.sql
\i test/include/dispatcher_off.sql
\set ECHO all
\set SHOW_CONTEXT never
TRUNCATE img_job_live, img_job_ended, img_job_error, img_object, img_delete;
CREATE FOREIGN DATA WRAPPER regress_imgapi_wrapper;
CREATE SERVER photos FOREIGN DATA WRAPPER regress_imgapi_wrapper;
CREATE SERVER archive FOREIGN DATA WRAPPER regress_imgapi_wrapper;
CREATE ROLE regress_imgapi_remote;
CREATE FUNCTION pg_temp.store(storage text, path text, role text DEFAULT 'output', expires_at timestamptz DEFAULT '2001-01-01', owner regrole DEFAULT current_user::regrole)
RETURNS void LANGUAGE sql AS $$
	INSERT INTO img_object (id, job_id, stored_at, expires_at, owner, role, storage, path, bytes)
	VALUES (img_new_id(), img_new_id(), '2000-01-01', expires_at, owner, role, storage, path, 10)
$$;
CREATE FUNCTION pg_temp.claim(worker text, files int DEFAULT 100, lease interval DEFAULT '1 hour', OUT server text, OUT path text, OUT attempts int) RETURNS SETOF record LANGUAGE sql AS $$
	SELECT c.server, c.path, c.attempts FROM img_delete_claim(worker, files, lease) c ORDER BY c.server, c.path
$$;
CREATE FUNCTION pg_temp.file(path text) RETURNS uuid LANGUAGE sql STABLE AS 'SELECT id FROM img_delete WHERE path = $1';
CREATE FUNCTION pg_temp.due() RETURNS void LANGUAGE sql AS $$UPDATE img_delete SET run_after = '2001-01-01'$$;

-- Only what we have written goes there, once, in the transaction of the purge
SELECT pg_temp.store('photos', 'a.jpg'), pg_temp.store('photos', 'b.jpg', owner => 'regress_imgapi_remote'), pg_temp.store('archive', 'a.jpg'),
	pg_temp.store('photos', 'theirs.jpg', 'input'), pg_temp.store('database', 'here.jpg'), pg_temp.store('row', 'there.jpg'), pg_temp.store('photos', 'a.jpg');
BEGIN;
SELECT objects, bytes FROM img_purge();
SELECT server, path, owner::text = current_user AS mine, attempts, run_after <= clock_timestamp() AS due, lease_owner, error FROM img_delete ORDER BY 1, 2;
ROLLBACK;
SELECT count(*) FROM img_delete;
SELECT objects, bytes FROM img_purge();
SELECT count(*) FROM img_object;
SELECT objects FROM img_purge();
SELECT count(*) FROM img_delete;

-- Claim: due ones only, once, no more than asked for, with the owner
SELECT img_delete_next_due() <= clock_timestamp() AS due;
SELECT count(*) FROM pg_temp.claim('one', 2);
SELECT count(*) FROM pg_temp.claim('two', 2);
SELECT count(*) FROM pg_temp.claim('two', 2);
SELECT path, owner::regrole::text FROM (SELECT pg_temp.due()) x, LATERAL img_delete_claim('one', 9, '1 hour') WHERE owner <> current_user::regrole;
SELECT img_delete_next_due() > clock_timestamp() + interval '59 minutes' AS leased;

-- Done: who has it says so
SELECT count(*) FROM img_delete_done('two', ARRAY[pg_temp.file('b.jpg')]);
SELECT count(*) FROM img_delete_done('one', ARRAY[pg_temp.file('b.jpg'), img_new_id()]);
SELECT server, path, lease_owner FROM img_delete ORDER BY 1, 2;
-- a lease that is over is nobody's, and who comes back late is not heard
UPDATE img_delete SET run_after = '2001-01-01' WHERE server = 'archive';
SELECT * FROM pg_temp.claim('two');
SELECT count(*) FROM img_delete_done('one', (SELECT array_agg(id) FROM img_delete WHERE server = 'archive'));
SELECT count(*) FROM img_delete_done('two', (SELECT array_agg(id) FROM img_delete));
SELECT server, path, lease_owner FROM img_delete ORDER BY 1, 2;

-- Failed: again after 2, 4, 8 … seconds up to a day, for ever
SELECT img_delete_failed('two', pg_temp.file('a.jpg'), 'not mine');
SELECT img_delete_failed('one', pg_temp.file('a.jpg'), '503 Slow Down');
SELECT attempts, run_after - clock_timestamp() BETWEEN '3 seconds' AND '5.1 seconds' AS soon, lease_owner, error FROM img_delete;
SELECT img_delete_failed('one', pg_temp.file('a.jpg'), 'said twice');
SELECT * FROM pg_temp.claim('one');
SELECT pg_temp.due();
SELECT * FROM pg_temp.claim('one');
SELECT img_delete_failed('one', pg_temp.file('a.jpg'), '503 Slow Down', '10 minutes');
SELECT run_after - clock_timestamp() BETWEEN '9 minutes' AND '11 minutes' AS as_told FROM img_delete;
UPDATE img_delete SET attempts = 1000000, run_after = '2001-01-01';
SELECT * FROM pg_temp.claim('one');
SELECT img_delete_failed('one', pg_temp.file('a.jpg'), NULL, '-1 day');
SELECT attempts, run_after - clock_timestamp() BETWEEN '23 hours' AND '31 hours' AS in_a_day, error FROM img_delete;

-- A server that is gone: the rows stay, say why, and go on when it is back
SELECT pg_temp.due();
DROP SERVER photos;
SELECT * FROM pg_temp.claim('one');
SELECT attempts, run_after > clock_timestamp() + interval '1 hour' AS later, lease_owner, error FROM img_delete;
CREATE SERVER photos FOREIGN DATA WRAPPER regress_imgapi_wrapper;
SELECT pg_temp.due();
SELECT path, attempts FROM pg_temp.claim('one');
SELECT count(*) FROM img_delete_done('one', ARRAY[pg_temp.file('a.jpg')]);
SELECT img_delete_next_due();

-- Another picture has the file meanwhile: it stays, until that one goes
SELECT pg_temp.store('photos', 'shared.jpg'), pg_temp.store('photos', 'shared.jpg', expires_at => 'infinity');
SELECT objects FROM img_purge();
SELECT count(*) FROM img_delete;
SELECT * FROM pg_temp.claim('one');
SELECT count(*) FROM img_delete;
UPDATE img_object SET expires_at = '2001-01-01';
SELECT objects FROM img_purge();
SELECT * FROM pg_temp.claim('one');
-- one that only reads it does not keep it, nor does the same name elsewhere
SELECT pg_temp.due(), pg_temp.store('photos', 'shared.jpg', 'input', 'infinity'), pg_temp.store('archive', 'shared.jpg', expires_at => 'infinity');
SELECT * FROM pg_temp.claim('one');
TRUNCATE img_object, img_delete;

-- About to be written: removed if no picture comes of it
SELECT img_delete_unless_stored('photos', 'new.jpg', current_user::regrole, '1 hour');
SELECT * FROM pg_temp.claim('one');
SELECT pg_temp.due();
SELECT * FROM pg_temp.claim('one');
-- it is being removed: not now
SELECT img_delete_unless_stored('photos', 'new.jpg', current_user::regrole, '1 hour');
-- that worker is dead
SELECT pg_temp.due();
SELECT img_delete_unless_stored('photos', 'new.jpg', current_user::regrole, '1 hour');
SELECT attempts, lease_owner FROM img_delete;
SELECT count(*) FROM img_delete_done('one', ARRAY[pg_temp.file('new.jpg')]);
-- a picture has come of it; the one that had the name before is purged
SELECT pg_temp.store('photos', 'new.jpg'), pg_temp.store('photos', 'new.jpg', expires_at => 'infinity');
SELECT objects FROM img_purge();
SELECT run_after > clock_timestamp() AS not_yet FROM img_delete;
SELECT pg_temp.due();
SELECT * FROM pg_temp.claim('one');
SELECT count(*) FROM img_delete;
TRUNCATE img_object;

-- Everybody sees their own, members of imgapi.admin_role all, nobody may meddle
SELECT pg_temp.store('photos', 'mine.jpg'), pg_temp.store('photos', 'hers.jpg', owner => 'regress_imgapi_remote');
SELECT objects FROM img_purge();
SET ROLE regress_imgapi_remote;
SELECT path FROM img_delete;
SELECT pg_temp.error_of('DELETE FROM img_delete');
SELECT pg_temp.error_of('SELECT img_delete_claim(''me'', 1, ''1 hour'')');
SELECT pg_temp.error_of('SELECT img_delete_unless_stored(''photos'', ''x'', ''regress_imgapi_remote'', ''1 hour'')');
RESET ROLE;
SET imgapi.admin_role = 'regress_imgapi_remote';
SET ROLE regress_imgapi_remote;
SELECT path FROM img_delete ORDER BY path;
RESET ROLE;
RESET imgapi.admin_role;

-- Calls that make no sense
SELECT split_part(pg_temp.error_of('SELECT img_delete_claim(''one'', 9, NULL)'), ' | ', 1) AS error;
SELECT split_part(pg_temp.error_of('SELECT img_delete_claim(''one'', -1, ''1 hour'')'), ' | ', 1) AS error;
SELECT img_delete_failed('one', NULL, 'x'), (SELECT count(*) FROM img_delete_done('one', NULL)) AS done;

-- However many wait, a claim reads little more than it takes
TRUNCATE img_delete;
INSERT INTO img_delete (run_after, owner, server, path) SELECT CASE WHEN g % 2 = 0 THEN now() ELSE 'infinity' END, current_user::regrole, 'photos', g FROM generate_series(1, 20000) g;
INSERT INTO img_object (id, job_id, stored_at, expires_at, owner, role, storage, path) SELECT img_new_id(), img_new_id(), now(), 'infinity', current_user::regrole, 'output', 'photos', 'x' || g FROM generate_series(1, 20000) g;
ANALYZE img_delete, img_object;
CREATE FUNCTION pg_temp.entries_read() RETURNS bigint LANGUAGE sql AS $$
	SELECT sum(pg_stat_get_xact_tuples_returned(oid)) FROM pg_class
	WHERE oid IN ('img_delete'::regclass, 'img_object'::regclass) OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid IN ('img_delete'::regclass, 'img_object'::regclass))
$$;
BEGIN;
SELECT pg_temp.entries_read() AS read_before \gset
SELECT count(*) FROM img_delete_claim('one', 64, '1 hour');
SELECT pg_temp.entries_read() - :read_before BETWEEN 64 AND 500 AS few;
ROLLBACK;
TRUNCATE img_delete, img_object;
DROP FOREIGN DATA WRAPPER regress_imgapi_wrapper CASCADE;
DROP ROLE regress_imgapi_remote;
\set ECHO none
\i test/include/dispatcher_on.sql
