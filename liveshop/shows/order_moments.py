"""Which moment of a show an order is from: derived from its pins, kept nowhere."""

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.ids import ShowId
from liveshop.orders.model import Order
from liveshop.orders.moments import Moment
from liveshop.shows import replay_store


class OrderMoments:
    def __init__(self, public_url: str) -> None:
        self._public_url = public_url

    async def of(self, conn: AsyncConnection, order: Order) -> Moment | None:
        """When one of its products last came into focus before it was placed; else the moment it
        was placed, if that was in the show. None where the replay does not show that."""
        if order.show_id is None:
            return None
        show_id = ShowId(order.show_id)
        product_ids = {line.product_id for line in order.lines}
        shown = await replay_store.shown_to(conn, show_id, product_ids, order.placed_at)
        if shown is None:
            return None
        at = shown.pinned_at or order.placed_at
        if not shown.from_at <= at <= shown.until_at:
            return None
        seconds = max(0, int((at - shown.started_at).total_seconds()))
        return Moment(at, f"{self._public_url}/s/{show_id}?at={seconds}")
