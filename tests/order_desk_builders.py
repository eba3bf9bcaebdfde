"""Makers for tests of what becomes of orders: a house without a web application or a checkout, and
orders in whatever state a test is about."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import builders
import sqlalchemy as sa

from liveshop.app import Liveshop
from liveshop.catalog import shelves
from liveshop.catalog.model import Option, ProductDraft, ProductsTouched, StockTouched, VariantDraft
from liveshop.catalog.service import CatalogService
from liveshop.catalog.tables import stock
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import (
    LocationId,
    OrderId,
    PaymentId,
    ProductId,
    VariantId,
    ViewerId,
    new_id,
)
from liveshop.kernel.money import Money
from liveshop.orders import fulfilment_store, history, return_store, store, wire
from liveshop.orders.desk import OrderDesk
from liveshop.orders.feedback import FeedbackService
from liveshop.orders.fulfilling import Fulfilments, open_fulfilments
from liveshop.orders.model import (
    Actor,
    Address,
    Fulfilment,
    Order,
    OrderEvent,
    OrderLine,
    Return,
    ReturnReason,
)
from liveshop.orders.returns import ReturnOf, Returns
from liveshop.payments import refund_store
from liveshop.payments import store as payments_store
from liveshop.payments.assembly import providers_of
from liveshop.payments.model import ChargeAnswer, Delivery, Payment, PaymentState, Refund
from liveshop.payments.service import Payments
from liveshop.storage import Database, Tx
from liveshop.web import MoneyOut

ADA = ViewerId("gst_" + "0" * 25 + "1")
BOB = ViewerId("gst_" + "0" * 25 + "2")
STAFF = Actor("staff", "stf_tests", "Tests")


def buyer(viewer_id: ViewerId = ADA) -> Actor:
    return Actor("buyer", viewer_id)


def eur(amount: int) -> Money:
    return Money(amount, "EUR")


@dataclass
class House:
    database: Database
    clock: ManualClock
    payments: Payments
    fulfilments: Fulfilments
    catalog: CatalogService
    desk: OrderDesk
    returns: Returns
    feedback: FeedbackService
    cancelled: list[OrderId] = field(default_factory=list)
    stock_told: list[StockTouched] = field(default_factory=list)
    products_told: list[ProductsTouched] = field(default_factory=list)
    _number: int = 500

    @classmethod
    def of(cls, database: Database, clock: ManualClock, folder: Path, **settings: Any) -> "House":
        """To be made before the loop runs: it reads time zones."""
        configured = builders.test_settings(
            folder, **{"payments__methods": ["sandbox", "invoice", "at_pickup"]} | settings
        )
        payments = Payments(
            database, clock, configured.payments, providers_of(configured, database)
        )
        fulfilments = Fulfilments(database, clock, configured, payments)
        told: list[OrderId] = []

        async def on_cancelled(_: Tx, order: Order, __: datetime) -> None:
            told.append(order.id)

        house = cls(
            database=database,
            clock=clock,
            payments=payments,
            fulfilments=fulfilments,
            catalog=CatalogService(database, clock, configured.shop),
            desk=OrderDesk(database, clock, payments, fulfilments, on_cancelled),
            returns=Returns(database, clock, configured, payments),
            feedback=FeedbackService(database, clock),
            cancelled=told,
        )
        database.listen(StockTouched, house.stock_told.append)
        database.listen(ProductsTouched, house.products_told.append)
        return house

    @classmethod
    def over(cls, shop: Liveshop, clock: ManualClock) -> "House":
        """The services of a wired server."""
        return cls(
            database=shop.database,
            clock=clock,
            payments=shop.payments,
            fulfilments=shop.fulfilments,
            catalog=shop.catalog,
            desk=shop.desk,
            returns=shop.returns,
            feedback=shop.feedback,
        )

    # What there is

    async def place(self, name: str = "Warehouse", *, kind: str = "warehouse") -> LocationId:
        return (await self.catalog.create_location(name, kind=kind)).id

    async def variant(
        self,
        title: str = "Shirt",
        *,
        parts: Sequence[tuple[VariantId, int]] = (),
        values: Sequence[str] = ("M",),
    ) -> tuple[ProductId, VariantId]:
        draft = ProductDraft(
            title=title,
            options=() if parts else (Option("Size", tuple(values)),),
            variants=tuple(
                VariantDraft(
                    sku=f"{title.upper()}-{value}",
                    values=() if parts else (value,),
                    price=eur(1000),
                    parts=tuple(parts),
                )
                for value in values
            ),
        )
        made = (await self.catalog.create_product(draft)).product
        return made.id, made.variants[0].id

    async def order(
        self,
        lines: Sequence[tuple[tuple[ProductId, VariantId], int, int]],
        place: LocationId,
        *,
        viewer_id: ViewerId = ADA,
        method: str = "sandbox",
        payment: PaymentState = "paid",
        shipping: int = 490,
        tax_added: int = 0,
        delivery: Delivery = "ship",
        store_id: LocationId | None = None,
    ) -> Order:
        """A confirmed one: its lines are (what, units, payable), all taken from that place."""
        now = self.clock.now()
        self._number += 1
        order = made_order(
            lines,
            now=now,
            number=self._number,
            viewer_id=viewer_id,
            method=method,
            shipping=shipping,
            tax_added=tax_added,
            delivery=delivery,
            store_id=store_id,
        )
        answer = ChargeAnswer(payment, f"ref_{order.id}")
        if (method, payment) == ("sandbox", "paid"):  # its books know it, so it can be refunded
            answer = await self.payments.charge(order.payment, order.number, builders.GOOD_CARD)
        async with self.database.write() as tx:
            await store.add(tx.conn, order, idempotency_key=order.id, request_hash="-")
            await payments_store.record_answer(tx.conn, order.payment, answer, now)
            await store.change_state(tx.conn, order.id, "confirmed")
            parts = await shelves.parts_of(tx.conn, [line.variant_id for line in order.lines])
            pieces: dict[tuple[VariantId, LocationId], int] = {}
            for line in order.lines:
                for part, each in parts[line.variant_id].items():
                    key = (part, place)
                    pieces[key] = pieces.get(key, 0) + each * line.quantity
            await open_fulfilments(tx, [(order, pieces)], parts, now)
        return await self.look(order.id)

    async def arrived(
        self,
        lines: Sequence[tuple[tuple[ProductId, VariantId], int, int]],
        place: LocationId,
        **of: Any,
    ) -> Order:
        """The same, with everything delivered."""
        order = await self.order(lines, place, **of)
        await self.ship(order, deliver=True)
        return await self.look(order.id)

    async def ship(self, order: Order, *, deliver: bool = False) -> None:
        for one in await self.fulfilments_of(order):
            await self.fulfilments.ship(one.id, STAFF, wire.ShipInput())
            if deliver:
                await self.fulfilments.deliver(one.id, STAFF)

    # What became of it

    async def look(self, order_id: OrderId) -> Order:
        async with self.database.read() as conn:
            found = await store.by_id(conn, order_id)
        assert found is not None
        return found

    async def fulfilments_of(self, order: Order) -> list[Fulfilment]:
        async with self.database.read() as conn:
            return await fulfilment_store.of_order(conn, order.id)

    async def refunds_of(self, order: Order) -> list[Refund]:
        async with self.database.read() as conn:
            return (await refund_store.of_orders(conn, [order.id]))[order.id]

    async def returns_of(self, order: Order) -> list[Return]:
        async with self.database.read() as conn:
            return await return_store.of_order(conn, order.id)

    async def history(self, order: Order) -> list[OrderEvent]:
        async with self.database.read() as conn:
            return await history.of_order(conn, order.id)

    async def on_hand(self, variant_id: VariantId, place: LocationId) -> int:
        query = sa.select(stock.c.on_hand).where(
            stock.c.variant_id == variant_id, stock.c.location_id == place
        )
        async with self.database.read() as conn:
            return int(await conn.scalar(query) or 0)

    # What people do

    async def request(
        self,
        order: Order,
        units: dict[int, int],
        *,
        reason: ReturnReason = "too_small",
        actor: Actor | None = None,
    ) -> Return:
        given = wire.ReturnInput(
            kind="by_post",
            lines=[
                wire.ReturnLineInput(position=position, quantity=quantity, reason=reason)
                for position, quantity in units.items()
            ],
        )
        asked = await self.returns.request(order.id, given, actor or buyer(order.viewer_id))
        return asked.one

    async def receive(
        self,
        asked: Return,
        place: LocationId,
        *,
        accepted: dict[int, int] | None = None,
        restocked: dict[int, int] | None = None,
        shipping: bool = False,
        deduction: int | None = None,
        note: str | None = None,
    ) -> ReturnOf:
        """By default all of it is accepted, and can be sold again."""
        whole = {line.position: line.quantity for line in asked.lines}
        accepted = whole if accepted is None else accepted
        restocked = accepted if restocked is None else restocked
        given = wire.InspectionInput(
            location_id=place,
            lines=[
                wire.InspectedLine(
                    position=position, accepted=units, restocked=restocked.get(position, 0)
                )
                for position, units in accepted.items()
            ],
            refund_shipping=shipping,
            deduction=None if deduction is None else MoneyOut(amount=deduction, currency="EUR"),
            note=note,
        )
        return await self.returns.receive(asked.id, given, STAFF)

    async def send_back(
        self, order: Order, units: dict[int, int], place: LocationId, **of: Any
    ) -> ReturnOf:
        """Asked for and received."""
        reason = of.pop("reason", "too_small")
        return await self.receive(await self.request(order, units, reason=reason), place, **of)


def made_order(
    lines: Sequence[tuple[tuple[ProductId, VariantId], int, int]],
    *,
    now: datetime,
    number: int = 501,
    viewer_id: ViewerId = ADA,
    method: str = "sandbox",
    shipping: int = 490,
    tax_added: int = 0,
    currency: str = "EUR",
    delivery: Delivery = "ship",
    store_id: LocationId | None = None,
) -> Order:
    """A pending order, not stored."""
    order_id = OrderId(new_id("ord", now))
    subtotal = sum(payable for _, _, payable in lines)
    total = Money(subtotal + shipping + tax_added, currency)
    return Order(
        id=order_id,
        number=f"L-{number}",
        state="pending",
        viewer_id=viewer_id,
        show_id=None,
        placed_at=now,
        email="ada@example.org",
        address=Address(**{"line2": None, **builders.ADDRESS}),
        lines=tuple(
            OrderLine(
                variant_id=variant_id,
                product_id=product_id,
                title="Shirt",
                values=(),
                sku="SHIRT",
                quantity=quantity,
                unit_price=Money(-(-payable // quantity), currency),
                total=Money(payable, currency),
                payable=Money(payable, currency),
            )
            for (product_id, variant_id), quantity, payable in lines
        ),
        subtotal=Money(subtotal, currency),
        shipping=Money(shipping, currency),
        taxes=(),
        tax_added=Money(tax_added, currency),
        total=total,
        explanation=(),
        payment=Payment(
            id=PaymentId(new_id("pay", now)),
            order_id=order_id,
            method=method,
            state="pending",
            amount=total,
            reference=None,
            message=None,
            created_at=now,
        ),
        delivery=delivery,
        store_id=store_id,
    )


def confirmed(order: Order) -> Order:
    return replace(order, state="confirmed")
