"""One show's video: what its publisher sends becomes renditions, gauges, a monitor and a recording.

Before a show is live nothing is packaged, so that nothing of a rehearsal can be fetched; gauges and
monitor work all the same.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from liveshop.kernel.ids import ShowId
from liveshop.video.arrivals import Arrivals
from liveshop.video.model import (
    AacConfig,
    H264Config,
    NoVideo,
    Publishing,
    Rendition,
    Sample,
    Track,
)
from liveshop.video.monitor import Monitor
from liveshop.video.packager import Packager, PackagerLimits, Segment
from liveshop.video.playlist import Variant, multivariant_playlist
from liveshop.video.recording import Recording
from liveshop.video.rung import Rung
from liveshop.video.tap import NewTap, Tap

_log = structlog.get_logger("video")


@dataclass(frozen=True, slots=True)
class Numbers:
    """Where the numbers of a show begin. `discontinuity`: see Packager."""

    first: int
    discontinuity: int


class Bell:
    """Wakes everybody who waits, again and again."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    async def wait(self) -> None:
        await self._event.wait()

    def ring(self) -> None:
        self._event.set()
        self._event.clear()


class Stream:
    """Not thread-safe; every call is short."""

    def __init__(
        self,
        show_id: ShowId,
        *,
        limits: PackagerLimits,
        recording: Recording | None,
        with_low: bool,
        taps: Sequence[NewTap] = (),
    ) -> None:
        self.show_id = show_id
        self.bell = Bell()
        self.arrivals = Arrivals()
        self.monitor = Monitor()
        self.publishing: Publishing | None = None
        """Of whoever sends now; None: nobody does."""
        self.is_on_air = False
        self.for_customers = False
        self.is_ended = False
        self.idle_since: datetime | None = None
        """When the last publisher went."""
        self._limits = limits
        self._recording = recording
        self._with_low = with_low
        self._packagers: dict[Rendition, Packager] = {}
        self._fed: set[Rendition] = set()
        """What the publisher's run goes to, or the last one's did."""
        self._timeline = 0
        """The number of that run, in all renditions."""
        self._first_timeline = 0
        self._rung: Rung | None = None
        self._tracks: tuple[H264Config, AacConfig | None] | None = None
        self._new_taps = taps
        self._taps: list[Tap] = []

    # -- what the publisher does

    def begin(self, video: H264Config, audio: AacConfig | None, now: datetime) -> None:
        """A publisher starts, or goes on with other parameters or another origin of time."""
        self._tracks = (video, audio)
        self.arrivals.begin(video, audio, now)
        delay = timedelta() if self.publishing is None else self.publishing.capture_delay
        self.monitor.begin(video, audio, capture_delay=delay)
        self._begin_packaging()

    def go_on_air(self, numbers: Numbers) -> None:
        """What is sent from its next keyframe on, viewers see. May be repeated."""
        if self.is_on_air:
            return
        self.is_on_air = True
        self._timeline = self._first_timeline = numbers.discontinuity
        self._packagers = {
            rendition: self._new_packager(rendition, numbers.first) for rendition in Rendition
        }
        self._taps = [new(self.show_id) for new in self._new_taps]
        self._begin_packaging()

    def record_nothing(self) -> None:
        """From now on. For rehearsals, before anything is on air."""
        self._recording = None

    def write(self, samples: Sequence[Sample], origin: datetime, now: datetime) -> None:
        """Raises BrokenTimestamps."""
        self.arrivals.add(samples, now)
        self.monitor.add(samples, origin=origin)
        if not self.is_on_air or self._tracks is None:
            return
        captured = origin
        if self.publishing is not None:
            captured -= self.publishing.capture_delay
        before = self._version
        packager = self._packagers[Rendition.VIDEO]
        try:
            self._record(packager.add(samples, origin=captured))
            # Not before the picture has begun: runs are the same ones in all renditions.
            if self._tracks[1] is not None and packager.is_under_way:
                sounds = [sample for sample in samples if sample.track is Track.AUDIO]
                self._packagers[Rendition.AUDIO].add(sounds, origin=captured)
            if self._rung is not None:
                self._rung.feed(samples, captured)
        finally:
            if self._version != before:
                self.bell.ring()
        self._tell_taps(lambda tap: tap.add(samples, origin=captured))

    def pause(self, now: datetime) -> None:
        """The publisher is gone. What it sent stays playable."""
        self.publishing = None
        self.idle_since = now
        self._tracks = None
        self._close_rung()
        self.monitor.off()
        for rendition, packager in self._packagers.items():
            self._record(packager.finish_run(), rendition)
        if self._recording is not None:
            self._recording.pause()
        self._tell_taps(lambda tap: tap.pause())

    def end(self, now: datetime) -> None:
        """The show is over: players are told that nothing follows."""
        self.pause(now)
        self.is_ended = True
        for packager in self._packagers.values():
            packager.end()
        if self._recording is not None and self._packagers:
            self._recording.end()
        self._tell_taps(lambda tap: tap.end())
        self._taps = []

    def leave(self, now: datetime) -> None:
        """Another node has the show's video: nothing is played from here any more."""
        if not self.is_ended:
            self.pause(now)
            self._tell_taps(lambda tap: tap.end())
            self._taps = []
        self._packagers = {}
        self._fed = set()
        self.monitor.close()

    def forget_segments(self) -> None:
        """Nobody has sent anything for long: what is kept takes room. Numbers go on."""
        if not any(packager.has_segments for packager in self._packagers.values()):
            return
        self._timeline = self._next_timeline
        for rendition, packager in self._packagers.items():
            if packager.has_segments:
                self._renew(rendition)
        self.bell.ring()

    # -- what players ask

    @property
    def tracks(self) -> tuple[H264Config, AacConfig | None] | None:
        """Of the publisher; None: nobody sends."""
        return self._tracks

    @property
    def has_begun(self) -> bool:
        """Whether there is a picture that players have seen, or could have, in this process."""
        return bool(self._packagers) and self._packagers[Rendition.VIDEO].next_timeline > (
            self._first_timeline
        )

    @property
    def has_segments(self) -> bool:
        packager = self._packagers.get(Rendition.VIDEO)
        return packager is not None and packager.has_segments

    def packager(self, rendition: Rendition) -> Packager:
        """For files, which are there as long as they are kept. Raises NoVideo."""
        packager = self._packagers.get(rendition)
        if packager is None or not packager.has_segments:
            raise no_video()
        return packager

    def fed_packager(self, rendition: Rendition) -> Packager:
        """For what comes: that of a rendition that goes on. Raises NoVideo."""
        packager = self.packager(rendition)
        if not self._is_fed(rendition) and not self.is_ended:
            raise no_video()
        return packager

    def playlist(self, rendition: Rendition, *, skip: bool) -> str:
        """Raises NoVideo."""
        packager = self.fed_packager(rendition)
        reports = [
            report
            for other, made in self._packagers.items()
            if other is not rendition and self._is_fed(other)
            for report in [made.report]
            if report is not None
        ]
        return packager.playlist(skip=skip, reports=reports)

    def multivariant(self) -> str:
        """Raises NoVideo."""
        self.packager(Rendition.VIDEO)
        return multivariant_playlist(
            Variant(
                rendition,
                packager.codecs,
                packager.peak_bits_per_second,
                packager.width,
                packager.height,
            )
            for rendition, packager in self._packagers.items()
            if self._is_fed(rendition)
        )

    # -- inside

    def _begin_packaging(self) -> None:
        self._close_rung()
        if not self.is_on_air or self._tracks is None:
            return
        video, audio = self._tracks
        for rendition, packager in self._packagers.items():
            self._record(packager.finish_run(), rendition)
        self._timeline = self._next_timeline
        self._fed = {Rendition.VIDEO}
        if audio is not None:
            self._fed.add(Rendition.AUDIO)
        if self._with_low:
            self._fed.add(Rendition.LOW)
        for rendition in self._fed:
            if not self._packagers[rendition].can_go_on(self._timeline):
                self._renew(rendition)
        self._begin_run(Rendition.VIDEO, video, audio)
        if audio is not None:
            self._begin_run(Rendition.AUDIO, None, audio)
        if self._with_low:
            self._rung = Rung(
                video, audio, self._low_begins, self._low_samples, failed=self._low_failed
            )
        self._tell_taps(lambda tap: tap.begin(video, audio))
        self.bell.ring()

    def _begin_run(
        self, rendition: Rendition, video: H264Config | None, audio: AacConfig | None
    ) -> None:
        self._packagers[rendition].begin_run(video, audio, timeline=self._timeline)

    def _new_packager(self, rendition: Rendition, first_number: int) -> Packager:
        return Packager(
            first_number=first_number,
            first_discontinuity=self._timeline,
            limits=self._limits,
            rendition=rendition,
        )

    def _renew(self, rendition: Rendition) -> None:
        """Start afresh with the timeline of now: runs were skipped, which cannot be told in a
        playlist that goes on."""
        number = self._packagers[rendition].next_number
        self._packagers[rendition] = self._new_packager(rendition, number)

    @property
    def _next_timeline(self) -> int:
        """Counted by the picture, so that it skips none."""
        return self._packagers[Rendition.VIDEO].next_timeline

    @property
    def _version(self) -> int:
        """Rises with every change of any playlist, as long as no packager is renewed."""
        return sum(packager.version for packager in self._packagers.values())

    def _is_fed(self, rendition: Rendition) -> bool:
        """Whether players may choose it: what is sent goes to it, or did when last anything was
        sent, and there is something to play."""
        return rendition in self._fed and self._packagers[rendition].has_segments

    def _record(self, segments: Sequence[Segment], rendition: Rendition = Rendition.VIDEO) -> None:
        if self._recording is None or rendition is not Rendition.VIDEO:
            return
        packager = self._packagers[rendition]
        for segment in segments:
            init = packager.init(segment.entry.init_number)
            self._recording.add(segment, init)

    def _tell_taps(self, tell: Callable[[Tap], None]) -> None:
        for tap in list(self._taps):
            try:
                tell(tap)
            except Exception:  # whoever looks on must not stop the show
                _log.exception("tap_broke", show_id=self.show_id)
                self._taps.remove(tap)

    def _low_begins(self, video: H264Config, audio: AacConfig | None) -> None:
        self._begin_run(Rendition.LOW, video, audio)

    def _low_samples(self, samples: Iterable[Sample], origin: datetime) -> None:
        self._packagers[Rendition.LOW].add(samples, origin=origin)
        self.bell.ring()

    def _close_rung(self) -> None:
        rung, self._rung = self._rung, None
        if rung is not None:
            rung.close()
            self._packagers[Rendition.LOW].finish_run()

    def _low_failed(self) -> None:
        self._close_rung()
        self._fed.discard(Rendition.LOW)
        self.bell.ring()


def no_video() -> NoVideo:
    return NoVideo("This show sends no video now; try again in a moment.", retry_after=1)
