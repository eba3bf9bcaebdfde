"""The catalog's routes: what they take, what they answer, what they refuse."""

import asyncio
import json
from collections.abc import AsyncIterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from catalog_builders import TenOff, csv_of, picture, shop

from liveshop.catalog import http
from liveshop.catalog.display import CatalogDisplay
from liveshop.catalog.media import MediaService
from liveshop.catalog.service import CatalogService
from liveshop.catalog.wire import ImageLinks
from liveshop.connect import GROUP, Connectors
from liveshop.kernel.clock import ManualClock
from liveshop.settings import MediaSettings
from liveshop.storage import Database
from liveshop.web import ANONYMOUS, Principal
from liveshop.web.openapi import document
from liveshop.web.server import WebKit, mount

SETTINGS = MediaSettings(max_bytes=100_000, max_pixels=1_000_000)
Client = TestClient[web.Request, web.Application]
MERCHANT = {"Authorization": "Bearer merchant"}


class ByName:
    """Takes the word after Bearer for the role."""

    async def authenticate(self, request: web.Request) -> Principal:
        role = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if role == "merchant":
            return Principal(
                "api_key", "key_1", "", frozenset({"catalog:read", "catalog:write", "media:write"})
            )
        return Principal("guest", "gst_1") if role == "guest" else ANONYMOUS


@pytest.fixture
async def client(database: Database, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Client]:
    catalog = CatalogService(database, clock, shop())
    media = MediaService(database, clock, tmp_path, SETTINGS)
    connectors = Connectors(
        [
            EntryPoint("google_csv", "connectors.sources.google_csv:GoogleCsv", GROUP),
            EntryPoint("ndjson", "connectors.sources.ndjson:Ndjson", GROUP),
        ]
    )
    links = ImageLinks("https://live.example", SETTINGS.widths)
    endpoints = http.endpoints(
        catalog,
        media,
        connectors,
        links,
        display=CatalogDisplay(links, TenOff()),
        max_image_bytes=SETTINGS.max_bytes,
    )
    document(endpoints, title="t", version="1", url="/")  # every struct can be described
    app = web.Application()
    mount(app, WebKit(clock, ByName(), "https://live.example"), endpoints)
    async with TestClient(TestServer(app)) as opened:
        yield opened
    media.close()


def shirt(**changes: Any) -> dict[str, Any]:
    price = {"amount": 4990, "currency": "EUR"}
    return {
        "title": "Shirt",
        "options": [{"name": "Size", "values": ["S", "M"]}],
        "variants": [{"sku": f"A-{size}", "values": [size], "list_price": price} for size in "SM"],
    } | changes


async def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = await response.json(content_type="application/problem+json")
    assert (response.status, body["code"]) == (status, code), body
    return body


async def test_a_product_with_a_picture_from_upload_to_screen(client: Client) -> None:
    response = await client.post(
        "/api/media?alt=A+shirt", data=picture(), headers={**MERCHANT, "Content-Type": "image/jpeg"}
    )
    assert response.status == 201
    image = await response.json()
    body = shirt(image_ids=[image["id"]])
    body["variants"][1]["image_index"] = 0
    response = await client.post("/api/products", json=body, headers=MERCHANT)
    assert response.status == 201, await response.text()
    made = await response.json()
    assert made["images"] == [image]
    assert [one["image_index"] for one in made["variants"]] == [None, 0]
    assert set(made) == {
        "id",
        "source_id",
        "title",
        "description_html",
        "brand",
        "category",
        "url",
        "options",
        "images",
        "variants",
        "max_per_customer",
        "fit",
        "active",
        "version",
    }
    assert await (await client.get(f"/api/products/{made['id']}")).json() == made
    assert await (await client.get("/api/products?q=shirt")).json() == {
        "products": [made],
        "next": None,
    }

    for source in image["sources"]:
        address = source["srcset"].split(" ")[0]
        assert address.startswith("https://live.example/media/")
        response = await client.get(address.removeprefix("https://live.example"))
        assert response.status == 200
        assert response.headers["Content-Type"] == source["type"]
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert response.headers["Access-Control-Allow-Origin"] == "*"


async def make(client: Client, **variant: Any) -> dict[str, Any]:
    """A product of one variant, as the API answers it."""
    given = {"sku": "A", "list_price": {"amount": 4990, "currency": "EUR"}} | variant
    body = {"title": "A", "variants": [given], "max_per_customer": 2}
    response = await client.post("/api/products", json=body, headers=MERCHANT)
    assert response.status == 201, await response.text()
    made: dict[str, Any] = await response.json()
    return made


async def test_everybody_sees_the_price_in_force_beside_the_list_price(client: Client) -> None:
    tier = {"min_quantity": 3, "price": {"amount": 4000, "currency": "EUR"}}
    made = await make(
        client, tiers=[tier], weight_grams=300, compare_at={"amount": 5990, "currency": "EUR"}
    )
    path = f"/api/products/{made['id']}"
    assert await (await client.get(path)).json() == made
    [listed] = (await (await client.get("/api/products")).json())["products"]
    assert listed == made
    assert made["max_per_customer"] == 2
    [variant] = made["variants"]
    amounts = {
        name: variant[name]["amount"]
        for name in ("price", "list_price", "compare_at", "lowest_30_days")
    }
    assert amounts == {
        "price": 4980,
        "list_price": 4990,
        "compare_at": 5990,
        "lowest_30_days": 4990,
    }
    assert variant["tiers"] == [{"min_quantity": 3, "price": {"amount": 3990, "currency": "EUR"}}]
    assert variant["list_tiers"] == [tier]
    assert (variant["weight_grams"], variant["promotions"], variant["parts"]) == (300, [], [])


async def test_what_was_read_cannot_be_written_back_as_a_list_price(client: Client) -> None:
    made = await make(client)
    [variant] = made["variants"]
    for price in ({"price": variant["price"]}, {"price": 1, "list_price": variant["list_price"]}):
        body = {"title": "A", "variants": [{"sku": "A"} | price]}
        response = await client.put(f"/api/products/{made['id']}", json=body, headers=MERCHANT)
        await problem(response, 422, "invalid")


async def test_a_bundle_names_its_parts_and_has_no_stock(client: Client) -> None:
    cup = (await make(client, sku="CUP"))["variants"][0]["id"]
    made = await make(client, sku="SET", parts=[{"variant_id": cup, "quantity": 2}])
    [bundle] = made["variants"]
    [part] = bundle["parts"]
    assert (part["variant_id"], part["sku"], part["title"], part["quantity"]) == (
        cup,
        "CUP",
        "A",
        2,
    )
    await client.post(
        "/api/imports?format=google_csv",
        data=csv_of("1,Mug,1.00 EUR"),
        headers={**MERCHANT, "Content-Type": "text/csv"},
    )
    [place] = (await (await client.get("/api/locations", headers=MERCHANT)).json())["locations"]
    stock = {"location_id": place["id"], "on_hand": 5}
    refused = await client.put(f"/api/variants/{bundle['id']}/stock", json=stock, headers=MERCHANT)
    body = await problem(refused, 409, "bundle_has_no_stock")
    assert body["data"] == {"part_ids": [cup]}
    await client.put(f"/api/variants/{cup}/stock", json=stock, headers=MERCHANT)
    path = f"/api/products/{made['id']}"
    assert (await (await client.get(path)).json())["variants"][0]["available"] == 2
    for parts in ([{"variant_id": bundle["id"]}], [{"variant_id": "var_nothing"}]):
        response = await client.post(
            "/api/products",
            json=shirt(
                options=[],
                variants=[{"sku": "B", "list_price": bundle["list_price"], "parts": parts}],
            ),
            headers=MERCHANT,
        )
        body = await problem(response, 422, "bad_product")
        assert body["data"]["field"] == "parts"
    for bad in (
        {"tiers": [{"min_quantity": 1, "price": bundle["price"]}]},
        {"parts": [{"variant_id": cup, "quantity": 0}]},
        {"parts": [{"variant_id": cup, "quantity": 1.5}]},
        {"weight_grams": -1},
    ):
        given = {"sku": "B", "list_price": bundle["list_price"]} | bad
        response = await client.post(
            "/api/products", json={"title": "B", "variants": [given]}, headers=MERCHANT
        )
        await problem(response, 422, "invalid")


async def test_stock_by_location(client: Client) -> None:
    variant = (await (await client.post("/api/products", json=shirt(), headers=MERCHANT)).json())[
        "variants"
    ][0]["id"]
    await client.post(
        "/api/imports?format=google_csv",
        data=csv_of("1,Mug,1.00 EUR"),
        headers={**MERCHANT, "Content-Type": "text/csv"},
    )
    (place,) = (await (await client.get("/api/locations", headers=MERCHANT)).json())["locations"]
    path = f"/api/variants/{variant}/stock"
    response = await client.put(
        path, json={"location_id": place["id"], "on_hand": 7}, headers=MERCHANT
    )
    expected = {"stock": [{"location_id": place["id"], "on_hand": 7, "held": 0, "available": 7}]}
    assert await response.json() == expected
    assert await (await client.get(path, headers=MERCHANT)).json() == expected
    for on_hand in (-1, 10**12, "7", 1.5):
        await problem(
            await client.put(
                path, json={"location_id": place["id"], "on_hand": on_hand}, headers=MERCHANT
            ),
            422,
            "invalid",
        )


async def test_an_import_is_streamed_and_reported(client: Client) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        for piece in (b"id,title,pri", b"ce\n1,Mug,1.", b"00 EUR\n2,Bowl,fr", b"ee\n"):
            yield piece
            await asyncio.sleep(0)

    response = await client.post(
        "/api/imports?format=google_csv",
        data=slowly(),
        headers={**MERCHANT, "Content-Type": "text/csv"},
    )
    report = await response.json()
    problems = report.pop("problems")
    assert report == {
        "rows": 2,
        "products_created": 1,
        "products_updated": 0,
        "unchanged": 0,
        "failed": 1,
        "problems_total": 1,
    }
    assert [(one["line"], one["source_id"]) for one in problems] == [(3, "2")]


async def test_bad_input_gets_one_clear_answer(client: Client) -> None:
    csv = {**MERCHANT, "Content-Type": "text/csv"}
    jpeg = {**MERCHANT, "Content-Type": "image/jpeg"}
    post, put, get = client.post, client.put, client.get
    body = await problem(
        await post("/api/imports?format=google_csv", data=b"a,b\n", headers=csv),
        422,
        "wrong_columns",
    )
    assert body["data"] == {"missing": ["id", "title", "price"], "found": ["a", "b"]}
    await problem(
        await post("/api/imports?format=shopify", data=b"x", headers=csv), 404, "unknown_connector"
    )
    await problem(await post("/api/imports", data=b"x", headers=csv), 422, "invalid")
    await problem(await post("/api/imports?format=ndjson", data=b"", headers=csv), 422, "bad_file")
    await problem(
        await post("/api/imports?format=ndjson", data=b"x", headers=jpeg), 415, "wrong_media_type"
    )
    await problem(await post("/api/media", data=b"no picture", headers=jpeg), 422, "not_an_image")
    await problem(await post("/api/media", data=b"x" * 100_001, headers=jpeg), 413, "too_large")
    await problem(
        await post("/api/media", data=picture(1100, 1100), headers=jpeg), 422, "image_too_large"
    )
    await problem(await get("/api/products/prd_x"), 404, "unknown_product")
    await problem(await get("/api/products?cursor=x"), 422, "bad_cursor")
    await problem(await get("/api/products?limit=1000"), 422, "invalid")
    await problem(await get("/media/med_x/320.webp"), 404, "unknown_media")
    await problem(await get("/media/med_x/%2e%2e%2fpasswd"), 404, "unknown_media")
    for changed, code in [
        ({"title": ""}, "invalid"),
        ({"titel": "x"}, "invalid"),
        ({"title": "\u200b"}, "bad_text"),
        ({"variants": []}, "invalid"),
        ({"options": []}, "bad_product"),
        ({"image_ids": ["med_x"]}, "bad_product"),
        ({"url": "javascript:x"}, "bad_product"),
    ]:
        await problem(
            await post("/api/products", json=shirt(**changed), headers=MERCHANT), 422, code
        )
    surrogate = json.dumps(shirt(title="x")).replace('"x"', '"\\ud800"')
    await problem(
        await post(
            "/api/products",
            data=surrogate,
            headers={**MERCHANT, "Content-Type": "application/json"},
        ),
        400,
        "bad_request",
    )
    await problem(
        await put("/api/products/prd_x", json=shirt(), headers=MERCHANT), 404, "unknown_product"
    )


async def test_only_merchants_change_the_catalog(client: Client) -> None:
    for method, path in [
        ("POST", "/api/products"),
        ("PUT", "/api/products/p"),
        ("POST", "/api/imports?format=ndjson"),
        ("POST", "/api/media"),
        ("GET", "/api/locations"),
        ("GET", "/api/variants/v/stock"),
        ("PUT", "/api/variants/v/stock"),
    ]:
        await problem(await client.request(method, path), 401, "not_signed_in")
        await problem(
            await client.request(method, path, headers={"Authorization": "Bearer guest"}),
            403,
            "forbidden",
        )
