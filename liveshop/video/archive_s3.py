"""Recordings in S3-compatible storage, by obstore: the object_store of Apache Arrow, which uploads
large files in parts and works beside the event loop.

Errors are told by their kind alone: what a storage writes into its answers may name keys.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
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

_CONNECT: Final = timedelta(seconds=5)
_ASK_SECONDS: Final = 15.0
_PUT_SECONDS: Final = 600.0
"""Of one file, many parts if it is large; recordings are put in files of some megabytes."""
_AT_ONCE: Final = 500
"""Keys in one request to delete."""

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
        self._store = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            config=config,
            client_options={
                "allow_http": settings.archive_endpoint.startswith("http://"),
                "connect_timeout": _CONNECT,
                "timeout": timedelta(seconds=60),
            },
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=ask_seconds)},
        )

    async def put(self, key: str, path: Path) -> None:
        await asyncio.to_thread(path.stat)  # or its absence would be taken for the storage's
        async with _told(_PUT_SECONDS):
            await obstore.put_async(self._store, key, path)

    async def read(self, key: str, start: int, stop: int) -> bytes:
        async with _told(self._ask_seconds):
            return bytes(await obstore.get_range_async(self._store, key, start=start, end=stop))

    async def size(self, key: str) -> int:
        async with _told(self._ask_seconds):
            return int((await obstore.head_async(self._store, key))["size"])

    async def sizes(self, folder: str) -> Mapping[str, int]:
        found: dict[str, int] = {}
        async with _told(self._ask_seconds * 4):
            async for some in obstore.list(self._store, f"{folder}/"):
                found |= {one["path"]: one["size"] for one in some}
        return found

    async def remove(self, key: str) -> None:
        async with _told(self._ask_seconds):
            await _gone(obstore.delete_async(self._store, key))

    async def remove_folder(self, folder: str) -> None:
        keys = list(await self.sizes(folder))
        for start in range(0, len(keys), _AT_ONCE):
            async with _told(self._ask_seconds * 4):
                await _gone(obstore.delete_async(self._store, keys[start : start + _AT_ONCE]))


async def _gone(deleting: Awaitable[None]) -> None:
    try:
        await deleting
    except (NotFoundError, FileNotFoundError):
        return


@asynccontextmanager
async def _told(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
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
            "The storage of recordings does not answer. Nothing is lost; try again in a moment.",
            retry_after=10,
        ) from None
