"""
The table: what is asked for, who else can say what comes out, and how far the
two may be from each other.

mean and most bound the mean and the 98th percentile of CIEDE2000 over the
pixels; 1 is a difference that an eye can just tell. Every operation, argument
and choice of img_operations_contract() that runs here has to be in some row,
and nothing else may be; test_contract.py looks.
"""
import collections

from PIL import Image

import fixtures
import oracles
import server
from oracles import chain, each, on_background, on_colors, padded, resized, rounded, same, transposed, trimmed, turned

# slack: pixels by which the size may differ (only where another program rounds
# another way). oracle: of frames; window: the result is some part of the oracle's.
Row = collections.namedtuple("Row", "name operations oracle mean most slack window")


def row(name, operations, oracle, mean, most, slack=0, window=False):
    return Row(name, operations, oracle, mean, most, slack, window)


def adjust(**given):
    return {"adjustments": given}


def resize(width=None, height=None, fit=None, **more):
    given = {"width": width, "height": height, "fit": fit}
    return {"resizing": {key: value for key, value in given.items() if value is not None}, **more}


BLUE = {"background": {"color": "#336699"}}

def mark():
    """A small picture that lets something through."""
    image = Image.new("RGBA", (24, 14), (255, 255, 255, 120))
    image.paste((200, 20, 20, 255), (4, 3, 14, 11))
    image.paste((0, 0, 0, 0), (16, 0, 20, 14))
    return image


MARK = server.stored(fixtures.encode(mark(), "png"))
FILED = server.filed(fixtures.encode(mark(), "png"))


def watermark(**given):
    return {"watermark": {"image": MARK, **given}}


ROWS = [
    row("nothing", {}, same, 0.1, 0.5),
    # moves pixels and changes none
    row("rotate 90", {"rotate": 90}, transposed(Image.ROTATE_270), 0.1, 0.5),
    row("rotate 180", {"rotate": 180}, transposed(Image.ROTATE_180), 0.1, 0.5),
    row("rotate -90", {"rotate": -90}, transposed(Image.ROTATE_90), 0.1, 0.5),
    row("rotate 360", {"rotate": 360}, same, 0.1, 0.5),
    row("flip horizontal", {"flip": "horizontal"}, transposed(Image.FLIP_LEFT_RIGHT), 0.1, 0.5),
    row("flip vertical", {"flip": "vertical"}, transposed(Image.FLIP_TOP_BOTTOM), 0.1, 0.5),
    row("flip both", {"flip": "both"}, transposed(Image.ROTATE_180), 0.1, 0.5),
    row("crop", {"crop": {"x": 10, "y": 20, "width": 30, "height": 25}},
        each(lambda frame: frame.crop((10, 20, 40, 45))), 0.1, 0.5),
    row("crop to the edge", {"crop": {"x": 50, "y": 33}}, each(lambda frame: frame.crop((50, 33, 96, 64))), 0.1, 0.5),
    row("crop beyond the edge", {"crop": {"x": 80, "y": 60, "width": 500, "height": 500}},
        each(lambda frame: frame.crop((80, 60, 96, 64))), 0.1, 0.5),
    row("trim", {"trim": True}, trimmed(10), 0.1, 0.5, slack=1),
    row("trim, threshold 60", {"trim": {"threshold": 60}}, trimmed(60), 0.1, 0.5, slack=1),
    # resamples; edges of shapes are where kernels differ
    row("rotate 30", {"rotate": 30, **BLUE}, turned(30, (51, 102, 153)), 0.8, 7, slack=1),
    row("rotate -12.5", {"rotate": -12.5}, turned(-12.5), 0.8, 7, slack=1),
    row("rotate 200, transparent", {"rotate": 200, "background": {"color": "transparent"}}, turned(200, None), 0.8, 7, slack=1),
    row("resizing crop", resize(40, 40), resized(40, 40), 1.6, 6),
    row("resizing crop, one side", resize(50), resized(50), 0.1, 0.5),
    row("resizing crop center", resize(60, 20, {"type": "crop", "crop": "center"}), resized(60, 20), 1.6, 6),
    row("resizing crop smart", resize(40, 40, {"type": "crop", "crop": "smart"}), resized(40, 40, "cover"), 1.6, 6, window=True),
    row("resizing cover", resize(40, 40, "cover"), resized(40, 40, "cover"), 1.6, 6),
    row("resizing bounds", resize(40, 40, "bounds"), resized(40, 40, "bounds"), 1.6, 6),
    row("resizing bounds, half", resize("50%", "auto", "bounds"), resized(48, 32, "bounds"), 1.6, 6),
    row("resizing bounds, one side", resize(None, 21, "bounds"), resized(None, 21, "bounds"), 1.6, 6),
    row("resizing bounds, larger", resize(200, 200, "bounds"), resized(200, 200, "bounds"), 0.5, 1.6),
    row("resizing canvas", resize(70, 70, "canvas"), resized(70, 70, "canvas"), 1.6, 6),
    row("resizing canvas on a colour", resize(90, 40, "canvas", **BLUE), resized(90, 40, "canvas", (51, 102, 153)), 1.6, 6),
    # formulas
    row("exposure 60", adjust(exposure=60), on_colors(lambda v: oracles.exposed(v, 60)), 0.2, 1),
    row("exposure -60", adjust(exposure=-60), on_colors(lambda v: oracles.exposed(v, -60)), 0.2, 1),
    row("contrast 70", adjust(contrast=70), on_colors(lambda v: oracles.contrasted(v, 70)), 0.2, 1),
    row("contrast -70", adjust(contrast=-70), on_colors(lambda v: oracles.contrasted(v, -70)), 0.2, 1),
    row("saturation 80", adjust(saturation=80), on_colors(lambda v: oracles.saturated(v, 80)), 0.2, 1),
    row("saturation -100", adjust(saturation=-100), on_colors(lambda v: oracles.saturated(v, -100)), 0.2, 1),
    row("sharpness 60", adjust(sharpness=60), oracles.sharpened(60), 0.4, 1.5),
    row("hdr 80", adjust(hdr=80), oracles.hdr(80), 0.4, 1.5),
    row("hdr, intensity 50", adjust(hdr={"intensity": 50, "stitching": True}), oracles.hdr(50), 0.4, 1.5),
    row("all adjustments", adjust(exposure=20, contrast=20, saturation=20, hdr=30, sharpness=30),
        chain(on_colors(lambda v: oracles.exposed(v, 20)), on_colors(lambda v: oracles.contrasted(v, 20)),
              on_colors(lambda v: oracles.saturated(v, 20)), oracles.hdr(30), oracles.sharpened(30)), 0.6, 2.5),
    row("blur 0.6", {"blur": 0.6}, oracles.blurred(0.6), 0.8, 3),
    row("blur 3", {"blur": 3}, oracles.blurred(3), 0.8, 3),
    row("blur 12", {"blur": 12}, oracles.blurred(12), 1, 2.5),
    row("gray", {"gray": True}, oracles.gray, 0.2, 1),
    row("gray, not", {"gray": False}, same, 0.1, 0.5),
    row("round 12", {"round": 12}, rounded(12, 12), 0.1, 0.5),
    row("round 50%", {"round": "50%"}, rounded(48, 32), 0.1, 0.5),
    row("round on a colour", {"round": "20%", **BLUE}, chain(rounded(19.2, 12.8), on_background(51, 102, 153)), 0.4, 1.2),
    row("padding 10%", {"padding": "10%"}, padded(6, 10, 6, 10), 0.8, 5),
    row("padding 5% 25%", {"padding": "5% 25%", **BLUE}, padded(16, 5, 16, 5, (51, 102, 153)), 0.8, 5),
    row("padding of four sides", {"padding": "0px 40px 0px 0px"}, padded(0, 40, 0, 0), 0.8, 5),
    row("padding of two lengths", {"padding": "4px 8px"}, padded(8, 4, 8, 4), 0.8, 5),
    row("background", BLUE, on_background(51, 102, 153), 0.4, 1.2),
    row("background, half transparent", {"background": {"color": "#33669980"}}, on_background(51, 102, 153, 128), 0.4, 1.2),
    row("background, transparent", {"background": {"color": "transparent"}}, same, 0.1, 0.5),
    row("several", {"background": {"color": "#fff4e0"}, "padding": "10%", "resizing": {"width": 60, "height": 60},
                    "flip": "horizontal", "crop": {"x": 8, "y": 4, "width": 80, "height": 56}, "rotate": 180, "gray": True},
        chain(transposed(Image.ROTATE_180), transposed(Image.FLIP_LEFT_RIGHT), each(lambda frame: frame.crop((8, 4, 88, 60))),
              resized(60, 60), oracles.gray, padded(6, 6, 6, 6, (255, 244, 224))), 0.6, 2.5),
    row("crop, to both sides of an edge", {"crop": {"x": -6, "y": 50, "width": 30, "height": 40}},
        each(lambda frame: frame.crop((0, 50, 24, 64))), 0.1, 0.5),
    row("resizing fill", resize(50, 50, "fill"), oracles.filled(50, 50), 1.6, 6),
    row("resizing down only", {"resizing": {"width": 200, "height": 200, "fit": "bounds", "scale": "down"}}, same, 0.1, 0.5),
    row("resizing up only", {"resizing": {"width": 20, "height": 20, "fit": "bounds", "scale": "up"}}, same, 0.1, 0.5),
    row("resizing both ways", {"resizing": {"width": 48, "fit": "bounds", "scale": "both"}}, resized(48, None, "bounds"), 1.6, 6),
    row("circle", {"circle": {"radius": 20}}, oracles.encircled("center", 20), 0.1, 0.5),
    row("circle, larger than the picture", {"circle": {"radius": 900, "x": 5, "y": 7}}, oracles.encircled("center", 900, 5, 7), 0.1, 0.5),
    row("watermark", watermark(), oracles.marked(mark()), 0.4, 1.2),
    row("watermark, a file", {"watermark": {"image": FILED}}, oracles.marked(mark()), 0.4, 1.2),
    row("watermark, scaled", watermark(scale=50, opacity=60), oracles.marked(mark(), scale=50, opacity=60), 0.6, 3),
    row("watermark, tiled", watermark(tile=True, opacity=40, x=3, y=-5), oracles.marked(mark(), "center", 3, -5, None, 40, True), 0.4, 1.2),
    row("watermark, over the edge", watermark(gravity="northwest", x=-10, y=-4), oracles.marked(mark(), "northwest", -10, -4), 0.4, 1.2),
]

# Turned pictures need not try each word.
ORIENTED = list(ROWS)

for word in oracles.WORDS:
    ROWS += [
        row("crop %s" % word, {"crop": {"gravity": word, "x": 7, "y": 3, "width": 40, "height": 25}},
            oracles.cut(word, 40, 25, 7, 3), 0.1, 0.5),
        row("circle %s" % word, {"circle": {"radius": 15, "gravity": word, "x": 4, "y": 2}},
            oracles.encircled(word, 15, 4, 2), 0.1, 0.5),
        row("watermark %s" % word, watermark(gravity=word, x=5, y=3), oracles.marked(mark(), word, 5, 3), 0.4, 1.2),
    ]
