"""The catalogue: which pictures exist of each product and how each is arranged."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from PIL import Image, ImageChops, ImageFilter

from liveshop.demo.art import ceramics, form, textile, wood
from liveshop.demo.art.light import Colour
from liveshop.demo.art.scene import (
    BLUSH,
    MIST,
    OATMEAL,
    SAGE,
    Placed,
    bokeh,
    finish,
    glow,
    put,
    room,
    sweep,
)

Angle = Literal["front", "detail"]
ANGLES: tuple[Angle, ...] = ("front", "detail")
PICTURE_SIDE = 1600
COVER_SIZE = (1600, 900)
_SPRITE_SIDE = 1250
_PROP_SIDE = 900
# what is slim or flat on its square is drawn larger, to fill the picture like the others
_FRONT_SIDES = {"sweater": 1640, "apron": 1560, "blanket": 1480, "vase": 1400}

_PAINTERS = {**ceramics.PAINTERS, **textile.PAINTERS, **wood.PAINTERS}

#: the colourways a product is drawn in; products without a choice have one
COLOURS: dict[str, tuple[str, ...]] = {
    "mug": ("Oat", "Moss", "Ink"),
    "blanket": ("Natural",),
    "vase": ("Clay",),
    "sweater": ("Oatmeal", "Forest", "Rust"),
    "candle": ("Cedar & Smoke", "Fig Leaf", "Beeswax"),
    "plates": ("Mixed",),
    "beanie": ("Rust", "Forest", "Charcoal"),
    "lamp": ("Opal",),
    "board": ("Oak",),
    "apron": ("Slate", "Flax"),
    "teapot": ("Ink", "Oat"),
    "tote": ("Natural", "Ink"),
}
PRODUCT_KEYS: tuple[str, ...] = tuple(COLOURS)

_TINTS: dict[str, Colour] = {
    "mug": OATMEAL,
    "blanket": SAGE,
    "vase": BLUSH,
    "sweater": MIST,
    "candle": OATMEAL,
    "plates": BLUSH,
    "beanie": SAGE,
    "lamp": MIST,
    "board": SAGE,
    "apron": OATMEAL,
    "teapot": BLUSH,
    "tote": MIST,
}


@dataclass(frozen=True, slots=True)
class _Prop:
    """One object of an arrangement; shares are of the picture's width and height."""

    key: str
    colour: str
    x: float
    ground: float
    side: float


@dataclass(frozen=True, slots=True)
class _Crop:
    """A close look at one object: side of the drawing and what of it lies in the middle."""

    side: int
    x: float
    y: float


_DETAILS: dict[str, tuple[_Prop, ...] | _Crop] = {
    "mug": (
        _Prop("mug", "Ink", 0.70, 0.66, 0.46),
        _Prop("mug", "Moss", 0.31, 0.69, 0.50),
        _Prop("mug", "Oat", 0.52, 0.84, 0.58),
    ),
    "vase": (
        _Prop("vase", "Clay", 0.40, 0.82, 0.84),
        _Prop("candle", "Beeswax", 0.71, 0.85, 0.36),
    ),
    "candle": (
        _Prop("candle", "Beeswax", 0.70, 0.68, 0.42),
        _Prop("candle", "Cedar & Smoke", 0.30, 0.70, 0.46),
        _Prop("candle", "Fig Leaf", 0.52, 0.86, 0.54),
    ),
    "plates": (
        _Prop("teapot", "Oat", 0.72, 0.66, 0.50),
        _Prop("plates", "Mixed", 0.42, 0.86, 0.70),
    ),
    "beanie": (
        _Prop("beanie", "Charcoal", 0.72, 0.66, 0.46),
        _Prop("beanie", "Forest", 0.28, 0.69, 0.48),
        _Prop("beanie", "Rust", 0.50, 0.86, 0.58),
    ),
    "lamp": (
        _Prop("lamp", "Opal", 0.40, 0.80, 0.86),
        _Prop("mug", "Moss", 0.70, 0.84, 0.30),
    ),
    "teapot": (
        _Prop("teapot", "Ink", 0.42, 0.76, 0.70),
        _Prop("mug", "Oat", 0.76, 0.86, 0.30),
    ),
    "sweater": _Crop(2000, 0.50, 0.46),
    "blanket": _Crop(1900, 0.34, 0.70),
    "board": _Crop(1900, 0.50, 0.40),
    "apron": _Crop(1900, 0.50, 0.56),
    "tote": _Crop(1900, 0.42, 0.50),
}

_COVERS: tuple[tuple[_Prop, ...], ...] = (
    (
        _Prop("lamp", "Opal", 0.19, 0.80, 0.52),
        _Prop("board", "Oak", 0.80, 0.78, 0.46),
        _Prop("vase", "Clay", 0.62, 0.80, 0.48),
        _Prop("teapot", "Ink", 0.41, 0.86, 0.40),
        _Prop("plates", "Mixed", 0.70, 0.93, 0.28),
        _Prop("mug", "Oat", 0.54, 0.95, 0.20),
        _Prop("candle", "Fig Leaf", 0.27, 0.95, 0.20),
    ),
    (
        _Prop("sweater", "Forest", 0.22, 0.84, 0.56),
        _Prop("lamp", "Opal", 0.82, 0.80, 0.50),
        _Prop("tote", "Natural", 0.44, 0.84, 0.38),
        _Prop("beanie", "Rust", 0.64, 0.88, 0.28),
        _Prop("blanket", "Natural", 0.36, 0.965, 0.28),
        _Prop("mug", "Moss", 0.78, 0.95, 0.17),
    ),
)


@lru_cache(maxsize=24)
def sprite(product_key: str, colour: str, side: int) -> Image.Image:
    """Return one object cut out on a square of `side` pixels; do not change the picture."""
    return _PAINTERS[product_key](side, colour)


def forget() -> None:
    """Give back the memory that drawing keeps for speed (some hundred megabytes)."""
    sprite.cache_clear()
    form.forget()


def draw(product_key: str, colour: str, angle: Angle) -> Image.Image:
    """Return a catalogue picture of 1600 x 1600; `detail` is a close look or an arrangement."""
    tint = _TINTS[product_key]
    scene = sweep(PICTURE_SIDE, PICTURE_SIDE, tint)
    if angle == "front":
        side = _FRONT_SIDES.get(product_key, _SPRITE_SIDE)
        picture = sprite(product_key, colour, side)
        put(scene, Placed(picture, *_centred(picture), side))
        return finish(scene)
    detail = _DETAILS[product_key]
    if isinstance(detail, _Crop):
        close = _PAINTERS[product_key](detail.side, colour)
        form.forget()
        soft = scene.filter(ImageFilter.GaussianBlur(12))
        left = round(PICTURE_SIDE / 2 - detail.x * detail.side)
        top = round(PICTURE_SIDE / 2 - detail.y * detail.side)
        ground = top + 0.93 * detail.side
        put(soft, Placed(close, left + detail.side / 2, ground, detail.side))
        return finish(soft)
    _arrange(scene, detail)
    return finish(scene)


def _centred(picture: Image.Image) -> tuple[float, float]:
    """Return where to stand an object so that its outline sits a little below the middle."""
    box = picture.getchannel("A").getbbox() or (0, 0, *picture.size)
    x = PICTURE_SIDE / 2 + picture.width / 2 - (box[0] + box[2]) / 2
    middle = PICTURE_SIDE * 0.53
    ground = middle + (0.93 * picture.height - (box[1] + box[3]) / 2)
    return x, ground


def _arrange(scene: Image.Image, props: tuple[_Prop, ...]) -> None:
    width, height = scene.size
    for prop in props:
        side = round(prop.side * width)
        # two sizes are drawn and shared by all arrangements
        drawn = sprite(prop.key, prop.colour, _PROP_SIDE if side <= _PROP_SIDE else _SPRITE_SIDE)
        put(scene, Placed(drawn, prop.x * width, prop.ground * height, side))


def cover(index: int) -> Image.Image:
    """Return the cover of a show, 1600 x 900: 0 is the winter table, 1 the wardrobe."""
    width, height = COVER_SIZE
    wall, table = room(width, height, horizon=0.62)
    plant = bokeh(sprite("vase", "Clay", 620), 620, 9.0)
    wall.paste(plant, (round(width * (0.66 if index else 0.02)), round(height * 0.02)), plant)
    wall.paste(table, (0, 0), table)
    _arrange(wall, _COVERS[index])
    for prop in _COVERS[index]:
        if prop.key == "lamp":
            halo = glow(
                wall.size,
                prop.x * width,
                prop.ground * height - prop.side * width * 0.56,
                width * 0.36,
                (255, 206, 140),
                0.42,
            )
            wall = ImageChops.screen(wall, halo)
    return finish(wall)
