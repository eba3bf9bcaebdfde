"""Recordings in S3-compatible storage, by obstore: the object_store of Apache Arrow, which uploads
large files in parts.

Its blocking calls in threads of their own, since its awaitable ones sometimes abort a process that
ends soon after (1 of 50 with 0.12). Viewers' reads, uploads and the rest each have their own: an
upload takes as long as it takes, and readers of a show that many see wait for each other alone.

Errors are told by their kind alone: what a storage writes into its answers may name keys.
"""

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import structlog

from liveshop.settings import VideoSettings
from liveshop.video.archive import ArchiveAway, NotArchived
from liveshop.video.archive_threads import Threads

try:
    import obstore
    from obstore.exceptions import (
        BaseError,
        NotFoundError,
        PermissionDeniedError,
        UnauthenticatedError,
    )
    from obstore.store import S3Store
except ImportError as missing:
    raise ImportError("video.archive_url needs: pip install 'liveshop[s3]'") from missing

_ASK_SECONDS: Final = 15.0
"""For an answer, or a megabyte; four times as long for five megabytes that are sent."""
_READERS: Final = 8
_MOST_WAITING: Final = 250
"""Viewers, each for a megabyte: with more of them the storage is too slow for all."""
_UPLOADS: Final = 2
_PARTS: Final = 2
"""Of an upload, sent at once: 3 Mbit/s are enough for two uploads."""
_PART_BYTES: Final = 5 * 1024 * 1024
_MOST_PARTS: Final = 9000
"""Of 10 000 that S3 takes."""
_AT_ONCE: Final = 500
"""Keys in one request to delete."""

T = TypeVar("T")

_log = structlog.get_logger("archive")


class S3Archive:
    """A bucket, or a folder in it: `s3://bucket/folder`."""

    def __init__(self, settings: VideoSettings, *, ask_seconds: float = _ASK_SECONDS) -> None:
        parts = urlsplit(settings.archive_url)
        config: Any = {"region": settings.archive_region or "us-east-1"}
        if settings.archive_endpoint:
            config["endpoint"] = settings.archive_endpoint
        if settings.archive_key_id:
            config["access_key_id"] = settings.archive_key_id
            config["secret_access_key"] = settings.archive_secret
        self._ask_seconds = ask_seconds
        # One for each way, so that none waits for another.
        self._readers = Threads(
            "archive-read", most=_READERS, most_waiting=_MOST_WAITING, seconds=ask_seconds
        )
        self._others = Threads(
            "archive", most=2, most_waiting=_MOST_WAITING, seconds=4 * ask_seconds
        )
        self._uploads = Threads("archive-put", most=_UPLOADS, most_waiting=_MOST_WAITING)
        self._uploading: dict[str, asyncio.Task[None]] = {}

        def store(seconds: float) -> S3Store:
            # Threads that wait for a storage that hangs are free again soon after their callers.
            return S3Store(
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                config=config,
                client_options={
                    "allow_http": settings.archive_endpoint.startswith("http://"),
                    "connect_timeout": timedelta(seconds=min(5.0, seconds)),
                    "timeout": timedelta(seconds=seconds),
                },
                retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=seconds)},
            )

        self._store = store(ask_seconds)
        self._put_store = store(4 * ask_seconds)

    async def put(self, key: str, path: Path) -> None:
        """Takes as long as it takes, while parts of it arrive. Cancelled, it sends what it has
        begun to send, and nobody else's of this key begins before."""
        await asyncio.to_thread(path.stat)  # or its absence would be taken for the storage's
        stopped = threading.Event()
        try:
            while (before := self._uploading.get(key)) is not None:
                await asyncio.wait({before})
            upload = asyncio.create_task(
                self._do(partial(self._sent, key, path, stopped), self._uploads)
            )
            self._uploading[key] = upload
            upload.add_done_callback(lambda _: self._uploading.pop(key))
            await asyncio.shield(upload)
        finally:
            stopped.set()

    def _sent(self, key: str, path: Path, stopped: threading.Event) -> None:
        """Blocking. Each part has its time, and few tries."""
        with _Upload(path, stopped) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            obstore.put(
                self._put_store,
                key,
                file,
                chunk_size=max(_PART_BYTES, size // _MOST_PARTS + 1),
                max_concurrency=_PARTS,
            )

    async def read(self, key: str, start: int, stop: int) -> bytes:
        return await self._do(
            lambda: bytes(obstore.get_range(self._store, key, start=start, end=stop)),
            self._readers,
            self._ask_seconds,
        )

    async def size(self, key: str) -> int:
        return await self._do(
            lambda: int(obstore.head(self._store, key)["size"]), self._readers, self._ask_seconds
        )

    async def sizes(self, folder: str) -> Mapping[str, int]:
        def listed() -> dict[str, int]:
            found = obstore.list(self._store, f"{folder}/").collect()
            return {one["path"]: one["size"] for one in found}

        return await self._do(listed, self._others, 4 * self._ask_seconds)

    async def remove(self, key: str) -> None:
        await self._delete([key])

    async def remove_folder(self, folder: str) -> None:
        keys = list(await self.sizes(folder))
        for start in range(0, len(keys), _AT_ONCE):
            await self._delete(keys[start : start + _AT_ONCE])

    async def _delete(self, keys: list[str]) -> None:
        with suppress(NotArchived):
            await self._do(
                lambda: obstore.delete(self._store, keys), self._others, 4 * self._ask_seconds
            )

    async def _do(self, work: Callable[[], T], threads: Threads, seconds: float | None = None) -> T:
        """Raises NotArchived, ArchiveAway."""
        try:
            return await threads.do(work, seconds)
        except (NotFoundError, FileNotFoundError):
            raise NotArchived("There is no such file of this recording.") from None
        except (PermissionDeniedError, UnauthenticatedError) as error:
            _log.error("archive.refused", error=type(error).__name__)
            raise ArchiveAway(
                "The storage of recordings refuses the server: its key or its rights are wrong.",
                retry_after=60,
            ) from None
        except (BaseError, TimeoutError, OSError) as error:
            _log.warning("archive.away", error=type(error).__name__)
            raise ArchiveAway(
                "The storage of recordings does not answer. Nothing is lost; try again in a"
                " moment.",
                retry_after=10,
            ) from None


class _Upload(FileIO):
    """A file that is read until it is stopped. Raises OSError."""

    def __init__(self, path: Path, stopped: threading.Event) -> None:
        super().__init__(path, "rb")
        self.stopped = stopped

    def read(self, size: int | None = -1, /) -> bytes:
        if self.stopped.is_set():
            raise OSError(errno.ECANCELED, "nobody waits for this any more")
        return super().read(-1 if size is None else size) or b""
