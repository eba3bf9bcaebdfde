"""What every payment provider promises: one charge per key, an answer that can be asked for again,
and a charge that was ruled out never made. A new provider is a subclass of the contract.
"""

import asyncio

import pytest
from builders import DECLINED_CARD, GOOD_CARD
from checkout_builders import Bank

from liveshop.kernel.ids import PaymentId, RefundId
from liveshop.kernel.money import Money
from liveshop.payments import sandbox_ledger
from liveshop.payments.model import (
    BadPaymentInput,
    CannotCapture,
    Capture,
    Charge,
    PaymentProvider,
    RefundWish,
)
from liveshop.payments.providers.at_pickup import AtPickup
from liveshop.payments.providers.invoice import Invoice
from liveshop.payments.providers.sandbox import Sandbox
from liveshop.storage import Database

KEY = PaymentId("pay_01K00000000000000000000001")
POOR_CARD = "4000 0000 0000 9995"
CONFIRM_CARD = "4000 0000 0000 3220"
BACK = RefundId("rfd_01K00000000000000000000001")


class PaymentProviderContract:
    """Subclasses give `provider` and say what it answers to a charge that works."""

    accepts: "tuple[str | None, ...]" = ()
    """Inputs a charge succeeds with."""
    accepted_state: str
    declines: "tuple[tuple[str, str], ...]" = ()
    """Inputs that are declined, with words the buyer is told."""
    refuses: "tuple[str | None, ...]" = ()
    """Inputs refused before anything is charged."""
    keeps_charges: bool
    """Whether a charge exists outside our database, so that `find` can know of it."""
    captures_later: bool = False
    """Whether it can keep an amount for us and take it when it is told to."""

    def charge(
        self,
        card: str | None,
        key: PaymentId = KEY,
        *,
        capture: Capture = "now",
        reference: str | None = None,
    ) -> Charge:
        return Charge(key, Money(3290, "EUR"), "L-100001", card, reference, capture)

    def back(self, amount: int, key: RefundId = BACK) -> RefundWish:
        return RefundWish(key, self.charge(None), Money(amount, "EUR"))

    async def gone_back(self, provider: PaymentProvider) -> int:
        """Minor units that went back, as the provider's own books say."""
        raise NotImplementedError

    async def charges_made(self, provider: PaymentProvider) -> int:
        """How often money moved, as the provider's own books say."""
        raise NotImplementedError

    async def test_a_good_charge_is_accepted_with_a_reference(
        self, provider: PaymentProvider
    ) -> None:
        for number, good in enumerate(self.accepts):
            provider.check(good)
            answer = await provider.charge(self.charge(good, PaymentId(f"{KEY[:-1]}{number}")))
            assert answer.state == self.accepted_state
            assert answer.reference
            assert answer.message is None

    async def test_the_same_key_twice_charges_once_and_answers_the_same(
        self, provider: PaymentProvider
    ) -> None:
        first = await provider.charge(self.charge(self.accepts[0]))
        assert await provider.charge(self.charge(self.accepts[0])) == first
        assert await self.charges_made(provider) == 1

    async def test_the_same_key_many_times_at_once_charges_once(
        self, provider: PaymentProvider
    ) -> None:
        charges = [provider.charge(self.charge(self.accepts[0])) for _ in range(20)]
        answers = await asyncio.gather(*charges)
        assert len(set(answers)) == 1
        assert await self.charges_made(provider) == 1

    async def test_a_declined_charge_tells_the_buyer_why_and_stays_declined(
        self, provider: PaymentProvider
    ) -> None:
        for number, (bad, words) in enumerate(self.declines):
            key = PaymentId(f"{KEY[:-1]}{number}")
            provider.check(bad)
            answer = await provider.charge(self.charge(bad, key))
            assert answer.state == "declined"
            assert answer.message is not None
            assert words in answer.message
            # Another input under the same key is the same charge still.
            assert await provider.charge(self.charge(self.accepts[0], key)) == answer

    async def test_unusable_input_is_refused_before_a_charge_and_never_repeated(
        self, provider: PaymentProvider
    ) -> None:
        for unusable in self.refuses:
            with pytest.raises(BadPaymentInput) as refused:
                provider.check(unusable)
            assert not unusable or unusable not in refused.value.detail

    async def test_a_charge_never_made_is_not_found(self, provider: PaymentProvider) -> None:
        assert await provider.find(self.charge(None)) is None

    async def test_a_charge_whose_answer_was_lost_is_found(self, provider: PaymentProvider) -> None:
        for number, card in enumerate((self.accepts[0], *(bad for bad, _ in self.declines))):
            key = PaymentId(f"{KEY[:-1]}{number}")
            answer = await provider.charge(self.charge(card, key))
            found = await provider.find(self.charge(None, key))
            assert found == (answer if self.keeps_charges else None)

    async def test_a_charge_ruled_out_is_never_made(self, provider: PaymentProvider) -> None:
        ruled_out = await provider.void(self.charge(None))
        assert ruled_out.state == "declined"
        assert ruled_out.message is not None
        assert "nothing was charged" in ruled_out.message
        assert await provider.void(self.charge(None)) == ruled_out
        if self.keeps_charges:
            assert await provider.charge(self.charge(self.accepts[0])) == ruled_out
            assert await self.charges_made(provider) == 0

    async def test_ruling_out_comes_too_late_for_a_charge_that_was_made(
        self, provider: PaymentProvider
    ) -> None:
        answer = await provider.charge(self.charge(self.accepts[0]))
        if self.keeps_charges:
            assert await provider.void(self.charge(None)) == answer
        assert await self.charges_made(provider) == 1

    async def test_a_charge_is_found_by_the_providers_own_name_for_it(
        self, provider: PaymentProvider
    ) -> None:
        answer = await provider.charge(self.charge(self.accepts[0]))
        found = await provider.find(self.charge(None, reference=answer.reference))
        assert found == answer

    async def test_a_part_goes_back_once_however_often_it_is_asked_for(
        self, provider: PaymentProvider
    ) -> None:
        await provider.charge(self.charge(self.accepts[0]))
        answers = await asyncio.gather(*(provider.refund(self.back(290)) for _ in range(10)))
        assert len(set(answers)) == 1
        assert answers[0].reference
        assert answers[0].state == ("done" if self.keeps_charges else "pending")
        if not self.keeps_charges:
            return
        assert await self.gone_back(provider) == 290
        rest = await provider.refund(self.back(3000, RefundId(f"{BACK[:-1]}2")))
        assert rest.state == "done"
        assert rest.reference != answers[0].reference
        assert await provider.refund(self.back(290)) == answers[0]
        assert await self.gone_back(provider) == 3290
        assert await self.charges_made(provider) == 1, "not charged again"

    async def test_more_than_was_paid_does_not_go_back(self, provider: PaymentProvider) -> None:
        if not self.keeps_charges:
            return
        await provider.charge(self.charge(self.accepts[0]))
        assert (await provider.refund(self.back(3291))).state == "failed"
        assert (await provider.refund(self.back(3000))).state == "done"
        other = self.back(291, RefundId(f"{BACK[:-1]}2"))
        assert (await provider.refund(other)).state == "failed"
        assert await self.gone_back(provider) == 3000

    async def test_nothing_goes_back_of_what_was_never_charged(
        self, provider: PaymentProvider
    ) -> None:
        if not self.keeps_charges:
            return
        assert (await provider.refund(self.back(290))).state == "failed"
        assert await self.gone_back(provider) == 0

    async def test_what_was_authorised_is_taken_once(self, provider: PaymentProvider) -> None:
        if not self.captures_later:
            return
        later = self.charge(self.accepts[0], capture="later")
        assert (await provider.charge(later)).state == "authorised"
        assert await self.charges_made(provider) == 0
        taken = [await provider.capture(self.charge(None, capture="later")) for _ in range(2)]
        assert {answer.state for answer in taken} == {"paid"}
        assert await self.charges_made(provider) == 1
        found = await provider.find(self.charge(None, capture="later"))
        assert found is not None
        assert found.state == "paid"
        assert (await provider.void(self.charge(None, capture="later"))).state == "paid"

    async def test_what_was_authorised_and_given_up_cannot_be_taken(
        self, provider: PaymentProvider
    ) -> None:
        if not self.captures_later:
            return
        await provider.charge(self.charge(self.accepts[0], capture="later"))
        given_up = [await provider.void(self.charge(None, capture="later")) for _ in range(2)]
        assert {answer.state for answer in given_up} == {"voided"}
        with pytest.raises(CannotCapture):
            await provider.capture(self.charge(None, capture="later"))
        assert await self.charges_made(provider) == 0

    async def test_what_was_never_charged_cannot_be_taken(self, provider: PaymentProvider) -> None:
        if self.captures_later:
            with pytest.raises(CannotCapture):
                await provider.capture(self.charge(None))

    def test_what_the_player_is_told_is_public(self, provider: PaymentProvider) -> None:
        assert all(isinstance(value, str) for value in provider.options().values())
        assert not any(value.startswith(("sk_", "whsec_")) for value in provider.options().values())
        assert provider.deliveries <= {"ship", "pickup"}
        assert provider.deliveries

    async def test_a_charge_and_its_ruling_out_at_once_agree(
        self, provider: PaymentProvider
    ) -> None:
        for number in range(10):
            key = PaymentId(f"{KEY[:-1]}{number}")
            charged, ruled_out = await asyncio.gather(
                provider.charge(self.charge(self.accepts[0], key)),
                provider.void(self.charge(None, key)),
            )
            if self.keeps_charges:
                assert charged == ruled_out == await provider.find(self.charge(None, key))

    def test_a_card_number_is_not_shown(self) -> None:
        assert "4242" not in repr(self.charge(GOOD_CARD))


class TestSandbox(PaymentProviderContract):
    accepts = (GOOD_CARD, "4242424242424242")
    accepted_state = "paid"
    declines = (
        (DECLINED_CARD, "The card was declined."),
        (POOR_CARD, "The card has insufficient funds."),
    )
    refuses = (None, "", "4111 1111 1111 1111", "not a card", "4111", "41" * 400)
    keeps_charges = True
    captures_later = True

    @pytest.fixture
    def provider(self, database: Database) -> PaymentProvider:
        self.database = database
        return Sandbox(database, mode="test")

    async def charges_made(self, provider: PaymentProvider) -> int:
        async with self.database.read() as conn:
            answer = await sandbox_ledger.find(conn, KEY)
        return 1 if answer is not None and answer.state == "paid" else 0

    async def gone_back(self, provider: PaymentProvider) -> int:
        async with self.database.read() as conn:
            return await sandbox_ledger.refunded(conn, KEY)

    @pytest.mark.parametrize(("capture", "state"), [("now", "paid"), ("later", "authorised")])
    async def test_a_payment_the_buyer_confirms(
        self, database: Database, capture: Capture, state: str
    ) -> None:
        sandbox = Sandbox(database, mode="test")
        asked = self.charge(CONFIRM_CARD, capture=capture)
        answer = await sandbox.charge(asked)
        assert answer.state == "action_required"
        assert answer.client is not None
        assert answer.client.secret not in repr(answer)
        assert await sandbox.find(asked) == answer
        turned_away = await sandbox.confirm(asked, "abandon")
        assert turned_away == answer
        failed = await sandbox.confirm(asked, "fail")
        assert failed is not None
        assert (failed.state, failed.client) == ("action_required", answer.client)
        assert failed.message is not None
        assert "not confirmed" in failed.message
        confirmed = await sandbox.confirm(asked, "succeed")
        assert confirmed is not None
        assert (confirmed.state, confirmed.client, confirmed.message) == (state, None, None)
        assert await sandbox.confirm(asked, "fail") == confirmed, "too late"

    async def test_a_payment_given_up_cannot_be_confirmed(self, database: Database) -> None:
        sandbox = Sandbox(database, mode="test")
        asked = self.charge(CONFIRM_CARD)
        await sandbox.charge(asked)
        given_up = await sandbox.void(asked)
        assert given_up.state == "declined"
        assert await sandbox.confirm(asked, "succeed") == given_up

    def test_the_sandbox_refuses_to_stand_for_real_money(self, database: Database) -> None:
        with pytest.raises(ValueError, match="takes no money"):
            Sandbox(database, mode="production")


class TestInvoice(PaymentProviderContract):
    accepts = (None, GOOD_CARD)
    accepted_state = "authorised"
    keeps_charges = False

    @pytest.fixture
    def provider(self) -> PaymentProvider:
        return Invoice()

    async def charges_made(self, provider: PaymentProvider) -> int:
        """A promise moves no money; the buyer owes the sum of one order."""
        return 1

    async def test_a_promise_stays_one_until_people_say_otherwise(
        self, provider: PaymentProvider
    ) -> None:
        answer = await provider.charge(self.charge(None))
        promised = self.charge(None, reference=answer.reference)
        assert provider.is_by_hand
        assert await provider.capture(promised) == answer
        assert (await provider.void(promised)).state == "voided"


class TestAtPickup(TestInvoice):
    @pytest.fixture
    def provider(self) -> PaymentProvider:
        return AtPickup()

    def test_it_is_for_those_who_collect(self, provider: PaymentProvider) -> None:
        assert provider.deliveries == {"pickup"}


class TestBank(PaymentProviderContract):
    """The bank of the tests, so that what they show with it holds for real ones."""

    accepts = (GOOD_CARD,)
    accepted_state = "paid"
    declines = ((DECLINED_CARD, "declined"),)
    keeps_charges = True
    captures_later = True

    @pytest.fixture
    def provider(self) -> PaymentProvider:
        self.bank = Bank()
        return self.bank

    async def gone_back(self, provider: PaymentProvider) -> int:
        return sum(amount.amount for _, amount in self.bank.returned.values())

    async def charges_made(self, provider: PaymentProvider) -> int:
        return len(self.bank.paid)
