"""Tells rooms when stock or a product changes: what many purchases did in a moment is one event.

Signals name what was touched; the board reads the state once the moment is over, so what it
publishes is always what the database says, and in order.
"""

import asyncio

import structlog

from liveshop.catalog.display import CatalogDisplay
from liveshop.catalog.model import ProductsTouched, StockTouched
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import ProductId, VariantId
from liveshop.shows import store, wire
from liveshop.shows.service import room_of
from liveshop.storage import Database, Published

_log = structlog.get_logger("stock_board")


class StockBoard:
    """Run `run()` in a supervised task; it listens from its making on."""

    def __init__(
        self,
        database: Database,
        catalog: CatalogDisplay,
        clock: Clock,
        *,
        coalesce_seconds: float = 0.2,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._clock = clock
        self._coalesce_seconds = coalesce_seconds
        self._variants: set[VariantId] = set()
        self._products: set[ProductId] = set()
        self._wake = asyncio.Event()
        database.listen(StockTouched, self._stock_touched)
        database.listen(ProductsTouched, self._products_touched)

    def _stock_touched(self, signal: StockTouched) -> None:
        self._variants.update(signal.variant_ids)
        self._wake.set()

    def _products_touched(self, signal: ProductsTouched) -> None:
        self._products.update(signal.product_ids)
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._coalesce_seconds)
            try:
                await self.tell()
            except ShopError as error:
                _log.warning("stock_board_waits", reason=error.detail)
                await asyncio.sleep(1.0)

    async def tell(self) -> None:
        """Publish what has been touched since the last time."""
        variants, products = self._variants, self._products
        self._variants, self._products = set(), set()
        self._wake.clear()
        if not variants and not products:
            return
        try:
            events = await self._events(variants, products)
            await self._database.publish(events)
        except ShopError:
            self._variants |= variants
            self._products |= products
            self._wake.set()
            raise

    async def _events(self, variants: set[VariantId], products: set[ProductId]) -> list[Published]:
        now = self._clock.now()
        async with self._database.read() as conn:
            owners = await store.products_of_variants(conn, sorted(variants))
            touched = sorted(products | set(owners.values()))
            shows = await store.live_with_products(conn, touched)
            out = await self._catalog.products(conn, sorted(shows), now)
        events: list[Published] = []
        for product in out:
            rooms = [room_of(show_id) for show_id in shows[ProductId(product.id)]]
            if product.id in products:
                changed = wire.ProductChanged(product)
                events += [Published(room, "product.changed", changed, now) for room in rooms]
                continue
            for variant in product.variants:
                if variant.id in variants:
                    left = wire.StockChanged(variant.id, product.id, variant.available)
                    events += [Published(room, "stock.changed", left, now) for room in rooms]
        return events
