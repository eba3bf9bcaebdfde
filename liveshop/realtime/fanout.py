"""How what happens in a room reaches everybody in it: in laps, by slices, with a rest in between.

Handing a frame to the kernel costs some microseconds for each viewer, many times what is done
here, so a large room is cheap only if one write carries several events. A *lap* goes once round
everybody who is level with the log and hands each the events he has not got yet, as one block of
bytes that all who are equally far share.

- A quiet room has no window: an event begins a lap at once, and its first slice is written before
  `deliver` returns. A room of a slice or less has then been served.
- A room has time saved up for two laps as fast as they go, and saves on slowly. While that lasts it
  is quiet. Each lap with events spends of it. When it is spent, the room is under load, and then
  - it rests after a lap for twice its work, at most `WINDOW_SECONDS`; what comes in that time goes
    with the next lap. Below a millisecond there is no rest, so small rooms never wait;
  - a lap is spread over up to four times its work, so that the room leaves most of the loop's time
    to everything else: other rooms, commands, requests for video. From some thousands of viewers on
    it takes `LAP_SECONDS`, or messages would be late, but never less than twice its work.
- A lap that has only unlogged frames is spread in any case, and an event that comes in the middle
  of it hurries it on: a message on its way would wait for a slice at each of its steps.
- Each slice takes its turn among all other callbacks, so nobody waits behind a room for longer than
  a slice.
- An event that comes in mid-lap goes along for those not visited yet, and begins another lap for
  the others. So nobody waits for longer than from one visit to the next.

With 5,000 viewers and 20 messages a second a visit comes each 190 ms and carries four messages.

Why nobody misses or repeats anything: who gets what is decided at his visit, from his own offset.
Whoever is ahead (he read the log before its deliveries came) is passed over, whoever is behind the
oldest pending event would have a gap and is sent to reload. A viewer who becomes level during a
lap has everything that was delivered until then (`Hub.catch_up`), so it does not matter that he
is not in the list of that lap. An event is dropped from here after a lap that had it from its
first visit on, and so was offered to everybody.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from liveshop.realtime import frames
from liveshop.realtime.model import CloseCode, Event
from liveshop.realtime.sampling import Sampled, Sampler
from liveshop.realtime.viewer import Viewer

WINDOW_SECONDS = 0.05
LAP_SECONDS = 0.14
SLICE = 256
_MOST_SPREAD, _LEAST_SPREAD = 4.0, 2.0
"""A lap under load takes so many times as long as its work."""
_SAVED_LAPS = 2.0
_SAVING = 0.15
"""Of all time; less than a room under load takes, or it would never be one for long."""
_LEAST_REST = 0.001
"""libuv counts milliseconds."""


class Pace:
    """What a visit costs here, kernel included; learned from laps and shared by all rooms."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.now = monotonic
        self.visit_seconds = 5e-6

    def learn(self, visits: int, seconds: float) -> None:
        """A slice took so long, whatever else ran meanwhile included. That makes a few of them far
        too long, so this follows the median: up and down by the same small step."""
        step = 1.02 if seconds > visits * self.visit_seconds else 1 / 1.02
        self.visit_seconds = min(max(self.visit_seconds * step, 1e-6), 25e-6)

    def work(self, viewers: int) -> float:
        """What a lap costs, in seconds."""
        return viewers * self.visit_seconds


class Savings:
    """How many laps a room may still go as fast as they go; see above."""

    def __init__(self) -> None:
        self._laps = _SAVED_LAPS
        self._at = 0.0

    def last(self, work: float, now: float) -> bool:
        """Whether there is one saved up, if a lap is so much work."""
        saved = (now - self._at) * _SAVING / work if work else _SAVED_LAPS
        self._laps = min(self._laps + saved, _SAVED_LAPS)
        self._at = now
        return self._laps >= 1

    def spend(self) -> None:
        self._laps = max(self._laps - 1, 0.0)


def spread(work: float) -> float:
    """How long a lap takes under load."""
    return max(_LEAST_SPREAD * work, min(_MOST_SPREAD * work, LAP_SECONDS))


def rest_after(work: float) -> float:
    """The window between two laps under load."""
    rest = min(WINDOW_SECONDS, 2 * work)
    return rest if rest >= _LEAST_REST else 0.0


class Outbox:
    """What the viewers of one room are still to be given. Nothing here waits or raises."""

    def __init__(self, pace: Pace, sampler: Sampler | None = None) -> None:
        self._pace = pace
        self._sampler = sampler
        self._level: dict[Viewer, None] = {}
        self._newest = 0
        """The offset of the last event that came; 0: none yet."""
        self._arrived: list[Event] = []
        """Those of which it is not decided yet who gets to see them."""
        self._pending: list[Event] = []
        """Those not offered to everybody yet, without a gap."""
        self._omitted: frozenset[int] = frozenset()
        """The offsets of those that most viewers do not get to see."""
        self._authors: frozenset[str] = frozenset()
        """Whose they are."""
        self._riding: dict[bytes, bytes] = {}
        """Unlogged frames that go with the next lap, the latest of each type."""
        self._lap: list[Viewer] = []
        self._visited = 0
        self._carried = 0
        """How many pending events the lap has had from its beginning on."""
        self._begun = 0.0
        self._lasts = 0.0
        """When the lap began, and how long it takes if it is spread, else 0."""
        self._savings = Savings()
        self._tail = b""
        self._blocks: dict[int, bytes] = {}
        self._whole: dict[int, bytes] = {}
        """The bytes after an offset: for everybody, and for those who see all."""
        self._next: asyncio.Handle | None = None
        """The next step, while a lap or a rest goes on."""

    # -- who is served

    def enter(self, viewer: Viewer) -> None:
        """It has got everything that was delivered before."""
        viewer.is_level = True
        self._level[viewer] = None

    def leave(self, viewer: Viewer) -> None:
        viewer.is_level = False
        self._level.pop(viewer, None)

    # -- what they are given

    def deliver(self, events: Sequence[Event]) -> None:
        """Take events that follow each other. After a gap, whoever has not got all before it will
        be sent to reload."""
        if self._newest:
            if events[0].offset <= self._newest:
                events = [event for event in events if event.offset > self._newest]
                if not events:
                    return
            elif events[0].offset > self._newest + 1:
                self._drop_pending()
        self._newest = events[-1].offset
        self._arrived += events
        if self._next is None:
            if self._is_overfull():
                # What is chosen from is what comes in a window, or the first would always win.
                self._after(WINDOW_SECONDS, self._begin)
            else:
                self._begin()
        elif self._lap and not self._is_overfull():
            self._decide()
            self._hurry()

    def hear(self, frame: bytes) -> None:
        """Take an unlogged frame."""
        self._riding[frames.type_of(frame)] = frame
        if self._next is None:
            self._begin()

    def clear(self) -> None:
        """The log is lost: nothing that came is given to anybody any more."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._drop_pending()
        self._riding.clear()
        self._lap = []
        self._newest = 0

    def _drop_pending(self) -> None:
        self._arrived.clear()
        self._pending.clear()
        self._omitted, self._authors = frozenset(), frozenset()
        self._carried = 0
        self._forget_blocks()

    # -- who gets to see what

    def _is_overfull(self) -> bool:
        """Whether more has arrived than a person can read."""
        if self._sampler is None:
            return False
        count = sum(1 for event in self._arrived if event.sampled_by)
        return not self._sampler.has_places(count, self._pace.now())

    def _decide(self) -> None:
        arrived, self._arrived = self._arrived, []
        if not arrived:
            return
        if self._sampler is not None:
            chosen = self._sampler.sample(arrived, self._pace.now())
            if chosen.omitted:
                self._omitted |= chosen.omitted
                self._authors |= chosen.authors
        self._pending += arrived
        self._forget_blocks()

    def _forget_blocks(self) -> None:
        self._blocks = {}
        self._whole = {}

    # -- laps

    def _begin(self) -> None:
        self._decide()
        self._tail = b"".join(self._riding.values())
        self._riding.clear()
        self._forget_blocks()
        self._lap = list(self._level)
        self._begun = self._pace.now()
        self._lasts = spread(self._pace.work(len(self._lap)))
        self._visited = 0
        self._carried = len(self._pending)
        if self._pending:
            if self._has_savings():
                self._lasts = 0.0
            self._savings.spend()
        self._slice()

    def _has_savings(self) -> bool:
        return self._savings.last(self._pace.work(len(self._lap)), self._pace.now())

    def _hurry(self) -> None:
        """Spread the rest of the lap no more, if there are savings for that."""
        if self._lasts and self._next is not None and self._has_savings():
            self._savings.spend()
            self._lasts = 0.0
            self._next.cancel()
            self._next = asyncio.get_running_loop().call_soon(self._slice)

    def _slice(self) -> None:
        self._next = None
        begun = self._pace.now()
        start, self._visited = self._visited, self._visited + SLICE
        self._visit(self._lap[start : self._visited])
        if self._visited < len(self._lap):
            # uvloop writes at the end of this turn of the loop; the next one sees what it took.
            self._next = asyncio.get_running_loop().call_soon(self._sliced, begun)
        else:
            self._end()

    def _sliced(self, begun: float) -> None:
        now = self._pace.now()
        self._pace.learn(SLICE, now - begun)
        if not self._lasts:
            self._slice()
            return
        # By the lap's own clock, as libuv's milliseconds would add up; and whoever is late leaves
        # as much time to others as he takes.
        due = self._begun + self._lasts * self._visited / len(self._lap)
        self._after(max(due - now, SLICE * self._pace.visit_seconds), self._slice)

    def _end(self) -> None:
        rest = 0.0
        if not self._has_savings():
            rest = rest_after(self._pace.work(len(self._lap)))
            if rest and self._lasts:
                rest += max(self._begun + self._lasts - self._pace.now(), 0.0)
        self._lap = []
        self._tail = b""
        if self._carried:
            del self._pending[: self._carried]
            first = self._newest - len(self._pending) - len(self._arrived)
            self._omitted = frozenset(one for one in self._omitted if one > first)
            if not self._omitted:
                self._authors = frozenset()
        self._forget_blocks()
        if rest:
            self._after(rest, self._rested)
        elif self._pending or self._arrived or self._riding:
            self._next = asyncio.get_running_loop().call_soon(self._begin)

    def _rested(self) -> None:
        self._next = None
        if self._pending or self._arrived or self._riding:
            self._begin()

    def _after(self, seconds: float, step: Callable[[], None]) -> None:
        self._next = asyncio.get_running_loop().call_later(seconds, step)

    # -- visits

    def _visit(self, viewers: Iterable[Viewer]) -> None:
        blocks, newest = self._blocks, self._newest - len(self._arrived)
        is_sampled = bool(self._omitted)
        for viewer in viewers:
            if not viewer.is_level:
                continue
            offset = viewer.offset
            if is_sampled and (viewer.sees_all or viewer.principal.id in self._authors):
                block = self._special(viewer)
            elif offset in blocks:
                block = blocks[offset]
            else:
                block = blocks[offset] = self._block(offset)
            if not block:
                if offset < newest:
                    viewer.close(CloseCode.LOG_LOST)
                continue
            if offset < newest:
                viewer.offset = newest
            viewer.send(block)

    def _special(self, viewer: Viewer) -> bytes:
        """For those who see all, and for whoever sees what he said himself."""
        if not viewer.sees_all:
            return self._block(viewer.offset, author_id=viewer.principal.id)
        block = self._whole.get(viewer.offset)
        if block is None:
            block = self._whole[viewer.offset] = self._block(viewer.offset, sees_all=True)
        return block

    def _block(self, offset: int, *, sees_all: bool = False, author_id: str = "") -> bytes:
        """What comes after an offset; empty when there is nothing, or a gap."""
        newest = self._newest - len(self._arrived)
        if offset >= newest:
            return self._tail
        first = newest - len(self._pending)
        if offset < first:
            return b""
        events = self._pending[offset - first :]
        if self._omitted and not sees_all:
            sampled = Sampled(events, self._omitted, self._authors)
            parts = [block.frame for block in sampled.blocks(author_id)]
        else:
            parts = [event.frame for event in events]
        if self._tail:
            parts.append(self._tail)
        return parts[0] if len(parts) == 1 else b"".join(parts)
