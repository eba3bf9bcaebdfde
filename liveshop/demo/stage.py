"""The set of the demo film: wall, table and turning stand, put together frame by frame.

Pictures are composed as planes of luma and chroma, not as RGB: half the work per frame, and what
the encoder takes as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, cos, floor, pi, radians, sin, tau

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from liveshop.demo.art import sprite
from liveshop.demo.art.form import dish, lathe
from liveshop.demo.art.light import GROUND, UNITS, Colour, Ramp, ellipse_points, outline
from liveshop.demo.art.scene import bokeh, finish, glow, room, shadow_of
from liveshop.demo.shop import DemoProduct

WIDTH, HEIGHT, FRAME_RATE = 1280, 720, 30

_CONTROLS = 176  # of the foot of the picture: players put their controls there
_SCALE = 1.0  # pixels of a layer per pixel of the film; above 1 is sharper, and a third slower
_MARGIN = (72, 44)  # of a layer around the film, in pixels of the film
_HORIZON = 452  # the table's far edge; zooming turns about it, so it never flickers between rows
_STAND = (770.0, 600.0)  # where the product stands on the pedestal
_PEDESTAL = 236.0  # its radius
_PRODUCT_SIDE = 540.0
# what is slim on its square stands larger
_PRODUCT_SIDES = {"sweater": 640.0, "apron": 620.0, "vase": 600.0, "blanket": 610.0, "mug": 500.0}
_DISSOLVE_SECONDS = 0.5
_WALL_FRAMES = 3  # the wall moves a tenth of a pixel per frame: it is drawn anew this often
_TICKS = 40  # brass studs round the pedestal; the stand turns by one stud in a second
_WALLS: tuple[Colour, ...] = (
    (206, 188, 166),
    (172, 180, 158),
    (204, 172, 152),
    (160, 174, 184),
)

Planes = tuple[Image.Image, Image.Image, Image.Image]


def _planes(picture: Image.Image) -> Planes:
    """Return BT.709 luma and halved chroma of a picture with even sides, in limited range."""
    rgb = picture.convert("RGB")
    luma = rgb.convert("L", (0.1826, 0.6142, 0.0620, 16.5))
    small = rgb.reduce(2)
    blue = small.convert("L", (-0.1006, -0.3386, 0.4392, 128.5))
    red = small.convert("L", (0.4392, -0.3989, -0.0403, 128.5))
    return luma, blue, red


@dataclass(frozen=True, slots=True)
class _Layer:
    """A cut-out with its place in the film (upper left corner, at camera rest) and its scale."""

    planes: Planes
    alpha: Image.Image | None
    soft: Image.Image | None  # alpha at half size, for chroma
    x: float
    y: float
    scale: float


def _layer(picture: Image.Image, x: float, y: float, scale: float) -> _Layer:
    width, height = picture.width & ~1, picture.height & ~1
    picture = picture.crop((0, 0, width, height))
    if picture.mode != "RGBA":
        return _Layer(_planes(picture), None, None, x, y, scale)
    alpha = picture.getchannel("A")
    return _Layer(_planes(picture), alpha, alpha.reduce(2), x, y, scale)


@dataclass(frozen=True, slots=True)
class _Camera:
    """Zoom about the horizon and a shift sideways, both for what stands at the pedestal."""

    zoom: float
    shift: float

    def span(self, low: float, high: float, centre: float, shift: float) -> tuple[float, float]:
        """Return where a stretch of the film at rest is seen."""
        return (
            centre + (low - centre - shift) * self.zoom,
            centre + (high - centre - shift) * self.zoom,
        )


@dataclass(frozen=True, slots=True)
class _Chapter:
    wall: _Layer
    products: tuple[_Layer, ...]
    caption: _Layer
    direction: int


class Stage:
    """Holds the layers of the chapter in view and its neighbour, and puts frames together."""

    def __init__(self, products: Sequence[DemoProduct], chapter_seconds: int) -> None:
        self._products = products
        self._seconds = chapter_seconds
        self._built: dict[int, _Chapter] = {}
        self._walls: dict[Colour, _Layer] = {}
        self._table = _table()
        self._studs = _studs()
        self._far: dict[int, tuple[int, Planes]] = {}

    def compose(self, number: int) -> Planes:
        """Return the frame with a number as planes."""
        time = number / FRAME_RATE
        index, within = int(time // self._seconds), time % self._seconds
        half = min(_DISSOLVE_SECONDS / 2, self._seconds / 4)
        planes = self._chapter_frame(index, within, number)
        if within < half:
            share = _ease((within / half + 1) / 2)
            other = self._chapter_frame(index - 1, within + self._seconds, number)
            planes = _mixed(other, planes, share)
        elif within > self._seconds - half:
            share = _ease((within - self._seconds + half) / half / 2)
            other = self._chapter_frame(index + 1, within - self._seconds, number)
            planes = _mixed(planes, other, share)
        self._caption(planes, index, within)
        self._dial(planes, time)
        return planes

    def _chapter(self, index: int) -> _Chapter:
        index %= len(self._products)
        if index not in self._built:
            keep = {index, (index - 1) % len(self._products), (index + 1) % len(self._products)}
            self._built = {i: c for i, c in self._built.items() if i in keep}
            self._built[index] = self._build(index)
        return self._built[index]

    def _build(self, index: int) -> _Chapter:
        product = self._products[index]
        tint = _WALLS[index % len(_WALLS)]
        if tint not in self._walls:
            self._walls[tint] = _wall(tint)
        colours = tuple(dict.fromkeys(p.colour for p in product.pictures if p.angle == "front"))
        return _Chapter(
            self._walls[tint],
            tuple(_product(product.art_key, colour) for colour in colours),
            _caption(product.title, product.shelf),
            1 if index % 2 else -1,
        )

    def _chapter_frame(self, index: int, within: float, number: int) -> Planes:
        """Draw wall, table, turning stand and product; `within` may lie a little outside."""
        chapter = self._chapter(index)
        at = (within + _DISSOLVE_SECONDS) / (self._seconds + 2 * _DISSOLVE_SECONDS)
        near = _Camera(1.004 + 0.066 * at, chapter.direction * 26.0 * (at - 0.5))
        far = _Camera(1.002 + 0.026 * at, near.shift * 0.35)
        drawn, behind = self._far.get(index, (-1, None))
        if behind is None or drawn != number // _WALL_FRAMES:
            behind = (
                Image.new("L", (WIDTH, HEIGHT)),
                Image.new("L", (WIDTH // 2, HEIGHT // 2)),
                Image.new("L", (WIDTH // 2, HEIGHT // 2)),
            )
            _fill(behind, chapter.wall, far, 0, _HORIZON)
            self._far = {i: kept for i, kept in self._far.items() if abs(i - index) <= 1}
            self._far[index] = (number // _WALL_FRAMES, behind)
        planes: Planes = (behind[0].copy(), behind[1].copy(), behind[2].copy())
        _fill(planes, self._table, near, _HORIZON, HEIGHT)
        _lay(planes, self._studs[number % len(self._studs)], near)
        sway = 1.0 + 0.014 * sin(tau * within / 3.0)
        for layer, share in _cast(chapter.products, within / self._seconds):
            _lay(planes, layer, near, share=share, sway=sway)
        return planes

    def _caption(self, planes: Planes, index: int, within: float) -> None:
        start, end = min(0.4, self._seconds * 0.1), self._seconds - min(0.4, self._seconds * 0.1)
        if not start < within < end:
            return
        rise = _ease(min(1.0, (within - start) / 0.5))
        share = min(rise, _ease(min(1.0, (end - within) / 0.35)))
        layer = self._chapter(index).caption
        _stick(planes, layer, round((1 - rise) * -14) * 2, share)

    def _dial(self, planes: Planes, time: float) -> None:
        """Draw a ring of chapters that fills, and a hand that turns: something always moves."""
        k, side = 3, 64
        mask = Image.new("L", (side * k, side * k), 0)
        pen = ImageDraw.Draw(mask)
        count = len(self._products)
        done = time / self._seconds
        for i in range(count):
            a, b = 360 * i / count - 90 + 4, 360 * (i + 1) / count - 90 - 4
            box = (6 * k, 6 * k, (side - 6) * k, (side - 6) * k)
            pen.arc(box, a, b, fill=70, width=4 * k)
            part = max(0.0, min(1.0, done - i))
            if part > 0.01:
                pen.arc(box, a, a + (b - a) * part, fill=240, width=4 * k)
        hand = tau * (time % self._seconds) / self._seconds - pi / 2
        x, y = side * k / 2 + cos(hand) * 15 * k, side * k / 2 + sin(hand) * 15 * k
        pen.ellipse((x - 3 * k, y - 3 * k, x + 3 * k, y + 3 * k), fill=240)
        mask = mask.reduce(k)
        planes[0].paste(225, (WIDTH - 48 - side, HEIGHT // 2 - side), mask)


def _ease(share: float) -> float:
    return share * share * (3 - 2 * share)


def _cast(layers: tuple[_Layer, ...], at: float) -> list[tuple[_Layer, float]]:
    """Return which colourways are seen at a share of the chapter: one, or one over another."""
    count = len(layers)
    if count == 1:
        return [(layers[0], 1.0)]
    place = max(0.0, min(count - 1e-6, at * count))
    index, part = int(place), place - int(place)
    width = 0.14
    if part > 1 - width and index + 1 < count:
        return [(layers[index], 1.0), (layers[index + 1], _ease((part - 1 + width) / width))]
    return [(layers[index], 1.0)]


def _mixed(one: Planes, other: Planes, share: float) -> Planes:
    return (
        Image.blend(one[0], other[0], share),
        Image.blend(one[1], other[1], share),
        Image.blend(one[2], other[2], share),
    )


def _fill(planes: Planes, layer: _Layer, camera: _Camera, top: int, bottom: int) -> None:
    """Fill rows of the frame with an opaque layer as the camera sees it."""
    left = WIDTH / 2 + camera.shift - WIDTH / 2 / camera.zoom - layer.x
    right = WIDTH / 2 + camera.shift + WIDTH / 2 / camera.zoom - layer.x
    upper = _HORIZON + (top - _HORIZON) / camera.zoom - layer.y
    lower = _HORIZON + (bottom - _HORIZON) / camera.zoom - layer.y
    for target, source, k in zip(planes, layer.planes, (1, 2, 2), strict=True):
        scale = layer.scale / k
        box = (left * scale, upper * scale, right * scale, lower * scale)
        size = (WIDTH // k, (bottom - top) // k)
        target.paste(source.resize(size, Image.Resampling.BILINEAR, box), (0, top // k))


def _lay(
    planes: Planes, layer: _Layer, camera: _Camera, *, share: float = 1.0, sway: float = 1.0
) -> None:
    """Lay a cut-out over the frame as the camera sees it, to a fraction of a pixel."""
    if layer.alpha is None or layer.soft is None:
        raise ValueError("only a layer with transparency can be laid over a frame")
    wide, high = layer.alpha.width / layer.scale, layer.alpha.height / layer.scale
    x0, x1 = camera.span(
        _STAND[0] + (layer.x - _STAND[0]) * sway,
        _STAND[0] + (layer.x + wide - _STAND[0]) * sway,
        WIDTH / 2,
        camera.shift,
    )
    y0, y1 = camera.span(layer.y, layer.y + high, _HORIZON, 0.0)
    # whole, even pixels inside the cut-out's edges (which are empty), the rest is in the box
    left, top = max(0, 2 * ceil(x0 / 2)), max(0, 2 * ceil(y0 / 2))
    right, bottom = min(WIDTH, 2 * floor(x1 / 2)), min(HEIGHT, 2 * floor(y1 / 2))
    kx, ky = layer.alpha.width / (x1 - x0), layer.alpha.height / (y1 - y0)
    box = ((left - x0) * kx, (top - y0) * ky, (right - x0) * kx, (bottom - y0) * ky)
    half = (box[0] / 2, box[1] / 2, box[2] / 2, box[3] / 2)
    size = (right - left, bottom - top)
    small = (size[0] // 2, size[1] // 2)
    bilinear = Image.Resampling.BILINEAR
    full = layer.alpha.resize(size, bilinear, box)
    soft = layer.soft.resize(small, bilinear, half)
    if share < 1.0:
        level = [round(i * share) for i in range(256)]
        full, soft = full.point(level), soft.point(level)
    planes[0].paste(layer.planes[0].resize(size, bilinear, box), (left, top), full)
    for target, source in zip(planes[1:], layer.planes[1:], strict=True):
        target.paste(source.resize(small, bilinear, half), (left // 2, top // 2), soft)


def _stick(planes: Planes, layer: _Layer, shift: int, share: float) -> None:
    """Lay a cut-out on the frame where it is, untouched by the camera."""
    if layer.alpha is None or layer.soft is None:
        raise ValueError("only a layer with transparency can be laid over a frame")
    level = [round(i * share) for i in range(256)]
    x, y = round(layer.x) + shift, round(layer.y)
    planes[0].paste(layer.planes[0], (x, y), layer.alpha.point(level))
    soft = layer.soft.point(level)
    for target, source in zip(planes[1:], layer.planes[1:], strict=True):
        target.paste(source, (x // 2, y // 2), soft)


def _stage_size() -> tuple[int, int]:
    return (
        round((WIDTH + 2 * _MARGIN[0]) * _SCALE) & ~1,
        round((HEIGHT + 2 * _MARGIN[1]) * _SCALE) & ~1,
    )


def _wall(tint: Colour) -> _Layer:
    """The room behind the table: window light, a plant and a lamp out of focus."""
    size = _stage_size()
    horizon = (_HORIZON + _MARGIN[1]) * _SCALE / size[1]
    wall, _ = room(*size, horizon=horizon, tint=tint)
    for key, colour, x, y, side, blur in (
        ("vase", "Clay", 150, 30, 520, 7.0),
        ("lamp", "Opal", 1092, 66, 470, 6.0),
        ("board", "Oak", 372, 190, 330, 6.0),
        ("candle", "Beeswax", 300, 350, 150, 5.0),
    ):
        thing = bokeh(sprite(key, colour, 400), round(side * _SCALE), blur)
        wall.paste(
            thing,
            (round((x + _MARGIN[0] - side / 2) * _SCALE), round((y + _MARGIN[1]) * _SCALE)),
            thing,
        )
    halo = glow(
        size, (1092 + _MARGIN[0]) * _SCALE, (230 + _MARGIN[1]) * _SCALE, 420.0, (255, 198, 128), 0.5
    )
    return _layer(finish(ImageChops.screen(wall, halo)), -_MARGIN[0], -_MARGIN[1], _SCALE)


def _table() -> _Layer:
    """The table with the pedestal and its shadow; only rows below the horizon are ever seen."""
    size = _stage_size()
    horizon = (_HORIZON + _MARGIN[1]) * _SCALE / size[1]
    wall, table = room(*size, horizon=horizon)
    wall.paste(table, (0, 0), table)
    side = round(3.4 * _PEDESTAL * _SCALE)
    unit = UNITS / 3.4 / _PEDESTAL
    radius, high = _PEDESTAL * unit, 44.0 * unit
    body = lathe(side, [(0.0, radius - 8), (6.0, radius), (high - 8, radius), (high, radius - 6)])
    top = dish(side, high - 2, radius - 8, lambda share: 0.0)
    oak = Ramp((80, 48, 26), (172, 122, 78), (246, 218, 176))
    stone = Ramp((120, 104, 90), (226, 214, 198), (255, 252, 246))
    stand = body.paint(oak, gloss=0.1)
    stand.alpha_composite(top.paint(stone, gloss=0.06))
    x = (_STAND[0] + _MARGIN[0]) * _SCALE
    ground = (_STAND[1] + 44.0 * cos(radians(13.0)) + _MARGIN[1]) * _SCALE
    left, upper = round(x - side / 2), round(ground - GROUND / UNITS * side)
    mask = shadow_of(stand.getchannel("A"), 0.6)
    wall.paste(Image.new("RGB", mask.size, (40, 26, 18)), (left, upper), mask)
    wall.paste(stand, (left, upper), stand)
    return _layer(finish(wall), -_MARGIN[0], -_MARGIN[1], _SCALE)


def _studs() -> tuple[_Layer, ...]:
    """The studs round the pedestal's edge in all phases of one second's turn."""
    k = 3
    width, height = round(2 * _PEDESTAL + 40), 120
    sink = sin(radians(13.0))
    layers = []
    for phase in range(FRAME_RATE):
        big = Image.new("RGBA", (width * k, height * k), (226, 182, 112, 0))
        pen = ImageDraw.Draw(big)
        for i in range(_TICKS):
            angle = tau * (i + phase / FRAME_RATE) / _TICKS - pi
            facing = cos(angle)
            if facing < 0.05:
                continue
            x = width / 2 + _PEDESTAL * sin(angle)
            y = 34 + _PEDESTAL * sink * facing
            wide, tall = 4.6 * facing, 4.6
            light = 0.55 + 0.45 * facing - 0.25 * sin(angle)
            tone = (min(255, round(226 * light)), round(178 * light), round(104 * light), 255)
            pen.ellipse(((x - wide) * k, (y - tall) * k, (x + wide) * k, (y + tall) * k), fill=tone)
        picture = big.reduce(k)
        layers.append(_layer(picture, _STAND[0] - width / 2, _STAND[1] - 34 + 22, 1.0))
    return tuple(layers)


def _product(art_key: str, colour: str) -> _Layer:
    """A product with its shadow on the pedestal, and an empty edge around both."""
    extent = _PRODUCT_SIDES.get(art_key, _PRODUCT_SIDE)
    side = round(extent * _SCALE)
    drawn = sprite(art_key, colour, side)
    alpha = drawn.getchannel("A")
    pad = 8
    picture = Image.new("RGBA", (side + 2 * pad, side + 2 * pad), (44, 30, 22, 0))
    shade = shadow_of(alpha, 0.6).crop((0, 0, side, side))
    unit = UNITS / extent
    # the shadow ends where the pedestal's top ends
    plate = outline(
        side,
        [
            ellipse_points(
                500.0, GROUND, (_PEDESTAL - 6) * unit, (_PEDESTAL - 6) * unit * sin(radians(13.0))
            )
        ],
    )
    shade = ImageChops.multiply(shade, plate.filter(ImageFilter.GaussianBlur(1.5)))
    shadow = Image.new("RGBA", (side, side), (44, 30, 22, 0))
    shadow.putalpha(shade)
    shadow.alpha_composite(drawn)
    picture.paste(shadow, (pad, pad))
    left, top, right, bottom = picture.getchannel("A").getbbox() or (pad, pad, pad, pad)
    left, top = max(0, left - pad) & ~1, max(0, top - pad) & ~1
    picture = picture.crop((left, top, right + pad, bottom + pad))
    return _layer(
        picture,
        _STAND[0] - extent / 2 + (left - pad) / _SCALE,
        _STAND[1] - GROUND / UNITS * extent + (top - pad) / _SCALE,
        _SCALE,
    )


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("this Pillow has no FreeType; the film needs its outline font")
    return font


def _caption(title: str, shelf: str) -> _Layer:
    """The lower third: title and shelf on a strip of paper with a brass edge. No price: it would
    stay while the shop's price changes.
    """
    k = 2
    large, small = _font(34 * k), _font(25 * k)
    wide = max(large.getlength(title), small.getlength(shelf)) / k
    width, height = (round(wide) + 76) & ~1, 112
    big = Image.new("RGBA", (width * k, height * k), (250, 244, 234, 0))
    pen = ImageDraw.Draw(big)
    pen.rounded_rectangle(
        (4 * k, 4 * k, (width - 4) * k, (height - 4) * k), 10 * k, fill=(250, 244, 234, 236)
    )
    pen.rounded_rectangle((4 * k, 4 * k, 11 * k, (height - 4) * k), 3 * k, fill=(178, 134, 78, 255))
    pen.text((36 * k, 19 * k), title, font=large, fill=(44, 34, 28, 255))
    pen.text((36 * k, 66 * k), shelf, font=small, fill=(138, 84, 46, 255))
    return _layer(big.reduce(k), 48, HEIGHT - _CONTROLS - height, 1.0)
