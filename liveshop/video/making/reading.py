"""The samples in a recorded piece, and the decoder configurations in its init section.

Samples are read from the boxes alone: a demuxer would probe every piece anew, and parse each
picture on the way.
"""

import io
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import av

from liveshop.video.model import AacConfig, BadTrack, H264Config, Sample, Track

_VIDEO_ROW: Final = struct.Struct(">3Ii")
_AUDIO_ROW: Final = struct.Struct(">2I")
_VIDEO_FLAGS: Final = 0x000F01
_AUDIO_FLAGS: Final = 0x000301
_NON_SYNC: Final = 0x00010000


class BrokenPiece(ValueError):
    """This is no fragmented MP4 as `fmp4` writes it."""


@lru_cache(maxsize=8)
def configs_in(init: bytes) -> tuple[H264Config, AacConfig | None]:
    """Raises BrokenPiece."""
    video: H264Config | None = None
    audio: AacConfig | None = None
    try:
        with av.open(io.BytesIO(init), format="mp4") as container:
            for stream in container.streams:
                # Without a context where the sample entry is unknown or broken.
                extradata = stream.codec_context and stream.codec_context.extradata
                if isinstance(stream, av.VideoStream):
                    video = H264Config(extradata or b"", stream.width, stream.height)
                elif isinstance(stream, av.AudioStream):
                    audio = AacConfig(extradata or b"")
    except (av.error.FFmpegError, BadTrack) as error:
        raise BrokenPiece(f"an init section cannot be read: {error}") from error
    if video is None:
        raise BrokenPiece("an init section has no picture")
    return video, audio


def samples_in(data: bytes) -> tuple[list[Sample], list[Sample]]:
    """Pictures and sounds, in decode order. Raises BrokenPiece."""
    pictures: list[Sample] = []
    sounds: list[Sample] = []
    try:
        for kind, start, content, stop in _boxes(data, 0, len(data)):
            if kind != b"moof":
                continue
            for name, _, inside, end in _boxes(data, content, stop):
                if name == b"traf":
                    _read_traf(data, start, inside, end, pictures, sounds)
    except (struct.error, KeyError):
        raise BrokenPiece("a box ends in the middle, or is missing") from None
    return pictures, sounds


def _read_traf(
    data: bytes,
    moof: int,
    start: int,
    stop: int,
    pictures: list[Sample],
    sounds: list[Sample],
) -> None:
    boxes = {name: content for name, _, content, _ in _boxes(data, start, stop)}
    (track,) = struct.unpack_from(">I", data, boxes[b"tfhd"] + 4)
    (dts,) = struct.unpack_from(">Q", data, boxes[b"tfdt"] + 4)
    trun = boxes[b"trun"]
    version_and_flags, count, offset = struct.unpack_from(">IIi", data, trun)
    at = moof + offset
    if version_and_flags == 1 << 24 | _VIDEO_FLAGS and track == Track.VIDEO:
        row, take = _VIDEO_ROW, pictures.append
    elif version_and_flags == 1 << 24 | _AUDIO_FLAGS and track == Track.AUDIO:
        row, take = _AUDIO_ROW, sounds.append
    else:
        raise BrokenPiece(f"a run of samples of track {track} has flags {version_and_flags:#x}")
    first = trun + 12
    for index in range(first, first + count * row.size, row.size):
        values = row.unpack_from(data, index)
        duration, size = values[:2]
        content = data[at : at + size]
        if len(content) != size:
            raise BrokenPiece("a sample ends in the middle")
        if row is _VIDEO_ROW:
            flags, shown_after = values[2:]
            is_keyframe = not flags & _NON_SYNC
            take(Sample(Track.VIDEO, dts, dts + shown_after, duration, is_keyframe, content))
        else:
            take(Sample(Track.AUDIO, dts, dts, duration, True, content))
        at += size
        dts += duration


def _boxes(data: bytes, start: int, stop: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Kind, start, start of what is in it, and end of each."""
    while start < stop:
        size, kind = struct.unpack_from(">I4s", data, start)
        if size < 8 or start + size > stop:
            raise BrokenPiece(f"a box of {size} bytes where {stop - start} are left")
        yield kind, start, start + 8, start + size
        start += size
