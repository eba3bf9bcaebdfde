"""Both sides of connected retail: a buyer with the player on the phone, and the desk in the store.

Both are phones of 390 px. What lies where is told by the places' names, as people do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from e2e.camera import Camera
from e2e.house import House
from e2e.people import GOOD_CARD, Person, eventually
from playwright.async_api import Locator, Page, expect

WAREHOUSE = "Warehouse Hamburg"
ALTONA = "Store Altona"
KREUZBERG = "Store Kreuzberg"

_WATCH_CODES = """() => {
  window.codes = [];
  // The scanner's event does not bubble; on its way down it can be seen all the same.
  document.addEventListener("code", (event) => window.codes.push(event.detail), true);
}"""


class Shelves:
    """How many of an article lie where."""

    def __init__(self, house: House, places: Mapping[str, str]) -> None:
        self._house = house
        self.places = dict(places)
        """Ids by name."""

    @classmethod
    async def of(cls, house: House) -> "Shelves":
        listed = (await house.merchant("GET", "/api/locations"))["locations"]
        return cls(house, {one["name"]: one["id"] for one in listed})

    async def fill(self, variant_id: str, pieces: Mapping[str, int]) -> None:
        """So many at these places, and none elsewhere."""
        for name, place_id in self.places.items():
            wanted = {"location_id": place_id, "on_hand": pieces.get(name, 0)}
            await self._house.merchant("PUT", f"/api/variants/{variant_id}/stock", wanted)

    async def count(self, variant_id: str) -> dict[str, int]:
        """What lies there, by place. Raises AssertionError when a cart holds some of it."""
        stock = (await self._house.merchant("GET", f"/api/variants/{variant_id}/stock"))["stock"]
        assert all(one["held"] == 0 for one in stock), stock
        by_id = {one["location_id"]: one["on_hand"] for one in stock}
        found = {name: by_id.get(place_id, 0) for name, place_id in self.places.items()}
        return {name: pieces for name, pieces in found.items() if pieces}


@dataclass
class Purchase:
    """What a buyer holds after a purchase: the number, and the order's own page in a tab."""

    house: House
    id: str
    number: str
    page: Page

    async def progress(self) -> dict[str, Any]:
        """As staff sees it."""
        return dict(await self.house.merchant("GET", f"/api/orders/{self.id}/progress"))

    async def kinds(self) -> list[tuple[str, str]]:
        """Each fulfilment's kind and state."""
        return [(one["kind"], one["state"]) for one in (await self.progress())["fulfilments"]]

    async def has_history(self, *expected: tuple[str, str]) -> None:
        """What happened, in order, and who did it: a name, or what kind of one it was. Refunds
        arrive a moment later. Raises AssertionError."""

        async def told() -> bool:
            events = (await self.progress())["events"]
            found[:] = [(event["kind"], event["actor_name"] or event["actor"]) for event in events]
            return found == list(expected)

        found: list[tuple[str, str]] = []
        try:
            await eventually(told, "the history")
        except AssertionError:
            assert found == list(expected)

    async def says(self, *texts: str) -> None:
        """The buyer looks at the page again, and it says all of this."""
        await self.page.reload()
        for text in texts:
            await expect(self.page.locator("main")).to_contain_text(text)

    async def code(self) -> bytes:
        """The pickup code as it stands on the buyer's screen."""
        return await self.page.locator(".order-qr").screenshot()


async def buys(
    buyer: Person,
    house: House,
    *,
    store_id: str | None = None,
    method: str = "sandbox",
    expects: str = "",
) -> Purchase:
    """From the opened checkout to the order's page, opened beside the show that goes on.

    `expects`: what the chosen way of delivery says.
    """
    before = await buyer.film_runs()
    sheet = buyer.see("checkout-sheet")
    way = buyer.see(f"delivery-{store_id or 'ship'}")
    await way.check()
    # The total is of what was chosen.
    await expect(buyer.see("pay")).to_be_enabled()
    if expects:
        await expect(sheet.locator(".method.on").filter(has=way)).to_contain_text(expects)
    if store_id is None:
        await buyer.fill_address()
    else:
        await expect(sheet.locator("[name=line1]")).to_have_count(0)
        await sheet.locator("[name=email]").fill("ada@shop.example")
        await sheet.locator("[name=name]").fill("Ada Example")
    await buyer.see(f"method-{method}").check()
    if method == "sandbox":
        await buyer.see("card").fill(GOOD_CARD)
    await buyer.see("pay").click()
    number = await buyer.order_number()
    after = await buyer.film()
    assert after["time"] > before["time"], "the show stood still while its viewer paid"
    assert not after["paused"]
    async with buyer.context.expect_page() as opening:
        await buyer.see("status-link").click()
    page = await opening.value
    await expect(page.locator("main")).to_contain_text(number)
    found = (await house.merchant("GET", f"/api/orders?q={number}"))["orders"]
    [order] = [one for one in found if one["number"] == number]
    return Purchase(house, order["id"], number, page)


class Counter:
    """The desk on the phone of somebody who works there, with its camera."""

    def __init__(self, house: House, person: Person, camera: Camera, places: Mapping[str, str]):
        self.house = house
        self.person = person
        self.camera = camera
        self._places = places

    def see(self, test_id: str) -> Locator:
        return self.person.see(test_id)

    async def look_at(self, place: str) -> None:
        """One of the desk's pages, as it is now."""
        await self.person.page.goto("about:blank")
        await self.person.page.goto(f"{self.house.desk}#/{place}")

    async def order(self, bought: Purchase) -> None:
        """Looks for the order by its number and opens it."""
        await self.look_at("orders")
        await self.see("order-search").fill(bought.number)
        await expect(self.see("order-row")).to_have_count(1)
        await self.see("order-row").get_by_role("link").click()
        await expect(self.see("order-detail")).to_contain_text(bought.number)

    async def stand_in(self, store: str) -> None:
        await self.look_at("pickups")
        await self.see("own-store").select_option(self._places[store])

    def waiting(self, bought: Purchase) -> Locator:
        """The cards of this order among those of the store."""
        return self.see("fulfilment").filter(has_text=bought.number)

    async def send(self, carrier: str, tracking: str) -> None:
        await self.see("act-ship").click()
        await self.see("ship-carrier").fill(carrier)
        await self.see("ship-tracking").fill(tracking)
        await self.see("act").click()
        await expect(self.see("act-dialog")).to_have_count(0)

    async def scan(self, picture: bytes) -> Locator:
        """The buyer holds the phone before the camera; what is to be handed over."""
        self.camera.sees(picture)
        await self.see("scan").click()
        await expect(self.see("hand-over")).to_be_visible()
        return self.see("hand-over")

    async def read(self, picture: bytes) -> str:
        """What a code says, as the camera and the desk's decoder read it."""
        await self.person.page.evaluate(_WATCH_CODES)
        self.camera.sees(picture)
        await self.see("scan").click()
        page = self.person.page
        read = await eventually(lambda: page.evaluate("window.codes[0]"), "a code to be read")
        await self.see("scan-stop").click()
        return str(read)

    async def fits(self) -> None:
        """Nothing makes the page wider than its window."""
        width = await self.person.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, f"the page is {width} px too wide"
