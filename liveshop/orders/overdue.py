"""Goods that nobody collected in time: back on the store's shelf, and what was paid for them back.

What a bundle's parts are worth by themselves nobody has said, so only whole units go back; parts
left of one are told in the history, for a person to decide.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from liveshop.kernel.money import Money
from liveshop.orders import fulfilment_store as store
from liveshop.orders import history, return_store
from liveshop.orders.acting import owe, refund_event
from liveshop.orders.credit import credit_of, units_gone
from liveshop.orders.fulfilment_steps import restock, told
from liveshop.orders.model import SYSTEM, Fulfilment, Order, OrderEvent, Return
from liveshop.orders.returnable import pieces_per_unit, units_of
from liveshop.payments import refund_store, refunds
from liveshop.payments import store as payments_store
from liveshop.payments.service import Payments
from liveshop.storage import Tx


async def release(
    tx: Tx,
    payments: Payments,
    order: Order,
    one: Fulfilment,
    fulfilments: Sequence[Fulfilment],
    now: datetime,
) -> None:
    """Release one that is ready; the order is locked, and `fulfilments` are all of it."""
    released = [
        replace(each, state="released") if each.id == one.id else each for each in fulfilments
    ]
    units = _newly_released(order, one, fulfilments, released)
    left_over = _pieces_outside(order, one, fulfilments, units)
    await store.move(tx.conn, one, "released", now, collect_until=None)
    await restock(tx, [one])
    more = {"parts_without_refund": left_over} if left_over else {}
    await history.note(
        tx, OrderEvent(order.id, now, SYSTEM, "fulfilment.released", told(one, "released", **more))
    )
    if order.payment.state == "paid":
        returns = await return_store.of_order(tx.conn, order.id)
        worth = _worth(order, fulfilments, returns, units)
        back = Money(min(worth.amount, order.payment.refundable.amount), worth.currency)
        if back.amount > 0:
            await owe(
                tx,
                payments,
                order,
                back,
                cause="not_collected",
                key=f"released {one.id}",
                actor=SYSTEM,
                note=None,
                now=now,
            )
    elif all(each.state in ("released", "cancelled") for each in released):
        await payments_store.want_void(tx.conn, order.payment.id, now)


async def refund_released(
    tx: Tx, order: Order, fulfilments: Sequence[Fulfilment], now: datetime
) -> None:
    """A provider's money was taken, all of it, after something had been released: what that is
    worth goes back, once. The order is locked, and `fulfilments` are all of it."""
    released = [one for one in fulfilments if one.state == "released"]
    if order.payment.state != "paid" or not released:
        return
    returns = await return_store.of_order(tx.conn, order.id)
    left = order.payment.refundable.amount
    before = [one for one in fulfilments if one.state != "released"]
    before += [replace(one, state="ready") for one in released]
    for one in sorted(released, key=lambda each: (each.updated_at, each.id)):
        after = [one if each.id == one.id else each for each in before]
        units = _newly_released(order, one, before, after)
        worth = _worth(order, before, returns, units)
        before = after
        back = Money(min(worth.amount, left), worth.currency)
        key = f"released {one.id}"
        if back.amount <= 0 or await refund_store.by_key(tx.conn, key) is not None:
            continue
        owed = await refunds.owe(tx, order.payment, back, cause="not_collected", key=key, now=now)
        await history.note(tx, refund_event(owed, SYSTEM, now, kind="owed"))
        left -= back.amount


def to_pay(order: Order, fulfilments: Sequence[Fulfilment], returns: Sequence[Return]) -> Money:
    """What is to be paid for an order of which nothing has been paid: not for what came back, nor
    for what is not there for its buyer any more."""
    credits_ = [one.credit for one in returns if one.credit is not None]
    gone = credit_of(
        order,
        (),
        (),
        units_gone(order, fulfilments, returns),
        with_shipping=any(one.shipping.amount > 0 for one in credits_),
        deduction=Money(0, order.total.currency),
    )
    kept_back = sum(one.deduction.amount for one in credits_)
    owed = order.payment.amount.amount - gone.total.amount + kept_back
    return Money(max(0, owed), order.total.currency)


def _worth(
    order: Order,
    fulfilments: Sequence[Fulfilment],
    returns: Sequence[Return],
    units: dict[int, int],
) -> Money:
    nothing = Money(0, order.total.currency)
    return credit_of(
        order, fulfilments, returns, units, with_shipping=False, deduction=nothing
    ).total


def _newly_released(
    order: Order, one: Fulfilment, before: Sequence[Fulfilment], after: Sequence[Fulfilment]
) -> dict[int, int]:
    """Whole units by line that are released once `one` is."""
    return {
        position: now - earlier
        for position in sorted({item.position for item in one.items})
        if (now := units_of(order, after, position, "released"))
        > (earlier := units_of(order, before, position, "released"))
    }


def _pieces_outside(
    order: Order, one: Fulfilment, fulfilments: Sequence[Fulfilment], units: dict[int, int]
) -> int:
    """Pieces of it that make no whole unit together with what was released before."""
    found = 0
    for item in one.items:
        per_unit = pieces_per_unit(order, fulfilments, item.position).get(item.variant_id, 1)
        found += max(0, item.pieces - units.get(item.position, 0) * per_unit)
    return found
