"""Codes, shipping, tax, and what no cart may hold."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from promotions_builders import (
    FREE,
    NOW,
    RATES,
    by_code,
    cart,
    context,
    eur,
    exclusive,
    goods,
    item,
    line,
    only,
    promotion,
    steps,
)

from liveshop.kernel.money import Money
from liveshop.promotions.delivery import (
    CountryTax,
    NotDelivered,
    ShippingStep,
    TooHeavy,
    UnknownTaxClass,
)
from liveshop.promotions.model import (
    AmountOff,
    BuyXGetY,
    FixedPrice,
    FreeShipping,
    Limit,
    OrderAmountOff,
    OrderPercentOff,
    OtherCurrency,
    PercentOff,
    Period,
    PromotionId,
    Tier,
)
from liveshop.promotions.priced import Priced
from liveshop.promotions.pricing import BadLine, price_of

HOUR = timedelta(hours=1)


def reasons(priced: Priced) -> dict[str, str]:
    return {unused.code: unused.reason for unused in priced.unused_codes}


# Codes.


def test_a_code_works_however_it_is_typed() -> None:
    secret = promotion(PercentOff(500), trigger=by_code("winter20"))
    for typed in ("WINTER20", " winter 20 ", "Winter２０", "win\u200bter20"):
        priced = cart(secret, lines=[line(1000)], codes=[typed])
        assert (priced.goods, priced.unused_codes) == (eur(500), ())
    assert goods(secret, lines=[line(1000)]) == 1000


def test_a_code_that_does_nothing_says_why() -> None:
    known = [
        promotion(PercentOff(100), "1", trigger=by_code("old"), period=Period(None, NOW)),
        promotion(PercentOff(100), "2", trigger=by_code("early"), period=Period(NOW + HOUR)),
        promotion(PercentOff(100), "3", trigger=by_code("gone"), limit=Limit(5), used=5),
        promotion(PercentOff(100), "4", trigger=by_code("mine"), limit=Limit(None, 1)),
        promotion(PercentOff(100), "5", trigger=by_code("bowls"), products=only("bowl")),
        exclusive(PercentOff(100), "6", trigger=by_code("weak")),
        exclusive(PercentOff(200), "7"),
    ]
    codes = ["old", "EARLY", "gone", "mine", "bowls", "weak", "what", "", "x" * 1000]
    used = {PromotionId("prm_4"): 1}
    priced = cart(*known, lines=[line(1000)], codes=codes, used_by_customer=used)
    assert priced.goods == eur(800)
    assert reasons(priced) == {
        "old": "expired",
        "EARLY": "not_yet",
        "gone": "exhausted",
        "mine": "exhausted",
        "bowls": "does_not_apply",
        "weak": "not_combinable",
        "what": "unknown",
        "": "unknown",
        "x" * 1000: "unknown",
    }


def test_a_code_with_several_promotions_is_used_when_one_of_them_counts() -> None:
    two = [
        promotion(PercentOff(100), "1", trigger=by_code("both"), products=only("bowl")),
        promotion(FreeShipping(), "2", trigger=by_code("both")),
    ]
    priced = cart(*two, lines=[line(1000)], codes=["both"], rates=RATES)
    assert (priced.shipping, priced.unused_codes) == (eur(0), ())
    assert reasons(cart(*two, lines=[line(1000)], codes=["both"])) == {"both": "does_not_apply"}


def test_a_code_for_shipping_is_not_judged_before_it_is_known_where_to() -> None:
    free = promotion(FreeShipping(), trigger=by_code("ship"))
    assert cart(free, lines=[line(1000)], codes=["ship"], country=None).unused_codes == ()


# Shipping and tax.


def test_shipping_costs_by_weight_and_by_value_and_the_cheapest_step_that_fits() -> None:
    steps_to = [
        ShippingStep(490, max_weight_grams=2000),
        ShippingStep(890, max_weight_grams=10_000),
        ShippingStep(0, max_weight_grams=2000, from_goods=5000),
    ]
    rates = replace(RATES, shipping={"DE": steps_to})

    def shipping(price: int, weight: int) -> int:
        one = line(item(price, weight_grams=weight))
        return cart(lines=[one], rates=rates).shipping.amount

    assert [shipping(1000, grams) for grams in (0, 2000, 2001, 10_000)] == [490, 490, 890, 890]
    assert [shipping(price, 100) for price in (4999, 5000)] == [490, 0]
    assert shipping(5000, 2001) == 890
    with pytest.raises(TooHeavy) as refused:
        shipping(1000, 10_001)
    assert refused.value.data["weight_grams"] == 10_001


def test_a_country_without_tax_or_shipping_is_not_delivered_to() -> None:
    rates = replace(RATES, shipping=RATES.shipping | {"AT": [ShippingStep(1)], "US": []})
    for country in ("AT", "US", "XX", ""):
        for lines in ([], [line()]):
            with pytest.raises(NotDelivered) as refused:
                cart(lines=lines, country=country, rates=rates)
            assert refused.value.data["field"] == "country"


def test_tax_is_inside_the_price_or_on_top_of_it_by_country() -> None:
    lines = [line(2800, 2)]
    inside = cart(lines=lines, rates=RATES)
    assert inside.total == eur(6090)
    assert [(tax.basis.amount, tax.amount.amount) for tax in inside.taxes] == [(5118, 972)]
    on_top = cart(lines=lines, rates=RATES, country="US")
    assert on_top.total == eur(5600 + 990 + 540)  # 8.2 % of 65.90 is 5.4038
    assert [(tax.basis.amount, tax.amount.amount) for tax in on_top.taxes] == [(6590, 540)]
    assert steps(on_top)[-1] == ("tax_added", 540)


def test_tax_is_shown_per_rate_on_what_is_really_paid() -> None:
    lines = [line(item(2380, "a")), line(item(2140, "b", tax_class="reduced"))]
    priced = cart(promotion(OrderPercentOff(500)), lines=lines)
    assert [(tax.rate_permille, tax.basis.amount, tax.amount.amount) for tax in priced.taxes] == [
        (70, 1000, 70),
        (190, 1000, 190),
    ]
    assert steps(priced)[-2:] == [("tax_included", 0), ("tax_included", 0)]


def test_a_tax_class_without_a_rate_is_refused() -> None:
    rates = replace(FREE, tax={"DE": CountryTax(True, {})})
    with pytest.raises(UnknownTaxClass):
        cart(lines=[line()], rates=rates)


def test_without_a_country_goods_are_priced_alone() -> None:
    priced = cart(lines=[line(1000)], rates=RATES, country=None)
    assert (priced.total, priced.taxes) == (eur(1000), ())
    assert steps(priced) == [("goods", 1000)]


# The edges.


def test_an_empty_cart_costs_nothing() -> None:
    everything = [promotion(OrderAmountOff(eur(5)), "1"), promotion(FreeShipping(), "2")]
    priced = cart(*everything, lines=[], rates=RATES)
    assert (priced.total, priced.explanation, priced.used) == (eur(0), (), {})


def test_free_goods_are_free_and_never_less() -> None:
    stack = [
        promotion(PercentOff(1000), "1"),
        promotion(AmountOff(eur(500)), "2"),
        promotion(BuyXGetY(1, 1), "3"),
        promotion(OrderAmountOff(eur(500)), "4"),
    ]
    priced = cart(*stack, lines=[line(1000, 3), line(item(0, "gift"))])
    assert priced.total == eur(0)
    assert priced.used == {PromotionId("prm_1"): 3}


@pytest.mark.parametrize("quantity", [0, -1, 10_000_001, 10**30, 1.0, 1.5, True, "1", None])
def test_a_quantity_is_a_whole_number_above_zero(quantity: Any) -> None:
    with pytest.raises(BadLine) as refused:
        cart(lines=[line(1000, quantity)])
    assert refused.value.data == {"field": "quantity", "line_id": "lin_mug"}


def test_negative_prices_and_weights_are_refused() -> None:
    for bad in (item(-1), item(tiers=(Tier(2, eur(-1)),)), item(weight_grams=-1)):
        with pytest.raises(BadLine):
            cart(lines=[line(bad)])


def test_two_currencies_are_never_added_up() -> None:
    with pytest.raises(OtherCurrency):
        cart(lines=[line(), line(item(100, "b", "USD"))])
    with pytest.raises(OtherCurrency):
        cart(lines=[line(item(tiers=(Tier(2, Money(5, "USD")),)))])


def test_the_largest_cart_is_exact() -> None:
    huge = item(10**11)
    priced = cart(promotion(PercentOff(333)), lines=[line(huge, 10_000_000)])
    assert priced.goods.amount == 66_700_000_000 * 10_000_000


def test_a_price_tells_when_it_ends() -> None:
    two = [
        promotion(PercentOff(100), "1", period=Period(None, NOW + 2 * HOUR)),
        promotion(PercentOff(100), "2", period=Period(None, NOW + HOUR)),
        promotion(FixedPrice(eur(5000)), "3", period=Period(None, NOW + timedelta(minutes=1))),
    ]
    found = price_of(item(1000, compare_at=eur(1200)), context(*two))
    assert (found.ends_at, found.units_left) == (NOW + HOUR, None)
    assert found.compare_at == eur(1200)
    assert [one.id for one in found.promotions] == ["prm_1", "prm_2"]
    assert sum(step.amount.amount for step in found.explanation) == found.price.amount
