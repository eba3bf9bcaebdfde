"""SQL for the addresses of feeds, and for what of them was fetched when."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.syndication import connection_store
from liveshop.syndication.model import Connection, ConnectionId
from liveshop.syndication.tables import feed_address, listing

_PAGE = 5000


@dataclass(frozen=True, slots=True)
class FeedState:
    """Whose feed it is, and the digest of all that stands in it."""

    connection: Connection
    etag: str


async def add(conn: AsyncConnection, connection_id: ConnectionId, token: str) -> None:
    await conn.execute(
        sa.insert(feed_address).values(digest=_digest(token), connection_id=connection_id)
    )


async def drop(conn: AsyncConnection, connection_id: ConnectionId) -> None:
    """From now on nobody can fetch it."""
    await conn.execute(sa.delete(feed_address).where(feed_address.c.connection_id == connection_id))


async def fetched_at(
    conn: AsyncConnection, connection_ids: Sequence[str]
) -> dict[str, datetime | None]:
    rows = await conn.execute(
        sa.select(feed_address.c.connection_id, feed_address.c.fetched_at).where(
            feed_address.c.connection_id.in_(connection_ids)
        )
    )
    return {row.connection_id: row.fetched_at for row in rows}


async def by_token(conn: AsyncConnection, token: str) -> FeedState | None:
    """None for a token that opens nothing, or whose connection is not active."""
    connection_id = (
        await conn.execute(
            sa.select(feed_address.c.connection_id).where(feed_address.c.digest == _digest(token))
        )
    ).scalar_one_or_none()
    one = None if connection_id is None else await connection_store.by_id(conn, connection_id)
    if one is None or not one.is_active:
        return None
    digest = hashlib.blake2b(str(one.version).encode(), digest_size=16)
    after = ""
    while rows := await _page(conn, one.id, after):
        for row in rows:
            digest.update(f"{row.variant_id} {row.wanted}\n".encode())
        after = rows[-1].variant_id
    return FeedState(one, digest.hexdigest())


async def _page(conn: AsyncConnection, connection_id: str, after: str) -> Sequence[Any]:
    return (
        await conn.execute(
            sa.select(listing.c.variant_id, listing.c.wanted)
            .where(
                listing.c.connection_id == connection_id,
                listing.c.wanted.is_not(None),
                listing.c.variant_id > after,
            )
            .order_by(listing.c.variant_id)
            .limit(_PAGE)
        )
    ).all()


async def note_fetched(
    conn: AsyncConnection, connection_id: ConnectionId, etag: str, *, by: str, now: datetime
) -> None:
    await conn.execute(
        sa.update(feed_address)
        .where(feed_address.c.connection_id == connection_id)
        .values(etag=etag, fetched_at=now, fetched_by=by[:200])
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
