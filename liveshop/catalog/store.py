"""SQL for products, variants and stock.

Stock moves by single conditional UPDATEs whose row count says whether they happened: no read
before the write, so nothing can change in between. Who takes several rows takes them in sorted
order (variant id, then location id), or PostgreSQL finds deadlocks.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.model import (
    Location,
    Option,
    Picture,
    Product,
    StockedProduct,
    StockLevel,
    Variant,
)
from liveshop.catalog.tables import hold, location, media, product, product_image, stock, variant
from liveshop.kernel.ids import LocationId, MediaId, ProductId, VariantId
from liveshop.kernel.money import Money
from liveshop.storage import insert

_CHUNK = 500  # ids per statement: both databases bound the number of parameters


def in_chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    """Distinct ids in lists short enough for one statement."""
    distinct = list(dict.fromkeys(ids))
    for start in range(0, len(distinct), _CHUNK):
        yield distinct[start : start + _CHUNK]


# Reading products


async def products_by_ids(
    conn: AsyncConnection, product_ids: Iterable[str]
) -> dict[ProductId, Product]:
    """Those that exist, in the order asked, with variants on sale and stored pictures."""
    found: dict[ProductId, Product] = {}
    for ids in in_chunks(product_ids):
        rows = (await conn.execute(sa.select(product).where(product.c.id.in_(ids)))).all()
        variants = await _variants_of(conn, ids)
        pictures = await _pictures_of(conn, ids)
        by_id = {
            row.id: _product(row, variants.get(row.id, []), pictures.get(row.id, []))
            for row in rows
        }
        found.update((ProductId(id_), by_id[id_]) for id_ in ids if id_ in by_id)
    return found


async def product_by_id(conn: AsyncConnection, product_id: str) -> Product | None:
    return (await products_by_ids(conn, [product_id])).get(ProductId(product_id))


async def stocked_products(
    conn: AsyncConnection, product_ids: Iterable[str], now: datetime
) -> dict[ProductId, StockedProduct]:
    """Products with what of them can be sold now; ids that do not exist are left out."""
    products = await products_by_ids(conn, product_ids)
    available = await available_by_variant(
        conn, [variant.id for one in products.values() for variant in one.variants], now
    )
    return {
        id_: StockedProduct(one, {variant.id: available[variant.id] for variant in one.variants})
        for id_, one in products.items()
    }


async def product_ids_page(
    conn: AsyncConnection,
    *,
    words: Sequence[str],
    after: str | None,
    limit: int,
    include_inactive: bool,
) -> list[str]:
    """Ids in the order of creation, after the given one, whose search text has every word."""
    statement = sa.select(product.c.id).order_by(product.c.id).limit(limit)
    if after is not None:
        statement = statement.where(product.c.id > after)
    if not include_inactive:
        statement = statement.where(product.c.is_active)
    for word in words:
        statement = statement.where(product.c.search_text.contains(word, autoescape=True))
    return list((await conn.execute(statement)).scalars())


async def variants_by_ids(
    conn: AsyncConnection, variant_ids: Iterable[str]
) -> dict[VariantId, Variant]:
    """Withdrawn ones too: an order or a cart may point at them."""
    found: dict[VariantId, Variant] = {}
    for ids in in_chunks(variant_ids):
        rows = await conn.execute(sa.select(variant).where(variant.c.id.in_(ids)))
        found.update((VariantId(row.id), _variant(row)) for row in rows)
    return found


async def all_variants_of(conn: AsyncConnection, product_id: str) -> list[Variant]:
    """In order, the withdrawn ones included."""
    statement = (
        sa.select(variant)
        .where(variant.c.product_id == product_id)
        .order_by(variant.c.position, variant.c.id)
    )
    return [_variant(row) for row in await conn.execute(statement)]


async def _variants_of(
    conn: AsyncConnection, product_ids: Sequence[str]
) -> dict[str, list[Variant]]:
    statement = (
        sa.select(variant)
        .where(variant.c.product_id.in_(product_ids), variant.c.is_active)
        .order_by(variant.c.position, variant.c.id)
    )
    found: dict[str, list[Variant]] = {}
    for row in await conn.execute(statement):
        found.setdefault(row.product_id, []).append(_variant(row))
    return found


async def _pictures_of(
    conn: AsyncConnection, product_ids: Sequence[str]
) -> dict[str, list[Picture]]:
    statement = (
        sa.select(
            product_image.c.product_id,
            product_image.c.key,
            media.c.id,
            media.c.width,
            media.c.height,
            media.c.alt,
        )
        .join(media, media.c.id == product_image.c.media_id)
        .where(product_image.c.product_id.in_(product_ids))
        .order_by(product_image.c.position)
    )
    found: dict[str, list[Picture]] = {}
    for row in await conn.execute(statement):
        found.setdefault(row.product_id, []).append(
            Picture(row.key, MediaId(row.id), row.width, row.height, row.alt)
        )
    return found


def _product(row: Any, variants: Sequence[Variant], pictures: Sequence[Picture]) -> Product:
    return Product(
        id=ProductId(row.id),
        source=row.source,
        source_id=row.source_id or row.id,
        title=row.title,
        description_html=row.description_html,
        brand=row.brand,
        category=row.category,
        url=row.url,
        options=_options(row.options, variants),
        pictures=tuple(pictures),
        variants=tuple(variants),
        is_active=row.is_active,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _options(stored: Any, variants: Sequence[Variant]) -> tuple[Option, ...]:
    """Only values that can be chosen: those of variants on sale."""
    return tuple(
        Option(
            option["name"],
            tuple(
                value
                for value in option["values"]
                if any(variant.values[place] == value for variant in variants)
            ),
        )
        for place, option in enumerate(stored)
    )


def _variant(row: Any) -> Variant:
    return Variant(
        id=VariantId(row.id),
        product_id=ProductId(row.product_id),
        sku=row.sku,
        gtin=row.gtin,
        values=tuple(row.option_values),
        price=Money(row.price_amount, row.currency),
        compare_at=(
            None if row.compare_at_amount is None else Money(row.compare_at_amount, row.currency)
        ),
        tax_class=row.tax_class,
        picture_key=row.picture_key,
        is_active=row.is_active,
    )


# Writing products


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
    conn: AsyncConnection, *, new: Sequence[Mapping[str, Any]], changed: Sequence[Mapping[str, Any]]
) -> None:
    """Insert and update in two statements; the mappings of one list have the same keys."""
    if new:
        await conn.execute(sa.insert(variant), list(new))
    if changed:
        await conn.execute(*update_many(variant, changed))


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


# Stock


async def available_by_variant(
    conn: AsyncConnection, variant_ids: Iterable[str], now: datetime
) -> dict[VariantId, int]:
    """How many of each variant can be had at this moment, over all locations: what is on hand less
    live holds. Zero for unknown ones.

    The one place that says so: screens, carts and channels all ask here. A hold that has lapsed
    counts as free at once, whether or not anybody has swept it up.
    """
    found: dict[VariantId, int] = {}
    for ids in in_chunks(variant_ids):
        shelf = await conn.execute(
            sa.select(stock.c.variant_id, sa.func.sum(stock.c.on_hand - stock.c.held))
            .where(stock.c.variant_id.in_(ids))
            .group_by(stock.c.variant_id)
        )
        amounts = {row[0]: int(row[1]) for row in shelf}
        lapsed = await conn.execute(
            sa.select(hold.c.variant_id, sa.func.sum(hold.c.quantity))
            .where(hold.c.variant_id.in_(ids), hold.c.expires_at <= now)
            .group_by(hold.c.variant_id)
        )
        for row in lapsed:
            amounts[row[0]] = amounts.get(row[0], 0) + int(row[1])
        found.update((VariantId(id_), amounts.get(id_, 0)) for id_ in ids)
    return found


async def stock_levels(conn: AsyncConnection, variant_id: str, now: datetime) -> list[StockLevel]:
    """One level for each location, zeros included, by priority. Lapsed holds count as free."""
    here = sa.and_(stock.c.location_id == location.c.id, stock.c.variant_id == variant_id)
    lapsed = (
        sa.select(sa.func.coalesce(sa.func.sum(hold.c.quantity), 0))
        .where(
            hold.c.variant_id == variant_id,
            hold.c.location_id == location.c.id,
            hold.c.expires_at <= now,
        )
        .scalar_subquery()
    )
    statement = (
        sa.select(location.c.id, stock.c.on_hand, stock.c.held, lapsed)
        .select_from(location.outerjoin(stock, here))
        .order_by(location.c.priority, location.c.id)
    )
    return [
        StockLevel(
            VariantId(variant_id), LocationId(row[0]), row[1] or 0, (row[2] or 0) - int(row[3])
        )
        for row in await conn.execute(statement)
    ]


async def set_on_hand(
    conn: AsyncConnection, variant_id: str, location_id: str, on_hand: int
) -> bool:
    """False when more is held than that; nothing is changed then."""
    statement = insert(conn, stock).values(
        variant_id=variant_id, location_id=location_id, on_hand=on_hand, held=0
    )
    statement = statement.on_conflict_do_update(
        index_elements=["variant_id", "location_id"],
        set_={"on_hand": statement.excluded.on_hand},
        where=stock.c.held <= statement.excluded.on_hand,
    )
    return (await conn.execute(statement)).rowcount == 1


async def locations_by_priority(conn: AsyncConnection) -> list[Location]:
    statement = sa.select(location).order_by(location.c.priority, location.c.id)
    return [
        Location(LocationId(row.id), row.name, row.kind, row.priority)
        for row in await conn.execute(statement)
    ]


async def add_location(conn: AsyncConnection, new: Location) -> None:
    await conn.execute(
        sa.insert(location).values(id=new.id, name=new.name, kind=new.kind, priority=new.priority)
    )
