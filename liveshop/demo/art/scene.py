"""Where objects stand: the studio sweep of catalogue pictures and the room of film and covers."""

from dataclasses import dataclass
from functools import lru_cache
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from liveshop.demo.art.light import GROUND, UNITS, Colour, mix
from liveshop.demo.art.weave import grain

OATMEAL: Colour = (229, 220, 207)
MIST: Colour = (206, 213, 214)
SAGE: Colour = (209, 212, 196)
BLUSH: Colour = (228, 211, 198)


@dataclass(frozen=True, slots=True)
class Placed:
    """A drawn object on a scene: centre and ground line in pixels, side of its square in pixels."""

    picture: Image.Image
    x: float
    ground: float
    side: int


def sweep(width: int, height: int, tint: Colour) -> Image.Image:
    """Return an endless studio backdrop with light falling in from the upper left."""
    columns, rows = 64, 64
    small = Image.new("RGB", (columns, rows))
    bright, dark = mix(tint, (255, 252, 246), 0.55), mix(tint, (92, 78, 66), 0.36)
    for y in range(rows):
        for x in range(columns):
            u, v = x / (columns - 1), y / (rows - 1)
            fall = ((u - 0.26) ** 2 * 0.9 + (v - 0.22) ** 2 * 0.8) ** 0.5
            floor = max(0.0, min(1.0, (v - 0.60) / 0.16))
            floor = floor * floor * (3 - 2 * floor)
            level = 1.0 - 0.95 * fall + 0.16 * floor * (1 - 0.6 * abs(u - 0.45))
            small.putpixel((x, y), mix(dark, bright, max(0.0, min(1.0, level))))
    picture = small.resize((width, height), Image.Resampling.BICUBIC)
    return _window_light(picture, 0.16)


def _window_light(picture: Image.Image, strength: float) -> Image.Image:
    """Throw the soft shape of a window slantwise across the wall."""
    width, height = picture.width // 4, picture.height // 4
    panes = Image.new("L", (width, height), 0)
    pen = ImageDraw.Draw(panes)
    for i in range(2):
        for j in range(3):
            x, y = width * (0.10 + 0.19 * i), height * (0.02 + 0.21 * j)
            w, h, slant = width * 0.165, height * 0.18, width * 0.10
            lean = slant * (j + 1) * 0.55
            pen.polygon(
                [
                    (x + lean, y),
                    (x + w + lean, y + h * 0.22),
                    (x + w + lean + slant * 0.55, y + h * 1.22),
                    (x + lean + slant * 0.55, y + h),
                ],
                fill=255,
            )
    panes = panes.filter(ImageFilter.GaussianBlur(width / 60))
    panes = panes.resize(picture.size, Image.Resampling.BICUBIC).point(
        [round(i * strength) for i in range(256)]
    )
    warm = Image.new("RGB", picture.size, (255, 244, 222))
    return Image.composite(warm, picture, panes)


def put(scene: Image.Image, placed: Placed, *, mirror: float = 0.13, shadow: float = 0.42) -> None:
    """Stand an object in a scene with its contact shadow, cast shadow and reflection."""
    side = placed.side
    picture = placed.picture
    if picture.width != side:
        picture = picture.resize((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    left = round(placed.x - side / 2)
    top = round(placed.ground - GROUND / UNITS * side)
    alpha = picture.getchannel("A")
    mask = shadow_of(alpha, shadow)
    scene.paste(Image.new("RGB", mask.size, (52, 38, 30)), (left, top), mask)
    box = alpha.getbbox()
    if mirror and box:
        bottom = box[3]
        fall = max(4, round(side * 0.16))
        flipped = (
            picture.crop((0, bottom - fall, side, bottom))
            .transpose(Image.Transpose.FLIP_TOP_BOTTOM)
            .filter(ImageFilter.GaussianBlur(side / 220))
        )
        fade = (
            Image.linear_gradient("L")
            .transpose(Image.Transpose.FLIP_TOP_BOTTOM)
            .resize((side, fall))
            .point([round(i * mirror) for i in range(256)])
        )
        fade = ImageChops.multiply(fade, flipped.getchannel("A"))
        scene.paste(flipped.convert("RGB"), (left, top + bottom - 1), fade)
    scene.paste(picture, (left, top), picture)


def shadow_of(alpha: Image.Image, strength: float) -> Image.Image:
    """Return the shadow of an object on the ground, as a mask twice as wide as the object."""
    step = 4 if alpha.width > 700 else 2
    side = alpha.width // step
    small = alpha.resize((side, side), Image.Resampling.BOX)
    canvas = (side * 2, round(side * 1.3))
    foot = GROUND / UNITS * side
    lean, squash = 0.62, 0.15
    # inverse map: a point above the foot line shows what stands that much higher, to its left
    fallen = small.transform(
        canvas,
        Image.Transform.AFFINE,
        (1.0, lean / squash, -lean / squash * foot, 0.0, 1.0 / squash, foot - foot / squash),
        Image.Resampling.BILINEAR,
    )
    near = fallen.filter(ImageFilter.GaussianBlur(side / 60))
    far = fallen.filter(ImageFilter.GaussianBlur(side / 22))
    cast = ImageChops.lighter(
        near.point([round(i * 0.45) for i in range(256)]),
        far.point([round(i * 0.75) for i in range(256)]),
    )
    band = round(side * 0.075)
    low = small.crop((0, round(foot) - band, side, side))
    touch = Image.new("L", canvas, 0)
    touch.paste(low.resize((side, max(1, round(low.height * 0.55)))), (0, round(foot - band * 0.4)))
    touch = ImageChops.lighter(
        touch.filter(ImageFilter.GaussianBlur(side / 50)),
        touch.filter(ImageFilter.GaussianBlur(side / 130)).point(
            [round(i * 0.8) for i in range(256)]
        ),
    )
    mask = ImageChops.lighter(cast, touch).point(
        [round(i * strength * 1.25) if i * strength < 200 else 250 for i in range(256)]
    )
    return mask.resize((canvas[0] * step, canvas[1] * step), Image.Resampling.BICUBIC)


@lru_cache(maxsize=4)
def _film_grain(width: int, height: int) -> Image.Image:
    rng = Random(2)
    tile = Image.frombytes("L", (512, 512), rng.randbytes(512 * 512))
    tile = tile.filter(ImageFilter.GaussianBlur(0.6)).point(
        [round(128 + (i - 128) * 0.07) for i in range(256)]
    )
    out = Image.new("L", (width, height))
    for y in range(0, height, 512):
        for x in range(0, width, 512):
            out.paste(tile, (x, y))
    return Image.merge("RGB", (out, out, out))


def finish(picture: Image.Image) -> Image.Image:
    """Add film grain, which also hides the steps of long gradients."""
    return ImageChops.add(picture, _film_grain(*picture.size), 1.0, -128)


@lru_cache(maxsize=4)
def _table_top(width: int, height: int, tone: Colour) -> Image.Image:
    """Return an oak table seen from its front edge, its planks running from left to right."""
    wood = grain(1024, seed=31, upright=False)
    pen = ImageDraw.Draw(wood)
    for i in range(1, 5):
        y = 1024 * i / 5
        pen.line((0, y, 1024, y), fill=58, width=4)
        pen.line((0, y + 4, 1024, y + 4), fill=154, width=3)
    # rows crowd together toward the far edge, and the far edge is narrower
    strips = 40
    mesh: list[tuple[tuple[int, int, int, int], tuple[float, ...]]] = []
    for i in range(strips):
        top, bottom = height * i // strips, height * (i + 1) // strips
        corners: list[tuple[float, float, float]] = []
        for row in (top, bottom):
            t = row / height
            depth = 1.0 / (0.42 + 0.58 * t)
            corners.append(
                (
                    512 - 210 * depth,
                    512 + 210 * depth,
                    1023 - 1023 * (depth - 1.0) / (1 / 0.42 - 1.0),
                )
            )
        (a0, b0, v0), (a1, b1, v1) = corners
        mesh.append(((0, top, width, bottom), (a0, v0, a1, v1, b1, v1, b0, v0)))
    flat = wood.transform(
        (width, height), Image.Transform.MESH, mesh, Image.Resampling.BICUBIC, fillcolor=128
    )
    shade = Image.new("L", (32, 32))
    for y in range(32):
        for x in range(32):
            u, v = x / 31, y / 31
            shade.putpixel((x, y), round(176 - 56 * abs(u - 0.36) - 40 * v))
    lit = ImageChops.hard_light(shade.resize((width, height), Image.Resampling.BICUBIC), flat)
    low, high = mix(tone, (38, 24, 16), 0.7), mix(tone, (255, 240, 214), 0.55)
    ramp = [round(low[c] + (high[c] - low[c]) * i / 255) for c in range(3) for i in range(256)]
    return Image.merge("RGB", (lit, lit, lit)).point(ramp)


def room(
    width: int, height: int, *, horizon: float, tint: Colour = (206, 188, 166)
) -> tuple[Image.Image, Image.Image]:
    """Return the set in two layers: wall with window light, and table (its upper edge transparent).

    The wall is complete behind the table, so that both can move against each other.
    """
    wall = sweep(width, height, tint)
    # panelled wainscot, out of focus
    soft = wall.copy()
    pen = ImageDraw.Draw(soft)
    for i in range(-1, 9):
        x = width * (0.04 + 0.125 * i)
        pen.line((x, 0, x, height), fill=mix(tint, (70, 54, 42), 0.3), width=max(2, width // 420))
        edge = x + width / 300
        pen.line(
            (edge, 0, edge, height),
            fill=mix(tint, (255, 250, 240), 0.5),
            width=max(2, width // 500),
        )
    soft = soft.filter(ImageFilter.GaussianBlur(width / 260))
    wall = Image.blend(wall, soft, 0.55)
    top = round(height * horizon)
    table = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    surface = _table_top(width, height - top, (158, 112, 74))
    blurred = surface.filter(ImageFilter.GaussianBlur(width / 420))
    near = Image.linear_gradient("L").resize(surface.size)
    surface = Image.composite(surface, blurred, near)
    table.paste(surface, (0, top))
    ImageDraw.Draw(table).line(
        (0, top, width, top), fill=(222, 184, 140, 255), width=max(2, height // 300)
    )
    table.putalpha(table.getchannel("A").filter(ImageFilter.GaussianBlur(width / 900)))
    under = Image.new("L", (1, height), 0)
    for y in range(height):
        away = (top - y) / height
        under.putpixel((0, y), round(70 * max(0.0, 1 - away / 0.10)) if away > 0 else 70)
    dark = Image.new("RGB", wall.size, (70, 50, 38))
    wall = Image.composite(dark, wall, under.resize(wall.size))
    return wall, table


def bokeh(picture: Image.Image, side: int, blur: float) -> Image.Image:
    """Return an object out of focus, with room around it for its blur."""
    small = picture.resize((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    # premultiplied, or the blur would drag black in from the transparent part
    return small.convert("RGBa").filter(ImageFilter.GaussianBlur(blur)).convert("RGBA")


def glow(
    size: tuple[int, int], x: float, y: float, radius: float, colour: Colour, strength: float
) -> Image.Image:
    """Return light around a lamp, to be screened over a scene."""
    k = 8
    small = Image.new("L", (max(1, size[0] // k), max(1, size[1] // k)), 0)
    r = radius / k
    ImageDraw.Draw(small).ellipse(
        (x / k - r * 0.4, y / k - r * 0.4, x / k + r * 0.4, y / k + r * 0.4),
        fill=round(255 * strength),
    )
    small = small.filter(ImageFilter.GaussianBlur(r * 0.45))
    level = small.resize(size, Image.Resampling.BICUBIC)
    dark = Image.new("RGB", size, (0, 0, 0))
    return Image.composite(Image.new("RGB", size, colour), dark, level)
