"""How far two pictures are from each other, for an eye: CIEDE2000."""
import numpy

WHITE = numpy.array([0.95047, 1.0, 1.08883])
FROM_SRGB = numpy.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                         [0.0193339, 0.1191920, 0.9503041]])


def to_lab(rgb):
    """CIE L*a*b* of sRGB values, 0 to 255."""
    value = rgb / 255.0
    light = numpy.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = light @ FROM_SRGB.T / WHITE
    f = numpy.where(xyz > 216 / 24389, numpy.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return numpy.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def _hue_distance(h1, h2, none):
    distance = h2 - h1
    distance = numpy.where(distance > 180, distance - 360, numpy.where(distance < -180, distance + 360, distance))
    return numpy.where(none, 0, distance)


def _mean_hue(h1, h2, none):
    apart = numpy.abs(h1 - h2) > 180
    mean = numpy.where(apart, numpy.where(h1 + h2 < 360, (h1 + h2 + 360) / 2, (h1 + h2 - 360) / 2), (h1 + h2) / 2)
    return numpy.where(none, h1 + h2, mean)


def delta_e(one, two):
    """CIEDE2000 of each pixel; 1 is what an eye can just tell."""
    (l1, a1, b1), (l2, a2, b2) = (numpy.moveaxis(to_lab(v), -1, 0) for v in (one, two))
    chroma = (numpy.hypot(a1, b1) + numpy.hypot(a2, b2)) / 2
    g = 0.5 * (1 - numpy.sqrt(chroma ** 7 / (chroma ** 7 + 25.0 ** 7)))
    c1, c2 = numpy.hypot((1 + g) * a1, b1), numpy.hypot((1 + g) * a2, b2)
    h1, h2 = (numpy.degrees(numpy.arctan2(b, (1 + g) * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    none = c1 * c2 == 0
    dl, dc = l2 - l1, c2 - c1
    dh = 2 * numpy.sqrt(c1 * c2) * numpy.sin(numpy.radians(_hue_distance(h1, h2, none)) / 2)
    l, c, h = (l1 + l2) / 2, (c1 + c2) / 2, _mean_hue(h1, h2, none)
    cos = lambda factor, shift: numpy.cos(numpy.radians(factor * h + shift))
    t = 1 - 0.17 * cos(1, -30) + 0.24 * cos(2, 0) + 0.32 * cos(3, 6) - 0.20 * cos(4, -63)
    turn = 30 * numpy.exp(-((h - 275) / 25) ** 2)
    rc = 2 * numpy.sqrt(c ** 7 / (c ** 7 + 25.0 ** 7))
    sl = 1 + 0.015 * (l - 50) ** 2 / numpy.sqrt(20 + (l - 50) ** 2)
    sc, sh = 1 + 0.045 * c, 1 + 0.015 * c * t
    rt = -numpy.sin(numpy.radians(2 * turn)) * rc
    square = (dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * (dc / sc) * (dh / sh)
    return numpy.sqrt(numpy.maximum(square, 0))


def _on(pixels, background):
    alpha = pixels[..., 3:] / 255.0
    return pixels[..., :3] * alpha + background * (1 - alpha)


def difference(one, two):
    """
    Mean and 98th percentile over the pixels of two images of PIL. What is
    transparent is compared on white and on black: the worse counts.
    """
    a, b = (numpy.asarray(image.convert("RGBA")).astype(float) for image in (one, two))
    assert a.shape == b.shape, "%r and %r pixels" % (one.size, two.size)
    opaque = a[..., 3].min() == 255 and b[..., 3].min() == 255
    seen = [delta_e(_on(a, back), _on(b, back)) for back in ([255] if opaque else [255, 0])]
    return max(v.mean() for v in seen), max(numpy.percentile(v, 98) for v in seen)
