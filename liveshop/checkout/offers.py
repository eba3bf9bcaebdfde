"""Who of a group may have what he wants to order, as far as looking tells; nothing is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from liveshop.checkout import model, store
from liveshop.checkout.carts import Look
from liveshop.checkout.model import Cart, CartLine, Quote
from liveshop.checkout.order_wish import OrderWish
from liveshop.checkout.reserve import check_show, check_show_of_line
from liveshop.checkout.service import CartService
from liveshop.checkout.supply import Way
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import OrderId, ViewerId, new_id
from liveshop.kernel.rehearsals import ORDER, is_rehearsing
from liveshop.orders import store as orders
from liveshop.orders.model import Order
from liveshop.payments.model import BadPaymentInput
from liveshop.payments.service import Payments
from liveshop.storage import Tx

Answers = dict[int, Order | Exception]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a viewer wishes, under his idempotency key."""

    viewer_id: ViewerId
    key: str
    wish: OrderWish


@dataclass(frozen=True, slots=True)
class Offer:
    """A wish that can be granted, as far as looking tells."""

    asked: Asked
    order_id: OrderId
    way: Way
    quote: Quote

    @property
    def wish(self) -> OrderWish:
        return self.asked.wish

    @property
    def cart(self) -> Cart:
        return self.quote.cart

    @property
    def missing(self) -> list[CartLine]:
        """Lines whose goods are still to be taken."""
        return [line for line in self.cart.lines if line.hold != "held"]


class Offers:
    def __init__(self, carts: CartService, payments: Payments) -> None:
        self._service = carts
        self._carts = carts.carts
        self._deliveries = carts.deliveries
        self._payments = payments

    async def look(
        self, tx: Tx, group: Sequence[Asked], answers: Answers, now: datetime
    ) -> dict[int, Offer]:
        """Those whose screen says what is true and who may have it; the stock of all is locked."""
        asked = {number: one for number, one in enumerate(group) if number not in answers}
        show_ids = {one.wish.show_id for one in asked.values() if one.wish.show_id is not None}
        terms = await store.terms_of_shows(tx.conn, show_ids, self._carts.hold_seconds)
        for number, one in asked.items():
            try:
                self._check_method(one)
                check_show(one.wish.show_id, one.viewer_id, terms)
            except ShopError as error:
                answers[number] = error
        asked = {number: one for number, one in asked.items() if number not in answers}
        if not asked:
            return {}
        carts = await self._carts.with_locked_stock(
            tx, [one.viewer_id for one in asked.values()], now
        )
        real = await self._deliveries.places(tx.conn)
        looks: dict[int, tuple[Asked, Way, Look]] = {}
        for number, one in asked.items():
            wish = one.wish
            try:
                for line in carts[one.viewer_id].lines:
                    check_show_of_line(line, one.viewer_id)
                places = self._deliveries.places_for(one.viewer_id, real)
                way = self._deliveries.way(
                    wish.delivery, wish.store_id, wish.address.country, places
                )
            except ShopError as error:
                answers[number] = error
                continue
            look = Look(carts[one.viewer_id], way.country, way.is_collected, wish.email)
            looks[number] = one, way, look
        contexts = await self._carts.contexts(tx.conn, [look for _, _, look in looks.values()], now)
        offers: dict[int, Offer] = {}
        for (number, (one, way, look)), context in zip(looks.items(), contexts, strict=True):
            try:
                quote = model.quote_of(look.cart, context)
                prefix = ORDER if is_rehearsing(one.viewer_id) else "ord"
                offer = Offer(one, OrderId(new_id(prefix, now)), way, quote)
                await self._check_screen(tx, offer, now)
            except ShopError as error:
                answers[number] = error
            else:
                offers[number] = offer
        await self._check_customers(tx, offers, answers)
        return {number: offer for number, offer in offers.items() if number not in answers}

    def _check_method(self, asked: Asked) -> None:
        """Raises UnknownMethod, BadPaymentInput."""
        wish = asked.wish
        provider = self._payments.offered(wish.method, in_rehearsal=is_rehearsing(asked.viewer_id))
        if wish.delivery not in provider.deliveries:
            raise BadPaymentInput(
                "This way to pay is for what is "
                + ("collected in a store." if wish.delivery == "ship" else "shipped.")
                + " Choose another one.",
                data={"field": "payment.method"},
            )
        if wish.expected_total.amount:
            provider.check(wish.card_number)

    async def _check_screen(self, tx: Tx, offer: Offer, now: datetime) -> None:
        """Raises CartChanged or PriceChanged where the buyer would get what he has not seen."""
        if offer.wish.expected_lines not in (None, _articles(offer.cart)):
            raise model.CartChanged(
                "Your cart has changed since your screen showed it. Please look again.",
                data=await self.told(tx, offer, now),
            )
        if offer.quote.total != offer.wish.expected_total.to_money():
            raise model.PriceChanged(
                "The total has changed since your screen showed it. Please look again.",
                data=await self.told(tx, offer, now),
            )

    async def told(
        self, tx: Tx, offer: Offer, now: datetime, owners: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """What the buyer is shown instead; `owners` hold the stock, else the cart's lines do."""
        told = await self._service.quoted(
            tx.conn, offer.quote, offer.way, offer.wish.language, now, owners=owners
        )
        return {"quote": msgspec.to_builtins(told)}

    async def _check_customers(self, tx: Tx, offers: Mapping[int, Offer], answers: Answers) -> None:
        """Who wants more than one customer may have is refused. Two guests with one e-mail address
        are one customer here."""
        rationed = {
            number: {
                line.product_id
                for line in offer.cart.lines
                if line.article.max_per_customer is not None
            }
            for number, offer in offers.items()
        }
        await orders.lock_rations(
            tx.conn,
            [
                (offers[number].wish.email, product_id)
                for number, product_ids in rationed.items()
                for product_id in product_ids
            ],
        )
        for number, product_ids in rationed.items():
            if not product_ids:
                continue
            cart = offers[number].cart
            bought = await self._carts.bought(tx.conn, [cart], email=offers[number].wish.email)
            try:
                for line in cart.lines:
                    model.check_customer_limit(
                        line.article,
                        model.units_of(cart.lines, line.product_id),
                        bought.get((cart.viewer_id, line.product_id), 0),
                    )
            except ShopError as error:
                answers[number] = error


def _articles(cart: Cart) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((line.variant_id, line.quantity) for line in cart.lines))
