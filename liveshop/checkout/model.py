"""A cart and its quote: pure. Prices come from the one price function, `promotions.pricing`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from liveshop.kernel.errors import Conflict, Invalid, NotFound, ShopError
from liveshop.kernel.ids import CartId, LineId, ProductId, ShowId, VariantId, ViewerId
from liveshop.kernel.money import Money, total
from liveshop.orders.model import OrderState, TaxLine
from liveshop.promotions import delivery
from liveshop.promotions.model import Item, Line
from liveshop.promotions.priced import Priced
from liveshop.promotions.pricing import Context, price_cart

_PLAIN_NAME = re.compile(r"(?=.{1,30}$)[^\W\d_]+(?:[-'’][^\W\d_]+)*")


class UnknownLine(NotFound):
    code = "unknown_line"


class CartEmpty(Conflict):
    code = "cart_empty"


class CartFull(Conflict):
    code = "cart_full"


class TooMany(Invalid):
    code = "too_many"


class PriceChanged(Conflict):
    """The total differs from what the screen said; `data.quote` is what it would be now."""

    code = "price_changed"


class CartChanged(Conflict):
    """The cart holds other articles than the screen showed; `data.quote` is what it holds now."""

    code = "cart_changed"


class PaymentDeclined(ShopError):
    code = "payment_declined"
    status = 402


class IdempotencyKeyReused(Invalid):
    code = "idempotency_key_reused"


@dataclass(frozen=True, slots=True)
class OrderSettled:
    """Signal, sent in this process after the commit: what became of an order."""

    state: OrderState


@dataclass(frozen=True, slots=True)
class CartLine:
    id: LineId
    variant_id: VariantId
    product_id: ProductId
    title: str
    values: tuple[str, ...]
    sku: str
    image_id: str | None
    quantity: int
    unit_price: Money
    compare_at: Money | None
    tax_class: str
    show_id: ShowId | None
    held: int = 0
    held_until: datetime | None = None
    available: int = 0
    is_for_sale: bool = True

    @property
    def total(self) -> Money:
        return self.unit_price * self.quantity

    @property
    def hold(self) -> Literal["held", "lapsed"]:
        return "held" if self.is_for_sale and self.held >= self.quantity else "lapsed"


@dataclass(frozen=True, slots=True)
class Cart:
    id: CartId
    viewer_id: ViewerId
    currency: str
    lines: tuple[CartLine, ...]

    @property
    def subtotal(self) -> Money:
        return total((line.total for line in self.lines), self.currency)

    @property
    def held_until(self) -> datetime | None:
        moments = [line.held_until for line in self.lines if line.held_until is not None]
        return min(moments, default=None)


@dataclass(frozen=True, slots=True)
class Rates:
    """What the shop charges for shipping, and the tax inside its prices."""

    currency: str
    shipping: Mapping[str, int]
    free_shipping_from: int
    tax_permille: Mapping[str, int]

    def by_country(self) -> delivery.Rates:
        """The same as the price function takes it: steps of shipping and tax for each country."""
        free_from = self.free_shipping_from
        free = (delivery.ShippingStep(0, from_goods=free_from),) if free_from > 0 else ()
        return delivery.Rates(
            tax={code: delivery.CountryTax(True, self.tax_permille) for code in self.shipping},
            shipping={
                code: (delivery.ShippingStep(amount), *free)
                for code, amount in self.shipping.items()
            },
        )


@dataclass(frozen=True, slots=True)
class Quote:
    """What a cart costs; `priced` explains it step by step."""

    lines: tuple[CartLine, ...]
    country: str
    priced: Priced

    @property
    def subtotal(self) -> Money:
        return self.priced.goods

    @property
    def shipping(self) -> Money:
        return self.priced.shipping

    @property
    def total(self) -> Money:
        return self.priced.total

    @property
    def taxes(self) -> tuple[TaxLine, ...]:
        return tuple(TaxLine(tax.rate_permille, tax.basis, tax.amount) for tax in self.priced.taxes)


def quote_of(lines: Sequence[CartLine], country: str, rates: Rates, *, now: datetime) -> Quote:
    """What these lines cost, delivered to `country`. Raises NotDelivered."""
    context = Context(now=now, currency=rates.currency, rates=rates.by_country(), country=country)
    return Quote(tuple(lines), country, price_cart([_priced_by(line) for line in lines], context))


def _priced_by(line: CartLine) -> Line:
    item = Item(
        variant_id=line.variant_id,
        product_id=line.product_id,
        title=line.title,
        price=line.unit_price,
        compare_at=line.compare_at,
        tax_class=line.tax_class,
    )
    return Line(line.id, item, line.quantity, line.show_id)


def first_name(name: str) -> str:
    """The part of a name that may be shown to a room; empty for what is no plain name.

    A room hears it without anybody's judgement, so addresses, numbers and slogans stay out.
    """
    words = name.split(maxsplit=1)
    return words[0] if words and _PLAIN_NAME.fullmatch(words[0]) else ""
