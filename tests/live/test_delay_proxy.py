"""The far network that figures are taken through is as far and as narrow as it says."""

import asyncio
import time

import delay_proxy


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
