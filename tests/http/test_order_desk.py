"""Returns, refunds and cancelling over HTTP: what goes wrong, told in words, and nobody sees what
is not his."""

from typing import Any

import builders
import pytest
from builders import Api
from order_desk_builders import House

from liveshop.app import Liveshop
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import LocationId, ProductId, VariantId, ViewerId
from liveshop.orders.model import Order

SHIRT = {"position": 0, "quantity": 1, "reason": "too_small"}


@pytest.fixture
def house(shop: Liveshop, clock: ManualClock) -> House:
    return House.over(shop, clock)


@pytest.fixture
async def place(house: House) -> LocationId:
    return await house.place()


@pytest.fixture
async def article(house: House) -> tuple[ProductId, VariantId]:
    return await house.variant()


@pytest.fixture
async def ada(api: Api) -> Api:
    return await api.as_guest()


@pytest.fixture
async def staff(api: Api, shop: Liveshop) -> Api:
    return api.with_token(await builders.staff_key(shop, "merchant"))


@pytest.fixture
async def order(
    house: House, ada: Api, place: LocationId, article: tuple[ProductId, VariantId]
) -> Order:
    """Of Ada: two shirts, here since today."""
    _, me = await ada.call("GET", "/api/me")
    return await house.arrived([(article, 2, 2000)], place, viewer_id=ViewerId(me["viewer_id"]))


def of_shirts(count: int, **more: Any) -> dict[str, Any]:
    return {"kind": "by_post", "lines": [{**SHIRT, "quantity": count}], **more}


async def test_a_buyer_sends_a_shirt_back_and_staff_gives_the_money_back(
    ada: Api, staff: Api, order: Order, place: LocationId
) -> None:
    status, asked = await ada.call(
        "POST", f"/api/orders/{order.id}/returns", of_shirts(1, note="Too tight")
    )
    assert (status, asked["state"], asked["worth"]) == (201, "requested", None)
    status, listed = await staff.call("GET", "/api/returns?state=requested")
    assert [one["id"] for one in listed["returns"]] == [asked["id"]]

    found = {
        "location_id": place,
        "lines": [{"position": 0, "accepted": 1, "restocked": 0}],
        "deduction": {"amount": 100, "currency": "EUR"},
        "note": "A stain",
    }
    status, received = await staff.call("POST", f"/api/returns/{asked['id']}/receive", found)

    assert (status, received["state"]) == (200, "received")
    assert received["refund"]["amount"] == {"amount": 900, "currency": "EUR"}
    assert (received["refund"]["cause"], received["refund"]["state"]) == ("returned", "due")
    again = await staff.call("POST", f"/api/returns/{asked['id']}/receive", found)
    assert (again[0], again[1]["code"]) == (409, "not_now")


async def test_what_cannot_be_returned_is_told_in_words(ada: Api, order: Order) -> None:
    for body, detail in (
        (of_shirts(3), "at most 2"),
        ({"kind": "by_post", "lines": [{**SHIRT, "position": 7}]}, "no such line"),
        ({"kind": "by_post", "lines": [SHIRT, SHIRT]}, "once"),
        (of_shirts(1, note="x" * 501), "Expected"),
        ({"kind": "by_post", "lines": [{**SHIRT, "quantity": 0}]}, "Expected"),
    ):
        status, problem = await ada.call("POST", f"/api/orders/{order.id}/returns", body)
        assert status == 422, problem
        assert detail in problem["detail"]


async def test_a_stranger_finds_nothing_to_return(
    api: Api, ada: Api, staff: Api, shop: Liveshop, order: Order
) -> None:
    _, asked = await ada.call("POST", f"/api/orders/{order.id}/returns", of_shirts(1))
    reader = api.with_token(await builders.key_with(shop, "orders:read"))
    for stranger in (await api.as_guest(), reader):
        for path, body in (
            (f"/api/orders/{order.id}/returns", of_shirts(1)),
            (f"/api/returns/{asked['id']}/withdraw", {}),
        ):
            status, problem = await stranger.call("POST", path, body)
            assert (status, problem["code"][:8]) == (404, "unknown_")
    other = await api.as_guest()
    status, _ = await other.call("POST", f"/api/orders/{order.id}/feedback", {"effort": 1})
    assert status == 404

    status, kept = await ada.call("POST", f"/api/returns/{asked['id']}/withdraw", {})
    assert (status, kept["state"]) == (200, "withdrawn")


async def test_a_refund_has_a_key_and_a_reason_and_an_end(staff: Api, order: Order) -> None:
    path = f"/api/orders/{order.id}/refunds"
    given = {"amount": {"amount": 490, "currency": "EUR"}, "note": "The parcel was late"}
    status, problem = await staff.call("POST", path, given)
    assert status == 400, problem
    for _ in range(2):
        status, progress = await staff.call("POST", path, given, Idempotency_Key="one")
        assert status == 201, progress
        assert [one["amount"]["amount"] for one in progress["refunds"]] == [490]
    for wrong, key, code in (
        ({**given, "amount": {"amount": 2001, "currency": "EUR"}}, "two", "refund_too_large"),
        ({**given, "amount": {"amount": 1, "currency": "USD"}}, "two", "invalid"),
        ({**given, "amount": {"amount": 0, "currency": "EUR"}}, "two", "invalid"),
        ({**given, "note": " "}, "two", "bad_text"),
        ({**given, "amount": {"amount": 491, "currency": "EUR"}}, "one", "idempotency_key_reused"),
        (given, "k" * 81, "invalid"),
    ):
        status, problem = await staff.call("POST", path, wrong, Idempotency_Key=key)
        assert (status in (409, 422), problem["code"]) == (True, code)
    status, problem = await staff.call(
        "POST",
        path,
        {**given, "amount": {"amount": 2001, "currency": "EUR"}},
        Idempotency_Key="two",
    )
    assert problem["data"]["refundable"] == {"amount": 2000, "currency": "EUR"}


async def test_an_order_is_cancelled_with_its_reason_until_something_has_left(
    house: House,
    staff: Api,
    order: Order,
    place: LocationId,
    article: tuple[ProductId, VariantId],
) -> None:
    status, problem = await staff.call("POST", f"/api/orders/{order.id}/cancel", {"note": "x"})
    assert (status, problem["code"], problem["data"]["state"]) == (409, "not_now", "delivered")
    other = await house.order([(article, 1, 1000)], place)
    status, problem = await staff.call("POST", f"/api/orders/{other.id}/cancel", {})
    assert (status, problem["code"]) == (422, "bad_text")

    status, progress = await staff.call(
        "POST", f"/api/orders/{other.id}/cancel", {"note": "He asked for it"}
    )

    assert (status, progress["order"]["state"]) == (200, "cancelled")
    assert [one["cause"] for one in progress["refunds"]] == ["cancelled"]
    assert "order.cancelled" in [event["kind"] for event in progress["events"]]


async def test_staff_notes_money_that_came_and_went_by_hand(
    house: House, staff: Api, place: LocationId, article: tuple[ProductId, VariantId]
) -> None:
    order = await house.order([(article, 1, 1000)], place, method="invoice", payment="authorised")
    status, progress = await staff.call("POST", f"/api/orders/{order.id}/paid", {})
    assert (status, progress["order"]["payment"]["state"]) == (200, "paid")
    given = {"amount": {"amount": 100, "currency": "EUR"}, "note": "A scratch"}
    _, progress = await staff.call(
        "POST", f"/api/orders/{order.id}/refunds", given, Idempotency_Key="k"
    )
    [owed] = progress["refunds"]
    assert (owed["state"], owed["by_hand"]) == ("due", True)

    status, progress = await staff.call("POST", f"/api/refunds/{owed['id']}/done")

    assert (status, progress["refunds"][0]["state"]) == (200, "done")


async def test_two_questions_are_answered_and_counted(ada: Api, staff: Api, order: Order) -> None:
    path = f"/api/orders/{order.id}/feedback"
    status, _ = await ada.call("POST", path, {"effort": 8})
    assert status == 422
    await ada.call("POST", path, {"effort": 6})
    status, given = await ada.call("POST", path, {"satisfaction": 5, "comment": "Nice 🎉"})
    assert (status, given["effort"], given["comment"]) == (200, 6, "Nice 🎉")

    _, found = await staff.call("GET", "/api/feedback/summary?since=2026-01-01T00:00:00Z")
    assert (found["count"], found["satisfied"], found["effort"]["mean"]) == (1, 1.0, 6.0)
    _, found = await staff.call("GET", "/api/feedback/summary?since=2027-01-01T00:00:00Z")
    assert (found["count"], found["satisfied"], found["effort"]["mean"]) == (0, None, None)


async def test_what_returns_say_of_a_size_is_on_the_product(
    house: House, ada: Api, place: LocationId, article: tuple[ProductId, VariantId]
) -> None:
    _, shown = await ada.call("GET", f"/api/products/{article[0]}")
    assert shown["fit"] is None
    sold = await house.arrived([(article, 10, 9990)], place)

    await house.send_back(sold, {0: 5}, place, reason="too_small")

    _, shown = await ada.call("GET", f"/api/products/{article[0]}")
    assert shown["fit"] == "runs_small"
