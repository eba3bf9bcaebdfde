"""What returns say of a product's size."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from order_desk_builders import House
from sqlalchemy.ext.asyncio import create_async_engine

from liveshop.catalog.model import ProductsTouched
from liveshop.kernel.clock import ManualClock
from liveshop.orders import fit
from liveshop.storage import Database


@pytest.fixture
def shop_house(database_url: str, clock: ManualClock, tmp_path: Path) -> House:
    return House.of(Database.open(database_url, pool_size=10), clock, tmp_path)


@pytest.fixture
async def house(shop_house: House) -> AsyncIterator[House]:
    yield shop_house
    await shop_house.database.close()


async def test_returns_tell_that_a_product_runs_small_and_take_it_back_again(house: House) -> None:
    place = await house.place()
    shirt = await house.variant()
    other = await house.variant("Trousers")
    order = await house.arrived([(shirt, 20, 20000), (other, 20, 20000)], place)

    async def told() -> tuple[str | None, str | None]:
        found = await house.catalog.products_by_ids([shirt[0], other[0]])
        return found[0].product.fit, found[1].product.fit

    await house.send_back(order, {0: 4, 1: 4}, place, reason="too_small")
    assert await told() == (None, None)

    # What was not accepted has not come back, whatever its buyer says.
    await house.send_back(order, {0: 1, 1: 1}, place, reason="too_small", accepted={0: 1, 1: 0})
    assert await told() == ("runs_small", None)
    assert house.products_told[-1] == ProductsTouched((shirt[0],))

    before = len(house.products_told)
    await house.send_back(order, {0: 1}, place, reason="changed_mind")
    assert len(house.products_told) == before

    await house.send_back(order, {0: 2}, place, reason="too_large")
    assert await told() == (None, None)
    assert house.products_told[-1] == ProductsTouched((shirt[0],))


async def test_all_sizes_of_a_product_count_together(house: House) -> None:
    place = await house.place()
    product_id, small = await house.variant("Jacket", values=("S", "L"))
    [stocked] = await house.catalog.products_by_ids([product_id])
    large = stocked.product.variants[1].id
    for variant_id, units in ((small, 3), (large, 2)):
        order = await house.arrived([((product_id, variant_id), 10, 9990)], place)
        await house.send_back(order, {0: units}, place, reason="too_large")

    [stocked] = await house.catalog.products_by_ids([product_id])
    assert stocked.product.fit == "runs_large"


async def test_only_what_was_sold_within_a_year_is_counted(
    house: House, clock: ManualClock
) -> None:
    place = await house.place()
    shirt = await house.variant()

    async def told() -> str | None:
        [found] = await house.catalog.products_by_ids([shirt[0]])
        return found.product.fit

    await house.arrived([(shirt, 900, 900_000)], place)
    order = await house.arrived([(shirt, 20, 20000)], place)
    await house.send_back(order, {0: 5}, place, reason="too_small")
    assert await told() is None, "5 of 920"
    clock.advance(fit.COUNTED + timedelta(days=1))
    order = await house.arrived([(shirt, 20, 20000)], place)
    await house.send_back(order, {0: 5}, place, reason="too_small")
    assert await told() == "runs_small", "5 of 20"


async def test_what_was_sold_long_ago_is_not_even_looked_at(database_url: str) -> None:
    asked = "SELECT quantity FROM order_line WHERE variant_id = 'var_1' AND order_id >= 'ord_1'"
    engine = create_async_engine(database_url)
    async with engine.connect() as conn:
        if engine.dialect.name == "postgresql":
            await conn.execute(sa.text("SET enable_seqscan = off"))
            explain = f"EXPLAIN {asked}"
        else:
            explain = f"EXPLAIN QUERY PLAN {asked}"
        plan = "\n".join(str(row) for row in await conn.execute(sa.text(explain)))
    await engine.dispose()
    assert "ix_order_line_variant_id_order_id" in plan, plan
    assert plan.count("order_id") >= 2, plan
