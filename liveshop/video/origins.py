"""Which node has a show's video: the one that its encoder or its host's browser is connected to.

The newest publisher's node is the origin of its show. It says so in the database, which all nodes
share, and says so again every second; the others pass their viewers' requests on to it. Not in
Redis: video goes on while that is away. While the database is away, what was known last holds.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from liveshop.kernel.ids import ShowId
from liveshop.storage import StorageUnavailable

_log = structlog.get_logger("origins")

ROUND_SECONDS: Final = 1.0
LEASE: Final = timedelta(seconds=6)
"""An origin that was silent for so long is gone, by the database's clock."""
_KEPT_KNOWN_SECONDS: Final = 10.0
_MOST_KEPT_KNOWN: Final = 1000


@dataclass(frozen=True, slots=True)
class Origin:
    """`url`: how other nodes reach the node. `since`: when it became the origin. `is_sending`:
    whether somebody sent to it when it last said so. `is_alive`: whether that was lately."""

    show_id: ShowId
    node: str
    url: str
    since: datetime
    is_sending: bool
    is_alive: bool


class OriginBook(Protocol):
    """Where origins are written down. Each raises StorageUnavailable."""

    async def claim(self, show_id: ShowId) -> None:
        """This node is the show's origin from now on, whichever was before."""

    async def renew(self, held: Mapping[ShowId, bool]) -> set[ShowId]:
        """This node still has the video of these shows, and whether somebody sends it; those of
        them that no other node has claimed since."""

    async def all(self) -> Sequence[Origin]:
        """Of the shows that are not over, and all that are alive."""

    async def of(self, show_id: ShowId) -> Origin | None:
        """Of any show: also of one that was over long ago."""


class Video(Protocol):
    """What is sent to this node."""

    def publishers(self) -> Mapping[ShowId, object]:
        """Who sends now, to which shows. One who comes again is another one."""

    def has_stream(self, show_id: ShowId) -> bool: ...

    def watched(self) -> Collection[ShowId]:
        """Shows of which a member of staff waits here for what arrives, and nobody sends it."""

    def let_go(self, show_id: ShowId) -> None: ...


class RemoteSender:
    """Whoever sends to a show by another node; for encoders here that wait until he stops."""

    def __init__(self, origins: "Origins", show_id: ShowId) -> None:
        self._origins = origins
        self._show_id = show_id

    @property
    def is_current(self) -> bool:
        return self._origins.elsewhere(self._show_id) is not None

    def was_sending(self, seconds: float) -> bool:
        """As of about a second ago, whatever `seconds` says."""
        origin = self._origins.elsewhere(self._show_id)
        return origin is not None and origin.is_sending


class Origins:
    """`run()` belongs to the application's background work."""

    def __init__(
        self,
        book: OriginBook,
        video: Video,
        *,
        node: str,
        round_seconds: float = ROUND_SECONDS,
    ) -> None:
        self.node = node
        self._book = book
        self._video = video
        self.on_gone: Callable[[Origin], Awaitable[None]] = _nobody_mourns
        """Told once by each node of an origin that died while somebody sent to it."""
        self._round_seconds = round_seconds
        self._held: dict[ShowId, object] = {}
        """The publisher by whom each show was claimed last."""
        self._elsewhere: dict[ShowId, Origin] = {}
        """Living ones on other nodes, as of the last round that the database answered."""
        self._mourned: set[tuple[str, ShowId, datetime]] = set()
        self._kept: dict[ShowId, tuple[float, Origin | None]] = {}
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()

    def elsewhere(self, show_id: ShowId) -> Origin | None:
        """Where the show's video is, if that is not here."""
        return self._elsewhere.get(show_id)

    def sender_to(self, show_id: ShowId) -> RemoteSender | None:
        return RemoteSender(self, show_id) if show_id in self._elsewhere else None

    def published(self) -> None:
        """Somebody has begun to send to this node."""
        self._wake.set()

    async def kept(self, show_id: ShowId) -> Origin | None:
        """Which other node had the show's video last, so that its recording may lie there; whether
        or not it is alive. Asked for again after some seconds. Raises StorageUnavailable."""
        at = asyncio.get_running_loop().time()
        known = self._kept.get(show_id)
        if known is not None and at - known[0] < _KEPT_KNOWN_SECONDS:
            return known[1]
        found = await self._book.of(show_id)
        if found is not None and found.node == self.node:
            found = None
        if len(self._kept) >= _MOST_KEPT_KNOWN:
            self._kept.clear()
        self._kept[show_id] = at, found
        return found

    async def was_last(self, show_id: ShowId) -> bool:
        """Whether no other node had the show's video after this one. Raises StorageUnavailable."""
        found = await self._book.of(show_id)
        return found is None or found.node == self.node

    async def run(self) -> None:
        """Until cancelled. May be called again after it broke."""
        is_away = False
        while True:
            self._wake.clear()
            try:
                await self.round()
                is_away = False
            except StorageUnavailable as error:
                if not is_away:
                    _log.warning("origins_wait", reason=error.detail)
                is_away = True
            try:
                async with asyncio.timeout(self._round_seconds):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def round(self) -> None:
        """Claim, renew, look where the others are, and let go of what is elsewhere by now. Raises
        StorageUnavailable."""
        async with self._turn:
            await self._claim()
            publishers = self._video.publishers()
            held = {one: one in publishers for one in self._held if self._video.has_stream(one)}
            still = await self._book.renew(held) if held else set()
            found = await self._book.all()
            self._elsewhere = {
                one.show_id: one for one in found if one.is_alive and one.node != self.node
            }
            self._held = {one: by for one, by in self._held.items() if one in still}
            for show_id in (held.keys() - still) | self._misplaced():
                # Who came while the database was asked claims it in the next round.
                if self._video.publishers().get(show_id) is publishers.get(show_id):
                    _log.info("video_is_elsewhere", show_id=show_id)
                    self._video.let_go(show_id)
        await self._mourn(found)

    async def settle(self) -> None:
        """Whoever sends here now is written down as the show's origin when this returns. Raises
        StorageUnavailable."""
        async with self._turn:
            await self._claim()

    async def _claim(self) -> None:
        for show_id, publisher in dict(self._video.publishers()).items():
            if self._held.get(show_id) is not publisher:
                await self._book.claim(show_id)
                self._held[show_id] = publisher

    def _misplaced(self) -> set[ShowId]:
        return {one for one in self._video.watched() if one in self._elsewhere}

    async def _mourn(self, found: Sequence[Origin]) -> None:
        dead = {
            (one.node, one.show_id, one.since): one
            for one in found
            if one.node != self.node and not one.is_alive
        }
        self._mourned &= dead.keys()
        for key in dead.keys() - self._mourned:
            if dead[key].is_sending:
                _log.warning("origin_gone", show_id=dead[key].show_id, node=dead[key].node)
                await self.on_gone(dead[key])
            self._mourned.add(key)


async def _nobody_mourns(_: Origin) -> None:
    return None
