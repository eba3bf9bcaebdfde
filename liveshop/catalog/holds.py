"""Holds: the ledger of reserved stock, beside the counters it must agree with.

It stands in `catalog`, not in `checkout`, because whoever says how much is available (shows, feeds,
checkout) must count a lapsed hold as free even if nothing has swept it up yet. Who may hold, and
for how long, is decided in `checkout`.

A hold is of pieces: a bundle is held as its parts, so that a part in a bundle and a part by itself
are one stock. Quantities wanted are of units sold; those of holds are of pieces.

A variant's stock rows are the lock of all that is held of it: whoever changes several of its rows
takes them first with `lock`, for all variants he is about in one statement and one order. Without
it PostgreSQL deadlocks, and a hold seen as live may be given away before it is passed on. SQLite
has one writer and needs no lock.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import shelves
from liveshop.catalog.shelves import Shelf
from liveshop.catalog.tables import bundle_part, hold
from liveshop.kernel.errors import Conflict
from liveshop.kernel.ids import LocationId, VariantId, new_id
from liveshop.storage import Rows, UtcDateTime


class OutOfStock(Conflict):
    """Less is free than was asked for; `data.available` says how much."""

    code = "out_of_stock"


@dataclass(frozen=True, slots=True)
class Wanted:
    """So much of a variant, held for `owner` until `expires_at`: for a cart line, a place in the
    waitlist, or an order."""

    owner: str
    variant_id: VariantId
    quantity: int
    expires_at: datetime | None
    rehearsal: LocationId | None = None
    """The only shelf it may come from; None: any of the shop's own."""


async def lock(conn: AsyncConnection, variant_ids: Iterable[str]) -> None:
    """From here to the commit nobody else changes what is held of these variants, or of the parts
    of those that are bundles."""
    await shelves.lock(conn, variant_ids)


async def release_lapsed(
    conn: AsyncConnection,
    now: datetime,
    *,
    variant_ids: Sequence[VariantId] | None = None,
    limit: int = 500,
) -> set[VariantId]:
    """Give back what was held too long; the variants that changed.

    With `variant_ids`: all of these variants and their parts, which stay locked whether they change
    or not. Else of any variant, the oldest holds first and at most `limit` of them.
    """
    if variant_ids is not None:
        await lock(conn, variant_ids)
        return await release_lapsed_of(conn, variant_ids, now)
    lapsed = (
        sa.select(hold.c.id, hold.c.variant_id)
        .where(hold.c.expires_at <= now)
        .order_by(hold.c.expires_at, hold.c.id)
        .limit(limit)
    )
    rows = (await conn.execute(lapsed)).all()
    if not rows:
        return set()
    await lock(conn, [row.variant_id for row in rows])
    # Between the two statements others may have given some of them back, or passed them on.
    ids = [row.id for row in rows]
    return await _give_back(conn, hold.c.id.in_(ids), hold.c.expires_at <= now)


async def release_lapsed_of(
    conn: AsyncConnection, variant_ids: Sequence[VariantId], now: datetime
) -> set[VariantId]:
    """The same for variants that the caller has locked."""
    parts = sa.select(bundle_part.c.part_id).where(bundle_part.c.bundle_id.in_(variant_ids))
    of_these = hold.c.variant_id.in_(variant_ids) | hold.c.variant_id.in_(parts)
    return await _give_back(conn, of_these, hold.c.expires_at <= now)


async def release(conn: AsyncConnection, owners: Sequence[str]) -> set[VariantId]:
    """Give back everything these owners hold; what was held, parts for bundles. The caller has
    locked the variants."""
    return await _give_back(conn, hold.c.owner.in_(owners))


async def lessen(conn: AsyncConnection, kept: Mapping[str, tuple[int, int]]) -> None:
    """Each owner keeps (so many, of so many) units that he holds, and gives back the others.

    Nothing is taken for it: what he keeps is his, whether or not it is still sold. The caller has
    locked the variants.
    """
    if not kept:
        return
    deleted = await conn.execute(sa.delete(hold).where(hold.c.owner.in_(kept)).returning(*hold.c))
    rows = [row._asdict() for row in deleted]
    had: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row["owner"], row["variant_id"])
        had[key] = had.get(key, 0) + row["quantity"]
    # By what is held, not by what a bundle consists of now; upwards, or a part would be missing.
    left = {key: -(-pieces * kept[key[0]][0] // kept[key[0]][1]) for key, pieces in had.items()}
    stay: list[dict[str, Any]] = []
    gone: list[tuple[Shelf, int]] = []
    # From as few shelves as can be.
    for row in sorted(rows, key=lambda row: (-row["quantity"], row["id"])):
        key = (row["owner"], row["variant_id"])
        pieces = min(row["quantity"], left[key])
        left[key] -= pieces
        if pieces:
            stay.append(row | {"quantity": pieces})
        if pieces < row["quantity"]:
            shelf = (VariantId(row["variant_id"]), LocationId(row["location_id"]))
            gone.append((shelf, row["quantity"] - pieces))
    if stay:
        await conn.execute(sa.insert(hold), stay)
    await shelves.give_back(conn, _by_shelf(gone))


async def take(conn: AsyncConnection, wanted: Sequence[Wanted], now: datetime) -> None:
    """Hold all of this. Raises OutOfStock; the transaction must then roll back."""
    for refused in await take_each(conn, wanted, now):
        if refused is not None:
            raise refused


async def take_each(
    conn: AsyncConnection,
    wanted: Sequence[Wanted],
    now: datetime,
    *,
    instead: Collection[str] = (),
) -> list[OutOfStock | None]:
    """Hold what there is, the first come first, each of them wholly or not at all: what stands in
    the way of each, None where it is held.

    The owners in `instead` want it instead of all they hold: that is theirs to take, but nobody
    else's unless they have what they want. The caller has locked the variants.
    """
    if not wanted:
        return []
    answers: list[OutOfStock | None] = []
    taken: list[tuple[Wanted, Shelf, int]] = []
    on_shelves = await shelves.load(conn, (one.variant_id for one in wanted))
    own = await _pieces_of(conn, instead) if instead else {}
    exchanged: list[str] = []
    for one in wanted:
        had = own.get(one.owner, {})
        in_reach = on_shelves.for_buyer(one.rehearsal)
        in_reach.put(had)
        available = in_reach.available(one.variant_id)
        if available < one.quantity:
            in_reach.put({shelf: -quantity for shelf, quantity in had.items()})
            answers.append(_out_of_stock(one, available))
            continue
        if had:
            exchanged.append(one.owner)
        pieces = in_reach.take(one.variant_id, one.quantity)
        taken += [(one, shelf, quantity) for shelf, quantity in pieces.items()]
        answers.append(None)
    if exchanged:
        await release(conn, exchanged)
    if taken:
        by_shelf = _by_shelf((shelf, quantity) for _, shelf, quantity in taken)
        reserved = await _reserve(conn, by_shelf)
        if len(reserved) < len(by_shelf):
            # Somebody took it between the two statements. It cannot happen under `lock`.
            await shelves.give_back(conn, {shelf: by_shelf[shelf] for shelf in reserved})
            return await take_each(conn, wanted, now, instead=instead)
        await conn.execute(sa.insert(hold), [_row(*one, now) for one in taken])
    return answers


async def extend(conn: AsyncConnection, owners: Mapping[str, datetime]) -> None:
    """Let each owner hold what he holds until then. The caller has locked the variants."""
    if owners:
        await conn.execute(
            _EXTEND, [{"of": owner, "until": until} for owner, until in owners.items()]
        )


_EXTEND = (
    sa.update(hold)
    .where(hold.c.owner == sa.bindparam("of"))
    .values(expires_at=sa.bindparam("until", type_=UtcDateTime))
)


async def hand_over(
    conn: AsyncConnection, owner: str, to: str, *, expires_at: datetime | None
) -> int:
    """Pass what one owner holds to another, such as a cart line's to its order; how many pieces."""
    return sum((await hand_over_all(conn, [owner], to, expires_at=expires_at)).values())


async def hand_over_all(
    conn: AsyncConnection, owners: Sequence[str], to: str, *, expires_at: datetime | None
) -> dict[Shelf, int]:
    """Pass what these owners hold to one other; how many pieces of what, and where."""
    moved = await hand_over_each(conn, dict.fromkeys(owners, to), expires_at=expires_at)
    return moved.get(to, {})


async def hand_over_each(
    conn: AsyncConnection, owners: Mapping[str, str], *, expires_at: datetime | None
) -> dict[str, dict[Shelf, int]]:
    """Pass what each of these owners holds to another, such as the lines of many carts to their
    orders; how many pieces of what each of those got, and where."""
    moved = await _HAND_OVER(conn, sorted(owners.items()), until=expires_at)
    return _by_owner(moved)


_HAND_OVER = Rows(
    {"of": sa.String, "to": sa.String},
    lambda given: (
        sa.update(hold)
        .where(hold.c.owner == given["of"])
        .values(owner=given["to"], expires_at=sa.bindparam("until", type_=UtcDateTime))
        .returning(hold.c.owner, hold.c.variant_id, hold.c.location_id, hold.c.quantity)
    ),
)


async def hand_back(conn: AsyncConnection, owner: str, wanted: Sequence[Wanted]) -> None:
    """Pass of what an owner holds so much to others, such as a refused order's to cart lines.

    What nobody wants stays with the owner; where he has less, there is less. The caller has locked
    the variants.
    """
    if not wanted:
        return
    parts = await shelves.parts_of(conn, (one.variant_id for one in wanted))
    rows = await conn.execute(sa.select(hold).where(hold.c.owner == owner).order_by(hold.c.id))
    left: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        left.setdefault(row.variant_id, []).append(row._asdict())
    given: list[dict[str, Any]] = []
    for one in wanted:
        for part, per_unit in parts[one.variant_id].items():
            rest = one.quantity * per_unit
            for has in left.get(part, ()):
                pieces = min(rest, has["quantity"])
                if pieces:
                    id_ = new_id("hld", has["created_at"])
                    given.append(has | {"id": id_, "quantity": pieces} | _holder(one))
                    has["quantity"] -= pieces
                    rest -= pieces
    kept = [row for listed in left.values() for row in listed if row["quantity"]]
    await conn.execute(sa.delete(hold).where(hold.c.owner == owner))
    if kept or given:
        await conn.execute(sa.insert(hold), [*kept, *given])


async def relocate(
    conn: AsyncConnection,
    owner: str,
    locations: Sequence[LocationId],
    *,
    store: LocationId | None = None,
) -> dict[Shelf, int] | None:
    """Move all an owner holds onto the shelves of these locations, the first to be asked first,
    and as much of it as can be onto those of the store; how many pieces lie where then.

    None where they have not as many free: nothing has moved then. The caller has locked the
    variants, and given back what has lapsed.
    """
    rows = await conn.execute(sa.select(hold).where(hold.c.owner == owner).order_by(hold.c.id))
    held = [row._asdict() for row in rows]
    before = _by_shelf(
        ((VariantId(row["variant_id"]), LocationId(row["location_id"])), row["quantity"])
        for row in held
    )
    on_shelves = await shelves.load(conn, {variant_id for variant_id, _ in before})
    after = on_shelves.rearranged(before, locations, store=store)
    if after is None or after == before:
        return after
    await _delete(conn, hold.c.owner == owner)
    await shelves.give_back(conn, _less(before, after))
    more = _less(after, before)
    reserved = await _reserve(conn, more)
    assert len(reserved) == len(more), "the variants are locked"
    origin = {row["variant_id"]: row for row in held}
    await conn.execute(
        sa.insert(hold),
        [
            origin[variant_id]
            | {
                "id": new_id("hld", origin[variant_id]["created_at"]),
                "location_id": location_id,
                "quantity": quantity,
            }
            for (variant_id, location_id), quantity in after.items()
        ],
    )
    return after


def _less(pieces: Mapping[Shelf, int], others: Mapping[Shelf, int]) -> dict[Shelf, int]:
    """What `pieces` has more than `others`."""
    rest = {shelf: quantity - others.get(shelf, 0) for shelf, quantity in pieces.items()}
    return {shelf: quantity for shelf, quantity in rest.items() if quantity > 0}


async def sell(conn: AsyncConnection, owner: str) -> dict[Shelf, int]:
    """What the owner holds leaves the shelf for good; how many pieces of what, from where. The
    caller has locked the variants."""
    return (await sell_each(conn, [owner])).get(owner, {})


async def sell_each(conn: AsyncConnection, owners: Collection[str]) -> dict[str, dict[Shelf, int]]:
    """The same for many; of each owner who held something."""
    rows = await conn.execute(
        sa.delete(hold)
        .where(hold.c.owner.in_(owners))
        .returning(hold.c.owner, hold.c.variant_id, hold.c.location_id, hold.c.quantity)
    )
    sold = _by_owner(rows)
    await shelves.sell(conn, _by_shelf(one for pieces in sold.values() for one in pieces.items()))
    return sold


async def held_by(
    conn: AsyncConnection, owners: Sequence[str], now: datetime
) -> dict[str, tuple[int, datetime | None]]:
    """How many pieces each owner holds at this moment, and until when."""
    rows = await conn.execute(
        sa.select(hold.c.owner, sa.func.sum(hold.c.quantity), sa.func.min(hold.c.expires_at))
        .where(
            hold.c.owner.in_(owners),
            sa.or_(hold.c.expires_at.is_(None), hold.c.expires_at > now),
        )
        .group_by(hold.c.owner)
    )
    return {row[0]: (int(row[1]), row[2]) for row in rows}


async def in_reach(
    conn: AsyncConnection, owners: Sequence[str], parts: Collection[str], now: datetime
) -> tuple[dict[Shelf, int], dict[Shelf, int]]:
    """What these owners hold of these variants, none of them a bundle; and what of them is held
    too long by anybody, which is free for whoever takes it."""
    is_lapsed = hold.c.expires_at <= now
    rows = await conn.execute(
        sa.select(hold.c.variant_id, hold.c.location_id, hold.c.quantity, hold.c.expires_at).where(
            hold.c.variant_id.in_(parts), sa.or_(hold.c.owner.in_(owners), is_lapsed)
        )
    )
    own: list[tuple[Shelf, int]] = []
    lapsed: list[tuple[Shelf, int]] = []
    for variant_id, location_id, quantity, expires_at in rows:
        is_own = expires_at is None or expires_at > now
        shelf = (VariantId(variant_id), LocationId(location_id))
        (own if is_own else lapsed).append((shelf, quantity))
    return _by_shelf(own), _by_shelf(lapsed)


async def _pieces_of(conn: AsyncConnection, owners: Collection[str]) -> dict[str, dict[Shelf, int]]:
    return _by_owner(
        await conn.execute(
            sa.select(hold.c.owner, hold.c.variant_id, hold.c.location_id, hold.c.quantity).where(
                hold.c.owner.in_(owners)
            )
        )
    )


def _by_owner(rows: Iterable[Any]) -> dict[str, dict[Shelf, int]]:
    """Of rows (owner, variant, location, quantity)."""
    found: dict[str, dict[Shelf, int]] = {}
    for owner, variant_id, location_id, quantity in rows:
        pieces = found.setdefault(owner, {})
        shelf = (VariantId(variant_id), LocationId(location_id))
        pieces[shelf] = pieces.get(shelf, 0) + quantity
    return found


async def _reserve(conn: AsyncConnection, pieces: Mapping[Shelf, int]) -> set[Shelf]:
    return await shelves.reserve(conn, pieces)


def _row(one: Wanted, shelf: Shelf, quantity: int, now: datetime) -> dict[str, Any]:
    variant_id, location_id = shelf
    return {
        "id": new_id("hld", now),
        "variant_id": variant_id,
        "location_id": location_id,
        "quantity": quantity,
        "created_at": now,
    } | _holder(one)


def _holder(one: Wanted) -> dict[str, Any]:
    return {"owner": one.owner, "expires_at": one.expires_at}


def _out_of_stock(one: Wanted, available: int) -> OutOfStock:
    return OutOfStock(
        "This is sold out." if available == 0 else f"Only {available} left.",
        data={"variant_id": one.variant_id, "available": available},
    )


async def _give_back(conn: AsyncConnection, *conditions: sa.ColumnElement[bool]) -> set[VariantId]:
    pieces = _by_shelf(await _delete(conn, *conditions))
    await shelves.give_back(conn, pieces)
    return {variant_id for variant_id, _ in pieces}


async def _delete(
    conn: AsyncConnection, *conditions: sa.ColumnElement[bool]
) -> list[tuple[Shelf, int]]:
    rows = await conn.execute(
        sa.delete(hold)
        .where(*conditions)
        .returning(hold.c.variant_id, hold.c.location_id, hold.c.quantity)
    )
    return [((VariantId(row[0]), LocationId(row[1])), int(row[2])) for row in rows]


def _by_shelf(moves: Iterable[tuple[Shelf, int]]) -> dict[Shelf, int]:
    summed: dict[Shelf, int] = {}
    for shelf, quantity in moves:
        summed[shelf] = summed.get(shelf, 0) + quantity
    return summed
