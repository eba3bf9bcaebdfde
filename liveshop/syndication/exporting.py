"""Exporting: paid orders to the shop systems their products came from, exactly once.

What has to go where is noted in the transaction that confirms the order. A job sends it; an attempt
never lasts as long as a job's claim, so no two attempts meet. That an order which was sent and not
answered is not made twice is the connector's part: it looks before it places.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import structlog

from liveshop.catalog.locations import locations_by_priority
from liveshop.catalog.model import Location
from liveshop.connect import (
    ConnectorError,
    NeedsAttention,
    OrderAddress,
    OrderItem,
    OrderTarget,
    RetryLater,
    SkipListing,
    SourceOrder,
)
from liveshop.kernel import money
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import OrderId, VariantId
from liveshop.kernel.money import Money
from liveshop.orders import store as orders
from liveshop.orders.model import Address, Order, OrderLine
from liveshop.storage import Database, Tx
from liveshop.storage.outbox import Handler
from liveshop.syndication import connection_store, export_store, wire
from liveshop.syndication.export_store import Export, Piece
from liveshop.syndication.model import ConnectionId, UnknownExport
from liveshop.syndication.pulling import OpenSource

TOPIC = "syndication.export_order"
CANCEL_TOPIC = "syndication.cancel_order"
_ATTEMPT_SECONDS = 45.0
"""Less than the minute for which the outbox gives a job to one worker."""
_log = structlog.get_logger("exports")


class ExportJob(msgspec.Struct):
    order_id: str
    connection_id: str


class OrderExports:
    def __init__(self, database: Database, clock: Clock, open_source: OpenSource) -> None:
        self._database = database
        self._clock = clock
        self._open_source = open_source

    def handlers(self) -> Mapping[str, Handler]:
        """For a Worker of its own, or one for slow work. Neither topic may be given up."""
        return {TOPIC: self.export_job, CANCEL_TOPIC: self.cancel_job}

    # Noted with their cause

    async def on_confirmed(self, tx: Tx, confirmed: Sequence[Order], now: datetime) -> None:
        """In the transaction that confirms orders: note what has to go back to which source."""
        variant_ids = {line.variant_id for order in confirmed for line in order.lines}
        sources = await export_store.sources_of(tx.conn, variant_ids)
        for order in confirmed:
            own = {one for line in order.lines for one in sources.get(line.variant_id, ())}
            for connection_id in sorted(own):
                await export_store.add(tx.conn, order.id, connection_id, now)
                await _enqueue(tx, TOPIC, order.id, connection_id, now)

    async def on_cancelled(self, tx: Tx, order: Order, now: datetime) -> None:
        """In the transaction that cancels an order: its sources are to cancel it too."""
        for one in await export_store.of_order(tx.conn, order.id, for_update=True):
            if one.state == "cancelled":
                continue
            if one.state == "refused" or one.begun_at is None:
                # The source never had it.
                values: dict[str, Any] = {"state": "cancelled", "settled_at": now}
            else:
                values = {}
                await _enqueue(tx, CANCEL_TOPIC, order.id, one.connection_id, now)
            await export_store.change(
                tx.conn, one.order_id, one.connection_id, is_off=True, **values
            )

    async def resume(self, connection_id: ConnectionId) -> None:
        """Take up what waited while the connection did not work."""
        now = self._clock.now()
        async with self._database.read() as conn:
            unfinished = await export_store.unfinished(conn, connection_id)
        if not unfinished:
            return
        async with self._database.write() as tx:
            for one in unfinished:
                topic = CANCEL_TOPIC if one.state == "placed" else TOPIC
                await _enqueue(tx, topic, one.order_id, connection_id, now)

    # The worker's part

    async def export_job(self, payload: dict[str, Any]) -> None:
        """Place an order at a source. Raises RetryLater, or whatever fault the connector has."""
        job = msgspec.convert(payload, ExportJob)
        one = await self._begin(job)
        if one is None:
            return
        target = await self._target(one)
        if target is None:
            return
        order = await self._order_for(one)
        try:
            async with asyncio.timeout(_ATTEMPT_SECONDS):
                reference = await target.place_order(order)
        except SkipListing as error:
            await self._settle(one, state="refused", reason=error.detail)
        except NeedsAttention as error:
            await self._wait_for_person(one, error.detail)
        except Exception as error:
            await self._note_failure(one, error)
            raise
        else:
            await self._settle(one, state="placed", reference=reference, reason=None)

    async def cancel_job(self, payload: dict[str, Any]) -> None:
        """Cancel an order at a source, once it is known to be there."""
        job = msgspec.convert(payload, ExportJob)
        async with self._database.read() as conn:
            one = await export_store.one(conn, job.order_id, job.connection_id)
        if one is None or one.state == "cancelled" or not one.is_off:
            return
        if one.state == "refused":
            await self._settle(one, state="cancelled")
            return
        if one.state == "waiting":
            raise RetryLater("The order is on its way to the source, and is cancelled after that.")
        target = await self._target(one)
        if target is None:
            return
        assert one.reference is not None, "a placed order has a reference"
        try:
            async with asyncio.timeout(_ATTEMPT_SECONDS):
                await target.cancel_order(one.reference, reason="Cancelled in Liveshop")
        except SkipListing as error:
            # A person has to see to it; asking again will not help.
            reason = f"It could not be cancelled there: {error.detail}"
            await self._change(one, is_off=False, reason=reason)
        except NeedsAttention as error:
            await self._wait_for_person(one, error.detail)
        except Exception as error:
            await self._note_failure(one, error)
            raise
        else:
            await self._settle(one, state="cancelled", reason=None)

    # What the merchant sees and does

    async def exports(self, order_id: OrderId) -> list[wire.OrderExport]:
        """What became of an order at its sources."""
        async with self._database.read() as conn:
            return [_as_wire(one) for one in await export_store.of_order(conn, order_id)]

    async def refused(self, *, limit: int = 100) -> list[wire.OrderExport]:
        """Those a merchant has to look after: what a source does not take, or does not cancel. The
        newest first."""
        async with self._database.read() as conn:
            return [_as_wire(one) for one in await export_store.for_merchant(conn, limit=limit)]

    async def try_again(self, order_id: OrderId, connection_id: ConnectionId) -> wire.OrderExport:
        """Send one that was refused once more. Raises UnknownExport."""
        now = self._clock.now()
        async with self._database.write() as tx:
            one = await _refused(tx, order_id, connection_id)
            await export_store.change(tx.conn, order_id, connection_id, state="waiting")
            await _enqueue(tx, TOPIC, order_id, connection_id, now)
        return msgspec.structs.replace(_as_wire(one), state="waiting")

    async def taken_by_hand(
        self, order_id: OrderId, connection_id: ConnectionId, reference: str
    ) -> wire.OrderExport:
        """The merchant entered a refused one at the source himself: it counts it from now on.

        Raises UnknownExport.
        """
        async with self._database.write() as tx:
            one = await _refused(tx, order_id, connection_id)
            await export_store.change(
                tx.conn,
                order_id,
                connection_id,
                state="placed",
                reference=reference,
                reason=None,
                settled_at=self._clock.now(),
            )
        return msgspec.structs.replace(
            _as_wire(one), state="placed", reference=reference, reason=None
        )

    # Steps

    async def _begin(self, job: ExportJob) -> Export | None:
        """Note that it is being sent, before it is; None when there is nothing to send."""
        async with self._database.write() as tx:
            one = await export_store.one(tx.conn, job.order_id, job.connection_id, for_update=True)
            if one is None or one.state != "waiting":
                return None
            if one.begun_at is None:
                begun = self._clock.now()
                await export_store.change(tx.conn, one.order_id, one.connection_id, begun_at=begun)
        return one

    async def _target(self, one: Export) -> OrderTarget | None:
        """What takes the order; None when nothing does now, and why is then noted."""
        async with self._database.read() as conn:
            known = await connection_store.by_id(conn, one.connection_id)
        if known is None or known.state == "removed":
            await self._settle(
                one,
                state="refused",
                reason="The connection to the shop system was removed. Enter the order there.",
            )
            return None
        if not known.is_active:
            await self._change(one, reason="It waits until the connection works again.")
            return None
        try:
            opened = await self._open_source(one.connection_id)
        except NeedsAttention as error:
            await self._wait_for_person(one, error.detail)
            return None
        except Exception as error:
            await self._note_failure(one, error)
            raise
        if not isinstance(opened, OrderTarget):
            # A source that only gives: nobody waits for the order there.
            async with self._database.write() as tx:
                await export_store.remove(tx.conn, one.order_id, one.connection_id)
            return None
        return opened

    async def _order_for(self, one: Export) -> SourceOrder:
        async with self._database.read() as conn:
            order = await orders.by_id(conn, one.order_id)
            assert order is not None, "an export is of an order"
            exports = await export_store.of_order(conn, one.order_id)
            pieces = await export_store.pieces_of(conn, {line.variant_id for line in order.lines})
            places = await locations_by_priority(conn) if order.store_id else []
        store = next((place for place in places if place.id == order.store_id), None)
        sources = [export.connection_id for export in exports]
        return source_order(order, one.connection_id, sources, pieces, store)

    async def _settle(self, one: Export, **values: Any) -> None:
        await self._change(one, settled_at=self._clock.now(), **values)
        if values["state"] == "refused":
            _log.warning("order_refused", order=one.order_id, connection=one.connection_id)

    async def _change(self, one: Export, **values: Any) -> None:
        async with self._database.write() as tx:
            await export_store.change(tx.conn, one.order_id, one.connection_id, **values)

    async def _wait_for_person(self, one: Export, detail: str) -> None:
        """The order waits with the connection; its next turn takes it up."""
        async with self._database.write() as tx:
            await export_store.change(tx.conn, one.order_id, one.connection_id, reason=detail)
            await connection_store.note_attention(
                tx.conn, one.connection_id, detail, self._clock.now()
            )

    async def _note_failure(self, one: Export, error: Exception) -> None:
        reason = "No answer yet; it is tried again."
        if isinstance(error, ConnectorError | ShopError):
            reason = error.detail
        await self._change(one, reason=reason)


def source_order(
    order: Order,
    connection_id: ConnectionId,
    sources: Collection[ConnectionId],
    pieces: Mapping[VariantId, Sequence[Piece]],
    store: Location | None = None,
) -> SourceOrder:
    """The part of an order that is of one of the sources it goes to; `store` is where the buyer
    collects it, whose address it then has. Pure.

    Bundles are taken apart, their price split by what the parts cost. Delivery goes with the first
    source; tax that comes on top is split like the amounts it is on. Over all sources, and what is
    of none of them, nothing is lost.
    """
    items = [item for line in order.lines for item in _items_of(line, pieces[line.variant_id])]
    worth = dict.fromkeys([*sorted(sources), ""], 0)
    for source, item in items:
        worth[source if source in sources else ""] += item.total.amount
    first = min(sources)
    worth[first] += order.shipping.amount
    tax = dict(zip(worth, money.split(order.tax_added.amount, list(worth.values())), strict=True))
    currency = order.total.currency
    return SourceOrder(
        key=order.id,
        number=order.number,
        email=order.email,
        address=_address(order.address, store),
        items=tuple(item for source, item in items if source == connection_id),
        shipping=order.shipping if connection_id == first else Money(0, currency),
        total=Money(worth[connection_id] + tax[connection_id], currency),
        payment_method=order.payment.method,
        payment_reference=order.payment.reference or order.payment.id,
    )


def _items_of(line: OrderLine, pieces: Sequence[Piece]) -> list[tuple[str, OrderItem]]:
    """(source or "", item) of each piece behind a line."""
    weights = [piece.price.amount * piece.quantity for piece in pieces]
    shares = money.split(line.payable.amount, weights)
    is_bundle = [piece.variant_id for piece in pieces] != [line.variant_id]
    return [
        (
            piece.source or "",
            OrderItem(
                source_id=piece.source_id or "",
                sku=piece.sku,
                title=line.title,
                quantity=line.quantity * piece.quantity,
                unit_price=piece.price if is_bundle else line.unit_price,
                total=Money(share, line.payable.currency),
            ),
        )
        for piece, share in zip(pieces, shares, strict=True)
    ]


def _address(given: Address, store: Location | None) -> OrderAddress:
    if store is not None and store.address is not None:
        there = store.address
        return OrderAddress(
            name=given.name,
            street=f"{store.name}, {there.line1}",
            postal_code=there.postal_code,
            city=there.city,
            country=there.country,
        )
    return OrderAddress(
        name=given.name,
        street=given.line1 if not given.line2 else f"{given.line1}, {given.line2}",
        postal_code=given.postal_code,
        city=given.city,
        country=given.country,
    )


def _as_wire(one: Export) -> wire.OrderExport:
    return wire.OrderExport(
        order_id=one.order_id,
        connection_id=one.connection_id,
        state=one.state,
        reference=one.reference,
        reason=one.reason,
    )


async def _refused(tx: Tx, order_id: OrderId, connection_id: ConnectionId) -> Export:
    one = await export_store.one(tx.conn, order_id, connection_id, for_update=True)
    if one is None or one.state != "refused":
        raise UnknownExport("No source refused this order.")
    return one


async def _enqueue(tx: Tx, topic: str, order_id: str, connection_id: str, now: datetime) -> None:
    await tx.enqueue(
        topic,
        ExportJob(order_id, connection_id),
        now=now,
        key=f"{topic} {order_id} {connection_id}",
    )
