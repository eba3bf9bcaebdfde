"""Five thousand buyers rush for five hundred units of one article, over HTTP."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import builders
import pipe
import postgres_cluster
import pytest
import sqlalchemy as sa
from builders import ADDRESS, Api
from checkout_builders import audit

from liveshop.app import Liveshop, wire
from liveshop.catalog.tables import waiting
from liveshop.kernel.clock import ManualClock
from liveshop.orders.tables import order_line, shop_order
from liveshop.payments.tables import sandbox_charge
from liveshop.storage import Database

BUYERS = 5000
UNITS = 500
CONNECTIONS = 100


@pytest.fixture
def wired(database_url: str, tmp_path: Path, clock: ManualClock) -> Liveshop:
    """One network address stands for all of them, so nothing is counted by address here."""
    settings = builders.test_settings(
        tmp_path / "data",
        database_url=database_url,
        checkout__adds_per_minute=10**9,
        checkout__orders_per_minute=10**9,
    )
    return wire(settings, Database.open(database_url, pool_size=10), None, clock)


async def buy(connection: pipe.Pipe, token: str, variant_id: str) -> str:
    """What becomes of one buyer, who does what the player offers him."""
    wanted = {"variant_id": variant_id}
    status, cart = await connection.call("POST", "/api/cart/lines", token, wanted)
    if status == 409:
        assert cart["code"] == "out_of_stock", cart
        assert cart["detail"] == "This is sold out."
        status, places = await connection.call("POST", "/api/waitlist", token, wanted)
        assert (status, places["places"][0]["state"]) == (200, "waiting"), places
        return "waits"
    assert (status, cart["lines"][0]["hold"]) == (200, "held"), cart
    status, quote = await connection.call("POST", "/api/cart/quote", token, {"country": "DE"})
    assert status == 200, quote
    status, order = await connection.call(
        "POST", "/api/orders", token, order_of(quote), {"Idempotency-Key": "once"}
    )
    assert (status, order["state"]) == (201, "confirmed"), order
    return "bought"


def order_of(quote: dict[str, Any]) -> dict[str, Any]:
    return {
        "expected_total": quote["total"],
        "email": "ada@example.org",
        "address": ADDRESS,
        "payment": {"method": "sandbox", "card_number": builders.GOOD_CARD},
    }


@postgres_cluster.slow_there
async def test_five_thousand_buyers_get_five_hundred_units_and_everybody_else_a_clear_answer(
    api: Api, shop: Liveshop
) -> None:
    variant_id = (await builders.product(shop, stock=UNITS)).variants[0].id
    tokens = iter([shop.customers.new_guest().token for _ in range(BUYERS)])
    port = api.client.port
    assert port is not None

    async def counter(left: Iterator[str]) -> list[str]:
        async with pipe.opened(port) as connection:
            return [await buy(connection, token, variant_id) for token in left]

    async with asyncio.timeout(180):
        ended = await asyncio.gather(*(counter(tokens) for _ in range(CONNECTIONS)))
    outcomes = Counter(outcome for one in ended for outcome in one)
    assert outcomes == {"bought": UNITS, "waits": BUYERS - UNITS}
    [shelf] = await audit(shop.database)
    assert (shelf.on_hand, shelf.held) == (0, 0)
    async with shop.database.read() as conn:
        orders = await conn.scalar(sa.select(sa.func.count()).select_from(shop_order))
        units = await conn.scalar(sa.select(sa.func.sum(order_line.c.quantity)))
        charges = await conn.scalar(sa.select(sa.func.count()).select_from(sandbox_charge))
        places = await conn.scalar(sa.select(sa.func.count()).select_from(waiting))
    assert (orders, units, charges, places) == (UNITS, UNITS, UNITS, BUYERS - UNITS)
