"""Confirming orders that are paid, or promised to be: goods sold, fulfilments opened, all noted.

Many at once where they were placed a moment ago, which is the usual case; whatever is not usual is
for `settlement`, one by one.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from liveshop.catalog import holds, shelves
from liveshop.catalog.model import StockTouched
from liveshop.checkout import model, store
from liveshop.checkout.payment_history import order_event
from liveshop.kernel.ids import OrderId, VariantId
from liveshop.orders import history
from liveshop.orders import store as orders
from liveshop.orders import wire as orders_wire
from liveshop.orders.fulfilling import open_fulfilments
from liveshop.orders.model import Actor, Order
from liveshop.payments import store as payments
from liveshop.payments.model import ChargeAnswer, Payment
from liveshop.shows.service import room_of
from liveshop.storage import Tx

OnConfirmed = Callable[[Tx, Sequence[Order], datetime], Awaitable[None]]
"""Told of orders in the transaction that confirms them."""
Parts = Mapping[VariantId, Mapping[VariantId, int]]


async def tell_nobody(_: Tx, __: Sequence[Order], ___: datetime) -> None:
    return None


class Confirming:
    def __init__(self, on_confirmed: OnConfirmed) -> None:
        self._on_confirmed = on_confirmed

    async def settle_placed(
        self, tx: Tx, answered: Sequence[tuple[Order, ChargeAnswer]], now: datetime
    ) -> list[Order | None]:
        """Confirm orders that were placed a moment ago: those of them that are `is_usual`, whose
        payments are as they were, and which hold all they need. None for the others: nothing is
        done for them.
        """
        usual: dict[OrderId, tuple[Order, ChargeAnswer]] = {}
        for order, answer in answered:
            if is_usual(order, answer):
                usual.setdefault(order.id, (order, answer))
        if not usual:
            return [None] * len(answered)
        await orders.lock_all(tx.conn, usual)
        variant_ids = {line.variant_id for order, _ in usual.values() for line in order.lines}
        await holds.lock(tx.conn, variant_ids)
        parts = await shelves.parts_of(tx.conn, variant_ids)
        held = await holds.held_by(tx.conn, list(usual), now)
        recorded = await payments.record_taken(
            tx.conn,
            {
                order.payment.id: answer
                for order, answer in usual.values()
                if held.get(order.id, (0, None))[0] == pieces_of(order, parts)
            },
            now,
        )
        settled = [
            replace(order, payment=_taken(order.payment, answer))
            for order, answer in usual.values()
            if order.payment.id in recorded
        ]
        confirmed = {one.id: one for one in await self.confirm(tx, settled, parts, now)}
        return [confirmed.pop(order.id, None) for order, _ in answered]

    async def confirm(
        self, tx: Tx, settled: Sequence[Order], parts: Parts, now: datetime
    ) -> list[Order]:
        if not settled:
            return []
        await orders.confirm(tx.conn, [order.id for order in settled])
        confirmed = [replace(order, state="confirmed") for order in settled]
        await store.remove_codes_until(
            tx.conn,
            {
                store.cart_id_of(order.viewer_id): order.placed_at
                for order in sorted(confirmed, key=lambda order: order.placed_at)
            },
        )
        sold = await holds.sell_each(tx.conn, [order.id for order in confirmed])
        touched = {variant_id for pieces in sold.values() for variant_id, _ in pieces}
        touched |= {line.variant_id for order in confirmed for line in order.lines}
        tx.notify(StockTouched(tuple(touched)))
        real = [order for order in confirmed if not order.is_rehearsal]
        if real:
            goods = [(order, sold.get(order.id, {})) for order in real]
            await open_fulfilments(tx, goods, parts, now)
        await history.note(
            tx,
            *(order_event(order, now, Actor("buyer", order.viewer_id)) for order in confirmed),
        )
        if real:
            await self._on_confirmed(tx, real, now)
        for order in confirmed:
            if order.show_id is not None:
                first = order.lines[0]
                tx.publish(
                    room_of(order.show_id),
                    "order.placed",
                    orders_wire.OrderPlaced(
                        first_name=model.first_name(order.address.name),
                        product_id=first.product_id,
                        product_title=first.title,
                    ),
                    at=now,
                )
        return confirmed


def is_usual(order: Order, answer: ChargeAnswer) -> bool:
    """Whether this says that an order nobody has heard of since it was placed is paid, or promised
    to be."""
    payment = order.payment
    return (
        order.state == "pending"
        and payment.state == "pending"
        and not payment.is_void_wanted
        and answer.state in ("authorised", "paid")
        and answer.amount in (None, payment.amount)
    )


def pieces_of(order: Order, parts: Parts) -> int:
    """Of stock, behind all that was ordered."""
    return sum(line.quantity * sum(parts[line.variant_id].values()) for line in order.lines)


def _taken(payment: Payment, answer: ChargeAnswer) -> Payment:
    return replace(
        payment,
        state=answer.state,
        reference=answer.reference,
        message=answer.message,
        captured=payment.amount.amount if answer.state == "paid" else 0,
        check_at=None,
    )
