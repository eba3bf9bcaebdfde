"""Clay, glass and metal: mug, teapot, plates, vase, candle and lamp.

Every painter takes the pixels along one side and returns the object cut out, standing on GROUND.
"""

from collections.abc import Callable
from math import atan2, cos, degrees, pi, radians, sin
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from liveshop.demo.art.form import TILT, Solid, dish, lathe, opening, tube
from liveshop.demo.art.light import (
    GROUND,
    UNITS,
    Colour,
    Point,
    Ramp,
    ellipse_points,
    mix,
    outline,
    ramp,
    smooth,
)

CLAY: Colour = (190, 154, 124)
BRASS = Ramp((70, 46, 22), (190, 146, 82), (255, 236, 190))
GLAZES: dict[str, Colour] = {
    "Oat": (222, 209, 187),
    "Moss": (121, 132, 96),
    "Ink": (54, 68, 86),
}
VESSELS: dict[str, Colour] = {
    "Cedar & Smoke": (92, 84, 80),
    "Fig Leaf": (142, 152, 126),
    "Beeswax": (214, 190, 150),
}


def blank(side: int) -> Image.Image:
    return Image.new("RGBA", (side, side), (0, 0, 0, 0))


def _glazed(
    solid: Solid,
    glaze: Colour,
    *,
    dip: float,
    gloss: float,
    seed: int,
    body: Colour = CLAY,
) -> Image.Image:
    """Paint a body in glaze down to a dip line (share of the height), raw clay below, speckled."""
    coat = _speckled(solid.paint(ramp(glaze), gloss=gloss), seed, glaze)
    raw = _speckled(solid.paint(ramp(body, glow=0.35)), seed + 1, body, density=1.6)
    if dip <= 0:
        return coat
    # the glaze pools a little thicker and darker along its lower edge
    pool = ImageChops.subtract(solid.below(dip + 0.022), solid.below(dip))
    wet = Image.composite(solid.paint(ramp(mix(glaze, (40, 30, 24), 0.4)), gloss=gloss), coat, pool)
    return Image.composite(raw, wet, solid.below(dip))


def _speckled(picture: Image.Image, seed: int, base: Colour, density: float = 1.0) -> Image.Image:
    """Strew iron specks, as stoneware has them."""
    side = picture.width
    rng = Random(seed)
    specks = Image.new("L", (side * 2, side * 2), 0)
    pen = ImageDraw.Draw(specks)
    for _ in range(int(900 * density)):
        x, y = rng.random() * side * 2, rng.random() * side * 2
        r = side / 620 * (0.5 + 2.0 * rng.random() ** 4)
        pen.ellipse((x - r, y - r * 0.9, x + r, y + r * 0.9), fill=rng.randint(60, 170))
    specks = specks.reduce(2)
    alpha = picture.getchannel("A")
    ink = Image.new("RGB", picture.size, mix(base, (48, 34, 26), 0.72))
    out = Image.composite(ink, picture.convert("RGB"), specks)
    out.putalpha(alpha)
    return out


def stack(side: int, *layers: Image.Image) -> Image.Image:
    picture = blank(side)
    for layer in layers:
        picture.alpha_composite(layer)
    return picture


def dim(side: int, shapes: list[list[Point]], blur: float, strength: float) -> Image.Image:
    """Return a soft dark patch, to be laid where one part shades another."""
    mask = outline(side, shapes).filter(ImageFilter.GaussianBlur(blur * side / UNITS))
    out = Image.new("RGBA", (side, side), (40, 26, 18, 0))
    out.putalpha(mask.point([round(i * strength) for i in range(256)]))
    return out


def onto(patch: Image.Image, target: Image.Image) -> Image.Image:
    """Keep only the part of a patch that lies on the target."""
    patch.putalpha(ImageChops.multiply(patch.getchannel("A"), target.getchannel("A")))
    return patch


def mug(side: int, colour: str) -> Image.Image:
    """A stoneware mug, dipped in glaze, raw clay at the foot."""
    glaze = GLAZES[colour]
    profile = [
        (0.0, 196.0),
        (14.0, 214.0),
        (60.0, 246.0),
        (150.0, 272.0),
        (300.0, 280.0),
        (440.0, 270.0),
        (540.0, 262.0),
        (558.0, 262.0),
    ]
    cx = 440.0
    body = lathe(side, profile, cx=cx)
    handle = tube(
        side,
        [
            (cx + 225, GROUND - 436),
            (cx + 318, GROUND - 452),
            (cx + 388, GROUND - 406),
            (cx + 416, GROUND - 318),
            (cx + 394, GROUND - 228),
            (cx + 326, GROUND - 166),
            (cx + 235, GROUND - 142),
        ],
        [36.0, 33.0, 31.0, 30.0, 31.0, 33.0, 36.0],
    )
    rim = dish(side, 558.0, 261.5, lambda share: 0.0, cx=cx)
    inside = opening(side, 556.0, 250.0, depth=330.0, cx=cx)
    painted = _glazed(body, glaze, dip=0.2, gloss=0.75, seed=3)
    inner: Colour = mix(glaze, (236, 226, 210), 0.75)
    lip = rim.paint(ramp(mix(glaze, CLAY, 0.45)), gloss=0.6)
    arm = _speckled(handle.paint(ramp(glaze), gloss=0.45), 5, glaze)
    touch = dim(
        side,
        [
            ellipse_points(cx + 262, GROUND - 150, 40, 46),
            ellipse_points(cx + 258, GROUND - 445, 40, 46),
        ],
        18,
        0.4,
    )
    well = inside.paint(ramp(inner), gloss=0.3)
    return stack(side, arm, painted, onto(touch, painted), lip, well)


def teapot(side: int, colour: str) -> Image.Image:
    """A round teapot with a tapered spout and a brass bow."""
    glaze = GLAZES[colour]
    profile = [
        (0.0, 150.0),
        (12.0, 172.0),
        (70.0, 244.0),
        (170.0, 288.0),
        (270.0, 276.0),
        (350.0, 214.0),
        (392.0, 142.0),
        (402.0, 120.0),
    ]
    cx = 478.0
    body = lathe(side, profile, cx=cx)
    spout = tube(
        side,
        [
            (cx + 200, GROUND - 130),
            (cx + 300, GROUND - 195),
            (cx + 352, GROUND - 290),
            (cx + 420, GROUND - 372),
        ],
        [74.0, 52.0, 34.0, 25.0],
    )
    mouth = outline(side, [[(x, y) for x, y in _turned(cx + 424, GROUND - 378, 20, 9, 38)]])
    lid = lathe(
        side, [(396.0, 136.0), (404.0, 140.0), (424.0, 118.0), (446.0, 66.0), (452.0, 24.0)], cx=cx
    )
    knob = lathe(
        side,
        [(446.0, 16.0), (462.0, 14.0), (474.0, 26.0), (492.0, 34.0), (510.0, 26.0), (516.0, 6.0)],
        cx=cx,
    )
    bow = tube(
        side,
        [
            (cx - 196, GROUND - 330),
            (cx - 214, GROUND - 450),
            (cx - 170, GROUND - 600),
            (cx, GROUND - 672),
            (cx + 170, GROUND - 600),
            (cx + 214, GROUND - 450),
            (cx + 196, GROUND - 330),
        ],
        [13.0],
    )
    grip = tube(
        side,
        [(cx - 118, GROUND - 638), (cx, GROUND - 672), (cx + 118, GROUND - 638)],
        [20.0, 23.0, 20.0],
    )
    lugs = [
        tube(side, [(cx + s * 190, GROUND - 300), (cx + s * 200, GROUND - 346)], [26.0, 19.0])
        for s in (-1, 1)
    ]
    painted = _glazed(body, glaze, dip=0.13, gloss=0.8, seed=11)
    beak = _speckled(spout.paint(ramp(glaze), gloss=0.2), 12, glaze)
    hole = Image.new("RGBA", (side, side), (38, 28, 24, 0))
    hole.putalpha(mouth)
    under_lid = dim(side, [ellipse_points(cx, GROUND - 380, 146, 40)], 12, 0.45)
    root = dim(side, [ellipse_points(cx + 232, GROUND - 150, 48, 76)], 22, 0.35)
    return stack(
        side,
        beak,
        hole,
        painted,
        onto(root, painted),
        onto(under_lid, painted),
        *(_speckled(lug.paint(ramp(glaze), gloss=0.6), 13, glaze) for lug in lugs),
        _speckled(lid.paint(ramp(glaze), gloss=0.8), 14, glaze),
        knob.paint(BRASS, gloss=0.9),
        bow.paint(BRASS, gloss=0.25),
        grip.paint(ramp((126, 84, 52)), gloss=0.15),
    )


def _turned(cx: float, cy: float, rx: float, ry: float, degrees: float) -> list[Point]:
    c, s = cos(radians(degrees)), sin(radians(degrees))
    return [
        (cx + (x * c - y * s), cy + (x * s + y * c)) for x, y in ellipse_points(0.0, 0.0, rx, ry)
    ]


def _plate_slope(share: float) -> float:
    if share < 0.60:
        return 0.0
    if share < 0.72:
        return 0.55 * sin((share - 0.60) / 0.12 * pi / 2)
    return 0.55 - 0.35 * (share - 0.72) / 0.28


def plates(side: int, colour: str) -> Image.Image:
    """A stack of four plates with raw rims and a small bowl on top."""
    del colour
    tilt = 24.0
    tones: list[Colour] = [(206, 190, 168), (150, 158, 138), (226, 215, 198), (94, 108, 120)]
    picture = blank(side)
    base = GROUND - 100
    # the lowest rim overhangs its foot: the shade under it is part of the object
    picture.alpha_composite(dim(side, [ellipse_points(512, base + 44, 352, 122)], 24, 0.62))
    for index, tone in enumerate(tones):
        lift = 50.0 * index
        shell = lathe(
            side,
            [
                (lift + 0.0, 226.0),
                (lift + 10.0, 250.0),
                (lift + 28.0, 330.0),
                (lift + 50.0, 410.0),
                (lift + 58.0, 414.0),
            ],
            ground=base,
            tilt=tilt,
        )
        shadow = dim(side, [ellipse_points(510, base - lift * 0.91 + 60, 330, 130)], 26, 0.5)
        if index:
            picture.alpha_composite(onto(shadow, picture))
        picture.alpha_composite(_speckled(shell.paint(ramp(tone), gloss=0.5), 20 + index, tone))
        rim = outline(side, [ellipse_points(500, base - (lift + 58) * 0.9135, 414, 414 * 0.4067)])
        edge = Image.new("RGBA", (side, side), (*mix(tone, CLAY, 0.75), 0))
        edge.putalpha(rim)
        picture.alpha_composite(edge)
        top = dish(side, lift + 56.0, 404.0, _plate_slope, ground=base, tilt=tilt)
        picture.alpha_composite(_speckled(top.paint(ramp(tone), gloss=0.35), 30 + index, tone))
    lift = 50.0 * 3 + 22.0
    cup: Colour = (226, 215, 198)
    ct = cos(radians(tilt))
    rest = dim(side, [ellipse_points(530, base - lift * ct + 14, 180, 70)], 24, 0.6)
    picture.alpha_composite(onto(rest, picture))
    bowl = lathe(
        side,
        [
            (lift, 84.0),
            (lift + 12.0, 110.0),
            (lift + 60.0, 176.0),
            (lift + 120.0, 212.0),
            (lift + 150.0, 220.0),
        ],
        ground=base,
        tilt=tilt,
    )
    picture.alpha_composite(_glazed(bowl, cup, dip=0.0, gloss=0.6, seed=41))
    rim_y = base - (lift + 150) * ct
    rim = outline(side, [ellipse_points(500, rim_y, 220, 220 * 0.4067)])
    lip = Image.new("RGBA", (side, side), (*mix(cup, CLAY, 0.75), 0))
    lip.putalpha(rim)
    picture.alpha_composite(lip)
    hollow = dish(
        side, lift + 150.0, 211.0, lambda share: 0.1 + 1.15 * share, ground=base, tilt=tilt
    )
    picture.alpha_composite(
        _speckled(hollow.paint(ramp((94, 108, 120)), gloss=0.7), 42, (94, 108, 120))
    )
    return picture


def vase(side: int, colour: str) -> Image.Image:
    """A bottle vase with eucalyptus twigs."""
    del colour
    clay: Colour = (206, 186, 164)
    profile = [
        (0.0, 92.0),
        (10.0, 106.0),
        (70.0, 164.0),
        (150.0, 186.0),
        (230.0, 164.0),
        (300.0, 96.0),
        (350.0, 52.0),
        (410.0, 40.0),
        (448.0, 50.0),
        (456.0, 54.0),
    ]
    cx = 500.0
    body = lathe(side, profile, cx=cx)
    inside = opening(side, 456.0, 44.0, depth=120.0, cx=cx)
    painted = _glazed(body, clay, dip=0.0, gloss=0.12, seed=51)
    # the potter's rings, turned into the shoulder
    rings = blank(side)
    for at in (0.30, 0.34, 0.38):
        groove = ImageChops.subtract(body.below(at + 0.004), body.below(at - 0.004))
        line = Image.new("RGBA", (side, side), (84, 62, 46, 0))
        line.putalpha(
            ImageChops.multiply(groove, body.mask).point([round(i * 0.4) for i in range(256)])
        )
        rings.alpha_composite(line)
    twigs = blank(side)
    rng = Random(7)
    leaf = _Leaf(side)
    neck: Point = (cx, GROUND - 445)
    for tip, bend in (
        ((300.0, 190.0), -60.0),
        ((470.0, 90.0), 30.0),
        ((680.0, 165.0), 80.0),
        ((590.0, 230.0), 60.0),
        ((390.0, 280.0), -50.0),
    ):
        mid = ((neck[0] + tip[0]) / 2 - bend * 0.4, (neck[1] + tip[1]) / 2 - 20)
        stem = smooth([(neck[0] + bend * 0.12, neck[1] + 20), mid, tip], steps=9)
        leaf.twig(twigs, stem, rng)
    return stack(side, inside.paint(ramp(clay)), twigs, painted, rings)


class _Leaf:
    """Draws eucalyptus: round leaves in pairs along a thin stem."""

    def __init__(self, side: int) -> None:
        self._side = side
        big = 120
        shape = Image.new("L", (big * 2, big * 2), 0)
        ImageDraw.Draw(shape).ellipse((big * 0.45, big * 0.1, big * 1.55, big * 1.9), fill=255)
        light = Image.linear_gradient("L").resize((big * 2, big * 2)).rotate(60)
        self._shape = shape.resize((big, big), Image.Resampling.LANCZOS)
        tones: list[Image.Image] = []
        for dark, bright in (
            ((62, 82, 70), (164, 184, 164)),
            ((78, 98, 80), (186, 200, 176)),
            ((54, 76, 70), (138, 164, 150)),
        ):
            low, high = Image.new("RGB", (big, big), dark), Image.new("RGB", (big, big), bright)
            picture = Image.composite(high, low, light.resize((big, big)))
            ImageDraw.Draw(picture).line(
                (big / 2, big * 0.08, big / 2, big * 0.95), fill=mix(dark, bright, 0.35), width=3
            )
            picture.putalpha(self._shape)
            tones.append(picture)
        self._tones = tones

    def twig(self, picture: Image.Image, stem: list[Point], rng: Random) -> None:
        k = self._side / UNITS
        scale = 2
        layer = Image.new("RGBA", (self._side * scale, self._side * scale), (96, 92, 70, 0))
        ImageDraw.Draw(layer).line(
            [(x * k * scale, y * k * scale) for x, y in stem],
            fill=(98, 90, 68, 255),
            width=max(2, round(6 * k * scale)),
            joint="curve",
        )
        picture.alpha_composite(layer.reduce(scale))
        count = len(stem)
        for i in range(4, count, 2):
            x, y = stem[i]
            along = i / count
            lean = degrees(atan2(x - stem[i - 1][0], stem[i - 1][1] - y))
            for hand in (-1, 1):
                size = (112 - 54 * along) * (0.85 + 0.3 * rng.random())
                turn = lean + hand * (38 + 30 * rng.random())
                squeeze = 0.72 + 0.4 * rng.random()
                leaf = self._tones[rng.randrange(len(self._tones))]
                width, height = max(2, round(size * squeeze * k)), max(2, round(size * k))
                small = leaf.resize((width, height), Image.Resampling.LANCZOS)
                drop = Image.new("RGBA", (height * 2, height * 2), (0, 0, 0, 0))
                drop.paste(small, (height - width // 2, 0))
                turned = drop.rotate(-turn, Image.Resampling.BICUBIC)
                at = (round(x * k) - height, round(y * k) - height)
                if at[0] < 0 or at[1] < 0:
                    continue
                picture.alpha_composite(turned, at)
        x, y = stem[-1]
        small = self._tones[1].resize((max(2, round(34 * k)), max(2, round(50 * k))))
        picture.alpha_composite(small, (max(0, round((x - 17) * k)), max(0, round((y - 46) * k))))


def candle(side: int, colour: str) -> Image.Image:
    """A burning candle in a ceramic vessel, its turned lid leaning beside it."""
    tone = VESSELS[colour]
    cx = 470.0
    vessel = lathe(
        side,
        [
            (0.0, 206.0),
            (10.0, 222.0),
            (30.0, 230.0),
            (240.0, 234.0),
            (420.0, 232.0),
            (436.0, 228.0),
        ],
        cx=cx,
    )
    inside = opening(side, 438.0, 214.0, depth=120.0, cx=cx)
    ct, st = cos(radians(TILT)), sin(radians(TILT))
    painted = _glazed(vessel, tone, dip=0.0, gloss=0.22, seed=61)
    rim_y = GROUND - 438 * ct
    lip = Image.new("RGBA", (side, side), (*mix(tone, (255, 244, 226), 0.4), 0))
    lip.putalpha(outline(side, [ellipse_points(cx, rim_y, 229, 229 * st)]))
    wax_y = GROUND - 392 * ct
    wax = dish(side, 392.0, 213.0, lambda share: 0.06 * share, cx=cx)
    pool = wax.paint(ramp((246, 228, 190), depth=0.35, glow=0.8))
    warm = Image.new("RGBA", (side, side), (255, 196, 96, 0))
    warm.putalpha(
        outline(side, [ellipse_points(cx, wax_y, 110, 110 * st)]).filter(
            ImageFilter.GaussianBlur(26 * side / UNITS)
        )
    )
    mouth = outline(side, [ellipse_points(cx, rim_y, 214, 214 * st)])
    for layer in (pool, warm):
        layer.putalpha(ImageChops.multiply(layer.getchannel("A"), mouth))
    wick = tube(side, [(cx, wax_y + 4), (cx + 2, wax_y - 24), (cx + 5, wax_y - 40)], [5.0, 4.0])
    flame_shape = smooth(
        [
            (cx + 3, wax_y - 190),
            (cx + 24, wax_y - 120),
            (cx + 32, wax_y - 66),
            (cx + 4, wax_y - 26),
            (cx - 24, wax_y - 66),
            (cx - 14, wax_y - 124),
        ],
        closed=True,
    )
    core = smooth(
        [
            (cx + 3, wax_y - 130),
            (cx + 14, wax_y - 84),
            (cx + 14, wax_y - 56),
            (cx + 4, wax_y - 36),
            (cx - 8, wax_y - 56),
            (cx - 6, wax_y - 88),
        ],
        closed=True,
    )
    soft = 5 * side / UNITS
    flame = Image.new("RGBA", (side, side), (255, 178, 66, 0))
    flame.putalpha(outline(side, [flame_shape]).filter(ImageFilter.GaussianBlur(soft)))
    heart = Image.new("RGBA", (side, side), (255, 246, 214, 0))
    heart.putalpha(outline(side, [core]).filter(ImageFilter.GaussianBlur(soft * 1.4)))
    halo = Image.new("RGBA", (side, side), (255, 206, 128, 0))
    halo.putalpha(
        outline(side, [ellipse_points(cx + 3, wax_y - 96, 60, 90)])
        .filter(ImageFilter.GaussianBlur(54 * side / UNITS))
        .point([round(i * 0.5) for i in range(256)])
    )
    lid = lathe(
        side,
        [(0.0, 118.0), (4.0, 122.0), (30.0, 122.0), (36.0, 116.0)],
        cx=800.0,
        ground=GROUND + 30,
    )
    lid_top = dish(side, 36.0, 116.0, lambda share: 0.0, cx=800.0, ground=GROUND + 30)
    knob = lathe(
        side,
        [(34.0, 16.0), (52.0, 12.0), (64.0, 24.0), (78.0, 26.0), (86.0, 6.0)],
        cx=800.0,
        ground=GROUND + 30,
    )
    oak = ramp((178, 134, 92))
    return stack(
        side,
        painted,
        lip,
        inside.paint(ramp(tone)),
        pool,
        warm,
        wick.paint(ramp((60, 44, 36))),
        halo,
        flame,
        heart,
        lid.paint(oak),
        lid_top.paint(oak),
        knob.paint(oak, gloss=0.1),
    )


def lamp(side: int, colour: str) -> Image.Image:
    """A table lamp: opal glass dome on a brass stem and a turned oak foot, switched on."""
    del colour
    cx = 500.0
    foot = lathe(
        side,
        [(0.0, 150.0), (6.0, 158.0), (34.0, 160.0), (54.0, 136.0), (76.0, 60.0), (92.0, 30.0)],
        cx=cx,
    )
    stem = tube(side, [(cx, GROUND - 84), (cx, GROUND - 300), (cx, GROUND - 520)], [13.0])
    collar = lathe(side, [(452.0, 24.0), (470.0, 52.0), (486.0, 56.0), (496.0, 40.0)], cx=cx)
    shade = lathe(
        side,
        [
            (478.0, 262.0),
            (484.0, 288.0),
            (508.0, 306.0),
            (570.0, 300.0),
            (660.0, 252.0),
            (736.0, 166.0),
            (776.0, 70.0),
            (784.0, 12.0),
        ],
        cx=cx,
    )
    finial = lathe(
        side, [(780.0, 12.0), (794.0, 12.0), (806.0, 20.0), (820.0, 18.0), (828.0, 4.0)], cx=cx
    )
    opal = Ramp((214, 158, 96), (255, 226, 178), (255, 250, 236))
    dome = shade.paint(opal, gloss=0.35)
    # lit from within: brightest low in the middle, where the bulb hangs
    glow = Image.new("RGBA", (side, side), (255, 247, 222, 0))
    bulb = outline(side, [ellipse_points(cx - 10, GROUND - 560, 150, 96)]).filter(
        ImageFilter.GaussianBlur(66 * side / UNITS)
    )
    glow.putalpha(ImageChops.multiply(bulb, shade.mask))
    spill = Image.new("RGBA", (side, side), (255, 214, 150, 0))
    spill.putalpha(
        outline(
            side,
            [
                ellipse_points(cx, GROUND - 10, 130, 20),
                [
                    (cx - 14, GROUND - 460),
                    (cx + 14, GROUND - 460),
                    (cx + 16, GROUND - 100),
                    (cx - 16, GROUND - 100),
                ],
            ],
        )
        .filter(ImageFilter.GaussianBlur(10 * side / UNITS))
        .point([round(i * 0.4) for i in range(256)])
    )
    oak = ramp((170, 124, 82))
    return stack(
        side,
        stem.paint(BRASS, gloss=0.25),
        foot.paint(oak, gloss=0.15),
        collar.paint(BRASS, gloss=0.9),
        dome,
        glow,
        finial.paint(BRASS, gloss=0.9),
    )


PAINTERS: dict[str, Callable[[int, str], Image.Image]] = {
    "mug": mug,
    "teapot": teapot,
    "plates": plates,
    "vase": vase,
    "candle": candle,
    "lamp": lamp,
}
