"""A plain HTTP/1.1 connection that stays open: thousands of buyers cost the tests little."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any


class Pipe:
    """One request after the other; open with `opened`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """The status and body that answer these bytes."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        body = await self._reader.readexactly(int(_header(head, b"content-length")))
        return int(head.split(b" ", 2)[1]), body

    async def call(self, *request: Any, **more: Any) -> tuple[int, Any]:
        """`request_bytes` and the JSON that answers."""
        status, body = await self.send(request_bytes(*request, **more))
        return status, json.loads(body)


def request_bytes(
    method: str,
    path: str,
    token: str = "",
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: shop"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if content:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


@asynccontextmanager
async def opened(port: int) -> AsyncIterator[Pipe]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Pipe(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


def _header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n"):
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip()
    raise AssertionError(f"no {name.decode()} in {head!r}")
