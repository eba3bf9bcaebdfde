"""Feeds over HTTP: connected in the desk, fetched by whoever has the address."""

import gzip
import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import builders
import pytest
from builders import Api
from catalog_builders import euros, picture, shirt_draft

from liveshop.app import Liveshop
from liveshop.catalog.model import StockedProduct
from liveshop.kernel.clock import ManualClock, rfc3339
from liveshop.promotions import wire as promotions_wire
from liveshop.web import MoneyOut


@pytest.fixture
async def merchant(api: Api, shop: Liveshop) -> Api:
    return api.with_token(await builders.key_with(shop, "channels:write", "channels:read"))


@pytest.fixture
async def shirt(shop: Liveshop) -> StockedProduct:
    stored = await shop.media.store_image(picture(), alt="A blue shirt")
    added = await shop.catalog.create_product(
        shirt_draft(image_ids=(stored.media_id,), url="https://shop.example/shirt")
    )
    place = await shop.catalog.create_location("Warehouse", kind="warehouse", priority=1)
    for variant in added.product.variants:
        await shop.catalog.set_stock(variant.id, place.id, 5)
    return added


async def connected(merchant: Api, connector: str = "json_feed") -> dict[str, Any]:
    status, made = await merchant.call(
        "POST", "/api/connections", {"connector": connector, "title": "Our app", "config": {}}
    )
    assert status == 201, made
    found: dict[str, Any] = made
    return found


def path_of(made: dict[str, Any]) -> str:
    return urlsplit(made["feed_url"]).path


async def items(api: Api, made: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await api.fetch("GET", path_of(made))
    assert answer.status == 200, answer.text
    found: list[dict[str, Any]] = json.loads(answer.body)["items"]
    return found


async def states(merchant: Api) -> set[str]:
    status, table = await merchant.call("GET", "/api/listings")
    assert status == 200
    return {one["state"] for product in table["products"] for one in product["listings"]}


async def test_a_feed_says_what_the_shop_says(
    api: Api, merchant: Api, shop: Liveshop, shirt: StockedProduct
) -> None:
    made = await connected(merchant)
    await shop.syndication.runner.run_due()
    assert await states(merchant) == {"pending"}
    found = await items(api, made)
    assert {one["sku"] for one in found} == {one.sku for one in shirt.product.variants}
    assert all(one["is_available"] and one["quantity"] == 5 for one in found)
    assert all(one["images"][0]["alt"] == "A blue shirt" for one in found)
    assert all(one["link"].startswith("https://shop.example/shirt?utm_") for one in found)
    # Somebody has it now; what he shows, nobody can know.
    assert await states(merchant) == {"sent"}
    status, shown = await merchant.call("GET", f"/api/connections/{made['id']}")
    assert status == 200
    assert shown["feed_fetched_at"] is not None


async def test_who_has_the_present_feed_is_not_sent_it_again(
    api: Api, merchant: Api, shop: Liveshop, shirt: StockedProduct
) -> None:
    made = await connected(merchant)
    await shop.syndication.runner.run_due()
    first = await api.fetch("GET", path_of(made))
    etag = first.headers["ETag"]
    again = await api.fetch("GET", path_of(made), If_None_Match=etag)
    assert (again.status, again.body) == (304, b"")
    place = (await shop.catalog.locations())[0]
    await shop.catalog.set_stock(shirt.product.variants[0].id, place.id, 0)
    await shop.syndication.runner.run_due()
    assert await states(merchant) == {"pending", "sent"}
    changed = await api.fetch("GET", path_of(made), If_None_Match=etag)
    assert changed.status == 200
    sold_out = {one["sku"] for one in json.loads(changed.body)["items"] if not one["is_available"]}
    assert sold_out == {shirt.product.variants[0].sku}


async def test_a_feed_is_zipped_for_those_who_can_read_that(
    api: Api, merchant: Api, shop: Liveshop, shirt: StockedProduct
) -> None:
    made = await connected(merchant, "google_feed")
    await shop.syndication.runner.run_due()
    path = path_of(made)
    plain = await api.fetch("GET", path, Accept_Encoding="identity")
    zipped = await api.fetch("GET", path, Accept_Encoding="gzip")
    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert zipped.headers["ETag"] == plain.headers["ETag"]
    unpacked = zipped.body if zipped.body.startswith(b"<?xml") else gzip.decompress(zipped.body)
    assert unpacked == plain.body
    head = await api.fetch("HEAD", path)
    assert (head.status, head.body) == (200, b"")


async def test_a_promotion_stands_in_the_feed_with_its_times(
    api: Api, merchant: Api, shop: Liveshop, shirt: StockedProduct, clock: ManualClock
) -> None:
    made = await connected(merchant)
    starts = clock.now() + timedelta(days=1)
    await shop.promotions.create_promotion(
        promotions_wire.PromotionInput(
            texts={"en": "Winter", "de": "Winter"},
            kind=promotions_wire.FixedPrice(price=MoneyOut.of(euros(500))),
            starts_at=starts,
            ends_at=starts + timedelta(days=10),
        )
    )
    await shop.syndication.runner.run_due()
    for one in await items(api, made):
        assert one["sale"]["price"] == {"amount": 500, "currency": "EUR"}
        assert one["sale"]["starts_at"] == rfc3339(starts)
        assert one["sale"]["ends_at"] == rfc3339(starts + timedelta(days=10))


async def test_an_address_that_nobody_gave_out_opens_nothing(
    api: Api, merchant: Api, shop: Liveshop, shirt: StockedProduct
) -> None:
    made = await connected(merchant)
    await shop.syndication.runner.run_due()
    status, problem = await api.call("GET", f"/feeds/{'x' * 22}/products.json")
    assert (status, problem["code"]) == (404, "unknown_feed")
    assert (await api.fetch("GET", path_of(made))).status == 200
    status, _ = await merchant.call(
        "POST", f"/api/connections/{made['id']}/state", {"to": "removed"}
    )
    assert status == 200
    assert (await api.fetch("GET", path_of(made))).status == 404


async def test_the_token_of_a_feed_is_not_in_the_database(
    merchant: Api, shop: Liveshop, database_url: str
) -> None:
    made = await connected(merchant)
    token = path_of(made).split("/")[2]
    async with shop.database.read() as conn:
        for table in ("connection", "feed_address", "connection_memory"):
            rows = await conn.exec_driver_sql(f"SELECT * FROM {table}")
            assert token not in str(rows.all())
