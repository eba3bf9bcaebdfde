"""Engines for both databases, and the two ways in: `write` and `read`.

SQLite has one writer by nature. It gets one writing connection behind a fair lock, so that
transactions queue here, in order, instead of failing in the database; readers run beside it (WAL).
PostgreSQL runs the same statements under read committed: each takes its locks before it looks.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncTransaction,
    create_async_engine,
)

from liveshop.kernel.errors import Unavailable
from liveshop.storage import postgres
from liveshop.storage.postgres import postgres_engine
from liveshop.storage.room_order import NoRooms, Rooms, held_on_all_nodes, to_the_end
from liveshop.storage.sqlite_driver import Connection, connect
from liveshop.storage.unit_of_work import Published, Tx

_log = structlog.get_logger("storage")


class StorageUnavailable(Unavailable):
    """The database cannot take this now: it is away, full, read-only or overloaded."""

    code = "storage_unavailable"


class CommitUnanswered(StorageUnavailable):
    """It may have been done: nobody may say that nothing changed."""


Publish = Callable[[list[Published]], Awaitable[None]]
Listener = Callable[[Any], None]


async def _publish_nothing(_: list[Published]) -> None:
    return None


class Database:
    """Open with `Database.open(url)`, close with `close()`."""

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine) -> None:
        self._writer = writer
        self._reader = reader
        self._order: asyncio.Lock | None = asyncio.Lock() if self.is_sqlite else None
        self.publish: Publish = _publish_nothing
        """Given what is committed; also by whoever has news without a transaction."""
        self.rooms: Rooms = NoRooms()
        self.on_enqueue: Callable[[], None] = lambda: None
        self._listeners: list[tuple[type, Listener, bool]] = []
        self._rooms: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @classmethod
    def open(
        cls,
        url: str,
        *,
        pool_size: int = 8,
        busy_timeout_seconds: float = 10.0,
        lock_timeout_seconds: float = 10.0,
        idle_in_transaction_seconds: float = 30.0,
    ) -> "Database":
        """See `settings.DatabaseSettings`. Connects to nothing yet."""
        if url.startswith("sqlite"):
            return cls(
                _sqlite_engine(url, busy_timeout_seconds),
                _sqlite_engine(url, busy_timeout_seconds, readers=pool_size),
            )
        engine = postgres_engine(
            url,
            pool_size=pool_size,
            busy_timeout_seconds=busy_timeout_seconds,
            lock_timeout_seconds=lock_timeout_seconds,
            idle_in_transaction_seconds=idle_in_transaction_seconds,
        )
        return cls(engine, engine)

    @property
    def is_sqlite(self) -> bool:
        return self._writer.dialect.name == "sqlite"

    def listen(self, kind: type, listener: Listener, *, only_here: bool = False) -> None:
        """Call `listener(signal)` for each `tx.notify(signal)` of that type, after its commit; also
        for those of other nodes, unless `only_here`."""
        self._listeners.append((kind, listener, only_here))

    def tell(self, signal: object, *, is_from_here: bool = False) -> None:
        """Call the listeners. Who hears of other nodes' commits hands them on here."""
        for kind, listener, only_here in self._listeners:
            if isinstance(signal, kind) and (is_from_here or not only_here):
                listener(signal)

    def hearing(
        self, channel: str, hear: Callable[[str], None]
    ) -> AbstractAsyncContextManager[postgres.Notify]:
        """PostgreSQL's LISTEN and NOTIFY, see `postgres.hearing`."""
        return postgres.hearing(self._writer, channel, hear)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Tx]:
        """A transaction. Commits at the end, rolls back on any exception; then publishes."""
        async with self._one_writer(), translated(), connected(self._writer) as conn:
            transaction = await conn.begin()
            tx = Tx(conn)
            try:
                yield tx
            except BaseException:
                # Where the connection is gone there is nothing to roll back, and what went wrong
                # before (or that this task is to end) is the news.
                with suppress(SQLAlchemyError, OSError):
                    await transaction.rollback()
                raise
            if tx.published:
                async with self._rooms_in_order(tx):
                    await to_the_end(self._commit_and_publish(transaction, tx))
            else:
                async with _doubtful():
                    await transaction.commit()
        if tx.enqueued:
            self.on_enqueue()
        for signal in tx.signals:
            self.tell(signal, is_from_here=True)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A consistent view for reading. Nothing written here is kept."""
        async with translated(), connected(self._reader) as conn:
            if not self.is_sqlite:
                await conn.execution_options(isolation_level="REPEATABLE READ")
            yield conn

    async def ping(self) -> None:
        async with self.read() as conn:
            await conn.execute(sa.text("SELECT 1"))

    async def close(self) -> None:
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()

    def _one_writer(self) -> AbstractAsyncContextManager[Any]:
        return self._order if self._order is not None else nullcontext()

    async def _commit_and_publish(self, transaction: AsyncTransaction, tx: Tx) -> None:
        try:
            await self.rooms.before_commit(tx)
            async with _doubtful():
                await transaction.commit()
        except CommitUnanswered:
            await self.rooms.in_doubt(tx.published)
            raise
        except Exception:
            await self.rooms.not_committed(tx.published)
            raise
        await self.publish(tx.published)

    @asynccontextmanager
    async def _rooms_in_order(self, tx: Tx) -> AsyncIterator[None]:
        """Commit and publish as one step for each room, so that events leave in commit order; see
        `room_order`."""
        rooms = {event.room for event in tx.published}
        async with AsyncExitStack() as held:
            for room in sorted(rooms):
                lock = self._rooms.setdefault(room, asyncio.Lock())
                await held.enter_async_context(lock)
            if self.rooms.is_shared and not self.is_sqlite:
                await held.enter_async_context(held_on_all_nodes(tx.conn, rooms))
            yield


def _sqlite_engine(url: str, busy_timeout_seconds: float, *, readers: int = 0) -> AsyncEngine:
    """For so many readers, or for the one writer."""
    path = sa.make_url(url).database
    assert path, "a database in memory would be another one for each connection"
    engine = create_async_engine(
        url,
        hide_parameters=True,
        pool_size=readers or 1,
        max_overflow=0,
        pool_timeout=busy_timeout_seconds,
        async_creator=partial(
            connect, path, timeout_seconds=busy_timeout_seconds, is_reader=bool(readers)
        ),
    )
    # Read-then-write fails at once under concurrency unless it says beforehand that it will write.
    begin = "BEGIN" if readers else "BEGIN IMMEDIATE"

    @sa.event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        # FULL: a commit that was answered survives a power cut, not only a killed process.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @sa.event.listens_for(engine.sync_engine, "begin")
    def start(conn: sa.Connection) -> None:
        driver = conn.connection.driver_connection
        assert isinstance(driver, Connection)
        driver.begin_with_next(begin)

    return engine


@asynccontextmanager
async def connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Whatever fails while connecting (no server, no such database, a password) is one answer."""
    async with AsyncExitStack() as stack:
        try:
            conn = await stack.enter_async_context(engine.connect())
        except (SQLAlchemyError, OSError) as error:
            raise _unavailable(error) from error
        yield conn


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Faults of the database, not of the statement, become one retryable answer."""
    try:
        yield
    except (OperationalError, PoolTimeout, OSError) as error:
        raise _unavailable(error) from error
    except DBAPIError as error:
        state = postgres.sqlstate_of(error)
        if state in postgres.TRY_AGAIN:
            raise StorageUnavailable(
                "Somebody else changed the same at this moment. Nothing was changed; try again.",
                retry_after=0.1,
            ) from error
        is_fault = error.connection_invalidated or _is_damaged(str(error.orig))
        if is_fault or postgres.is_unavailable(state):
            raise _unavailable(error) from error
        raise


@asynccontextmanager
async def _doubtful() -> AsyncIterator[None]:
    """Raises CommitUnanswered for a commit whose answer was lost."""
    try:
        yield
    except (DBAPIError, OSError) as error:
        if isinstance(error, DBAPIError) and not error.connection_invalidated:
            raise
        _log.exception("commit_unanswered")
        raise CommitUnanswered(
            "The database went away in the middle. It is not known whether this was saved: "
            "look before you try again.",
            retry_after=2.0,
        ) from error


def _is_damaged(text: str) -> bool:
    return "not a database" in text or "malformed" in text


def _unavailable(error: Exception) -> StorageUnavailable:
    text = str(getattr(error, "orig", None) or error).lower()
    state = postgres.sqlstate_of(error) if isinstance(error, DBAPIError) else ""
    _log.error("storage_unavailable", error=text, sqlstate=state or None)
    if state in postgres.CROWDED:
        reason = "Too many want the same at this moment. Nothing was changed; try again."
    elif state == postgres.READ_ONLY:
        reason = "The database takes nothing at the moment. Nothing was changed; try again."
    elif "disk is full" in text or "no space" in text or "disk i/o" in text:
        reason = "The disk is full, so nothing can be saved. Free some space and try again."
    elif "readonly" in text or "read-only" in text or "unable to open" in text:
        reason = "The data folder cannot be written. Check its owner and permissions."
    elif _is_damaged(text):
        reason = "The database file is damaged or not a database. Restore a backup."
    else:
        reason = "The database does not answer at the moment. Nothing was changed; try again."
    return StorageUnavailable(reason, retry_after=2.0)
