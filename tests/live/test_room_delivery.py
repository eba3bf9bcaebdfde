"""Events to real clients over real sockets: in order, without gap or repeat, or told to reload."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from room_builders import (
    OTHER_SHOW,
    PATIENCE,
    SHOW,
    RoomServer,
    close_code,
    read,
    read_until,
    room_server,
    until,
)
from websockets.exceptions import ConnectionClosed

from liveshop.realtime import CloseCode, frames
from liveshop.settings import RealtimeSettings


@pytest.fixture
async def server() -> AsyncIterator[RoomServer]:
    async with room_server() as running:
        yield running


async def offsets(client: Any, count: int) -> list[int]:
    return [(await read_until(client, "note"))["o"] for _ in range(count)]


async def test_all_viewers_see_the_same_events_in_order(server: RoomServer) -> None:
    async with server.connect() as one, server.connect() as two:
        await read(one)
        await read(two)
        await server.say(*range(1, 201))
        assert await offsets(one, 200) == await offsets(two, 200) == list(range(1, 201))


async def test_an_event_is_encoded_once_for_a_hundred_viewers(
    server: RoomServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [server.connect() for _ in range(100)]
    opened = [await client.__aenter__() for client in clients]
    for client in opened:
        await read(client)
    framed: list[bytes] = []
    text_frame = frames.text_frame
    monkeypatch.setattr(
        frames, "text_frame", lambda payload: (framed.append(payload), text_frame(payload))[1]
    )
    await server.say(1)
    received = [await read(client) for client in opened]
    assert len(framed) == 1
    assert received == [received[0]] * 100
    for client in clients:
        await client.__aexit__(None, None, None)


@pytest.mark.parametrize("length", [0, 40, 60, 200, 65_400, 65_536, 200_000])
async def test_frames_of_every_length_arrive(server: RoomServer, length: int) -> None:
    async with server.connect() as client:
        await read(client)
        await server.say(1, pad="é" * (length // 2))
        assert (await read(client))["d"]["pad"] == "é" * (length // 2)


async def test_resuming_again_and_again_during_a_storm_misses_and_repeats_nothing(
    server: RoomServer,
) -> None:
    total = 1500
    seen: list[int] = []
    epoch, offset = None, 0

    async def storm() -> None:
        for n in range(1, total + 1):
            await server.say(n, pad="x" * 200)
            await asyncio.sleep(0)

    async def watch() -> None:
        nonlocal epoch, offset
        stay = 1
        while offset < total:
            stay = stay * 7 % 61 + 1
            async with server.connect(epoch=epoch, offset=offset) as client:
                hello = await read(client)
                if epoch is None:
                    epoch, offset = hello["epoch"], hello["offset"]
                assert (hello["epoch"], hello["offset"]) == (epoch, offset)
                for _ in range(min(stay, total - offset)):
                    event = await read(client)
                    offset = event["o"]
                    seen.append(offset)

    started = asyncio.Event()

    async def steady() -> list[int]:
        async with server.connect() as client:
            await read(client)
            started.set()
            return await offsets(client, total)

    async with asyncio.timeout(60):
        steady_one = asyncio.create_task(steady())
        await started.wait()
        raging = asyncio.create_task(storm())
        await watch()
        await raging
        assert await steady_one == list(range(1, total + 1))
    assert seen == list(range(seen[0], total + 1))


async def test_a_long_backlog_arrives_whole_although_it_exceeds_the_buffer() -> None:
    settings = RealtimeSettings(buffer_bytes=16 * 1024)
    async with room_server(settings=settings) as server:
        start = await server.hub.position(SHOW)
        await server.say(*range(1, 1001), pad="x" * 2000)
        async with server.connect(epoch=start.epoch, offset=0) as client:
            await read(client)
            assert await offsets(client, 1000) == list(range(1, 1001))


async def test_a_slow_reader_is_closed_and_resumes_while_others_are_unaffected() -> None:
    settings = RealtimeSettings(buffer_bytes=32 * 1024)
    async with room_server(settings=settings) as server:
        small = socket.socket()
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        small.setblocking(False)
        port = int(server.url.rpartition(":")[2])
        await asyncio.get_running_loop().sock_connect(small, ("127.0.0.1", port))
        async with (
            server.connect() as quick,
            server.connect(sock=small, max_queue=1, ping_interval=None) as slow,
        ):
            hello = await read(slow)
            await read(quick)
            sent = 0
            async with asyncio.timeout(PATIENCE):
                while server.hub.connections == 2:
                    sent += 1
                    await server.say(sent, pad="x" * 8000)
                    assert (await read(quick))["o"] == sent
            await server.say(*range(sent + 1, sent + 6))
            assert await offsets(quick, 5) == list(range(sent + 1, sent + 6))
            sent += 5
            seen = []
            with contextlib.suppress(ConnectionClosed):
                while True:
                    seen.append((await read(slow))["o"])
            assert slow.close_code == CloseCode.TOO_SLOW
            assert seen == list(range(1, len(seen) + 1))
            assert len(seen) < sent
            async with server.connect(epoch=hello["epoch"], offset=len(seen)) as back:
                await read(back)
                missed = await offsets(back, sent - len(seen))
            assert seen + missed == list(range(1, sent + 1))
            await server.say(sent + 1)
            assert (await read_until(quick, "note"))["o"] == sent + 1


async def test_a_reader_that_never_reads_again_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("liveshop.realtime.socket._CLOSE_SECONDS", 0.05)
    settings = RealtimeSettings(buffer_bytes=32 * 1024)
    async with (
        room_server(settings=settings) as server,
        server.connect(max_queue=1, ping_interval=None) as stuck,
    ):
        await read(stuck)
        async with asyncio.timeout(PATIENCE):
            while server.hub.connections:
                await server.say(1, pad="x" * 50_000)
                await asyncio.sleep(0)
        await until(lambda: not server.runner.server.connections)
        stuck.transport.abort()


async def test_rooms_are_apart(server: RoomServer) -> None:
    async with server.connect() as here, server.connect(show=OTHER_SHOW) as there:
        await read(here)
        await read(there)
        await server.say(1, room=SHOW)
        await server.say(2, room=OTHER_SHOW)
        assert (await read(here))["d"]["n"] == 1
        assert (await read(there))["d"]["n"] == 2


async def test_a_lost_log_closes_and_the_old_place_fails(server: RoomServer) -> None:
    async with server.connect() as client:
        hello = await read(client)
        await server.broker.renew(SHOW)
        assert await close_code(client) == CloseCode.LOG_LOST
    async with server.connect(epoch=hello["epoch"], offset=hello["offset"]) as client:
        assert (await read(client))["epoch"] != hello["epoch"]
        assert await read(client) == {"t": "resume_failed"}
