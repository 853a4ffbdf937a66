-- Webhooks: which are believed, which only have the server asked, which are
-- refused; and what the worker gets of them.
\set ECHO none
\i test/include/pictures.sql
\i test/include/dispatcher_off.sql
\set ECHO all
\set SHOW_CONTEXT never
CREATE ROLE regress_imgapi_owner;
CREATE ROLE regress_imgapi_gate;
CREATE ROLE regress_imgapi_front;
CREATE ROLE regress_imgapi_stranger;
SELECT img_grant('regress_imgapi_owner'), img_grant('regress_imgapi_front'), img_grant_gateway('regress_imgapi_gate');
CREATE SERVER claid TYPE 'claid' FOREIGN DATA WRAPPER imgapi;
CREATE SERVER unsigned TYPE 'claid' FOREIGN DATA WRAPPER imgapi OPTIONS (poll_interval '50ms');
CREATE SERVER topaz TYPE 'topaz' FOREIGN DATA WRAPPER imgapi OPTIONS (poll_interval '2min');
CREATE SERVER web TYPE 'http' FOREIGN DATA WRAPPER imgapi OPTIONS (url 'https://example.com');
GRANT USAGE ON FOREIGN SERVER claid, unsigned, topaz TO regress_imgapi_owner;
GRANT USAGE ON FOREIGN SERVER claid TO regress_imgapi_front;
CREATE USER MAPPING FOR regress_imgapi_owner SERVER claid OPTIONS (api_key 'k', webhook_secret 'Its a secret');
CREATE USER MAPPING FOR regress_imgapi_front SERVER claid OPTIONS (api_key 'k', webhook_secret 'of somebody else');
CREATE USER MAPPING FOR regress_imgapi_owner SERVER unsigned OPTIONS (api_key 'k');
CREATE USER MAPPING FOR regress_imgapi_owner SERVER topaz OPTIONS (api_key 'k');

-- Jobs that servers have; names stand for ids
CREATE TEMP TABLE job (name text PRIMARY KEY, id uuid);
GRANT ALL ON job TO PUBLIC;
SET ROLE regress_imgapi_owner;
INSERT INTO job SELECT name, img_submit('https://example.com/a.jpg'::text, '{"background": {"remove": true}}', server => split_part(name, ' ', 1)::name, run_after => 'infinity')
FROM unnest(ARRAY['claid', 'claid ended', 'claid submitting', 'claid fetched', 'unsigned', 'topaz']) name;
RESET ROLE;
INSERT INTO img_remote (job_id, created_at, owner, server, server_type, state, remote_id, submitted_at, poll_after)
SELECT id, now(), 'regress_imgapi_owner', split_part(name, ' ', 1), CASE name WHEN 'topaz' THEN name ELSE 'claid' END,
	CASE name WHEN 'claid submitting' THEN 'submitting' WHEN 'claid fetched' THEN 'done' ELSE 'submitted' END,
	CASE name WHEN 'claid' THEN '7' WHEN 'claid ended' THEN '8' WHEN 'claid fetched' THEN '9' WHEN 'unsigned' THEN '7' WHEN 'topaz' THEN '8C77D62F-cb34-4d9b-a6d5-0d9d3d5b5a01' END,
	now(), now() + interval '10 minutes'
FROM job;
SELECT img_cancel(id) FROM job WHERE name = 'claid ended';

-- A body of Claid's, and what comes of handing it in
CREATE FUNCTION pg_temp.body(id int, status text DEFAULT 'DONE') RETURNS bytea LANGUAGE sql AS $$
	SELECT convert_to(format('{"data": {"id": %s, "status": "%s", "errors": [], "result": {"output_object": {"tmp_url": "https://example.com/r.png"}}}}', id, status), 'UTF8')
$$;
-- pgcrypto's hmac() is not there: RFC 2104
CREATE FUNCTION pg_temp.hmac(body bytea, secret text DEFAULT 'Its a secret') RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
	inner_key bytea := decode(repeat('36', 64), 'hex');
	outer_key bytea := decode(repeat('5c', 64), 'hex');
BEGIN
	FOR i IN 0 .. length(secret) - 1 LOOP
		inner_key := set_byte(inner_key, i, ascii(substr(secret, i + 1, 1)) # 54);
		outer_key := set_byte(outer_key, i, ascii(substr(secret, i + 1, 1)) # 92);
	END LOOP;
	RETURN sha256(outer_key || sha256(inner_key || body));
END $$;
CREATE FUNCTION pg_temp.hand_in(server text, headers jsonb, body bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	RETURN 'taken: ' || img_webhook(server::name, headers, body);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN sqlstate || ': ' || sqlerrm || E'\n' || hint;
END $$;
CREATE FUNCTION pg_temp.signed(signature text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('X-Claid-Hmac-SHA256', signature, 'Content-Type', 'application/json')
$$;
CREATE FUNCTION pg_temp.arrived() RETURNS TABLE (name text, proven bool) LANGUAGE sql AS $$
	SELECT j.name, a.body IS NOT NULL FROM img_webhook_arrived a JOIN job j ON j.id = a.job_id ORDER BY name
$$;

-- Signed: in hexadecimal or base64, with a prefix or without
SELECT s.signature, pg_temp.hand_in('claid', pg_temp.signed(s.signature), pg_temp.body(7))
FROM encode(pg_temp.hmac(pg_temp.body(7)), 'hex') hex, encode(pg_temp.hmac(pg_temp.body(7)), 'base64') base64,
	LATERAL (VALUES (hex), ('sha256=' || hex), (upper(hex)), (base64), ('sha256=' || base64)) s (signature);
SELECT pg_temp.hand_in('claid', jsonb_build_object('x-claid-hmac-sha256', encode(pg_temp.hmac(pg_temp.body(7)), 'hex')), pg_temp.body(7)) AS in_small_letters;
SELECT * FROM pg_temp.arrived();

-- Forged
SELECT pg_temp.hand_in('claid', '{}', pg_temp.body(7)) AS without;
SELECT pg_temp.hand_in('claid', pg_temp.signed(encode(pg_temp.hmac(pg_temp.body(7), 'of somebody else'), 'hex')), pg_temp.body(7)) AS by_somebody_else;
SELECT pg_temp.hand_in('claid', pg_temp.signed(encode(pg_temp.hmac(pg_temp.body(7)), 'hex')), pg_temp.body(7) || ' ') AS of_other_bytes;
SELECT s.signature, pg_temp.hand_in('claid', pg_temp.signed(s.signature), pg_temp.body(7))
FROM (VALUES (''), ('sha256='), ('0'), (repeat('0', 64)), (repeat('=', 44)), (repeat('x', 10000))) x (signature),
	LATERAL (SELECT left(x.signature, 64) AS signature) s;
SELECT pg_temp.hand_in('claid', '{"X-Claid-Hmac-SHA256": ["a", 1]}', pg_temp.body(7)) AS of_another_kind;

-- Nothing to do: proven, but not believed more than once
SELECT id, pg_temp.hand_in('claid', pg_temp.signed(encode(pg_temp.hmac(pg_temp.body(id)), 'hex')), pg_temp.body(id)) FROM unnest(ARRAY[8, 9]) id;
-- a job that goes on is only asked for
TRUNCATE img_webhook_arrived;
SELECT status, pg_temp.hand_in('claid', pg_temp.signed(encode(pg_temp.hmac(pg_temp.body(7, status)), 'hex')), pg_temp.body(7, status))
FROM unnest(ARRAY['PROCESSING', 'SOMETHING NEW']) status;
SELECT * FROM pg_temp.arrived();

-- Without a secret nothing is proven, and Topaz signs nothing
SELECT pg_temp.hand_in('unsigned', pg_temp.signed('anything'), pg_temp.body(7));
SELECT pg_temp.hand_in('topaz', '{}', convert_to('{"notification_id": "01J", "process_id": "8C77D62F-cb34-4d9b-a6d5-0d9d3d5b5a01", "status": "Completed", "progress": 100, "download_url": "https://example.com/evil"}', 'UTF8'));
SELECT * FROM pg_temp.arrived();

-- No job
SELECT pg_temp.hand_in('unsigned', '{}', pg_temp.body(8)) AS of_another_server;
SELECT pg_temp.hand_in('topaz', '{}', '{"process_id": "00000000-0000-0000-0000-000000000000"}') AS unknown;
SELECT pg_temp.hand_in('claid', pg_temp.signed('x'), pg_temp.body(10)) AS may_be_known_soon;
UPDATE img_remote SET state = 'unknown' WHERE job_id = (SELECT id FROM job WHERE name = 'claid submitting');
SELECT pg_temp.hand_in('claid', pg_temp.signed('x'), pg_temp.body(10)) AS unknown;

-- No webhook
SELECT body, pg_temp.hand_in('claid', '{}', body) FROM unnest(ARRAY[''::bytea, 'null', '7', '[]', '{}', '{"data": 7}', '{"data": {"id": "1; DROP"}}',
	'{"data": {"id": null}}', 'garbage', '\xff', '\x00', '{"data": {"id": "\\u0000"}}', '{"data": {"id": 1e400000}}']) body;
SELECT pg_temp.hand_in('claid', '{}', convert_to(repeat('[', 900000), 'UTF8')) AS deep;
SELECT pg_temp.hand_in('claid', '{}', convert_to(repeat(' ', 1024 * 1024 + 1), 'UTF8')) AS huge;
SELECT headers, pg_temp.hand_in('claid', headers, pg_temp.body(7)) FROM unnest(ARRAY['[]'::jsonb, '7', 'null']) headers;
SELECT img_webhook('claid', NULL, 'x') IS NULL;

-- Servers
SELECT pg_temp.hand_in('web', '{}', '{}');
SELECT pg_temp.hand_in('nobody', '{}', '{}');
SELECT pg_temp.hand_in('', '{}', '{}');

-- Who may: the gateway for all servers, others where they have USAGE
SET ROLE regress_imgapi_stranger;
SELECT pg_temp.hand_in('claid', '{}', pg_temp.body(7));
SET ROLE regress_imgapi_front;
SELECT pg_temp.hand_in('claid', '{}', pg_temp.body(7));
SELECT pg_temp.hand_in('unsigned', '{}', pg_temp.body(7));
SET ROLE regress_imgapi_gate;
SELECT pg_temp.hand_in('unsigned', '{}', pg_temp.body(7));
SELECT pg_temp.hand_in('claid', '{}', pg_temp.body(7));
SELECT img_webhook_take('me');
SELECT count(*) FROM img_webhook_arrived;
RESET ROLE;
SET default_transaction_read_only = on;
SELECT pg_temp.hand_in('unsigned', '{}', pg_temp.body(7));
RESET default_transaction_read_only;
REVOKE USAGE ON FOREIGN SERVER topaz FROM regress_imgapi_owner;
SELECT pg_temp.hand_in('topaz', '{}', '{"process_id": "8C77D62F-cb34-4d9b-a6d5-0d9d3d5b5a01"}') AS owner_may_not_use_it;

-- The worker takes what is said of its own jobs; of those that nobody has it is
-- noted that they are to be asked for
TRUNCATE img_webhook_arrived;
UPDATE img_job_live SET lease_owner = CASE j.name WHEN 'claid' THEN 'me' ELSE 'another' END, lease_expires_at = 'infinity', started_at = now()
FROM job j WHERE img_job_live.id = j.id AND j.name IN ('claid', 'claid fetched');
UPDATE img_remote SET state = 'submitted' WHERE remote_id = '9';
SELECT pg_temp.hand_in('claid', pg_temp.signed(encode(pg_temp.hmac(pg_temp.body(id)), 'hex')), pg_temp.body(id)) FROM unnest(ARRAY[7, 9]) id;
SELECT pg_temp.hand_in('unsigned', '{}', pg_temp.body(7));
SELECT j.name, t.body = pg_temp.body(7) AS body FROM img_webhook_take('me') t JOIN job j ON j.id = t.job_id;
SELECT * FROM pg_temp.arrived();
SELECT j.name, r.poll_after < clock_timestamp() AS at_once FROM img_remote r JOIN job j ON j.id = r.job_id ORDER BY name;

-- Where they are sent to
SELECT img_webhook_url('topaz') IS NULL AS nowhere;
SET imgapi.public_url = 'https://p.example/x/';
CREATE SERVER "Größe 1/2" TYPE 'topaz' FOREIGN DATA WRAPPER imgapi OPTIONS (webhooks 'off');
SELECT server, img_webhook_url(server) FROM unnest(ARRAY['topaz', 'Größe 1/2', 'claid', 'web', 'gone']::name[]) server;
ALTER SERVER "Größe 1/2" OPTIONS (SET webhooks 'on');
SELECT img_webhook_url('Größe 1/2');
DROP SERVER "Größe 1/2";
RESET imgapi.public_url;

-- How long after that
SELECT server, polls, round(img_remote_pause(server, polls, NULL)::numeric, 3) AS seconds FROM unnest(ARRAY['claid', 'unsigned', 'topaz', 'gone']) WITH ORDINALITY s (server, n),
	unnest(ARRAY[0, 1, 4, 100]) polls ORDER BY n, polls;
ALTER SERVER unsigned OPTIONS (SET poll_interval '49ms');
ALTER SERVER unsigned OPTIONS (SET poll_interval '601s');

DROP SERVER claid, unsigned, topaz, web CASCADE;
SELECT img_cancel(id) FROM job WHERE name IN ('unsigned', 'topaz', 'claid submitting');
DELETE FROM img_job_live WHERE lease_owner IN ('me', 'another');
DELETE FROM img_remote WHERE job_id IN (SELECT id FROM job);
REVOKE ALL ON FUNCTION img_webhook FROM regress_imgapi_front;
DROP OWNED BY regress_imgapi_owner, regress_imgapi_front, regress_imgapi_gate;
DROP ROLE regress_imgapi_owner, regress_imgapi_front, regress_imgapi_gate, regress_imgapi_stranger;
\set ECHO none
\i test/include/dispatcher_on.sql
