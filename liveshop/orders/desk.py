"""What people do about an order's money: cancel it, give some of it back, note that it came.

Everything is decided under the lock of the order's row, so two who act at once act one after the
other, and leaves a line in its history.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import Invalid
from liveshop.kernel.ids import OrderId, RefundId
from liveshop.kernel.money import Money
from liveshop.orders import fulfilment_store, history, overdue, return_store, store
from liveshop.orders.acting import checked_note, is_by_hand, known, owe, refund_event
from liveshop.orders.fulfilling import Fulfilments
from liveshop.orders.model import (
    Actor,
    Fulfilment,
    KeyReused,
    NotNow,
    Order,
    OrderEvent,
    UnknownRefund,
)
from liveshop.payments import refund_store, refunds
from liveshop.payments import store as payments_store
from liveshop.payments.model import REFUND_FAILED, Refund, SomethingDue
from liveshop.payments.service import Payments
from liveshop.storage import Database, Tx

OnCancelled = Callable[[Tx, Order, datetime], Awaitable[None]]
"""Told of each order in the transaction that cancels it."""


async def tell_nobody(_: Tx, __: Order, ___: datetime) -> None:
    return None


class OrderDesk:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        payments: Payments,
        fulfilments: Fulfilments,
        on_cancelled: OnCancelled = tell_nobody,
    ) -> None:
        self._database = database
        self._clock = clock
        self._payments = payments
        self._fulfilments = fulfilments
        self._on_cancelled = on_cancelled

    async def cancel(self, order_id: OrderId, actor: Actor, note: str | None) -> Order:
        """Call the whole order off: stock back, money back. Twice is once. So ends also an order
        that is not paid or promised yet, where its payment has a problem that nobody else solves.

        Staff says why. Raises UnknownOrder; NotNow once something of it has left, or where there
        is nothing to cancel; BadText.
        """
        now = self._clock.now()
        why = checked_note(note, is_required=actor.kind == "staff")
        async with self._database.write() as tx:
            order = await known(tx, order_id)
            return await self.cancel_in(tx, order, actor, why, now)

    async def cancel_lost(self, tx: Tx, order: Order, now: datetime) -> None:
        """The payment of a confirmed order has failed after all. Raises NotNow, with nothing
        changed, where goods have left already."""
        actor = Actor("provider", order.payment.method)
        await self.cancel_in(tx, order, actor, None, now, reason="not_paid")

    async def cancel_in(
        self,
        tx: Tx,
        order: Order,
        actor: Actor,
        note: str | None,
        now: datetime,
        *,
        reason: str | None = None,
    ) -> Order:
        """`cancel` in the transaction of somebody who has locked this order: the order as it is
        then. Its payment is taken as it is told here. Raises NotNow, with nothing changed."""
        if order.state == "cancelled":
            return order
        is_stuck = order.state == "pending" and order.payment.problem is not None
        if order.state != "confirmed" and not is_stuck:
            raise NotNow(
                "Only a confirmed order can be cancelled: this one is not paid or promised yet."
                if order.state == "pending"
                else "This order came to nothing: there is nothing to cancel.",
                data={"state": order.state},
            )
        _check_nothing_left(await fulfilment_store.of_order(tx.conn, order.id))
        await store.change_state(tx.conn, order.id, "cancelled")
        data = {"payment_state": order.payment.state} | ({"reason": reason} if reason else {})
        await history.note(tx, OrderEvent(order.id, now, actor, "order.cancelled", data, note))
        back = order.payment.refundable
        if back.amount > 0:
            await owe(
                tx,
                self._payments,
                order,
                back,
                cause="cancelled",
                key=f"cancelled {order.id}",
                actor=actor,
                note=note,
                now=now,
            )
        elif is_stuck or order.payment.state in ("authorised", "processing"):
            # What has come all the same, however much it is, goes back once the provider says so.
            await payments_store.want_void(tx.conn, order.payment.id, now)
            tx.notify(SomethingDue())
        await self._fulfilments.cancel_all(tx, order, actor, now)
        cancelled = replace(order, state="cancelled")
        await self._on_cancelled(tx, cancelled, now)
        return cancelled

    async def refund(
        self, order_id: OrderId, key: str, amount: Money, note: str | None, actor: Actor
    ) -> Refund:
        """Give so much back, whatever for; the same key again gives back once. So is a refund
        that failed started again: what it could not give back is seen to then.

        Raises UnknownOrder, RefundTooLarge, Invalid (nothing, another currency), KeyReused,
        BadText.
        """
        why = checked_note(note, is_required=True)
        if amount.amount <= 0:
            raise Invalid("Say how much goes back: more than nothing.", data={"field": "amount"})
        now = self._clock.now()
        async with self._database.write() as tx:
            order = await known(tx, order_id)
            if amount.currency != order.total.currency:
                raise Invalid(
                    f"This order was paid in {order.total.currency}. Give the amount in "
                    f"{order.total.currency}.",
                    data={"field": "amount.currency"},
                )
            whole_key = f"desk {order.id} {key}"
            before = await refund_store.by_key(tx.conn, whole_key)
            if before is not None:
                if before.amount != amount:
                    raise KeyReused(
                        "This Idempotency-Key belongs to another refund. Use a new one."
                    )
                return before
            owed = await owe(
                tx,
                self._payments,
                order,
                amount,
                cause="goodwill",
                key=whole_key,
                actor=actor,
                note=why,
                now=now,
            )
            await payments_store.drop_problem(tx.conn, order.payment.id, REFUND_FAILED, now)
            return owed

    async def mark_paid(self, order_id: OrderId, actor: Actor, note: str | None) -> Order:
        """Staff has the money of an invoice, or of goods paid at pickup: all that was still to be
        paid. Raises UnknownOrder, NotNow, BadText."""
        why = checked_note(note, is_required=False)
        now = self._clock.now()
        async with self._database.write() as tx:
            order = await known(tx, order_id)
            if not is_by_hand(self._payments, order):
                raise NotNow(
                    f"Payments by {order.payment.method} are told by their provider. Nothing is to "
                    "be noted here.",
                    data={"state": order.payment.state},
                )
            owed = overdue.to_pay(
                order,
                await fulfilment_store.of_order(tx.conn, order.id),
                await return_store.of_order(tx.conn, order.id),
            )
            if owed.amount <= 0:
                raise NotNow(
                    "All of it came back before it was paid: nothing is owed any more.",
                    data={"state": order.payment.state},
                )
            less = order.payment.amount - owed
            if not await payments_store.record_paid_by_hand(
                tx.conn, order.payment.id, now, less=less.amount
            ):
                raise NotNow(
                    "This order is paid already."
                    if order.payment.state == "paid"
                    else "Nothing is to be paid for this order.",
                    data={"state": order.payment.state},
                )
            data = {"amount": owed.amount, "currency": owed.currency}
            await history.note(tx, OrderEvent(order.id, now, actor, "payment.paid", data, why))
            return await known(tx, order_id)

    async def refund_done(self, refund_id: RefundId, actor: Actor) -> Refund:
        """Staff has given back by hand what was due. Raises UnknownRefund, NotNow."""
        now = self._clock.now()
        async with self._database.write() as tx:
            before = await refund_store.by_id(tx.conn, refund_id)
            if before is None:
                raise UnknownRefund("There is no such refund.")
            await known(tx, before.order_id)
            done = await refunds.done_by_hand(tx, refund_id, now)
            if done is None:
                is_over = before.state == "done"
                raise NotNow(
                    "This refund is done already."
                    if is_over
                    else "The provider gives this one back; what it says is shown here.",
                    data={"state": before.state},
                )
            await history.note(tx, refund_event(done, actor, now))
            return done


def _check_nothing_left(fulfilments: list[Fulfilment]) -> None:
    """Raises NotNow, which says what to do instead."""
    states = {one.state for one in fulfilments}
    if any(one.state == "shipped" and one.store_id is not None for one in fulfilments):
        raise NotNow(
            "Part of this order is on its way to the store. Cancel it once it is there, or let it "
            "be returned.",
            data={"state": "shipped"},
        )
    for state in ("shipped", "delivered", "collected"):
        if state in states:
            raise NotNow(
                "Part of this order has left. Let the buyer return it, or refund what is missing.",
                data={"state": state},
            )
