# Cancelling a job that is being worked on frees its executor, also when the
# row that it came from is deleted; and a lease that was lost is found.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = img_node('canceller', 'imgapi.executors' => 1);
slow_table($node);

sub submit_slow
{
	my $job = $node->safe_psql('postgres', 'SELECT ' . slow_submit());

	$node->poll_query_until('postgres', "SELECT status = 'PROCESSING' FROM img_job WHERE id = '$job'")
	  or die 'the slow job did not start';
	return $job;
}

# A small job, submitted behind the slow one, runs long before that would end.
sub next_job_runs
{
	my ($name) = @_;
	my $seconds = seconds {
		my $job = $node->safe_psql('postgres', 'SELECT img_submit(' . literal(small_png()) . ')');

		local $Test::Builder::Level = $Test::Builder::Level + 1;
		is($node->safe_psql('postgres', "SELECT img_wait('$job', '30 s')"), 'DONE', $name);
	};

	cmp_ok($seconds, '<', 10, '… without waiting for what nobody wants');
}

my $job = submit_slow();
is($node->safe_psql('postgres', "SELECT img_cancel('$job')"), 't', 'a running job is cancelled');
next_job_runs('the executor works on the next job');
is($node->safe_psql('postgres', "SELECT status FROM img_job WHERE id = '$job'"), 'CANCELLED', 'it stays cancelled');

$node->safe_psql('postgres', q{
	CREATE TABLE big (id int PRIMARY KEY, data bytea, small bytea);
	CREATE TRIGGER small AFTER INSERT OR UPDATE OR DELETE ON big FOR EACH ROW
		EXECUTE FUNCTION img_on_upload('data', '{}', 'small', '{"format": "webp"}');
	INSERT INTO big (id, data) SELECT 1, data FROM slow;
});
$node->poll_query_until('postgres', "SELECT status = 'PROCESSING' FROM img_job WHERE source_key = '{1}'")
  or die 'the job of the row did not start';
$node->safe_psql('postgres', 'DELETE FROM big');
next_job_runs('deleting the row of a running job frees its executor');

# A claim in the dispatcher's own name that it does not know of: as if it had
# lost the job between claim and executor.
$job = $node->safe_psql('postgres', 'SELECT img_submit(' . literal(small_png()) . q{, run_after => 'infinity')});
$node->safe_psql('postgres', qq{
	UPDATE img_job_live SET started_at = now(), lease_expires_at = now(), attempts = 1, lease_owner =
		(SELECT 'home/' || pid || '/0' FROM img_worker WHERE database = 'postgres')
	WHERE id = '$job'});
my $name = $node->safe_psql('postgres', "SELECT lease_owner FROM img_job_live WHERE id = '$job'");
is($node->safe_psql('postgres', "SELECT img_rescue('$name') FROM img_job_live WHERE id = '$job'"), '1',
	'a lease of its own that is over is rescued');
is($node->safe_psql('postgres', "SELECT status FROM img_job WHERE id = '$job'"), 'ACCEPTED', 'the job waits again');

done_testing();
