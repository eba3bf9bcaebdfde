"""Limits of other people's systems: how much, how often, how long; and who says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

Grade = Literal["tested", "specification", "secondary"]
"""`tested` against the real thing, read in the vendor's own `specification` or documentation, or
from a `secondary` page."""

TextUnit = Literal["characters", "graphemes", "utf16", "bytes", "x_weighted"]


@dataclass(frozen=True, slots=True)
class Limit:
    """One figure of a vendor. Configuration may set another by `name`, such as `x.text`."""

    name: str
    value: int
    unit: str
    as_of: date
    source: str
    grade: Grade = "specification"


@dataclass(frozen=True, slots=True)
class TextLimit:
    """At most `most` of `unit`, counted as the channel counts."""

    most: int
    unit: TextUnit = "characters"


@dataclass(frozen=True, slots=True)
class ImageLimit:
    """`rendition` names the size to send, one of `liveshop.connect.RENDITIONS`."""

    rendition: str
    most: int
    """How many."""
    max_bytes: int
    media_types: tuple[str, ...] = ("image/jpeg",)
    alt: TextLimit | None = None
    """None where the channel takes no alt text."""


@dataclass(frozen=True, slots=True)
class Rendition:
    """A size pictures are made in for channels: padded, never cropped."""

    name: str
    width: int
    height: int


RENDITIONS: Mapping[str, Rendition] = {
    one.name: one
    for one in (
        Rendition("square", 1080, 1080),
        Rendition("portrait", 1080, 1350),
        Rendition("vertical", 1080, 1920),
        Rendition("pin", 1000, 1500),
        Rendition("landscape", 1200, 628),
        Rendition("thumbnail", 1280, 720),
        Rendition("clean", 1200, 1200),
    )
}
"""By name. `clean` is for merchants' catalogs: the product and nothing else."""
