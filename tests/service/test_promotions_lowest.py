"""The lowest price of 30 days, out of the database: through changes of prices and promotions, and
against an oracle that wrote down what was shown day by day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from promotions_house import SHOW, House, money, percent
from promotions_house import given as promotion_given

from liveshop.catalog.model import Product
from liveshop.kernel.clock import ManualClock
from liveshop.promotions import wire
from liveshop.promotions.lowest import LowestPrices
from liveshop.storage import Database

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


async def lowest(house: House, product: Product, **where: Any) -> int | None:
    found = (await house.shown(product, **where)).lowest_30_days
    return None if found is None else found.amount


async def test_a_price_that_is_not_reduced_has_no_lowest_beside_it(house: House) -> None:
    mug = await house.product()
    house.pass_time(days=10)
    assert await lowest(house, mug) is None
    await house.reprice(mug, 2000)
    assert await lowest(house, mug) is None


async def test_a_promotion_stands_beside_the_lowest_price_before_it(house: House) -> None:
    mug = await house.product(price=2500)
    house.pass_time(days=50)
    mug = await house.reprice(mug, 3500)
    house.pass_time(days=10)
    await house.promotion(percent(200))
    assert (await house.price(mug), await lowest(house, mug)) == (2800, 2500)
    house.pass_time(days=300)
    assert await lowest(house, mug) == 2500


async def test_a_compare_at_price_stands_beside_the_lowest_price_too(house: House) -> None:
    mug = await house.product(price=3500)
    house.pass_time(days=40)
    mug = await house.reprice(mug, 2800, 3500)
    assert await lowest(house, mug) == 3500
    house.pass_time(days=5)
    await house.promotion(percent(100))
    assert await lowest(house, mug) == 3500  # it went on falling, so it is one reduction


async def test_a_variant_that_was_never_dearer_has_no_lowest(house: House) -> None:
    mug = await house.product(compare_at=money(3500).to_money())
    assert await lowest(house, mug) is None


async def test_a_promotion_taken_back_for_a_day_is_a_new_reduction(house: House) -> None:
    mug = await house.product()
    house.pass_time(days=40)
    made = (await house.promotion(percent(500))).promotion.id
    house.pass_time(days=5)
    await house.promotions.change_state(made, "paused")
    house.pass_time(days=1)
    await house.promotions.change_state(made, "active")
    assert await lowest(house, mug) == 1400
    house.pass_time(days=40)
    assert await lowest(house, mug) == 1400


async def test_what_a_promotion_said_before_it_was_replaced_counts(house: House) -> None:
    mug = await house.product()
    house.pass_time(days=40)
    made = (await house.promotion(percent(500))).promotion.id
    house.pass_time(days=5)
    await house.promotions.replace_promotion(made, promotion_given(percent(100)))
    assert (await house.price(mug), await lowest(house, mug)) == (2520, 1400)


async def test_a_show_counts_for_the_storefront_and_the_other_way_round(house: House) -> None:
    mug = await house.product()
    house.pass_time(days=40)
    offer = await house.promotion(percent(500), show_id=SHOW, limit_total=1)
    assert (await lowest(house, mug), await lowest(house, mug, show_id=SHOW)) == (None, 2800)
    house.pass_time(minutes=2)
    await house.promotions.change_state(offer.promotion.id, "ended")
    house.pass_time(days=1)
    await house.promotion(percent(100))
    assert await lowest(house, mug) == 1400


async def test_a_reduction_that_has_lasted_a_year_is_looked_up_in_full(house: House) -> None:
    mug = await house.product()
    house.pass_time(days=40)
    flash = await house.promotion(percent(500))
    house.pass_time(days=1)
    await house.promotions.change_state(flash.promotion.id, "ended")
    house.pass_time(days=1)
    await house.promotion(percent(100))
    for _ in range(12):
        assert await lowest(house, mug) == 1400
        house.pass_time(days=31)


async def test_what_is_remembered_is_what_would_be_found_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    mug = await house.product()
    house.pass_time(days=40)
    await house.promotion(percent(100))
    first = await house.shown(mug)

    def never(*_: object) -> None:
        raise AssertionError("worked out twice")

    monkeypatch.setattr("liveshop.promotions.lowest._find", never)
    house.pass_time(days=3)
    assert await house.shown(mug) == first
    with pytest.raises(AssertionError, match="worked out twice"):
        await House(house.database, house.clock).shown(mug)
    assert isinstance(house.prices._lowest, LowestPrices)


# Against an oracle.


@dataclass(frozen=True, slots=True)
class Day:
    """What was to be seen from a moment on: outside and inside the show, and whether announced."""

    at: datetime
    price: int
    in_show: int
    is_announced: bool


def by_hand(days: Sequence[Day]) -> int | None:
    """The rule, read off the diary: the last day is today."""
    if not days[-1].is_announced:
        return None
    first = len(days) - 1
    while first and days[first - 1].is_announced and days[first - 1].price >= days[first].price:
        first -= 1
    began = days[first].at
    midnight = datetime.combine(
        began.astimezone(BERLIN).date() - timedelta(days=30), time(), BERLIN
    )
    found = [
        min(day.price, day.in_show)
        for place, day in enumerate(days[:first])
        if days[place + 1].at.astimezone(UTC) > midnight.astimezone(UTC)
    ]
    return min(found, default=None)


ACTS = st.lists(
    st.tuples(
        st.sampled_from(("rest", "rest", "price", "sale", "later", "offer", "change", "state")),
        st.integers(1, 9),
        st.integers(0, 3),
    ),
    min_size=5,
    max_size=20,
)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ACTS)
async def test_the_lowest_price_is_what_a_diary_of_prices_says(
    house: House, acts: list[tuple[str, int, int]]
) -> None:
    mug = await house.product()
    made: list[str] = []
    days: list[Day] = []
    for act, number, count in [("rest", 1, 0), *acts]:
        mug = await carry_out(house, mug, made, act, number, count)
        for _ in range(count * 3 + 1):
            outside, inside = await house.shown(mug), await house.shown(mug, SHOW)
            variant = mug.variants[0]
            before = (variant.compare_at or variant.price).amount
            days.append(
                Day(
                    house.clock.now(),
                    outside.price.amount,
                    inside.price.amount,
                    outside.price.amount < before,
                )
            )
            found = outside.lowest_30_days
            assert (found.amount if found else None) == by_hand(days)
            house.pass_time(days=1)
    for one in made:
        await house.promotions.change_state(one, "ended")


async def carry_out(
    house: House, mug: Product, made: list[str], act: str, number: int, count: int
) -> Product:
    now = house.clock.now()
    these = {"product_ids": [mug.id], "priority": number}
    if act == "price":
        price = 2000 + number * 100
        return await house.reprice(mug, price, price + 500 if count == 1 else None)
    if act in ("sale", "offer", "later"):
        begins = now + timedelta(days=count) if act == "later" else None
        stored = await house.promotion(
            percent(number * 50),
            show_id=SHOW if act == "offer" else None,
            starts_at=begins,
            ends_at=now + timedelta(days=number * 3 + count) if number % 2 else None,
            stacking="exclusive" if number == 9 and count == 3 and not made else "stackable",
            **these,
        )
        made.append(stored.promotion.id)
        return mug
    if not made or act == "rest":
        return mug
    chosen = await house.promotions.promotion(made[number % len(made)])
    if chosen.phase(now) == "ended":
        return mug
    if act == "change":
        kind = wire.AmountOff(amount=money(number * 70))
        await house.promotions.replace_promotion(
            chosen.promotion.id, promotion_given(kind, **these)
        )
    else:
        to: wire.NextState = ("paused", "active", "ended")[count % 3]
        await house.promotions.change_state(chosen.promotion.id, to)
    return mug
