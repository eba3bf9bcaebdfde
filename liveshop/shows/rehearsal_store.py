"""SQL of rehearsals: which go on, and those that are over and may have left something behind."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.ids import RehearsalId, ShowId
from liveshop.shows.model import Rehearsal
from liveshop.shows.tables import show_rehearsal


async def add(conn: AsyncConnection, new: Rehearsal) -> None:
    await conn.execute(
        sa.insert(show_rehearsal).values(
            id=new.id,
            show_id=new.show_id,
            came_from=new.came_from,
            started_at=new.started_at,
            before=dict(new.before),
        )
    )


async def running(conn: AsyncConnection, show_ids: Collection[ShowId]) -> dict[ShowId, Rehearsal]:
    """Those of these shows."""
    rows = await conn.execute(
        sa.select(show_rehearsal).where(
            show_rehearsal.c.show_id.in_(show_ids), show_rehearsal.c.ended_at.is_(None)
        )
    )
    return {ShowId(row.show_id): _rehearsal(row) for row in rows}


async def by_id(conn: AsyncConnection, rehearsal_id: RehearsalId) -> Rehearsal | None:
    """One that goes on."""
    rows = await conn.execute(
        sa.select(show_rehearsal).where(
            show_rehearsal.c.id == rehearsal_id, show_rehearsal.c.ended_at.is_(None)
        )
    )
    row = rows.one_or_none()
    return None if row is None else _rehearsal(row)


async def all_running(conn: AsyncConnection) -> list[Rehearsal]:
    rows = await conn.execute(sa.select(show_rehearsal).where(show_rehearsal.c.ended_at.is_(None)))
    return [_rehearsal(row) for row in rows]


async def end(conn: AsyncConnection, rehearsal_id: RehearsalId, now: datetime) -> None:
    await conn.execute(
        sa.update(show_rehearsal)
        .where(show_rehearsal.c.id == rehearsal_id)
        .values(ended_at=now, emptied_at=None)
    )


async def mark_emptied(conn: AsyncConnection, rehearsal_id: RehearsalId, now: datetime) -> None:
    await conn.execute(
        sa.update(show_rehearsal).where(show_rehearsal.c.id == rehearsal_id).values(emptied_at=now)
    )


async def to_empty(conn: AsyncConnection) -> list[Rehearsal]:
    """Those whose room still has in it who was there before they began, or ended."""
    rows = await conn.execute(
        sa.select(show_rehearsal).where(show_rehearsal.c.emptied_at.is_(None))
    )
    return [_rehearsal(row) for row in rows]


async def ended(conn: AsyncConnection) -> list[tuple[Rehearsal, datetime]]:
    """Those that are over, and since when."""
    rows = await conn.execute(
        sa.select(show_rehearsal)
        .where(show_rehearsal.c.ended_at.is_not(None))
        .order_by(show_rehearsal.c.ended_at)
    )
    return [(_rehearsal(row), row.ended_at) for row in rows]


async def forget(conn: AsyncConnection, rehearsal_id: RehearsalId) -> None:
    await conn.execute(
        sa.delete(show_rehearsal).where(
            show_rehearsal.c.id == rehearsal_id, show_rehearsal.c.ended_at.is_not(None)
        )
    )


def _rehearsal(row: sa.Row[Any]) -> Rehearsal:
    return Rehearsal(
        id=RehearsalId(row.id),
        show_id=ShowId(row.show_id),
        came_from=row.came_from,
        started_at=row.started_at,
        before=row.before,
    )
