-- What is said to servers of type nhn, and what their answers mean: the examples
-- of their documents, every code, every template.
\set ECHO none
\pset format unaligned
\pset tuples_only on
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.remote(more jsonb DEFAULT '{}') RETURNS img_remote LANGUAGE sql AS $$
	SELECT jsonb_populate_record(NULL::img_remote, '{"job_id": "01900000-0000-7000-8000-000000000001", "server": "nhn", "server_type": "nhn",
		"remote_id": "6691a01a-4585-4e26-989c-8ef25dd627a0", "result": {"file_id": "9cf11176-045c-4708-8dbd-35633f029a91",
		"path": "/imgapi/01900000-0000-7000-8000-000000000001.png"}}' || more)
$$;
CREATE FUNCTION pg_temp.job(operation text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('operation_id', operation_id, 'data', data) FROM img_operation WHERE operation_id = operation ORDER BY template LIMIT 1
$$;
CREATE FUNCTION pg_temp.asked(what text, operation text DEFAULT '100x100', input text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', a.method, a.path, a.content_type, a.body, CASE WHEN a.picture THEN '(picture)' END, a.tail)
	FROM img_nhn_request(what, pg_temp.remote(), pg_temp.job(operation), input) a
$$;
-- only what is said
CREATE FUNCTION pg_temp.meant(what text, document jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_strip_nulls(to_jsonb(img_nhn_read(what, pg_temp.remote(), document)))
$$;
CREATE FUNCTION pg_temp.try(data jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	PERFORM img_operation_check(data);
	RETURN (SELECT jsonb_agg(img_nhn_step(s)) FROM jsonb_array_elements(data) s);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', sqlstate || ': ' || sqlerrm, hint);
END $$;
\set ok '"header": {"isSuccessful": true, "resultCode": 0, "resultMessage": "Success"}'
\set ECHO all
-- What is asked, one call after the other
SELECT pg_temp.asked('folder');
SELECT pg_temp.asked('upload', input => i) FROM unnest('{01900000-0000-7000-8000-000000000001.webp,01900000-0000-7000-8000-000000000001,https://example.com/cat.heic}'::text[]) i;
SELECT pg_temp.asked('upload', input => '01900000-0000-7000-8000-000000000001.heic');
SELECT pg_temp.asked('operation');
SELECT pg_temp.asked('submit');
SELECT pg_temp.asked('poll');
SELECT pg_temp.asked('result');
SELECT pg_temp.asked('find');
SELECT pg_temp.asked('clean');
-- A task whose number is lost is known by what it has made; of several files nobody knows whether they are all
SELECT (img_nhn_request('poll', pg_temp.remote('{"remote_id": "/imgapi/a_b.png"}'), pg_temp.job('gray'), NULL)).path;
SELECT o, pg_temp.asked('find', o) = '', pg_temp.asked('cancel', o) = pg_temp.asked('clean', o) FROM unnest('{grid-3x3,slice-1000}'::text[]) o;
-- What has not come there needs no cleaning
SELECT img_nhn_request(w, pg_temp.remote('{"result": null}'), pg_temp.job('gray'), NULL) IS NULL FROM unnest('{clean,cancel}'::text[]) w;
-- The example of operations-exec has the same members; so has that of a PUT of an operation
SELECT (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys('{"basepath": "/myfolder", "operationIds": ["100x100"], "filepaths": ["/myfolder/left.png", "/myfolder/right.jpg"]}'::jsonb) k)
	= (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys((img_nhn_request('submit', pg_temp.remote(), pg_temp.job('100x100'), NULL)).body::jsonb) k);
SELECT (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys('{"description": "", "realtimeService": true, "data": []}'::jsonb) k)
	= (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys((img_nhn_operation(pg_temp.job('100x100'))).body) k);
-- Names of operations there: 20 letters and digits, the same for the same steps only
SELECT bool_and(o.id ~ '^[A-Za-z0-9]{20}$'), count(DISTINCT o.id) = count(*) FROM img_operation t, img_nhn_operation(pg_temp.job(t.operation_id)) o WHERE t.template;
SELECT (img_nhn_operation('{"operation_id": "a", "data": [{"option": {}, "templateOperationId": "gray"}]}')).id
	= (img_nhn_operation('{"operation_id": "a", "data": [{"templateOperationId": "gray"}]}')).id;
-- The operation of the examples, as a PUT has it and as answers do: what is read can be put, and is put as it was
SELECT pg_temp.try('[{"templateOperationId": "resize_max_fit", "option": {"resizeType": "max_fit", "width": 100, "height": 100, "quality": 80, "upDownSizeType": "downOnly"}}]');
SELECT pg_temp.try('[{"templateOperationId": "resize_max_fit", "jobType": "ResizeJob", "option": {"resizeType": "max_fit", "width": 100, "height": 100,
	"quality": 80, "shrinkLargerOnly": false, "upDownSizeType": "downOnly", "keepAnimation": false, "keepExif": true, "autoOrient": true}}]');
-- Every template
SELECT pg_temp.try(data) FROM (VALUES
	('[{"templateOperationId": "resize_fixed", "option": {"width": 10, "height": 20, "targetExtension": "png"}}]'::jsonb),
	('[{"templateOperationId": "resize_fix", "option": {"width": 10, "height": 20, "targetExtension": ""}}]'),
	('[{"templateOperationId": "resize_min_fit", "option": {"width": 10, "height": 20, "shrinkLargerOnly": false}}]'),
	('[{"templateOperationId": "resize_max_fit", "option": {"width": 10, "height": 20, "shrinkLargerOnly": true, "targetExtension": null}}]'),
	('[{"templateOperationId": "resize_width_fit", "option": {"width": 10}}]'),
	('[{"templateOperationId": "resize_height_fit", "option": {"height": 10}}]'),
	('[{"templateOperationId": "gray"}]'),
	('[{"templateOperationId": "rectangle", "option": {"gravity": "NorthWest", "offsetX": -1, "offsetY": 2, "width": 10, "height": 20}}]'),
	('[{"templateOperationId": "circle", "option": {"gravity": "East", "radius": 10}}]'),
	('[{"templateOperationId": "slice", "option": {"sliceCropType": "horizontal", "sliceSize": 10, "callbackUrl": "https://example.com/done?id=7"}}]'),
	('[{"templateOperationId": "grid", "option": {"countX": 2, "countY": 3}}]'),
	('[{"templateOperationId": "watermark", "option": {"gravity": "SouthEast", "watermarkImagePath": "/logos/mark.png"}}]'),
	('[{"templateOperationId": "watermark", "option": {"watermarkImagePath": "storage://photos/mark.png"}}]')) t (data);
SELECT img_nhn_request('operation', pg_temp.remote(), '{"operations": {"gray": true}}', NULL);
-- The answers of the examples
SELECT pg_temp.meant('begin', NULL);
SELECT pg_temp.meant('folder', ('{' || :'ok' || ', "folder": {"id": "c337256d-b17e-42ce-9f63-a792a05ae0ef", "name": "myfolder", "path": "/myfolder",
	"isFolder": true, "updatedAt": "2015-09-02T10:27:15+0900"}}')::jsonb);
SELECT pg_temp.meant('upload', ('{' || :'ok' || ', "file": {"isFolder": false, "id": "9cf11176-045c-4708-8dbd-35633f029a91",
	"url": "http://image.toast.com/aaaaach/myfolder/sample.png", "name": "sample.png", "path": "/myfolder/sample.png", "bytes": 54684, "createdBy": "U",
	"updatedAt": "2016-02-26T16:38:34+0900", "operationId": "100x100", "imageProperty": {"width": 200, "height": 150, "createdAt": "2016-02-26T16:38:11+0900",
	"coordinate": {"lat": null, "lng": null}}, "queues": [{"queueId": "0256316c-7dcf-4940-975b-673afb62e8a3", "queueType": "image", "status": "W", "tryCount": 0,
	"queuedAt": "2016-02-26T16:38:11+0900", "operationId": "100x100", "url": "http://image.toast.com/aaaaach/myfolder/sample_100x100.png",
	"name": "sample_100x100.png", "path": "/myfolder/sample_100x100.png"}]}}')::jsonb);
SELECT pg_temp.meant('operation', ('{' || :'ok' || ', "operation": {"appKey": "key", "operationId": "100x100", "description": "", "realtimeService": true,
	"updatedAt": "2016-02-26T17:42:27+0900", "jobTemplate": [{"templateOperationId": "resize_max_fit", "jobType": "ResizeJob", "option": {}}]}}')::jsonb);
SELECT pg_temp.meant('submit', ('{' || :'ok' || ', "paging": {"page": 1, "rows": 20, "totalCount": 1}, "operations": [{"appKey": "key", "operationId": "100x100"}],
	"queues": [{"queueId": "6691a01a-4585-4e26-989c-8ef25dd627a0", "queueType": "image", "status": "W", "tryCount": 0, "queuedAt": "2016-02-26T16:56:29+0900",
	"operationId": "100x100", "url": "http://alpha-image.toast.com/aaaaach/myfolder/banner/right_100x100.png", "name": "right_100x100.png",
	"path": "/myfolder/banner/right_100x100.png"}]}')::jsonb);
SELECT s.status, pg_temp.meant('poll', jsonb_set(('{' || :'ok' || ', "queue": {"queueId": "6691a01a-4585-4e26-989c-8ef25dd627a0", "queueType": "image", "status": "D",
	"tryCount": 0, "queuedAt": "2016-02-26T16:56:52+0900", "operationId": "100x100", "url": "http://image.toast.com/aaaaach/myfolder/banner/right_100x100.png",
	"name": "right_100x100.png", "path": "/myfolder/banner/right_100x100.png"}}')::jsonb, '{queue,status}', to_jsonb(s.status)))
FROM unnest('{W,P,D,F,X}'::text[]) WITH ORDINALITY s (status, n) ORDER BY n;
SELECT pg_temp.meant('result', ('{' || :'ok' || ', "paging": {"page": 1, "rows": 100, "totalFolderCount": 1, "totalFileCount": 1},
	"folders": [{"isFolder": true, "id": "5b6ad839-a920-4b88-895d-64ffc3f4d89a", "name": "banner", "path": "/myfolder/banner", "updatedAt": "2016-02-26T15:57:06+0900"}],
	"files": [{"isFolder": false, "id": "69528a77-0cc2-4407-a83d-ea4aacbe207f", "url": "http://image.toast.com/aaaaaag/myfolder/toast.png", "name": "toast.png",
	"path": "/myfolder/toast.png", "bytes": 10173, "createdBy": "U", "updatedAt": "2016-02-26T15:57:14+0900", "operationId": "", "queues": [],
	"imageProperty": {"width": 90, "height": 90, "createdAt": "2016-02-26T15:56:50+0900", "coordinate": {"lat": 0, "lng": 0}}}]}')::jsonb);
SELECT pg_temp.meant('result', ('{' || :'ok' || ', "files": [{"name": "a_0010.png", "url": "http://h/a_0010.png"}, {"name": "a_0002.png", "url": "http://h/a_0002.png"}]}')::jsonb);
SELECT w, pg_temp.meant(w, ('{' || :'ok' || ', "files": []}')::jsonb), pg_temp.meant(w, ('{' || :'ok' || ', "files": [{"name": "a_b.png", "path": "/imgapi/a_b.png", "url": "http://h/a_b.png"}]}')::jsonb)
FROM unnest('{result,find,poll}'::text[]) w;
SELECT pg_temp.meant('clean', ('{' || :'ok' || '}')::jsonb);
SELECT pg_temp.meant(w, '{"header": {"isSuccessful": false, "resultCode": 404, "resultMessage": "Please check your API Url, HTTP Method."}}')
FROM unnest('{folder,upload,operation,submit,poll,result,clean}'::text[]) w;
-- A folder that is there is as good as a new one; a part of one task is the task
SELECT pg_temp.meant('folder', '{"header": {"isSuccessful": false, "resultCode": 20000, "resultMessage": "There is same folder name."}}');
SELECT pg_temp.meant('submit', '{"header": {"isSuccessful": false, "resultCode": 1, "resultMessage": "Partial Success"}, "queues": [{"queueId": "q", "status": "W"}]}');
SELECT pg_temp.meant('submit', '{"header": {"isSuccessful": false, "resultCode": 1, "resultMessage": "Partial Success"}, "queues": []}');
-- What is none of their answers means nothing
SELECT pg_temp.meant(w, d) FROM unnest('{submit,poll,result}'::text[]) w, (VALUES ('[]'::jsonb), ('"x"'), ('{}'), ('{"header": null}'), ('{"header": {"resultCode": 0}, "queue": [], "queues": {}, "files": {}}')) d (d);
SELECT img_remote_read('nhn', 'poll', pg_temp.remote(), '{"header": {"resultCode": "many"}}') IS NULL;
-- Every code, as a status and an SQLSTATE
SELECT img_nhn_status(code), img_remote_sqlstate(img_nhn_status(code)), string_agg(code::text, ' ' ORDER BY code)
FROM unnest('{1,2,-1,400,401,403,404,415,429,5000,5001,5002,5003,5004,5005,5006,5007,10001,10002,11001,11002,11003,11004,11050,11051,11060,
	20000,20001,20002,20010,21002,21003,21011,21030,21031,22001,23001,23002,24001,24002,24003,24004,24005,30004,30005,40000,40001,40002,40003,40004,
	50001,50002,50003,50004,50011,50012,50013,500201,7}'::int[]) code
GROUP BY 1, 2 ORDER BY 1;
