"""The time, as an argument: one clock per process, replaced by hand in tests."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

EARLIEST_YEAR, LATEST_YEAR = 2000, 2200
"""What people may enter as a moment: further out, time zones and databases overflow."""


def bounded(moment: datetime) -> datetime:
    """The moment, or the nearest one that people may enter; in UTC."""
    if moment.year < EARLIEST_YEAR:
        return datetime(EARLIEST_YEAR, 1, 1, tzinfo=UTC)
    if moment.year > LATEST_YEAR:
        return datetime(LATEST_YEAR + 1, 1, 1, tzinfo=UTC)
    return moment.astimezone(UTC)


class Clock(Protocol):
    def now(self) -> datetime:
        """The current time, aware, UTC, cut to microseconds."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until it is told to move. For tests and rehearsals."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("ManualClock needs an aware datetime")
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def advance(self, step: timedelta) -> None:
        self._now += step


def rfc3339(moment: datetime) -> str:
    """`2026-11-21T19:00:00.123Z`: milliseconds are enough for people and for playheads."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"
