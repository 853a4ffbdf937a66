# imgapi-gateway under load and in trouble: large pictures, slow, silent and
# many clients, a database that hangs or goes, and its own end.

use strict;
use warnings;
use Digest::SHA;
use FindBin;
use HTTP::Tiny;
use IO::Select;
use IO::Socket::INET;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;

my $node = img_node('gateway_endures');
$node->safe_psql('postgres', "CREATE ROLE imgapi_gateway LOGIN; SELECT img_grant_gateway('imgapi_gateway')");
my $gateway = start_gateway($node, connections => 2, 'answer-seconds' => 2);

# An object of so many bytes; a job's id.
sub store
{
	my ($id, $bytes) = @_;
	my $job = sprintf '%08d-0000-7000-8000-000000000000', $id;

	$node->safe_psql('postgres', qq{
		INSERT INTO img_object (id, job_id, stored_at, expires_at, bytes, owner, role, storage, path, name, format, mime, ext, sha256, data)
		SELECT img_new_id(), '$job', now(), now() + '7 days', length(d), current_user::regrole, 'output', 'database', 'x', 'x.jpg', 'jpeg', 'image/jpeg', 'jpg', sha256(d), d
		FROM (SELECT decode(repeat(string_agg(md5(i::text), ''), ($bytes + 15) / 16000), 'hex') AS d FROM generate_series(1, 1000) i) x});
	return $job;
}

sub sql { return $node->safe_psql('postgres', @_); }
sub sha256_of { return sql("SELECT encode(sha256, 'hex') FROM img_object WHERE job_id = '$_[0]'"); }

# A request on a socket of its own, whose answer nobody reads yet.
sub send_request
{
	my ($link, $buffer) = @_;
	my ($path) = $link =~ m{^http://[^/]+(/.*)};
	my $socket = IO::Socket::INET->new(Proto => 'tcp') or die $!;

	setsockopt($socket, SOL_SOCKET, SO_RCVBUF, $buffer) if $buffer;
	connect($socket, Socket::pack_sockaddr_in($gateway->{port}, Socket::inet_aton('127.0.0.1'))) or die "connect: $!";
	syswrite $socket, "GET $path HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" if $link;
	return $socket;
}

# Reads up to so many bytes; undef when nothing came in time.
sub receive
{
	my ($socket, $bytes, $limit) = @_;
	my $all = '';

	while (length $all < $bytes)
	{
		return undef unless IO::Select->new($socket)->can_read($limit // 20);
		my $got = sysread $socket, $all, $bytes - length $all, length $all;
		last unless $got;
	}
	return $all;
}

my $small = store(1, 16_000);
my $large = store(2, 100_000_000);
my ($small_link) = links($gateway, $small);
my ($large_link) = links($gateway, $large);
my $http = HTTP::Tiny->new(timeout => 20);

# --------------------------------------------------------------------- large

my $hash = Digest::SHA->new(256);
my $answer = $http->get($large_link, { data_callback => sub { $hash->add($_[0]) } });
is($answer->{status}, 200, '100 MB');
is($hash->hexdigest, sha256_of($large), 'arrive whole');
is($http->get($large_link, { headers => { Range => 'bytes=99999990-' } })->{headers}{'content-length'}, 100_000_000 + 0 - 99_999_990, 'the end of it, too');
my ($peak) = status_field(gateway_pid($gateway), 'VmHWM') =~ /(\d+)/;
cmp_ok($peak, '<', 40_000, "with $peak kB of memory");

# ---------------------------------------------------------------------- slow

# More of them than there are connections: each gets its first bytes, then does
# not read on.
my @slow = map { send_request($large_link, 4096) } 1 .. 6;
like(receive($_, 1000), qr/^HTTP\/1.1 200/, 'a slow client begins') foreach @slow;
is($http->get($small_link)->{status}, 200, 'while others are served');
poll_is($node, q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'imgapi_gateway' AND (state <> 'idle' OR xact_start IS NOT NULL)},
	0, 'and no transaction is open for the slow');
like(sql(q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'imgapi_gateway'}), qr/^[12]$/, 'there are two connections at most');
close $_ foreach @slow;

# Replaced while somebody reads it: better cut off than mixed.
my $socket = send_request($large_link, 4096);
receive($socket, 100_000);
sql("UPDATE img_object SET sha256 = '\\x00' WHERE job_id = '$large'");
my $rest = 0;
while (my $bytes = receive($socket, 1_000_000)) { $rest += length $bytes; last if length $bytes < 1_000_000; }
cmp_ok($rest, '<', 90_000_000, 'a picture that changes is cut off');
sql("UPDATE img_object SET sha256 = sha256(data) WHERE job_id = '$large'");

# ---------------------------------------------------------------------- many

my @many = map { send_request($small_link) } 1 .. 300;
my $whole = grep { my $got = receive($_, 100_000); defined $got && $got =~ /^HTTP\/1.1 200.*\r\n\r\n.{16000}$/s } @many;
is($whole, 300, '300 clients at a time get the picture');
like(sql(q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'imgapi_gateway'}), qr/^[12]$/, 'through two connections');
close $_ foreach @many;

# -------------------------------------------------------------- database gone

my $backend;
sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'imgapi_gateway'");
is($http->get($small_link)->{status}, 200, 'a lost connection is made again, and nobody notices');

my $other = start_gateway($node, connections => 1, 'answer-seconds' => 2);
my ($other_link) = links($other, $small);
is($http->get($other_link)->{status}, 200, 'a gateway with one connection');
$backend = sql(q{SELECT pid FROM pg_stat_activity WHERE usename = 'imgapi_gateway' ORDER BY backend_start DESC LIMIT 1});
kill 'STOP', $backend;
wait_until(sub { stopped($backend) }) or die "backend $backend did not stop";
my $seconds = seconds { $answer = $http->get($other_link) };
is($answer->{status}, 503, 'a database that does not answer');
cmp_ok($seconds, '<', 10, 'is not waited for');
ok(wait_until(sub { $http->get($other_link)->{status} == 200 }, 20), 'the next connection serves');
kill 'CONT', $backend;
is(stop_gateway($other), 0, 'it ends');

my $half = send_request($large_link, 4096);
receive($half, 1000);
$node->stop('immediate');
$answer = $http->get($small_link);
is($answer->{status}, 503, 'no database');
is($answer->{headers}{'retry-after'}, 1, 'tells when to come again');
like($answer->{content}, qr/"code": 503/, 'in JSON');
is($http->get("http://127.0.0.1:$gateway->{port}/healthz")->{status}, 503, '/healthz says so too');
my $got = receive($half, 110_000_000) // '';
cmp_ok(length $got, '<', 100_000_000, 'who is in the middle is cut off');
like(gateway_log($gateway), qr/the database is away/, 'the log has it');
$node->start;
ok(wait_until(sub { $http->get($small_link)->{status} == 200 }, 20), 'once it is back, links open again');
is($http->get("http://127.0.0.1:$gateway->{port}/healthz")->{status}, 200, '/healthz is well');
is(sql("SELECT secret IS NOT NULL FROM img_link_key"), 't', 'the key is still there');

# The extension goes and comes back, with another key.
sql('DROP EXTENSION imgapi CASCADE');
is($http->get($small_link)->{status}, 503, 'no extension');
sql("CREATE EXTENSION imgapi; SELECT img_grant_gateway('imgapi_gateway')");
ok(wait_until(sub { $http->get($small_link)->{status} == 403 }, 20), 'links of another extension do not open in this');
wait_dispatcher($node);
$small = store(1, 16_000);
$large = store(2, 100_000_000);
($small_link) = links($gateway, $small);
($large_link) = links($gateway, $large);
is($http->get($small_link)->{status}, 200, 'its own do');

sql('REVOKE EXECUTE ON FUNCTION img_link_open FROM imgapi_gateway');
$answer = $http->get($small_link);
is($answer->{status}, 403, 'a right that is missing');
unlike($answer->{content}, qr/img_link_open/, 'is not explained to everybody');
like(gateway_log($gateway), qr/42501: permission denied for function img_link_open/, 'but in the log');
sql("SELECT img_grant_gateway('imgapi_gateway')");

# ------------------------------------------------------------------- its end

$socket = send_request($large_link, 4096);
my $begun = receive($socket, 1000);
$gateway->{run}->signal('TERM');
ok(wait_until(sub { gateway_log($gateway) =~ /stopping/ }), 'SIGTERM');
ok(wait_until(sub { !IO::Socket::INET->new(PeerAddr => "127.0.0.1:$gateway->{port}") }), 'it takes no more clients');
my ($head) = $begun =~ /^(.*?\r\n\r\n)/s;
my $body = receive($socket, 100_000_000 + length($head) - 1000);
is(length($begun) + length($body) - length($head), 100_000_000, 'and finishes what it has begun');
$gateway->{run}->finish;
is($gateway->{run}->full_result(0), 0, 'and ends well');
unlike($gateway->{log}, qr/cut off/, 'with nothing cut off');

# Silent clients are left, and slow ones do not keep it from ending.
$gateway = start_gateway($node, 'idle-seconds' => 1, 'stop-seconds' => 1, clients => 20);
($large_link) = links($gateway, $large);
$socket = send_request('');
is(receive($socket, 1), '', 'a silent client is left');
$socket = send_request($large_link, 4096);
receive($socket, 1000);
$seconds = seconds { is(stop_gateway($gateway), 0, 'it ends') };
cmp_ok($seconds, '<', 10, 'whatever a client does');

$node->stop;
done_testing();
