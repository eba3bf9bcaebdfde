"""HLS playlists as text (RFC 8216 and draft-pantos-hls-rfc8216bis). Pure; what to list is decided
by the packager and the recording.

Addresses are relative, so that a signed show id in the path carries over to everything named.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from liveshop.kernel.clock import rfc3339
from liveshop.video.model import Rendition

_VERSION: Final = 9
"""Of EXT-X-SKIP; the same in every answer, so that a delta update never raises it."""
_PLAIN_VERSION: Final = 6
"""The first with EXT-X-MAP in a playlist of segments with pictures."""

_DECIMALS: Final = 5
"""Finer than a tick of 90 kHz, and PART-TARGET itself is written so: a part as long as the target
never reads as longer."""


@dataclass(frozen=True, slots=True)
class PartEntry:
    """One partial segment. `is_independent`: it starts with a keyframe."""

    number: int
    duration_seconds: float
    is_independent: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One segment as a playlist names it. `starts_at`: the wall time of its first decode time."""

    number: int
    init_number: int
    starts_at: datetime
    duration_seconds: float
    is_discontinuous: bool
    parts: tuple[PartEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class RenditionReport:
    """How far another rendition of the show is (EXT-X-RENDITION-REPORT)."""

    rendition: Rendition
    last_msn: int
    last_part: int


@dataclass(frozen=True, slots=True)
class LowLatency:
    """EXT-X-SERVER-CONTROL and EXT-X-PART-INF."""

    part_target_seconds: float
    target_seconds: int

    @property
    def skip_boundary_seconds(self) -> int:
        """The least that is allowed."""
        return 6 * self.target_seconds

    @property
    def lines(self) -> tuple[str, str]:
        part_hold_back = decimal(3 * self.part_target_seconds)
        return (
            "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES"
            f",PART-HOLD-BACK={part_hold_back},HOLD-BACK={3 * self.target_seconds}.0"
            f",CAN-SKIP-UNTIL={self.skip_boundary_seconds}.0",
            f"#EXT-X-PART-INF:PART-TARGET={decimal(self.part_target_seconds)}",
        )


@dataclass(frozen=True, slots=True)
class Variant:
    """One rendition in the multivariant playlist; `width` and `height` are 0 for sound alone."""

    rendition: Rendition
    codecs: str
    bits_per_second: int
    """The peak: no segment may need more."""
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """A few seconds of the recording as its playlist names them. Numbers rise, but not by one.
    `is_independent`: it starts with a keyframe."""

    number: int
    init_number: int
    starts_at: datetime
    duration_seconds: float
    is_discontinuous: bool
    byte_count: int = 0
    is_independent: bool = True

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(seconds=self.duration_seconds)


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is wanted of a chunk: its bytes from `start` until `stop`."""

    chunk: Chunk
    start: int
    stop: int
    starts_at: datetime
    seconds: float
    is_discontinuous: bool

    @property
    def is_whole(self) -> bool:
        return self.stop - self.start == self.chunk.byte_count


def media_playlist(
    entries: Sequence[Entry],
    *,
    low_latency: LowLatency,
    discontinuity_sequence: int,
    open_entry: Entry | None = None,
    hint: int | None = None,
    entries_with_parts: int = 0,
    skipped: int = 0,
    reports: Iterable[RenditionReport] = (),
    is_ended: bool = False,
) -> str:
    """The text of a rendition's `live.m3u8`; `entries` (complete segments) is not empty.

    `open_entry`: the segment now being filled, with the parts it has. `hint`: the part that comes
    next. `skipped`: how many of the first `entries` a delta update leaves out. Parts are named for
    the last `entries_with_parts` segments only.

    EXT-X-INDEPENDENT-SEGMENTS is left out on purpose: a host with rare keyframes gets segments
    that start without one, and a playlist must not change its mind about that tag.
    """
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_VERSION}",
        f"#EXT-X-TARGETDURATION:{low_latency.target_seconds}",
        *low_latency.lines,
        f"#EXT-X-MEDIA-SEQUENCE:{entries[0].number}",
        f"#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuity_sequence}",
    ]
    if skipped:
        lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")
    # A delta update names the init section again: players that know it from before lose nothing.
    init_number: int | None = None
    first_with_parts = len(entries) - entries_with_parts
    for index in range(skipped, len(entries)):
        entry = entries[index]
        lines += _opening(entry, init_number)
        init_number = entry.init_number
        if index >= first_with_parts:
            lines += [_part(part) for part in entry.parts]
        lines.append(f"#EXTINF:{entry.duration_seconds:.{_DECIMALS}f},")
        lines.append(f"segment-{entry.number}.m4s")
    if open_entry is not None:
        lines += _opening(open_entry, init_number)
        lines += [_part(part) for part in open_entry.parts]
    if hint is not None:
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part-{hint}.m4s"')
    if is_ended:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n" + report_lines(reports)


def report_lines(reports: Iterable[RenditionReport]) -> str:
    """What is put behind a playlist: it changes when other renditions do."""
    return "".join(
        f'#EXT-X-RENDITION-REPORT:URI="../{report.rendition}/live.m3u8"'
        f",LAST-MSN={report.last_msn},LAST-PART={report.last_part}\n"
        for report in reports
    )


def multivariant_playlist(variants: Iterable[Variant]) -> str:
    """The text of `index.m3u8`, best picture first: players without a preference start with it."""
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_PLAIN_VERSION}"]
    for variant in variants:
        size = f",RESOLUTION={variant.width}x{variant.height}" if variant.width else ""
        lines.append(
            f'#EXT-X-STREAM-INF:BANDWIDTH={variant.bits_per_second},CODECS="{variant.codecs}"{size}'
        )
        lines.append(f"{variant.rendition}/live.m3u8")
    return "\n".join(lines) + "\n"


def rewind_playlist(
    chunks: Sequence[Chunk],
    *,
    target_seconds: int,
    forgotten: int = 0,
    discontinuity_sequence: int = 0,
    is_ended: bool = False,
) -> str:
    """The text of `rewind/index.m3u8`; `chunks` is not empty.

    `forgotten`: chunks there were before. It is never called an EVENT, since a long show loses its
    beginning, and a type once written may not be withdrawn (RFC 8216 6.2.1).
    """
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_PLAIN_VERSION}",
        f"#EXT-X-TARGETDURATION:{target_seconds}",
        f"#EXT-X-MEDIA-SEQUENCE:{forgotten}",
        f"#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuity_sequence}",
    ]
    init_number: int | None = None
    for chunk in chunks:
        lines += _opening(chunk, init_number)
        init_number = chunk.init_number
        lines.append(f"#EXTINF:{chunk.duration_seconds:.{_DECIMALS}f},")
        lines.append(f"chunk-{chunk.number}.m4s")
    if is_ended:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def vod_playlist(shown: Sequence[Stretch], *, target_seconds: int) -> str:
    """The text of `replay/index.m3u8`; `shown` is not empty. What is trimmed within a chunk is some
    bytes of it, so that trimming writes nothing: `chunk-N-FROM-UNTIL.m4s`. They have an address of
    their own and not an EXT-X-BYTERANGE, which browsers may ask other origins' leave for and caches
    fetch the whole for."""
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_PLAIN_VERSION}",
        f"#EXT-X-TARGETDURATION:{target_seconds}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-DISCONTINUITY-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
    ]
    init_number: int | None = None
    for one in shown:
        chunk = replace(one.chunk, starts_at=one.starts_at, is_discontinuous=one.is_discontinuous)
        lines += _opening(chunk, init_number)
        init_number = chunk.init_number
        lines.append(f"#EXTINF:{one.seconds:.{_DECIMALS}f},")
        part = "" if one.is_whole else f"-{one.start}-{one.stop}"
        lines.append(f"chunk-{chunk.number}{part}.m4s")
    lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def decimal(seconds: float) -> str:
    """Decimal-floating-point without needless zeros: `1.02`."""
    text = f"{seconds:.{_DECIMALS}f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


def _opening(entry: Entry | Chunk, init_number: int | None) -> list[str]:
    """The tags before a segment's parts; `init_number` is the one in force."""
    lines = ["#EXT-X-DISCONTINUITY"] if entry.is_discontinuous else []
    if entry.init_number != init_number:
        lines.append(f'#EXT-X-MAP:URI="init-{entry.init_number}.mp4"')
    lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{rfc3339(entry.starts_at)}")
    return lines


def _part(part: PartEntry) -> str:
    independent = ",INDEPENDENT=YES" if part.is_independent else ""
    return (
        f"#EXT-X-PART:DURATION={part.duration_seconds:.{_DECIMALS}f}"
        f',URI="part-{part.number}.m4s"{independent}'
    )
