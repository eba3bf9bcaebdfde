"""The snapshot of a room: what a viewer's first screen needs, with its place in the event log.

It stands in `chat` because that is the lowest room which may see both the show and its chat. The
position is read *before* the state: events that arrive between the two are then applied again by
the client, which is harmless, and none is missed.

When a show begins, thousands ask for the same snapshot in the same seconds. It is made once for
all who ask while nothing happens in the room. Where something always happens, making one for each
change would be no sharing at all, so after the first few it is made about once a second. An older
one is as exact as a new one: whoever has it begins where its position says and is sent all later
events, so that what he sees is the same. What is in no log is added for each: the time, by which
browsers set their clocks, and the number of viewers.

While the rooms' logs cannot be reached, the state is still shown; its position belongs to no log,
so that the client is told to load again as soon as there is one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from liveshop.catalog.wire import Product
from liveshop.chat.service import ChatService
from liveshop.chat.wire import ChatSnapshot
from liveshop.kernel.clock import rfc3339
from liveshop.kernel.ids import ShowId
from liveshop.realtime import Hub, Position
from liveshop.realtime.doors import Doors
from liveshop.realtime.model import BrokerAway
from liveshop.realtime.wire import When
from liveshop.shows import store as shows_store
from liveshop.shows import wire as shows_wire
from liveshop.shows.model import (
    PINS_REMEMBERED,
    PINS_REPLAYED,
    CustomersOnly,
    Show,
    UnknownShow,
)
from liveshop.shows.service import ShowService, as_seen_by, room_of
from liveshop.storage import Database
from liveshop.web import PUBLIC, Call, Endpoint, Wire

_KEPT_SECONDS = 1.0
_AT_ONCE = 5.0
_PER_SECOND = 1.0
"""How many snapshots of a room are made because something happened there."""
_MAX_ROOMS = 1000
_NO_PLACE = Position("", 0)
_encode = msgspec.json.Encoder().encode


class Shared(Wire):
    """Of a snapshot, what is the same for everybody."""

    epoch: str
    offset: int
    show: shows_wire.Show
    products: list[Product]
    pins: list[shows_wire.Pin]
    video: shows_wire.VideoState
    chat: ChatSnapshot
    hearts: int


class Snapshot(Shared):
    """Apply the events of `epoch` after `offset` to this and it stays what a fresh one is."""

    at: When
    viewers: int


@dataclass(frozen=True, slots=True)
class Made:
    show: Show
    """As it was when this was made."""
    shared: bytes


@dataclass(slots=True)
class _Kept:
    version: int
    news: int
    log: int | None
    begun: float
    made: "asyncio.Future[Made]"
    left: float
    """How many more may be made because something happened, at `begun`."""


class Sharing:
    """By room. `news`: another number whenever something happens there; None: that cannot be
    told, so that nothing is shared. `log`: another number when its log is lost: what was made
    before has no place in the new one, and everybody asks at once."""

    def __init__(
        self,
        news: Callable[[str], int | None],
        monotonic: Callable[[], float],
        log: Callable[[str], int | None] = lambda _: None,
    ) -> None:
        self._news = news
        self._monotonic = monotonic
        self._log = log
        self._kept: dict[str, _Kept] = {}

    async def get(self, room: str, version: int, make: Callable[[], Awaitable[Made]]) -> Made:
        """`version`: of the show that is asked for; nothing is shared between two."""
        news = self._news(room)
        if news is None:
            return await make()
        now = self._monotonic()
        kept = self._kept.get(room)
        is_of_now = kept is not None and (kept.version, kept.log) == (version, self._log(room))
        if kept is None or not is_of_now or not self._is_good(kept, news, now):
            kept = self._begin(room, kept, now, make, version=version, news=news)
        # Shielded: one who goes away must not take the others' answer along.
        return await asyncio.shield(kept.made)

    @staticmethod
    def _is_good(kept: _Kept, news: int, now: float) -> bool:
        age = now - kept.begun
        return age < _KEPT_SECONDS and (kept.news == news or kept.left + age * _PER_SECOND < 1)

    def _begin(
        self,
        room: str,
        before: _Kept | None,
        now: float,
        make: Callable[[], Awaitable[Made]],
        *,
        version: int,
        news: int,
    ) -> _Kept:
        left = _AT_ONCE
        if before is not None:
            left = min(_AT_ONCE, before.left + (now - before.begun) * _PER_SECOND)
        elif len(self._kept) >= _MAX_ROOMS:
            self._kept.clear()
        made = asyncio.ensure_future(make())
        log = self._log(room)
        kept = self._kept[room] = _Kept(version, news, log, now, made, max(0.0, left - 1))
        made.add_done_callback(lambda _: self._forget_failed(room, kept))
        return kept

    def _forget_failed(self, room: str, kept: _Kept) -> None:
        failed = kept.made.cancelled() or kept.made.exception() is not None
        if failed and self._kept.get(room) is kept:
            del self._kept[room]


def endpoints(
    database: Database, shows: ShowService, chat: ChatService, hub: Hub, doors: Doors[Show]
) -> list[Endpoint]:
    sharing = Sharing(hub.news, hub.monotonic, hub.log)

    async def show_snapshot(call: Call) -> msgspec.Raw:
        show_id = ShowId(call.params["show_id"])
        room = room_of(show_id)
        show = await doors.check(show_id, call.principal)
        made = await sharing.get(room, show.version, lambda: make(show_id))
        # The show may have changed since it was looked up at the door.
        as_seen_by(made.show, call.principal)
        own = _encode({"at": rfc3339(call.now), "viewers": await hub.viewers_everywhere(room)})
        return msgspec.Raw(own[:-1] + b"," + made.shared[1:])

    async def make(show_id: ShowId) -> Made:
        try:
            position = await hub.position(room_of(show_id))
        except BrokerAway:
            position = _NO_PLACE
        async with database.read() as conn:
            show = await shows_store.by_id(conn, show_id)
            if show is None:
                raise UnknownShow("There is no such show. Check the address.")
            remembered = PINS_REPLAYED if show.is_over else PINS_REMEMBERED
            pins = await shows_store.recent_pins(conn, show_id, remembered)
            shared = Shared(
                epoch=position.epoch,
                offset=position.offset,
                show=await shows.show_out(conn, show),
                products=await shows.products_out(conn, show),
                pins=[shows_wire.Pin.of(pin) for pin in pins],
                video=await shows.video_out(conn, show),
                chat=await chat.recent(conn, show_id),
                hearts=await chat.hearts(conn, show_id),
            )
        return Made(show, _encode(shared))

    return [
        Endpoint(
            "GET",
            "/api/shows/{show_id}/snapshot",
            show_snapshot,
            PUBLIC,
            "Everything a viewer sees first, and its place in the event log",
            "shows",
            answer=Snapshot,
            errors=(UnknownShow, CustomersOnly),
        ),
    ]
