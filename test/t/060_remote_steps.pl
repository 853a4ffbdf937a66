# A server that wants several calls before the submit, makes several pictures of
# one, large ones too, and is cleaned up afterwards.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ClaidTest;
use ImgTest;
use JSON::PP;
use NetworkTest qw(web_server bucket objects);
use PostgreSQL::Test::Utils;
use Test::More;

claid_server('steps_server.py');
my $node = img_node('node', 'imgapi.executors' => 1, 'imgapi.allow_private_networks' => 'on',
	# they count as memory of who has touched them
	'shared_buffers' => '16MB');
claid($node, 'claid');
web_server();
bucket($node, 'storage');
my $yes = JSON::PP::true;

claid_in_steps($node);

sub calls_of { return $node->safe_psql('postgres', "SELECT string_agg(method || ' ' || split_part(path, '/', 2) || ' ' || COALESCE(status::text, '-'), ', ' ORDER BY id) FROM img_remote_call WHERE job_id = '$_[0]'"); }

# --------------------------------------------------------------- it works

my $job = steps_job($node);
is(wait_job($node, $job), 'DONE', 'a job of several calls is done') or diag job($node, $job, 'error');
is(submits(), 1, '… and submitted once');
is(outputs($node, $job), '0 database first.png 73, 1 database second.png 73, 2 database third.png 73', '… with several results, by the names that the server gave');
picture_is($node, $job, '… of which the first is a picture');
is($node->safe_psql('postgres', "SELECT (img_info(img_output('$job', 2))).width"), 4, '… and the last, too');
cleaned($node);
is(calls_of($job), 'PUT prepare 200, PUT upload 200, POST v1 200, GET v1 200, GET v1 200, DELETE clean 204', '… one call after the other');
my $sha256 = $node->safe_psql('postgres', "SELECT encode(sha256(img_output('$job')), 'hex')");
is(remote($node, $job, "state, next_call, result ->> 'file'"), "done||$sha256", '… what was learnt of one is used in another: the picture came there as it is');
is($node->safe_psql('postgres', "SELECT bytes FROM img_object WHERE job_id = '$job' AND role = 'input'"), 73, '… and its length is known');

# ------------------------------------------------------------- it does not

my $before = submits();
claid_rule(call => 'upload', status => 503, body => '', times => 1);
$job = steps_job($node);
is(wait_job($node, $job), 'DONE', 'a call that fails is made again');
cleaned($node);
is(calls_of($job), 'PUT prepare 200, PUT upload 503, PUT upload 200, POST v1 200, GET v1 200, GET v1 200, DELETE clean 204', '… and not those before it');
claid_rule(call => 'upload', drop => $yes, act => $yes, times => 1);
claid_rule(call => 'submit', status => 503, body => '', times => 1);
$job = steps_job($node);
is(wait_job($node, $job), 'DONE', '… as is one without an answer, and a submit that has not begun');
is(submits(), $before + 2, 'each is submitted once');
claid_rule(call => 'prepare', status => 429, body => '', headers => { 'Retry-After' => 1 }, times => 1);
$job = steps_job($node);
is(wait_job($node, $job), 'DONE', 'a call that is too much is made later');
is(job($node, $job, 'attempts'), 1, '… at no cost');
claid_rule(call => 'upload', status => 422, body => { error_code => '9', error_type => 'x', error_message => 'No picture', error_details => {} }, times => 1);
$job = steps_job($node, 'max_attempts => 1');
refused($node, $job, '22023', 'upload', qr/status 422: No picture \(code 9\)/, 'a call that is refused');
is(remote($node, $job, 'state'), 'failed', '… is kept');
claid_rule(call => 'source', status => 404, body => '', times => 1);
$job = steps_job($node, 'max_attempts => 1');
refused($node, $job, '02000', 'status', qr/404/, 'a picture that cannot be had');
is(submits(), $before + 3, '… is not submitted');
$node->safe_psql('postgres', "SELECT img_retry('$job')");
is(wait_job($node, $job), 'DONE', '… until it can');
claid_rule(call => 'download', status => 403, body => '', times => 1);
$job = steps_job($node);
is(wait_job($node, $job), 'DONE', 'one of several results cannot be had: all are fetched again');
is(outputs($node, $job), '0 database first.png 73, 1 database second.png 73, 2 database third.png 73', '… and are complete');
is(submits(), $before + 5, '… without another submit');
claid_rule(call => 'download', status => 404, body => '');
$job = steps_job($node, 'max_attempts => 1');
is(wait_job($node, $job), 'ERROR', 'results that are not there');
forget();
is($node->safe_psql('postgres', "SELECT count(*) FROM img_remote_call WHERE job_id = '$job' AND method = 'DELETE'"), 0, '… are not removed: they may come');
$node->safe_psql('postgres', "SELECT img_retry('$job')");
is(wait_job($node, $job), 'DONE', '… and do');
cleaned($node);

claid_rule(call => 'upload', hold => $yes, times => 1);
$before = submits();
$job = steps_job($node);
held(1, 'a job is being prepared');
$node->safe_psql('postgres', "SELECT img_cancel('$job')");
poll_is($node, "SELECT string_agg(method || ' ' || status, ', ') FROM img_remote_call WHERE job_id = '$job' AND path LIKE '/clean/%'", 'DELETE 204', '… and cancelled: it is cleaned up');
release();
is(submits(), $before, '… and not submitted');

# ------------------------------------------------------- stored elsewhere

$job = steps_job($node, q{output => '{"destination": "storage://storage/results/"}'});
is(wait_job($node, $job), 'DONE', 'results that go to another server') or diag job($node, $job, 'error');
is(outputs($node, $job), '0 storage first.png 73, 1 storage second.png 73, 2 storage third.png 73', '… are there, as img_object says');
is(join(' ', sort grep { /^results/ } keys %{ objects() }), 'results/first.png results/second.png results/third.png', '… and they are');
is($node->safe_psql('postgres', "SELECT count(*) FROM img_object WHERE job_id = '$job' AND encode(sha256, 'hex') = '$sha256'"), 3, '… whole');

# -------------------------------------------------------------- large ones

sub peak
{
	my ($name, $megabytes, @more) = @_;
	my $dispatcher = worker_pid($node);
	my ($now, $id);

	open(my $file, '>', "/proc/$dispatcher/clear_refs") or die;
	print $file '5';
	close $file;
	$now = status_field($dispatcher, 'VmHWM') =~ s/ kB//r;
	claid_rule(call => 'download', bytes => 50_000_000);
	$id = steps_job($node, @more);
	is(wait_job($node, $id, 120), 'DONE', $name) or diag job($node, $id, 'error');
	forget();
	cmp_ok((status_field($dispatcher, 'VmHWM') =~ s/ kB//r) - $now, '<', $megabytes * 1024, '… in bounded memory');
	return $id;
}
$job = peak('three results of 50 MB that go to another server', 10, q{output => '{"destination": "storage://storage/large/"}'});
is(outputs($node, $job), join(', ', map { (0, 1, 2)[$_] . ' storage ' . qw(first second third)[$_] . '.png 50000000' } 0 .. 2), '… are there');
# one at a time, as the executor of statements has it twice
$job = peak('three that go to the database', 130);
is($node->safe_psql('postgres', "SELECT count(*), min(length(data)), max(length(data)) FROM img_object WHERE job_id = '$job' AND role = 'output'"), '3|50000000|50000000', '… are there');
$node->safe_psql('postgres', "UPDATE img_job_ended SET expires_at = now(); UPDATE img_object SET expires_at = now(); SELECT img_purge()");

is_deeply(claid_state()->{problems}, [], 'the server has nothing to complain about');
$node->stop;
done_testing();
