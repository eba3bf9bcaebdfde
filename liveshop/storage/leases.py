"""What one node at a time may do, and which nodes there are, on the database they share.

A lease belongs to one process until a moment on the database's clock, so that the clocks of the
nodes do not matter. Its holder renews it, and stops by itself somewhat earlier than anybody else
may take it, measured from before it asked. Whoever dies is followed within `LEASE_SECONDS` and a
look. A process that was held up can still do one thing too many: what runs under a lease bears it.

Alone (one node, no broker that nodes share) everything is held at once and nothing is asked.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects import postgresql

from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import new_secret
from liveshop.storage.engine import Database
from liveshop.storage.sql import insert, metadata
from liveshop.storage.types import UtcDateTime

LEASE_SECONDS = 5.0
_LOOK_SECONDS = 1.0
_EARLIER = 0.2
"""So much of its lease before the end a holder stops, if it could not renew it."""
_SKEW_SECONDS = 2.0
_STOP_SECONDS = 3.0
_log = structlog.get_logger("nodes")

lease = sa.Table(
    "lease",
    metadata,
    sa.Column("name", sa.String(120), primary_key=True),
    sa.Column("node", sa.String(60), nullable=False),
    sa.Column("boot", sa.String(40), nullable=False),
    sa.Column("until", UtcDateTime, nullable=False),
)
node = sa.Table(
    "node",
    metadata,
    sa.Column("name", sa.String(60), primary_key=True),
    sa.Column("boot", sa.String(40), nullable=False),
    sa.Column("url", sa.String(300), nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False),
    sa.Column("draining", sa.Boolean, nullable=False),
)

Job = Callable[[], Awaitable[None]]
OnLost = Callable[[str], None]
"""Told the name of a node that is gone without a goodbye, or came back as another process."""


class ClockWrong(ShopError):
    code = "clock_wrong"


@dataclass(frozen=True, slots=True)
class Node:
    """A `liveshop serve`. `url`: how the others reach it; empty: they cannot."""

    name: str
    url: str
    draining: bool
    is_here: bool
    """Whether it is alive: heard of within `LEASE_SECONDS`."""


@dataclass(slots=True)
class _Place:
    """A lease this process wants."""

    held: asyncio.Event = field(default_factory=asyncio.Event)
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    timer: asyncio.TimerHandle | None = None
    running: asyncio.Task[None] | None = None

    def hold_until(self, moment: float) -> None:
        """A moment of the loop's clock."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = asyncio.get_running_loop().call_at(moment, self.lose)
        self.lost.clear()
        self.held.set()

    def lose(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.held.clear()
        self.lost.set()


def node_name(given: str, port: int) -> str:
    """`server.node`, or a name that no other process has."""
    if given:
        return given
    host = "".join(one if one.isalnum() or one in "._-" else "-" for one in socket.gethostname())
    return f"{host[:40]}-{port}-{new_secret(3)}"


class Leases:
    """`run()` belongs to the application's background work; `close()` in the end.

    `database`: not the one that requests wait for, or a busy shop would lose its leases.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        name: str,
        *,
        url: str = "",
        alone: bool,
        seconds: float = LEASE_SECONDS,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._database = database
        self._clock = clock
        self.name = name
        """Of this node."""
        self.url = url
        self.is_alone = alone
        self.is_node = True
        """Whether others are to know of this process; a worker beside a node is none."""
        self._boot = new_secret(12)
        self._seconds = seconds
        self._look_seconds = look_seconds
        self._places: dict[str, _Place] = {}
        self._nodes: dict[str, tuple[Node, str]] = {}
        """As seen last, with the process of each."""
        self._on_lost: list[OnLost] = []
        self._draining = False
        self._has_looked = False
        self.skew_seconds = 0.0
        """How far this machine's clock is ahead of the database's."""

    # -- jobs that one node does

    def while_held(self, name: str, job: Job, *, meanwhile: Job | None = None) -> Job:
        """A job that runs `job` for as long as the lease is ours, and `meanwhile` otherwise."""
        if self.is_alone:
            return job
        place = self._places.setdefault(name, _Place())

        async def run() -> None:
            while True:
                if meanwhile is not None and not place.held.is_set():
                    await _until(place.held, meanwhile, place)
                await place.held.wait()
                _log.info("lease_taken", lease=name)
                await _until(place.lost, job, place)
                _log.info("lease_left", lease=name)

        return run

    def has(self, name: str) -> bool:
        """Whether it is ours at this moment."""
        place = self._places.get(name)
        return self.is_alone or (place is not None and place.held.is_set())

    # -- nodes

    def nodes(self) -> list[Node]:
        """Those there are, this one included, as of a second ago."""
        if self.is_alone:
            return [self._here()]
        return [one for one, _ in self._nodes.values() if one.is_here]

    async def check_clock(self) -> None:
        """Raises ClockWrong when this machine's clock and the database's are far apart: what is
        compared across nodes (the end of a mute, which node has a show's video) is then off."""
        if abs(self.skew_seconds) > _SKEW_SECONDS:
            way = "ahead of" if self.skew_seconds > 0 else "behind"
            raise ClockWrong(
                f"This machine's clock is {abs(self.skew_seconds):.0f} s {way} the database's."
            )

    def on_lost(self, listener: OnLost) -> None:
        self._on_lost.append(listener)

    async def run(self) -> None:
        """Until cancelled: says that this node is there, renews and takes leases."""
        if self.is_alone:
            return
        while True:
            try:
                await self.look()
            except ShopError as error:
                _log.warning("leases_wait", reason=error.detail)
            await asyncio.sleep(self._look_seconds)

    async def look(self) -> None:
        """Once: who is there, what is free, what is ours for longer. Raises StorageUnavailable."""
        began = self._clock.now()
        async with self._database.write() as tx:
            rows = (await tx.conn.execute(sa.select(node))).all()
            if self.is_node:
                await tx.conn.execute(self._sign_of_life())
            now = (await tx.conn.execute(sa.select(_db_now()))).scalar_one()
            free = await self._free(tx.conn)
        self._has_looked = True
        self._note_skew(began, now, self._clock.now())
        if free:
            await self._take(free)
        self._see(rows, now)

    async def drain(self) -> None:
        """This node is about to stop: its jobs end here and go on elsewhere, nobody sends anything
        new here. Raises nothing: whoever does not hear of it finds out."""
        self._draining = True
        if self.is_alone:
            return
        places = self._places.values()
        running = [place.running for place in places if place.running and place.held.is_set()]
        for place in places:
            place.lose()
        if running:
            await asyncio.wait(running, timeout=_STOP_SECONDS)
        try:
            await self._give_back()
            await self.look()
        except ShopError as error:
            _log.warning("leases_not_given_back", reason=error.detail)

    async def close(self) -> None:
        """The process ends. Raises nothing, as `drain`. A command by a node's settings was never
        a node, and leaves that one alone."""
        if self.is_alone or not self._has_looked:
            return
        await self.drain()
        gone = sa.func.clock_timestamp() - timedelta(seconds=self._seconds)
        try:
            async with self._database.write() as tx:
                await tx.conn.execute(
                    sa.update(node).where(node.c.boot == self._boot).values(seen_at=gone)
                )
        except ShopError as error:
            _log.warning("node_without_goodbye", reason=error.detail)

    # -- inside

    def _sign_of_life(self) -> Any:
        said = {
            "boot": self._boot,
            "url": self.url,
            "seen_at": sa.func.clock_timestamp(),
            "draining": self._draining,
        }
        statement = postgresql.insert(node).values(name=self.name, **said)
        return statement.on_conflict_do_update(index_elements=["name"], set_=said)

    async def _free(self, conn: Any) -> set[str]:
        """What is wanted here and nobody's, or ours and to be renewed."""
        wanted = set(self._places)
        if self._draining or not wanted:
            return set()
        others = sa.select(lease.c.name).where(
            lease.c.name.in_(wanted),
            lease.c.boot != self._boot,
            lease.c.until > sa.func.clock_timestamp(),
        )
        taken = {row.name for row in await conn.execute(others)}
        for name in taken:
            self._places[name].lose()
        return wanted - taken

    async def _take(self, names: Collection[str]) -> None:
        """One conditional statement: of two who ask at once one gets it."""
        asked_at = asyncio.get_running_loop().time()
        async with self._database.write() as tx:
            statement = insert(tx.conn, lease).values(
                [
                    {
                        "name": name,
                        "node": self.name,
                        "boot": self._boot,
                        "until": sa.func.clock_timestamp() + timedelta(seconds=self._seconds),
                    }
                    for name in sorted(names)  # in one order, or two nodes lock each other out
                ]
            )
            new = statement.excluded
            statement = statement.on_conflict_do_update(
                index_elements=["name"],
                set_={"node": new.node, "boot": new.boot, "until": new.until},
                where=sa.or_(lease.c.boot == new.boot, lease.c.until <= sa.func.clock_timestamp()),
            )
            got = {row[0] for row in await tx.conn.execute(statement.returning(lease.c.name))}
        for name in names:
            place = self._places[name]
            if name in got and not self._draining:
                place.hold_until(asked_at + self._seconds * (1 - _EARLIER))
            else:
                place.lose()

    async def _give_back(self) -> None:
        async with self._database.write() as tx:
            await tx.conn.execute(
                sa.update(lease)
                .where(lease.c.boot == self._boot)
                .values(until=sa.func.clock_timestamp())
            )

    def _see(self, rows: Sequence[Any], now: datetime) -> None:
        before, self._nodes = self._nodes, {}
        for row in rows:
            is_here = (now - row.seen_at).total_seconds() < self._seconds
            seen = Node(row.name, row.url, row.draining, is_here)
            self._nodes[row.name] = (seen, row.boot)
            known = before.get(row.name)
            if known is None:
                continue
            was, boot = known
            if row.name == self.name:
                if row.boot != self._boot == boot:
                    _log.error("two_nodes_of_one_name", node=self.name)
                continue
            if was.is_here and not was.draining and (not is_here or boot != row.boot):
                if seen.draining and boot == row.boot:
                    continue  # it said goodbye
                _log.warning("node_lost", node=row.name)
                for listener in self._on_lost:
                    listener(row.name)

    def _note_skew(self, began: datetime, now: datetime, ended: datetime) -> None:
        """The database answered at some moment between the two."""
        ahead = (began - now).total_seconds()
        behind = (now - ended).total_seconds()
        skew = ahead if ahead > 0 else -behind if behind > 0 else 0.0
        if abs(skew) > _SKEW_SECONDS >= abs(self.skew_seconds):
            _log.warning("clock_is_wrong", ahead_seconds=round(skew, 1))
        self.skew_seconds = skew

    def _here(self) -> Node:
        return Node(self.name, self.url, self._draining, is_here=True)


def _db_now() -> sa.ColumnElement[datetime]:
    return sa.func.clock_timestamp(type_=UtcDateTime)


async def _until(event: asyncio.Event, job: Job, place: _Place) -> None:
    """Run a job until the event, or as long as it runs. What it raises is raised."""
    task = asyncio.ensure_future(job())
    place.running = task
    ending = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({task, ending}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        is_over = task.done()
        for one in (task, ending):
            one.cancel()
        await asyncio.wait({task, ending})
        place.running = None
    if is_over:
        await task
        # A job that has nothing more to do keeps its lease.
        await event.wait()
    elif not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("job_broke_as_it_ended", error=repr(error))
