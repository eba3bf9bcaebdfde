"""Reading orders: buyers their own, staff all."""

from liveshop.kernel.ids import OrderId, ShowId
from liveshop.orders import store, wire
from liveshop.orders.model import UnknownOrder
from liveshop.storage import Database
from liveshop.web import SIGNED_IN, Call, Endpoint, permission


def endpoints(database: Database) -> list[Endpoint]:
    async def get_order(call: Call) -> wire.Order:
        async with database.read() as conn:
            order = await store.by_id(conn, OrderId(call.params["order_id"]))
        who = call.principal
        is_own = order is not None and who.is_viewer and order.viewer_id == who.id
        if order is None or not (is_own or who.may("orders:read")):
            # Whether somebody else's order exists is nobody's business either.
            raise UnknownOrder("There is no such order of yours.")
        return wire.Order.of(order)

    async def list_orders(call: Call) -> wire.OrderPage:
        query: wire.OrderQuery = call.query
        async with database.read() as conn:
            orders = await store.page(
                conn,
                show_id=ShowId(query.show_id) if query.show_id else None,
                before=OrderId(query.cursor) if query.cursor else None,
                limit=query.limit + 1,
            )
        shown = orders[: query.limit]
        return wire.OrderPage(
            orders=[wire.Order.of(order) for order in shown],
            next=shown[-1].id if len(orders) > query.limit else None,
        )

    return [
        Endpoint(
            "GET",
            "/api/orders",
            list_orders,
            permission("orders:read"),
            "Orders, newest first",
            "orders",
            query=wire.OrderQuery,
            answer=wire.OrderPage,
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
    ]
