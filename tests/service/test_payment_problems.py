"""What goes wrong with money and no asking again can settle: it is shown, people can act on it, and
nothing waits for ever.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import builders
import pytest
import sqlalchemy as sa
from checkout_builders import wish_of
from order_desk_builders import STAFF
from payment_builders import ADA, HearingBank, buys, order_of, refunds_of, told

from liveshop import app
from liveshop.app import Liveshop, wire
from liveshop.catalog.tables import hold
from liveshop.checkout.payment_history import note_dispute
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import VariantId
from liveshop.kernel.money import Money
from liveshop.orders.model import NotNow, Order
from liveshop.payments.inbox import Inbox
from liveshop.payments.model import (
    METHOD_GONE,
    NOT_TOLD,
    REFUND_FAILED,
    Charge,
    ChargeAnswer,
    ProviderUnavailable,
    RefundAnswer,
    RefundWish,
)
from liveshop.payments.providers.invoice import Invoice
from liveshop.promotions import wire as promotions_wire
from liveshop.storage import Database

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Refusing(ShopError):
    code = "payment_refused"
    status = 502


class MoodyBank(HearingBank):
    """Refuses or is away on demand, and says what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.mood: Exception | None = None
        self.listing: Exception | None = None
        self.wishes: list[RefundWish] = []
        self.refund_says: RefundAnswer | None = None
        self.calls_made = 0

    async def charge(self, charge: Charge) -> ChargeAnswer:
        self.calls_made += 1
        return await super().charge(charge)

    async def find(self, charge: Charge) -> ChargeAnswer | None:
        self.calls_made += 1
        if self.mood is not None:
            raise self.mood
        return await super().find(charge)

    async def void(self, charge: Charge) -> ChargeAnswer:
        self.calls_made += 1
        if self.mood is not None:
            raise self.mood
        return await super().void(charge)

    async def refunds_of(self, charge: Charge) -> list[tuple[str, Money, RefundAnswer]]:
        if self.listing is not None:
            raise self.listing
        return await super().refunds_of(charge)

    async def refund(self, wish: RefundWish) -> RefundAnswer:
        self.wishes.append(wish)
        if self.refund_says is not None:
            return self.refund_says
        return await super().refund(wish)


@pytest.fixture
def bank() -> MoodyBank:
    return MoodyBank()


@pytest.fixture
def wired(
    database_url: str,
    tmp_path: Path,
    clock: ManualClock,
    bank: MoodyBank,
    monkeypatch: pytest.MonkeyPatch,
) -> Liveshop:
    monkeypatch.setattr(app, "providers_of", lambda *_: {"bank": bank, "invoice": Invoice()})
    settings = builders.test_settings(
        tmp_path / "data", database_url=database_url, shop__shipping={"DE": 0}
    )
    return wire(settings, Database.open(database_url, pool_size=10), None, clock)


@pytest.fixture
async def mug(shop: Liveshop) -> VariantId:
    return VariantId((await builders.product(shop, stock=3)).variants[0].id)


@pytest.fixture
async def paid(shop: Liveshop, mug: VariantId) -> Order:
    order, _ = await buys(shop, mug, card=builders.GOOD_CARD)
    assert order.state == "confirmed"
    return order


async def call(shop: Liveshop, bank: MoodyBank, order: Order, number: int = 1) -> None:
    """The bank says that there is news of this order's refunds."""
    inbox = Inbox(shop.database, shop.clock, shop.payments, note_dispute)
    headers, body = bank.calls(order, event_id=f"evt_{number}", about="refund", at=shop.clock.now())
    assert await inbox.hear("bank", headers, body) == "asked"


async def days_pass(shop: Liveshop, clock: ManualClock, days: int = 4) -> None:
    for _ in range(days):
        clock.advance(DAY)
        await shop.reconciler.run_due()


async def holds_left(shop: Liveshop) -> int:
    async with shop.database.read() as conn:
        return int(await conn.scalar(sa.select(sa.func.count()).select_from(hold)) or 0)


# Refunds


async def test_a_refund_that_a_bank_sends_back_is_owed_no_more_and_shown(
    shop: Liveshop, bank: MoodyBank, paid: Order
) -> None:
    owed = await shop.desk.refund(paid.id, "k", Money(500, "EUR"), "sorry", STAFF)
    await shop.reconciler.run_due()
    assert [one.state for one in await refunds_of(shop, paid)] == ["done"]
    bank.refund_states[owed.id] = "failed"
    await call(shop, bank, paid)
    await shop.reconciler.run_due()
    [one] = await refunds_of(shop, paid)
    found = await order_of(shop, paid)
    assert (one.state, found.payment.refunded) == ("failed", 0)
    assert found.payment.problem == REFUND_FAILED
    assert (await told(shop, paid)).count("refund.failed") == 1
    await shop.reconciler.look(paid.payment.id)
    assert (await order_of(shop, paid)).payment.refunded == 0


async def test_a_refund_that_failed_is_shown_and_can_be_started_again(
    shop: Liveshop, bank: MoodyBank, paid: Order
) -> None:
    bank.refund_says = RefundAnswer("failed", "no", "The account is closed.")
    await shop.desk.refund(paid.id, "k", Money(500, "EUR"), "sorry", STAFF)
    await shop.reconciler.run_due()
    assert (await order_of(shop, paid)).payment.problem == REFUND_FAILED
    bank.refund_says = None
    await shop.desk.refund(paid.id, "k2", Money(500, "EUR"), "again", STAFF)
    await shop.reconciler.run_due()
    found = await order_of(shop, paid)
    assert (found.payment.problem, found.payment.refunded) == (None, 500)
    assert sorted(one.state for one in await refunds_of(shop, paid)) == ["done", "failed"]


async def test_a_refund_that_failed_because_people_gave_it_back_there_is_heard_of(
    shop: Liveshop, bank: MoodyBank, paid: Order, clock: ManualClock
) -> None:
    bank.gives_back(paid, 2800, "done")
    bank.refund_says = RefundAnswer("failed", "no", "Nothing is left to give back.")
    await shop.desk.refund(paid.id, "k", Money(2800, "EUR"), "sorry", STAFF)
    await shop.reconciler.run_due()
    clock.advance(timedelta(seconds=1))
    await shop.reconciler.run_due()
    assert sorted((one.state, one.cause) for one in await refunds_of(shop, paid)) == [
        ("done", "provider"),
        ("failed", "goodwill"),
    ]
    assert (await order_of(shop, paid)).payment.refunded == 2800


async def test_what_cannot_be_given_back_just_now_is_asked_for_again_as_a_new_attempt(
    shop: Liveshop, bank: MoodyBank, paid: Order, clock: ManualClock
) -> None:
    bank.refund_says = RefundAnswer("due", "first", "There is no money just now.")
    await shop.desk.refund(paid.id, "k", Money(500, "EUR"), "sorry", STAFF)
    await shop.reconciler.run_due()
    [one] = await refunds_of(shop, paid)
    assert (one.state, one.message) == ("due", "There is no money just now.")
    assert (await order_of(shop, paid)).payment.refunded == 500
    bank.refund_says = None
    clock.advance(2 * HOUR)
    await shop.reconciler.run_due()
    assert [wish.attempt for wish in bank.wishes] == [None, "first"]
    assert len({wish.key for wish in bank.wishes}) == 1
    assert [one.state for one in await refunds_of(shop, paid)] == ["done"]


async def test_an_event_is_not_lost_when_the_second_question_is_not_answered(
    shop: Liveshop, bank: MoodyBank, paid: Order, clock: ManualClock
) -> None:
    bank.gives_back(paid, 300)
    clock.advance(timedelta(seconds=1))
    await call(shop, bank, paid)
    bank.listing = ProviderUnavailable("away")
    clock.advance(timedelta(seconds=1))
    await shop.reconciler.run_due()
    bank.listing = None
    await days_pass(shop, clock, 1)
    assert [one.amount.amount for one in await refunds_of(shop, paid)] == [300]
    assert (await order_of(shop, paid)).payment.check_at is None


async def test_an_event_that_comes_while_another_is_looked_at_is_heard(
    shop: Liveshop, bank: MoodyBank, paid: Order, clock: ManualClock
) -> None:
    clock.advance(timedelta(seconds=1))
    await call(shop, bank, paid)

    async def meanwhile() -> None:
        bank.on_find = None
        clock.advance(timedelta(seconds=1))
        await call(shop, bank, paid, 2)

    bank.on_find = meanwhile
    await shop.reconciler.run_due()
    found = await order_of(shop, paid)
    assert found.payment.check_at is not None
    assert found.payment.check_at <= clock.now()


async def test_a_refund_made_there_is_followed_until_it_is_over(
    shop: Liveshop, bank: MoodyBank, paid: Order, clock: ManualClock
) -> None:
    bank.gives_back(paid, 300, "pending")
    await call(shop, bank, paid)
    await shop.reconciler.run_due()
    await days_pass(shop, clock)
    [one] = await refunds_of(shop, paid)
    assert one.state == "pending"
    with pytest.raises(NotNow, match="provider gives this one back"):
        await shop.desk.refund_done(one.id, STAFF)
    key, amount, answer = bank.made_there[0]
    bank.made_there[0] = (key, amount, replace(answer, state="failed"))
    await days_pass(shop, clock)
    assert [one.state for one in await refunds_of(shop, paid)] == ["failed"]
    assert (await order_of(shop, paid)).payment.refunded == 0
    assert bank.wishes == [], "it is not ours to ask for"


# Another amount


@pytest.mark.parametrize("came", [Money(3000, "EUR"), Money(3500, "EUR"), Money(2800, "USD")])
async def test_another_amount_is_given_back_once_a_person_cancels(
    shop: Liveshop, bank: MoodyBank, mug: VariantId, clock: ManualClock, came: Money
) -> None:
    order, _ = await buys(shop, mug)
    bank.says(order, "paid", amount=came)
    bank.amounts[order.payment.id] = came
    await days_pass(shop, clock, 2)
    found = await order_of(shop, order)
    assert found.state == "pending"
    assert found.payment.problem is not None
    assert (await shop.desk.cancel(order.id, STAFF, "not ours")).state == "cancelled"
    assert await holds_left(shop) == 0
    await days_pass(shop, clock)
    found = await order_of(shop, order)
    assert (found.state, found.payment.amount, found.payment.captured) == (
        "cancelled",
        came,
        came.amount,
    )
    assert [(one.amount, one.state, one.cause) for one in await refunds_of(shop, order)] == [
        (came, "done", "late")
    ]
    assert "order.cancelled" in await told(shop, order)
    assert found.payment.check_at is None
    assert not await shop.reconciler.run_due()


async def test_another_amount_that_never_came_is_over_once_a_person_cancels(
    shop: Liveshop, bank: MoodyBank, mug: VariantId, clock: ManualClock
) -> None:
    order, _ = await buys(shop, mug)
    bank.says(order, "action_required", amount=Money(1, "EUR"))
    clock.advance(timedelta(minutes=1))
    await shop.reconciler.run_due()
    await shop.desk.cancel(order.id, STAFF, "not ours")
    await days_pass(shop, clock)
    found = await order_of(shop, order)
    assert (found.state, found.payment.state) == ("cancelled", "declined")
    assert (found.payment.captured, found.payment.check_at) == (0, None)


async def test_a_pending_order_without_a_problem_is_not_cancelled_by_staff(
    shop: Liveshop, mug: VariantId
) -> None:
    order, _ = await buys(shop, mug)
    with pytest.raises(NotNow):
        await shop.desk.cancel(order.id, STAFF, "no")


# Nothing to pay


@pytest.mark.parametrize("method", ["bank", "invoice"])
async def test_an_order_of_nothing_asks_nobody_for_money(
    shop: Liveshop, bank: MoodyBank, mug: VariantId, clock: ManualClock, method: str
) -> None:
    await shop.promotions.create_promotion(
        promotions_wire.PromotionInput(
            texts={"en": "A gift", "de": "Geschenkt"},
            kind=promotions_wire.OrderPercentOff(1000),
            codes=["GIFT"],
        )
    )
    await shop.carts.add_to_cart(ADA, mug, 1, None)
    await shop.carts.add_code(ADA, "GIFT")
    wish = await wish_of(shop, ADA, method=method, card=None)
    assert wish.expected_total.amount == 0
    order = await shop.orders.place_order(ADA, "key-1", wish)
    assert (order.state, order.payment.state, order.payment.captured) == ("confirmed", "paid", 0)
    await days_pass(shop, clock)
    assert bank.calls_made == 0
    assert (await shop.desk.cancel(order.id, STAFF, "no")).state == "cancelled"
    assert await refunds_of(shop, order) == []


# A provider that refuses, or is gone


async def test_what_a_provider_refuses_breaks_no_page_and_is_shown(
    shop: Liveshop, bank: MoodyBank, mug: VariantId, clock: ManualClock
) -> None:
    order, _ = await buys(shop, mug)
    bank.mood = Refusing("Your key is not valid.")
    known = await shop.orders.known_buyer(ADA)
    assert known.pending is not None
    assert (await shop.orders.cancel_payment(ADA, order.id)).state == "pending"
    await days_pass(shop, clock, 1)
    assert (await order_of(shop, order)).payment.problem == NOT_TOLD
    bank.mood = None
    await days_pass(shop, clock, 1)
    found = await order_of(shop, order)
    assert (found.state, found.payment.problem) == ("payment_failed", None)


async def test_an_order_by_a_method_that_is_gone_comes_to_nothing(
    shop: Liveshop, bank: MoodyBank, mug: VariantId, clock: ManualClock
) -> None:
    async def away() -> None:
        raise ProviderUnavailable("away")

    bank.before = away
    order, _ = await buys(shop, mug)
    assert order.payment.reference is None
    shop.payments._providers.pop("bank")
    assert (await shop.orders.known_buyer(ADA)).pending is None
    await days_pass(shop, clock, 1)
    found = await order_of(shop, order)
    assert (found.state, found.payment.state) == ("payment_failed", "declined")
    assert [line.variant_id for line in (await shop.carts.quote(ADA, "DE")).lines] == [mug]


async def test_a_payment_known_to_a_method_that_is_gone_is_shown_and_can_be_cancelled(
    shop: Liveshop, bank: MoodyBank, mug: VariantId, clock: ManualClock
) -> None:
    order, _ = await buys(shop, mug)
    shop.payments._providers.pop("bank")
    known = await shop.orders.known_buyer(ADA)
    assert known.pending is not None
    again, client = await shop.orders.check_payment(ADA, order.id)
    assert (again.state, client) == ("pending", None)
    await days_pass(shop, clock)
    assert (await order_of(shop, order)).payment.problem == METHOD_GONE
    assert (await shop.desk.cancel(order.id, STAFF, "gone")).state == "cancelled"
    assert await holds_left(shop) == 0
