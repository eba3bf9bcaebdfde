"""What a browser host sends, made with real codecs: a flash and a beep each second."""

import asyncio
import base64
import io
import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
from room_builders import PATIENCE
from websockets.asyncio.client import ClientConnection

from liveshop.video.ingest.camera_sound import audio_frame

WIDTH, HEIGHT, RATE = 160, 90, 30
START_US = 5_000_000
"""A page has been open for a while."""
_BEEP_SAMPLES = 4_800
_OPUS_SAMPLES = 960


def picture_at(index: int, *, width: int = WIDTH, height: int = HEIGHT) -> av.VideoFrame:
    """White for the first three of each second, else dark."""
    frame = av.VideoFrame(width, height, "yuv420p")
    luma = 235 if index % RATE < 3 else 16 + index % 8
    for plane, value in zip(frame.planes, (luma, 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    frame.pts, frame.time_base = index, Fraction(1, RATE)
    return frame


def pcm_at(start: int, count: int, *, rate: int = 48_000) -> bytes:
    """1 kHz for the first tenth of each second, else silence."""
    beep = _BEEP_SAMPLES * rate // 48_000
    return struct.pack(
        f"<{count}h",
        *(
            int(16_000 * math.sin(2 * math.pi * 1000 * n / rate)) if n % rate < beep else 0
            for n in range(start, start + count)
        ),
    )


@dataclass(frozen=True)
class Chunk:
    kind: int
    us: int
    data: bytes

    @property
    def frame(self) -> bytes:
        return struct.pack(">Bq", self.kind, self.us) + self.data


@dataclass
class Take:
    """Some seconds of a WebCodecs host; sound before picture."""

    begin: dict[str, Any]
    chunks: list[Chunk] = field(default_factory=list)

    def until(self, seconds: float) -> list[Chunk]:
        return [one for one in self.chunks if one.us < START_US + seconds * 1e6]

    @property
    def pictures(self) -> list[Chunk]:
        return [one for one in self.chunks if one.kind < 2]

    @property
    def sounds(self) -> list[Chunk]:
        return [one for one in self.chunks if one.kind == 2]


def webcodecs_take(
    seconds: float, *, sound: str | None = "opus", width: int = WIDTH, height: int = HEIGHT
) -> Take:
    """`sound`: opus, pcm, aac or None."""
    config, pictures = h264(seconds, width=width, height=height)
    makers = {"opus": opus, "pcm": pcm, "aac": aac}
    audio, sounds = makers[sound](seconds) if sound else (None, [])
    begin = {"t": "begin", "format": "webcodecs", "video": config, "audio": audio}
    chunks = sorted([*sounds, *pictures], key=lambda one: (one.us, one.kind != 2))
    return Take(begin, chunks)


def h264(
    seconds: float, *, width: int = WIDTH, height: int = HEIGHT
) -> tuple[dict[str, Any], list[Chunk]]:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, RATE), Fraction(RATE)
    encoder.flags |= av.codec.context.Flags.global_header
    encoder.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "profile": "baseline",
        "x264-params": f"annexb=0:keyint={RATE}:scenecut=0",
    }
    encoder.open()
    chunks: list[Chunk] = []
    for index in range(round(seconds * RATE)):
        for packet in encoder.encode(picture_at(index, width=width, height=height)):
            assert packet.pts is not None
            us = START_US + packet.pts * 1_000_000 // RATE
            chunks.append(Chunk(1 if packet.is_keyframe else 0, us, bytes(packet)))
    description = base64.b64encode(encoder.extradata or b"").decode()
    config = {"codec": "avc1.42E01F", "description": description, "width": width, "height": height}
    return config, chunks


def opus(seconds: float) -> tuple[dict[str, Any], list[Chunk]]:
    """Stamped as browsers do: the first packet with the first sample's time, delay and all."""
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"
    encoder.time_base = Fraction(1, 48_000)
    encoder.open()
    chunks: list[Chunk] = []
    for data in _pcm_pieces(seconds):
        frame = audio_frame(data, 1)
        frame.sample_rate = 48_000
        for packet in encoder.encode(frame):
            us = START_US + len(chunks) * _OPUS_SAMPLES * 1_000_000 // 48_000
            chunks.append(Chunk(2, us, bytes(packet)))
    return {"codec": "opus", "sample_rate": 48_000, "channels": 1}, chunks


def pcm(seconds: float, *, rate: int = 48_000) -> tuple[dict[str, Any], list[Chunk]]:
    size = rate // 50
    chunks = [
        Chunk(2, START_US + start * 1_000_000 // rate, pcm_at(start, size, rate=rate))
        for start in range(0, round(seconds * rate), size)
    ]
    return {"codec": "pcm", "sample_rate": rate, "channels": 1}, chunks


def aac(seconds: float) -> tuple[dict[str, Any], list[Chunk]]:
    encoder = av.CodecContext.create("aac", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "fltp"
    encoder.time_base = Fraction(1, 48_000)
    encoder.open()
    resampler = av.AudioResampler("fltp", "mono", 48_000)
    chunks: list[Chunk] = []
    for start in range(0, round(seconds * 48_000), 1024):
        frame = audio_frame(pcm_at(start, 1024), 1)
        frame.sample_rate = 48_000
        for made in resampler.resample(frame):
            made.pts, made.time_base = start, Fraction(1, 48_000)
            for packet in encoder.encode(made):
                assert packet.pts is not None
                us = START_US + packet.pts * 1_000_000 // 48_000
                chunks.append(Chunk(2, us, bytes(packet)))
    description = base64.b64encode(encoder.extradata or b"").decode()
    return (
        {"codec": "mp4a.40.2", "description": description, "sample_rate": 48_000, "channels": 1},
        chunks,
    )


def _pcm_pieces(seconds: float) -> Iterator[bytes]:
    for start in range(0, round(seconds * 48_000), _OPUS_SAMPLES):
        yield pcm_at(start, _OPUS_SAMPLES)


def flashes(media: bytes) -> list[float]:
    """When the picture turns white, in seconds."""
    found: list[float] = []
    was_white = False
    with av.open(io.BytesIO(media), "r", format="mp4") as container:
        for frame in container.decode(video=0):
            is_white = bytes(frame.planes[0])[0] > 128
            if is_white and not was_white and frame.time is not None:
                found.append(frame.time)
            was_white = is_white
    return found


def beeps(media: bytes) -> list[float]:
    """When a tone begins, in seconds."""
    found: list[float] = []
    with av.open(io.BytesIO(media), "r", format="mp4") as container:
        rate = container.streams.audio[0].rate
        last_loud = -1.0
        for frame in container.decode(audio=0):
            assert frame.time is not None
            values = struct.unpack(f"{frame.samples}f", bytes(frame.planes[0])[: 4 * frame.samples])
            for index, value in enumerate(values):
                if abs(value) < 0.15:
                    continue
                at = frame.time + index / rate
                if at - last_loud > 0.3:
                    found.append(at)
                last_loud = at
    return found


def said(text: str | bytes) -> dict[str, Any]:
    assert isinstance(text, str), "the server sends no media"
    frame: dict[str, Any] = json.loads(text)
    return frame


def recording(kind: str, seconds: float, *, size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    """As MediaRecorder makes it; `kind`: h264.mkv, vp8.webm, vp9.webm, opus.mp4 or aac.mp4."""
    codec, _, container = kind.partition(".")
    is_mp4 = container == "mp4"
    options = (
        {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
        if is_mp4
        else {"live": "1", "cluster_time_limit": "300"}
    )
    names = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
    target = _Pipe()
    with av.open(target, "w", format="mp4" if is_mp4 else "matroska", options=options) as made:
        video = made.add_stream(names.get(codec, "libx264"), rate=RATE)
        assert isinstance(video, av.VideoStream)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        video.gop_size = RATE
        video.options = (
            {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
            if codec in names
            else {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
        )
        sound_name = "aac" if codec == "aac" else "libopus"
        audio = made.add_stream(sound_name, rate=48_000, layout="mono")
        assert isinstance(audio, av.AudioStream)
        resampler = av.AudioResampler("fltp" if codec == "aac" else "s16", "mono", 48_000)
        samples = 1024 if codec == "aac" else _OPUS_SAMPLES
        heard = 0
        for index in range(round(seconds * RATE)):
            while heard * RATE < (index + 1) * 48_000:
                frame = audio_frame(pcm_at(heard, samples), 1)
                frame.sample_rate = 48_000
                for one in resampler.resample(frame):
                    one.pts, one.time_base = heard, Fraction(1, 48_000)
                    made.mux(audio.encode(one))
                heard += samples
            width, height = size
            made.mux(video.encode(picture_at(index, width=width, height=height)))
        made.mux(video.encode(None))
        made.mux(audio.encode(None))
    return bytes(target.written)


class _Pipe:
    """What cannot be gone back in, as a recorder's output."""

    def __init__(self) -> None:
        self.written = bytearray()

    def write(self, data: bytes) -> int:
        self.written += data
        return len(data)


def blobs(data: bytes, size: int = 4_000) -> Iterator[bytes]:
    """Frames of the protocol; the first one holds a single byte, as Chromium's may."""
    for index, start in enumerate([0, *range(1, len(data), size)]):
        piece = data[start : 1 if start == 0 else start + size]
        yield Chunk(3, START_US + index * 200_000, piece).frame


@dataclass
class Camera:
    """A browser host that speaks the protocol."""

    ws: ClientConnection
    heard: list[dict[str, Any]] = field(default_factory=list)

    async def hear(self, kind: str) -> dict[str, Any]:
        """The next frame of this kind; what comes before it is kept."""
        async with asyncio.timeout(PATIENCE):
            while True:
                frame = said(await self.ws.recv())
                self.heard.append(frame)
                if frame["t"] == kind:
                    return frame

    async def say(self, frame: dict[str, Any]) -> None:
        await self.ws.send(json.dumps(frame))

    async def begin(self, take: Take, **more: Any) -> dict[str, Any]:
        await self.say(take.begin | more)
        return await self.hear("ready")

    async def show(self, take: Take, seconds: float) -> None:
        for chunk in take.until(seconds):
            await self.ws.send(chunk.frame)
