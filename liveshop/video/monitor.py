"""The picture for the show's own staff: fragments of a tenth of a second, as they come.

Half a second behind instead of a second, at the price of a connection per reader and no cache, so
it is for the studio and not for viewers. The samples since the last keyframe are kept while nobody
watches, so that a reader has a picture at once and not at the next keyframe; nothing is built.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from liveshop.kernel.clock import rfc3339
from liveshop.video import fmp4
from liveshop.video.model import VIDEO_TIMESCALE, AacConfig, H264Config, Sample, Track

_PICTURE_SECONDS: Final = 0.09
"""A fragment ends with the picture that fills it: three of 30 a second."""
_SOUND_SECONDS: Final = 0.25
"""Where no picture comes, sound goes on without."""
_KEPT_BYTES: Final = 8 * 1024 * 1024
_KEPT_PIECES: Final = 400
"""What is kept since the last keyframe, at most: beyond it a new reader waits for the next one."""
_UNREAD_BYTES: Final = 12 * 1024 * 1024
_UNREAD_MESSAGES: Final = 80
"""Of a feed that is not read, about eight seconds; then it goes on at the last keyframe."""
_ORIGIN_STEP: Final = timedelta(milliseconds=10)
"""Readers are told when the origin moved this far: a third of a picture."""

Message = str | bytes
_encode = msgspec.json.Encoder().encode

_OFF: Final = '{"type":"off"}'


class _Piece:
    """A fragment to be: built when the first reader needs it, then the same bytes for all."""

    __slots__ = ("_bytes", "is_keyframe", "number", "pictures", "size", "sounds")

    def __init__(self, number: int, pictures: list[Sample], sounds: list[Sample]) -> None:
        self.number = number
        self.pictures = pictures
        self.sounds = sounds
        self.is_keyframe = bool(pictures) and pictures[0].is_keyframe
        self.size = sum(len(sample.data) for sample in (*pictures, *sounds))
        self._bytes: bytes | None = None

    def data(self) -> bytes:
        if self._bytes is None:
            self._bytes = fmp4.fragment(self.number, self.pictures, self.sounds)
        return self._bytes


class _Run:
    """One set of parameters: what a reader is told before its fragments."""

    def __init__(
        self, video: H264Config, audio: AacConfig | None, capture_delay: timedelta
    ) -> None:
        self.init = fmp4.init_segment(video, audio)
        self._says: dict[str, object] = {
            "type": "init",
            "codecs": fmp4.codecs(video, audio),
            "width": video.width,
            "height": video.height,
        }
        self.capture_delay = capture_delay

    def announcement(self, origin: datetime) -> str:
        return _encode({**self._says, **self._times(origin)}).decode()

    def correction(self, origin: datetime) -> str:
        """What has changed since the announcement."""
        return _encode({"type": "origin", **self._times(origin)}).decode()

    def _times(self, origin: datetime) -> dict[str, object]:
        return {
            "capture_delay_ms": round(self.capture_delay / timedelta(milliseconds=1)),
            "origin": rfc3339(origin),
        }


class MonitorFeed:
    """What one reader gets, in order: `async for message in feed`. It ends when the monitor is
    closed, or by `close()`. A reader that is too slow loses fragments, never the order."""

    def __init__(self, monitor: "Monitor") -> None:
        self._monitor = monitor
        self._messages: deque[Message] = deque()
        self._unread_bytes = 0
        self._unread_to_init = 0
        """So many messages on, all of the last init is read."""
        self._some = asyncio.Event()
        self._is_closed = False
        self.needs_keyframe = True
        self.told_run: _Run | None = None
        """The run whose init was sent last."""
        self.told_origin: datetime | None = None

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        while not self._messages:
            if self._is_closed:
                raise StopAsyncIteration
            self._some.clear()
            await self._some.wait()
        message = self._messages.popleft()
        self._unread_bytes -= len(message)
        self._unread_to_init -= 1
        return message

    def close(self) -> None:
        """The reader is gone. May be repeated."""
        self._monitor.forget(self)
        self.drop_unread()
        self.end()

    # -- what the monitor calls

    def put(self, *messages: Message) -> None:
        self._messages.extend(messages)
        self._unread_bytes += sum(map(len, messages))
        self._some.set()

    @property
    def is_full(self) -> bool:
        return self._unread_bytes > _UNREAD_BYTES or len(self._messages) > _UNREAD_MESSAGES

    def put_init(self, *messages: Message) -> None:
        self.put(*messages)
        self._unread_to_init = len(self._messages)

    def drop_unread(self) -> None:
        """An init that was not read is sent again; otherwise the reader goes on with what it has,
        and finds a hole in it."""
        self._messages.clear()
        self._unread_bytes = 0
        self.needs_keyframe = True
        self.told_origin = None
        if self._unread_to_init > 0:
            self._unread_to_init = 0
            self.told_run = None

    def end(self) -> None:
        self._is_closed = True
        self._some.set()


class Monitor:
    """One per show, while somebody sends or reads. Call `begin`, then `add` with all that is
    written; `off` when the publisher goes. To be used on one event loop."""

    def __init__(self) -> None:
        self._feeds: set[MonitorFeed] = set()
        self._is_closed = False
        self._run: _Run | None = None
        self._origin: datetime | None = None
        self._audio_timescale = 1
        self._number = 0
        self._group: list[_Piece] | None = None
        """Since the last keyframe, and it first; None: none yet, or more than is kept."""
        self._group_bytes = 0
        self._pictures: list[Sample] = []
        self._sounds: list[Sample] = []

    @property
    def is_watched(self) -> bool:
        return bool(self._feeds)

    def subscribe(self) -> MonitorFeed:
        """A feed that begins with the picture of now, or with the next one there is. Whoever
        subscribes calls its `close()`."""
        feed = MonitorFeed(self)
        if self._is_closed:
            feed.end()
            return feed
        self._feeds.add(feed)
        if self._run is None:
            feed.put(_OFF)
        else:
            self._catch_up(feed)
        return feed

    def forget(self, feed: MonitorFeed) -> None:
        self._feeds.discard(feed)

    def begin(
        self,
        video: H264Config,
        audio: AacConfig | None,
        *,
        capture_delay: timedelta = timedelta(),
    ) -> None:
        """The samples that follow have these parameters, and timestamps that start over."""
        self._reset()
        self._run = _Run(video, audio, capture_delay)
        self._audio_timescale = 1 if audio is None else audio.timescale
        for feed in self._feeds:
            feed.needs_keyframe = True

    def set_delay(self, capture_delay: timedelta) -> None:
        """Readers are told with what comes next."""
        if self._run is None:
            return
        self._run.capture_delay = capture_delay
        for feed in self._feeds:
            feed.told_origin = None

    def add(self, samples: Iterable[Sample], *, origin: datetime) -> None:
        """What one write brought. `origin`: the wall time of timestamp zero as known now."""
        if self._run is None:
            return
        self._origin = origin
        for sample in samples:
            if sample.track is Track.VIDEO:
                self._picture(sample)
            else:
                self._hear(sample)

    def off(self) -> None:
        """The publisher is gone. May be repeated."""
        if self._run is None:
            return
        self._cut()
        self._reset()
        self._run = None
        for feed in self._feeds:
            feed.told_run = None
            feed.needs_keyframe = True
            if feed.is_full:
                feed.drop_unread()
            feed.put(_OFF)

    def close(self) -> None:
        """End all feeds. May be repeated."""
        self._is_closed = True
        for feed in self._feeds:
            feed.end()
        self._feeds.clear()
        self._reset()
        self._run = None

    def _reset(self) -> None:
        self._group = None
        self._group_bytes = 0
        self._pictures = []
        self._sounds = []
        self._origin = None

    # -- samples to pieces

    def _picture(self, sample: Sample) -> None:
        # Fragments begin with keyframes so that readers can; a row of samples has no holes.
        if self._pictures and (sample.is_keyframe or _end(self._pictures) != sample.dts):
            self._cut()
        self._pictures.append(sample)
        first = self._pictures[0]
        if sample.dts + sample.duration - first.dts >= _PICTURE_SECONDS * VIDEO_TIMESCALE:
            self._cut()

    def _hear(self, sample: Sample) -> None:
        if self._audio_timescale == 1:
            return
        if self._sounds and _end(self._sounds) != sample.dts:
            self._cut()
        self._sounds.append(sample)
        first = self._sounds[0]
        if sample.dts + sample.duration - first.dts >= _SOUND_SECONDS * self._audio_timescale:
            self._cut()

    def _cut(self) -> None:
        if not self._pictures and not self._sounds:
            return
        self._number += 1
        piece = _Piece(self._number, self._pictures, self._sounds)
        self._pictures, self._sounds = [], []
        self._keep(piece)
        for feed in self._feeds:
            self._send(feed, piece)

    def _keep(self, piece: _Piece) -> None:
        if piece.is_keyframe:
            self._group, self._group_bytes = [], 0
        if self._group is None:
            return
        self._group.append(piece)
        self._group_bytes += piece.size
        if self._group_bytes > _KEPT_BYTES or len(self._group) > _KEPT_PIECES:
            self._group = None

    # -- pieces to feeds

    def _send(self, feed: MonitorFeed, piece: _Piece) -> None:
        if feed.is_full:
            feed.drop_unread()
        if feed.needs_keyframe:
            self._catch_up(feed)
        else:
            self._tell_origin(feed)
            feed.put(piece.data())

    def _catch_up(self, feed: MonitorFeed) -> None:
        """Begin with the last keyframe, or wait for the next one."""
        run = self._run
        if not self._group or run is None or self._origin is None:
            return
        feed.needs_keyframe = False
        if feed.told_run is not run:
            feed.told_run, feed.told_origin = run, self._origin
            feed.put_init(run.announcement(self._origin), run.init)
        self._tell_origin(feed)
        feed.put(b"".join(piece.data() for piece in self._group))

    def _tell_origin(self, feed: MonitorFeed) -> None:
        assert self._run is not None
        assert self._origin is not None
        if feed.told_origin is None or abs(self._origin - feed.told_origin) >= _ORIGIN_STEP:
            feed.told_origin = self._origin
            feed.put(self._run.correction(self._origin))


def _end(samples: list[Sample]) -> int:
    return samples[-1].dts + samples[-1].duration
