-- Signatures of S3, against the examples that AWS publishes for them.
\set SHOW_CONTEXT never
CREATE SERVER aws TYPE 's3' FOREIGN DATA WRAPPER imgapi OPTIONS (endpoint 'https://s3.amazonaws.com', bucket 'examplebucket');
CREATE USER MAPPING FOR CURRENT_USER SERVER aws
	OPTIONS (access_key_id 'AKIAIOSFODNN7EXAMPLE', secret_access_key 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY');
\set at '''2013-05-24 00:00:00Z'''
\pset format unaligned
\pset tuples_only on

-- GET of an object: f0e8bdb8…
SELECT url, signed[4], canonical, to_sign FROM img_s3_sign('aws', 'GET', 'test.txt',
	headers => '{"Range": "bytes=0-9"}', body => '', at => :at) \gx
-- PUT of an object: 98ad7217…
SELECT s.url, h.header FROM img_s3_sign('aws', 'PUT', 'test$file.text',
	headers => '{"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"}',
	body => 'Welcome to Amazon S3.', at => :at) s, unnest(s.signed) h (header);
-- GET of the lifecycle: fea454ca…
SELECT s.url, h.header FROM img_s3_sign('aws', 'GET', query => '{"lifecycle": ""}', body => '', at => :at) s, unnest(s.signed) h (header);
-- GET of a list: 34b48302…
SELECT s.url, h.header FROM img_s3_sign('aws', 'GET', query => '{"max-keys": "2", "prefix": "J"}', body => '', at => :at) s, unnest(s.signed) h (header);
-- A link: aeeed9bb…
SELECT img_storage_presign('aws', 'test.txt', lifetime => '1 day', at => :at);
SELECT canonical, to_sign FROM img_s3_sign('aws', 'GET', 'test.txt', lifetime => '1 day', at => :at);

-- Whatever the time zone of the session, and its style of dates
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'German';
SELECT img_storage_presign('aws', 'test.txt', lifetime => '24 hours', at => '2013-05-24 05:30:00+05:30') LIKE '%aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404';
RESET TimeZone;
RESET DateStyle;
-- the key of the day is made anew
SELECT right(img_storage_presign('aws', 'test.txt', lifetime => '1 day', at => t), 64)
FROM unnest(ARRAY['2013-05-23 23:59:59Z', '2013-05-24 00:00:00Z', '2013-05-25 00:00:00Z', '2013-05-24 00:00:00Z']::timestamptz[]) t;
-- and so it is when the secret changes
ALTER USER MAPPING FOR CURRENT_USER SERVER aws OPTIONS (SET secret_access_key 'another');
SELECT right(img_storage_presign('aws', 'test.txt', lifetime => '1 day', at => :at), 64);
ALTER USER MAPPING FOR CURRENT_USER SERVER aws OPTIONS (SET secret_access_key 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY');
SELECT right(img_storage_presign('aws', 'test.txt', lifetime => '1 day', at => :at), 64);

-- Encoding: all but letters, digits and -._~, and the "/" of paths
SELECT split_part(img_storage_presign('aws', E'a b/+%41/ü€😀~-._!*''();:@&=$,?#[]"<>\\^`{|}', at => :at), '?', 1);
SELECT canonical FROM img_s3_sign('aws', 'GET', 'a', query => '{"b/c": "d e&f", "a": "ü", "A": "/", "a-b": ""}',
	headers => '{"X-Amz-Meta-Note": "  two   blanks\tand a tab  "}', at => :at);

-- Without a body its hash is not signed; parameters of a link are
SELECT h FROM img_s3_sign('aws', 'PUT', 'a', at => :at) s, unnest(s.signed) h;
SELECT img_storage_presign('aws', 'a', at => :at, parameters => '{"response-content-type": "image/png", "response-content-disposition": "attachment; filename=\"a.png\""}');
SELECT DISTINCT right(img_storage_presign('aws', 'a', method, at => :at), 8) FROM unnest(ARRAY['GET', 'HEAD', 'PUT', 'DELETE', 'POST']) method ORDER BY 1;

-- Where it is: host or path, other ports, addresses for others, a folder, a token
CREATE FUNCTION pg_temp.place(options text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE SERVER place TYPE ''s3'' FOREIGN DATA WRAPPER imgapi OPTIONS (bucket ''photos'', %s)', options);
	CREATE USER MAPPING FOR CURRENT_USER SERVER place OPTIONS (access_key_id 'k', secret_access_key 's', session_token 'a/b+c=');
	RETURN regexp_replace(img_storage_presign('place', 'a.jpg', at => '2013-05-24 00:00:00Z'), 'X-Amz-(Algorithm|Date|Expires|SignedHeaders|Signature)=[^&]*&?', '', 'g')
		|| E'\n\t' || (SELECT url FROM img_s3_request('place', 'list', 'b'));
EXCEPTION WHEN OTHERS THEN
	RETURN sqlerrm;
END $$;
CREATE FUNCTION pg_temp.places(options text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text := pg_temp.place(options);
BEGIN
	DROP SERVER place CASCADE;
	RETURN result;
END $$;
SET client_min_messages = warning;
SELECT pg_temp.places(o) FROM unnest(ARRAY[
	$$region 'eu-central-1'$$, $$path_style 'true'$$, $$endpoint 'http://localhost:80', path_style 'true'$$, $$endpoint 'https://S3.Example.com:8443/'$$,
	$$endpoint 'http://[::1]:9000', path_style 'true'$$, $$endpoint 'http://10.0.0.1:9000', public_endpoint 'https://cdn.example.com', path_style 'true'$$,
	$$prefix 'a b/'$$]) o;
RESET client_min_messages;

-- Refused
\set VERBOSITY terse
SELECT img_storage_presign('aws', 'a', lifetime => '0');
SELECT img_storage_presign('aws', 'a', lifetime => '7 days 1 second');
SELECT length(img_storage_presign('aws', 'a', lifetime => '7 days', at => :at));
SELECT img_storage_presign('aws', 'a', lifetime => '178000000 years');
SELECT img_storage_presign('aws', 'a', 'PATCH');
SELECT img_storage_presign('aws', 'a', 'get');
SELECT img_storage_presign('aws', 'a', at => 'infinity');
SELECT img_storage_presign('aws', NULL);
SELECT img_storage_presign('aws', 'a', parameters => '["a"]');
SELECT img_storage_presign('aws', 'a', parameters => '{"a": 1}');
SELECT img_storage_presign('aws', 'a', parameters => '"a"');
SELECT img_storage_presign('aws', 'a', parameters => (SELECT jsonb_object_agg('p' || n, '') FROM generate_series(1, 40) n));

-- What answers mean
SELECT v.status, coalesce(v.code, '-'), f.sqlstate, f.transient, f.message, f.hint FROM (VALUES
	(200, NULL), (204, NULL), (200, 'InternalError'), (200, 'Strange'), (301, 'PermanentRedirect'), (307, 'TemporaryRedirect'), (400, 'RequestTimeout'), (400, 'BadDigest'),
	(400, 'XAmzContentSHA256Mismatch'), (400, 'IncompleteBody'), (400, 'ExpiredToken'), (400, 'AuthorizationHeaderMalformed'), (400, 'EntityTooLarge'), (400, 'InvalidPart'),
	(400, NULL), (401, NULL), (403, 'AccessDenied'), (403, 'SignatureDoesNotMatch'), (403, 'InvalidAccessKeyId'), (403, NULL), (404, 'NoSuchKey'), (404, 'NoSuchBucket'),
	(404, NULL), (408, NULL), (409, 'OperationAborted'), (412, NULL), (413, NULL), (429, NULL), (500, 'InternalError'), (500, NULL), (501, 'NotImplemented'), (502, NULL), (503, 'SlowDown'), (503, NULL), (504, NULL)) v (status, code),
	LATERAL img_s3_failure('aws', v.status, NULL, convert_to('<?xml version="1.0" encoding="UTF-8"?><Error><Code>' || v.code || '</Code><Message>so it says</Message></Error>', 'UTF8')) f;
-- the server's clock: what it says, or else its header Date
SELECT regexp_replace(message, 'ours: .*\)', 'ours: …)') FROM img_s3_failure('aws', 403, 'Fri, 24 May 2013 00:00:00 GMT',
	'<Error><Code>RequestTimeTooSkewed</Code><Message>The difference is too large.</Message><ServerTime>2013-05-24T00:00:01Z</ServerTime></Error>');
SELECT regexp_replace(message, 'ours: .*\)', 'ours: …)') FROM img_s3_failure('aws', 403, 'Fri, 24 May 2013 00:00:00 GMT', '<Error><Code>RequestTimeTooSkewed</Code></Error>');
-- bodies that are not S3's: the status has to do
SELECT f.* FROM unnest(ARRAY['', '<html><body>Bad Gateway', 'plain', '<Error>', '<Error/>', '<Other><Code>x</Code></Other>']) b, img_s3_failure('aws', 502, NULL, b::bytea) f;
SELECT * FROM img_s3_failure('aws', 500, NULL, '\xff00fe');
SELECT length(message) FROM img_s3_failure('aws', 500, NULL, convert_to('<Error><Code>InternalError</Code><Message>' || repeat('long ', 10000) || '</Message></Error>', 'UTF8'));
-- no entity reaches out or grows
SELECT f.* FROM img_s3_failure('aws', 500, NULL, '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><Error><Code>InternalError</Code><Message>&x;</Message></Error>') f;
-- lists, with the namespace and without
SELECT path, bytes, etag, at AT TIME ZONE 'UTC', next FROM unnest(ARRAY['', ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"']) ns,
	img_s3_answer('aws', 'list', convert_to('<?xml version="1.0"?><ListBucketResult' || ns || '><IsTruncated>true</IsTruncated><NextContinuationToken>a+b/c=</NextContinuationToken>'
		'<Contents><Key>a &amp; b/ü.jpg</Key><Size>5000000000</Size><ETag>&quot;e&quot;</ETag><LastModified>2013-05-24T00:00:01.500Z</LastModified></Contents></ListBucketResult>', 'UTF8'));
SELECT count(*) FROM img_s3_answer('aws', 'list', '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>');
SELECT * FROM img_s3_answer('aws', 'list', '<html>');
SELECT * FROM img_s3_answer('aws', 'list', '\xff');
SELECT * FROM img_s3_answer('aws', 'list', '');
SELECT * FROM img_s3_answer('aws', 'multipart_create', '<Other/>');
SELECT path, code, transient FROM img_s3_answer('aws', 'delete_batch', '<DeleteResult><Deleted><Key>gone</Key></Deleted>
	<Error><Key>a</Key><Code>AccessDenied</Code></Error><Error><Key>b</Key><Code>InternalError</Code><Message>m</Message></Error></DeleteResult>');
SELECT * FROM img_s3_answer('aws', 'put', '');

-- What the worker sends
SELECT method, url, convert_from(body, 'UTF8') FROM img_s3_request('aws', 'delete_batch', names => '{"a & <b>",ü}', at => :at);
SELECT h FROM img_s3_request('aws', 'delete_batch', names => '{"a & <b>",ü}', at => :at) r, unnest(r.headers) h;
SELECT method, url, convert_from(body, 'UTF8') FROM img_s3_request('aws', 'multipart_complete', 'a', '{"upload_id": "u/+"}', names => '{"\"e1\"","\"e2\""}', at => :at);
SELECT method, url FROM img_s3_request('aws', 'multipart_part', 'a', '{"upload_id": "u", "number": "10000"}', at => :at);
SELECT method, url FROM img_s3_request('aws', 'multipart_part', 'a', '{"upload_id": "u", "number": "10001"}', at => :at);
SELECT h FROM img_s3_request('aws', 'put', 'a', '{"type": "image/png", "tags": "expires=2026-01-01"}', payload => 'x', at => :at) r, unnest(r.headers) h;
SELECT img_s3_request('aws', 'delete_batch', names => '{}');
SELECT img_s3_request('aws', 'nonsense');
SELECT img_s3_request('aws', 'put', 'a', '{"nonsense": "x"}');
DROP SERVER aws CASCADE;
