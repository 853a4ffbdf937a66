# imgapi-gateway opens links, and what is no link it refuses: methods, ranges,
# conditions, names, and every way to tamper.

use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use FindBin;
use HTTP::Tiny;
use JSON::PP;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = img_node('gateway', log_statement => 'all', log_min_duration_statement => 0, log_parameter_max_length => -1);
$node->safe_psql('postgres', "CREATE ROLE imgapi_gateway LOGIN; SELECT img_grant_gateway('imgapi_gateway')");
my $gateway = start_gateway($node, 'log-requests' => 'on');
my $base = "http://127.0.0.1:$gateway->{port}";
my $http = HTTP::Tiny->new(keep_alive => 1);

sub ask
{
	my ($method, $url, %headers) = @_;

	return $http->request($method, $url, { headers => \%headers });
}

# Status, and the JSON that comes with an error.
sub refused
{
	my ($method, $url, $status, $message, $name) = @_;
	my $answer = ask($method, $url);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	subtest $name => sub {
		is($answer->{status}, $status, "status $status");
		is($answer->{headers}{'content-type'}, 'application/json', 'as JSON');
		return if $method eq 'HEAD';
		my $json = decode_json($answer->{content});
		is($json->{code}, $status, 'with the code');
		like($json->{message}, $message, 'and why');
	};
}

my $picture = png(300, 200);
my $job = submit($node, $picture, '{"resizing": {"width": 64}}');
is(wait_job($node, $job), 'DONE', 'there is a picture');
my $output = pack 'H*', $node->safe_psql('postgres', "SELECT encode(img_output('$job'), 'hex')");
my ($get, $head, $expiry) = links($gateway, $job);
my $etag = '"' . sha256_hex($output) . '"';

# --------------------------------------------------------------- GET and HEAD

my $answer = ask('GET', $get);
is($answer->{status}, 200, 'GET');
ok($answer->{content} eq $output, 'gives the picture');
is($answer->{headers}{'content-type'}, 'image/png', 'its type');
is($answer->{headers}{'content-length'}, length $output, 'its length');
is($answer->{headers}{'etag'}, $etag, 'its hash');
is($answer->{headers}{'accept-ranges'}, 'bytes', 'takes ranges');
is($answer->{headers}{'x-content-type-options'}, 'nosniff', 'is not to be guessed at');
like($answer->{headers}{'cache-control'}, qr/^private, max-age=3\d\d\d$/, 'may be kept as long as the link opens');
is($answer->{headers}{'content-disposition'}, qq{inline; filename="$job.png"}, 'has a name');

$answer = ask('HEAD', $head);
is($answer->{status}, 200, 'HEAD');
is($answer->{headers}{'content-length'}, length $output, 'gives the size');
is($answer->{headers}{'etag'}, $etag, 'and the hash');
is($answer->{content} // '', '', 'without the picture');

my ($input) = links($gateway, $job, function => 'img_download_input');
ok(ask('GET', $input)->{content} eq $picture, 'the input has links too');

my ($stdout, $stderr) = run_command([ 'curl', '-sf', $get ]);
is(length $stdout, length $output, 'curl opens it');

# ------------------------------------------------------------------- tampered

refused('GET', $head, 403, qr/not for GET/, 'the link for HEAD is none for GET');
is(ask('HEAD', $get)->{status}, 403, 'nor the other way round');
refused('POST', $get, 405, qr/only GET and HEAD/, 'POST');
is(ask('DELETE', $get)->{headers}{allow}, 'GET, HEAD', 'what is allowed is said');

my $signature = $1 if $get =~ /s=(\w+)$/;
my %tampered = (
	'another object' => $get =~ s{/o/.{8}}{/o/00000000}r,
	'another name' => $get =~ s/\.png/.exe/r,
	'a later expiry' => $get =~ s/e=(\d+)/'e=' . ($1 + 1)/er,
	'no expiry' => $get =~ s/e=\d+&//r,
	'a negative expiry' => $get =~ s/e=/e=-/r,
	'an expiry that is no number' => $get =~ s/e=\d+/e=1e99/r,
	'an expiry beyond all numbers' => $get =~ s/e=\d+/'e=' . '9' x 40/er,
	'another key' => $get =~ s/k=\d+/k=77/r,
	'a key beyond all numbers' => $get =~ s/k=\d+/k=99999999999/r,
	'no key' => $get =~ s/k=\d+&//r,
	'no signature' => $get =~ s/&s=.*//r,
	'an empty signature' => $get =~ s/s=.*/s=/r,
	'a truncated signature' => substr($get, 0, -1),
	'a longer signature' => $get . '0',
	'a signature in capitals' => $get =~ s/s=(\w+)/'s=' . uc $1/er,
	'the hash of the signature' => $get =~ s/s=(\w+)/'s=' . sha256_hex($1)/er,
	'a signature of zeros' => $get =~ s/s=.*/'s=' . '0' x 64/er,
	'a very long signature' => $get . '0' x 5000,
	'a name that is not UTF-8' => $get =~ s/\.png/%ff.png/r,
	'a name with a zero byte' => $get =~ s/\.png/%00.png/r);
refused('GET', $tampered{$_}, 403, qr/^the link is not/, $_) foreach sort keys %tampered;
for my $n (map { $_ * 7 } 0 .. 9)
{
	my $flipped = $signature;
	substr($flipped, $n, 1) =~ tr/0-9a-f/1-9a-f0/;
	is(ask('GET', $get =~ s/s=.*/s=$flipped/r)->{status}, 403, "digit $n of the signature");
}

refused('GET', "$base/", 404, qr/nothing/, 'no link');
refused('GET', "$base/o/", 404, qr/no picture/, 'nothing after /o/');
refused('GET', "$base/o/$job", 404, qr/no picture/, 'no name');
refused('GET', "$base/o/not-a-uuid/x?e=1&k=1&s=1", 404, qr/no picture/, 'no id');
refused('GET', "$base/o/../../etc/passwd", 404, qr/no picture|nothing/, 'no file');
is(ask('GET', "$base/healthz")->{content}, '{"status": "ok"}', '/healthz');

# -------------------------------------------------------------------- expired

my ($brief) = links($gateway, $job, link_lifetime => '1s');
ok(wait_until(sub { ask('GET', $brief)->{status} == 410 }, 10), 'a link ends');
refused('GET', $brief, 410, qr/^the link expired at 2\d\d\d-.*Z; the time is 2\d\d\d-/, 'with the time of the server');
is(ask('GET', $get)->{status}, 200, 'the other goes on');

$node->safe_psql('postgres', 'SELECT img_rotate_link_key()');
is(ask('GET', $get)->{status}, 200, 'a link of before the rotation opens');
my ($fresh, $fresh_head) = links($gateway, $job);
is(ask('GET', $fresh)->{status}, 200, 'and one of after it');

# --------------------------------------------------------- ranges, conditions

sub part
{
	my ($range, $status, $content, $content_range, %more) = @_;
	my $got = ask('GET', $get, Range => $range, %more);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	subtest join(' ', $range, %more) => sub {
		is($got->{status}, $status, "status $status");
		is($got->{headers}{'content-range'}, $content_range, 'which part');
		ok($got->{content} eq $content, 'these bytes') if defined $content;
	};
}

my $size = length $output;
my $last = $size - 1;
part('bytes=0-0', 206, substr($output, 0, 1), "bytes 0-0/$size");
part('bytes=1-9', 206, substr($output, 1, 9), "bytes 1-9/$size");
part('bytes=10-', 206, substr($output, 10), "bytes 10-$last/$size");
part('bytes=-5', 206, substr($output, -5), 'bytes ' . ($size - 5) . "-$last/$size");
part('bytes=-999999', 206, $output, "bytes 0-$last/$size");
part('bytes=10-999999', 206, substr($output, 10), "bytes 10-$last/$size");
part("bytes=$size-", 416, undef, "bytes */$size");
part('bytes=-0', 416, undef, "bytes */$size");
part($_, 200, $output, undef) foreach 'bytes=5-2', 'bytes=0-1,3-4', 'bytes=', 'bytes=a-b', 'bytes=-', 'lines=1-2', 'bytes=1-99999999999999999999';
part('bytes=1-9', 206, substr($output, 1, 9), "bytes 1-9/$size", 'If-Range' => $etag);
part('bytes=1-9', 200, $output, undef, 'If-Range' => '"other"');

for my $condition ($etag, "W/$etag", qq{"a", $etag}, '*')
{
	$answer = ask('GET', $get, 'If-None-Match' => $condition);
	is($answer->{status}, 304, "If-None-Match: $condition");
	is($answer->{content} // '', '', 'without the picture');
	is($answer->{headers}{etag}, $etag, 'with its hash');
}
$answer = ask('GET', $get, 'If-None-Match' => '"other"');
is($answer->{status}, 200, 'If-None-Match with another hash');
ok($answer->{content} eq $output, 'gives the picture');
is(ask('HEAD', $fresh_head, 'If-None-Match' => $etag)->{status}, 304, 'for HEAD too');

# ---------------------------------------------------------------------- names

$node->safe_psql('postgres', qq{UPDATE img_object SET name = E'gr\\u00fcn "1";\\r\\nX-Evil: /../1.png' WHERE job_id = '$job' AND role = 'output'});
my ($named) = links($gateway, $job);
like($named, qr{/gr%C3%BCn%20%221%22%3B%0D%0AX-Evil%3A%20%2F..%2F1\.png\?e=}, 'a name is escaped in the link');
$answer = ask('GET', $named);
is($answer->{status}, 200, 'and opens');
is($answer->{headers}{'content-disposition'},
	q{inline; filename="gr__n _1____X-Evil_ _.._1.png"; filename*=UTF-8''gr%C3%BCn%20%221%22%3B%0D%0AX-Evil%3A%20%2F..%2F1.png},
	'and comes back as a name only');
ok(!defined $answer->{headers}{'x-evil'}, 'and is no header');

# --------------------------------------------------------------------- purged

my $row = $node->safe_psql('postgres', qq{
	CREATE TABLE t (id int PRIMARY KEY, data bytea, thumb bytea);
	CREATE TRIGGER t AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION img_on_upload('data', '{}', 'thumb');
	INSERT INTO t VALUES (1, @{[literal($picture)]});
	SELECT id FROM img_job WHERE source_table = 't'::regclass});
is(wait_job($node, $row), 'DONE', 'a picture in a row');
my ($in_row) = links($gateway, $row);
like(ask('GET', $in_row)->{content}, qr/^\x89PNG/, 'has a link');
$node->safe_psql('postgres', 'DELETE FROM t');
refused('GET', $in_row, 410, qr/purged or replaced/, 'until the row is gone');

# before the purge ran
$node->safe_psql('postgres', "UPDATE img_object SET expires_at = now() WHERE job_id = '$job'");
refused('GET', $get, 410, qr/purged/, 'a picture whose time is over is gone');
$node->safe_psql('postgres', 'SELECT img_purge()');
refused('GET', $get, 410, qr/purged/, 'and once it is purged');

# -------------------------------------------------------------------- secrets

my @signatures = map { /s=(\w{64})$/ } $get, $head, $input, $brief, $fresh, $fresh_head, $named, $in_row;
is(scalar(@signatures), 8, 'eight signatures');
my $key = $node->safe_psql('postgres', "SELECT encode(secret, 'hex') FROM img_link_key ORDER BY id LIMIT 1");
my ($all) = run_command([ 'pg_dump', '-h', $node->host, '-p', $node->port, 'postgres' ]);
like($all, qr/CREATE EXTENSION/, 'a dump');
is(scalar(grep { index($all, $_) >= 0 } $key, @signatures), 0, 'has neither key nor signature');
my $log = slurp_file($node->logfile);
like($log, qr/img_link_open/, 'the log of the server has the calls');
is(scalar(grep { index($log, $_) >= 0 } @signatures), 0, 'and no signature');
$log = gateway_log($gateway);
like($log, qr{GET /o/\S+ 200}, 'the log of the gateway has the requests');
is(scalar(grep { index($log, $_) >= 0 } @signatures), 0, 'and no signature');
my $activity = $node->safe_psql('postgres', "SELECT string_agg(query, ' ') FROM pg_stat_activity");
is(scalar(grep { index($activity, $_) >= 0 } @signatures), 0, 'nor has pg_stat_activity');

# -------------------------------------------------------------------- options

sub complains
{
	my ($regexp, $name, @options) = @_;
	my ($out, $err) = run_command([ 'timeout', 10, 'imgapi-gateway', @options ]);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like($err, $regexp, $name);
}

complains(qr/password on the command line.*\n.*pgpass/, 'a password in the arguments is refused', '--database', 'host=x password=secret');
complains(qr/password on the command line/, 'in a URL too', '--database', 'postgresql://u:secret@h/d');
complains(qr/no connection string/, 'what is no connection string', '--database', 'host=x =');
complains(qr/--connections must be from 1 to 100/, 'a number out of range', '--connections', '0');
complains(qr/--clients must be from/, 'what is no number', '--clients', 'many');
complains(qr/cannot listen on "nowhere"/, 'an address that is none', '--listen', 'nowhere');
complains(qr/cannot listen on 127\.0\.0\.1:$gateway->{port}/, 'a port that is taken', '--listen', "127.0.0.1:$gateway->{port}");
like((run_command([ 'imgapi-gateway', '--help' ]))[0], qr/--listen .*--database .*img_grant_gateway/s, '--help');

is(stop_gateway($gateway), 0, 'SIGTERM ends it');
$node->stop;
done_testing();
