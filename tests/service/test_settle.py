"""What becomes of an order when the process dies, the provider is silent, or two settle it at once.

The crash windows of a purchase: after the first transaction, after the charge, in the second one.
"""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import builders
import pytest
import sqlalchemy as sa
from checkout_builders import (
    Bank,
    Killed,
    audit,
    die,
    settler,
    viewer,
    wish,
    wish_of,
    with_bank,
)

from liveshop.app import Liveshop, wire
from liveshop.catalog import holds
from liveshop.checkout.model import PaymentDeclined
from liveshop.checkout.place import PlaceOrder
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import OrderId, VariantId
from liveshop.orders import store as orders_store
from liveshop.orders.model import Order, UnknownOrder
from liveshop.payments.model import ChargeAnswer, ProviderUnavailable
from liveshop.payments.tables import payment
from liveshop.storage import Database

ADA = viewer(1)
UNCLEAR = timedelta(seconds=31)


@pytest.fixture
async def mug(shop: Liveshop) -> VariantId:
    return VariantId((await builders.product(shop, stock=3)).variants[0].id)


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest.fixture
def orders(shop: Liveshop, bank: Bank) -> PlaceOrder:
    return with_bank(shop, bank)


async def placed(shop: Liveshop) -> list[Order]:
    async with shop.database.read() as conn:
        return await orders_store.page(conn, show_id=None, before=None, limit=100)


async def only_order(shop: Liveshop) -> Order:
    [order] = await placed(shop)
    return order


async def unclear(shop: Liveshop) -> int:
    """How many payments a provider has still to be asked for."""
    async with shop.database.read() as conn:
        query = sa.select(sa.func.count()).where(payment.c.check_at.is_not(None))
        return int(await conn.scalar(query) or 0)


async def cart_lines(shop: Liveshop) -> list[tuple[str, int, str]]:
    cart = await shop.carts.cart_of(ADA)
    return [(line.title, line.quantity, line.hold) for line in cart.lines]


async def on_shelf(shop: Liveshop, variant_id: str) -> tuple[int, int]:
    """(on hand, held) over all locations, once the ledger has been found in order."""
    rows = [row for row in await audit(shop.database) if row.variant_id == variant_id]
    return sum(row.on_hand for row in rows), sum(row.held for row in rows)


async def buys_and_dies(
    shop: Liveshop, orders: PlaceOrder, mug: VariantId, quantity: int = 2
) -> None:
    await shop.carts.add_to_cart(ADA, mug, quantity, None)
    # What is written for many at once dies elsewhere, and whoever waits for it is cancelled.
    with pytest.raises((Killed, asyncio.CancelledError)):
        await orders.place_order(ADA, "key-1", await wish_of(shop, ADA, method="bank"))


async def test_killed_before_the_charge_the_order_is_given_up_and_the_cart_comes_back(
    shop: Liveshop, orders: PlaceOrder, bank: Bank, mug: VariantId, clock: ManualClock
) -> None:
    bank.before = die
    await buys_and_dies(shop, orders, mug)
    assert (await only_order(shop)).state == "pending"
    assert await cart_lines(shop) == []
    assert await on_shelf(shop, mug) == (3, 2)

    worker = settler(shop, orders)
    assert not await worker.run_due(), "the request may still be at it"
    clock.advance(UNCLEAR)
    assert await worker.run_due()
    order = await only_order(shop)
    assert (order.state, order.payment.state) == ("payment_failed", "declined")
    assert "nothing was charged" in str(order.payment.message)
    assert bank.paid == []
    assert await cart_lines(shop) == [("Mug", 2, "held")]
    assert await on_shelf(shop, mug) == (3, 2)
    assert await unclear(shop) == 0


async def test_killed_after_the_charge_the_order_is_found_paid_and_stands(
    shop: Liveshop, orders: PlaceOrder, bank: Bank, mug: VariantId, clock: ManualClock
) -> None:
    bank.after = die
    await buys_and_dies(shop, orders, mug)
    assert (await only_order(shop)).state == "pending"
    clock.advance(UNCLEAR)
    await settler(shop, orders).run_due()
    order = await only_order(shop)
    assert (order.state, order.payment.state) == ("confirmed", "paid")
    assert order.payment.reference == f"bank_{order.payment.id}"
    assert bank.paid == [order.payment.id]
    assert bank.asked == 1
    assert await on_shelf(shop, mug) == (1, 0)
    assert await cart_lines(shop) == []


@pytest.mark.parametrize("window", ["before", "after"])
async def test_a_buyer_who_tries_again_after_the_crash_gets_his_order_and_pays_once(
    shop: Liveshop,
    orders: PlaceOrder,
    bank: Bank,
    mug: VariantId,
    clock: ManualClock,
    window: str,
) -> None:
    setattr(bank, window, die)
    await buys_and_dies(shop, orders, mug)
    setattr(bank, window, None)
    pending = await only_order(shop)
    order = await orders.place_order(ADA, "key-1", wish(pending.total, method="bank"))
    assert (order.id, order.state) == (pending.id, "confirmed")
    assert len(bank.paid) == 1
    clock.advance(UNCLEAR)
    await settler(shop, orders).run_due()
    assert (await only_order(shop)).state == "confirmed"
    assert len(bank.paid) == 1
    assert await on_shelf(shop, mug) == (1, 0)


async def test_a_buyer_who_tries_again_too_late_is_told_and_buys_with_a_new_key(
    shop: Liveshop, orders: PlaceOrder, bank: Bank, mug: VariantId, clock: ManualClock
) -> None:
    bank.before = die
    await buys_and_dies(shop, orders, mug)
    bank.before = None
    given_up = await only_order(shop)
    clock.advance(UNCLEAR)
    await settler(shop, orders).run_due()
    with pytest.raises(PaymentDeclined, match="nothing was charged") as declined:
        await orders.place_order(ADA, "key-1", wish(given_up.total, method="bank"))
    assert declined.value.data == {"order_id": given_up.id}
    again = await orders.place_order(ADA, "key-2", wish(given_up.total, method="bank"))
    assert again.state == "confirmed"
    assert bank.paid == [again.payment.id]
    assert await on_shelf(shop, mug) == (1, 0)


async def test_killed_in_the_second_transaction_nothing_of_it_remains_and_it_is_done_again(
    shop: Liveshop,
    orders: PlaceOrder,
    bank: Bank,
    mug: VariantId,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def sells_and_dies(*given: Any) -> None:
        await sell(*given)
        raise Killed

    sell = holds.sell_each
    monkeypatch.setattr(holds, "sell_each", sells_and_dies)
    await buys_and_dies(shop, orders, mug)
    monkeypatch.undo()
    order = await only_order(shop)
    assert (order.state, order.payment.state) == ("pending", "pending")
    assert await on_shelf(shop, mug) == (3, 2)
    clock.advance(UNCLEAR)
    await settler(shop, orders).run_due()
    assert (await only_order(shop)).state == "confirmed"
    assert await on_shelf(shop, mug) == (1, 0)
    assert len(bank.paid) == 1


async def test_a_provider_that_breaks_in_an_unknown_way_leaves_a_pending_order(
    shop: Liveshop, orders: PlaceOrder, bank: Bank, mug: VariantId, clock: ManualClock
) -> None:
    async def breaks() -> None:
        raise RuntimeError("a bug in the provider")

    bank.after = breaks
    await shop.carts.add_to_cart(ADA, mug, 1, None)
    with pytest.raises(RuntimeError):
        await orders.place_order(ADA, "key-1", await wish_of(shop, ADA, method="bank"))
    clock.advance(UNCLEAR)
    await settler(shop, orders).run_due()
    assert (await only_order(shop)).state == "confirmed"


async def test_an_answer_recorded_twice_counts_once(
    shop: Liveshop, orders: PlaceOrder, bank: Bank, mug: VariantId
) -> None:
    await shop.carts.add_to_cart(ADA, mug, 2, None)
    order = await orders.place_order(ADA, "key-1", await wish_of(shop, ADA, method="bank"))
    answer = bank.books[order.payment.id]
    again = await orders.settle(order.id, answer)
    assert again == order
    other = await orders.settle(order.id, ChargeAnswer("declined", "too late", "No."))
    assert (other.state, other.payment.reference) == ("confirmed", answer.reference)
    assert await on_shelf(shop, mug) == (1, 0)
    assert await cart_lines(shop) == []


async def test_many_who_settle_one_order_at_once_sell_it_once(
    shop: Liveshop, orders: PlaceOrder, bank: Bank, mug: VariantId
) -> None:
    bank.after = die
    await buys_and_dies(shop, orders, mug)
    order = await only_order(shop)
    answer = bank.books[order.payment.id]
    seen = await asyncio.gather(*(orders.settle(order.id, answer) for _ in range(12)))
    assert {one.state for one in seen} == {"confirmed"}
    assert await on_shelf(shop, mug) == (1, 0)


async def test_of_two_answers_at_once_one_counts_and_everybody_is_told_the_same(
    shop: Liveshop, orders: PlaceOrder, bank: Bank, mug: VariantId
) -> None:
    bank.before = die
    await buys_and_dies(shop, orders, mug)
    order = await only_order(shop)
    yes, no = ChargeAnswer("paid", "yes"), ChargeAnswer("declined", "no", "No.")
    seen = await asyncio.gather(
        *(orders.settle(order.id, answer) for answer in (yes, no, yes, no, yes, no))
    )
    assert len({(one.state, one.payment.reference) for one in seen}) == 1
    expected = (1, 0) if seen[0].state == "confirmed" else (3, 2)
    assert await on_shelf(shop, mug) == expected


async def test_the_worker_and_the_request_that_settle_at_once_sell_once(
    shop: Liveshop, orders: PlaceOrder, bank: Bank, mug: VariantId, clock: ManualClock
) -> None:
    """The request has its answer, and just then the worker asks for it too."""
    answered, go_on = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        answered.set()
        await go_on.wait()

    bank.after = pause
    await shop.carts.add_to_cart(ADA, mug, 2, None)
    given = await wish_of(shop, ADA, method="bank")
    request = asyncio.create_task(orders.place_order(ADA, "key-1", given))
    await answered.wait()
    clock.advance(UNCLEAR)
    working = asyncio.create_task(settler(shop, orders).run_due())
    go_on.set()
    order, _ = await asyncio.gather(request, working)
    assert (order.state, (await only_order(shop)).state) == ("confirmed", "confirmed")
    assert await on_shelf(shop, mug) == (1, 0)


async def test_a_request_that_hangs_until_its_order_was_given_up_charges_nobody(
    shop: Liveshop, orders: PlaceOrder, bank: Bank, mug: VariantId, clock: ManualClock
) -> None:
    """The race that `void` decides: without it the buyer would pay for an order that is gone."""
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        arrived.set()
        await go_on.wait()

    bank.before = hang
    await shop.carts.add_to_cart(ADA, mug, 2, None)
    given = await wish_of(shop, ADA, method="bank")
    request = asyncio.create_task(orders.place_order(ADA, "key-1", given))
    await arrived.wait()
    clock.advance(UNCLEAR)
    await settler(shop, orders).run_due()
    assert (await only_order(shop)).state == "payment_failed"
    go_on.set()
    with pytest.raises(PaymentDeclined, match="nothing was charged"):
        await request
    assert bank.paid == []
    assert await cart_lines(shop) == [("Mug", 2, "held")]
    assert await on_shelf(shop, mug) == (3, 2)


async def test_without_ruling_it_out_a_hanging_request_takes_money_for_nothing(
    shop: Liveshop, orders: PlaceOrder, bank: Bank, mug: VariantId, clock: ManualClock
) -> None:
    """The same race with the guard removed."""
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        arrived.set()
        await go_on.wait()

    async def look_only(charge: Any) -> ChargeAnswer:
        return ChargeAnswer("declined", "not there when we looked", "Interrupted.")

    bank.before = hang
    bank.void = look_only  # type: ignore[method-assign]
    await shop.carts.add_to_cart(ADA, mug, 1, None)
    given = await wish_of(shop, ADA, method="bank")
    request = asyncio.create_task(orders.place_order(ADA, "key-1", given))
    await arrived.wait()
    clock.advance(UNCLEAR)
    await settler(shop, orders).run_due()
    go_on.set()
    with pytest.raises(PaymentDeclined):
        await request
    assert len(bank.paid) == 1


async def test_declined_after_the_buyer_filled_the_cart_again_the_newer_wish_stays(
    shop: Liveshop, orders: PlaceOrder, bank: Bank, mug: VariantId, clock: ManualClock
) -> None:
    lamp = VariantId((await builders.product(shop, title="Lamp", stock=4)).variants[0].id)
    await shop.carts.add_to_cart(ADA, lamp, 3, None)
    bank.before = die
    await buys_and_dies(shop, orders, mug)
    await shop.carts.add_to_cart(ADA, mug, 1, None)
    assert await on_shelf(shop, mug) == (3, 3)
    order = await only_order(shop)
    await orders.settle(order.id, ChargeAnswer("declined", "no", "No."))
    assert sorted(await cart_lines(shop)) == [("Lamp", 3, "held"), ("Mug", 1, "held")]
    assert await on_shelf(shop, mug) == (3, 1)
    assert await on_shelf(shop, lamp) == (4, 3)


async def test_a_cart_that_comes_back_is_held_for_a_full_countdown_and_then_lapses(
    shop: Liveshop, orders: PlaceOrder, bank: Bank, mug: VariantId, clock: ManualClock
) -> None:
    bank.before = die
    await buys_and_dies(shop, orders, mug)
    clock.advance(timedelta(minutes=29))
    assert await builders.available(shop, mug) == 1, "an order keeps its stock for a while"
    await settler(shop, orders).run_due()
    cart = await shop.carts.cart_of(ADA)
    assert cart.held_until == clock.now() + timedelta(seconds=600)
    clock.advance(timedelta(seconds=600))
    assert await builders.available(shop, mug) == 3
    await shop.carts.sweep()
    assert await on_shelf(shop, mug) == (3, 0)


async def test_a_cart_comes_back_in_the_order_it_was_filled(
    shop: Liveshop, orders: PlaceOrder, bank: Bank, clock: ManualClock
) -> None:
    titles = [f"Cup {number}" for number in range(8)]
    for title in titles:
        cup = await builders.product(shop, title=title, stock=1)
        await shop.carts.add_to_cart(ADA, VariantId(cup.variants[0].id), 1, None)
        clock.advance(timedelta(seconds=1))
    given = await wish_of(shop, ADA, method="bank", card=builders.DECLINED_CARD)
    with pytest.raises(PaymentDeclined):
        await orders.place_order(ADA, "key-1", given)
    assert [title for title, _, _ in await cart_lines(shop)] == titles


async def test_a_declined_card_of_a_cart_over_two_locations_gives_back_each_piece(
    shop: Liveshop, orders: PlaceOrder, bank: Bank
) -> None:
    places = [await builders.location(shop, "A"), await builders.location(shop, "B", priority=2)]
    lamp = await builders.product(shop, title="Lamp", stock=(2, 3), places=places)
    await shop.carts.add_to_cart(ADA, VariantId(lamp.variants[0].id), 4, None)
    before = await audit(shop.database)
    given = await wish_of(shop, ADA, method="bank", card=builders.DECLINED_CARD)
    with pytest.raises(PaymentDeclined):
        await orders.place_order(ADA, "key-1", given)
    assert await audit(shop.database) == before
    assert await cart_lines(shop) == [("Lamp", 4, "held")]


async def test_a_slow_provider_leaves_the_order_pending_until_the_worker_finds_its_answer(
    database_url: str, tmp_path: Path, clock: ManualClock, quick_shop: Liveshop
) -> None:
    shop, bank = quick_shop, Bank()
    orders = with_bank(shop, bank)
    mug = VariantId((await builders.product(shop, stock=3)).variants[0].id)

    async def for_ever() -> None:
        await asyncio.Event().wait()

    bank.after = for_ever
    await shop.carts.add_to_cart(ADA, mug, 2, None)
    given = await wish_of(shop, ADA, method="bank")
    order = await orders.place_order(ADA, "key-1", given)
    assert (order.state, order.payment.state) == ("pending", "pending")
    again = await orders.place_order(ADA, "key-1", given)
    assert (again.id, again.state) == (order.id, "pending")
    assert await on_shelf(shop, mug) == (3, 2)
    clock.advance(UNCLEAR)
    await settler(shop, orders).run_due()
    assert (await only_order(shop)).state == "confirmed"
    assert len(bank.paid) == 1


async def test_a_provider_that_is_away_is_asked_again_until_it_answers(
    shop: Liveshop, orders: PlaceOrder, bank: Bank, mug: VariantId, clock: ManualClock
) -> None:
    async def away() -> None:
        raise ProviderUnavailable("The bank does not answer.")

    bank.after = bank.on_find = away
    await shop.carts.add_to_cart(ADA, mug, 2, None)
    given = await wish_of(shop, ADA, method="bank")
    order = await orders.place_order(ADA, "key-1", given)
    assert order.state == "pending"
    worker = settler(shop, orders)
    for _ in range(4):
        clock.advance(timedelta(minutes=2))
        assert await worker.run_due()
        assert (await only_order(shop)).state == "pending"
        assert await on_shelf(shop, mug) == (3, 2)
    bank.on_find = None
    clock.advance(timedelta(minutes=2))
    await worker.run_due()
    assert (await only_order(shop)).state == "confirmed"
    assert await unclear(shop) == 0


async def test_an_invoice_nobody_recorded_is_given_up_and_the_cart_comes_back(
    shop: Liveshop, mug: VariantId, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: Any, **__: Any) -> None:
        raise Killed

    await shop.carts.add_to_cart(ADA, mug, 2, None)
    monkeypatch.setattr(shop.orders, "settle", dies)
    with pytest.raises(Killed):
        await shop.orders.place_order(ADA, "key-1", await wish_of(shop, ADA, method="invoice"))
    monkeypatch.undo()
    clock.advance(UNCLEAR)
    await shop.reconciler.run_due()
    assert (await only_order(shop)).state == "payment_failed"
    assert await cart_lines(shop) == [("Mug", 2, "held")]


async def test_the_sandbox_is_found_again_after_a_crash(
    shop: Liveshop, mug: VariantId, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: Any, **__: Any) -> None:
        raise Killed

    await shop.carts.add_to_cart(ADA, mug, 2, None)
    monkeypatch.setattr(shop.orders, "settle", dies)
    with pytest.raises(Killed):
        await shop.orders.place_order(ADA, "key-1", await wish_of(shop, ADA))
    monkeypatch.undo()
    clock.advance(UNCLEAR)
    await shop.reconciler.run_due()
    order = await only_order(shop)
    assert (order.state, order.payment.state) == ("confirmed", "paid")
    assert await on_shelf(shop, mug) == (1, 0)


async def test_the_room_hears_of_an_order_when_it_stands_and_once_only(
    shop: Liveshop, orders: PlaceOrder, bank: Bank, mug: VariantId, clock: ManualClock
) -> None:
    show_id = await builders.live_show(shop)
    heard: list[str] = []

    async def listen(events: list[Any]) -> None:
        heard.extend(event.type for event in events if event.type == "order.placed")

    shop.database.publish = listen
    bank.after = die
    await shop.carts.add_to_cart(ADA, mug, 1, show_id)
    given = await wish_of(shop, ADA, method="bank", show_id=show_id)
    with pytest.raises(Killed):
        await orders.place_order(ADA, "key-1", given)
    assert heard == []
    order = await only_order(shop)
    for _ in range(3):
        await orders.settle(order.id, bank.books[order.payment.id])
    assert heard == ["order.placed"]


async def test_an_order_that_does_not_exist_is_not_settled(orders: PlaceOrder) -> None:
    with pytest.raises(UnknownOrder):
        await orders.settle(OrderId("ord_unknown"), ChargeAnswer("paid", "yes"))


async def test_no_transaction_is_open_while_the_provider_is_asked(
    shop: Liveshop, orders: PlaceOrder, bank: Bank, mug: VariantId
) -> None:
    """Others buy on while one buyer's bank thinks."""
    thinking, go_on = asyncio.Event(), asyncio.Event()

    async def think() -> None:
        thinking.set()
        await go_on.wait()

    bank.before = think
    await shop.carts.add_to_cart(ADA, mug, 1, None)
    given = await wish_of(shop, ADA, method="bank")
    request = asyncio.create_task(orders.place_order(ADA, "key-1", given))
    await thinking.wait()
    bob = viewer(2)
    async with asyncio.timeout(5):
        await shop.carts.add_to_cart(bob, mug, 1, None)
        order = await shop.orders.place_order(bob, "key-1", await wish_of(shop, bob))
    assert order.state == "confirmed"
    assert not request.done()
    go_on.set()
    assert (await request).state == "confirmed"
    assert await on_shelf(shop, mug) == (1, 0)


@pytest.fixture
async def quick_shop(
    database_url: str, tmp_path: Path, clock: ManualClock, quick_wired: Liveshop
) -> Any:
    yield quick_wired
    await quick_wired.syndication.close()
    await asyncio.to_thread(quick_wired.media.close)
    await quick_wired.database.close()


@pytest.fixture
def quick_wired(database_url: str, tmp_path: Path, clock: ManualClock) -> Liveshop:
    """A shop that soon gives up waiting for a provider."""
    settings = builders.test_settings(
        tmp_path / "data", database_url=database_url, payments__timeout_seconds=0.05
    )
    return wire(settings, Database.open(database_url, pool_size=10), None, clock)
