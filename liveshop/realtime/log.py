"""The log of one room: the last events, numbered without gaps, bounded by number and by bytes."""

from collections import deque
from collections.abc import Sequence
from itertools import islice

from liveshop.realtime import frames
from liveshop.realtime.model import Draft, Event, Position

MAX_BYTES = 16 * 1024 * 1024  # a lineup of large products weighs far more than a chat message


class RoomLog:
    def __init__(self, epoch: str, *, size: int, max_bytes: int = MAX_BYTES) -> None:
        self.epoch = epoch
        self.offset = 0
        self._size = size
        self._max_bytes = max_bytes
        self._bytes = 0
        self._events: deque[Event] = deque()

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.offset)

    def append(self, drafts: Sequence[Draft]) -> list[Event]:
        added = []
        for draft in drafts:
            self.offset += 1
            event = frames.event(draft, self.offset)
            self._events.append(event)
            self._bytes += len(event.frame)
            added.append(event)
        while len(self._events) > self._size or self._bytes > self._max_bytes:
            self._bytes -= len(self._events.popleft().frame)
        return added

    def since(self, position: Position, *, limit: int) -> list[Event] | None:
        """Up to `limit` events after a position, or None when they are not all known any more."""
        if position.epoch != self.epoch or not 0 <= position.offset <= self.offset:
            return None
        forgotten = self.offset - len(self._events)
        if position.offset < forgotten:
            return None
        start = position.offset - forgotten
        return list(islice(self._events, start, start + limit))
