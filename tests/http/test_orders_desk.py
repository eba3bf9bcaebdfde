"""Orders, parcels and pickups over HTTP: who sees what, and what staff is told."""

import csv
import io
from collections.abc import Awaitable, Callable
from datetime import timedelta
from urllib.parse import quote

import builders
import pytest
from builders import Api
from order_builders import Article, make_ready, only_fulfilment, opened, store_place
from order_desk_builders import STAFF, House, eur

from liveshop.app import Liveshop
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import LocationId, ViewerId
from liveshop.orders import wire
from liveshop.orders.model import Order

Maker = Callable[..., Awaitable[Order]]


@pytest.fixture
def house(site_shop: Liveshop, clock: ManualClock) -> House:
    return House.over(site_shop, clock)


@pytest.fixture
async def store(site_shop: Liveshop) -> LocationId:
    return await store_place(site_shop.catalog)


@pytest.fixture
async def mug(site_shop: Liveshop) -> Article:
    product = await builders.product(site_shop, stock=5)
    return product.id, product.variants[0].id


@pytest.fixture
async def merchant(site: Api, site_shop: Liveshop) -> Api:
    return site.with_token(await builders.staff_key(site_shop, "merchant"))


@pytest.fixture
def parcel(house: House, mug: Article, store: LocationId) -> Maker:
    async def make(**of: object) -> Order:
        return await opened(house, [(mug, 2, 5600)], {(mug[1], store): 2}, **of)  # type: ignore[arg-type]  # what `opened` takes

    return make


async def viewer_of(guest: Api) -> ViewerId:
    _, me = await guest.call("GET", "/api/me")
    return ViewerId(me["viewer_id"])


async def test_a_parcel_is_sent_and_delivered(merchant: Api, parcel: Maker) -> None:
    order = await parcel()
    _, work = await merchant.call("GET", "/api/fulfilments?state=open")
    [one] = work["fulfilments"]
    assert (one["order_number"], one["kind"], one["location"], one["recipient"]) == (
        order.number,
        "ship_from_store",
        "Store",
        "Ada Example",
    )
    assert [(item["title"], item["pieces"]) for item in one["items"]] == [("Shirt", 2)]
    address = f"/api/fulfilments/{one['id']}"
    status, sent = await merchant.call(
        "POST", f"{address}/ship", {"carrier": "DHL", "tracking": "0034"}
    )
    assert (status, sent["state"], sent["tracking"]) == (200, "shipped", "0034")
    status, refused = await merchant.call("POST", f"{address}/ready")
    assert (status, refused["code"], refused["data"]["state"]) == (409, "not_now", "shipped")
    status, arrived = await merchant.call("POST", f"{address}/deliver")
    assert (status, arrived["state"]) == (200, "delivered")
    status, nobody = await merchant.call("POST", "/api/fulfilments/ful_x/ship", {})
    assert (status, nobody["code"]) == (404, "unknown_fulfilment")


async def test_the_work_list_has_the_oldest_first_and_goes_on(
    merchant: Api, parcel: Maker, clock: ManualClock, store: LocationId
) -> None:
    orders = []
    for _ in range(3):
        orders.append(await parcel())
        clock.advance(timedelta(seconds=1))
    await parcel(store_id=store)
    _, first = await merchant.call("GET", "/api/fulfilments?kind=ship_from_store&limit=2")
    _, rest = await merchant.call(
        "GET", f"/api/fulfilments?kind=ship_from_store&limit=2&cursor={first['next']}"
    )
    listed = [one["order_number"] for one in first["fulfilments"] + rest["fulfilments"]]
    assert listed == [order.number for order in orders]
    assert rest["next"] is None
    _, here = await merchant.call("GET", f"/api/fulfilments?store_id={store}")
    assert [one["store"] for one in here["fulfilments"]] == ["Store"]


async def test_a_code_is_scanned_and_the_goods_handed_over(
    merchant: Api, house: House, parcel: Maker, store: LocationId
) -> None:
    order = await parcel(store_id=store)
    await make_ready(house, order)
    scanned = quote(f"https://shop.example/pickup?code={order.pickup_code}", safe="")
    status, seen = await merchant.call("GET", f"/api/pickups/{scanned}?store_id={store}")
    assert (status, seen["order_number"], seen["name"]) == (200, order.number, "Ada Example")
    assert [(item["pieces"], item["is_here"]) for item in seen["items"]] == [(2, True)]
    address = f"/api/pickups/{order.pickup_code}/collect"
    status, wrong = await merchant.call("POST", address, {"store_id": "loc_other"})
    assert (status, wrong["code"], wrong["data"]) == (409, "wrong_store", {"store_id": store})
    status, done = await merchant.call("POST", address, {})
    assert status == 200
    assert done["collected_at"] is not None
    status, again = await merchant.call("POST", address, {})
    assert (status, again["code"], again["data"]["state"]) == (409, "not_now", "collected")
    assert "2026-11-21 at 20:00" in again["detail"]


async def test_codes_cannot_be_guessed(
    merchant: Api, site: Api, site_shop: Liveshop, clock: ManualClock
) -> None:
    answers = [await merchant.call("GET", f"/api/pickups/0000000{i:03d}") for i in range(31)]
    assert {status for status, _ in answers[:30]} == {404}
    assert {answer["code"] for _, answer in answers[:30]} == {"unknown_pickup"}
    status, limited = answers[30]
    assert (status, limited["code"]) == (429, "rate_limited")
    assert limited["retry_after"] > 0
    other = site.with_token(await builders.key_with(site_shop, "orders:write"))
    assert (await other.call("POST", "/api/pickups/0000000000/collect", {}))[0] == 404
    clock.advance(timedelta(seconds=10))
    assert (await merchant.call("GET", "/api/pickups/0000000000"))[0] == 404


async def test_a_buyer_sees_his_order_and_staff_sees_all_of_it(
    site: Api, merchant: Api, house: House, parcel: Maker, store: LocationId
) -> None:
    guest, other = await site.as_guest(), await site.as_guest()
    order = await parcel(store_id=store, viewer_id=await viewer_of(guest))
    await make_ready(house, order)
    await house.desk.refund(order.id, "a", eur(100), "Between us", STAFF)
    address = f"/api/orders/{order.id}/progress"
    status, his = await guest.call("GET", address)
    assert status == 200
    assert (his["store"], his["events"]) == ("Store", [])
    assert his["order"]["pickup_code"] == order.pickup_code
    assert [one["state"] for one in his["fulfilments"]] == ["ready"]
    assert [(one["note"], one["amount"]["amount"]) for one in his["refunds"]] == [(None, 100)]
    assert "Tests" not in str(his)
    assert "/o/" in his["status_url"]
    status, all_of_it = await merchant.call("GET", address)
    assert status == 200
    assert all_of_it["order"]["pickup_code"] is None
    assert [(event["kind"], event["actor_name"]) for event in all_of_it["events"]] == [
        ("fulfilment.ready", "Tests"),
        ("refund.owed", "Tests"),
    ]
    assert [one["note"] for one in all_of_it["refunds"]] == ["Between us"]
    assert (await other.call("GET", address))[0] == 404
    assert (await guest.call("GET", f"/api/orders/{order.id}"))[1]["pickup_code"]
    assert (await merchant.call("GET", f"/api/orders/{order.id}"))[1]["pickup_code"] is None


async def test_what_has_arrived_can_be_returned_and_is_told_so(
    merchant: Api, house: House, parcel: Maker
) -> None:
    order = await parcel()
    one = await only_fulfilment(house, order)
    await house.fulfilments.ship(one.id, STAFF, wire.ShipInput())
    await house.fulfilments.deliver(one.id, STAFF)
    _, seen = await merchant.call("GET", f"/api/orders/{order.id}/progress")
    assert [(line["quantity"], line["unit_refund"]["amount"]) for line in seen["returnable"]] == [
        (2, 2800)
    ]
    assert seen["returnable_until"] > "2026-12-21"


async def test_orders_are_searched_and_paged(
    merchant: Api, parcel: Maker, clock: ManualClock
) -> None:
    orders = []
    for _ in range(3):
        orders.append(await parcel())
        clock.advance(timedelta(seconds=1))
    _, one = await merchant.call("GET", f"/api/orders?q={orders[1].number}")
    assert [order["id"] for order in one["orders"]] == [orders[1].id]
    _, first = await merchant.call("GET", "/api/orders?q=ada&limit=2")
    _, rest = await merchant.call("GET", f"/api/orders?q=ada&limit=2&cursor={first['next']}")
    listed = [order["id"] for order in first["orders"] + rest["orders"]]
    assert listed == [order.id for order in reversed(orders)]
    for wrong in ("since=2026-01-01", "since=2026-01-01T00:00:00", "since=0001-01-01T00:00:00Z"):
        status, refused = await merchant.call("GET", f"/api/orders?{wrong}")
        assert (status, refused["code"]) == (422, "invalid"), wrong
        assert (await merchant.call("GET", f"/api/orders.csv?{wrong}"))[0] == 422


async def test_a_table_is_a_file_that_nobody_keeps(merchant: Api, parcel: Maker) -> None:
    order = await parcel()
    answer = await merchant.fetch("GET", "/api/orders.csv?q=ada")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="orders-2026-11-21.csv"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    rows = list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig"), newline="")))
    assert [(row["order"], row["quantity"]) for row in rows] == [(order.number, "2")]
    head = await merchant.fetch("HEAD", "/api/orders.csv")
    assert (head.status, head.body) == (200, b"")
