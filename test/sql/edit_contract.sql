-- Each line is one request and what img_edit() says of it.  The picture is
-- empty: a request that the compiler accepts gets as far as an executor, which
-- refuses that with 22000.
\set VERBOSITY default
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on

CREATE FUNCTION try(operations jsonb, output jsonb DEFAULT NULL) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	PERFORM img_edit('\x'::bytea, operations, output);
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN CASE WHEN sqlstate = '22000' THEN 'accepted'
		ELSE concat_ws(' | ', sqlstate || ': ' || sqlerrm, nullif(detail, ''), nullif(hint, '')) END;
END $$;

-- Nothing asked for: NULL, null and empty groups
SELECT try(NULL);
SELECT try('null');
SELECT try('{}');
SELECT try('{"resizing": null}');
SELECT try('{"resizing": {}}');
SELECT try(NULL, 'null');
SELECT try(NULL, '{}');
SELECT try('{}', '{"format": null, "metadata": null, "destination": null}');
SELECT try('{}', '{"metadata": {}}');

-- Not objects
SELECT try('[]');
SELECT try('"resizing"');
SELECT try('5');
SELECT try('true');
SELECT try('{"resizing": []}');
SELECT try('{"resizing": "800"}');
SELECT try('{"background": true}');
SELECT try('{}', '[]');
SELECT try('{}', '5');
SELECT try('{}', '{"metadata": 5}');

-- Unknown keys, with the nearest known one, or the place where the key belongs
SELECT try('{"resize": {}}');
SELECT try('{"Resizing": {}}');
SELECT try('{"width": 800}');
SELECT try('{"quality": 80}');
SELECT try('{"resizing": {"widht": 800}}');
SELECT try('{"resizing": {"Height": 800}}');
SELECT try('{"resizing": {"crop": "smart"}}');
SELECT try('{"resizing": {"fit": {"type": "cover", "crop": "smart"}}}');
SELECT try('{"background": {"colour": "#fff"}}');
SELECT try('{"resizing": {"": 5}}');
SELECT try('{"resizing": {"a b\"c\n": 5}}');
SELECT try('{"resizing": {"%s%n": 5}}');
SELECT try(('{"' || repeat('x', 1000) || '": 1}')::jsonb);
SELECT try('{}', '{"dest": 5}');
SELECT try('{}', '{"quality": 80}');
SELECT try('{}', '{"dpi": 300}');
SELECT try('{}', '{"format": {"type": "webp", "quality": 80}}');
SELECT try('{}', '{"format": {"type": "webp", "compression": {"type": "lossless", "quality": 80}}}');
SELECT try('{}', '{"format": {"type": "png", "compression_level": 9}}');
SELECT try('{}', '{"format": {"type": "gif", "x": 9}}');
SELECT try('{}', '{"metadata": {"color_profile": "ISO_Coated"}}');

-- Lengths
SELECT try('{"resizing": {"width": 1}}');
SELECT try('{"resizing": {"width": 65500}}');
SELECT try('{"resizing": {"width": 8e2}}');
SELECT try('{"resizing": {"width": 800.0}}');
SELECT try('{"resizing": {"width": "50%"}}');
SELECT try('{"resizing": {"width": "1000%"}}');
SELECT try('{"resizing": {"width": "100px"}}');
SELECT try('{"resizing": {"width": "auto"}}');
SELECT try('{"resizing": {"width": null}}');
SELECT try('{"resizing": {"width": 0}}');
SELECT try('{"resizing": {"width": -5}}');
SELECT try('{"resizing": {"width": 65501}}');
SELECT try('{"resizing": {"width": 1.5}}');
SELECT try('{"resizing": {"width": 65500.000000000000000000001}}');
SELECT try('{"resizing": {"width": 1e400}}');
SELECT try('{"resizing": {"width": 1e-400}}');
SELECT try('{"resizing": {"width": "100"}}');
SELECT try('{"resizing": {"width": "0%"}}');
SELECT try('{"resizing": {"width": "1001%"}}');
SELECT try('{"resizing": {"width": "99999999999999999999999999999999%"}}');
SELECT try('{"resizing": {"width": "1.5%"}}');
SELECT try('{"resizing": {"width": "%"}}');
SELECT try('{"resizing": {"width": "px"}}');
SELECT try('{"resizing": {"width": ""}}');
SELECT try('{"resizing": {"width": " 5%"}}');
SELECT try('{"resizing": {"width": "Auto"}}');
SELECT try('{"resizing": {"width": true}}');
SELECT try('{"resizing": {"width": {"px": 1}}}');
SELECT try('{"resizing": {"width": [1, 2]}}');
SELECT try(('{"resizing": {"width": ' || repeat('9', 1000) || '}}')::jsonb);
SELECT try(('{"resizing": {"width": ' || repeat('[', 5000) || repeat(']', 5000) || '}}')::jsonb);

-- Both sides
SELECT try('{"resizing": {"width": 800, "height": 600}}');
SELECT try('{"resizing": {"width": "50%", "height": "50%"}}');
SELECT try('{"resizing": {"width": 800, "height": "auto"}}');
SELECT try('{"resizing": {"width": "50%", "height": "40%"}}');
SELECT try('{"resizing": {"width": "50%", "height": 40}}');
SELECT try('{"resizing": {"width": "auto", "height": "auto"}}');

-- Words, and words with members
SELECT try('{"resizing": {"fit": "crop"}}');
SELECT try('{"resizing": {"fit": "canvas"}}');
SELECT try('{"resizing": {"fit": {"type": "crop", "crop": "smart"}}}');
SELECT try('{"resizing": {"fit": {"crop": "smart"}}}');
SELECT try('{"resizing": {"fit": {}}}');
SELECT try('{"resizing": {"fit": "covr"}}');
SELECT try('{"resizing": {"fit": "fill"}}');
SELECT try('{"resizing": {"fit": ""}}');
SELECT try('{"resizing": {"fit": 5}}');
SELECT try('{"resizing": {"fit": ["crop"]}}');
SELECT try('{"resizing": {"fit": {"type": "x"}}}');
SELECT try('{"resizing": {"fit": {"type": 7}}}');
SELECT try('{"resizing": {"fit": {"type": "crop", "crop": "middle"}}}');
SELECT try('{"resizing": {"fit": {"type": "crop", "crop": {"type": "smart"}}}}');
SELECT try(('{"resizing": {"fit": "' || repeat('y', 1000) || '"}}')::jsonb);

-- Colours
SELECT try('{"background": {"color": "#fff"}}');
SELECT try('{"background": {"color": "#f0a8"}}');
SELECT try('{"background": {"color": "#12aBcD"}}');
SELECT try('{"background": {"color": "#12aBcD80"}}');
SELECT try('{"background": {"color": "transparent"}}');
SELECT try('{"background": {"color": "#12345"}}');
SELECT try('{"background": {"color": "#"}}');
SELECT try('{"background": {"color": "fff"}}');
SELECT try('{"background": {"color": "#ggg"}}');
SELECT try('{"background": {"color": "red"}}');
SELECT try('{"background": {"color": "#fffffffff"}}');
SELECT try('{"background": {"color": 16777215}}');
SELECT try('{"background": {"color": "transparent"}}', '{"format": "jpeg"}');

-- What needs a model is refused here, what asks for nothing is not
SELECT try('{"background": {"remove": false, "blur": null}}');
SELECT try('{"background": {"remove": true}}');
SELECT try('{"background": {"remove": {}}}');
SELECT try('{"background": {"blur": {"type": "lens"}}}');
SELECT try('{"background": {"remove": "yes"}}');
SELECT try('{"restorations": {"upscale": null, "decompress": null, "polish": false}}');
SELECT try('{"restorations": {"upscale": "faces"}}');
SELECT try('{"restorations": {"upscale": "face"}}');
SELECT try('{"restorations": {"upscale": {"type": "photo", "version": "2"}}}');
SELECT try('{"restorations": {"decompress": "auto"}}');
SELECT try('{"privacy": {"blur_car_plate": false, "identity_crop": false}}');
SELECT try('{"privacy": {"blur_car_plate": true}}');
SELECT try('{"generative": {"style_transfer": null}}');
SELECT try('{"generative": {"style_transfer": {"prompt": "x"}}}');
SELECT try(('{"generative": {"style_transfer": ' || repeat('[', 5000) || repeat(']', 5000) || '}}')::jsonb);
SELECT try('{"resizing": {"fit": "outpaint"}}');
SELECT try('{}', '{"metadata": {"color_space": {"type": "CMYK", "color_profile": "ISO_Coated"}}}');

-- Adjustments
SELECT try('{"adjustments": {"hdr": 0, "exposure": 0, "saturation": 0, "contrast": 0, "sharpness": 0}}');
SELECT try('{"adjustments": {"hdr": 100, "exposure": -100, "saturation": 100, "contrast": -100, "sharpness": 100}}');
SELECT try('{"adjustments": {"hdr": {"intensity": 5, "stitching": true}}}');
SELECT try('{"adjustments": {"hdr": {}}}');
SELECT try('{"adjustments": {"hdr": {"intensity": 101}}}');
SELECT try('{"adjustments": {"hdr": {"intensity": null}}}');
SELECT try('{"adjustments": {"hdr": {"stitching": 1}}}');
SELECT try('{"adjustments": {"hdr": {"strength": 1}}}');
SELECT try('{"adjustments": {"hdr": -1}}');
SELECT try('{"adjustments": {"exposure": 500}}');
SELECT try('{"adjustments": {"exposure": "5"}}');
SELECT try('{"adjustments": {"contrast": 0.5}}');
SELECT try('{"adjustments": {"sharpness": -1}}');
SELECT try('{"adjustments": {"brightness": 5}}');
SELECT try('{"adjustments": 5}');

-- Groups whose value is no object
SELECT try('{"rotate": null, "flip": null, "crop": null, "trim": null, "blur": null, "gray": null, "round": null, "padding": null}');
SELECT try('{"rotate": 90}');
SELECT try('{"rotate": -12.5}');
SELECT try('{"rotate": 0}');
SELECT try('{"rotate": {}}');
SELECT try('{"rotate": 361}');
SELECT try('{"rotate": "90"}');
SELECT try('{"rotate": true}');
SELECT try('{"rotate": {"degrees": 90}}');
SELECT try('{"rotate": [90]}');
SELECT try('{"flip": "horizontal"}');
SELECT try('{"flip": "both"}');
SELECT try('{"flip": "horizontl"}');
SELECT try('{"flip": true}');
SELECT try('{"flip": ""}');
SELECT try('{"crop": {"x": 0, "y": 0, "width": 10, "height": 10}}');
SELECT try('{"crop": {"x": 5}}');
SELECT try('{"crop": {}}');
SELECT try('{"crop": {"x": -65500}}');
SELECT try('{"crop": {"width": 0}}');
SELECT try('{"crop": {"width": "50%"}}');
SELECT try('{"crop": {"left": 5}}');
SELECT try('{"crop": "center"}');
SELECT try('{"trim": true}');
SELECT try('{"trim": false}');
SELECT try('{"trim": {}}');
SELECT try('{"trim": {"threshold": 0}}');
SELECT try('{"trim": {"threshold": 256}}');
SELECT try('{"trim": {"treshold": 5}}');
SELECT try('{"trim": 10}');
SELECT try('{"threshold": 10}');
SELECT try('{"blur": 0.3}');
SELECT try('{"blur": 100}');
SELECT try('{"blur": 0}');
SELECT try('{"blur": 100.1}');
SELECT try('{"blur": 1e400}');
SELECT try('{"blur": true}');
SELECT try('{"gray": true}');
SELECT try('{"gray": "yes"}');
SELECT try('{"grey": true}');
SELECT try('{"round": 20}');
SELECT try('{"round": "20px"}');
SELECT try('{"round": "50%"}');
SELECT try('{"round": 0}');
SELECT try('{"round": "51%"}');
SELECT try('{"round": -1}');
SELECT try('{"round": "auto"}');
SELECT try('{"round": 1.5}');
SELECT try('{"padding": "10%"}');
SELECT try('{"padding": "5% 25%"}');
SELECT try('{"padding": "0px 400px 0px 0px"}');
SELECT try('{"padding": {}}');
SELECT try('{"padding": "51%"}');
SELECT try('{"padding": "10% 51%"}');
SELECT try('{"padding": "10% 20% 30%"}');
SELECT try('{"padding": "1% 2% 3% 4% 5%"}');
SELECT try('{"padding": "10% 20px"}');
SELECT try('{"padding": "10"}');
SELECT try('{"padding": "32751px"}');
SELECT try('{"padding": "99999999999999999999px"}');
SELECT try('{"padding": ""}');
SELECT try('{"padding": " 10%"}');
SELECT try('{"padding": "10% "}');
SELECT try('{"padding": "10%  20%"}');
SELECT try('{"padding": "-5%"}');
SELECT try('{"padding": 10}');
SELECT try('{"padding": ["10%"]}');
SELECT try(('{"padding": "' || repeat('1% ', 10000) || '1%"}')::jsonb);

-- Formats
SELECT try('{}', '{"format": "jpeg"}');
SELECT try('{}', '{"format": "JPEG"}');
SELECT try('{}', '{"format": "jpg"}');
SELECT try('{}', '{"format": "JPE"}');
SELECT try('{}', '{"format": "gif"}');
SELECT try('{}', '{"format": {"type": "jpeg", "quality": 100, "progressive": false}}');
SELECT try('{}', '{"format": {"type": "png", "compression": "best"}}');
SELECT try('{}', '{"format": {"type": "webp", "compression": "lossless"}}');
SELECT try('{}', '{"format": {"type": "webp", "compression": {"type": "lossy", "quality": 1}}}');
SELECT try('{}', '{"format": "jpgg"}');
SELECT try('{}', '{"format": "bmp"}');
SELECT try('{}', '{"format": ""}');
SELECT try('{}', '{"format": 5}');
SELECT try('{}', '{"format": {}}');
SELECT try('{}', '{"format": {"quality": 80}}');
SELECT try('{}', '{"format": "heic"}');
SELECT try('{}', '{"format": {"type": "HEIF"}}');
SELECT try('{}', '{"format": {"type": "jpeg", "quality": 0}}');
SELECT try('{}', '{"format": {"type": "jpeg", "quality": 101}}');
SELECT try('{}', '{"format": {"type": "jpeg", "quality": "80"}}');
SELECT try('{}', '{"format": {"type": "jpeg", "quality": 80.5}}');
SELECT try('{}', '{"format": {"type": "jpeg", "progressive": 1}}');
SELECT try('{}', '{"format": {"type": "png", "compression": "Best"}}');
SELECT try('{}', '{"format": {"type": "png", "compression": 9}}');

-- Metadata and destination
SELECT try('{}', '{"metadata": {"dpi": 300}}');
SELECT try('{}', '{"metadata": {"color_space": "RGB"}}');
SELECT try('{}', '{"format": "tiff", "metadata": {"color_space": "CMYK"}}');
SELECT try('{}', '{"format": "webp", "metadata": {"color_space": "CMYK"}}');
SELECT try('{}', '{"metadata": {"color_space": "cmyk"}}');
SELECT try('{}', '{"metadata": {"dpi": 0}}');
SELECT try('{}', '{"metadata": {"dpi": 10001}}');
SELECT try('{}', '"storage://photos/a.jpg"');
SELECT try('{}', '""');
SELECT try('{}', '{"destination": "storage://photos/a.jpg"}');
SELECT try('{}', '{"destination": 5}');

-- The contract says the same
SELECT key, value->>'order', value->>'where' FROM jsonb_each(img_operations_contract()->'operations') ORDER BY (value->>'order')::int;
SELECT o.key, a.key, a.value->>'type', a.value->>'min', a.value->>'max', a.value->'default', a.value->>'where', array(SELECT jsonb_object_keys(a.value->'choices')), array(SELECT jsonb_object_keys(a.value->'members'))
FROM jsonb_each(img_operations_contract()->'operations') o, jsonb_each(o.value->'arguments') a ORDER BY (o.value->>'order')::int, a.key COLLATE "C";
SELECT o.key, o.value->'value' FROM jsonb_each(img_operations_contract()->'operations') o WHERE o.value ? 'value' ORDER BY (o.value->>'order')::int;
SELECT f.key, f.value->'extensions', f.value->>'mime', f.value->>'animated', f.value->>'alpha', f.value->>'can_save', array(SELECT jsonb_object_keys(f.value->'options'))
FROM jsonb_each(img_operations_contract()->'output'->'format') f ORDER BY f.key COLLATE "C";
SELECT a.key, a.value->>'type', a.value->'default', a.value->>'where' FROM jsonb_each(img_operations_contract()->'output'->'metadata') a ORDER BY a.key COLLATE "C";

-- The 33rd request takes the place of the first in the compiler's memory, and
-- each still gets its own answer: 0 is out of range, 1 to 49 are not
SELECT i % 50, count(*) FROM generate_series(1, 100) i WHERE try(format('{"resizing": {"width": %s}}', i % 50)::jsonb) <> 'accepted' GROUP BY 1;

DROP FUNCTION try;
