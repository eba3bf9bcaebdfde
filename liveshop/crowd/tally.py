"""What a crowd counted. Each process has its own; they are added up into one."""

from typing import Literal, TypeVar

import msgspec
from msgspec import field

from liveshop.crowd.histogram import Histogram
from liveshop.crowd.sequence import Record, Span

_K = TypeVar("_K")
Outcome = Literal["right", "lost", "wrong_total", "unread"]
"""What reading back a placed order showed; `unread`: it could not be asked for."""


class Orders(msgspec.Struct):
    """`untried`: their buyers were not in yet when the show was over. `refused`: by the shop, which
    may refuse (sold out is an outcome); `failed`: by reason, where after all tries there was no
    answer or one that makes no sense. `tries`: requests. `twice`: one key gave two orders."""

    placed: int = 0
    untried: int = 0
    refused: dict[str, int] = {}
    failed: dict[str, int] = {}
    tries: int = 0
    twice: int = 0
    read_back: dict[str, int] = {}
    states: dict[str, int] = {}

    def add(self, other: "Orders") -> None:
        self.placed += other.placed
        self.untried += other.untried
        self.tries += other.tries
        self.twice += other.twice
        add_counts(self.refused, other.refused)
        add_counts(self.failed, other.failed)
        add_counts(self.read_back, other.read_back)
        add_counts(self.states, other.states)


class Chat(msgspec.Struct):
    """By mark. `seen`: at which place of the log a message was given to somebody of this crowd;
    `told`: read in a snapshot. `unanswered`: the connection ended before the answer came."""

    sent: int = 0
    acknowledged: set[str] = set()
    unanswered: set[str] = set()
    refused: dict[str, int] = {}
    seen: dict[str, tuple[str, int]] = {}
    told: set[str] = set()
    twice: int = 0

    def see(self, mark: str, epoch: str, offset: int) -> None:
        known = self.seen.setdefault(mark, (epoch, offset))
        if known[0] == epoch and known[1] != offset:
            self.twice += 1

    def add(self, other: "Chat") -> None:
        self.sent += other.sent
        self.acknowledged |= other.acknowledged
        self.unanswered |= other.unanswered
        self.told |= other.told
        self.twice += other.twice
        add_counts(self.refused, other.refused)
        for mark, (epoch, offset) in other.seen.items():
            self.see(mark, epoch, offset)


class Tally(msgspec.Struct):
    """`joins`: by the second in which somebody came in for the first time. `tries`: why coming in
    failed, though it may have succeeded later. `closes`: by close code, and how often a viewer who
    was in lost his connection. `behind`: (person, what he lacked) of those who were there at the
    end. `late`: how late this process itself was at its work."""

    planned: int = 0
    came_in: int = 0
    never_in: int = 0
    most_at_once: int = 0
    joins: dict[int, int] = {}
    joining: Histogram = field(default_factory=Histogram)
    tries: dict[str, int] = {}
    closes: dict[str, int] = {}
    turned_away: dict[str, int] = {}
    reconnects: int = 0
    reloads: int = 0
    reopened: int = 0
    away: Histogram = field(default_factory=Histogram)
    away_at_end: int = 0
    events: int = 0
    omitted: int = 0
    caught_up: int = 0
    delivery: Histogram = field(default_factory=Histogram)
    chat: Chat = field(default_factory=Chat)
    hearts: int = 0
    orders: Orders = field(default_factory=Orders)
    records: list[Record] = []
    behind: list[tuple[int, Span]] = []
    late: Histogram = field(default_factory=Histogram)
    faults: dict[str, int] = {}

    def add(self, other: "Tally") -> None:
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _COUNTS:
            add_counts(getattr(self, name), getattr(other, name))
        for name in _PARTS:
            getattr(self, name).add(getattr(other, name))
        self.records += other.records
        self.behind += other.behind


_SUMS = (
    "planned",
    "came_in",
    "never_in",
    "most_at_once",  # an upper bound: the processes may have been fullest at different times
    "reconnects",
    "reloads",
    "reopened",
    "away_at_end",
    "events",
    "omitted",
    "caught_up",
    "hearts",
)
_COUNTS = ("joins", "tries", "closes", "turned_away", "faults")
_PARTS = ("joining", "away", "delivery", "chat", "orders", "late")


class Tick(msgspec.Struct):
    """How it stands. `expected`: who should be there by now; `away`: those who were in, want to
    be, and are not. All counts are since the beginning."""

    elapsed: float = 0.0
    expected: int = 0
    here: int = 0
    away: int = 0
    came_in: int = 0
    failed_tries: int = 0
    reconnects: int = 0
    events: int = 0
    sent: int = 0
    acknowledged: int = 0
    refused: int = 0
    gaps: int = 0
    repeats: int = 0
    orders_placed: int = 0
    orders_refused: int = 0
    orders_failed: int = 0
    is_settling: bool = False
    delivery: Histogram = field(default_factory=Histogram)

    def add(self, other: "Tick") -> None:
        self.elapsed = max(self.elapsed, other.elapsed)
        self.is_settling = self.is_settling or other.is_settling
        self.delivery.add(other.delivery)
        for name in _TICK_SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


_TICK_SUMS = tuple(
    name for name in Tick.__struct_fields__ if name not in ("elapsed", "is_settling", "delivery")
)


def count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def add_counts(counts: dict[_K, int], others: dict[_K, int]) -> None:
    for name, number in others.items():
        counts[name] = counts.get(name, 0) + number
