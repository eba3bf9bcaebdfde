"""A cart and its quote: pure. Prices come from the one price function, `promotions.pricing`."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from liveshop.kernel.errors import Conflict, Invalid, NotFound, ShopError
from liveshop.kernel.ids import CartId, LineId, LocationId, ProductId, ShowId, VariantId, ViewerId
from liveshop.kernel.money import Money, total
from liveshop.orders.model import OrderState, TaxLine
from liveshop.promotions import model as promotions
from liveshop.promotions.priced import Priced
from liveshop.promotions.pricing import Context, price_cart

_PLAIN_NAME = re.compile(r"(?=.{1,30}$)[^\W\d_]+(?:[-'’][^\W\d_]+)*")


class UnknownLine(NotFound):
    code = "unknown_line"


class UnknownPlace(NotFound):
    code = "unknown_place"


class CartEmpty(Conflict):
    code = "cart_empty"


class CartFull(Conflict):
    code = "cart_full"


class TooMany(Invalid):
    code = "too_many"


class LimitPerCustomer(Conflict):
    """More of a product than one customer may have; `data` says {max, bought}."""

    code = "limit_per_customer"


class CannotExtend(Conflict):
    """No line of the cart can be held longer: none is held, or each has been prolonged before."""

    code = "cannot_extend"


class CodeNotValid(Invalid):
    """`data.reason` says why: unknown, expired, not_yet or exhausted."""

    code = "code_not_valid"


class TooManyCodes(Conflict):
    code = "too_many_codes"


class StillAvailable(Conflict):
    """Nobody needs to wait for it; `data.available` says how many there are."""

    code = "still_available"


class AlreadyHeld(Conflict):
    """Who holds a unit need not wait for one."""

    code = "already_held"


class PriceChanged(Conflict):
    """The total differs from what the screen said; `data.quote` is what it would be now."""

    code = "price_changed"


class CartChanged(Conflict):
    """The cart holds other articles than the screen showed; `data.quote` is what it holds now."""

    code = "cart_changed"


class PromiseChanged(Conflict):
    """The goods come later than the screen said; `data.quote` says when, and what it costs."""

    code = "promise_changed"


class UnknownStore(NotFound):
    """There is no such store, or nobody can collect there."""

    code = "unknown_store"


class CannotCollect(Conflict):
    """The store is not open for the time being."""

    code = "cannot_collect"


class NotInRehearsal(Conflict):
    """A rehearsal has no waitlists: they are of the shop's own stock."""

    code = "not_in_rehearsal"


class PaymentDeclined(ShopError):
    code = "payment_declined"
    status = 402


class SoldOutWhilePaying(Conflict):
    """The payment took longer than its stock was kept; the money goes back. `data.order_id`."""

    code = "sold_out_while_paying"


class IdempotencyKeyReused(Invalid):
    code = "idempotency_key_reused"


@dataclass(frozen=True, slots=True)
class OrderSettled:
    """Signal, sent in this process after the commit: what became of an order."""

    state: OrderState


@dataclass(frozen=True, slots=True)
class Article:
    """What a line is about, as it is sold now. `pieces`: units of stock behind one of it."""

    item: promotions.Item
    values: tuple[str, ...]
    sku: str
    image_id: str | None
    is_for_sale: bool
    max_per_customer: int | None = None
    pieces: int = 1


@dataclass(frozen=True, slots=True)
class Terms:
    """How lines of a show, or of none, are held. `seconds` is None where nothing is held."""

    seconds: int | None
    for_customers: bool = False
    """Guests do not have the prices of such a show."""
    rehearsal: LocationId | None = None
    """The shelf of the rehearsal that the show is in: nobody else's guests buy from it."""

    @property
    def is_first_paid(self) -> bool:
        return self.seconds is None

    def until(self, now: datetime) -> datetime:
        assert self.seconds is not None, "first paid, first served: nothing is held"
        return now + timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class CartLine:
    """`held` counts pieces of stock, which for a bundle are more than its units."""

    id: LineId
    article: Article
    quantity: int
    show_id: ShowId | None
    terms: Terms
    extensions: int = 0
    held: int = 0
    held_until: datetime | None = None

    @property
    def variant_id(self) -> VariantId:
        return self.article.item.variant_id

    @property
    def product_id(self) -> ProductId:
        return self.article.item.product_id

    @property
    def units_held(self) -> int:
        return self.held // self.article.pieces

    @property
    def is_held(self) -> bool:
        """Whether all of it is, whatever its show says now."""
        return self.article.is_for_sale and self.units_held >= self.quantity

    @property
    def hold(self) -> Literal["held", "lapsed", "none"]:
        if self.is_held:
            return "held"
        return "none" if self.terms.is_first_paid and self.article.is_for_sale else "lapsed"

    def may_extend(self, extensions: int) -> bool:
        """Whether its hold can be prolonged, where that may be done so often."""
        return self.is_held and not self.terms.is_first_paid and self.extensions < extensions

    def as_priced(self) -> promotions.Line:
        return promotions.Line(self.id, self.article.item, self.quantity, self.show_id)


@dataclass(frozen=True, slots=True)
class Cart:
    id: CartId
    viewer_id: ViewerId
    currency: str
    lines: tuple[CartLine, ...]
    codes: tuple[str, ...] = ()

    @property
    def held_until(self) -> datetime | None:
        moments = [line.held_until for line in self.lines if line.held_until is not None]
        return min(moments, default=None)

    def line(self, line_id: str) -> CartLine:
        """Raises UnknownLine."""
        for line in self.lines:
            if line.id == line_id:
                return line
        raise UnknownLine("This line is not in your cart any more.")

    def line_of(self, variant_id: str) -> CartLine | None:
        return next((line for line in self.lines if line.variant_id == variant_id), None)

    def with_line(self, line: CartLine) -> "Cart":
        """With this line as it is now, or as its last one."""
        if all(one.id != line.id for one in self.lines):
            return replace(self, lines=(*self.lines, line))
        return self.with_lines([line])

    def with_lines(self, changed: Iterable[CartLine]) -> "Cart":
        """With these lines as they are now; which ones there are stays."""
        now = {line.id: line for line in changed}
        return replace(self, lines=tuple(now.get(one.id, one) for one in self.lines))

    def priced(self, context: Context) -> Priced:
        return price_cart([line.as_priced() for line in self.lines], context)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a cart may hold: units of an article, articles, codes; how often a hold is prolonged."""

    max_quantity: int
    max_lines: int
    max_codes: int
    extensions: int

    def check_quantity(self, quantity: int) -> None:
        """Raises TooMany."""
        if quantity > self.max_quantity:
            raise TooMany(
                f"At most {self.max_quantity} of one article.",
                data={"field": "quantity", "max": self.max_quantity},
            )

    def check_room(self, lines: int) -> None:
        """Raises CartFull where there is no room for one more line."""
        if lines >= self.max_lines:
            raise CartFull(f"A cart holds at most {self.max_lines} articles.")


def check_customer_limit(article: Article, wanted: int, bought: int) -> None:
    """`wanted` in the cart and `bought` before, over all variants. Raises LimitPerCustomer."""
    allowed = article.max_per_customer
    if allowed is None or wanted + bought <= allowed:
        return
    raise LimitPerCustomer(
        f"{article.item.title}: at most {allowed} for each customer."
        + (f" You have ordered {bought} already." if bought else ""),
        data={
            "field": "quantity",
            "variant_id": article.item.variant_id,
            "max": allowed,
            "bought": bought,
        },
    )


def units_of(lines: Sequence[CartLine], product_id: str) -> int:
    """How many units of a product these lines are, over all its variants."""
    return sum(line.quantity for line in lines if line.product_id == product_id)


@dataclass(frozen=True, slots=True)
class Quote:
    """What a cart costs; `priced` explains it step by step."""

    cart: Cart
    country: str
    priced: Priced

    @property
    def lines(self) -> tuple[CartLine, ...]:
        return self.cart.lines

    @property
    def subtotal(self) -> Money:
        """The goods, all discounts taken off."""
        return self.priced.goods

    @property
    def shipping(self) -> Money:
        return self.priced.shipping

    @property
    def total(self) -> Money:
        return self.priced.total

    @property
    def taxes(self) -> tuple[TaxLine, ...]:
        return tuple(
            TaxLine(tax.rate_permille, tax.basis, tax.amount, tax.is_included)
            for tax in self.priced.taxes
        )

    @property
    def tax_added(self) -> Money:
        added = (tax.amount for tax in self.priced.taxes if not tax.is_included)
        return total(added, self.total.currency)


def quote_of(cart: Cart, context: Context) -> Quote:
    """What this cart costs, delivered to the context's country. Raises CartEmpty, NotDelivered."""
    if not cart.lines:
        raise CartEmpty("Your cart is empty.")
    assert context.country is not None, "a quote says what delivery costs"
    return Quote(cart, context.country, cart.priced(context))


def first_name(name: str) -> str:
    """The part of a name that may be shown to a room; empty for what is no plain name.

    A room hears it without anybody's judgement, so addresses, numbers and slogans stay out.
    """
    words = name.split(maxsplit=1)
    return words[0] if words and _PLAIN_NAME.fullmatch(words[0]) else ""
