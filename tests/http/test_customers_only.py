"""A show for customers as its pages, the API and the room's socket show it to each caller."""

import asyncio
import json
from typing import Any

import builders
import pytest
from builders import Api
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from liveshop.app import Liveshop
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ShowId
from liveshop.shows import wire

TITLE = "An evening among friends"
PATIENCE = 10.0
LOG_LOST, NO_SUCH_SHOW = 4009, 4504


@pytest.fixture
async def show_id(site_shop: Liveshop) -> ShowId:
    mug = await builders.product(site_shop, title="Secret mug")
    created = await site_shop.shows.create_show(
        wire.ShowInput(title=TITLE, product_ids=[mug.id], audience="customers")
    )
    await site_shop.shows.change_state(created.id, "live")
    return created.id


async def customer(site: Api, clock: ManualClock, name: str = "customer-1") -> Api:
    status, answer = await site.call(
        "POST", "/api/customers/sign-on", {"token": builders.storefront_jwt(clock, sub=name)}
    )
    assert status == 200, answer
    return site.with_token(answer["token"])


def socket(caller: Api, show_id: ShowId, **place: Any) -> connect:
    address = caller.client.make_url(f"/live/{show_id}").with_scheme("ws").with_query(place)
    offered = [Subprotocol("liveshop.v1"), Subprotocol(f"bearer.{caller.token}")]
    return connect(str(address), subprotocols=offered, proxy=None)


async def hello(connection: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        found: dict[str, Any] = json.loads(await connection.recv())
    return found


async def code_of_end(connection: ClientConnection) -> int:
    async with asyncio.timeout(PATIENCE):
        await connection.wait_closed()
    assert connection.close_code is not None
    return connection.close_code


READS = ["", "/snapshot", "/offers", "/calendar.ics"]


@pytest.mark.parametrize("path", READS)
async def test_the_api_refuses_strangers_and_guests(site: Api, show_id: ShowId, path: str) -> None:
    for caller in (site, await site.as_guest()):
        answer = await caller.fetch("GET", f"/api/shows/{show_id}{path}")
        assert (answer.status, answer.json["code"]) == (403, "customers_only")
        assert TITLE not in answer.text


async def test_customers_get_the_same_signed_address(
    site: Api, clock: ManualClock, show_id: ShowId
) -> None:
    addresses = set()
    for name in ("customer-1", "customer-2"):
        caller = await customer(site, clock, name)
        status, snapshot = await caller.call("GET", f"/api/shows/{show_id}/snapshot")
        assert status == 200
        assert snapshot["video"] == {"state": "none", "since": None, "back_by": None}
        addresses.add(snapshot["show"]["hls"])
    (address,) = addresses
    assert f"/hls/{show_id}~" in address


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "This show is for customers"), ("de", "Diese Show ist für Kundinnen und Kunden")],
)
async def test_its_page_says_so_in_words_and_nothing_of_the_show(
    site: Api, show_id: ShowId, language: str, words: str
) -> None:
    page = await site.fetch("GET", f"/s/{show_id}?lang={language}", Accept="text/html")
    assert page.status == 403
    assert words in page.text
    assert TITLE not in page.text
    assert "Secret mug" not in page.text
    assert "noindex" in page.text


async def test_staff_see_the_page(site: Api, site_shop: Liveshop, show_id: ShowId) -> None:
    host = await site.signed_in(await builders.staff(site_shop, "host"))
    page = await host.fetch("GET", f"/s/{show_id}", Accept="text/html")
    assert page.status == 200
    assert TITLE in page.text


async def test_no_page_leads_to_it(site: Api, site_shop: Liveshop, show_id: ShowId) -> None:
    assert show_id not in (await site.fetch("GET", "/", Accept="text/html")).text
    found = await site_shop.shows.list_shows(None, builders.ALL_RIGHTS)
    (product_id,) = found[0].lineup
    page = await site.fetch("GET", f"/?product={product_id}", Accept="text/html")
    assert page.status == 200
    asked = f"{site_shop.settings.public_url}/s/{show_id}"
    assert (await site.fetch("GET", f"/oembed?url={asked}")).status == 403
    assert (await site.call("GET", "/api/shows"))[1] == {"shows": []}


async def test_the_room_is_closed_to_guests_and_open_to_customers(
    site: Api, clock: ManualClock, show_id: ShowId
) -> None:
    async with socket(await site.as_guest(), show_id) as connection:
        assert await code_of_end(connection) == NO_SUCH_SHOW
    async with socket(await customer(site, clock), show_id) as connection:
        assert (await hello(connection))["you"]["kind"] == "customer"


async def test_guests_leave_the_room_of_a_show_that_closes_to_them(
    site: Api, site_shop: Liveshop, clock: ManualClock, show_id: ShowId
) -> None:
    await site_shop.shows.change_show(show_id, wire.ShowChange(audience="everyone"))
    guest, member = await site.as_guest(), await customer(site, clock)
    async with socket(guest, show_id) as one, socket(member, show_id) as other:
        place = await hello(one)
        await hello(other)
        await site_shop.shows.change_show(show_id, wire.ShowChange(audience="customers"))
        assert await code_of_end(one) == LOG_LOST
        assert await code_of_end(other) == LOG_LOST
    resume = {"epoch": place["epoch"], "offset": place["offset"]}
    async with socket(guest, show_id, **resume) as connection:
        assert await code_of_end(connection) == NO_SUCH_SHOW
    async with socket(member, show_id, **resume) as connection:
        assert (await hello(connection))["epoch"] != place["epoch"]
