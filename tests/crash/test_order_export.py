"""`kill -9` between a request to a real Vendure and its answer: one order there, stock that agrees.

The process that sends the order talks to Vendure through a line of ours, which kills it when
Vendure has carried out a step and before the answer is back; the next process goes on.
"""

import asyncio
import shutil
import sys
from datetime import timedelta
from pathlib import Path

import builders
import pytest
from checkout_builders import audit, viewer, wish_of
from vendure_server import Proxy, VendureShop

from liveshop.app import Liveshop, wire
from liveshop.kernel.clock import ManualClock
from liveshop.storage import Database
from liveshop.syndication import wire as syndication_wire

STEPS = (
    "createDraftOrder",
    "addItemToDraftOrder",
    "transitionOrderToState",
    "addManualPaymentToOrder",
)
"""After which a process dies: the one that leaves no mark of ours, one in the middle, the last."""


@pytest.fixture
def wired(sqlite_template: Path, tmp_path: Path, clock: ManualClock) -> Liveshop:
    """On a file, which other processes open too."""
    file = tmp_path / "shop.sqlite3"
    shutil.copy(sqlite_template, file)
    settings = builders.test_settings(
        tmp_path,
        database_url=f"sqlite+aiosqlite:///{file}",
        syndication__private_addresses=True,
    )
    return wire(settings, Database.open(settings.database_url), None, clock)


async def killed_after(step: str, proxy: Proxy, shop: Liveshop) -> bool:
    """Run the process until it is done, or dies at this step; whether it died."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("exporter.py")),
        shop.settings.database_url,
        shop.clock.now().isoformat(),
        env={"PYTHONPATH": f"{Path(__file__).parents[1]}", "PATH": "/usr/bin:/bin"},
        stderr=asyncio.subprocess.PIPE,
    )
    proxy.names.clear()
    proxy.cut_after, proxy.on_cut = step, process.kill
    async with asyncio.timeout(60):
        _, errors = await process.communicate()
    assert process.returncode in (0, -9), errors.decode()
    return process.returncode == -9


async def test_killed_between_request_and_receipt_the_order_is_there_once(
    vendure: VendureShop, shop: Liveshop, clock: ManualClock
) -> None:
    made = await vendure.product("Mug", price=2800, stock=5)
    proxy = Proxy(vendure.api_url, is_late=True)
    async with proxy.open(vendure.config) as config:
        await shop.syndication.connections.create(
            syndication_wire.ConnectionInput(
                connector="vendure",
                title="Vendure",
                config=vendure.fields | {"api_url": config.api_url},
            )
        )
        await shop.syndication.runner.run_due()
        (stocked,) = (await shop.catalog.products()).products
        variant_id = stocked.product.variants[0].id
        buyer = viewer(1)
        await shop.carts.add_to_cart(buyer, variant_id, 2, None)
        order = await shop.orders.place_order(buyer, "key-1", await wish_of(shop, buyer))
        for step in STEPS:
            assert await killed_after(step, proxy, shop)
            clock.advance(timedelta(minutes=2))
        assert not await killed_after("", proxy, shop)
        (there,) = await vendure.orders()
        assert there["state"] == "PaymentSettled"
        assert there["totalWithTax"] == order.total.amount
        assert [one["transactionId"] for one in there["payments"]] == [order.payment.reference]
        (export,) = await shop.syndication.exports.exports(order.id)
        assert (export.state, export.reference) == ("placed", there["code"])
        clock.advance(timedelta(minutes=2))
        await shop.syndication.runner.run_due()
        assert await vendure.saleable(made.variant_id) == 3
        assert [row.on_hand for row in await audit(shop.database)] == [3]
        assert (await shop.catalog.available([variant_id])) == {variant_id: 3}
