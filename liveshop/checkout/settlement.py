"""What a provider's answer means: stock sold or given back, a cart restored, money returned."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime

import msgspec

from liveshop.catalog import holds
from liveshop.catalog.model import StockTouched
from liveshop.catalog.store import pieces
from liveshop.checkout import model, store
from liveshop.checkout.carts import Carts
from liveshop.checkout.holding import give_back
from liveshop.checkout.model import Article, CartLine, Terms
from liveshop.kernel.ids import LineId, ShowId, new_id
from liveshop.orders import store as orders
from liveshop.orders import wire as orders_wire
from liveshop.orders.model import Order, OrderLine
from liveshop.payments import store as payments
from liveshop.payments.model import ChargeAnswer
from liveshop.promotions import claims
from liveshop.shows.service import room_of
from liveshop.storage import Tx

REFUND_TOPIC = "checkout.refund"


class RefundJob(msgspec.Struct):
    order_id: str


OnConfirmed = Callable[[Tx, Order, datetime], Awaitable[None]]
"""Told of each order in the transaction that confirms it."""


async def tell_nobody(_: Tx, __: Order, ___: datetime) -> None:
    return None


class Settlement:
    def __init__(self, carts: Carts, on_confirmed: OnConfirmed) -> None:
        self._carts = carts
        self._on_confirmed = on_confirmed

    async def settle(self, tx: Tx, order: Order, answer: ChargeAnswer, now: datetime) -> Order:
        """Act on an answer that this transaction has just recorded as the first one; the order as
        it is then.
        """
        paid = replace(
            order.payment,
            state=answer.state,
            reference=answer.reference,
            message=answer.message,
        )
        if answer.state == "declined":
            await self._fail(tx, order, now)
            return replace(order, state="payment_failed", payment=paid)
        await holds.lock(tx.conn, {line.variant_id for line in order.lines})
        if not await self._has_stock(tx, order, now):
            await self._cancel(tx, order, now)
            return replace(order, state="cancelled", payment=replace(paid, state="refund_due"))
        await self._confirm(tx, order, now)
        return replace(order, state="confirmed", payment=paid)

    async def _has_stock(self, tx: Tx, order: Order, now: datetime) -> bool:
        """Whether the order holds everything, if need be again: the payment may have taken longer
        than its stock was kept. Then those who wait come first, as always.
        """
        if await self._holds_all(tx, order, now):
            return True
        await self._carts.shelf.refreshed(tx, {line.variant_id for line in order.lines}, now)
        await give_back(tx, [order.id])
        wanted = [
            holds.Wanted(order.id, line.variant_id, line.quantity, None) for line in order.lines
        ]
        refusals = await holds.take_each(tx.conn, wanted, now)
        if not any(refusals):
            return True
        await give_back(tx, [order.id])
        return False

    async def _holds_all(self, tx: Tx, order: Order, now: datetime) -> bool:
        per_unit = await pieces(tx.conn, {line.variant_id for line in order.lines})
        held, _ = (await holds.held_by(tx.conn, [order.id], now)).get(order.id, (0, None))
        return held == sum(line.quantity * per_unit[line.variant_id] for line in order.lines)

    async def _confirm(self, tx: Tx, order: Order, now: datetime) -> None:
        await orders.change_state(tx.conn, order.id, "confirmed")
        cart_id = store.cart_id_of(order.viewer_id)
        await store.remove_codes(tx.conn, cart_id, until=order.placed_at)
        sold = await holds.sell(tx.conn, order.id)
        tx.notify(StockTouched((*sold, *(line.variant_id for line in order.lines))))
        await self._on_confirmed(tx, order, now)
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

    async def _cancel(self, tx: Tx, order: Order, now: datetime) -> None:
        """Paid, and sold to somebody else meanwhile: the money goes back, and a job sees to it."""
        await orders.change_state(tx.conn, order.id, "cancelled")
        await payments.owe_refund(tx.conn, order.payment.id, now)
        await self._carts.shelf.refreshed(tx, {line.variant_id for line in order.lines}, now)
        await claims.give_back_uses(tx.conn, order.id)
        await tx.enqueue(
            REFUND_TOPIC, RefundJob(order.id), now=now, key=f"{REFUND_TOPIC} {order.id}"
        )

    async def _fail(self, tx: Tx, order: Order, now: datetime) -> None:
        """Give the cart back, with its holds, so that the buyer can pay otherwise."""
        await orders.change_state(tx.conn, order.id, "payment_failed")
        await store.lock(tx.conn, [order.viewer_id], now)
        variant_ids = {line.variant_id for line in order.lines}
        await holds.lock(tx.conn, variant_ids)
        cart = await self._carts.cart_of(tx.conn, order.viewer_id, now)
        # Bought again meanwhile: that line is the newer wish; this stock goes back.
        missing = [line for line in order.lines if cart.line_of(line.variant_id) is None]
        lines = await self._lines_again(tx, missing, now)
        holding = [line for line in lines if line.held_until is not None]
        held = await self._hand_back(tx, order, holding, now)
        lapsed = {line.id for line in holding} - {line.id for line in held}
        back = [
            replace(line, held=0, held_until=None) if line.id in lapsed else line for line in lines
        ]
        await store.add_lines(tx.conn, [(cart.id, line) for line in back], now)
        await give_back(tx, [order.id])
        await self._carts.shelf.tell(tx, lines)
        await self._carts.shelf.refreshed(tx, variant_ids, now)
        await self._carts.claim(
            tx, [(order.viewer_id, line) for line in held], now, instead_of=order.id
        )

    async def _lines_again(self, tx: Tx, lines: list[OrderLine], now: datetime) -> list[CartLine]:
        """Lines for what was ordered, as they would be if it was held from now on."""
        articles = await store.articles(tx.conn, {line.variant_id for line in lines})
        show_ids = {line.show_id for line in lines if line.show_id is not None}
        terms = await store.terms_of_shows(tx.conn, show_ids, self._carts.hold_seconds)
        return [self._line_again(line, articles[line.variant_id], terms, now) for line in lines]

    def _line_again(
        self,
        line: OrderLine,
        article: Article,
        terms: Mapping[ShowId, Terms],
        now: datetime,
    ) -> CartLine:
        own = terms.get(line.show_id, self._carts.terms) if line.show_id else self._carts.terms
        return CartLine(
            id=LineId(new_id("lin", now)),
            article=article,
            quantity=line.quantity,
            show_id=line.show_id,
            terms=own,
            held=0 if own.is_first_paid else line.quantity * article.pieces,
            held_until=None if own.is_first_paid else own.until(now),
        )

    async def _hand_back(
        self, tx: Tx, order: Order, lines: list[CartLine], now: datetime
    ) -> list[CartLine]:
        """Pass the order's stock to these lines, or take what of it has lapsed again; those that
        hold all they want.
        """
        wanted = [
            holds.Wanted(line.id, line.variant_id, line.quantity, line.held_until) for line in lines
        ]
        if await self._holds_all(tx, order, now):
            await holds.hand_back(tx.conn, order.id, wanted)
            return lines
        await self._carts.shelf.refreshed(tx, {line.variant_id for line in lines}, now)
        await give_back(tx, [order.id])
        refusals = await holds.take_each(tx.conn, wanted, now)
        return [line for line, refusal in zip(lines, refusals, strict=True) if refusal is None]
