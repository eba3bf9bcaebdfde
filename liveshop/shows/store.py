"""All SQL about shows."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.store import in_chunks, with_bundles
from liveshop.catalog.tables import bundle_part, variant
from liveshop.kernel.ids import ProductId, ReminderId, ShowId, VariantId
from liveshop.promotions.model import PromotionId
from liveshop.promotions.store import is_active
from liveshop.promotions.tables import promotion
from liveshop.shows import rehearsal_store
from liveshop.shows.model import (
    AUDIENCES,
    PINS_REMEMBERED,
    PUBLIC_STATES,
    Audience,
    Pin,
    Rehearsal,
    Show,
    ShowState,
)
from liveshop.shows.tables import show, show_lineup, show_pin, show_reminder
from liveshop.storage import insert


async def add(conn: AsyncConnection, new: Show) -> None:
    await conn.execute(
        sa.insert(show).values(id=new.id, created_at=new.created_at, **_columns(new))
    )
    await set_lineup(conn, new.id, new.lineup)


async def save(conn: AsyncConnection, changed: Show) -> None:
    """Write everything but the lineup."""
    await conn.execute(sa.update(show).where(show.c.id == changed.id).values(**_columns(changed)))


def _columns(of: Show) -> dict[str, Any]:
    return {
        "title": of.title,
        "description": of.description,
        "state": of.state,
        "languages": list(of.languages),
        "time_zone": of.time_zone,
        "starts_at": of.starts_at,
        "started_at": of.started_at,
        "ended_at": of.ended_at,
        "host_name": of.host_name,
        "cover_id": of.cover_id,
        "replay_url": of.replay_url,
        "hold_mode": of.hold_mode,
        "hold_seconds": of.hold_seconds,
        "audience": of.audience,
        "version": of.version,
    }


async def by_id(conn: AsyncConnection, show_id: ShowId, *, for_update: bool = False) -> Show | None:
    """`for_update` makes two changes of one show follow each other."""
    query = sa.select(show).where(show.c.id == show_id)
    if for_update:
        query = query.with_for_update()
    row = (await conn.execute(query)).one_or_none()
    if row is None:
        return None
    lineup = (await _lineups(conn, [show_id]))[show_id]
    return _show(row, lineup, (await _rehearsals(conn, [row])).get(show_id))


async def state_of(conn: AsyncConnection, show_id: ShowId) -> ShowState | None:
    state: ShowState | None = await conn.scalar(_STATE_OF, {"show_id": show_id})
    return state


_STATE_OF = sa.select(show.c.state).where(show.c.id == sa.bindparam("show_id"))


@dataclass(frozen=True, slots=True)
class OnStage:
    """What decides who may see a show."""

    id: ShowId
    state: ShowState
    audience: Audience
    started_at: datetime | None
    rehearsal: Rehearsal | None = None

    @property
    def is_over(self) -> bool:
        return self.state in ("ended", "replay")


async def on_stage(conn: AsyncConnection, others: Collection[ShowId]) -> list[OnStage]:
    """The shows that are live, in rehearsal or announced, and these others."""
    found = await conn.execute(
        sa.select(show.c.id, show.c.state, show.c.audience, show.c.started_at)
        .where(sa.or_(show.c.state.in_(("live", "rehearsal", "scheduled")), show.c.id.in_(others)))
        .order_by(show.c.id)
    )
    rows = found.all()
    rehearsals = await _rehearsals(conn, rows)
    return [
        OnStage(
            ShowId(row.id),
            row.state,
            row.audience,
            row.started_at,
            rehearsals.get(ShowId(row.id)),
        )
        for row in rows
    ]


async def listed(
    conn: AsyncConnection,
    *,
    states: Sequence[ShowState],
    audiences: Sequence[Audience] = AUDIENCES,
    limit: int = 200,
) -> list[Show]:
    rows = (
        await conn.execute(
            sa.select(show)
            .where(show.c.state.in_(states), show.c.audience.in_(audiences))
            .order_by(sa.func.coalesce(show.c.starts_at, show.c.created_at).desc(), show.c.id)
            .limit(limit)
        )
    ).all()
    lineups = await _lineups(conn, [ShowId(row.id) for row in rows])
    rehearsals = await _rehearsals(conn, rows)
    return [_show(row, lineups[ShowId(row.id)], rehearsals.get(ShowId(row.id))) for row in rows]


async def set_lineup(
    conn: AsyncConnection, show_id: ShowId, product_ids: Sequence[ProductId]
) -> None:
    await conn.execute(sa.delete(show_lineup).where(show_lineup.c.show_id == show_id))
    if product_ids:
        await conn.execute(
            sa.insert(show_lineup),
            [
                {"show_id": show_id, "product_id": product_id, "position": position}
                for position, product_id in enumerate(product_ids)
            ],
        )


async def add_pin(conn: AsyncConnection, show_id: ShowId, pin: Pin) -> None:
    number = (
        sa.select(sa.func.coalesce(sa.func.max(show_pin.c.number), 0) + 1)
        .where(show_pin.c.show_id == show_id)
        .scalar_subquery()
    )
    await conn.execute(
        sa.insert(show_pin).values(
            show_id=show_id, number=number, product_id=pin.product_id, at=pin.at
        )
    )


async def last_pin_number(conn: AsyncConnection, show_id: ShowId) -> int:
    """0 where nothing was pinned yet."""
    last = await conn.scalar(
        sa.select(sa.func.max(show_pin.c.number)).where(show_pin.c.show_id == show_id)
    )
    return int(last or 0)


async def remove_pins_after(conn: AsyncConnection, show_id: ShowId, number: int) -> None:
    await conn.execute(
        sa.delete(show_pin).where(show_pin.c.show_id == show_id, show_pin.c.number > number)
    )


async def recent_pins(
    conn: AsyncConnection, show_id: ShowId, limit: int = PINS_REMEMBERED
) -> list[Pin]:
    """The last pins, oldest first."""
    rows = (
        await conn.execute(
            sa.select(show_pin.c.product_id, show_pin.c.at)
            .where(show_pin.c.show_id == show_id)
            .order_by(show_pin.c.number.desc())
            .limit(limit)
        )
    ).all()
    return [Pin(row.product_id, row.at) for row in reversed(rows)]


async def watched_with_products(
    conn: AsyncConnection, product_ids: Iterable[ProductId]
) -> dict[ProductId, list[ShowId]]:
    """Which shows that have viewers, in rehearsal or not, have these products in their lineup."""
    found: dict[ProductId, list[ShowId]] = {}
    for ids in in_chunks(product_ids):
        rows = await conn.execute(
            sa.select(show_lineup.c.product_id, show_lineup.c.show_id)
            .join(show, show.c.id == show_lineup.c.show_id)
            .where(
                show_lineup.c.product_id.in_(ids),
                show.c.state.in_((*PUBLIC_STATES, "rehearsal")),
            )
        )
        for row in rows:
            found.setdefault(ProductId(row.product_id), []).append(ShowId(row.show_id))
    return found


async def products_of_variants(
    conn: AsyncConnection, variant_ids: Iterable[VariantId]
) -> dict[VariantId, ProductId]:
    found: dict[VariantId, ProductId] = {}
    for ids in in_chunks(variant_ids):
        rows = await conn.execute(
            sa.select(variant.c.id, variant.c.product_id).where(variant.c.id.in_(ids))
        )
        found |= {VariantId(row.id): ProductId(row.product_id) for row in rows}
    return found


async def sharing_stock(conn: AsyncConnection, variant_ids: Iterable[VariantId]) -> set[VariantId]:
    """These, the parts of those that are bundles, and every bundle that has one of all these."""
    found: set[VariantId] = set()
    for ids in in_chunks(variant_ids):
        parts = await conn.execute(
            sa.select(bundle_part.c.part_id).where(bundle_part.c.bundle_id.in_(ids))
        )
        found.update(VariantId(one) for one in [*ids, *parts.scalars()])
    return await with_bundles(conn, found)


async def open_lineups(
    conn: AsyncConnection, show_ids: Collection[ShowId] | None = None
) -> dict[ShowId, tuple[ProductId, ...]]:
    """The lineups of the shows that are live, in rehearsal or announced; of these, or of all."""
    query = sa.select(show.c.id).where(show.c.state.in_(("live", "rehearsal", "scheduled")))
    if show_ids is not None:
        query = query.where(show.c.id.in_(show_ids))
    found = (await conn.execute(query)).scalars()
    return await _lineups(conn, [ShowId(one) for one in found])


async def offers_run_out(
    conn: AsyncConnection, after: datetime, until: datetime
) -> list[PromotionId]:
    """Promotions of shows whose time came to its end in between. What was stopped is not among
    them: there the end was written when it came."""
    rows = await conn.execute(
        sa.select(promotion.c.id)
        .where(
            promotion.c.show_id.is_not(None),
            is_active(),
            promotion.c.ends_at > after,
            promotion.c.ends_at <= until,
            promotion.c.updated_at < promotion.c.ends_at,
        )
        .order_by(promotion.c.id)
    )
    return [PromotionId(one) for one in rows.scalars()]


async def raise_peak(conn: AsyncConnection, show_id: ShowId, viewers: int) -> None:
    await conn.execute(
        sa.update(show)
        .where(
            show.c.id == show_id,
            show.c.peak_viewers < viewers,
            # Who practises is no audience.
            show.c.state != "rehearsal",
        )
        .values(peak_viewers=viewers)
    )


async def peak_viewers(conn: AsyncConnection, show_id: ShowId) -> int:
    found = await conn.scalar(sa.select(show.c.peak_viewers).where(show.c.id == show_id))
    return int(found or 0)


async def add_reminder(
    conn: AsyncConnection,
    *,
    reminder_id: ReminderId,
    show_id: ShowId,
    email: str,
    language: str,
    now: datetime,
) -> ReminderId:
    """Sign up for a reminder; signing up twice is one reminder."""
    await conn.execute(
        insert(conn, show_reminder)
        .values(
            id=reminder_id,
            show_id=show_id,
            email=email,
            language=language,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["show_id", "email"])
    )
    found = await conn.scalar(
        sa.select(show_reminder.c.id).where(
            show_reminder.c.show_id == show_id, show_reminder.c.email == email
        )
    )
    assert found is not None
    return ReminderId(found)


async def unsent_reminders(conn: AsyncConnection, show_id: ShowId) -> list[ReminderId]:
    found = await conn.scalars(
        sa.select(show_reminder.c.id).where(
            show_reminder.c.show_id == show_id, show_reminder.c.sent_at.is_(None)
        )
    )
    return [ReminderId(id_) for id_ in found]


async def unsent_reminder(conn: AsyncConnection, reminder_id: ReminderId) -> sa.Row[Any] | None:
    found = await conn.execute(
        sa.select(show_reminder).where(
            show_reminder.c.id == reminder_id, show_reminder.c.sent_at.is_(None)
        )
    )
    return found.one_or_none()


async def mark_sent(conn: AsyncConnection, reminder_id: str, now: datetime) -> None:
    await conn.execute(
        sa.update(show_reminder).where(show_reminder.c.id == reminder_id).values(sent_at=now)
    )


async def _lineups(
    conn: AsyncConnection, show_ids: Sequence[ShowId]
) -> dict[ShowId, tuple[ProductId, ...]]:
    rows = await conn.execute(
        sa.select(show_lineup.c.show_id, show_lineup.c.product_id)
        .where(show_lineup.c.show_id.in_(show_ids))
        .order_by(show_lineup.c.show_id, show_lineup.c.position)
    )
    found: dict[ShowId, list[ProductId]] = {show_id: [] for show_id in show_ids}
    for row in rows:
        found[ShowId(row.show_id)].append(ProductId(row.product_id))
    return {show_id: tuple(products) for show_id, products in found.items()}


async def _rehearsals(conn: AsyncConnection, rows: Iterable[Any]) -> dict[ShowId, Rehearsal]:
    """Of those of these shows that are in rehearsal."""
    ids = [ShowId(row.id) for row in rows if row.state == "rehearsal"]
    return await rehearsal_store.running(conn, ids) if ids else {}


def _show(row: sa.Row[Any], lineup: tuple[ProductId, ...], rehearsal: Rehearsal | None) -> Show:
    return Show(
        id=ShowId(row.id),
        title=row.title,
        description=row.description,
        state=row.state,
        languages=tuple(row.languages),
        time_zone=row.time_zone,
        starts_at=row.starts_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        host_name=row.host_name,
        cover_id=row.cover_id,
        replay_url=row.replay_url,
        hold_mode=row.hold_mode,
        hold_seconds=row.hold_seconds,
        audience=row.audience,
        is_recorded=row.is_recorded,
        lineup=lineup,
        version=row.version,
        created_at=row.created_at,
        rehearsal=rehearsal,
    )
