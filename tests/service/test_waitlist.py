"""Waiting for what is sold out: who may, whose turn it is, and that nobody overtakes."""

import asyncio
from datetime import timedelta
from typing import Any

import builders
import pytest
from builders import Api
from checkout_builders import audit, viewer, wish_of

from liveshop.app import Liveshop
from liveshop.catalog import waiting
from liveshop.catalog.display import CatalogDisplay
from liveshop.catalog.holds import OutOfStock
from liveshop.catalog.model import UnknownVariant
from liveshop.catalog.wire import ImageLinks
from liveshop.checkout.model import AlreadyHeld, CartFull, StillAvailable, UnknownPlace
from liveshop.checkout.waitlist import WaitlistService
from liveshop.checkout.wire import Places
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import LineId, ShowId, VariantId, ViewerId
from liveshop.shows.model import UnknownShow

ADA, BOB, EVE, DAN = (viewer(number) for number in range(1, 5))
TURN = timedelta(seconds=180)


@pytest.fixture
async def mug(shop: Liveshop) -> VariantId:
    """The last one, and Ada holds it."""
    mug = VariantId((await builders.product(shop, stock=1)).variants[0].id)
    await shop.carts.add_to_cart(ADA, mug, 1, None)
    return mug


@pytest.fixture
def waitlist(shop: Liveshop) -> WaitlistService:
    display = CatalogDisplay(ImageLinks("", []), shop.carts.carts.prices)
    return WaitlistService(shop.database, shop.clock, shop.settings, display)


async def place(waitlist: WaitlistService, who: Any) -> tuple[str, int]:
    [one] = (await waitlist.places(who)).places
    return one.state, one.position


async def test_only_who_finds_nothing_there_may_wait(
    shop: Liveshop, waitlist: WaitlistService, mug: VariantId
) -> None:
    with pytest.raises(AlreadyHeld):
        await waitlist.join(ADA, mug, None)
    first = await waitlist.join(BOB, mug, None)
    again = await waitlist.join(BOB, mug, None)
    assert [one.id for one in first.places] == [one.id for one in again.places]
    lamp = VariantId((await builders.product(shop, title="Lamp", stock=2)).variants[0].id)
    with pytest.raises(StillAvailable) as refused:
        await waitlist.join(BOB, lamp, None)
    assert refused.value.data == {"available": 2}


async def test_a_unit_that_comes_back_is_the_next_ones_alone_until_his_turn_is_over(
    shop: Liveshop, waitlist: WaitlistService, mug: VariantId, clock: ManualClock
) -> None:
    for who in (BOB, EVE):
        await waitlist.join(who, mug, None)
        clock.advance(timedelta(seconds=1))
    assert [await place(waitlist, who) for who in (BOB, EVE)] == [("waiting", 1), ("waiting", 2)]
    clock.advance(timedelta(seconds=600))
    # Ada's hold has lapsed, and nobody has swept: Dan is first to ask, and still not served.
    with pytest.raises(OutOfStock):
        await shop.carts.add_to_cart(DAN, mug, 1, None)
    # Who asks in vain has served the queue: Bob's turn has begun.
    assert [(await place(waitlist, who))[0] for who in (BOB, EVE)] == ["offered", "waiting"]
    for who in (ADA, DAN, EVE):
        with pytest.raises(OutOfStock):
            await shop.carts.add_to_cart(who, mug, 1, None)
    clock.advance(TURN)
    await shop.carts.sweep()
    assert (await waitlist.places(BOB)).places == []
    assert (await place(waitlist, EVE))[0] == "offered"
    cart = await shop.carts.add_to_cart(EVE, mug, 1, None)
    assert (cart.lines[0].hold, cart.held_until) == ("held", clock.now() + timedelta(seconds=600))
    assert (await waitlist.places(EVE)).places == []
    order = await shop.orders.place_order(EVE, "key", await wish_of(shop, EVE))
    assert order.state == "confirmed"
    assert [(row.on_hand, row.held) for row in await audit(shop.database)] == [(0, 0)]


async def test_more_than_one_is_taken_with_a_turn_where_more_is_free(
    shop: Liveshop, waitlist: WaitlistService, mug: VariantId
) -> None:
    await waitlist.join(BOB, mug, None)
    [shelf] = await shop.catalog.locations()
    await shop.catalog.set_stock(mug, shelf.id, 3)
    await shop.carts.sweep()
    with pytest.raises(OutOfStock) as refused:
        await shop.carts.add_to_cart(BOB, mug, 3, None)
    assert refused.value.data["available"] == 2
    assert (await place(waitlist, BOB))[0] == "offered"
    cart = await shop.carts.add_to_cart(BOB, mug, 2, None)
    assert (cart.lines[0].quantity, cart.lines[0].hold) == (2, "held")
    assert [row.held for row in await audit(shop.database)] == [3]


async def test_what_is_taken_out_of_a_cart_goes_to_who_waits_at_once(
    shop: Liveshop, waitlist: WaitlistService, mug: VariantId
) -> None:
    await waitlist.join(BOB, mug, None)
    line_id = LineId((await shop.carts.cart_of(ADA)).lines[0].id)
    await shop.carts.remove_line(ADA, line_id)
    assert (await place(waitlist, BOB))[0] == "offered"
    with pytest.raises(OutOfStock):
        await shop.carts.add_to_cart(ADA, mug, 1, None)


async def test_who_leaves_gives_his_turn_to_the_next(
    shop: Liveshop, waitlist: WaitlistService, mug: VariantId, clock: ManualClock
) -> None:
    [his] = (await waitlist.join(BOB, mug, None)).places
    clock.advance(timedelta(seconds=1))
    await waitlist.join(EVE, mug, None)
    clock.advance(timedelta(seconds=600))
    await shop.carts.sweep()
    with pytest.raises(UnknownPlace):
        await waitlist.leave(EVE, his.id)
    await waitlist.leave(BOB, his.id)
    assert (await place(waitlist, EVE))[0] == "offered"


async def test_the_room_hears_that_a_turn_has_come(
    shop: Liveshop, waitlist: WaitlistService, mug: VariantId, clock: ManualClock
) -> None:
    show_id = await builders.live_show(shop)
    heard: list[Any] = []

    async def listen(events: list[Any]) -> None:
        heard.extend(event for event in events if event.type == "waitlist.moved")

    shop.database.publish = listen
    await waitlist.join(BOB, mug, show_id)
    clock.advance(timedelta(seconds=600))
    await shop.carts.sweep()
    assert [(event.room, event.data.variant_id) for event in heard] == [(show_id, mug)]
    assert BOB not in repr(heard), "who waits is nobody's business"


# Who comes together


async def together(
    waitlist: WaitlistService, *group: tuple[ViewerId, VariantId, ShowId | None]
) -> list[Places | BaseException]:
    return await asyncio.gather(*(waitlist.join(*one) for one in group), return_exceptions=True)


async def test_who_comes_together_stands_in_the_order_of_coming_behind_who_was_there(
    waitlist: WaitlistService, mug: VariantId, clock: ManualClock
) -> None:
    crowd = [viewer(100 + (number * 37) % 150) for number in range(150)]
    await waitlist.join(BOB, mug, None)
    clock.advance(-timedelta(seconds=30))
    answers = await together(waitlist, *((one, mug, None) for one in crowd))
    told = [one.places[0].position for one in answers if isinstance(one, Places)]
    assert told == list(range(2, 152))
    assert [await place(waitlist, one) for one in crowd] == [("waiting", n) for n in told]
    clock.advance(timedelta(seconds=630))
    await waitlist.join(EVE, mug, None)  # and Ada's hold has lapsed
    assert await place(waitlist, BOB) == ("offered", 0)
    assert await place(waitlist, crowd[0]) == ("waiting", 1)
    assert await place(waitlist, EVE) == ("waiting", 151)


async def test_a_viewer_who_comes_twice_in_a_group_has_one_place_the_first(
    waitlist: WaitlistService, mug: VariantId
) -> None:
    answers = await together(
        waitlist, *((one, mug, None) for one in (BOB, EVE, BOB, DAN, EVE, BOB))
    )
    assert [one.places[0].position for one in answers if isinstance(one, Places)] == [
        *(1, 2, 1, 3, 2, 1)
    ]
    assert all(isinstance(one, Places) and len(one.places) == 1 for one in answers)
    again = await waitlist.join(BOB, mug, None)
    assert isinstance(answers[0], Places)
    assert again.places[0].id == answers[0].places[0].id


async def test_each_of_a_group_has_its_own_answer_and_a_refusal_harms_nobody(
    shop: Liveshop, waitlist: WaitlistService, mug: VariantId
) -> None:
    lamp = VariantId((await builders.product(shop, title="Lamp", stock=2)).variants[0].id)
    bowl = VariantId((await builders.product(shop, title="Bowl", stock=0)).variants[0].id)
    show_id = await builders.live_show(shop)
    answers = await together(
        waitlist,
        (BOB, mug, show_id),
        (ADA, mug, None),
        (EVE, VariantId("var_of_nothing"), None),
        (EVE, mug, ShowId("shw_of_nobody")),
        (EVE, lamp, None),
        (DAN, mug, None),
        (DAN, bowl, None),
    )
    kinds = [Places, AlreadyHeld, UnknownVariant, UnknownShow, StillAvailable, Places, Places]
    assert [type(one) for one in answers] == kinds
    seen = [await waitlist.places(one) for one in (BOB, EVE, DAN)]
    assert [[(one.variant_id, one.position) for one in mine.places] for mine in seen] == [
        [(mug, 1)],
        [],
        [(mug, 2), (bowl, 1)],
    ]
    assert seen[0].places[0].show_id == show_id
    assert isinstance(answers[-1], Places)
    assert [one.title for one in answers[-1].places] == ["Mug", "Bowl"]


async def test_who_joins_many_queues_at_once_gets_as_many_places_as_one_may_have(
    shop: Liveshop, waitlist: WaitlistService
) -> None:
    most = shop.settings.checkout.max_lines
    product = await builders.product(
        shop, sizes=[f"S{number}" for number in range(most + 3)], stock=0
    )
    answers = await together(
        waitlist, *((BOB, VariantId(one.id), None) for one in product.variants)
    )
    assert [type(one) for one in answers] == [Places] * most + [CartFull] * 3
    assert len((await waitlist.places(BOB)).places) == most


async def test_what_nobody_foresaw_breaks_only_who_asked_for_it(
    waitlist: WaitlistService, mug: VariantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    join = waiting.join

    async def broken(conn: Any, comers: Any, *rest: Any) -> Any:
        if any(one.viewer_id == EVE for one in comers):
            raise ZeroDivisionError
        return await join(conn, comers, *rest)

    monkeypatch.setattr(waiting, "join", broken)
    answers = await together(waitlist, *((one, mug, None) for one in (BOB, EVE, DAN)))
    assert [type(one) for one in answers] == [Places, ZeroDivisionError, Places]
    assert [(await waitlist.places(one)).places == [] for one in (BOB, EVE, DAN)] == [
        *(False, True, False)
    ]


async def test_two_servers_whose_buyers_join_at_once_give_each_one_place(
    shop: Liveshop, waitlist: WaitlistService, mug: VariantId
) -> None:
    display = CatalogDisplay(ImageLinks("", []), shop.carts.carts.prices)
    second = WaitlistService(shop.database, shop.clock, shop.settings, display)
    crowd = [viewer(100 + number) for number in range(40)]
    await asyncio.gather(
        together(waitlist, *((one, mug, None) for one in crowd)),
        together(second, *((one, mug, None) for one in reversed(crowd))),
    )
    places = [await place(waitlist, one) for one in crowd]
    assert sorted(places) == [("waiting", number) for number in range(1, 41)]


async def test_the_waitlist_over_http(api: Api, mug: VariantId) -> None:
    guest = await api.as_guest()
    status, places = await guest.call("POST", "/api/waitlist", {"variant_id": mug})
    assert (status, places["places"][0]["position"]) == (200, 1)
    status, same = await guest.call("GET", "/api/waitlist")
    assert (status, same["places"]) == (200, places["places"])
    address = f"/api/waitlist/{places['places'][0]['id']}"
    status, left = await guest.call("DELETE", address)
    assert (status, left["places"]) == (200, [])
    status, problem = await guest.call("DELETE", address)
    assert (status, problem["code"]) == (404, "unknown_place")
