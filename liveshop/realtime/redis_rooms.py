"""The rooms that have receivers on this node: how far each was delivered, and in which epoch.

An answer of Redis may be overtaken by another one on its way here. So whoever asks notes how often
the room's epoch has changed here before he asks, and believes an answer with another epoch only
if it has not changed again since.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from liveshop.realtime import frames
from liveshop.realtime.broker import Receiver
from liveshop.realtime.model import Draft, Event


@dataclass(slots=True, eq=False)
class Place:
    room: str
    epoch: str
    offset: int
    """The last event that was delivered."""
    changes: int = 0
    """How often the epoch has changed."""
    is_new: bool = False
    """Whether nothing of this epoch was delivered yet, so that it may begin with any event."""
    receivers: dict[Receiver, int] = field(default_factory=dict)
    """Each with the last event that is not for him."""

    def deliver(self, events: Sequence[Event]) -> None:
        """Those that have not been delivered; what cannot be delivered any more is told."""
        events = [event for event in events if event.offset > self.offset]
        if not events:
            return
        first = events[0].offset
        if first != self.offset + 1 and not self.is_new:
            self._tell_loss()
        self.offset, self.is_new = events[-1].offset, False
        for receiver, after in tuple(self.receivers.items()):
            heard = events if after < first else [e for e in events if e.offset > after]
            if heard:
                receiver.deliver(self.room, heard)

    def change_to(self, epoch: str) -> None:
        self.epoch, self.offset, self.is_new = epoch, 0, True
        self.changes += 1
        self.receivers = dict.fromkeys(self.receivers, 0)
        self._tell_loss()

    def _tell_loss(self) -> None:
        for receiver in tuple(self.receivers):
            receiver.log_lost(self.room)


@dataclass(frozen=True, slots=True)
class Question:
    """How a room stood here when Redis was asked about it."""

    room: str
    place: Place | None
    changes: int
    epoch: str
    offset: int


class Places:
    """`version` changes whenever something else is to be read."""

    def __init__(self) -> None:
        self.version = 0
        self._by_room: dict[str, Place] = {}

    def __contains__(self, room: str) -> bool:
        return room in self._by_room

    def __iter__(self) -> Iterator[Place]:
        return iter(tuple(self._by_room.values()))

    def get(self, room: str) -> Place | None:
        return self._by_room.get(room)

    def add(self, receiver: Receiver, room: str, epoch: str, offset: int) -> None:
        """From the event after `offset` on."""
        place = self._by_room.get(room)
        if place is None:
            place = self._by_room[room] = Place(room, epoch, offset)
            self.version += 1
        place.receivers.setdefault(receiver, offset)

    def remove(self, receiver: Receiver, room: str) -> None:
        place = self._by_room.get(room)
        if place is not None:
            place.receivers.pop(receiver, None)
            if not place.receivers:
                del self._by_room[room]

    def question(self, room: str) -> Question:
        place = self._by_room.get(room)
        if place is None:
            return Question(room, None, 0, "", 0)
        return Question(room, place, place.changes, place.epoch, place.offset)

    def settles(self, asked: Question, epoch: str) -> bool:
        """Whether the answer fits what is delivered here, from now on at the latest."""
        place = self._by_room.get(asked.room)
        if place is None or place.epoch == epoch:
            return True
        if place is not asked.place or place.changes != asked.changes:
            return False  # not to be told which is newer
        place.change_to(epoch)
        self.version += 1
        return True


def event_of(entry_id: bytes, fields: Sequence[bytes]) -> Event:
    """From a stream's entry, the same bytes on every node."""
    type_, at, data, sampled_by = fields[1], fields[3], fields[5], fields[7]
    draft = Draft(type_.decode(), datetime.fromisoformat(at.decode()), data, sampled_by.decode())
    return frames.event(draft, int(entry_id.partition(b"-")[0]))
