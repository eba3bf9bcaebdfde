"""Signing on with a guest's token over HTTP: what the guest had comes along, once, and nothing is
lost on the way."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import builders
import pytest
from builders import Api
from checkout_builders import audit

from liveshop.app import Liveshop, wire
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import VariantId
from liveshop.promotions.wire import OrderPercentOff, PercentOff, PromotionInput
from liveshop.shows.wire import OfferInput
from liveshop.storage import Database

MOST_LINES = 5


@pytest.fixture
def wired(database_url: str, tmp_path: Path, clock: ManualClock) -> Liveshop:
    """A shop whose storefront vouches for its customers."""
    settings = builders.test_settings(
        tmp_path / "data",
        database_url=database_url,
        customers__algorithm="HS256",
        customers__key=builders.STOREFRONT_KEY,
        checkout__max_lines=MOST_LINES,
    )
    return wire(settings, Database.open(database_url, pool_size=10), None, clock)


async def variant(shop: Liveshop, title: str = "Mug", stock: int = 9, **given: Any) -> VariantId:
    made = await builders.product(shop, title=title, stock=stock, **given)
    return VariantId(made.variants[0].id)


async def add(who: Api, variant_id: str, quantity: int = 1, **more: Any) -> Any:
    body = {"variant_id": variant_id, "quantity": quantity} | more
    status, cart = await who.call("POST", "/api/cart/lines", body)
    assert status == 200, cart
    return cart


async def sign_on(who: Api, clock: ManualClock) -> Api:
    """The customer, who may have been a guest before."""
    token = builders.storefront_jwt(clock)
    status, admitted = await who.call("POST", "/api/customers/sign-on", {"token": token})
    assert status == 200, admitted
    assert admitted["viewer_id"].startswith("cus_")
    return who.with_token(admitted["token"])


async def lines(who: Api) -> list[tuple[str, int, str]]:
    status, cart = await who.call("GET", "/api/cart")
    assert status == 200, cart
    return [(line["title"], line["quantity"], line["hold"]) for line in cart["lines"]]


async def test_the_guests_cart_comes_along_and_signing_on_twice_harms_nothing(
    api: Api, shop: Liveshop, clock: ManualClock
) -> None:
    mug, lamp = await variant(shop), await variant(shop, "Lamp")
    customer = await sign_on(api, clock)
    until = (await add(customer, mug, 2))["held_until"]
    clock.advance(timedelta(seconds=60))
    guest = await api.as_guest()
    await add(guest, mug)
    await add(guest, lamp, 3)
    for _ in range(3):
        again = await sign_on(guest, clock)
        assert await lines(again) == [("Mug", 3, "held"), ("Lamp", 3, "held")]
        assert await lines(guest) == []
    status, cart = await customer.call("GET", "/api/cart")
    assert cart["held_until"] == until, "a hold is not prolonged by signing on"
    assert [row.held for row in await audit(shop.database)] == [3, 3]
    status, order = await again.order("once")
    assert (status, order["state"]) == (201, "confirmed")
    assert [(row.on_hand, row.held) for row in await audit(shop.database)] == [(6, 0), (6, 0)]


async def test_what_a_guest_adds_after_signing_on_comes_along_the_next_time(
    api: Api, shop: Liveshop, clock: ManualClock
) -> None:
    mug = await variant(shop)
    guest = await api.as_guest()
    await add(guest, mug)
    customer = await sign_on(guest, clock)
    await add(guest, mug, 2)
    assert await lines(customer) == [("Mug", 1, "held")]
    await sign_on(guest, clock)
    assert await lines(customer) == [("Mug", 3, "held")]


async def test_a_customers_own_token_merges_nothing(
    api: Api, shop: Liveshop, clock: ManualClock
) -> None:
    mug = await variant(shop)
    customer = await sign_on(api, clock)
    await add(customer, mug, 2)
    again = await sign_on(customer, clock)
    assert await lines(again) == [("Mug", 2, "held")]


async def test_what_a_full_cart_has_no_room_for_stays_with_the_guest_until_there_is(
    api: Api, shop: Liveshop, clock: ManualClock
) -> None:
    customer = await sign_on(api, clock)
    for number in range(MOST_LINES - 1):
        await add(customer, await variant(shop, f"Thing {number}"))
    guest = await api.as_guest()
    for title in ("Mug", "Lamp", "Bowl"):
        clock.advance(timedelta(seconds=1))
        await add(guest, await variant(shop, title), 2)
    for _ in range(2):
        await sign_on(guest, clock)
        assert (await lines(customer))[-1] == ("Mug", 2, "held")
        assert await lines(guest) == [("Lamp", 2, "held"), ("Bowl", 2, "held")]
    _, cart = await customer.call("GET", "/api/cart")
    for line in cart["lines"][:2]:
        await customer.call("DELETE", f"/api/cart/lines/{line['id']}")
    await sign_on(guest, clock)
    assert (await lines(customer))[2:] == [
        ("Mug", 2, "held"),
        ("Lamp", 2, "held"),
        ("Bowl", 2, "held"),
    ]
    assert await lines(guest) == []
    await audit(shop.database)


async def test_of_what_is_rationed_a_customer_has_as_much_as_he_may_and_sees_it(
    api: Api, shop: Liveshop, clock: ManualClock
) -> None:
    mug = await variant(shop, max_per_customer=4)
    lamp = await variant(shop, "Lamp", max_per_customer=1)
    customer = await sign_on(api, clock)
    await add(customer, lamp)
    assert (await customer.order("once"))[0] == 201
    await add(customer, mug, 3)
    guest = await api.as_guest()
    await add(guest, mug, 3)
    await add(guest, lamp)
    await sign_on(guest, clock)
    _, cart = await customer.call("GET", "/api/cart")
    [line] = cart["lines"]
    assert (line["title"], line["quantity"], line["max_quantity"]) == ("Mug", 4, 4)
    assert await lines(guest) == [("Lamp", 1, "held")], "he has had his one"
    held = {row.variant_id: row.held for row in await audit(shop.database)}
    assert held == {mug: 4, lamp: 1}


async def test_codes_come_along(api: Api, shop: Liveshop, clock: ManualClock) -> None:
    given = PromotionInput(
        texts={"en": "Welcome", "de": "Willkommen"},
        kind=OrderPercentOff(permille=100),
        codes=["WELCOME10"],
    )
    await shop.promotions.create_promotion(given)
    guest = await api.as_guest()
    await add(guest, await variant(shop))
    assert (await guest.call("POST", "/api/cart/codes", {"code": "WELCOME10"}))[0] == 200
    for _ in range(2):
        customer = await sign_on(guest, clock)
        _, cart = await customer.call("GET", "/api/cart")
        assert [(one["code"], one["reason"]) for one in cart["codes"]] == [("welcome10", None)]
        assert cart["goods"]["amount"] == 2520
    _, cart = await guest.call("GET", "/api/cart")
    assert cart["codes"] == []


async def test_a_limited_price_comes_along_and_is_nobody_elses(
    api: Api, shop: Liveshop, clock: ManualClock
) -> None:
    mug = await builders.product(shop, price=2000)
    clock.advance(timedelta(days=1))
    show_id = await builders.live_show(shop, [mug.id])
    offer = OfferInput(
        product_id=mug.id, kind=PercentOff(permille=250), seconds=3600, units=2, per_customer=2
    )
    await shop.offers.start_offer(show_id, offer)
    guest, other = await api.as_guest(), await api.as_guest()
    first = await add(guest, mug.variants[0].id, 2, show_id=show_id)
    assert first["goods"]["amount"] == 3000
    for _ in range(2):
        customer = await sign_on(guest, clock)
        _, cart = await customer.call("GET", "/api/cart")
        assert cart["goods"]["amount"] == 3000
    late = await add(other, mug.variants[0].id, show_id=show_id)
    assert late["goods"]["amount"] == 2000
    status, order = await customer.order("once")
    assert (status, order["total"]["amount"]) == (201, 3000 + 490)


async def test_places_in_queues_come_along_the_better_of_two(
    api: Api, shop: Liveshop, clock: ManualClock
) -> None:
    mug, lamp = await variant(shop, stock=1), await variant(shop, "Lamp", stock=1)
    holder = await api.as_guest()
    for one in (mug, lamp):
        await add(holder, one)
    customer, guest, between = await sign_on(api, clock), await api.as_guest(), await api.as_guest()
    for variant_id, queue in {mug: (guest, between, customer), lamp: (customer, guest)}.items():
        for who in queue:
            status, _ = await who.call("POST", "/api/waitlist", {"variant_id": variant_id})
            assert status == 200
            clock.advance(timedelta(seconds=1))
    for _ in range(2):
        await sign_on(guest, clock)
        _, mine = await customer.call("GET", "/api/waitlist")
        assert {one["variant_id"]: one["position"] for one in mine["places"]} == {mug: 1, lamp: 1}
        _, theirs = await guest.call("GET", "/api/waitlist")
        assert theirs["places"] == []
    _, others = await between.call("GET", "/api/waitlist")
    assert [one["position"] for one in others["places"]] == [2]


async def test_a_turn_comes_along_with_the_unit_that_is_held_for_it(
    api: Api, shop: Liveshop, clock: ManualClock
) -> None:
    mug = await variant(shop, stock=1)
    holder, guest = await api.as_guest(), await api.as_guest()
    await add(holder, mug)
    await guest.call("POST", "/api/waitlist", {"variant_id": mug})
    clock.advance(timedelta(seconds=601))
    await shop.carts.sweep()
    customer = await sign_on(guest, clock)
    _, mine = await customer.call("GET", "/api/waitlist")
    assert [one["state"] for one in mine["places"]] == ["offered"]
    status, problem = await guest.call("POST", "/api/cart/lines", {"variant_id": mug})
    assert (status, problem["code"]) == (409, "out_of_stock")
    assert (await add(customer, mug))["lines"][0]["hold"] == "held"
    assert [row.held for row in await audit(shop.database)] == [1]
