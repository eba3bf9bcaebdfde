"""Carts with holds: what stands in a cart is reserved for its viewer until the countdown ends."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import holds
from liveshop.catalog.display import CatalogDisplay
from liveshop.catalog.model import StockTouched, UnknownVariant
from liveshop.catalog.shelves import Shelf
from liveshop.checkout import merge, model, store, wire
from liveshop.checkout.carts import Carts, Look, Segments
from liveshop.checkout.codes import Attempt, CodeGuard, checked_code
from liveshop.checkout.delivery import Deliveries
from liveshop.checkout.groups import together_or_alone
from liveshop.checkout.holding import Need, give_back
from liveshop.checkout.model import Cart, CartLine, Quote
from liveshop.checkout.reserve import Reservations, Wish
from liveshop.checkout.supply import Lacking, Way
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import RateLimited, ShopError
from liveshop.kernel.ids import LineId, ShowId, VariantId, ViewerId
from liveshop.kernel.rehearsals import is_rehearsing, shelf_of
from liveshop.payments.model import Delivery
from liveshop.promotions import claims, words
from liveshop.promotions.model import Line, folded
from liveshop.promotions.prices import Prices
from liveshop.settings import Settings
from liveshop.storage import Database, Together, Tx


@dataclass(frozen=True, slots=True)
class Quoting:
    """A question for a quote, as `CartService.quote` gets it."""

    viewer_id: ViewerId
    country: str
    language: str
    delivery: Delivery
    store_id: str | None


class CartService:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        catalog: CatalogDisplay,
        prices: Prices,
        segments: Segments,
    ) -> None:
        words.load(wire.LANGUAGES)
        self._database = database
        self._clock = clock
        self._guard = CodeGuard()
        self.carts = Carts(settings, catalog, prices, segments)
        self.deliveries = Deliveries(settings, clock.now())
        self._reservations = Reservations(database, clock, self.carts)
        self._quotes: Together[Quoting, wire.Quote] = Together(
            partial(together_or_alone, self._quote_each)
        )

    async def cart_of(self, viewer_id: ViewerId) -> wire.Cart:
        now = self._clock.now()
        async with self._database.read() as conn:
            cart = await self.carts.cart_of(conn, viewer_id, now)
            return await self.carts.shown(conn, cart, now)

    async def add_to_cart(
        self, viewer_id: ViewerId, variant_id: VariantId, quantity: int, show_id: ShowId | None
    ) -> wire.Cart:
        """Put so much more into the cart and hold it. Raises OutOfStock, TooMany,
        LimitPerCustomer, CartFull, UnknownVariant, UnknownShow, CustomersOnly.
        """
        return await self._reservations.ask(
            Wish(viewer_id, quantity, variant_id=variant_id, show_id=show_id)
        )

    async def set_quantity(self, viewer_id: ViewerId, line_id: LineId, quantity: int) -> wire.Cart:
        """Have exactly so much of a line, and hold it. Raises OutOfStock, TooMany,
        LimitPerCustomer, UnknownLine, CustomersOnly.
        """
        return await self._reservations.ask(Wish(viewer_id, quantity, line_id=line_id))

    async def remove_line(self, viewer_id: ViewerId, line_id: LineId) -> wire.Cart:
        """Raises UnknownLine."""
        now = self._clock.now()
        async with self._database.write() as tx:
            cart = await self.carts.locked(tx, viewer_id, now)
            line = cart.line(line_id)
            await self._let_go(tx, [line], now)
            left = tuple(one for one in cart.lines if one.id != line_id)
            return await self.carts.shown(tx.conn, replace(cart, lines=left), now)

    async def hold_again(self, viewer_id: ViewerId) -> wire.Cart:
        """Take the lapsed holds of a cart again, all or none. Raises OutOfStock."""
        now = self._clock.now()
        async with self._database.write() as tx:
            cart = await self.carts.locked(tx, viewer_id, now)
            lapsed = [line for line in cart.lines if line.hold == "lapsed"]
            held = await self.hold(tx, cart, lapsed, now)
            await store.change_lines(tx.conn, held)
            await self.carts.claim(tx, [(viewer_id, line) for line in held], now)
            return await self.carts.shown(tx.conn, cart.with_lines(held), now)

    async def extend(self, viewer_id: ViewerId) -> wire.Cart:
        """Hold everything longer that may be held longer, once more from now on. Raises
        CannotExtend.
        """
        now = self._clock.now()
        async with self._database.write() as tx:
            cart = await self.carts.locked(tx, viewer_id, now)
            longer = [
                _extended(line, now)
                for line in cart.lines
                if line.may_extend(self.carts.limits.extensions)
            ]
            if not longer:
                raise model.CannotExtend("Nothing in your cart can be held any longer.")
            ends = {str(one.id): one.held_until for one in longer if one.held_until is not None}
            await store.change_lines(tx.conn, longer)
            await holds.extend(tx.conn, ends)
            await claims.extend(tx.conn, ends)
            return await self.carts.shown(tx.conn, cart.with_lines(longer), now)

    async def add_code(
        self, viewer_id: ViewerId, code: str, address: str | None = None
    ) -> wire.Cart:
        """Put a code into the cart, whether or not it takes anything off at the moment. Raises
        CodeNotValid, TooManyCodes; RateLimited for who guesses.
        """
        now = self._clock.now()
        attempt = await self._attempt(viewer_id, address, now)
        text = folded(code)
        async with self._database.write() as tx:
            await store.lock(tx.conn, [viewer_id], now)
            cart = await self.carts.cart_of(tx.conn, viewer_id, now)
            if text not in cart.codes:
                context = await self.carts.context(
                    tx.conn, cart, now, more_codes=[text] if text else []
                )
                text = checked_code(text, cart, context, self.carts.limits)
                await store.add_codes(tx.conn, cart.id, [text], now)
                cart = replace(cart, codes=(*cart.codes, text))
            shown = await self.carts.shown(tx.conn, cart, now)
        self._guard.forgive(attempt, now)
        return shown

    async def _attempt(self, viewer_id: ViewerId, address: str | None, now: datetime) -> Attempt:
        """Count a code that is about to be tried. Raises RateLimited."""
        try:
            return self._guard.count(viewer_id, address, now)
        except RateLimited:
            if not self._guard.may_be_buyer(viewer_id, now):
                raise
            async with self._database.read() as conn:
                cart = await self.carts.cart_of(conn, viewer_id, now)
            if not any(line.is_held for line in cart.lines):
                raise
            return self._guard.count_buyer(viewer_id, address, now)

    async def remove_code(self, viewer_id: ViewerId, code: str) -> wire.Cart:
        """Take a code out of the cart; one that is not in it is no error."""
        now = self._clock.now()
        text = folded(code)
        async with self._database.write() as tx:
            await store.lock(tx.conn, [viewer_id], now)
            cart = await self.carts.cart_of(tx.conn, viewer_id, now)
            if text in cart.codes:
                await store.remove_codes(tx.conn, cart.id, code=text)
                left = tuple(one for one in cart.codes if one != text)
                cart = replace(cart, codes=left)
            return await self.carts.shown(tx.conn, cart, now)

    async def quote(
        self,
        viewer_id: ViewerId,
        country: str,
        language: str = "en",
        delivery: Delivery = "ship",
        store_id: str | None = None,
    ) -> wire.Quote:
        """What the cart costs now, delivered in this way, and why, in words. Raises CartEmpty,
        NotDelivered, UnknownStore.
        """
        return await self._quotes.ask(Quoting(viewer_id, country, language, delivery, store_id))

    async def _quote_each(self, asked: Sequence[Quoting]) -> list[wire.Quote | Exception]:
        """Those that are asked for together share what is read for them."""
        now = self._clock.now()
        answers: dict[int, wire.Quote | Exception] = {}
        async with self._database.read() as conn:
            carts = await self.carts.load(conn, list({one.viewer_id for one in asked}), now)
            real = await self.deliveries.places(conn)
            looks: dict[int, tuple[Way, Look]] = {}
            for number, one in enumerate(asked):
                places = self.deliveries.places_for(one.viewer_id, real)
                try:
                    way = self.deliveries.way(one.delivery, one.store_id, one.country, places)
                except ShopError as error:
                    answers[number] = error
                else:
                    look = Look(carts[one.viewer_id], way.country, way.is_collected)
                    looks[number] = way, look
            contexts = await self.carts.contexts(conn, [look for _, look in looks.values()], now)
            for (number, (way, look)), context in zip(looks.items(), contexts, strict=True):
                try:
                    quote = model.quote_of(look.cart, context)
                    answers[number] = await self.quoted(
                        conn, quote, way, asked[number].language, now
                    )
                except ShopError as error:
                    answers[number] = error
        return [answers[number] for number in range(len(asked))]

    async def quoted(
        self,
        conn: AsyncConnection,
        quote: Quote,
        way: Way,
        language: str,
        now: datetime,
        *,
        owners: Sequence[str] | None = None,
    ) -> wire.Quote:
        """A quote in words, and when the goods come in this way. `owners` hold them; None: the
        cart's lines do."""
        planned: dict[Shelf, int] | Lacking | None = None
        if not way.is_indifferent:
            lines = [line.as_priced() for line in quote.lines]
            holding = [line.id for line in quote.lines] if owners is None else owners
            shelf = shelf_of(quote.cart.viewer_id)
            supply = await self.deliveries.supply(conn, lines, holding, now, rehearsal=shelf)
            planned = supply.plan(way)
        told = wire.Quote.of(quote, self.carts.reader(language, now))
        told.delivery = self.deliveries.option(
            way, planned, quote.shipping, language=language, now=now
        )
        return told

    async def delivery_options(
        self, viewer_id: ViewerId, country: str, language: str = "en"
    ) -> wire.DeliveryOptions:
        """Each way in which the cart can reach its buyer, or why it cannot. Raises CartEmpty."""
        now = self._clock.now()
        async with self._database.read() as conn:
            cart = await self.carts.cart_of(conn, viewer_id, now)
            if not cart.lines:
                raise model.CartEmpty("Your cart is empty.")
            context = await self.carts.context(conn, cart, now)
            lines = [line.as_priced() for line in cart.lines]
            real = await self.deliveries.places(conn)
            places = self.deliveries.places_for(viewer_id, real)
            owners = [line.id for line in cart.lines]
            shelf = shelf_of(viewer_id)
            supply = await self.deliveries.supply(conn, lines, owners, now, rehearsal=shelf)
        ways = self.deliveries.ways(country, places)
        options = self.deliveries.options(ways, supply, lines, context, language=language)
        return wire.DeliveryOptions(options=options, at=now)

    async def delivery_of(
        self, variant_id: VariantId, country: str, language: str = "en"
    ) -> wire.VariantDelivery:
        """The same for one unit of a variant, for anybody. Raises UnknownVariant."""
        now = self._clock.now()
        async with self._database.read() as conn:
            article = (await store.articles(conn, [variant_id])).get(variant_id)
            if article is None:
                raise UnknownVariant("There is no such variant.")
            context = await self.carts.prices.context(conn, now=now)
            lines = [Line(LineId(variant_id), article.item, 1)]
            places = await self.deliveries.places(conn)
            supply = await self.deliveries.supply(conn, lines, [], now)
        ways = self.deliveries.ways(country, places) if article.is_for_sale else []
        options = self.deliveries.options(ways, supply, lines, context, language=language)
        return wire.VariantDelivery(variant_id=variant_id, options=options, at=now)

    async def merge(self, guest_id: ViewerId, customer_id: ViewerId) -> None:
        """What a guest had in the cart is the customer's whom he signs on as, but for what he had
        in a rehearsal. May be repeated."""
        if guest_id == customer_id or is_rehearsing(guest_id):
            return
        now = self._clock.now()
        async with self._database.write() as tx:
            await merge.merge(tx, self.carts, guest_id, customer_id, now)

    async def hold(
        self, tx: Tx, cart: Cart, lines: Sequence[CartLine], now: datetime
    ) -> list[CartLine]:
        """Hold these lines of a `locked` cart, all or none, as they stand then. Raises OutOfStock
        naming the variant.
        """
        if not lines:
            return []
        for line in lines:
            if not line.article.is_for_sale:
                raise holds.OutOfStock(
                    f"{line.article.item.title} is not sold any more. Remove it from the cart.",
                    data={"variant_id": line.variant_id, "available": 0},
                )
        variant_ids = {line.variant_id for line in lines}
        refreshed = await self.carts.shelf.refreshed(tx, variant_ids, now)
        needs = [Need(cart.viewer_id, line, line.quantity, line.terms.until(now)) for line in lines]
        held: list[CartLine] = []
        for one in await self.carts.shelf.hold_each(tx, needs, refreshed, now):
            if not isinstance(one, CartLine):
                raise one
            held.append(one)
        return held

    async def sweep(self) -> int:
        """Give back lapsed holds and serve who waits, so that rooms hear of it; how many variants
        changed.

        Nothing depends on this being run: availability never counts a lapsed hold, and whoever
        takes stock serves the waitlist first. In two transactions, because each locks stock of its
        own in one statement.
        """
        now = self._clock.now()
        async with self._database.write() as tx:
            changed = await holds.release_lapsed(tx.conn, now)
            await claims.sweep(tx.conn, now)
            if changed:
                tx.notify(StockTouched(tuple(changed)))
        async with self._database.write() as tx:
            refreshed = await self.carts.shelf.refreshed(tx, None, now)
        return len(changed | refreshed.changed)

    async def _let_go(self, tx: Tx, lines: Collection[CartLine], now: datetime) -> None:
        ids = [line.id for line in lines]
        await store.remove_lines(tx.conn, ids)
        await give_back(tx, ids)
        await self.carts.shelf.refreshed(tx, {line.variant_id for line in lines}, now)


def _extended(line: CartLine, now: datetime) -> CartLine:
    assert line.held_until is not None
    until = max(line.held_until, line.terms.until(now))
    return replace(line, held_until=until, extensions=line.extensions + 1)
