"""What a camera sees and a microphone hears, encoded as an encoder of a host does it.

Each picture carries the wall-clock time at which it was made (`barcode`); each second begins with
a white flash and a click, so that sound and picture can be compared wherever they arrive.
"""

import math
import os
import random
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
import barcode
from av.audio import AudioStream
from av.codec.context import Flags
from av.container import OutputContainer
from av.packet import Packet, PacketSideData, packet_sidedata_type_from_literal
from av.stream import Stream
from av.video import VideoStream
from av.video.codeccontext import VideoCodecContext

SAMPLE_RATE: Final = 48_000
FRAME: Final = 1024
_CLICK_SECONDS: Final = 0.02
_CLICK_HERTZ: Final = 1000
LOOP_SECONDS: Final = 8
"""Whole AAC frames and whole pictures fit into it, so that it can be sent again and again."""


@dataclass(frozen=True, slots=True)
class Film:
    width: int = 1280
    height: int = 720
    rate: int = 30
    kbit: int = 2500
    gop_seconds: float = 1.0
    encoder: str = "zerolatency"
    """`zerolatency`, or `obs`: x264 as OBS uses it by default, about half a second behind."""
    has_sound: bool = True
    sound_kbit: int = 128

    def options(self) -> dict[str, str]:
        gop = round(self.gop_seconds * self.rate)
        limits = {
            "b": f"{self.kbit}k",
            "maxrate": f"{self.kbit}k",
            "bufsize": f"{self.kbit}k",
            "g": str(gop),
            "preset": "veryfast",
        }
        if self.encoder == "obs":
            return limits | {"bf": "2", "profile": "high"}
        return limits | {"tune": "zerolatency", "bf": "0", "sc_threshold": "0"}


# What the camera sees and the microphone hears


class Camera:
    """A texture that moves, and a strip of noise so that the bits are really spent."""

    def __init__(self, film: Film) -> None:
        self._film = film
        noise = random.Random(6)
        probe = av.VideoFrame(film.width, film.height, "yuv420p")
        self._strides = [plane.line_size for plane in probe.planes]
        stride = self._strides[0]
        lines = []
        for _ in range(film.height // 8 * 2 + 1):
            coarse = bytes(noise.randrange(60, 190) for _ in range(stride // 8))
            lines += [b"".join(bytes([value]) * 8 for value in coarse)] * 8
        self._texture = b"".join(lines)
        self._grey = bytes([128]) * (self._strides[1] * film.height)

    def picture(self, number: int, *, at_ms: int, light: int | None) -> av.VideoFrame:
        film = self._film
        frame = av.VideoFrame(film.width, film.height, "yuv420p")
        luma = memoryview(frame.planes[0])
        stride = self._strides[0]
        if light is None:
            start = number % film.height * stride
            luma[:] = self._texture[start : start + len(luma)]
            self._spend(luma, stride)
        else:
            luma[:] = bytes([light]) * len(luma)
        barcode.paint(luma, stride, film.width, at_ms)
        self._flash(luma, stride, is_on=number % film.rate == 0)
        for plane in frame.planes[1:]:
            chroma = memoryview(plane)
            chroma[:] = self._grey[: len(chroma)]
        frame.pts = number
        frame.time_base = Fraction(1, film.rate)
        return frame

    def _spend(self, luma: memoryview, stride: int) -> None:
        top = self._film.height // 2
        strip = os.urandom(stride * (self._film.height // 16))
        luma[top * stride : top * stride + len(strip)] = strip

    def _flash(self, luma: memoryview, stride: int, *, is_on: bool) -> None:
        """A square at the bottom right, white in the first picture of each second."""
        film = self._film
        left, size = flash_square(film.width, film.height)
        line = bytes([235 if is_on else 16]) * size
        for y in range(film.height - size, film.height):
            luma[y * stride + left : y * stride + left + size] = line


def flash_square(width: int, height: int) -> tuple[int, int]:
    """Its left edge and its size; it ends at the bottom."""
    size = height // 8
    return width - size, size


class Microphone:
    """A quiet tone, and a loud click of 20 ms at the start of each second."""

    def __init__(self) -> None:
        self.is_on = True
        hum = [0.02 * math.sin(2 * math.pi * 480 * n / SAMPLE_RATE) for n in range(SAMPLE_RATE)]
        click = list(hum)
        for n in range(round(_CLICK_SECONDS * SAMPLE_RATE)):
            click[n] = 0.7 * math.sin(2 * math.pi * _CLICK_HERTZ * n / SAMPLE_RATE)
        self._second = struct.pack(f"{SAMPLE_RATE}f", *click) * 2

    def frame(self, number: int) -> av.AudioFrame:
        frame = av.AudioFrame(format="fltp", layout="stereo", samples=FRAME)
        start = number * FRAME % SAMPLE_RATE * 4
        heard = self._second[start : start + FRAME * 4] if self.is_on else bytes(FRAME * 4)
        for plane in frame.planes:
            plane.update(heard + bytes(plane.buffer_size - len(heard)))
        frame.sample_rate = SAMPLE_RATE
        frame.pts = number * FRAME
        frame.time_base = Fraction(1, SAMPLE_RATE)
        return frame


# Encoding it


def add_streams(container: OutputContainer, film: Film) -> tuple[VideoStream, AudioStream | None]:
    video = container.add_stream("libx264", rate=film.rate, options=film.options())
    video.width, video.height, video.pix_fmt = film.width, film.height, "yuv420p"
    # Players and encoders alike count on ten pictures of delay, however many cores there are.
    video.codec_context.thread_count = 2
    if film.encoder != "obs":
        video.codec_context.thread_type = "SLICE"
    sound = None
    if film.has_sound:
        sound = container.add_stream(
            "aac", rate=SAMPLE_RATE, layout="stereo", bit_rate=film.sound_kbit * 1000
        )
    return video, sound


class Resized:
    """Goes on with pictures of another size in a stream that `add_streams` has made, as an encoder
    does whose settings were changed while it sends: only the parameter sets tell of it."""

    def __init__(self, stream: VideoStream, film: Film) -> None:
        self._stream = stream
        context = VideoCodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = film.width, film.height, "yuv420p"
        context.framerate, context.time_base = Fraction(film.rate), Fraction(1, film.rate)
        context.options = film.options()
        context.thread_count, context.thread_type = 2, "SLICE"
        context.flags |= Flags.global_header
        context.open()
        self._context = context
        self._is_announced = False

    def encode(self, frame: av.VideoFrame) -> list[Packet]:
        packets = self._context.encode(frame)
        for packet in packets:
            packet.stream = self._stream
            if not self._is_announced:
                self._announce(packet)
        return packets

    def _announce(self, packet: Packet) -> None:
        parameters = self._context.extradata
        assert parameters is not None
        kind = packet_sidedata_type_from_literal("new_extradata")
        # PyAV's stubs do not know what its side data is made of.
        announced = PacketSideData(kind, len(parameters))  # type: ignore[call-arg]
        announced.update(parameters)
        packet.set_sidedata(announced)
        self._is_announced = True


def encoded_loop(film: Film) -> list[Packet]:
    """Packets of both tracks by time, without a beginning of the encoder's own."""
    camera, microphone = Camera(film), Microphone()
    with av.open(os.devnull, "w", format="flv") as container:
        video, sound = add_streams(container, film)
        packets: list[Packet] = []
        for number in range(LOOP_SECONDS * film.rate):
            packets += video.encode(camera.picture(number, at_ms=barcode.EPOCH, light=None))
        packets += video.encode(None)
        if sound is not None:
            frames = LOOP_SECONDS * SAMPLE_RATE // FRAME
            heard: list[Packet] = []
            for number in range(frames + 2):
                heard += sound.encode(microphone.frame(number))
            packets += heard[:frames]
    return sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base)


def moved(packet: Packet, stream: Stream, offset: int) -> Packet:
    assert packet.dts is not None
    assert packet.pts is not None
    moved = Packet(bytes(packet))
    moved.stream = stream
    moved.time_base = packet.time_base
    moved.dts, moved.pts = packet.dts + offset, packet.pts + offset
    moved.duration = packet.duration
    moved.is_keyframe = packet.is_keyframe
    return moved
