"""How goods reach the buyer: opened when an order is confirmed, then step by step.

Every step follows the declared machine, is taken with the order locked, and is noted with who took
it. Money comes first, and what a provider keeps for us is taken before the transaction: see
`money_first`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.shelves import Shelf
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import FulfilmentId, LocationId, OrderId, VariantId, new_id
from liveshop.kernel.money import Money
from liveshop.kernel.text import clean_line
from liveshop.kernel.zones import time_zones
from liveshop.orders import fulfilment_store as store
from liveshop.orders import history, overdue, pickups, return_store, wire
from liveshop.orders import store as orders
from liveshop.orders.allocation import allot
from liveshop.orders.fulfilment_steps import check_step, restock, told
from liveshop.orders.model import (
    Actor,
    Fulfilment,
    FulfilmentItem,
    FulfilmentKind,
    FulfilmentState,
    NotNow,
    Order,
    OrderEvent,
    UnknownFulfilment,
    UnknownPickup,
)
from liveshop.orders.money_first import MoneyFirst
from liveshop.orders.pickup_codes import read_code
from liveshop.payments import store as payments_store
from liveshop.payments.service import Payments
from liveshop.settings import Settings
from liveshop.storage import Database, Tx

_RELEASE_SECONDS = 30.0
_RELEASED_AT_ONCE = 50
_WITH_OTHERS = frozenset({"shipped", "delivered", "collected"})
"""States of goods that are not in our hands."""
_log = structlog.get_logger("fulfilment")


async def open_fulfilments(
    tx: Tx,
    sold: Sequence[tuple[Order, Mapping[Shelf, int]]],
    parts: Mapping[VariantId, Mapping[VariantId, int]],
    now: datetime,
) -> None:
    """Open what the pieces sold with each of these orders need to reach the buyer: one fulfilment
    for each location they lie at, in two statements. Notes nothing: `order.confirmed` says it.

    `parts`: pieces behind one unit of each of the orders' variants, itself unless it is a bundle
    (`shelves.parts_of`); what is missing there stands for itself.
    """
    opened = [one for order, pieces in sold for one in _opened(order, pieces, parts, now)]
    if opened:
        await store.open_all(tx.conn, opened)


def _opened(
    order: Order,
    pieces: Mapping[Shelf, int],
    parts: Mapping[VariantId, Mapping[VariantId, int]],
    now: datetime,
) -> list[Fulfilment]:
    at: dict[LocationId, list[FulfilmentItem]] = {}
    for one in allot(order.lines, parts, pieces):
        item = FulfilmentItem(one.position, one.variant_id, one.pieces)
        at.setdefault(one.location_id, []).append(item)
    return [
        Fulfilment(
            id=FulfilmentId(new_id("ful", now)),
            order_id=order.id,
            kind=_kind(order, location_id),
            state="open",
            location_id=location_id,
            store_id=order.store_id if order.delivery == "pickup" else None,
            items=tuple(items),
            carrier=None,
            tracking=None,
            collect_until=None,
            created_at=now,
            updated_at=now,
        )
        for location_id, items in sorted(at.items())
    ]


def _kind(order: Order, location_id: LocationId) -> FulfilmentKind:
    if order.delivery == "ship":
        return "ship_from_warehouse"
    return "pickup_in_store" if location_id == order.store_id else "ship_to_store"


class Fulfilments:
    """Make it before the loop runs: it reads the time zones."""

    def __init__(
        self, database: Database, clock: Clock, settings: Settings, payments: Payments
    ) -> None:
        self._database = database
        self._clock = clock
        self._payments = payments
        self._money = MoneyFirst(payments)
        self._kept = timedelta(days=settings.delivery.keep_days)
        self._zone: tzinfo = time_zones()[settings.shop.time_zone]

    async def ship(
        self, fulfilment_id: FulfilmentId, actor: Actor, given: wire.ShipInput
    ) -> Fulfilment:
        """A parcel has left, to the buyer or to his store. Raises UnknownFulfilment, NotNow,
        NotPaid, CannotCapture, ProviderUnavailable, BadText; nothing is shipped then.
        """
        carrier = clean_line(given.carrier or "", max_length=60, field="carrier", empty=True)
        tracking = clean_line(given.tracking or "", max_length=120, field="tracking", empty=True)
        order, one = await self._look(fulfilment_id)
        check_step(one, "shipped")
        await self._money.take(order)
        now = self._clock.now()
        async with self._database.write() as tx:
            order, one = await self._locked(tx, fulfilment_id)
            check_step(one, "shipped")
            self._money.check_leaving(order)
            return await _step(
                tx, one, "shipped", actor, now, carrier=carrier or None, tracking=tracking or None
            )

    async def ready(self, fulfilment_id: FulfilmentId, actor: Actor) -> Fulfilment:
        """It lies in the store for its buyer, put aside or arrived there, until the end of the last
        day on which it is kept. What is kept for us is taken now: until the buyer comes a promise
        may have expired. Raises UnknownFulfilment, NotNow, CannotCapture, ProviderUnavailable;
        nothing is ready then.
        """
        order, one = await self._look(fulfilment_id)
        check_step(one, "ready")
        await self._money.take(order)
        now = self._clock.now()
        async with self._database.write() as tx:
            _, one = await self._locked(tx, fulfilment_id)
            check_step(one, "ready")
            until = await self._kept_until(tx.conn, one, now)
            return await _step(tx, one, "ready", actor, now, collect_until=until)

    async def deliver(self, fulfilment_id: FulfilmentId, actor: Actor) -> Fulfilment:
        """A parcel has reached its buyer. Raises UnknownFulfilment, NotNow."""
        now = self._clock.now()
        async with self._database.write() as tx:
            _, one = await self._locked(tx, fulfilment_id)
            check_step(one, "delivered")
            return await _step(tx, one, "delivered", actor, now)

    # In the store

    async def pickup(self, code: str, *, at_store: LocationId | None = None) -> wire.Pickup:
        """What this code is for, as it was typed or scanned. Raises UnknownPickup."""
        async with self._database.read() as conn:
            return await self._pickup_out(conn, await _order_of_code(conn, code), at_store)

    async def collect(self, code: str, given: wire.CollectInput, actor: Actor) -> wire.Pickup:
        """Goods are handed to the buyer: what is named, or all that is ready.

        Raises UnknownPickup, UnknownFulfilment, WrongStore, NotNow, NotPaid, CannotCapture,
        ProviderUnavailable; nothing counts as handed over then.
        """
        async with self._database.read() as conn:
            order_id = await _order_of_code(conn, code)
            order = await orders.by_id(conn, order_id)
            assert order is not None
            pickups.chosen(order, await store.of_order(conn, order_id), given, self._zone)
        await self._money.take(order)
        now = self._clock.now()
        async with self._database.write() as tx:
            order = await orders.locked(tx.conn, order_id)
            assert order is not None
            fulfilments = await store.of_order(tx.conn, order_id)
            parts = pickups.chosen(order, fulfilments, given, self._zone)
            owed = await _to_pay(tx.conn, order, fulfilments)
            if self._money.check_handing_over(order, to_pay=owed, is_paid_now=given.paid):
                await self._note_paid(tx, order, owed, actor, now)
            await pickups.hand_over(tx, order, parts, actor, now)
            return await self._pickup_out(tx.conn, order_id, order.store_id)

    async def _note_paid(
        self, tx: Tx, order: Order, owed: Money, actor: Actor, now: datetime
    ) -> None:
        less = order.payment.amount.amount - owed.amount
        if await payments_store.record_paid_by_hand(tx.conn, order.payment.id, now, less=less):
            data = {"amount": owed.amount, "currency": owed.currency}
            await history.note(tx, OrderEvent(order.id, now, actor, "payment.paid", data))

    async def _pickup_out(
        self, conn: AsyncConnection, order_id: OrderId, at_store: LocationId | None
    ) -> wire.Pickup:
        order = await orders.by_id(conn, order_id)
        assert order is not None
        assert order.store_id is not None
        fulfilments = await store.of_order(conn, order_id)
        owed = await _to_pay(conn, order, fulfilments)
        names = await store.names_of_places(conn, [order.store_id])
        return pickups.pickup_out(
            order,
            fulfilments,
            store=names.get(order.store_id, ""),
            at_store=at_store,
            to_pay=owed if self._money.is_due_at_pickup(order) else None,
        )

    # What was not collected

    async def run(self) -> None:
        """Release what is overdue, for ever. A database that is away is waited for."""
        while True:
            try:
                await self.release_overdue()
            except ShopError as error:
                _log.warning("overdue_waits", reason=error.detail)
            await asyncio.sleep(_RELEASE_SECONDS)

    async def release_overdue(self) -> int:
        """Take back and refund what was not collected in time; how many fulfilments that were."""
        now = self._clock.now()
        async with self._database.read() as conn:
            due = await store.overdue(conn, now, _RELEASED_AT_ONCE)
        released = 0
        for fulfilment_id in due:
            async with self._database.write() as tx:
                order, one = await self._locked(tx, fulfilment_id)
                is_late = one.collect_until is not None and one.collect_until <= now
                if one.may("released") and is_late:
                    everything = await store.of_order(tx.conn, order.id)
                    await overdue.release(tx, self._payments, order, one, everything, now)
                    released += 1
        return released

    # For those who cancel

    async def cancel_all(
        self, tx: Tx, order: Order, actor: Actor, now: datetime
    ) -> dict[Shelf, int]:
        """Give up all there is still to be done for an order, which the caller has locked; the
        pieces that are back on their shelves: where they were taken from, or at the store they were
        sent to.

        Money and the order's own state are the caller's. Raises NotNow when something has left or
        was collected: then it has to come back as a return.
        """
        fulfilments = await store.of_order(tx.conn, order.id)
        gone = next((one for one in fulfilments if one.state in _WITH_OTHERS), None)
        if gone is not None:
            raise NotNow(
                "A part of this order has left already. Take it back as a return.",
                data={"state": gone.state, "fulfilment_id": gone.id},
            )
        standing = [one for one in fulfilments if one.may("cancelled")]
        for one in standing:
            await store.move(tx.conn, one, "cancelled", now, collect_until=None)
        await history.note(tx, *(_event(one, "cancelled", actor, now) for one in standing))
        return await restock(tx, standing)

    async def _look(self, fulfilment_id: FulfilmentId) -> tuple[Order, Fulfilment]:
        async with self._database.read() as conn:
            one = await store.by_id(conn, fulfilment_id)
            order = None if one is None else await orders.by_id(conn, one.order_id)
        return _known(order, one)

    async def _locked(self, tx: Tx, fulfilment_id: FulfilmentId) -> tuple[Order, Fulfilment]:
        """Both as they are once nobody else acts on the order."""
        order_id = await store.order_of(tx.conn, fulfilment_id)
        order = None if order_id is None else await orders.locked(tx.conn, order_id)
        return _known(order, await store.by_id(tx.conn, fulfilment_id))

    async def _kept_until(self, conn: AsyncConnection, one: Fulfilment, now: datetime) -> datetime:
        assert one.store_id is not None
        named = await store.zone_of_place(conn, one.store_id)
        zone = time_zones().get(named or "", self._zone)
        day = (now.astimezone(zone) + self._kept).date() + timedelta(days=1)
        return datetime.combine(day, time(), zone).astimezone(UTC)


async def _step(
    tx: Tx, one: Fulfilment, to: FulfilmentState, actor: Actor, now: datetime, **values: Any
) -> Fulfilment:
    """Take a step that was found to be possible, and note it."""
    was_there = await store.move(tx.conn, one, to, now, **values)
    assert was_there, "its order is locked"
    await history.note(tx, _event(one, to, actor, now))
    return replace(one, state=to, updated_at=now, **values)


def _event(one: Fulfilment, to: FulfilmentState, actor: Actor, now: datetime) -> OrderEvent:
    return OrderEvent(one.order_id, now, actor, f"fulfilment.{to}", told(one, to))


def _known(order: Order | None, one: Fulfilment | None) -> tuple[Order, Fulfilment]:
    if order is None or one is None:
        raise UnknownFulfilment("There is no such fulfilment.")
    return order, one


async def _order_of_code(conn: AsyncConnection, scanned: str) -> OrderId:
    code = read_code(scanned)
    order_id = None if code is None else await store.order_of_code(conn, code)
    if order_id is None:
        raise UnknownPickup("No order has this code. Check it, or look for the order by name.")
    return order_id


async def _to_pay(conn: AsyncConnection, order: Order, fulfilments: Sequence[Fulfilment]) -> Money:
    return overdue.to_pay(order, fulfilments, await return_store.of_order(conn, order.id))
