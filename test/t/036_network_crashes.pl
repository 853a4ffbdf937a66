# Whatever dies when: one object and one row, or in the end neither. And what is
# removed is only what was ours.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use NetworkTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = network_node('node', 'imgapi.auto_purge' => 'off');
web_server();
bucket($node, 'store');

sub sql { return $node->safe_psql('postgres', $_[0]); }

# A test: the job is done, with one object and one row that describes it.
sub one_of_each
{
	my ($id, $path, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	subtest $name => sub {
		is(wait_job($node, $id), 'DONE', 'the job is done') or diag job($node, $id, 'stage, error');
		job_is($node, $id, 'attempts', 1, 'at the cost of no attempt');
		my $object = objects()->{$path};
		ok($object, 'there is the object');
		is(sql("SELECT storage, path, encode(sha256, 'hex'), bytes FROM img_object WHERE job_id = '$id' AND role = 'output'"),
			"store|$path|$object->{sha256}|$object->{bytes}", 'and one row, of these bytes');
		is(scalar(grep { /^\Q$path\E/ } keys %{ objects() }), 1, 'and nothing else');
		due($node);
		poll_is($node, 'SELECT count(*) FROM img_delete', 0, 'the promise to remove it is void');
		ok(objects()->{$path}, 'and it has stayed');
	};
}

sub dispatcher { return worker_pid($node); }

sub fetcher
{
	my @found;

	wait_until(sub { @found = fetchers(dispatcher()); @found == 1 }) or die 'no fetcher';
	return $found[0];
}

sub stop_fetcher
{
	my $pid = fetcher();

	kill 'STOP', $pid;
	wait_until(sub { stopped($pid) }) or die "fetcher $pid did not stop";
	return $pid;
}

# ---------------------------------------------------------- who may die

sub kill_fetcher { kill 'KILL', fetcher(); }

sub kill_dispatcher
{
	my $pid = dispatcher();

	kill 'KILL', $pid;
	# psql that cannot connect can be gone before the query is written to it
	wait_until(sub { (eval { worker_pid($node) } || $pid) ne $pid }) or die "no dispatcher came after $pid";
	wait_dispatcher($node, 'postgres', $pid);
}

sub kill_postmaster
{
	my @left = (dispatcher(), fetcher());
	my $postmaster = slurp_file($node->data_dir . '/postmaster.pid') =~ s/\n.*//sr;

	$node->kill9;
	ok(wait_until(sub { !grep { alive($_) } @left }), 'its processes go with it');
	# A zombie still counts as a running server.
	wait_until(sub { !-e "/proc/$postmaster" }) or die "postmaster $postmaster did not go";
	$node->start;
	wait_dispatcher($node);
}

my %killing = (fetcher => \&kill_fetcher, dispatcher => \&kill_dispatcher, postmaster => \&kill_postmaster);
is(wait_job($node, store_job($node, 'storage://store/warm.png')), 'DONE', 'a first job starts the fetcher');

foreach my $who ('fetcher', 'dispatcher', 'postmaster')
{
	my $path;
	my $id;

	# A source that is being read.
	$path = "read-$who.png";
	web_rule(method => 'GET', path => $path, do => 'hold');
	$id = fetch_job($node, web("picture/$path"), qq{'{"destination": "storage://store/$path"}'});
	held(1, 'a picture is being read');
	$killing{$who}->();
	release();
	one_of_each($id, $path, "the $who dies while a picture is read");

	# The removal is promised, and the request has not been sent.
	if ($who ne 'fetcher')
	{
		$path = "before-$who.png";
		wait_job($node, store_job($node, 'storage://store/warm.png'));
		my $fetcher = stop_fetcher();
		$id = store_job($node, "storage://store/$path");
		poll_is($node, "SELECT count(*) FROM img_delete WHERE path = '$path'", 1, 'a result is about to be written');
		is(scalar(web_seen('PUT', qr/$path/)), 0, '… and has not been');
		kill 'CONT', $fetcher if $who eq 'postmaster';
		$killing{$who}->();
		one_of_each($id, $path, "the $who dies before the result is written");
	}

	# Half way.
	$path = "during-$who.png";
	web_rule(method => 'PUT', path => $path, do => 'hold');
	$id = store_job($node, "storage://store/$path");
	held(1, 'a result is being written');
	$killing{$who}->();
	release();
	one_of_each($id, $path, "the $who dies while the result is written");

	# The object is there, and nobody has heard of it.
	$path = "unheard-$who.png";
	web_rule(method => 'PUT', path => $path, do => 'hold_answer');
	$id = store_job($node, "storage://store/$path");
	held(1, 'a result has been written');
	ok(objects()->{$path}, '… and is there');
	$killing{$who}->();
	release();
	one_of_each($id, $path, "the $who dies before it hears of that");

	# The object is there, and the row cannot be written yet.
	next if $who eq 'fetcher';
	$path = "unsaid-$who.png";
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	web_rule(method => 'PUT', path => $path, do => 'hold_answer');
	$id = store_job($node, "storage://store/$path");
	held(1, 'a result has been written');
	$session->query_safe("BEGIN; SELECT FROM img_job_live WHERE id = '$id' FOR UPDATE");
	release();
	ok(wait_until(sub { web_state()->{now} == 0 }), '… and the worker hears of it');
	is(sql("SELECT img_status('$id')"), 'PROCESSING', '… but cannot say so');
	$killing{$who}->();
	eval { $session->quit };
	one_of_each($id, $path, "the $who dies between the object and the row");
}

# A fetcher that dies of the same job again and again.
web_rule(method => 'PUT', path => 'deadly.png', do => 'hold', times => 3);
my $id = store_job($node, 'storage://store/deadly.png');
foreach my $time (1 .. 3)
{
	ok(wait_until(sub { web_seen('PUT', qr/deadly/) == $time }), "a fetcher has the job, time $time");
	kill_fetcher();
}
is(wait_job($node, $id), 'DONE', 'the job is done in the end');
is(errors_of($node, $id), '1|t|58000|store', '… by another attempt');
release();

# ------------------------------------------------- nothing is left behind

# The object was written, and the job has failed for good.
web_rule(method => 'PUT', path => 'failed.png', do => 'status_after', code => 403);
$id = store_job($node, 'storage://store/failed.png');
is(wait_job($node, $id), 'ERROR', 'a job fails after its result was written');
ok(objects()->{'failed.png'}, '… which is left behind');
is(sql("SELECT error IS NULL, run_after - created_at BETWEEN '59 min' AND '61 min' FROM img_delete WHERE path = 'failed.png'"), 't|t', '… for an hour');
due($node);
poll_is($node, 'SELECT count(*) FROM img_delete', 0, '… and then');
ok(!objects()->{'failed.png'}, '… removed');

# Cancelled in between.
web_rule(method => 'PUT', path => 'cancelled.png', do => 'hold_answer');
$id = store_job($node, 'storage://store/cancelled.png');
held(1, 'a result has been written');
is(sql("SELECT img_cancel('$id')"), 't', 'its job is cancelled');
release();
poll_is($node, "SELECT status FROM img_job WHERE id = '$id'", 'CANCELLED', '… and stays so');
is(sql("SELECT count(*) FROM img_object WHERE job_id = '$id' AND role = 'output'"), 0, '… without a row');
due($node);
poll_is($node, 'SELECT count(*) FROM img_delete', 0, 'what it wrote');
ok(!objects()->{'cancelled.png'}, '… is removed');

# The name is somebody else's.
put_object('theirs.png');
web_rule(method => 'PUT', path => 'theirs.png', do => 'status', code => 403);
$id = store_job($node, 'storage://store/theirs.png');
is(wait_job($node, $id), 'ERROR', 'a job fails before its result was written');
due($node);
poll_is($node, 'SELECT count(*) FROM img_delete', 0, '… the promise to remove it is kept');
ok(objects()->{'theirs.png'}, '… but not at the cost of an object that is not ours');
is(scalar(web_seen('DELETE', qr/theirs/)), 0, '… which nobody has tried to remove');

# ------------------------------------------------------------- retention

sub expire
{
	sql("UPDATE img_object SET expires_at = now() - interval '1 s' WHERE job_id = '$_[0]'; SELECT img_purge()");
}

sub stored
{
	my ($path) = @_;
	my $job = store_job($node, "storage://store/$path");

	wait_job($node, $job) eq 'DONE' or die "$path was not stored";
	due($node);
	poll_is($node, 'SELECT count(*) FROM img_delete', 0, "$path is stored");
	return $job;
}

$id = stored('old.png');
expire($id);
is(delete_rows($node), 'old.png', 'a result that has expired');
due($node);
poll_is($node, 'SELECT count(*) FROM img_delete', 0, '… is removed');
ok(!objects()->{'old.png'}, '… from its server too');

# The server cannot be reached, or says no.
foreach my $case (['HEAD', 503], ['DELETE', 503], ['HEAD', 403], ['DELETE', 403])
{
	my ($method, $status) = @$case;
	my $path = "stuck-$method-$status.png";

	$id = stored($path);
	web_rule(method => $method, path => $path, do => 'status', code => $status);
	expire($id);
	due($node);
	poll_is($node, "SELECT attempts, lease_owner IS NULL, run_after > now(), error LIKE '%$status%' FROM img_delete WHERE path = '$path'", '1|t|t|t',
		"$method answered with $status: tried again later");
	ok(objects()->{$path}, '… it is there yet');
	due($node);
	poll_is($node, 'SELECT count(*) FROM img_delete', 0, '… and removed when that works');
	ok(!objects()->{$path}, '… it is gone');
}

# A worker that dies with a removal in its hands.
$id = stored('orphan.png');
web_rule(method => 'HEAD', path => 'orphan.png', do => 'hold');
expire($id);
due($node);
held(1, 'a removal is under way');
kill_dispatcher();
release();
poll_is($node, 'SELECT count(*) FROM img_delete', 0, 'the worker dies: the next one takes it over at once');
ok(!objects()->{'orphan.png'}, '… and removes it');

# Somebody has the row locked.
$id = stored('locked.png');
web_rule(method => 'DELETE', path => 'locked.png', do => 'hold_answer');
expire($id);
due($node);
held(1, 'a removal is under way');
my $session = $node->background_psql('postgres');
$session->query_safe(q{BEGIN; SELECT FROM img_delete WHERE path = 'locked.png' FOR UPDATE});
release();
is(wait_job($node, store_job($node, 'storage://store/meanwhile.png')), 'DONE', 'its row is locked: jobs go on');
is(delete_rows($node), "locked.png\nmeanwhile.png", '… and it stays');
$session->query_safe('COMMIT');
poll_is($node, q{SELECT count(*) FROM img_delete WHERE path = 'locked.png'}, 0, '… until it is free');
$session->quit;

# The server is dropped: the file is remembered.
$id = stored('lost.png');
sql('DROP SERVER store CASCADE');
expire($id);
due($node);
poll_is($node, q{SELECT attempts, error FROM img_delete WHERE path = 'lost.png'}, '1|server "store" does not exist', 'DROP SERVER: the file is not forgotten');
bucket($node, 'store');
due($node);
poll_is($node, q{SELECT count(*) FROM img_delete WHERE path = 'lost.png'}, 0, '… and removed when the server is there again');
ok(!objects()->{'lost.png'}, '… it is gone');

$node->stop;
done_testing();
