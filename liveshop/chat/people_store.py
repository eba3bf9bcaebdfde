"""SQL of those who write: that they did, and what is in force against them. Connection first."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.chat import tables
from liveshop.chat.model import SHOP_WIDE, InForce, SanctionKind
from liveshop.kernel.ids import ShowId, ViewerId
from liveshop.storage import Rows, UtcDateTime, insert


@dataclass(frozen=True, slots=True)
class Author:
    """Somebody who writes, and the mark of the address he writes from."""

    id: ViewerId
    name: str
    address_mark: str | None


Asked = tuple[ViewerId, str | None]
"""A viewer and, where bans by address are for him too, the mark of his address."""


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


_author = tables.author.c
_sanction = tables.sanction.c
_message = tables.message.c
_now = sa.bindparam("now", type_=UtcDateTime)


# -- authors


async def touch_authors(
    conn: AsyncConnection, show_id: ShowId, authors: Iterable[Author], *, now: datetime
) -> None:
    """Note that people write. Until the transaction ends, whoever is among them waits here.

    Locks the rows in one order, so that transactions with the same people do not deadlock.
    """
    await conn.execute(
        _TOUCH[conn.dialect.name],
        [
            {
                "show_id": show_id,
                "author_id": one.id,
                "name": one.name,
                "first_at": now,
                "last_at": now,
                "address_mark": one.address_mark,
            }
            for one in sorted(authors, key=lambda one: one.id)
        ],
    )


def _touch(new: Any) -> Any:
    changing = {name: new.excluded[name] for name in ("name", "last_at", "address_mark")}
    return new.on_conflict_do_update(index_elements=["show_id", "author_id"], set_=changing)


_TOUCH = {
    "postgresql": _touch(postgresql.insert(tables.author)),
    "sqlite": _touch(sqlite.insert(tables.author)),
}


async def forget_silent_authors(
    conn: AsyncConnection, show_id: ShowId, author_ids: Collection[ViewerId]
) -> None:
    """Those of them who have not written anything in this show leave no trace."""
    spoke = sa.select(_message.seq).where(
        _message.show_id == _author.show_id, _message.author_id == _author.author_id
    )
    await conn.execute(
        sa.delete(tables.author).where(
            _author.show_id == show_id, _author.author_id.in_(author_ids), ~spoke.exists()
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


async def wait_for_writers(conn: AsyncConnection) -> None:
    """Nobody's message is on its way any more, in whichever show and under whichever name, and
    until the transaction ends none sets out: writing begins with a row of `chat_author`.

    Not needed on SQLite, where one writes at a time.
    """
    if conn.dialect.name == "postgresql":
        await conn.execute(sa.text("LOCK TABLE chat_author IN SHARE MODE"))


async def forget_addresses(conn: AsyncConnection, before: datetime, now: datetime) -> None:
    """Drop address marks nothing asks for any more, and mutes that are over."""
    # Whoever is locked is writing, so his mark is asked for again: waiting could only deadlock.
    silent = (
        sa.select(_author.show_id, _author.author_id)
        .where(_author.last_at < before, _author.address_mark.is_not(None))
        .with_for_update(skip_locked=True)
    )
    await conn.execute(
        sa.update(tables.author)
        .where(sa.tuple_(_author.show_id, _author.author_id).in_(silent))
        .values(address_mark=None)
    )
    await conn.execute(
        sa.update(tables.sanction)
        .where(_sanction.address_until <= now)
        .values(address_mark=None, address_until=None)
    )
    await conn.execute(sa.delete(tables.sanction).where(_sanction.until <= now))


# -- sanctions


def _sanctions_on(given: Mapping[str, sa.ColumnElement[Any]]) -> sa.CompoundSelect[Any]:
    """Somebody's own; and the bans of others at his address, unless he was writing before them.

    A row that is as young as the asking is no proof of that, whatever another node's clock says.
    """
    wrote_before = (
        sa.select(_author.author_id)
        .where(
            _author.author_id == given["viewer_id"],
            _author.first_at < _sanction.at,
            _author.first_at < _now,
        )
        .exists()
    )
    asking = [given[name].label(name) for name in ("viewer_id", "address_mark")]
    return sa.union_all(
        sa.select(*asking, _sanction.kind, _sanction.until).where(
            _sanction.viewer_id == given["viewer_id"],
            _sanction.scope.in_([sa.bindparam("show_id", type_=sa.String), SHOP_WIDE]),
        ),
        sa.select(*asking, sa.literal("ban"), _sanction.address_until).where(
            _sanction.address_mark == given["address_mark"],
            _sanction.address_until > _now,
            ~wrote_before,
        ),
    )


_SANCTIONS_ON = Rows({"viewer_id": sa.String, "address_mark": sa.String}, _sanctions_on)


async def sanctions_on(
    conn: AsyncConnection, show_id: ShowId, asked: Collection[Asked], now: datetime
) -> dict[Asked, list[InForce]]:
    """What is in force for each of them; there is no entry where nothing is."""
    rows = await _SANCTIONS_ON(conn, list(asked), show_id=show_id, now=now)
    found: dict[Asked, list[InForce]] = {}
    for row in rows:
        asking = (row.viewer_id, row.address_mark)
        found.setdefault(asking, []).append(InForce(row.kind, row.until))
    return found


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
