"""An encoder as hosts have one: pictures and sound in real time to an `rtmp://` address.

Each picture carries the wall-clock time at which it was made (`barcode`), each second begins with
a white flash and a click. It is a process of its own, so that encoding never holds up what is
measured: `python tests/publisher.py rtmp://...`, or `publishing(...)` from a test. It ends when
its standard input does, when `--seconds` are over, and when the server hangs up.

It writes JSON lines: `{"sending": ms}` with the first picture, at last
`{"pictures", "skipped", "ended": "done" | "stopped" | "refused" | "lost"}`.
Lines on its standard input change what its camera sees: `light 200` fills the picture with a
brightness, `light` takes that back, `sound off` and `sound on`.
"""

import argparse
import itertools
import json
import math
import os
import queue
import random
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Final

import av
import barcode
from av.audio import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video import VideoStream

SAMPLE_RATE: Final = 48_000
_FRAME: Final = 1024
_CLICK_SECONDS: Final = 0.02
_CLICK_HERTZ: Final = 1000
LOOP_SECONDS: Final = 8
"""Whole AAC frames and whole pictures fit into it, so that it can be sent again and again."""
_OPEN_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 10.0


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
        frame = av.AudioFrame(format="fltp", layout="stereo", samples=_FRAME)
        start = number * _FRAME % SAMPLE_RATE * 4
        heard = self._second[start : start + _FRAME * 4] if self.is_on else bytes(_FRAME * 4)
        for plane in frame.planes:
            plane.update(heard + bytes(plane.buffer_size - len(heard)))
        frame.sample_rate = SAMPLE_RATE
        frame.pts = number * _FRAME
        frame.time_base = Fraction(1, SAMPLE_RATE)
        return frame


# Encoding


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


class Control:
    """What standard input asks for, from a thread of its own."""

    def __init__(self, delay_seconds: float, source: IO[str] | None) -> None:
        self._delay = delay_seconds
        self._asked: queue.SimpleQueue[tuple[float, list[str]]] = queue.SimpleQueue()
        self._next: tuple[float, list[str]] | None = None
        self.light: int | None = None
        self.has_sound = True
        self.is_over = False
        if source is not None:
            threading.Thread(target=self._read, args=(source,), daemon=True).start()

    def _read(self, source: IO[str]) -> None:
        for line in source:
            self._asked.put((time.time() + self._delay, line.split()))
        self.is_over = True

    def look(self) -> None:
        """Do what is due: a camera sees it `delay_seconds` after it happened."""
        while True:
            if self._next is None:
                with suppress(queue.Empty):
                    self._next = self._asked.get_nowait()
            if self._next is None or self._next[0] > time.time():
                return
            words, self._next = self._next[1], None
            match words:
                case ["light"]:
                    self.light = None
                case ["light", value]:
                    self.light = int(value)
                case ["sound", value]:
                    self.has_sound = value == "on"


@dataclass(slots=True)
class Told:
    pictures: int = 0
    skipped: int = 0
    ended: str = "done"


def publish_live(
    url: str, film: Film, *, seconds: float, control: Control, capture_delay_seconds: float
) -> Told:
    """Encode as time goes by; pictures that cannot be made in time are skipped, as OBS does.

    `capture_delay_seconds`: how long the camera takes. The barcode tells when the light fell in.
    """
    told = Told()
    camera, microphone = Camera(film), Microphone()
    with _opened(url) as container:
        video, sound = add_streams(container, film)
        container.start_encoding()
        start = time.time()
        heard = itertools.count()
        next_heard = next(heard)
        number = 0
        while number < seconds * film.rate and not control.is_over:
            due = start + number / film.rate
            time.sleep(max(due - time.time(), 0))
            late = int((time.time() - due) * film.rate)
            number, told.skipped = number + late, told.skipped + late
            control.look()
            microphone.is_on = control.has_sound
            at_ms = round((time.time() - capture_delay_seconds) * 1000)
            frame = camera.picture(number, at_ms=at_ms, light=control.light)
            container.mux(video.encode(frame))
            if told.pictures == 0:
                _say(sending=at_ms)
            number += 1
            told.pictures += 1
            while sound is not None and (next_heard + 1) * _FRAME * film.rate <= (
                number * SAMPLE_RATE
            ):
                container.mux(sound.encode(microphone.frame(next_heard)))
                next_heard = next(heard)
        told.ended = "stopped" if control.is_over else "done"
    return told


def publish_loop(url: str, film: Film, *, seconds: float, control: Control) -> Told:
    """Encode eight seconds once and send them again and again: nearly no load, for crowds."""
    told = Told()
    packets = encoded_loop(film)
    with _opened(url) as container:
        streams = dict(zip(("video", "audio"), add_streams(container, film), strict=True))
        start = time.time()
        for turn in itertools.count():
            for packet in packets:
                stream = streams[packet.stream.type]
                assert stream is not None
                assert packet.dts is not None
                offset = round(turn * LOOP_SECONDS / packet.time_base)
                at = float((packet.dts + offset) * packet.time_base)
                if at >= seconds or control.is_over:
                    told.ended = "stopped" if control.is_over else "done"
                    return told
                time.sleep(max(start + at - time.time(), 0))
                container.mux(moved(packet, stream, offset))
                if stream.type == "video":
                    if told.pictures == 0:
                        _say(sending=round(time.time() * 1000))
                    told.pictures += 1
    raise AssertionError("the loop ends by itself")


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
            frames = LOOP_SECONDS * SAMPLE_RATE // _FRAME
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


@contextmanager
def _opened(url: str) -> Iterator[OutputContainer]:
    options = {"flvflags": "no_duration_filesize", "flush_packets": "1"}
    container = av.open(
        url, "w", format="flv", options=options, timeout=(_OPEN_SECONDS, _OPEN_SECONDS)
    )
    try:
        yield container
    finally:
        container.close()


def _say(**told: Any) -> None:
    print(json.dumps(told), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--encoder", choices=("zerolatency", "obs"), default="zerolatency")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--rate", type=int, default=30)
    parser.add_argument("--kbit", type=int, default=2500)
    parser.add_argument("--gop-seconds", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--capture-delay-ms", type=int, default=0)
    parser.add_argument("--no-sound", action="store_true")
    parser.add_argument("--loop", action="store_true")
    given = parser.parse_args()
    width, _, height = given.size.partition("x")
    film = Film(
        width=int(width),
        height=int(height),
        rate=given.rate,
        kbit=given.kbit,
        gop_seconds=given.gop_seconds,
        encoder=given.encoder,
        has_sound=not given.no_sound,
    )
    delay = given.capture_delay_ms / 1000
    control = Control(delay, sys.stdin)
    try:
        if given.loop:
            told = publish_loop(given.url, film, seconds=given.seconds, control=control)
        else:
            told = publish_live(
                given.url,
                film,
                seconds=given.seconds,
                control=control,
                capture_delay_seconds=delay,
            )
    except (OSError, av.FFmpegError) as error:
        _say(ended="lost", detail=type(error).__name__)
        return 1
    _say(pictures=told.pictures, skipped=told.skipped, ended=told.ended)
    return 0


# For tests


@dataclass(slots=True)
class Publisher:
    """A running publisher. All of it blocks, for a moment only."""

    process: "subprocess.Popen[str]"
    said: list[dict[str, Any]] = field(default_factory=list)

    @property
    def last_words(self) -> dict[str, Any]:
        return self.said[-1] if self.said else {}

    def wait_sending(self) -> int:
        """When the first picture was made, in ms. Raises AssertionError if it never was."""
        while not any("sending" in line for line in self.said):
            assert self._hear(), f"the publisher sent nothing: {self.said}"
        return int(next(line["sending"] for line in self.said if "sending" in line))

    def wait_ended(self) -> dict[str, Any]:
        while self._hear():
            pass
        self.process.wait(_STOP_SECONDS)
        return self.last_words

    def ask(self, line: str) -> None:
        """`light 200`, `light`, `sound off`, `sound on`."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def stop(self) -> dict[str, Any]:
        """Say goodbye and end."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            return self.wait_ended()
        except subprocess.TimeoutExpired:
            self.vanish()
            raise

    def vanish(self) -> None:
        """Be gone without a goodbye; the system closes the connection."""
        self.process.kill()
        self.process.wait(_STOP_SECONDS)

    def close(self) -> None:
        """End it, if it has not ended, and forget its pipes."""
        if self.process.poll() is None:
            self.stop()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()

    def _hear(self) -> bool:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line:
            self.said.append(json.loads(line))
        return bool(line)


def start(url: str, *arguments: str) -> Publisher:
    """`start(url, "--encoder", "obs")`; see `--help`. End it with `close`."""
    return Publisher(
        subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), url, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    )


@contextmanager
def publishing(url: str, *arguments: str) -> Iterator[Publisher]:
    """A publisher that sends when the block begins and has ended after it."""
    publisher = start(url, *arguments)
    try:
        publisher.wait_sending()
        yield publisher
    finally:
        publisher.close()


if __name__ == "__main__":
    sys.exit(main())
