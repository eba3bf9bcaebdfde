"""The counters of stock: what is free on which shelf, and the statements that move it.

A shelf is a variant at a location. All that happens to several shelves at once is one statement,
whatever their number: it is given the moves as one list, which each database spells its own way.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.store import in_chunks
from liveshop.catalog.tables import REHEARSAL, bundle_part, location, stock, variant, waiting
from liveshop.kernel.ids import LocationId, VariantId
from liveshop.storage import insert

Shelf = tuple[VariantId, LocationId]


@dataclass(frozen=True, slots=True)
class Shelves:
    """What is free of each variant by location, the first to be asked first; of bundles, what they
    consist of. `withdrawn`: bundles one of whose parts is not sold any more. `rehearsed`: the same
    as `free` for the shelves of rehearsals, which only their own guests take from, by shelf."""

    free: dict[VariantId, dict[LocationId, int]] = field(default_factory=dict)
    rehearsed: dict[LocationId, dict[VariantId, dict[LocationId, int]]] = field(
        default_factory=dict
    )
    parts: dict[VariantId, dict[VariantId, int]] = field(default_factory=dict)
    withdrawn: set[VariantId] = field(default_factory=set)

    def parts_of(self, variant_id: VariantId) -> Mapping[VariantId, int]:
        """Pieces of what are behind one unit."""
        return self.parts.get(variant_id, {variant_id: 1})

    def for_buyer(self, rehearsal: LocationId | None) -> "Shelves":
        """These shelves as somebody may take from them: the shop's own, or those of a rehearsal
        alone. What he takes is gone here too."""
        if rehearsal is None:
            return self
        here = self.rehearsed.setdefault(rehearsal, {})
        return Shelves(free=here, parts=self.parts, withdrawn=self.withdrawn)

    def is_for(self, shelf: Shelf, rehearsal: LocationId | None) -> bool:
        """Whether what lies there is for such a buyer."""
        _, place = shelf
        return place == rehearsal if rehearsal is not None else place not in self.rehearsed

    def available(self, variant_id: VariantId) -> int:
        if variant_id in self.withdrawn:
            return 0
        return min(
            sum(self.free.get(part, {}).values()) // quantity
            for part, quantity in self.parts_of(variant_id).items()
        )

    def take(self, variant_id: VariantId, quantity: int) -> dict[Shelf, int]:
        """Take so many units, which must be available: each part from one location where one has
        enough, else from several."""
        taken: dict[Shelf, int] = {}
        for part, per_unit in self.parts_of(variant_id).items():
            taken |= self.take_pieces(part, quantity * per_unit, self.free.get(part, {}))
        return taken

    def take_pieces(
        self, part: VariantId, pieces: int, places: Iterable[LocationId]
    ) -> dict[Shelf, int]:
        """Take so many pieces of no bundle, or as many as there are, from these places: from one
        where one has enough, else from several, the first to be asked first."""
        free = self.free.get(part, {})
        known = [place for place in places if place in free]
        whole = next((place for place in known if free[place] >= pieces), None)
        taken: dict[Shelf, int] = {}
        for place in [whole] if whole is not None else known:
            here = min(pieces, free[place])
            if here > 0:
                taken[part, place] = here
                free[place] -= here
                pieces -= here
        return taken

    def rearranged(
        self,
        pieces: Mapping[Shelf, int],
        places: Sequence[LocationId],
        *,
        store: LocationId | None = None,
    ) -> dict[Shelf, int] | None:
        """What is held in these pieces, taken from these places instead, the first to be asked
        first, and as much as can be from the store. None where they have not as much; then some of
        it may have been taken."""
        self.put(pieces)
        wanted: dict[VariantId, int] = {}
        for (part, _), quantity in pieces.items():
            wanted[part] = wanted.get(part, 0) + quantity
        others = [place for place in places if place != store]
        found: dict[Shelf, int] = {}
        for part, quantity in wanted.items():
            taken = self.take_pieces(part, quantity, [store]) if store is not None else {}
            rest = quantity - sum(taken.values())
            if rest:
                taken |= self.take_pieces(part, rest, others)
            if sum(taken.values()) < quantity:
                return None
            found |= taken
        return found

    def put(self, pieces: Mapping[Shelf, int]) -> None:
        """So much more is free."""
        for (part, place), quantity in pieces.items():
            places = self.free.setdefault(part, {})
            places[place] = places.get(place, 0) + quantity


async def load(conn: AsyncConnection, variant_ids: Iterable[str]) -> Shelves:
    """The shelves of these variants and of their parts."""
    shelves = Shelves()
    for ids in in_chunks(variant_ids):
        for row in await conn.execute(_SHELVES, {"ids": ids}):
            part = VariantId(row.part_id)
            if row.bundle_id is not None:
                bundle = VariantId(row.bundle_id)
                shelves.parts.setdefault(bundle, {})[part] = row.quantity
                if not row.is_sold:
                    shelves.withdrawn.add(bundle)
            if row.location_id is None:
                continue
            place = LocationId(row.location_id)
            is_rehearsed = row.kind == REHEARSAL
            here = shelves.rehearsed.setdefault(place, {}) if is_rehearsed else shelves.free
            here.setdefault(part, {})[place] = row.free
    return shelves


_ids: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
_SHELVES = sa.union_all(
    sa.select(
        sa.null().label("bundle_id"),
        stock.c.variant_id.label("part_id"),
        sa.literal(1).label("quantity"),
        sa.true().label("is_sold"),
        stock.c.location_id,
        (stock.c.on_hand - stock.c.held).label("free"),
        location.c.priority,
        location.c.kind,
    )
    .join(location, location.c.id == stock.c.location_id)
    .where(stock.c.variant_id.in_(_ids)),
    sa.select(
        bundle_part.c.bundle_id,
        bundle_part.c.part_id,
        bundle_part.c.quantity,
        variant.c.is_active,
        stock.c.location_id,
        stock.c.on_hand - stock.c.held,
        location.c.priority,
        location.c.kind,
    )
    .join(variant, variant.c.id == bundle_part.c.part_id)
    .outerjoin(stock, stock.c.variant_id == bundle_part.c.part_id)
    .outerjoin(location, location.c.id == stock.c.location_id)
    .where(bundle_part.c.bundle_id.in_(_ids)),
).order_by("priority", "location_id")


async def parts_of(
    conn: AsyncConnection, variant_ids: Iterable[str]
) -> dict[VariantId, dict[VariantId, int]]:
    """Pieces of what are behind one unit: itself, unless it is a bundle."""
    found: dict[VariantId, dict[VariantId, int]] = {}
    for ids in in_chunks(variant_ids):
        rows = await conn.execute(sa.select(bundle_part).where(bundle_part.c.bundle_id.in_(ids)))
        for row in rows:
            found.setdefault(VariantId(row.bundle_id), {})[VariantId(row.part_id)] = row.quantity
        for id_ in ids:
            found.setdefault(VariantId(id_), {VariantId(id_): 1})
    return found


def family() -> sa.CTE:
    """What has to be looked at, and locked, together with the variants of the parameter `ids`:
    the parts of bundles, and the bundles somebody waits for that have one of these for a part, for
    what is free may be theirs."""
    members = sa.select(variant.c.id).where(variant.c.id.in_(_ids)).cte("family", recursive=True)
    is_waited_for = sa.exists().where(waiting.c.variant_id == bundle_part.c.bundle_id)
    is_part = bundle_part.c.bundle_id == members.c.id
    is_whole = sa.and_(bundle_part.c.part_id == members.c.id, is_waited_for)
    next_to = sa.case((is_part, bundle_part.c.part_id), else_=bundle_part.c.bundle_id)
    return members.union(sa.select(next_to).join_from(bundle_part, members, is_part | is_whole))


async def lock(conn: AsyncConnection, variant_ids: Iterable[str]) -> set[VariantId] | None:
    """Take the shelves of these variants and of their family, in one order, on PostgreSQL; which
    variants they are of. None on SQLite: the whole database is the writer's.

    A variant that has bundles somebody waits for shares its lock with them, or serving the wait
    would take shelves out of order.
    """
    if conn.dialect.name != "postgresql":
        return None
    ids = sorted(set(variant_ids))
    return set((await conn.execute(_LOCK, {"ids": ids})).scalars()) if ids else set()


_LOCK = (
    sa.select(stock.c.variant_id)
    .where(stock.c.variant_id.in_(sa.select(family().c.id)))
    .order_by(stock.c.variant_id, stock.c.location_id)
    .with_for_update(key_share=True)
)


# Moving stock


async def reserve(conn: AsyncConnection, pieces: Mapping[Shelf, int]) -> set[Shelf]:
    """The one statement that takes stock: it counts and takes at once, so no two can both win.

    The shelves that had as much; the others are left as they were.
    """
    return await _move(conn, _MOVES[conn.dialect.name].reserve, pieces)


async def give_back(conn: AsyncConnection, pieces: Mapping[Shelf, int]) -> None:
    await _move(conn, _MOVES[conn.dialect.name].give_back, pieces)


async def sell(conn: AsyncConnection, pieces: Mapping[Shelf, int]) -> None:
    """What was held leaves the shelf for good."""
    await _move(conn, _MOVES[conn.dialect.name].sell, pieces)


async def restock(conn: AsyncConnection, pieces: Mapping[Shelf, int]) -> None:
    """So many more are on these shelves, which are made where there are none. As with all that
    changes several shelves, the caller has locked their variants."""
    if not pieces:
        return
    rows = [
        {"variant_id": variant_id, "location_id": location_id, "on_hand": quantity, "held": 0}
        for (variant_id, location_id), quantity in sorted(pieces.items())
    ]
    statement = insert(conn, stock).values(rows)
    await conn.execute(
        statement.on_conflict_do_update(
            index_elements=["variant_id", "location_id"],
            set_={"on_hand": stock.c.on_hand + statement.excluded.on_hand},
        )
    )


async def _move(
    conn: AsyncConnection, statement: sa.Executable, pieces: Mapping[Shelf, int]
) -> set[Shelf]:
    if not pieces:
        return set()
    rows = [(*shelf, quantity) for shelf, quantity in sorted(pieces.items())]
    if conn.dialect.name == "postgresql":
        variants, locations, quantities = (list(column) for column in zip(*rows, strict=True))
        given: dict[str, Any] = {
            "variants": variants,
            "locations": locations,
            "quantities": quantities,
        }
    else:
        given = {"moves": msgspec.json.encode(rows).decode()}
    moved = await conn.execute(statement, given)
    return {(VariantId(row[0]), LocationId(row[1])) for row in moved}


@dataclass(frozen=True, slots=True)
class _Moves:
    reserve: sa.Executable
    give_back: sa.Executable
    sell: sa.Executable


def _moves(
    variant_id: sa.ColumnElement[str],
    location_id: sa.ColumnElement[str],
    pieces: sa.ColumnElement[int],
) -> _Moves:
    here = sa.update(stock).where(
        stock.c.variant_id == variant_id, stock.c.location_id == location_id
    )
    moved = (stock.c.variant_id, stock.c.location_id)
    return _Moves(
        reserve=here.where(stock.c.on_hand - stock.c.held >= pieces)
        .values(held=stock.c.held + pieces)
        .returning(*moved),
        give_back=here.values(held=stock.c.held - pieces).returning(*moved),
        sell=here.values(on_hand=stock.c.on_hand - pieces, held=stock.c.held - pieces).returning(
            *moved
        ),
    )


def _moves_on_postgresql() -> _Moves:
    def listed(name: str, kind: type[sa.types.TypeEngine[Any]]) -> sa.ColumnElement[Any]:
        return sa.bindparam(name, type_=ARRAY(kind))

    rows = (
        sa.func.unnest(
            listed("variants", sa.String),
            listed("locations", sa.String),
            listed("quantities", sa.Integer),
        )
        .table_valued(
            sa.column("variant_id", sa.String),
            sa.column("location_id", sa.String),
            sa.column("pieces", sa.Integer),
            name="moves",
        )
        .render_derived()
    )
    return _moves(rows.c.variant_id, rows.c.location_id, rows.c.pieces)


def _moves_on_sqlite() -> _Moves:
    rows = sa.func.json_each(sa.bindparam("moves", type_=sa.String)).table_valued(
        "value", name="moves"
    )

    def column(place: int) -> sa.ColumnElement[Any]:
        return sa.func.json_extract(rows.c.value, sa.literal_column(f"'$[{place}]'"))

    return _moves(column(0), column(1), column(2))


_MOVES = {"postgresql": _moves_on_postgresql(), "sqlite": _moves_on_sqlite()}
