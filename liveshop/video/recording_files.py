"""A recorded show on disk: closed segments gathered to chunks, and an append-only index of them.

After a crash the index's torn tail is dropped and the recording goes on. Nothing is synced to the
disk, since losing power may cost rewind but never the show. The methods of `RecordingFiles` block:
`recording.py` calls them in threads.
"""

import errno
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from liveshop.video.fmp4 import segment_type
from liveshop.video.model import NoSuchSegment, NoVideo
from liveshop.video.packager import Segment
from liveshop.video.playlist import Chunk, Entry, rewind_playlist
from liveshop.video.recording_index import INDEX, Line, State, replayed

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)

CHUNK_SECONDS: Final = 6.0
"""A chunk ends at the first segment after that begins with a keyframe."""
TARGET_SECONDS: Final = 12
"""EXT-X-TARGETDURATION, promised for good: where no keyframe comes, a chunk ends without."""

_LATE_READERS: Final = 10
"""Chunks that stay on disk after the playlist forgot them, unless room is short."""
_LEAST_SECONDS: Final = 3 * TARGET_SECONDS
"""A live playlist names three target durations at least (RFC 8216 6.2.2)."""


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


class RecordingFiles:
    """One show's folder. `keep_seconds`: how far back viewers can go. `least_free_bytes`: what is
    left of the disk for others, since orders are written to it too.

    `load`, `write` and `end` one at a time; the others whenever.
    """

    def __init__(self, folder: Path, *, keep_seconds: int, least_free_bytes: int = 0) -> None:
        self.folder = folder
        self._keep_seconds = max(keep_seconds, _LEAST_SECONDS)
        self._least_free_bytes = least_free_bytes
        self._state = State()
        self._index_size = 0
        # On disk as a whole, written by this process or one before: nothing else is given out.
        # Read in any thread, which a set stands as long as nobody iterates.
        self._inits: set[int] = set()
        self._chunks: set[int] = set()
        self._leaving: list[int] = []
        self._is_torn = False
        """Whether the next chunk is a discontinuity whatever it says itself."""
        self._is_loaded = False
        self._is_short = False
        self._text: str | None = None
        """Replaced as a whole, so that `playlist` may be called from another thread."""

    def empty(self) -> "RecordingFiles":
        """The same before anything was written."""
        return RecordingFiles(
            self.folder,
            keep_seconds=self._keep_seconds,
            least_free_bytes=self._least_free_bytes,
        )

    @property
    def shortage(self) -> str | None:
        """What is wrong though `write` works, in words."""
        if not self._is_short:
            return None
        return (
            f"less than {self._least_free_bytes / 2**30:.3g} GiB (video.least_free_gib) would stay "
            "free on the disk of data_dir: viewers cannot go back so far"
        )

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
        self._state, self._index_size = replayed(data, self._is_whole)
        if self._index_size < len(data):
            os.truncate(self.folder / INDEX, self._index_size)
        self._inits = {chunk.init_number for chunk in self._state.kept}
        self._chunks = {chunk.number for chunk in self._state.kept}
        self._is_torn = True
        self._remove_strangers()
        self._make_text()
        self._is_loaded = True

    def write(self, new: NewChunk) -> None:
        """Raises OSError, with nothing taken; then the next chunk is a discontinuity. Where room is
        short, the oldest chunks are forgotten for it."""
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
        self._make_room(new.byte_count)
        path = self._chunk_path(chunk.number)
        try:
            if chunk.init_number not in self._inits:
                _write(self._init_path(chunk.init_number), [new.init])
                self._inits.add(chunk.init_number)
            byte_count = _write(path, new.fragments)
            self._append(
                Line(
                    number=chunk.number,
                    init=chunk.init_number,
                    at=chunk.starts_at,
                    seconds=chunk.duration_seconds,
                    torn=chunk.is_discontinuous,
                    bytes=byte_count,
                )
            )
        except OSError as error:
            _unlink(path)
            if error.errno in _FULL:  # a quota, say, of which `disk_usage` knows nothing
                self._forget_bytes(new.byte_count)
            raise
        self._chunks.add(chunk.number)
        self._is_torn = False
        state.kept.append(chunk)
        state.is_ended = False
        self._forget_old()
        self._make_text()

    def end(self) -> None:
        """The show is over: its playlist gets an end. Raises OSError."""
        self.load()
        if self._state.kept and not self._state.is_ended:
            self._append(Line(ended=True))
            self._state.is_ended = True
            self._make_text()

    def playlist(self) -> str:
        """Raises NoVideo. Reads no file."""
        if self._text is None:
            raise NoVideo("nothing of this show is recorded yet", retry_after=5)
        return self._text

    def read(self, number: int) -> bytes:
        """`chunk-N.m4s`. Raises NoSuchSegment."""
        path = self._chunk_path(number) if number in self._chunks else None
        return _read(path, f"chunk {number} of this show is not kept")

    def init(self, number: int) -> bytes:
        """`init-N.mp4`. Raises NoSuchSegment."""
        path = self._init_path(number) if number in self._inits else None
        return _read(path, f"there is no init section {number} in this show")

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

    def _append(self, line: Line) -> None:
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

    def _make_room(self, byte_count: int) -> None:
        """So that the disk has enough left after these. Raises OSError where it has not."""
        least = self._least_free_bytes
        short = least + byte_count - shutil.disk_usage(self.folder).free
        # Said until there is clearly more, not anew with each chunk.
        self._is_short = short > 0 or (self._is_short and short > -least // 8)
        if short > 0 and self._forget_bytes(short) < short:
            raise OSError(errno.ENOSPC, self.shortage)

    def _forget_bytes(self, byte_count: int) -> int:
        """Forget the oldest chunks until these are free, and return how many are."""
        state = self._state
        freed = sum(_size(self._chunk_path(number)) for number in self._leaving)
        seconds = sum(chunk.duration_seconds for chunk in state.kept)
        count = 0
        for chunk in state.kept:
            seconds -= chunk.duration_seconds
            if freed >= byte_count or seconds < _LEAST_SECONDS:
                break
            freed += _size(self._chunk_path(chunk.number))
            count += 1
        self._forget(count, late_readers=0)
        return freed

    def _forget_old(self) -> None:
        kept = self._state.kept
        seconds = sum(chunk.duration_seconds for chunk in kept)
        count = 0
        while seconds - kept[count].duration_seconds > self._keep_seconds:
            seconds -= kept[count].duration_seconds
            count += 1
        self._forget(count, late_readers=_LATE_READERS)

    def _forget(self, count: int, *, late_readers: int) -> None:
        state = self._state
        if count:
            with suppress(OSError):  # the next one tells it again, or it is seen when loaded
                self._append(Line(forgotten=state.forgotten + count))
        for chunk in state.kept[:count]:
            state.discontinuities += chunk.is_discontinuous
            self._leaving.append(chunk.number)
        del state.kept[:count]
        state.forgotten += count
        if count:
            self._make_text()
        while len(self._leaving) > late_readers:
            number = self._leaving.pop(0)
            self._chunks.discard(number)
            _unlink(self._chunk_path(number))
        # Whoever still reads a chunk that is leaving has its init section.
        least_init = state.kept[0].init_number if state.kept else 0
        for number in [one for one in self._inits if one < least_init]:
            self._inits.discard(number)
            _unlink(self._init_path(number))

    def _remove_strangers(self) -> None:
        """Files that the index does not name."""
        chunks = {chunk.number for chunk in self._state.kept}
        for path in self.folder.iterdir():
            known = chunks if path.name.startswith("chunk-") else self._inits
            if path.name != INDEX and _number_of(path) not in known:
                _unlink(path)

    def _is_whole(self, line: Line) -> bool:
        try:
            size = self._chunk_path(line.number).stat().st_size
        except OSError:
            return False
        return size == line.bytes and _size(self._init_path(line.init)) > 0


def _read(path: Path | None, otherwise: str) -> bytes:
    if path is None:
        raise NoSuchSegment(otherwise)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NoSuchSegment(otherwise) from None


def _write(path: Path, parts: Iterable[bytes]) -> int:
    """All of it or nothing; returns how many bytes. Raises OSError."""
    unfinished = path.with_name(path.name + ".new")
    try:
        with unfinished.open("wb") as file:
            file.writelines(parts)
            byte_count = file.tell()
        unfinished.replace(path)
    except OSError:
        _unlink(unfinished)
        raise
    return byte_count


def _size(path: Path) -> int:
    """0 for a file that is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _unlink(path: Path) -> None:
    with suppress(OSError):  # it takes room, nothing else
        path.unlink()


def _number_of(path: Path) -> int:
    """-1 for a file that has none."""
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdecimal() else -1
