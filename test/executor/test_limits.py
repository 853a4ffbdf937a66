"""Files that are too large, broken, hostile, or not pictures at all."""
import struct
import time
import zlib

from PIL import Image

import client
from client import BOUNDS, resizing
import fixtures
from setting import SANITIZED, alike, edit, executor, picture, refused, start
from tap import equal, test

STILLS = ["jpeg", "png", "webp", "gif", "tiff", "avif", "heic"]


@test
def pixels():
    """Too many pixels are refused by the header, with both numbers."""
    for name, data in fixtures.all_sources().items():
        reply = edit(data, limits={"pixels": 59999})
        refused(reply, client.LIMIT, 60000, 59999)
        equal((reply.stage, reply.source.width), (2, 300), name)
        equal(edit(data, format="png", limits={"pixels": 60000}).outcome, client.DONE, name)
        refused(executor().info(data, pixels=59999), client.LIMIT, 60000)


@test
def frames():
    """Frames count, and all their pixels, when all are used."""
    data = fixtures.animation(frames=5)
    refused(edit(data, limits={"frames": 4}), client.LIMIT, 5, 4)
    refused(edit(data, limits={"pixels": 5999}), client.LIMIT, 6000, 5999)
    equal(edit(data, limits={"frames": 5, "pixels": 6000}).outcome, client.DONE)
    equal(edit(data, format="jpeg", limits={"frames": 1, "pixels": 1200}).outcome, client.DONE)


@test
def bombs():
    """Small files that claim to be huge are refused at once."""
    for name, data in {
        "png": fixtures.png_claiming(65536, 65536),
        "jpeg": fixtures.jpeg_claiming(65500, 20000),
        "gif": fixtures.gif_claiming(16000, 16000),
    }.items():
        assert len(data) < 1_000_000, name
        begin = time.monotonic()
        refused(edit(data, resizing(100, fit=BOUNDS), format="jpeg"), client.LIMIT, 100000000)
        assert time.monotonic() - begin < 0.5, name


@test
def bombs_without_limits():
    """What the limits let through meets the limit on memory, or the end of the file."""
    if SANITIZED:
        return
    small = start(memory=200)
    for data in [fixtures.jpeg_claiming(65500, 20000), fixtures.png_claiming(65536, 65536),
                 fixtures.gif_claiming(16000, 16000)]:
        reply = small.edit(data, client.plan([], "png"), pixels=2**40, milliseconds=20000)
        assert reply.outcome in (client.BAD_PICTURE, client.LIMIT), reply
    equal(small.edit(fixtures.encode(fixtures.smooth(), "png"), client.plan([], "jpeg")).outcome, client.DONE)
    equal(small.close(), 0)


@test
def memory():
    """Out of memory is an answer that names the setting; the next picture is fine."""
    if SANITIZED:
        return
    small = start(memory=64)
    data = fixtures.encode(Image.new("RGB", (9000, 9000)), "png")
    refused(small.edit(data, client.plan([client.rotate(90)], "png")), client.LIMIT, "imgapi.executor_memory")
    equal(small.edit(data, client.plan([resizing(100, fit=BOUNDS)], "jpeg")).outcome, client.DONE)
    equal(small.close(), 0)


@test
def many_scans():
    """A progressive JPEG with a thousand scans stops at the time limit."""
    data = fixtures.jpeg_of_many_scans(1000)
    begin = time.monotonic()
    refused(edit(data, format="jpeg", limits={"milliseconds": 400}), client.TIMEOUT, 400)
    assert time.monotonic() - begin < (5 if SANITIZED else 1.2)


@test
def time_limit():
    """Slow encoders stop at the time limit, or their process does."""
    executor_here = start()
    data = fixtures.encode(Image.effect_noise((3000, 3000), 90).convert("RGB"), "jpeg")
    for format in ("webp", "png", "avif"):
        begin = time.monotonic()
        try:
            reply = executor_here.edit(data, client.plan([], format), milliseconds=300)
            refused(reply, client.TIMEOUT, 300)
        except client.Gone as gone:
            equal(gone.args[0], -14, format)
            executor_here = start()
        assert time.monotonic() - begin < (30 if SANITIZED else 2), format
    executor_here.close()


@test
def large_texts_in_png():
    """Texts in a PNG that unpack to hundreds of megabytes are not read."""
    packed = b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9)
    data = fixtures.png_claiming(8, 8, fixtures.png_chunk(b"zTXt", packed))
    begin = time.monotonic()
    equal(edit(data, format="png").outcome, client.DONE)
    assert time.monotonic() - begin < 1


@test
def truncated():
    """A file that was cut off is refused in every format."""
    image = Image.effect_noise((300, 200), 60).convert("RGB")
    sources = {name: fixtures.encode(image, name) for name in ("jpeg", "png", "webp", "gif", "tiff")}
    sources["progressive jpeg"] = fixtures.encode(image, "jpeg", progressive=True)
    sources["avif"] = fixtures.by_vips(image, ".avif", "--compression", "av1")
    sources["heic"] = fixtures.by_vips(image, ".heic", "--compression", "hevc")
    for name, data in sources.items():
        for part in (0.3, 0.6, 0.9):
            reply = edit(data[:int(len(data) * part)], resizing(100, fit=BOUNDS), format="png")
            assert reply.outcome == client.BAD_PICTURE, "%s, %.1f of it: %d %s" % (name, part, reply.outcome, reply.text)
            assert reply.text, name


@test
def missing_parts_with_an_end():
    """A JPEG that lacks most of its data is refused though it has an end marker."""
    data = fixtures.encode(Image.effect_noise((300, 200), 60).convert("RGB"), "jpeg")
    refused(edit(data[:len(data) // 3] + b"\xff\xd9", format="png"), client.BAD_PICTURE, "too early")
    refused(edit(fixtures.jpeg_claiming(2000, 2000), format="png"), client.BAD_PICTURE)


@test
def harmless_oddities():
    """Files that are odd but whole are accepted."""
    plain = fixtures.encode(fixtures.smooth(), "jpeg")
    at = plain.index(b"\xff\xdb")
    for name, data in {
        "stray bytes between markers": plain[:at] + b"\0\0\0" + plain[at:],
        "bytes behind the end": plain + b"trailer" * 100,
        "no end marker": plain[:-2],
        "png with bytes behind the end": fixtures.encode(fixtures.smooth(), "png") + b"trailer",
    }.items():
        equal(edit(data, format="jpeg").outcome, client.DONE, name)
        alike(picture(data, format="png"), fixtures.smooth(), 3, name)


@test
def not_pictures():
    """What is not a picture is named, or said to be unknown."""
    named = {
        "SVG": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "PDF": b"%PDF-1.4\n1 0 obj",
        "HTML": b"<!DOCTYPE html><html><body>not found</body></html>",
        "XML": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
        "text": b"404 page not found\n",
        "BMP": fixtures.encode(fixtures.quarters(), "bmp"),
        "PSD": b"8BPS\0\1" + bytes(20),
        "JPEG XL": b"\xff\x0a" + bytes(20),
        "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(20),
        "ZIP": b"PK\3\4" + bytes(30),
        "video": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
    }
    for word, data in named.items():
        refused(edit(data, format="png"), client.UNSUPPORTED, word, "not among the formats")
    for data in (b"", b"\0", fixtures.noise(100), fixtures.noise(30000), bytes(5000)):
        refused(edit(data, format="png"), client.BAD_PICTURE)


@test
def formats_allowed():
    """Only formats that may be read are read."""
    sources = fixtures.all_sources()
    for number, name in enumerate(client.FORMAT_NAMES):
        without = client.ALL_FORMATS & ~(1 << number)
        refused(edit(sources[name], format="png", limits={"formats": without}), client.UNSUPPORTED, name)
        refused(executor().info(sources[name], formats=without), client.UNSUPPORTED, name)
        equal(edit(sources[name], format="png", limits={"formats": 1 << number}).outcome, client.DONE, name)


@test
def garbage_behind_magic():
    """Right first bytes and nonsense behind them are refused, in every format."""
    for name, data in fixtures.all_sources().items():
        for keep in (12, 16, 40, 100):
            broken = data[:keep] + fixtures.noise(3000, keep)
            reply = edit(broken, resizing(10, fit=BOUNDS), format="png")
            assert reply.outcome in (client.BAD_PICTURE, client.UNSUPPORTED, client.LIMIT), (name, keep, reply)


@test
def flipped_bytes():
    """Thousands of damaged files end in an answer, never in silence."""
    import random
    random.seed(7)
    small = fixtures.smooth(48, 32)
    sources = [fixtures.encode(small, name) for name in ("jpeg", "png", "webp", "gif", "tiff")]
    sources.append(fixtures.encode(small, "jpeg", progressive=True, exif=fixtures.exif(6, "2020:01:01 00:00:00"),
                                   icc_profile=fixtures.profile_of("sRGB")))
    sources.append(fixtures.animation())
    sources.append(fixtures.by_vips(small, ".avif", "--compression", "av1"))
    sources.append(fixtures.by_vips(small, ".heic", "--compression", "hevc"))
    outcomes = set()
    for data in sources:
        for _ in range(100):
            broken = bytearray(data)
            for _ in range(random.randint(1, 8)):
                broken[random.randrange(len(broken))] = random.randrange(256)
            reply = edit(bytes(broken), resizing(20, 20), format="png", limits={"pixels": 1_000_000})
            outcomes.add(reply.outcome)
    assert outcomes <= {client.DONE, client.BAD_PICTURE, client.UNSUPPORTED, client.LIMIT, client.FAILURE}, outcomes


@test
def hostile_profiles():
    """Damaged profiles and EXIF never stop a picture."""
    import random
    random.seed(3)
    profile, tags = fixtures.profile_of("sRGB"), fixtures.exif(1, "2020:01:01 00:00:00", (((1, 2, 3), "S"), ((4, 5, 6), "E")))
    for _ in range(200):
        broken = bytearray(profile)
        for _ in range(random.randint(1, 20)):
            broken[random.randrange(len(broken))] = random.randrange(256)
        blob = bytearray(tags.tobytes())
        for _ in range(random.randint(1, 6)):
            blob[random.randrange(6, len(blob))] = random.randrange(256)
        data = fixtures.encode(fixtures.quarters(24, 16), "jpeg", icc_profile=bytes(broken), exif=bytes(blob))
        reply = edit(data, resizing(9, 9), format="png")
        equal(reply.outcome, client.DONE, reply.text)
