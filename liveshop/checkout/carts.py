"""Carts inside a transaction, many at once: load them, price them, show them."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import holds
from liveshop.catalog.display import CatalogDisplay
from liveshop.catalog.store import available_by_variant
from liveshop.checkout import store, wire
from liveshop.checkout.holding import Shelf, claim
from liveshop.checkout.model import Cart, CartLine, Limits, Terms, units_of
from liveshop.customers.model import is_guest
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import (
    LineId,
    LocationId,
    MediaId,
    OrderId,
    ProductId,
    VariantId,
    ViewerId,
)
from liveshop.kernel.rehearsals import shelf_of
from liveshop.orders import store as orders
from liveshop.promotions.prices import Asked, Prices
from liveshop.promotions.pricing import Context
from liveshop.promotions.words import Reader
from liveshop.settings import Settings
from liveshop.storage import Tx

Segments = Callable[[AsyncConnection, ViewerId], Awaitable[frozenset[str]]]
Bought = Mapping[tuple[ViewerId, ProductId], int]


@dataclass(frozen=True, slots=True)
class Look:
    """A cart as somebody looks at it: where its goods go, and what he adds to it by looking."""

    cart: Cart
    country: str | None = None
    is_collected: bool = False
    email: str | None = None
    more_codes: Sequence[str] = ()


class Carts:
    def __init__(
        self, settings: Settings, catalog: CatalogDisplay, prices: Prices, segments: Segments
    ) -> None:
        checkout = settings.checkout
        self.limits = Limits(
            max_quantity=checkout.max_quantity,
            max_lines=checkout.max_lines,
            max_codes=checkout.max_codes,
            extensions=checkout.hold_extensions,
        )
        self.hold_seconds = checkout.hold_seconds
        self.shelf = Shelf(waitlist_seconds=checkout.waitlist_seconds)
        self.prices = prices
        self._catalog = catalog
        self._segments = segments

    @property
    def terms(self) -> Terms:
        """Of lines that no show has sold."""
        return Terms(self.hold_seconds)

    def reader(self, language: str, now: datetime) -> Reader:
        return Reader(language, self.prices.zone, now)

    async def load(
        self, conn: AsyncConnection, viewer_ids: Sequence[ViewerId], now: datetime
    ) -> dict[ViewerId, Cart]:
        return await store.load(
            conn,
            viewer_ids,
            currency=self.prices.currency,
            hold_seconds=self.hold_seconds,
            now=now,
        )

    async def cart_of(self, conn: AsyncConnection, viewer_id: ViewerId, now: datetime) -> Cart:
        return (await self.load(conn, [viewer_id], now))[viewer_id]

    async def locked(self, tx: Tx, viewer_id: ViewerId, now: datetime) -> Cart:
        """A cart that is this transaction's alone, with holds that stay as they are meanwhile."""
        await store.lock(tx.conn, [viewer_id], now)
        return (await self.with_locked_stock(tx, [viewer_id], now))[viewer_id]

    async def with_locked_stock(
        self, tx: Tx, viewer_ids: Sequence[ViewerId], now: datetime
    ) -> dict[ViewerId, Cart]:
        """The same for carts whose rows this transaction has."""
        await holds.lock(tx.conn, (await store.variants_of_lines(tx.conn, viewer_ids)).values())
        return await self.load(tx.conn, viewer_ids, now)

    async def segments_of(
        self, conn: AsyncConnection, viewer_ids: Iterable[ViewerId]
    ) -> dict[ViewerId, frozenset[str]]:
        """Of a guest nothing is known."""
        return {
            viewer_id: (
                frozenset() if is_guest(viewer_id) else await self._segments(conn, viewer_id)
            )
            for viewer_id in viewer_ids
        }

    async def context(
        self,
        conn: AsyncConnection,
        cart: Cart,
        now: datetime,
        *,
        country: str | None = None,
        is_collected: bool = False,
        email: str | None = None,
        more_codes: Sequence[str] = (),
    ) -> Context:
        """What the prices of this cart depend on."""
        look = Look(cart, country, is_collected, email, more_codes)
        return (await self.contexts(conn, [look], now))[0]

    async def contexts(
        self, conn: AsyncConnection, looks: Sequence[Look], now: datetime
    ) -> list[Context]:
        """The same for many carts."""
        if not looks:
            return []
        segments = await self.segments_of(conn, [look.cart.viewer_id for look in looks])
        asked = [
            replace(
                _asked(look.cart, segments),
                country=look.country,
                is_collected=look.is_collected,
                email=look.email,
                codes=(*look.cart.codes, *look.more_codes),
            )
            for look in looks
        ]
        return await self.prices.contexts(conn, asked, now)

    async def bought(
        self, conn: AsyncConnection, carts: Iterable[Cart], *, email: str | None = None
    ) -> Bought:
        """What these viewers have ordered of those articles of their carts that are rationed."""
        rationed = {
            (cart.viewer_id, line.product_id)
            for cart in carts
            for line in cart.lines
            if line.article.max_per_customer is not None
        }
        return await self.bought_of(conn, rationed, email=email)

    async def bought_of(
        self,
        conn: AsyncConnection,
        wanted: Collection[tuple[ViewerId, ProductId]],
        *,
        email: str | None = None,
    ) -> Bought:
        return await orders.bought(conn, wanted, email=email) if wanted else {}

    async def shown(self, conn: AsyncConnection, cart: Cart, now: datetime) -> wire.Cart:
        """Raises what a price can raise."""
        [answer] = await self.shown_each(conn, [cart], now)
        if isinstance(answer, ShopError):
            raise answer
        return answer

    async def shown_each(
        self, conn: AsyncConnection, carts: Sequence[Cart], now: datetime
    ) -> list[wire.Cart | ShopError]:
        """The carts as their viewers see them, or why one cannot be priced."""
        lines = [line for cart in carts for line in cart.lines]
        segments = await self.segments_of(conn, [cart.viewer_id for cart in carts])
        asked = [_asked(cart, segments) for cart in carts]
        contexts = await self.prices.contexts(conn, asked, now)
        free: dict[LocationId | None, Mapping[VariantId, int]] = {}
        for shelf in {shelf_of(cart.viewer_id) for cart in carts}:
            wanted = [
                line.variant_id
                for cart in carts
                for line in cart.lines
                if shelf_of(cart.viewer_id) == shelf
            ]
            free[shelf] = await available_by_variant(conn, wanted, now, rehearsal=shelf)
        pictures = {line.article.image_id for line in lines if line.article.image_id}
        images = await self._catalog.images(conn, [MediaId(one) for one in sorted(pictures)])
        bought = await self.bought(conn, carts)
        answers: list[wire.Cart | ShopError] = []
        for cart, context in zip(carts, contexts, strict=True):
            room = self._rooms(cart, free[shelf_of(cart.viewer_id)], bought)
            try:
                priced = cart.priced(context)
            except ShopError as error:
                answers.append(error)
                continue
            answers.append(
                wire.Cart.of(
                    cart,
                    priced,
                    images=images,
                    room=room,
                    extensions=self.limits.extensions,
                    now=now,
                )
            )
        return answers

    async def claim(
        self,
        tx: Tx,
        lines: Collection[tuple[ViewerId, CartLine]],
        now: datetime,
        *,
        instead_of: OrderId | None = None,
    ) -> None:
        """Keep limited prices for these lines, which have just been held; of what an order gives
        back too that came to nothing, if this is `instead_of` it.
        """
        segments = await self.segments_of(tx.conn, {viewer_id for viewer_id, _ in lines})
        await claim(
            tx,
            self.prices,
            [(viewer_id, line, segments[viewer_id]) for viewer_id, line in lines],
            now,
            instead_of=instead_of,
        )

    def _rooms(
        self, cart: Cart, free: Mapping[VariantId, int], bought: Bought
    ) -> dict[LineId, wire.Room]:
        return {
            line.id: self._room(cart, line, free[line.variant_id], bought) for line in cart.lines
        }

    def _room(self, cart: Cart, line: CartLine, free: int, bought: Bought) -> wire.Room:
        if not line.article.is_for_sale:
            return wire.Room(0, 0)
        most = min(self.limits.max_quantity, free + line.units_held)
        rationed = line.article.max_per_customer
        if rationed is not None:
            others = units_of(cart.lines, line.product_id) - line.quantity
            others += bought.get((cart.viewer_id, line.product_id), 0)
            most = min(most, rationed - others)
        return wire.Room(free, max(0, most))


def _asked(cart: Cart, segments: Mapping[ViewerId, frozenset[str]]) -> Asked:
    return Asked(
        viewer_id=cart.viewer_id,
        segments=segments[cart.viewer_id],
        codes=cart.codes,
        owners=[line.id for line in cart.lines],
    )
