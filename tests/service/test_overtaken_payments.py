"""A payment that one asks to be given up while another is being told how to pay it.

Both come of one crash: the reconciler of the new process rules out what nobody heard of, and the
buyer's browser asks for the same order again.
"""

import asyncio
from pathlib import Path

import builders
import pytest
import sqlalchemy as sa
from payment_builders import ADA, CONFIRM_CARD, HearingBank, buys, order_of

from liveshop import app
from liveshop.app import Liveshop, wire
from liveshop.checkout.model import PaymentDeclined
from liveshop.checkout.payment_history import note_refund
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import VariantId
from liveshop.payments import store as payments
from liveshop.payments.model import Charge, ChargeAnswer, Payment, voided
from liveshop.payments.reconciler import Reconciler
from liveshop.payments.tables import payment
from liveshop.storage import Database


class NumberingBank(HearingBank):
    """Knows a payment by its own name for it only, as Stripe does."""

    async def find(self, charge: Charge) -> ChargeAnswer | None:
        return None if charge.reference is None else await super().find(charge)

    async def void(self, charge: Charge) -> ChargeAnswer:
        return voided(charge.key) if charge.reference is None else await super().void(charge)


@pytest.fixture
def bank() -> NumberingBank:
    return NumberingBank()


@pytest.fixture
def wired(
    database_url: str,
    tmp_path: Path,
    clock: ManualClock,
    bank: NumberingBank,
    monkeypatch: pytest.MonkeyPatch,
) -> Liveshop:
    monkeypatch.setattr(app, "providers_of", lambda *_: {"bank": bank})
    settings = builders.test_settings(tmp_path / "data", database_url=database_url)
    return wire(settings, Database.open(database_url, pool_size=10), None, clock)


@pytest.fixture
async def mug(shop: Liveshop) -> VariantId:
    return VariantId((await builders.product(shop, stock=3)).variants[0].id)


async def the_payment(shop: Liveshop) -> Payment:
    """The only one there is."""
    async with shop.database.read() as conn:
        only = await conn.scalar(sa.select(payment.c.id))
        found = await payments.by_id(conn, only)
    assert found is not None
    return found


async def test_what_was_ruled_out_before_its_name_was_known_can_still_be_paid(
    shop: Liveshop, bank: NumberingBank, mug: VariantId
) -> None:
    order, client = await buys(shop, mug)
    assert client is not None
    settled = await shop.orders.settle(order.id, voided(order.payment.id))
    assert (settled.state, settled.payment) == ("pending", order.payment)
    bank.says(order, "paid")
    settled, _ = await shop.orders.check_payment(ADA, order.id)
    assert (settled.state, settled.payment.state) == ("confirmed", "paid")


async def test_what_turns_up_after_it_was_ruled_out_is_given_up_by_its_name(
    shop: Liveshop, bank: NumberingBank, mug: VariantId
) -> None:
    async def rule_out() -> None:
        pending = await the_payment(shop)
        await shop.orders.settle(pending.order_id, voided(pending.id))

    bank.after = rule_out
    with pytest.raises(PaymentDeclined):
        await buys(shop, mug)
    paid = await the_payment(shop)
    assert (paid.state, paid.reference) == ("declined", f"bank_{paid.id}")
    assert bank.books[paid.id].state == "action_required"
    await shop.reconciler.run_due()
    assert bank.books[paid.id].state == "declined"
    paid = await the_payment(shop)
    assert paid.check_at is None


async def test_a_new_process_asks_at_once_for_what_a_buyer_may_have_confirmed(
    shop: Liveshop, bank: NumberingBank, mug: VariantId, clock: ManualClock
) -> None:
    """Its webhook may have come while nobody was there to hear it."""
    order, _ = await buys(shop, mug, card=CONFIRM_CARD)
    bank.says(order, "paid")
    assert not await shop.reconciler.run_due()
    restarted = Reconciler(
        shop.database, clock, shop.payments, shop.orders.settle, note_refund, shop.orders.number_of
    )
    running = asyncio.create_task(restarted.run())
    async with asyncio.timeout(10):
        while (await order_of(shop, order)).state != "confirmed":
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
