"""All SQL about returns."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.ids import LocationId, OrderId, RefundId, ReturnId
from liveshop.kernel.money import Money
from liveshop.orders.model import RETURN_TRANSITIONS, Credit, Return, ReturnLine, ReturnState
from liveshop.orders.tables import order_return, order_return_line, shop_order


async def add(conn: AsyncConnection, new: Return) -> None:
    """A return as it is asked for, before any inspection."""
    await conn.execute(
        sa.insert(order_return).values(
            id=new.id,
            order_id=new.order_id,
            kind=new.kind,
            state=new.state,
            note=new.note,
            created_at=new.created_at,
            updated_at=new.updated_at,
        )
    )
    await conn.execute(
        sa.insert(order_return_line),
        [
            {
                "return_id": new.id,
                "position": line.position,
                "quantity": line.quantity,
                "reason": line.reason,
                "note": line.note,
            }
            for line in new.lines
        ],
    )


async def change(conn: AsyncConnection, changed: Return) -> bool:
    """Write down a return as it is now; False when its state leads nowhere near, and nothing is
    changed then."""
    sources = [state for state, targets in RETURN_TRANSITIONS.items() if changed.state in targets]
    credit = changed.credit
    result = await conn.execute(
        sa.update(order_return)
        .where(order_return.c.id == changed.id, order_return.c.state.in_(sources))
        .values(
            state=changed.state,
            location_id=changed.location_id,
            refund_id=changed.refund_id,
            goods_amount=credit.goods.amount if credit else None,
            shipping_amount=credit.shipping.amount if credit else None,
            tax_added_amount=credit.tax_added.amount if credit else None,
            deduction_amount=credit.deduction.amount if credit else None,
            note=changed.note,
            updated_at=changed.updated_at,
        )
    )
    if result.rowcount != 1:
        return False
    inspected = [line for line in changed.lines if line.accepted is not None]
    if inspected:
        await conn.execute(
            sa.update(order_return_line).where(
                order_return_line.c.return_id == changed.id,
                order_return_line.c.position == sa.bindparam("at_position"),
            ),
            [
                {
                    "at_position": line.position,
                    "accepted": line.accepted,
                    "restocked": line.restocked,
                }
                for line in inspected
            ],
        )
    return True


async def by_id(conn: AsyncConnection, return_id: ReturnId) -> Return | None:
    found = await _load(conn, _HEADS.where(order_return.c.id == return_id))
    return found[0] if found else None


async def of_orders(
    conn: AsyncConnection, order_ids: Collection[OrderId]
) -> dict[OrderId, list[Return]]:
    """All returns of each of these orders, the first first."""
    found: dict[OrderId, list[Return]] = {order_id: [] for order_id in order_ids}
    if found:
        query = _HEADS.where(order_return.c.order_id.in_(list(found))).order_by(order_return.c.id)
        for one in await _load(conn, query):
            found[one.order_id].append(one)
    return found


async def of_order(conn: AsyncConnection, order_id: OrderId) -> list[Return]:
    """All returns of an order, the first first."""
    return (await of_orders(conn, [order_id]))[order_id]


async def page(
    conn: AsyncConnection,
    *,
    state: ReturnState | None,
    order_id: OrderId | None,
    before: ReturnId | None,
    limit: int,
) -> list[Return]:
    """Newest first. Ids sort by time, so the id is the cursor."""
    query = _HEADS.order_by(order_return.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(order_return.c.state == state)
    if order_id is not None:
        query = query.where(order_return.c.order_id == order_id)
    if before is not None:
        query = query.where(order_return.c.id < before)
    return await _load(conn, query)


_HEADS = sa.select(order_return, shop_order.c.currency).join(
    shop_order, shop_order.c.id == order_return.c.order_id
)


async def _load(conn: AsyncConnection, query: sa.Select[Any]) -> list[Return]:
    heads = (await conn.execute(query)).all()
    lines: dict[str, list[ReturnLine]] = {row.id: [] for row in heads}
    if not lines:
        return []
    rows = await conn.execute(
        sa.select(order_return_line)
        .where(order_return_line.c.return_id.in_(list(lines)))
        .order_by(order_return_line.c.return_id, order_return_line.c.position)
    )
    for row in rows:
        lines[row.return_id].append(
            ReturnLine(
                position=row.position,
                quantity=row.quantity,
                reason=row.reason,
                note=row.note,
                accepted=row.accepted,
                restocked=row.restocked,
            )
        )
    return [_return(row, lines[row.id]) for row in heads]


def _return(row: sa.Row[Any], lines: list[ReturnLine]) -> Return:
    return Return(
        id=ReturnId(row.id),
        order_id=OrderId(row.order_id),
        kind=row.kind,
        state=row.state,
        location_id=LocationId(row.location_id) if row.location_id else None,
        refund_id=RefundId(row.refund_id) if row.refund_id else None,
        note=row.note,
        lines=tuple(lines),
        created_at=row.created_at,
        updated_at=row.updated_at,
        credit=_credit(row),
    )


def _credit(row: sa.Row[Any]) -> Credit | None:
    if row.goods_amount is None:
        return None
    return Credit(
        goods=Money(row.goods_amount, row.currency),
        shipping=Money(row.shipping_amount, row.currency),
        tax_added=Money(row.tax_added_amount, row.currency),
        deduction=Money(row.deduction_amount, row.currency),
    )
