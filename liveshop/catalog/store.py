"""SQL that reads products and variants, their prices, and how many of them can be had.

Products are written in `writing`; stock is kept in `locations` and moved in `shelves`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.model import (
    BundlePart,
    Option,
    Picture,
    PricePoint,
    Product,
    StockedProduct,
    Variant,
)
from liveshop.catalog.tables import (
    bundle_part,
    hold,
    is_real,
    media,
    product,
    product_image,
    stock,
    variant,
    variant_price,
    waiting,
)
from liveshop.kernel.ids import LocationId, MediaId, ProductId, VariantId
from liveshop.kernel.money import Money
from liveshop.storage import UtcDateTime

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
    conn: AsyncConnection,
    product_ids: Iterable[str],
    now: datetime,
    *,
    rehearsal: LocationId | None = None,
) -> dict[ProductId, StockedProduct]:
    """Products with what of them can be sold now, or in a rehearsal; ids that do not exist are left
    out."""
    products = await products_by_ids(conn, product_ids)
    available = await available_by_variant(
        conn,
        [variant.id for one in products.values() for variant in one.variants],
        now,
        rehearsal=rehearsal,
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
        loaded = await _variants(conn, variant.c.id.in_(ids))
        found.update((one.id, one) for one in loaded)
    return found


async def all_variants_of(conn: AsyncConnection, product_id: str) -> list[Variant]:
    """In order, the withdrawn ones included."""
    return await _variants(conn, variant.c.product_id == product_id)


async def _variants_of(
    conn: AsyncConnection, product_ids: Sequence[str]
) -> dict[str, list[Variant]]:
    found: dict[str, list[Variant]] = {}
    for one in await _variants(conn, variant.c.product_id.in_(product_ids), variant.c.is_active):
        found.setdefault(one.product_id, []).append(one)
    return found


_part = variant.alias("part")
_part_product = product.alias("part_product")
_WITH_PARTS = (
    sa.select(
        variant,
        bundle_part.c.quantity.label("part_quantity"),
        _part.c.id.label("part_id"),
        _part.c.product_id.label("part_product_id"),
        _part.c.sku.label("part_sku"),
        _part_product.c.title.label("part_title"),
    )
    .outerjoin(bundle_part, bundle_part.c.bundle_id == variant.c.id)
    .outerjoin(_part, _part.c.id == bundle_part.c.part_id)
    .outerjoin(_part_product, _part_product.c.id == _part.c.product_id)
    .order_by(variant.c.position, variant.c.id, bundle_part.c.part_id)
)


async def _variants(conn: AsyncConnection, *conditions: sa.ColumnElement[bool]) -> list[Variant]:
    """In order, each with its parts: a row of a bundle for each of them, one of any other."""
    rows: dict[str, Any] = {}
    parts: dict[str, list[BundlePart]] = {}
    for row in await conn.execute(_WITH_PARTS.where(*conditions)):
        rows.setdefault(row.id, row)
        if row.part_id is not None:
            part = BundlePart(
                variant_id=VariantId(row.part_id),
                product_id=ProductId(row.part_product_id),
                title=row.part_title,
                sku=row.part_sku,
                quantity=row.part_quantity,
            )
            parts.setdefault(row.id, []).append(part)
    return [_variant(row, parts.get(id_, ())) for id_, row in rows.items()]


async def price_points(
    conn: AsyncConnection, variant_ids: Iterable[str]
) -> dict[VariantId, list[PricePoint]]:
    """What they have cost since they are known, the oldest first."""
    found: dict[VariantId, list[PricePoint]] = {}
    for ids in in_chunks(variant_ids):
        rows = await conn.execute(
            sa.select(variant_price)
            .where(variant_price.c.variant_id.in_(ids))
            .order_by(variant_price.c.variant_id, variant_price.c.at)
        )
        for row in rows:
            point = PricePoint(
                at=row.at,
                amount=Money(row.amount, row.currency),
                compare_at=_money(row.compare_at_amount, row.currency),
            )
            found.setdefault(VariantId(row.variant_id), []).append(point)
    return found


async def with_bundles(conn: AsyncConnection, variant_ids: Iterable[str]) -> set[VariantId]:
    """These, and every bundle that has one of them for a part."""
    found: set[VariantId] = set()
    for ids in in_chunks(variant_ids):
        rows = await conn.execute(
            sa.select(bundle_part.c.bundle_id).where(bundle_part.c.part_id.in_(ids))
        )
        found.update(VariantId(id_) for id_ in [*ids, *rows.scalars()])
    return found


async def pieces(conn: AsyncConnection, variant_ids: Iterable[str]) -> dict[VariantId, int]:
    """Units of stock behind one unit sold: more than one for bundles only."""
    found: dict[VariantId, int] = {}
    for ids in in_chunks(variant_ids):
        rows = await conn.execute(
            sa.select(bundle_part.c.bundle_id, sa.func.sum(bundle_part.c.quantity))
            .where(bundle_part.c.bundle_id.in_(ids))
            .group_by(bundle_part.c.bundle_id)
        )
        counted = {row[0]: int(row[1]) for row in rows}
        found.update((VariantId(id_), counted.get(id_, 1)) for id_ in ids)
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
        max_per_customer=row.max_per_customer,
        fit=row.fit,
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


def _variant(row: Any, parts: Sequence[BundlePart]) -> Variant:
    price = Money(row.price_amount, row.currency)
    return Variant(
        id=VariantId(row.id),
        product_id=ProductId(row.product_id),
        sku=row.sku,
        gtin=row.gtin,
        values=tuple(row.option_values),
        price=price,
        compare_at=_money(row.compare_at_amount, row.currency),
        tax_class=row.tax_class,
        picture_key=row.picture_key,
        is_active=row.is_active,
        # An import knows nothing of tiers: those its new price has overtaken rest until it rises.
        tiers=tuple(
            (quantity, Money(amount, row.currency))
            for quantity, amount in row.tiers or ()
            if amount < price.amount
        ),
        weight_grams=row.weight_grams,
        parts=tuple(parts),
    )


def _money(amount: int | None, currency: str) -> Money | None:
    return None if amount is None else Money(amount, currency)


# Stock


async def available_by_variant(
    conn: AsyncConnection,
    variant_ids: Iterable[str],
    now: datetime,
    *,
    rehearsal: LocationId | None = None,
) -> dict[VariantId, int]:
    """How many of each variant can be had at this moment, over all locations: what is on hand less
    live holds and less what others wait for. Of a bundle, as many as there are parts for. Zero for
    unknown ones. `rehearsal`: on the shelf of a rehearsal instead, where nobody waits.

    The one place that says so: screens, carts and channels all ask here. A hold that has lapsed
    counts as free at once, whether or not anybody has swept it up.
    """
    found: dict[VariantId, int] = {}
    bundles: dict[str, int] = {}
    for ids in in_chunks(variant_ids):
        found.update((VariantId(id_), 0) for id_ in ids)
        asked: dict[str, Any] = {"ids": ids, "now": now}
        statement = _FREE
        if rehearsal is not None:
            statement = _REHEARSED
            asked["rehearsal"] = rehearsal
        for row in await conn.execute(statement, asked):
            if row.is_bundle:
                bundles[row.id] = row.waiting
            else:
                found[VariantId(row.id)] = max(0, int(row.free) - row.waiting)
    if bundles:
        found.update(await _available_bundles(conn, bundles, now, rehearsal))
    return found


async def _available_bundles(
    conn: AsyncConnection,
    waiting_for: Mapping[str, int],
    now: datetime,
    rehearsal: LocationId | None,
) -> dict[VariantId, int]:
    parts: dict[str, list[tuple[str, int, bool]]] = {}
    for ids in in_chunks(waiting_for):
        rows = await conn.execute(
            sa.select(
                bundle_part.c.bundle_id,
                bundle_part.c.part_id,
                bundle_part.c.quantity,
                variant.c.is_active,
            )
            .join(variant, variant.c.id == bundle_part.c.part_id)
            .where(bundle_part.c.bundle_id.in_(ids))
        )
        for bundle_id, part_id, quantity, is_active in rows:
            parts.setdefault(bundle_id, []).append((part_id, quantity, is_active))
    free = await available_by_variant(
        conn,
        [part_id for listed in parts.values() for part_id, _, _ in listed],
        now,
        rehearsal=rehearsal,
    )
    return {
        VariantId(bundle_id): max(
            0,
            # A part that is withdrawn is not sold any more, not even with others.
            min(free[VariantId(part)] // number if sold else 0 for part, number, sold in listed)
            - waiting_for[bundle_id],
        )
        for bundle_id, listed in parts.items()
    }


def _free(*, is_rehearsed: bool = False) -> sa.Select[Any]:
    def counts(location_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
        return location_id == sa.bindparam("rehearsal") if is_rehearsed else is_real(location_id)

    on_shelves = (
        sa.select(sa.func.sum(stock.c.on_hand - stock.c.held))
        .where(stock.c.variant_id == variant.c.id, counts(stock.c.location_id))
        .scalar_subquery()
    )
    lapsed = (
        sa.select(sa.func.sum(hold.c.quantity))
        .where(
            hold.c.variant_id == variant.c.id,
            hold.c.expires_at <= sa.bindparam("now", type_=UtcDateTime),
            counts(hold.c.location_id),
        )
        .scalar_subquery()
    )
    counted = (
        sa.select(
            variant.c.id,
            (sa.func.coalesce(on_shelves, 0) + sa.func.coalesce(lapsed, 0)).label("free"),
            sa.exists().where(bundle_part.c.bundle_id == variant.c.id).label("is_bundle"),
        )
        .where(variant.c.id.in_(sa.bindparam("ids", expanding=True)))
        .subquery()
    )
    if is_rehearsed:
        return sa.select(counted, sa.literal(0).label("waiting"))
    in_line = (
        sa.select(sa.func.count())
        .select_from(waiting)
        .where(waiting.c.variant_id == counted.c.id, waiting.c.offered_until.is_(None))
        .scalar_subquery()
    )
    # Those who wait are many where nothing is free; there they need not be counted.
    is_counted = (counted.c.free > 0) | counted.c.is_bundle
    return sa.select(counted, sa.case((is_counted, in_line), else_=0).label("waiting"))


_FREE = _free()
_REHEARSED = _free(is_rehearsed=True)
