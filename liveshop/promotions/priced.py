"""The answer to what a cart costs: its lines, and the explanation whose amounts make the total."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from liveshop.kernel.ids import VariantId
from liveshop.kernel.money import Money
from liveshop.promotions.delivery import Tax
from liveshop.promotions.model import Line, Promotion, PromotionId, Tier
from liveshop.promotions.reductions import OrderCut

Reason = Literal["not_combinable", "does_not_apply", "exhausted", "not_yet", "expired", "unknown"]
StepCode = Literal[
    "goods",
    "tier",
    "promotion",
    "order_promotion",
    "shipping",
    "shipping_promotion",
    "tax_added",
    "tax_included",
]


@dataclass(frozen=True, slots=True)
class Discount:
    """What a promotion takes off `units` of a line."""

    promotion_id: PromotionId
    units: int
    amount: Money


@dataclass(frozen=True, slots=True)
class Units:
    """So many units of a line at this price each."""

    quantity: int
    price: Money


@dataclass(frozen=True, slots=True)
class PricedLine:
    """`units` is what each unit costs here: it differs past a limit, or with something for free.

    `unit_price` is that of the first unit, before anything is given for other units; of a unit
    alone it is what `price_of` says. `total` is before the order's discounts, whose shares are
    `order_discounts`; `payable` is after them.
    """

    line: Line
    tier: Tier | None
    unit_price: Money
    units: tuple[Units, ...]
    discounts: tuple[Discount, ...]
    total: Money
    order_discounts: tuple[Discount, ...]
    payable: Money

    @property
    def list_price(self) -> Money:
        return self.line.item.price

    @property
    def compare_at(self) -> Money | None:
        return self.line.item.compare_at


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the explanation; `amount` is what it adds to the total (tax inside adds 0)."""

    code: StepCode
    params: Mapping[str, str | int]
    amount: Money


@dataclass(frozen=True, slots=True)
class UnusedCode:
    code: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Priced:
    """`subtotal` is the goods before, `goods` after the order's discounts; `shipping` is after
    its own. `promotions` are those that counted, `used` how much of each: units, or 1 per order.
    """

    lines: tuple[PricedLine, ...]
    subtotal: Money
    goods: Money
    shipping_before: Money
    shipping: Money
    taxes: tuple[Tax, ...]
    total: Money
    explanation: tuple[Step, ...]
    promotions: tuple[Promotion, ...]
    used: Mapping[PromotionId, int]
    unused_codes: tuple[UnusedCode, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """One unit. `tiers` are its prices by quantity under the same promotions; `ends_at` is when
    the first promotion in it ends, `units_left` how many units can still have this price.
    """

    variant_id: VariantId
    list_price: Money
    compare_at: Money | None
    price: Money
    discounts: tuple[Discount, ...]
    tiers: tuple[Tier, ...]
    promotions: tuple[Promotion, ...]
    ends_at: datetime | None
    units_left: int | None
    explanation: tuple[Step, ...]


def explained(
    goods: Iterable[PricedLine],
    orders: Iterable[OrderCut],
    shipping: int | None,
    free: Promotion | None,
    taxes: Iterable[Tax],
    *,
    country: str | None,
    currency: str,
) -> tuple[Step, ...]:
    """Every amount that makes the total, in the order in which it came about.

    `shipping` is None where nothing is shipped; `free` is the promotion that takes it off again.
    """

    def step(code: StepCode, amount: int, **params: str | int) -> Step:
        return Step(code, params, Money(amount, currency))

    steps = [one for line in goods for one in _line_steps(line)]
    steps += [step("order_promotion", -cut.off, promotion_id=cut.promotion.id) for cut in orders]
    if shipping is not None:
        steps.append(step("shipping", shipping, country=country or ""))
        if free is not None:
            steps.append(step("shipping_promotion", -shipping, promotion_id=free.id))
    for tax in taxes:
        if not tax.rate_permille:
            continue
        amount, rate = tax.amount.amount, tax.rate_permille
        if tax.is_included:
            steps.append(step("tax_included", 0, rate_permille=rate, tax=amount))
        else:
            steps.append(step("tax_added", amount, rate_permille=rate))
    return tuple(steps)


def _line_steps(line: PricedLine) -> list[Step]:
    item, quantity = line.line.item, line.line.quantity
    currency = item.price.currency
    named: dict[str, str | int] = {"line_id": line.line.id, "quantity": quantity}
    whole = named | {"title": item.title, "price": item.price.amount}
    steps = [Step("goods", whole, item.price * quantity)]
    if line.tier is not None:
        price, least = line.tier.price, line.tier.min_quantity
        reached = named | {"min_quantity": least, "price": price.amount}
        steps.append(Step("tier", reached, (price - item.price) * quantity))
    for discount in line.discounts:
        reduced = named | {"promotion_id": discount.promotion_id, "units": discount.units}
        steps.append(Step("promotion", reduced, Money(-discount.amount.amount, currency)))
    return steps
