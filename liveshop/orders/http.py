"""Orders over HTTP: buyers read their own; staff finds all of them, and moves their goods."""

from aiohttp import web

from liveshop.kernel.errors import Invalid
from liveshop.kernel.ids import FulfilmentId, LocationId, OrderId
from liveshop.kernel.text import BadText
from liveshop.orders import csv_export, fulfilment_store, search, store, wire
from liveshop.orders.acting import actor_of
from liveshop.orders.fulfilling import Fulfilments
from liveshop.orders.model import (
    NotNow,
    NotPaid,
    Order,
    UnknownFulfilment,
    UnknownOrder,
    UnknownPickup,
    WrongStore,
)
from liveshop.orders.progress import Progress
from liveshop.payments.model import CannotCapture, ProviderUnavailable
from liveshop.storage import Database
from liveshop.web import (
    SIGNED_IN,
    Call,
    Endpoint,
    RateLimit,
    RateLimiter,
    permission,
)

_READERS = permission("orders:read")
_WRITERS = permission("orders:write")
_CODES = RateLimit(burst=30, per_second=0.5)
"""Faster than anybody serves people, and far too slow for guessing."""


def endpoints(database: Database, progress: Progress, fulfilments: Fulfilments) -> list[Endpoint]:
    return [
        *_order_endpoints(database, progress),
        *_fulfilment_endpoints(progress, fulfilments),
        *_pickup_endpoints(fulfilments),
    ]


def _order_endpoints(database: Database, progress: Progress) -> list[Endpoint]:
    async def seen(call: Call) -> tuple[Order, bool]:
        """The order asked for, and whether it is the caller's own. Raises UnknownOrder."""
        async with database.read() as conn:
            order = await store.by_id(conn, OrderId(call.params["order_id"]))
        who = call.principal
        is_own = order is not None and who.is_viewer and order.viewer_id == who.id
        if order is None or not (is_own or who.may("orders:read")):
            # Whether somebody else's order exists is nobody's business either.
            raise UnknownOrder("There is no such order of yours.")
        return order, is_own

    async def get_order(call: Call) -> wire.Order:
        order, is_own = await seen(call)
        return wire.Order.of(order, is_buyer=is_own)

    async def get_order_progress(call: Call) -> wire.OrderProgress:
        order, is_own = await seen(call)
        if is_own:
            return await progress.for_buyer(order.id)
        return await progress.for_staff(order.id, may_act=call.principal.may("orders:write"))

    async def list_orders(call: Call) -> wire.OrderPage:
        query: wire.OrderQuery = call.query
        async with database.read() as conn:
            found = await search.find(conn, query, query.limit + 1, cursor=query.cursor)
            shown = found[: query.limit]
            states = await fulfilment_store.states_of(conn, [order.id for order in shown])
        return wire.OrderPage(
            orders=[wire.Order.of(order) for order in shown],
            next=shown[-1].id if len(found) > query.limit else None,
            fulfilments={str(order_id): listed for order_id, listed in states.items()},
        )

    async def export_orders(call: Call) -> web.StreamResponse:
        pieces = await csv_export.file_of(database, call.query)
        return web.Response(
            body=pieces,
            content_type="text/csv",
            charset="utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="orders-{call.now:%Y-%m-%d}.csv"',
                "Cache-Control": "no-store",
            },
        )

    return [
        Endpoint(
            "GET",
            "/api/orders",
            list_orders,
            _READERS,
            "Orders, newest first: all, or those that are searched for",
            "orders",
            query=wire.OrderQuery,
            answer=wire.OrderPage,
            errors=(Invalid,),
        ),
        Endpoint(
            "GET",
            "/api/orders.csv",
            export_orders,
            _READERS,
            "The same as a table, one row for each line of an order; `limit` does not count",
            "orders",
            query=wire.OrderQuery,
            raw=True,
            produces=("text/csv",),
            errors=(Invalid,),
        ),
        Endpoint(
            "GET",
            "/api/orders/{order_id}",
            get_order,
            SIGNED_IN,
            "One order: the buyer's own, or any with orders:read",
            "orders",
            answer=wire.Order,
            errors=(UnknownOrder,),
        ),
        Endpoint(
            "GET",
            "/api/orders/{order_id}/progress",
            get_order_progress,
            SIGNED_IN,
            "What became of an order: the buyer's own, or any, with its history, with orders:read",
            "orders",
            answer=wire.OrderProgress,
            errors=(UnknownOrder,),
        ),
    ]


def _fulfilment_endpoints(progress: Progress, fulfilments: Fulfilments) -> list[Endpoint]:
    async def list_fulfilments(call: Call) -> wire.Fulfilments:
        return await progress.fulfilments(call.query)

    async def ship_fulfilment(call: Call) -> wire.Fulfilment:
        actor = actor_of(call.principal)
        return await progress.fulfilment(await fulfilments.ship(_id(call), actor, call.body))

    async def ready_fulfilment(call: Call) -> wire.Fulfilment:
        ready = await fulfilments.ready(_id(call), actor_of(call.principal))
        return await progress.fulfilment(ready)

    async def deliver_fulfilment(call: Call) -> wire.Fulfilment:
        delivered = await fulfilments.deliver(_id(call), actor_of(call.principal))
        return await progress.fulfilment(delivered)

    return [
        Endpoint(
            "GET",
            "/api/fulfilments",
            list_fulfilments,
            _READERS,
            "What is to be packed, sent and handed over, the oldest first",
            "orders",
            query=wire.FulfilmentQuery,
            answer=wire.Fulfilments,
        ),
        Endpoint(
            "POST",
            "/api/fulfilments/{fulfilment_id}/ship",
            ship_fulfilment,
            _WRITERS,
            "A parcel has left, to the buyer or to his store; what was authorised is taken first",
            "orders",
            body=wire.ShipInput,
            answer=wire.Fulfilment,
            errors=(
                UnknownFulfilment,
                NotNow,
                NotPaid,
                CannotCapture,
                ProviderUnavailable,
                BadText,
            ),
        ),
        Endpoint(
            "POST",
            "/api/fulfilments/{fulfilment_id}/ready",
            ready_fulfilment,
            _WRITERS,
            "It lies in the store for its buyer, put aside or arrived there",
            "orders",
            answer=wire.Fulfilment,
            errors=(UnknownFulfilment, NotNow, CannotCapture, ProviderUnavailable),
        ),
        Endpoint(
            "POST",
            "/api/fulfilments/{fulfilment_id}/deliver",
            deliver_fulfilment,
            _WRITERS,
            "A parcel has reached its buyer",
            "orders",
            answer=wire.Fulfilment,
            errors=(UnknownFulfilment, NotNow),
        ),
    ]


def _pickup_endpoints(fulfilments: Fulfilments) -> list[Endpoint]:
    attempts = RateLimiter(_CODES)

    def code_of(call: Call) -> str:
        attempts.check(
            call.principal.id, call.now.timestamp(), "Too many codes at once; wait a little."
        )
        return call.params["code"]

    async def get_pickup(call: Call) -> wire.Pickup:
        query: wire.PickupQuery = call.query
        at_store = LocationId(query.store_id) if query.store_id else None
        return await fulfilments.pickup(code_of(call), at_store=at_store)

    async def collect_pickup(call: Call) -> wire.Pickup:
        return await fulfilments.collect(code_of(call), call.body, actor_of(call.principal))

    return [
        Endpoint(
            "GET",
            "/api/pickups/{code}",
            get_pickup,
            _WRITERS,
            "What a pickup code is for, as it was typed or scanned",
            "orders",
            query=wire.PickupQuery,
            answer=wire.Pickup,
            errors=(UnknownPickup,),
        ),
        Endpoint(
            "POST",
            "/api/pickups/{code}/collect",
            collect_pickup,
            _WRITERS,
            "Goods are handed to the buyer: all that is ready, or a part of it",
            "orders",
            body=wire.CollectInput,
            answer=wire.Pickup,
            errors=(
                UnknownPickup,
                UnknownFulfilment,
                WrongStore,
                NotNow,
                NotPaid,
                CannotCapture,
                ProviderUnavailable,
            ),
        ),
    ]


def _id(call: Call) -> FulfilmentId:
    return FulfilmentId(call.params["fulfilment_id"])
