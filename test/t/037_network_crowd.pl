# Many transfers at once, some that hang, and a worker that has nothing to do.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use NetworkTest;
use Test::More;

my $node = network_node('node', 'imgapi.auto_purge' => 'off');
web_server();
bucket($node, 'store', q{max_connections '7', timeout '60s'});
my $edit = thumbnail();

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub rest { poll_is($node, q{SELECT count(*) FROM img_job WHERE status IN ('ACCEPTED', 'PROCESSING')}, $_[0], $_[1]) }

# ------------------------------------------------------------ many at once

# The server answers when 250 are asked for at the same time: fewer at a time,
# and none would be answered.
my $gather = web('gather/a.png?of=250');
sql(qq{SELECT count(img_submit('$gather&n=' || n, '$edit')) FROM generate_series(1, 300) n});
rest(0, '300 pictures');
is(sql(q{SELECT count(*), count(DISTINCT o.sha256), max(attempts) FROM img_job j JOIN img_object o ON o.job_id = j.id AND o.role = 'output' WHERE status = 'DONE'}),
	'300|300|1', '… come 250 at a time, each once');

# As many as the server is said to bear, all of them used.
forget();
sql(qq{SELECT img_submit(img_output(id), '$edit', '{"destination": "storage://store/many/"}') FROM (SELECT id FROM img_job LIMIT 60) j});
web_rule(method => 'PUT', path => 'many/', do => 'hold', times => 7);
sql(qq{CREATE TABLE source AS SELECT img_output(id) AS data FROM img_job WHERE status = 'DONE' LIMIT 40});
held(7, 'max_connections requests to a server');
is(web_state()->{now}, 7, '… and no more');
release();
rest(0, 'when these are answered, the others');
is(web_state()->{most}, 7, '… are not more at a time either');
is(scalar(keys %{ objects() }), 60, '… and all are stored');

# -------------------------------------------------------- hanging transfers

# Cancelled: the connection is given up.
web_rule(method => 'GET', path => 'hang', do => 'hold', times => 1000);
my @hanging = split /\n/, sql(q{SELECT img_submit('} . web('picture/hang.png?n=') . qq{' || n, '$edit') FROM generate_series(1, 100) n});
held(100, 'a hundred transfers hang');
my ($fetcher) = fetchers(worker_pid($node));
my $before = connections($fetcher);
is(sql('SELECT count(*) FROM img_job WHERE img_cancel(id)'), 100, 'their jobs are cancelled');
poll_is($node, 'SELECT inflight FROM img_worker WHERE database = current_database()', 0, '… and the worker has none of them');
is(wait_job($node, fetch_job($node, web('picture/next.png'))), 'DONE', 'others go on');
ok(wait_until(sub { connections($fetcher) <= $before - 100 }), 'their connections are given up') or diag "$before " . connections($fetcher);
release();

# Sockets of a process.
sub connections
{
	my ($pid) = @_;

	return scalar grep { (readlink($_) // '') =~ /^socket:/ } glob "/proc/$pid/fd/*";
}

# Cancelled before it was sent, and while the result is written.
web_rule(method => 'PUT', path => 'wait/', do => 'hold', times => 7);
my @writing = split /\n/, sql(qq{SELECT img_submit(data, '$edit', '{"destination": "storage://store/wait/"}') FROM source LIMIT 20});
held(7, 'results are being written, others wait for a connection');
is(sql(q{SELECT count(*) FROM img_job WHERE status = 'PROCESSING' AND img_cancel(id)}), 20, 'all are cancelled');
poll_is($node, 'SELECT inflight FROM img_worker WHERE database = current_database()', 0, '… and the worker has none of them');
release();
is(wait_job($node, store_job($node, 'storage://store/after.png')), 'DONE', 'others go on');
due($node);
poll_is($node, 'SELECT count(*) FROM img_delete', 0, 'what was written of them');
ok(!grep({ /^wait\// } keys %{ objects() }), '… is removed');

# Local jobs do not wait for those that hang.
web_rule(method => 'GET', path => 'hang', do => 'hold', times => 1000);
@hanging = split /\n/, sql(q{SELECT img_submit('} . web('picture/hang.png?n=') . qq{' || n, '$edit', max_attempts => 1) FROM generate_series(1, 1000) n});
ok(wait_until(sub { web_state()->{held} >= 250 }), 'all transfers hang');
is(wait_job($node, submit($node, small_png(77)), 10), 'DONE', 'a picture in the database does not wait for them');

# A shutdown does not wait.
my $worker = worker_pid($node);
my $time = seconds { $node->stop };
note sprintf '%.2f s', $time;
cmp_ok($time, '<', 5, 'nor does a shutdown');
ok(!alive($_), '… after which nothing is left') foreach $worker, $fetcher;
release();
$node->start;
wait_dispatcher($node);
rest(0, 'after a restart all are done');
is(sql('SELECT count(*) FROM img_job WHERE id IN (' . join(',', map { "'$_'" } @hanging) . q{) AND status = 'DONE' AND attempts = 1}), 1000, '… by their first attempt');

# --------------------------------------------------------- nothing to do

# Processor time of a worker that has no work: a loop that does not sleep would
# take a second in a second.
sub idles
{
	my ($name, $most) = @_;
	my $pid = worker_pid($node);
	my ($one) = fetchers($pid);

	wait_until(sub { my $before = cpu($pid); Time::HiRes::sleep(0.5); cpu($pid) - $before < 0.1 });
	my $before = cpu($pid) + cpu($one // 0);
	Time::HiRes::sleep(2);
	cmp_ok(cpu($pid) + cpu($one // 0) - $before, '<=', $most, "idle: $name");
}

idles('all is done', 0.05);

put_object('locked.png');
sql(q{SELECT img_delete_unless_stored('store', 'locked.png', current_user::regrole, '1 hour')});
my $session = $node->background_psql('postgres');
$session->query_safe(q{BEGIN; UPDATE img_delete SET error = 'locked' WHERE path = 'locked.png'});
$session->query_safe(q{COMMIT; UPDATE img_delete SET run_after = now() - interval '1 s'; BEGIN; SELECT FROM img_delete FOR UPDATE});
$node->reload;
idles('a removal is locked', 0.2);
$session->query_safe('COMMIT');
poll_is($node, 'SELECT count(*) FROM img_delete', 0, '… and is made when it is free');
ok(objects()->{'locked.png'}, '… the file is not ours');

web_rule(method => 'GET', path => 'hang', do => 'hold', times => 1000);
sql(q{SELECT count(img_submit('} . web('picture/hang.png?m=') . qq{' || n, '$edit')) FROM generate_series(1, 300) n});
ok(wait_until(sub { web_state()->{held} >= 250 }), 'all transfers hang, others wait');
idles('transfers hang', 0.2);
sql('SELECT count(img_cancel(id)) FROM img_job');
release();

web_rule(method => 'PUT', path => 'hang', do => 'hold', times => 1000);
sql(qq{SELECT img_submit(data, '$edit', '{"destination": "storage://store/hang/"}') FROM source});
held(7, 'a server has as many requests as it may');
idles('others wait for it', 0.2);
release();
rest(0, 'all are done');

sql(q{SELECT img_delete_unless_stored('nowhere', 'a.png', current_user::regrole, '-1 s')});
$node->reload;
poll_is($node, q{SELECT error FROM img_delete WHERE server = 'nowhere'}, 'server "nowhere" does not exist', 'a removal from a server that is gone');
idles('it waits for its next attempt', 0.1);

kill 'KILL', fetchers(worker_pid($node));
idles('the fetcher has died', 0.1);
is(wait_job($node, fetch_job($node, web('picture/last.png'))), 'DONE', 'the next one serves');

$node->stop;
is(count_log($node, qr/TRAP|PANIC|terminated by signal 1?1:/), 0, 'no process has crashed');
done_testing();
