-- The examples of the documents of Claid and Topaz: what we ask is what they
-- show, and what they answer is understood.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
CREATE SERVER claid TYPE 'claid' FOREIGN DATA WRAPPER imgapi;
CREATE USER MAPPING FOR PUBLIC SERVER claid OPTIONS (api_key 'secret');
CREATE SERVER topaz TYPE 'topaz' FOREIGN DATA WRAPPER imgapi;
CREATE USER MAPPING FOR PUBLIC SERVER topaz OPTIONS (api_key 'secret');

-- What a job that is submitted to us asks of its server
CREATE FUNCTION pg_temp.asked(server name, input text, operations jsonb, output jsonb DEFAULT NULL) RETURNS img_remote_request
LANGUAGE plpgsql AS $$
DECLARE
	job uuid := img_submit(input, operations, output, server);
	request img_remote_request;
BEGIN
	SELECT (img_remote_request(r.type, 'submit', NULL, j.request, j.input)).* INTO request
	FROM img_job j, img_server r WHERE j.id = job AND r.name = j.server;
	PERFORM img_cancel(job);
	RETURN request;
END $$;
-- … and once it has it
CREATE FUNCTION pg_temp.call(type text, what text, id text) RETURNS img_remote_request
LANGUAGE sql AS $$ SELECT img_remote_request(type, what, jsonb_populate_record(NULL::img_remote, jsonb_build_object('remote_id', id)), '{}', NULL) $$;
-- What an answer means, but for times that are ours
CREATE FUNCTION pg_temp.means(type text, what text, document jsonb) RETURNS jsonb
LANGUAGE sql AS $$ SELECT jsonb_strip_nulls(to_jsonb(img_remote_read(type, what, NULL, document))) $$;

-- Claid: an edit
BEGIN;
SELECT a.method, a.path, a.content_type, a.body::jsonb || jsonb_build_object('input', e.document -> 'input') = e.document AS as_shown
FROM (VALUES
	('{"input": "storage://storage_1/path/image.jpg", "operations": {}}'::jsonb),
	('{"input": "https://picsum.photos/200.jpg", "operations": {"resizing": {"width": 1000}, "background": {"remove": false}}}')) e (document),
	-- their storages are not ours: the URL of the picture stands for it
	pg_temp.asked('claid', 'https://picsum.photos/200.jpg', e.document -> 'operations') a;
-- every operation of the example of an answer, with values where it has words
SELECT jsonb_pretty(a.body::jsonb) FROM pg_temp.asked('claid', 'https://image_url.com/example.jpg', '{
	"restorations": {"decompress": null, "upscale": "smart_enhance"}, "resizing": {"width": 1000, "fit": "cover"}, "adjustments": {},
	"background": {"remove": false, "color": "#ffffff", "blur": false}, "padding": "10%", "privacy": {"blur_car_plate": false}}') a;
SELECT img_submit('https://image_url.com/example.jpg', '{"background": {"color": "text"}}', server => 'claid');
ROLLBACK;
BEGIN;
SELECT img_submit('https://image_url.com/example.jpg', '{"padding": "text"}', server => 'claid');
ROLLBACK;
SELECT method, path, content_type, body FROM pg_temp.call('claid', 'poll', '1');

-- Claid: accepted
SELECT jsonb_pretty(pg_temp.means('claid', 'submit', '{
  "data": {
    "id": 1,
    "status": "ACCEPTED",
    "result_url": "http://api.claid.ai/v1-beta1/image/edit/async/1",
    "created_at": "2023-03-13T11:37:09.160554+00:00",
    "request": {"input": "https://picsum.photos/200.jpg", "operations": {"resizing": {"width": 1000}, "background": {"remove": false}}}
  }
}'));
-- Claid: done
SELECT jsonb_pretty(pg_temp.means('claid', 'poll', '{
  "data": {
    "id": 1,
    "status": "DONE",
    "created_at": "2023-03-13T11:37:09.160554+00:00",
    "request": {"input": "https://picsum.photos/200.jpg", "operations": {"resizing": {"width": 1000}, "background": {"remove": false}}},
    "errors": [],
    "result": {
      "input_object": {"ext": "pnj", "mps": 0.016384, "mime": "image/jpeg", "format": "JPEG", "width": 128, "height": 128},
      "output_object": {"ext": "jpeg", "mps": 1.0, "mime": "image/jpeg", "format": "JPEG", "width": 1000, "height": 1000,
        "tmp_url": "https://storage.googleapis.com/production-leapi-tmp-public/000/200.jpeg"}
    }
  }
}') #- '{result,link,expiry}');

-- Claid: the same document, as both answers are described, with each status
CREATE TEMPORARY TABLE described (document jsonb);
INSERT INTO described VALUES ('{
  "data": {
    "status": "ACCEPTED",
    "result_url": "https://example.com",
    "created_at": "2024-04-19T23:57:51.947Z",
    "request": {
      "input": "storage://storage_1/input_folder/ | https://image_url.com/example.jpg | [https://image_url.com/example.jpg, https://image_url.com/example.jpg]",
      "operations": {
        "restorations": {"decompress": {}, "upscale": "smart_enhance"}, "resizing": {"fit": "cover"}, "adjustments": {},
        "background": {"remove": false, "color": "text", "blur": false}, "padding": "text", "privacy": {"blur_car_plate": false}
      },
      "output": "storage://storage_1/output_folder/"
    },
    "errors": [
      {"error": "text", "created_at": "text", "input_object": {"ext": "text", "mps": 0, "mime": "text", "format": "text"}}
    ],
    "result": {
      "input_object": {"ext": "text", "mps": 0, "mime": "text", "format": "text"},
      "output_object": {"ext": "text", "mps": 0, "mime": "text", "format": "text", "tmp_url": "text", "object_key": "text",
        "object_bucket": "text", "object_uri": "text", "claid_storage_uri": "text"}
    }
  }
}');
SELECT s AS status, m ->> 'state' AS state, m ->> 'remote_id' AS id, m ->> 'message' AS message, m ->> 'urls' AS urls
FROM described, unnest(ARRAY['ACCEPTED', 'WAITING', 'PROCESSING', 'PAUSED', 'DONE', 'ERROR', 'CANCELLED', 'done', 'Something new']) s,
	pg_temp.means('claid', 'poll', jsonb_set(document, '{data,status}', to_jsonb(s))) m;
-- an error without its picture, times as numbers, no result
SELECT pg_temp.means('claid', 'poll', '{"data": {"id": 7, "status": "ERROR", "errors": [{"error": "no picture", "created_at": 1678707429, "input_object": null}], "result": {}}}');
SELECT pg_temp.means('claid', 'poll', '{"data": {"id": 7, "status": "ERROR", "errors": null}}');

-- Topaz: links to a result and to what was given
SELECT t.what, a.method, a.path, a.content_type, a.body
FROM (VALUES ('poll'), ('result'), ('cancel')) t (what), pg_temp.call('topaz', t.what, 'd7b3b3b3-7b3b-4b3b-8b3b-3b3b3b3b3b3b') a;
SELECT jsonb_pretty(pg_temp.means('topaz', 'result', '{
	"download_url": "https://<...>/d7b3b3b3-7b3b-4b3b-8b3b-3b3b3b3b3b3b?<presigned_headers>",
	"head_url": "https://<...>/d7b3b3b3-7b3b-4b3b-8b3b-3b3b3b3b3b3b?<presigned_headers>",
	"expiry": 1617220000
}'));
SELECT to_timestamp(1617220000);

-- … and the answers that are none, as img_server_call() says them
CREATE FUNCTION pg_temp.refusal(server text, type text, status int, body text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN img_server_answer(server, type, status, '00000000-0000-4000-8000-000000000000', convert_to(body, 'UTF8'));
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate || ' ' || sqlerrm;
END $$;
SELECT s AS status, pg_temp.refusal('topaz', 'topaz', s, jsonb_build_object('code', s, 'message', 'text')::text)
FROM unnest(ARRAY[200, 400, 401, 403, 404, 409, 429, 500]) s;
SELECT pg_temp.refusal('topaz', 'topaz', 404, '{"message": "text"}'), pg_temp.refusal('topaz', 'topaz', 500, '<html>'), pg_temp.refusal('topaz', 'topaz', 204, '');

-- Ours are the same: what img_download() gives is named as there
SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'img_download_links'::regclass;

\set VERBOSITY terse
DROP SERVER claid CASCADE;
DROP SERVER topaz CASCADE;
