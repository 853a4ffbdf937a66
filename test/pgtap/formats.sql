-- Every format that is read, into every one that is written; animations, EXIF
-- orientation, transparency and CMYK on the way.
\set QUIET 1
\i test/include/pictures.sql
SELECT plan(92);

CREATE TEMP TABLE result AS
	SELECT p.name, i.format AS source, o.format AS wanted, img_edit(p.data, '{}', jsonb_build_object('format', o.format)) AS data, p.data AS original
	FROM picture p, img_info(p.data) i, img_formats() o
	WHERE p.name IN ('jpeg', 'png', 'webp', 'gif', 'tiff', 'avif', 'heic') AND o.can_save;
SELECT is(pg_temp.shape(data), wanted || ' ' || CASE source WHEN 'heic' THEN '64x64' ELSE '32x24' END, source || ' to ' || wanted)
FROM result ORDER BY source, wanted;
SELECT is((img_info(data)).mime, CASE wanted WHEN 'jpeg' THEN 'image/jpeg' ELSE 'image/' || wanted END, wanted || ': media type')
FROM result WHERE source = 'png' ORDER BY wanted;

-- without a format: that of the source, or one that can be written
SELECT is(pg_temp.shape(img_edit(pg_temp.picture(name))), shape, 'unasked: ' || name)
FROM (VALUES ('jpeg', 'jpeg 32x24'), ('png', 'png 32x24'), ('webp', 'webp 32x24'), ('gif', 'gif 32x24'), ('tiff', 'tiff 32x24'), ('avif', 'avif 32x24')) v (name, shape);
SELECT isnt((img_info(img_edit(pg_temp.picture('heic')))).format, 'heic', 'unasked: heic becomes what can be written');
SELECT throws_ok($$SELECT img_edit(pg_temp.picture('png'), '{}', '{"format": "heic"}')$$, '0A000', NULL, 'heic is not written');

-- lossless from lossless: the same pixels, whatever they were stored as
SELECT ok(img_edit(pg_temp.picture(name), '{}', '{"format": "png"}') = img_edit(pg_temp.picture('png'), '{}', '{"format": "png"}'), name || ' has the pixels of png')
FROM unnest(ARRAY['webp', 'gif', 'tiff']) name;
SELECT ok(img_edit(img_edit(pg_temp.picture('png'), '{}', output::jsonb), '{}', '{"format": "png"}') = img_edit(pg_temp.picture('png'), '{}', '{"format": "png"}'), 'there and back: ' || output)
FROM unnest(ARRAY['{"format": "png"}', '{"format": "tiff"}', '{"format": {"type": "webp", "compression": "lossless"}}']) output;

-- EXIF orientation: the result is upright, and says nothing of orientation any more
SELECT ok(img_edit(data, '{}', '{"format": "png"}') = img_edit(pg_temp.picture('png'), '{}', '{"format": "png"}'), name || ' is upright')
FROM picture WHERE name LIKE 'webp\_orientation\_%' ORDER BY name;
SELECT is((img_info(img_edit(pg_temp.picture(name)))).orientation, 1, name || ': nothing left to turn')
FROM unnest(ARRAY['webp_orientation_3', 'webp_orientation_6', 'jpeg_orientation_6']) name;
SELECT is(pg_temp.shape(img_edit(pg_temp.picture('jpeg_orientation_6'), '{"resizing": {"width": 16, "height": 6}}', '{"format": "png"}')), 'png 16x6', 'sides are those that are seen');
-- and cut upright: the middle, whichever way it is stored
SELECT ok(img_edit(data, '{"resizing": {"width": 20, "height": 4}}', '{"format": "png"}') = img_edit(pg_temp.picture('png'), '{"resizing": {"width": 20, "height": 4}}', '{"format": "png"}'), name || ' is cut upright')
FROM picture WHERE name IN ('webp_orientation_2', 'webp_orientation_3', 'webp_orientation_4') ORDER BY name;

-- animations
SELECT is((img_info(img_edit(pg_temp.picture(name), '{"resizing": {"width": 10, "fit": "bounds"}}', jsonb_build_object('format', wanted)))).pages, pages, name || ' to ' || wanted)
FROM (VALUES ('gif_3_frames', 'gif', 3), ('gif_3_frames', 'webp', 3), ('webp_3_frames', 'webp', 3), ('webp_3_frames', 'gif', 3), ('gif', 'gif', 1), ('png', 'gif', 1)) v (name, wanted, pages);
SET client_min_messages = error;
SELECT is((img_info(img_edit(pg_temp.picture('gif_3_frames'), '{}', '{"format": "jpeg"}'))).pages, 1, 'a still has one frame');
RESET client_min_messages;

-- transparency
SELECT is((img_info(img_edit(pg_temp.picture('alpha'), '{}', jsonb_build_object('format', wanted)))).has_alpha, has_alpha, 'alpha to ' || wanted)
FROM (VALUES ('png', true), ('webp', true), ('tiff', true), ('avif', true), ('gif', true), ('jpeg', false)) v (wanted, has_alpha);
SELECT is((img_info(img_edit(pg_temp.picture('alpha'), '{"background": {"color": "#00ff00"}}', '{"format": "png"}'))).has_alpha, false, 'a background leaves nothing transparent');

-- CMYK is shown as sRGB
SELECT is((img_info(img_edit(pg_temp.picture('cmyk'), '{}', jsonb_build_object('format', wanted)))).color_space, 'srgb', 'cmyk to ' || wanted)
FROM unnest(ARRAY['jpeg', 'png']) wanted;

SELECT * FROM finish();
