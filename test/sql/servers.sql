-- Foreign servers: options, types, user mappings, rights, and the addresses of objects.
\set SHOW_CONTEXT never
CREATE ROLE regress_imgapi_owner;
CREATE ROLE regress_imgapi_user;
CREATE ROLE regress_imgapi_clerk;
CREATE SCHEMA servers;
GRANT USAGE, CREATE ON SCHEMA servers TO PUBLIC;

-- Every type can be made from its own example, and options of one name agree
SELECT DISTINCT type FROM img_server_options() ORDER BY 1;
SELECT option FROM img_server_options() GROUP BY option, of HAVING count(DISTINCT allowed) > 1;
SELECT type, option, required, initial FROM img_server_options() WHERE type IN ('s3', 'http') ORDER BY type, of, option;

-- What is refused
CREATE SERVER photos FOREIGN DATA WRAPPER imgapi;
CREATE SERVER photos TYPE 's4' FOREIGN DATA WRAPPER imgapi OPTIONS (bucket 'photos');
CREATE SERVER photos TYPE 'gcs' FOREIGN DATA WRAPPER imgapi OPTIONS (bucket 'photos');
CREATE SERVER photos TYPE 'database' FOREIGN DATA WRAPPER imgapi;
CREATE SERVER database TYPE 's3' FOREIGN DATA WRAPPER imgapi OPTIONS (bucket 'photos');
CREATE SERVER photos TYPE 's3' FOREIGN DATA WRAPPER imgapi;
CREATE SERVER photos TYPE 's3' FOREIGN DATA WRAPPER imgapi OPTIONS (buckett 'photos');
CREATE SERVER photos TYPE 's3' FOREIGN DATA WRAPPER imgapi OPTIONS (bucket 'photos', nonsense 'x');
CREATE SERVER photos TYPE 's3' FOREIGN DATA WRAPPER imgapi OPTIONS (bucket 'photos', url 'https://example.com');
CREATE SERVER photos TYPE 's3' FOREIGN DATA WRAPPER imgapi OPTIONS (bucket 'photos', secret_access_key 'hush');
CREATE SERVER web TYPE 'http' FOREIGN DATA WRAPPER imgapi OPTIONS (url 'https://example.com', api_key 'hush');
CREATE SERVER photos TYPE 's3' FOREIGN DATA WRAPPER imgapi OPTIONS (bucket 'photos', endpoint 'http://127.0.0.1:9000');
CREATE SERVER photos TYPE 's3' FOREIGN DATA WRAPPER imgapi OPTIONS (bucket 'My_Photos');
CREATE FOREIGN DATA WRAPPER other VALIDATOR img_server_validator OPTIONS (bucket 'photos');

-- Values, each option's own
CREATE FUNCTION servers.try(type text, options text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE SERVER tried TYPE %L FOREIGN DATA WRAPPER imgapi OPTIONS (%s)', type, options);
	DROP SERVER tried;
	RETURN 'good';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate || ' ' || sqlerrm;
END $$;
SELECT o AS endpoint, servers.try('s3', format('bucket ''photos'', path_style ''on'', endpoint %L', o)) FROM unnest(ARRAY[
	'http://127.0.0.1:9000', 'https://s3.example.com', 'HTTPS://S3.Example.com:443/', 'http://[::1]:9000',
	'', 's3.example.com', 'ftp://example.com', 'file:///etc/passwd', 'http://', 'http:///path', 'http://example.com:0', 'http://example.com:65536',
	'http://example.com:', 'http://user@example.com', 'http://user:hush@example.com', 'http://example.com/path', 'http://example.com?a=b',
	'http://example.com#a', 'http://exa mple.com', 'http://ex%61mple.com', E'http://example.com\r\nX: y', 'http://[::1', 'http://[]', 'http://-a.com']) o;
SELECT o AS url, servers.try('http', format('url %L', o)) FROM unnest(ARRAY[
	'https://example.com', 'https://example.com/', 'https://example.com/a/b/', 'https://example.com/a%20b',
	'https://example.com/a/../b', 'https://example.com/./b', 'https://example.com/a b', 'https://example.com/?a', 'https://example.com\@evil.com',
	'https://example.com/ü']) o;
SELECT left(o, 40) AS bucket, servers.try('s3', format('bucket %L, path_style ''on''', o)) FROM unnest(ARRAY[
	'photos', 'My_Photos', 'a.b-c', 'ab', '-abc', 'a/b', 'a b', '', repeat('a', 256)]) o;
SELECT o AS prefix, servers.try('s3', format('bucket ''photos'', prefix %L', o)) FROM unnest(ARRAY[
	'a/', 'a/b c/', 'a', '/a/', '../', 'a/../b/', '', E'a\n/']) o;
SELECT o AS options, servers.try('s3', 'bucket ''photos'', ' || o) FROM unnest(ARRAY[
	$$region 'eu-central-1'$$, $$region 'eu/x'$$, $$path_style 'maybe'$$, $$max_connections '0'$$, $$max_connections '1024'$$, $$max_connections 'many'$$,
	$$timeout '5s'$$, $$timeout '2h'$$, $$timeout '1ms'$$, $$connect_timeout '2 s'$$, $$multipart_size '5MB'$$, $$multipart_size '1MB'$$, $$multipart_size '1GB'$$,
	$$multipart_size '5'$$, $$allow_private 'true'$$]) o;
SELECT o AS headers, servers.try('http', format('url ''http://example.com'', headers %L', o)) FROM unnest(ARRAY[
	'Accept: image/*', E'Accept: image/*\nX-A: b', 'Accept', 'Accept:', ': x', 'Host: a', 'content-length: 3', E'A: b\r\nC: d', E'A: b\n\nC: d', 'A b: c', '']) o;
SELECT type, servers.try(type, options) FROM (VALUES ('claid', $$timeout '1s'$$), ('topaz', $$url 'https://example.com/v1'$$),
	('nhn', $$max_connections '2'$$), ('kitsu', $$timeout '1s'$$), ('kitsu', $$url 'https://kitsu.example.com/api'$$), ('claid', $$bucket 'photos'$$)) v (type, options);

-- User mappings: no message shows a value
CREATE SERVER photos TYPE 's3' FOREIGN DATA WRAPPER imgapi OPTIONS (bucket 'photos', region 'eu-central-1');
CREATE USER MAPPING FOR regress_imgapi_user SERVER photos OPTIONS (access_key_id 'hush');
CREATE USER MAPPING FOR PUBLIC SERVER photos OPTIONS (secret_access_key 'hush');
CREATE USER MAPPING FOR regress_imgapi_user SERVER photos OPTIONS (access_key_id 'hush', secret_access_key E'hu\nsh');
CREATE USER MAPPING FOR regress_imgapi_user SERVER photos OPTIONS (access_key_id 'hush', secret_access_key '');
CREATE USER MAPPING FOR regress_imgapi_user SERVER photos OPTIONS (access_key_id 'hush', secret_acess_key 'hush');
CREATE USER MAPPING FOR regress_imgapi_user SERVER photos OPTIONS (access_key_id 'hush', secret_access_key 'hush', api_key 'hush');
CREATE USER MAPPING FOR regress_imgapi_user SERVER photos OPTIONS (bucket 'photos');
CREATE SERVER tried TYPE 's3' FOREIGN DATA WRAPPER imgapi OPTIONS (bucket 'photos', endpoint 'http://user:hush@example.com');
CREATE SERVER tried TYPE 'http' FOREIGN DATA WRAPPER imgapi OPTIONS (url 'http://example.com', headers 'Authorization hush');
-- as dumps of users who are not superusers have it
CREATE USER MAPPING FOR regress_imgapi_user SERVER photos;
ALTER USER MAPPING FOR regress_imgapi_user SERVER photos OPTIONS (ADD access_key_id 'user', ADD secret_access_key 'hush');
ALTER USER MAPPING FOR regress_imgapi_user SERVER photos OPTIONS (DROP secret_access_key);
ALTER USER MAPPING FOR regress_imgapi_user SERVER photos OPTIONS (ADD session_token '');
ALTER SERVER photos OPTIONS (DROP bucket);
ALTER SERVER photos OPTIONS (SET bucket 'a b');
ALTER SERVER photos OPTIONS (ADD nonsense 'x');
ALTER SERVER photos RENAME TO database;
SELECT srvname, srvoptions FROM pg_foreign_server WHERE srvname IN ('photos', 'database');
CREATE SERVER web TYPE 'http' FOREIGN DATA WRAPPER imgapi OPTIONS (url 'https://example.com/originals/', headers 'Accept: image/*');
CREATE USER MAPPING FOR PUBLIC SERVER web OPTIONS (secret_headers 'Host: hush');
CREATE USER MAPPING FOR PUBLIC SERVER web OPTIONS (secret_headers E'Authorization: Bearer hush\nX-Key: hush');
-- servers of other wrappers are left alone
CREATE FOREIGN DATA WRAPPER other;
CREATE SERVER of_others FOREIGN DATA WRAPPER other OPTIONS (nonsense 'x');
CREATE USER MAPPING FOR PUBLIC SERVER of_others OPTIONS (nonsense 'x');
-- no foreign tables
CREATE FOREIGN TABLE servers.t (a int) SERVER photos OPTIONS (key 'x');
CREATE FOREIGN TABLE servers.t (a int) SERVER photos;
SELECT * FROM servers.t;
DROP FOREIGN TABLE servers.t;

-- Using one: existence, right, user mapping
GRANT EXECUTE ON FUNCTION img_storage_presign, img_http_request TO PUBLIC;
CREATE FUNCTION servers.presign(server name) RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(img_storage_presign(server, 'a', at => '2026-01-01 00:00:00Z'), 'X-Amz-(Algorithm|Date|Expires|SignedHeaders|Signature)=[^&]*&?', '', 'g')
$$;
SET ROLE regress_imgapi_user;
SELECT servers.presign('photos');
SELECT servers.presign('none');
SELECT name, usable, mapped FROM img_server ORDER BY name;
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER photos TO regress_imgapi_user, regress_imgapi_clerk;
SET ROLE regress_imgapi_user;
SELECT servers.presign('photos');
SELECT servers.presign('none');
SELECT servers.presign('of_others');
SELECT servers.presign('web');
SELECT servers.presign(NULL);
SELECT name, type, address, bucket, prefix, usable, mapped FROM img_server ORDER BY name;
SELECT umoptions FROM pg_user_mappings WHERE srvname = 'web';
SET ROLE regress_imgapi_clerk;
SELECT servers.presign('photos');
SELECT umoptions FROM pg_user_mappings WHERE srvname = 'photos';
RESET ROLE;
CREATE USER MAPPING FOR PUBLIC SERVER photos OPTIONS (access_key_id 'public', secret_access_key 'hush');
SET ROLE regress_imgapi_clerk;
SELECT servers.presign('photos');
RESET ROLE;
CREATE ROLE regress_imgapi_new;
GRANT USAGE ON FOREIGN SERVER photos TO regress_imgapi_new;
CREATE USER MAPPING FOR regress_imgapi_new SERVER photos;
SELECT img_storage_presign('photos', 'a', role => 'regress_imgapi_new');
DROP OWNED BY regress_imgapi_new;
DROP ROLE regress_imgapi_new;
-- one's own comes before that of PUBLIC, and changes are seen at once
SET ROLE regress_imgapi_user;
SELECT servers.presign('photos');
RESET ROLE;
ALTER USER MAPPING FOR regress_imgapi_user SERVER photos OPTIONS (SET access_key_id 'other');
ALTER SERVER photos OPTIONS (ADD endpoint 'https://s3.example.com:443');
SET ROLE regress_imgapi_user;
SELECT servers.presign('photos');
RESET ROLE;
DROP USER MAPPING FOR regress_imgapi_user SERVER photos;
SET ROLE regress_imgapi_user;
SELECT servers.presign('photos');
RESET ROLE;
REVOKE USAGE ON FOREIGN SERVER photos FROM regress_imgapi_user;
SET ROLE regress_imgapi_user;
SELECT servers.presign('photos');
RESET ROLE;
-- for another role
SELECT img_storage_presign('photos', 'a', role => 'regress_imgapi_user');
SELECT img_storage_presign('photos', 'a', role => 'regress_imgapi_clerk') LIKE '%public%' AS by_public;
BEGIN;
DROP SERVER photos CASCADE;
SELECT servers.presign('photos');
ROLLBACK;
SELECT servers.presign('photos');

-- A private address is for administrators to allow, and then not for others to change
GRANT USAGE ON FOREIGN DATA WRAPPER imgapi TO regress_imgapi_owner, regress_imgapi_clerk;
SET ROLE regress_imgapi_owner;
CREATE SERVER inside TYPE 'http' FOREIGN DATA WRAPPER imgapi OPTIONS (url 'http://10.0.0.1', allow_private 'true');
CREATE SERVER inside TYPE 'http' FOREIGN DATA WRAPPER imgapi OPTIONS (url 'http://10.0.0.1', allow_private 'false');
ALTER SERVER inside OPTIONS (SET allow_private 'true');
RESET ROLE;
ALTER SERVER inside OPTIONS (SET allow_private 'true');
SET ROLE regress_imgapi_owner;
ALTER SERVER inside OPTIONS (SET url 'http://10.0.0.2');
ALTER SERVER inside OPTIONS (SET url 'http://example.com', DROP allow_private);
RESET ROLE;
SET imgapi.admin_role = 'regress_imgapi_clerk';
SET ROLE regress_imgapi_clerk;
CREATE SERVER inside2 TYPE 'http' FOREIGN DATA WRAPPER imgapi OPTIONS (url 'http://10.0.0.1', allow_private 'true');
RESET ROLE;
RESET imgapi.admin_role;

-- Addresses of objects
CREATE FUNCTION servers.uri(uri text, folder bool) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT server || ' | ' || path FROM img_storage_uri(uri, folder));
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate || ' ' || sqlerrm;
END $$;
SELECT left(u, 60) AS uri, left(servers.uri(u, false), 80), servers.uri(u, true) = servers.uri(u, false) AS folder_too FROM unnest(ARRAY[
	'storage://photos/a.jpg', 'storage://photos/a/b c/ü?x#y%2F..jpg', 'storage://database/a', 'storage://Odd "name"/a', 'storage://photos//a', 'storage://photos/...',
	'storage://photos/a/', 'storage://photos/', 'storage://photos', 'storage://', 'storage:///a', 'http://photos/a', '', 'storage:/photos/a', 'Storage://photos/a',
	'storage://photos/..', 'storage://photos/../a', 'storage://photos/a/..', 'storage://photos/a/./b', 'storage://photos/a/../../b',
	E'storage://photos/a\nb', E'storage://photos/a\x7f', 'storage://photos/' || repeat('x', 4096), 'storage://photos/' || repeat('x', 4097), 'storage://' || repeat('s', 64) || '/a']) u;
SELECT servers.uri('storage://photos/a/', true), servers.uri('storage://photos/', true), servers.uri('storage://photos/a/../', true);
SELECT img_storage_uri('storage://photos/../../etc/passwd');
SELECT img_storage_presign('photos', repeat('ü', 513));
SELECT url, headers FROM img_http_request('web', 'a b/ü.jpg?x#y');
SELECT img_http_request('web', '../secret');

SET client_min_messages = warning;
DROP SCHEMA servers CASCADE;
DROP FOREIGN DATA WRAPPER other CASCADE;
DROP SERVER photos, web, inside, inside2 CASCADE;
REVOKE ALL ON FUNCTION img_storage_presign, img_http_request FROM PUBLIC;
REVOKE USAGE ON FOREIGN DATA WRAPPER imgapi FROM regress_imgapi_owner, regress_imgapi_clerk;
DROP ROLE regress_imgapi_owner, regress_imgapi_user, regress_imgapi_clerk;
