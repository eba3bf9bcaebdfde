"""A small real film, made in process: one flat grey per picture and a tone, a keyframe a second."""

import io
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from liveshop.video.model import Sample, Track

WIDTH, HEIGHT, RATE = 160, 90, 30


def make_film_file(
    path: Path, *, seconds: int = 8, sound_seconds: float | None = None, b_frames: int = 0
) -> Path:
    """Picture `n` is all `grey_of(n)`; the sound is 440 Hz, whole periods a second."""
    with av.open(str(path), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=RATE)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.options = {
            "preset": "ultrafast",
            "x264-params": f"keyint={RATE}:min-keyint={RATE}:scenecut=0:bframes={b_frames}",
        }
        audio = container.add_stream("aac", rate=48_000, layout="stereo")
        for index in range(seconds * RATE):
            container.mux(video.encode(_picture(index)))
        container.mux(video.encode(None))
        count = round((seconds if sound_seconds is None else sound_seconds) * 48_000)
        for start in range(0, count, 1024):
            container.mux(audio.encode(_sound(start, min(1024, count - start))))
        container.mux(audio.encode(None))
    return path


def grey_of(index: int) -> int:
    """Neighbours differ by three steps, more than the encoder's error."""
    return 16 + index % 64 * 3


def _picture(index: int) -> av.VideoFrame:
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for plane, value in zip(frame.planes, (grey_of(index), 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    frame.pts = index
    frame.time_base = Fraction(1, RATE)
    return frame


def _sound(start: int, count: int) -> av.AudioFrame:
    frame = av.AudioFrame(format="fltp", layout="stereo", samples=count)
    tone = struct.pack(
        f"{count}f",
        *(0.2 * math.sin(2 * math.pi * 440 * (start + n) / 48_000) for n in range(count)),
    )
    for plane in frame.planes:
        plane.update(tone + bytes(plane.buffer_size - len(tone)))
    frame.sample_rate = 48_000
    frame.pts = start
    frame.time_base = Fraction(1, 48_000)
    return frame


def demux(media: bytes) -> list[Sample]:
    """What a demuxer finds in an MP4, each track in its order; read from the boxes only."""
    with av.open(io.BytesIO(media), format="mp4", options={"fflags": "noparse"}) as container:
        return [
            Sample(
                Track.VIDEO if packet.stream.type == "video" else Track.AUDIO,
                packet.dts,
                packet.pts,
                packet.duration or 0,
                packet.is_keyframe,
                bytes(packet),
            )
            for packet in container.demux()
            if packet.dts is not None and packet.pts is not None
        ]


def of_track(samples: list[Sample], track: Track) -> list[Sample]:
    return [sample for sample in samples if sample.track is track]


@dataclass(frozen=True, slots=True)
class Picture:
    seconds: float
    grey: int


def decode_pictures(media: bytes) -> list[Picture]:
    with av.open(io.BytesIO(media), format="mp4") as container:
        return [
            Picture(float(frame.pts * frame.time_base), bytes(frame.planes[0])[0])
            for frame in container.decode(video=0)
            if frame.pts is not None
        ]


def decode_sound(media: bytes) -> Iterator[float]:
    """PCM of the left channel."""
    with av.open(io.BytesIO(media), format="mp4") as container:
        for frame in container.decode(audio=0):
            data = bytes(frame.planes[0])[: 4 * frame.samples]
            yield from struct.unpack(f"{frame.samples}f", data)
