"""Shopify's points, tokens and permissions; and that its fake keeps to its schema."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from fakes import shopify_schema
from fakes.serving import serve
from fakes.shopify import CLIENT_ID, CLIENT_SECRET, make_app
from fakes.shopify_schema import SchemaMissing, schema_or_skip
from shopify_builders import (
    House,
    an_item,
    an_order,
    rows_of,
    shopify_house,
)

from connectors.sources.shopify.admin import Operation
from liveshop.connect import (
    NeedsAttention,
    RetryLater,
)
from liveshop.kernel.clock import ManualClock


@pytest.fixture(scope="module", autouse=True)
def _schema() -> None:
    schema_or_skip()


@pytest.fixture
async def house(clock: ManualClock) -> AsyncIterator[House]:
    async with shopify_house(clock) as opened:
        yield opened


async def test_a_request_that_would_not_fit_the_bucket_is_not_sent(house: House) -> None:
    house.shop.add("Mug", house.shop.variant("1.00", 1))
    house.fake.bucket.maximum = house.fake.bucket.available = 2000.0
    house.fake.bucket.rate = 1.0
    async with house.opened() as source:
        with pytest.raises(RetryLater) as told:
            for _ in range(50):
                await rows_of(source)
        sent = len(house.fake.operations)
        assert told.value.after is not None
        assert told.value.after > 10
        house.clock.advance(timedelta(seconds=told.value.after))
        assert len(await rows_of(source)) == 1
    assert len(house.fake.operations) == sent + 1


async def test_a_short_wait_for_points_is_waited_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        house.clock.advance(timedelta(seconds=seconds))

    house.shop.add("Mug", house.shop.variant("1.00", 1))
    house.fake.bucket.maximum = house.fake.bucket.available = 500.0
    house.fake.bucket.rate = 100.0
    async with house.opened() as source:
        monkeypatch.setattr(asyncio, "sleep", wait)
        for _ in range(3):
            assert len(await rows_of(source)) == 1
    assert any(0 < seconds < 10 for seconds in waits)


async def test_a_throttled_query_comes_back_when_shopify_has_room(house: House) -> None:
    house.fake.faults = {"throttled"}
    house.fake.bucket.available, house.fake.bucket.rate = 0.0, 2.0
    async with house.opened() as source:
        with pytest.raises(RetryLater) as told:
            await rows_of(source)
    assert told.value.after is not None
    assert told.value.after > 30


async def test_a_missing_scope_is_named(house: House) -> None:
    house.shop.scopes = {"read_products"}
    async with house.opened() as source:
        missing = " ".join(await source.diagnose())
        for scope in ("write_inventory", "read_locations", "read_orders", "write_orders"):
            assert scope in missing
        assert "read_products" not in missing
        with pytest.raises(NeedsAttention, match="read_orders"):
            await source.place_order(an_order(an_item(house.shop.variant("1.00", 1))))


async def test_a_version_that_shopify_no_longer_has_is_diagnosed(house: House) -> None:
    house.fake.version = "2027-07"
    async with house.opened() as source:
        assert "2027-07" in " ".join(await source.diagnose())


async def test_a_frozen_shop_asks_for_attention(house: House) -> None:
    house.fake.faults = {"frozen"}
    async with house.opened() as source:
        with pytest.raises(NeedsAttention, match="frozen"):
            await rows_of(source)


async def test_a_token_is_fetched_once_and_again_before_it_ends(house: House) -> None:
    house.shop.add("Mug", house.shop.variant("1.00", 1))
    app_of_ours = {"access_token": "", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    async with house.opened(**app_of_ours) as source:
        for _ in range(3):
            await rows_of(source)
        assert len(house.fake.tokens) == 2  # the fixed one, and one that was fetched
        house.clock.advance(timedelta(hours=24))
        await rows_of(source)
        assert len(house.fake.tokens) == 3


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"access_token": ""}, "no credentials"),
        ({"access_token": "", "client_id": "x", "client_secret": "y"}, "client ID and secret"),
        ({"access_token": "shpat_revoked"}, "refuses the access token"),
    ],
)
async def test_credentials_that_do_not_work_are_told(
    house: House, config: dict[str, object], words: str
) -> None:
    async with house.opened(**config) as source:
        with pytest.raises(NeedsAttention, match=words):
            await rows_of(source)


# The fake


@pytest.mark.parametrize(
    ("text", "variables", "words"),
    [
        ("query x { products(first: 1) { nodes { titel } } }", {}, "titel"),
        (
            "mutation x($order: OrderCreateOrderInput!) "
            "{ orderCreate(order: $order) { order { id } } }",
            {"order": {"sourceIdentifer": "x"}},
            "sourceIdentifer",
        ),
        (
            "mutation x($input: InventorySetQuantitiesInput!) "
            "{ inventorySetQuantities(input: $input) { userErrors { code } } }",
            {"input": {"name": "available", "reason": "correction", "quantities": []}},
            "@idempotent",
        ),
    ],
)
async def test_a_wrong_field_name_is_caught(
    clock: ManualClock, text: str, variables: dict[str, Any], words: str
) -> None:
    app, fake = make_app(clock)
    async with serve(app) as url:
        house = House(fake, url, clock)
        async with house.opened() as source:
            with pytest.raises(RetryLater):
                await source._admin.ask(Operation("x", text), variables)
    (violation,) = fake.violations
    assert words in violation


async def test_a_wrong_answer_of_the_fake_is_caught(clock: ManualClock) -> None:
    app, fake = make_app(clock)
    fake.shop.add("Mug", fake.shop.variant("twelve", 1))
    async with serve(app) as url, House(fake, url, clock).opened() as source:
        with pytest.raises(RetryLater):
            await rows_of(source)
    (violation,) = fake.violations
    assert "not a Money" in violation


@pytest.mark.parametrize("is_ci", [True, False])
def test_a_missing_schema_is_an_error_in_ci_and_a_skip_elsewhere(
    is_ci: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise SchemaMissing("npm cannot be run")

    monkeypatch.setattr(shopify_schema, "schema", missing)
    monkeypatch.setenv("CI", "true" if is_ci else "")
    outcome = SchemaMissing if is_ci else pytest.skip.Exception
    with pytest.raises(outcome, match="npm cannot be run"):
        schema_or_skip()
