"""What things cost, for those who pay and for those who set it; and who gets the last one."""

import re
from collections.abc import Sequence

import pytest
from e2e.conftest import Arrive
from e2e.house import House
from e2e.people import Person, eventually
from playwright.async_api import Locator, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

MUG = "Fjord stoneware mug"
SET = "Tea for two"
CAP = "Watch cap"
VASE = "Kiesel bottle vase"
SMALL_VASE = "Small, 18 cm"
APRON = "Werk linen apron"
LAMP = "Opal table lamp"
MERCHANT = "merchant@lindholm.example"


def cents(text: str) -> int:
    """The amount in a text such as "−€10.00" or "free"."""
    digits = re.sub(r"\D", "", text)
    return (-1 if "−" in text else 1) * int(digits or 0)


async def said(amount: Locator) -> int:
    return cents(await amount.inner_text())


async def more(viewer: Person, line: int, to: int, *, start: int = 1) -> None:
    row = viewer.see("cart-line").nth(line)
    for quantity in range(start + 1, to + 1):
        await row.get_by_role("button", name="One more").click()
        await expect(row.get_by_role("group")).to_contain_text(str(quantity))


async def explained(viewer: Person) -> list[str]:
    """The steps of the checkout's explanation, which add up to its total."""
    await expect(viewer.see("total")).to_be_visible()
    amounts = [cents(text) for text in await viewer.see("step-amount").all_inner_texts()]
    total = await said(viewer.see("total"))
    assert sum(amounts) == total, (amounts, total)
    assert cents(await viewer.see("pay").inner_text()) == total
    return list(await viewer.see("step").all_inner_texts())


async def on_the_shelf(house: House, variant_id: str, units: int) -> None:
    """So many units of a variant, at one place."""
    path = f"/api/variants/{variant_id}/stock"
    for number, level in enumerate((await house.merchant("GET", path))["stock"]):
        body = {"location_id": level["location_id"], "on_hand": units if number == 0 else 0}
        await house.merchant("PUT", path, body)


async def looking_at(
    arrive: Arrive, house: House, show_id: str, title: str, *values: str, size: str = "1440"
) -> Person:
    viewer = await arrive(size)
    await viewer.page.goto(f"{house.base}/s/{show_id}")
    await viewer.open_product(title)
    await viewer.choose(*values)
    return viewer


async def test_tiers_sets_and_buy_two_get_one_are_explained_to_the_cent(
    house: House, arrive: Arrive
) -> None:
    show_id = await house.new_show("Prices", MUG, SET, CAP, state="live")
    viewer = await looking_at(arrive, house, show_id, MUG, "Oat")
    tiers = viewer.see("tiers").locator("tr")
    await expect(tiers).to_contain_text(["from 4", "from 6"])
    await viewer.add()
    await viewer.page.keyboard.press("Escape")

    await viewer.open_product(SET)
    await expect(viewer.see("product-sheet")).to_contain_text("2 × Fjord stoneware mug")
    await expect(viewer.see("product-sheet")).to_contain_text("1 × Fjord teapot")
    await viewer.page.keyboard.press("Escape")
    for colour in ("Rust", "Forest"):
        await viewer.open_product(CAP)
        await viewer.choose(colour)
        await viewer.add()
        await viewer.page.keyboard.press("Escape")

    await viewer.see("cart-open").click()
    await more(viewer, 0, 3)
    await expect(viewer.see("next-tier")).to_contain_text("1 more, and each costs €26.00")
    await more(viewer, 0, 4, start=3)
    await expect(viewer.see("tier")).to_contain_text("from 4")
    await expect(viewer.see("unit-price").first).to_contain_text("4 × €26.00")
    await expect(viewer.see("line-discount")).to_have_count(0)
    await more(viewer, 1, 2)
    await expect(viewer.see("line-discount")).to_have_count(1)
    await expect(viewer.see("line-discount")).to_contain_text("−€39.00")
    assert await said(viewer.see("goods")) == 4 * 2600 + 2 * 3900

    await viewer.see("checkout").click()
    steps = "\n".join(await explained(viewer))
    assert "buy 3, pay 2" in steps.lower()
    assert "from 4" in steps.lower()
    await viewer.fill_address("Ada Preis")
    await viewer.pay()
    assert (await viewer.order_number()).startswith("L-")


async def test_a_code_is_refused_with_its_reason_or_taken_and_explained(
    house: House, arrive: Arrive
) -> None:
    promotion = await house.merchant(
        "POST",
        "/api/promotions",
        {
            "texts": {"en": "Friends of the house", "de": "Freunde des Hauses"},
            "kind": {"type": "order_percent_off", "permille": 100},
            "codes": ["FRIENDS"],
        },
    )
    show_id = await house.new_show("Codes", MUG, state="live")
    viewer = await looking_at(arrive, house, show_id, MUG, "Moss")
    await viewer.add()
    await viewer.see("view-cart").click()
    await viewer.see("code-open").click()
    await viewer.page.keyboard.press("Enter")
    await expect(viewer.see("code-problem")).to_contain_text("Please enter a code")
    await viewer.page.keyboard.type("nonsense")
    await viewer.page.keyboard.press("Enter")
    await expect(viewer.see("code-problem")).to_contain_text("There is no such code")
    await expect(viewer.see("cart-code")).to_have_count(0)

    await viewer.see("code-input").fill("friends")
    await viewer.page.keyboard.press("Enter")
    await expect(viewer.see("cart-code")).to_contain_text("friends", ignore_case=True)
    await expect(viewer.see("order-discount")).to_contain_text("Friends of the house")
    assert await said(viewer.see("goods")) == 2520
    await viewer.see("checkout").click()
    assert any("Friends of the house" in step for step in await explained(viewer))

    # The merchant takes it back while the checkout is open: nothing is charged that was not said.
    turn = f"/api/promotions/{promotion['id']}/state"
    await house.merchant("POST", turn, {"to": "ended"})
    await viewer.fill_address("Ada Code")
    await viewer.pay()
    sheet = viewer.see("checkout-sheet")
    await expect(sheet).to_contain_text("Nothing was ordered")
    await expect(viewer.see("unused-codes").first).to_contain_text("This code has expired")
    await explained(viewer)
    assert (await house.call("GET", "/api/cart", token=await viewer.token(house)))["lines"]


async def test_a_promotion_made_in_the_desk_reaches_an_open_player_and_its_cart(
    house: House, arrive: Arrive
) -> None:
    vase = await house.product(VASE)
    show_id = await house.new_show("Reduced while you watch", VASE, state="live")
    looker = await looking_at(arrive, house, show_id, VASE, SMALL_VASE, size="390")
    buyer = await looking_at(arrive, house, show_id, VASE, SMALL_VASE)
    await buyer.add()
    await buyer.see("view-cart").click()
    full = await said(buyer.see("goods"))
    reduced = full * 3 // 4

    merchant = await arrive()
    await merchant.sign_in(f"{house.desk}#/promotions/new", MERCHANT)
    await merchant.see("promotion-name-en").fill("Vase week")
    await merchant.see("promotion-name-de").fill("Vasenwoche")
    await merchant.see("promotion-percent").fill("101")
    await merchant.see("save-promotion").click()
    await expect(merchant.see("promotion-form")).to_contain_text("at most 100")
    await merchant.see("promotion-percent").fill("25")
    await merchant.see("promotion-range-products").check(force=True)
    await merchant.see(f"pick-{vase['id']}").click()
    preview = merchant.see("preview-variant").first
    await expect(preview.get_by_test_id("preview-price")).to_contain_text("€29.25")
    await expect(preview).to_contain_text("€29.25 instead of €39.00")
    await merchant.see("save-promotion").click()

    sheet = looker.see("product-sheet")
    await expect(sheet.get_by_test_id("price-was")).to_contain_text("€39.00")
    await expect(sheet.get_by_test_id("price")).to_contain_text("€29.25")
    await expect(sheet.get_by_test_id("lowest-price")).to_contain_text("€39.00")
    await expect(sheet.get_by_test_id("promotion-name")).to_contain_text("Vase week")

    async def cart_follows() -> bool:
        return await said(buyer.see("goods")) == reduced

    await eventually(cart_follows, "the open cart to say the new price")
    await buyer.see("checkout").click()
    await explained(buyer)
    assert await said(buyer.see("step-amount").first) <= full

    row = merchant.see("promotion-row").filter(has_text="Vase week")
    await row.get_by_test_id("turn-promotion").click()
    await expect(row.get_by_test_id("phase")).to_have_attribute("data-phase", "paused")
    await expect(sheet.get_by_test_id("price-was")).to_have_count(0)
    await row.get_by_role("link").click()
    await merchant.see("end-promotion").click()
    await merchant.see("confirm").click()
    await expect(merchant.see("promotion-form").get_by_test_id("save-promotion")).to_have_count(0)


async def test_an_overlap_names_what_is_in_the_way(house: House, arrive: Arrive) -> None:
    merchant = await arrive()
    await merchant.sign_in(f"{house.desk}#/promotions/new", MERCHANT)
    await merchant.see("promotion-name-en").fill("Brighter")
    await merchant.see("promotion-name-de").fill("Heller")
    await merchant.see("promotion-percent").fill("30")
    await merchant.see("promotion-range-category").check(force=True)
    await merchant.see("promotion-category").fill("Home > Lighting")
    await merchant.see("save-promotion").click()
    await expect(merchant.see("promotion-rivals")).to_contain_text("Warm light week")
    await merchant.see("promotion-starts").fill("2030-05-02T10:00")
    await merchant.see("promotion-ends").fill("2030-05-01T10:00")
    await merchant.see("save-promotion").click()
    await expect(merchant.see("promotion-form")).to_contain_text("before it starts")
    await merchant.see("promotion-starts").fill("")
    await merchant.see("promotion-ends").fill("2020-05-01T10:00")
    await expect(merchant.see("promotion-form")).to_contain_text("has passed already")


async def test_a_hold_warns_before_it_ends_and_is_prolonged_once_by_keyboard(
    hasty: House, arrive: Arrive
) -> None:
    show_id = await hasty.new_show("Half a minute", MUG, state="live")
    viewer = await looking_at(arrive, hasty, show_id, MUG, "Moss")
    await viewer.add()
    await viewer.page.keyboard.press("Escape")
    await expect(viewer.see("hold-warning")).to_be_visible(timeout=20_000)
    left = await said(viewer.see("hold-warning-countdown"))
    assert 15 <= left <= 20, "a warning at least 20 seconds before the end, less what it took"
    await viewer.tab_to(testid="hold-extend")
    await viewer.page.keyboard.press("Enter")
    await expect(viewer.see("hold-warning")).to_have_count(0)
    focus = await viewer.focus()
    assert focus["tag"] != "body", "the keyboard must not be lost with the button"

    await expect(viewer.see("hold-warning")).to_be_visible(timeout=20_000)
    await expect(viewer.see("hold-extend")).to_have_count(0)
    await viewer.see("hold-warning").get_by_role("button", name="View cart").click()
    await expect(viewer.see("hold-countdown")).to_be_visible()


async def test_first_paid_first_served_promises_nothing_and_serves_who_pays(
    house: House, arrive: Arrive
) -> None:
    apron = await house.variant(APRON, "Flax")
    show_id = await house.new_show("First paid", APRON)
    await house.host("PATCH", f"/api/shows/{show_id}", {"hold_mode": "first_paid"})
    await house.move(show_id, "live")
    await on_the_shelf(house, apron["id"], 1)
    slow, quick = [
        await looking_at(arrive, house, show_id, APRON, "Flax", size=size)
        for size in ("1440", "390")
    ]
    for viewer in (slow, quick):
        await expect(viewer.see("product-sheet")).to_contain_text("first paid, first served")
        await viewer.add()
        await viewer.see("view-cart").click()
        await expect(viewer.see("hold-none")).to_contain_text("Not reserved")
        await expect(viewer.see("not-held")).to_be_visible()

    await quick.see("checkout").click()
    await quick.fill_address("Quick Buyer")
    await quick.pay()
    await quick.order_number()
    # The other one's open cart says what has become of it, and what can be done.
    line = slow.see("cart-line")
    await expect(line).to_contain_text("Sold out")
    await expect(slow.see("hold-none")).to_have_count(0)
    await line.get_by_test_id("waitlist-join").click()
    await expect(line.get_by_test_id("waitlist-place")).to_contain_text("number 1")
    await line.get_by_test_id("waitlist-leave").click()
    await expect(line.get_by_test_id("waitlist-join")).to_be_visible()
    await slow.see("checkout").click()
    await slow.fill_address("Slow Buyer")
    await slow.pay()
    await expect(slow.see("checkout-sheet")).to_contain_text("has just gone")


async def test_who_let_a_hold_lapse_may_wait_and_takes_the_turn_in_the_same_line(
    hasty: House, arrive: Arrive
) -> None:
    lamp = await hasty.variant(LAMP)
    show_id = await hasty.new_show("One lamp", LAMP, state="live")
    await on_the_shelf(hasty, lamp["id"], 1)
    first, second = await _both(arrive, hasty, show_id)
    await first.add()
    await expect(second.see("product-sheet")).to_contain_text("Sold out")
    await second.see("waitlist-join").click()
    await expect(second.see("waitlist-place")).to_contain_text("number 1")
    await first.see("view-cart").click()

    await expect(second.see("waitlist-offer")).to_be_visible(timeout=60_000)
    line = first.see("cart-line")
    await expect(line).to_contain_text("Sold out")
    await line.get_by_test_id("waitlist-join").click()
    await expect(line.get_by_test_id("waitlist-place")).to_contain_text("number 1")
    await second.see("waitlist-decline").click()
    await expect(second.see("waitlist-offer")).to_have_count(0)
    await expect(first.see("waitlist-offer")).to_be_visible()
    await first.see("waitlist-take").click()
    await expect(first.see("hold-countdown")).to_be_visible()
    await expect(line).to_have_count(1)
    await expect(line.get_by_role("group")).to_contain_text("1")
    assert (await hasty.variant(LAMP))["available"] == 0


async def _both(arrive: Arrive, house: House, show_id: str) -> Sequence[Person]:
    return [await looking_at(arrive, house, show_id, LAMP, size=size) for size in ("390", "1440")]
