"""All SQL about fulfilments."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.tables import location, product, variant
from liveshop.kernel.ids import FulfilmentId, LocationId, OrderId
from liveshop.orders.model import Fulfilment, FulfilmentItem, FulfilmentKind, FulfilmentState
from liveshop.orders.tables import fulfilment, fulfilment_item, order_line, shop_order
from liveshop.payments.tables import payment


async def open_all(conn: AsyncConnection, new: Sequence[Fulfilment]) -> None:
    """Several at once, in two statements. Parcels from a store are `ship_from_store` whatever
    `kind` says: the statement looks where their place is one.
    """
    rows = [_row(one) | {"given_kind": one.kind, "taken_from": one.location_id} for one in new]
    await conn.execute(_OPEN, rows)
    await _add_items(conn, new)


_given_kind = sa.bindparam("given_kind", type_=sa.String)
_kind_of_place = (
    sa.select(location.c.kind)
    .where(location.c.id == sa.bindparam("taken_from", type_=sa.String))
    .scalar_subquery()
)
_OPEN = sa.insert(fulfilment).values(
    kind=sa.case(
        (
            sa.and_(_given_kind == "ship_from_warehouse", _kind_of_place == "store"),
            "ship_from_store",
        ),
        else_=_given_kind,
    )
)


async def add(conn: AsyncConnection, new: Fulfilment) -> None:
    """As it is given."""
    await conn.execute(sa.insert(fulfilment).values(**_row(new), kind=new.kind))
    await _add_items(conn, [new])


async def move(
    conn: AsyncConnection, one: Fulfilment, to: FulfilmentState, now: datetime, **values: Any
) -> bool:
    """From the state it was seen in to another, with other columns that change; False when it is
    not in that state any more.
    """
    result = await conn.execute(
        sa.update(fulfilment)
        .where(fulfilment.c.id == one.id, fulfilment.c.state == one.state)
        .values(state=to, updated_at=now, **values)
    )
    return result.rowcount == 1


async def keep_items(
    conn: AsyncConnection, fulfilment_id: FulfilmentId, items: Sequence[FulfilmentItem]
) -> None:
    """These are all that is left in it; at least one."""
    await conn.execute(
        sa.delete(fulfilment_item).where(fulfilment_item.c.fulfilment_id == fulfilment_id)
    )
    await conn.execute(
        sa.insert(fulfilment_item), [_item_row(fulfilment_id, item) for item in items]
    )


async def by_id(conn: AsyncConnection, fulfilment_id: FulfilmentId) -> Fulfilment | None:
    found = await _load(conn, sa.select(fulfilment).where(fulfilment.c.id == fulfilment_id))
    return found[0] if found else None


async def order_of(conn: AsyncConnection, fulfilment_id: FulfilmentId) -> OrderId | None:
    found = await conn.scalar(
        sa.select(fulfilment.c.order_id).where(fulfilment.c.id == fulfilment_id)
    )
    return None if found is None else OrderId(found)


async def of_orders(
    conn: AsyncConnection, order_ids: Collection[OrderId]
) -> dict[OrderId, list[Fulfilment]]:
    """All fulfilments of each of these orders, the first first."""
    found: dict[OrderId, list[Fulfilment]] = {order_id: [] for order_id in order_ids}
    if found:
        query = (
            sa.select(fulfilment)
            .where(fulfilment.c.order_id.in_(list(found)))
            .order_by(fulfilment.c.created_at, fulfilment.c.id)
        )
        for one in await _load(conn, query):
            found[one.order_id].append(one)
    return found


async def states_of(
    conn: AsyncConnection, order_ids: Collection[OrderId]
) -> dict[OrderId, list[FulfilmentState]]:
    """How far the goods of each of these orders are; one that has no fulfilments is left out."""
    found: dict[OrderId, list[FulfilmentState]] = {}
    if order_ids:
        query = (
            sa.select(fulfilment.c.order_id, fulfilment.c.state)
            .where(fulfilment.c.order_id.in_(list(order_ids)))
            .order_by(fulfilment.c.created_at, fulfilment.c.id)
        )
        for order_id, state in await conn.execute(query):
            found.setdefault(order_id, []).append(state)
    return found


async def of_order(conn: AsyncConnection, order_id: OrderId) -> list[Fulfilment]:
    """All fulfilments of an order, the first first."""
    return (await of_orders(conn, [order_id]))[order_id]


async def order_of_code(conn: AsyncConnection, pickup_code: str) -> OrderId | None:
    found = await conn.scalar(
        sa.select(shop_order.c.id).where(shop_order.c.pickup_code == pickup_code)
    )
    return None if found is None else OrderId(found)


async def page(
    conn: AsyncConnection,
    *,
    state: FulfilmentState | None,
    kind: FulfilmentKind | None,
    store_id: LocationId | None,
    location_id: LocationId | None,
    after: FulfilmentId | None,
    limit: int,
) -> list[Fulfilment]:
    """The oldest first, for that is what has to be done next. Ids sort by time, so the id is the
    cursor."""
    query = sa.select(fulfilment).order_by(fulfilment.c.id).limit(limit)
    wanted = {
        fulfilment.c.state: state,
        fulfilment.c.kind: kind,
        fulfilment.c.store_id: store_id,
        fulfilment.c.location_id: location_id,
    }
    for column, value in wanted.items():
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(fulfilment.c.id > after)
    return await _load(conn, query)


async def overdue(conn: AsyncConnection, now: datetime, limit: int) -> list[FulfilmentId]:
    """What lies ready and was not collected in time, the longest first. Where the provider is still
    collecting the money it goes on lying there: what has to go back is not known yet.
    """
    is_clear = sa.exists().where(
        payment.c.order_id == fulfilment.c.order_id,
        payment.c.state.in_(("authorised", "paid", "voided")),
    )
    rows = await conn.execute(
        sa.select(fulfilment.c.id)
        .where(fulfilment.c.collect_until <= now, fulfilment.c.state == "ready", is_clear)
        .order_by(fulfilment.c.collect_until, fulfilment.c.id)
        .limit(limit)
    )
    return [FulfilmentId(row.id) for row in rows]


async def names_of_places(
    conn: AsyncConnection, location_ids: Collection[LocationId]
) -> dict[LocationId, str]:
    rows = await conn.execute(
        sa.select(location.c.id, location.c.name).where(location.c.id.in_(set(location_ids)))
    )
    return {LocationId(row.id): row.name for row in rows}


async def zone_of_place(conn: AsyncConnection, location_id: LocationId) -> str | None:
    """The name of its time zone; None: the shop's."""
    return await conn.scalar(sa.select(location.c.time_zone).where(location.c.id == location_id))


async def _load(conn: AsyncConnection, query: sa.Select[Any]) -> list[Fulfilment]:
    heads = (await conn.execute(query)).all()
    items: dict[str, list[FulfilmentItem]] = {row.id: [] for row in heads}
    if not items:
        return []
    rows = await conn.execute(_ITEMS.where(fulfilment_item.c.fulfilment_id.in_(list(items))))
    for row in rows:
        items[row.fulfilment_id].append(
            FulfilmentItem(row.position, row.variant_id, row.pieces, row.title or "", row.sku or "")
        )
    return [_fulfilment(row, items[row.id]) for row in heads]


_is_line_itself = order_line.c.variant_id == fulfilment_item.c.variant_id
_ITEMS = (
    sa.select(
        fulfilment_item,
        sa.case((_is_line_itself, order_line.c.title), else_=product.c.title).label("title"),
        sa.case((_is_line_itself, order_line.c.sku), else_=variant.c.sku).label("sku"),
    )
    .join(fulfilment, fulfilment.c.id == fulfilment_item.c.fulfilment_id)
    .join(
        order_line,
        sa.and_(
            order_line.c.order_id == fulfilment.c.order_id,
            order_line.c.position == fulfilment_item.c.position,
        ),
    )
    .outerjoin(variant, variant.c.id == fulfilment_item.c.variant_id)
    .outerjoin(product, product.c.id == variant.c.product_id)
    .order_by(
        fulfilment_item.c.fulfilment_id, fulfilment_item.c.position, fulfilment_item.c.variant_id
    )
)


async def _add_items(conn: AsyncConnection, new: Sequence[Fulfilment]) -> None:
    rows = [_item_row(one.id, item) for one in new for item in one.items]
    await conn.execute(sa.insert(fulfilment_item), rows)


def _row(one: Fulfilment) -> dict[str, Any]:
    """All but its kind."""
    return {
        "id": one.id,
        "order_id": one.order_id,
        "state": one.state,
        "location_id": one.location_id,
        "store_id": one.store_id,
        "carrier": one.carrier,
        "tracking": one.tracking,
        "collect_until": one.collect_until,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
    }


def _item_row(fulfilment_id: FulfilmentId, item: FulfilmentItem) -> Mapping[str, Any]:
    return {
        "fulfilment_id": fulfilment_id,
        "position": item.position,
        "variant_id": item.variant_id,
        "pieces": item.pieces,
    }


def _fulfilment(row: sa.Row[Any], items: Sequence[FulfilmentItem]) -> Fulfilment:
    return Fulfilment(
        id=FulfilmentId(row.id),
        order_id=OrderId(row.order_id),
        kind=row.kind,
        state=row.state,
        location_id=LocationId(row.location_id),
        store_id=LocationId(row.store_id) if row.store_id else None,
        items=tuple(items),
        carrier=row.carrier,
        tracking=row.tracking,
        collect_until=row.collect_until,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
