"""The desk's channels: what is connected, what each channel shows and why, and what is posted."""

import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from e2e.conftest import Arrive
from e2e.house import House
from e2e.people import SIZES, Person
from fakes import meta
from fakes.serving import serve
from playwright.async_api import Browser, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

MERCHANT = "merchant@lindholm.example"
MUG = "Fjord stoneware mug"
VASE = "Kiesel bottle vase"
TOO_SMALL = "The picture is too small: at least 500 by 500 pixels are needed."
NOWHERE = "http://127.0.0.1:9/"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def merchant(browser: Browser, house: House) -> Any:
    """The signed-in state of the merchant."""
    person = await Person.arrive(browser)
    await person.sign_in(house.desk, MERCHANT)
    state = await person.context.storage_state()
    await person.leave()
    return state


@pytest_asyncio.fixture(loop_scope="session")
async def clean(house: House) -> AsyncIterator[None]:
    """What a test connects to the house that all share is gone after it."""
    yield
    for _ in range(2):  # the first time it is taken off, the second time it is given up
        for one in await _connections(house):
            await _move(house, one, "abandoned" if one["is_leaving"] else "removed")
    assert not await _connections(house)


async def _connections(house: House) -> list[dict[str, Any]]:
    return list((await house.merchant("GET", "/api/connections"))["connections"])


async def _move(house: House, one: dict[str, Any], to: str) -> None:
    await house.merchant("POST", f"/api/connections/{one['id']}/state", {"to": to})


async def _connect(house: House, connector: str, title: str, **config: str) -> dict[str, Any]:
    given = {"connector": connector, "title": title, "config": config}
    return dict(await house.merchant("POST", "/api/connections", given))


async def _confirm(person: Person) -> None:
    """Yes to the question; wait until it is put away."""
    await person.see("confirm").click()
    await person.see("confirm").wait_for(state="detached")


async def _fits(person: Person) -> None:
    """Nothing makes the page wider than its window."""
    width = await person.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert width <= 0, f"the page is {width} px too wide"


@pytest.mark.usefixtures("clean")
async def test_a_feed_is_connected_and_what_was_fetched_is_called_sent(
    house: House, arrive: Arrive, merchant: Any
) -> None:
    person = await arrive(state=merchant)
    await person.page.goto(f"{house.desk}#/channels")
    await person.see("channels-empty").wait_for()
    await person.see("connect").click()
    await person.see("connector-json_feed").click()
    await person.see("connection-title").fill("Price comparison")
    await person.see("save-connection").click()

    await expect(person.see("check-good")).to_be_visible()
    await expect(person.see("feed-fetched")).to_contain_text("Nobody has fetched it")
    address = await person.see("feed-url").input_value()
    assert address.startswith(house.base)
    await person.see("count-pending").click()
    mug = person.see("listed-product").filter(has_text=MUG)
    await expect(mug.locator("[data-state=pending]")).to_be_visible()

    async with aiohttp.ClientSession() as program, program.get(address) as answer:
        assert MUG in await answer.text()

    await person.see("filter-all").click()
    await expect(mug.locator("[data-state=sent]")).to_be_visible()
    await person.see("tab-connections").click()
    await expect(person.see("count-sent")).to_be_visible()
    await expect(person.see("feed-fetched")).to_contain_text("Last fetched: just now")
    await person.see("remove").click()
    await _confirm(person)
    await person.see("channels-empty").wait_for()
    async with aiohttp.ClientSession() as program, program.get(address) as answer:
        assert answer.status == 404


@pytest.mark.usefixtures("clean")
async def test_a_refused_product_is_read_about_and_sent_again(
    house: House, arrive: Arrive, merchant: Any
) -> None:
    app, fake = meta.make_app()
    vase = (await house.product(VASE))["variants"][0]["id"]
    fake.faults.refused_items[vase] = TOO_SMALL
    async with serve(app) as url:
        person = await arrive(state=merchant)
        await person.page.goto(f"{house.desk}#/channels/new/meta_catalog")
        await person.see("save-connection").click()
        await expect(person.see("field-catalog_id")).to_be_focused()
        await person.see("field-catalog_id").fill(meta.CATALOG_ID)
        await person.see("field-access_token").fill(meta.USER_TOKEN)
        await person.page.get_by_text("More settings").click()
        await person.see("field-app_secret").fill(meta.APP_SECRET)
        await person.see("field-api_url").fill(url)
        await person.see("save-connection").click()
        await expect(person.see("check-good")).to_be_visible()
        assert meta.USER_TOKEN not in await person.page.content()

        await person.see("count-rejected").click()
        row = person.see("listed-product").filter(has_text=VASE)
        await expect(row).to_contain_text(TOO_SMALL)
        await expect(person.see("listed-product")).to_have_count(1)
        await row.get_by_test_id("open-product").click()
        listing = person.page.locator(f"[data-testid=listing][data-variant={vase}]")
        await expect(listing.get_by_test_id("reason")).to_contain_text(TOO_SMALL)
        fake.faults.refused_items.clear()
        await listing.get_by_test_id("send-again").click()
        await expect(person.see("listed-product")).to_have_count(0)
        await person.see("filter-all").click()
        await expect(row.locator(".truth-cell [data-state=live]")).to_be_visible()

        await person.see("tab-connections").click()
        await person.see("plan").click()
        await expect(person.see("plan-publish")).to_have_text("0")
        await expect(person.see("plan-checked")).not_to_have_text("0")
        await person.see("plan-sync").click()
        await person.see("plan-dialog").wait_for(state="detached")
        await expect(person.see("run").first).to_contain_text(re.compile("ompar|Look|Sen"))
        await person.see("turn").click()
        await expect(person.see("connection-state")).to_have_attribute("data-state", "paused")
        await person.see("turn").click()
        await expect(person.see("connection-state")).to_have_attribute("data-state", "active")
        await person.see("count-live").wait_for()
        fake.faults.everything = "unavailable"
        await person.see("remove").click()
        await _confirm(person)
        await expect(person.see("connection-state")).to_have_attribute("data-state", "leaving")
        await person.see("remove").click()
        await _confirm(person)
        await person.see("channels-empty").wait_for()
    assert not fake.violations


@pytest.mark.usefixtures("clean")
async def test_a_post_is_shown_word_for_word_before_it_is_planned(
    house: House, arrive: Arrive, merchant: Any
) -> None:
    await _connect(house, "bluesky", "Lindholm", **_BLUESKY)
    person = await arrive(state=merchant)
    await person.page.goto(f"{house.desk}#/posts/new")
    await person.see("send-post").click()
    await expect(person.see("post-show")).to_be_focused()
    await person.see("post-show").select_option(house.show_id)
    await expect(person.see("post-kind-live_now")).to_be_checked()
    text = person.see("preview-text")
    await expect(text).to_contain_text("We are live: ")
    await expect(person.see("preview-length")).to_contain_text("of 300")
    await expect(person.see("preview-image")).to_have_attribute("alt", re.compile(r"\w"))
    await expect(person.see("house-template")).to_contain_text("We are live: {{ show_title")

    await person.see("post-text-by-own").check(force=True)
    await person.see("post-template-text").fill("{{ shop_name }}\n\nTonight!")
    await expect(text).to_have_text(re.compile(r"^Lindholm\n\nTonight!"))
    await person.see("post-paid").check()
    await expect(text).to_contain_text("#ad")
    await person.see("post-template-text").fill("{{ nonsense }}")
    await expect(person.see("preview-problem")).to_be_visible()
    await expect(person.see("post-template-text")).to_have_attribute("aria-invalid", "true")

    await person.see("post-template-text").fill("Tonight at {{ shop_name }}")
    await person.see("post-when-at").check(force=True)
    await person.see("post-at").fill("2099-01-01T20:00")
    await person.see("send-post").click()
    await expect(person.see("post-state")).to_have_text("Scheduled")
    await expect(person.see("post")).to_contain_text("2099")
    await person.see("cancel-post").click()
    await _confirm(person)
    await expect(person.see("post-state")).to_have_text("Cancelled")


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("size", list(SIZES))
async def test_every_page_is_accessible_and_fits(
    house: House, arrive: Arrive, merchant: Any, size: str
) -> None:
    person = await arrive(size, state=merchant)
    found: dict[str, list[str]] = {}

    async def look(name: str, place: str | None = None, wait_for: str | None = None) -> None:
        if place is not None:
            await person.page.goto(f"{house.desk}#/{place}")
        if wait_for is not None:
            await person.see(wait_for).first.wait_for()
        await _fits(person)
        if problems := await person.axe():
            found[name] = problems

    await look("nothing connected", "channels", "channels-empty")
    await look("what there is to connect", "channels/new", "connector-json_feed")
    await person.page.goto(f"{house.desk}#/channels/new/shopify")
    await person.see("save-connection").click()
    await look("a form with mistakes")
    feed = await _connect(house, "json_feed", "Price comparison")
    await _connect(house, "x", "Lindholm", client_id="client", site_url=NOWHERE)
    await _connect(house, "bluesky", "Lindholm on another one", **_BLUESKY)
    paused = await _connect(house, "google_feed", "Merchant Center")
    await _move(house, paused, "paused")
    await look("connections", "channels", "needs-authorisation")
    await person.see("plan").first.click()
    await look("a plan", wait_for="plan-checked")
    await person.page.keyboard.press("Escape")
    await look("one connection", f"channels/{feed['id']}", "check-good")
    await look("listings", "channels/listings", "listed-product")
    await person.see("legend").locator("summary").click()
    await person.see("open-product").first.click()
    await look("listings opened", wait_for="listing")
    await look("a refused authorisation", "channels?problem=bad_authorisation", "channels-problem")
    await person.page.goto(f"{house.desk}#/posts/new/{house.show_id}")
    await look("a post", wait_for="preview-text")
    await person.see("post-kind-product_moment").check(force=True)
    await person.see("send-post").click()
    await look("a post with mistakes")
    await look("posts", "posts", "tab-posts")
    assert not found, found


_BLUESKY = {"handle": "lindholm.example", "app_password": "not-a-password", "service_url": NOWHERE}
