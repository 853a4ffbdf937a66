# A queue that vacuum has found empty fills again: a job costs the worker a look
# at its row, not at all that wait.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $jobs = 4000;
my $node = img_node('queue', 'autovacuum' => 'off');
my $picture = literal(small_png());

sub work
{
	my ($count) = @_;

	$node->safe_psql('postgres', "SELECT count(img_submit($picture)) FROM generate_series(1, $count)");
	poll_is($node, 'SELECT count(*) FROM img_job_live', 0, "$count jobs have ended");
}

# Rows of the queue that were found by an index, once so many have left it.
sub rows_read
{
	my ($left) = @_;

	poll_is($node, q{SELECT n_tup_del FROM pg_stat_user_tables WHERE relname = 'img_job_live'}, $left, '… which is counted');
	return $node->safe_psql('postgres', q{SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'img_job_live'});
}

work(20);
my $before = rows_read(20);
$node->safe_psql('postgres', 'DELETE FROM img_job_ended; DELETE FROM img_object');
$node->safe_psql('postgres', "VACUUM (TRUNCATE off) $_") foreach qw(img_job_live img_job_ended img_object);
is($node->safe_psql('postgres', q{SELECT reltuples, relpages > 0 FROM pg_class WHERE relname = 'img_job_live'}), '0|t',
	'the queue is known to be empty');
work($jobs);
my $read = (rows_read(20 + $jobs) - $before) / $jobs;
cmp_ok($read, '<', 40, 'few rows are read for each');
note "$read rows for each job";
$node->stop;
done_testing();
