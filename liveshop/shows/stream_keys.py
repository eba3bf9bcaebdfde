"""Stream keys: what lets an encoder send video to one show, in one person's name.

A key is a secret of 256 bits and nothing else: neither its show nor its person can be read from it,
so what somebody sees of one in a picture of an encoder's settings tells nothing.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import NotFound
from liveshop.kernel.ids import ShowId, new_secret
from liveshop.settings import Settings
from liveshop.shows import key_store, store, wire
from liveshop.shows.model import Show, UnknownShow, WrongState
from liveshop.shows.service import locked_show
from liveshop.storage import Database, Tx
from liveshop.video.model import KeyRefused, Publishing
from liveshop.web import Principal

PREFIX: Final = "lsv_"
PERMISSION: Final = "shows:write"
_SECRET_BYTES: Final = 32
_LONGEST: Final = 100
_HINT_LENGTH: Final = 4

PermissionsOf = Callable[[AsyncConnection, str, datetime], Awaitable[frozenset[str]]]
"""What a member of staff or an API key may do at a moment; nothing: there is no such one now."""


class UnknownStreamKey(NotFound):
    code = "unknown_stream_key"


@dataclass(frozen=True, slots=True)
class StreamKeyStopped:
    """A signal: what this person sends to this show with the key he had is to be cut off."""

    show_id: ShowId
    person_id: str


@dataclass(frozen=True, slots=True)
class EncoderDelayChanged:
    """A signal: counts from now on, also for what this person is sending."""

    person_id: str
    delay: timedelta


@dataclass(frozen=True, slots=True)
class RightsChanged:
    """A signal: what people may do is to be looked up anew."""


class StreamKeys:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        permissions_of: PermissionsOf,
    ) -> None:
        self._database = database
        self._clock = clock
        self._server = settings.ingest_url or None
        self._permissions_of = permissions_of

    async def issue(self, show_id: ShowId, who: Principal) -> wire.NewStreamKey:
        """A key for the caller; one he had for this show stops at once.

        Raises UnknownShow, and WrongState for a show that is over.
        """
        now = self._clock.now()
        secret = PREFIX + new_secret(_SECRET_BYTES)
        key = key_store.Key(
            show_id=show_id,
            person_id=who.id,
            person_name=who.name[:100],
            hint=secret[-_HINT_LENGTH:],
            created_at=now,
            last_used_at=None,
        )
        async with self._database.write() as tx:
            show = await locked_show(tx.conn, show_id)
            if show.is_over:
                raise WrongState(
                    "This show is over; there is nothing to send video to.",
                    data={"state": show.state, "allowed": ["draft", "scheduled", "live"]},
                )
            if await key_store.put(tx.conn, key, secret_hash=_hash(secret)):
                tx.notify(StreamKeyStopped(show_id, who.id))
        return wire.NewStreamKey(server=self._server, secret=secret, key=_out(key, who))

    async def list_keys(self, show_id: ShowId, who: Principal) -> wire.StreamKeys:
        """Those that work. Raises UnknownShow."""
        async with self._database.read() as conn:
            await _known(conn, show_id)
            keys = await key_store.working(conn, show_id)
        return wire.StreamKeys(server=self._server, keys=[_out(key, who) for key in keys])

    async def revoke(self, show_id: ShowId, person_id: str) -> None:
        """What is sent with the key is cut off. Raises UnknownShow, UnknownStreamKey."""
        async with self._database.write() as tx:
            await locked_show(tx.conn, show_id)
            if not await key_store.revoke(tx.conn, show_id, person_id):
                raise UnknownStreamKey("This person has no stream key for this show.")
            tx.notify(StreamKeyStopped(show_id, person_id))

    async def stop_of_the_dismissed(self, tx: Tx) -> None:
        """Revoke the keys of people who may not send video any more; for whoever changes rights."""
        now = self._clock.now()
        for key in await key_store.of_open_shows(tx.conn):
            if PERMISSION in await self._permissions_of(tx.conn, key.person_id, now):
                continue
            await key_store.revoke(tx.conn, key.show_id, key.person_id)
            tx.notify(StreamKeyStopped(key.show_id, key.person_id))
        tx.notify(RightsChanged())

    async def authorise(self, secret: str) -> Publishing:
        """What a key allows, at the moment an encoder sends it. Raises KeyRefused."""
        if not (secret.startswith(PREFIX) and secret.isascii() and len(secret) <= _LONGEST):
            raise _refused("unknown", "This stream key is not valid. Get one from the studio.")
        now = self._clock.now()
        secret_hash = _hash(secret)
        async with self._database.read() as conn:
            # Whoever tries keys must not make the writers wait.
            key, show = await self._good(conn, secret_hash, now)
            delay = await key_store.delay(conn, key.person_id)
        async with self._database.write() as tx:
            if not await key_store.mark_used(tx.conn, secret_hash, now):
                raise _refused("revoked", "This stream key was revoked. Get one from the studio.")
        return Publishing(
            show_id=show.id,
            is_on_air=show.is_on_stage,
            for_customers=show.is_for_some,
            person_id=key.person_id,
            key_id=key.hint,
            capture_delay=timedelta(milliseconds=delay[0] if delay else 0),
            started_at=show.on_since,
            rehearsal=None if show.rehearsal is None else show.rehearsal.id,
        )

    async def _good(
        self, conn: AsyncConnection, secret_hash: str, now: datetime
    ) -> tuple[key_store.Key, Show]:
        key = await key_store.by_hash(conn, secret_hash)
        show = None if key is None else await store.by_id(conn, key.show_id)
        if key is None or show is None:
            raise _refused(
                "unknown", "This stream key is unknown or was revoked. Get one from the studio."
            )
        if show.is_over:
            raise _refused("over", "The show of this stream key is over.")
        if PERMISSION not in await self._permissions_of(conn, key.person_id, now):
            raise _refused("dismissed", "Whose stream key this is may not send video any more.")
        return key, show

    async def delay_of(self, who: Principal) -> wire.EncoderDelay:
        async with self._database.read() as conn:
            found = await key_store.delay(conn, who.id)
        milliseconds, set_at = found or (0, None)
        return wire.EncoderDelay(milliseconds=milliseconds, set_at=set_at)

    async def set_delay(self, who: Principal, milliseconds: int) -> wire.EncoderDelay:
        """How long the caller's camera and encoder take: see `wire.EncoderDelay`."""
        now = self._clock.now()
        async with self._database.write() as tx:
            await key_store.set_delay(tx.conn, who.id, milliseconds, now)
            tx.notify(EncoderDelayChanged(who.id, timedelta(milliseconds=milliseconds)))
        return wire.EncoderDelay(milliseconds=milliseconds, set_at=now)


async def _known(conn: AsyncConnection, show_id: ShowId) -> None:
    if await store.state_of(conn, show_id) is None:
        raise UnknownShow("There is no such show. Check the address.")


def _refused(reason: str, words: str) -> KeyRefused:
    return KeyRefused(words, data={"reason": reason})


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("ascii")).hexdigest()


def _out(key: key_store.Key, who: Principal) -> wire.StreamKey:
    return wire.StreamKey(
        person_id=key.person_id,
        person_name=key.person_name,
        hint=key.hint,
        is_mine=key.person_id == who.id,
        created_at=key.created_at,
        last_used_at=key.last_used_at,
    )
