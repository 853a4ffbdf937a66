# Hostile files, as jobs and right now: the SQLSTATE that fits, in milliseconds,
# nothing written, and every executor alive.

use strict;
use warnings;
use Compress::Zlib qw(compress);
use FindBin;
use lib $FindBin::RealBin;
use ImgTest;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = img_node('fortress');
my @before = server_executors($node);
my $operations = q{'{"resizing": {"width": 16, "height": 16, "fit": "bounds"}}'};

sub png_claiming
{
	my ($width, $height) = @_;

	return "\x89PNG\r\n\x1a\n"
	  . ImgTest::chunk('IHDR', pack('NNCCCCC', $width, $height, 8, 2, 0, 0, 0))
	  . ImgTest::chunk('IDAT', compress("\0" x 100_000))
	  . ImgTest::chunk('IEND', '');
}

my $jpeg = made($node, small_png(), '{}', '{"format": "jpeg"}');
my $gif = made($node, small_png(), '{}', '{"format": "gif"}');
my $huge_jpeg = substr($jpeg, 0, 600);
$huge_jpeg =~ s/(\xff[\xc0\xc2]..\x08)..../$1 . pack('nn', 20000, 65500)/es or die 'no header in the JPEG';
my $huge_gif = $gif;
substr($huge_gif, 6, 4) = pack('vv', 16000, 16000);
$huge_gif =~ s/\x2c(....)..../"\x2c$1" . pack('vv', 16000, 16000)/es or die 'no frame in the GIF';
srand 1;

# name, bytes, SQLSTATE, what the message says
my @attacks = (
	[ 'PNG that claims 65536 x 65536', png_claiming(65536, 65536), '54000', qr/4294967296|65536.*65536/ ],
	[ 'JPEG that claims 1.3 GP', $huge_jpeg, '54000', qr/1310000000|65500.*20000/ ],
	[ 'GIF that claims 16000 x 16000', $huge_gif, '54000', qr/256000000|16000.*16000/ ],
	[ 'truncated JPEG', substr($jpeg, 0, length($jpeg) / 2), '22000', qr/./ ],
	[ 'truncated PNG', substr(png(256, 256), 0, 300), '22000', qr/./ ],
	[ 'JPEG without anything', "\xff\xd8\xff", '22000', qr/./ ],
	[ 'no bytes', '', '22000', qr/empty/ ],
	[ 'random bytes', join('', map { chr int rand 256 } 1 .. 5000), '22000', qr/no format/ ],
	[ 'random bytes behind a PNG header', substr(small_png(), 0, 40) . join('', map { chr int rand 256 } 1 .. 5000), '22000', qr/./ ],
	[ 'random bytes behind a JPEG header', substr($jpeg, 0, 200) . join('', map { chr int rand 256 } 1 .. 5000), '22000', qr/./ ],
	[ 'SVG', '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="file:///etc/passwd"/></svg>', '0A000', qr/./ ],
	[ 'PDF', "%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n", '0A000', qr/./ ],
	[ 'text', "This is not a picture.\n" x 50, '0A000', qr/./ ],
);

photo_table($node);
foreach my $number (0 .. $#attacks)
{
	my ($name, $bytes, $sqlstate, $message) = @{ $attacks[$number] };
	my $picture = literal($bytes);

	subtest $name => sub {
		my ($status, $stderr, $job);
		my $seconds = seconds {
			$status = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT img_edit($picture, $operations)", stderr => \$stderr);
		};
		like($stderr, qr/ERROR:  $sqlstate: .*$message/, 'img_edit() refuses it');
		cmp_ok($seconds, '<', 1, 'within a second');
		$seconds = seconds {
			$node->psql('postgres', "\\set VERBOSITY verbose\nSELECT img_info($picture)", stderr => \$stderr);
		};
		cmp_ok($seconds, '<', 1, 'img_info() answers within a second');

		$node->safe_psql('postgres', "INSERT INTO photo VALUES ($number, 'attack', $picture)");
		$job = $node->safe_psql('postgres', "SELECT id FROM img_job WHERE source_key = '{$number}'");
		is(wait_job($node, $job), 'ERROR', 'its job ends as ERROR');
		job_is($node, $job, 'error_code, attempts', "$sqlstate|1", 'for the same reason, at the first attempt');
		cmp_ok(job($node, $job, 'extract(epoch FROM finished_at - created_at)'), '<', 1, 'within a second');
		like(job($node, $job, 'error'), $message, 'and says why');
		is($node->safe_psql('postgres', "SELECT thumb IS NULL FROM photo WHERE id = $number"), 't', 'nothing is written');
	};
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM img_object'), 0, 'there is no object');
is_deeply([ server_executors($node) ], \@before, 'all executors are the same as before');

# ------------------------------------------ what only the time limit can stop

my $bomb = literal(jpeg_of_many_scans($node, 1000));
$node->safe_psql('postgres', "CREATE TABLE bomb AS SELECT $bomb AS data");
$node->safe_psql('postgres', q{ALTER SYSTEM SET imgapi.job_timeout = '500ms'; SELECT pg_reload_conf()});
poll_is($node, 'SHOW imgapi.job_timeout', '500ms', 'jobs may take 500 ms');
my ($stderr, $job);
my $seconds = seconds {
	$node->psql('postgres', qq{\\set VERBOSITY verbose\nSELECT img_edit(data, '{}', '{"format": "webp"}') FROM bomb}, stderr => \$stderr);
};
like($stderr, qr/ERROR:  54000: .*500/, 'img_edit() stops a JPEG of 1000 scans at imgapi.job_timeout');
cmp_ok($seconds, '>', 0.4, 'not before');
cmp_ok($seconds, '<', 2.5, 'and soon after');
$job = $node->safe_psql('postgres', q{SELECT img_submit(data, '{}', '{"format": "webp"}') FROM bomb});
is(wait_job($node, $job), 'ERROR', 'its job ends as ERROR');
job_is($node, $job, 'error_code, attempts', '54000|1', 'at the first attempt');
like(job($node, $job, 'error'), qr/500/, 'naming the limit');
cmp_ok(job($node, $job, 'extract(epoch FROM finished_at - started_at)'), '<', 2.5, 'in time');

ok(wait_until(sub { scalar(server_executors($node)) == @before }, 5), 'as many executors as before');
is($node->safe_psql('postgres', "SELECT (img_info(img_edit(" . literal(small_png()) . ", $operations))).width"), 16, 'the pool works');
is(wait_job($node, submit($node, small_png())), 'DONE', 'the queue works');
is(count_log($node, qr/terminated by signal|PANIC/), 0, 'no process of the server has crashed');

$node->stop;
done_testing();
