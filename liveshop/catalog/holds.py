"""Holds: the ledger of reserved stock, beside the counter it must agree with.

It stands in `catalog`, not in `checkout`, because whoever says how much is available (shows, feeds,
checkout) must count a lapsed hold as free even if nothing has swept it up yet. Who may hold, and
for how long, is decided in `checkout`.

A variant's stock rows are the lock of all that is held of it: whoever changes several of its rows
takes them first with `lock`, for all variants he is about in one statement and one order. Without
it PostgreSQL deadlocks, and a hold seen as live may be given away before it is passed on. SQLite
has one writer and needs no lock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.tables import hold, location, stock
from liveshop.kernel.errors import Conflict
from liveshop.kernel.ids import HoldId, LocationId, VariantId, new_id


class OutOfStock(Conflict):
    """Less is free than was asked for; `data.available` says how much."""

    code = "out_of_stock"


@dataclass(frozen=True, slots=True)
class Wanted:
    """So much of a variant, held for `owner`: a cart line until `expires_at`, or an order."""

    owner: str
    variant_id: VariantId
    quantity: int
    expires_at: datetime | None


async def lock(conn: AsyncConnection, variant_ids: Iterable[str]) -> None:
    """From here to the commit nobody else changes what is held of these variants."""
    ids = sorted(set(variant_ids))
    if conn.dialect.name != "postgresql" or not ids:
        return
    await conn.execute(
        sa.select(stock.c.variant_id)
        .where(stock.c.variant_id.in_(ids))
        .order_by(stock.c.variant_id, stock.c.location_id)
        .with_for_update(key_share=True)
    )


async def release_lapsed(
    conn: AsyncConnection,
    now: datetime,
    *,
    variant_ids: Sequence[VariantId] | None = None,
    limit: int = 500,
) -> set[VariantId]:
    """Give back what was held too long; the variants that changed.

    With `variant_ids`: all of these variants, which stay locked whether they change or not. Else of
    any variant, the oldest holds first and at most `limit` of them.
    """
    if variant_ids is not None:
        await lock(conn, variant_ids)
        return await _give_back(conn, hold.c.variant_id.in_(variant_ids), hold.c.expires_at <= now)
    lapsed = (
        sa.select(hold.c.id, hold.c.variant_id)
        .where(hold.c.expires_at <= now)
        .order_by(hold.c.expires_at, hold.c.id)
        .limit(limit)
    )
    rows = (await conn.execute(lapsed)).all()
    if not rows:
        return set()
    await lock(conn, [row.variant_id for row in rows])
    # Between the two statements others may have given some of them back, or passed them on.
    ids = [row.id for row in rows]
    return await _give_back(conn, hold.c.id.in_(ids), hold.c.expires_at <= now)


async def release(conn: AsyncConnection, owners: Sequence[str]) -> set[VariantId]:
    """Give back everything these owners hold. The caller has locked the variants."""
    return await _give_back(conn, hold.c.owner.in_(owners))


async def take(conn: AsyncConnection, wanted: Iterable[Wanted], now: datetime) -> None:
    """Hold stock, from one location where one has enough, else from several.

    The caller has locked the variants. Raises OutOfStock; the transaction must then roll back.
    """
    wanted = sorted(wanted, key=lambda one: one.variant_id)
    if not wanted:
        return
    places = await _priorities(conn)
    for one in wanted:
        await _take_one(conn, one, list(places), now)


async def hand_over(
    conn: AsyncConnection, owner: str, to: str, *, expires_at: datetime | None
) -> int:
    """Pass what one owner holds to another, such as a cart line's to its order; the quantity."""
    moved = await conn.execute(
        sa.update(hold)
        .where(hold.c.owner == owner)
        .values(owner=to, expires_at=expires_at)
        .returning(hold.c.quantity)
    )
    return sum(row.quantity for row in moved)


async def hand_back(
    conn: AsyncConnection, owner: str, to: str, variant_id: VariantId, *, expires_at: datetime
) -> None:
    """Pass an owner's holds of one variant to another, such as a refused order's to a cart line."""
    await conn.execute(
        sa.update(hold)
        .where(hold.c.owner == owner, hold.c.variant_id == variant_id)
        .values(owner=to, expires_at=expires_at)
    )


async def sell(conn: AsyncConnection, owner: str) -> set[VariantId]:
    """What the owner holds leaves the shelf for good. The caller has locked the variants."""
    rows = await _delete(conn, hold.c.owner == owner)
    for (variant_id, location_id), quantity in _by_shelf(rows).items():
        await conn.execute(
            sa.update(stock)
            .where(stock.c.variant_id == variant_id, stock.c.location_id == location_id)
            .values(on_hand=stock.c.on_hand - quantity, held=stock.c.held - quantity)
        )
    return {row[0] for row in rows}


async def held_by(
    conn: AsyncConnection, owners: Sequence[str], now: datetime
) -> dict[str, tuple[int, datetime | None]]:
    """How much each owner holds at this moment, and until when."""
    rows = await conn.execute(
        sa.select(hold.c.owner, sa.func.sum(hold.c.quantity), sa.func.min(hold.c.expires_at))
        .where(
            hold.c.owner.in_(owners),
            sa.or_(hold.c.expires_at.is_(None), hold.c.expires_at > now),
        )
        .group_by(hold.c.owner)
    )
    return {row[0]: (int(row[1]), row[2]) for row in rows}


async def _take_one(
    conn: AsyncConnection, one: Wanted, places: list[LocationId], now: datetime
) -> None:
    for place in places:
        if await _reserve(conn, one.variant_id, place, one.quantity):
            await _write_down(conn, one, place, one.quantity, now)
            return
    rest = one.quantity
    free = await _free_by_location(conn, one.variant_id)
    for place in places:
        part = min(rest, free.get(place, 0))
        if part > 0 and await _reserve(conn, one.variant_id, place, part):
            await _write_down(conn, one, place, part, now)
            rest -= part
    if rest:
        available = sum(free.values())
        raise OutOfStock(
            "This is sold out." if available == 0 else f"Only {available} left.",
            data={"variant_id": one.variant_id, "available": available},
        )


async def _reserve(
    conn: AsyncConnection, variant_id: VariantId, place: LocationId, quantity: int
) -> bool:
    """The one statement that takes stock: it counts and takes at once, so no two can both win."""
    result = await conn.execute(
        sa.update(stock)
        .where(
            stock.c.variant_id == variant_id,
            stock.c.location_id == place,
            stock.c.on_hand - stock.c.held >= quantity,
        )
        .values(held=stock.c.held + quantity)
    )
    return result.rowcount == 1


async def _write_down(
    conn: AsyncConnection, one: Wanted, place: LocationId, quantity: int, now: datetime
) -> None:
    await conn.execute(
        sa.insert(hold).values(
            id=HoldId(new_id("hld", now)),
            owner=one.owner,
            variant_id=one.variant_id,
            location_id=place,
            quantity=quantity,
            created_at=now,
            expires_at=one.expires_at,
        )
    )


async def _free_by_location(conn: AsyncConnection, variant_id: VariantId) -> dict[LocationId, int]:
    rows = await conn.execute(
        sa.select(stock.c.location_id, stock.c.on_hand - stock.c.held).where(
            stock.c.variant_id == variant_id
        )
    )
    return {LocationId(row[0]): int(row[1]) for row in rows}


async def _give_back(conn: AsyncConnection, *conditions: sa.ColumnElement[bool]) -> set[VariantId]:
    rows = await _delete(conn, *conditions)
    for (variant_id, location_id), quantity in _by_shelf(rows).items():
        await conn.execute(
            sa.update(stock)
            .where(stock.c.variant_id == variant_id, stock.c.location_id == location_id)
            .values(held=stock.c.held - quantity)
        )
    return {row[0] for row in rows}


_Row = tuple[VariantId, LocationId, int]


async def _delete(conn: AsyncConnection, *conditions: sa.ColumnElement[bool]) -> list[_Row]:
    rows = await conn.execute(
        sa.delete(hold)
        .where(*conditions)
        .returning(hold.c.variant_id, hold.c.location_id, hold.c.quantity)
    )
    return [(VariantId(row[0]), LocationId(row[1]), int(row[2])) for row in rows]


def _by_shelf(rows: Iterable[_Row]) -> dict[tuple[VariantId, LocationId], int]:
    summed: dict[tuple[VariantId, LocationId], int] = {}
    for variant_id, location_id, quantity in rows:
        key = (variant_id, location_id)
        summed[key] = summed.get(key, 0) + quantity
    return summed


async def _priorities(conn: AsyncConnection) -> list[LocationId]:
    rows = await conn.execute(sa.select(location.c.id).order_by(location.c.priority, location.c.id))
    return [LocationId(row[0]) for row in rows]
