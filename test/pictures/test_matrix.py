"""Every row of the table on every kind of picture."""
import compare
import kinds
import server
from rows import ROWS
from tap import equal, test

LOSSLESS = {"type": "webp", "compression": "lossless"}


def fitted(image, size, slack):
    """The oracle's picture, cut in its middle if it may be a little larger."""
    if image.size == size:
        return image
    apart = max(abs(a - b) for a, b in zip(image.size, size))
    assert apart <= slack, "%r pixels, wanted %r" % (size, image.size)
    left, top = ((a - b) // 2 for a, b in zip(image.size, size))
    return image.crop((left, top, left + size[0], top + size[1]))


def windows(image, size):
    """All parts of that size."""
    for left in range(image.width - size[0] + 1):
        for top in range(image.height - size[1] + 1):
            yield image.crop((left, top, left + size[0], top + size[1]))


def compare_frames(row, got, wanted):
    for number, (one, other) in enumerate(zip(got, wanted)):
        if row.window:
            mean, most = min(compare.difference(one, part) for part in windows(other, one.size))
        else:
            mean, most = compare.difference(one, fitted(other, one.size, row.slack))
        assert mean <= row.mean and most <= row.most, \
            "frame %d differs by %.2f, at most %.2f; allowed %g, %g" % (number, mean, most, row.mean, row.most)


def check(row, kind):
    # still formats keep alpha and lose nothing; animations stay animated
    result = server.edit(kind.data, row.operations, {"format": LOSSLESS if kind.animated else "png"})
    facts = server.info(result)
    wanted = row.oracle(list(kind.frames))
    equal(facts.pages, len(wanted), "frames")
    equal(facts.orientation, 1, "orientation")
    equal(facts.has_icc, False, "profile")
    got = kinds.frames_of(result, "RGBA")
    equal(got[0].size, (facts.width, facts.height), "size in img_info()")
    if not row.window and not row.slack:
        equal(got[0].size, wanted[0].size, "size")
    if kind.animated:
        # frames of an animation may let those before them show through
        equal([frame.getextrema()[3][0] < 255 for frame in got],
              [frame.convert("RGBA").getextrema()[3][0] < 255 for frame in wanted], "alpha")
    else:
        equal(facts.has_alpha, wanted[0].mode == "RGBA", "alpha")
    compare_frames(row, got, wanted)


def add(row, kind):
    def one():
        check(row, kind)
    one.__doc__ = "%s: %s" % (row.name, kind.name)
    one.__name__ = "matrix"
    test(one)


for each_row in ROWS:
    for each_kind in kinds.all_kinds():
        add(each_row, each_kind)
