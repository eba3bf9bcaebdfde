"""Sending: listings that are due go to their channel in batches, what is to be hidden first.

Before each request a short transaction makes the listings out of what the shop says at that moment,
and marks that people may see them from now on; after it another one writes down what the channel
answered. None is open while the channel is called. If this process dies in between, the rows say
that nobody knows what the channel has, and the request is repeated: it does no harm.

What was hidden or taken off is looked up at once: a price may only change when nobody can see the
old one, and an answer alone has been wrong before.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import store as catalog_store
from liveshop.connect import (
    Accepted,
    Channel,
    ConnectorError,
    Listing,
    Refused,
    Seen,
    SkipListing,
    Verdict,
)
from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import VariantId
from liveshop.storage import Database
from liveshop.syndication import connection_store, desired, store
from liveshop.syndication.desired import ChannelImages
from liveshop.syndication.goals import PRICE_WAITS, TAKEN_OFF, is_there
from liveshop.syndication.model import (
    Connection,
    ConnectionId,
    ConnectionsTouched,
    ListingRow,
    RunId,
)
from liveshop.syndication.outlets import LEAVING, CheckedMaker, OpenThings, outlets_in
from liveshop.syndication.reading import ListingReader
from liveshop.syndication.says import Announced
from liveshop.syndication.store import HIDDEN
from liveshop.syndication.tables import listing
from liveshop.syndication.verdicts import after_publish, after_take_off, with_state

_log = structlog.get_logger("syndication")
TURN_SECONDS = 30.0
"""After this a turn ends and asks for the next one, so that its lease does not run out."""
_LOOK_AGAIN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class _Taken:
    """A batch: rows as they were, and what is to be sent of them. `listings` None: taken off."""

    before: Sequence[ListingRow]
    listings: Sequence[Listing] | None
    is_hiding: bool = False
    digests: Mapping[VariantId, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Progress:
    """The run of a turn; begun with the first batch."""

    run_id: RunId | None = None
    total: int = 0
    done: int = 0
    counts: dict[str, int] | None = None

    def add(self, name: str, count: int) -> None:
        if count:
            self.counts = self.counts or {}
            self.counts[name] = self.counts.get(name, 0) + count


class ListingTurns:
    """One turn of a channel: send what is due, then look at what it shows.

    Hold the lease of the connection: two at once would answer for each other's requests.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        connections: OpenThings,
        images: ChannelImages,
        *,
        live_every: timedelta = timedelta(hours=6),
    ) -> None:
        self._database = database
        self._clock = clock
        self._connections = connections
        self._images = images
        self._faulty: set[ConnectionId] = set()
        self._reader = ListingReader(database, clock, images, live_every=live_every)

    async def turn(self, connection: Connection) -> datetime | None:
        """When it wants the next turn; None: when something changes. Raises what the channel
        raises: RetryLater, NeedsAttention, or anything else."""
        if "channel" not in connection.roles:
            return None
        channel: Channel = await self._connections.get(connection.id)
        ends = time.monotonic() + TURN_SECONDS
        progress = _Progress()
        problem: str | None = "It was broken off."
        try:
            is_done = await self._push(connection, channel, progress, ends)
            problem = None
        except ConnectorError as error:
            problem = error.detail
            raise
        finally:
            await self._end(progress, problem)
        if not is_done:
            return self._clock.now()
        if await self._is_gone(connection):
            return None
        reading = await self._reader.turn(connection, channel, ends)
        async with self._database.read() as conn:
            sending = await store.next_due(conn, connection.id)
        return min((one for one in (sending, reading) if one is not None), default=None)

    async def _push(
        self, connection: Connection, channel: Channel, progress: _Progress, ends: float
    ) -> bool:
        """False where there was no time for everything."""
        while True:
            taken = await self._take(connection, channel, progress)
            if taken is None:
                return True
            if taken.before:
                await self._send(connection, channel, taken, progress)
            if time.monotonic() >= ends:
                return False

    # Taking

    async def _take(
        self, connection: Connection, channel: Channel, progress: _Progress
    ) -> _Taken | None:
        """The next batch, marked as being sent; None: nothing is due, or somebody has paused it
        since this turn began."""
        now = self._clock.now()
        limits = channel.listing_limits
        async with self._database.write() as tx:
            if not await connection_store.is_active(tx.conn, connection.id):
                return None
            off = True
            rows = await store.due(tx.conn, connection.id, now, limit=limits.batch, off=True)
            if not rows:
                off = False
                rows = await store.due(tx.conn, connection.id, now, limit=limits.batch, off=False)
            if not rows:
                return None
            if progress.run_id is None:
                progress.total = await store.count_due(tx.conn, connection.id, now)
                progress.run_id = await connection_store.begin_run(
                    tx.conn, connection.id, "push", now, total=progress.total
                )
            announced = await store.announced(tx.conn, [row.variant_id for row in rows], lock=True)
            # Again, now that nobody else moves them.
            present = await store.some_of(tx.conn, connection.id, [row.variant_id for row in rows])
            rows = [present[row.variant_id] for row in rows if row.variant_id in present]
            making = _Making(self._images, connection, channel, announced, self._faulty)
            await making.read(tx.conn, rows, now)
            taken = making.off(rows) if off else making.shown(rows, now)
            await store.put_moved(tx.conn, making.marked)
            await store.touch(tx.conn, making.touched, now)
        return taken

    # Sending

    async def _send(
        self, connection: Connection, channel: Channel, taken: _Taken, progress: _Progress
    ) -> None:
        if taken.listings is None:
            ids = [row.variant_id for row in taken.before]
            verdicts = await channel.withdraw(ids)
        else:
            verdicts = await self._publish(channel, taken.listings)
        by_id = {one.id: one for one in verdicts}
        if taken.listings is not None and not taken.is_hiding:
            await self._record_shown(connection, taken, by_id, progress)
            return
        seen = await self._look(
            channel, [id_ for id_, one in by_id.items() if isinstance(one, Accepted)]
        )
        await self._record_off(connection, taken, by_id, seen, progress)

    async def _publish(self, channel: Channel, listings: Sequence[Listing]) -> Sequence[Verdict]:
        try:
            return await channel.publish(listings)
        except SkipListing as error:
            if len(listings) == 1:
                return [Refused(listings[0].id, error.detail)]
        # It does not say which one: one by one, so that the others are not held up.
        found: list[Verdict] = []
        for one in listings:
            found += await self._publish(channel, [one])
        return found

    async def _look(self, channel: Channel, ids: Sequence[str]) -> Mapping[str, Seen]:
        found: dict[str, Seen] = {}
        size = max(1, channel.listing_limits.read_batch)
        for start in range(0, len(ids), size):
            found |= await channel.read_back(ids[start : start + size])
        return found

    # Recording

    async def _record_shown(
        self,
        connection: Connection,
        taken: _Taken,
        verdicts: Mapping[str, Verdict],
        progress: _Progress,
    ) -> None:
        now = self._clock.now()
        ids = [row.variant_id for row in taken.before]
        async with self._database.write() as tx:
            announced = await store.announced(tx.conn, ids, lock=True)
            present = await store.some_of(tx.conn, connection.id, ids)
            moved = [
                after_publish(
                    present[one.variant_id],
                    one,
                    taken.digests[one.variant_id],
                    verdicts.get(one.variant_id),
                    now,
                )
                for one in taken.before
                if one.variant_id in present
            ]
            await store.put_moved(tx.conn, moved)
            # The only channel there is shows the next price now: that can become the announced one.
            under_way = {id_ for id_, one in announced.items() if one.next is not None}
            await store.touch(
                tx.conn, [row.product_id for row in moved if row.variant_id in under_way], now
            )
            await self._count(tx.conn, progress, verdicts, "accepted", len(ids))

    async def _record_off(
        self,
        connection: Connection,
        taken: _Taken,
        verdicts: Mapping[str, Verdict],
        seen: Mapping[str, Seen],
        progress: _Progress,
    ) -> None:
        now = self._clock.now()
        ids = [row.variant_id for row in taken.before]
        async with self._database.write() as tx:
            announced = await store.announced(tx.conn, ids, lock=True)
            present = await store.some_of(tx.conn, connection.id, ids)
            moved = []
            for id_ in ids:
                if id_ not in present:
                    continue
                there = seen.get(id_)
                row = after_take_off(
                    present[id_],
                    verdicts.get(id_),
                    now,
                    was_hidden=taken.is_hiding,
                    is_seen=there is not None and there.status == "live",
                )
                moved.append(_withdrawn(row, announced.get(id_), now))
            await store.put_moved(tx.conn, moved)
            waiting = [
                row.product_id
                for row in moved
                if (one := announced.get(row.variant_id)) and one.next and not row.may_show
            ]
            await store.touch(tx.conn, waiting, now)
            name = "hidden" if taken.is_hiding else "withdrawn"
            await self._count(tx.conn, progress, verdicts, name, len(ids))

    async def _count(
        self,
        conn: AsyncConnection,
        progress: _Progress,
        verdicts: Mapping[str, Verdict],
        accepted_as: str,
        count: int,
    ) -> None:
        accepted = sum(isinstance(one, Accepted) for one in verdicts.values())
        refused = sum(isinstance(one, Refused) for one in verdicts.values())
        progress.done += count
        progress.add(accepted_as, accepted)
        progress.add("refused", refused)
        progress.add("later", count - accepted - refused)
        assert progress.run_id is not None
        await connection_store.progress_run(
            conn,
            progress.run_id,
            done=progress.done,
            counts=progress.counts or {},
            total=max(progress.total, progress.done),
        )

    async def _end(self, progress: _Progress, problem: str | None) -> None:
        if progress.run_id is None:
            return
        async with self._database.write() as tx:
            await connection_store.end_run(
                tx.conn, progress.run_id, self._clock.now(), problem=problem
            )

    async def _is_gone(self, connection: Connection) -> bool:
        """Whether a connection that is being removed has nothing left, and so is removed now."""
        now = self._clock.now()
        async with self._database.write() as tx:
            if await connection_store.recall(tx.conn, connection.id, LEAVING) is None:
                return False
            if await store.is_present(tx.conn, connection.id):
                return False
            await store.set_where(
                tx.conn,
                listing.c.connection_id == connection.id,
                listing.c.state != "withdrawn",
                state="withdrawn",
                since=now,
                reason=None,
                wanted=None,
                due_at=None,
            )
            await connection_store.change(tx.conn, connection.id, now, state="removed")
            await connection_store.forget(tx.conn, connection.id, LEAVING)
            tx.notify(ConnectionsTouched((connection.id,)))
        return True


class _Making:
    """Makes a batch out of due rows, by what the shop says in this transaction."""

    def __init__(
        self,
        images: ChannelImages,
        connection: Connection,
        channel: Channel,
        announced: Mapping[VariantId, Announced],
        faulty: set[ConnectionId] | None = None,
    ) -> None:
        self._maker = CheckedMaker(
            connection, channel, channel.listing_limits, images, faulty=faulty
        )
        self._connection = connection
        self._can_hide = channel.listing_limits.can_hide
        self._announced = announced
        self._is_only = False
        self.marked: list[ListingRow] = []
        self.touched: list[str] = []

    async def read(self, conn: AsyncConnection, rows: Sequence[ListingRow], now: datetime) -> None:
        self._is_only = len(await outlets_in(conn)) == 1
        products = await catalog_store.products_by_ids(conn, [row.product_id for row in rows])
        self._products = products
        self._variants = {
            variant.id: variant
            for one in products.values()
            if one.is_active
            for variant in one.variants
        }
        self._available = await catalog_store.available_by_variant(
            conn, [row.variant_id for row in rows], now
        )

    def off(self, rows: Sequence[ListingRow]) -> _Taken:
        """Hide those that can be hidden, or else take off the rest of the batch."""
        hiding = [
            (row, made)
            for row in rows
            if row.wanted == HIDDEN and (made := self._hidden(row)) is not None
        ]
        if hiding:
            before = [row for row, _ in hiding]
            self.marked += [replace(row, accepted=None) for row in before]
            return _Taken(before, [made for _, made in hiding], is_hiding=True)
        unmade = [replace(row, wanted=None) for row in rows if row.wanted == HIDDEN]
        leaving = unmade + [row for row in rows if row.wanted is None]
        self.marked += unmade
        return _Taken(leaving, None)

    def _hidden(self, row: ListingRow) -> Listing | None:
        variant, announced = self._variants.get(row.variant_id), self._announced.get(row.variant_id)
        if not self._can_hide or variant is None or announced is None:
            return None
        made = self._maker.make(
            self._products[row.product_id],
            variant,
            announced.says,
            self._available[row.variant_id],
        )
        return desired.hidden(made) if isinstance(made, Listing) else None

    def shown(self, rows: Sequence[ListingRow], now: datetime) -> _Taken:
        """Those that can be sent; what turned out otherwise since it was planned is marked so."""
        before, listings, digests = [], [], {}
        for row in rows:
            variant = self._variants.get(row.variant_id)
            announced = self._announced.get(row.variant_id)
            if variant is None or announced is None:
                self._leave(row, TAKEN_OFF, now)
                continue
            if announced.next is not None and not self._is_only:
                self._leave(row, PRICE_WAITS, now)
                continue
            says = announced.next or announced.says
            facts = self._products[row.product_id], variant, says, self._available[row.variant_id]
            digest = self._maker.digest(*facts)
            made = self._maker.make(*facts)
            if not isinstance(made, Listing):
                self._leave(row, desired.in_words(made), now)
                continue
            digests[row.variant_id] = digest
            if row.accepted == digest:
                settled = replace(row, wanted=digest, due_at=None, reason=None, attempts=0)
                self.marked.append(with_state(settled, "sent", now))
                continue
            wanted = replace(row, wanted=digest)
            before.append(wanted)
            listings.append(made)
            self.marked.append(replace(wanted, accepted=None, may_show=True))
        return _Taken(before, listings, digests=digests)

    def _leave(self, row: ListingRow, reason: str, now: datetime) -> None:
        """Not sent: it is off if it is there at all, and planning says what it is then."""
        self.marked.append(
            replace(
                row,
                wanted=None,
                reason=reason,
                due_at=now if is_there(row) else None,
            )
        )
        self.touched.append(row.product_id)


def _withdrawn(row: ListingRow, announced: Announced | None, now: datetime) -> ListingRow:
    """It is gone for good, unless it only waits for its price."""
    is_final = row.wanted is None and not is_there(row) and row.state == "pending"
    if is_final and (announced is None or announced.next is None):
        return with_state(replace(row, reason=None), "withdrawn", now)
    return row
