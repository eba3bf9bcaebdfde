"""Wool and linen: sweater, beanie, blanket, tote and apron.

Garments hang on a slim brass stand, so that they stand on the same table as everything else.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import asin, sqrt
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from liveshop.demo.art.ceramics import BRASS, blank, dim, onto, stack
from liveshop.demo.art.form import Fold, Solid, cloth, lathe, tube
from liveshop.demo.art.light import (
    GROUND,
    UNITS,
    Colour,
    Point,
    Ramp,
    cut,
    mix,
    outline,
    ramp,
    smooth,
)
from liveshop.demo.art.weave import cable, faded, linen, ribbing, stockinette, twill

WOOLS: dict[str, Colour] = {
    "Oatmeal": (214, 198, 172),
    "Forest": (78, 98, 80),
    "Rust": (176, 96, 62),
    "Charcoal": (84, 84, 88),
}
CANVAS: dict[str, Colour] = {
    "Natural": (216, 202, 176),
    "Ink": (62, 76, 94),
    "Flax": (196, 176, 140),
    "Slate": (106, 118, 126),
    "Sage": (142, 152, 126),
}
LEATHER: Colour = (150, 96, 60)


def _wool(base: Colour) -> Ramp:
    return ramp(base, depth=0.8, glow=0.42)


def _stand(side: int, height: float, *, bar: float, foot: float = 120.0) -> Image.Image:
    """A garment stand: round oak foot, brass rod, cross bar at a height (units above ground)."""
    base = lathe(
        side, [(0.0, foot), (4.0, foot + 5), (20.0, foot + 5), (30.0, foot - 6), (34.0, 20.0)]
    )
    rod = tube(
        side, [(500.0, GROUND - 26), (500.0, GROUND - height / 2), (500.0, GROUND - height)], [9.0]
    )
    crossbar = tube(
        side,
        smooth(
            [
                (500 - bar, GROUND - height + 46),
                (500 - bar * 0.5, GROUND - height + 10),
                (500.0, GROUND - height - 4),
                (500 + bar * 0.5, GROUND - height + 10),
                (500 + bar, GROUND - height + 46),
            ],
            steps=3,
        ),
        [15.0],
    )
    tip = lathe(
        side,
        [(0.0, 9.0), (12.0, 9.0), (24.0, 18.0), (42.0, 16.0), (50.0, 4.0)],
        ground=GROUND - height,
    )
    oak = ramp((172, 128, 86))
    wood = [crossbar.paint(oak, gloss=0.1)] if bar else []
    return stack(
        side,
        base.paint(oak, gloss=0.12),
        rod.paint(BRASS, gloss=0.2),
        *wood,
        tip.paint(BRASS, gloss=0.5),
    )


def _shape(
    side: int, points: Sequence[Point], texture: Image.Image, solid: Solid, material: Ramp
) -> Image.Image:
    """Cut a flat piece (pocket, collar) of its own texture out of a solid's shading."""
    return cut(solid.textured(texture, material).convert("RGB"), outline(side, [points]))


def sweater(side: int, colour: str) -> Image.Image:
    """A cable-knit sweater on a stand."""
    material = _wool(WOOLS[colour])
    k = side / UNITS
    plain = faded(stockinette(side, 13 * k), 0.8)
    rib = faded(ribbing(side, 17 * k), 0.85)
    cables = cable(side, 44 * k, tuple(x * k for x in (366, 500, 634)), plain)
    torso = smooth(
        [
            (424, 196),
            (500, 214),
            (576, 196),
            (640, 216),
            (694, 252),
            (690, 330),
            (672, 420),
            (676, 560),
            (682, 690),
            (676, 756),
            (500, 768),
            (324, 756),
            (318, 690),
            (324, 560),
            (328, 420),
            (310, 330),
            (306, 252),
            (360, 216),
        ],
        closed=True,
    )
    body = cloth(
        side,
        [torso],
        puff=1.3,
        folds=[
            Fold(((330, 420), (400, 470), (470, 480)), 40, -10),
            Fold(((672, 420), (600, 480), (540, 500)), 40, -11),
            Fold(((340, 600), (430, 640), (560, 650)), 60, 8),
            Fold(((660, 590), (580, 560), (500, 570)), 50, 8),
            Fold(((420, 230), (440, 330), (430, 420)), 50, 6),
            Fold(((590, 230), (566, 320), (580, 400)), 50, 6),
        ],
    )
    sleeves = []
    for hand in (-1, 1):

        def at(x: float, y: float, hand: int = hand) -> Point:
            return (500 + hand * x, y)

        arm = smooth(
            [
                at(150, 222),
                at(200, 250),
                at(238, 330),
                at(262, 450),
                at(276, 560),
                at(286, 680),
                at(282, 742),
                at(212, 746),
                at(202, 680),
                at(188, 560),
                at(170, 440),
                at(140, 330),
            ],
            closed=True,
        )
        solid = cloth(
            side,
            [arm],
            puff=1.5,
            folds=[
                Fold((at(244, 420), at(210, 440), at(180, 430)), 26, -12),
                Fold((at(268, 520), at(230, 545), at(196, 535)), 24, -11),
                Fold((at(276, 600), at(240, 620), at(206, 606)), 24, -9),
            ],
        )
        piece = solid.textured(plain, material)
        cuff = [at(180, 668), at(300, 664), at(300, 760), at(180, 760)]
        piece.alpha_composite(onto(_shape(side, cuff, rib, solid, material), piece))
        seam = dim(side, [[at(180, 664), at(300, 660), at(300, 670), at(180, 674)]], 5, 0.5)
        piece.alpha_composite(onto(seam, piece))
        sleeves.append(piece)
    front = body.textured(cables, material)
    hem = [(280.0, 690.0), (500.0, 702.0), (720.0, 690.0), (720.0, 800.0), (280.0, 800.0)]
    front.alpha_composite(onto(_shape(side, hem, rib, body, material), front))
    seam = dim(
        side, [[(280, 688), (500, 700), (720, 688), (720, 697), (500, 709), (280, 697)]], 5, 0.5
    )
    front.alpha_composite(onto(seam, front))
    neck = smooth(
        [
            (418, 198),
            (436, 168),
            (500, 158),
            (564, 168),
            (582, 198),
            (548, 238),
            (500, 252),
            (452, 238),
        ],
        closed=True,
    )
    hole = smooth(
        [(440, 190), (500, 172), (560, 190), (538, 214), (500, 224), (462, 214)], closed=True
    )
    collar = cloth(
        side, [neck], puff=1.4, folds=[Fold(((440, 205), (500, 236), (560, 205)), 22, 9)]
    )
    inner = Image.new("RGBA", (side, side), (*mix(material.dark, material.base, 0.3), 0))
    inner.putalpha(outline(side, [hole]).filter(ImageFilter.GaussianBlur(1.5 * k)))
    behind = dim(side, [torso], 16, 0.5)
    under = stack(side, *sleeves)
    over = dim(side, [neck], 12, 0.45)
    return stack(
        side,
        _stand(side, 752, bar=120),
        under,
        onto(behind, under),
        front,
        onto(over, front),
        collar.textured(rib, material),
        inner,
    )


def beanie(side: int, colour: str) -> Image.Image:
    """A ribbed beanie with a deep fold, resting on a turned oak head."""
    material = _wool(WOOLS[colour])
    k = side / UNITS
    cx, ground = 500.0, GROUND - 150
    crown_profile = [
        (60.0, 262.0),
        (140.0, 276.0),
        (200.0, 276.0),
        (300.0, 262.0),
        (400.0, 214.0),
        (470.0, 140.0),
        (506.0, 66.0),
        (516.0, 8.0),
    ]
    fold_profile = [
        (0.0, 268.0),
        (8.0, 284.0),
        (60.0, 300.0),
        (120.0, 300.0),
        (164.0, 286.0),
        (172.0, 270.0),
    ]
    crown = lathe(side, crown_profile, cx=cx, ground=ground)
    fold = lathe(side, fold_profile, cx=cx, ground=ground)
    ribs = ribbing(side, 26 * k)
    top = crown.textured(_wrapped(ribs, crown_profile, cx, ground, k, gather=True), material)
    cuff = fold.textured(_wrapped(ribs, fold_profile, cx, ground, k, gather=False), material)
    # the crown rises out of the fold: only what lies above the fold's edge is seen
    seen = ImageChops.subtract(top.getchannel("A"), crown.below(166 / 516))
    near = ImageChops.subtract(crown.below(210 / 516, softness=0.16), crown.below(166 / 516))
    tuck = Image.new("RGBA", (side, side), (30, 18, 12, 0))
    tuck.putalpha(ImageChops.multiply(near, seen).point([round(i * 0.55) for i in range(256)]))
    top.putalpha(seen)
    block = lathe(
        side,
        [
            (0.0, 170.0),
            (6.0, 178.0),
            (26.0, 180.0),
            (40.0, 160.0),
            (56.0, 70.0),
            (110.0, 56.0),
            (170.0, 76.0),
        ],
        cx=cx,
    )
    under = dim(side, [[(420, 790), (580, 790), (580, 850), (420, 850)]], 24, 0.7)
    foot = block.paint(ramp((172, 128, 86)), gloss=0.15)
    return stack(side, foot, onto(under, foot), cuff, top, tuck)


def _wrapped(
    texture: Image.Image,
    profile: Sequence[Point],
    cx: float,
    ground: float,
    k: float,
    *,
    gather: bool,
) -> Image.Image:
    """Wrap a flat texture round a lathe's profile, so that its columns run along the form."""
    side = texture.width
    curve = smooth(profile, steps=8)
    widest = max(r for _, r in curve)
    cell = max(4, side // 90)
    mesh: list[tuple[tuple[int, int, int, int], tuple[float, ...]]] = []

    def radius(y: float) -> float:
        z = (ground - y / k) / 0.974
        if z <= curve[0][0]:
            return curve[0][1]
        for (z0, r0), (z1, r1) in pairwise(curve):
            if z0 <= z <= z1:
                return r0 + (r1 - r0) * (z - z0) / max(z1 - z0, 1e-6)
        return 30.0

    def source(x: float, y: float) -> Point:
        r = max(radius(y), 60.0 if gather else 1.0)
        u = max(-0.999, min(0.999, (x / k - cx) / r))
        bow = sqrt(1 - u * u)
        return (side / 2 + asin(u) * 0.64 * widest * k * 1.5, y - bow * r * 0.22 * k)

    for y0 in range(0, side, cell):
        for x0 in range(0, side, cell):
            x1, y1 = min(x0 + cell, side), min(y0 + cell, side)
            if abs((x0 + x1) / 2 / k - cx) > widest + 30:
                continue
            corners = (*source(x0, y0), *source(x0, y1), *source(x1, y1), *source(x1, y0))
            mesh.append(((x0, y0, x1, y1), corners))
    return texture.transform(
        (side, side), Image.Transform.MESH, mesh, Image.Resampling.BILINEAR, fillcolor=128
    )


def blanket(side: int, colour: str) -> Image.Image:
    """A folded herringbone throw with a fringe."""
    del colour
    k = side / UNITS
    wool = (188, 172, 150)
    stripe: Colour = (104, 112, 104)
    material = _wool(wool)
    weave = twill(side, 4.2 * k)
    picture = blank(side)
    rng = Random(9)
    layers = 4
    thick = 74.0
    for index in range(layers):
        y = GROUND - 20 - index * thick
        inset = 10.0 * (index % 2) + rng.uniform(0, 8)
        left, right = 150 + inset, 850 - inset * 0.6
        shape = smooth(
            [
                (left + 10, y - thick * 0.5),
                (left + 30, y - thick * 0.94),
                (500, y - thick * (0.99 + rng.uniform(-0.03, 0.03))),
                (right - 30, y - thick * 0.94),
                (right - 4, y - thick * 0.5),
                (right - 30, y - thick * 0.02),
                (500, y + rng.uniform(-3, 3)),
                (left + 30, y - thick * 0.02),
            ],
            closed=True,
        )
        slab = cloth(
            side,
            [shape],
            puff=1.8,
            folds=[
                Fold(
                    (
                        (left + 20, y - thick * 0.45),
                        (320, y - thick * 0.42),
                        (420, y - thick * 0.5),
                    ),
                    10,
                    9,
                ),
                Fold(
                    (
                        (600, y - thick * 0.5),
                        (720, y - thick * 0.44),
                        (right - 20, y - thick * 0.48),
                    ),
                    10,
                    -7,
                ),
            ],
        )
        piece = slab.textured(weave, material)
        shade = dim(side, [[(x, py + 16) for x, py in shape]], 12, 0.55)
        picture.alpha_composite(onto(shade, picture))
        picture.alpha_composite(piece)
    # the top layer: its upper face lies in perspective, stripes and fringe fall over the front
    back, front = GROUND - 20 - layers * thick - 118, GROUND - 20 - layers * thick + 34
    face = smooth(
        [
            (214, back + 4),
            (230, back - 4),
            (500, back - 10),
            (770, back - 4),
            (786, back + 4),
            (842, front - 24),
            (846, front + 4),
            (820, front + 16),
            (500, front + 22),
            (180, front + 16),
            (154, front + 4),
            (158, front - 24),
        ],
        closed=True,
    )
    top = cloth(
        side,
        [face],
        puff=1.2,
        folds=[
            Fold(((250, back + 40), (420, back + 66), (560, back + 54)), 40, 7),
            Fold(((520, back + 96), (680, back + 84), (800, back + 100)), 36, -6),
            Fold(((170, front - 30), (500, front - 22), (830, front - 30)), 30, 10),
        ],
    )
    lying = _laid(weave, back - 12, front + 24, 0.81)
    bands = Image.new("L", (side, side), 0)
    pen = ImageDraw.Draw(bands)
    for x0, x1 in ((0.14, 0.17), (0.19, 0.26), (0.28, 0.31)):
        pen.rectangle((side * x0, 0, side * x1, side), fill=255)
        pen.rectangle((side * (1 - x1), 0, side * (1 - x0), side), fill=255)
    striped = Image.composite(
        top.textured(lying, _wool(stripe)),
        top.textured(lying, material),
        _laid(bands, back - 12, front + 24, 0.81),
    )
    shade = dim(side, [[(x, y + 24) for x, y in face]], 14, 0.6)
    picture.alpha_composite(onto(shade, picture))
    striped.putalpha(top.mask)
    picture.alpha_composite(striped)
    # the top layer falls over the front edge and ends in a fringe
    flap = smooth(
        [
            (154, front - 20),
            (330, front - 8),
            (500, front - 6),
            (670, front - 8),
            (846, front - 20),
            (852, front + 40),
            (846, front + 92),
            (670, front + 100),
            (500, front + 102),
            (330, front + 100),
            (154, front + 92),
            (148, front + 40),
        ],
        closed=True,
    )
    hanging = cloth(
        side,
        [flap],
        puff=1.0,
        folds=[
            *(
                Fold(((x, front - 6), (x + 6, front + 50), (x - 2, front + 100)), 34, height)
                for x, height in ((220, 7), (330, -5), (430, 8), (560, -6), (650, 7), (770, 6))
            ),
            Fold(((160, front - 12), (500, front + 2), (840, front - 12)), 28, 9),
        ],
    )
    shade = dim(side, [[(x + 4, y + 26) for x, y in flap]], 14, 0.55)
    picture.alpha_composite(onto(shade, picture))
    banded = Image.composite(
        hanging.textured(weave, _wool(stripe)), hanging.textured(weave, material), bands
    )
    picture.alpha_composite(_fringe(side, 160, 842, front + 90, 52, material, rng))
    banded.putalpha(hanging.mask)
    picture.alpha_composite(banded)
    return picture


def _laid(texture: Image.Image, back: float, front: float, narrow: float) -> Image.Image:
    """Lay a square texture flat: rows between back and front, the far edge narrower."""
    side = texture.width
    k = side / UNITS
    out = Image.new("L", (side, side), 128)
    y0, y1 = round(back * k), round(front * k)
    strips = 24
    mesh: list[tuple[tuple[int, int, int, int], tuple[float, ...]]] = []
    for i in range(strips):
        top, bottom = (y1 - y0) * i // strips, (y1 - y0) * (i + 1) // strips
        spans = []
        for row in (top, bottom):
            t = row / (y1 - y0)
            width = narrow + (1 - narrow) * t
            spread = side * 0.5 / width
            spans.append((side / 2 - spread, side / 2 + spread, t**0.85 * side * 0.45))
        (a0, b0, v0), (a1, b1, v1) = spans
        mesh.append(((0, top, side, bottom), (a0, v0, a1, v1, b1, v1, b0, v0)))
    flat = texture.transform(
        (side, y1 - y0), Image.Transform.MESH, mesh, Image.Resampling.BILINEAR, fillcolor=128
    )
    out.paste(flat, (0, y0))
    return out


def _fringe(
    side: int, left: float, right: float, top: float, length: float, material: Ramp, rng: Random
) -> Image.Image:
    scale = 2
    k = side / UNITS * scale
    layer = Image.new("RGBA", (side * scale, side * scale), (*material.base, 0))
    pen = ImageDraw.Draw(layer)
    x = left
    while x < right:
        tone = mix(material.dark, mix(material.base, material.light, 0.3), rng.uniform(0.55, 1.0))
        sway = rng.uniform(-7, 7)
        end = top + length * rng.uniform(0.82, 1.05)
        pen.line(
            [
                (x * k, top * k),
                ((x + sway * 0.3) * k, (top + length * 0.5) * k),
                ((x + sway) * k, end * k),
            ],
            fill=(*tone, 255),
            width=max(2, round(5.5 * k)),
        )
        x += 7.2
    return layer.reduce(scale)


def tote(side: int, colour: str) -> Image.Image:
    """A heavy canvas tote with leather handles."""
    base = CANVAS[colour]
    material = ramp(base, depth=0.78, glow=0.45)
    k = side / UNITS
    weave = faded(linen(side, 3.0 * k), 0.42)
    top, bottom = 400.0, GROUND + 6
    bag = smooth(
        [
            (226, top + 6),
            (360, top + 14),
            (500, top + 18),
            (640, top + 14),
            (774, top + 6),
            (784, 560),
            (796, 720),
            (800, 860),
            (784, bottom - 18),
            (740, bottom),
            (500, bottom + 10),
            (260, bottom),
            (216, bottom - 18),
            (200, 860),
            (204, 720),
            (216, 560),
        ],
        closed=True,
        steps=8,
    )
    solid = cloth(
        side,
        [bag],
        puff=1.5,
        folds=[
            Fold(((330, top + 40), (352, 600), (318, 780)), 60, -9),
            Fold(((662, top + 40), (648, 580), (690, 800)), 60, -10),
            Fold(((470, top + 60), (500, 640), (470, 800)), 90, 10),
            Fold(((216, 850), (380, 812), (600, 838), (790, 818)), 44, 10),
            Fold(((230, 640), (290, 700), (300, 790)), 40, 7),
            Fold(((780, 620), (730, 700), (730, 780)), 40, -7),
        ],
    )
    inside = smooth(
        [
            (232, top + 4),
            (360, top - 14),
            (500, top - 18),
            (640, top - 14),
            (768, top + 4),
            (640, top + 16),
            (500, top + 20),
            (360, top + 16),
        ],
        closed=True,
    )
    lining = Image.new("RGBA", (side, side), (*mix(material.dark, base, 0.35), 0))
    lining.putalpha(outline(side, [inside]))
    leather = ramp(LEATHER)

    def handle(y: float, lift: float) -> Image.Image:
        return tube(
            side,
            [
                (368, y + 190),
                (366, y + 60),
                (372, y - 60),
                (404, y - lift + 34),
                (500, y - lift),
                (596, y - lift + 34),
                (628, y - 60),
                (634, y + 60),
                (632, y + 190),
            ],
            [15.0],
            flat=0.8,
        ).paint(leather, gloss=0.12)

    back = handle(top - 14, 236)
    front = handle(top + 24, 214)
    body = solid.textured(weave, material)
    hem = dim(
        side,
        [
            [
                (200, top + 66),
                (500, top + 78),
                (800, top + 66),
                (800, top + 72),
                (500, top + 84),
                (200, top + 72),
            ]
        ],
        2.5,
        0.4,
    )
    strap = dim(
        side,
        [
            [(356, top + 20), (386, top + 20), (388, top + 224), (358, top + 224)],
            [(620, top + 20), (650, top + 20), (652, top + 224), (622, top + 224)],
        ],
        9,
        0.4,
    )
    rivets = blank(side)
    for x in (368, 632):
        for dy in (150, 196):
            stud = lathe(
                side, [(0.0, 9.0), (6.0, 9.0), (10.0, 2.0)], cx=x, ground=top + dy, tilt=62.0
            )
            rivets.alpha_composite(stud.paint(BRASS, gloss=0.6))
    patch_shape = [(452.0, 700.0), (548.0, 700.0), (548.0, 760.0), (452.0, 760.0)]
    patch = cloth(side, [patch_shape], puff=0.5)
    sewn = blank(side)
    _stitches(sewn, [(458, 706), (542, 706), (542, 754), (458, 754), (458, 706)], (226, 200, 160))
    stitched = blank(side)
    _stitches(
        stitched,
        [(214, top + 70), (500, top + 82), (786, top + 70)],
        mix(base, (255, 250, 240), 0.5),
    )
    picture = stack(
        side,
        back,
        lining,
        body,
        onto(hem, body),
        onto(stitched, body),
        onto(strap, body),
        front,
        rivets,
    )
    drop = dim(side, [[(x + 3, y + 5) for x, y in patch_shape]], 5, 0.5)
    return stack(side, picture, onto(drop, body), patch.paint(leather), sewn)


def _stitches(picture: Image.Image, path: Sequence[Point], colour: Colour) -> None:
    """Draw a dashed line of thread."""
    k = picture.width / UNITS
    pen = ImageDraw.Draw(picture)
    for (ax, ay), (bx, by) in pairwise(path):
        length = sqrt((bx - ax) ** 2 + (by - ay) ** 2)
        count = max(1, int(length / 9))
        for i in range(count):
            a, b = (i + 0.15) / count, (i + 0.75) / count
            pen.line(
                (
                    (ax + (bx - ax) * a) * k,
                    (ay + (by - ay) * a) * k,
                    (ax + (bx - ax) * b) * k,
                    (ay + (by - ay) * b) * k,
                ),
                fill=(*colour, 210),
                width=max(1, round(1.8 * k)),
            )


def apron(side: int, colour: str) -> Image.Image:
    """A linen apron with a cross-stitched pocket, hung on a stand."""
    base = CANVAS[colour]
    material = ramp(base, depth=0.78, glow=0.45)
    k = side / UNITS
    weave = faded(linen(side, 2.6 * k, seed=8), 0.5)
    shape = smooth(
        [
            (404, 216),
            (500, 224),
            (596, 216),
            (604, 300),
            (634, 384),
            (712, 438),
            (722, 560),
            (734, 700),
            (746, 838),
            (640, 850),
            (500, 842),
            (360, 852),
            (254, 838),
            (266, 700),
            (278, 560),
            (288, 438),
            (366, 384),
            (396, 300),
        ],
        closed=True,
        steps=8,
    )
    solid = cloth(
        side,
        [shape],
        puff=0.9,
        folds=[
            Fold(((330, 450), (318, 620), (300, 846)), 46, 28),
            Fold(((390, 470), (386, 640), (372, 846)), 40, -28),
            Fold(((470, 640), (462, 740), (450, 846)), 46, 24),
            Fold(((560, 620), (574, 740), (570, 846)), 44, -26),
            Fold(((640, 470), (656, 650), (660, 846)), 46, 28),
            Fold(((700, 470), (706, 640), (716, 846)), 30, -24),
            Fold(((420, 240), (452, 320), (440, 400)), 40, 16),
            Fold(((590, 240), (556, 330), (566, 400)), 40, -16),
            Fold(((290, 440), (400, 424), (500, 440), (600, 424), (710, 440)), 26, -16),
        ],
    )
    body = solid.textured(weave, material)
    strap_back = tube(
        side,
        [(418, 232), (420, 190), (450, 164), (500, 156), (550, 164), (580, 190), (582, 232)],
        [7.0],
        flat=0.7,
    )
    ties = [
        tube(
            side,
            [
                (500 + s * 204, 450),
                (500 + s * 240, 512),
                (500 + s * 256, 610),
                (500 + s * 264, 700),
                (500 + s * 258, 776),
            ],
            [7.0, 6.5, 6.0, 6.5, 7.0],
            flat=0.7,
        )
        for s in (-1, 1)
    ]
    pocket_shape = smooth(
        [
            (392, 540),
            (500, 546),
            (608, 540),
            (610, 600),
            (606, 676),
            (590, 700),
            (500, 706),
            (410, 700),
            (394, 676),
            (390, 600),
        ],
        closed=True,
    )
    pocket = cloth(
        side,
        [pocket_shape],
        puff=0.6,
        folds=[
            Fold(((450, 550), (446, 620), (452, 700)), 40, 7),
            Fold(((548, 550), (556, 620), (546, 700)), 40, -7),
            Fold(((394, 552), (500, 560), (606, 552)), 12, 8),
        ],
    )
    drop = dim(side, [[(x + 4, y + 8) for x, y in pocket_shape]], 8, 0.5)
    seams = blank(side)
    thread = mix(base, (255, 250, 240), 0.55)
    _stitches(seams, [(400, 562), (500, 569), (600, 562)], thread)
    _stitches(
        seams,
        [(400, 570), (402, 672), (414, 690), (500, 696), (586, 690), (598, 672), (600, 570)],
        thread,
    )
    _stitches(seams, [(414, 238), (500, 245), (586, 238)], thread)
    _stitches(seams, [(266, 824), (360, 837), (500, 827), (640, 835), (736, 824)], thread)
    cord = ramp(mix(base, (60, 44, 34), 0.15))
    studs = blank(side)
    for x in (418, 582):
        stud = lathe(side, [(0.0, 10.0), (6.0, 10.0), (10.0, 2.0)], cx=x, ground=236, tilt=62.0)
        studs.alpha_composite(stud.paint(BRASS, gloss=0.6))
    return stack(
        side,
        _stand(side, 752, bar=0),
        strap_back.paint(cord),
        *(tie.paint(cord) for tie in ties),
        body,
        onto(drop, body),
        pocket.textured(weave, material),
        seams,
        studs,
    )


PAINTERS: dict[str, Callable[[int, str], Image.Image]] = {
    "sweater": sweater,
    "beanie": beanie,
    "blanket": blanket,
    "tote": tote,
    "apron": apron,
}
