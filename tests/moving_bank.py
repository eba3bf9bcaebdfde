"""A bank where things go on after it was asked, with books of its own to hold ours against."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

from builders import DECLINED_CARD
from checkout_builders import Bank
from payment_builders import CONFIRM_CARD, HearingBank

from liveshop.kernel.ids import PaymentId
from liveshop.kernel.money import Money
from liveshop.payments.model import (
    Capture,
    Charge,
    ChargeAnswer,
    ClientStep,
    PaymentState,
    ProviderUnavailable,
    RefundAnswer,
    RefundState,
    RefundWish,
)

COLLECTING_CARD = "6200 0000 0000 0005"
"""Of an account from which the money is collected in days."""
Mood = Literal["well", "away", "falls silent", "is too slow"]


@dataclass
class MovingBank(HearingBank):
    """A bank where things go on after it was asked: buyers confirm, money is collected or does not
    come, refunds take their time or fail. What it was asked outlives an answer nobody heard."""

    mood: Mood = "well"
    refunds_become: RefundState = "done"
    captures: dict[PaymentId, Capture] = field(default_factory=dict)
    desk: dict[PaymentId, list[tuple[str, Money, RefundAnswer]]] = field(default_factory=dict)
    """Refunds made there, not by us."""

    @asynccontextmanager
    async def _asked(self) -> AsyncIterator[None]:
        if self.mood == "away":
            raise ProviderUnavailable("The bank does not answer.")
        yield
        if self.mood == "falls silent":
            raise ProviderUnavailable("The bank does not answer.")
        if self.mood == "is too slow":
            raise TimeoutError

    async def charge(self, charge: Charge) -> ChargeAnswer:
        key = charge.key
        async with self._asked():
            if key not in self.books:
                self.amounts[key], self.captures[key] = charge.amount, charge.capture
                state: PaymentState = {
                    DECLINED_CARD: "declined",
                    CONFIRM_CARD: "action_required",
                    COLLECTING_CARD: "processing",
                }.get(charge.card_number or "", self._accepted(key))  # type: ignore[assignment]
                self.books[key] = ChargeAnswer(state, f"bank_{key}", client=self._client(state))
        return self.books[key]

    async def find(self, charge: Charge) -> ChargeAnswer | None:
        async with self._asked():
            return await Bank.find(self, charge)

    async def void(self, charge: Charge) -> ChargeAnswer:
        async with self._asked():
            return await Bank.void(self, charge)

    async def capture(self, charge: Charge) -> ChargeAnswer:
        async with self._asked():
            return await Bank.capture(self, charge)

    async def refund(self, wish: RefundWish) -> RefundAnswer:
        async with self._asked():
            if wish.key not in self.refund_states:
                possible = wish.amount.amount <= self.left(wish.charge.key)
                self.returned[wish.key] = (wish.charge.key, wish.amount)
                self.refund_states[wish.key] = self.refunds_become if possible else "failed"
        return RefundAnswer(self.refund_states[wish.key], f"back_{wish.key}")

    async def refunds_of(self, charge: Charge) -> list[tuple[str, Money, RefundAnswer]]:
        async with self._asked():
            ours = [
                (str(key), amount, RefundAnswer(self.refund_states[key], f"back_{key}"))
                for key, (whose, amount) in self.returned.items()
                if whose == charge.key
            ]
        return [*ours, *self.desk.get(charge.key, [])]

    # What happens there

    def becomes(self, key: PaymentId, state: PaymentState, message: str | None = None) -> None:
        self.books[key] = ChargeAnswer(state, f"bank_{key}", message, client=self._client(state))

    def confirmed(self, key: PaymentId) -> None:
        """The buyer has done his part."""
        self.becomes(key, self._accepted(key))

    def pays_back(self, key: PaymentId, amount: int, state: RefundState) -> None:
        """Somebody refunds at the bank's own desk."""
        there = self.desk.setdefault(key, [])
        answer = RefundAnswer(state, f"desk_{len(there)}_{key}")
        there.append(("", Money(amount, self.amounts[key].currency), answer))

    def refunds_end(self, state: RefundState) -> None:
        """What was on its way arrives, or comes back."""
        for key, now in self.refund_states.items():
            if now == "pending":
                self.refund_states[key] = state
        for key_, there in self.desk.items():
            self.desk[key_] = [
                (name, amount, replace(one, state=state) if one.state == "pending" else one)
                for name, amount, one in there
            ]

    def charged(self, key: PaymentId) -> int:
        is_charged = key in self.amounts and self.books[key].state == "paid"
        return self.amounts[key].amount if is_charged else 0

    def given_back(self, key: PaymentId) -> int:
        ours = sum(
            amount.amount
            for one, (whose, amount) in self.returned.items()
            if whose == key and self.refund_states[one] != "failed"
        )
        there = self.desk.get(key, [])
        return ours + sum(amount.amount for _, amount, one in there if one.state != "failed")

    def left(self, key: PaymentId) -> int:
        return self.charged(key) - self.given_back(key)

    def _accepted(self, key: PaymentId) -> PaymentState:
        return "authorised" if self.captures[key] == "later" else "paid"

    def _client(self, state: PaymentState) -> ClientStep | None:
        return ClientStep("secret", {}) if state == "action_required" else None
