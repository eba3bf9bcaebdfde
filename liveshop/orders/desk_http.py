"""Cancelling, refunds, returns and feedback over HTTP.

Buyers return what they bought and answer for their own orders; the rest is staff's.
"""

from collections.abc import Awaitable, Callable

from liveshop.catalog.model import UnknownLocation
from liveshop.kernel.errors import Invalid
from liveshop.kernel.ids import OrderId, RefundId, ReturnId
from liveshop.kernel.text import BadText
from liveshop.orders import wire
from liveshop.orders.acting import actor_of
from liveshop.orders.credit import BadDeduction
from liveshop.orders.desk import OrderDesk
from liveshop.orders.feedback import FeedbackService
from liveshop.orders.model import (
    Actor,
    KeyReused,
    NotNow,
    NotReturnable,
    UnknownOrder,
    UnknownRefund,
    UnknownReturn,
)
from liveshop.orders.returns import Returns
from liveshop.payments.model import RefundTooLarge
from liveshop.web import (
    SIGNED_IN,
    VIEWER,
    Call,
    Endpoint,
    RateLimit,
    RateLimiter,
    permission,
)

_KEY_LENGTH = 80
_BY_BUYERS = RateLimit(burst=20, per_second=0.2)
_WRITERS = permission("orders:write")
_READERS = permission("orders:read")

ProgressOf = Callable[[OrderId], Awaitable[wire.OrderProgress]]
"""What became of an order, as staff sees it."""


def endpoints(
    desk: OrderDesk, returns: Returns, feedback: FeedbackService, progress: ProgressOf
) -> list[Endpoint]:
    return [
        *_money_endpoints(desk, progress),
        *_return_endpoints(returns),
        *_feedback_endpoints(feedback),
    ]


def _money_endpoints(desk: OrderDesk, progress: ProgressOf) -> list[Endpoint]:
    async def cancel_order(call: Call) -> wire.OrderProgress:
        await desk.cancel(_order(call), actor_of(call.principal), call.body.note)
        return await progress(_order(call))

    async def refund_order(call: Call) -> wire.OrderProgress:
        given: wire.RefundInput = call.body
        await desk.refund(
            _order(call),
            _key(call),
            given.amount.to_money(),
            given.note,
            actor_of(call.principal),
        )
        return await progress(_order(call))

    async def mark_order_paid(call: Call) -> wire.OrderProgress:
        await desk.mark_paid(_order(call), actor_of(call.principal), call.body.note)
        return await progress(_order(call))

    async def mark_refund_done(call: Call) -> wire.OrderProgress:
        refund_id = RefundId(call.params["refund_id"])
        done = await desk.refund_done(refund_id, actor_of(call.principal))
        return await progress(done.order_id)

    return [
        Endpoint(
            "POST",
            "/api/orders/{order_id}/cancel",
            cancel_order,
            _WRITERS,
            "Call an order off of which nothing has left: stock and money go back",
            "orders",
            body=wire.NoteInput,
            answer=wire.OrderProgress,
            errors=(UnknownOrder, NotNow, BadText),
        ),
        Endpoint(
            "POST",
            "/api/orders/{order_id}/refunds",
            refund_order,
            _WRITERS,
            "Give so much back, once per Idempotency-Key",
            "orders",
            body=wire.RefundInput,
            answer=wire.OrderProgress,
            status=201,
            headers=("Idempotency-Key",),
            errors=(UnknownOrder, RefundTooLarge, KeyReused, Invalid, BadText),
        ),
        Endpoint(
            "POST",
            "/api/orders/{order_id}/paid",
            mark_order_paid,
            _WRITERS,
            "Note that the money of an invoice, or for a pickup, is here",
            "orders",
            body=wire.NoteInput,
            answer=wire.OrderProgress,
            errors=(UnknownOrder, NotNow, BadText),
        ),
        Endpoint(
            "POST",
            "/api/refunds/{refund_id}/done",
            mark_refund_done,
            _WRITERS,
            "Note that a refund was given back by hand",
            "orders",
            answer=wire.OrderProgress,
            errors=(UnknownRefund, NotNow),
        ),
    ]


def _return_endpoints(returns: Returns) -> list[Endpoint]:
    attempts = RateLimiter(_BY_BUYERS)

    def actor_for(call: Call, nowhere: UnknownOrder | UnknownReturn) -> Actor:
        """The buyer, or staff that may; others are told what strangers are told."""
        if call.principal.is_viewer:
            _check_pace(attempts, call)
        elif not call.principal.may("orders:write"):
            raise nowhere
        return actor_of(call.principal)

    async def request_return(call: Call) -> wire.Return:
        actor = actor_for(call, UnknownOrder("There is no such order of yours."))
        return returns.out(await returns.request(_order(call), call.body, actor))

    async def list_returns(call: Call) -> wire.Returns:
        page, next_cursor = await returns.page(call.query)
        return wire.Returns(returns=[returns.out(one) for one in page], next=next_cursor)

    async def receive_return(call: Call) -> wire.Return:
        actor = actor_of(call.principal)
        return returns.out(await returns.receive(_return(call), call.body, actor))

    async def refuse_return(call: Call) -> wire.Return:
        actor = actor_of(call.principal)
        return returns.out(await returns.refuse(_return(call), call.body.note, actor))

    async def withdraw_return(call: Call) -> wire.Return:
        actor = actor_for(call, UnknownReturn("There is no such return."))
        return returns.out(await returns.withdraw(_return(call), call.body.note, actor))

    return [
        Endpoint(
            "POST",
            "/api/orders/{order_id}/returns",
            request_return,
            SIGNED_IN,
            "Announce what comes back: the buyer of his own, or staff with orders:write",
            "orders",
            body=wire.ReturnInput,
            answer=wire.Return,
            status=201,
            errors=(UnknownOrder, NotReturnable, Invalid, BadText),
        ),
        Endpoint(
            "GET",
            "/api/returns",
            list_returns,
            _READERS,
            "Returns, newest first",
            "orders",
            query=wire.ReturnQuery,
            answer=wire.Returns,
        ),
        Endpoint(
            "POST",
            "/api/returns/{return_id}/receive",
            receive_return,
            _WRITERS,
            "What the inspection found: refunded, and back on the shelf",
            "orders",
            body=wire.InspectionInput,
            answer=wire.Return,
            errors=(
                UnknownReturn,
                NotNow,
                UnknownLocation,
                BadDeduction,
                RefundTooLarge,
                Invalid,
                BadText,
            ),
        ),
        Endpoint(
            "POST",
            "/api/returns/{return_id}/refuse",
            refuse_return,
            _WRITERS,
            "Take nothing back, and say why",
            "orders",
            body=wire.NoteInput,
            answer=wire.Return,
            errors=(UnknownReturn, NotNow, BadText),
        ),
        Endpoint(
            "POST",
            "/api/returns/{return_id}/withdraw",
            withdraw_return,
            SIGNED_IN,
            "Keep the goods after all: the buyer, or staff with orders:write",
            "orders",
            body=wire.NoteInput,
            answer=wire.Return,
            errors=(UnknownReturn, NotNow, BadText),
        ),
    ]


def _feedback_endpoints(feedback: FeedbackService) -> list[Endpoint]:
    attempts = RateLimiter(_BY_BUYERS)

    async def give_feedback(call: Call) -> wire.Feedback:
        _check_pace(attempts, call)
        given = await feedback.give(_order(call), call.body, actor_of(call.principal))
        return wire.Feedback.of(given)

    async def get_feedback_summary(call: Call) -> wire.FeedbackSummary:
        return await feedback.summary(call.query.since)

    return [
        Endpoint(
            "POST",
            "/api/orders/{order_id}/feedback",
            give_feedback,
            VIEWER,
            "Answer the two questions about an order, or change one's answer",
            "orders",
            body=wire.FeedbackInput,
            answer=wire.Feedback,
            errors=(UnknownOrder, NotNow, Invalid, BadText),
        ),
        Endpoint(
            "GET",
            "/api/feedback/summary",
            get_feedback_summary,
            _READERS,
            "What buyers say of effort and satisfaction, and how many of them",
            "orders",
            query=wire.FeedbackQuery,
            answer=wire.FeedbackSummary,
        ),
    ]


def _check_pace(limiter: RateLimiter, call: Call) -> None:
    limiter.check(call.principal.id, call.now.timestamp(), "Too many at once; wait a little.")


def _key(call: Call) -> str:
    key = call.request.headers["Idempotency-Key"].strip()
    if len(key) > _KEY_LENGTH or not key.isprintable():
        raise Invalid(f"An Idempotency-Key has at most {_KEY_LENGTH} printable characters.")
    return key


def _order(call: Call) -> OrderId:
    return OrderId(call.params["order_id"])


def _return(call: Call) -> ReturnId:
    return ReturnId(call.params["return_id"])
