# NetworkTest.pm
#	  What the tests of jobs on the network share: a web server that does what it
#	  is told (web_server.py), and a look at it and at the fetcher.

package NetworkTest;

use strict;
use warnings;

use Exporter 'import';
use HTTP::Tiny;
use ImgTest;
use IPC::Open2;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(network_node web_server stop_web_server web bucket store_job put_object web_rule web_state web_seen release forget objects
  fetch_job fetchers thumbnail errors_of delete_rows due held);

my $thumbnail = '{"resizing": {"width": 16}}';
my %port;
my ($server_pid, $to_server, $from_server);

sub thumbnail { return $thumbnail; }

# A server whose jobs may reach loopback.
sub network_node
{
	my ($name, %settings) = @_;

	return img_node($name, 'imgapi.allow_private_networks' => 'on', 'imgapi.executors' => 1, %settings);
}

# ----------------------------------------------------------- the web server

# Started; and after stop_web_server() again, at the same port.
sub web_server
{
	$server_pid = open2($from_server, $to_server, '/usr/bin/python3', "$ENV{TESTDIR}/test/t/web_server.py", $port{http} // 0);
	my $line = <$from_server> // die 'the web server did not start';
	%port = %{ decode_json($line) };
	return "http://127.0.0.1:$port{http}";
}

sub stop_web_server
{
	kill 'KILL', $server_pid;
	waitpid $server_pid, 0;
	$server_pid = 0;
}

END
{
	my $status = $?;
	stop_web_server() if $server_pid;
	$? = $status;
}

# The URL of a page.
sub web
{
	my ($page, $scheme) = @_;

	$scheme //= 'http';
	return "$scheme://127.0.0.1:$port{$scheme}/$page";
}

sub control
{
	my ($told) = @_;
	my $answer = HTTP::Tiny->new(timeout => 20)->post(web('control'), { content => encode_json($told) });

	$answer->{success} or die "the web server says $answer->{status} $answer->{content}";
	return decode_json($answer->{content});
}

sub web_state { return control({}); }
sub web_rule { control({ rule => {@_} }); }
sub release { control({ release => JSON::PP::true }); }
sub forget { control({ forget => JSON::PP::true }); }
sub objects { return web_state()->{objects}; }

# An object of somebody else's in the bucket.
sub put_object { control({ put => $_[0] }); }

# Requests that have come: of a method, for a path that matches.
sub web_seen
{
	my ($method, $regexp) = @_;

	return grep { $_->{method} eq $method && $_->{path} =~ $regexp } @{ web_state()->{seen} };
}

# A test: so many requests come to be held.
sub held
{
	my ($count, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok(wait_until(sub { web_state()->{held} == $count }), $name) or diag 'held: ' . web_state()->{held};
}

# The web server's bucket as a foreign server.
sub bucket
{
	my ($node, $name, $options) = @_;

	$options = $options ? ", $options" : '';
	$node->safe_psql('postgres', "CREATE SERVER $name TYPE 's3' FOREIGN DATA WRAPPER imgapi OPTIONS (endpoint 'http://127.0.0.1:$port{http}',
			bucket 'bucket', path_style 'true', allow_private 'true'$options);
		CREATE USER MAPPING FOR PUBLIC SERVER $name OPTIONS (access_key_id 'key', secret_access_key 'secret')");
}

# ---------------------------------------------------------------------- jobs

# Queues a picture that is elsewhere; the job's id. Arguments beyond as SQL.
sub fetch_job
{
	my ($node, $input, @more) = @_;

	return $node->safe_psql('postgres', 'SELECT img_submit(' . join(', ', "'$input'::text", "'$thumbnail'", @more) . ')');
}

# Queues a picture whose result goes to a server.
sub store_job
{
	my ($node, $destination, @more) = @_;

	return submit($node, small_png(3), $thumbnail, qq{'{"destination": "$destination"}'}, @more);
}

sub errors_of
{
	my ($node, $id) = @_;

	return $node->safe_psql('postgres', "SELECT attempt, transient, sqlstate, stage FROM img_job_error WHERE job_id = '$id' ORDER BY attempt");
}

# Live fetchers of a dispatcher.
sub fetchers
{
	my ($parent) = @_;

	opendir(my $dir, '/proc') or die "could not read /proc: $!";
	return grep {
		/^\d+$/ && (status_field($_, 'Name') // '') eq 'imgapi-fetcher'
		  && !ended($_) && (status_field($_, 'PPid') // '') eq $parent
	} readdir $dir;
}

# Files that are going to be removed.
sub delete_rows
{
	my ($node) = @_;

	return $node->safe_psql('postgres', 'SELECT path FROM img_delete ORDER BY path');
}

# Makes all removals due, as if their time had come; a reload has the worker look.
sub due
{
	my ($node) = @_;

	$node->safe_psql('postgres', "UPDATE img_delete SET run_after = now() - interval '1 s' WHERE lease_owner IS NULL");
	$node->reload;
}

1;
