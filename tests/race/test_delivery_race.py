"""Buyers who collect and buyers who get parcels want the same goods at once."""

import asyncio
from dataclasses import replace

import builders
import sqlalchemy as sa
from checkout_builders import audit, viewer, wish_of
from store_builders import store

from liveshop.app import Liveshop
from liveshop.catalog.holds import OutOfStock
from liveshop.kernel.ids import LocationId, ShowId, VariantId
from liveshop.orders.model import Order
from liveshop.orders.tables import fulfilment
from liveshop.shows import wire as shows_wire


async def two_places(shop: Liveshop) -> tuple[LocationId, LocationId]:
    """A warehouse, and a store that does not ship."""
    warehouse = await builders.location(shop, "Warehouse")
    return warehouse, (await store(shop, is_shipping=False)).id


async def an_article(shop: Liveshop, places: tuple[LocationId, ...], *stock: int) -> VariantId:
    made = await builders.product(shop, title="Cup", stock=stock, places=places)
    return VariantId(made.variants[0].id)


async def buy(
    shop: Liveshop, number: int, store_id: LocationId | None, show_id: ShowId | None = None
) -> Order:
    buyer = viewer(number)
    asked = await wish_of(shop, buyer, show_id=show_id)
    if store_id is not None:
        quote = await shop.carts.quote(buyer, "DE", "en", "pickup", store_id)
        asked = replace(asked, expected_total=quote.total, delivery="pickup", store_id=store_id)
    return await shop.orders.place_order(buyer, f"key-{number}", asked)


async def origins(shop: Liveshop, order: Order) -> set[str]:
    """Where its goods were taken from."""
    async with shop.database.read() as conn:
        found = await conn.execute(
            sa.select(fulfilment.c.location_id).where(fulfilment.c.order_id == order.id)
        )
        return set(found.scalars())


async def test_one_in_each_place_is_enough_for_a_parcel_and_a_pickup(
    nodes: list[Liveshop],
) -> None:
    """Nothing is held before, and whoever comes first takes the warehouse's: he who collects gives
    it back for the store's."""
    warehouse, berlin = await two_places(nodes[0])
    show = await nodes[0].shows.create_show(
        shows_wire.ShowInput(title="Now", hold_mode="first_paid")
    )
    await nodes[0].shows.change_state(show.id, "live")
    show_id = ShowId(show.id)
    for number in range(0, 12, 2):
        cup = await an_article(nodes[0], (warehouse, berlin), 1, 1)
        for buyer in (number, number + 1):
            await nodes[0].carts.add_to_cart(viewer(buyer), cup, 1, show_id)
        parcel, pickup = await asyncio.gather(
            buy(nodes[0], number, None, show_id), buy(nodes[1], number + 1, berlin, show_id)
        )
        assert await origins(nodes[0], parcel) == {warehouse}
        assert await origins(nodes[0], pickup) == {berlin}
        assert [row.on_hand for row in await audit(nodes[0].database, [cup])] == [0, 0]


async def test_parcels_never_leave_from_a_store_that_does_not_ship(nodes: list[Liveshop]) -> None:
    warehouse, berlin = await two_places(nodes[0])
    cup = await an_article(nodes[0], (warehouse, berlin), 7, 7)
    buyers = list(range(12))
    for number in buyers:
        await nodes[number % 2].carts.add_to_cart(viewer(number), cup, 1, None)
    ended = await asyncio.gather(
        *(buy(nodes[number % 2], number, berlin if number % 2 else None) for number in buyers),
        return_exceptions=True,
    )
    placed = [one for one in ended if isinstance(one, Order)]
    refused = [one for one in ended if isinstance(one, BaseException)]
    assert all(isinstance(one, OutOfStock) for one in refused), refused
    for order in placed:
        if order.delivery == "ship":
            assert await origins(nodes[0], order) == {warehouse}
    rows = await audit(nodes[0].database, [cup])
    assert sum(row.on_hand for row in rows) == 14 - len(placed)
    assert len(placed) >= 6, "who collects is never refused"
