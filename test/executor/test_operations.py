"""Each operation in every kind of picture, beside what PIL makes of the same."""
import io
import math
import subprocess

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageSequence

import client
from client import (BOUNDS, CANVAS, CROP, PERCENT, PX, adjustments, background, blur, crop, flip, gray,
                    padding, resizing, rotate, rounded, trim)
import fixtures
from setting import SANITIZED, alike, difference, edit, executor, picture, refused, scaled
from tap import equal, near, test

# Kinds of sources, and how far a result may be from PIL's.
TOLERANCE = {"jpeg": 3, "png alpha": 1.5, "png palette": 1.5, "png 16 bit": 1.5, "gif animated": 6,
             "webp animated": 3, "jpeg cmyk": 14, "tiff cmyk": 14, "heic": 4}


def framed(width=90, height=60):
    """A smooth picture on a plain edge of 8, 6, 10 and 4 pixels."""
    image = Image.new("RGB", (width, height), (250, 250, 250))
    image.paste(fixtures.smooth(width - 10, height - 18).point(lambda v: v * 200 // 255), (4, 8))
    return image


def frames_of_source():
    """Three frames that differ."""
    first = framed()
    return [first, ImageChops.offset(first, 0, 0).point(lambda v: max(v - 25, 0)), first.transpose(Image.FLIP_TOP_BOTTOM)]


def sixteen_bits(image):
    """PNG of 16 bits a colour, by ImageMagick's format through PPM."""
    width, height = image.size
    rows = b"".join(b"\0" + b"".join(bytes((v, v)) for pixel in
                                     [image.getpixel((x, y)) for x in range(width)] for v in pixel)
                    for y in range(height))
    import struct
    import zlib
    return (b"\x89PNG\r\n\x1a\n" +
            fixtures.png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)) +
            fixtures.png_chunk(b"IDAT", zlib.compress(rows)) + fixtures.png_chunk(b"IEND", b""))


def sources():
    """Bytes, and the frames that PIL sees in them."""
    image = framed()
    alpha = image.convert("RGBA")
    alpha.putalpha(fixtures.smooth(*image.size).convert("L").point(lambda v: 55 + v * 200 // 255))
    palette = image.quantize(64)
    frames = frames_of_source()
    made = {
        "jpeg": fixtures.encode(image, "jpeg", quality=97, subsampling=0),
        "png alpha": fixtures.encode(alpha, "png"),
        "png palette": fixtures.encode(palette, "png"),
        "png 16 bit": sixteen_bits(image),
        "gif animated": fixtures.encode(frames[0], "gif", save_all=True, append_images=frames[1:], duration=[100, 200, 300]),
        "webp animated": fixtures.encode(frames[0], "webp", save_all=True, append_images=frames[1:],
                                         duration=[100, 200, 300], lossless=True),
        "heic": fixtures.by_vips(image, ".heic", "--compression", "hevc", "--Q", "95"),
    }
    seen = {kind: [frame.convert("RGBA") for frame in ImageSequence.Iterator(Image.open(io.BytesIO(data)))]
            for kind, data in made.items() if kind != "heic"}
    seen["heic"] = [fixtures.read_by_vips(made["heic"], ".heic").convert("RGBA")]
    cmyk = image.convert("CMYK")
    for kind in ("jpeg", "tiff"):
        made[kind + " cmyk"] = fixtures.encode(cmyk, kind, **({"quality": 97} if kind == "jpeg" else {}))
        # colours of ink depend on the profile: what the program makes of it without an edit
        seen[kind + " cmyk"] = [picture(made[kind + " cmyk"], format="png").convert("RGBA")]
    return made, seen


_sources = None


def all_kinds():
    global _sources
    if _sources is None:
        _sources = sources()
    made, seen = _sources
    return [(kind, made[kind], seen[kind]) for kind in made]


def premultiplied(image):
    """As seen on black, and opacity."""
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    black.alpha_composite(image)
    r, g, b, _ = black.split()
    return Image.merge("RGBA", (r, g, b, image.getchannel("A")))


def compare(oracle, *steps, factor=1.0, extra=0.0):
    """The steps on every kind of picture; oracle makes the same of a frame of PIL."""
    for kind, data, seen in all_kinds():
        format = "webp" if "animated" in kind else "png"
        options = {"lossless": 1} if format == "webp" else {}
        reply = edit(data, *steps, format=format, **options)
        equal(reply.outcome, client.DONE, kind + ": " + reply.text)
        got = [frame.convert("RGBA") for frame in ImageSequence.Iterator(Image.open(io.BytesIO(reply.output)))]
        equal(len(got), len(seen), kind + ": frames")
        for a, b in zip(got, map(oracle, seen)):
            equal(a.size, b.size, kind)
            a, b = premultiplied(a), premultiplied(b.convert("RGBA"))
            worst = max(difference(a, b), difference(a.getchannel("A"), b.getchannel("A")))
            assert worst <= TOLERANCE[kind] * factor + extra, "%s: differs by %.2f" % (kind, worst)


def written(*steps):
    """Every format takes the result."""
    for kind, data, seen in all_kinds():
        for format in ("jpeg", "png", "webp", "gif", "tiff", "avif"):
            reply = edit(data, *steps, format=format)
            equal(reply.outcome, client.DONE, "%s to %s: %s" % (kind, format, reply.text))


@test
def right_angles():
    """rotate by right angles, and all that are the same."""
    for degrees, turn in [(90, Image.ROTATE_270), (180, Image.ROTATE_180), (270, Image.ROTATE_90),
                          (-90, Image.ROTATE_90), (-270, Image.ROTATE_270)]:
        compare(lambda frame: frame.transpose(turn), rotate(degrees))
    for degrees in (0, 360, -360):
        compare(lambda frame: frame, rotate(degrees))
    written(rotate(90))


@test
def any_angle():
    """rotate by other angles: a larger canvas, painted with the background."""
    for degrees in (30, -12.5, 200):
        for kind, data, seen in all_kinds():
            image = picture(data, rotate(degrees), background(0x102030FF), format="png").convert("RGB")
            frame = Image.new("RGBA", seen[0].size, (16, 32, 48, 255))
            frame.alpha_composite(seen[0])
            wanted = frame.convert("RGB").rotate(-degrees, Image.BICUBIC, expand=True, fillcolor=(16, 32, 48))
            for got, sought in zip(image.size, wanted.size):
                assert abs(got - sought) <= 2, (kind, image.size, wanted.size)
            equal(image.getpixel((0, 0)), (16, 32, 48), kind)
            # where the canvas of PIL is a pixel larger, the middle is elsewhere
            wanted = wanted.crop(((wanted.width - image.width) // 2, (wanted.height - image.height) // 2) +
                                 ((wanted.width - image.width) // 2 + image.width,
                                  (wanted.height - image.height) // 2 + image.height))
            soft = ImageFilter.GaussianBlur(2)
            alike(image.filter(soft), wanted.filter(soft), 5 + TOLERANCE[kind], "%s by %g" % (kind, degrees))
    data = fixtures.encode(framed(), "png")
    equal(picture(data, rotate(45), format="png").convert("RGB").getpixel((0, 0)), (255, 255, 255))
    transparent = picture(data, rotate(45), background(0xFFFFFF00), format="png")
    equal((transparent.mode, transparent.getpixel((0, 0))[3]), ("RGBA", 0))
    written(rotate(33))
    # what lets something through at an edge has no other colour there
    for mode, color in (("L", 100), ("RGB", (100, 100, 100)), ("RGBA", (100, 100, 100, 255))):
        turned = picture(fixtures.encode(Image.new(mode, (60, 40), color), "png"), rotate(10), background(0x00000000),
                         format="png").convert("LA")
        seen = [value for value, alpha in turned.getdata() if alpha >= 64]
        assert 90 <= min(seen) and max(seen) <= 110, (mode, min(seen), max(seen))


@test
def large_angles():
    """Turning a large picture takes seconds, not minutes."""
    data = fixtures.encode(fixtures.smooth(300, 200).resize((4500, 3000)), "jpeg")
    reply = edit(data, rotate(40), format="jpeg", limits={"milliseconds": 60000 if SANITIZED else 10000})
    equal(reply.outcome, client.DONE, reply.text)


@test
def flips():
    """flip changes the sides it names."""
    for direction, turn in [("horizontal", Image.FLIP_LEFT_RIGHT), ("vertical", Image.FLIP_TOP_BOTTOM),
                            ("both", Image.ROTATE_180)]:
        compare(lambda frame: frame.transpose(turn), flip(direction))
    written(flip("vertical"))


@test
def turns_add_up():
    """EXIF orientation, rotate and flip add up, with and without scaling on load."""
    large = fixtures.smooth(1600, 1200)
    for orientation in range(1, 9):
        data = fixtures.encode(fixtures.oriented(orientation), "jpeg", quality=97, subsampling=0,
                               exif=fixtures.exif(orientation))
        shrunk = fixtures.encode(fixtures.oriented(orientation).resize((1600, 1200)), "jpeg", quality=97,
                                 exif=fixtures.exif(orientation))
        upright = fixtures.quarters()
        for degrees, turn in [(0, None), (90, Image.ROTATE_270), (180, Image.ROTATE_180), (270, Image.ROTATE_90)]:
            for direction, mirror in [("horizontal", Image.FLIP_LEFT_RIGHT), ("vertical", Image.FLIP_TOP_BOTTOM),
                                      ("both", Image.ROTATE_180)]:
                wanted = upright.transpose(turn) if turn is not None else upright
                wanted = wanted.transpose(mirror)
                what = "orientation %d, %d, %s" % (orientation, degrees, direction)
                alike(picture(data, rotate(degrees), flip(direction), format="png"), wanted, 3, what)
                small = picture(shrunk, rotate(degrees), flip(direction), resizing(90, 90), format="png")
                alike(small, wanted.resize((90, 90)), 8, what + ", scaled")
    data = fixtures.encode(large, "jpeg", quality=95)
    for width in (99, 199, 400):
        image = picture(data, rotate(90), resizing(width, fit=BOUNDS), format="png")
        alike(image, scaled(large.transpose(Image.ROTATE_270), *image.size), 1.5, "to %d" % width)


@test
def crops():
    """crop counts in pixels as displayed, and ends at the edge."""
    for given, box in [((10, 20, 30, 25), (10, 20, 40, 45)), ((0, 0, 1, 1), (0, 0, 1, 1)),
                       ((60, 50, 500, 500), (60, 50, 90, 60)), ((70, 0, 0, 0), (70, 0, 90, 60)),
                       ((0, 0, 90, 60), (0, 0, 90, 60))]:
        compare(lambda frame: frame.crop(box), crop(*given), extra=1)
    written(crop(10, 20, 30, 25))
    data = fixtures.encode(framed(), "png")
    refused(edit(data, crop(90, 0, 5, 5)), client.MISFIT, "90, 0", "90 x 60")
    refused(edit(data, crop(0, 60, 5, 5)), client.MISFIT, "0, 60")


@test
def crop_then_scale():
    """Steps before resizing see every pixel, however small the result is."""
    source = fixtures.smooth(1600, 1200)
    part = source.crop((300, 200, 1100, 800))
    for orientation in range(1, 9):
        undo = {1: None, 2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM,
                5: Image.TRANSPOSE, 6: Image.ROTATE_90, 7: Image.TRANSVERSE, 8: Image.ROTATE_270}[orientation]
        stored = source.transpose(undo) if undo is not None else source
        data = fixtures.encode(stored, "jpeg", quality=95, exif=fixtures.exif(orientation))
        for width, height in [(100, 75), (400, 300), (1600, 1200)]:
            image = picture(data, crop(300, 200, 800, 600), resizing(width, height), format="png")
            alike(image, scaled(part, width, height), 1.5, "orientation %d, %d" % (orientation, width))
    data = fixtures.encode(source, "jpeg", quality=95)
    image = picture(data, crop(300, 200, 800, 600), resizing("50%", fit=BOUNDS), format="png")
    equal(image.size, (400, 300))
    image = picture(data, rotate(90), crop(0, 0, 600, 800), resizing(60, 80), format="png")
    alike(image, scaled(source.transpose(Image.ROTATE_270).crop((0, 0, 600, 800)), 60, 80), 1.5)


def bounds(frames, threshold):
    """The box that trim keeps, by PIL."""
    boxes = []
    for frame in frames:
        plain = Image.new("RGBA", frame.size, frame.getpixel((0, 0)))
        bands = ImageChops.difference(premultiplied(frame), premultiplied(plain)).split()
        most = bands[0]
        for band in bands[1:]:
            most = ImageChops.lighter(most, band)
        boxes.append(most.point(lambda v: 255 if v > threshold else 0).getbbox())
    boxes = [box for box in boxes if box]
    return tuple(f(box[i] for box in boxes) for i, f in enumerate((min, min, max, max)))


@test
def trims():
    """trim keeps what differs from the upper left pixel, in any frame."""
    for kind, data, seen in all_kinds():
        for threshold in (10, 60):
            wanted = bounds(seen, threshold)
            image = picture(data, trim(threshold), format="png" if "animated" not in kind else "webp")
            for got, sought in zip(image.size, (wanted[2] - wanted[0], wanted[3] - wanted[1])):
                assert abs(got - sought) <= 1, (kind, threshold, image.size, wanted)
    image = picture(fixtures.encode(framed(), "png"), trim(), format="png")
    equal((image.size, image.tobytes()), ((80, 42), framed().crop((4, 8, 84, 50)).tobytes()))
    plain = fixtures.encode(Image.new("RGB", (20, 10), (9, 9, 9)), "png")
    equal(picture(plain, trim(), format="png").size, (20, 10))
    nothing = Image.new("RGBA", (20, 10), (200, 0, 0, 0))
    nothing.paste((0, 0, 255, 255), (5, 3, 9, 8))
    nothing.putpixel((19, 9), (0, 255, 0, 0))
    equal(picture(fixtures.encode(nothing, "png"), trim(), format="png").size, (4, 5))
    written(trim())


def magick_blur(image, sigma):
    """By ImageMagick: the Gaussian of PIL is but near to one."""
    def run(band):
        command = ["convert", "pgm:-", "-virtual-pixel", "edge", "-blur", "%dx%g" % (math.ceil(4 * sigma), sigma), "pgm:-"]
        return fixtures.decode(subprocess.run(command, input=fixtures.encode(band, "ppm"), check=True,
                                              stdout=subprocess.PIPE).stdout)
    return Image.merge("RGBA", [run(band) for band in image.split()])


@test
def blurs():
    """blur is a Gaussian; what is transparent counts nothing."""
    for sigma in (0.5, 2, 6, 30):
        compare(lambda frame: unpremultiplied(magick_blur(premultiplied(frame), sigma)), blur(sigma), extra=1.5)
    image = Image.new("L", (201, 201))
    image.paste(255, (100, 0, 201, 201))
    for sigma in (1, 3.9, 4, 10, 40):
        row = picture(fixtures.encode(image, "png"), blur(sigma), format="png").convert("L")
        for x in range(0, 201, 10):
            wanted = 255 * 0.5 * (1 + math.erf((x - 99.5) / sigma / math.sqrt(2)))
            if min(x, 200 - x) > 2.5 * sigma:
                near(row.getpixel((x, 100)), wanted, 4, "sigma %g at %d" % (sigma, x))
    equal(picture(fixtures.encode(Image.new("RGB", (1, 1), (9, 99, 199)), "png"), blur(100), format="png")
          .convert("RGB").getpixel((0, 0)), (9, 99, 199))
    written(blur(3))


def unpremultiplied(image):
    result = Image.new("RGBA", image.size)
    result.putdata([(0, 0, 0, 0) if a == 0 else tuple(min(255, round(v * 255 / a)) for v in (r, g, b)) + (a,)
                    for r, g, b, a in image.getdata()])
    return result


def luma(r, g, b):
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def each_pixel(function):
    """A function of r, g and b as one of frames."""
    def oracle(frame):
        result = Image.new("RGBA", frame.size)
        result.putdata([tuple(min(255, max(0, round(v))) for v in function(r, g, b)) + (a,)
                        for r, g, b, a in frame.getdata()])
        return result
    return oracle


@test
def grays():
    """gray is the luma of each pixel, in one band."""
    compare(each_pixel(lambda r, g, b: (luma(r, g, b),) * 3), gray())
    compare(lambda frame: frame, gray(0))
    equal(picture(fixtures.encode(framed(), "png"), gray(), format="png").mode, "L")
    written(gray())


def rounded_mask(size, across, down):
    """By drawing at sixteen times the size."""
    width, height = (side * 16 for side in size)
    mask = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(mask)
    x, y = across * 16, down * 16
    draw.rectangle([x, 0, width - x - 1, height - 1], fill=255)
    draw.rectangle([0, y, width - 1, height - y - 1], fill=255)
    for left in (0, width - 2 * x - 1):
        for top in (0, height - 2 * y - 1):
            draw.ellipse([left, top, left + 2 * x, top + 2 * y], fill=255)
    return mask.resize(size, Image.BOX)


@test
def rounds():
    """round cuts corners off, smoothly."""
    for given, across, down in [(10, 10, 10), ("50%", 45, 30), ("20%", 18, 12), (500, 30, 30)]:
        def oracle(frame):
            result = frame.copy()
            result.putalpha(ImageChops.multiply(frame.getchannel("A"), rounded_mask(frame.size, across, down)))
            return result
        compare(oracle, rounded(given), extra=0.5)
    data = fixtures.encode(framed(), "jpeg")
    assert min(picture(data, rounded(20), format="jpeg").getpixel((0, 0))) > 245
    image = picture(data, rounded(20), background(0x336699FF), format="png")
    equal((image.mode, image.getpixel((0, 0))), ("RGB", (51, 102, 153)))
    compare(lambda frame: frame, rounded(0))
    written(rounded("50%"))


@test
def paddings():
    """padding keeps the size; the picture shrinks between the margins."""
    for kind, data, seen in all_kinds():
        for unit, sides, inner in [
                (PERCENT, (10, 10, 10, 10), (9, 6, 72, 48)),
                (PERCENT, (25, 5, 25, 5), (22.5, 15, 45, 30)),
                (PX, (0, 40, 0, 0), (0, 13, 50, 33)),
                (PX, (30, 0, 0, 0), (22, 30, 45, 30)),
                (PERCENT, (0, 0, 0, 0), (0, 0, 90, 60))]:
            image = picture(data, padding(unit, *sides), background(0x336699FF), format="png").convert("RGB")
            wanted = Image.new("RGBA", (90, 60), (51, 102, 153, 255))
            left, top, width, height = (int(v) for v in inner)
            wanted.alpha_composite(unpremultiplied(premultiplied(seen[0]).resize((width, height), Image.LANCZOS)), (left, top))
            alike(image, wanted, TOLERANCE[kind] + 2, "%s %r" % (kind, sides))
    data = fixtures.encode(framed(), "png")
    refused(edit(data, padding(PX, 31, 0, 0, 0)), client.MISFIT, 31, "90 x 60")
    refused(edit(data, padding(PX, 0, 0, 0, 46)), client.MISFIT, 46)
    equal(picture(data, padding(PERCENT, 50, 50, 50, 50), format="png").size, (90, 60))
    image = picture(data, resizing(400, 100, CANVAS), padding(PERCENT, 10, 10, 10, 10), format="png")
    equal((image.size, image.convert("RGB").getpixel((5, 5))), ((400, 100), (255, 255, 255)))
    rgba = fixtures.encode(fixtures.translucent(), "png")
    equal(picture(rgba, padding(PERCENT, 10, 10, 10, 10), format="png").getpixel((2, 2))[3], 0)
    written(padding(PX, 5, 6, 7, 8))


def exposed(v, gain):
    x = v / 255
    light = x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4
    light = gain * light / (1 if gain < 1 else 1 + (gain - 1) * light)
    return 255 * (light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)


def contrasted(v, c):
    x = v / 255
    return 255 * (x - c * x * (1 - x) * (1 - 2 * x))


@test
def tones():
    """adjustments follow their formulas."""
    # palettes and inks do not bear amplification well
    for value in (-100, -30, 40, 100):
        gain, c, s = 2 ** (value / 50), value / 100, 1 + value / 100

        def saturated(r, g, b):
            l = luma(r, g, b)
            f = min([s] + [(255 - l) / (v - l) if v > l else l / (l - v) for v in (r, g, b) if abs(v - l) > 0.5])
            return [l + f * (v - l) for v in (r, g, b)]
        compare(each_pixel(lambda r, g, b: [exposed(v, gain) for v in (r, g, b)]), adjustments(exposure=value), factor=3)
        compare(each_pixel(lambda r, g, b: [contrasted(v, c) for v in (r, g, b)]), adjustments(contrast=value), factor=3)
        compare(each_pixel(saturated), adjustments(saturation=value), factor=3)
    written(adjustments(exposure=20, contrast=20, saturation=20, sharpness=20, hdr=20))


@test
def nothing_adjusted():
    """Adjustments of 0 change no byte of the result."""
    for kind, data, seen in all_kinds():
        for format in ("jpeg", "png", "webp"):
            equal(edit(data, adjustments(), format=format).output, edit(data, format=format).output, kind)


@test
def adjusted_in_order():
    """More is more, greys and ends stay, alpha stays."""
    ramp = Image.new("L", (256, 8))
    ramp.putdata(list(range(256)) * 8)
    data = fixtures.encode(ramp, "png")
    for key in ("exposure", "contrast"):
        last = None
        for value in (-100, -50, -1, 0, 1, 50, 100):
            image = picture(data, adjustments(**{key: value}), format="png")
            row = [image.getpixel((x, 4)) for x in range(256)]
            equal(row[0], 0, key)
            if key == "contrast" or value >= 0:
                equal(row[255], 255, key)
            assert max(b - a for a, b in zip(row, row[1:])) <= 14, "%s %d tears tones apart" % (key, value)
            equal(row, sorted(row), "%s %d is not monotone" % (key, value))
            if last and key == "exposure":
                assert all(a <= b for a, b in zip(last, row)), "exposure %d darkens" % value
            last = row
    equal(picture(data, adjustments(saturation=100), format="png").tobytes(), ramp.tobytes())
    alpha = fixtures.translucent()
    for given in ({"exposure": 50}, {"hdr": 100}, {"sharpness": 100}, {"saturation": -100}, {"contrast": -40}):
        image = picture(fixtures.encode(alpha, "png"), adjustments(**given), format="png")
        equal(image.getchannel("A").tobytes(), alpha.getchannel("A").tobytes(), str(given))


def spread(image):
    """Mean difference from the neighbour on the right, of the luma."""
    image = image.convert("L")
    return difference(image.crop((0, 0, image.width - 1, image.height)), image.crop((1, 0, image.width, image.height)))


@test
def detail():
    """sharpness and hdr bring detail out and leave plain areas alone."""
    source = fixtures.smooth(240, 160).filter(ImageFilter.GaussianBlur(1))
    rough = Image.blend(source, Image.effect_noise(source.size, 30).convert("RGB"), 0.3).filter(ImageFilter.GaussianBlur(1.2))
    data = fixtures.encode(rough, "png")
    for key in ("sharpness", "hdr"):
        seen = [spread(picture(data, adjustments(**{key: value}), format="png")) for value in (0, 25, 50, 100)]
        equal(seen, sorted(seen), key)
        assert seen[-1] > 1.2 * seen[0], (key, seen)
    for value in (0, 60, 128, 200, 255):
        plain = fixtures.encode(Image.new("RGB", (60, 40), (value,) * 3), "png")
        equal(picture(plain, adjustments(sharpness=100), format="png").convert("L").getextrema(), (value, value))
    # an unsharp mask of PIL, with the same Gaussian on the same luma
    grey = rough.convert("L")
    image = picture(fixtures.encode(grey, "png"), adjustments(sharpness=100), format="png").convert("L")
    wanted = grey.filter(ImageFilter.UnsharpMask(radius=1, percent=150, threshold=0))
    alike(image, wanted, 2)


@test
def fixed_order():
    """Steps run in the order of the plan, which is the compiler's; several in one plan."""
    source = fixtures.smooth(120, 80)
    data = fixtures.encode(source, "png")
    image = picture(data, rotate(90), crop(0, 0, 40, 120), resizing(20, 60), gray(), rounded("50%"),
                    padding(PERCENT, 10, 10, 10, 10), background(0xFF0000FF), format="png").convert("RGB")
    equal((image.size, image.getpixel((0, 0))), ((20, 60), (255, 0, 0)))
    r, g, b = image.getpixel((10, 30))
    equal((r, g), (g, b), "the middle is grey")
    for steps, size in (((crop(0, 0, 40, 20), rotate(90)), (20, 40)), ((rotate(90), crop(0, 0, 40, 20)), (40, 20)),
                        ((crop(0, 0, 40, 20), crop(10, 0, 90, 10)), (30, 10))):
        equal(picture(data, *steps, format="png").size, size)


@test
def values_in_plans():
    """Values that the contract does not allow are refused in plans, too."""
    data = fixtures.encode(fixtures.smooth(20, 20), "png")
    for wrong in (rotate(361), rotate(float("nan")), client.step(client.FLIP, {0: 3}), crop(-65500), crop(0.5),
                  crop(0, 0, 70000), trim(256), client.step(client.TRIM, {0: 2}), adjustments(hdr=101),
                  adjustments(exposure=0.5), adjustments(sharpness=-1), blur(0.2), blur(101), blur(float("inf")),
                  gray(2), rounded("51%"), rounded(-1), padding(PERCENT, 51, 0, 0, 0), padding(PX, -1, 0, 0, 0),
                  padding(7, 0, 0, 0, 0), padding(PX, 0.5, 0, 0, 0)):
        refused(edit(data, wrong), client.BAD_PLAN)
    equal(edit(data, rotate(45), limits={"side": 20}).outcome, client.LIMIT)
