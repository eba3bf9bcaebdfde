"""What tests of listings build: channels with a far side in memory that can misbehave, and a shop
just large enough to sell on them."""

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import sqlalchemy as sa

from liveshop.catalog.model import Option, Product, ProductDraft, VariantDraft
from liveshop.catalog.service import CatalogService
from liveshop.catalog.tables import media
from liveshop.connect import (
    Accepted,
    ConnectorError,
    Deferred,
    FeedInfo,
    FeedLimits,
    ImageLimit,
    Listing,
    ListingLimits,
    NeedsAttention,
    OutcomeUnknown,
    Problem,
    Refused,
    RetryLater,
    Role,
    Seen,
    TextLimit,
    Verdict,
)
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import LocationId, MediaId, ProductId, VariantId, new_id
from liveshop.kernel.money import Money
from liveshop.promotions import wire as promotions_wire
from liveshop.promotions.model import Stored
from liveshop.promotions.prices import Prices
from liveshop.promotions.service import PromotionService
from liveshop.settings import ShopSettings
from liveshop.storage import Database
from liveshop.syndication import connection_store, store
from liveshop.syndication import wire as syndication_wire
from liveshop.syndication.listings import ListingService
from liveshop.syndication.model import Connection, ConnectionId, ConnectionsTouched, ListingRow
from liveshop.syndication.outlets import Outlets
from liveshop.syndication.planning import Planner
from liveshop.syndication.pushing import ListingTurns
from liveshop.syndication.says import Announced, PriceSchedule

IMAGES = ImageLimit(rendition="square", most=3, max_bytes=500_000)
TITLE = TextLimit(60)
DESCRIPTION = TextLimit(200)


def effective(listing: Listing, at: datetime) -> int:
    """What people see it costs, in minor units."""
    return PriceSchedule(listing.price, listing.sale).effective(at).amount


class Links:
    """Addresses of pictures in a size."""

    def channel(self, media_id: str, rendition: str, max_bytes: int) -> str:
        return f"https://shop.example/media/{media_id}/{rendition}-{max_bytes // 1000}.jpg"


@dataclass(slots=True)
class Faults:
    """What goes wrong with the next calls; each is used up once, but for `edits_titles`."""

    before: list[Exception] = field(default_factory=list)
    """Raised without any effect."""
    after: list[Exception] = field(default_factory=list)
    """Raised when the effect was made."""
    refuses: set[str] = field(default_factory=set)
    defers: list[str] = field(default_factory=list)
    ignores: int = 0
    """So many calls answer success and do nothing."""
    edits_titles: bool = False
    died: bool = False
    """The effect is made and our process does not hear of it."""


class Died(BaseException):
    """Our process was killed in the middle of a request."""


class FakeChannel:
    """A channel whose far side is a dictionary. Counts the requests it gets."""

    def __init__(
        self,
        *,
        batch: int = 3,
        read_batch: int = 4,
        can_hide: bool = False,
        can_schedule: bool = True,
        title: TextLimit = TITLE,
    ) -> None:
        self.listing_limits = ListingLimits(
            batch=batch,
            read_batch=read_batch,
            title=title,
            description=DESCRIPTION,
            images=IMAGES,
            can_hide=can_hide,
            can_schedule_sales=can_schedule,
            requests_per_minute=60,
        )
        self.there: dict[str, Listing] = {}
        self.faults = Faults()
        self.in_review = False
        self.requests: list[tuple[str, tuple[str, ...]]] = []
        self.watch: list[Callable[[], Awaitable[None]]] = []
        """Called after everything that changes what people can see."""
        self.problems: list[Problem] = []

    def check(self, listing: Listing) -> Sequence[Problem]:
        return self.problems

    def shown(self, listing: Listing) -> Mapping[str, str]:
        sale = listing.sale
        return {
            "title": listing.title,
            "price": str(listing.price.amount),
            "sale": "" if sale is None else f"{sale.price.amount} {sale.starts_at} {sale.ends_at}",
            "quantity": str(listing.quantity),
        }

    async def publish(self, listings: Sequence[Listing]) -> Sequence[Verdict]:
        assert len(listings) <= self.listing_limits.batch
        assert all(one.is_visible or self.listing_limits.can_hide for one in listings)
        name = "publish" if all(one.is_visible for one in listings) else "hide"
        await self._begin(name, [one.id for one in listings])
        verdicts: list[Verdict] = []
        is_ignored = self.faults.ignores > 0
        self.faults.ignores = max(0, self.faults.ignores - 1)
        for one in listings:
            if one.id in self.faults.refuses:
                verdicts.append(Refused(one.id, "The title is not allowed here."))
                continue
            if self.faults.defers:
                verdicts.append(Deferred(one.id, self.faults.defers.pop()))
                continue
            if not is_ignored:
                edited = self.faults.edits_titles
                self.there[one.id] = replace(one, title=one.title + " !") if edited else one
            verdicts.append(Accepted(one.id, f"r-{one.id}"))
        await self._finish()
        return verdicts

    async def withdraw(self, ids: Sequence[str]) -> Sequence[Verdict]:
        assert len(ids) <= self.listing_limits.batch
        await self._begin("withdraw", ids)
        is_ignored = self.faults.ignores > 0
        self.faults.ignores = max(0, self.faults.ignores - 1)
        if not is_ignored:
            for id_ in ids:
                self.there.pop(id_, None)
        await self._finish()
        return [Accepted(id_) for id_ in ids]

    async def read_back(self, ids: Collection[str]) -> Mapping[str, Seen]:
        assert len(ids) <= self.listing_limits.read_batch
        await self._begin("read", list(ids))
        return {
            id_: Seen(
                id_,
                f"r-{id_}",
                status=self._status(self.there[id_]),
                shown=self.shown(self.there[id_]),
            )
            for id_ in ids
            if id_ in self.there
        }

    def _status(self, listing: Listing) -> Any:
        if not listing.is_visible:
            return "hidden"
        return "in_review" if self.in_review else "live"

    async def _begin(self, name: str, ids: Sequence[str]) -> None:
        self.requests.append((name, tuple(ids)))
        await asyncio.sleep(0)
        if self.faults.before:
            raise self.faults.before.pop()

    async def _finish(self) -> None:
        for look in self.watch:
            await look()
        await asyncio.sleep(0)
        if self.faults.died:
            self.faults.died = False
            raise Died
        if self.faults.after:
            raise self.faults.after.pop()

    def mend(self) -> None:
        self.faults = Faults()
        self.in_review = False

    def visible(self) -> dict[str, Listing]:
        return {id_: one for id_, one in self.there.items() if one.is_visible}

    def sent(self, name: str) -> int:
        return sum(1 for kind, _ in self.requests if kind == name)


class FakeFeed:
    def __init__(self, *, every: int = 3600, can_schedule: bool = True) -> None:
        self.feed_limits = FeedLimits(
            title=TITLE,
            description=DESCRIPTION,
            images=IMAGES,
            fetched_every_seconds=every,
            can_schedule_sales=can_schedule,
        )
        self.media_type = "text/plain"
        self.file_name = "feed.txt"

    def check(self, listing: Listing) -> Sequence[Problem]:
        return []

    def head(self, info: FeedInfo) -> bytes:
        return b""

    def item(self, listing: Listing, *, is_first: bool) -> bytes:
        return listing.id.encode()

    def tail(self) -> bytes:
        return b""


class Opened:
    """Connections that are open already."""

    def __init__(self) -> None:
        self.things: dict[str, Any] = {}

    async def get(self, connection_id: str) -> Any:
        thing = self.things[connection_id]
        if isinstance(thing, Exception):
            raise thing
        return thing


_owners = count(1)


@dataclass(slots=True)
class Stall:
    """A shop with its catalog, its promotions and its channels, and no web around it."""

    database: Database
    clock: ManualClock
    shop: ShopSettings = field(default_factory=ShopSettings)
    opened: Opened = field(default_factory=Opened)
    prices: Prices = field(init=False)
    catalog: CatalogService = field(init=False)
    promotions: PromotionService = field(init=False)
    planner: Planner = field(init=False)
    turns: ListingTurns = field(init=False)
    listings: ListingService = field(init=False)
    place: LocationId | None = None
    picture: MediaId | None = None

    def __post_init__(self) -> None:
        self.prices = Prices(self.shop)
        self.catalog = CatalogService(self.database, self.clock, self.shop)
        self.promotions = PromotionService(self.database, self.clock, self.shop, self.prices)
        self.restart()

    def restart(self) -> None:
        """New services on the same database, as after a restart."""
        self.database._listeners.clear()
        outlets = Outlets(self.database, self.opened, Links())
        self.planner = Planner(self.database, self.clock, self.prices, outlets)
        self.planner.listen()
        self.turns = ListingTurns(self.database, self.clock, self.opened, Links())
        self.listings = ListingService(self.database, self.clock, self.planner)

    # The catalog

    async def product(
        self,
        title: str = "Mug",
        price: int = 2800,
        *,
        sizes: Sequence[str] = (),
        stock: int = 5,
        url: str | None = "https://shop.example/p",
        has_picture: bool = True,
        **changes: Any,
    ) -> Product:
        draft = await self.draft(
            title, price, sizes=sizes, url=url, has_picture=has_picture, **changes
        )
        self.clock.advance(timedelta(milliseconds=1))  # ids sort by time
        made = (await self.catalog.create_product(draft)).product
        for one in made.variants:
            await self.stock(one.id, stock)
        return made

    async def draft(
        self,
        title: str,
        price: int,
        *,
        sizes: Sequence[str] = (),
        url: str | None = "https://shop.example/p",
        has_picture: bool = True,
        ids: Sequence[VariantId] = (),
        **changes: Any,
    ) -> ProductDraft:
        values: list[tuple[str, ...]] = [(size,) for size in sizes] or [()]
        pictures = (await self._a_picture(),) if has_picture else ()
        return ProductDraft(
            title=title,
            url=url,
            image_ids=pictures,
            options=(Option("Size", tuple(sizes)),) if sizes else (),
            variants=tuple(
                VariantDraft(
                    sku="-".join((title, *own)),
                    values=own,
                    price=Money(price, self.shop.currency),
                    id=ids[place] if place < len(ids) else None,
                )
                for place, own in enumerate(values)
            ),
            **changes,
        )

    async def change(self, product: Product, **changes: Any) -> Product:
        """Title, price, sizes and all else that `draft` takes; the rest is as in `product`."""
        usual: dict[str, Any] = {
            "title": product.title,
            "price": product.variants[0].price.amount,
            "sizes": [value for one in product.variants for value in one.values],
            "ids": [one.id for one in product.variants],
        }
        draft = await self.draft(**(usual | changes))
        return (await self.catalog.replace_product(product.id, draft)).product

    async def stock(self, variant_id: VariantId, amount: int) -> None:
        if self.place is None:
            made = await self.catalog.create_location("Here", kind="warehouse", priority=1)
            self.place = made.id
        await self.catalog.set_stock(variant_id, self.place, amount)

    async def _a_picture(self) -> MediaId:
        if self.picture is None:
            self.picture = MediaId(new_id("med", self.clock.now()))
            async with self.database.write() as tx:
                await tx.conn.execute(
                    sa.insert(media).values(
                        id=self.picture,
                        digest="0" * 64,
                        extension="jpg",
                        width=800,
                        height=600,
                        alt="",
                        created_at=self.clock.now(),
                    )
                )
        return self.picture

    async def reduce(
        self,
        permille: int = 100,
        *,
        product: Product | None = None,
        hours: float | None = 48,
        starts_in_hours: float | None = None,
        **changes: Any,
    ) -> Stored:
        now = self.clock.now()
        start = None if starts_in_hours is None else now + timedelta(hours=starts_in_hours)
        given: dict[str, Any] = {
            "texts": {"en": "Winter evening", "de": "Winterabend"},
            "kind": promotions_wire.PercentOff(permille=permille),
            "stacking": "stackable",
            "starts_at": start,
            "ends_at": None if hours is None else (start or now) + timedelta(hours=hours),
        }
        if product is not None:
            given["product_ids"] = [product.id]
        return await self.promotions.create_promotion(
            promotions_wire.PromotionInput(**(given | changes))
        )

    # The channels

    async def connect(
        self, thing: Any = None, *, title: str = "Fake", language: str = "en"
    ) -> tuple[Connection, Any]:
        self.clock.advance(timedelta(milliseconds=1))
        now = self.clock.now()
        thing = FakeChannel() if thing is None else thing
        role: Role = "feed" if isinstance(thing, FakeFeed) else "channel"
        one = Connection(
            id=ConnectionId(new_id("con", now)),
            connector="fake",
            title=title,
            roles=frozenset({role}),
            config={},
            state="active",
            attention=None,
            language=language,
            version=1,
            mark=None,
            cursor=None,
            due_at=None,
            whole_at=None,
            created_at=now,
            updated_at=now,
        )
        self.opened.things[one.id] = thing
        async with self.database.write() as tx:
            await connection_store.add(tx.conn, one, sealed="")
            tx.notify(ConnectionsTouched((one.id,)))
        return one, thing

    async def set_state(self, connection: Connection, to: str) -> None:
        now = self.clock.now()
        async with self.database.write() as tx:
            state = "active" if to in ("removed", "abandoned") else to
            await connection_store.change(tx.conn, connection.id, now, state=state)
            if to == "paused":
                await self.listings.pause(tx, connection.id, now)
            if to == "active":
                await self.listings.resume(tx, connection.id, now)
            if to == "removed":
                await self.listings.remove(tx, connection.id, now)
            if to == "abandoned":
                await self.listings.remove(tx, connection.id, now, gives_up=True)
            tx.notify(ConnectionsTouched((connection.id,)))

    async def plan(self) -> None:
        await self.planner.plan_touched()

    async def turn(self, connection: Connection) -> datetime | None:
        return await self.turns.turn(await self.connection(connection.id))

    async def connection(self, id_: str) -> Connection:
        async with self.database.read() as conn:
            found = await connection_store.by_id(conn, id_)
        assert found is not None
        return found

    async def work(self) -> None:
        """A round: plan, then a turn of each active connection, under its lease."""
        await self.plan()
        async with self.database.read() as conn:
            active = await connection_store.all_of(conn, role="channel", states=["active"])
        await asyncio.gather(*(self.leased_turn(one) for one in active))

    async def leased_turn(self, connection: Connection) -> None:
        owner = f"owner-{next(_owners)}"
        async with self.database.write() as tx:
            is_ours = await connection_store.take_lease(
                tx.conn, connection.id, owner, self.clock.now()
            )
        if not is_ours:
            return
        try:
            await self.turn(connection)
        except (ConnectorError, Died):
            pass
        finally:
            async with self.database.write() as tx:
                await connection_store.leave_lease(tx.conn, connection.id, owner)

    async def settle(self, *, rounds: int = 30, minutes: float = 61) -> None:
        """Work until nothing is left to do, time going by."""
        for _ in range(rounds):
            await self.work()
            if await self.is_settled():
                return
            self.clock.advance(timedelta(minutes=minutes))
        raise AssertionError(await self.states())

    async def is_settled(self) -> bool:
        async with self.database.read() as conn:
            if await store.touched(conn):
                return False
        rows = await self.rows()
        return all(row.due_at is None and row.state != "sent" for row in rows)

    async def repair(self, connection: Connection) -> int:
        return await self.listings.repair(connection.id, syndication_wire.RepairInput())

    # What is known

    async def rows(self, connection: Connection | None = None) -> list[ListingRow]:
        async with self.database.read() as conn:
            found = await conn.execute(
                sa.select(store.listing).order_by(
                    store.listing.c.connection_id, store.listing.c.variant_id
                )
            )
            rows = [store.row_of(row) for row in found]
        return [row for row in rows if connection is None or row.connection_id == connection.id]

    async def row(self, connection: Connection, product: Product) -> ListingRow:
        own = {one.id for one in product.variants}
        (found,) = [row for row in await self.rows(connection) if row.variant_id in own]
        return found

    async def states(self, connection: Connection | None = None) -> list[tuple[str, str | None]]:
        return [(row.state, row.reason) for row in await self.rows(connection)]

    async def announced(self, ids: Iterable[VariantId]) -> dict[VariantId, Announced]:
        async with self.database.read() as conn:
            return await store.announced(conn, ids)

    async def fed(self, connection: Connection) -> dict[str, Listing]:
        """What stands in the feed now."""
        feed: FakeFeed = self.opened.things[connection.id]
        stream: AsyncIterator[Listing] = self.listings.feed_listings(connection, feed)
        return {one.id: one async for one in stream}


__all__ = [
    "Died",
    "FakeChannel",
    "FakeFeed",
    "Faults",
    "NeedsAttention",
    "OutcomeUnknown",
    "ProductId",
    "RetryLater",
    "Stall",
    "effective",
]
