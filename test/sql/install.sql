-- What CREATE EXTENSION leaves in a database, and what DROP EXTENSION takes.
\set ECHO none
\i test/include/pictures.sql
\set ECHO all
\set SHOW_CONTEXT never
-- a footer with the number of rows would change with everything that is added
\pset footer off
CREATE VIEW pg_temp.member AS
	SELECT d.classid, d.objid, i.type, i.schema, i.name, i.identity FROM pg_depend d
		CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) i
	WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
		AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'imgapi');

-- Its objects
SELECT type, identity FROM pg_temp.member
WHERE type NOT IN ('type', 'composite type') OR classid = 'pg_type'::regclass AND EXISTS (
	SELECT FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
	WHERE t.oid = objid AND t.typelem = 0 AND coalesce(c.relkind, 'c') = 'c')
ORDER BY type, identity COLLATE "C";

-- Everything carries the prefix img_, is described, and so is every column
SELECT type, identity FROM pg_temp.member WHERE name NOT LIKE 'img\_%' AND name NOT LIKE '\_img\_%';
SELECT type, identity FROM pg_temp.member m
WHERE obj_description(objid, classid::regclass::name) IS NULL
	AND (type IN ('function', 'view', 'table', 'sequence') OR classid = 'pg_type'::regclass AND EXISTS (
		SELECT FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
		WHERE t.oid = objid AND t.typelem = 0 AND coalesce(c.relkind, 'c') = 'c'))
ORDER BY type, identity COLLATE "C";
SELECT c.relname, a.attname FROM pg_temp.member m JOIN pg_class c ON c.oid = coalesce((SELECT typrelid FROM pg_type WHERE oid = m.objid AND m.classid = 'pg_type'::regclass), m.objid)
	JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE m.classid IN ('pg_class'::regclass, 'pg_type'::regclass) AND col_description(c.oid, a.attnum) IS NULL
	AND c.relkind IN ('r', 'v', 'c')
ORDER BY 1, 2;

-- What everybody may do
SELECT type, identity, privilege_type FROM pg_temp.member m
	LEFT JOIN pg_proc p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass
	LEFT JOIN pg_class c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass
	CROSS JOIN LATERAL aclexplode(CASE WHEN p.oid IS NOT NULL THEN coalesce(p.proacl, acldefault('f', p.proowner))
		WHEN c.oid IS NOT NULL THEN coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)) END) a
WHERE a.grantee = 0 ORDER BY type, identity COLLATE "C";
SELECT attrelid::regclass, attname FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid IN (SELECT objid FROM pg_temp.member);

-- Functions that are not in C have their search_path pinned, but for img_thumbnail(), which is inlined and
-- names everything in full; none is SECURITY DEFINER
SELECT p.oid::regprocedure, l.lanname FROM pg_temp.member m JOIN pg_proc p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass
	JOIN pg_language l ON l.oid = p.prolang
WHERE p.prosecdef OR l.lanname <> 'c' AND NOT coalesce(p.proconfig, '{}') @> '{"search_path=pg_catalog, pg_temp"}';
-- No function of one argument has the name of a type: it would be read as a cast
SELECT p.oid::regprocedure FROM pg_temp.member m JOIN pg_proc p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass
WHERE p.pronargs - p.pronargdefaults <= 1 AND p.pronargs >= 1 AND EXISTS (SELECT FROM pg_type t WHERE t.typname = p.proname);
-- Users' rows are behind row security, and dumps take them along
SELECT relname, relrowsecurity, c.oid = ANY (e.extconfig) AS dumped FROM pg_temp.member m JOIN pg_class c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass,
	pg_extension e WHERE e.extname = 'imgapi' AND relkind IN ('r', 'S') ORDER BY 1;

-- Gone and back in one session, and in one transaction: prepared statements of before are of no use
CREATE SCHEMA install;
CREATE TABLE install.photo (id int PRIMARY KEY, data bytea, thumb bytea);
CREATE TRIGGER thumb AFTER INSERT ON install.photo FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 8, "fit": "bounds"}}', 'thumb');
INSERT INTO install.photo VALUES (1, pg_temp.picture('png'));
SELECT img_submit(pg_temp.picture('png'), job_key => 'install') AS job \gset
SELECT img_wait(:'job');
SELECT img_submit('broken'::bytea) AS job \gset
SELECT img_wait(:'job');
SELECT pg_temp.error_of('DROP EXTENSION imgapi');
SET client_min_messages = warning;
DROP EXTENSION imgapi CASCADE;
RESET client_min_messages;
SELECT count(*) FROM pg_proc WHERE proname LIKE 'img\_%';
SELECT count(*) FROM pg_class WHERE relname LIKE 'img\_%';
SELECT count(*) FROM pg_type WHERE typname LIKE '%img\_%';
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'install.photo'::regclass;
CREATE EXTENSION imgapi;
SELECT img_submit(pg_temp.picture('png'), job_key => 'install') AS job \gset
SELECT img_wait(:'job');
SELECT pg_temp.shape(img_output(:'job'));
BEGIN;
SET LOCAL client_min_messages = warning;
DROP EXTENSION imgapi CASCADE;
CREATE EXTENSION imgapi;
SELECT img_submit(pg_temp.picture('gif')) AS job \gset
COMMIT;
SELECT img_wait(:'job');
SELECT pg_temp.shape(img_output(:'job'));
SELECT img_submit('broken'::bytea) AS job \gset
SELECT img_wait(:'job');
CREATE TRIGGER thumb AFTER INSERT OR UPDATE ON install.photo FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 8, "fit": "bounds"}}', 'thumb');
INSERT INTO install.photo VALUES (2, pg_temp.picture('png'));
CALL pg_temp.finish_jobs();
SELECT pg_temp.shape(thumb) FROM install.photo WHERE id = 2;
-- A rolled-back DROP has dropped nothing
BEGIN;
SET LOCAL client_min_messages = warning;
DROP EXTENSION imgapi CASCADE;
ROLLBACK;
SELECT img_submit(pg_temp.picture('jpeg')) AS job \gset
SELECT img_wait(:'job');
-- with jobs that wait and run
INSERT INTO install.photo SELECT g, pg_temp.picture('jpeg') FROM generate_series(10, 40) g;
SET client_min_messages = warning;
DROP EXTENSION imgapi CASCADE;
RESET client_min_messages;

-- In a schema with a name that needs quotes
CREATE SCHEMA "Odd Schema";
CREATE EXTENSION imgapi SCHEMA "Odd Schema";
SELECT count(*) FROM pg_proc WHERE proname LIKE 'img\_%' AND pronamespace <> '"Odd Schema"'::regnamespace;
SELECT (("Odd Schema".img_info(pg_temp.picture('png'))).width);
SELECT "Odd Schema".img_submit(pg_temp.picture('png'), '{"resizing": {"width": 4, "fit": "bounds"}}') AS job \gset
SELECT "Odd Schema".img_wait(:'job');
SELECT ("Odd Schema".img_info("Odd Schema".img_output(:'job'))).width;
SELECT "Odd Schema".img_submit(pg_temp.picture('png'), job_key => 'k') AS job \gset
SELECT "Odd Schema".img_wait(:'job');
SELECT "Odd Schema".img_submit('broken'::bytea) AS job \gset
SELECT "Odd Schema".img_wait(:'job');
SELECT "Odd Schema".img_retry(:'job');
SELECT "Odd Schema".img_wait(:'job');
CREATE TRIGGER thumb AFTER INSERT OR UPDATE ON install.photo FOR EACH ROW
	EXECUTE FUNCTION "Odd Schema".img_on_upload('data', '{"resizing": {"width": 4, "fit": "bounds"}}', 'thumb');
INSERT INTO install.photo VALUES (3, pg_temp.picture('png'));
SELECT id AS job FROM "Odd Schema".img_job WHERE source_key = '{3}' \gset
SELECT "Odd Schema".img_wait(:'job');
SELECT ("Odd Schema".img_info(thumb)).width FROM install.photo WHERE id = 3;
SELECT ("Odd Schema".img_info("Odd Schema".img_output(:'job'))).width;
CREATE ROLE regress_imgapi_install;
SELECT "Odd Schema".img_grant('regress_imgapi_install');
SET ROLE regress_imgapi_install;
SELECT "Odd Schema".img_submit('\x00'::bytea) IS NOT NULL AS granted;
RESET ROLE;
SELECT links FROM "Odd Schema".img_purge();
SET client_min_messages = warning;
DROP SCHEMA install CASCADE;
DROP EXTENSION imgapi CASCADE;
DROP SCHEMA "Odd Schema";
DROP ROLE regress_imgapi_install;
CREATE EXTENSION imgapi;
