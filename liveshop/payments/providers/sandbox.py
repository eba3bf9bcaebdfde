"""The sandbox: accepts and declines by test number. It takes no money: for demo and test only.

It keeps its charges in tables of its own, as a real provider would in its own database: only so
can a crash between "charged" and "recorded" be told from one before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from liveshop.payments import sandbox_ledger as ledger
from liveshop.payments.model import (
    BadPaymentInput,
    CannotCapture,
    Charge,
    ChargeAnswer,
    ClientStep,
    Delivery,
    RefundAnswer,
    RefundWish,
    voided,
)
from liveshop.settings import Mode
from liveshop.storage import Database, Together

CONFIRM_NUMBER = "4000000000003220"
"""The buyer has to confirm it, as with 3-D Secure: with `Sandbox.confirm`."""
TEST_NUMBERS = {
    "4242424242424242": None,
    "4000000000000002": "The card was declined. Use another card or another way to pay.",
    "4000000000009995": "The card has insufficient funds. Use another card or another way to pay.",
    CONFIRM_NUMBER: None,
}
Outcome = Literal["succeed", "fail", "abandon"]
_NOT_CONFIRMED = "The payment was not confirmed. Try again, or use another way to pay."


class Sandbox:
    method = "sandbox"
    is_test = True
    is_by_hand = False
    deliveries: frozenset[Delivery] = frozenset({"ship", "pickup"})

    def __init__(self, database: Database, *, mode: Mode) -> None:
        if mode == "production":
            raise ValueError("the sandbox takes no money and runs in demo and test only")
        self._database = database
        self._kept: Together[ledger.Entry, ChargeAnswer] = Together(self._keep_each)

    def options(self) -> Mapping[str, str]:
        return {}

    def check(self, charge_input: str | None) -> None:
        if card_digits(charge_input) not in TEST_NUMBERS:
            raise BadPaymentInput(
                "This is a test shop: it takes the test card numbers only, such as "
                "4242 4242 4242 4242. Never type a real card number here.",
                data={"field": "payment.card_number"},
            )

    async def charge(self, charge: Charge) -> ChargeAnswer:
        number = card_digits(charge.card_number)
        message = TEST_NUMBERS[number]
        reference = f"sandbox_{charge.key}"
        if message is not None:
            return await self._keep(charge, ChargeAnswer("declined", reference, message))
        if number == CONFIRM_NUMBER:
            return await self._keep(charge, ChargeAnswer("action_required", reference))
        state = _accepted(charge)
        return await self._keep(charge, ChargeAnswer(state, reference))

    async def find(self, charge: Charge) -> ChargeAnswer | None:
        async with self._database.read() as conn:
            found = await ledger.find(conn, charge.key)
        return None if found is None else _with_client(found)

    async def void(self, charge: Charge) -> ChargeAnswer:
        ruled_out = voided(charge.key)
        async with self._database.write() as tx:
            found = await ledger.keep(tx.conn, charge.key, charge.amount, ruled_out)
            if found.state == "action_required":
                await ledger.move(
                    tx.conn, charge.key, "action_required", "declined", ruled_out.message
                )
            elif found.state == "authorised":
                await ledger.move(tx.conn, charge.key, "authorised", "voided")
            else:
                return found
            known = await ledger.find(tx.conn, charge.key)
        assert known is not None
        return known

    async def capture(self, charge: Charge) -> ChargeAnswer:
        async with self._database.write() as tx:
            await ledger.move(tx.conn, charge.key, "authorised", "paid")
            found = await ledger.find(tx.conn, charge.key)
        if found is None or found.state != "paid":
            raise CannotCapture("This payment can not be taken any more.")
        return found

    async def refund(self, wish: RefundWish) -> RefundAnswer:
        async with self._database.write() as tx:
            went = await ledger.refund(tx.conn, wish.key, wish.charge.key, wish.amount.amount)
        reference = f"sandbox_{wish.key}"
        if not went:
            return RefundAnswer("failed", reference, "There is not so much left of this payment.")
        return RefundAnswer("done", reference)

    async def confirm(self, charge: Charge, outcome: Outcome) -> ChargeAnswer | None:
        """What a buyer does at a real provider's: confirm, fail to, or turn away."""
        async with self._database.write() as tx:
            if outcome == "succeed":
                await ledger.move(tx.conn, charge.key, "action_required", _accepted(charge))
            elif outcome == "fail":
                await ledger.move(
                    tx.conn, charge.key, "action_required", "action_required", _NOT_CONFIRMED
                )
        return await self.find(charge)

    async def _keep(self, charge: Charge, answer: ChargeAnswer) -> ChargeAnswer:
        """Of two that come at once with one key, the ledger knows who was first."""
        return await self._kept.ask(ledger.Entry(charge.key, charge.amount, answer))

    async def _keep_each(self, entries: Sequence[ledger.Entry]) -> list[ChargeAnswer]:
        async with self._database.write() as tx:
            return [_with_client(one) for one in await ledger.keep_each(tx.conn, entries)]


def _accepted(charge: Charge) -> Literal["authorised", "paid"]:
    return "authorised" if charge.capture == "later" else "paid"


def _with_client(answer: ChargeAnswer) -> ChargeAnswer:
    if answer.state != "action_required":
        return answer
    return replace(answer, client=ClientStep(f"{answer.reference}_secret", {}))


def card_digits(text: str | None) -> str:
    """Of a number as somebody typed it."""
    return "".join(character for character in text or "" if character.isdigit())
