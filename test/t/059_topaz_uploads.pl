# Pictures in the database that a server of type topaz is sent, and jobs whose
# answer to the submit was lost: they are looked for in its list, and submitted
# once.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ClaidTest;
use Digest::SHA 'sha256_hex';
use ImgTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

claid_server('topaz_server.py');
my $node = img_node('node', 'imgapi.executors' => 1, 'log_statement' => 'none');
topaz($node, 'topaz');
my $yes = JSON::PP::true;

# Queues a picture, given in SQL; the job's id. Arguments beyond as SQL.
sub upload
{
	my ($picture, @more) = @_;

	return $node->safe_psql('postgres', 'SELECT img_submit('
		  . join(', ', $picture // literal(small_png()), q{'{"restorations": {"upscale": "photo"}}'}, "server => 'topaz'", @more) . ')');
}

sub form { return claid_state()->{forms}[-1]; }
sub finds { return scalar grep { $_->{call} eq 'find' } @{ claid_state()->{calls} }; }

# ------------------------------------------------------------------- uploads

my $job = upload();
is(wait_job($node, $job), 'DONE', 'a picture in the database is done, without a gateway') or diag job($node, $job, 'error');
is_deeply(form(), { model => 'High Fidelity V2', image => { filename => "$job.png", type => 'image/png', bytes => length small_png(),
	sha256 => sha256_hex(small_png()) } }, '… of which the server has the bytes, under the name of the job');
picture_is($node, $job, '… and its result is here');
is($node->safe_psql('postgres', "SELECT role, storage, bytes > 0 FROM img_object WHERE job_id = '$job' ORDER BY role"),
	"input|database|t\noutput|database|t", '… and img_object');
my $large = q{('\xffd8ffe0'::bytea || (SELECT string_agg(sha256(i::text::bytea), ''::bytea) FROM generate_series(1, 100000) i))};
$job = upload($large);
is(wait_job($node, $job), 'DONE', 'a large picture') or diag job($node, $job, 'error');
is(form()->{image}{filename}, "$job.jpg", '… is sent under its name');
is(form()->{image}{sha256}, $node->safe_psql('postgres', "SELECT encode(sha256($large), 'hex')"), '… as it is');
claid_rule(call => 'submit', status => 503, body => '', times => 1);
$job = upload($large);
is(wait_job($node, $job), 'DONE', 'after a 503 it is sent again') or diag job($node, $job, 'error');
is(form()->{image}{bytes}, 3_200_004, '… all of it');
$job = upload(literal(made($node, small_png(), '{}', '{"format": "webp"}')));
is(wait_job($node, $job), 'ERROR', 'a picture that the API does not take');
is(job($node, $job, 'error_code, error'), '0A000|a picture of type webp is not offered by servers of type topaz', '… is not sent');
is($node->safe_psql('postgres', "SELECT count(*) FROM img_remote_call WHERE job_id = '$job'"), 0, '… at all');
$job = $node->safe_psql('postgres', 'SELECT img_submit(' . literal(small_png()) . q{, '{"topaz": {"endpoint": "tool"}}', server => 'topaz')});
is(wait_job($node, $job), 'DONE', 'a PNG for the endpoint that takes no other') or diag job($node, $job, 'error');
is(submits(), 4, 'each was submitted once');

# ---------------------------------------------------------- answers are lost

my $before = submits();
claid_rule(call => 'submit', drop => $yes, act => $yes, times => 1);
$job = upload();
is(wait_job($node, $job), 'DONE', 'the answer to the submit is lost: it is found') or diag job($node, $job, 'error');
is(submits(), $before + 1, '… and not submitted again');
is(finds(), 2, '… in a list of several pages');
picture_is($node, $job, '… and its result is here');
claid_rule(call => 'submit', status => 500, body => { message => 'Broken' }, act => $yes, times => 1);
$job = upload();
is(wait_job($node, $job), 'DONE', 'an error of the API is no proof that it has not begun');
is(submits(), $before + 2, '… and nothing is submitted again');
claid_rule(call => 'submit', drop => $yes, act => $yes, times => 1);
claid_rule(call => 'find', status => 500, body => '', times => 1);
claid_rule(call => 'find', say => 'garbage', times => 1);
claid_rule(call => 'find', drop => $yes, times => 1);
$job = upload();
is(wait_job($node, $job), 'DONE', 'looking for it is tried again');
is(submits(), $before + 3, '… and nothing is submitted again');

claid_rule(call => 'submit', status => 500, body => { code => 7, message => 'Broken' }, times => 1);
$job = upload();
refused($node, $job, '58000', 'submit', qr/not known whether server "topaz" has begun this job: .* status 500: Broken \(code 7\).*; its list does not have it/,
	'one that is not in the list');
is(submits(), $before + 3, '… is not submitted again');
is(remote($node, $job, 'state'), 'unknown', '… as img_remote says');
$node->safe_psql('postgres', "SELECT img_retry('$job')");
is(wait_job($node, $job), 'DONE', 'who knows better has it tried again');
is(submits(), $before + 4, '… which submits it anew');
claid_rule(call => 'submit', drop => $yes, act => $yes, times => 1);
claid_rule(call => 'find', status => 403, body => { message => 'no right' }, times => 1);
$job = upload();
refused($node, $job, '58000', 'submit', qr/not known whether .*; server "topaz" answered with status 403: no right/, 'a list that is refused');
$node->safe_psql('postgres', "SELECT img_retry('$job')");
is(wait_job($node, $job), 'DONE', 'who is wrong has it tried again: it is found');
is(submits(), $before + 5, '… and not submitted again');
my $finds = finds();
claid_rule(call => 'submit', drop => $yes, act => $yes, times => 1);
$job = $node->safe_psql('postgres', q{SELECT img_submit('https://example.com/cat.jpg', '{"restorations": {"upscale": "photo"}}', server => 'topaz')});
refused($node, $job, '58000', 'submit', qr/not known whether/, 'one that its name does not tell');
is(finds(), $finds, '… is not looked for');

# ------------------------------------------------------------------- crashes

foreach my $how ([ 'the dispatcher', \&kill_dispatcher ], [ 'the server', \&kill_server ])
{
	my ($name, $kill) = @$how;
	my $killed = sub {
		my ($step, $end, $submits, %rule) = @_;
		return ends_after($node, "$name is killed while $step", $kill, sub { upload() }, $end, $submits, %rule);
	};

	$killed->('the picture is under way', 'ERROR', 0, call => 'submit', drop => $yes);
	$killed->('the answer to the submit is under way', 'DONE', 1, call => 'submit', act => $yes, drop => $yes);
	claid_rule(call => 'submit', act => $yes, drop => $yes, times => 1);
	$killed->('it is looked for', 'DONE', 1, call => 'find');
	$killed->('a poll is under way', 'DONE', 1, call => 'poll');
}

# ------------------------------------------- cancelled between two attempts

$before = submits();
claid_rule(call => 'poll', task => 'Processing');
$job = upload();
wait_state($node, $job, 'submitted');
$node->safe_psql('postgres', "UPDATE img_remote SET failures = 20 WHERE job_id = '$job'");
forget();
claid_rule(call => 'poll', status => 500, body => '', times => 1);
poll_is($node, "SELECT status || ' ' || attempts FROM img_job WHERE id = '$job'", 'ACCEPTED 1', 'a job waits for its next attempt');
is($node->safe_psql('postgres', "SELECT img_cancel('$job')"), 't', 'it is cancelled');
poll_is($node, "SELECT string_agg(method || ' ' || status, ', ') FROM img_remote_call WHERE job_id = '$job' AND path LIKE '/cancel/%'", 'DELETE 204', '… and its server is told, once');
poll_is($node, "SELECT count(*) FROM img_remote_followup", 0, '… and that is all');
is(remote($node, $job, 'state, status'), 'failed|Cancelled', '… as img_remote says');
claid_rule(call => 'poll', task => 'Processing');
claid_rule(call => 'cancel', status => 500, body => '', times => 1);
$job = upload();
wait_state($node, $job, 'submitted');
$node->safe_psql('postgres', "SELECT img_cancel('$job')");
poll_is($node, "SELECT string_agg(method || ' ' || status, ', ' ORDER BY id) FROM img_remote_call WHERE job_id = '$job' AND path LIKE '/cancel/%'",
	'DELETE 500, DELETE 204', 'a server that does not hear is told again');
forget();
claid_rule(call => 'submit', act => $yes, drop => $yes, times => 1);
claid_rule(call => 'find', hold => $yes, times => 1);
$job = upload();
held(1, 'a job is looked for');
$node->safe_psql('postgres', "SELECT img_cancel('$job')");
poll_is($node, "SELECT string_agg(method || ' ' || status, ', ' ORDER BY id) FROM img_remote_call WHERE job_id = '$job' AND path LIKE '/cancel/%'",
	'DELETE 204', 'one that is cancelled before it is found is found, and cancelled there');
release();
poll_is($node, "SELECT count(*) FROM img_remote_followup", 0, '… and that is all');
is(submits(), $before + 3, 'each was submitted once');

is_deeply(claid_state()->{problems}, [], 'the server has nothing to complain about');
unlike(slurp_file($node->logfile), qr/the topaz key/, 'no key is in the log');

$node->stop;
done_testing();
