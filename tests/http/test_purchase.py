"""A purchase over HTTP: paid once, exactly the total the screen said, from stock that was there."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import builders
import pytest
from builders import Api

from liveshop.app import Liveshop, wire
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import VariantId, ViewerId
from liveshop.storage import Database


@pytest.fixture
async def mug(shop: Liveshop) -> str:
    return (await builders.product(shop, stock=3)).variants[0].id


async def add(guest: Api, variant_id: str, quantity: int = 1) -> Any:
    status, cart = await guest.call(
        "POST", "/api/cart/lines", {"variant_id": variant_id, "quantity": quantity}
    )
    assert status == 200, cart
    return cart


async def test_what_is_in_a_cart_is_held_and_a_purchase_takes_it_off_the_shelf(
    api: Api, shop: Liveshop, mug: str
) -> None:
    guest = await api.as_guest()
    cart = await add(guest, mug, 2)
    assert cart["subtotal"] == {"amount": 5600, "currency": "EUR"}
    assert cart["lines"][0]["hold"] == "held"
    assert await builders.available(shop, VariantId(mug)) == 1
    status, order = await guest.order("key-1")
    assert (status, order["state"], order["payment"]["state"]) == (201, "confirmed", "paid")
    assert order["number"] == "L-100001"
    assert order["total"] == {"amount": 5600 + 490, "currency": "EUR"}
    levels = await shop.catalog.stock_of(mug)
    assert [(level.on_hand, level.held) for level in levels] == [(1, 0)]
    status, empty = await guest.call("GET", "/api/cart")
    assert empty["lines"] == []


async def test_the_same_key_places_one_order(api: Api, shop: Liveshop, mug: str) -> None:
    guest = await api.as_guest()
    await add(guest, mug)
    total = {"amount": 2800 + 490, "currency": "EUR"}
    first = await guest.order("key-1", expected_total=total)
    again = await guest.order("key-1", expected_total=total)
    assert first[0] == again[0] == 201
    assert first[1]["id"] == again[1]["id"]
    assert await builders.available(shop, VariantId(mug)) == 2


async def test_a_key_is_not_for_another_order(api: Api, mug: str) -> None:
    guest = await api.as_guest()
    await add(guest, mug)
    assert (await guest.order("key-1"))[0] == 201
    await add(guest, mug)
    status, problem = await guest.order("key-1", expected_total={"amount": 1, "currency": "EUR"})
    assert (status, problem["code"]) == (422, "idempotency_key_reused")


async def test_a_stale_total_places_nothing_and_says_what_it_would_be_now(
    api: Api, shop: Liveshop, mug: str
) -> None:
    guest = await api.as_guest()
    await add(guest, mug)
    status, problem = await guest.order("key-1", expected_total={"amount": 2800, "currency": "EUR"})
    assert (status, problem["code"]) == (409, "price_changed")
    assert problem["data"]["quote"]["total"] == {"amount": 3290, "currency": "EUR"}
    status, cart = await guest.call("GET", "/api/cart")
    assert cart["lines"][0]["hold"] == "held"
    assert (await guest.order("key-1", expected_total=problem["data"]["quote"]["total"]))[0] == 201


async def test_a_total_in_another_currency_is_another_total(api: Api, mug: str) -> None:
    guest = await api.as_guest()
    await add(guest, mug)
    status, problem = await guest.order("key-1", expected_total={"amount": 3290, "currency": "USD"})
    assert (status, problem["code"]) == (409, "price_changed")


async def test_a_declined_card_gives_the_cart_back_with_its_holds(
    api: Api, shop: Liveshop, mug: str
) -> None:
    guest = await api.as_guest()
    await add(guest, mug, 3)
    for _ in range(2):
        status, problem = await guest.order(
            "key-1",
            card=builders.DECLINED_CARD,
            expected_total={"amount": 8400 + 490, "currency": "EUR"},
        )
        assert (status, problem["code"]) == (402, "payment_declined")
    status, cart = await guest.call("GET", "/api/cart")
    assert [(line["quantity"], line["hold"]) for line in cart["lines"]] == [(3, "held")]
    assert await builders.available(shop, VariantId(mug)) == 0
    assert (await guest.order("key-2"))[0] == 201
    levels = await shop.catalog.stock_of(mug)
    assert [(level.on_hand, level.held) for level in levels] == [(0, 0)]


async def test_a_real_card_number_is_refused_before_anything_is_placed(api: Api, mug: str) -> None:
    guest = await api.as_guest()
    await add(guest, mug)
    status, problem = await guest.order("key-1", card="4111 1111 1111 1111")
    assert (status, problem["code"]) == (422, "bad_payment_input")
    assert "4111" not in str(problem)


async def test_an_invoice_order_stands_unpaid(api: Api, mug: str) -> None:
    guest = await api.as_guest()
    await add(guest, mug)
    status, order = await guest.order("key-1", method="invoice", card=None)
    assert (status, order["payment"]["state"]) == (201, "authorised")


async def test_a_hold_lapses_by_itself_though_nobody_sweeps(
    shop: Liveshop, clock: ManualClock, mug: str
) -> None:
    first, second = ViewerId("gst_" + "1" * 26), ViewerId("gst_" + "2" * 26)
    await shop.carts.add_to_cart(first, VariantId(mug), 3, None)
    assert await builders.available(shop, VariantId(mug)) == 0
    clock.advance(timedelta(seconds=600))
    assert await builders.available(shop, VariantId(mug)) == 3
    assert (await shop.carts.cart_of(first)).lines[0].hold == "lapsed"
    cart = await shop.carts.add_to_cart(second, VariantId(mug), 2, None)
    assert cart.lines[0].hold == "held"
    assert await builders.available(shop, VariantId(mug)) == 1


async def test_a_hold_can_be_prolonged_as_often_as_the_shop_says_and_others_wait(
    api: Api, shop: Liveshop, clock: ManualClock, mug: str
) -> None:
    ada, bob = await api.as_guest(), await api.as_guest()
    status, problem = await ada.call("POST", "/api/cart/extend")
    assert (status, problem["code"]) == (409, "cannot_extend")
    cart = await add(ada, mug, 3)
    _, told = await api.call("GET", "/api/shop")
    assert (cart["can_extend"], told["hold_extensions"]) == (True, 1)
    clock.advance(timedelta(seconds=590))
    status, cart = await ada.call("POST", "/api/cart/extend")
    assert status == 200, cart
    until = clock.now() + timedelta(seconds=600)
    assert datetime.fromisoformat(cart["held_until"]) == until
    assert (cart["can_extend"], cart["lines"][0]["can_extend"]) == (False, False)
    clock.advance(timedelta(seconds=590))
    status, problem = await bob.call("POST", "/api/cart/lines", {"variant_id": mug})
    assert (status, problem["code"]) == (409, "out_of_stock")
    status, problem = await ada.call("POST", "/api/cart/extend")
    assert (status, problem["code"]) == (409, "cannot_extend")
    clock.advance(timedelta(seconds=10))
    await add(bob, mug, 3)
    status, lapsed = await ada.call("GET", "/api/cart")
    assert (lapsed["lines"][0]["hold"], lapsed["can_extend"]) == ("lapsed", False)
    status, problem = await ada.call("POST", "/api/cart/extend")
    assert (status, problem["code"]) == (409, "cannot_extend")
    levels = await shop.catalog.stock_of(mug)
    assert [(level.on_hand, level.held) for level in levels] == [(3, 3)]


async def test_a_hold_that_was_taken_anew_can_be_prolonged_anew(
    api: Api, clock: ManualClock, mug: str
) -> None:
    ada = await api.as_guest()
    await add(ada, mug)
    assert (await ada.call("POST", "/api/cart/extend"))[0] == 200
    clock.advance(timedelta(seconds=601))
    status, cart = await ada.call("POST", "/api/cart/hold")
    assert (status, cart["can_extend"]) == (200, True)
    assert (await ada.call("POST", "/api/cart/extend"))[0] == 200


async def test_a_lapsed_hold_is_taken_again_if_there_is_stock(
    api: Api, shop: Liveshop, clock: ManualClock, mug: str
) -> None:
    first, second = await api.as_guest(), await api.as_guest()
    await add(first, mug, 2)
    clock.advance(timedelta(seconds=601))
    status, cart = await first.call("POST", "/api/cart/hold")
    assert (status, cart["lines"][0]["hold"]) == (200, "held")
    clock.advance(timedelta(seconds=601))
    await add(second, mug, 2)
    status, problem = await first.call("POST", "/api/cart/hold")
    assert (status, problem["code"], problem["data"]["available"]) == (409, "out_of_stock", 1)
    status, problem = await first.order("key-1")
    assert (status, problem["code"]) == (409, "out_of_stock")


async def test_more_than_there_is_is_refused_and_the_cart_stays_as_it_was(
    api: Api, shop: Liveshop, mug: str
) -> None:
    guest = await api.as_guest()
    cart = await add(guest, mug, 2)
    line = cart["lines"][0]["id"]
    status, problem = await guest.call("PATCH", f"/api/cart/lines/{line}", {"quantity": 4})
    assert (status, problem["data"]["available"]) == (409, 3)
    status, cart = await guest.call("GET", "/api/cart")
    assert [(one["quantity"], one["hold"]) for one in cart["lines"]] == [(2, "held")]
    assert await builders.available(shop, VariantId(mug)) == 1


async def test_stock_is_taken_from_several_locations_when_no_single_one_has_enough(
    api: Api, shop: Liveshop
) -> None:
    places = [await builders.location(shop, "A"), await builders.location(shop, "B", priority=2)]
    lamp = await builders.product(shop, title="Lamp", stock=(2, 3), places=places)
    guest = await api.as_guest()
    await add(guest, lamp.variants[0].id, 4)
    levels = await shop.catalog.stock_of(lamp.variants[0].id)
    assert [(level.on_hand, level.held) for level in levels] == [(2, 2), (3, 2)]
    assert (await guest.order("key-1"))[0] == 201
    levels = await shop.catalog.stock_of(lamp.variants[0].id)
    assert [(level.on_hand, level.held) for level in levels] == [(0, 0), (1, 0)]


async def test_another_viewers_cart_and_order_are_nobodys_business(api: Api, mug: str) -> None:
    mine, yours = await api.as_guest(), await api.as_guest()
    cart = await add(mine, mug)
    line = cart["lines"][0]["id"]
    assert (await yours.call("DELETE", f"/api/cart/lines/{line}"))[0] == 404
    assert (await yours.call("PATCH", f"/api/cart/lines/{line}", {"quantity": 2}))[0] == 404
    _, order = await mine.order("key-1")
    assert (await yours.call("GET", f"/api/orders/{order['id']}"))[0] == 404
    assert (await mine.call("GET", f"/api/orders/{order['id']}"))[0] == 200


async def test_quantities_that_are_no_quantities_are_refused_in_words(api: Api, mug: str) -> None:
    guest = await api.as_guest()
    for quantity in (0, -1, 1.5, 10**12, "2", None, True):
        status, problem = await guest.call(
            "POST", "/api/cart/lines", {"variant_id": mug, "quantity": quantity}
        )
        assert status == 422, (quantity, problem)
        assert problem["code"] == "invalid"
    status, problem = await guest.call(
        "POST", "/api/cart/lines", {"variant_id": mug, "quantity": 21}
    )
    assert (status, problem["code"]) == (422, "too_many")


async def test_a_country_we_do_not_deliver_to_is_named(api: Api, mug: str) -> None:
    guest = await api.as_guest()
    await add(guest, mug)
    status, problem = await guest.call("POST", "/api/cart/quote", {"country": "NZ"})
    assert (status, problem["code"]) == (422, "not_delivered")
    assert problem["data"]["countries"] == ["AT", "DE"]


async def test_the_room_hears_a_first_name_and_a_product_only(
    api: Api, shop: Liveshop, mug: str
) -> None:
    show_id = await builders.live_show(shop)
    heard = []
    publish = shop.database.publish

    async def listen(events: list[Any]) -> None:
        heard.extend(events)
        await publish(events)

    shop.database.publish = listen
    guest = await api.as_guest()
    await add(guest, mug)
    assert (await guest.order("key-1", show_id=show_id))[0] == 201
    placed = [event for event in heard if event.type == "order.placed"]
    assert [event.room for event in placed] == [show_id]
    assert placed[0].data.first_name == "Ada"
    assert "Example" not in repr(placed[0])


async def test_a_quote_explains_itself_in_words_that_add_up(
    api: Api, shop: Liveshop, mug: str
) -> None:
    book = await builders.product(shop, title="Book", price=1990, tax_class="reduced")
    guest = await api.as_guest()
    await add(guest, mug, 2)
    await add(guest, book.variants[0].id)
    for language, shipping in (("en", "shipping to Germany"), ("de", "Versand (Deutschland)")):
        status, quote = await guest.call(
            "POST", "/api/cart/quote", {"country": "DE", "language": language}
        )
        assert status == 200, quote
        steps = quote["explanation"]
        assert sum(step["amount"]["amount"] for step in steps) == quote["total"]["amount"]
        assert shipping in [step["text"] for step in steps]
        assert len([step for step in steps if step["amount"]["amount"] == 0]) == 2  # tax inside


async def test_an_article_the_screen_did_not_show_is_not_bought_though_the_total_fits(
    api: Api, shop: Liveshop
) -> None:
    cups = await builders.product(shop, title="Cup", sizes=("S", "M"), stock=3)
    guest = await api.as_guest()
    await add(guest, cups.variants[0].id)
    _, quote = await guest.call("POST", "/api/cart/quote", {"country": "DE"})
    shown = [{"variant_id": one["variant_id"], "quantity": 1} for one in quote["lines"]]
    _, cart = await guest.call("GET", "/api/cart")
    await guest.call("DELETE", f"/api/cart/lines/{cart['lines'][0]['id']}")  # in another tab
    await add(guest, cups.variants[1].id)
    status, problem = await guest.order(
        "key-1", expected_total=quote["total"], expected_lines=shown
    )
    assert (status, problem["code"]) == (409, "cart_changed")
    now = problem["data"]["quote"]
    shown = [{"variant_id": one["variant_id"], "quantity": 1} for one in now["lines"]]
    status, order = await guest.order("key-1", expected_total=now["total"], expected_lines=shown)
    assert (status, order["lines"][0]["variant_id"]) == (201, cups.variants[1].id)


async def test_a_repeated_request_without_the_card_still_finds_its_order(
    api: Api, shop: Liveshop, mug: str
) -> None:
    guest = await api.as_guest()
    await add(guest, mug)
    total = {"amount": 2800 + 490, "currency": "EUR"}
    _, order = await guest.order("key-1", expected_total=total)
    status, again = await guest.order("key-1", expected_total=total, card=None)
    assert (status, again["id"]) == (201, order["id"])


async def test_new_guests_do_not_get_around_the_limits_of_an_address(
    database_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    settings = builders.test_settings(
        tmp_path, database_url=database_url, checkout__adds_per_minute=3
    )
    shop = await asyncio.to_thread(wire, settings, Database.open(database_url), None, clock)
    mug = (await builders.product(shop, stock=9)).variants[0].id
    api = await builders.api_of(shop)
    for _ in range(3):
        await add(await api.as_guest(), mug)
    status, problem = await (await api.as_guest()).call(
        "POST", "/api/cart/lines", {"variant_id": mug}
    )
    assert (status, problem["code"]) == (429, "rate_limited")
    assert problem["retry_after"] > 0
    clock.advance(timedelta(seconds=21))
    await add(await api.as_guest(), mug)
    await api.client.close()
    await shop.syndication.close()
    await asyncio.to_thread(shop.media.close)
    await shop.database.close()
