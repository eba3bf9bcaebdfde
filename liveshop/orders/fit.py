"""What returns say of a product's size: counted, never guessed, and silent where too little is
known.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.tables import product, variant
from liveshop.kernel.ids import ProductId, first_id
from liveshop.orders.store import is_real
from liveshop.orders.tables import order_line, order_return, order_return_line, shop_order

Fit = Literal["runs_small", "runs_large"]

LEAST_UNITS = 5
"""Units returned for their size: fewer may be one customer and his brother."""
LEAST_SHARE_PERCENT = 15
"""Of the units sold. Clothes come back for their size all the time, some in both directions; only
what stands out is worth a word on the card."""
CLEAR_MAJORITY = 3
"""How many times as many units must have been returned for the one reason as for the other: where
both are common the size chart is wrong, or the cut, and neither word would help."""


COUNTED = timedelta(days=365)
"""Sizes change with the maker; and a product that sells for years must not be counted from its
first day each time one comes back."""


def fit_of(*, sold: int, too_small: int, too_large: int) -> Fit | None:
    """What to tell of a product of which so many units were sold, and so many of these came back
    because they were too small or too large. A hint for whoever chooses a size; None: no hint.
    """
    returned = too_small + too_large
    if returned < LEAST_UNITS or returned * 100 < LEAST_SHARE_PERCENT * sold:
        return None
    if too_small >= CLEAR_MAJORITY * too_large:
        return "runs_small"
    if too_large >= CLEAR_MAJORITY * too_small:
        return "runs_large"
    return None


async def recompute(
    conn: AsyncConnection, product_ids: Collection[ProductId], now: datetime
) -> set[ProductId]:
    """Count again for these products, and write down what is told of them now; those of which that
    changed.

    Sold are the units of confirmed orders of the last `COUNTED`; returned those of them that an
    inspection has accepted.
    """
    ids = sorted(product_ids)
    if conn.dialect.name == "postgresql":
        # Two who count at once would each miss what the other has just found.
        rows = sa.select(product.c.id).where(product.c.id.in_(ids)).order_by(product.c.id)
        await conn.execute(rows.with_for_update(key_share=True))
    changed: dict[ProductId, Fit | None] = {}
    since = first_id("ord", now - COUNTED)
    for row in await conn.execute(_COUNTS, {"ids": ids, "since": since}):
        told = fit_of(
            sold=int(row.sold or 0),
            too_small=int(row.too_small or 0),
            too_large=int(row.too_large or 0),
        )
        if told != row.fit:
            changed[ProductId(row.id)] = told
    for product_id, told in changed.items():
        await conn.execute(sa.update(product).where(product.c.id == product_id).values(fit=told))
    return set(changed)


def _counts() -> sa.Select[Any]:
    """(id, fit, sold, too_small, too_large) of the products `ids`, from orders whose id is at least
    `since`. Their lines are found by variant and, as ids sort by time, from there on: an index has
    both, so what was sold earlier is not looked at."""
    ids: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
    lines = (
        sa.select(
            variant.c.product_id,
            order_line.c.order_id,
            order_line.c.position,
            order_line.c.quantity,
        )
        .join(order_line, order_line.c.variant_id == variant.c.id)
        .join(shop_order, shop_order.c.id == order_line.c.order_id)
        .where(
            variant.c.product_id.in_(ids),
            order_line.c.order_id >= sa.bindparam("since"),
            shop_order.c.state == "confirmed",
            is_real(),
        )
        .cte("lines")
    )
    sold = (
        sa.select(lines.c.product_id, sa.func.sum(lines.c.quantity).label("units"))
        .group_by(lines.c.product_id)
        .subquery("sold")
    )

    def for_reason(reason: str) -> sa.ColumnElement[int]:
        units = sa.case((order_return_line.c.reason == reason, order_return_line.c.accepted))
        return sa.func.sum(units).label(reason)

    came_back = sa.and_(
        order_return_line.c.return_id == order_return.c.id,
        order_return_line.c.position == lines.c.position,
    )
    back = (
        sa.select(lines.c.product_id, for_reason("too_small"), for_reason("too_large"))
        .join(order_return, order_return.c.order_id == lines.c.order_id)
        .join(order_return_line, came_back)
        .where(order_return.c.state == "received")
        .group_by(lines.c.product_id)
        .subquery("back")
    )
    return (
        sa.select(
            product.c.id,
            product.c.fit,
            sold.c.units.label("sold"),
            back.c.too_small,
            back.c.too_large,
        )
        .outerjoin(sold, sold.c.product_id == product.c.id)
        .outerjoin(back, back.c.product_id == product.c.id)
        .where(product.c.id.in_(ids))
        .order_by(product.c.id)
    )


_COUNTS = _counts()
