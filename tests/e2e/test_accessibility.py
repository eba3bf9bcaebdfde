"""axe on every screen: nothing serious, nothing critical, at a phone's and at a desk's width."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from e2e.conftest import Arrive
from e2e.house import House
from e2e.people import ADMIN, DECLINED_CARD, SIZES, Person
from playwright.async_api import Browser, WebSocketRoute, expect

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.parametrize("size", list(SIZES)),
]

MUG = "Fjord stoneware mug"
SWEATER = "Skagen cable sweater"


class Findings:
    """Looks at one screen after the other and tells them all at the end."""

    def __init__(self, person: Person) -> None:
        self._person = person
        self._found: dict[str, list[str]] = {}

    async def on(self, screen: str) -> None:
        found = await self._person.axe()
        if found:
            self._found[screen] = found

    def none(self) -> None:
        assert not self._found, "\n".join(
            f"{screen}:\n  " + "\n  ".join(lines) for screen, lines in self._found.items()
        )


async def test_player_while_live(house: House, arrive: Arrive, size: str) -> None:
    viewer = await arrive(size)
    await viewer.visit(house)
    await viewer.film_runs()
    await viewer.see("pinned-card").wait_for()
    findings = Findings(viewer)
    await findings.on("chat")
    await viewer.page.get_by_role("button", name="Change name").click()
    await findings.on("chat name")
    await viewer.open_product(SWEATER)
    await findings.on("product")
    await viewer.see("add-to-cart").click()
    await viewer.choose("XL")
    await findings.on("product with a choice")
    await viewer.add()
    await findings.on("product added")
    await viewer.see("view-cart").click()
    await viewer.see("checkout").wait_for()
    await findings.on("cart")
    await viewer.see("checkout").click()
    await expect(viewer.see("total")).to_be_visible()
    await findings.on("checkout")
    await viewer.see("pay").click()
    await expect(viewer.see("checkout-sheet")).to_contain_text("Please enter")
    await findings.on("checkout with mistakes")
    await viewer.fill_address()
    await viewer.pay(DECLINED_CARD)
    await expect(viewer.see("checkout-sheet")).to_contain_text("declined")
    await findings.on("checkout declined")
    await viewer.see("method-invoice").check()
    await findings.on("checkout by invoice")
    await viewer.see("pay").click()
    await viewer.order_number()
    await findings.on("order confirmed")
    await viewer.see("keep-watching").click()
    await findings.on("products")
    await viewer.see("cart-open").click()
    await expect(viewer.see("cart")).to_contain_text("empty")
    await findings.on("empty cart")
    findings.none()


async def test_player_before_after_and_in_trouble(house: House, arrive: Arrive, size: str) -> None:
    viewer = await arrive(size)
    findings = Findings(viewer)
    starts_at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    before = await house.new_show("Before", MUG, state="scheduled", starts_at=starts_at)
    await viewer.visit(house, show=before)
    await viewer.see("remind-email").wait_for()
    await findings.on("before the show")
    await viewer.see("remind-submit").click()
    await findings.on("reminder with mistakes")
    await viewer.see("remind-email").fill("ada@shop.example")
    await viewer.see("remind-consent").check()
    await viewer.see("remind-submit").click()
    await expect(viewer.page.locator("ls-remind")).to_contain_text("We will write")
    await findings.on("reminder taken")
    await viewer.embed(show=await house.new_show("After", MUG, state="ended"))
    await viewer.page.get_by_role("heading", name="This show has ended").wait_for()
    await findings.on("ended")
    await viewer.see("tab-chat").click()
    await findings.on("ended, chat")
    await viewer.embed(show="shw_00000000000000000000000000")
    await viewer.see("show-error").wait_for()
    await findings.on("unknown show")
    await viewer.embed(show=house.show_id, mode="floating")
    await viewer.film_runs()
    await findings.on("floating")
    await viewer.embed(mode="button")
    await viewer.page.locator("liveshop-show .pill").wait_for()
    await findings.on("button")
    await viewer.page.locator("liveshop-show .pill").click()
    await viewer.film_runs()
    await findings.on("button, open")
    findings.none()


async def test_player_without_a_connection(house: House, arrive: Arrive, size: str) -> None:
    viewer = await arrive(size)
    lines: list[WebSocketRoute] = []

    async def line(socket: WebSocketRoute) -> None:
        lines.append(socket)
        if len(lines) == 1:
            socket.connect_to_server()
        else:
            await socket.close(code=4001)

    await viewer.page.route_web_socket("**/live/**", line)
    await viewer.visit(house)
    await viewer.film_runs()
    await lines[0].close(code=4001)
    await viewer.see("connection-banner").wait_for()
    findings = Findings(viewer)
    await findings.on("connection lost")
    findings.none()


async def test_public_pages(house: House, arrive: Arrive, size: str) -> None:
    person = await arrive(size)
    findings = Findings(person)
    for name, path in (
        ("home", "/"),
        ("show page", f"/s/{house.show_id}"),
        ("API in words", "/api/docs"),
        ("error page", "/s/shw_00000000000000000000000000"),
    ):
        await person.page.goto(house.base + path)
        await expect(person.page.get_by_role("heading", level=1).first).to_be_visible()
        await findings.on(name)
    findings.none()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def admin(browser: Browser, house: House) -> Any:
    """The signed-in state of somebody who may see every screen."""
    person = await Person.arrive(browser)
    await person.sign_in(house.desk, ADMIN)
    state = await person.context.storage_state()
    await person.leave()
    return state


Look = Callable[[str, str], Awaitable[None]]


def _looker(person: Person, findings: Findings, base: str) -> Look:
    async def look(name: str, place: str) -> None:
        await person.page.goto(f"{base}#/{place}")
        await expect(person.page.locator("main h1:visible, main h2:visible").first).to_be_visible()
        await expect(person.page.locator(".loading")).to_have_count(0)
        await findings.on(name)

    return look


async def test_studio(house: House, arrive: Arrive, admin: Any, size: str) -> None:
    stranger = await arrive(size)
    await stranger.page.goto(house.studio)
    await stranger.see("sign-in-submit").wait_for()
    doors = Findings(stranger)
    await doors.on("sign in")
    doors.none()

    draft = await house.new_show("A draft", MUG)
    await (await house.someone("Ada Beispiel")).say(house.show_id, f"Hello from a {size} screen")
    person = await arrive(size, state=admin)
    findings = Findings(person)
    look = _looker(person, findings, house.studio)
    await look("shows", "")
    await look("new show", "shows/new")
    await person.see("save-show").click()
    await findings.on("new show with mistakes")
    await look("edit show", f"shows/{house.show_id}/edit")
    await look("draft", f"shows/{draft}")
    await person.see("schedule-show").click()
    await person.see("confirm").wait_for()
    await findings.on("question")
    await person.page.keyboard.press("Escape")
    await look("cockpit", f"shows/{house.show_id}")
    await person.see("embed").click()
    await findings.on("embed dialog")
    await person.page.keyboard.press("Escape")
    if size == "390":
        tabs = person.page.locator("nav.tabs").get_by_role("button")
        for index in range(await tabs.count()):
            await tabs.nth(index).click()
            await findings.on(f"cockpit tab {index + 1}")
        await tabs.nth(1).click()
    await person.see("chat-settings").click()
    await findings.on("chat settings")
    findings.none()


async def test_desk(house: House, arrive: Arrive, admin: Any, size: str) -> None:
    guest = (await house.call("POST", "/api/guests", {}))["token"]
    product = await house.product(MUG)
    line = {"variant_id": product["variants"][1]["id"], "quantity": 1}
    await house.call("POST", "/api/cart/lines", line, token=guest)
    total = (await house.call("POST", "/api/cart/quote", {"country": "DE"}, token=guest))["total"]
    address = {
        "name": "Ada Example",
        "line1": "Weg 1",
        "postal_code": "20095",
        "city": "Hamburg",
        "country": "DE",
    }
    order = await house.call(
        "POST",
        "/api/orders",
        {
            "expected_total": total,
            "email": "ada@shop.example",
            "address": address,
            "payment": {"method": "invoice"},
        },
        token=guest,
        **{"Idempotency-Key": f"axe-order-{size}-0123456789"},
    )
    person = await arrive(size, state=admin)
    findings = Findings(person)
    look = _looker(person, findings, house.desk)
    await look("orders", "orders")
    await look("order", f"orders/{order['id']}")
    await look("products", "products")
    await look("product", f"products/{product['id']}")
    await look("import", "import")
    await look("team", "team")
    await look("keys", "keys")
    findings.none()
