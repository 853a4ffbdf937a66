"""
Named operations: each template, and the three groups together, by img_apply()
on every kind of picture.
"""
import collections

import compare
import kinds
import oracles
import server
from oracles import chain, cut, each, encircled, filled, resized, same
from rows import FILED, mark
from tap import equal, test
from test_output import by_pillow

# steps: (template, options); pieces: an oracle for each of several results, or
# one; animated: whether an animation stays one.
Named = collections.namedtuple("Named", "name steps pieces animated")

BOTH = {"upDownSizeType": "upDownAll"}


def sliced(vertical, size, length):
    """Slices one below the other, or side by side."""
    return [each(lambda f, a=a: f.crop((0, a, f.width, min(a + size, f.height)) if vertical else
                                       (a, 0, min(a + size, f.width), f.height)))
            for a in range(0, length, size)]


def gridded(columns, rows):
    """Fields as large as the first; fewer where that leaves nothing over."""
    across, down = -(-kinds.SIZE[0] // columns), -(-kinds.SIZE[1] // rows)
    return [each(lambda f, x=x, y=y: f.crop((x, y, min(x + across, f.width), min(y + down, f.height))))
            for y in range(0, kinds.SIZE[1], down) for x in range(0, kinds.SIZE[0], across)]


NAMED = [
    Named("max_fit", [("resize_max_fit", {"width": 48, "height": 20})], [resized(48, None, "bounds")], True),
    Named("min_fit", [("resize_min_fit", {"width": 48, "height": 20})], [resized(None, 20, "bounds")], True),
    Named("max_fit, square", [("resize_max_fit", {"width": 48, "height": 48})], [resized(48, 48, "bounds")], True),
    Named("min_fit, square", [("resize_min_fit", {"width": 32, "height": 32})], [resized(32, 32, "cover")], True),
    Named("fixed", [("resize_fixed", {"width": 50, "height": 50})], [filled(50, 50)], True),
    Named("fix, the newer name", [("resize_fix", {"width": 50, "height": 50})], [filled(50, 50)], True),
    Named("width_fit", [("resize_width_fit", {"width": 48, "height": 5})], [resized(48, None, "bounds")], True),
    Named("height_fit", [("resize_height_fit", {"width": 5, "height": 32})], [resized(None, 32, "bounds")], True),
    Named("never larger", [("resize_max_fit", {"width": 500, "height": 500})], [same], True),
    Named("larger", [("resize_max_fit", {"width": 192, "height": 192, **BOTH})], [resized(192, 192, "bounds")], True),
    Named("still", [("resize_max_fit", {"width": 48, "height": 48, "keepAnimation": False})], [resized(48, 48, "bounds")], False),
    Named("gray", [("gray", {})], [oracles.gray], True),
    Named("rectangle", [("rectangle", {"width": 40, "height": 20, "gravity": "SouthEast", "offsetX": 7, "offsetY": 3})],
          [cut("southeast", 40, 20, 7, 3)], False),
    Named("circle", [("circle", {"radius": 20, "gravity": "West"})], [encircled("west", 20)], False),
    Named("slice, vertical", [("slice", {"sliceSize": 25})], sliced(True, 25, 64), True),
    Named("slice, horizontal", [("slice", {"sliceSize": 40, "sliceCropType": "horizontal"})], sliced(False, 40, 96), True),
    Named("grid", [("grid", {"countX": 3, "countY": 2})], gridded(3, 2), None),
    Named("grid that does not divide evenly", [("grid", {"countX": 7, "countY": 3})], gridded(7, 3), None),
    # given in another order than they run
    Named("three groups", [("circle", {"radius": 10}), ("gray", {}), ("resize_max_fit", {"width": 48, "height": 48})],
          [chain(oracles.gray, resized(48, 48, "bounds"), encircled("center", 10))], False),
    Named("watermark", [("watermark", {"watermarkImagePath": FILED, "gravity": "NorthEast", "offsetX": 5, "offsetY": 3})],
          [oracles.marked(mark(), "northeast", 5, 3)], False),
]

# Mean and 98th percentile of CIEDE2000. Results are in the format of the
# source; what lossy ones lose again, Pillow's encoders may lose, too.
EXACT = (1.7, 6)
PEERS = {"jpeg": by_pillow("jpeg", quality=75), "webp": by_pillow("webp", quality=75),
         "gif": lambda frame: frame.convert("RGB").quantize(255)}
FORMATS = {"jpeg": "jpeg", "jpeg, wide gamut": "jpeg", "heic": "jpeg", "tiff CMYK": "tiff",
           "gif animated": "gif", "webp animated": "webp"}


def on_white(frame):
    return oracles.laid_on(frame, (255, 255, 255))


def check(named, kind):
    steps = [{"templateOperationId": template, "option": options} for template, options in named.steps]
    rows = server.apply(kind.data, steps)
    format_ = FORMATS.get(kind.name, "png")
    equal([ordinal for ordinal, _, _ in rows], list(range(len(named.pieces))), "ordinals")
    for (ordinal, name, data), oracle in zip(rows, named.pieces):
        facts = server.info(data)
        equal(facts.format, format_, "format")
        assert name.endswith("." + facts.ext), name
        equal("_%04d." % ordinal in name, len(rows) > 1, "name %s" % name)
        wanted = oracle(list(kind.frames))
        if named.animated is not None:
            equal(facts.pages, len(wanted) if kind.animated and named.animated else 1, "frames")
        got = kinds.frames_of(data, "RGBA")
        for one, other in zip(got, wanted):
            equal(one.size, other.size, "size of piece %d" % ordinal)
            if format_ == "jpeg":
                other = on_white(other)
            mean, most = compare.difference(one, other)
            lost = compare.difference(PEERS[format_](other), other) if format_ in PEERS else (0, 0)
            allowed = tuple(a + 1.2 * b for a, b in zip(EXACT, lost))
            assert mean <= allowed[0] and most <= allowed[1], "%.2f, %.2f; allowed %.2f, %.2f" % (mean, most, *allowed)


def add(named, kind):
    def one():
        check(named, kind)
    one.__doc__ = "named: %s, %s" % (named.name, kind.name)
    test(one)


for each_named in NAMED:
    for each_kind in kinds.all_kinds():
        add(each_named, each_kind)


@test
def templates():
    """named: every template is in the table, and nothing else."""
    have = {template for named in NAMED for template, _ in named.steps} - {"resize_fix"}
    equal(set(server.contract()["templates"]), have)
