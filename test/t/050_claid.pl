# Jobs that a server of type claid does: what it is asked, every answer that its
# contract has, and who may.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ClaidTest;
use ImgTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

claid_server();
my $node = img_node('node', 'imgapi.executors' => 1, 'log_min_messages' => 'debug1', 'log_statement' => 'none');
claid($node, 'claid');

# ------------------------------------------------------------------ it works

my $job = claid_job($node, q{output => '{"format": {"type": "webp", "compression": {"type": "lossy", "quality": 60}}, "metadata": {"dpi": 72}}'});
is(wait_job($node, $job), 'DONE', 'a job is done by its server') or diag job($node, $job, 'error');
picture_is($node, $job, '… and its result is here, as it was');
is(submits(), 1, '… submitted once');
is(remote($node, $job, 'state, remote_id, status, polls, server, server_type'), 'done|1001|DONE|2|claid|claid', '… as img_remote says');
like(remote($node, $job, q{result #>> '{output_object,tmp_url}'}), qr{/tmp/1001\.png}, '… with the link of the server');
is($node->safe_psql('postgres', "SELECT method, path, status, ms IS NOT NULL, request_id ~ '^[0-9a-f-]{36}\$', error IS NULL FROM img_remote_call WHERE job_id = '$job' ORDER BY id"),
	"POST|/v1/image/edit/async|200|t|t|t\n" . join("\n", ('GET|/v1/image/edit/async/1001|200|t|t|t') x 2), '… and img_remote_call');
is($node->safe_psql('postgres', "SELECT role, storage, format, width, height FROM img_object WHERE job_id = '$job' ORDER BY role"),
	"input|url|jpeg|160|120\noutput|database|png|4|2", '… and img_object');
my $sent = decode_json((grep { $_->{call} eq 'submit' } @{ claid_state()->{calls} })[0]->{body});
is_deeply($sent, { input => 'https://example.com/cat.jpg?signature=s3cr3t', operations => { background => { remove => JSON::PP::true } },
	output => { format => { type => 'webp', compression => { type => 'lossy', quality => 60 } }, metadata => { dpi => 72 } } }, 'what it was asked');
job_is($node, $job, 'server, attempts, error IS NULL', 'claid|1|t', 'what img_job says');

# --------------------------------------------------------- other pictures

sub input_of { return decode_json((grep { $_->{call} eq 'submit' } @{ claid_state()->{calls} })[-1]->{body})->{input}; }
$node->safe_psql('postgres', q{CREATE SERVER photos TYPE 's3' FOREIGN DATA WRAPPER imgapi OPTIONS (endpoint 'https://s3.example.com', bucket 'photos', path_style 'true');
	CREATE USER MAPPING FOR PUBLIC SERVER photos OPTIONS (access_key_id 'key', secret_access_key 'another secret key')});
$job = $node->safe_psql('postgres', q{SELECT img_submit('storage://photos/a/cat.jpg', '{}', server => 'claid')});
is(wait_job($node, $job), 'DONE', 'a picture on an S3 server') or diag job($node, $job, 'error');
like(input_of(), qr{^https://s3\.example\.com/photos/a/cat\.jpg\?X-Amz-Algorithm=.*&X-Amz-Expires=21600&.*X-Amz-Signature=[0-9a-f]{64}$}, '… is sent as a link');
is($node->safe_psql('postgres', "SELECT count(*) FROM img_remote r, img_remote_call c WHERE r::text || c::text ~ 'X-Amz'"), 0, '… that is kept nowhere');
$node->safe_psql('postgres', $_) foreach q{ALTER SYSTEM SET imgapi.public_url = 'https://pictures.example.com'}, 'SELECT pg_reload_conf()';
$node->poll_query_until('postgres', q{SELECT current_setting('imgapi.public_url') <> ''}) or die;
$job = $node->safe_psql('postgres', 'SELECT img_submit(' . literal(small_png()) . q{, '{"background": {"remove": true}}', server => 'claid', job_key => 'mine')});
is(wait_job($node, $job), 'DONE', 'a picture in the database') or diag job($node, $job, 'error');
like(input_of(), qr{^https://pictures\.example\.com/o/[0-9a-f-]{36}/.*&s=[0-9a-f]{64}$}, '… is sent as a link of the gateway');
picture_is($node, $job, '… and its result is here');
is($node->safe_psql('postgres', "SELECT bytes > 0, width FROM img_object WHERE job_id = '$job' AND role = 'input'"), 't|160', '… and so is the picture');
$node->safe_psql('postgres', $_) foreach q{ALTER SYSTEM RESET imgapi.public_url}, 'SELECT pg_reload_conf()';
$node->poll_query_until('postgres', q{SELECT current_setting('imgapi.public_url') = ''}) or die;

# ------------------------------------------------- what cannot be, at submit

sub no_submit
{
	my ($arguments, $sqlstate, $regexp, $name) = @_;
	fails_with($node, "SELECT img_submit($arguments)", $sqlstate, $regexp, $name);
}
my $url = q{'https://example.com/a.jpg'};
no_submit("$url, '{\"$_\": 90}', server => 'claid'", '0A000', qr/operations\.$_ is not offered by servers of type claid/, "no $_")
  foreach 'rotate';
no_submit(qq{$url, '{"resizing": {"width": 10, "fit": "fill"}}', server => 'claid'}, '0A000', qr/fit "fill" is not offered/, 'no fit of ours');
no_submit(qq{$url, '{"resizing": {"widht": 10}}', server => 'claid'}, '22023', qr/widht is not a known key/, 'no unknown key');
no_submit(qq{$url, '{"background": {"remove": true}}'}, '0A000', qr/server => 'claid'/, 'without a server the hint names one');
no_submit(qq{$url, '{}', server => 'nobody'}, '42704', qr/server "nobody" does not exist/, 'no server');
no_submit(q{'\x00'::bytea, '{}', server => 'claid'}, '0A000', qr/imgapi\.public_url is not set/, 'no bytes without a gateway');
no_submit(q{'storage://database/x', '{}', server => 'claid'}, '0A000', qr/by its name/, 'no picture in the database by name');
$node->safe_psql('postgres', q{CREATE SERVER web TYPE 'http' FOREIGN DATA WRAPPER imgapi OPTIONS (url 'https://example.com');
	CREATE ROLE somebody LOGIN; SELECT img_grant('somebody')});
no_submit(qq{$url, '{}', server => 'web'}, '0A000', qr/sends no jobs to servers of type http/, 'no server of another type');
fails_with($node, "SET ROLE somebody; SELECT img_submit($url, '{}', server => 'claid')", '42501', qr/permission denied for foreign server claid/, 'no server without USAGE');

# ------------------------------------------------ refusals, while submitting

my $before = submits();

sub answers
{
	my ($status, $body, $sqlstate, $regexp, $name, %more) = @_;
	claid_rule(call => 'submit', status => $status, body => $body, times => 1, %more);
	my $id = claid_job($node, 'max_attempts => 1');
	refused($node, $id, $sqlstate, 'submit', $regexp, $name);
	return $id;
}
sub error { return { error_code => "$_[0]", error_type => $_[1], error_message => $_[2], error_details => $_[3] // {} }; }
$job = answers(422, error(9000, 'validation', 'Validation error', { 'body.operations.background' => ['extra fields not permitted'] }),
	'22023', qr/status 422: Validation error: body\.operations\.background: extra fields not permitted \(code 9000\), request [0-9a-f-]{36}/, '422');
is(remote($node, $job, 'state'), 'failed', '… is kept');
answers(400, error(1, 'web', 'Bad request'), '22023', qr/Bad request \(code 1\)/, '400');
answers(402, error(3, 'billing', 'No calls left'), '53000', qr/No calls left/, '402');
answers(403, error(4, 'auth', 'No scope'), '42501', qr/No scope/, '403');
answers(404, { detail => [ { loc => [ 'body', 'input' ], msg => 'not found', type => 'value' } ] }, '02000', qr/body\.input: not found/, '404 with a list');
answers(409, { detail => error(5, 'storage', 'In use') }, '55000', qr/In use \(code 5\)/, '409 with a nested error');
answers(503, 'busy', '58000', qr/status 503/, '503');
answers(301, '', '58000', qr/status 301/, 'a redirect', headers => { Location => 'https://example.com/' });
answers(422, error(9000, 'validation', 'no picture at https://example.com/cat.jpg?signature=s3cr3t'), '22023',
	qr{no picture at https://example\.com/cat\.jpg \(code}, 'an error with a link in it');
claid($node, 'other', '', 'a wrong key');
$job = $node->safe_psql('postgres', "SELECT img_submit($url, '{}', server => 'other')");
refused($node, $job, '28000', 'submit', qr/status 401: Unauthorized \(code 111\)/, '401');
is(submits(), $before, 'none of them was accepted');

# Nobody can know.
$job = answers(200, 'not JSON', '58000', qr/not known whether server "claid" has begun this job: its answer makes no sense/, 'an answer that is none');
is(remote($node, $job, 'state'), 'unknown', '… is kept');
answers(200, { data => [] }, '58000', qr/makes no sense/, 'an answer without an id');
answers(200, '{"data": {"id": "' . 'x' x 2_000_000 . '"}}', '58000', qr/not known whether/, 'a huge answer');
answers(500, error(6, 'general', 'Broken'), '58000', qr/not known whether .* status 500: Broken \(code 6\)/, '500 that the API says');
answers(502, '<html>', '58000', qr/not known whether .* status 502/, '502 of somebody between');
answers(0, '', '58000', qr/not known whether/, 'no answer', drop => JSON::PP::true);
is(submits(), $before, 'none of them was accepted');
$job = answers(0, '', '58000', qr/not known whether/, 'no answer, but it was accepted', drop => JSON::PP::true, act => JSON::PP::true);
is(submits(), $before + 1, '… once');
$node->safe_psql('postgres', "SELECT img_retry('$job')");
is(wait_job($node, $job), 'DONE', 'who knows better has it tried again');
is(submits(), $before + 2, '… which submits it anew');

# What has not begun is tried again.
claid_rule(call => 'submit', status => 503, body => '', times => 1);
$job = claid_job($node);
is(wait_job($node, $job), 'DONE', 'after a 503 it is submitted again');
job_is($node, $job, 'attempts', 2, '… at the next attempt');
is(submits(), $before + 3, '… once');

# ----------------------------------------------------------------- statuses

$before = submits();
claid_rule(call => 'poll', task => $_, times => 1) foreach 'WAITING', 'PAUSED', 'SOMETHING NEW';
$job = claid_job($node);
is(wait_job($node, $job), 'DONE', 'statuses to wait through');
is(remote($node, $job, 'status'), 'DONE', '… and the last one');
claid_rule(call => 'poll', task => 'ERROR', times => 1);
$job = claid_job($node);
refused($node, $job, '58000', 'remote', qr/server "claid" failed: the picture could not be read/, 'ERROR');
is(remote($node, $job, 'state, status'), 'failed|ERROR', '… is kept');
claid_rule(call => 'poll', task => 'CANCELLED', times => 1);
$job = claid_job($node);
is(wait_job($node, $job), 'CANCELLED', 'CANCELLED');
like(job($node, $job, 'error'), qr/has cancelled it/, '… says who');
claid_rule(call => 'poll', status => 500, body => 'oh', times => 1);
claid_rule(call => 'poll', say => 'garbage', times => 1);
claid_rule(call => 'poll', drop => JSON::PP::true, times => 1);
$job = claid_job($node);
is(wait_job($node, $job), 'DONE', 'polls that fail are made again');
is(submits(), $before + 4, '… and nothing is submitted twice');
is($node->safe_psql('postgres', "SELECT count(*) >= 2 FROM img_remote_call WHERE job_id = '$job' AND error IS NOT NULL"), 't', '… and they are kept');
claid_rule(call => 'poll', status => 403, body => error(4, 'auth', 'No scope'), times => 1);
$job = claid_job($node);
refused($node, $job, '42501', 'poll', qr/No scope/, 'a poll that is refused');
$before = submits();
$node->safe_psql('postgres', "SELECT img_retry('$job')");
is(wait_job($node, $job), 'DONE', '… can be taken up again');
is(submits(), $before, '… without another submit');
claid_rule(call => 'poll', hold => JSON::PP::true, times => 1);
$job = claid_job($node);
held(1, 'a poll is held');
lose();
release();
refused($node, $job, '02000', 'poll', qr/has lost the job/, 'a job that the server has lost');
claid_rule(call => 'download', status => 403, body => '', times => 1);
$job = claid_job($node);
is(wait_job($node, $job), 'DONE', 'a link that has expired is asked for again');
job_is($node, $job, 'attempts', 2, '… at the next attempt');
is(submits(), $before + 2, '… without another submit');

# -------------------------------------------------------------------- limits

claid_rule(call => 'submit', status => 429, body => { detail => error(2001, 'web', 'Too many') }, headers => { 'RateLimit-Reset' => 3 }, times => 1);
$before = claid_state();
$job = claid_job($node);
poll_is($node, "SELECT count(*) FROM img_remote_call WHERE job_id = '$job' AND status = 429", 1, 'a submit is too much');
my $other = claid_job($node);
is(wait_job($node, $job), 'DONE', '… and is made later');
is(wait_job($node, $other), 'DONE', '… as is another');
job_is($node, $job, 'attempts', 1, '… at no cost');
my @calls = @{ claid_state()->{calls} }[ scalar @{ $before->{calls} } .. $#{ claid_state()->{calls} } ];
ok($calls[1]{at} - $calls[0]{at} >= 2.9, 'the whole server is left alone as long as it asked') or diag join ' ', map { $_->{at} } @calls;
is(submits(), $before->{submits} + 2, 'each is submitted once');

$node->safe_psql('postgres', "ALTER SERVER claid OPTIONS (ADD max_concurrency '2')");
claid_rule(call => 'poll', hold => JSON::PP::true);
$before = submits();
my @jobs = map { claid_job($node) } 1 .. 5;
held(2, 'max_concurrency jobs are there at a time');
is(submits(), $before + 2, '… and no more');
my $local = submit($node, small_png());
is(wait_job($node, $local), 'DONE', '… the database works on its own');
forget();
release();
is(wait_job($node, $_), 'DONE', 'one of five') foreach @jobs;
is(submits(), $before + 5, 'each was submitted once');

# ------------------------------------------------------------ cancel, rights

claid_rule(call => 'poll', hold => JSON::PP::true, times => 1);
$job = claid_job($node);
held(1, 'a job is polled');
is($node->safe_psql('postgres', "SELECT img_cancel('$job')"), 't', 'it can be cancelled');
is(wait_job($node, $job), 'CANCELLED', '… and is');
poll_is($node, 'SELECT sum(inflight) FROM img_worker', 0, '… and is in nobody\'s hands');
release();
claid_rule(call => 'submit', hold => JSON::PP::true, act => JSON::PP::true, times => 1);
$job = claid_job($node);
held(1, 'a job is submitted');
$node->safe_psql('postgres', "SELECT img_cancel('$job')");
release();
wait_state($node, $job, 'submitted');
is(remote($node, $job, 'remote_id IS NOT NULL'), 't', 'what was submitted is known even when it was cancelled meanwhile');

$node->safe_psql('postgres', 'GRANT USAGE ON FOREIGN SERVER claid TO somebody');
claid_rule(call => 'poll', hold => JSON::PP::true, times => 1);
$job = $node->safe_psql('postgres', "SET ROLE somebody; SELECT img_submit($url, '{}', server => 'claid')");
held(1, 'somebody\'s job is polled');
$node->safe_psql('postgres', 'REVOKE USAGE ON FOREIGN SERVER claid FROM somebody');
release();
refused($node, $job, '42501', 'poll', qr/permission denied for foreign server claid/, 'the right to the server is asked for every time');
is($node->safe_psql('postgres', 'SET ROLE somebody; SELECT count(*) FROM img_remote'), 1, 'others\' rows are not seen');
is($node->safe_psql('postgres', 'SET ROLE somebody; SELECT count(DISTINCT job_id) FROM img_remote_call'), 1, '… nor their calls');

like(readlink('/proc/' . worker_pid($node) . '/fd/0') // 'closed', qr{^/dev/null$}, 'the dispatcher has closed nothing that is not its own');

# ------------------------------------------------------------------- secrets

is_deeply(claid_state()->{problems}, [], 'the server has nothing to complain about');
unlike(slurp_file($node->logfile), qr/the secret key|a wrong key/, 'no key is in the log');
foreach my $table (qw(img_job_live img_job_ended img_job_error img_remote img_remote_call img_object))
{
	is($node->safe_psql('postgres', "SELECT count(*) FROM $table t WHERE t::text ~ 'secret key|wrong key'"), 0, "… nor in $table");
}
is($node->safe_psql('postgres', "SELECT count(*) FROM img_job_error WHERE error ~ 's3cr3t'"), 0, 'no signature of an input is in an error');
is($node->safe_psql('postgres', q{SELECT max(n) <= 50 FROM (SELECT count(*) AS n FROM img_remote_call GROUP BY job_id) c}), 't', 'calls are bounded');
$node->safe_psql('postgres', q{UPDATE img_job_ended SET expires_at = now() - interval '1 s'; UPDATE img_object SET expires_at = now() - interval '1 s'});
$node->safe_psql('postgres', 'SELECT img_purge()');
is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM img_remote), (SELECT count(*) FROM img_remote_call)'), '0|0', 'and purged with their jobs');

$node->stop;
done_testing();
