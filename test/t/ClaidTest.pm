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
  picture_is refused topaz claid_in_steps steps_job outputs cleaned
  kill_dispatcher kill_server ends_after);

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
sub brief { return control({ brief => JSON::PP::true }); }
sub submits { return brief()->{submits}; }

# A test: so many requests come to be held.
sub held
{
	my ($count, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok(wait_until(sub { brief()->{held} == $count }), $name) or diag 'held: ' . brief()->{held};
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

# --------------------------------------------------------------------- steps

# What a type of server would say whose API wants several calls before the
# submit, makes several pictures of one, and is cleaned up afterwards
# (steps_server.py): claid, changed.
sub claid_in_steps
{
	my ($node) = @_;

	$node->safe_psql('postgres', q{
		ALTER FUNCTION img_claid_request(text, img_remote, jsonb, text) RENAME TO img_own_request;
		ALTER FUNCTION img_claid_read(text, img_remote, jsonb) RENAME TO img_own_read;
		CREATE FUNCTION img_claid_request(what text, r img_remote, request jsonb, input text) RETURNS img_remote_request LANGUAGE plpgsql AS $$
		BEGIN
			CASE what
				WHEN 'prepare' THEN RETURN ROW('PUT', '/prepare/' || r.job_id, 'application/json', '{"folder": true}', NULL, NULL)::public.img_remote_request;
				WHEN 'upload' THEN RETURN ROW('PUT', '/upload/' || r.job_id, 'application/octet-stream', NULL, true, NULL)::public.img_remote_request;
				WHEN 'submit' THEN RETURN public.img_own_request(what, r, request, 'https://uploaded/' || COALESCE(r.result ->> 'file', 'none'));
				WHEN 'clean' THEN RETURN ROW('DELETE', '/clean/' || r.job_id, NULL, NULL, NULL, NULL)::public.img_remote_request;
				WHEN 'cancel' THEN RETURN public.img_claid_request(CASE r.state WHEN 'preparing' THEN 'clean' ELSE 'none' END, r, request, input);
				ELSE RETURN public.img_own_request(what, r, request, input);
			END CASE;
		END $$;
		CREATE FUNCTION img_claid_read(what text, r img_remote, document jsonb) RETURNS img_remote_answer LANGUAGE plpgsql AS $$
		DECLARE
			answer public.img_remote_answer := public.img_own_read(what, r, document);
		BEGIN
			CASE what
				WHEN 'begin' THEN answer.next := 'prepare';
				WHEN 'prepare' THEN answer.next := CASE WHEN document ? 'done' THEN 'upload' END;
				WHEN 'upload' THEN
					answer.next := CASE WHEN document ? 'done' THEN 'submit' END;
					answer.result := jsonb_build_object('file', document -> 'file');
				WHEN 'poll' THEN
					IF answer.state = 'done' THEN
						answer.urls := ARRAY[answer.urls[1] || '&0', answer.urls[1] || '&1', answer.urls[1] || '&2'];
						answer.names := ARRAY['folder/first.png', 'second.png', 'third.png'];
						answer.next := 'clean';
					END IF;
				ELSE NULL;
			END CASE;
			RETURN answer;
		END $$;});
}

# Queues a job whose picture that server has, too.
sub steps_job
{
	my ($node, @more) = @_;

	return claid_job($node, \"http://127.0.0.1:$port/source.png", @more);
}

# Outputs of a job, as img_object has them.
sub outputs
{
	my ($node, $job) = @_;

	return $node->safe_psql('postgres', "SELECT string_agg(ordinal || ' ' || storage || ' ' || name || ' ' || bytes, ', ' ORDER BY ordinal)
		FROM img_object WHERE job_id = '$job' AND role = 'output'");
}

# A test: no server has to be called any more for jobs that have ended.
sub cleaned
{
	my ($node, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return poll_is($node, 'SELECT count(*) FROM img_remote_followup', 0, $name // '… and it is cleaned up');
}

# ------------------------------------------------------------------- crashes

sub kill_dispatcher
{
	my ($node) = @_;
	my $dispatcher = worker_pid($node);

	kill 'KILL', $dispatcher;
	wait_until(sub { ended($dispatcher) }) or die 'the dispatcher did not die';
	# while the server restarts, psql ends before it has read anything
	wait_until(sub { (eval { worker_pid($node) } || $dispatcher) ne $dispatcher }, 60) or die 'no dispatcher came';
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
