"""Has the files of recordings made, and removes what is not wanted any more: jobs of the outbox.

A file's row says what became of it; the job is only the push. What is deleted meanwhile is given
up within a second, here at once and in other processes when they next write how far they are.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import msgspec
import structlog

from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import NotFound, ShopError
from liveshop.kernel.ids import ShowId
from liveshop.shows import replay_store
from liveshop.shows.replay_model import File, FileId
from liveshop.storage import Database, StorageUnavailable
from liveshop.storage.outbox import Handler
from liveshop.video.making import Made, MakingFailed, MakingHeldUp, Wanted

MAKE: Final = "shows.make_file"
REMOVE: Final = "shows.remove_recorded"
_PATIENCE: Final = timedelta(days=1)
"""With what is away for now, such as the archive or room on the disk."""
_GONE: Final = "The recording is not there any more."
_BROKEN: Final = "It could not be made; the server's log says more."

_log = structlog.get_logger("shows")


class MakeFile(msgspec.Struct):
    """A job's payload."""

    file_id: str
    show_id: str = ""
    name: str = ""


class Remove(msgspec.Struct):
    """A job's payload: these files, or (None) everything of the show."""

    show_id: str
    names: list[str] | None


class Maker(Protocol):
    """`video.making.Maker` is one."""

    async def make(
        self, show_id: ShowId, wanted: Wanted, progress: Callable[[int], None]
    ) -> Made: ...


class Kept(Protocol):
    """Where files lie; `video.recording.Recordings` is that."""

    async def keep_file(self, show_id: ShowId, name: str) -> None: ...

    async def remove_file(self, show_id: ShowId, name: str) -> None: ...

    async def remove(self, show_id: ShowId) -> None: ...


class RecordingElsewhere(Exception):
    """What is to be done can only be done by the node that has the recording."""


async def _always(_: ShowId) -> bool:
    return True


class ReplayFiles:
    """`handlers` are for a worker that keeps its claims: a file may take minutes."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        kept: Kept,
        maker: Maker,
        *,
        tell_seconds: float = 1.0,
        is_here: Callable[[ShowId], Awaitable[bool]] = _always,
    ) -> None:
        self._database = database
        self._clock = clock
        self._kept = kept
        self._maker = maker
        self._tell_seconds = tell_seconds
        """How often it is written down how far a file is, and looked whether it is still wanted."""
        self._is_here = is_here
        """Whether no other node is to do it, which has the recording."""
        self._to_keep: asyncio.Queue[File] = asyncio.Queue()
        self._making: dict[FileId, asyncio.Task[Made]] = {}
        self.handlers: Mapping[str, Handler] = {MAKE: self._make, REMOVE: self._remove}

    async def run(self) -> None:
        """Until cancelled: moves what is ready to where it is kept, which may take long."""
        while True:
            file = await self._to_keep.get()
            try:
                await self._kept.keep_file(file.show_id, file.name)
                async with self._database.read() as conn:
                    is_wanted = await replay_store.file(conn, file.id) is not None
                if not is_wanted:
                    await self._kept.remove_file(file.show_id, file.name)
            except (ShopError, OSError) as error:
                # It is complete, and read from where it lies.
                _log.warning("file_not_archived", show=file.show_id, reason=_words(error))

    async def cancel(self, file_ids: Collection[FileId]) -> None:
        """Returns when nothing is written to these files any more, by this process."""
        making = [self._making[one] for one in file_ids if one in self._making]
        for task in making:
            task.cancel()
        if making:
            await asyncio.wait(making)

    async def _make(self, payload: dict[str, Any]) -> None:
        asked = msgspec.convert(payload, MakeFile)
        await self._leave_to_others(ShowId(asked.show_id))
        file = await self._begun(asked)
        if file is None:
            return
        try:
            if (made := await self._made(file)) is not None:
                await self._done(file, made)
        except NotFound:
            await self._failed(file, _GONE)
        except (MakingHeldUp, ShopError, OSError) as error:
            # Something is away for now: the outbox tries again, but not for days.
            now = self._clock.now()
            since = datetime.fromisoformat((file.data or {}).get("since", now.isoformat()))
            if now - since >= _PATIENCE:
                words = _words(error)
                _log.warning("file_given_up", show=file.show_id, kind=file.kind, reason=words)
                await self._failed(file, words)
                return
            await self._again(file, since, _words(error))
            raise
        except MakingFailed as error:
            await self._failed(file, str(error))
        except Exception:
            _log.exception("file_not_made", show=file.show_id, kind=file.kind)
            await self._failed(file, _BROKEN)

    async def _leave_to_others(self, show_id: ShowId) -> None:
        """Raises RecordingElsewhere: the job comes back, and one of the next who take it is the
        node that has the files."""
        if not await self._is_here(show_id):
            raise RecordingElsewhere("Another node has this recording.")

    async def _begun(self, asked: MakeFile) -> File | None:
        """None: it was deleted, or is done with."""
        file_id = FileId(asked.file_id)
        async with self._database.write() as tx:
            file = await replay_store.file(tx.conn, file_id)
            is_begun = file is not None and await replay_store.change_file(
                tx.conn, file_id, only=("waiting", "making"), state="making", percent=0, detail=None
            )
        if file is None and asked.name:
            # A process that was killed may have made it after it was deleted.
            await self._kept.remove_file(ShowId(asked.show_id), asked.name)
        return file if is_begun else None

    async def _made(self, file: File) -> Made | None:
        """None: it is not wanted any more."""
        percent = 0

        def progress(now: int) -> None:
            nonlocal percent
            percent = max(0, min(99, now))

        task = asyncio.create_task(self._measured_and_made(file, progress))
        self._making[file.id] = task
        try:
            while not (await asyncio.wait({task}, timeout=self._tell_seconds))[0]:
                if not await self._told(file, percent):
                    return None
            return None if task.cancelled() else task.result()
        finally:
            # Also when this job is given up: the process that makes it must not outlive it.
            task.cancel()
            await asyncio.wait({task})
            del self._making[file.id]

    async def _measured_and_made(self, file: File, progress: Callable[[int], None]) -> Made:
        if file.is_loudness_normal:
            await self._measure(file)
        wanted = Wanted(
            kind=file.kind,
            name=file.name,
            from_at=file.from_at,
            until_at=file.until_at,
            is_vertical=file.is_vertical,
            is_loudness_normal=file.is_loudness_normal,
        )
        return await self._maker.make(file.show_id, wanted, progress)

    async def _measure(self, file: File) -> None:
        """How loud it is, for the studio: the makers measure for themselves."""
        async with self._database.read() as conn:
            recorded = await replay_store.recording(conn, file.show_id)
        if recorded is None or recorded.loudness_lufs is not None:
            return
        made = await self._maker.make(file.show_id, Wanted("loudness"), lambda _: None)
        if (lufs := made.data.get("lufs")) is not None:
            async with self._database.write() as tx:
                await replay_store.set_loudness(tx.conn, file.show_id, float(lufs))

    async def _told(self, file: File, percent: int) -> bool:
        """False: it was deleted."""
        try:
            async with self._database.write() as tx:
                return await replay_store.change_file(
                    tx.conn, file.id, only=("waiting", "making"), state="making", percent=percent
                )
        except StorageUnavailable:
            return True  # nobody knows: it goes on

    async def _done(self, file: File, made: Made) -> None:
        async with self._database.write() as tx:
            is_wanted = await replay_store.change_file(
                tx.conn,
                file.id,
                # Another process may have made it too, where a claim was lost.
                only=("waiting", "making", "ready"),
                state="ready",
                percent=100,
                byte_count=made.byte_count,
                seconds=made.seconds,
                width=made.width,
                height=made.height,
                data=msgspec.to_builtins(made.data) or None,
                detail=None,
                finished_at=self._clock.now(),
            )
        if is_wanted:
            self._to_keep.put_nowait(file)
        else:
            await self._kept.remove_file(file.show_id, file.name)

    async def _again(self, file: File, since: datetime, words: str) -> None:
        async with self._database.write() as tx:
            await replay_store.change_file(
                tx.conn,
                file.id,
                only=("waiting", "making"),
                state="waiting",
                percent=0,
                data={"since": since.isoformat()},
                detail=words,
            )

    async def _failed(self, file: File, words: str) -> None:
        async with self._database.write() as tx:
            await replay_store.change_file(
                tx.conn,
                file.id,
                only=("waiting", "making"),
                state="failed",
                percent=0,
                data=None,
                detail=words,
                finished_at=self._clock.now(),
            )

    async def _remove(self, payload: dict[str, Any]) -> None:
        asked = msgspec.convert(payload, Remove)
        show_id = ShowId(asked.show_id)
        await self._leave_to_others(show_id)
        if asked.names is None:
            await self._kept.remove(show_id)
            return
        for name in asked.names:
            await self._kept.remove_file(show_id, name)


def _words(error: MakingHeldUp | ShopError | OSError) -> str:
    if isinstance(error, ShopError):
        return error.detail
    if isinstance(error, MakingHeldUp):
        return str(error)
    return error.strerror or _BROKEN
