"""What a shop system counts, put on our shelf: less what was sold here and it does not count yet.

The shelves are locked before anything is looked at. So an order that is confirmed meanwhile is
either in what is subtracted, or takes its units off the shelf after it was set. Of an order that
was on its way while the source counted, nobody knows whether it is in the count: the truth lies
between two numbers, and what is on the shelf stays if it does too.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import holds, import_store
from liveshop.catalog.model import ProductsTouched, StockTouched
from liveshop.catalog.store import in_chunks
from liveshop.catalog.tables import REHEARSAL, location, product, stock, variant
from liveshop.catalog.writing import update_many
from liveshop.kernel.ids import LocationId, ProductId, VariantId
from liveshop.storage import Tx


@dataclass(frozen=True, slots=True)
class Sold:
    """Units sold here that the source's count surely, or perhaps, still contains."""

    surely: int = 0
    perhaps: int = 0

    def on_shelf(self, count: int, present: int | None) -> int:
        """What the stock has to be, by the source's count and what it is now."""
        most = max(0, count - self.surely)
        least = max(0, most - self.perhaps)
        return least if present is None else min(max(present, least), most)


Uncounted = Callable[[AsyncConnection, Collection[VariantId]], Awaitable[Mapping[VariantId, Sold]]]
"""What was sold of these variants since the source counted, or while it did."""


async def differing(
    conn: AsyncConnection,
    location_id: LocationId,
    counts: Mapping[VariantId, int],
    uncounted: Uncounted,
) -> dict[VariantId, int]:
    """The stock to be set, where it differs from what is on the shelf. Locks the variants."""
    if not counts:
        return {}
    await holds.lock(conn, counts)
    sold = await uncounted(conn, counts.keys())
    present = await _on_hand(conn, location_id, counts)
    wanted = {
        id_: sold.get(id_, Sold()).on_shelf(count, present.get(id_))
        for id_, count in counts.items()
    }
    return {id_: quantity for id_, quantity in wanted.items() if present.get(id_) != quantity}


async def set_counts(
    tx: Tx, source: str, counts: Mapping[str, int], uncounted: Uncounted
) -> Sequence[VariantId]:
    """Set the stock of a source's variants to what it counts, by its own ids; what changed.

    Carts keep what they hold: the stock stays at that where the source has less (`held_above`).
    """
    if not counts:
        return ()
    location_id = await import_store.lock_first_location(tx.conn)
    known = await _variants_of(tx.conn, source, counts)
    by_id = {id_: counts[source_id] for source_id, id_ in known.items()}
    wanted = await differing(tx.conn, location_id, by_id, uncounted)
    if not wanted:
        return ()
    await import_store.write_stock(tx.conn, location_id, list(wanted.items()))
    rows = [{"id": id_, "source_quantity": by_id[id_]} for id_ in sorted(wanted)]
    statement, parameters = update_many(variant, rows)
    await tx.conn.execute(statement, parameters)
    tx.notify(StockTouched(tuple(wanted)))
    return tuple(wanted)


async def held_above(conn: AsyncConnection, source: str) -> list[str]:
    """The source's ids of variants of which carts hold, or held, more than it last counted: their
    stock has to be looked at again before somebody else buys what they give back."""
    first = (
        sa.select(location.c.id)
        .where(location.c.kind != REHEARSAL)
        .order_by(location.c.priority, location.c.id)
        .limit(1)
    )
    statement = (
        sa.select(variant.c.source_id)
        .join(stock, stock.c.variant_id == variant.c.id)
        .where(
            variant.c.source == source,
            variant.c.is_active,
            stock.c.location_id == first.scalar_subquery(),
            stock.c.on_hand > variant.c.source_quantity,
        )
        .order_by(variant.c.source_id)
    )
    return [str(one) for one in (await conn.execute(statement)).scalars()]


async def source_ids_of_variants(
    conn: AsyncConnection, source: str, *, after: str = "", limit: int = 1000
) -> list[str]:
    """The source's ids of its variants that are on sale here, in order."""
    statement = (
        sa.select(variant.c.source_id)
        .join(product, product.c.id == variant.c.product_id)
        .where(
            variant.c.source == source,
            variant.c.source_id > after,
            variant.c.is_active,
            product.c.is_active,
        )
        .order_by(variant.c.source_id)
        .limit(limit)
    )
    return [str(one) for one in (await conn.execute(statement)).scalars()]


async def source_ids_of_products(conn: AsyncConnection, source: str) -> set[str]:
    """The source's ids of its products that are on sale here."""
    statement = sa.select(product.c.source_id).where(
        product.c.source == source, product.c.is_active
    )
    return {str(one) for one in (await conn.execute(statement)).scalars()}


async def withdraw(tx: Tx, source: str, source_ids: Iterable[str], now: datetime) -> int:
    """Take products off the shelf; how many were on it. They come back when the source says
    anything about them again, whether or not it is what it said before."""
    gone: list[str] = []
    for part in in_chunks(sorted(source_ids)):
        result = await tx.conn.execute(
            sa.update(product)
            .where(product.c.source == source, product.c.source_id.in_(part), product.c.is_active)
            .values(is_active=False, digest=None, version=product.c.version + 1, updated_at=now)
            .returning(product.c.id)
        )
        gone += result.scalars()
    if gone:
        tx.notify(ProductsTouched(tuple(ProductId(one) for one in gone)))
    return len(gone)


async def _on_hand(
    conn: AsyncConnection, location_id: LocationId, variant_ids: Iterable[str]
) -> dict[VariantId, int]:
    found: dict[VariantId, int] = {}
    for part in in_chunks(variant_ids):
        rows = await conn.execute(
            sa.select(stock.c.variant_id, stock.c.on_hand).where(
                stock.c.location_id == location_id, stock.c.variant_id.in_(part)
            )
        )
        found.update((VariantId(row.variant_id), row.on_hand) for row in rows)
    return found


async def _variants_of(
    conn: AsyncConnection, source: str, source_ids: Iterable[str]
) -> dict[str, VariantId]:
    found: dict[str, VariantId] = {}
    for part in in_chunks(source_ids):
        rows = await conn.execute(
            sa.select(variant.c.source_id, variant.c.id).where(
                variant.c.source == source, variant.c.source_id.in_(part)
            )
        )
        found.update((row.source_id, VariantId(row.id)) for row in rows)
    return found
