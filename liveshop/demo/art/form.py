"""Solids: bodies from the lathe, tubes along a curve, dishes seen from above, soft cloth.

Each gives shading, mirrored light and outline; the material comes later, so one solid serves every
colour of a product.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import ceil, cos, floor, hypot, radians, sin, sqrt

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from liveshop.demo.art.light import (
    GRID,
    GROUND,
    UNITS,
    Point,
    Ramp,
    coloured,
    cut,
    ellipse_points,
    float_image,
    glint,
    grid_image,
    lit,
    outline,
    shine,
    smooth,
)

_REMEMBERED = 8  # solids of each kind, 5 to 10 MB each: enough for all parts of one product

TILT = 13.0  # degrees the camera looks down on what stands on the table
_EMPTY = -1.0
_CELL = UNITS / GRID


@dataclass(frozen=True, slots=True)
class Solid:
    """A shape in studio light, without a material yet."""

    mask: Image.Image
    shade: Image.Image
    gloss: Image.Image
    levels: tuple[float, ...] = ()  # how high on the body each cell of the grid lies, 0..1

    def below(self, share: float, *, softness: float = 0.006) -> Image.Image:
        """Return a mask of what lies below a share of the body's height."""
        if not self.levels:
            raise ValueError("only a body from the lathe knows its heights")
        k = 255.0 / softness
        level = float_image(list(self.levels), self.mask.width)
        return level.point(lambda v: v * -k + (share * k + 127.0)).convert("L")

    def paint(self, material: Ramp, *, gloss: float = 0.0) -> Image.Image:
        """Return the solid in a material; gloss 0 is matt, 1 a mirror-like glaze."""
        picture = coloured(self.shade, material)
        if gloss > 0.0:
            picture = shine(picture, self.gloss, gloss)
        return cut(picture, self.mask)

    def textured(self, texture: Image.Image, material: Ramp) -> Image.Image:
        """Return the solid with a grey texture (128 is neutral) worked into its shading."""
        return cut(coloured(ImageChops.hard_light(self.shade, texture), material), self.mask)


def lathe(
    side: int,
    profile: Sequence[Point],
    *,
    cx: float = 500.0,
    ground: float = GROUND,
    tilt: float = TILT,
) -> Solid:
    """Turn a profile of (height, radius) points, bottom first, into a standing body."""
    return _lathe(side, tuple(profile), cx, ground, tilt)


@lru_cache(maxsize=_REMEMBERED)
def _lathe(side: int, profile: tuple[Point, ...], cx: float, ground: float, tilt: float) -> Solid:
    ct, st = cos(radians(tilt)), sin(radians(tilt))
    curve = smooth(profile, steps=14)
    samples: list[tuple[float, float, float]] = []
    for i, (z, r) in enumerate(curve):
        before, after = curve[max(i - 1, 0)], curve[min(i + 1, len(curve) - 1)]
        rise = after[0] - before[0]
        run = after[1] - before[1]
        # a slope, kept finite where the profile runs flat
        slope = run / rise if abs(rise) > 1e-3 else (40.0 if run > 0 else -40.0)
        samples.append((z, max(r, 0.5), max(-40.0, min(40.0, slope))))
    top = max(z for z, _ in curve) or 1.0

    shade = [_EMPTY] * (GRID * GRID)
    gloss = [0.0] * (GRID * GRID)
    level = [0.0] * (GRID * GRID)
    widest = max(r for _, r in curve) + 2 * _CELL
    for column in range(GRID):
        x = (column + 0.5) * _CELL - cx
        if abs(x) > widest:
            continue
        last: tuple[float, float, float, float] | None = None
        for z, r, slope in reversed(samples):
            inside = x
            if abs(x) >= r:
                if abs(x) > r + 2.5 * _CELL:
                    last = None
                    continue
                inside = 0.995 * r if x > 0 else -0.995 * r
            y = sqrt(r * r - inside * inside)
            length = sqrt(1.0 + slope * slope)
            face_x, face_y, face_z = inside / r / length, y / r / length, -slope / length
            toward = face_y * ct + face_z * st
            if toward <= 0.0:
                last = None
                continue
            down = face_y * st - face_z * ct
            row = (ground - z * ct + y * st) / _CELL - 0.5
            here = (row, lit(face_x, down, toward), glint(face_x, down, toward), z / top)
            if last is None:
                last = (row - 0.99, *here[1:])
            span = row - last[0] or 1e-6
            for filled in range(max(ceil(last[0]), 0), min(floor(row) + 1, GRID)):
                t = (filled - last[0]) / span
                cell = filled * GRID + column
                shade[cell] = last[1] + (here[1] - last[1]) * t
                gloss[cell] = last[2] + (here[2] - last[2]) * t
                level[cell] = last[3] + (here[3] - last[3]) * t
            last = here
    _spread(shade, (gloss, level), rest=lit(0.0, -ct, st))

    slant = st / ct
    edge = [
        (r * sqrt(1 - (s * slant) ** 2), ground - z * ct + r * s * slant * st)
        for z, r, s in samples
        if abs(s * slant) < 1
    ]
    (z0, r0, _), (z1, r1, _) = samples[0], samples[-1]
    shapes = [
        ellipse_points(cx, ground - z0 * ct, r0, r0 * st),
        ellipse_points(cx, ground - z1 * ct, r1, r1 * st),
        [(cx - w, y) for w, y in edge] + [(cx + w, y) for w, y in reversed(edge)],
        # where the profile runs flat its outline is the ring itself
        *(
            ellipse_points(cx, ground - z * ct, r, r * st)
            for z, r, s in samples[::2]
            if abs(s * slant) > 0.7
        ),
    ]
    return Solid(
        outline(side, shapes),
        grid_image(shade, side),
        grid_image(gloss, side),
        tuple(level),
    )


def opening(
    side: int,
    height: float,
    radius: float,
    *,
    depth: float,
    cx: float = 500.0,
    ground: float = GROUND,
    tilt: float = TILT,
) -> Solid:
    """Return the inside of a vessel seen through its round mouth; the floor lies `depth` below."""
    ct, st = cos(radians(tilt)), sin(radians(tilt))
    cy = ground - height * ct
    shade = [_EMPTY] * (GRID * GRID)
    gloss = [0.0] * (GRID * GRID)
    for row in range(GRID):
        dy = (row + 0.5) * _CELL - cy
        if abs(dy) > radius * st + 2 * _CELL:
            continue
        for column in range(GRID):
            dx = (column + 0.5) * _CELL - cx
            if abs(dx) > radius + 2 * _CELL:
                continue
            x = max(-0.999 * radius, min(0.999 * radius, dx))
            back = sqrt(radius * radius - x * x)
            below = (dy + back * st) / ct
            cell = row * GRID + column
            if below < depth:
                nx, ny, nz = -x / radius, back / radius * st, back / radius * ct
                dim = 1.0 - 0.62 * min(1.0, max(below, 0.0) / depth)
                shade[cell] = lit(nx, ny, nz) * dim
                gloss[cell] = glint(nx, ny, nz) * 0.5 * dim
            else:
                shade[cell] = (70.0 + 34.0 * dx / radius) * 0.9
    _spread(shade, (gloss,))
    mask = outline(side, [ellipse_points(cx, cy, radius, radius * st)])
    return Solid(mask, grid_image(shade, side), grid_image(gloss, side))


def dish(
    side: int,
    height: float,
    radius: float,
    slope: Callable[[float], float],
    *,
    cx: float = 500.0,
    ground: float = GROUND,
    tilt: float = TILT,
) -> Solid:
    """Return a plate's upper face; `slope(share of the radius)` is its rise outward."""
    ct, st = cos(radians(tilt)), sin(radians(tilt))
    cy = ground - height * ct
    shade = [_EMPTY] * (GRID * GRID)
    gloss = [0.0] * (GRID * GRID)
    for row in range(GRID):
        dy = ((row + 0.5) * _CELL - cy) / st
        if abs(dy) > radius + 3 * _CELL / st:
            continue
        for column in range(GRID):
            dx = (column + 0.5) * _CELL - cx
            if abs(dx) > radius + 3 * _CELL:
                continue
            far = hypot(dx, dy) or 1e-6
            rise = slope(min(1.0, far / radius))
            length = sqrt(1.0 + rise * rise)
            face_x, face_y = -rise * dx / far / length, -rise * dy / far / length
            face_z = 1.0 / length
            nx, ny, nz = face_x, face_y * st - face_z * ct, face_y * ct + face_z * st
            cell = row * GRID + column
            # the window throws more light on the far right of a flat face
            shade[cell] = lit(nx, ny, max(nz, 0.02)) * (0.93 + 0.07 * (dx + dy) / radius)
            gloss[cell] = glint(nx, ny, max(nz, 0.02))
    _spread(shade, (gloss,))
    mask = outline(side, [ellipse_points(cx, cy, radius, radius * st)])
    return Solid(mask, grid_image(shade, side), grid_image(gloss, side))


def tube(side: int, path: Sequence[Point], radii: Sequence[float], *, flat: float = 1.0) -> Solid:
    """Return a round tube along a smooth path; radii are spread evenly along it."""
    return _tube(side, tuple(path), tuple(radii), flat)


@lru_cache(maxsize=_REMEMBERED)
def _tube(side: int, path: tuple[Point, ...], radii: tuple[float, ...], flat: float) -> Solid:
    curve = smooth(path, steps=10)
    last = len(curve) - 1
    nodes: list[tuple[float, float, float]] = []
    for i, (x, y) in enumerate(curve):
        at = i / last * (len(radii) - 1)
        low = min(int(at), len(radii) - 2) if len(radii) > 1 else 0
        radius = (
            radii[0]
            if len(radii) == 1
            else (radii[low] + (radii[low + 1] - radii[low]) * (at - low))
        )
        nodes.append((x, y, radius))
    normals: list[Point] = []
    for i in range(len(nodes)):
        (px, py, _), (qx, qy, _) = nodes[max(i - 1, 0)], nodes[min(i + 1, last)]
        length = hypot(qx - px, qy - py) or 1.0
        normals.append((-(qy - py) / length, (qx - px) / length))
    shade = [_EMPTY] * (GRID * GRID)
    gloss = [0.0] * (GRID * GRID)
    nearest: dict[int, tuple[float, float, float]] = {}
    for i, ((ax, ay, ar), (bx, by, br)) in enumerate(pairwise(nodes)):
        (mx, my), (ox, oy) = normals[i], normals[i + 1]
        reach = max(ar, br) + 2 * _CELL
        vx, vy = bx - ax, by - ay
        square = vx * vx + vy * vy or 1e-9
        for row in range(
            max(int((min(ay, by) - reach) / _CELL), 0),
            min(int((max(ay, by) + reach) / _CELL) + 1, GRID),
        ):
            y = (row + 0.5) * _CELL
            for column in range(
                max(int((min(ax, bx) - reach) / _CELL), 0),
                min(int((max(ax, bx) + reach) / _CELL) + 1, GRID),
            ):
                x = (column + 0.5) * _CELL
                t = max(0.0, min(1.0, ((x - ax) * vx + (y - ay) * vy) / square))
                dx, dy = x - ax - t * vx, y - ay - t * vy
                radius = ar + (br - ar) * t
                far = hypot(dx, dy) / radius
                cell = row * GRID + column
                if cell not in nearest or far < nearest[cell][0]:
                    # the normal turns evenly from node to node, or the joints would glitter
                    wx, wy = mx + (ox - mx) * t, my + (oy - my) * t
                    far = min(far, 1.0) if dx * wx + dy * wy > 0 else -min(far, 1.0)
                    nearest[cell] = (abs(far), far * wx, far * wy)
    for cell, (far, across, along) in nearest.items():
        keep = flat * min(1.0, 0.985 / max(far, 1e-6))
        nx, ny = across * keep, along * keep
        nz = sqrt(max(1.0 - nx * nx - ny * ny, 0.0))
        shade[cell] = lit(nx, ny, nz)
        gloss[cell] = glint(nx, ny, nz)
    _spread(shade, (gloss,))
    left: list[Point] = []
    right: list[Point] = []
    caps: list[list[Point]] = []
    for (x, y, radius), (wx, wy) in zip(nodes, normals, strict=True):
        ox, oy = wx * radius, wy * radius
        left.append((x + ox, y + oy))
        right.append((x - ox, y - oy))
        caps.append(ellipse_points(x, y, radius * 0.99, radius * 0.99))
    mask = outline(side, [left + right[::-1], *caps])
    return Solid(mask, grid_image(shade, side), grid_image(gloss, side))


@dataclass(frozen=True, slots=True)
class Fold:
    """A crease (height below 0) or a ridge of cloth along a line."""

    path: tuple[Point, ...]
    width: float
    height: float


def cloth(
    side: int,
    shapes: Sequence[Sequence[Point]],
    *,
    puff: float = 1.0,
    folds: Sequence[Fold] = (),
) -> Solid:
    """Return soft cloth filling the shapes: rounded at its edges, creased by its folds."""
    return _cloth(side, tuple(tuple(shape) for shape in shapes), puff, tuple(folds))


@lru_cache(maxsize=_REMEMBERED)
def _cloth(
    side: int, shapes: tuple[tuple[Point, ...], ...], puff: float, folds: tuple[Fold, ...]
) -> Solid:
    mask = outline(side, shapes)
    small = mask.resize((GRID, GRID), Image.Resampling.BOX)
    rise = [0.0] * (GRID * GRID)
    for radius, share in ((2.0, 0.25), (5.0, 0.5), (13.0, 0.8)):
        blurred = small.filter(ImageFilter.GaussianBlur(radius)).tobytes()
        weight = share * puff / 12.0
        rise = [a + weight * b for a, b in zip(rise, blurred, strict=True)]
    for fold in folds:
        layer = Image.new("L", (GRID, GRID), 0)
        line = [(x / _CELL, y / _CELL) for x, y in smooth(fold.path, steps=6)]
        ImageDraw.Draw(layer).line(line, fill=255, width=max(1, round(fold.width / _CELL * 0.7)))
        blurred = layer.filter(ImageFilter.GaussianBlur(fold.width / _CELL * 0.55)).tobytes()
        weight = fold.height / 255.0
        rise = [a + weight * b for a, b in zip(rise, blurred, strict=True)]
    # 8-bit blurs leave steps; a small mean removes them before slopes are taken
    rise = _mean(_mean(rise))
    inside = small.filter(ImageFilter.MaxFilter(5)).tobytes()
    shade = [_EMPTY] * (GRID * GRID)
    k = 0.12
    for row in range(1, GRID - 1):
        for cell in range(row * GRID + 1, row * GRID + GRID - 1):
            if not inside[cell]:
                continue
            nx = (rise[cell - 1] - rise[cell + 1]) * k
            ny = (rise[cell - GRID] - rise[cell + GRID]) * k
            nz = 1.0 / sqrt(1.0 + nx * nx + ny * ny)
            shade[cell] = lit(nx * nz, ny * nz, nz)
    _spread(shade, ())
    picture = grid_image(shade, side)
    return Solid(mask, picture, Image.new("L", (side, side), 0))


def forget() -> None:
    """Drop remembered solids."""
    for remembered in (_lathe, _tube, _cloth):
        remembered.cache_clear()


def _mean(values: list[float]) -> list[float]:
    n = GRID
    zero = [0.0] * n
    across = [
        (a + b + c) / 3.0
        for a, b, c in zip([0.0, *values[:-1]], values, [*values[1:], 0.0], strict=True)
    ]
    above, below = zero + across[:-n], across[n:] + zero
    return [(a + b + c) / 3.0 for a, b, c in zip(above, across, below, strict=True)]


def _spread(shade: list[float], others: Sequence[list[float]], *, rest: float = 0.0) -> None:
    """Carry the outermost values outward, so enlarging has no dark seam along the outline."""
    known = [i for i, v in enumerate(shade) if v >= 0.0]
    for _ in range(3):
        added: list[int] = []
        for cell in known:
            for other in (cell - 1, cell + 1, cell - GRID, cell + GRID):
                if 0 <= other < len(shade) and shade[other] < 0.0:
                    shade[other] = shade[cell]
                    for grid in others:
                        grid[other] = grid[cell]
                    added.append(other)
        known = added
    for i, value in enumerate(shade):
        if value < 0.0:
            shade[i] = rest
