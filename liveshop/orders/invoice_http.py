"""Invoices as pages to be printed: for staff here, for buyers in `liveshop.pages.orders`."""

import secrets

from aiohttp import web

from liveshop.kernel.ids import OrderId
from liveshop.orders.invoices import Invoices, NoInvoice
from liveshop.orders.model import UnknownOrder
from liveshop.web import Call, Endpoint, permission


def endpoints(invoices: Invoices) -> list[Endpoint]:
    async def get_invoice(call: Call) -> web.Response:
        nonce = secrets.token_urlsafe(12)
        return response(await invoices.page(OrderId(call.params["order_id"]), nonce), nonce)

    return [
        Endpoint(
            "GET",
            "/api/orders/{order_id}/invoice",
            get_invoice,
            permission("orders:read"),
            "The invoice of an order, as a page to be printed; numbered at the first look",
            "orders",
            raw=True,
            produces=("text/html",),
            errors=(UnknownOrder, NoInvoice),
        )
    ]


def response(html: str, nonce: str) -> web.Response:
    """Its style alone is let through, and nothing of it is kept or told on."""
    answer = web.Response(text=html, content_type="text/html")
    answer.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'"
    )
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["X-Robots-Tag"] = "noindex, nofollow"
    return answer
