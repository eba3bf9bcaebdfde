"""The far network that figures are taken through is as far and as narrow as it says."""

import asyncio
import time
from contextlib import suppress

import delay_proxy


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def test_bytes_come_back_in_order_late_and_slowly() -> None:
    network = delay_proxy.Network(round_trip_ms=80, jitter_ms=10, kbit=8000)
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sent = bytes(n * 7 % 251 for n in range(200_000))
    async with server, asyncio.timeout(20):
        with delay_proxy.delaying(port, network) as far:
            reader, writer = await asyncio.open_connection("127.0.0.1", far)
            writer.write(b"hello")
            await reader.readexactly(5)
            started = time.perf_counter()
            writer.write(b"hello")
            await reader.readexactly(5)
            assert time.perf_counter() - started >= 0.08
            started = time.perf_counter()
            writer.write(sent)
            assert await reader.readexactly(len(sent)) == sent
            assert time.perf_counter() - started >= 0.08 + 200_000 * 8 / 8_000_000
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()


async def test_a_line_is_narrowed_stopped_and_cut_while_it_is_used() -> None:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    network = delay_proxy.Network(round_trip_ms=2, jitter_ms=0, kbit=0)
    async with server, asyncio.timeout(20):
        with delay_proxy.line(port, network) as line:
            reader, writer = await asyncio.open_connection("127.0.0.1", line.port)

            async def echoed(size: int) -> float:
                started = time.perf_counter()
                writer.write(bytes(size))
                await reader.readexactly(size)
                return time.perf_counter() - started

            assert await echoed(100_000) < 0.25
            line.change("up kbit 800")
            await asyncio.sleep(0.1)  # the other process reads it
            assert 0.4 < await echoed(50_000) < 1
            line.change("up stop")
            await asyncio.sleep(0.1)
            waiting = asyncio.create_task(echoed(1000))
            assert not (await asyncio.wait([waiting], timeout=0.4))[0]
            line.change("up kbit 0")
            line.change("up go")
            await waiting
            line.change("cut")
            assert await _ends(reader)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
            assert await echoed(1000) < 0.25
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()


async def _ends(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True
