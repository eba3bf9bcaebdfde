"""The truth table: every product on every channel, its state, since when and why; and repairs."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import store as catalog_store
from liveshop.catalog.tables import product, variant
from liveshop.catalog.writing import fold
from liveshop.connect import Feed, Listing
from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import VariantId
from liveshop.promotions.model import Promotion
from liveshop.promotions.wire import PriceWarning
from liveshop.storage import Database, Tx
from liveshop.syndication import connection_store, store, wire
from liveshop.syndication.carried import LeftOut, is_for_everybody, why_not
from liveshop.syndication.feeding import FeedListings, note_feed_fetched
from liveshop.syndication.goals import TAKEN_OFF
from liveshop.syndication.model import (
    Connection,
    ConnectionId,
    ConnectionsTouched,
    ListingRow,
    UnknownConnection,
)
from liveshop.syndication.outlets import LEAVING, outlets_in
from liveshop.syndication.planning import Planner
from liveshop.syndication.says import Announced
from liveshop.syndication.tables import listing
from liveshop.web import MoneyOut

_GIVEN_UP = "The connection was removed before this could be taken off. Take it off there by hand."
_BROKEN = ("rejected", "drifted")


class ListingService:
    def __init__(self, database: Database, clock: Clock, planner: Planner) -> None:
        self._database = database
        self._clock = clock
        self._outlets = planner.outlets
        self._feeds = FeedListings(database, clock, planner.outlets.images)

    async def products(self, query: wire.ListingQuery) -> wire.ListedProducts:
        """A page of products that have listings, in the order of creation."""
        async with self._database.read() as conn:
            connections = [one.id for one in await outlets_in(conn)]
            ids = await _page(conn, query, connections)
            shown = ids[: query.limit]
            rows = await store.of_products(conn, shown, connections)
            facts = await _facts(conn, shown)
            announced = await store.announced(conn, rows)
        listed = [
            self._listed(
                product_id,
                facts,
                [
                    row
                    for own in rows.values()
                    for row in own.values()
                    if row.product_id == product_id
                    and query.connection_id in (None, row.connection_id)
                    and query.state in (None, row.state)
                ],
                announced,
            )
            for product_id in shown
        ]
        return wire.ListedProducts(
            products=listed, next=shown[-1] if len(ids) > query.limit else None
        )

    def _listed(
        self,
        product_id: str,
        facts: "_Facts",
        rows: list[ListingRow],
        announced: dict[VariantId, Announced],
    ) -> wire.ListedProduct:
        now = self._clock.now()
        order = facts.order(product_id)
        rows.sort(key=lambda row: (order.get(row.variant_id, len(order)), row.connection_id))
        first = next((id_ for id_ in order if VariantId(id_) in announced), None)
        price = None
        if first is not None:
            price = MoneyOut.of(announced[VariantId(first)].says.effective(now))
        return wire.ListedProduct(
            product_id=product_id,
            title=facts.titles.get(product_id, ""),
            price=price,
            listings=[_row_out(row, facts) for row in rows],
        )

    async def repair(self, connection_id: str, given: wire.RepairInput) -> int:
        """Send these again, or everything that is rejected or drifted; how many are sent.

        What cannot go there for a reason of ours is looked at again, but not sent while the reason
        stands. Raises UnknownConnection.
        """
        now = self._clock.now()
        async with self._database.write() as tx:
            if await connection_store.by_id(tx.conn, connection_id) is None:
                raise UnknownConnection("There is no such connection.")
            wanted = [listing.c.connection_id == connection_id]
            if given.variant_ids is None and given.product_ids is None:
                wanted.append(listing.c.state.in_(_BROKEN))
            else:
                wanted.append(
                    sa.or_(
                        listing.c.variant_id.in_(given.variant_ids or []),
                        listing.c.product_id.in_(given.product_ids or []),
                    )
                )
            ids = await tx.conn.execute(sa.select(listing.c.product_id).where(*wanted).distinct())
            product_ids = ids.scalars().all()
            # An outcome nobody can be sure of: it is sent whatever was accepted last.
            sent = await store.set_where(
                tx.conn,
                *wanted,
                listing.c.wanted.is_not(None),
                listing.c.wanted != store.HIDDEN,
                listing.c.state != "paused",
                state="pending",
                since=now,
                reason=None,
                drift=sa.null(),
                accepted=None,
                attempts=0,
                due_at=now,
            )
            taken_off = await store.set_where(
                tx.conn,
                *wanted,
                sa.or_(listing.c.wanted.is_(None), listing.c.wanted == store.HIDDEN),
                store.may_be_there(),
                attempts=0,
                due_at=now,
            )
            await store.touch(tx.conn, product_ids, now)
            await connection_store.set_turn(tx.conn, ConnectionId(connection_id), due_at=now)
            tx.notify(ConnectionsTouched((ConnectionId(connection_id),)))
        return sent + taken_off

    async def look_again(self, tx: Tx, connection_id: ConnectionId) -> None:
        """In its next turn all that it shows is looked at. For whoever asks for that turn."""
        await store.set_where(
            tx.conn,
            listing.c.connection_id == connection_id,
            listing.c.state.in_(("sent", "live", "drifted", "rejected")),
            read_at=None,
        )

    async def pause(self, tx: Tx, connection_id: ConnectionId, now: datetime) -> None:
        """Nothing is sent any more; what is there stays. For whoever pauses the connection."""
        await store.set_where(
            tx.conn,
            listing.c.connection_id == connection_id,
            listing.c.state != "withdrawn",
            state="paused",
            since=now,
        )

    async def resume(self, tx: Tx, connection_id: ConnectionId, now: datetime) -> None:
        """What is there is looked at again, and what changed in the meantime is sent."""
        mine = (listing.c.connection_id == connection_id, listing.c.state == "paused")
        await store.set_where(
            tx.conn,
            *mine,
            listing.c.due_at.is_(None),
            listing.c.wanted == listing.c.accepted,
            state="sent",
            since=now,
            read_at=None,
        )
        await store.set_where(
            tx.conn,
            *mine,
            listing.c.due_at.is_(None),
            listing.c.reason.is_not(None),
            state="rejected",
            since=now,
        )
        await store.set_where(tx.conn, *mine, state="pending", since=now)
        await store.touch(tx.conn, [store.EVERYTHING], now)

    async def remove(
        self, tx: Tx, connection_id: ConnectionId, now: datetime, *, gives_up: bool = False
    ) -> None:
        """Take everything off, and then remove the connection: `ListingTurns` does that when the
        channel has confirmed that nothing is left. It has to be active for that. Asked again while
        it is under way, it has no effect.

        `gives_up`: remove it at once with what is still there; the channel may be gone for good.
        Raises UnknownConnection.
        """
        connection = await connection_store.by_id(tx.conn, connection_id)
        if connection is None:
            raise UnknownConnection("There is no such connection.")
        is_pushed = "channel" in connection.roles
        if is_pushed and not gives_up and await store.is_present(tx.conn, connection_id):
            if await connection_store.recall(tx.conn, connection_id, LEAVING) is None:
                await connection_store.remember(tx.conn, connection_id, LEAVING, "yes")
                await self._take_off(tx, connection_id, now)
                await store.touch(tx.conn, await store.products_under_way(tx.conn), now)
            return
        given_up = sa.case((store.may_be_there(), _GIVEN_UP), else_=None) if is_pushed else None
        await store.set_where(
            tx.conn,
            listing.c.connection_id == connection_id,
            state="withdrawn",
            since=now,
            reason=given_up,
            wanted=None,
            accepted=None,
            may_show=False,
            due_at=None,
        )
        await store.touch(tx.conn, await store.products_under_way(tx.conn), now)
        await connection_store.forget(tx.conn, connection_id, LEAVING)
        if connection.state != "removed":
            await connection_store.change(tx.conn, connection_id, now, state="removed")

    async def _take_off(self, tx: Tx, connection_id: ConnectionId, now: datetime) -> None:
        mine = listing.c.connection_id == connection_id
        off = {"since": now, "wanted": None, "attempts": 0, "drift": sa.null()}
        is_there = store.may_be_there()
        await store.set_where(
            tx.conn, mine, is_there, state="pending", reason=TAKEN_OFF, due_at=now, **off
        )
        await store.set_where(
            tx.conn, mine, sa.not_(is_there), state="withdrawn", reason=None, due_at=None, **off
        )

    def feed_listings(self, one: Connection, feed: Feed) -> AsyncIterator[Listing]:
        """All that shall stand in a feed, by variant id, at the prices announced as it is read."""
        return self._feeds.listings(one, feed)

    async def note_feed_fetched(self, one: Connection, at: datetime | None = None) -> None:
        """The whole feed was fetched; `at` is when that began, or else what the rows say now is
        what was fetched."""
        async with self._database.write() as tx:
            await note_feed_fetched(tx.conn, one.id, at or self._clock.now())

    async def counts(
        self, conn: AsyncConnection, connection_ids: Iterable[str]
    ) -> dict[str, dict[str, int]]:
        """How many listings are in which state, by connection."""
        return await store.counts(conn, connection_ids)

    async def warnings_for(self, promotion: Promotion, language: str = "en") -> list[PriceWarning]:
        """Before it is published: whether channels would leave it out, and why."""
        if not is_for_everybody(promotion):
            return []
        outlets = await self._outlets.all()
        reasons = why_not(promotion, self._outlets.reaches(outlets), self._clock.now(), language)
        if not reasons:
            return []
        text = LeftOut(promotion, tuple(reasons)).in_words(language)
        return [PriceWarning(code="not_on_channels", text=text)]


class _Facts:
    """What the table says of products and variants."""

    def __init__(self, titles: dict[str, str], variants: Sequence[Any]) -> None:
        self.titles = titles
        self.variants = {row.id: row for row in variants}
        self._of: dict[str, dict[str, int]] = {}
        for row in variants:
            own = self._of.setdefault(row.product_id, {})
            own[row.id] = len(own)

    def order(self, product_id: str) -> dict[str, int]:
        return self._of.get(product_id, {})


async def _facts(conn: AsyncConnection, product_ids: Sequence[str]) -> _Facts:
    titles: dict[str, str] = {}
    variants: list[Any] = []
    for ids in catalog_store.in_chunks(product_ids):
        rows = await conn.execute(
            sa.select(product.c.id, product.c.title).where(product.c.id.in_(ids))
        )
        titles.update((row.id, row.title) for row in rows)
        found = await conn.execute(
            sa.select(variant.c.id, variant.c.product_id, variant.c.sku, variant.c.option_values)
            .where(variant.c.product_id.in_(ids))
            .order_by(variant.c.position, variant.c.id)
        )
        variants += found.all()
    return _Facts(titles, variants)


async def _page(
    conn: AsyncConnection, query: wire.ListingQuery, connection_ids: Sequence[str]
) -> list[str]:
    statement = (
        sa.select(listing.c.product_id)
        .distinct()
        .where(listing.c.connection_id.in_(connection_ids))
        .order_by(listing.c.product_id)
        .limit(query.limit + 1)
    )
    if query.connection_id is not None:
        statement = statement.where(listing.c.connection_id == query.connection_id)
    if query.state is not None:
        statement = statement.where(listing.c.state == query.state)
    if query.after is not None:
        statement = statement.where(listing.c.product_id > query.after)
    words = fold(query.q).split()
    if words:
        statement = statement.join(product, product.c.id == listing.c.product_id).where(
            *(product.c.search_text.contains(word, autoescape=True) for word in words)
        )
    return list((await conn.execute(statement)).scalars())


def _row_out(row: ListingRow, facts: _Facts) -> wire.Listing:
    known = facts.variants.get(row.variant_id)
    drift = row.drift if row.state == "drifted" else None
    return wire.Listing(
        connection_id=row.connection_id,
        variant_id=row.variant_id,
        sku="" if known is None else known.sku,
        values=[] if known is None else list(known.option_values),
        state=row.state,
        since=row.since,
        reason=row.reason,
        drift=None if drift is None else wire.Drift(drift.field, drift.ours, drift.theirs),
        remote_id=row.remote_id,
        read_at=row.read_at,
        next_at=row.due_at,
    )
