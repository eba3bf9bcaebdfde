"""Sources: shop systems that products come from and orders go back to.

The source stays the truth for products, prices and stock; what carts hold here is subtracted here.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from liveshop.connect.listings import Verdict
from liveshop.connect.model import BadRow, SourceRow
from liveshop.kernel.money import Money


@dataclass(frozen=True, slots=True)
class SourcePage:
    """Some products, and where to go on.

    `cursor`: where a run that breaks here goes on; None on the last page. `mark`: from where the
    next `changes` has to look; taken from the last page, so that nothing between two runs is lost.
    """

    rows: Sequence[SourceRow | BadRow]
    cursor: str | None = None
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class OrderItem:
    """`source_id` of the variant; `total` is after all discounts, for all units together."""

    source_id: str
    sku: str
    title: str
    quantity: int
    unit_price: Money
    total: Money


@dataclass(frozen=True, slots=True)
class OrderAddress:
    name: str
    street: str
    postal_code: str
    city: str
    country: str
    """ISO 3166, two letters."""


@dataclass(frozen=True, slots=True)
class SourceOrder:
    """A paid order. `key` is our order id: the same key never makes a second order."""

    key: str
    number: str
    email: str
    address: OrderAddress
    items: tuple[OrderItem, ...]
    shipping: Money
    total: Money
    payment_method: str
    payment_reference: str


@dataclass(frozen=True, slots=True)
class StockWrite:
    """Set the stock of a variant; only if the source still has `expected`, where it is given."""

    source_id: str
    quantity: int
    expected: int | None = None


@runtime_checkable
class Source(Protocol):
    """A shop system. Every call may raise RetryLater, NeedsAttention."""

    def products(self, cursor: str | None = None) -> AsyncIterator[SourcePage]:
        """Everything, page by page, from the cursor on."""
        ...

    def changes(self, mark: str) -> AsyncIterator[SourcePage]:
        """What is new or different since the mark. Need not tell what was deleted."""
        ...

    def product_ids(self) -> AsyncIterator[Sequence[str]]:
        """The source ids of all products there are, in lists: what is missing was deleted."""
        ...

    async def quantities(self, source_ids: Collection[str]) -> Mapping[str, int]:
        """How many units of these variants can be sold now, by the source's count: 0 for those that
        are not there any more, nothing for those whose stock it does not count."""
        ...


@runtime_checkable
class OrderTarget(Protocol):
    """A source that takes orders and stock back. Every call may raise RetryLater, NeedsAttention,
    and SkipListing for an order it can never take."""

    async def place_order(self, order: SourceOrder) -> str:
        """The source's id of the order. Called again after any failure, so it looks for an order
        with the same key first."""
        ...

    async def cancel_order(self, reference: str, *, reason: str) -> None:
        """Cancel and put the units back; one that is cancelled already is no error."""
        ...

    async def write_stock(self, writes: Sequence[StockWrite]) -> Sequence[Verdict]:
        """Set stock; Refused where the source has another count than expected."""
        ...
