"""A payment that the buyer confirms, over HTTP: what his page gets to know and may ask."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import builders
import pytest
from builders import Api
from payment_builders import CONFIRM_CARD

from liveshop.app import Liveshop, wire
from liveshop.kernel.clock import ManualClock
from liveshop.storage import Database


@pytest.fixture
async def guest(api: Api, shop: Liveshop) -> Api:
    """With a mug in his cart."""
    mug = (await builders.product(shop, stock=3)).variants[0].id
    buyer = await api.as_guest()
    status, _ = await buyer.call("POST", "/api/cart/lines", {"variant_id": mug})
    assert status == 200
    return buyer


async def places(guest: Api, key: str = "key-1") -> Any:
    status, order = await guest.order(key, card=CONFIRM_CARD)
    assert status == 201, order
    assert (order["state"], order["payment"]["state"]) == ("pending", "action_required")
    return order


async def act(guest: Api, order: Any, what: str, body: Any = None) -> Any:
    status, answer = await guest.call("POST", f"/api/orders/{order['id']}/payment/{what}", body)
    assert status == 200, answer
    return answer


async def test_the_buyer_fails_and_then_confirms(guest: Api) -> None:
    order = await places(guest)
    client = order["payment"]["client"]
    assert client["secret"]
    failed = await act(guest, order, "sandbox", {"outcome": "fail"})
    assert failed["state"] == "pending"
    assert "not confirmed" in failed["payment"]["message"]
    assert failed["payment"]["client"] == client
    left = await act(guest, order, "sandbox", {"outcome": "abandon"})
    assert left["payment"]["client"] == client
    assert (await act(guest, order, "check"))["payment"]["client"] == client
    confirmed = await act(guest, order, "sandbox", {"outcome": "succeed"})
    assert (confirmed["state"], confirmed["payment"]["state"]) == ("confirmed", "paid")
    assert confirmed["payment"]["client"] is None
    assert (await act(guest, order, "cancel"))["state"] == "confirmed", "too late"


async def test_the_secret_is_told_to_the_buyer_in_his_payment_only(api: Api, guest: Api) -> None:
    order = await places(guest)
    _, read = await guest.call("GET", f"/api/orders/{order['id']}")
    assert read["payment"]["client"] is None
    other = await api.as_guest()
    for what in ("check", "cancel", "sandbox"):
        body = {"outcome": "succeed"} if what == "sandbox" else None
        status, problem = await other.call(
            "POST", f"/api/orders/{order['id']}/payment/{what}", body
        )
        assert (status, problem["code"]) == (404, "unknown_order")
    assert (await act(guest, order, "check"))["state"] == "pending"


async def test_called_off_the_cart_is_back(guest: Api) -> None:
    order = await places(guest)
    _, empty = await guest.call("GET", "/api/cart")
    assert empty["lines"] == []
    assert (await act(guest, order, "cancel"))["state"] == "payment_failed"
    _, cart = await guest.call("GET", "/api/cart")
    assert [(line["quantity"], line["hold"]) for line in cart["lines"]] == [(1, "held")]
    late = await act(guest, order, "sandbox", {"outcome": "succeed"})
    assert (late["state"], late["payment"]["state"]) == ("payment_failed", "declined")
    assert (await guest.order("key-2"))[1]["state"] == "confirmed"


async def test_what_is_known_of_a_buyer_saves_him_typing(api: Api, guest: Api) -> None:
    status, nobody = await guest.call("GET", "/api/buyer")
    assert status == 200
    assert nobody == dict.fromkeys(["email", "address", "delivery", "method", "pending"])
    order = await places(guest)
    _, waiting = await guest.call("GET", "/api/buyer")
    assert waiting["pending"]["id"] == order["id"]
    assert waiting["pending"]["payment"]["client"] == order["payment"]["client"]
    await act(guest, order, "sandbox", {"outcome": "succeed"})
    _, known = await guest.call("GET", "/api/buyer")
    assert (known["email"], known["method"], known["pending"]) == (
        "ada@example.org",
        "sandbox",
        None,
    )
    assert known["address"]["city"] == "Hamburg"
    assert known["delivery"] == {"kind": "ship", "store_id": None}
    _, other = await (await api.as_guest()).call("GET", "/api/buyer")
    assert other["email"] is None


async def test_the_page_is_closed_and_the_background_finds_out(
    guest: Api, shop: Liveshop, clock: ManualClock
) -> None:
    """The expired payment is called off without anybody asking."""
    order = await places(guest)
    clock.advance(timedelta(minutes=16))
    shop.reconciler.wake()
    state = "pending"
    while state == "pending":
        _, read = await guest.call("GET", f"/api/orders/{order['id']}")
        state = read["state"]
    assert state == "payment_failed"


async def test_the_player_is_told_the_ways_to_pay(api: Api) -> None:
    _, shop = await api.call("GET", "/api/shop")
    assert [(one["id"], one["test"]) for one in shop["payment_methods"]] == [
        ("sandbox", True),
        ("invoice", False),
    ]
    assert all(one["deliveries"] == ["pickup", "ship"] for one in shop["payment_methods"])


def test_without_the_sandbox_nobody_confirms_in_it(
    database_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    settings = builders.test_settings(
        tmp_path / "data", database_url=database_url, payments__methods=["invoice", "at_pickup"]
    )
    shop = wire(settings, Database.open(database_url), None, clock)
    paths = {endpoint.path for endpoint in shop.endpoints}
    assert "/api/orders/{order_id}/payment/check" in paths
    assert "/api/orders/{order_id}/payment/sandbox" not in paths
    shop.media.close()
