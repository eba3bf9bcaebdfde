"""Samples in, HLS out: cuts segments at keyframes and keeps a window of them in memory. Pure.

It knows neither ingest nor HTTP nor the time of day: samples come with the wall time of their
timestamp zero. A segment is a row of fragments (today exactly one), so that low-latency parts are
a matter of cutting fragments more often and naming them in the playlist.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from liveshop.video.fmp4 import fragment, init_segment, segment_type
from liveshop.video.model import (
    AacConfig,
    BrokenTimestamps,
    H264Config,
    NoSuchSegment,
    NoVideo,
    Sample,
    Track,
)
from liveshop.video.playlist import Entry, media_playlist

_JUMP_SECONDS: Final = 0.5
"""A longer hole in a track is a jump, after which the publisher must start anew."""

_LONGEST_SAMPLE_SECONDS: Final = 1.0
"""One picture of more could not be put into any segment of the least target duration."""


@dataclass(frozen=True, slots=True)
class PackagerLimits:
    """`target_seconds` is promised to players for good (EXT-X-TARGETDURATION may never change).

    A segment ends at the first keyframe after `min_segment_seconds`; where none comes in time it
    is cut without one, so that no segment rounds to more than the target. A live player starts
    three targets behind the end.
    """

    min_segment_seconds: float = 0.95
    """Not 1: timestamps in whole milliseconds make a second of 30 pictures 0.999 s long."""
    target_seconds: int = 1
    window: int = 8
    """Segments a playlist names."""
    retained: int = 9
    """Segments still served after the playlist forgot them: one playlist and one segment long
    (RFC 8216 6.2.2)."""

    @property
    def max_segment_seconds(self) -> float:
        return self.target_seconds + 0.49


@dataclass(frozen=True, slots=True)
class Fragment:
    """One `moof` + `mdat`, after the `styp` if it opens the segment.

    `is_independent`: it starts with a keyframe.
    """

    data: bytes
    duration_seconds: float
    is_independent: bool


@dataclass(frozen=True, slots=True)
class Segment:
    entry: Entry
    fragments: tuple[Fragment, ...]

    @property
    def data(self) -> bytes:
        return b"".join(part.data for part in self.fragments)


@dataclass(slots=True)
class _OpenSegment:
    """The segment now being filled; `pictures` is never empty."""

    starts_at: datetime
    pictures: list[Sample]
    sounds: list[Sample]


class _Run:
    """One publisher with one set of parameters."""

    def __init__(self, video: H264Config, audio: AacConfig | None, init_number: int) -> None:
        self.video = video
        self.audio = audio
        self.init_number = init_number
        self.has_segments = False
        self.open: _OpenSegment | None = None
        """None: waiting for the first keyframe."""
        self._last: dict[Track, Sample] = {}

    def check(self, sample: Sample) -> None:
        """Raise BrokenTimestamps unless the sample follows the last one of its track."""
        timescale = self.timescale(sample.track)
        name = sample.track.name.lower()
        last = self._last.get(sample.track)
        self._last[sample.track] = sample
        if not 0 < sample.duration <= _LONGEST_SAMPLE_SECONDS * timescale:
            seconds = sample.duration / timescale
            raise BrokenTimestamps(f"a {name} sample lasts {seconds:.3f} s", data={"track": name})
        if last is None:
            return
        jump_seconds = (sample.dts - last.dts - last.duration) / timescale
        if sample.dts <= last.dts or jump_seconds > _JUMP_SECONDS:
            raise BrokenTimestamps(
                f"the {name} timestamps jump by {jump_seconds:.3f} s",
                data={"track": name, "jump_seconds": jump_seconds},
            )

    def timescale(self, track: Track) -> int:
        if track is Track.VIDEO:
            return self.video.timescale
        if self.audio is None:
            raise BrokenTimestamps("sound arrived, but no sound track was announced")
        return self.audio.timescale

    def split_sounds(self, sounds: list[Sample], dts: int) -> tuple[list[Sample], list[Sample]]:
        """The sound that starts before the picture of that time, and the rest.

        Cutting here, no segment's sound begins before its picture, and the picture's wall time is
        the segment's: players map the earliest sample to EXT-X-PROGRAM-DATE-TIME.
        """
        if self.audio is None:
            return [], []
        limit = dts * self.audio.timescale
        split = 0
        while split < len(sounds) and sounds[split].dts * self.video.timescale < limit:
            split += 1
        return sounds[:split], sounds[split:]


class Packager:
    """The segments of one show. Not thread-safe; every call is short.

    `first_number` numbers the first segment and init section. URLs are cached for an hour as
    immutable, so a packager made later for the same show must be given a number that no earlier
    one can have reached. `first_discontinuity` should differ from an earlier packager's, since
    players remember where a timeline starts by it; but keep it small: hls.js walks an array of
    that length (a nine-digit number froze its page for three seconds at every step).
    """

    def __init__(
        self,
        *,
        first_number: int,
        first_discontinuity: int = 0,
        limits: PackagerLimits | None = None,
    ) -> None:
        self.limits = limits or PackagerLimits()
        self.is_ended = False
        self.next_number = first_number
        self._next_init_number = first_number
        self._inits: dict[int, bytes] = {}
        self._segments: deque[Segment] = deque()
        self._discontinuities_before = first_discontinuity
        """EXT-X-DISCONTINUITY-SEQUENCE of the first segment still kept."""
        self._run: _Run | None = None

    @property
    def has_segments(self) -> bool:
        return bool(self._segments)

    @property
    def byte_count(self) -> int:
        """Bytes of media held, for bounds and figures."""
        kept = sum(len(part.data) for segment in self._segments for part in segment.fragments)
        if self._run is None or self._run.open is None:
            return kept
        waiting = (*self._run.open.pictures, *self._run.open.sounds)
        return kept + sum(len(sample.data) for sample in waiting)

    def begin_run(self, video: H264Config, audio: AacConfig | None) -> None:
        """A publisher starts, or goes on with new parameters: new init section, discontinuity."""
        self.finish_run()
        number = self._next_init_number
        self._next_init_number += 1
        self._inits[number] = init_segment(video, audio)
        self._run = _Run(video, audio, number)

    def add(self, samples: Iterable[Sample], *, origin: datetime) -> None:
        """Take samples, each track's in decode order, both tracks about equally far.

        `origin` is the wall time of timestamp zero as known now; it holds for segments that start
        from here on. Sound and dependent pictures before the first keyframe are dropped. Raises
        BrokenTimestamps; samples before the broken one are kept.
        """
        run = self._run
        if run is None:
            raise BrokenTimestamps("samples arrived before a track was announced")
        for sample in samples:
            run.check(sample)
            if sample.track is Track.VIDEO:
                self._add_picture(run, sample, origin)
            else:
                self._add_sound(run, sample)

    def finish_run(self) -> None:
        """The publisher is gone: what it has sent becomes the last, shorter segment."""
        run, self._run = self._run, None
        if run is None:
            return
        if run.open is not None:
            last = run.open.pictures[-1]
            self._close_segment(run, run.open, run.open.sounds, last.dts + last.duration)
        if not run.has_segments:
            del self._inits[run.init_number]

    def end(self) -> None:
        """The show is over: the playlist stays as it is from now on, with EXT-X-ENDLIST."""
        self.finish_run()
        self.is_ended = True

    def playlist(self) -> str:
        """Raises NoVideo before the first segment is complete."""
        if not self._segments:
            raise NoVideo("this show sends no video yet; try again in a moment", retry_after=1)
        skipped = max(0, len(self._segments) - self.limits.window)
        hidden = islice(self._segments, skipped)
        listed = [segment.entry for segment in islice(self._segments, skipped, None)]
        return media_playlist(
            listed,
            target_seconds=self.limits.target_seconds,
            discontinuity_sequence=self._discontinuities_before
            + sum(segment.entry.is_discontinuous for segment in hidden),
            is_ended=self.is_ended,
        )

    def init(self, number: int) -> bytes:
        """Raises NoSuchSegment."""
        try:
            return self._inits[number]
        except KeyError:
            raise NoSuchSegment(f"there is no init section {number} in this show") from None

    def segment(self, number: int) -> Segment:
        """Raises NoSuchSegment for the future and for the distant past."""
        first = self._segments[0].entry.number if self._segments else self.next_number
        if not first <= number < self.next_number:
            raise NoSuchSegment(
                f"segment {number} of this show is not kept, or not made yet: load the playlist"
            )
        return self._segments[number - first]

    def _add_picture(self, run: _Run, sample: Sample, origin: datetime) -> None:
        if run.open is not None and not self._must_cut(run, run.open, sample):
            run.open.pictures.append(sample)
            return
        sounds: list[Sample] = []
        if run.open is not None:
            before, sounds = run.split_sounds(run.open.sounds, sample.dts)
            self._close_segment(run, run.open, before, self._end_before(run, run.open, sample))
        elif not sample.is_keyframe:
            return
        starts_at = origin + timedelta(seconds=sample.pts / run.video.timescale)
        run.open = _OpenSegment(starts_at, [sample], sounds)

    def _must_cut(self, run: _Run, segment: _OpenSegment, sample: Sample) -> bool:
        first = segment.pictures[0]
        seconds = (sample.dts - first.dts) / run.video.timescale
        # A segment that had to start without a keyframe ends at the next one, however short.
        is_long_enough = seconds >= self.limits.min_segment_seconds or not first.is_keyframe
        if sample.is_keyframe and is_long_enough:
            return True
        return seconds + sample.duration / run.video.timescale > self.limits.max_segment_seconds

    def _end_before(self, run: _Run, segment: _OpenSegment, sample: Sample) -> int:
        """Where the segment ends: at the next picture, or at a hole too long to count as part."""
        first, last = segment.pictures[0], segment.pictures[-1]
        if sample.dts - first.dts <= self.limits.max_segment_seconds * run.video.timescale:
            return sample.dts
        return last.dts + last.duration

    def _add_sound(self, run: _Run, sample: Sample) -> None:
        if run.open is None:
            return
        start_seconds = run.open.pictures[0].dts / run.video.timescale
        seconds = sample.dts / run.timescale(Track.AUDIO) - start_seconds
        if seconds < 0 and not run.has_segments:
            return
        # Also what keeps memory bounded when the picture stops and the sound goes on.
        if seconds > 2 * self.limits.max_segment_seconds:
            raise BrokenTimestamps(f"the sound is {seconds:.1f} s ahead of the picture")
        run.open.sounds.append(sample)

    def _close_segment(
        self, run: _Run, segment: _OpenSegment, sounds: list[Sample], end_dts: int
    ) -> None:
        number = self.next_number
        self.next_number += 1
        first = segment.pictures[0]
        seconds = (end_dts - first.dts) / run.video.timescale
        data = segment_type() + fragment(number, segment.pictures, sounds)
        entry = Entry(
            number=number,
            init_number=run.init_number,
            starts_at=segment.starts_at,
            duration_seconds=seconds,
            is_discontinuous=bool(self._segments) and not run.has_segments,
        )
        run.has_segments = True
        self._segments.append(Segment(entry, (Fragment(data, seconds, first.is_keyframe),)))
        self._forget_old_segments(run)

    def _forget_old_segments(self, run: _Run) -> None:
        while len(self._segments) > self.limits.window + self.limits.retained:
            forgotten = self._segments.popleft().entry
            self._discontinuities_before += forgotten.is_discontinuous
        kept = {segment.entry.init_number for segment in self._segments} | {run.init_number}
        for number in self._inits.keys() - kept:
            del self._inits[number]
