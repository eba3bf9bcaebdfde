"""All that a show's viewers were sent while somebody listened: which seconds are heard, how large
the pictures are, how late the clock in them.

A click begins each second of the host's, so each second that is lost shows as an interval.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from bench.video_media import decode
from video_house import VideoHouse

_POLL_SECONDS = 1.0
_GAP_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Gap:
    at: float
    """Since 1970, by the dates of the stream: the last click before it."""
    seconds: float
    """Longer than from one click to the next."""


@dataclass(slots=True)
class _Run:
    """Segments that play after one init section without a break."""

    init: bytes
    began: datetime
    ends_at: float
    media: bytes = b""


@dataclass(slots=True)
class Listened:
    clicks: list[float] = field(default_factory=list)
    """By the dates of the stream, since 1970."""
    clocks: list[tuple[float, int]] = field(default_factory=list)
    """(when a picture is shown, what its barcode says in ms)"""

    apart: list[float] = field(default_factory=list)
    """Milliseconds from each flash to its click; late sound is above zero."""

    def apart_ms(self) -> list[float]:
        assert self.apart, "no click near a flash"
        return self.apart

    def gaps(self, since: float = 0.0, until: float = 1e12) -> list[Gap]:
        within = [at for at in self.clicks if since <= at <= until]
        return [
            Gap(one, later - one - 1.0)
            for one, later in pairwise(within)
            if later - one - 1.0 > _GAP_SECONDS
        ]


@dataclass(slots=True)
class Listening:
    house: VideoHouse
    _runs: list[_Run] = field(default_factory=list)
    _inits: dict[str, bytes] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)
    _current: str = ""

    async def forever(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(_POLL_SECONDS)

    async def _look(self) -> None:
        status, text = await self.house.fetch("GET", f"{self.house.hls}/video/live.m3u8")
        if status != 200:
            return
        init, date, is_new = "", None, False
        seconds = 0.0
        for line in str(text).splitlines():
            if line.startswith("#EXT-X-MAP:"):
                init = line.partition('URI="')[2].partition('"')[0]
            elif line.startswith("#EXT-X-DISCONTINUITY") and "SEQUENCE" not in line:
                is_new = True
            elif line.startswith("#EXT-X-PROGRAM-DATE-TIME:"):
                date = datetime.fromisoformat(line.partition(":")[2])
            elif line.startswith("#EXTINF:"):
                seconds = float(line.partition(":")[2].rstrip(","))
            elif line.startswith("segment-"):
                assert date is not None
                if line not in self._known:
                    self._known.add(line)
                    await self._take(line, init, date, seconds, is_new=is_new)
                is_new = False

    async def _take(
        self, name: str, init: str, date: datetime, seconds: float, *, is_new: bool
    ) -> None:
        if init not in self._inits:
            self._inits[init] = await self._fetched(init)
        if is_new or init != self._current or not self._runs:
            self._current = init
            self._runs.append(_Run(self._inits[init], date, 0.0))
        run = self._runs[-1]
        run.media += await self._fetched(name)
        run.ends_at = date.timestamp() + seconds

    async def _fetched(self, name: str) -> bytes:
        status, data = await self.house.fetch("GET", f"{self.house.hls}/video/{name}")
        assert status == 200, name
        return bytes(data)

    def _listen(self) -> Listened:
        found = Listened()
        for run in self._runs:
            heard = decode(run.init + run.media)
            began = run.began.timestamp() - heard.first_dts
            found.clicks += [began + at for at in heard.clicks]
            found.clocks += [(began + at, ms) for at, ms in heard.clocks]
            found.apart += heard.apart_ms
        return found

    async def told(self) -> Listened:
        await self._look()
        return await asyncio.to_thread(self._listen)

    @property
    def runs(self) -> list[tuple[float, float]]:
        return [(run.began.timestamp(), run.ends_at) for run in self._runs]


@asynccontextmanager
async def listening(house: VideoHouse) -> AsyncIterator[Listening]:
    begun = Listening(house)
    task = asyncio.create_task(begun.forever())
    try:
        yield begun
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
