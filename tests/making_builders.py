"""Small recordings with a real film in them: each picture carries its own time as a barcode, and
each second begins with a click, so that whatever is made of them can be told frame by frame.
"""

import math
import random
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import barcode

from liveshop.video.model import VIDEO_TIMESCALE, AacConfig, H264Config, Sample, Track
from liveshop.video.packager import Packager
from liveshop.video.recording_files import RecordingFiles

ORIGIN = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
_CLICK_SECONDS = 0.03


@dataclass(frozen=True, slots=True)
class Take:
    """What one encoder sends without a break, from `at_seconds` of the show on. `sound_rate` 0:
    nothing to be heard. `lag_seconds`: what is missing of the sound at the start."""

    seconds: float = 3.0
    at_seconds: float = 0.0
    width: int = 320
    height: int = 180
    rate: int = 30
    gop: int = 30
    b_frames: int = 0
    sound_rate: int = 48_000
    channels: int = 2
    volume: float = 0.5
    lag_seconds: float = 0.0
    starts_ticks: int = 0
    """The publisher's own time of its first picture, 90 kHz."""


@lru_cache(maxsize=32)
def shot(take: Take) -> tuple[H264Config, AacConfig | None, tuple[Sample, ...]]:
    """Both tracks by time. Zero of the publisher's time is that of the first picture minus
    `starts_ticks`."""
    video, pictures = _pictures(take)
    shown_after = min(one.pts for one in pictures) - take.starts_ticks
    audio, sounds = _sounds(take, shown_after)
    scales = {
        Track.VIDEO: VIDEO_TIMESCALE,
        Track.AUDIO: VIDEO_TIMESCALE if audio is None else audio.timescale,
    }
    both = sorted([*pictures, *sounds], key=lambda one: one.dts / scales[one.track])
    return video, audio, tuple(both)


def record(folder: Path, *takes: Take, is_ended: bool = True) -> Path:
    """A recording of them, one after the other, as the server writes it."""
    files = RecordingFiles(folder, keep_seconds=86_400)
    packager = Packager(first_number=1)
    for take in takes:
        video, audio, samples = shot(take)
        packager.begin_run(video, audio)
        origin = ORIGIN + timedelta(seconds=take.at_seconds - take.starts_ticks / VIDEO_TIMESCALE)
        for segment in [*packager.add(samples, origin=origin), *packager.finish_run()]:
            files.add(segment, packager.init(segment.entry.init_number))
        files.close()
    if is_ended:
        files.end()
    return folder


def at(seconds: float) -> datetime:
    return ORIGIN + timedelta(seconds=seconds)


def painted_ms(take: Take, index: int) -> int:
    """What is painted into its picture."""
    return round(1000 * (take.at_seconds + index / take.rate))


# What a film shows


@dataclass(frozen=True, slots=True)
class Seen:
    seconds: float
    ms: int
    size: tuple[int, int]


def seen(path: Path) -> list[Seen]:
    """Every picture of a film, in the order and at the time it is shown."""
    with av.open(str(path)) as container:
        return [
            Seen(frame.time or 0.0, _read(frame), (frame.width, frame.height))
            for frame in container.decode(video=0)
        ]


def clicks(path: Path) -> list[float]:
    """When clicks begin, in seconds of the film."""
    found: list[float] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            values = memoryview(frame.planes[0]).cast("B").cast("f")[: frame.samples].tolist()
            if max(values) <= 0.15:
                continue
            for index, value in enumerate(values):
                if abs(value) > 0.15:
                    moment = (frame.time or 0.0) + index / frame.sample_rate
                    if not found or moment - found[-1] > 0.5:
                        found.append(moment)
    return found


def _read(frame: av.VideoFrame) -> int:
    plane = frame.planes[0]
    told = barcode.read(memoryview(plane), plane.line_size, frame.width)
    return -1 if told is None else told - barcode.EPOCH


# Encoding it


def _pictures(take: Take) -> tuple[H264Config, list[Sample]]:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = take.width, take.height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, take.rate), Fraction(take.rate)
    encoder.flags |= av.codec.context.Flags.global_header
    encoder.options = {
        "preset": "ultrafast",
        "x264-params": f"annexb=0:keyint={take.gop}:min-keyint={take.gop}:scenecut=0"
        f":bframes={take.b_frames}:b-adapt=0",
    }
    packets = []
    for index in range(round(take.seconds * take.rate)):
        packets += encoder.encode(_picture(take, index))
    packets += encoder.encode(None)
    step = VIDEO_TIMESCALE // take.rate
    # Decode times begin below zero; an encoder that sends FLV moves all up by that.
    late = -min(packet.dts or 0 for packet in packets)
    video = H264Config(encoder.extradata or b"", take.width, take.height)
    return video, [
        Sample(
            Track.VIDEO,
            take.starts_ticks + ((packet.dts or 0) + late) * step,
            take.starts_ticks + ((packet.pts or 0) + late) * step,
            step,
            packet.is_keyframe,
            bytes(packet),
        )
        for packet in packets
    ]


def _picture(take: Take, index: int) -> av.VideoFrame:
    frame = av.VideoFrame(take.width, take.height, "yuv420p")
    for plane, value in zip(frame.planes, (96, 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    plane = frame.planes[0]
    ms = barcode.EPOCH + painted_ms(take, index)
    barcode.paint(memoryview(plane), plane.line_size, take.width, ms)
    frame.pts, frame.time_base = index, Fraction(1, take.rate)
    return frame


def _sounds(take: Take, shown_after: int) -> tuple[AacConfig | None, list[Sample]]:
    """As late as the pictures, and with the encoder's own delay taken off."""
    if not take.sound_rate:
        return None, []
    encoder = av.CodecContext.create("aac", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.format = take.sound_rate, "fltp"
    encoder.layout = "stereo" if take.channels == 2 else "mono"
    encoder.time_base = Fraction(1, take.sound_rate)
    encoder.bit_rate = 96_000
    encoder.flags |= av.codec.context.Flags.global_header
    encoder.open()
    heard = _pcm(take)
    packets = []
    # Up to the end of the pictures, with the frame that the encoder keeps.
    frames = math.ceil(len(heard) / 1024) + 1
    heard += [0.0] * (frames * 1024 - len(heard))
    for start in range(0, len(heard), 1024):
        frame = av.AudioFrame("fltp", encoder.layout.name, 1024)
        data = struct.pack("1024f", *heard[start : start + 1024])
        for plane in frame.planes:
            plane.update(data)
        frame.sample_rate, frame.pts = take.sound_rate, start
        frame.time_base = Fraction(1, take.sound_rate)
        packets += encoder.encode(frame)
    first = take.starts_ticks * take.sound_rate // VIDEO_TIMESCALE
    late = shown_after * take.sound_rate // VIDEO_TIMESCALE
    lag = round(take.lag_seconds * take.sound_rate)
    return AacConfig(encoder.extradata or b""), [
        Sample(Track.AUDIO, first + late + pts, first + late + pts, 1024, True, bytes(packet))
        for packet in packets
        for pts in [packet.pts or 0]
        if pts >= lag
    ]


def _pcm(take: Take) -> list[float]:
    noise = random.Random(7)
    rate = take.sound_rate
    second = [noise.uniform(-0.01, 0.01) * take.volume for _ in range(rate)]
    for index in range(round(_CLICK_SECONDS * rate)):
        second[index] += take.volume * math.sin(2 * math.pi * 1000 * index / rate)
    return (second * math.ceil(take.seconds))[: int(take.seconds * rate)]
