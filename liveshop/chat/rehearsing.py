"""A chat before and after a rehearsal of its show: what was said and decided in it is thrown away,
and the room has its rules and hearts of before."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.chat.tables import author, message, room, sanction
from liveshop.kernel.ids import ShowId
from liveshop.kernel.rehearsals import guests_pattern
from liveshop.shows.model import Rehearsal
from liveshop.storage import Tx

_KEPT = ("slow_mode_seconds", "links_allowed", "paused", "pinned_message_id", "hearts")


async def note(conn: AsyncConnection, show_id: ShowId) -> Mapping[str, Any]:
    """`chat_room` is None where nobody has come yet."""
    last = await conn.scalar(sa.select(sa.func.max(message.c.seq)))
    found = await conn.execute(
        sa.select(*(room.c[name] for name in _KEPT)).where(room.c.show_id == show_id)
    )
    row = found.one_or_none()
    kept = None if row is None else dict(row._mapping)
    return {"chat_seq": int(last or 0), "chat_room": kept}


async def clear(tx: Tx, rehearsal: Rehearsal) -> None:
    conn, show_id = tx.conn, rehearsal.show_id
    guests = guests_pattern(rehearsal.id)
    said = message.c.author_id.like(guests, escape="\\")
    if "chat_seq" in rehearsal.before:
        said |= message.c.seq > rehearsal.before["chat_seq"]
    await conn.execute(sa.delete(message).where(message.c.show_id == show_id, said))
    await conn.execute(sa.delete(author).where(author.c.author_id.like(guests, escape="\\")))
    await conn.execute(sa.delete(sanction).where(sanction.c.viewer_id.like(guests, escape="\\")))
    if "chat_room" not in rehearsal.before:
        return
    kept = rehearsal.before["chat_room"]
    here = room.c.show_id == show_id
    if kept is None:
        await conn.execute(sa.delete(room).where(here))
    else:
        await conn.execute(sa.update(room).where(here).values(**kept))
