"""The moment of a show at which an order came about, to be watched again. Shows stand above orders,
so whoever ties both together says how it is found."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.orders.model import Order


@dataclass(frozen=True, slots=True)
class Moment:
    """`url` plays the show from there."""

    at: datetime
    url: str


MomentOf = Callable[[AsyncConnection, Order], Awaitable[Moment | None]]
"""None: the order is of no show, or that moment of it cannot be watched (any more, or yet)."""


async def no_moment(_: AsyncConnection, __: Order) -> Moment | None:
    return None
