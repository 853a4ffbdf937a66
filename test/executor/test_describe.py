"""Hash, placeholder and colour of a picture, beside the same worked out here."""
import io
import math
import random
import statistics
import struct
import time

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

import client
from client import BLURHASH, BOUNDS, DOMINANT_COLOR, PHASH, resizing
import fixtures
from setting import edit, executor, picture, refused, start
from tap import equal, near, test

KINDS = (PHASH, BLURHASH, DOMINANT_COLOR)
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


def said(kind, data, **limits):
    reply = executor().describe(kind, data, **limits)
    equal(reply.outcome, client.DONE, reply.text)
    equal(reply.warnings, 0, "warnings")
    return reply.output


def phash(data):
    return struct.unpack("=Q", said(PHASH, data))[0]


def blurhash(data):
    return said(BLURHASH, data).decode("ascii")


def color(data):
    return said(DOMINANT_COLOR, data).decode("ascii")


def png(image):
    return fixtures.encode(image, "png")


def scene(seed, width=640, height=420):
    """Soft spots of colour and some hard edges, as many as a photograph has."""
    chance = random.Random(seed)
    few = Image.new("RGB", (9, 7))
    few.putdata([tuple(chance.randrange(256) for _ in range(3)) for _ in range(63)])
    image = few.resize((width, height), Image.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y, size = chance.randrange(width), chance.randrange(height), chance.randrange(20, 120)
        draw.ellipse([x, y, x + size, y + size], fill=tuple(chance.randrange(256) for _ in range(3)))
    return image


def distance(a, b):
    return bin(a ^ b).count("1")


# ---------------------------------------------------------------------- phash

def dct(values, count):
    n = len(values)
    return [sum(v * math.cos((2 * x + 1) * u * math.pi / (2 * n)) for x, v in enumerate(values)) for u in range(count)]


def oracle_phash(image):
    small = list(image.convert("L").resize((32, 32), Image.LANCZOS).getdata())
    rows = [dct(small[y * 32:y * 32 + 32], 8) for y in range(32)]
    columns = [dct([row[u] for row in rows], 8) for u in range(8)]
    values = [columns[u][v] for v in range(8) for u in range(8)]
    middle = statistics.median(values[1:])
    return int("".join("1" if value > middle else "0" for value in values), 2)


@test
def phash_is_the_usual_one():
    """img_phash: the same bits as the transform worked out here, but for two."""
    for seed in range(8):
        image = scene(seed)
        for data in (png(image), fixtures.encode(image, "jpeg", quality=92),
                     png(image.convert("L")), fixtures.encode(image, "webp", quality=90)):
            assert distance(phash(data), oracle_phash(fixtures.decode(data).convert("RGB"))) <= 2, seed
    for size in ((3000, 2000), (1000, 3000), (40, 33), (33, 200)):
        image = scene(9, *size)
        got = distance(phash(fixtures.encode(image, "jpeg", quality=95)), oracle_phash(image))
        assert got <= 2, (size, got)


@test
def phash_of_versions():
    """img_phash: versions of one picture are near, different pictures are not."""
    hashes = []
    for seed in range(12):
        image = scene(seed, 900, 600)
        whole = phash(fixtures.encode(image, "jpeg", quality=95))
        for name, version in {
            "half as large": png(image.resize((450, 300), Image.LANCZOS)),
            "tiny": png(image.resize((90, 60), Image.BILINEAR)),
            "squeezed": png(image.resize((500, 500), Image.BICUBIC)),
            "quality 50": fixtures.encode(image, "jpeg", quality=50),
            "brighter": png(ImageEnhance.Brightness(image).enhance(1.1)),
            "less contrast": png(ImageEnhance.Contrast(image).enhance(0.8)),
            "grey": png(image.convert("L")),
            "blurred": png(image.filter(ImageFilter.GaussianBlur(4))),
            "avif": fixtures.by_vips(image, ".avif", "--compression", "av1", "--Q", "50"),
        }.items():
            got = distance(whole, phash(version))
            assert got <= 10, "%d, %s: %d" % (seed, name, got)
        hashes.append(whole)
    for i, a in enumerate(hashes):
        for b in hashes[:i]:
            assert distance(a, b) >= 20, distance(a, b)


@test
def phash_of_little():
    """img_phash: what is not there gives no bits."""
    first = 1 << 63
    equal(phash(png(Image.new("RGB", (50, 40)))), 0, "black")
    for plain in ((255, 255, 255), (1, 1, 1), (200, 30, 90)):
        for size in ((1, 1), (32, 32), (300, 200)):
            equal(phash(png(Image.new("RGB", size, plain))), first, "plain")
    equal(phash(fixtures.encode(Image.new("RGB", (300, 200), (99, 120, 130)), "jpeg", quality=30)), first, "plain jpeg")
    ramp = fixtures.smooth(256, 64)
    ramp = Image.merge("RGB", [ramp.getchannel("R")] * 3)
    hashes = {phash(png(ramp)), phash(fixtures.encode(ramp, "jpeg", quality=50)), phash(png(ramp.resize((77, 300))))}
    assert max(distance(a, b) for a in hashes for b in hashes) <= 2, hashes
    assert not any(hash & 0x00ffffffffffffff for hash in hashes), "frequencies from top to bottom"


# ------------------------------------------------------------------- blurhash

def to_linear(value):
    value /= 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def to_srgb(value):
    value = min(max(value, 0), 1)
    return int((value * 12.92 if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055) * 255 + 0.5)


def base83(value, length):
    return "".join(DIGITS[value // 83 ** i % 83] for i in reversed(range(length)))


def waves(image):
    """The 12 components, each of red, green and blue."""
    (width, height), pixels = image.size, image.load()
    light = [to_linear(i) for i in range(256)]
    for j in range(3):
        for i in range(4):
            total = [0.0, 0.0, 0.0]
            for y in range(height):
                for x in range(width):
                    basis = math.cos(math.pi * i * x / width) * math.cos(math.pi * j * y / height)
                    for c in range(3):
                        total[c] += basis * light[pixels[x, y][c]]
            yield [t * (1 if i == j == 0 else 2) / (width * height) for t in total]


def oracle_blurhash(image):
    mean, *others = waves(image)
    largest = max(abs(v) for other in others for v in other)
    steps = int(min(max(math.floor(largest * 166 - 0.5), 0), 82))
    text = base83(3 + 2 * 9, 1) + base83(steps, 1)
    text += base83((to_srgb(mean[0]) << 16) + (to_srgb(mean[1]) << 8) + to_srgb(mean[2]), 4)
    for other in others:
        number = 0
        for v in other:
            part = v / ((steps + 1) / 166)
            number = number * 19 + int(min(max(math.floor(math.copysign(abs(part) ** 0.5, part) * 9 + 9.5), 0), 18))
        text += base83(number, 2)
    return text


def decode_blurhash(text, width, height):
    def number(start, length):
        value = 0
        for letter in text[start:start + length]:
            value = value * 83 + DIGITS.index(letter)
        return value

    equal((len(text), number(0, 1)), (28, 21), text)
    largest = (number(1, 1) + 1) / 166
    rgb = number(2, 4)
    parts = [[to_linear(rgb >> 16), to_linear(rgb >> 8 & 255), to_linear(rgb & 255)]]
    for i in range(11):
        v = number(6 + 2 * i, 2)
        parts.append([math.copysign(((q - 9) / 9) ** 2, q - 9) * largest for q in (v // 361, v // 19 % 19, v % 19)])
    image = Image.new("RGB", (width, height))
    image.putdata([tuple(to_srgb(sum(part[c] * math.cos(math.pi * (i % 4) * x / width) * math.cos(math.pi * (i // 4) * y / height)
                                     for i, part in enumerate(parts))) for c in range(3))
                   for y in range(height) for x in range(width)])
    return image


def mean_difference(a, b):
    pairs = list(zip(a.getdata(), b.getdata()))
    return sum(abs(p - q) for x, y in pairs for p, q in zip(x, y)) / len(pairs) / 3


@test
def blurhash_vectors():
    """img_blurhash: hashes that other implementations publish."""
    for plain, size, wanted in [
        ((0, 0, 0), 16, "L00000fQfQfQfQfQfQfQfQfQfQfQ"),
        ((255, 255, 255), 4, "L~TSUA~qfQ~q~q%MfQ%MfQfQfQfQ"),
        ((255, 0, 0), 4, "L~TI:j|cfQ|c|c$5fQ$5fQfQfQfQ"),
        ((0, 0, 255), 4, "L~0036fZfQfZfZfVfQfVfQfQfQfQ"),
    ]:
        equal(blurhash(png(Image.new("RGB", (size, size), plain))), wanted, plain)


@test
def blurhash_of_small():
    """img_blurhash: of up to 64 x 64 pixels, letter by letter what is worked out here."""
    for size in ((1, 1), (2, 3), (64, 1), (1, 64), (64, 64), (50, 33), (20, 64)):
        image = scene(sum(size), 640, 420).resize(size, Image.BILINEAR)
        equal(blurhash(png(image)), oracle_blurhash(image), size)
    grey = scene(4).convert("L").resize((30, 20))
    equal(blurhash(png(grey)), oracle_blurhash(grey.convert("RGB")), "grey")


@test
def blurhash_of_large():
    """img_blurhash: of larger ones, the same picture, and like the source."""
    for seed in range(4):
        image = scene(seed, 800, 500)
        text = blurhash(fixtures.encode(image, "jpeg", quality=95))
        small = image.resize((64, 40), Image.LANCZOS)
        got = decode_blurhash(text, 32, 20)
        wanted = decode_blurhash(oracle_blurhash(small), 32, 20)
        assert mean_difference(got, wanted) <= 3, (seed, mean_difference(got, wanted))
        # as much alike as 4 x 3 waves can be
        source = small.resize((32, 20), Image.BOX).filter(ImageFilter.GaussianBlur(4))
        assert mean_difference(got, source) <= 25, (seed, mean_difference(got, source))
        other = decode_blurhash(blurhash(png(scene(seed + 20))), 32, 20)
        assert mean_difference(got, source) < 0.8 * mean_difference(other, source), seed


# ------------------------------------------------------------- dominant color

def oklab(rgb):
    r, g, b = map(to_linear, rgb)
    l = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    m = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    s = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
            1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
            0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s)


def rgb_of(text):
    assert len(text) == 7 and text[0] == "#" and text == text.lower(), text
    return tuple(bytes.fromhex(text[1:]))


def two_colors(first, second, part, size=(300, 200)):
    image = Image.new("RGB", size, second)
    image.paste(first, (0, 0, int(size[0] * part), size[1]))
    return image


@test
def color_that_is_known():
    """img_dominant_color: the colour of which there is most, exactly."""
    for plain in ((0, 0, 0), (255, 255, 255), (18, 52, 86), (220, 40, 40), (1, 2, 3), (0, 0, 255), (0, 255, 0)):
        for size in ((1, 1), (64, 64), (500, 20)):
            equal(color(png(Image.new("RGB", size, plain))), "#%02x%02x%02x" % plain, size)
    for a, b in (((220, 40, 40), (50, 60, 220)), ((0, 0, 0), (255, 255, 255)), ((200, 180, 20), (30, 160, 90))):
        equal(color(png(two_colors(a, b, 0.6))), "#%02x%02x%02x" % a)
        equal(color(png(two_colors(a, b, 0.4))), "#%02x%02x%02x" % b)
    # a mean would be grey
    flag = two_colors((200, 16, 46), (255, 255, 255), 0.7, (1200, 800))
    got = rgb_of(color(fixtures.encode(flag, "jpeg", quality=60)))
    assert max(abs(p - q) for p, q in zip(got, (200, 16, 46))) <= 6, got
    equal(color(png(Image.new("L", (20, 20), 77))), "#4d4d4d", "grey")


@test
def color_of_noise():
    """img_dominant_color: noise on a colour does not divide it, a small spot of another counts little."""
    chance = random.Random(5)
    image = Image.new("RGB", (120, 90))
    image.putdata([tuple(min(max(c + chance.randint(-25, 25), 0), 255) for c in (90, 140, 60)) for _ in range(120 * 90)])
    image.paste((250, 20, 200), (0, 0, 60, 45))
    got = rgb_of(color(png(image)))
    assert max(abs(p - q) for p, q in zip(got, (90, 140, 60))) <= 8, got


@test
def color_of_what_can_be_seen():
    """img_dominant_color: transparent pixels do not count, and those that can hardly be seen hardly do."""
    image = Image.new("RGBA", (100, 100), (0, 200, 0, 0))
    equal(said(DOMINANT_COLOR, png(image)), b"", "nothing to see")
    image.paste((10, 20, 30, 255), (40, 40, 60, 60))
    equal(color(png(image)), "#0a141e")
    image.paste((255, 0, 0, 40), (0, 0, 100, 30))
    equal(color(png(image.resize((50, 50), Image.NEAREST))), "#ff0000", "seven and a half times as many, a sixth each")
    image.paste((255, 0, 0, 10), (0, 0, 100, 30))
    equal(color(png(image.resize((50, 50), Image.NEAREST))), "#0a141e", "the same, hardly to be seen")


@test
def color_of_scenes():
    """img_dominant_color: around no other colour the picture is much denser."""
    for seed in range(6):
        image = scene(seed, 320, 210)
        points = [oklab(p) for p in image.resize((40, 26), Image.BOX).getdata()]

        def density(center):
            return sum(max(0, 1 - 100 * math.dist(center, point) ** 2) for point in points)

        got = density(oklab(rgb_of(color(fixtures.encode(image, "jpeg", quality=95)))))
        best = max(map(density, points))
        assert got >= 0.9 * best, (seed, got, best)


# ------------------------------------------------------------------- all three

@test
def described_upright():
    """Descriptions are of the picture as displayed, whatever the orientation."""
    image = scene(3, 300, 200)
    straight = png(image)
    for orientation, undo in enumerate([None, Image.FLIP_LEFT_RIGHT, Image.ROTATE_180, Image.FLIP_TOP_BOTTOM,
                                        Image.TRANSPOSE, Image.ROTATE_90, Image.TRANSVERSE, Image.ROTATE_270], 1):
        stored = image.transpose(undo) if undo is not None else image
        for data in (fixtures.encode(stored, "jpeg", quality=98, subsampling=0, exif=fixtures.exif(orientation)),
                     fixtures.encode(stored, "webp", lossless=True, exif=fixtures.exif(orientation))):
            assert distance(phash(data), phash(straight)) <= 2, orientation
            got, wanted = (decode_blurhash(blurhash(d), 16, 10) for d in (data, straight))
            assert mean_difference(got, wanted) <= 2, (orientation, mean_difference(got, wanted))


@test
def described_on_white():
    """Hash and placeholder see what is transparent on white, and the first frame."""
    image = fixtures.translucent(60, 40)
    flat = Image.new("RGBA", image.size, "white")
    flat.alpha_composite(image)
    flat = flat.convert("RGB")
    assert distance(phash(png(image)), phash(png(flat))) <= 2
    assert mean_difference(decode_blurhash(blurhash(png(image)), 12, 8), decode_blurhash(blurhash(png(flat)), 12, 8)) <= 1
    for format in ("gif", "webp"):
        red, green, blue = rgb_of(color(fixtures.animation(format)))
        assert red > 250 and green < 5 and blue < 5, format
        equal(said(PHASH, fixtures.animation(format), frames=1, pixels=1200), struct.pack("=Q", 1 << 63), format)


@test
def described_the_same():
    """Every executor and every call gives the same bytes, in all formats nearly the same."""
    other = start()
    for name, data in fixtures.all_sources().items():
        for kind in KINDS:
            first = said(kind, data)
            equal(said(kind, data), first, name)
            equal(other.describe(kind, data).output, first, name)
    equal(other.close(), 0)
    spread = [phash(data) for data in fixtures.all_sources().values()]
    assert max(distance(a, b) for a in spread for b in spread) <= 6, spread
    profile = fixtures.wide_gamut_profile()
    red, green, _ = rgb_of(color(fixtures.encode(Image.new("RGB", (40, 40), (220, 40, 40)), "png", icc_profile=profile)))
    assert red < 80 and green > 180, (red, green)
    for format in ("jpeg", "tiff"):
        data = fixtures.encode(scene(2).convert("CMYK"), format)
        assert distance(phash(data), phash(png(picture(data, format="png")))) <= 2, format


@test
def described_and_refused():
    """What cannot be read is refused as it is for an edit."""
    data = fixtures.encode(fixtures.smooth(), "jpeg")
    for kind in KINDS:
        refused(executor().describe(kind, data, pixels=59999), client.LIMIT, 60000, 59999)
        refused(executor().describe(kind, data, formats=2), client.UNSUPPORTED, "jpeg")
        refused(executor().describe(kind, b"%PDF-1.4\n1 0 obj"), client.UNSUPPORTED, "PDF")
        refused(executor().describe(kind, b""), client.BAD_PICTURE, "empty")
        refused(executor().describe(kind, fixtures.noise(1000)), client.BAD_PICTURE)
        refused(executor().describe(kind, data[:len(data) // 2]), client.BAD_PICTURE)
        refused(executor().describe(kind, fixtures.png_claiming(65536, 65536)), client.LIMIT)
    refused(executor().describe(PHASH, fixtures.jpeg_of_many_scans(1000), milliseconds=300), client.TIMEOUT, 300)


@test
def described_though_broken():
    """Damaged files end in an answer."""
    chance = random.Random(11)
    small = fixtures.smooth(48, 32)
    sources = [fixtures.encode(small, name) for name in ("jpeg", "png", "webp", "gif", "tiff")]
    sources += [fixtures.animation(), fixtures.by_vips(small, ".avif", "--compression", "av1")]
    for data in sources:
        for i in range(60):
            broken = bytearray(data)
            for _ in range(chance.randint(1, 8)):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            reply = executor().describe(KINDS[i % 3], bytes(broken), pixels=1_000_000)
            assert reply.outcome in (client.DONE, client.BAD_PICTURE, client.UNSUPPORTED, client.LIMIT,
                                     client.FAILURE), reply


def processor_time(work):
    """Of the executor, in ms; the least of some tries."""
    clock = (~executor().process.pid << 3) | 2

    def once():
        begin = time.clock_gettime(clock)
        equal(work().outcome, client.DONE)
        return (time.clock_gettime(clock) - begin) * 1000

    return min(once() for _ in range(7))


@test
def described_at_little_cost():
    """A large JPEG is decoded no larger than for a thumbnail."""
    data = fixtures.encode(scene(1, 4000, 3000), "jpeg", quality=85)
    thumbnail = processor_time(lambda: edit(data, resizing(64, 64, fit=BOUNDS), format="png"))
    for kind in KINDS:
        least = processor_time(lambda: executor().describe(kind, data))
        assert least < 1.5 * thumbnail, "kind %d: %.1f ms, thumbnail %.1f ms" % (kind, least, thumbnail)
