"""A rehearsal is real to who takes part, and leaves nothing: no stock, no money, no number."""

import random
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import builders
import pytest
from checkout_builders import audit, viewer, wish_of
from order_desk_builders import STAFF
from rehearsal_builders import (
    OWN,
    bought,
    differing,
    everything,
    guest_of,
    rehearsal_of,
    rehearsed,
)

from liveshop.app import Liveshop
from liveshop.catalog.holds import OutOfStock
from liveshop.catalog.model import Product
from liveshop.checkout.model import NotInRehearsal, PaymentDeclined
from liveshop.checkout.offers import Asked
from liveshop.customers.model import is_guest
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import ShowId, VariantId, ViewerId
from liveshop.orders import search, store
from liveshop.orders import wire as orders_wire
from liveshop.orders.model import NotNow
from liveshop.payments.model import UnknownMethod
from liveshop.promotions import wire as promotions_wire
from liveshop.shows import wire as shows_wire
from liveshop.shows.model import UnknownShow, WrongState
from liveshop.web import BadToken, MoneyOut

ONE_KIND = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what is the same on both kinds of database."""


@pytest.fixture
async def mug(shop: Liveshop) -> Product:
    return await builders.product(shop, stock=5)


@pytest.fixture
def variant_id(mug: Product) -> VariantId:
    return VariantId(mug.variants[0].id)


@pytest.fixture
async def show_id(shop: Liveshop, mug: Product) -> ShowId:
    return await rehearsed(shop, [mug.id])


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
    assert [row[0] for row in left["order_counter"][1]] == [3], "of rehearsals alone"


async def test_each_side_has_its_own_stock(
    shop: Liveshop, show_id: ShowId, variant_id: VariantId
) -> None:
    guest, buyer = await guest_of(shop, show_id), viewer(1)
    await shop.carts.add_to_cart(guest, variant_id, 4, show_id)
    await shop.carts.add_to_cart(buyer, variant_id, 5, None)
    with pytest.raises(OutOfStock):
        await shop.carts.add_to_cart(viewer(2), variant_id, 1, None)
    with pytest.raises(OutOfStock) as refused:
        await shop.carts.add_to_cart(await guest_of(shop, show_id), variant_id, 2, show_id)
    assert refused.value.data["available"] == 1
    assert await builders.available(shop, variant_id) == 0
    async with shop.database.read() as conn:
        show = await shop.shows.visible(conn, show_id, builders.ALL_RIGHTS)
        (shown,) = await shop.shows.products_out(conn, show)
    assert shown.variants[0].available == 1
    cart = await shop.carts.cart_of(guest)
    assert (cart.lines[0].available, cart.lines[0].hold) == (1, "held")
    assert [one.id for one in await shop.catalog.places.all()] == [
        one.id for one in await shop.catalog.locations()
    ]
    assert len(await shop.catalog.stock_of(variant_id)) == 1
    await audit(shop.database)


async def test_orders_of_both_sides_share_a_transaction(
    shop: Liveshop, show_id: ShowId, variant_id: VariantId
) -> None:
    guest, buyer = await guest_of(shop, show_id), viewer(1)
    await shop.carts.add_to_cart(guest, variant_id, 1, show_id)
    await shop.carts.add_to_cart(buyer, variant_id, 1, None)
    wishes = [
        Asked(guest, "g", await wish_of(shop, guest, method="rehearsal", show_id=show_id)),
        Asked(buyer, "b", await wish_of(shop, buyer)),
    ]
    practised, real = await shop.orders._placing._answer(wishes)
    assert (practised.number, real.number) == ("REHEARSAL-1", f"L-{store.FIRST_NUMBER}")
    rows = await audit(shop.database, [variant_id])
    assert sorted((row.on_hand, row.held) for row in rows) == [(5, 1), (5, 1)]


@ONE_KIND
async def test_bundles_are_practised_by_their_parts(shop: Liveshop, mug: Product) -> None:
    part = VariantId(mug.variants[0].id)
    pair = await builders.bundle(shop, {part: 2})
    show_id = await rehearsed(shop, [pair.id])
    guest, whole = await guest_of(shop, show_id), VariantId(pair.variants[0].id)
    await bought(shop, guest, show_id, whole)
    with pytest.raises(OutOfStock):
        await shop.carts.add_to_cart(guest, whole, 2, show_id)
    assert await builders.available(shop, whole) == 2
    assert await builders.available(shop, part) == 5
    await audit(shop.database)


@ONE_KIND
async def test_a_show_that_holds_nothing_is_practised_as_such(
    shop: Liveshop, mug: Product, variant_id: VariantId
) -> None:
    await shop.carts.add_to_cart(viewer(1), variant_id, 5, None)  # nothing is left in the shop
    show_id = await rehearsed(shop, [mug.id], hold_mode="first_paid")
    guest = await guest_of(shop, show_id)
    with pytest.raises(OutOfStock):
        await shop.carts.add_to_cart(guest, variant_id, 1, show_id)
    await shop.carts.remove_line(viewer(1), (await shop.carts.cart_of(viewer(1))).lines[0].id)
    await shop.shows.change_state(show_id, "draft")
    await shop.shows.change_state(show_id, "rehearsal")
    guest = await guest_of(shop, show_id)
    assert (await bought(shop, guest, show_id, variant_id)).state == "confirmed"
    assert await builders.available(shop, variant_id) == 5


@ONE_KIND
async def test_only_who_takes_part_buys_in_it_and_he_buys_nothing_else(
    shop: Liveshop, show_id: ShowId, variant_id: VariantId
) -> None:
    live = await builders.live_show(shop)
    guest = await guest_of(shop, show_id)
    assert is_guest(guest)
    for buyer, where in ((viewer(1), show_id), (guest, None), (guest, live)):
        with pytest.raises(UnknownShow):
            await shop.carts.add_to_cart(buyer, variant_id, 1, where)
    with pytest.raises(NotInRehearsal):
        await shop.waitlist.join(guest, variant_id, show_id)
    token = shop.customers.new_rehearsal_guest(
        (await rehearsal_of(shop, show_id)).id, "127.0.0.1"
    ).token
    assert (await shop.customers.principal_of(token)).kind == "guest"
    await shop.shows.change_state(show_id, "draft")
    with pytest.raises(BadToken):
        await shop.customers.principal_of(token)
    with pytest.raises(UnknownShow):
        await shop.carts.add_to_cart(guest, variant_id, 1, show_id)


@ONE_KIND
async def test_a_crowd_of_thousands_comes_in_from_one_address(
    shop: Liveshop, show_id: ShowId
) -> None:
    rehearsal = await rehearsal_of(shop, show_id)
    tokens = {
        shop.customers.new_rehearsal_guest(rehearsal.id, "127.0.0.1").token for _ in range(5000)
    }
    assert len(tokens) == 5000


@ONE_KIND
async def test_nobody_is_asked_for_money(
    shop: Liveshop, show_id: ShowId, variant_id: VariantId
) -> None:
    guest, buyer = await guest_of(shop, show_id), viewer(1)
    for method in ("sandbox", "invoice"):
        with pytest.raises(UnknownMethod):
            await bought(shop, guest, show_id, variant_id, method=method)
    with pytest.raises(PaymentDeclined):
        wish = await wish_of(
            shop, guest, method="rehearsal", show_id=show_id, card=builders.DECLINED_CARD
        )
        await shop.orders.place_order(guest, "declined", wish)
    assert (await shop.carts.cart_of(guest)).lines[0].hold == "held"
    await audit(shop.database)
    await shop.carts.add_to_cart(buyer, variant_id, 1, None)
    with pytest.raises(UnknownMethod):
        await shop.orders.place_order(buyer, "k", await wish_of(shop, buyer, method="rehearsal"))
    option = (await shop.carts.quote(guest, "DE")).delivery
    assert option is not None
    assert option.payment_methods == ["rehearsal"]


@ONE_KIND
async def test_nothing_follows_from_an_order(
    shop: Liveshop, show_id: ShowId, variant_id: VariantId
) -> None:
    before = await everything(shop)
    order = await bought(shop, await guest_of(shop, show_id), show_id, variant_id)
    new = differing(before, await everything(shop))
    assert new.keys() == {
        *("cart", "hold", "order_counter", "order_event", "order_line", "payment"),
        *("sandbox_charge", "shop_order", "stock"),
    } - {"hold"}, new.keys()
    line = orders_wire.ReturnLineInput(position=0, quantity=1, reason="other")
    sent_back = orders_wire.ReturnInput(kind="by_post", lines=[line])
    for act in (
        shop.desk.cancel(order.id, STAFF, "No"),
        shop.desk.refund(order.id, "k", order.total, "No", STAFF),
        shop.desk.mark_paid(order.id, STAFF, "No"),
        shop.returns.request(order.id, sent_back, STAFF),
    ):
        with pytest.raises(NotNow, match="rehearsal"):
            await act
    async with shop.database.read() as conn:
        query = orders_wire.OrderQuery(show_id=show_id)
        assert await search.find(conn, query, 10, cursor=None) == []
        asked = orders_wire.OrderQuery(rehearsal=True)
        (found,) = await search.find(conn, asked, 10, cursor=None)
        assert found.id == order.id
        assert await store.page(conn, show_id=show_id, before=None, limit=10) == []
        assert await store.totals_of_show(conn, show_id) == (0, 0)
        assert await store.totals_of_show(conn, show_id, is_rehearsed=True) == (
            1,
            order.total.amount,
        )


@ONE_KIND
async def test_an_address_that_practised_may_still_buy_its_ration(shop: Liveshop) -> None:
    rare = await builders.product(shop, title="Rare", max_per_customer=1)
    variant_id = VariantId(rare.variants[0].id)
    show_id = await rehearsed(shop, [rare.id])
    first, second = await guest_of(shop, show_id), await guest_of(shop, show_id)
    await bought(shop, first, show_id, variant_id)
    with pytest.raises(ShopError, match="at most 1"):
        await bought(shop, second, show_id, variant_id)
    await shop.carts.add_to_cart(viewer(1), variant_id, 1, None)
    order = await shop.orders.place_order(viewer(1), "k", await wish_of(shop, viewer(1)))
    assert order.state == "confirmed"


async def limited(shop: Liveshop, **given: object) -> str:
    made = await shop.promotions.create_promotion(
        promotions_wire.PromotionInput(
            texts={"en": "Half", "de": "Halb"},
            kind=promotions_wire.PercentOff(permille=500),
            **given,  # type: ignore[arg-type]
        )
    )
    return made.promotion.id


@ONE_KIND
async def test_limited_prices_and_codes_are_not_used_up(
    shop: Liveshop, show_id: ShowId, variant_id: VariantId
) -> None:
    first = await limited(shop, limit_total=1)
    order = await bought(shop, await guest_of(shop, show_id), show_id, variant_id)
    assert order.subtotal.amount == 1400
    again = await bought(shop, await guest_of(shop, show_id), show_id, variant_id)
    assert again.subtotal.amount == 1400
    stored = await shop.promotions.promotion(first)
    assert (stored.promotion.used, stored.claimed) == (0, 0)
    await shop.promotions.change_state(first, "ended")

    coded = await limited(shop, codes=["ONCE"], limit_total=1, limit_per_customer=1)
    guest = await guest_of(shop, show_id)
    await shop.carts.add_code(guest, "ONCE")
    assert (await bought(shop, guest, show_id, variant_id)).subtotal.amount == 1400
    assert (await shop.promotions.promotion(coded)).promotion.used == 0
    await shop.carts.add_code(viewer(1), "ONCE")
    await shop.carts.add_to_cart(viewer(1), variant_id, 1, None)
    real = await shop.orders.place_order(viewer(1), "k", await wish_of(shop, viewer(1)))
    assert real.subtotal.amount == 1400


async def test_an_offer_of_a_rehearsal_counts_down_there_and_is_no_price_of_the_shop(
    shop: Liveshop, clock: ManualClock, mug: Product, variant_id: VariantId
) -> None:
    clock.advance(timedelta(days=1))
    made = await shop.shows.create_show(
        shows_wire.ShowInput(title="Soon", product_ids=[mug.id], starts_at=shop.clock.now())
    )
    show_id = made.id
    await shop.shows.change_state(show_id, "scheduled")
    await shop.carts.add_to_cart(viewer(1), variant_id, 1, show_id)  # from the show's own page
    before = await everything(shop)
    await shop.shows.change_state(show_id, "rehearsal")
    given = shows_wire.OfferInput(
        product_id=mug.id, kind=promotions_wire.PercentOff(permille=500), seconds=600, units=1
    )
    offer = await shop.offers.start_offer(show_id, given)
    first, second = await guest_of(shop, show_id), await guest_of(shop, show_id)
    assert (await bought(shop, first, show_id, variant_id)).subtotal.amount == 1400
    assert (await bought(shop, second, show_id, variant_id)).subtotal.amount == 2800
    found = await shop.offers.offers(show_id, builders.ALL_RIGHTS)
    assert [one.units_left for one in found.offers] == [0]
    page, _ = await shop.promotions.promotions(promotions_wire.PromotionQuery())
    assert offer.id not in [one.promotion.id for one in page]
    real = await shop.carts.cart_of(viewer(1))
    assert real.subtotal.amount == 2800
    clock.advance(timedelta(minutes=1))
    await limited(shop, product_ids=[mug.id])
    async with shop.database.read() as conn:
        stocked = await shop.shows._catalog.products(conn, [mug.id], shop.clock.now())
    assert stocked[0].variants[0].lowest_30_days == MoneyOut(2800, "EUR")
    await shop.shows.change_state(show_id, "scheduled")
    left = differing(before, await everything(shop))
    assert {name for name in left if name.startswith("promotion")} <= {
        "promotion",
        "promotion_version",
    }
    assert all(row[0] != offer.id for row in left["promotion"][1])


@ONE_KIND
async def test_it_ends_as_it_began(shop: Liveshop, mug: Product) -> None:
    show_id = await rehearsed(shop, [mug.id], came_from="scheduled")
    with pytest.raises(WrongState):
        await shop.shows.change_state(show_id, "draft")
    with pytest.raises(WrongState):
        await shop.shows.change_state(show_id, "ended")
    await shop.shows.pin_product(show_id, mug.id)
    live = await shop.shows.change_state(show_id, "live")
    assert (live.state, live.rehearsal, live.started_at) == ("live", None, shop.clock.now())
    async with shop.database.read() as conn:
        from_rehearsal = await everything(shop)
        assert await shop.shows.video_out(conn, live) == shows_wire.VideoState("none", None, None)
    assert from_rehearsal["show_pin"] == []


@ONE_KIND
async def test_a_crash_leaves_it_running_and_leftovers_are_swept_up(
    shop: Liveshop, clock: ManualClock, mug: Product, variant_id: VariantId
) -> None:
    """As on another node, or after a restart: nothing is kept in memory."""
    rooms: list[str] = []

    async def send_away(room: str) -> None:
        rooms.append(room)

    async def dies(_: str) -> None:
        raise ConnectionError

    rehearsals = shop.shows.rehearsals
    made = await shop.shows.create_show(shows_wire.ShowInput(title="Crashed", product_ids=[mug.id]))
    before = await everything(shop)
    shop.shows.send_away = dies
    with pytest.raises(ConnectionError):
        await shop.shows.change_state(made.id, "rehearsal")
    await rehearsals.sweep(send_away)
    await rehearsals.sweep(send_away)
    assert rooms == [made.id]
    guest = await guest_of(shop, made.id)
    await bought(shop, guest, made.id, variant_id)
    with pytest.raises(ConnectionError):
        await shop.shows.change_state(made.id, "draft")
    async with shop.database.write() as tx:  # a request that was under way
        await shop.carts.carts.locked(tx, guest, clock.now())
    await rehearsals.sweep(send_away)
    assert rooms == [made.id, made.id]
    clock.advance(timedelta(seconds=31))
    await rehearsals.sweep(send_away)
    left = differing(before, await everything(shop))
    assert left.keys() == {"show", "order_counter", "show_rehearsal"}, left
    clock.advance(timedelta(minutes=5))
    await rehearsals.sweep(send_away)
    assert "show_rehearsal" not in differing(before, await everything(shop))


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_they_do_the_shop_is_as_if_nobody_practised(
    shop: Liveshop, clock: ManualClock, mug: Product, variant_id: VariantId, seed: int
) -> None:
    """Real buyers and guests act at random: of the real side a second account is kept, which knows
    of no rehearsal."""
    chance = random.Random(seed)
    show_id = await rehearsed(shop, [mug.id])
    guests = [await guest_of(shop, show_id) for _ in range(3)]
    buyers = [viewer(number) for number in range(1, 4)]
    in_carts, sold = dict.fromkeys(buyers, 0), 0

    async def act(who: ViewerId, what: str) -> None:
        where = None if who in in_carts else show_id
        match what:
            case "add":
                await shop.carts.add_to_cart(who, variant_id, 1, where)
            case "drop":
                for line in (await shop.carts.cart_of(who)).lines:
                    await shop.carts.remove_line(who, line.id)
            case _:
                method = "sandbox" if who in in_carts else "rehearsal"
                wish = await wish_of(shop, who, method=method, show_id=where)
                wish = replace(wish, email=f"{who}@shop.example")
                await shop.orders.place_order(who, f"{chance.random()}", wish)

    for step in range(40):
        who = chance.choice([*guests, *buyers])
        what = chance.choice(["add", "add", "drop", "order"])
        with suppress(ShopError):
            await act(who, what)
            if who in in_carts:
                sold += in_carts[who] if what == "order" else 0
                in_carts[who] = in_carts[who] + 1 if what == "add" else 0
        clock.advance(timedelta(seconds=1))
        if step == 20:
            await shop.shows.change_state(show_id, "draft")
            await shop.shows.change_state(show_id, "rehearsal")
            guests = [await guest_of(shop, show_id) for _ in range(3)]
        await audit(shop.database)
        expected = 5 - sold - sum(in_carts.values())
        assert await builders.available(shop, variant_id) == expected, step


@ONE_KIND
async def test_reminders_that_come_due_in_a_rehearsal_are_sent_after_it(
    shop: Liveshop, clock: ManualClock, mug: Product
) -> None:
    made = await shop.shows.create_show(
        shows_wire.ShowInput(title="Soon", starts_at=clock.now() + timedelta(hours=2))
    )
    await shop.shows.change_state(made.id, "scheduled")
    asked = shows_wire.ReminderInput(email="ada@example.org", consent=True)
    await shop.shows.sign_up_for_reminder(made.id, asked, builders.ALL_RIGHTS)
    await shop.shows.change_state(made.id, "rehearsal")
    with pytest.raises(WrongState):
        await shop.shows.sign_up_for_reminder(made.id, asked, builders.ALL_RIGHTS)
    clock.advance(timedelta(hours=1, minutes=50))

    async def sent() -> int:
        while await shop.reminder_worker.run_due():
            pass
        return len(list(Path(shop.settings.mail.folder).glob("*.eml")))

    assert await sent() == 0
    await shop.shows.change_state(made.id, "scheduled")
    assert await sent() == 1
