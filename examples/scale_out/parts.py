"""The processes of the example: started, looked after, ended. What was not started here stays."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_END_SECONDS = 20.0
_QUICK_SECONDS = 5.0
_MOST_QUICK_ENDS = 3
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Trouble(Exception):
    """What is wrong, and what can be done, in words."""


def _end_with_parent() -> None:
    """In the child: where this script is killed, what it has started ends too (Linux)."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Part:
    """A process. `is_well`: whether it does its work; raises Trouble, or returns what it lacks.
    `is_restarted`: when it ends by itself it is started again, as systemd would. `user`: who runs
    it, if not whoever runs this."""

    name: str
    command: Sequence[str | Path]
    log: Path
    is_well: Callable[[], str | None]
    environ: Mapping[str, str] = field(default_factory=dict)
    is_restarted: bool = False
    stop_signal: signal.Signals = signal.SIGTERM
    user: str | None = None
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    _started_at: float = field(default=0.0, init=False)
    _quick_ends: int = field(default=0, init=False)
    _told: str | None = field(default=None, init=False)

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Raises Trouble."""
        self._started_at = time.monotonic()
        try:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    [str(word) for word in self.command],
                    env=dict(self.environ),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # Ctrl-C is for this script, which ends the parts in their order.
                    start_new_session=True,
                    user=self.user,
                    preexec_fn=_end_with_parent,  # noqa: PLW1509  # there are no threads yet
                )
        except OSError as error:
            raise Trouble(f"{self.name} cannot be started: {error}") from error

    def until_well(self, seconds: float) -> None:
        """Raises Trouble."""
        deadline = time.monotonic() + seconds
        while True:
            self._check_runs()
            lacks = self.is_well()
            if lacks is None:
                return
            if time.monotonic() > deadline:
                raise Trouble(f"{self.name} does not work: {lacks}\n{self.last_words()}")
            time.sleep(0.1)

    def look(self) -> list[str]:
        """What has changed since the last look, in words. Raises Trouble when it cannot go on."""
        process = self._process
        if process is not None and process.poll() is not None:
            why = _why(process.returncode)
            lived = time.monotonic() - self._started_at
            self._quick_ends = self._quick_ends + 1 if lived < _QUICK_SECONDS else 0
            if not self.is_restarted or self._quick_ends >= _MOST_QUICK_ENDS:
                raise Trouble(f"{self.name} {why}.\n{self.last_words()}")
            self._told = "starting"
            self._end_rest(process.pid)
            self.start()
            return [f"{self.name} {why}; it is started again."]
        lacks = self.is_well()
        if lacks == self._told or (lacks is not None and self._told == "starting"):
            return []
        self._told = lacks
        return [f"{self.name} works again." if lacks is None else f"{self.name}: {lacks}"]

    def end(self) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(self.stop_signal)
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_END_SECONDS)
        self._end_rest(process.pid)

    def last_words(self) -> str:
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        lines = text.strip().splitlines()[-8:]
        return "\n".join(["Its last words:", *(f"  {one}" for one in lines), f"More: {self.log}"])

    def _end_rest(self, group: int) -> None:
        """Workers that outlived it and keep its port; systemd ends them as well."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)

    def _check_runs(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            raise Trouble(f"{self.name} {_why(self._process.returncode)}.\n{self.last_words()}")


def _why(code: int) -> str:
    if code < 0:
        return f"was killed ({signal.Signals(-code).name})"
    return f"has ended with code {code}"
