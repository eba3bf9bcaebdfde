"""What happens to payments and refunds, written into the history of their order."""

from datetime import datetime

from liveshop.kernel.ids import OrderId
from liveshop.orders import acting, history
from liveshop.orders.model import Actor, Order, OrderEvent
from liveshop.payments.model import Payment, Refund
from liveshop.storage import Tx


async def note_refund(tx: Tx, refund: Refund, now: datetime) -> None:
    """A refund is owed, at the provider, done or failed: its state says which."""
    await history.note(tx, refund_event(refund, now))


async def note_captured(tx: Tx, payment: Payment, now: datetime) -> None:
    await history.note(tx, payment_event(payment.order_id, payment.method, "paid", now))


async def note_dispute(tx: Tx, payment: Payment, now: datetime) -> None:
    await history.note(
        tx,
        payment_event(payment.order_id, payment.method, "dispute", now, state=payment.dispute),
    )


def refund_event(refund: Refund, now: datetime) -> OrderEvent:
    """It is in the state it is in, by nobody's hand."""
    actor = Actor("provider") if refund.cause == "provider" else Actor("system")
    return acting.refund_event(refund, actor, now)


def payment_event(
    order_id: OrderId, method: str, what: str, now: datetime, **data: str | int | None
) -> OrderEvent:
    return OrderEvent(order_id, now, Actor("provider", method), f"payment.{what}", data)


def order_event(
    order: Order, now: datetime, actor: Actor, *, reason: str | None = None
) -> OrderEvent:
    """An order has come to the state it is in."""
    data: dict[str, str | None] = {"payment_state": order.payment.state}
    if reason is not None:
        data["reason"] = reason
    return OrderEvent(order.id, now, actor, f"order.{order.state}", data)
