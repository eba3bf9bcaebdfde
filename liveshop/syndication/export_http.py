"""What became of orders at the shop systems their products came from."""

from liveshop.kernel.ids import OrderId
from liveshop.syndication import wire
from liveshop.syndication.exporting import OrderExports
from liveshop.syndication.model import ConnectionId, UnknownExport
from liveshop.web import Call, Endpoint, permission

_READ = permission("orders:read")
_WRITE = permission("orders:write")
_TAG = "orders"


def endpoints(exports: OrderExports) -> list[Endpoint]:
    async def list_refused_exports(_: Call) -> wire.OrderExports:
        return wire.OrderExports(exports=await exports.refused())

    async def list_order_exports(call: Call) -> wire.OrderExports:
        return wire.OrderExports(exports=await exports.exports(OrderId(call.params["order_id"])))

    async def settle_order_export(call: Call) -> wire.OrderExport:
        order_id = OrderId(call.params["order_id"])
        connection_id = ConnectionId(call.params["connection_id"])
        if call.body.reference is None:
            return await exports.try_again(order_id, connection_id)
        return await exports.taken_by_hand(order_id, connection_id, call.body.reference)

    return [
        Endpoint(
            "GET",
            "/api/order-exports",
            list_refused_exports,
            _READ,
            "Orders that a shop system did not take, the newest first",
            _TAG,
            answer=wire.OrderExports,
        ),
        Endpoint(
            "GET",
            "/api/orders/{order_id}/exports",
            list_order_exports,
            _READ,
            "What became of an order at the shop systems its products came from",
            _TAG,
            answer=wire.OrderExports,
            errors=(UnknownExport,),
        ),
        Endpoint(
            "POST",
            "/api/orders/{order_id}/exports/{connection_id}",
            settle_order_export,
            _WRITE,
            "Send a refused one again, or say under which number it was entered by hand",
            _TAG,
            body=wire.ExportSettlement,
            answer=wire.OrderExport,
            errors=(UnknownExport,),
        ),
    ]
