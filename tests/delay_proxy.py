"""A far and narrow network on loopback: TCP through a delay, jitter and a rate, in user space.

A process of its own: `python tests/delay_proxy.py 8080` writes `{"port": ...}` and passes what
comes there on to 8080 until its standard input ends; or `delaying(...)` and `line(...)` from a
test. Bytes keep their order, so a late piece holds up those behind it, as TCP does after a loss.
All connections share the rate of each direction.

Lines on its standard input change the network while it is used: `up kbit 300`, `up kbit 0` for no
limit, `up stop` and `up go`, `up loss 0.02`, the same with `down`; `cut` resets every connection,
as a phone does that changes from one network to another.

No packet is lost: what a loss does to TCP is done to the bytes. Each segment that would be lost
holds up all that follows for a round trip (a fast retransmit), each tenth of them for 200 ms (a
timeout); and the rate stays under that of Mathis et al. for Reno, MSS / RTT x 1.22 / sqrt(loss).
"""

import argparse
import asyncio
import json
import math
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from socket import SO_RCVBUF, SOL_SOCKET, socket
from typing import IO, Final

_PIECE: Final = 16 * 1024
_ON_THE_WAY: Final = 512 * 1024
"""Of one connection and direction; a sender waits beyond that, as for a full window."""
_SEGMENT: Final = 1448
_STEP_SECONDS: Final = 0.05
"""How long a changed rate may wait to be noticed."""
_TIMEOUT_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Network:
    round_trip_ms: float = 80.0
    jitter_ms: float = 30.0
    """Each piece takes up to so much longer, in each direction."""
    kbit: float = 8000.0
    """Each way, for all connections together; 0: no limit."""
    loss: float = 0.0
    """Of 1."""

    @property
    def one_way(self) -> float:
        return self.round_trip_ms / 2000

    @property
    def bytes_per_second(self) -> float:
        limit = self.kbit * 125 if self.kbit else math.inf
        if self.loss:
            round_trip = max(self.round_trip_ms, 1) / 1000
            limit = min(limit, _SEGMENT / round_trip * 1.22 / math.sqrt(self.loss))
        return limit


@dataclass(slots=True)
class _Direction:
    """What all connections share: the line is busy until then."""

    network: Network
    is_stopped: bool = False
    busy_until: float = 0.0
    dice: random.Random = field(default_factory=lambda: random.Random(80))
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def carried(self, size: int) -> float:
        """Waits until so much has left; when it will arrive."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            left: float = size
            while True:
                now = loop.time()
                # A little behind is made up for: sleeping is never exact.
                begins = max(self.busy_until, now - _STEP_SECONDS / 5)
                if self.is_stopped:
                    self.busy_until = now
                    await asyncio.sleep(_STEP_SECONDS)
                    continue
                step = min(left, self.network.bytes_per_second * _STEP_SECONDS)
                left -= step
                self.busy_until = begins + step / self.network.bytes_per_second
                if self.busy_until > now:
                    await asyncio.sleep(self.busy_until - now)
                if left <= 0:
                    break
            self._lose(size)
            late = self.dice.uniform(0, self.network.jitter_ms) / 1000
            return loop.time() + self.network.one_way + late

    def _lose(self, size: int) -> None:
        for _ in range(math.ceil(size / _SEGMENT) if self.network.loss else 0):
            if self.dice.random() >= self.network.loss:
                continue
            is_last = self.dice.random() < 0.1
            held = _TIMEOUT_SECONDS if is_last else self.network.round_trip_ms / 1000
            self.busy_until += held


class DelayProxy:
    def __init__(self, port: int, network: Network) -> None:
        self._to = port
        self._up, self._down = _Direction(network), _Direction(network)
        self._open: set[asyncio.StreamWriter] = set()

    def change(self, words: list[str]) -> None:
        """`up kbit 300`, as at the top of this file."""
        match words:
            case ["cut"]:
                for writer in self._open:
                    writer.transport.abort()
            case ["up" | "down" as way, *what]:
                direction = self._up if way == "up" else self._down
                match what:
                    case ["kbit", value]:
                        direction.network = replace(direction.network, kbit=float(value))
                    case ["loss", value]:
                        direction.network = replace(direction.network, loss=float(value))
                    case ["stop" | "go" as verb]:
                        direction.is_stopped = verb == "stop"

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A real connection takes a round trip before its first byte can leave.
        await asyncio.sleep(self._up.network.one_way * 2)
        while self._up.is_stopped or self._down.is_stopped:
            await asyncio.sleep(_STEP_SECONDS)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, far_writer}
        self._open |= both
        try:
            await asyncio.gather(
                self._carry(reader, far_writer, self._up),
                self._carry(far_reader, writer, self._down),
            )
        finally:
            self._open -= both

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
                # After a cut the rest is thrown away.
                with suppress(ConnectionError):
                    writer.write(data)
                    await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

        arriving = asyncio.create_task(arrive())
        with suppress(ConnectionError):
            while data := await reader.read(_PIECE):
                await under_way.put((await direction.carried(len(data)), data))
        await under_way.put((loop.time() + direction.network.one_way, b""))
        with suppress(ConnectionError, OSError):
            await arriving
        if direction is self._down:
            writer.close()


async def _serve(port: int, network: Network, receive_buffer: int) -> None:
    loop = asyncio.get_running_loop()
    proxy = DelayProxy(port, network)
    listening = socket()
    if receive_buffer:
        listening.setsockopt(SOL_SOCKET, SO_RCVBUF, receive_buffer)
    listening.bind(("127.0.0.1", 0))
    server = await asyncio.start_server(proxy.connected, sock=listening, limit=_PIECE)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    async with server:
        while asked := await loop.run_in_executor(None, sys.stdin.readline):
            proxy.change(asked.split())


def main() -> None:
    parser = argparse.ArgumentParser(description="A far and narrow network on loopback.")
    parser.add_argument("to", type=int, help="the port that is far away")
    for name in ("round_trip_ms", "jitter_ms", "kbit", "loss"):
        default = getattr(Network(), name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=default)
    parser.add_argument("--receive-buffer", type=int, default=0)
    given = vars(parser.parse_args())
    with suppress(KeyboardInterrupt):
        asyncio.run(
            _serve(
                given.pop("to"),
                receive_buffer=given.pop("receive_buffer"),
                network=Network(**given),
            )
        )


@dataclass(frozen=True, slots=True)
class Line:
    """A network that can be changed while it is used."""

    port: int
    _asked: IO[str]

    def change(self, words: str) -> None:
        """`up kbit 300`, `up stop`, `cut` and the like, as at the top of this file."""
        self._asked.write(f"{words}\n")
        self._asked.flush()


@contextmanager
def line(port: int, network: Network | None = None, *, receive_buffer: int = 0) -> Iterator[Line]:
    """`receive_buffer`: the system keeps no more bytes than that before the line, about; a phone's
    modem has less room than loopback."""
    network = network or Network()
    process = subprocess.Popen(
        [
            *(sys.executable, str(Path(__file__).resolve()), str(port)),
            *("--round-trip-ms", str(network.round_trip_ms)),
            *("--jitter-ms", str(network.jitter_ms)),
            *("--kbit", str(network.kbit)),
            *("--loss", str(network.loss)),
            *("--receive-buffer", str(receive_buffer)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Line(int(json.loads(process.stdout.readline())["port"]), process.stdin)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def delaying(port: int, network: Network | None = None) -> Iterator[int]:
    """Yields a port of 127.0.0.1 from which `port` looks far away."""
    with line(port, network) as opened:
        yield opened.port


if __name__ == "__main__":
    main()
