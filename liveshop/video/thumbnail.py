"""The picture of a running show now and then: as large as a share card needs it, and small.

Made of a keyframe, in a thread (50 ms at 720p), and kept in memory until the show is over.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from liveshop.kernel.ids import ShowId
from liveshop.video.making.decoding import still
from liveshop.video.making.pictures import fitted, jpeg
from liveshop.video.model import VIDEO_TIMESCALE, AacConfig, H264Config, Sample, Track

WIDTH: Final = 640
LARGE_WIDTH: Final = 1280
_QUALITY: Final = 80

_log = structlog.get_logger("thumbnail")


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """JPEGs of one picture, no wider than WIDTH and LARGE_WIDTH. `at`: when it was taken."""

    at: datetime
    small: bytes
    large: bytes


@dataclass(frozen=True, slots=True)
class _Keyframe:
    video: H264Config
    sample: Sample
    at: datetime


class Thumbnails:
    """`every_seconds`: how long a picture stays the newest. `run` in a supervised task."""

    def __init__(self, every_seconds: int) -> None:
        self._every = timedelta(seconds=every_seconds)
        self._newest: dict[ShowId, Thumbnail] = {}
        self._wanted: dict[ShowId, _Keyframe] = {}
        """Not made yet; only the newest of a show, however slow the machine is."""
        self._running: set[ShowId] = set()
        self._bell = asyncio.Event()

    def tap(self, show_id: ShowId) -> "_ShowTap":
        """For `VideoService`."""
        self._running.add(show_id)
        return _ShowTap(self, show_id)

    def newest(self, show_id: ShowId) -> Thumbnail | None:
        """None: the show does not run, or has sent no picture since the server was started."""
        return self._newest.get(show_id)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            while self._wanted:
                show_id, keyframe = self._wanted.popitem()
                made = await asyncio.to_thread(_made, keyframe)
                if made is None:
                    _log.info("thumbnail.undecodable", show_id=show_id)
                elif show_id in self._running:
                    self._newest[show_id] = made

    def is_due(self, last: datetime | None, at: datetime) -> bool:
        # Also where the publisher's clock was set back.
        return last is None or abs(at - last) >= self._every

    def take(self, show_id: ShowId, keyframe: _Keyframe) -> None:
        self._wanted[show_id] = keyframe
        self._bell.set()

    def forget(self, show_id: ShowId) -> None:
        self._running.discard(show_id)
        self._newest.pop(show_id, None)
        self._wanted.pop(show_id, None)


class _ShowTap:
    def __init__(self, thumbnails: Thumbnails, show_id: ShowId) -> None:
        self._thumbnails = thumbnails
        self._show_id = show_id
        self._video: H264Config | None = None
        self._last: datetime | None = None

    def begin(self, video: H264Config, audio: AacConfig | None) -> None:
        self._video = video

    def add(self, samples: Sequence[Sample], *, origin: datetime) -> None:
        if self._video is None:
            return
        for sample in samples:
            if sample.is_keyframe and sample.track is Track.VIDEO:
                at = origin + timedelta(seconds=sample.pts / VIDEO_TIMESCALE)
                if self._thumbnails.is_due(self._last, at):
                    self._last = at
                    self._thumbnails.take(self._show_id, _Keyframe(self._video, sample, at))

    def pause(self) -> None:
        """What was seen last stays: the host may be back in a moment."""

    def end(self) -> None:
        self._thumbnails.forget(self._show_id)


def _made(keyframe: _Keyframe) -> Thumbnail | None:
    frame = still(keyframe.video, keyframe.sample)
    if frame is None:
        return None
    small, large = (jpeg(fitted(frame, width), _QUALITY) for width in (WIDTH, LARGE_WIDTH))
    return Thumbnail(keyframe.at, small, large)
