"""How much and how often somebody sends, counted over a while. Pure."""

from collections import deque
from typing import Final

_MINUTE: Final = 60.0


class Rate:
    """What came in the last seconds, counted by the second."""

    def __init__(self, per_second: int, seconds: int) -> None:
        self._limit = per_second * seconds
        self._counts = [0] * seconds
        self._second = 0

    def is_over(self, count: int, seconds: float) -> bool:
        """Count these."""
        second = int(seconds)
        size = len(self._counts)
        for passed in range(self._second + 1, min(second, self._second + size) + 1):
            self._counts[passed % size] = 0
        if second - self._second > size:
            self._counts = [0] * size
        self._second = max(second, self._second)
        self._counts[second % size] += count
        return sum(self._counts) > self._limit


class Frequency:
    """At most so many a minute."""

    def __init__(self, limit: int) -> None:
        self._times: deque[float] = deque(maxlen=limit + 1)
        self._limit = limit

    def is_over(self, seconds: float) -> bool:
        """Count one more."""
        self._times.append(seconds)
        return len(self._times) > self._limit and seconds - self._times[0] < _MINUTE
