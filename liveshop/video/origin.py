"""When media time zero was, by this server's clock: the least (arrival − timestamp) heard lately.

Only delay can be added on the way, so the least delayed picture tells best; the first one does not
(a start-up burst was 246 ms off). A window, because clocks drift and networks change.
"""

from collections import deque
from datetime import datetime, timedelta
from typing import Final

_WINDOW: Final = timedelta(seconds=15)
_GRAIN: Final = timedelta(milliseconds=100)
"""Arrivals this close together are remembered as one, so that a window holds at most 150."""


class ArrivalOrigin:
    """Make a new one where the timestamps start over. Pure."""

    def __init__(self, window: timedelta = _WINDOW) -> None:
        self._window = window
        self._least: deque[tuple[datetime, datetime]] = deque()
        """(arrival, origin), both ascending: whoever is later and not greater rules the others."""

    def heard(self, now: datetime, media_seconds: float) -> datetime:
        """A picture of that timestamp has arrived. The wall time of media zero as known now."""
        least = self._least
        heard = now - timedelta(seconds=media_seconds)
        while least and least[-1][1] >= heard:
            least.pop()
        # A greater one rules only when the ones before it are forgotten, and then lasts a grain
        # less; a clock that was set back has emptied the window above.
        if not least or now - least[-1][0] >= _GRAIN:
            least.append((now, heard))
        while now - least[0][0] > self._window:
            least.popleft()
        return least[0][1]
