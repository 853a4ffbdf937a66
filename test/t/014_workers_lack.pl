# Where max_worker_processes leaves no room, the log says what to do; submits
# commit, immediate functions work, and jobs run once there is room.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# No room for a dispatcher; no room for the launcher either.
foreach my $room (1, 0)
{
	my $node = new_node("room$room", max_worker_processes => $room, max_logical_replication_workers => 0);
	my $picture = literal(small_png());

	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION imgapi');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM img_worker'), $room, "room for $room workers");
	if ($room)
	{
		ok(wait_until(sub { count_log($node, qr/no background worker is free/) }, 15), 'the log says that none is free');
		ok(count_log($node, qr/HINT: .*max_worker_processes/), 'and what to raise');
	}
	else
	{
		ok(count_log($node, qr/too many background workers/), 'the log says that there are too many');
	}
	my ($status, $stdout, $stderr) = $node->psql('postgres', "SELECT img_submit($picture, '{\"resizing\": {\"width\": 16}}')");
	is($status, 0, 'img_submit() works');
	my $job = $stdout;
	is($node->safe_psql('postgres', "SELECT img_wait('$job', '100 ms')"), 'ACCEPTED', 'the job waits');
	is($node->safe_psql('postgres', "SELECT (img_info(img_thumbnail($picture, 30))).width"), 30, 'img_thumbnail() works');

	$node->append_conf('postgresql.conf', 'max_worker_processes = 8');
	$node->restart;
	is(wait_job($node, $job), 'DONE', 'with more room the job runs');
	$node->stop;
}
done_testing();
