"""What a cart costs and why: pure; the only place where goods, shipping and tax are added up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from liveshop.kernel.errors import Conflict, Invalid, NotFound, ShopError
from liveshop.kernel.ids import CartId, LineId, ProductId, ShowId, VariantId, ViewerId
from liveshop.kernel.money import Money, included_tax, split, total
from liveshop.orders.model import TaxLine


class UnknownLine(NotFound):
    code = "unknown_line"


class CartEmpty(Conflict):
    code = "cart_empty"


class CartFull(Conflict):
    code = "cart_full"


class TooMany(Invalid):
    code = "too_many"


class NotDelivered(Invalid):
    """No shipping to this country is configured."""

    code = "not_delivered"


class PriceChanged(Conflict):
    """The total differs from what the screen said; `data.quote` is what it would be now."""

    code = "price_changed"


class PaymentDeclined(ShopError):
    code = "payment_declined"
    status = 402


class IdempotencyKeyReused(Invalid):
    code = "idempotency_key_reused"


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


@dataclass(frozen=True, slots=True)
class Quote:
    lines: tuple[CartLine, ...]
    country: str
    subtotal: Money
    shipping: Money
    taxes: tuple[TaxLine, ...]
    total: Money


def quote_of(lines: Sequence[CartLine], country: str, rates: Rates) -> Quote:
    """What these lines cost, delivered to `country`. Taxes are included in every price."""
    if country not in rates.shipping:
        raise NotDelivered(
            f"We do not deliver to {country}. Choose one of {', '.join(sorted(rates.shipping))}.",
            data={"field": "country", "countries": sorted(rates.shipping)},
        )
    goods = total((line.total for line in lines), rates.currency)
    is_free = 0 < rates.free_shipping_from <= goods.amount
    shipping = Money(0 if is_free else rates.shipping[country], rates.currency)
    return Quote(
        lines=tuple(lines),
        country=country,
        subtotal=goods,
        shipping=shipping,
        taxes=_taxes(lines, shipping, rates),
        total=goods + shipping,
    )


def _taxes(lines: Sequence[CartLine], shipping: Money, rates: Rates) -> tuple[TaxLine, ...]:
    """Tax per rate. Shipping carries the rates of the goods, in proportion to their value."""
    gross: dict[int, int] = {}
    for line in lines:
        rate = rates.tax_permille[line.tax_class]
        gross[rate] = gross.get(rate, 0) + line.total.amount
    ordered = sorted(gross)
    shares = split(shipping.amount, [gross[rate] for rate in ordered]) if ordered else []
    result = []
    for rate, share in zip(ordered, shares, strict=True):
        whole = gross[rate] + share
        tax = included_tax(whole, rate)
        result.append(TaxLine(rate, Money(whole - tax, rates.currency), Money(tax, rates.currency)))
    return tuple(result)


def first_name(name: str) -> str:
    """The part of a name that may be shown to a room."""
    words = name.split(maxsplit=1)
    return words[0][:30] if words else ""
