"""All SQL about payments; refunds and webhooks have files of their own."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.ids import OrderId, PaymentId
from liveshop.kernel.money import Money
from liveshop.payments.model import (
    TRANSITIONS,
    ChargeAnswer,
    Payment,
)
from liveshop.payments.tables import payment, refund, sandbox_charge, sandbox_refund
from liveshop.storage import Rows, UtcDateTime


async def add_all(conn: AsyncConnection, new: Sequence[Payment]) -> None:
    await conn.execute(
        sa.insert(payment),
        [
            {
                "id": one.id,
                "order_id": one.order_id,
                "method": one.method,
                "state": one.state,
                "amount": one.amount.amount,
                "currency": one.amount.currency,
                "capture": one.capture,
                "reference": one.reference,
                "message": one.message,
                "expires_at": one.expires_at,
                "check_at": one.check_at,
                "created_at": one.created_at,
                "updated_at": one.created_at,
            }
            for one in new
        ],
    )


async def of_orders(
    conn: AsyncConnection, order_ids: Sequence[OrderId], *, locked: bool = False
) -> dict[OrderId, Payment]:
    """The latest payment of each order; `locked`: as by `lock`."""
    query = sa.select(payment).where(payment.c.order_id.in_(order_ids))
    if locked:
        query = query.with_for_update(key_share=True)
    rows = await conn.execute(query.order_by(payment.c.created_at))
    return {OrderId(row.order_id): _payment(row) for row in rows}


async def by_id(conn: AsyncConnection, payment_id: PaymentId) -> Payment | None:
    found = await conn.execute(sa.select(payment).where(payment.c.id == payment_id))
    row = found.one_or_none()
    return None if row is None else _payment(row)


async def by_reference(conn: AsyncConnection, method: str, reference: str) -> Payment | None:
    found = await conn.execute(
        sa.select(payment)
        .where(payment.c.reference == reference, payment.c.method == method)
        .limit(1)
    )
    row = found.one_or_none()
    return None if row is None else _payment(row)


# What providers answer


async def record_answer(
    conn: AsyncConnection,
    before: Payment,
    answer: ChargeAnswer,
    now: datetime,
    *,
    expires_at: datetime | None = None,
    check_at: datetime | None = None,
) -> bool:
    """Write down a provider's answer and when to ask again; False where no transition leads there,
    or where it is not as `before` any more because somebody else was first."""
    if answer.state not in TRANSITIONS[before.state]:
        return False
    values: dict[str, Any] = {
        "state": answer.state,
        "reference": answer.reference,
        "message": answer.message,
        "check_at": check_at,
        "checks": 0,
        "updated_at": now,
    }
    if answer.state == "paid":
        values["captured_amount"] = payment.c.amount
    if answer.state == "action_required":
        values["expires_at"] = expires_at
    result = await conn.execute(
        sa.update(payment)
        .where(
            payment.c.id == before.id,
            payment.c.state == before.state,
            payment.c.is_void_wanted.is_(before.is_void_wanted),
        )
        .values(values)
    )
    return result.rowcount == 1


async def record_taken(
    conn: AsyncConnection, answers: Mapping[PaymentId, ChargeAnswer], now: datetime
) -> set[PaymentId]:
    """Write down that these payments, of which nothing was heard before, are paid or promised;
    those of them that were still so. What is due at this moment is still to be asked for: an event
    came in the meantime.
    """
    rows = [
        (id_, answer.state, answer.reference, answer.message)
        for id_, answer in sorted(answers.items())
    ]
    if not rows:
        return set()
    recorded = await _RECORD_TAKEN(conn, rows, now=now)
    return {PaymentId(id_) for id_ in recorded.scalars()}


_now: sa.BindParameter[datetime] = sa.bindparam("now", type_=UtcDateTime)
_RECORD_TAKEN = Rows(
    {"id": sa.String, "state": sa.String, "reference": sa.String, "message": sa.String},
    lambda given: (
        sa.update(payment)
        .where(
            payment.c.id == given["id"],
            payment.c.state == "pending",
            payment.c.is_void_wanted.is_(False),
        )
        .values(
            state=given["state"],
            reference=given["reference"],
            message=given["message"],
            captured_amount=sa.case((given["state"] == "paid", payment.c.amount), else_=0),
            check_at=sa.case((payment.c.check_at <= _now, payment.c.check_at), else_=None),
            checks=0,
            updated_at=_now,
        )
        .returning(payment.c.id)
    ),
)


async def change(
    conn: AsyncConnection, payment_id: PaymentId, now: datetime, **values: Any
) -> None:
    """Set columns other than the state: `check_at`, `message`, `problem`, `dispute`,
    `is_void_wanted`, `reference`."""
    await conn.execute(
        sa.update(payment).where(payment.c.id == payment_id).values(**values, updated_at=now)
    )


async def ask_soon(conn: AsyncConnection, payment_id: PaymentId, now: datetime) -> None:
    """Have the provider asked for this payment now, whatever state it is in."""
    await conn.execute(
        sa.update(payment)
        .where(payment.c.id == payment_id)
        .values(check_at=now, checks=0, updated_at=now)
    )


async def ask_no_more(conn: AsyncConnection, payment_id: PaymentId, now: datetime) -> None:
    """What it was put off to need not be asked. What is due by now stays so: an event came while
    the provider was asked, and is still to be heard."""
    await conn.execute(
        sa.update(payment)
        .where(payment.c.id == payment_id, payment.c.check_at > now)
        .values(check_at=None, checks=0, updated_at=now)
    )


async def set_problem(
    conn: AsyncConnection, payment_id: PaymentId, problem: str, now: datetime
) -> None:
    """What a person has to look at, unless there is something already."""
    await conn.execute(
        sa.update(payment)
        .where(payment.c.id == payment_id, payment.c.problem.is_(None))
        .values(problem=problem, updated_at=now)
    )


async def drop_problem(
    conn: AsyncConnection, payment_id: PaymentId, problem: str, now: datetime
) -> None:
    """This one is seen to."""
    await conn.execute(
        sa.update(payment)
        .where(payment.c.id == payment_id, payment.c.problem == problem)
        .values(problem=None, updated_at=now)
    )


async def record_late(conn: AsyncConnection, payment_id: PaymentId, now: datetime) -> bool:
    """The money of a payment that had come to nothing is here all the same; False: known."""
    result = await conn.execute(
        sa.update(payment)
        .where(
            payment.c.id == payment_id,
            payment.c.state.in_(("declined", "voided")),
            payment.c.captured_amount == 0,
        )
        .values(captured_amount=payment.c.amount, check_at=None, updated_at=now)
    )
    return result.rowcount == 1


async def record_unasked(
    conn: AsyncConnection, payment_id: PaymentId, came: Money, reference: str, now: datetime
) -> bool:
    """Another amount than was asked for has come, for an order that is not to be: from now on the
    payment is about what came. False where its money was recorded before."""
    state = sa.case((payment.c.state.in_(("declined", "voided")), payment.c.state), else_="paid")
    result = await conn.execute(
        sa.update(payment)
        .where(payment.c.id == payment_id, payment.c.captured_amount == 0)
        .values(
            state=state,
            amount=came.amount,
            currency=came.currency,
            captured_amount=came.amount,
            reference=reference,
            check_at=None,
            checks=0,
            updated_at=now,
        )
    )
    return result.rowcount == 1


async def want_void(conn: AsyncConnection, payment_id: PaymentId, now: datetime) -> None:
    """From now on nothing may be charged, and what was authorised is given up: the reconciler tells
    the provider. What was paid stays paid: for that a refund has to be owed."""
    await conn.execute(
        sa.update(payment)
        .where(
            payment.c.id == payment_id,
            payment.c.state.in_(("pending", "action_required", "processing", "authorised")),
        )
        .values(is_void_wanted=True, check_at=now, checks=0, updated_at=now)
    )


async def record_paid_by_hand(
    conn: AsyncConnection, payment_id: PaymentId, now: datetime, *, less: int = 0
) -> bool:
    """Staff has the money of what was promised, `less` what came back before it was paid, in minor
    units; False when it was no promise (any more)."""
    result = await conn.execute(
        sa.update(payment)
        .where(
            payment.c.id == payment_id,
            payment.c.state == "authorised",
            payment.c.is_void_wanted.is_(False),
        )
        .values(
            state="paid",
            captured_amount=payment.c.amount - less,
            check_at=None,
            checks=0,
            updated_at=now,
        )
    )
    return result.rowcount == 1


# What is due


async def due_payments(
    conn: AsyncConnection, now: datetime, limit: int
) -> list[tuple[Payment, int]]:
    """Payments to be asked for, the longest due first, and how often they have been."""
    rows = await conn.execute(
        sa.select(payment)
        .where(payment.c.check_at <= now)
        .order_by(payment.c.check_at, payment.c.id)
        .limit(limit)
    )
    return [(_payment(row), row.checks) for row in rows]


async def put_off_payments(
    conn: AsyncConnection, times: Mapping[PaymentId, tuple[int, datetime]]
) -> set[PaymentId]:
    """Ask again at these times unless it is settled before; those that nobody else has put off
    meanwhile, which were to be asked so and so often before."""
    return {
        PaymentId(id_)
        for id_, (checks, at) in times.items()
        if (
            await conn.execute(
                sa.update(payment)
                .where(
                    payment.c.id == id_,
                    payment.c.checks == checks,
                    payment.c.check_at.is_not(None),
                )
                .values(checks=checks + 1, check_at=at)
            )
        ).rowcount
    }


async def hasten(conn: AsyncConnection, now: datetime) -> None:
    """Ask now for everything that was put off because nobody answered, and for what buyers may
    have confirmed while nobody was there to hear of it."""
    unheard = sa.or_(payment.c.checks > 0, payment.c.state == "action_required")
    for table, is_asked in ((payment, unheard), (refund, refund.c.checks > 0)):
        await conn.execute(
            sa.update(table).where(table.c.check_at > now, is_asked).values(check_at=now)
        )


async def lock(conn: AsyncConnection, payment_id: PaymentId) -> Payment | None:
    """The payment; from here to the commit nobody else changes it, on PostgreSQL."""
    found = await conn.execute(
        sa.select(payment).where(payment.c.id == payment_id).with_for_update(key_share=True)
    )
    row = found.one_or_none()
    return None if row is None else _payment(row)


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
        capture=row.capture,
        captured=row.captured_amount,
        refunded=row.refunded_amount,
        expires_at=row.expires_at,
        check_at=row.check_at,
        is_void_wanted=row.is_void_wanted,
        problem=row.problem,
        dispute=row.dispute,
    )


async def forget(conn: AsyncConnection, order_ids: Collection[OrderId]) -> None:
    """The payments of orders that are thrown away, and what the sandbox has of them."""
    ids = list(await conn.scalars(sa.select(payment.c.id).where(payment.c.order_id.in_(order_ids))))
    await conn.execute(sa.delete(sandbox_refund).where(sandbox_refund.c.charge_key.in_(ids)))
    await conn.execute(sa.delete(sandbox_charge).where(sandbox_charge.c.key.in_(ids)))
    await conn.execute(sa.delete(refund).where(refund.c.payment_id.in_(ids)))
    await conn.execute(sa.delete(payment).where(payment.c.id.in_(ids)))
