"""The payment port. A provider is one file in `providers/` and passes one contract suite.

A provider is called with no transaction open, always with our payment id as idempotency key, so
that asking twice charges once; `find` tells what became of a charge whose answer was never heard,
and `void` makes sure that one never made is never made later: only then may its order be given up.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from liveshop.kernel.errors import ShopError, Unavailable
from liveshop.kernel.ids import OrderId, PaymentId
from liveshop.kernel.money import Money

PaymentState = Literal["pending", "paid", "authorised", "declined", "refund_due", "refunded"]
"""`authorised`: the buyer owes the money (invoice); `paid`: we have it. `refund_due`: it is to go
back, and the worker sees to it."""


@dataclass(frozen=True, slots=True)
class Payment:
    id: PaymentId
    order_id: OrderId
    method: str
    state: PaymentState
    amount: Money
    reference: str | None
    message: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Charge:
    """What a provider is asked for. `card_number` is passed through and never stored or logged."""

    key: PaymentId
    amount: Money
    order_number: str
    card_number: str | None = None

    def __repr__(self) -> str:
        return f"Charge(key={self.key!r}, amount={self.amount!r})"


@dataclass(frozen=True, slots=True)
class ChargeAnswer:
    state: Literal["paid", "authorised", "declined", "refunded"]
    reference: str
    message: str | None = None


class PaymentProvider(Protocol):
    @property
    def method(self) -> str:
        """The name of the payment method, such as `invoice`."""

    @property
    def is_test(self) -> bool:
        """Whether no real money moves."""

    def check(self, charge_input: str | None) -> None:
        """Refuse unusable input before an order exists. Raises BadPaymentInput."""

    async def charge(self, charge: Charge) -> ChargeAnswer:
        """Take the money; the same key twice takes it once and answers the same.

        Raises ProviderUnavailable when it is not known what happened.
        """

    async def find(self, key: PaymentId) -> ChargeAnswer | None:
        """What became of this charge; None when the provider has not taken it (yet)."""

    async def refund(self, charge: Charge) -> ChargeAnswer:
        """Give all of it back, or cancel what is owed; the same key twice gives back once.

        Raises ProviderUnavailable when it is not known what happened.
        """

    async def void(self, charge: Charge) -> ChargeAnswer:
        """From now on this key is never charged. Answers what became of it if that came too late,
        else `voided`, as a later `charge` with the key does.
        """


def voided(key: PaymentId) -> ChargeAnswer:
    """The answer to a charge that was ruled out before it was made."""
    return ChargeAnswer(
        "declined",
        f"voided_{key}",
        "The payment was interrupted and nothing was charged. Your cart is back.",
    )


class UnknownMethod(ShopError):
    code = "unknown_payment_method"
    status = 422


class BadPaymentInput(ShopError):
    code = "bad_payment_input"
    status = 422


class ProviderUnavailable(Unavailable):
    code = "payment_unavailable"
