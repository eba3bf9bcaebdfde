"""Makers for tests of prices: items, lines, promotions, a context, and carts by the thousand."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from liveshop.kernel.ids import LineId, ProductId, ShowId, VariantId
from liveshop.kernel.money import Money
from liveshop.promotions.delivery import CountryTax, Rates, ShippingStep
from liveshop.promotions.model import (
    AllProducts,
    AmountOff,
    Automatic,
    BuyXGetY,
    ByCode,
    Everywhere,
    FixedPrice,
    ForSegment,
    FreeShipping,
    InCategory,
    InShow,
    Item,
    Kind,
    Limit,
    Line,
    OrderAmountOff,
    OrderPercentOff,
    PercentOff,
    Period,
    Promotion,
    PromotionId,
    TheseProducts,
    TheseVariants,
    Tier,
)
from liveshop.promotions.priced import Priced
from liveshop.promotions.pricing import Context, price_cart

NOW = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
SHOW = ShowId("shw_1")
OTHER_SHOW = ShowId("shw_2")
CURRENCIES = (
    *("EUR", "USD", "GBP", "CHF", "PLN", "SEK"),  # two decimals
    *("JPY", "KRW", "CLP"),  # none
    *("KWD", "BHD", "TND"),  # three
)
RATES = Rates(
    tax={
        "DE": CountryTax(True, {"standard": 190, "reduced": 70, "zero": 0}),
        "US": CountryTax(False, {"standard": 82, "reduced": 25, "zero": 0}),
    },
    shipping={"DE": [ShippingStep(490)], "US": [ShippingStep(990)]},
)
FREE = replace(RATES, shipping={"DE": [ShippingStep(0)], "US": [ShippingStep(0)]})


def eur(amount: int) -> Money:
    return Money(amount, "EUR")


def item(price: int = 2800, name: str = "mug", currency: str = "EUR", **changes: Any) -> Item:
    known = Item(
        VariantId(f"var_{name}"), ProductId(f"prd_{name}"), f"Fjord {name}", Money(price, currency)
    )
    return replace(known, **changes)


def line(given: Item | int = 2800, quantity: int = 1, **changes: Any) -> Line:
    thing = item(given) if isinstance(given, int) else given
    return replace(Line(LineId(f"lin_{thing.variant_id[4:]}"), thing, quantity), **changes)


def promotion(kind: Kind, name: str = "1", **changes: Any) -> Promotion:
    known = Promotion(
        PromotionId(f"prm_{name}"),
        1,
        {"en": "Winter evening", "de": "Winterabend"},
        kind,
        "stackable",
    )
    return replace(known, **changes)


def exclusive(kind: Kind, name: str = "1", **changes: Any) -> Promotion:
    return promotion(kind, name, **({"stacking": "exclusive"} | changes))


def context(*promotions: Promotion, **changes: Any) -> Context:
    return replace(Context(NOW, "EUR", RATES, "DE", promotions=promotions), **changes)


def cart(*promotions: Promotion, lines: Sequence[Line], **changes: Any) -> Priced:
    """The cart, delivered for nothing unless told otherwise."""
    return price_cart(lines, context(*promotions, **({"rates": FREE} | changes)))


def goods(*promotions: Promotion, lines: Sequence[Line], **changes: Any) -> int:
    return cart(*promotions, lines=lines, **changes).goods.amount


def only(name: str) -> TheseVariants:
    return TheseVariants(frozenset({VariantId(f"var_{name}")}))


def by_code(*codes: str) -> ByCode:
    return ByCode(frozenset(codes))


def steps(priced: Priced) -> list[tuple[str, int]]:
    return [(step.code, step.amount.amount) for step in priced.explanation]


def a_cart(random: Random) -> tuple[list[Line], Context]:
    """Lines and a context that may hold anything, mostly small numbers so that rounding bites."""
    currency = random.choice(CURRENCIES)
    lines = [_a_line(random, number, currency) for number in range(random.randint(1, 5))]
    rates = [random.choice((0, 25, 55, 70, 81, 190, 200, 255)) for _ in range(3)]
    tax = CountryTax(
        random.random() < 0.5, dict(zip(("standard", "reduced", "zero"), rates, strict=True))
    )
    steps = [
        ShippingStep(random.randint(0, 1500)),
        ShippingStep(random.randint(0, 900), random.choice((None, 2000)), random.randint(0, 9000)),
    ]
    promotions = [_a_promotion(random, number, currency) for number in range(random.randint(0, 6))]
    return lines, Context(
        now=NOW,
        currency=currency,
        rates=Rates({"DE": tax}, {"DE": steps}),
        country=random.choice(("DE", "DE", "DE", None)),
        show_id=random.choice((None, SHOW)),
        segments=frozenset(random.sample(("vip", "new"), random.randint(0, 2))),
        codes=tuple(random.sample(("WINTER", "mug 5", "nothing"), random.randint(0, 3))),
        promotions=promotions,
        used_by_customer={one.id: random.randint(0, 2) for one in promotions},
    )


def _a_line(random: Random, number: int, currency: str) -> Line:
    price = random.choice((random.randint(1, 99), random.randint(100, 9999), random.randint(0, 3)))
    tiers = tuple(
        Tier(least, Money(max(1, price * share // 10), currency))
        for least, share in random.choice(((), ((3, 9),), ((2, 9), (5, 7))))
    )
    thing = item(
        price,
        str(number),
        currency,
        tax_class=random.choice(("standard", "standard", "reduced", "zero")),
        category=random.choice((None, "Home > Kitchen", "Home", "Garden")),
        tiers=tiers,
        weight_grams=random.choice((0, 350)),
    )
    return line(thing, random.randint(1, 7), show_id=random.choice((None, SHOW, OTHER_SHOW)))


def _a_promotion(random: Random, number: int, currency: str) -> Promotion:
    amount = Money(random.choice((1, 5, random.randint(1, 3000))), currency)
    share = random.choice((1000, random.randint(1, 1000), 100, 333))
    kind: Kind = random.choice(
        (
            *(PercentOff(share), AmountOff(amount), FixedPrice(amount)),
            *(PercentOff(share), OrderPercentOff(share), OrderAmountOff(amount)),
            BuyXGetY(random.randint(1, 3), random.randint(1, 2), random.choice((1000, share))),
            FreeShipping(random.choice((None, amount))),
        )
    )
    days = timedelta(days=1)
    made = promotion(
        kind,
        str(number),
        stacking=random.choice(("exclusive", "stackable")),
        trigger=random.choice((Automatic(), Automatic(), ByCode(frozenset({"winter", "mug5"})))),
        scope=random.choice((Everywhere(), Everywhere(), InShow(SHOW), ForSegment("vip"))),
        period=random.choice(
            (Period(), Period(), Period(NOW - days, NOW + days), Period(None, NOW))
        ),
        priority=random.randint(0, 2),
        group=random.choice((None, None, "a", "b")),
        limit=random.choice((Limit(), Limit(), Limit(total=random.randint(1, 9)), Limit(None, 3))),
        used=random.randint(0, 3),
    )
    if made.level != "line":
        return made
    products = (
        AllProducts(),
        TheseProducts(frozenset({ProductId("prd_0"), ProductId("prd_1")})),
        TheseVariants(frozenset({VariantId("var_1"), VariantId("var_2")})),
        InCategory("home"),
    )
    return replace(made, products=random.choice(products))


def shuffled(given: Sequence[Promotion], random: Random) -> list[Promotion]:
    return random.sample(list(given), len(given))
