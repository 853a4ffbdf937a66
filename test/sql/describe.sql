-- img_phash(), img_phash_distance(), img_blurhash(), img_dominant_color().
-- What they compute is compared with other programs in test/executor.
\set ECHO none
\i test/include/pictures.sql
\set ECHO all
\set SHOW_CONTEXT never
\pset null NULL

-- The same picture in several formats, and some others
SELECT name, lpad(to_hex(img_phash(data)), 16, '0') AS phash, img_blurhash(data), img_dominant_color(data)
FROM picture WHERE name IN ('png', 'gif', 'webp', 'alpha', 'gif_3_frames') ORDER BY name COLLATE "C";
SELECT p.name, img_phash_distance(img_phash(p.data), img_phash(q.data)) <= 4 AS near, left(img_blurhash(p.data), 1) AS components
FROM picture p, picture q
WHERE q.name = 'png' AND (p.name IN ('jpeg', 'tiff', 'avif') OR p.name LIKE '%orientation%') ORDER BY p.name COLLATE "C";
SELECT img_phash(NULL), img_phash_distance(NULL, 1), img_phash_distance(1, NULL), img_blurhash(NULL), img_dominant_color(NULL);
-- transparent all over: no colour
SELECT img_dominant_color(decode('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63606060600000000500017aa857500000000049454e44ae426082', 'hex'));

-- The distance is a number of bits
SELECT a, b, img_phash_distance(a, b), img_phash_distance(b, a)
FROM (VALUES (0::bigint, 0::bigint), (0, 1), (-1, 0), (-1, -1), (1, 3), (9223372036854775807, -9223372036854775808), (5, 10)) v(a, b);
SELECT count(*) FROM generate_series(0, 63) bit WHERE img_phash_distance(0, 1::bigint << bit) <> 1;

-- They are what generated columns and indexes may use
CREATE TABLE describe_photo (id int PRIMARY KEY, data bytea,
	phash bigint GENERATED ALWAYS AS (img_phash(data)) STORED,
	blurhash text GENERATED ALWAYS AS (img_blurhash(data)) STORED,
	color text GENERATED ALWAYS AS (img_dominant_color(data)) STORED);
CREATE INDEX ON describe_photo (img_dominant_color(data));
INSERT INTO describe_photo SELECT row_number() OVER (ORDER BY name COLLATE "C"), data FROM picture WHERE name IN ('png', 'gif', 'cmyk') UNION ALL SELECT 4, NULL;
SELECT id, phash = img_phash(data) AS phash, blurhash = img_blurhash(data) AS blurhash, color = img_dominant_color(data) AS color FROM describe_photo ORDER BY id;
INSERT INTO describe_photo VALUES (5, 'no picture');
UPDATE describe_photo SET data = pg_temp.picture('alpha') WHERE id = 1;
SELECT color FROM describe_photo WHERE id = 1;
-- The picture to compare with is looked at once, when the query is planned: the plan has a number
EXPLAIN (COSTS OFF, VERBOSE) SELECT id FROM describe_photo ORDER BY img_phash_distance(phash, img_phash(decode('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63606060600000000500017aa857500000000049454e44ae426082', 'hex'))) LIMIT 3;
DROP TABLE describe_photo;

-- What is no picture, and limits: as for img_info()
SELECT f, name, pg_temp.error_of(format('SELECT %s(decode(%L, ''hex''))', f, encode(data, 'hex')))
FROM unnest(ARRAY['img_phash', 'img_blurhash', 'img_dominant_color']) f,
	(VALUES ('1 empty', ''::bytea), ('2 zero', '\x00'), ('3 pdf', convert_to(E'%PDF-1.4\n1 0 obj\n', 'UTF8')), ('4 png signature', '\x89504e470d0a1a0a')) v(name, data)
ORDER BY f, name COLLATE "C" \gx
SELECT f, pg_temp.error_of(format('SELECT %s(pg_temp.picture(''bomb''))', f)) FROM unnest(ARRAY['img_phash', 'img_blurhash', 'img_dominant_color']) f;
SELECT p.name, pg_temp.error_of(format('SELECT img_phash(substr(pg_temp.picture(%L), 1, %s))', p.name, octet_length(data) / 2)) ~ '^22000: ' AS refused
FROM picture p WHERE p.name IN ('png', 'jpeg', 'webp', 'gif', 'tiff', 'avif', 'heic') ORDER BY 1;
SET imgapi.max_source_bytes = '1kB';
SELECT pg_temp.error_of($$SELECT img_phash(decode(repeat('00', 1025), 'hex'))$$);
RESET imgapi.max_source_bytes;
SET imgapi.formats = 'png';
SELECT pg_temp.error_of($$SELECT img_blurhash(pg_temp.picture('jpeg'))$$);
RESET imgapi.formats;
-- neither an output side nor the number of frames is a limit here
SET imgapi.max_output_side = 1;
SET imgapi.max_frames = 1;
SELECT img_phash(pg_temp.picture('gif_3_frames')), img_dominant_color(pg_temp.picture('gif_3_frames'));
RESET imgapi.max_output_side;
RESET imgapi.max_frames;

-- Who may: whoever was granted it, but a distance costs nothing
CREATE ROLE regress_imgapi_viewer;
GRANT SELECT ON picture TO regress_imgapi_viewer;
SET ROLE regress_imgapi_viewer;
SELECT pg_temp.error_of(format('SELECT %s(pg_temp.picture(''png''))', f)) FROM unnest(ARRAY['img_phash', 'img_blurhash', 'img_dominant_color']) f;
SELECT img_phash_distance(1, 2);
RESET ROLE;
SELECT img_grant('regress_imgapi_viewer');
SET ROLE regress_imgapi_viewer;
SELECT img_phash(data) IS NOT NULL, img_blurhash(data) IS NOT NULL, img_dominant_color(data) IS NOT NULL FROM picture WHERE name = 'png';
RESET ROLE;
DROP OWNED BY regress_imgapi_viewer;
DROP ROLE regress_imgapi_viewer;
