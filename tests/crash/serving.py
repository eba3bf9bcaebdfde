"""`liveshop serve` as an operator runs it, in a process of its own, for a test to kill.

Python takes two seconds to import it all, which is most of what a hundred restarts would cost. So
one process imports it once and does nothing but fork: what is killed is a child of it.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import builders
from websockets.exceptions import WebSocketException

GONE = (OSError, WebSocketException, aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError)
"""How a client notices that the server is not there any more."""
_FORKS = """
import contextlib, os, sys
from liveshop.cli import main
with contextlib.suppress(ImportError):
    import liveshop.payments.providers.stripe
for line in sys.stdin:
    if line == "serve\\n":
        child = os.fork()
        if child == 0:
            os.dup2(2, 1)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            main(["serve", "--port", sys.argv[1]])
        print(child, flush=True)
    else:
        print(os.waitpid(child, 0)[0], flush=True)
"""


class Server:
    """On a database that outlives it, always at the same address."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        """`settings`: what is set beside what every test sets, as environment variables."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        self.up = asyncio.Event()
        self.kills = 0
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith("LIVESHOP_")
        } | {
            "LIVESHOP_MODE": "test",
            "LIVESHOP_DATA_DIR": str(folder),
            "LIVESHOP_LOG_LEVEL": "error",
            "LIVESHOP_VIDEO__RTMP_PORT": "0",
            "LIVESHOP_SERVER__SECRET": builders.SECRET,
            **settings,
        }
        self._parent: asyncio.subprocess.Process | None = None
        self._child: int | None = None

    async def start(self) -> None:
        """Returns once it is ready."""
        self._child = await self._told("serve")
        try:
            async with asyncio.timeout(60), aiohttp.ClientSession() as client:
                while not await self._is_ready(client):
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"it did not start: {self.log.read_text()}") from None
        self.up.set()

    async def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is flushed."""
        if self._child is None:
            return
        self.up.clear()
        os.kill(self._child, signal.SIGKILL)
        assert await self._told("wait") == self._child
        self._child = None
        self.kills += 1

    async def end(self) -> None:
        await self.kill()
        if self._parent is not None:
            self._parent.kill()
            await self._parent.wait()

    async def _told(self, what: str) -> int:
        """The process, once it is started or has ended."""
        if self._parent is None:
            with self.log.open("ab") as log:
                self._parent = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-c",
                    _FORKS,
                    str(self.port),
                    env=self._environment,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                )
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(f"{what}\n".encode())
        async with asyncio.timeout(60):
            line = await self._parent.stdout.readline()
        assert line, self.log.read_text()
        return int(line)

    async def _is_ready(self, client: aiohttp.ClientSession) -> bool:
        try:
            async with client.get(f"http://{self.address}/readyz") as answer:
                return answer.status == 200
        except GONE:
            return False
