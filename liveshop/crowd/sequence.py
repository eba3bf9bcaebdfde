"""What one viewer was given of a room's log, and what is wrong with it. Pure.

Kept as runs, not as numbers: a viewer who missed nothing is one run, however long the show was.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec


class Span(NamedTuple):
    """Offsets `first` to `last` of one epoch, both included."""

    epoch: str
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1


class Record(msgspec.Struct):
    """A viewer's whole log. `runs` follow each other; between two of them the server said that
    it must reload. `gaps` lie inside runs: nobody said anything."""

    person: int
    runs: list[Span] = []
    gaps: list[Span] = []
    repeats: int = 0
    out_of_order: int = 0

    @property
    def is_complete(self) -> bool:
        return not (self.gaps or self.repeats or self.out_of_order)


class Sequence:
    """Call `open` or `begin` where the log begins, `hear` for each logged frame."""

    __slots__ = ("_after", "epoch", "gaps", "last", "out_of_order", "repeats", "runs")

    def __init__(self) -> None:
        self.epoch = ""
        self.last = 0
        """The offset up to which everything was given or is known to be missing."""
        self.runs: list[Span] = []
        self.gaps: list[Span] = []
        self.repeats = 0
        self.out_of_order = 0
        self._after = 0

    def open(self, epoch: str, offset: int) -> None:
        """The next event is the one after `offset`, to which a snapshot was loaded. It may be older
        than what was given before: whoever opens the page anew has seen nothing."""
        self._end_run()
        self.epoch, self.last, self._after = epoch, offset, offset

    def begin(self, epoch: str, offset: int) -> None:
        """The next event is the one after `offset`: the server asked for a reload."""
        if epoch == self.epoch and offset < self.last:
            # A log that goes back without a new epoch gives two events one number.
            self.out_of_order += 1
        self.open(epoch, offset)

    def hear(self, first: int, last: int) -> None:
        """An event (`first == last`), or a frame that stands for all of these."""
        if first == self.last + 1:
            self.last = last
            return
        if first > self.last + 1:
            self.gaps.append(Span(self.epoch, self.last + 1, first - 1))
            self.last = last
            return
        late = self._fill(first, min(last, self.last))
        self.out_of_order += late
        self.repeats += min(last, self.last) - first + 1 - late
        self.last = max(last, self.last)

    def end(self, person: int) -> Record:
        self._end_run()
        return Record(person, self.runs, self.gaps, self.repeats, self.out_of_order)

    def missing_until(self, epoch: str, offset: int) -> Span | None:
        """What the end of the log lacks here, when the log has come to this position."""
        if self.epoch != epoch:
            return Span(epoch, 1, offset) if offset else None
        return Span(epoch, self.last + 1, offset) if self.last < offset else None

    def _end_run(self) -> None:
        if self.last > self._after:
            self.runs.append(Span(self.epoch, self._after + 1, self.last))
        self._after = self.last

    def _fill(self, first: int, last: int) -> int:
        """Takes what came late after all out of the gaps; how many that are."""
        late = 0
        left: list[Span] = []
        for gap in self.gaps:
            if gap.epoch != self.epoch or gap.last < first or gap.first > last:
                left.append(gap)
                continue
            late += min(gap.last, last) - max(gap.first, first) + 1
            left += _outside(gap, first, last)
        self.gaps = left
        return late


def _outside(gap: Span, first: int, last: int) -> Iterator[Span]:
    if gap.first < first:
        yield Span(gap.epoch, gap.first, first - 1)
    if gap.last > last:
        yield Span(gap.epoch, last + 1, gap.last)
