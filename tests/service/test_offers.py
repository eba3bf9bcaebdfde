"""Offers of a running show: started, seen, run out and stopped, as everybody in the room hears."""

from datetime import timedelta
from typing import Any

import builders
import msgspec
import pytest
from builders import ALL_RIGHTS, Api

from liveshop.app import Liveshop
from liveshop.catalog.model import Product
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ProductId, ShowId
from liveshop.promotions.model import OverlappingPromotion, UnknownPromotion
from liveshop.promotions.wire import (
    AmountOff,
    BuyXGetY,
    FixedPrice,
    OrderPercentOff,
    PercentOff,
    PromotionInput,
)
from liveshop.shows import wire as shows_wire
from liveshop.shows.model import NotInLineup, ShowNotLive, UnknownShow
from liveshop.shows.wire import OfferInput
from liveshop.storage import Published
from liveshop.web import ANONYMOUS, MoneyOut

QUARTER = PercentOff(permille=250)


def euros(amount: int) -> MoneyOut:
    return MoneyOut(amount=amount, currency="EUR")


@pytest.fixture
async def mug(shop: Liveshop) -> Product:
    return await builders.product(shop, sizes=("S", "L"), price=2000, stock=5)


@pytest.fixture
async def lamp(shop: Liveshop) -> Product:
    return await builders.product(shop, title="Lamp", price=9000, stock=3)


@pytest.fixture
async def show(shop: Liveshop, mug: Product, lamp: Product, clock: ManualClock) -> ShowId:
    clock.advance(timedelta(days=1))
    return await builders.live_show(shop, [mug.id, lamp.id])


@pytest.fixture
def heard(shop: Liveshop, show: ShowId) -> list[Published]:
    """What the room hears from here on, but for what the stock board says in its own time."""
    events: list[Published] = []
    publish = shop.database.publish

    async def listen(published: list[Published]) -> None:
        events.extend(
            one
            for one in published
            if one.room == show and one.type not in ("product.changed", "stock.changed")
        )
        await publish(published)

    shop.database.publish = listen
    return events


def offer_for(product: Product, **given: Any) -> OfferInput:
    usual: dict[str, Any] = {"product_id": product.id, "kind": QUARTER, "seconds": 120}
    return OfferInput(**usual | given)


async def prices(shop: Liveshop, show: ShowId, product: Product) -> list[int]:
    """What the variants cost in the show now."""
    async with shop.database.read() as conn:
        found = await shop.shows.visible(conn, show, ALL_RIGHTS)
        shown = await shop.shows.products_out(conn, found)
    (out,) = [one for one in shown if one.id == product.id]
    return [variant.price.amount for variant in out.variants]


# Starting


async def test_an_offer_lowers_the_price_in_its_show_alone(
    api: Api, shop: Liveshop, show: ShowId, mug: Product
) -> None:
    other = await builders.live_show(shop, [mug.id])
    await shop.offers.start_offer(show, offer_for(mug))
    assert await prices(shop, show, mug) == [1500, 1500]
    assert await prices(shop, other, mug) == [2000, 2000]
    _, listed = await api.call("GET", f"/api/products/{mug.id}")
    assert [variant["price"]["amount"] for variant in listed["variants"]] == [2000, 2000]


async def test_an_offer_can_be_for_some_variants(
    shop: Liveshop, show: ShowId, mug: Product
) -> None:
    small = mug.variants[0].id
    offer = await shop.offers.start_offer(show, offer_for(mug, variant_ids=[small]))
    assert (offer.product_id, offer.variant_ids) == (mug.id, [small])
    assert await prices(shop, show, mug) == [1500, 2000]


@pytest.mark.parametrize(
    ("kind", "price"),
    [
        (PercentOff(permille=125), 1750),
        (AmountOff(amount=euros(300)), 1700),
        (FixedPrice(price=euros(999)), 999),
    ],
)
async def test_an_offer_is_a_share_an_amount_or_a_price(
    kind: Any, price: int, shop: Liveshop, show: ShowId, mug: Product
) -> None:
    offer = await shop.offers.start_offer(show, offer_for(mug, kind=kind))
    assert offer.kind == kind
    assert await prices(shop, show, mug) == [price, price]


async def test_the_room_hears_of_an_offer_with_the_product_as_it_is_now(
    shop: Liveshop, show: ShowId, mug: Product, heard: list[Published], clock: ManualClock
) -> None:
    offer = await shop.offers.start_offer(show, offer_for(mug, units=3))
    (event,) = heard
    assert isinstance(event.data, shows_wire.OfferStarted)
    assert event.data.offer == offer
    assert (offer.starts_at, offer.ends_at) == (clock.now(), clock.now() + timedelta(seconds=120))
    assert (offer.units, offer.units_left, offer.is_running) == (3, 3, True)
    for variant in event.data.product.variants:
        assert (variant.price, variant.list_price) == (euros(1500), euros(2000))
        assert variant.lowest_30_days == euros(2000)
        (note,) = variant.promotions
        assert (note.id, note.is_offer, note.units_left) == (offer.id, True, 3)
        assert note.ends_at == offer.ends_at


async def test_an_offer_without_a_name_has_the_products(
    shop: Liveshop, show: ShowId, mug: Product, lamp: Product
) -> None:
    named = await shop.offers.start_offer(show, offer_for(mug, texts={"de": "Jetzt!"}))
    assert named.texts == {"de": "Jetzt!", "en": "Mug"}
    assert (await shop.offers.start_offer(show, offer_for(lamp))).texts == {
        "de": "Lamp",
        "en": "Lamp",
    }


async def test_a_long_title_is_cut_to_a_name(shop: Liveshop) -> None:
    long = await builders.product(shop, title="Very " * 40)
    show = await builders.live_show(shop, [long.id])
    offer = await shop.offers.start_offer(show, offer_for(long))
    assert offer.texts["en"].endswith("…")
    assert len(offer.texts["en"]) <= 80


# Refused


async def test_offers_are_for_live_shows(shop: Liveshop, mug: Product) -> None:
    draft = await shop.shows.create_show(shows_wire.ShowInput(title="A", product_ids=[mug.id]))
    ended = await builders.live_show(shop, [mug.id])
    await shop.shows.change_state(ended, "ended")
    for show_id in (draft.id, ended):
        with pytest.raises(ShowNotLive):
            await shop.offers.start_offer(show_id, offer_for(mug))
    with pytest.raises(UnknownShow):
        await shop.offers.start_offer(ShowId("shw_nothing"), offer_for(mug))


async def test_offers_are_for_products_of_the_lineup(shop: Liveshop, show: ShowId) -> None:
    other = await builders.product(shop, title="Other")
    for asked in (other.id, "prd_nothing"):
        with pytest.raises(NotInLineup):
            await shop.offers.start_offer(show, offer_for(other, product_id=asked))


@pytest.mark.parametrize("also", [None, 0, 1])
async def test_of_two_offers_at_once_for_a_variant_the_second_is_refused(
    also: int | None, shop: Liveshop, show: ShowId, mug: Product, lamp: Product
) -> None:
    small, large = mug.variants[0].id, mug.variants[1].id
    whole = {} if also is None else {"variant_ids": [(small, large)[also]]}
    first = await shop.offers.start_offer(show, offer_for(mug, **whole))
    again = {} if also == 0 else {"variant_ids": [large]}
    with pytest.raises(OverlappingPromotion) as refused:
        await shop.offers.start_offer(show, offer_for(mug, **again))
    assert refused.value.data["promotion_ids"] == [first.id]
    await shop.offers.start_offer(show, offer_for(lamp))
    await shop.offers.stop_offer(show, first.id)
    await shop.offers.start_offer(show, offer_for(mug, **again))


async def test_two_offers_for_different_variants_run_side_by_side(
    shop: Liveshop, show: ShowId, mug: Product
) -> None:
    small, large = mug.variants[0].id, mug.variants[1].id
    await shop.offers.start_offer(show, offer_for(mug, variant_ids=[small]))
    half = PercentOff(permille=500)
    await shop.offers.start_offer(show, offer_for(mug, variant_ids=[large], kind=half))
    assert await prices(shop, show, mug) == [1500, 1000]


async def test_what_is_refused_changes_nothing_and_nobody_hears_it(
    api: Api, shop: Liveshop, show: ShowId, mug: Product, heard: list[Published]
) -> None:
    host = api.with_token(await builders.staff_key(shop, "host"))
    path = f"/api/shows/{show}/offers"
    good = {"product_id": mug.id, "kind": {"type": "percent_off", "permille": 100}, "seconds": 60}
    dollars = {"type": "amount_off", "amount": {"amount": 100, "currency": "USD"}}
    free = {"type": "fixed_price", "price": {"amount": 0, "currency": "EUR"}}
    for change, code in (
        ({"kind": {"type": "percent_off", "permille": 1001}}, "discount_too_large"),
        ({"kind": {"type": "percent_off", "permille": 0}}, "nothing_off"),
        ({"kind": {"type": "percent_off", "permille": -5}}, "nothing_off"),
        ({"kind": {"type": "percent_off", "permille": 1.5}}, "invalid"),
        ({"kind": {"type": "buy_x_get_y", "buy": 2, "get": 1}}, "invalid"),
        ({"kind": dollars}, "wrong_currency"),
        ({"kind": free}, "nothing_off"),
        ({"seconds": 0}, "invalid"),
        ({"seconds": 9}, "invalid"),
        ({"seconds": 86_401}, "invalid"),
        ({"seconds": 60.5}, "invalid"),
        ({"units": 0}, "invalid"),
        ({"units": -1}, "invalid"),
        ({"units": 10**9}, "invalid"),
        ({"per_customer": 0}, "invalid"),
        ({"variant_ids": ["var_nothing"]}, "bad_offer"),
        ({"texts": {"en": "x" * 81}}, "invalid"),
        ({"product_id": "prd_nothing"}, "not_in_lineup"),
    ):
        for at in (path, f"{path}/preview"):
            status, problem = await host.call("POST", at, good | change)
            assert (status // 100, problem["code"]) == (4, code), (change, problem)
    assert heard == []
    assert (await shop.offers.offers(show, ALL_RIGHTS)).offers == []
    assert await prices(shop, show, mug) == [2000, 2000]


# The end


async def test_an_offer_that_is_stopped_is_over_at_once(
    shop: Liveshop, show: ShowId, mug: Product, heard: list[Published], clock: ManualClock
) -> None:
    offer = await shop.offers.start_offer(show, offer_for(mug))
    clock.advance(timedelta(seconds=30))
    heard.clear()
    stopped = await shop.offers.stop_offer(show, offer.id)
    assert (stopped.ends_at, stopped.is_running) == (clock.now(), False)
    (event,) = heard
    assert isinstance(event.data, shows_wire.OfferEnded)
    assert (event.data.offer_id, event.data.reason) == (offer.id, "stopped")
    assert [variant.price.amount for variant in event.data.product.variants] == [2000, 2000]
    assert await prices(shop, show, mug) == [2000, 2000]


async def test_stopping_twice_is_stopping_once(
    shop: Liveshop, show: ShowId, mug: Product, heard: list[Published], clock: ManualClock
) -> None:
    offer = await shop.offers.start_offer(show, offer_for(mug))
    clock.advance(timedelta(seconds=5))
    first = await shop.offers.stop_offer(show, offer.id)
    heard.clear()
    clock.advance(timedelta(seconds=5))
    assert await shop.offers.stop_offer(show, offer.id) == first
    assert heard == []


async def test_an_offer_is_stopped_in_its_own_show_only(
    shop: Liveshop, show: ShowId, mug: Product
) -> None:
    offer = await shop.offers.start_offer(show, offer_for(mug))
    other = await builders.live_show(shop, [mug.id])
    sale = await shop.promotions.create_promotion(
        PromotionInput(texts={"en": "Sale", "de": "Sale"}, kind=QUARTER, product_ids=[mug.id])
    )
    for show_id, offer_id in (
        (other, offer.id),
        (show, sale.promotion.id),
        (show, "prm_nothing"),
    ):
        with pytest.raises(UnknownPromotion):
            await shop.offers.stop_offer(show_id, offer_id)
    with pytest.raises(UnknownShow):
        await shop.offers.stop_offer(ShowId("shw_nothing"), offer.id)
    assert (await shop.offers.offers(show, ALL_RIGHTS)).offers[0].is_running


async def test_a_show_that_ends_ends_its_offers_with_it(
    shop: Liveshop, show: ShowId, mug: Product, lamp: Product, heard: list[Published]
) -> None:
    over = await shop.offers.start_offer(show, offer_for(lamp))
    await shop.offers.stop_offer(show, over.id)
    offers = [(await shop.offers.start_offer(show, offer_for(one))).id for one in (mug, lamp)]
    heard.clear()
    await shop.shows.change_state(show, "ended")
    ended = [one.data for one in heard if one.type == "offer.ended"]
    assert sorted(msgspec.to_builtins(one)["offer_id"] for one in ended) == sorted(offers)
    assert await prices(shop, show, mug) == [2000, 2000]
    assert await prices(shop, show, lamp) == [9000]
    assert not any(one.is_running for one in (await shop.offers.offers(show, ANONYMOUS)).offers)


async def test_what_a_merchant_planned_for_a_show_outlives_it(
    shop: Liveshop, show: ShowId, mug: Product
) -> None:
    await shop.promotions.create_promotion(
        PromotionInput(
            texts={"en": "Show", "de": "Show"},
            kind=PercentOff(permille=100),
            show_id=show,
        )
    )
    await shop.shows.change_state(show, "ended")
    assert await prices(shop, show, mug) == [1800, 1800]


async def test_when_its_time_is_over_an_offer_no_longer_counts(
    shop: Liveshop, show: ShowId, mug: Product, clock: ManualClock
) -> None:
    await shop.offers.start_offer(show, offer_for(mug, seconds=60))
    clock.advance(timedelta(seconds=59))
    assert await prices(shop, show, mug) == [1500, 1500]
    clock.advance(timedelta(seconds=1))
    assert await prices(shop, show, mug) == [2000, 2000]
    (offer,) = (await shop.offers.offers(show, ANONYMOUS)).offers
    assert not offer.is_running


# Units


async def test_units_count_down_as_carts_take_them_and_up_as_they_let_go(
    api: Api, shop: Liveshop, show: ShowId, mug: Product
) -> None:
    await shop.offers.start_offer(show, offer_for(mug, units=3))
    guest, other = await api.as_guest(), await api.as_guest()

    async def left() -> int | None:
        return (await shop.offers.offers(show, ANONYMOUS)).offers[0].units_left

    body = {"variant_id": mug.variants[0].id, "quantity": 2, "show_id": show}
    status, cart = await guest.call("POST", "/api/cart/lines", body)
    assert (status, cart["subtotal"]["amount"], await left()) == (200, 3000, 1)
    status, rest = await other.call("POST", "/api/cart/lines", body)
    assert (status, rest["subtotal"]["amount"], await left()) == (200, 3500, 0)
    assert await prices(shop, show, mug) == [2000, 2000]
    assert not (await shop.offers.offers(show, ANONYMOUS)).offers[0].units_left
    line = cart["lines"][0]["id"]
    assert (await guest.call("DELETE", f"/api/cart/lines/{line}"))[0] == 200
    assert await left() == 2
    assert await prices(shop, show, mug) == [1500, 1500]
    status, order = await other.order("key", show_id=show)
    assert status == 201, order
    # The unit the other let go was free for the second one of this order.
    assert (order["subtotal"]["amount"], await left()) == (3000, 1)


# Seeing


async def test_offers_are_listed_newest_first_for_everybody_who_sees_the_show(
    api: Api, shop: Liveshop, show: ShowId, mug: Product, lamp: Product, clock: ManualClock
) -> None:
    first = await shop.offers.start_offer(show, offer_for(mug, units=2))
    clock.advance(timedelta(seconds=1))
    second = await shop.offers.start_offer(show, offer_for(lamp))
    status, listed = await api.call("GET", f"/api/shows/{show}/offers")
    assert status == 200
    assert [one["id"] for one in listed["offers"]] == [second.id, first.id]
    draft = await shop.shows.create_show(shows_wire.ShowInput(title="Secret"))
    assert (await api.call("GET", f"/api/shows/{draft.id}/offers"))[0] == 404
    assert (await api.call("GET", "/api/shows/shw_nothing/offers"))[0] == 404


async def test_what_has_yet_to_begin_is_for_staff(
    shop: Liveshop, show: ShowId, mug: Product, lamp: Product, clock: ManualClock
) -> None:
    def planned(**given: Any) -> PromotionInput:
        usual: dict[str, Any] = {"texts": {"en": "Later", "de": "Später"}}
        return PromotionInput(**usual | given)

    later = await shop.promotions.create_promotion(
        planned(
            kind=QUARTER,
            show_id=show,
            product_ids=[mug.id],
            starts_at=clock.now() + timedelta(minutes=5),
            ends_at=clock.now() + timedelta(minutes=9),
        )
    )
    for kind, only in (
        (BuyXGetY(buy=2, get=1), {"product_ids": [lamp.id]}),
        (OrderPercentOff(permille=100), {}),
        (QUARTER, {"product_ids": [mug.id, lamp.id], "codes": ["A"]}),
    ):
        await shop.promotions.create_promotion(planned(kind=kind, show_id=show, **only))
    assert (await shop.offers.offers(show, ANONYMOUS)).offers == []
    seen = (await shop.offers.offers(show, ALL_RIGHTS)).offers
    assert [one.id for one in seen] == [later.promotion.id]
    clock.advance(timedelta(minutes=5))
    seen = (await shop.offers.offers(show, ANONYMOUS)).offers
    assert [(one.id, one.is_running) for one in seen] == [(later.promotion.id, True)]
    await shop.promotions.change_state(later.promotion.id, "paused")
    assert not (await shop.offers.offers(show, ANONYMOUS)).offers[0].is_running


async def test_a_preview_is_what_viewers_then_see_and_leaves_nothing(
    shop: Liveshop, show: ShowId, mug: Product, heard: list[Published]
) -> None:
    given = offer_for(mug, units=3)
    preview = await shop.offers.preview_offer(show, given, "en")
    assert heard == []
    assert (await shop.offers.offers(show, ALL_RIGHTS)).offers == []
    assert await prices(shop, show, mug) == [2000, 2000]
    await shop.offers.start_offer(show, given)
    (event,) = heard
    assert isinstance(event.data, shows_wire.OfferStarted)

    def without_id(product: Any) -> Any:
        out = msgspec.to_builtins(product)
        for variant in out["variants"]:
            for note in variant["promotions"]:
                note.pop("id")
        return out

    assert without_id(preview.product) == without_id(event.data.product)
    assert preview.warnings == []


async def test_an_offer_can_be_tried_out_before_the_show(shop: Liveshop, mug: Product) -> None:
    draft = await shop.shows.create_show(shows_wire.ShowInput(title="A", product_ids=[mug.id]))
    preview = await shop.offers.preview_offer(draft.id, offer_for(mug), "en")
    assert [variant.price.amount for variant in preview.product.variants] == [1500, 1500]


@pytest.mark.parametrize(
    ("given", "codes"),
    [
        ({"kind": FixedPrice(price=euros(2500))}, ["no_reduction"]),
        ({"kind": PercentOff(permille=1000)}, ["free"]),
        ({"units": 11}, ["more_than_stock"]),
        ({"units": 10}, []),
    ],
)
async def test_a_preview_says_what_may_not_be_meant(
    given: dict[str, Any], codes: list[str], shop: Liveshop, show: ShowId, mug: Product
) -> None:
    preview = await shop.offers.preview_offer(show, offer_for(mug, **given), "en")
    assert [warning.code for warning in preview.warnings] == codes


async def test_the_warnings_are_in_the_hosts_language(
    api: Api, shop: Liveshop, show: ShowId
) -> None:
    gone = await builders.product(shop, title="Vase", stock=0)
    await shop.shows.set_lineup(show, [ProductId(gone.id)])
    host = api.with_token(await builders.staff_key(shop, "host"))
    body = {"product_id": gone.id, "kind": {"type": "percent_off", "permille": 1}, "seconds": 60}
    path = f"/api/shows/{show}/offers/preview"
    for asked, words in (("de-DE,de", "Ausverkauft: Vase"), ("fr,en", "Sold out: Vase")):
        status, preview = await host.call("POST", path, body, Accept_Language=asked)
        assert (status, preview["warnings"]) == (200, [{"code": "sold_out", "text": words}])
