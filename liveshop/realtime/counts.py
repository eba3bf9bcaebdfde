"""Viewers and hearts of a room: announced at most once a second, kept through ports.

Each node says through the broker how many viewers it has; one that is silent is not counted any
more, so the sum is right within seconds after a node died.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog

from liveshop.kernel.errors import ShopError
from liveshop.realtime import frames
from liveshop.realtime.broker import Broker
from liveshop.realtime.wire import HeartsChanged, ViewersChanged

_log = structlog.get_logger("realtime")
_ASKED_SECONDS = 60.0
"""So long after somebody wanted to know it, the viewers of a room without any here are known."""

OnHearts = Callable[[str, int], Awaitable[int]]
"""`(show_id, added) -> total`: keep hearts and say how many there are now."""
OnViewers = Callable[[str, int], Awaitable[None]]
"""`(show_id, viewers)`: told when the number changed, at most once a second."""
Say = Callable[[str, bytes], None]
"""`(room, frame)`: to everybody in the room on this node."""


class Counted(Protocol):
    """A room on this node."""

    hearts: int
    """Not announced yet."""
    announced: int
    """Viewers, as told last: those of all nodes."""

    @property
    def count(self) -> int:
        """People here, not connections."""


async def no_hearts(_show_id: str, added: int) -> int:
    return added


async def no_viewers(_show_id: str, _count: int) -> None:
    return None


class Counts:
    def __init__(
        self,
        broker: Broker,
        say: Say,
        *,
        on_hearts: OnHearts,
        on_viewers: OnViewers,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker = broker
        self._say = say
        self._on_hearts = on_hearts
        self._on_viewers = on_viewers
        self._monotonic = monotonic
        self._elsewhere: dict[str, int] = {}
        """Viewers on other nodes, as heard last."""
        self._asked: dict[str, float] = {}
        """Rooms that somebody wanted to know of, and until when."""
        self._asking = asyncio.Lock()

    async def of(self, name: str, rooms: Mapping[str, Counted]) -> int:
        """How many viewers a room has on all nodes; `rooms` are those that are here."""
        self._asked[name] = self._monotonic() + _ASKED_SECONDS
        if name not in self._elsewhere:
            async with self._asking:
                if name not in self._elsewhere:
                    await self._hear(rooms)
                # Also while the broker is away: the ticks go on asking, not everybody who comes.
                self._elsewhere.setdefault(name, 0)
        return self._total(name, rooms)

    async def tick(self, rooms: Mapping[str, Counted]) -> None:
        """Announce what has changed."""
        now = self._monotonic()
        self._asked = {name: until for name, until in self._asked.items() if until > now}
        async with self._asking:
            await self._hear(rooms)
        for name, room in rooms.items():
            count = self._total(name, rooms)
            if count != room.announced:
                room.announced = count
                await self._announce_viewers(name, count)
            if room.hearts:
                await self._announce_hearts(name, room)

    async def _hear(self, rooms: Mapping[str, Counted]) -> None:
        """While the broker is away, what was heard last holds."""
        here = {name: room.count for name, room in rooms.items()}
        told = dict.fromkeys(self._asked, 0) | here
        try:
            totals = await self._broker.presence(told)
        except ShopError as error:
            _log.warning("viewers_not_counted", reason=error.detail)
            return
        self._elsewhere = {name: max(0, totals[name] - told[name]) for name in told}

    def _total(self, name: str, rooms: Mapping[str, Counted]) -> int:
        here = rooms[name].count if name in rooms else 0
        return here + self._elsewhere.get(name, 0)

    async def _announce_viewers(self, name: str, count: int) -> None:
        self._say(name, frames.unlogged("viewers", ViewersChanged(count=count)))
        try:
            await self._on_viewers(name, count)
        except ShopError as error:
            _log.warning("viewers_not_kept", room=name, reason=error.detail)
        except Exception:  # a fault in the port must not stop the ticks of every room
            _log.exception("viewers_not_kept", room=name)

    async def _announce_hearts(self, name: str, room: Counted) -> None:
        """The announced total is the kept one; hearts that could not be kept wait a second."""
        added, room.hearts = room.hearts, 0
        try:
            total = await self._on_hearts(name, added)
        except ShopError as error:
            room.hearts += added
            _log.warning("hearts_not_kept", room=name, reason=error.detail)
            return
        except Exception:  # as above; these hearts are given up, or they would fail for ever
            _log.exception("hearts_not_kept", room=name)
            return
        try:
            frame = frames.unlogged("hearts", HeartsChanged(total=total, added=added))
            await self._broker.tell(name, frame)
        except ShopError as error:
            _log.warning("hearts_not_told", room=name, reason=error.detail)
