"""What a recorded show's index says: lines appended to a file, of which a crash or a full disk may
have lost the last ones.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec

from liveshop.video.playlist import Chunk

INDEX: Final = "index.jsonl"


class Line(msgspec.Struct, omit_defaults=True):
    """One line: a chunk, or how many are forgotten, or the end of the show."""

    number: int = -1
    init: int = -1
    at: datetime | None = None
    seconds: float = 0.0
    torn: bool = False
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


def says_ended(data: bytes) -> bool:
    """Whether the show is over."""
    state, _ = replayed(data, lambda _: True)
    return state.is_ended


def replayed(data: bytes, is_whole: Callable[[Line], bool]) -> tuple[State, int]:
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
        if not is_whole(line):
            if state.kept:
                is_torn = True
            else:
                # On a full disk chunks are removed whether or not the index takes the line.
                state.forgotten += 1
                state.discontinuities += line.torn
            continue
        assert line.at is not None
        torn = line.torn or is_torn
        is_torn = False
        state.kept.append(Chunk(line.number, line.init, line.at, line.seconds, torn))
    return state, size
