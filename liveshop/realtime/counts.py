"""Viewers and hearts of a room: announced at most once a second, kept through ports."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog

from liveshop.kernel.errors import ShopError
from liveshop.realtime import frames
from liveshop.realtime.broker import Broker
from liveshop.realtime.wire import HeartsChanged, ViewersChanged

_log = structlog.get_logger("realtime")

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
        self, broker: Broker, say: Say, *, on_hearts: OnHearts, on_viewers: OnViewers
    ) -> None:
        self._broker = broker
        self._say = say
        self._on_hearts = on_hearts
        self._on_viewers = on_viewers

    async def tick(self, rooms: Mapping[str, Counted]) -> None:
        """Announce what has changed."""
        try:
            here = {name: room.count for name, room in rooms.items()}
            counts = await self._broker.presence(here)
        except ShopError as error:
            _log.warning("viewers_not_counted", reason=error.detail)
            counts = {}
        for name, room in rooms.items():
            count = counts.get(name, room.announced)
            if count != room.announced:
                room.announced = count
                await self._announce_viewers(name, count)
            if room.hearts:
                await self._announce_hearts(name, room)

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
