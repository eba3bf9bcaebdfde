"""All SQL about payments."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.ids import OrderId, PaymentId
from liveshop.kernel.money import Money
from liveshop.payments.model import ChargeAnswer, Payment
from liveshop.payments.tables import payment, sandbox_charge
from liveshop.storage import insert


async def add(conn: AsyncConnection, new: Payment) -> None:
    await conn.execute(
        sa.insert(payment).values(
            id=new.id,
            order_id=new.order_id,
            method=new.method,
            state=new.state,
            amount=new.amount.amount,
            currency=new.amount.currency,
            reference=new.reference,
            message=new.message,
            created_at=new.created_at,
            updated_at=new.created_at,
        )
    )


async def record_answer(
    conn: AsyncConnection, payment_id: PaymentId, answer: ChargeAnswer, now: datetime
) -> bool:
    """Write down a provider's answer; False when another got there first."""
    result = await conn.execute(
        sa.update(payment)
        .where(payment.c.id == payment_id, payment.c.state == "pending")
        .values(
            state=answer.state, reference=answer.reference, message=answer.message, updated_at=now
        )
    )
    return result.rowcount == 1


async def owe_refund(conn: AsyncConnection, payment_id: PaymentId, now: datetime) -> None:
    """From now on what was paid is to go back."""
    await conn.execute(
        sa.update(payment)
        .where(payment.c.id == payment_id, payment.c.state.in_(("paid", "authorised")))
        .values(state="refund_due", updated_at=now)
    )


async def record_refund(
    conn: AsyncConnection, payment_id: PaymentId, answer: ChargeAnswer, now: datetime
) -> bool:
    """Write down that it has gone back; False when that was known."""
    result = await conn.execute(
        sa.update(payment)
        .where(payment.c.id == payment_id, payment.c.state == "refund_due")
        .values(
            state="refunded", reference=answer.reference, message=answer.message, updated_at=now
        )
    )
    return result.rowcount == 1


async def of_orders(conn: AsyncConnection, order_ids: Sequence[OrderId]) -> dict[OrderId, Payment]:
    """The latest payment of each order."""
    rows = await conn.execute(
        sa.select(payment).where(payment.c.order_id.in_(order_ids)).order_by(payment.c.created_at)
    )
    return {OrderId(row.order_id): _payment(row) for row in rows}


async def sandbox_find(conn: AsyncConnection, key: PaymentId) -> ChargeAnswer | None:
    row = (
        await conn.execute(sa.select(sandbox_charge).where(sandbox_charge.c.key == key))
    ).one_or_none()
    return None if row is None else ChargeAnswer(row.state, row.reference, row.message)


async def sandbox_keep(
    conn: AsyncConnection, key: PaymentId, amount: Money, answer: ChargeAnswer
) -> ChargeAnswer:
    """Write an answer down unless this key has one; the one it has."""
    await conn.execute(
        insert(conn, sandbox_charge)
        .values(
            key=key,
            state=answer.state,
            reference=answer.reference,
            message=answer.message,
            amount=amount.amount,
            currency=amount.currency,
        )
        .on_conflict_do_nothing(index_elements=["key"])
    )
    kept = await sandbox_find(conn, key)
    assert kept is not None
    return kept


async def sandbox_refund(conn: AsyncConnection, key: PaymentId) -> None:
    """What was paid under this key has gone back."""
    await conn.execute(
        sa.update(sandbox_charge)
        .where(sandbox_charge.c.key == key, sandbox_charge.c.state == "paid")
        .values(state="refunded")
    )


def _payment(row: sa.Row[Any]) -> Payment:
    return Payment(
        id=PaymentId(row.id),
        order_id=OrderId(row.order_id),
        method=row.method,
        state=row.state,
        amount=Money(row.amount, row.currency),
        reference=row.reference,
        message=row.message,
        created_at=row.created_at,
    )
