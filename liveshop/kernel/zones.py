"""Time zones by name, all of them read once: a loop must not wait for a file."""

from collections.abc import Mapping
from functools import cache
from zoneinfo import ZoneInfo, available_timezones


@cache
def time_zones() -> Mapping[str, ZoneInfo]:
    """All time zones by name. Reads some hundred small files once: ask at the start."""
    return {name: ZoneInfo(name) for name in available_timezones()}
