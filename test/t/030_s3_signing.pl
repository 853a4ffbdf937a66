# Requests and links that SQL signs, against two S3 servers that check them: sent
# by plain curl, and read by another client.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Digest::SHA qw(sha256_hex);
use ImgTest;
use PostgreSQL::Test::Utils;
use S3Test;
use Test::More;

my $node = img_node('node', 'imgapi.executors' => 1, log_statement => 'none');
my $picture = small_png(7);
my $odd = q{a folder/ü & +=%41~'(1)*!,;:@$#?[].png};

# Nobody can open a link that is not exactly what was signed.
sub check_links
{
	my ($server) = @_;
	my $link = s3_link($node, 's3', $odd);
	my $answer = curl('GET', $link);

	status_is($answer, 200, 'a link opens in plain curl');
	is(sha256_hex($answer->{body}), sha256_hex($picture), '… with the picture');
	is($answer->{headers}{'content-type'}, 'image/png', '… and its type');
	status_is(curl('HEAD', s3_link($node, 's3', $odd, method => q{'HEAD'})), 200, 'a HEAD link');
	is(curl('HEAD', s3_link($node, 's3', $odd, method => q{'HEAD'}))->{headers}{'content-length'}, length $picture, '… knows the size');
	$answer = curl('GET', s3_link($node, 's3', $odd, parameters => q{'{"response-content-disposition": "attachment; filename=\"my cat.png\""}'}));
	is($answer->{headers}{'content-disposition'}, 'attachment; filename="my cat.png"', 'a link with a file name');

	status_is(curl('PUT', s3_link($node, 's3', 'by link.txt', method => q{'PUT'}), [], 'by link'), 200, 'a PUT link');
	is(curl('GET', s3_link($node, 's3', 'by link.txt'))->{body}, 'by link', '… stores');
	status_is(curl('DELETE', s3_link($node, 's3', 'by link.txt', method => q{'DELETE'})), 204, 'a DELETE link');
	status_is(curl('GET', s3_link($node, 's3', 'by link.txt')), 404, '… removes');

	my %forged = (
		'another signature' => $link =~ s/(Signature=.*)(.)$/$1 . ($2 eq '0' ? '1' : '0')/er,
		'a shorter signature' => substr($link, 0, -2),
		'no signature' => $link =~ s/&X-Amz-Signature=.*//r,
		'a longer life' => $link =~ s/Expires=3600/Expires=7200/r,
		'another day' => $link =~ s/(X-Amz-Date=\d{7})(\d)/$1 . ($2 + 1) % 10/er,
		'another object' => $link =~ s/png\?/jpg?/r,
		'another key' => $link =~ s/Credential=\w/Credential=x/r,
		'one parameter more' => "$link&response-content-type=text%2Fhtml");
	foreach my $what (sort keys %forged)
	{
		isnt($forged{$what}, $link, "a link with $what");
		like(curl('GET', $forged{$what})->{status}, qr/^40[03]$/, '… is refused');
	}
	foreach my $method ('PUT', 'DELETE')
	{
		status_is(curl($method, $link, [], $method eq 'PUT' ? 'overwritten' : undef), 403, "a GET link does not $method");
	}
	status_is(curl('GET', s3_link($node, 's3', $odd, at => q{now() - interval '61 minutes'})), 403, 'an expired link is refused');
	status_is(curl('GET', s3_link($node, 's3', $odd, at => q{now() - interval '50 minutes'})), 200, '… and one that is about to opens');
	fails_with($node, "SELECT img_storage_presign('s3', 'a', lifetime => '$_')", '22023', qr/lifetime of a link is out of range/, "a lifetime of $_")
	  foreach '0 s', '8 days', '-1 hour', '1000000 years';
}

# What the worker sends.
sub check_objects
{
	my ($server) = @_;
	my $answer;

	status_is(s3_call($node, 's3', 'put', $odd, $picture, details => q{'{"type": "image/png"}'}), 200, 'put');
	$answer = s3_call($node, 's3', 'get', $odd);
	status_is($answer, 200, 'get');
	is(sha256_hex($answer->{body}), sha256_hex($picture), '… the same bytes');
	$answer = s3_call($node, 's3', 'head', $odd);
	status_is($answer, 200, 'head');
	is("$answer->{headers}{'content-length'} $answer->{headers}{'content-type'}", length($picture) . ' image/png', '… size and type');

	$answer = s3_request_with_other_body();
	status_is($answer, 400, 'a body that is not the signed one is refused');
	is(s3_failure($node, 's3', $answer)->{transient}, JSON::PP::true, '… and is tried again');
	status_is(s3_call($node, 's3', 'head', 'damaged'), 404, '… and nothing is stored');

	status_is(s3_call($node, 's3', 'put', "page/$_", "object $_"), 200, "put page/$_") foreach 1 .. 7;
	my ($token, @paths, @pages);
	do
	{
		my $details = defined $token ? qq{, "token": "$token"} : '';
		$answer = s3_call($node, 's3', 'list', 'page/', undef, details => qq{'{"number": "3"$details}'});
		status_is($answer, 200, 'list');
		push @pages, scalar split /\n/, s3_answer($node, 's3', 'list', $answer, 'path');
		push @paths, split /\n/, s3_answer($node, 's3', 'list', $answer, q{path || ' ' || bytes || ' ' || (at BETWEEN now() - interval '1 day' AND now() + interval '1 day')});
		$token = s3_answer($node, 's3', 'list', $answer, 'DISTINCT next');
	} while (length $token);
	is("@pages", '3 3 1', '… in pages');
	is(join(',', @paths), join(',', map { "page/$_ 8 true" } 1 .. 7), '… all of them once');
	$answer = s3_call($node, 's3', 'list', 'a folder/');
	is(s3_answer($node, 's3', 'list', $answer, 'path'), $odd, '… odd names as they are');

	status_is(s3_call($node, 's3', 'delete', 'page/1'), 204, 'delete');
	$answer = s3_call($node, 's3', 'delete_batch', undef, undef, names => q{'{page/1,page/2,page/3,page/4,page/5,page/6,a & <b>}'});
	status_is($answer, 200, 'batch delete, of some that are gone too');
	is(s3_answer($node, 's3', 'delete_batch', $answer, 'path, code'), '', '… has deleted all');
	$answer = s3_call($node, 's3', 'list', 'page/');
	is(s3_answer($node, 's3', 'list', $answer, 'path'), 'page/7', '… and nothing else');
	fails_with($node, q{SELECT img_s3_request('s3', 'put', 'a/../b')}, '22P02', qr/"\." or "\.\."/, 'a path that climbs');
}

# The hash of one body is signed and another is sent.
sub s3_request_with_other_body
{
	my $request = $node->safe_psql('postgres', q{SELECT url || E'\n' || array_to_string(headers, E'\n')
		FROM img_s3_request('s3', 'put', 'damaged', payload => 'signed')});
	my ($url, @headers) = split /\n/, $request;

	return curl('PUT', $url, \@headers, 'sent');
}

sub check_parts
{
	my ($server) = @_;
	my @parts = ('a' x (5 * 1024 * 1024), 'the end');
	my $uploads = sub { s3_answer($node, 's3', 'multipart_list', s3_call($node, 's3', 'multipart_list', ''), 'path, upload_id IS NOT NULL') };
	my $create = sub {
		my $answer = s3_call($node, 's3', 'multipart_create', 'large & slow.bin', undef, details => q{'{"type": "image/tiff"}'});
		status_is($answer, 200, 'an upload in parts begins');
		return s3_answer($node, 's3', 'multipart_create', $answer, 'upload_id');
	};
	my $send = sub {
		my ($id) = @_;
		my @etags;
		foreach my $number (1, 2)
		{
			my $answer = s3_call($node, 's3', 'multipart_part', 'large & slow.bin', undef, details => qq{'{"upload_id": "$id", "number": "$number"}'});
			status_is($answer, 200, "part $number, unsigned and empty");
			my $request = $node->safe_psql('postgres', qq{SELECT url || E'\n' || array_to_string(headers, E'\n') FROM img_s3_request('s3', 'multipart_part',
				'large & slow.bin', '{"upload_id": "$id", "number": "$number"}')});
			my ($url, @headers) = split /\n/, $request;
			$answer = curl('PUT', $url, \@headers, $parts[ $number - 1 ]);
			status_is($answer, 200, '… and again with its bytes');
			push @etags, $answer->{headers}{etag};
		}
		return @etags;
	};

	my $id = $create->();
	is($uploads->(), 'large & slow.bin|t', '… and is listed');
	my @etags = $send->($id);
	my $names = "ARRAY['" . join("', '", @etags) . "']";
	my $answer = s3_call($node, 's3', 'multipart_complete', 'large & slow.bin', undef, details => qq{'{"upload_id": "$id"}'},
		names => q{ARRAY['"00000000000000000000000000000000"']});
	my $failure = s3_failure($node, 's3', $answer);
	is("$failure->{code} $failure->{transient} $failure->{sqlstate}", 'InvalidPart 0 22023', '… wrong parts are refused for good');
	$answer = s3_call($node, 's3', 'multipart_complete', 'large & slow.bin', undef, details => qq{'{"upload_id": "$id"}'}, names => $names);
	status_is($answer, 200, '… and completes');
	is(s3_failure($node, 's3', $answer), undef, '… which is no failure');
	$answer = s3_call($node, 's3', 'get', 'large & slow.bin');
	is(sha256_hex($answer->{body}), sha256_hex(join '', @parts), '… with all bytes');
	is($answer->{headers}{'content-type'}, 'image/tiff', '… and its type');

	$id = $create->();
	$send->($id);
	status_is(s3_call($node, 's3', 'multipart_abort', 'large & slow.bin', undef, details => qq{'{"upload_id": "$id"}'}), 204, 'an upload is given up');
	is($uploads->(), '', '… and nothing of it is left');
	$answer = s3_call($node, 's3', 'multipart_abort', 'large & slow.bin', undef, details => qq{'{"upload_id": "$id"}'});
	is(s3_failure($node, 's3', $answer)->{code}, 'NoSuchUpload', '… only once');
	status_is(s3_call($node, 's3', 'delete', 'large & slow.bin'), 204, 'it is removed');
}

sub failure_is
{
	my ($answer, $code, $sqlstate, $transient, $regexp, $name) = @_;
	my $failure = s3_failure($node, 's3', $answer);

	is(join(' ', $failure->{code} // '', $failure->{sqlstate}, $failure->{transient} ? 'transient' : 'permanent'),
		"$code $sqlstate $transient", $name);
	like("$failure->{message} " . ($failure->{hint} // ''), $regexp, '… says why');
}

sub check_failures
{
	my ($server) = @_;
	my $answer;

	failure_is(s3_call($node, 's3', 'get', 'no such'), 'NoSuchKey', '02000', 'permanent', qr/server "s3" answered 404 NoSuchKey/, 'no such object');
	failure_is(s3_call($node, 's3', 'head', 'no such'), '', '02000', 'permanent', qr/answered 404/, '… by HEAD, which has no body');
	s3_connect($node, $server, 's3_wrong', bucket => 'elsewhere');
	failure_is(s3_call($node, 's3_wrong', 'get', 'a'), 'NoSuchBucket', '02000', 'permanent', qr/answered 404 NoSuchBucket.*option bucket/, 'no such bucket');
	s3_connect($node, $server, 's3_wrong', mapping => { secret_access_key => 'wrong' });
	failure_is(s3_call($node, 's3_wrong', 'get', $odd), 'SignatureDoesNotMatch', '28000', 'permanent', qr/secret_access_key/, 'a wrong secret');
	s3_connect($node, $server, 's3_wrong', mapping => { access_key_id => 'nobody' });
	failure_is(s3_call($node, 's3_wrong', 'get', $odd), $server->{kind} eq 'swift' ? 'SignatureDoesNotMatch' : 'InvalidAccessKeyId',
		'28000', 'permanent', qr/access_key_id/, 'a wrong key');
	my $year = 1900 + (gmtime)[5];
	foreach my $skew ('- interval', '+ interval')
	{
		failure_is(s3_call($node, 's3', 'get', $odd, undef, at => "now() $skew '1 hour'"), 'RequestTimeTooSkewed', '28000', 'permanent',
			qr/its time: .*$year.*; ours: $year-.*clock/, "a clock that differs ($skew)");
	}
}

sub check_addresses
{
	my ($server) = @_;

	s3_connect($node, $server, 's3_host', endpoint => $server->{named_endpoint}, path_style => 'false');
	like(s3_link($node, 's3_host', $odd), qr{^http://photos\.s3\.localhost:}, 'the bucket in the host name');
	is(sha256_hex(curl('GET', s3_link($node, 's3_host', $odd))->{body}), sha256_hex($picture), '… by link');
	is(sha256_hex(s3_call($node, 's3_host', 'get', $odd)->{body}), sha256_hex($picture), '… by header');
	is(s3_answer($node, 's3_host', 'list', s3_call($node, 's3_host', 'list', 'a folder/'), 'path'), $odd, '… in a list');

	s3_connect($node, $server, 's3_public', public_endpoint => $server->{named_endpoint});
	like(s3_link($node, 's3_public', $odd), qr{^http://s3\.localhost:\d+/photos/}, 'links have the public address');
	is(sha256_hex(curl('GET', s3_link($node, 's3_public', $odd))->{body}), sha256_hex($picture), '… and open');
	is(sha256_hex(s3_call($node, 's3_public', 'get', $odd)->{body}), sha256_hex($picture), '… requests the inner one');

	s3_connect($node, $server, 's3_prefix', prefix => 'of imgapi/');
	status_is(s3_call($node, 's3_prefix', 'put', 'a.png', $picture), 200, 'a folder of the bucket');
	is(s3_answer($node, 's3', 'list', s3_call($node, 's3', 'list', 'of '), 'path'), 'of imgapi/a.png', '… is part of the key');
	is(s3_answer($node, 's3_prefix', 'list', s3_call($node, 's3_prefix', 'list', ''), 'path'), 'a.png', '… and not of the path');
	status_is(s3_call($node, 's3_prefix', 'delete_batch', undef, undef, names => q{'{a.png}'}), 200, '… nor when it is deleted');
	is(s3_answer($node, 's3', 'list', s3_call($node, 's3', 'list', 'of '), 'path'), '', '… which deletes it');
}

sub check_client
{
	my ($server) = @_;

	is(boto3($server, <<'PYTHON'), sha256_hex($picture) . ' image/png', 'boto3 reads what we wrote');
key = next(o['Key'] for o in s3.list_objects_v2(Bucket='photos', Prefix='a folder/')['Contents'])
answer = s3.get_object(Bucket='photos', Key=key)
print(hashlib.sha256(answer['Body'].read()).hexdigest(), answer['ContentType'])
PYTHON
	if ($server->{kind} eq 'ceph')
	{
		status_is(s3_call($node, 's3', 'put', 'tagged', 'x', details => q{'{"tags": "imgapi=7-days&note=a%20b"}'}), 200, 'tags');
		is(boto3($server, q{print(sorted((t['Key'], t['Value']) for t in s3.get_object_tagging(Bucket='photos', Key='tagged')['TagSet']))}),
			q{[('imgapi', '7-days'), ('note', 'a b')]}, '… are there for the rules of the bucket');
	}
	is(boto3($server, q{s3.put_object(Bucket='photos', Key='from boto3/ö.txt', Body=b'by boto3')}), '', 'boto3 writes');
	is(s3_call($node, 's3', 'get', 'from boto3/ö.txt')->{body}, 'by boto3', '… what we read');
	is(boto3($server, <<'PYTHON'), s3_link_without_signature($server), 'boto3 makes the same link');
import datetime, botocore.auth
class Fixed(datetime.datetime):
    @classmethod
    def utcnow(cls): return cls(2026, 3, 4, 5, 6, 7)
botocore.auth.datetime.datetime = Fixed
print(s3.generate_presigned_url('get_object', Params={'Bucket': 'photos', 'Key': 'a b/ü~(1)\'*.png'}, ExpiresIn=900))
PYTHON
}

# Of an object and a time.
sub s3_link_without_signature
{
	return s3_link($node, 's3', q{a b/ü~(1)'*.png}, at => q{'2026-03-04 05:06:07Z'}, lifetime => q{'15 minutes'});
}

# Keys that end: they work with their token and not without.
sub check_session
{
	my ($server) = @_;
	my ($key, $secret, $token) = split /\n/, boto3($server, <<"PYTHON");
import json
policy = {'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Action': 'sts:GetSessionToken', 'Resource': '*'}]}
session.client('iam', endpoint_url='$server->{endpoint}').put_user_policy(UserName='imgapi', PolicyName='tokens', PolicyDocument=json.dumps(policy))
sts = session.client('sts', endpoint_url='$server->{endpoint}')
c = sts.get_session_token(DurationSeconds=900)['Credentials']
print(c['AccessKeyId'], c['SecretAccessKey'], c['SessionToken'], sep='\\n')
PYTHON

	status_is(s3_call($node, 's3', 'put', $odd, $picture), 200, 'put');
	ok(defined $token && length $token > 100, 'the server gives a session token') or return diag $key;
	s3_connect($node, $server, 's3_session', mapping => { access_key_id => $key, secret_access_key => $secret, session_token => $token });
	is(sha256_hex(s3_call($node, 's3_session', 'get', $odd)->{body}), sha256_hex($picture), '… which opens by header');
	is(sha256_hex(curl('GET', s3_link($node, 's3_session', $odd))->{body}), sha256_hex($picture), '… and by link');
	s3_connect($node, $server, 's3_session', mapping => { access_key_id => $key, secret_access_key => $secret });
	status_is(s3_call($node, 's3_session', 'get', $odd), 403, '… and without it nothing does');
	s3_connect($node, $server, 's3_session', mapping => { access_key_id => $key, secret_access_key => $secret, session_token => "x$token" });
	like(s3_call($node, 's3_session', 'get', $odd)->{status}, qr/^40[03]$/, '… nor with another');
}

foreach my $kind ('ceph', 'swift', 'sts')
{
	my $server = s3_server($kind);

	note "against $kind";
	s3_connect($node, $server, 's3');
	status_is(s3_sign($node, 's3', 'PUT'), 200, "$kind: a bucket is made");
	if ($kind eq 'sts')
	{
		check_session($server);
		next;
	}
	check_objects($server);
	check_links($server);
	check_parts($server);
	check_failures($server);
	check_addresses($server);
	check_client($server);
}

$node->stop;
is(count_log($node, qr/imgapi-secret|X-Amz-Signature=|Signature=[0-9a-f]{64}/), 0, 'no secret or signature is in the server\'s log');
done_testing();
