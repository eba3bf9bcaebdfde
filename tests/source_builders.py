"""What tests of sources build: a shop system in memory that can misbehave, connected to ours."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from checkout_builders import Bank, payments_of, viewer, wish

from liveshop.app import Liveshop
from liveshop.catalog.model import Product
from liveshop.checkout.place import PlaceOrder
from liveshop.connect import (
    BadRow,
    SourceOrder,
    SourcePage,
    SourceProduct,
    SourceRow,
    SourceVariant,
    StockWrite,
    Verdict,
)
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import LocationId, OrderId, VariantId
from liveshop.kernel.money import Money
from liveshop.orders.model import Order
from liveshop.payments.model import Delivery
from liveshop.settings import SyndicationSettings
from liveshop.storage import Worker
from liveshop.syndication import connection_store
from liveshop.syndication.exporting import OrderExports
from liveshop.syndication.model import Connection, ConnectionId
from liveshop.syndication.pulling import SourceTurns


@dataclass
class Catalog:
    """A shop system that only gives. Pages of two."""

    products_by_id: dict[str, SourceProduct] = field(default_factory=dict)
    bad: dict[str, str] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    before_page: Callable[[int], Awaitable[None]] | None = None
    after_page: Callable[[int], Awaitable[None]] | None = None

    def put(self, name: str, *, quantity: int | None = 5, price: int = 2800) -> None:
        """One product with one variant; its id is that of the product with -0."""
        variant = SourceVariant(
            source_id=f"{name}-0", sku=name.upper(), price=Money(price, "EUR"), quantity=quantity
        )
        self.products_by_id[name] = SourceProduct(
            source_id=name, title=name.title(), variants=(variant,)
        )
        self.changed.add(name)

    def quantity(self, name: str) -> int:
        quantity = self.products_by_id[name].variants[0].quantity
        assert quantity is not None
        return quantity

    def set_quantity(self, name: str, quantity: int) -> None:
        present = self.products_by_id[name]
        variant = replace(present.variants[0], quantity=quantity)
        self.products_by_id[name] = replace(present, variants=(variant,))

    async def products(self, cursor: str | None = None) -> AsyncIterator[SourcePage]:
        self.asked.append(f"products {cursor or 'from the start'}")
        place = int(cursor or 0)
        names = sorted([*self.products_by_id, *self.bad])
        self.changed.clear()
        while True:
            if self.before_page is not None:
                await self.before_page(place // 2)
            rows = [self._row(name) for name in names[place : place + 2]]
            if self.after_page is not None:
                await self.after_page(place // 2)
            place += 2
            is_last = place >= len(names)
            yield SourcePage(rows, cursor=None if is_last else str(place), mark="m1")
            if is_last:
                return

    def _row(self, name: str) -> SourceRow | BadRow:
        if name in self.bad:
            return BadRow(0, name, self.bad[name])
        return SourceRow(0, self.products_by_id[name])

    async def changes(self, mark: str) -> AsyncIterator[SourcePage]:
        self.asked.append("changes")
        names = sorted(self.changed & self.products_by_id.keys())
        self.changed.clear()
        yield SourcePage([self._row(name) for name in names], mark=mark)

    async def product_ids(self) -> AsyncIterator[Sequence[str]]:
        self.asked.append("ids")
        yield sorted(self.products_by_id)

    async def quantities(self, source_ids: Collection[str]) -> Mapping[str, int]:
        self.asked.append("quantities")
        names = {one: one.removesuffix("-0") for one in source_ids}
        return {
            one: self.quantity(name) if name in self.products_by_id else 0
            for one, name in names.items()
        }


@dataclass
class System(Catalog):
    """One that takes orders too. `before_order` and `after_order` are called around the moment at
    which it has the order; what they raise, we see."""

    orders: dict[str, SourceOrder] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    placed: int = 0
    before_order: Callable[[], Awaitable[None]] | None = None
    after_order: Callable[[], Awaitable[None]] | None = None
    before_cancel: Callable[[], Awaitable[None]] | None = None

    async def place_order(self, order: SourceOrder) -> str:
        if self.before_order is not None:
            await self.before_order()
        if order.key not in self.orders:
            self.orders[order.key] = order
            self.placed += 1
            for item in order.items:
                self._add(item.source_id, -item.quantity)
        if self.after_order is not None:
            await self.after_order()
        return f"at-{order.key}"

    async def cancel_order(self, reference: str, *, reason: str) -> None:
        if self.before_cancel is not None:
            await self.before_cancel()
        key = reference.removeprefix("at-")
        if key in self.cancelled:
            return
        self.cancelled.append(key)
        for item in self.orders[key].items:
            self._add(item.source_id, item.quantity)

    async def write_stock(self, writes: Sequence[StockWrite]) -> Sequence[Verdict]:
        raise NotImplementedError

    def _add(self, variant_id: str, quantity: int) -> None:
        name = variant_id.removesuffix("-0")
        self.set_quantity(name, self.quantity(name) + quantity)


@dataclass
class House:
    """Our side: a shop with connections to such systems."""

    shop: Liveshop
    clock: ManualClock
    systems: dict[ConnectionId, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        async def opened(connection_id: ConnectionId) -> Any:
            return self.systems[connection_id]

        database, settings = self.shop.database, self.shop.settings
        self.exports = OrderExports(database, self.clock, opened)
        self.turns = SourceTurns(
            database,
            self.clock,
            settings.shop,
            SyndicationSettings(),
            opened,
            resume_exports=self.exports.resume,
        )
        handlers = self.exports.handlers()
        self.worker = Worker(database, handlers, self.clock, never_given_up=list(handlers))
        self.checkout = PlaceOrder(
            database,
            self.clock,
            settings,
            self.shop.carts,
            payments_of(self.shop, Bank()),
            on_confirmed=self.exports.on_confirmed,
        )
        self._orders = 0

    async def connect(self, system: Catalog, name: str = "con_1") -> ConnectionId:
        id_ = ConnectionId(name)
        self.systems[id_] = system
        now = self.clock.now()
        connection = Connection(
            id=id_,
            connector="toy",
            title="A shop system",
            roles=frozenset({"source"}),
            config={},
            state="active",
            attention=None,
            language="en",
            version=1,
            mark=None,
            cursor=None,
            due_at=None,
            whole_at=None,
            created_at=now,
            updated_at=now,
        )
        async with self.shop.database.write() as tx:
            await connection_store.add(tx.conn, connection, sealed="")
        return id_

    async def connection(self, id_: str = "con_1") -> Connection:
        async with self.shop.database.read() as conn:
            found = await connection_store.by_id(conn, id_)
        assert found is not None
        return found

    async def turn(self, id_: str = "con_1") -> datetime | None:
        """A turn, a minute after the last one."""
        self.clock.advance(timedelta(minutes=1))
        return await self.turns.turn(await self.connection(id_))

    async def set_state(self, state: str, id_: str = "con_1") -> None:
        """As a person does."""
        async with self.shop.database.write() as tx:
            await connection_store.change(
                tx.conn, ConnectionId(id_), self.clock.now(), state=state, attention=None
            )

    async def product(self, source_id: str) -> Product:
        page = await self.shop.catalog.products(include_inactive=True, limit=100)
        (found,) = [one.product for one in page.products if one.product.source_id == source_id]
        return found

    async def variant_id(self, source_id: str) -> VariantId:
        return (await self.product(source_id)).variants[0].id

    async def on_hand(self, source_id: str) -> int:
        """Free and held."""
        stock = await self.shop.catalog.stock_of(await self.variant_id(source_id))
        return sum(level.on_hand for level in stock)

    async def buy(self, *source_ids: str, quantity: int = 1) -> Order:
        """Put into a cart, ordered and paid."""
        return await self.buy_variants({await self.variant_id(one): quantity for one in source_ids})

    async def buy_variants(
        self, wanted: Mapping[VariantId, int], store_id: LocationId | None = None
    ) -> Order:
        """Shipped, or collected at that store."""
        self._orders += 1
        buyer = viewer(self._orders)
        for variant_id, quantity in wanted.items():
            await self.shop.carts.add_to_cart(buyer, variant_id, quantity, None)
        way: Delivery = "pickup" if store_id else "ship"
        quote = await self.shop.carts.quote(buyer, "DE", delivery=way, store_id=store_id)
        wished = replace(wish(quote.total, method="bank"), delivery=way, store_id=store_id)
        return await self.checkout.place_order(buyer, f"key-{self._orders}", wished)

    async def cancel(self, order: Order) -> None:
        async with self.shop.database.write() as tx:
            await self.exports.on_cancelled(tx, order, self.clock.now())

    async def work(self) -> None:
        """All jobs that are due."""
        while await self.worker.run_due():
            pass

    async def state_of(self, order: Order) -> list[tuple[str, str | None]]:
        """(state, reason) at each source."""
        found = await self.exports.exports(OrderId(order.id))
        return [(one.state, one.reason) for one in found]
