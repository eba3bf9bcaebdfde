"""A file that is fetched again and again: makes a source of any file source.

The file is copied whole, unpacked and counted before its first row is used. A download that breaks
off therefore changes nothing, the other side is not kept waiting while rows are written, and the
same copy answers for all questions until the file is another one.
"""

import asyncio
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Annotated

import aiohttp
import msgspec
from yarl import URL

from liveshop.connect.connector import Kit
from liveshop.connect.credentials import Secret
from liveshop.connect.errors import NeedsAttention, RetryLater
from liveshop.connect.file_copy import (
    MEGABYTE,
    BrokenArchive,
    FileCopy,
    TooLarge,
    copy_file,
    unpacked,
)
from liveshop.connect.http import retry_after
from liveshop.connect.lines import file_chunks
from liveshop.connect.model import BadFile, BadRow, FileSource, SourceRow
from liveshop.connect.sources import SourcePage
from liveshop.kernel.errors import ShopError

_TIMEOUT = aiohttp.ClientTimeout(total=3600, sock_connect=10, sock_read=60)
_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRY_AGAIN = frozenset({408, 425, 429})
_PAGE_ROWS = 250
_LOOKED_AT = 100
_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".xml", ".rss", ".atom", ".ndjson", ".jsonl"})
"""Of files on this machine. Configurations and keys have others; nobody reads those here."""


class FileAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a file of products is."""

    address: Annotated[
        str,
        msgspec.Meta(
            title="Address or file",
            description="https://… or the full path of a file on the server, such as "
            "/srv/feeds/products.csv; .gz is unpacked.",
            min_length=1,
        ),
    ]
    username: Annotated[
        str, msgspec.Meta(title="User name", description="Where the address asks for one.")
    ] = ""
    password: Annotated[
        Secret, msgspec.Meta(title="Password", description="Where the address asks for one.")
    ] = Secret("")
    max_megabytes: Annotated[
        int,
        msgspec.Meta(
            title="Largest size",
            description="In megabytes, unpacked. A larger file is not read.",
            ge=1,
            le=10_000,
        ),
    ] = 500


class _Mark(msgspec.Struct, frozen=True):
    """Which state of the file was read, by its server's words and by its content."""

    digest: str
    etag: str | None = None
    modified: str | None = None


class FileByUrl:
    """A source whose products stand in one file, at an address or on this machine.

    Nothing but the whole file can be asked for: `changes` gives nothing while it is the same, and
    all of it when it is another. Made by `file_by_url`.
    """

    def __init__(self, file_source: FileSource, config: FileAddress, kit: Kit) -> None:
        self._file_source = file_source
        self._config = config
        self._kit = kit
        self._copy: FileCopy | None = None
        self._mark: _Mark | None = None
        self._fetching = asyncio.Lock()

    async def products(self, cursor: str | None = None) -> AsyncIterator[SourcePage]:
        copy, mark = await self._present()
        done_for, _, count = (cursor or "").partition(":")
        skip = int(count) if done_for == mark.digest and count.isdecimal() else 0
        async with aclosing(self._pages(copy, mark, skip)) as pages:
            async for page in pages:
                yield page

    async def changes(self, mark: str) -> AsyncIterator[SourcePage]:
        known = _decoded(mark)
        fetched = await self._fetch(known)
        if fetched is None:
            yield SourcePage((), mark=mark)
            return
        copy, present = fetched
        if known is not None and known.digest == present.digest:
            yield SourcePage((), mark=_encoded(present))
            return
        async with aclosing(self._pages(copy, present, 0)) as pages:
            async for page in pages:
                yield page

    async def product_ids(self) -> AsyncIterator[Sequence[str]]:
        """Also of products whose rows cannot be read: they are there. Raises RetryLater for a file
        that holds none at all: it was more likely lost than meant."""
        copy, mark = await self._present()
        async with aclosing(self._pages(copy, mark, 0)) as pages:
            async for page in pages:
                if not page.rows:
                    raise RetryLater(
                        f"The file {self._where()} holds no products, so none is taken off. "
                        "To take all of them off, pause or remove the connection."
                    )
                yield list(dict.fromkeys(_ids(page.rows)))

    async def quantities(self, source_ids: Collection[str]) -> Mapping[str, int]:
        copy, mark = await self._present()
        wanted = set(source_ids)
        found: dict[str, int] = {}
        async with aclosing(self._pages(copy, mark, 0)) as pages:
            async for page in pages:
                for row in page.rows:
                    if isinstance(row, SourceRow):
                        found |= {
                            variant.source_id: variant.quantity
                            for variant in row.product.variants
                            if variant.source_id in wanted and variant.quantity is not None
                        }
        return found

    async def diagnose(self) -> list[str]:
        """Reads the first rows."""
        copy, mark = await self._present()
        async with aclosing(self._pages(copy, mark, 0)) as pages:
            async for page in pages:
                looked_at = page.rows[:_LOOKED_AT]
                if looked_at and all(isinstance(row, BadRow) for row in looked_at):
                    first = looked_at[0]
                    reason = first.reason if isinstance(first, BadRow) else ""
                    return [f"None of the first rows can be read. Line {first.line}: {reason}."]
                break
        return []

    async def close(self) -> None:
        if self._copy is not None:
            await self._copy.replaced()

    # Reading

    async def _pages(self, copy: FileCopy, mark: _Mark, skip: int) -> AsyncGenerator[SourcePage]:
        rows: list[SourceRow | BadRow] = []
        done = skip
        async with aclosing(self._rows(copy)) as all_rows:
            async for row in all_rows:
                if skip:
                    skip -= 1
                    continue
                if len(rows) == _PAGE_ROWS:
                    done += len(rows)
                    yield SourcePage(rows, cursor=f"{mark.digest}:{done}")
                    rows = []
                rows.append(row)
        yield SourcePage(rows, mark=_encoded(mark))

    async def _rows(self, copy: FileCopy) -> AsyncGenerator[SourceRow | BadRow]:
        if copy.size == 0:
            return
        is_started = False
        async with copy.reading() as chunks:
            try:
                async for row in self._file_source.rows(chunks):
                    is_started = True
                    yield row
            except BadFile as error:
                if is_started:  # it breaks off: perhaps it was read while it was written
                    raise RetryLater(f"The file {self._where()}: {error.detail}") from error
                raise NeedsAttention(f"The file {self._where()}: {error.detail}") from error

    # Fetching

    async def _present(self) -> tuple[FileCopy, _Mark]:
        """The file as it is now."""
        fetched = await self._fetch(None)
        assert fetched is not None
        return fetched

    async def _fetch(self, known: _Mark | None) -> tuple[FileCopy, _Mark] | None:
        """The file as it is now; None while it is as `known`. Only one is fetched at a time."""
        async with self._fetching:
            if self._copy is not None:
                known = self._mark
            if _is_web(self._config.address):
                await self._download(known)
            elif known is None or known.modified != await self._state_of_file():
                await self._copy_local()
            if self._copy is None or self._mark is None:
                return None
            return self._copy, self._mark

    async def _keep(
        self, chunks: AsyncIterator[bytes], etag: str | None, modified: str | None
    ) -> None:
        most = self._config.max_megabytes * MEGABYTE
        try:
            copy = await copy_file(unpacked(chunks), max_bytes=most)
        except TooLarge:
            raise NeedsAttention(
                f"The file {self._where()} is larger than {self._config.max_megabytes} megabytes. "
                "Set a larger size in the connection if it is meant to be."
            ) from None
        except BrokenArchive:
            raise RetryLater(
                f"The file {self._where()} is packed with gzip, but cannot be unpacked to its end."
            ) from None
        if self._copy is not None:
            await self._copy.replaced()
        self._copy, self._mark = copy, _Mark(copy.digest, etag, modified)

    async def _state_of_file(self) -> str:
        path = self._path()
        try:
            status = await asyncio.to_thread(path.stat)
        except OSError as error:
            raise NeedsAttention(_unreadable(error)) from error
        return f"{status.st_mtime_ns}-{status.st_size}"

    async def _copy_local(self) -> None:
        state = await self._state_of_file()
        try:
            await self._keep(file_chunks(self._path()), None, state)
        except OSError as error:
            raise NeedsAttention(_unreadable(error)) from error

    def _path(self) -> Path:
        path = Path(self._config.address)
        suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
        if not path.is_absolute() or not suffixes or suffixes[-1] not in _SUFFIXES:
            raise NeedsAttention(
                "The address must begin with https:// or http://, or be the full path of a file "
                f"whose name ends in {', '.join(sorted(_SUFFIXES))}, with or without .gz."
            )
        return path

    async def _download(self, known: _Mark | None) -> None:
        """Keeps what is sent: nothing, while it is as `known`."""
        url = first = self._url(self._config.address)
        headers = {"Accept-Encoding": "gzip"}
        if known is not None and known.etag:
            headers["If-None-Match"] = known.etag
        if known is not None and known.modified:
            headers["If-Modified-Since"] = known.modified
        try:
            for _ in range(_MAX_REDIRECTS + 1):
                async with self._kit.http.get(
                    url,
                    allow_redirects=False,
                    headers=headers | self._authorisation(url, first),
                    timeout=_TIMEOUT,
                ) as response:
                    if response.status in _REDIRECTS and "Location" in response.headers:
                        url = self._next(url, response.headers["Location"])
                        continue
                    if response.status == 304 and known is not None:
                        return
                    self._check(response)
                    await self._keep(
                        response.content.iter_chunked(256 * 1024),
                        response.headers.get("ETag"),
                        response.headers.get("Last-Modified"),
                    )
                    return
        except aiohttp.InvalidURL:
            raise NeedsAttention(f"{self._where()} leads to an address that is none.") from None
        except ShopError as error:
            raise NeedsAttention(error.detail) from None
        except (TimeoutError, aiohttp.ClientError) as error:
            # The error's own text may hold the whole address, which may be a secret.
            raise RetryLater(
                f"The file {self._where()} did not arrive whole ({type(error).__name__}); "
                "nothing was changed."
            ) from None
        raise NeedsAttention(f"{self._where()} redirects more than {_MAX_REDIRECTS} times.")

    def _check(self, response: aiohttp.ClientResponse) -> None:
        status = response.status
        if status == 200:
            return
        if status in (401, 403):
            raise NeedsAttention(
                f"{self._where()} answers {status}: it does not let us read the file. "
                "Check user name and password."
            )
        if status in (404, 410):
            raise NeedsAttention(f"{self._where()} answers {status}: the file is not there.")
        if status >= 500 or status in _TRY_AGAIN:
            raise RetryLater(
                f"{self._where()} answers {status}; it will be asked again.",
                after=retry_after(response.headers, self._kit.clock.now()),
            )
        raise NeedsAttention(f"{self._where()} answers {status} instead of the file.")

    def _url(self, text: str) -> URL:
        try:
            url = URL(text)
        except ValueError:
            url = URL()
        if url.scheme not in ("http", "https") or not url.host:
            raise NeedsAttention("The address of the file must begin with https:// or http://.")
        return url

    def _next(self, url: URL, location: str) -> URL:
        try:
            following = url.join(URL(location))
        except ValueError:
            raise NeedsAttention(f"{self._where()} redirects to an address that is none.") from None
        if following.scheme not in ("http", "https") or not following.host:
            raise NeedsAttention(
                f"{self._where()} redirects to an address that is none of the web."
            )
        if url.scheme == "https" and following.scheme == "http":
            raise NeedsAttention(
                f"{self._where()} redirects from https to http, where anybody could change prices."
            )
        return following

    def _authorisation(self, url: URL, first: URL) -> dict[str, str]:
        """For the host it was given for, and for no other that it redirects to."""
        if not self._config.username or url.origin() != first.origin():
            return {}
        pair = f"{self._config.username}:{self._config.password.reveal()}"
        return {"Authorization": f"Basic {b64encode(pair.encode()).decode('ascii')}"}

    def _where(self) -> str:
        """Enough to know which one is meant; a whole address may hold a secret."""
        if not _is_web(self._config.address):
            return Path(self._config.address).name
        try:
            return URL(self._config.address).host or "the address"
        except ValueError:
            return "the address"


@asynccontextmanager
async def file_by_url(
    file_source: FileSource, config: FileAddress, kit: Kit
) -> AsyncIterator[FileByUrl]:
    """The `open` of a connector that reads files: a `Source`, with `diagnose`."""
    source = FileByUrl(file_source, config, kit)
    try:
        yield source
    finally:
        await source.close()


def _ids(rows: Sequence[SourceRow | BadRow]) -> Iterator[str]:
    for row in rows:
        if isinstance(row, SourceRow):
            yield row.product.source_id
        elif (id_ := row.product_id or row.source_id) is not None:
            yield id_


def _is_web(address: str) -> bool:
    return "://" in address


def _encoded(mark: _Mark) -> str:
    return msgspec.json.encode(mark).decode()


def _decoded(mark: str) -> _Mark | None:
    """None for one that another version wrote: everything is then read again."""
    try:
        return msgspec.json.decode(mark, type=_Mark)
    except msgspec.DecodeError:
        return None


def _unreadable(error: OSError) -> str:
    return f"The file cannot be read: {error.strerror}. Check its path and who may read it."
