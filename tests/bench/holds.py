"""How many holds a second, and what one costs the server, over HTTP and durable SQLite.

The server is a process of its own, so its CPU is counted alone; the client sends bytes it has made
beforehand over connections that stay open. Beside each figure stands a yardstick of the same run:
empty requests to the same server.
"""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import builders
import pipe
from pipe import request_bytes

from liveshop.app import opened
from liveshop.kernel.ids import VariantId

_BUYERS = 1500
_CONNECTIONS = 64
_SPREAD = 200
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Run:
    per_second: float
    cpu_ms: float


async def measure() -> dict[str, Run]:
    """Runs by name: `empty`, `hot` (one variant for all), `spread` (many variants)."""
    with tempfile.TemporaryDirectory() as folder:
        settings = builders.test_settings(Path(folder) / "data")
        (Path(folder) / "data").mkdir()
        async with opened(settings) as shop:
            hot = VariantId((await builders.product(shop, stock=10**6)).variants[0].id)
            sizes = [f"size {number}" for number in range(_SPREAD)]
            many = await builders.product(shop, title="Ring", sizes=sizes, stock=10**5)
            tokens = [shop.customers.new_guest().token for _ in range(_BUYERS)]
        with _server(settings.data_path) as (pid, port):
            await _until_ready(port)
            empty = [request_bytes("GET", "/healthz")] * _BUYERS
            adds = [_add(token, hot) for token in tokens]
            spread = [
                _add(token, many.variants[number % _SPREAD].id)
                for number, token in enumerate(tokens)
            ]
            await _run(port, pid, empty[:200])
            return {
                "empty": await _run(port, pid, empty),
                "hot": await _run(port, pid, adds),
                "spread": await _run(port, pid, spread),
            }


def _add(token: str, variant_id: str) -> bytes:
    return request_bytes("POST", "/api/cart/lines", token, {"variant_id": variant_id})


@contextmanager
def _server(folder: Path) -> Iterator[tuple[int, int]]:
    """`liveshop serve` on a free port, with nothing on its way; its pid and port."""
    port = _free_port()
    environ = {name: value for name, value in os.environ.items() if "LIVESHOP" not in name} | {
        "LIVESHOP_DATA_DIR": str(folder),
        "LIVESHOP_SERVER__PORT": str(port),
        "LIVESHOP_SERVER__SECRET": builders.SECRET,
        "LIVESHOP_CHECKOUT__ADDS_PER_MINUTE": "10000000",
        "LIVESHOP_LOG_LEVEL": "warning",
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "liveshop", "serve"],
        env=environ,
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield server.pid, port
    finally:
        server.terminate()
        server.wait(20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _until_ready(port: int) -> None:
    async with asyncio.timeout(30), aiohttp.ClientSession() as client:
        while True:
            try:
                async with client.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.1)


async def _run(port: int, pid: int, requests: Sequence[bytes]) -> Run:
    """Send them all over a few connections, each as soon as it has its answer."""
    left = iter(requests)
    before, started = _cpu_seconds(pid), time.perf_counter()
    async with asyncio.timeout(120):
        await asyncio.gather(*(_connection(port, left) for _ in range(_CONNECTIONS)))
    seconds = time.perf_counter() - started
    return Run(len(requests) / seconds, (_cpu_seconds(pid) - before) / len(requests) * 1000)


async def _connection(port: int, requests: Iterator[bytes]) -> None:
    async with pipe.opened(port) as connection:
        for request in requests:
            status, body = await connection.send(request)
            assert status == 200, body


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


async def holds(figure: Callable[[str, float, str, str], None]) -> None:
    runs = await measure()
    empty, hot, spread = runs["empty"], runs["hot"], runs["spread"]
    where = f"over HTTP, {_CONNECTIONS} connections, SQLite with synchronous=FULL"
    figure("hold_hot_per_s", hot.per_second, "holds/s", f"one variant, {where}")
    figure("hold_spread_per_s", spread.per_second, "holds/s", f"{_SPREAD} variants, {where}")
    figure("hold_cpu_ms", hot.cpu_ms, "ms", "server CPU for each hold, one variant; limit 1.5")
    figure("hold_spread_cpu_ms", spread.cpu_ms, "ms", "the same, many variants")
    figure("hold_ratio", hot.cpu_ms / empty.cpu_ms, "times", "CPU of an empty request = 1")
