"""Two nodes with Redis and PostgreSQL under a crowd: each part is killed with SIGKILL, and started
again. Everybody is back within ten seconds, and nothing that was acknowledged is missing.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nodes_house
import pytest
import sqlalchemy as sa
from checkout_builders import audit
from nodes_house import House

from liveshop.chat.tables import message
from liveshop.crowd.crowd import attend
from liveshop.crowd.looking import look
from liveshop.crowd.plan import Plan
from liveshop.crowd.report import Report, report_of
from liveshop.crowd.tally import Tally, Tick
from liveshop.orders.tables import order_line, shop_order
from liveshop.payments.tables import payment, sandbox_charge
from liveshop.storage import Database

pytestmark = pytest.mark.slow

VIEWERS, CHATTERS, BUYERS = 150, 40, 20
ORDERS_EACH = 60
STOCK = 10_000
BACK_SECONDS = 10.0
DOWN_SECONDS = 3.0
SECONDS = 240.0
_SEEN_SECONDS = 60.0


@dataclass
class Crowd:
    """A crowd under way, looked at ten times a second."""

    ticks: list[tuple[float, Tick]] = field(default_factory=list)
    """Each with the time by the monotonic clock."""
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def see(self, tick: Tick) -> None:
        self.ticks.append((time.monotonic(), tick))
        self._more.set()

    @property
    def now(self) -> Tick:
        return self.ticks[-1][1]

    async def until(self, what: str, fact: Callable[[Tick], bool]) -> float:
        """When it was so for the first time from now on."""
        try:
            async with asyncio.timeout(_SEEN_SECONDS):
                while True:
                    self._more.clear()
                    await self._more.wait()
                    if fact(self.now):
                        return self.ticks[-1][0]
        except TimeoutError:
            raise AssertionError(f"not {what}: {self.now}") from None

    async def back_after(self, since: float) -> float:
        """Seconds until everybody was in and stayed in, and chat and shop went on."""
        done = await self.until("gone on", _goes_on(self.now))
        await asyncio.sleep(2.0)
        await self.until("back", lambda tick: tick.here == VIEWERS)
        missing = [at for at, tick in self.ticks if tick.here < VIEWERS]
        return max(missing[-1] if missing else since, done) - since


def _goes_on(before: Tick) -> Callable[[Tick], bool]:
    return lambda tick: (
        tick.acknowledged > before.acknowledged and tick.orders_placed > before.orders_placed
    )


@contextlib.asynccontextmanager
async def crowd_in(house: House) -> AsyncIterator[tuple[Crowd, Callable[[], Awaitable[Tally]]]]:
    """A crowd that is all in, and how to end it."""
    plan = Plan(
        addresses=tuple(node.url for node in house.nodes),
        show_id=house.show_id,
        viewers=VIEWERS,
        chatters=CHATTERS,
        buyers=BUYERS,
        seconds=SECONDS,
        arrival="at-once",
        chat_per_minute=20.0,
        orders_each=ORDERS_EACH,
        buy=True,
        backoff_max_seconds=5.0,
        settle_seconds=30.0,
        tick_seconds=0.1,
    )
    target = await look(plan)
    crowd = Crowd()
    attending = asyncio.create_task(
        attend(
            plan,
            target,
            tag=secrets.token_hex(2)[:3],
            began_at=time.monotonic(),
            progress=crowd.see,
            stop=crowd.stop,
        )
    )

    async def ended() -> Tally:
        crowd.stop.set()
        tally = await attending
        report = report_of(plan, target, tally, seconds=crowd.now.elapsed, processes=1)
        print(report.verdict, *report.remarks, sep="\n")
        check(report)
        return tally

    try:
        await crowd.until("all in", lambda tick: tick.here == VIEWERS)
        await crowd.until("busy", lambda tick: tick.acknowledged > 20 and tick.orders_placed > 5)
        yield crowd, ended
    finally:
        attending.cancel()
        await asyncio.wait({attending})


def check(report: Report) -> None:
    """What the crowd itself found. An order may be refused, as sold out; never without an end."""
    assert report.problems == []
    assert report.joins.came_in == VIEWERS
    assert all(record.is_complete for record in report.records)
    assert report.log.behind == report.lines.away_at_end == 0
    assert report.chat.lost == report.chat.twice == 0
    assert report.orders.placed > 50


async def kill_postgres(house: House) -> None:
    """The postmaster and all its processes at once, as when the machine goes."""
    pid = int((Path(house.postgres.pgdata) / "postmaster.pid").read_text().split()[0])
    doomed = [pid, *await asyncio.to_thread(_children_of, pid)]
    for one in doomed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    while any(Path(f"/proc/{one}/cmdline").exists() and _runs(one) for one in doomed):
        await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _children_of(parent: int) -> list[int]:
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(place.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(place.parent.name))
    return found


async def test_every_part_is_killed_and_nobody_misses_anything(tmp_path: Path) -> None:
    took: dict[str, float] = {}
    async with nodes_house.house(tmp_path, nodes=2, stock=STOCK) as house:
        first, second = house.nodes
        async with crowd_in(house) as (crowd, ended):
            # A node. The others' viewers stay, his come over.
            died = time.monotonic()
            await house.kill(second)
            took["a node"] = await crowd.back_after(died)
            await house.start(second)

            # Redis, with all it knew. Nobody is sent away for that; who buys goes on buying.
            before = crowd.now
            await house.kill_redis()
            await asyncio.sleep(DOWN_SECONDS)
            assert crowd.now.here == VIEWERS
            assert crowd.now.reconnects == before.reconnects
            assert crowd.now.orders_placed > before.orders_placed
            assert crowd.now.refused > before.refused
            await house.start_redis()
            took["redis"] = await crowd.back_after(time.monotonic())

            # PostgreSQL.
            await kill_postgres(house)
            await asyncio.sleep(1.0)  # for answers that were on their way
            before = crowd.now
            await asyncio.sleep(DOWN_SECONDS)
            assert crowd.now.here == VIEWERS
            assert crowd.now.orders_placed == before.orders_placed
            await house.start_postgres()
            took["postgresql"] = await crowd.back_after(time.monotonic())

            # The other node: now everybody goes over at once.
            died = time.monotonic()
            await house.kill(first)
            took["the node with everybody"] = await crowd.back_after(died)
            await house.start(first)
            tally = await ended()
        print({name: round(seconds, 2) for name, seconds in took.items()})
        assert max(took.values()) < BACK_SECONDS, took
        await the_books_are_in_order(house, tally)


async def the_books_are_in_order(house: House, tally: Tally) -> None:
    """In the database itself."""
    database = Database.open(house.database_url)
    try:
        shelves = await audit(database, [one.variants[0].id for one in house.products])
        async with database.read() as conn:
            texts = (await conn.execute(sa.select(message.c.text))).scalars().all()
            orders = (await conn.execute(sa.select(shop_order))).all()
            lines = (
                await conn.execute(
                    sa.select(order_line.c.quantity, shop_order.c.state).join(
                        shop_order, shop_order.c.id == order_line.c.order_id
                    )
                )
            ).all()
            paid = await conn.execute(
                sa.select(sandbox_charge.c.amount, payment.c.order_id)
                .join(payment, payment.c.id == sandbox_charge.c.key)
                .where(sandbox_charge.c.state == "paid")
            )
            charges = {row.order_id: row.amount for row in paid}
    finally:
        await database.close()
    the_chat_is_complete(texts, tally)
    confirmed = {one.id: one.total_amount for one in orders if one.state == "confirmed"}
    assert confirmed == charges
    assert len(confirmed) >= tally.orders.placed
    sold = sum(line.quantity for line in lines if line.state == "confirmed")
    assert sum(one.on_hand for one in shelves) == len(house.products) * STOCK - sold


def the_chat_is_complete(texts: Sequence[str], tally: Tally) -> None:
    marks = Counter(text.rpartition("#")[2].strip().partition("-")[2] for text in texts)
    assert not tally.chat.acknowledged - marks.keys(), "acknowledged, and not in the database"
    assert max(marks.values()) == 1, "once said, twice in the database"
    assert len(tally.chat.acknowledged) > 200
