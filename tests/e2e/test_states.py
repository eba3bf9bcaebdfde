"""Everything between the happy moments: before, after, broken, gone, declined, by keyboard."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from e2e.conftest import Arrive
from e2e.house import ROOT, House, Refused
from e2e.people import DECLINED_CARD, GOOD_CARD, Person, eventually
from playwright.async_api import Error, Route, WebSocketRoute, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

SWEATER = "Skagen cable sweater"
MUG = "Fjord stoneware mug"
CANDLE = "Stille scented candle"
APRON = "Werk linen apron"
BOARD = "Eik serving board"
LAMP = "Opal table lamp"
TOTE = "Markt canvas tote"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mortal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A demo of its own, to be killed."""
    demo = House(tmp_path_factory.mktemp("mortal") / "demo")
    await demo.start()
    yield demo
    await demo.stop()


# Before, after, and not at all


async def test_before_the_show_it_counts_down_and_takes_a_reminder(
    house: House, arrive: Arrive
) -> None:
    starts_at = (datetime.now(UTC) + timedelta(days=2, hours=3)).isoformat()
    show = await house.new_show("Before", MUG, state="scheduled", starts_at=starts_at)
    viewer = await arrive()
    await viewer.visit(house, show=show)
    timer = viewer.page.locator("ls-countdown").get_by_role("timer")
    await expect(timer).to_contain_text("02days")
    first = await timer.inner_text()
    await eventually(lambda: _differs(timer, first), "the countdown to move")

    await viewer.see("remind-email").fill("ada@shop.example")
    await viewer.see("remind-submit").click()
    form = viewer.page.locator("ls-remind")
    await expect(form).to_contain_text("Please tick the box")
    await viewer.see("remind-consent").check()
    async with viewer.page.expect_response("**/reminders") as answered:
        await viewer.see("remind-submit").click()
    answer = await answered.value
    assert answer.status == 201
    assert (await answer.json())["email"] == "ada@shop.example"
    await expect(form).to_contain_text("We will write to ada@shop.example")
    calendar = form.get_by_role("link", name="Add to calendar")
    ics = await viewer.context.request.get(str(await calendar.get_attribute("href")))
    assert "BEGIN:VEVENT" in await ics.text()


async def _differs(locator: Any, before: str) -> bool:
    return str(await locator.inner_text()) != before


async def test_a_scheduled_show_turns_live_in_front_of_those_who_wait(
    house: House, arrive: Arrive
) -> None:
    starts_at = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    show = await house.new_show("Waiting room", MUG, state="scheduled", starts_at=starts_at)
    viewer = await arrive("390")
    await viewer.visit(house, show=show)
    await viewer.page.locator("ls-countdown").wait_for()
    await house.move(show, "live")
    await viewer.see("live-badge").wait_for()
    await viewer.film_runs()
    await house.move(show, "ended")
    await expect(viewer.see("watch-again")).to_be_visible()


async def test_an_ended_show_can_still_be_shopped(house: House, arrive: Arrive) -> None:
    show = await house.new_show("After", TOTE, state="ended")
    viewer = await arrive()
    await viewer.visit(house, show=show)
    await expect(viewer.page.get_by_role("heading", name="This show has ended")).to_be_visible()
    await viewer.see("tab-chat").click()
    await expect(viewer.page.get_by_text("The show is over, and so is its chat.")).to_be_visible()
    await viewer.open_product(TOTE)
    await viewer.choose("Natural")
    await viewer.add()
    await viewer.go_to_checkout()
    await viewer.fill_address()
    await viewer.pay()
    assert (await viewer.order_number()).startswith("L-")


async def test_an_unknown_show_is_said_to_be_unknown(house: House, arrive: Arrive) -> None:
    viewer = await arrive()
    await viewer.visit(house, show="shw_00000000000000000000000000")
    error = viewer.see("show-error")
    await expect(error).to_contain_text("We cannot find this show")
    await expect(viewer.see("retry")).to_have_count(0)  # trying again would not find it either


async def test_a_server_that_does_not_answer_can_be_tried_again(
    house: House, arrive: Arrive
) -> None:
    viewer = await arrive()
    away = True

    async def snapshot(route: Route) -> None:
        await (route.abort() if away else route.continue_())

    await viewer.page.route("**/snapshot", snapshot)
    await viewer.visit(house)
    await expect(viewer.see("show-error")).to_contain_text("The show cannot be reached")
    away = False
    with suppress(Error):  # it tries by itself too, and may have been first
        await viewer.see("retry").click(timeout=2000)
    await viewer.film_runs()
    await expect(viewer.see("show-error")).to_have_count(0)


async def test_who_writes_before_the_line_is_there_is_heard_once_it_is(
    house: House, arrive: Arrive
) -> None:
    show = await house.new_show("Quick", state="live")
    viewer = await arrive("390")
    let_through = asyncio.Event()

    async def line(socket: WebSocketRoute) -> None:
        await let_through.wait()
        socket.connect_to_server()

    await viewer.page.route_web_socket("**/live/**", line)
    await viewer.visit(house, show=show)
    await viewer.say("First!")
    await expect(viewer.see("chat-send")).to_be_disabled()
    assert await viewer.messages() == []
    let_through.set()
    await expect(viewer.see("chat-message").filter(has_text="First!")).to_have_count(1)
    assert await viewer.see("chat-input").input_value() == ""
    await house.move(show, "ended")


# kill -9


async def test_after_kill_9_the_player_comes_back_without_gap_or_repeat(
    mortal: House, arrive: Arrive
) -> None:
    viewer = await arrive()
    await viewer.visit(mortal)
    await viewer.film_runs()
    await viewer.open_product(MUG)
    await viewer.choose("Oat")
    await viewer.add()
    await viewer.page.keyboard.press("Escape")
    await viewer.see("tab-chat").click()
    token = await viewer.token(mortal)
    held = (await mortal.call("GET", "/api/cart", token=token))["lines"][0]["held_until"]

    accepted = ["Before one", "Before two", "Before three"]
    await (await mortal.someone("Ilse Vorher")).say(mortal.show_id, *accepted)
    # The answer to the third is out: whatever happens now, these messages are kept.
    await mortal.kill()
    await expect(viewer.see("connection-banner")).to_contain_text("Connection lost")
    await viewer.say("Said into the dark")
    await expect(viewer.page.locator("ls-chat")).to_contain_text("You are not connected")
    assert await viewer.see("chat-input").input_value() == "Said into the dark"

    await mortal.start()
    await expect(viewer.page.get_by_text("Connected again")).to_be_visible(timeout=30_000)
    later = ["After one", "After two"]
    await (await mortal.someone("Otto Nachher")).say(mortal.show_id, *later)
    await viewer.see("chat-send").click()
    await eventually(lambda: _has(viewer, "Said into the dark"), "the message typed in between")
    texts = await viewer.messages()
    assert texts[-6:] == [*accepted, *later, "Said into the dark"]
    snapshot = await mortal.call("GET", f"/api/shows/{mortal.show_id}/snapshot")
    assert texts == [message["text"] for message in snapshot["chat"]["messages"]]

    film = await viewer.film_runs(seconds=2, within=45)
    assert not film["paused"]
    assert film["variance"] > 200
    behind = datetime.now(UTC).timestamp() - film["playhead"] / 1000
    assert behind < 20, "the picture is an old one"
    lines = (await mortal.call("GET", "/api/cart", token=token))["lines"]
    assert [(line["hold"], line["held_until"]) for line in lines] == [("held", held)]
    await viewer.see("cart-open").click()
    await expect(viewer.see("cart-line").get_by_test_id("hold-countdown")).to_be_visible()


async def _has(viewer: Person, text: str) -> bool:
    return text in await viewer.messages()


async def test_an_order_whose_answer_was_lost_to_kill_9_is_found_again_and_placed_once(
    mortal: House, arrive: Arrive
) -> None:
    viewer = await arrive("390")
    await viewer.visit(mortal)
    await viewer.open_product(BOARD)
    await viewer.add()
    await viewer.go_to_checkout()
    await viewer.fill_address("Kim Zweimal")

    async def lose_the_answer(route: Route) -> None:
        answer = await route.fetch()
        assert answer.status == 201
        await mortal.kill()
        await route.abort()

    await viewer.page.route("**/api/orders", lose_the_answer, times=1)
    await viewer.pay()
    await expect(viewer.see("checkout-sheet")).to_contain_text("cannot be reached")
    await mortal.start()
    await viewer.page.reload()
    await viewer.see("cart-open").click()
    await viewer.see("resume-order").click()
    number = await viewer.order_number()
    orders = (await mortal.merchant("GET", "/api/orders"))["orders"]
    mine = [o["number"] for o in orders if o["address"]["name"] == "Kim Zweimal"]
    assert mine == [number]


# Stock, holds, prices, payments


async def test_a_sold_out_variant_can_be_waited_for_but_not_added(
    house: House, arrive: Arrive
) -> None:
    viewer = await arrive()
    await viewer.visit(house)
    await viewer.open_product(SWEATER)
    # Adding without having chosen says what is missing instead.
    await viewer.see("add-to-cart").click()
    await expect(viewer.see("product-sheet")).to_contain_text("Please choose: Size")
    await viewer.choose("XL")
    rust = viewer.see("option-Rust")
    await expect(rust).to_be_visible()
    await expect(rust).to_contain_text("Sold out")
    await rust.click()
    await expect(viewer.see("waitlist-join")).to_be_visible()
    await expect(viewer.see("add-to-cart")).to_have_count(0)
    gone = await house.variant(SWEATER, "XL", "Rust")
    assert gone["available"] == 0
    token = (await house.call("POST", "/api/guests", {}))["token"]
    with pytest.raises(Refused) as refused:
        await house.call(
            "POST", "/api/cart/lines", {"variant_id": gone["id"], "quantity": 1}, token=token
        )
    assert refused.value.code == "out_of_stock"


async def test_a_hold_counts_down_ends_and_can_be_taken_again(hasty: House, arrive: Arrive) -> None:
    viewer = await arrive("390")
    await viewer.visit(hasty)
    await viewer.open_product(MUG)
    await viewer.choose("Ink")
    before = (await hasty.variant(MUG, "Ink"))["available"]
    await viewer.add()
    assert (await hasty.variant(MUG, "Ink"))["available"] == before - 1
    await viewer.see("view-cart").click()
    countdown = viewer.see("hold-countdown")
    first = await countdown.inner_text()
    assert first in ("0:30", "0:29", "0:28", "00:30", "00:29", "00:28")
    await eventually(lambda: _differs(countdown, first), "the countdown to move")
    # Thirty seconds are the shortest hold there is, and this is the real one running out.
    await expect(viewer.see("hold-again")).to_be_visible(timeout=40_000)
    await expect(viewer.see("cart-line")).to_contain_text("No longer held")
    assert (await hasty.variant(MUG, "Ink"))["available"] == before
    await viewer.see("hold-again").click()
    await expect(countdown).to_be_visible()
    await expect(viewer.see("hold-again")).to_have_count(0)
    assert (await hasty.variant(MUG, "Ink"))["available"] == before - 1


async def test_a_price_that_changes_during_checkout_is_shown_before_anything_is_paid(
    house: House, arrive: Arrive
) -> None:
    viewer = await arrive("390")
    await viewer.visit(house)
    await viewer.open_product(APRON)
    await viewer.choose("Slate")
    await viewer.add()
    await viewer.go_to_checkout()
    await expect(viewer.see("total")).to_have_text("€58.90")
    await viewer.fill_address("Mara Preis")
    await _reprice(house, APRON, 5900)
    await viewer.pay()
    sheet = viewer.see("checkout-sheet")
    await expect(sheet).to_contain_text("from €58.90 to €63.90, that is €5.00 more")
    await expect(viewer.see("total")).to_have_text("€63.90")
    assert await _orders_of(house, "Mara Preis") == []
    await expect(viewer.see("pay")).to_contain_text("€63.90")
    await viewer.see("pay").click()
    number = await viewer.order_number()
    assert await _orders_of(house, "Mara Preis") == [(number, 6390)]


async def _reprice(house: House, title: str, amount: int) -> None:
    product = await house.product(title)
    kept = ("title", "options", "description_html", "brand", "category", "url", "active", "version")
    fields = ("id", "sku", "values", "gtin", "compare_at", "tax_class", "image_index")
    price = {"amount": amount, "currency": "EUR"}
    await house.merchant(
        "PUT",
        f"/api/products/{product['id']}",
        {name: product[name] for name in kept}
        | {
            "image_ids": [image["id"] for image in product["images"]],
            "variants": [
                {name: variant[name] for name in fields} | {"list_price": price}
                for variant in product["variants"]
            ],
        },
    )


async def _orders_of(house: House, name: str) -> list[tuple[str, int]]:
    orders = (await house.merchant("GET", "/api/orders"))["orders"]
    return [
        (order["number"], order["total"]["amount"])
        for order in orders
        if order["address"]["name"] == name and order["state"] == "confirmed"
    ]


async def test_a_declined_card_costs_nothing_and_another_one_pays(
    house: House, arrive: Arrive
) -> None:
    viewer = await arrive()
    await viewer.visit(house)
    await viewer.open_product(LAMP)
    await viewer.add()
    await viewer.go_to_checkout()
    await viewer.fill_address("Dina Nein")
    await viewer.pay(DECLINED_CARD)
    await expect(viewer.see("checkout-sheet")).to_contain_text("The card was declined")
    assert await _orders_of(house, "Dina Nein") == []
    cart = await house.call("GET", "/api/cart", token=await viewer.token(house))
    assert [line["hold"] for line in cart["lines"]] == ["held"]
    await viewer.pay(GOOD_CARD)
    number = await viewer.order_number()
    assert [known for known, _ in await _orders_of(house, "Dina Nein")] == [number]


async def test_an_invoice_buys_without_a_card(house: House, arrive: Arrive) -> None:
    viewer = await arrive("390")
    await viewer.visit(house)
    await viewer.open_product(BOARD)
    await viewer.add()
    await viewer.go_to_checkout()
    await viewer.see("pay").click()  # too early: it says what is missing and puts the cursor there
    await expect(viewer.see("checkout-sheet")).to_contain_text("Please enter your e-mail address.")
    assert (await viewer.focus())["name"] == "email"
    await viewer.fill_address("Ines Rechnung")
    await viewer.see("method-invoice").check()
    await expect(viewer.see("pay")).to_contain_text("Buy now for")
    await viewer.see("pay").click()
    number = await viewer.order_number()
    assert [known for known, _ in await _orders_of(house, "Ines Rechnung")] == [number]


# Other ways to be there


async def test_a_whole_purchase_by_keyboard_alone(house: House, arrive: Arrive) -> None:
    viewer = await arrive()
    await viewer.visit(house)
    press = viewer.page.keyboard.press
    await viewer.see("tab-chat").wait_for()
    await viewer.tab_to(testid="tab-chat")
    await press("ArrowRight")
    await eventually(lambda: _focus_on(viewer, "tab-products"), "the other tab")
    opener = await viewer.tab_to(testid="lineup-product", text=CANDLE)
    await press("Enter")
    await eventually(lambda: _in_sheet(viewer), "the sheet to take the focus")

    # Round and round: Tab does not leave the sheet, in neither direction.
    for key in ("Tab", "Shift+Tab"):
        for _ in range(14):
            await press(key)
            assert (await viewer.focus())["sheet"], f"{key} left the sheet"
    await press("Escape")
    await expect(viewer.see("product-sheet")).to_have_count(0)
    assert (await viewer.focus())["text"] == opener["text"], "the focus goes back where it was"

    await press("Enter")
    await viewer.tab_to(testid="option-")
    await press("ArrowDown")
    await viewer.tab_to(testid="add-to-cart")
    await press("Enter")
    await eventually(lambda: _focus_on(viewer, "view-cart"), "the way on to be at hand")
    await press("Enter")
    await viewer.see("cart").wait_for()
    await viewer.tab_to(testid="checkout")
    await press("Enter")
    await expect(viewer.see("total")).to_be_visible()
    for field, value in (
        ("email", "ada@shop.example"),
        ("name", "Tessa Taste"),
        ("line1", "Lange Reihe 12"),
        ("postal_code", "20099"),
        ("city", "Hamburg"),
        ("card", GOOD_CARD),
    ):
        await viewer.tab_to(name=field)
        await viewer.page.keyboard.type(value)
    await press("Enter")
    assert (await viewer.order_number()).startswith("L-")
    await viewer.tab_to(testid="keep-watching")
    await press("Enter")
    await eventually(lambda: _focus_on(viewer, "lineup-product"), "the focus to come back")
    assert len(await _orders_of(house, "Tessa Taste")) == 1


async def _focus_on(viewer: Person, test_id: str) -> bool:
    return bool((await viewer.focus())["testid"] == test_id)


async def _in_sheet(viewer: Person) -> bool:
    return bool((await viewer.focus())["sheet"])


async def test_german_is_german_throughout(house: House, arrive: Arrive) -> None:
    locales = ROOT / "widgets/locales"
    german, english = {}, {}
    for part in ("", "paying."):
        german |= json.loads((locales / f"{part}de.json").read_text(encoding="utf-8"))
        english |= json.loads((locales / f"{part}en.json").read_text(encoding="utf-8"))
    viewer = await arrive(locale="de-DE")
    await viewer.visit(house, lang="de")
    await viewer.film_runs()
    await expect(viewer.see("tab-products")).to_contain_text(german["products"])
    await viewer.open_product(BOARD)
    words = await viewer.words()
    await expect(viewer.see("add-to-cart")).to_contain_text("49,00\u00a0€")
    await viewer.add()
    words |= await viewer.words()
    await viewer.see("view-cart").click()
    await viewer.see("checkout").wait_for()
    words |= await viewer.words()
    await viewer.see("checkout").click()
    await expect(viewer.see("total")).to_have_text("53,90\u00a0€")
    await viewer.see("pay").click()
    words |= await viewer.words()
    await viewer.fill_address("Grete Deutsch")
    await viewer.pay()
    await viewer.order_number()
    words |= await viewer.words()
    assert {german["cart.checkout"], german["checkout.title"], german["done.number"]} <= words
    untranslated = {text for text in english.values() if text in words - set(german.values())}
    assert not untranslated
    region = viewer.page.locator("ls-player [role=region]").first
    assert str(await region.get_attribute("lang")).startswith("de")


async def test_floating_shrinks_grows_and_closes(house: House, arrive: Arrive) -> None:
    viewer = await arrive()
    await viewer.visit(house, mode="floating")
    await viewer.film_runs()
    closed = await viewer.page.evaluate_handle(
        """() => {
          const seen = {closed: 0};
          document.addEventListener("close", () => (seen.closed += 1));
          return seen;
        }"""
    )
    frame = viewer.page.locator("liveshop-show .frame")
    large = await frame.bounding_box()
    assert large is not None
    await viewer.page.get_by_role("button", name="Make the show small").click()

    async def width() -> float:
        box = await frame.bounding_box()
        return box["width"] if box else 0

    async def is_small() -> bool:
        return await width() < 300

    async def is_large() -> bool:
        return await width() == large["width"]

    await eventually(is_small, "the show to shrink")
    await viewer.film_runs()
    await viewer.page.get_by_role("button", name="Make the show large").click()
    await eventually(is_large, "the show to grow")
    await viewer.page.get_by_role("button", name="Close the show").click()
    await expect(viewer.page.locator("ls-player")).to_have_count(0)
    assert await closed.evaluate("(seen) => seen.closed") == 1


async def test_a_button_opens_the_show_and_gets_the_focus_back(
    house: House, arrive: Arrive
) -> None:
    viewer = await arrive("390")
    await viewer.page.goto(house.storefront)
    await viewer.embed(mode="button")
    pill = viewer.page.locator("liveshop-show .pill")
    await expect(pill).to_contain_text("Winter table")
    await pill.click()
    await viewer.film_runs()
    await viewer.open_product(CANDLE)
    await viewer.page.keyboard.press("Escape")  # closes the sheet, not the show
    await expect(viewer.see("product-sheet")).to_have_count(0)
    await expect(viewer.page.locator("ls-player")).to_have_count(1)
    await viewer.page.keyboard.press("Escape")
    await expect(viewer.page.locator("ls-player")).to_have_count(0)
    await expect(pill).to_be_focused()


async def test_a_storefront_may_take_over_the_cart(house: House, arrive: Arrive) -> None:
    viewer = await arrive()
    await viewer.visit(house)
    asked = await viewer.page.evaluate_handle(
        """() => {
          const asked = [];
          document.addEventListener("should-add-item-to-cart", (event) => {
            event.preventDefault();
            asked.push(event.detail.sku);
            const no = {success: false, reason: "Our cart is being cleaned."};
            event.detail.respond(asked.length === 1 ? no : {success: true});
          });
          document.addEventListener("goto-checkout", () => asked.push("checkout"));
          return asked;
        }"""
    )
    calls: list[str] = []
    viewer.page.on(
        "request",
        lambda request: calls.append(request.url) if "/api/cart/lines" in request.url else None,
    )
    await viewer.open_product(BOARD)
    await viewer.see("add-to-cart").click()
    await expect(viewer.see("product-sheet")).to_contain_text("Our cart is being cleaned.")
    await viewer.see("add-to-cart").click()
    await expect(viewer.see("product-sheet")).to_contain_text("Added to the shop")
    await viewer.see("view-cart").click()
    await expect(viewer.see("cart-line")).to_have_count(1)
    await viewer.see("checkout").click()
    sku = (await house.product(BOARD))["variants"][0]["sku"]
    assert await asked.json_value() == [sku, sku, "checkout"]
    await expect(viewer.see("checkout-sheet")).to_have_count(0)
    assert calls == [], "the shop has its own cart; ours must not hold anything"
    cart = await house.call("GET", "/api/cart", token=await viewer.token(house))
    assert cart["lines"] == []


async def test_without_javascript_the_shows_page_still_tells_everything(
    house: House, browser: Any
) -> None:
    context = await browser.new_context(java_script_enabled=False)
    try:
        page = await context.new_page()
        await page.goto(f"{house.base}/s/{house.show_id}")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Winter table")
        await expect(page.get_by_role("heading", name=SWEATER)).to_be_visible()
        await page.locator("noscript video").first.wait_for(state="attached")
    finally:
        await context.close()
