"""What recordings do to files, each so that a full disk leaves nothing half done. Blocking."""

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


def append(path: Path, parts: Sequence[bytes], size: int) -> None:
    """To a file of `size` bytes. Raises OSError, having taken some of it perhaps."""
    with path.open("wb" if size == 0 else "ab", buffering=0) as file:
        if file.tell() != size:
            raise OSError(errno.EIO, f"{path.name} is not as it was left")
        for part in parts:
            if file.write(part) != len(part):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_whole(path: Path, data: bytes) -> None:
    """All of it or nothing. Raises OSError."""
    unfinished = path.with_name(path.name + ".new")
    try:
        with unfinished.open("wb") as file:
            file.write(data)
        unfinished.replace(path)
    except OSError:
        unlink(unfinished)
        raise


def shorten(path: Path, size: int) -> None:
    """Drop what stands behind."""
    with suppress(OSError):  # the next one to append finds it
        if path.stat().st_size > size:
            os.truncate(path, size)


def size_of(path: Path) -> int:
    """0 for a file that is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def unlink(path: Path) -> None:
    with suppress(OSError):  # it takes room, nothing else
        path.unlink()


def number_of(path: Path) -> int:
    """-1 for a file that has none."""
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdecimal() else -1
