"""Authorising a connection at its vendor by OAuth: there, and back with a code.

What the merchant comes back with counts once, for half an hour, and only where it was begun.
"""

import hashlib
from datetime import datetime, timedelta

import msgspec

from liveshop.connect import ConnectorError, NeedsAttention
from liveshop.connect.config import texts_of
from liveshop.connect.oauth import begin, exchange
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import Unavailable
from liveshop.kernel.ids import new_secret
from liveshop.storage import Database
from liveshop.syndication import connection_store as store
from liveshop.syndication.model import (
    BadAuthorisation,
    BadConfiguration,
    ConnectionId,
    ConnectionsTouched,
    UnknownConnection,
    WrongRole,
)
from liveshop.syndication.runtime import OpenConnections, write_credentials
from liveshop.syndication.sealing import Credentials, Sealer

ASKED = "pull:vanished"
"""A source asks whether most of a catalog is really gone: only resuming it says so."""
_AUTHORISING = "oauth:authorising"
_AUTHORISATION_LIFE = timedelta(minutes=30)


class VendorAway(Unavailable):
    """The other side cannot answer now; `detail` says what it said."""

    code = "vendor_away"


class _Pending(msgspec.Struct):
    """An authorisation under way."""

    state: str
    verifier: str
    until: datetime


class Authorisations:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        public_url: str,
        sealer: Sealer,
        open_connections: OpenConnections,
    ) -> None:
        self._database = database
        self._clock = clock
        self._public_url = public_url
        self._sealer = sealer
        self._open = open_connections

    @property
    def redirect_uri(self) -> str:
        """Where vendors send the merchant back to: it has to be registered with them."""
        return f"{self._public_url}/oauth/callback"

    async def authorise(self, connection_id: str) -> str:
        """Begin: the address where the merchant allows it. Raises UnknownConnection, WrongRole,
        BadConfiguration."""
        now = self._clock.now()
        async with self._database.read() as conn:
            one = await store.by_id(conn, connection_id)
        if one is None or one.state == "removed":
            raise UnknownConnection("There is no such connection.")
        connector = await self._open.connector(one.connector)
        if connector.oauth is None:
            raise WrongRole(f"{connector.title} needs no authorisation.")
        state = f"{one.id}.{new_secret()}"
        try:
            url, verifier = begin(
                connector.oauth,
                texts_of(connector.config, one.config, {}),
                redirect_uri=self.redirect_uri,
                state=state,
            )
        except NeedsAttention as error:
            raise BadConfiguration(error.detail, data={"fields": {}}) from error
        async with self._database.write() as tx:
            pending = _Pending(_digest(state), verifier, now + _AUTHORISATION_LIFE)
            text = msgspec.json.encode(pending).decode()
            sealed = self._sealer.seal(Credentials({"pending": text}))
            await store.remember(tx.conn, one.id, _AUTHORISING, sealed)
        return url

    async def authorised(self, state: str, code: str | None, error: str | None) -> ConnectionId:
        """End it with what the vendor sent back. Raises BadAuthorisation, VendorAway."""
        connection_id = state.partition(".")[0]
        bad = BadAuthorisation(
            "This authorisation was not begun here, or too long ago. Begin again in the desk."
        )
        async with self._database.write() as tx:
            one = await store.by_id(tx.conn, connection_id)
            text = await store.recall(tx.conn, connection_id, _AUTHORISING)
            sealed = await store.sealed_of(tx.conn, ConnectionId(connection_id))
            if one is None or text is None or sealed is None:
                raise bad
            try:
                opened = self._sealer.open(text).secrets["pending"]
                secrets = self._sealer.open(sealed).secrets
            except NeedsAttention as unreadable:
                raise BadAuthorisation(unreadable.detail) from unreadable
            pending = msgspec.json.decode(opened, type=_Pending)
            if pending.state != _digest(state) or pending.until <= self._clock.now():
                raise bad
            await store.forget(tx.conn, connection_id, _AUTHORISING)  # an answer counts once
        if error is not None or not code:
            raise BadAuthorisation("The vendor says that it was not allowed. Nothing was changed.")
        connector = await self._open.connector(one.connector)
        assert connector.oauth is not None
        fields = texts_of(connector.config, one.config, secrets)
        try:
            async with self._open.session() as http:
                tokens = await exchange(
                    http,
                    connector.oauth,
                    fields,
                    code=code,
                    verifier=pending.verifier,
                    redirect_uri=self.redirect_uri,
                    now=self._clock.now(),
                )
        except NeedsAttention as refused:
            raise BadAuthorisation(refused.detail) from refused
        except ConnectorError as away:
            raise VendorAway(away.detail) from away
        now = self._clock.now()
        async with self._database.write() as tx:
            await write_credentials(tx.conn, self._sealer, one.id, tokens=tokens)
            state_now = {"state": "active"} if one.state == "attention" else {}
            await store.forget_all(tx.conn, one.id, prefix=ASKED)
            await store.change(
                tx.conn, one.id, now, attention=None, due_at=now, not_before=None, **state_now
            )
            tx.notify(ConnectionsTouched((one.id,)))
        return one.id


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
