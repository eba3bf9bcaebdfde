"""SQL of the sandbox's own books, which stand for somebody else's database."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.ids import PaymentId, RefundId
from liveshop.kernel.money import Money
from liveshop.payments.model import ChargeAnswer, PaymentState
from liveshop.payments.tables import sandbox_charge, sandbox_refund
from liveshop.storage import insert


async def find(conn: AsyncConnection, key: PaymentId) -> ChargeAnswer | None:
    row = (
        await conn.execute(sa.select(sandbox_charge).where(sandbox_charge.c.key == key))
    ).one_or_none()
    return None if row is None else _answer(row)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be answered about a charge."""

    key: PaymentId
    amount: Money
    answer: ChargeAnswer


async def keep(
    conn: AsyncConnection, key: PaymentId, amount: Money, answer: ChargeAnswer
) -> ChargeAnswer:
    """Write an answer down unless this key has one; the one it has."""
    [kept] = await keep_each(conn, [Entry(key, amount, answer)])
    return kept


async def keep_each(conn: AsyncConnection, entries: Sequence[Entry]) -> list[ChargeAnswer]:
    """The same for many in one statement; of two with the same key, the first is kept."""
    first: dict[PaymentId, Entry] = {}
    for entry in entries:
        first.setdefault(entry.key, entry)
    rows = [
        {
            "key": key,
            "state": entry.answer.state,
            "reference": entry.answer.reference,
            "message": entry.answer.message,
            "amount": entry.amount.amount,
            "currency": entry.amount.currency,
        }
        for key, entry in sorted(first.items())
    ]
    added = await conn.execute(
        insert(conn, sandbox_charge)
        .on_conflict_do_nothing(index_elements=["key"])
        .returning(sandbox_charge.c.key),
        rows,
    )
    kept = {
        PaymentId(key): replace(first[PaymentId(key)].answer, amount=first[PaymentId(key)].amount)
        for key in added.scalars()
    }
    known = first.keys() - kept.keys()
    if known:
        found = sa.select(sandbox_charge).where(sandbox_charge.c.key.in_(known))
        kept |= {PaymentId(row.key): _answer(row) for row in await conn.execute(found)}
    return [kept[entry.key] for entry in entries]


async def move(
    conn: AsyncConnection,
    key: PaymentId,
    source: PaymentState,
    to: PaymentState,
    message: str | None = None,
) -> None:
    """From one state to another; nothing where it is in neither."""
    await conn.execute(
        sa.update(sandbox_charge)
        .where(sandbox_charge.c.key == key, sandbox_charge.c.state == source)
        .values(state=to, message=message)
    )


async def refund(conn: AsyncConnection, key: RefundId, charge: PaymentId, amount: int) -> bool:
    """Give so much back, once per key; False when there is not so much of it left."""
    row = (
        await conn.execute(
            sa.select(sandbox_charge).where(sandbox_charge.c.key == charge).with_for_update()
        )
    ).one_or_none()
    known = await conn.scalar(sa.select(sandbox_refund.c.key).where(sandbox_refund.c.key == key))
    if known is not None:
        return True
    given = await refunded(conn, charge)
    if row is None or row.state != "paid" or given + amount > row.amount:
        return False
    await conn.execute(sa.insert(sandbox_refund).values(key=key, charge_key=charge, amount=amount))
    return True


async def refunded(conn: AsyncConnection, charge: PaymentId) -> int:
    """Minor units that went back."""
    total = await conn.scalar(
        sa.select(sa.func.coalesce(sa.func.sum(sandbox_refund.c.amount), 0)).where(
            sandbox_refund.c.charge_key == charge
        )
    )
    return int(total or 0)


def _answer(row: sa.Row[Any]) -> ChargeAnswer:
    return ChargeAnswer(
        row.state, row.reference, row.message, amount=Money(row.amount, row.currency)
    )
