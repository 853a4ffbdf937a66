# Jobs that go to a server because imgapi.default_servers or a trigger says so,
# and pictures in rows, which a server gets by a link.

use strict;
use warnings;
use FindBin;
use HTTP::Tiny;
use lib $FindBin::RealBin;
use ClaidTest;
use ImgTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

claid_server();
my $node = img_node('node', 'imgapi.executors' => 1, 'log_statement' => 'none');
claid($node, 'claid');
my $gateway = do {
	$node->safe_psql('postgres', q{CREATE ROLE imgapi_gateway LOGIN; SELECT img_grant_gateway('imgapi_gateway')});
	start_gateway($node);
};
$node->safe_psql('postgres', $_) foreach "ALTER SYSTEM SET imgapi.public_url = 'http://127.0.0.1:$gateway->{port}'",
  q{ALTER SYSTEM SET imgapi.default_servers = 'background.remove = claid'}, 'SELECT pg_reload_conf()';
$node->poll_query_until('postgres', q{SELECT current_setting('imgapi.default_servers') <> ''}) or die;

sub input_of { return decode_json((grep { $_->{call} eq 'submit' } @{ claid_state()->{calls} })[-1]->{body})->{input}; }
sub result_of { return $node->safe_psql('postgres', "SELECT (img_info(cut)).format || ' ' || (img_info(cut)).width FROM picture WHERE id = $_[0]"); }
sub last_job { return $node->safe_psql('postgres', 'SELECT id FROM img_job ORDER BY id DESC LIMIT 1'); }

# ------------------------------------------------------------------ submitted

my $job = submit($node, small_png(), '{"background": {"remove": true}}');
is(wait_job($node, $job), 'DONE', 'what needs a server is done by the one for it') or diag job($node, $job, 'error');
job_is($node, $job, 'server', 'claid', '… as img_job says');
picture_is($node, $job, '… and its result is here');
my $url = remote($node, $job, q{result #>> '{output_object,tmp_url}'});
is($node->safe_psql('postgres', "SELECT download_url, expires_at - created_at BETWEEN '23 hours' AND '25 hours' FROM img_link WHERE job_id = '$job' AND download_url !~ '/o/'"), "$url|t", '… and the link of the server is kept');
is($node->safe_psql('postgres', "SELECT (img_download('$job')).download_url"), $url, '… which is what img_download() gives');
$job = submit($node, small_png());
is(wait_job($node, $job), 'DONE', 'what does not');
job_is($node, $job, 'server IS NULL', 't', '… is done here');
is(submits(), 1, 'one was submitted');

# ------------------------------------------------------------------- triggers

my $picture = png(320, 200);
$node->safe_psql('postgres', q{
	CREATE TABLE picture (id int PRIMARY KEY, url text, data bytea, cut bytea);
	CREATE TRIGGER url AFTER INSERT OR UPDATE OF url ON picture FOR EACH ROW WHEN (new.url IS NOT NULL)
		EXECUTE FUNCTION img_on_upload('url', '{"background": {"remove": true}}', 'cut');
	CREATE TRIGGER data AFTER INSERT OR UPDATE OF data OR DELETE ON picture FOR EACH ROW
		EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 100}}', 'cut', '{"format": "png"}', 'claid');});
$node->safe_psql('postgres', q{INSERT INTO picture (id, url) VALUES (1, 'https://example.com/dog.jpg')});
$job = last_job();
is(wait_job($node, $job), 'DONE', 'a trigger whose column says where the picture is') or diag job($node, $job, 'error');
is(result_of(1), 'png 4', '… fills the other');
is(input_of(), 'https://example.com/dog.jpg', '… of that picture');
job_is($node, $job, 'server', 'claid', '… by the server for it');

claid_rule(call => 'poll', hold => JSON::PP::true, times => 1);
$node->safe_psql('postgres', 'INSERT INTO picture (id, data) VALUES (2, ' . literal($picture) . ')');
$job = last_job();
held(1, 'a picture in a row is submitted to the server that the trigger names');
my $link = input_of();
like($link, qr{^http://127\.0\.0\.1:\d+/o/[0-9a-f-]{36}/.*&s=[0-9a-f]{64}$}, '… as a link');
my $answer = HTTP::Tiny->new->get($link);
is($answer->{status}, 200, '… that opens');
ok($answer->{content} eq $picture, '… the picture');
is($node->safe_psql('postgres', "SELECT storage, bytes FROM img_object WHERE job_id = '$job'"), 'row|' . length $picture, '… which is not copied');
release();
is(wait_job($node, $job), 'DONE', '… and is done') or diag job($node, $job, 'error');
is(result_of(2), 'png 4', '… and is in the row');
is($node->safe_psql('postgres', "SELECT role, storage, width FROM img_object WHERE job_id = '$job' ORDER BY role"), "input|row|160\noutput|row|4", '… as img_object says, once');
is(submits(), 3, 'each was submitted once');

# A picture that changes while the server has it: the job is cancelled, its link
# opens nothing, and the result is of the new one.
claid_rule(call => 'poll', hold => JSON::PP::true, times => 1);
$node->safe_psql('postgres', 'UPDATE picture SET data = ' . literal(png(100, 100)) . ' WHERE id = 2');
$job = last_job();
held(1, 'a new picture is with the server');
$link = input_of();
$node->safe_psql('postgres', 'UPDATE picture SET cut = NULL, data = ' . literal($picture) . ' WHERE id = 2');
job_is($node, $job, 'status', 'CANCELLED', 'the picture changes: its job is cancelled');
is(HTTP::Tiny->new->get($link)->{status}, 410, '… and its link has expired');
release();
my $other = last_job();
is(wait_job($node, $other), 'DONE', '… the new one is done') or diag job($node, $other, 'error');
is(result_of(2), 'png 4', '… and in the row');
is(submits(), 5, '… submitted once');

# The worker dies while the server has a picture of a row.
claid_rule(call => 'poll', hold => JSON::PP::true, times => 1);
$node->safe_psql('postgres', 'INSERT INTO picture (id, data) VALUES (3, ' . literal($picture) . ')');
$job = last_job();
held(1, 'another is with the server');
$link = input_of();
kill 'KILL', worker_pid($node);
forget();
release();
wait_until(sub { $node->psql('postgres', 'SELECT 1') == 0 }) or die;
is(wait_job($node, $job, 60), 'DONE', 'the worker dies, and the job is done') or diag job($node, $job, 'error');
is(result_of(3), 'png 4', '… and is in the row');
is(HTTP::Tiny->new->get($link)->{status}, 200, '… the link is still good');
is(submits(), 6, '… submitted once');

# The row goes, unseen by the trigger.
$node->safe_psql('postgres', q{BEGIN; INSERT INTO picture (id, url) VALUES (4, 'https://example.com/cow.jpg');
	SET LOCAL session_replication_role = replica; DELETE FROM picture WHERE id = 4; COMMIT});
$job = last_job();
is(wait_job($node, $job), 'CANCELLED', 'a row that is gone');
like(job($node, $job, 'error'), qr/the row, or its picture, is gone/, '… says so');
is(submits(), 6, '… is not submitted');

# -------------------------------------------------------------------- rights

$node->safe_psql('postgres', q{CREATE ROLE app LOGIN; SELECT img_grant('app'); GRANT ALL ON picture TO app});
fails_with($node, q{SET ROLE app; INSERT INTO picture (id, url) VALUES (5, 'https://example.com/cow.jpg')}, '0A000',
	qr/GRANT USAGE ON FOREIGN SERVER claid TO app;/, 'who may not use the server is told at the upload');
claid_rule(call => 'submit', status => 503, body => '', times => 1);
$node->safe_psql('postgres', q{GRANT USAGE ON FOREIGN SERVER claid TO app});
$node->safe_psql('postgres', q{SET ROLE app; INSERT INTO picture (id, url) VALUES (5, 'https://example.com/cow.jpg')});
$job = last_job();
poll_is($node, "SELECT count(*) FROM img_job_error WHERE job_id = '$job'", 1, 'an attempt of somebody who may');
$node->safe_psql('postgres', q{REVOKE USAGE ON FOREIGN SERVER claid FROM app});
is(wait_job($node, $job), 'ERROR', '… and may not any more');
job_is($node, $job, 'error_code', '42501', '… is refused');
is(submits(), 6, '… and not submitted');

is_deeply(claid_state()->{problems}, [], 'the server has nothing to complain about');
stop_gateway($gateway);
$node->stop;
done_testing();
