"""Where parts and segments end: one run of samples in, cuts out. Pure; numbers nothing.

The rule strict validators hold a low-latency playlist to: no part is longer than PART-TARGET, and
all but the last of a segment are at least 85 % of it. So a part ends where one more frame would
not fit. Where frames are so uneven that it would be too short by then, it is made the last of its
segment, and the next segment starts without a keyframe; a frame longer than a part is a segment of
its own, without parts.
"""

import math
from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from liveshop.video.model import AacConfig, BrokenTimestamps, H264Config, Sample, Track

_JUMP_SECONDS: Final = 0.5
"""A longer hole in a track is a jump, after which the publisher must start anew."""

_HOLE_SECONDS: Final = 0.05
"""A longer hole ends a segment: its duration would tell nothing about it."""

_LONGEST_SAMPLE_SECONDS: Final = 1.0
"""One picture of more could not be put into any segment of the least target duration."""

_SOUND_LATE_SECONDS: Final = 0.3
"""So long pictures wait for the sound beside them. Converted sound comes after its picture, and a
part whose sound ends early stops hls.js: it looks for what follows where the buffer ends."""

_LEAST_PART: Final = 0.85
"""Of PART-TARGET (rfc8216bis 4.4.4.9)."""

_MOST_BYTES: Final = 32 * 1024 * 1024
"""Of one segment: timestamps that stand still would fill the memory."""
_SAMPLE_OVERHEAD: Final = 256


@dataclass(frozen=True, slots=True)
class PackagerLimits:
    """`target_seconds` and `part_target_seconds` are promised to players for good.

    A segment ends at the first keyframe after `min_segment_seconds`; where none comes in time it
    is cut without one, so that no segment rounds to more than the target.
    """

    part_target_seconds: float = 0.34
    """Whole frames come to at least 85 % of it at 15 to 60 pictures a second."""
    min_segment_seconds: float = 0.95
    """Not 1: timestamps in whole milliseconds make a second of 30 pictures 0.999 s long."""
    target_seconds: int = 2
    window_seconds: float = 20.0
    """How much a playlist names."""

    @property
    def max_segment_seconds(self) -> float:
        return self.target_seconds + 0.49

    @property
    def kept_seconds(self) -> float:
        """Segments are served after the playlist forgot them: one playlist and one segment long
        (RFC 8216 6.2.2)."""
        return 2 * self.window_seconds + 2 * self.max_segment_seconds


@dataclass(frozen=True, slots=True)
class Cut:
    """The next part of the segment being filled, or its first. `leads`: pictures, or the sound of
    a run without. `is_part` False: too long to be called one, its segment ends with it."""

    leads: tuple[Sample, ...]
    sounds: tuple[Sample, ...]
    seconds: float
    starts_at: datetime
    """The wall time of the segment's first decode time."""
    is_independent: bool
    is_part: bool


@dataclass(frozen=True, slots=True)
class SegmentEnd:
    """Nothing more comes for the segment of the last Cut."""


@dataclass(slots=True)
class _Open:
    """The segment now being filled: it has had a part, or has pictures pending, or both."""

    starts_at: datetime
    start: int
    end: int
    """In lead ticks; `end` of all samples so far."""
    is_independent: bool
    pending: list[Sample]
    """Not yet part of a part."""
    bytes: int = 0

    @property
    def pending_ticks(self) -> int:
        return self.end - self.pending[0].dts


class Cutter:
    """One publisher with one set of parameters. The picture leads; without one, the sound does."""

    def __init__(
        self, video: H264Config | None, audio: AacConfig | None, limits: PackagerLimits
    ) -> None:
        self.video = video
        self.audio = audio
        self._limits = limits
        self._lead = Track.AUDIO if video is None else Track.VIDEO
        self._timescale = self._timescale_of(self._lead)
        # In decimal digits as the playlist writes it, so that no rounding makes a part too long.
        self._part_ticks = round(limits.part_target_seconds * 100_000) * self._timescale // 100_000
        self._least_ticks = math.ceil(self._part_ticks * _LEAST_PART) + 1
        self._min_ticks = limits.min_segment_seconds * self._timescale
        self._max_ticks = limits.max_segment_seconds * self._timescale
        self._open: _Open | None = None
        self.has_begun = False
        """Whether there is a frame to begin with: then there will be a segment."""
        self._begun_at: int | None = None
        """The first keyframe's decode time; None: waiting for it."""
        self._end = 0
        """Where the last lead frame ends."""
        self._sounds: list[Sample] = []
        """Not yet in a part; in a run with a picture only."""
        self._sound_bytes = 0
        self._waiting: deque[tuple[Sample, datetime]] = deque()
        """Pictures with their origins, until their sound is there."""
        self._waiting_bytes = 0
        self._is_sound_missing = False
        """Waited for in vain; until it is beside the picture again nothing waits."""
        self._last: dict[Track, Sample] = {}
        self._cuts: list[Cut | SegmentEnd] = []

    @property
    def byte_count(self) -> int:
        pending = [] if self._open is None else self._open.pending
        waiting = [sample for sample, _ in self._waiting]
        return sum(len(sample.data) for sample in (*pending, *self._sounds, *waiting))

    def add(self, sample: Sample, *, origin: datetime) -> list[Cut | SegmentEnd]:
        """What the sample completes. Raises BrokenTimestamps, having taken nothing of it.

        Sound and dependent pictures before the first keyframe are dropped; so is every picture of
        a run whose sound leads.
        """
        if sample.track is Track.VIDEO and self.video is None:
            return []
        self._check(sample)
        if sample.track is not self._lead:
            self._add_sound(sample)
        elif self._begun_at is not None or sample.is_keyframe:
            if self._begun_at is None:
                self._begun_at = self._end = sample.dts
            self._waiting.append((sample, origin))
            self._waiting_bytes += len(sample.data) + _SAMPLE_OVERHEAD
        self._add_waiting()
        return self._taken()

    def finish(self) -> list[Cut | SegmentEnd]:
        """Nothing follows: what is pending becomes the last, shorter part."""
        if self._open is not None and not self._is_sound_missing:
            self._leave_out_silent(self._open)
        if self._open is not None:
            self._end_segment(self._open, is_last=True)
        return self._taken()

    def _taken(self) -> list[Cut | SegmentEnd]:
        cuts, self._cuts = self._cuts, []
        return cuts

    def _timescale_of(self, track: Track) -> int:
        config = self.video if track is Track.VIDEO else self.audio
        if config is None:
            raise BrokenTimestamps("sound arrived, but no sound track was announced")
        return config.timescale

    def _check(self, sample: Sample) -> None:
        """Raise BrokenTimestamps unless the sample follows the last one of its track."""
        timescale = self._timescale_of(sample.track)
        name = sample.track.name.lower()
        last = self._last.get(sample.track)
        self._last[sample.track] = sample
        if not 0 < sample.duration <= _LONGEST_SAMPLE_SECONDS * timescale:
            seconds = sample.duration / timescale
            raise BrokenTimestamps(f"a {name} sample lasts {seconds:.3f} s", data={"track": name})
        if not 0 <= sample.dts < 2**62 or abs(sample.pts - sample.dts) > 60 * timescale:
            raise BrokenTimestamps(f"the {name} timestamps make no sense", data={"track": name})
        held = self._sound_bytes + self._waiting_bytes + (self._open.bytes if self._open else 0)
        if held + len(sample.data) > _MOST_BYTES:
            raise BrokenTimestamps("too much arrives in too little of its own time")
        if last is None:
            return
        jump_seconds = (sample.dts - last.dts - last.duration) / timescale
        if sample.dts <= last.dts or jump_seconds > _JUMP_SECONDS:
            raise BrokenTimestamps(
                f"the {name} timestamps jump by {jump_seconds:.3f} s",
                data={"track": name, "jump_seconds": jump_seconds},
            )

    def _leave_out_silent(self, segment: _Open) -> None:
        """A run ends with its sound, like what still waits for it: where two frames are missing
        between runs, Chromium's buffer has a hole, and the picture stands."""
        sound, pending = self._last.get(Track.AUDIO), segment.pending
        if self.audio is None or self._lead is Track.AUDIO or sound is None:
            return
        end = (sound.dts + 2 * sound.duration) * self._timescale // self.audio.timescale
        while pending and segment.end > end:
            segment.end = pending.pop().dts
        if segment.end == segment.start:
            self._open = None

    def _add_waiting(self) -> None:
        """Pictures whose sound is there, or is not coming."""
        waiting = self._waiting
        if not waiting:
            return
        newest, _ = waiting[-1]
        if self._has_sound_until(newest.dts):
            self._is_sound_missing = False
        elif newest.dts - waiting[0][0].dts > _SOUND_LATE_SECONDS * self._timescale:
            self._is_sound_missing = True
        while waiting and (self._is_sound_missing or self._has_sound_until(waiting[0][0].dts)):
            sample, origin = waiting.popleft()
            self._waiting_bytes -= len(sample.data) + _SAMPLE_OVERHEAD
            self._add_lead(sample, origin)

    def _add_lead(self, sample: Sample, origin: datetime) -> None:
        self.has_begun = True
        segment = self._open
        if segment is not None:
            self._make_ends_meet(segment, sample)
            if self._must_end(segment, sample):
                self._end_segment(segment)
            elif segment.pending and segment.pending_ticks + sample.duration > self._part_ticks:
                if segment.pending_ticks >= self._least_ticks:
                    self._cut_part(segment)
                else:
                    self._end_segment(segment)
        segment = self._open
        if segment is None:
            # By decode time, as hls.js places a fragment, and as the sound is split: with
            # pictures out of order the first is shown later than the sound beside it is heard.
            starts_at = origin + timedelta(seconds=sample.dts / self._timescale)
            segment = self._open = _Open(
                starts_at, sample.dts, sample.dts, sample.is_keyframe, pending=[]
            )
        segment.pending.append(sample)
        segment.end = self._end = sample.dts + sample.duration
        segment.bytes += len(sample.data) + _SAMPLE_OVERHEAD
        self._cut_early(segment)

    def _add_sound(self, sample: Sample) -> None:
        assert self.audio is not None
        if self._begun_at is None or self._is_before(sample, self._begun_at):
            return
        seconds = sample.dts / self.audio.timescale - self._end / self._timescale
        # Also what keeps memory bounded when the picture stops and the sound goes on.
        if seconds > 2 * self._limits.max_segment_seconds:
            raise BrokenTimestamps(f"the sound is {seconds:.1f} s ahead of the picture")
        self._sounds.append(sample)
        self._sound_bytes += len(sample.data) + _SAMPLE_OVERHEAD
        if self._open is not None:
            self._cut_early(self._open)

    def _is_before(self, sound: Sample, dts: int) -> bool:
        assert self.audio is not None
        return sound.dts * self._timescale < dts * self.audio.timescale

    def _make_ends_meet(self, segment: _Open, sample: Sample) -> None:
        """Let the last pending frame last until this one, if its part still holds it."""
        if not segment.pending or segment.end == sample.dts:
            return
        last = segment.pending[-1]
        if sample.dts - segment.pending[0].dts <= self._part_ticks:
            segment.pending[-1] = replace(last, duration=sample.dts - last.dts)
            segment.end = sample.dts

    def _must_end(self, segment: _Open, sample: Sample) -> bool:
        """Whether the segment has to end before this frame."""
        length = sample.dts - segment.start
        # A segment that had to start without a keyframe ends at the next one, however short.
        is_long_enough = length >= self._min_ticks or not segment.is_independent
        if sample.is_keyframe and is_long_enough:
            return True
        if sample.dts - segment.end > _HOLE_SECONDS * self._timescale:
            return True
        if sample.duration > self._part_ticks:
            return True
        # Not in the middle of a part: one is only begun where a whole one fits.
        needed = sample.duration if segment.pending else self._part_ticks
        return length + needed > self._max_ticks

    def _cut_early(self, segment: _Open) -> None:
        """Give a part out without waiting for the frame after it, which is taken to last as long
        as its last; but not before all its sound has come."""
        if not segment.pending or not self._has_sound_until(segment.end):
            return
        if segment.pending_ticks > self._part_ticks:
            self._end_segment(segment)
        elif (
            segment.pending_ticks >= self._least_ticks
            and segment.pending_ticks + segment.pending[-1].duration > self._part_ticks
        ):
            self._cut_part(segment)

    def _has_sound_until(self, dts: int) -> bool:
        if self.audio is None or self._lead is Track.AUDIO:
            return True
        last = self._last.get(Track.AUDIO)
        return last is not None and (
            (last.dts + last.duration) * self._timescale >= dts * self.audio.timescale
        )

    def _end_segment(self, segment: _Open, *, is_last: bool = False) -> None:
        if segment.pending:
            self._cut_part(segment, is_last=is_last)
        self._cuts.append(SegmentEnd())
        self._open = None

    def _cut_part(self, segment: _Open, *, is_last: bool = False) -> None:
        """With the sound that starts before its end.

        Splitting here, no segment's sound begins before its picture, and the picture's wall time is
        the segment's: players map the earliest sample to EXT-X-PROGRAM-DATE-TIME.
        """
        split = len(self._sounds)
        if not is_last:
            split = 0
            while split < len(self._sounds) and self._is_before(self._sounds[split], segment.end):
                split += 1
        sounds = tuple(self._sounds[:split])
        sound_bytes = sum(len(sample.data) + _SAMPLE_OVERHEAD for sample in sounds)
        self._sound_bytes -= sound_bytes
        segment.bytes += sound_bytes
        leads = tuple(segment.pending)
        ticks = segment.pending_ticks
        self._cuts.append(
            Cut(
                leads=leads,
                sounds=sounds,
                seconds=ticks / self._timescale,
                starts_at=segment.starts_at,
                is_independent=leads[0].is_keyframe,
                is_part=ticks <= self._part_ticks,
            )
        )
        del self._sounds[:split]
        segment.pending.clear()
