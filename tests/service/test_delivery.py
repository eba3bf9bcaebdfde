"""Ways of delivery: what a buyer is offered, what he is promised, and where his goods are taken."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import builders
import pytest
from builders import Api
from checkout_builders import Bank, audit, viewer, wish, wish_of, with_bank
from store_builders import ADDRESS, hours, store

from liveshop.app import Liveshop
from liveshop.catalog.holds import OutOfStock
from liveshop.catalog.model import Location
from liveshop.checkout.model import (
    CannotCollect,
    CartEmpty,
    PromiseChanged,
    SoldOutWhilePaying,
    UnknownStore,
)
from liveshop.checkout.order_wish import OrderWish
from liveshop.checkout.wire import DeliveryOption
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import Invalid
from liveshop.kernel.ids import LocationId, VariantId, ViewerId
from liveshop.kernel.money import Money
from liveshop.kernel.text import BadText
from liveshop.orders import store as orders_store
from liveshop.orders.model import Order
from liveshop.orders.wire import Address
from liveshop.payments.model import BadPaymentInput
from liveshop.promotions import wire as promotions_wire
from liveshop.promotions.delivery import NotDelivered

ADA, BOB = viewer(1), viewer(2)
BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 11, 23, 12, 0, tzinfo=BERLIN)


class Places:
    """A warehouse, a store that ships too, and one that does not."""

    def __init__(self, warehouse: LocationId, altona: Location, berlin: Location) -> None:
        self.warehouse, self.altona, self.berlin = warehouse, altona.id, berlin.id

    @property
    def all(self) -> list[LocationId]:
        return [self.warehouse, self.altona, self.berlin]


@pytest.fixture
async def places(shop: Liveshop, clock: ManualClock) -> Places:
    clock.advance(MONDAY - clock.now())
    return Places(
        await builders.location(shop, priority=1),
        await store(shop, "Altona", priority=2),
        await store(shop, "Berlin", priority=3, is_shipping=False),
    )


async def mug(shop: Liveshop, places: Places, *stock: int, **given: Any) -> VariantId:
    """One with so much in the warehouse, in Altona, in Berlin."""
    made = await builders.product(shop, stock=stock, places=places.all, **given)
    return VariantId(made.variants[0].id)


async def options(
    shop: Liveshop, buyer: ViewerId = ADA, country: str = "DE", language: str = "en"
) -> dict[str, DeliveryOption]:
    """Of the buyer's cart, by the store's name, or `ship`."""
    found = await shop.carts.delivery_options(buyer, country, language)
    return {one.title or one.kind: one for one in found.options}


async def order(
    shop: Liveshop, buyer: ViewerId, store_id: LocationId | None = None, **changes: Any
) -> Order:
    quote = await shop.carts.quote(buyer, "DE", "en", "pickup" if store_id else "ship", store_id)
    assert quote.delivery is not None
    asked = replace(
        wish(quote.total),
        delivery="pickup" if store_id else "ship",
        store_id=store_id,
        expected_until=quote.delivery.promise.until if quote.delivery.promise else None,
    )
    return await shop.orders.place_order(buyer, f"key-{buyer}", replace(asked, **changes))


async def on_hand(shop: Liveshop, variant_id: VariantId, places: Places) -> list[int]:
    """By location; nothing may be held any more."""
    rows = {row.location_id: row for row in await audit(shop.database, [variant_id])}
    assert all(row.held == 0 for row in rows.values())
    return [rows[place].on_hand for place in places.all if place in rows]


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=BERLIN)


def until(option: DeliveryOption) -> datetime:
    assert option.promise is not None
    return option.promise.until


# Options


async def test_each_way_says_what_it_costs_and_when_the_goods_are_there(
    shop: Liveshop, places: Places
) -> None:
    await shop.carts.add_to_cart(ADA, await mug(shop, places, 5, 1, 1), 1, None)
    found = await options(shop)
    assert list(found) == ["ship", "Altona", "Berlin"]
    shipped, altona, berlin = found.values()
    assert (shipped.price.amount, altona.price.amount) == (490, 0)  # type: ignore[union-attr]
    assert shipped.promise is not None
    assert shipped.promise.from_ == at("11-24T00:00")
    assert shipped.promise.until == at("11-26T23:59:59")
    assert (altona.here, berlin.here, shipped.here) == ("all", "all", None)
    assert until(altona) == at("11-23T13:00"), "an hour of opening time from now"
    assert altona.hours_today == [("10:00", "19:00")]
    assert altona.address == "Markt 1, 22765 Hamburg"
    assert shipped.payment_methods == ["sandbox", "invoice"]
    assert all(one.problem is None for one in found.values())


async def test_what_is_not_in_the_store_is_sent_there(shop: Liveshop, places: Places) -> None:
    await shop.carts.add_to_cart(ADA, await mug(shop, places, 5, 1, 0), 2, None)
    found = await options(shop)
    assert (found["Altona"].here, found["Berlin"].here) == ("some", "none")
    # Leaves today, is there tomorrow or on Wednesday, and ready before the store closes.
    assert found["Berlin"].promise is not None
    assert found["Berlin"].promise.from_ == at("11-24T10:00")
    assert until(found["Berlin"]) == until(found["Altona"]) == at("11-25T19:00")


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Mug: only in the store, Berlin. Collect it there."),
        ("de", "Mug: nur in der Filiale, Berlin. Hol es dort ab."),
    ],
)
async def test_stock_of_a_store_that_does_not_ship_can_only_be_collected_there(
    shop: Liveshop, places: Places, language: str, said: str
) -> None:
    await shop.carts.add_to_cart(ADA, await mug(shop, places, 0, 0, 3), 1, None)
    found = await options(shop, language=language)
    assert found["ship"].problem == said
    assert found["Altona"].problem is not None
    assert found["Altona"].here is None
    assert (found["Berlin"].problem, found["Berlin"].here) == (None, "all")
    with pytest.raises(OutOfStock, match="only in the store, Berlin"):
        await order(shop, ADA)
    assert (await order(shop, ADA, places.berlin)).state == "confirmed"


async def test_a_country_nobody_ships_to_can_still_collect(shop: Liveshop, places: Places) -> None:
    await shop.carts.add_to_cart(ADA, await mug(shop, places, 5, 5, 5), 1, None)
    found = await options(shop, country="FR", language="de")
    assert found["ship"].problem == "In dieses Land versenden wir nicht."
    assert (found["ship"].price, found["ship"].promise) == (None, None)
    assert found["Altona"].problem is None
    with pytest.raises(NotDelivered):
        await shop.carts.quote(ADA, "FR")
    assert (await shop.carts.quote(ADA, "FR", "en", "pickup", places.altona)).shipping.amount == 0


async def test_a_store_that_does_not_open_promises_nothing(shop: Liveshop, places: Places) -> None:
    closed = await store(shop, "Closed", hours=hours({}, d2026_01_02=[["10:00", "12:00"]]))
    await shop.carts.add_to_cart(ADA, await mug(shop, places, 5), 1, None)
    option = (await options(shop))["Closed"]
    assert option.problem == "This store is closed for the time being."
    assert (option.promise, option.hours_today) == (None, [])
    with pytest.raises(CannotCollect):
        await order(shop, ADA, closed.id)


async def test_an_empty_cart_has_no_ways(shop: Liveshop, places: Places) -> None:
    with pytest.raises(CartEmpty):
        await options(shop)


async def test_a_variant_tells_its_ways_to_anybody(shop: Liveshop, places: Places) -> None:
    only_berlin = await mug(shop, places, 0, 0, 1)
    found = (await shop.carts.delivery_of(only_berlin, "DE", "de")).options
    assert [one.problem is None for one in found] == [False, False, True]
    await shop.carts.add_to_cart(BOB, only_berlin, 1, None)
    found = (await shop.carts.delivery_of(only_berlin, "DE", "de")).options
    assert {one.problem for one in found} == {"Mug ist ausverkauft."}


async def test_parts_of_a_bundle_come_from_where_each_lies(shop: Liveshop, places: Places) -> None:
    cup = await mug(shop, places, 0, 4, 0, title="Cup")
    pot = await mug(shop, places, 3, 0, 1, title="Pot")
    made = await builders.bundle(shop, {cup: 2, pot: 1})
    both = VariantId(made.variants[0].id)
    await shop.carts.add_to_cart(ADA, both, 1, None)
    found = await options(shop)
    assert [one.here for one in found.values()] == [None, "some", "some"]
    assert (await order(shop, ADA, places.berlin)).state == "confirmed"
    assert await on_hand(shop, cup, places) == [0, 2, 0]
    assert await on_hand(shop, pot, places) == [3, 0, 0], "Berlin's own pot, though another held"


# Orders


async def test_what_is_collected_is_taken_from_the_store(shop: Liveshop, places: Places) -> None:
    variant_id = await mug(shop, places, 5, 2, 0)
    await shop.carts.add_to_cart(ADA, variant_id, 3, None)
    placed = await order(shop, ADA, places.altona)
    assert await on_hand(shop, variant_id, places) == [4, 0, 0]
    assert (placed.delivery, placed.store_id) == ("pickup", places.altona)
    assert placed.pickup_code is not None
    assert len(placed.pickup_code) == 10
    assert not set(placed.pickup_code) - set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    assert placed.promise is not None
    assert placed.promise.until == at("11-25T19:00")
    assert placed.shipping.amount == 0


async def test_what_is_shipped_has_no_code_and_leaves_the_store_its_stock(
    shop: Liveshop, places: Places
) -> None:
    variant_id = await mug(shop, places, 1, 0, 5)
    await shop.carts.add_to_cart(BOB, variant_id, 1, None)
    await shop.carts.add_to_cart(ADA, variant_id, 1, None)
    await shop.carts.remove_line(BOB, (await shop.carts.cart_of(BOB)).lines[0].id)  # type: ignore[arg-type]
    placed = await order(shop, ADA)
    assert await on_hand(shop, variant_id, places) == [0, 0, 5], "held in Berlin, sent from here"
    assert (placed.pickup_code, placed.store_id) == (None, None)
    assert placed.promise is not None


async def test_a_hold_of_somebody_else_stays_where_it_is(shop: Liveshop, places: Places) -> None:
    variant_id = await mug(shop, places, 1, 0, 1)
    await shop.carts.add_to_cart(BOB, variant_id, 1, None)
    await shop.carts.add_to_cart(ADA, variant_id, 1, None)
    with pytest.raises(OutOfStock) as refused:
        await order(shop, ADA)
    assert refused.value.data == {"variant_id": variant_id, "available": 0}
    assert [line.hold for line in (await shop.carts.cart_of(ADA)).lines] == ["held"]
    assert (await order(shop, ADA, places.berlin)).state == "confirmed"
    assert (await order(shop, BOB)).state == "confirmed"
    assert await on_hand(shop, variant_id, places) == [0, 0, 0]


async def test_a_lapsed_hold_stands_in_nobodys_way(
    shop: Liveshop, places: Places, clock: ManualClock
) -> None:
    variant_id = await mug(shop, places, 1, 0, 1)
    await shop.carts.add_to_cart(BOB, variant_id, 1, None)
    clock.advance(timedelta(minutes=5))
    await shop.carts.add_to_cart(ADA, variant_id, 1, None)
    clock.advance(timedelta(minutes=6))
    assert (await options(shop))["ship"].problem is None
    assert (await order(shop, ADA)).state == "confirmed"
    assert await on_hand(shop, variant_id, places) == [0, 0, 1]


async def test_a_later_promise_than_the_screen_showed_places_nothing(
    shop: Liveshop, places: Places, clock: ManualClock
) -> None:
    variant_id = await mug(shop, places, 5, 5, 5)
    await shop.carts.add_to_cart(ADA, variant_id, 1, None)
    shown = await wish_of(shop, ADA)
    clock.advance(timedelta(hours=1, minutes=55))
    await shop.carts.hold_again(ADA)
    before = (await shop.carts.quote(ADA, "DE")).delivery
    assert before is not None
    clock.advance(timedelta(minutes=5, seconds=1))
    late = replace(shown, expected_until=until(before))
    with pytest.raises(PromiseChanged) as refused:
        await shop.orders.place_order(ADA, "key", late)
    told = refused.value.data["quote"]["delivery"]["promise"]
    assert datetime.fromisoformat(told["until"]) == at("11-27T23:59:59")
    assert await shop.carts.cart_of(ADA)
    seen = (await shop.carts.quote(ADA, "DE")).delivery
    assert seen is not None
    assert until(seen) == at("11-27T23:59:59")
    placed = await shop.orders.place_order(ADA, "key", replace(shown, expected_until=until(seen)))
    assert placed.promise is not None
    assert placed.promise.until == until(seen)


async def test_a_buyer_may_take_some_minutes_to_pay_for_a_pickup(
    shop: Liveshop, places: Places, clock: ManualClock
) -> None:
    for buyer in (ADA, BOB):
        await shop.carts.add_to_cart(buyer, await mug(shop, places, 0, 5), 1, None)
    shown = until((await options(shop))["Altona"])
    clock.advance(timedelta(minutes=9))
    placed = await order(shop, ADA, places.altona, expected_until=shown)
    assert placed.promise is not None
    assert placed.promise.until == shown == at("11-23T13:00")
    clock.advance(timedelta(minutes=2))
    await shop.carts.hold_again(BOB)
    with pytest.raises(PromiseChanged):
        await order(shop, BOB, places.altona, expected_until=shown)


@pytest.mark.parametrize("left", [1, 0])
async def test_what_lapsed_while_paying_is_taken_again_from_the_right_place(
    shop: Liveshop, places: Places, clock: ManualClock, left: int
) -> None:
    """Its hold has run out, and another buyer may have taken what lay in the right place."""
    variant_id = await mug(shop, places, 1, 0, 3)
    bank = Bank()

    async def be_slow() -> None:
        clock.advance(timedelta(minutes=31))
        if not left:
            await shop.carts.add_to_cart(BOB, variant_id, 1, None)

    await shop.carts.add_to_cart(ADA, variant_id, 1, None)
    given = await wish_of(shop, ADA, method="bank")
    bank.before = be_slow
    paying = with_bank(shop, bank).place_order(ADA, "key", given)
    if left:
        assert (await paying).state == "confirmed"
        assert await on_hand(shop, variant_id, places) == [0, 0, 3]
        return
    with pytest.raises(SoldOutWhilePaying):
        await paying
    rows = {row.location_id: row.on_hand for row in await audit(shop.database, [variant_id])}
    assert [rows[place] for place in places.all] == [1, 0, 3]


async def test_a_pickup_that_lapsed_while_paying_is_taken_from_its_store_again(
    shop: Liveshop, places: Places, clock: ManualClock
) -> None:
    variant_id = await mug(shop, places, 5, 0, 1)
    bank = Bank()

    async def be_slow() -> None:
        clock.advance(timedelta(minutes=31))

    await shop.carts.add_to_cart(ADA, variant_id, 1, None)
    given = await wish_of(shop, ADA, method="bank")
    quote = await shop.carts.quote(ADA, "DE", "en", "pickup", places.berlin)
    bank.before = be_slow
    placed = await with_bank(shop, bank).place_order(
        ADA,
        "key",
        replace(given, expected_total=quote.total, delivery="pickup", store_id=places.berlin),
    )
    assert placed.state == "confirmed"
    assert await on_hand(shop, variant_id, places) == [5, 0, 0]


async def test_a_pickup_needs_a_name_only(shop: Liveshop, places: Places) -> None:
    short = Address(name=" Ada 🦊 עדה ", country="DE")
    assert short.to_model(is_whole=False).name == "Ada 🦊 עדה"
    with pytest.raises(BadText) as refused:
        short.to_model()
    assert refused.value.data["field"] == "address.line1"
    with pytest.raises(BadText):
        Address(name="x" * 121, country="DE").to_model(is_whole=False)
    await shop.carts.add_to_cart(ADA, await mug(shop, places, 0, 5), 1, None)
    placed = await order(shop, ADA, places.altona, address=short.to_model(is_whole=False))
    async with shop.database.read() as conn:
        known = await orders_store.by_id(conn, placed.id)
    assert known is not None
    assert known.address == placed.address


async def test_ways_that_are_none_are_refused(shop: Liveshop, places: Places) -> None:
    await shop.carts.add_to_cart(ADA, await mug(shop, places, 5, 5), 1, None)
    for no_store in ("loc_none", None, places.warehouse):
        with pytest.raises(UnknownStore):
            await shop.carts.quote(ADA, "DE", "en", "pickup", no_store)
    with pytest.raises(Invalid):
        await shop.carts.quote(ADA, "DE", "en", "ship", places.altona)


async def test_the_same_key_for_another_delivery_is_another_order(places: Places) -> None:
    one = wish_for(places, "ship")
    other = wish_for(places, "pickup")
    assert one.digest() != other.digest()
    assert one.digest() == replace(one, expected_until=MONDAY).digest()


def wish_for(places: Places, kind: Any) -> OrderWish:
    return replace(
        wish(Money(1, "EUR")), delivery=kind, store_id=places.altona if kind == "pickup" else None
    )


async def test_paying_at_pickup_is_for_pickups(
    shop: Liveshop, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = next(one for one in shop.payments.all() if one.method == "sandbox")
    monkeypatch.setattr(type(sandbox), "deliveries", property(lambda _: frozenset({"pickup"})))
    await shop.carts.add_to_cart(ADA, await mug(shop, places, 5, 5), 1, None)
    assert (await options(shop))["ship"].payment_methods == ["invoice"]
    with pytest.raises(BadPaymentInput, match="collected in a store"):
        await order(shop, ADA)
    assert (await order(shop, ADA, places.altona)).state == "confirmed"


# Prices


async def test_a_pickup_costs_no_shipping_and_the_stores_taxes(
    shop: Liveshop, places: Places
) -> None:
    vienna = await store(shop, "Vienna", country="AT")
    variant_id = await mug(shop, places, 5, price=10_000, weight_grams=50)
    await shop.promotions.create_promotion(
        promotions_wire.PromotionInput(
            texts={"en": "Free", "de": "Frei"},
            kind=promotions_wire.FreeShipping(),
            codes=["FREE"],
        )
    )
    await shop.carts.add_to_cart(ADA, variant_id, 1, None)
    await shop.carts.add_code(ADA, "free")
    shipped = await shop.carts.quote(ADA, "DE")
    quote = await shop.carts.quote(ADA, "DE", "en", "pickup", vienna.id)
    assert (shipped.total.amount, quote.total.amount) == (10_000, 10_000)
    assert [one.reason for one in shipped.codes] == [None]
    assert [one.reason for one in quote.codes] == ["does_not_apply"]
    assert quote.country == "AT"
    assert not any("shipping" in step.text for step in quote.explanation)
    placed = await order(shop, ADA, vienna.id)
    assert (placed.total.amount, placed.shipping.amount) == (10_000, 0)
    assert sum(step.amount.amount for step in placed.explanation) == 10_000


# HTTP


@pytest.fixture
async def guest(api: Api) -> Api:
    return await api.as_guest()


async def test_a_pickup_over_http(shop: Liveshop, places: Places, guest: Api) -> None:
    variant_id = await mug(shop, places, 5, 5, 5)
    assert (await guest.call("POST", "/api/cart/lines", {"variant_id": variant_id}))[0] == 200
    status, found = await guest.call("POST", "/api/cart/delivery", {"country": "DE"})
    assert status == 200, found
    altona = next(one for one in found["options"] if one["title"] == "Altona")
    delivery = {"kind": "pickup", "store_id": altona["store_id"]}
    status, quote = await guest.call(
        "POST", "/api/cart/quote", {"country": "DE", "delivery": delivery}
    )
    assert (status, quote["delivery"]) == (200, altona)
    asked = {
        "expected_total": quote["total"],
        "email": "ada@example.org",
        "address": {"name": "Ada Example", "country": "DE"},
        "payment": {"method": "invoice"},
        "delivery": delivery,
        "expected_until": quote["delivery"]["promise"]["until"],
    }
    status, placed = await guest.call("POST", "/api/orders", asked, Idempotency_Key="k")
    assert status == 201, placed
    assert placed["store_id"] == altona["store_id"]
    assert len(placed["pickup_code"]) == 10
    assert placed["promise"] == altona["promise"]
    naive = asked | {"expected_until": "2026-11-23T13:00:00"}
    assert (await guest.call("POST", "/api/orders", naive, Idempotency_Key="l"))[0] == 422
    no_street = asked | {"delivery": {"kind": "ship"}}
    status, problem = await guest.call("POST", "/api/orders", no_street, Idempotency_Key="m")
    assert (status, problem["data"]["field"]) == (422, "address.line1")


def names(found: Sequence[Any]) -> list[str]:
    return [one["name"] for one in found]


async def test_stores_are_kept_over_http(shop: Liveshop, api: Api, clock: ManualClock) -> None:
    merchant = api.with_token(await builders.staff_key(shop, "merchant"))
    given = {
        "name": "Markt 🧶",
        "kind": "store",
        "address": ADDRESS,
        "hours": {"weekly": {"1": [["09:00", "12:30"], ["14:00", "24:00"]]}},
        "is_pickup": True,
        "is_shipping": False,
    }
    status, made = await merchant.call("POST", "/api/locations", given)
    assert status == 201, made
    status, stores = await api.call("GET", "/api/stores")
    assert (status, names(stores["stores"])) == (200, ["Markt 🧶"])
    assert stores["stores"][0]["time_zone"] == "Europe/Berlin"
    path = f"/api/locations/{made['id']}"
    changed = given | {"name": "Hof", "time_zone": "Europe/Vienna"}
    assert (await merchant.call("PUT", path, changed))[1]["name"] == "Hof"
    assert (await api.call("GET", "/api/stores"))[1]["stores"][0]["time_zone"] == "Europe/Vienna"
    assert (await merchant.call("PUT", path, given | {"is_pickup": False}))[0] == 200
    assert (await api.call("GET", "/api/stores"))[1] == {"stores": []}
    assert (await merchant.call("PUT", "/api/locations/loc_none", given))[0] == 404


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("time_zone", {"time_zone": "Mars/Olympus"}),
        ("address", {"address": None}),
        ("address.country", {"address": ADDRESS | {"country": "US"}}),
        ("hours", {"hours": None}),
        ("hours", {"hours": {"weekly": {"1": []}}}),
        ("is_pickup", {"kind": "warehouse"}),
        ("hours.weekly", {"hours": {"weekly": {"8": [["09:00", "10:00"]]}}}),
        ("hours.weekly", {"hours": {"weekly": {"1": [["10:00", "09:00"]]}}}),
        ("hours.weekly", {"hours": {"weekly": {"1": [["09:00", "12:00"], ["11:00", "13:00"]]}}}),
        ("hours.weekly", {"hours": {"weekly": {"1": [["13:00", "14:00"], ["09:00", "12:00"]]}}}),
        ("hours.exceptions", {"hours": {"weekly": {}, "exceptions": {"2026-2-30": []}}}),
        ("name", {"name": "\u202e "}),
        ("address.city", {"address": ADDRESS | {"city": "\u200b\u200b"}}),
    ],
)
async def test_a_store_nobody_could_use_is_refused(
    shop: Liveshop, api: Api, field: str, change: dict[str, Any]
) -> None:
    merchant = api.with_token(await builders.key_with(shop, "catalog:write"))
    given = {
        "name": "Markt",
        "kind": "store",
        "address": ADDRESS,
        "hours": {"weekly": {"1": [["09:00", "12:30"]]}},
        "is_pickup": True,
    }
    status, problem = await merchant.call("POST", "/api/locations", given | change)
    assert status == 422, problem
    assert problem["data"]["field"] == field


async def test_a_code_beside_a_product_opens_it_in_the_show(
    shop: Liveshop, places: Places, api: Api
) -> None:
    host = api.with_token(await builders.staff_key(shop, "host"))
    product = await builders.product(shop)
    show = await builders.live_show(shop, [product.id])
    path = f"/api/products/{product.id}/qr.svg?show={show}&store={places.altona}"
    answer = await host.fetch("GET", path)
    assert answer.status == 200, answer.text
    assert answer.headers["Content-Type"].startswith("image/svg+xml")
    assert answer.text.lstrip().startswith(("<?xml", "<svg"))
    for wrong in ("show=shw_none", "store=loc_none"):
        wrong_path = f"/api/products/{product.id}/qr.svg?{wrong}"
        assert (await host.fetch("GET", wrong_path)).status == 404
    assert (await host.fetch("GET", "/api/products/prd_none/qr.svg")).status == 404
