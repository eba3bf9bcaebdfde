"""Textures in grey, 128 neutral: knits, weaves and wood grain, laid over shading by hard light."""

from math import pi, sin
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter


def _tiled(tile: Image.Image, side: int) -> Image.Image:
    """Repeat a tile over a square; rows double, so that large pictures take few pastes."""
    out = Image.new("L", (side, side))
    out.paste(tile, (0, 0))
    width = tile.width
    while width < side:
        out.paste(out.crop((0, 0, width, tile.height)), (width, 0))
        width *= 2
    height = tile.height
    while height < side:
        out.paste(out.crop((0, 0, side, height)), (0, height))
        height *= 2
    return out


def noise(side: int, across: int, down: int, seed: int) -> Image.Image:
    """Return smooth value noise (mean 128) with so many grains across and down."""
    rng = Random(seed)
    small = Image.frombytes("L", (across, down), rng.randbytes(across * down))
    return small.resize((side, side), Image.Resampling.BICUBIC)


def faded(texture: Image.Image, strength: float) -> Image.Image:
    """Bring a texture nearer to neutral grey."""
    return texture.point([round(128 + (i - 128) * strength) for i in range(256)])


def stockinette(side: int, stitch: float, *, seed: int = 1) -> Image.Image:
    """Plain knitting: columns of V-shaped stitches, `stitch` pixels wide."""
    k = 6
    width, height = max(4, round(stitch)), max(3, round(stitch * 0.82))
    w, h = width * k, height * k
    big = Image.new("L", (w, h * 3), 62)
    pen = ImageDraw.Draw(big)
    for row in range(-1, 4):
        for hand in (0, 1):
            for layer, tone in enumerate((96, 124, 146, 162, 172)):
                thick = (0.40 - 0.07 * layer) * w
                x0, x1 = (0.06, 0.44) if hand == 0 else (0.94, 0.56)
                shift = -0.015 * layer * w
                y0 = row * h - 0.10 * h + shift
                y1 = row * h + 1.00 * h + shift
                pen.line(
                    (x0 * w + shift, y0, x1 * w + shift, y1), fill=tone, width=max(1, round(thick))
                )
                for x, y in ((x0 * w + shift, y0), (x1 * w + shift, y1)):
                    r = thick / 2
                    pen.ellipse((x - r, y - r, x + r, y + r), fill=tone)
    tile = big.crop((0, h, w, h * 2)).resize((width, height), Image.Resampling.BOX)
    return _wool(_tiled(tile, side), seed)


def ribbing(side: int, period: float, *, seed: int = 2) -> Image.Image:
    """Ribbed knitting: rounded columns with deep valleys, made of small stitches."""
    width = max(4, round(period))
    column = Image.new("L", (width, 1))
    for x in range(width):
        column.putpixel((x, 0), round(48 + 120 * sin(pi * (x + 0.5) / width) ** 0.7))
    ribs = _tiled(column.resize((width, width)), side)
    stitches = stockinette(side, max(4.0, width / 2), seed=seed)
    return _wool(ImageChops.hard_light(ribs, faded(stitches, 0.7)), seed)


def cable(side: int, width: float, columns: tuple[float, ...], ground: Image.Image) -> Image.Image:
    """Knit two-stranded cables of a width (pixels) into a ground, centred on the given columns."""
    out = ground.copy()
    tile_h = max(8, round(width * 1.5))
    k = 3
    w, h = round(width) * k, tile_h * k
    tile = Image.new("L", (w, h), 56)
    pen = ImageDraw.Draw(tile)
    steps = 48
    for half in (0, 1):
        for strand in (half, 1 - half):
            sign = 1 if strand == 0 else -1
            for layer, tone in enumerate((70, 104, 132, 152, 166, 174)):
                thick = round(w * (0.46 - 0.07 * layer))
                lift = -layer * 0.012 * w
                for i in range(-3, steps // 2 + 4):
                    t = (half * steps / 2 + i) / steps
                    x = w / 2 + sign * 0.26 * w * -sin(2 * pi * (t - 0.25)) + lift
                    y = t * h + lift
                    for wrapped in (y - h, y, y + h):
                        pen.ellipse(
                            (
                                x - thick / 2,
                                wrapped - thick / 2.6,
                                x + thick / 2,
                                wrapped + thick / 2.6,
                            ),
                            fill=tone,
                        )
    small = tile.resize((round(width), tile_h), Image.Resampling.BOX)
    strip = _tiled(small, side).crop((0, 0, small.width, side))
    grooves = max(2, round(width * 0.14))
    for at in columns:
        x = round(at - small.width / 2)
        ImageDraw.Draw(out).rectangle((x - grooves, 0, x + small.width + grooves, side), fill=84)
        out.paste(strip, (x, 0))
    soft = out.filter(ImageFilter.GaussianBlur(max(0.3, width / 90)))
    return _wool(soft, 5)


def linen(side: int, thread: float, *, seed: int = 3) -> Image.Image:
    """Plain weave with slubs: threads across and along, none quite alike."""
    rng = Random(seed)
    count = max(8, round(side / thread))
    along = Image.frombytes("L", (count, 1), bytes(rng.randint(92, 164) for _ in range(count)))
    across = Image.frombytes("L", (1, count), bytes(rng.randint(92, 164) for _ in range(count)))
    size = (side, side)
    warp = along.resize(size, Image.Resampling.BILINEAR)
    weft = across.resize(size, Image.Resampling.BILINEAR)
    slub = faded(noise(side, max(4, count // 9), count, seed + 1), 0.35)
    woven = ImageChops.hard_light(Image.blend(warp, weft, 0.5), slub)
    return ImageChops.hard_light(woven, faded(noise(side, count, count, seed + 2), 0.3))


def twill(side: int, line: float, *, seed: int = 4) -> Image.Image:
    """Herringbone: diagonal lines that turn every few threads."""
    width = max(8, round(line * 12))
    k = 3
    big = Image.new("L", (width * k, width * k), 112)
    pen = ImageDraw.Draw(big)
    half = width * k / 2
    step = line * k * 2
    n = -width * k
    while n < width * k * 2:
        pen.line((0, n, half, n + half), fill=164, width=max(1, round(line * k * 0.9)))
        pen.line((half, n + half, half * 2, n), fill=150, width=max(1, round(line * k * 0.9)))
        n += round(step)
    tile = big.resize((width, width), Image.Resampling.BOX)
    return _wool(_tiled(tile, side), seed)


def grain(side: int, *, seed: int = 6, upright: bool = True) -> Image.Image:
    """Wood: long fibres, growth lines and a few darker streaks."""
    rng = Random(seed)
    lines = Image.new("L", (256, 1))
    value = 128.0
    for x in range(256):
        value += (128 - value) * 0.2 + rng.uniform(-26, 26)
        lines.putpixel((x, 0), max(40, min(216, round(value))))
    rings = lines.resize((side, side), Image.Resampling.BICUBIC)
    # the rings wander: shear strips of the board by smooth noise
    wander = [rng.uniform(-1, 1) for _ in range(12)]
    steps = 60
    mesh: list[tuple[tuple[int, int, int, int], tuple[float, ...]]] = []

    def drift(y: float) -> float:
        at = y / side * (len(wander) - 2)
        i = int(at)
        t = at - i
        t = t * t * (3 - 2 * t)
        return (wander[i] + (wander[i + 1] - wander[i]) * t) * side * 0.016

    for i in range(steps):
        y0, y1 = side * i // steps, side * (i + 1) // steps
        a, b = drift(y0), drift(y1)
        mesh.append(((0, y0, side, y1), (a, y0, b, y1, side + b, y1, side + a, y0)))
    rings = rings.transform(
        (side, side), Image.Transform.MESH, mesh, Image.Resampling.BILINEAR, fillcolor=128
    )
    fibre = faded(noise(side, max(8, side // 3), max(4, side // 90), seed + 1), 0.4)
    cloud = faded(noise(side, 7, 3, seed + 2), 0.35)
    wood = ImageChops.hard_light(ImageChops.hard_light(faded(rings, 0.4), fibre), cloud)
    return wood if upright else wood.transpose(Image.Transpose.ROTATE_90)


def _wool(texture: Image.Image, seed: int) -> Image.Image:
    """Make yarn a little uneven and hairy."""
    side = texture.width
    uneven = faded(noise(side, 34, 34, seed), 0.13)
    hair = faded(noise(side, max(8, side // 3), max(8, side // 3), seed + 9), 0.22)
    return ImageChops.hard_light(ImageChops.hard_light(texture, uneven), hair)
