"""Feeds that we serve to whoever has the address: made once per change, kept as a file, streamed.

What stands in a feed is what the listings' rows say, so their digests together are its ETag. It is
written while it is first fetched; whoever comes after that gets the file.
"""

import asyncio
import contextlib
import gzip
import io
import secrets
import weakref
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol, cast, runtime_checkable

from aiohttp import web

from liveshop.connect import ConnectorError, Feed, FeedInfo, Listing
from liveshop.connect.connector import Connector
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import NotFound, Unavailable
from liveshop.settings import Settings
from liveshop.storage import Database
from liveshop.syndication import feed_store
from liveshop.syndication.model import Connection
from liveshop.syndication.runtime import OpenConnections
from liveshop.web import PUBLIC, Call, Endpoint

_PIECE = 64 * 1024
_TRIES = 3
_KEPT = 2
"""Files of one feed: the present one and the one before it, which somebody may still be reading."""


class UnknownFeed(NotFound):
    code = "unknown_feed"


class FeedAway(Unavailable):
    """Its connection cannot be opened now; who fetches it keeps what he has."""

    code = "feed_away"


@runtime_checkable
class _HasFile(Protocol):
    @property
    def file_name(self) -> str: ...


class _Listings(Protocol):
    """What is needed of the listings; `listings.ListingService` is one."""

    def feed_listings(self, one: Connection, feed: Feed) -> AsyncIterator[Listing]:
        """All that shall stand in the feed, by variant id."""
        ...

    async def note_feed_fetched(self, one: Connection, at: datetime) -> None:
        """Somebody has read all of what the rows said at that moment."""
        ...


def feed_path(connector: Connector, token: str) -> str:
    """The path under which a feed is fetched."""
    name = connector.file_name if isinstance(connector, _HasFile) else connector.name
    return f"/feeds/{token}/{name}"


class FeedFiles:
    """The bytes of feeds; `settings.data_dir` is where their files lie."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        open_connections: OpenConnections,
        listings: _Listings,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._folder = settings.data_path / "feeds"
        self._open = open_connections
        self._listings = listings
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    async def serve(self, call: Call) -> web.StreamResponse:
        """Answer a request for a feed. Raises UnknownFeed."""
        begun = self._clock.now()
        found = await self._found(call.params["token"])
        try:
            feed: Feed = await self._open.get(found.connection.id)
        except ConnectorError as error:
            raise FeedAway("The feed cannot be made at the moment. Try again.") from error
        if _has(call.request, found.etag):
            return web.Response(status=304, headers=_headers(found.etag))
        path, etag = await self._file(call.params["token"], found, feed)
        try:
            response = await _send(call.request, path, feed.media_type, _headers(etag))
        finally:
            if etag is None:
                await asyncio.to_thread(path.unlink, missing_ok=True)
        if call.request.method == "GET" and etag is not None:
            await self._note_fetched(found.connection, etag, call, begun)
        return response

    async def _found(self, token: str) -> feed_store.FeedState:
        async with self._database.read() as conn:
            found = await feed_store.by_token(conn, token)
        if found is None:
            raise UnknownFeed("There is no feed at this address, or it was withdrawn.")
        return found

    async def _note_fetched(self, one: Connection, etag: str, call: Call, begun: datetime) -> None:
        by = call.request.headers.get("User-Agent", "")
        async with self._database.write() as tx:
            await feed_store.note_fetched(tx.conn, one.id, etag, by=by, now=self._clock.now())
        # What changed while it was on its way, its reader does not have.
        await self._listings.note_feed_fetched(one, begun)

    async def _file(
        self, token: str, found: feed_store.FeedState, feed: Feed
    ) -> tuple[Path, str | None]:
        """The file and its digest. One that was overtaken while it was written is written again,
        a few times; a feed that changes all the time is served once, without a digest."""
        one = found.connection
        async with self._locks.setdefault(one.id, asyncio.Lock()):
            path = self._path(one, found.etag)
            if await asyncio.to_thread(path.exists):
                return path, found.etag
            left: Path | None = None
            for _ in range(_TRIES):
                if left is not None:
                    await asyncio.to_thread(left.unlink, missing_ok=True)
                part = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
                await self._write(one, feed, part)
                now = await self._found(token)
                if now.etag == found.etag:
                    await asyncio.to_thread(part.replace, path)
                    await asyncio.to_thread(_drop_old, self._folder, one.id)
                    return path, found.etag
                found, path = now, self._path(one, now.etag)
                left = part
            assert left is not None
            return left, None

    def _path(self, one: Connection, etag: str) -> Path:
        return self._folder / f"{one.id}-{etag}.gz"

    async def _write(self, one: Connection, feed: Feed, part: Path) -> None:
        """The whole file or none of it, in memory that does not grow with the catalog."""
        await asyncio.to_thread(part.parent.mkdir, parents=True, exist_ok=True)
        info = FeedInfo(
            title=self._settings.shop.name,
            link=self._settings.public_url,
            language=one.language,
            currency=self._settings.shop.currency,
        )
        file = await asyncio.to_thread(_ZippedFile, part)
        try:
            buffer = io.BytesIO()
            buffer.write(feed.head(info))
            is_first = True
            async for listing in self._listings.feed_listings(one, feed):
                buffer.write(feed.item(listing, is_first=is_first))
                is_first = False
                if buffer.tell() >= _PIECE:
                    await asyncio.to_thread(file.write, buffer.getvalue())
                    buffer = io.BytesIO()
            buffer.write(feed.tail())
            await asyncio.to_thread(file.write, buffer.getvalue())
            await asyncio.to_thread(file.close)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(_discard, file, part))
            raise


class _ZippedFile:
    """A file written zipped. Blocking. No time stands in it, so that the same feed is the same
    bytes."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("wb")
        self._zip = gzip.GzipFile(
            filename="", mode="wb", fileobj=self._raw, compresslevel=6, mtime=0
        )

    def write(self, data: bytes) -> None:
        self._zip.write(data)

    def close(self) -> None:
        try:
            self._zip.close()
        finally:
            self._raw.close()


def _has(request: web.Request, etag: str) -> bool:
    return f'"{etag}"' in request.headers.get("If-None-Match", "")


def _headers(etag: str | None) -> dict[str, str]:
    headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    return headers if etag is None else {"ETag": f'"{etag}"', **headers}


async def _send(
    request: web.Request, path: Path, media_type: str, headers: dict[str, str]
) -> web.StreamResponse:
    """The file, zipped for those who can read that; returns when all of it is on its way."""
    is_zipped = "gzip" in request.headers.get("Accept-Encoding", "")
    response = web.StreamResponse(headers=headers)
    response.content_type = media_type
    response.charset = "utf-8"
    if is_zipped:
        response.headers["Content-Encoding"] = "gzip"
        response.content_length = (await asyncio.to_thread(path.stat)).st_size
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    file = await asyncio.to_thread(_opened, path, is_zipped)
    try:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            await response.write(piece)
    finally:
        file.close()  # here and at once: a thread would not get to it when the server stops
    await response.write_eof()
    return response


def _opened(path: Path, is_zipped: bool) -> IO[bytes]:
    return path.open("rb") if is_zipped else cast(IO[bytes], gzip.open(path, "rb"))


def _discard(file: _ZippedFile, path: Path) -> None:
    with contextlib.suppress(OSError):
        file.close()
        path.unlink()


def _drop_old(folder: Path, connection_id: str) -> None:
    files = sorted(
        folder.glob(f"{connection_id}-*.gz"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    for path in files[_KEPT:]:
        with contextlib.suppress(OSError):
            path.unlink()


def endpoints(feeds: FeedFiles) -> list[Endpoint]:
    async def feed(call: Call) -> web.StreamResponse:
        return await feeds.serve(call)

    return [
        Endpoint(
            "GET",
            "/feeds/{token}/{name}",
            feed,
            PUBLIC,
            "A product feed, for whoever has its address",
            "channels",
            raw=True,
            any_origin=True,
            documented=False,
        )
    ]
