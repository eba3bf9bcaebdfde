"""A rehearsal ends while its guests buy: each of them has bought or is told why not, real buyers
notice nothing, and nothing is left."""

import asyncio
from datetime import timedelta
from typing import Any

import builders
import sqlalchemy as sa
from checkout_builders import audit, somebody_waits_for_a_lock, viewer, wish_of
from rehearsal_builders import bought, differing, everything, guest_of, rehearsed

from liveshop.app import Liveshop
from liveshop.checkout import store
from liveshop.checkout.tables import cart_line
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import VariantId
from liveshop.orders.model import Order


async def _send_nobody_away(_: str) -> None:
    return None


async def test_it_ends_while_everybody_buys(shop: Liveshop, clock: ManualClock) -> None:
    mug = await builders.product(shop, stock=100)
    variant_id = VariantId(mug.variants[0].id)
    show_id = await rehearsed(shop, [mug.id])
    guests = [await guest_of(shop, show_id) for _ in range(20)]
    ending = asyncio.Event()

    async def practises(number: int) -> Any:
        await shop.carts.add_to_cart(guests[number], variant_id, 1, show_id)
        if number == 5:
            ending.set()
        return await bought(shop, guests[number], show_id, variant_id)

    async def buys(number: int) -> Order:
        buyer = viewer(number)
        await shop.carts.add_to_cart(buyer, variant_id, 1, None)
        return await shop.orders.place_order(buyer, "k", await wish_of(shop, buyer))

    async def ends() -> None:
        await ending.wait()
        await shop.shows.change_state(show_id, "draft")

    practised = asyncio.gather(*(practises(n) for n in range(20)), return_exceptions=True)
    real = asyncio.gather(*(buys(n) for n in range(1, 11)))
    await asyncio.gather(practised, real, ends())
    failed = [one for one in practised.result() if isinstance(one, BaseException)]
    assert all(isinstance(one, ShopError) for one in failed), failed
    assert {order.state for order in real.result()} == {"confirmed"}
    assert await builders.available(shop, variant_id) == 90
    clock.advance(timedelta(seconds=31))
    await shop.shows.rehearsals.sweep(_send_nobody_away)
    rows = await audit(shop.database, [variant_id])
    assert [(row.on_hand, row.held) for row in rows] == [(90, 0)]
    found = await everything(shop)
    of_guests = {
        name: rows
        for name, rows in found.items()
        if name != "show_rehearsal" and any("reh_" in str(row) for row in rows)
    }
    assert of_guests == {}
    assert not [row for row in found["shop_order"] if str(row[0]).startswith("rho_")]
    assert differing(found, await everything(shop)) == {}


async def test_it_ends_while_a_guest_changes_his_cart(shop: Liveshop, clock: ManualClock) -> None:
    """Whoever takes away what is in a cart locks the cart first, or both wait for each other."""
    mug = await builders.product(shop)
    show_id = await rehearsed(shop, [mug.id])
    guest = await guest_of(shop, show_id)
    await shop.carts.add_to_cart(guest, VariantId(mug.variants[0].id), 1, show_id)
    async with shop.database.write() as tx:
        await store.lock(tx.conn, [guest], clock.now())
        ending = asyncio.create_task(shop.shows.change_state(show_id, "draft"))
        if not shop.database.is_sqlite:  # which has one writer
            await somebody_waits_for_a_lock(shop)
        theirs = cart_line.c.cart_id == store.cart_id_of(guest)
        await tx.conn.execute(sa.delete(cart_line).where(theirs))
    assert (await ending).state == "draft"
    assert not [rows for rows in (await everything(shop))["cart"] if "reh_" in str(rows)]
