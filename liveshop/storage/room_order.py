"""Events of a room leave in the order of their commits, also where several nodes commit.

On one node a lock of the process is enough. Where rooms' logs are shared, PostgreSQL keeps one more
for each room, on the connection that commits and across its commit, until the event is in the log.
Whoever waits for it has done all his statements and whoever has it only commits, so it cannot
deadlock with the database's other locks; several are taken in one order.

Behind PgBouncer this needs session pooling.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Collection
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.storage.unit_of_work import Published, Tx

_log = structlog.get_logger("storage")

_UNLOCK_SECONDS = 5.0
_HANGING = "10s"
"""A process that hangs between its commit and the log loses the connection, and with it the lock.
Before the commit `idle_in_transaction_session_timeout` does the same."""

# `idle_session_timeout` came with PostgreSQL 14; before, such a process keeps its rooms.
_LOCK = sa.text(
    "SELECT pg_advisory_lock(key),"
    " CASE WHEN CAST(current_setting('server_version_num') AS integer) >= 140000"
    " THEN set_config('idle_session_timeout', :hanging, false) END"
    " FROM unnest(CAST(:keys AS bigint[])) AS key"
)
_UNLOCK = (
    "SELECT pg_advisory_unlock_all(),"
    " CASE WHEN CAST(current_setting('server_version_num') AS integer) >= 140000"
    " THEN set_config('idle_session_timeout', '0', false) END"
)


class Rooms(Protocol):
    """What is to be done for rooms around a commit; the events themselves go to `publish`."""

    @property
    def is_shared(self) -> bool:
        """Whether other nodes append to the same logs."""

    async def before_commit(self, tx: Tx) -> None:
        """May add to the transaction. Raises where it is not to be committed."""

    async def not_committed(self, published: Collection[Published]) -> None:
        """Never raises."""

    async def in_doubt(self, published: Collection[Published]) -> None:
        """The commit was not answered: what happened may be missing from the logs. Never
        raises."""


class NoRooms:
    is_shared = False

    async def before_commit(self, tx: Tx) -> None:
        return None

    async def not_committed(self, published: Collection[Published]) -> None:
        return None

    async def in_doubt(self, published: Collection[Published]) -> None:
        return None


async def to_the_end(work: Awaitable[None]) -> None:
    """Done even if this task is cancelled meanwhile; it hears of that afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if not task.cancelled():  # else it was not this one that was cancelled
                cancelled = error
        except Exception:
            break
    if cancelled is None:
        task.result()
        return
    failure = None if task.cancelled() else task.exception()
    if failure is not None:
        _log.error("failed_while_cancelled", error=repr(failure))
    raise cancelled


@asynccontextmanager
async def held_on_all_nodes(conn: AsyncConnection, rooms: Collection[str]) -> AsyncIterator[None]:
    """In a transaction on PostgreSQL: until the end of the block nobody else is in it with one of
    these rooms, whether the transaction ends in it or not."""
    try:
        keys = sorted({_key(room) for room in rooms})
        await conn.execute(_LOCK, {"keys": keys, "hanging": _HANGING})
    except BaseException:
        # It may have them all the same, and a pool would give them to somebody else.
        await _give_up(conn)
        raise
    try:
        yield
    finally:
        await _let_go(conn)


async def _let_go(conn: AsyncConnection) -> None:
    try:
        raw = await conn.get_raw_connection()
        # Past SQLAlchemy, which would begin a transaction for it.
        await raw.driver_connection.execute(_UNLOCK, timeout=_UNLOCK_SECONDS)  # type: ignore[union-attr]
    except BaseException as error:
        await _give_up(conn)
        if not isinstance(error, Exception):
            raise
        _log.warning("rooms_let_go_with_their_connection", error=repr(error))


async def _give_up(conn: AsyncConnection) -> None:
    with suppress(SQLAlchemyError, OSError):
        await conn.invalidate()


def _key(room: str) -> int:
    digest = hashlib.blake2b(f"liveshop room {room}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
