"""What was not collected is not paid for, whenever the money comes."""

from datetime import timedelta
from pathlib import Path

import pytest
from checkout_builders import Bank
from order_builders import house_with, opened, set_to, store_place
from order_desk_builders import STAFF, House

from liveshop.kernel.clock import ManualClock
from liveshop.orders import wire
from liveshop.orders.model import Order
from liveshop.orders.money_first import MoneyFirst
from liveshop.payments.model import ChargeAnswer
from liveshop.storage import Database


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest.fixture
def house(database: Database, clock: ManualClock, tmp_path: Path, bank: Bank) -> House:
    return house_with(database, clock, tmp_path, bank, capture="shipping")


async def half_released(house: House, bank: Bank, *, is_taken: bool = False) -> Order:
    """One mug lay in the store until nobody came; the other is still in the warehouse."""
    store_id = await store_place(house.catalog)
    warehouse = await house.place()
    mug = await house.variant("Mug")
    cup = await house.variant("Cup")
    order = await opened(
        house,
        [(mug, 1, 1000), (cup, 1, 500)],
        {(mug[1], store_id): 1, (cup[1], warehouse): 1},
        store_id=store_id,
        payment="authorised",
        method="bank",
    )
    bank.books[order.payment.id] = ChargeAnswer("authorised", f"ref_{order.id}")
    bank.amounts[order.payment.id] = order.total
    for one in await house.fulfilments_of(order):
        if one.kind == "pickup_in_store" and is_taken:
            await house.fulfilments.ready(one.id, STAFF)
        elif one.kind == "pickup_in_store":
            until = house.clock.now() + timedelta(days=7)
            await set_to(house, one, one.kind, "ready", collect_until=until)
    house.clock.advance(timedelta(days=9))
    assert await house.fulfilments.release_overdue() == 1
    return order


async def test_what_was_released_is_paid_back_once_whenever_the_money_was_taken(
    house: House, bank: Bank
) -> None:
    order = await half_released(house, bank)
    for one in await house.fulfilments_of(order):
        if one.state == "open":
            await house.fulfilments.ship(one.id, STAFF, wire.ShipInput())
            await house.fulfilments.ready(one.id, STAFF)
    code = str(order.pickup_code)
    await house.fulfilments.collect(code, wire.CollectInput(), STAFF)
    [owed] = await house.refunds_of(order)
    assert (owed.cause, owed.amount.amount) == ("not_collected", 1000)
    kinds = [event.kind for event in await house.history(order)]
    assert kinds.count("refund.owed") == 1


async def test_what_nobody_collects_is_paid_by_then_and_goes_back(house: House, bank: Bank) -> None:
    order = await half_released(house, bank, is_taken=True)
    [owed] = await house.refunds_of(order)
    assert (owed.cause, owed.amount.amount) == ("not_collected", 1000)
    assert (await house.look(order.id)).payment.captured == 1500


async def test_it_is_owed_with_the_money_and_not_with_what_happens_next(
    house: House, bank: Bank
) -> None:
    """Whatever is done once the money is here may come to nothing."""
    order = await half_released(house, bank)
    await MoneyFirst(house.payments).take(order)
    [owed] = await house.refunds_of(order)
    assert (owed.cause, owed.amount.amount) == ("not_collected", 1000)
    await MoneyFirst(house.payments).take(order)
    assert len(await house.refunds_of(order)) == 1
