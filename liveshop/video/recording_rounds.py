"""What is done for one show after the other, and again until it is done: a database or a storage
may be away for hours, and others must not wait for the show that meets it first."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import ShowId

_AGAIN_SECONDS: Final = (1.0, 5.0, 30.0, 120.0, 600.0)
"""How long to wait for what is away."""

_log = structlog.get_logger("recording")


class Rounds:
    """`work` raises what it likes where it has to be done again. `run` in a supervised task."""

    def __init__(self, work: Callable[[ShowId], Awaitable[None]]) -> None:
        self._work = work
        self._due: asyncio.Queue[ShowId] = asyncio.Queue()

    def add(self, show_id: ShowId) -> None:
        """May be repeated, also while it is worked on: then that is done once more."""
        self._due.put_nowait(show_id)

    async def run(self) -> None:
        again: dict[ShowId, int] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                show_id = await self._due.get()
                try:
                    await self._work(show_id)
                    again.pop(show_id, None)
                except Exception as error:  # of one show: the others go on, and it is tried again
                    tries = again[show_id] = again.get(show_id, -1) + 1
                    seconds = _AGAIN_SECONDS[min(tries, len(_AGAIN_SECONDS) - 1)]
                    is_known = isinstance(error, ShopError)
                    _log.warning(
                        "recording.waits", show_id=show_id, seconds=seconds, exc_info=not is_known
                    )
                    tasks.create_task(self._later(show_id, seconds))

    async def _later(self, show_id: ShowId, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._due.put_nowait(show_id)
