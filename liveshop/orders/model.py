"""An order and its declared states. Prices and texts are copies: an order never changes with the
catalog.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from liveshop.kernel.errors import NotFound
from liveshop.kernel.ids import OrderId, ProductId, ShowId, VariantId, ViewerId
from liveshop.kernel.money import Money
from liveshop.payments.model import Payment

OrderState = Literal["pending", "confirmed", "payment_failed", "cancelled"]
TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    "pending": frozenset({"confirmed", "payment_failed", "cancelled"}),
    "confirmed": frozenset({"cancelled"}),
    "payment_failed": frozenset(),
    "cancelled": frozenset(),
}
"""`pending`: placed, the payment's outcome not known yet; its stock stays held for a while.
`cancelled`: what was paid goes back."""


class UnknownOrder(NotFound):
    code = "unknown_order"


@dataclass(frozen=True, slots=True)
class Address:
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
