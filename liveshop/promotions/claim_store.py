"""SQL for what is claimed and used of promotions.

On PostgreSQL a promotion's row is the lock of all that is claimed and used of it, and those who
take several rows take them in the order of their ids. SQLite has one writer and needs no lock.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.ids import OrderId, ViewerId
from liveshop.promotions.model import PromotionId
from liveshop.promotions.tables import promotion, promotion_claim, promotion_use


async def lock_rows(conn: AsyncConnection, promotion_ids: Collection[PromotionId]) -> None:
    """From here to the commit nobody else claims or uses any of these."""
    if conn.dialect.name == "postgresql" and promotion_ids:
        await conn.execute(
            sa.select(promotion.c.id)
            .where(promotion.c.id.in_(promotion_ids))
            .order_by(promotion.c.id)
            .with_for_update(key_share=True)
        )


@dataclass(frozen=True, slots=True)
class Use:
    promotion_id: PromotionId
    viewer_id: ViewerId
    email: str
    units: int


async def uses_of(
    conn: AsyncConnection,
    promotion_ids: Collection[PromotionId],
    *,
    viewer_ids: Collection[ViewerId],
    emails: Collection[str],
) -> list[Use]:
    """What orders of these customers used, who are known by either of their names."""
    names = []
    if viewer_ids:
        names.append(promotion_use.c.viewer_id.in_(viewer_ids))
    if emails:
        names.append(promotion_use.c.email.in_([email.casefold() for email in emails]))
    if not names or not promotion_ids:
        return []
    rows = await conn.execute(
        sa.select(
            promotion_use.c.promotion_id,
            promotion_use.c.viewer_id,
            promotion_use.c.email,
            promotion_use.c.units,
        ).where(promotion_use.c.promotion_id.in_(promotion_ids), sa.or_(*names))
    )
    return [Use(*row) for row in rows]


def used_by(
    uses: Iterable[Use], viewer_id: ViewerId | None, email: str | None
) -> dict[PromotionId, int]:
    """How much of each promotion went to this one customer."""
    folded = None if email is None else email.casefold()
    found: dict[PromotionId, int] = {}
    for use in uses:
        if use.viewer_id == viewer_id or use.email == folded:
            found[use.promotion_id] = found.get(use.promotion_id, 0) + use.units
    return found


async def taken_by(
    conn: AsyncConnection,
    promotion_ids: Collection[PromotionId],
    viewer_ids: Collection[ViewerId],
    *,
    now: datetime,
    without: Collection[str],
) -> dict[tuple[PromotionId, ViewerId], int]:
    """What these viewers have by orders and live claims, but for the claims of some owners."""
    if not promotion_ids or not viewer_ids:
        return {}
    ids, viewers = sorted(promotion_ids), sorted(viewer_ids)
    use, live = promotion_use.c, promotion_claim.c
    both = sa.union_all(
        sa.select(use.promotion_id, use.viewer_id, use.units).where(
            use.promotion_id.in_(ids), use.viewer_id.in_(viewers)
        ),
        sa.select(live.promotion_id, live.viewer_id, live.units).where(
            live.promotion_id.in_(ids),
            live.viewer_id.in_(viewers),
            live.expires_at > now,
            live.owner.not_in(without),
        ),
    ).subquery()
    rows = await conn.execute(
        sa.select(both.c.promotion_id, both.c.viewer_id, sa.func.sum(both.c.units)).group_by(
            both.c.promotion_id, both.c.viewer_id
        )
    )
    return {(PromotionId(row[0]), ViewerId(row[1])): int(row[2]) for row in rows}


async def replace_claims(
    conn: AsyncConnection, owners: Collection[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Delete all claims of these owners, then write these."""
    if owners:
        await conn.execute(sa.delete(promotion_claim).where(promotion_claim.c.owner.in_(owners)))
    if rows:
        await conn.execute(sa.insert(promotion_claim), list(rows))


async def extend_claims(conn: AsyncConnection, owners: Mapping[str, datetime]) -> None:
    if owners:
        await conn.execute(
            sa.update(promotion_claim)
            .where(promotion_claim.c.owner == sa.bindparam("of_owner"))
            .values(expires_at=sa.bindparam("until")),
            [{"of_owner": owner, "until": owners[owner]} for owner in sorted(owners)],
        )


async def delete_lapsed_claims(conn: AsyncConnection, now: datetime, limit: int = 500) -> None:
    """Those that nobody else is about to delete or extend: waiting for them might deadlock."""
    key = sa.tuple_(promotion_claim.c.promotion_id, promotion_claim.c.owner)
    lapsed = (
        sa.select(promotion_claim.c.promotion_id, promotion_claim.c.owner)
        .where(promotion_claim.c.expires_at <= now)
        .order_by(promotion_claim.c.expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    keys = [tuple(row) for row in (await conn.execute(lapsed)).all()]
    if keys:
        await conn.execute(sa.delete(promotion_claim).where(key.in_(keys)))


async def use_up(conn: AsyncConnection, promotion_id: PromotionId, units: int) -> bool:
    """False where the limit does not allow it; nothing is changed then."""
    result = await conn.execute(
        sa.update(promotion)
        .where(
            promotion.c.id == promotion_id,
            sa.or_(
                promotion.c.limit_total.is_(None),
                promotion.c.used + units <= promotion.c.limit_total,
            ),
        )
        .values(used=promotion.c.used + units)
    )
    return result.rowcount == 1


async def add_uses(
    conn: AsyncConnection,
    *,
    order_id: OrderId,
    viewer_id: ViewerId,
    email: str,
    used: Mapping[PromotionId, int],
    now: datetime,
) -> None:
    await conn.execute(
        sa.insert(promotion_use),
        [
            {
                "promotion_id": promotion_id,
                "order_id": order_id,
                "viewer_id": viewer_id,
                "email": email.casefold(),
                "units": units,
                "at": now,
            }
            for promotion_id, units in used.items()
        ],
    )


async def used_in(conn: AsyncConnection, order_id: OrderId) -> set[PromotionId]:
    """Which promotions this order uses up."""
    rows = await conn.execute(
        sa.select(promotion_use.c.promotion_id).where(promotion_use.c.order_id == order_id)
    )
    return {PromotionId(id_) for id_ in rows.scalars()}


async def give_back(conn: AsyncConnection, order_id: OrderId) -> None:
    """What this order uses is free again. The caller has locked the promotions."""
    rows = await conn.execute(
        sa.delete(promotion_use)
        .where(promotion_use.c.order_id == order_id)
        .returning(promotion_use.c.promotion_id, promotion_use.c.units)
    )
    for promotion_id, units in sorted(tuple(row) for row in rows):
        await conn.execute(
            sa.update(promotion)
            .where(promotion.c.id == promotion_id)
            .values(used=promotion.c.used - units)
        )
