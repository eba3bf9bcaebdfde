"""Placing an order: once per idempotency key, at exactly the total the screen said, paid once.

Two transactions with the provider's call between them and none open meanwhile: `Placing`, and
`Paying.settle`, whoever hears the answer.
"""

from datetime import timedelta

from liveshop.checkout import model
from liveshop.checkout.confirming import OnConfirmed, tell_nobody
from liveshop.checkout.offers import Asked
from liveshop.checkout.order_wish import OrderWish
from liveshop.checkout.paying import Paying, client_of
from liveshop.checkout.placing import Placing
from liveshop.checkout.service import CartService
from liveshop.checkout.settlement import OnLost
from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import ViewerId
from liveshop.orders.model import Order
from liveshop.payments.model import ClientStep
from liveshop.payments.service import Payments
from liveshop.promotions.delivery import Rates
from liveshop.promotions.model import UsedUp
from liveshop.settings import Settings
from liveshop.storage import Database


class PlaceOrder(Paying):
    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        carts: CartService,
        payments: Payments,
        on_confirmed: OnConfirmed = tell_nobody,
        on_lost: OnLost | None = None,
    ) -> None:
        super().__init__(database, clock, settings, carts, payments, on_confirmed, on_lost)
        self._carts = carts
        self._placing = Placing(
            database,
            clock,
            carts,
            payments,
            payment_hold=timedelta(seconds=settings.checkout.payment_hold_seconds),
            unclear=timedelta(seconds=settings.checkout.payment_unclear_seconds),
        )

    @property
    def rates(self) -> Rates:
        """What delivery costs, by country."""
        return self._carts.carts.prices.rates

    async def place_order(self, viewer_id: ViewerId, key: str, wish: OrderWish) -> Order:
        """`place` for callers that cannot show the buyer anything."""
        order, _ = await self.place(viewer_id, key, wish)
        return order

    async def place(
        self, viewer_id: ViewerId, key: str, wish: OrderWish
    ) -> tuple[Order, ClientStep | None]:
        """The order placed with this key, now or before, and what its buyer has yet to do.

        Its state is `confirmed`, or `pending` while the payment waits for the buyer or its answer
        is not known yet. Raises PriceChanged, CartChanged, OutOfStock, CartEmpty, NotDelivered,
        LimitPerCustomer, PromiseChanged, UnknownStore, CannotCollect, UnknownShow, CustomersOnly
        (nothing was placed); PaymentDeclined (the cart is back as it was; a new attempt needs a new
        key); SoldOutWhilePaying (the money goes back); IdempotencyKeyReused, UnknownMethod,
        BadPaymentInput.
        """
        asked = Asked(viewer_id, key, wish)
        try:
            order = await self._placing.ask(asked)
        except UsedUp:
            # A discount went while its price was looked at: the next look says what it costs now.
            order = await self._placing.ask(asked)
        client: ClientStep | None = None
        if order.state == "pending":
            answer = await self.ask(order, wish.card_number)
            if answer is not None:
                is_first = order.payment.state == "pending"
                order = await self.settle(order.id, answer, placed=order if is_first else None)
                client = client_of(order, answer)
        if order.state == "payment_failed":
            raise model.PaymentDeclined(
                order.payment.message or "The payment was declined. Try another way to pay.",
                data={"order_id": order.id},
            )
        if order.state == "cancelled":
            raise model.SoldOutWhilePaying(
                "The payment took so long that this has been sold to somebody else. You get your "
                "money back.",
                data={"order_id": order.id},
            )
        return order, client
