"""An encoder as hosts have one: pictures and sound in real time to an `rtmp://` address.

What it sends is `painted`. It is a process of its own, so that encoding never holds up what is
measured: `python tests/publisher.py rtmp://...`, or `publishing(...)` from a test. It ends when
its standard input does, when `--seconds` are over, and when the server hangs up.

It writes JSON lines: `{"sending": ms}` with the first picture, at last
`{"pictures", "skipped", "ended": "done" | "stopped" | "lost"}`.
Lines on its standard input change what its camera sees: `light 200` fills the picture with a
brightness, `light` takes that back, `sound off` and `sound on`; `size 854x480` goes on with other
parameter sets in the same connection.
"""

import argparse
import itertools
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Final

import av
import painted
from av.container import OutputContainer
from av.video import VideoStream

_OPEN_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 10.0


class Control:
    """What standard input asks for, from a thread of its own."""

    def __init__(self, delay_seconds: float, source: IO[str] | None) -> None:
        self._delay = delay_seconds
        self._asked: queue.SimpleQueue[tuple[float, list[str]]] = queue.SimpleQueue()
        self._next: tuple[float, list[str]] | None = None
        self.light: int | None = None
        self.has_sound = True
        self.size: tuple[int, int] | None = None
        """Another one than it began with."""
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
                case ["size", value]:
                    self.size = _size(value)


@dataclass(slots=True)
class Told:
    pictures: int = 0
    skipped: int = 0
    ended: str = "done"


def publish_live(
    url: str, film: painted.Film, *, seconds: float, control: Control, capture_delay_seconds: float
) -> Told:
    """Encode as time goes by; pictures that cannot be made in time are skipped, as OBS does.

    `capture_delay_seconds`: how long the camera takes. The barcode tells when the light fell in.
    """
    told = Told()
    camera, microphone = painted.Camera(film), painted.Microphone()
    with _opened(url) as container:
        video, sound = painted.add_streams(container, film)
        encoder: VideoStream | painted.Resized = video
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
            if control.size not in {None, (film.width, film.height)}:
                film = replace(film, width=control.size[0], height=control.size[1])
                camera, encoder = painted.Camera(film), painted.Resized(video, film)
            at_ms = round((time.time() - capture_delay_seconds) * 1000)
            frame = camera.picture(number, at_ms=at_ms, light=control.light)
            container.mux(encoder.encode(frame))
            if told.pictures == 0:
                _say(sending=at_ms)
            number += 1
            told.pictures += 1
            while sound is not None and (next_heard + 1) * painted.FRAME * film.rate <= (
                number * painted.SAMPLE_RATE
            ):
                container.mux(sound.encode(microphone.frame(next_heard)))
                next_heard = next(heard)
        told.ended = "stopped" if control.is_over else "done"
    return told


def publish_loop(url: str, film: painted.Film, *, seconds: float, control: Control) -> Told:
    """Encode eight seconds once and send them again and again: nearly no load, for crowds."""
    told = Told()
    packets = painted.encoded_loop(film)
    with _opened(url) as container:
        streams = dict(zip(("video", "audio"), painted.add_streams(container, film), strict=True))
        start = time.time()
        for turn in itertools.count():
            for packet in packets:
                stream = streams[packet.stream.type]
                assert stream is not None
                assert packet.dts is not None
                offset = round(turn * painted.LOOP_SECONDS / packet.time_base)
                at = float((packet.dts + offset) * packet.time_base)
                if at >= seconds or control.is_over:
                    told.ended = "stopped" if control.is_over else "done"
                    return told
                time.sleep(max(start + at - time.time(), 0))
                container.mux(painted.moved(packet, stream, offset))
                if stream.type == "video":
                    if told.pictures == 0:
                        _say(sending=round(time.time() * 1000))
                    told.pictures += 1
    raise AssertionError("the loop ends by itself")


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


def _size(given: str) -> tuple[int, int]:
    width, _, height = given.partition("x")
    return int(width), int(height)


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
    width, height = _size(given.size)
    film = painted.Film(
        width=width,
        height=height,
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
        """`light 200`, `light`, `sound off`, `sound on`, `size 854x480`."""
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
