"""A copy of a file on disk, unpacked, of bounded size, that goes away when nobody reads it."""

import asyncio
import hashlib
import os
import tempfile
import zlib
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from liveshop.connect.lines import file_chunks

MEGABYTE = 1024 * 1024
_PIECE = 256 * 1024
_GZIP = b"\x1f\x8b"
_WBITS_GZIP = 31


class TooLarge(Exception):
    """More bytes than allowed."""


class BrokenArchive(Exception):
    """Packed bytes that cannot be unpacked, or that end too early."""


class FileCopy:
    """`digest` is of the unpacked bytes, `size` their number."""

    def __init__(self, path: Path, *, digest: str, size: int) -> None:
        self.digest = digest
        self.size = size
        self._path = path
        self._readers = 0
        self._is_replaced = False

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yields its bytes from the beginning."""
        self._readers += 1
        try:
            async with aclosing(file_chunks(self._path)) as chunks:
                yield chunks
        finally:
            self._readers -= 1
            await self._drop_unused()

    async def replaced(self) -> None:
        """Nobody will begin to read it any more."""
        self._is_replaced = True
        await self._drop_unused()

    async def _drop_unused(self) -> None:
        if self._is_replaced and not self._readers:
            await asyncio.to_thread(self._path.unlink, missing_ok=True)


async def copy_file(chunks: AsyncIterator[bytes], *, max_bytes: int) -> FileCopy:
    """Raises TooLarge, and whatever the reading raises; nothing is then left behind."""
    file, path = await asyncio.to_thread(_new_file)
    digest = hashlib.blake2b(digest_size=16)
    size = 0
    try:
        async for chunk in chunks:
            size += len(chunk)
            if size > max_bytes:
                raise TooLarge
            digest.update(chunk)
            await asyncio.to_thread(file.write, chunk)
        await asyncio.to_thread(file.close)
    except BaseException:
        await asyncio.shield(asyncio.to_thread(_discard, file, path))  # also when cancelled
        raise
    return FileCopy(path, digest=digest.hexdigest(), size=size)


def _discard(file: BinaryIO, path: Path) -> None:
    file.close()
    path.unlink(missing_ok=True)


def _new_file() -> tuple[BinaryIO, Path]:
    handle, name = tempfile.mkstemp(prefix="liveshop-file-")
    return os.fdopen(handle, "wb"), Path(name)


async def unpacked(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The bytes, taken out of gzip where they are packed, whatever the file is called.

    Pieces are small, however much a packed byte may become. Raises BrokenArchive.
    """
    head = b""
    async for chunk in chunks:
        head += chunk
        if len(head) >= len(_GZIP):
            break
    if not head.startswith(_GZIP):
        if head:
            yield head
        async for chunk in chunks:
            yield chunk
        return
    async for piece in _out_of_gzip(head, chunks):
        yield piece


async def _out_of_gzip(head: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A gzip file may be several, one after the other (RFC 1952, 2.2)."""
    unpacker = zlib.decompressobj(wbits=_WBITS_GZIP)
    is_fresh = False
    packed = head
    while True:
        while packed or not is_fresh:
            try:
                piece = await asyncio.to_thread(unpacker.decompress, packed, _PIECE)
            except zlib.error as error:
                raise BrokenArchive from error
            is_fresh = False
            if piece:
                yield piece
            if unpacker.eof:
                packed = unpacker.unused_data.lstrip(b"\0")
                unpacker, is_fresh = zlib.decompressobj(wbits=_WBITS_GZIP), True
                continue
            packed = unpacker.unconsumed_tail
            if not packed and len(piece) < _PIECE:
                break
        packed = await anext(chunks, b"")
        if not packed:
            break
    if not is_fresh:
        raise BrokenArchive
