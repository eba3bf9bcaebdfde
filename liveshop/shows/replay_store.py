"""All SQL about recordings and the files made of them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.store import in_chunks
from liveshop.catalog.tables import product
from liveshop.kernel.ids import ProductId, ShowId
from liveshop.shows.model import PINS_REPLAYED, Audience, Pin, ShowState
from liveshop.shows.replay_model import File, FileId, FileState, Recorded, Window, access_of
from liveshop.shows.tables import recording_file, show, show_pin, show_recording
from liveshop.storage import insert

_FILE = recording_file.c
_RECORDED = show_recording.c


async def recording(conn: AsyncConnection, show_id: ShowId) -> Recorded | None:
    row = (
        await conn.execute(sa.select(show_recording).where(_RECORDED.show_id == show_id))
    ).one_or_none()
    return None if row is None else Recorded(**row._mapping)


async def put(conn: AsyncConnection, recorded: Recorded) -> None:
    values = _values(recorded)
    await conn.execute(
        insert(conn, show_recording)
        .values(show_id=recorded.show_id, **values)
        .on_conflict_do_update(index_elements=["show_id"], set_=values)
    )


def _values(recorded: Recorded) -> dict[str, Any]:
    columns = [column.name for column in _RECORDED if column.name != "show_id"]
    return {name: getattr(recorded, name) for name in columns}


async def set_loudness(conn: AsyncConnection, show_id: ShowId, lufs: float) -> None:
    await conn.execute(
        sa.update(show_recording)
        .where(_RECORDED.show_id == show_id, _RECORDED.state == "ended")
        .values(loudness_lufs=lufs)
    )


async def set_recorded(conn: AsyncConnection, show_id: ShowId, *, is_recorded: bool) -> None:
    await conn.execute(sa.update(show).where(show.c.id == show_id).values(is_recorded=is_recorded))


@dataclass(frozen=True, slots=True)
class Played:
    """What decides who may play a recording."""

    state: ShowState
    audience: Audience
    replay_url: str | None
    over_at: datetime | None
    """When the show ended."""
    recorded: Recorded | None

    @property
    def window(self) -> Window:
        """What viewers may play."""
        return access_of(
            self.state, self.audience, self.recorded, is_replaced=bool(self.replay_url)
        )


async def played(conn: AsyncConnection, show_id: ShowId) -> Played | None:
    """None: there is no such show."""
    row = (
        await conn.execute(
            sa.select(
                show.c.state.label("stage"),
                show.c.audience,
                show.c.replay_url,
                show.c.ended_at.label("over_at"),
                show_recording,
            )
            .select_from(show.outerjoin(show_recording, _RECORDED.show_id == show.c.id))
            .where(show.c.id == show_id)
        )
    ).one_or_none()
    if row is None:
        return None
    values = dict(row._mapping)
    stage, audience = values.pop("stage"), values.pop("audience")
    replay_url, over_at = values.pop("replay_url"), values.pop("over_at")
    recorded = Recorded(**values) if values["show_id"] else None
    return Played(stage, audience, replay_url, over_at, recorded)


async def untold(
    conn: AsyncConnection, since: datetime, limit: int
) -> list[tuple[ShowId, datetime]]:
    """Shows that were live and ended after `since`, and when, of whose recording nothing is written
    down; the latest first."""
    rows = await conn.execute(
        sa.select(show.c.id, show.c.ended_at)
        .select_from(show.outerjoin(show_recording, _RECORDED.show_id == show.c.id))
        .where(
            show.c.state.in_(("ended", "replay")),
            show.c.started_at.is_not(None),
            show.c.ended_at >= since,
            _RECORDED.show_id.is_(None),
        )
        .order_by(show.c.ended_at.desc(), show.c.id)
        .limit(limit)
    )
    return [(ShowId(row.id), row.ended_at) for row in rows]


async def expired(conn: AsyncConnection, now: datetime, limit: int) -> list[ShowId]:
    rows = await conn.execute(
        sa.select(_RECORDED.show_id)
        .where(_RECORDED.state == "ended", _RECORDED.expires_at <= now)
        .order_by(_RECORDED.expires_at, _RECORDED.show_id)
        .limit(limit)
    )
    return [ShowId(one) for one in rows.scalars()]


async def forgotten(
    conn: AsyncConnection, show_ids: Collection[ShowId], before: datetime
) -> list[ShowId]:
    """Of these, shows that ended so long ago and of whose recording nothing is written down."""
    found: list[ShowId] = []
    for ids in in_chunks(show_ids):
        rows = await conn.execute(
            sa.select(show.c.id)
            .select_from(show.outerjoin(show_recording, _RECORDED.show_id == show.c.id))
            .where(
                show.c.id.in_(ids),
                show.c.state.in_(("ended", "replay")),
                show.c.ended_at < before,
                _RECORDED.show_id.is_(None),
            )
        )
        found += [ShowId(one) for one in rows.scalars()]
    return found


# Files


async def files(conn: AsyncConnection, show_id: ShowId) -> list[File]:
    """Oldest first."""
    rows = await conn.execute(
        sa.select(recording_file)
        .where(_FILE.show_id == show_id)
        .order_by(_FILE.created_at, _FILE.id)
    )
    return [_file(row) for row in rows]


async def file(conn: AsyncConnection, file_id: FileId) -> File | None:
    row = (await conn.execute(sa.select(recording_file).where(_FILE.id == file_id))).one_or_none()
    return None if row is None else _file(row)


def _file(row: sa.Row[Any]) -> File:
    return File(**row._mapping)


async def add_files(conn: AsyncConnection, new: Iterable[File]) -> None:
    await conn.execute(
        sa.insert(recording_file),
        [{column.name: getattr(one, column.name) for column in _FILE} for one in new],
    )


async def remove_files(
    conn: AsyncConnection, show_id: ShowId, file_ids: Collection[FileId] | None = None
) -> list[File]:
    """These, or all of the show's; what was there."""
    found = [one for one in await files(conn, show_id) if file_ids is None or one.id in file_ids]
    if found:
        await conn.execute(sa.delete(recording_file).where(_FILE.id.in_([one.id for one in found])))
    return found


async def change_file(
    conn: AsyncConnection, file_id: FileId, *, only: Collection[FileState], **values: Any
) -> bool:
    """False: it is gone, or in none of these states."""
    result = await conn.execute(
        sa.update(recording_file).where(_FILE.id == file_id, _FILE.state.in_(only)).values(**values)
    )
    return result.rowcount > 0


# What happened in the show


async def pins(conn: AsyncConnection, show_id: ShowId, *, until: datetime) -> list[Pin]:
    """In order: the last ones, as players have them."""
    rows = await conn.execute(
        sa.select(show_pin.c.product_id, show_pin.c.at)
        .where(show_pin.c.show_id == show_id, show_pin.c.at <= until)
        .order_by(show_pin.c.number.desc())
        .limit(PINS_REPLAYED)
    )
    return [Pin(row.product_id, row.at) for row in rows][::-1]


async def titles(conn: AsyncConnection, product_ids: Iterable[ProductId]) -> dict[ProductId, str]:
    """Also of products that are not sold any more."""
    found: dict[ProductId, str] = {}
    for ids in in_chunks(product_ids):
        rows = await conn.execute(
            sa.select(product.c.id, product.c.title).where(product.c.id.in_(ids))
        )
        found |= {ProductId(row.id): row.title for row in rows}
    return found


@dataclass(frozen=True, slots=True)
class Shown:
    """What of a show is played again, and when in it something came into focus last."""

    started_at: datetime
    from_at: datetime
    until_at: datetime
    pinned_at: datetime | None


async def shown_to(
    conn: AsyncConnection, show_id: ShowId, product_ids: Collection[ProductId], before: datetime
) -> Shown | None:
    """None: there is no replay of it here."""
    pinned_at = (
        sa.select(show_pin.c.at)
        .where(
            show_pin.c.show_id == show_id,
            show_pin.c.product_id.in_(product_ids),
            show_pin.c.at <= before,
        )
        .order_by(show_pin.c.number.desc())
        .limit(1)
        .scalar_subquery()
    )
    row = (
        await conn.execute(
            sa.select(
                show.c.started_at,
                sa.func.coalesce(_RECORDED.trim_from, _RECORDED.started_at).label("from_at"),
                sa.func.coalesce(_RECORDED.trim_until, _RECORDED.ended_at).label("until_at"),
                pinned_at.label("pinned_at"),
            )
            .select_from(show.join(show_recording, _RECORDED.show_id == show.c.id))
            .where(
                show.c.id == show_id,
                show.c.state == "replay",
                show.c.replay_url.is_(None),
                show.c.started_at.is_not(None),
                _RECORDED.state == "ended",
            )
        )
    ).one_or_none()
    return None if row is None else Shown(**row._mapping)
