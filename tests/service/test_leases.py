"""Leases and signals between nodes, on a real PostgreSQL."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import sqlalchemy as sa

from liveshop.kernel.clock import Clock, ManualClock, SystemClock
from liveshop.storage import Database
from liveshop.storage.leases import Leases, lease
from liveshop.storage.signals import Signals

pytestmark = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
SECONDS = 1.5
"""Of a lease: long enough for a slow machine to renew it, ten times in between."""


@dataclass
class Party:
    """A node that has a job, and what it did."""

    leases: Leases
    did: list[str] = field(default_factory=list)
    is_at_it: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        async def job() -> None:
            self.did.append("begun")
            self.is_at_it.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.is_at_it.clear()
                self.did.append("ended")

        running = self.leases.while_held("job", job)
        self._tasks = [
            asyncio.create_task(running()),
            asyncio.create_task(self.leases.run()),
        ]

    async def die(self) -> None:
        """Without a goodbye."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def holds(fact: Callable[[], bool], *, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not fact():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def party(database: Database, name: str, clock: Clock | None = None) -> AsyncIterator[Party]:
    leases = Leases(
        database, clock or SystemClock(), name, alone=False, seconds=SECONDS, look_seconds=0.1
    )
    made = Party(leases)
    try:
        yield made
    finally:
        await made.die()


async def test_one_node_does_the_job_and_another_takes_it_over_when_it_dies(
    database: Database,
) -> None:
    lost: list[str] = []
    async with party(database, "a") as one:
        await holds(one.is_at_it.is_set)
        # A day ahead: that clock decides nothing.
        wrong = ManualClock(SystemClock().now() + timedelta(days=1))
        async with party(database, "b", wrong) as other:
            other.leases.on_lost(lost.append)
            await holds(lambda: len(other.leases.nodes()) == 2)
            await asyncio.sleep(SECONDS)
            assert one.is_at_it.is_set(), "it goes on renewing"
            assert other.did == []
            assert round(other.leases.skew_seconds / 3600) == 24
            await one.die()
            await holds(other.is_at_it.is_set, seconds=SECONDS + 5)
            await holds(lambda: lost == ["a"])


async def test_a_node_that_drains_gives_its_jobs_up_at_once(database: Database) -> None:
    lost: list[str] = []
    async with party(database, "a") as one:
        await holds(one.is_at_it.is_set)
        async with party(database, "b") as other:
            other.leases.on_lost(lost.append)
            await holds(lambda: len(other.leases.nodes()) == 2)
            await one.leases.drain()
            assert one.did == ["begun", "ended"], "ended before it is given back"
            await holds(other.is_at_it.is_set, seconds=SECONDS / 2)
            await holds(lambda: any(node.draining for node in other.leases.nodes()))
            await one.die()
            await holds(lambda: len(other.leases.nodes()) == 1)
            assert lost == [], "it said goodbye"


async def test_a_command_by_a_nodes_settings_leaves_that_node_alone(database: Database) -> None:
    lost: list[str] = []
    async with party(database, "a") as one, party(database, "b") as other:
        other.leases.on_lost(lost.append)
        await holds(lambda: len(other.leases.nodes()) == 2)
        command = Leases(database, SystemClock(), "a", alone=False, seconds=SECONDS)
        await command.close()
        for _ in range(3):
            await other.leases.look()
            await one.leases.look()
        assert lost == []
        assert {node.name for node in other.leases.nodes()} == {"a", "b"}


async def test_a_holder_that_cannot_renew_stops_before_others_may_begin(
    database: Database,
) -> None:
    async with party(database, "a") as one:
        await holds(one.is_at_it.is_set)
        engine_is_locked = asyncio.Event()

        async def lock() -> None:
            async with database.write() as tx:
                await tx.conn.execute(sa.text("LOCK TABLE node IN EXCLUSIVE MODE"))
                until = await tx.conn.scalar(sa.select(lease.c.until))
                engine_is_locked.set()
                await holds(lambda: not one.is_at_it.is_set())
                now = await tx.conn.scalar(sa.text("SELECT clock_timestamp()"))
                assert now < until

        await lock()
        assert engine_is_locked.is_set()
        await holds(one.is_at_it.is_set)


@dataclass(frozen=True, slots=True)
class Touched:
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    who: str
    by: timedelta


@contextlib.asynccontextmanager
async def talking(database_url: str, missed: list[str]) -> AsyncIterator[Database]:
    database = Database.open(database_url)
    own = Database.open(database_url, pool_size=1)
    signals = Signals(database, own, [Touched, Moved], on_missed=lambda: missed.append("missed"))
    task = asyncio.create_task(signals.run())
    try:
        yield database
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await own.close()
        await database.close()


async def _notify(database: Database, *signals: object) -> None:
    async with database.write() as tx:
        for signal in signals:
            tx.notify(signal)


async def _is_listened_to(database: Database, count: int) -> None:
    query = sa.text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_notify%'")
    async with asyncio.timeout(10):
        while True:
            async with database.read() as conn:
                if await conn.scalar(query) > count:  # this question is among them
                    return


async def test_a_signal_is_heard_on_every_node_once(database_url: str) -> None:
    missed: list[str] = []
    async with talking(database_url, missed) as one, talking(database_url, missed) as other:
        await _is_listened_to(one, 2)
        heard: dict[str, list[object]] = {"one": [], "other": [], "only here": []}
        for kind in (Touched, Moved):
            one.listen(kind, heard["one"].append)
            other.listen(kind, heard["other"].append)
            other.listen(kind, heard["only here"].append, only_here=True)
        many = Touched(tuple(f"prd_{number:026d}" for number in range(1000)))
        moved = Moved("Ada", timedelta(milliseconds=1500))
        await _notify(one, many, moved, moved)
        await holds(lambda: moved in heard["other"])
        ids = [id_ for one in heard["other"] if isinstance(one, Touched) for id_ in one.ids]
        assert ids == list(many.ids)
        await _notify(other, Touched(("last",)))
        await holds(lambda: Touched(("last",)) in heard["one"])
        assert heard["one"] == [many, moved, moved, Touched(("last",))]
        assert heard["other"].count(moved) == 1
        assert heard["only here"] == [Touched(("last",))]
        assert missed == []


async def test_who_was_cut_off_knows_that_he_missed_something(database_url: str) -> None:
    missed: list[str] = []
    async with talking(database_url, []) as one, talking(database_url, missed) as other:
        await _is_listened_to(one, 2)
        async with one.read() as conn:
            ended = sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE query LIKE '%pg_notify%' AND pid <> pg_backend_pid()"
            )
            await conn.execute(ended)
        await holds(lambda: missed == ["missed"])
        heard: list[object] = []
        other.listen(Touched, heard.append)
        await _notify(one, Touched(("again",)))
        await holds(lambda: heard == [Touched(("again",))])
