"""Where a recorded chunk can be cut: its fragments, when each begins, and which with a keyframe.

Reads what `fmp4` writes, from the boxes alone, since a demuxer would read every picture. Pure.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from liveshop.video.model import VIDEO_TIMESCALE, Track

_HAS_OFFSET: Final = 0x000001
_HAS_FIRST_FLAGS: Final = 0x000004
_HAS_DURATION: Final = 0x000100
_HAS_SIZE: Final = 0x000200
_HAS_FLAGS: Final = 0x000400
_IS_NON_SYNC: Final = 0x00010000


class BrokenChunk(ValueError):
    """This is no fragmented MP4 of ours."""


@dataclass(frozen=True, slots=True)
class FragmentAt:
    """One `moof` with its `mdat`, or what else stands before it. `starts_at_seconds`: the decode
    time of its first picture, counted as the publisher does."""

    start: int
    stop: int
    starts_at_seconds: float
    is_keyframe: bool


def fragments_in(data: bytes) -> list[FragmentAt]:
    """In order; those without a picture belong to the one before. Raises BrokenChunk."""
    found: list[FragmentAt] = []
    begun: tuple[int, float, bool] | None = None
    try:
        for kind, start, content, stop in _boxes(data, 0, len(data)):
            if kind == b"moof":
                picture = _first_picture(data, content, stop)
                begun = None if picture is None else (start, *picture)
            elif kind == b"mdat" and begun is not None:
                found.append(FragmentAt(begun[0], stop, begun[1], begun[2]))
    except (struct.error, IndexError):
        raise BrokenChunk("a box ends in the middle") from None
    except KeyError:
        raise BrokenChunk("a box is missing") from None
    return found


def _first_picture(data: bytes, start: int, stop: int) -> tuple[float, bool] | None:
    """When the fragment's first picture is decoded, and whether it is a keyframe."""
    for kind, _, content, end in _boxes(data, start, stop):
        if kind != b"traf":
            continue
        boxes = {name: at for name, _, at, _ in _boxes(data, content, end)}
        track = struct.unpack_from(">I", data, boxes[b"tfhd"] + 4)[0]
        if track != Track.VIDEO or b"trun" not in boxes:
            continue
        return _decode_time(data, boxes[b"tfdt"]) / VIDEO_TIMESCALE, _is_sync(data, boxes[b"trun"])
    return None


def _decode_time(data: bytes, tfdt: int) -> int:
    version = data[tfdt]
    return int(struct.unpack_from(">Q" if version else ">I", data, tfdt + 4)[0])


def _is_sync(data: bytes, trun: int) -> bool:
    """Where no sample has flags of its own our `trex` says that it is none."""
    flags, count = struct.unpack_from(">II", data, trun)
    if not count:
        return False
    at = trun + 8 + (4 if flags & _HAS_OFFSET else 0)
    if not flags & _HAS_FIRST_FLAGS:
        if not flags & _HAS_FLAGS:
            return False
        at += (4 if flags & _HAS_DURATION else 0) + (4 if flags & _HAS_SIZE else 0)
    return not struct.unpack_from(">I", data, at)[0] & _IS_NON_SYNC


def _boxes(data: bytes, start: int, stop: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Kind, start, start of what is in it, and end of each."""
    while start < stop:
        size, kind = struct.unpack_from(">I4s", data, start)
        if size < 8 or start + size > stop:
            raise BrokenChunk(f"a box of {size} bytes where {stop - start} are left")
        yield kind, start, start + 8, start + size
        start += size


def keyframe_at_or_before(fragments: Sequence[FragmentAt], seconds: float) -> int | None:
    """The index of the last fragment that begins with a keyframe no later than this."""
    found = [
        index
        for index, one in enumerate(fragments)
        if one.is_keyframe and one.starts_at_seconds <= seconds
    ]
    return found[-1] if found else None


def keyframe_at_or_after(fragments: Sequence[FragmentAt], seconds: float) -> int | None:
    """The index of the first one no earlier than this."""
    return next(
        (
            index
            for index, one in enumerate(fragments)
            if one.is_keyframe and one.starts_at_seconds >= seconds
        ),
        None,
    )
