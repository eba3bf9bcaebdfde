"""What is kept of shows, on the disk or in the archive, read by whoever plays it or makes something
of it: playlists, chunks, files made of them.

The index and the init sections stay on the disk, since they are small and everything is found by
them. Chunks and files may lie in the archive alone.
"""

import asyncio
import re
import shutil
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from liveshop.kernel.ids import ShowId
from liveshop.video.archive import Archive, NotArchived
from liveshop.video.model import NoRecording, NoSuchSegment, RecordingAway
from liveshop.video.playlist import Chunk, Stretch, vod_playlist
from liveshop.video.recorded import Facts, edges, facts_of, stretches
from liveshop.video.recording_files import TARGET_SECONDS
from liveshop.video.recording_index import INDEX, State, chunk_name, init_name, read_state

FILES: Final = "files"
BLOCK: Final = 1024 * 1024
"""Read at once; a slow reader holds no more of a file in memory."""
_MOST_STATES: Final = 64
_MOST_TEXTS: Final = 8
"""Of one recording, which is trimmed seldom."""
_FILE_NAME: Final = re.compile(r"[a-z0-9_-]{1,80}(\.(mp4|jpg))?", re.IGNORECASE | re.ASCII)
_SHOW_ID: Final = re.compile(r"[A-Za-z0-9_]{1,80}", re.ASCII)


@dataclass(slots=True)
class _Known:
    """What was read of an index, as long as that does not change."""

    stamp: tuple[int, int]
    state: State
    texts: dict[tuple[datetime | None, datetime | None], "Replay"]


@dataclass(frozen=True, slots=True)
class Replay:
    """What a playlist shows: its text, and what of which chunks is in it."""

    text: str
    shown: Mapping[int, Stretch]


class KeptRecordings:
    """`root / show_id` is a show's folder."""

    def __init__(self, root: Path, archive: Archive | None = None) -> None:
        self._root = root
        self._archive = archive
        self._known: OrderedDict[ShowId, _Known] = OrderedDict()
        self._removing: WeakValueDictionary[ShowId, asyncio.Lock] = WeakValueDictionary()

    # -- what there is

    async def facts(self, show_id: ShowId) -> Facts | None:
        """None: nothing is recorded, or kept."""
        state = await self._state(show_id)
        return facts_of(state.kept, is_ended=state.is_ended, shortage=state.shortage)

    async def is_archived(self, show_id: ShowId) -> bool:
        return (await self._state(show_id)).is_archived

    # -- playing

    async def replay_playlist(
        self, show_id: ShowId, from_at: datetime | None, until_at: datetime | None
    ) -> str:
        """All of it (HLS VOD), from the last keyframe at or before `from_at` up to the first at or
        after `until_at`. Raises NoRecording, ArchiveAway, RecordingAway."""
        return (await self.replay(show_id, from_at, until_at)).text

    async def replay(
        self, show_id: ShowId, from_at: datetime | None, until_at: datetime | None
    ) -> Replay:
        """The same, and which bytes it names."""
        known = await self._known_of(show_id)
        found = known.texts.get((from_at, until_at))
        if found is None:
            chunks = _playable(known.state)
            cut: dict[int, bytes] = {}
            for chunk in edges(chunks, from_at, until_at):
                cut[chunk.number] = await self.chunk(show_id, chunk.number, 0, chunk.byte_count)
            shown = list(stretches(chunks, from_at, until_at, lambda chunk: cut[chunk.number]))
            if not shown:
                raise NoRecording("There is no recording of this show.")
            text = vod_playlist(shown, target_seconds=TARGET_SECONDS)
            found = Replay(text, {one.chunk.number: one for one in shown})
            if len(known.texts) >= _MOST_TEXTS:
                known.texts.clear()
            known.texts[from_at, until_at] = found
        return found

    async def chunk(self, show_id: ShowId, number: int, start: int, stop: int) -> bytes:
        """Raises NoSuchSegment, ArchiveAway, RecordingAway."""
        return await self._read(show_id, chunk_name(number), start, stop)

    async def read_chunk(
        self, show_id: ShowId, number: int, start: int, stop: int
    ) -> AsyncIterator[bytes]:
        """The same, some at a time."""
        async for block in self._blocks(show_id, chunk_name(number), start, stop):
            yield block

    async def init(self, show_id: ShowId, number: int) -> bytes:
        """Raises NoSuchSegment, RecordingAway."""
        state = await self._state(show_id)
        if all(chunk.init_number != number for chunk in state.kept):
            raise NoSuchSegment(f"there is no init section {number} in this show")
        return await self._read(show_id, init_name(number), 0, BLOCK)

    # -- files made of it

    def file_path(self, show_id: ShowId, name: str) -> Path:
        """Where it is to be put. Raises NoSuchSegment for what is no name."""
        if not _FILE_NAME.fullmatch(name):
            raise NoSuchSegment("There is no such file of this show.")
        return self._folder(show_id) / FILES / name

    async def keep_files(self, show_id: ShowId) -> None:
        """All that are complete to the archive, if there is one; they can be read all the while.
        Raises ArchiveAway, RecordingAway, NoRecording where one is gone."""
        if self._archive is None:
            return
        for name in await self.local_files(show_id):
            path = self.file_path(show_id, name)
            await self._put(show_id, f"{FILES}/{name}", path)
            if not await asyncio.to_thread(_unlink, path):  # it was removed meanwhile
                await self._archive.remove(f"{show_id}/{FILES}/{name}")

    async def local_files(self, show_id: ShowId) -> list[str]:
        """Of those made of it, what lies on the disk."""
        return await asyncio.to_thread(_names_in, self._root / show_id / FILES)

    async def file_size(self, show_id: ShowId, name: str) -> int:
        """Raises NoSuchSegment, ArchiveAway."""
        path = self.file_path(show_id, name)
        try:
            return (await asyncio.to_thread(path.stat)).st_size
        except OSError:
            with suppress(NotArchived):
                if self._archive is not None:
                    return await self._archive.size(f"{show_id}/{FILES}/{name}")
        raise NoSuchSegment("There is no such file of this show.")

    async def read_file(
        self, show_id: ShowId, name: str, start: int, stop: int
    ) -> AsyncIterator[bytes]:
        """From `start` until `stop`, some at a time. Raises NoSuchSegment, ArchiveAway,
        RecordingAway."""
        self.file_path(show_id, name)
        async for block in self._blocks(show_id, f"{FILES}/{name}", start, stop):
            yield block

    async def remove_file(self, show_id: ShowId, name: str) -> None:
        """May be repeated. Raises ArchiveAway."""
        path = self.file_path(show_id, name)
        # First, so that an upload finds it gone.
        await asyncio.to_thread(_unlink, path)
        if self._archive is not None:
            await self._archive.remove(f"{show_id}/{FILES}/{name}")

    # -- inside

    def _folder(self, show_id: ShowId) -> Path:
        """Raises NoRecording for what is no show's id."""
        if not _SHOW_ID.fullmatch(show_id):
            raise NoRecording("There is no recording of this show.")
        return self._root / show_id

    async def _recorded(self, show_id: ShowId) -> State:
        """Raises NoRecording."""
        state = await self._state(show_id)
        if not state.kept:
            raise NoRecording("There is no recording of this show.")
        return state

    async def _state(self, show_id: ShowId) -> State:
        """What the disk says; not to be changed."""
        try:
            return (await self._known_of(show_id)).state
        except NoRecording:
            return State()

    async def _known_of(self, show_id: ShowId) -> _Known:
        folder = self._folder(show_id)
        try:
            stamp = await asyncio.to_thread(_stamp, folder / INDEX)
            known = self._known.get(show_id)
            if known is None or known.stamp != stamp:
                known = _Known(stamp, await asyncio.to_thread(read_state, folder), {})
        except FileNotFoundError:
            self._known.pop(show_id, None)
            raise NoRecording("There is no recording of this show.") from None
        except OSError as error:
            raise RecordingAway(f"The recording cannot be read: {error.strerror}.") from error
        self._known[show_id] = known
        self._known.move_to_end(show_id)
        if len(self._known) > _MOST_STATES:
            self._known.popitem(last=False)
        return known

    async def _read(self, show_id: ShowId, name: str, start: int, stop: int) -> bytes:
        """From the disk, or else from the archive. Raises NoSuchSegment, ArchiveAway,
        RecordingAway."""
        path = self._folder(show_id) / name
        try:
            return await asyncio.to_thread(partial(_read, path, start, stop))
        except FileNotFoundError:
            return await self._from_archive(show_id, name, start, stop)
        except OSError as error:
            raise RecordingAway(f"The recording cannot be read: {error.strerror}.") from error

    async def _blocks(
        self, show_id: ShowId, name: str, start: int, stop: int
    ) -> AsyncIterator[bytes]:
        while start < stop:
            block = await self._read(show_id, name, start, min(stop, start + BLOCK))
            if not block:
                raise NoSuchSegment("This part of the show is shorter by now.")
            start += len(block)
            yield block

    async def _from_archive(self, show_id: ShowId, name: str, start: int, stop: int) -> bytes:
        if self._archive is not None:
            with suppress(NotArchived):
                return await self._archive.read(f"{show_id}/{name}", start, stop)
        raise NoSuchSegment("This part of the show is not kept.")

    async def _put(self, show_id: ShowId, name: str, path: Path) -> None:
        """Raises ArchiveAway, NoRecording where the file is gone."""
        assert self._archive is not None
        key = f"{show_id}/{name}"
        try:
            size = (await asyncio.to_thread(path.stat)).st_size
            await self._archive.put(key, path)
        except OSError as error:
            raise NoRecording("A file of this recording is not on the disk.") from error
        if await self._archive.size(key) != size:
            raise RecordingAway("A file of this recording came to the storage in part.")

    async def _remove_kept(self, show_id: ShowId) -> None:
        """Everything, the archive's first: what is left is then still found. Raises ArchiveAway,
        RecordingAway."""
        folder = self._folder(show_id)
        # The second of two would take for gone what the first one has not come to.
        async with self._removing.setdefault(show_id, asyncio.Lock()):
            if self._archive is not None:
                await self._archive.remove_folder(show_id)
            self._known.pop(show_id, None)
            try:
                await asyncio.to_thread(_remove_folder, folder)
            except OSError as error:
                raise RecordingAway(
                    f"The recording cannot be removed: {error.strerror}."
                ) from error


def _playable(state: State) -> list[Chunk]:
    """While the show runs the last chunk may still grow, and addresses are cached."""
    return state.kept if state.is_ended else state.kept[:-1]


def _names_in(folder: Path) -> list[str]:
    """Of files that were made; those being made have other endings."""
    try:
        return [path.name for path in folder.iterdir() if _FILE_NAME.fullmatch(path.name)]
    except OSError:
        return []


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def _read(path: Path, start: int, stop: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(stop - start)


def _remove_folder(folder: Path) -> None:
    """Raises OSError."""
    while folder.exists():
        with suppress(FileNotFoundError):  # of one that another process removes too
            shutil.rmtree(folder)


def _unlink(path: Path) -> bool:
    """False: it was not there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError:
        return True  # it takes room, nothing else
    return True
