"""All SQL about destinations and the shows that are sent to them. Keys come in sealed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.ids import ShowId
from liveshop.shows.tables import destination, show, show_destination
from liveshop.storage import insert


@dataclass(frozen=True, slots=True)
class StoredDestination:
    """`url` is empty where a connection supplies address and key."""

    id: str
    name: str
    url: str
    sealed_key: str | None = field(repr=False)
    connection_id: str | None
    created_at: datetime


async def add(conn: AsyncConnection, one: StoredDestination) -> None:
    await conn.execute(
        sa.insert(destination).values(
            id=one.id,
            name=one.name,
            url=one.url,
            sealed_key=one.sealed_key,
            connection_id=one.connection_id,
            created_at=one.created_at,
        )
    )


async def change(conn: AsyncConnection, destination_id: str, **values: Any) -> None:
    await conn.execute(
        sa.update(destination).where(destination.c.id == destination_id).values(**values)
    )


async def remove(conn: AsyncConnection, destination_id: str) -> None:
    """No show is sent to it any more."""
    await conn.execute(
        sa.delete(show_destination).where(show_destination.c.destination_id == destination_id)
    )
    await conn.execute(sa.delete(destination).where(destination.c.id == destination_id))


async def by_id(
    conn: AsyncConnection, destination_id: str, *, for_update: bool = False
) -> StoredDestination | None:
    query = sa.select(destination).where(destination.c.id == destination_id)
    if for_update:
        query = query.with_for_update()
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else _stored(row)


async def all_of(conn: AsyncConnection) -> list[StoredDestination]:
    """The oldest first."""
    rows = await conn.execute(
        sa.select(destination).order_by(destination.c.created_at, destination.c.id)
    )
    return [_stored(row) for row in rows]


async def count(conn: AsyncConnection) -> int:
    found: int | None = await conn.scalar(sa.select(sa.func.count()).select_from(destination))
    return found or 0


async def switched_on(conn: AsyncConnection, show_id: ShowId) -> list[str]:
    """The destinations of a show, in the order in which they were switched on."""
    rows = await conn.scalars(
        sa.select(show_destination.c.destination_id)
        .where(show_destination.c.show_id == show_id)
        .order_by(show_destination.c.added_at, show_destination.c.destination_id)
    )
    return list(rows)


async def switch_on(
    conn: AsyncConnection, show_id: ShowId, destination_id: str, now: datetime
) -> None:
    await conn.execute(
        insert(conn, show_destination)
        .values(show_id=show_id, destination_id=destination_id, added_at=now)
        .on_conflict_do_nothing()
    )


async def switch_off(conn: AsyncConnection, show_id: ShowId, destination_id: str) -> None:
    await conn.execute(
        sa.delete(show_destination).where(
            show_destination.c.show_id == show_id,
            show_destination.c.destination_id == destination_id,
        )
    )


async def of_live_shows(
    conn: AsyncConnection,
) -> dict[ShowId, list[StoredDestination]]:
    """Of every show that is live, and for everyone, where its video is wanted; shows without that
    are left out."""
    rows = await conn.execute(
        sa.select(show_destination.c.show_id, destination)
        .join(destination, destination.c.id == show_destination.c.destination_id)
        .join(show, show.c.id == show_destination.c.show_id)
        .where(show.c.state == "live", show.c.audience == "everyone")
        .order_by(show_destination.c.added_at, destination.c.id)
    )
    found: dict[ShowId, list[StoredDestination]] = {}
    for row in rows:
        found.setdefault(ShowId(row.show_id), []).append(_stored(row))
    return found


async def live_among(conn: AsyncConnection, shows: Sequence[ShowId]) -> set[ShowId]:
    rows = await conn.scalars(
        sa.select(show.c.id).where(show.c.id.in_(shows), show.c.state == "live")
    )
    return {ShowId(one) for one in rows}


def _stored(row: sa.Row[Any]) -> StoredDestination:
    return StoredDestination(
        id=row.id,
        name=row.name,
        url=row.url,
        sealed_key=row.sealed_key,
        connection_id=row.connection_id,
        created_at=row.created_at,
    )
