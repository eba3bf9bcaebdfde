"""The seven ways of connected retail, each from a buyer's phone in the show to a phone at the desk.

A journey is told three times: by the desk, by the buyer's own page of the order, and by what lies
on the shelves before and after.
"""

import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from e2e.camera import Camera
from e2e.conftest import Arrive
from e2e.house import House
from e2e.people import Person, eventually
from e2e.retail import ALTONA, KREUZBERG, WAREHOUSE, Counter, Purchase, Shelves, buys
from playwright.async_api import async_playwright, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

MERCHANT = "merchant@lindholm.example"
STAFF = "Merchant"
TOTE = "Markt canvas tote"
MUG = "Fjord stoneware mug"
TEAPOT = "Fjord teapot"
CANDLE = "Stille scented candle"
APRON = "Werk linen apron"
VASE = "Kiesel bottle vase"
SWEATER = "Skagen cable sweater"
CAP = "Watch cap"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A demo of its own: nobody else's cart holds what is counted here, and time passes in it."""
    demo = House(tmp_path_factory.mktemp("stores") / "demo")
    await demo.start()
    yield demo
    await demo.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shelves(house: House) -> Shelves:
    return await Shelves.of(house)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def show(house: House) -> str:
    """A show of these journeys' own, in which no offer changes a price meanwhile."""
    titles = (TOTE, MUG, TEAPOT, CANDLE, APRON, VASE, SWEATER, CAP)
    return await house.new_show("Seven ways", *titles, state="live")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk(
    house: House, shelves: Shelves, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Counter]:
    """Somebody at work, with a phone and its camera."""
    camera = Camera(tmp_path_factory.mktemp("camera"))
    async with async_playwright() as playwright:
        browser = await camera.launch(playwright)
        person = await Person.arrive(browser, "390")
        await person.sign_in(house.desk, MERCHANT)
        yield Counter(house, person, camera, shelves.places)
        assert not person.troubles, person.troubles
        await browser.close()


async def _at_checkout(
    arrive: Arrive, house: House, show: str, title: str, *values: str, pieces: int = 1
) -> Person:
    """A viewer who wants some of an article."""
    buyer = await arrive("390")
    await buyer.visit(house, show=show)
    await buyer.open_product(title)
    await buyer.choose(*values)
    await buyer.add()
    await buyer.see("view-cart").click()
    for _ in range(1, pieces):
        await buyer.see("cart-line").get_by_role("button", name="One more").click()
    await expect(buyer.see("cart-line")).to_contain_text(f"{pieces} ×" if pieces > 1 else title)
    await buyer.see("checkout").click()
    return buyer


async def test_shipped_from_the_warehouse(
    house: House, show: str, arrive: Arrive, shelves: Shelves, desk: Counter
) -> None:
    tote = (await house.variant(TOTE, "Natural"))["id"]
    await shelves.fill(tote, {WAREHOUSE: 5, ALTONA: 5, KREUZBERG: 5})
    buyer = await _at_checkout(arrive, house, show, TOTE, "Natural")
    bought = await buys(buyer, house, expects="Arrives")
    assert await shelves.count(tote) == {WAREHOUSE: 4, ALTONA: 5, KREUZBERG: 5}
    await bought.says("getting your order ready", "Arrives", "Paid.")

    await desk.order(bought)
    await desk.send("DHL", "00340434161094042557")
    await expect(desk.see("fulfilment")).to_have_attribute("data-state", "shipped")
    await bought.says("on its way", "DHL", "00340434161094042557")
    await desk.see("act-deliver").click()
    await expect(desk.see("fulfilment")).to_have_attribute("data-state", "delivered")
    await desk.fits()

    await bought.says("Your order has arrived")
    assert await bought.kinds() == [("ship_from_warehouse", "delivered")]
    await bought.has_history(
        ("order.confirmed", "buyer"),
        ("fulfilment.shipped", STAFF),
        ("fulfilment.delivered", STAFF),
    )


async def test_bought_online_and_picked_up_in_the_store_in_two_goes(
    house: House, show: str, arrive: Arrive, shelves: Shelves, desk: Counter
) -> None:
    mug = (await house.variant(MUG, "Oat"))["id"]
    await shelves.fill(mug, {WAREHOUSE: 5, ALTONA: 3})
    buyer = await _at_checkout(arrive, house, show, MUG, "Oat", pieces=2)
    bought = await buys(buyer, house, store_id=shelves.places[ALTONA], expects="Ready")
    assert await shelves.count(mug) == {WAREHOUSE: 5, ALTONA: 1}
    await bought.says("getting your order ready", "Ready by", ALTONA)

    await desk.stand_in(ALTONA)
    await expect(desk.see("list-aside")).to_contain_text(bought.number)
    await desk.waiting(bought).get_by_test_id("act-ready").click()
    await expect(desk.see("list-waiting")).to_contain_text(bought.number)
    await bought.says("ready for you", "Your pickup code", "Kept until")

    handed = await desk.scan(await bought.code())
    await expect(handed).to_contain_text("Ada Example")
    await desk.fits()
    await handed.get_by_role("button", name="One less").click()
    await desk.see("collect").click()
    await expect(desk.see("handed-over")).to_contain_text("The rest stays here")
    await bought.says("ready for you", "Part 2 of 2", "Collected")
    await desk.see("next-buyer").click()
    await desk.scan(await bought.code())
    await desk.see("collect").click()
    await expect(desk.see("handed-over")).to_contain_text("That was all")

    await bought.says("You have collected your order")
    await expect(bought.page.locator(".order-qr")).to_have_count(0)
    assert await bought.kinds() == [("pickup_in_store", "collected")] * 2
    await bought.has_history(
        ("order.confirmed", "buyer"),
        ("fulfilment.ready", STAFF),
        ("fulfilment.collected", STAFF),
        ("fulfilment.collected", STAFF),
    )
    assert await shelves.count(mug) == {WAREHOUSE: 5, ALTONA: 1}


async def test_bought_online_and_shipped_to_the_store(
    house: House, show: str, arrive: Arrive, shelves: Shelves, desk: Counter
) -> None:
    teapot = (await house.variant(TEAPOT, "Oat"))["id"]
    await shelves.fill(teapot, {WAREHOUSE: 3})
    buyer = await _at_checkout(arrive, house, show, TEAPOT, "Oat")
    bought = await buys(buyer, house, store_id=shelves.places[KREUZBERG], expects="Ready")
    assert await shelves.count(teapot) == {WAREHOUSE: 2}

    await desk.order(bought)
    await desk.send("Hermes", "H1002003004005")
    await bought.says("getting your order ready", "On its way to the store")
    await desk.stand_in(KREUZBERG)
    await expect(desk.see("list-coming")).to_contain_text(bought.number)
    await desk.waiting(bought).get_by_test_id("act-ready").click()
    await expect(desk.see("list-waiting")).to_contain_text(bought.number)
    await bought.says("ready for you")
    handed = await desk.scan(await bought.code())
    await expect(handed).to_contain_text(TEAPOT)
    await desk.see("collect").click()
    await expect(desk.see("handed-over")).to_contain_text("That was all")

    await bought.says("You have collected your order")
    assert await bought.kinds() == [("ship_to_store", "collected")]
    await bought.has_history(
        ("order.confirmed", "buyer"),
        ("fulfilment.shipped", STAFF),
        ("fulfilment.ready", STAFF),
        ("fulfilment.collected", STAFF),
    )
    assert await shelves.count(teapot) == {WAREHOUSE: 2}


async def test_shipped_from_a_store(
    house: House, show: str, arrive: Arrive, shelves: Shelves, desk: Counter
) -> None:
    candle = (await house.variant(CANDLE, "Beeswax"))["id"]
    # The store that sends no parcels has it too.
    await shelves.fill(candle, {ALTONA: 2, KREUZBERG: 2})
    buyer = await _at_checkout(arrive, house, show, CANDLE, "Beeswax")
    bought = await buys(buyer, house, expects="Arrives")
    assert await shelves.count(candle) == {ALTONA: 1, KREUZBERG: 2}

    await desk.order(bought)
    await expect(desk.see("fulfilment")).to_contain_text(ALTONA)
    await desk.send("DHL", "00340434161094042558")
    await desk.see("act-deliver").click()
    await expect(desk.see("fulfilment")).to_have_attribute("data-state", "delivered")

    await bought.says("Your order has arrived", "00340434161094042558")
    assert await bought.kinds() == [("ship_from_store", "delivered")]
    await bought.has_history(
        ("order.confirmed", "buyer"),
        ("fulfilment.shipped", STAFF),
        ("fulfilment.delivered", STAFF),
    )


async def test_reserved_online_and_paid_in_the_store(
    house: House, show: str, arrive: Arrive, shelves: Shelves, desk: Counter
) -> None:
    apron = (await house.variant(APRON, "Slate"))["id"]
    await shelves.fill(apron, {WAREHOUSE: 4, ALTONA: 2})
    buyer = await _at_checkout(arrive, house, show, APRON, "Slate")
    altona = shelves.places[ALTONA]
    bought = await buys(buyer, house, store_id=altona, method="at_pickup")
    assert await shelves.count(apron) == {WAREHOUSE: 4, ALTONA: 1}
    payment = (await bought.progress())["order"]["payment"]
    assert (payment["state"], payment["captured"]["amount"]) == ("authorised", 0)

    await desk.stand_in(ALTONA)
    await desk.waiting(bought).get_by_test_id("act-ready").click()
    await expect(desk.see("list-waiting")).to_contain_text(bought.number)
    await bought.says("To be paid in the store", "€54.00")
    handed = await desk.scan(await bought.code())
    await expect(handed).to_contain_text("€54.00")
    await desk.see("collect").click()
    await expect(desk.see("collect-problem")).to_contain_text("Take the money first")
    await desk.see("paid").check()
    await desk.see("collect").click()
    await expect(desk.see("handed-over")).to_contain_text("That was all")

    await bought.says("You have collected your order", "Paid.")
    payment = (await bought.progress())["order"]["payment"]
    assert (payment["state"], payment["captured"]["amount"]) == ("paid", 5400)
    assert await bought.kinds() == [("pickup_in_store", "collected")]
    await bought.has_history(
        ("order.confirmed", "buyer"),
        ("fulfilment.ready", STAFF),
        ("payment.paid", STAFF),
        ("fulfilment.collected", STAFF),
    )


async def test_seen_in_the_store_and_bought_on_the_phone(
    house: House, arrive: Arrive, shelves: Shelves, desk: Counter
) -> None:
    product = await house.product(VASE)
    vase = product["variants"][0]
    await shelves.fill(vase["id"], {WAREHOUSE: 4, KREUZBERG: 2})
    await desk.look_at(f"products/{product['id']}")
    await desk.see("product-qr").click()
    await desk.see("qr-store").select_option(shelves.places[KREUZBERG])
    await expect(desk.see("qr-dialog")).to_contain_text(KREUZBERG)
    picture = desk.see("qr-picture")
    await expect(picture).to_have_attribute("src", re.compile("store="))
    await picture.evaluate("(image) => image.decode()")
    shelf_card = await picture.screenshot()
    await desk.stand_in(KREUZBERG)
    address = await desk.read(shelf_card)
    assert address.startswith(f"{house.base}/?")
    await expect(desk.see("code-problem")).to_contain_text("not a pickup code")

    buyer = await arrive("390")
    await buyer.page.goto(address)
    sheet = buyer.see("product-sheet")
    await expect(sheet.get_by_role("heading", name=VASE)).to_be_visible()
    await expect(buyer.see("way-pickup")).to_contain_text(KREUZBERG)
    await buyer.film_runs()
    await buyer.choose(*vase["values"])
    await buyer.add()
    await buyer.see("view-cart").click()
    await buyer.see("checkout").click()
    await expect(buyer.see(f"delivery-{shelves.places[KREUZBERG]}")).to_be_checked()
    bought = await buys(buyer, house, store_id=shelves.places[KREUZBERG])
    assert await shelves.count(vase["id"]) == {WAREHOUSE: 4, KREUZBERG: 1}

    await desk.look_at("pickups")
    await desk.waiting(bought).get_by_test_id("act-ready").click()
    await expect(desk.see("list-waiting")).to_contain_text(bought.number)
    await bought.says("ready for you")
    await desk.scan(await bought.code())
    await desk.see("collect").click()
    await expect(desk.see("handed-over")).to_contain_text("That was all")
    await bought.says("You have collected your order")
    await bought.has_history(
        ("order.confirmed", "buyer"),
        ("fulfilment.ready", STAFF),
        ("fulfilment.collected", STAFF),
    )


async def test_bought_online_and_returned_in_a_store(
    house: House, show: str, arrive: Arrive, shelves: Shelves, desk: Counter
) -> None:
    sweater = (await house.variant(SWEATER, "L", "Oatmeal"))["id"]
    await shelves.fill(sweater, {WAREHOUSE: 4, KREUZBERG: 1})
    buyer = await _at_checkout(arrive, house, show, SWEATER, "L", "Oatmeal")
    bought = await buys(buyer, house)
    [parcel] = (await bought.progress())["fulfilments"]
    await house.merchant("POST", f"/api/fulfilments/{parcel['id']}/ship", {})
    await house.merchant("POST", f"/api/fulfilments/{parcel['id']}/deliver")
    assert await shelves.count(sweater) == {WAREHOUSE: 3, KREUZBERG: 1}

    page = bought.page
    await page.reload()
    await page.get_by_text("Choose what goes back").click()
    await page.get_by_label("How many").select_option("1")
    await page.get_by_label("Why").select_option("too_small")
    await page.get_by_label("In a store").check()
    await page.get_by_role("button", name="Announce the return").click()
    await expect(page.locator("#return")).to_contain_text("Bring it to one of our stores")

    await desk.stand_in(KREUZBERG)
    await desk.see("tab-returns").click()
    await desk.see("return").filter(has_text=bought.number).get_by_test_id("return-receive").click()
    await expect(desk.see("inspection-location")).to_have_value(shelves.places[KREUZBERG])
    await expect(desk.see("restocked-0")).to_have_value("1")
    await desk.see("deduction").fill("9.00")
    await desk.see("inspection-note").fill("The label was cut off")
    await desk.fits()
    await desk.see("act").click()
    await expect(desk.see("act-dialog")).to_have_count(0)
    assert await shelves.count(sweater) == {WAREHOUSE: 3, KREUZBERG: 2}

    await desk.order(bought)
    await expect(desk.see("refunded")).to_contain_text("140.00")
    await bought.says("Arrived", "€140.00")
    await bought.has_history(
        ("order.confirmed", "buyer"),
        ("fulfilment.shipped", "demo merchant"),
        ("fulfilment.delivered", "demo merchant"),
        ("return.requested", "buyer"),
        ("return.received", STAFF),
        ("refund.owed", STAFF),
        ("refund.done", "system"),
    )


async def test_not_collected_in_time(
    house: House, show: str, arrive: Arrive, shelves: Shelves, desk: Counter
) -> None:
    cap = (await house.variant(CAP, "Forest"))["id"]
    await shelves.fill(cap, {WAREHOUSE: 4, ALTONA: 2})
    buyer = await _at_checkout(arrive, house, show, CAP, "Forest")
    bought = await buys(buyer, house, store_id=shelves.places[ALTONA])
    await desk.stand_in(ALTONA)
    await desk.waiting(bought).get_by_test_id("act-ready").click()
    await expect(desk.see("list-waiting")).to_contain_text(bought.number)
    await bought.says("ready for you")
    assert await shelves.count(cap) == {WAREHOUSE: 4, ALTONA: 1}

    await house.stop()
    _let_time_pass(house.data / "liveshop.sqlite3", bought)
    await house.start()

    async def is_released() -> bool:
        return await bought.kinds() == [("pickup_in_store", "released")]

    await eventually(is_released, "the store to give it up")
    await bought.says("Your order was not collected", "€39.00")
    assert await shelves.count(cap) == {WAREHOUSE: 4, ALTONA: 2}
    await desk.order(bought)
    await expect(desk.see("fulfilment")).to_have_attribute("data-state", "released")
    await expect(desk.see("refunded")).to_contain_text("39.00")
    await bought.has_history(
        ("order.confirmed", "buyer"),
        ("fulfilment.ready", STAFF),
        ("fulfilment.released", "system"),
        ("refund.owed", "system"),
        ("refund.done", "system"),
    )


def _let_time_pass(database: Path, bought: Purchase) -> None:
    """As if the last day on which the store keeps it were over."""
    with sqlite3.connect(database) as conn:
        conn.execute(
            "UPDATE fulfilment SET collect_until = created_at WHERE order_id = ?", (bought.id,)
        )
