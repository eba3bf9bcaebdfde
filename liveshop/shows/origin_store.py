"""All SQL about which node has a show's video: one row for each show that ever had any on a node
among several. It stays when the show is over, since the recording lies with that node.

For PostgreSQL, which several nodes need.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.ids import ShowId
from liveshop.shows.tables import show, show_origin
from liveshop.storage import Database, insert
from liveshop.video.origins import LEASE, Origin

_NOW: Final = sa.func.clock_timestamp()
"""The database's, so that the clocks of the nodes need not agree."""
_IS_ALIVE: Final = show_origin.c.seen_at >= _NOW - LEASE
_FOUND: Final = sa.select(show_origin, _IS_ALIVE.label("is_alive"))


class OriginStore:
    """This node's hand in it; a `video.origins.OriginBook`."""

    def __init__(self, database: Database, *, node: str, url: str) -> None:
        self._database = database
        self._node = node
        self._url = url

    async def claim(self, show_id: ShowId) -> None:
        async with self._database.write() as tx:
            is_known = await tx.conn.scalar(sa.select(show.c.id).where(show.c.id == show_id))
            if is_known is None:
                return
            values = {
                "node": self._node,
                "url": self._url,
                "since": _NOW,
                "seen_at": _NOW,
                "is_sending": True,
            }
            await tx.conn.execute(
                insert(tx.conn, show_origin)
                .values(show_id=show_id, **values)
                .on_conflict_do_update(index_elements=["show_id"], set_=values)
            )

    async def renew(self, held: Mapping[ShowId, bool]) -> set[ShowId]:
        still: set[ShowId] = set()
        async with self._database.write() as tx:
            for is_sending in (False, True):
                shows = sorted(one for one, sends in held.items() if sends is is_sending)
                if shows:
                    renewed = await tx.conn.execute(
                        sa.update(show_origin)
                        .where(show_origin.c.show_id.in_(shows), show_origin.c.node == self._node)
                        .values(seen_at=_NOW, is_sending=is_sending, url=self._url)
                        .returning(show_origin.c.show_id)
                    )
                    still |= {ShowId(one) for one in renewed.scalars()}
        return still

    async def all(self) -> Sequence[Origin]:
        async with self._database.read() as conn:
            is_over = show.c.state.in_(("ended", "replay"))
            rows = await conn.execute(
                _FOUND.join(show, show.c.id == show_origin.c.show_id).where(
                    sa.or_(~is_over, _IS_ALIVE)
                )
            )
            return [_origin(row) for row in rows]

    async def of(self, show_id: ShowId) -> Origin | None:
        async with self._database.read() as conn:
            return await of_show(conn, show_id)


async def of_show(conn: AsyncConnection, show_id: ShowId) -> Origin | None:
    """None: only one node ever had it, without others."""
    rows = await conn.execute(_FOUND.where(show_origin.c.show_id == show_id))
    row = rows.one_or_none()
    return None if row is None else _origin(row)


def _origin(row: sa.Row[Any]) -> Origin:
    return Origin(ShowId(row.show_id), row.node, row.url, row.since, row.is_sending, row.is_alive)
