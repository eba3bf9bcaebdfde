"""Pulling: a shop system's products and stock into the catalog, on the connection's own turns.

The system is asked for everything once a day and for changes in between. A run that breaks goes on
where it was. What is missing is not what a run did not see, but what a fresh list of all ids does
not hold: so a broken run withdraws nothing.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import source_stock
from liveshop.catalog.importer import Importer, ImportReport
from liveshop.connect import (
    ConnectorError,
    NeedsAttention,
    OrderTarget,
    RetryLater,
    Source,
    SourcePage,
)
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import VariantId
from liveshop.settings import ShopSettings, SyndicationSettings
from liveshop.storage import Database
from liveshop.syndication import connection_store as store
from liveshop.syndication import export_store
from liveshop.syndication.model import Connection, ConnectionId, RunId

OpenSource = Callable[[ConnectionId], Awaitable[Any]]
"""Gives what a connection's connector opened, such as `OpenConnections.get`."""
Resume = Callable[[ConnectionId], Awaitable[None]]
"""Takes up the orders that waited for a connection, such as `OrderExports.resume`."""

_RECONCILE = timedelta(hours=1)
_COUNTED_AT_ONCE = 500
_FEW = 20
"""So many products may vanish at once without anybody being asked."""
_RECONCILED_AT, _COUNTED_AT, _VANISHED = "pull:reconciled_at", "pull:counted_at", "pull:vanished"


class SourceTurns:
    """The turns of connections with the role `source`. One turn at a time for each connection; two
    at once do double work and no harm."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        shop: ShopSettings,
        settings: SyndicationSettings,
        open_source: OpenSource,
        *,
        resume_exports: Resume | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._currency = shop.currency
        self._every = timedelta(seconds=settings.source_seconds)
        self._whole_every = timedelta(hours=settings.source_whole_hours)
        self._open_source = open_source
        self._resume_exports = resume_exports

    async def turn(self, connection: Connection) -> datetime | None:
        """Read what is due: everything, or what changed; and the stock. When the next turn is.

        Raises RetryLater, NeedsAttention; what landed before stays, and the next turn goes on.
        """
        async with self._database.read() as conn:
            # As it stands now: the caller may have looked a while ago.
            now_known = await store.by_id(conn, connection.id)
        if now_known is None or not now_known.is_active:
            return None
        source = await self._open_source(connection.id)
        if self._resume_exports is not None:
            await self._resume_exports(connection.id)
        pull = _Pull(self._database, self._clock, self._currency, now_known, source)
        begun = self._clock.now()
        whole_at = now_known.whole_at
        if whole_at is None or now_known.cursor or begun - whole_at >= self._whole_every:
            await pull.whole(begun)
        elif now_known.mark is not None:
            await pull.changed(now_known.mark)
        await pull.recount(_RECONCILE)
        return begun + self._every


@dataclass(slots=True)
class _Counts:
    """What a run has come to."""

    rows: int = 0
    created: int = 0
    updated: int = 0
    failed: int = 0
    withdrawn: int = 0
    problem: str | None = None

    def add(self, report: ImportReport) -> None:
        self.rows += report.rows
        self.created += report.products_created
        self.updated += report.products_updated
        self.failed += report.failed
        if self.problem is None and report.problems:
            first = report.problems[0]
            self.problem = f"{first.source_id or 'A product'}: {first.reason}"

    @property
    def is_news(self) -> bool:
        """Changes are read with an overlap: most of it is often known."""
        return any((self.created, self.updated, self.failed))

    def as_dict(self) -> dict[str, int]:
        return {
            "created": self.created,
            "updated": self.updated,
            "failed": self.failed,
            "withdrawn": self.withdrawn,
        }


@dataclass(slots=True)
class _Pull:
    """The work of one turn on one source."""

    database: Database
    clock: Clock
    currency: str
    connection: Connection
    source: Source
    counts: _Counts = field(default_factory=_Counts)

    async def whole(self, begun: datetime) -> None:
        """Everything, from where a broken run left off; then withdraw what is not there any
        more."""
        async with self._run() as run_id:
            cursor, mark = self.connection.cursor, None
            async for page, asked_at in self._timed(self.source.products(cursor)):
                await self._land(page, asked_at, run_id)
                mark = page.mark or mark
                await self._stand(cursor=page.cursor)
            await self._stand(cursor=None, mark=mark, whole_at=begun)
            await self._withdraw_missing()
            await self._remember(_RECONCILED_AT, begun)
            await self._progress(run_id)

    async def changed(self, mark: str) -> None:
        """What is new since the mark. A run is noted once there is something in it."""
        run_id: RunId | None = None
        next_mark = mark
        try:
            async for page, asked_at in self._timed(self.source.changes(mark)):
                await self._land(page, asked_at, run_id)
                if run_id is None and self.counts.is_news:
                    run_id = await self._begin_run()
                    await self._progress(run_id)
                next_mark = page.mark or next_mark
        except Exception as error:
            await self._end_run(run_id, _words(error), has_failed=True)
            raise
        if next_mark != mark:
            await self._stand(mark=next_mark)
        await self._end_run(run_id, self.counts.problem)

    async def recount(self, every: timedelta) -> None:
        """Look again at the stock of what was exported meanwhile, and of what carts held more of
        than there was; from time to time at that of everything, and at what was deleted."""
        now = self.clock.now()
        if not isinstance(self.source, OrderTarget):
            # What it counts is as old as its file: only a new quantity in that says anything.
            if await self._is_due(_RECONCILED_AT, now - every):
                await self._withdraw_missing()
                await self._remember(_RECONCILED_AT, now)
            return
        counted_at = await self._recalled(_COUNTED_AT)
        async with self.database.read() as conn:
            again = set(await source_stock.held_above(conn, self.connection.id))
            if counted_at is not None:
                again.update(
                    await export_store.source_ids_settled_since(
                        conn, self.connection.id, counted_at
                    )
                )
        await self._count(sorted(again))
        if await self._is_due(_RECONCILED_AT, now - every):
            await self._withdraw_missing()
            await self._count_all()
            await self._remember(_RECONCILED_AT, now)
        await self._remember(_COUNTED_AT, now)

    # Landing

    async def _timed(
        self, pages: AsyncIterator[SourcePage]
    ) -> AsyncIterator[tuple[SourcePage, datetime]]:
        """Each page with the time at which it was asked for: what it counts is not older."""
        asked_at = self.clock.now()
        async for page in pages:
            yield page, asked_at
            asked_at = self.clock.now()

    async def _land(self, page: SourcePage, asked_at: datetime, run_id: RunId | None) -> None:
        # Each page by itself: a product that moved to the next page meanwhile is no mistake.
        importer = Importer(
            self.database,
            self.clock,
            source=self.connection.id,
            currency=self.currency,
            uncounted=self._uncounted(asked_at) if self._takes_orders else None,
        )
        self.counts.add(await importer.land(page.rows))
        if run_id is not None:
            await self._progress(run_id)

    @property
    def _takes_orders(self) -> bool:
        return isinstance(self.source, OrderTarget)

    def _uncounted(self, asked_at: datetime) -> source_stock.Uncounted:
        async def uncounted(
            conn: AsyncConnection, variant_ids: Collection[VariantId]
        ) -> Mapping[VariantId, source_stock.Sold]:
            return await export_store.uncounted(conn, self.connection.id, variant_ids, asked_at)

        return uncounted

    async def _count_all(self) -> None:
        after = ""
        while True:
            async with self.database.read() as conn:
                ids = await source_stock.source_ids_of_variants(
                    conn, self.connection.id, after=after, limit=_COUNTED_AT_ONCE
                )
            if not ids:
                return
            await self._count(ids)
            after = ids[-1]

    async def _count(self, source_ids: Collection[str]) -> None:
        if not source_ids:
            return
        asked_at = self.clock.now()
        counts = dict(await self.source.quantities(source_ids))
        async with self.database.write() as tx:
            await source_stock.set_counts(tx, self.connection.id, counts, self._uncounted(asked_at))

    # What is gone

    async def _withdraw_missing(self) -> None:
        there: set[str] = set()
        async for ids in self.source.product_ids():
            there.update(ids)
        async with self.database.read() as conn:
            ours = await source_stock.source_ids_of_products(conn, self.connection.id)
        missing = ours - there
        if not missing:
            return
        await self._make_sure(missing, ours)
        async with self.database.write() as tx:
            self.counts.withdrawn += await source_stock.withdraw(
                tx, self.connection.id, missing, self.clock.now()
            )
            await store.forget(tx.conn, self.connection.id, _VANISHED)

    async def _make_sure(self, missing: Collection[str], ours: Collection[str]) -> None:
        """Most of a catalog does not vanish by itself: a person has to say that it is so."""
        if len(missing) <= _FEW or 2 * len(missing) <= len(ours):
            return
        async with self.database.read() as conn:
            told = await store.recall(conn, self.connection.id, _VANISHED)
        if told is not None:
            count, version = (int(part) for part in told.split())
            # Set to active again by a person since then, who has read what would happen.
            if self.connection.version > version and len(missing) <= count:
                return
        async with self.database.write() as tx:
            value = f"{len(missing)} {self.connection.version}"
            await store.remember(tx.conn, self.connection.id, _VANISHED, value)
        raise NeedsAttention(
            f"The shop system does not list {len(missing)} of the {len(ours)} products any more "
            "that came from it. Nothing was taken off sale. If that is right, resume the "
            "connection, and they are withdrawn; if not, look there first."
        )

    # Where it stands

    async def _stand(self, **values: Any) -> None:
        async with self.database.write() as tx:
            await store.set_turn(tx.conn, self.connection.id, **values)

    async def _recalled(self, key: str) -> datetime | None:
        async with self.database.read() as conn:
            text = await store.recall(conn, self.connection.id, key)
        return None if text is None else datetime.fromisoformat(text)

    async def _is_due(self, key: str, latest: datetime) -> bool:
        last = await self._recalled(key)
        return last is None or last <= latest

    async def _remember(self, key: str, moment: datetime) -> None:
        async with self.database.write() as tx:
            await store.remember(tx.conn, self.connection.id, key, moment.isoformat())

    # Runs

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[RunId]:
        run_id = await self._begin_run()
        try:
            yield run_id
        except Exception as error:
            await self._end_run(run_id, _words(error), has_failed=True)
            raise
        await self._end_run(run_id, self.counts.problem)

    async def _begin_run(self) -> RunId:
        async with self.database.write() as tx:
            return await store.begin_run(tx.conn, self.connection.id, "import", self.clock.now())

    async def _progress(self, run_id: RunId) -> None:
        async with self.database.write() as tx:
            await store.progress_run(
                tx.conn, run_id, done=self.counts.rows, counts=self.counts.as_dict()
            )

    async def _end_run(
        self, run_id: RunId | None, problem: str | None, *, has_failed: bool = False
    ) -> None:
        if run_id is None:
            return
        async with self.database.write() as tx:
            await store.end_run(
                tx.conn, run_id, self.clock.now(), problem=problem, has_failed=has_failed
            )


def _words(error: Exception) -> str:
    if isinstance(error, RetryLater):
        return f"{error.detail} It goes on from where it was."
    if isinstance(error, ConnectorError | ShopError):
        return error.detail
    return "The connector has a fault; the server's log names it."
