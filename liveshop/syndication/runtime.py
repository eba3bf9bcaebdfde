"""Connections opened and kept open in this process: their session, their budgets, their tokens."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop import __version__
from liveshop.connect import Connector, Connectors, Kit, NeedsAttention, RetryLater
from liveshop.connect.config import decode_config, texts_of
from liveshop.connect.connector import Budgets
from liveshop.connect.oauth import TokenKeeper, Tokens
from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import new_secret
from liveshop.settings import SyndicationSettings
from liveshop.storage import Database, insert
from liveshop.syndication import connection_store as store
from liveshop.syndication.model import (
    Connection,
    ConnectionId,
    UnknownConnection,
)
from liveshop.syndication.sealing import Credentials, Sealer
from liveshop.syndication.tables import connection, connection_memory
from liveshop.web import outgoing

_TIMEOUT_SECONDS = 30.0
_RETIRED_SECONDS = 31 * 60.0
_REFRESHING = "oauth:refreshing"
_REFRESH = timedelta(seconds=45)
_REFRESH_TRIES = 300


@dataclass(slots=True)
class _Open:
    version: int
    thing: Any
    stack: AsyncExitStack


class OpenConnections:
    """Opens a connection when it is first asked for, and again when its configuration changed,
    here or in another process. Close it with `close()`."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        connectors: Connectors,
        sealer: Sealer,
        settings: SyndicationSettings,
    ) -> None:
        self._database = database
        self._clock = clock
        self._connectors = connectors
        self._sealer = sealer
        self._settings = settings
        self._open: dict[str, _Open] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._budgets: dict[str, Budgets] = {}
        self._retired: list[tuple[float, AsyncExitStack]] = []

    async def connector(self, name: str) -> Connector:
        """Loaded when first asked for, which reads files. Raises UnknownConnector,
        BrokenConnector."""
        return await asyncio.to_thread(self._connectors.connector, name)

    async def get(self, connection_id: str) -> Any:
        """The opened thing: a Source, Channel, Feed or Poster, or several of them. It may be used
        for half an hour, whatever happens to the connection meanwhile.

        Raises UnknownConnection, UnknownConnector, NeedsAttention.
        """
        async with self._locks.setdefault(connection_id, asyncio.Lock()):
            async with self._database.read() as conn:
                one = await store.by_id(conn, connection_id)
                sealed = await store.sealed_of(conn, ConnectionId(connection_id))
            if one is None or sealed is None:
                raise UnknownConnection("There is no such connection.")
            await self._close_retired()
            known = self._open.get(connection_id)
            if known is None or known.version != one.version:
                self._retire(connection_id)
                known = await self._open_one(one, sealed)
                self._open[connection_id] = known
            return known.thing

    async def close(self) -> None:
        for connection_id in list(self._open):
            self._retire(connection_id)
        await self._close_retired(all_of_them=True)

    def session(self) -> aiohttp.ClientSession:
        """A session of the kind that connectors get; close it."""
        return outgoing.session(
            private_allowed=self._settings.private_addresses,
            timeout_seconds=_TIMEOUT_SECONDS,
            user_agent=f"Liveshop/{__version__}",
        )

    def _retire(self, connection_id: str) -> None:
        """Close it, but later: a turn that is under way may still be using it."""
        known = self._open.pop(connection_id, None)
        if known is not None:
            closes_at = asyncio.get_running_loop().time() + _RETIRED_SECONDS
            self._retired.append((closes_at, known.stack))

    async def _close_retired(self, *, all_of_them: bool = False) -> None:
        now = asyncio.get_running_loop().time()
        due = [one for one in self._retired if all_of_them or one[0] <= now]
        self._retired = [one for one in self._retired if one not in due]
        for _, stack in due:
            await stack.aclose()

    async def _open_one(self, one: Connection, sealed: str) -> _Open:
        stack = AsyncExitStack()
        try:
            thing = await self._enter(stack, one, self._sealer.open(sealed))
        except BaseException:
            await stack.aclose()
            raise
        return _Open(one.version, thing, stack)

    async def _enter(self, stack: AsyncExitStack, one: Connection, credentials: Credentials) -> Any:
        connector = await self.connector(one.connector)
        config = decode_config(connector.config, one.config, credentials.secrets)
        http = await stack.enter_async_context(self.session())
        fields = texts_of(connector.config, one.config, credentials.secrets)
        tokens = (
            NoTokens()
            if connector.oauth is None
            else TokenKeeper(
                connector.oauth,
                fields,
                SealedTokens(self._database, self._clock, self._sealer, one.id),
                http,
                self._clock,
            )
        )
        kit = Kit(
            clock=self._clock,
            http=http,
            tokens=tokens,
            memory=StoredMemory(self._database, one.id),
            limits=self._settings.limits,
            # Those of the account, which does not change with our configuration.
            budgets=self._budgets.setdefault(one.id, {}),
        )
        return await stack.enter_async_context(connector.open(config, kit))


class NoTokens:
    """Of a connector that is not authorised by OAuth."""

    async def access_token(self) -> str:
        raise NeedsAttention("This connector has no authorisation.")

    async def renewed(self, rejected: str) -> str:
        raise NeedsAttention("This connector has no authorisation.")


class StoredMemory:
    """`connect.Memory` in the database."""

    def __init__(self, database: Database, connection_id: ConnectionId) -> None:
        self._database = database
        self._id = connection_id

    async def get(self, key: str) -> str | None:
        async with self._database.read() as conn:
            return await store.recall(conn, self._id, key)

    async def put(self, key: str, value: str) -> None:
        async with self._database.write() as tx:
            await store.remember(tx.conn, self._id, key, value)

    async def forget(self, key: str) -> None:
        async with self._database.write() as tx:
            await store.forget(tx.conn, self._id, key)


class SealedTokens:
    """`connect.oauth.TokenStore`: sealed in the connection's row, refreshed by one at a time."""

    def __init__(
        self, database: Database, clock: Clock, sealer: Sealer, connection_id: ConnectionId
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._id = connection_id

    async def load(self) -> Tokens | None:
        async with self._database.read() as conn:
            sealed = await store.sealed_of(conn, self._id)
        return None if sealed is None else self._sealer.open(sealed).tokens

    async def save(self, tokens: Tokens) -> None:
        async with self._database.write() as tx:
            await write_credentials(tx.conn, self._sealer, self._id, tokens=tokens)

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """One refresh at a time, over all processes: a rotating token that is used twice is
        revoked. Raises RetryLater when another one does not come to an end."""
        mine = new_secret()
        for _ in range(_REFRESH_TRIES):
            if await self._take(mine):
                break
            await asyncio.sleep(0.1)
        else:
            raise RetryLater("The authorisation is being renewed by another process.", after=30)
        try:
            yield
        finally:
            async with self._database.write() as tx:
                await tx.conn.execute(self._row(sa.delete(connection_memory), mine))

    def _row(self, statement: Any, mine: str) -> Any:
        return statement.where(
            connection_memory.c.connection_id == self._id,
            connection_memory.c.key == _REFRESHING,
            connection_memory.c.value.endswith(f" {mine}", autoescape=True),
        )

    async def _take(self, mine: str) -> bool:
        now = self._clock.now()
        until = _as_text(now + _REFRESH)
        async with self._database.write() as tx:
            statement = insert(tx.conn, connection_memory).values(
                connection_id=self._id, key=_REFRESHING, value=f"{until} {mine}"
            )
            taken = await tx.conn.execute(
                statement.on_conflict_do_update(
                    index_elements=["connection_id", "key"],
                    set_={"value": statement.excluded.value},
                    # Times of one format and zone compare as texts do.
                    where=connection_memory.c.value < _as_text(now),
                )
            )
        return taken.rowcount == 1


def _as_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


async def write_credentials(
    conn: AsyncConnection,
    sealer: Sealer,
    connection_id: ConnectionId,
    *,
    secrets: Mapping[str, str] | None = None,
    tokens: Tokens | None = None,
) -> None:
    """Replace the secrets, the tokens or both; the row is locked, so neither loses the other."""
    row = (
        sa.select(connection.c.sealed)
        .where(connection.c.id == connection_id)
        .with_for_update(key_share=True)
    )
    sealed = (await conn.execute(row)).scalar_one()
    present = sealer.open(sealed)
    changed = replace(
        present,
        secrets=present.secrets if secrets is None else dict(secrets),
        tokens=present.tokens if tokens is None else tokens,
    )
    await conn.execute(
        sa.update(connection)
        .where(connection.c.id == connection_id)
        .values(sealed=sealer.seal(changed))
    )
