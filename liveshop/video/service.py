"""Which show has video: publishers come, replace each other and go; players read what is kept.

Nothing here runs by itself: packaging happens in the publisher's write, forgetting in the next
call of anybody. So there is no task to supervise and none to leak. All state is in memory; a
restarted server goes on with the first sample a publisher sends it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import ShowId
from liveshop.video.model import AacConfig, H264Config, NoVideo, PublisherGone, Sample
from liveshop.video.packager import Packager, PackagerLimits

_KEPT_AFTER_LAST_PUBLISHER: Final = timedelta(minutes=10)
"""How long players may still read what was last on air."""

_NUMBERS_COUNT_FROM: Final = datetime(2026, 1, 1, tzinfo=UTC)
_NUMBERS_PER_SECOND: Final = 10
"""Segments are a second long, so a packager made after a crash starts far above every number the
lost one can have used, even if that began with a burst of segments from its publisher's past. It
matters: browsers and CDNs keep `segment-N` for an hour."""

_DISCONTINUITIES: Final = 10_000
"""See Packager: small, and another one after a restart unless that comes 10,000 s later to the
second."""


class Publisher:
    """The right to send video to a show, until a newer one is given out or the show ends."""

    def __init__(self, service: "VideoService", show_id: ShowId, packager: Packager) -> None:
        self._service = service
        self._packager = packager
        self.show_id = show_id

    @property
    def is_current(self) -> bool:
        return self._service.is_current(self)

    def write(self, samples: Iterable[Sample], *, origin: datetime) -> None:
        """Send samples, each track's in decode order, both tracks about equally far.

        `origin` is the wall time of timestamp zero as known now. Raises PublisherGone, and
        BrokenTimestamps: publish again to go on after that.
        """
        if not self.is_current:
            raise PublisherGone("this show takes its video from elsewhere now, or has ended")
        self._packager.add(samples, origin=origin)

    def close(self) -> None:
        """Stop sending. What was sent stays playable; the show is not ended. May be repeated."""
        self._service.close(self)


@dataclass(slots=True)
class _Stream:
    packager: Packager
    publisher: Publisher | None = None
    idle_since: datetime | None = None


class VideoService:
    def __init__(self, *, clock: Clock, limits: PackagerLimits | None = None) -> None:
        self._clock = clock
        self._limits = limits
        self._streams: dict[ShowId, _Stream] = {}

    def publish(self, show_id: ShowId, video: H264Config, audio: AacConfig | None) -> Publisher:
        """Send video to a show. The newest publisher takes over: what an older one writes later
        raises PublisherGone. The caller has checked that this one may."""
        now = self._clock.now()
        self._forget_idle_streams(now)
        stream = self._streams.get(show_id)
        if stream is None or stream.packager.is_ended:
            lost = stream.packager.next_number if stream else 0
            age_seconds = (now - _NUMBERS_COUNT_FROM).total_seconds()
            packager = Packager(
                first_number=max(lost, int(age_seconds * _NUMBERS_PER_SECOND)),
                first_discontinuity=int(age_seconds) % _DISCONTINUITIES,
                limits=self._limits,
            )
            stream = self._streams[show_id] = _Stream(packager)
        stream.packager.begin_run(video, audio)
        stream.publisher = Publisher(self, show_id, stream.packager)
        stream.idle_since = None
        return stream.publisher

    def is_current(self, publisher: Publisher) -> bool:
        stream = self._streams.get(publisher.show_id)
        return stream is not None and stream.publisher is publisher

    def close(self, publisher: Publisher) -> None:
        """See `Publisher.close`; a replaced publisher closes nothing."""
        if not self.is_current(publisher):
            return
        now = self._clock.now()
        stream = self._streams[publisher.show_id]
        stream.packager.finish_run()
        stream.publisher = None
        stream.idle_since = now
        self._forget_idle_streams(now)

    def is_on_air(self, show_id: ShowId) -> bool:
        """Whether somebody sends video and a player finds a first segment."""
        stream = self._streams.get(show_id)
        return stream is not None and stream.publisher is not None and stream.packager.has_segments

    def end(self, show_id: ShowId) -> None:
        """The show is over: players are told that nothing follows. May be repeated."""
        now = self._clock.now()
        stream = self._streams.get(show_id)
        if stream is not None and not stream.packager.is_ended:
            stream.packager.end()
            stream.publisher = None
            stream.idle_since = now
        self._forget_idle_streams(now)

    def playlist(self, show_id: ShowId) -> str:
        """`index.m3u8`. Raises NoVideo."""
        return self._packager(show_id).playlist()

    def init(self, show_id: ShowId, number: int) -> bytes:
        """`init-N.mp4`. Raises NoVideo, NoSuchSegment."""
        return self._packager(show_id).init(number)

    def segment(self, show_id: ShowId, number: int) -> bytes:
        """`segment-N.m4s`. Raises NoVideo, NoSuchSegment."""
        return self._packager(show_id).segment(number).data

    def _packager(self, show_id: ShowId) -> Packager:
        stream = self._streams.get(show_id)
        if stream is None:
            raise NoVideo("this show sends no video now; try again in a moment", retry_after=1)
        return stream.packager

    def _forget_idle_streams(self, now: datetime) -> None:
        for show_id, stream in list(self._streams.items()):
            idle_since = stream.idle_since
            if idle_since is not None and now - idle_since > _KEPT_AFTER_LAST_PUBLISHER:
                del self._streams[show_id]
