"""Which show has video: publishers come, replace each other and go; players read what is kept.

Packaging happens in the publisher's write, forgetting in the next call of anybody: there is no
task to supervise and none to leak. What is on air is in memory; a restarted server goes on with the
first sample a publisher sends it.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import ShowId
from liveshop.settings import VideoSettings
from liveshop.video.arrivals import Arrivals
from liveshop.video.model import (
    AacConfig,
    BadPlaybackLink,
    BadReload,
    H264Config,
    NoRewind,
    NothingNew,
    PublisherGone,
    Publishing,
    Rendition,
    Sample,
    State,
    VideoChanged,
    VideoEvent,
    VideoLost,
    VideoRefused,
    VideoReplaced,
    VideoStarted,
)
from liveshop.video.monitor import Monitor
from liveshop.video.packager import Packager, PackagerLimits
from liveshop.video.recording import Recording, Recordings
from liveshop.video.stream import Numbers, Stream, no_video
from liveshop.video.tap import NewTap

_KEPT_AFTER_LAST_PUBLISHER: Final = timedelta(minutes=10)
"""How long players may still read what was last on air, live; the rewind of a show that goes on
stays."""

_NUMBERS_COUNT_FROM: Final = datetime(2026, 1, 1, tzinfo=UTC)
_NUMBERS_PER_SECOND: Final = 20
"""Parts are a tenth of a second or longer, so a packager made after a crash starts far above every
number the lost one can have used, even if that began with a burst from its publisher's past. It
matters: browsers and CDNs keep `part-N` for an hour."""

_TARGETS_WAITED: Final = 3
"""Target durations a request is held for (rfc8216bis 6.2.5.2)."""

_UNKNOWN_START_DISCONTINUITIES: Final = 10_000
"""See `_numbers`: another one after a restart, unless that comes 10,000 s later to the second."""


class Publisher:
    """The right to send video to a show, until a newer one is given out or the show ends."""

    def __init__(self, service: "VideoService", publishing: Publishing, stream: Stream) -> None:
        self._service = service
        self._stream = stream
        self.publishing = publishing
        self.show_id = publishing.show_id

    @property
    def is_current(self) -> bool:
        return self._service.is_current(self)

    def write(self, samples: Sequence[Sample], *, origin: datetime) -> None:
        """Send samples, each track's in decode order, both tracks about equally far.

        `origin` is the wall time of timestamp zero by arrival, as known now. Raises PublisherGone,
        and BrokenTimestamps: `change` to go on after that.
        """
        self._service.write(self, samples, origin)

    def change(self, video: H264Config, audio: AacConfig | None) -> None:
        """Go on with other parameters, or with timestamps that begin anew. Raises PublisherGone."""
        self._service.change(self, video, audio)

    def close(self, reason: str = "closed") -> None:
        """Stop sending. What was sent stays playable; the show is not ended. May be repeated."""
        self._service.close(self, reason)


class VideoService:
    """Without `recordings` no show can be rewound, or seen again."""

    def __init__(
        self,
        *,
        clock: Clock,
        settings: VideoSettings | None = None,
        recordings: Recordings | None = None,
        limits: PackagerLimits | None = None,
        taps: Sequence[NewTap] = (),
    ) -> None:
        self._clock = clock
        self._settings = settings or VideoSettings()
        self._recordings = recordings
        self._limits = limits or PackagerLimits(part_target_seconds=self._settings.part_seconds)
        self._taps = taps
        self._streams: dict[ShowId, Stream] = {}
        self._publishers: dict[ShowId, Publisher] = {}
        # What was said of shows may be newer than what a publisher was allowed by.
        self._opened: dict[ShowId, datetime] = {}
        """Live, and since when."""
        self._ended: set[ShowId] = set()
        self._restricted: dict[ShowId, bool] = {}
        self._rehearsals: dict[ShowId, str] = {}
        """By show, the rehearsal it is in."""
        self._delays: dict[str, timedelta] = {}
        """By person."""
        self._events: asyncio.Queue[VideoEvent] = asyncio.Queue()
        self.on_published: Callable[[], None] = _nobody_listens
        """Somebody has begun to send."""
        self.is_elsewhere: Callable[[ShowId], bool] = _never
        """Whether another node has the show's video."""
        self.ahead_seconds: Callable[[], float] = float
        """How far this machine's clock is ahead of the one that counts for all nodes."""

    # -- publishers

    def publish(
        self, publishing: Publishing, video: H264Config, audio: AacConfig | None
    ) -> Publisher:
        """Send video to a show. The newest publisher takes over: what an older one writes later
        raises PublisherGone. The caller has checked that this one may.

        Raises PublisherGone when the show has ended.
        """
        now = self._clock.now()
        self._forget_idle_streams(now)
        if not publishing.has_capture_times:
            delay = self._delays.get(publishing.person_id or "", publishing.capture_delay)
            publishing = replace(publishing, capture_delay=delay)
        show_id = publishing.show_id
        if show_id in self._ended:
            raise PublisherGone("this show has ended")
        stream = self._streams.get(show_id)
        if stream is None:
            stream = self._streams[show_id] = self._new_stream(show_id)
        if show_id in self._publishers:
            self._tell(VideoReplaced, stream, now)
        stream.publishing = publishing
        stream.idle_since = None
        stream.for_customers = self._restricted.get(show_id, publishing.for_customers)
        if publishing.rehearsal is not None and show_id not in self._opened:
            self._rehearsals[show_id] = publishing.rehearsal
        if show_id in self._rehearsals:
            stream.record_nothing()
        publisher = self._publishers[show_id] = Publisher(self, publishing, stream)
        stream.arrivals = Arrivals()
        stream.begin(video, audio, now)
        if publishing.is_on_air or show_id in self._opened:
            stream.go_on_air(self._numbers(stream, now))
        self._tell_started(stream, now)
        self.on_published()
        return publisher

    def is_current(self, publisher: Publisher) -> bool:
        return self._publishers.get(publisher.show_id) is publisher

    def write(self, publisher: Publisher, samples: Sequence[Sample], origin: datetime) -> None:
        """See `Publisher.write`."""
        self._stream_of(publisher).write(samples, origin, self._clock.now())

    def change(self, publisher: Publisher, video: H264Config, audio: AacConfig | None) -> None:
        """See `Publisher.change`."""
        now = self._clock.now()
        stream = self._stream_of(publisher)
        stream.begin(video, audio, now)
        self._tell(VideoChanged, stream, now, **_described(video, audio))

    def close(self, publisher: Publisher, reason: str) -> None:
        """See `Publisher.close`; a replaced publisher closes nothing."""
        if not self.is_current(publisher):
            return
        now = self._clock.now()
        del self._publishers[publisher.show_id]
        stream = self._streams[publisher.show_id]
        self._tell(VideoLost, stream, now, reason=reason)
        stream.pause(now)
        stream.bell.ring()
        self._forget_idle_streams(now)

    def refused(self, publishing: Publishing, code: str, detail: str) -> None:
        """Somebody with a good key sent what is not taken: written down for the show's staff."""
        event = VideoRefused(
            publishing.show_id, self._clock.now(), {"code": code, "detail": detail}
        )
        self._events.put_nowait(event)

    async def next_event(self) -> VideoEvent:
        """What happened next to shows that are on air, and refusals; for one reader."""
        return await self._events.get()

    # -- shows

    def open(self, show_id: ShowId, started_at: datetime | None = None) -> None:
        """The show is live: from now on viewers see what is sent. May be repeated.

        `started_at`: when it went live, if that was not just now.
        """
        self._opened.setdefault(show_id, started_at or self._clock.now())
        stream = self._streams.get(show_id)
        if stream is None or stream.is_ended or stream.is_on_air:
            return
        now = self._clock.now()
        stream.go_on_air(self._numbers(stream, now))
        self._tell_started(stream, now)

    def rehearse(self, show_id: ShowId, rehearsal: str, started_at: datetime) -> None:
        """Those who take part see what is sent, at addresses signed for this rehearsal. Nothing of
        it is recorded. May be repeated."""
        self._rehearsals[show_id] = rehearsal
        self.restrict(show_id, for_customers=True)
        stream = self._streams.get(show_id)
        if stream is not None:
            stream.record_nothing()
        self.open(show_id, started_at)

    def end_rehearsal(self, show_id: ShowId, *, for_customers: bool, at: datetime) -> None:
        """What was seen of it is over. Whoever sends goes on, seen by staff alone as before, until
        the show is live. May be repeated."""
        if self._rehearsals.pop(show_id, None) is None:
            return
        self._opened.pop(show_id, None)
        self.restrict(show_id, for_customers=for_customers)
        old = self._streams.pop(show_id, None)
        if old is None:
            return
        # Before the moment at which the show may be live.
        self._tell(VideoLost, old, at - timedelta(milliseconds=1), reason="rehearsal_over")
        publishing, tracks = old.publishing, old.tracks
        now = self._clock.now()
        old.end(now)
        old.bell.ring()
        new = self._streams[show_id] = self._new_stream(show_id)
        new.monitor = old.monitor
        new.for_customers = for_customers
        new.idle_since = now
        if publishing is not None and tracks is not None and show_id in self._publishers:
            new.publishing = replace(
                publishing, is_on_air=False, for_customers=for_customers, rehearsal=None
            )
            new.idle_since = None
            new.begin(*tracks, now)

    def rehearsal_of(self, show_id: ShowId) -> str | None:
        """The rehearsal that the show is in, as far as was heard here."""
        return self._rehearsals.get(show_id)

    def restrict(self, show_id: ShowId, *, for_customers: bool) -> None:
        """Whether playback addresses have to be signed, from now on."""
        self._restricted[show_id] = for_customers
        stream = self._streams.get(show_id)
        if stream is not None:
            stream.for_customers = for_customers

    def end(self, show_id: ShowId) -> None:
        """The show is over: players are told that nothing follows. May be repeated."""
        now = self._clock.now()
        self._ended.add(show_id)
        self._opened.pop(show_id, None)
        self._publishers.pop(show_id, None)
        stream = self._streams.get(show_id)
        if stream is not None and not stream.is_ended:
            stream.end(now)
            stream.bell.ring()
        if self._recordings is not None and not self.is_elsewhere(show_id):
            self._recordings.end(show_id)  # also what a former process has recorded
        self._forget_idle_streams(now)

    def recording_shortage(self, show_id: ShowId) -> str | None:
        """Why the show is not recorded now, or not so far back as it should be, in words."""
        return None if self._recordings is None else self._recordings.shortage(show_id)

    def set_delay(self, person_id: str, delay: timedelta) -> None:
        """How long this person's camera and encoder take, from now on."""
        self._delays[person_id] = delay
        for show_id, publisher in self._publishers.items():
            sending = publisher.publishing
            if sending.person_id == person_id and not sending.has_capture_times:
                publisher.publishing = replace(publisher.publishing, capture_delay=delay)
                stream = self._streams[show_id]
                stream.publishing = publisher.publishing
                stream.monitor.set_delay(delay)

    def has_ended(self, show_id: ShowId) -> bool:
        """Whether the show is over, as far as was heard here."""
        return show_id in self._ended

    def has_publisher(self, show_id: ShowId) -> bool:
        return show_id in self._publishers

    # -- beside other nodes

    def publishers(self) -> Mapping[ShowId, Publisher]:
        """Who sends now. Not to be changed."""
        return self._publishers

    def has_stream(self, show_id: ShowId) -> bool:
        """Whether anything that was sent is still kept, or somebody waits for it."""
        return show_id in self._streams

    def watched(self) -> Collection[ShowId]:
        """Shows of which staff waits for a picture, and nobody sends one."""
        return [
            show_id
            for show_id, stream in self._streams.items()
            if stream.monitor.is_watched and show_id not in self._publishers
        ]

    def let_go(self, show_id: ShowId) -> None:
        """Another node has the show's video now: whoever sends here hears PublisherGone, and what
        he sent is forgotten, since its numbers are lower than those that players know by now.
        Nothing is told: the other node tells. What was recorded stays on disk."""
        self._publishers.pop(show_id, None)
        stream = self._streams.pop(show_id, None)
        if stream is None:
            return
        stream.leave(self._clock.now())
        stream.bell.ring()
        if self._recordings is not None:
            self._recordings.let_go(show_id)

    def is_on_air(self, show_id: ShowId) -> bool:
        """Whether somebody sends video and a player finds a first part."""
        stream = self._streams.get(show_id)
        return stream is not None and show_id in self._publishers and stream.has_segments

    def state(self, show_id: ShowId) -> State:
        """What there is to see now. `none` also where it was, before this process began."""
        stream = self._streams.get(show_id)
        if stream is None or stream.is_ended:
            return "none"
        if show_id not in self._publishers:
            return "away" if stream.is_on_air else "none"
        return "on_air" if stream.is_on_air else "preview"

    def stream(self, show_id: ShowId) -> Stream | None:
        """For its gauges; None: nothing was sent lately."""
        return self._streams.get(show_id)

    def monitor(self, show_id: ShowId) -> Monitor:
        """What arrives, as it comes; silent until somebody sends."""
        stream = self._streams.get(show_id)
        if stream is None:
            stream = self._streams[show_id] = self._new_stream(show_id)
            stream.idle_since = self._clock.now()
        return stream.monitor

    # -- players

    def admit(self, show_id: ShowId, *, is_signed: bool) -> None:
        """Raises BadPlaybackLink where an address must be signed and is not."""
        stream = self._streams.get(show_id)
        if stream is not None and stream.for_customers and not is_signed:
            raise BadPlaybackLink("This show is for customers: load it again at the shop.")

    def multivariant(self, show_id: ShowId) -> str:
        """`index.m3u8`. Raises NoVideo."""
        return self._found(show_id).multivariant()

    async def playlist(
        self,
        show_id: ShowId,
        rendition: Rendition,
        *,
        msn: int | None = None,
        part: int | None = None,
        skip: bool = False,
    ) -> str:
        """`live.m3u8`; with `msn` once that segment is there, or its part of that index.

        Raises NoVideo, BadReload, and NothingNew when it does not come in time.
        """
        stream = self._found(show_id)
        packager = stream.fed_packager(rendition)
        if part is not None and msn is None:
            raise BadReload("_HLS_part goes with _HLS_msn.")
        if msn is not None:
            if packager.is_too_far(msn, part):
                raise BadReload("This is far in the future: load the playlist without a number.")
            is_there = partial(packager.has_reached, msn, part)
            await self._until(stream, packager, is_there)
        return stream.playlist(rendition, skip=skip)

    def init(self, show_id: ShowId, rendition: Rendition, number: int) -> bytes:
        """`init-N.mp4`. Raises NoVideo, NoSuchSegment."""
        return self._found(show_id).packager(rendition).init(number)

    def segment(self, show_id: ShowId, rendition: Rendition, number: int) -> bytes:
        """`segment-N.m4s`. Raises NoVideo, NoSuchSegment."""
        return self._found(show_id).packager(rendition).segment(number)

    async def part(self, show_id: ShowId, rendition: Rendition, number: int) -> bytes:
        """`part-N.m4s`; the one that a playlist hints at once it is there.

        Raises NoVideo, NoSuchSegment, NothingNew.
        """
        stream = self._found(show_id)
        packager = stream.packager(rendition)
        if packager.is_part_coming(number):
            await self._until(stream, packager, lambda: not packager.is_part_coming(number))
        return packager.part(number)

    def rewind(self, show_id: ShowId) -> Recording:
        """What was recorded of the running show. Raises NoVideo, NoRewind."""
        stream = self._found(show_id)
        if self._recordings is None or not self._settings.rewind_seconds:
            raise NoRewind("Shows cannot be rewound here.")
        if show_id in self._rehearsals:
            raise NoRewind("Nothing is recorded in a rehearsal.")
        if not stream.has_begun:
            raise no_video()
        return self._recordings.of(show_id)

    # -- inside

    async def _until(
        self, stream: Stream, packager: Packager, is_there: Callable[[], bool]
    ) -> None:
        try:
            async with asyncio.timeout(_TARGETS_WAITED * self._limits.target_seconds):
                while not is_there() and not packager.is_ended:
                    if stream.fed_packager(packager.rendition) is not packager:
                        raise no_video()  # what is waited for never comes
                    await stream.bell.wait()
        except TimeoutError:
            raise NothingNew("Nothing new has come; ask again.", retry_after=1) from None

    def _found(self, show_id: ShowId) -> Stream:
        stream = self._streams.get(show_id)
        if stream is None or self._forget_if_idle(stream, self._clock.now()):
            raise no_video()
        return stream

    def _stream_of(self, publisher: Publisher) -> Stream:
        if not self.is_current(publisher):
            raise PublisherGone("this show takes its video from elsewhere now, or has ended")
        return self._streams[publisher.show_id]

    def _new_stream(self, show_id: ShowId) -> Stream:
        return Stream(
            show_id,
            limits=self._limits,
            recording=None if self._recordings is None else self._recordings.of(show_id),
            with_low=self._settings.low_rung,
            taps=self._taps,
        )

    def _numbers(self, stream: Stream, now: datetime) -> Numbers:
        """Asked for once for a show by each process, since what is on air is forgotten only when
        it has ended, or when another node has it: that one's are higher than ours, and ours are
        higher again if it comes back, by one clock for all nodes.

        Timelines begin with the age of the show in seconds: higher after each restart, and small
        as Packager wants it.
        """
        now -= timedelta(seconds=self.ahead_seconds())
        age_seconds = (now - _NUMBERS_COUNT_FROM).total_seconds()
        started_at = self._opened.get(stream.show_id)
        if stream.publishing is not None:
            started_at = stream.publishing.started_at or started_at
        if started_at is None:
            discontinuity = int(age_seconds) % _UNKNOWN_START_DISCONTINUITIES
        else:
            discontinuity = max(0, int((now - started_at).total_seconds()))
        return Numbers(int(age_seconds * _NUMBERS_PER_SECOND), discontinuity)

    def _tell_started(self, stream: Stream, now: datetime) -> None:
        if stream.tracks is not None and stream.publishing is not None:
            by = stream.publishing
            data = _described(*stream.tracks)
            if by.person_name:
                data["person_name"] = by.person_name
            self._tell(VideoStarted, stream, now, person_id=by.person_id, **data)

    def _tell(self, kind: type[VideoEvent], stream: Stream, now: datetime, **data: object) -> None:
        """Of a show that is not on air there is nothing to tell."""
        if stream.is_on_air:
            self._events.put_nowait(kind(stream.show_id, now, data))

    def _forget_idle_streams(self, now: datetime) -> None:
        for stream in list(self._streams.values()):
            self._forget_if_idle(stream, now)

    def _forget_if_idle(self, stream: Stream, now: datetime) -> bool:
        """Forget the stream if it is time to: its segments as long as the show is live, and all of
        it otherwise. Whether all of it was."""
        idle_since = stream.idle_since
        if idle_since is None or now - idle_since <= _KEPT_AFTER_LAST_PUBLISHER:
            return False
        if stream.is_on_air and not stream.is_ended:
            stream.forget_segments()
            return False
        if stream.monitor.is_watched and not stream.is_ended:
            return False
        stream.monitor.close()
        del self._streams[stream.show_id]
        return True


def _nobody_listens() -> None:
    return None


def _never(_: ShowId) -> bool:
    return False


def _described(video: H264Config, audio: AacConfig | None) -> dict[str, object]:
    return {
        "width": video.width,
        "height": video.height,
        "video": video.codec,
        "audio": None if audio is None else audio.codec,
    }
