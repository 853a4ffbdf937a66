-- The file tree: paths, putting, listing, deleting; files as inputs of jobs and
-- as watermarks; operations whose results are put beside their source.
\set ECHO none
\i test/include/pictures.sql
-- "U picture.png 32x24", "folder/" …
CREATE FUNCTION pg_temp.shown(f img_file) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN f.is_folder THEN f.path || '/' ELSE
		concat_ws(' ', f.created_by, f.path, f.bytes, f.width || 'x' || f.height, f.operation_id) END
$$;
CREATE FUNCTION pg_temp.id_of(path text) RETURNS uuid LANGUAGE sql AS
	$$SELECT id FROM img_file f WHERE f.path = $1 AND f.owner::text = current_user$$;
\set ECHO all
\pset format unaligned
\pset tuples_only on
-- Folders, and those above them that are missing
SELECT pg_temp.shown(img_folder_create('/one'));
SELECT path, name, folder, is_folder, bytes, created_by, url, owner FROM img_folder_create('/two/three/four');
SELECT pg_temp.shown(img_folder_create('/two/five/'));
SELECT pg_temp.shown(f) FROM img_file_list('/') f;
SELECT pg_temp.shown(f) FROM img_file_list('/two') f;
SELECT pg_temp.shown(img_folder_create('/One'));
SELECT pg_temp.shown(img_folder_create('/größe ü & +=%41 (1)!'));
SELECT pg_temp.error_of($$SELECT img_folder_create('/two/three')$$);
SELECT pg_temp.error_of($$SELECT img_folder_create('/')$$);
-- Everything that is wrong with paths
SELECT pg_temp.error_of($$SELECT img_folder_create(NULL)$$);
SELECT pg_temp.error_of($$SELECT img_folder_create('')$$);
SELECT pg_temp.error_of($$SELECT img_folder_create('folder')$$);
SELECT pg_temp.error_of($$SELECT img_folder_create('//')$$);
SELECT pg_temp.error_of($$SELECT img_folder_create('/two//three')$$);
SELECT pg_temp.error_of($$SELECT img_folder_create('/a')$$);
SELECT pg_temp.error_of($$SELECT img_folder_create('/two/..')$$);
SELECT pg_temp.error_of($$SELECT img_folder_create('/two/../three')$$);
SELECT pg_temp.error_of($$SELECT img_folder_create('/back~up')$$);
SELECT pg_temp.error_of(format('SELECT img_folder_create(%L)', '/a' || c || 'b')) FROM unnest('{:,?,*,"\"",|}'::text[]) c;
SELECT pg_temp.error_of(format('SELECT img_folder_create(%L)', '/a' || c || 'b')) FROM unnest(ARRAY[E'\n', E'\x7f', E'\t']) c;
SELECT left(pg_temp.error_of(format('SELECT img_folder_create(%L)', '/' || repeat('ü', 128))), 80);
SELECT left(pg_temp.error_of(format('SELECT img_folder_create(%L)', repeat('/' || repeat('x', 127), 2))), 80);
SELECT left(pg_temp.error_of(format('SELECT img_file_put(%L, NULL)', repeat('/' || repeat('x', 204), 5))), 80);
SELECT left(pg_temp.error_of(format('SELECT img_file_put(%L, NULL)', repeat('/' || repeat('x', 204), 5) || '~')), 80);
SELECT octet_length(path) FROM img_folder_create('/' || repeat('x', 254));
-- Files
SELECT pg_temp.shown(img_file_put('/one/picture.png', pg_temp.picture('png')));
SELECT path, name, folder, is_folder, bytes, created_by, operation_id, width, height, taken_at, round(lat::numeric, 4) AS lat, round(lng::numeric, 4) AS lng, owner, source_id
FROM img_file_put('/one/place~time.JPG', pg_temp.picture('jpeg_place_and_time'));
SELECT pg_temp.shown(img_file_put('/root.webp', pg_temp.picture('webp_orientation_6')));
SELECT img_file_read('/one/picture.png') = pg_temp.picture('png');
SELECT pg_temp.error_of($$SELECT img_file_put('/one/picture.png', pg_temp.picture('gif'))$$);
SELECT pg_temp.shown(img_file_put('/one/picture.png', pg_temp.picture('gif'), autorename => true));
SELECT pg_temp.shown(img_file_put('/one/picture.png', pg_temp.picture('gif'), autorename => true, overwrite => true));
SELECT pg_temp.id_of('/one/picture.png') AS before \gset
SELECT pg_temp.shown(f), f.id = :'before' AS same_id FROM img_file_put('/one/picture.png', pg_temp.picture('jpeg_place_and_time'), overwrite => true) f;
SELECT taken_at FROM img_file WHERE path = '/one/picture.png';
SELECT taken_at, pg_temp.shown(f) FROM img_file_put('/one/picture.png', pg_temp.picture('png'), overwrite => true) f;
SELECT img_file_read('/one/picture.png') = pg_temp.picture('png'), img_file_read('/one/picture(1).png') = pg_temp.picture('gif');
SELECT sha256 = sha256(data), owner FROM img_file_content WHERE file_id = :'before';
-- … and everything that is wrong with them
SELECT pg_temp.error_of($$SELECT img_file_put('/none/picture.png', pg_temp.picture('png'))$$);
SELECT pg_temp.error_of($$SELECT img_file_put('/one/picture.png/picture.png', pg_temp.picture('png'))$$);
SELECT pg_temp.error_of($$SELECT img_folder_create('/one/picture.png')$$);
SELECT pg_temp.error_of($$SELECT img_folder_create('/one/picture.png/folder')$$);
SELECT pg_temp.error_of($$SELECT img_file_put('/one/picture', pg_temp.picture('png'))$$);
SELECT pg_temp.error_of($$SELECT img_file_put('/one/picture.svg', pg_temp.picture('png'))$$);
SELECT pg_temp.error_of($$SELECT img_file_put('/one/new.png', NULL)$$);
SELECT pg_temp.error_of($$SELECT img_file_put('/one/new.png', '')$$);
SELECT pg_temp.error_of($$SELECT img_file_put('/one/new.png', 'garbage')$$);
SELECT pg_temp.error_of($$SELECT img_file_put('/one/new.png/', pg_temp.picture('png'))$$);
SELECT pg_temp.error_of($$SELECT img_file_put('/', pg_temp.picture('png'))$$);
SELECT pg_temp.error_of($$SELECT img_file_put(NULL, pg_temp.picture('png'))$$);
SELECT pg_temp.error_of($$SELECT img_file_put('/one/n?w.png', pg_temp.picture('png'))$$);
SELECT pg_temp.error_of($$SELECT img_file_put('/o~e/new.png', pg_temp.picture('png'))$$);
SELECT pg_temp.error_of($$SELECT img_file_put('/one/new.png', pg_temp.picture('png'), operation_ids => '{nothing}')$$);
SELECT pg_temp.shown(img_folder_create('/one/folder.png'));
SELECT pg_temp.error_of($$SELECT img_file_put('/one/folder.png', pg_temp.picture('png'), overwrite => true)$$);
SELECT pg_temp.shown(img_file_put('/one/folder.png', pg_temp.picture('png'), autorename => true));
SET imgapi.max_source_bytes = '1kB';
SELECT pg_temp.error_of($$SELECT img_file_put('/one/new.png', convert_to(repeat('x', 1025), 'UTF8'))$$);
RESET imgapi.max_source_bytes;
SELECT pg_temp.error_of($$SELECT img_file_read('/one/new.png')$$);
SELECT pg_temp.error_of($$SELECT img_file_read('/one')$$);
SELECT pg_temp.error_of($$SELECT img_file_read(NULL)$$);
BEGIN READ ONLY;
SELECT pg_temp.error_of($$SELECT img_file_put('/one/new.png', pg_temp.picture('png'))$$);
SELECT pg_temp.error_of($$SELECT img_folder_create('/new')$$);
ROLLBACK;
-- Several
SELECT pg_temp.shown(f) FROM img_files_put('/two', '{b1.png,a2.gif}', ARRAY[pg_temp.picture('png'), pg_temp.picture('gif')]) f;
SELECT pg_temp.shown(f) FROM img_files_put('/two', '{b1.png,c3.png}', ARRAY[pg_temp.picture('gif'), pg_temp.picture('png')], autorename => true) f;
SELECT pg_temp.error_of($$SELECT img_files_put('/two', '{d4.png,b1.png}', ARRAY[pg_temp.picture('gif'), pg_temp.picture('png')])$$);
SELECT pg_temp.error_of($$SELECT img_files_put('/two', '{d4.png,d5.png}', ARRAY[pg_temp.picture('gif')])$$);
SELECT pg_temp.error_of($$SELECT img_files_put('/two', NULL, ARRAY[pg_temp.picture('gif')])$$);
SELECT pg_temp.error_of($$SELECT img_files_put('/two', '{three/d4.png}', ARRAY[pg_temp.picture('gif')])$$);
SELECT pg_temp.error_of($$SELECT img_files_put('/two', '{NULL}', ARRAY[pg_temp.picture('gif')])$$);
SELECT pg_temp.error_of($$SELECT img_files_put('/none', '{d4.png}', ARRAY[pg_temp.picture('gif')])$$);
SELECT left(pg_temp.error_of($$SELECT img_files_put('/two', array_fill('d4.png'::text, ARRAY[10001]), array_fill(''::bytea, ARRAY[10001]))$$), 60);
SELECT count(*) FROM img_file WHERE path LIKE '%/d4.png';
-- Archives are unpacked, folders and all; what is no picture is left out
\set ECHO none
CREATE TEMP TABLE archive (name text PRIMARY KEY, data bytea);
INSERT INTO archive VALUES
	('pictures', decode('
504b03041400000008000000215c563d125f6b00000070000000070000007265642e706e67eb0cf073e7e592e2626060e0f5f4700902d20a402cc1c1
0424450c33928194b9a78b6348c5ade43d8b171e74e0fa10a9e034a94a8d4daa3990db4d57626b8245c40121b54dad2abcbf5d84dc1e275c6902892f
30636038b08c655df5c4be60a0110c9eae7e2eeb9c129a00504b03041400000008000000215c0000000002000000000000000700000073756d6d6572
2f0300504b03041400000808000000215c3aefa308a6000000a30000001200000073756d6d65722f6772c3b6c39f652e67696673f774b3304f546090
606864607876c746e3848d91cd9d3b1a1a3a0c40001277e0a86160e790f1d8f0a0818143582b46e2c082c38d3cca6a220e1b171ded6662c8b87362a3
72433bbfaad7118f4d8b8e4f96f69ee6d229b4c479a260ac54cbc98034c759dca193522a83d4dde6c9d5c6b1dcbaa8e63887abd7c9a52b60a5c332df
b94eb91aa2ab2e3707b446a99c0a5cedb94e6a6f108b74984e244392f124df6a3305066b00504b03041400000008000000215c8316dc8c0300000001
0000001000000073756d6d65722f2e44535f53746f7265ab0000504b03041400000008000000215c8316dc8c0300000001000000100000005f5f4d41
434f53582f7265642e706e67ab0000504b03041400000008000000215c8316dc8c03000000010000000b00000072656164206d652e747874ab000050
4b010214031400000008000000215c563d125f6b000000700000000700000000000000000000008001000000007265642e706e67504b010214031400
000008000000215c00000000020000000000000007000000000000000000000080019000000073756d6d65722f504b01021403140000080800000021
5c3aefa308a6000000a30000001200000000000000000000008001b700000073756d6d65722f6772c3b6c39f652e676966504b010214031400000008
000000215c8316dc8c030000000100000010000000000000000000000080018d01000073756d6d65722f2e44535f53746f7265504b01021403140000
0008000000215c8316dc8c03000000010000001000000000000000000000008001be0100005f5f4d41434f53582f7265642e706e67504b0102140314
00000008000000215c8316dc8c03000000010000000b00000000000000000000008001ef01000072656164206d652e747874504b0506000000000600
06005f0100001b0200000000', 'hex')),
	('escape', decode('
504b03041400000008000000215c563d125f6b000000700000000d0000002e2e2f6573636170652e706e67eb0cf073e7e592e2626060e0f5f4700902
d20a402cc1c10424450c33928194b9a78b6348c5ade43d8b171e74e0fa10a9e034a94a8d4daa3990db4d57626b8245c40121b54dad2abcbf5d84dc1e
275c6902892f30636038b08c655df5c4be60a0110c9eae7e2eeb9c129a00504b010214031400000008000000215c563d125f6b000000700000000d00
000000000000000000008001000000002e2e2f6573636170652e706e67504b050600000000010001003b000000960000000000', 'hex')),
	('broken', decode('
504b03041400000008000000215c563d125f6b0000007000000008000000676f6f642e706e67eb0cf073e7e592e2626060e0f5f4700902d20a402cc1
c10424450c33928194b9a78b6348c5ade43d8b171e74e0fa10a9e034a94a8d4daa3990db4d57626b8245c40121b54dad2abcbf5d84dc1e275c690289
2f30636038b08c655df5c4be60a0110c9eae7e2eeb9c129a00504b03041400000008000000215ca409077a0a000000080000000a00000062726f6b65
6e2e706e67eb0cf073e7e592e20200504b010214031400000008000000215c563d125f6b000000700000000800000000000000000000008001000000
00676f6f642e706e67504b010214031400000008000000215ca409077a0a000000080000000a000000000000000000000080019100000062726f6b65
6e2e706e67504b050600000000020002006e000000c30000000000', 'hex'));
CREATE FUNCTION pg_temp.archive(name text) RETURNS bytea LANGUAGE sql AS 'SELECT a.data FROM pg_temp.archive a WHERE a.name = $1';
\set ECHO all
SELECT pg_temp.shown(img_folder_create('/packed'));
SELECT pg_temp.shown(f) FROM img_files_put('/packed', '{all.ZIP,blue.png}', ARRAY[pg_temp.archive('pictures'), pg_temp.picture('png')]) f;
SELECT path, img_file_read(path) = pg_temp.picture('gif') FROM img_file_list('/packed/summer');
SELECT pg_temp.shown(f) FROM img_files_put('/packed', '{again.zip}', ARRAY[pg_temp.archive('pictures')], autorename => true) f;
SELECT pg_temp.error_of($$SELECT img_files_put('/packed', '{all.zip}', ARRAY[pg_temp.archive('pictures')])$$);
SELECT pg_temp.error_of($$SELECT img_files_put('/packed', '{all.zip}', ARRAY[pg_temp.archive('escape')])$$);
SELECT pg_temp.error_of($$SELECT img_files_put('/packed', '{all.zip}', ARRAY[pg_temp.archive('broken')])$$);
SELECT pg_temp.error_of($$SELECT img_files_put('/packed', '{all.zip}', ARRAY[substr(pg_temp.archive('pictures'), 1, 300)])$$);
SELECT pg_temp.error_of($$SELECT img_files_put('/packed', '{all.zip}', ARRAY[pg_temp.picture('png')])$$);
SELECT pg_temp.error_of($$SELECT img_files_put('/packed', '{all.zip}', ARRAY[NULL::bytea])$$);
SELECT pg_temp.error_of($$SELECT img_file_put('/packed/all.zip', pg_temp.archive('pictures'))$$);
SELECT count(*) FROM img_file WHERE path LIKE '%good.png';
SELECT ordinal, name, octet_length(image) FROM img_unpack(pg_temp.archive('pictures'));
SELECT pg_temp.shown(img_folder_delete(pg_temp.id_of('/packed')));
-- Looking
UPDATE img_file SET updated_at = '2026-01-01'::timestamptz + length(path) * interval '1 day';
SELECT pg_temp.shown(f) FROM img_file_list('/one/') f;
SELECT name FROM img_file_list('/two', sort => 'name:desc');
SELECT name FROM img_file_list('/two', sort => 'date:asc');
SELECT name FROM img_file_list('/two', sort => 'date:desc');
SELECT name FROM img_file_list('/two', rows => 2);
SELECT name FROM img_file_list('/two', page => 3, rows => 2);
SELECT count(*) FROM img_file_list('/two', page => 2147483647, rows => 10000);
SELECT name FROM img_file_list('/one', name => 'ict');
SELECT name FROM img_file_list('/one', name => 'ICT');
SELECT name FROM img_file_list('/one', name => '%(');
SELECT name FROM img_file_list('/one', 'U');
SELECT name FROM img_file_list('/one', 'P');
SELECT name FROM img_file_list('/one', NULL, NULL, sort => NULL);
SELECT pg_temp.error_of($$SELECT img_file_list('/none')$$);
SELECT pg_temp.error_of($$SELECT img_file_list('/root.webp')$$);
SELECT pg_temp.error_of($$SELECT img_file_list('')$$);
SELECT pg_temp.error_of($$SELECT img_file_list('/', 'X')$$);
SELECT pg_temp.error_of($$SELECT img_file_list('/', name => 'x')$$);
SELECT pg_temp.error_of($$SELECT img_file_list('/', page => 0)$$);
SELECT pg_temp.error_of($$SELECT img_file_list('/', page => NULL)$$);
SELECT pg_temp.error_of($$SELECT img_file_list('/', rows => 0)$$);
SELECT pg_temp.error_of($$SELECT img_file_list('/', rows => 10001)$$);
SELECT pg_temp.error_of($$SELECT img_file_list('/', sort => 'size:asc')$$);
SELECT pg_temp.error_of($$SELECT img_file_list('/', sort => 'name:asc, 1/0')$$);
SELECT path, name, bytes, total_folder_count, total_file_count, id = pg_temp.id_of('/two') FROM img_folder_properties('/two');
SELECT path, name, bytes, total_folder_count, total_file_count, id FROM img_folder_properties('/');
SELECT bytes, total_folder_count, total_file_count FROM img_folder_properties('/two/five/');
SELECT pg_temp.error_of($$SELECT img_folder_properties('/none')$$);
SELECT pg_temp.error_of($$SELECT img_folder_properties('/root.webp')$$);
-- Files as inputs of jobs: read when the job runs, kept in one place
SELECT img_submit('/one/picture.png', '{"rotate": 90}') AS job \gset
SELECT img_wait(:'job');
SELECT img_output(:'job') = img_edit(pg_temp.picture('png'), '{"rotate": 90}');
SELECT role, storage, path, name, width, height, bytes IS NOT NULL, data IS NULL AS nothing FROM img_object WHERE job_id = :'job' AND role = 'input';
SELECT name FROM img_object WHERE job_id = :'job' AND role = 'output';
SELECT input FROM img_job WHERE id = :'job';
SELECT img_result(:'job') #>> '{request,input}';
SELECT img_submit_operation('/one/picture.png'::text, '100x100') AS job \gset
SELECT img_wait(:'job');
SELECT storage, name FROM img_object WHERE job_id = :'job' AND role = 'output';
SELECT count(*) FROM img_file WHERE created_by = 'P';
SELECT count(*) FROM img_submit_batch('{/two/,/root.webp}', '{"gray": true}');
CALL pg_temp.finish_jobs();
SELECT input, status FROM img_job WHERE request @> '{"operations": {"gray": true}}' ORDER BY input;
CREATE TABLE named (id int PRIMARY KEY, path text, thumb bytea);
CREATE TRIGGER thumb AFTER INSERT ON named FOR EACH ROW EXECUTE FUNCTION img_on_upload('path', '{"gray": true}', 'thumb');
INSERT INTO named VALUES (1, '/one/picture.png'), (2, '/one/none.png');
CALL pg_temp.finish_jobs();
SELECT id, thumb = img_edit(pg_temp.picture('png'), '{"gray": true}') FROM named ORDER BY id;
SELECT error_code, stage, error FROM img_job WHERE source_table = 'named'::regclass AND status <> 'DONE';
DROP TABLE named;
SELECT pg_temp.error_of($$SELECT img_submit('/one/none.png')$$);
SELECT pg_temp.error_of($$SELECT img_submit('/one')$$);
SELECT pg_temp.error_of($$SELECT img_submit('/')$$);
SELECT pg_temp.error_of($$SELECT img_submit('/one//picture.png')$$);
SELECT pg_temp.error_of($$SELECT img_submit_batch('{/none/}')$$);
SELECT pg_temp.error_of($$SELECT img_submit_operation('/one/none.png'::text, '100x100')$$);
CREATE SERVER regress_claid TYPE 'claid' FOREIGN DATA WRAPPER imgapi OPTIONS (url 'https://claid.test');
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_claid OPTIONS (api_key 'k');
SELECT pg_temp.error_of($$SELECT img_submit('/one/picture.png', '{"background": {"remove": true}}', server => 'regress_claid')$$);
DROP USER MAPPING FOR CURRENT_USER SERVER regress_claid;
DROP SERVER regress_claid;
-- put and submitted in one transaction; gone before the job runs
BEGIN;
SELECT pg_temp.shown(img_file_put('/one/fresh.png', pg_temp.picture('png')));
SELECT img_submit('/one/fresh.png', '{"flip": "both"}') AS job \gset
COMMIT;
SELECT img_wait(:'job');
SELECT img_submit('/one/fresh.png', '{"flip": "both"}', run_after => 'infinity') AS job \gset
SELECT pg_temp.shown(img_file_delete(pg_temp.id_of('/one/fresh.png')));
UPDATE img_job_live SET run_after = now() WHERE id = :'job';
SELECT img_start_worker();
SELECT img_wait(:'job');
SELECT error_code, stage, error FROM img_job WHERE id = :'job';
SELECT hint FROM img_job_error WHERE job_id = :'job';
-- Files as watermarks: right now, in a job, in an operation
SELECT pg_temp.shown(img_file_put('/one/logo.png', img_edit(pg_temp.picture('png'), '{"resizing": {"width": 8, "height": 6}}')));
SELECT img_submit(img_file_read('/one/logo.png')) AS logo \gset
SELECT img_wait(:'logo');
SELECT img_edit(pg_temp.picture('gif'), '{"watermark": {"image": "/one/logo.png", "gravity": "southeast"}}')
	= img_edit(pg_temp.picture('gif'), jsonb_build_object('watermark', jsonb_build_object('image', :'logo', 'gravity', 'southeast'))) AS same,
	img_edit(pg_temp.picture('gif'), '{"watermark": {"image": "/one/logo.png"}}') = img_edit(pg_temp.picture('gif')) AS nothing;
SELECT img_submit('/one/picture.png', '{"watermark": {"image": "/one/logo.png"}}') AS job \gset
SELECT img_wait(:'job');
SELECT img_output(:'job') = img_edit(pg_temp.picture('png'), '{"watermark": {"image": "/one/logo.png"}}');
SELECT img_operation_put('marked', '[{"templateOperationId": "watermark", "option": {"watermarkImagePath": "/one/logo.png", "gravity": "NorthWest"}}]') IS NOT NULL;
SELECT img_submit_operation(pg_temp.picture('png'), 'marked') AS job \gset
SELECT img_wait(:'job');
SELECT img_output(:'job') = image FROM img_apply(pg_temp.picture('png'), 'marked');
SELECT pg_temp.error_of($$SELECT img_submit(pg_temp.picture('png'), '{"watermark": {"image": "/one/none.png"}}')$$);
SELECT pg_temp.error_of($$SELECT img_submit(pg_temp.picture('png'), '{"watermark": {"image": "/one"}}')$$);
SELECT pg_temp.error_of($$SELECT img_edit(pg_temp.picture('png'), '{"watermark": {"image": "/one/none.png"}}')$$);
SELECT pg_temp.error_of($$SELECT img_edit(pg_temp.picture('png'), '{"watermark": {"image": "/one"}}')$$);
SELECT pg_temp.error_of($$SELECT img_edit(pg_temp.picture('png'), '{"watermark": {"image": "/x"}}')$$);
-- Operations: what they produce lies beside the source
SELECT img_operation_put('tiles', '[{"templateOperationId": "grid", "option": {"countX": 2, "countY": 1}}]') IS NOT NULL;
SELECT img_operation_put('jpg', '[{"templateOperationId": "resize_fix", "option": {"width": 16, "height": 12, "targetExtension": "jpg"}}]') IS NOT NULL;
SELECT count(*) FROM img_operations_exec('/', '{/one/picture.png}', '{tiles,jpg}');
CALL pg_temp.finish_jobs();
SELECT pg_temp.shown(f), source_id = pg_temp.id_of('/one/picture.png') FROM img_file_list('/one', 'P') f WHERE NOT is_folder;
SELECT status, input, request ->> 'operation_id', request ->> 'destination' FROM img_job WHERE request ? 'destination' ORDER BY 3;
SELECT j.id AS job, j.id AS tiles FROM img_job j WHERE request ->> 'operation_id' = 'tiles' \gset
SELECT ordinal, storage, path, name, width, data IS NULL AS nothing, made_of FROM img_object WHERE job_id = :'job' AND role = 'output' ORDER BY ordinal;
SELECT img_output(:'job', 1) = img_file_read('/one/picture_tiles_0001.png');
SELECT img_output(:'job', 1) = image FROM img_apply(pg_temp.picture('png'), 'tiles') WHERE ordinal = 1;
SELECT img_queue(:'job') ->> 'path', img_queue(:'job') ->> 'name', img_result(:'job') #>> '{result,output_object,object_uri}';
SET imgapi.public_url = 'http://pictures.test';
SELECT download_url ~ '^http://pictures.test/o/.*/picture_tiles_0000.png' FROM img_download(:'job');
SELECT download_url IS NOT NULL FROM img_download_input(:'job');
-- again: what was produced is replaced
SELECT updated_at AS before FROM img_file WHERE path = '/one/picture_jpg.jpg' \gset
SELECT count(*) FROM img_operations_exec('/one/', '{picture.png}', '{jpg}');
CALL pg_temp.finish_jobs();
SELECT count(*), bool_and(updated_at > :'before') FROM img_file WHERE path = '/one/picture_jpg.jpg';
-- and a callback says so (nobody is called: it is an address of this machine)
SELECT img_operations_exec('/', '{/one/picture.png}', '{jpg}', 'https://127.0.0.1/told?id=7') AS job \gset
SELECT img_wait(:'job');
SELECT jsonb_pretty(img_callback_body(:'job') - 'queueId');
SELECT img_operations_exec('/', '{/one/picture.png}', '{gray}', 'https://127.0.0.1/told?id=7') AS job \gset
SELECT img_wait(:'job');
SELECT img_callback_body(:'job') -> 'overwritten', img_callback_body(:'job') -> 'resultFiles';
SELECT pg_temp.error_of($$SELECT img_operations_exec('/', '{/one/picture.png}', '{gray}', 'https://127.0.0.1:8080/')$$);
DELETE FROM img_callback;
-- what was uploaded is not
SELECT pg_temp.shown(img_file_put('/one/picture_jpg.jpg', pg_temp.picture('jpeg'), overwrite => true));
SELECT img_operations_exec('/', '{/one/picture.png}', '{jpg}') AS job \gset
SELECT img_wait(:'job');
SELECT error_code, stage, error FROM img_job WHERE id = :'job';
SELECT transient, hint FROM img_job_error WHERE job_id = :'job';
SELECT img_file_read('/one/picture_jpg.jpg') = pg_temp.picture('jpeg');
SELECT pg_temp.error_of(format('SELECT img_output(%L)', :'job'));
-- a folder stands for what was uploaded to it; a file is one, however often it is named
SELECT count(*) FROM img_operations_exec('/', '{/two/,/two/b1.png,two/b1.png}', '{gray}');
CALL pg_temp.finish_jobs();
SELECT pg_temp.shown(f) FROM img_file_list('/two') f;
SELECT count(*) FROM img_operations_exec('/', '{/two}', '{gray}');
CALL pg_temp.finish_jobs();
SELECT pg_temp.shown(img_file_put('/two/five/new.png', pg_temp.picture('png'), operation_ids => '{gray,tiles}'));
CALL pg_temp.finish_jobs();
SELECT pg_temp.shown(f) FROM img_file_list('/two/five') f;
SELECT pg_temp.error_of($$SELECT img_operations_exec('/', '{/none.png}', '{gray}')$$);
SELECT pg_temp.error_of($$SELECT img_operations_exec('/', '{/two/four/}', '{gray}')$$);
SELECT pg_temp.error_of($$SELECT img_operations_exec('/', '{/two/three}', '{gray}')$$);
SELECT pg_temp.error_of($$SELECT img_operations_exec('/none', '{/root.webp}', '{gray}')$$);
SELECT pg_temp.error_of($$SELECT img_operations_exec('/', '{/root.webp}', '{nothing}')$$);
SELECT pg_temp.error_of($$SELECT img_operations_exec('/', '{/root.webp}', '{NULL}')$$);
SELECT pg_temp.error_of($$SELECT img_operations_exec('/', '{}', '{gray}')$$);
SELECT pg_temp.error_of($$SELECT img_operations_exec('/', '{/root.webp}', NULL)$$);
SELECT width FROM img_file_put('/one/' || repeat('x', 245) || '.png', pg_temp.picture('png'));
SELECT regexp_replace(pg_temp.error_of(format('SELECT img_operations_exec(''/'', %L, ''{gray}'')', ARRAY['/one/' || repeat('x', 245) || '.png'])), 'x{9,}', 'xx');
SELECT pg_temp.error_of($$SELECT img_submit_operation_beside('https://example.com/a.png', 'gray')$$);
-- a source that has changed, or is gone, gets nothing beside it
SELECT img_file_produced('/root.webp', 'another', '/root_x.webp', 'x', NULL, '\x00', current_user::regrole);
SELECT img_file_produced('/none.webp', 'another', '/none_x.webp', 'x', NULL, '\x00', current_user::regrole);
SELECT img_file_produced('/none/none.webp', 'another', '/none/none_x.webp', 'x', NULL, '\x00', current_user::regrole);
-- results go with their operation, if that is asked for
SELECT (img_operation_delete('tiles', delete_thumbnail => true)).operation_id;
SELECT pg_temp.shown(f) FROM img_file f WHERE operation_id = 'tiles';
SELECT pg_temp.error_of(format('SELECT img_output(%L)', :'tiles'));
-- Deleting
SELECT pg_temp.shown(img_file_delete(pg_temp.id_of('/two/b1.png')));
SELECT pg_temp.shown(img_file_delete(pg_temp.id_of('/two/a2.gif'), true));
SELECT pg_temp.shown(f) FROM img_file_list('/two') f WHERE NOT is_folder;
SELECT pg_temp.shown(img_folder_delete(pg_temp.id_of('/two/five')));
SELECT pg_temp.shown(img_folder_create('/two/fivefold'));
SELECT pg_temp.shown(img_folder_create('/two/fi_e'));
SELECT pg_temp.shown(img_folder_create('/two/five/six'));
SELECT pg_temp.shown(img_folder_delete(pg_temp.id_of('/two/five'), true));
SELECT pg_temp.shown(f) FROM img_file f WHERE path LIKE '/two/fi%' ORDER BY path;
SELECT pg_temp.error_of(format('SELECT img_file_delete(%L)', pg_temp.id_of('/two')));
SELECT pg_temp.error_of(format('SELECT img_folder_delete(%L)', pg_temp.id_of('/root.webp')));
SELECT pg_temp.error_of($$SELECT img_file_delete(NULL)$$);
SELECT pg_temp.error_of($$SELECT img_folder_delete(NULL)$$);
SELECT pg_temp.error_of($$SELECT img_file_delete('00000000-0000-7000-8000-000000000000')$$);
SELECT pg_temp.error_of($$SELECT img_folder_delete('00000000-0000-7000-8000-000000000000', true)$$);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT pg_temp.error_of(format('SELECT img_folder_delete(%L)', pg_temp.id_of('/two')));
ROLLBACK;
-- many at once, by a job
SELECT pg_temp.shown(img_folder_create('/many/below'));
SELECT pg_temp.shown(img_file_put('/many/a1.png', pg_temp.picture('png'), operation_ids => '{gray}'));
SELECT pg_temp.shown(img_file_put('/many/a2.png', pg_temp.picture('png'), operation_ids => '{gray}'));
SELECT pg_temp.shown(img_file_put('/many/a3.png', pg_temp.picture('png')));
SELECT pg_temp.shown(img_file_put('/many/below/a4.png', pg_temp.picture('png')));
CALL pg_temp.finish_jobs();
SELECT img_delete_async(ARRAY[pg_temp.id_of('/many/below')], ARRAY[pg_temp.id_of('/many/a1.png'), pg_temp.id_of('/many/below/a4.png')]) AS job \gset
SELECT img_wait(:'job');
SELECT pg_temp.shown(f) FROM img_file_list('/many') f;
SELECT kind, status, attempts, jsonb_array_length(request -> 'folder_ids'), jsonb_array_length(request -> 'file_ids'), request -> 'include_thumbnail' FROM img_job WHERE id = :'job';
SELECT count(*) FROM img_object WHERE job_id = :'job';
SELECT jsonb_pretty(img_queue(:'job') - '{queueId,queuedAt}'::text[]);
SELECT img_result(:'job') -> 'status', img_result(:'job') -> 'result';
SELECT pg_temp.error_of(format('SELECT img_output(%L)', :'job'));
SELECT img_retry(:'job');
SELECT img_delete_async(file_ids => ARRAY[pg_temp.id_of('/many/a2.png')], include_thumbnail => true) AS job \gset
SELECT img_wait(:'job');
SELECT pg_temp.shown(f) FROM img_file_list('/many') f;
-- what went before its turn came is no failure; a cancelled job is tried again
BEGIN;
SELECT img_delete_async(NULL, ARRAY[pg_temp.id_of('/many/a3.png')]) AS job \gset
SELECT img_cancel(:'job');
SELECT pg_temp.shown(img_file_delete(pg_temp.id_of('/many/a3.png')));
COMMIT;
SELECT img_retry(:'job');
SELECT img_wait(:'job');
SELECT pg_temp.error_of('SELECT img_delete_async()');
SELECT pg_temp.error_of('SELECT img_delete_async(NULL, NULL, NULL)');
SELECT pg_temp.error_of(format('SELECT img_delete_async(%L, %L)', ARRAY[pg_temp.id_of('/many')], '{00000000-0000-7000-8000-000000000000}'));
SELECT pg_temp.error_of(format('SELECT img_delete_async(file_ids => %L)', ARRAY[pg_temp.id_of('/many')]));
SELECT pg_temp.error_of(format('SELECT img_delete_async(%L)', ARRAY[pg_temp.id_of('/root.webp')]));
SELECT pg_temp.error_of('SELECT img_delete_async(ARRAY[NULL::uuid])');
SELECT pg_temp.error_of('SELECT img_delete_async(array_fill(img_new_id(), ARRAY[5000]), array_fill(img_new_id(), ARRAY[5001]))');
SELECT pg_temp.shown(img_folder_delete(pg_temp.id_of('/many')));
-- links and results of files that are gone are gone
SELECT pg_temp.shown(img_file_put('/two/gone.png', pg_temp.picture('png')));
SELECT img_operations_exec('/two', '{gone.png}', '{gray}') AS job \gset
SELECT img_wait(:'job');
SELECT pg_temp.shown(img_folder_delete(pg_temp.id_of('/two')));
SELECT pg_temp.error_of(format('SELECT img_output(%L)', :'job'));
SELECT pg_temp.error_of(format('SELECT img_download(%L)', :'job'));
SELECT pg_temp.error_of(format('SELECT img_download_input(%L)', :'job'));
SELECT count(*) FROM img_file_content c WHERE NOT EXISTS (SELECT FROM img_file f WHERE f.id = c.file_id);
-- Files do not expire, and no file is removed for a result that does
SELECT count(*) AS files FROM img_file \gset
UPDATE img_object SET expires_at = now();
SELECT (img_purge(100000)).objects > 0;
SELECT count(*) = :files FROM img_file;
SELECT count(*) FROM img_delete;
-- Every role has a tree of its own
CREATE ROLE regress_draws;
CREATE ROLE "regress Quoted";
GRANT SELECT ON picture TO PUBLIC;
SET ROLE regress_draws;
SELECT pg_temp.error_of($$SELECT img_folder_create('/one')$$);
SELECT pg_temp.error_of($$SELECT img_file_put('/one.png', pg_temp.picture('png'))$$);
SELECT pg_temp.error_of($$SELECT img_files_put('/', '{one.png}', ARRAY[pg_temp.picture('png')])$$);
SELECT pg_temp.error_of($$SELECT img_file_store('/one.png', pg_temp.picture('png'), true, true)$$);
SELECT pg_temp.error_of($$SELECT img_file_store_as('/one.png', pg_temp.picture('png'), true, true, 'postgres')$$);
SELECT pg_temp.error_of($$SELECT img_folder_create_as('/one', 'postgres')$$);
SELECT pg_temp.error_of($$SELECT img_folder_hold('/one', 'postgres', true)$$);
SELECT pg_temp.error_of($$SELECT img_file_fill(NULL, NULL)$$);
SELECT pg_temp.error_of($$SELECT img_file_facts('/one.png', NULL)$$);
SELECT pg_temp.error_of($$SELECT img_file_delete('00000000-0000-7000-8000-000000000000')$$);
SELECT pg_temp.error_of($$SELECT img_file_delete_as('00000000-0000-7000-8000-000000000000', true, 'postgres')$$);
SELECT pg_temp.error_of($$SELECT img_folder_delete('00000000-0000-7000-8000-000000000000')$$);
SELECT pg_temp.error_of($$SELECT img_folder_delete_as('00000000-0000-7000-8000-000000000000', true, 'postgres')$$);
SELECT pg_temp.error_of($$SELECT img_delete_async(ARRAY[img_new_id()])$$);
SELECT pg_temp.error_of($$SELECT img_delete_async_as('{}', '{}', true, 'postgres')$$);
SELECT pg_temp.error_of($$SELECT img_delete_files('me', img_new_id(), 1::smallint)$$);
SELECT pg_temp.error_of($$SELECT img_operations_exec('/', '{/one.png}', '{gray}')$$);
SELECT pg_temp.error_of($$SELECT img_file_operate('/one.png', '{gray}', NULL)$$);
SELECT pg_temp.error_of($$SELECT img_folder_inputs('/')$$);
SELECT pg_temp.error_of($$SELECT img_archive_put('', '', true, true, '{}')$$);
SELECT pg_temp.error_of($$SELECT img_unpack('')$$);
SELECT pg_temp.error_of($$SELECT img_submit_operation_beside('/one.png', 'gray')$$);
SELECT pg_temp.error_of($$SELECT img_file_produced(NULL, NULL, NULL, NULL, NULL, NULL, 'postgres')$$);
SELECT pg_temp.error_of($$INSERT INTO img_file (path, is_folder, owner) VALUES ('/xx', true, 'regress_draws')$$);
SELECT pg_temp.error_of($$DELETE FROM img_file_content$$);
SELECT count(*) FROM img_file_list('/');
RESET ROLE;
SELECT img_grant('regress_draws') IS NOT NULL, img_grant('"regress Quoted"') IS NOT NULL;
SELECT pg_temp.id_of('/one/picture.png') AS picture, pg_temp.id_of('/one') AS folder \gset
SET ROLE regress_draws;
SELECT pg_temp.shown(f), owner FROM img_folder_create('/one') f;
SELECT pg_temp.shown(f), owner FROM img_file_put('/one/picture.png', pg_temp.picture('gif')) f;
SELECT count(*) FROM img_file;
SELECT count(*) FROM img_file_content;
SELECT img_file_read('/one/picture.png') = pg_temp.picture('gif');
SELECT pg_temp.error_of($$SELECT img_file_read('/one/logo.png')$$);
SELECT pg_temp.error_of($$SELECT img_file_check('/one/logo.png', 'postgres')$$);
SELECT pg_temp.error_of($$SELECT img_submit('/one/logo.png')$$);
SELECT pg_temp.error_of($$SELECT img_submit('/one/picture.png', '{"watermark": {"image": "/one/logo.png"}}')$$);
SELECT pg_temp.error_of($$SELECT img_edit(pg_temp.picture('png'), '{"watermark": {"image": "/one/logo.png"}}')$$);
SELECT pg_temp.error_of($$SELECT img_operations_exec('/', '{/one/logo.png}', '{gray}')$$);
SELECT pg_temp.error_of(format('SELECT img_file_delete(%L)', :'picture'));
SELECT pg_temp.error_of(format('SELECT img_folder_delete(%L)', :'folder'));
SELECT pg_temp.error_of(format('SELECT img_delete_async(%L)', ARRAY[:'folder']));
SELECT img_submit('/one/picture.png', '{"rotate": 180}') AS job \gset
SELECT img_wait(:'job');
SELECT img_output(:'job') = img_edit(pg_temp.picture('gif'), '{"rotate": 180}');
SELECT img_operations_exec('/', '{/one}', '{gray}') AS job \gset
SELECT img_wait(:'job');
SELECT pg_temp.shown(f), owner FROM img_file f ORDER BY path;
SET ROLE "regress Quoted";
SELECT pg_temp.shown(f), owner FROM img_file_put('/picture.png', pg_temp.picture('png')) f;
SELECT pg_temp.shown(f), img_file_read(path) = pg_temp.picture('png') FROM img_file_list('/') f;
RESET ROLE;
-- members of imgapi.admin_role and superusers see all, and may delete it
SELECT count(DISTINCT owner) FROM img_file;
SELECT pg_temp.shown(img_folder_delete(id)) FROM img_file WHERE owner = 'regress_draws'::regrole AND path = '/one';
SELECT count(*) FROM img_file WHERE path = '/one/picture.png';
DELETE FROM img_file;
SELECT count(*) FROM img_file_content;
DROP OWNED BY regress_draws, "regress Quoted";
DROP ROLE regress_draws, "regress Quoted";
DELETE FROM img_operation WHERE NOT template;
