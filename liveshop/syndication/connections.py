"""What merchants do with connections: connect, configure, authorise, check, pause, remove."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.connect import ConnectorError, Connectors, NeedsAttention
from liveshop.connect.config import BadConfig, decode_config, fields_of, split_config
from liveshop.connect.connector import Connector
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import new_id, new_secret
from liveshop.kernel.text import clean_line
from liveshop.settings import Settings
from liveshop.storage import Database, Tx
from liveshop.syndication import connection_store as store
from liveshop.syndication import feed_store, wire
from liveshop.syndication.authorising import ASKED
from liveshop.syndication.feeds import feed_path
from liveshop.syndication.model import (
    BadConfiguration,
    Connection,
    ConnectionChanged,
    ConnectionId,
    ConnectionsTouched,
    Run,
    UnknownConnection,
    UnknownRun,
    WrongRole,
)
from liveshop.syndication.outlets import LEAVING
from liveshop.syndication.runner import needs_person
from liveshop.syndication.runtime import OpenConnections, write_credentials
from liveshop.syndication.sealing import Credentials, Sealer
from liveshop.syndication.tables import connection


class _Listings(Protocol):
    """What is needed of the listings; `listings.ListingService` is one."""

    async def counts(
        self, conn: AsyncConnection, connection_ids: Sequence[str]
    ) -> Mapping[str, Mapping[str, int]]: ...

    async def look_again(self, tx: Tx, connection_id: ConnectionId) -> None: ...

    async def pause(self, tx: Tx, connection_id: ConnectionId, now: datetime) -> None: ...

    async def resume(self, tx: Tx, connection_id: ConnectionId, now: datetime) -> None: ...

    async def remove(
        self, tx: Tx, connection_id: ConnectionId, now: datetime, *, gives_up: bool
    ) -> None: ...


class ConnectionService:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        connectors: Connectors,
        sealer: Sealer,
        open_connections: OpenConnections,
        listings: _Listings,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._connectors = connectors
        self._sealer = sealer
        self._open = open_connections
        self._listings = listings

    # Connectors

    async def connectors(self) -> list[wire.Connector]:
        """The installed ones, the broken ones with their problem."""
        return [await self._described(name) for name in self._connectors.names]

    async def _described(self, name: str) -> wire.Connector:
        try:
            connector = await self._open.connector(name)
        except ShopError as error:
            return wire.Connector(
                name=name,
                title=name,
                roles=[],
                needs_authorisation=False,
                fields=[],
                problem=error.detail,
            )
        return wire.Connector(
            name=name,
            title=connector.title,
            roles=sorted(connector.roles),
            needs_authorisation=connector.oauth is not None,
            fields=[
                wire.ConfigField(
                    name=field.name,
                    title=field.title,
                    description=field.description,
                    kind=field.kind,
                    is_required=field.is_required,
                    choices=list(field.choices),
                    default=field.default,
                )
                for field in fields_of(connector.config)
            ],
        )

    # Connections

    async def create(self, given: wire.ConnectionInput) -> wire.Connection:
        """Raises UnknownConnector, BrokenConnector, BadConfiguration, BadText."""
        connector = await self._open.connector(given.connector)
        roles = connector.roles - {"file_source"}
        if not roles:
            raise WrongRole(f"{connector.title} only reads files. Use the import instead.")
        plain, secrets = _checked(connector, given.config)
        now = self._clock.now()
        one = Connection(
            id=ConnectionId(new_id("con", now)),
            connector=given.connector,
            title=clean_line(given.title, max_length=120, field="title"),
            roles=frozenset(roles),
            config=plain,
            state="paused" if given.is_paused else "active",
            attention=None,
            language=self._language(given.language),
            version=1,
            mark=None,
            cursor=None,
            due_at=None,
            whole_at=None,
            created_at=now,
            updated_at=now,
        )
        async with self._database.write() as tx:
            credentials = Credentials(secrets)
            if "feed" in roles:
                credentials = replace(credentials, feed_token=new_secret())
            await store.add(tx.conn, one, sealed=self._sealer.seal(credentials))
            if credentials.feed_token is not None:
                await feed_store.add(tx.conn, one.id, credentials.feed_token)
            tx.notify(ConnectionsTouched((one.id,)))
        return await self.connection(one.id)

    async def change(self, connection_id: str, given: wire.ConnectionChange) -> wire.Connection:
        """Raises UnknownConnection, ConnectionChanged, BadConfiguration, BadText."""
        now = self._clock.now()
        async with self._database.write() as tx:
            present = await self._locked(tx.conn, connection_id)
            if given.version not in (None, present.version):
                raise ConnectionChanged(
                    "Somebody else changed this connection. Look at it again.",
                    data={"version": present.version},
                )
            values: dict[str, object] = {}
            if given.title is not None:
                values["title"] = clean_line(given.title, max_length=120, field="title")
            if given.language is not None:
                values["language"] = self._language(given.language)
            if given.config is not None:
                values["config"] = await self._configure(tx.conn, present, given.config)
                # What was wrong may be mended now.
                if present.state == "attention":
                    values |= {"state": "active", "attention": None}
            values |= {"due_at": now, "not_before": None}
            if given.config is not None or given.language is not None:
                values["whole_at"] = None
            if given.config is not None:
                # It may be another shop now: where reading stood means nothing there.
                values |= {"cursor": None, "mark": None}
                await store.forget_all(tx.conn, present.id, prefix="pull:")
            await store.forget_all(tx.conn, present.id, prefix=ASKED)
            await store.change(tx.conn, present.id, now, **values)
            tx.notify(ConnectionsTouched((present.id,)))
        return await self.connection(connection_id)

    async def _configure(
        self, conn: AsyncConnection, present: Connection, given: Mapping[str, object]
    ) -> dict[str, object]:
        connector = await self._open.connector(present.connector)
        sealed = await store.sealed_of(conn, present.id)
        assert sealed is not None
        try:
            secrets = self._sealer.open(sealed).secrets
        except NeedsAttention:  # of another server secret: what is given now replaces them
            secrets = {}
            await self._begin_anew(conn, present)
        plain, changed = split_config(connector.config, given)
        merged, all_secrets = _checked(connector, {**present.config, **plain, **secrets, **changed})
        await write_credentials(conn, self._sealer, present.id, secrets=all_secrets)
        return merged

    async def _begin_anew(self, conn: AsyncConnection, present: Connection) -> None:
        """Of what was sealed nothing can be read any more; a feed gets another address."""
        credentials = Credentials()
        if "feed" in present.roles:
            credentials = replace(credentials, feed_token=new_secret())
            await feed_store.drop(conn, present.id)
            await feed_store.add(conn, present.id, credentials.feed_token or "")
        sealed = self._sealer.seal(credentials)
        await store.change(conn, present.id, self._clock.now(), sealed=sealed)

    async def change_state(self, connection_id: str, to: str) -> wire.Connection:
        """Pause it, resume it, or take everything off the channel and end it for good; or give up
        a channel from which nothing can be taken off any more.

        Raises UnknownConnection.
        """
        now = self._clock.now()
        async with self._database.write() as tx:
            present = await self._locked(tx.conn, connection_id)
            if to == "paused" and present.state != "paused":
                await store.change(tx.conn, present.id, now, state="paused", attention=None)
                await self._listings.pause(tx, present.id, now)
            if to == "active" and present.state != "active":
                await store.change(
                    tx.conn,
                    present.id,
                    now,
                    state="active",
                    attention=None,
                    due_at=now,
                    not_before=None,
                )
                await self._listings.resume(tx, present.id, now)
            if to in ("removed", "abandoned"):
                await self._remove(tx, present, now, gives_up=to == "abandoned")
            tx.notify(ConnectionsTouched((present.id,)))
        return await self.connection(connection_id)

    async def _remove(self, tx: Tx, present: Connection, now: datetime, *, gives_up: bool) -> None:
        await feed_store.drop(tx.conn, present.id)
        if "channel" in present.roles:
            # It goes when the channel has confirmed that nothing of ours stands there any more.
            await store.change(tx.conn, present.id, now, state="active", attention=None, due_at=now)
        else:
            await store.change(tx.conn, present.id, now, state="removed", attention=None)
        await self._listings.remove(tx, present.id, now, gives_up=gives_up)

    async def connections(self) -> list[wire.Connection]:
        async with self._database.read() as conn:
            return await self._out(conn, await store.all_of(conn))

    async def connection(self, connection_id: str) -> wire.Connection:
        """Raises UnknownConnection."""
        async with self._database.read() as conn:
            one = await self._known(conn, connection_id)
            return (await self._out(conn, [one]))[0]

    async def diagnose(self, connection_id: str) -> list[str]:
        """What is missing, in plain words; nothing when it works. Raises UnknownConnection."""
        async with self._database.read() as conn:
            one = await self._known(conn, connection_id)
        try:
            return list(await (await self._open.get(one.id)).diagnose())
        except ConnectorError as error:
            return [error.detail]
        except ShopError as error:
            if not needs_person(error):
                raise
            return [error.detail]

    async def sync_soon(self, connection_id: str) -> wire.Connection:
        """Give it its turn now, go through everything and look at all that it shows. Raises
        UnknownConnection."""
        async with self._database.write() as tx:
            one = await self._locked(tx.conn, connection_id)
            await self._listings.look_again(tx, one.id)
            now = self._clock.now()
            await store.set_turn(tx.conn, one.id, due_at=now, not_before=None, whole_at=None)
            tx.notify(ConnectionsTouched((one.id,)))
        return await self.connection(connection_id)

    async def runs(self, connection_id: str) -> list[wire.Run]:
        """Newest first. Raises UnknownConnection."""
        async with self._database.read() as conn:
            await self._known(conn, connection_id)
            return [run_out(run) for run in await store.runs_of(conn, [connection_id])]

    async def run(self, run_id: str) -> wire.Run:
        """Raises UnknownRun."""
        async with self._database.read() as conn:
            found = await store.run_by_id(conn, run_id)
        if found is None:
            raise UnknownRun("There is no such run, or it is too long ago.")
        return run_out(found)

    # Inside

    def _language(self, language: str) -> str:
        if language not in self._settings.shop.languages:
            known = ", ".join(self._settings.shop.languages)
            raise BadConfiguration(
                f"The shop speaks {known}.", data={"fields": {"language": f"One of {known}."}}
            )
        return language

    async def _known(self, conn: AsyncConnection, connection_id: str) -> Connection:
        one = await store.by_id(conn, connection_id)
        if one is None:
            raise UnknownConnection("There is no such connection.")
        return one

    async def _locked(self, conn: AsyncConnection, connection_id: str) -> Connection:
        await conn.execute(
            sa.select(connection.c.id)
            .where(connection.c.id == connection_id)
            .with_for_update(key_share=True)
        )
        one = await self._known(conn, connection_id)
        if one.state == "removed":
            raise UnknownConnection("This connection was removed.")
        return one

    async def _out(
        self, conn: AsyncConnection, found: Sequence[Connection]
    ) -> list[wire.Connection]:
        ids = [one.id for one in found]
        counts = await self._listings.counts(conn, ids)
        runs = await store.latest_runs(conn, ids)
        fetched = await feed_store.fetched_at(conn, ids)
        shown = []
        for one in found:
            sealed = await store.sealed_of(conn, one.id)
            out = await self._connection_out(
                one, sealed or "", counts.get(one.id, {}), runs.get(one.id), fetched
            )
            is_leaving = await store.recall(conn, one.id, LEAVING) is not None
            shown.append(msgspec.structs.replace(out, is_leaving=is_leaving))
        return shown

    async def _connection_out(
        self,
        one: Connection,
        sealed: str,
        counts: Mapping[str, int],
        run: Run | None,
        fetched: Mapping[str, datetime | None],
    ) -> wire.Connection:
        try:
            credentials = self._sealer.open(sealed)
            attention = one.attention
        except NeedsAttention as error:
            credentials, attention = Credentials(), error.detail
        try:
            connector: Connector | None = await self._open.connector(one.connector)
        except ShopError as error:  # uninstalled, or broken: the connection is still to be seen
            connector, attention = None, error.detail
        needs = connector is not None and connector.oauth is not None and credentials.tokens is None
        feed_url = None
        if connector is not None and credentials.feed_token is not None:
            path = feed_path(connector, credentials.feed_token)
            feed_url = f"{self._settings.public_url}{path}"
        return wire.Connection(
            id=one.id,
            connector=one.connector,
            connector_title=connector.title if connector else one.connector,
            title=one.title,
            roles=sorted(one.roles),
            config=dict(one.config),
            secrets_set=sorted(credentials.secrets),
            state=one.state,
            attention=attention,
            language=one.language,
            needs_authorisation=needs,
            listings=dict(counts),
            feed_url=feed_url,
            feed_fetched_at=fetched.get(one.id),
            whole_at=one.whole_at,
            is_leaving=False,
            run=None if run is None else run_out(run),
            version=one.version,
        )


def _checked(
    connector: Connector, given: Mapping[str, object]
) -> tuple[dict[str, object], dict[str, str]]:
    """The plain fields and the secrets. Raises BadConfiguration."""
    try:
        plain, secrets = split_config(connector.config, given)
        decode_config(connector.config, plain, secrets)
    except BadConfig as error:
        words = " ".join(f"{field}: {text}" for field, text in error.problems.items())
        raise BadConfiguration(words, data={"fields": dict(error.problems)}) from error
    return plain, secrets


def run_out(run: Run) -> wire.Run:
    return wire.Run(
        id=run.id,
        connection_id=run.connection_id,
        kind=run.kind,
        state=run.state,
        started_at=run.started_at,
        ended_at=run.ended_at,
        total=run.total,
        done=run.done,
        counts=dict(run.counts),
        problem=run.problem,
    )
