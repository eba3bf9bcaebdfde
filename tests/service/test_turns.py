"""When connections get their turn: not before the time that the last one asked for."""

from datetime import datetime, timedelta

import pytest

from liveshop.connect import RetryLater
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

    async def turn(self, connection: Connection) -> datetime | None:
        self.taken += 1
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
