"""An offer in a running show: a rush for three units, one clock for all, a turn that comes."""

import asyncio
import re

import pytest
from e2e.conftest import Arrive
from e2e.house import House
from e2e.people import Person, eventually
from playwright.async_api import Locator, expect

pytestmark = [pytest.mark.alone, pytest.mark.asyncio(loop_scope="session")]

BOARD = "Eik serving board"
MUG = "Fjord stoneware mug"
UNITS = 3


async def seconds_left(clock: Locator) -> int:
    minutes, seconds = re.findall(r"\d+", await clock.inner_text())[-2:]
    return int(minutes) * 60 + int(seconds)


async def on_the_shelf(house: House, variant_id: str, units: int) -> None:
    """So many units of a variant, at one place."""
    path = f"/api/variants/{variant_id}/stock"
    for number, level in enumerate((await house.merchant("GET", path))["stock"]):
        on_hand = units if number == 0 else 0
        body = {"location_id": level["location_id"], "on_hand": on_hand}
        await house.merchant("PUT", path, body)


async def start_offer(host: Person, product_id: str) -> None:
    """Two minutes, three units, a quarter off; the preview says so before anybody else does."""
    await host.see(f"offer-start-{product_id}").click()
    await host.see("offer-kind-percent_off").check(force=True)
    await host.see("offer-value").fill("25")
    await host.see("offer-minutes-2").check(force=True)
    await host.see("offer-units-field").fill(str(UNITS))
    await expect(host.see("preview-units")).to_contain_text(str(UNITS))
    await expect(host.see("preview-price")).to_be_visible()
    await host.see("offer-start").click()
    await host.see("offer-dialog").wait_for(state="detached")


async def try_to_add(viewer: Person) -> str:
    """What becomes of pressing the button: `held`, or `gone`."""
    await viewer.see("add-to-cart").click()
    held, gone = viewer.see("view-cart"), viewer.see("waitlist-join")
    await expect(held.or_(gone)).to_be_visible()
    return "held" if await held.is_visible() else "gone"


async def test_four_viewers_rush_for_three_units_and_a_lapsed_hold_goes_to_the_fourth(
    hasty: House, arrive: Arrive
) -> None:
    board = await hasty.variant(BOARD)
    product_id = (await hasty.product(BOARD))["id"]
    show_id = await hasty.new_show("Three boards", BOARD, state="live")
    await on_the_shelf(hasty, board["id"], UNITS)
    host = await arrive("1440")
    viewers = [await arrive(size) for size in ("390", "1440", "390", "1440")]
    await host.sign_in(f"{hasty.studio}#/shows/{show_id}")
    for viewer in viewers:
        await viewer.page.goto(f"{hasty.base}/s/{show_id}")
        await viewer.open_product(BOARD)

    await start_offer(host, product_id)
    for viewer in viewers:
        sheet = viewer.see("product-sheet")
        await expect(sheet.get_by_test_id("offer-countdown").first).to_be_visible()
        await expect(sheet.get_by_test_id("price-was").first).to_be_visible()
        await expect(sheet.get_by_test_id("lowest-price").first).to_be_visible()
        await expect(sheet.get_by_test_id("units-left").first).to_contain_text(str(UNITS))
    clocks = [
        viewer.see("product-sheet").get_by_test_id("offer-countdown").first for viewer in viewers
    ]
    running = host.page.locator(f'[data-product="{product_id}"]').get_by_test_id("offer-countdown")
    left = await asyncio.gather(*map(seconds_left, [*clocks, running]))
    assert max(left) - min(left) <= 1, f"everybody's countdown: {left}"
    assert 60 < min(left) <= 120

    outcomes = await asyncio.gather(*map(try_to_add, viewers))
    assert sorted(outcomes) == ["gone", "held", "held", "held"]
    fourth = viewers[outcomes.index("gone")]
    holders = [viewer for viewer in viewers if viewer is not fourth]
    await expect(
        host.page.locator(f'[data-product="{product_id}"]').get_by_test_id("offer-units")
    ).to_have_text(f"All {UNITS} taken")
    await fourth.see("waitlist-join").click()
    await expect(fourth.see("waitlist-place")).to_contain_text("1")

    # Two buy at the offer's price; the third looks on while his hold runs out.
    for buyer in holders[:2]:
        await buyer.go_to_checkout()
        await buyer.fill_address()
        await buyer.pay()
        await buyer.order_number()
    third = holders[2]
    await expect(third.see("hold-warning").first).to_be_visible(timeout=20_000)
    await expect(fourth.see("waitlist-offer")).to_be_visible(timeout=40_000)
    await fourth.see("waitlist-take").click()
    await expect(fourth.see("cart-line")).to_have_count(1)
    await expect(fourth.see("line-discount")).to_contain_text("25")

    async def all_agree() -> bool:
        left = (await hasty.variant(BOARD))["available"]
        return bool(left == 0)

    await eventually(all_agree, "nothing is left on the shelf")
    await third.see("view-cart").click()
    await expect(third.see("hold-again")).to_be_visible()


async def test_an_offer_refused_beside_another_is_possible_once_that_one_has_ended(
    hasty: House, arrive: Arrive
) -> None:
    mug = (await hasty.product(MUG))["id"]
    show_id = await hasty.new_show("Two at the switch", MUG, state="live")
    host, viewer = await arrive(), await arrive("390")
    await host.sign_in(f"{hasty.studio}#/shows/{show_id}")
    await viewer.page.goto(f"{hasty.base}/s/{show_id}")
    await viewer.open_product(MUG)
    await viewer.choose("Ink")
    await viewer.add()
    await viewer.see("view-cart").click()
    await host.see(f"offer-start-{mug}").click()
    await expect(host.see("preview-ends")).to_be_visible()

    # A colleague is quicker; the open dialog says so, and an open cart has the price.
    offer = {
        "product_id": mug,
        "kind": {"type": "percent_off", "permille": 200},
        "seconds": 10,
    }
    await hasty.host("POST", f"/api/shows/{show_id}/offers", offer)
    await expect(host.see("offer-problem")).to_contain_text("runs already")
    await expect(viewer.see("goods")).to_contain_text("€22.40")
    # Its time is over: the dialog is true again without a touch, and so is the cart.
    await expect(host.see("preview-price")).to_contain_text("€22.40")
    await expect(host.see("offer-problem")).to_have_count(0)
    await expect(viewer.see("goods")).to_contain_text("€28.00")
    await host.see("offer-start").click()
    await expect(host.see("stop-offer")).to_have_count(1)
