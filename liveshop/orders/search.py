"""Finding orders among many: by what staff has in hand, newest first.

A search looks at an index that holds no more than it needs; only what is shown is loaded. Several
readings of one text (a number, a code, a name) are each asked for by themselves: together, no
database would use its indexes.
"""

import re
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.clock import EARLIEST_YEAR, LATEST_YEAR
from liveshop.kernel.errors import Invalid
from liveshop.kernel.ids import OrderId, first_id
from liveshop.kernel.rehearsals import ORDER
from liveshop.orders import store, wire
from liveshop.orders.model import Order
from liveshop.orders.pickup_codes import read_code
from liveshop.orders.tables import fulfilment, order_line, shop_order
from liveshop.payments.tables import payment

_NUMBER = re.compile(r"(?:l-?)?([0-9]{1,15})", re.IGNORECASE)


async def find(
    conn: AsyncConnection, query: wire.OrderQuery, limit: int, *, cursor: str | None
) -> list[Order]:
    """Newest first, at most `limit`, after the order `cursor`; those of the query are not looked
    at. Raises Invalid.
    """
    ids = await _ids(conn, query, limit, cursor)
    found = await store.by_ids(conn, ids)
    return [found[id_] for id_ in ids if id_ in found]


async def _ids(
    conn: AsyncConnection, query: wire.OrderQuery, limit: int, cursor: str | None
) -> list[OrderId]:
    text = (query.q or "").strip()
    searches = _searches(text) if text else [sa.select(shop_order.c.id)]
    filters = _filters(query)
    if cursor is not None:
        filters.append(shop_order.c.id < cursor)
    found: set[str] = set()
    for search in searches:
        newest = search.where(*filters).order_by(shop_order.c.id.desc()).limit(limit)
        found.update((await conn.execute(newest)).scalars())
    return [OrderId(id_) for id_ in sorted(found, reverse=True)[:limit]]


def _searches(text: str) -> list[sa.Select[tuple[str]]]:
    """One for each thing this text may be."""
    orders = sa.select(shop_order.c.id)
    of_lines = orders.join(order_line, order_line.c.order_id == shop_order.c.id)
    searches = [
        orders.where(_who(store.folded(" ".join(text.split())))),
        of_lines.where(order_line.c.sku.in_({text, text.upper(), text.lower()})).distinct(),
    ]
    number = _NUMBER.fullmatch(text)
    if number is not None:
        searches.append(orders.where(shop_order.c.number == int(number[1])))
    code = read_code(text)
    if code is not None:
        searches.append(orders.where(shop_order.c.pickup_code == code))
    return searches


def _who(folded: str) -> sa.ColumnElement[bool]:
    """The beginning of the e-mail address, or any part of the name."""
    whom = shop_order.c.search_text
    pattern = folded.replace("/", "//").replace("%", "/%").replace("_", "/_")
    return sa.or_(whom.like(f"{pattern}%", escape="/"), whom.like(f"%\n%{pattern}%", escape="/"))


def _filters(query: wire.OrderQuery) -> list[sa.ColumnElement[bool]]:
    filters: list[sa.ColumnElement[bool]] = [
        sa.not_(store.is_real()) if query.rehearsal else store.is_real()
    ]
    for column, value in (
        (shop_order.c.show_id, query.show_id),
        (shop_order.c.state, query.state),
        (shop_order.c.delivery, query.delivery),
        (shop_order.c.store_id, query.store_id),
    ):
        if value is not None:
            filters.append(column == value)
    if query.payment is not None:
        filters.append(
            sa.exists().where(
                payment.c.order_id == shop_order.c.id, payment.c.state == query.payment
            )
        )
    if query.fulfilment is not None:
        filters.append(
            sa.exists().where(
                fulfilment.c.order_id == shop_order.c.id, fulfilment.c.state == query.fulfilment
            )
        )
    prefix = ORDER if query.rehearsal else "ord"
    # Ids sort by time: they bound what is read, and the moments themselves say the rest.
    if query.since is not None:
        since = _checked(query.since, "since")
        filters += [shop_order.c.id >= first_id(prefix, since), shop_order.c.placed_at >= since]
    if query.before is not None:
        before = _checked(query.before, "before")
        last = first_id(prefix, before + timedelta(milliseconds=1))
        filters += [shop_order.c.id < last, shop_order.c.placed_at < before]
    return filters


def _checked(moment: datetime, field: str) -> datetime:
    """Raises Invalid for a moment no database can hold."""
    if not EARLIEST_YEAR <= moment.year < LATEST_YEAR:
        raise Invalid(
            f"Give a year from {EARLIEST_YEAR} to {LATEST_YEAR - 1}.", data={"field": field}
        )
    return moment
