# What goes wrong with pictures on the network: where it did, whether it is tried
# again, and what the user is told.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use IO::Socket::INET;
use NetworkTest;
use Test::More;

my $node = network_node('node', 'imgapi.max_source_bytes' => '100kB');
my $web = web_server();

sub sql { return $node->safe_psql('postgres', $_[0]); }

# A port where nobody is.
my $closed = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1);
my $port = $closed->sockport;
close $closed;

# A server whose time is short, so that no test waits.
sql(qq{CREATE SERVER hasty TYPE 'http' FOREIGN DATA WRAPPER imgapi OPTIONS (url '$web', timeout '300ms', allow_private 'true')});

# One attempt each. Columns: input, SQLSTATE, stage, whether it would be tried
# again, what the message and the hint say.
my @table = (
	['a name that does not exist', 'http://no-such-host.invalid/a.png', '58000', 'resolve', 't', qr/could not resolve the name of http:\/\/no-such-host\.invalid/],
	['a port where nobody is', "http://127.0.0.1:$port/a.png", '58000', 'connect', 't', qr/could not connect to http:\/\/127\.0\.0\.1:$port/],
	['a certificate of nobody', web('picture/a.png', 'https'), '58000', 'tls', 't', qr/could not agree on TLS .*certificate/],
	['status 404', web('status?code=404'), '02000', 'status', 'f', qr/answered with status 404/],
	['status 410', web('status?code=410'), '02000', 'status', 'f', qr/answered with status 410/],
	['status 401', web('status?code=401'), '42501', 'status', 'f', qr/answered with status 401/],
	['status 403', web('status?code=403'), '42501', 'status', 'f', qr/answered with status 403/],
	['status 400', web('status?code=400'), '22023', 'status', 'f', qr/answered with status 400/],
	['status 408', web('status?code=408'), '58000', 'status', 't', qr/answered with status 408/],
	['status 429', web('status?code=429'), '53400', 'status', 't', qr/answered with status 429/],
	['status 500', web('status?code=500'), '58000', 'status', 't', qr/answered with status 500/],
	['status 503', web('status?code=503'), '58000', 'status', 't', qr/answered with status 503/],
	['no answer', web('gone'), '58000', 'send', 't', qr/no answer from \Q$web\E/],
	['an answer that is no HTTP', web('nonsense'), '58000', undef, 't', qr/\Q$web\E/],
	['fewer bytes than announced', web('broken'), '58000', 'transfer', 't', qr/the answer of \Q$web\E is not whole/],
	['a chunk that ends early', web('broken-chunk'), '58000', 'transfer', 't', qr/is not whole/],
	['a negative length', web('negative'), '58000', undef, 't', qr/\Q$web\E/],
	['no bytes at all', web('empty'), '22000', 'transfer', 'f', qr/the picture is empty/],
	['more bytes than allowed', web('bytes?n=200000'), '54000', 'transfer', 'f', qr/./, qr/imgapi\.max_source_bytes/],
	['bytes without end', web('chunked'), '54000', 'transfer', 'f', qr/./, qr/imgapi\.max_source_bytes/],
	['redirects without end', web('loop'), '54000', 'redirect', 'f', qr/redirect/],
	['a redirect to a file', web('redirect?to=file:///etc/passwd'), '42501', 'redirect', 'f', qr/redirect/, qr/^$/],
	['a page that is no picture', web('html'), '0A000', 'header', 'f', qr/./],
	['a server that does not answer in time', 'storage://hasty/never', '58000', 'send', 't', qr/no answer from \Q$web\E/],
	['a server that is too slow', 'storage://hasty/drip', '58000', 'transfer', 't', qr/is not whole/]);

foreach my $case (@table)
{
	my ($name, $input, $sqlstate, $stage, $transient, $message, $hint) = @$case;
	my $id = fetch_job($node, $input, 'max_attempts => 1');

	subtest $name => sub {
		is(wait_job($node, $id), 'ERROR', 'the job fails');
		is(job($node, $id, 'error_code'), $sqlstate, 'SQLSTATE');
		is(job($node, $id, 'stage'), $stage, 'stage') if defined $stage;
		is(sql("SELECT transient FROM img_job_error WHERE job_id = '$id'"), $transient, 'tried again?');
		like(job($node, $id, 'error'), $message, 'message');
		like(sql("SELECT hint FROM img_job_error WHERE job_id = '$id'"), $hint, 'hint') if $hint;
		is(sql("SELECT count(*) FROM img_object WHERE job_id = '$id' AND role = 'output'"), 0, 'no result');
	};
}

# ------------------------------------------------------------- tried again

my $id = fetch_job($node, web('flaky/a.png?times=1&code=500'));
is(wait_job($node, $id), 'DONE', '500 and then 200: the job is done');
job_is($node, $id, 'attempts, stage, error_code', '2||58000', '… by its second attempt');
is(errors_of($node, $id), '1|t|58000|status', '… and the first is on record');

$id = fetch_job($node, web('flaky/b.png?times=1&code=503&after=77'));
poll_is($node, "SELECT attempts, status FROM img_job WHERE id = '$id'", '1|ACCEPTED', '503 with Retry-After: the job waits');
is(sql("SELECT run_after - (SELECT created_at FROM img_job_error WHERE job_id = '$id') BETWEEN '76 s' AND '78 s' FROM img_job WHERE id = '$id'"),
	't', '… as long as the server wants');
sql("UPDATE img_job_live SET run_after = now() WHERE id = '$id'; SELECT img_start_worker()");
is(wait_job($node, $id), 'DONE', '… and is then done');

$id = fetch_job($node, web('flaky/c.png?times=9&code=500'), 'max_attempts => 2');
is(wait_job($node, $id), 'ERROR', '500 for ever: the job fails');
is(errors_of($node, $id), "1|t|58000|status\n2|t|58000|status", '… after all its attempts');
is(scalar(web_seen('GET', qr/flaky\/c/)), 2, '… each of which was one request');

$id = fetch_job($node, web('status?code=404'));
is(wait_job($node, $id), 'ERROR', 'a page that is not there');
job_is($node, $id, 'attempts, max_attempts > 1', '1|t', '… is not tried again');

# ------------------------------------------------------------- at submit

fails_with($node, 'SELECT img_submit(' . "'$_->[0]'::text" . ')', $_->[1], $_->[2], "input " . substr $_->[0], 0, 40)
  foreach ['ftp://example.com/a.png', '22P02', qr/neither a URL nor a storage URI nor a path/],
  ['http://', '22P02', qr/no host/],
  ['http://user:hush@example.com/', '22P02', qr/user name or password/],
  ['http://example.com/a b.png', '22P02', qr/blank/],
  ['/folder/aa.png', '02000', qr/no file/],
  ['storage://nobody/a.png', '42704', qr/"nobody" does not exist/],
  ['http://example.com/' . 'a' x 5000, '54000', qr/more than the 4096/];

$node->stop;
is(count_log($node, qr/TRAP|PANIC|terminated by signal/), 0, 'no process has crashed');
done_testing();
