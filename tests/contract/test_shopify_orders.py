"""Orders written back to Shopify: each once, whatever happens to answers."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from fakes.shopify_schema import schema_or_skip
from shopify_builders import House, an_item, an_order, eur, shopify_house

from liveshop.connect import (
    OutcomeUnknown,
    RetryLater,
    SkipListing,
)
from liveshop.kernel.clock import ManualClock


@pytest.fixture(scope="module", autouse=True)
def _schema() -> None:
    schema_or_skip()


@pytest.fixture
async def house(clock: ManualClock) -> AsyncIterator[House]:
    async with shopify_house(clock) as opened:
        yield opened


async def test_an_order_says_who_paid_what_and_how(house: House) -> None:
    variant = house.shop.variant("10.00", 5)
    house.shop.add("Mug", variant)
    async with house.opened() as source:
        reference = await source.place_order(an_order(an_item(variant, quantity=3, total=1000)))
    (order,) = house.shop.orders.values()
    assert order.gid == reference
    assert order.total == Decimal("14.90")
    given: Mapping[str, Any] = order.given
    assert given["sourceIdentifier"] == "ord_1"
    assert given["taxesIncluded"] is True
    address = given["shippingAddress"]
    assert (address["firstName"], address["lastName"]) == ("Ada King", "Lovelace")
    (payment,) = given["transactions"]
    assert payment["authorizationCode"] == "pi_123"
    assert payment["amountSet"]["shopMoney"] == {"amount": "14.90", "currencyCode": "EUR"}
    # A total that does not divide evenly becomes two lines, and no cent is lost.
    lines = [
        (one["quantity"], one["priceSet"]["shopMoney"]["amount"]) for one in given["lineItems"]
    ]
    assert lines == [(2, "3.33"), (1, "3.34")]
    assert variant.quantity == 2


@pytest.mark.parametrize("fault", ["lost_answer", "half_sent"])
async def test_an_order_made_before_the_answer_was_lost_is_found_again(
    house: House, fault: Any
) -> None:
    variant = house.shop.variant("10.00", 5)
    house.shop.add("Mug", variant)
    order = an_order(an_item(variant))
    house.fake.faults, house.fake.fault_in = {fault}, "createOrder"
    async with house.opened() as source:
        with pytest.raises(OutcomeUnknown):
            await source.place_order(order)
    house.fake.faults.clear()
    async with house.opened() as source:
        reference = await source.place_order(order)
        assert await source.place_order(order) == reference
    assert [one.gid for one in house.shop.orders.values()] == [reference]
    assert house.memory.texts == {}


async def test_an_order_that_the_search_does_not_show_yet_is_not_sent_again(house: House) -> None:
    variant = house.shop.variant("10.00", 5)
    house.shop.add("Mug", variant)
    order = an_order(an_item(variant))
    house.shop.search_sees_new_orders = False
    house.fake.faults, house.fake.fault_in = {"lost_answer"}, "createOrder"
    async with house.opened() as source:
        with pytest.raises(OutcomeUnknown):
            await source.place_order(order)
    house.fake.faults.clear()
    async with house.opened() as source:
        with pytest.raises(RetryLater) as told:
            await source.place_order(order)
        assert told.value.after is not None
        assert 0 < told.value.after <= 120
        house.shop.search_sees_new_orders = True
        assert await source.place_order(order)
    assert len(house.shop.orders) == 1


async def test_an_order_that_never_arrived_is_sent_again_when_the_search_would_show_it(
    house: House,
) -> None:
    variant = house.shop.variant("10.00", 5)
    house.shop.add("Mug", variant)
    await house.memory.put("order:ord_1", house.clock.now().isoformat())  # and then it was killed
    async with house.opened() as source:
        with pytest.raises(RetryLater):
            await source.place_order(an_order(an_item(variant)))
        house.clock.advance(timedelta(minutes=2))
        assert await source.place_order(an_order(an_item(variant)))
    assert len(house.shop.orders) == 1


async def test_an_order_refused_for_now_is_sent_again_at_once(house: House) -> None:
    variant = house.shop.variant("10.00", 5)
    house.shop.add("Mug", variant)
    house.fake.faults, house.fake.fault_in = {"too_many"}, "createOrder"
    async with house.opened() as source:
        with pytest.raises(RetryLater):
            await source.place_order(an_order(an_item(variant)))
        house.fake.faults.clear()
        assert await source.place_order(an_order(an_item(variant)))


async def test_an_order_is_not_taken_for_another_with_a_longer_key(house: House) -> None:
    variant = house.shop.variant("10.00", 5)
    house.shop.add("Mug", variant)
    async with house.opened() as source:
        longer = await source.place_order(an_order(an_item(variant), key="ord_12"))
        assert await source.place_order(an_order(an_item(variant), key="ord_1")) != longer


async def test_an_order_of_more_than_there_is_is_refused_and_not_oversold(house: House) -> None:
    variant = house.shop.variant("10.00", 1)
    house.shop.add("Mug", variant)
    async with house.opened() as source:
        with pytest.raises(SkipListing, match="too few units"):
            await source.place_order(an_order(an_item(variant, quantity=2, total=2000)))
        with pytest.raises(SkipListing, match="does not exist"):
            missing = replace(an_item(variant), source_id="gid://shopify/ProductVariant/1")
            await source.place_order(an_order(missing))
    assert (variant.quantity, house.shop.orders) == (1, {})
    assert house.memory.texts == {}


async def test_an_order_in_another_currency_is_refused(house: House) -> None:
    variant = house.shop.variant("10.00", 1)
    house.shop.add("Mug", variant)
    house.shop.currency = "CHF"
    async with house.opened() as source:
        with pytest.raises(SkipListing, match="CHF"):
            await source.place_order(an_order(an_item(variant)))


async def test_tax_that_came_on_top_stands_beside_the_lines(house: House) -> None:
    variant = house.shop.variant("10.00", 1)
    house.shop.add("Mug", variant)
    async with house.opened() as source:
        await source.place_order(replace(an_order(an_item(variant)), total=eur(1570)))
    (order,) = house.shop.orders.values()
    assert order.total == Decimal("15.70")
    assert order.given["taxesIncluded"] is False


async def test_an_order_that_comes_to_more_than_was_paid_is_refused(house: House) -> None:
    variant = house.shop.variant("10.00", 1)
    house.shop.add("Mug", variant)
    async with house.opened() as source:
        with pytest.raises(SkipListing, match="more than was paid"):
            await source.place_order(replace(an_order(an_item(variant)), total=eur(1000)))


async def test_an_order_to_a_country_that_is_none_is_refused(house: House) -> None:
    variant = house.shop.variant("10.00", 1)
    house.shop.add("Mug", variant)
    order = an_order(an_item(variant))
    async with house.opened() as source:
        with pytest.raises(SkipListing, match="countryCode"):
            await source.place_order(replace(order, address=replace(order.address, country="XX")))


async def test_the_stock_of_many_variants_is_asked_for_in_parts(house: House) -> None:
    variants = [house.shop.variant("1.00", 1, values=(str(n),)) for n in range(230)]
    house.shop.add("Beads", *variants, options=("Number",))
    async with house.opened(location_id="1") as source:
        assert len(await source.quantities([variant.gid for variant in variants])) == 230
    assert house.fake.operations == ["stock"] * 3


async def test_a_slow_cancellation_is_followed_to_its_end(house: House) -> None:
    variant = house.shop.variant("10.00", 5)
    house.shop.add("Mug", variant)
    house.shop.jobs_are_slow = True
    async with house.opened() as source:
        reference = await source.place_order(an_order(an_item(variant)))
        for _ in range(2):
            with pytest.raises(RetryLater):
                await source.cancel_order(reference, reason="The buyer asked for it.")
        assert house.fake.operations.count("cancelOrder") == 1
        house.shop.finish_jobs()
        await source.cancel_order(reference, reason="The buyer asked for it.")
        await source.cancel_order(reference, reason="The buyer asked for it.")
    assert variant.quantity == 5
    assert house.memory.texts == {}


async def test_an_order_that_is_gone_cannot_be_cancelled(house: House) -> None:
    async with house.opened() as source:
        with pytest.raises(SkipListing, match="no such order"):
            await source.cancel_order("gid://shopify/Order/1", reason="x")
