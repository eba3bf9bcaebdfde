"""Placing an order: once per idempotency key, at exactly the total the screen said, paid once.

Two transactions with the provider's call between them and none open meanwhile. `settle` is the one
place that decides what became of an order, whoever heard the provider's answer: the request itself,
or the worker after a crash. What that means for stock, cart and money stands in `settlement`.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog

from liveshop.catalog import holds
from liveshop.checkout import model, store, wire
from liveshop.checkout.model import Cart, Quote
from liveshop.checkout.service import CartService
from liveshop.checkout.settlement import REFUND_TOPIC, OnConfirmed, Settlement, tell_nobody
from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import OrderId, PaymentId, ShowId, ViewerId, new_id
from liveshop.kernel.text import clean_email
from liveshop.orders import store as orders
from liveshop.orders.model import Address, Order, OrderLine, OrderStep, UnknownOrder
from liveshop.payments import store as payments
from liveshop.payments.model import (
    BadPaymentInput,
    Charge,
    ChargeAnswer,
    Payment,
    PaymentProvider,
    ProviderUnavailable,
    UnknownMethod,
)
from liveshop.promotions import claims
from liveshop.promotions.delivery import Rates
from liveshop.promotions.model import UsedUp
from liveshop.promotions.words import explanation_in_words
from liveshop.settings import Settings
from liveshop.shows import store as shows
from liveshop.shows.model import UnknownShow
from liveshop.storage import Database, Tx
from liveshop.web import MoneyOut

TOPIC = "checkout.settle"
__all__ = ["REFUND_TOPIC", "TOPIC", "OrderWish", "PlaceOrder", "SettleJob"]
_log = structlog.get_logger("checkout")


class SettleJob(msgspec.Struct):
    order_id: str


@dataclass(frozen=True, slots=True)
class OrderWish:
    """What a buyer asks for, cleaned."""

    expected_total: MoneyOut
    email: str
    address: Address
    method: str
    card_number: str | None
    show_id: ShowId | None
    language: str = "en"
    expected_lines: tuple[tuple[str, int], ...] | None = None
    """(variant, quantity) as the screen showed them, sorted."""

    @classmethod
    def of(cls, given: wire.OrderInput) -> "OrderWish":
        """Raises BadText or Invalid naming the field."""
        email = clean_email(given.email)
        return cls(
            expected_total=given.expected_total,
            email=email,
            address=given.address.to_model(),
            method=given.payment.method,
            card_number=given.payment.card_number,
            show_id=ShowId(given.show_id) if given.show_id else None,
            language=given.language,
            expected_lines=(
                tuple(sorted((one.variant_id, one.quantity) for one in given.expected_lines))
                if given.expected_lines is not None
                else None
            ),
        )

    def digest(self) -> str:
        """Tells one wish from another under the same key; card data takes no part."""
        told = [
            self.expected_total,
            self.email,
            self.address,
            self.method,
            self.show_id,
            self.expected_lines,
        ]
        return hashlib.sha256(msgspec.json.encode(told)).hexdigest()


class PlaceOrder:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        carts: CartService,
        providers: Mapping[str, PaymentProvider],
        on_confirmed: OnConfirmed = tell_nobody,
    ) -> None:
        self._database = database
        self._clock = clock
        self._carts = carts
        self._settlement = Settlement(carts.carts, on_confirmed)
        self._providers = dict(providers)
        self._payment_hold = timedelta(seconds=settings.checkout.payment_hold_seconds)
        self._timeout_seconds = settings.payments.timeout_seconds
        self._unclear = timedelta(seconds=settings.checkout.payment_unclear_seconds)

    @property
    def providers(self) -> list[PaymentProvider]:
        return list(self._providers.values())

    @property
    def rates(self) -> Rates:
        """What delivery costs, by country."""
        return self._carts.carts.prices.rates

    async def place_order(self, viewer_id: ViewerId, key: str, wish: OrderWish) -> Order:
        """The order placed with this key, now or before.

        Its state is `confirmed`, or `pending` when the provider's answer is not known yet.
        Raises PriceChanged, CartChanged, OutOfStock, CartEmpty, NotDelivered, LimitPerCustomer
        (nothing was placed); PaymentDeclined (the cart is back as it was; a new attempt needs a
        new key); SoldOutWhilePaying (the money goes back); IdempotencyKeyReused, UnknownMethod,
        BadPaymentInput.
        """
        try:
            order = await self._begin(viewer_id, key, wish)
        except UsedUp:
            # A discount went while its price was looked at: the next look says what it costs now.
            order = await self._begin(viewer_id, key, wish)
        if order.state == "pending":
            answer = await self._ask(order, wish.card_number)
            if answer is not None:
                order = await self.settle(order.id, answer)
        if order.state == "payment_failed":
            raise model.PaymentDeclined(
                order.payment.message or "The payment was declined. Try another way to pay.",
                data={"order_id": order.id},
            )
        if order.state == "cancelled":
            raise model.SoldOutWhilePaying(
                "The payment took so long that this has been sold to somebody else. You get your "
                "money back.",
                data={"order_id": order.id},
            )
        return order

    async def _begin(self, viewer_id: ViewerId, key: str, wish: OrderWish) -> Order:
        """The first transaction: everything the order is made of, and its stock, or nothing."""
        now = self._clock.now()
        async with self._database.write() as tx:
            await store.lock(tx.conn, [viewer_id], now)
            before = await orders.by_key(tx.conn, viewer_id, key)
            if before is not None:
                return await self._same_again(tx, before, wish)
            self._provider(wish.method).check(wish.card_number)
            if wish.show_id is not None and await shows.state_of(tx.conn, wish.show_id) is None:
                raise UnknownShow("There is no such show.")
            cart = await self._carts.carts.with_locked_stock(tx, viewer_id, now)
            context = await self._carts.carts.context(
                tx.conn, cart, now, country=wish.address.country, email=wish.email
            )
            quote = model.quote_of(cart, context)
            self._check_screen(cart, quote, wish, now)
            await self._check_customer(tx, cart, wish)
            order_id = OrderId(new_id("ord", now))
            await self._take(tx, cart, order_id, now)
            await claims.record_uses(
                tx.conn,
                self._carts.carts.prices,
                order_id=order_id,
                viewer_id=viewer_id,
                email=wish.email,
                used=quote.priced.used,
                owners=[line.id for line in cart.lines],
                now=now,
            )
            number = await orders.next_number(tx.conn)
            order = self._order(order_id, number, wish, quote, now)
            await orders.add(tx.conn, order, idempotency_key=key, request_hash=wish.digest())
            await store.clear(tx.conn, cart.id)
            await tx.enqueue(
                TOPIC, SettleJob(order.id), now=now, key=order.id, not_before=now + self._unclear
            )
        return order

    def _check_screen(self, cart: Cart, quote: Quote, wish: OrderWish, now: datetime) -> None:
        """Raises CartChanged or PriceChanged where the buyer would get what he has not seen."""
        told = {"quote": msgspec.to_builtins(self._carts.quote_in_words(quote, wish.language, now))}
        if wish.expected_lines not in (None, _articles(cart)):
            raise model.CartChanged(
                "Your cart has changed since your screen showed it. Please look again.", data=told
            )
        if quote.total != wish.expected_total.to_money():
            raise model.PriceChanged(
                "The total has changed since your screen showed it. Please look again.", data=told
            )

    async def _check_customer(self, tx: Tx, cart: Cart, wish: OrderWish) -> None:
        """Raises LimitPerCustomer. Two guests with one e-mail address are one customer here."""
        rationed = {
            line.product_id for line in cart.lines if line.article.max_per_customer is not None
        }
        await orders.lock_rations(tx.conn, wish.email, rationed)
        bought = await self._carts.carts.bought(tx.conn, [cart], email=wish.email)
        for line in cart.lines:
            model.check_customer_limit(
                line.article,
                model.units_of(cart.lines, line.product_id),
                bought.get((cart.viewer_id, line.product_id), 0),
            )

    async def _take(self, tx: Tx, cart: Cart, order_id: OrderId, now: datetime) -> None:
        """Everything in the cart is held for the order; what was held for nobody, from now on."""
        missing = [line for line in cart.lines if line.hold != "held"]
        await self._carts.hold(tx, cart, missing, now, paying=True)
        held = await holds.hand_over_all(
            tx.conn,
            [line.id for line in cart.lines],
            order_id,
            expires_at=now + self._payment_hold,
        )
        if held != sum(line.quantity * line.article.pieces for line in cart.lines):
            # An order without its stock would be a promise nobody can keep.
            raise holds.OutOfStock(
                "Your reservation has just run out. Please look at your cart again.",
                data={"variant_id": cart.lines[0].variant_id, "available": 0},
            )

    async def _same_again(self, tx: Tx, before: tuple[OrderId, str], wish: OrderWish) -> Order:
        order_id, digest = before
        if digest != wish.digest():
            raise model.IdempotencyKeyReused(
                "This Idempotency-Key belongs to another order. Use a new one."
            )
        order = await orders.by_id(tx.conn, order_id)
        assert order is not None
        return order

    def _provider(self, method: str) -> PaymentProvider:
        provider = self._providers.get(method)
        if provider is None:
            raise UnknownMethod(
                f"Pay with one of {', '.join(self._providers)}.", data={"field": "payment.method"}
            )
        return provider

    async def _ask(self, order: Order, card_number: str | None) -> ChargeAnswer | None:
        """The provider's answer; None when it is not known and must be asked for later.

        A repeated request may come without the card: then the provider is only asked what became
        of the charge.
        """
        provider = self._provider(order.payment.method)
        charge = Charge(order.payment.id, order.total, order.number, card_number)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                try:
                    provider.check(card_number)
                except BadPaymentInput:
                    return await provider.find(order.payment.id)
                return await provider.charge(charge)
        except (TimeoutError, ProviderUnavailable) as error:
            _log.warning("payment_unclear", order=order.id, reason=repr(error))
            return None

    async def settle(self, order_id: OrderId, answer: ChargeAnswer) -> Order:
        """The second transaction: record what the provider said, once, and act on it."""
        now = self._clock.now()
        async with self._database.write() as tx:
            order = await orders.by_id(tx.conn, order_id)
            if order is None:
                raise UnknownOrder("There is no such order.")
            if await payments.record_answer(tx.conn, order.payment.id, answer, now):
                settled = await self._settlement.settle(tx, order, answer, now)
                tx.notify(model.OrderSettled(settled.state))
                return settled
            # Somebody else was first, perhaps after we had looked.
            known = await orders.by_id(tx.conn, order_id)
            assert known is not None
        return known

    async def settle_job(self, payload: dict[str, Any]) -> None:
        """The worker's part: ask the provider what became of a payment nobody heard about."""
        order_id = OrderId(payload["order_id"])
        order = await self._look(order_id)
        if order is None or order.state != "pending":
            return
        provider = self._configured(order)
        async with asyncio.timeout(self._timeout_seconds):
            answer = await provider.find(order.payment.id)
            if answer is None:
                # A request that hangs may still be about to charge: the provider must rule it out.
                answer = await provider.void(Charge(order.payment.id, order.total, order.number))
        await self.settle(order_id, answer)

    async def refund_job(self, payload: dict[str, Any]) -> None:
        """The worker's part: give back what was paid for an order that had no stock any more."""
        order = await self._look(OrderId(payload["order_id"]))
        if order is None or order.payment.state != "refund_due":
            return
        provider = self._configured(order)
        async with asyncio.timeout(self._timeout_seconds):
            answer = await provider.refund(Charge(order.payment.id, order.total, order.number))
        async with self._database.write() as tx:
            await payments.record_refund(tx.conn, order.payment.id, answer, self._clock.now())

    async def _look(self, order_id: OrderId) -> Order | None:
        async with self._database.read() as conn:
            return await orders.by_id(conn, order_id)

    def _configured(self, order: Order) -> PaymentProvider:
        provider = self._providers.get(order.payment.method)
        if provider is None:
            raise UnknownMethod(f"payment method {order.payment.method} is not configured")
        return provider

    def _order(
        self, order_id: OrderId, number: str, wish: OrderWish, quote: Quote, now: datetime
    ) -> Order:
        reader = self._carts.carts.reader(wish.language, now)
        return Order(
            id=order_id,
            number=number,
            state="pending",
            viewer_id=quote.cart.viewer_id,
            show_id=wish.show_id,
            placed_at=now,
            email=wish.email,
            address=wish.address,
            lines=tuple(
                OrderLine(
                    variant_id=line.variant_id,
                    product_id=line.product_id,
                    title=line.article.item.title,
                    values=line.article.values,
                    sku=line.article.sku,
                    quantity=line.quantity,
                    unit_price=costs.unit_price,
                    total=costs.total,
                    payable=costs.payable,
                    show_id=line.show_id,
                )
                for line, costs in zip(quote.lines, quote.priced.lines, strict=True)
            ),
            subtotal=quote.subtotal,
            shipping=quote.shipping,
            taxes=quote.taxes,
            tax_added=quote.tax_added,
            total=quote.total,
            explanation=tuple(
                OrderStep(step.text, step.amount)
                for step in explanation_in_words(quote.priced, reader)
            ),
            payment=Payment(
                id=PaymentId(new_id("pay", now)),
                order_id=order_id,
                method=wish.method,
                state="pending",
                amount=quote.total,
                reference=None,
                message=None,
                created_at=now,
            ),
        )


def _articles(cart: Cart) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((line.variant_id, line.quantity) for line in cart.lines))
