"""Listings by the hundred thousand: the first plan, a small change after it, what it costs in
requests and in memory."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from syndication_builders import FakeChannel, Stall

from liveshop.app import Liveshop
from liveshop.catalog.tables import (
    location,
    media,
    product,
    product_image,
    stock,
    variant,
    variant_price,
)
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import new_id
from liveshop.storage import Database
from liveshop.syndication import store
from liveshop.syndication.tables import listing

_PRODUCTS = 100_000
_CHUNK = 5_000
_DELTA = 100
_BATCH = 1_000
Figure = Callable[[str, float, str, str], None]


async def sync(shop: Liveshop, figure: Figure) -> None:
    """One channel, every product in a promotion; the far side takes no time."""
    stall = Stall(shop.database, ManualClock(shop.clock.now()))
    await fill(shop.database, stall.clock, _PRODUCTS)
    channel = FakeChannel(batch=_BATCH, read_batch=_BATCH, can_hide=True)
    connection, _ = await stall.connect(channel)
    await stall.reduce(250, hours=None)
    async with _Memory() as memory:
        started = time.perf_counter()
        await stall.plan()
        seconds = time.perf_counter() - started
    note = f"first plan of {_PRODUCTS} products, all in a promotion, SQLite; limit 60"
    figure("sync_plan_100k_s", seconds, "s", note)
    figure(
        "sync_plan_memory_growth",
        memory.growth_mb(),
        "MB",
        "resident memory: the most while planning less the most in its first tenth",
    )
    started = time.perf_counter()
    await stall.planner.plan()
    figure("sync_plan_again_100k_s", time.perf_counter() - started, "s", "nothing has changed")
    started = time.perf_counter()
    while await _is_due(shop.database):
        await stall.turn(connection)
    figure("sync_push_100k_s", time.perf_counter() - started, "s", "sent and looked at again")
    least = -(-_PRODUCTS // _BATCH)
    figure(
        "sync_requests_ratio",
        channel.sent("publish") / least,
        "times",
        f"{least} batches of {_BATCH} are the least; limit 1.1",
    )
    await _delta(stall, figure)


async def _delta(stall: Stall, figure: Figure) -> None:
    async with stall.database.write() as tx:
        found = await tx.conn.execute(sa.select(product.c.id).limit(_DELTA))
        ids = list(found.scalars())
        await tx.conn.execute(
            sa.update(product)
            .where(product.c.id.in_(ids))
            .values(title="Another title", version=product.c.version + 1)
        )
        await store.touch(tx.conn, ids, stall.clock.now())
    started = time.perf_counter()
    await stall.plan()
    seconds = time.perf_counter() - started
    async with stall.database.read() as conn:
        differs = sa.or_(listing.c.accepted.is_(None), listing.c.wanted != listing.c.accepted)
        moved = await conn.execute(sa.select(listing.c.product_id).where(differs))
        touched = set(moved.scalars())
    assert touched == set(ids), len(touched)
    figure("sync_delta_100_s", seconds, "s", f"{len(touched)} of {_PRODUCTS} products; limit 2")


async def _is_due(database: Database) -> bool:
    async with database.read() as conn:
        row = await conn.execute(sa.select(listing.c.due_at).where(listing.c.due_at.is_not(None)))
        return row.first() is not None


class _Memory:
    """Looks at the resident memory of this process, now and then."""

    def __init__(self) -> None:
        self._seen: list[float] = []

    async def __aenter__(self) -> "_Memory":
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            self._seen.append(pages * 4096 / 1e6)
            await asyncio.sleep(0.1)

    def growth_mb(self) -> float:
        first = self._seen[: max(1, len(self._seen) // 10)]
        return max(self._seen) - max(first)


async def fill(database: Database, clock: ManualClock, count: int) -> None:
    """So many products of one variant, each with a picture, a link, a price and stock."""
    now = clock.now()
    place, picture = new_id("loc", now), new_id("med", now)
    async with database.write() as tx:
        await tx.conn.execute(
            sa.insert(location).values(id=place, name="Here", kind="warehouse", priority=1)
        )
        await tx.conn.execute(
            sa.insert(media).values(
                id=picture,
                digest="0" * 64,
                extension="jpg",
                width=800,
                height=600,
                alt="",
                created_at=now,
            )
        )
    for start in range(0, count, _CHUNK):
        async with database.write() as tx:
            numbers = range(start, min(count, start + _CHUNK))
            ids = {number: new_id("prd", now) for number in numbers}
            own = {number: new_id("var", now) for number in numbers}
            await tx.conn.execute(sa.insert(product), [_product(ids[n], n, now) for n in numbers])
            await tx.conn.execute(
                sa.insert(variant), [_variant(own[n], ids[n], n) for n in numbers]
            )
            await tx.conn.execute(
                sa.insert(variant_price),
                [
                    {"variant_id": own[n], "at": now, "amount": 1000 + n % 900, "currency": "EUR"}
                    for n in numbers
                ],
            )
            await tx.conn.execute(
                sa.insert(stock),
                [
                    {"variant_id": own[n], "location_id": place, "on_hand": n % 30, "held": 0}
                    for n in numbers
                ],
            )
            await tx.conn.execute(
                sa.insert(product_image),
                [
                    {"product_id": ids[n], "key": picture, "position": 0, "media_id": picture}
                    for n in numbers
                ],
            )


def _product(id_: str, number: int, now: object) -> dict[str, object]:
    return {
        "id": id_,
        "title": f"Soft linen shirt number {number}",
        "description_html": f"<p>Washed <b>twice</b>, worn often. Number {number}.</p>" * 3,
        "brand": "Fjord",
        "category": "Clothing > Shirts",
        "url": f"https://shop.example/p/{number}",
        "options": [],
        "search_text": f"soft linen shirt number {number}",
        "is_active": True,
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }


def _variant(id_: str, product_id: str, number: int) -> dict[str, object]:
    return {
        "id": id_,
        "product_id": product_id,
        "position": 0,
        "sku": f"SHIRT-{number}",
        "option_values": [],
        "price_amount": 1000 + number % 900,
        "currency": "EUR",
        "tax_class": "standard",
        "is_active": True,
    }
