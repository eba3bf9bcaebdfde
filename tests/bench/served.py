"""A server in a process of its own, and clients that cost little: what figures over HTTP need."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import builders
import pipe
from pipe import Pipe

CONNECTIONS = 64
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Run:
    per_second: float
    cpu_ms: float
    """Of the server, for each."""


@contextmanager
def server(
    folder: Path, environ: Mapping[str, str], *, cores: Collection[int] = ()
) -> Iterator[tuple[int, int]]:
    """`liveshop serve` on a free port, with nothing on its way; its pid and port."""
    port = free_port()
    clean = {name: value for name, value in os.environ.items() if "LIVESHOP" not in name}
    process = subprocess.Popen(
        [sys.executable, "-m", "liveshop", "serve"],
        env=clean
        | {
            "LIVESHOP_DATA_DIR": str(folder),
            "LIVESHOP_SERVER__PORT": str(port),
            "LIVESHOP_SERVER__SECRET": builders.SECRET,
            "LIVESHOP_CHECKOUT__ADDS_PER_MINUTE": "10000000",
            "LIVESHOP_CHECKOUT__ORDERS_PER_MINUTE": "10000000",
            "LIVESHOP_LOG_LEVEL": "warning",
            "LIVESHOP_VIDEO__RTMP_PORT": "0",
        }
        | dict(environ),
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    try:
        if cores:
            os.sched_setaffinity(process.pid, cores)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def until_ready(port: int) -> None:
    async with asyncio.timeout(30), aiohttp.ClientSession() as client:
        while True:
            try:
                async with client.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.1)


async def until_open(port: int) -> None:
    """Until somebody listens."""
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                await asyncio.sleep(0.1)
                continue
            writer.close()
            return


async def sample(port: int, name: str) -> float:
    """A figure without labels of the server's /metrics."""
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        lines = (await answer.text()).splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


async def run(port: int, pid: int, acts: Collection[Callable[[Pipe], Awaitable[None]]]) -> Run:
    """Do them all over a few connections, each as soon as one is free."""
    left = iter(acts)

    async def connection() -> None:
        async with pipe.opened(port) as opened:
            for act in left:
                await act(opened)

    before, started = _cpu_seconds(pid), time.perf_counter()
    async with asyncio.timeout(300):
        await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    seconds = time.perf_counter() - started
    return Run(len(acts) / seconds, (_cpu_seconds(pid) - before) / len(acts) * 1000)


def sending(request: bytes, *, status: int = 200) -> Callable[[Pipe], Awaitable[None]]:
    """One request that must be answered with this status."""

    async def send(opened: Pipe) -> None:
        found, body = await opened.send(request)
        assert found == status, body

    return send


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK
