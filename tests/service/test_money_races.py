"""Money that is taken at the moment at which its order is given up: it is never kept.

A provider is asked with no transaction open, so that what it took is written down while others act
on the order. Whoever is first, what was paid for nothing goes back.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import builders
import pytest
from checkout_builders import wish_of
from order_builders import store_place
from order_desk_builders import STAFF
from payment_builders import ADA, HearingBank, buys, order_of, refunds_of

from liveshop import app
from liveshop.app import Liveshop, wire
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import FulfilmentId, VariantId
from liveshop.orders import desk, fulfilment_store, overdue
from liveshop.orders import wire as orders_wire
from liveshop.orders.model import Order
from liveshop.payments.model import Charge, ChargeAnswer
from liveshop.storage import Database


class Till(HearingBank):
    """Says when money was taken, and keeps whoever took it waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def capture(self, charge: Charge) -> ChargeAnswer:
        answer = await super().capture(charge)
        self.taken.set()
        await self.may_answer.wait()
        return answer


@pytest.fixture
def bank() -> Till:
    return Till()


@pytest.fixture
def wired(
    database_url: str,
    tmp_path: Path,
    clock: ManualClock,
    bank: Till,
    monkeypatch: pytest.MonkeyPatch,
) -> Liveshop:
    monkeypatch.setattr(app, "providers_of", lambda *_: {"bank": bank})
    settings = builders.test_settings(
        tmp_path / "data", database_url=database_url, payments__capture="shipping"
    )
    return wire(settings, Database.open(database_url, pool_size=10), None, clock)


async def authorised(shop: Liveshop) -> Order:
    mug = VariantId((await builders.product(shop, stock=3)).variants[0].id)
    order, _ = await buys(shop, mug, card=builders.GOOD_CARD)
    assert (order.state, order.payment.state) == ("confirmed", "authorised")
    return order


async def in_two_parts(shop: Liveshop, clock: ManualClock) -> tuple[Order, dict[str, FulfilmentId]]:
    """To be collected: a mug that lies in the store, promised only and waiting there for too
    long, and a cup that is still in the warehouse."""
    warehouse = await builders.location(shop)
    store = await store_place(shop.catalog)
    for title, stock in (("Mug", [0, 2]), ("Cup", [2, 0])):
        made = await builders.product(shop, title=title, stock=stock, places=[warehouse, store])
        await shop.carts.add_to_cart(ADA, VariantId(made.variants[0].id), 1, None)
    quote = await shop.carts.quote(ADA, "DE", "en", "pickup", store)
    wanted = replace(
        await wish_of(shop, ADA, method="bank", card=builders.GOOD_CARD),
        expected_total=quote.total,
        delivery="pickup",
        store_id=store,
    )
    order = await shop.orders.place_order(ADA, "key-1", wanted)
    async with shop.database.read() as conn:
        ways = {one.kind: one for one in await fulfilment_store.of_order(conn, order.id)}
    there = ways["pickup_in_store"]
    async with shop.database.write() as tx:
        until = clock.now() + timedelta(days=1)
        assert await fulfilment_store.move(
            tx.conn, there, "ready", clock.now(), collect_until=until
        )
    clock.advance(timedelta(days=2))
    return order, {str(kind): one.id for kind, one in ways.items()}


async def tried(act: Awaitable[object]) -> None:
    with suppress(ShopError):
        await act


def slowed(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> tuple[asyncio.Event, asyncio.Event]:
    """Stop whoever calls this; (set when he is there, to be set when he may go on)."""
    is_there, may_go = asyncio.Event(), asyncio.Event()
    real = getattr(module, name)

    async def slow(*args: object, **kwargs: object) -> object:
        is_there.set()
        await may_go.wait()
        return await real(*args, **kwargs)

    monkeypatch.setattr(module, name, slow)
    return is_there, may_go


async def all_asked(shop: Liveshop, clock: ManualClock) -> None:
    for _ in range(4):
        clock.advance(timedelta(hours=2))
        await shop.reconciler.run_due()


async def way_of(shop: Liveshop, order: Order) -> FulfilmentId:
    async with shop.database.read() as conn:
        [one] = await fulfilment_store.of_order(conn, order.id)
    return one.id


async def test_money_taken_while_its_order_is_cancelled_goes_back(
    shop: Liveshop, bank: Till, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one who cancels has looked at the payment before it was taken."""
    order = await authorised(shop)
    way = await way_of(shop, order)
    is_there, may_go = slowed(monkeypatch, desk.store, "change_state")
    cancelling = asyncio.create_task(shop.desk.cancel(order.id, STAFF, "no"))
    await is_there.wait()
    shipping = asyncio.create_task(
        tried(shop.fulfilments.ship(way, STAFF, orders_wire.ShipInput()))
    )
    await bank.taken.wait()
    await asyncio.wait([shipping], timeout=0.2)  # it waits for the one who cancels, or should
    may_go.set()
    await asyncio.gather(cancelling, shipping)
    await all_asked(shop, clock)
    found = await order_of(shop, order)
    assert (found.state, found.payment.captured) == ("cancelled", found.total.amount)
    assert found.payment.refunded == found.payment.captured
    assert [one.state for one in await refunds_of(shop, order)] == ["done"]


async def test_money_taken_before_its_order_is_cancelled_goes_back(
    shop: Liveshop, bank: Till, clock: ManualClock
) -> None:
    order = await authorised(shop)
    way = await way_of(shop, order)
    bank.may_answer.clear()
    shipping = asyncio.create_task(
        tried(shop.fulfilments.ship(way, STAFF, orders_wire.ShipInput()))
    )
    await bank.taken.wait()
    await shop.desk.cancel(order.id, STAFF, "no")
    bank.may_answer.set()
    await shipping
    await all_asked(shop, clock)
    found = await order_of(shop, order)
    assert (found.state, found.payment.refunded) == ("cancelled", found.total.amount)
    assert len(await refunds_of(shop, order)) == 1


async def test_money_taken_while_a_part_is_released_goes_back_for_that_part(
    shop: Liveshop, bank: Till, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, _ = await in_two_parts(shop, clock)
    is_there, may_go = slowed(monkeypatch, overdue, "restock")
    releasing = asyncio.create_task(shop.fulfilments.release_overdue())
    await is_there.wait()
    code = str(order.pickup_code)
    collecting = asyncio.create_task(
        tried(shop.fulfilments.collect(code, orders_wire.CollectInput(), STAFF))
    )
    await bank.taken.wait()
    await asyncio.wait([collecting], timeout=0.2)
    may_go.set()
    await asyncio.gather(releasing, collecting)
    await all_asked(shop, clock)
    await _only_the_mug_went_back(shop, order)


async def test_money_taken_for_what_was_released_meanwhile_goes_back_at_once(
    shop: Liveshop, bank: Till, clock: ManualClock
) -> None:
    order, _ = await in_two_parts(shop, clock)
    bank.may_answer.clear()
    code = str(order.pickup_code)
    collecting = asyncio.create_task(
        tried(shop.fulfilments.collect(code, orders_wire.CollectInput(), STAFF))
    )
    await bank.taken.wait()
    assert await shop.fulfilments.release_overdue() == 1
    bank.may_answer.set()
    await collecting
    await _only_the_mug_went_back(shop, order)


async def test_all_of_it_released_while_its_money_is_taken_goes_back_whole(
    shop: Liveshop, bank: Till, clock: ManualClock
) -> None:
    order, ways = await in_two_parts(shop, clock)
    async with shop.database.write() as tx:
        other = await fulfilment_store.by_id(tx.conn, ways["ship_to_store"])
        assert other is not None
        await fulfilment_store.move(tx.conn, other, "ready", clock.now(), collect_until=clock.now())
    bank.may_answer.clear()
    code = str(order.pickup_code)
    collecting = asyncio.create_task(
        tried(shop.fulfilments.collect(code, orders_wire.CollectInput(), STAFF))
    )
    await bank.taken.wait()
    assert await shop.fulfilments.release_overdue() == 2
    bank.may_answer.set()
    await collecting
    await all_asked(shop, clock)
    found = await order_of(shop, order)
    assert found.payment.refunded == found.payment.captured == found.total.amount


async def _only_the_mug_went_back(shop: Liveshop, order: Order) -> None:
    found = await order_of(shop, order)
    assert (found.payment.state, found.payment.captured) == ("paid", found.total.amount)
    [owed] = await refunds_of(shop, order)
    mug = next(line for line in order.lines if line.title == "Mug")
    assert (owed.cause, owed.amount) == ("not_collected", mug.payable)
