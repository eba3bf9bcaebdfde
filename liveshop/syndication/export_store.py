"""SQL for orders on their way to a source, and for what a source does not count yet of them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.source_stock import Sold
from liveshop.catalog.store import in_chunks
from liveshop.catalog.tables import bundle_part, variant
from liveshop.kernel.ids import OrderId, VariantId
from liveshop.kernel.money import Money
from liveshop.orders.tables import order_line
from liveshop.storage import insert
from liveshop.syndication.model import ConnectionId
from liveshop.syndication.tables import connection, order_export

_SKEW = timedelta(seconds=5)
"""By which the clocks of two of our processes may differ."""

ExportState = Literal["waiting", "placed", "refused", "cancelled"]


@dataclass(frozen=True, slots=True)
class Export:
    """An order at one of its sources. `begun_at`: when it was first sent."""

    order_id: OrderId
    connection_id: ConnectionId
    state: ExportState
    reference: str | None
    reason: str | None
    is_off: bool
    begun_at: datetime | None


@dataclass(frozen=True, slots=True)
class Piece:
    """What is behind one unit of a variant: itself, or a part of the bundle that it is."""

    variant_id: VariantId
    source: str | None
    source_id: str | None
    sku: str
    price: Money
    quantity: int


async def sources_of(
    conn: AsyncConnection, variant_ids: Collection[VariantId]
) -> dict[VariantId, set[ConnectionId]]:
    """The connections that each of these variants, or parts of it, come from; removed ones are
    none."""
    ids = list(variant_ids)
    found: dict[VariantId, set[ConnectionId]] = {}
    for row in await conn.execute(_SOURCES, {"ids": ids}):
        found.setdefault(VariantId(row[0]), set()).add(ConnectionId(row[1]))
    return found


_ids: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
_SOURCES = sa.union(
    sa.select(variant.c.id, connection.c.id.label("connection_id"))
    .join(connection, connection.c.id == variant.c.source)
    .where(variant.c.id.in_(_ids), connection.c.state != "removed"),
    sa.select(bundle_part.c.bundle_id, connection.c.id)
    .join(variant, variant.c.id == bundle_part.c.part_id)
    .join(connection, connection.c.id == variant.c.source)
    .where(bundle_part.c.bundle_id.in_(_ids), connection.c.state != "removed"),
)


async def pieces_of(
    conn: AsyncConnection, variant_ids: Collection[VariantId]
) -> dict[VariantId, list[Piece]]:
    """What each of these variants consists of, as the catalog knows it."""
    columns = (
        variant.c.source,
        variant.c.source_id,
        variant.c.sku,
        variant.c.price_amount,
        variant.c.currency,
    )
    parts = await conn.execute(
        sa.select(
            bundle_part.c.bundle_id.label("whole"), variant.c.id, bundle_part.c.quantity, *columns
        )
        .join(variant, variant.c.id == bundle_part.c.part_id)
        .where(bundle_part.c.bundle_id.in_(variant_ids))
        .order_by(bundle_part.c.bundle_id, bundle_part.c.part_id)
    )
    found: dict[VariantId, list[Piece]] = {}
    for row in parts:
        found.setdefault(VariantId(row.whole), []).append(_piece(row))
    alone = await conn.execute(
        sa.select(variant.c.id, sa.literal(1).label("quantity"), *columns).where(
            variant.c.id.in_(variant_ids)
        )
    )
    for row in alone:
        found.setdefault(VariantId(row.id), [_piece(row)])
    return found


async def add(
    conn: AsyncConnection, order_id: OrderId, connection_id: ConnectionId, now: datetime
) -> None:
    """Once; a second time changes nothing."""
    statement = insert(conn, order_export).values(
        order_id=order_id,
        connection_id=connection_id,
        state="waiting",
        is_off=False,
        created_at=now,
    )
    await conn.execute(
        statement.on_conflict_do_nothing(index_elements=["order_id", "connection_id"])
    )


async def one(
    conn: AsyncConnection, order_id: str, connection_id: str, *, for_update: bool = False
) -> Export | None:
    statement = sa.select(order_export).where(*_is(order_id, connection_id))
    if for_update:
        statement = statement.with_for_update()
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else _export(row)


async def of_order(
    conn: AsyncConnection, order_id: str, *, for_update: bool = False
) -> list[Export]:
    statement = (
        sa.select(order_export)
        .where(order_export.c.order_id == order_id)
        .order_by(order_export.c.connection_id)
    )
    if for_update:
        statement = statement.with_for_update()
    return [_export(row) for row in await conn.execute(statement)]


async def for_merchant(conn: AsyncConnection, *, limit: int) -> list[Export]:
    """Refused, or placed with something to say about it. Newest first."""
    rows = await conn.execute(
        sa.select(order_export)
        .where(
            sa.or_(
                order_export.c.state == "refused",
                sa.and_(order_export.c.state == "placed", order_export.c.reason.is_not(None)),
            )
        )
        .order_by(order_export.c.order_id.desc(), order_export.c.connection_id)
        .limit(limit)
    )
    return [_export(row) for row in rows]


async def unfinished(conn: AsyncConnection, connection_id: ConnectionId) -> list[Export]:
    """Those that have still to be placed, or cancelled, at a source."""
    rows = await conn.execute(
        sa.select(order_export)
        .where(
            order_export.c.connection_id == connection_id,
            sa.or_(
                order_export.c.state == "waiting",
                sa.and_(order_export.c.state == "placed", order_export.c.is_off),
            ),
        )
        .order_by(order_export.c.order_id)
    )
    return [_export(row) for row in rows]


async def change(conn: AsyncConnection, order_id: str, connection_id: str, **values: Any) -> None:
    await conn.execute(
        sa.update(order_export).where(*_is(order_id, connection_id)).values(**values)
    )


async def remove(conn: AsyncConnection, order_id: str, connection_id: str) -> None:
    await conn.execute(sa.delete(order_export).where(*_is(order_id, connection_id)))


async def uncounted(
    conn: AsyncConnection,
    connection_id: ConnectionId,
    variant_ids: Collection[VariantId],
    counted_from: datetime,
) -> dict[VariantId, Sold]:
    """Units of these variants sold here that a count of the source asked for at `counted_from`
    cannot contain as sold, or need not: orders that it was never sent or refused, and orders that
    were under way at some time since then."""
    is_unknown_there = sa.or_(
        order_export.c.state == "refused",
        sa.and_(order_export.c.state == "waiting", order_export.c.begun_at.is_(None)),
    )
    is_open = sa.or_(
        order_export.c.state.in_(("waiting", "refused")),
        sa.and_(
            order_export.c.state == "placed",
            order_export.c.settled_at >= counted_from - _SKEW,
        ),
    )
    of_source = sa.and_(
        order_export.c.connection_id == connection_id,
        is_open,
        order_line.c.order_id == order_export.c.order_id,
    )

    def sums(units: sa.ColumnElement[int]) -> tuple[sa.ColumnElement[int], ...]:
        surely = sa.case((is_unknown_there, units), else_=0)
        return sa.func.sum(surely), sa.func.sum(units - surely)

    found: dict[VariantId, Sold] = {}
    for part in in_chunks(variant_ids):
        alone = (
            sa.select(order_line.c.variant_id, *sums(order_line.c.quantity))
            .join(order_export, of_source)
            .where(order_line.c.variant_id.in_(part))
            .group_by(order_line.c.variant_id)
        )
        in_bundles = (
            sa.select(bundle_part.c.part_id, *sums(order_line.c.quantity * bundle_part.c.quantity))
            .select_from(order_line)
            .join(order_export, of_source)
            .join(bundle_part, bundle_part.c.bundle_id == order_line.c.variant_id)
            .where(bundle_part.c.part_id.in_(part))
            .group_by(bundle_part.c.part_id)
        )
        for statement in (alone, in_bundles):
            for variant_id, surely, perhaps in await conn.execute(statement):
                before = found.get(VariantId(variant_id), Sold())
                found[VariantId(variant_id)] = Sold(
                    before.surely + int(surely), before.perhaps + int(perhaps)
                )
    return found


async def source_ids_settled_since(
    conn: AsyncConnection, connection_id: ConnectionId, since: datetime
) -> list[str]:
    """The source's ids of variants in orders that it took or cancelled at `since` or later."""
    settled = (
        sa.select(order_line.c.variant_id)
        .join(order_export, order_export.c.order_id == order_line.c.order_id)
        .where(
            order_export.c.connection_id == connection_id,
            order_export.c.settled_at >= since - _SKEW,
        )
    )
    parts = sa.select(bundle_part.c.part_id).where(bundle_part.c.bundle_id.in_(settled))
    rows = await conn.execute(
        sa.select(variant.c.source_id)
        .where(
            variant.c.source == connection_id,
            sa.or_(variant.c.id.in_(settled), variant.c.id.in_(parts)),
        )
        .order_by(variant.c.source_id)
    )
    return [str(found) for found in rows.scalars()]


def _is(order_id: str, connection_id: str) -> Sequence[sa.ColumnElement[bool]]:
    return (order_export.c.order_id == order_id, order_export.c.connection_id == connection_id)


def _piece(row: Any) -> Piece:
    return Piece(
        variant_id=VariantId(row.id),
        source=row.source,
        source_id=row.source_id,
        sku=row.sku,
        price=Money(row.price_amount, row.currency),
        quantity=row.quantity,
    )


def _export(row: Any) -> Export:
    return Export(
        order_id=OrderId(row.order_id),
        connection_id=ConnectionId(row.connection_id),
        state=row.state,
        reference=row.reference,
        reason=row.reason,
        is_off=row.is_off,
        begun_at=row.begun_at,
    )
