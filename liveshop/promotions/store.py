"""SQL for promotions and their versions; that of their claims and uses is in `claim_store`."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.tables import product, variant
from liveshop.kernel.ids import RehearsalId, ShowId
from liveshop.kernel.rehearsals import OFFER, guests_pattern
from liveshop.promotions import definition
from liveshop.promotions.model import (
    Automatic,
    ByCode,
    InCategory,
    InShow,
    Products,
    Promotion,
    PromotionId,
    State,
    Stored,
    TheseProducts,
    TheseVariants,
    Version,
)
from liveshop.promotions.model import is_below as is_under
from liveshop.promotions.tables import (
    promotion,
    promotion_claim,
    promotion_code,
    promotion_use,
    promotion_version,
)
from liveshop.storage import UtcDateTime

_CHUNK = 400
_WRITING = 7_201_847_113
"""A number of our own among PostgreSQL's advisory locks."""

_Key = tuple[PromotionId, int]
_Moment = datetime | sa.BindParameter[datetime]


class Definitions:
    """What each version of a promotion says, read from its JSON once: it never changes.

    But for one that was written and rolled back: whoever writes the next version says so with
    `doubt` before, and with `settle` once it is committed.
    """

    def __init__(self, size: int = 5000) -> None:
        self._known: dict[_Key, Promotion] = {}
        self._doubted: Counter[PromotionId] = Counter()
        self._size = size

    def doubt(self, promotion_id: PromotionId) -> None:
        self._doubted[promotion_id] += 1

    def settle(self, promotion_ids: Iterable[PromotionId]) -> None:
        for id_ in promotion_ids:
            if self._doubted[id_] <= 1:
                del self._doubted[id_]
            else:
                self._doubted[id_] -= 1

    async def of(self, conn: AsyncConnection, keys: Sequence[_Key]) -> list[Promotion]:
        """In the order of `keys`."""
        found = {key: self._known[key] for key in keys if key in self._known}
        missing = [key for key in keys if key not in found]
        for start in range(0, len(missing), _CHUNK):
            chunk = missing[start : start + _CHUNK]
            rows = await conn.execute(
                sa.select(
                    promotion_version.c.promotion_id,
                    promotion_version.c.version,
                    promotion_version.c.definition,
                ).where(
                    sa.tuple_(promotion_version.c.promotion_id, promotion_version.c.version).in_(
                        chunk
                    )
                )
            )
            for id_, version, stored in rows:
                found[id_, version] = definition.read(PromotionId(id_), version, stored)
        if missing:
            self._keep({key: found[key] for key in missing if key[0] not in self._doubted})
        return [found[key] for key in keys]

    def _keep(self, fresh: Mapping[_Key, Promotion]) -> None:
        self._known |= fresh
        for key in list(self._known)[: max(0, len(self._known) - self._size)]:
            del self._known[key]


@dataclass(frozen=True, slots=True)
class InForce:
    """A promotion whose `used` counts orders and all live claims; `claimed`: those of some owners,
    for whom they are not gone."""

    promotion: Promotion
    claimed: Mapping[str, int]

    def seen_by(self, owners: Collection[str]) -> Promotion:
        own = sum(self.claimed.get(owner, 0) for owner in owners) if self.claimed else 0
        return replace(self.promotion, used=self.promotion.used - own) if own else self.promotion


# Reading


async def in_force(
    conn: AsyncConnection,
    definitions: Definitions,
    *,
    now: datetime,
    codes: Collection[str] = (),
    owners: Collection[str] = (),
) -> list[InForce]:
    """The automatic ones in force, and those of these codes (folded) whether in force or not."""
    asked: dict[str, Any] = {"now": now}
    if codes:
        asked["codes"] = list(codes)
    if owners:
        asked["owners"] = list(owners)
    statement = _in_force(by_code=bool(codes), with_claims=bool(owners))
    rows = (await conn.execute(statement, asked)).all()
    gone = {(row[0], row[1]): row[2] for row in rows}
    claimed: dict[str, dict[str, int]] = {}
    for row in rows if owners else ():
        if row.owner is not None:
            claimed.setdefault(row[0], {})[row.owner] = row.units
    said = await definitions.of(conn, list(gone))
    return [
        InForce(replace(one, used=gone[one.id, one.version]), claimed.get(one.id, {}))
        for one in said
    ]


@cache
def _in_force(*, by_code: bool, with_claims: bool) -> sa.Select[Any]:
    """Built once: it is asked with every step of every cart, and building takes longer than asking.

    Parameters: `now`, `codes` by code, `owners` with their claims beside the promotions.
    """
    now = sa.bindparam("now", type_=UtcDateTime)
    wanted = sa.and_(
        promotion.c.is_automatic,
        promotion.c.state == "active",
        sa.or_(promotion.c.ends_at.is_(None), promotion.c.ends_at > now),
        sa.or_(promotion.c.starts_at.is_(None), promotion.c.starts_at <= now),
    )
    if by_code:
        coded = sa.select(promotion_code.c.promotion_id).where(
            promotion_code.c.code.in_(sa.bindparam("codes", expanding=True))
        )
        wanted = sa.or_(wanted, sa.and_(promotion.c.state == "active", promotion.c.id.in_(coded)))
    columns: list[Any] = [promotion.c.id, promotion.c.version, _gone(now)]
    if not with_claims:
        return sa.select(*columns).where(wanted)
    own = sa.and_(
        promotion_claim.c.promotion_id == promotion.c.id,
        promotion_claim.c.owner.in_(sa.bindparam("owners", expanding=True)),
        promotion_claim.c.expires_at > now,
    )
    return (
        sa.select(*columns, promotion_claim.c.owner, promotion_claim.c.units)
        .select_from(promotion.outerjoin(promotion_claim, own))
        .where(wanted)
    )


def _claimed(now: _Moment, owners: Collection[str] = ()) -> sa.ScalarSelect[int]:
    """What carts have claimed of a promotion, but for the claims of `owners`."""
    live = [
        promotion_claim.c.promotion_id == promotion.c.id,
        promotion_claim.c.expires_at > now,
    ]
    if owners:
        live.append(promotion_claim.c.owner.not_in(owners))
    return (
        sa.select(sa.func.coalesce(sa.func.sum(promotion_claim.c.units), 0))
        .where(*live)
        .correlate(promotion)
        .scalar_subquery()
    )


def _gone(now: _Moment, owners: Collection[str] = ()) -> sa.ColumnElement[int]:
    claimed = sa.case((promotion.c.limit_total.is_(None), 0), else_=_claimed(now, owners))
    return sa.cast(promotion.c.used + claimed, sa.Integer)


async def gone(
    conn: AsyncConnection,
    definitions: Definitions,
    promotion_ids: Collection[PromotionId],
    *,
    now: datetime,
    owners: Collection[str],
) -> list[Promotion]:
    """These promotions, `used` as `in_force` says it."""
    rows = (
        await conn.execute(
            sa.select(promotion.c.id, promotion.c.version, _gone(now, owners)).where(
                promotion.c.id.in_(promotion_ids)
            )
        )
    ).all()
    said = await definitions.of(conn, [(row[0], row[1]) for row in rows])
    return [replace(one, used=row[2]) for one, row in zip(said, rows, strict=True)]


async def versions_since(
    conn: AsyncConnection, definitions: Definitions, since: datetime | None
) -> list[Version]:
    """What automatic promotions said from `since` on; None: ever. What was said in rehearsals was
    no price of anything.

    Also what those by code said before their present version: they may have needed no code then.
    """
    wanted = [
        sa.or_(promotion.c.is_automatic, promotion_version.c.version < promotion.c.version),
        promotion_version.c.valid_from.is_not(None),
        is_real(),
    ]
    if since is not None:
        wanted.append(
            sa.or_(promotion_version.c.valid_to.is_(None), promotion_version.c.valid_to > since)
        )
        wanted.append(sa.or_(promotion.c.ends_at.is_(None), promotion.c.ends_at > since))
    rows = (
        await conn.execute(
            sa.select(
                promotion_version.c.promotion_id,
                promotion_version.c.version,
                promotion_version.c.valid_from,
                promotion_version.c.valid_to,
            )
            .join(promotion, promotion.c.id == promotion_version.c.promotion_id)
            .where(*wanted)
            .order_by(promotion_version.c.promotion_id, promotion_version.c.version)
        )
    ).all()
    said = await definitions.of(conn, [(row[0], row[1]) for row in rows])
    return [
        Version(one, row.valid_from, row.valid_to)
        for one, row in zip(said, rows, strict=True)
        if row.valid_from != row.valid_to
    ]


async def next_turn(conn: AsyncConnection, after: datetime) -> datetime | None:
    """The first moment after this at which an automatic promotion starts or ends."""

    def first(moment: sa.Column[datetime]) -> sa.ScalarSelect[datetime]:
        return (
            sa.select(sa.func.min(moment))
            .where(promotion.c.is_automatic, promotion.c.state == "active", moment > after)
            .scalar_subquery()
        )

    row = (
        await conn.execute(sa.select(first(promotion.c.starts_at), first(promotion.c.ends_at)))
    ).one()
    return min((moment for moment in row if moment is not None), default=None)


async def stored(
    conn: AsyncConnection,
    definitions: Definitions,
    now: datetime,
    *conditions: sa.ColumnElement[bool],
    limit: int | None = None,
) -> list[Stored]:
    """Those that meet the conditions on `promotion`, newest first."""
    statement = (
        sa.select(promotion, _claimed(now).label("claimed"))
        .where(*conditions)
        .order_by(promotion.c.id.desc())
        .limit(limit)
    )
    rows = (await conn.execute(statement)).all()
    said = await definitions.of(conn, [(row.id, row.version) for row in rows])
    return [
        Stored(
            promotion=replace(one, used=row.used),
            state=row.state,
            claimed=int(row.claimed),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
        for one, row in zip(said, rows, strict=True)
    ]


def is_id(promotion_id: str) -> sa.ColumnElement[bool]:
    return promotion.c.id == promotion_id


def is_one_of(promotion_ids: Collection[PromotionId]) -> sa.ColumnElement[bool]:
    return promotion.c.id.in_(promotion_ids)


def is_below(promotion_id: str) -> sa.ColumnElement[bool]:
    return promotion.c.id < promotion_id


def is_over(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(promotion.c.ends_at.is_not(None), promotion.c.ends_at <= now)


def is_not_over(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(promotion.c.ends_at.is_(None), promotion.c.ends_at > now)


def is_real() -> sa.ColumnElement[bool]:
    """Whether it was not made in a rehearsal."""
    return promotion.c.id.not_like(f"{OFFER}\\_%", escape="\\")


def is_active() -> sa.ColumnElement[bool]:
    return promotion.c.state == "active"


def is_of_show(show_id: str) -> sa.ColumnElement[bool]:
    return promotion.c.show_id == show_id


async def product_ids_for(conn: AsyncConnection, products: Products, *, limit: int) -> list[str]:
    """The first few products on sale that these are."""
    wanted: list[sa.ColumnElement[bool]] = [product.c.is_active]
    match products:
        case TheseProducts(product_ids):
            wanted.append(product.c.id.in_(sorted(product_ids)))
        case TheseVariants(variant_ids):
            of = sa.select(variant.c.product_id).where(variant.c.id.in_(sorted(variant_ids)))
            wanted.append(product.c.id.in_(of))
        case InCategory(prefix):
            known = await conn.execute(
                sa.select(product.c.category).where(product.c.category.is_not(None)).distinct()
            )
            under = [category for category in known.scalars() if is_under(category, prefix)]
            wanted.append(product.c.category.in_(under))
    statement = sa.select(product.c.id).where(*wanted).order_by(product.c.id).limit(limit)
    return list((await conn.execute(statement)).scalars())


# Writing


async def lock_writing(conn: AsyncConnection) -> None:
    """One change at a time: whether two promotions overlap is only known of what stands still."""
    if conn.dialect.name == "postgresql":
        await conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITING)))


async def add(conn: AsyncConnection, new: Promotion, *, state: State, now: datetime) -> None:
    await conn.execute(
        sa.insert(promotion).values(
            id=new.id, used=0, created_at=now, **_columns(new, state=state, now=now)
        )
    )
    await _write_version(conn, new, state=state, now=now)


async def change(conn: AsyncConnection, changed: Promotion, *, state: State, now: datetime) -> None:
    """The next version, which holds from now on if it is active; the one before ends."""
    await conn.execute(
        sa.update(promotion)
        .where(promotion.c.id == changed.id)
        .values(**_columns(changed, state=state, now=now))
    )
    await conn.execute(
        sa.update(promotion_version)
        .where(
            promotion_version.c.promotion_id == changed.id,
            promotion_version.c.valid_from.is_not(None),
            promotion_version.c.valid_to.is_(None),
        )
        .values(valid_to=now)
    )
    await conn.execute(sa.delete(promotion_code).where(promotion_code.c.promotion_id == changed.id))
    await _write_version(conn, changed, state=state, now=now)


def _columns(of: Promotion, *, state: State, now: datetime) -> dict[str, Any]:
    return {
        "version": of.version,
        "state": state,
        "is_automatic": isinstance(of.trigger, Automatic),
        "starts_at": of.period.starts_at,
        "ends_at": of.period.ends_at,
        "show_id": of.scope.show_id if isinstance(of.scope, InShow) else None,
        "limit_total": of.limit.total,
        "updated_at": now,
    }


async def _write_version(
    conn: AsyncConnection, of: Promotion, *, state: State, now: datetime
) -> None:
    await conn.execute(
        sa.insert(promotion_version).values(
            promotion_id=of.id,
            version=of.version,
            definition=definition.written(of),
            valid_from=now if state == "active" else None,
        )
    )
    if isinstance(of.trigger, ByCode):
        await conn.execute(
            sa.insert(promotion_code),
            [{"code": code, "promotion_id": of.id} for code in sorted(of.trigger.codes)],
        )


async def forget_rehearsed(
    conn: AsyncConnection, show_id: ShowId, rehearsal_id: RehearsalId
) -> list[PromotionId]:
    """What was made of promotions and used of them in a rehearsal of this show, which there is no
    other one of meanwhile; the promotions that are gone."""
    await lock_writing(conn)
    own = sa.select(promotion.c.id).where(promotion.c.show_id == show_id, sa.not_(is_real()))
    gone = [PromotionId(id_) for id_ in (await conn.execute(own)).scalars()]
    for table in (promotion_claim, promotion_use):
        theirs = table.c.viewer_id.like(guests_pattern(rehearsal_id), escape="\\")
        await conn.execute(sa.delete(table).where(theirs | table.c.promotion_id.in_(gone)))
    for table in (promotion_code, promotion_version):
        await conn.execute(sa.delete(table).where(table.c.promotion_id.in_(gone)))
    await conn.execute(sa.delete(promotion).where(promotion.c.id.in_(gone)))
    return gone
