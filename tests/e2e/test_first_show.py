"""The whole product in one evening: two viewers, a host, a question, a pin and a purchase."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
from e2e.conftest import Arrive
from e2e.house import House
from e2e.people import Person, eventually, in_player
from playwright.async_api import expect

pytestmark = [pytest.mark.alone, pytest.mark.asyncio(loop_scope="session")]

SWEATER = "Skagen cable sweater"
CHOSEN = ("M", "Forest")
LATEST_SECONDS = 1.5
"""How long after its moment a pin may show: the player looks four times a second, on a busy test
machine less often."""

# Records, at the very mutation that shows another pinned card, where the playhead is.
WATCH_PINS = in_player("""
  const seen = [];
  const look = () => {
    const product = part("[data-testid=pinned-card]")?.dataset.product ?? null;
    if (seen.at(-1)?.product === product) return;
    seen.push({product, playhead: film.stream?.playhead() ?? null, at: Date.now()});
  };
  new MutationObserver(look).observe(player.shadowRoot,
    {subtree: true, childList: true, attributes: true, attributeFilter: ["data-product"]});
  look();
  return seen;
""")

# The moment a text stands in the chat, by the clock both pages share.
WATCH_CHAT = in_player("""
  const chat = part("ls-chat").shadowRoot;
  const seen = {at: null};
  new MutationObserver(() => {
    if (seen.at !== null || !chat.querySelector(".list").textContent.includes(given)) return;
    seen.at = Date.now();
  }).observe(chat, {subtree: true, childList: true, characterData: true});
  return seen;
""")

SEND = in_player("""
  part("ls-chat").shadowRoot.querySelector("[data-testid=chat-send]").click();
  return Date.now();
""")

# The film's time while something else happens.
WATCH_FILM = in_player("""
  const seen = {began: Date.now(), from: video.currentTime, last: video.currentTime,
    moved: Date.now(), stillFor: 0, back: 0};
  setInterval(() => {
    const now = Date.now();
    if (video.currentTime < seen.last) seen.back += 1;
    if (video.currentTime !== seen.last) seen.moved = now;
    seen.last = video.currentTime;
    seen.stillFor = Math.max(seen.stillFor, now - seen.moved);
    seen.took = (now - seen.began) / 1000;
  }, 50);
  return seen;
""")


async def test_two_viewers_watch_ask_and_buy_while_the_host_shows(
    house: House, arrive: Arrive
) -> None:
    watcher, buyer, host = await asyncio.gather(arrive("1440"), arrive("390"), arrive("1440"))
    await asyncio.gather(
        watcher.visit(house),
        buyer.visit(house),
        host.sign_in(f"{house.studio}#/shows/{house.show_id}"),
    )
    for viewer in (watcher, buyer):
        assert not viewer.page.url.startswith(house.base), "the storefront is another origin"

    await _both_see_a_moving_picture(watcher, buyer)
    await _a_message_is_there_within_a_second(watcher, buyer)
    await _a_pin_shows_when_the_playhead_gets_there(house, watcher, buyer, host)
    await _a_purchase_does_not_stop_the_film(house, watcher, buyer, host)


async def _both_see_a_moving_picture(*viewers: Person) -> None:
    for film in await asyncio.gather(*(viewer.film_runs(seconds=2) for viewer in viewers)):
        assert film["variance"] > 200, "the picture is one colour"
        assert 20 < film["mean"] < 240


async def _a_message_is_there_within_a_second(writer: Person, reader: Person) -> None:
    text = "Does the oat glaze go with the Moss mugs?"
    seen = await reader.page.evaluate_handle(WATCH_CHAT, text)
    await writer.see("chat-input").fill(text)
    sent = await writer.page.evaluate(SEND)
    arrived = await eventually(lambda: seen.evaluate("(seen) => seen.at"), "the message")
    assert arrived - sent <= 1000
    # The writer sees it once, as everybody does: there is no copy of one's own.
    await eventually(lambda: _says(writer, text), "the writer's own message")
    assert (await writer.messages()).count(text) == 1
    assert (await reader.messages()).count(text) == 1


async def _says(person: Person, text: str) -> bool:
    return text in await person.messages()


async def _a_pin_shows_when_the_playhead_gets_there(
    house: House, near: Person, behind: Person, host: Person
) -> None:
    lineup = (await house.call("GET", f"/api/shows/{house.show_id}"))["lineup"]
    pins = await _pins(house)
    # Far from what the film shows now, so that nobody else pins it meanwhile.
    product = lineup[(lineup.index(pins[-1]["product_id"]) + 6) % len(lineup)]
    # The second viewer watches seconds later than the first. The card must wait for each of them.
    await behind.page.evaluate(in_player("video.currentTime -= 4;"))
    await behind.film_runs()
    lists = [await viewer.page.evaluate_handle(WATCH_PINS) for viewer in (near, behind)]

    await host.see(f"pin-{product}").click()

    async def pinned() -> Any:
        last = (await _pins(house))[-1]
        return last["at"] if last["product_id"] == product else None

    at = datetime.fromisoformat(await eventually(pinned, "the pin")).timestamp() * 1000
    shown = []
    for seen in lists:
        card = await eventually(
            lambda seen=seen: seen.evaluate(
                "(seen, id) => seen.find((one) => one.product === id)", product
            ),
            "the pinned card",
            within=30,
        )
        assert card["playhead"] is not None, "the player followed the clock, not the film"
        late = (card["playhead"] - at) / 1000
        assert late >= 0, "the card came before the host had said the name"
        assert late < LATEST_SECONDS
        shown.append(card["at"])
    assert shown[1] - shown[0] > 2000, "who watches later must see the card later"


async def _pins(house: House) -> list[dict[str, Any]]:
    snapshot = await house.call("GET", f"/api/shows/{house.show_id}/snapshot")
    return list(snapshot["pins"])


async def _a_purchase_does_not_stop_the_film(
    house: House, watcher: Person, buyer: Person, host: Person
) -> None:
    before = await house.variant(SWEATER, *CHOSEN)
    stock_path = f"/api/variants/{before['id']}/stock"
    on_hand = _on_hand(await house.merchant("GET", stock_path))
    await watcher.open_product(SWEATER)
    await watcher.choose(*CHOSEN)
    sheet = watcher.see("product-sheet")
    await expect(sheet.get_by_text(f"{before['available']} left", exact=True)).to_be_visible()

    watched = await buyer.page.evaluate_handle(WATCH_FILM)
    await buyer.open_product(SWEATER)
    await buyer.choose(*CHOSEN)
    await buyer.add()
    await buyer.go_to_checkout()
    await buyer.fill_address("Nele Probe")
    await buyer.pay()
    number = await buyer.order_number()
    assert number.startswith("L-")
    scrolled = "(region) => region.scrollTop"
    region = buyer.page.locator("ls-player [role=region]").first
    assert await region.evaluate(scrolled) == 0, "the video was scrolled out of its frame"
    film = await watched.json_value()
    assert film["stillFor"] < 1000, "the video stood still while its viewer paid"
    assert film["back"] == 0
    assert film["last"] - film["from"] > 0.8 * film["took"]

    await expect(host.see("order-row").filter(has_text=number)).to_be_visible()
    await expect(host.see("order-row").filter(has_text=number)).to_contain_text(SWEATER)
    left = before["available"] - 1
    await expect(sheet.get_by_text(f"{left} left", exact=True)).to_be_visible()
    assert (await house.variant(SWEATER, *CHOSEN))["available"] == left
    after = await house.merchant("GET", stock_path)
    assert _on_hand(after) == on_hand - 1
    assert sum(place["held"] for place in after["stock"]) == 0

    token = await buyer.token(house)
    assert (await house.call("GET", "/api/cart", token=token))["lines"] == []
    await buyer.see("keep-watching").click()
    await buyer.see("cart-open").click()
    await expect(buyer.see("cart-line")).to_have_count(0)
    await expect(buyer.see("cart")).to_contain_text("Your cart is empty")
    orders = (await house.merchant("GET", f"/api/orders?show_id={house.show_id}"))["orders"]
    order = next(order for order in orders if order["number"] == number)
    assert (order["state"], order["payment"]["state"]) == ("confirmed", "paid")
    assert [line["values"] for line in order["lines"]] == [list(CHOSEN)]


def _on_hand(answer: dict[str, Any]) -> int:
    return sum(place["on_hand"] for place in answer["stock"])
