"""Clients that mean harm, beside one who means none: his events go on coming in time.

Here sockets are opened by hand, because no library sends what these do.
"""

import asyncio
import base64
import contextlib
import json
import os
import socket
import struct
import time
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from room_builders import (
    GUEST,
    SHOW,
    RoomServer,
    ask,
    read,
    room_server,
    until,
)

from liveshop import serving
from liveshop.kernel.clock import ManualClock
from liveshop.realtime import CloseCode
from liveshop.settings import RealtimeSettings

IN_TIME_SECONDS = 1.5
"""The innocent's events, with other tests beside this one on the same cores."""
TEXT, CONTINUED, BINARY, CLOSE, PING = 0x1, 0x0, 0x2, 0x8, 0x9
CUT = 1006
ENDED = {CloseCode.PROTOCOL_VIOLATED, 1000, 1002, 1007, 1009, CUT}


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    is_last: bool = True,
    reserved: int = 0,
    is_masked: bool = True,
    length: int | None = None,
) -> bytes:
    """RFC 6455 section 5.2. `reserved`: the three bits; `length`: what is announced, if a lie."""
    head = bytes([is_last << 7 | reserved << 4 | opcode])
    told = len(payload) if length is None else length
    mask_bit = 0x80 if is_masked else 0
    if told < 126:
        head += bytes([mask_bit | told])
    elif told < 65536:
        head += struct.pack("!BH", mask_bit | 126, told)
    else:
        head += struct.pack("!BQ", mask_bit | 127, told)
    if not is_masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def command(id_: object, type_: str = "ping", **fields: object) -> bytes:
    return frame(TEXT, json.dumps({"id": id_, "t": type_, **fields}).encode())


@dataclass
class Raw:
    """A connection after its handshake."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def frames(self, count: int) -> list[dict[str, Any]]:
        """The next so many texts."""
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(10):
            while len(found) < count:
                opcode, payload = await self._one()
                if opcode == TEXT:
                    found.append(json.loads(payload))
        return found

    async def code(self) -> int:
        """Why the server ended it; CUT if it did not say."""
        async with asyncio.timeout(10):
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    opcode, payload = await self._one()
                    if opcode == CLOSE:
                        return int.from_bytes(payload[:2], "big")
        return CUT

    async def pong(self) -> bytes:
        async with asyncio.timeout(10):
            while True:
                opcode, payload = await self._one()
                if opcode == PING + 1:
                    return payload

    async def _one(self) -> tuple[int, bytes]:
        first, length = await self.reader.readexactly(2)
        if length == 126:
            length = int.from_bytes(await self.reader.readexactly(2), "big")
        elif length == 127:
            length = int.from_bytes(await self.reader.readexactly(8), "big")
        return first & 0xF, await self.reader.readexactly(length)


def upgrade(*, token: str = "ada", **headers: str) -> bytes:
    lines = [
        f"GET /live/{SHOW} HTTP/1.1",
        "Host: shop.test",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: liveshop.v1, bearer.{token}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def port_of(server: RoomServer) -> int:
    return int(server.url.rpartition(":")[2])


@contextlib.asynccontextmanager
async def raw(
    server: RoomServer, *, at_once: bytes = b"", receives: int = 0, **headers: str
) -> AsyncIterator[Raw]:
    """`at_once`: what goes in one packet with the handshake; `receives`: bytes the kernel keeps."""
    sock = socket.socket()
    if receives:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port_of(server)))
    reader, writer = await asyncio.open_connection(sock=sock)
    writer.write(upgrade(**headers) + at_once)
    try:
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101"), answer
        assert b"permessage-deflate" not in answer
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()


@pytest.fixture
async def server() -> AsyncIterator[RoomServer]:
    async with room_server(settings=RealtimeSettings(buffer_bytes=64 * 1024)) as running:
        running.bouncer.tokens = {"ada": GUEST}
        yield running


@dataclass
class Innocent:
    pad: int = 0
    """Bytes in each of the events that come all the time."""


@pytest.fixture
async def innocent(server: RoomServer) -> AsyncIterator[Innocent]:
    """Watches from before the attack to after it."""
    sent: list[float] = []
    late: list[float] = []
    somebody = Innocent()

    async def talk() -> None:
        while True:
            sent.append(time.monotonic())
            await server.say(len(sent), pad="x" * somebody.pad)
            await asyncio.sleep(0.02)

    async with server.connect() as client:
        await read(client)

        async def watch() -> None:
            for n in range(1, 10**6):
                event = await read(client)
                assert (event["o"], event["d"]["n"]) == (n, n)
                late.append(time.monotonic() - sent[n - 1])

        watching, talking = asyncio.create_task(watch()), asyncio.create_task(talk())
        yield somebody
        await until(lambda: server.hub.connections == 1)
        await asyncio.sleep(0.1)
        talking.cancel()
        await asyncio.wait({talking})
        await asyncio.sleep(0.1)
        assert not watching.done(), watching
        watching.cancel()
        await asyncio.wait({watching})
        assert len(late) == len(sent)
        assert max(late) < IN_TIME_SECONDS


LONG = b'{"id": 1, "t": "ping", "x": "' + b"x" * 100 + b'"}'
MALFORMED = {
    "a reserved bit": frame(TEXT, LONG, reserved=0b001),
    "the bit of compression": frame(TEXT, zlib.compress(LONG), reserved=0b100),
    "an opcode that means nothing": frame(0x3, LONG),
    "a control opcode that means nothing": frame(0xB),
    "a ping too long": frame(PING, b"x" * 126),
    "a ping in pieces": frame(PING, b"x", is_last=False),
    "a continuation of nothing": frame(CONTINUED, LONG),
    "a text within a text": frame(TEXT, LONG[:9], is_last=False) + frame(TEXT, LONG),
    "a length of 2^63": frame(TEXT, LONG, length=2**63),
    "a length past what is taken": frame(TEXT, LONG, length=17_000),
    "bytes that are no text, in pieces": frame(TEXT, b'{"id": 1, "t": "\xc3', is_last=False)
    + frame(CONTINUED, b'("}'),
    "a half surrogate": frame(TEXT, b'{"id": 1, "t": "\xed\xa0\x80"}'),
    "a goodbye of one byte": frame(CLOSE, b"\x03"),
    "a goodbye with a code that is never sent": frame(CLOSE, struct.pack("!H", 1005)),
    "a goodbye with a code below all": frame(CLOSE, struct.pack("!H", 999)),
    "a goodbye that is no text": frame(CLOSE, struct.pack("!H", 1000) + b"\xff\xfe"),
    "deep nesting": frame(TEXT, b"[" * 8000),
    "a number without end": frame(TEXT, b'{"id": 1' + b"0" * 7000 + b', "t": "ping"}'),
}


@pytest.mark.usefixtures("innocent")
async def test_malformed_frames_end_the_connection(server: RoomServer) -> None:
    for kind, sent in MALFORMED.items():
        async with raw(server) as client:
            await client.frames(1)
            client.send(sent)
            assert await client.code() in ENDED, kind
        await until(lambda: server.hub.connections == 1)


@pytest.mark.usefixtures("innocent")
async def test_a_frame_without_a_mask_says_no_more_than_with_one(server: RoomServer) -> None:
    """The mask protects proxies, not servers; aiohttp takes what comes without."""
    async with raw(server) as client:
        await client.frames(1)
        client.send(frame(TEXT, b'{"id": 1, "t": "ping"}', is_masked=False))
        client.send(frame(TEXT, b'{"id": 2, "t": "chat.none"}', is_masked=False))
        answers = [one for one in await client.frames(30) if "id" in one]
        assert ["ok" in one for one in answers] == [True, False]


@pytest.mark.usefixtures("innocent")
async def test_a_command_comes_in_pieces_with_pings_between(server: RoomServer) -> None:
    async with raw(server) as client:
        await client.frames(1)
        said = b'{"id": 1, "t": "ping"}'
        client.send(frame(TEXT, said[:5], is_last=False))
        for place in range(5, len(said)):
            client.send(frame(PING, bytes([place])))
            assert await client.pong() == bytes([place])
            is_last = place == len(said) - 1
            client.send(frame(CONTINUED, said[place : place + 1], is_last=is_last))
        answer = [one for one in await client.frames(30) if one.get("id") == 1]
        assert "ok" in answer[0]


@pytest.mark.usefixtures("innocent")
async def test_pieces_without_end_are_not_kept(server: RoomServer) -> None:
    limit = RealtimeSettings().max_frame_bytes
    async with raw(server) as client:
        await client.frames(1)
        client.send(frame(TEXT, b"x", is_last=False))
        sent = 0
        with contextlib.suppress(ConnectionError):
            while server.hub.connections == 2:
                client.send(frame(CONTINUED, b"x" * 500, is_last=False))
                await client.writer.drain()
                sent += 500
                assert sent < 1000 * limit, "it takes them for ever"
        assert await client.code() in ENDED


@pytest.mark.usefixtures("innocent")
@pytest.mark.parametrize(
    "piece",
    [
        frame(CONTINUED, b"", is_last=False),
        frame(PING, b"x" * 100),
        frame(0xA, b""),
        command(1),
        command(1, x="x" * 7000),
        frame(BINARY, b"x" * 8000),
    ],
    ids=["empty pieces", "pings", "pongs", "commands", "long commands", "binaries"],
)
async def test_a_megabyte_a_second_holds_nobody_up(server: RoomServer, piece: bytes) -> None:
    """As fast as it goes. A message that never ends is no message: whoever sends nothing else is
    silent, and closed for that by the hub."""
    many = piece * (64 * 1024 // len(piece) + 1)
    sent = 0
    async with raw(server) as client:
        client.send(frame(TEXT, b"x", is_last=False) if piece[0] == CONTINUED else b"")
        reading = asyncio.create_task(client.code())
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(1.0 if piece[0] == CONTINUED else 5.0):
                while server.hub.connections == 2 or not sent:
                    client.send(many)
                    sent += len(many)
                    await client.writer.drain()
                    await asyncio.sleep(0.01)
        is_judged = piece[0] != CONTINUED
        assert server.hub.connections == (1 if is_judged else 2)
        assert sent < 4 * 2**20 or not is_judged
        client.writer.transport.abort()
        reading.cancel()
        await asyncio.wait({reading})


async def test_one_address_cannot_take_every_place() -> None:
    """What comes from it beyond its share is sent away at once; others do not notice."""
    share, tries = 60, 240
    settings = RealtimeSettings(connections_per_address=share)
    async with room_server(settings=settings, trusted_proxies=1) as server:
        server.bouncer.tokens = {"ada": GUEST}
        async with contextlib.AsyncExitStack() as stack:
            swarm = [
                await stack.enter_async_context(raw(server, X_Forwarded_For="203.0.113.9"))
                for _ in range(tries)
            ]
            await until(lambda: server.hub.connections == share)
            codes = await asyncio.gather(*(one.code() for one in swarm[share:]))
            assert set(codes) == {CloseCode.CROWDED}
            # What is further left in the header, callers can invent.
            lie = "198.51.100.1, 203.0.113.9"
            async with raw(server, X_Forwarded_For=lie) as one:
                assert await one.code() == CloseCode.CROWDED
            async with server.connect(
                additional_headers={"X-Forwarded-For": "203.0.113.10"}
            ) as other:
                await read(other)
                await server.say(1)
                assert (await read(other))["o"] == 1
        await until(lambda: server.hub.connections == 0)
        async with raw(server, X_Forwarded_For="203.0.113.9") as again:
            assert (await again.frames(1))[0]["t"] == "hello"


async def test_a_crowd_that_never_reads_is_let_go_and_its_memory_freed(
    server: RoomServer, innocent: Innocent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("liveshop.realtime.socket._CLOSE_SECONDS", 0.2)
    everybody = server.runner.server
    assert everybody is not None
    async with contextlib.AsyncExitStack() as stack:
        stuck = [await stack.enter_async_context(raw(server, receives=4096)) for _ in range(30)]
        for client in stuck:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: server.hub.connections == 31)
        innocent.pad = 20_000
        most = 0
        async with asyncio.timeout(30):
            while server.hub.connections > 1:
                await asyncio.sleep(0.01)
                held = [one.transport for one in everybody.connections]
                most = max(most, sum(one.get_write_buffer_size() for one in held if one))
        innocent.pad = 0
        assert most < 31 * (64 * 1024 + 4 * 20_100)
        await until(lambda: len(everybody.connections) == 1)


@pytest.mark.usefixtures("innocent")
async def test_who_speaks_before_hello_is_answered_after_it(server: RoomServer) -> None:
    async with raw(server, at_once=command(1) + frame(PING, b"?") + command(2)) as client:
        frames = [one for one in await client.frames(12) if "o" not in one]
        assert frames[0]["t"] == "hello"
        assert [one["id"] for one in frames[1:]] == [1, 2]


@pytest.mark.usefixtures("innocent")
async def test_ids_out_of_order_never_settle_another_command(server: RoomServer) -> None:
    ids = [7, 3, 7, -1, 2**53, 10**30, 1.5, True, None, "8", [9], {}, 8]
    async with raw(server) as client:
        await client.frames(1)
        for id_ in ids:
            client.send(command(id_))
        client.send(frame(TEXT, b'{"t": "ping"}'))
        answers: list[dict[str, Any]] = []
        while len(answers) < len(ids) + 1:
            answers += [one for one in await client.frames(1) if "o" not in one]
    assert [one["id"] for one in answers if "ok" in one] == [7, 8]
    refused = [one for one in answers if "error" in one]
    assert {one["id"] for one in refused} == {None}
    assert [one["error"]["code"] for one in refused[:3]] == ["duplicate_id"] * 2 + ["bad_command"]


@pytest.mark.usefixtures("innocent")
async def test_what_a_client_says_the_time_is_counts_for_nothing(server: RoomServer) -> None:
    async with server.connect("ada") as client:
        await read(client)
        told = await ask(client, 1, "ping", at="1999-01-01T00:00:00Z")
        assert told.get("error", {}).get("code") == "bad_command" or told["ok"]["at"] > "2020"


async def test_a_clock_that_jumps_back_changes_no_order() -> None:
    clock = ManualClock(datetime(2026, 11, 21, 19, 0, tzinfo=UTC))
    async with room_server(clock=clock) as server, server.connect() as client:
        hello = await read(client)
        await server.say(1)
        clock.advance(timedelta(hours=-2))
        await server.say(2)
        first, second = await read(client), await read(client)
        assert (first["o"], second["o"]) == (1, 2)
        assert second["at"] < hello["at"]
        assert (await ask(client, 1, "ping"))["ok"]["at"] < hello["at"]
        async with server.connect(epoch=hello["epoch"], offset=1) as back:
            await read(back)
            assert (await read(back))["o"] == 2


HALVES = {
    "nothing": b"",
    "half a line": b"GET /live/",
    "half a head": upgrade()[:-2],
    "a head that grows": b"GET /live/x HTTP/1.1\r\nHost: x\r\n",
}


async def test_handshakes_that_are_never_finished_are_cut_off(
    server: RoomServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the listener that `liveshop serve` uses. Who is inside stays."""
    monkeypatch.setattr(serving, "_IDLE_SECONDS", 0.4)
    app = web.Application()
    app.router.add_get("/live/{show_id}", server.socket.handle)
    async with serving.listening(app, "127.0.0.1", 0) as port:
        server.url = f"ws://127.0.0.1:{port}"
        async with server.connect() as inside:
            await read(inside)
            slow = [await asyncio.open_connection("127.0.0.1", port) for _ in HALVES]
            begun = time.monotonic()
            for (_, writer), half in zip(slow, HALVES.values(), strict=True):
                writer.write(half)
            growing = slow[-1][1]
            while time.monotonic() < begun + 0.7:
                growing.write(b"X-More: and more\r\n")
                await asyncio.sleep(0.05)
            for reader, writer in slow:
                async with asyncio.timeout(2):
                    with contextlib.suppress(ConnectionError):
                        await reader.read()
                writer.transport.abort()
            await server.say(1)
            assert (await read(inside))["o"] == 1
