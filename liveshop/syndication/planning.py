"""Planning: what every listing shall say, from what the shop says now.

Products are gone through in pages. A page is read and worked out beside all other work, and only
what changes is written, in a short transaction that makes sure that nothing it was made of has
changed. The announced price moves only here and only by `says.step`, with its row locked.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import store as catalog_store
from liveshop.catalog.model import Product, ProductsTouched, StockTouched, Variant
from liveshop.connect import Listing
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import ShopError, Unavailable
from liveshop.kernel.ids import VariantId
from liveshop.promotions.lowest import LowestPrices
from liveshop.promotions.model import OtherCurrency, Promotion, PromotionsTouched
from liveshop.promotions.prices import Prices, item_of
from liveshop.storage import Database
from liveshop.syndication import connection_store, desired, store, wire
from liveshop.syndication.carried import Carried, carried
from liveshop.syndication.dry_run import Decided, Tally
from liveshop.syndication.goals import (
    PRICE_WAITS,
    UNKNOWN,
    Blocked,
    Goal,
    Off,
    Place,
    Show,
    Wait,
    planned,
)
from liveshop.syndication.model import (
    Connection,
    ConnectionId,
    ConnectionsTouched,
    ListingRow,
    RunId,
    UnknownConnection,
)
from liveshop.syndication.outlets import Outlet, Outlets, outlets_in, stamps_in
from liveshop.syndication.says import AHEAD, Announced, PriceSchedule, Schedules, Step, step

_log = structlog.get_logger("syndication")
PAGE = 250
WHOLE_EVERY = timedelta(hours=24)
_WHOLE_AGAIN = timedelta(seconds=5)
_MOST_NAMED = 5000
"""More products than this noted at once, such as by an import, stand for all."""
_NOTE_SECONDS = 1.0
_HANDED_OVER = timedelta(minutes=10)
"""How long before a node's end it may have left undone what turned by itself."""
_YIELD_EVERY = 20
_TRIES = 5

T = TypeVar("T")
_Rows = Mapping[ConnectionId, ListingRow]


@dataclass(slots=True)
class _Noted:
    """What was touched and is not in the database yet."""

    products: set[str] = field(default_factory=set)
    variants: set[str] = field(default_factory=set)
    promotions: set[str] = field(default_factory=set)
    waiting: bool = False

    def __bool__(self) -> bool:
        return bool(self.products or self.variants or self.promotions or self.waiting)


@dataclass(frozen=True, slots=True)
class _Sold:
    """A variant on sale, with all that listings of it need. `target` None: no price can be told."""

    product: Product
    variant: Variant
    available: int
    target: PriceSchedule | None


@dataclass(frozen=True, slots=True)
class _Page:
    """What a page was worked out from."""

    product_ids: Sequence[str]
    versions: Mapping[str, int]
    carried: Carried
    sold: Mapping[VariantId, _Sold]
    announced: Mapping[VariantId, Announced]
    rows: Mapping[VariantId, _Rows]

    def variant_ids(self) -> list[VariantId]:
        return list(dict.fromkeys([*self.sold, *self.rows]))


@dataclass(slots=True)
class _Changes:
    """What a page changes. `seen`: every row as it shall be, for those who count."""

    announced: dict[VariantId, Announced] = field(default_factory=dict)
    rows: list[ListingRow] = field(default_factory=list)
    variants: set[VariantId] = field(default_factory=set)


class Planner:
    """Call `listen()` once where things change, `note()` or `plan_touched()` to write that down."""

    def __init__(self, database: Database, clock: Clock, prices: Prices, outlets: Outlets) -> None:
        self._database = database
        self._clock = clock
        self._prices = prices
        self.outlets = outlets
        self._lowest = LowestPrices(prices.definitions, prices.zone)
        self._schedules = Schedules((), clock.now(), prices.currency)
        self._noted = _Noted()
        self._turned_until: datetime | None = None
        self._one_at_a_time = asyncio.Lock()

    def listen(self) -> None:
        """Note what is touched from now on.

        What was touched just before this process began may have been lost with the one before:
        everything is looked at once.
        """
        self._noted.products.add(store.EVERYTHING)
        # Each node writes down what it touched itself.
        listen = partial(self._database.listen, only_here=True)
        listen(ProductsTouched, lambda one: self._noted.products.update(one.product_ids))
        listen(StockTouched, lambda one: self._noted.variants.update(one.variant_ids))
        listen(PromotionsTouched, lambda one: self._noted.promotions.update(one.promotion_ids))
        listen(ConnectionsTouched, self._connections_touched)

    def doubt(self) -> None:
        """Another node may have died before it noted what it touched."""
        self._noted.products.add(store.EVERYTHING)

    def _connections_touched(self, _: ConnectionsTouched) -> None:
        self._noted.waiting = True

    async def keep_noting(self) -> None:
        """Until cancelled, while another node plans: in the end it may have to be taken over."""
        try:
            while True:
                try:
                    await self.note()
                except ShopError as error:
                    _log.warning("planner_waits", reason=error.detail)
                await asyncio.sleep(_NOTE_SECONDS)
        finally:
            self._turned_until = self._clock.now() - _HANDED_OVER

    async def note(self) -> None:
        """Write down what was touched, for whoever plans."""
        if not self._noted:
            return
        noted, self._noted = self._noted, _Noted()
        try:
            async with self._database.write() as tx:
                ids = await self._ids_of(tx.conn, noted)
                await store.touch(tx.conn, ids, self._clock.now())
        except BaseException:
            self._noted.products |= noted.products
            self._noted.variants |= noted.variants
            self._noted.promotions |= noted.promotions
            self._noted.waiting |= noted.waiting
            raise

    async def _ids_of(self, conn: AsyncConnection, noted: _Noted) -> set[str]:
        ids = set(noted.products)
        if noted.variants:
            sharing = await catalog_store.with_bundles(conn, noted.variants)
            ids |= await store.products_of_variants(conn, sharing)
        if noted.promotions:
            definitions = self._prices.definitions
            ids |= await store.products_of_promotions(conn, definitions, noted.promotions)
        if noted.waiting:
            ids |= set(await store.products_under_way(conn))
        return {store.EVERYTHING} if len(ids) > _MOST_NAMED else ids

    async def plan_touched(self) -> datetime | None:
        """Plan what was touched, and what time has changed; when to look again at the latest."""
        async with self._one_at_a_time:
            await self.note()
            now = self._clock.now()
            async with self._database.read() as conn:
                ids = await store.touched(conn)
                turned = await self._turned(conn, now)
                turn = await store.next_turn(conn, now, ahead=AHEAD)
                whole_at = _whole_due(await outlets_in(conn), now)
            is_whole = store.EVERYTHING in ids or store.EVERYTHING in turned or whole_at <= now
            if is_whole or ids or turned:
                outlets = await self.outlets.all()
                if is_whole:
                    await self._plan_all(outlets, now)
                    async with self._database.read() as conn:
                        changed_at = _whole_due(await outlets_in(conn), now)
                    whole_at = max(changed_at, now + _WHOLE_AGAIN)
                elif outlets:
                    await self._plan_some(outlets, sorted({*ids, *turned}))
                await self._settle(ids)
            self._turned_until = now
            return min(one for one in (turn, whole_at) if one is not None)

    async def _settle(self, ids: Mapping[str, datetime]) -> None:
        if ids:
            async with self._database.write() as tx:
                await store.settle_touched(tx.conn, ids)

    async def plan(self, connection_id: str | None = None, *, whole: bool = True) -> None:
        """Plan everything now, or what was touched. Prices are everybody's, so a new connection is
        planned with all others; the run that shows the progress is this one's.

        Raises UnknownConnection.
        """
        if not whole:
            await self.plan_touched()
            return
        async with self._one_at_a_time:
            await self.note()
            now = self._clock.now()
            outlets = await self.outlets.all()
            if connection_id is not None and all(one.id != connection_id for one in outlets):
                raise UnknownConnection("There is no such channel or feed.")
            async with self._database.read() as conn:
                ids = await store.touched(conn)
            await self._plan_all(outlets, now, connection_id)
            await self._settle(ids)
            self._turned_until = now

    async def dry_run(self, connection_id: str) -> wire.Plan:
        """What planning and sending everything would do on this connection. Writes nothing.

        Raises UnknownConnection, WrongRole, and NotAuthorised or Unavailable where it cannot be
        opened.
        """
        outlets = await self.outlets.all()
        asked = [one for one in outlets if one.id == connection_id and one.maker is not None]
        if not asked:
            await self.outlets.open_or_raise(connection_id)
            raise Unavailable("The channel could not be opened just now. Try again.")
        tally = Tally(asked[0])
        carrying = Carried((), ())
        after: str | None = None
        while True:
            async with self._database.read() as conn:
                ids = await store.product_ids_after(conn, after, PAGE)
                page = await self._read(conn, ids, outlets) if ids else None
            if page is None:
                break
            carrying = page.carried
            await self._decide(page, outlets, self._clock.now(), tally.note)
            after = ids[-1]
        return tally.plan(carrying)

    async def _turned(self, conn: AsyncConnection, now: datetime) -> set[str]:
        """Products whose prices may have changed by themselves since the last time."""
        since = self._turned_until
        if since is None or since == now:
            return set()
        if now < since:
            return {store.EVERYTHING}  # the clock was set back
        turning = await store.promotions_turning(conn, since, now, ahead=AHEAD)
        return await store.products_of_promotions(conn, self._prices.definitions, turning)

    async def _plan_all(
        self, outlets: Sequence[Outlet], begun_at: datetime, connection_id: str | None = None
    ) -> None:
        """`begun_at`: before the outlets were read. What has changed since is planned again."""
        if not outlets:
            return
        planned_first = outlets
        runs = await self._begin(outlets, connection_id, self._clock.now())
        done = changed = 0
        after: str | None = None
        try:
            while True:
                async with self._database.read() as conn:
                    ids = await store.product_ids_after(conn, after, PAGE)
                if not ids:
                    break
                written, outlets = await self._plan_page(outlets, ids)
                changed += written
                after, done = ids[-1], done + len(ids)
                await self._progress(runs, done, changed)
            async with self._database.read() as conn:
                gone = await store.orphans(conn, PAGE)
            if gone:
                await self._plan_page(outlets, gone)
        except Exception:
            await self._end(runs, problem="It was broken off.")
            raise
        await self._end(runs)
        async with self._database.write() as tx:
            for one in planned_first:
                await connection_store.set_turn(tx.conn, one.id, whole_at=begun_at)

    async def _begin(
        self, outlets: Sequence[Outlet], connection_id: str | None, now: datetime
    ) -> list[RunId]:
        async with self._database.write() as tx:
            total = await store.count_products(tx.conn)
            return [
                await connection_store.begin_run(tx.conn, one.id, "plan", now, total=total)
                for one in outlets
                if connection_id in (None, one.id)
            ]

    async def _progress(self, runs: Sequence[RunId], done: int, changed: int) -> None:
        async with self._database.write() as tx:
            for run in runs:
                await connection_store.progress_run(
                    tx.conn, run, done=done, counts={"changed": changed}
                )

    async def _end(self, runs: Sequence[RunId], *, problem: str | None = None) -> None:
        now = self._clock.now()
        async with self._database.write() as tx:
            for run in runs:
                await connection_store.end_run(tx.conn, run, now, problem=problem)

    async def _plan_some(self, outlets: Sequence[Outlet], product_ids: Sequence[str]) -> None:
        for start in range(0, len(product_ids), PAGE):
            _, outlets = await self._plan_page(outlets, product_ids[start : start + PAGE])

    async def _plan_page(
        self, outlets: Sequence[Outlet], product_ids: Sequence[str]
    ) -> tuple[int, Sequence[Outlet]]:
        """How many listings it changed, and the outlets as they were then."""
        for attempt in range(_TRIES):
            if attempt:
                outlets = await self.outlets.all()
            async with self._database.read() as conn:
                page = await self._read(conn, product_ids, outlets)
            changes = await self._decide(page, outlets, self._clock.now())
            if not changes.variants:
                return 0, outlets
            written = await self._write(page, outlets, changes)
            if written is not None:
                return written, outlets
        async with self._database.write() as tx:
            await store.touch(tx.conn, product_ids, self._clock.now())
        return 0, outlets

    async def _write(self, page: _Page, outlets: Sequence[Outlet], changes: _Changes) -> int | None:
        """None where something it was worked out from has changed in the meantime."""
        now = self._clock.now()
        async with self._database.write() as tx:
            present = await store.announced(tx.conn, changes.variants, lock=True)
            of_products = {
                *(one.product.id for id_, one in page.sold.items() if id_ in changes.variants),
                *(row.product_id for row in changes.rows),
            }
            versions = await store.versions_of(tx.conn, of_products)
            if any(versions.get(id_) != page.versions.get(id_) for id_ in of_products):
                return None
            reaches = self.outlets.reaches(outlets)
            now_carried = await carried(tx.conn, self._prices.definitions, reaches, now)
            if now_carried.stamp != page.carried.stamp:
                return None
            rows = await store.of_variants(tx.conn, changes.variants, [one.id for one in outlets])
            # Once the rows are locked, or a pause could slip in between.
            if await stamps_in(tx.conn) != [one.stamp for one in outlets]:
                return None
            if present != _only(page.announced, changes.variants) or rows != _only(
                page.rows, changes.variants
            ):
                fresh = replace(
                    page,
                    sold=_only(page.sold, changes.variants),
                    announced=present,
                    rows=rows,
                )
                changes = await self._decide(fresh, outlets, now)
            await store.put_announced(tx.conn, changes.announced)
            await store.put_planned(tx.conn, changes.rows)
            for id_ in sorted({row.connection_id for row in changes.rows if row.due_at}):
                await connection_store.set_turn(tx.conn, id_, due_at=now)
        return len(changes.rows)

    async def _read(
        self, conn: AsyncConnection, product_ids: Sequence[str], outlets: Sequence[Outlet]
    ) -> _Page:
        now = self._clock.now()
        reaches = self.outlets.reaches(outlets)
        announceable = await carried(conn, self._prices.definitions, reaches, now)
        products = await catalog_store.products_by_ids(conn, product_ids)
        on_sale = [one for one in products.values() if one.is_active]
        available = await catalog_store.available_by_variant(
            conn, [variant.id for one in on_sale for variant in one.variants], now
        )
        targets = await self._targets(conn, on_sale, announceable.promotions, now)
        sold = {
            variant.id: _Sold(one, variant, available[variant.id], targets[variant.id])
            for one in on_sale
            for variant in one.variants
        }
        rows = await store.of_products(conn, product_ids, [one.id for one in outlets])
        return _Page(
            product_ids=product_ids,
            versions={id_: one.version for id_, one in products.items()},
            carried=announceable,
            sold=sold,
            announced=await store.announced(conn, {*sold, *rows}),
            rows=rows,
        )

    async def _targets(
        self,
        conn: AsyncConnection,
        products: Sequence[Product],
        promotions: Sequence[Promotion],
        now: datetime,
    ) -> dict[VariantId, PriceSchedule | None]:
        """What each shall say; beside a sale the lowest price of the 30 days before it."""
        if not self._schedules.is_for(promotions, now):
            self._schedules = Schedules(promotions, now, self._prices.currency)
        schedules = self._schedules
        targets: dict[VariantId, PriceSchedule | None] = {}
        items = {}
        for place, one in enumerate(products):
            if place % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
            for variant in one.variants:
                item = items[variant.id] = item_of(one, variant)
                try:
                    targets[variant.id] = schedules.of(item, now)
                except OtherCurrency:
                    targets[variant.id] = None
        by_moment: dict[datetime, list[VariantId]] = {}
        for id_, target in targets.items():
            if target is not None and target.sale is not None:
                moment = max(now, target.sale.starts_at or now)
                by_moment.setdefault(moment, []).append(id_)
        for moment, ids in by_moment.items():
            lowest = await self._lowest.of(conn, [items[id_] for id_ in ids], moment, None)
            for id_ in ids:
                schedule = targets[id_]
                assert schedule is not None
                targets[id_] = replace(schedule, lowest=lowest[id_])
        return targets

    async def _decide(
        self,
        page: _Page,
        outlets: Sequence[Outlet],
        now: datetime,
        note: Callable[[Decided], None] | None = None,
    ) -> _Changes:
        changes = _Changes()
        waits = _wait_reason(outlets)
        for place, id_ in enumerate(page.variant_ids()):
            if place % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
            _decide_one(page, id_, outlets, now, waits, changes, note)
        return changes


def _decide_one(
    page: _Page,
    id_: VariantId,
    outlets: Sequence[Outlet],
    now: datetime,
    waits: Callable[[_Rows], str],
    changes: _Changes,
    note: Callable[[Decided], None] | None,
) -> None:
    sold, rows = page.sold.get(id_), page.rows.get(id_, {})
    before = page.announced.get(id_)
    move = None
    if sold is not None and sold.target is not None:
        move = _step(before, sold.target, sold, rows, outlets, now)
        if move.announced != before:
            changes.announced[id_] = move.announced
            changes.variants.add(id_)
    for outlet in outlets:
        row = rows.get(outlet.id)
        goal = _goal(outlet, sold, move, row)
        if isinstance(goal, Wait):
            goal = Wait(waits(rows))
        if sold is not None:
            product_id = sold.product.id
        elif row is not None:
            product_id = row.product_id
        else:
            continue
        connection = outlet.connection
        place = Place(
            connection_id=outlet.id,
            variant_id=id_,
            product_id=product_id,
            is_feed=outlet.is_feed,
            is_paused=connection.state == "paused",
            can_hide=outlet.can_hide,
        )
        after = planned(row, goal, place, now)
        if after is not row and after is not None:
            changes.rows.append(after)
            changes.variants.add(id_)
        if note is not None:
            title = "" if sold is None else _told_apart(sold.product, sold.variant)
            note(Decided(outlet, id_, product_id, title, row, after, goal, move))


def _step(
    before: Announced | None,
    target: PriceSchedule,
    sold: _Sold,
    rows: _Rows,
    outlets: Sequence[Outlet],
    now: datetime,
) -> Step:
    pushed = [one for one in outlets if not one.is_feed]
    may_show = any(one.id in rows and rows[one.id].may_show for one in pushed)
    is_only = len(outlets) == 1
    is_settled = False
    if (
        may_show
        and is_only
        and outlets[0].maker is not None
        and before is not None
        and before.next is not None
    ):
        settled = _digest(outlets[0], sold, target)
        is_settled = rows[outlets[0].id].accepted == settled
    return step(before, target, now, may_show=may_show, is_only=is_only, is_settled=is_settled)


def _goal(outlet: Outlet, sold: _Sold | None, move: Step | None, row: ListingRow | None) -> Goal:
    if sold is None or outlet.is_leaving:
        return Off()
    if move is None:
        return Blocked(desired.NO_PRICE.reason)
    if move.move == "wait" and not outlet.is_feed:
        return Wait()
    if outlet.maker is None:
        return Show(row.wanted if outlet.is_feed and row and row.wanted else UNKNOWN)
    says = move.announced.says if outlet.is_feed else move.shows
    digest = _digest(outlet, sold, says)
    if row is not None and row.wanted == digest:
        return Show(digest)  # it could be made before
    made = outlet.maker.make(sold.product, sold.variant, says, sold.available)
    return Show(digest) if isinstance(made, Listing) else Blocked(desired.in_words(made))


def _told_apart(product: Product, variant: Variant) -> str:
    return ", ".join((product.title, *variant.values))


def _digest(outlet: Outlet, sold: _Sold, says: PriceSchedule) -> str:
    assert outlet.maker is not None
    return outlet.maker.digest(sold.product, sold.variant, says, sold.available)


def _whole_due(connections: Sequence[Connection], now: datetime) -> datetime:
    """When everything is to be gone through: at once where a connection is new or was changed."""
    moments = [
        now if one.whole_at is None or one.whole_at < one.updated_at else one.whole_at + WHOLE_EVERY
        for one in connections
    ]
    return min(moments, default=now + WHOLE_EVERY)


def _wait_reason(outlets: Sequence[Outlet]) -> Callable[[_Rows], str]:
    """Names the connections that keep a price from changing, where a person has to act."""
    stuck = {
        one.id: one.connection.title
        for one in outlets
        if not one.is_feed and one.connection.state != "active"
    }

    def reason(rows: _Rows) -> str:
        names = [title for id_, title in stuck.items() if id_ in rows and rows[id_].may_show]
        if not names:
            return PRICE_WAITS
        return (
            f"{PRICE_WAITS} {', '.join(names)} may still show it and is not at work: "
            "resume it, repair it or remove it."
        )

    return reason


def _only(found: Mapping[VariantId, T], ids: set[VariantId]) -> dict[VariantId, T]:
    return {id_: one for id_, one in found.items() if id_ in ids}
