# What executors have: no rights, no environment, no files but their sockets
# and memory. What PostgreSQL has: no picture library.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Secrets that should not be passed on.
$ENV{IMGAPI_TEST_SECRET} = 'secret';
my $node = img_node('confined');
my %parent = (dispatcher => worker_pid($node), launcher => launcher_pid($node));
my ($server_user) = split ' ', status_field($parent{launcher}, 'Uid');

like($node->safe_psql('postgres', q{CREATE TEMP TABLE setting (line text); COPY setting FROM PROGRAM 'env'; TABLE setting}),
	qr/IMGAPI_TEST_SECRET=secret/, 'what PostgreSQL starts has its environment');
is($node->safe_psql('postgres', 'SELECT string_agg(DISTINCT sandbox, \',\') FROM img_worker'), 'seccomp', 'img_worker shows the sandbox');

# Jobs and calls before: descriptors that leak would be there now.
foreach my $n (1 .. 20)
{
	$node->safe_psql('postgres', 'SELECT length(img_thumbnail(' . literal(png(400, 300, $n)) . ', 300))');
	submit($node, png(400, 300, $n));
}
poll_is($node, q{SELECT count(*) FROM img_job WHERE status = 'DONE'}, 20, 'they have worked');

foreach my $which ('dispatcher', 'launcher')
{
	my @pids = executors($parent{$which});

	is(scalar(@pids), 2, "executors of the $which");
	foreach my $pid (@pids)
	{
		is(status_field($pid, 'Seccomp'), 2, '… seccomp filters');
		is(status_field($pid, 'NoNewPrivs'), 1, '… no new privileges');
		is((split ' ', status_field($pid, 'Uid'))[1], $server_user, '… the user of the server');
		is(slurp_file("/proc/$pid/environ"), '', '… an empty environment');
		is(readlink "/proc/$pid/cwd", '/', '… working directory /');
		is(status_field($pid, 'SigBlk'), '0' x 16, '… no signal blocked');
		is((split ' ', slurp_file("/proc/$pid/stat") =~ s/^.*\) //r)[3], $pid, '… a session of its own');
		is(slurp_file("/proc/$pid/oom_score_adj") + 0, 900, '… first to go when memory runs out');

		my $limits = slurp_file("/proc/$pid/limits");
		like($limits, qr/^Max core file size +0 +0 /m, '… no core files');
		like($limits, qr/^Max address space +\d+ +\d+ /m, '… bounded address space');
		like($limits, qr/^Max open files +64 +64 /m, '… bounded descriptors');

		opendir(my $dir, "/proc/$pid/fd") or die "could not read descriptors: $!";
		my @files = map { readlink "/proc/$pid/fd/$_" } grep { /^\d+$/ } readdir $dir;
		my @foreign = grep { !m{^/dev/null$|^socket:|^/memfd:imgapi|^anon_inode:\[eventfd\]} } @files;
		is_deeply(\@foreign, [], '… no file but /dev/null, sockets and its memory');
		my $sockets = grep { /^socket:/ } @files;
		cmp_ok($sockets, '<=', $which eq 'launcher' ? 2 : 1, '… no more sockets than it needs');
		my $memory = grep { /^\/memfd:/ } @files;
		cmp_ok($memory, '<=', $which eq 'launcher' ? 0 : 16, '… no more memory files than it needs');
	}
}

my @stat = stat($node->data_dir . '/imgapi.pool');
ok(-S _, 'the pool has a socket in the data directory');
is($stat[2] & 07777, 0600, 'for nobody but the server');
is($stat[4], $server_user, 'whose user owns it');

my $library = $node->config_data('--pkglibdir') . '/imgapi.so';
my ($linked) = run_command([ 'ldd', $library ]);
like($linked, qr/libc\.so/, 'imgapi.so has its libraries');
unlike($linked, qr/vips|curl|jpeg|png|webp|heif|tiff/, 'none of them reads pictures or the network');
unlike(slurp_file("/proc/$parent{dispatcher}/maps"), qr/vips|curl|jpeg|libpng|webp|heif|tiff/, 'nor does one come later');

# A sandbox that is required and cannot be had: there is no executor.
$node->append_conf('postgresql.conf', "imgapi.sandbox = 'off'");
$node->restart;
wait_dispatcher($node);
is($node->safe_psql('postgres', 'SELECT string_agg(DISTINCT sandbox, \',\') FROM img_worker'), 'off', 'imgapi.sandbox = off is shown');
is(status_field((executors(worker_pid($node)))[0], 'Seccomp'), 0, 'and done');

$node->stop;
ok(!-e $node->data_dir . '/imgapi.pool', 'the socket goes with the server');
done_testing();
