"""All SQL about refunds, and what of a payment is set aside for them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.ids import OrderId, PaymentId, RefundId
from liveshop.kernel.money import Money
from liveshop.payments.model import Refund, RefundAnswer
from liveshop.payments.tables import payment, refund


async def of_orders(
    conn: AsyncConnection, order_ids: Sequence[OrderId]
) -> dict[OrderId, list[Refund]]:
    """All refunds of each of these orders, the first first."""
    found: dict[OrderId, list[Refund]] = {order_id: [] for order_id in order_ids}
    rows = await conn.execute(
        sa.select(refund)
        .where(refund.c.order_id.in_(order_ids))
        .order_by(refund.c.created_at, refund.c.id)
    )
    for row in rows:
        found[OrderId(row.order_id)].append(_refund(row))
    return found


async def by_id(conn: AsyncConnection, refund_id: RefundId) -> Refund | None:
    found = await conn.execute(sa.select(refund).where(refund.c.id == refund_id))
    row = found.one_or_none()
    return None if row is None else _refund(row)


async def by_key(conn: AsyncConnection, key: str) -> Refund | None:
    found = await conn.execute(sa.select(refund).where(refund.c.key == key))
    row = found.one_or_none()
    return None if row is None else _refund(row)


async def is_by_hand(conn: AsyncConnection, refund_id: RefundId) -> bool:
    """Whether a refund waits for a person: the provider is not to be asked for it."""
    found = await conn.scalar(
        sa.select(refund.c.id).where(
            refund.c.id == refund_id,
            refund.c.state.in_(("due", "pending")),
            refund.c.cause != "provider",
            refund.c.check_at.is_(None),
        )
    )
    return found is not None


async def add(conn: AsyncConnection, new: Refund, *, key: str, check_at: datetime | None) -> None:
    await conn.execute(
        sa.insert(refund).values(
            id=new.id,
            order_id=new.order_id,
            payment_id=new.payment_id,
            state=new.state,
            amount=new.amount.amount,
            currency=new.amount.currency,
            cause=new.cause,
            note=new.note,
            key=key,
            reference=new.reference,
            message=new.message,
            check_at=check_at,
            created_at=new.created_at,
            updated_at=new.created_at,
        )
    )


async def set_aside(
    conn: AsyncConnection, payment_id: PaymentId, amount: int, now: datetime
) -> bool:
    """Count so many minor units as going back; False when there are not so many left."""
    result = await conn.execute(
        sa.update(payment)
        .where(
            payment.c.id == payment_id,
            payment.c.refunded_amount + amount <= payment.c.captured_amount,
        )
        .values(refunded_amount=payment.c.refunded_amount + amount, updated_at=now)
    )
    return result.rowcount == 1


async def record(
    conn: AsyncConnection,
    known: Refund,
    answer: RefundAnswer,
    now: datetime,
    *,
    check_at: datetime | None = None,
) -> bool:
    """Write down how a refund stands, and when to ask again; False when that was known or it is
    over. One that failed counts no more, also where it was told to be done before: a bank may send
    money back. Its payment has to be locked."""
    was = {"done": ("due", "pending"), "failed": ("due", "pending", "done")}
    result = await conn.execute(
        sa.update(refund)
        .where(
            refund.c.id == known.id,
            refund.c.state.in_(was.get(answer.state, ("due",))),
            refund.c.state != answer.state,
        )
        .values(
            state=answer.state,
            reference=answer.reference,
            message=answer.message,
            check_at=check_at,
            updated_at=now,
        )
    )
    if result.rowcount != 1:
        return False
    if answer.state == "failed":
        await conn.execute(
            sa.update(payment)
            .where(payment.c.id == known.payment_id)
            .values(refunded_amount=payment.c.refunded_amount - known.amount.amount, updated_at=now)
        )
    return True


async def note_attempt(
    conn: AsyncConnection, refund_id: RefundId, answer: RefundAnswer, now: datetime
) -> None:
    """The provider cannot give it back just now: why, and its name for what was tried."""
    await conn.execute(
        sa.update(refund)
        .where(refund.c.id == refund_id, refund.c.state == "due")
        .values(reference=answer.reference, message=answer.message, updated_at=now)
    )


async def due(conn: AsyncConnection, now: datetime, limit: int) -> list[tuple[Refund, int]]:
    rows = await conn.execute(
        sa.select(refund)
        .where(refund.c.check_at <= now)
        .order_by(refund.c.check_at, refund.c.id)
        .limit(limit)
    )
    return [(_refund(row), row.checks) for row in rows]


async def put_off(
    conn: AsyncConnection, times: Mapping[RefundId, tuple[int, datetime]]
) -> set[RefundId]:
    """As `store.put_off_payments`."""
    return {
        RefundId(id_)
        for id_, (checks, at) in times.items()
        if (
            await conn.execute(
                sa.update(refund)
                .where(
                    refund.c.id == id_, refund.c.checks == checks, refund.c.check_at.is_not(None)
                )
                .values(checks=checks + 1, check_at=at)
            )
        ).rowcount
    }


def _refund(row: sa.Row[Any]) -> Refund:
    return Refund(
        id=RefundId(row.id),
        order_id=OrderId(row.order_id),
        payment_id=PaymentId(row.payment_id),
        state=row.state,
        amount=Money(row.amount, row.currency),
        cause=row.cause,
        note=row.note,
        reference=row.reference,
        message=row.message,
        created_at=row.created_at,
    )
