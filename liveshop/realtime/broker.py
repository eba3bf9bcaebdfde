"""Where logs live and how events reach each node. In memory: one node, logs gone with the process.

Whatever implements `Broker` passes `tests/contract/test_broker.py`.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from liveshop.kernel.ids import new_secret
from liveshop.realtime.log import RoomLog
from liveshop.realtime.model import Draft, Event, Position

_FORGET_AFTER_SECONDS = 3600.0
_SWEEP_EVERY_SECONDS = 60.0
_RENEWALS_KNOWN = 1000


class Receiver(Protocol):
    """A node's end of a broker. No method may wait or raise."""

    def deliver(self, room: str, events: Sequence[Event]) -> None:
        """Take events that follow each other, in order: those of one append, or of several."""

    def log_lost(self, room: str) -> None:
        """The room's epoch is over; what viewers have cannot be continued.

        Nothing of the old epoch may be delivered after this.
        """

    def hear(self, room: str, frame: bytes) -> None:
        """Take a frame that is in no log, so without a place among the events."""


class Broker(Protocol):
    """Whatever needs the logs raises BrokerAway while they cannot be reached.

    Whoever has been told of a new epoch is delivered nothing of the one before, or viewers would
    get a wrong event under a right number.
    """

    @property
    def is_shared(self) -> bool:
        """Whether others append to the same logs."""

    async def run(self) -> None:
        """What there is to do all the time; a job of the application."""

    async def ping(self) -> None:
        """Raises BrokerAway."""

    async def close(self) -> None:
        """Leave, when nothing is called any more."""

    async def intend(self, rooms: Collection[str]) -> None:
        """Say before a commit that events of these rooms follow it, so that others find out what
        is missing from a log when this node dies in between. `append` takes it back, also where
        it fails."""

    async def forgo(self, rooms: Collection[str]) -> None:
        """The commit failed: no events follow."""

    async def tell(self, room: str, frame: bytes) -> None:
        """Hand an unlogged frame to every node with this room. It may be lost."""

    async def presence(self, counts: Mapping[str, int]) -> Mapping[str, int]:
        """Say how many viewers are in this node's rooms; how many there are on all nodes, in
        these rooms. Asked about once a second; a node that is silent for some seconds is gone."""

    async def append(self, room: str, drafts: Sequence[Draft]) -> Position:
        """Number the events and deliver them; returns the position of the last one.

        Where it fails the room's epoch is over, if need be as soon as the logs can be reached.
        """

    async def position(self, room: str) -> Position:
        """The end of the room's log."""

    async def since(self, room: str, position: Position, *, limit: int) -> list[Event] | None:
        """Up to `limit` events after `position`; None when that place is not known any more."""

    async def renew(self, room: str, *, name: str = "") -> Position:
        """Start a new epoch, because an event is missing from the log; if need be as soon as the
        logs can be reached. One with a name is done once, whoever asks for it how often."""

    async def subscribe(self, room: str, receiver: Receiver) -> None:
        """Deliver every event that is appended after this returns. Once per receiver."""

    def unsubscribe(self, room: str, receiver: Receiver) -> None:
        """Deliver nothing more; whoever subscribes again is not told what was on its way then."""


@dataclass(slots=True)
class _Room:
    log: RoomLog
    touched: float
    receivers: list[Receiver] = field(default_factory=list)


class MemoryBroker:
    """Everything happens inside one call, so an appended event is a delivered event.

    A room is kept once it has an event or a receiver. Until then its position is known without
    keeping anything, or asking after rooms that do not exist would fill the memory.
    """

    def __init__(self, *, log_size: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._log_size = log_size
        self._monotonic = monotonic
        self._rooms: dict[str, _Room] = {}
        self._swept = monotonic()
        self._renewals: dict[str, None] = {}
        self._new_epoch = new_secret(6)
        """The epoch of rooms that are not kept yet; another one whenever rooms are forgotten."""

    @property
    def rooms(self) -> int:
        """How many logs are in memory."""
        return len(self._rooms)

    is_shared = False

    async def run(self) -> None:
        return None

    async def ping(self) -> None:
        return None

    async def close(self) -> None:
        return None

    async def intend(self, rooms: Collection[str]) -> None:
        """Nobody would be there to find out."""

    async def forgo(self, rooms: Collection[str]) -> None:
        return None

    async def tell(self, room: str, frame: bytes) -> None:
        place = self._rooms.get(room)
        for receiver in tuple(place.receivers) if place is not None else ():
            receiver.hear(room, frame)

    async def presence(self, counts: Mapping[str, int]) -> Mapping[str, int]:
        return counts

    async def append(self, room: str, drafts: Sequence[Draft]) -> Position:
        place = self._kept(room)
        events = place.log.append(drafts)
        for receiver in tuple(place.receivers):
            receiver.deliver(room, events)
        return place.log.position

    async def position(self, room: str) -> Position:
        return self._log(room).position

    async def since(self, room: str, position: Position, *, limit: int) -> list[Event] | None:
        return self._log(room).since(position, limit=limit)

    async def renew(self, room: str, *, name: str = "") -> Position:
        place = self._kept(room)
        if name in self._renewals:
            return place.log.position
        if name:
            self._renewals[name] = None
            while len(self._renewals) > _RENEWALS_KNOWN:
                del self._renewals[next(iter(self._renewals))]
        place.log = RoomLog(new_secret(6), size=self._log_size)
        for receiver in tuple(place.receivers):
            receiver.log_lost(room)
        return place.log.position

    async def subscribe(self, room: str, receiver: Receiver) -> None:
        receivers = self._kept(room).receivers
        if receiver not in receivers:
            receivers.append(receiver)

    def unsubscribe(self, room: str, receiver: Receiver) -> None:
        place = self._rooms.get(room)
        if place is not None and receiver in place.receivers:
            place.receivers.remove(receiver)
            place.touched = self._monotonic()

    def _log(self, room: str) -> RoomLog:
        place = self._rooms.get(room)
        return self._empty_log() if place is None else place.log

    def _kept(self, room: str) -> _Room:
        now = self._monotonic()
        place = self._rooms.get(room)
        if place is None:
            self._sweep(now)
            place = self._rooms[room] = _Room(self._empty_log(), now)
        place.touched = now
        return place

    def _empty_log(self) -> RoomLog:
        return RoomLog(self._new_epoch, size=self._log_size)

    def _sweep(self, now: float) -> None:
        """Forget rooms nobody is in. Who comes back later meets a new epoch, and so reloads."""
        if now - self._swept < _SWEEP_EVERY_SECONDS:
            return
        self._swept = now
        kept = {
            name: place
            for name, place in self._rooms.items()
            if place.receivers or now - place.touched < _FORGET_AFTER_SECONDS
        }
        if len(kept) < len(self._rooms):
            self._rooms = kept
            self._new_epoch = new_secret(6)
