"""Owing refunds. Never more than was paid: one conditional statement on the payment counts what is
going back, before the refund exists.
"""

from dataclasses import replace
from datetime import datetime

from liveshop.kernel.ids import RefundId, new_id
from liveshop.kernel.money import Money
from liveshop.payments import refund_store, store
from liveshop.payments.model import (
    Payment,
    Refund,
    RefundAnswer,
    RefundCause,
    RefundTooLarge,
    SomethingDue,
)
from liveshop.storage import Tx


async def owe(
    tx: Tx,
    payment: Payment,
    amount: Money,
    *,
    cause: RefundCause,
    key: str,
    now: datetime,
    note: str | None = None,
    by_hand: bool = False,
) -> Refund:
    """From the commit on so much has to go back. The same key again owes nothing more and answers
    the refund there is.

    The reconciler asks the provider for it; `by_hand`: staff gives it back and says so with
    `done_by_hand`. Notes nothing in the order's history. Raises RefundTooLarge.
    """
    held = await store.lock(tx.conn, payment.id)
    before = await refund_store.by_key(tx.conn, key)
    if before is not None:
        return before
    is_possible = (
        held is not None
        and amount.amount > 0
        and amount.currency == held.amount.currency
        and await refund_store.set_aside(tx.conn, payment.id, amount.amount, now)
    )
    if not is_possible:
        left = held.refundable.amount if held is not None else 0
        raise RefundTooLarge(
            "More than is left of what was paid cannot be given back.",
            data={"refundable": {"amount": left, "currency": payment.amount.currency}},
        )
    owed = Refund(
        id=RefundId(new_id("rfd", now)),
        order_id=payment.order_id,
        payment_id=payment.id,
        state="due",
        amount=amount,
        cause=cause,
        note=note,
        reference=None,
        message=None,
        created_at=now,
    )
    await refund_store.add(tx.conn, owed, key=key, check_at=None if by_hand else now)
    tx.notify(SomethingDue())
    return owed


async def done_by_hand(tx: Tx, refund_id: RefundId, now: datetime) -> Refund | None:
    """Staff has given it back: the refund as it is then. None when it waits for nobody's hand:
    there is no such refund, it is over, or the provider is to be asked for it. Its payment is
    locked."""
    known = await refund_store.by_id(tx.conn, refund_id)
    if known is None or not await refund_store.is_by_hand(tx.conn, refund_id):
        return None
    answer = RefundAnswer("done", known.reference or f"by_hand_{refund_id}")
    if not await refund_store.record(tx.conn, known, answer, now):
        return None
    return replace(known, state="done", reference=answer.reference)
