-- img_info(), img_edit(), img_thumbnail(), img_formats(): the answer right now.
-- Sizes of every fit and every pair of formats are in test/pgtap.
\set ECHO none
\i test/include/pictures.sql
\set ECHO all
\set SHOW_CONTEXT never
\pset null NULL

-- img_info: the facts, from the header
SELECT p.name, format, mime, ext, width, height, mps, bytes = octet_length(data) AS bytes, pages, has_alpha, orientation, color_space, has_icc, taken_at, lat, lng
FROM picture p, img_info(data) WHERE name <> 'bomb' ORDER BY name COLLATE "C";
SELECT img_info(NULL);
SELECT (img_info(NULL)).width;

-- What is no picture
SELECT name, pg_temp.error_of(format('SELECT img_info(decode(%L, ''hex''))', encode(data, 'hex'))) AS info,
	pg_temp.error_of(format('SELECT img_edit(decode(%L, ''hex''))', encode(data, 'hex'))) AS edit
FROM (VALUES ('1 empty', ''), ('2 zero', '\x00'), ('3 text', 'Hello, world! This is a letter to you.'::bytea),
	('4 svg', '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
	('5 svg', '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
	('6 pdf', convert_to(E'%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\n', 'UTF8')),
	('7 html', '<!DOCTYPE html><html><img src="file:///etc/passwd"></html>'),
	('8 postscript', E'%!PS-Adobe-3.0\nshowpage\n'::bytea),
	('9 zip', '\x504b0304140000000000'), ('a bmp', '\x424d46000000000000003600000028000000'),
	('b noise', decode(repeat('a5c3f1079e', 40), 'hex')),
	('c magick', '#?RADIANCE'), ('d mvg', 'push graphic-context viewbox 0 0 1 1 image over 0,0 0,0 ''https://example.com/x.jpg'''),
	('e png signature', '\x89504e470d0a1a0a'), ('f jpeg start', '\xffd8ff'), ('g gif start', 'GIF89a'), ('h riff', 'RIFF____WEBP')) v(name, data)
ORDER BY name COLLATE "C" \gx
-- and what is only the beginning of one
SELECT p.name, pg_temp.error_of(format('SELECT img_edit(substr(pg_temp.picture(%L), 1, %s))', p.name, octet_length(data) / 2)) ~ '^22000: ' AS refused
FROM picture p WHERE p.name IN ('png', 'jpeg', 'webp', 'gif', 'tiff', 'avif', 'heic') ORDER BY 1;
SELECT pg_temp.error_of('SELECT img_info(pg_temp.picture(''bomb''))');
SELECT pg_temp.error_of('SELECT img_edit(pg_temp.picture(''bomb''))');

-- img_edit
SELECT img_edit(NULL), img_edit(NULL, '{"resizing": {"width": 8}}');
SELECT pg_temp.shape(img_edit(pg_temp.picture('png')));
SELECT pg_temp.shape(img_edit(pg_temp.picture('png'), NULL, NULL));
SELECT pg_temp.shape(img_edit(pg_temp.picture('png'), '{"resizing": {"width": 8, "height": 8}}', '{"format": "jpeg"}'));
-- an error of the request comes before the picture is looked at, and even without one
SELECT pg_temp.error_of($$SELECT img_edit(NULL, '{"resizing": {"width": -1}}')$$);
SELECT pg_temp.error_of($$SELECT img_edit('\x00', '{"resizing": {"width": -1}}')$$);
-- equal requests, equal results
SELECT img_edit(data, '{"resizing": {"width": 9}}') = img_edit(data, '{"resizing": {"width": 9}}') AS same FROM picture WHERE name = 'jpeg';
-- a PNG of nothing but pixels, of which nothing is asked, is its own result; not with something behind it,
-- nor in another way; and not unseen
SELECT img_edit(data) = data AS same, img_edit(data || '\x00') = data AS clean, img_edit(data, '{"flip": "horizontal"}') = data AS flipped,
	img_edit(data, NULL, '{"metadata": {"dpi": 300}}') = data AS dense, img_edit(data, NULL, '{"format": "png"}') = data AS encoded,
	pg_temp.error_of(format('SELECT img_edit(decode(%L, ''hex''))', encode(set_byte(data, length(data) - 20, get_byte(data, length(data) - 20) # 1), 'hex'))) ~ '^22000: ' AS refused
FROM picture WHERE name = 'png' \gx
-- of a set, each its own
SELECT string_agg(pg_temp.shape(img_edit(data, jsonb_build_object('resizing', jsonb_build_object('width', 5 + n, 'fit', 'cover')))), ', ' ORDER BY n)
FROM (SELECT row_number() OVER (ORDER BY name COLLATE "C") AS n, data FROM picture WHERE name IN ('png', 'jpeg', 'gif', 'webp')) p;
-- an error leaves nothing behind
SELECT count(*) FILTER (WHERE pg_temp.error_of('SELECT img_edit(''\x00'')') LIKE '22000: %' AND g > 0) AS refused FROM generate_series(1, 50) g;
SELECT pg_temp.shape(img_edit(pg_temp.picture('png'), '{"resizing": {"width": 3}}'));

-- An animation that becomes a still is warned about
SELECT pg_temp.shape(img_edit(pg_temp.picture('gif_3_frames'), '{}', '{"format": "png"}'));

-- img_thumbnail
SELECT img_thumbnail(NULL, 8);
SELECT pg_temp.shape(img_thumbnail(data, 8)), pg_temp.shape(img_thumbnail(data, 8, 8)), pg_temp.shape(img_thumbnail(data, NULL, 8)),
	pg_temp.shape(img_thumbnail(data, 8, 8, 'crop')), pg_temp.shape(img_thumbnail(data, 8, 8, 'cover')), pg_temp.shape(img_thumbnail(data, 8, 8, 'canvas')),
	pg_temp.shape(img_thumbnail(data, 8, format => 'webp')), pg_temp.shape(img_thumbnail(data, NULL)), pg_temp.shape(img_thumbnail(data, 8, fit => NULL))
FROM picture WHERE name = 'png' \gx
SELECT pg_temp.error_of($$SELECT img_thumbnail(pg_temp.picture('png'), 0)$$);
SELECT pg_temp.error_of($$SELECT img_thumbnail(pg_temp.picture('png'), 8, 8, 'stretch')$$);
SELECT pg_temp.error_of($$SELECT img_thumbnail(pg_temp.picture('png'), 8, format => 'bmp')$$);

-- img_formats
SELECT * FROM img_formats();

-- Limits
SET imgapi.max_source_bytes = '1kB';
SELECT pg_temp.error_of($$SELECT img_info(decode(repeat('00', 1025), 'hex'))$$);
SELECT pg_temp.error_of($$SELECT img_edit(decode(repeat('00', 1025), 'hex'))$$);
RESET imgapi.max_source_bytes;
SET imgapi.max_source_pixels = 1;
SELECT pg_temp.error_of($$SELECT img_edit(pg_temp.picture('heic'))$$);
SELECT pg_temp.shape(img_edit(pg_temp.picture('gif_3_frames')));
RESET imgapi.max_source_pixels;
SET imgapi.max_frames = 2;
SELECT pg_temp.error_of($$SELECT img_edit(pg_temp.picture('gif_3_frames'))$$);
SELECT pg_temp.error_of($$SELECT img_edit(pg_temp.picture('webp_3_frames'))$$);
RESET imgapi.max_frames;
SET imgapi.max_output_side = 31;
SELECT pg_temp.error_of($$SELECT img_edit(pg_temp.picture('png'))$$);
SELECT pg_temp.error_of($$SELECT img_edit(pg_temp.picture('png'), '{"resizing": {"width": 32}}')$$);
SELECT pg_temp.shape(img_edit(pg_temp.picture('png'), '{"resizing": {"width": 31, "fit": "bounds"}}'));
RESET imgapi.max_output_side;
SET imgapi.formats = 'png';
SELECT pg_temp.error_of($$SELECT img_edit(pg_temp.picture('jpeg'))$$);
SELECT pg_temp.error_of($$SELECT img_info(pg_temp.picture('heic'))$$);
-- for reading, not for writing
SELECT substr(img_edit(pg_temp.picture('png'), '{}', '{"format": "jpeg"}'), 1, 3) AS start_of_a_jpeg;
RESET imgapi.formats;
-- the time limit, on a picture that would take much longer
SET imgapi.job_timeout = '100ms';
SELECT split_part(pg_temp.error_of($$SELECT img_edit(pg_temp.picture('png'), '{"resizing": {"width": 12000, "height": 12000}}', '{"format": {"type": "avif"}}')$$), ' | ', 1) AS error;
RESET imgapi.job_timeout;
SELECT pg_temp.shape(img_edit(pg_temp.picture('png')));
-- in a query that may run in parallel, and in one that reads only
BEGIN READ ONLY;
SELECT pg_temp.shape(img_thumbnail(pg_temp.picture('png'), 4));
COMMIT;
