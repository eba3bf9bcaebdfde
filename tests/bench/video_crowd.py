"""Players without a picture: hundreds of LL-HLS viewers, each with a chat socket, in one process.

They do what hls.js does: a blocking reload for the next part of the playlist (as a delta update)
on one connection, then that part on another. Bodies are counted and dropped, a playlist is parsed
once however many viewers get it, so that a crowd costs less than the server it asks.

A process of its own: `python video_crowd.py PORT /hls/shw_.../video/ --viewers 500`. It writes
`{"measuring": true}` when all are there and have what is new, and what they found in the end.
"""

import argparse
import asyncio
import base64
import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import uvloop

_SKIP = "&_HLS_skip=YES"
_EVERY = 1 << 18


@dataclass(frozen=True, slots=True)
class Playlist:
    """What a viewer must know of one version."""

    next_msn: int
    next_part: int
    first_part: int
    """Number of the first part of all that are named."""
    parts: tuple[str, ...]
    """Their names, oldest first; parts are numbered through."""

    @property
    def last_part(self) -> int:
        return self.first_part + len(self.parts) - 1


_PART = re.compile(r'#EXT-X-PART:.*?URI="([^"]*?(\d+)\.\w+)"')
_SEQUENCE = re.compile(r"#EXT-X-MEDIA-SEQUENCE:(\d+)")
_SKIPPED = re.compile(r"#EXT-X-SKIP:SKIPPED-SEGMENTS=(\d+)")


def parse(text: str) -> Playlist:
    sequence = _SEQUENCE.search(text)
    assert sequence is not None, text[:200]
    skipped = _SKIPPED.search(text)
    segments = text.count("#EXTINF:") + (int(skipped[1]) if skipped else 0)
    parts = _PART.findall(text)
    assert parts, text[-500:]
    open_parts = text.rpartition("#EXTINF:")[2].count("#EXT-X-PART:")
    return Playlist(
        int(sequence[1]) + segments, open_parts, int(parts[0][1]), tuple(name for name, _ in parts)
    )


class Connection(asyncio.BufferedProtocol):
    """One request at a time; `done(status, body)`, with an empty body where it is dropped."""

    _shared = bytearray(_EVERY)

    def __init__(self) -> None:
        self._head = bytearray()
        self._left = -1
        self._status = 0
        self._body: bytearray | None = None
        self._is_kept = False
        self._done: Callable[[int, bytes], None] | None = None
        self.transport: asyncio.Transport | None = None
        self.received = 0
        self.lost = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if self._done is not None:
            self.lost += 1
            self._finish(0)

    def ask(self, path: str, done: Callable[[int, bytes], None], *, is_kept: bool) -> None:
        if self.transport is None:
            done(0, b"")
            return
        self._done, self._is_kept = done, is_kept
        self._head.clear()
        self._left = -1
        self.transport.write(f"GET {path} HTTP/1.1\r\nHost: crowd\r\n\r\n".encode())

    def get_buffer(self, size_hint: int) -> bytearray:
        return self._shared

    def buffer_updated(self, count: int) -> None:
        self.received += count
        if self._left < 0:
            self._head += memoryview(self._shared)[:count]
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._head[:end]).lower()
            self._status = int(head.split(b" ", 2)[1])
            at = head.index(b"content-length:") + 15
            self._left = int(head[at:].split(b"\r\n", 1)[0])
            rest = self._head[end + 4 :]
            self._body = bytearray(rest) if self._is_kept or self._status != 200 else None
            self._left -= len(rest)
        else:
            self._left -= count
            if self._body is not None:
                self._body += memoryview(self._shared)[:count]
        if self._left <= 0:
            self._finish(self._status)

    def _finish(self, status: int) -> None:
        done, self._done = self._done, None
        body, self._body = self._body, None
        if done is not None:
            done(status, bytes(body or b""))


class ChatSocket(asyncio.Protocol):
    """Reads a room's events and counts the frames; says something when told."""

    def __init__(self, path: str, token: str) -> None:
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: crowd\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: liveshop.v1, bearer.{token}\r\n\r\n"
        ).encode()
        self._buffer = bytearray()
        self._is_open = False
        self._said = 0
        self._transport: asyncio.Transport | None = None
        self.messages = 0
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True

    def data_received(self, data: bytes) -> None:
        self.messages += data.count(b'"chat.message"')
        if b"\x89" in data[:1] and self._transport is not None:  # a ping; an empty pong will do
            self._transport.write(b"\x8a\x80\x00\x00\x00\x00")

    def say(self, text: str) -> None:
        self._said += 1
        body = json.dumps({"id": self._said, "t": "chat.send", "text": text}).encode()
        assert len(body) < 126
        if self._transport is not None:
            self._transport.write(bytes([0x81, 0x80 | len(body), 0, 0, 0, 0]) + body)


@dataclass(slots=True)
class Findings:
    """Of all viewers, while it is measured."""

    is_measuring: bool = False
    late_ms: list[float] = field(default_factory=list)
    """From when the first viewer heard of a part until a viewer had all of it."""
    parts: int = 0
    missed: int = 0
    """Parts that were not fetched before the next one was there."""
    errors: dict[int, int] = field(default_factory=dict)


class Crowd:
    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.findings = Findings()
        self._parsed: dict[bytes, Playlist] = {}
        self._heard_at: dict[int, float] = {}

    def playlist(self, body: bytes) -> Playlist:
        found = self._parsed.get(body)
        if found is None:
            if len(self._parsed) > 64:
                self._parsed.clear()
            found = self._parsed[body] = parse(body.decode())
        return found

    def heard(self, part: int, now: float) -> float:
        """When anybody first heard of it."""
        if len(self._heard_at) > 1000:
            self._heard_at = {n: at for n, at in self._heard_at.items() if n > part - 100}
        return self._heard_at.setdefault(part, now)


class Viewer:
    def __init__(self, crowd: Crowd, reloads: Connection, media: Connection) -> None:
        self._crowd = crowd
        self._reloads, self._media = reloads, media
        self._last_part = -1
        self._wanted: list[tuple[int, str]] = []
        self._is_fetching = False
        self.is_watching = False

    def start(self) -> None:
        self._reloads.ask(f"{self._crowd.folder}live.m3u8", self._reloaded, is_kept=True)

    def _reloaded(self, status: int, body: bytes) -> None:
        if status != 200:
            self._trouble(status)
            asyncio.get_running_loop().call_later(0.5, self.start)
            return
        now = time.perf_counter()
        playlist = self._crowd.playlist(body)
        self._crowd.heard(playlist.last_part, now)
        self._take(playlist)
        self._reloads.ask(
            f"{self._crowd.folder}live.m3u8?_HLS_msn={playlist.next_msn}"
            f"&_HLS_part={playlist.next_part}{_SKIP}",
            self._reloaded,
            is_kept=True,
        )

    def _take(self, playlist: Playlist) -> None:
        """Whoever joins begins with the newest part."""
        last = playlist.last_part
        first = last if self._last_part < 0 else max(self._last_part + 1, playlist.first_part)
        if self._last_part >= 0 and self._crowd.findings.is_measuring:
            self._crowd.findings.missed += max(first - self._last_part - 1, 0)
        for number in range(first, last + 1):
            self._wanted.append((number, playlist.parts[number - playlist.first_part]))
        self._last_part = max(last, self._last_part)
        if not self._is_fetching:
            self._fetch()

    def _fetch(self) -> None:
        self._is_fetching = bool(self._wanted)
        if self._is_fetching:
            path = self._crowd.folder + self._wanted[0][1]
            self._media.ask(path, self._fetched, is_kept=False)

    def _fetched(self, status: int, _: bytes) -> None:
        number, _name = self._wanted.pop(0)
        now = time.perf_counter()
        findings = self._crowd.findings
        self.is_watching = True
        if status != 200:
            self._trouble(status)
        elif findings.is_measuring:
            findings.parts += 1
            findings.late_ms.append((now - self._crowd.heard(number, now)) * 1000)
        self._fetch()

    def _trouble(self, status: int) -> None:
        errors = self._crowd.findings.errors
        errors[status] = errors.get(status, 0) + 1


async def watch(
    port: int, folder: str, *, viewers: int, seconds: float, live: str, tokens: list[str]
) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    crowd = Crowd(folder)
    there: list[Viewer] = []
    connections: list[Connection] = []
    chats: list[ChatSocket] = []
    for number in range(viewers):
        pair = [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in "ab"]
        connections += pair
        there.append(Viewer(crowd, *pair))
        there[-1].start()
        if live:
            token = tokens[number % len(tokens)]
            _, chat = await loop.create_connection(
                lambda token=token: ChatSocket(live, token), "127.0.0.1", port
            )
            chats.append(chat)
        await asyncio.sleep(0.002)
    async with asyncio.timeout(60):
        while not all(viewer.is_watching for viewer in there):
            await asyncio.sleep(0.1)
    talking = asyncio.create_task(_talk(chats, len(tokens))) if chats else None
    await asyncio.sleep(2)
    print(json.dumps({"measuring": True}), flush=True)
    before = sum(connection.received for connection in connections)
    cpu, started = time.process_time(), time.perf_counter()
    messages = sum(chat.messages for chat in chats)
    crowd.findings.errors.clear()
    crowd.findings.is_measuring = True
    await asyncio.sleep(seconds)
    crowd.findings.is_measuring = False
    took = time.perf_counter() - started
    if talking is not None:
        talking.cancel()
    late = sorted(crowd.findings.late_ms) or [0.0]
    return {
        "viewers": viewers,
        "seconds": took,
        "parts_per_viewer": crowd.findings.parts / viewers,
        "missed": crowd.findings.missed,
        "errors": crowd.findings.errors,
        "late_p50_ms": late[len(late) // 2],
        "late_p99_ms": late[int(len(late) * 0.99)],
        "late_max_ms": late[-1],
        "megabytes": (sum(c.received for c in connections) - before) / 1e6,
        "chat_deliveries": sum(chat.messages for chat in chats) - messages,
        "chat_lost": sum(chat.is_lost for chat in chats),
        "crowd_cpu": (time.process_time() - cpu) / took,
    }


async def _talk(chats: list[ChatSocket], talkers: int) -> None:
    """Two messages a second, each from somebody else."""
    number = 0
    while True:
        chats[number % min(talkers, len(chats))].say(f"message {number}")
        number += 1
        await asyncio.sleep(0.5)


def main() -> int:
    parser = argparse.ArgumentParser(description="LL-HLS viewers without a picture.")
    parser.add_argument("port", type=int)
    parser.add_argument("folder", help="/hls/{show}/{rendition}/")
    parser.add_argument("--viewers", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--live", default="", help="path of the room's socket; tokens on stdin")
    given = parser.parse_args()
    _allow_many_sockets(given.viewers * 3 + 200)
    tokens = sys.stdin.read().split() if given.live else []
    found = uvloop.run(
        watch(
            given.port,
            given.folder,
            viewers=given.viewers,
            seconds=given.seconds,
            live=given.live,
            tokens=tokens,
        )
    )
    print(json.dumps(found), flush=True)
    return 0


def _allow_many_sockets(count: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
