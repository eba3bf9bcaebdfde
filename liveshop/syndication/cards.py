"""Share cards: the picture that goes with a post about a show. Drawn, never fetched.

Set in Manrope, which comes along as a package (Pillow's own font has no umlauts), so that a card
looks the same on every machine: Latin, Greek and Cyrillic. What the font lacks, such as emoji, is
left out rather than shown as boxes. Synchronous; up to 0.4 s.
"""

import io
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal

import regex
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

_Font = ImageFont.FreeTypeFont
_Weight = Literal["Medium", "SemiBold", "Bold", "ExtraBold"]
_Colour = tuple[int, int, int]

_INK: _Colour = (18, 20, 28)
_PAPER: _Colour = (255, 255, 255)
_QUIET: _Colour = (226, 228, 236)
_LIVE: _Colour = (224, 36, 62)
_CALM: _Colour = (58, 64, 84)
_GROUNDS: tuple[_Colour, _Colour] = ((38, 34, 70), (150, 62, 84))
"""Of the card without a cover: upper left, lower right."""

_TITLE_LINES = 4
_LEADING = 1.16
_TALL_INSET = 0.13
"""Of the height: apps lay their own buttons over the ends of an upright picture."""
_QUALITY = 88


def share_card(
    cover: bytes | None,
    *,
    title: str,
    when: str,
    host_name: str,
    badge: str | None,
    size: tuple[int, int] = (1200, 628),
) -> bytes:
    """A JPEG of that size. `cover`: a picture as media keeps it; None: a plain designed ground.

    `when` is said as it is, such as `Sat, 5 Dec · 19:00 CET`; `badge` such as `LIVE`, `Replay`.
    """
    frame = _frame(size)
    lines, top = _lines(frame, title, when, host_name, has_badge=bool(badge))
    if cover is None:
        image = _ground(size).copy()
    else:
        image = _covered(cover, size)
        image.paste(_INK, mask=_scrim(size, round(top)))
    draw = ImageDraw.Draw(image)
    if badge:
        _draw_badge(draw, _drawable(badge), frame)
    for line in lines:
        draw.text((frame.margin, line.y), line.text, font=line.font, fill=line.colour)
    if lines:
        left, unit = frame.margin, frame.unit
        draw.rectangle((left, top, left + 9 * unit, top + 0.8 * unit), fill=_LIVE)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY, progressive=True, optimize=True, subsampling=0)
    return buffer.getvalue()


def _covered(cover: bytes, size: tuple[int, int]) -> Image.Image:
    """The cover over the whole card, darkened where words stand. It may lose its edges here: it is
    a background, and the show's page has it whole."""
    with Image.open(io.BytesIO(cover), formats=["JPEG", "WEBP"]) as opened:
        opened.draft("RGB", size)
        ground = Image.new("RGB", opened.size, "white")
        if opened.mode == "RGBA":
            ground.paste(opened, mask=opened.getchannel("A"))
        else:
            ground.paste(opened.convert("RGB"))
    return ImageOps.fit(ground, size, Image.Resampling.LANCZOS, centering=(0.5, 0.4))


@lru_cache(maxsize=16)
def _scrim(size: tuple[int, int], top: int) -> Image.Image:
    """How dark, from top to bottom: a little at the badge, enough from where the words begin.

    White letters on a white picture that is darkened by 0.66 have a contrast of 5.5 (WCAG: 4.5).
    """
    width, height = size
    column = Image.new("L", (1, height))
    rise = 0.3 * height
    for y in range(height):
        at_badge = max(0.0, 1 - y / (0.22 * height)) * 0.35
        if y < top:
            near = max(0.0, 1 - (top - y) / rise)
            at_words = near * near * (3 - 2 * near) * 0.66
        else:
            at_words = 0.66 + 0.28 * (y - top) / max(1, height - top)
        column.putpixel((0, y), round(255 * max(at_badge, at_words)))
    return column.resize((width, height))


@lru_cache(maxsize=8)
def _ground(size: tuple[int, int]) -> Image.Image:
    width, height = size
    slope = Image.linear_gradient("L").resize(size)
    side = Image.linear_gradient("L").rotate(90).resize(size)
    image = Image.composite(
        Image.new("RGB", size, _GROUNDS[1]),
        Image.new("RGB", size, _GROUNDS[0]),
        Image.blend(slope, side, 0.5),
    )
    glow = Image.new("L", size, 0)
    reach = max(size)
    draw = ImageDraw.Draw(glow)
    for share, light in ((0.62, 34), (0.44, 48), (0.27, 62)):
        radius = reach * share
        centre = (width * 0.94, height * 0.1)
        draw.ellipse(
            (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius),
            fill=light,
        )
    image.paste((255, 214, 178), mask=glow.filter(ImageFilter.GaussianBlur(reach / 400)))
    return image


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where words may stand. `unit`: a hundredth of the short side, more or less."""

    width: int
    height: int
    unit: float
    margin: int
    inset: int
    """At the upper and lower end."""

    @property
    def room(self) -> int:
        return self.width - 2 * self.margin


@dataclass(frozen=True, slots=True)
class _Line:
    y: float
    text: str
    font: _Font
    colour: _Colour


def _frame(size: tuple[int, int]) -> _Frame:
    width, height = size
    unit = min(width, height * 1.2) / 100
    margin = round(6.2 * unit)
    inset = round(height * _TALL_INSET) if height > 1.5 * width else margin
    return _Frame(width, height, unit, margin, inset)


def _lines(
    frame: _Frame, title: str, when: str, host_name: str, *, has_badge: bool
) -> tuple[list[_Line], float]:
    """From below: when, host, title; and where the accent above them begins."""
    lines: list[_Line] = []
    small = round(3.9 * frame.unit)
    y = float(frame.height - frame.inset)
    below: tuple[tuple[str, _Weight, _Colour], ...] = (
        (_drawable(when), "SemiBold", _PAPER),
        (_drawable(host_name), "Medium", _QUIET),
    )
    for text, weight, colour in below:
        if text:
            font, fitting = _fitted(text, weight, frame.room, small)
            y -= small * 1.45
            lines.append(_Line(y, fitting, font, colour))
    y -= small * 0.55
    highest = frame.inset + (12 if has_badge else 4) * frame.unit
    font, wrapped = _title(_drawable(title), frame.room, frame.unit, y - highest)
    for text in reversed(wrapped):
        y -= font.size * _LEADING
        lines.append(_Line(y, text, font, _PAPER))
    return lines, y - 2.6 * frame.unit


def _draw_badge(draw: ImageDraw.ImageDraw, text: str, frame: _Frame) -> None:
    unit, left, top = frame.unit, frame.margin, frame.inset
    is_live = text.casefold() == "live"
    font = _font(round(3.1 * unit), "Bold")
    dot = 1.7 * unit if is_live else 0.0
    gap = 1.3 * unit if is_live else 0.0
    pad_x, high = 2.2 * unit, 6.2 * unit
    right = left + 2 * pad_x + dot + gap + font.getlength(text)
    draw.rounded_rectangle(
        (left, top, right, top + high), radius=high / 2, fill=_LIVE if is_live else _CALM
    )
    middle = top + high / 2
    if is_live:
        draw.ellipse(
            (left + pad_x, middle - dot / 2, left + pad_x + dot, middle + dot / 2), fill=_PAPER
        )
    draw.text((left + pad_x + dot + gap, middle), text, font=font, fill=_PAPER, anchor="lm")


def _title(text: str, room: int, unit: float, high: float) -> tuple[_Font, list[str]]:
    """As large as it goes; what is still too long at the smallest size ends in `…`."""
    for part in (9.2, 8.2, 7.2, 6.4, 5.6, 5.0):
        font = _font(round(part * unit), "ExtraBold")
        most = max(1, min(_TITLE_LINES, int(high / (font.size * _LEADING))))
        lines = _wrapped(text, font, room)
        if len(lines) <= most:
            break
    if len(lines) > most:
        lines = [*lines[: most - 1], _shortened(lines[most - 1], font, room)]
    return font, lines


def _wrapped(text: str, font: _Font, room: int) -> list[str]:
    """In lines that are no wider; a word too long for one is broken."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if font.getlength(longer) <= room:
            line = longer
            continue
        if line:
            lines.append(line)
        line = word
        while font.getlength(line) > room:
            fitting = max(1, _fitting(line, font, room))
            lines.append(line[:fitting])
            line = line[fitting:]
    return [*lines, line] if line else lines


def _fitted(text: str, weight: _Weight, room: int, size: int) -> tuple[_Font, str]:
    """One line: somewhat smaller, and then shorter."""
    for smaller in range(size, round(size * 0.7) - 1, -2):
        font = _font(smaller, weight)
        if font.getlength(text) <= room:
            return font, text
    return font, _shortened(text, font, room)


def _shortened(line: str, font: _Font, room: int) -> str:
    """The line with `…` at its end, and no wider than the room with it."""
    kept = line[: _fitting(line, font, room, end="…")]
    return kept.rstrip(" ,;:–—-") + "…"


def _fitting(line: str, font: _Font, room: int, *, end: str = "") -> int:
    """How many of its letters fit, with this end behind them."""
    lengths = range(1, len(line) + 1)
    return bisect_right(
        lengths, float(room), key=lambda length: font.getlength(line[:length] + end)
    )


def _drawable(text: str) -> str:
    """One line, without letters that the font lacks."""
    seen = regex.sub(r"\s+", " ", unicodedata.normalize("NFC", text))
    return regex.sub(r" {2,}", " ", "".join(one for one in seen if _has(one))).strip()


@lru_cache(maxsize=4096)
def _has(letter: str) -> bool:
    """Whether the font has a picture of it; those that it lacks all come out as the same box."""
    if letter == " ":
        return True
    if unicodedata.category(letter).startswith("C"):  # such as a soft hyphen, which has a picture
        return False
    drawn = _plain_font().getmask(letter)
    return drawn.getbbox() is not None and bytes(drawn) != _nothing()


@lru_cache(maxsize=1)
def _nothing() -> bytes:
    return bytes(_plain_font().getmask("\U0010fffd"))


@lru_cache(maxsize=1)
def _plain_font() -> _Font:
    """Without shaping, so that a letter alone is drawn as itself."""
    return _font(24, "Medium").font_variant(layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=64)
def _font(size: int, weight: _Weight) -> _Font:
    with (files("font_manrope") / "files" / f"Manrope-{weight}.ttf").open("rb") as file:
        return ImageFont.truetype(io.BytesIO(file.read()), size)
