# Jobs whose pictures come over the network, and whose results go there.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Digest::SHA qw(sha256_hex);
use ImgTest;
use NetworkTest;
use S3Test;
use Test::More;

my $node = network_node('node');
my $web = web_server();
my $edit = thumbnail();

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub done_is
{
	my ($id, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(wait_job($node, $id), 'DONE', $name) or diag job($node, $id, 'stage, error_code, error');
}

# ------------------------------------------------------------------- by URL

my $url = web('picture/my%20cat.v2.png?n=4&w=40');
my $id = fetch_job($node, $url);
done_is($id, 'a picture by URL');
job_is($node, $id, 'attempts, input', "1|$url", 'its job names the input');
is(sql("SELECT storage, path, format, width, height, bytes > 0, data IS NULL FROM img_object WHERE job_id = '$id' AND role = 'input'"),
	"url|$url|png|40|40|t|t", 'the source is described, not kept');
is(sql("SELECT storage, format, width, octet_length(data) = bytes, sha256 = sha256(data) FROM img_object WHERE job_id = '$id' AND role = 'output'"),
	'database|png|16|t|t', 'the result is in the database');
is(sql("SELECT (img_info(img_output('$id'))).width"), 16, '… and can be read');
is(sql("SELECT img_result('$id') ->> 'status', img_result('$id') #>> '{request,input}'"), "DONE|$url", 'its document names the input');
is(scalar(web_seen('GET', qr/my%20cat/)), 1, 'one request was made');
my ($seen) = web_seen('GET', qr/my%20cat/);
ok(!grep({ /^(authorization|cookie|referer|x-)/ } keys %{ $seen->{headers} }), 'without anything that is not needed');

# Redirects within the server.
done_is(fetch_job($node, web('redirect?to=/picture/moved.png')), 'a redirect is followed');

# A job that is known by a key.
web_rule(method => 'GET', path => 'keyed', do => 'hold');
$id = fetch_job($node, web('picture/keyed.png'), q{job_key => 'k'});
held(1, 'a job with a key is fetching');
is(fetch_job($node, web('picture/keyed.png'), q{job_key => 'k'}), $id, 'the same again is the same job');
release();
done_is($id, '… and is done once');
isnt(my $next = fetch_job($node, web('picture/keyed.png'), q{job_key => 'k'}), $id, 'later it is another');
done_is($next, '… which is done too');

# ------------------------------------------------------ a named operation

sql(q{SELECT img_operation_put('net16', '[{"templateOperationId": "resize_max_fit", "option": {"width": 16, "height": 16}}]')});
$id = sql(qq{SELECT img_submit_operation('$url'::text, 'net16')});
done_is($id, 'an operation by URL');
is(sql("SELECT name FROM img_object WHERE job_id = '$id' AND role = 'output'"), 'my%20cat.v2_net16.png', 'its result is named after source and operation');

# ------------------------------------------------------- a server of type http

sql(qq{CREATE SERVER originals TYPE 'http' FOREIGN DATA WRAPPER imgapi
	OPTIONS (url '$web/guarded', headers E'X-Seen: by all\\nAccept: image/png', allow_private 'true');
	CREATE USER MAPPING FOR CURRENT_USER SERVER originals OPTIONS (secret_headers 'X-Key: open sesame')});
$id = fetch_job($node, 'storage://originals/a folder/ü.png');
done_is($id, 'a picture of a server of type http');
is(sql("SELECT storage, path FROM img_object WHERE job_id = '$id' AND role = 'input'"), 'originals|a folder/ü.png', 'its source is described');
($seen) = web_seen('GET', qr{^/guarded/});
is($seen->{path}, '/guarded/a%20folder/%C3%BC.png', 'it was asked for by its name');
is($seen->{headers}{'x-key'}, 'open sesame', '… with the secret header');
is($seen->{headers}{'x-seen'}, 'by all', '… and the open one');

my $other = bare_server();
sql(qq{ALTER SERVER originals OPTIONS (SET url '$web/redirect')});
sql(qq{CREATE SERVER away TYPE 'http' FOREIGN DATA WRAPPER imgapi
	OPTIONS (url '$web', headers 'X-Seen: by all', allow_private 'true');
	CREATE USER MAPPING FOR CURRENT_USER SERVER away OPTIONS (secret_headers 'X-Key: open sesame')});
web_rule(method => 'GET', path => 'leaves', do => 'status', code => 302, headers => { Location => $other->{url} });
$id = fetch_job($node, 'storage://away/picture/leaves.png');
wait_job($node, $id);
my $got = $other->{request}->();
like($got, qr/^GET \/other /, 'a redirect leads to another server');
unlike($got, qr/sesame|by all/, '… which gets no header of the first');

# A little server on a port of its own, which notes one request.
sub bare_server
{
	my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5) or die "$!";
	pipe(my $read, my $write);
	my $pid = fork;
	if (!$pid)
	{
		close $read;
		my $peer = $socket->accept;
		while (my $line = <$peer>)
		{
			print $write $line;
			last if $line =~ /^\r?\n$/;
		}
		print $peer "HTTP/1.1 404 None\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
		close $peer;
		close $write;
		require POSIX;
		POSIX::_exit(0);
	}
	close $write;
	return { url => 'http://127.0.0.1:' . $socket->sockport . '/other',
		request => sub { local $/; my $text = <$read>; waitpid $pid, 0; return $text; } };
}

# ---------------------------------------------------------------------- S3

# From a bucket to a bucket, by servers that check signatures.
foreach my $kind ('ceph', 'swift')
{
	my $server = s3_server($kind);
	my $picture = small_png(9);

	note "against $kind";
	s3_connect($node, $server, 's3');
	status_is(s3_sign($node, 's3', 'PUT'), 200, "$kind: a bucket is made");
	status_is(s3_call($node, 's3', 'put', 'in/the cat & ü.png', $picture), 200, '… with a picture');

	my $job = fetch_job($node, 'storage://s3/in/the cat & ü.png', q{'{"destination": "storage://s3/out/"}'});
	done_is($job, 'from the bucket into a folder of it');
	is(sql("SELECT storage, path, data IS NULL, width FROM img_object WHERE job_id = '$job' AND role = 'output'"),
		's3|out/the cat & ü.png|t|16', '… under the name of the source');
	my $answer = s3_call($node, 's3', 'get', 'out/the cat & ü.png');
	status_is($answer, 200, '… where it is');
	is(sql("SELECT encode(sha256, 'hex') || ' ' || bytes FROM img_object WHERE job_id = '$job' AND role = 'output'"),
		sha256_hex($answer->{body}) . ' ' . length $answer->{body}, '… with the bytes that its row describes');
	is($answer->{headers}{'content-type'}, 'image/png', '… and its type');
	is($answer->{headers}{'x-amz-meta-imgapi'}, 'output', '… and our mark');
	is(sha256_hex($answer->{body}), sha256_hex(made($node, $picture, $edit, '{}')), '… as the same edit makes it here');

	$job = submit($node, $picture, $edit, q{'{"format": "webp", "destination": "storage://s3/one/file.bin"}'});
	done_is($job, 'into a file');
	is(sql("SELECT storage, path, format FROM img_object WHERE job_id = '$job' AND role = 'output'"), 's3|one/file.bin|webp', '… of that very name');
	is(s3_call($node, 's3', 'get', 'one/file.bin')->{headers}{'content-type'}, 'image/webp', '… with the type of its format');

	$job = submit($node, $picture, $edit, q{'{"destination": "storage://s3/nameless/"}'});
	done_is($job, 'bytes into a folder');
	is(sql("SELECT path FROM img_object WHERE job_id = '$job' AND role = 'output'"), "nameless/$job.png", '… are named after the job');

	status_is(s3_call($node, 's3', 'put', 'mark.png', png(8, 8)), 200, 'a watermark in the bucket');
	my $marked = '{"watermark": {"image": "storage://s3/mark.png", "gravity": "center"}}';
	$job = sql(qq{SELECT img_submit('storage://s3/in/the cat & ü.png'::text, '$marked')});
	done_is($job, 'two pictures come for one job');
	isnt(sql("SELECT encode(sha256(img_output('$job')), 'hex')"), sha256_hex(made($node, $picture, '{}', '{"format": "png"}')), '… and both are in the result');
	$job = submit($node, $picture, $marked);
	done_is($job, 'or only the second');

	is(delete_rows($node), join("\n", sort 'nameless/' . sql("SELECT id FROM img_job WHERE request #>> '{output,destination}' = 'storage://s3/nameless/' ORDER BY created_at DESC LIMIT 1") . '.png',
			'one/file.bin', 'out/the cat & ü.png'), 'removal is promised of all that was written');
	due($node);
	poll_is($node, 'SELECT count(*) FROM img_delete', 0, '… and comes to nothing');
	status_is(s3_call($node, 's3', 'head', $_), 200, "$_ is still there") foreach 'one/file.bin', 'out/the cat & ü.png';
	sql('DROP SERVER s3 CASCADE');
}

$node->stop;
done_testing();
