-- Named operations: img_operation_put/delete, img_apply, img_submit_operation,
-- triggers, the wall of errors, and the worked examples of the contract's
-- console guide.
\set ECHO none
\i test/include/pictures.sql
CREATE FUNCTION try(data jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	PERFORM img_operation_check(data);
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', sqlstate || ': ' || sqlerrm, nullif(detail, ''), nullif(hint, ''));
END $$;
CREATE FUNCTION step(template text, option jsonb DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT try(jsonb_build_array(jsonb_strip_nulls(jsonb_build_object('templateOperationId', template, 'option', option))))
$$;
-- a picture of 400 × 300, as the console guide has it, and what a step makes of it
CREATE FUNCTION pg_temp.sized(width int, height int) RETURNS bytea LANGUAGE sql AS $$
	SELECT img_edit(pg_temp.picture('png'), jsonb_build_object('resizing',
		jsonb_build_object('width', $1, 'height', $2, 'fit', 'fill')))
$$;
CREATE FUNCTION pg_temp.size(image bytea, template text, option jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM img_operation_put('tried', jsonb_build_array(jsonb_build_object('templateOperationId', template, 'option', option)));
	RETURN (SELECT string_agg(pg_temp.shape(a.image), ', ' ORDER BY a.ordinal) FROM img_apply($1, 'tried') a);
END $$;
\set ECHO all
\pset format unaligned
\pset tuples_only on
-- The worked examples: source 400 × 300, option 200 × 100
SELECT k AS kind, pg_temp.size(pg_temp.sized(400, 300), 'resize_' || k, '{"width": 200, "height": 100}')
FROM unnest('{max_fit,min_fit,fixed,fix,width_fit,height_fit}'::text[]) WITH ORDINALITY k (k, n) ORDER BY n;
-- a portrait source, a portrait option, and equal sides
SELECT k, pg_temp.size(pg_temp.sized(300, 400), 'resize_' || k, '{"width": 200, "height": 100}') FROM unnest('{max_fit,min_fit}'::text[]) k ORDER BY k;
SELECT k, pg_temp.size(pg_temp.sized(400, 300), 'resize_' || k, '{"width": 100, "height": 200}') FROM unnest('{max_fit,min_fit}'::text[]) k ORDER BY k;
SELECT k, pg_temp.size(pg_temp.sized(400, 300), 'resize_' || k, '{"width": 100, "height": 100}') FROM unnest('{max_fit,min_fit}'::text[]) k ORDER BY k;
-- Never larger unless asked for
SELECT d, pg_temp.size(pg_temp.sized(40, 30), 'resize_max_fit', jsonb_build_object('width', 80, 'height', 80, 'upDownSizeType', d)),
	pg_temp.size(pg_temp.sized(40, 30), 'resize_max_fit', jsonb_build_object('width', 20, 'height', 20, 'upDownSizeType', d)),
	pg_temp.size(pg_temp.sized(40, 30), 'resize_fixed', jsonb_build_object('width', 80, 'height', 10, 'upDownSizeType', d))
FROM unnest('{downOnly,upOnly,upDownAll}'::text[]) WITH ORDINALITY d (d, n) ORDER BY n;
SELECT pg_temp.size(pg_temp.sized(40, 30), 'resize_max_fit', '{"width": 80, "height": 80}');
SELECT pg_temp.size(pg_temp.sized(40, 30), 'resize_max_fit', '{"width": 80, "height": 80, "shrinkLargerOnly": false}');
SELECT pg_temp.size(pg_temp.sized(40, 30), 'resize_max_fit', '{"width": 80, "height": 80, "shrinkLargerOnly": false, "upDownSizeType": "downOnly"}');
-- The other templates
SELECT pg_temp.size(pg_temp.sized(40, 30), 'gray', '{}');
SELECT pg_temp.size(pg_temp.sized(40, 30), 'rectangle', '{"width": 20, "height": 10}');
SELECT pg_temp.size(pg_temp.sized(40, 30), 'rectangle', '{"width": 20, "height": 10, "gravity": "SouthEast", "offsetX": -15}');
SELECT pg_temp.size(pg_temp.sized(40, 30), 'circle', '{"radius": 10}');
SELECT pg_temp.size(pg_temp.sized(40, 30), 'slice', '{"sliceSize": 20}');
SELECT pg_temp.size(pg_temp.sized(40, 30), 'slice', '{"sliceSize": 15, "sliceCropType": "horizontal"}');
SELECT pg_temp.size(pg_temp.sized(40, 30), 'slice', '{}');
SELECT pg_temp.size(pg_temp.sized(40, 30), 'grid', '{"countX": 2, "countY": 2}');
SELECT pg_temp.size(pg_temp.sized(9, 9), 'grid', '{"countX": 4, "countY": 1}');
SELECT pg_temp.size(pg_temp.sized(40, 30), 'resize_max_fit', '{"width": 80, "height": 80, "targetExtension": "jpg"}');
SELECT pg_temp.size(pg_temp.sized(40, 30), 'resize_max_fit', '{"width": 80, "height": 80, "targetExtension": ""}');
-- keepAnimation: as each template has it
SELECT t.template, pg_temp.size(pg_temp.picture('gif_3_frames'), t.template, t.option), pg_temp.size(pg_temp.picture('gif_3_frames'), t.template, t.option || '{"keepAnimation": false}')
FROM (VALUES ('resize_max_fit', '{"width": 8, "height": 8}'::jsonb), ('gray', '{}'), ('rectangle', '{"width": 8, "height": 8}'), ('slice', '{"sliceSize": 16}')) t (template, option);
SELECT pg_temp.size(pg_temp.picture('gif_3_frames'), 'circle', '{"radius": 5}'), pg_temp.size(pg_temp.picture('gif_3_frames'), 'grid', '{"countX": 2, "countY": 1}');
-- Groups run in their order whatever the order given; within one, the given order
SELECT img_operation_put('groups', '[{"templateOperationId": "circle", "option": {"radius": 500}},
	{"templateOperationId": "grid", "option": {"countX": 2, "countY": 1}},
	{"templateOperationId": "resize_fix", "option": {"width": 40, "height": 20}}]') IS NOT NULL;
SELECT ordinal, name, pg_temp.shape(image) FROM img_apply(pg_temp.sized(400, 300), 'groups');
SELECT img_operation_put('cut-first', '[{"templateOperationId": "rectangle", "option": {"width": 40, "height": 20}},
	{"templateOperationId": "resize_max_fit", "option": {"width": 20, "height": 20}}]') IS NOT NULL;
SELECT img_operation_put('cut-last', '[{"templateOperationId": "resize_max_fit", "option": {"width": 20, "height": 20}},
	{"templateOperationId": "rectangle", "option": {"width": 40, "height": 20}}]') IS NOT NULL;
SELECT pg_temp.shape(a.image), pg_temp.shape(b.image)
FROM img_apply(pg_temp.sized(400, 300), 'cut-first') a, img_apply(pg_temp.sized(400, 300), 'cut-last') b;
-- EXIF: stays, with the orientation, unless something has to know which way is up
SELECT n AS orientation, k, i.orientation, i.width, i.height
FROM generate_series(2, 8) n, (VALUES ('cut-first'), ('100x100'), ('webp')) t (k),
	img_apply(pg_temp.picture('webp_orientation_' || n), k) a, img_info(a.image) i ORDER BY 1, 2;
-- Everything that is wrong with steps
SELECT try('{}');
SELECT try('[]');
SELECT try('5');
SELECT try('null');
SELECT try('[5]');
SELECT try('[{}]');
SELECT try('[{"option": {}}]');
SELECT try('[{"templateOperationId": 5}]');
SELECT try('[{"templateOperationId": "gray", "options": {}}]');
SELECT try('[{"templateOperationId": "gray", "option": []}]');
SELECT try('[{"templateOperationId": "gray"}, {"templateOperationId": "gray"}]');
SELECT try('[{"templateOperationId": "resize_fix", "option": {"width": 5, "height": 5}}, {"templateOperationId": "resize_fixed", "option": {"width": 5, "height": 5}}]');
SELECT try('[{"templateOperationId": "slice", "option": {"sliceSize": 5}}, {"templateOperationId": "grid", "option": {"countX": 2, "countY": 2}}]');
SELECT try('[{"templateOperationId": "gray"}, {"templateOperationId": "resize_maxfit"}]');
SELECT step('resize_max_fit');
SELECT step('resize_max_fit', '{}');
SELECT step('resize_max_fit', '{"width": 5}');
SELECT step('resize_width_fit', '{"width": 5}');
SELECT step('resize_height_fit', '{"width": 5}');
SELECT step('resize_max_fit', '{"width": 0, "height": 5}');
SELECT step('resize_max_fit', '{"width": 5.5, "height": 5}');
SELECT step('resize_max_fit', '{"width": "5", "height": 5}');
SELECT step('resize_max_fit', '{"width": 5, "height": 5, "quality": 0}');
SELECT step('resize_max_fit', '{"width": 5, "height": 5, "quality": 80.5}');
SELECT step('resize_max_fit', '{"width": 5, "height": 5, "quality": 101}');
SELECT step('resize_max_fit', '{"width": 5, "height": 5, "upDownSizeType": "both"}');
SELECT step('resize_max_fit', '{"width": 5, "height": 5, "keepExif": "yes"}');
SELECT step('resize_max_fit', '{"width": 5, "height": 5, "targetExtension": "bmp"}');
SELECT step('resize_max_fit', '{"width": 5, "height": 5, "targetExtension": "heic"}');
SELECT step('resize_max_fit', '{"width": 5, "height": 5, "targetExtension": null}');
SELECT step('resize_max_fit', '{"width": 5, "height": 5, "resizeType": "min_fit"}');
SELECT step('resize_max_fit', '{"width": 5, "height": 5, "resizeType": "max_fit", "shrinkLargerOnly": false}');
SELECT step('resize_max_fit', '{"width": 5, "hight": 5}');
SELECT step('gray', '{"width": 5}');
SELECT step('rectangle', '{"width": 5}');
SELECT step('rectangle', '{"width": 5, "height": 5, "gravity": "center"}');
SELECT step('rectangle', '{"width": 5, "height": 5, "offsetX": 70000}');
SELECT step('circle');
SELECT step('circle', '{"radius": 0}');
SELECT step('slice', '{"sliceCropType": "diagonal"}');
SELECT step('slice', '{"sliceSize": -1}');
SELECT step('slice', '{"callbackUrl": "https://example.com/"}');
SELECT img_operation_put('told', '[{"templateOperationId": "slice", "option": {"callbackUrl": "https://example.com/"}}]') IS NOT NULL;
SELECT pg_temp.error_of($$SELECT img_submit_operation('\x00'::bytea, 'told')$$);
SELECT pg_temp.error_of($$SELECT img_apply('\x00', 'told')$$);
SELECT img_operation_delete('told') IS NOT NULL;
SELECT step('grid', '{"countX": 2}');
SELECT step('grid', '{"countX": 2, "countY": 257}');
SELECT step('watermark');
SELECT step('watermark', '{"watermarkImagePath": ""}');
SELECT step('watermark', '{"watermarkImagePath": "logo.png"}');
SELECT step('watermark', '{"watermarkImagePath": "storage://"}');
SELECT step('watermark', '{"watermarkImagePath": "storage://x"}');
SELECT step('watermark', '{"watermarkImagePath": "/folder/logo.png", "gravity": "SouthEast"}');
-- Names
SELECT pg_temp.error_of($$SELECT img_operation_put('', '[{"templateOperationId": "gray"}]')$$);
SELECT pg_temp.error_of($$SELECT img_operation_put('with space', '[{"templateOperationId": "gray"}]')$$);
SELECT pg_temp.error_of($$SELECT img_operation_put(repeat('x', 21), '[{"templateOperationId": "gray"}]')$$);
SELECT pg_temp.error_of($$SELECT img_operation_put(NULL, '[{"templateOperationId": "gray"}]')$$);
SELECT pg_temp.error_of($$SELECT img_operation_put('a', NULL)$$);
SELECT pg_temp.error_of($$SELECT img_operation_put('a', '[]', repeat('x', 31))$$);
SELECT pg_temp.error_of($$SELECT img_operation_put('a', '[]')$$);
SELECT operation_id, description, realtime_service, template, data FROM img_operation_put('slice-v', '[{"templateOperationId": "slice", "option": {"sliceSize": 10}}]', 'in slices', false);
SELECT operation_id, description, realtime_service, template, data FROM img_operation_put('slice-v', '[{"templateOperationId": "gray", "jobType": "GrayJob", "option": {}}]');
-- Templates are there for all, and may be covered but not deleted
SELECT operation_id, description FROM img_operation WHERE template ORDER BY operation_id;
SELECT bool_and(img_operation_check(data)) FROM img_operation;
SELECT pg_temp.error_of($$SELECT img_operation_delete('100x100')$$);
SELECT (img_operation_put('100x100', '[{"templateOperationId": "resize_fix", "option": {"width": 10, "height": 10}}]')).template;
SELECT pg_temp.shape(image) FROM img_apply(pg_temp.sized(400, 300), '100x100');
SELECT (img_operation_delete('100x100')).template;
SELECT pg_temp.shape(image) FROM img_apply(pg_temp.sized(400, 300), '100x100');
SELECT pg_temp.error_of($$SELECT img_operation_delete('nothing')$$);
SELECT pg_temp.error_of($$SELECT img_apply(pg_temp.picture('png'), 'nothing')$$);
SELECT count(*) FROM img_apply(NULL, '100x100');
-- Each role has its own, and needs img_grant() for them
CREATE ROLE regress_draws;
SET ROLE regress_draws;
SELECT pg_temp.error_of($$SELECT img_operation_put('a', '[{"templateOperationId": "gray"}]')$$);
RESET ROLE;
SELECT img_grant('regress_draws') IS NOT NULL;
GRANT SELECT ON picture TO regress_draws;
SET ROLE regress_draws;
SELECT owner, operation_id FROM img_operation_put('slice-v', '[{"templateOperationId": "gray"}]');
SELECT owner, operation_id FROM img_operation WHERE NOT template;
SELECT pg_temp.error_of($$SELECT * FROM img_apply(pg_temp.picture('png'), 'cut-first')$$);
SELECT pg_temp.error_of($$INSERT INTO img_operation (operation_id, owner, data) VALUES ('x', 'regress_draws', '[]')$$);
SELECT pg_temp.error_of($$SELECT img_operation_put_as('x', '[{"templateOperationId": "gray"}]', '', true, false, 'postgres')$$);
RESET ROLE;
DROP OWNED BY regress_draws;
DELETE FROM img_operation WHERE owner = 'regress_draws'::regrole;
DROP ROLE regress_draws;
-- Jobs: several outputs, their names, the task document
SELECT img_operation_put('tiles', '[{"templateOperationId": "grid", "option": {"countX": 2, "countY": 2}}]') IS NOT NULL;
SELECT img_submit_operation(pg_temp.sized(40, 30), 'tiles') AS job \gset
SELECT img_queue(:'job') ->> 'status' IN ('W', 'P', 'D'), img_queue(:'job') ->> 'operationId';
SELECT img_wait(:'job');
SELECT kind, status, request FROM img_job WHERE id = :'job';
SELECT ordinal, replace(name, :'job', 'JOB'), replace(path, :'job', 'JOB'), width, height, pg_temp.shape(img_output(:'job', ordinal))
FROM img_object WHERE job_id = :'job' AND role = 'output' ORDER BY ordinal;
SELECT replace(jsonb_pretty(img_queue(:'job') - 'queuedAt'), :'job', 'JOB');
SELECT img_queue(:'job') ->> 'queuedAt' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}$';
SELECT jsonb_array_length(img_result(:'job') #> '{result,output_objects}');
SELECT pg_temp.error_of($$SELECT img_output('$$ || :'job' || $$', 4)$$);
SELECT img_submit_operation(pg_temp.sized(40, 30), '100x100') AS job \gset
SELECT img_wait(:'job');
SELECT ordinal, replace(name, :'job', 'JOB'), replace(path, :'job', 'JOB') FROM img_object WHERE job_id = :'job' AND role = 'output';
SELECT pg_temp.error_of($$SELECT img_submit_operation(pg_temp.picture('png'), 'nothing')$$);
SELECT pg_temp.error_of($$SELECT img_submit_operation(pg_temp.picture('png'), NULL)$$);
SELECT pg_temp.error_of($$SELECT img_submit_operation('/aa/bb.png'::text, 'tiles')$$);
SELECT pg_temp.error_of($$SELECT img_submit_operation(pg_temp.picture('png'), 'tiles', server => 'nhn')$$);
SELECT pg_temp.error_of($$SELECT img_queue('00000000-0000-7000-8000-000000000000')$$);
-- the steps are those at the time of the call
BEGIN;
SELECT img_submit_operation(pg_temp.sized(40, 30), 'tiles', job_key => 'k') AS job \gset
SELECT img_operation_put('tiles', '[{"templateOperationId": "gray"}]') IS NOT NULL;
COMMIT;
SELECT img_wait(:'job');
SELECT count(*) FROM img_object WHERE job_id = :'job' AND role = 'output';
-- results go with their operation, if that is asked for
SELECT img_output(:'job') IS NOT NULL;
SELECT (img_operation_put('tiles', '[{"templateOperationId": "gray"}]', delete_thumbnail => true)).operation_id;
SELECT count(*) FROM img_object WHERE job_id = :'job' AND role = 'output' AND expires_at > clock_timestamp();
-- Triggers name an operation
CREATE TABLE upload (id int PRIMARY KEY, data bytea, thumb bytea, job uuid);
CREATE TRIGGER thumb AFTER INSERT OR UPDATE OF data ON upload FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', 'square-200', 'thumb');
CREATE TRIGGER pieces AFTER INSERT OR UPDATE OF data ON upload FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', 'grid-3x3', 'job');
INSERT INTO upload VALUES (1, pg_temp.sized(400, 300));
CALL pg_temp.finish_jobs();
SELECT pg_temp.shape(thumb), (SELECT count(*) FROM img_object o WHERE o.job_id = u.job AND o.role = 'output') FROM upload u;
SELECT kind, request ->> 'operation_id', status FROM img_job WHERE source_table = 'upload'::regclass ORDER BY 2;
CREATE TRIGGER wrong AFTER INSERT ON upload FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', 'grid-3x3', 'thumb');
SELECT pg_temp.error_of('INSERT INTO upload VALUES (2, pg_temp.sized(40, 30))');
DROP TRIGGER wrong ON upload;
CREATE TRIGGER wrong AFTER INSERT ON upload FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', '100x100', 'thumb', '{"format": "png"}');
SELECT pg_temp.error_of('INSERT INTO upload VALUES (2, pg_temp.sized(40, 30))');
DROP TABLE upload;
-- Watermarks: from a job, from a storage path
SELECT img_submit(pg_temp.sized(8, 6)) AS logo \gset
SELECT img_wait(:'logo');
SELECT img_edit(pg_temp.sized(40, 30), jsonb_build_object('watermark', jsonb_build_object('image', :'logo', 'gravity', 'southeast')))
	= img_edit(pg_temp.sized(40, 30), jsonb_build_object('watermark', jsonb_build_object('image', 'storage://database/' || :'logo' || '.png', 'gravity', 'southeast'))) AS same,
	img_edit(pg_temp.sized(40, 30), jsonb_build_object('watermark', jsonb_build_object('image', :'logo')))
	= img_edit(pg_temp.sized(40, 30)) AS nothing;
SELECT img_operation_put('marked', jsonb_build_array(jsonb_build_object('templateOperationId', 'watermark', 'option', jsonb_build_object('watermarkImagePath', 'storage://database/' || :'logo' || '.png')))) IS NOT NULL;
SELECT img_submit_operation(pg_temp.sized(40, 30), 'marked') AS job \gset
SELECT img_wait(:'job');
SELECT img_output(:'job') = (SELECT image FROM img_apply(pg_temp.sized(40, 30), 'marked')) AS same;
SELECT img_submit(pg_temp.sized(40, 30), '{"watermark": {"image": "00000000-0000-7000-8000-000000000000"}}') AS job \gset
SELECT img_wait(:'job');
SELECT error_code, stage, error FROM img_job WHERE id = :'job';
SELECT pg_temp.error_of($$SELECT img_edit(pg_temp.picture('png'), '{"watermark": {"image": "storage://database/nothing"}}')$$);
SELECT pg_temp.error_of($$SELECT img_edit(pg_temp.picture('png'), '{"watermark": {"image": "storage://photos/logo.png"}}')$$);
SELECT pg_temp.error_of($$SELECT img_edit(pg_temp.picture('png'), '{"watermark": {}}')$$);
SELECT pg_temp.error_of($$SELECT img_edit(pg_temp.picture('png'), '{"watermark": {"image": "x"}}')$$);
SELECT pg_temp.error_of($$SELECT img_edit(pg_temp.picture('png'), '{"slice": {"size": 5}}')$$);
DROP FUNCTION try, step;
DELETE FROM img_operation WHERE NOT template;
