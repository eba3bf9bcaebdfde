"""Has the files of recordings made, and removes what is not wanted any more: jobs of the outbox.

A file's row says what became of it; the job is only the push. What is deleted meanwhile is given
up within a second, here at once and in other processes when they next write how far they are.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
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
from liveshop.video.making import Made, MakingFailed, Wanted

MAKE: Final = "shows.make_file"
REMOVE: Final = "shows.remove_recorded"
_MOST_TRIES: Final = 5
_GONE: Final = "The recording is not there any more."
_BROKEN: Final = "It could not be made; the server's log says more."

_log = structlog.get_logger("shows")


class MakeFile(msgspec.Struct):
    """A job's payload."""

    file_id: str


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
    ) -> None:
        self._database = database
        self._clock = clock
        self._kept = kept
        self._maker = maker
        self._tell_seconds = tell_seconds
        """How often it is written down how far a file is, and looked whether it is still wanted."""
        self._making: dict[FileId, asyncio.Task[Made]] = {}
        self.handlers: Mapping[str, Handler] = {MAKE: self._make, REMOVE: self._remove}

    async def cancel(self, file_ids: Collection[FileId]) -> None:
        """Returns when nothing is written to these files any more, by this process."""
        making = [self._making[one] for one in file_ids if one in self._making]
        for task in making:
            task.cancel()
        if making:
            await asyncio.wait(making)

    async def _make(self, payload: dict[str, Any]) -> None:
        file = await self._begun(FileId(msgspec.convert(payload, MakeFile).file_id))
        if file is None:
            return
        try:
            if (made := await self._made(file)) is not None:
                await self._done(file, made)
        except MakingFailed as error:
            await self._failed(file, str(error))
        except NotFound:
            await self._failed(file, _GONE)
        except (ShopError, OSError) as error:
            # Something is away for now: the outbox tries again, but not for days.
            tries = int((file.data or {}).get("tries", 0)) + 1
            if tries >= _MOST_TRIES:
                _log.exception("file_given_up", show=file.show_id, kind=file.kind)
                await self._failed(file, _words(error))
                return
            await self._again(file, tries, _words(error))
            raise
        except Exception:
            _log.exception("file_not_made", show=file.show_id, kind=file.kind)
            await self._failed(file, _BROKEN)

    async def _begun(self, file_id: FileId) -> File | None:
        """None: it was deleted, or is done with."""
        async with self._database.write() as tx:
            file = await replay_store.file(tx.conn, file_id)
            if file is None or not await replay_store.change_file(
                tx.conn, file_id, only=("waiting", "making"), state="making", percent=0, detail=None
            ):
                return None
        return file

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
        try:
            await self._kept.keep_file(file.show_id, file.name)
        except ShopError as error:
            # It is complete, and read from where it lies.
            _log.warning("file_not_archived", show=file.show_id, reason=error.detail)
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
        if not is_wanted:
            await self._kept.remove_file(file.show_id, file.name)

    async def _again(self, file: File, tries: int, words: str) -> None:
        async with self._database.write() as tx:
            await replay_store.change_file(
                tx.conn,
                file.id,
                only=("waiting", "making"),
                state="waiting",
                percent=0,
                data={"tries": tries},
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
        if asked.names is None:
            await self._kept.remove(show_id)
            return
        for name in asked.names:
            await self._kept.remove_file(show_id, name)


def _words(error: ShopError | OSError) -> str:
    if isinstance(error, ShopError):
        return error.detail
    return error.strerror or _BROKEN
