"""All SQL of the chat. Every function takes the connection first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.chat import tables
from liveshop.chat.model import SHOP_WIDE, InForce, Role, RoomRules, Said, SanctionKind
from liveshop.kernel.ids import MessageId, ShowId, ViewerId
from liveshop.storage import insert


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
class Sanction:
    viewer_id: ViewerId
    scope: str
    kind: SanctionKind
    name: str
    until: datetime | None
    by_id: str
    by_name: str
    at: datetime
    address_mark: str | None = None
    address_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Room:
    rules: RoomRules
    pinned_message_id: MessageId | None = None
    hearts: int = 0


_message = tables.message.c
_author = tables.author.c
_sanction = tables.sanction.c
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
    row = (await conn.execute(sa.select(tables.room).where(_room.show_id == show_id))).one_or_none()
    if row is None:
        return Room(default)
    rules = RoomRules(row.slow_mode_seconds, row.links_allowed, row.paused)
    return Room(rules, row.pinned_message_id, row.hearts)


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


# -- authors


async def touch_author(
    conn: AsyncConnection,
    show_id: ShowId,
    author_id: ViewerId,
    *,
    name: str,
    address_mark: str | None,
    now: datetime,
) -> None:
    """Note that somebody writes. Until the transaction ends, the same author waits here."""
    statement = insert(conn, tables.author).values(
        show_id=show_id,
        author_id=author_id,
        name=name,
        first_at=now,
        last_at=now,
        address_mark=address_mark,
    )
    await conn.execute(
        statement.on_conflict_do_update(
            index_elements=["show_id", "author_id"],
            set_={"name": name, "last_at": now, "address_mark": address_mark},
        )
    )


async def lock_author(
    conn: AsyncConnection, show_id: ShowId, author_id: ViewerId
) -> tuple[str, str | None] | None:
    """The name and address mark of somebody who wrote here; waits for a message in flight."""
    row = (
        await conn.execute(
            sa.select(_author.name, _author.address_mark)
            .where(_author.show_id == show_id, _author.author_id == author_id)
            .with_for_update()
        )
    ).one_or_none()
    return None if row is None else (row.name, row.address_mark)


async def forget_addresses(conn: AsyncConnection, before: datetime, now: datetime) -> None:
    """Drop address marks nothing asks for any more, and mutes that are over."""
    await conn.execute(
        sa.update(tables.author)
        .where(_author.last_at < before, _author.address_mark.is_not(None))
        .values(address_mark=None)
    )
    await conn.execute(
        sa.update(tables.sanction)
        .where(_sanction.address_until <= now)
        .values(address_mark=None, address_until=None)
    )
    await conn.execute(sa.delete(tables.sanction).where(_sanction.until <= now))


# -- sanctions


async def sanctions_on(
    conn: AsyncConnection, show_id: ShowId, viewer_id: ViewerId
) -> list[InForce]:
    rows = await conn.execute(
        sa.select(_sanction.kind, _sanction.until).where(
            _sanction.viewer_id == viewer_id, _sanction.scope.in_([show_id, SHOP_WIDE])
        )
    )
    return [InForce(row.kind, row.until) for row in rows]


async def address_ban(
    conn: AsyncConnection, address_mark: str, viewer_id: ViewerId, now: datetime
) -> InForce | None:
    """The ban of somebody else at this address, unless this viewer was writing before it."""
    wrote_before = (
        sa.select(_author.author_id)
        .where(_author.author_id == viewer_id, _author.first_at < _sanction.at)
        .exists()
    )
    row = (
        await conn.execute(
            sa.select(_sanction.address_until)
            .where(
                _sanction.address_mark == address_mark,
                _sanction.address_until > now,
                ~wrote_before,
            )
            .limit(1)
        )
    ).one_or_none()
    return None if row is None else InForce("ban", row.address_until)


async def put_sanction(conn: AsyncConnection, item: Sanction) -> None:
    changing = {
        "name": item.name,
        "until": item.until,
        "by_id": item.by_id,
        "by_name": item.by_name,
        "at": item.at,
        "address_mark": item.address_mark,
        "address_until": item.address_until,
    }
    await conn.execute(
        insert(conn, tables.sanction)
        .values(viewer_id=item.viewer_id, scope=item.scope, kind=item.kind, **changing)
        .on_conflict_do_update(index_elements=["viewer_id", "scope", "kind"], set_=changing)
    )


async def lift(conn: AsyncConnection, show_id: ShowId, viewer_id: ViewerId) -> bool:
    result = await conn.execute(
        sa.delete(tables.sanction).where(
            _sanction.viewer_id == viewer_id, _sanction.scope.in_([show_id, SHOP_WIDE])
        )
    )
    return result.rowcount > 0


async def sanctions(conn: AsyncConnection, show_id: ShowId, now: datetime) -> list[Sanction]:
    """What is in force in a show, newest first."""
    rows = await conn.execute(
        sa.select(tables.sanction)
        .where(
            _sanction.scope.in_([show_id, SHOP_WIDE]),
            sa.or_(_sanction.until.is_(None), _sanction.until > now),
        )
        .order_by(_sanction.at.desc(), _sanction.viewer_id)
    )
    return [Sanction(**row._mapping) for row in rows]


# -- messages


async def add_message(conn: AsyncConnection, item: Message) -> None:
    await conn.execute(
        sa.insert(tables.message).values(
            id=item.id,
            show_id=item.show_id,
            author_id=item.author_id,
            name=item.name,
            role=item.role,
            text=item.text,
            at=item.at,
        )
    )


async def said_lately(
    conn: AsyncConnection, show_id: ShowId, author_id: ViewerId, *, since: datetime, limit: int
) -> list[Said]:
    rows = await conn.execute(
        sa.select(_message.text, _message.at)
        .where(_message.show_id == show_id, _message.author_id == author_id, _message.at > since)
        .order_by(_message.seq.desc())
        .limit(limit)
    )
    return [Said(row.text, row.at) for row in rows]


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
