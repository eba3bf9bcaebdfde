"""Oak: the serving board."""

from collections.abc import Callable

from PIL import Image, ImageFilter

from liveshop.demo.art.ceramics import blank, dim, onto
from liveshop.demo.art.form import cloth, tube
from liveshop.demo.art.light import GROUND, UNITS, Ramp, outline, ramp, smooth
from liveshop.demo.art.weave import grain

OAK = Ramp((72, 42, 22), (190, 142, 94), (250, 226, 186))


def board(side: int, colour: str) -> Image.Image:
    """A leaning oak board with a handle, a hole and a leather loop; a slimmer one behind it."""
    del colour
    k = side / UNITS
    wood = grain(side)
    picture = blank(side)
    for offset, lift, tone, light in ((150.0, 70.0, (150, 98, 58), 0.9), (0.0, 0.0, OAK.base, 1.0)):
        material = OAK if light == 1.0 else ramp(tone)
        left, right = 262.0 + offset, 700.0 + offset
        top, bottom = 330.0 - lift, GROUND + 4
        mid = (left + right) / 2
        front = smooth(
            [
                (mid - 44, top - 168),
                (mid, top - 190),
                (mid + 44, top - 168),
                (mid + 52, top - 110),
                (mid + 60, top - 40),
                (mid + 110, top - 4),
                (right - 36, top + 12),
                (right, top + 60),
                (right + 4, 600),
                (right + 2, bottom - 26),
                (right - 26, bottom),
                (mid, bottom + 2),
                (left + 26, bottom),
                (left - 2, bottom - 26),
                (left - 4, 600),
                (left, top + 60),
                (left + 36, top + 12),
                (mid - 110, top - 4),
                (mid - 60, top - 40),
                (mid - 52, top - 110),
            ],
            closed=True,
        )
        edge = [(x + 20, y - 5) for x, y in front]
        hole = smooth(
            [(mid - 20, top - 116), (mid, top - 134), (mid + 20, top - 116), (mid, top - 97)],
            closed=True,
        )
        shade = dim(side, [[(x + 40, y + 4) for x, y in front]], 26, 0.55)
        picture.alpha_composite(onto(shade, picture))
        side_face = cloth(side, [edge], puff=0.4)
        dark = ramp((140, 98, 60)) if light == 1.0 else ramp((112, 72, 44))
        picture.alpha_composite(side_face.textured(wood, dark))
        face = cloth(side, [front], puff=0.55)
        painted = face.textured(wood if light == 1.0 else grain(side, seed=19), material)
        inner = Image.new("RGBA", (side, side), (64, 40, 24, 0))
        inner.putalpha(outline(side, [hole]))
        painted.alpha_composite(inner)
        lit_edge = Image.new("RGBA", (side, side), (214, 170, 120, 0))
        rim = [(x + 4, y + 6) for x, y in hole]
        lit_edge.putalpha(outline(side, [rim]).filter(ImageFilter.GaussianBlur(1.5 * k)))
        painted.alpha_composite(onto(lit_edge, inner))
        picture.alpha_composite(painted)
        if light == 1.0:
            loop = tube(
                side,
                [
                    (mid, top - 112),
                    (mid - 34, top - 60),
                    (mid - 30, top + 30),
                    (mid - 4, top + 74),
                    (mid + 22, top + 30),
                    (mid + 26, top - 60),
                    (mid + 2, top - 112),
                ],
                [5.5],
            )
            cast = dim(
                side,
                [
                    [
                        (x + 8, y + 10)
                        for x, y in smooth(
                            [
                                (mid - 34, top - 60),
                                (mid - 30, top + 30),
                                (mid - 4, top + 74),
                                (mid + 22, top + 30),
                                (mid + 18, top + 20),
                                (mid - 4, top + 60),
                                (mid - 22, top + 20),
                            ],
                            closed=True,
                        )
                    ]
                ],
                6,
                0.4,
            )
            picture.alpha_composite(onto(cast, picture))
            picture.alpha_composite(loop.paint(ramp((126, 78, 48))))
    return picture


PAINTERS: dict[str, Callable[[int, str], Image.Image]] = {"board": board}
