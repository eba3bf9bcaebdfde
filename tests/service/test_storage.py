"""The unit of work on both databases: what commits, what is told after it, what survives."""

import asyncio
import sqlite3
import threading
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from liveshop.kernel.clock import ManualClock
from liveshop.storage import Database, Jobs, Published, StorageUnavailable, Worker
from liveshop.storage.outbox import MAX_ATTEMPTS, job
from liveshop.storage.sqlite_driver import Connection, connect


class Note(msgspec.Struct):
    text: str


class Touched(msgspec.Struct):
    what: str


async def test_events_are_published_only_after_the_commit(
    database: Database, clock: ManualClock
) -> None:
    seen: list[Published] = []

    async def publish(events: list[Published]) -> None:
        seen.extend(events)

    database.publish = publish
    with pytest.raises(RuntimeError):
        async with database.write() as tx:
            tx.publish("room", "note", Note("lost"), at=clock.now())
            raise RuntimeError("rolled back")
    assert seen == []
    async with database.write() as tx:
        tx.publish("room", "note", Note("kept"), at=clock.now())
        assert seen == []
    assert [event.data for event in seen] == [Note("kept")]


async def test_signals_reach_listeners_of_their_type_after_the_commit(database: Database) -> None:
    heard: list[object] = []
    database.listen(Touched, heard.append)
    async with database.write() as tx:
        tx.notify(Touched("stock"))
        tx.notify(Note("for nobody"))
        assert heard == []
    assert heard == [Touched("stock")]


async def test_a_rolled_back_job_is_never_run(database: Database, clock: ManualClock) -> None:
    with pytest.raises(RuntimeError):
        async with database.write() as tx:
            await tx.enqueue("mail", Note("lost"), now=clock.now())
            raise RuntimeError
    async with database.read() as conn:
        assert await Jobs.counts(conn) == {}


async def test_a_key_is_queued_once(database: Database, clock: ManualClock) -> None:
    for _ in range(2):
        async with database.write() as tx:
            await tx.enqueue("mail", Note("once"), now=clock.now(), key="order-1")
    async with database.read() as conn:
        assert await Jobs.counts(conn) == {"queued": 1}


async def test_a_job_of_a_worker_that_died_is_taken_up_again(
    database: Database, clock: ManualClock
) -> None:
    async with database.write() as tx:
        await tx.enqueue("mail", Note("hello"), now=clock.now())
    async with database.write() as tx:
        assert len(await Jobs.claim(tx.conn, clock.now(), 10)) == 1  # and now it dies
    done: list[str] = []

    async def mail(payload: dict[str, str]) -> None:
        done.append(payload["text"])

    worker = Worker(database, {"mail": mail}, clock)
    assert not await worker.run_due()
    clock.advance(timedelta(minutes=2))
    assert await worker.run_due()
    assert done == ["hello"]
    assert not await worker.run_due()


async def test_lasting_work_is_taken_up_by_nobody_else_while_it_goes_on(
    database: Database, clock: ManualClock
) -> None:
    async with database.write() as tx:
        await tx.enqueue("film", Note("long"), now=clock.now())
    done: list[str] = []
    is_kept, may_end = asyncio.Event(), asyncio.Event()

    async def film(payload: dict[str, str]) -> None:
        await may_end.wait()
        done.append(payload["text"])

    class Told(ManualClock):
        def now(self) -> datetime:
            is_kept.set()
            return clock.now()

    one = Worker(database, {"film": film}, Told(clock.now()), is_lasting=True, keep_seconds=0.01)
    other = Worker(database, {"film": film}, clock)
    async with asyncio.timeout(10):
        working = asyncio.create_task(one.run_due())
        for _ in range(3):
            clock.advance(timedelta(seconds=50))
            is_kept.clear()
            await is_kept.wait()
            async with database.write():  # what was begun is written
                pass
            assert not await other.run_due()
        may_end.set()
        assert await working
    assert done == ["long"]
    assert not await other.run_due()


async def test_a_failing_job_waits_longer_each_time_and_ends_among_the_dead(
    database: Database, clock: ManualClock
) -> None:
    async with database.write() as tx:
        await tx.enqueue("mail", Note("never"), now=clock.now())

    async def mail(_: dict[str, str]) -> None:
        raise OSError("no route")

    worker = Worker(database, {"mail": mail}, clock)
    attempts = 0
    while attempts < MAX_ATTEMPTS:
        clock.advance(timedelta(hours=2))
        attempts += await worker.run_due()
    async with database.read() as conn:
        row = (await conn.execute(sa.select(job))).one()
    assert (row.state, row.attempts) == ("dead", MAX_ATTEMPTS)
    assert "no route" in row.last_error


async def test_writers_queue_instead_of_failing(database: Database, clock: ManualClock) -> None:
    async def add(number: int) -> None:
        async with database.write() as tx:
            await tx.enqueue("n", Note(str(number)), now=clock.now())

    await asyncio.gather(*(add(number) for number in range(40)))
    async with database.read() as conn:
        assert await Jobs.counts(conn) == {"queued": 40}


async def test_events_of_a_room_leave_in_the_order_of_their_commits(
    database: Database, clock: ManualClock
) -> None:
    committed: list[str] = []
    heard: list[str] = []
    first_is_publishing, second_has_written = asyncio.Event(), asyncio.Event()

    async def publish(events: list[Published]) -> None:
        if not heard:
            first_is_publishing.set()
            if not database.is_sqlite:  # there the second cannot even begin
                await second_has_written.wait()
        heard.extend(event.type for event in events)

    database.publish = publish

    async def write(name: str, after: asyncio.Event | None) -> None:
        if after is not None:
            await after.wait()
        async with database.write() as tx:
            await tx.enqueue(name, Note(name), now=clock.now())
            tx.publish("room", name, Note(name), at=clock.now())
            if after is not None:
                second_has_written.set()
        committed.append(name)

    async with asyncio.timeout(10):
        await asyncio.gather(write("first", None), write("second", first_is_publishing))
    assert heard == committed == ["first", "second"]


async def test_a_job_waits_for_a_worker_that_knows_it(
    database: Database, clock: ManualClock
) -> None:
    async with database.write() as tx:
        await tx.enqueue("slow", Note("picture"), now=clock.now())
        await tx.enqueue("mail", Note("hello"), now=clock.now())
    done: list[str] = []

    async def note(payload: dict[str, str]) -> None:
        done.append(payload["text"])

    mails = Worker(database, {"mail": note}, clock)
    assert await mails.run_due()
    assert not await mails.run_due()
    assert done == ["hello"]
    assert await Worker(database, {"slow": note}, clock).run_due()
    assert done == ["hello", "picture"]


async def test_what_is_never_given_up_is_tried_for_ever(
    database: Database, clock: ManualClock
) -> None:
    async with database.write() as tx:
        await tx.enqueue("settle", Note("order"), now=clock.now())

    async def settle(_: dict[str, str]) -> None:
        raise OSError("no answer")

    worker = Worker(database, {"settle": settle}, clock, never_given_up=["settle"])
    for _ in range(MAX_ATTEMPTS + 5):
        clock.advance(timedelta(hours=2))
        assert await worker.run_due()
    async with database.read() as conn:
        assert await Jobs.counts(conn) == {"queued": 1}
        assert await Jobs.dead(conn) == []


async def test_what_people_typed_does_not_reach_an_error_text(
    database: Database, clock: ManualClock
) -> None:
    row = {
        "id": "job_1",
        "topic": "mail",
        "payload": {"email": "ada@example.org"},
        "state": "queued",
        "attempts": 0,
        "not_before": clock.now(),
        "created_at": clock.now(),
    }
    with pytest.raises(sa.exc.IntegrityError) as caught:
        async with database.write() as tx:
            await tx.conn.execute(sa.insert(job).values(**row))
            await tx.conn.execute(sa.insert(job).values(**row))
    assert "ada@example.org" not in str(caught.value)


async def test_a_commit_that_fails_leaves_nothing_open_behind_it(database: Database) -> None:
    async with database.write() as tx:
        await tx.conn.execute(sa.text("CREATE TABLE kept (id INTEGER PRIMARY KEY)"))
        await tx.conn.execute(
            sa.text(
                "CREATE TABLE leaning (id INTEGER REFERENCES kept (id) "
                "DEFERRABLE INITIALLY DEFERRED)"
            )
        )
    for _ in range(2):
        with pytest.raises(sa.exc.IntegrityError):
            async with database.write() as tx:
                await tx.conn.execute(sa.text("INSERT INTO leaning VALUES (99)"))
    async with database.write() as tx:
        await tx.conn.execute(sa.text("INSERT INTO kept VALUES (1)"))
    async with database.read() as conn:
        assert (await conn.execute(sa.text("SELECT id FROM leaning"))).all() == []
        assert (await conn.execute(sa.text("SELECT id FROM kept"))).scalar_one() == 1


async def test_a_first_statement_that_fails_does_not_spoil_the_connection(
    database: Database,
) -> None:
    for open_ in (database.read, database.write):
        for _ in range(12):
            with pytest.raises((sa.exc.DBAPIError, StorageUnavailable)):
                async with open_() as opened:
                    conn = getattr(opened, "conn", opened)
                    await conn.execute(sa.text("SELECT id FROM nowhere"))
    await database.ping()


async def test_deadlocked_transactions_are_told_to_try_again(database: Database) -> None:
    """PostgreSQL ends one of the two; SQLite has one writer and no deadlocks."""
    if database.is_sqlite:
        pytest.skip("one writer cannot deadlock")
    async with database.write() as tx:
        await tx.conn.execute(sa.text("CREATE TABLE rows (id INTEGER PRIMARY KEY, n INTEGER)"))
        await tx.conn.execute(sa.text("INSERT INTO rows VALUES (1, 0), (2, 0)"))
    both_hold_one = asyncio.Barrier(2)

    async def cross(first: int, second: int) -> None:
        async with database.write() as tx:
            change = sa.text("UPDATE rows SET n = n + 1 WHERE id = :id")
            await tx.conn.execute(change, {"id": first})
            async with asyncio.timeout(10):
                await both_hold_one.wait()
            await tx.conn.execute(change, {"id": second})

    ended = await asyncio.gather(cross(1, 2), cross(2, 1), return_exceptions=True)
    [refused] = [one for one in ended if one is not None]
    assert isinstance(refused, StorageUnavailable)
    assert (refused.retryable, refused.retry_after) == (True, 0.1)


async def test_a_connection_that_is_stopped_while_it_is_closed_comes_to_its_end(
    tmp_path: Path,
) -> None:
    """As SQLAlchemy does when whoever is cancelled in mid-statement is cancelled once more."""
    path = str(tmp_path / "stopped.sqlite3")
    connection = await connect(path, timeout_seconds=5, is_reader=False)
    closing = asyncio.create_task(connection.close())
    await asyncio.sleep(0)
    connection.stop()
    _, waiting = await asyncio.wait([closing], timeout=10)
    assert not waiting


def test_a_connection_outlives_a_loop_that_is_closed_before_the_answer(tmp_path: Path) -> None:
    """The thread must answer nobody, and end when it is told to."""
    is_asked, is_closed = threading.Event(), threading.Event()

    async def leave_in_mid_statement() -> Connection:
        path = str(tmp_path / "left.sqlite3")
        connection = await connect(path, timeout_seconds=5, is_reader=False)

        def slow(_: sqlite3.Connection) -> None:
            is_asked.set()
            assert is_closed.wait(10)

        asked = asyncio.create_task(connection.run(slow))
        await asyncio.to_thread(is_asked.wait, 10)
        asked.cancel()
        connection.stop()
        return connection

    connection = asyncio.run(leave_in_mid_statement())
    is_closed.set()
    connection._thread.join(10)
    assert not connection._thread.is_alive()
