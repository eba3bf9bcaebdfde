"""What holds for every cart, whatever is in it and whatever the promotions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from promotions_builders import (
    CURRENCIES,
    a_cart,
    shuffled,
)

from liveshop.kernel.money import Money
from liveshop.promotions.model import (
    AmountOff,
    BuyXGetY,
    ByCode,
    FixedPrice,
    FreeShipping,
    Line,
    OrderAmountOff,
    OrderPercentOff,
    PercentOff,
)
from liveshop.promotions.priced import Priced
from liveshop.promotions.pricing import Context, price_cart, price_of


def check(lines: Sequence[Line], asked: Context, priced: Priced) -> None:
    """Every sum that can be made another way is made another way."""
    zero = Money(0, asked.currency)
    assert sum((step.amount for step in priced.explanation), zero) == priced.total
    assert priced.total.amount >= 0
    assert 0 <= priced.shipping.amount <= priced.shipping_before.amount
    on_top = sum((tax.amount for tax in priced.taxes if not tax.is_included), zero)
    assert priced.total == priced.goods + priced.shipping + on_top
    assert [one.line for one in priced.lines] == list(lines)
    used: Counter[str] = Counter()
    for one in priced.lines:
        check_line(one)
        used.update({part.promotion_id: part.units for part in one.discounts})
    assert sum((one.total for one in priced.lines), zero) == priced.subtotal
    assert sum((one.payable for one in priced.lines), zero) == priced.goods
    check_used(asked, priced, used)
    check_taxes(asked, priced)


def check_line(one: Any) -> None:
    quantity = one.line.quantity
    assert sum(part.quantity for part in one.units) == quantity
    assert all(part.price.amount >= 0 < part.quantity for part in one.units)
    assert sum(part.quantity * part.price.amount for part in one.units) == one.total.amount
    base = one.tier.price if one.tier else one.list_price
    taken = sum(part.amount.amount for part in one.discounts)
    assert one.total.amount == base.amount * quantity - taken
    assert all(part.amount.amount > 0 for part in (*one.discounts, *one.order_discounts))
    assert 0 <= one.payable.amount <= one.total.amount
    shared = sum(part.amount.amount for part in one.order_discounts)
    assert one.payable.amount == one.total.amount - shared


def check_used(asked: Context, priced: Priced, units: Counter[str]) -> None:
    for one in priced.promotions:
        count = priced.used[one.id]
        assert count == (units[one.id] if one.level == "line" else 1)
        assert one.limit.total is None or count <= one.limit.total - one.used
        mine = asked.used_by_customer.get(one.id, 0)
        assert one.limit.per_customer is None or count <= one.limit.per_customer - mine
        assert one.period.holds(asked.now)
    assert set(priced.used) == {one.id for one in priced.promotions}


def check_taxes(asked: Context, priced: Priced) -> None:
    if asked.country is None:
        assert priced.taxes == ()
        return
    inside = asked.rates.tax[asked.country].is_included
    basis = sum(tax.basis.amount for tax in priced.taxes)
    amount = sum(tax.amount.amount for tax in priced.taxes)
    assert basis + amount == priced.total.amount
    for tax in priced.taxes:
        assert tax.is_included is inside
        exact = Fraction(tax.basis.amount * tax.rate_permille, 1000)
        if inside:
            whole = tax.basis.amount + tax.amount.amount
            exact = Fraction(whole * tax.rate_permille, 1000 + tax.rate_permille)
        assert abs(tax.amount.amount - exact) <= Fraction(1, 2)


def test_ten_thousand_carts_in_twelve_currencies_add_up_to_the_cent() -> None:
    random = Random(20261121)
    seen: Counter[object] = Counter()
    for _ in range(10_000):
        lines, asked = a_cart(random)
        priced = price_cart(lines, asked)
        check(lines, asked, priced)
        seen.update(
            [asked.currency, *(step.code for step in priced.explanation)],
            **{f"{asked.country} {tax.is_included}": 1 for tax in priced.taxes},
        )
        seen.update(type(one.kind) for one in priced.promotions)
        seen.update(unused.reason for unused in priced.unused_codes)
    # The generator reaches everything there is, and often.
    assert len(CURRENCIES) == 12
    codes = {"goods", "tier", "promotion", "order_promotion", "shipping", "shipping_promotion"}
    told = {"unknown", "expired", "exhausted", "does_not_apply", "not_combinable"}
    kinds = {PercentOff, AmountOff, FixedPrice, BuyXGetY, OrderPercentOff, OrderAmountOff}
    taxes = {"tax_included", "tax_added", "DE True", "DE False"}
    for name in (*CURRENCIES, *codes, *told, *kinds, *taxes, FreeShipping):
        assert seen[name] >= 100, name


carts = st.integers(0, 2**32).map(lambda seed: a_cart(Random(seed)))
relentless = settings(max_examples=400, derandomize=True, deadline=None)


@relentless
@given(carts)
def test_a_variant_has_one_price_at_a_moment_whoever_asks(
    given_cart: tuple[list[Line], Context],
) -> None:
    lines, asked = given_cart
    for one in lines:
        single = replace(one, quantity=1, show_id=None)
        said = price_of(one.item, asked)
        [charged] = price_cart([single], asked).lines
        assert said.price == charged.unit_price == charged.total
        assert said.discounts == charged.discounts
        assert sum(step.amount.amount for step in said.explanation) == said.price.amount


@relentless
@given(carts, st.randoms(use_true_random=False))
def test_the_order_of_the_promotions_does_not_matter(
    given_cart: tuple[list[Line], Context], random: Random
) -> None:
    lines, asked = given_cart
    mixed = replace(asked, promotions=shuffled(asked.promotions, random))
    assert price_cart(lines, asked) == price_cart(lines, mixed)
    assert price_of(lines[0].item, asked) == price_of(lines[0].item, mixed)


@relentless
@given(carts)
def test_no_exclusive_promotion_alone_would_be_better_for_a_unit(
    given_cart: tuple[list[Line], Context],
) -> None:
    lines, asked = given_cart
    together = price_of(lines[0].item, asked).price.amount
    for one in asked.promotions:
        alone = price_of(lines[0].item, replace(asked, promotions=[one])).price.amount
        assert together <= alone or one.stacking == "stackable"


@relentless
@given(carts)
def test_a_buy_x_get_y_never_makes_the_goods_dearer(
    given_cart: tuple[list[Line], Context],
) -> None:
    lines, asked = given_cart
    without = [one for one in asked.promotions if not isinstance(one.kind, BuyXGetY)]
    cheaper = price_cart(lines, asked).subtotal.amount
    assert cheaper <= price_cart(lines, replace(asked, promotions=without)).subtotal.amount


@relentless
@given(carts)
def test_a_code_is_used_or_told_why_not_and_never_both(
    given_cart: tuple[list[Line], Context],
) -> None:
    lines, asked = given_cart
    priced = price_cart(lines, asked)
    told = {unused.code for unused in priced.unused_codes}
    for typed in asked.codes:
        folded = typed.casefold().replace(" ", "")
        has_counted = any(
            isinstance(one.trigger, ByCode) and folded in one.trigger.codes
            for one in priced.promotions
        )
        assert (typed in told) is not has_counted or asked.country is None
