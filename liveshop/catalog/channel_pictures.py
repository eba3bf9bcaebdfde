"""Pictures in the sizes channels want: padded, never cropped, under a byte cap. Synchronous.

A merchant's product must be seen whole, so what is missing is filled up: with the colour of the
picture's own edge where that is of one colour, as studio pictures are, or else with white.
"""

import io
from collections.abc import Iterable

from PIL import Image, ImageStat

from liveshop.connect import Rendition

STEPS_KB = (250, 500, 950, 2000, 5000, 8000)
"""Byte caps that pictures are made for, in thousands of bytes: few enough to be kept."""

_QUALITIES = (85, 80, 74, 68, 60, 52, 44, 36, 28)
_MOST_ENLARGED = 2.0
_SAME_COLOUR = 6.0
"""Standard deviation of a channel (0 to 255) along an edge of one colour; JPEG alone makes 2."""


def step_kb(max_bytes: int) -> int:
    """The largest step under a channel's cap. Raises ValueError when there is none."""
    fitting = [step for step in STEPS_KB if step * 1000 <= max_bytes]
    if not fitting:
        raise ValueError(f"no picture is made for a cap of {max_bytes} bytes")
    return fitting[-1]


def pad(master: bytes, rendition: Rendition, max_bytes: int) -> bytes:
    """A progressive JPEG of exactly this size, sRGB, without metadata, of at most `max_bytes`.

    The picture is enlarged twofold at most; the rest is ground.
    """
    size = (rendition.width, rendition.height)
    with Image.open(io.BytesIO(master), formats=["JPEG", "WEBP"]) as image:
        image.draft("RGB", size)
        picture = _on_white(image)
    scale = min(size[0] / picture.width, size[1] / picture.height, _MOST_ENLARGED)
    inner = (
        max(1, min(size[0], round(picture.width * scale))),
        max(1, min(size[1], round(picture.height * scale))),
    )
    scaled = picture.resize(inner, Image.Resampling.LANCZOS, reducing_gap=3.0)
    whole = Image.new("RGB", size, _ground(scaled, size))
    whole.paste(scaled, ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
    return _encoded(whole, max_bytes)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image.convert("RGB")
    ground = Image.new("RGB", image.size, "white")
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _ground(picture: Image.Image, size: tuple[int, int]) -> tuple[int, int, int]:
    """The colour to fill up with: that of the edges which meet the filling, if they have one."""
    width, height = picture.size
    edges: list[tuple[int, int, int, int]] = []
    if width < size[0]:
        edges += [(0, 0, 1, height), (width - 1, 0, width, height)]
    if height < size[1]:
        edges += [(0, 0, width, 1), (0, height - 1, width, height)]
    if not edges:
        return (255, 255, 255)
    strip = Image.new("RGB", (sum(max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in edges), 1))
    at = 0
    for box in edges:
        edge = picture.crop(box)
        length = max(edge.size)
        strip.paste(
            edge if edge.height == 1 else edge.transpose(Image.Transpose.ROTATE_90), (at, 0)
        )
        at += length
    colours = ImageStat.Stat(strip)
    if max(colours.stddev) > _SAME_COLOUR:
        return (255, 255, 255)
    red, green, blue = (round(value) for value in colours.median)
    return (red, green, blue)


def _encoded(picture: Image.Image, max_bytes: int) -> bytes:
    """Less quality until it fits; where even that is not enough, less detail."""
    for candidate in _less_and_less_detailed(picture):
        for quality in _QUALITIES:
            buffer = io.BytesIO()
            candidate.save(buffer, "JPEG", quality=quality, progressive=True, optimize=True)
            if buffer.tell() <= max_bytes:
                return buffer.getvalue()
    raise ValueError(f"a picture of {picture.size} does not go into {max_bytes} bytes")


def _less_and_less_detailed(picture: Image.Image) -> Iterable[Image.Image]:
    yield picture
    for factor in (2, 4, 8):
        yield picture.reduce(factor).resize(picture.size, Image.Resampling.BICUBIC)
