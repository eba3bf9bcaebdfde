"""Two servers on one database, as after an operator has added a second machine."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import builders
import pytest

from liveshop.app import Liveshop, wire
from liveshop.kernel.clock import ManualClock
from liveshop.storage import Database

BUYERS = 50


@pytest.fixture
def other_clock(clock: ManualClock) -> ManualClock:
    """The second machine's, which need not show the same time."""
    return ManualClock(clock.now())


@pytest.fixture
def wired_pair(
    database_url: str, tmp_path: Path, clock: ManualClock, other_clock: ManualClock
) -> list[Liveshop]:
    settings = builders.test_settings(tmp_path / "data", database_url=database_url)
    # Room for every buyer at once, so that nobody queues before the database.
    return [
        wire(settings, Database.open(database_url, pool_size=BUYERS // 2), None, own)
        for own in (clock, other_clock)
    ]


@pytest.fixture
async def nodes(wired_pair: list[Liveshop]) -> AsyncIterator[list[Liveshop]]:
    yield wired_pair
    for shop in wired_pair:
        await shop.syndication.close()
        await asyncio.to_thread(shop.media.close)
        await shop.database.close()
