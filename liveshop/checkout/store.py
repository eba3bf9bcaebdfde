"""All SQL about carts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import holds
from liveshop.catalog.store import available_by_variant
from liveshop.catalog.tables import hold, product, product_image, variant
from liveshop.checkout.model import Cart, CartLine
from liveshop.checkout.tables import cart, cart_line
from liveshop.kernel.ids import CartId, LineId, ProductId, ShowId, VariantId, ViewerId
from liveshop.kernel.money import Money
from liveshop.storage import insert


def cart_id_of(viewer_id: ViewerId) -> CartId:
    """A viewer has one cart, named after him."""
    return CartId(f"crt_{viewer_id[4:]}")


async def lock(conn: AsyncConnection, viewer_id: ViewerId, now: datetime) -> CartId:
    """Make sure the cart exists and is this transaction's alone until the commit."""
    cart_id = cart_id_of(viewer_id)
    await conn.execute(
        insert(conn, cart)
        .values(id=cart_id, viewer_id=viewer_id, created_at=now, updated_at=now)
        .on_conflict_do_update(index_elements=["id"], set_={"updated_at": now})
    )
    return cart_id


async def variant_ids(conn: AsyncConnection, cart_id: CartId) -> list[VariantId]:
    """What is in a cart."""
    rows = await conn.execute(
        sa.select(cart_line.c.variant_id).where(cart_line.c.cart_id == cart_id)
    )
    return [VariantId(row[0]) for row in rows]


async def load(conn: AsyncConnection, viewer_id: ViewerId, currency: str, now: datetime) -> Cart:
    """The cart with what its lines hold at this moment; an empty one for who has none."""
    cart_id = cart_id_of(viewer_id)
    rows = (
        await conn.execute(
            sa.select(
                cart_line,
                variant.c.product_id,
                variant.c.option_values,
                variant.c.sku,
                variant.c.price_amount,
                variant.c.compare_at_amount,
                variant.c.currency,
                variant.c.tax_class,
                variant.c.picture_key,
                product.c.title,
                sa.and_(variant.c.is_active, product.c.is_active).label("is_for_sale"),
            )
            .join(variant, variant.c.id == cart_line.c.variant_id)
            .join(product, product.c.id == variant.c.product_id)
            .where(cart_line.c.cart_id == cart_id)
            .order_by(cart_line.c.added_at, cart_line.c.id)
        )
    ).all()
    if not rows:
        return Cart(cart_id, viewer_id, currency, ())
    held = await holds.held_by(conn, [row.id for row in rows], now)
    free = await available_by_variant(conn, [row.variant_id for row in rows], now)
    images = await _images(conn, [row.product_id for row in rows])
    lines = tuple(_line(row, held, free, images) for row in rows)
    return Cart(cart_id, viewer_id, currency, lines)


async def is_for_sale(conn: AsyncConnection, variant_id: VariantId) -> bool:
    found = await conn.scalar(
        sa.select(variant.c.id)
        .join(product, product.c.id == variant.c.product_id)
        .where(variant.c.id == variant_id, variant.c.is_active, product.c.is_active)
    )
    return found is not None


async def line_of_variant(
    conn: AsyncConnection, cart_id: CartId, variant_id: VariantId
) -> tuple[LineId, int] | None:
    row = (
        await conn.execute(
            sa.select(cart_line.c.id, cart_line.c.quantity).where(
                cart_line.c.cart_id == cart_id, cart_line.c.variant_id == variant_id
            )
        )
    ).one_or_none()
    return None if row is None else (LineId(row.id), row.quantity)


async def line_count(conn: AsyncConnection, cart_id: CartId) -> int:
    count = await conn.scalar(
        sa.select(sa.func.count()).select_from(cart_line).where(cart_line.c.cart_id == cart_id)
    )
    return int(count or 0)


async def add_line(
    conn: AsyncConnection,
    *,
    line_id: LineId,
    cart_id: CartId,
    variant_id: VariantId,
    quantity: int,
    show_id: ShowId | None,
    now: datetime,
) -> None:
    await conn.execute(
        sa.insert(cart_line).values(
            id=line_id,
            cart_id=cart_id,
            variant_id=variant_id,
            quantity=quantity,
            show_id=show_id,
            added_at=now,
        )
    )


async def set_quantity(
    conn: AsyncConnection, cart_id: CartId, line_id: LineId, quantity: int
) -> VariantId | None:
    """The line's variant; None when this cart has no such line."""
    found = await conn.scalar(
        sa.update(cart_line)
        .where(cart_line.c.id == line_id, cart_line.c.cart_id == cart_id)
        .values(quantity=quantity)
        .returning(cart_line.c.variant_id)
    )
    return None if found is None else VariantId(found)


async def remove_line(conn: AsyncConnection, cart_id: CartId, line_id: LineId) -> VariantId | None:
    """The line's variant; None when this cart has no such line."""
    found = await conn.scalar(
        sa.delete(cart_line)
        .where(cart_line.c.id == line_id, cart_line.c.cart_id == cart_id)
        .returning(cart_line.c.variant_id)
    )
    return None if found is None else VariantId(found)


async def clear(conn: AsyncConnection, cart_id: CartId) -> None:
    await conn.execute(sa.delete(cart_line).where(cart_line.c.cart_id == cart_id))


async def carts_of_show(conn: AsyncConnection, show_id: ShowId, now: datetime) -> int:
    """How many carts hold something from this show at this moment."""
    count = await conn.scalar(
        sa.select(sa.func.count(sa.distinct(cart_line.c.cart_id)))
        .join(hold, hold.c.owner == cart_line.c.id)
        .where(cart_line.c.show_id == show_id, hold.c.expires_at > now)
    )
    return int(count or 0)


async def _images(
    conn: AsyncConnection, product_ids: Sequence[str]
) -> dict[str, dict[str | None, str]]:
    """Per product: its pictures' media by key, the first one also under None."""
    rows = await conn.execute(
        sa.select(product_image.c.product_id, product_image.c.key, product_image.c.media_id)
        .where(product_image.c.product_id.in_(product_ids), product_image.c.media_id.is_not(None))
        .order_by(product_image.c.product_id, product_image.c.position)
    )
    found: dict[str, dict[str | None, str]] = {}
    for row in rows:
        of_product = found.setdefault(row.product_id, {None: row.media_id})
        of_product[row.key] = row.media_id
    return found


def _line(
    row: sa.Row[Any],
    held: dict[str, tuple[int, datetime | None]],
    free: dict[VariantId, int],
    images: dict[str, dict[str | None, str]],
) -> CartLine:
    pictures = images.get(row.product_id, {})
    quantity, until = held.get(row.id, (0, None))
    return CartLine(
        id=LineId(row.id),
        variant_id=VariantId(row.variant_id),
        product_id=ProductId(row.product_id),
        title=row.title,
        values=tuple(row.option_values),
        sku=row.sku,
        image_id=pictures.get(row.picture_key) or pictures.get(None),
        quantity=row.quantity,
        unit_price=Money(row.price_amount, row.currency),
        compare_at=(
            Money(row.compare_at_amount, row.currency)
            if row.compare_at_amount is not None
            else None
        ),
        tax_class=row.tax_class,
        show_id=ShowId(row.show_id) if row.show_id else None,
        held=quantity,
        held_until=until,
        available=free.get(VariantId(row.variant_id), 0) if row.is_for_sale else 0,
        is_for_sale=bool(row.is_for_sale),
    )
