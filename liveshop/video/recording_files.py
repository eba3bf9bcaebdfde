"""A recorded show on disk: closed segments gathered to chunks, and an append-only index of them.

After a crash the index's torn tail is dropped and the recording goes on. Nothing is synced to the
disk, since losing power may cost rewind but never the show. The methods of `RecordingFiles` block:
`recording.py` calls them in threads.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from liveshop.video.fmp4 import segment_type
from liveshop.video.model import NoSuchSegment, NoVideo
from liveshop.video.packager import Segment
from liveshop.video.playlist import Chunk, Entry, rewind_playlist

CHUNK_SECONDS: Final = 6.0
"""A chunk ends at the first segment after that begins with a keyframe."""
TARGET_SECONDS: Final = 12
"""EXT-X-TARGETDURATION, promised for good: where no keyframe comes, a chunk ends without."""

INDEX: Final = "index.jsonl"
_LATE_READERS: Final = 10
"""Chunks that stay on disk after the playlist forgot them."""


@dataclass(frozen=True, slots=True)
class NewChunk:
    """What is to be written. `number` is that of its first segment, which no other run of the
    server gives out: addresses are cached as immutable."""

    number: int
    init_number: int
    starts_at: datetime
    duration_seconds: float
    is_discontinuous: bool
    fragments: tuple[bytes, ...]
    init: bytes

    @property
    def byte_count(self) -> int:
        return sum(map(len, self.fragments)) + len(self.init)


class ChunkMaker:
    """Gathers segments to chunks. Pure.

    A chunk never goes over a discontinuity, and the first after one starts with a keyframe.
    """

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._init = b""
        self._seconds = 0.0
        self._is_torn = True
        """Whether the next chunk does not continue the last one made here."""
        self._last: Entry | None = None
        """The last segment taken."""

    @property
    def byte_count(self) -> int:
        return sum(segment.byte_count for segment in self._segments)

    def add(self, segment: Segment, init: bytes) -> list[NewChunk]:
        """The next segment, with its init section; returns the chunk that ends before it."""
        made: list[NewChunk] = []
        if not self._continues(segment.entry):
            made = self.flush()
            self._is_torn = True
        elif self._segments and self._is_full(segment):
            made = self.flush()
        if self._is_torn and not self._segments and not segment.is_independent:
            return made
        self._segments.append(segment)
        self._seconds += segment.entry.duration_seconds
        self._init = init
        self._last = segment.entry
        return made

    def flush(self) -> list[NewChunk]:
        """What was gathered, however short: the picture is gone, or the show over."""
        if not self._segments:
            return []
        first = self._segments[0].entry
        skipped = len(segment_type())
        chunk = NewChunk(
            number=first.number,
            init_number=first.init_number,
            starts_at=first.starts_at,
            duration_seconds=self._seconds,
            is_discontinuous=self._is_torn,
            # One `styp` opens a chunk.
            fragments=(
                segment_type(),
                *(
                    part[skipped:] if index == 0 else part
                    for segment in self._segments
                    for index, part in enumerate(segment.fragments)
                ),
            ),
            init=self._init,
        )
        self._segments = []
        self._seconds = 0.0
        self._is_torn = False
        return [chunk]

    def tear(self) -> None:
        """Something was lost here: what is gathered goes too, and the next chunk is a new start."""
        self._segments = []
        self._seconds = 0.0
        self._is_torn = True

    def _continues(self, entry: Entry) -> bool:
        last = self._last
        return last is not None and (
            entry.number == last.number + 1
            and entry.init_number == last.init_number
            and not entry.is_discontinuous
        )

    def _is_full(self, segment: Segment) -> bool:
        if segment.is_independent and self._seconds >= CHUNK_SECONDS:
            return True
        return self._seconds + segment.entry.duration_seconds > TARGET_SECONDS + 0.49


class _Line(msgspec.Struct, omit_defaults=True):
    """One line of the index: a chunk, or how many are forgotten, or the end of the show."""

    number: int = -1
    init: int = -1
    at: datetime | None = None
    seconds: float = 0.0
    torn: bool = False
    bytes: int = 0
    forgotten: int = 0
    ended: bool = False


@dataclass(slots=True)
class _State:
    kept: list[Chunk] = field(default_factory=list)
    forgotten: int = 0
    discontinuities: int = 0
    """Of the forgotten ones."""
    is_ended: bool = False


class RecordingFiles:
    """One show's folder. `keep_seconds`: how far back viewers can go.

    `load`, `write` and `end` one at a time; the others whenever.
    """

    def __init__(self, folder: Path, *, keep_seconds: int) -> None:
        self.folder = folder
        # A live playlist names three target durations at least (RFC 8216 6.2.2).
        self._keep_seconds = max(keep_seconds, 3 * TARGET_SECONDS)
        self._state = _State()
        self._index_size = 0
        self._inits: set[int] = set()
        """Written, by this process or one before."""
        self._leaving: list[int] = []
        self._is_torn = False
        """Whether the next chunk is a discontinuity whatever it says itself."""
        self._is_loaded = False
        self._text: str | None = None
        """Replaced as a whole, so that `playlist` may be called from another thread."""

    def empty(self) -> "RecordingFiles":
        """The same before anything was written."""
        return RecordingFiles(self.folder, keep_seconds=self._keep_seconds)

    def load(self) -> None:
        """Take up what an earlier process has left, if anything; `write` and `end` do it where it
        was not done. Raises OSError."""
        if self._is_loaded:
            return
        try:
            data = (self.folder / INDEX).read_bytes()
        except FileNotFoundError:
            self._is_loaded = True
            return
        self._state, self._index_size = _replayed(data, self._is_whole)
        if self._index_size < len(data):
            os.truncate(self.folder / INDEX, self._index_size)
        self._inits = {chunk.init_number for chunk in self._state.kept}
        self._is_torn = True
        self._remove_strangers()
        self._make_text()
        self._is_loaded = True

    def write(self, new: NewChunk) -> None:
        """Raises OSError, with nothing changed; then the next chunk is a discontinuity."""
        self.load()
        state = self._state
        is_torn = new.is_discontinuous or self._is_torn
        chunk = Chunk(
            new.number,
            new.init_number,
            new.starts_at,
            new.duration_seconds,
            is_torn and bool(state.kept or state.forgotten),
        )
        self._is_torn = True
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._chunk_path(chunk.number)
        try:
            if chunk.init_number not in self._inits:
                self._init_path(chunk.init_number).write_bytes(new.init)
                self._inits.add(chunk.init_number)
            with path.open("wb") as file:
                file.writelines(new.fragments)
                byte_count = file.tell()
            self._append(
                _Line(
                    number=chunk.number,
                    init=chunk.init_number,
                    at=chunk.starts_at,
                    seconds=chunk.duration_seconds,
                    torn=chunk.is_discontinuous,
                    bytes=byte_count,
                )
            )
        except OSError:
            _unlink(path)
            raise
        self._is_torn = False
        state.kept.append(chunk)
        state.is_ended = False
        self._forget_old()
        self._make_text()

    def end(self) -> None:
        """The show is over: its playlist gets an end. Raises OSError."""
        self.load()
        if self._state.kept and not self._state.is_ended:
            self._append(_Line(ended=True))
            self._state.is_ended = True
            self._make_text()

    @property
    def has_chunks(self) -> bool:
        """Whether there is a playlist."""
        return self._text is not None

    def playlist(self) -> str:
        """Raises NoVideo. Reads no file."""
        if self._text is None:
            raise NoVideo("nothing of this show is recorded yet", retry_after=5)
        return self._text

    def read(self, number: int) -> bytes:
        """`chunk-N.m4s`. Raises NoSuchSegment."""
        return _read(self._chunk_path(number), f"chunk {number} of this show is not kept")

    def init(self, number: int) -> bytes:
        """`init-N.mp4`. Raises NoSuchSegment."""
        return _read(self._init_path(number), f"there is no init section {number} in this show")

    def _make_text(self) -> None:
        state = self._state
        if not state.kept:
            return
        self._text = rewind_playlist(
            state.kept,
            target_seconds=TARGET_SECONDS,
            forgotten=state.forgotten,
            discontinuity_sequence=state.discontinuities,
            is_ended=state.is_ended,
        )

    def _chunk_path(self, number: int) -> Path:
        return self.folder / f"chunk-{number}.m4s"

    def _init_path(self, number: int) -> Path:
        return self.folder / f"init-{number}.mp4"

    def _append(self, line: _Line) -> None:
        data = msgspec.json.encode(line) + b"\n"
        path = self.folder / INDEX
        try:
            with path.open("ab", buffering=0) as file:
                if file.write(data) != len(data):
                    raise OSError("the disk took half a line")
        except OSError:
            with suppress(OSError):
                os.truncate(path, self._index_size)
            raise
        self._index_size += len(data)

    def _forget_old(self) -> None:
        state = self._state
        seconds = sum(chunk.duration_seconds for chunk in state.kept)
        count = 0
        while seconds - state.kept[count].duration_seconds > self._keep_seconds:
            seconds -= state.kept[count].duration_seconds
            count += 1
        if not count:
            return
        with suppress(OSError):  # the next one tells it again
            self._append(_Line(forgotten=state.forgotten + count))
        for chunk in state.kept[:count]:
            state.discontinuities += chunk.is_discontinuous
            self._leaving.append(chunk.number)
        del state.kept[:count]
        state.forgotten += count
        while len(self._leaving) > _LATE_READERS:
            _unlink(self._chunk_path(self._leaving.pop(0)))
        # Whoever still reads a chunk that is leaving has its init section.
        for number in [one for one in self._inits if one < state.kept[0].init_number]:
            _unlink(self._init_path(number))
            self._inits.discard(number)

    def _remove_strangers(self) -> None:
        """Files that the index does not name."""
        chunks = {chunk.number for chunk in self._state.kept}
        for path in self.folder.iterdir():
            known = chunks if path.name.startswith("chunk-") else self._inits
            if path.name != INDEX and _number_of(path) not in known:
                _unlink(path)

    def _is_whole(self, line: _Line) -> bool:
        try:
            size = self._chunk_path(line.number).stat().st_size
        except OSError:
            return False
        return size == line.bytes and self._init_path(line.init).is_file()


def _replayed(data: bytes, is_whole: Callable[[_Line], bool]) -> tuple[_State, int]:
    """What the index says, without chunks that are not there, and how many of its bytes are
    good."""
    state = _State()
    lines: list[_Line] = []
    size = 0
    for raw in data.splitlines(keepends=True):
        try:
            line = msgspec.json.decode(raw, type=_Line)
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
            is_torn = True
            continue
        assert line.at is not None
        torn = line.torn or (is_torn and bool(state.kept or state.forgotten))
        is_torn = False
        state.kept.append(Chunk(line.number, line.init, line.at, line.seconds, torn))
    return state, size


def _read(path: Path, otherwise: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NoSuchSegment(otherwise) from None


def _unlink(path: Path) -> None:
    with suppress(OSError):  # it takes room, nothing else
        path.unlink()


def _number_of(path: Path) -> int:
    """-1 for a file that has none."""
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdecimal() else -1
