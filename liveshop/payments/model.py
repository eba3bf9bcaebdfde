"""The payment port. A provider is one file in `providers/` and passes one contract suite.

A provider is called with no transaction open and within a time, always with our id as idempotency
key, so that asking twice charges or refunds once. `find` tells what became of a charge whose answer
was never heard, and `void` makes sure that one never made is never made later: only then may its
order be given up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from liveshop.kernel.errors import Conflict, NotFound, ShopError, Unavailable
from liveshop.kernel.ids import OrderId, PaymentId, RefundId
from liveshop.kernel.money import Money

PaymentState = Literal[
    "pending", "action_required", "processing", "authorised", "paid", "declined", "voided"
]
"""`pending`: asked, and the answer not heard. `action_required`: the buyer has to do something,
such as to confirm a card. `processing`: the provider collects, which may take days. `authorised`:
promised to us (a card's amount kept for us, an invoice, money at pickup). `paid`: we have it.
`voided`: what was authorised is given up."""

OPEN: frozenset[PaymentState] = frozenset({"pending", "action_required"})
"""Whether there will be an order is not known yet."""

TRANSITIONS: dict[PaymentState, frozenset[PaymentState]] = {
    "pending": frozenset({"action_required", "processing", "authorised", "paid", "declined"}),
    "action_required": frozenset({"processing", "authorised", "paid", "declined"}),
    "processing": frozenset({"paid", "declined"}),
    "authorised": frozenset({"paid", "voided"}),
    "paid": frozenset(),
    "declined": frozenset(),
    "voided": frozenset(),
}

Capture = Literal["now", "later"]
Delivery = Literal["ship", "pickup"]
RefundState = Literal["due", "pending", "done", "failed"]
"""`due`: to be asked for; `pending`: the provider is at it; `done`: given back, though a bank may
still send it back to us; `failed`: a person has to see to it."""
RefundCause = Literal["late", "cancelled", "not_collected", "returned", "goodwill", "provider"]


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
    capture: Capture = "now"
    captured: int = 0
    """Minor units that we have, or had before refunds."""
    refunded: int = 0
    """Minor units of all refunds that have not failed, arrived or not."""
    expires_at: datetime | None = None
    check_at: datetime | None = None
    is_void_wanted: bool = False
    problem: str | None = None
    dispute: str | None = None

    @property
    def refundable(self) -> Money:
        return Money(self.captured - self.refunded, self.amount.currency)


@dataclass(frozen=True, slots=True)
class Refund:
    id: RefundId
    order_id: OrderId
    payment_id: PaymentId
    state: RefundState
    amount: Money
    cause: RefundCause
    note: str | None
    reference: str | None
    message: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Charge:
    """What a provider is asked for. `card_number` is passed through and never stored or logged.
    `reference` is the provider's own name for the payment, once we know it.
    """

    key: PaymentId
    amount: Money
    order_number: str
    card_number: str | None = None
    reference: str | None = None
    capture: Capture = "now"

    def __repr__(self) -> str:
        return f"Charge(key={self.key!r}, amount={self.amount!r})"


@dataclass(frozen=True, slots=True)
class ClientStep:
    """What the player needs to let the buyer do his part; never stored, never logged.

    `secret` lets its bearer confirm this one payment. `options` are the provider's own, public.
    """

    secret: str
    options: Mapping[str, str]

    def __repr__(self) -> str:
        return "ClientStep()"


@dataclass(frozen=True, slots=True)
class ChargeAnswer:
    """`amount` is what the provider says it is about; None: exactly what was asked for."""

    state: PaymentState
    reference: str
    message: str | None = None
    amount: Money | None = None
    client: ClientStep | None = None


@dataclass(frozen=True, slots=True)
class RefundWish:
    """`attempt` is the provider's name for the last one that it put off."""

    key: RefundId
    charge: Charge
    amount: Money
    attempt: str | None = None


@dataclass(frozen=True, slots=True)
class RefundAnswer:
    """`due`: not just now, with `reference` for this attempt; it is to be asked for again."""

    state: RefundState
    reference: str
    message: str | None = None


class PaymentProvider(Protocol):
    @property
    def method(self) -> str:
        """The name of the payment method, such as `invoice`."""

    @property
    def is_test(self) -> bool:
        """Whether no real money moves."""

    @property
    def deliveries(self) -> frozenset[Delivery]:
        """For which deliveries it can be chosen."""

    @property
    def is_by_hand(self) -> bool:
        """Whether people, not the provider, say when money came or went back."""

    def options(self) -> Mapping[str, str]:
        """What the player must know before an order exists; public."""

    def check(self, charge_input: str | None) -> None:
        """Refuse unusable input before an order exists. Raises BadPaymentInput."""

    async def charge(self, charge: Charge) -> ChargeAnswer:
        """Take the money, or promise of it; the same key twice takes it once and answers the same.

        Raises ProviderUnavailable when it is not known what happened.
        """

    async def find(self, charge: Charge) -> ChargeAnswer | None:
        """What became of this charge; None when the provider has not taken it (yet)."""

    async def void(self, charge: Charge) -> ChargeAnswer:
        """From now on this key is never charged, and what was authorised is given up. Answers what
        became of it if that came too late, else `declined` (never authorised) or `voided`.
        """

    async def capture(self, charge: Charge) -> ChargeAnswer:
        """Take what was authorised, all of it; twice takes it once. Raises CannotCapture,
        ProviderUnavailable."""

    async def refund(self, wish: RefundWish) -> RefundAnswer:
        """Give so much back; the same key twice gives back once, and tells how it stands.

        Raises ProviderUnavailable when it is not known what happened.
        """


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """What a webhook says has happened. It is a hint: the truth is then asked for.

    `about`: what to look at again. `dispute` is set for disputes only.
    """

    id: str
    type: str
    reference: str | None
    happened_at: datetime
    about: Literal["payment", "refund", "dispute", "nothing"]
    dispute: str | None = None


@runtime_checkable
class HearsEvents(Protocol):
    """A provider that calls back."""

    def read_event(self, headers: Mapping[str, str], body: bytes, now: datetime) -> ProviderEvent:
        """Raises BadSignature for what it has not signed, or too long ago; BadEvent."""

    async def refunds_of(self, charge: Charge) -> list[tuple[str, Money, RefundAnswer]]:
        """All refunds there are: (our key or empty, amount, how it stands)."""


@dataclass(frozen=True, slots=True)
class SomethingDue:
    """A provider has to be asked for something: a signal to the reconciler of this process."""


REFUND_FAILED = (
    "Money could not be given back; why stands beside the refund. Refund it again, or pay the "
    "buyer another way."
)
METHOD_GONE = (
    "This way to pay is not configured any more, so nobody can ask what became of it. Configure it "
    "again, or look at the provider's and cancel the order."
)
NOT_TOLD = (
    "The provider refuses to say what became of this payment. Check the account and its keys, or "
    "look at the provider's and cancel the order."
)
"""What a payment's `problem` may say."""


def free(key: PaymentId) -> ChargeAnswer:
    """The answer to a payment of nothing, which no provider takes."""
    return ChargeAnswer("paid", f"free_{key}")


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


class CannotCapture(Conflict):
    """What was authorised can not be taken; `data.order_id`, where a payment of ours is asked
    about."""

    code = "cannot_capture"


class RefundTooLarge(Conflict):
    """More than is left of what was paid; `data.refundable` says how much that is."""

    code = "refund_too_large"


class UnknownProvider(NotFound):
    code = "unknown_payment_provider"


class BadSignature(ShopError):
    """A webhook that its provider has not signed, or too long ago."""

    code = "bad_signature"
    status = 400


class BadEvent(ShopError):
    code = "bad_event"
    status = 400
