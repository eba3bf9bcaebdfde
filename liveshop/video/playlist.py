"""HLS media playlists as text (RFC 8216). Pure; what to list is the packager's decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from liveshop.kernel.clock import rfc3339

_VERSION: Final = 6
"""The first protocol version with EXT-X-MAP in a playlist of segments with pictures."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One segment as a playlist names it. `starts_at`: when its first picture was taken."""

    number: int
    init_number: int
    starts_at: datetime
    duration_seconds: float
    is_discontinuous: bool


def media_playlist(
    entries: Sequence[Entry],
    *,
    target_seconds: int,
    discontinuity_sequence: int,
    is_ended: bool,
) -> str:
    """The text of `index.m3u8`; `entries` is not empty.

    EXT-X-INDEPENDENT-SEGMENTS is left out on purpose: a host with rare keyframes gets segments
    that start without one, and a playlist must not change its mind about that tag.
    """
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_VERSION}",
        f"#EXT-X-TARGETDURATION:{target_seconds}",
        f"#EXT-X-MEDIA-SEQUENCE:{entries[0].number}",
        f"#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuity_sequence}",
    ]
    init_number: int | None = None
    for entry in entries:
        if entry.is_discontinuous:
            lines.append("#EXT-X-DISCONTINUITY")
        if entry.init_number != init_number:
            init_number = entry.init_number
            lines.append(f'#EXT-X-MAP:URI="init-{init_number}.mp4"')
        lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{rfc3339(entry.starts_at)}")
        lines.append(f"#EXTINF:{entry.duration_seconds:.5f},")
        lines.append(f"segment-{entry.number}.m4s")
    if is_ended:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"
