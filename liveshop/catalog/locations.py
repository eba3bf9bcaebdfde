"""SQL of locations, and of the stock a merchant counts at each."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.model import Hours, Location, LocationAddress, StockLevel
from liveshop.catalog.tables import REHEARSAL, hold, location, stock
from liveshop.kernel.ids import LocationId, VariantId
from liveshop.storage import insert

_IS_REAL = location.c.kind != REHEARSAL


async def stock_levels(conn: AsyncConnection, variant_id: str, now: datetime) -> list[StockLevel]:
    """One level for each location, zeros included, by priority. Lapsed holds count as free."""
    here = sa.and_(stock.c.location_id == location.c.id, stock.c.variant_id == variant_id)
    lapsed = (
        sa.select(sa.func.coalesce(sa.func.sum(hold.c.quantity), 0))
        .where(
            hold.c.variant_id == variant_id,
            hold.c.location_id == location.c.id,
            hold.c.expires_at <= now,
        )
        .scalar_subquery()
    )
    statement = (
        sa.select(location.c.id, stock.c.on_hand, stock.c.held, lapsed)
        .select_from(location.outerjoin(stock, here))
        .where(_IS_REAL)
        .order_by(location.c.priority, location.c.id)
    )
    return [
        StockLevel(
            VariantId(variant_id), LocationId(row[0]), row[1] or 0, (row[2] or 0) - int(row[3])
        )
        for row in await conn.execute(statement)
    ]


async def set_on_hand(
    conn: AsyncConnection, variant_id: str, location_id: str, on_hand: int
) -> bool:
    """False when more is held than that; nothing is changed then."""
    statement = insert(conn, stock).values(
        variant_id=variant_id, location_id=location_id, on_hand=on_hand, held=0
    )
    statement = statement.on_conflict_do_update(
        index_elements=["variant_id", "location_id"],
        set_={"on_hand": statement.excluded.on_hand},
        where=stock.c.held <= statement.excluded.on_hand,
    )
    return (await conn.execute(statement)).rowcount == 1


async def locations_by_priority(conn: AsyncConnection) -> list[Location]:
    """The shop's own."""
    statement = sa.select(location).where(_IS_REAL).order_by(location.c.priority, location.c.id)
    return [_location(row) for row in await conn.execute(statement)]


async def add_location(conn: AsyncConnection, new: Location) -> None:
    await conn.execute(sa.insert(location).values(**asdict(new)))


async def change_location(conn: AsyncConnection, changed: Location) -> bool:
    """False when there is no such location."""
    values = asdict(changed)
    id_ = values.pop("id")
    result = await conn.execute(
        sa.update(location).where(location.c.id == id_, _IS_REAL).values(**values)
    )
    return result.rowcount == 1


def _location(row: sa.Row[Any]) -> Location:
    return Location(
        id=LocationId(row.id),
        name=row.name,
        kind=row.kind,
        priority=row.priority,
        address=msgspec.convert(row.address, LocationAddress) if row.address else None,
        hours=msgspec.convert(row.hours, Hours) if row.hours else None,
        time_zone=row.time_zone,
        phone=row.phone,
        is_pickup=row.is_pickup,
        is_shipping=row.is_shipping,
    )
