"""SQL of the import: reads the products of a batch whole, writes what changed in bulk."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.import_merge import WorkingProduct, WorkingVariant
from liveshop.catalog.import_rows import Facts, VariantFacts, picture_key
from liveshop.catalog.model import Option
from liveshop.catalog.store import in_chunks
from liveshop.catalog.tables import REHEARSAL, location, product, product_image, stock, variant
from liveshop.catalog.writing import options_to_json, search_text, update_many, write_variants
from liveshop.kernel.ids import LocationId
from liveshop.kernel.money import Money
from liveshop.storage import insert

_DEFAULT_LOCATION = LocationId("loc_" + "0" * 26)


async def lock_first_location(conn: AsyncConnection) -> LocationId:
    """Where imported stock goes. Locked, so that imports on several nodes take turns: two of them
    may bring the same new product. Buyers' holds do not wait for this lock."""
    statement = (
        sa.select(location.c.id)
        .where(location.c.kind != REHEARSAL)
        .order_by(location.c.priority, location.c.id)
        .limit(1)
        .with_for_update(key_share=True)
    )
    found = (await conn.execute(statement)).scalar()
    if found is None:
        # A fixed id: the second of two first imports waits here until the first is through.
        new = insert(conn, location).values(
            id=_DEFAULT_LOCATION, name="Main warehouse", kind="warehouse", priority=0
        )
        await conn.execute(new.on_conflict_do_nothing(index_elements=["id"]))
        found = (await conn.execute(statement)).scalar_one()
    return LocationId(found)


async def load(
    conn: AsyncConnection, source: str, product_ids: Iterable[str], variant_ids: Iterable[str]
) -> list[WorkingProduct]:
    """The products named by the source's product ids or by its variant ids, with all variants."""
    ids: set[str] = set()
    for part in in_chunks(product_ids):
        of_source = sa.and_(product.c.source == source, product.c.source_id.in_(part))
        ids.update((await conn.execute(sa.select(product.c.id).where(of_source))).scalars())
    for part in in_chunks(variant_ids):
        of_source = sa.and_(variant.c.source == source, variant.c.source_id.in_(part))
        found = await conn.execute(sa.select(variant.c.product_id).where(of_source))
        ids.update(found.scalars())
    products: dict[str, WorkingProduct] = {}
    for part in in_chunks(sorted(ids)):
        for row in await conn.execute(sa.select(product).where(product.c.id.in_(part))):
            products[row.id] = _working_product(row)
        for row in await conn.execute(sa.select(variant).where(variant.c.product_id.in_(part))):
            working = _working_variant(row)
            products[row.product_id].variants[working.facts.source_id] = working
    return list(products.values())


def _working_product(row: Any) -> WorkingProduct:
    options = tuple(Option(one["name"], tuple(one["values"])) for one in row.options)
    return WorkingProduct(
        id=row.id,
        source_id=row.source_id or row.id,
        facts=Facts(
            title=row.title,
            description_html=row.description_html,
            brand=row.brand,
            category=row.category,
            url=row.url,
            gallery=tuple(row.gallery or ()),
            is_active=row.is_active,
            option_names=tuple(option.name for option in options),
        ),
        digest=row.digest,
        options=options,
    )


def _working_variant(row: Any) -> WorkingVariant:
    compare_at = row.compare_at_amount
    return WorkingVariant(
        id=row.id,
        facts=VariantFacts(
            # A variant added by hand to an imported product has no source id; its own stands in.
            source_id=row.source_id or row.id,
            sku=row.sku,
            gtin=row.gtin,
            values=tuple(row.option_values),
            price=Money(row.price_amount, row.currency),
            compare_at=None if compare_at is None else Money(compare_at, row.currency),
            tax_class=row.tax_class,
            picture_url=row.picture_url,
        ),
        digest=row.digest,
        position=row.position,
        is_active=row.is_active,
        tiers=row.tiers,
        tiers_currency=row.currency,
        source_quantity=row.source_quantity,
    )


async def write_products(
    conn: AsyncConnection, source: str, products: Sequence[WorkingProduct], *, now: datetime
) -> None:
    new = [
        _product_values(one)
        | {
            "source": source,
            "source_id": one.source_id,
            "version": 1,
            "created_at": now,
            "updated_at": now,
        }
        for one in products
        if one.is_new
    ]
    if new:
        await conn.execute(sa.insert(product), new)
    # Sorted: two transactions that touch the same rows must take them in one order.
    changed = sorted((one for one in products if not one.is_new), key=lambda one: one.id)
    if changed:
        rows = [_product_values(one) | {"updated_at": now} for one in changed]
        statement, parameters = update_many(product, rows)
        await conn.execute(statement.values(version=product.c.version + 1), parameters)


def _product_values(one: WorkingProduct) -> dict[str, Any]:
    facts, active = one.facts, one.active
    return {
        "id": one.id,
        "title": facts.title,
        "description_html": facts.description_html,
        "brand": facts.brand,
        "category": facts.category,
        "url": facts.url,
        "options": options_to_json(one.options_now()),
        "gallery": list(facts.gallery),
        "search_text": search_text(
            title=facts.title,
            brand=facts.brand,
            category=facts.category,
            codes=[code for v in active for code in (v.facts.sku, v.facts.gtin)],
        ),
        # Nothing left to sell: off the shelf, until the source says something about it again.
        "is_active": facts.is_active and bool(active),
        "digest": one.digest if active else None,
    }


async def write_imported_variants(
    conn: AsyncConnection,
    source: str,
    variants: Sequence[tuple[str, WorkingVariant]],
    *,
    now: datetime,
) -> None:
    """`variants` with the ids of their products."""
    new = [
        _variant_values(product_id, one) | {"source": source, "source_id": one.facts.source_id}
        for product_id, one in variants
        if one.is_new
    ]
    changed = [_variant_values(product_id, one) for product_id, one in variants if not one.is_new]
    await write_variants(
        conn, new=new, changed=sorted(changed, key=lambda row: str(row["id"])), now=now
    )


def _variant_values(product_id: str, one: WorkingVariant) -> dict[str, Any]:
    facts = one.facts
    return {
        "id": one.id,
        "product_id": product_id,
        "position": one.position,
        "sku": facts.sku,
        "gtin": facts.gtin,
        "option_values": list(facts.values),
        "price_amount": facts.price.amount,
        "compare_at_amount": None if facts.compare_at is None else facts.compare_at.amount,
        "currency": facts.price.currency,
        "tax_class": facts.tax_class,
        # Amounts of another currency than the price's would be nonsense.
        "tiers": one.tiers if one.tiers_currency == facts.price.currency else None,
        "picture_url": facts.picture_url,
        "picture_key": picture_key(facts.picture_url) if facts.picture_url else None,
        "is_active": one.is_active,
        "digest": one.digest,
        "source_quantity": one.source_quantity,
    }


async def write_stock(
    conn: AsyncConnection, location_id: str, quantities: Sequence[tuple[str, int]]
) -> None:
    """Set the stock, but never below what is held; `clamped` tells where that was."""
    if not quantities:
        return
    statement = insert(conn, stock)
    wanted = statement.excluded.on_hand
    await conn.execute(
        statement.on_conflict_do_update(
            index_elements=["variant_id", "location_id"],
            set_={"on_hand": sa.case((wanted < stock.c.held, stock.c.held), else_=wanted)},
        ),
        [
            {"variant_id": variant_id, "location_id": location_id, "on_hand": quantity, "held": 0}
            for variant_id, quantity in sorted(quantities)
        ],
    )


async def clamped(
    conn: AsyncConnection, location_id: str, quantities: Sequence[tuple[str, int]]
) -> dict[str, int]:
    """Variants whose stock was not set as low as the source has it, with what is held."""
    wanted = dict(quantities)
    found: dict[str, int] = {}
    for ids in in_chunks(wanted):
        statement = sa.select(stock.c.variant_id, stock.c.on_hand).where(
            stock.c.location_id == location_id, stock.c.variant_id.in_(ids)
        )
        for row in await conn.execute(statement):
            if row.on_hand > wanted[row.variant_id]:
                found[row.variant_id] = row.on_hand
    return found


async def write_pictures(
    conn: AsyncConnection,
    pictures: dict[str, list[tuple[str, str]]],
    media_ids: dict[str, str],
) -> None:
    """Replace the pictures of products: product id -> (key, address) in order."""
    for ids in in_chunks(pictures):
        await conn.execute(sa.delete(product_image).where(product_image.c.product_id.in_(ids)))
    rows = [
        {
            "product_id": product_id,
            "key": key,
            "position": place,
            "url": url,
            "media_id": media_ids.get(key),
            "problem": None,
        }
        for product_id, listed in pictures.items()
        for place, (key, url) in enumerate(listed)
    ]
    if rows:
        await conn.execute(sa.insert(product_image), rows)
