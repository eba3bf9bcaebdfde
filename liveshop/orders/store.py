"""All SQL about orders."""

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.ids import OrderId, ProductId, ShowId, VariantId, ViewerId
from liveshop.kernel.money import Money
from liveshop.orders.model import (
    TRANSITIONS,
    Address,
    Order,
    OrderLine,
    OrderState,
    OrderStep,
    TaxLine,
)
from liveshop.orders.tables import order_counter, order_line, shop_order
from liveshop.payments import store as payments
from liveshop.payments.model import Payment
from liveshop.storage import insert

FIRST_NUMBER = 100_001
_NUMBER_PREFIX = "L-"


async def next_number(conn: AsyncConnection) -> str:
    """The next consecutive order number; the counter's row stays locked until the commit."""
    statement = insert(conn, order_counter).values(id=1, last_number=FIRST_NUMBER)
    statement = statement.on_conflict_do_update(
        index_elements=["id"], set_={"last_number": order_counter.c.last_number + 1}
    ).returning(order_counter.c.last_number)
    return f"{_NUMBER_PREFIX}{(await conn.execute(statement)).scalar_one()}"


async def add(
    conn: AsyncConnection, order: Order, *, idempotency_key: str, request_hash: str
) -> None:
    await conn.execute(
        sa.insert(shop_order).values(
            id=order.id,
            number=int(order.number.removeprefix(_NUMBER_PREFIX)),
            state=order.state,
            viewer_id=order.viewer_id,
            show_id=order.show_id,
            placed_at=order.placed_at,
            email=order.email,
            address=order.address,
            currency=order.total.currency,
            subtotal_amount=order.subtotal.amount,
            shipping_amount=order.shipping.amount,
            taxes=order.taxes,
            tax_added_amount=order.tax_added.amount,
            explanation=order.explanation,
            total_amount=order.total.amount,
            idempotency_key=idempotency_key,
            request_hash=request_hash,
        )
    )
    await conn.execute(
        sa.insert(order_line),
        [
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
        ],
    )
    await payments.add(conn, order.payment)


async def change_state(conn: AsyncConnection, order_id: OrderId, to: OrderState) -> bool:
    """Move an order along the declared machine; False when no transition leads there from here."""
    sources = [state for state, targets in TRANSITIONS.items() if to in targets]
    result = await conn.execute(
        sa.update(shop_order)
        .where(shop_order.c.id == order_id, shop_order.c.state.in_(sources))
        .values(state=to)
    )
    return result.rowcount == 1


async def by_id(conn: AsyncConnection, order_id: OrderId) -> Order | None:
    found = await _load(conn, sa.select(shop_order).where(shop_order.c.id == order_id))
    return found[0] if found else None


async def by_key(
    conn: AsyncConnection, viewer_id: ViewerId, key: str
) -> tuple[OrderId, str] | None:
    """The order a viewer placed with this idempotency key, and the hash of what was asked."""
    row = (
        await conn.execute(
            sa.select(shop_order.c.id, shop_order.c.request_hash).where(
                shop_order.c.viewer_id == viewer_id, shop_order.c.idempotency_key == key
            )
        )
    ).one_or_none()
    return None if row is None else (OrderId(row.id), row.request_hash)


async def page(
    conn: AsyncConnection, *, show_id: ShowId | None, before: OrderId | None, limit: int
) -> list[Order]:
    """Newest first. Ids sort by time, so the id is the cursor."""
    query = sa.select(shop_order).order_by(shop_order.c.id.desc()).limit(limit)
    if show_id is not None:
        query = query.where(shop_order.c.show_id == show_id)
    if before is not None:
        query = query.where(shop_order.c.id < before)
    return await _load(conn, query)


async def totals_of_show(conn: AsyncConnection, show_id: ShowId) -> tuple[int, int]:
    """How many orders stand, and their value in minor units."""
    row = (
        await conn.execute(
            sa.select(
                sa.func.count(), sa.func.coalesce(sa.func.sum(shop_order.c.total_amount), 0)
            ).where(shop_order.c.show_id == show_id, shop_order.c.state == "confirmed")
        )
    ).one()
    return int(row[0]), int(row[1])


async def lock_rations(
    conn: AsyncConnection, email: str, product_ids: Collection[ProductId]
) -> None:
    """From here to the commit nobody else orders these products under this address, on PostgreSQL.

    Two orders of one customer for two variants have no cart and no stock in common: without this
    neither would count the other. The locks are numbers, in which two customers may meet; then one
    waits for the other.
    """
    if conn.dialect.name != "postgresql" or not product_ids:
        return
    keys = sorted(_lock_number(f"{email.casefold()} {product_id}") for product_id in product_ids)
    wanted = sa.func.unnest(sa.cast(keys, ARRAY(sa.BigInteger))).column_valued("key")
    await conn.execute(sa.select(sa.func.pg_advisory_xact_lock(wanted)))


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

    With `email`, orders under that address count as the viewer's own too.
    """
    viewer_ids = {viewer_id for viewer_id, _ in wanted}
    product_ids = {product_id for _, product_id in wanted}
    whose: sa.ColumnElement[bool] = shop_order.c.viewer_id.in_(viewer_ids)
    if email is not None:
        assert len(viewer_ids) == 1, "an address belongs to one buyer"
        whose = sa.or_(whose, sa.func.lower(shop_order.c.email) == email.lower())
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


async def _load(conn: AsyncConnection, query: sa.Select[Any]) -> list[Order]:
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
    paid = await payments.of_orders(conn, ids)
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
        number=f"{_NUMBER_PREFIX}{row.number}",
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
    )
