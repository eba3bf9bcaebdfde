"""All SQL about carts. Whatever several carts may be asked for at once, takes one statement."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.store import in_chunks
from liveshop.catalog.tables import (
    bundle_part,
    hold,
    is_real,
    product,
    product_image,
    variant,
    waiting,
)
from liveshop.checkout.model import Article, Cart, CartLine, Terms
from liveshop.checkout.tables import cart, cart_code, cart_line
from liveshop.kernel.ids import (
    CartId,
    LineId,
    PlaceId,
    ProductId,
    RehearsalId,
    ShowId,
    VariantId,
    ViewerId,
)
from liveshop.kernel.money import Money
from liveshop.kernel.rehearsals import guests_pattern, shelf_of
from liveshop.promotions.model import Item, Tier
from liveshop.shows.tables import show, show_rehearsal
from liveshop.storage import insert


def cart_id_of(viewer_id: ViewerId) -> CartId:
    """A viewer has one cart, named after him."""
    return CartId(f"crt_{viewer_id[4:]}")


async def lock(conn: AsyncConnection, viewer_ids: Collection[ViewerId], now: datetime) -> None:
    """Make sure the carts exist and are this transaction's alone until the commit."""
    statement = insert(conn, cart)
    statement = statement.on_conflict_do_update(
        index_elements=["id"], set_={"updated_at": statement.excluded.updated_at}
    )
    rows = [
        {"id": cart_id_of(one), "viewer_id": one, "created_at": now, "updated_at": now}
        for one in sorted(set(viewer_ids))
    ]
    await conn.execute(statement, rows)


async def load(
    conn: AsyncConnection,
    viewer_ids: Sequence[ViewerId],
    *,
    currency: str,
    hold_seconds: int,
    now: datetime,
) -> dict[ViewerId, Cart]:
    """The carts with what their lines hold at this moment; an empty one for who has none."""
    owners = {cart_id_of(viewer_id): viewer_id for viewer_id in viewer_ids}
    lines: dict[CartId, list[CartLine]] = {cart_id: [] for cart_id in owners}
    rows = await conn.execute(_LINES, {"cart_ids": list(owners), "now": now})
    for row in rows:
        lines[CartId(row.cart_id)].append(_line(row, hold_seconds))
    codes: dict[CartId, list[str]] = {cart_id: [] for cart_id in owners}
    for cart_id, code in await conn.execute(_CODES, {"cart_ids": list(owners)}):
        codes[CartId(cart_id)].append(code)
    return {
        viewer_id: Cart(cart_id, viewer_id, currency, tuple(lines[cart_id]), tuple(codes[cart_id]))
        for cart_id, viewer_id in owners.items()
    }


async def variants_of_lines(
    conn: AsyncConnection, viewer_ids: Iterable[ViewerId]
) -> dict[LineId, VariantId]:
    """What is in these carts."""
    ids = [cart_id_of(viewer_id) for viewer_id in viewer_ids]
    rows = await conn.execute(
        sa.select(cart_line.c.id, cart_line.c.variant_id).where(cart_line.c.cart_id.in_(ids))
    )
    return {LineId(row[0]): VariantId(row[1]) for row in rows}


async def parts_of(conn: AsyncConnection, bundle_ids: Collection[VariantId]) -> set[VariantId]:
    rows = await conn.execute(
        sa.select(bundle_part.c.part_id).where(bundle_part.c.bundle_id.in_(bundle_ids))
    )
    return {VariantId(row[0]) for row in rows}


async def articles(
    conn: AsyncConnection, variant_ids: Collection[VariantId]
) -> dict[VariantId, Article]:
    """What is sold under these ids, withdrawn ones too; unknown ones are left out."""
    if not variant_ids:
        return {}
    rows = await conn.execute(_ARTICLES, {"variant_ids": list(variant_ids)})
    return {VariantId(row.variant_id): _article(row) for row in rows}


async def terms_of_shows(
    conn: AsyncConnection, show_ids: Collection[ShowId], hold_seconds: int
) -> dict[ShowId, Terms]:
    """How the lines of these shows are held; unknown shows are left out."""
    if not show_ids:
        return {}
    rows = await conn.execute(
        sa.select(
            show.c.id,
            show.c.hold_mode,
            show.c.hold_seconds,
            show.c.audience,
            show_rehearsal.c.id.label("rehearsal_id"),
        )
        .outerjoin(
            show_rehearsal,
            sa.and_(show_rehearsal.c.show_id == show.c.id, show_rehearsal.c.ended_at.is_(None)),
        )
        .where(show.c.id.in_(show_ids))
    )
    return {
        ShowId(row.id): replace(
            _terms(row, hold_seconds), rehearsal=shelf_of(row.rehearsal_id or "")
        )
        for row in rows
    }


async def add_lines(
    conn: AsyncConnection, lines: Sequence[tuple[CartId, CartLine]], now: datetime
) -> None:
    """In this order: a cart is shown in the order it was filled in."""
    if lines:
        await conn.execute(
            sa.insert(cart_line),
            [
                {
                    "id": line.id,
                    "cart_id": cart_id,
                    "variant_id": line.variant_id,
                    "quantity": line.quantity,
                    "show_id": line.show_id,
                    "added_at": now + timedelta(microseconds=place),
                    "extensions": 0,
                }
                for place, (cart_id, line) in enumerate(lines)
            ],
        )


async def change_lines(conn: AsyncConnection, lines: Sequence[CartLine]) -> None:
    """Write down quantity, extensions and show of these lines."""
    if lines:
        await conn.execute(
            _CHANGE_LINE,
            [
                {
                    "b_id": line.id,
                    "b_quantity": line.quantity,
                    "b_extensions": line.extensions,
                    "b_show_id": line.show_id,
                }
                for line in lines
            ],
        )


async def move_lines(conn: AsyncConnection, line_ids: Collection[LineId], to: CartId) -> None:
    """Into another cart, as they are."""
    if line_ids:
        await conn.execute(
            sa.update(cart_line).where(cart_line.c.id.in_(line_ids)).values(cart_id=to)
        )


async def remove_lines(conn: AsyncConnection, line_ids: Collection[LineId]) -> None:
    if line_ids:
        await conn.execute(sa.delete(cart_line).where(cart_line.c.id.in_(line_ids)))


async def clear(conn: AsyncConnection, cart_ids: Collection[CartId]) -> None:
    """Take the lines out; the codes stay until the order is paid, or its buyer types them again."""
    await conn.execute(sa.delete(cart_line).where(cart_line.c.cart_id.in_(cart_ids)))


async def add_codes(
    conn: AsyncConnection, cart_id: CartId, codes: Sequence[str], now: datetime
) -> None:
    """Keep codes, folded; one that is there already stays as it is."""
    if codes:
        await conn.execute(
            insert(conn, cart_code).on_conflict_do_nothing(index_elements=["cart_id", "code"]),
            [{"cart_id": cart_id, "code": code, "added_at": now} for code in codes],
        )


async def remove_codes(conn: AsyncConnection, cart_id: CartId, *, code: str | None = None) -> None:
    """Forget one code, or all."""
    statement = sa.delete(cart_code).where(cart_code.c.cart_id == cart_id)
    if code is not None:
        statement = statement.where(cart_code.c.code == code)
    await conn.execute(statement)


async def remove_codes_until(conn: AsyncConnection, moments: Mapping[CartId, datetime]) -> None:
    """Forget the codes that were typed into each cart until its moment."""
    await conn.execute(
        _REMOVE_CODES, [{"of": cart_id, "until": moments[cart_id]} for cart_id in sorted(moments)]
    )


_REMOVE_CODES = sa.delete(cart_code).where(
    cart_code.c.cart_id == sa.bindparam("of"), cart_code.c.added_at <= sa.bindparam("until")
)


async def move_places(conn: AsyncConnection, place_ids: Collection[PlaceId], to: ViewerId) -> None:
    """Let somebody else have these places in waitlists, which he has none of yet."""
    if place_ids:
        await conn.execute(
            sa.update(waiting).where(waiting.c.id.in_(place_ids)).values(viewer_id=to)
        )


async def holders(
    conn: AsyncConnection,
    viewer_ids: Collection[ViewerId],
    variant_ids: Collection[VariantId],
    now: datetime,
) -> set[tuple[ViewerId, VariantId]]:
    """Which of these viewers' carts hold a unit of which of these variants at this moment."""
    viewers = {cart_id_of(viewer_id): viewer_id for viewer_id in viewer_ids}
    rows = await conn.execute(
        sa.select(cart_line.c.cart_id, cart_line.c.variant_id)
        .join(hold, hold.c.owner == cart_line.c.id)
        .where(
            cart_line.c.cart_id.in_(viewers),
            cart_line.c.variant_id.in_(variant_ids),
            hold.c.expires_at > now,
        )
    )
    return {(viewers[CartId(row[0])], VariantId(row[1])) for row in rows}


async def carts_of_show(
    conn: AsyncConnection, show_id: ShowId, now: datetime, *, is_rehearsed: bool = False
) -> int:
    """How many carts hold something from this show at this moment, or from its rehearsal."""
    is_real_hold = is_real(hold.c.location_id)
    count = await conn.scalar(
        sa.select(sa.func.count(sa.distinct(cart_line.c.cart_id)))
        .join(hold, hold.c.owner == cart_line.c.id)
        .where(
            cart_line.c.show_id == show_id,
            hold.c.expires_at > now,
            sa.not_(is_real_hold) if is_rehearsed else is_real_hold,
        )
    )
    return int(count or 0)


async def forget_rehearsed(conn: AsyncConnection, rehearsal_id: RehearsalId) -> None:
    """The carts of its guests. Those that come meanwhile are left for the next time."""
    whose = cart.c.viewer_id.like(guests_pattern(rehearsal_id), escape="\\")
    theirs = sa.select(cart.c.id).where(whose).order_by(cart.c.id).with_for_update()
    for ids in in_chunks(await conn.scalars(theirs)):
        await conn.execute(sa.delete(cart_code).where(cart_code.c.cart_id.in_(ids)))
        await conn.execute(sa.delete(cart_line).where(cart_line.c.cart_id.in_(ids)))
        await conn.execute(sa.delete(cart).where(cart.c.id.in_(ids)))


def _first_picture(*conditions: sa.ColumnElement[bool]) -> sa.ScalarSelect[str]:
    return (
        sa.select(product_image.c.media_id)
        .where(
            product_image.c.product_id == variant.c.product_id,
            product_image.c.media_id.is_not(None),
            *conditions,
        )
        .order_by(product_image.c.position)
        .limit(1)
        .scalar_subquery()
    )


_ARTICLE_COLUMNS = (
    variant.c.id.label("variant_id"),
    variant.c.product_id,
    variant.c.option_values,
    variant.c.sku,
    variant.c.price_amount,
    variant.c.compare_at_amount,
    variant.c.currency,
    variant.c.tax_class,
    variant.c.tiers,
    variant.c.weight_grams,
    product.c.title,
    product.c.category,
    product.c.max_per_customer,
    sa.and_(variant.c.is_active, product.c.is_active).label("is_for_sale"),
    sa.select(sa.func.sum(bundle_part.c.quantity))
    .where(bundle_part.c.bundle_id == variant.c.id)
    .scalar_subquery()
    .label("pieces"),
    sa.func.coalesce(
        _first_picture(product_image.c.key == variant.c.picture_key), _first_picture()
    ).label("image_id"),
)
_ARTICLES = (
    sa.select(*_ARTICLE_COLUMNS)
    .join(product, product.c.id == variant.c.product_id)
    .where(variant.c.id.in_(sa.bindparam("variant_ids", expanding=True)))
)
_LIVE = (
    sa.select(
        hold.c.owner,
        sa.func.sum(hold.c.quantity).label("held"),
        sa.func.min(hold.c.expires_at).label("held_until"),
    )
    .where(
        hold.c.owner.in_(
            sa.select(cart_line.c.id).where(
                cart_line.c.cart_id.in_(sa.bindparam("cart_ids", expanding=True))
            )
        ),
        hold.c.expires_at > sa.bindparam("now", type_=hold.c.expires_at.type),
    )
    .group_by(hold.c.owner)
    .subquery()
)
_LINES = (
    sa.select(
        cart_line.c.id,
        cart_line.c.cart_id,
        cart_line.c.quantity,
        cart_line.c.show_id,
        cart_line.c.extensions,
        show.c.hold_mode,
        show.c.hold_seconds,
        show.c.audience,
        _LIVE.c.held,
        _LIVE.c.held_until,
        *_ARTICLE_COLUMNS,
    )
    .join(variant, variant.c.id == cart_line.c.variant_id)
    .join(product, product.c.id == variant.c.product_id)
    .outerjoin(show, show.c.id == cart_line.c.show_id)
    .outerjoin(_LIVE, _LIVE.c.owner == cart_line.c.id)
    .where(cart_line.c.cart_id.in_(sa.bindparam("cart_ids", expanding=True)))
    .order_by(cart_line.c.added_at, cart_line.c.id)
)
_CODES = (
    sa.select(cart_code.c.cart_id, cart_code.c.code)
    .where(cart_code.c.cart_id.in_(sa.bindparam("cart_ids", expanding=True)))
    .order_by(cart_code.c.added_at, cart_code.c.code)
)
_CHANGE_LINE = (
    sa.update(cart_line)
    .where(cart_line.c.id == sa.bindparam("b_id"))
    .values(
        quantity=sa.bindparam("b_quantity"),
        extensions=sa.bindparam("b_extensions"),
        show_id=sa.bindparam("b_show_id"),
    )
)


def _line(row: Any, hold_seconds: int) -> CartLine:
    return CartLine(
        id=LineId(row.id),
        article=_article(row),
        quantity=row.quantity,
        show_id=ShowId(row.show_id) if row.show_id else None,
        terms=_terms(row, hold_seconds),
        extensions=row.extensions,
        held=int(row.held or 0),
        held_until=row.held_until,
    )


def _terms(row: Any, hold_seconds: int) -> Terms:
    """Those of the shop for a line of no show."""
    for_customers = row.audience == "customers"
    if row.hold_mode == "first_paid":
        return Terms(None, for_customers)
    return Terms(row.hold_seconds or hold_seconds, for_customers)


def _article(row: Any) -> Article:
    compare_at = row.compare_at_amount
    return Article(
        item=Item(
            variant_id=VariantId(row.variant_id),
            product_id=ProductId(row.product_id),
            title=row.title,
            price=Money(row.price_amount, row.currency),
            compare_at=None if compare_at is None else Money(compare_at, row.currency),
            tax_class=row.tax_class,
            category=row.category,
            tiers=tuple(
                Tier(least, Money(amount, row.currency)) for least, amount in row.tiers or ()
            ),
            weight_grams=row.weight_grams,
        ),
        values=tuple(row.option_values),
        sku=row.sku,
        image_id=row.image_id,
        is_for_sale=bool(row.is_for_sale),
        max_per_customer=row.max_per_customer,
        pieces=int(row.pieces or 1),
    )
