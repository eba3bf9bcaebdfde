"""From a real Vendure into a show and back: what it sells, what we sell, and one count of both."""

import shutil
from datetime import timedelta
from pathlib import Path

import builders
import pytest
from checkout_builders import audit, viewer, wish
from vendure_server import VendureShop

from liveshop.app import Liveshop, wire
from liveshop.catalog.model import Product
from liveshop.kernel.clock import ManualClock
from liveshop.promotions import wire as promotions_wire
from liveshop.storage import Database, Worker
from liveshop.syndication import wire as syndication_wire


@pytest.fixture
def wired(sqlite_template: Path, tmp_path: Path, clock: ManualClock) -> Liveshop:
    """It may talk to a Vendure on the same machine."""
    file = tmp_path / "shop.sqlite3"
    shutil.copy(sqlite_template, file)
    settings = builders.test_settings(
        tmp_path,
        database_url=f"sqlite+aiosqlite:///{file}",
        syndication__private_addresses=True,
    )
    return wire(settings, Database.open(settings.database_url), None, clock)


async def minutes_later(shop: Liveshop, clock: ManualClock, minutes: int = 2) -> None:
    clock.advance(timedelta(minutes=minutes))
    await shop.syndication.runner.run_due()


async def products(shop: Liveshop) -> dict[str, Product]:
    page = await shop.catalog.products(include_inactive=True)
    return {one.product.title: one.product for one in page.products}


async def free(shop: Liveshop, product: Product) -> list[int]:
    ids = [one.id for one in product.variants]
    counts = await shop.catalog.available(ids)
    return [counts[id_] for id_ in ids]


async def test_a_catalog_comes_is_sold_in_a_show_and_the_order_goes_back(
    vendure: VendureShop, shop: Liveshop, clock: ManualClock
) -> None:
    shirt = await vendure.product("Linen shirt", price=4990, sizes=("S", "M"), stock=(5, 3))
    mug = await vendure.product("Mug", price=2800, stock=9)
    lamp = await vendure.product("Lamp", price=9900, stock=1)
    connection = await shop.syndication.connections.create(
        syndication_wire.ConnectionInput(
            connector="vendure", title="Vendure", config=vendure.fields
        )
    )

    # Everything, once.
    await shop.syndication.runner.run_due()
    ours = await products(shop)
    assert sorted(ours) == ["Lamp", "Linen shirt", "Mug"]
    small, medium = ours["Linen shirt"].variants
    assert [(one.values, one.price.amount) for one in (small, medium)] == [
        (("S",), 4990),
        (("M",), 4990),
    ]
    assert await free(shop, ours["Linen shirt"]) == [5, 3]

    # What changes there, and what is sold there.
    await vendure.set_variant(mug.variant_id, price=3100, stockOnHand=12)
    await vendure.sell(shirt.variant_ids[1])
    await minutes_later(shop, clock)
    ours = await products(shop)
    assert ours["Mug"].variants[0].price.amount == 3100
    assert await free(shop, ours["Mug"]) == [12]
    assert await free(shop, ours["Linen shirt"]) == [5, 2]

    # Bought in a show, for less than Vendure asks.
    shirt_id = ours["Linen shirt"].id
    off = promotions_wire.PromotionInput(
        texts={"en": "Evening", "de": "Abend"},
        kind=promotions_wire.PercentOff(permille=250),
        product_ids=[shirt_id],
    )
    await shop.promotions.create_promotion(off)
    show_id = await builders.live_show(shop, [shirt_id])
    buyer = viewer(1)
    await shop.carts.add_to_cart(buyer, small.id, 2, show_id)
    quote = await shop.carts.quote(buyer, "DE")
    order = await shop.orders.place_order(buyer, "key-1", wish(quote.total, show_id=show_id))
    assert order.lines[0].payable.amount < 2 * 4990

    # Before the order is there, Vendure's count is not ours.
    await minutes_later(shop, clock)
    assert await vendure.saleable(shirt.variant_ids[0]) == 5
    assert await free(shop, ours["Linen shirt"]) == [3, 2]
    jobs = shop.syndication.jobs
    await Worker(shop.database, jobs, clock, never_given_up=list(jobs)).run_due()
    (export,) = await shop.syndication.exports.exports(order.id)
    there = (await vendure.orders())[-1]
    assert (export.state, export.connection_id) == ("placed", connection.id)
    assert (there["code"], there["state"]) == (export.reference, "PaymentSettled")
    assert there["totalWithTax"] == order.total.amount
    assert [one["transactionId"] for one in there["payments"]] == [order.payment.reference]

    # One count of both, now and after the next looks.
    for _ in range(2):
        assert await vendure.saleable(shirt.variant_ids[0]) == 3
        assert await free(shop, ours["Linen shirt"]) == [3, 2]
        await minutes_later(shop, clock)
    await audit(shop.database)

    # Deleted there, withdrawn here.
    await vendure.delete_product(lamp.id)
    await minutes_later(shop, clock, 61)
    assert {title: one.is_active for title, one in (await products(shop)).items()} == {
        "Lamp": False,
        "Linen shirt": True,
        "Mug": True,
    }
