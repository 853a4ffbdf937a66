"""What must hold for every adjustment, whatever the picture: properties, not pictures."""
import numpy
from PIL import Image

import contract
import fixtures
import kinds
import server
from tap import equal, test

KEYS = {leaf.keys[1]: leaf.argument for leaf in contract.operations(server.contract())
        if leaf.keys[0] == "adjustments" and len(leaf.keys) == 2}


def steps(argument):
    least, most = argument["min"], argument["max"]
    return sorted({least, least / 2, -10, -1, 0, 1, 10, most / 2, most} & set(range(least, most + 1)))


def adjusted(image, **given):
    return fixtures.decode(server.edit(fixtures.encode(image, "png"), {"adjustments": given}, {"format": "png"}))


def ramp():
    """All greys, each eight pixels high."""
    return Image.fromarray(numpy.tile(numpy.arange(256, dtype=numpy.uint8), (8, 1)))


def colors():
    """Many colours, of every lightness."""
    red, green, blue = numpy.meshgrid(*[numpy.linspace(0, 255, 9)] * 3)
    return Image.fromarray(numpy.stack([red, green, blue], axis=-1).reshape(27, 27, 3).astype(numpy.uint8))


def add(text, function):
    for key in KEYS:
        def one(key=key):
            function(key)
        one.__doc__ = "adjustments.%s: %s" % (key, text)
        test(one)


def identity(key):
    for kind in kinds.all_kinds():
        for output in ("jpeg", "png", "webp"):
            equal(server.edit(kind.data, {"adjustments": {key: 0}}, {"format": output}),
                  server.edit(kind.data, {}, {"format": output}), "%s to %s" % (kind.name, output))


def monotone(key):
    """Lighter greys stay lighter, and more of it never turns around."""
    for value in steps(KEYS[key]):
        row = numpy.asarray(adjusted(ramp(), **{key: value}).convert("L")).astype(int)[4]
        if key in ("exposure", "contrast", "saturation"):
            assert (numpy.diff(row) >= 0).all(), "%d: greys change their order" % value
            assert numpy.diff(row).max() <= 14, "%d: tones fall %d apart" % (value, numpy.diff(row).max())


def strength(values):
    """How far the picture is from what it was, for rising values."""
    return [float(abs(one.astype(int) - values[0].astype(int)).mean()) for one in values]


def more_is_more(key):
    for sign in (1, -1):
        amounts = [v for v in steps(KEYS[key]) if v * sign > 0]
        if amounts:
            seen = [numpy.asarray(adjusted(kinds.scene(), **{key: v})) for v in [0] + sorted(amounts, key=abs)]
            far = strength(seen)
            equal(far, sorted(far), "%s by %r" % (key, amounts))
            assert far[-1] > 0.5, "%s does nothing" % key


def no_clipping(key):
    """
    What is neither nearly black nor nearly white does not become it: no more
    than a fiftieth of the values may newly touch an end. Sharp edges, of which
    the scene has many, overshoot by what sharpness is: twice as many there.
    """
    allowed = 0.04 if key == "sharpness" else 0.02
    before = numpy.asarray(kinds.scene()).astype(int)
    for value in (KEYS[key]["min"], KEYS[key]["max"]):
        after = numpy.asarray(adjusted(kinds.scene(), **{key: value}).convert("RGB")).astype(int)
        ends = ((after == 0) | (after == 255)) & ~((before <= 8) | (before >= 247))
        if key == "saturation" and value > 0:
            # a colour that reaches the end is as colourful as can be, not lost
            ends = ends.all(axis=-1)
        assert ends.mean() <= allowed, "%d: %.1f %% of the values are clipped" % (value, 100 * ends.mean())


def greys_stay_grey(key):
    for value in steps(KEYS[key]):
        grey = numpy.asarray(adjusted(kinds.scene().convert("L").convert("RGB"), **{key: value}).convert("RGB")).astype(int)
        spread = (grey.max(axis=-1) - grey.min(axis=-1)).max()
        assert spread <= 1, "%d: greys get a colour of %d" % (value, spread)


def hue_stays(key):
    """Colours do not change their kind: the order of red, green and blue stays."""
    before = numpy.asarray(colors()).astype(int)
    for value in steps(KEYS[key]):
        after = numpy.asarray(adjusted(colors(), **{key: value}).convert("RGB")).astype(int)
        for one, other in ((0, 1), (1, 2), (0, 2)):
            turned = (before[..., one] > before[..., other]) & (after[..., one] < after[..., other] - 1)
            assert not turned.any(), "%d: %d colours change their order" % (value, turned.sum())


def alpha_stays(key):
    image = kinds.translucent()
    for value in (KEYS[key]["min"], 1, KEYS[key]["max"]):
        result = adjusted(image, **{key: value})
        equal(result.getchannel("A").tobytes(), image.getchannel("A").tobytes(), "%s %d" % (key, value))


def hidden_says_nothing(key):
    """What lies under full transparency has no influence on what is seen."""
    one = kinds.translucent()
    other = numpy.asarray(one).copy()
    other[other[..., 3] == 0, :3] = (255, 0, 255)
    first, second = (numpy.asarray(adjusted(image, **{key: KEYS[key]["max"]})).astype(int)
                     for image in (one, Image.fromarray(other)))
    seen = first[..., 3] > 0
    assert abs(first - second)[seen].max() <= 1, "hidden colours show"


def profile_respected(key):
    """A picture in another profile is adjusted as the same picture in sRGB is."""
    wide = kinds.profile("a98.icc")
    image = kinds.scene()
    there = fixtures.encode(kinds.converted(image, None, wide, "RGB"), "png", icc_profile=wide)
    for value in (KEYS[key]["min"] // 2, KEYS[key]["max"] // 2):
        data = server.edit(there, {"adjustments": {key: value}}, {"format": "png"})
        first, second = (numpy.asarray(one.convert("RGB")).astype(int)
                         for one in (fixtures.decode(data), adjusted(image, **{key: value})))
        assert abs(first - second).mean() <= 1.5, "%d: %.2f apart" % (value, abs(first - second).mean())


def frames_alike(key):
    """Each frame of an animation is adjusted as a still of it is."""
    kind = next(kind for kind in kinds.all_kinds() if kind.name == "webp animated")
    value = KEYS[key]["max"]
    output = {"format": {"type": "webp", "compression": "lossless"}}
    got = kinds.frames_of(server.edit(kind.data, {"adjustments": {key: value}}, output))
    for one, frame in zip(got, kind.frames):
        equal(one.tobytes(), adjusted(frame, **{key: value}).convert("RGB").tobytes(), key)


add("0 changes no byte", identity)
add("tones keep their order", monotone)
add("more is more", more_is_more)
add("nothing is clipped that was not", no_clipping)
add("greys stay grey", greys_stay_grey)
add("colours keep their order", hue_stays)
add("alpha stays", alpha_stays)
add("what is hidden says nothing", hidden_says_nothing)
add("profiles are respected", profile_respected)
add("frames are like stills", frames_alike)


@test
def plain_areas():
    """adjustments: sharpness and hdr leave plain areas plain."""
    for value in (0, 40, 128, 200, 255):
        for key in ("sharpness", "hdr"):
            image = adjusted(Image.new("RGB", (60, 40), (value, value, 40)), **{key: 100})
            for least, most in image.getextrema():
                equal(least, most, "%s of %d" % (key, value))


@test
def ends_stay():
    """adjustments: black and white stay, but for white that is darkened."""
    for key, argument in KEYS.items():
        for value in steps(argument):
            row = adjusted(ramp(), **{key: value}).convert("L")
            if key == "hdr" or key == "sharpness":
                continue
            equal(row.getpixel((0, 4)), 0, "%s %d" % (key, value))
            if key != "exposure" or value >= 0:
                equal(row.getpixel((255, 4)), 255, "%s %d" % (key, value))
