# A hot standby shows jobs and works on pictures right now, but takes no job and
# does none until it is promoted.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = img_node('primary', streaming => 1, 'imgapi.executors' => 1);
photo_table($primary);
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# Some jobs end, some are with an executor, some wait.
my $picture = literal(small_png());
my $done = submit($primary, small_png());
is(wait_job($primary, $done), 'DONE', 'a job of the primary is done');
my ($executor) = executors(worker_pid($primary));
kill 'STOP', $executor;
wait_until(sub { stopped($executor) }) or die "executor $executor did not stop";
$primary->safe_psql('postgres', "INSERT INTO photo SELECT n, n, $picture FROM generate_series(1, 20) n");
poll_is($primary, q{SELECT count(*) > 0 FROM img_job WHERE status = 'PROCESSING'}, 't', 'others run');
$primary->wait_for_catchup($standby);

is($standby->safe_psql('postgres', "SELECT img_status('$done'), (img_info(img_output('$done'))).width"), 'DONE|16',
	'the standby has the job and its result');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM img_job WHERE status IN ('ACCEPTED', 'PROCESSING')}), 20,
	'and shows what waits');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM img_worker'), 0, 'it has no worker');
fails_with($standby, "SELECT img_submit($picture, '{}')", '25006', qr/recovery.*HINT:.*primary/s, 'img_submit() is refused');
fails_with($standby, "SELECT img_cancel('$done')", '25006', qr/recovery/, 'img_cancel() is refused');
fails_with($standby, "SELECT img_retry('$done')", '25006', qr/recovery/, 'img_retry() is refused');
is($standby->safe_psql('postgres', "SELECT img_wait('$done')"), 'DONE', 'img_wait() answers');

my $session = $standby->background_psql('postgres');
my $backend = $session->query_safe('SELECT pg_backend_pid()');
is($session->query_safe("SELECT (img_info(img_thumbnail($picture, 30))).width"), 30, 'img_thumbnail() works');
my @own = executors($backend);
is(scalar(@own), 1, 'by an executor of the session');

# ----------------------------------------------------------------- promotion

$primary->stop('immediate');
$standby->promote;
my $dispatcher = wait_dispatcher($standby);
ok($dispatcher, 'after promotion there is a dispatcher');
poll_is($standby, 'SELECT count(*) FROM photo WHERE thumb IS NULL', 0, 'what waited is done');
is($standby->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM written'), '20|20', 'once');
poll_is($standby, 'SELECT status, count(*), max(attempts) FROM img_job GROUP BY status', 'DONE|21|1', 'every job is DONE, at its first attempt');
is(wait_job($standby, submit($standby, small_png())), 'DONE', 'new jobs run');
is($session->query_safe("SELECT (img_info(img_thumbnail($picture, 20))).width"), 20, 'the session from before goes on');
$session->quit;
ok(wait_until(sub { !alive($own[0]) }, 5), 'and its executor leaves with it');

$standby->stop;
done_testing();
