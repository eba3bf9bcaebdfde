"""All SQL about the log of a show's video.

The log is also what is known of the picture: it is written in one transaction with what the room is
told, so a snapshot and the events after it cannot disagree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.ids import ShowId
from liveshop.shows.tables import show, show_log

Kind = Literal["started", "changed", "replaced", "lost", "back", "refused"]

MAX_ENTRIES: Final = 500
"""An encoder on a bad line may come and go for hours."""

_OF_NO_USE_LATER: Final = ("changed", "replaced", "refused")
"""Dropped first where a log grows too long: drops are what a host looks for afterwards."""


@dataclass(frozen=True, slots=True)
class Entry:
    at: datetime
    kind: Kind
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """Whether a picture comes, or is gone, since when."""

    is_there: bool
    since: datetime


async def add(
    conn: AsyncConnection, show_id: ShowId, at: datetime, kind: Kind, data: Mapping[str, object]
) -> None:
    """The caller has locked the show, so numbers follow each other."""
    number = (
        sa.select(sa.func.coalesce(sa.func.max(show_log.c.number), 0) + 1)
        .where(show_log.c.show_id == show_id)
        .scalar_subquery()
    )
    await conn.execute(
        sa.insert(show_log).values(
            show_id=show_id, number=number, at=at, kind=kind, data=dict(data)
        )
    )
    await _shorten(conn, show_id)


async def _shorten(conn: AsyncConnection, show_id: ShowId) -> None:
    of_show = show_log.c.show_id == show_id
    count = await conn.scalar(sa.select(sa.func.count()).select_from(show_log).where(of_show))
    too_many = int(count or 0) - MAX_ENTRIES
    if too_many <= 0:
        return
    dropped = (
        sa.select(show_log.c.number)
        .where(of_show)
        .order_by(sa.case((show_log.c.kind.in_(_OF_NO_USE_LATER), 0), else_=1), show_log.c.number)
        .limit(too_many)
    )
    await conn.execute(sa.delete(show_log).where(of_show, show_log.c.number.in_(dropped)))


async def entries(conn: AsyncConnection, show_id: ShowId) -> list[Entry]:
    """Oldest first."""
    rows = await conn.execute(
        sa.select(show_log).where(show_log.c.show_id == show_id).order_by(show_log.c.number)
    )
    return [Entry(row.at, row.kind, row.data) for row in rows]


async def last(conn: AsyncConnection, show_id: ShowId) -> Entry | None:
    found = await conn.execute(
        sa.select(show_log)
        .where(show_log.c.show_id == show_id)
        .order_by(show_log.c.number.desc())
        .limit(1)
    )
    row = found.one_or_none()
    return None if row is None else Entry(row.at, row.kind, row.data)


async def picture(conn: AsyncConnection, show_id: ShowId) -> Picture | None:
    """None: nobody has sent one yet."""
    of_picture = sa.and_(show_log.c.show_id == show_id, show_log.c.kind != "refused")
    lost = sa.select(sa.func.max(show_log.c.number)).where(of_picture, show_log.c.kind == "lost")
    found = await conn.execute(
        sa.select(show_log.c.kind, show_log.c.at)
        .where(of_picture, show_log.c.number >= sa.func.coalesce(lost.scalar_subquery(), 0))
        .order_by(show_log.c.number)
        .limit(2)
    )
    rows = found.all()
    if not rows:
        return None
    if rows[0].kind != "lost":
        return Picture(True, rows[0].at)
    if len(rows) == 1:
        return Picture(False, rows[0].at)
    return Picture(True, rows[1].at)


async def shows_with_picture(conn: AsyncConnection) -> list[ShowId]:
    """Shows that are not over and whose log says that somebody sends video."""
    of_picture = show_log.c.kind != "refused"
    newest = (
        sa.select(show_log.c.show_id, sa.func.max(show_log.c.number).label("number"))
        .where(of_picture)
        .group_by(show_log.c.show_id)
        .subquery()
    )
    found = await conn.execute(
        sa.select(show_log.c.show_id)
        .join(
            newest,
            sa.and_(newest.c.show_id == show_log.c.show_id, newest.c.number == show_log.c.number),
        )
        .join(show, show.c.id == show_log.c.show_id)
        .where(show_log.c.kind != "lost", show.c.state.not_in(("ended", "replay")))
        .order_by(show_log.c.show_id)
    )
    return [ShowId(one) for one in found.scalars()]
