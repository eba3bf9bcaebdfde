"""Paying in the player: known buyers, 3-D Secure over the stream, payments left open."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from e2e.conftest import Arrive
from e2e.house import House
from e2e.people import DECLINED_CARD, GOOD_CARD, Person, eventually, in_player
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

BOARD = "Eik serving board"
APRON = "Werk linen apron"
TEAPOT = "Fjord teapot"
TOTE = "Markt canvas tote"
CONFIRM_CARD = "4000000000003220"
"""The sandbox's: its bank asks the buyer."""

COUNT_TAPS = """() => {
  window.taps = 0;
  addEventListener("click", () => { window.taps += 1; }, {capture: true});
}"""

# Whether the film ever stood still for a second, went back, or was taken off the page.
WATCH_FILM = in_player("""
  const seen = {from: video.currentTime, last: video.currentTime, began: Date.now(),
    moved: Date.now(), stillFor: 0, back: 0, pauses: 0, video};
  video.addEventListener("pause", () => { seen.pauses += 1; });
  setInterval(() => {
    const now = Date.now();
    if (video.currentTime < seen.last) seen.back += 1;
    if (video.currentTime !== seen.last) seen.moved = now;
    seen.last = video.currentTime;
    seen.stillFor = Math.max(seen.stillFor, now - seen.moved);
    seen.took = (now - seen.began) / 1000;
    seen.isThere = video.isConnected;
  }, 50);
  return seen;
""")


async def _fill_cart(person: Person, house: House, title: str, *values: str) -> None:
    await person.visit(house)
    await person.open_product(title)
    await person.choose(*values)
    await person.add()


async def _buy(person: Person, house: House, title: str, *values: str) -> str:
    """The number of a first order, placed by somebody nobody knew."""
    await _fill_cart(person, house, title, *values)
    await person.go_to_checkout()
    await person.fill_address()
    await person.pay()
    return await person.order_number()


async def _wait_at_bank(person: Person, house: House, title: str, *values: str) -> None:
    """An order whose card has to be confirmed."""
    await _fill_cart(person, house, title, *values)
    await person.go_to_checkout()
    await person.fill_address()
    await person.pay(CONFIRM_CARD)
    await person.see("bank").wait_for()


async def _orders(person: Person, house: House) -> list[dict[str, Any]]:
    """Those of the shop that this person placed, by the name on them."""
    await person.page.wait_for_load_state()
    listed = await house.merchant("GET", "/api/orders?limit=100")
    return [order for order in listed["orders"] if order["email"] == "ada@shop.example"]


@pytest.mark.parametrize("size", ["390", "1440"])
async def test_a_known_buyer_is_two_taps_from_card_to_payment(
    house: House, arrive: Arrive, size: str
) -> None:
    buyer = await arrive(size)
    await _buy(buyer, house, BOARD)
    await buyer.page.reload()
    await buyer.see("tab-products").click()
    card = buyer.see("lineup-product").filter(has_text=BOARD)
    await card.scroll_into_view_if_needed()
    await buyer.page.evaluate(COUNT_TAPS)
    await card.click()
    await buyer.see("buy-now").click()
    await expect(buyer.see("pay")).to_be_enabled()
    assert await buyer.page.evaluate("window.taps") == 2
    await expect(buyer.see("pay")).to_contain_text("53.90")
    await expect(buyer.see("line-contact")).to_contain_text("Lange Reihe 12, 20099 Hamburg")
    await expect(buyer.see("line-delivery")).to_contain_text("Arrives")
    assert await buyer.axe() == []
    await buyer.pay()
    await buyer.order_number()


async def test_what_a_known_buyer_changes_is_what_is_ordered(house: House, arrive: Arrive) -> None:
    buyer = await arrive("390")
    await _buy(buyer, house, BOARD)
    await buyer.see("keep-watching").click()
    await buyer.open_product(BOARD)
    await buyer.see("buy-now").click()
    await buyer.see("change-contact").click()
    sheet = buyer.see("checkout-sheet")
    await expect(sheet.locator("[name=city]")).to_have_value("Hamburg")
    await sheet.locator("[name=city]").fill("Ahrensburg")
    await buyer.see("change-payment").click()
    await buyer.see("method-invoice").check()
    await buyer.see("pay").click()
    number = await buyer.order_number()
    order = next(o for o in await _orders(buyer, house) if o["number"] == number)
    assert (order["address"]["city"], order["payment"]["method"]) == ("Ahrensburg", "invoice")


async def test_the_film_goes_on_while_the_bank_asks(house: House, arrive: Arrive) -> None:
    buyer = await arrive("390")
    await buyer.visit(house)
    await buyer.film_runs()
    watched = await buyer.page.evaluate_handle(WATCH_FILM)
    await buyer.open_product(APRON)
    await buyer.choose("Flax")
    await buyer.add()
    await buyer.go_to_checkout()
    await buyer.fill_address()
    await buyer.pay(CONFIRM_CARD)
    await expect(buyer.see("bank").get_by_role("heading")).to_be_focused()
    assert await buyer.axe() == []
    before = (await buyer.film())["time"]
    await eventually(lambda: _is_later(buyer, before + 1.5), "the film to go on under the dialog")
    await buyer.see("bank-refuse").click()
    sheet = buyer.see("payment-sheet")
    await expect(sheet.get_by_role("alert")).to_contain_text("not confirmed")
    await buyer.see("pay").click()
    await buyer.see("bank-confirm").click()
    await buyer.order_number()
    film = await watched.evaluate("({video, ...seen}) => seen")
    assert film["isThere"], "the video was put away while its viewer paid"
    assert (film["pauses"], film["back"]) == (0, 0)
    assert film["stillFor"] < 1000, "the video stood still while its viewer paid"
    assert film["last"] - film["from"] > 0.8 * film["took"]


async def _is_later(person: Person, time: float) -> bool:
    return bool((await person.film())["time"] >= time)


async def test_declined_then_paid_in_the_same_sheet(house: House, arrive: Arrive) -> None:
    buyer = await arrive("390")
    await _fill_cart(buyer, house, TEAPOT, "Oat")
    await buyer.go_to_checkout()
    await buyer.fill_address()
    await buyer.pay(DECLINED_CARD)
    sheet = buyer.see("checkout-sheet")
    await expect(sheet.get_by_role("alert")).to_contain_text("declined")
    await buyer.pay(GOOD_CARD)
    await buyer.order_number()


async def test_a_payment_left_open_is_found_again_after_a_reload(
    house: House, arrive: Arrive
) -> None:
    buyer = await arrive("390")
    await _wait_at_bank(buyer, house, TOTE, "Natural")
    await buyer.see("bank-close").click()
    await buyer.page.keyboard.press("Escape")
    await expect(buyer.see("payment-open")).to_contain_text("not finished")
    before = len(await _orders(buyer, house))

    await buyer.page.reload()
    await expect(buyer.see("payment-open")).to_contain_text("not finished")
    assert await buyer.axe() == []
    await buyer.see("payment-continue").click()
    await buyer.see("bank-confirm").click()
    await buyer.order_number()
    await expect(buyer.see("payment-open")).to_have_count(0)
    assert len(await _orders(buyer, house)) == before, "continuing ordered again"


async def test_a_payment_left_open_can_be_dropped_and_the_cart_is_back(
    house: House, arrive: Arrive
) -> None:
    buyer = await arrive("390")
    await _wait_at_bank(buyer, house, TOTE, "Natural")
    await buyer.see("bank-close").click()
    await buyer.page.keyboard.press("Escape")
    await buyer.see("payment-drop").click()
    await expect(buyer.see("cart-line")).to_have_count(1)
    await expect(buyer.see("payment-open")).to_have_count(0)
    # It can be ordered anew, as what it is now.
    await buyer.see("checkout").click()
    await buyer.pay()
    await buyer.order_number()


async def test_a_code_in_the_store_leads_to_the_product_and_to_pickup_there(
    house: House, arrive: Arrive
) -> None:
    places = (await house.merchant("GET", "/api/locations"))["locations"]
    store = next(place for place in places if place["is_pickup"])
    product = (await house.product(BOARD))["id"]
    buyer = await arrive("390")
    await buyer.page.goto(
        f"{house.base}/s/{house.show_id}?product={product}&store={store['id']}&lang=en"
    )
    await expect(buyer.see("product-sheet").get_by_role("heading", name=BOARD)).to_be_visible()
    await expect(buyer.see("way-pickup")).to_contain_text(store["name"])
    await buyer.add()
    await buyer.go_to_checkout()
    await expect(buyer.see(f"delivery-{store['id']}")).to_be_checked()
    sheet = buyer.see("checkout-sheet")
    await expect(sheet.locator("[name=line1]")).to_have_count(0)
    await sheet.locator("[name=email]").fill("ada@shop.example")
    await sheet.locator("[name=name]").fill("Ada Example")
    await buyer.see("method-at_pickup").check()
    assert await buyer.axe() == []
    await buyer.see("pay").click()
    number = await buyer.order_number()
    await expect(buyer.see("pickup-code")).to_be_visible()
    await expect(buyer.page.get_by_text("You pay €49.00 in the store")).to_be_visible()
    await expect(buyer.see("status-link")).to_have_attribute("href", re.compile("/o/"))
    order = next(o for o in await _orders(buyer, house) if o["number"] == number)
    assert (order["delivery"], order["store_id"]) == ("pickup", store["id"])
    assert (order["total"]["amount"], order["payment"]["state"]) == (4900, "authorised")


async def test_a_promise_that_moved_is_said_before_anything_is_ordered(
    house: House, arrive: Arrive
) -> None:
    buyer = await arrive("390")

    async def too_early(route: Any) -> None:
        answer = await route.fetch()
        quote = await answer.json()
        promise = quote["delivery"]["promise"]
        promise["until"] = promise["from"]
        await route.fulfill(response=answer, json=quote)

    # A page that was opened when there was more in stock.
    await buyer.page.route("**/api/cart/quote", too_early)
    await _fill_cart(buyer, house, BOARD)
    await buyer.go_to_checkout()
    await buyer.fill_address()
    async with buyer.page.expect_response("**/api/orders") as answered:
        await buyer.pay()
    refused = await answered.value
    assert (refused.status, (await refused.json())["code"]) == (409, "promise_changed")
    await expect(buyer.see("changed")).to_contain_text("Nothing was ordered")
    await expect(buyer.see("changed")).to_contain_text("Before: Arrives")
    await buyer.page.unroute("**/api/cart/quote")
    await buyer.see("pay").click()
    await buyer.order_number()


async def test_a_payment_that_ran_out_of_time_is_said_with_the_cart(
    house: House, arrive: Arrive
) -> None:
    buyer = await arrive("390")
    await _wait_at_bank(buyer, house, TEAPOT, "Oat")
    await buyer.see("bank-close").click()
    await buyer.page.keyboard.press("Escape")
    token = await buyer.token(house)
    order = (await house.call("GET", "/api/buyer", token=token))["pending"]
    ended = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()

    async def soon(route: Any) -> None:
        answer = await route.fetch()
        known = await answer.json()
        known["pending"]["payment"]["expires_at"] = ended
        await route.fulfill(response=answer, json=known)

    async def given_up(route: Any) -> None:
        # As the server does it when the time is over.
        await house.call("POST", f"/api/orders/{order['id']}/payment/cancel", token=token)
        answer = await route.fetch()
        told = await answer.json()
        assert told["state"] == "payment_failed"
        told["payment"]["expires_at"] = ended
        await route.fulfill(response=answer, json=told)

    await buyer.page.route("**/api/buyer", soon)
    await buyer.page.route("**/payment/check", given_up)
    await buyer.page.reload()
    await expect(buyer.see("payment-open")).to_be_visible()
    await expect(buyer.see("cart")).to_contain_text("not finished in time")
    await expect(buyer.see("cart-line")).to_have_count(1)
    await expect(buyer.see("payment-open")).to_have_count(0)


async def test_a_checkout_that_could_not_be_fetched_can_be_fetched_again(
    house: House, arrive: Arrive
) -> None:
    buyer = await arrive("390")
    await buyer.page.route("**/assets/paying-*", lambda route: route.abort())
    await _fill_cart(buyer, house, BOARD)
    await buyer.see("view-cart").click()
    await buyer.see("checkout").click()
    retry = buyer.page.get_by_role("button", name="Try again")
    await expect(retry).to_be_visible()
    await buyer.page.unroute("**/assets/paying-*")
    await retry.click()
    await expect(buyer.see("total")).to_be_visible()
