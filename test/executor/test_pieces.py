"""Several results of one picture, another picture over it, and what a plan says beside its steps."""
import io

from PIL import Image

import client
from client import (BOUNDS, COVER, CROP, FILL, MISFIT, circle, crop, flip, gray, grid, plan, resizing,
                    rounded, slices, watermark)
import fixtures
from setting import alike, executor, picture, refused, scaled
from tap import equal, test


def pieces(data, *steps, format="png", **given):
    """Outputs of a plan, as pictures."""
    reply = executor().edit(data, plan(list(steps), format=format, **given))
    equal((reply.outcome, reply.text), (client.DONE, ""))
    images = [fixtures.decode(output) for output, _ in reply.pieces]
    equal([(i.width, i.height) for i in images], [(f.width, f.height) for _, f in reply.pieces], "facts")
    return images


def laid_out(images, columns):
    """The pieces side by side again."""
    rows = [images[i:i + columns] for i in range(0, len(images), columns)]
    whole = Image.new("RGB", (sum(i.width for i in rows[0]), sum(r[0].height for r in rows)))
    top = 0
    for row in rows:
        left = 0
        for image in row:
            whole.paste(image, (left, top))
            left += image.width
        top += row[0].height
    return whole


@test
def slices_of_a_picture():
    """slice: pieces of one size, the last holds the rest; all together are the picture."""
    source = fixtures.smooth(100, 70)
    data = fixtures.encode(source, "png")
    got = pieces(data, slices(30))
    equal([i.size for i in got], [(100, 30), (100, 30), (100, 10)])
    equal(laid_out(got, 1).tobytes(), source.tobytes())
    got = pieces(data, slices(30, "horizontal"))
    equal([i.size for i in got], [(30, 70), (30, 70), (30, 70), (10, 70)])
    equal(laid_out(got, 4).tobytes(), source.tobytes())
    equal([i.size for i in pieces(data, slices(0))], [(100, 70)], "size 0: all")
    equal([i.size for i in pieces(data, slices(70))], [(100, 70)], "one piece")


@test
def fields_of_a_grid():
    """grid: row by row; fewer fields where the size does not divide evenly."""
    source = fixtures.smooth(100, 70)
    data = fixtures.encode(source, "png")
    got = pieces(data, grid(3, 2))
    equal([i.size for i in got], [(34, 35), (34, 35), (32, 35)] * 2)
    equal(laid_out(got, 3).tobytes(), source.tobytes())
    nine = fixtures.encode(fixtures.smooth(9, 9), "png")
    equal([i.size for i in pieces(nine, grid(4, 1))], [(3, 9)] * 3)
    equal([i.size for i in pieces(nine, grid(9, 9))], [(1, 1)] * 81)


@test
def steps_around_a_split():
    """What stands before a split is done once, what stands behind it to each piece."""
    data = fixtures.encode(fixtures.quarters(200, 100), "png")
    got = pieces(data, resizing(100, 50, FILL), grid(2, 2), rounded("50%"))
    equal([i.size for i in got], [(50, 25)] * 4)
    for image in got:
        equal((image.mode, image.getpixel((0, 0))[3], image.getpixel((25, 12))[3]), ("RGBA", 0, 255))
    frames = pieces(fixtures.animation("gif", 4, (40, 30)), slices(20, "horizontal"), format="gif")
    equal([(i.size, i.n_frames) for i in frames], [((20, 30), 4)] * 2, "every piece is animated")


@test
def too_many_pieces():
    """More pieces than a job may have, and nonsense, are refused."""
    data = fixtures.encode(fixtures.smooth(300, 20), "png")
    refused(executor().edit(data, plan([slices(1, "horizontal")])), client.LIMIT)
    refused(executor().edit(data, plan([grid(30, 20)])), client.LIMIT)
    refused(executor().edit(data, plan([grid(0, 2)])), client.BAD_PLAN)
    refused(executor().edit(data, plan([slices(-1)])), client.BAD_PLAN)
    refused(executor().edit(data, plan([slices(5), grid(2, 2)])), client.BAD_PLAN)
    equal(executor().edit(data, plan([slices(50, "horizontal")])).outcome, client.DONE)


@test
def large_pieces():
    """Outputs that do not fit into a message come through the memfd."""
    source = fixtures.decode(fixtures.encode(Image.effect_noise((600, 400), 80).convert("RGB"), "png"))
    got = pieces(fixtures.encode(source, "png"), grid(2, 2))
    equal(laid_out(got, 2).tobytes(), source.tobytes())


def over(source, mark, *steps, format="png", **given):
    reply = executor().edit(fixtures.encode(source, "png"), plan(list(steps), format=format, **given),
                            fixtures.encode(mark, "png"))
    equal((reply.outcome, reply.text), (client.DONE, ""))
    return fixtures.decode(reply.output)


def pasted(source, mark, at, opacity=100):
    """The same by PIL."""
    layer = Image.new("RGBA", source.size)
    mark = mark.convert("RGBA")
    mark.putalpha(mark.getchannel("A").point(lambda v: round(v * opacity / 100)))
    layer.paste(mark, at)
    result = source.convert("RGBA")
    result.alpha_composite(layer)
    return result.convert(source.mode)


@test
def watermark_places():
    """watermark: every gravity, with offsets, beside PIL's compositing."""
    source = fixtures.smooth(120, 80)
    mark = fixtures.translucent(30, 20)
    places = {"northwest": (0, 0), "north": (45, 0), "northeast": (90, 0), "west": (0, 30), "center": (45, 30),
              "east": (90, 30), "southwest": (0, 60), "south": (45, 60), "southeast": (90, 60)}
    for gravity, (x, y) in places.items():
        alike(over(source, mark, watermark(gravity)), pasted(source, mark, (x, y)), 0.6)
        dx = -7 if "east" in gravity else 7
        dy = -4 if "south" in gravity else 4
        alike(over(source, mark, watermark(gravity, 7, 4)), pasted(source, mark, (x + dx, y + dy)), 0.6)
    alike(over(source, mark, watermark("northwest", -10, -5)), pasted(source, mark.crop((10, 5, 30, 20)), (0, 0)), 0.6)
    equal(over(source, mark, watermark("northwest", 500, 0)).tobytes(), source.tobytes(), "outside")


@test
def watermark_looks():
    """opacity, scale, tile; transparent and grey pictures; watermarks larger than the picture."""
    source = fixtures.smooth(120, 80)
    mark = fixtures.translucent(30, 20)
    for opacity in (0, 30, 100):
        alike(over(source, mark, watermark(opacity=opacity)), pasted(source, mark, (45, 30), opacity), 1)
    alike(over(source, mark, watermark("southeast", scale=50)), pasted(source, scaled(mark, 60, 40), (60, 40)), 2)
    tiled = Image.new("RGBA", source.size)
    for x in range(-15, 120, 30):
        for y in range(-10, 80, 20):
            tiled.paste(mark, (x, y))
    alike(over(source, mark, watermark(tile=1)), pasted(source, tiled, (0, 0)), 0.6)
    alpha = fixtures.translucent(120, 80)
    alike(over(alpha, mark, watermark()), pasted(alpha, mark, (45, 30)), 1.5)
    equal(over(source.convert("L"), Image.new("L", (10, 10), 9), watermark("northwest")).mode, "L", "grey on grey")
    red = over(source.convert("L"), Image.new("RGB", (10, 10), (250, 9, 9)), watermark("northwest"))
    equal((red.mode, red.getpixel((3, 3))), ("RGB", (250, 9, 9)), "colour on grey")
    large = fixtures.smooth(500, 400)
    equal(over(source, large, watermark()).tobytes(), large.crop((190, 160, 310, 240)).tobytes(), "larger")


@test
def watermark_fails():
    """A broken watermark is named as such; without one the plan is not run."""
    data = fixtures.encode(fixtures.smooth(20, 20), "png")
    reply = executor().edit(data, plan([watermark()]), fixtures.noise(200))
    equal((reply.outcome, reply.text[:11]), (client.BAD_PICTURE, "watermark: "), reply.text)
    refused(executor().edit(data, plan([watermark()])), client.FAILURE)
    reply = executor().edit(data, plan([watermark()]), fixtures.png_claiming(60000, 60000))
    equal(reply.outcome, client.LIMIT, reply.text)
    reply = executor().edit(data, plan([watermark(scale=100)]), fixtures.encode(Image.new("L", (1, 3000)), "png"), side=500)
    equal(reply.outcome, client.LIMIT, reply.text)


@test
def crop_by_gravity():
    """crop: x and y count from where gravity says; what reaches beyond is left out."""
    source = fixtures.smooth(100, 60)
    data = fixtures.encode(source, "png")
    for gravity, x, y, box in (("center", 0, 0, (30, 20, 70, 40)), ("center", 5, -5, (35, 15, 75, 35)),
                               ("southeast", 10, 5, (50, 35, 90, 55)), ("east", 0, 0, (60, 20, 100, 40)),
                               ("north", 0, 0, (30, 0, 70, 20)), ("northwest", -10, -5, (0, 0, 30, 15)),
                               ("southwest", -10, 50, (0, 0, 30, 10))):
        equal(picture(data, crop(x, y, 40, 20, gravity), format="png").tobytes(), source.crop(box).tobytes(), gravity)
    equal(executor().edit(data, plan([crop(200, 0, 40, 20, "center")])).outcome, MISFIT)


@test
def circles():
    """circle: inside the picture as it was, outside nothing; never beyond the edge."""
    source = fixtures.smooth(100, 60)
    data = fixtures.encode(source, "png")
    for given, box in (((20,), (30, 10, 70, 50)), ((20, "southeast"), (60, 20, 100, 60)),
                       ((20, "west", 5, -3), (5, 7, 45, 47)), ((500,), (20, 0, 80, 60)), ((20, "north", 0, -9), (30, 0, 70, 40))):
        got = picture(data, circle(*given), format="png")
        part = source.crop(box)
        side = part.width
        equal((got.mode, got.size), ("RGBA", part.size), given)
        for at, opaque in (((side // 2, side // 2), 255), ((1, 1), 0), ((side - 2, 1), 0), ((side // 2, 1), 255)):
            equal(got.getpixel(at)[3], opaque, (given, at))
        equal(got.getpixel((side // 2, side // 3))[:3], part.getpixel((side // 2, side // 3)))


@test
def sizes_and_directions():
    """fill distorts; scale "down" never enlarges and "up" never reduces."""
    data = fixtures.encode(fixtures.smooth(100, 60), "jpeg", quality=95)

    def size(*given, **more):
        return picture(data, resizing(*given, **more), format="png").size

    equal(size(50, 50, FILL), (50, 50))
    equal(size(200, 30, FILL), (200, 30))
    large = fixtures.encode(fixtures.smooth(100, 60).resize((900, 600)), "jpeg")
    equal(picture(large, resizing(1000, 90, FILL), format="png").size, (1000, 90), "rows are read once")
    equal(size(200, 30, FILL, scale="down"), (100, 30))
    equal(size(200, 30, FILL, scale="up"), (200, 60))
    for fit in (BOUNDS, COVER, CROP):
        equal(size(200, 120, fit, scale="down"), (100, 60), fit)
        equal(size(50, 30, fit, scale="down"), (50, 30), fit)
        equal(size(200, 120, fit, scale="up"), (200, 120), fit)
    equal(size(50, 30, BOUNDS, scale="up"), (100, 60))
    equal(size(50, 30, CROP, scale="up"), (50, 30), "cut, not reduced")
    equal(size(200, 20, CROP, scale="down"), (100, 20))
    alike(picture(data, resizing(50, 60, FILL), format="png"), scaled(fixtures.smooth(100, 60), 50, 60), 3)


@test
def quality_of_any_format():
    """A quality that the plan names goes to the format, whichever it is."""
    source = Image.effect_noise((200, 150), 60).convert("RGB")
    for format in ("jpeg", "webp"):
        data = fixtures.encode(source, format, quality=95)
        low, high = [len(executor().edit(data, plan([flip("both")], quality=q)).output) for q in (20, 95)]
        assert low * 2 < high, (format, low, high)
    data = fixtures.encode(source, "png")
    equal(len(executor().edit(data, plan([gray()], quality=5)).output),
          len(executor().edit(data, plan([gray()])).output), "png has none")


@test
def first_frame_only():
    """A plan may ask for the first frame of an animation, without a warning."""
    data = fixtures.animation("gif", 4, (40, 30))
    reply = executor().edit(data, plan([resizing(20, 15)], flags=client.SINGLE_FRAME))
    equal((fixtures.decode(reply.output).n_frames, reply.warnings), (1, 0))
    reply = executor().edit(data, plan([resizing(20, 15)], format="png", flags=client.SINGLE_FRAME))
    equal((reply.outcome, reply.warnings), (client.DONE, 0))


@test
def exif_goes_along():
    """KEEP_EXIF: time and place stay, orientation tells the truth, whatever the format."""
    when = "2024:05:01 12:00:00"
    upright = scaled(fixtures.quarters(), 60, 60)
    for orientation in range(1, 9):
        data = fixtures.encode(fixtures.oriented(orientation), "jpeg", quality=95, exif=fixtures.exif(orientation, when))
        for flags in (client.KEEP_EXIF, client.KEEP_EXIF | client.AS_STORED, client.AS_STORED):
            for format in ("jpeg", "png", "webp"):
                reply = executor().edit(data, plan([resizing(60, 60, FILL)], format=format, flags=flags))
                info = executor().info(reply.output).source
                keeps = flags & client.KEEP_EXIF
                stays = flags == client.KEEP_EXIF | client.AS_STORED
                equal((info.taken_at, info.orientation),
                      ("2024-05-01 12:00:00" if keeps else "", orientation if stays else 1), (format, flags))
                alike(fixtures.decode(executor().edit(reply.output, plan([], format="png")).output), upright, 6)
    # without any in the source there is nothing to keep
    plain = fixtures.encode(fixtures.quarters(), "jpeg")
    equal(executor().edit(plain, plan([gray()], flags=7)).outcome, client.DONE)
    gif = executor().edit(data, plan([], format="gif", flags=client.KEEP_EXIF | client.AS_STORED))
    equal(fixtures.decode(gif.output).size, (120, 80), "gif has no EXIF: turned")
