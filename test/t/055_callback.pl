# Callbacks: what is told when a job ends, to whom, and how often; and that no
# receiver, however slow, holds up jobs or other receivers.

use strict;
use warnings;
use Digest::SHA qw(hmac_sha256_hex);
use FindBin;
use lib $FindBin::RealBin;
use ClaidTest ();
use ImgTest;
use IO::Socket::INET;
use JSON::PP;
use NetworkTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $web = web_server();
my ($port) = $web =~ /:(\d+)$/;

# A port where nobody listens.
my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => 0) or die "could not listen: $!";
my $closed = $socket->sockport;
$socket->close;

my $ports = "80, 443, $port, $closed";
my $node = network_node('node', 'imgapi.callback_ports' => $ports, 'imgapi.auto_purge' => 'off', log_min_messages => 'debug1',
	log_statement => 'none', log_min_error_statement => 'panic', log_min_duration_statement => '-1');

sub sql { return $node->safe_psql('postgres', $_[0]); }

# Queues a job; its id.
sub call_job
{
	my ($url, $picture, $operations, @more) = @_;

	return submit($node, $picture // small_png(), $operations, "callback_url => '$url'", @more);
}

# Queues a job for each n; their ids.
sub call_jobs
{
	my ($url, @numbers) = @_;

	return split /\n/, sql('SELECT img_submit(' . literal(small_png()) . q{, '{"resizing": {"width": 16}}', } . "callback_url => '$url' || n)
		FROM unnest(ARRAY[" . join(', ', @numbers) . ']) n');
}

sub callback
{
	my ($job, $columns) = @_;

	return sql("SELECT $columns FROM img_callback WHERE job_id = '$job' ORDER BY id");
}

# A test: the callback of the job comes to be in that state.
sub comes
{
	my ($job, $columns, $expected, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return poll_is($node, "SELECT $columns FROM img_callback WHERE job_id = '$job'", $expected, $name);
}

# Makes callbacks that wait due; a reload has the worker look.
sub callbacks_due
{
	sql("UPDATE img_callback SET next_at = now() WHERE state = 'waiting'");
	$node->reload;
}

# A test: that request is signed, by our own computation.
sub signed
{
	my ($seen, $secret, $name) = @_;
	my ($time, $signature) = ($seen->{headers}{'imgapi-signature'} // '') =~ /^t=(\d+),v1=([0-9a-f]{64})$/;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	subtest $name => sub {
		is($signature, hmac_sha256_hex("$time.$seen->{body}", $secret), 'the signature is that of time and body');
		cmp_ok(abs(time - $time), '<', 60, 'the time is now');
	};
}

# What was told of a job, from oldest to newest.
sub told
{
	my ($job) = @_;

	return grep { decode_json($_->{body})->{queueId} eq $job } web_seen('POST', qr{^/hook});
}

sub set
{
	my ($setting, $value) = @_;

	sql("ALTER SYSTEM SET imgapi.$setting = '$value'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT setting = '$value' FROM pg_settings WHERE name = 'imgapi.$setting'") or die "$setting is not set";
}

# --------------------------------------------------------- what is told

# A receiver that never answers, from now to the end: each attempt takes 10 s.
web_rule(method => 'POST', path => 'hook/silent', do => 'hold', times => 1000);
my $silent = call_job("http://localhost:$port/hook/silent?token=QUERYQUERY");
is(wait_job($node, $silent), 'DONE', 'a job whose receiver does not answer ends');

my $job = call_job("$web/hook/done?x=1&id=100");
comes($job, 'state, attempts, status, error, ended_at IS NOT NULL, lease_owner', 'sent|1|204||t|', 'a callback is sent when the job is done');
my ($seen) = told($job);
my $input = sql("SELECT path FROM img_object WHERE job_id = '$job' AND role = 'input'");
my $output = sql("SELECT path FROM img_object WHERE job_id = '$job' AND role = 'output'");
is($seen->{path}, '/hook/done?x=1&id=100', '… to its URL');
is($seen->{headers}{'content-type'}, 'application/json', '… as JSON');
is($seen->{headers}{expect}, undef, '… without asking first');
my $body = decode_json($seen->{body});
my ($source, $result) = (delete $body->{sourceFile}, delete $body->{resultFiles});
is_deeply($body, { header => { isSuccessful => JSON::PP::true, resultCode => 0, resultMessage => 'Success' }, id => '100', queueId => $job,
	operationId => '', overwritten => JSON::PP::false }, '… with the words of the contract');
is_deeply([ sort keys %$source ], [ 'name', 'path', 'url' ], '… the source');
is($source->{path}, "/$input", '… is named');
is(scalar(@$result), 1, '… the result');
is($result->[0]{path}, "/$output", '… is named');
signed($seen, sql('SELECT img_callback_secret()'), '… and signed');

my $broken = call_job("$web/hook/broken", 'no picture');
comes($broken, 'state', 'sent', 'so is that of a job that failed');
($seen) = told($broken);
is_deeply(decode_json($seen->{body})->{header}, { isSuccessful => JSON::PP::false, resultCode => 500201, resultMessage => job($node, $broken, 'error') }, '… with its error');
ok(!exists decode_json($seen->{body})->{resultFiles}, '… and no result');

my $cancelled = call_job("$web/hook/cancelled", undef, undef, "run_after => 'infinity'");
is(sql("SELECT img_cancel('$cancelled')"), 't', 'and of one that is cancelled');
comes($cancelled, 'state', 'sent', '… by somebody else than the worker');
is(decode_json((told($cancelled))[0]->{body})->{header}{resultCode}, -1, '… is told so');

# Named operation, by its owner; larger than a message to the fetcher.
sql(q{CREATE ROLE ann LOGIN; SELECT img_grant('ann')});
my $pieces = sql(q{SET ROLE ann; SELECT img_operation_put('pieces', '[{"templateOperationId": "grid", "option": {"countX": 16, "countY": 16}}]') IS NULL;
	SELECT img_submit_operation(} . literal(png(64, 64)) . qq{, 'pieces', callback_url => '$web/hook/pieces')}) =~ s/.*\n//r;
comes($pieces, 'state', 'sent', 'a job with many results');
($seen) = told($pieces);
cmp_ok(length $seen->{body}, '>', 20000, '… has a long body');
$body = decode_json($seen->{body});
is($body->{operationId}, 'pieces', '… with its operation');
is(scalar(@{ $body->{resultFiles} }), 256, '… and all files');
my $secret = sql('SET ROLE ann; SELECT img_callback_secret()');
signed($seen, $secret, '… signed with the key of its owner');
isnt($secret, sql('SELECT img_callback_secret()'), '… which is not ours');

# A job that a server does.
ClaidTest::claid_server();
ClaidTest::claid($node, 'claid');
my $remote = ClaidTest::claid_job($node, "callback_url => '$web/hook/remote'");
comes($remote, 'state', 'sent', 'a job of a server calls back too');
$body = decode_json((told($remote))[0]->{body});
ok($body->{header}{isSuccessful}, '… when it is done');
is($body->{sourceFile}{name}, 'cat.jpg', '… with the name of its source');

# ------------------------------------------------------------ once more

foreach my $case ([ 500, 0, 5, 6.25 ], [ 429, 77, 76, 77 ], [ 503, 40, 39, 40 ], [ 408, 0, 5, 6.25 ])
{
	my ($status, $after, $least, $most) = @$case;

	web_rule(method => 'POST', path => "hook/busy$status", do => 'status', code => $status, $after ? (headers => { 'Retry-After' => $after }) : ());
	$job = call_job("$web/hook/busy$status");
	is(wait_job($node, $job), 'DONE', "a receiver answers with $status");
	comes($job, 'state, attempts, status, error', "waiting|1|$status|the receiver answered with status $status", '… it is tried again');
	my $pause = callback($job, 'extract(epoch FROM next_at - clock_timestamp())');
	ok($pause > $least - 4 && $pause <= $most, '… later') or diag "after $pause s";
}
callbacks_due();
comes($job, 'state, attempts, status, error', 'sent|2|204|', '… until it takes it');
poll_is($node, q{SELECT count(*) FROM img_callback WHERE state <> 'sent' AND url LIKE '%busy%'}, 0, '… all of them do');
is(scalar(told($job)), 2, '… it was told twice');
is((told($job))[0]->{body}, (told($job))[1]->{body}, '… the same');

my $nobody = call_job("http://127.0.0.1:$closed/hook/nobody");
comes($nobody, 'state, attempts, status', 'waiting|1|', 'nobody listens: it is tried again');
like(callback($nobody, 'error'), qr/127\.0\.0\.1:$closed/, '… and said who');
web_rule(method => 'POST', path => 'hook/gone', do => 'close');
my $gone = call_job("$web/hook/gone");
comes($gone, 'state, attempts, status', 'waiting|1|', 'the connection is closed without an answer: it is tried again');
is(sql("SELECT img_callback_retry('$gone')"), 't', '… at once if somebody asks for it');
comes($gone, 'state, attempts', 'sent|1', '… and then it goes well');
is(sql("SELECT img_callback_retry('$gone')"), 'f', '… which nobody can ask for again');
sql("UPDATE img_callback SET give_up_at = now() WHERE job_id = '$nobody'");
callbacks_due();
comes($nobody, 'state, attempts > 1, ended_at IS NOT NULL', 'failed|t|t', 'after a day it has failed');

# ---------------------------------------------------------- for good

my @final = (400, 401, 403, 404, 410, 422);
call_jobs(web('status/hook?code='), @final);
poll_is($node, q{SELECT string_agg(concat_ws(' ', state, attempts, status), ', ' ORDER BY status) FROM img_callback WHERE url LIKE '%status/hook%'},
	join(', ', map { "failed 1 $_" } @final), 'other answers are final');
$job = call_job(web('redirect?to=/hook/elsewhere'));
comes($job, 'state, attempts, status, error', 'failed|1|302|the receiver answered with status 302, a redirect, and those are not followed', 'redirects are not followed');
is(scalar(web_seen('POST', qr{^/hook/elsewhere})), 0, '… nobody was there');
$job = call_job(web('bytes?n=200000'));
comes($job, 'state, status', 'sent|200', 'a receiver that answers at length has got it all the same');

set('allow_private_networks', 'off');
$job = call_job("http://localhost:$port/hook/private");
comes($job, 'state, attempts', 'failed|1', 'a private address is refused');
like(callback($job, 'error'), qr/may not be reached: .* is not a public address \(loopback\)/, '… and said why');
set('allow_private_networks', 'on');
is(sql("SELECT img_callback_retry('$job')"), 't', 'when that is allowed');
comes($job, 'state', 'sent', '… it can be sent');

web_rule(method => 'POST', path => 'hook/port', do => 'status', code => 500);
$job = call_job("$web/hook/port");
comes($job, 'state', 'waiting', 'one waits');
set('callback_ports', '80');
fails_with($node, 'SELECT img_submit(' . literal(small_png()) . ", callback_url => '$web/hook/port')", '22023', qr/port that is not allowed.*Given: $port\. Allowed: 80\..*HINT/s, 'its port is refused at submit');
callbacks_due();
comes($job, 'state, error', 'failed|its port is not allowed any more: imgapi.callback_ports', '… and when it is sent');
is(scalar(told($job)), 1, '… it was told once only');
set('callback_ports', $ports);

# ------------------------------------------- a receiver that is slow

# The other name has a turn of its own.
comes($silent, 'attempts > 1 OR state = \'waiting\'', 't', 'a receiver that does not answer in time');
like(callback($silent, 'error'), qr/\S/, '… is tried again');
my @slow = call_jobs("http://localhost:$port/hook/silent", 1 .. 40);
is(wait_job($node, $_), 'DONE', 'jobs of a slow receiver end') foreach @slow[ 0, 39 ];
poll_is($node, q{SELECT count(*) FROM img_callback WHERE state = 'sending'}, 16, 'it has so many at a time');
my $began = time;
call_jobs("$web/hook/quick", 1 .. 40);
poll_is($node, q{SELECT count(*) FROM img_callback WHERE state = 'sent' AND url LIKE '%quick%'}, 40, 'others are told');
cmp_ok(time - $began, '<', 8, '… without waiting for it');
poll_is($node, q{SELECT count(*) FROM img_callback WHERE state = 'sending'}, 16, '… which still has them');
is(wait_job($node, submit($node, small_png(99))), 'DONE', 'and jobs go on');
release();
poll_is($node, q{SELECT count(*) FROM img_callback WHERE state <> 'sent' AND url LIKE '%silent_%' AND attempts < 2}, 0, 'then it takes them all');

# ------------------------------------------------- who dies, who locks

web_rule(method => 'POST', path => 'hook/killed', do => 'hold_answer');
$job = call_job("$web/hook/killed?id=7");
held(1, 'a receiver has got it');
is(callback($job, 'state, attempts, lease_owner IS NOT NULL'), 'sending|1|t', 'which the worker does not know yet');
my $dispatcher = worker_pid($node);
kill 'KILL', $dispatcher;
wait_until(sub { ended($dispatcher) }) or die 'the dispatcher did not die';
wait_dispatcher($node, 'postgres', $dispatcher);
release();
# Its claim may not have been on disk: then attempts are one.
comes($job, 'state', 'sent', 'the worker is killed: the next one sends it again');
is(scalar(told($job)), 2, '… which was told twice');
is(decode_json($_->{body})->{queueId}, $job, '… of the same job') foreach told($job);

web_rule(method => 'POST', path => 'hook/locked', do => 'hold_answer');
$job = call_job("$web/hook/locked");
held(1, 'a callback is under way');
my $session = $node->background_psql('postgres');
$session->query_safe("BEGIN; SELECT FROM img_callback WHERE job_id = '$job' FOR UPDATE");
release();
my $other = call_job("$web/hook/other");
comes($other, 'state', 'sent', 'its row is locked: others are sent');
is(callback($job, 'state'), 'sending', '… and it stays');
$session->query_safe('COMMIT');
comes($job, 'state, attempts', 'sent|1', '… until it is free');
$session->quit;

# ----------------------------------------------------------- secrets

my $dump = $node->basedir . '/dump.sql';
my $ours = sql('SELECT img_callback_secret()');
web_rule(method => 'POST', path => 'hook/dumped', do => 'status', code => 500, times => 9);
$job = call_job("$web/hook/dumped");
comes($job, 'state', 'waiting', 'one waits');
my $rows = 'SELECT string_agg(c::text, chr(10) ORDER BY id) FROM img_callback c';
my $before = sql($rows);
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
unlike(slurp_file($dump), qr/$ours|$secret/, '… has no key');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->command_ok([ 'psql', '-v', 'ON_ERROR_STOP=1', '-qf', $dump, $node->connstr('restored') ], '… and back');
is($node->safe_psql('restored', $rows), $before, '… with all callbacks');
is($node->safe_psql('restored', q{SELECT count(*) FROM img_worker WHERE database = 'restored'}), 0, '… without waking a worker');
isnt($node->safe_psql('restored', 'SELECT img_callback_secret()'), $ours, '… and with keys of its own');

unlike(sql('SELECT string_agg(a::text, chr(10)) FROM pg_stat_activity a WHERE pid <> pg_backend_pid()'), qr/$ours|$secret|QUERYQUERY/, 'nothing is in pg_stat_activity');
unlike(sql('SELECT string_agg(error, chr(10)) FROM img_callback'), qr/$ours|$secret|QUERYQUERY/, '… nor in errors');
unlike(sql('SELECT string_agg(w::text, chr(10)) FROM img_worker w'), qr/$ours|$secret|QUERYQUERY/, '… nor in img_worker');
$node->stop;
my $log = slurp_file($node->logfile);
like($log, qr/DEBUG:/, 'the log says what there is to say');
unlike($log, qr/$ours|$secret|QUERYQUERY/, '… and no secret');
done_testing();
