"""Locks: all take them in one order, and who waits for one counts what the other has taken."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import builders
import pytest
import sqlalchemy as sa
from checkout_builders import (
    Bank,
    audit,
    payments_of,
    somebody_waits_for_a_lock,
    viewer,
    wish_of,
    with_bank,
)
from promotions_house import given, percent
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.app import Liveshop
from liveshop.checkout.model import LimitPerCustomer, PaymentDeclined
from liveshop.checkout.place import PlaceOrder
from liveshop.kernel.clock import ManualClock
from liveshop.orders import store as orders
from liveshop.promotions import claim_store
from liveshop.promotions.model import PromotionId
from liveshop.promotions.tables import promotion, promotion_claim

ADA, BOB = viewer(1), viewer(2)


async def two_limited(shop: Liveshop, clock: ManualClock) -> list[PromotionId]:
    """In the order of their ids; the second takes off more, so that carts use it alone."""
    made = []
    for permille, priority in ((10, 0), (100, 1)):
        wanted = given(percent(permille), stacking="exclusive", priority=priority, limit_total=100)
        made.append((await shop.promotions.create_promotion(wanted)).promotion.id)
        clock.advance(timedelta(seconds=1))
    assert made == sorted(made)
    return made


async def taken(shop: Liveshop, promotion_ids: list[PromotionId]) -> list[tuple[int, int]]:
    """What orders use, and carts claim, of each."""
    claimed = sa.func.coalesce(sa.func.sum(promotion_claim.c.units), 0)
    found = []
    async with shop.database.read() as conn:
        for id_ in promotion_ids:
            used = await conn.scalar(sa.select(promotion.c.used).where(promotion.c.id == id_))
            units = await conn.scalar(
                sa.select(claimed).where(promotion_claim.c.promotion_id == id_)
            )
            found.append((used or 0, units or 0))
    return found


async def test_a_declined_payment_locks_promotions_in_the_order_everybody_does(
    shop: Liveshop, clock: ManualClock
) -> None:
    """Its order used the second of two, and the cart that comes back may claim both: somebody who
    has the first and waits for the second must not be waited for in turn."""
    mug = (await builders.product(shop)).variants[0].id
    first, second = await two_limited(shop, clock)
    asked, answer = asyncio.Event(), asyncio.Event()

    async def think() -> None:
        asked.set()
        await answer.wait()

    bank = Bank(before=think)
    till = with_bank(shop, bank)
    await shop.carts.add_to_cart(ADA, mug, 1, None)
    wish = await wish_of(shop, ADA, method="bank", card=builders.DECLINED_CARD)
    paying = asyncio.create_task(till.place_order(ADA, "key", wish))
    async with asyncio.timeout(20):
        await asked.wait()
        assert await taken(shop, [first, second]) == [(0, 0), (1, 0)]
        async with shop.database.write() as tx:
            await claim_store.lock_rows(tx.conn, [first])
            answer.set()
            if not shop.database.is_sqlite:
                await somebody_waits_for_a_lock(shop)
            await claim_store.lock_rows(tx.conn, [second])
        with pytest.raises(PaymentDeclined):
            await paying
    assert await taken(shop, [first, second]) == [(0, 0), (0, 1)]
    assert [line.hold for line in (await shop.carts.cart_of(ADA)).lines] == ["held"]


async def test_what_a_declined_order_used_is_there_for_the_cart_that_comes_back(
    shop: Liveshop,
) -> None:
    mug = (await builders.product(shop)).variants[0].id
    made = await shop.promotions.create_promotion(given(percent(100), limit_total=1))
    cart = await shop.carts.add_to_cart(ADA, mug, 1, None)
    for number in range(2):
        wish = await wish_of(shop, ADA, card=builders.DECLINED_CARD)
        with pytest.raises(PaymentDeclined):
            await shop.orders.place_order(ADA, f"key-{number}", wish)
        assert await taken(shop, [made.promotion.id]) == [(0, 1)]
        assert (await shop.carts.cart_of(ADA)).goods == cart.goods


async def test_one_address_cannot_order_two_variants_of_a_rationed_product_at_once(
    shop: Liveshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two guests: neither cart nor stock in common."""
    cup = await builders.product(shop, title="Cup", sizes=("S", "L"), max_per_customer=1)
    wishes = {}
    for who, variant, email in zip(
        (ADA, BOB), cup.variants, ("ada@example.org", "Ada@example.org"), strict=True
    ):
        await shop.carts.add_to_cart(who, variant.id, 1, None)
        wishes[who] = replace(await wish_of(shop, who), email=email)
    is_counted, go_on = asyncio.Event(), asyncio.Event()
    add = orders.add_all

    async def add_late(conn: AsyncConnection, new: Sequence[orders.New]) -> None:
        if new[0].order.viewer_id == ADA:
            is_counted.set()
            await go_on.wait()
        await add(conn, new)

    monkeypatch.setattr(orders, "add_all", add_late)
    # Of one server, orders that come together are written one after the other.
    elsewhere = PlaceOrder(
        shop.database,
        shop.clock,
        shop.settings,
        shop.carts,
        payments_of(shop, *shop.orders.providers),
    )
    hers = asyncio.create_task(shop.orders.place_order(ADA, "key", wishes[ADA]))
    async with asyncio.timeout(20):
        await is_counted.wait()
        his = asyncio.create_task(elsewhere.place_order(BOB, "key", wishes[BOB]))
        if not shop.database.is_sqlite:
            await somebody_waits_for_a_lock(shop)
        go_on.set()
        assert (await hers).state == "confirmed"
        with pytest.raises(LimitPerCustomer) as refused:
            await his
    assert (refused.value.data["max"], refused.value.data["bought"]) == (1, 1)
    assert sum(row.on_hand for row in await audit(shop.database)) == 9
