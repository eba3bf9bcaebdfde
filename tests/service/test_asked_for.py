"""What a buyer is asked to pay: the same at the till, in mails, on his page and on the invoice."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import builders
import letter_builders as made
import pytest
from letter_builders import letter
from order_builders import bought, store_place
from order_desk_builders import STAFF

from liveshop.app import Liveshop, wire
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.money import Money
from liveshop.orders import wire as orders_wire
from liveshop.orders.invoices import Invoices
from liveshop.orders.model import invoice_number
from liveshop.orders.wording import Wording
from liveshop.pages import orders as page
from liveshop.storage import Database


@pytest.fixture
def wired(database_url: str, tmp_path: Path, clock: ManualClock) -> Liveshop:
    settings = builders.test_settings(tmp_path / "data", database_url=database_url, **made.SETTINGS)
    return wire(settings, Database.open(database_url, pool_size=10), None, clock)


@pytest.fixture
def invoices(wired: Liveshop) -> Invoices:
    """Made before the loop runs, because it reads files."""
    return Invoices(wired.database, wired.clock, wired.settings)


@pytest.fixture
def words() -> Wording:
    return Wording.of("en", "Europe/Berlin")


async def test_what_was_released_is_asked_for_nowhere(
    shop: Liveshop, clock: ManualClock, invoices: Invoices, words: Wording
) -> None:
    warehouse, store = await builders.location(shop), await store_place(shop.catalog)
    places = [warehouse, store]
    mug = (await builders.product(shop, title="Mug", stock=[0, 4], places=places)).variants[0].id
    tray = (await builders.product(shop, title="Tray", stock=[4, 0], places=places)).variants[0].id
    order = await bought(shop, {mug: 1, tray: 1}, store_id=store, method="at_pickup")
    by_kind = {one.kind: one for one in await made.fulfilments(shop, order)}
    await shop.fulfilments.ready(by_kind["pickup_in_store"].id, STAFF)
    clock.advance(timedelta(days=9))
    assert await shop.fulfilments.release_overdue()
    coming = by_kind["ship_to_store"].id
    await shop.fulfilments.ship(coming, STAFF, orders_wire.ShipInput())
    await shop.fulfilments.ready(coming, STAFF)
    assert order.pickup_code is not None
    to_pay = (await shop.fulfilments.pickup(order.pickup_code)).to_pay
    assert to_pay is not None
    asked = Money(to_pay.amount, to_pay.currency)
    assert asked.amount < order.total.amount
    told = await letter(shop, "fulfilment.ready")
    assert f"You pay {words.money(asked)} in the store" in told.letter.text
    assert words.money(asked) in await invoices.page(order.id, "n")
    seen = page.asked_for(await made.look(shop, order), await made.fulfilments(shop, order), [])
    assert seen == asked


async def test_the_year_of_an_invoice_is_the_shops(
    shop: Liveshop, clock: ManualClock, invoices: Invoices
) -> None:
    variant_id = (await builders.product(shop, stock=5)).variants[0].id
    # A quarter past midnight in Berlin, and still last year in UTC.
    clock.advance(datetime(2026, 12, 31, 23, 15, tzinfo=UTC) - clock.now())
    order = await bought(shop, {variant_id: 1})
    html = await invoices.page(order.id, "n")
    assert "1 January 2027" in html
    assert invoice_number(await made.look(shop, order)) == "R2027-000001"
    assert "R2027-000001" in html
