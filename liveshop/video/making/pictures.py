"""Pictures out of a recording: the one that stands for it, and small ones for a timeline.

Keyframes only, and no more of them than are needed: all pictures of ten minutes take forty seconds
to decode, sixty keyframes half a second.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import av
from av.video.reformatter import Interpolation, VideoReformatter
from PIL import Image, ImageFilter, ImageStat

from liveshop.video.making.decoding import still
from liveshop.video.making.joining import Stretch
from liveshop.video.model import VIDEO_TIMESCALE, H264Config, Sample

POSTER_WIDTH: Final = 1280
_POSTER_TRIES: Final = 24
_POSTER_QUALITY: Final = 86
_LOOKED_AT: Final = 320
"""Pixels across: enough to tell a good picture from a bad one."""

TILE_SIZE: Final = 160
"""Of the longer side."""
_TILE_SECONDS: Final = 2.0
"""A chapter is three seconds long at least, and has its own picture."""
_EARLY_SECONDS: Final = 0.1
"""Keyframes come every two seconds, or a little earlier: every second one is then not meant."""
_MOST_TILES: Final = 240
_COLUMNS: Final = 10
_TILE_QUALITY: Final = 70


@dataclass(frozen=True, slots=True)
class Still:
    video: H264Config
    keyframe: Sample
    at: datetime


@dataclass(frozen=True, slots=True)
class Poster:
    image: Image.Image
    at: datetime


def stills(stretches: Iterable[Stretch], *, apart_seconds: float) -> Iterator[Still]:
    """Keyframes, about so far apart in what can be played."""
    early_seconds = min(_EARLY_SECONDS, apart_seconds / 10)
    due = 0.0
    for stretch in stretches:
        for picture in stretch.pictures:
            seconds = picture.pts / VIDEO_TIMESCALE
            if picture.is_keyframe and seconds >= due:
                place = (seconds + early_seconds) // apart_seconds
                due = (place + 1) * apart_seconds - early_seconds
                yield Still(stretch.video, picture, stretch.wall_time(picture))


def best(stretches: Iterable[Stretch], seconds: float) -> Poster | None:
    """The best of some keyframes of so many seconds; None where none can be decoded."""
    found: Poster | None = None
    most = -1.0
    for one in stills(stretches, apart_seconds=max(0.1, seconds / _POSTER_TRIES)):
        frame = still(one.video, one.keyframe)
        if frame is None:
            continue
        value = worth(fitted(frame, _LOOKED_AT).convert("L"))
        if value > most:
            found, most = Poster(fitted(frame, POSTER_WIDTH), one.at), value
    return found


def worth(grey: Image.Image) -> float:
    """More for what is rich in contrast and sharp, next to nothing for black, white or blurred."""
    spread = ImageStat.Stat(grey).stddev[0]
    inside = (2, 2, max(3, grey.width - 2), max(3, grey.height - 2))  # the filter leaves borders
    detail = ImageStat.Stat(grey.filter(ImageFilter.FIND_EDGES).crop(inside)).mean[0]
    return float(min(spread, 70.0) * min(detail, 40.0) ** 0.5)


def jpeg(image: Image.Image, quality: int = _POSTER_QUALITY) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, progressive=True, optimize=True)
    return buffer.getvalue()


class Sheet:
    """Small pictures in rows; all as large as the first, others fitted into it."""

    def __init__(self) -> None:
        self._tiles: list[tuple[Image.Image, datetime]] = []

    def add(self, one: Still) -> None:
        """Nothing where it cannot be decoded."""
        frame = still(one.video, one.keyframe)
        if frame is None:
            return
        tile = fitted(frame, TILE_SIZE, is_longer_side=True)
        if self._tiles and tile.size != self._size:
            ground = Image.new("RGB", self._size)
            tile.thumbnail(self._size)
            left, top = (self._size[0] - tile.width) // 2, (self._size[1] - tile.height) // 2
            ground.paste(tile, (left, top))
            tile = ground
        self._tiles.append((tile, one.at))

    @property
    def _size(self) -> tuple[int, int]:
        return self._tiles[0][0].size

    def __bool__(self) -> bool:
        return bool(self._tiles)

    def made(self, starts_at: datetime) -> tuple[Image.Image, dict[str, Any]]:
        """The picture, and where in it what is."""
        width, height = self._size
        columns = min(_COLUMNS, len(self._tiles))
        rows = -(-len(self._tiles) // columns)
        sheet = Image.new("RGB", (columns * width, rows * height))
        for number, (tile, _) in enumerate(self._tiles):
            sheet.paste(tile, (number % columns * width, number // columns * height))
        data = {
            "columns": columns,
            "width": width,
            "height": height,
            "starts_at": starts_at,
            "offsets_ms": [
                round((at - starts_at) / timedelta(milliseconds=1)) for _, at in self._tiles
            ],
        }
        return sheet, data


def tiles_apart(seconds: float) -> float:
    return max(_TILE_SECONDS, seconds / (_MOST_TILES - 1))


def tile_jpeg(sheet: Image.Image) -> bytes:
    return jpeg(sheet, _TILE_QUALITY)


def fitted(frame: av.VideoFrame, size: int, *, is_longer_side: bool = False) -> Image.Image:
    """At most so wide; or so wide or high, whichever is more."""
    length = max(frame.width, frame.height) if is_longer_side else frame.width
    scale = min(1.0, size / length)
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    # Of all the libraries' ways, this one looks at every pixel.
    small = VideoReformatter().reformat(
        frame, width, height, "rgb24", interpolation=Interpolation.AREA
    )
    rgb = small.planes[0]
    return Image.frombuffer("RGB", (width, height), bytes(rgb), "raw", "RGB", rgb.line_size, 1)
