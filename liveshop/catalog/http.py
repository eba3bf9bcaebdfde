"""The catalog over HTTP: products, stock, import, pictures."""

import re
from collections.abc import AsyncIterator
from typing import Annotated

from aiohttp import web
from msgspec import Meta

from liveshop.catalog import wire
from liveshop.catalog.channel_pictures import STEPS_KB
from liveshop.catalog.display import CatalogDisplay
from liveshop.catalog.media import MediaService
from liveshop.catalog.model import (
    BadLocation,
    BadProduct,
    BundleHasNoStock,
    ImageTooLarge,
    MediaUnavailable,
    NotAnImage,
    ProductChanged,
    StockedProduct,
    StockHeld,
    UnknownLocation,
    UnknownMedia,
    UnknownProduct,
    UnknownVariant,
)
from liveshop.catalog.pictures import RENDITIONS
from liveshop.catalog.service import MAX_PAGE, BadCursor, CatalogService
from liveshop.connect import BadFile, Connectors, UnknownConnector, WrongColumns
from liveshop.connect.registry import BrokenConnector
from liveshop.kernel.text import BadText
from liveshop.web import PUBLIC, Call, Endpoint, Wire, permission
from liveshop.web.server import TooLarge, read_body

_READ = permission("catalog:read")
_WRITE = permission("catalog:write")
_TAG = "catalog"
_MAX_IMPORT_BYTES = 1024 * 1024 * 1024  # streamed: the limit guards time, not memory
_PICTURES = ("image/jpeg", "image/png", "image/webp", "image/avif")
_FILE = re.compile(r"(?P<width>\d{1,5})\.(?P<extension>[a-z]+)", re.ASCII)
_CHANNEL_FILE = re.compile(r"(?P<rendition>[a-z]+)-(?P<kb>[1-9]\d{2,3})\.jpg", re.ASCII)
"""A rendition of `liveshop.connect` and its cap in thousands of bytes."""
_FOR_EVER = "public, max-age=31536000, immutable"


class ProductQuery(Wire):
    q: Annotated[str, Meta(max_length=200)] = ""
    cursor: Annotated[str, Meta(max_length=40)] | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 50


class ImportQuery(Wire):
    format: Annotated[str, Meta(min_length=1, max_length=60)]


class MediaQuery(Wire):
    alt: Annotated[str, Meta(max_length=500)] = ""


def endpoints(
    catalog: CatalogService,
    media: MediaService,
    connectors: Connectors,
    links: wire.ImageLinks,
    *,
    display: CatalogDisplay,
    max_image_bytes: int,
) -> list[Endpoint]:
    return [
        *_product_endpoints(catalog, display),
        *_location_endpoints(catalog),
        *_stock_endpoints(catalog),
        _import_endpoint(catalog, connectors),
        *_media_endpoints(media, links, max_image_bytes),
    ]


def _product_endpoints(catalog: CatalogService, display: CatalogDisplay) -> list[Endpoint]:
    async def out(stocked: StockedProduct) -> wire.Product:
        [shown] = await catalog.shown([stocked], display)
        return shown

    async def list_products(call: Call) -> wire.Products:
        page = await catalog.products(
            query=call.query.q,
            cursor=call.query.cursor,
            limit=call.query.limit,
            include_inactive=call.principal.may("catalog:read"),
        )
        return wire.Products(products=await catalog.shown(page.products, display), next=page.next)

    async def get_product(call: Call) -> wire.Product:
        stocked = await catalog.product(
            call.params["product_id"], include_inactive=call.principal.may("catalog:read")
        )
        return await out(stocked)

    async def create_product(call: Call) -> wire.Product:
        stocked = await catalog.create_product(wire.draft_of(call.body))
        return await out(stocked)

    async def replace_product(call: Call) -> wire.Product:
        stocked = await catalog.replace_product(
            call.params["product_id"],
            wire.draft_of(call.body),
            expected_version=call.body.version,
        )
        return await out(stocked)

    return [
        Endpoint(
            "GET",
            "/api/products",
            list_products,
            PUBLIC,
            "products, page by page",
            _TAG,
            query=ProductQuery,
            answer=wire.Products,
            errors=(BadCursor,),
        ),
        Endpoint(
            "GET",
            "/api/products/{product_id}",
            get_product,
            PUBLIC,
            "a product",
            _TAG,
            answer=wire.Product,
            errors=(UnknownProduct,),
        ),
        Endpoint(
            "POST",
            "/api/products",
            create_product,
            _WRITE,
            "add a product",
            _TAG,
            body=wire.ProductInput,
            answer=wire.Product,
            status=201,
            errors=(BadProduct, BadText),
            max_body_bytes=1024 * 1024,
        ),
        Endpoint(
            "PUT",
            "/api/products/{product_id}",
            replace_product,
            _WRITE,
            "replace a product; variants no longer named are withdrawn",
            _TAG,
            body=wire.ProductInput,
            answer=wire.Product,
            errors=(UnknownProduct, ProductChanged, BadProduct, BadText),
            max_body_bytes=1024 * 1024,
        ),
    ]


def _location_endpoints(catalog: CatalogService) -> list[Endpoint]:
    async def list_locations(_: Call) -> wire.Locations:
        return wire.locations_out(await catalog.locations())

    async def create_location(call: Call) -> wire.Location:
        return wire.location_out(await catalog.places.create(wire.location_of("", call.body)))

    async def replace_location(call: Call) -> wire.Location:
        changed = wire.location_of(call.params["location_id"], call.body)
        return wire.location_out(await catalog.places.replace(changed))

    async def list_stores(_: Call) -> wire.Stores:
        return wire.stores_out(await catalog.places.stores(), catalog.places.time_zone)

    return [
        Endpoint(
            "GET",
            "/api/locations",
            list_locations,
            _READ,
            "where stock lies",
            _TAG,
            answer=wire.Locations,
        ),
        Endpoint(
            "POST",
            "/api/locations",
            create_location,
            _WRITE,
            "add a warehouse or a store",
            _TAG,
            body=wire.LocationInput,
            answer=wire.Location,
            status=201,
            errors=(BadLocation, BadText),
        ),
        Endpoint(
            "PUT",
            "/api/locations/{location_id}",
            replace_location,
            _WRITE,
            "replace a warehouse or a store; its stock stays",
            _TAG,
            body=wire.LocationInput,
            answer=wire.Location,
            errors=(UnknownLocation, BadLocation, BadText),
        ),
        Endpoint(
            "GET",
            "/api/stores",
            list_stores,
            PUBLIC,
            "the stores in which buyers can collect",
            _TAG,
            answer=wire.Stores,
        ),
    ]


def _stock_endpoints(catalog: CatalogService) -> list[Endpoint]:
    async def get_stock(call: Call) -> wire.Stock:
        return wire.stock_out(await catalog.stock_of(call.params["variant_id"]))

    async def set_stock(call: Call) -> wire.Stock:
        levels = await catalog.set_stock(
            call.params["variant_id"], call.body.location_id, call.body.on_hand
        )
        return wire.stock_out(levels)

    return [
        Endpoint(
            "GET",
            "/api/variants/{variant_id}/stock",
            get_stock,
            _READ,
            "the stock of a variant by location",
            _TAG,
            answer=wire.Stock,
            errors=(UnknownVariant,),
        ),
        Endpoint(
            "PUT",
            "/api/variants/{variant_id}/stock",
            set_stock,
            _WRITE,
            "set the stock of a variant at a location",
            _TAG,
            body=wire.StockInput,
            answer=wire.Stock,
            errors=(UnknownVariant, UnknownLocation, BundleHasNoStock, StockHeld, BadProduct),
        ),
    ]


def _import_endpoint(catalog: CatalogService, connectors: Connectors) -> Endpoint:
    async def import_products(call: Call) -> wire.ImportReport:
        source = connectors.file_source(call.query.format)
        report = await catalog.import_file(source, _body(call.request, _MAX_IMPORT_BYTES))
        return wire.report_out(report)

    return Endpoint(
        "POST",
        "/api/imports",
        import_products,
        _WRITE,
        "import products from a file; sending it again changes nothing",
        _TAG,
        query=ImportQuery,
        answer=wire.ImportReport,
        consumes=("text/csv", "application/x-ndjson", "application/xml"),
        errors=(UnknownConnector, BrokenConnector, BadFile, WrongColumns),
        max_body_bytes=_MAX_IMPORT_BYTES,
    )


async def _body(request: web.Request, limit: int) -> AsyncIterator[bytes]:
    """The body piece by piece; the sender is made to wait while rows are written."""
    too_large = TooLarge(
        f"The file is larger than {limit} bytes. Send it in parts.", data={"limit": limit}
    )
    if (request.content_length or 0) > limit:
        raise too_large
    read = 0
    async for piece in request.content.iter_chunked(64 * 1024):
        read += len(piece)
        if read > limit:
            raise too_large
        yield piece


def _media_endpoints(
    media: MediaService, links: wire.ImageLinks, max_image_bytes: int
) -> list[Endpoint]:
    async def upload_image(call: Call) -> wire.Image:
        content = await read_body(call.request, max_image_bytes)
        return links.image(await media.store_image(content, alt=call.query.alt))

    async def get_image(call: Call) -> web.FileResponse:
        media_id, name = call.params["media_id"], call.params["file"]
        if (match := _FILE.fullmatch(name)) is not None:
            extension = match["extension"]
            path = await media.rendition(media_id, width=int(match["width"]), extension=extension)
        elif (match := _CHANNEL_FILE.fullmatch(name)) is not None and int(match["kb"]) in STEPS_KB:
            extension = "jpg"
            path = await media.channel_picture(
                media_id, match["rendition"], int(match["kb"]) * 1000
            )
        else:
            raise UnknownMedia("There is no such picture, or not in this size.")
        return web.FileResponse(
            path, headers={"Cache-Control": _FOR_EVER, "Content-Type": RENDITIONS[extension]}
        )

    return [
        Endpoint(
            "POST",
            "/api/media",
            upload_image,
            permission("media:write"),
            "upload a picture",
            _TAG,
            query=MediaQuery,
            answer=wire.Image,
            status=201,
            consumes=_PICTURES,
            errors=(NotAnImage, ImageTooLarge, BadText, MediaUnavailable),
            max_body_bytes=max_image_bytes,
        ),
        Endpoint(
            "GET",
            "/media/{media_id}/{file}",
            get_image,
            PUBLIC,
            "a rendition of a picture, such as 640.webp, or square-950.jpg for channels",
            _TAG,
            raw=True,
            produces=tuple(RENDITIONS.values()),
            any_origin=True,
            errors=(UnknownMedia, MediaUnavailable),
        ),
    ]
