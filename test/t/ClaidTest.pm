# ClaidTest.pm
#	  What the tests of jobs that servers do share: a server that speaks Claid's
#	  API and does what it is told (claid_server.py).

package ClaidTest;

use strict;
use warnings;

use Exporter 'import';
use HTTP::Tiny;
use ImgTest;
use IPC::Open2;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(claid_server claid claid_state claid_rule release forget lose held submits claid_job remote wait_state
  picture_is refused topaz kill_dispatcher kill_server ends_after);

my ($port, $server_pid, $to_server, $from_server);

# Starts it, or another of the kind; its port.
sub claid_server
{
	my ($program) = @_;

	$program //= 'claid_server.py';
	$server_pid = open2($from_server, $to_server, '/usr/bin/python3', "$ENV{TESTDIR}/test/t/$program");
	my $line = <$from_server> // die 'the server did not start';
	$port = decode_json($line)->{port};
	return $port;
}

END
{
	my $status = $?;
	if ($server_pid)
	{
		kill 'KILL', $server_pid;
		waitpid $server_pid, 0;
	}
	$? = $status;
}

# Makes a foreign server of it. Options besides as SQL.
sub claid
{
	my ($node, $name, $options, $key) = @_;

	$options = $options ? ", $options" : '';
	$key //= 'the secret key';
	$node->safe_psql('postgres', "CREATE SERVER $name TYPE 'claid' FOREIGN DATA WRAPPER imgapi
			OPTIONS (url 'http://127.0.0.1:$port', allow_private 'true'$options);
		CREATE USER MAPPING FOR PUBLIC SERVER $name OPTIONS (api_key '$key')");
}

# The same of one that speaks Topaz' API.
sub topaz
{
	my ($node, $name, $options) = @_;

	$options = $options ? ", $options" : '';
	$node->safe_psql('postgres', "CREATE SERVER $name TYPE 'topaz' FOREIGN DATA WRAPPER imgapi
			OPTIONS (url 'http://127.0.0.1:$port', allow_private 'true'$options);
		CREATE USER MAPPING FOR PUBLIC SERVER $name OPTIONS (api_key 'the topaz key')");
}

sub control
{
	my ($told) = @_;
	my $answer = HTTP::Tiny->new(timeout => 20)->post("http://127.0.0.1:$port/control", { content => encode_json($told) });

	$answer->{success} or die "the server says $answer->{status} $answer->{content}";
	return decode_json($answer->{content});
}

sub claid_state { return control({}); }
sub claid_rule { control({ rule => {@_} }); }
sub release { control({ release => JSON::PP::true }); }
sub forget { control({ forget => JSON::PP::true }); }
sub lose { control({ lose => JSON::PP::true }); }
sub submits { return claid_state()->{submits}; }

# A test: so many requests come to be held.
sub held
{
	my ($count, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok(wait_until(sub { claid_state()->{held} == $count }), $name) or diag 'held: ' . claid_state()->{held};
}

# Queues a job; its id. Arguments beyond as SQL, and another input.
sub claid_job
{
	my ($node, @more) = @_;
	my $input = ref $more[0] ? ${ shift @more } : 'https://example.com/cat.jpg?signature=s3cr3t';

	return $node->safe_psql('postgres', 'SELECT img_submit('
		  . join(', ', "'$input'::text", q{'{"background": {"remove": true}}'}, 'server => \'claid\'', @more) . ')');
}

sub remote
{
	my ($node, $id, $columns) = @_;

	return $node->safe_psql('postgres', "SELECT $columns FROM img_remote WHERE job_id = '$id'");
}

# A test: the row of img_remote comes to say that.
sub wait_state
{
	my ($node, $id, $state) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return poll_is($node, "SELECT state FROM img_remote WHERE job_id = '$id'", $state, "it comes to be $state");
}

sub picture_is
{
	my ($node, $id, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($node->safe_psql('postgres', "SELECT (img_info(img_output('$id'))).format || ' ' || (img_info(img_output('$id'))).width"), 'png 4', $name);
}

# ------------------------------------------------------------------- crashes

sub kill_dispatcher
{
	my ($node) = @_;
	my $dispatcher = worker_pid($node);

	kill 'KILL', $dispatcher;
	wait_until(sub { ended($dispatcher) }) or die 'the dispatcher did not die';
	$node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM img_worker WHERE database = 'postgres' AND pid <> $dispatcher)")
	  or die 'no dispatcher came';
}

sub kill_server
{
	my ($node) = @_;
	my $postmaster = slurp_file($node->data_dir . '/postmaster.pid') =~ s/\n.*//sr;

	$node->kill9;
	wait_until(sub { !-e "/proc/$postmaster" }) or die "postmaster $postmaster did not go";
	$node->start;
}

# Tests: a job whose request of that kind is held while kill is called ends so,
# with so many submits. The job's id.
sub ends_after
{
	my ($node, $name, $kill, $submit, $end, $submits, %rule) = @_;
	my $before = submits();
	my $job;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	claid_rule(%rule, hold => JSON::PP::true, times => 1);
	$job = $submit->();
	held(1, "$name: it is held");
	$kill->($node);
	release();
	is(wait_job($node, $job, 60), $end, "$name: $end") or diag job($node, $job, 'error');
	is(submits(), $before + $submits, "… submitted $submits times");
	like(job($node, $job, 'error'), qr/not known whether server "\w+" has begun this job/, '… and the error says so') if $end eq 'ERROR';
	picture_is($node, $job, '… with the result') if $end eq 'DONE';
	forget();
	return $job;
}

# A test: a job ends as ERROR with that SQLSTATE, stage, and a message like that.
sub refused
{
	my ($node, $id, $sqlstate, $stage, $regexp, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return subtest $name => sub {
		is(wait_job($node, $id), 'ERROR', 'it fails');
		job_is($node, $id, 'error_code, stage', "$sqlstate|$stage", 'with SQLSTATE and stage');
		like(job($node, $id, 'error'), $regexp, 'and says why');
	};
}

1;
