"""What a buyer has stays his: when he wants less of it, and when he is refused more."""

from datetime import timedelta

import builders
import pytest
import sqlalchemy as sa
from checkout_builders import audit, viewer
from promotions_house import given, percent

from liveshop.app import Liveshop
from liveshop.catalog import holds
from liveshop.catalog.holds import OutOfStock, Wanted
from liveshop.catalog.tables import variant
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import LineId, LocationId, ShowId, VariantId
from liveshop.promotions.tables import promotion_claim
from liveshop.shows import wire as shows_wire

ADA, BOB, CARLA = viewer(1), viewer(2), viewer(3)


async def withdraw(shop: Liveshop, variant_id: VariantId) -> None:
    async with shop.database.write() as tx:
        await tx.conn.execute(
            sa.update(variant).where(variant.c.id == variant_id).values(is_active=False)
        )


async def breakfast(shop: Liveshop, **more: int) -> tuple[VariantId, list[VariantId]]:
    """A set of one cup and two saucers; the set, and its parts."""
    parts = (await builders.product(shop, title="Cup", sizes=("cup", "saucer"), stock=20)).variants
    bundle = await builders.bundle(shop, {parts[0].id: 1, parts[1].id: 2}, **more)
    return bundle.variants[0].id, [part.id for part in parts]


async def held(shop: Liveshop, variant_ids: list[VariantId]) -> list[int]:
    rows = {row.variant_id: row.held for row in await audit(shop.database, variant_ids)}
    return [rows[id_] for id_ in variant_ids]


async def test_less_of_a_set_can_be_had_when_a_part_is_not_sold_any_more(shop: Liveshop) -> None:
    bundle, parts = await breakfast(shop)
    cart = await shop.carts.add_to_cart(ADA, bundle, 3, None)
    until = cart.lines[0].held_until
    await withdraw(shop, parts[0])
    cart = await shop.carts.set_quantity(ADA, LineId(cart.lines[0].id), 1)
    assert [(line.quantity, line.hold, line.held_until) for line in cart.lines] == [
        (1, "held", until)
    ]
    assert (await shop.carts.cart_of(ADA)).lines == cart.lines
    assert await held(shop, parts) == [1, 2]


async def test_who_signs_on_with_more_of_such_a_set_than_is_allowed_keeps_what_is(
    shop: Liveshop,
) -> None:
    bundle, parts = await breakfast(shop, max_per_customer=3)
    await shop.carts.add_to_cart(ADA, bundle, 2, None)
    await shop.carts.add_to_cart(BOB, bundle, 2, None)
    await withdraw(shop, parts[1])
    await shop.carts.merge(ADA, BOB)
    cart = await shop.carts.cart_of(BOB)
    assert [(line.quantity, line.hold) for line in cart.lines] == [(3, "held")]
    assert (await shop.carts.cart_of(ADA)).lines == []
    assert await held(shop, parts) == [3, 6]


async def test_less_is_kept_on_as_few_shelves_as_can_be(shop: Liveshop) -> None:
    places = [await builders.location(shop, name, priority=1) for name in ("Shop", "Hall")]
    mug = (await builders.product(shop, stock=(2, 5), places=places)).variants[0].id
    cart = await shop.carts.add_to_cart(ADA, mug, 7, None)
    await shop.carts.set_quantity(ADA, LineId(cart.lines[0].id), 4)
    rows = {LocationId(row.location_id): row.held for row in await audit(shop.database)}
    assert rows == {places[0]: 0, places[1]: 4}


async def first_paid_from_now_on(shop: Liveshop, mug: VariantId) -> ShowId:
    show_id = await builders.live_show(shop)
    await shop.shows.change_show(show_id, shows_wire.ShowChange(hold_mode="first_paid"))
    return show_id


async def test_who_is_refused_more_by_a_show_that_holds_nothing_keeps_his_hold(
    shop: Liveshop,
) -> None:
    await shop.promotions.create_promotion(given(percent(100), limit_total=9))
    mug = (await builders.product(shop, stock=2)).variants[0].id
    before = await shop.carts.add_to_cart(ADA, mug, 1, None)
    await shop.carts.add_to_cart(BOB, mug, 1, None)
    await shop.waitlist.join(CARLA, mug, None)
    show_id = await first_paid_from_now_on(shop, mug)
    with pytest.raises(OutOfStock) as refused:
        await shop.carts.add_to_cart(ADA, mug, 1, show_id)
    assert refused.value.data["available"] == 1
    [line] = (await shop.carts.cart_of(ADA)).lines
    assert (line.quantity, line.hold) == (1, "held")
    assert line.held_until == before.lines[0].held_until
    assert line.total == before.lines[0].total
    assert [place.state for place in (await shop.waitlist.places(CARLA)).places] == ["waiting"]
    assert await held(shop, [mug]) == [2]
    async with shop.database.read() as conn:
        claimed = sa.select(promotion_claim.c.owner)
        assert before.lines[0].id in (await conn.execute(claimed)).scalars().all()


async def test_a_hold_that_is_given_up_is_offered_to_who_waits_at_once(shop: Liveshop) -> None:
    mug = (await builders.product(shop, stock=2)).variants[0].id
    await shop.carts.add_to_cart(ADA, mug, 2, None)
    await shop.waitlist.join(CARLA, mug, None)
    show_id = await first_paid_from_now_on(shop, mug)
    cart = await shop.carts.add_to_cart(ADA, mug, 1, show_id)
    assert [(line.quantity, line.hold) for line in cart.lines] == [(3, "none")]
    assert [place.state for place in (await shop.waitlist.places(CARLA)).places] == ["offered"]
    assert await held(shop, [mug]) == [1]


async def test_who_wants_more_instead_of_what_he_has_and_is_refused_keeps_it(
    shop: Liveshop, clock: ManualClock
) -> None:
    mug = (await builders.product(shop, stock=3)).variants[0].id
    now = clock.now()
    until = now + timedelta(minutes=5)
    async with shop.database.write() as tx:
        await holds.lock(tx.conn, [mug])
        await holds.take(tx.conn, [Wanted("lin_ada", mug, 2, now + timedelta(minutes=1))], now)
        answers = await holds.take_each(
            tx.conn,
            [
                Wanted("lin_ada", mug, 4, until),
                Wanted("lin_bob", mug, 2, until),
                Wanted("lin_carla", mug, 1, until),
            ],
            now,
            instead=["lin_ada"],
        )
        assert [None if one is None else one.data["available"] for one in answers] == [3, 1, None]
        found = await holds.held_by(tx.conn, ["lin_ada", "lin_bob", "lin_carla"], now)
        assert found == {"lin_ada": (2, now + timedelta(minutes=1)), "lin_carla": (1, until)}
        await holds.release(tx.conn, ["lin_carla"])
        wanted = [Wanted("lin_ada", mug, 3, until)]
        assert await holds.take_each(tx.conn, wanted, now, instead=["lin_ada"]) == [None]
        assert await holds.held_by(tx.conn, ["lin_ada"], now) == {"lin_ada": (3, until)}
    assert await held(shop, [mug]) == [3]
