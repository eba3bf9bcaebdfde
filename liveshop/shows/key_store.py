"""All SQL about stream keys and the delays of encoders. Secrets come in as hashes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.ids import ShowId
from liveshop.shows.tables import encoder_delay, show, stream_key
from liveshop.storage import insert

_KEY = (
    stream_key.c.show_id,
    stream_key.c.person_id,
    stream_key.c.person_name,
    stream_key.c.hint,
    stream_key.c.created_at,
    stream_key.c.last_used_at,
)


@dataclass(frozen=True, slots=True)
class Key:
    show_id: ShowId
    person_id: str
    person_name: str
    hint: str
    created_at: datetime
    last_used_at: datetime | None


async def put(conn: AsyncConnection, key: Key, *, secret_hash: str) -> bool:
    """Keep a key in the place of the one this person had for the show; whether that one worked."""
    replaced = await revoke(conn, key.show_id, key.person_id)
    values = {
        "person_name": key.person_name,
        "secret_hash": secret_hash,
        "hint": key.hint,
        "created_at": key.created_at,
        "last_used_at": None,
    }
    await conn.execute(
        insert(conn, stream_key)
        .values(show_id=key.show_id, person_id=key.person_id, **values)
        .on_conflict_do_update(index_elements=["show_id", "person_id"], set_=values)
    )
    return replaced


async def working(conn: AsyncConnection, show_id: ShowId) -> list[Key]:
    """The keys of a show that were not revoked, the oldest first."""
    rows = await conn.execute(
        sa.select(*_KEY)
        .where(stream_key.c.show_id == show_id, stream_key.c.secret_hash.is_not(None))
        .order_by(stream_key.c.created_at, stream_key.c.person_id)
    )
    return [_key(row) for row in rows]


async def of_open_shows(conn: AsyncConnection) -> list[Key]:
    """Every key that somebody could send video with."""
    rows = await conn.execute(
        sa.select(*_KEY)
        .join(show, show.c.id == stream_key.c.show_id)
        .where(stream_key.c.secret_hash.is_not(None), show.c.state.not_in(("ended", "replay")))
        .order_by(stream_key.c.show_id, stream_key.c.person_id)
    )
    return [_key(row) for row in rows]


async def by_hash(conn: AsyncConnection, secret_hash: str) -> Key | None:
    """The index lookup compares hashes, so its timing tells nothing about a secret."""
    found = await conn.execute(sa.select(*_KEY).where(stream_key.c.secret_hash == secret_hash))
    row = found.one_or_none()
    return None if row is None else _key(row)


async def mark_used(conn: AsyncConnection, secret_hash: str, now: datetime) -> bool:
    """False when the key was revoked meanwhile."""
    done = await conn.execute(
        sa.update(stream_key)
        .where(stream_key.c.secret_hash == secret_hash)
        .values(last_used_at=now)
    )
    return bool(done.rowcount)


async def revoke(conn: AsyncConnection, show_id: ShowId, person_id: str) -> bool:
    """False when there was none that worked."""
    done = await conn.execute(
        sa.update(stream_key)
        .where(
            stream_key.c.show_id == show_id,
            stream_key.c.person_id == person_id,
            stream_key.c.secret_hash.is_not(None),
        )
        .values(secret_hash=None)
    )
    return bool(done.rowcount)


async def name_of(conn: AsyncConnection, show_id: ShowId, person_id: str) -> str | None:
    """By what name somebody made a key for a show, be it revoked or not."""
    name: str | None = await conn.scalar(
        sa.select(stream_key.c.person_name).where(
            stream_key.c.show_id == show_id, stream_key.c.person_id == person_id
        )
    )
    return name


async def delay(conn: AsyncConnection, person_id: str) -> tuple[int, datetime] | None:
    """Milliseconds, and when they were set."""
    found = await conn.execute(
        sa.select(encoder_delay.c.milliseconds, encoder_delay.c.set_at).where(
            encoder_delay.c.person_id == person_id
        )
    )
    row = found.one_or_none()
    return None if row is None else (row.milliseconds, row.set_at)


async def set_delay(
    conn: AsyncConnection, person_id: str, milliseconds: int, now: datetime
) -> None:
    values = {"milliseconds": milliseconds, "set_at": now}
    await conn.execute(
        insert(conn, encoder_delay)
        .values(person_id=person_id, **values)
        .on_conflict_do_update(index_elements=["person_id"], set_=values)
    )


def _key(row: Any) -> Key:
    return Key(
        ShowId(row.show_id),
        row.person_id,
        row.person_name,
        row.hint,
        row.created_at,
        row.last_used_at,
    )
