"""What a recorded show's index says: lines appended to a file, of which a crash or a full disk may
have lost the last ones.

A segment is a line, and the lines of a chunk follow each other: its last one says how much of the
file is good. What an earlier version wrote, a line per chunk, reads the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from liveshop.video.playlist import Chunk

INDEX: Final = "index.jsonl"


class Line(msgspec.Struct, omit_defaults=True):
    """One line: a chunk as far as it has come, or how many are forgotten, or the end of the show.

    `keyless`: it begins without a keyframe.
    """

    number: int = -1
    init: int = -1
    at: datetime | None = None
    seconds: float = 0.0
    torn: bool = False
    keyless: bool = False
    bytes: int = 0
    forgotten: int = 0
    ended: bool = False


@dataclass(slots=True)
class State:
    kept: list[Chunk] = field(default_factory=list)
    forgotten: int = 0
    discontinuities: int = 0
    """Of the forgotten ones."""
    is_ended: bool = False


def chunk_name(number: int) -> str:
    return f"chunk-{number}.m4s"


def init_name(number: int) -> str:
    return f"init-{number}.mp4"


def is_whole(folder: Path, line: Line) -> bool:
    """Whether all that the line names is there. A chunk may be longer: of what a crash cut short no
    line tells."""
    try:
        size = (folder / chunk_name(line.number)).stat().st_size
        return size >= line.bytes and (folder / init_name(line.init)).stat().st_size > 0
    except OSError:
        return False


def says_ended(data: bytes) -> bool:
    """Whether the show is over."""
    state, _ = replayed(data, lambda _: True)
    return state.is_ended


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
            state.is_ended = False
        elif line.ended:
            state.is_ended = True
        else:
            count = min(len(lines), max(0, line.forgotten - state.forgotten))
            state.discontinuities += sum(line.torn for line in lines[:count])
            del lines[:count]
            state.forgotten += count
    is_torn = False
    for line in lines:
        if not is_there(line):
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
