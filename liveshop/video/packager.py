"""Samples in, low-latency HLS out: numbers segments and parts, keeps a window of them in memory.

Pure: it knows neither ingest nor HTTP nor the time of day; samples come with the wall time of
their timestamp zero. Parts are numbered through, not per segment, so that the preload hint is
right even when a keyframe opens a segment where nobody expected one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from liveshop.video.cutting import Cut, Cutter, PackagerLimits, SegmentEnd
from liveshop.video.fmp4 import codecs, fragment, init_segment, segment_type
from liveshop.video.kept import Kept, Segment
from liveshop.video.model import (
    AacConfig,
    BrokenTimestamps,
    H264Config,
    NoVideo,
    Rendition,
    Sample,
)
from liveshop.video.playlist import (
    Entry,
    LowLatency,
    PartEntry,
    RenditionReport,
    media_playlist,
    report_lines,
)

__all__ = ["Packager", "PackagerLimits", "Segment"]

_SEGMENTS_WITH_PARTS: Final = 2
"""Complete ones, besides the open one: validators allow parts in the last three segments."""


@dataclass(slots=True)
class _Run:
    cutter: Cutter
    init_number: int
    timeline: int


class Packager:
    """One rendition of one show. Not thread-safe; every call is short.

    `first_number` numbers the first segment, part and init section. URLs are cached for an hour as
    immutable, so a packager made later for the same show must be given a number that no earlier
    one can have reached (see `next_number`). Runs are timelines, numbered by their
    EXT-X-DISCONTINUITY-SEQUENCE: `first_discontinuity` is the first one's. It should be higher than
    an earlier packager's, since players remember where a timeline starts by it; but keep it small:
    hls.js walks an array of that length (a nine-digit number froze its page for three seconds at
    every step). `rendition`: what others call this one in their reports.
    """

    def __init__(
        self,
        *,
        first_number: int,
        first_discontinuity: int = 0,
        limits: PackagerLimits | None = None,
        rendition: Rendition = Rendition.VIDEO,
    ) -> None:
        self.limits = limits or PackagerLimits()
        self.rendition = rendition
        self.is_ended = False
        self.version = 0
        """Rises with every change of the playlist."""
        self.peak_bits_per_second = 0
        """Of any segment so far; for BANDWIDTH."""
        self._low_latency = LowLatency(self.limits.part_target_seconds, self.limits.target_seconds)
        self._next_segment = first_number
        self._next_part = first_number
        self._next_init = first_number
        self._next_fragment = first_number
        self._first_timeline = first_discontinuity
        self._last_timeline: int | None = None
        """Of the last segment, also of an open one."""
        self._kept = Kept(self.limits)
        self._open: Segment | None = None
        """The segment now being filled, once it has a first fragment."""
        self._last_part = (first_number - 1, 0)
        """The last part's segment and index in it."""
        self._run: _Run | None = None
        self._completed: list[Segment] = []
        """Not yet handed to the caller."""
        self._texts: dict[bool, str] = {}
        """Playlists of this version, without reports; by whether it is a delta update."""
        self._reported: dict[tuple[bool, tuple[RenditionReport, ...]], str] = {}
        self._parameters: tuple[H264Config | None, AacConfig | None] = (None, None)

    @property
    def has_segments(self) -> bool:
        """Whether there is a playlist."""
        return len(self._kept) > 0

    @property
    def is_under_way(self) -> bool:
        """Whether the run of now has begun: its number is used."""
        return self._run is not None and self._run.cutter.has_begun

    @property
    def next_number(self) -> int:
        """No segment, part or init section has had this number, or a higher one."""
        return max(self._next_segment, self._next_part, self._next_init) + 1

    @property
    def next_timeline(self) -> int:
        """What the next run is numbered unless told otherwise: runs without a segment do not
        count."""
        return self._first_timeline if self._last_timeline is None else self._last_timeline + 1

    def can_go_on(self, timeline: int) -> bool:
        """Whether `begin_run` takes this number: players count discontinuities one by one."""
        last = self._last_timeline
        return last is None or last <= timeline <= last + 1

    @property
    def hint(self) -> int:
        """The number the next part will have."""
        return self._next_part

    @property
    def codecs(self) -> str:
        """Of the last run; empty before the first."""
        return codecs(*self._parameters)

    @property
    def width(self) -> int:
        """0 for sound alone."""
        video, _ = self._parameters
        return video.width if video else 0

    @property
    def height(self) -> int:
        video, _ = self._parameters
        return video.height if video else 0

    @property
    def byte_count(self) -> int:
        """Bytes of media held, for bounds and figures."""
        kept = self._kept.byte_count
        if self._open is not None:
            kept += self._open.byte_count
        return kept if self._run is None else kept + self._run.cutter.byte_count

    @property
    def report(self) -> RenditionReport | None:
        """How far this rendition is, for the playlists of others. None: there is nothing yet."""
        last = self._open or (self._kept.last if self._kept else None)
        if last is None:
            return None
        # A segment without parts is told as one with.
        last_part = max(0, len(last.entry.parts) - 1)
        return RenditionReport(self.rendition, last.entry.number, last_part)

    def begin_run(
        self,
        video: H264Config | None,
        audio: AacConfig | None,
        *,
        timeline: int | None = None,
    ) -> None:
        """A publisher starts, or goes on with new parameters: new init section, discontinuity.

        `timeline`: the run's number, by which players find the same moment in other renditions
        (RFC 8216 6.2.4); see `can_go_on`. That of the run before is gone on with after a hole.

        Without `video` the sound leads, and pictures are ignored. Raises BadTrack without either.
        Segments this completes are returned by the next `add`, `finish_run` or `end`.
        """
        data = init_segment(video, audio)
        self._finish_run()
        if timeline is None:
            timeline = self.next_timeline
        assert self.can_go_on(timeline)
        number = self._next_init
        self._next_init += 1
        self._kept.add_init(number, data)
        self._parameters = (video, audio)
        self._run = _Run(Cutter(video, audio, self.limits), number, timeline)

    def add(self, samples: Iterable[Sample], *, origin: datetime) -> list[Segment]:
        """Take samples, each track's in decode order, both tracks about equally far; returns the
        segments they complete.

        `origin` is the wall time of timestamp zero as known now; it holds for segments that start
        from here on. Sound and dependent pictures before the first keyframe are dropped. Raises
        BrokenTimestamps; samples before the broken one are kept, and what they completed is
        returned by the next call.
        """
        run = self._run
        if run is None:
            raise BrokenTimestamps("samples arrived before a track was announced")
        for sample in samples:
            for cut in run.cutter.add(sample, origin=origin):
                self._take(run, cut)
        return self._hand_over()

    def finish_run(self) -> list[Segment]:
        """The publisher is gone: what it has sent becomes the last, shorter segment."""
        self._finish_run()
        return self._hand_over()

    def end(self) -> list[Segment]:
        """The show is over: the playlist stays as it is from now on, with EXT-X-ENDLIST."""
        self._finish_run()
        if not self.is_ended:
            self.is_ended = True
            self._change()
        return self._hand_over()

    def has_reached(self, msn: int, part: int | None) -> bool:
        """Whether a blocking reload that asks for this is to be answered now (rfc8216bis
        6.2.5.2). A part after a segment's last means the first of the next segment that has any:
        an answer without a new part would make hls.js poll."""
        if self.is_ended:
            return True
        if part is None:
            return msn < self._next_segment
        return (msn, part) <= self._last_part

    def is_too_far(self, msn: int, part: int | None) -> bool:
        """Whether a blocking reload asks for what is so far in the future that it is to be refused
        (rfc8216bis 6.2.5.2: two segments, or three seconds of parts, after the last)."""
        last = self._next_segment - 1
        if self.is_ended or msn <= last:
            return False
        if msn > last + 2:
            return True
        advance = int(3 / min(1.0, self.limits.part_target_seconds))
        open_parts = len(self._open.entry.parts) if self._open and msn == last + 1 else 0
        return part is not None and part >= open_parts + advance

    def playlist(self, *, skip: bool = False, reports: Sequence[RenditionReport] = ()) -> str:
        """`live.m3u8`; with `skip` a delta update where there is something to leave out.

        Raises NoVideo before the first segment is complete. Made once per version and arguments:
        every viewer asks three times a second.
        """
        if not self._kept:
            raise NoVideo("this show sends no video yet; try again in a moment", retry_after=1)
        if not reports:
            return self._text(skip=skip)
        key = (skip, tuple(reports))
        text = self._reported.get(key)
        if text is None:
            # Others move on while this one stands still; what is outdated is not asked for again.
            if len(self._reported) > 16:
                self._reported.clear()
            text = self._reported[key] = self._text(skip=skip) + report_lines(reports)
        return text

    def init(self, number: int) -> bytes:
        """Raises NoSuchSegment."""
        return self._kept.init(number)

    def segment(self, number: int) -> bytes:
        """Raises NoSuchSegment for the future and for the distant past."""
        return self._kept.segment(number)

    def part(self, number: int) -> bytes:
        """Raises NoSuchSegment for the future (see `is_part_coming`) and the distant past."""
        return self._kept.part(number)

    def is_part_coming(self, number: int) -> bool:
        """Whether this is the part that playlists hint at: worth waiting for."""
        return number == self._next_part and not self.is_ended

    def _take(self, run: _Run, cut: Cut | SegmentEnd) -> None:
        if isinstance(cut, SegmentEnd):
            self._close_segment()
            return
        video, audio = (cut.leads, cut.sounds) if run.cutter.video else ((), cut.leads)
        data = fragment(self._next_fragment, video, audio)
        self._next_fragment += 1
        segment = self._open
        if segment is None:
            data = segment_type() + data
            entry = Entry(
                number=self._next_segment,
                init_number=run.init_number,
                starts_at=cut.starts_at,
                duration_seconds=0.0,
                is_discontinuous=self._last_timeline not in (None, run.timeline),
            )
            if self._last_timeline is None:
                self._kept.begin(run.timeline)
            self._last_timeline = run.timeline
            segment = Segment(entry, (), cut.is_independent)
        entry = segment.entry
        parts = entry.parts
        if cut.is_part:
            parts = (*parts, PartEntry(self._next_part, cut.seconds, cut.is_independent))
            self._kept.add_part(self._next_part, data)
            self._next_part += 1
            self._last_part = (entry.number, len(parts) - 1)
        self._open = replace(
            segment,
            entry=replace(
                entry, duration_seconds=entry.duration_seconds + cut.seconds, parts=parts
            ),
            fragments=(*segment.fragments, data),
        )
        self._change()

    def _close_segment(self) -> None:
        segment, self._open = self._open, None
        assert segment is not None
        self._next_segment += 1
        self._kept.add_segment(segment)
        self._forget_inits()
        self._completed.append(segment)
        seconds = segment.entry.duration_seconds
        # Shorter ones do not count (RFC 8216 4.1), but none at all would be no bandwidth.
        if seconds >= self.limits.target_seconds * 0.4 or not self.peak_bits_per_second:
            peak = round(8 * segment.byte_count / seconds)
            self.peak_bits_per_second = max(self.peak_bits_per_second, peak)
        self._change()

    def _finish_run(self) -> None:
        run, self._run = self._run, None
        if run is None:
            return
        for cut in run.cutter.finish():
            self._take(run, cut)
        self._forget_inits()

    def _hand_over(self) -> list[Segment]:
        completed, self._completed = self._completed, []
        return completed

    def _change(self) -> None:
        self.version += 1
        self._texts.clear()
        self._reported.clear()

    def _text(self, *, skip: bool) -> str:
        text = self._texts.get(skip)
        if text is None:
            text = self._texts[skip] = self._made_text(skip=skip)
        return text

    def _made_text(self, *, skip: bool) -> str:
        entries, discontinuity = self._kept.listed()
        return media_playlist(
            entries,
            low_latency=self._low_latency,
            discontinuity_sequence=discontinuity,
            open_entry=self._open.entry if self._open else None,
            hint=None if self.is_ended else self._next_part,
            entries_with_parts=0 if self.is_ended else _SEGMENTS_WITH_PARTS,
            skipped=self._skippable_count(entries) if skip else 0,
            is_ended=self.is_ended,
        )

    def _skippable_count(self, entries: Sequence[Entry]) -> int:
        """Segments that end before the skip boundary."""
        open_seconds = self._open.entry.duration_seconds if self._open else 0.0
        left = sum(entry.duration_seconds for entry in entries) + open_seconds
        for index, entry in enumerate(entries):
            left -= entry.duration_seconds
            if left <= self._low_latency.skip_boundary_seconds:
                return index
        return 0

    def _forget_inits(self) -> None:
        self._kept.forget_inits(but=self._run.init_number if self._run else None)
