"""Viewers in C, and the servers they are put before: what the fan-out is measured with.

The programs stand beside this checkout, in `../shared/bench/fanout` (BENCH_FANOUT names another
folder): `viewers.c` opens sockets, counts the frames that carry `t=<ns>` and takes their latency.
"""

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import npm_packages

_HERE = Path(__file__).resolve().parent
_TICK = os.sysconf("SC_CLK_TCK")
_CONNECT_SECONDS = 300.0
_GRACE_SECONDS = 60.0
NCHAN_MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
_ADAPTED = (
    # Our frames begin with "t":"chat.message" and have the text after about 200 bytes.
    (r'"\"t\":",4', '"t=",2'),
    ("c->take<200", "c->take<250"),
    ("200-c->take", "250-c->take"),
    # The slowest of all in place of the slowest of a thousand.
    ("lats*0.999", "lats*1.0"),
    # IP_BIND_ADDRESS_NO_PORT: the port is chosen with the server known. Chosen before, every run of
    # the last minute is in the way, and the viewers search for most of their time.
    (
        "bind(fd,(void*)&l,sizeof l);",
        "int late=1;setsockopt(fd,IPPROTO_IP,24,&late,sizeof late);bind(fd,(void*)&l,sizeof l);",
    ),
)
"""Changes to viewers.c, for every server alike."""


class ProgramMissing(Exception):
    """The text says what is missing and how to get it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a crowd was given. `connect_s`: how long it took to come in."""

    sent: int
    frames: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    connect_s: float


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    command: Sequence[str]
    environ: dict[str, str]


class Crowd:
    """A running `viewers.c`. It measures from `START`, its first line, on."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def started(self) -> None:
        """Returns when everybody is in and the measurement begins."""
        async with asyncio.timeout(_CONNECT_SECONDS):
            line = await self._line()
        if line != "START":
            raise RuntimeError(f"the viewers did not all come in: {await self._errors()}")

    async def seen(self) -> Seen:
        """Returns when the measurement is over."""
        line = await self._line()
        await self._process.wait()
        found = dict(re.findall(r"(\w+)=([\d.]+)", line))
        if "msgs" not in found:
            raise RuntimeError(f"the viewers broke off: {line} {await self._errors()}")
        return Seen(
            sent=int(found["sent"]),
            frames=int(found["msgs"]),
            p50_ms=int(found["p50"]) / 1000,
            p99_ms=int(found["p99"]) / 1000,
            worst_ms=int(found["p999"]) / 1000,
            connect_s=float(found["connect_s"]),
        )

    async def _line(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()

    async def _errors(self) -> str:
        assert self._process.stderr is not None
        return (await self._process.stderr.read()).decode(errors="replace").strip()


def programs() -> Path:
    """The folder with the counterparts. Raises ProgramMissing."""
    beside = _HERE.parents[2] / "shared" / "bench" / "fanout"
    folder = Path(os.environ.get("BENCH_FANOUT") or beside)
    for name in ("viewers.c", "nchan.conf", "peer-ws.js"):
        if not (folder / name).is_file():
            raise ProgramMissing(
                f"{name} is not in {folder}. The fan-out is measured with the programs of"
                " shared/bench/fanout beside the checkout; BENCH_FANOUT names another folder."
            )
    return folder


def compiled(folder: Path) -> Path:
    """`viewers.c`, made in a folder. Raises ProgramMissing."""
    source = (programs() / "viewers.c").read_text()
    for before, after in _ADAPTED:
        if before not in source:
            raise ProgramMissing(f"viewers.c is another one than expected: no {before} in it.")
        source = source.replace(before, after)
    made = folder / "viewers"
    command = ["gcc", "-O2", "-w", "-x", "c", "-o", str(made), "-"]
    try:
        subprocess.run(command, input=source.encode(), check=True)
    except FileNotFoundError as error:
        raise ProgramMissing("gcc is missing; the viewers are a program in C.") from error
    return made


@asynccontextmanager
async def crowd(
    viewers: Path,
    port: int,
    path: str,
    count: int,
    seconds: float,
    *,
    subprotocol: str = "-",
    rate: float = 0,
    message: str = "-",
) -> AsyncIterator[Crowd]:
    """So many viewers; with a `rate`, one of them also publishes `message` (`@T`: the time)."""
    process = await asyncio.create_subprocess_exec(
        str(viewers),
        *(str(port), path, str(count), str(seconds), subprotocol, "-", str(rate), message),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Crowd(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@contextmanager
def serving(peer: Peer, *, cores: Collection[int]) -> Iterator[int]:
    """Yields its pid."""
    process = subprocess.Popen(peer.command, env={**os.environ, **peer.environ})
    try:
        os.sched_setaffinity(process.pid, cores)
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def nchan(port: int) -> Iterator[Peer]:
    """nginx with nchan. Raises ProgramMissing."""
    if shutil.which("nginx") is None or not NCHAN_MODULE.is_file():
        raise ProgramMissing("nginx with nchan is missing: apt-get install libnginx-mod-nchan")
    conf = (programs() / "nchan.conf").read_text().replace("127.0.0.1:9010", f"127.0.0.1:{port}")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "nchan.conf").write_text(conf)
        yield Peer("nchan", ["nginx", "-p", folder, "-c", "nchan.conf"], {})


@contextmanager
def node_ws(port: int) -> Iterator[Peer]:
    """Node's `ws`. Raises ProgramMissing."""
    try:
        packages = npm_packages.installed(_HERE / "ws_peer")
    except npm_packages.ServerMissing as error:
        raise ProgramMissing(str(error)) from error
    command = [npm_packages.node(), str(programs() / "peer-ws.js"), str(port)]
    yield Peer("ws", command, {"NODE_PATH": str(packages / "node_modules")})


def cpu_seconds(pid: int) -> float:
    """Of a process and its children."""
    total = 0
    for one in (pid, *_children(pid)):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICK


def resident_kb(pid: int) -> int:
    """Memory of a process and its children."""
    said = [Path(f"/proc/{one}/status").read_text() for one in (pid, *_children(pid))]
    return sum(int(kb) for text in said for kb in re.findall(r"VmRSS:\s+(\d+) kB", text))


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
