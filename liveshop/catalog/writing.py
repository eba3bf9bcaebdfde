"""SQL that writes products and variants, and with every variant the log of its prices."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.model import Option
from liveshop.catalog.store import in_chunks
from liveshop.catalog.tables import (
    bundle_part,
    product,
    product_image,
    variant,
    variant_price,
)


def fold(text: str) -> str:
    """As texts are compared in a search: no case, no accents."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in apart if not unicodedata.combining(character))


def search_text(
    *, title: str, brand: str | None, category: str | None, codes: Iterable[str | None]
) -> str:
    return fold(" ".join(part for part in (title, brand, category, *codes) if part))


def options_to_json(options: Iterable[Option]) -> list[dict[str, Any]]:
    return [{"name": option.name, "values": list(option.values)} for option in options]


async def add_product(conn: AsyncConnection, values: Mapping[str, Any]) -> None:
    await conn.execute(sa.insert(product).values(**values))


async def change_product(
    conn: AsyncConnection, product_id: str, *, version: int, values: Mapping[str, Any]
) -> bool:
    """False when the product is no longer at that version (or gone)."""
    statement = (
        sa.update(product)
        .where(product.c.id == product_id, product.c.version == version)
        .values(version=version + 1, **values)
    )
    return (await conn.execute(statement)).rowcount == 1


async def touch_products(
    conn: AsyncConnection, product_ids: Sequence[str], *, now: datetime
) -> None:
    """A new version of products whose pictures changed."""
    for ids in in_chunks(product_ids):
        await conn.execute(
            sa.update(product)
            .where(product.c.id.in_(ids))
            .values(version=product.c.version + 1, updated_at=now)
        )


async def write_variants(
    conn: AsyncConnection,
    *,
    new: Sequence[Mapping[str, Any]],
    changed: Sequence[Mapping[str, Any]],
    now: datetime,
) -> None:
    """Insert and update in bulk; the mappings of one list have the same keys. Their prices are
    logged where they are not what they were."""
    if new:
        await conn.execute(sa.insert(variant), list(new))
    if changed:
        await conn.execute(*update_many(variant, changed))
    before = await _latest_prices(conn, [row["id"] for row in changed])
    points = [
        point
        for row in [*new, *changed]
        if (point := _next_point(row, before.get(row["id"]), now)) is not None
    ]
    if points:
        await conn.execute(sa.insert(variant_price), points)


async def _latest_prices(conn: AsyncConnection, variant_ids: Iterable[str]) -> dict[str, Any]:
    later = variant_price.alias("later")
    found: dict[str, Any] = {}
    for ids in in_chunks(variant_ids):
        last = (
            sa.select(sa.func.max(later.c.at))
            .where(later.c.variant_id == variant_price.c.variant_id)
            .scalar_subquery()
        )
        rows = await conn.execute(
            sa.select(variant_price).where(
                variant_price.c.variant_id.in_(ids), variant_price.c.at == last
            )
        )
        found.update((row.variant_id, row) for row in rows)
    return found


def _next_point(row: Mapping[str, Any], last: Any, now: datetime) -> dict[str, Any] | None:
    price = (row["price_amount"], row["compare_at_amount"], row["currency"])
    at = now
    if last is not None:
        if price == (last.amount, last.compare_at_amount, last.currency):
            return None
        # The log stays in order through a clock that was set back.
        at = max(now, last.at + timedelta(microseconds=1))
    amount, compare_at_amount, currency = price
    return {
        "variant_id": row["id"],
        "at": at,
        "amount": amount,
        "compare_at_amount": compare_at_amount,
        "currency": currency,
    }


async def add_parts(conn: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """What new bundles consist of. It never changes: see `service`."""
    if rows:
        await conn.execute(sa.insert(bundle_part), list(rows))


async def unfit_parts(conn: AsyncConnection, part_ids: Iterable[str]) -> set[str]:
    """Which of these no bundle can have: they do not exist, are withdrawn or bundles themselves."""
    wanted = set(part_ids)
    fit: set[str] = set()
    for ids in in_chunks(wanted):
        is_bundle = sa.exists().where(bundle_part.c.bundle_id == variant.c.id)
        rows = await conn.execute(
            sa.select(variant.c.id).where(variant.c.id.in_(ids), variant.c.is_active, ~is_bundle)
        )
        fit.update(rows.scalars())
    return wanted - fit


async def withdraw_variants(conn: AsyncConnection, variant_ids: Iterable[str]) -> None:
    for ids in in_chunks(variant_ids):
        await conn.execute(sa.update(variant).where(variant.c.id.in_(ids)).values(is_active=False))


async def set_pictures(
    conn: AsyncConnection, product_ids: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Replace all pictures of these products."""
    for ids in in_chunks(product_ids):
        await conn.execute(sa.delete(product_image).where(product_image.c.product_id.in_(ids)))
    if rows:
        await conn.execute(sa.insert(product_image), list(rows))


def update_many(
    table: sa.Table, rows: Sequence[Mapping[str, Any]]
) -> tuple[sa.Update, list[dict[str, Any]]]:
    """One UPDATE by `id` for many rows with the same keys."""
    keys = [key for key in rows[0] if key != "id"]
    statement = (
        sa.update(table)
        .where(table.c.id == sa.bindparam("b_id"))
        .values({key: sa.bindparam(f"b_{key}") for key in keys})
    )
    return statement, [{f"b_{key}": value for key, value in row.items()} for row in rows]
