"""Listings for feeds: streamed in a stable order, each at the price that is announced as it goes.

A feed is ours until somebody fetches it, so its listings are `pending` until the whole of it was
fetched after a change and `sent` from then on; nobody can say that they are live.
"""

from collections.abc import AsyncIterator
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import store as catalog_store
from liveshop.connect import Feed, Listing
from liveshop.kernel.clock import Clock
from liveshop.storage import Database
from liveshop.syndication import store
from liveshop.syndication.desired import ChannelImages, ListingMaker
from liveshop.syndication.model import Connection, ConnectionId, ListingRow
from liveshop.syndication.outlets import CheckedMaker
from liveshop.syndication.tables import listing

_PAGE = 250


class FeedListings:
    def __init__(self, database: Database, clock: Clock, images: ChannelImages) -> None:
        self._database = database
        self._clock = clock
        self._images = images

    async def listings(
        self, connection: Connection, feed: Feed, after: str | None = None
    ) -> AsyncIterator[Listing]:
        """In the order of variant ids, from the one after `after` on; memory for one page."""
        maker = CheckedMaker(connection, feed, feed.feed_limits, self._images)
        while True:
            async with self._database.read() as conn:
                rows = await store.after(conn, connection.id, after, _PAGE)
                page = await self._made(conn, maker, rows)
            for one in page:
                yield one
            if len(rows) < _PAGE:
                return
            after = rows[-1].variant_id

    async def _made(
        self, conn: AsyncConnection, maker: ListingMaker, rows: list[ListingRow]
    ) -> list[Listing]:
        now = self._clock.now()
        products = await catalog_store.products_by_ids(conn, [row.product_id for row in rows])
        ids = [row.variant_id for row in rows]
        available = await catalog_store.available_by_variant(conn, ids, now)
        announced = await store.announced(conn, ids)
        variants = {
            own.id: (one, own) for one in products.values() if one.is_active for own in one.variants
        }
        found = []
        for id_ in ids:
            if id_ not in variants or id_ not in announced:
                continue
            made = maker.make(*variants[id_], announced[id_].says, available[id_])
            if isinstance(made, Listing):
                found.append(made)
        return found


async def note_feed_fetched(
    conn: AsyncConnection, connection_id: ConnectionId, at: datetime
) -> None:
    """The whole feed was fetched by somebody; `at` is when he began."""
    waiting = (
        listing.c.connection_id == connection_id,
        listing.c.state.in_(("pending", "rejected")),
        listing.c.since <= at,
    )
    await store.set_where(
        conn,
        *waiting,
        listing.c.wanted.is_not(None),
        accepted=listing.c.wanted,
        state="sent",
        since=at,
        reason=None,
    )
    await store.set_where(
        conn,
        *waiting,
        listing.c.wanted.is_(None),
        listing.c.state == "pending",
        accepted=None,
        state="withdrawn",
        since=at,
        reason=None,
    )
