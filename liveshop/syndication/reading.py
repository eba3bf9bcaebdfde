"""Reading back: what a channel really shows, compared with what it was sent.

Only then is a listing `live`. What differs has drifted and is sent again, what is missing too; what
the channel changes time and again stays drifted, with words that say so.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import store as catalog_store
from liveshop.connect import Channel, ConnectorError, Listing, Seen
from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import VariantId
from liveshop.storage import Database
from liveshop.syndication import connection_store, store
from liveshop.syndication.desired import ChannelImages
from liveshop.syndication.model import Connection, Drift, ListingRow, RunId
from liveshop.syndication.outlets import CheckedMaker
from liveshop.syndication.says import Announced
from liveshop.syndication.verdicts import wait_after, with_state

_SENT_EVERY = timedelta(seconds=60)
_DRIFTED_EVERY = timedelta(hours=1)
_REJECTED_EVERY = timedelta(hours=6)
"""What a channel took and does not show, it may yet approve."""
SETTLES_IN = timedelta(seconds=60)
"""A channel may show a listing a while after it took it: before this none is called missing."""
MOST_REPAIRS = 3
MISSING = "missing"
VISIBILITY = "visibility"


@dataclass(slots=True)
class _Looked:
    """The run of a turn; begun with the first batch."""

    run_id: RunId | None = None
    done: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, rows: Sequence[ListingRow]) -> None:
        self.done += len(rows)
        for row in rows:
            self.counts[row.state] = self.counts.get(row.state, 0) + 1


class ListingReader:
    """`live_every`: how old the knowledge of a live listing may become."""

    def __init__(
        self, database: Database, clock: Clock, images: ChannelImages, *, live_every: timedelta
    ) -> None:
        self._database = database
        self._clock = clock
        self._images = images
        self._every: Mapping[str, timedelta] = {
            "sent": min(_SENT_EVERY, live_every),
            "drifted": min(_DRIFTED_EVERY, live_every),
            "live": live_every,
            "rejected": min(_REJECTED_EVERY, live_every),
        }

    async def turn(self, connection: Connection, channel: Channel, ends: float) -> datetime | None:
        """Look at what is due to be looked at, until `ends` of `time.monotonic`; when to go on."""
        progress = _Looked()
        problem: str | None = "It was broken off."
        try:
            is_done = await self._look(connection, channel, progress, ends)
            problem = None
        except ConnectorError as error:
            problem = error.detail
            raise
        finally:
            await self._end(progress, problem)
        if not is_done:
            return self._clock.now()
        async with self._database.read() as conn:
            oldest = await store.oldest_reads(conn, connection.id, self._every)
        return min((at + self._every[state] for state, at in oldest.items()), default=None)

    async def _look(
        self, connection: Connection, channel: Channel, progress: "_Looked", ends: float
    ) -> bool:
        """False where there was no time for everything."""
        while time.monotonic() < ends:
            now = self._clock.now()
            async with self._database.read() as conn:
                rows = await store.to_read(
                    conn,
                    connection.id,
                    {state: now - every for state, every in self._every.items()},
                    limit=channel.listing_limits.read_batch,
                )
            if not rows:
                return True
            seen = await channel.read_back([row.variant_id for row in rows])
            async with self._database.write() as tx:
                moved = await self._compare(tx.conn, connection, channel, rows, seen)
                await store.put_moved(tx.conn, moved)
                if progress.run_id is None:
                    progress.run_id = await connection_store.begin_run(
                        tx.conn, connection.id, "read_back", now
                    )
                progress.add(moved)
                await connection_store.progress_run(
                    tx.conn, progress.run_id, done=progress.done, counts=progress.counts
                )
        return False

    async def _end(self, progress: "_Looked", problem: str | None) -> None:
        if progress.run_id is not None:
            async with self._database.write() as tx:
                await connection_store.end_run(
                    tx.conn, progress.run_id, self._clock.now(), problem=problem
                )

    async def _compare(
        self,
        conn: AsyncConnection,
        connection: Connection,
        channel: Channel,
        rows: Sequence[ListingRow],
        seen: Mapping[str, Seen],
    ) -> list[ListingRow]:
        now = self._clock.now()
        ids = [row.variant_id for row in rows]
        # Locked from here on: what was planned or sent anew while the channel answered is compared
        # another time, and nothing is while this is written.
        announced = await store.announced(conn, ids, lock=True)
        present = await store.some_of(conn, connection.id, ids)
        asked = [row for row in rows if present.get(row.variant_id) == row]
        sent = await self._as_sent(conn, connection, channel, asked, announced, now)
        return [
            compared(
                row,
                seen.get(row.variant_id),
                now,
                ours=channel.shown(sent[row.variant_id]) if row.variant_id in sent else None,
                title=connection.title,
            )
            for row in asked
        ]

    async def _as_sent(
        self,
        conn: AsyncConnection,
        connection: Connection,
        channel: Channel,
        rows: Sequence[ListingRow],
        announced: Mapping[VariantId, Announced],
        now: datetime,
    ) -> dict[VariantId, Listing]:
        """The listings the channel accepted last; those that would be others by now left out."""
        maker = CheckedMaker(connection, channel, channel.listing_limits, self._images)
        products = await catalog_store.products_by_ids(conn, [row.product_id for row in rows])
        available = await catalog_store.available_by_variant(
            conn, [row.variant_id for row in rows], now
        )
        variants = {own.id: own for one in products.values() for own in one.variants}
        found = {}
        for row in rows:
            own, price = variants.get(row.variant_id), announced.get(row.variant_id)
            if own is None or price is None:
                continue
            for says in (price.says, price.next):
                if says is None:
                    continue
                facts = products[row.product_id], own, says, available[own.id]
                if maker.digest(*facts) != row.accepted:
                    continue
                made = maker.make(*facts)
                if isinstance(made, Listing):
                    found[own.id] = made
        return found


def compared(
    row: ListingRow,
    seen: Seen | None,
    now: datetime,
    *,
    ours: Mapping[str, str] | None,
    title: str,
) -> ListingRow:
    """The row after a look at the channel. `ours`: what it should show; None: that cannot be told
    any more. `title` names the connection."""
    looked = replace(row, read_at=now)
    if seen is None:
        is_settling = row.state == "sent" and now - row.since < SETTLES_IN
        if is_settling or row.state == "rejected":  # a channel need not keep what it rejected
            return looked
        return _drifted(looked, Drift(MISSING, "listed", "nothing"), now, title)
    looked = replace(looked, remote_id=seen.remote_id or row.remote_id)
    match seen.status:
        case "in_review":
            said = seen.reason or f"{title} is still looking at it."
            return with_state(replace(looked, reason=said), "sent", now)
        case "rejected":
            said = seen.reason or f"{title} does not show it and gives no reason."
            return with_state(replace(looked, reason=said), "rejected", now)
        case "hidden":
            return _drifted(looked, Drift(VISIBILITY, "shown", "hidden"), now, title)
    theirs = seen.shown or {}
    for name, value in (ours or {}).items():
        if name in theirs and theirs[name] != value:
            return _drifted(looked, Drift(name, value, theirs[name]), now, title)
    return with_state(replace(looked, reason=None, drift=None, attempts=0), "live", now)


def _drifted(row: ListingRow, found: Drift, now: datetime, title: str) -> ListingRow:
    """Sent again, unless that was done often enough for the same."""
    known = row.drift
    times = known.times + 1 if known is not None and known.field == found.field else 1
    drift = replace(found, times=min(times, MOST_REPAIRS + 1))
    if times > MOST_REPAIRS:
        reason = _stays(found, title)
        return with_state(replace(row, drift=drift, reason=reason), "drifted", now)
    if found.field == MISSING:
        reason = f"{title} took it but does not show it. It is sent again."
        due_at = now + (wait_after(times) if times > 1 else timedelta())
    else:
        reason = _differs(found, title) + " It is sent again."
        due_at = now
    # What was accepted is not what is there, so it has to be sent although nothing else changed.
    again = replace(row, drift=drift, reason=reason, due_at=due_at, accepted=None)
    return with_state(again, "drifted", now)


def _differs(found: Drift, title: str) -> str:
    return f"{title} shows another {found.field}: “{found.theirs}” instead of “{found.ours}”."


def _stays(found: Drift, title: str) -> str:
    if found.field == MISSING:
        return (
            f"{title} took it {MOST_REPAIRS + 1} times and does not show it. "
            "Look there what is wrong with it, then repair it here."
        )
    return f"{_differs(found, title)} {title} changes it back whenever it is sent."
