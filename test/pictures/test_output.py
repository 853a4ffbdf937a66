"""Every output option: the file says so, and somebody else can read it."""
import io
import re
import subprocess

from PIL import Image, ImageSequence

import compare
import contract
import fixtures
import heif
import kinds
import server
from tap import equal, near, test


def read(data, format_):
    """All frames, RGBA, by Pillow or libheif."""
    if format_ == "avif":
        return [heif.decode(data, ".avif").convert("RGBA")]
    return kinds.frames_of(data, "RGBA")


def lossless(data, seen):
    for one, other in zip(read(data, server.info(data).format), seen):
        mean, most = compare.difference(one, other)
        assert mean <= 0.05 and most <= 0.5, "it is not lossless: %.2f, %.2f" % (mean, most)


def as_tiff(data, tag):
    return Image.open(io.BytesIO(data)).tag_v2[tag]


def progressive(wanted):
    return lambda data, seen: equal(Image.open(io.BytesIO(data)).info.get("progressive", 0), wanted)


def chunks_of_webp(name):
    def check(data, seen):
        assert name in data, "no %r in it" % name
    return check


def density(dpi):
    def check(data, seen):
        for value in Image.open(io.BytesIO(data)).info["dpi"]:
            near(float(value), dpi, 0.02 * dpi)
    return check


def ink(data, seen):
    """Ink the right way round; without its profile the colours are but near."""
    image = Image.open(io.BytesIO(data))
    equal(image.mode, "CMYK")
    mean, _ = compare.difference(image.convert("RGB"), on_white(seen[0]))
    assert mean <= 12, "%.1f from the picture" % mean
    equal(server.info(data).color_space, "cmyk")


def size_between(least, most):
    """Of a frame of the scene, in bytes: that a quality did something."""
    def check(data, seen):
        length = len(data) / server.info(data).pages
        assert least <= length <= most, "%d bytes" % length
    return check


def of_tiff(compression):
    def check(data, seen):
        equal(as_tiff(data, 259), compression, "compression")
        if compression == 5:
            lossless(data, seen)
    return check


def nothing(data, seen):
    pass


# What is asked for, and what to see in the file besides the picture.
OUTPUTS = [
    ({"format": "jpeg"}, progressive(1)),
    ({"format": {"type": "jpeg", "quality": 20}}, size_between(600, 1800)),
    ({"format": {"type": "jpeg", "quality": 95}}, size_between(2000, 6000)),
    ({"format": {"type": "jpeg", "progressive": False}}, progressive(0)),
    ({"format": "png"}, lossless),
    ({"format": {"type": "png", "compression": "fast"}}, lossless),
    ({"format": {"type": "png", "compression": "best"}}, lossless),
    ({"format": {"type": "png", "compression": "optimal"}}, lossless),
    ({"format": "webp"}, chunks_of_webp(b"VP8 ")),
    ({"format": {"type": "webp", "compression": "lossless"}}, chunks_of_webp(b"VP8L")),
    ({"format": {"type": "webp", "compression": "lossy"}}, chunks_of_webp(b"VP8 ")),
    ({"format": {"type": "webp", "compression": {"type": "lossy", "quality": 40}}}, size_between(200, 1500)),
    ({"format": "gif"}, nothing),
    ({"format": "tiff"}, of_tiff(5)),
    ({"format": {"type": "tiff", "compression": "lossless"}}, of_tiff(5)),
    ({"format": {"type": "tiff", "compression": {"type": "lossy", "quality": 90}}}, of_tiff(7)),
    ({"format": "avif"}, nothing),
    ({"format": {"type": "avif", "compression": "lossless"}}, nothing),
    ({"format": {"type": "avif", "compression": {"type": "lossy", "quality": 70}}}, nothing),
    ({"format": "jpeg", "metadata": {"dpi": 240}}, density(240)),
    ({"format": "png", "metadata": {"dpi": 240}}, density(240)),
    ({"format": "tiff", "metadata": {"dpi": 240}}, density(240)),
    ({"format": "jpeg", "metadata": {"color_space": "CMYK"}}, ink),
    ({"format": "tiff", "metadata": {"color_space": "CMYK"}}, ink),
    ({"format": "jpeg", "metadata": {"color_space": "RGB"}}, nothing),
]

# What others lose on the same picture with the same numbers; Pillow's encoders
# unless it is AVIF. An output without a row here has to lose nothing.
def by_pillow(format_, **given):
    return lambda frame: fixtures.decode(fixtures.encode(frame, format_, **given)).convert("RGBA")


def by_libheif(quality):
    return lambda frame: heif.decode(heif.encode(frame, ".avif", quality, "chroma=420"), ".avif").convert("RGBA")


def opaque_or_not(frame):
    """GIF knows nothing in between."""
    frame = frame.convert("RGBA")
    frame.putalpha(frame.getchannel("A").point(lambda v: 255 if v >= 128 else 0))
    return frame


PEERS = {
    "format=jpeg": by_pillow("jpeg", quality=85),
    "jpeg.quality=20": by_pillow("jpeg", quality=20),
    "jpeg.quality=95": by_pillow("jpeg", quality=95),
    "format=webp": by_pillow("webp", quality=75),
    "webp.compression=lossy": by_pillow("webp", quality=75),
    "webp.compression.quality=40": by_pillow("webp", quality=40),
    "format=gif": lambda frame: frame.convert("RGB").quantize(255).convert("RGBA"),
    "tiff.compression.quality=90": by_pillow("jpeg", quality=90),
    "format=avif": by_libheif(50),
    "avif.compression.quality=70": by_libheif(70),
}
# Another encoder of the same quality may lose this much more.
FACTOR, MEAN, MOST = 1.2, 0.6, 3


def peer_of(output):
    """The most exact row there is: longer paths say more."""
    named = output["format"]
    used = contract.used_output(output)
    if isinstance(named, dict):
        quality = named.get("quality", named["compression"].get("quality") if isinstance(named.get("compression"), dict) else None)
        used |= {"%s=%s" % (path, quality) for path in used if path.endswith("quality")}
    if any(path.endswith("=lossless") or path.startswith("png.") for path in used):
        return None
    return PEERS.get(max((path for path in used if path in PEERS), key=len, default=None))


def compare_frames(output, data, seen, name):
    peer = peer_of(output)
    for one, other in zip(read(data, name), seen):
        got = compare.difference(one, other)
        # libheif keeps AVIF as luma and chroma: one step of 255 may be lost
        allowed = (0.5, 1) if name == "avif" else (0.05, 0.5)
        if peer:
            mean, most = compare.difference(peer(other), other if name != "gif" else other.convert("RGB"))
            allowed = FACTOR * mean + MEAN, FACTOR * most + MOST
        assert got[0] <= allowed[0] and got[1] <= allowed[1], "%.2f, %.2f; allowed %.2f, %.2f" % (*got, *allowed)


# These have no alpha though their format has.
OPAQUE = {"tiff.compression=lossy", "metadata.color_space=CMYK"}


def check(output, more, kind):
    named = output["format"]
    name = named if isinstance(named, str) else named["type"]
    about = server.contract()["output"]["format"][name]
    data = server.edit(kind.data, {}, output)
    facts = server.info(data)
    equal((facts.format, facts.mime, facts.ext), (name, about["mime"], about["extensions"][0]))
    equal(facts.pages, len(kind.frames) if about["animated"] else 1, "frames")
    alpha = about["alpha"] and not OPAQUE & contract.used_output(output)
    seen = [frame if alpha else on_white(frame) for frame in kind.frames]
    if name == "gif":
        seen = [opaque_or_not(frame) for frame in seen]
    # frames of a GIF may have a transparent colour and not use it
    if not kind.animated and name != "gif":
        equal(facts.has_alpha, seen[0].mode == "RGBA" and seen[0].getextrema()[3][0] < 255, "alpha")
    if output.get("metadata", {}).get("color_space") != "CMYK":
        compare_frames(output, data, seen, name)
    more(data, seen)


def on_white(frame):
    result = Image.new("RGBA", frame.size, (255, 255, 255, 255))
    result.alpha_composite(frame.convert("RGBA"))
    return result.convert("RGB")


def add(output, more, kind):
    def one():
        check(output, more, kind)
    one.__doc__ = "%s from %s" % (re.sub(r'["{} ]', "", str(output).replace("'", "")), kind.name)
    test(one)


for each_output, each_check in OUTPUTS:
    for each_kind in kinds.all_kinds():
        add(each_output, each_check, each_kind)
