"""SQL of what is said and of the rules of rooms. Every function takes the connection first."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.chat import tables
from liveshop.chat.model import Role, RoomRules, Said
from liveshop.kernel.ids import MessageId, ShowId, ViewerId
from liveshop.storage import UtcDateTime, insert


@dataclass(frozen=True, slots=True)
class Message:
    id: MessageId
    show_id: ShowId
    author_id: ViewerId
    name: str
    role: Role
    text: str
    at: datetime
    deleted_at: datetime | None = None
    deleted_by: str | None = None


@dataclass(frozen=True, slots=True)
class Room:
    rules: RoomRules
    pinned_message_id: MessageId | None = None
    hearts: int = 0


_message = tables.message.c
_room = tables.room.c
_MESSAGE_COLUMNS = (
    _message.id,
    _message.show_id,
    _message.author_id,
    _message.name,
    _message.role,
    _message.text,
    _message.at,
    _message.deleted_at,
    _message.deleted_by,
)


def _to_message(row: Any) -> Message:
    return Message(**row._mapping)


# -- rooms


async def room(conn: AsyncConnection, show_id: ShowId, *, default: RoomRules) -> Room:
    row = (await conn.execute(_OF_SHOW, {"show_id": show_id})).one_or_none()
    if row is None:
        return Room(default)
    rules = RoomRules(row.slow_mode_seconds, row.links_allowed, row.paused)
    return Room(rules, row.pinned_message_id, row.hearts)


_OF_SHOW = sa.select(tables.room).where(_room.show_id == sa.bindparam("show_id"))


async def ensure_room(conn: AsyncConnection, show_id: ShowId, *, default: RoomRules) -> None:
    await conn.execute(
        insert(conn, tables.room)
        .values(
            show_id=show_id,
            slow_mode_seconds=default.slow_mode_seconds,
            links_allowed=default.links_allowed,
            paused=default.paused,
            hearts=0,
        )
        .on_conflict_do_nothing(index_elements=["show_id"])
    )


async def update_room(conn: AsyncConnection, show_id: ShowId, values: dict[str, Any]) -> None:
    await conn.execute(sa.update(tables.room).where(_room.show_id == show_id).values(**values))


async def add_hearts(conn: AsyncConnection, show_id: ShowId, added: int) -> int:
    statement = (
        sa.update(tables.room)
        .where(_room.show_id == show_id)
        .values(hearts=_room.hearts + added)
        .returning(_room.hearts)
    )
    return int((await conn.execute(statement)).scalar_one())


async def unpin(conn: AsyncConnection, show_id: ShowId, message_ids: Sequence[str]) -> bool:
    """Take the pin off if it is on one of these; True when it was."""
    result = await conn.execute(
        sa.update(tables.room)
        .where(_room.show_id == show_id, _room.pinned_message_id.in_(message_ids))
        .values(pinned_message_id=None)
    )
    return result.rowcount > 0


# -- messages


async def add_messages(conn: AsyncConnection, items: Sequence[Message]) -> None:
    """In this order."""
    await conn.execute(
        _ADD,
        [
            {
                "id": item.id,
                "show_id": item.show_id,
                "author_id": item.author_id,
                "name": item.name,
                "role": item.role,
                "text": item.text,
                "at": item.at,
            }
            for item in items
        ],
    )


_ADD = sa.insert(tables.message)


async def said_lately(
    conn: AsyncConnection,
    show_id: ShowId,
    author_ids: Collection[ViewerId],
    *,
    since: datetime,
    at_most: int,
) -> dict[ViewerId, list[Said]]:
    """Of the last `at_most` messages of each, those after a moment."""
    statement = _LATELY_ON_SQLITE
    given: object = msgspec.json.encode(list(author_ids)).decode()
    if conn.dialect.name == "postgresql":
        statement, given = _LATELY_ON_POSTGRESQL, list(author_ids)
    parameters = {"given": given, "show_id": show_id, "since": since, "at_most": at_most}
    found: dict[ViewerId, list[Said]] = {}
    for author_id, text, at in await conn.execute(statement, parameters):
        found.setdefault(author_id, []).append(Said(text, at))
    return found


def _last_of(author_id: sa.ColumnElement[str], *columns: str) -> sa.Select[Any]:
    """Through the index, so that a long evening of somebody costs no more than a short one."""
    last = tables.message.alias("last")
    return (
        sa.select(*(last.c[column] for column in columns))
        .where(
            last.c.show_id == sa.bindparam("show_id", type_=sa.String),
            last.c.author_id == author_id,
        )
        .order_by(last.c.seq.desc())
        .limit(sa.bindparam("at_most", type_=sa.Integer))
    )


def _lately_on_postgresql() -> sa.Select[Any]:
    people = sa.func.unnest(sa.bindparam("given", type_=ARRAY(sa.String)))
    given = people.table_valued(sa.column("author_id", sa.String), name="given").render_derived()
    last = _last_of(given.c.author_id, "text", "at").lateral("said")
    return (
        sa.select(given.c.author_id, last.c.text, last.c.at)
        .select_from(given.join(last, sa.true()))
        .where(last.c.at > sa.bindparam("since", type_=UtcDateTime))
    )


def _lately_on_sqlite() -> sa.Select[Any]:
    """It knows no LATERAL."""
    people = sa.func.json_each(sa.bindparam("given", type_=sa.String))
    given = people.table_valued(sa.column("value", sa.String), name="given")
    last = _last_of(given.c.value, "seq").correlate(given)
    return (
        sa.select(given.c.value, _message.text, _message.at)
        .select_from(given.join(tables.message, _message.seq.in_(last.scalar_subquery())))
        .where(_message.at > sa.bindparam("since", type_=UtcDateTime))
    )


_LATELY_ON_POSTGRESQL = _lately_on_postgresql()
_LATELY_ON_SQLITE = _lately_on_sqlite()


async def message(conn: AsyncConnection, show_id: ShowId, message_id: MessageId) -> Message | None:
    row = (
        await conn.execute(
            sa.select(*_MESSAGE_COLUMNS).where(
                _message.id == message_id, _message.show_id == show_id
            )
        )
    ).one_or_none()
    return None if row is None else _to_message(row)


async def messages(
    conn: AsyncConnection, show_id: ShowId, *, limit: int, before: MessageId | None = None
) -> list[Message]:
    """The last messages (before another one), oldest first."""
    query = sa.select(*_MESSAGE_COLUMNS).where(_message.show_id == show_id)
    if before is not None:
        place = sa.select(_message.seq).where(_message.id == before).scalar_subquery()
        query = query.where(_message.seq < place)
    rows = await conn.execute(query.order_by(_message.seq.desc()).limit(limit))
    return [_to_message(row) for row in rows][::-1]


async def messages_between(
    conn: AsyncConnection,
    show_id: ShowId,
    *,
    from_at: datetime | None,
    until_at: datetime | None,
    limit: int,
) -> list[Message]:
    """The first ones of this time, in its order."""
    query = sa.select(*_MESSAGE_COLUMNS).where(_message.show_id == show_id)
    if from_at is not None:
        query = query.where(_message.at >= from_at)
    if until_at is not None:
        query = query.where(_message.at < until_at)
    rows = await conn.execute(query.order_by(_message.at, _message.seq).limit(limit))
    return [_to_message(row) for row in rows]


async def delete_message(
    conn: AsyncConnection, message_id: MessageId, *, by: str, now: datetime, erase: bool
) -> bool:
    """Leave a tombstone; False when it was one already."""
    values: dict[str, Any] = {"deleted_at": now, "deleted_by": by}
    if erase:
        values["text"] = ""
    result = await conn.execute(
        sa.update(tables.message)
        .where(_message.id == message_id, _message.deleted_at.is_(None))
        .values(**values)
    )
    return result.rowcount > 0


async def delete_all_of(
    conn: AsyncConnection, show_id: ShowId, author_id: ViewerId, *, by: str, now: datetime
) -> list[str]:
    """Leave tombstones of everything a viewer wrote in a show; returns the ids."""
    rows = await conn.execute(
        sa.update(tables.message)
        .where(
            _message.show_id == show_id,
            _message.author_id == author_id,
            _message.deleted_at.is_(None),
        )
        .values(deleted_at=now, deleted_by=by)
        .returning(_message.id)
    )
    return [row.id for row in rows]


async def count_messages(conn: AsyncConnection, show_id: ShowId) -> int:
    query = (
        sa.select(sa.func.count())
        .select_from(tables.message)
        .where(_message.show_id == show_id, _message.deleted_at.is_(None))
    )
    return int((await conn.execute(query)).scalar_one())
