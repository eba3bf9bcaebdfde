"""Recordings in S3-compatible storage, by obstore: the object_store of Apache Arrow, which uploads
large files in parts.

Its blocking calls in threads of their own, since its awaitable ones sometimes abort a process that
ends soon after (1 of 50 with 0.12); so that no more of them wait for a storage that hangs, and
nothing else waits for them.

Errors are told by their kind alone: what a storage writes into its answers may name keys.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import structlog

from liveshop.settings import VideoSettings
from liveshop.video.archive import ArchiveAway, NotArchived

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
_PUT_SECONDS: Final = 600.0
"""For a file in parts."""
_THREADS: Final = 4
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
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="archive")

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
        await asyncio.to_thread(path.stat)  # or its absence would be taken for the storage's
        await self._do(lambda: obstore.put(self._put_store, key, path), _PUT_SECONDS)

    async def read(self, key: str, start: int, stop: int) -> bytes:
        return await self._do(
            lambda: bytes(obstore.get_range(self._store, key, start=start, end=stop))
        )

    async def size(self, key: str) -> int:
        return await self._do(lambda: int(obstore.head(self._store, key)["size"]))

    async def sizes(self, folder: str) -> Mapping[str, int]:
        def listed() -> dict[str, int]:
            found = obstore.list(self._store, f"{folder}/").collect()
            return {one["path"]: one["size"] for one in found}

        return await self._do(listed, 4 * self._ask_seconds)

    async def remove(self, key: str) -> None:
        await self._delete([key])

    async def remove_folder(self, folder: str) -> None:
        keys = list(await self.sizes(folder))
        for start in range(0, len(keys), _AT_ONCE):
            await self._delete(keys[start : start + _AT_ONCE])

    async def _delete(self, keys: list[str]) -> None:
        with suppress(NotArchived):
            await self._do(lambda: obstore.delete(self._store, keys), 4 * self._ask_seconds)

    async def _do(self, work: Callable[[], T], seconds: float | None = None) -> T:
        """In a thread. Raises NotArchived, ArchiveAway."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds or self._ask_seconds):
                return await loop.run_in_executor(self._threads, work)
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
