"""The segments, parts and init sections of a rendition that are still served, by number. Pure."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from liveshop.video.cutting import PackagerLimits
from liveshop.video.model import NoSuchSegment
from liveshop.video.playlist import Entry

_MOST_LISTED: Final = 200
_MOST_KEPT: Final = 450
"""Segments, should they be very short."""


@dataclass(frozen=True, slots=True)
class Segment:
    entry: Entry
    fragments: tuple[bytes, ...]
    """One `moof` and `mdat` per part, the first after a `styp`."""
    is_independent: bool
    """It starts with a keyframe."""

    @property
    def data(self) -> bytes:
        return b"".join(self.fragments)

    @property
    def byte_count(self) -> int:
        return sum(map(len, self.fragments))


class Kept:
    """Call `begin` before the first segment comes."""

    def __init__(self, limits: PackagerLimits) -> None:
        self._limits = limits
        self._segments: deque[Segment] = deque()
        self._seconds = 0.0
        self._discontinuities_before = 0
        """Of the first segment still kept."""
        self._parts: dict[int, bytes] = {}
        """Also of the segment that is not complete yet."""
        self._inits: dict[int, bytes] = {}

    def __len__(self) -> int:
        """How many complete segments."""
        return len(self._segments)

    @property
    def last(self) -> Segment:
        return self._segments[-1]

    @property
    def byte_count(self) -> int:
        return sum(segment.byte_count for segment in self._segments)

    def begin(self, first_discontinuity: int) -> None:
        """EXT-X-DISCONTINUITY-SEQUENCE of the first segment."""
        self._discontinuities_before = first_discontinuity

    def add_init(self, number: int, data: bytes) -> None:
        self._inits[number] = data

    def add_part(self, number: int, data: bytes) -> None:
        self._parts[number] = data

    def add_segment(self, segment: Segment) -> None:
        """Its parts were added before. Forgets what is older than a playlist and a segment before
        the playlist's first."""
        self._segments.append(segment)
        self._seconds += segment.entry.duration_seconds
        while (
            self._seconds - self._segments[0].entry.duration_seconds > self._limits.kept_seconds
            or len(self._segments) > _MOST_KEPT
        ):
            forgotten = self._segments.popleft().entry
            self._seconds -= forgotten.duration_seconds
            self._discontinuities_before += forgotten.is_discontinuous
            for part in forgotten.parts:
                del self._parts[part.number]

    def forget_inits(self, but: int | None) -> None:
        """Those of no kept segment, but for that of the run now sent."""
        needed = {segment.entry.init_number for segment in self._segments}
        for number in self._inits.keys() - needed - {but}:
            del self._inits[number]

    def listed(self) -> tuple[Sequence[Entry], int]:
        """What a playlist names, and its EXT-X-DISCONTINUITY-SEQUENCE."""
        seconds = 0.0
        count = 0
        for segment in reversed(self._segments):
            if seconds >= self._limits.window_seconds or count >= _MOST_LISTED:
                break
            seconds += segment.entry.duration_seconds
            count += 1
        hidden = len(self._segments) - count
        before = sum(s.entry.is_discontinuous for s in islice(self._segments, hidden))
        entries = [segment.entry for segment in islice(self._segments, hidden, None)]
        return entries, self._discontinuities_before + before

    def init(self, number: int) -> bytes:
        """Raises NoSuchSegment."""
        try:
            return self._inits[number]
        except KeyError:
            raise NoSuchSegment(f"there is no init section {number} in this show") from None

    def segment(self, number: int) -> bytes:
        """Raises NoSuchSegment for the future and for the distant past."""
        first = self._segments[0].entry.number if self._segments else number + 1
        if not first <= number < first + len(self._segments):
            raise NoSuchSegment(
                f"segment {number} of this show is not kept, or not made yet: load the playlist"
            )
        return self._segments[number - first].data

    def part(self, number: int) -> bytes:
        """Raises NoSuchSegment for the future and the distant past."""
        try:
            return self._parts[number]
        except KeyError:
            raise NoSuchSegment(
                f"part {number} of this show is not kept, or not made yet: load the playlist"
            ) from None
