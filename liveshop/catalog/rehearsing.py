"""The shelf of a rehearsal: what the shop has of a lineup, as if it was there twice.

It is a location of a kind of its own, so the ledger of holds works there as everywhere and its
invariants hold; `tables.is_real` keeps it out of whatever is said of the shop's stock.
"""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import shelves
from liveshop.catalog.store import available_by_variant, in_chunks
from liveshop.catalog.tables import REHEARSAL, bundle_part, hold, location, stock, variant
from liveshop.kernel.ids import LocationId, ProductId, VariantId
from liveshop.storage import insert


async def put_up(conn: AsyncConnection, shelf: LocationId) -> None:
    await conn.execute(
        sa.insert(location).values(
            id=shelf,
            name="Rehearsal",
            kind=REHEARSAL,
            priority=0,
            is_pickup=False,
            is_shipping=True,
        )
    )


async def fill(
    conn: AsyncConnection, shelf: LocationId, product_ids: Iterable[ProductId], now: datetime
) -> None:
    """As much of these products as can be had in the shop now; what lies there already stays."""
    variant_ids: set[VariantId] = set()
    for ids in in_chunks(product_ids):
        found = await conn.execute(sa.select(variant.c.id).where(variant.c.product_id.in_(ids)))
        variant_ids.update(VariantId(one) for one in found.scalars())
    parts: set[VariantId] = set()
    for ids in in_chunks(variant_ids):
        found = await conn.execute(
            sa.select(bundle_part.c.part_id).where(bundle_part.c.bundle_id.in_(ids))
        )
        parts.update(VariantId(one) for one in found.scalars())
    bundles = {
        one
        for one, made_of in (await shelves.parts_of(conn, variant_ids)).items()
        if set(made_of) != {one}
    }
    free = await available_by_variant(conn, (variant_ids | parts) - bundles, now)
    rows = [
        {"variant_id": id_, "location_id": shelf, "on_hand": quantity, "held": 0}
        for id_, quantity in sorted(free.items())
    ]
    if rows:
        new = insert(conn, stock)
        await conn.execute(
            new.on_conflict_do_nothing(index_elements=["variant_id", "location_id"]), rows
        )


async def take_down(conn: AsyncConnection, shelf: LocationId) -> None:
    """The shelf with all that lies or is held there. May be repeated."""
    lying = sa.select(stock.c.variant_id).where(stock.c.location_id == shelf)
    await conn.execute(lying.order_by(stock.c.variant_id).with_for_update())
    await conn.execute(sa.delete(hold).where(hold.c.location_id == shelf))
    await conn.execute(sa.delete(stock).where(stock.c.location_id == shelf))
    await conn.execute(
        sa.delete(location).where(location.c.id == shelf, location.c.kind == REHEARSAL)
    )
