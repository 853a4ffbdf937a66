"""Every format in and out, and what must survive the way."""
import io
import math

from PIL import Image, ImageSequence

import client
from client import CANVAS, BOUNDS, background, resizing
import fixtures
from setting import alike, edit, executor, picture, refused, scaled
from tap import equal, near, test

WRITTEN = ["jpeg", "png", "webp", "gif", "tiff", "avif"]


@test
def every_format():
    """Every format becomes every other, scaled."""
    wanted = scaled(fixtures.smooth(), 150, 100)
    for source, data in fixtures.all_sources().items():
        for target in WRITTEN:
            image = picture(data, resizing(150, fit=BOUNDS), format=target)
            equal(image.size, (150, 100), source + " to " + target)
            # 256 colours, twice, are what they are
            alike(image, wanted, 9 if "gif" in (source, target) else 3, source + " to " + target)


@test
def abilities():
    """It tells which formats it can read and write."""
    wanted = {name: (1, 1) for name in WRITTEN}
    wanted["heic"] = (1, 0)
    equal(executor().formats(), wanted)


@test
def format_of_source():
    """Without output.format the format stays; HEIC becomes JPEG."""
    for source, data in fixtures.all_sources().items():
        reply = edit(data, resizing(50, fit=BOUNDS))
        equal(reply.outcome, client.DONE, reply.text)
        wanted = "jpeg" if source == "heic" else source
        equal(client.FORMAT_NAMES[reply.result.format], wanted, source)


@test
def info_of_formats():
    """The header of every format says its size, without an edit."""
    for source, data in fixtures.all_sources().items():
        facts = executor().info(data).source
        equal((client.FORMAT_NAMES[facts.format], facts.width, facts.height, facts.pages, facts.orientation),
              (source, 300, 200, 1, 1), source)
        equal(facts.color_space, "srgb", source)


@test
def quality():
    """Quality and compression options reach the encoders."""
    data = fixtures.encode(Image.effect_noise((200, 200), 80).convert("RGB"), "png")
    for format in ("jpeg", "webp", "avif"):
        sizes = [len(edit(data, format=format, quality=q).output) for q in (20, 60, 95)]
        equal(sizes, sorted(sizes), format)
    assert len(edit(data, format="tiff", lossless=0, quality=50).output) < len(edit(data, format="tiff").output)
    plain = fixtures.encode(fixtures.smooth(), "png")
    sizes = [len(edit(plain, format="png", compression=choice).output) for choice in (1, 2, 0)]
    equal(sizes, sorted(sizes), "png: best, optimal, fast")
    for format in ("png", "tiff"):
        alike(picture(data, format=format), fixtures.decode(data), 0, format)
    for format in ("webp", "avif"):
        alike(picture(data, format=format, lossless=1), fixtures.decode(data), 0.5, format)


@test
def progressive():
    """JPEG is progressive by default, and not when told so."""
    data = fixtures.encode(fixtures.smooth(), "jpeg")
    equal(picture(data, format="jpeg").info.get("progressive"), 1)
    equal(picture(data, format="jpeg", progressive=0).info.get("progressive"), None)


@test
def no_metadata():
    """Nothing of the source's EXIF or profiles is left in results."""
    data = fixtures.encode(fixtures.smooth(), "jpeg", icc_profile=fixtures.profile_of("sRGB"),
                           exif=fixtures.exif(taken="2020:02:29 10:20:30"))
    for format in WRITTEN:
        output = edit(data, resizing(64, fit=BOUNDS), format=format).output
        assert b"Exif" not in output and b"EXIF" not in output, format
        assert b"2020:02" not in output, format
        if format not in ("avif",):
            assert "icc_profile" not in fixtures.decode(output).info or format == "webp", format
    frames = edit(fixtures.animation(), format="webp").output
    assert b"EXIF" not in frames, "animated webp"


@test
def density():
    """dpi is written when asked for, and otherwise kept."""
    plain = fixtures.encode(fixtures.smooth(), "jpeg", dpi=(150, 150))
    equal(picture(plain, format="jpeg").info["dpi"], (150, 150))
    for format in ("jpeg", "png", "tiff"):
        dpi = picture(plain, format=format, dpi=300).info["dpi"]
        near(float(dpi[0]), 300, 0.5, format)
    near(float(picture(fixtures.encode(fixtures.smooth(), "png"), format="jpeg").info["dpi"][0]), 72, 0.5)


@test
def cmyk_results():
    """JPEG and TIFF can be CMYK; others say they cannot."""
    data = fixtures.encode(fixtures.quarters(), "png")
    for format in ("jpeg", "tiff"):
        image = picture(data, format=format, cmyk=1)
        equal(image.mode, "CMYK", format)
    refused(edit(data, format="png", cmyk=1), client.UNSUPPORTED, "CMYK")


@test
def upright():
    """All eight EXIF orientations come out upright, sized as displayed."""
    for orientation in range(1, 9):
        for format in ("jpeg", "webp", "tiff"):
            tags = fixtures.exif(orientation)
            if format == "tiff":
                data = fixtures.encode(fixtures.oriented(orientation), format, tiffinfo={274: orientation})
            else:
                data = fixtures.encode(fixtures.oriented(orientation), format, exif=tags, quality=95)
            name = "%s %d" % (format, orientation)
            facts = executor().info(data).source
            equal((facts.width, facts.height, facts.orientation), (120, 80, orientation), name)
            alike(picture(data, format="png"), fixtures.quarters(), 4, name)
            alike(picture(data, resizing(60, fit=BOUNDS), format="png"), scaled(fixtures.quarters(), 60, 40), 4, name)
            wanted = fixtures.quarters().crop((20, 0, 100, 80))
            alike(picture(data, resizing(80, 80), format="png"), wanted, 4, name + " cut")
            alike(picture(data, resizing(40, 30), format="png"),
                  scaled(fixtures.quarters(), 45, 30).crop((2, 0, 42, 30)), 5, name + " scaled and cut")


@test
def exif_facts():
    """When and where a picture was taken is read from EXIF."""
    place = (((48, 51, 24), "N"), ((2, 21, 3), "W"))
    data = fixtures.encode(fixtures.smooth(), "jpeg",
                           exif=fixtures.exif(taken="2020:02:29 10:20:30", place=place))
    facts = executor().info(data).source
    equal(facts.taken_at, "2020-02-29 10:20:30")
    near(facts.lat, 48.8566, 0.001)
    near(facts.lng, -2.3508, 0.001)
    for wrong in ("2021:02:29 10:20:30", "0000:00:00 00:00:00", "2020:02:29 25:00:00", "yesterday at noon.."):
        data = fixtures.encode(fixtures.smooth(), "jpeg", exif=fixtures.exif(taken=wrong))
        equal(executor().info(data).source.taken_at, "", wrong)
    facts = executor().info(fixtures.encode(fixtures.smooth(), "jpeg")).source
    assert math.isnan(facts.lat) and math.isnan(facts.lng) and facts.taken_at == ""


@test
def alpha_kept():
    """Alpha survives where the format has it, and scaling does not bleed."""
    data = fixtures.encode(fixtures.translucent(), "png")
    wanted = fixtures.translucent().resize((60, 40), Image.LANCZOS)
    equal(executor().info(data).source.has_alpha, 1)
    for format in ("png", "webp", "tiff"):
        image = picture(data, resizing(60, fit=BOUNDS), format=format, **({"lossless": 1} if format == "webp" else {}))
        equal(image.mode, "RGBA", format)
        alike(image.getchannel("A"), wanted.getchannel("A"), 1.5, format)
        for x, y in [(30, 20), (30, 8), (45, 20)]:
            red, green, _, alpha = image.getpixel((x, y))
            assert alpha < 30 or green < 12, "%s: the hidden green shows: %r" % (format, image.getpixel((x, y)))


@test
def alpha_laid_on_white():
    """Formats without alpha show white behind, or the colour that is asked for."""
    source = fixtures.translucent()
    data = fixtures.encode(source, "png")
    for color, behind in [(None, (255, 255, 255)), (0x0000FFFF, (0, 0, 255)), (0x00000000, (255, 255, 255))]:
        wanted = Image.new("RGBA", source.size, behind + (255,))
        wanted.alpha_composite(source)
        image = picture(data, background(color), format="jpeg", quality=95)
        alike(image, wanted, 3, str(color))


@test
def background_behind_alpha():
    """A colour is laid behind even if the format has alpha; half a colour lets through."""
    source = fixtures.translucent()
    data = fixtures.encode(source, "png")
    image = picture(data, background(0x0000FFFF), format="png")
    equal(image.getpixel((0, 0)), (0, 0, 255))
    image = picture(data, background(0x0000FF80), format="png")
    equal(image.getpixel((0, 0)), (0, 0, 255, 128))
    image = picture(data, background(), format="png")
    equal(image.getpixel((0, 0))[3], 0)


@test
def canvas_colors():
    """A canvas is white, transparent or coloured, as the contract says."""
    opaque = fixtures.encode(fixtures.quarters(), "png")
    fading = fixtures.encode(fixtures.translucent(), "png")
    equal(picture(opaque, resizing(100, 100, CANVAS), format="png").getpixel((0, 0)), (255, 255, 255))
    equal(picture(opaque, resizing(100, 100, CANVAS), background(0x112233FF), format="png").getpixel((0, 0)),
          (0x11, 0x22, 0x33))
    equal(picture(opaque, resizing(100, 100, CANVAS), background(0), format="png").getpixel((0, 0))[3], 0)
    equal(picture(fading, resizing(100, 100, CANVAS), format="png").getpixel((0, 0))[3], 0)
    equal(picture(fading, resizing(100, 100, CANVAS), format="jpeg").getpixel((0, 0)), (255, 255, 255))
    grey = fixtures.encode(fixtures.quarters(mode="L"), "png")
    equal(picture(grey, resizing(100, 100, CANVAS), background(0xFF0000FF), format="png").getpixel((0, 0)), (255, 0, 0))


@test
def kinds_of_png():
    """Palettes, grey, few and many bits, interlaced: all the same picture."""
    base = fixtures.quarters()
    grey = fixtures.quarters(mode="L")
    kinds = {
        "palette": (fixtures.encode(base.quantize(16), "png"), base),
        "grey": (fixtures.encode(grey, "png"), grey),
        "grey with alpha": (fixtures.encode(fixtures.quarters(mode="LA"), "png"), grey),
        "16 bit": (fixtures.encode(grey.convert("I").point(lambda v: v * 257), "png"), grey),
    }
    for name, (data, wanted) in kinds.items():
        alike(picture(data, format="png"), wanted, 1, name)
        alike(picture(data, resizing(60, fit=BOUNDS), format="png"), scaled(wanted.convert("RGB"), 60, 40), 2, name)
    one_bit = fixtures.encode(Image.linear_gradient("L").point(lambda v: 255 * (v > 99)).convert("1"), "png")
    alike(picture(one_bit, format="png"), fixtures.decode(one_bit), 0, "1 bit")


@test
def interlaced_png():
    """An interlaced PNG is the same picture."""
    import subprocess
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        fixtures.smooth().save(folder + "/a.png")
        subprocess.run(["vips", "pngsave", folder + "/a.png", folder + "/b.png", "--interlace"], check=True)
        data = open(folder + "/b.png", "rb").read()
    assert fixtures.decode(data).info.get("interlace") == 1
    alike(picture(data, format="png"), fixtures.smooth(), 0)
    alike(picture(data, resizing(75, fit=BOUNDS), format="png"), scaled(fixtures.smooth(), 75, 50), 1)


@test
def grey_stays_grey():
    """Grey pictures are written as grey where that is possible."""
    data = fixtures.encode(fixtures.quarters(mode="L"), "jpeg")
    equal(executor().info(data).source.color_space, "grey")
    equal(picture(data, resizing(60, fit=BOUNDS), format="jpeg").mode, "L")
    alike(picture(data, format="webp"), fixtures.quarters(mode="L"), 4)


@test
def cmyk_sources():
    """CMYK with and without a profile becomes sRGB that looks alike."""
    source = fixtures.quarters().convert("CMYK")
    data = fixtures.encode(source, "jpeg", quality=95)
    equal(executor().info(data).source.color_space, "cmyk")
    image = picture(data, resizing(60, fit=BOUNDS), format="png")
    equal(image.mode, "RGB")
    # which quarter is red, green, blue and yellow
    corners = [image.getpixel(p) for p in [(10, 10), (50, 10), (10, 30), (50, 30)]]
    assert corners[0][0] > 150 and corners[0][1] < 100, corners
    assert corners[1][1] > 120 and corners[1][0] < 120, corners
    assert corners[2][2] > 120 and corners[2][0] < 120, corners
    assert corners[3][0] > 150 and corners[3][1] > 150 and corners[3][2] < 140, corners
    tiff = fixtures.encode(source, "tiff")
    alike(picture(tiff, resizing(60, fit=BOUNDS), format="png"), image, 6)


@test
def profiles():
    """Profiles are obeyed; sRGB ones change nothing; broken ones are told of."""
    base = fixtures.quarters()
    srgb = fixtures.encode(base, "png", icc_profile=fixtures.profile_of("sRGB"))
    reply = edit(srgb, format="png")
    equal((reply.source.has_icc, reply.warnings), (1, 0))
    alike(fixtures.decode(reply.output), base, 0, "sRGB")
    swapped = picture(fixtures.encode(base, "png", icc_profile=fixtures.wide_gamut_profile()), format="png")
    red, green, _ = swapped.getpixel((10, 10))
    assert green > red, "the profile that swaps red and green did nothing: %r" % (swapped.getpixel((10, 10)),)
    broken = bytearray(fixtures.profile_of("sRGB"))
    broken[140:] = fixtures.noise(len(broken) - 140)
    for format in ("jpeg", "webp", "tiff"):
        reply = edit(fixtures.encode(base, format, icc_profile=bytes(broken)), resizing(60, fit=BOUNDS), format="png")
        equal((reply.outcome, reply.warnings), (client.DONE, client.PROFILE), format + ": " + reply.text)
        alike(fixtures.decode(reply.output), scaled(base, 60, 40), 5, format)


def frames_of(data):
    image = Image.open(io.BytesIO(data))
    return [(frame.convert("RGB").getpixel((3, 3)), frame.info.get("duration"))
            for frame in ImageSequence.Iterator(image)], image.size, image.info.get("loop")


@test
def animations():
    """Animated GIF and WebP keep frames, delays and loops, scaled frame by frame."""
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
    for source in ("gif", "webp"):
        for target in ("gif", "webp"):
            reply = edit(fixtures.animation(source), resizing(20, 20), format=target)
            equal((reply.outcome, reply.warnings, reply.source.pages, reply.result.pages),
                  (client.DONE, 0, 4, 4), source + " to " + target + reply.text)
            frames, size, loop = frames_of(reply.output)
            equal(size, (20, 20))
            equal(len(frames), 4)
            for (pixel, duration), color, i in zip(frames, colors, range(4)):
                assert max(abs(a - b) for a, b in zip(pixel, color)) < 12, (source, target, pixel, color)
                if target == "gif":
                    equal(duration, 100 * (i + 1), source + " delay")
            # GIF counts repetitions, WebP how often it is shown
            assert loop == (4 if (source, target) == ("gif", "webp") else 2 if (source, target) == ("webp", "gif") else 3), \
                (source, target, loop)


@test
def first_frame():
    """An animation in a still format is its first frame, with a warning."""
    reply = edit(fixtures.animation(), resizing(20, 20), format="jpeg")
    equal((reply.outcome, reply.warnings, reply.result.pages), (client.DONE, client.FIRST_FRAME, 1))
    red, green, _ = fixtures.decode(reply.output).getpixel((10, 10))
    assert red > 240 and green < 20
    pages = fixtures.encode(fixtures.quarters(), "tiff", save_all=True, append_images=[fixtures.smooth()])
    reply = edit(pages, format="png")
    equal((reply.source.pages, reply.warnings), (2, client.FIRST_FRAME))
    alike(fixtures.decode(reply.output), fixtures.quarters(), 0)


@test
def animations_on_canvas():
    """Every frame gets the canvas and the background."""
    reply = edit(fixtures.animation(), resizing(40, 40, CANVAS), background(0x0000FFFF), format="webp", lossless=1)
    equal(reply.outcome, client.DONE, reply.text)
    image = Image.open(io.BytesIO(reply.output))
    for frame in ImageSequence.Iterator(image):
        equal((frame.size, frame.convert("RGB").getpixel((20, 1))), ((40, 40), (0, 0, 255)))


@test
def same_twice():
    """The same request gives the same bytes."""
    data = fixtures.encode(fixtures.smooth(), "jpeg")
    for format in WRITTEN:
        equal(edit(data, resizing(99, 77), format=format).output,
              edit(data, resizing(99, 77), format=format).output, format)
