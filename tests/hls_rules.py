"""The rules of a low-latency playlist, read from the texts of RFC 8216 and rfc8216bis, not from our
writer: every playlist at every version, one after the other, is held against them.
"""

import math
import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise

_UNIQUE = {
    "EXT-X-VERSION", "EXT-X-TARGETDURATION", "EXT-X-SERVER-CONTROL", "EXT-X-PART-INF",
    "EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE", "EXT-X-SKIP", "EXT-X-ENDLIST",
    "EXT-X-PLAYLIST-TYPE", "EXT-X-PRELOAD-HINT",
}  # fmt: skip
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s][^,\s]*)(?:,|$)')
_SLACK = 1e-9
_ROUNDING = 1e-4


@dataclass
class Part:
    uri: str
    seconds: float
    is_independent: bool


@dataclass
class Segment:
    """`uri` None: it is not complete yet."""

    msn: int
    discontinuity: int
    init: str
    starts_at: datetime
    uri: str | None = None
    seconds: float = 0.0
    parts: list[Part] = field(default_factory=list)


@dataclass
class Playlist:
    version: int
    target: int
    first_msn: int
    first_discontinuity: int
    control: dict[str, str] | None
    part_target: float | None
    skipped: int
    segments: list[Segment]
    """The last may be incomplete. Without the skipped ones."""
    hint: str | None
    reports: list[tuple[str, int, int]]
    is_ended: bool
    is_event: bool

    @property
    def complete(self) -> list[Segment]:
        return [segment for segment in self.segments if segment.uri is not None]

    @property
    def seconds(self) -> float:
        return sum(segment.seconds for segment in self.complete)

    @property
    def parts(self) -> list[Part]:
        return [part for segment in self.segments for part in segment.parts]


def checked(text: str) -> Playlist:
    """Raises AssertionError for what one playlist alone shows to be wrong."""
    playlist = _parsed(text)
    complete = playlist.complete
    assert complete, "nothing to play"
    for segment in complete:
        # 4.4.3.1, with the rounding of the RFC: halves up.
        assert math.floor(segment.seconds + 0.5) <= playlist.target, f"too long: {segment}"
        assert segment.seconds > 0, segment
    if playlist.part_target is None:
        assert not playlist.parts
        assert playlist.hint is None
        return playlist
    _check_control(playlist)
    _check_parts(playlist)
    return playlist


def check_next(before: Playlist, after: Playlist) -> None:
    """What must hold from one answer to a later one (6.2.1, 6.2.2)."""
    assert not before.is_ended or before == after, "changed after its end"
    for name in ("version", "target", "control", "part_target"):
        assert getattr(before, name) == getattr(after, name), f"{name} changed"
    assert after.first_msn >= before.first_msn
    assert after.first_discontinuity >= before.first_discontinuity
    if after.first_msn > before.first_msn:
        assert after.seconds >= 3 * after.target, "removed too much"
    later = {segment.msn: segment for segment in after.segments}
    assert before.complete[-1].msn <= after.complete[-1].msn, "segments were taken back"
    for old in before.segments:
        new = later.get(old.msn)
        if new is None:
            assert old.msn < after.segments[0].msn, f"{old} vanished"
            continue
        assert (old.starts_at, old.init) == (new.starts_at, new.init)
        assert old.discontinuity == new.discontinuity
        assert old.uri is None or (old.uri, old.seconds) == (new.uri, new.seconds)
        if new.parts:
            assert new.parts[: len(old.parts)] == old.parts, "a part changed"
    old_parts = {part.uri for part in before.parts}
    new_parts = [part.uri for part in after.parts if part.uri not in old_parts]
    missed = len(new_parts) and after.parts and after.parts[0].uri in new_parts
    if new_parts and not missed:
        assert new_parts[0] == before.hint, "the hint was wrong"
    if not new_parts and not after.is_ended:
        assert before.hint == after.hint


def check_delta(full: Playlist, delta: Playlist) -> None:
    """A delta update is the full playlist without what is older than the skip boundary."""
    assert delta.control is not None
    boundary = float(delta.control["CAN-SKIP-UNTIL"])
    skipped = full.segments[: delta.skipped]
    kept = full.segments[delta.skipped :]
    # Players take over how many discontinuities were skipped from what they know.
    unknown = kept[0].discontinuity - delta.segments[0].discontinuity
    assert unknown >= 0
    assert [replace(s, discontinuity=s.discontinuity + unknown) for s in delta.segments] == kept
    assert delta.first_msn == full.first_msn
    assert delta.first_discontinuity == full.first_discontinuity
    if delta.skipped:
        assert delta.version >= 9
        after = sum(segment.seconds for segment in delta.complete)
        after += sum(part.seconds for part in full.segments[-1].parts if not full.segments[-1].uri)
        assert after >= boundary - _ROUNDING, "skipped too much"
        assert all(segment.uri for segment in skipped)


def _check_control(playlist: Playlist) -> None:
    control, part_target = playlist.control, playlist.part_target
    assert control is not None
    assert part_target is not None
    assert control["CAN-BLOCK-RELOAD"] == "YES"
    assert float(control["PART-HOLD-BACK"]) >= 3 * part_target - _SLACK
    assert float(control["HOLD-BACK"]) >= 3 * playlist.target
    assert float(control["CAN-SKIP-UNTIL"]) >= 6 * playlist.target


def _check_parts(playlist: Playlist) -> None:
    part_target = playlist.part_target
    assert part_target is not None
    for back, segment in enumerate(reversed(playlist.segments)):
        is_last = back == 0 and segment.uri is None
        allowed = 3 if playlist.segments[-1].uri is None else 2
        assert back < allowed or not segment.parts, "parts far from the end"
        for part in segment.parts:
            assert part.seconds <= part_target + _SLACK, f"longer than PART-TARGET: {part}"
        for part in segment.parts if is_last else segment.parts[:-1]:
            assert part.seconds >= 0.85 * part_target, f"shorter than 85 %: {part}"
        if segment.parts and segment.uri is not None:
            whole = sum(part.seconds for part in segment.parts)
            assert abs(whole - segment.seconds) < _ROUNDING, f"{whole} of {segment}"
    numbers = [_number_of(part.uri) for part in playlist.parts]
    assert all(b == a + 1 for a, b in pairwise(numbers)), numbers
    if playlist.is_ended:
        assert playlist.hint is None
        return
    assert playlist.hint is not None
    if numbers:
        assert playlist.hint == f"part-{numbers[-1] + 1}.m4s"


def _number_of(uri: str) -> int:
    match = re.fullmatch(r"part-(\d+)\.m4s", uri)
    assert match, uri
    return int(match[1])


def _parsed(text: str) -> Playlist:  # noqa: C901 (one case per tag)
    assert text.endswith("\n")
    lines = text.splitlines()
    assert lines[0] == "#EXTM3U"
    found: dict[str, str] = {}
    segments: list[Segment] = []
    reports: list[tuple[str, int, int]] = []
    init, starts_at, seconds = "", None, None
    parts: list[Part] = []
    msn = discontinuity = 0
    for line in lines[1:]:
        if not line.startswith("#"):
            assert seconds is not None, f"{line} has no EXTINF"
            assert starts_at is not None, f"{line} has no wall time"
            assert init, f"{line} has no init section"
            segments.append(Segment(msn, discontinuity, init, starts_at, line, seconds, parts))
            msn += 1
            starts_at, seconds, parts = None, None, []
            continue
        name, _, value = line[1:].partition(":")
        if name in _UNIQUE:
            assert name not in found, f"two of {name}"
            found[name] = value
        match name:
            case "EXT-X-MEDIA-SEQUENCE":
                assert not segments
                msn = int(value)
            case "EXT-X-DISCONTINUITY-SEQUENCE":
                assert not segments
                discontinuity = int(value)
            case "EXT-X-SKIP":
                assert not segments
                msn += int(_attributes(value)["SKIPPED-SEGMENTS"])
            case "EXT-X-DISCONTINUITY":
                assert not parts, "after its first part"
                discontinuity += 1
            case "EXT-X-MAP":
                assert not parts, "after its first part"
                init = _attributes(value)["URI"]
            case "EXT-X-PROGRAM-DATE-TIME":
                assert not parts, "after its first part"
                starts_at = datetime.fromisoformat(value)
                assert starts_at.tzinfo is not None
            case "EXTINF":
                seconds = float(value.removesuffix(","))
            case "EXT-X-PART":
                told = _attributes(value)
                is_independent = told.get("INDEPENDENT") == "YES"
                parts.append(Part(told["URI"], float(told["DURATION"]), is_independent))
            case "EXT-X-RENDITION-REPORT":
                told = _attributes(value)
                reports.append((told["URI"], int(told["LAST-MSN"]), int(told["LAST-PART"])))
            case _:
                assert name in _UNIQUE, f"unknown tag {name}"
    if parts:
        assert starts_at is not None, "an open segment without a wall time"
        assert init
        segments.append(Segment(msn, discontinuity, init, starts_at, parts=parts))
    hint = found.get("EXT-X-PRELOAD-HINT")
    control = found.get("EXT-X-SERVER-CONTROL")
    part_inf = found.get("EXT-X-PART-INF")
    skip = found.get("EXT-X-SKIP")
    if hint is not None:
        assert _attributes(hint)["TYPE"] == "PART"
    return Playlist(
        version=int(found["EXT-X-VERSION"]),
        target=int(found["EXT-X-TARGETDURATION"]),
        first_msn=int(found["EXT-X-MEDIA-SEQUENCE"]),
        first_discontinuity=int(found["EXT-X-DISCONTINUITY-SEQUENCE"]),
        control=None if control is None else _attributes(control),
        part_target=None if part_inf is None else float(_attributes(part_inf)["PART-TARGET"]),
        skipped=0 if skip is None else int(_attributes(skip)["SKIPPED-SEGMENTS"]),
        segments=segments,
        hint=None if hint is None else _attributes(hint)["URI"],
        reports=reports,
        is_ended="EXT-X-ENDLIST" in found,
        is_event=found.get("EXT-X-PLAYLIST-TYPE") == "EVENT",
    )


def _attributes(value: str) -> dict[str, str]:
    """An attribute list (4.2), of which nothing may be left over."""
    found = {}
    position = 0
    while position < len(value):
        match = _ATTRIBUTE.match(value, position)
        assert match, f"not an attribute list: {value}"
        assert match[1] not in found
        found[match[1]] = match[2].strip('"')
        position = match.end()
    return found
