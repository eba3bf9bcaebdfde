"""`kill -9` under buyers who pay by Stripe, again and again, on both databases.

The shop and Stripe are processes of their own. After the last kill of each run all buyers are gone,
and the shop alone has to find out what became of every payment.

Settings that are shorter than an operator's: a buyer has 1 minute to confirm (15), an unheard
answer is asked for after 1 second (30), a cart is held 30 seconds (600).
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import builders
import pytest
from crash.books import Books, Till, check_stock
from crash.serving import Server
from crash.shopping import Buyer, Street, staff
from stripe_server import Browser, Desk, StripeServer

from liveshop.app import Liveshop, wire
from liveshop.catalog.shelves import Shelf
from liveshop.kernel.clock import SystemClock
from liveshop.storage import Database

SEED = 20261122
BUYERS = 12
DROPS = 60
PIECES = (7, 4)
"""Of each variant, by warehouse."""
LATEST_SECONDS = 60.0
"""Until every unclear payment is settled, from the last start on."""
SETTINGS = {
    "LIVESHOP_PAYMENTS__METHODS": "stripe",
    "LIVESHOP_PAYMENTS__ACTION_MINUTES": "1",
    "LIVESHOP_CHECKOUT__PAYMENT_UNCLEAR_SECONDS": "1",
    "LIVESHOP_CHECKOUT__HOLD_SECONDS": "30",
    "LIVESHOP_CHECKOUT__HOLD_WARNING_SECONDS": "20",
    "LIVESHOP_CHECKOUT__ADDS_PER_MINUTE": "1000000",
    "LIVESHOP_CHECKOUT__ORDERS_PER_MINUTE": "1000000",
}


@dataclass
class House:
    street: Street
    stripe: StripeServer
    database: Database
    """The same as the server's, to look at it past the server."""
    counted: dict[Shelf, int]

    async def books(self) -> Books:
        """Raises where something is wrong already."""
        # Charges first: whatever was charged by then has had its order before.
        till = await Till.of(self.stripe, self.street.http)
        return await Books.of(self.database, till)

    async def audit(self) -> None:
        """While nobody serves."""
        (await self.books()).check(self.street.heard)
        await check_stock(self.database, self.counted)


@pytest.fixture
def seeding(database_url: str, tmp_path: Path) -> Liveshop:
    """Wired before a loop runs, as in the CLI."""
    settings = builders.test_settings(tmp_path / "seed", database_url=database_url)
    return wire(settings, Database.open(database_url, pool_size=4), None, SystemClock())


@pytest.fixture
async def house(
    seeding: Liveshop, stripe_server: StripeServer, tmp_path: Path
) -> AsyncIterator[House]:
    folder = tmp_path / "data"
    folder.mkdir()
    places = [
        await builders.location(seeding, name, priority=priority)
        for priority, name in enumerate(("Warehouse", "Barn"), 1)
    ]
    drops, counted = [], {}
    for number in range(DROPS):
        made = await builders.product(
            seeding, title=f"Cup {number}", sizes=("S", "L"), stock=PIECES, places=places
        )
        drops.append([str(variant.id) for variant in made.variants])
        for variant in made.variants:
            counted |= {
                (variant.id, place): pieces for place, pieces in zip(places, PIECES, strict=True)
            }
    key = await builders.staff_key(seeding, "merchant")
    await seeding.syndication.close()
    await asyncio.to_thread(seeding.media.close)
    server = Server(
        folder,
        {
            **SETTINGS,
            **stripe_server.environment(),
            "LIVESHOP_DATABASE__URL": seeding.settings.database_url,
        },
    )
    timeout = aiohttp.ClientTimeout(10)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as http:
        desk = Desk(stripe_server, http)
        await desk.start_anew()
        await desk.send_webhooks_to(f"http://{server.address}/hooks/stripe")
        street = Street(server, http, Browser(stripe_server, http), drops, key)
        await server.start()
        yield House(street, stripe_server, seeding.database, counted)
        await server.end()
        await desk.send_webhooks_to("http://127.0.0.1:9/hooks/stripe")
    await seeding.database.close()


async def rounds(house: House, count: int, chance: random.Random) -> float:
    """So many kills, each at a random moment once the load is on, and an audit every few; how long
    the shop takes to settle everything once all buyers are gone, in seconds."""
    server = house.street.server
    people = [
        *(
            asyncio.create_task(Buyer(house.street, random.Random(chance.random())).live())
            for _ in range(BUYERS)
        ),
        asyncio.create_task(staff(house.street, random.Random(chance.random()))),
    ]
    try:
        for number in range(1, count + 1):
            enough = house.street.heard.answers + chance.randint(5, 40)
            while house.street.heard.answers < enough:
                await among(people, 0.01)
            await among(people, chance.uniform(0.02, 0.4))
            await server.kill()
            if number % 8 == 0:
                await house.audit()
            if number < count:
                await server.start()
    finally:
        for task in people:
            task.cancel()
        await asyncio.gather(*people, return_exceptions=True)
    await server.start()
    return await settled(house)


async def among(people: list[asyncio.Task[None]], seconds: float) -> None:
    """Wait so long, or until the first of them finds a broken promise."""
    done, _ = await asyncio.wait(people, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def settled(house: House) -> float:
    """How long it takes until nothing is unclear any more."""
    started = time.monotonic()
    while True:
        # Our own side first: Stripe's books are long, and it has other things to do.
        ends = (await Books.of(house.database)).open_ends(datetime.now(UTC))
        if not ends:
            books = await house.books()
            ends = books.open_ends(datetime.now(UTC))
        seconds = time.monotonic() - started
        if not ends:
            books.check(house.street.heard)
            return seconds
        assert seconds < LATEST_SECONDS, ends
        await asyncio.sleep(0.1)


async def killed(house: House, runs: list[int], seed: int) -> None:
    """Runs of so many kills each. Prints what happened."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    heard, began = house.street.heard, time.monotonic()
    seconds = list[float]()
    for count in runs:
        seconds.append(await rounds(house, count, chance))
        print(f"{house.street.server.kills} kills, settled after {seconds[-1]:.1f} s", flush=True)
    await house.street.server.kill()
    await house.audit()
    books = await house.books()
    states = {order.state: 0 for order in books.orders.values()}
    for order in books.orders.values():
        states[order.state] += 1
    print(
        f"{house.street.server.kills} kills in {time.monotonic() - began:.0f} s, "
        f"{len(books.orders)} orders {states}, {sum(books.till.charges.values())} charges, "
        f"{len(books.refunds)} refunds, {len(heard.confirmed)} seen confirmed, "
        f"{len(heard.sold_out)} variants sold out, {heard.cut} answers never heard; "
        f"settled {', '.join(f'{one:.1f}' for one in seconds)} s after the last start"
    )
    assert heard.confirmed
    assert "unexpected" not in house.street.server.log.read_text()


async def test_money_and_stock_survive_kill_9(house: House) -> None:
    await killed(house, [4], SEED)


@pytest.mark.slow
async def test_money_and_stock_survive_a_hundred_kills(house: House) -> None:
    await killed(house, [25, 25, 25, 25], SEED + 1)
    # Also those who never confirmed: their minute is over a minute after the last kill.
    await house.street.server.start()
    async with asyncio.timeout(90):
        while (await Books.of(house.database)).awaited:
            await asyncio.sleep(0.5)
    await settled(house)
    await house.street.server.kill()
    await house.audit()
