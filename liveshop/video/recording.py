"""Running shows on disk, so that viewers can go back in them: segments are taken on the event loop
and written in a thread.

The show never waits for the disk, and loses nothing when it is full or slow: then viewers cannot
go back so far, and the log says so once.
"""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import ShowId
from liveshop.video.packager import Segment
from liveshop.video.recording_files import ChunkMaker, NewChunk, RecordingFiles
from liveshop.video.recording_index import INDEX, says_ended

MOST_WAITING_BYTES: Final = 64 * 1024 * 1024
"""More than this not yet on disk is lost for the recordings."""
_KEPT_AFTER_LAST_CHUNK: Final = timedelta(days=1)
_KEPT_WHERE_SHORT: Final = timedelta(minutes=10)
"""After the show's end: by then nobody watches it, and a running one needs the room."""
_LOOK_SECONDS: Final = 3600.0
"""How often old recordings are looked for."""

_log = structlog.get_logger("recording")


@dataclass(frozen=True, slots=True)
class _Job:
    recording: "Recording"
    work: Callable[[], None]
    byte_count: int = 0


class Recording:
    """One show's; from `Recordings.of`."""

    def __init__(self, show_id: ShowId, files: RecordingFiles, recordings: "Recordings") -> None:
        self.show_id = show_id
        self._files = files
        self._recordings = recordings
        self._maker = ChunkMaker()
        self._is_failing = False
        recordings.put(_Job(self, files.load))

    @property
    def is_idle(self) -> bool:
        """Whether nothing was added that is not in a chunk."""
        return self._maker.byte_count == 0

    def add(self, segment: Segment, init: bytes) -> None:
        """A segment was completed, and this is its init section. Returns at once, raises
        nothing."""
        self._put(self._maker.add(segment, init))

    def pause(self) -> None:
        """The picture is gone: what was gathered can be watched without waiting for more."""
        self._put(self._maker.flush())

    def end(self) -> None:
        """The show is over: its playlist gets an end."""
        self.pause()
        self._recordings.put(_Job(self, self._files.end))

    def playlist(self) -> str:
        """`rewind/index.m3u8`. Raises NoVideo."""
        return self._files.playlist()

    async def read(self, number: int) -> bytes:
        """`chunk-N.m4s`. Raises NoSuchSegment."""
        return await asyncio.to_thread(self._files.read, number)

    async def init(self, number: int) -> bytes:
        """`init-N.mp4`. Raises NoSuchSegment."""
        return await asyncio.to_thread(self._files.init, number)

    @property
    def shortage(self) -> str | None:
        """Why viewers can go back less far than they should, in words."""
        return self._files.shortage

    def start_over(self) -> None:
        """Its files are gone."""
        self._files = self._files.empty()

    def tell(self, reason: str | None) -> None:
        """What became of a job, in words; None: it was done, and nothing is wrong. Logged once for
        each change."""
        if reason is not None and not self._is_failing:
            _log.warning("recording.failing", show_id=self.show_id, reason=reason)
        if reason is None and self._is_failing:
            _log.info("recording.works_again", show_id=self.show_id)
        self._is_failing = reason is not None

    def _put(self, chunks: Sequence[NewChunk]) -> None:
        for chunk in chunks:
            job = _Job(self, partial(self._files.write, chunk), chunk.byte_count)
            if not self._recordings.put(job):
                self._maker.tear()
                self.tell("the disk is too slow")


class Recordings:
    """All shows'. `run` in a supervised task. A show's folder is `root / show_id`.

    `least_free_bytes`: what is left of the disk for others.
    """

    def __init__(
        self, root: Path, *, clock: Clock, keep_seconds: int, least_free_bytes: int
    ) -> None:
        self._root = root
        self._clock = clock
        self._keep_seconds = keep_seconds
        self._least_free_bytes = least_free_bytes
        self._recordings: dict[ShowId, Recording] = {}
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._waiting_bytes = 0

    def of(self, show_id: ShowId) -> Recording:
        """That of a show there is (not of any id from an address); what an earlier process has left
        of it is there a moment later."""
        recording = self._recordings.get(show_id)
        if recording is None:
            files = RecordingFiles(
                self._root / show_id,
                keep_seconds=self._keep_seconds,
                least_free_bytes=self._least_free_bytes,
            )
            recording = self._recordings[show_id] = Recording(show_id, files, self)
        return recording

    async def run(self) -> None:
        """Write what was added, one after the other, and remove old recordings; until cancelled."""
        while True:
            await self._remove_old()
            until = asyncio.get_running_loop().time() + _LOOK_SECONDS
            with suppress(TimeoutError):
                while True:
                    async with asyncio.timeout_at(until):
                        job = await self._jobs.get()
                    await self._do(job)

    async def wait_until_written(self) -> None:
        """Returns once everything added before is on disk or lost. Needs `run`."""
        await self._jobs.join()

    def put(self, job: _Job) -> bool:
        """For `Recording`. False: too much is waiting."""
        if self._waiting_bytes + job.byte_count > MOST_WAITING_BYTES:
            return False
        self._waiting_bytes += job.byte_count
        self._jobs.put_nowait(job)
        return True

    async def _do(self, job: _Job) -> None:
        reason = None
        try:
            await asyncio.to_thread(job.work)
            reason = job.recording.shortage
        except OSError as error:
            reason = error.strerror or str(error)
        finally:
            self._jobs.task_done()
            self._waiting_bytes -= job.byte_count
        job.recording.tell(reason)
        if job.recording.shortage is not None:
            await self._remove(_remove_ended_folder, self._clock.now() - _KEPT_WHERE_SHORT)

    async def _remove_old(self) -> None:
        await self._remove(_remove_old_folders, self._clock.now() - _KEPT_AFTER_LAST_CHUNK)

    async def _remove(
        self, remove: Callable[[Path, datetime, set[ShowId]], list[str]], before: datetime
    ) -> None:
        busy = {show_id for show_id, one in self._recordings.items() if not one.is_idle}
        for name in await asyncio.to_thread(remove, self._root, before, busy):
            removed = self._recordings.get(ShowId(name))
            if removed is not None:
                removed.start_over()
            _log.info("recording.removed", show_id=name)


def _remove_old_folders(root: Path, before: datetime, busy: set[ShowId]) -> list[str]:
    removed: list[str] = []
    for folder in _unchanged(root, before, busy):
        shutil.rmtree(folder, ignore_errors=True)
        removed.append(folder.name)
    return removed


def _remove_ended_folder(root: Path, before: datetime, busy: set[ShowId]) -> list[str]:
    """Only the one that ended first: it may be enough."""
    for folder in _unchanged(root, before, busy):
        with suppress(OSError):
            if says_ended((folder / INDEX).read_bytes()):
                shutil.rmtree(folder, ignore_errors=True)
                return [folder.name]
    return []


def _unchanged(root: Path, since: datetime, busy: set[ShowId]) -> list[Path]:
    """Folders of recordings, oldest first."""
    found: list[tuple[datetime, Path]] = []
    for folder in root.iterdir() if root.is_dir() else ():
        try:
            changed_at = datetime.fromtimestamp((folder / INDEX).stat().st_mtime, UTC)
        except OSError:
            continue
        if changed_at < since and folder.name not in busy:
            found.append((changed_at, folder))
    return [folder for _, folder in sorted(found)]
