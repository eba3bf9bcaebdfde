"""When connections get their turn: not before the time that the last one asked for."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from liveshop.connect import NeedsAttention, RetryLater
from liveshop.kernel.clock import ManualClock
from liveshop.storage import Database
from liveshop.syndication import connection_store
from liveshop.syndication.model import Connection, ConnectionId
from liveshop.syndication.runner import Runner


class Turns:
    """Counts them; `answer` is what the next one ends with."""

    def __init__(self) -> None:
        self.taken = 0
        self.answer: datetime | Exception | None = None
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def turn(self, connection: Connection) -> datetime | None:
        self.taken += 1
        if self.meanwhile is not None:
            await self.meanwhile()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
async def turns(database: Database, clock: ManualClock) -> tuple[Turns, Runner]:
    now = clock.now()
    one = Connection(
        id=ConnectionId("con_one"),
        connector="toy",
        title="Toy",
        roles=frozenset({"channel"}),
        config={},
        state="active",
        attention=None,
        language="en",
        version=1,
        mark=None,
        cursor=None,
        due_at=None,
        whole_at=None,
        created_at=now,
        updated_at=now,
    )
    async with database.write() as tx:
        await connection_store.add(tx.conn, one, sealed="")
    made = Turns()
    return made, Runner(database, clock, {"channel": made.turn})


async def test_a_turn_comes_when_the_last_one_wanted_it(
    turns: tuple[Turns, Runner], clock: ManualClock
) -> None:
    counted, runner = turns
    counted.answer = clock.now() + timedelta(seconds=90)
    assert [await runner.run_due() for _ in range(3)] == [1, 0, 0]
    clock.advance(timedelta(seconds=89))
    assert await runner.run_due() == 0
    clock.advance(timedelta(seconds=1))
    assert await runner.run_due() == 1
    assert counted.taken == 2


async def test_one_that_is_asked_to_wait_is_not_asked_again_before(
    turns: tuple[Turns, Runner], clock: ManualClock
) -> None:
    counted, runner = turns
    counted.answer = RetryLater("Too many people are here.", after=120)
    assert [await runner.run_due() for _ in range(3)] == [1, 0, 0]
    clock.advance(timedelta(seconds=119))
    assert await runner.run_due() == 0
    clock.advance(timedelta(seconds=15))
    assert await runner.run_due() == 1


async def test_failures_are_repeated_with_growing_waits(
    turns: tuple[Turns, Runner], clock: ManualClock
) -> None:
    counted, runner = turns
    counted.answer = RetryLater("The board is being painted.")
    for wait in (5, 10, 20):  # with a fifth of jitter either way
        assert await runner.run_due() == 1
        clock.advance(timedelta(seconds=wait * 0.79))
        assert await runner.run_due() == 0
        clock.advance(timedelta(seconds=wait * 0.42))
    assert counted.taken == 3


async def test_a_turn_asked_for_during_a_turn_comes(
    turns: tuple[Turns, Runner], database: Database, clock: ManualClock
) -> None:
    counted, runner = turns
    counted.answer = clock.now() + timedelta(hours=1)

    async def ask() -> None:
        async with database.write() as tx:
            await connection_store.set_turn(tx.conn, ConnectionId("con_one"), due_at=clock.now())

    counted.meanwhile = ask
    assert await runner.run_due() == 1
    counted.meanwhile = None
    assert [await runner.run_due() for _ in range(2)] == [1, 0]


async def test_whoever_asked_for_a_pause_is_left_alone_whatever_else_is_due(
    turns: tuple[Turns, Runner], database: Database, clock: ManualClock
) -> None:
    counted, runner = turns
    counted.answer = RetryLater("slow down", after=900)
    assert await runner.run_due() == 1
    async with database.write() as tx:
        await connection_store.set_turn(tx.conn, ConnectionId("con_one"), due_at=clock.now())
    clock.advance(timedelta(seconds=890))
    assert await runner.run_due() == 0
    clock.advance(timedelta(seconds=200))
    counted.answer = None
    assert await runner.run_due() == 1


async def test_a_turn_that_is_broken_off_comes_again_at_once(
    turns: tuple[Turns, Runner], clock: ManualClock
) -> None:
    counted, runner = turns
    under_way = asyncio.Event()

    async def hang() -> None:
        under_way.set()
        await asyncio.Event().wait()

    counted.meanwhile = hang
    task = asyncio.create_task(runner.run_due())
    await under_way.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    counted.meanwhile = None
    assert await runner.run_due() == 1


async def test_what_was_mended_during_a_turn_does_not_wait_for_a_person(
    turns: tuple[Turns, Runner], database: Database, clock: ManualClock
) -> None:
    counted, runner = turns
    id_ = ConnectionId("con_one")
    counted.answer = NeedsAttention("The token was revoked.")

    async def mend() -> None:
        async with database.write() as tx:
            await connection_store.change(tx.conn, id_, clock.now(), config={"token": "new"})

    counted.meanwhile = mend
    await runner.run_due()
    async with database.read() as conn:
        one = await connection_store.by_id(conn, id_)
    assert one is not None
    assert one.state == "active"
    counted.meanwhile = None
    clock.advance(timedelta(hours=1))
    await runner.run_due()
    async with database.read() as conn:
        one = await connection_store.by_id(conn, id_)
    assert one is not None
    assert (one.state, one.attention) == ("attention", "The token was revoked.")


async def test_a_step_that_breaks_stops_no_turn(
    database: Database, turns: tuple[Turns, Runner], clock: ManualClock
) -> None:
    counted, _ = turns
    taken = asyncio.Event()

    async def break_() -> None:
        raise RuntimeError("a connector's own fault")

    async def note() -> None:
        taken.set()

    counted.meanwhile = note
    runner = Runner(database, clock, {"channel": counted.turn}, before=[break_])
    with capture_logs() as logs:
        task = asyncio.create_task(runner.run())
        await asyncio.wait_for(taken.wait(), 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [one["event"] for one in logs] == ["syndication_step_broke"]
