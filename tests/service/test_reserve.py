"""Rules of a cart, and of adds that share a transaction: each keeps its own answer."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import builders
import pytest
import sqlalchemy as sa
from checkout_builders import Bank, audit, viewer, wish_of, with_bank

from liveshop.app import Liveshop
from liveshop.catalog.holds import OutOfStock
from liveshop.catalog.model import ProductDraft, UnknownVariant, VariantDraft
from liveshop.catalog.tables import product
from liveshop.checkout.model import (
    CannotExtend,
    LimitPerCustomer,
    TooMany,
    UnknownLine,
)
from liveshop.checkout.reserve import Wish
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import LineId, ProductId, ShowId, VariantId
from liveshop.kernel.money import Money
from liveshop.shows import wire as shows_wire
from liveshop.shows.model import UnknownShow

ADA, BOB, EVE = viewer(1), viewer(2), viewer(3)


@pytest.fixture
async def mug(shop: Liveshop) -> VariantId:
    return VariantId((await builders.product(shop, stock=3)).variants[0].id)


async def group(shop: Liveshop, wishes: Sequence[Wish]) -> list[Any]:
    """These wishes in one transaction, in this order."""
    return await shop.carts._reservations._write(wishes)


async def limit(shop: Liveshop, variant_id: VariantId, most: int) -> None:
    found = await shop.catalog.available([variant_id])
    assert found
    async with shop.database.write() as tx:
        await tx.conn.execute(sa.update(product).values(max_per_customer=most))


async def first_paid_show(shop: Liveshop, product_ids: Sequence[ProductId] = ()) -> ShowId:
    made = await shop.shows.create_show(
        shows_wire.ShowInput(
            title="A rush", hold_mode="first_paid", product_ids=[str(one) for one in product_ids]
        )
    )
    await shop.shows.change_state(made.id, "live")
    return made.id


# Groups


async def test_of_a_group_the_first_come_get_what_there_is_and_the_rest_are_told(
    shop: Liveshop, mug: VariantId
) -> None:
    answers = await group(
        shop, [Wish(viewer(number), 1, variant_id=mug) for number in range(10, 18)]
    )
    held = [one for one in answers if not isinstance(one, Exception)]
    assert answers[:3] == held
    assert all(cart.lines[0].hold == "held" for cart in held)
    assert {cart.lines[0].available for cart in held} == {0}
    for refused in answers[3:]:
        assert isinstance(refused, OutOfStock)
        assert refused.data == {"variant_id": mug, "available": 0}
    assert [(row.on_hand, row.held) for row in await audit(shop.database)] == [(3, 3)]


async def test_a_group_answers_each_wish_by_itself(shop: Liveshop, mug: VariantId) -> None:
    [good, unknown, many, nowhere, gone, two] = await group(
        shop,
        [
            Wish(viewer(10), 1, variant_id=mug),
            Wish(viewer(11), 1, variant_id=VariantId("var_unknown")),
            Wish(viewer(12), 21, variant_id=mug),
            Wish(viewer(13), 1, variant_id=mug, show_id=ShowId("shw_unknown")),
            Wish(viewer(14), 1, line_id=LineId("lin_unknown")),
            Wish(viewer(15), 2, variant_id=mug),
        ],
    )
    assert (good.lines[0].quantity, two.lines[0].quantity) == (1, 2)
    assert isinstance(unknown, UnknownVariant)
    assert isinstance(many, TooMany)
    assert isinstance(nowhere, UnknownShow)
    assert isinstance(gone, UnknownLine)
    for number in (11, 12, 13, 14):
        assert (await shop.carts.cart_of(viewer(number))).lines == []


async def test_who_wants_less_than_another_was_refused_still_gets_it(
    shop: Liveshop, mug: VariantId
) -> None:
    [big, small] = await group(shop, [Wish(ADA, 4, variant_id=mug), Wish(BOB, 3, variant_id=mug)])
    assert isinstance(big, OutOfStock)
    assert big.data["available"] == 3
    assert small.lines[0].hold == "held"


async def test_a_caller_who_goes_away_harms_nobody(shop: Liveshop, mug: VariantId) -> None:
    tasks = [
        asyncio.create_task(shop.carts.add_to_cart(viewer(number), mug, 1, None))
        for number in range(10, 13)
    ]
    await asyncio.sleep(0)
    tasks[1].cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(ended[1], asyncio.CancelledError)
    for one in (ended[0], ended[2]):
        assert not isinstance(one, BaseException)
        assert one.lines[0].hold == "held"
    await audit(shop.database)


async def test_a_wish_that_breaks_its_group_breaks_alone(
    shop: Liveshop, mug: VariantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    reservations = shop.carts._reservations
    write = reservations._write

    async def breaks_for_bob(wishes: Sequence[Wish]) -> Any:
        if any(one.viewer_id == BOB for one in wishes):
            raise RuntimeError("nobody foresaw this")
        return await write(wishes)

    monkeypatch.setattr(reservations, "_write", breaks_for_bob)
    ended = await asyncio.gather(
        *(shop.carts.add_to_cart(who, mug, 1, None) for who in (ADA, BOB, EVE)),
        return_exceptions=True,
    )
    assert isinstance(ended[1], RuntimeError)
    assert [one.lines[0].hold for one in (ended[0], ended[2])] == ["held", "held"]  # type: ignore[union-attr]


# Deadlines


async def test_more_of_a_line_does_not_hold_it_longer(
    shop: Liveshop, mug: VariantId, clock: ManualClock
) -> None:
    first = await shop.carts.add_to_cart(ADA, mug, 1, None)
    clock.advance(timedelta(seconds=300))
    for quantity in (3, 1, 2):
        cart = await shop.carts.set_quantity(ADA, LineId(first.lines[0].id), quantity)
        assert cart.lines[0].held_until == first.lines[0].held_until
        assert [row.held for row in await audit(shop.database)] == [quantity]
    more = await shop.carts.add_to_cart(ADA, mug, 1, None)
    assert (more.lines[0].quantity, more.held_until) == (3, first.held_until)


async def test_a_hold_is_prolonged_once_and_a_new_one_once_again(
    shop: Liveshop, mug: VariantId, clock: ManualClock
) -> None:
    cart = await shop.carts.add_to_cart(ADA, mug, 1, None)
    assert cart.can_extend
    clock.advance(timedelta(seconds=590))
    longer = await shop.carts.extend(ADA)
    assert longer.held_until == clock.now() + timedelta(seconds=600)
    assert not longer.can_extend
    with pytest.raises(CannotExtend):
        await shop.carts.extend(ADA)
    clock.advance(timedelta(seconds=600))
    lapsed = await shop.carts.cart_of(ADA)
    assert (lapsed.lines[0].hold, lapsed.can_extend) == ("lapsed", False)
    with pytest.raises(CannotExtend):
        await shop.carts.extend(ADA)
    again = await shop.carts.hold_again(ADA)
    assert (again.lines[0].hold, again.can_extend) == ("held", True)


async def test_an_empty_cart_cannot_be_prolonged(shop: Liveshop) -> None:
    with pytest.raises(CannotExtend):
        await shop.carts.extend(ADA)


async def test_a_show_holds_as_long_as_it_says(
    shop: Liveshop, mug: VariantId, clock: ManualClock
) -> None:
    made = await shop.shows.create_show(shows_wire.ShowInput(title="Slow", hold_seconds=1200))
    cart = await shop.carts.add_to_cart(ADA, mug, 1, made.id)
    assert cart.held_until == clock.now() + timedelta(seconds=1200)


# First paid, first served


async def test_where_the_first_who_pays_is_served_a_cart_holds_nothing(
    shop: Liveshop, mug: VariantId
) -> None:
    show_id = await first_paid_show(shop)
    for who in (ADA, BOB):
        cart = await shop.carts.add_to_cart(who, mug, 2, show_id)
        line = cart.lines[0]
        assert (line.hold, line.held_until, line.can_extend) == ("none", None, False)
        assert line.available == 3
    with pytest.raises(CannotExtend):
        await shop.carts.extend(ADA)
    wishes = {who: await wish_of(shop, who, show_id=show_id) for who in (ADA, BOB)}
    assert (await shop.orders.place_order(BOB, "key", wishes[BOB])).state == "confirmed"
    with pytest.raises(OutOfStock):
        await shop.orders.place_order(ADA, "key", wishes[ADA])
    assert [(row.on_hand, row.held) for row in await audit(shop.database)] == [(1, 0)]
    line = await shop.carts.set_quantity(ADA, LineId(cart_line(await shop.carts.cart_of(ADA))), 1)
    assert line.lines[0].hold == "none"
    given = await wish_of(shop, ADA, show_id=show_id)
    assert (await shop.orders.place_order(ADA, "key-2", given)).state == "confirmed"
    with pytest.raises(OutOfStock):
        await shop.carts.add_to_cart(EVE, mug, 1, show_id)


def cart_line(cart: Any) -> str:
    return str(cart.lines[0].id)


# Limits


async def test_a_customer_has_no_more_of_a_product_than_it_is_limited_to(
    shop: Liveshop, clock: ManualClock
) -> None:
    cups = await builders.product(shop, title="Cup", sizes=("S", "M"), stock=9)
    small, large = (VariantId(one.id) for one in cups.variants)
    await limit(shop, small, 3)
    cart = await shop.carts.add_to_cart(ADA, small, 1, None)
    assert cart.lines[0].max_quantity == 3
    await shop.carts.add_to_cart(ADA, large, 1, None)
    with pytest.raises(LimitPerCustomer) as refused:
        await shop.carts.add_to_cart(ADA, large, 2, None)
    assert (refused.value.data["max"], refused.value.data["bought"]) == (3, 0)
    await shop.orders.place_order(ADA, "key", await wish_of(shop, ADA))
    cart = await shop.carts.add_to_cart(ADA, small, 1, None)
    assert cart.lines[0].max_quantity == 1
    with pytest.raises(LimitPerCustomer) as refused:
        await shop.carts.set_quantity(ADA, LineId(cart.lines[0].id), 2)
    assert (refused.value.data["max"], refused.value.data["bought"]) == (3, 2)
    # Another guest with the same e-mail address is the same customer when he pays.
    await shop.carts.add_to_cart(BOB, small, 2, None)
    with pytest.raises(LimitPerCustomer):
        await shop.orders.place_order(BOB, "key", await wish_of(shop, BOB))


# Bundles


async def test_a_bundle_holds_its_parts_and_sells_them(shop: Liveshop, mug: VariantId) -> None:
    bundle = await shop.catalog.create_product(
        ProductDraft(
            title="Set",
            variants=(VariantDraft(sku="SET", price=Money(5000, "EUR"), parts=((mug, 2),)),),
        )
    )
    set_id = VariantId(bundle.product.variants[0].id)
    cart = await shop.carts.add_to_cart(ADA, set_id, 1, None)
    assert (cart.lines[0].hold, cart.lines[0].available) == ("held", 0)
    assert await builders.available(shop, mug) == 1
    with pytest.raises(OutOfStock):
        await shop.carts.add_to_cart(ADA, set_id, 1, None)
    await shop.carts.add_to_cart(ADA, mug, 1, None)
    bank = Bank()
    declined = await wish_of(shop, ADA, method="bank", card=builders.DECLINED_CARD)
    with pytest.raises(Exception, match="declined"):
        await with_bank(shop, bank).place_order(ADA, "key-1", declined)
    back = await shop.carts.cart_of(ADA)
    assert [(line.quantity, line.hold) for line in back.lines] == [(1, "held"), (1, "held")]
    order = await shop.orders.place_order(ADA, "key-2", await wish_of(shop, ADA))
    assert order.state == "confirmed"
    assert [(row.on_hand, row.held) for row in await audit(shop.database)] == [(0, 0)]
