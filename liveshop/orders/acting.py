"""What every act on an order needs: the order locked, a note cleaned, a refund owed and told."""

from datetime import datetime

from liveshop.kernel.ids import OrderId
from liveshop.kernel.money import Money
from liveshop.kernel.text import clean_text
from liveshop.orders import history, store
from liveshop.orders.model import Actor, NotNow, Order, OrderEvent, UnknownOrder
from liveshop.payments import refunds
from liveshop.payments.model import Refund, RefundCause, UnknownMethod
from liveshop.payments.service import Payments
from liveshop.storage import Tx
from liveshop.web import Principal

NOTE_LENGTH = 500


def actor_of(who: Principal) -> Actor:
    """Who acts: a buyer goes without a name, which stands in his order."""
    return Actor("buyer", who.id) if who.is_viewer else Actor("staff", who.id, who.name)


async def known(tx: Tx, order_id: OrderId) -> Order:
    """The order, locked. Raises UnknownOrder; NotNow for one of a rehearsal."""
    order = await store.locked(tx.conn, order_id)
    if order is None:
        raise UnknownOrder("There is no such order.")
    if order.is_rehearsal:
        raise NotNow(
            "This was ordered in a rehearsal: nothing was sold, so there is nothing to do. It is "
            "gone when the rehearsal ends.",
            data={"state": order.state},
        )
    return order


def checked_note(note: str | None, *, is_required: bool) -> str | None:
    """Cleaned; None for nothing. Raises BadText."""
    cleaned = clean_text(note or "", max_length=NOTE_LENGTH, field="note", empty=not is_required)
    return cleaned or None


def is_by_hand(payments: Payments, order: Order) -> bool:
    """Whether people move this order's money; also where its provider is not configured any more,
    for then nobody else can."""
    try:
        return payments.provider(order.payment.method).is_by_hand
    except UnknownMethod:
        return True


async def owe(
    tx: Tx,
    payments: Payments,
    order: Order,
    amount: Money,
    *,
    cause: RefundCause,
    key: str,
    actor: Actor,
    note: str | None,
    now: datetime,
) -> Refund:
    """From the commit on so much goes back, and the history says so. Raises RefundTooLarge."""
    owed = await refunds.owe(
        tx,
        order.payment,
        amount,
        cause=cause,
        key=key,
        now=now,
        note=note,
        by_hand=is_by_hand(payments, order),
    )
    await history.note(tx, refund_event(owed, actor, now, kind="owed", note=note))
    return owed


def refund_event(
    refund: Refund, actor: Actor, now: datetime, *, kind: str | None = None, note: str | None = None
) -> OrderEvent:
    """`refund.done` and the like: by default, that it is in the state it is in; `due` is owed."""
    what = kind or ("owed" if refund.state == "due" else refund.state)
    data = {
        "refund_id": refund.id,
        "amount": refund.amount.amount,
        "currency": refund.amount.currency,
        "cause": refund.cause,
    }
    return OrderEvent(refund.order_id, now, actor, f"refund.{what}", data, note)
