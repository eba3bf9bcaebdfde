"""The bridge from transactions to rooms; `app.py` sets it as `Database.rooms` and `.publish`.

Once a transaction is committed nothing here raises: telling its caller otherwise would be a lie.

Where rooms' logs are shared, three things can come between a commit and the log, and each ends the
room's epoch, so that viewers reload: the log is away (the broker owes the room a renewal), this
node dies (others find what it intended), or both, which is why a commit whose intent could not be
said leaves a job in the database.
"""

from collections.abc import Awaitable, Collection
from contextlib import suppress
from datetime import timedelta
from typing import Any

import msgspec
import structlog

from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import new_secret
from liveshop.realtime import frames
from liveshop.realtime.broker import Broker
from liveshop.realtime.model import BrokerAway, Draft
from liveshop.storage import Published, Tx
from liveshop.storage.outbox import Handler
from liveshop.web.metrics import Metrics

_log = structlog.get_logger("realtime")

RENEW_TOPIC = "room.renew"
_RENEW_AFTER = timedelta(seconds=10)
"""Until then whoever owes it has most likely done it."""


class RenewRoom(msgspec.Struct):
    room: str
    name: str
    """Of the renewal, which is done once."""


class RoomPublisher:
    def __init__(self, broker: Broker, metrics: Metrics | None = None) -> None:
        self._broker = broker
        self._metrics = metrics
        self._intended: set[str] = set()
        """Rooms whose intent was said for the transaction that is about to commit."""
        self._renewals: dict[str, str] = {}
        """The same, where it could not be said: by room the name of the renewal that is due."""

    @property
    def is_shared(self) -> bool:
        return self._broker.is_shared

    @property
    def handlers(self) -> dict[str, Handler]:
        """Jobs, to be tried for ever."""
        return {RENEW_TOPIC: self._renew_job}

    async def before_commit(self, tx: Tx) -> None:
        """Raises BrokerAway where an event needs its room."""
        if not self._broker.is_shared:
            return
        rooms = {item.room for item in tx.published}
        try:
            await self._broker.intend(rooms)
        except BrokerAway:
            if any(item.needs_room for item in tx.published):
                raise
            await self._leave_a_job(tx, rooms)
        else:
            self._intended |= rooms

    async def _leave_a_job(self, tx: Tx, rooms: Collection[str]) -> None:
        now = max(item.at for item in tx.published)
        for room in sorted(rooms):
            job = RenewRoom(room, new_secret(9))
            await tx.enqueue(
                RENEW_TOPIC, job, now=now, key=f"renew:{job.name}", not_before=now + _RENEW_AFTER
            )
            self._renewals[room] = job.name

    async def not_committed(self, published: Collection[Published]) -> None:
        rooms = {item.room for item in published}
        for room in rooms:
            self._renewals.pop(room, None)
        said = rooms & self._intended
        self._intended -= said
        if said:
            await _quietly(self._broker.forgo(said))

    async def in_doubt(self, published: Collection[Published]) -> None:
        await self.not_committed(published)
        for room in sorted({item.room for item in published}):
            await self.renew(room)

    async def __call__(self, published: list[Published]) -> None:
        by_room: dict[str, list[Published]] = {}
        for item in published:
            by_room.setdefault(item.room, []).append(item)
        for room, items in by_room.items():
            await self._append(room, items)

    async def _append(self, room: str, items: list[Published]) -> None:
        name = self._renewals.pop(room, None)
        if name is not None:
            await self.renew(room, name=name)
            return
        if self._broker.is_shared:
            await self._intend(room)
        try:
            drafts: list[Draft] = [
                frames.draft(item.type, item.data, item.at, sampled_by=item.sampled_by)
                for item in items
            ]
            await self._broker.append(room, drafts)
        except BrokerAway:  # which is said once, and by the broker; it renews the room
            return
        except Exception:  # whatever it was, the log now misses an event, and viewers must know
            _log.exception("publish_failed", room=room)
            await self.renew(room)
            return
        if self._metrics is not None:
            for item in items:
                self._metrics.events.labels(item.type).inc()

    async def _intend(self, room: str) -> None:
        """For news without a transaction: an append takes an intent back, and it must not be
        somebody else's."""
        if room in self._intended:
            self._intended.discard(room)
        else:
            with suppress(BrokerAway):
                await self._broker.intend([room])

    async def renew(self, room: str, *, name: str = "") -> None:
        """Everybody in the room comes back anew, as far as he still may."""
        await _quietly(self._broker.renew(room, name=name), room=room)

    async def _renew_job(self, payload: dict[str, Any]) -> None:
        job = msgspec.convert(payload, RenewRoom)
        await self._broker.renew(job.room, name=job.name)


async def _quietly(doing: Awaitable[object], **about: str) -> None:
    try:
        await doing
    except ShopError:  # the broker is away; it does this as soon as it is back
        return
    except Exception:
        _log.exception("rooms_not_told", **about)
