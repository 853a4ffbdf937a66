# Folders and large pictures of a real S3 server: batches, results read back,
# uploads in parts, and how little memory the dispatcher needs for them.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Utils;
use S3Test;
use Test::More;

my $node = img_node('node', 'shared_buffers' => '16MB', 'imgapi.executors' => 1);
my $server = s3_server('ceph');
my $tmp = PostgreSQL::Test::Utils::tempdir();

sub sql { return $node->safe_psql('postgres', $_[0]); }

# Makes objects of the bucket: path => bytes.
sub put
{
	my (%objects) = @_;

	foreach my $path (sort keys %objects)
	{
		open my $file, '>:raw', "$tmp/object" or die $!;
		print $file $objects{$path};
		close $file;
		boto3($server, "s3.upload_file('$tmp/object', 'photos', '$path')");
	}
}

sub keys_of
{
	my ($prefix) = @_;

	return boto3($server, "print(' '.join(o['Key'] for o in s3.list_objects_v2(Bucket='photos', Prefix='$prefix').get('Contents', [])))");
}

boto3($server, "s3.create_bucket(Bucket='photos')");
s3_connect($node, $server, 'photos');

# ----------------------------------------------------------------- folders

my $png = small_png();
put('in/a.png' => $png, 'in/b.PNG' => $png, 'in/notes.txt' => 'no picture', 'in/deeper/c.png' => $png, 'in/' => '');
is(sql("SELECT string_agg(path, ' ' ORDER BY path COLLATE \"C\") FROM img_storage_list('storage://photos/in/') WHERE bytes > 0"),
	'in/a.png in/b.PNG in/deeper/c.png in/notes.txt', 'a folder and what is below it are listed');
my @jobs = split /\n/, sql(q{SELECT img_submit_batch(ARRAY['storage://photos/in/'], '{"resizing": {"width": 2}}', '{"destination": "storage://photos/out/"}')});
is(scalar(@jobs), 2, 'a batch of a folder is a job for each picture in it');
is(wait_job($node, $_), 'DONE', '… which is done') foreach @jobs;
is(keys_of('out/'), 'out/a.png out/b.png', 'the results are in the folder of the destination');
is(sql("SELECT string_agg((img_info(img_output(id))).width::text, ' ') FROM img_job WHERE id IN ('$jobs[0]', '$jobs[1]')"), '2 2', '… and can be read');

my ($out, $stdout, $stderr) = $node->psql('postgres', q{SELECT count(*) FROM img_submit_batch(ARRAY['storage://photos/empty/'])});
is($stdout, '0', 'an empty folder gives no job');
like($stderr, qr/WARNING:  there is no picture in "storage:\/\/photos\/empty\/"/, '… but a warning');
fails_with($node, q{SELECT img_submit_batch(ARRAY['storage://nothing/in/'])}, '42704', qr/server "nothing" does not exist/, 'a server that is not there');

# More than one page of keys.
boto3($server, "[s3.put_object(Bucket='photos', Key='many/%04d.png' % i, Body=b'x') for i in range(1005)]");
is(sql("SELECT count(*) FROM img_storage_list('storage://photos/many/')"), 1005, 'a list goes on behind its first page');

# A role that may not use the server reads nothing from it.
sql("CREATE ROLE stranger; SELECT img_grant('stranger')");
fails_with($node, "SET ROLE stranger; SELECT * FROM img_storage_list('storage://photos/in/')", '42501', qr/permission denied/, 'a list without USAGE');
fails_with($node, "SET ROLE stranger; SELECT img_read_remote('storage://photos/in/a.png')", '42501', qr/permission denied/, 'a picture without USAGE');
fails_with($node, "SET ROLE stranger; SELECT img_read_remote('https://example.com/a.png')", '22P02', qr/storage/, 'a URL is not read for everybody');

# ----------------------------------------------------- a trigger on names

sql(q{CREATE TABLE upload (id int PRIMARY KEY, picture text, thumb bytea, result text);
	CREATE TRIGGER thumb AFTER INSERT OR UPDATE OF picture ON upload FOR EACH ROW
		EXECUTE FUNCTION img_on_upload('picture', '{"resizing": {"width": 2}}', 'thumb');
	CREATE TRIGGER result AFTER INSERT OR UPDATE OF picture ON upload FOR EACH ROW
		EXECUTE FUNCTION img_on_upload('picture', '{"resizing": {"width": 3}}', 'result', '{"destination": "storage://photos/row/"}');
	INSERT INTO upload VALUES (1, 'storage://photos/in/a.png'), (2, 'nonsense')});
ok($node->poll_query_until('postgres', q{SELECT count(*) = 4 FROM img_job WHERE source_table = 'upload'::regclass AND status IN ('DONE', 'ERROR')}),
	'jobs of rows that name their picture end');
is(sql('SELECT (img_info(thumb)).width, result FROM upload WHERE id = 1'), '2|storage://photos/row/a.png', 'the results are in the row, or named there');
is(keys_of('row/'), 'row/a.png', '… and on the server');
is(sql(q{SELECT DISTINCT status, error_code, stage FROM img_job WHERE source_key = '{2}'}), 'ERROR|22P02|fetch', 'a name that is none fails its job');
sql(q{CREATE TRIGGER wrong AFTER INSERT ON upload FOR EACH ROW
	EXECUTE FUNCTION img_on_upload('picture', '{}', 'thumb', '{"destination": "storage://photos/row/"}')});
fails_with($node, q{INSERT INTO upload VALUES (3, 'storage://photos/in/a.png')}, '42804', qr/cannot go to "storage:\/\/photos\/row\/" and into column "thumb"/, 'a result is in one place');
sql('DROP TRIGGER wrong ON upload');

# ------------------------------------------------------------- large pictures

# 40 MB that cannot be compressed, so that the result is as large.
open my $script, '>', "$tmp/large.py" or die $!;
print $script <<"END";
import os, struct, zlib
width, height = 4000, 3400
rows = b''.join(b'\\0' + os.urandom(width * 3) for _ in range(height))
def chunk(name, data): return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
open('$tmp/large.png', 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
	+ chunk(b'IDAT', zlib.compress(rows, 0)) + chunk(b'IEND', b''))
END
close $script;
system('/usr/bin/python3', "$tmp/large.py") == 0 or die 'no large picture';
boto3($server, "s3.upload_file('$tmp/large.png', 'photos', 'in/large.png')");
my $megabytes = (-s "$tmp/large.png") / 1024 / 1024;

# The most memory that a process has ever had, in MB.
sub peak { return status_field($_[0], 'VmHWM') =~ s/ kB//r / 1024; }

my $dispatcher = wait_dispatcher($node);
my $before = peak($dispatcher);
my $edit = q{'{"flip": "vertical"}', '{"format": {"type": "png", "compression": "fast"}, "destination": "storage://photos/out/large.png"}'};

my $id = sql("SELECT img_submit('storage://photos/in/large.png'::text, $edit)");
is(wait_job($node, $id), 'DONE', "a picture of 40 MB from a server to a server") or diag job($node, $id, 'stage, error');
cmp_ok(peak($dispatcher) - $before, '<', $megabytes / 4, '… takes a fraction of that of the dispatcher\'s memory');
is(sql("SELECT sha256 = sha256(img_output(job_id)) FROM img_object WHERE job_id = '$id' AND role = 'output'"), 't', '… and arrives whole');

# The same in parts of 5 MB.
sql("ALTER SERVER photos OPTIONS (multipart_size '5MB')");
$id = sql("SELECT img_submit('storage://photos/in/large.png'::text, $edit)");
is(wait_job($node, $id), 'DONE', 'the same in parts') or diag job($node, $id, 'stage, error');
is(sql("SELECT sha256 = sha256(img_output(job_id)) FROM img_object WHERE job_id = '$id' AND role = 'output'"), 't', '… arrives whole');
like(boto3($server, "print(s3.head_object(Bucket='photos', Key='out/large.png')['ETag'])"), qr/-8"$/, '… in eight of them');
is(boto3($server, "print(s3.head_object(Bucket='photos', Key='out/large.png')['Metadata'])"), "{'imgapi': 'output'}", '… with our mark');

# Parts that are refused are not left behind.
sql("ALTER SERVER photos OPTIONS (SET bucket 'gone')");
$id = sql("SELECT img_submit(pg_read_binary_file('$tmp/large.png'), $edit)");
is(wait_job($node, $id), 'ERROR', 'without a bucket the upload fails');
is(job($node, $id, 'error_code, stage'), '02000|store', '… and says where');
sql("ALTER SERVER photos OPTIONS (SET bucket 'photos')");
is(boto3($server, "print(len(s3.list_multipart_uploads(Bucket='photos').get('Uploads', [])))"), '0', 'no upload is left open');

# From a table into a table.
$id = sql("SELECT img_submit(pg_read_binary_file('$tmp/large.png'), '{\"flip\": \"vertical\"}', '{\"format\": {\"type\": \"png\", \"compression\": \"fast\"}}')");
is(wait_job($node, $id), 'DONE', 'a large picture from the database to the database');
cmp_ok(peak($dispatcher) - $before, '<', 4 * $megabytes, '… takes a few times its size');
is(sql("SELECT octet_length(data) = bytes AND sha256 = sha256(data) FROM img_object WHERE job_id = '$id' AND role = 'output'"), 't', '… and arrives whole');

$node->stop;
done_testing();
