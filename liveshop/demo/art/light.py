"""Light of the studio: one big window on the upper left shades all surfaces, so pictures match.

Shading is computed on a coarse grid of floats in plain Python and enlarged by Pillow; only outlines
and textures are drawn at full size. That is what makes real shading affordable without numpy.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot, sqrt

from PIL import Image, ImageChops, ImageDraw, ImageOps

Point = tuple[float, float]
Colour = tuple[int, int, int]

UNITS = 1000  # every object is drawn on a square of 1000 x 1000 units
GRID = 250  # cells of the shading grid along one side
GROUND = 930.0  # where objects stand, in units from the top
_SUPERSAMPLE = 3

_KEY = (-0.56, -0.58, 0.59)  # direction to the window: x to the right, y down, z to the viewer


@dataclass(frozen=True, slots=True)
class Ramp:
    """What a material shows in shade, in even light and in full light."""

    dark: Colour
    base: Colour
    light: Colour


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Return the colour `share` of the way from a to b."""
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


def ramp(base: Colour, *, depth: float = 0.74, glow: float = 0.5) -> Ramp:
    """Return a ramp around a base colour: shadows lean to warm brown, lights to warm white."""
    return Ramp(mix(base, (26, 18, 16), depth), base, mix(base, (255, 250, 240), glow))


def smoothstep(low: float, high: float, value: float) -> float:
    """Return 0 below low, 1 above high and a smooth curve between."""
    t = (value - low) / (high - low)
    if t <= 0.0:
        return 0.0
    if t >= 1.0:
        return 1.0
    return t * t * (3.0 - 2.0 * t)


def lit(nx: float, ny: float, nz: float) -> float:
    """Return the brightness (0..255, 150 is the material's own colour) of a surface facing n."""
    wrapped = (nx * _KEY[0] + ny * _KEY[1] + nz * _KEY[2] + 0.32) / 1.32
    direct = wrapped * sqrt(wrapped) if wrapped > 0.0 else 0.0
    sky = 0.5 - 0.5 * ny
    bounce = ny if ny > 0.0 else 0.0
    rim = 1.0 - nz
    side = (0.5 + 0.5 * nx) * rim * rim * rim
    return 26.0 + 158.0 * direct + 40.0 * sky + 20.0 * bounce + 34.0 * side


def glint(nx: float, ny: float, nz: float) -> float:
    """Return how much of the window (two panes) and of a strip on the right a glaze mirrors."""
    value = 0.0
    across, along = abs(nx + 0.44), abs(ny + 0.1)
    if across < 0.16 and along < 0.44:
        window = smoothstep(0.155, 0.11, across) * smoothstep(0.435, 0.34, along)
        bar = smoothstep(0.008, 0.028, abs(nx + 0.45))
        value += window * (0.4 + 0.6 * bar)
    if nx > 0.7:
        value += 0.2 * smoothstep(0.07, 0.02, abs(nx - 0.83)) * smoothstep(0.5, 0.2, abs(ny))
    edge = 1.0 - nz
    value += 0.22 * edge * edge * edge
    return 255.0 * min(1.0, value)


def grid_image(values: list[float], side: int) -> Image.Image:
    """Enlarge a grid of floats (0..255) to a picture of 8 bits with `side` pixels."""
    return float_image(values, side).convert("L")


def float_image(values: list[float], side: int) -> Image.Image:
    """Enlarge a grid of floats to a picture of floats with `side` pixels."""
    small = Image.frombytes("F", (GRID, GRID), array("f", values).tobytes())
    return small.resize((side, side), Image.Resampling.BICUBIC)


def outline(side: int, shapes: Sequence[Sequence[Point]]) -> Image.Image:
    """Draw filled polygons (in units) as one antialiased mask."""
    big = Image.new("L", (side * _SUPERSAMPLE, side * _SUPERSAMPLE), 0)
    pen = ImageDraw.Draw(big)
    k = side * _SUPERSAMPLE / UNITS
    for shape in shapes:
        pen.polygon([(x * k, y * k) for x, y in shape], fill=255)
    return big.reduce(_SUPERSAMPLE)


def ellipse_points(cx: float, cy: float, rx: float, ry: float) -> list[Point]:
    """Return an ellipse as a polygon."""
    return [(cx + rx * c, cy + ry * s) for c, s in _CIRCLE]


def smooth(points: Sequence[Point], *, steps: int = 10, closed: bool = False) -> list[Point]:
    """Return a smooth curve through the points that does not overshoot at uneven distances."""
    count = len(points)
    ring = [*points, points[0]] if closed else list(points)
    chords = [max(hypot(q[0] - p[0], q[1] - p[1]), 1e-6) for p, q in pairwise(ring)]
    tangents: list[Point] = []
    reach: list[float] = []
    for i in range(len(ring)):
        before = i - 1 if i > 0 else (count - 1 if closed else 0)
        after = i if i < len(chords) else (0 if closed else len(chords) - 1)
        d0, d1 = chords[before], chords[after]
        reach.append(2.2 * min(d0, d1))
        p, q, r = ring[before], ring[i], ring[after + 1]
        tangents.append(
            (
                ((q[0] - p[0]) / d0 * d1 + (r[0] - q[0]) / d1 * d0) / (d0 + d1),
                ((q[1] - p[1]) / d0 * d1 + (r[1] - q[1]) / d1 * d0) / (d0 + d1),
            )
            if before != after
            else ((r[0] - p[0]) / d0, (r[1] - p[1]) / d0)
        )
    out: list[Point] = []
    for i, chord in enumerate(chords):
        (px, py), (qx, qy), (mx, my), (nx, ny) = ring[i], ring[i + 1], tangents[i], tangents[i + 1]
        for step in range(steps):
            t = step / steps
            h1, h2 = 2 * t**3 - 3 * t * t + 1, 3 * t * t - 2 * t**3
            h3 = (t**3 - 2 * t * t + t) * min(chord, reach[i])
            h4 = (t**3 - t * t) * min(chord, reach[i + 1])
            x = h1 * px + h2 * qx + h3 * mx + h4 * nx
            out.append((x, h1 * py + h2 * qy + h3 * my + h4 * ny))
    if not closed:
        out.append(ring[-1])
    return out


def coloured(shade: Image.Image, material: Ramp) -> Image.Image:
    """Give a shading its material."""
    return ImageOps.colorize(
        shade, black=material.dark, white=material.light, mid=material.base, midpoint=150
    )


def shine(picture: Image.Image, gloss: Image.Image, strength: float) -> Image.Image:
    """Add mirrored light of the window to a coloured picture."""
    level = gloss.point([round(i * strength) for i in range(256)])
    return ImageChops.screen(picture, Image.merge("RGB", (level, level, level)))


def cut(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """Return the picture with the mask as its alpha channel."""
    out = picture.convert("RGBA")
    out.putalpha(mask)
    return out


def _circle(steps: int) -> tuple[Point, ...]:
    quarter = [(sqrt(1 - (i / steps) ** 2), i / steps) for i in range(steps)]
    quarter += [(i / steps, sqrt(1 - (i / steps) ** 2)) for i in range(steps, 0, -1)]
    quarter.sort(key=lambda p: p[1])
    ring: list[Point] = []
    for sx, sy, order in ((1, 1, 1), (-1, 1, -1), (-1, -1, 1), (1, -1, -1)):
        ring += [(sx * x, sy * y) for x, y in quarter[::order]]
    return tuple(ring)


_CIRCLE = _circle(48)
