"""What a chat message costs from its rules to its commit, alone and in a crowd, on durable SQLite.

In this process: it is our own work that is measured, with the driver's thread.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import builders

from liveshop.app import Liveshop, wire
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ShowId, new_id
from liveshop.migrations import migrate
from liveshop.storage import Database
from liveshop.web.access import Principal

_ALONE, _CROWD, _EACH = 300, 200, 20


@dataclass(frozen=True, slots=True)
class Cost:
    cpu_us: float
    per_second: float


async def chat(figure: Callable[[str, float, str, str], None]) -> None:
    clock = ManualClock(datetime(2026, 11, 21, 19, 0, tzinfo=UTC))
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{folder}/chat.sqlite3"
        await migrate(url)
        settings = builders.test_settings(Path(folder) / "data", database_url=url)
        shop = wire(settings, Database.open(url), None, clock)
        try:
            await _measure(shop, clock, figure)
        finally:
            shop.media.close()
            await shop.database.close()


async def _measure(
    shop: Liveshop, clock: ManualClock, figure: Callable[[str, float, str, str], None]
) -> None:
    show_id = await builders.live_show(shop)
    people = [Principal("guest", new_id("gst", clock.now()), "Ada") for _ in range(_CROWD)]
    await _say(shop, clock, show_id, people[:20], 5)
    alone = await _say(shop, clock, show_id, people[:1], _ALONE)
    crowd = await _say(shop, clock, show_id, people, _EACH)
    where = "SQLite with synchronous=FULL"
    figure("chat_cpu_us", alone.cpu_us, "us", f"a message that comes alone, {where}")
    figure("chat_crowd_cpu_us", crowd.cpu_us, "us", f"{_CROWD} people at once, {where}")
    figure("chat_crowd_per_s", crowd.per_second, "messages/s", f"the same, {where}")


async def _say(
    shop: Liveshop, clock: ManualClock, show_id: ShowId, people: Sequence[Principal], each: int
) -> Cost:
    async def talk(who: Principal, number: int) -> None:
        for n in range(each):
            text = f"{number} says line {n} at {clock.now():%H:%M:%S.%f}"
            address = f"93.184.{number // 250}.{number % 250 + 1}"
            await shop.chat.post_message(show_id, who, text, address=address)
            # Nobody is faster than the chat allows.
            clock.advance(timedelta(seconds=3 / len(people)))

    cpu, started = time.process_time(), time.perf_counter()
    await asyncio.gather(*(talk(who, number) for number, who in enumerate(people)))
    messages = len(people) * each
    return Cost(
        (time.process_time() - cpu) / messages * 1e6, messages / (time.perf_counter() - started)
    )
