"""From the checkout to the till: what was bought is opened where it lies, and handed over."""

import builders
from checkout_builders import audit
from order_builders import bought, store_place
from order_desk_builders import STAFF

from liveshop.app import Liveshop
from liveshop.orders import fulfilment_store, wire


async def test_what_is_bought_to_be_collected_is_sent_to_the_store_and_handed_over(
    shop: Liveshop,
) -> None:
    warehouse = await builders.location(shop)
    store = await store_place(shop.catalog)
    mug = await builders.product(shop, title="Mug", stock=[4, 1], places=[warehouse, store])
    tray = await builders.product(shop, title="Tray", stock=[2, 1], places=[warehouse, store])
    parts = {mug.variants[0].id: 2, tray.variants[0].id: 1}
    breakfast = await builders.bundle(shop, parts)
    order = await bought(shop, {breakfast.variants[0].id: 1}, store_id=store)
    assert order.pickup_code is not None
    async with shop.database.read() as conn:
        opened = await fulfilment_store.of_order(conn, order.id)
    pieces = {(one.kind, item.title): item.pieces for one in opened for item in one.items}
    assert sum(pieces.values()) == 3
    assert pieces["pickup_in_store", "Tray"] == 1
    for one in opened:
        if one.kind == "ship_to_store":
            await shop.fulfilments.ship(one.id, STAFF, wire.ShipInput())
        await shop.fulfilments.ready(one.id, STAFF)
    done = await shop.fulfilments.collect(order.pickup_code, wire.CollectInput(), STAFF)
    assert done.collected_at is not None
    rows = await audit(shop.database, list(parts))
    assert sum(row.on_hand for row in rows) == 8 - 3


async def test_what_is_bought_to_be_sent_is_one_parcel_and_comes_back_when_called_off(
    shop: Liveshop,
) -> None:
    mug = await builders.product(shop, stock=5)
    order = await bought(shop, {mug.variants[0].id: 2})
    async with shop.database.read() as conn:
        [one] = await fulfilment_store.of_order(conn, order.id)
    assert (one.kind, one.state, one.items[0].pieces) == ("ship_from_warehouse", "open", 2)
    await shop.desk.cancel(order.id, STAFF, "No more of it")
    [row] = await audit(shop.database, [mug.variants[0].id])
    assert row.on_hand == 5
