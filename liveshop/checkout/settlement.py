"""What a provider's answer means: stock sold or given back, a cart restored, money returned."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from liveshop.catalog import holds, shelves
from liveshop.checkout import store
from liveshop.checkout.carts import Carts
from liveshop.checkout.confirming import Confirming, OnConfirmed, Parts, pieces_of
from liveshop.checkout.delivery import Deliveries
from liveshop.checkout.holding import give_back
from liveshop.checkout.model import Article, CartLine, Terms
from liveshop.checkout.payment_history import order_event, payment_event, refund_event
from liveshop.kernel.ids import LineId, ShowId, new_id
from liveshop.kernel.rehearsals import shelf_of
from liveshop.orders import fulfilment_store, history, overdue
from liveshop.orders import store as orders
from liveshop.orders.model import SYSTEM, NotNow, Order, OrderLine
from liveshop.payments import refunds
from liveshop.payments import store as payments
from liveshop.payments.model import (
    OPEN,
    TRANSITIONS,
    ChargeAnswer,
    Payment,
    PaymentState,
    voided,
)
from liveshop.promotions import claims
from liveshop.storage import Tx

OnLost = Callable[[Tx, Order, datetime], Awaitable[None]]
"""Told of each order that was confirmed and whose payment has failed after all, in the transaction
that records that: it has to be cancelled, with all that belongs to it."""

_log = structlog.get_logger("checkout")
_DEAD: frozenset[PaymentState] = frozenset({"declined", "voided"})
_FIRST_CHECK = timedelta(seconds=30)
_FIRST_CHECK_OF_COLLECTED = timedelta(minutes=5)


class Settlement:
    def __init__(
        self,
        carts: Carts,
        deliveries: Deliveries,
        on_confirmed: OnConfirmed,
        on_lost: OnLost,
        *,
        action: timedelta,
    ) -> None:
        self._carts = carts
        self._deliveries = deliveries
        self.confirming = Confirming(on_confirmed)
        self._on_lost = on_lost
        self._action = action

    async def settle(
        self, tx: Tx, order: Order, answer: ChargeAnswer, now: datetime
    ) -> Order | None:
        """Act on what a provider says about the payment of an order that this transaction has
        locked; the order as it is then. What is known already changes nothing. None, and nothing
        done, where the payment is not as in `order` any more.
        """
        payment = order.payment
        if _is_overtaken(payment, answer):
            return order
        state = _as_told(payment, answer.state)
        answer = replace(answer, state=state)
        if state not in _DEAD and answer.amount not in (None, payment.amount):
            if order.state in ("pending", "confirmed"):
                return await self._mismatch(tx, order, now)
            return await self._unasked(tx, order, answer, now)
        if state == payment.state or (state in _DEAD and payment.state in _DEAD):
            return await self._same(tx, order, answer, now)
        if payment.state in _DEAD:
            return await self._raised(tx, order, answer, now)
        paid = self._answered(order, answer, now)
        if not await payments.record_answer(
            tx.conn,
            payment,
            answer,
            now,
            expires_at=paid.expires_at,
            check_at=paid.check_at,
        ):
            return None if state in TRANSITIONS[payment.state] else order
        settled = replace(order, payment=paid)
        if payment.state in OPEN and order.state == "pending":
            return await self._first(tx, settled, now)
        await self._note_payment(tx, settled, now)
        if state == "paid":
            return await self._paid(tx, settled, now)
        if state in _DEAD and order.state == "confirmed" and not payment.is_void_wanted:
            return await self._lost(tx, settled, was=payment.state, now=now)
        return settled

    def _answered(self, order: Order, answer: ChargeAnswer, now: datetime) -> Payment:
        """The payment with this answer, and when the provider is to be asked again."""
        payment = order.payment
        # Due at this moment: an event came while the provider was asked, and is still to be heard.
        is_due = payment.check_at is not None and payment.check_at <= now
        is_asked_for = payment.is_void_wanted or answer.state in _DEAD
        check_at = payment.check_at if is_due and not is_asked_for else None
        if payment.is_void_wanted and answer.state not in ("paid", *_DEAD):
            check_at = now
        elif answer.state == "action_required":
            check_at = now + _FIRST_CHECK
        elif answer.state == "processing":
            check_at = now + _FIRST_CHECK_OF_COLLECTED
        return replace(
            payment,
            state=answer.state,
            reference=answer.reference,
            message=answer.message,
            captured=payment.amount.amount if answer.state == "paid" else 0,
            expires_at=(
                order.placed_at + self._action
                if answer.state == "action_required"
                else payment.expires_at
            ),
            check_at=check_at,
        )

    async def _first(self, tx: Tx, order: Order, now: datetime) -> Order:
        """The order waits for this answer to know whether it stands."""
        payment = order.payment
        if payment.state == "action_required":
            await self._note_payment(tx, order, now)
            return order
        if payment.state == "declined":
            return await self._fail(tx, order, now)
        if payment.is_void_wanted:
            failed = await self._fail(tx, order, now)
            return await self._give_back(tx, failed, now) if payment.state == "paid" else failed
        await holds.lock(tx.conn, {line.variant_id for line in order.lines})
        parts = await shelves.parts_of(tx.conn, {line.variant_id for line in order.lines})
        if await self._has_stock(tx, order, parts, now):
            [confirmed] = await self.confirming.confirm(tx, [order], parts, now)
            return confirmed
        return await self._cancel(tx, order, now)

    async def _paid(self, tx: Tx, order: Order, now: datetime) -> Order:
        """The money of an order of which it was known already whether it stands: what it is not
        for goes back."""
        if order.state != "confirmed" or order.payment.is_void_wanted:
            return await self._give_back(tx, order, now)
        if order.delivery == "pickup":
            everything = await fulfilment_store.of_order(tx.conn, order.id)
            await overdue.refund_released(tx, order, everything, now)
        return order

    async def _mismatch(self, tx: Tx, order: Order, now: datetime) -> Order:
        """Another amount than was asked for: a person has to look at it, and nothing moves."""
        payment = order.payment
        if payment.problem is not None:
            return order
        problem = "The provider has another amount for this payment. Compare the two."
        _log.error("payment_mismatch", order=order.id, payment=payment.id)
        await payments.change(tx.conn, payment.id, now, problem=problem)
        await history.note(tx, payment_event(order.id, payment.method, "mismatch", now))
        return replace(order, payment=replace(payment, problem=problem))

    async def _unasked(self, tx: Tx, order: Order, answer: ChargeAnswer, now: datetime) -> Order:
        """Another amount than was asked for, and the order is not to be: whatever came goes back,
        and what is only promised is given up."""
        payment, came = order.payment, answer.amount
        if answer.state != "paid" or came is None:
            if payment.state in _DEAD:
                return await self._raised(tx, order, answer, now)
            if not payment.is_void_wanted:
                await payments.want_void(tx.conn, payment.id, now)
            return order
        recorded = await payments.record_unasked(tx.conn, payment.id, came, answer.reference, now)
        if not recorded:
            await payments.ask_no_more(tx.conn, payment.id, now)
            return order
        await history.note(
            tx,
            payment_event(
                order.id,
                payment.method,
                "paid",
                now,
                amount=came.amount,
                currency=came.currency,
            ),
        )
        here = replace(
            payment,
            state=payment.state if payment.state in _DEAD else "paid",
            amount=came,
            captured=came.amount,
            reference=answer.reference,
            check_at=None,
        )
        return await self._give_back(tx, replace(order, payment=here), now)

    async def _same(self, tx: Tx, order: Order, answer: ChargeAnswer, now: datetime) -> Order:
        """Nothing new, except perhaps words for the buyer; what is settled is not asked again."""
        payment = order.payment
        if answer.state == "action_required" and answer.message != payment.message:
            await payments.change(tx.conn, payment.id, now, message=answer.message)
            return replace(order, payment=replace(payment, message=answer.message))
        is_settled = answer.state in ("paid", *_DEAD) or (
            answer.state == "authorised" and not payment.is_void_wanted
        )
        # Due at this moment: an event came while the provider was asked, and is still to be heard.
        if is_settled and payment.check_at is not None and payment.check_at > now:
            await payments.change(tx.conn, payment.id, now, check_at=None, checks=0)
            return replace(order, payment=replace(payment, check_at=None))
        return order

    async def _raised(self, tx: Tx, order: Order, answer: ChargeAnswer, now: datetime) -> Order:
        """A payment that had come to nothing lives: its money goes back, its promise is given up
        again."""
        payment = order.payment
        if answer.state != "paid":
            alive = replace(payment, is_void_wanted=True, check_at=now, reference=answer.reference)
            await payments.change(
                tx.conn,
                payment.id,
                now,
                is_void_wanted=True,
                check_at=now,
                reference=answer.reference,
            )
            return replace(order, payment=alive)
        if not await payments.record_late(tx.conn, payment.id, now):
            return await self._same(tx, order, replace(answer, state=payment.state), now)
        late = replace(payment, captured=payment.amount.amount, check_at=None)
        await history.note(tx, payment_event(order.id, payment.method, "paid", now))
        return await self._give_back(tx, replace(order, payment=late), now)

    async def _give_back(self, tx: Tx, order: Order, now: datetime) -> Order:
        """Paid for an order that will not be: all of it goes back."""
        payment = order.payment
        left = replace(payment.amount, amount=payment.captured - payment.refunded)
        if left.amount <= 0:
            return order
        owed = await refunds.owe(tx, payment, left, cause="late", key=f"late {order.id}", now=now)
        await history.note(tx, refund_event(owed, now))
        return replace(order, payment=replace(payment, refunded=payment.captured))

    async def _lost(self, tx: Tx, order: Order, *, was: PaymentState, now: datetime) -> Order:
        """A confirmed order whose money does not come."""
        problem = "What was authorised has been given up at the provider: nothing can be taken."
        if was == "processing":
            try:
                await self._on_lost(tx, order, now)
            except NotNow:
                problem = "The provider could not collect the money, and goods have left already."
            else:
                return replace(order, state="cancelled")
        _log.error("payment_lost", order=order.id, payment=order.payment.id)
        await payments.change(tx.conn, order.payment.id, now, problem=problem)
        return replace(order, payment=replace(order.payment, problem=problem))

    async def _note_payment(self, tx: Tx, order: Order, now: datetime) -> None:
        payment = order.payment
        await history.note(tx, payment_event(order.id, payment.method, payment.state, now))

    async def _has_stock(self, tx: Tx, order: Order, parts: Parts, now: datetime) -> bool:
        """Whether the order holds everything, if need be again: the payment may have taken longer
        than its stock was kept. Then those who wait come first, as always.
        """
        if await self._holds_all(tx, order, parts, now):
            return True
        await self._carts.shelf.refreshed(tx, {line.variant_id for line in order.lines}, now)
        await give_back(tx, [order.id])
        wanted = [
            holds.Wanted(order.id, line.variant_id, line.quantity, None, shelf_of(order.viewer_id))
            for line in order.lines
        ]
        refusals = await holds.take_each(tx.conn, wanted, now)
        if not any(refusals) and await self._deliveries.arrange_again(tx.conn, order):
            return True
        await give_back(tx, [order.id])
        return False

    async def _holds_all(self, tx: Tx, order: Order, parts: Parts, now: datetime) -> bool:
        held, _ = (await holds.held_by(tx.conn, [order.id], now)).get(order.id, (0, None))
        return held == pieces_of(order, parts)

    async def _cancel(self, tx: Tx, order: Order, now: datetime) -> Order:
        """Paid or promised, and sold to somebody else meanwhile: the money goes back."""
        await orders.change_state(tx.conn, order.id, "cancelled")
        cancelled = replace(order, state="cancelled")
        await self.let_go(tx, cancelled, now)
        await history.note(
            tx,
            payment_event(order.id, order.payment.method, order.payment.state, now),
            order_event(cancelled, now, SYSTEM, reason="sold_out"),
        )
        if order.payment.state == "paid":
            return await self._give_back(tx, cancelled, now)
        await payments.want_void(tx.conn, order.payment.id, now)
        return replace(cancelled, payment=replace(order.payment, is_void_wanted=True, check_at=now))

    async def let_go(self, tx: Tx, order: Order, now: datetime) -> None:
        """What an order that is not to be held and used is there for others again."""
        await give_back(tx, [order.id])
        await self._carts.shelf.refreshed(tx, {line.variant_id for line in order.lines}, now)
        await claims.give_back_uses(tx.conn, order.id)

    async def _fail(self, tx: Tx, order: Order, now: datetime) -> Order:
        """Give the cart back, with its holds, so that the buyer can pay otherwise."""
        await orders.change_state(tx.conn, order.id, "payment_failed")
        failed = replace(order, state="payment_failed")
        await history.note(
            tx,
            payment_event(order.id, order.payment.method, order.payment.state, now),
            order_event(failed, now, SYSTEM),
        )
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
        return failed

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
        shelf = shelf_of(order.viewer_id)
        wanted = [
            holds.Wanted(line.id, line.variant_id, line.quantity, line.held_until, shelf)
            for line in lines
        ]
        parts = await shelves.parts_of(tx.conn, {line.variant_id for line in order.lines})
        if await self._holds_all(tx, order, parts, now):
            await holds.hand_back(tx.conn, order.id, wanted)
            return lines
        await self._carts.shelf.refreshed(tx, {line.variant_id for line in lines}, now)
        await give_back(tx, [order.id])
        refusals = await holds.take_each(tx.conn, wanted, now)
        return [line for line, refusal in zip(lines, refusals, strict=True) if refusal is None]


def _is_overtaken(payment: Payment, answer: ChargeAnswer) -> bool:
    """Whether a payment was ruled out before the provider's name for it was known: what was
    ruled out is not what is there now, which somebody may be paying at this moment."""
    is_ruled_out = answer.reference == voided(payment.id).reference
    return is_ruled_out and payment.reference not in (None, answer.reference)


def _as_told(payment: Payment, state: PaymentState) -> PaymentState:
    """Providers call the end of a payment by one name, whether it was authorised before or not."""
    if state in _DEAD:
        return "voided" if payment.state == "authorised" else "declined"
    return state
