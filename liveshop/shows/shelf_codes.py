"""QR codes beside goods in a store: who scans one sees the product in the show, on his phone."""

import io
from typing import Annotated
from urllib.parse import urlencode

import segno
from aiohttp import web
from msgspec import Meta

from liveshop.catalog.model import UnknownLocation, UnknownProduct
from liveshop.catalog.service import CatalogService
from liveshop.kernel.ids import ShowId
from liveshop.shows.model import CustomersOnly, UnknownShow
from liveshop.shows.service import ShowService
from liveshop.web import Call, Endpoint, Wire, permission

_Id = Annotated[str, Meta(min_length=1, max_length=40)]


class ShelfCodeQuery(Wire):
    """`show`: to be opened in it; without one, the shop's page finds the show that is on or next.
    `store`: where the code hangs."""

    store: _Id | None = None
    show: _Id | None = None


def endpoints(catalog: CatalogService, shows: ShowService, public_url: str) -> list[Endpoint]:
    async def product_code(call: Call) -> web.Response:
        query: ShelfCodeQuery = call.query
        stocked = await catalog.product(call.params["product_id"])
        asked: dict[str, str] = {"product": stocked.product.id}
        if query.store is not None:
            if query.store not in [place.id for place in await catalog.locations()]:
                raise UnknownLocation("There is no such location.")
            asked["store"] = query.store
        path = "/"
        if query.show is not None:
            path = f"/s/{(await shows.show_for(ShowId(query.show), call.principal)).id}"
        return web.Response(
            body=_svg(f"{public_url}{path}?{urlencode(asked)}"), content_type="image/svg+xml"
        )

    return [
        Endpoint(
            "GET",
            "/api/products/{product_id}/qr.svg",
            product_code,
            permission("catalog:read"),
            "a QR code that opens the product in a show, to hang beside it in a store",
            "shows",
            query=ShelfCodeQuery,
            raw=True,
            produces=("image/svg+xml",),
            errors=(UnknownProduct, UnknownLocation, UnknownShow, CustomersOnly),
        )
    ]


def _svg(url: str) -> bytes:
    """At level M (15 % may be lost), with the quiet zone of ISO/IEC 18004."""
    out = io.BytesIO()
    segno.make(url, error="m", micro=False).save(out, kind="svg", scale=8, border=4, light="#fff")
    return out.getvalue()
