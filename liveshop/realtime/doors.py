"""Who may come into a room: read once for all who come while nothing changes there.

Thousands come in the same seconds, and for each of them the show was read twice. What is read is
kept while the room's mark stays the same, at most a second. The mark changes with everything the
shop itself says in the room and when the room is sent away, and there is none before this node
hears of that. So this lets nobody in whom a fresh look would not have let in at the time of his
coming, but one whose news of the change is on its way here: and that news sends him away, as it
does whoever was in the room.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from liveshop.web.access import Principal

KEPT_SECONDS = 1.0
_MAX_ROOMS = 1000

T = TypeVar("T")
RoomAccess = Callable[[str, Principal], Awaitable[object]]
"""`(show_id, principal)`: raises a ShopError when there is no such show for this principal."""
Judge = Callable[[Principal], T]
"""The show as this principal may know of it. Raises a ShopError when there is none for him."""
Look = Callable[[str], Awaitable[Judge[T]]]
"""`show_id` -> what decides about it as it is now."""


@dataclass(slots=True)
class _Kept(Generic[T]):
    mark: int
    begun: float
    judge: "asyncio.Future[Judge[T]]"


class Doors(Generic[T]):
    def __init__(
        self,
        look: Look[T],
        mark: Callable[[str], int | None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._mark = mark
        self._monotonic = monotonic
        self._kept: dict[str, _Kept[T]] = {}

    async def check(self, show_id: str, who: Principal) -> T:
        """The show. Raises a ShopError when there is none for this principal."""
        mark = self._mark(show_id)
        if mark is None:
            judge = await self._look(show_id)
        else:
            judge = await self._shared(show_id, mark)
        return judge(who)

    async def _shared(self, show_id: str, mark: int) -> Judge[T]:
        now = self._monotonic()
        kept = self._kept.get(show_id)
        if kept is None or kept.mark != mark or now - kept.begun > KEPT_SECONDS:
            if len(self._kept) >= _MAX_ROOMS:
                self._kept.clear()
            kept = _Kept(mark, now, asyncio.ensure_future(self._look(show_id)))
            self._kept[show_id] = kept
            kept.judge.add_done_callback(lambda done: self._forget_failed(show_id, done))
        # Shielded: one who goes away must not take the others' answer along.
        return await asyncio.shield(kept.judge)

    def _forget_failed(self, show_id: str, done: "asyncio.Future[Judge[T]]") -> None:
        kept = self._kept.get(show_id)
        if kept is not None and kept.judge is done and (done.cancelled() or done.exception()):
            del self._kept[show_id]
