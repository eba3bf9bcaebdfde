"""Rooms whose log misses an event, because Redis did not take it or did not say so: each has to
begin a new epoch before anything else happens in it."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Debt:
    is_due: bool = False
    """Whatever the names say."""
    intents: int = 0
    """Of this node, that the renewal takes back."""
    doubtful: list[str] = field(default_factory=list)
    """Names of appends that may still be on their way, and must not be done after it."""
    names: list[str] = field(default_factory=list)
    """Each is good for one renewal, however often it is asked for."""

    def add(self, other: "Debt") -> None:
        self.is_due |= other.is_due
        self.intents += other.intents
        self.doubtful += other.doubtful
        self.names += other.names


class Debts:
    def __init__(self) -> None:
        self._by_room: dict[str, Debt] = {}

    def __len__(self) -> int:
        return len(self._by_room)

    def __contains__(self, room: str) -> bool:
        return room in self._by_room

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._by_room))

    def add(self, room: str, debt: Debt) -> None:
        self._by_room.setdefault(room, Debt()).add(debt)

    def take(self, room: str) -> Debt:
        """Whoever cannot pay it adds it again."""
        return self._by_room.pop(room, None) or Debt()
