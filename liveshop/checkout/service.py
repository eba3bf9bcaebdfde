"""Carts with holds: what stands in a cart is reserved for its viewer until the countdown ends."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import holds
from liveshop.catalog.display import CatalogDisplay
from liveshop.catalog.model import StockTouched, UnknownVariant
from liveshop.checkout import model, store, wire
from liveshop.checkout.model import Cart, CartLine, Quote, Rates
from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import (
    CartId,
    LineId,
    MediaId,
    ShowId,
    VariantId,
    ViewerId,
    new_id,
)
from liveshop.promotions import words
from liveshop.settings import Settings
from liveshop.shows import store as shows
from liveshop.shows.model import UnknownShow
from liveshop.storage import Database, Tx


class CartService:
    def __init__(
        self, database: Database, clock: Clock, settings: Settings, catalog: CatalogDisplay
    ) -> None:
        self._database = database
        self._clock = clock
        self._catalog = catalog
        self._limits = settings.checkout
        self._currency = settings.shop.currency
        words.load(wire.LANGUAGES)
        self.rates = Rates(
            currency=settings.shop.currency,
            shipping=settings.shop.shipping,
            free_shipping_from=settings.shop.free_shipping_from,
            tax_permille=settings.shop.tax_permille,
        )

    async def cart_of(self, viewer_id: ViewerId) -> wire.Cart:
        async with self._database.read() as conn:
            return await self._out(conn, viewer_id)

    async def add_to_cart(
        self, viewer_id: ViewerId, variant_id: VariantId, quantity: int, show_id: ShowId | None
    ) -> wire.Cart:
        """Put so much more into the cart and hold it. Raises OutOfStock, TooMany, CartFull,
        UnknownVariant, UnknownShow.
        """
        now = self._clock.now()
        async with self._database.write() as tx:
            cart_id = await store.lock(tx.conn, viewer_id, now)
            if not await store.is_for_sale(tx.conn, variant_id):
                raise UnknownVariant("This is not sold here any more.")
            if show_id is not None and await shows.state_of(tx.conn, show_id) is None:
                raise UnknownShow("There is no such show.")
            before = await store.line_of_variant(tx.conn, cart_id, variant_id)
            if before is None:
                await self._check_room(tx.conn, cart_id)
                line_id = LineId(new_id("lin", now))
                await store.add_line(
                    tx.conn,
                    line_id=line_id,
                    cart_id=cart_id,
                    variant_id=variant_id,
                    quantity=quantity,
                    show_id=show_id,
                    now=now,
                )
            else:
                line_id, quantity = before[0], before[1] + quantity
                await store.set_quantity(tx.conn, cart_id, line_id, quantity)
            await self._hold(tx, line_id, variant_id, quantity, now)
            return await self._out(tx.conn, viewer_id)

    async def set_quantity(self, viewer_id: ViewerId, line_id: LineId, quantity: int) -> wire.Cart:
        """Have exactly so much of a line, and hold it. Raises OutOfStock, TooMany, UnknownLine."""
        now = self._clock.now()
        async with self._database.write() as tx:
            cart_id = await store.lock(tx.conn, viewer_id, now)
            variant_id = await store.set_quantity(tx.conn, cart_id, line_id, quantity)
            if variant_id is None:
                raise model.UnknownLine("This line is not in your cart any more.")
            await self._hold(tx, line_id, variant_id, quantity, now)
            return await self._out(tx.conn, viewer_id)

    async def remove_line(self, viewer_id: ViewerId, line_id: LineId) -> wire.Cart:
        now = self._clock.now()
        async with self._database.write() as tx:
            cart_id = await store.lock(tx.conn, viewer_id, now)
            variant_id = await store.remove_line(tx.conn, cart_id, line_id)
            if variant_id is None:
                raise model.UnknownLine("This line is not in your cart any more.")
            await holds.lock(tx.conn, [variant_id])
            tx.notify(StockTouched(tuple(await holds.release(tx.conn, [line_id]))))
            return await self._out(tx.conn, viewer_id)

    async def hold_again(self, viewer_id: ViewerId) -> wire.Cart:
        """Take the lapsed holds of a cart again, all or none. Raises OutOfStock."""
        now = self._clock.now()
        async with self._database.write() as tx:
            cart_id = await store.lock(tx.conn, viewer_id, now)
            cart = await self.locked(tx.conn, viewer_id, cart_id, now)
            await self.take_lapsed(tx, cart.lines, now)
            return await self._out(tx.conn, viewer_id)

    async def quote(self, viewer_id: ViewerId, country: str, language: str = "en") -> wire.Quote:
        """What the cart costs now, and why, in words. Raises CartEmpty, NotDelivered."""
        now = self._clock.now()
        async with self._database.read() as conn:
            cart = await store.load(conn, viewer_id, self._currency, now)
        return wire.Quote.of(self.quote_of(cart, country, now), now, language)

    def quote_of(self, cart: Cart, country: str, now: datetime) -> Quote:
        if not cart.lines:
            raise model.CartEmpty("Your cart is empty.")
        return model.quote_of(cart.lines, country, self.rates, now=now)

    async def locked(
        self, conn: AsyncConnection, viewer_id: ViewerId, cart_id: CartId, now: datetime
    ) -> Cart:
        """A cart whose row this transaction has, with holds that stay as they are to the commit."""
        await holds.lock(conn, await store.variant_ids(conn, cart_id))
        return await store.load(conn, viewer_id, self._currency, now)

    async def take_lapsed(self, tx: Tx, lines: Sequence[CartLine], now: datetime) -> None:
        """Hold again what these lines no longer hold. Raises OutOfStock naming the variant.

        The lines are those of a `locked` cart.
        """
        lapsed = [line for line in lines if line.hold == "lapsed"]
        if not lapsed:
            return
        for line in lapsed:
            if not line.is_for_sale:
                raise holds.OutOfStock(
                    f"{line.title} is not sold any more. Remove it from the cart.",
                    data={"variant_id": line.variant_id, "available": 0},
                )
        variant_ids = [line.variant_id for line in lapsed]
        changed = await holds.release_lapsed(tx.conn, now, variant_ids=variant_ids)
        await holds.release(tx.conn, [line.id for line in lapsed])
        until = self.hold_until(now)
        wanted = [holds.Wanted(line.id, line.variant_id, line.quantity, until) for line in lapsed]
        await holds.take(tx.conn, wanted, now)
        tx.notify(StockTouched(tuple(changed.union(variant_ids))))

    def hold_until(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._limits.hold_seconds)

    async def sweep(self) -> int:
        """Give back lapsed holds, so that rooms hear of it; how many variants changed.

        Nothing depends on this being run: availability never counts a lapsed hold.
        """
        async with self._database.write() as tx:
            changed = await holds.release_lapsed(tx.conn, self._clock.now())
            if changed:
                tx.notify(StockTouched(tuple(changed)))
        return len(changed)

    async def _hold(
        self, tx: Tx, line_id: LineId, variant_id: VariantId, quantity: int, now: datetime
    ) -> None:
        if quantity > self._limits.max_quantity:
            raise model.TooMany(
                f"At most {self._limits.max_quantity} of one article.",
                data={"field": "quantity", "max": self._limits.max_quantity},
            )
        await holds.release_lapsed(tx.conn, now, variant_ids=[variant_id])
        await holds.release(tx.conn, [line_id])
        wanted = holds.Wanted(line_id, variant_id, quantity, self.hold_until(now))
        await holds.take(tx.conn, [wanted], now)
        tx.notify(StockTouched((variant_id,)))

    async def _check_room(self, conn: AsyncConnection, cart_id: CartId) -> None:
        if await store.line_count(conn, cart_id) >= self._limits.max_lines:
            raise model.CartFull(f"A cart holds at most {self._limits.max_lines} articles.")

    async def _out(self, conn: AsyncConnection, viewer_id: ViewerId) -> wire.Cart:
        now = self._clock.now()
        cart = await store.load(conn, viewer_id, self._currency, now)
        ids = sorted({MediaId(line.image_id) for line in cart.lines if line.image_id})
        images = await self._catalog.images(conn, ids)
        return wire.Cart.of(cart, images=images, now=now)
