"""Two people act on one order at once: first the race with the guard removed, then with it.

The guard is the order's row, which whoever acts on an order locks first. SQLite has one writer and
needs none.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from order_desk_builders import STAFF, House

from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import ShopError
from liveshop.orders import acting, return_store, store
from liveshop.orders.model import Order, Return
from liveshop.storage import Database

pytestmark = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)


@pytest.fixture
def shop_house(database_url: str, clock: ManualClock, tmp_path: Path) -> House:
    return House.of(Database.open(database_url, pool_size=10), clock, tmp_path)


@pytest.fixture
async def house(shop_house: House) -> AsyncIterator[House]:
    yield shop_house
    await shop_house.database.close()


@pytest.fixture
async def order(house: House) -> Order:
    """One unit, with its buyer."""
    return await house.arrived([(await house.variant(), 1, 1000)], await house.place())


def without_the_guard(patch: pytest.MonkeyPatch) -> None:
    """Nobody locks, and both look before either writes."""
    look = return_store.of_order
    both_have_looked = asyncio.Barrier(2)

    async def look_together(*given: Any) -> list[Return]:
        found = await look(*given)
        async with asyncio.timeout(10):
            await both_have_looked.wait()
        return found

    patch.setattr(acting.store, "locked", store.by_id)
    patch.setattr(return_store, "of_order", look_together)


async def ask_twice(house: House, order: Order) -> list[Return | ShopError]:
    answers = await asyncio.gather(
        house.request(order, {0: 1}),
        house.request(order, {0: 1}, actor=STAFF),
        return_exceptions=True,
    )
    assert all(isinstance(one, (Return, ShopError)) for one in answers), answers
    return answers  # type: ignore[return-value]  # as was just found


async def test_without_the_lock_of_the_order_one_unit_comes_back_twice(
    house: House, order: Order
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        without_the_guard(patch)
        await ask_twice(house, order)

    assert len(await house.returns_of(order)) == 2


async def test_with_it_one_unit_comes_back_once(house: House, order: Order) -> None:
    answers = await ask_twice(house, order)

    assert sum(isinstance(one, ShopError) for one in answers) == 1
    assert len(await house.returns_of(order)) == 1
