"""All eight orientations come out upright, from every format, in every operation."""
import functools

from PIL import Image

import compare
import fixtures
import heif
import kinds
import server
from rows import ORIENTED
from tap import equal, test
from test_matrix import fitted, windows

# What is stored for a picture that is displayed upright.
STORED = {1: None, 2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM,
          5: Image.TRANSPOSE, 6: Image.ROTATE_90, 7: Image.TRANSVERSE, 8: Image.ROTATE_270}


def encode(image, format_, orientation):
    if format_ == "heic":
        return heif.oriented(heif.encode(image), orientation)
    if format_ == "tiff":
        return fixtures.encode(image, "tiff", tiffinfo={274: orientation})
    options = {"jpeg": {"quality": 97, "subsampling": 0}, "webp": {"lossless": True}, "png": {}}[format_]
    return fixtures.encode(image, format_, exif=fixtures.exif(orientation), **options)


@functools.lru_cache(maxsize=None)
def turned(format_, orientation):
    """Bytes of the scene as a camera held another way would store it."""
    image = kinds.scene()
    if STORED[orientation] is not None:
        image = image.transpose(STORED[orientation])
    return encode(image, format_, orientation)


_wanted = {}


def wanted_of(row):
    if row.name not in _wanted:
        _wanted[row.name] = row.oracle([kinds.scene()])[0]
    return _wanted[row.name]


# What the formats lose themselves, besides the tolerance of a row: mean and
# 98th percentile of CIEDE2000.
LOSS = {"jpeg": (1.2, 5.0), "png": (0, 0), "webp": (0, 0), "tiff": (0, 0), "heic": (1.2, 5.0)}


def check(row, format_):
    for orientation in range(1, 9):
        result = fixtures.decode(server.edit(turned(format_, orientation), row.operations, {"format": "png"}))
        wanted = wanted_of(row)
        if row.window:
            got = min(compare.difference(result, part) for part in windows(wanted, result.size))
        else:
            got = compare.difference(result, fitted(wanted, result.size, row.slack))
        mean, most = row.mean + LOSS[format_][0], row.most + LOSS[format_][1]
        assert got[0] <= mean and got[1] <= most, \
            "orientation %d differs by %.2f, %.2f; allowed %g, %g" % (orientation, *got, mean, most)


def add(row, format_):
    def one():
        check(row, format_)
    one.__doc__ = "upright: %s, %s" % (row.name, format_)
    test(one)


for each_row in ORIENTED:
    for each_format in LOSS:
        add(each_row, each_format)


@test
def sides_as_displayed():
    """img_info() gives the sides as displayed and the orientation as stored."""
    for format_ in LOSS:
        for orientation in range(1, 9):
            facts = server.info(turned(format_, orientation))
            # the turn of HEIC is no orientation of EXIF
            equal((facts.width, facts.height, facts.orientation), (96, 64, 1 if format_ == "heic" else orientation),
                  "%s, orientation %d" % (format_, orientation))


@test
def scaled_while_decoded():
    """Upright also where the decoder makes large pictures smaller."""
    large = fixtures.smooth(960, 640)
    for orientation in range(1, 9):
        stored = large.transpose(STORED[orientation]) if STORED[orientation] is not None else large
        data = encode(stored, "jpeg", orientation)
        for width, height in ((480, 320), (200, 133), (90, 60)):
            result = fixtures.decode(server.edit(data, {"resizing": {"width": width, "height": height}}, {"format": "png"}))
            mean, most = compare.difference(result, large.resize((width, height), Image.LANCZOS))
            assert mean <= 0.8 and most <= 2.5, "orientation %d to %d: %.2f, %.2f" % (orientation, width, mean, most)
