"""A host practises: rehearse, invite a colleague's phone, sell nothing, and throw it all away."""

import pytest
from e2e.conftest import Arrive
from e2e.house import House
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

MUG = "Fjord stoneware mug"
HELLO = "Can you hear me?"


async def test_a_host_rehearses_with_a_colleague(house: House, arrive: Arrive) -> None:
    product = await house.product(MUG)
    show_id = await house.new_show("Practice makes a show", MUG)
    host, colleague = await arrive(), await arrive("390")
    await host.sign_in(house.studio)
    await host.page.goto(f"{house.studio}#/shows/{show_id}")
    await host.see("rehearse").click()
    await host.see("confirm").click()
    await expect(host.see("rehearsal")).to_be_visible()
    await host.see("rehearsal-invite").click()
    link = await host.see("rehearsal-link").input_value()
    await expect(host.see("rehearsal-invitation").locator("img")).to_be_visible()
    await host.page.keyboard.press("Escape")

    await colleague.page.goto(link)
    await expect(colleague.see("rehearsal-mark").first).to_be_visible()
    await colleague.say(HELLO)
    await expect(host.page.get_by_text(HELLO)).to_be_visible()
    await colleague.open_product(MUG)
    await colleague.choose(*product["variants"][0]["values"])
    await colleague.add()
    await colleague.go_to_checkout()
    await colleague.fill_address()
    await colleague.pay()
    assert (await colleague.order_number()).startswith("REHEARSAL-")
    orders = await house.host("GET", f"/api/orders?show_id={show_id}")
    assert orders["orders"] == []
    assert (await house.product(MUG))["variants"] == product["variants"]

    await host.see("end-rehearsal").click()
    await host.see("confirm").click()
    await expect(host.see("rehearse")).to_be_visible()
    await expect(colleague.see("rehearsal-over").first).to_be_visible()
    await expect(host.page.get_by_text(HELLO)).to_have_count(0)
