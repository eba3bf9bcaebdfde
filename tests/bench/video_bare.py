"""The least a Python process can do for LL-HLS: prepared bytes, written when a part is due.

The yardstick for `hls_viewers_per_core`: `python video_bare.py BYTES_OF_A_PART` writes
`{"port": ...}` and answers players until its standard input ends.
"""

import asyncio
import json
import sys
from pathlib import PurePosixPath
from typing import Final, cast

import uvloop

_PART_SECONDS: Final = 1 / 3
_PARTS: Final = 3
"""In a segment."""
_LISTED: Final = 8
"""Segments that have no parts any more."""


class Stream:
    def __init__(self, part_bytes: int) -> None:
        self.part = _response(bytes(part_bytes), "public, max-age=3600, immutable")
        self.newest = _LISTED * _PARTS
        self.waiting: list[asyncio.Transport] = []
        self.playlist = b""
        self.tick()

    def tick(self) -> None:
        """Another part is there, and so is what its playlist's readers wait for."""
        asyncio.get_running_loop().call_later(_PART_SECONDS, self.tick)
        self.newest += 1
        self.playlist = _response(self._text().encode(), "public, max-age=6")
        waiting, self.waiting = self.waiting, []
        for transport in waiting:
            if not transport.is_closing():
                transport.write(self.playlist)

    def _text(self) -> str:
        segments, open_parts = divmod(self.newest, _PARTS)
        first = segments - _LISTED
        lines = ["#EXTM3U", "#EXT-X-VERSION:9", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        for segment in range(first, segments):
            if segment >= segments - 2:
                lines += [self._part(segment * _PARTS + part) for part in range(_PARTS)]
            lines += ["#EXTINF:1.0,", f"segment-{segment}.m4s"]
        lines += [self._part(segments * _PARTS + part) for part in range(open_parts)]
        return "\n".join([*lines, ""])

    @staticmethod
    def _part(number: int) -> str:
        return f'#EXT-X-PART:DURATION={_PART_SECONDS:.5f},URI="part-{number}.m4s"'


class Answers(asyncio.Protocol):
    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        path, _, query = data.split(b" ", 2)[1].partition(b"?")
        if PurePosixPath(path.decode()).suffix == ".m4s":
            self._transport.write(self._stream.part)
        elif query:
            self._stream.waiting.append(self._transport)
        else:
            self._transport.write(self._stream.playlist)


def _response(body: bytes, cache: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nCache-Control: {cache}\r\n\r\n"
    return head.encode() + body


async def _serve(part_bytes: int) -> None:
    loop = asyncio.get_running_loop()
    stream = Stream(part_bytes)
    server = await loop.create_server(lambda: Answers(stream), "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
