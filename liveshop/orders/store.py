"""All SQL about orders."""

import hashlib
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.store import in_chunks
from liveshop.kernel.ids import (
    LocationId,
    OrderId,
    ProductId,
    RehearsalId,
    ShowId,
    VariantId,
    ViewerId,
)
from liveshop.kernel.money import Money
from liveshop.kernel.rehearsals import ORDER, guests_pattern, is_rehearsing
from liveshop.orders.model import (
    TRANSITIONS,
    Address,
    Order,
    OrderLine,
    OrderState,
    OrderStep,
    Promise,
    TaxLine,
)
from liveshop.orders.tables import (
    order_counter,
    order_event,
    order_feedback,
    order_line,
    shop_order,
)
from liveshop.payments import store as payments
from liveshop.payments.model import Payment
from liveshop.storage import Rows, insert

FIRST_NUMBER = 100_001
_NUMBER_PREFIX = "L-"
_REHEARSED = 3
"""Its counter."""
_REHEARSED_PREFIX = "REHEARSAL-"
_SEARCH_LENGTH = 400


def folded(text: str) -> str:
    """As texts are compared by who searches: without case or width."""
    return unicodedata.normalize("NFKC", text).casefold()


def search_text(email: str, name: str) -> str:
    """What an order is found by. Folding makes some letters many: it is cut to what the column
    takes."""
    return f"{folded(email)}\n{folded(name)}"[:_SEARCH_LENGTH]


def is_real() -> sa.ColumnElement[bool]:
    """Whether an order was not placed in a rehearsal."""
    return shop_order.c.id.not_like(f"{ORDER}\\_%", escape="\\")


async def next_numbers(
    conn: AsyncConnection, count: int, *, in_rehearsal: bool = False
) -> list[str]:
    """The next consecutive order numbers; the counter's row stays locked until the commit. Those of
    rehearsals are counted by themselves."""
    if in_rehearsal:
        return [f"{_REHEARSED_PREFIX}{n}" for n in await _counted(conn, _REHEARSED, 1, count)]
    return [f"{_NUMBER_PREFIX}{n}" for n in await _counted(conn, 1, FIRST_NUMBER, count)]


async def _counted(conn: AsyncConnection, counter: int, first: int, count: int) -> range:
    statement = insert(conn, order_counter).values(id=counter, last_number=first + count - 1)
    statement = statement.on_conflict_do_update(
        index_elements=["id"], set_={"last_number": order_counter.c.last_number + count}
    ).returning(order_counter.c.last_number)
    last = (await conn.execute(statement)).scalar_one()
    return range(last - count + 1, last + 1)


def _stored_number(number: str) -> int:
    """Those of rehearsals are below zero."""
    if number.startswith(_REHEARSED_PREFIX):
        return -int(number.removeprefix(_REHEARSED_PREFIX))
    return int(number.removeprefix(_NUMBER_PREFIX))


def _shown_number(stored: int) -> str:
    return f"{_NUMBER_PREFIX}{stored}" if stored > 0 else f"{_REHEARSED_PREFIX}{-stored}"


@dataclass(frozen=True, slots=True)
class New:
    """An order to be written down, under its buyer's idempotency key, and the hash of what he asked
    for."""

    order: Order
    idempotency_key: str
    request_hash: str


async def add(
    conn: AsyncConnection, order: Order, *, idempotency_key: str, request_hash: str
) -> None:
    await add_all(conn, [New(order, idempotency_key, request_hash)])


async def add_all(conn: AsyncConnection, new: Sequence[New]) -> None:
    """In three statements."""
    await conn.execute(sa.insert(shop_order), [_head_row(one) for one in new])
    await conn.execute(sa.insert(order_line), [row for one in new for row in _line_rows(one.order)])
    await payments.add_all(conn, [one.order.payment for one in new])


def _head_row(new: New) -> dict[str, Any]:
    order = new.order
    return {
        "id": order.id,
        "number": _stored_number(order.number),
        "state": order.state,
        "viewer_id": order.viewer_id,
        "show_id": order.show_id,
        "placed_at": order.placed_at,
        "email": order.email,
        "address": order.address,
        "currency": order.total.currency,
        "subtotal_amount": order.subtotal.amount,
        "shipping_amount": order.shipping.amount,
        "taxes": order.taxes,
        "tax_added_amount": order.tax_added.amount,
        "explanation": order.explanation,
        "total_amount": order.total.amount,
        "language": order.language,
        "delivery": order.delivery,
        "store_id": order.store_id,
        "pickup_code": order.pickup_code,
        "promised_from": order.promise.from_ if order.promise else None,
        "promised_until": order.promise.until if order.promise else None,
        "search_text": search_text(order.email, order.address.name),
        "idempotency_key": new.idempotency_key,
        "request_hash": new.request_hash,
    }


def _line_rows(order: Order) -> list[dict[str, Any]]:
    return [
        {
            "order_id": order.id,
            "position": position,
            "variant_id": line.variant_id,
            "product_id": line.product_id,
            "title": line.title,
            "option_values": list(line.values),
            "sku": line.sku,
            "quantity": line.quantity,
            "unit_amount": line.unit_price.amount,
            "total_amount": line.total.amount,
            "payable_amount": line.payable.amount,
            "show_id": line.show_id,
        }
        for position, line in enumerate(order.lines)
    ]


async def change_state(conn: AsyncConnection, order_id: OrderId, to: OrderState) -> bool:
    """Move an order along the declared machine; False when no transition leads there from here."""
    sources = [state for state, targets in TRANSITIONS.items() if to in targets]
    result = await conn.execute(
        sa.update(shop_order)
        .where(shop_order.c.id == order_id, shop_order.c.state.in_(sources))
        .values(state=to)
    )
    return result.rowcount == 1


async def confirm(conn: AsyncConnection, order_ids: Collection[OrderId]) -> None:
    """Those of these that may be confirmed."""
    sources = [state for state, targets in TRANSITIONS.items() if "confirmed" in targets]
    await conn.execute(
        sa.update(shop_order)
        .where(shop_order.c.id.in_(order_ids), shop_order.c.state.in_(sources))
        .values(state="confirmed")
    )


async def by_id(conn: AsyncConnection, order_id: OrderId) -> Order | None:
    found = await _load(conn, sa.select(shop_order).where(shop_order.c.id == order_id))
    return found[0] if found else None


async def ids_of_viewer(conn: AsyncConnection, viewer_id: ViewerId) -> list[OrderId]:
    found = await conn.scalars(
        sa.select(shop_order.c.id).where(shop_order.c.viewer_id == viewer_id)
    )
    return [OrderId(id_) for id_ in found]


async def by_ids(conn: AsyncConnection, order_ids: Collection[OrderId]) -> dict[OrderId, Order]:
    """Those that exist."""
    if not order_ids:
        return {}
    found = await _load(conn, sa.select(shop_order).where(shop_order.c.id.in_(set(order_ids))))
    return {order.id: order for order in found}


async def locked(conn: AsyncConnection, order_id: OrderId) -> Order | None:
    """The order and its payment as they are; from here to the commit nobody else acts on them, on
    what is sent or what came back. Take it before stock. Providers' answers about money that is
    here are written down with the payment locked only.
    """
    row = sa.select(shop_order).where(shop_order.c.id == order_id)
    # Whoever waits for a row gets it as it was left; lines and payment are read after it.
    found = await _load(conn, row.with_for_update(key_share=True), locked=True)
    return found[0] if found else None


async def lock(conn: AsyncConnection, order_id: OrderId) -> None:
    """The same for somebody who knows the order already."""
    if conn.dialect.name == "postgresql":
        row = sa.select(shop_order.c.id).where(shop_order.c.id == order_id)
        await conn.execute(row.with_for_update(key_share=True))


async def lock_all(conn: AsyncConnection, order_ids: Collection[OrderId]) -> None:
    """The same for many, in one order."""
    if conn.dialect.name == "postgresql":
        rows = sa.select(shop_order.c.id).where(shop_order.c.id.in_(order_ids))
        await conn.execute(rows.order_by(shop_order.c.id).with_for_update(key_share=True))


async def newest_of_viewer(
    conn: AsyncConnection, viewer_id: ViewerId, state: OrderState
) -> Order | None:
    """The viewer's newest order that is in this state."""
    query = (
        sa.select(shop_order)
        .where(shop_order.c.viewer_id == viewer_id, shop_order.c.state == state)
        .order_by(shop_order.c.id.desc())
        .limit(1)
    )
    found = await _load(conn, query)
    return found[0] if found else None


async def by_keys(
    conn: AsyncConnection, keys: Mapping[ViewerId, str]
) -> dict[ViewerId, tuple[OrderId, str]]:
    """The order each viewer placed with his idempotency key, and the hash of what was asked."""
    rows = await _BY_KEYS(conn, sorted(keys.items()))
    return {ViewerId(row.viewer_id): (OrderId(row.id), row.request_hash) for row in rows}


_BY_KEYS = Rows(
    {"viewer_id": sa.String, "key": sa.String},
    lambda given: sa.select(
        shop_order.c.viewer_id, shop_order.c.id, shop_order.c.request_hash
    ).where(
        shop_order.c.viewer_id == given["viewer_id"],
        shop_order.c.idempotency_key == given["key"],
    ),
)


async def page(
    conn: AsyncConnection, *, show_id: ShowId | None, before: OrderId | None, limit: int
) -> list[Order]:
    """Newest first. Ids sort by time, so the id is the cursor."""
    query = sa.select(shop_order).where(is_real()).order_by(shop_order.c.id.desc()).limit(limit)
    if show_id is not None:
        query = query.where(shop_order.c.show_id == show_id)
    if before is not None:
        query = query.where(shop_order.c.id < before)
    return await _load(conn, query)


async def totals_of_show(
    conn: AsyncConnection, show_id: ShowId, *, is_rehearsed: bool = False
) -> tuple[int, int]:
    """How many orders stand, and their value in minor units; of the show, or of its rehearsal."""
    row = (
        await conn.execute(
            sa.select(
                sa.func.count(), sa.func.coalesce(sa.func.sum(shop_order.c.total_amount), 0)
            ).where(
                shop_order.c.show_id == show_id,
                shop_order.c.state == "confirmed",
                sa.not_(is_real()) if is_rehearsed else is_real(),
            )
        )
    ).one()
    return int(row[0]), int(row[1])


async def lock_rations(conn: AsyncConnection, wanted: Collection[tuple[str, ProductId]]) -> None:
    """From here to the commit nobody else orders these (e-mail address, product), on PostgreSQL.

    Two orders of one customer for two variants have no cart and no stock in common: without this
    neither would count the other. The locks are numbers, in which two customers may meet; then one
    waits for the other.
    """
    if conn.dialect.name != "postgresql" or not wanted:
        return
    keys = sorted(_lock_number(f"{email.casefold()} {product_id}") for email, product_id in wanted)
    each = sa.func.unnest(sa.cast(keys, ARRAY(sa.BigInteger))).column_valued("key")
    await conn.execute(sa.select(sa.func.pg_advisory_xact_lock(each)))


def _lock_number(name: str) -> int:
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


async def bought(
    conn: AsyncConnection,
    wanted: Collection[tuple[ViewerId, ProductId]],
    *,
    email: str | None = None,
) -> dict[tuple[ViewerId, ProductId], int]:
    """How many units of these products these viewers have ordered, in orders that stand or may.

    With `email`, orders under that address count as the viewer's own too; but what was ordered in
    a rehearsal is nobody's outside it.
    """
    viewer_ids = {viewer_id for viewer_id, _ in wanted}
    product_ids = {product_id for _, product_id in wanted}
    whose: sa.ColumnElement[bool] = shop_order.c.viewer_id.in_(viewer_ids)
    if email is not None:
        assert len(viewer_ids) == 1, "an address belongs to one buyer"
        same = sa.func.lower(shop_order.c.email) == email.lower()
        if any(map(is_rehearsing, viewer_ids)):
            same = sa.and_(same, sa.not_(is_real()))
        else:
            same = sa.and_(same, is_real())
        whose = sa.or_(whose, same)
    rows = await conn.execute(
        sa.select(
            shop_order.c.viewer_id, order_line.c.product_id, sa.func.sum(order_line.c.quantity)
        )
        .join(order_line, order_line.c.order_id == shop_order.c.id)
        .where(
            whose,
            order_line.c.product_id.in_(product_ids),
            shop_order.c.state.in_(("pending", "confirmed")),
        )
        .group_by(shop_order.c.viewer_id, order_line.c.product_id)
    )
    found: dict[tuple[ViewerId, ProductId], int] = {}
    for viewer_id, product_id, units in rows:
        whom = viewer_id if email is None else next(iter(viewer_ids))
        key = (ViewerId(whom), ProductId(product_id))
        found[key] = found.get(key, 0) + int(units)
    return found


async def forget_rehearsed(conn: AsyncConnection, rehearsal_id: RehearsalId) -> None:
    """What its guests ordered, with all that belongs to it."""
    whose = shop_order.c.viewer_id.like(guests_pattern(rehearsal_id), escape="\\")
    theirs = sa.select(shop_order.c.id).where(whose).order_by(shop_order.c.id).with_for_update()
    ids = [OrderId(one) for one in await conn.scalars(theirs)]
    for chunk in in_chunks(ids):
        await payments.forget(conn, [OrderId(one) for one in chunk])
        for table in (order_event, order_feedback, order_line):
            await conn.execute(sa.delete(table).where(table.c.order_id.in_(chunk)))
        await conn.execute(sa.delete(shop_order).where(shop_order.c.id.in_(chunk)))


async def _load(
    conn: AsyncConnection, query: sa.Select[Any], *, locked: bool = False
) -> list[Order]:
    heads = (await conn.execute(query)).all()
    ids = [OrderId(row.id) for row in heads]
    if not ids:
        return []
    lines: dict[str, list[OrderLine]] = {order_id: [] for order_id in ids}
    currencies = {row.id: row.currency for row in heads}
    rows = await conn.execute(
        sa.select(order_line)
        .where(order_line.c.order_id.in_(ids))
        .order_by(order_line.c.order_id, order_line.c.position)
    )
    for row in rows:
        lines[row.order_id].append(_line(row, currencies[row.order_id]))
    paid = await payments.of_orders(conn, ids, locked=locked)
    return [_order(row, lines[row.id], paid[OrderId(row.id)]) for row in heads]


def _line(row: sa.Row[Any], currency: str) -> OrderLine:
    return OrderLine(
        variant_id=VariantId(row.variant_id),
        product_id=ProductId(row.product_id),
        title=row.title,
        values=tuple(row.option_values),
        sku=row.sku,
        quantity=row.quantity,
        unit_price=Money(row.unit_amount, currency),
        total=Money(row.total_amount, currency),
        payable=Money(row.payable_amount, currency),
        show_id=ShowId(row.show_id) if row.show_id else None,
    )


def _order(row: sa.Row[Any], lines: Sequence[OrderLine], payment: Payment) -> Order:
    return Order(
        id=OrderId(row.id),
        number=_shown_number(row.number),
        state=row.state,
        viewer_id=ViewerId(row.viewer_id),
        show_id=ShowId(row.show_id) if row.show_id else None,
        placed_at=row.placed_at,
        email=row.email,
        address=msgspec.convert(row.address, Address),
        lines=tuple(lines),
        subtotal=Money(row.subtotal_amount, row.currency),
        shipping=Money(row.shipping_amount, row.currency),
        taxes=tuple(msgspec.convert(row.taxes, list[TaxLine])),
        tax_added=Money(row.tax_added_amount, row.currency),
        total=Money(row.total_amount, row.currency),
        explanation=tuple(msgspec.convert(row.explanation, list[OrderStep])),
        payment=payment,
        language=row.language,
        delivery=row.delivery,
        store_id=LocationId(row.store_id) if row.store_id else None,
        pickup_code=row.pickup_code,
        promise=Promise(row.promised_from, row.promised_until) if row.promised_from else None,
        invoice_number=row.invoice_number,
        invoiced_at=row.invoiced_at,
        invoice_year=row.invoice_year,
    )
