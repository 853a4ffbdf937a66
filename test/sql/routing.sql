-- imgapi.default_servers: which server does a job for which nobody named one.
\set SHOW_CONTEXT never
CREATE ROLE regress_imgapi_user;
SELECT img_grant('regress_imgapi_user');

-- What the setting takes
CREATE SCHEMA routing;
CREATE FUNCTION routing.try(value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	PERFORM set_config('imgapi.default_servers', value, false);
	RETURN 'good';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', sqlstate, detail, hint);
END $$;
SELECT v, routing.try(v) FROM unnest(ARRAY[
	'', ' ', 'background=claid', ' background.remove = claid ,restorations.upscale=topaz', 'background=claid,',
	'resizing.fit.outpaint=claid', 'restorations.upscale.photo.version=claid', 'topaz=topaz', 'background=a=b',
	'background', 'background=', '=claid', 'background=claid,,topaz=topaz', 'bakground=claid', 'background.remoove=claid',
	'background.remove.=claid', '.=claid', 'slice=claid', 'background=claid, background = topaz',
	'background=' || repeat('x', 63), 'background=' || repeat('x', 64)]) v;
SET imgapi.default_servers = 'nothing';
SHOW imgapi.default_servers;

-- Without it the hint says how; with it, who may not use the server learns why
RESET imgapi.default_servers;
SELECT img_submit('https://example.com/a.jpg', '{"background": {"remove": true}}');
SET imgapi.default_servers = 'background = cut-out, restorations.upscale = topaz, privacy = nobody';
SELECT img_submit('https://example.com/a.jpg', '{"background": {"remove": true}}');
CREATE SERVER "cut-out" TYPE 'claid' FOREIGN DATA WRAPPER imgapi;
CREATE SERVER topaz TYPE 'topaz' FOREIGN DATA WRAPPER imgapi;
CREATE USER MAPPING FOR PUBLIC SERVER topaz OPTIONS (api_key 'secret');
SET ROLE regress_imgapi_user;
SELECT img_submit('https://example.com/a.jpg', '{"background": {"remove": true}}');
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER "cut-out" TO regress_imgapi_user;
SET ROLE regress_imgapi_user;
SELECT img_submit('https://example.com/a.jpg', '{"background": {"remove": true}}');
RESET ROLE;
CREATE USER MAPPING FOR regress_imgapi_user SERVER "cut-out" OPTIONS (api_key 'secret');

-- Who does what
CREATE FUNCTION routing.server(operations jsonb, named name DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	job uuid := img_submit('https://example.com/a.jpg', operations, server => named);
	found text := (SELECT COALESCE(server, 'here') FROM img_job WHERE id = job);
BEGIN
	PERFORM img_cancel(job);
	RETURN found;
END $$;
GRANT ALL ON SCHEMA routing TO PUBLIC;
GRANT USAGE ON FOREIGN SERVER topaz TO regress_imgapi_user;
BEGIN;
SET LOCAL ROLE regress_imgapi_user;
SELECT o AS operations, routing.server(o::jsonb) FROM unnest(ARRAY[
	'{}', '{"resizing": {"width": 10}}', '{"background": {"color": "#fff"}}', '{"background": {"remove": false}}',
	'{"background": {"remove": true}}', '{"background": {"blur": true}}', '{"background": {"remove": true}, "restorations": {"polish": true}}',
	'{"restorations": {"upscale": "photo"}}']) o;
SELECT routing.server('{"background": {"remove": true}}', 'topaz');
CREATE TEMPORARY TABLE batch ON COMMIT DROP AS
SELECT img_submit_batch(ARRAY['https://example.com/a.jpg', 'https://example.com/b.jpg'], '{"background": {"remove": true}}') AS id;
SELECT server FROM img_job JOIN batch USING (id);
ROLLBACK;

-- Who cannot
SET ROLE regress_imgapi_user;
SELECT routing.server('{"restorations": {"polish": true}}');
SELECT routing.server('{"privacy": {"identity_crop": true}}');
SELECT routing.server('{"background": {"remove": true}, "restorations": {"upscale": "photo"}}');
\set SHOW_CONTEXT errors
SELECT routing.server('{"background": {"remove": true}, "rotate": 90}');
\set SHOW_CONTEXT never
SELECT routing.server('{"background": {"remove": true}, "topaz": {"endpoint": "denoise"}}');
SELECT routing.server('{"background": {"remoove": true}}');
SET imgapi.default_servers = 'background = topaz';
SELECT routing.server('{"background": {"blur": true}}');
SELECT routing.server('{"background": {"remove": true}, "restorations": {"upscale": "photo"}}');
SET imgapi.default_servers = 'background.remove = cut-out, background = topaz';
SELECT routing.server('{"background": {"remove": true}}');
RESET ROLE;

-- What an edit in a query says
SELECT img_edit('\x00', '{"background": {"remove": true}}');

-- Named operations
SELECT img_submit_operation('https://example.com/a.jpg', 'gray', server => 'topaz');
SELECT img_submit_operation('https://example.com/a.jpg', 'gray', server => 'nobody');

-- Triggers
CREATE TABLE routing.photo (id int PRIMARY KEY, url text, data bytea, result bytea);
CREATE TRIGGER cut AFTER INSERT OR UPDATE OF url ON routing.photo FOR EACH ROW
EXECUTE FUNCTION img_on_upload('url', '{"background": {"remove": true}}', 'result');
GRANT ALL ON routing.photo TO regress_imgapi_user;
CREATE FUNCTION routing.servers() RETURNS SETOF text LANGUAGE sql AS
	$$ SELECT COALESCE(server, 'here') || ' ' || kind || ' ' || (request - 'data') FROM img_job WHERE source_table = 'routing.photo'::regclass ORDER BY id $$;
BEGIN;
SET LOCAL ROLE regress_imgapi_user;
INSERT INTO routing.photo VALUES (1, 'https://example.com/a.jpg');
SET LOCAL imgapi.default_servers = 'background = topaz';
INSERT INTO routing.photo VALUES (2, 'https://example.com/a.jpg');
SELECT * FROM routing.servers();
SAVEPOINT usable;
RESET ROLE;
REVOKE USAGE ON FOREIGN SERVER topaz FROM regress_imgapi_user;
SET LOCAL ROLE regress_imgapi_user;
INSERT INTO routing.photo VALUES (3, 'https://example.com/a.jpg');
ROLLBACK TO usable;
SET LOCAL imgapi.default_servers = '';
INSERT INTO routing.photo VALUES (3, 'https://example.com/a.jpg');
ROLLBACK;
CREATE OR REPLACE TRIGGER cut AFTER INSERT OR UPDATE OF url ON routing.photo FOR EACH ROW
EXECUTE FUNCTION img_on_upload('url', '{"resizing": {"width": 100}}', 'result', '', 'topaz');
BEGIN;
INSERT INTO routing.photo VALUES (1, 'https://example.com/a.jpg');
SELECT * FROM routing.servers();
SET LOCAL ROLE regress_imgapi_user;
INSERT INTO routing.photo VALUES (2, 'https://example.com/a.jpg');
SELECT * FROM routing.servers();
RESET ROLE;
REVOKE USAGE ON FOREIGN SERVER topaz FROM regress_imgapi_user;
SET LOCAL ROLE regress_imgapi_user;
INSERT INTO routing.photo VALUES (3, 'https://example.com/a.jpg');
ROLLBACK;
CREATE OR REPLACE TRIGGER cut AFTER INSERT OR UPDATE OF url ON routing.photo FOR EACH ROW
EXECUTE FUNCTION img_on_upload('url', '{"rotate": 90}', 'result', '', 'topaz');
\set SHOW_CONTEXT errors
INSERT INTO routing.photo VALUES (1, 'https://example.com/a.jpg');
\set SHOW_CONTEXT never
CREATE OR REPLACE TRIGGER cut AFTER INSERT OR UPDATE OF url ON routing.photo FOR EACH ROW
EXECUTE FUNCTION img_on_upload('url', '{"resizing": {"width": "10%"}}', '', '{"format": "png"}', 'topaz');
INSERT INTO routing.photo VALUES (1, 'https://example.com/a.jpg');
CREATE OR REPLACE TRIGGER cut AFTER INSERT OR UPDATE OF url ON routing.photo FOR EACH ROW
EXECUTE FUNCTION img_on_upload('url', 'gray', 'result', '', 'topaz');
INSERT INTO routing.photo VALUES (1, 'https://example.com/a.jpg');
CREATE OR REPLACE TRIGGER cut AFTER INSERT OR UPDATE OF url ON routing.photo FOR EACH ROW
EXECUTE FUNCTION img_on_upload('url', 'gray', 'result', '');
BEGIN;
INSERT INTO routing.photo VALUES (1, 'https://example.com/a.jpg');
SELECT * FROM routing.servers();
ROLLBACK;
-- bytes need a gateway
CREATE OR REPLACE TRIGGER cut AFTER INSERT OR UPDATE OF data ON routing.photo FOR EACH ROW
EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 100}}', 'result', '', 'cut-out');
CREATE USER MAPPING FOR CURRENT_USER SERVER "cut-out" OPTIONS (api_key 'secret');
INSERT INTO routing.photo VALUES (1, NULL, '\x01');
SET imgapi.public_url = 'https://pictures.example.com';
BEGIN;
INSERT INTO routing.photo VALUES (1, NULL, '\x01');
SELECT * FROM routing.servers();
ROLLBACK;
CREATE OR REPLACE TRIGGER cut AFTER INSERT OR UPDATE OF data ON routing.photo FOR EACH ROW
EXECUTE FUNCTION img_on_upload('data', '{}', 'result', '', 'topaz', 'more');
INSERT INTO routing.photo VALUES (1, NULL, '\x01');

\set VERBOSITY terse
DROP SCHEMA routing CASCADE;
DROP SERVER "cut-out" CASCADE;
DROP SERVER topaz CASCADE;
DROP OWNED BY regress_imgapi_user;
DROP ROLE regress_imgapi_user;
