"""Tells rooms when stock or a price changes: what many purchases did in a moment is one event.

Signals name what was touched; the board reads the state once the moment is over, so what it
publishes is always what the database says, and in order. Prices also change by themselves, when a
promotion starts or ends: the board sleeps until the next such turn.

It remembers what rooms were told of prices, so that only what changed is sent. To forget is
harmless: something is then told twice.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.display import CatalogDisplay
from liveshop.catalog.model import ProductsTouched, StockTouched
from liveshop.catalog.wire import Product
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import ProductId, ShowId, VariantId
from liveshop.promotions import store as promotions_store
from liveshop.promotions.model import (
    ForSegment,
    InShow,
    Promotion,
    PromotionsTouched,
    TheseProducts,
    TheseVariants,
)
from liveshop.promotions.prices import Prices
from liveshop.shows import model, rehearsal_store, store, wire
from liveshop.shows.model import ShowStarted
from liveshop.shows.service import offers_out, room_of
from liveshop.storage import Database, Published

_log = structlog.get_logger("stock_board")
_LONGEST_SLEEP_SECONDS = 30.0
"""A clock that was set shall not let a turn pass unseen for longer than this."""
_REMEMBERED = 50_000
_STAND_BY_SECONDS = 10.0
"""How far back a board looks that takes over; longer than it takes to notice that one is gone."""

_Place = tuple[ShowId, ProductId]


@dataclass(slots=True)
class _Touched:
    variants: set[VariantId] = field(default_factory=set)
    products: set[ProductId] = field(default_factory=set)
    starting: set[ShowId] = field(default_factory=set)
    """Shows whose viewers have just loaded the prices there are."""
    prices: bool = False
    everything: bool = False
    """Something was touched, and nobody knows what."""

    def __bool__(self) -> bool:
        is_named = self.variants or self.products or self.starting
        return bool(is_named or self.prices or self.everything)

    def add(self, other: "_Touched") -> None:
        self.variants |= other.variants
        self.products |= other.products
        self.starting |= other.starting
        self.prices |= other.prices
        self.everything |= other.everything


@dataclass(frozen=True, slots=True)
class _Limited:
    """A promotion whose price goes as units are taken. None: in every show; for any product."""

    show_id: ShowId | None
    product_ids: frozenset[ProductId] | None

    def is_in(self, show_id: ShowId) -> bool:
        return self.show_id in (None, show_id)

    def may_cover(self, product_ids: Collection[ProductId]) -> bool:
        return self.product_ids is None or not self.product_ids.isdisjoint(product_ids)


@dataclass(slots=True)
class _News:
    """What is to be told, and what rooms know of prices after that."""

    events: list[Published] = field(default_factory=list)
    known: dict[_Place, bytes] = field(default_factory=dict)

    def tell(self, show_id: ShowId, type_: str, data: msgspec.Struct, at: datetime) -> None:
        self.events.append(Published(room_of(show_id), type_, data, at))


class StockBoard:
    """Run `run()` in a supervised task; it listens from its making on."""

    def __init__(
        self,
        database: Database,
        catalog: CatalogDisplay,
        clock: Clock,
        prices: Prices,
        *,
        coalesce_seconds: float = 0.2,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._clock = clock
        self._prices = prices
        self._coalesce_seconds = coalesce_seconds
        self._touched = _Touched()
        self._wake = asyncio.Event()
        self._known: dict[_Place, bytes] = {}
        self._told_until = clock.now()
        """The turns up to here have been told."""
        self._turn: datetime | None = None
        self._knows_turn = False
        database.listen(StockTouched, self._stock_touched)
        database.listen(ProductsTouched, self._products_touched)
        database.listen(PromotionsTouched, self._promotions_touched)
        database.listen(ShowStarted, self._show_started)

    def _stock_touched(self, signal: StockTouched) -> None:
        self._touched.variants.update(signal.variant_ids)
        self._wake.set()

    def _products_touched(self, signal: ProductsTouched) -> None:
        self._touched.products.update(signal.product_ids)
        self._wake.set()

    def _promotions_touched(self, _: PromotionsTouched) -> None:
        self._touched.prices = True
        self._wake.set()

    def _show_started(self, signal: ShowStarted) -> None:
        self._touched.starting.add(signal.show_id)
        self._wake.set()

    def doubt(self) -> None:
        """Signals of other nodes may have been lost: products are told as they are."""
        self._touched.everything = True
        self._wake.set()

    async def stand_by(self) -> None:
        """Until cancelled, while another node's board tells: remember only what was touched lately,
        which it may not have told when it dies."""
        lately = _Touched()
        try:
            while True:
                await asyncio.sleep(_STAND_BY_SECONDS)
                lately, self._touched = self._touched, _Touched()
        finally:
            self._touched.add(lately)
            self._known.clear()
            self._knows_turn = False
            self._told_until = self._clock.now() - 2 * timedelta(seconds=_STAND_BY_SECONDS)

    async def begin(self) -> None:
        """Take the prices there are for told: whoever comes from now on loads them himself."""
        async with self._database.read() as conn:
            self._touched.starting |= set(await store.open_lineups(conn))

    async def run(self) -> None:
        while not await self._is_done(self.begin):
            pass
        while True:
            await self._is_done(self.tell)
            await self._until_something_is_due()

    async def _is_done(self, step: Callable[[], Awaitable[None]]) -> bool:
        """False, a little later, where the database is away."""
        try:
            await step()
        except ShopError as error:
            _log.warning("stock_board_waits", reason=error.detail)
            await asyncio.sleep(1.0)
            return False
        return True

    async def _until_something_is_due(self) -> None:
        seconds = _LONGEST_SLEEP_SECONDS
        if self._turn is not None:
            seconds = min(seconds, max(0.0, (self._turn - self._clock.now()).total_seconds()))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
            await asyncio.sleep(self._coalesce_seconds)

    async def tell(self) -> None:
        """Publish what has changed since the last time."""
        now = self._clock.now()
        if not self._touched and self._knows_turn and not self._is_turn(now):
            return
        touched, self._touched = self._touched, _Touched()
        self._wake.clear()
        try:
            async with self._database.read() as conn:
                if not self._knows_turn:
                    self._turn = await self._prices.next_turn(conn, self._told_until)
                touched.prices |= self._is_turn(now) or touched.everything
                if touched.everything:
                    lineups = await store.open_lineups(conn)
                    touched.products |= {one for lineup in lineups.values() for one in lineup}
                news = await self._news(conn, touched, now)
                turn = await self._prices.next_turn(conn, now)
            await self._database.publish(news.events)
        except ShopError:
            self._touched.add(touched)
            self._wake.set()
            raise
        self._turn, self._knows_turn, self._told_until = turn, True, now
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        self._known |= news.known

    def _is_turn(self, now: datetime) -> bool:
        # A clock that was set back has prices turn again that had turned already.
        return now < self._told_until or (self._turn is not None and self._turn <= now)

    async def _news(self, conn: AsyncConnection, touched: _Touched, now: datetime) -> _News:
        variants = await store.sharing_stock(conn, touched.variants)
        moved = set((await store.products_of_variants(conn, variants)).values())
        listed = await store.watched_with_products(conn, touched.products | moved)
        in_force = (await self._prices.context(conn, now=now)).promotions
        limited = await _limited(conn, in_force) if moved else []
        lineups = await store.open_lineups(conn) if touched.prices or limited else {}
        if not lineups and touched.starting:
            lineups = await store.open_lineups(conn, touched.starting)

        def follows_stock(show_id: ShowId, product_id: ProductId) -> bool:
            return any(
                one.is_in(show_id) and one.may_cover({product_id}) and one.may_cover(moved)
                for one in limited
            )

        places = {(show_id, one) for one, shows in listed.items() for show_id in shows}
        places |= {
            (show_id, one)
            for show_id, lineup in lineups.items()
            for one in lineup
            if touched.prices or show_id in touched.starting or follows_stock(show_id, one)
        }
        own = {one.scope.show_id for one in in_force if isinstance(one.scope, InShow)}
        shown = await self._shown(conn, places, own, now)
        news = _News()
        if touched.prices:
            await self._tell_of_offers(conn, news, shown, now)
        for place, product in shown.items():
            show_id, product_id = place
            if place in news.known:
                continue
            facts = _facts(product)
            may_differ = touched.prices or follows_stock(show_id, product_id)
            is_news = may_differ and self._known.get(place) != facts
            if product_id in touched.products or is_news:
                news.tell(show_id, "product.changed", wire.ProductChanged(product), now)
                news.known[place] = facts
                continue
            if show_id in touched.starting and place not in self._known:
                news.known[place] = facts
            for variant in product.variants if product_id in moved else ():
                if variant.id in variants:
                    left = wire.StockChanged(variant.id, product.id, variant.available)
                    news.tell(show_id, "stock.changed", left, now)
        return news

    async def _tell_of_offers(
        self,
        conn: AsyncConnection,
        news: _News,
        shown: Mapping[_Place, Product],
        now: datetime,
    ) -> None:
        """Offers whose time is over, each with what its product costs without it."""
        ids = await store.offers_run_out(conn, self._told_until, now)
        if not ids:
            return
        stored = await promotions_store.stored(
            conn, self._prices.definitions, now, promotions_store.is_one_of(ids)
        )
        offers = [one for one in stored if model.is_offer(one.promotion)]
        for one, offer in zip(offers, await offers_out(conn, offers, now), strict=True):
            scope = one.promotion.scope
            assert isinstance(scope, InShow), "an offer is of a show"
            place = scope.show_id, ProductId(offer.product_id)
            if place not in shown:
                continue
            product = shown[place]
            ended = wire.OfferEnded(offer.id, product, "time")
            news.tell(scope.show_id, "offer.ended", ended, now)
            news.known[place] = _facts(product)

    async def _shown(
        self,
        conn: AsyncConnection,
        places: Collection[_Place],
        own: Collection[ShowId],
        now: datetime,
    ) -> dict[_Place, Product]:
        """The products as they are shown there. `own` are the shows with prices of their own: in
        all others a product is the same, but for rehearsals.
        """
        rehearsals = await rehearsal_store.running(conn, {show_id for show_id, _ in places})
        own = {*own, *rehearsals}
        wanted: dict[ShowId | None, set[ProductId]] = {}
        for show_id, product_id in places:
            wanted.setdefault(show_id if show_id in own else None, set()).add(product_id)
        found: dict[tuple[ShowId | None, str], Product] = {}
        for where, product_ids in wanted.items():
            shelf = rehearsals[where].shelf if where in rehearsals else None
            out = await self._catalog.products(
                conn, sorted(product_ids), now, show_id=where, rehearsal=shelf
            )
            found |= {(where, product.id): product for product in out}
        return {
            (show_id, product_id): found[key]
            for show_id, product_id in sorted(places)
            if (key := (show_id if show_id in own else None, product_id)) in found
        }


async def _limited(conn: AsyncConnection, in_force: Iterable[Promotion]) -> list[_Limited]:
    """Those of the promotions with a limited number of units that anybody can have."""
    found = []
    for one in in_force:
        if one.limit.total is None or isinstance(one.scope, ForSegment):
            continue
        product_ids: frozenset[ProductId] | None = None
        match one.products:
            case TheseProducts(ids):
                product_ids = ids
            case TheseVariants(variant_ids):
                owners = await store.products_of_variants(conn, variant_ids)
                product_ids = frozenset(owners.values())
        show_id = one.scope.show_id if isinstance(one.scope, InShow) else None
        found.append(_Limited(show_id, product_ids))
    return found


def _facts(product: Product) -> bytes:
    """A digest of all of a product that changes with promotions."""
    facts = [
        (one.id, one.price, one.lowest_30_days, one.tiers, one.promotions)
        for one in product.variants
    ]
    return hashlib.blake2b(msgspec.json.encode(facts), digest_size=16).digest()
