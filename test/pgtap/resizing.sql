-- The size of the result for every fit and unit, through img_edit(), from a
-- picture of 32 × 24 pixels; and what may not be combined.
\set QUIET 1
\i test/include/pictures.sql
SELECT plan(116);

CREATE FUNCTION pg_temp.size(name text, resizing text, format text DEFAULT 'png') RETURNS text LANGUAGE sql AS $$
	SELECT i.width || 'x' || i.height FROM img_info(img_edit(pg_temp.picture($1),
		jsonb_build_object('resizing', $2::jsonb), jsonb_build_object('format', $3))) i
$$;
CREATE TEMP TABLE expected (nr serial, fit text, width text, height text, size text);
INSERT INTO expected (fit, width, height, size) VALUES
	('crop', '16', NULL, '16x24'),
	('crop', NULL, '12', '32x12'),
	('crop', '16', '"auto"', '16x24'),
	('crop', '"auto"', '12', '32x12'),
	('crop', '16', '12', '16x12'),
	('crop', '10', '10', '10x10'),
	('crop', '40', '10', '40x10'),
	('crop', '10', '40', '10x40'),
	('crop', '64', '48', '64x48'),
	('crop', '100', '100', '100x100'),
	('crop', '"50%"', NULL, '16x24'),
	('crop', NULL, '"50%"', '32x12'),
	('crop', '"50%"', '"auto"', '16x24'),
	('crop', '"auto"', '"25%"', '32x6'),
	('crop', '"50%"', '"50%"', '16x12'),
	('crop', '"200%"', '"200%"', '64x48'),
	('crop', '"33%"', '"33%"', '11x8'),
	('crop', '1', '1', '1x1'),
	('crop', '32', '24', '32x24'),
	('crop', '"100%"', '"100%"', '32x24'),
	('crop', NULL, NULL, '32x24'),
	('cover', '16', NULL, '16x12'),
	('cover', NULL, '12', '16x12'),
	('cover', '16', '"auto"', '16x12'),
	('cover', '"auto"', '12', '16x12'),
	('cover', '16', '12', '16x12'),
	('cover', '10', '10', '13x10'),
	('cover', '40', '10', '40x30'),
	('cover', '10', '40', '53x40'),
	('cover', '64', '48', '64x48'),
	('cover', '100', '100', '133x100'),
	('cover', '"50%"', NULL, '16x12'),
	('cover', NULL, '"50%"', '16x12'),
	('cover', '"50%"', '"auto"', '16x12'),
	('cover', '"auto"', '"25%"', '8x6'),
	('cover', '"50%"', '"50%"', '16x12'),
	('cover', '"200%"', '"200%"', '64x48'),
	('cover', '"33%"', '"33%"', '11x8'),
	('cover', '1', '1', '1x1'),
	('cover', '32', '24', '32x24'),
	('cover', '"100%"', '"100%"', '32x24'),
	('cover', NULL, NULL, '32x24'),
	('bounds', '16', NULL, '16x12'),
	('bounds', NULL, '12', '16x12'),
	('bounds', '16', '"auto"', '16x12'),
	('bounds', '"auto"', '12', '16x12'),
	('bounds', '16', '12', '16x12'),
	('bounds', '10', '10', '10x8'),
	('bounds', '40', '10', '13x10'),
	('bounds', '10', '40', '10x8'),
	('bounds', '64', '48', '64x48'),
	('bounds', '100', '100', '100x75'),
	('bounds', '"50%"', NULL, '16x12'),
	('bounds', NULL, '"50%"', '16x12'),
	('bounds', '"50%"', '"auto"', '16x12'),
	('bounds', '"auto"', '"25%"', '8x6'),
	('bounds', '"50%"', '"50%"', '16x12'),
	('bounds', '"200%"', '"200%"', '64x48'),
	('bounds', '"33%"', '"33%"', '11x8'),
	('bounds', '1', '1', '1x1'),
	('bounds', '32', '24', '32x24'),
	('bounds', '"100%"', '"100%"', '32x24'),
	('bounds', NULL, NULL, '32x24'),
	('canvas', '16', NULL, '16x12'),
	('canvas', NULL, '12', '16x12'),
	('canvas', '16', '"auto"', '16x12'),
	('canvas', '"auto"', '12', '16x12'),
	('canvas', '16', '12', '16x12'),
	('canvas', '10', '10', '10x10'),
	('canvas', '40', '10', '40x10'),
	('canvas', '10', '40', '10x40'),
	('canvas', '64', '48', '64x48'),
	('canvas', '100', '100', '100x100'),
	('canvas', '"50%"', NULL, '16x12'),
	('canvas', NULL, '"50%"', '16x12'),
	('canvas', '"50%"', '"auto"', '16x12'),
	('canvas', '"auto"', '"25%"', '8x6'),
	('canvas', '"50%"', '"50%"', '16x12'),
	('canvas', '"200%"', '"200%"', '64x48'),
	('canvas', '"33%"', '"33%"', '11x8'),
	('canvas', '1', '1', '1x1'),
	('canvas', '32', '24', '32x24'),
	('canvas', '"100%"', '"100%"', '32x24'),
	('canvas', NULL, NULL, '32x24');

CREATE FUNCTION pg_temp.request(fit text, width text, height text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_strip_nulls(jsonb_build_object('fit', $1, 'width', $2::jsonb, 'height', $3::jsonb))
$$;
SELECT is(pg_temp.size('png', pg_temp.request(fit, width, height)::text), size, pg_temp.request(fit, width, height)::text)
FROM expected ORDER BY nr;

-- the same whatever the picture is stored as, an animation's frames included
SELECT is(pg_temp.size(name, '{"fit": "bounds", "width": 16}', 'webp'), '16x12', name)
FROM picture WHERE name IN ('jpeg', 'webp', 'gif', 'tiff', 'avif', 'alpha', 'jpeg_orientation_6', 'webp_orientation_5') ORDER BY name;
SELECT is(pg_temp.shape(img_edit(pg_temp.picture('gif_3_frames'), jsonb_build_object('resizing', r.resizing::jsonb))), r.shape, r.resizing)
FROM (VALUES ('{"fit": "bounds", "width": 10}', 'gif 10x5 x3'), ('{"fit": "cover", "width": 10, "height": 10}', 'gif 20x10 x3'),
	('{"fit": "crop", "width": 5, "height": 8}', 'gif 5x8 x3'), ('{"fit": "canvas", "width": 30, "height": 30}', 'gif 30x30 x3')) r(resizing, shape);
-- smart cropping has the same size
SELECT is(pg_temp.size('png', '{"fit": {"type": "crop", "crop": "smart"}, "width": 7, "height": 9}'), '7x9', 'crop smart');
SELECT is(pg_temp.size('png', '{"fit": {"type": "crop", "crop": "center"}, "width": 7, "height": 9}'), '7x9', 'crop center');
SELECT is(pg_temp.size('png', '{"fit": {"crop": "smart"}, "width": 7, "height": 9}'), '7x9', 'crop smart, as it was written once');
SELECT is(pg_temp.size('png', '{"fit": {"type": "bounds"}, "width": 8, "height": 8}'), '8x6', 'fit as an object');

-- nothing to do: nothing done. With a format a picture is always written anew.
SELECT is(img_edit(pg_temp.picture('png'), '{"resizing": {"width": 32, "height": 24}}'), img_edit(pg_temp.picture('png'), '{}', '{"format": "png"}'), 'to the same size: the same pixels');
SELECT is(img_edit(pg_temp.picture('png'), '{"resizing": {"width": "100%"}}'), img_edit(pg_temp.picture('png'), '{}', '{"format": "png"}'), '100%: the same pixels');

-- what may not be combined
SELECT throws_ok(format('SELECT pg_temp.size(%L, %L)', 'png', r), '22023', NULL, r)
FROM unnest(ARRAY['{"width": "33.3%"}', '{"width": "auto", "height": "auto"}', '{"width": 16, "height": "50%"}', '{"width": "50%", "height": 12}',
	'{"width": "50%", "height": "40%"}', '{"width": 0}', '{"width": 65501}', '{"width": "0%"}', '{"width": "half"}', '{"width": 1.5}',
	'{"fit": "stretch"}', '{"fit": {"type": "bounds", "crop": "smart"}, "width": 5}']) r;
SELECT throws_ok(format('SELECT pg_temp.size(%L, %L)', 'png', '{"width": 100, "height": 100, "fit": "outpaint"}'), '0A000', NULL, 'outpaint needs a model');
SELECT throws_ok(format('SELECT pg_temp.size(%L, %L)', 'png', '{"width": 20000}'), '54000', NULL, 'more than imgapi.max_output_side');

SELECT * FROM finish();
