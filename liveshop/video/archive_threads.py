"""Blocking calls of one kind in threads of their own: so many at once, and so many that wait.

A call that hangs keeps its thread, though its caller is told after some seconds; so nobody is let
in for whom there is no thread, and the time somebody waits to be let in is none of the answer's.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """`seconds`: how long a call waits for a thread; None: for ever. `most_waiting`: more of them
    are turned away at once."""

    def __init__(
        self, name: str, *, most: int, most_waiting: int, seconds: float | None = None
    ) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix=name)
        self._free = asyncio.Semaphore(most)
        self._most_waiting = most_waiting
        self._waiting = 0
        self._seconds = seconds

    async def do(self, work: Callable[[], T], seconds: float | None) -> T:
        """What `work` returns or raises. `seconds`: how long it may take; None: it ends by itself.
        Raises TimeoutError, also where too many wait."""
        await self._let_in()
        loop = asyncio.get_running_loop()

        def is_done(_: Future[Any]) -> None:
            with suppress(RuntimeError):  # there is no loop any more, and nobody waits
                loop.call_soon_threadsafe(self._free.release)

        job = self._pool.submit(work)
        job.add_done_callback(is_done)
        async with asyncio.timeout(seconds):
            return await asyncio.wrap_future(job)

    async def _let_in(self) -> None:
        if self._waiting >= self._most_waiting:
            raise TimeoutError("too many wait already")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._seconds):
                await self._free.acquire()
        finally:
            self._waiting -= 1
