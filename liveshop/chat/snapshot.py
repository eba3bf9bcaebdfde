"""The snapshot of a room: what a viewer's first screen needs, with its place in the event log.

It stands in `chat` because that is the lowest room which may see both the show and its chat. The
position is read *before* the state: events that arrive between the two are then applied again by
the client, which is harmless, and none is missed.
"""

from liveshop.catalog.wire import Product
from liveshop.chat.service import ChatService
from liveshop.chat.wire import ChatSnapshot
from liveshop.kernel.clock import rfc3339
from liveshop.kernel.ids import ShowId
from liveshop.realtime import Hub
from liveshop.realtime.wire import When
from liveshop.shows import store as shows_store
from liveshop.shows.model import PINS_REMEMBERED, PINS_REPLAYED, CustomersOnly, UnknownShow
from liveshop.shows.service import ShowService, room_of
from liveshop.shows.wire import Pin, Show, VideoState
from liveshop.storage import Database
from liveshop.web import PUBLIC, Call, Endpoint, Wire


class Snapshot(Wire):
    """Apply the events of `epoch` after `offset` to this and it stays what a fresh one is."""

    epoch: str
    offset: int
    at: When
    show: Show
    products: list[Product]
    pins: list[Pin]
    video: VideoState
    chat: ChatSnapshot
    viewers: int
    hearts: int


def endpoints(
    database: Database, shows: ShowService, chat: ChatService, hub: Hub
) -> list[Endpoint]:
    async def show_snapshot(call: Call) -> Snapshot:
        show_id = ShowId(call.params["show_id"])
        room = room_of(show_id)
        position = await hub.position(room)
        async with database.read() as conn:
            show = await shows.visible(conn, show_id, call.principal)
            out = await shows.show_out(conn, show)
            products = await shows.products_out(conn, show)
            remembered = PINS_REPLAYED if show.is_over else PINS_REMEMBERED
            pins = await shows_store.recent_pins(conn, show_id, remembered)
            video = await shows.video_out(conn, show)
            said = await chat.recent(conn, show_id)
            hearts = await chat.hearts(conn, show_id)
        return Snapshot(
            epoch=position.epoch,
            offset=position.offset,
            at=rfc3339(call.now),
            show=out,
            products=products,
            pins=[Pin.of(pin) for pin in pins],
            video=video,
            chat=said,
            viewers=await hub.viewers_everywhere(room),
            hearts=hearts,
        )

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
