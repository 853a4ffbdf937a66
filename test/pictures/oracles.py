"""
What each operation is to make, by Pillow, ImageMagick and the documented
formulas; nothing here goes through libvips or through this project.

An oracle takes frames, images of PIL in RGB or RGBA, and gives frames. A
result in RGBA is one that the file has to have an alpha channel for.
"""
import math
import subprocess

import numpy
from PIL import Image

import fixtures


def each(function):
    """An oracle that treats every frame alike."""
    return lambda frames: [function(frame) for frame in frames]


same = each(lambda frame: frame)


def transposed(method):
    return each(lambda frame: frame.transpose(method))


def premultiplied(image):
    """Pillow scales RGBa so that what is transparent counts nothing."""
    return image.convert("RGBa") if image.mode == "RGBA" else image


def scaled(image, size, kernel=None):
    """Lanczos to make it smaller, Catmull-Rom to make it larger."""
    if size == image.size:
        return image
    kernel = kernel or (Image.LANCZOS if size[0] <= image.width and size[1] <= image.height else Image.BICUBIC)
    return premultiplied(image).resize(size, kernel).convert(image.mode)


def laid_on(image, color):
    """On a colour: three numbers, or four if it lets something through."""
    color = tuple(color)
    if image.mode == "RGB":
        return image
    result = Image.new("RGBA", image.size, (color + (255,))[:4])
    result.alpha_composite(image)
    return result.convert("RGB") if (color + (255,))[3] == 255 else result


def put_on(image, size, place, color):
    """At a place of an area painted with a colour; None: transparent."""
    if color is None:
        result = Image.new("RGBA", size, (0, 0, 0, 0))
        result.paste(image.convert("RGBA"), place)
        return result
    result = Image.new("RGB", size, tuple(color))
    result.paste(laid_on(image, color), place)
    return result


def behind(image):
    """What shows behind when no background.color is given."""
    return None if image.mode == "RGBA" else (255, 255, 255)


# ------------------------------------------------------------------ geometry --

def whole(side):
    return max(1, math.floor(side + 0.5))


def filled(width, height):
    return each(lambda frame: scaled(frame, (width, height)))


def resized(width=None, height=None, fit="crop", color=False):
    """resizing, in pixels; a side that is None follows the other."""
    def one(frame):
        w, h = width, height
        if fit == "crop":
            w, h = w or frame.width, h or frame.height
        factors = [wanted / side for wanted, side in ((w, frame.width), (h, frame.height)) if wanted]
        factor = (min if fit in ("bounds", "canvas") else max)(factors)
        inner = tuple(wanted if wanted and factor == wanted / side else whole(side * factor)
                      for wanted, side in ((w, frame.width), (h, frame.height)))
        result = scaled(frame, inner)
        if fit == "crop":
            left, top = (inner[0] - w) // 2, (inner[1] - h) // 2
            return result.crop((left, top, left + w, top + h))
        if fit == "canvas" and w and h:
            back = behind(frame) if color is False else color
            return put_on(result, (w, h), ((w - inner[0]) // 2, (h - inner[1]) // 2), back)
        return result
    return each(one)


def padded(top, right, bottom, left, color=False):
    """padding, in pixels."""
    def one(frame):
        space = frame.width - left - right, frame.height - top - bottom
        factor = min(space[0] / frame.width, space[1] / frame.height)
        inner = tuple(min(whole(side * factor), room) for side, room in zip(frame.size, space))
        place = left + (space[0] - inner[0]) // 2, top + (space[1] - inner[1]) // 2
        return put_on(scaled(frame, inner), frame.size, place, behind(frame) if color is False else color)
    return each(one)


def turned(degrees, color=False):
    """
    rotate by any angle: at eight times the size, so that edges are smooth. The
    result is the smallest area that holds all four corners.
    """
    fine = 8
    angle = math.radians(degrees)

    def one(frame):
        width, height = frame.size
        size = tuple(math.floor(a * abs(math.cos(angle)) + b * abs(math.sin(angle)) + 0.5)
                     for a, b in ((width, height), (height, width)))
        source = premultiplied(frame.convert("RGBA")).resize((width * fine, height * fine), Image.BICUBIC)
        c, s = math.cos(angle), math.sin(angle)
        x, y = size[0] * fine / 2, size[1] * fine / 2
        matrix = (c, s, width * fine / 2 - c * x - s * y, -s, c, height * fine / 2 + s * x - c * y)
        result = source.transform((size[0] * fine, size[1] * fine), Image.AFFINE, matrix, Image.BILINEAR)
        result = result.resize(size, Image.BOX).convert("RGBA")
        back = behind(frame) if color is False else color
        return result if back is None else laid_on(result, back)
    return each(one)


def trimmed(threshold):
    """trim: all frames are cut to the box that holds what differs in any."""
    def all_of(frames):
        boxes = []
        for frame in frames:
            pixels = numpy.asarray(frame.convert("RGBA")).astype(int)
            pixels[..., :3] = pixels[..., :3] * pixels[..., 3:] // 255
            rows, columns = numpy.nonzero((abs(pixels - pixels[0, 0]) > threshold).any(axis=-1))
            if len(rows):
                boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
        if not boxes:
            return frames
        box = tuple(int(f(b[i] for b in boxes)) for i, f in enumerate((min, min, max, max)))
        return [frame.crop(box) for frame in frames]
    return all_of


def rounded(across, down):
    """round: how many of the points of a pixel lie inside, sixteen by sixteen."""
    fine = 16

    def inside(side, radius):
        """How far each point is into a corner, as a part of its radius."""
        points = (numpy.arange(side * fine) + 0.5) / fine
        return (radius - numpy.minimum(points, side - points)).clip(0) / radius

    def one(frame):
        width, height = frame.size
        points = numpy.hypot(inside(width, across)[None, :], inside(height, down)[:, None]) <= 1
        covered = points.reshape(height, fine, width, fine).mean(axis=(1, 3))
        result = frame.convert("RGBA")
        result.putalpha(to_image(to_array(result.getchannel("A")) * covered))
        return result
    return each(one)


WORDS = ("northwest", "north", "northeast", "west", "center", "east", "southwest", "south", "southeast")


def place(gravity, size, box, x, y):
    """Where a box lies: offsets count inwards from the edge that is named."""
    def start(third, length, side, offset):
        return (offset, (length - side) // 2 + offset, length - side - offset)[third]
    number = WORDS.index(gravity)
    return start(number % 3, size[0], box[0], x), start(number // 3, size[1], box[1], y)


def cut(gravity, width, height, x=0, y=0):
    """crop by gravity; what would lie outside is left out."""
    def one(frame):
        left, top = place(gravity, frame.size, (width, height), x, y)
        return frame.crop((max(left, 0), max(top, 0), min(left + width, frame.width), min(top + height, frame.height)))
    return each(one)


def encircled(gravity, radius, x=0, y=0):
    """circle: no larger than the picture, and inside of it."""
    def one(frame):
        side = min(*frame.size, 2 * radius)
        left, top = (min(max(start, 0), length - side)
                     for start, length in zip(place(gravity, frame.size, (side, side), x, y), frame.size))
        return rounded(side / 2, side / 2)([frame.crop((left, top, left + side, top + side))])[0]
    return each(one)


def marked(mark, gravity="center", x=0, y=0, scale=None, opacity=100, tile=False):
    """watermark"""
    def one(frame):
        over = mark
        if scale:
            width = max(1, round(frame.width * scale / 100))
            over = scaled(mark, (width, max(1, round(mark.height * width / mark.width))))
        over = over.copy()
        over.putalpha(over.getchannel("A").point(lambda v: round(v * opacity / 100)))
        left, top = place(gravity, frame.size, over.size, x, y)
        layer = Image.new("RGBA", frame.size)
        columns = range(left % over.width - over.width, frame.width, over.width) if tile else [left]
        rows = range(top % over.height - over.height, frame.height, over.height) if tile else [top]
        for column in columns:
            for row in rows:
                layer.paste(over, (column, row))
        result = frame.convert("RGBA")
        result.alpha_composite(layer)
        return result.convert(frame.mode)
    return each(one)


# -------------------------------------------------------------------- pixels --

def to_array(image):
    return numpy.asarray(image).astype(float)


def to_image(values):
    return Image.fromarray(numpy.floor(values.clip(0, 255) + 0.5).astype(numpy.uint8))


def on_colors(function):
    """An oracle from what happens to red, green and blue; alpha stays."""
    def one(frame):
        values = to_array(frame).copy()
        values[..., :3] = function(values[..., :3])
        return to_image(values)
    return each(one)


def luma(rgb):
    return rgb @ numpy.array([0.2126, 0.7152, 0.0722])


gray = on_colors(lambda rgb: numpy.repeat(luma(rgb)[..., None], 3, axis=-1))


def magick_blur(image, sigma):
    """By ImageMagick: the Gaussian of Pillow is but near to one."""
    command = ["convert", "ppm:-", "-virtual-pixel", "edge", "-blur", "%dx%g" % (math.ceil(4 * sigma), sigma), "ppm:-"]
    return fixtures.decode(subprocess.run(command, input=fixtures.encode(image, "ppm"), check=True,
                                          stdout=subprocess.PIPE).stdout)


def _blurred(frame, sigma):
    if frame.mode == "RGB":
        return magick_blur(frame, sigma)
    red, green, blue, alpha = premultiplied(frame).split()
    colors = magick_blur(Image.merge("RGB", (red, green, blue)), sigma)
    alpha = magick_blur(Image.merge("RGB", (alpha,) * 3), sigma).getchannel(0)
    values = to_array(colors) * 255 / numpy.maximum(to_array(alpha), 1)[..., None]
    result = to_image(values)
    result.putalpha(alpha)
    return result


def blurred(sigma):
    return each(lambda frame: _blurred(frame, sigma))


def gaussian(values, sigma):
    """Of a plane of numbers; edges repeat."""
    reach = math.ceil(5 * sigma)
    kernel = numpy.exp(-numpy.arange(-reach, reach + 1) ** 2 / (2 * sigma ** 2))
    kernel /= kernel.sum()
    for axis in (0, 1):
        wide = numpy.pad(values, [(reach, reach) if i == axis else (0, 0) for i in (0, 1)], mode="edge")
        values = numpy.apply_along_axis(lambda line: numpy.convolve(line, kernel, "valid"), axis, wide)
    return values


# --------------------------------------------------------------- adjustments --

def exposed(rgb, amount):
    """On linear light x with g = 2^(e / 50): g x, or g x / (1 + (g - 1) x)."""
    x = rgb / 255
    light = numpy.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    gain = 2 ** (amount / 50)
    light = gain * light if gain < 1 else gain * light / (1 + (gain - 1) * light)
    return 255 * numpy.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def contrasted(rgb, amount):
    x = rgb / 255
    return 255 * (x - amount / 100 * x * (1 - x) * (1 - 2 * x))


def saturated(rgb, amount):
    middle = luma(rgb)[..., None]
    away = rgb - middle
    room = numpy.where(away > 0.5, (255 - middle) / numpy.maximum(away, 0.5),
                       numpy.where(away < -0.5, middle / numpy.maximum(-away, 0.5), numpy.inf)).min(axis=-1, keepdims=True)
    return middle + numpy.minimum(1 + amount / 100, room) * away


def moved(rgb, wanted):
    """Colours whose luma becomes another one."""
    now = luma(rgb)
    wanted = wanted.clip(0, 255)
    darker = rgb * (wanted / numpy.maximum(now, 1e-6))[..., None]
    lighter = 255 - (255 - rgb) * ((255 - wanted) / numpy.maximum(255 - now, 1e-6))[..., None]
    return numpy.where((wanted <= now)[..., None], darker, lighter)


def by_detail(sigma, base_of, detail_of):
    """luma becomes base + detail; what is transparent counts nothing in base."""
    def one(frame):
        values = to_array(frame).copy()
        now = luma(values[..., :3])
        radius = sigma(frame)
        if frame.mode == "RGBA":
            alpha = values[..., 3]
            base = gaussian(now * alpha, radius) / numpy.maximum(gaussian(alpha, radius), 1e-6)
        else:
            base = gaussian(now, radius)
        values[..., :3] = moved(values[..., :3], base_of(base) + detail_of(now - base))
        return to_image(values)
    return each(one)


def hdr(amount):
    h = amount / 100
    return by_detail(lambda frame: max(1, min(frame.size) / 30),
                     lambda b: b + 255 * h * (0.5 - b / 255) * (b / 255) * (1 - b / 255),
                     lambda d: d * (1 + h * numpy.exp(-(d / 48) ** 2)))


def sharpened(amount):
    return by_detail(lambda frame: 1.0, lambda b: b, lambda d: d * (1 + 1.5 * amount / 100))


def chain(*oracles):
    def all_of(frames):
        for oracle in oracles:
            frames = oracle(frames)
        return frames
    return all_of


def on_background(*color):
    return each(lambda frame: laid_on(frame, color))
