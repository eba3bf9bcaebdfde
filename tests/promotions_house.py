"""A shop small enough to be about prices only: its catalog, its promotions, and who asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.display import ShownPrice
from liveshop.catalog.model import Product, ProductDraft, VariantDraft
from liveshop.catalog.service import CatalogService
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import LineId, ShowId, VariantId, ViewerId, new_id
from liveshop.kernel.money import Money
from liveshop.promotions import wire
from liveshop.promotions.claims import Claim, claim
from liveshop.promotions.model import Line, Stored
from liveshop.promotions.prices import Prices, item_of
from liveshop.promotions.pricing import Context
from liveshop.promotions.service import PromotionService
from liveshop.settings import ShopSettings
from liveshop.storage import Database
from liveshop.web import MoneyOut

SHOW = ShowId("shw_" + "0" * 26)
TEXTS = {"en": "Winter evening", "de": "Winterabend"}


def money(amount: int, currency: str = "EUR") -> MoneyOut:
    return MoneyOut(amount=amount, currency=currency)


def percent(permille: int) -> wire.PercentOff:
    return wire.PercentOff(permille=permille)


def given(kind: wire.Kind | None = None, **changes: Any) -> wire.PromotionInput:
    usual = {"texts": TEXTS, "kind": kind or percent(100), "stacking": "stackable"}
    return wire.PromotionInput(**(usual | changes))


@dataclass(slots=True)
class House:
    database: Database
    clock: ManualClock
    shop: ShopSettings = field(default_factory=ShopSettings)
    prices: Prices = field(init=False)
    catalog: CatalogService = field(init=False)
    promotions: PromotionService = field(init=False)

    def __post_init__(self) -> None:
        self.prices = Prices(self.shop)
        self.catalog = CatalogService(self.database, self.clock, self.shop)
        self.promotions = PromotionService(self.database, self.clock, self.shop, self.prices)

    async def product(self, title: str = "Mug", price: int = 2800, **changes: Any) -> Product:
        """A product with one variant; `changes` are of the product or of its variant."""
        whole = {name: changes.pop(name) for name in ("category",) if name in changes}
        variant = VariantDraft(sku=title.upper(), price=Money(price, self.shop.currency), **changes)
        draft = ProductDraft(title=title, variants=(variant,), **whole)
        return (await self.catalog.create_product(draft)).product

    async def reprice(self, product: Product, price: int, compare_at: int | None = None) -> Product:
        variant, currency = product.variants[0], self.shop.currency
        draft = ProductDraft(
            title=product.title,
            category=product.category,
            variants=(
                VariantDraft(
                    id=variant.id,
                    sku=variant.sku,
                    price=Money(price, currency),
                    compare_at=None if compare_at is None else Money(compare_at, currency),
                ),
            ),
        )
        return (await self.catalog.replace_product(product.id, draft)).product

    async def promotion(self, kind: wire.Kind | None = None, **changes: Any) -> Stored:
        return await self.promotions.create_promotion(given(kind, **changes))

    async def shown(self, product: Product, show_id: ShowId | None = None) -> ShownPrice:
        """The product's only variant as anybody sees it now."""
        async with self.database.read() as conn:
            shown = await self.prices.shown(conn, [product], self.clock.now(), show_id)
        return shown[product.variants[0].id]

    async def price(self, product: Product, show_id: ShowId | None = None) -> int:
        return (await self.shown(product, show_id)).price.amount

    async def context(self, **asked: Any) -> Context:
        async with self.database.read() as conn:
            return await self.prices.context(conn, now=self.clock.now(), **asked)

    async def claim(
        self,
        product: Product,
        quantity: int = 1,
        *,
        owner: str = "",
        viewer: str = "gst_1",
        seconds: int = 600,
        **more: Any,
    ) -> str:
        """A cart line's claim; its owner."""
        async with self.database.write() as tx:
            made = self.claim_of(
                product, quantity, owner=owner, viewer=viewer, seconds=seconds, **more
            )
            await claim(tx.conn, self.prices, [made], self.clock.now())
        return made.owner

    def claim_of(
        self,
        product: Product,
        quantity: int = 1,
        *,
        owner: str = "",
        viewer: str = "gst_1",
        seconds: int = 600,
        show_id: ShowId | None = None,
    ) -> Claim:
        now = self.clock.now()
        id_ = LineId(owner or new_id("lin", now))
        line = Line(id_, item_of(product, product.variants[0]), quantity, show_id)
        until = now + timedelta(seconds=seconds)
        return Claim(id_, ViewerId(viewer), line, frozenset(), until)

    async def claimed(self, stored: Stored) -> int:
        return (await self.promotions.promotion(stored.promotion.id)).claimed

    async def used(self, stored: Stored) -> int:
        return (await self.promotions.promotion(stored.promotion.id)).promotion.used

    def pass_time(self, **step: float) -> None:
        self.clock.advance(timedelta(**step))


def statements_of(conn: AsyncConnection) -> list[str]:
    """What is sent to the database on this connection from here on."""
    sent: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    sa.event.listen(conn.sync_connection, "before_cursor_execute", note)
    return sent


def amounts(shown: Mapping[VariantId, ShownPrice], products: Sequence[Product]) -> list[int]:
    return [shown[product.variants[0].id].price.amount for product in products]
