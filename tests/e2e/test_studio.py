"""A host with nothing but a phone: from an empty form to the end of the show."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from e2e.conftest import Arrive
from e2e.house import House
from e2e.people import Person, eventually
from playwright.async_api import Locator, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

TEAPOT = "Fjord teapot"
VASE = "Kiesel bottle vase"
TITLE = "Tea at four"


async def test_a_whole_show_from_a_phone(house: House, arrive: Arrive) -> None:
    host = await arrive("390")
    await host.sign_in(house.studio)
    await _fits(host)
    await _create(host)
    show = host.page.url.rpartition("/")[2]
    made = await house.host("GET", f"/api/shows/{show}")
    products = await house.products()
    assert (made["title"], made["state"]) == (TITLE, "draft")
    assert made["lineup"] == [products[VASE]["id"], products[TEAPOT]["id"]]

    await _act(host, "schedule-show")
    await _until(house, show, "scheduled")
    await _act(host, "start-show")
    await _until(house, show, "live")
    viewer = await arrive()
    await viewer.visit(house, show=show)
    await viewer.film_runs()

    teapot = products[TEAPOT]["id"]
    pin = host.see(f"pin-{teapot}")
    await pin.click()
    await expect(pin).to_have_attribute("aria-pressed", "true")
    card = viewer.see("pinned-card")
    await expect(card).to_have_attribute("data-product", teapot, timeout=20_000)
    await host.see("unpin").click()
    await expect(card).to_have_count(0, timeout=20_000)

    await _act(host, "end-show")
    await _until(house, show, "replay")
    await expect(viewer.see("watch-again")).to_be_visible()
    await expect(host.see("recording-line")).to_have_attribute("data-state", "ended")
    await host.page.goto(f"{house.studio}#/")
    row = host.page.locator(f"[data-testid=show-row][data-show={show}]")
    await expect(row).to_have_attribute("data-state", "replay")


async def _create(host: Person) -> None:
    await host.see("new-show").click()
    await host.see("save-show").click()  # without a title: it says so and goes there
    await expect(host.page.locator("#title-why")).to_be_visible()
    await host.page.locator("#show-title").fill(TITLE)
    tomorrow = datetime.now(ZoneInfo("Europe/Berlin")) + timedelta(days=1)
    starts = host.page.locator("input[type=datetime-local]")
    await starts.fill(tomorrow.strftime("%Y-%m-%dT16:00"))
    for title in (TEAPOT, VASE):
        await host.page.get_by_role("searchbox").fill(title)
        await host.page.get_by_role("button", name=f"Add {title}").click()
    await host.page.get_by_role("button", name=f"Move {VASE} up").click()
    await _fits(host)
    await host.see("save-show").click()
    await host.see("schedule-show").wait_for()
    await _fits(host)


async def _act(host: Person, test_id: str) -> None:
    await host.see(test_id).click()
    await host.see("confirm").click()


async def _until(house: House, show: str, state: str) -> None:
    async def arrived() -> bool:
        return bool((await house.host("GET", f"/api/shows/{show}"))["state"] == state)

    await eventually(arrived, f"the show to be {state}")


async def _fits(person: Person) -> None:
    """Nothing on a phone may have to be scrolled sideways."""
    sideways = await person.page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert sideways <= 0


async def test_delete_mute_and_ban_act_on_the_next_message(house: House, arrive: Arrive) -> None:
    show = await house.new_show("Moderated", TEAPOT, state="live")
    host, rude, other = await arrive("390"), await arrive("390"), await arrive()
    await host.sign_in(f"{house.studio}#/shows/{show}")
    await host.page.get_by_role("navigation").get_by_role("button", name="Chat").click()
    for viewer in (rude, other):
        await viewer.visit(house, show=show)
        await viewer.see("chat-input").wait_for()

    await rude.say("Something rude")
    message = host.see("chat-message").filter(has_text="Something rude")
    await _hand(message, "chat-delete")
    for viewer in (rude, other):
        await eventually(lambda v=viewer: _says(v, "Message removed"), "the message to go")
        assert "Something rude" not in await viewer.messages()

    await rude.say("Something else")
    await _hand(host.see("chat-message").filter(has_text="Something else"), "chat-mute")
    await host.see("confirm").click()
    await expect(host.see("toast").filter(has_text="mute")).to_be_visible()
    await rude.say("Can you hear me?")
    await expect(rude.page.locator("ls-chat")).to_contain_text("You have been muted by the host")
    assert "Can you hear me?" not in await other.messages()

    await _hand(host.see("chat-message").filter(has_text="Something else"), "chat-ban")
    await host.see("confirm").click()
    banned = "You have been removed from this chat"
    await rude.say("And now?")
    await expect(rude.page.locator("ls-chat")).to_contain_text(banned)
    await eventually(lambda: _gone(other, "Something else"), "a banned viewer's messages to go")
    # A fresh page does not help, and watching and buying go on.
    await rude.page.reload()
    await rude.embed(show=show)
    await rude.film_runs()
    await rude.say("Back again")
    await expect(rude.page.locator("ls-chat")).to_contain_text(banned)
    await rude.open_product(TEAPOT)
    await rude.choose("Oat")
    await rude.add()
    await other.say("A quiet evening")
    await eventually(lambda: _says(other, "A quiet evening"), "others to go on talking")
    said = await other.messages()
    assert not {"Something else", "And now?", "Back again"} & set(said)
    await house.move(show, "ended")


async def _hand(message: Locator, test_id: str) -> None:
    await message.get_by_role("button").first.click()  # "more": hands are put away on a phone
    await message.get_by_test_id(test_id).click()


async def _says(person: Person, text: str) -> bool:
    return text in await person.messages()


async def _gone(person: Person, text: str) -> bool:
    return text not in await person.messages()
