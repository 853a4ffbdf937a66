-- What each operation does, seen from SQL.  Pixels are compared with those of
-- other programs in test/executor/test_operations.py.
\set ECHO none
\i test/include/pictures.sql
\set ECHO all
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.edited(name text, operations jsonb, format text DEFAULT 'png') RETURNS bytea LANGUAGE sql STABLE AS
	$$SELECT img_edit(pg_temp.picture(name), operations, jsonb_build_object('format', format))$$;
CREATE FUNCTION pg_temp.again(image bytea, operations jsonb) RETURNS bytea LANGUAGE sql STABLE AS
	$$SELECT img_edit(image, operations, '{"format": "png"}')$$;

-- Every kind of picture through every operation: the shape of the result
CREATE TEMP TABLE operation (n int, operations jsonb);
INSERT INTO operation VALUES
	(1, '{"rotate": 90}'), (2, '{"rotate": 45}'), (3, '{"flip": "both"}'), (4, '{"crop": {"x": 2, "y": 3, "width": 9, "height": 5}}'),
	(5, '{"trim": true}'), (6, '{"adjustments": {"hdr": 50, "exposure": 10, "saturation": 20, "contrast": 30, "sharpness": 40}}'),
	(7, '{"blur": 2}'), (8, '{"gray": true}'), (9, '{"round": "50%"}'), (10, '{"padding": "10%"}');
SELECT o.operations, s.shape, string_agg(p.name, ' ' ORDER BY p.name)
FROM operation o, picture p, pg_temp.shape(img_edit(p.data, o.operations, '{"format": "webp"}')) s(shape)
WHERE p.name IN ('png', 'alpha', 'gif_3_frames', 'webp_3_frames', 'cmyk', 'heic', 'tiff', 'webp_orientation_6')
GROUP BY o.n, o.operations, s.shape ORDER BY o.n, s.shape;

-- Turns and mirrors add up
SELECT pg_temp.edited('png', '{"rotate": 180}') = pg_temp.edited('png', '{"flip": "both"}') AS half_a_turn,
	pg_temp.edited('png', '{"rotate": 270}') = pg_temp.edited('png', '{"rotate": -90}') AS either_way,
	pg_temp.again(pg_temp.edited('png', '{"flip": "horizontal"}'), '{"flip": "vertical"}') = pg_temp.edited('png', '{"flip": "both"}') AS two_mirrors,
	pg_temp.again(pg_temp.edited('png', '{"rotate": 90}'), '{"rotate": 270}') = pg_temp.edited('png', '{}') AS and_back,
	pg_temp.edited('png', '{"rotate": 90, "flip": "horizontal"}') = pg_temp.again(pg_temp.edited('png', '{"rotate": 90}'), '{"flip": "horizontal"}') AS rotate_first;

-- All orientations are upright before anything else happens
SELECT count(*), count(DISTINCT pg_temp.edited(name, '{"crop": {"width": 16, "height": 12}}')),
	count(DISTINCT pg_temp.edited(name, '{"rotate": 90, "flip": "vertical"}'))
FROM picture WHERE name LIKE 'webp_orientation%' OR name IN ('png', 'webp');

-- Crop: as displayed, to the edge, and outside
SELECT pg_temp.again(pg_temp.edited('png', '{"crop": {"x": 16, "y": 12}}'), '{"flip": "both"}') = pg_temp.edited('png', '{"flip": "both", "crop": {"width": 16, "height": 12}}') AS same_part,
	pg_temp.shape(pg_temp.edited('png', '{"crop": {"x": 30, "y": 20, "width": 500, "height": 500}}'));
SELECT pg_temp.error_of($$SELECT pg_temp.edited('png', '{"crop": {"x": 32}}')$$);
SELECT pg_temp.error_of($$SELECT pg_temp.edited('png', '{"padding": "13px 0px 0px 0px"}')$$);
SELECT pg_temp.error_of($$SET LOCAL imgapi.max_output_side = 33; SELECT pg_temp.edited('png', '{"rotate": 45}')$$);

-- Values that ask for nothing change nothing
SELECT operations, pg_temp.edited('png', operations) = pg_temp.edited('png', '{}') AS same
FROM (VALUES ('{"rotate": 360}'::jsonb), ('{"rotate": {}}'), ('{"flip": null}'), ('{"crop": {}}'), ('{"crop": {"x": 0, "width": 32}}'), ('{"trim": false}'),
	('{"adjustments": {"hdr": 0, "exposure": 0, "saturation": 0, "contrast": 0, "sharpness": 0}}'), ('{"adjustments": {"hdr": {"intensity": 0}}}'),
	('{"gray": false}'), ('{"round": 0}'), ('{"padding": "0%"}'), ('{"padding": "0px 0px 0px 0px"}')) v(operations);

-- The object form of hdr means all of it
SELECT pg_temp.edited('png', '{"adjustments": {"hdr": {}}}') = pg_temp.edited('png', '{"adjustments": {"hdr": 100}}') AS all_of_it,
	pg_temp.edited('png', '{"adjustments": {"hdr": {"intensity": 40, "stitching": true}}}') = pg_temp.edited('png', '{"adjustments": {"hdr": 40}}') AS part;

-- Padding: two values are horizontal and vertical, four go round
SELECT pg_temp.edited('png', '{"padding": "10% 20%"}') = pg_temp.edited('png', '{"padding": "20% 10% 20% 10%"}') AS two,
	pg_temp.edited('png', '{"padding": "4px"}') = pg_temp.edited('png', '{"padding": "4px 4px 4px 4px"}') AS one;
-- Trim takes away what padding has added
SELECT pg_temp.shape(pg_temp.again(pg_temp.edited('png', '{"padding": "4px 4px"}'), '{"trim": {"threshold": 30}}'));
-- Transparency: kept where the format can, else background.color
SELECT i.format, i.has_alpha FROM unnest(ARRAY['png', 'jpeg', 'webp']) f, img_info(pg_temp.edited('png', '{"round": 5}', f)) i;
SELECT i.has_alpha FROM img_info(pg_temp.edited('png', '{"round": 5, "background": {"color": "#123456"}}')) i;
SELECT i.has_alpha FROM img_info(pg_temp.edited('png', '{"rotate": 30, "background": {"color": "transparent"}}')) i;
-- grey is grey
SELECT i.color_space FROM img_info(pg_temp.edited('png', '{"gray": true}')) i;

-- The same in a job, and by a trigger
SELECT img_submit(pg_temp.picture('png'), '{"rotate": 90, "crop": {"width": 12, "height": 16}, "resizing": {"width": "50%"}}', '{"format": "png"}') AS job \gset
SELECT img_wait(:'job');
SELECT pg_temp.shape(img_output(:'job'));
SELECT img_submit(pg_temp.picture('png'), '{"crop": {"y": 24}}', max_attempts => 3) AS job \gset
SELECT img_wait(:'job');
SELECT status, stage, error_code, error, attempts FROM img_job WHERE id = :'job';
SELECT pg_temp.error_of($$SELECT img_submit('\x00'::bytea, '{"blur": 0}')$$);
CREATE TABLE ops_photo (id int PRIMARY KEY, data bytea, round bytea);
CREATE TRIGGER round AFTER INSERT ON ops_photo FOR EACH ROW
EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 16, "height": 16}, "round": "50%"}', 'round', '{"format": "png"}');
INSERT INTO ops_photo VALUES (1, pg_temp.picture('jpeg'));
CALL pg_temp.finish_jobs();
SELECT pg_temp.shape(round), (img_info(round)).has_alpha FROM ops_photo;
CREATE TRIGGER wrong AFTER INSERT ON ops_photo FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', '{"flip": "sideways"}');
SELECT pg_temp.error_of($$INSERT INTO ops_photo VALUES (2, pg_temp.picture('jpeg'))$$);
DROP TABLE ops_photo;
