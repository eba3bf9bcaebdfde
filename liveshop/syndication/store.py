"""SQL for listings, announced prices and the products to be planned again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.store import in_chunks
from liveshop.catalog.tables import product, variant
from liveshop.kernel.ids import ProductId, VariantId
from liveshop.promotions.model import (
    InCategory,
    Products,
    PromotionId,
    TheseProducts,
    TheseVariants,
    is_below,
)
from liveshop.promotions.store import Definitions
from liveshop.promotions.tables import promotion, promotion_version
from liveshop.storage import UtcDateTime, insert
from liveshop.syndication.model import ConnectionId, Drift, ListingRow
from liveshop.syndication.says import Announced, PriceSchedule
from liveshop.syndication.tables import announced_price, listing, touched_product

EVERYTHING = "*"
HIDDEN = "hidden"
"""In place of a digest: known to the channel, shown to nobody."""

_TICK = timedelta(microseconds=1)
_KEY = ("connection_id", "variant_id")
_PLANNED = (
    *("product_id", "state", "since", "reason", "drift"),
    *("wanted", "attempts", "due_at", "read_at"),
)
_MOVED = (
    *("state", "since", "reason", "drift", "wanted", "accepted"),
    *("may_show", "remote_id", "attempts", "due_at", "read_at"),
)


# Products to be planned again


async def touch(conn: AsyncConnection, product_ids: Iterable[str], at: datetime) -> None:
    """Note products; `EVERYTHING` among them stands for all.

    `at` may be before the last time a product was noted, as whoever notes it has read the clock
    some while ago: the moment only ever grows, so that `settle_touched` does not take this for the
    time before.
    """
    ids = sorted(set(product_ids))
    if not ids:
        return
    statement = insert(conn, touched_product)
    moment: sa.ColumnElement[datetime] = statement.excluded.at
    known: Mapping[str, datetime] = {}
    if conn.dialect.name == "postgresql":
        moment = sa.func.greatest(moment, touched_product.c.at + sa.literal(_TICK, sa.Interval()))
    else:  # its moments are texts; nobody else writes while this does
        known = await _touched_among(conn, ids)
    await conn.execute(
        statement.on_conflict_do_update(index_elements=["product_id"], set_={"at": moment}),
        [
            {"product_id": id_, "at": max(at, known[id_] + _TICK) if id_ in known else at}
            for id_ in ids
        ],
    )


async def _touched_among(conn: AsyncConnection, ids: Sequence[str]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for some in in_chunks(ids):
        rows = await conn.execute(
            sa.select(touched_product).where(touched_product.c.product_id.in_(some))
        )
        found.update((row.product_id, row.at) for row in rows)
    return found


async def touched(conn: AsyncConnection) -> dict[str, datetime]:
    """When each was last noted."""
    rows = await conn.execute(sa.select(touched_product).order_by(touched_product.c.product_id))
    return {row.product_id: row.at for row in rows}


async def settle_touched(conn: AsyncConnection, done: Mapping[str, datetime]) -> None:
    """Forget those that were not noted again in the meantime."""
    if done:
        await conn.execute(
            sa.delete(touched_product).where(
                touched_product.c.product_id == sa.bindparam("id"),
                touched_product.c.at <= sa.bindparam("noted", type_=UtcDateTime),
            ),
            [{"id": id_, "noted": at} for id_, at in done.items()],
        )


async def products_of_variants(conn: AsyncConnection, variant_ids: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for ids in in_chunks(variant_ids):
        rows = await conn.execute(
            sa.select(variant.c.product_id).where(variant.c.id.in_(ids)).distinct()
        )
        found.update(rows.scalars())
    return found


async def products_under_way(conn: AsyncConnection) -> list[str]:
    """Products with a change of price under way."""
    rows = await conn.execute(
        sa.select(listing.c.product_id)
        .join(announced_price, announced_price.c.variant_id == listing.c.variant_id)
        .where(announced_price.c.next.is_not(None))
        .distinct()
    )
    return list(rows.scalars())


async def products_of_promotions(
    conn: AsyncConnection, definitions: Definitions, promotion_ids: Iterable[str]
) -> set[str]:
    """What any version of these promotions was for; `EVERYTHING` where that cannot be told."""
    found: set[str] = set()
    for ids in in_chunks(promotion_ids):
        keys = await conn.execute(
            sa.select(promotion_version.c.promotion_id, promotion_version.c.version).where(
                promotion_version.c.promotion_id.in_(ids)
            )
        )
        said = await definitions.of(conn, [(PromotionId(row[0]), row[1]) for row in keys])
        for products in dict.fromkeys(one.products for one in said):
            found |= await _ids_for(conn, products)
    return found


async def _ids_for(conn: AsyncConnection, products: Products) -> set[str]:
    match products:
        case TheseProducts(product_ids):
            return set(product_ids)
        case TheseVariants(variant_ids):
            return await products_of_variants(conn, variant_ids)
        case InCategory(prefix):
            known = await conn.execute(
                sa.select(product.c.category).where(product.c.category.is_not(None)).distinct()
            )
            under = [category for category in known.scalars() if is_below(category, prefix)]
            found: set[str] = set()
            for categories in in_chunks(under):
                rows = await conn.execute(
                    sa.select(product.c.id).where(product.c.category.in_(categories))
                )
                found.update(rows.scalars())
            return found
    return {EVERYTHING}


async def promotions_turning(
    conn: AsyncConnection, after: datetime, until: datetime, *, ahead: timedelta
) -> list[str]:
    """Automatic promotions for all shows that start or end in this time, or begin to be near."""
    given = {"after": after, "until": until}
    given |= {"far_after": after + ahead, "far_until": until + ahead}
    return list((await conn.execute(_TURNING, given)).scalars())


def _turning() -> sa.Select[Any]:
    """Made once: it is asked every second."""

    def within(moment: sa.Column[datetime], after: str, until: str) -> sa.ColumnElement[bool]:
        return sa.and_(moment > sa.bindparam(after), moment <= sa.bindparam(until))

    starts, ends = promotion.c.starts_at, promotion.c.ends_at
    return sa.select(promotion.c.id).where(
        promotion.c.is_automatic,
        promotion.c.show_id.is_(None),
        sa.or_(
            within(starts, "after", "until"),
            within(ends, "after", "until"),
            within(starts, "far_after", "far_until"),
        ),
    )


_TURNING = _turning()


async def next_turn(conn: AsyncConnection, after: datetime, *, ahead: timedelta) -> datetime | None:
    """The first moment after this at which `promotions_turning` finds something."""
    row = (await conn.execute(_NEXT_TURN, {"after": after, "far_after": after + ahead})).one()
    moments = [row[0], row[1], None if row[2] is None else row[2] - ahead]
    return min((one for one in moments if one is not None), default=None)


def _next_turn() -> sa.Executable:
    """Made once: it is asked every second."""

    def first(moment: sa.Column[datetime], bound: str) -> sa.ScalarSelect[datetime]:
        return (
            sa.select(sa.func.min(moment))
            .where(
                promotion.c.is_automatic,
                promotion.c.show_id.is_(None),
                promotion.c.state == "active",
                moment > sa.bindparam(bound),
            )
            .scalar_subquery()
        )

    starts, ends = promotion.c.starts_at, promotion.c.ends_at
    return sa.select(first(starts, "after"), first(ends, "after"), first(starts, "far_after"))


_NEXT_TURN = _next_turn()


async def product_ids_after(conn: AsyncConnection, after: str | None, limit: int) -> list[str]:
    """Every product there is, withdrawn ones too, in the order of creation."""
    statement = sa.select(product.c.id).order_by(product.c.id).limit(limit)
    if after is not None:
        statement = statement.where(product.c.id > after)
    return list((await conn.execute(statement)).scalars())


async def count_products(conn: AsyncConnection) -> int:
    return (await conn.execute(sa.select(sa.func.count()).select_from(product))).scalar_one()


async def versions_of(conn: AsyncConnection, product_ids: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for ids in in_chunks(product_ids):
        rows = await conn.execute(
            sa.select(product.c.id, product.c.version).where(product.c.id.in_(ids))
        )
        found.update((row.id, row.version) for row in rows)
    return found


# Announced prices


async def announced(
    conn: AsyncConnection, variant_ids: Iterable[str], *, lock: bool = False
) -> dict[VariantId, Announced]:
    """`lock`: nobody else moves these prices or the listings that say them until this ends."""
    found: dict[VariantId, Announced] = {}
    for ids in in_chunks(sorted(variant_ids)):
        statement = (
            sa.select(announced_price)
            .where(announced_price.c.variant_id.in_(ids))
            .order_by(announced_price.c.variant_id)
        )
        for row in await conn.execute(statement.with_for_update() if lock else statement):
            found[VariantId(row.variant_id)] = Announced(
                PriceSchedule.from_json(row.says),
                None if row.next is None else PriceSchedule.from_json(row.next),
            )
    return found


async def put_announced(conn: AsyncConnection, prices: Mapping[VariantId, Announced]) -> None:
    if not prices:
        return
    statement = insert(conn, announced_price)
    await conn.execute(
        statement.on_conflict_do_update(
            index_elements=["variant_id"],
            set_={"says": statement.excluded.says, "next": statement.excluded.next},
        ),
        [
            {
                "variant_id": id_,
                "says": one.says.to_json(),
                "next": None if one.next is None else one.next.to_json(),
            }
            for id_, one in sorted(prices.items())
        ],
    )


# Listings


async def of_products(
    conn: AsyncConnection, product_ids: Iterable[str], connection_ids: Sequence[str]
) -> dict[VariantId, dict[ConnectionId, ListingRow]]:
    """On these connections, by variant and connection."""
    found: dict[VariantId, dict[ConnectionId, ListingRow]] = {}
    for ids in in_chunks(product_ids):
        # With the connections, or no index serves.
        rows = await conn.execute(
            _ALL.where(listing.c.connection_id.in_(connection_ids), listing.c.product_id.in_(ids))
        )
        _file(found, rows)
    return found


async def of_variants(
    conn: AsyncConnection, variant_ids: Iterable[str], connection_ids: Sequence[str]
) -> dict[VariantId, dict[ConnectionId, ListingRow]]:
    """Nobody else moves them until this ends."""
    found: dict[VariantId, dict[ConnectionId, ListingRow]] = {}
    for ids in in_chunks(sorted(variant_ids)):
        rows = await conn.execute(
            _ALL.where(listing.c.connection_id.in_(connection_ids), listing.c.variant_id.in_(ids))
            .order_by(listing.c.connection_id, listing.c.variant_id)
            .with_for_update()
        )
        _file(found, rows)
    return found


def _file(found: dict[VariantId, dict[ConnectionId, ListingRow]], rows: Iterable[Any]) -> None:
    for row in map(row_of, rows):
        found.setdefault(row.variant_id, {})[row.connection_id] = row


async def some_of(
    conn: AsyncConnection, connection_id: ConnectionId, variant_ids: Iterable[str]
) -> dict[VariantId, ListingRow]:
    """On one connection. Nobody else moves them until this ends."""
    found: dict[VariantId, ListingRow] = {}
    for ids in in_chunks(sorted(variant_ids)):
        rows = await conn.execute(
            _ALL.where(listing.c.connection_id == connection_id, listing.c.variant_id.in_(ids))
            .order_by(listing.c.variant_id)
            .with_for_update()
        )
        found.update((row.variant_id, row) for row in map(row_of, rows))
    return found


async def due(
    conn: AsyncConnection, connection_id: ConnectionId, now: datetime, *, limit: int, off: bool
) -> list[ListingRow]:
    """What is to be sent: with `off` those to be hidden or taken off, else those to be shown."""
    nothing = sa.or_(listing.c.wanted.is_(None), listing.c.wanted == HIDDEN)
    rows = await conn.execute(
        _ALL.where(
            listing.c.connection_id == connection_id,
            listing.c.due_at <= now,
            nothing if off else sa.not_(nothing),
        )
        .order_by(listing.c.due_at, listing.c.variant_id)
        .limit(limit)
    )
    return [row_of(row) for row in rows]


async def count_due(conn: AsyncConnection, connection_id: ConnectionId, now: datetime) -> int:
    return (
        await conn.execute(
            sa.select(sa.func.count())
            .select_from(listing)
            .where(listing.c.connection_id == connection_id, listing.c.due_at <= now)
        )
    ).scalar_one()


async def next_due(conn: AsyncConnection, connection_id: ConnectionId) -> datetime | None:
    moment: datetime | None = (
        await conn.execute(
            sa.select(sa.func.min(listing.c.due_at)).where(listing.c.connection_id == connection_id)
        )
    ).scalar_one()
    return moment


def _readable(connection_id: ConnectionId, state: str) -> list[sa.ColumnElement[bool]]:
    return [
        listing.c.connection_id == connection_id,
        listing.c.state == state,
        listing.c.due_at.is_(None),
        listing.c.wanted == listing.c.accepted,
    ]


async def to_read(
    conn: AsyncConnection,
    connection_id: ConnectionId,
    cutoffs: Mapping[str, datetime],
    *,
    limit: int,
) -> list[ListingRow]:
    """Listings that were last looked at before the moment for their state, or never."""
    found: list[ListingRow] = []
    for state, cutoff in cutoffs.items():
        rows = await conn.execute(
            _ALL.where(
                *_readable(connection_id, state),
                sa.or_(listing.c.read_at.is_(None), listing.c.read_at <= cutoff),
            )
            .order_by(listing.c.read_at.asc().nulls_first())
            .limit(limit - len(found))
        )
        found += [row_of(row) for row in rows]
        if len(found) >= limit:
            break
    return found


async def oldest_reads(
    conn: AsyncConnection, connection_id: ConnectionId, states: Iterable[str]
) -> dict[str, datetime]:
    """For each state the listing that was looked at longest ago; those never looked at aside."""
    found = {}
    for state in states:
        oldest = (
            await conn.execute(
                sa.select(sa.func.min(listing.c.read_at)).where(*_readable(connection_id, state))
            )
        ).scalar_one()
        if oldest is not None:
            found[state] = oldest
    return found


async def is_present(conn: AsyncConnection, connection_id: ConnectionId) -> bool:
    """Whether the channel may have anything of ours."""
    row = await conn.execute(
        sa.select(listing.c.variant_id)
        .where(listing.c.connection_id == connection_id, may_be_there())
        .limit(1)
    )
    return row.first() is not None


def may_be_there() -> sa.ColumnElement[bool]:
    return sa.or_(listing.c.may_show, listing.c.accepted.is_not(None))


async def after(
    conn: AsyncConnection, connection_id: ConnectionId, variant_id: str | None, limit: int
) -> list[ListingRow]:
    """What shall be on a connection, in the order of variant ids."""
    statement = (
        _ALL.where(listing.c.connection_id == connection_id, listing.c.wanted.is_not(None))
        .order_by(listing.c.variant_id)
        .limit(limit)
    )
    if variant_id is not None:
        statement = statement.where(listing.c.variant_id > variant_id)
    return [row_of(row) for row in await conn.execute(statement)]


async def orphans(conn: AsyncConnection, limit: int) -> list[str]:
    """Products with listings that are not in the catalog at all any more."""
    gone = ~sa.exists().where(product.c.id == listing.c.product_id)
    rows = await conn.execute(
        sa.select(listing.c.product_id)
        .where(gone, listing.c.state != "withdrawn")
        .distinct()
        .limit(limit)
    )
    return list(rows.scalars())


async def put_planned(conn: AsyncConnection, rows: Sequence[ListingRow]) -> None:
    """Write what planning decides; what was accepted and may be seen is not its to say."""
    if not rows:
        return
    statement = insert(conn, listing)
    await conn.execute(
        statement.on_conflict_do_update(
            index_elements=list(_KEY),
            set_={name: getattr(statement.excluded, name) for name in _PLANNED},
        ),
        [_values(row) for row in rows],
    )


async def put_moved(conn: AsyncConnection, rows: Sequence[ListingRow]) -> None:
    """Write what happened to listings that exist."""
    if rows:
        await conn.execute(
            _MOVE,
            [
                {f"new_{name}": value for name, value in _values(row).items() if name in _MOVED}
                | {"of_connection": row.connection_id, "of_variant": row.variant_id}
                for row in rows
            ],
        )


async def set_where(
    conn: AsyncConnection, *conditions: sa.ColumnElement[bool], **values: Any
) -> int:
    """Set columns of many listings; how many."""
    result = await conn.execute(sa.update(listing).where(*conditions).values(**values))
    return result.rowcount


async def counts(conn: AsyncConnection, connection_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """How many listings are in which state, by connection."""
    found: dict[str, dict[str, int]] = {}
    rows = await conn.execute(
        sa.select(listing.c.connection_id, listing.c.state, sa.func.count())
        .where(listing.c.connection_id.in_(list(connection_ids)))
        .group_by(listing.c.connection_id, listing.c.state)
    )
    for connection_id, state, count in rows:
        found.setdefault(connection_id, {})[state] = count
    return found


_ALL = sa.select(listing)
_MOVE = (
    sa.update(listing)
    .where(
        listing.c.connection_id == sa.bindparam("of_connection"),
        listing.c.variant_id == sa.bindparam("of_variant"),
    )
    .values({name: sa.bindparam(f"new_{name}", type_=listing.c[name].type) for name in _MOVED})
)


def _values(row: ListingRow) -> dict[str, Any]:
    return {
        "connection_id": row.connection_id,
        "variant_id": row.variant_id,
        "product_id": row.product_id,
        "state": row.state,
        "since": row.since,
        "reason": row.reason,
        "drift": None if row.drift is None else asdict(row.drift),
        "wanted": row.wanted,
        "accepted": row.accepted,
        "may_show": row.may_show,
        "remote_id": row.remote_id,
        "attempts": row.attempts,
        "due_at": row.due_at,
        "read_at": row.read_at,
    }


def row_of(row: Any) -> ListingRow:
    return ListingRow(
        connection_id=ConnectionId(row.connection_id),
        variant_id=VariantId(row.variant_id),
        product_id=ProductId(row.product_id),
        state=row.state,
        since=row.since,
        reason=row.reason,
        drift=None if row.drift is None else Drift(**row.drift),
        wanted=row.wanted,
        accepted=row.accepted,
        may_show=row.may_show,
        remote_id=row.remote_id,
        attempts=row.attempts,
        due_at=row.due_at,
        read_at=row.read_at,
    )
