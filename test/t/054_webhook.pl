# Webhooks: a job goes on when its server says so, through imgapi-gateway and
# without it; what is forged, replayed or sent in masses changes nothing.

use strict;
use warnings;
use Digest::SHA qw(hmac_sha256_hex hmac_sha256_base64);
use FindBin;
use HTTP::Tiny;
use IO::Socket::INET;
use lib $FindBin::RealBin;
use ClaidTest;
use ImgTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $port = claid_server();
my $node = img_node('node', 'imgapi.executors' => 1, 'log_statement' => 'none');
$node->safe_psql('postgres', "CREATE ROLE imgapi_gateway LOGIN; SELECT img_grant_gateway('imgapi_gateway')");
my $gateway = start_gateway($node, 'log-requests' => 'on');
my $base = "http://127.0.0.1:$gateway->{port}";

# Polls alone would take ten minutes.
my $secret = 'secret of the webhooks';
claid($node, 'claid', "poll_interval '10min'");
claid($node, 'other', "poll_interval '10min'");
claid($node, 'quick', "poll_interval '500ms'");
claid($node, 'signed', "poll_interval '5s'");
$node->safe_psql('postgres', "ALTER USER MAPPING FOR PUBLIC SERVER $_ OPTIONS (ADD webhook_secret '$secret')") foreach 'claid', 'signed';

sub job_of
{
	my ($server) = @_;
	my $job = $node->safe_psql('postgres', "SELECT img_submit('https://example.com/cat.jpg'::text, '{\"background\": {\"remove\": true}}', server => '$server')");

	poll_is($node, "SELECT state FROM img_remote WHERE job_id = '$job'", 'submitted', "a job of server $server");
	return ($job, remote($node, $job, 'remote_id'));
}

# What Claid says of a task.
sub said
{
	my ($id, $status) = @_;

	return encode_json({ data => { id => $id + 0, status => $status // 'DONE',
		errors => ($status // '') eq 'ERROR' ? [ { error => 'the picture is of a dog' } ] : [],
		result => { input_object => { format => 'JPEG', width => 160, height => 120 }, output_object => { tmp_url => "http://127.0.0.1:$port/tmp/$id.png?token=signed" } } } });
}

sub post
{
	my ($server, $body, %headers) = @_;
	my $answer = HTTP::Tiny->new->post("$base/webhook/$server", { content => $body, headers => { 'Content-Type' => 'application/json', %headers } });

	return ($answer->{status}, $answer->{content}, $answer);
}

# A test: it is answered with that status, as JSON.
sub answers
{
	my ($status, $name, @what) = @_;
	my ($got, $content, $answer) = post(@what);
	my $json = eval { decode_json($content) } // {};

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is("$got $json->{code} " . ($answer->{headers}{'content-type'} // ''), "$status $status application/json", $name) or diag $content;
}

sub signed { return ('X-Claid-Hmac-SHA256' => 'sha256=' . hmac_sha256_hex($_[0], $_[1] // $secret)); }
sub polls { return scalar grep { $_->{call} eq 'poll' } @{ claid_state()->{calls} }; }

# ------------------------------------------------------------------ it works

my ($job, $id) = job_of('claid');
my $body = said($id);
answers(200, 'its server says through the gateway that it is done', 'claid', $body, signed($body));
is(wait_job($node, $job), 'DONE', '… and it is') or diag job($node, $job, 'error');
picture_is($node, $job, '… with its result');
is(polls(), 0, '… without a poll');
is(remote($node, $job, 'state, status, polls'), 'done|DONE|1', '… as img_remote says');
is($node->safe_psql('postgres', "SELECT method, path, status FROM img_remote_call WHERE job_id = '$job' ORDER BY id"),
	"POST|/v1/image/edit/async|200\nPOST|/webhook/claid|200", '… and img_remote_call');
is($node->safe_psql('postgres', "SELECT format, width FROM img_object WHERE job_id = '$job' AND role = 'input'"), 'jpeg|160', '… and img_object');
answers(200, 'the same again is taken', 'claid', $body, signed($body));

my ($failed, $failed_id) = job_of('claid');
$body = said($failed_id, 'ERROR');
is($node->safe_psql('postgres', "SELECT img_webhook('claid', '{\"x-claid-hmac-sha256\": \"" . hmac_sha256_base64($body, $secret) . "=\"}', convert_to('$body', 'UTF8'))"),
	't', 'its server says that it has failed, without a gateway');
refused($node, $failed, '58000', 'remote', qr/server "claid" failed: the picture is of a dog/, '… and it has');
is(polls(), 0, '… without a poll');

# While it is submitted nobody knows it yet.
claid_rule(call => 'submit', hold => JSON::PP::true, act => JSON::PP::true, times => 1);
my $early = $node->safe_psql('postgres', q{SELECT img_submit('https://example.com/cat.jpg'::text, '{"background": {"remove": true}}', server => 'claid')});
held(1, 'a job is being submitted');
$body = said($failed_id + 1);
answers(503, 'its webhook comes before the answer: later', 'claid', $body, signed($body));
release();
wait_state($node, $early, 'submitted');
answers(200, '… and is taken then', 'claid', $body, signed($body));
is(wait_job($node, $early), 'DONE', '… and it is done');

# ----------------------------------------------------------- what is refused

($job, $id) = job_of('claid');
$body = said($id);
answers(401, 'without a signature', 'claid', $body);
answers(401, 'signed with another secret', 'claid', $body, signed($body, 'guessed'));
answers(401, 'changed after it was signed', 'claid', said($id, 'ERROR'), signed($body));
answers(401, 'the signature of another webhook', 'claid', $body, signed(said($failed_id, 'ERROR')));
answers(404, 'of a job that is not there', 'claid', said(4711), signed(said(4711)));
answers(404, 'of a job of another server', 'other', $body, signed($body));
answers(404, 'of a server that is not there', 'nobody', $body, signed($body));
answers(404, 'of no server', '', $body);
answers(404, 'of a server with a path', 'claid/x', $body);
answers(404, 'of a server with a long name', 'x' x 64, $body);
answers(400, 'garbage', 'claid', "\xff\x00garbage");
answers(400, 'nothing', 'claid', '');
answers(413, 'too much', 'claid', ' ' x (1024 * 1024 + 1));
answers(431, 'too many headers', 'claid', $body, map { ("X-$_" => 'x' x 1000) } 1 .. 20);
answers(200, 'as much as may be', 'claid', $body . ' ' x (1024 * 1024 - length $body), signed(said($id, 'PROCESSING') . ' '), 'X-Claid-Hmac-SHA256' => hmac_sha256_hex($body . ' ' x (1024 * 1024 - length $body), $secret));
is(wait_job($node, $job), 'DONE', '… is read');

# In pieces, without a length that is known before.
sub in_pieces
{
	my ($bytes) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $gateway->{port}) or die;
	my $piece = sprintf("%x\r\n%s\r\n", 65536, ' ' x 65536);

	print $socket "POST /webhook/claid HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n", map { $piece } 1 .. $bytes / 65536;
	print $socket "0\r\n\r\n";
	return <$socket> // 'no answer';
}
{
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $gateway->{port}) or die;
	print $socket "POST /webhook/claid HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1000000000\r\n\r\n";
	like(scalar(<$socket>), qr{^HTTP/1\.1 413 }, 'far too much, before it has come');
}
like(in_pieces(1024 * 1024), qr{^HTTP/1\.1 400 }, 'in pieces, as much as may be');
like(in_pieces(2 * 1024 * 1024), qr{^HTTP/1\.1 413 }, 'in pieces, too much');
{
	local $SIG{PIPE} = 'IGNORE';
	is(in_pieces(64 * 1024 * 1024), 'no answer', 'in pieces without end: it is hung up');
}

foreach my $method ('GET', 'PUT')
{
	my $answer = HTTP::Tiny->new->request($method, "$base/webhook/claid");
	is("$answer->{status} $answer->{headers}{allow}", '405 POST', "$method is none of its methods");
}
is(HTTP::Tiny->new->post("$base/o/x")->{headers}{allow}, 'GET, HEAD', 'POST is none of those of links');
is(polls(), 0, 'nobody was asked for anything');

# ------------------------------------------------------------------ unsigned

claid_rule(call => 'poll', task => 'PROCESSING');
($job, $id) = job_of('other');
answers(200, 'a webhook that cannot be proven', 'other', said($id));
poll_is($node, "SELECT polls FROM img_remote WHERE job_id = '$job'", 1, '… has the server asked at once');
is(remote($node, $job, 'state, status'), 'submitted|PROCESSING', '… and is not believed');
is(polls(), 1, '… once');
forget();
answers(200, 'another soon after it', 'other', said($id));
poll_is($node, "SELECT count(*) FROM img_webhook_arrived", 0, '… has come');
is($node->safe_psql('postgres', "SELECT img_wait('$job', '1 s')"), 'PROCESSING', '… has it asked after poll_interval, not before');
is(polls(), 1, '… which is ten minutes');
$node->safe_psql('postgres', "SELECT img_cancel('$job')");

claid_rule(call => 'poll', task => 'PROCESSING');
($job, $id) = job_of('quick');
my $before = polls();
my $begin = time;
my $sent = 0;
while (time < $begin + 3)
{
	post('quick', said($id));
	$sent++;
	gateway_log($gateway);		# lest it waits for a reader of its log
}
my $polled = polls() - $before;
my $most = 2 * (time - $begin) / 0.5 + 2;
ok($polled <= $most && $polled >= 3, 'a flood has it asked no more than twice in poll_interval') or diag "$sent webhooks, $polled polls, at most $most";
cmp_ok($sent, '>', 2 * $most, '… though it was one');
forget();
is(wait_job($node, $job), 'DONE', 'it goes on');

# While a poll is under way.
claid_rule(call => 'poll', hold => JSON::PP::true, times => 1);
claid_rule(call => 'poll', task => 'PROCESSING');
($job, $id) = job_of('signed');
held(1, 'a poll is held');
$before = polls();
$body = said($id);
answers(200, '… and a webhook comes', 'signed', $body, signed($body));
release();
is(wait_job($node, $job), 'DONE', '… which is heeded after it');
is(polls(), $before, '… without another poll');

# A worker that starts finds what came before it.
($job, $id) = job_of('other');
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(pid, 10000) FROM img_worker WHERE database IS NOT NULL');
answers(200, 'its worker ends, and a webhook comes', 'other', said($id));
poll_is($node, "SELECT polls FROM img_remote WHERE job_id = '$job'", 1, '… which the next one heeds');
forget();
$node->safe_psql('postgres', "SELECT img_cancel('$job')");

is_deeply(claid_state()->{problems}, [], 'the server has nothing to complain about');
unlike(slurp_file($node->logfile), qr/\Q$secret\E/, 'no secret is in the log');
like(gateway_log($gateway), qr{POST /webhook/claid 200}, 'the gateway logs requests');
unlike(gateway_log($gateway), qr/token=signed|[0-9a-f]{64}/, '… and nothing of what came');
is(stop_gateway($gateway), 0, 'the gateway ends');
$node->stop;
done_testing();
