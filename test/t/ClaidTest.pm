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
  picture_is refused);

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

# Queues a job; its id. Arguments beyond as SQL.
sub claid_job
{
	my ($node, @more) = @_;

	return $node->safe_psql('postgres', 'SELECT img_submit('
		  . join(', ', "'https://example.com/cat.jpg?signature=s3cr3t'::text", q{'{"background": {"remove": true}}'}, 'server => \'claid\'', @more) . ')');
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
