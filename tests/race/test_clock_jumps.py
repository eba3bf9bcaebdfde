"""A clock that is set back or forward by hours in the middle of everything: what was promised may
end early or late, but nothing is sold twice and nobody meets an error without a reason."""

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import builders
import pytest
import sqlalchemy as sa
from builders import Api
from checkout_builders import Bank, audit, settler, viewer, wish_of, with_bank

from liveshop.app import Liveshop
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import LineId, VariantId, ViewerId
from liveshop.orders.tables import order_line, shop_order
from liveshop.payments.model import ProviderUnavailable
from liveshop.payments.reconciler import Reconciler

UNITS = 4
JUMPS = [timedelta(hours=hours) for hours in (-26, -5, -1, 1, 5, 26)]
ADA, BOB, EVE = (viewer(number) for number in range(1, 4))


@pytest.fixture
async def mug(shop: Liveshop) -> VariantId:
    return VariantId((await builders.product(shop, stock=UNITS)).variants[0].id)


async def check(shop: Liveshop) -> int:
    """Held is what holds say, and what has left the shelf is what confirmed orders are of; how
    many units that is."""
    [row] = await audit(shop.database)
    async with shop.database.read() as conn:
        ordered = await conn.scalar(
            sa.select(sa.func.coalesce(sa.func.sum(order_line.c.quantity), 0))
            .join(shop_order, shop_order.c.id == order_line.c.order_id)
            .where(shop_order.c.state == "confirmed")
        )
    assert UNITS - row.on_hand == ordered <= UNITS
    return int(ordered)


def paid_for(bank: Bank) -> int:
    """The units of all payments that stand; one costs 28.00, and each parcel 4.90."""
    kept = [key for key in bank.paid if key not in bank.refunds]
    goods = sum(bank.amounts[key].amount - 490 for key in kept)
    assert goods % 2800 == 0
    return goods // 2800


async def come_to_rest(shop: Liveshop, worker: Reconciler, bank: Bank, clock: ManualClock) -> None:
    """Once the clock goes on as it should, every payment has its goods or is given back."""
    for _ in range(20):
        clock.advance(timedelta(days=3))
        await worker.run_due()
        await shop.carts.sweep()
    assert await check(shop) == paid_for(bank)
    [row] = await audit(shop.database)
    assert row.held == 0
    if row.on_hand:
        cart = await shop.carts.add_to_cart(
            viewer(99), VariantId(row.variant_id), row.on_hand, None
        )
        assert cart.lines[0].hold == "held"


@pytest.mark.parametrize("jump", JUMPS, ids=str)
async def test_the_clock_jumps_between_cart_queue_order_and_settlement(
    shop: Liveshop, mug: VariantId, clock: ManualClock, jump: timedelta
) -> None:
    bank = Bank()
    orders = with_bank(shop, bank)
    worker = settler(shop, orders)

    async def after_a_jump(act: Callable[[], Awaitable[Any]], *, there: bool) -> Any:
        clock.advance(jump if there else -jump)
        try:
            return await act()
        except ShopError as refused:
            return refused
        finally:
            await check(shop)

    await shop.carts.add_to_cart(ADA, mug, UNITS, None)
    await after_a_jump(lambda: shop.carts.extend(ADA), there=True)
    await after_a_jump(lambda: shop.waitlist.join(BOB, mug, None), there=False)
    await after_a_jump(shop.carts.sweep, there=True)
    await after_a_jump(lambda: shop.waitlist.join(EVE, mug, None), there=False)
    await after_a_jump(lambda: shop.carts.add_to_cart(BOB, mug, 1, None), there=True)
    await after_a_jump(lambda: shop.carts.hold_again(ADA), there=False)

    async def cut_off() -> None:
        clock.advance(jump)
        raise ProviderUnavailable("the line broke")

    bank.after = cut_off
    for who in (ADA, BOB):
        if (await shop.carts.cart_of(who)).lines:
            wanted = await wish_of(shop, who, method="bank", card=None)
            await after_a_jump(
                lambda who=who, wanted=wanted: orders.place_order(who, "key", wanted),
                there=jump < timedelta(),
            )
    bank.after = None
    for _ in range(3):
        await after_a_jump(worker.run_due, there=True)
        await after_a_jump(shop.carts.sweep, there=False)
    await come_to_rest(shop, worker, bank, clock)


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_people_do_while_the_clock_jumps_about_nothing_is_oversold(
    shop: Liveshop, mug: VariantId, clock: ManualClock, seed: int
) -> None:
    chance = random.Random(seed)
    bank = Bank()
    orders = with_bank(shop, bank)
    worker = settler(shop, orders)
    people = [viewer(number) for number in range(1, 6)]
    keys = iter(range(1000))
    refusals: list[ShopError] = []

    async def order(who: ViewerId) -> None:
        card = chance.choice([builders.GOOD_CARD, builders.DECLINED_CARD])
        wanted = await wish_of(shop, who, method="bank", card=card)
        await orders.place_order(who, f"key-{next(keys)}", wanted)

    async def change(who: ViewerId) -> None:
        for line in (await shop.carts.cart_of(who)).lines:
            await shop.carts.set_quantity(who, LineId(line.id), chance.randint(1, 3))

    async def leave(who: ViewerId) -> None:
        for place in (await shop.waitlist.places(who)).places:
            await shop.waitlist.leave(who, place.id)

    acts: list[Callable[[ViewerId], Awaitable[Any]]] = [
        lambda who: shop.carts.add_to_cart(who, mug, chance.randint(1, 2), None),
        lambda who: shop.waitlist.join(who, mug, None),
        shop.carts.extend,
        shop.carts.hold_again,
        change,
        leave,
        order,
        order,
        lambda _: shop.carts.sweep(),
        lambda _: worker.run_due(),
    ]
    for _ in range(60):
        clock.advance(timedelta(seconds=chance.choice([1, 30, 200, 700])))
        if chance.random() < 0.3:
            clock.advance(chance.choice(JUMPS))
        try:
            await chance.choice(acts)(chance.choice(people))
        except ShopError as refused:
            refusals.append(refused)
        await check(shop)
        free = await builders.available(shop, mug)
        assert 0 <= free <= UNITS
    assert all(400 <= one.status < 500 and str(one) for one in refusals), refusals
    await come_to_rest(shop, worker, bank, clock)


@pytest.mark.parametrize("hours", [-30, -3, 3, 30])
async def test_over_http_a_jump_of_the_clock_is_at_worst_a_clear_refusal(
    api: Api, shop: Liveshop, mug: VariantId, clock: ManualClock, hours: int
) -> None:
    ada, bob = await api.as_guest(), await api.as_guest()
    jump = timedelta(hours=hours)
    calls: list[tuple[Api, str, str, Any]] = [
        (ada, "POST", "/api/cart/lines", {"variant_id": mug, "quantity": UNITS}),
        (bob, "POST", "/api/waitlist", {"variant_id": mug}),
        (ada, "POST", "/api/cart/extend", None),
        (bob, "POST", "/api/cart/lines", {"variant_id": mug}),
        (bob, "GET", "/api/waitlist", None),
        (ada, "POST", "/api/cart/hold", None),
        (ada, "GET", "/api/cart", None),
        (ada, "POST", "/api/cart/quote", {"country": "DE"}),
    ]
    for place, (who, method, path, body) in enumerate(calls):
        status, answer = await who.call(method, path, body)
        assert status == 200 or (status in (401, 409) and answer["detail"]), (path, answer)
        await audit(shop.database)
        clock.advance(jump if place % 2 == 0 else -jump)
    # Twice there and back: it is the hour it was, and what was held then still is.
    status, order = await ada.order("once")
    assert (status, order.get("state")) == (201, "confirmed") or order["detail"]
    [row] = await audit(shop.database)
    assert row.on_hand in (0, UNITS)
