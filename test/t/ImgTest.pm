# ImgTest.pm
#	  What the tests of imgapi's processes share: servers, pictures, and a look
#	  at the executors behind a server's back (/proc).
#
# Nothing here sleeps for a fixed time: wait_until() and poll_query_until()
# wait for a condition, and fail when it does not come.

package ImgTest;

use strict;
use warnings;

use Compress::Zlib qw(compress crc32);
use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(
  img_node new_node png small_png literal made jpeg_of_many_scans slow_table slow_edit slow_submit seconds
  worker_pid launcher_pid executors server_executors status_field alive ended stopped wait_until
  submit wait_job job cpu job_is poll_is fails_with photo_table wait_dispatcher count_log
  start_gateway stop_gateway gateway_pid gateway_log links
);

# A hang is a failure long before prove gives up.
$PostgreSQL::Test::Utils::timeout_default = 60;

# ------------------------------------------------------------------- servers

# A server that preloads imgapi, not started. Settings follow as name => value.
# Its jobs are all worked on: what happens to processes could not be seen on
# results that are taken over.
sub new_node
{
	my ($name, %settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	%settings = (
		'shared_preload_libraries' => 'imgapi',
		'imgapi.executors' => 2,
		'imgapi.reuse' => 'off',
		'max_prepared_transactions' => 10,
		'restart_after_crash' => 'on',
		%settings);
	my $streaming = delete $settings{streaming};
	$node->init(allows_streaming => $streaming, extra => ['--no-sync']);
	$node->append_conf('postgresql.conf', "$_ = '$settings{$_}'") foreach sort keys %settings;
	return $node;
}

# The same, running, with the extension in database postgres.
sub img_node
{
	my $node = new_node(@_);

	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION imgapi');
	wait_dispatcher($node);
	return $node;
}

# Waits for a dispatcher whose executors are ready; its pid. After a crash the
# new one is told from the old one by its pid.
sub wait_dispatcher
{
	my ($node, $database, $old) = @_;

	$database //= 'postgres';
	$old //= 0;
	$node->poll_query_until($database, qq{
		SELECT EXISTS (SELECT FROM img_worker WHERE database = '$database' AND pid <> $old
			AND executors = pg_catalog.current_setting('imgapi.executors')::int)})
	  or die "no dispatcher came for database $database";
	return worker_pid($node, $database);
}

sub worker_pid
{
	my ($node, $database) = @_;

	$database //= 'postgres';
	return $node->safe_psql($database, "SELECT pid FROM img_worker WHERE database = '$database'");
}

sub launcher_pid
{
	my ($node) = @_;

	return $node->safe_psql('postgres', 'SELECT pid FROM img_worker WHERE database IS NULL');
}

# How often a line of the server's log, from an offset on, matches.
sub count_log
{
	my ($node, $regexp, $offset) = @_;
	my $log = slurp_file($node->logfile, $offset // 0);

	return scalar(() = $log =~ /$regexp/mg);
}

# ------------------------------------------------------------------ pictures

sub chunk
{
	my ($type, $data) = @_;

	return pack('N', length $data) . $type . $data . pack('N', crc32($type . $data));
}

# A grey PNG of coarse blocks whose shades depend on the seed.
sub png
{
	my ($width, $height, $seed) = @_;
	my $rows = '';

	$seed //= 1;
	for my $y (0 .. $height - 1)
	{
		my @shades;
		for my $block (0 .. int(($width - 1) / 8))
		{
			my $shade = (($block * 37 + int($y / 8) * 101 + $seed * 53) * 2654435761) >> 7 & 255;
			push @shades, (chr $shade) x 8;
		}
		$rows .= "\0" . substr(join('', @shades), 0, $width);
	}
	return "\x89PNG\r\n\x1a\n"
	  . chunk('IHDR', pack('NNCCCCC', $width, $height, 8, 0, 0, 0, 0))
	  . chunk('IDAT', compress($rows))
	  . chunk('IEND', '');
}

sub small_png { return png(64, 64, $_[0]); }

# Bytes as an SQL expression.
sub literal { return q{'\x} . unpack('H*', $_[0]) . q{'::bytea}; }

# Bytes that img_edit() makes.
sub made
{
	my ($node, $picture, $operations, $output) = @_;

	return pack 'H*', $node->safe_psql('postgres',
		'SELECT encode(img_edit(' . literal($picture) . ", '$operations', '$output'), 'hex')");
}

# What keeps an executor busy until its time is over: a progressive JPEG whose
# last scan comes thousands of times more.
sub jpeg_of_many_scans
{
	my ($node, $scans) = @_;
	my $data = made($node, png(8, 8), '{"resizing": {"width": 5000, "height": 5000, "fit": "cover"}}',
		'{"format": {"type": "jpeg", "progressive": true}}');
	my $at = rindex $data, "\xff\xda";

	return substr($data, 0, -2) . substr($data, $at, -2) x $scans . "\xff\xd9";
}

# Such a picture as the only row of table slow, and the expressions that edit
# and submit it.
sub slow_table
{
	my ($node, @databases) = @_;
	my $picture = literal(jpeg_of_many_scans($node, 10_000));

	$node->safe_psql($_, "CREATE TABLE slow AS SELECT $picture AS data") foreach @databases ? @databases : 'postgres';
}

sub slow_edit { return q{length(img_edit((SELECT data FROM slow), '{}', '{"format": "webp"}'))}; }
sub slow_submit { return q{img_submit((SELECT data FROM slow), '{}', '{"format": "webp"}'} . join('', map { ", $_" } @_) . ')'; }

# A table whose thumbnails are made by trigger, and who counts every write of
# one.
sub photo_table
{
	my ($node, $database) = @_;

	$node->safe_psql($database // 'postgres', q{
		CREATE TABLE photo (id int PRIMARY KEY, name text, data bytea, thumb bytea);
		CREATE TRIGGER make_thumb AFTER INSERT OR UPDATE OF data OR DELETE ON photo FOR EACH ROW
			EXECUTE FUNCTION img_on_upload('data', '{"resizing": {"width": 16, "height": 16, "fit": "bounds"}}', 'thumb');
		CREATE TABLE written (id int, at timestamptz DEFAULT clock_timestamp());
		CREATE FUNCTION note_write() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			INSERT INTO written (id) VALUES (new.id);
			RETURN new;
		END $$;
		CREATE TRIGGER note AFTER UPDATE OF thumb ON photo FOR EACH ROW
			WHEN (old.thumb IS DISTINCT FROM new.thumb) EXECUTE FUNCTION note_write();});
}

# ----------------------------------------------------------------- processes

sub alive { return -e "/proc/$_[0]" && !ended($_[0]); }

# One field of /proc/PID/status; undef when the process is gone.
sub status_field
{
	my ($pid, $field) = @_;

	open(my $file, '<', "/proc/$pid/status") or return undef;
	while (my $line = <$file>)
	{
		return $1 if $line =~ /^$field:\s*(.*?)\s*$/;
	}
	return undef;
}

sub ended
{
	my $state = status_field($_[0], 'State');

	return !defined $state || $state =~ /^[ZX]/;
}

sub stopped
{
	my $state = status_field($_[0], 'State');

	return defined $state && $state =~ /^T/;
}

# Seconds of processor time a process has used; 0 when it is gone.
sub cpu
{
	open(my $file, '<', "/proc/$_[0]/stat") or return 0;
	my @fields = split ' ', (<$file> =~ s/^.*\) //r);
	return ($fields[11] + $fields[12]) / 100;
}

# Live executors whose parent is that process.
sub executors
{
	my ($parent) = @_;
	my @found;

	opendir(my $dir, '/proc') or die "could not read /proc: $!";
	for my $pid (grep { /^\d+$/ } readdir $dir)
	{
		next unless (status_field($pid, 'Name') // '') eq 'imgapi-executor';
		next if ended($pid) || (status_field($pid, 'PPid') // '') ne $parent;
		push @found, $pid;
	}
	@found = sort { $a <=> $b } @found;
	return @found;
}

# Those of the launcher and of every dispatcher of a server.
sub server_executors
{
	my ($node) = @_;

	return map { executors($_) } split /\n/, $node->safe_psql('postgres', 'SELECT pid FROM img_worker');
}

# Waits until a condition is true; false when it does not become true in time.
sub wait_until
{
	my ($condition, $limit) = @_;
	my $until = time + ($limit // 30);

	while (time < $until)
	{
		return 1 if $condition->();
		usleep(10_000);
	}
	return 0;
}

# Seconds that something takes.
sub seconds(&)
{
	my $begin = time;

	$_[0]->();
	return time - $begin;
}

# ------------------------------------------------------------------- gateway

my @gateways;

# A test that dies leaves none behind, and keeps its exit status.
END
{
	local ($?, $!);
	$_->{run}->kill_kill foreach grep { $_->{run} && $_->{run}->pumpable } @gateways;
}

# Starts imgapi-gateway for a server, on a port of its choice; what it is called
# in the functions below. Options follow as name => value.
sub start_gateway
{
	my ($node, %options) = @_;
	my %gateway = (log => '', node => $node);
	my $conninfo = join ' ', 'host=' . $node->host, 'port=' . $node->port, 'dbname=postgres', 'user=imgapi_gateway';
	my @options = ('--listen', '127.0.0.1:0', '--database', $conninfo, map { ("--$_", $options{$_}) } sort keys %options);

	push @gateways, \%gateway;
	$gateway{run} = IPC::Run::start([ 'imgapi-gateway', @options ], '2>', \$gateway{log});
	wait_until(sub { $gateway{run}->pump_nb; $gateway{log} =~ /listening on port (\d+)/ })
	  or die "the gateway did not start: $gateway{log}";
	$gateway{log} =~ /listening on port (\d+)/;
	$gateway{port} = $1;
	return \%gateway;
}

sub gateway_pid { return $_[0]->{run}{KIDS}[0]{PID}; }

sub gateway_log
{
	my ($gateway) = @_;

	$gateway->{run}->pump_nb if $gateway->{run}->pumpable;
	return $gateway->{log};
}

# Ends it with a signal; its exit status.
sub stop_gateway
{
	my ($gateway, $signal) = @_;

	$gateway->{run}->signal($signal // 'TERM');
	$gateway->{run}->finish;
	return $gateway->{run}->full_result(0);
}

# What img_download() gives, through a gateway: download_url, head_url, expiry.
sub links
{
	my ($gateway, $job, %more) = @_;
	my $function = $more{function} // 'img_download';
	my $settings = join '', map { "SET imgapi.$_ = '$more{$_}'; " } grep { $_ ne 'function' } sort keys %more;

	return split /\|/, $gateway->{node}->safe_psql('postgres',
		"SET imgapi.public_url = 'http://127.0.0.1:$gateway->{port}'; $settings SELECT * FROM $function('$job')");
}

# ---------------------------------------------------------------------- jobs

# Queues a picture; the job's id. Arguments beyond the operations as SQL.
sub submit
{
	my ($node, $picture, $operations, @more) = @_;
	my $arguments = join ', ', literal($picture), "'" . ($operations // '{"resizing": {"width": 16}}') . "'", @more;

	return $node->safe_psql('postgres', "SELECT img_submit($arguments)");
}

# The state in which a job ends, or in which it is after so many seconds.
sub wait_job
{
	my ($node, $id, $limit) = @_;

	return $node->safe_psql('postgres', sprintf("SELECT img_wait('%s', '%d s')", $id, $limit // 30));
}

# Columns of img_job, separated by "|".
sub job
{
	my ($node, $id, $columns) = @_;

	return $node->safe_psql('postgres', "SELECT $columns FROM img_job WHERE id = '$id'");
}

sub job_is
{
	my ($node, $id, $columns, $expected, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(job($node, $id, $columns), $expected, $name);
}

# A test: the query comes to give this in time.
sub poll_is
{
	my ($node, $query, $expected, $name, $database) = @_;
	my $found = '';

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	wait_until(sub { $found = $node->safe_psql($database // 'postgres', $query); $found eq $expected });
	return is($found, $expected, $name);
}

# A test: the statement fails with that SQLSTATE and a message like that.
sub fails_with
{
	my ($node, $statement, $sqlstate, $regexp, $name) = @_;
	my ($status, $stdout, $stderr) = $node->psql('postgres', "\\set VERBOSITY verbose\n$statement");

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return subtest $name => sub {
		isnt($status, 0, 'it fails');
		like($stderr, qr/ERROR:  \Q$sqlstate\E:/, "with $sqlstate");
		like($stderr, $regexp, 'and says why');
	};
}

1;
