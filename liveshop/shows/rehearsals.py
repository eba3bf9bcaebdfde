"""Rehearsals: a show its host practises with a crowd, real in all but visibility, stock and money.

Who takes part is staff, or a guest who came by an invitation. An invitation is the rehearsal's id
and a signature of it, and a guest's id begins as the rehearsal's does: both are worth nothing once
it has ended, because its row says so, and it is asked for each message.

What a rehearsal sells lies on a shelf of its own (`catalog.rehearsing`). Starting and ending one is
a transaction each, so a crash leaves it running or gone; what was under way while it ended is swept
up later.
"""

import asyncio
import base64
import hashlib
import hmac
import io
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

import segno
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import rehearsing
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import Forbidden
from liveshop.kernel.ids import RehearsalId, ShowId, new_id
from liveshop.kernel.rehearsals import new_guest, shelf_of
from liveshop.settings import Settings
from liveshop.shows import rehearsal_store, store, wire
from liveshop.shows.model import Rehearsal, RehearsalEnded, RehearsalStarted, Show, UnknownShow
from liveshop.storage import Database, StorageUnavailable, Tx
from liveshop.web import Principal

_log = structlog.get_logger("shows")
_PURPOSE: Final = b"liveshop rehearsal invitation 1"
_SIGNATURE_BYTES: Final = 15
_OWN: Final = "rhs"
_LEFTOVERS_AFTER: Final = timedelta(seconds=30)
_FORGOTTEN_AFTER: Final = timedelta(minutes=5)
"""Longer than any request or job takes that may still write something for it."""
_SWEEP_SECONDS: Final = 5.0

SendAway = Callable[[str], Awaitable[None]]
Note = Callable[[AsyncConnection, ShowId], Awaitable[Mapping[str, Any]]]
"""What of the real show has to be there again after the rehearsal."""
Clear = Callable[[Tx, Rehearsal], Awaitable[None]]
"""Throws away what a rehearsal made, and puts back what was noted. May be called again."""


class BadInvitation(Forbidden):
    """Made up, or of a rehearsal that is over."""

    code = "bad_invitation"


class NotRehearsing(UnknownShow):
    """The show is not in rehearsal."""

    code = "not_rehearsing"


class Rehearsals:
    """`notes` and `clears` are added by whoever keeps something of shows; `send_away` is set."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._public_url = settings.public_url
        self._key = hmac.digest(settings.server.secret.encode(), _PURPOSE, hashlib.sha256)
        self.notes: list[Note] = [_last_pin]
        self.clears: list[Clear] = [_unpin]

    # Inside the transaction that changes the show's state

    async def start(self, tx: Tx, show: Show, now: datetime) -> Rehearsal:
        """What the shop has of the lineup lies on the rehearsal's shelf too."""
        before: dict[str, Any] = {}
        for note in self.notes:
            before |= await note(tx.conn, show.id)
        rehearsal = Rehearsal(RehearsalId(new_id(_OWN, now)), show.id, show.state, now, before)
        await rehearsal_store.add(tx.conn, rehearsal)
        await rehearsing.put_up(tx.conn, rehearsal.shelf)
        await rehearsing.fill(tx.conn, rehearsal.shelf, show.lineup, now)
        tx.notify(RehearsalStarted(show.id, rehearsal.id, now))
        return rehearsal

    async def end(self, tx: Tx, show: Show, now: datetime) -> None:
        rehearsal = show.rehearsal
        assert rehearsal is not None, "the show is in rehearsal"
        await rehearsal_store.end(tx.conn, rehearsal.id, now)
        for clear in self.clears:
            await clear(tx, rehearsal)
        tx.notify(RehearsalEnded(show.id, show.audience, now))

    async def empty(self, rehearsal: Rehearsal, send_away: SendAway) -> None:
        """Everybody in the room comes again, or finds that it is not for him any more."""
        now = self._clock.now()
        await send_away(str(rehearsal.show_id))
        async with self._database.write() as tx:
            await rehearsal_store.mark_emptied(tx.conn, rehearsal.id, now)

    # Taking part

    async def invite(self, show_id: ShowId) -> wire.Invitation:
        """Raises UnknownShow, NotRehearsing."""
        async with self._database.read() as conn:
            show = await store.by_id(conn, show_id)
        if show is None:
            raise UnknownShow("There is no such show. Check the address.")
        if show.rehearsal is None:
            raise NotRehearsing("This show is not in rehearsal. Begin one first.")
        code = self._code(show.rehearsal.id)
        url = f"{self._public_url}/s/{show.id}?{urlencode({'invite': code})}"
        return wire.Invitation(code=code, url=url, qr=_qr(url))

    async def invited(self, code: str) -> Rehearsal:
        """The rehearsal an invitation is to. Raises BadInvitation."""
        rehearsal_id = RehearsalId(f"{_OWN}_{code[:26]}")
        known = shelf_of(rehearsal_id) is not None
        if not known or not hmac.compare_digest(code.encode(), self._code(rehearsal_id).encode()):
            raise BadInvitation("This invitation is not complete. Ask for it again.")
        async with self._database.read() as conn:
            found = await rehearsal_store.by_id(conn, rehearsal_id)
        if found is None:
            raise BadInvitation("This rehearsal is over.")
        return found

    async def as_invited(self, who: Principal, code: str) -> Principal:
        """Somebody as a guest of the rehearsal that this invitation is to, if it is to one and he
        is not the shop's staff."""
        if not code or who.is_staff:
            return who
        try:
            rehearsal = await self.invited(code)
        except BadInvitation:
            return who
        return Principal(kind="guest", id=new_guest(rehearsal.id))

    async def going_on(self, conn: AsyncConnection, guests: Collection[str]) -> set[str]:
        """Those of these guests of rehearsals whose rehearsal goes on."""
        shelves = {one.shelf for one in await rehearsal_store.all_running(conn)}
        return {guest for guest in guests if shelf_of(guest) in shelves}

    def _code(self, rehearsal_id: RehearsalId) -> str:
        """Letters and digits, so that people can pass it on by whatever way."""
        signature = hmac.digest(self._key, rehearsal_id.encode(), hashlib.sha256)
        return rehearsal_id[4:] + base64.b32encode(signature[:_SIGNATURE_BYTES]).decode()

    # Leftovers

    async def run(self, send_away: SendAway) -> None:
        """Until cancelled. May be called again after it broke."""
        while True:
            try:
                await self.sweep(send_away)
            except StorageUnavailable as error:
                _log.warning("rehearsals_wait", reason=error.detail)
            await asyncio.sleep(_SWEEP_SECONDS)

    async def sweep(self, send_away: SendAway) -> None:
        """Rooms that a crash left full are emptied, and what was written for a rehearsal while it
        ended is thrown away."""
        now = self._clock.now()
        async with self._database.read() as conn:
            full = await rehearsal_store.to_empty(conn)
            ended = await rehearsal_store.ended(conn)
        for rehearsal in full:
            await self.empty(rehearsal, send_away)
        for rehearsal, ended_at in ended:
            if now - ended_at < _LEFTOVERS_AFTER:
                continue
            async with self._database.write() as tx:
                for clear in self.clears:
                    await clear(tx, replace(rehearsal, before={}))
                if now - ended_at >= _FORGOTTEN_AFTER:
                    await rehearsal_store.forget(tx.conn, rehearsal.id)


async def _last_pin(conn: AsyncConnection, show_id: ShowId) -> Mapping[str, Any]:
    return {"pins": await store.last_pin_number(conn, show_id)}


async def _unpin(tx: Tx, rehearsal: Rehearsal) -> None:
    if "pins" in rehearsal.before:
        await store.remove_pins_after(tx.conn, rehearsal.show_id, rehearsal.before["pins"])


def _qr(url: str) -> str:
    """As a data URI: the address is a key, and is in no address of a picture."""
    out = io.BytesIO()
    segno.make(url, error="m", micro=False).save(out, kind="svg", scale=6, border=4, light="#fff")
    return f"data:image/svg+xml;base64,{base64.b64encode(out.getvalue()).decode()}"
