"""Goods that come back: asked for, inspected, put back on the shelf, refunded.

What a return is worth is reckoned at the inspection, from the units that were accepted; what goes
back is that, but never more than is left of what was paid. For goods that are not paid yet it is
taken off what is still to be paid.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from liveshop.catalog import shelves
from liveshop.catalog.model import ProductsTouched, StockTouched, UnknownLocation
from liveshop.catalog.shelves import Shelf
from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import LocationId, OrderId, RefundId, ReturnId, new_id
from liveshop.kernel.money import Money
from liveshop.orders import (
    fit,
    fulfilment_store,
    history,
    inspection,
    return_store,
    store,
    wire,
)
from liveshop.orders.acting import checked_note, is_by_hand, known, owe
from liveshop.orders.credit import credit_of
from liveshop.orders.model import (
    Actor,
    Credit,
    NotNow,
    NotReturnable,
    Order,
    OrderEvent,
    Return,
    ReturnLine,
    ReturnState,
    UnknownOrder,
    UnknownReturn,
)
from liveshop.orders.returnable import ReturnRules, returnable
from liveshop.payments import refund_store
from liveshop.payments.model import OPEN, PaymentState, Refund
from liveshop.payments.service import Payments
from liveshop.settings import Settings
from liveshop.storage import Database, Tx

_UNSETTLED: frozenset[PaymentState] = OPEN | {"processing", "authorised"}
"""States of a payment after which there may be money or not."""


@dataclass(frozen=True, slots=True)
class ReturnOf:
    """A return, with what is needed to show it."""

    one: Return
    order: Order
    refund: Refund | None


class Returns:
    """Whoever acts as a buyer sees and touches his own orders only: others are not there."""

    def __init__(
        self, database: Database, clock: Clock, settings: Settings, payments: Payments
    ) -> None:
        self._database = database
        self._clock = clock
        self._payments = payments
        self.rules = ReturnRules.of(settings)

    async def request(self, order_id: OrderId, given: wire.ReturnInput, actor: Actor) -> ReturnOf:
        """Announce that units come back. Raises UnknownOrder, NotReturnable, BadText."""
        note = checked_note(given.note, is_required=False)
        lines = tuple(
            ReturnLine(
                position=line.position,
                quantity=line.quantity,
                reason=line.reason,
                note=checked_note(line.note, is_required=False),
            )
            for line in given.lines
        )
        inspection.check_each_once([line.position for line in lines])
        now = self._clock.now()
        async with self._database.write() as tx:
            order = await known(tx, order_id)
            _check_own(order, actor)
            fulfilments = await fulfilment_store.of_order(tx.conn, order_id)
            before = await return_store.of_order(tx.conn, order_id)
            may = returnable(order, fulfilments, before, rules=self.rules, now=now)
            _check_returnable(order, lines, {one.position: one.quantity for one in may})
            asked = Return(
                id=ReturnId(new_id("ret", now)),
                order_id=order_id,
                kind=given.kind,
                state="requested",
                location_id=None,
                refund_id=None,
                note=note,
                lines=lines,
                created_at=now,
                updated_at=now,
            )
            await return_store.add(tx.conn, asked)
            data = {"kind": asked.kind, "units": sum(line.quantity for line in lines)}
            await history.note(tx, _event(asked, actor, now, data, None))
        return ReturnOf(asked, order, None)

    async def receive(
        self, return_id: ReturnId, given: wire.InspectionInput, actor: Actor
    ) -> ReturnOf:
        """The inspection: what is accepted is refunded, what is restocked can be sold there again.

        Raises UnknownReturn, NotNow, UnknownLocation, Invalid naming the field, BadDeduction,
        BadText.
        """
        now = self._clock.now()
        async with self._database.write() as tx:
            one, order = await self._locked(tx, return_id, actor)
            _check_open(one)
            note = inspection.note_of(given)
            lines = inspection.lines_of(one, given)
            place = await _place(tx, given.location_id)
            is_paid_later = self._is_paid_later(order)
            fulfilments = await fulfilment_store.of_order(tx.conn, order.id)
            before = await return_store.of_order(tx.conn, order.id)
            credit = credit_of(
                order,
                fulfilments,
                before,
                {line.position: line.accepted or 0 for line in lines},
                with_shipping=given.refund_shipping,
                deduction=(
                    given.deduction.to_money()
                    if given.deduction is not None
                    else Money(0, order.total.currency)
                ),
            )
            pieces = inspection.pieces_of(order, fulfilments, lines, place)
            received = replace(
                one,
                state="received",
                location_id=place,
                lines=lines,
                credit=credit,
                updated_at=now,
            )
            data = inspection.told(lines, credit, pieces)
            if is_paid_later:
                data["owed_less"] = credit.total.amount
            await history.note(tx, _event(received, actor, now, data, note))
            refund = await self._give_back(tx, order, received, credit, actor, now)
            if refund is not None:
                received = replace(received, refund_id=refund.id)
            await return_store.change(tx.conn, received)
            # What is locked here comes before the stock, as in everything that changes products.
            await _tell_fit(tx, order, lines, now)
            await _restock(tx, order, lines, pieces)
        return ReturnOf(received, order, refund)

    async def refuse(self, return_id: ReturnId, note: str | None, actor: Actor) -> ReturnOf:
        """Staff takes nothing back, and says why. Raises UnknownReturn, NotNow, BadText."""
        return await self._end(return_id, "refused", checked_note(note, is_required=True), actor)

    async def withdraw(self, return_id: ReturnId, note: str | None, actor: Actor) -> ReturnOf:
        """The goods stay with the buyer after all. Raises UnknownReturn, NotNow, BadText."""
        return await self._end(return_id, "withdrawn", checked_note(note, is_required=False), actor)

    async def page(self, query: wire.ReturnQuery) -> tuple[list[ReturnOf], str | None]:
        """A page, newest first, and the cursor of the next."""
        async with self._database.read() as conn:
            found = await return_store.page(
                conn,
                state=query.state,
                order_id=OrderId(query.order_id) if query.order_id else None,
                before=ReturnId(query.cursor) if query.cursor else None,
                limit=query.limit + 1,
            )
            shown = found[: query.limit]
            orders = await store.by_ids(conn, {one.order_id for one in shown})
            refunds = await refund_store.of_orders(conn, list(orders))
        by_id = {refund.id: refund for listed in refunds.values() for refund in listed}
        page = [
            ReturnOf(one, orders[one.order_id], by_id.get(one.refund_id or RefundId("")))
            for one in shown
        ]
        return page, shown[-1].id if len(found) > query.limit else None

    def out(self, shown: ReturnOf) -> wire.Return:
        """As it is told."""
        refund = None
        if shown.refund is not None:
            by_hand = is_by_hand(self._payments, shown.order)
            refund = wire.RefundOut.of(shown.refund, is_by_hand=by_hand)
        return wire.Return.of(shown.one, shown.order, refund)

    async def _give_back(
        self, tx: Tx, order: Order, one: Return, credit: Credit, actor: Actor, now: datetime
    ) -> Refund | None:
        """Owe what it is worth, or what is left of what was paid; None: nothing."""
        back = min(credit.total.amount, order.payment.refundable.amount)
        if back <= 0:
            return None
        return await owe(
            tx,
            self._payments,
            order,
            Money(back, order.total.currency),
            cause="returned",
            key=f"returned {one.id}",
            actor=actor,
            note=None,
            now=now,
        )

    async def _end(
        self, return_id: ReturnId, to: ReturnState, note: str | None, actor: Actor
    ) -> ReturnOf:
        now = self._clock.now()
        async with self._database.write() as tx:
            one, order = await self._locked(tx, return_id, actor)
            if one.state == to:
                return ReturnOf(one, order, None)
            _check_open(one)
            is_buyer = actor.kind == "buyer"
            # What a buyer writes stays with the return: the history is never forgotten.
            kept = (one.note or note) if is_buyer else one.note
            ended = replace(one, state=to, note=kept, updated_at=now)
            await return_store.change(tx.conn, ended)
            await history.note(tx, _event(ended, actor, now, {}, None if is_buyer else note))
        return ReturnOf(ended, order, None)

    async def _locked(self, tx: Tx, return_id: ReturnId, actor: Actor) -> tuple[Return, Order]:
        """The return as it is once its order is locked. Raises UnknownReturn."""
        nowhere = UnknownReturn("There is no such return.")
        seen = await return_store.by_id(tx.conn, return_id)
        if seen is None:
            raise nowhere
        order = await known(tx, seen.order_id)
        if actor.kind == "buyer" and order.viewer_id != actor.id:
            raise nowhere
        one = await return_store.by_id(tx.conn, return_id)
        assert one is not None, "a return is never deleted"
        return one, order

    def _is_paid_later(self, order: Order) -> bool:
        """Whether the goods went before they were paid. Raises NotNow while a provider is at it:
        what it will bring is not known yet."""
        if order.payment.captured > 0 or order.payment.state == "paid":
            return False
        if order.payment.state in _UNSETTLED and not is_by_hand(self._payments, order):
            raise NotNow(
                "The payment of this order is not settled yet, so nothing can be refunded. Keep "
                "the goods apart and inspect them once it is.",
                data={"state": order.payment.state},
            )
        return True


def _check_own(order: Order, actor: Actor) -> None:
    if actor.kind == "buyer" and order.viewer_id != actor.id:
        # Whether somebody else's order exists is nobody's business either.
        raise UnknownOrder("There is no such order of yours.")


def _check_open(one: Return) -> None:
    if one.state != "requested":
        raise NotNow(f"This return is {one.state} already.", data={"state": one.state})


def _check_returnable(order: Order, lines: Sequence[ReturnLine], may: Mapping[int, int]) -> None:
    """Raises NotReturnable, telling what may come back of each line."""
    for line in lines:
        allowed = may.get(line.position, 0)
        if line.quantity <= allowed:
            continue
        told = [{"position": position, "quantity": units} for position, units in may.items()]
        data: dict[str, Any] = {"field": "lines", "position": line.position, "returnable": told}
        if line.position >= len(order.lines):
            why = "This order has no such line."
        elif allowed == 0:
            why = (
                f"{order.lines[line.position].title}: nothing can be returned now. It has not "
                "arrived yet, is on its way back, or the time for returns is over."
            )
        else:
            why = f"{order.lines[line.position].title}: at most {allowed} can be returned now."
        raise NotReturnable(why, data=data)


async def _place(tx: Tx, location_id: str) -> LocationId:
    place = LocationId(location_id)
    if place not in await fulfilment_store.names_of_places(tx.conn, [place]):
        raise UnknownLocation("There is no such location.", data={"field": "location_id"})
    return place


async def _restock(
    tx: Tx, order: Order, lines: Sequence[ReturnLine], pieces: Mapping[Shelf, int]
) -> None:
    if not pieces:
        return
    sold_as = [order.lines[line.position].variant_id for line in lines if line.restocked]
    touched = dict.fromkeys([*sold_as, *(part for part, _ in pieces)])
    await shelves.lock(tx.conn, touched)
    await shelves.restock(tx.conn, pieces)
    tx.notify(StockTouched(tuple(touched)))


async def _tell_fit(tx: Tx, order: Order, lines: Sequence[ReturnLine], now: datetime) -> None:
    products = {order.lines[line.position].product_id for line in lines}
    changed = await fit.recompute(tx.conn, products, now)
    if changed:
        tx.notify(ProductsTouched(tuple(sorted(changed))))


def _event(
    one: Return, actor: Actor, now: datetime, data: Mapping[str, Any], note: str | None
) -> OrderEvent:
    kept = {"return_id": one.id, **data}
    return OrderEvent(one.order_id, now, actor, f"return.{one.state}", kept, note)
