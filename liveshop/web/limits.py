"""Rate limits by key (an address, a viewer): token buckets in memory, bounded in number.

Per node on purpose: a limit protects a node's work, it is not a promise to anybody.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass

from liveshop.kernel.errors import RateLimited


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`burst` at once, refilled at `per_second`."""

    burst: float
    per_second: float


class RateLimiter:
    def __init__(self, limit: RateLimit, *, max_keys: int = 50_000) -> None:
        self._limit = limit
        self._max_keys = max_keys
        self._full_after = limit.burst / limit.per_second if limit.per_second else math.inf
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(self, key: str, now: float, *, cost: float = 1.0) -> float:
        """Take `cost` from the bucket of `key`; 0.0 when allowed, else how long to wait.

        `now` is in seconds of any clock that does not run backwards.
        """
        tokens, at = self._buckets.pop(key, (self._limit.burst, now))
        tokens = min(self._limit.burst, tokens + max(0.0, now - at) * self._limit.per_second)
        wait = 0.0 if tokens >= cost else (cost - tokens) / self._limit.per_second
        # The later moment, so that a wall clock set back refills nothing twice.
        self._buckets[key] = (tokens - cost if wait == 0.0 else tokens, max(at, now))
        self._forget(now)
        return wait

    def _forget(self, now: float) -> None:
        """A bucket that is full again says nothing; the longest unused stands first."""
        full_since = now - self._full_after
        while self._buckets:
            if len(self._buckets) <= self._max_keys:
                _, at = next(iter(self._buckets.values()))
                if at >= full_since:
                    return
            self._buckets.popitem(last=False)

    def check(self, key: str, now: float, detail: str) -> None:
        """Raises RateLimited with `retry_after`."""
        wait = self.wait_seconds(key, now)
        if wait:
            raise RateLimited(detail, retry_after=round(wait + 0.05, 1))
