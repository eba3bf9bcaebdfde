"""Payments that the buyer confirms: he does, fails to, leaves, calls it off, or comes back late;
and money that nobody expects any more.
"""

import asyncio
from datetime import timedelta
from pathlib import Path

import builders
import pytest
from checkout_builders import audit, viewer, wish, wish_of
from payment_builders import (
    ADA,
    BOB,
    HearingBank,
    buys,
    due_at,
    order_of,
    refunds_of,
    told,
)

from liveshop import app
from liveshop.app import Liveshop, wire
from liveshop.checkout.model import CartEmpty, PaymentDeclined
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import VariantId
from liveshop.kernel.money import Money
from liveshop.orders.model import Order, UnknownOrder
from liveshop.payments import store as payments_store
from liveshop.payments.model import ProviderUnavailable
from liveshop.storage import Database

MINUTES = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


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
    monkeypatch.setattr(app, "providers_of", lambda *_: {"bank": bank})
    settings = builders.test_settings(tmp_path / "data", database_url=database_url)
    return wire(settings, Database.open(database_url, pool_size=10), None, clock)


@pytest.fixture
async def mug(shop: Liveshop) -> VariantId:
    return VariantId((await builders.product(shop, stock=3)).variants[0].id)


async def on_shelf(shop: Liveshop) -> tuple[int, int]:
    rows = await audit(shop.database)
    return sum(row.on_hand for row in rows), sum(row.held for row in rows)


async def cart_of(shop: Liveshop) -> list[tuple[int, str]]:
    return [(line.quantity, line.hold) for line in (await shop.carts.cart_of(ADA)).lines]


def state(order: Order) -> tuple[str, str]:
    return order.state, order.payment.state


async def test_the_buyer_confirms_and_his_order_stands(
    shop: Liveshop, bank: HearingBank, mug: VariantId, clock: ManualClock
) -> None:
    order, client = await buys(shop, mug, quantity=2)
    assert state(order) == ("pending", "action_required")
    assert client is not None
    assert client.secret == f"{order.payment.id}_secret"
    assert order.payment.expires_at == order.placed_at + 15 * MINUTES
    assert await on_shelf(shop) == (3, 2)
    assert await cart_of(shop) == []
    unsettled, again = await shop.orders.check_payment(ADA, order.id)
    assert (state(unsettled), again) == (("pending", "action_required"), client)

    bank.says(order, "paid")
    settled, nothing = await shop.orders.check_payment(ADA, order.id)
    assert (state(settled), nothing) == (("confirmed", "paid"), None)
    assert settled.payment.captured == order.total.amount
    assert await on_shelf(shop) == (1, 0)
    assert await due_at(shop, order.payment.id) is None
    assert await told(shop, order) == ["order.confirmed", "payment.action_required"]
    assert await shop.orders.check_payment(ADA, order.id) == (settled, None)


async def test_the_same_key_again_brings_the_same_step_back(
    shop: Liveshop, bank: HearingBank, mug: VariantId
) -> None:
    order, client = await buys(shop, mug)
    given = wish(order.total, method="bank", card="4000 0000 0000 3220")
    assert await shop.orders.place(ADA, "key-1", given) == (order, client)
    # Without the card, as after the page was loaded anew.
    given = wish(order.total, method="bank", card=None)
    assert (await shop.orders.place(ADA, "key-1", given))[1] == client
    assert bank.paid == []


async def test_the_page_is_closed_in_mid_payment_and_the_order_stands_all_the_same(
    shop: Liveshop, bank: HearingBank, mug: VariantId, clock: ManualClock
) -> None:
    order, _ = await buys(shop, mug)
    bank.says(order, "paid")
    assert not await shop.reconciler.run_due(), "not due yet"
    clock.advance(31 * SECOND)
    assert await shop.reconciler.run_due()
    assert state(await order_of(shop, order)) == ("confirmed", "paid")
    assert not await shop.reconciler.run_due()


async def test_a_buyer_who_comes_back_finds_the_payment_that_waits_for_him(
    shop: Liveshop, bank: HearingBank, mug: VariantId
) -> None:
    known = await shop.orders.known_buyer(ADA)
    assert (known.email, known.address, known.method, known.pending) == (None, None, None, None)
    order, client = await buys(shop, mug)
    known = await shop.orders.known_buyer(ADA)
    assert known.email is None, "nothing stands yet"
    assert known.pending is not None
    assert client is not None
    assert known.pending.payment.client is not None
    assert (known.pending.id, known.pending.payment.client.secret) == (order.id, client.secret)
    bank.says(order, "paid")
    known = await shop.orders.known_buyer(ADA)
    assert known.pending is None, "asked for, and settled"
    known = await shop.orders.known_buyer(ADA)
    assert (known.email, known.method) == ("ada@example.org", "bank")
    assert known.address is not None
    assert known.address.city == "Hamburg"
    assert (await shop.orders.known_buyer(BOB)).email is None


async def test_a_card_that_fails_leaves_the_payment_open_for_another(
    shop: Liveshop, bank: HearingBank, mug: VariantId, clock: ManualClock
) -> None:
    order, _ = await buys(shop, mug)
    bank.says(order, "action_required", message="The card was declined.")
    tried, client = await shop.orders.check_payment(ADA, order.id)
    assert state(tried) == ("pending", "action_required")
    assert tried.payment.message == "The card was declined."
    assert client is not None
    bank.says(order, "paid")
    settled, _ = await shop.orders.check_payment(ADA, order.id)
    assert state(settled) == ("confirmed", "paid")
    assert settled.payment.message is None


async def test_a_confirmation_that_never_comes_gives_the_cart_back(
    shop: Liveshop, bank: HearingBank, mug: VariantId, clock: ManualClock
) -> None:
    order, _ = await buys(shop, mug, quantity=2)
    for _ in range(14):
        clock.advance(MINUTES)
        await shop.reconciler.run_due()
    assert state(await order_of(shop, order)) == ("pending", "action_required")
    clock.advance(MINUTES)
    await shop.reconciler.run_due()
    assert state(await order_of(shop, order)) == ("payment_failed", "declined")
    assert bank.books[order.payment.id].state == "declined", "it can not be confirmed any more"
    assert await cart_of(shop) == [(2, "held")]
    assert await on_shelf(shop) == (3, 2)
    assert await told(shop, order) == [
        "order.payment_failed",
        "payment.action_required",
        "payment.declined",
    ]
    after, client = await shop.orders.check_payment(ADA, order.id)
    assert (after.state, client) == ("payment_failed", None)
    with pytest.raises(PaymentDeclined, match="nothing was charged"):
        await shop.orders.place(ADA, "key-1", wish(order.total, method="bank"))


async def test_confirmed_at_the_last_moment_the_order_stands(
    shop: Liveshop, bank: HearingBank, mug: VariantId, clock: ManualClock
) -> None:
    order, _ = await buys(shop, mug)
    clock.advance(16 * MINUTES)
    bank.says(order, "paid")
    await shop.reconciler.run_due()
    assert state(await order_of(shop, order)) == ("confirmed", "paid")


async def test_the_buyer_calls_it_off_and_has_his_cart_back_at_once(
    shop: Liveshop, bank: HearingBank, mug: VariantId, clock: ManualClock
) -> None:
    order, _ = await buys(shop, mug, quantity=2)
    called_off = await shop.orders.cancel_payment(ADA, order.id)
    assert state(called_off) == ("payment_failed", "declined")
    assert await cart_of(shop) == [(2, "held")]
    assert await due_at(shop, order.payment.id) is None
    assert (await shop.orders.cancel_payment(ADA, order.id)).state == "payment_failed"
    other, _ = await shop.orders.place(
        ADA, "key-2", await wish_of(shop, ADA, method="bank", card=builders.GOOD_CARD)
    )
    assert other.state == "confirmed"
    assert bank.paid == [other.payment.id]


async def test_called_off_while_the_provider_is_away_it_is_called_off_later(
    shop: Liveshop,
    bank: HearingBank,
    mug: VariantId,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def away(_: object) -> None:
        raise ProviderUnavailable("The bank does not answer.")

    order, _ = await buys(shop, mug)
    monkeypatch.setattr(bank, "void", away)
    assert (await shop.orders.cancel_payment(ADA, order.id)).state == "pending"
    _, client = await shop.orders.check_payment(ADA, order.id)
    assert client is None, "he does not want to any more"
    await shop.reconciler.run_due()
    monkeypatch.undo()
    clock.advance(MINUTES)
    await shop.reconciler.run_due()
    assert state(await order_of(shop, order)) == ("payment_failed", "declined")
    assert await cart_of(shop) == [(1, "held")]


async def test_paid_at_the_moment_it_is_called_off_the_money_goes_back(
    shop: Liveshop, bank: HearingBank, mug: VariantId, clock: ManualClock
) -> None:
    order, _ = await buys(shop, mug)
    bank.says(order, "paid")
    called_off = await shop.orders.cancel_payment(ADA, order.id)
    assert state(called_off) == ("payment_failed", "paid")
    assert await cart_of(shop) == [(1, "held")]
    assert [(one.state, one.cause) for one in await refunds_of(shop, order)] == [("due", "late")]
    await shop.reconciler.run_due()
    assert [(one.state, one.amount) for one in await refunds_of(shop, order)] == [
        ("done", order.total)
    ]
    assert bank.refunds == [order.payment.id]
    assert await on_shelf(shop) == (3, 1)
    assert await told(shop, order) == [
        "order.payment_failed",
        "payment.action_required",
        "payment.paid",
        "refund.done",
        "refund.owed",
    ]


async def test_authorised_at_the_moment_it_is_called_off_the_promise_is_given_up(
    shop: Liveshop, bank: HearingBank, mug: VariantId, clock: ManualClock
) -> None:
    order, _ = await buys(shop, mug)
    async with shop.database.write() as tx:
        await payments_store.want_void(tx.conn, order.payment.id, clock.now())
    settled = await shop.orders.settle(order.id, bank.says(order, "authorised"))
    assert state(settled) == ("payment_failed", "authorised")
    await shop.reconciler.run_due()
    assert state(await order_of(shop, order)) == ("payment_failed", "voided")
    assert bank.books[order.payment.id].state == "voided"
    assert await refunds_of(shop, order) == []


async def test_money_for_an_order_that_came_to_nothing_goes_back_once(
    shop: Liveshop, bank: HearingBank, mug: VariantId, clock: ManualClock
) -> None:
    order, _ = await buys(shop, mug)
    await shop.orders.cancel_payment(ADA, order.id)
    paid = bank.says(order, "paid")
    for _ in range(3):
        late = await shop.orders.settle(order.id, paid)
        assert state(late) == ("payment_failed", "declined")
    while await shop.reconciler.run_due():
        pass
    assert bank.refunds == [order.payment.id]
    found = await order_of(shop, order)
    assert (found.payment.captured, found.payment.refunded) == (order.total.amount,) * 2


async def test_a_promise_for_an_order_that_came_to_nothing_is_given_up_again(
    shop: Liveshop, bank: HearingBank, mug: VariantId, clock: ManualClock
) -> None:
    order, _ = await buys(shop, mug)
    await shop.orders.cancel_payment(ADA, order.id)
    await shop.orders.settle(order.id, bank.says(order, "authorised"))
    await shop.reconciler.run_due()
    assert bank.books[order.payment.id].state == "voided"
    assert state(await order_of(shop, order)) == ("payment_failed", "declined")
    assert await due_at(shop, order.payment.id) is None


async def test_money_that_takes_days_lets_the_order_stand_and_may_fail_after_all(
    shop: Liveshop, bank: HearingBank, mug: VariantId, clock: ManualClock
) -> None:
    order, _ = await buys(shop, mug, quantity=2)
    bank.says(order, "processing")
    collecting, _ = await shop.orders.check_payment(ADA, order.id)
    assert state(collecting) == ("confirmed", "processing")
    assert await on_shelf(shop) == (1, 0)
    other, _ = await buys(shop, mug, who=BOB)
    bank.says(other, "processing")
    await shop.orders.check_payment(BOB, other.id)

    bank.says(order, "paid")
    bank.says(other, "declined", message="The account could not be debited.")
    clock.advance(timedelta(days=3))
    await shop.reconciler.run_due()
    assert state(await order_of(shop, order)) == ("confirmed", "paid")
    assert state(await order_of(shop, other)) == ("cancelled", "declined")
    assert "order.cancelled" in await told(shop, other)
    assert await on_shelf(shop) == (1, 0), "the mug that was not paid is back"
    assert await refunds_of(shop, other) == []
    assert await due_at(shop, order.payment.id) is None
    assert await due_at(shop, other.payment.id) is None


async def test_what_was_authorised_and_lost_at_the_provider_is_shown_to_people(
    shop: Liveshop, bank: HearingBank, mug: VariantId
) -> None:
    order, _ = await buys(shop, mug)
    await shop.orders.settle(order.id, bank.says(order, "authorised"))
    settled = await shop.orders.settle(order.id, bank.says(order, "voided"))
    assert state(settled) == ("confirmed", "voided")
    assert (await order_of(shop, order)).payment.problem is not None


@pytest.mark.parametrize(("amount", "currency"), [(1, "EUR"), (3291, "EUR"), (3290, "USD")])
async def test_another_amount_or_currency_confirms_nothing(
    shop: Liveshop,
    bank: HearingBank,
    mug: VariantId,
    clock: ManualClock,
    amount: int,
    currency: str,
) -> None:
    order, _ = await buys(shop, mug)
    assert order.total == Money(3290, "EUR")
    bank.says(order, "paid", amount=Money(amount, currency))
    settled, client = await shop.orders.check_payment(ADA, order.id)
    assert (state(settled), client) == (("pending", "action_required"), None)
    assert settled.payment.problem is not None
    for _ in range(5):
        clock.advance(timedelta(hours=1))
        await shop.reconciler.run_due()
    found = await order_of(shop, order)
    assert state(found) == ("pending", "action_required")
    assert found.payment.captured == 0
    assert await due_at(shop, order.payment.id) is not None, "it goes on being asked for"
    assert (await told(shop, order)).count("payment.mismatch") == 1
    assert await refunds_of(shop, order) == []


async def test_two_tabs_with_one_cart_pay_once(
    shop: Liveshop, bank: HearingBank, mug: VariantId
) -> None:
    await shop.carts.add_to_cart(ADA, mug, 2, None)
    given = await wish_of(shop, ADA, method="bank", card=builders.GOOD_CARD)
    ended = await asyncio.gather(
        *(shop.orders.place(ADA, key, given) for key in ("one tab", "another")),
        return_exceptions=True,
    )
    assert len([one for one in ended if isinstance(one, CartEmpty)]) == 1
    assert len(bank.paid) == 1
    assert await on_shelf(shop) == (1, 0)


async def test_two_tabs_that_check_and_call_off_one_payment_agree(
    shop: Liveshop, bank: HearingBank, mug: VariantId, clock: ManualClock
) -> None:
    for number in range(3):
        who = viewer(10 + number)
        order, _ = await buys(shop, mug, who=who)
        bank.says(order, "paid")
        await asyncio.gather(
            shop.orders.check_payment(who, order.id),
            shop.orders.cancel_payment(who, order.id),
            shop.orders.check_payment(who, order.id),
        )
        while await shop.reconciler.run_due():
            pass
        found = await order_of(shop, order)
        kept = found.payment.captured - found.payment.refunded
        assert kept == (order.total.amount if found.state == "confirmed" else 0), state(found)
        assert found.state in ("confirmed", "payment_failed")
    await audit(shop.database)


async def test_nobody_acts_on_the_payment_of_somebody_else(
    shop: Liveshop, bank: HearingBank, mug: VariantId
) -> None:
    order, _ = await buys(shop, mug)
    with pytest.raises(UnknownOrder):
        await shop.orders.check_payment(BOB, order.id)
    with pytest.raises(UnknownOrder):
        await shop.orders.cancel_payment(BOB, order.id)
    assert (await shop.orders.known_buyer(BOB)).pending is None
    assert state(await order_of(shop, order)) == ("pending", "action_required")


async def test_an_answer_that_comes_late_and_out_of_order_undoes_nothing(
    shop: Liveshop, bank: HearingBank, mug: VariantId
) -> None:
    order, _ = await buys(shop, mug)
    settled = await shop.orders.settle(order.id, bank.says(order, "paid"))
    for older in ("action_required", "processing", "authorised", "declined", "voided", "pending"):
        again = await shop.orders.settle(order.id, bank.says(order, older))
        assert again == settled
    assert await on_shelf(shop) == (2, 0)
