"""A browser's sound is made into AAC beside the event loop, in one thread per host.

Codecs leave the interpreter's lock alone, so a thread is enough. What is made comes back to the
loop in the order in which it went in.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

import structlog

from liveshop.video.ingest.access_units import BadMedia, Picture, VideoConfig
from liveshop.video.ingest.camera_refused import CameraRefused
from liveshop.video.ingest.camera_sound import AacFrame, SoundDecoder, SoundMaker
from liveshop.video.ingest.camera_tracks import OpusSound, PcmSound
from liveshop.video.model import AacConfig

_log = structlog.get_logger("camera")

_BROKEN_MOST: Final = 50
"""Packets of sound in a row that cannot be decoded: a second of them."""


@dataclass(frozen=True, slots=True)
class Tracks:
    """Holds from the next keyframe on."""

    video: VideoConfig
    audio: AacConfig | None


@dataclass(frozen=True, slots=True)
class Shown:
    """`video`: what it was sent with. None: what the last Tracks said."""

    us: int
    picture: Picture
    arrived_at: datetime
    video: VideoConfig | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """A picture of the run that goes on is shown once more."""

    us: int
    picture: Picture
    arrived_at: datetime


Made: TypeAlias = Tracks | Shown | Again | AacFrame
Give: TypeAlias = Callable[[list[Made]], None]


@dataclass(frozen=True, slots=True)
class Heard:
    """A packet of sound."""

    us: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Silence:
    """Until then nothing more is expected."""

    us: int


class Inbox:
    """What the thread has to do, in order; ends with what `close` leaves behind."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[Any, int] | None] = queue.SimpleQueue()
        self._put_bytes = 0
        """Counted up by the loop only."""
        self._taken_bytes = 0
        """Counted up by the thread only."""
        self.is_closed = False

    @property
    def waiting_bytes(self) -> int:
        return self._put_bytes - self._taken_bytes

    def put(self, item: Any, size: int = 0) -> None:
        self._put_bytes += size
        self._queue.put((item, size))

    def end(self) -> None:
        """Nothing follows."""
        self._queue.put(None)

    def close(self) -> None:
        """Nothing follows, and what waits is not done any more."""
        self.is_closed = True
        self._queue.put(None)

    def take(self) -> Any | None:
        """In the thread: the next one, waited for. None: it is closed."""
        entry = self._queue.get()
        if entry is None or self.is_closed:
            return None
        item, size = entry
        self._taken_bytes += size
        return item

    def __iter__(self) -> Iterator[Any]:
        while (item := self.take()) is not None:
            yield item


class CameraThread:
    """To be made on the event loop, where `made` and `failed` are called; neither after `close`.

    `work(inbox, give)` runs in the thread until the inbox ends; a BadMedia or CameraRefused it
    raises goes to `failed`.
    """

    def __init__(
        self,
        work: Callable[[Inbox, Give], None],
        made: Give,
        failed: Callable[[Exception], None],
    ) -> None:
        self.inbox = Inbox()
        self._work = work
        self._made = made
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    async def finish(self) -> None:
        """Returns when all that was put in has been done; `close` still has to be called."""
        self.inbox.end()
        await self._done.wait()

    def close(self) -> None:
        """Does not wait. May be repeated."""
        if not self.inbox.is_closed:
            self.inbox.close()

    def _run(self) -> None:
        try:
            self._work(self.inbox, self._give)
        except (BadMedia, CameraRefused) as error:
            self._call(self._failed, error)
        except Exception as error:
            _log.exception("camera_thread_broke")
            self._call(self._failed, error)
        finally:
            self._call(self._finished)

    def _give(self, made: list[Made]) -> None:
        if made:
            self._call(self._made, made)

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        # A loop that is closed has nobody left to tell.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._unless_closed, function, *arguments)

    def _unless_closed(self, function: Callable[..., None], *arguments: object) -> None:
        if not self.inbox.is_closed:
            function(*arguments)

    def _finished(self) -> None:
        self._done.set()


def convert_sound(inbox: Inbox, give: Give, *, channels: int) -> None:
    """The work of a WebCodecs host: OpusSound or PcmSound, then Heard of it, and Silence. What
    there is nothing to be done to comes through, or a burst would bring all its pictures first."""
    maker = SoundMaker(channels)
    decoder: SoundDecoder | None = None
    broken = 0
    for item in inbox:
        match item:
            case OpusSound() | PcmSound():
                decoder = SoundDecoder(item, channels)
            case Shown() | Again() | AacFrame():
                give([item])
            case Silence():
                give(list(maker.silence_until(item.us)))
            case Heard() if decoder is not None:
                try:
                    pcm = decoder.decode(item.data)
                    broken = 0
                except BadMedia:
                    broken += 1
                    if broken > _BROKEN_MOST:
                        raise
                    continue
                give(list(maker.add(item.us - decoder.delay_us, pcm)))
