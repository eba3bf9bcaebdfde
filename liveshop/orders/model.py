"""An order and its declared states. Prices and texts are copies: an order never changes with the
catalog.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from liveshop.kernel.errors import Conflict, Invalid, NotFound
from liveshop.kernel.ids import (
    FulfilmentId,
    LocationId,
    OrderId,
    ProductId,
    RefundId,
    ReturnId,
    ShowId,
    VariantId,
    ViewerId,
    has_prefix,
)
from liveshop.kernel.money import Money
from liveshop.kernel.rehearsals import ORDER
from liveshop.payments.model import Delivery, Payment

OrderState = Literal["pending", "confirmed", "payment_failed", "cancelled"]
TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    "pending": frozenset({"confirmed", "payment_failed", "cancelled"}),
    "confirmed": frozenset({"cancelled"}),
    "payment_failed": frozenset(),
    "cancelled": frozenset(),
}
"""`pending`: placed, the payment's outcome not known yet; its stock stays held for a while.
`cancelled`: what was paid goes back."""

FulfilmentKind = Literal[
    "ship_from_warehouse", "ship_from_store", "pickup_in_store", "ship_to_store"
]
FulfilmentState = Literal[
    "open", "shipped", "delivered", "ready", "collected", "released", "cancelled"
]
_SHIP: dict[FulfilmentState, frozenset[FulfilmentState]] = {
    "open": frozenset({"shipped", "cancelled"}),
    "shipped": frozenset({"delivered"}),
}
FULFILMENT_TRANSITIONS: dict[FulfilmentKind, dict[FulfilmentState, frozenset[FulfilmentState]]] = {
    "ship_from_warehouse": _SHIP,
    "ship_from_store": _SHIP,
    "pickup_in_store": {
        "open": frozenset({"ready", "cancelled"}),
        "ready": frozenset({"collected", "released", "cancelled"}),
    },
    "ship_to_store": {
        "open": frozenset({"shipped", "cancelled"}),
        "shipped": frozenset({"ready"}),
        "ready": frozenset({"collected", "released", "cancelled"}),
    },
}
"""States that lead nowhere are not listed. `ready`: lies in the store for the buyer; `released`:
not collected in time, back in the stock of the store and refunded."""

ReturnKind = Literal["by_post", "in_store"]
ReturnState = Literal["requested", "received", "refused", "withdrawn"]
RETURN_TRANSITIONS: dict[ReturnState, frozenset[ReturnState]] = {
    "requested": frozenset({"received", "refused", "withdrawn"}),
    "received": frozenset(),
    "refused": frozenset(),
    "withdrawn": frozenset(),
}
ReturnReason = Literal[
    "too_small",
    "too_large",
    "not_as_described",
    "damaged",
    "wrong_item",
    "too_late",
    "changed_mind",
    "other",
]


class UnknownOrder(NotFound):
    code = "unknown_order"


class UnknownFulfilment(NotFound):
    code = "unknown_fulfilment"


class UnknownPickup(NotFound):
    """No order has this pickup code."""

    code = "unknown_pickup"


class WrongStore(Conflict):
    """The goods lie in another store; `data.store_id` says in which."""

    code = "wrong_store"


class UnknownReturn(NotFound):
    code = "unknown_return"


class UnknownRefund(NotFound):
    code = "unknown_refund"


class KeyReused(Invalid):
    """An Idempotency-Key that was used for something else."""

    code = "idempotency_key_reused"


class NotNow(Conflict):
    """The order, fulfilment or return is not in a state for this; `data.state` says in which."""

    code = "not_now"


class NotPaid(Conflict):
    """The goods may not go before the money has come; `data.to_pay` says how much it is."""

    code = "not_paid"


class NotReturnable(Invalid):
    """More than was bought and received, or too late; `data.returnable` says how many there are."""

    code = "not_returnable"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something. `name` is for staff only: a buyer's is in his order."""

    kind: Literal["buyer", "staff", "system", "provider"]
    id: str | None = None
    name: str | None = None


SYSTEM = Actor("system")


@dataclass(frozen=True, slots=True)
class Address:
    """Of a buyer who collects, only the name need be known: the rest may be empty."""

    name: str
    line1: str
    line2: str | None
    postal_code: str
    city: str
    country: str


@dataclass(frozen=True, slots=True)
class TaxLine:
    """`rate_permille` 190 is 19 %; `basis` is net. `is_included`: inside the prices, not on top."""

    rate_permille: int
    basis: Money
    amount: Money
    is_included: bool = True


@dataclass(frozen=True, slots=True)
class OrderStep:
    """One step of the way to the total, as the buyer was told it."""

    text: str
    amount: Money


@dataclass(frozen=True, slots=True)
class OrderLine:
    variant_id: VariantId
    product_id: ProductId
    title: str
    values: tuple[str, ...]
    sku: str
    quantity: int
    unit_price: Money
    total: Money
    payable: Money
    """After this line's share of the order's discounts."""
    show_id: ShowId | None = None
    """The show it was put into the cart in."""


@dataclass(frozen=True, slots=True)
class Promise:
    """When the goods are there, or ready in the store; both moments are of the shop's or store's
    day."""

    from_: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Order:
    id: OrderId
    number: str
    state: OrderState
    viewer_id: ViewerId
    show_id: ShowId | None
    placed_at: datetime
    email: str
    address: Address
    lines: tuple[OrderLine, ...]
    subtotal: Money
    shipping: Money
    taxes: tuple[TaxLine, ...]
    tax_added: Money
    total: Money
    explanation: tuple[OrderStep, ...]
    payment: Payment
    language: str = "en"
    delivery: Delivery = "ship"
    store_id: LocationId | None = None
    pickup_code: str | None = None
    promise: Promise | None = None
    invoice_number: int | None = None
    invoiced_at: datetime | None = None
    invoice_year: int | None = None
    """The year of `invoiced_at` in the shop's zone, as the printed date says it."""

    @property
    def is_rehearsal(self) -> bool:
        """Whether nothing was sold: it was placed in a rehearsal, and goes with it."""
        return is_rehearsed(self.id)


def is_rehearsed(order_id: str) -> bool:
    return has_prefix(order_id, ORDER)


@dataclass(frozen=True, slots=True)
class FulfilmentItem:
    """Pieces of a variant, for the order's line at `position` (from 0). `title` and `sku` are the
    line's; those of the part for a bundle."""

    position: int
    variant_id: VariantId
    pieces: int
    title: str = ""
    sku: str = ""


@dataclass(frozen=True, slots=True)
class Fulfilment:
    id: FulfilmentId
    order_id: OrderId
    kind: FulfilmentKind
    state: FulfilmentState
    location_id: LocationId
    store_id: LocationId | None
    items: tuple[FulfilmentItem, ...]
    carrier: str | None
    tracking: str | None
    collect_until: datetime | None
    created_at: datetime
    updated_at: datetime

    def may(self, to: FulfilmentState) -> bool:
        return to in FULFILMENT_TRANSITIONS[self.kind].get(self.state, frozenset())


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """`kind` is `order.confirmed`, `fulfilment.shipped`, `refund.done`, ...; `data` says the rest,
    without personal data."""

    order_id: OrderId
    at: datetime
    actor: Actor
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
    note: str | None = None


@dataclass(frozen=True, slots=True)
class ReturnLine:
    """`accepted` of them were inspected and found good to refund, `restocked` to sell again; None
    before the inspection."""

    position: int
    quantity: int
    reason: ReturnReason
    note: str | None = None
    accepted: int | None = None
    restocked: int | None = None


@dataclass(frozen=True, slots=True)
class Credit:
    """What came back is worth: the `goods` after discounts, the `shipping`, and the tax that was
    added on top of both; less what is kept back for wear."""

    goods: Money
    shipping: Money
    tax_added: Money
    deduction: Money

    @property
    def total(self) -> Money:
        return self.goods + self.shipping + self.tax_added - self.deduction


@dataclass(frozen=True, slots=True)
class Return:
    """`credit` is of the inspection, None before it. Without a `refund_id` it took so much off what
    is still to be paid, or nothing was left to give back."""

    id: ReturnId
    order_id: OrderId
    kind: ReturnKind
    state: ReturnState
    location_id: LocationId | None
    refund_id: RefundId | None
    note: str | None
    lines: tuple[ReturnLine, ...]
    created_at: datetime
    updated_at: datetime
    credit: Credit | None = None


@dataclass(frozen=True, slots=True)
class Feedback:
    """`effort` 1 (very hard) to 7 (very easy), `satisfaction` 1 to 5."""

    effort: int | None
    satisfaction: int | None
    comment: str | None
    at: datetime


def invoice_number(order: Order) -> str | None:
    """As it is printed: the year, and the consecutive number."""
    if order.invoice_number is None or order.invoice_year is None:
        return None
    return f"R{order.invoice_year}-{order.invoice_number:06d}"
