# A job is there when the transaction that submitted it has committed, however
# that happens, and never otherwise.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = img_node('transactions');
my $submit = 'SELECT img_submit(' . literal(small_png()) . q{, '{"resizing": {"width": 16}}', job_key => '%s')};

sub submit_as { return sprintf $submit, $_[0]; }
sub state_of { return $node->safe_psql('postgres', "SELECT status FROM img_job WHERE job_key = '$_[0]'"); }

sub runs
{
	my ($key, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return poll_is($node, "SELECT status FROM img_job WHERE job_key = '$key'", 'DONE', $name);
}

# When the last of these is DONE, those that should not run had their chance.
$node->safe_psql('postgres', 'BEGIN; ' . submit_as('rolled back') . '; ROLLBACK');
$node->safe_psql('postgres', 'BEGIN; SAVEPOINT s; ' . submit_as('savepoint rolled back') . '; ROLLBACK TO s; '
	  . submit_as('after the savepoint') . '; COMMIT');
$node->safe_psql('postgres', 'BEGIN; SAVEPOINT s; ' . submit_as('savepoint released') . '; RELEASE s; COMMIT');
$node->safe_psql('postgres', q{DO $do$ BEGIN PERFORM } . (submit_as('exception') =~ s/^SELECT //r)
	  . q{; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END $do$});
$node->safe_psql('postgres', 'BEGIN; ' . submit_as('committed') . '; COMMIT');
runs('committed', 'committed: it runs');
runs('savepoint released', 'savepoint released: it runs');
runs('after the savepoint', 'submitted after a savepoint was rolled back: it runs');
is(state_of('rolled back'), '', 'rolled back: there is none');
is(state_of('savepoint rolled back'), '', 'savepoint rolled back: there is none');
is(state_of('exception'), '', 'caught exception: there is none');

my ($status, $stdout, $stderr) = $node->psql('postgres',
	'BEGIN; ' . submit_as('waited for') . ' AS job \gset' . "\n" . q{\set VERBOSITY verbose} . "\n" . q{SELECT img_wait(:'job'); COMMIT;});
like($stderr, qr/ERROR:  55000.*\n.*HINT:.*COMMIT/, 'waiting for a job of this transaction is refused');

# ---------------------------------------------------------- two-phase commit

$node->safe_psql('postgres', "BEGIN; " . submit_as('prepared') . "; PREPARE TRANSACTION 'good'");
$node->safe_psql('postgres', "BEGIN; " . submit_as('never') . "; PREPARE TRANSACTION 'bad'");
$node->safe_psql('postgres', submit_as('meanwhile'));
runs('meanwhile', 'prepared transactions do not stop the queue');
is(state_of('prepared'), '', 'prepared: not yet there');
$node->safe_psql('postgres', "ROLLBACK PREPARED 'bad'");

my $commit = $node->safe_psql('postgres', "COMMIT PREPARED 'good'; SELECT clock_timestamp()");
runs('prepared', 'COMMIT PREPARED: it runs');
cmp_ok($node->safe_psql('postgres', "SELECT extract(epoch FROM finished_at - '$commit') FROM img_job WHERE job_key = 'prepared'"),
	'<', 2, 'at once');
is(state_of('never'), '', 'ROLLBACK PREPARED: there is none');

# The server forgets nothing in between.
$node->safe_psql('postgres', "BEGIN; " . submit_as('restarted') . "; PREPARE TRANSACTION 'later'");
$node->stop('immediate');
$node->start;
$node->safe_psql('postgres', "COMMIT PREPARED 'later'");
runs('restarted', 'COMMIT PREPARED after a crash: it runs');

# ----------------------------------------------------------- trigger's jobs

photo_table($node);
my $picture = literal(small_png());
$node->safe_psql('postgres', "BEGIN; INSERT INTO photo VALUES (1, 'no', $picture); ROLLBACK; "
	  . "BEGIN; INSERT INTO photo VALUES (2, 'yes', $picture); SAVEPOINT s; INSERT INTO photo VALUES (3, 'no', $picture); "
	  . "ROLLBACK TO s; COMMIT");
poll_is($node, 'SELECT id, thumb IS NOT NULL FROM photo', '2|t', 'rows that were rolled back leave no job, others get theirs');
is($node->safe_psql('postgres', 'SELECT count(*) FROM img_job WHERE source_table IS NOT NULL'), 1, 'which is the only one');

$node->stop;
done_testing();
