"""The books of the shop beside those of Stripe: what must be true at any time, and what in the end.

Read from the database itself and from localstripe, not through the server that is tested.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import sqlalchemy as sa
from checkout_builders import audit
from crash.shopping import Heard
from stripe_server import SECRET_KEY, StripeServer

from liveshop.catalog.shelves import Shelf
from liveshop.orders.tables import fulfilment, fulfilment_item, order_line, shop_order
from liveshop.payments.tables import payment, refund
from liveshop.storage import Database

_EVERYTHING = 1_000_000
_SLOW = aiohttp.ClientTimeout(60)
_LATE = timedelta(seconds=3)
"""What is due is asked for once a second."""


@dataclass
class Till:
    """What Stripe has, by our payment."""

    charged: Counter[str]
    """Minor units of charges that succeeded."""
    charges: Counter[str]
    """How many of them."""
    refunded: Counter[str]
    refunds: Counter[str]
    """How often each of our refunds was made."""

    @classmethod
    def empty(cls) -> "Till":
        return cls(Counter(), Counter(), Counter(), Counter())

    @classmethod
    async def of(cls, server: StripeServer, http: aiohttp.ClientSession) -> "Till":
        async def everything(what: str) -> list[dict[str, Any]]:
            url = f"{server.bare_url}/v1/{what}?limit={_EVERYTHING}"
            headers = {"Authorization": f"Bearer {SECRET_KEY}"}
            async with http.get(url, headers=headers, timeout=_SLOW) as answer:
                assert answer.status == 200, await answer.text()
                told = await answer.json()
            assert not told["has_more"]
            return list(told["data"])

        intents = await everything("payment_intents")
        ours = {one["id"]: one["metadata"]["liveshop_payment"] for one in intents}
        good = [one for one in await everything("charges") if one["status"] == "succeeded"]
        back = await everything("refunds")
        till = cls.empty()
        whose = {one["id"]: ours[one["payment_intent"]] for one in good}
        for one in good:
            till.charged[whose[one["id"]]] += one["amount"]
            till.charges[whose[one["id"]]] += 1
        for one in back:
            till.refunded[whose[one["charge"]]] += one["amount"]
            till.refunds[one["metadata"]["liveshop_refund"]] += 1
        return till


@dataclass
class Books:
    orders: Mapping[str, sa.Row[Any]]
    payments: Mapping[str, sa.Row[Any]]
    """By order."""
    refunds: list[sa.Row[Any]]
    till: Till

    @classmethod
    async def of(cls, database: Database, till: Till | None = None) -> "Books":
        """Of our side only, where no till is given."""
        async with database.read() as conn:
            orders = await conn.execute(sa.select(shop_order))
            payments = (await conn.execute(sa.select(payment))).all()
            refunds = (await conn.execute(sa.select(refund))).all()
        by_order = {row.order_id: row for row in payments}
        assert len(by_order) == len(payments), "an order has one payment"
        return cls({row.id: row for row in orders}, by_order, list(refunds), till or Till.empty())

    def check(self, heard: Heard) -> None:
        """Money, at any time: once at most for an order, and never an order without it."""
        assert all(count == 1 for count in self.till.charges.values()), "charged twice"
        assert all(count == 1 for count in self.till.refunds.values()), "refunded twice"
        known = {row.id for row in self.payments.values()}
        assert known.issuperset(self.till.charges), "charged without an order"
        for order_id, order in self.orders.items():
            paid = self.payments[order_id]
            charged, back = self.till.charged[paid.id], self.till.refunded[paid.id]
            assert charged in (0, order.total_amount), (order.number, charged)
            assert back <= charged, (order.number, charged, back)
            if order.state == "confirmed":
                assert (paid.state, charged, back) == ("paid", order.total_amount, 0), paid
        for order_id, total in heard.confirmed.items():
            order = self.orders[order_id]
            assert order.total_amount == total
            is_off = order.state == "cancelled"
            assert is_off or order.state == "confirmed", (order.number, order.state)
        for order_id in heard.cancelled:
            assert self.orders[order_id].state == "cancelled"

    def open_ends(self, now: datetime) -> list[str]:
        """What is still to be settled, in words. Who has not confirmed yet may take his time."""
        found: list[str] = []
        for order_id, paid in self.payments.items():
            name, order = f"order {self.orders[order_id].number}", self.orders[order_id]
            left = self.till.charged[paid.id] - self.till.refunded[paid.id]
            if left and order.state != "confirmed":
                found.append(f"{name} is {order.state} and charged")
            if order.state == "pending" and paid.state != "action_required":
                found.append(f"{name} waits for a payment that is {paid.state}")
            if paid.check_at is not None and paid.check_at < now - _LATE:
                found.append(f"{name}: its payment is to be asked for since {paid.check_at}")
        found += [f"refund {one.id} is {one.state}" for one in self.refunds if one.state != "done"]
        return found

    @property
    def awaited(self) -> int:
        """How many orders wait for a buyer who may still confirm."""
        return sum(order.state == "pending" for order in self.orders.values())


async def check_stock(database: Database, counted: Mapping[Shelf, int]) -> None:
    """Every shelf: what was counted there, less what was sold and not called off again; and each
    confirmed order's pieces are on their way, none more and none less."""
    shelves = await audit(database)
    async with database.read() as conn:
        taken = await conn.execute(
            sa.select(
                fulfilment.c.order_id,
                fulfilment.c.location_id,
                fulfilment_item.c.variant_id,
                sa.func.sum(fulfilment_item.c.pieces).label("pieces"),
            )
            .join(fulfilment_item, fulfilment_item.c.fulfilment_id == fulfilment.c.id)
            .where(fulfilment.c.state != "cancelled")
            .group_by(fulfilment.c.order_id, fulfilment.c.location_id, fulfilment_item.c.variant_id)
        )
        bought = await conn.execute(
            sa.select(order_line.c.order_id, order_line.c.variant_id, order_line.c.quantity)
            .join(shop_order, shop_order.c.id == order_line.c.order_id)
            .where(shop_order.c.state == "confirmed")
        )
    sold: Counter[tuple[str, str]] = Counter()
    opened: Counter[tuple[str, str]] = Counter()
    for row in taken:
        sold[row.variant_id, row.location_id] += int(row.pieces)
        opened[row.order_id, row.variant_id] += int(row.pieces)
    assert opened == Counter({(row.order_id, row.variant_id): row.quantity for row in bought})
    assert {(row.variant_id, row.location_id) for row in shelves} == counted.keys()
    for row in shelves:
        shelf = row.variant_id, row.location_id
        assert row.on_hand + sold[shelf] == counted[shelf], (row, sold[shelf])
