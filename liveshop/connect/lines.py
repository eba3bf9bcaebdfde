"""Bytes in pieces, lines out, in bounded memory: a line too long is dropped and said to be so."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from pathlib import Path

_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """`data` without its line end; empty when the line was too long to keep. Numbers start at 1."""

    number: int
    data: bytes
    is_too_long: bool = False


async def split_lines(chunks: AsyncIterator[bytes], *, max_bytes: int) -> AsyncIterator[Line]:
    """Lines ended by LF or CRLF; the last may have no end. Takes any cut of the bytes."""
    number = 0
    rest = b""
    dropping = False
    async for chunk in chunks:
        pieces = (rest + chunk).split(b"\n")
        rest = pieces.pop()
        for piece in pieces:
            number += 1
            is_too_long = dropping or len(piece) > max_bytes
            dropping = False
            yield Line(number, b"" if is_too_long else piece.removesuffix(b"\r"), is_too_long)
        if dropping or len(rest) > max_bytes:
            rest, dropping = b"", True
    if rest or dropping:
        yield Line(number + 1, rest.removesuffix(b"\r"), dropping)


async def file_chunks(path: Path, *, piece_bytes: int = _PIECE) -> AsyncGenerator[bytes]:
    """The bytes of a file, read beside the event loop. Raises OSError."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while piece := await asyncio.to_thread(file.read, piece_bytes):
            yield piece
    finally:
        await asyncio.to_thread(file.close)
