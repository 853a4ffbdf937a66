# The worker purges batch after batch until nothing is left, and only then rests
# for a minute, whatever the batches are full of.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('pace', 'imgapi.databases' => 'none');
my %expired = (
	'ended jobs' => q{
		INSERT INTO img_job_ended (id, task_id, created_at, run_after, finished_at, expires_at, retention, owner, kind, status,
			priority, attempts, max_attempts, request)
		SELECT img_new_id(), g, now(), now(), now(), now(), '1 minute', current_user::regrole,
			'edit', 'CANCELLED', 0, 0, 1, '{}' FROM generate_series(1, 3500) g},
	'pictures' => q{
		INSERT INTO img_object (id, job_id, stored_at, expires_at, owner, role, storage, path)
		SELECT img_new_id(), img_new_id(), now(), now(), current_user::regrole, 'output', 'row', ''
		FROM generate_series(1, 3500)});

# Without a worker while they come, so that its first purge finds them all.
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION imgapi');
foreach my $what (sort keys %expired)
{
	my $left = 'SELECT (SELECT count(*) FROM img_job_ended) + (SELECT count(*) FROM img_object)';

	$node->safe_psql('postgres', $expired{$what});
	is($node->safe_psql('postgres', $left), '3500', "$what: there are more than three batches");
	$node->append_conf('postgresql.conf', "imgapi.databases = '*'");
	$node->reload;
	$node->safe_psql('postgres', 'SELECT img_start_worker()');
	# The second batch a minute after the first would come too late.
	ok(wait_until(sub { $node->safe_psql('postgres', $left) eq '0' }, 40), 'all go at once');

	my $pid = worker_pid($node);
	$node->append_conf('postgresql.conf', "imgapi.databases = 'none'");
	$node->reload;
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	ok(wait_until(sub { worker_pid($node) eq '' }, 30), 'the worker has left');
}
$node->stop;
done_testing();
