"""What became of a payment, and what that means for its order.

`settle` is the one place that acts on a provider's answer, whoever heard it: the request that
places the order, the buyer who has done his part, or the reconciler. What that means for stock,
cart and money stands in `settlement`.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
import structlog

from liveshop.checkout import model, wire
from liveshop.checkout.confirming import OnConfirmed, is_usual
from liveshop.checkout.payment_history import order_event
from liveshop.checkout.service import CartService
from liveshop.checkout.settlement import OnLost, Settlement
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import OrderId, ViewerId
from liveshop.orders import history
from liveshop.orders import store as orders
from liveshop.orders.model import Actor, Order, UnknownOrder
from liveshop.orders.wire import Address as AddressOut
from liveshop.orders.wire import ClientStep as ClientStepOut
from liveshop.orders.wire import Order as OrderOut
from liveshop.payments import store as payments_store
from liveshop.payments.model import (
    OPEN,
    BadPaymentInput,
    ChargeAnswer,
    ClientStep,
    PaymentProvider,
    ProviderUnavailable,
    UnknownMethod,
)
from liveshop.payments.service import Payments
from liveshop.settings import Settings
from liveshop.storage import Database, Together, Tx

_AT_MOST = 64
_log = structlog.get_logger("checkout")


class Paying:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        carts: CartService,
        payments: Payments,
        on_confirmed: OnConfirmed,
        on_lost: OnLost | None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._payments = payments
        self._settlement = Settlement(
            carts.carts,
            carts.deliveries,
            on_confirmed,
            on_lost or self.cancel_lost,
            action=timedelta(minutes=settings.payments.action_minutes),
        )
        self._placed = Together(self._settle_placed, at_most=_AT_MOST)

    @property
    def providers(self) -> list[PaymentProvider]:
        """The ways to pay, in the order in which they are offered."""
        return self._payments.all()

    @property
    def rehearsed_providers(self) -> list[PaymentProvider]:
        """The same for guests of a rehearsal."""
        return self._payments.all_in(in_rehearsal=True)

    async def ask(self, order: Order, card_number: str | None) -> ChargeAnswer | None:
        """The provider's answer; None when it is not known and must be asked for later.

        A repeated request may come without the card: then the provider is only asked what became
        of the charge.
        """
        payment = order.payment
        try:
            try:
                self._payments.provider(payment.method).check(card_number)
            except BadPaymentInput:
                return await self._payments.find(payment, order.number)
            return await self._payments.charge(payment, order.number, card_number)
        except ProviderUnavailable as error:
            _log.warning("payment_unclear", order=order.id, reason=error.detail)
            return None

    async def settle(
        self, order_id: OrderId, answer: ChargeAnswer, *, placed: Order | None = None
    ) -> Order:
        """Record what the provider says about an order's payment, and act on it, once.

        `placed` saves reading an order that this request has just written. Raises UnknownOrder.
        """
        settled: Order | None = None
        if placed is not None and is_usual(placed, answer):
            settled = await self._placed.ask((placed, answer))
        if settled is not None:
            return settled
        now = self._clock.now()
        async with self._database.write() as tx:
            if placed is not None:
                await orders.lock(tx.conn, order_id)
                before = placed
                settled = await self._settlement.settle(tx, placed, answer, now)
            if settled is None:
                order = await orders.locked(tx.conn, order_id)
                if order is None:
                    raise UnknownOrder("There is no such order.")
                before = order
                settled = await self._settlement.settle(tx, order, answer, now) or order
            if settled.state != before.state and not settled.is_rehearsal:
                tx.notify(model.OrderSettled(settled.state))
        return settled

    async def _settle_placed(
        self, answered: Sequence[tuple[Order, ChargeAnswer]]
    ) -> list[Order | Exception | None]:
        """Group commit, as of placing; None for who has to be looked at alone."""
        try:
            async with self._database.write() as tx:
                settled = await self._settlement.confirming.settle_placed(
                    tx, answered, self._clock.now()
                )
                for order in settled:
                    if order is not None and not order.is_rehearsal:
                        tx.notify(model.OrderSettled(order.state))
        except Exception as error:
            if len(answered) == 1:
                return [error]
            _log.error("group_broke", wishes=len(answered), error=repr(error))
            return [None] * len(answered)
        return list(settled)

    async def check_payment(
        self, viewer_id: ViewerId, order_id: OrderId
    ) -> tuple[Order, ClientStep | None]:
        """Ask what became of the payment of a viewer's own order; the order as it is then, and what
        he has yet to do. Raises UnknownOrder; ProviderUnavailable."""
        order = await self.own(viewer_id, order_id)
        if order.state != "pending":
            return order, None
        try:
            answer = await self._payments.find(order.payment, order.number)
        except UnknownMethod:
            # It is not offered any more: the reconciler sees to what is to become of it.
            answer = None
        if answer is None:
            return order, None
        order = await self.settle(order.id, answer)
        return order, client_of(order, answer)

    async def cancel_payment(self, viewer_id: ViewerId, order_id: OrderId) -> Order:
        """The buyer does not want to pay after all: his cart comes back, and what was paid at the
        same moment goes back. An order that stands already stays.

        The order is still `pending` where the provider does not answer, or refuses to; it is asked
        again. Raises UnknownOrder.
        """
        now = self._clock.now()
        async with self._database.write() as tx:
            order = await orders.locked(tx.conn, order_id)
            if order is None or order.viewer_id != viewer_id:
                raise _no_such_order()
            if order.state != "pending" or order.payment.state not in OPEN:
                return order
            await payments_store.want_void(tx.conn, order.payment.id, now)
        try:
            answer = await self._payments.void(order.payment, order.number)
        except ShopError as error:
            _log.warning("payment_unclear", order=order.id, reason=error.detail)
            return order
        return await self.settle(order.id, answer)

    async def known_buyer(self, viewer_id: ViewerId) -> wire.KnownBuyer:
        """What the viewer's last order said, and an order of his whose payment waits for him."""
        async with self._database.read() as conn:
            last = await orders.newest_of_viewer(conn, viewer_id, "confirmed")
            pending = await orders.newest_of_viewer(conn, viewer_id, "pending")
        waiting: OrderOut | None = None
        if pending is not None and pending.payment.state == "action_required":
            try:
                pending, client = await self.check_payment(viewer_id, pending.id)
            except ShopError as error:
                _log.warning("payment_unclear", order=pending.id, reason=error.detail)
                client = None
            if pending.state == "pending":
                waiting = order_out(pending, client)
        if last is None:
            return wire.KnownBuyer(None, None, None, None, waiting)
        return wire.KnownBuyer(
            email=last.email,
            address=msgspec.convert(last.address, AddressOut, from_attributes=True),
            delivery=wire.DeliveryInput(kind=last.delivery, store_id=last.store_id),
            method=last.payment.method,
            pending=waiting,
        )

    async def number_of(self, order_id: OrderId) -> str:
        """Raises UnknownOrder."""
        async with self._database.read() as conn:
            order = await orders.by_id(conn, order_id)
        if order is None:
            raise _no_such_order()
        return order.number

    async def cancel_lost(self, tx: Tx, order: Order, now: datetime) -> None:
        """What is done with a confirmed order whose payment fails, where nobody else sees to it:
        its goods are not put back."""
        await orders.change_state(tx.conn, order.id, "cancelled")
        lost = replace(order, state="cancelled")
        await history.note(
            tx, order_event(lost, now, Actor("provider", order.payment.method), reason="not_paid")
        )
        await self._settlement.let_go(tx, lost, now)

    async def let_go(self, tx: Tx, order: Order, now: datetime) -> None:
        """What a cancelled order still holds and has used is there for others again."""
        await self._settlement.let_go(tx, order, now)

    async def own(self, viewer_id: ViewerId, order_id: OrderId) -> Order:
        """Raises UnknownOrder: whether somebody else's order exists is nobody's business."""
        async with self._database.read() as conn:
            order = await orders.by_id(conn, order_id)
        if order is None or order.viewer_id != viewer_id:
            raise _no_such_order()
        return order


def client_of(order: Order, answer: ChargeAnswer) -> ClientStep | None:
    """What the buyer has yet to do, if he still may."""
    payment = order.payment
    is_waiting = order.state == "pending" and payment.state == "action_required"
    if not is_waiting or payment.is_void_wanted or payment.problem is not None:
        return None
    return answer.client


def order_out(order: Order, client: ClientStep | None) -> OrderOut:
    """An order as its buyer sees it."""
    step = ClientStepOut(client.secret, dict(client.options)) if client is not None else None
    return OrderOut.of(order, step, is_buyer=True)


def _no_such_order() -> UnknownOrder:
    return UnknownOrder("There is no such order of yours.")
