"""Durations counted so that percentiles of several processes can be merged exactly.

Buckets are as wide as 1/64 of the value (as in HdrHistogram), so a percentile is at most 1.6 % too
high and never too low.
"""

from collections.abc import Iterable

import msgspec

_HALF = 64
_EXACT = 2 * _HALF


class Histogram(msgspec.Struct):
    """Of microseconds. `most` is exact."""

    buckets: dict[int, int] = {}
    count: int = 0
    most: int = 0

    def record(self, seconds: float, times: int = 1) -> None:
        """What is below zero counts as zero."""
        value = max(0, int(seconds * 1e6))
        index = _index(value)
        self.buckets[index] = self.buckets.get(index, 0) + times
        self.count += times
        self.most = max(self.most, value)

    def percentile(self, share: float) -> float | None:
        """Seconds within which a share of 0..1 lies; None while nothing was recorded."""
        if not self.count:
            return None
        wanted = max(1.0, share * self.count)
        passed = 0
        for index in sorted(self.buckets):
            passed += self.buckets[index]
            if passed >= wanted:
                return min(_highest(index), self.most) / 1e6
        return self.most / 1e6

    @property
    def longest(self) -> float | None:
        """Seconds."""
        return self.most / 1e6 if self.count else None

    def add(self, other: "Histogram") -> None:
        for index, times in other.buckets.items():
            self.buckets[index] = self.buckets.get(index, 0) + times
        self.count += other.count
        self.most = max(self.most, other.most)


def merged(parts: Iterable[Histogram]) -> Histogram:
    whole = Histogram()
    for part in parts:
        whole.add(part)
    return whole


def _index(value: int) -> int:
    if value < _EXACT:
        return value
    shift = value.bit_length() - _EXACT.bit_length() + 1
    return shift * _HALF + (value >> shift)


def _highest(index: int) -> int:
    """The largest value of a bucket."""
    if index < _EXACT:
        return index
    shift = index // _HALF - 1
    return ((index % _HALF + _HALF + 1) << shift) - 1
