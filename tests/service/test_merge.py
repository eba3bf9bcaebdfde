"""A guest signs on: his cart, holds, codes and places are the customer's, within the limits."""

from datetime import timedelta

import builders
import pytest
import sqlalchemy as sa
from checkout_builders import audit, viewer

from liveshop.app import Liveshop
from liveshop.catalog.tables import product
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import VariantId, ViewerId

GUEST, OTHER = viewer(1), viewer(2)
CUSTOMER = ViewerId("cus_" + "1" * 26)


@pytest.fixture
async def mug(shop: Liveshop) -> VariantId:
    return VariantId((await builders.product(shop, stock=9)).variants[0].id)


async def lines(shop: Liveshop, who: ViewerId) -> list[tuple[str, int, str]]:
    cart = await shop.carts.cart_of(who)
    return [(line.title, line.quantity, line.hold) for line in cart.lines]


async def test_lines_of_a_guest_are_the_customers_with_their_holds(
    shop: Liveshop, mug: VariantId, clock: ManualClock
) -> None:
    lamp = VariantId((await builders.product(shop, title="Lamp", stock=1)).variants[0].id)
    until = (await shop.carts.add_to_cart(CUSTOMER, mug, 2, None)).held_until
    clock.advance(timedelta(seconds=60))
    await shop.carts.add_to_cart(GUEST, mug, 3, None)
    await shop.carts.add_to_cart(GUEST, lamp, 1, None)
    for _ in range(2):
        await shop.carts.merge(GUEST, CUSTOMER)
        assert await lines(shop, GUEST) == []
        assert await lines(shop, CUSTOMER) == [("Mug", 5, "held"), ("Lamp", 1, "held")]
        assert {row.held for row in await audit(shop.database)} == {5, 1}
    assert (await shop.carts.cart_of(CUSTOMER)).held_until == until


async def test_what_is_too_much_for_one_cart_goes_back(shop: Liveshop, mug: VariantId) -> None:
    async with shop.database.write() as tx:
        await tx.conn.execute(sa.update(product).values(max_per_customer=4))
    await shop.carts.add_to_cart(CUSTOMER, mug, 3, None)
    await shop.carts.add_to_cart(GUEST, mug, 3, None)
    await shop.carts.merge(GUEST, CUSTOMER)
    assert await lines(shop, CUSTOMER) == [("Mug", 4, "held")]
    assert [row.held for row in await audit(shop.database)] == [4]


async def test_a_lapsed_line_is_held_again_as_far_as_there_is_stock(
    shop: Liveshop, mug: VariantId, clock: ManualClock
) -> None:
    await shop.carts.add_to_cart(GUEST, mug, 3, None)
    clock.advance(timedelta(seconds=600))
    await shop.carts.add_to_cart(CUSTOMER, mug, 2, None)
    await shop.carts.add_to_cart(OTHER, mug, 6, None)
    await shop.carts.merge(GUEST, CUSTOMER)
    assert await lines(shop, CUSTOMER) == [("Mug", 2, "held")]
    assert [row.held for row in await audit(shop.database)] == [8]


async def test_lapsed_lines_stay_lapsed_and_are_held_together_again(
    shop: Liveshop, mug: VariantId, clock: ManualClock
) -> None:
    await shop.carts.add_to_cart(GUEST, mug, 3, None)
    await shop.carts.add_to_cart(CUSTOMER, mug, 2, None)
    clock.advance(timedelta(seconds=600))
    await shop.carts.merge(GUEST, CUSTOMER)
    assert await lines(shop, CUSTOMER) == [("Mug", 5, "lapsed")]
    await shop.carts.hold_again(CUSTOMER)
    assert await lines(shop, CUSTOMER) == [("Mug", 5, "held")]


async def test_signing_on_as_oneself_and_with_an_empty_cart_changes_nothing(
    shop: Liveshop, mug: VariantId
) -> None:
    await shop.carts.add_to_cart(CUSTOMER, mug, 2, None)
    await shop.carts.merge(CUSTOMER, CUSTOMER)
    await shop.carts.merge(GUEST, CUSTOMER)
    assert await lines(shop, CUSTOMER) == [("Mug", 2, "held")]
