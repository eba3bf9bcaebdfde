"""What a cart costs and why: the one function behind show, cart, storefront, feeds and channels.

Everything is in whole minor units, so currencies with no, two or three decimals are alike. The
total is the sum of the explanation's amounts, and nothing else.

In this order: the tier by quantity; promotions per unit; buy X get Y; promotions on the order;
shipping, by weight and by what the goods cost now; tax per rate. Of one group, one counts: per
line, then on the order if no line had one, then on shipping.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from liveshop.catalog.model import MAX_QUANTITY
from liveshop.kernel.errors import Invalid
from liveshop.kernel.ids import LineId, ShowId, VariantId
from liveshop.kernel.money import Money, total
from liveshop.promotions.delivery import (
    CountryTax,
    Rates,
    Tax,
    shipping_to,
    tax_at,
    tax_of,
    taxes_on,
)
from liveshop.promotions.model import (
    Automatic,
    BuyXGetY,
    Everywhere,
    ForSegment,
    FreeShipping,
    InShow,
    Item,
    Level,
    Line,
    OtherCurrency,
    Promotion,
    PromotionId,
    Scope,
    Tier,
    covers,
    currency_of,
    folded,
)
from liveshop.promotions.priced import (
    Discount,
    Priced,
    PricedLine,
    Reason,
    UnitPrice,
    Units,
    UnusedCode,
    explained,
)
from liveshop.promotions.reductions import (
    OrderCut,
    Run,
    Wanted,
    order_cuts,
    precedence,
    reduced_runs,
)

_REASONS: tuple[Reason, ...] = (
    "not_combinable",
    "does_not_apply",
    "exhausted",
    "not_yet",
    "expired",
    "unknown",
)
"""A code may have several promotions: the reason nearest to success is told."""


class BadLine(Invalid):
    """A quantity, price or weight that no line can have; `data.line_id` names which."""

    code = "bad_line"


@dataclass(frozen=True, slots=True)
class Context:
    """Who asks, when and where. `country` None: goods only, no shipping and no tax yet.
    `is_collected`: in a store of that country, so that there is its tax, and no shipping.

    `codes` as typed. `used_by_customer`: how much of `limit.per_customer` is gone.
    """

    now: datetime
    currency: str
    rates: Rates
    country: str | None = None
    is_collected: bool = False
    show_id: ShowId | None = None
    segments: frozenset[str] = frozenset()
    codes: Sequence[str] = ()
    promotions: Sequence[Promotion] = ()
    used_by_customer: Mapping[PromotionId, int] = field(default_factory=dict)


def price_cart(lines: Sequence[Line], context: Context) -> Priced:
    """What these lines cost, and why. An empty cart costs nothing and ships nothing.

    Raises BadLine, NotDelivered, TooHeavy, UnknownTaxClass, OtherCurrency.
    """
    _check(lines, context.currency)
    codes = {typed: folded(typed) for typed in context.codes}
    open_now = [
        promotion
        for promotion in context.promotions
        if _is_triggered(promotion, codes.values()) and _why_closed(promotion, context) is None
    ]
    priced = _priced(lines, context, open_now)
    unused = [
        UnusedCode(typed, reason)
        for typed, code in codes.items()
        if (reason := _why_unused(code, lines, context, priced.used)) is not None
    ]
    return replace(priced, unused_codes=tuple(unused))


def price_of(item: Item, context: Context) -> UnitPrice:
    """What one unit costs: the line of a cart that holds nothing else."""
    goods_only = replace(
        context,
        country=None,
        promotions=[one for one in context.promotions if one.level == "line"],
    )
    priced = price_cart([Line(LineId(item.variant_id), item, 1)], goods_only)
    line = priced.lines[0]
    left = _left(priced.promotions, context)
    ends = [one.period.ends_at for one in priced.promotions if one.period.ends_at is not None]
    return UnitPrice(
        variant_id=item.variant_id,
        list_price=line.list_price,
        compare_at=line.compare_at,
        price=line.unit_price,
        discounts=line.discounts,
        tiers=tuple(_tier_now(tier, item, goods_only) for tier in item.tiers),
        promotions=priced.promotions,
        ends_at=min(ends, default=None),
        units_left=min(left.values(), default=None),
        explanation=priced.explanation,
    )


def _tier_now(tier: Tier, item: Item, context: Context) -> Tier:
    per_unit = [one for one in context.promotions if not isinstance(one.kind, BuyXGetY)]
    line = Line(LineId(item.variant_id), item, tier.min_quantity)
    priced = price_cart([line], replace(context, promotions=per_unit))
    return Tier(tier.min_quantity, priced.lines[0].unit_price)


def _check(lines: Sequence[Line], currency: str) -> None:
    for line in lines:
        item = line.item
        data = {"field": "quantity", "line_id": line.id}
        # True is an int, and 1.0 equals one: neither is a quantity.
        if type(line.quantity) is not int or not 1 <= line.quantity <= MAX_QUANTITY:
            raise BadLine(f"A quantity is a whole number from 1 to {MAX_QUANTITY}.", data=data)
        prices = [item.price, *(tier.price for tier in item.tiers)]
        if min(item.weight_grams, *(price.amount for price in prices)) < 0:
            raise BadLine("A price or weight is below zero.", data={"line_id": line.id})
        if any(price.currency != currency for price in prices):
            raise OtherCurrency(
                f"{item.title} has a price in {item.price.currency}, and the shop sells in "
                f"{currency}. Change the price of the product.",
                data={"variant_id": item.variant_id, "product_id": item.product_id},
            )


def _priced(lines: Sequence[Line], context: Context, promotions: Iterable[Promotion]) -> Priced:
    """The cart under these promotions, which are open and triggered."""
    usable = sorted(
        (one for one in promotions if currency_of(one.kind) in (None, context.currency)),
        key=precedence,
    )
    places = {
        one.id: frozenset(
            place
            for place, line in enumerate(lines)
            if _is_in_scope(one.scope, line, context) and covers(one.products, line.item)
        )
        for one in usable
    }
    goods, orders, used = _goods(lines, context, usable, places)
    shipping, free = _shipping(goods, context, _of_level("shipping", usable, used), places)
    if free is not None:
        used[free.id] = 1
    before = shipping or 0
    charged = 0 if free is not None else before
    taxes: tuple[Tax, ...] = ()
    if context.country is not None:
        taxes = taxes_on(
            [(line.line.item.tax_class, line.payable.amount) for line in goods],
            charged,
            _tax_of(context.country, context),
            context.currency,
        )
    currency = context.currency
    steps = explained(
        goods, orders, shipping, free, taxes, country=context.country, currency=currency
    )
    return Priced(
        lines=goods,
        subtotal=total((line.total for line in goods), currency),
        goods=total((line.payable for line in goods), currency),
        shipping_before=Money(before, currency),
        shipping=Money(charged, currency),
        taxes=taxes,
        total=total((step.amount for step in steps), currency),
        explanation=steps,
        promotions=tuple(one for one in usable if one.id in used),
        used=used,
    )


def _goods(
    lines: Sequence[Line],
    context: Context,
    usable: Sequence[Promotion],
    places: Mapping[PromotionId, frozenset[int]],
) -> tuple[tuple[PricedLine, ...], list[OrderCut], dict[PromotionId, int]]:
    """The lines, what the order takes off them, and how much of each promotion that uses."""
    tiers = _tiers(lines)
    wanted = [
        Wanted(
            line.quantity,
            (tier.price if tier else line.item.price).amount,
            tuple(one for one in usable if one.level == "line" and place in places[one.id]),
        )
        for place, (line, tier) in enumerate(zip(lines, tiers, strict=True))
    ]
    runs = reduced_runs(wanted, _left(usable, context))
    used: dict[PromotionId, int] = {}
    by_line: list[list[Run]] = [[] for _ in lines]
    for run in runs:
        by_line[run.line].append(run)
        for cut in run.cuts:
            used[cut.promotion.id] = used.get(cut.promotion.id, 0) + run.units
    orders = order_cuts(
        [sum(run.total for run in own) for own in by_line],
        [(one, places[one.id]) for one in _of_level("order", usable, used)],
    )
    used |= {cut.promotion.id: 1 for cut in orders}
    goods = tuple(
        _priced_line(line, tier, own, [(cut.promotion.id, cut.parts[place]) for cut in orders])
        for place, (line, tier, own) in enumerate(zip(lines, tiers, by_line, strict=True))
    )
    return goods, orders, used


def _priced_line(
    line: Line, tier: Tier | None, runs: Sequence[Run], shares: Sequence[tuple[PromotionId, int]]
) -> PricedLine:
    currency = line.item.price.currency
    whole = sum(run.total for run in runs)
    offs: dict[PromotionId, tuple[int, int]] = {}
    for run in runs:
        for cut in run.cuts:
            units, off = offs.get(cut.promotion.id, (0, 0))
            offs[cut.promotion.id] = units + run.units, off + run.units * cut.off
    return PricedLine(
        line=line,
        tier=tier,
        unit_price=Money(runs[0].unit_price, currency),
        units=tuple(Units(run.units, Money(run.price, currency)) for run in runs),
        discounts=tuple(
            Discount(one, units, Money(off, currency)) for one, (units, off) in offs.items()
        ),
        total=Money(whole, currency),
        order_discounts=tuple(
            Discount(one, line.quantity, Money(off, currency)) for one, off in shares if off
        ),
        payable=Money(whole - sum(off for _, off in shares), currency),
    )


def _tiers(lines: Sequence[Line]) -> list[Tier | None]:
    """The cheapest tier reached by all units of a variant in the cart; never one that is dearer."""
    quantities: Counter[VariantId] = Counter()
    for line in lines:
        quantities[line.item.variant_id] += line.quantity
    return [
        min(
            (
                tier
                for tier in line.item.tiers
                if tier.min_quantity <= quantities[line.item.variant_id]
                and tier.price.amount < line.item.price.amount
            ),
            key=lambda tier: (tier.price.amount, tier.min_quantity),
            default=None,
        )
        for line in lines
    ]


def _shipping(
    goods: Sequence[PricedLine],
    context: Context,
    promotions: Sequence[Promotion],
    places: Mapping[PromotionId, frozenset[int]],
) -> tuple[int | None, Promotion | None]:
    """The price of shipping, if anything is shipped, and the promotion that makes it free."""
    if context.country is None or not goods:
        return None, None
    _tax_of(context.country, context)
    if context.is_collected:
        return None, None
    payable = [line.payable.amount for line in goods]
    weight = sum(line.line.item.weight_grams * line.line.quantity for line in goods)
    price = shipping_to(context.country, weight, sum(payable), context.rates)
    for promotion in promotions if price else ():
        assert isinstance(promotion.kind, FreeShipping)
        threshold = promotion.kind.from_goods
        covered = places[promotion.id]
        if covered and (
            threshold is None or threshold.amount <= sum(payable[place] for place in covered)
        ):
            return price, promotion
    return price, None


def _tax_of(country: str, context: Context) -> CountryTax:
    """Raises NotDelivered."""
    return (tax_at if context.is_collected else tax_of)(country, context.rates)


def _of_level(
    level: Level, promotions: Iterable[Promotion], used: Mapping[PromotionId, int]
) -> list[Promotion]:
    """Those of a level whose group has not counted on a level before."""
    groups = {one.group for one in promotions if one.id in used and one.group is not None}
    return [one for one in promotions if one.level == level and one.group not in groups]


def _is_in_scope(scope: Scope, line: Line, context: Context) -> bool:
    match scope:
        case Everywhere():
            return True
        case InShow(show_id):
            return show_id in (context.show_id, line.show_id)
        case ForSegment(segment):
            return segment in context.segments


def _is_triggered(promotion: Promotion, codes: Collection[str | None]) -> bool:
    trigger = promotion.trigger
    return isinstance(trigger, Automatic) or any(code in trigger.codes for code in codes)


def _left(promotions: Iterable[Promotion], context: Context) -> dict[PromotionId, int]:
    """How often each limited promotion can still be used."""
    left = {}
    for one in promotions:
        rests = []
        if one.limit.total is not None:
            rests.append(one.limit.total - one.used)
        if one.limit.per_customer is not None:
            rests.append(one.limit.per_customer - context.used_by_customer.get(one.id, 0))
        if rests:
            left[one.id] = max(0, min(rests))
    return left


def _why_closed(promotion: Promotion, context: Context) -> Reason | None:
    if promotion.period.is_over(context.now):
        return "expired"
    if promotion.period.is_before(context.now):
        return "not_yet"
    return "exhausted" if _left([promotion], context).get(promotion.id) == 0 else None


def _why_unused(
    code: str | None, lines: Sequence[Line], context: Context, used: Mapping[PromotionId, int]
) -> Reason | None:
    """None for a code that counts. One that would count alone is not combinable with the rest."""
    reasons: set[Reason] = {"unknown"}
    for promotion in context.promotions:
        if isinstance(promotion.trigger, Automatic) or code not in promotion.trigger.codes:
            continue
        if promotion.id in used:
            return None
        closed = _why_closed(promotion, context)
        if closed is None and promotion.level == "shipping" and context.country is None:
            return None  # nobody can say before it is known where the goods go
        alone = {} if closed else _priced(lines, context, [promotion]).used
        reasons.add(closed or ("not_combinable" if alone else "does_not_apply"))
    return next(reason for reason in _REASONS if reason in reasons)
