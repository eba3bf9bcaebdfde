"""The rooms on this node: who is in them, what they missed, and what is said to them.

Coming in is exact (`join`, `catch_up`): a viewer is level once he has everything that was
delivered, and from then on his events come with everybody else's (`fanout.py`).
"""

import asyncio
import math
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from liveshop.realtime import frames
from liveshop.realtime.broker import Broker
from liveshop.realtime.counts import Counts, OnHearts, OnViewers, no_hearts, no_viewers
from liveshop.realtime.fanout import Outbox, Pace
from liveshop.realtime.model import CloseCode, Event, Position
from liveshop.realtime.sampling import Sampler
from liveshop.realtime.viewer import Transport, Viewer
from liveshop.web.access import Principal
from liveshop.web.metrics import Metrics

TICK_SECONDS = 1.0
_AWAY_SECONDS = 0.05
_LEAST_AWAY = 20
_BATCH = 256
_CHUNK_BYTES = 64 * 1024
_MAX_WAITING = 5000


_marks = count()
"""Never the same for two states of a room, nor for two rooms."""


class _Room:
    __slots__ = (
        "announced",
        "anonymous",
        "catching_up",
        "hearts",
        "lock",
        "log",
        "mark",
        "news",
        "outbox",
        "people",
        "subscribed",
        "viewers",
    )

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.mark = next(_marks)
        self.news = self.mark
        self.log = self.mark
        self.viewers: set[Viewer] = set()
        self.catching_up: set[Viewer] = set()
        """Those whose `waiting` keeps the events they are to get after older ones."""
        self.people: Counter[str] = Counter()
        self.anonymous = 0
        self.announced = 0
        self.hearts = 0
        self.lock = asyncio.Lock()
        self.subscribed = False

    @property
    def count(self) -> int:
        """People, not connections: a guest with three tabs is one viewer, staff are none."""
        return len(self.people) + self.anonymous

    def add(self, viewer: Viewer) -> None:
        self.viewers.add(viewer)
        self.catching_up.add(viewer)
        self._count(viewer, +1)

    def remove(self, viewer: Viewer) -> None:
        self.viewers.discard(viewer)
        self.catching_up.discard(viewer)
        self.outbox.leave(viewer)
        self._count(viewer, -1)

    def _count(self, viewer: Viewer, step: int) -> None:
        who = viewer.principal
        if who.is_viewer:
            self.people[who.id] += step
            if not self.people[who.id]:
                del self.people[who.id]
        elif who.kind == "anonymous":
            self.anonymous += step


@dataclass(frozen=True, slots=True)
class Joined:
    """`position`: logged events of the connection begin after it."""

    position: Position
    resume_failed: bool


class Hub:
    """One per process. `run()` belongs to the application's task group.

    `readable_per_second`: above so many messages viewers get a fair choice; 0: they get all.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        buffer_bytes: int,
        idle_seconds: float,
        readable_per_second: int = 0,
        metrics: Metrics | None = None,
        on_hearts: OnHearts = no_hearts,
        on_viewers: OnViewers = no_viewers,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker = broker
        self._buffer_bytes = buffer_bytes
        self._idle_seconds = idle_seconds
        self._metrics = metrics
        self._counts = Counts(
            broker, self.hear, on_hearts=on_hearts, on_viewers=on_viewers, monotonic=monotonic
        )
        self.monotonic = monotonic
        self._pace = Pace(monotonic)
        self._readable_per_second = readable_per_second
        self._rooms: dict[str, _Room] = {}

    # -- coming and going

    def viewer(
        self,
        room: str,
        principal: Principal,
        transport: Transport,
        *,
        drain: Callable[[], Awaitable[None]],
        on_close: Callable[[], None],
    ) -> Viewer:
        return Viewer(
            room,
            principal,
            transport,
            buffer_bytes=self._buffer_bytes,
            drain=drain,
            on_close=on_close,
            now=self.monotonic(),
        )

    async def join(self, viewer: Viewer, resume: Position | None = None) -> Joined:
        """Enter the room. Events wait until `catch_up`; `leave` must follow, whatever happens.

        The order is what makes resuming exact: first be in the room, so that new events wait
        here; then look where the log is. The other way round loses what comes in between.
        """
        room = self._room(viewer.room)
        room.add(viewer)
        if self._metrics is not None:
            self._metrics.viewers.inc()
        async with room.lock:
            if not room.subscribed:
                await self._broker.subscribe(viewer.room, self)
                room.subscribed = True
        start = await self._broker.position(viewer.room)
        failed = False
        if resume is not None:
            known = await self._broker.since(viewer.room, resume, limit=1)
            failed = known is None
            start = start if known is None else resume
        viewer.epoch, viewer.offset = start.epoch, start.offset
        return Joined(start, failed)

    async def catch_up(self, viewer: Viewer) -> None:
        """Send what is missing, then what came meanwhile, as fast as this client reads.

        Call it when hello has been written.
        """
        viewer.is_greeted = True
        while viewer.code is None:
            place = Position(viewer.epoch, viewer.offset)
            missing = await self._broker.since(viewer.room, place, limit=_BATCH)
            if missing is None:
                viewer.close(CloseCode.LOG_LOST)
                return
            if not missing:
                break
            await self._send_all(viewer, deque(missing))
        waiting = viewer.waiting
        if waiting is not None:
            await self._send_all(viewer, waiting)
        # No await between the empty queue and these lines: all that was delivered has been sent,
        # and what is delivered from here on comes with everybody else's.
        viewer.waiting = None
        room = self._rooms.get(viewer.room)
        if room is not None and viewer in room.catching_up:
            room.catching_up.discard(viewer)
            if viewer.code is None:
                room.outbox.enter(viewer)

    async def _send_all(self, viewer: Viewer, events: deque[Event]) -> None:
        """Until the queue is empty; it may grow while the client reads."""
        chunk_bytes = min(_CHUNK_BYTES, self._buffer_bytes // 2)
        unread = 0
        while events and viewer.code is None:
            event = events.popleft()
            if event.offset <= viewer.offset:
                continue
            if event.offset > viewer.offset + 1:
                viewer.close(CloseCode.LOG_LOST)
                return
            if unread and unread + len(event.frame) > chunk_bytes:
                # The event goes back first: others may join the queue during the wait.
                events.appendleft(event)
                unread = 0
                await viewer.drain()
                continue
            viewer.offset = event.offset
            viewer.send(event.frame)
            unread += len(event.frame)

    def leave(self, viewer: Viewer) -> None:
        if viewer.code == CloseCode.TOO_SLOW and self._metrics is not None:
            self._metrics.too_slow.inc()
        room = self._rooms.get(viewer.room)
        if room is None or viewer not in room.viewers:
            return
        room.remove(viewer)
        if self._metrics is not None:
            self._metrics.viewers.dec()
        self._drop_if_empty(viewer.room, room)

    def _room(self, name: str) -> _Room:
        room = self._rooms.get(name)
        if room is None:
            per_second = self._readable_per_second
            sampler = Sampler(per_second) if per_second else None
            room = self._rooms[name] = _Room(Outbox(self._pace, sampler))
        return room

    def _drop_if_empty(self, name: str, room: _Room) -> None:
        if not room.viewers and not room.hearts and self._rooms.get(name) is room:
            del self._rooms[name]
            room.outbox.clear()
            self._broker.unsubscribe(name, self)

    # -- events

    def deliver(self, room: str, events: Sequence[Event]) -> None:
        """Hand the same bytes to everybody in the room. Called by the broker, in log order."""
        place = self._rooms.get(room)
        if place is None or not events:
            return
        place.news = next(_marks)
        if not all(event.sampled_by for event in events):
            place.mark = place.news
        for viewer in place.catching_up:
            self._keep_waiting(viewer, events)
        place.outbox.deliver(events)
        if self._metrics is not None:
            self._metrics.deliveries.inc(len(place.viewers) * len(events))

    @staticmethod
    def _keep_waiting(viewer: Viewer, events: Sequence[Event]) -> None:
        if viewer.waiting is not None and viewer.code is None:
            viewer.waiting.extend(events)
            if len(viewer.waiting) > _MAX_WAITING:
                viewer.close(CloseCode.TOO_SLOW)

    def log_lost(self, room: str) -> None:
        place = self._rooms.get(room)
        if place is not None:
            place.mark = place.news = place.log = next(_marks)
            place.outbox.clear()
            for viewer in place.viewers:
                viewer.close(CloseCode.LOG_LOST)

    def hear(self, room: str, frame: bytes) -> None:
        """An unlogged frame, to everybody in the room on this node."""
        place = self._rooms.get(room)
        if place is None:
            return
        place.news = next(_marks)
        place.outbox.hear(frame)
        for viewer in place.catching_up:
            if viewer.is_greeted:
                viewer.send(frame)

    def react(self, room: str, count: int) -> None:
        """Count hearts; they are announced and kept with the next tick."""
        self._room(room).hearts += count

    # -- what can be asked and ordered

    def mark(self, room: str) -> int | None:
        """Another number after everything the shop itself says in the room, and when its log is
        lost; None: this node does not hear of that."""
        place = self._rooms.get(room)
        return place.mark if place is not None and place.subscribed else None

    def news(self, room: str) -> int | None:
        """The same for whatever happens there."""
        place = self._rooms.get(room)
        return place.news if place is not None and place.subscribed else None

    def log(self, room: str) -> int | None:
        """Another number when its log is lost."""
        place = self._rooms.get(room)
        return place.log if place is not None else None

    async def position(self, room: str) -> Position:
        """The end of the log. For a snapshot: ask this before reading the database, not after."""
        return await self._broker.position(room)

    async def viewers_everywhere(self, room: str) -> int:
        """On all nodes; on the others as of a second ago."""
        return await self._counts.of(room, self._rooms)

    def viewers(self, room: str) -> int:
        """On this node."""
        place = self._rooms.get(room)
        return place.count if place is not None else 0

    @property
    def connections(self) -> int:
        return sum(len(room.viewers) for room in self._rooms.values())

    @property
    def rooms(self) -> int:
        """How many rooms this node keeps: those with viewers, or with hearts not yet kept."""
        return len(self._rooms)

    def disconnect(self, viewer_id: str, code: CloseCode, *, room: str | None = None) -> int:
        """Close every connection of a person here, in one room or in all; returns how many."""
        found = [
            viewer
            for viewer in self._everybody()
            if viewer.principal.id == viewer_id and (room is None or viewer.room == room)
        ]
        for viewer in found:
            viewer.close(code)
        return len(found)

    def close_all(self, code: CloseCode) -> None:
        for viewer in list(self._everybody()):
            viewer.close(code)

    async def send_away(self, code: CloseCode, *, seconds: float) -> None:
        """Close everybody's connection, in any order, over so long where there are many: whoever
        takes them in has to bear it."""
        everybody = list(self._everybody())
        random.shuffle(everybody)
        at_once = max(_LEAST_AWAY, math.ceil(len(everybody) * _AWAY_SECONDS / max(seconds, 0.001)))
        for start in range(0, len(everybody), at_once):
            for viewer in everybody[start : start + at_once]:
                viewer.close(code)
            await asyncio.sleep(_AWAY_SECONDS)

    def _everybody(self) -> Iterator[Viewer]:
        for room in self._rooms.values():
            yield from room.viewers

    # -- once a second

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            await self.tick()

    async def tick(self) -> None:
        """Announce viewers and hearts, ping the silent, close the dead."""
        now = self.monotonic()
        for viewer in self._everybody():
            self._check_alive(viewer, now)
        rooms = dict(self._rooms)
        await self._counts.tick(rooms)
        for name, room in rooms.items():
            self._drop_if_empty(name, room)

    def _check_alive(self, viewer: Viewer, now: float) -> None:
        silent = now - viewer.heard_at
        if silent > self._idle_seconds:
            viewer.close(CloseCode.IDLE)
        elif not viewer.pinged and silent > self._idle_seconds / 3 * _patience(viewer):
            viewer.pinged = True
            viewer.send(frames.PING)


def _patience(viewer: Viewer) -> float:
    """From 2/3 to 1, by where it lies in memory: a crowd that came in one second is not pinged in
    one second, which would hold up what is said then."""
    return 1 - (id(viewer) >> 6) % 64 / 192
