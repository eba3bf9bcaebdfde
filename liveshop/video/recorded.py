"""What was recorded of a show, read from its folder by whoever makes something of it: without the
server's state, in another process too, and while the show still runs. Blocking.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from liveshop.video.fmp4 import segment_type
from liveshop.video.fmp4_reading import (
    BrokenChunk,
    FragmentAt,
    fragments_in,
    keyframe_at_or_after,
    keyframe_at_or_before,
)
from liveshop.video.playlist import Chunk, Stretch
from liveshop.video.recording_index import chunk_name, init_name, read_state

_GAP_SECONDS: Final = 0.5
"""Less is missing where an encoder begins anew."""
_TICK: Final = timedelta(milliseconds=1)
"""Moments of the API are this fine, those of pictures finer."""

Read = Callable[[Chunk], bytes]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some seconds of a recording: fragments that play after `init`, from a keyframe on.

    Where an encoder sent no keyframe for twelve seconds a piece begins without one and goes on
    with the one before it. `is_discontinuous`: something is missing before it, or its timestamps
    or parameters begin anew; never so for the first. `starts_at`: the moment of the show at which
    its first picture is decoded.
    """

    starts_at: datetime
    seconds: float
    init: bytes
    data: bytes
    is_discontinuous: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """`ended_at`: where what is recorded so far ends. `seconds`: what can be played, without the
    gaps. `is_ended`: the show is over, nothing follows. `shortage`: why something is missing, in
    words."""

    started_at: datetime
    ended_at: datetime
    seconds: float
    byte_count: int
    gaps: int
    is_ended: bool
    shortage: str | None = None


def facts(folder: Path) -> Facts | None:
    """None: nothing is recorded there."""
    state = read_state(folder)
    return facts_of(state.kept, is_ended=state.is_ended, shortage=state.shortage)


def facts_of(
    chunks: Sequence[Chunk], *, is_ended: bool, shortage: str | None = None
) -> Facts | None:
    if not chunks:
        return None
    gaps = 0
    ends_at = chunks[0].starts_at
    for chunk in chunks:
        gaps += (chunk.starts_at - ends_at).total_seconds() > _GAP_SECONDS
        ends_at = chunk.ends_at
    return Facts(
        started_at=chunks[0].starts_at,
        ended_at=ends_at,
        seconds=sum(chunk.duration_seconds for chunk in chunks),
        byte_count=sum(chunk.byte_count for chunk in chunks),
        gaps=gaps,
        is_ended=is_ended,
        shortage=shortage,
    )


def pieces(
    folder: Path, from_at: datetime | None = None, until_at: datetime | None = None
) -> Iterator[Piece]:
    """From the last keyframe at or before `from_at` up to the first at or after `until_at`, as
    playlists of the same times have it. A gap ends where the recording goes on. Nothing where
    nothing is recorded. Raises OSError."""

    def read(chunk: Chunk) -> bytes:
        with (folder / chunk_name(chunk.number)).open("rb") as file:
            # The chunk that is being written may be longer by now.
            return file.read(chunk.byte_count)

    for one in stretches(read_state(folder).kept, from_at, until_at, read):
        data = read(one.chunk)[one.start : one.stop]
        if one.start:
            data = segment_type() + data
        init = (folder / init_name(one.chunk.init_number)).read_bytes()
        yield Piece(one.starts_at, one.seconds, init, data, one.is_discontinuous)


def stretches(
    chunks: Sequence[Chunk], from_at: datetime | None, until_at: datetime | None, read: Read
) -> Iterator[Stretch]:
    """See `pieces`. `read` is called for those of `edges` alone; a damaged one is left out, since
    as a whole it would show what is not wanted."""
    from_at, until_at = _tolerant(from_at, until_at)
    is_first, is_torn = True, False
    for chunk in _within(chunks, from_at, until_at):
        try:
            found = _wanted(chunk, from_at, until_at, read)
        except BrokenChunk:
            is_torn = True
            continue
        if found is not None:
            is_discontinuous = not is_first and (found.is_discontinuous or is_torn)
            yield replace(found, is_discontinuous=is_discontinuous)
            is_first, is_torn = False, False


def _wanted(
    chunk: Chunk, from_at: datetime | None, until_at: datetime | None, read: Read
) -> Stretch | None:
    """None: nothing of it. Raises BrokenChunk."""
    if _is_inside(chunk, from_at, until_at):
        return _whole(chunk)
    return _cut(chunk, fragments_in(read(chunk)), from_at, until_at)


def within(
    chunks: Sequence[Chunk], from_at: datetime | None, until_at: datetime | None
) -> Sequence[Chunk]:
    """Those of which `pieces` reads anything."""
    return _within(chunks, *_tolerant(from_at, until_at))


def edges(
    chunks: Sequence[Chunk], from_at: datetime | None, until_at: datetime | None
) -> list[Chunk]:
    """Those that have to be read to know where they are cut: two, seldom more."""
    from_at, until_at = _tolerant(from_at, until_at)
    return [
        chunk
        for chunk in _within(chunks, from_at, until_at)
        if not _is_inside(chunk, from_at, until_at)
    ]


def _tolerant(
    from_at: datetime | None, until_at: datetime | None
) -> tuple[datetime | None, datetime | None]:
    if from_at is not None:
        from_at += _TICK
    if until_at is not None:
        until_at -= _TICK
        if from_at is not None:
            until_at = max(until_at, from_at + _TICK)
    return from_at, until_at


def _within(
    chunks: Sequence[Chunk], from_at: datetime | None, until_at: datetime | None
) -> Sequence[Chunk]:
    """Those of which something is wanted: also the one that holds the keyframe which the first
    needs."""
    stop = len(chunks)
    if until_at is not None:
        stop = sum(chunk.starts_at < until_at for chunk in chunks)
    start = 0
    if from_at is not None:
        start = sum(chunk.ends_at <= from_at for chunk in chunks[:stop])
        while 0 < start < stop and not chunks[start].is_independent:
            start -= 1
    return chunks[start:stop]


def _is_inside(chunk: Chunk, from_at: datetime | None, until_at: datetime | None) -> bool:
    return (from_at is None or from_at <= chunk.starts_at + 2 * _TICK) and (
        until_at is None or until_at >= chunk.ends_at - 2 * _TICK
    )


def _whole(chunk: Chunk) -> Stretch:
    return Stretch(
        chunk,
        0,
        chunk.byte_count,
        chunk.starts_at,
        chunk.duration_seconds,
        chunk.is_discontinuous,
    )


def _cut(
    chunk: Chunk,
    fragments: Sequence[FragmentAt],
    from_at: datetime | None,
    until_at: datetime | None,
) -> Stretch | None:
    """None: nothing of it is wanted."""
    if not fragments:
        return None
    first, last = 0, len(fragments)
    zero = fragments[0].starts_at_seconds
    # Without a keyframe of its own it goes on with the chunk before, whose end is wanted too.
    if from_at is not None and chunk.is_independent:
        seconds = zero + (from_at - chunk.starts_at).total_seconds()
        first = keyframe_at_or_before(fragments, seconds) or 0
    if until_at is not None:
        seconds = zero + (until_at - chunk.starts_at).total_seconds()
        last = keyframe_at_or_after(fragments, seconds) or last
    if first == 0 and last == len(fragments):
        return _whole(chunk)
    starts = fragments[first].starts_at_seconds - zero
    stops = chunk.duration_seconds
    if last < len(fragments):
        stops = fragments[last].starts_at_seconds - zero
    return Stretch(
        chunk,
        fragments[first].start if first else 0,
        fragments[last - 1].stop,
        chunk.starts_at + timedelta(seconds=starts),
        stops - starts,
        chunk.is_discontinuous and first == 0,
    )
