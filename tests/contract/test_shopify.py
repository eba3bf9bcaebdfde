"""Shopify: the contract of sources; products and stock."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal

import pytest
from fakes.shopify import CLIENT_ID, CLIENT_SECRET, FakeShopify
from fakes.shopify_schema import schema_or_skip
from fakes.shopify_shop import Product
from shopify_builders import House, eur, fake_shopify, only_product, rows_of, shopify_house

from liveshop.connect import (
    Accepted,
    NeedsAttention,
    OutcomeUnknown,
    Refused,
    SourceRow,
    StockWrite,
)
from liveshop.connect.contract import (
    FarOrder,
    FarProduct,
    Fault,
    SourceContract,
    SourceFarSide,
)
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.money import Money


@pytest.fixture(scope="module", autouse=True)
def _schema() -> None:
    schema_or_skip()


class FarShopify(SourceFarSide):
    def __init__(self, fake: FakeShopify, url: str) -> None:
        self._fake = fake
        self._url = url

    @property
    def config(self) -> Mapping[str, object]:
        return {
            "shop": "fake.myshopify.com",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "api_url": self._url,
        }

    @property
    def limits(self) -> Mapping[str, int]:
        return {"shopify.page": 3}

    @property
    def faults(self) -> Collection[Fault]:
        return (
            "expired",
            "revoked",
            "forbidden",
            "too_many",
            "too_many_until",
            "unavailable",
            "half_sent",
            "lost_answer",
        )

    async def fault(self, kind: Fault) -> None:
        self._fake.faults.add(kind)
        self._fake.fault_in = "createOrder" if kind == "lost_answer" else None

    async def heal(self) -> None:
        self._fake.faults.clear()

    async def add_product(self, *, title: str, price: Money, quantity: int) -> FarProduct:
        variant = self._fake.shop.variant(str(Decimal(price.amount) / 100), quantity)
        product = self._fake.shop.add(title, variant)
        return FarProduct(product.gid, variant.gid)

    async def change_product(
        self,
        product: FarProduct,
        *,
        title: str | None = None,
        price: Money | None = None,
        quantity: int | None = None,
    ) -> None:
        there = self._there(product)
        if title is not None:
            there.title = title
        if price is not None:
            there.variants[0].price = str(Decimal(price.amount) / 100)
        if quantity is not None:
            there.variants[0].quantity = quantity
        self._fake.shop.touch(there)

    async def remove_product(self, product: FarProduct) -> None:
        del self._fake.shop.products[self._there(product).number]

    async def spoil_product(self, product: FarProduct) -> None:
        self._there(product).variants[0].price = "12.345"

    async def orders(self) -> Sequence[FarOrder]:
        return [
            FarOrder(
                reference=order.gid,
                is_paid=order.given["financialStatus"] == "PAID",
                is_cancelled=order.cancelled_at is not None,
                total=eur(int(order.total * 100)),
                quantities={
                    line["variantId"]: line["quantity"] for line in order.given["lineItems"]
                },
            )
            for order in self._fake.shop.orders.values()
        ]

    def _there(self, product: FarProduct) -> Product:
        return next(
            one for one in self._fake.shop.products.values() if one.gid == product.product_id
        )


class TestShopifyContract(SourceContract):
    connector = "shopify"

    @asynccontextmanager
    async def far_side(self) -> AsyncIterator[FarShopify]:
        async with fake_shopify() as (fake, url):
            yield FarShopify(fake, url)


@pytest.fixture
async def house(clock: ManualClock) -> AsyncIterator[House]:
    async with shopify_house(clock) as opened:
        yield opened


# Products


async def test_a_product_with_variants_is_read_with_all_that_shopify_says(house: House) -> None:
    small = house.shop.variant(
        "49.90",
        5,
        sku="LS-S",
        barcode="4006381333931",
        compare_at="59.90",
        values=("Sand", "S"),
        image="https://cdn.example/s.jpg",
    )
    medium = house.shop.variant(
        "49.90", -2, barcode="HOUSE-1", compare_at="0.00", values=("Sand", "M")
    )
    house.shop.add(
        "Shirt <b>new</b>",
        small,
        medium,
        options=("Colour", "Size"),
        description="<p>Soft.</p>",
        category="Apparel > Shirts",
        url="https://shop.example/products/shirt",
        images=("https://cdn.example/1.jpg", "https://cdn.example/2.jpg"),
    )
    async with house.opened() as source:
        product = await only_product(source)
    assert product.title == "Shirt <b>new</b>"
    assert product.description_html == "<p>Soft.</p>"
    assert (product.brand, product.category) == ("Nord", "Apparel > Shirts")
    assert product.option_names == ("Colour", "Size")
    assert product.image_urls == ("https://cdn.example/1.jpg", "https://cdn.example/2.jpg")
    assert product.is_whole
    first, second = product.variants
    assert (first.sku, first.gtin, first.values) == ("LS-S", "4006381333931", ("Sand", "S"))
    assert (first.price, first.compare_at) == (eur(4990), eur(5990))
    assert (first.quantity, first.image_url) == (5, "https://cdn.example/s.jpg")
    assert (second.sku, second.gtin, second.compare_at) == (medium.gid, None, None)
    assert second.quantity == 0


async def test_a_product_without_picture_gtin_or_options_is_read(house: House) -> None:
    house.shop.add("Mug", house.shop.variant("12.00", 3), status="DRAFT")
    async with house.opened() as source:
        product = await only_product(source)
    assert (product.option_names, product.variants[0].values) == ((), ())
    assert (product.image_urls, product.variants[0].gtin) == ((), None)
    assert not product.is_active


async def test_what_shopify_does_not_count_leaves_the_stock_alone(house: House) -> None:
    variant = house.shop.variant("12.00", 3, is_tracked=False)
    house.shop.add("Mug", variant)
    async with house.opened() as source:
        assert (await only_product(source)).variants[0].quantity is None
        assert await source.quantities([variant.gid]) == {}


async def test_a_currency_without_cents_has_whole_amounts(house: House) -> None:
    house.shop.currency = "JPY"
    house.shop.add("Mug", house.shop.variant("1200.0", 3))
    async with house.opened() as source:
        assert (await only_product(source)).variants[0].price == Money(1200, "JPY")


async def test_all_variants_come_however_many_there_are(house: House) -> None:
    variants = [house.shop.variant("1.00", n, values=(str(n),)) for n in range(120)]
    house.shop.add("Beads", *variants, options=("Number",))
    async with house.opened() as source:
        product = await only_product(source)
    assert [variant.values for variant in product.variants] == [(str(n),) for n in range(120)]


async def test_changes_are_only_what_changed(house: House) -> None:
    products = [house.shop.add(f"Mug {n}", house.shop.variant("1.00", 1)) for n in range(40)]
    house.clock.advance(timedelta(hours=1))
    async with house.opened() as source:
        pages = [page async for page in source.products()]
        assert [len(page.rows) for page in pages] == [25, 15]
        products[7].variants[0].quantity = 9
        house.shop.touch(products[7])
        changed = [page async for page in source.changes(pages[-1].mark or "")]
    (row,) = changed[-1].rows
    assert isinstance(row, SourceRow)
    assert row.product.source_id == products[7].gid
    assert row.product.variants[0].quantity == 9


async def test_a_page_that_costs_too_much_is_asked_for_in_smaller_ones(house: House) -> None:
    for n in range(9):
        house.shop.add(f"Mug {n}", house.shop.variant("1.00", 1))
    house.fake.most_points = 260
    async with house.opened() as source:
        assert len(await rows_of(source)) == 9
        house.fake.most_points = 3
        with pytest.raises(NeedsAttention, match="costs too much"):
            await rows_of(source)


async def test_stock_is_that_of_the_chosen_location(house: House) -> None:
    house.shop.locations = [11, 12]
    variant = house.shop.variant("12.00", 3)
    house.shop.add("Mug", variant)
    async with house.opened(location_id="11") as source:
        assert (await only_product(source)).variants[0].quantity == 3
        assert await source.quantities([variant.gid]) == {variant.gid: 3}
        assert await source.diagnose() == []
    async with house.opened(location_id="gid://shopify/Location/12") as source:
        assert await source.quantities([variant.gid]) == {variant.gid: 0}
    async with house.opened(location_id="13") as source:
        assert "location" in " ".join(await source.diagnose())


# Stock


async def test_one_stale_count_does_not_hold_up_the_others(house: House) -> None:
    variants = [house.shop.variant("1.00", 5) for _ in range(4)]
    for variant in variants:
        house.shop.add("Mug", variant)
    writes = [
        StockWrite(variants[0].gid, 4, expected=5),
        StockWrite(variants[1].gid, 4, expected=9),
        StockWrite("gid://shopify/ProductVariant/1", 4),
        StockWrite(variants[3].gid, 0),
    ]
    async with house.opened() as source:
        verdicts = await source.write_stock(writes)
    kinds = [type(verdict) for verdict in verdicts]
    assert kinds == [Accepted, Refused, Refused, Accepted]
    assert [verdict.id for verdict in verdicts] == [write.source_id for write in writes]
    assert [variant.quantity for variant in variants] == [4, 5, 5, 0]


async def test_stock_set_without_an_answer_is_known_the_second_time(house: House) -> None:
    variant = house.shop.variant("1.00", 5)
    house.shop.add("Mug", variant)
    async with house.opened() as source:
        house.fake.faults, house.fake.fault_in = {"lost_answer"}, "setStock"
        with pytest.raises(OutcomeUnknown):
            await source.write_stock([StockWrite(variant.gid, 4, expected=5)])
        house.fake.faults.clear()
        (verdict,) = await source.write_stock([StockWrite(variant.gid, 4, expected=5)])
    assert isinstance(verdict, Accepted)
    assert variant.quantity == 4


async def test_stock_of_several_locations_asks_which_one(house: House) -> None:
    house.shop.locations = [1, 2]
    variant = house.shop.variant("1.00", 5)
    house.shop.add("Mug", variant)
    async with house.opened() as source:
        with pytest.raises(NeedsAttention, match="several locations"):
            await source.write_stock([StockWrite(variant.gid, 4)])
