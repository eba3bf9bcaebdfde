"""What all commands share: how they speak, read settings, and end."""

import asyncio
import os
import sys
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click
import uvloop
from rich.console import Console
from rich.text import Text

from liveshop.kernel.errors import ShopError
from liveshop.settings import BadSettings, Settings
from liveshop.settings import load as load_settings
from liveshop.web import logs
from liveshop.web.assets import AssetsMissing

out = Console()
err = Console(stderr=True)


class Fault(click.ClickException):
    """A problem the operator can do something about, in words."""

    def show(self, file: Any = None) -> None:
        line = Text.assemble(("liveshop: ", "bold red"), self.message)
        err.print(line, soft_wrap=True)


def settings_of(config: Path | None, **overrides: Any) -> Settings:
    given = {
        name.replace("__", "."): value for name, value in overrides.items() if value is not None
    }
    try:
        settings = load_settings(file=config, overrides=given)
    except BadSettings as error:
        raise _corrections(error) from error
    logs.configure(level=settings.log_level, fmt=settings.log_format)
    return settings


def _corrections(error: BadSettings) -> Fault:
    lines = "\n".join(f"  - {problem}" for problem in error.problems)
    return Fault(f"the settings need {len(error.problems)} correction(s):\n{lines}")


def run_to_end(main_: Coroutine[Any, Any, None]) -> None:
    """Run to the end; known problems become one line and exit status 1."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                runner.run(main_)
            finally:
                runner.run(_drivers_ended())
    except ShopError as error:
        raise Fault(error.detail) from error
    except BadSettings as error:  # a key or a method that only its room can judge
        raise _corrections(error) from error
    except AssetsMissing as error:
        raise Fault(str(error)) from error
    except OSError as error:
        raise Fault(in_words(error)) from error
    except KeyboardInterrupt:
        sys.exit(130)


async def _drivers_ended() -> None:
    """Wait, shortly, for the threads of SQLite connections that were cut off in mid-work.

    They still answer to the loop, and would print a traceback if it were closed by then.
    """
    for _ in range(100):
        if not any("_connection_worker_thread" in one.name for one in threading.enumerate()):
            return
        await asyncio.sleep(0.02)


def in_words(error: OSError) -> str:
    text = str(error)
    if "address already in use" in text.lower():
        return f"the port is in use by another program. Choose another with --port. ({text})"
    if "bind on address" in text.lower():
        return f"the port cannot be listened on. Choose another with --port. ({text})"
    if isinstance(error, PermissionError) or "read-only" in text.lower():
        return f"the data folder cannot be written; check its owner and permissions. ({text})"
    return text


def make_data_folder(settings: Settings) -> None:
    try:
        settings.data_path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Fault(in_words(error)) from error
    # Asked here and not left to the database: its driver's thread outlives a failed connection.
    if not os.access(settings.data_path, os.W_OK | os.X_OK):
        raise Fault(in_words(PermissionError(str(settings.data_path))))
