"""Makers of orders on their way: bought through the checkout, or opened with their goods on the
shelves a test is about."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import builders
import msgspec
import sqlalchemy as sa
from builders import GOOD_CARD
from checkout_builders import viewer, wish
from order_desk_builders import ADA, STAFF, House, made_order

from liveshop.app import Liveshop
from liveshop.catalog import shelves
from liveshop.catalog.model import Hours, Location, LocationAddress
from liveshop.catalog.service import CatalogService
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import LocationId, ProductId, VariantId, ViewerId, new_code
from liveshop.orders import fulfilment_store, store, wire
from liveshop.orders.desk import OrderDesk
from liveshop.orders.fulfilling import Fulfilments, open_fulfilments
from liveshop.orders.model import Fulfilment, FulfilmentKind, FulfilmentState, Order
from liveshop.orders.returns import Returns
from liveshop.orders.tables import fulfilment
from liveshop.payments import store as payments_store
from liveshop.payments.model import ChargeAnswer, Delivery, PaymentProvider, PaymentState
from liveshop.payments.service import Payments
from liveshop.storage import Database

Article = tuple[ProductId, VariantId]
ALWAYS_OPEN = Hours({str(day): (("00:00", "24:00"),) for day in range(1, 8)})
_keys = itertools.count()
_numbers = itertools.count(5000)
"""Beside those of `House.order`."""


async def store_place(
    catalog: CatalogService,
    name: str = "Store",
    *,
    time_zone: str | None = None,
    is_shipping: bool = True,
    priority: int = 5,
) -> LocationId:
    """A store in which buyers collect, open day and night."""
    made = await catalog.places.create(
        Location(
            id=LocationId(""),
            name=name,
            kind="store",
            priority=priority,
            address=LocationAddress("Weg 1", "20095", "Hamburg", "DE"),
            hours=ALWAYS_OPEN,
            time_zone=time_zone,
            is_pickup=True,
            is_shipping=is_shipping,
        )
    )
    return made.id


async def bought(
    shop: Liveshop,
    lines: Mapping[VariantId, int],
    *,
    store_id: LocationId | None = None,
    method: str = "sandbox",
    buyer: ViewerId | None = None,
) -> Order:
    """A confirmed order, through cart, quote and payment; collected at `store_id`, or shipped."""
    buyer = buyer or viewer(1)
    delivery: Delivery = "ship" if store_id is None else "pickup"
    for variant_id, quantity in lines.items():
        await shop.carts.add_to_cart(buyer, variant_id, quantity, None)
    quote = await shop.carts.quote(buyer, "DE", "en", delivery, store_id)
    wanted = replace(
        wish(quote.total, method=method, card=GOOD_CARD if method == "sandbox" else None),
        delivery=delivery,
        store_id=store_id,
    )
    order = await shop.orders.place_order(buyer, f"bought {next(_keys)}", wanted)
    assert order.state == "confirmed", order.state
    return order


def house_with(
    database: Database,
    clock: ManualClock,
    folder: Path,
    provider: PaymentProvider,
    **payment_settings: Any,
) -> House:
    """A house whose only way to pay is this one. To be made before the loop runs."""
    house = House.of(database, clock, folder)
    settings = builders.test_settings(folder)
    payments = Payments(
        database,
        clock,
        msgspec.structs.replace(settings.payments, **payment_settings),
        {provider.method: provider},
    )
    fulfilments = Fulfilments(database, clock, settings, payments)
    return replace(
        house,
        payments=payments,
        fulfilments=fulfilments,
        desk=OrderDesk(database, clock, payments, fulfilments),
        returns=Returns(database, clock, settings, payments),
    )


async def opened(
    house: House,
    lines: Sequence[tuple[Article, int, int]],
    pieces: Mapping[tuple[VariantId, LocationId], int],
    *,
    store_id: LocationId | None = None,
    payment: PaymentState = "paid",
    method: str = "sandbox",
    shipping: int = 0,
    viewer_id: ViewerId = ADA,
    **changed: Any,
) -> Order:
    """A confirmed order of (what, units, payable), its goods taken from these shelves; collected at
    `store_id`, or shipped. `changed`: what else is to be true of it."""
    now = house.clock.now()
    order = replace(
        made_order(
            lines,
            now=now,
            number=next(_numbers),
            viewer_id=viewer_id,
            method=method,
            shipping=shipping,
            delivery="ship" if store_id is None else "pickup",
            store_id=store_id,
        ),
        pickup_code=None if store_id is None else new_code(),
        **changed,
    )
    async with house.database.write() as tx:
        await store.add(tx.conn, order, idempotency_key=order.id, request_hash="-")
        answer = ChargeAnswer(payment, f"ref_{order.id}")
        await payments_store.record_answer(tx.conn, order.payment, answer, now)
        await store.change_state(tx.conn, order.id, "confirmed")
        parts = await shelves.parts_of(tx.conn, [line.variant_id for line in order.lines])
        await open_fulfilments(tx, [(order, pieces)], parts, now)
    return await house.look(order.id)


async def only_fulfilment(house: House, order: Order) -> Fulfilment:
    [one] = await house.fulfilments_of(order)
    return one


async def set_to(
    house: House,
    one: Fulfilment,
    kind: FulfilmentKind,
    state: FulfilmentState,
    *,
    collect_until: datetime | None = None,
) -> None:
    """Have it in this state, whatever leads there."""
    async with house.database.write() as tx:
        await tx.conn.execute(
            sa.update(fulfilment)
            .where(fulfilment.c.id == one.id)
            .values(kind=kind, state=state, collect_until=collect_until)
        )


async def make_ready(house: House, order: Order) -> list[Fulfilment]:
    """All of it lies in its store."""
    for one in await house.fulfilments_of(order):
        if one.kind == "ship_to_store":
            await house.fulfilments.ship(one.id, STAFF, wire.ShipInput())
        await house.fulfilments.ready(one.id, STAFF)
    return await house.fulfilments_of(order)


async def fulfilment_by_id(house: House, one: Fulfilment) -> Fulfilment:
    async with house.database.read() as conn:
        found = await fulfilment_store.by_id(conn, one.id)
    assert found is not None
    return found
