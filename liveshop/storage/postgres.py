"""PostgreSQL: how connections are made, kept and given up, and what its errors mean to a caller.

Nobody is asked whether a connection still lives before it is used: three trips for each
transaction. The driver hears at once when the other side closes it, and a connection whose other
side fell silent is given up by the system. Errors are told apart by SQLSTATE:
https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_CONNECT_SECONDS = 5.0
_STATEMENT_SECONDS = 30
_ANSWER_SECONDS = _STATEMENT_SECONDS + 5.0
"""The server is to give up first, for it then says so on a connection that still works."""
_SILENCE_SECONDS = 10
"""How long the other side may not even acknowledge what was sent to it, or a question whether it is
there."""

Notify = Callable[[str], Awaitable[None]]
"""Say something on the channel. Raises SQLAlchemyError or OSError where the connection is gone."""
TRY_AGAIN = frozenset({"40001", "40P01"})
"""serialization_failure and deadlock_detected: rolled back, and likely to succeed at once."""
CROWDED = frozenset({"55P03", "57014"})
"""lock_not_available and query_canceled: waited for too long."""
READ_ONLY = "25006"
"""read_only_sql_transaction: another server has taken over, or is about to."""
_FULL = "53"
"""insufficient_resources: disk, memory, connections."""
_BROKEN = frozenset({"58000", "58030"})
"""system_error and io_error."""
_GONE = frozenset({"25P03", "25P04", "57P01", "57P02", "57P03", "57P04", "57P05", READ_ONLY})
"""Ended by the server: idle too long, shut down, crashed, starting up, dropped."""
_CONNECTION = "08"


def sqlstate_of(error: sa.exc.DBAPIError) -> str:
    """Empty on SQLite, and where no server has said anything."""
    return getattr(error.orig, "sqlstate", None) or ""


def is_gone(sqlstate: str) -> bool:
    """Whether the connection is of no use any more, and with it most likely all others."""
    return sqlstate in _GONE or sqlstate.startswith(_CONNECTION)


def is_unavailable(sqlstate: str) -> bool:
    """Whether the fault lies with the database and not with the statement."""
    is_short_of = sqlstate.startswith(_FULL)
    return is_gone(sqlstate) or is_short_of or sqlstate in CROWDED or sqlstate in _BROKEN


def postgres_engine(
    url: str,
    *,
    pool_size: int,
    busy_timeout_seconds: float,
    lock_timeout_seconds: float,
    idle_in_transaction_seconds: float,
) -> AsyncEngine:
    engine = create_async_engine(
        url,
        hide_parameters=True,  # what people typed must not reach a log with an error
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=busy_timeout_seconds,
        connect_args={
            "timeout": _CONNECT_SECONDS,
            "command_timeout": _ANSWER_SECONDS,
            "server_settings": {
                "application_name": "liveshop",
                "timezone": "UTC",
                # What every statement here is written for, whatever the server's default is.
                "default_transaction_isolation": "read committed",
                "statement_timeout": _milliseconds(_STATEMENT_SECONDS),
                "lock_timeout": _milliseconds(lock_timeout_seconds),
                "idle_in_transaction_session_timeout": _milliseconds(idle_in_transaction_seconds),
                # The same from its side: locks of a machine that is gone are let go.
                "tcp_keepalives_idle": str(_SILENCE_SECONDS),
                "tcp_keepalives_interval": "5",
                "tcp_keepalives_count": "3",
                "tcp_user_timeout": _milliseconds(_SILENCE_SECONDS),
            },
        },
    )

    @sa.event.listens_for(engine.sync_engine, "connect")
    def keep_alive(connection: Any, _record: Any) -> None:
        # asyncpg has no setting for it.
        _notice_silence(connection.driver_connection._transport.get_extra_info("socket"))

    @sa.event.listens_for(engine.sync_engine, "checkout")
    def look(connection: Any, _record: Any, _proxy: Any) -> None:
        if connection.driver_connection.is_closed():
            raise InvalidatePoolError

    @sa.event.listens_for(engine.sync_engine, "handle_error")
    def give_up(context: sa.ExceptionContext) -> None:
        """An error that ends a connection is told before the connection is closed."""
        state = getattr(context.original_exception, "sqlstate", None) or ""
        if is_gone(state):
            context.is_disconnect = True

    return engine


@asynccontextmanager
async def hearing(
    engine: AsyncEngine, channel: str, hear: Callable[[str], None]
) -> AsyncIterator[Notify]:
    """A connection that hears what is said on a channel, and to say something on it. Nothing is
    heard any more once it is gone, which only saying something finds out."""
    async with engine.connect() as conn:
        await conn.execution_options(isolation_level="AUTOCOMMIT")
        driver = (await conn.get_raw_connection()).driver_connection
        assert driver is not None

        def heard(_conn: Any, _pid: int, _channel: str, payload: str) -> None:
            hear(payload)

        async def notify(payload: str) -> None:
            await conn.execute(_NOTIFY, {"channel": channel, "payload": payload})

        await driver.add_listener(channel, heard)
        try:
            yield notify
        finally:
            # Not given back to others with its ears on.
            await conn.invalidate()


_NOTIFY = sa.text("SELECT pg_notify(:channel, :payload)")


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))


def _notice_silence(sock: socket.socket) -> None:
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _SILENCE_SECONDS),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", _SILENCE_SECONDS * 1000),
    ):
        if hasattr(socket, name):  # not on every system
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
