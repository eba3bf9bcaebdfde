"""A recorded show on disk: closed segments appended to chunks of some seconds as they come, and an
append-only index of them.

After a crash torn tails are dropped and the recording goes on, so that at most the segment is lost
that was open. Nothing is synced to the disk: losing power may cost seconds of the recording, but
never the show. The methods of `RecordingFiles` block: `recording.py` calls them in threads.

A recording that is to be kept (`video.replay_days`) forgets nothing: where the disk is short it
stops, and goes on behind a gap when there is room. One for rewinding alone forgets its beginning
instead. It is one list of chunks all the same: what rewinding shows of a kept one is the end of it.
"""

import errno
import math
import os
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec

from liveshop.video.fmp4 import segment_type
from liveshop.video.model import NoSuchSegment, NoVideo
from liveshop.video.packager import Segment
from liveshop.video.playlist import Chunk, Entry, rewind_playlist
from liveshop.video.recorded import Facts, facts_of
from liveshop.video.recording_disk import (
    append,
    number_of,
    shorten,
    size_of,
    unlink,
    write_whole,
)
from liveshop.video.recording_index import (
    INDEX,
    Line,
    State,
    chunk_name,
    init_name,
    is_there,
    is_whole,
    line_of,
    replayed,
)
from liveshop.video.recording_room import Room

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)

CHUNK_SECONDS: Final = 6.0
"""A chunk ends at the first segment after that begins with a keyframe."""
TARGET_SECONDS: Final = 12
"""EXT-X-TARGETDURATION, promised for good: where no keyframe comes, a chunk ends without."""

_TICK: Final = timedelta(milliseconds=1)

_LATE_READERS: Final = 10
"""Chunks that stay on disk after the playlist forgot them, unless room is short."""
_LEAST_SECONDS: Final = 3 * TARGET_SECONDS
"""A live playlist names three target durations at least (RFC 8216 6.2.2)."""


class RecordingFiles:
    """One show's folder. `keep_seconds`: how far back viewers can go. `least_free_bytes`: what is
    left of the disk for others, since orders are written to it too. `is_kept`: nothing is
    forgotten; a recording that was begun so goes on so. `longest_seconds`: one that is kept ends
    after so much.

    `load`, `add`, `close`, `end` and `mark` one at a time; the others whenever.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep_seconds: int,
        least_free_bytes: int = 0,
        is_kept: bool = False,
        longest_seconds: float = math.inf,
    ) -> None:
        self.folder = folder
        self._keep_seconds = max(keep_seconds, _LEAST_SECONDS)
        self._room = Room(folder, least_free_bytes)
        self._is_to_be_kept = is_kept
        self._longest_seconds = longest_seconds
        self._state = State()
        self._index_size = 0
        self._open: Chunk | None = None
        """What segments are being added to; named by no playlist yet."""
        self._last: Entry | None = None
        """The last segment taken."""
        # On disk as a whole, written by this process or one before: nothing else is given out.
        # Read in any thread, which a set stands as long as nobody iterates.
        self._inits: set[int] = set()
        self._chunks: set[int] = set()
        self._leaving: list[int] = []
        self._hidden = 0
        """Chunks of a kept recording that are too old to be rewound to."""
        self._is_torn = True
        """Whether the next chunk does not continue the last one."""
        self._freed = 0
        """Of a disk that takes nothing all the same."""
        self._is_loaded = False
        self._trouble: str | None = None
        """Why the recording stands still, in words."""
        self._text: str | None = None
        """Replaced as a whole, so that `playlist` may be called from another thread."""

    def empty(self) -> "RecordingFiles":
        """The same before anything was written."""
        return RecordingFiles(
            self.folder,
            keep_seconds=self._keep_seconds,
            least_free_bytes=self._room.least_free_bytes,
            is_kept=self._is_to_be_kept,
            longest_seconds=self._longest_seconds,
        )

    @property
    def state(self) -> State:
        """As far as it is loaded; not to be changed."""
        return self._state

    @property
    def facts(self) -> Facts | None:
        """As far as it is loaded. From whatever thread: what is being added to is read first, and
        is let go of last."""
        written = self._open
        chunks = list(self._state.kept)
        if written is not None and (not chunks or chunks[-1].number != written.number):
            chunks.append(written)
        return facts_of(chunks, is_ended=self._state.is_ended, shortage=self._state.shortage)

    @property
    def is_kept(self) -> bool:
        return self._is_to_be_kept or self._state.is_kept

    @property
    def is_idle(self) -> bool:
        """Whether nothing was added that is not in a playlist."""
        return self._open is None

    @property
    def shortage(self) -> str | None:
        """What is wrong though `add` works, in words."""
        return self._room.shortage(is_kept=self.is_kept)

    @property
    def trouble(self) -> str | None:
        """Why the last segments are not recorded, in words."""
        return self._trouble

    def load(self) -> None:
        """Take up what an earlier process has left, if anything; the others do it where it was not
        done. Raises OSError."""
        if self._is_loaded:
            return
        try:
            data = (self.folder / INDEX).read_bytes()
        except FileNotFoundError:
            self._is_loaded = True
            return
        self._state, self._index_size = replayed(data, lambda line: is_whole(self.folder, line))
        if self._index_size < len(data):
            os.truncate(self.folder / INDEX, self._index_size)
        self._inits = {chunk.init_number for chunk in self._state.kept}
        self._chunks = {chunk.number for chunk in self._state.kept}
        if self._state.kept and not self._state.is_archived:
            # Of what was being written when the server died, no line tells.
            last = self._state.kept[-1]
            shorten(self._chunk_path(last.number), last.byte_count)
        self._remove_strangers()
        self._forget_old()
        self._make_text()
        self._is_loaded = True

    def add(self, segment: Segment, init: bytes) -> None:
        """The next segment, with its init section. Raises OSError, with nothing taken; then the
        next chunk is a discontinuity. Where room is short, the oldest chunks are forgotten for it,
        unless they are to be kept. Nothing is taken of what comes after `longest_seconds`, which is
        told as `trouble`."""
        self.load()
        if self._is_long_enough:
            hours = self._longest_seconds / 3600
            self.miss(f"Recordings end after {hours:g} hours (video.recording_hours).")
            return
        if not self._continues(segment.entry):
            self.close()
            self._is_torn = True
            self._take_up()
        elif self._open is not None and self._is_full(self._open, segment):
            self.close()
        self._last = segment.entry
        if self._open is None and self._is_torn and not segment.is_independent:
            return
        try:
            self._look_after_folder()
            self._make_room(segment.byte_count)
            self._write(segment, init)
        except OSError as error:
            self.miss(error.strerror or str(error))
            raise
        if self._trouble is not None and self.is_kept:
            self.mark(Line(short=self._trouble))
        self._trouble = None

    def miss(self, reason: str) -> None:
        """Something is lost here: the next chunk is a new start."""
        self.close()
        self._is_torn = True
        self._trouble = reason

    def close(self) -> None:
        """What was gathered can be watched, however short: the picture is gone, or the show is
        over."""
        chunk = self._open
        if chunk is None:
            return
        if not is_there(self._chunk_path(chunk.number), chunk.byte_count):
            self._is_torn, self._open = True, None
            return
        self._chunks.add(chunk.number)
        self._state.kept.append(chunk)
        self._open = None
        self._forget_old()
        self._make_text()

    def end(self) -> None:
        """The show is over: its playlist gets an end. Raises OSError."""
        self.load()
        self.close()
        if self._trouble is not None and self.is_kept and self._state.kept:
            self.mark(Line(short=self._trouble))
        if self._state.kept and not self._state.is_ended:
            self.mark(Line(ended=True))
            self._make_text()

    def mark(self, line: Line) -> None:
        """Write down what is so from now on. Raises OSError."""
        self.load()
        self._append(line)
        self._state.take(line)

    def playlist(self) -> str:
        """Of what can be rewound to. Raises NoVideo. Reads no file."""
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

    # -- chunks

    @property
    def _is_long_enough(self) -> bool:
        if not self.is_kept or math.isinf(self._longest_seconds):
            return False
        seconds = sum(chunk.duration_seconds for chunk in self._state.kept)
        if self._open is not None:
            seconds += self._open.duration_seconds
        return seconds >= self._longest_seconds

    def _continues(self, entry: Entry) -> bool:
        last = self._last
        return last is not None and (
            entry.number == last.number + 1
            and entry.init_number == last.init_number
            and not entry.is_discontinuous
        )

    def _is_full(self, chunk: Chunk, segment: Segment) -> bool:
        if segment.is_independent and chunk.duration_seconds >= CHUNK_SECONDS:
            return True
        seconds = chunk.duration_seconds + segment.entry.duration_seconds
        return seconds > TARGET_SECONDS + 0.49

    def _write(self, segment: Segment, init: bytes) -> None:
        chunk, is_new = self._open, self._open is None
        if chunk is None:
            chunk = self._new_chunk(segment)
            if chunk.init_number not in self._inits:
                write_whole(self._init_path(chunk.init_number), init)
                self._inits.add(chunk.init_number)
            if self.is_kept and not self._state.is_kept:
                self.mark(Line(kept=True))
        fragments = list(segment.fragments)
        if not is_new:  # one `styp` opens a chunk
            fragments[0] = fragments[0][len(segment_type()) :]
        path = self._chunk_path(chunk.number)
        longer = replace(
            chunk,
            duration_seconds=chunk.duration_seconds + segment.entry.duration_seconds,
            byte_count=chunk.byte_count + sum(map(len, fragments)),
        )
        try:
            append(path, fragments, chunk.byte_count)
            self._append(line_of(longer))
        except OSError as error:
            if is_new:
                unlink(path)
            else:
                shorten(path, chunk.byte_count)
            if error.errno in _FULL and not self.is_kept:
                self._make_way(segment.byte_count)
            raise
        self._open = longer
        self._is_torn = False
        self._state.is_ended = self._state.is_told = False

    def _new_chunk(self, segment: Segment) -> Chunk:
        """Its number is that of its first segment, which no other run of the server gives out:
        addresses are cached as immutable."""
        entry = segment.entry
        starts_at = entry.starts_at
        if self._state.kept:
            # Where the clock was set back: moments lead to chunks only where they are in order.
            ends_at = self._state.kept[-1].ends_at
            starts_at = ends_at if starts_at < ends_at - _TICK else starts_at
        return Chunk(
            number=entry.number,
            init_number=entry.init_number,
            starts_at=starts_at,
            duration_seconds=0.0,
            is_discontinuous=self._is_torn and bool(self._state.kept or self._state.forgotten),
            is_independent=segment.is_independent,
        )

    def _take_up(self) -> None:
        """What another node has added, in a folder that nodes share. Raises OSError."""
        if size_of(self.folder / INDEX) > self._index_size:
            self._hidden, self._leaving, self._is_loaded = 0, [], False
            self.load()

    def _look_after_folder(self) -> None:
        """Begin anew where somebody took the files away. Raises OSError."""
        if self._index_size and not (self.folder / INDEX).exists():
            state = self._state
            self._open = None
            self._state = State(
                forgotten=state.forgotten + len(state.kept),
                discontinuities=state.discontinuities
                + sum(chunk.is_discontinuous for chunk in state.kept),
            )
            self._index_size = self._hidden = 0
            self._inits, self._chunks, self._leaving = set(), set(), []
            self._text = None
            raise FileNotFoundError(errno.ENOENT, "the files of this recording are gone")
        self.folder.mkdir(parents=True, exist_ok=True)

    def _make_text(self) -> None:
        shown = self._state.kept[self._hidden :]
        if not shown:
            return
        hidden = self._state.kept[: self._hidden]
        self._text = rewind_playlist(
            shown,
            target_seconds=TARGET_SECONDS,
            forgotten=self._state.forgotten + self._hidden,
            discontinuity_sequence=self._state.discontinuities
            + sum(chunk.is_discontinuous for chunk in hidden),
            is_ended=self._state.is_ended,
        )

    def _chunk_path(self, number: int) -> Path:
        return self.folder / chunk_name(number)

    def _init_path(self, number: int) -> Path:
        return self.folder / init_name(number)

    def _append(self, line: Line) -> None:
        data = msgspec.json.encode(line) + b"\n"
        path = self.folder / INDEX
        try:
            append(path, [data], self._index_size)
        except OSError:
            shorten(path, self._index_size)
            raise
        self._index_size += len(data)

    # -- room

    def _make_room(self, byte_count: int) -> None:
        """So that the disk has enough left after these. Raises OSError where it has not."""
        short = self._room.look(byte_count)
        if self.is_kept:
            if self._room.is_short:
                raise OSError(errno.ENOSPC, self.shortage)
        elif short > 0 and self._forget_bytes(short) < short:
            raise OSError(errno.ENOSPC, self.shortage)

    def _make_way(self, byte_count: int) -> None:
        """The disk is full by a measure that `disk_usage` does not know, such as a quota: so much
        is forgotten as is not taken."""
        if self._freed < byte_count:
            self._freed += self._forget_bytes(byte_count)
        self._freed = max(0, self._freed - byte_count)

    def _forget_bytes(self, byte_count: int) -> int:
        """Forget the oldest chunks until these are free, and return how many are."""
        kept = self._state.kept
        freed = sum(size_of(self._chunk_path(number)) for number in self._leaving)
        seconds = sum(chunk.duration_seconds for chunk in kept)
        count = 0
        for chunk in kept:
            seconds -= chunk.duration_seconds
            if freed >= byte_count or seconds < _LEAST_SECONDS:
                break
            freed += chunk.byte_count
            count += 1
        self._forget(count, late_readers=0)
        return freed

    def _forget_old(self) -> None:
        kept = self._state.kept
        seconds = sum(chunk.duration_seconds for chunk in kept[self._hidden :])
        count = self._hidden
        while count < len(kept) and seconds - kept[count].duration_seconds > self._keep_seconds:
            seconds -= kept[count].duration_seconds
            count += 1
        if self.is_kept:
            self._hidden = count
        else:
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
            unlink(self._chunk_path(number))
        # Whoever still reads a chunk that is leaving has its init section.
        first = state.kept[0] if state.kept else self._open
        for number in [one for one in self._inits if first and one < first.init_number]:
            self._inits.discard(number)
            unlink(self._init_path(number))

    def _remove_strangers(self) -> None:
        """Files that the index does not name."""
        for path in self.folder.glob("*.m4s*"):
            if path.suffix != ".m4s" or number_of(path) not in self._chunks:
                unlink(path)
        for path in self.folder.glob("init-*"):
            if path.suffix != ".mp4" or number_of(path) not in self._inits:
                unlink(path)


def _read(path: Path | None, otherwise: str) -> bytes:
    if path is None:
        raise NoSuchSegment(otherwise)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NoSuchSegment(otherwise) from None
