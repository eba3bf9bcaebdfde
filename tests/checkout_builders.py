"""Makers for tests of checkout: buyers, wishes, a bank that can be held up, an audit."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from builders import ADDRESS, DECLINED_CARD, GOOD_CARD
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.app import Liveshop
from liveshop.catalog import waiting
from liveshop.catalog.tables import hold, stock
from liveshop.checkout.order_wish import OrderWish
from liveshop.checkout.payment_history import note_refund
from liveshop.checkout.place import PlaceOrder
from liveshop.kernel.ids import (
    PaymentId,
    PlaceId,
    ProductId,
    RefundId,
    ShowId,
    VariantId,
    ViewerId,
    new_id,
)
from liveshop.kernel.money import Money
from liveshop.orders.model import Address, Order
from liveshop.payments.model import (
    CannotCapture,
    Charge,
    ChargeAnswer,
    Delivery,
    PaymentProvider,
    PaymentState,
    RefundAnswer,
    RefundWish,
    voided,
)
from liveshop.payments.reconciler import Reconciler
from liveshop.payments.service import Payments
from liveshop.storage import Database
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
    is_by_hand: bool = False
    deliveries: frozenset[Delivery] = frozenset({"ship", "pickup"})
    books: dict[PaymentId, ChargeAnswer] = field(default_factory=dict)
    amounts: dict[PaymentId, Money] = field(default_factory=dict)
    asked: int = 0
    before: Callable[[], Awaitable[None]] | None = None
    after: Callable[[], Awaitable[None]] | None = None
    on_find: Callable[[], Awaitable[None]] | None = None
    on_refund: Callable[[], Awaitable[None]] | None = None
    returned: dict[RefundId, tuple[PaymentId, Money]] = field(default_factory=dict)

    @property
    def paid(self) -> list[PaymentId]:
        return [key for key, answer in self.books.items() if answer.state == "paid"]

    @property
    def refunds(self) -> list[PaymentId]:
        """Of which payments something went back, in order."""
        return [key for key, _ in self.returned.values()]

    def options(self) -> Mapping[str, str]:
        return {}

    def check(self, charge_input: str | None) -> None:
        return None

    async def charge(self, charge: Charge) -> ChargeAnswer:
        self.asked += 1
        if self.before is not None:
            await self.before()
        await asyncio.sleep(0)
        declined = charge.card_number == DECLINED_CARD
        accepted: PaymentState = "authorised" if charge.capture == "later" else "paid"
        answer = ChargeAnswer(
            "declined" if declined else accepted,
            f"bank_{charge.key}",
            "The card was declined." if declined else None,
        )
        answer = self.books.setdefault(charge.key, answer)
        self.amounts.setdefault(charge.key, charge.amount)
        if self.after is not None:
            await self.after()
        return answer

    async def find(self, charge: Charge) -> ChargeAnswer | None:
        if self.on_find is not None:
            await self.on_find()
        return self.books.get(charge.key)

    async def void(self, charge: Charge) -> ChargeAnswer:
        answer = self.books.setdefault(charge.key, voided(charge.key))
        if answer.state in ("action_required", "authorised"):
            state: PaymentState = "voided" if answer.state == "authorised" else "declined"
            answer = replace(voided(charge.key), state=state, reference=answer.reference)
            self.books[charge.key] = answer
        return answer

    async def capture(self, charge: Charge) -> ChargeAnswer:
        answer = self.books.get(charge.key)
        if answer is None or answer.state not in ("authorised", "paid"):
            raise CannotCapture("There is nothing to take.")
        answer = self.books[charge.key] = replace(answer, state="paid")
        return answer

    async def refund(self, wish: RefundWish) -> RefundAnswer:
        if self.on_refund is not None:
            await self.on_refund()
        key = wish.charge.key
        gone = sum(
            amount.amount
            for one, (whose, amount) in self.returned.items()
            if whose == key and one != wish.key
        )
        reference = f"back_{wish.key}"
        left = self.amounts[key].amount - gone if key in self.paid else 0
        if wish.amount.amount > left:
            return RefundAnswer("failed", reference, "There is not so much left.")
        self.returned.setdefault(wish.key, (key, wish.amount))
        return RefundAnswer("done", reference)


class Killed(BaseException):
    """The process dies here: nothing after this line happens."""


async def die() -> None:
    raise Killed


def payments_of(shop: Liveshop, *providers: PaymentProvider) -> Payments:
    """The shop's payments with these as the only ways to pay."""
    return Payments(
        shop.database,
        shop.clock,
        shop.settings.payments,
        {one.method: one for one in providers},
    )


def with_bank(shop: Liveshop, bank: PaymentProvider) -> PlaceOrder:
    """The shop's checkout, with this bank as its only way to pay."""
    return PlaceOrder(shop.database, shop.clock, shop.settings, shop.carts, payments_of(shop, bank))


def settler(shop: Liveshop, orders: PlaceOrder) -> Reconciler:
    """The reconciler of that checkout. Call `run_due()`."""
    return Reconciler(
        shop.database,
        shop.clock,
        payments_of(shop, *orders.providers),
        orders.settle,
        note_refund,
        orders.number_of,
    )


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
