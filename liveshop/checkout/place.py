"""Placing an order: once per idempotency key, at exactly the total the screen said, paid once.

Two transactions with the provider's call between them and none open meanwhile. `settle` is the one
place that decides what became of an order, whoever heard the provider's answer: the request itself,
or the worker after a crash.
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
from liveshop.catalog.model import StockTouched
from liveshop.checkout import model, store, wire
from liveshop.checkout.model import Cart, Quote
from liveshop.checkout.service import CartService
from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import LineId, OrderId, PaymentId, ShowId, ViewerId, new_id
from liveshop.kernel.text import clean_email
from liveshop.orders import store as orders
from liveshop.orders import wire as orders_wire
from liveshop.orders.model import Address, Order, OrderLine, OrderState, UnknownOrder
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
from liveshop.settings import Settings
from liveshop.shows import store as shows
from liveshop.shows.model import UnknownShow
from liveshop.shows.service import room_of
from liveshop.storage import Database, Tx
from liveshop.web import MoneyOut

TOPIC = "checkout.settle"
_OUTCOMES: Mapping[str, OrderState] = {
    "paid": "confirmed",
    "authorised": "confirmed",
    "declined": "payment_failed",
}
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
    ) -> None:
        self._database = database
        self._clock = clock
        self._carts = carts
        self._providers = dict(providers)
        self._currency = settings.shop.currency
        self._timeout_seconds = settings.payments.timeout_seconds
        self._unclear = timedelta(seconds=settings.checkout.payment_unclear_seconds)

    @property
    def providers(self) -> list[PaymentProvider]:
        return list(self._providers.values())

    async def place_order(self, viewer_id: ViewerId, key: str, wish: OrderWish) -> Order:
        """The order placed with this key, now or before.

        Its state is `confirmed`, or `pending` when the provider's answer is not known yet.
        Raises PriceChanged, CartChanged, OutOfStock, CartEmpty, NotDelivered (nothing was placed);
        PaymentDeclined (the cart is back as it was; a new attempt needs a new key);
        IdempotencyKeyReused, UnknownMethod, BadPaymentInput.
        """
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
        return order

    async def _begin(self, viewer_id: ViewerId, key: str, wish: OrderWish) -> Order:
        """The first transaction: everything the order is made of, and its stock, or nothing."""
        now = self._clock.now()
        async with self._database.write() as tx:
            cart_id = await store.lock(tx.conn, viewer_id, now)
            before = await orders.by_key(tx.conn, viewer_id, key)
            if before is not None:
                return await self._same_again(tx, before, wish)
            self._provider(wish.method).check(wish.card_number)
            if wish.show_id is not None and await shows.state_of(tx.conn, wish.show_id) is None:
                raise UnknownShow("There is no such show.")
            cart = await self._carts.locked(tx.conn, viewer_id, cart_id, now)
            quote = self._carts.quote_of(cart, wish.address.country, now)
            if wish.expected_lines not in (None, _articles(cart)):
                raise model.CartChanged(
                    "Your cart has changed since your screen showed it. Please look again.",
                    data={"quote": msgspec.to_builtins(wire.Quote.of(quote, now, wish.language))},
                )
            if quote.total != wish.expected_total.to_money():
                raise model.PriceChanged(
                    "The total has changed since your screen showed it. Please look again.",
                    data={"quote": msgspec.to_builtins(wire.Quote.of(quote, now, wish.language))},
                )
            await self._carts.take_lapsed(tx, cart.lines, now)
            number = await orders.next_number(tx.conn)
            order = _order(viewer_id, wish, cart, quote, number, now)
            await orders.add(tx.conn, order, idempotency_key=key, request_hash=wish.digest())
            for line in cart.lines:
                held = await holds.hand_over(tx.conn, line.id, order.id, expires_at=None)
                if held != line.quantity:
                    # An order without its stock would be a promise nobody can keep.
                    raise holds.OutOfStock(
                        "Your reservation has just run out. Please look at your cart again.",
                        data={"variant_id": line.variant_id, "available": held},
                    )
            await store.clear(tx.conn, cart_id)
            await tx.enqueue(
                TOPIC, SettleJob(order.id), now=now, key=order.id, not_before=now + self._unclear
            )
        return order

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
                if answer.state == "declined":
                    await self._fail(tx, order, now)
                else:
                    await self._confirm(tx, order, now)
                tx.notify(model.OrderSettled(_OUTCOMES[answer.state]))
            settled = await orders.by_id(tx.conn, order_id)
            assert settled is not None
        return settled

    async def _confirm(self, tx: Tx, order: Order, now: datetime) -> None:
        await orders.change_state(tx.conn, order.id, "confirmed")
        await holds.lock(tx.conn, [line.variant_id for line in order.lines])
        sold = await holds.sell(tx.conn, order.id)
        tx.notify(StockTouched(tuple(sold)))
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

    async def _fail(self, tx: Tx, order: Order, now: datetime) -> None:
        """Give the cart back, with its holds, so that the buyer can pay otherwise."""
        await orders.change_state(tx.conn, order.id, "payment_failed")
        cart_id = await store.lock(tx.conn, order.viewer_id, now)
        await holds.lock(tx.conn, [line.variant_id for line in order.lines])
        until = self._carts.hold_until(now)
        for position, line in enumerate(order.lines):
            there = await store.line_of_variant(tx.conn, cart_id, line.variant_id)
            if there is not None:
                # Bought again meanwhile: that line is the newer wish; this stock goes back.
                continue
            line_id = LineId(new_id("lin", now))
            await store.add_line(
                tx.conn,
                line_id=line_id,
                cart_id=cart_id,
                variant_id=line.variant_id,
                quantity=line.quantity,
                show_id=order.show_id,
                # A cart is shown in the order it was filled in.
                now=now + timedelta(microseconds=position),
            )
            await holds.hand_back(tx.conn, order.id, line_id, line.variant_id, expires_at=until)
        tx.notify(StockTouched(tuple(await holds.release(tx.conn, [order.id]))))

    async def settle_job(self, payload: dict[str, Any]) -> None:
        """The worker's part: ask the provider what became of a payment nobody heard about."""
        order_id = OrderId(payload["order_id"])
        async with self._database.read() as conn:
            order = await orders.by_id(conn, order_id)
        if order is None or order.state != "pending":
            return
        provider = self._providers.get(order.payment.method)
        if provider is None:
            raise UnknownMethod(f"payment method {order.payment.method} is not configured")
        async with asyncio.timeout(self._timeout_seconds):
            answer = await provider.find(order.payment.id)
            if answer is None:
                # A request that hangs may still be about to charge: the provider must rule it out.
                answer = await provider.void(Charge(order.payment.id, order.total, order.number))
        await self.settle(order_id, answer)


def _articles(cart: Cart) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((line.variant_id, line.quantity) for line in cart.lines))


def _order(
    viewer_id: ViewerId, wish: OrderWish, cart: Cart, quote: Quote, number: str, now: datetime
) -> Order:
    order_id = OrderId(new_id("ord", now))
    return Order(
        id=order_id,
        number=number,
        state="pending",
        viewer_id=viewer_id,
        show_id=wish.show_id,
        placed_at=now,
        email=wish.email,
        address=wish.address,
        lines=tuple(
            OrderLine(
                variant_id=line.variant_id,
                product_id=line.product_id,
                title=line.title,
                values=line.values,
                sku=line.sku,
                quantity=line.quantity,
                unit_price=line.unit_price,
                total=line.total,
            )
            for line in cart.lines
        ),
        subtotal=quote.subtotal,
        shipping=quote.shipping,
        taxes=quote.taxes,
        total=quote.total,
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
