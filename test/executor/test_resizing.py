"""The rules of operations.resizing, by their sizes and by what is where."""
from PIL import Image

import client
from client import BOUNDS, CANVAS, COVER, CROP, resizing
import fixtures
from setting import alike, edit, picture, refused, scaled
from tap import equal, test

# width, height and fit of the request, then the result of a 300 x 200 picture
SIZES = [
    (None, None, CROP, (300, 200)),
    (None, None, BOUNDS, (300, 200)),
    (100, 100, CROP, (100, 100)),
    (300, 100, CROP, (300, 100)),
    (77, 33, CROP, (77, 33)),
    (1, 1, CROP, (1, 1)),
    (600, 600, CROP, (600, 600)),
    (100, None, CROP, (100, 200)),
    (None, 50, CROP, (300, 50)),
    (400, None, CROP, (400, 200)),
    ("50%", None, CROP, (150, 200)),
    ("50%", "50%", CROP, (150, 100)),
    (100, 100, COVER, (150, 100)),
    (100, 10, COVER, (100, 67)),
    (100, None, COVER, (100, 67)),
    (None, 100, COVER, (150, 100)),
    (600, 600, COVER, (900, 600)),
    (100, 100, BOUNDS, (100, 67)),
    (500, 100, BOUNDS, (150, 100)),
    (100, None, BOUNDS, (100, 67)),
    (None, 77, BOUNDS, (116, 77)),
    (600, 600, BOUNDS, (600, 400)),
    ("50%", "auto", BOUNDS, (150, 100)),
    ("33%", "33%", BOUNDS, (99, 66)),
    ("1%", "1%", BOUNDS, (3, 2)),
    (1, 1, BOUNDS, (1, 1)),
    ("200%", None, BOUNDS, (600, 400)),
    (100, 100, CANVAS, (100, 100)),
    (400, 100, CANVAS, (400, 100)),
    (100, None, CANVAS, (100, 67)),
    (500, 500, CANVAS, (500, 500)),
]


@test
def sizes():
    """Every rule gives exactly the size it promises."""
    for format in ("jpeg", "png"):
        data = fixtures.encode(fixtures.smooth(), format)
        for width, height, fit, wanted in SIZES:
            reply = edit(data, resizing(width, height, fit), format="png")
            equal((reply.outcome, reply.result.width, reply.result.height),
                  (client.DONE,) + wanted, "%s %s x %s, fit %d" % (format, width, height, fit))
            equal(fixtures.decode(reply.output).size, wanted)


@test
def never_zero():
    """Thin pictures keep at least a pixel on every side."""
    for size in [(1000, 1), (1, 1000), (3, 700)]:
        data = fixtures.encode(Image.new("RGB", size, (9, 99, 200)), "png")
        for fit in (CROP, COVER, BOUNDS, CANVAS):
            image = picture(data, resizing(7, 7, fit), format="png")
            assert min(image.size) >= 1
            if fit in (CROP, CANVAS):
                equal(image.size, (7, 7))
        equal(picture(data, resizing(2, 2), format="png").getpixel((0, 0)), (9, 99, 200))


@test
def center():
    """A crop keeps the middle."""
    source = fixtures.smooth()
    data = fixtures.encode(source, "png")
    alike(picture(data, resizing(100, None), format="png"), source.crop((100, 0, 200, 200)), 0)
    alike(picture(data, resizing(None, 50), format="png"), source.crop((0, 75, 300, 125)), 0)
    alike(picture(data, resizing(50, 50), format="png"), scaled(source, 75, 50).crop((12, 0, 62, 50)), 1)


@test
def smart():
    """A smart crop keeps what stands out."""
    source = Image.new("RGB", (400, 100), (90, 100, 110))
    source.paste(fixtures.quarters(60, 60), (320, 20))
    data = fixtures.encode(source, "png")
    image = picture(data, resizing(100, 100, CROP, smart=True), format="png")
    colors = {color for _, color in image.getcolors(9999)}
    assert (220, 40, 40) in colors and (230, 220, 60) in colors, "the colourful part was cut off"


@test
def canvas_middle():
    """A canvas has the picture in its middle."""
    data = fixtures.encode(Image.new("RGB", (100, 50), (0, 0, 0)), "png")
    image = picture(data, resizing(100, 100, CANVAS), format="png")
    equal([image.getpixel((50, y)) for y in (24, 25, 74, 75)],
          [(255, 255, 255), (0, 0, 0), (0, 0, 0), (255, 255, 255)])


@test
def as_others_scale():
    """Scaled pictures are what PIL makes with the same kernel, at every ratio."""
    source = Image.effect_noise((640, 480), 60).convert("RGB")
    data = fixtures.encode(source, "png")
    for width, height in [(639, 479), (600, 450), (512, 384), (400, 300), (333, 250), (320, 240), (200, 150)]:
        image = picture(data, resizing(width, height), format="png")
        alike(image, scaled(source, width, height), 1.5, "%d x %d" % (width, height))
    source = fixtures.smooth(640, 480)
    data = fixtures.encode(source, "png")
    for width, height in [(150, 112), (101, 76), (64, 48), (13, 10), (4, 3)]:
        image = picture(data, resizing(width, height), format="png")
        alike(image, scaled(source, width, height), 1.5, "%d x %d" % (width, height))


@test
def jpeg_shrink_has_no_shift():
    """Decoding JPEG at a smaller scale moves nothing, whatever the sides."""
    for size in [(1600, 1200), (1601, 1203), (1607, 1207), (999, 777)]:
        source = fixtures.smooth(*size)
        data = fixtures.encode(source, "jpeg", quality=95)
        for width in (99, 120, 199, 200, 400):
            image = picture(data, resizing(width, fit=BOUNDS), format="png")
            alike(image, scaled(source, *image.size), 1.5, "%r to %d" % (size, width))


@test
def enlarging():
    """Enlarging interpolates smoothly."""
    source = fixtures.smooth(60, 40)
    data = fixtures.encode(source, "png")
    alike(picture(data, resizing(120, 80), format="png"), scaled(source, 120, 80), 2.5)
    for size in ((40, 8), (60, 12), (200, 40), (200, 2)):
        middle = Image.new("L", (20, 4))
        middle.paste(255, (8, 0, 12, 4))
        image = picture(fixtures.encode(middle, "png"), resizing(*size, fit=CANVAS), format="png").convert("L")
        alike(image, image.transpose(Image.FLIP_LEFT_RIGHT), 0.5, "enlarging moves nothing")
    alpha = fixtures.encode(fixtures.translucent(), "png")
    equal(picture(alpha, resizing(240, 160), format="png").mode, "RGBA")


@test
def one_pixel():
    """A picture of one pixel can be everything."""
    data = fixtures.encode(Image.new("RGB", (1, 1), (10, 200, 30)), "png")
    for width, height, fit in [(1, 1, CROP), (64, 64, CROP), (64, 32, CANVAS), (10, None, BOUNDS)]:
        for format in ("jpeg", "png", "webp", "gif", "tiff", "avif"):
            reply = edit(data, resizing(width, height, fit), format=format)
            equal(reply.outcome, client.DONE, format + ": " + reply.text)


@test
def output_side():
    """A result that is too large is refused with both numbers."""
    data = fixtures.encode(fixtures.smooth(), "png")
    refused(edit(data, resizing(5000, 10), limits={"side": 4096}), client.LIMIT, 5000, 4096)
    refused(edit(data, resizing("1000%", None, BOUNDS), limits={"side": 2048}), client.LIMIT, 3000, 2048)
    refused(edit(data, format="webp", limits={"side": 299}), client.LIMIT, 300, 299)
    refused(edit(data, resizing(17000, 10), format="webp", limits={"side": 65500}), client.LIMIT, 17000, 16383)


@test
def extreme_crop():
    """A crop far out of proportion costs no more than its result."""
    data = fixtures.encode(Image.new("RGB", (4000, 2), (1, 2, 3)), "png")
    image = picture(data, resizing(300, 300), format="png")
    equal((image.size, image.getpixel((150, 150))), ((300, 300), (1, 2, 3)))
