"""A far and narrow network on loopback: TCP through a delay, jitter and a rate, in user space.

A process of its own: `python tests/delay_proxy.py 8080` writes `{"port": ...}` and passes what
comes there on to 8080 until its standard input ends; or `delaying(...)` from a test. Bytes keep
their order, so a late piece holds up those behind it, as TCP does after a loss. All connections
share the rate of each direction. No packet is lost.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_PIECE: Final = 16 * 1024
_ON_THE_WAY: Final = 512 * 1024
"""Of one connection and direction; a sender waits beyond that, as for a full window."""


@dataclass(frozen=True, slots=True)
class Network:
    round_trip_ms: float = 80.0
    jitter_ms: float = 30.0
    """Each piece takes up to so much longer, in each direction."""
    kbit: float = 8000.0
    """Each way, for all connections together; 0: no limit."""

    @property
    def one_way(self) -> float:
        return self.round_trip_ms / 2000


@dataclass(slots=True)
class _Direction:
    """What all connections share: the line is busy until then."""

    network: Network
    busy_until: float = 0.0
    dice: random.Random = field(default_factory=lambda: random.Random(80))

    def arrival(self, now: float, size: int) -> float:
        left = max(self.busy_until, now)
        if self.network.kbit:
            left += size * 8 / self.network.kbit / 1000
            self.busy_until = left
        return left + self.network.one_way + self.dice.uniform(0, self.network.jitter_ms) / 1000


class DelayProxy:
    def __init__(self, port: int, network: Network) -> None:
        self._to = port
        self._network = network
        self._up, self._down = _Direction(network), _Direction(network)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A real connection takes a round trip before its first byte can leave.
        await asyncio.sleep(self._network.one_way * 2)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(
            self._carry(reader, far_writer, self._up), self._carry(far_reader, writer, self._down)
        )

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        direction: _Direction,
    ) -> None:
        loop = asyncio.get_running_loop()
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_ON_THE_WAY // _PIECE)

        async def arrive() -> None:
            while True:
                at, data = await under_way.get()
                await asyncio.sleep(at - loop.time())
                if not data:
                    break
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

        arriving = asyncio.create_task(arrive())
        with suppress(ConnectionError):
            while data := await reader.read(_PIECE):
                await under_way.put((direction.arrival(loop.time(), len(data)), data))
        await under_way.put((loop.time() + self._network.one_way, b""))
        with suppress(ConnectionError, OSError):
            await arriving
        if direction is self._down:
            writer.close()


async def _serve(port: int, network: Network) -> None:
    loop = asyncio.get_running_loop()
    proxy = DelayProxy(port, network)
    server = await asyncio.start_server(proxy.connected, "127.0.0.1", 0, limit=_PIECE)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    async with server:
        await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    parser = argparse.ArgumentParser(description="A far and narrow network on loopback.")
    parser.add_argument("to", type=int, help="the port that is far away")
    for name in ("round_trip_ms", "jitter_ms", "kbit"):
        default = getattr(Network(), name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=default)
    given = vars(parser.parse_args())
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(given.pop("to"), Network(**given)))


@contextmanager
def delaying(port: int, network: Network | None = None) -> Iterator[int]:
    """Yields a port of 127.0.0.1 from which `port` looks far away."""
    network = network or Network()
    process = subprocess.Popen(
        [
            *(sys.executable, str(Path(__file__).resolve()), str(port)),
            *("--round-trip-ms", str(network.round_trip_ms)),
            *("--jitter-ms", str(network.jitter_ms)),
            *("--kbit", str(network.kbit)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield int(json.loads(process.stdout.readline())["port"])
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    main()
