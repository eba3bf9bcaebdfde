"""Makers for tests of checkout: buyers, wishes, a bank that can be held up, an audit."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from builders import ADDRESS, DECLINED_CARD, GOOD_CARD
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.app import Liveshop
from liveshop.catalog import waiting
from liveshop.catalog.tables import hold, stock
from liveshop.checkout.place import REFUND_TOPIC, TOPIC, OrderWish, PlaceOrder
from liveshop.kernel.ids import (
    PaymentId,
    PlaceId,
    ProductId,
    ShowId,
    VariantId,
    ViewerId,
    new_id,
)
from liveshop.kernel.money import Money
from liveshop.orders.model import Address, Order
from liveshop.payments.model import Charge, ChargeAnswer, voided
from liveshop.storage import Database, Worker
from liveshop.web import MoneyOut


def viewer(number: int) -> ViewerId:
    return ViewerId(f"gst_{number:026d}")


def wish(
    total: Money | MoneyOut,
    *,
    method: str = "sandbox",
    card: str | None = GOOD_CARD,
    show_id: ShowId | None = None,
) -> OrderWish:
    return OrderWish(
        expected_total=total if isinstance(total, MoneyOut) else MoneyOut.of(total),
        email="ada@example.org",
        address=Address(**{"line2": None, **ADDRESS}),
        method=method,
        card_number=card,
        show_id=show_id,
    )


async def wish_of(shop: Liveshop, buyer: ViewerId, **given: Any) -> OrderWish:
    """To buy the cart at what it costs now."""
    return wish((await shop.carts.quote(buyer, "DE")).total, **given)


@dataclass
class Bank:
    """A payment provider with books of its own, which outlive whatever happens to the shop.

    `before` and `after` are called around the moment at which money moves; what they raise, the
    shop sees. Passes the contract of payment providers.
    """

    method: str = "bank"
    is_test: bool = True
    books: dict[PaymentId, ChargeAnswer] = field(default_factory=dict)
    amounts: dict[PaymentId, Money] = field(default_factory=dict)
    asked: int = 0
    before: Callable[[], Awaitable[None]] | None = None
    after: Callable[[], Awaitable[None]] | None = None
    on_find: Callable[[], Awaitable[None]] | None = None
    on_refund: Callable[[], Awaitable[None]] | None = None
    refunds: list[PaymentId] = field(default_factory=list)

    @property
    def paid(self) -> list[PaymentId]:
        return [key for key, answer in self.books.items() if answer.state == "paid"]

    def check(self, charge_input: str | None) -> None:
        return None

    async def charge(self, charge: Charge) -> ChargeAnswer:
        self.asked += 1
        if self.before is not None:
            await self.before()
        await asyncio.sleep(0)
        declined = charge.card_number == DECLINED_CARD
        answer = ChargeAnswer(
            "declined" if declined else "paid",
            f"bank_{charge.key}",
            "The card was declined." if declined else None,
        )
        answer = self.books.setdefault(charge.key, answer)
        self.amounts.setdefault(charge.key, charge.amount)
        if self.after is not None:
            await self.after()
        return answer

    async def find(self, key: PaymentId) -> ChargeAnswer | None:
        if self.on_find is not None:
            await self.on_find()
        return self.books.get(key)

    async def refund(self, charge: Charge) -> ChargeAnswer:
        if self.on_refund is not None:
            await self.on_refund()
        answer = self.books[charge.key]
        if answer.state == "paid":
            self.refunds.append(charge.key)
            answer = self.books[charge.key] = replace(answer, state="refunded")
        return answer

    async def void(self, charge: Charge) -> ChargeAnswer:
        return self.books.setdefault(charge.key, voided(charge.key))


class Killed(BaseException):
    """The process dies here: nothing after this line happens."""


async def die() -> None:
    raise Killed


def with_bank(shop: Liveshop, bank: Bank) -> PlaceOrder:
    """The shop's checkout, with this bank as its only way to pay."""
    return PlaceOrder(shop.database, shop.clock, shop.settings, shop.carts, {bank.method: bank})


def settler(shop: Liveshop, orders: PlaceOrder) -> Worker:
    """The worker's part of that checkout. Call `run_due()`."""
    jobs = {TOPIC: orders.settle_job, REFUND_TOPIC: orders.refund_job}
    return Worker(shop.database, jobs, shop.clock, never_given_up=list(jobs))


@dataclass(frozen=True, slots=True)
class Shelf:
    """One row of stock and the holds that lean on it."""

    variant_id: str
    location_id: str
    on_hand: int
    held: int
    holds: int


async def shelves(conn: AsyncConnection, variant_ids: Sequence[str] | None = None) -> list[Shelf]:
    leaning = (
        sa.select(sa.func.coalesce(sa.func.sum(hold.c.quantity), 0))
        .where(hold.c.variant_id == stock.c.variant_id, hold.c.location_id == stock.c.location_id)
        .scalar_subquery()
    )
    query = sa.select(
        stock.c.variant_id, stock.c.location_id, stock.c.on_hand, stock.c.held, leaning
    ).order_by(stock.c.variant_id, stock.c.location_id)
    if variant_ids is not None:
        query = query.where(stock.c.variant_id.in_(variant_ids))
    return [Shelf(row[0], row[1], row[2], row[3], int(row[4])) for row in await conn.execute(query)]


async def audit(database: Database, variant_ids: Sequence[str] | None = None) -> list[Shelf]:
    """The rows of stock, once they have been found to agree with the holds."""
    async with database.read() as conn:
        rows = await shelves(conn, variant_ids)
    for row in rows:
        assert 0 <= row.held <= row.on_hand, row
        assert row.held == row.holds, row
    return rows


async def begin_to_wait(
    conn: AsyncConnection,
    variant_id: VariantId,
    viewer_id: ViewerId,
    now: datetime,
    *,
    show_id: ShowId | None = None,
) -> PlaceId:
    """Join a queue without asking who may. Who waits keeps his place; the variant is locked."""
    found = await waiting.queues(conn, [viewer_id], [variant_id])
    known = found.known.get((viewer_id, variant_id))
    if known is not None:
        return known
    place_id = PlaceId(new_id("plc", now))
    comer = waiting.Comer(place_id, variant_id, ProductId("prd_any"), viewer_id, show_id)
    await waiting.join(conn, [comer], found, now)
    return place_id


async def somebody_waits_for_a_lock(shop: Liveshop) -> None:
    """On PostgreSQL: somebody does now."""
    query = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    async with asyncio.timeout(10):
        while True:
            async with shop.database.read() as conn:
                if await conn.scalar(query):
                    return


def units(order: Order) -> int:
    return sum(line.quantity for line in order.lines)
