"""What a recorded show's index says: lines appended to a file, of which a crash or a full disk may
have lost the last ones.

A segment is a line, and the lines of a chunk follow each other: its last one says how much of the
file is good. What an earlier version wrote, a line per chunk, reads the same.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec

from liveshop.video.playlist import Chunk

INDEX: Final = "index.jsonl"
_END_BYTES: Final = 4096
"""Some lines, the longest among them."""


class Line(msgspec.Struct, omit_defaults=True):
    """One line: a chunk as far as it has come, or how many are forgotten, or something that is so
    from here on.

    `keyless`: the chunk begins without a keyframe. `ended`: the show is over. `kept`: nothing is
    forgotten. `short`: why something is missing, in words. `told`: whoever makes a replay of it
    knows. `archived`: chunks and init sections are in the archive.
    """

    number: int = -1
    init: int = -1
    at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    seconds: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 0.0
    torn: bool = False
    keyless: bool = False
    bytes: int = 0
    forgotten: int = 0
    ended: bool = False
    kept: bool = False
    short: str = ""
    told: bool = False
    archived: bool = False


@dataclass(slots=True)
class State:
    kept: list[Chunk] = field(default_factory=list)
    forgotten: int = 0
    discontinuities: int = 0
    """Of the forgotten ones."""
    is_ended: bool = False
    is_kept: bool = False
    is_told: bool = False
    is_archived: bool = False
    shortage: str | None = None

    def take(self, line: Line) -> None:
        """What a line says that is of no chunk."""
        self.is_ended |= line.ended
        self.is_kept |= line.kept
        self.is_told |= line.told
        self.is_archived |= line.archived
        self.shortage = line.short or self.shortage


def chunk_name(number: int) -> str:
    return f"chunk-{number}.m4s"


def init_name(number: int) -> str:
    return f"init-{number}.mp4"


def is_there(path: Path, size: int) -> bool:
    """Whether the file has these bytes at least."""
    try:
        return path.stat().st_size >= size
    except OSError:
        return False


def is_whole(folder: Path, line: Line) -> bool:
    """Whether all that the line names is there. A chunk may be longer: of what a crash cut short no
    line tells."""
    chunk, init = folder / chunk_name(line.number), folder / init_name(line.init)
    return is_there(chunk, line.bytes) and is_there(init, 1)


def read_end(folder: Path) -> State:
    """What is so at the end of it, without the chunks before; `is_kept` may be missing. Raises
    OSError."""
    with (folder / INDEX).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END_BYTES))
        data = file.read()
    if size > _END_BYTES:
        data = data.partition(b"\n")[2]
    state, _ = replayed(data, lambda _: True)
    return state


def is_kept_there(folder: Path) -> bool:
    """Whether it is kept and there is something of it. Raises OSError.

    Decodes nothing: it is asked of all recordings there are, and most say it in their first two
    lines. In a text of ours, such as `short`, these quotes would be escaped.
    """
    is_kept = has_chunk = False
    with (folder / INDEX).open("rb") as file:
        for line in file:
            is_kept |= b'"kept":true' in line
            has_chunk |= b'"at":' in line
            if is_kept and has_chunk:
                return True
    return False


def read_state(folder: Path) -> State:
    """Of whatever show, empty where nothing is recorded. Raises OSError."""
    try:
        data = (folder / INDEX).read_bytes()
    except FileNotFoundError:
        return State()
    state, _ = replayed(data, lambda line: is_whole(folder, line))
    return state


def replayed(data: bytes, is_there: Callable[[Line], bool]) -> tuple[State, int]:
    """What the index says, without chunks that are not there, and how many of its bytes are
    good."""
    state = State()
    lines: list[Line] = []
    size = 0
    for raw in data.splitlines(keepends=True):
        try:
            line = msgspec.json.decode(raw, type=Line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            break
        if not raw.endswith(b"\n"):
            break
        size += len(raw)
        if line.at is not None:
            if lines and lines[-1].number == line.number:
                lines.pop()
            lines.append(line)
            state.is_ended = state.is_told = False
        elif line.forgotten:
            count = min(len(lines), max(0, line.forgotten - state.forgotten))
            state.discontinuities += sum(line.torn for line in lines[:count])
            del lines[:count]
            state.forgotten += count
        else:
            state.take(line)
    is_torn = False
    for line in lines:
        if not state.is_archived and not is_there(line):
            if state.kept:
                is_torn = True
            else:
                # On a full disk chunks are removed whether or not the index takes the line.
                state.forgotten += 1
                state.discontinuities += line.torn
            continue
        state.kept.append(_chunk(line, is_torn=is_torn))
        is_torn = False
    return state, size


def _chunk(line: Line, *, is_torn: bool) -> Chunk:
    assert line.at is not None
    return Chunk(
        number=line.number,
        init_number=line.init,
        starts_at=line.at,
        duration_seconds=line.seconds,
        is_discontinuous=line.torn or is_torn,
        byte_count=line.bytes,
        is_independent=not line.keyless,
    )


def line_of(chunk: Chunk) -> Line:
    """As far as it has come."""
    return Line(
        number=chunk.number,
        init=chunk.init_number,
        at=chunk.starts_at,
        seconds=chunk.duration_seconds,
        torn=chunk.is_discontinuous,
        keyless=not chunk.is_independent,
        bytes=chunk.byte_count,
    )
