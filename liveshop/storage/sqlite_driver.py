"""aiosqlite with as few trips to its thread as can be: a trip costs more than a small SELECT.

The driver opens a cursor, executes, fetches and closes it in four trips, and begins and ends a
transaction in two more. Here a statement with its rows is one, BEGIN goes with the first of them,
and nobody waits for the ROLLBACK that ends a transaction of a reader.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from queue import SimpleQueue
from typing import Any

import aiosqlite
from aiosqlite import core


class Cursor:
    """What SQLAlchemy asks of a cursor: https://peps.python.org/pep-0249/#cursor-objects."""

    arraysize = 1

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> "Cursor":
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> "Cursor":
        await self._connection.run(lambda real: self._keep(real.execute(sql, parameters)))
        return self

    async def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> "Cursor":
        await self._connection.run(lambda real: self._keep(real.executemany(sql, parameters)))
        return self

    def _keep(self, cursor: sqlite3.Cursor) -> None:
        self.description = cursor.description
        self._rows = cursor.fetchall() if cursor.description else []
        self.rowcount = cursor.rowcount
        self.lastrowid = cursor.lastrowid
        cursor.close()

    async def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        self._rows = []


class Connection(aiosqlite.Connection):
    """Open with `connect`. Transactions begin where `begin_with_next` was called, not elsewhere."""

    is_reader = False
    _is_stopped = False
    _begin: str | None = None
    _is_begun = False

    def begin_with_next(self, begin: str) -> None:
        """Send this BEGIN together with the next statement."""
        self._begin = begin

    def cursor(self) -> Cursor:  # type: ignore[override]  # made without a trip to the thread
        return Cursor(self)

    async def run(self, statement: Callable[[sqlite3.Connection], None]) -> None:
        begin, self._begin = self._begin, None
        if begin is None:
            await self._execute(statement, self._conn)  # type: ignore[no-untyped-call]
            return

        def begin_and_run(real: sqlite3.Connection) -> None:
            real.execute(begin).close()
            statement(real)

        # Before the trip: whoever is cancelled on the way must still roll back.
        self._is_begun = True
        await self._execute(begin_and_run, self._conn)  # type: ignore[no-untyped-call]

    def stop(self) -> asyncio.Future[None] | None:
        """Once only: a thread that has ended answers nobody. SQLAlchemy stops a connection that it
        is closing already when whoever closes it is cancelled a second time; the first one would
        then wait for ever, and the process with it."""
        if self._is_stopped:
            return None
        self._is_stopped = True
        return super().stop()

    async def commit(self) -> None:
        self._begin = None
        if self._is_begun:
            await self._execute(_commit, self._conn)  # type: ignore[no-untyped-call]
            self._is_begun = False

    async def rollback(self) -> None:
        is_begun, self._is_begun, self._begin = self._is_begun, False, None
        if not is_begun:
            return
        if self.is_reader:
            # The thread does one thing after the other, so what comes next finds it done.
            self._tx.put_nowait((None, self._conn.rollback))
            return
        await super().rollback()


def _commit(real: sqlite3.Connection) -> None:
    """What cannot be committed, as on a full disk, would stay open and keep everybody out."""
    try:
        real.commit()
    except sqlite3.Error:
        real.rollback()
        raise


async def connect(path: str, *, timeout_seconds: float, is_reader: bool) -> Connection:
    """A connection to this file. Raises sqlite3.OperationalError."""

    def connector() -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=timeout_seconds, isolation_level=None)

    connection = Connection(connector, iter_chunk_size=64)
    connection.is_reader = is_reader
    # A process that ends without closing must not wait for this thread.
    connection._thread = threading.Thread(target=_work, args=(connection._tx,), daemon=True)
    await connection
    return connection


def _work(calls: SimpleQueue[tuple[asyncio.Future[Any] | None, Callable[[], Any]]]) -> None:
    """The connection's thread, as in aiosqlite, which however breaks where the loop of whoever
    asked is closed by the time of the answer, and then leaves the file open."""
    while True:
        future, function = calls.get()
        try:
            result = function()
        except BaseException as error:
            _tell(future, core.set_exception, error)
            continue
        _tell(future, core.set_result, result)
        if result is core._STOP_RUNNING_SENTINEL:
            return


def _tell(
    future: asyncio.Future[Any] | None, how: Callable[[asyncio.Future[Any], Any], None], what: Any
) -> None:
    if future is None:
        return
    try:
        future.get_loop().call_soon_threadsafe(how, future, what)
    except RuntimeError:
        return  # That loop is closed: nobody waits any more.
