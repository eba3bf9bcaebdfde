"""Refunds: never more than was paid, each once, asked for until the provider says how it stands;
and what is given back at the provider's own desk.
"""

import asyncio
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import builders
import pytest
from payment_builders import ADA, HearingBank, buys, order_of, refunds_of, told

from liveshop import app
from liveshop.app import Liveshop, wire
from liveshop.checkout.payment_history import note_refund
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import RefundId, VariantId
from liveshop.kernel.money import Money
from liveshop.orders.model import Order
from liveshop.payments import refunds
from liveshop.payments import store as payments_store
from liveshop.payments.model import (
    CannotCapture,
    ProviderUnavailable,
    Refund,
    RefundAnswer,
    RefundTooLarge,
)
from liveshop.payments.providers.invoice import Invoice
from liveshop.payments.reconciler import Reconciler
from liveshop.storage import Database

HOUR = timedelta(hours=1)


@pytest.fixture
def bank() -> HearingBank:
    return HearingBank()


@pytest.fixture
def wired(
    database_url: str,
    tmp_path: Path,
    clock: ManualClock,
    bank: HearingBank,
    monkeypatch: pytest.MonkeyPatch,
) -> Liveshop:
    monkeypatch.setattr(app, "providers_of", lambda *_: {"bank": bank, "invoice": Invoice()})
    settings = builders.test_settings(tmp_path / "data", database_url=database_url)
    return wire(settings, Database.open(database_url, pool_size=10), None, clock)


@pytest.fixture
async def mug(shop: Liveshop) -> VariantId:
    return VariantId((await builders.product(shop, stock=3)).variants[0].id)


@pytest.fixture
async def order(shop: Liveshop, mug: VariantId) -> Order:
    paid, _ = await buys(shop, mug, card=builders.GOOD_CARD)
    assert (paid.state, paid.total) == ("confirmed", Money(3290, "EUR"))
    return paid


async def owe(
    shop: Liveshop, order: Order, amount: int, key: str, *, by_hand: bool = False
) -> Refund:
    async with shop.database.write() as tx:
        return await refunds.owe(
            tx,
            order.payment,
            Money(amount, "EUR"),
            cause="goodwill",
            key=key,
            now=shop.clock.now(),
            by_hand=by_hand,
        )


async def stands(shop: Liveshop, order: Order) -> list[tuple[str, int]]:
    return sorted((one.state, one.amount.amount) for one in await refunds_of(shop, order))


async def refunded(shop: Liveshop, order: Order) -> int:
    return (await order_of(shop, order)).payment.refunded


async def test_a_part_goes_back_and_then_the_rest_and_not_a_cent_more(
    shop: Liveshop, order: Order, bank: HearingBank
) -> None:
    await owe(shop, order, 290, "a")
    assert await refunded(shop, order) == 290
    await owe(shop, order, 3000, "b")
    with pytest.raises(RefundTooLarge) as told_why:
        await owe(shop, order, 1, "c")
    assert told_why.value.data == {"refundable": {"amount": 0, "currency": "EUR"}}
    await shop.reconciler.run_due()
    assert await stands(shop, order) == [("done", 290), ("done", 3000)]
    assert sum(amount.amount for _, amount in bank.returned.values()) == 3290
    assert (await told(shop, order)).count("refund.done") == 2


async def test_the_same_key_again_owes_nothing_more(shop: Liveshop, order: Order) -> None:
    first = await owe(shop, order, 290, "a")
    again = await asyncio.gather(*(owe(shop, order, 290, "a") for _ in range(5)))
    assert {one.id for one in again} == {first.id}
    assert await refunded(shop, order) == 290


async def test_the_same_key_from_many_sides_at_once_is_owed_once(
    shop: Liveshop, order: Order
) -> None:
    owed = await asyncio.gather(*(owe(shop, order, 290, "a") for _ in range(8)))
    assert len({one.id for one in owed}) == 1
    assert await refunded(shop, order) == 290


async def test_many_refunds_at_once_never_add_up_to_more_than_was_paid(
    shop: Liveshop, order: Order
) -> None:
    ended = await asyncio.gather(
        *(owe(shop, order, 1000, f"key {number}") for number in range(8)), return_exceptions=True
    )
    assert len([one for one in ended if isinstance(one, RefundTooLarge)]) == 5
    assert await refunded(shop, order) == 3000


@pytest.mark.parametrize("amount", [0, -1, 3291, 10**15])
async def test_an_amount_that_makes_no_sense_is_not_owed(
    shop: Liveshop, order: Order, amount: int
) -> None:
    with pytest.raises(RefundTooLarge):
        await owe(shop, order, amount, "a")
    async with shop.database.write() as tx:
        with pytest.raises(RefundTooLarge):
            await refunds.owe(
                tx,
                order.payment,
                Money(290, "USD"),
                cause="goodwill",
                key="b",
                now=shop.clock.now(),
            )
    assert await stands(shop, order) == []
    assert await refunded(shop, order) == 0


async def test_nothing_is_owed_of_what_was_only_promised(shop: Liveshop, mug: VariantId) -> None:
    promised, _ = await buys(shop, mug, method="invoice")
    assert promised.payment.state == "authorised"
    with pytest.raises(RefundTooLarge):
        await owe(shop, promised, 290, "a")


async def test_a_provider_that_is_away_is_asked_ever_less_often_but_for_ever(
    shop: Liveshop, order: Order, bank: HearingBank, clock: ManualClock
) -> None:
    asked: list[float] = []

    async def away() -> None:
        asked.append(clock.now().timestamp())
        raise ProviderUnavailable("The bank does not answer.")

    bank.on_refund = away
    await owe(shop, order, 290, "a")
    began = clock.now()
    while clock.now() < began + 24 * HOUR:
        await shop.reconciler.run_due()
        clock.advance(timedelta(minutes=10))
    waits = [later - earlier for earlier, later in pairwise(asked)]
    assert max(waits) <= 3600 * 1.2 + 600
    assert waits[-1] > 2000 > waits[0]
    assert 20 < len(asked) < 60
    assert await stands(shop, order) == [("due", 290)]
    bank.on_refund = None
    clock.advance(2 * HOUR)
    await shop.reconciler.run_due()
    assert await stands(shop, order) == [("done", 290)]
    assert not await shop.reconciler.run_due()


async def test_a_new_process_asks_at_once_for_what_the_last_one_put_off(
    shop: Liveshop, order: Order, bank: HearingBank, clock: ManualClock
) -> None:
    async def away() -> None:
        raise ProviderUnavailable("The bank does not answer.")

    bank.on_refund = away
    await owe(shop, order, 290, "a")
    for _ in range(12):
        await shop.reconciler.run_due()
        clock.advance(2 * HOUR)
    await shop.reconciler.run_due()
    bank.on_refund = None
    restarted = Reconciler(
        shop.database, clock, shop.payments, shop.orders.settle, note_refund, shop.orders.number_of
    )
    running = asyncio.create_task(restarted.run())
    async with asyncio.timeout(10):
        while await stands(shop, order) != [("done", 290)]:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_two_processes_that_ask_for_one_refund_give_back_once(
    shop: Liveshop, order: Order, bank: HearingBank, clock: ManualClock
) -> None:
    await owe(shop, order, 290, "a")
    other = Reconciler(
        shop.database, clock, shop.payments, shop.orders.settle, note_refund, shop.orders.number_of
    )
    await asyncio.gather(shop.reconciler.run_due(), other.run_due())
    assert await stands(shop, order) == [("done", 290)]
    assert len(bank.returned) == 1
    assert (await told(shop, order)).count("refund.done") == 1


async def test_a_refund_the_provider_refuses_counts_no_more_and_is_shown(
    shop: Liveshop, order: Order, bank: HearingBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(_: object) -> RefundAnswer:
        return RefundAnswer("failed", "no", "The account is closed.")

    monkeypatch.setattr(bank, "refund", refuses)
    await owe(shop, order, 3290, "a")
    await shop.reconciler.run_due()
    [one] = await refunds_of(shop, order)
    assert (one.state, one.message) == ("failed", "The account is closed.")
    assert await refunded(shop, order) == 0
    assert "refund.failed" in await told(shop, order)
    assert await shop.reconciler.run_due(), "whether people gave it back there"
    assert not await shop.reconciler.run_due()
    await owe(shop, order, 3290, "b", by_hand=True)
    assert await refunded(shop, order) == 3290


async def test_a_refund_under_way_is_asked_for_until_it_has_arrived(
    shop: Liveshop,
    order: Order,
    bank: HearingBank,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def under_way(wish: object) -> RefundAnswer:
        return RefundAnswer("pending", "soon")

    monkeypatch.setattr(bank, "refund", under_way)
    await owe(shop, order, 290, "a")
    for _ in range(3):
        await shop.reconciler.run_due()
        clock.advance(2 * HOUR)
    assert await stands(shop, order) == [("pending", 290)]
    assert (await told(shop, order)).count("refund.pending") == 1
    monkeypatch.undo()
    await shop.reconciler.run_due()
    assert await stands(shop, order) == [("done", 290)]


async def test_what_people_give_back_by_hand_no_provider_is_asked_for(
    shop: Liveshop, mug: VariantId, clock: ManualClock, bank: HearingBank
) -> None:
    promised, _ = await buys(shop, mug, method="invoice")
    async with shop.database.write() as tx:
        assert await payments_store.record_paid_by_hand(tx.conn, promised.payment.id, clock.now())
        assert not await payments_store.record_paid_by_hand(
            tx.conn, promised.payment.id, clock.now()
        )
    owed = await owe(shop, promised, 290, "a", by_hand=True)
    assert not await shop.reconciler.run_due()
    async with shop.database.write() as tx:
        done = await refunds.done_by_hand(tx, owed.id, clock.now())
        assert done is not None
        assert done.state == "done"
        assert await refunds.done_by_hand(tx, owed.id, clock.now()) is None
        assert await refunds.done_by_hand(tx, RefundId("rfd_unknown"), clock.now()) is None
    assert await stands(shop, promised) == [("done", 290)]


async def test_what_the_provider_is_asked_for_nobody_does_by_hand(
    shop: Liveshop, order: Order, clock: ManualClock
) -> None:
    owed = await owe(shop, order, 290, "a")
    async with shop.database.write() as tx:
        assert await refunds.done_by_hand(tx, owed.id, clock.now()) is None


async def test_a_refund_made_at_the_provider_is_taken_over_once(
    shop: Liveshop, order: Order, bank: HearingBank
) -> None:
    bank.gives_back(order, 1000)
    for _ in range(3):
        await shop.reconciler.look(order.payment.id)
    [one] = await refunds_of(shop, order)
    assert (one.state, one.amount.amount, one.cause) == ("done", 1000, "provider")
    assert await refunded(shop, order) == 1000
    assert (await told(shop, order)).count("refund.done") == 1
    with pytest.raises(RefundTooLarge):
        await owe(shop, order, 2291, "a")


async def test_a_refund_made_at_the_provider_that_is_under_way_is_followed(
    shop: Liveshop, order: Order, bank: HearingBank, clock: ManualClock
) -> None:
    bank.gives_back(order, 1000, "pending")
    await shop.reconciler.look(order.payment.id)
    assert await stands(shop, order) == [("pending", 1000)]
    key, amount, answer = bank.made_there[0]
    bank.made_there[0] = (key, amount, RefundAnswer("failed", answer.reference, "No account."))
    clock.advance(2 * HOUR)
    await shop.reconciler.run_due()
    assert await stands(shop, order) == [("failed", 1000)]
    assert await refunded(shop, order) == 0


async def test_one_of_ours_is_known_by_our_key_and_not_taken_over_twice(
    shop: Liveshop, order: Order, bank: HearingBank, clock: ManualClock
) -> None:
    """The bank has given it back, and we never heard so."""

    async def dies() -> None:
        raise ProviderUnavailable("The answer was lost.")

    owed = await owe(shop, order, 290, "a")
    bank.on_refund = dies
    await shop.reconciler.run_due()
    bank.returned[owed.id] = (order.payment.id, owed.amount)
    await shop.reconciler.look(order.payment.id)
    assert await stands(shop, order) == [("done", 290)]
    assert await refunded(shop, order) == 290


async def test_more_refunded_at_the_provider_than_is_left_is_shown_to_people(
    shop: Liveshop, order: Order, bank: HearingBank
) -> None:
    bank.on_refund = None
    await owe(shop, order, 3000, "a", by_hand=True)
    bank.gives_back(order, 1000)
    await shop.reconciler.look(order.payment.id)
    assert await stands(shop, order) == [("due", 3000)]
    found = await order_of(shop, order)
    assert found.payment.refunded == 3000
    assert "more than is left" in str(found.payment.problem)


@pytest.mark.parametrize("times", [1, 3])
async def test_what_is_authorised_is_taken_once_when_the_goods_leave(
    shop: Liveshop, bank: HearingBank, mug: VariantId, times: int
) -> None:
    asked, _ = await buys(shop, mug)
    order = await shop.orders.settle(asked.id, bank.says(asked, "authorised"))
    assert (order.state, order.payment.captured) == ("confirmed", 0)
    answers = await asyncio.gather(
        *(shop.payments.capture(order.number, order.payment) for _ in range(times))
    )
    assert {one.state for one in answers} == {"paid"}
    found = await order_of(shop, order)
    assert (found.payment.state, found.payment.captured) == ("paid", order.total.amount)
    assert (await told(shop, order)).count("payment.paid") == 1
    assert (await shop.payments.capture(order.number, found.payment)).state == "paid"


async def test_what_was_given_up_cannot_be_taken(
    shop: Liveshop, bank: HearingBank, mug: VariantId
) -> None:
    asked, _ = await buys(shop, mug)
    order = await shop.orders.settle(asked.id, bank.says(asked, "authorised"))
    bank.says(asked, "voided")
    with pytest.raises(CannotCapture):
        await shop.payments.capture(order.number, order.payment)
    assert (await order_of(shop, order)).payment.captured == 0


async def test_the_capture_of_a_new_payment_follows_the_settings(
    shop: Liveshop, mug: VariantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, _ = await buys(shop, mug, card=builders.GOOD_CARD)
    assert (now.payment.capture, now.payment.state) == ("now", "paid")
    monkeypatch.setattr(shop.payments, "capture_of", lambda _: "later")
    later, _ = await buys(shop, mug, card=builders.GOOD_CARD, key="key-2")
    assert (later.payment.capture, later.payment.state) == ("later", "authorised")
    assert (await order_of(shop, later)).payment.capture == "later"
    assert (later.viewer_id, later.payment.captured) == (ADA, 0)
