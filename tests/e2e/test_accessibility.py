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
BOARD = "Eik serving board"
SET = "Tea for two"


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


async def test_prices_and_holds(hasty: House, arrive: Arrive, size: str) -> None:
    mug = await hasty.product(MUG)
    show = await hasty.new_show("An offer", MUG, SET, state="live")
    offer = {
        "product_id": mug["id"],
        "kind": {"type": "percent_off", "permille": 250},
        "seconds": 600,
        "units": 3,
    }
    await hasty.host("POST", f"/api/shows/{show}/offers", offer)
    viewer = await arrive(size)
    findings = Findings(viewer)
    await viewer.page.goto(f"{hasty.base}/s/{show}")
    await viewer.open_product(SET)
    await findings.on("product that is a set")
    await viewer.page.keyboard.press("Escape")
    await viewer.open_product(MUG)
    await viewer.choose("Oat")
    await viewer.see("product-sheet").get_by_test_id("offer-countdown").first.wait_for()
    await findings.on("product with an offer")
    await viewer.add()
    await viewer.see("view-cart").click()
    await viewer.see("code-open").click()
    await viewer.see("code-input").fill("nonsense")
    await viewer.see("code-apply").click()
    await expect(viewer.see("code-problem")).to_contain_text("no such code")
    await findings.on("cart with a wrong code")
    await viewer.see("code-input").fill("WELCOME10")
    await viewer.see("code-apply").click()
    await viewer.see("cart-code").wait_for()
    await findings.on("cart with a code")
    await viewer.see("hold-warning").wait_for(timeout=20_000)
    await findings.on("cart with a warning")
    await viewer.page.keyboard.press("Escape")
    await viewer.see("hold-warning").wait_for()
    await findings.on("warning beside the show")
    await viewer.see("cart-open").click()
    await viewer.see("hold-again").wait_for(timeout=40_000)
    await findings.on("cart with a lapsed hold")
    findings.none()


async def test_waitlists(hasty: House, arrive: Arrive, size: str) -> None:
    board = await hasty.product(BOARD)
    variant_id = board["variants"][0]["id"]
    path = f"/api/variants/{variant_id}/stock"
    for number, level in enumerate((await hasty.merchant("GET", path))["stock"]):
        body = {"location_id": level["location_id"], "on_hand": 1 if number == 0 else 0}
        await hasty.merchant("PUT", path, body)
    show = await hasty.new_show("The last one", BOARD, state="live")
    viewer = await arrive(size)
    await viewer.page.goto(f"{hasty.base}/s/{show}")
    await viewer.open_product(BOARD)
    quicker = await hasty.someone()
    line = {"variant_id": variant_id, "quantity": 1, "show_id": show}
    cart = await hasty.call("POST", "/api/cart/lines", line, token=quicker.token)
    await viewer.see("waitlist-join").wait_for()
    findings = Findings(viewer)
    await findings.on("sold out")
    await viewer.see("waitlist-join").click()
    await viewer.see("waitlist-place").wait_for()
    await findings.on("waiting")
    await viewer.page.keyboard.press("Escape")
    [first] = cart["lines"]
    await hasty.call("DELETE", f"/api/cart/lines/{first['id']}", token=quicker.token)
    await viewer.see("waitlist-offer").wait_for()
    await findings.on("a turn")
    await viewer.see("waitlist-take").click()
    await viewer.see("cart-line").wait_for()
    await viewer.page.keyboard.press("Escape")
    await viewer.open_product(BOARD)
    await viewer.see("last-is-mine").wait_for()
    await findings.on("product whose last unit is the viewer's")
    await viewer.see("view-cart").click()
    await viewer.page.get_by_role("button", name=f"Remove {BOARD}").click()
    await expect(viewer.see("cart-line")).to_have_count(0)
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
    running = await house.new_show(f"Offers at {size}", MUG, state="live")
    mug = (await house.product(MUG))["id"]
    await look("cockpit of another show", f"shows/{running}")
    await person.see(f"offer-start-{mug}").click()
    await person.see("offer-preview-card").wait_for()
    await findings.on("offer dialog")
    await person.see("offer-value").fill("101")
    await person.see("offer-units-field").fill("1.5")
    await person.see("offer-variants-some").check(force=True)
    await person.see("offer-start").click()
    await findings.on("offer dialog with mistakes")
    await person.see("offer-value").fill("25")
    await person.see("offer-units-field").fill("3")
    await person.see("offer-variants-all").check(force=True)
    await person.see("preview-units").wait_for()
    await person.see("offer-start").click()
    await person.see("offer-dialog").wait_for(state="detached")
    await person.see("stop-offer").wait_for()
    await findings.on("cockpit with an offer")
    await person.see(f"offer-start-{mug}").click()
    await person.see("offer-problem").wait_for()
    await findings.on("offer dialog, refused")
    await person.page.keyboard.press("Escape")
    await house.move(running, "ended")
    await look("cockpit again", f"shows/{house.show_id}")
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
    await person.see("act-ship").click()
    await findings.on("ship dialog")
    await person.page.keyboard.press("Escape")
    await person.see("cancel-order").click()
    await findings.on("cancel dialog")
    await person.page.keyboard.press("Escape")
    await look("pickups", "pickups")
    store = await person.see("own-store").locator("option").last.get_attribute("value")
    await person.see("own-store").select_option(store)
    await person.see("scan").click()
    await person.see("camera-problem").wait_for()
    await findings.on("pickups without a camera")
    await look("returns", "returns")
    await look("take back", f"returns/new/{order['id']}")
    await look("mails", "mails")
    await person.see("mail-row").first.click()
    await person.see("mail").wait_for()
    await findings.on("mail")
    await person.page.keyboard.press("Escape")
    await look("stores", "stores")
    await look("new store", "stores/new")
    await person.see("add-exception").click()
    await person.see("save-store").click()
    await findings.on("new store with mistakes")
    await look("products", "products")
    await look("product", f"products/{product['id']}")
    await person.see("product-qr").click()
    await findings.on("QR for the shelf")
    await person.page.keyboard.press("Escape")
    await look("edit product", f"products/{product['id']}/edit")
    await look("promotions", "promotions")
    await look("new promotion", "promotions/new")
    await person.see("save-promotion").click()
    await findings.on("new promotion with mistakes")
    await person.see("promotion-percent").fill("10")
    await person.see("preview-variant").first.wait_for()
    await findings.on("new promotion with its preview")
    promotions = (await house.merchant("GET", "/api/promotions"))["promotions"]
    await look("promotion", f"promotions/{promotions[-1]['id']}")
    await look("import", "import")
    await look("team", "team")
    await look("keys", "keys")
    findings.none()
