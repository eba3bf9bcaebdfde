"""Recordings that move to the archive after their show, and what is fetched back from there to be
worked with: it lies where it lay before, until it was not used for an hour.
"""

import asyncio
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from liveshop.kernel.ids import ShowId
from liveshop.video.archive import Archive
from liveshop.video.model import RecordingAway
from liveshop.video.playlist import Chunk
from liveshop.video.recorded import within
from liveshop.video.recording_disk import unlink
from liveshop.video.recording_index import INDEX, chunk_name, init_name, is_there
from liveshop.video.recording_kept import BLOCK, KeptRecordings

_FETCHED_SECONDS: Final = 3600.0


class ArchivedRecordings(KeptRecordings):
    """`least_free_bytes`: what is left of the disk for others."""

    def __init__(
        self, root: Path, archive: Archive | None = None, *, least_free_bytes: int = 0
    ) -> None:
        super().__init__(root, archive)
        self._least_free_bytes = least_free_bytes
        self._fetching: WeakValueDictionary[ShowId, asyncio.Lock] = WeakValueDictionary()
        self._fetched: dict[ShowId, float] = {}
        """When they were last asked for, by the loop's clock."""
        self._in_use: Counter[ShowId] = Counter()

    async def local_folder(
        self, show_id: ShowId, from_at: datetime | None = None, until_at: datetime | None = None
    ) -> Path:
        """Where `recorded.pieces` finds all of it, or what it needs of these times; fetched back
        from the archive where need be. It stays there until the task that asks for it has ended.

        Raises NoRecording, ArchiveAway, RecordingAway, also where the disk has no room for it.
        """
        self._hold(show_id)
        state = await self._recorded(show_id)
        folder = self._folder(show_id)
        if state.is_archived:
            async with self._fetching.setdefault(show_id, asyncio.Lock()):
                self.note_fetched(show_id)
                await self._fetch_all(show_id, within(state.kept, from_at, until_at))
        return folder

    async def move(self, show_id: ShowId) -> bool:
        """An ended recording to the archive: chunks and init sections that are not there yet.
        Nothing is removed here. True: all is there.

        Raises ArchiveAway, RecordingAway, NoRecording.
        """
        if self._archive is None:
            return False
        state = await self._recorded(show_id)
        if not state.is_ended or not state.is_kept:
            return False
        wanted = {chunk_name(chunk.number): chunk.byte_count for chunk in state.kept}
        for number in sorted({chunk.init_number for chunk in state.kept}):
            wanted[init_name(number)] = -1
        wanted[INDEX] = -1
        there = await self._archive.sizes(show_id)
        folder = self._folder(show_id)
        for name, size in wanted.items():
            if there.get(f"{show_id}/{name}") != size:
                await self._put(show_id, name, folder / name)
        return True

    async def drop_fetched(self, show_id: ShowId) -> None:
        """The disk's copies of chunks that the archive has."""
        state = await self._state(show_id)
        if state.is_archived:
            names = [chunk_name(chunk.number) for chunk in state.kept]
            folder = self._folder(show_id)
            await asyncio.to_thread(_unlink_all, [folder / name for name in names])
            self._fetched.pop(show_id, None)

    def note_fetched(self, show_id: ShowId) -> None:
        """The disk has copies of what is in the archive, used just now."""
        self._fetched[show_id] = asyncio.get_running_loop().time()

    async def drop_unused(self, *, after_seconds: float = _FETCHED_SECONDS) -> None:
        """Copies that nobody used for so long."""
        now = asyncio.get_running_loop().time()
        for show_id, used_at in list(self._fetched.items()):
            if now - used_at >= after_seconds and not self._in_use[show_id]:
                with suppress(RecordingAway):
                    await self.drop_fetched(show_id)

    async def _remove_kept(self, show_id: ShowId) -> None:
        self._fetched.pop(show_id, None)
        await super()._remove_kept(show_id)

    # -- inside

    def _hold(self, show_id: ShowId) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._in_use[show_id] += 1

        def let_go(_: object) -> None:
            self._in_use[show_id] -= 1
            if not self._in_use[show_id]:
                del self._in_use[show_id]
            if show_id in self._fetched:
                self.note_fetched(show_id)

        task.add_done_callback(let_go)

    async def _fetch_all(self, show_id: ShowId, chunks: Sequence[Chunk]) -> None:
        folder = self._folder(show_id)
        missing = await asyncio.to_thread(_missing, folder, chunks)
        wanted = sum(chunk.byte_count for chunk in missing)
        for chunk in missing:
            # Others write to it meanwhile, running shows above all.
            await asyncio.to_thread(self._need_room, folder, wanted)
            await self._fetch(show_id, chunk_name(chunk.number), chunk.byte_count)
            wanted -= chunk.byte_count

    def _need_room(self, folder: Path, byte_count: int) -> None:
        """Blocking."""
        try:
            free = shutil.disk_usage(folder).free
        except OSError as error:
            raise RecordingAway(f"The recording cannot be fetched: {error.strerror}.") from error
        if free - byte_count < self._least_free_bytes:
            raise RecordingAway(
                f"There is not enough room on the disk to fetch {byte_count / 2**30:.3g} GiB of the"
                " recording from the archive (video.least_free_gib stay free).",
                retry_after=600,
            )

    async def _fetch(self, show_id: ShowId, name: str, size: int) -> None:
        path = self._folder(show_id) / name
        unfinished = path.with_name(path.name + ".new")
        try:
            await asyncio.to_thread(unfinished.write_bytes, b"")
            for start in range(0, size, BLOCK):
                block = await self._from_archive(show_id, name, start, min(size, start + BLOCK))
                await asyncio.to_thread(_append, unfinished, block)
            await asyncio.to_thread(unfinished.replace, path)
        except OSError as error:
            raise RecordingAway(f"The recording cannot be fetched: {error.strerror}.") from error
        finally:
            await asyncio.to_thread(unlink, unfinished)


def _missing(folder: Path, chunks: Sequence[Chunk]) -> list[Chunk]:
    return [
        chunk
        for chunk in chunks
        if not is_there(folder / chunk_name(chunk.number), chunk.byte_count)
    ]


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def _unlink_all(paths: Sequence[Path]) -> None:
    for path in paths:
        unlink(path)
