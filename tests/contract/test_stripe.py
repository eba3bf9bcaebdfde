"""Stripe against localstripe in its own process; each request is held against Stripe's shapes."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from builders import GOOD_CARD
from contract.test_payment_providers import PaymentProviderContract
from stripe_builders import ASKED, KEY, StripeHouse, begun, state, stripe_house
from stripe_server import (
    DECLINED,
    DECLINED_AFTER_3D_SECURE,
    WITH_3D_SECURE,
    Browser,
    Desk,
    StripeRefuses,
    StripeServer,
)

from liveshop.kernel.ids import PaymentId, RefundId
from liveshop.kernel.money import Money
from liveshop.payments.model import (
    CannotCapture,
    Charge,
    ChargeAnswer,
    Delivery,
    PaymentProvider,
    ProviderUnavailable,
    RefundAnswer,
    RefundWish,
)
from liveshop.payments.providers.stripe import Stripe


@pytest.fixture
async def house(stripe_server: StripeServer) -> AsyncIterator[StripeHouse]:
    async with stripe_house(stripe_server) as opened:
        yield opened


@pytest.fixture
def stripe(house: StripeHouse) -> Stripe:
    return house.stripe


@pytest.fixture
def browser(house: StripeHouse) -> Browser:
    return house.browser


@pytest.fixture
def desk(house: StripeHouse) -> Desk:
    return house.desk


class ShopAndBuyer:
    """The provider with what the contract leaves out: a shop that remembers references and hands no
    secret out once it has given a payment up, and a buyer who confirms at once.
    """

    method = "stripe"
    is_by_hand = False

    def __init__(self, stripe: Stripe, browser: Browser) -> None:
        self.stripe = stripe
        self.is_test = stripe.is_test
        self.deliveries: frozenset[Delivery] = stripe.deliveries
        self.options = stripe.options
        self._browser = browser
        self._references: dict[PaymentId, str] = {}
        self._given_up: dict[PaymentId, ChargeAnswer] = {}
        self._one_at_a_time: defaultdict[PaymentId, asyncio.Lock] = defaultdict(asyncio.Lock)

    def check(self, charge_input: str | None) -> None:
        assert charge_input is not None
        self.stripe.check(None)

    async def charge(self, charge: Charge) -> ChargeAnswer:
        answer = await self.stripe.charge(charge)
        async with self._one_at_a_time[charge.key]:
            if charge.key in self._given_up:
                return self._given_up[charge.key]
            self._references[charge.key] = answer.reference
            answer = await self._found(charge)
            if answer.client is not None:
                number = (charge.card_number or "").replace(" ", "")
                await self._browser.confirm(answer.client.secret, number)
            return await self._found(charge)

    async def find(self, charge: Charge) -> ChargeAnswer | None:
        if charge.key in self._given_up:
            return self._given_up[charge.key]
        return await self.stripe.find(self._known(charge))

    async def void(self, charge: Charge) -> ChargeAnswer:
        async with self._one_at_a_time[charge.key]:
            answer = await self.stripe.void(self._known(charge))
            if answer.state == "declined":
                self._given_up[charge.key] = answer
            return answer

    async def capture(self, charge: Charge) -> ChargeAnswer:
        return await self.stripe.capture(self._known(charge))

    async def refund(self, wish: RefundWish) -> RefundAnswer:
        return await self.stripe.refund(replace(wish, charge=self._known(wish.charge)))

    async def _found(self, charge: Charge) -> ChargeAnswer:
        found = await self.stripe.find(self._known(charge))
        assert found is not None
        return found

    def _known(self, charge: Charge) -> Charge:
        return replace(charge, reference=self._references.get(charge.key))


class TestStripe(PaymentProviderContract):
    accepts = (GOOD_CARD, "4242424242424242")
    accepted_state = "paid"
    keeps_charges = True
    captures_later = True

    @pytest.fixture
    def provider(self, stripe: Stripe, browser: Browser, desk: Desk) -> PaymentProvider:
        self.desk = desk
        return ShopAndBuyer(stripe, browser)

    async def test_more_than_was_paid_does_not_go_back(self, provider: PaymentProvider) -> None:
        """Under other keys: Stripe takes a key for one amount only, even if it refused it."""
        await provider.charge(self.charge(self.accepts[0]))
        wishes = [(3291, "failed"), (3000, "done"), (291, "failed"), (290, "done")]
        for number, (amount, becomes) in enumerate(wishes):
            wish = self.back(amount, RefundId(f"rfd_{number}"))
            assert (await provider.refund(wish)).state == becomes
        assert await self.gone_back(provider) == 3290

    async def charges_made(self, provider: PaymentProvider) -> int:
        return len([one for one in await self._intents() if one["status"] == "succeeded"])

    async def gone_back(self, provider: PaymentProvider) -> int:
        back = [await self.desk.refunds(one["id"]) for one in await self._intents()]
        return sum(one["amount"] for refunds in back for one in refunds)

    async def _intents(self) -> list[dict[str, Any]]:
        found = await self.desk.intents()
        return [one for one in found if one["metadata"]["liveshop_payment"] == KEY]


async def test_a_card_is_charged_once_the_buyer_has_confirmed_it(
    stripe: Stripe, browser: Browser, desk: Desk
) -> None:
    charge, secret = await begun(stripe)
    await browser.confirm(secret)
    assert await stripe.find(charge) == ChargeAnswer(
        "paid", charge.reference or "", amount=Money(3290, "EUR")
    )
    intent = await desk.intent(charge.reference or "")
    assert (intent["amount"], intent["currency"]) == (3290, "eur")
    assert intent["metadata"] == {"liveshop_payment": KEY, "order": "L-100001"}


async def test_after_a_decline_another_card_can_be_tried(stripe: Stripe, browser: Browser) -> None:
    charge, secret = await begun(stripe)
    with pytest.raises(StripeRefuses, match="card_declined"):
        await browser.confirm(secret, DECLINED)
    found = await stripe.find(charge)
    assert found is not None
    assert found.state == "action_required"
    assert found.message == "The card was declined. Use another card or another way to pay."
    assert found.client is not None
    assert found.client.secret == secret
    await browser.confirm(secret)
    assert await state(stripe, charge) == "paid"


async def test_3d_secure_confirmed_at_the_bank_is_paid(stripe: Stripe, browser: Browser) -> None:
    charge, secret = await begun(stripe)
    assert (await browser.confirm(secret, WITH_3D_SECURE))["status"] == "requires_action"
    assert await state(stripe, charge) == "action_required"
    await browser.authenticate(secret, success=True)
    assert await state(stripe, charge) == "paid"


async def test_3d_secure_refused_says_so_and_can_be_tried_again(
    stripe: Stripe, browser: Browser
) -> None:
    charge, secret = await begun(stripe)
    await browser.confirm(secret, WITH_3D_SECURE)
    await browser.authenticate(secret, success=False)
    found = await stripe.find(charge)
    assert found is not None
    assert found.message is not None
    assert "not confirmed with the bank, and nothing was charged" in found.message
    await browser.confirm(secret, DECLINED_AFTER_3D_SECURE)
    with pytest.raises(StripeRefuses, match="card_declined"):
        await browser.authenticate(secret, success=True)
    await browser.confirm(secret)
    assert await state(stripe, charge) == "paid"


async def test_3d_secure_abandoned_is_given_up_and_can_not_be_confirmed_later(
    stripe: Stripe, browser: Browser
) -> None:
    charge, secret = await begun(stripe)
    await browser.confirm(secret, WITH_3D_SECURE)
    given_up = await stripe.void(charge)
    assert given_up.state == "declined"
    assert "nothing was charged" in (given_up.message or "")
    with pytest.raises(StripeRefuses):
        await browser.authenticate(secret, success=True)
    assert await stripe.void(charge) == given_up == await stripe.find(charge)


async def test_giving_up_a_payment_nobody_was_told_of_asks_nobody(
    stripe: Stripe, desk: Desk
) -> None:
    assert (await stripe.void(ASKED)).state == "declined"
    assert await stripe.find(ASKED) is None
    assert await desk.requests() == []


async def test_a_charge_of_which_the_secret_was_never_told_moves_nothing(
    stripe: Stripe, desk: Desk
) -> None:
    await stripe.charge(ASKED)
    assert [one["status"] for one in await desk.intents()] == ["requires_payment_method"]


async def test_money_kept_for_us_is_taken_when_we_say_so(
    stripe: Stripe, browser: Browser, desk: Desk
) -> None:
    charge, secret = await begun(stripe, replace(ASKED, capture="later"))
    await browser.confirm(secret)
    assert await state(stripe, charge) == "authorised"
    assert (await desk.intent(charge.reference or ""))["status"] == "requires_capture"
    assert (await stripe.capture(charge)).state == "paid"
    assert (await stripe.capture(charge)).state == "paid"
    assert (await stripe.void(charge)).state == "paid", "too late"


async def test_money_kept_for_us_and_given_up_is_told_from_what_was_never_kept(
    stripe: Stripe, browser: Browser
) -> None:
    charge, secret = await begun(stripe, replace(ASKED, capture="later"))
    await browser.confirm(secret)
    assert (await stripe.void(charge)).state == "voided"
    assert await state(stripe, charge) == "voided"
    with pytest.raises(CannotCapture, match="L-100001"):
        await stripe.capture(charge)


async def test_capturing_what_the_buyer_has_not_confirmed_is_refused(stripe: Stripe) -> None:
    charge, _ = await begun(stripe, replace(ASKED, capture="later"))
    with pytest.raises(CannotCapture, match="has not confirmed"):
        await stripe.capture(charge)


async def test_money_that_is_not_handed_out_just_now_is_taken_as_soon_as_it_is(
    stripe: Stripe, browser: Browser, desk: Desk
) -> None:
    """Stripe repeats what it said to an idempotency key for a day."""
    charge, secret = await begun(stripe, replace(ASKED, capture="later"))
    await browser.confirm(secret)
    error = {"type": "invalid_request_error", "code": "processing_error"}
    await desk.spoil("/capture", kind="kept", status=400, body={"error": error})
    with pytest.raises(CannotCapture, match="just now") as told:
        await stripe.capture(charge)
    assert "expired" not in told.value.detail
    assert (await stripe.capture(charge)).state == "paid"


async def test_a_refund_the_account_has_no_money_for_is_made_once_it_has(
    stripe: Stripe, browser: Browser, desk: Desk
) -> None:
    charge, secret = await begun(stripe)
    await browser.confirm(secret)
    error = {"type": "invalid_request_error", "code": "balance_insufficient"}
    await desk.spoil("POST /v1/refunds", kind="kept", status=400, body={"error": error})
    wish = RefundWish(RefundId("rfd_1"), charge, Money(1000, "EUR"))
    put_off = await stripe.refund(wish)
    assert put_off.state == "due"
    assert "balance_insufficient" in (put_off.message or "")
    again = replace(wish, attempt=put_off.reference)
    assert (await stripe.refund(again)).state == "done"
    assert (await stripe.refund(again)).state == "done"
    assert [one["amount"] for one in await desk.refunds(charge.reference or "")] == [1000]


async def test_a_direct_debit_is_under_way_before_the_bank_turns_it_down(
    stripe: Stripe, browser: Browser
) -> None:
    """One that succeeds is paid at once at localstripe, and after days at Stripe."""
    charge, secret = await begun(stripe)
    await browser.pay_by_sepa(secret, "DE62370400440532013001")
    assert await state(stripe, charge) == "processing"
    assert (await stripe.void(charge)).state == "processing", "too late"
    async with asyncio.timeout(10):
        while await state(stripe, charge) == "processing":
            await asyncio.sleep(0)
    assert await state(stripe, charge) == "action_required"
    assert (await stripe.void(charge)).state == "declined"


async def test_refunds_in_parts_and_whole(stripe: Stripe, browser: Browser, desk: Desk) -> None:
    charge, secret = await begun(stripe)
    await browser.confirm(secret)
    part = RefundWish(RefundId("rfd_part"), charge, Money(290, "EUR"))
    rest = RefundWish(RefundId("rfd_rest"), charge, Money(3000, "EUR"))
    done = await stripe.refund(part)
    assert done.state == "done"
    assert (await stripe.refund(rest)).state == "done"
    too_much = await stripe.refund(RefundWish(RefundId("rfd_more"), charge, Money(1, "EUR")))
    assert too_much == RefundAnswer(
        "failed", "", "Stripe refused the refund (charge_already_refunded)."
    )
    told = await stripe.refunds_of(charge)
    assert {key: amount.amount for key, amount, _ in told} == {"rfd_rest": 3000, "rfd_part": 290}
    assert ("rfd_part", Money(290, "EUR"), done) in told
    assert await state(stripe, charge) == "paid"


async def test_a_refund_asked_for_again_after_a_day_is_made_once(
    stripe: Stripe, browser: Browser, desk: Desk
) -> None:
    charge, secret = await begun(stripe)
    await browser.confirm(secret)
    wish = RefundWish(RefundId("rfd_1"), charge, Money(1000, "EUR"))
    first = await stripe.refund(wish)
    await desk.let_a_day_pass()
    assert await stripe.refund(wish) == first
    assert [one["amount"] for one in await desk.refunds(charge.reference or "")] == [1000]


async def test_refunds_made_by_people_at_stripe_have_no_key_of_ours(
    stripe: Stripe, browser: Browser, desk: Desk
) -> None:
    charge, secret = await begun(stripe)
    await browser.confirm(secret)
    await desk.refund_by_hand(charge.reference or "", 500)
    assert [(key, amount) for key, amount, _ in await stripe.refunds_of(charge)] == [
        ("", Money(500, "EUR"))
    ]


@pytest.mark.parametrize("kind", ["lost_answer", "lost_request"])
async def test_an_answer_lost_on_the_way_makes_no_second_charge_or_refund(
    stripe: Stripe, browser: Browser, desk: Desk, kind: str
) -> None:
    await desk.spoil("POST /v1/payment_intents", kind=kind)
    charge, secret = await begun(stripe)
    assert len(await desk.intents()) == 1
    await browser.confirm(secret)
    await desk.spoil("POST /v1/refunds", kind=kind)
    back = await stripe.refund(RefundWish(RefundId("rfd_1"), charge, Money(1000, "EUR")))
    assert back.state == "done"
    assert len(await desk.refunds(charge.reference or "")) == 1


async def test_a_charge_asked_for_again_answers_how_it_stands_now(
    stripe: Stripe, browser: Browser
) -> None:
    _, secret = await begun(stripe)
    await browser.confirm(secret)
    assert (await stripe.charge(ASKED)).state == "paid"


async def test_one_key_for_two_amounts_is_not_charged(stripe: Stripe) -> None:
    await begun(stripe)
    with pytest.raises(ProviderUnavailable):
        await stripe.charge(replace(ASKED, amount=Money(1, "EUR")))
