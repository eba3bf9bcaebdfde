"""The board of stock and prices: rooms hear what changed, when it changed, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import builders
import msgspec
import pytest

from liveshop.app import Liveshop
from liveshop.catalog.display import CatalogDisplay
from liveshop.catalog.model import Product, ProductDraft, VariantDraft
from liveshop.catalog.wire import ImageLinks
from liveshop.kernel.clock import Clock, ManualClock, SystemClock
from liveshop.kernel.errors import Unavailable
from liveshop.kernel.ids import ShowId, ViewerId
from liveshop.kernel.money import Money
from liveshop.promotions.prices import Prices
from liveshop.promotions.wire import PercentOff, PromotionInput
from liveshop.shows import wire as shows_wire
from liveshop.shows.stock_board import StockBoard
from liveshop.shows.wire import OfferInput
from liveshop.storage import Published

TENTH = PercentOff(permille=100)
VIEWER = ViewerId("gst_" + "0" * 26)


@pytest.fixture
async def mug(shop: Liveshop) -> Product:
    return await builders.product(shop, price=2000, stock=5, category="Home > Mugs")


@pytest.fixture
async def lamp(shop: Liveshop) -> Product:
    return await builders.product(shop, title="Lamp", price=9000, category="Home > Lamps")


@pytest.fixture
def heard(shop: Liveshop) -> list[Published]:
    events: list[Published] = []

    async def listen(published: list[Published]) -> None:
        events.extend(published)

    shop.database.publish = listen
    return events


@pytest.fixture
async def show(
    shop: Liveshop, mug: Product, lamp: Product, heard: list[Published], clock: ManualClock
) -> ShowId:
    """A live show whose viewers have loaded the prices there are."""
    clock.advance(timedelta(days=1))
    show_id = await builders.live_show(shop, [mug.id, lamp.id])
    await shop.stock_board.tell()
    heard.clear()
    return show_id


def sale(**given: Any) -> PromotionInput:
    usual: dict[str, Any] = {"texts": {"en": "Sale", "de": "Sale"}, "kind": TENTH}
    return PromotionInput(**usual | given)


async def told(shop: Liveshop, heard: list[Published]) -> list[tuple[str, str, Any]]:
    """(room, event, what it says of prices or stock), in order of the rooms."""
    await shop.stock_board.tell()
    events = sorted(((one.room, one.type, _said(one.data)) for one in heard), key=str)
    heard.clear()
    return events


def _said(data: msgspec.Struct) -> Any:
    if isinstance(data, shows_wire.StockChanged):
        return data.product_id, data.available
    if isinstance(data, shows_wire.OfferEnded):
        return data.product.id, _prices(data), data.reason
    if isinstance(data, shows_wire.ProductChanged):
        return data.product.id, _prices(data)
    return None


def _prices(data: shows_wire.OfferEnded | shows_wire.ProductChanged) -> list[int]:
    return [variant.price.amount for variant in data.product.variants]


async def take(shop: Liveshop, product: Product, show: ShowId, quantity: int = 1) -> Any:
    return await shop.carts.add_to_cart(VIEWER, product.variants[0].id, quantity, show)


async def test_nothing_is_said_when_nothing_changed(
    shop: Liveshop, show: ShowId, heard: list[Published], clock: ManualClock
) -> None:
    assert await told(shop, heard) == []
    clock.advance(timedelta(hours=1))
    assert await told(shop, heard) == []


async def test_stock_that_moves_is_told_as_stock(
    shop: Liveshop, show: ShowId, mug: Product, heard: list[Published]
) -> None:
    await take(shop, mug, show, 2)
    assert await told(shop, heard) == [(show, "stock.changed", (mug.id, 3))]


async def test_a_promotion_that_is_made_is_told_for_what_it_changes_alone(
    shop: Liveshop, show: ShowId, mug: Product, heard: list[Published]
) -> None:
    await shop.promotions.create_promotion(sale(category="Home > Mugs"))
    assert await told(shop, heard) == [(show, "product.changed", (mug.id, [1800]))]
    await shop.promotions.create_promotion(sale(codes=["SECRET"]))
    assert await told(shop, heard) == []


async def test_a_promotion_is_told_at_the_moment_it_starts_and_ends(
    shop: Liveshop, show: ShowId, mug: Product, heard: list[Published], clock: ManualClock
) -> None:
    await shop.promotions.create_promotion(
        sale(
            product_ids=[mug.id],
            starts_at=clock.now() + timedelta(minutes=5),
            ends_at=clock.now() + timedelta(minutes=9),
        )
    )
    assert await told(shop, heard) == []
    clock.advance(timedelta(minutes=5) - timedelta(microseconds=1))
    assert await told(shop, heard) == []
    clock.advance(timedelta(microseconds=1))
    assert await told(shop, heard) == [(show, "product.changed", (mug.id, [1800]))]
    clock.advance(timedelta(minutes=4))
    assert await told(shop, heard) == [(show, "product.changed", (mug.id, [2000]))]
    clock.advance(timedelta(days=1))
    assert await told(shop, heard) == []


async def test_a_promotion_that_came_and_went_unseen_is_told_by_what_is_left_of_it(
    shop: Liveshop, show: ShowId, mug: Product, heard: list[Published], clock: ManualClock
) -> None:
    made = await shop.promotions.create_promotion(sale(product_ids=[mug.id]))
    assert len(await told(shop, heard)) == 1
    await shop.promotions.change_state(made.promotion.id, "paused")
    clock.advance(timedelta(seconds=1))
    await shop.promotions.change_state(made.promotion.id, "active")
    assert await told(shop, heard) == []


async def test_a_clock_that_is_set_back_brings_old_prices_back(
    shop: Liveshop, show: ShowId, mug: Product, heard: list[Published], clock: ManualClock
) -> None:
    ends_at = clock.now() + timedelta(minutes=2)
    await shop.promotions.create_promotion(sale(product_ids=[mug.id], ends_at=ends_at))
    await told(shop, heard)
    clock.advance(timedelta(minutes=3))
    assert await told(shop, heard) == [(show, "product.changed", (mug.id, [2000]))]
    clock.advance(timedelta(minutes=-2))
    assert await told(shop, heard) == [(show, "product.changed", (mug.id, [1800]))]
    clock.advance(timedelta(minutes=2))
    assert await told(shop, heard) == [(show, "product.changed", (mug.id, [2000]))]


async def test_an_offer_whose_time_is_over_is_told_as_ended_and_once(
    shop: Liveshop, show: ShowId, mug: Product, heard: list[Published], clock: ManualClock
) -> None:
    offer = OfferInput(product_id=mug.id, kind=TENTH, seconds=60)
    await shop.offers.start_offer(show, offer)
    await told(shop, heard)
    clock.advance(timedelta(seconds=60))
    assert await told(shop, heard) == [(show, "offer.ended", (mug.id, [2000], "time"))]
    clock.advance(timedelta(seconds=60))
    assert await told(shop, heard) == []


async def test_an_offer_that_was_stopped_does_not_end_again(
    shop: Liveshop, show: ShowId, mug: Product, heard: list[Published], clock: ManualClock
) -> None:
    offer = OfferInput(product_id=mug.id, kind=TENTH, seconds=60)
    started = await shop.offers.start_offer(show, offer)
    clock.advance(timedelta(seconds=10))
    await shop.offers.stop_offer(show, started.id)
    assert [event for _, event, _ in await told(shop, heard)].count("offer.ended") == 1
    clock.advance(timedelta(minutes=5))
    assert await told(shop, heard) == []


async def test_a_limited_price_is_told_with_every_unit_that_is_taken_or_let_go(
    shop: Liveshop, show: ShowId, mug: Product, heard: list[Published], clock: ManualClock
) -> None:
    offer = OfferInput(product_id=mug.id, kind=TENTH, seconds=3600, units=2)
    await shop.offers.start_offer(show, offer)
    await told(shop, heard)
    await take(shop, mug, show)
    assert await told(shop, heard) == [(show, "product.changed", (mug.id, [1800]))]
    await take(shop, mug, show)
    assert await told(shop, heard) == [(show, "product.changed", (mug.id, [2000]))]
    clock.advance(timedelta(seconds=shop.settings.checkout.hold_seconds))
    await shop.carts.sweep()
    assert await told(shop, heard) == [(show, "product.changed", (mug.id, [1800]))]


async def test_units_that_products_share_are_told_for_all_of_them(
    shop: Liveshop, show: ShowId, mug: Product, lamp: Product, heard: list[Published]
) -> None:
    await shop.promotions.create_promotion(sale(category="Home", limit_total=1))
    await told(shop, heard)
    await take(shop, mug, show)
    assert await told(shop, heard) == sorted(
        [
            (show, "product.changed", (mug.id, [2000])),
            (show, "product.changed", (lamp.id, [9000])),
        ],
        key=str,
    )


async def test_beside_a_limited_price_other_stock_stays_stock(
    shop: Liveshop, show: ShowId, mug: Product, lamp: Product, heard: list[Published]
) -> None:
    await shop.offers.start_offer(
        show, OfferInput(product_id=mug.id, kind=TENTH, seconds=3600, units=2)
    )
    await told(shop, heard)
    await take(shop, lamp, show)
    assert await told(shop, heard) == [(show, "stock.changed", (lamp.id, 4))]


async def test_every_show_hears_its_own_price(
    shop: Liveshop, show: ShowId, mug: Product, heard: list[Published]
) -> None:
    other = await builders.live_show(shop, [mug.id])
    await shop.offers.start_offer(show, OfferInput(product_id=mug.id, kind=TENTH, seconds=60))
    await told(shop, heard)
    variant = VariantDraft(sku=mug.variants[0].sku, price=Money(2000, "EUR"))
    await shop.catalog.replace_product(mug.id, ProductDraft(title="Cup", variants=(variant,)))
    assert await told(shop, heard) == sorted(
        [
            (show, "product.changed", (mug.id, [1800])),
            (other, "product.changed", (mug.id, [2000])),
        ],
        key=str,
    )


async def test_a_part_that_is_sold_moves_the_bundles_it_is_in(
    shop: Liveshop, show: ShowId, mug: Product, heard: list[Published]
) -> None:
    pair = await builders.bundle(shop, {mug.variants[0].id: 2}, title="Pair", price=3500)
    await shop.shows.set_lineup(show, [mug.id, pair.id])
    await told(shop, heard)
    await take(shop, mug, show, 2)
    assert await told(shop, heard) == sorted(
        [(show, "stock.changed", (mug.id, 3)), (show, "stock.changed", (pair.id, 1))], key=str
    )
    await take(shop, pair, show)
    assert await told(shop, heard) == sorted(
        [(show, "stock.changed", (mug.id, 1)), (show, "stock.changed", (pair.id, 0))], key=str
    )


async def test_what_could_not_be_told_is_told_later(
    shop: Liveshop, show: ShowId, mug: Product, heard: list[Published]
) -> None:
    listen = shop.database.publish

    async def fail(_: list[Published]) -> None:
        raise Unavailable("away")

    await shop.promotions.create_promotion(sale(product_ids=[mug.id]))
    shop.database.publish = fail
    with pytest.raises(Unavailable):
        await shop.stock_board.tell()
    shop.database.publish = listen
    assert await told(shop, heard) == [(show, "product.changed", (mug.id, [1800]))]


# By itself


@pytest.fixture
def board(shop: Liveshop) -> Callable[[Clock], StockBoard]:
    """Makes a board as a server that starts does."""
    links = ImageLinks(shop.settings.public_url, shop.settings.media.widths)
    prices = Prices(shop.settings.shop)
    display = CatalogDisplay(links, prices)

    def made(clock: Clock) -> StockBoard:
        return StockBoard(shop.database, display, clock, prices, coalesce_seconds=0.01)

    return made


@pytest.fixture
async def running(
    board: Callable[[Clock], StockBoard], shop: Liveshop, show: ShowId, heard: list[Published]
) -> AsyncIterator[Callable[[str], Awaitable[Published]]]:
    """A board that runs by the real clock; wait for an event by its type."""
    came = asyncio.Event()
    listen = shop.database.publish

    async def wake(published: list[Published]) -> None:
        await listen(published)
        came.set()

    shop.database.publish = wake
    task = asyncio.create_task(board(SystemClock()).run())

    async def wait_for(event: str) -> Published:
        async with asyncio.timeout(10):
            while True:
                for one in heard:
                    if one.type == event:
                        return one
                came.clear()
                await came.wait()

    yield wait_for
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_board_wakes_by_itself_when_a_price_turns(
    shop: Liveshop,
    mug: Product,
    running: Callable[[str], Awaitable[Published]],
) -> None:
    starts_at = SystemClock().now() + timedelta(seconds=0.5)
    await shop.promotions.create_promotion(sale(product_ids=[mug.id], starts_at=starts_at))
    event = await running("product.changed")
    assert _said(event.data) == (mug.id, [1800])
    assert timedelta(0) <= event.at - starts_at < timedelta(seconds=2)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_board_that_starts_tells_nobody_what_he_has_just_loaded(
    board: Callable[[Clock], StockBoard],
    shop: Liveshop,
    show: ShowId,
    mug: Product,
    heard: list[Published],
    clock: ManualClock,
) -> None:
    ends_at = clock.now() + timedelta(minutes=1)
    await shop.promotions.create_promotion(sale(product_ids=[mug.id], ends_at=ends_at))
    started = board(clock)
    await started.begin()
    await started.tell()
    assert heard == []
    clock.advance(timedelta(minutes=1))
    await started.tell()
    assert [(one.type, _said(one.data)) for one in heard] == [("product.changed", (mug.id, [2000]))]
