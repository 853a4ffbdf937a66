# S3Test.pm
#	  S3 servers for tests, and requests that SQL signs and curl sends.

package S3Test;

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(s3_server s3_connect curl s3_sign s3_request s3_call s3_link s3_failure s3_answer status_is quote boto3);

my @started;

# ------------------------------------------------------------------- servers

# A port that is free, and so are the four after it.
sub free_ports
{
	for (1 .. 100)
	{
		my $first = 20_000 + int rand 30_000;
		my @sockets = grep { $_ }
		  map { IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $_, Listen => 1) } $first .. $first + 4;
		return $first if @sockets == 5;
	}
	die 'no free ports';
}

# Starts one: "ceph", "swift" or "sts", which is Ceph that gives session tokens.
sub s3_server
{
	my ($kind) = @_;
	my $directory = "$ENV{TESTDIR}/tmp_check/s3-$kind-$$";
	my $tool = "$ENV{TESTDIR}/tools/s3-server";
	my ($port, $tries);

	push @started, $directory;
	# Somebody else may have taken a port by the time that it starts.
	do
	{
		die "no $kind server has started" if $tries++ == 3;
		system($tool, 'stop', $directory) if $tries > 1;
		$port = free_ports();
	} until system($tool, 'start', $kind eq 'ceph' ? () : "--$kind", $directory, $port) == 0;
	return {
		kind => $kind,
		endpoint => "http://127.0.0.1:$port",
		named_endpoint => "http://s3.localhost:$port",
		key => $kind eq 'swift' ? 'test:tester' : 'imgapi',
		secret => 'imgapi-secret' };
}

END
{
	my $status = $?;
	system("$ENV{TESTDIR}/tools/s3-server", 'stop', $_) foreach @started;
	$? = $status;
}

sub quote { return defined $_[0] ? q{'} . ($_[0] =~ s/'/''/gr) . q{'} : 'NULL'; }

sub options
{
	my (%options) = @_;

	return join ', ', map { "$_ " . quote($options{$_}) } sort keys %options;
}

# Makes a foreign server of it, with a user mapping.
sub s3_connect
{
	my ($node, $server, $name, %more) = @_;
	my %mapping = (access_key_id => $server->{key}, secret_access_key => $server->{secret}, %{ delete $more{mapping} // {} });

	$node->safe_psql('postgres',
		"DROP SERVER IF EXISTS $name CASCADE;
		CREATE SERVER $name TYPE 's3' FOREIGN DATA WRAPPER imgapi OPTIONS ("
		  . options(endpoint => $server->{endpoint}, bucket => 'photos', path_style => 'true', allow_private => 'true', %more) . ");
		CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS (" . options(%mapping) . ')');
}

# ------------------------------------------------------------------ requests

# Sends one; status, headers (names in small letters) and body of the answer.
# What curl gets is in a file: nothing is shown to other users.
sub curl
{
	my ($method, $url, $headers, $body) = @_;
	my $base = "$ENV{TESTDIR}/tmp_check/curl-$$";
	my @lines = ("url = \"$url\"", 'silent', 'show-error', 'globoff', 'path-as-is', 'noproxy = "*"', 'max-time = 60',
		"output = \"$base.body\"", "dump-header = \"$base.headers\"", 'write-out = "%{http_code}"');

	unlink "$base.body";
	push @lines, map { 'header = "' . s/(["\\])/\\$1/gr . '"' } @{ $headers // [] };
	push @lines, 'header = "Content-Type:"' unless grep { /^content-type:/i } @{ $headers // [] };
	if ($method eq 'HEAD')
	{
		push @lines, 'head';
	}
	elsif (defined $body || $method eq 'PUT' || $method eq 'POST')
	{
		write_file("$base.sent", $body // '');
		push @lines, $method eq 'PUT' ? "upload-file = \"$base.sent\"" : "data-binary = \"\@$base.sent\"";
	}
	push @lines, "request = \"$method\"" unless $method eq 'HEAD' || $method eq 'GET' || $method eq 'PUT';
	write_file("$base.config", join "\n", @lines);
	my $status = `curl -K "$base.config"`;
	my %headers;
	foreach my $line (split /\r\n/, slurp_file("$base.headers"))
	{
		$headers{ lc $1 } = $2 if $line =~ /^([^:]+): *(.*)$/;
	}
	return {
		status => $status,
		headers => \%headers,
		body => -e "$base.body" && $method ne 'HEAD' ? read_file("$base.body") : '' };
}

sub write_file
{
	my ($name, $content) = @_;

	open(my $file, '>:raw', $name) or die "$name: $!";
	print $file $content;
	close $file;
}

sub read_file
{
	open(my $file, '<:raw', $_[0]) or die "$_[0]: $!";
	local $/;
	return <$file>;
}

# The first row of a query, as a hash; undef for none.
sub row
{
	my ($node, $query) = @_;
	my $json = $node->safe_psql('postgres', "SELECT to_json(r) FROM $query r");

	return length $json ? decode_json((split /\n/, $json)[0]) : undef;
}

# Bytes as SQL.
sub bytes { return defined $_[0] ? q{'\x} . unpack('H*', $_[0]) . q{'::bytea} : 'NULL'; }

# Any request, signed in headers. Options are arguments of img_s3_sign() as SQL.
sub s3_sign
{
	my ($node, $name, $method, %options) = @_;
	my $body = delete $options{body};
	my $arguments = join ', ', "'$name'", "'$method'", 'body => ' . bytes($body // ''), map { "$_ => $options{$_}" } sort keys %options;
	my $request = row($node, "img_s3_sign($arguments)");

	return curl($method, $request->{url}, $request->{signed}, $body);
}

# A request of the worker's; what is sent with it follows.
sub s3_call
{
	my ($node, $name, $action, $path, $body, %options) = @_;
	my $arguments = join ', ', "'$name'", "'$action'", quote($path), 'payload => ' . bytes($body),
	  map { "$_ => $options{$_}" } sort keys %options;
	my $request = row($node, "img_s3_request($arguments)");

	$body = pack 'H*', substr $request->{body}, 2 if defined $request->{body};
	return curl($request->{method}, $request->{url}, $request->{headers}, $body);
}

# A link; options are arguments of img_storage_presign() as SQL.
sub s3_link
{
	my ($node, $name, $path, %options) = @_;

	return $node->safe_psql('postgres', 'SELECT img_storage_presign('
		  . join(', ', "'$name'", quote($path), map { "$_ => $options{$_}" } sort keys %options) . ')');
}

# What SQL makes of an answer; undef: it is no failure.
sub s3_failure
{
	my ($node, $name, $answer) = @_;

	my $failure = row($node, "img_s3_failure('$name', $answer->{status}, " . quote($answer->{headers}{date}) . ', ' . bytes($answer->{body}) . ')');
	return defined $failure->{sqlstate} ? $failure : undef;
}

sub s3_answer
{
	my ($node, $name, $action, $answer, $columns) = @_;

	return $node->safe_psql('postgres', "SELECT $columns FROM img_s3_answer('$name', '$action', " . bytes($answer->{body}) . ')');
}

sub status_is
{
	my ($answer, $status, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($answer->{status}, $status, $name) or diag substr $answer->{body}, 0, 500;
}

# -------------------------------------------------------- another client ----

# Lines of Python that have the client "s3"; what they print.
sub boto3
{
	my ($server, $lines) = @_;
	my $file = "$ENV{TESTDIR}/tmp_check/client-$$.py";

	write_file($file, <<"PYTHON" . $lines);
import boto3, hashlib, sys
from botocore.config import Config
session = boto3.session.Session(aws_access_key_id='$server->{key}', aws_secret_access_key='$server->{secret}', region_name='us-east-1')
s3 = session.client('s3', endpoint_url='$server->{endpoint}', config=Config(signature_version='s3v4', s3={'addressing_style': 'path'}))
PYTHON
	my $printed = `/usr/bin/python3 "$file" 2>&1`;
	chomp $printed;
	return $printed;
}

1;
