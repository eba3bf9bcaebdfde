"""A rehearsal is real to who takes part, and leaves nothing: no stock, no money, no number."""

import builders
from checkout_builders import audit
from rehearsal_builders import (
    OWN,
    bought,
    differing,
    everything,
    guest_of,
    rehearsed,
)

from liveshop.app import Liveshop
from liveshop.kernel.ids import VariantId


async def test_nothing_is_left_of_a_rehearsal(shop: Liveshop) -> None:
    mug = await builders.product(shop, stock=5)
    show_id = await rehearsed(shop, [mug.id], came_from="scheduled")
    await shop.shows.change_state(show_id, "scheduled")
    before = await everything(shop)

    await shop.shows.change_state(show_id, "rehearsal")
    variant_id = VariantId(mug.variants[0].id)
    guest, other = await guest_of(shop, show_id), await guest_of(shop, show_id)
    await shop.shows.pin_product(show_id, mug.id)
    order = await bought(shop, guest, show_id, variant_id)
    await shop.carts.add_to_cart(other, variant_id, 2, show_id)
    assert (order.state, order.is_rehearsal, order.number) == ("confirmed", True, "REHEARSAL-1")
    during = differing(before, await everything(shop))
    assert {"shop_order", "payment", "cart_line", "hold", "show_pin"} <= during.keys()
    assert await builders.available(shop, variant_id) == 5
    await audit(shop.database)

    await shop.shows.change_state(show_id, "scheduled")
    left = differing(before, await everything(shop))
    assert left.keys() - OWN == {"show", "order_counter"}, left
