"""The buyer's part in his payment: what became of it, calling it off, and what is known of him."""

from liveshop.checkout import wire
from liveshop.checkout.paying import Paying, order_out
from liveshop.kernel.errors import RateLimited
from liveshop.kernel.ids import OrderId, ViewerId
from liveshop.orders import wire as orders_wire
from liveshop.orders.model import UnknownOrder
from liveshop.payments.model import ProviderUnavailable
from liveshop.payments.providers.sandbox import Sandbox
from liveshop.payments.service import charge_of
from liveshop.web import VIEWER, Call, Endpoint, RateLimit, RateLimiter

_CHECKS = RateLimit(burst=20, per_second=1.0)
"""Each asks a provider, who counts too."""


def endpoints(orders: Paying) -> list[Endpoint]:
    checks = RateLimiter(_CHECKS)

    def check_rate(call: Call) -> None:
        checks.check(call.principal.id, call.now.timestamp(), "Too often; wait a little.")

    async def check_payment(call: Call) -> orders_wire.Order:
        check_rate(call)
        return order_out(*await orders.check_payment(_viewer(call), _order(call)))

    async def cancel_payment(call: Call) -> orders_wire.Order:
        check_rate(call)
        return order_out(await orders.cancel_payment(_viewer(call), _order(call)), None)

    async def get_buyer(call: Call) -> wire.KnownBuyer:
        check_rate(call)
        return await orders.known_buyer(_viewer(call))

    found = [
        Endpoint(
            "POST",
            "/api/orders/{order_id}/payment/check",
            check_payment,
            VIEWER,
            "Ask the provider what became of the payment of an own order",
            "checkout",
            answer=orders_wire.Order,
            errors=(UnknownOrder, ProviderUnavailable, RateLimited),
        ),
        Endpoint(
            "POST",
            "/api/orders/{order_id}/payment/cancel",
            cancel_payment,
            VIEWER,
            "Do not pay after all: the cart comes back",
            "checkout",
            answer=orders_wire.Order,
            errors=(UnknownOrder, RateLimited),
        ),
        Endpoint(
            "GET",
            "/api/buyer",
            get_buyer,
            VIEWER,
            "What the caller's last order said, and an order whose payment waits for him",
            "checkout",
            answer=wire.KnownBuyer,
            errors=(RateLimited,),
        ),
    ]
    sandbox = next((one for one in orders.providers if isinstance(one, Sandbox)), None)
    if sandbox is not None:
        found.append(_sandbox_endpoint(orders, sandbox))
    return found


def _sandbox_endpoint(orders: Paying, sandbox: Sandbox) -> Endpoint:
    """The sandbox has no page of its own for the buyer: this stands for it."""

    async def confirm_in_sandbox(call: Call) -> orders_wire.Order:
        order = await orders.own(_viewer(call), _order(call))
        if order.payment.method == sandbox.method:
            await sandbox.confirm(charge_of(order.payment, order.number), call.body.outcome)
        return order_out(*await orders.check_payment(_viewer(call), order.id))

    return Endpoint(
        "POST",
        "/api/orders/{order_id}/payment/sandbox",
        confirm_in_sandbox,
        VIEWER,
        "Confirm a payment of the sandbox, or fail to; in demo and test only",
        "checkout",
        body=wire.SandboxInput,
        answer=orders_wire.Order,
        errors=(UnknownOrder,),
    )


def _viewer(call: Call) -> ViewerId:
    return ViewerId(call.principal.id)


def _order(call: Call) -> OrderId:
    return OrderId(call.params["order_id"])
