"""All SQL about posts. What moves one says from which states it may move: a post that somebody else
has moved meanwhile stays where it is."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.store import in_chunks
from liveshop.kernel.ids import ProductId, ShowId
from liveshop.shows.tables import show_pin
from liveshop.storage import insert
from liveshop.syndication.model import ConnectionId, PostId, PostState
from liveshop.syndication.post_model import PostRow
from liveshop.syndication.tables import connection, post


async def add(conn: AsyncConnection, new: PostRow) -> bool:
    """Whether it is new: one with the same `once` is kept as it is."""
    values = {column.name: getattr(new, column.name) for column in post.columns}
    if new.once is None:
        await conn.execute(sa.insert(post).values(**values))
        return True
    result = await conn.execute(
        insert(conn, post).values(**values).on_conflict_do_nothing(index_elements=["once"])
    )
    return result.rowcount == 1


async def by_id(conn: AsyncConnection, id_: str) -> PostRow | None:
    row = (await conn.execute(sa.select(post).where(post.c.id == id_))).one_or_none()
    return None if row is None else _post(row)


async def by_once(conn: AsyncConnection, keys: Iterable[str]) -> dict[str, PostRow]:
    """Those there are, by what makes them once only."""
    found: dict[str, PostRow] = {}
    for some in in_chunks(keys):
        rows = await conn.execute(sa.select(post).where(post.c.once.in_(some)))
        found |= {row.once: _post(row) for row in rows}
    return found


async def page(
    conn: AsyncConnection,
    *,
    show_id: str | None,
    connection_id: str | None,
    before: str | None,
    limit: int,
) -> list[PostRow]:
    """Newest first."""
    query = sa.select(post).order_by(post.c.id.desc()).limit(limit)
    if show_id is not None:
        query = query.where(post.c.show_id == show_id)
    if connection_id is not None:
        query = query.where(post.c.connection_id == connection_id)
    if before is not None:
        query = query.where(post.c.id < before)
    return [_post(row) for row in await conn.execute(query)]


async def move(
    conn: AsyncConnection, id_: PostId, *, expected: tuple[PostState, ...], **values: Any
) -> bool:
    """Change a post if it is in one of these states; whether it was."""
    result = await conn.execute(
        sa.update(post).where(post.c.id == id_, post.c.state.in_(expected)).values(**values)
    )
    return result.rowcount == 1


async def due(
    conn: AsyncConnection,
    connection_id: ConnectionId,
    states: tuple[PostState, ...],
    now: datetime | None,
    *,
    limit: int = 100,
) -> list[PostRow]:
    """Posts of a connection in these states that are due, the longest waiting first; `now` None:
    due or not."""
    query = sa.select(post).where(post.c.connection_id == connection_id, post.c.state.in_(states))
    if now is not None:
        query = query.where(post.c.due_at <= now)
    rows = await conn.execute(query.order_by(post.c.due_at, post.c.id).limit(limit))
    return [_post(row) for row in rows]


async def next_due(conn: AsyncConnection, connection_id: ConnectionId) -> datetime | None:
    """When there is something to do again."""
    found: datetime | None = await conn.scalar(
        sa.select(post.c.due_at)
        .where(post.c.connection_id == connection_id, post.c.due_at.is_not(None))
        .order_by(post.c.due_at)
        .limit(1)
    )
    return found


async def following_shows(conn: AsyncConnection) -> list[PostRow]:
    """Those that wait for something to happen in their show."""
    return [_post(row) for row in await conn.execute(_FOLLOWING)]


_FOLLOWING = sa.select(post).where(post.c.state == "scheduled", post.c.timing != "at")


async def without_connection(conn: AsyncConnection) -> list[PostRow]:
    """Those to be sent on connections that were removed."""
    return [_post(row) for row in await conn.execute(_WITHOUT_CONNECTION)]


_WITHOUT_CONNECTION = (
    sa.select(post)
    .join(connection, connection.c.id == post.c.connection_id)
    .where(post.c.state == "scheduled", connection.c.state == "removed")
)


async def pins_of(
    conn: AsyncConnection, show_ids: Iterable[ShowId]
) -> Mapping[ShowId, Mapping[ProductId, Sequence[datetime]]]:
    """When each product came into focus in these shows, oldest first."""
    rows = await conn.execute(
        sa.select(show_pin.c.show_id, show_pin.c.product_id, show_pin.c.at)
        .where(show_pin.c.show_id.in_(list(show_ids)), show_pin.c.product_id.is_not(None))
        .order_by(show_pin.c.show_id, show_pin.c.number)
    )
    found: dict[ShowId, dict[ProductId, list[datetime]]] = {}
    for row in rows:
        of_show = found.setdefault(ShowId(row.show_id), {})
        of_show.setdefault(ProductId(row.product_id), []).append(row.at)
    return found


def _post(row: Any) -> PostRow:
    return PostRow(**{column.name: getattr(row, column.name) for column in post.columns})
