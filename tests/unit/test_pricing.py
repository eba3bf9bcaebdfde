"""Prices: every rule about promotions and tiers, by example."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from promotions_builders import (
    NOW,
    OTHER_SHOW,
    RATES,
    SHOW,
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

from liveshop.kernel.ids import LineId, ProductId
from liveshop.kernel.money import Money
from liveshop.promotions.model import (
    AmountOff,
    BuyXGetY,
    FixedPrice,
    ForSegment,
    FreeShipping,
    InCategory,
    InShow,
    Kind,
    Limit,
    OrderAmountOff,
    OrderPercentOff,
    PercentOff,
    Period,
    TheseProducts,
    Tier,
)
from liveshop.promotions.priced import Priced
from liveshop.promotions.pricing import price_of

HOUR = timedelta(hours=1)


def shares(priced: Priced) -> list[list[int]]:
    """What the order's discounts take off each line."""
    return [[part.amount.amount for part in one.order_discounts] for one in priced.lines]


# One promotion alone.


@pytest.mark.parametrize(
    ("kind", "price", "expected"),
    [
        (PercentOff(100), 2800, 2520),
        (PercentOff(1000), 2800, 0),
        (PercentOff(100), 5, 4),  # half a cent off is rounded up, to the buyer's good
        (PercentOff(100), 4, 4),
        (PercentOff(333), 1000, 667),
        (AmountOff(eur(500)), 2800, 2300),
        (AmountOff(eur(500)), 300, 0),
        (FixedPrice(eur(2000)), 2800, 2000),
        (FixedPrice(eur(2000)), 1500, 1500),
    ],
)
def test_a_promotion_reduces_the_price_of_a_unit(kind: Kind, price: int, expected: int) -> None:
    found = price_of(item(price), context(promotion(kind)))
    assert found.price == eur(expected)
    assert found.list_price == eur(price)
    assert sum(discount.amount.amount for discount in found.discounts) == price - expected


def test_a_share_is_rounded_per_unit_so_that_a_unit_has_one_price_in_every_quantity() -> None:
    """5 % of 0.10 is half a cent: ten units are ten times a whole cent off, not five."""
    assert goods(promotion(PercentOff(50)), lines=[line(10, 10)]) == 90


@pytest.mark.parametrize(
    ("kind", "quantity", "expected"),
    [
        (BuyXGetY(2, 1), 1, 1000),
        (BuyXGetY(2, 1), 2, 2000),
        (BuyXGetY(2, 1), 3, 2000),
        (BuyXGetY(2, 1), 5, 4000),
        (BuyXGetY(2, 1), 6, 4000),
        (BuyXGetY(1, 1, 500), 2, 1500),
        (BuyXGetY(2, 2), 3, 2000),  # a set begun: two paid, the third is free already
        (BuyXGetY(2, 2), 4, 2000),
        (BuyXGetY(2, 2), 6, 4000),
    ],
)
def test_of_so_many_bought_so_many_are_free(kind: BuyXGetY, quantity: int, expected: int) -> None:
    assert goods(promotion(kind), lines=[line(1000, quantity)]) == expected


def test_the_cheapest_units_are_free_across_the_lines_it_applies_to() -> None:
    lines = [line(item(3000, "bowl"), 2), line(item(500, "spoon"), 1), line(item(900, "cup"), 3)]
    priced = cart(promotion(BuyXGetY(2, 1)), lines=lines)
    assert [one.total.amount for one in priced.lines] == [6000, 0, 1800]
    [cup] = [one for one in priced.lines if one.list_price == eur(900)]
    assert [(part.quantity, part.price.amount) for part in cup.units] == [(2, 900), (1, 0)]
    assert cup.unit_price == eur(900)
    apart = promotion(BuyXGetY(2, 1), products=only("cup"))
    assert [one.total.amount for one in cart(apart, lines=lines).lines] == [6000, 500, 1800]


def test_a_discount_on_the_order_is_split_over_the_lines_without_losing_a_cent() -> None:
    lines = [line(item(333, "a")), line(item(333, "b")), line(item(334, "c"))]
    priced = cart(promotion(OrderPercentOff(100)), lines=lines)
    assert shares(priced) == [[33], [33], [34]]
    assert [one.payable.amount for one in priced.lines] == [300, 300, 300]
    assert (priced.subtotal, priced.goods) == (eur(1000), eur(900))
    priced = cart(promotion(OrderAmountOff(eur(100))), lines=[line(1, 1), line(item(5, "b"), 1)])
    assert priced.goods == eur(0)
    assert shares(priced) == [[1], [5]]


def test_shipping_can_be_free_from_a_value_on() -> None:
    free = promotion(FreeShipping(eur(5000)))
    priced = cart(free, lines=[line(2500, 2)], rates=RATES)
    assert (priced.shipping_before, priced.shipping, priced.total) == (eur(490), eur(0), eur(5000))
    assert priced.used == {free.id: 1}
    assert cart(free, lines=[line(4999)], rates=RATES).shipping == eur(490)
    cheaper = promotion(PercentOff(1), "2")
    assert cart(free, cheaper, lines=[line(5000)], rates=RATES).shipping == eur(490)


def test_free_shipping_of_a_show_needs_something_of_that_show() -> None:
    free = promotion(FreeShipping(), scope=InShow(SHOW))
    assert cart(free, lines=[line(1000)], rates=RATES).shipping == eur(490)
    assert cart(free, lines=[line(1000, show_id=SHOW)], rates=RATES).shipping == eur(0)


# For whom, for what, when.


def test_an_offer_is_for_those_in_the_show_and_for_what_was_added_there() -> None:
    offer = promotion(PercentOff(500), scope=InShow(SHOW))
    assert price_of(item(1000), context(offer)).price == eur(1000)
    assert price_of(item(1000), context(offer, show_id=SHOW)).price == eur(500)
    assert price_of(item(1000), context(offer, show_id=OTHER_SHOW)).price == eur(1000)
    assert goods(offer, lines=[line(1000, show_id=SHOW)], show_id=OTHER_SHOW) == 500


def test_a_segment_has_its_own_price() -> None:
    known = promotion(PercentOff(500), scope=ForSegment("vip"))
    assert price_of(item(1000), context(known)).price == eur(1000)
    assert price_of(item(1000), context(known, segments=frozenset({"vip"}))).price == eur(500)


@pytest.mark.parametrize(
    ("products", "expected"),
    [
        (TheseProducts(frozenset({ProductId("prd_mug")})), 500),
        (TheseProducts(frozenset({ProductId("prd_bowl")})), 1000),
        (only("mug"), 500),
        (only("bowl"), 1000),
        (InCategory("home"), 500),
        (InCategory(" Home >KITCHEN"), 500),
        (InCategory("Home > Kitchen > Cups"), 1000),
        (InCategory("Home > Kit"), 1000),
    ],
)
def test_a_promotion_is_for_the_products_it_names(products: Any, expected: int) -> None:
    half = promotion(PercentOff(500), products=products)
    assert price_of(item(1000, category="Home > Kitchen"), context(half)).price == eur(expected)


def test_a_product_without_a_category_is_in_none() -> None:
    half = promotion(PercentOff(500), products=InCategory("Home"))
    assert price_of(item(1000), context(half)).price == eur(1000)


def test_a_promotion_holds_from_its_start_to_just_before_its_end() -> None:
    half = promotion(PercentOff(500), period=Period(NOW, NOW + HOUR))
    tick = timedelta(microseconds=1)
    moments = [NOW - tick, NOW, NOW + HOUR - tick, NOW + HOUR]
    prices = [price_of(item(1000), context(half, now=moment)).price.amount for moment in moments]
    assert prices == [1000, 500, 500, 1000]


def test_a_promotion_in_another_currency_is_never_applied() -> None:
    strange = promotion(AmountOff(Money(5, "USD")))
    assert price_of(item(1000), context(strange)).price == eur(1000)


# Limits.


def test_units_past_the_limit_fall_to_the_next_best_price() -> None:
    offer = exclusive(FixedPrice(eur(500)), "offer", limit=Limit(total=10), used=7)
    sale = promotion(PercentOff(100), "sale")
    priced = cart(offer, sale, lines=[line(1000, 5)])
    [one] = priced.lines
    assert [(part.quantity, part.price.amount) for part in one.units] == [(3, 500), (2, 900)]
    assert one.unit_price == eur(500)
    assert priced.used == {offer.id: 3, sale.id: 2}
    assert price_of(item(1000), context(offer, sale)).units_left == 3


def test_a_limit_is_shared_by_the_lines_and_counts_per_customer_too() -> None:
    offer = promotion(FixedPrice(eur(500)), limit=Limit(total=100, per_customer=3))
    lines = [line(item(1000, "s"), 2), line(item(1000, "m"), 2)]
    priced = cart(offer, lines=lines)
    assert [one.total.amount for one in priced.lines] == [1000, 1500]
    assert goods(offer, lines=lines, used_by_customer={offer.id: 2}) == 3500
    assert goods(offer, lines=lines, used_by_customer={offer.id: 9}) == 4000


def test_free_units_and_orders_can_be_limited() -> None:
    assert goods(promotion(BuyXGetY(1, 1), limit=Limit(1)), lines=[line(1000, 6)]) == 5000
    once = promotion(OrderAmountOff(eur(100)), limit=Limit(per_customer=1))
    assert goods(once, lines=[line(1000)]) == 900
    assert goods(once, lines=[line(1000)], used_by_customer={once.id: 1}) == 1000


# Several promotions.


def test_stackable_promotions_go_on_the_reduced_price_highest_priority_first() -> None:
    tenth, five = PercentOff(100), AmountOff(eur(500))
    assert (
        goods(promotion(tenth, "1", priority=2), promotion(five, "2"), lines=[line(2000)]) == 1300
    )
    assert (
        goods(promotion(tenth, "1"), promotion(five, "2", priority=2), lines=[line(2000)]) == 1350
    )


def test_an_exclusive_promotion_stands_alone_and_the_best_for_the_buyer_wins() -> None:
    stack = [promotion(PercentOff(100), "1"), promotion(PercentOff(100), "2")]  # 19 % together
    assert goods(*stack, exclusive(PercentOff(200), "3"), lines=[line(1000)]) == 800
    assert goods(*stack, exclusive(PercentOff(180), "3", priority=9), lines=[line(1000)]) == 810
    rivals = [exclusive(PercentOff(180), "3", priority=9), exclusive(PercentOff(300), "4")]
    assert goods(*stack, *rivals, lines=[line(1000)]) == 700


def test_on_a_tie_the_higher_priority_counts_and_then_the_lower_id() -> None:
    one, two = exclusive(PercentOff(200), "1"), exclusive(AmountOff(eur(200)), "2")
    assert cart(one, two, lines=[line(1000)]).promotions == (one,)
    two = replace(two, priority=1)
    assert cart(one, two, lines=[line(1000)]).promotions == (two,)


def test_each_line_has_its_own_best_promotion() -> None:
    everything = exclusive(PercentOff(100), "1")
    mugs = exclusive(PercentOff(300), "2", products=only("mug"))
    lines = [line(item(1000, "mug")), line(item(1000, "bowl"))]
    assert [one.total.amount for one in cart(everything, mugs, lines=lines).lines] == [700, 900]


def test_of_a_group_the_one_that_saves_most_counts() -> None:
    group = [
        promotion(PercentOff(100), "1", group="codes", priority=5),
        promotion(PercentOff(200), "2", group="codes"),
    ]
    assert goods(*group, lines=[line(1000)]) == 800
    assert goods(*group, promotion(AmountOff(eur(100)), "3"), lines=[line(1000)]) == 700


def test_a_group_counts_once_over_lines_order_and_shipping() -> None:
    on_line = promotion(PercentOff(100), "1", group="welcome", products=only("mug"))
    on_order = promotion(OrderPercentOff(500), "2", group="welcome")
    free = promotion(FreeShipping(), "3", group="welcome")
    three = (on_line, on_order, free)
    priced = cart(*three, lines=[line(1000)], rates=RATES)
    assert (priced.goods, priced.shipping) == (eur(900), eur(490))
    priced = cart(*three, lines=[line(item(1000, "bowl"))], rates=RATES)
    assert (priced.goods, priced.shipping) == (eur(500), eur(490))
    assert cart(free, lines=[line(1000)], rates=RATES).shipping == eur(0)


def test_discounts_on_the_order_come_after_those_on_lines_and_stack_by_the_same_rules() -> None:
    sale, tenth = promotion(PercentOff(500), "1"), promotion(OrderPercentOff(100), "2")
    assert goods(sale, tenth, lines=[line(1000)]) == 450
    five = promotion(OrderAmountOff(eur(50)), "3", priority=1)
    assert goods(sale, tenth, five, lines=[line(1000)]) == 405
    better = exclusive(OrderAmountOff(eur(96)), "4")
    assert goods(sale, tenth, five, better, lines=[line(1000)]) == 404
    worse = exclusive(OrderAmountOff(eur(94)), "4")
    assert goods(sale, tenth, five, worse, lines=[line(1000)]) == 405


def test_an_offer_on_the_order_reduces_the_lines_of_its_show_only() -> None:
    offer = promotion(OrderPercentOff(500), scope=InShow(SHOW))
    lines = [line(item(1000, "a"), show_id=SHOW), line(item(1000, "b"))]
    assert [one.payable.amount for one in cart(offer, lines=lines).lines] == [500, 1000]
    assert goods(offer, lines=lines, show_id=SHOW) == 1000


def test_buy_x_get_y_gives_away_reduced_units_when_both_are_stackable() -> None:
    both = [promotion(PercentOff(100), "1"), promotion(BuyXGetY(2, 1), "2")]
    priced = cart(*both, lines=[line(1000, 3)])
    assert priced.goods == eur(1800)
    assert steps(priced)[:3] == [("goods", 3000), ("promotion", -300), ("promotion", -900)]


def test_an_exclusive_buy_x_get_y_replaces_a_sale_only_where_it_is_better() -> None:
    sale, deal = promotion(PercentOff(100), "1"), exclusive(BuyXGetY(2, 1), "2")
    assert goods(sale, deal, lines=[line(1000, 2)]) == 1800
    assert goods(sale, deal, lines=[line(1000, 3)]) == 2000
    strong = promotion(PercentOff(400), "1")
    assert goods(strong, deal, lines=[line(1000, 3)]) == 1800


def test_buy_x_get_y_takes_the_place_of_an_exclusive_price_where_it_is_better() -> None:
    offer, deal = exclusive(PercentOff(200), "1"), promotion(BuyXGetY(2, 1), "2")
    assert goods(offer, deal, lines=[line(1000, 2)]) == 1600
    assert goods(offer, deal, lines=[line(1000, 3)]) == 2000


def test_two_buy_x_get_y_never_count_the_same_units() -> None:
    half = promotion(BuyXGetY(1, 1, 500), "1")
    free = promotion(BuyXGetY(2, 1), "2")
    assert goods(half, free, lines=[line(1000, 6)]) == 4000
    mugs = replace(half, products=only("mug"))
    bowls = replace(free, products=only("bowl"))
    lines = [line(item(1000, "mug"), 2), line(item(1000, "bowl"), 3)]
    assert goods(mugs, bowls, lines=lines) == 3500


def test_a_buy_x_get_y_that_saves_no_more_leaves_the_price_as_the_show_said_it() -> None:
    half, deal = promotion(PercentOff(500), "2"), exclusive(BuyXGetY(1, 1), "1", priority=9)
    priced = cart(half, deal, lines=[line(1000, 2)])
    assert (priced.goods, priced.promotions) == (eur(1000), (half,))


def test_a_buy_x_get_y_gives_way_to_another_that_covers_more() -> None:
    mugs = exclusive(BuyXGetY(1, 1), "1", products=only("mug"))
    both = exclusive(BuyXGetY(1, 3), "2")
    lines = [line(item(1000, "mug"), 2), line(item(900, "bowl"), 2)]
    assert goods(mugs, both, lines=lines) == 1000
    assert goods(mugs, both, lines=lines[:1]) == 1000


def test_a_group_keeps_a_price_and_a_buy_x_get_y_apart() -> None:
    sale = promotion(PercentOff(100), "1", group="g")
    deal = promotion(BuyXGetY(2, 1), "2", group="g")
    assert goods(sale, deal, lines=[line(1000, 3)]) == 2000
    assert goods(sale, deal, lines=[line(1000, 2)]) == 1800


# Tiers.


def test_from_a_quantity_on_each_unit_costs_the_tier() -> None:
    mug = item(1000, tiers=(Tier(3, eur(900)), Tier(10, eur(700))))
    for quantity, unit in ((1, 1000), (2, 1000), (3, 900), (9, 900), (10, 700)):
        [one] = cart(lines=[line(mug, quantity)]).lines
        assert (one.unit_price, one.total) == (eur(unit), eur(unit * quantity))
    tenth = promotion(PercentOff(100))
    assert goods(tenth, lines=[line(mug, 3)]) == 2430
    assert price_of(mug, context(tenth)).tiers == (Tier(3, eur(810)), Tier(10, eur(630)))


def test_the_units_of_a_variant_on_two_lines_reach_a_tier_together() -> None:
    mug = item(1000, tiers=(Tier(3, eur(900)),))
    lines = [line(mug, 1, id=LineId("lin_1")), line(mug, 2, id=LineId("lin_2"), show_id=SHOW)]
    assert goods(lines=lines) == 2700


def test_a_tier_dearer_than_the_price_is_not_taken() -> None:
    assert goods(lines=[line(item(800, tiers=(Tier(2, eur(900)),)), 2)]) == 1600
