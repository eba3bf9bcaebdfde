"""The waitlist: who waits for one unit of a variant, and whose turn it is. All its SQL.

It stands beside the holds because what is waited for is free for nobody else. Who may wait, and for
how long a turn lasts, is decided in `checkout`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import holds, shelves
from liveshop.catalog.holds import Wanted
from liveshop.catalog.store import in_chunks
from liveshop.catalog.tables import (
    bundle_part,
    hold,
    is_real,
    product,
    stock,
    variant,
    waiting,
)
from liveshop.kernel.ids import PlaceId, ProductId, ShowId, VariantId, ViewerId
from liveshop.storage import UtcDateTime


@dataclass(frozen=True, slots=True)
class Place:
    """`position` 1 is next, among those that wait; 0: it has its turn until `offered_until`, and
    one unit is held for it (owner: the place's id)."""

    id: PlaceId
    variant_id: VariantId
    product_id: ProductId
    viewer_id: ViewerId
    show_id: ShowId | None
    joined_at: datetime
    offered_until: datetime | None
    position: int


@dataclass(frozen=True, slots=True)
class Served:
    """A place whose turn begins."""

    place_id: PlaceId
    variant_id: VariantId
    product_id: ProductId
    viewer_id: ViewerId
    show_id: ShowId | None


@dataclass(frozen=True, slots=True)
class Refreshed:
    """`changed`: variants whose stock moved. `on_turn`: variants of which somebody has his turn;
    where that is empty, `turns` need not be asked."""

    changed: set[VariantId] = field(default_factory=set)
    served: list[Served] = field(default_factory=list)
    on_turn: set[VariantId] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Comer:
    """Somebody who begins to wait."""

    place_id: PlaceId
    variant_id: VariantId
    product_id: ProductId
    viewer_id: ViewerId
    show_id: ShowId | None


@dataclass(frozen=True, slots=True)
class Queue:
    """What of a variant's queue a newcomer has to know: how many wait, and when the last came."""

    length: int = 0
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class Queues:
    """`known`: the places that some viewers have, for whatever; `by_variant`: where somebody has a
    place."""

    known: Mapping[tuple[ViewerId, VariantId], PlaceId]
    by_variant: Mapping[VariantId, Queue]


async def queues(
    conn: AsyncConnection, viewer_ids: Collection[ViewerId], variant_ids: Collection[VariantId]
) -> Queues:
    """What has to be known of these viewers and queues before somebody joins one."""
    rows = await conn.execute(
        _QUEUES, {"viewer_ids": list(viewer_ids), "variant_ids": list(variant_ids)}
    )
    known: dict[tuple[ViewerId, VariantId], PlaceId] = {}
    by_variant: dict[VariantId, Queue] = {}
    for row in rows:
        if row.id is None:
            by_variant[VariantId(row.variant_id)] = Queue(row.waiting, row.joined_at)
        else:
            known[ViewerId(row.viewer_id), VariantId(row.variant_id)] = PlaceId(row.id)
    return Queues(known, by_variant)


async def join(
    conn: AsyncConnection, comers: Sequence[Comer], found: Queues, now: datetime
) -> list[Place]:
    """Let them wait, in this order, behind those who do; who waits already is not among them.

    `found` is what `queues` says of these variants, which the caller has locked before.
    """
    places: list[Place] = []
    ends = dict(found.by_variant)
    for number, one in enumerate(comers):
        end = ends.get(one.variant_id, Queue())
        # The order of coming, whatever the clocks of several servers say.
        behind = now + timedelta(microseconds=number)
        if end.last is not None:
            behind = max(behind, end.last + timedelta(microseconds=1))
        ends[one.variant_id] = Queue(end.length + 1, behind)
        places.append(
            Place(
                id=one.place_id,
                variant_id=one.variant_id,
                product_id=one.product_id,
                viewer_id=one.viewer_id,
                show_id=one.show_id,
                joined_at=behind,
                offered_until=None,
                position=end.length + 1,
            )
        )
    if places:
        await conn.execute(
            sa.insert(waiting),
            [
                {
                    "id": one.id,
                    "variant_id": one.variant_id,
                    "viewer_id": one.viewer_id,
                    "show_id": one.show_id,
                    "joined_at": one.joined_at,
                    "offered_until": None,
                }
                for one in places
            ],
        )
    return places


async def leave(conn: AsyncConnection, viewer_id: ViewerId, place_id: str) -> VariantId | None:
    """Give up a place; of which variant, or None if the viewer has no such place.

    The caller releases what is held for the place.
    """
    gone = await conn.execute(
        sa.delete(waiting)
        .where(waiting.c.id == place_id, waiting.c.viewer_id == viewer_id)
        .returning(waiting.c.variant_id)
    )
    found: str | None = gone.scalar_one_or_none()
    return None if found is None else VariantId(found)


async def remove(conn: AsyncConnection, place_ids: Collection[PlaceId]) -> None:
    for ids in in_chunks(place_ids):
        await conn.execute(sa.delete(waiting).where(waiting.c.id.in_(ids)))


async def variant_of(conn: AsyncConnection, viewer_id: ViewerId, place_id: str) -> VariantId | None:
    """What a viewer waits for with this place; None if he has no such place."""
    found: str | None = await conn.scalar(
        sa.select(waiting.c.variant_id).where(
            waiting.c.id == place_id, waiting.c.viewer_id == viewer_id
        )
    )
    return None if found is None else VariantId(found)


async def places_of(conn: AsyncConnection, viewer_id: ViewerId) -> list[Place]:
    """Those whose turn it is first, then in the order of joining."""
    return (await places_of_each(conn, [viewer_id]))[viewer_id]


async def places_of_each(
    conn: AsyncConnection, viewer_ids: Iterable[ViewerId]
) -> dict[ViewerId, list[Place]]:
    """The same of many viewers. Each queue is gone through once, however many stand in it."""
    found: dict[ViewerId, list[Place]] = {viewer_id: [] for viewer_id in viewer_ids}
    for ids in in_chunks(found):
        for row in await conn.execute(_PLACES, {"viewer_ids": ids}):
            place = Place(
                id=PlaceId(row.id),
                variant_id=VariantId(row.variant_id),
                product_id=ProductId(row.product_id),
                viewer_id=ViewerId(row.viewer_id),
                show_id=None if row.show_id is None else ShowId(row.show_id),
                joined_at=row.joined_at,
                offered_until=row.offered_until,
                position=row.rank or 0,
            )
            found[place.viewer_id].append(place)
    return found


async def turns(
    conn: AsyncConnection, pairs: Collection[tuple[ViewerId, VariantId]], now: datetime
) -> dict[tuple[ViewerId, VariantId], PlaceId]:
    """Those of these viewers who have their turn for these variants now."""
    asked = set(pairs)
    found: dict[tuple[ViewerId, VariantId], PlaceId] = {}
    for ids in in_chunks(viewer_id for viewer_id, _ in asked):
        rows = await conn.execute(
            sa.select(waiting.c.viewer_id, waiting.c.variant_id, waiting.c.id).where(
                waiting.c.viewer_id.in_(ids), waiting.c.offered_until > now
            )
        )
        for row in rows:
            pair = (ViewerId(row.viewer_id), VariantId(row.variant_id))
            if pair in asked:
                found[pair] = PlaceId(row.id)
    return found


async def refresh(
    conn: AsyncConnection,
    variant_ids: Collection[VariantId] | None,
    now: datetime,
    until: datetime,
) -> Refreshed:
    """Give what is free to those who wait for it, the first come first; a turn ends at `until`.

    Lapsed holds of these variants are released and turns that have passed are over before. None:
    every variant somebody waits for. Whoever takes stock calls this first, so that nobody overtakes
    those who wait. It locks the variants, as `holds.lock` does.
    """
    ids: Iterable[str] = variant_ids or ()
    if variant_ids is None:
        ids = (await conn.execute(sa.select(waiting.c.variant_id).distinct())).scalars()
    done = Refreshed()
    for part in in_chunks(sorted(ids)):
        locked = await shelves.lock(conn, part)
        await _refresh(conn, part, locked, now, until, done)
    return done


async def _refresh(
    conn: AsyncConnection,
    ids: Sequence[str],
    locked: set[VariantId] | None,
    now: datetime,
    until: datetime,
    done: Refreshed,
) -> None:
    rows = (await conn.execute(_TO_DO, {"ids": ids, "now": now})).all()
    done.on_turn.update(VariantId(row.id) for row in rows if row.has_turn)
    if not any(row.has_lapsed or row.has_ended or row.has_chance for row in rows):
        return
    if locked is not None:
        # Whoever began to wait for a bundle since the lock was taken has to wait for the next time.
        parts = await shelves.parts_of(conn, (row.id for row in rows))
        rows = [row for row in rows if locked.issuperset(parts[VariantId(row.id)])]
    family = [VariantId(row.id) for row in rows]
    done.changed.update(await holds.release_lapsed_of(conn, family, now))
    over = await conn.execute(
        sa.delete(waiting)
        .where(waiting.c.variant_id.in_(family), waiting.c.offered_until <= now)
        .returning(waiting.c.variant_id)
    )
    done.changed.update(VariantId(id_) for id_ in over.scalars())
    if any(row.is_waited_for for row in rows):
        await _serve(conn, family, now, until, done)


async def _serve(
    conn: AsyncConnection,
    variant_ids: Sequence[VariantId],
    now: datetime,
    until: datetime,
    done: Refreshed,
) -> None:
    next_ones = (await conn.execute(_NEXT, {"ids": variant_ids})).all()
    wanted = [Wanted(row.id, VariantId(row.variant_id), 1, until) for row in next_ones]
    answers = await holds.take_each(conn, wanted, now)
    served = [
        Served(
            place_id=PlaceId(row.id),
            variant_id=VariantId(row.variant_id),
            product_id=ProductId(row.product_id),
            viewer_id=ViewerId(row.viewer_id),
            show_id=None if row.show_id is None else ShowId(row.show_id),
        )
        for row, refused in zip(next_ones, answers, strict=True)
        if refused is None
    ]
    for ids in in_chunks(one.place_id for one in served):
        await conn.execute(
            sa.update(waiting).where(waiting.c.id.in_(ids)).values(offered_until=until)
        )
    done.served.extend(served)
    done.on_turn.update(one.variant_id for one in served)
    if served:
        parts = await shelves.parts_of(conn, (one.variant_id for one in served))
        done.changed.update(part for listed in parts.values() for part in listed)
        done.changed.update(parts)


_viewer_ids: sa.BindParameter[Any] = sa.bindparam("viewer_ids", expanding=True)
_IN_ORDER = (waiting.c.joined_at, waiting.c.id)
_RANK = sa.func.row_number().over(partition_by=waiting.c.variant_id, order_by=_IN_ORDER)
_QUEUES = sa.union_all(
    sa.select(
        waiting.c.id,
        waiting.c.variant_id,
        waiting.c.viewer_id,
        waiting.c.joined_at,
        sa.literal(0).label("waiting"),
    ).where(waiting.c.viewer_id.in_(_viewer_ids)),
    sa.select(
        sa.null(),
        waiting.c.variant_id,
        sa.null(),
        sa.func.max(waiting.c.joined_at),
        sa.func.sum(sa.case((waiting.c.offered_until.is_(None), 1), else_=0)),
    )
    .where(waiting.c.variant_id.in_(sa.bindparam("variant_ids", expanding=True)))
    .group_by(waiting.c.variant_id),
)


def _places() -> sa.Select[Any]:
    """`rank` is null of those who have their turn."""
    theirs = waiting.alias("theirs")
    waited_for = sa.select(theirs.c.variant_id).where(theirs.c.viewer_id.in_(_viewer_ids))
    ranked = (
        sa.select(waiting.c.id, _RANK.label("rank"))
        .where(waiting.c.offered_until.is_(None), waiting.c.variant_id.in_(waited_for))
        .subquery()
    )
    return (
        sa.select(waiting, variant.c.product_id, ranked.c.rank)
        .join(variant, variant.c.id == waiting.c.variant_id)
        .outerjoin(ranked, ranked.c.id == waiting.c.id)
        .where(waiting.c.viewer_id.in_(_viewer_ids))
        .order_by(waiting.c.offered_until.is_(None), *_IN_ORDER)
    )


def _to_do() -> sa.Select[Any]:
    """The variants, and their family, of which a hold or a turn has lapsed, or that somebody waits
    for or has a turn of. `has_chance`: there may be one for those who wait.

    Turns are looked up by their end, of which there are few at any time; those who wait for a
    variant may be thousands.
    """
    now = sa.bindparam("now", type_=UtcDateTime)
    family = shelves.family()
    here = waiting.c.variant_id == family.c.id
    lapsed = sa.exists().where(hold.c.variant_id == family.c.id, hold.c.expires_at <= now)
    ended = family.c.id.in_(sa.select(waiting.c.variant_id).where(waiting.c.offered_until <= now))
    turn = family.c.id.in_(sa.select(waiting.c.variant_id).where(waiting.c.offered_until > now))
    waits = sa.exists().where(here, waiting.c.offered_until.is_(None))
    free = sa.exists().where(
        stock.c.variant_id == family.c.id,
        stock.c.on_hand > stock.c.held,
        is_real(stock.c.location_id),
    )
    is_bundle = sa.exists().where(bundle_part.c.bundle_id == family.c.id)
    return sa.select(
        family.c.id,
        lapsed.label("has_lapsed"),
        ended.label("has_ended"),
        turn.label("has_turn"),
        waits.label("is_waited_for"),
        (waits & (free | is_bundle)).label("has_chance"),
    ).where(lapsed | ended | turn | waits)


def _next() -> sa.Select[Any]:
    """Who is next, as many of each variant as there are pieces free of it, in the order of coming.

    What is not sold any more is offered to nobody."""
    ids: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
    parts = sa.select(bundle_part.c.part_id).where(bundle_part.c.bundle_id == variant.c.id)
    free = (
        sa.select(sa.func.sum(stock.c.on_hand - stock.c.held))
        .where(
            (stock.c.variant_id == variant.c.id) | stock.c.variant_id.in_(parts),
            is_real(stock.c.location_id),
        )
        .scalar_subquery()
    )
    on_sale = (
        sa.select(variant.c.id, variant.c.product_id, free.label("free"))
        .join(product, product.c.id == variant.c.product_id)
        .where(variant.c.id.in_(ids), variant.c.is_active, product.c.is_active)
        .subquery()
    )
    ranked = (
        sa.select(waiting, _RANK.label("rank"))
        .where(waiting.c.variant_id.in_(ids), waiting.c.offered_until.is_(None))
        .subquery()
    )
    return (
        sa.select(ranked, on_sale.c.product_id)
        .join(on_sale, on_sale.c.id == ranked.c.variant_id)
        .where(ranked.c.rank <= on_sale.c.free)
        .order_by(ranked.c.joined_at, ranked.c.id)
    )


_PLACES = _places()
_TO_DO = _to_do()
_NEXT = _next()
