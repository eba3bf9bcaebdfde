"""Has things made of recordings, one at a time, by a process that gives way to all others.

A process of its own, because the libraries hold the interpreter's lock for long, and because what
they crash on is then a failed file and not a show off air.
"""

import asyncio
import os
import re
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

import msgspec
import structlog

from liveshop.kernel.ids import ShowId
from liveshop.video.making.model import Job, Line, Made, MakingFailed, MakingHeldUp, Wanted

_SILENT_SECONDS: Final = 600.0
"""A process that says nothing for so long hangs."""
_ENVIRONMENT: Final = re.compile(
    r"PATH|PYTHON(PATH|HOME|UTF8|DONTWRITEBYTECODE)|VIRTUAL_ENV|LD_LIBRARY_PATH|HOME|TMPDIR|TZ"
    r"|LANG|LC_[A-Z]+"
)
"""What the process may know of the server's: nothing else is its business, least of all keys."""
_UNFINISHED: Final = re.compile(r".+\.([0-9]+)-[0-9a-f]+\.making", re.ASCII | re.DOTALL)
_OLD_SECONDS: Final = 24 * 3600.0
"""Whatever process has the number by now."""
_LINE_BYTES: Final = 256 * 1024
_WORDS_BYTES: Final = 4000
"""Of what it complains about, for the log."""

_log = structlog.get_logger("making")


class Sources(Protocol):
    """Where recordings are; `Recordings` is one."""

    async def local_folder(
        self, show_id: ShowId, from_at: datetime | None, until_at: datetime | None, /
    ) -> Path: ...

    def file_path(self, show_id: ShowId, name: str, /) -> Path: ...


class Maker:
    """`least_free_bytes`: what is left of the disk for others."""

    def __init__(self, recordings: Sources, *, least_free_bytes: int = 0) -> None:
        self._recordings = recordings
        self._least_free_bytes = least_free_bytes
        self._turn = asyncio.Lock()

    async def make(
        self,
        show_id: ShowId,
        wanted: Wanted,
        progress: Callable[[int], None] = lambda percent: None,
    ) -> Made:
        """The file is then where `recordings.file_path` has it; a file of that name is replaced.
        `progress` is told percents, each once. Cancelled, the process is killed at once.

        Raises MakingFailed, and what `recordings.local_folder` raises.
        """
        async with self._turn:
            folder = await self._recordings.local_folder(show_id, wanted.from_at, wanted.until_at)
            path = self._recordings.file_path(show_id, wanted.name or wanted.kind)
            new = unfinished(path)
            job = Job(str(folder), str(path), str(new), wanted, self._least_free_bytes)
            try:
                return await _run(job, progress)
            finally:
                await asyncio.to_thread(_remove, new)


def unfinished(path: Path) -> Path:
    """Where it is written until it is whole: another place each time, and the process that had it
    begun."""
    return path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.making")


def sweep(root: Path, *, is_shared: bool = False) -> None:
    """Remove what processes that were killed left in `root / show_id / "files"`. `is_shared`: with
    other machines, whose processes cannot be asked for; then by age alone. Blocks."""
    for path in root.glob("*/files/*.making"):
        begun_by = _UNFINISHED.fullmatch(path.name)
        with suppress(OSError):
            is_old = time.time() - path.stat().st_mtime > _OLD_SECONDS
            is_left = begun_by is None or (not is_shared and not _runs(int(begun_by[1])))
            if is_old or is_left:
                path.unlink()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


async def _run(job: Job, progress: Callable[[int], None]) -> Made:
    environ = {name: value for name, value in os.environ.items() if _ENVIRONMENT.fullmatch(name)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "liveshop.video.making",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
        env=environ,
    )
    complaints = asyncio.create_task(_tail(process))
    try:
        made = await _talk(process, job, progress)
        if made is not None:
            return made
        code = await process.wait()
        words = await complaints
        _log.error("making_died", kind=job.wanted.kind, exit_code=code, words=words)
        raise MakingFailed(
            "The program that makes this stopped in the middle; the server's log says more."
            if code >= 0
            else f"The program that makes this was stopped (signal {-code}); memory may be short."
        )
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        complaints.cancel()


async def _talk(
    process: asyncio.subprocess.Process, job: Job, progress: Callable[[int], None]
) -> Made | None:
    """None: it ended without a last word."""
    assert process.stdin is not None
    assert process.stdout is not None
    # Left open: by its end the process knows that nobody waits any more.
    process.stdin.write(msgspec.json.encode(job) + b"\n")
    told = -1
    while True:
        try:
            async with asyncio.timeout(_SILENT_SECONDS):
                raw = await process.stdout.readline()
        except TimeoutError:
            raise MakingFailed("It got stuck, and was given up.") from None
        if not raw.endswith(b"\n"):
            return None
        line = msgspec.json.decode(raw, type=Line)
        if line.failed is not None:
            raise MakingHeldUp(line.failed) if line.is_held_up else MakingFailed(line.failed)
        if line.made is not None:
            return line.made
        if line.percent is not None and line.percent > told:
            told = line.percent
            progress(told)


async def _tail(process: asyncio.subprocess.Process) -> str:
    """The last of what it wrote to standard error."""
    assert process.stderr is not None
    kept = b""
    while data := await process.stderr.read(65_536):
        kept = (kept + data)[-_WORDS_BYTES:]
    return kept.decode(errors="replace")
