"""A Shopify shop on loopback, and the connector opened against it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fakes.serving import serve
from fakes.shopify import FIXED_TOKEN, FakeShopify, make_app
from fakes.shopify_shop import Variant

from connectors.sources.shopify import Shopify, ShopifySource
from liveshop.connect import (
    BadRow,
    OrderAddress,
    OrderItem,
    SourceOrder,
    SourceProduct,
    SourceRow,
)
from liveshop.connect.contract import (
    DictMemory,
    open_connector,
)
from liveshop.kernel.clock import Clock, ManualClock
from liveshop.kernel.money import Money


@asynccontextmanager
async def fake_shopify(clock: Clock | None = None) -> AsyncIterator[tuple[FakeShopify, str]]:
    """A violation of Shopify's schema fails the test that caused it."""
    app, fake = make_app(clock)
    async with serve(app) as url:
        yield fake, url
    assert fake.violations == []


def eur(amount: int) -> Money:
    return Money(amount, "EUR")


class House:
    """The connector against a shop, on a clock that stands still."""

    def __init__(self, fake: FakeShopify, url: str, clock: ManualClock) -> None:
        self.fake = fake
        self.shop = fake.shop
        self.clock = clock
        self.memory = DictMemory()
        self._url = url

    @asynccontextmanager
    async def opened(
        self, *, limits: Mapping[str, int] | None = None, **config: object
    ) -> AsyncIterator[ShopifySource]:
        """Opened anew, as after a restart: only the memory stays."""
        given = {
            "shop": "fake",
            "access_token": FIXED_TOKEN,
            "api_url": self._url,
            **config,
        }
        async with open_connector(
            Shopify(), given, clock=self.clock, memory=self.memory, limits=limits
        ) as source:
            yield source


@asynccontextmanager
async def shopify_house(clock: ManualClock) -> AsyncIterator[House]:
    async with fake_shopify(clock) as (fake, url):
        yield House(fake, url, clock)


async def rows_of(source: ShopifySource) -> list[SourceRow | BadRow]:
    return [row async for page in source.products() for row in page.rows]


async def only_product(source: ShopifySource) -> SourceProduct:
    (row,) = await rows_of(source)
    assert isinstance(row, SourceRow), row
    return row.product


def an_order(*items: OrderItem, key: str = "ord_1") -> SourceOrder:
    total = sum(item.total.amount for item in items) + 490
    return SourceOrder(
        key=key,
        number="LS-1001",
        email="ada@buyers.example",
        address=OrderAddress("Ada King Lovelace", "Hauptstr. 1", "10115", "Berlin", "DE"),
        items=items,
        shipping=eur(490),
        total=eur(total),
        payment_method="card",
        payment_reference="pi_123",
    )


def an_item(variant: Variant, *, quantity: int = 1, total: int = 1000) -> OrderItem:
    return OrderItem(variant.gid, "SKU", "Mug", quantity, eur(1000), eur(total))
