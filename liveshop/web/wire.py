"""What crosses a process boundary: structs that refuse unknown fields, lengths bounded."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from liveshop.kernel.money import Money

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Amount = Annotated[int, Meta(ge=0, le=100_000_000_000)]
"""Minor units; the bound keeps sums far inside 64 bits."""


class Wire(msgspec.Struct, forbid_unknown_fields=True):
    """Base of every wire struct. Build them by keyword."""


class MoneyOut(Wire):
    """Money on the wire: whole minor units (cents) and the ISO 4217 code."""

    amount: Annotated[int, Meta(ge=-100_000_000_000, le=100_000_000_000)]
    currency: Annotated[str, Meta(min_length=3, max_length=3)]

    @classmethod
    def of(cls, money: Money) -> "MoneyOut":
        return cls(amount=money.amount, currency=money.currency)

    def to_money(self) -> Money:
        return Money(self.amount, self.currency)


class Problem(msgspec.Struct):
    """RFC 9457 problem details, as `application/problem+json`."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    data: dict[str, Any]
    request_id: str
    retry_after: float | None = None
