"""Which of a crowd's messages viewers see, once there are more than a person can read. Pure.

Nothing is dropped: the log, the record, hosts and moderators have everything, and for each run
that is left out viewers get one frame that says how many messages it stands for. So the frames a
viewer gets still cover the room's offsets without a gap.

Fair between authors: a place goes to whoever has waited longest since a message of his was shown.
Somebody new counts as one who has waited for `_NEW_SECONDS`: he goes before those who were shown
within that time, and never before those who have been waiting for longer, so nobody is starved
by ever new names.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from liveshop.realtime.frames import text_frame
from liveshop.realtime.model import Event

_NEW_SECONDS = 10.0
_MAX_AUTHORS = 10_000


@dataclass(frozen=True, slots=True)
class Block:
    """A finished frame and the offsets it stands for: one event, or a run that is left out."""

    first: int
    last: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Sampled:
    """The events of a flush as different people get them. Hosts and moderators get `events`, and
    so does a connection that is in the middle of them."""

    events: Sequence[Event]
    omitted: frozenset[int]
    """The offsets of events that viewers do not see, but for their own."""
    authors: frozenset[str]
    """Whose they are: everybody else gets `blocks()`, each of these `blocks(author_id)`."""

    def blocks(self, author_id: str = "") -> list[Block]:
        """What a viewer gets, in order and without a gap; his own messages are all there."""
        blocks: list[Block] = []
        first = None
        for event in self.events:
            if event.offset in self.omitted and event.sampled_by != author_id:
                first = event.offset if first is None else first
                continue
            if first is not None:
                blocks.append(_more(first, event.offset - 1))
                first = None
            blocks.append(Block(event.offset, event.offset, event.frame))
        if first is not None:
            blocks.append(_more(first, self.events[-1].offset))
        return blocks


class Sampler:
    """For one room. At most `per_second` messages a second are shown, and at most as many at
    once as in a second; below that everything is."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._places = float(per_second)
        self._filled_at: float | None = None
        self._since: dict[str, float] = {}
        """Since when each author has been waiting; whoever spoke last is at the end."""

    def has_places(self, count: int, now: float) -> bool:
        """Whether so many messages would all be shown."""
        self._refill(now)
        return count <= self._places

    def sample(self, events: Sequence[Event], now: float) -> Sampled:
        """Decide about events that follow each other; `now` in seconds, never going back.

        Events with an empty `sampled_by` are always shown and take nobody's place.
        """
        self._refill(now)
        candidates = [event for event in events if event.sampled_by]
        shown = self._choose(candidates, now)
        self._places -= len(shown)
        left_out = [event for event in candidates if event.offset not in shown]
        return Sampled(
            events,
            frozenset(event.offset for event in left_out),
            frozenset(event.sampled_by for event in left_out),
        )

    def _refill(self, now: float) -> None:
        if self._filled_at is not None:
            gained = (now - self._filled_at) * self._per_second
            self._places = min(self._per_second, self._places + gained)
        self._filled_at = now

    def _choose(self, candidates: Sequence[Event], now: float) -> set[int]:
        """The offsets of those that are shown; of equals the first, as that makes few runs."""
        waiting: dict[str, list[int]] = {}
        for event in reversed(candidates):
            waiting.setdefault(event.sampled_by, []).append(event.offset)
        for author_id in waiting:
            self._since[author_id] = self._since.pop(author_id, now - _NEW_SECONDS)
        queue = [
            (self._since[author_id], offsets[-1], author_id)
            for author_id, offsets in waiting.items()
        ]
        heapq.heapify(queue)
        shown: set[int] = set()
        while queue and len(shown) + 1 <= self._places:
            _, offset, author_id = heapq.heappop(queue)
            shown.add(offset)
            self._since[author_id] = now
            offsets = waiting[author_id]
            offsets.pop()
            if offsets:
                heapq.heappush(queue, (now, offsets[-1], author_id))
        while len(self._since) > _MAX_AUTHORS:
            del self._since[next(iter(self._since))]
        return shown


def _more(first: int, last: int) -> Block:
    """`from` and `o` are the first and the last offset that are left out."""
    payload = b'{"t":"more","o":%d,"from":%d,"d":{"count":%d}}' % (last, first, last - first + 1)
    return Block(first, last, text_frame(payload))
