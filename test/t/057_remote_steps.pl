# A server that wants several calls before the submit, makes several pictures of
# one, large ones too, and is cleaned up afterwards; killed at every step.

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

my $port = claid_server('steps_server.py');
my $node = img_node('node', 'imgapi.executors' => 1, 'imgapi.allow_private_networks' => 'on');
claid($node, 'claid');
web_server();
bucket($node, 'storage');
my $yes = JSON::PP::true;

# What a type of server with such an API would say.
$node->safe_psql('postgres', q{
	ALTER FUNCTION img_claid_request(text, img_remote, jsonb, text) RENAME TO img_own_request;
	ALTER FUNCTION img_claid_read(text, img_remote, jsonb) RENAME TO img_own_read;
	CREATE FUNCTION img_claid_request(what text, r img_remote, request jsonb, input text) RETURNS img_remote_request LANGUAGE plpgsql AS $$
	BEGIN
		CASE what
			WHEN 'prepare' THEN RETURN ROW('PUT', '/prepare/' || r.job_id, 'application/json', '{"folder": true}', NULL, NULL)::public.img_remote_request;
			WHEN 'upload' THEN RETURN ROW('PUT', '/upload/' || r.job_id, 'application/octet-stream', NULL, true, NULL)::public.img_remote_request;
			WHEN 'submit' THEN RETURN public.img_own_request(what, r, request, 'https://uploaded/' || COALESCE(r.result ->> 'file', 'none'));
			WHEN 'clean' THEN RETURN ROW('DELETE', '/clean/' || r.job_id, NULL, NULL, NULL, NULL)::public.img_remote_request;
			WHEN 'cancel' THEN RETURN public.img_claid_request(CASE r.state WHEN 'preparing' THEN 'clean' ELSE 'none' END, r, request, input);
			ELSE RETURN public.img_own_request(what, r, request, input);
		END CASE;
	END $$;
	CREATE FUNCTION img_claid_read(what text, r img_remote, document jsonb) RETURNS img_remote_answer LANGUAGE plpgsql AS $$
	DECLARE
		answer public.img_remote_answer := public.img_own_read(what, r, document);
	BEGIN
		CASE what
			WHEN 'begin' THEN answer.next := 'prepare';
			WHEN 'prepare' THEN answer.next := CASE WHEN document ? 'done' THEN 'upload' END;
			WHEN 'upload' THEN
				answer.next := CASE WHEN document ? 'done' THEN 'submit' END;
				answer.result := jsonb_build_object('file', document -> 'file');
			WHEN 'poll' THEN
				IF answer.state = 'done' THEN
					answer.urls := ARRAY[answer.urls[1] || '&0', answer.urls[1] || '&1', answer.urls[1] || '&2'];
					answer.names := ARRAY['folder/first.png', 'second.png', 'third.png'];
					answer.next := 'clean';
				END IF;
			ELSE NULL;
		END CASE;
		RETURN answer;
	END $$;});

my $source = "http://127.0.0.1:$port/source.png";
sub steps_job { return claid_job($node, \$source, @_); }
sub calls_of { return $node->safe_psql('postgres', "SELECT string_agg(method || ' ' || split_part(path, '/', 2) || ' ' || COALESCE(status::text, '-'), ', ' ORDER BY id) FROM img_remote_call WHERE job_id = '$_[0]'"); }
sub outputs { return $node->safe_psql('postgres', "SELECT string_agg(ordinal || ' ' || storage || ' ' || name || ' ' || bytes, ', ' ORDER BY ordinal) FROM img_object WHERE job_id = '$_[0]' AND role = 'output'"); }
sub cleaned { return poll_is($node, 'SELECT count(*) FROM img_remote_followup', 0, $_[0] // '… and it is cleaned up'); }

# --------------------------------------------------------------- it works

my $job = steps_job();
is(wait_job($node, $job), 'DONE', 'a job of several calls is done') or diag job($node, $job, 'error');
is(submits(), 1, '… and submitted once');
is(outputs($job), '0 database first.png 73, 1 database second.png 73, 2 database third.png 73', '… with several results, by the names that the server gave');
picture_is($node, $job, '… of which the first is a picture');
is($node->safe_psql('postgres', "SELECT (img_info(img_output('$job', 2))).width"), 4, '… and the last, too');
cleaned();
is(calls_of($job), 'PUT prepare 200, PUT upload 200, POST v1 200, GET v1 200, GET v1 200, DELETE clean 204', '… one call after the other');
my $sha256 = $node->safe_psql('postgres', "SELECT encode(sha256(img_output('$job')), 'hex')");
is(remote($node, $job, "state, next_call, result ->> 'file'"), "done||$sha256", '… what was learnt of one is used in another: the picture came there as it is');
is($node->safe_psql('postgres', "SELECT bytes FROM img_object WHERE job_id = '$job' AND role = 'input'"), 73, '… and its length is known');

# ------------------------------------------------------------- it does not

my $before = submits();
claid_rule(call => 'upload', status => 503, body => '', times => 1);
$job = steps_job();
is(wait_job($node, $job), 'DONE', 'a call that fails is made again');
is(calls_of($job), 'PUT prepare 200, PUT upload 503, PUT upload 200, POST v1 200, GET v1 200, GET v1 200, DELETE clean 204', '… and not those before it');
claid_rule(call => 'upload', drop => $yes, act => $yes, times => 1);
claid_rule(call => 'submit', status => 503, body => '', times => 1);
$job = steps_job();
is(wait_job($node, $job), 'DONE', '… as is one without an answer, and a submit that has not begun');
is(submits(), $before + 2, 'each is submitted once');
claid_rule(call => 'prepare', status => 429, body => '', headers => { 'Retry-After' => 1 }, times => 1);
$job = steps_job();
is(wait_job($node, $job), 'DONE', 'a call that is too much is made later');
is(job($node, $job, 'attempts'), 1, '… at no cost');
claid_rule(call => 'upload', status => 422, body => { error_code => '9', error_type => 'x', error_message => 'No picture', error_details => {} }, times => 1);
$job = steps_job('max_attempts => 1');
refused($node, $job, '22023', 'upload', qr/status 422: No picture \(code 9\)/, 'a call that is refused');
is(remote($node, $job, 'state'), 'failed', '… is kept');
claid_rule(call => 'source', status => 404, body => '', times => 1);
$job = steps_job('max_attempts => 1');
refused($node, $job, '02000', 'status', qr/404/, 'a picture that cannot be had');
is(submits(), $before + 3, '… is not submitted');
$node->safe_psql('postgres', "SELECT img_retry('$job')");
is(wait_job($node, $job), 'DONE', '… until it can');
claid_rule(call => 'download', status => 403, body => '', times => 1);
$job = steps_job();
is(wait_job($node, $job), 'DONE', 'one of several results cannot be had: all are fetched again');
is(outputs($job), '0 database first.png 73, 1 database second.png 73, 2 database third.png 73', '… and are complete');
is(submits(), $before + 5, '… without another submit');
claid_rule(call => 'download', status => 404, body => '');
$job = steps_job('max_attempts => 1');
is(wait_job($node, $job), 'ERROR', 'results that are not there');
forget();
is($node->safe_psql('postgres', "SELECT count(*) FROM img_remote_call WHERE job_id = '$job' AND method = 'DELETE'"), 0, '… are not removed: they may come');
$node->safe_psql('postgres', "SELECT img_retry('$job')");
is(wait_job($node, $job), 'DONE', '… and do');
cleaned();

claid_rule(call => 'upload', hold => $yes, times => 1);
$before = submits();
$job = steps_job();
held(1, 'a job is being prepared');
$node->safe_psql('postgres', "SELECT img_cancel('$job')");
poll_is($node, "SELECT string_agg(method || ' ' || status, ', ') FROM img_remote_call WHERE job_id = '$job' AND path LIKE '/clean/%'", 'DELETE 204', '… and cancelled: it is cleaned up');
release();
is(submits(), $before, '… and not submitted');

# ------------------------------------------------------- stored elsewhere

$job = steps_job(q{output => '{"destination": "storage://storage/results/"}'});
is(wait_job($node, $job), 'DONE', 'results that go to another server') or diag job($node, $job, 'error');
is(outputs($job), '0 storage first.png 73, 1 storage second.png 73, 2 storage third.png 73', '… are there, as img_object says');
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
	$id = steps_job(@more);
	is(wait_job($node, $id, 120), 'DONE', $name) or diag job($node, $id, 'error');
	forget();
	cmp_ok((status_field($dispatcher, 'VmHWM') =~ s/ kB//r) - $now, '<', $megabytes * 1024, '… in bounded memory');
	return $id;
}
$job = peak('three results of 50 MB that go to another server', 10, q{output => '{"destination": "storage://storage/large/"}'});
is(outputs($job), join(', ', map { (0, 1, 2)[$_] . ' storage ' . qw(first second third)[$_] . '.png 50000000' } 0 .. 2), '… are there');
$job = peak('three that go to the database', 80);
is($node->safe_psql('postgres', "SELECT count(*), min(length(data)), max(length(data)) FROM img_object WHERE job_id = '$job' AND role = 'output'"), '3|50000000|50000000', '… are there');
$node->safe_psql('postgres', "UPDATE img_job_ended SET expires_at = now(); UPDATE img_object SET expires_at = now(); SELECT img_purge()");

# ------------------------------------------------------------------ crashes

foreach my $how ([ 'the dispatcher', \&kill_dispatcher ], [ 'the server', \&kill_server ])
{
	my ($name, $kill) = @$how;
	my $killed = sub {
		my ($step, $end, $submits, %rule) = @_;
		return ends_after($node, "$name is killed while $step", $kill, \&steps_job, $end, $submits, %rule);
	};

	$killed->('the picture is fetched', 'DONE', 1, call => 'source');
	$killed->("$_ is under way", 'DONE', 1, call => $_) foreach 'prepare', 'upload';
	$killed->('the answer to the upload is under way', 'DONE', 1, call => 'upload', act => $yes, drop => $yes);
	$killed->('the submit is under way', 'ERROR', 0, call => 'submit', drop => $yes);
	$killed->('the answer to the submit is under way', 'ERROR', 1, call => 'submit', act => $yes, drop => $yes);
	$job = $killed->('one of the results is under way', 'DONE', 1, call => 'download');
	is(outputs($job), '0 database first.png 73, 1 database second.png 73, 2 database third.png 73', '… all of them');
	$job = $killed->('it is cleaned up', 'DONE', 1, call => 'clean');
	cleaned();
	is($node->safe_psql('postgres', "SELECT count(*) > 0 FROM img_remote_call WHERE job_id = '$job' AND method = 'DELETE' AND status = 204"), 't', '… by another');
}

is_deeply(claid_state()->{problems}, [], 'the server has nothing to complain about');
$node->stop;
done_testing();
