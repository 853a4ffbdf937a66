"""
The kinds of pictures that every operation is tried on, and what somebody else
(Pillow, libheif, lcms) sees in them.
"""
import collections
import functools
import io
import os
import struct
import zlib

import numpy
from PIL import Image, ImageCms, ImageDraw, ImageSequence

import fixtures
import heif

SIZE = (96, 64)
PROFILES = "/usr/share/color/icc/ghostscript"

# frames: images of PIL, RGBA if the kind has alpha, otherwise RGB, in sRGB
Kind = collections.namedtuple("Kind", "name data frames animated")


def scene():
    """
    Plain edges of 8, 6, 10 and 4 pixels around gradients, hard edges, skin,
    sky, saturated and dark colours, and a little texture.
    """
    width, height = SIZE
    x, y = numpy.meshgrid(numpy.linspace(0, 1, width - 10), numpy.linspace(0, 1, height - 18))
    inner = numpy.stack([60 + 120 * x, 70 + 90 * y, 190 - 110 * x * y], axis=-1)
    inner += 6 * numpy.sin(40 * x)[..., None] * numpy.cos(31 * y)[..., None]
    inner = Image.fromarray(inner.clip(0, 255).astype(numpy.uint8))
    draw = ImageDraw.Draw(inner)
    draw.ellipse([8, 6, 30, 28], fill=(224, 172, 138))
    draw.rectangle([40, 4, 52, 20], fill=(205, 40, 35))
    draw.rectangle([56, 4, 62, 40], fill=(18, 22, 30))
    draw.polygon([(66, 40), (80, 40), (73, 12)], fill=(40, 150, 60))
    draw.line([(4, 42), (60, 30)], fill=(240, 236, 220), width=2)
    image = Image.new("RGB", SIZE, (250, 250, 250))
    image.paste(inner, (4, 8))
    return image


def opacity():
    """Falls from the left to the right; fully opaque and fully clear, too."""
    ramp = numpy.tile(numpy.linspace(300, -40, SIZE[0]).clip(0, 255), (SIZE[1], 1))
    ramp[:8] = 255
    return Image.fromarray(ramp.astype(numpy.uint8))


def translucent():
    image = scene().convert("RGBA")
    image.putalpha(opacity())
    return image


def moving():
    """Three frames that differ."""
    first = scene()
    return [first, first.point(lambda v: v * 4 // 5), first.transpose(Image.FLIP_TOP_BOTTOM)]


def sixteen_bits(image):
    """A PNG of 16 bits whose lower bytes say something, and what 8 bits see."""
    values = numpy.asarray(image).astype(numpy.uint32) * 257
    values = (values + numpy.arange(values.size).reshape(values.shape) % 120).clip(0, 65535)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", image.width, image.height, 16, 2, 0, 0, 0)
    data = (b"\x89PNG\r\n\x1a\n" + fixtures.png_chunk(b"IHDR", header) +
            fixtures.png_chunk(b"IDAT", zlib.compress(rows)) + fixtures.png_chunk(b"IEND", b""))
    return data, Image.fromarray(numpy.rint(values / 257).astype(numpy.uint8))


def profile(name):
    with open(os.path.join(PROFILES, name), "rb") as file:
        return file.read()


def converted(image, source, target, mode):
    """By lcms, through Pillow; sources and targets are bytes or None for sRGB."""
    def opened(data):
        return ImageCms.createProfile("sRGB") if data is None else ImageCms.ImageCmsProfile(io.BytesIO(data))
    return ImageCms.profileToProfile(image, opened(source), opened(target), outputMode=mode,
                                     renderingIntent=ImageCms.INTENT_RELATIVE_COLORIMETRIC)


def frames_of(data, mode="RGB"):
    """All frames of a file as Pillow sees them."""
    return [frame.convert(mode) for frame in ImageSequence.Iterator(Image.open(io.BytesIO(data)))]


def still(name, data, mode="RGB"):
    return Kind(name, data, frames_of(data, mode)[:1], False)


def with_profiles():
    wide, ink = profile("a98.icc"), profile("default_cmyk.icc")
    photo = fixtures.encode(converted(scene(), None, wide, "RGB"), "jpeg", quality=97, subsampling=0, icc_profile=wide)
    print_ = fixtures.encode(converted(scene(), None, ink, "CMYK"), "tiff", icc_profile=ink, compression="tiff_lzw")
    return [Kind("jpeg, wide gamut", photo, [converted(fixtures.decode(photo), wide, None, "RGB")], False),
            Kind("tiff CMYK", print_, [converted(fixtures.decode(print_), ink, None, "RGB")], False)]


@functools.lru_cache(maxsize=None)
def all_kinds():
    frames = moving()
    more = {"save_all": True, "append_images": frames[1:], "duration": [100, 200, 300]}
    sixteen, seen = sixteen_bits(scene())
    photo = heif.encode(scene())
    gif = fixtures.encode(frames[0], "gif", **more)
    webp = fixtures.encode(frames[0], "webp", lossless=True, **more)
    return [
        still("jpeg", fixtures.encode(scene(), "jpeg", quality=97, subsampling=0)),
        still("png with alpha", fixtures.encode(translucent(), "png"), "RGBA"),
        still("palette png", fixtures.encode(scene().quantize(64), "png")),
        Kind("16 bit png", sixteen, [seen], False),
        still("grey png", fixtures.encode(scene().convert("L"), "png")),
        Kind("gif animated", gif, frames_of(gif), True),
        Kind("webp animated", webp, frames_of(webp), True),
        Kind("heic", photo, [heif.decode(photo).convert("RGB")], False),
        *with_profiles(),
    ]
