"""Running shows on disk, so that viewers can go back in them and see them again: segments are taken
on the event loop and written in a thread.

The show never waits for the disk, and loses nothing when it is full or slow: then viewers cannot go
back so far, or something of the recording is missing, and the log and the studio say so.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import ShowId
from liveshop.video.archive import Archive
from liveshop.video.packager import Segment
from liveshop.video.recorded import Facts
from liveshop.video.recording_archived import ArchivedRecordings
from liveshop.video.recording_files import RecordingFiles
from liveshop.video.recording_folders import (
    Remove,
    folders,
    kept_and_over,
    remove_ended,
    remove_old,
)
from liveshop.video.recording_index import Line, State
from liveshop.video.recording_rounds import Rounds

MOST_WAITING_BYTES: Final = 64 * 1024 * 1024
"""More than this not yet on disk is lost for the recordings."""
_KEPT_AFTER_LAST_CHUNK: Final = timedelta(days=1)
_KEPT_WHERE_SHORT: Final = timedelta(minutes=10)
"""After the show's end: by then nobody watches it, and a running one needs the room."""
_FETCHED_WHERE_SHORT: Final = 900.0
"""What the archive has too: whoever reads it is done by then."""
_ROOM_SECONDS: Final = 60.0
"""After which it is looked anew for what can go, where nothing could."""
_LOOK_SECONDS: Final = 3600.0
"""How often old recordings are looked for."""

_log = structlog.get_logger("recording")

OnEnded = Callable[[ShowId, Facts], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Job:
    recording: "Recording"
    work: Callable[[], None]
    byte_count: int = 0
    """Of a segment; 0 for other work."""
    is_end: bool = False
    done: "asyncio.Future[None] | None" = None


class Recording:
    """One show's; from `Recordings.of`."""

    def __init__(self, show_id: ShowId, files: RecordingFiles, recordings: "Recordings") -> None:
        self.show_id = show_id
        self._files = files
        self._recordings = recordings
        self._reason: str | None = None
        self._waiting = 0
        """Segments that are not on disk yet."""
        recordings.put(_Job(self, files.load))

    @property
    def is_idle(self) -> bool:
        """Whether nothing was added that is not in a chunk."""
        return self._waiting == 0 and self._files.is_idle

    @property
    def is_ended(self) -> bool:
        return self.is_idle and self._files.state.is_ended

    def add(self, segment: Segment, init: bytes) -> None:
        """A segment was completed, and this is its init section. Returns at once, raises
        nothing."""
        size = segment.byte_count + len(init)
        if self._recordings.put(_Job(self, partial(self._files.add, segment, init), size)):
            self._waiting += 1
        elif self._reason is None:
            # What comes later is found not to continue it.
            slow = "the disk is too slow"
            self.tell(slow)
            self._recordings.put(_Job(self, partial(self._files.miss, slow)))

    def pause(self) -> None:
        """The picture is gone: what was gathered can be watched without waiting for more."""
        self._recordings.put(_Job(self, self._files.close))

    def end(self) -> None:
        """The show is over: its playlist gets an end."""
        self._recordings.put(_Job(self, self._files.end, is_end=True))

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
        """Why nothing is recorded now, or viewers can go back less far than they should; in words.
        None: all is well, whatever was."""
        return self._files.shortage or self._reason

    @property
    def files(self) -> RecordingFiles:
        return self._files

    def start_over(self) -> None:
        """Its files are gone."""
        self._files = self._files.empty()

    def done(self, job: _Job) -> None:
        """A job was taken from the queue, whatever became of it."""
        self._waiting -= job.byte_count > 0

    def tell(self, reason: str | None) -> None:
        """What became of a job, in words; None: it was done, and nothing is wrong. Logged once for
        each change."""
        if reason is not None and self._reason is None:
            _log.warning("recording.failing", show_id=self.show_id, reason=reason)
        if reason is None and self._reason is not None:
            _log.info("recording.works_again", show_id=self.show_id)
        self._reason = reason


class Recordings(ArchivedRecordings):
    """All shows'. `run` in a supervised task. A show's folder is `root / show_id`.

    `least_free_bytes`: what is left of the disk for others. `is_kept`: recordings stay after their
    shows, until `remove`; they end after `longest_seconds`. `on_ended` is told of each of those,
    once all of it is on disk; again where it raised, and maybe again after a restart.
    """

    def __init__(
        self,
        root: Path,
        *,
        clock: Clock,
        keep_seconds: int,
        least_free_bytes: int,
        is_kept: bool = False,
        longest_seconds: float = math.inf,
        archive: Archive | None = None,
    ) -> None:
        super().__init__(root, archive, least_free_bytes=least_free_bytes)
        self.on_ended: OnEnded | None = None
        self._clock = clock
        self._keep_seconds = keep_seconds
        self._is_kept = is_kept
        self._longest_seconds = longest_seconds
        self._recordings: dict[ShowId, Recording] = {}
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._waiting_bytes = 0
        self._over = Rounds(self._tell_of)
        """Shows that ended, for whoever is told of them."""
        self._to_move = Rounds(self._move)
        """Those and their files, for the archive: an upload takes minutes."""
        self._looks_for_room_at = 0.0
        self._removed: set[ShowId] = set()
        """Of which something may be on its way to the archive."""

    def of(self, show_id: ShowId) -> Recording:
        """That of a show there is (not of any id from an address); what an earlier process has left
        of it is there a moment later."""
        recording = self._recordings.get(show_id)
        if recording is None:
            files = RecordingFiles(
                self._root / show_id,
                keep_seconds=self._keep_seconds,
                least_free_bytes=self._least_free_bytes,
                is_kept=self._is_kept,
                longest_seconds=self._longest_seconds,
            )
            recording = self._recordings[show_id] = Recording(show_id, files, self)
        return recording

    def shortage(self, show_id: ShowId) -> str | None:
        """Why a running show is not recorded now, in words."""
        recording = self._recordings.get(show_id)
        return None if recording is None else recording.shortage

    def end(self, show_id: ShowId) -> None:
        """The show is over, whichever process began to record it. May be repeated."""
        self.of(show_id).end()

    def let_go(self, show_id: ShowId) -> None:
        """Another node goes on with it, in the same folder where nodes share one: what was added is
        written, and it is read anew if it ever comes back."""
        self._recordings.pop(show_id, None)

    async def unended(self) -> list[ShowId]:
        """Recordings that wait for the end of their show."""
        found = await asyncio.to_thread(folders, self._root)
        return [show_id for show_id, state in found if not state.is_ended]

    async def ended_before(self, moment: datetime) -> list[ShowId]:
        """Recordings that are kept, and ended before then: the longest ago first."""
        return await asyncio.to_thread(kept_and_over, self._root, moment)

    async def facts(self, show_id: ShowId) -> Facts | None:
        running = self._recordings.get(show_id)
        facts = running.files.facts if running is not None else None
        if facts is None or facts.is_ended:
            facts = await super().facts(show_id)
        now = self.shortage(show_id)
        return facts if facts is None or now is None else replace(facts, shortage=now)

    async def remove(self, show_id: ShowId) -> None:
        """Everything of a show, the archive's too. May be repeated. Raises ArchiveAway,
        RecordingAway."""
        self._removed.add(show_id)
        await self._remove_kept(show_id)
        removed = self._recordings.pop(show_id, None)
        if removed is not None:
            removed.start_over()

    async def keep_file(self, show_id: ShowId, name: str) -> None:
        """It is complete: to the archive with it, if there is one, once the show is over and there
        is time. It can be read all the while."""
        self._to_move.add(show_id)

    async def run(self) -> None:
        """Write what was added, one after the other, tell of what has ended and move it to the
        archive, and remove old recordings; until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write())
            tasks.create_task(self._look())
            tasks.create_task(self._over.run())
            tasks.create_task(self._to_move.run())

    async def wait_until_written(self) -> None:
        """Returns once everything added before is on disk or lost. Needs `run`."""
        await self._jobs.join()

    def put(self, job: _Job) -> bool:
        """For `Recording`. False: too much is waiting."""
        if job.byte_count and self._waiting_bytes + job.byte_count > MOST_WAITING_BYTES:
            return False
        self._waiting_bytes += job.byte_count
        self._jobs.put_nowait(job)
        return True

    # -- writing

    async def _write(self) -> None:
        while True:
            await self._remove_old()
            until = asyncio.get_running_loop().time() + _LOOK_SECONDS
            with suppress(TimeoutError):
                while True:
                    async with asyncio.timeout_at(until):
                        job = await self._jobs.get()
                    await self._do(job)

    async def _do(self, job: _Job) -> None:
        recording = job.recording
        failed: OSError | None = None
        try:
            await asyncio.to_thread(job.work)
        except OSError as error:
            failed = error
        finally:
            self._jobs.task_done()
            self._waiting_bytes -= job.byte_count
            recording.done(job)
        _answer(job, failed)
        files = recording.files
        if failed is not None:
            recording.tell(failed.strerror or str(failed))
        elif job.byte_count:
            recording.tell(files.trouble or files.shortage)
        if job.is_end and failed is None:
            self._after_end(recording)
        if files.shortage is not None:
            await self._make_room()

    def _after_end(self, recording: Recording) -> None:
        state = recording.files.state
        if state.is_ended:
            self._over.add(recording.show_id)
        elif not state.kept:
            self._recordings.pop(recording.show_id, None)

    # -- when shows are over

    async def _look(self) -> None:
        """For what an earlier process has left."""
        for show_id, state in await asyncio.to_thread(folders, self._root):
            if state.is_archived:
                self.note_fetched(show_id)
            if state.is_ended and not (state.is_told and await self._is_moved(show_id, state)):
                self._over.add(show_id)

    async def _tell_of(self, show_id: ShowId) -> None:
        state = await self._state(show_id)
        if not state.is_ended or not state.is_kept:
            return
        if not state.is_told and self.on_ended is not None:
            facts = await self.facts(show_id)
            if facts is not None:
                await self.on_ended(show_id, facts)
            await self._mark(show_id, Line(told=True))
        self._to_move.add(show_id)

    async def _move(self, show_id: ShowId) -> None:
        if self._archive is None:
            return
        if show_id in self._removed:
            # What was on its way came after it was removed.
            await self._remove_kept(show_id)
            return
        state = await self._state(show_id)
        if not state.is_ended or not state.is_kept:
            return
        if not state.is_archived and await self.move(show_id):
            await self._mark(show_id, Line(archived=True))
            # Those who watched the show to its end still read it by its old addresses.
            self.note_fetched(show_id)
            _log.info("recording.archived", show_id=show_id)
        await self.keep_files(show_id)

    async def _is_moved(self, show_id: ShowId, state: State) -> bool:
        return self._archive is None or (state.is_archived and not await self.local_files(show_id))

    async def _mark(self, show_id: ShowId, line: Line) -> None:
        """In the order of all that is written."""
        recording = self.of(show_id)
        done = asyncio.get_running_loop().create_future()
        self.put(_Job(recording, partial(recording.files.mark, line), done=done))
        await done

    # -- removing

    async def _make_room(self) -> None:
        """What running shows need more. Not with each of their segments where there is nothing."""
        now = asyncio.get_running_loop().time()
        if now < self._looks_for_room_at:
            return
        await self.drop_unused(after_seconds=_FETCHED_WHERE_SHORT)
        if not await self._remove(remove_ended, self._clock.now() - _KEPT_WHERE_SHORT):
            self._looks_for_room_at = now + _ROOM_SECONDS

    async def _remove_old(self) -> None:
        """What is kept goes by `remove` alone."""
        await self._remove(remove_old, self._clock.now() - _KEPT_AFTER_LAST_CHUNK)
        await self.drop_unused()
        for show_id, recording in list(self._recordings.items()):
            if recording.is_ended:
                del self._recordings[show_id]  # it is read again when somebody asks for it

    async def _remove(self, remove: Remove, since: datetime) -> list[str]:
        busy = {show_id for show_id, one in self._recordings.items() if not one.is_idle}
        names = await asyncio.to_thread(remove, self._root, since, busy)
        for name in names:
            removed = self._recordings.get(ShowId(name))
            if removed is not None:
                removed.start_over()
            _log.info("recording.removed", show_id=name)
        return names


def _answer(job: _Job, failed: OSError | None) -> None:
    if job.done is None or job.done.done():
        return
    if failed is None:
        job.done.set_result(None)
    else:
        job.done.set_exception(failed)
