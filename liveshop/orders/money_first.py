"""Goods go when the money is there, or promised by somebody who keeps his word.

What a provider keeps for us is taken before the goods leave: whoever finds out afterwards that he
cannot have it has given them away. Money for what was released before it came is owed back in the
transaction that writes it down. An invoice is paid later by its nature; who reserves and pays in
the store pays before he gets anything into his hands.
"""

from dataclasses import replace
from datetime import datetime

from liveshop.kernel.money import Money
from liveshop.orders import fulfilment_store, overdue
from liveshop.orders import store as orders
from liveshop.orders.acting import is_by_hand
from liveshop.orders.model import NotPaid, Order
from liveshop.payments.model import ChargeAnswer, Payment
from liveshop.payments.service import Payments
from liveshop.storage import Tx

AT_PICKUP = "at_pickup"

_WON = frozenset({"won", "warning_closed"})
"""How a dispute ends, in the provider's words, after which the money stays with us."""


class MoneyFirst:
    def __init__(self, payments: Payments) -> None:
        self._payments = payments

    async def take(self, order: Order) -> None:
        """Have what is kept for us, with no transaction open; nothing is to be done for any other
        payment. Raises CannotCapture, ProviderUnavailable.
        """
        if order.payment.state == "authorised" and not is_by_hand(self._payments, order):
            await self._payments.capture(order.number, order.payment, self._record)

    async def _record(self, tx: Tx, asked: Payment, answer: ChargeAnswer, now: datetime) -> None:
        order = await orders.locked(tx.conn, asked.order_id)
        assert order is not None
        if order.payment.is_void_wanted:
            return  # The reconciler asks to give it up, hears that it is paid, and gives it back.
        paid = await self._payments.record_capture(tx, order.payment, answer, now)
        if paid is not None:
            everything = await fulfilment_store.of_order(tx.conn, order.id)
            await overdue.refund_released(tx, replace(order, payment=paid), everything, now)

    def is_due_at_pickup(self, order: Order) -> bool:
        """Whether its buyer pays at the till, and has not yet."""
        payment = order.payment
        is_promised = payment.state == "authorised" and not payment.is_void_wanted
        return is_promised and payment.method == AT_PICKUP

    def check_leaving(self, order: Order) -> None:
        """Raises NotPaid for goods that may not be sent off, to the buyer or to a store."""
        payment = order.payment
        if payment.dispute is not None and payment.dispute not in _WON:
            raise not_paid(order, "The buyer disputes this payment. Answer the dispute first.")
        if payment.state == "paid":
            return
        if payment.state == "processing":
            raise not_paid(order, "The provider is still collecting the money. Wait for it.")
        is_promised = payment.state == "authorised" and not payment.is_void_wanted
        if not is_promised or not is_by_hand(self._payments, order):
            raise not_paid(order, "There is no money for this order.")

    def check_handing_over(self, order: Order, *, to_pay: Money, is_paid_now: bool) -> bool:
        """Whether the money was taken at the till just now and has to be written down. Raises
        NotPaid for goods that may not be given to the buyer.
        """
        self.check_leaving(order)
        if order.payment.state == "paid":
            return False
        if self.is_due_at_pickup(order) and to_pay.amount > 0 and not is_paid_now:
            raise not_paid(order, "This is paid in the store. Take the money first.", to_pay)
        return is_paid_now


def not_paid(order: Order, detail: str, to_pay: Money | None = None) -> NotPaid:
    owed = order.payment.amount if to_pay is None else to_pay
    return NotPaid(
        detail,
        data={
            "to_pay": {"amount": owed.amount, "currency": owed.currency},
            "payment": order.payment.state,
        },
    )
