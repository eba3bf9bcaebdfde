"""The desk's orders: parcels, the counter of a store and its scanner, goods taken back, refunds."""

import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from e2e.camera import Camera
from e2e.conftest import Arrive
from e2e.house import House
from e2e.people import GOOD_CARD, Person
from playwright.async_api import Browser, Page, async_playwright, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

MERCHANT = "merchant@lindholm.example"
MUG = "Fjord stoneware mug"
CANDLE = "Stille scented candle"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def merchant(browser: Browser, house: House) -> Any:
    """The signed-in state of the merchant."""
    person = await Person.arrive(browser)
    await person.sign_in(house.desk, MERCHANT)
    state = await person.context.storage_state()
    await person.leave()
    return state


async def _store(house: House) -> dict[str, Any]:
    """The first place where buyers collect."""
    locations = (await house.merchant("GET", "/api/locations"))["locations"]
    return dict(next(one for one in locations if one["is_pickup"]))


async def _order(
    house: House,
    *titles: str,
    quantity: int = 1,
    store_id: str | None = None,
    method: str = "sandbox",
) -> dict[str, Any]:
    """An order as its buyer sees it; of each title the last variant, of which there is plenty."""
    guest = (await house.call("POST", "/api/guests", {}))["token"]
    for title in titles:
        variant_id = (await house.product(title))["variants"][-1]["id"]
        for location in (await house.merchant("GET", "/api/locations"))["locations"]:
            plenty = {"location_id": location["id"], "on_hand": 50}
            await house.merchant("PUT", f"/api/variants/{variant_id}/stock", plenty)
        line = {"variant_id": variant_id, "quantity": quantity}
        await house.call("POST", "/api/cart/lines", line, token=guest)
    delivery = {"kind": "pickup", "store_id": store_id} if store_id else {"kind": "ship"}
    wanted = {"country": "DE", "delivery": delivery}
    quote = await house.call("POST", "/api/cart/quote", wanted, token=guest)
    payment = {"method": method}
    if method == "sandbox":
        payment["card_number"] = GOOD_CARD
    order = await house.call(
        "POST",
        "/api/orders",
        {
            "expected_total": quote["total"],
            "email": "ada@shop.example",
            "address": {
                "name": "Ada Example",
                "line1": "Weg 1",
                "postal_code": "20095",
                "city": "Hamburg",
                "country": "DE",
            },
            "payment": payment,
            "delivery": delivery,
        },
        token=guest,
        **{"Idempotency-Key": f"desk-{uuid.uuid4().hex}"},
    )
    assert order["state"] == "confirmed"
    return dict(order)


async def _fulfilment(house: House, order: dict[str, Any]) -> str:
    progress = await house.merchant("GET", f"/api/orders/{order['id']}/progress")
    [only] = progress["fulfilments"]
    return str(only["id"])


async def _fits(person: Person) -> None:
    """Nothing makes the page wider than its window."""
    width = await person.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert width <= 0, f"the page is {width} px too wide"


async def test_a_parcel_is_sent_with_its_number_and_no_more_is_paid_back_than_was_paid(
    house: House, arrive: Arrive, merchant: Any
) -> None:
    order = await _order(house, MUG, quantity=2)
    person = await arrive(state=merchant)
    await person.page.goto(f"{house.desk}#/orders")
    await person.see("view-open").click()
    await person.see("order-search").fill(order["number"])
    row = person.see("order-row").filter(has_text=order["number"])
    await expect(person.see("order-row")).to_have_count(1)
    await expect(row.locator("[data-state=open]")).to_be_visible()
    async with person.page.expect_download() as saving:
        await person.see("orders-csv").click()
    assert order["number"] in Path(await (await saving.value).path()).read_text(encoding="utf-8")
    await row.get_by_role("link").click()

    await person.see("act-ship").click()
    await person.see("ship-carrier").fill("DHL")
    await person.see("ship-tracking").fill("00340434161094042557")
    await person.see("act").click()
    parcel = person.see("fulfilment")
    await expect(parcel).to_have_attribute("data-state", "shipped")
    await expect(parcel).to_contain_text("00340434161094042557")
    await expect(person.see("history")).to_contain_text("Shipped")

    await person.see("refund").click()
    await person.see("refund-note").fill("A scratch on one mug")
    paid = order["total"]["amount"]
    await expect(person.see("refund-amount")).to_have_value(f"{paid / 100:.2f}")
    await person.see("refund-amount").fill(f"{(paid + 1) / 100:.2f}")
    await person.see("act").click()
    await expect(person.see("refund-amount")).to_be_focused()
    await expect(person.see("act-dialog")).to_contain_text("More than was paid")
    await expect(person.see("refund-note")).to_have_value("A scratch on one mug")
    await person.see("refund-amount").fill("5.00")
    await person.see("act").click()
    await person.see("act-dialog").wait_for(state="detached")
    await expect(person.see("refunded")).to_contain_text("5.00")
    await expect(person.see("history")).to_contain_text("A scratch on one mug")

    mail = person.see("mail-row").filter(has_text=order["number"]).first
    await mail.click()
    page = person.page.frame_locator("[data-testid=mail-page]")
    await expect(page.locator("body")).to_contain_text(order["number"])


async def test_goods_are_handed_over_piece_by_piece_for_a_code_before_the_camera(
    house: House, arrive: Arrive, merchant: Any, tmp_path: Path
) -> None:
    store = await _store(house)
    order = await _order(house, MUG, quantity=2, store_id=store["id"], method="at_pickup")
    code = order["pickup_code"]
    async with _camera(tmp_path, code) as browser:
        person = await Person.arrive(browser, "390", state=merchant)
        await person.page.goto(f"{house.desk}#/pickups")
        await person.see("own-store").select_option(store["id"])
        await expect(person.see("own-store")).to_have_value(store["id"])
        mine = person.see("fulfilment").filter(has_text=order["number"])
        await mine.get_by_test_id("act-ready").click()
        await expect(person.see("list-waiting")).to_contain_text(order["number"])
        await _fits(person)

        await person.see("scan").click()
        desk = person.see("hand-over")
        await expect(desk).to_contain_text("Ada Example")
        assert not await _camera_is_on(person.page)
        await _fits(person)
        await desk.get_by_role("button", name="One less").click()
        await person.see("collect").click()
        await expect(person.see("collect-problem")).to_contain_text("Take the money first")
        await person.see("paid").check()
        await person.see("collect").click()
        await expect(person.see("handed-over")).to_contain_text("1 piece handed over")
        await expect(person.see("handed-over")).to_contain_text("The rest stays here")
        await person.see("next-buyer").click()

        typed = f"{code[:5].lower()}-{code[5:].lower()}"
        await person.see("pickup-code").fill(typed)
        await person.see("find-code").click()
        await expect(person.see("paid")).to_have_count(0)
        await person.see("collect").click()
        await expect(person.see("fulfilment").filter(has_text=order["number"])).to_have_count(0)
        await expect(person.see("handed-over")).to_contain_text("That was all")
        await person.see("next-buyer").click()
        await person.see("pickup-code").fill(code)
        await person.see("find-code").click()
        await expect(person.see("already-collected")).to_contain_text("A code works once")
        await person.see("hand-over").get_by_role("button", name="Close").click()
        await person.see("pickup-code").fill("0000000000")
        await person.see("find-code").click()
        await expect(person.see("code-problem")).to_contain_text("No order has this code")
        await person.leave()
        assert not person.troubles, person.troubles

    progress = await house.merchant("GET", f"/api/orders/{order['id']}/progress")
    assert [one["state"] for one in progress["fulfilments"]] == ["collected", "collected"]
    assert progress["order"]["payment"]["state"] == "paid"


async def test_without_a_camera_the_code_is_typed(
    house: House, arrive: Arrive, merchant: Any
) -> None:
    store = await _store(house)
    person = await arrive("390", state=merchant)
    await person.page.goto(f"{house.desk}#/pickups")
    await person.see("own-store").select_option(store["id"])
    await person.see("scan").click()
    await expect(person.see("camera-problem")).to_contain_text("Type the code")
    await person.see("pickup-code").fill("no code!")
    await person.see("find-code").click()
    await person.see("scan-stop").click()
    await expect(person.see("code-problem")).to_contain_text("not a pickup code")


async def test_goods_are_taken_back_in_the_store_and_refunded_in_one_go(
    house: House, arrive: Arrive, merchant: Any
) -> None:
    order = await _order(house, MUG, CANDLE)
    parcel = await _fulfilment(house, order)
    await house.merchant("POST", f"/api/fulfilments/{parcel}/ship", {})
    await house.merchant("POST", f"/api/fulfilments/{parcel}/deliver")
    store = await _store(house)
    mug = order["lines"][0]
    before = await _on_hand(house, mug["variant_id"], store["id"])
    person = await arrive("390", state=merchant)
    await person.page.goto(f"{house.desk}#/returns")
    await person.see("return-search").fill(order["number"])
    await person.see("return-find").click()
    line = person.see("returnable").filter(has_text=MUG)
    await line.get_by_test_id("more").click()
    await person.see("to-inspection").click()
    await expect(line.get_by_test_id("reason")).to_be_focused()
    await line.get_by_test_id("reason").select_option("damaged")
    await person.see("to-inspection").click()
    await person.see("inspection-location").select_option(store["id"])
    await expect(person.see("restocked-0")).to_have_value("0")
    await person.see("restocked-0").fill("2")
    await person.see("take-back-done").click()
    await expect(person.see("restocked-0")).to_be_focused()
    await person.see("restocked-0").fill("1")
    await person.see("deduction").fill("2.00")
    await person.see("inspection-note").fill("The box is missing")
    await _fits(person)
    await person.see("take-back-done").click()
    left = (mug["payable"]["amount"] - 200) / 100
    await expect(person.see("taken-back")).to_contain_text(f"{left:.2f}")
    assert await _on_hand(house, mug["variant_id"], store["id"]) == before + 1

    await person.page.get_by_role("link", name="To the order").click()
    await expect(person.see("return")).to_have_attribute("data-state", "received")
    await expect(person.see("refunded")).to_contain_text(f"{left:.2f}")
    await expect(person.see("history")).to_contain_text("Return received")


async def _on_hand(house: House, variant_id: str, location_id: str) -> int:
    stock = (await house.merchant("GET", f"/api/variants/{variant_id}/stock"))["stock"]
    return int(next(one["on_hand"] for one in stock if one["location_id"] == location_id))


async def test_a_store_opens_on_other_days(house: House, arrive: Arrive, merchant: Any) -> None:
    person = await arrive("390", state=merchant)
    await person.page.goto(f"{house.desk}#/stores/new")
    await person.see("save-store").click()
    await expect(person.see("store-name")).to_be_focused()
    await person.see("store-name").fill("Store Eppendorf")
    await person.see("store-line1").fill("Lehmweg 4")
    await person.see("store-postal_code").fill("20251")
    await person.see("store-city").fill("Hamburg")
    await person.see("open-day-6").click()
    await person.page.get_by_label("Saturday, closes").fill("14:00")
    await _fits(person)
    await person.see("save-store").click()
    card = person.see("store").filter(has_text="Store Eppendorf")
    await expect(card).to_contain_text(re.compile("Sat 10:00.14:00"))
    [made] = [
        one
        for one in (await house.merchant("GET", "/api/locations"))["locations"]
        if one["name"] == "Store Eppendorf"
    ]
    assert made["hours"]["weekly"] == {"6": [["10:00", "14:00"]]}
    # The other tests' orders are of other stores.
    closed = {"name": made["name"], "kind": "store", "priority": 99, "is_shipping": False}
    await house.merchant("PUT", f"/api/locations/{made['id']}", closed)


@asynccontextmanager
async def _camera(folder: Path, code: str) -> AsyncIterator[Browser]:
    """A browser whose camera sees the code."""
    camera = Camera(folder)
    camera.sees_code(code)
    async with async_playwright() as playwright:
        opened = await camera.launch(playwright)
        yield opened
        await opened.close()


async def _camera_is_on(page: Page) -> bool:
    return bool(await page.evaluate("!!document.querySelector('video')"))
