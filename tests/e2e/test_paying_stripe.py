"""Stripe's Payment Element in the player. Stripe.js is Stripe's own and is not here: this stands in
for it, with what its documentation says of it. Behind it the sandbox takes the place of the bank.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from e2e.house import House
from e2e.people import SIZES, Person, eventually
from playwright.async_api import Browser, Route, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

BOARD = "Eik serving board"
SCRIPT = "https://js.stripe.com/v3/"
OPTIONS = {
    "publishable_key": "pk_test_of_nobody",
    "script": SCRIPT,
    "capture_method": "automatic",
    "method_types": "",
}

# Elements must stand in the light DOM, need the amount in minor units, and are handed in before an
# order is placed. The first card is declined; the second one is confirmed by its bank.
STRIPE_JS = """
window.calls = [];
window.Stripe = (key) => ({
  elements(options) {
    calls.push({call: "elements", key, options});
    let submitted = false;
    return {
      update: (changes) => calls.push({call: "update", options: changes}),
      submit: async () => {
        const value = document.querySelector("[data-fake]").value;
        submitted = value !== "";
        return submitted ? {} : {error: {type: "validation_error", message: "Card is incomplete."}};
      },
      create: (kind) => {
        const heard = {};
        return {
          on: (event, handler) => { heard[event] = handler; },
          mount(where) {
            if (where.getRootNode() !== document) {
              throw new Error("Elements cannot be mounted in a ShadowRoot.");
            }
            where.innerHTML = '<input data-fake aria-label="Card at Stripe">';
            setTimeout(() => heard.ready?.({}), 20);
          },
          destroy: () => document.querySelector("[data-fake]")?.remove(),
        };
      },
      isReady: () => submitted,
    };
  },
  async confirmPayment({elements, clientSecret, redirect, confirmParams}) {
    const dialog = document.querySelector("liveshop-show").shadowRoot.querySelector("dialog");
    calls.push({call: "confirm", clientSecret, redirect, return_url: confirmParams.return_url,
      isReady: elements.isReady(), isModal: dialog?.matches(":modal") ?? false});
    if (calls.filter((one) => one.call === "confirm").length === 1) {
      return {error: {type: "card_error", message: "Your card was declined by its bank."}};
    }
    await fetch("https://js.stripe.com/confirmed");
    return {paymentIntent: {status: "succeeded"}};
  },
});
"""


@pytest_asyncio.fixture(loop_scope="session")
async def buyer(browser: Browser) -> AsyncIterator[Person]:
    """Somebody whose page lets Stripe in, as its shop has to."""
    context = await browser.new_context(
        viewport=SIZES["390"], locale="en-GB", is_mobile=True, has_touch=True, bypass_csp=True
    )
    person = Person(context, await context.new_page())
    yield person
    await person.leave()
    assert not person.troubles, person.troubles


async def _let_stripe_in(person: Person, house: House) -> list[str]:
    """The shop offers Stripe; orders placed with it are answered by the sandbox's bank."""
    ids: list[str] = []

    async def shop(route: Route) -> None:
        answer = await route.fetch()
        told = await answer.json()
        method = {"id": "stripe", "test": False, "deliveries": ["ship"], "options": OPTIONS}
        told["payment_methods"].insert(0, method)
        await route.fulfill(response=answer, json=told)

    async def delivery(route: Route) -> None:
        answer = await route.fetch()
        told = await answer.json()
        for option in told["options"] if "options" in told else [told["delivery"]]:
            option["payment_methods"].insert(0, "stripe")
        await route.fulfill(response=answer, json=told)

    async def order(route: Route) -> None:
        wish = route.request.post_data_json
        assert wish["payment"] == {"method": "stripe"}
        wish["payment"] = {"method": "sandbox", "card_number": "4000000000003220"}
        answer = await route.fetch(post_data=json.dumps(wish))
        told = await answer.json()
        ids.append(told["id"])
        told["payment"]["method"] = "stripe"
        await route.fulfill(response=answer, json=told)

    async def stripe(route: Route) -> None:
        headers = {"Access-Control-Allow-Origin": "*"}
        if route.request.url == SCRIPT:
            await route.fulfill(body=STRIPE_JS, content_type="text/javascript", headers=headers)
            return
        await house.call(
            "POST",
            f"/api/orders/{ids[-1]}/payment/sandbox",
            {"outcome": "succeed"},
            token=await person.token(house),
        )
        await route.fulfill(body="", headers=headers)

    page = person.page
    await page.route("**/api/shop", shop)
    await page.route("**/api/cart/delivery", delivery)
    await page.route("**/api/cart/quote", delivery)
    await page.route("**/api/orders", order)
    await page.route("https://js.stripe.com/**", stripe)
    return ids


async def _calls(person: Person, name: str) -> list[dict[str, Any]]:
    return list(
        await person.page.evaluate("(name) => calls.filter((one) => one.call === name)", name)
    )


@pytest.mark.parametrize("mode", ["inline", "button"])
async def test_a_card_is_typed_before_the_order_and_tried_again_in_place(
    house: House, buyer: Person, mode: str
) -> None:
    ids = await _let_stripe_in(buyer, house)
    await buyer.page.goto(house.storefront)
    await buyer.embed(mode=mode)
    if mode == "button":
        await buyer.page.locator("liveshop-show .pill").click()
    await buyer.page.locator("ls-player").wait_for()
    await buyer.open_product(BOARD)
    await buyer.add()
    await buyer.go_to_checkout()
    await buyer.fill_address()
    card = buyer.page.get_by_label("Card at Stripe")
    await expect(card).to_be_visible()
    made = await _calls(buyer, "elements")
    assert [one["key"] for one in made] == ["pk_test_of_nobody"]
    asked = made[0]["options"]
    assert (asked["mode"], asked["amount"], asked["currency"]) == ("payment", 5390, "eur")
    assert asked["captureMethod"] == "automatic"

    await buyer.see("pay").click()
    checkout = buyer.see("checkout-sheet")
    await expect(checkout.get_by_role("alert")).to_contain_text("Card is incomplete")
    assert ids == [], "an order was placed with nothing to pay it"

    await card.fill("a card that its bank declines")
    await buyer.see("pay").click()
    sheet = buyer.see("payment-sheet")
    await expect(sheet.get_by_role("alert")).to_contain_text("declined by its bank")
    assert (mode == "button") == await buyer.page.evaluate(
        """() => !!document.querySelector("liveshop-show").shadowRoot
             .querySelector("dialog")?.matches(":modal")"""
    )
    await expect(card).to_have_value("a card that its bank declines")
    await card.fill("a better card")
    await buyer.see("pay").click()
    await buyer.order_number()
    first, second = await _calls(buyer, "confirm")
    for confirm in (first, second):
        assert confirm["redirect"] == "if_required"
        assert confirm["isReady"], "the fields were not handed in before"
        assert not confirm["isModal"], "a modal dialog lies over 3-D Secure"
        assert f"liveshop_order={ids[0]}" in confirm["return_url"]
    assert first["clientSecret"] == second["clientSecret"]
    assert len(ids) == 1, "trying another card ordered again"
    await expect(card).to_have_count(0)


async def test_who_comes_back_from_a_bank_of_its_own_page_sees_the_order(
    house: House, buyer: Person
) -> None:
    await buyer.visit(house)
    await buyer.open_product(BOARD)
    await buyer.add()
    await buyer.go_to_checkout()
    await buyer.fill_address()
    await buyer.pay("4000000000003220")
    async with buyer.page.expect_response("**/payment/check") as checked:
        await buyer.see("bank-close").click()
        token = await buyer.token(house)
        order = (await house.call("GET", "/api/buyer", token=token))["pending"]["id"]
        path = f"/api/orders/{order}/payment/sandbox"
        await house.call("POST", path, {"outcome": "succeed"}, token=token)
        await buyer.page.goto(
            f"{house.storefront}?payment_intent=pi_1&payment_intent_client_secret=pi_1_secret_2"
            f"&redirect_status=succeeded&liveshop_order={order}"
        )
    assert (await checked.value).status == 200
    await buyer.order_number()
    await eventually(lambda: _is_clean(buyer), "the secret to leave the address")


async def _is_clean(person: Person) -> bool:
    return "secret" not in person.page.url and "liveshop_order" not in person.page.url
