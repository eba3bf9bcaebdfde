"""What all people of one process share: the server's addresses, its frames, the counts, the end."""

import asyncio
import ssl
import time
from collections.abc import Sequence
from random import Random

from liveshop.crowd.frames import Frames, Marks
from liveshop.crowd.line import Line
from liveshop.crowd.looking import Target
from liveshop.crowd.plan import Plan
from liveshop.crowd.shop import Shop
from liveshop.crowd.tally import Tally

_OPENING = 100
"""How many connections are being opened at the same time; more would wait in the server's queue
of unaccepted connections, where the system drops them without a word."""


class World:
    """Close it with `close`."""

    def __init__(
        self,
        plan: Plan,
        target: Target,
        *,
        tag: str,
        began_at: float,
        sources: Sequence[str],
        tls: ssl.SSLContext | None,
    ) -> None:
        self.plan = plan
        self.target = target
        self.began_at = began_at
        self.random = Random(f"pauses {plan.seed} {plan.share[0]}")
        self.tally = Tally()
        self.marks = Marks(tag, began_at)
        self.frames = Frames(self.marks)
        self.opening = asyncio.Semaphore(_OPENING)
        self.closing = asyncio.Event()
        """Nobody begins anything new."""
        self.expected = 0
        """Who is on a visit now, in or not; `here`: in; `away`: was in, lost his line."""
        self.here = 0
        self.away = 0
        self.lines: set[Line] = set()
        self.tls = tls
        self._sources = tuple(sources)
        self._shops = {source: Shop(source or None) for source in sources or ("",)}

    async def close(self) -> None:
        for shop in self._shops.values():
            await shop.close()

    def base(self, number: int) -> str:
        return self.plan.addresses[number % len(self.plan.addresses)]

    def source_of(self, person: int) -> str | None:
        return self._sources[person % len(self._sources)] if self._sources else None

    def shop_of(self, person: int) -> Shop:
        return self._shops[self.source_of(person) or ""]

    def now(self) -> float:
        """Of the clock that a machine's processes share."""
        return time.monotonic()

    def elapsed(self) -> float:
        return self.now() - self.began_at

    def random_of(self, person: int, what: str) -> Random:
        return Random(f"{what} {self.plan.seed} {person}")

    async def until(self, elapsed: float) -> None:
        """Sleep until so many seconds since the beginning, or until it ends."""
        await self.pause(elapsed - self.elapsed())

    async def pause(self, seconds: float) -> None:
        """Sleep, but not beyond the end."""
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self.closing.wait()
        except TimeoutError:
            return
