# 200 sessions call img_thumbnail() at once: all are answered, by no more
# executors and no more memory than for one.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $sessions = 200;
my $calls = 5;
my $node = img_node('crowd', max_connections => $sessions + 20);
my $launcher = launcher_pid($node);

$node->safe_psql('postgres', 'CREATE TABLE picture AS SELECT n AS id, ' . literal(png(800, 600)) . ' AS data FROM generate_series(1, 1) n;'
	  . 'CREATE TABLE answer (session int, width int)');
my $script = $node->basedir . '/crowd.sql';
append_to_file($script, 'INSERT INTO answer SELECT :client_id, (img_info(img_thumbnail(data, 100))).width FROM picture;');

my ($stdout, $stderr) = ('', '');
my ($most, $most_memory, $waiting) = (0, 0, 0);
my $pgbench = IPC::Run::start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port,
		'-c', $sessions, '-j', 2, '-t', $calls, '-f', $script, 'postgres' ],
	'<', \undef, '>', \$stdout, '2>', \$stderr);
while ($pgbench->pumpable)
{
	my @pool = executors($launcher);
	my $memory = 0;

	$memory += (status_field($_, 'VmRSS') // 0) =~ s/ kB//r foreach @pool;
	$most = @pool if @pool > $most;
	$most_memory = $memory if $memory > $most_memory;
	my $now = $node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'Extension' OR wait_event LIKE 'Imgapi%'});
	$waiting = $now if $now > $waiting;
	$pgbench->pump_nb;
}
$pgbench->finish;

cmp_ok($waiting, '>', 100, 'they were there at the same time');
is($pgbench->full_result(0), 0, 'no session has failed') or diag $stderr;
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT session), min(width), max(width) FROM answer'),
	$sessions * $calls . "|$sessions|100|100", 'all calls of all sessions were answered');
is($most, 2, 'there were never more executors than imgapi.executors');
cmp_ok($most_memory, '<', 2 * 100 * 1024, 'their memory was bounded');
is(scalar(executors($launcher)), 2, 'all are alive');
is($node->safe_psql('postgres', 'SELECT count(*) FROM img_job'), 0, 'and no job was made');

$node->stop;
done_testing();
