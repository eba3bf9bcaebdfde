"""A rehearsal as strangers, invited guests and staff see it over HTTP and the room's socket."""

import asyncio
import json
import re
from typing import Any

import builders
import pytest
from builders import Api
from rehearsal_builders import bought, guest_of, rehearsed
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from liveshop.app import Liveshop
from liveshop.kernel.ids import ShowId, VariantId
from liveshop.orders.status_link import token_of

TITLE = "An evening with mugs"
PATIENCE = 10.0
BAD_TOKEN, NO_SUCH_SHOW = 4501, 4504


@pytest.fixture
async def mug(site_shop: Liveshop) -> Any:
    return await builders.product(site_shop, title="Practice mug", stock=5)


@pytest.fixture
async def show_id(site_shop: Liveshop, mug: Any) -> ShowId:
    return await rehearsed(site_shop, [mug.id], came_from="scheduled")


async def invited(site: Api, shop: Liveshop, show_id: ShowId) -> Api:
    host = await site.signed_in(await builders.staff(shop, "host"))
    status, invitation = await host.call("POST", f"/api/shows/{show_id}/rehearsal/invite")
    assert status == 200, invitation
    status, guest = await site.call(
        "POST", "/api/rehearsals/guests", {"invitation": invitation["code"]}
    )
    assert (status, guest["show_id"]) == (201, show_id)
    return site.with_token(guest["token"])


def socket(caller: Api, show_id: ShowId) -> connect:
    address = caller.client.make_url(f"/live/{show_id}").with_scheme("ws")
    offered = [Subprotocol("liveshop.v1"), Subprotocol(f"bearer.{caller.token}")]
    return connect(str(address), subprotocols=offered, proxy=None)


def address_of(path: str, known: dict[str, str]) -> str:
    """With what is there, and ids of nothing for everything else."""
    return re.sub(r"\{(\w+)\}", lambda name: known.get(name[1], f"ord_{'0' * 26}"), path)


async def code_of_end(connection: ClientConnection) -> int:
    async with asyncio.timeout(PATIENCE):
        await connection.wait_closed()
    assert connection.close_code is not None
    return connection.close_code


async def test_who_was_invited_takes_part_until_the_rehearsal_ends(
    site: Api, site_shop: Liveshop, show_id: ShowId, mug: Any
) -> None:
    guest = await invited(site, site_shop, show_id)
    status, snapshot = await guest.call("GET", f"/api/shows/{show_id}/snapshot")
    assert (status, snapshot["show"]["state"]) == (200, "rehearsal")
    assert (await guest.call("GET", "/api/shows"))[1]["shows"] == []
    line = {"variant_id": mug.variants[0].id, "quantity": 1, "show_id": show_id}
    assert (await guest.call("POST", "/api/cart/lines", line))[0] == 200
    assert (await guest.call("POST", "/api/cart/lines", line | {"show_id": None}))[0] == 404
    shop = (await guest.call("GET", "/api/shop"))[1]
    assert [one["id"] for one in shop["payment_methods"]] == ["rehearsal"]
    status, order = await guest.order("one", method="rehearsal", show_id=show_id)
    assert (status, order["is_rehearsal"], order["invoice_number"]) == (201, True, None)

    async with socket(guest, show_id) as room:
        assert json.loads(await room.recv())["t"] == "hello"
        await site_shop.shows.change_state(show_id, "scheduled")
        assert 4000 <= await code_of_end(room) < 4500
    async with socket(guest, show_id) as room:
        assert await code_of_end(room) == BAD_TOKEN
    for path in ("/api/cart", f"/api/orders/{order['id']}", f"/api/shows/{show_id}"):
        assert (await guest.call("GET", path))[0] == 401


async def test_an_invitation_is_to_one_rehearsal(
    site: Api, site_shop: Liveshop, show_id: ShowId
) -> None:
    code = (await site_shop.shows.rehearsals.invite(show_id)).code
    forged = code[:-1] + ("A" if code[-1] != "A" else "B")
    for wrong in (forged, code[:26], "x", "ü" * 60):
        answer = await site.fetch("POST", "/api/rehearsals/guests", {"invitation": wrong})
        assert (answer.status, answer.json["code"]) == (403, "bad_invitation")
    await site_shop.shows.change_state(show_id, "scheduled")
    await site_shop.shows.change_state(show_id, "rehearsal")
    answer = await site.fetch("POST", "/api/rehearsals/guests", {"invitation": code})
    assert (answer.status, answer.json["code"]) == (403, "bad_invitation")


async def test_strangers_find_nothing_of_it_anywhere(
    site: Api, site_shop: Liveshop, show_id: ShowId, mug: Any
) -> None:
    """Every address that answers without a permission, asked by who was not invited."""
    variant_id = VariantId(mug.variants[0].id)
    order = await bought(site_shop, await guest_of(site_shop, show_id), show_id, variant_id)
    stranger = await site.as_guest()
    other = await site_shop.shows.create_show(builders.shows_wire.ShowInput(title="Another"))
    await site_shop.shows.change_state(other.id, "rehearsal")
    elsewhere = await invited(site, site_shop, other.id)
    known = {"show_id": show_id, "order_id": order.id, "product_id": mug.id}
    asked = 0
    for caller in (site, stranger, elsewhere):
        for endpoint in site_shop.endpoints:
            if endpoint.method != "GET" or endpoint.access.permission:
                continue
            path = address_of(endpoint.path, known | {"variant_id": variant_id})
            answer = await caller.fetch("GET", path)
            asked += 1
            told = re.sub(r'"request_id":\s*"[^"]*"', "", answer.text)
            assert TITLE not in told, path
            assert order.number not in told, path
            assert order.id not in told, path
            if "{" not in endpoint.path:
                assert show_id not in told, path
            elif "{show_id}" in endpoint.path and "{" not in endpoint.path.replace("{show_id}", ""):
                assert answer.status in (401, 403, 404), (path, answer.status)
        async with socket(caller, show_id) as room:
            assert await code_of_end(room) in (BAD_TOKEN, NO_SUCH_SHOW)
    assert asked > 60


async def test_the_page_is_for_who_has_the_invitation(
    site: Api, site_shop: Liveshop, show_id: ShowId
) -> None:
    code = (await site_shop.shows.rehearsals.invite(show_id)).code
    assert (await site.fetch("GET", f"/s/{show_id}")).status == 404
    assert (await site.fetch("GET", f"/s/{show_id}?invite={code[:-1]}")).status == 404
    page = await site.fetch("GET", f"/s/{show_id}?invite={code}")
    assert page.status == 200
    assert 'data-testid="rehearsal-mark"' in page.text
    assert "application/ld+json" not in page.text
    assert "og:title" not in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["X-Robots-Tag"] == "noindex"


async def test_the_page_of_an_order_says_what_it_is(
    site: Api, site_shop: Liveshop, show_id: ShowId, mug: Any
) -> None:
    variant_id = VariantId(mug.variants[0].id)
    order = await bought(site_shop, await guest_of(site_shop, show_id), show_id, variant_id)
    path = f"/o/{token_of(order.id, builders.SECRET)}"
    page = await site.fetch("GET", path)
    assert page.status == 200
    assert "Rehearsal: nothing is sold" in page.text
    assert "<form" not in page.text
    assert (await site.fetch("GET", f"{path}/invoice")).status == 404
    await site_shop.shows.change_state(show_id, "scheduled")
    assert (await site.fetch("GET", path)).status == 404
